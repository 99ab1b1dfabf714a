# SPDX-License-Identifier: GPL-3.0-or-later
"""Administration over HTTP and CoAP: devices, keys, tokens, groups, tenants; entity tags; devices by the thousand."""
import json
import os
import re
import time

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
    # So are a raw key and a certificate name.
    for shown in {"kind": "rpk", "hex": "5a" * 32}, {"kind": "x509", "name": "keyed.example"}:
        ask(gateway, "POST", "/devices/keyed/keys", {"id": "shown", **shown}, 201)
        answer = ask(gateway, "POST", "/devices/keyed-2/keys", {"id": "shown", **shown}, 409)
        assert "keyed" not in answer.json()["detail"], answer
        ask(gateway, "PUT", "/devices/keyed-3", {"keys": [{"id": "shown", **shown}]}, 409)
        ask(gateway, "DELETE", "/devices/keyed/keys/shown", expect=204)
        ask(gateway, "POST", "/devices/keyed-2/keys", {"id": "shown", **shown}, 201)
        ask(gateway, "DELETE", "/devices/keyed-2/keys/shown", expect=204)
    for kind in "hs256", "hs256-64", "hmac", "psk":
        ask(gateway, "POST", "/devices/keyed/keys", {"id": "zero", "kind": kind, "hex": "00" * 32}, 422)
    answer = ask(gateway, "POST", "/devices/keyed/keys", {"id": "over", "kind": "psk", "generate": True, "not_after": 1000}, 422)
    equal(answer.json()["detail"], "/not_after: It is over already.")
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
    wait_until(lambda: ask(gateway, "GET", "/devices/tree?tenant=orchard", token=root).status == 200, "it is known")
    limited = people(gateway, "weir", "admin", "--sites", "hall")
    ask(gateway, "GET", "/devices/tree?tenant=orchard", expect=404, token=limited)
    ask(gateway, "PUT", "/devices/bush?tenant=orchard", {"site": "hall"}, 404, token=limited)
    ask(gateway, "GET", "/tenants", expect=404, token=limited)
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


def test_sites_bound_what_a_device_may_write(gateway):
    """who is limited to sites gives no device a right beyond them, one by one or by lines; what others gave may stay or go"""
    limited = people(gateway, "demo", "operator", "--sites", "s")
    operator = people(gateway, "demo", "operator")
    beyond = {"concentrator": True}, {"prefix": "*"}, {"prefix": "here"}, {"prefix": "w-1:2"}

    def wrong(method, path, body, member, who=limited):
        answer = ask(gateway, method, path, body, 422, token=who)
        assert answer.json()["detail"].startswith(member + ": "), answer

    for more in beyond:
        member = "/" + next(iter(more))
        wrong("PUT", "/devices/w-1", {"site": "s", **more}, member)
        wrong("POST", "/devices", {"id": "w-1", "site": "s", **more}, member)
        answer = ask(gateway, "POST", "/devices", json.dumps({"id": "w-1", "site": "s", **more}), 200, token=limited,
                     content_type=LINES).json()
        equal((answer["created"], answer["refused"]), (0, 1))
        assert answer["errors"][0]["detail"].startswith(member + ": "), answer
    ask(gateway, "PUT", "/devices/w-1", {"site": "s", "prefix": "w-1"}, 201, token=limited)
    for more in beyond:
        member = "/" + next(iter(more))
        wrong("PUT", "/devices/w-1", {"site": "s", **more}, member)
        wrong("PATCH", "/devices/w-1", more, member)
        answer = ask(gateway, "POST", "/devices?replace", json.dumps({"id": "w-1", "site": "s", **more}), 200,
                     token=limited, content_type=LINES).json()
        equal((answer["replaced"], answer["refused"]), (0, 1))
    # Somebody without sites may; then it stays, but nobody with sites gets its key.
    ask(gateway, "PATCH", "/devices/w-1", {"concentrator": True, "prefix": "*"}, 204, token=operator)
    ask(gateway, "POST", "/devices/w-1/keys", {"kind": "psk", "id": "k", "generate": True}, 201, token=operator)
    ask(gateway, "PATCH", "/devices/w-1", {"tags": "kept"}, 204, token=limited)
    ask(gateway, "PUT", "/devices/w-1", {"site": "s", "concentrator": True, "prefix": "*"}, 204, token=limited)
    key = {"kind": "psk", "id": "mine", "hex": "0102030405060708"}
    wrong("PUT", "/devices/w-1", {"site": "s", "concentrator": True, "prefix": "*", "keys": [key]}, "/keys")
    wrong("PATCH", "/devices/w-1", {"prefix": "here"}, "/prefix")
    ask(gateway, "POST", "/devices/w-1/keys", key, 403, token=limited)
    ask(gateway, "PATCH", "/devices/w-1/keys/k", {"not_after": 4000000000}, 403, token=limited)
    # Nor do they make somebody else it: by its group's key, which counts where there is no other, or by its voice.
    ask(gateway, "DELETE", "/devices/w-1/keys/k", expect=403, token=limited)
    wrong("PATCH", "/devices/w-1", {"group": "hg"}, "/group")
    wrong("PUT", "/devices/w-1", {"site": "s", "concentrator": True, "prefix": "*", "keys": []}, "/keys")
    ask(gateway, "PATCH", "/devices/w-1", {"disabled": True}, 204, token=limited)
    wrong("PATCH", "/devices/w-1", {"disabled": False}, "/disabled")
    wrong("PUT", "/devices/w-1", {"site": "s", "concentrator": True, "prefix": "*"}, "/disabled")
    for line in ({"disabled": False}, {"disabled": True, "group": "hg"}, {"disabled": True, "keys": []}):
        text = json.dumps({"id": "w-1", "site": "s", "concentrator": True, "prefix": "*", **line})
        equal(ask(gateway, "POST", "/devices?replace", text, 200, token=limited, content_type=LINES).json()["refused"], 1)
    ask(gateway, "PATCH", "/devices/w-1", {"disabled": None}, 204, token=operator)
    again = json.dumps({"id": "w-1", "site": "s", "concentrator": True, "prefix": "*"})
    equal(ask(gateway, "POST", "/devices?replace", again, 200, token=limited, content_type=LINES).json()["replaced"], 1)
    with_key = json.dumps({"id": "w-1", "site": "s", "concentrator": True, "prefix": "*", "keys": [key]})
    equal(ask(gateway, "POST", "/devices?replace", with_key, 200, token=limited, content_type=LINES).json()["replaced"], 0)
    ask(gateway, "PATCH", "/devices/w-1", {"concentrator": None, "prefix": None}, 204, token=limited)
    wrong("PATCH", "/devices/w-1", {"concentrator": True}, "/concentrator")
    ask(gateway, "POST", "/devices/w-1/keys", key, 201, token=limited)


