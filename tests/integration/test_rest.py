# SPDX-License-Identifier: GPL-3.0-or-later
"""Administration over HTTP and CoAP: devices, keys, tokens, groups, tenants; entity tags; devices by the thousand."""
import json
import re

import lib
from lib import curl, coap_client, equal, wait_until

WORKERS = (2,)
JSON, LINES = "application/json", "application/x-ndjson"


def url(gateway, path):
    return "http://127.0.0.1:%d%s" % (gateway.http_port, path)


def ask(gateway, method, path, body=None, expect=None, token=None, match=None, none_match=None, content_type=JSON, **more):
    options = ["-H", "If-Match: " + match] if match else []
    options += ["-H", "If-None-Match: " + none_match] if none_match else []
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
    answer = curl(url(gateway, path), *options, method=method, data=body, token=token or admin(gateway),
                  **({"content_type": content_type} if body is not None else {}), **more)
    if expect:
        equal(answer.status, expect, "%s %s: %r" % (method, path, answer))
    return answer


def admin(gateway):
    """The token of an admin of the tenant demo."""
    if not hasattr(gateway, "admin_token"):
        gateway.admin_token = people(gateway, "demo", "admin")
    return gateway.admin_token


def people(gateway, tenant, role, *more):
    token = gateway.add_token("--tenant", tenant, "--role", role, *more)
    wait_until(lambda: curl(url(gateway, "/devices"), token=token).status == 200, "the token is known")
    return token


def made(gateway, path, token=None):
    """GET, as soon as this gateway knows it."""
    wait_until(lambda: ask(gateway, "GET", path, token=token).status == 200, path + " is known")
    return ask(gateway, "GET", path, token=token)


def test_device(gateway):
    """a device is made, read, changed, disabled, replaced and removed; each wrong member is named"""
    answer = ask(gateway, "POST", "/devices", {"id": "r-1", "site": "north", "tags": "a,b",
                                              "keys": [{"id": "k", "kind": "psk", "hex": "0102030405060708"}]}, 201)
    tag = answer.headers["etag"]
    ask(gateway, "POST", "/devices", {"id": "r-1"}, 409)
    one = made(gateway, "/devices/r-1")
    equal((one.json()["site"], one.json()["psk"], one.headers["etag"]), ("north", True, tag))
    assert "0102030405060708" not in one.body.decode()
    tag = ask(gateway, "PATCH", "/devices/r-1", {"disabled": True, "tags": None}, 204, match=tag).headers["etag"]
    wait_until(lambda: made(gateway, "/devices/r-1").headers["etag"] == tag, "the change is known")
    equal([made(gateway, "/devices/r-1").json()[name] for name in ("disabled", "tags", "site", "psk")],
          [True, "", "north", True])
    ask(gateway, "PUT", "/devices/r-1", {"profile": "plain"}, 204, match=tag)
    wait_until(lambda: made(gateway, "/devices/r-1").json()["profile"] == "plain", "it is replaced")
    equal([made(gateway, "/devices/r-1").json()[name] for name in ("disabled", "site", "psk")], [False, "", True])
    ask(gateway, "PUT", "/devices/r-1", {}, 412, match=tag)
    ask(gateway, "PUT", "/devices/r-1", {}, 412, none_match="*")
    for body, member in (({"colour": 1}, "/colour"), ({"site": 3}, "/site"), ({"id": "other"}, "/id"),
                         ({"keys": [{"kind": "psk", "id": "x"}]}, "/keys/0/hex"),
                         ({"keys": [{"kind": "wax", "id": "x"}]}, "/keys/0/kind"),
                         ({"role": "king"}, "/role"), ({"disabled": 1}, "/disabled")):
        answer = ask(gateway, "PUT", "/devices/r-1", body, 422)
        assert answer.json()["detail"].startswith(member + ": "), answer
    ask(gateway, "PUT", "/devices/r-1", "[1", 400)
    ask(gateway, "PUT", "/devices/r-1", "x", 415, content_type="text/plain")
    ask(gateway, "DELETE", "/devices/r-1", expect=204)
    wait_until(lambda: ask(gateway, "GET", "/devices/r-1").status == 404, "it is gone")
    ask(gateway, "DELETE", "/devices/r-1", expect=404)
    ask(gateway, "PATCH", "/devices/r-1", {}, 404)


