# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarative codecs in the running gateway: added by CLI and PUT, used at once, refused, quarantined, released."""
import json
import os
import re

import coap
import lib
from lib import curl, equal, wait_until

WORKERS = (2,)
OCTETS = "application/octet-stream"


def definition(name, value="27.2", **more):
    return json.dumps({
        "name": name,
        "kind": "binary",
        "fields": [{"name": "temp", "type": "i16", "scale": 0.1, "unit": "Cel"}],
        "examples": [{"input": "0110", "senml": [{"n": "temp", "u": "Cel", "v": float(value)}]}],
        **more,
    })


def url(gateway, path):
    return "http://127.0.0.1:%d%s" % (gateway.http_port, path)


def ask(gateway, path, *options, token=None, **more):
    return curl(url(gateway, path), *options, token=token or gateway.operator_token, **more)


def put(gateway, name, text, *options, expect=None, **more):
    answer = ask(gateway, "/codecs/" + name, *options, method="PUT", data=text,
                 **{"content_type": "application/json", **more})
    if expect:
        equal(answer.status, expect, repr(answer))
    return answer


def row(gateway, name):
    answer = ask(gateway, "/codecs")
    equal(answer.status, 200, repr(answer))
    return next((codec for codec in answer.json()["codecs"] if codec["name"] == name), None)


def state(gateway, name):
    found = row(gateway, name)
    return found and found["state"]


def wait_state(gateway, name, wanted):
    wait_until(lambda: state(gateway, name) == wanted, "%s is %s" % (name, wanted))


def add_device(gateway, device, codec):
    """Its token; waits until the gateway knows it."""
    gateway.add_device("demo/" + device, None, "--profile", codec)
    token = gateway.add_token("--tenant", "demo", "--device", device)
    wait_until(lambda: curl(url(gateway, "/obs"), token=token).status == 200, "the token is known")
    return token


def post(gateway, token, payload, content_type=OCTETS):
    return curl(url(gateway, "/obs"), token=token, data=payload, content_type=content_type)


def write(gateway, text):
    path = os.path.join(gateway.folder, "definition.json")
    with open(path, "w") as file:
        file.write(text)
    return path


def test_cli(gateway):
    """weir codec: check, add, list, show, remove; a definition that does not hold is refused with its place"""
    bad, good = write(gateway, definition("by-cli", "27.3")), None
    for command in (("check", bad), ("add", "demo", bad)):
        result = gateway.cli("codec", *command, check=False)
        equal(result.status, 1, repr(result))
        assert re.search(r"definition\.json: /examples/0\S*: .*27\.", result.err), result
    equal(state(gateway, "by-cli"), None)
    good = write(gateway, definition("by-cli"))
    assert "its example holds" in gateway.cli("codec", "check", good).out
    gateway.cli("codec", "add", "demo", good)
    wait_state(gateway, "by-cli", "active")
    equal(gateway.cli("codec", "add", "demo", good, check=False).status, 1)
    gateway.cli("codec", "add", "demo", good, "--replace")
    assert re.search(r"(?m)^by-cli +binary +active +examples=1$", gateway.cli("codec", "list", "demo").out)
    equal(gateway.cli("codec", "show", "demo/by-cli").out, definition("by-cli") + "\n")
    gateway.cli("codec", "remove", "demo/by-cli")
    wait_until(lambda: state(gateway, "by-cli") is None, "it is gone")
    equal(gateway.cli("codec", "remove", "demo/by-cli", check=False).status, 1)


def test_decode(gateway):
    """weir decode: fields with their places, then SenML; refused bytes end with 1"""
    path = write(gateway, definition("offline"))

    def decode(stdin, *arguments):
        return lib.run([lib.BINARY, "decode", *arguments], stdin=stdin)

    for stdin, more in ((b"\x01\x10", ()), (b"01 10\n", ("--hex",))):
        result = decode(stdin, "--codec", path, "--now", "1763692800", *more)
        equal(result.status, 0, repr(result))
        assert re.search(r"(?m)^0-1 +temp +.*272.* 27\.2 +Cel", result.out), result
        equal(json.loads(result.out.splitlines()[-1]), [{"n": "temp", "u": "Cel", "v": 27.2, "t": 1763692800}])
    result = decode(b"\x01", "--codec", path)
    equal(result.status, 1)
    assert re.search(r"^weir decode: \S+: .*octet \d", result.err), result
    result = decode(b'[{"n":"x","v":1}]', "--format", "senml-json")
    equal((result.status, json.loads(result.out)[0]["n"]), (0, "x"))
    equal(decode(b"", "--format", "nothing").status, 2)
    equal(decode(b"", "--codec", path + "-not-there").status, 2)