def test_what_lies_outside_is_not_told(gateway):
    """a taken id is refused in the same words wherever the device is; a damaged record is not there for who has sites"""
    for name, site in ("o-in", "s"), ("o-out", "n"), ("o-bad", "s"):
        ask(gateway, "PUT", "/devices/" + name, {"site": site}, 201)
    gateway.redis("HSET", "weir:{demo}:dev:o-bad", "role", "king")
    operator, limited = people(gateway, "demo", "operator"), people(gateway, "demo", "operator", "--sites", "s")
    chief = people(gateway, "demo", "admin", "--sites", "s")
    text = "".join('{"id":"%s","site":"s"}\n' % name for name in ("o-in", "o-out", "o-bad"))
    answer = ask(gateway, "POST", "/devices", text, 200, token=limited, content_type=LINES).json()
    equal((answer["refused"], len({row["detail"] for row in answer["errors"]})), (3, 1))
    replaced = ask(gateway, "POST", "/devices?replace", text, 200, token=limited, content_type=LINES).json()
    equal((replaced["replaced"], [row["line"] for row in replaced["errors"]]), (1, [2, 3]))
    equal({row["detail"] for row in replaced["errors"]}, {answer["errors"][0]["detail"]})
    for token in limited, chief:
        for method, body in (("DELETE", None), ("PATCH", {}), ("PUT", {"site": "s"})):
            ask(gateway, method, "/devices/o-bad", body, 404, token=token)
        ask(gateway, "POST", "/devices", {"id": "o-bad", "site": "s"}, 404, token=token)
        ask(gateway, "GET", "/devices/o-bad/keys", expect=404, token=token)
    ask(gateway, "DELETE", "/devices/o-bad", expect=403, token=operator)
    ask(gateway, "PUT", "/devices/o-bad", {}, 500)
    ask(gateway, "DELETE", "/devices/o-bad", expect=204)