def test_two_writers(gateway):
    """of two with one entity tag, one gets 412 and reads again"""
    tag = ask(gateway, "PUT", "/devices/shared-1", {"site": "a"}, 201, none_match="*").headers["etag"]
    first = ask(gateway, "PATCH", "/devices/shared-1", {"site": "b"}, 204, match=tag)
    ask(gateway, "PATCH", "/devices/shared-1", {"site": "c"}, 412, match=tag)
    ask(gateway, "DELETE", "/devices/shared-1", expect=412, match=tag)
    ask(gateway, "PATCH", "/devices/shared-1", {"tags": "x"}, 204, match=first.headers["etag"],
        content_type="application/merge-patch+json")
    wait_until(lambda: made(gateway, "/devices/shared-1").json()["tags"] == "x", "the last one holds")
    equal(made(gateway, "/devices/shared-1").json()["site"], "b")


def test_keys(gateway):
    """keys of a device: made, told once, listed without secrets, ended, removed"""
    ask(gateway, "PUT", "/devices/keyed", {}, 201)
    key = ask(gateway, "POST", "/devices/keyed/keys", {"kind": "psk", "generate": True, "id": "one"}, 201).json()
    equal((len(key["hex"]), key["id"]), (64, "one"))
    gateway.secrets.append(key["hex"])
    signer = ask(gateway, "POST", "/devices/keyed/keys", {"kind": "es256", "generate": True, "id": "sign"}, 201).json()
    assert json.loads(signer["jwk"])["d"]
    public = {name: json.loads(signer["jwk"])[name] for name in ("kty", "crv", "x", "y")}
    ask(gateway, "PUT", "/devices/keyed-2", {}, 201)
    ask(gateway, "POST", "/devices/keyed-2/keys", {"kind": "es256", "id": "sign", "jwk": public}, 409)
    # A public key is of one device only, which may have it by another name.
    ask(gateway, "POST", "/devices/keyed-2/keys", {"kind": "es256", "id": "sign-2", "jwk": public}, 409)
    again = ask(gateway, "POST", "/devices/keyed/keys", {"kind": "es256", "id": "sign-2", "jwk": public}, 201).json()
    equal(again["hex"], signer["hex"])
    ask(gateway, "DELETE", "/devices/keyed/keys/sign-2", expect=204)
    private = dict(public, d=json.loads(signer["jwk"])["d"])
    ask(gateway, "POST", "/devices/keyed-2/keys", {"kind": "es256", "id": "p", "jwk": private}, 422)
    listed = ask(gateway, "GET", "/devices/keyed/keys", expect=200)
    equal([(row["id"], row["kind"]) for row in listed.json()["keys"]], [("one", "psk"), ("sign", "es256")])
    assert key["hex"] not in listed.body.decode()
    one = ask(gateway, "GET", "/devices/keyed/keys/one", expect=200)
    ask(gateway, "PATCH", "/devices/keyed/keys/one", {"not_after": 4000000000}, 204, match=one.headers["etag"])
    ask(gateway, "PATCH", "/devices/keyed/keys/one", {"not_after": 5}, 412, match=one.headers["etag"])
    equal(ask(gateway, "GET", "/devices/keyed/keys/one").json()["not_after"], 4000000000)
    ask(gateway, "PATCH", "/devices/keyed/keys/one", {"not_before": 4000000001}, 422)
    ask(gateway, "DELETE", "/devices/keyed/keys/one", expect=204)
    ask(gateway, "DELETE", "/devices/keyed/keys/one", expect=404)
    ask(gateway, "GET", "/devices/nobody/keys", expect=404)


def test_tokens_and_groups(gateway):
    """tokens and groups: made, told once, listed, changed, revoked, removed"""
    answer = ask(gateway, "POST", "/tokens", {"role": "viewer", "label": "anna"}, 201).json()
    token = answer["token"]
    gateway.secrets.append(token)
    wait_until(lambda: curl(url(gateway, "/devices"), token=token).status == 200, "it is known")
    listed = ask(gateway, "GET", "/tokens", expect=200)
    assert token not in listed.body.decode()
    equal([row["role"] for row in listed.json()["tokens"] if row["id"] == answer["id"]], ["viewer"])
    ask(gateway, "DELETE", "/tokens/" + answer["id"], expect=204)
    wait_until(lambda: curl(url(gateway, "/devices"), token=token).status == 401, "it is revoked")
    equal(ask(gateway, "GET", "/tokens/" + answer["id"]).json()["revoked"], True)
    equal(ask(gateway, "POST", "/tokens", {"role": "device", "device": "nobody"}, 422).json()["detail"][:8], "/device:")
    ask(gateway, "POST", "/tokens", {"role": "viewer", "expires": 5}, 422)
    group = ask(gateway, "POST", "/groups", {"id": "batch-1", "pattern": "m-*"}, 201)
    gateway.secrets.append(group.json()["hex"])
    ask(gateway, "POST", "/groups", {"id": "batch-1", "pattern": "m-*"}, 409)
    one = ask(gateway, "GET", "/groups/batch-1", expect=200)
    assert "hex" not in one.json()
    ask(gateway, "PATCH", "/groups/batch-1", {"disabled": True}, 204, match=one.headers["etag"])
    ask(gateway, "PATCH", "/groups/batch-1", {"disabled": False}, 412, match=one.headers["etag"])
    equal([row["disabled"] for row in ask(gateway, "GET", "/groups").json()["groups"]], [True])
    ask(gateway, "DELETE", "/groups/batch-1", expect=204)
    ask(gateway, "GET", "/groups/batch-1", expect=404)