def test_put(gateway):
    """PUT, GET, DELETE /codecs/NAME: examples are tried first, entity tags and preconditions are honoured"""
    answer = put(gateway, "by-put", definition("by-put", "27.3"), expect=422)
    equal(answer.headers["content-type"], "application/problem+json")
    assert re.search(r"^/examples/0\S*: .*27\.", answer.json()["detail"]), answer
    assert put(gateway, "by-put", definition("other"), expect=422).json()["detail"].startswith("/name: "), answer
    assert "detail" in put(gateway, "by-put", '{"name":"\x1b\\u001b[2J"', expect=422).json()
    equal(state(gateway, "by-put"), None)

    etag = put(gateway, "by-put", definition("by-put"), "-H", "If-None-Match: *", expect=201).headers["etag"]
    wait_state(gateway, "by-put", "active")
    equal(row(gateway, "by-put"), {"name": "by-put", "kind": "binary", "state": "active", "reason": "", "examples": 1,
                                   "failures": 0})
    answer = ask(gateway, "/codecs/by-put")
    equal((answer.status, answer.headers["etag"], answer.body.decode()), (200, etag, definition("by-put")))
    equal(ask(gateway, "/codecs/by-put", "-H", "If-None-Match: " + etag).status, 304)

    changed = definition("by-put", description="changed")
    put(gateway, "by-put", changed, "-H", "If-None-Match: *", expect=412)
    put(gateway, "by-put", changed, "-H", 'If-Match: "0123456789abcdef"', expect=412)
    put(gateway, "nothing", definition("nothing"), "-H", "If-Match: *", expect=412)
    equal(put(gateway, "by-put", changed, "-H", "If-Match: " + etag, expect=204).headers["etag"] == etag, False)
    equal(ask(gateway, "/codecs/by-put", "-H", "If-Match: " + etag, method="DELETE").status, 412)
    equal(ask(gateway, "/codecs/by-put", method="DELETE").status, 204)
    equal(ask(gateway, "/codecs/by-put", method="DELETE").status, 404)
    wait_until(lambda: ask(gateway, "/codecs/by-put").status == 404, "it is gone")


def test_refused_requests(gateway):
    """not an operator, too large, no JSON, no name: refused before anything is looked at"""
    text = definition("refused")
    equal(put(gateway, "refused", text, token=gateway.device_token).status, 403)
    equal(curl(url(gateway, "/codecs")).status, 401)
    put(gateway, "refused", text[:-1] + " " * 33000 + "}", expect=413)
    put(gateway, "refused", text, content_type="text/plain", expect=415)
    put(gateway, "Refused", text, expect=400)
    equal(ask(gateway, "/codecs/refused").status, 404)
    equal(ask(gateway, "/codecs/refused/release", method="POST").status, 404)
    answer = ask(gateway, "/codecs/refused", method="POST")
    equal((answer.status, "PUT" in answer.headers["allow"]), (405, True))
    with coap.Peer(gateway.coap_port) as peer:
        equal(peer.ask(coap.request(coap.GET, "/codecs")).code_text, "4.03")


def test_messages(gateway):
    """a device whose profile names the codec posts octets over HTTP and CoAP; a new definition is used at once"""
    put(gateway, "th", definition("th"), expect=201)
    wait_state(gateway, "th", "active")
    token = add_device(gateway, "th-1", "th")
    for content_type in (OCTETS, None):
        equal(post(gateway, token, b"\x01\x10", content_type).status, 204)
    with coap.Peer(gateway.coap_port) as peer:
        for content_format in (42, None):
            answer = peer.ask(coap.request(coap.POST, "/obs", query=["d=th-1"], format=content_format,
                                           payload=b"\xff\x9c"))
            equal(answer.code_text, "2.04", repr(answer))
    found = gateway.observations(device="th-1")
    equal([(entry["n"], entry["u"], entry["v"]) for entry in found],
          [("temp", "Cel", "27.2")] * 2 + [("temp", "Cel", "-10")] * 2)
    changed = definition("th").replace('"temp"', '"inside"')
    put(gateway, "th", changed, expect=204)

    def uses_new_name():
        equal(post(gateway, token, b"\x01\x10").status, 204)
        return gateway.observations(device="th-1", name="inside")
    wait_until(uses_new_name, "the new definition is used")