def test_an_id_without_a_record_that_lies_outside(gateway):
    """who has sites makes no record of an id that has spoken, that counts, or that a group of other sites has"""
    limited, operator = people(gateway, "demo", "operator", "--sites", "s"), people(gateway, "demo", "operator")
    for group, site in ("x-other", "n"), ("x-none", ""), ("x-mine", "s"):
        answer = ask(gateway, "POST", "/groups", {"id": group, "pattern": group + "-*", "site": site}, 201)
        gateway.secrets.append(answer.json()["hex"])
    coap_client("coap://127.0.0.1:%d/obs?d=spoke-1" % gateway.coap_port, "-m", "post", "-t", "110",
                "-e", '[{"n":"early","v":21.5}]')
    coap_client("coap://127.0.0.1:%d/obs?d=x-mine-2" % gateway.coap_port, "-m", "post", "-t", "110",
                "-e", '[{"n":"early","v":21.5}]')
    for name in "spoke-1", "x-mine-2":
        wait_until(lambda: b"early" in ask(gateway, "GET", "/obs?d=" + name, token=operator).body, name + " has spoken")
        ask(gateway, "GET", "/obs?d=" + name, expect=404, token=limited)
    gateway.redis("HSET", "weir:{demo}:total:counts-1", "energy", "x")
    foreign = ["spoke-1", "counts-1", "x-other-5", "x-none-5", "x-mine-2"]
    key = {"keys": [{"id": "own", "kind": "hs256", "hex": "7a" * 32}]}
    ask(gateway, "PUT", "/devices/taken", {"site": "n"}, 201)
    words = {ask(gateway, "POST", "/devices", {"id": "taken", "site": "s"}, 404, token=limited).body}
    for name in foreign:
        words.add(ask(gateway, "POST", "/devices", {"id": name, "site": "s", **key}, 404, token=limited).body)
        ask(gateway, "PUT", "/devices/" + name, {"site": "s"}, 404, token=limited)
        ask(gateway, "PUT", "/devices/" + name, {"site": "s"}, 404, token=limited, none_match="*")
    equal(len(words), 1)
    text = "".join('{"id":"%s","site":"s"}\n' % name for name in foreign + ["taken"])
    for path in "/devices", "/devices?replace":
        answer = ask(gateway, "POST", path, text, 200, token=limited, content_type=LINES).json()
        equal((answer["created"], answer["refused"], {row["detail"] for row in answer["errors"]}),
              (0, len(foreign) + 1, {"The id is taken."}))
    ask(gateway, "GET", "/obs?d=spoke-1", expect=404, token=limited)
    # Of their own group, and new ones, they make; who has no sites makes any.
    ask(gateway, "POST", "/devices", {"id": "x-mine-1", "site": "s"}, 201, token=limited)
    ask(gateway, "PUT", "/devices/x-new", {"site": "s", **key}, 201, token=limited)
    text = '{"id":"x-mine-3","site":"s"}\n{"id":"x-newer","site":"s"}\n'
    equal(ask(gateway, "POST", "/devices", text, 200, token=limited, content_type=LINES).json()["created"], 2)
    for name in foreign:
        ask(gateway, "POST", "/devices", {"id": name, "site": "s"}, 201, token=operator)
    made(gateway, "/devices/spoke-1", limited)


def test_a_new_id_takes_nothing_from_what_lies_outside(gateway):
    """who has sites makes no id below one of another site, nor the same in other letters, nor one of another's batch"""
    limited, operator = people(gateway, "demo", "operator", "--sites", "s"), people(gateway, "demo", "operator")
    for name, site in ("pump", "n"), ("abcd12", "n"), ("lamp", "s"), ("urn:dev:mac:0001", ""), ("hub", "n"):
        ask(gateway, "PUT", "/devices/" + name, {"site": site, "concentrator": name == "hub"}, 201)
    gateway.cli("batch", "add", "demo/nb", "--approve=auto", "--pattern=nb-*", "--site=n")
    gateway.cli("batch", "add", "demo/any", "--approve=auto", "--site=n")
    foreign = ["pump:inlet", "pump-2", "pump_a.b", "ABCD12", "urn:dev:mac:0001:temp", "nb-77"]
    for name in foreign:
        equal(ask(gateway, "POST", "/devices", {"id": name, "site": "s"}, 404, token=limited).json()["status"], 404)
        ask(gateway, "PUT", "/devices/" + name, {"site": "s"}, 404, token=limited)
    text = "".join('{"id":"%s","site":"s"}\n' % name for name in foreign)
    for path in "/devices", "/devices?replace":
        answer = ask(gateway, "POST", path, text, 200, token=limited, content_type=LINES).json()
        equal((answer["created"], {row["detail"] for row in answer["errors"]}), (0, {"The id is taken."}))
    for name in "lamp:left", "pump2", "urn:dev:mac:0002", "abcd1":
        ask(gateway, "POST", "/devices", {"id": name, "site": "s"}, 201, token=limited)
    # So what a concentrator brings stays with whose it was.
    speaker = gateway.add_token("--tenant", "demo", "--device", "hub")
    body = '[{"n":"pump:inlet:temp","v":1}]'
    wait_until(lambda: ask(gateway, "POST", "/obs", body, token=speaker, content_type="application/senml+json").status == 204,
               "the concentrator is heard")
    wait_until(lambda: ("pump", "inlet:temp") in {(entry["d"], entry["n"]) for entry in gateway.observations(tenant="demo")} or
               ("pump", "pump:inlet:temp") in {(entry["d"], entry["n"]) for entry in gateway.observations(tenant="demo")},
               "it is the pump's")
    for name in foreign:
        ask(gateway, "POST", "/devices", {"id": name, "site": "s"}, 201, token=operator)