def test_tenants(gateway):
    """tenants are for admins of the one that the setting names"""
    ask(gateway, "GET", "/tenants", expect=404)
    gateway.cli("tenant", "add", "weir")
    root = people(gateway, "weir", "admin")
    answer = ask(gateway, "PUT", "/tenants/orchard", {"level": "stored"}, 201, token=root)
    one = ask(gateway, "GET", "/tenants/orchard", expect=200, token=root)
    equal((one.json()["level"], one.headers["etag"]), ("stored", answer.headers["etag"]))
    ask(gateway, "PATCH", "/tenants/orchard", {"disabled": True}, 204, token=root, match=one.headers["etag"])
    ask(gateway, "PATCH", "/tenants/orchard", {"disabled": False}, 412, token=root, match=one.headers["etag"])
    equal(ask(gateway, "GET", "/tenants/orchard", token=root).json()["level"], "stored")
    ask(gateway, "PATCH", "/tenants/orchard", {"level": "golden"}, 422, token=root)
    assert "orchard" in [row["id"] for row in ask(gateway, "GET", "/tenants", token=root).json()["tenants"]]
    ask(gateway, "PUT", "/devices/tree?tenant=orchard", {}, 201, token=root)
    ask(gateway, "DELETE", "/tenants/weir", expect=409, token=root)
    ask(gateway, "DELETE", "/tenants/orchard", expect=204, token=root)
    ask(gateway, "GET", "/tenants/orchard", expect=404, token=root)


def test_who_may(gateway):
    """what lies in another tenant or site is 404; a viewer changes nothing; nobody makes one above themselves"""
    gateway.cli("tenant", "add", "west")
    ask(gateway, "PUT", "/devices/here", {"site": "n"}, 201)
    ask(gateway, "PUT", "/devices/boss", {"role": "admin"}, 201)
    foreign, viewer = people(gateway, "west", "admin"), people(gateway, "demo", "viewer")
    operator = people(gateway, "demo", "operator")
    limited = people(gateway, "demo", "operator", "--sites", "s")
    for method, path, body in (("GET", "/devices/here/keys", None), ("PATCH", "/devices/here", {}),
                               ("DELETE", "/devices/here", None), ("GET", "/devices?tenant=demo", None)):
        ask(gateway, method, path, body, 404, token=foreign)
    for method, path, body in (("PUT", "/devices/x", {}), ("POST", "/devices", {"id": "x"}), ("DELETE", "/devices/here", None),
                               ("POST", "/devices/here/keys", {"kind": "psk", "generate": True}),
                               ("POST", "/tokens", {"role": "viewer"}), ("GET", "/tokens", None)):
        ask(gateway, method, path, body, 403, token=viewer)
    ask(gateway, "POST", "/devices/boss/keys", {"kind": "psk", "generate": True}, 403, token=operator)
    ask(gateway, "DELETE", "/devices/boss", expect=403, token=operator)
    ask(gateway, "PUT", "/devices/x", {"role": "admin"}, 422, token=operator)
    ask(gateway, "DELETE", "/devices/here", expect=404, token=limited)
    ask(gateway, "PUT", "/devices/x", {"site": "n"}, 422, token=limited)
    ask(gateway, "PUT", "/devices/x", {"site": "s"}, 201, token=limited)
    ask(gateway, "GET", "/groups", expect=404, token=limited)