def test_quarantine(gateway):
    """three messages in a row that cannot be read put a codec aside, kept and told; others go on; released it is used"""
    for name in ("fragile", "sturdy"):
        put(gateway, name, definition(name), expect=201)
        wait_state(gateway, name, "active")
    weak, strong = add_device(gateway, "weak", "fragile"), add_device(gateway, "strong", "sturdy")
    equal(post(gateway, weak, b"\x01\x10").status, 204)
    for _ in range(3):
        answer = post(gateway, weak, b"\x07")
        assert answer.status in (400, 422) and answer.json()["detail"], answer
    wait_state(gateway, "fragile", "quarantined")
    found = row(gateway, "fragile")
    assert found["failures"] == 3 and "Failed in a row" in found["reason"], found

    answer = post(gateway, weak, b"\x01\x10")
    equal((answer.status, answer.headers["retry-after"]), (503, "60"), repr(answer))
    equal(answer.json()["type"], "urn:weir:problem:codec-quarantined")
    with coap.Peer(gateway.coap_port) as peer:
        answer = peer.ask(coap.request(coap.POST, "/obs", query=["d=weak"], payload=b"\x01\x11"))
        equal((answer.code_text, answer.option(coap.MAX_AGE)), ("5.03", b"\x3c"))
    equal(post(gateway, strong, b"\x01\x10").status, 204)
    equal(post(gateway, weak, '[{"n":"other","v":1}]', "application/senml+json").status, 204)

    kept = gateway.cli("codec", "quarantined", "demo", "--count", "2").out
    for part in (r"^  0111$", r"^  0110$", r" device=weak codec=fragile outcome=codec-quarantined ", r" ct=42 ", r" length=2$"):
        assert re.search("(?m)" + part, kept), kept
    kept = gateway.cli("codec", "quarantined", "demo").out
    equal(len(re.findall(r"(?m) device=weak .*length=1\n  .*\n  07$", kept)), 3, kept)
    assert gateway.metric("weir_codec_failures_total") >= 3
    assert gateway.metric("weir_quarantine_messages_total", 'result="kept"') >= 5
    assert re.search(r"(?m)^fragile +binary +quarantined .*reason: Failed", gateway.cli("codec", "list", "demo").out)

    equal(ask(gateway, "/codecs/fragile/release", method="POST").status, 204)
    wait_state(gateway, "fragile", "active")
    equal(post(gateway, weak, b"\x01\x10").status, 204)
    equal(len(gateway.observations(device="weak", name="temp")), 2)


def test_one_hostile_device(gateway):
    """one device of several cannot put a codec aside, neither by its profile nor by the query"""
    put(gateway, "shared", definition("shared"), expect=201)
    wait_state(gateway, "shared", "active")
    for _ in range(5):
        assert curl(url(gateway, "/obs?format=shared"), token=gateway.device_token, data=b"\x07",
                    content_type=OCTETS).status in (400, 422)
    good, bad = add_device(gateway, "good", "shared"), add_device(gateway, "bad", "shared")
    equal(post(gateway, good, b"\x01\x10").status, 204)
    for _ in range(10):
        assert post(gateway, bad, b"\x07").status in (400, 422)
    equal(post(gateway, good, b"\x01\x10").status, 204)
    found = row(gateway, "shared")
    equal((found["state"], found["failures"]), ("active", 15))


def test_witnesses(gateway):
    """who was read is remembered with the definition: a gateway that never heard of it is not fooled by the hostile one"""
    put(gateway, "proven", definition("proven"), expect=201)
    wait_state(gateway, "proven", "active")
    good, bad = add_device(gateway, "proven-good", "proven"), add_device(gateway, "proven-bad", "proven")

    def witnesses():
        return (gateway.redis("HGET", "weir:{demo}:codec:proven", "witnesses") or b"").decode()

    equal(curl(url(gateway, "/obs?format=proven"), token=gateway.device_token, data=b"\x01\x10", content_type=OCTETS).status, 204)
    equal(post(gateway, good, b"\x01\x10").status, 204)
    wait_until(lambda: witnesses() == "proven-good", "the witness is written")
    with lib.Gateway(demo=False, workers=1, redis=gateway.redis_address) as other:
        other.operator_token = gateway.operator_token
        wait_until(lambda: curl(url(other, "/obs"), token=bad).status == 200, "the token is known")
        for _ in range(6):
            assert post(other, bad, b"\x07").status in (400, 422)
        equal(state(other, "proven"), "active")
        equal(post(other, good, b"\x01\x10").status, 204)
        equal(post(other, bad, b"\x01\x10").status, 204)
        wait_until(lambda: witnesses() == "proven-good,proven-bad", "the second one")
    put(gateway, "proven", definition("proven", description="another one"), expect=204)
    equal(witnesses(), "")