def test_a_record_made_anew_tells_nothing_of_the_one_before(gateway):
    """what an id did before its record was made is not in its log for who has sites, and its values keep them from it"""
    limited, operator = people(gateway, "demo", "operator", "--sites", "s"), people(gateway, "demo", "operator")
    ask(gateway, "PUT", "/devices/old-7", {"site": "n"}, 201)

    def speaks():
        token = gateway.add_token("--tenant", "demo", "--device", "old-7")
        return lambda path, body: ask(gateway, "POST", path, body, token=token, content_type="application/senml+json").status

    heard = speaks()
    wait_until(lambda: heard("/obs?d=other", '[{"n":"level","v":1}]') == 403, "it is refused")
    wait_until(lambda: len(ask(gateway, "GET", "/devices/old-7/log", token=operator).json()["log"]) > 0, "the log has it")
    ask(gateway, "DELETE", "/devices/old-7", expect=204)
    wait_until(lambda: ask(gateway, "GET", "/devices/old-7", token=operator).status == 404, "it is gone")
    time.sleep(1.1)  # a log has fractions of seconds, a record has none
    ask(gateway, "POST", "/devices", {"id": "old-7", "site": "s"}, 201, token=limited)
    made(gateway, "/devices/old-7", limited)
    equal(ask(gateway, "GET", "/devices/old-7/log", None, 200, token=limited).json()["log"], [])
    assert ask(gateway, "GET", "/devices/old-7/log", None, 200, token=operator).json()["log"]
    heard = speaks()
    time.sleep(1.1)
    wait_until(lambda: heard("/obs?d=other", '[{"n":"level","v":1}]') == 403, "it is refused again")
    wait_until(lambda: ask(gateway, "GET", "/devices/old-7/log", token=limited).json()["log"], "what it does now is there")
    wait_until(lambda: heard("/obs", '[{"n":"level","v":77}]') == 204, "it is heard")
    wait_until(lambda: b"77" in ask(gateway, "GET", "/obs?d=old-7", token=operator).body, "its value is there")
    ask(gateway, "DELETE", "/devices/old-7", expect=204)
    wait_until(lambda: ask(gateway, "GET", "/devices/old-7", token=operator).status == 404, "it is gone again")
    ask(gateway, "POST", "/devices", {"id": "old-7", "site": "s"}, 404, token=limited)


def test_times_are_not_for_who_has_sites(gateway):
    """an admin with sites, also one of the admin tenant, does not say when a device or a key was made"""
    gateway.cli("tenant", "add", "weir", check=False)
    line = {"site": "s", "created": 5, "keys": [{"id": "x", "kind": "x509", "name": "times.example", "created": 1}]}
    for tenant, more, device, key in (("weir", ["--sites", "s"], False, False), ("weir", [], True, True),
                                      ("demo", ["--sites", "s"], False, False), ("demo", [], True, False)):
        token = people(gateway, tenant, "admin", *more)
        for name, path, body in (("t-one", "/devices", dict(line, keys=[])), ("t-line", "/devices?replace", line)):
            text = json.dumps({"id": name, **body})
            ask(gateway, "POST", path, text, 201 if name == "t-one" else 200, token=token,
                content_type=JSON if name == "t-one" else LINES)
            record = gateway.redis("HGETALL", "weir:{%s}:dev:%s" % (tenant, name))
            record = dict(zip(record[::2], record[1::2]))
            equal((name, record[b"created"] == b"5"), (name, device))
            if name == "t-line":
                equal(record[b"key:x"].split()[1] == b"1", key, record[b"key:x"])
            gateway.cli("device", "remove", tenant + "/" + name)