def lines(prefix, count, **more):
    return "".join(json.dumps({"id": "%s-%05d" % (prefix, i), "site": "bulk", "tags": "t%d" % (i % 2),
                               "keys": [{"id": "k", "kind": "psk", "hex": "%032x" % (i + 1)}], **more}) + "\n"
                   for i in range(count))


def test_many(gateway):
    """2,000 devices in and out: refusals by line, filters, pages, replacing, a backup that is restored"""
    text = lines("bulk", 2000).splitlines(True)
    for i in range(0, 2000, 400):
        answer = ask(gateway, "POST", "/devices", "".join(text[i:i + 400]), 200, content_type=LINES).json()
        equal((answer["created"], answer["refused"]), (400, 0))
    wait_until(lambda: ask(gateway, "GET", "/devices/bulk-01999").status == 200, "the last one is known")
    bad = lines("bulk", 1) + '{"id":"new-1"}\n{"id":"new-2","site":7}\n\nx\n{"id":"new-1","site":"twice"}\n'
    answer = ask(gateway, "POST", "/devices", bad, 200, content_type=LINES).json()
    equal((answer["lines"], answer["created"], answer["refused"]), (6, 1, 4))
    equal(sorted(row["line"] for row in answer["errors"]), [1, 3, 5, 6])
    answer = ask(gateway, "POST", "/devices?replace", '{"id":"bulk-00000","site":"moved"}\n', 200, content_type=LINES).json()
    equal((answer["created"], answer["replaced"]), (0, 1))
    wait_until(lambda: made(gateway, "/devices/bulk-00000").json()["site"] == "moved", "it is replaced")
    equal(made(gateway, "/devices/bulk-00000").json()["psk"], True)
    found, after = [], ""
    while True:
        page = ask(gateway, "GET", "/devices?site=bulk&tag=t1&limit=600" + after, expect=200, accept=LINES).body.decode()
        found += [json.loads(line) for line in page.splitlines()]
        if len(page.splitlines()) < 600:
            break
        after = "&after=" + found[-1]["id"]
    equal(len(found), 1000)
    assert not any("keys" in row for row in found)
    exported = gateway.cli("device", "export", "demo", "--wrapped-secrets").out
    equal(sum('"bulk-' in line for line in exported.splitlines()), 2000)
    assert "%032x" % 7 not in exported
    kept = "".join(line + "\n" for line in exported.splitlines() if '"bulk-0000' in line)
    ask(gateway, "DELETE", "/devices/bulk-00001", expect=204)
    result = lib.run([lib.BINARY, "device", "import", "demo", "-", "--replace", "--state-dir", gateway.folder], stdin=kept.encode(),
                     check=True)
    assert re.search(r"1 devices added, 9 replaced, 0 lines refused", result.out), result.out
    again = gateway.cli("device", "export", "demo").out
    equal(sum('"bulk-' in line for line in again.splitlines()), 2000)


def test_coap(gateway):
    """the same over CoAP with the DTLS identity of an operator"""
    ask(gateway, "PUT", "/devices/anna", {"role": "operator", "keys": [
        {"id": "psk", "kind": "psk", "hex": b"anna-has-a-key-here".hex()}]}, 201)
    made(gateway, "/devices/anna")
    who = ("demo/anna", b"anna-has-a-key-here")
    base = "coaps://127.0.0.1:%d" % gateway.coaps_port
    answer = coap_client(base + "/devices", "-m", "post", "-t", "50", "-e", '{"id":"by-coap","site":"c"}', psk=who)
    equal(answer.code, "", repr(answer))
    made(gateway, "/devices/by-coap")
    answer = coap_client(base + "/devices/by-coap/keys", "-m", "post", "-t", "50", "-e", '{"kind":"hs256","generate":true}',
                         psk=who)
    assert '"kind":"hs256"' in answer.out, repr(answer)
    answer = coap_client(base + "/devices/by-coap", "-m", "put", "-t", "50", "-e", '{"wax":1}', psk=who)
    equal(answer.code, "4.22", repr(answer))
    answer = coap_client(base + "/devices/by-coap", "-m", "put", "-t", "50", "-O", "1,0xdeadbeefdeadbeef", "-e", "{}", psk=who)
    equal(answer.code, "4.12", repr(answer))
    answer = coap_client(base + "/tokens", psk=who)
    equal(answer.code, "4.03", repr(answer))
    answer = coap_client(base + "/devices/by-coap", "-m", "delete", psk=who)
    equal(answer.code, "", repr(answer))
    wait_until(lambda: ask(gateway, "GET", "/devices/by-coap").status == 404, "it is gone")