def test_trial(gateway):
    """whoever tries a codec by query neither keeps it nor puts it aside"""
    put(gateway, "tried", definition("tried"), expect=201)
    wait_state(gateway, "tried", "active")
    token = add_device(gateway, "tried-1", "tried")

    def trial(payload):
        return curl(url(gateway, "/obs?format=tried"), token=gateway.device_token, data=payload, content_type=OCTETS).status

    equal(trial(b"\x01\x10"), 204)
    for _ in range(3):
        assert trial(b"\x07") in (400, 422)
        assert post(gateway, token, b"\x07").status in (400, 422)
        equal(trial(b"\x01\x10") in (204, 503), True)
    wait_state(gateway, "tried", "quarantined")


def test_two_gateways(gateway):
    """what one gateway is told or finds out holds on the other one"""
    with lib.Gateway(demo=False, workers=1, redis=gateway.redis_address) as other:
        for name in ("psk_identity", "psk", "device_token", "operator_token"):
            setattr(other, name, getattr(gateway, name))
        put(other, "both", definition("both"), expect=201)
        wait_state(gateway, "both", "active")
        equal(ask(gateway, "/codecs/both").headers["etag"], ask(other, "/codecs/both").headers["etag"])
        token = add_device(gateway, "both-1", "both")
        wait_until(lambda: curl(url(other, "/obs"), token=token).status == 200, "the token is known")
        equal(post(other, token, b"\x01\x10").status, 204)
        for _ in range(3):
            post(gateway, token, b"\x07")
        wait_state(other, "both", "quarantined")
        equal(post(other, token, b"\x01\x10").status, 503)
        other.cli("codec", "release", "demo/both")
        for one in (gateway, other):
            wait_state(one, "both", "active")
            equal(post(one, token, b"\x01\x10").status, 204)


def test_broken(gateway):
    """a definition that this program cannot use is there as broken, and its messages are kept"""
    gateway.redis("HSET", "weir:{demo}:codec:broken", "definition", definition("broken", "1"), "created", "1")
    gateway.redis("SADD", "weir:{demo}:codecs", "broken")
    gateway.redis("XADD", "weir:changes", "*", "o", "codec", "t", "demo", "d", "broken")
    wait_state(gateway, "broken", "broken")
    assert row(gateway, "broken")["reason"], row(gateway, "broken")
    token = add_device(gateway, "broken-1", "broken")
    equal(post(gateway, token, b"\x01\x10").status, 503)
    assert "device=broken-1" in gateway.cli("codec", "quarantined", "demo", "--count", "1").out
    assert re.search(r"(?m)^broken +binary +broken ", gateway.cli("codec", "list", "demo").out)


def test_parameters_that_are_taken(gateway):
    """a codec that reads what is said to weir is not taken; one that was is used as before"""
    taken = definition("levels", parameters=[{"parameter": "level", "name": "level", "hidden": True}])
    for command in (("check",), ("add", "demo")):
        refused = gateway.cli("codec", *command, write(gateway, taken), check=False)
        equal(refused.status, 1, repr(refused))
        assert "/parameters/0/parameter: level says" in refused.err, refused
    assert "/parameters/0/parameter: level says" in put(gateway, "levels", taken, expect=422).json()["detail"]
    gateway.redis("HSET", "weir:{demo}:codec:levels", "definition", taken, "created", "1")
    gateway.redis("SADD", "weir:{demo}:codecs", "levels")
    gateway.redis("XADD", "weir:changes", "*", "o", "codec", "t", "demo", "d", "levels")
    wait_state(gateway, "levels", "active")
    token = add_device(gateway, "levels-1", "levels")
    equal(post(gateway, token, b"\x01\x10").status, 204)


def test_store_away(gateway):
    """without Redis changes are refused, and what is known is still used"""
    with lib.RedisServer() as redis, lib.Gateway(workers=1, redis=redis.address) as lonely:
        put(lonely, "away", definition("away"), expect=201)
        token = add_device(lonely, "away-1", "away")
        redis.kill()
        answer = put(lonely, "away", definition("away"))
        equal((answer.status, answer.json()["type"]), (503, "urn:weir:problem:store-away"))
        assert int(answer.headers["retry-after"]) > 0
        equal(ask(lonely, "/codecs").status, 503)
        equal(ask(lonely, "/codecs/away").status, 200)
        equal(post(lonely, token, b"\x01\x10").status, 204)
        redis.start()
        wait_until(lambda: put(lonely, "away", definition("away")).status == 204, "Redis is back")