def test_a_backup_is_restored_over_what_became_of_it(gateway):
    """keys that devices have exchanged since go back to where they were, next to each other and a batch apart"""
    gateway.cli("tenant", "add", "swap")
    token = people(gateway, "swap", "operator")
    names = ["a", "b"] + ["pad%03d" % i for i in range(140)] + ["z"]
    text = "".join(json.dumps({"id": name, "keys": [{"id": "r", "kind": "rpk", "hex": "%064x" % (i + 1)},
                                                    {"id": "h", "kind": "psk", "hex": "%032x" % (i + 1)}]}) + "\n"
                   for i, name in enumerate(names))
    equal(ask(gateway, "POST", "/devices", text, 200, token=token, content_type=LINES).json()["created"], len(names))
    backup = gateway.cli("device", "export", "swap", "--wrapped-secrets").out
    raw = {name: "%064x" % (i + 1) for i, name in enumerate(names)}
    for one, other in ("a", "b"), ("b", "z"):
        for name in one, other:
            ask(gateway, "DELETE", "/devices/%s/keys/r" % name, expect=204, token=token)
        raw[one], raw[other] = raw[other], raw[one]
        for name in one, other:
            ask(gateway, "POST", "/devices/%s/keys" % name, {"id": "r", "kind": "rpk", "hex": raw[name]}, 201, token=token)
    assert gateway.cli("device", "export", "swap", "--wrapped-secrets").out != backup
    answer = ask(gateway, "POST", "/devices?replace", backup, 200, token=people(gateway, "swap", "admin"), content_type=LINES)
    equal((answer.json()["replaced"], answer.json()["errors"]), (len(names), []))

    def shown():
        text = gateway.cli("device", "export", "swap", "--wrapped-secrets").out
        return {row["id"]: key["hex"] for row in map(json.loads, text.splitlines()) for key in row["keys"] if key["id"] == "r"}

    equal(shown(), {name: "%064x" % (i + 1) for i, name in enumerate(names)})
    with open(os.path.join(gateway.folder, "backup"), "w", encoding="utf-8") as file:
        file.write(backup)
    gateway.cli("device", "import", "swap", file.name, "--replace")

    def bare(text):
        rows = [json.loads(line) for line in text.splitlines()]
        for row in rows:
            for key in row["keys"]:
                key.pop("sealed", None)  # with a fresh nonce each time
        return rows

    assert bare(gateway.cli("device", "export", "swap", "--wrapped-secrets").out) == bare(backup), "it is the backup again"


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


def test_an_import_that_ends_half_way(gateway):
    """what was written before it failed is told and in the audit"""
    gateway.redis("SET", "weir:{demo}:dev:half-no", "no hash")
    text = "".join('{"id":"half-%d"}\n' % i for i in range(128)) + '{"id":"half-no"}\n'
    answer = ask(gateway, "POST", "/devices", text, content_type=LINES)
    assert answer.status >= 500, answer
    assert "128 devices were made and 0 replaced" in answer.json()["detail"], answer
    newest = ask(gateway, "GET", "/audit?limit=1", expect=200).json()["audit"][0]
    equal((newest["action"], newest["object"]), ("import", "device"))
    gateway.redis("DEL", "weir:{demo}:dev:half-no")
    made(gateway, "/devices/half-127")


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


def test_location(gateway):
    """201 of a POST says where what was made is, and it is there; also in the tenant that the query named"""
    gateway.cli("tenant", "add", "weir", check=False)
    root = people(gateway, "weir", "admin")

    def follow(path, body, where, token=None):
        answer = ask(gateway, "POST", path, body, 201, token=token)
        for secret in "hex", "token":
            if answer.body and secret in answer.json():
                gateway.secrets.append(answer.json()[secret])
        equal(answer.headers["location"], where or "/tokens/" + answer.json()["id"])
        made(gateway, answer.headers["location"], token)
    follow("/devices", {"id": "loc-1"}, "/devices/loc-1")
    follow("/devices/loc-1/keys", {"kind": "psk", "generate": True, "id": "k1"}, "/devices/loc-1/keys/k1")
    follow("/groups", {"id": "loc", "pattern": "loc-*"}, "/groups/loc")
    follow("/tokens", {"role": "viewer"}, None)
    follow("/devices?tenant=demo", {"id": "loc-2"}, "/devices/loc-2?tenant=demo", root)
    answer = ask(gateway, "PUT", "/devices/loc-3", {}, 201)
    assert "location" not in answer.headers
    assert "location" not in ask(gateway, "POST", "/devices", {"id": "loc-1"}, 409).headers
