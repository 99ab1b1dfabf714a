# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that say themselves who they are from: JWS, COSE and the envelope, over every wire, and all that is refused."""
import copy
import hmac
import http.client
import itertools
import json
import os
import re
import time

import cbor
import coap
import lib
import signing
from lib import curl, equal

WORKERS = (2,)
# Only that network is mapped: from elsewhere plain CoAP is a stranger's.
SETTINGS = {"map_network": "127.0.9.0/24=demo"}
JOSE, JOSE_JSON, MAC0, SIGN1 = 65000, 65001, 17, 18
MEDIA = {JOSE: "application/jose", JOSE_JSON: "application/jose+json",
         MAC0: 'application/cose; cose-type="cose-mac0"', SIGN1: 'application/cose; cose-type="cose-sign1"',
         coap.JSON: "application/json"}

names = ("sig-%d" % i for i in itertools.count(1))
sources = ("127.1.%d.%d" % (i // 250, i % 250 + 1) for i in itertools.count())
seqs = itertools.count(1)


class Device:
    """A device with one key of each kind, put into Redis as the gateway keeps it."""

    def __init__(self, gateway, *options):
        self.gateway, self.id = gateway, next(names)
        self.psk = gateway.add_device("demo/" + self.id, None, *options)
        self.keys = {kind.kind: kind() for kind in
                     (signing.Es256, signing.Eddsa, signing.Hs256, signing.Hs256Short, signing.Hmac)}
        redis = gateway.redis
        for kind, key in self.keys.items():
            redis("HSET", "weir:{demo}:dev:" + self.id, "key:" + self.kid(kind), "%s 1 0 0 %s" % (kind, key.material.hex()))
        redis("XADD", "weir:changes", "*", "o", "device", "t", "demo", "d", self.id)
        self.wait_known()

    def wait_known(self):
        lib.wait_until(lambda: send(self.gateway, self.jws("hs256", "[]"), JOSE).code_text == "4.00", "the keys are known")

    def kid(self, kind):
        return "%s-%s" % (self.id, kind)

    def jws(self, kind, payload, **more):
        return signing.jws(self.keys[kind], self.kid(kind), payload, **more)

    def cose(self, kind, payload, **more):
        return signing.cose(self.keys[kind], self.kid(kind), payload, **more)

    def envelope(self, **payload):
        return signing.envelope(self.keys["hmac"], payload)


def send(gateway, body, format, query=("t=demo",), source=None, options=()):
    with coap.Peer(gateway.coap_port, source=source or next(sources)) as peer:
        return peer.ask(coap.request(coap.POST, "/obs", query, options, body, format))


def send_http(gateway, body, format, query="t=demo&level", token=None):
    return curl("http://127.0.0.1:%d/obs?%s" % (gateway.http_port, query), token=token, data=body,
                content_type=MEDIA[format])


def pack(value, **fields):
    return json.dumps([{"n": "temp", "v": value, **fields}])


def stored(gateway, device, value=None):
    return [entry for entry in gateway.observations(device.id) if value is None or entry["v"] == str(value)]


def forms(device, value):
    """Every form and algorithm with a sequence of its own: (what the stream says, body, Content-Format)."""
    seq = lambda: {"seq": [1, next(seqs)]}
    rows = [("jws:" + device.kid(kind), device.jws(kind, pack(value), **seq()), JOSE) for kind in ("hs256", "es256", "eddsa")]
    rows.append(("jws:" + device.kid("es256"), signing.jws_json(device.jws("es256", pack(value), **seq())), JOSE_JSON))
    rows.append(("jws:" + device.kid("hs256"), signing.jws_json(device.jws("hs256", pack(value), **seq()), True), JOSE_JSON))
    rows += [("cose:" + device.kid(kind), device.cose(kind, pack(value), **seq()), format)
             for kind, format in (("hs256", MAC0), ("hs256-64", MAC0), ("es256", SIGN1), ("eddsa", SIGN1))]
    return rows


def test_every_form_over_plain_coap_and_http(gateway):
    """JWS, COSE with every algorithm: a stranger's datagram and a request without a token are stored, with the key's name"""
    device = Device(gateway)
    expected = []
    for evidence, body, format in forms(device, 21.5):
        equal(send(gateway, body, format).code_text, "2.04", evidence)
        expected.append(evidence)
    for evidence, body, format in forms(device, 21.5):
        equal(send_http(gateway, body, format).status, 200, evidence)
        expected.append(evidence)
    entries = stored(gateway, device)
    equal(sorted(entry["a"] for entry in entries), sorted(expected))
    equal({(entry["d"], entry["n"], entry["b"]) for entry in entries}, {(device.id, "temp", "")})


def test_said_in_other_words(gateway):
    """the tenant in kid, JSON with f=jws, a CBOR payload, COSE without a tag, the sequence inside, an envelope"""
    device = Device(gateway)
    key, now = device.keys["hs256"], time.time()
    in_kid = signing.jws(key, "demo/" + device.kid("hs256"), pack(1), seq=[1, next(seqs)])
    rows = [
        (in_kid, JOSE, ()),
        (signing.jws_json(in_kid), coap.JSON, ("f=jws",)),
        (device.jws("hs256", pack(3, epoch=1, seq=next(seqs))), JOSE, ("t=demo",)),
        (device.jws("hs256", cbor.dumps([{0: "temp", 2: 4}]), cty="application/senml+cbor", seq=[1, next(seqs)]), JOSE,
         ("t=demo",)),
        (device.cose("es256", cbor.dumps([{0: "temp", 2: 5}]), content_format=112, seq=[1, next(seqs)], tagged=False),
         SIGN1, ("t=demo",)),
        (device.cose("es256", pack(6), seq=[1, next(seqs)]), coap.CBOR, ("t=demo", "f=cose")),
        (device.jws("es256", pack(7, t=now)), JOSE, ("t=demo", "d=" + device.id)),
        (device.envelope(temp=8, ts=int(now), ts_ns=5), coap.JSON, ("t=demo", "d=" + device.id, "f=hmac")),
    ]
    for body, format, query in rows:
        answer = send(gateway, body, format, query)
        equal(answer.code_text, "2.04", repr((body[:60], answer.payload)))
    equal(sorted(entry["v"] for entry in stored(gateway, device)), ["1", "3", "4", "5", "6", "7", "8"])
    equal(stored(gateway, device, 8)[0]["a"], "hmac:" + device.kid("hmac"))


def dtls_post(gateway, device, body, format):
    path = os.path.join(gateway.folder, "signed")
    with open(path, "wb") as file:
        file.write(body.encode() if isinstance(body, str) else body)
    return lib.coap_client("coaps://127.0.0.1:%d/obs" % gateway.coaps_port, "-m", "post", "-f", path, "-t", str(format),
                           psk=("demo/" + device.id, device.psk))


def test_over_sessions(gateway):
    """over a device's own session; over another's only if that is a concentrator, and both are recorded; mapped networks"""
    device, other, hub = Device(gateway), Device(gateway), Device(gateway, "--concentrator")
    message = lambda value: device.jws("es256", pack(value), seq=[1, next(seqs)])
    equal(dtls_post(gateway, device, message(1), JOSE).code, "")
    equal(dtls_post(gateway, other, message(2), JOSE).code, "4.03")
    equal(dtls_post(gateway, hub, message(3), JOSE).code, "")
    equal(dtls_post(gateway, hub, device.cose("hs256", pack(4), seq=[1, next(seqs)]), MAC0).code, "")
    token = gateway.add_token("--tenant", "demo", "--device", hub.id)
    lib.wait_until(lambda: curl("http://127.0.0.1:%d/time" % gateway.http_port, token=token).status == 200, "the token")
    equal(send_http(gateway, message(5), JOSE, "level", token).status, 200)
    equal(send(gateway, message(6), JOSE, (), source="127.0.9.1").code_text, "2.04")
    equal(send(gateway, message(7), JOSE, ("t=other",), source="127.0.9.1").code_text, "4.03")
    entries = {entry["v"]: entry["b"] for entry in stored(gateway, device)}
    equal(entries, {"1": "", "3": hub.id, "4": hub.id, "5": hub.id, "6": ""})


def test_what_does_not_prove(gateway):
    """J1-J4, J9, J10: none, confusion of algorithms, headers that bring keys, wrong kids, crit, other base64: refused"""
    device, other = Device(gateway), Device(gateway)
    es256, hs256 = device.keys["es256"], device.keys["hs256"]
    confused = signing.Hs256(es256.material)
    forged = signing.Hs256()
    good = device.jws("hs256", pack(9), seq=[9, 1])
    unsigned = signing.base64url(json.dumps({"alg": "none", "kid": device.kid("hs256")}).encode())
    doubled = signing.base64url(b'{"alg":"HS256","alg":"HS256","kid":"%s"}' % device.kid("hs256").encode())
    header, payload, signature = good.split(".")
    make = lambda **more: device.jws("hs256", pack(9), seq=[9, 1], **more)
    rows = [
        ("4.00", unsigned + "." + payload + "."),
        ("4.00", make(alg="nOnE")), ("4.00", make(alg=None)), ("4.00", make(alg="HS512")),
        ("4.01", signing.jws(confused, device.kid("es256"), pack(9), seq=[9, 1])),
        ("4.01", signing.jws(es256, device.kid("hs256"), pack(9), seq=[9, 1])),
        ("4.01", signing.jws(forged, device.kid("hs256"), pack(9), seq=[9, 1])),
        ("4.01", signing.jws(hs256, other.kid("hs256"), pack(9), seq=[9, 1])),
        ("4.01", signing.jws(hs256, "..%2fdev%2fnull", pack(9))), ("4.01", signing.jws(hs256, "*", pack(9))),
        ("4.03", signing.jws(hs256, "other/" + device.kid("hs256"), pack(9))),
        ("4.00", signing.jws(hs256, "k" * 300, pack(9))), ("4.00", signing.jws(hs256, None, pack(9))),
        *[("4.00", make(**{name: "x"})) for name in ("jwk", "jku", "x5u", "x5c", "x5t")],
        ("4.00", make(crit=["exp"])), ("4.00", make(b64=False)), ("4.00", doubled + "." + payload + "." + signature),
        ("4.00", good + "="), ("4.00", good + "\n"), ("4.00", " " + good), ("4.00", good + ".x"), ("4.00", good[:-1]),
        ("4.00", header + "." + payload[:-1] + "+." + signature),
        ("4.00", make(typ="JWT")),
        ("4.15", make(cty="text/html")), ("4.15", make(cty=None)),
    ]
    for code, body in rows:
        answer = send(gateway, body, JOSE)
        equal(answer.code_text, code, repr((body[:200], answer.payload)))
    two = json.loads(signing.jws_json(good, True))
    two["signatures"] *= 2
    equal(send(gateway, json.dumps(two), JOSE_JSON).code_text, "4.00")
    n = signing.N.to_bytes(32, "big")
    for change in (lambda s: bytes(32) + s[32:], lambda s: s[:32] + bytes(32), lambda s: n + s[32:], lambda s: s[:32] + n):
        equal(send(gateway, device.jws("es256", pack(9), change=change), JOSE).code_text, "4.01")
    for change in (lambda s: s[:63], lambda s: s + b"\0", lambda s: b"\x30\x44\x02\x20" + s[:32] + b"\x02\x20" + s[32:]):
        equal(send(gateway, device.jws("es256", pack(9), change=change), JOSE).code_text, "4.00")
    equal(send(gateway, device.cose("es256", pack(9), unprotected={2: [4]}), SIGN1).code_text, "4.00")
    equal(send(gateway, device.cose("es256", pack(9)), MAC0).code_text, "4.00")
    equal(send(gateway, device.envelope(temp=9, ts=int(time.time()), ts_ns=0).replace("9", "8", 1), coap.JSON,
               ("t=demo", "d=" + device.id, "f=hmac")).code_text, "4.01")
    equal(stored(gateway, device), [])


def saying(key, other):
    """The key in messages whose header says the algorithm of another."""
    key = copy.copy(key)
    key.alg, key.cose = other.alg, other.cose
    return key


def test_a_key_is_good_for_its_own_algorithm_only(gateway):
    """ES256 called EdDSA and the reverse, HMAC under the octets of a public key, a MAC cut short: 4.01 in JWS and COSE"""
    device = Device(gateway)
    es256, eddsa, hs256 = (device.keys[kind] for kind in ("es256", "eddsa", "hs256"))
    rows = [("es256", saying(es256, eddsa)), ("eddsa", saying(eddsa, es256)), ("es256", eddsa), ("eddsa", es256),
            ("es256", signing.Hs256(es256.material)), ("eddsa", signing.Hs256(eddsa.material)), ("hs256", es256)]
    messages = []
    for kind, key in rows:
        mac = isinstance(key, signing.Hs256)
        messages.append((signing.jws(key, device.kid(kind), pack(1), seq=[1, next(seqs)]), JOSE))
        messages.append((signing.cose(key, device.kid(kind), pack(1), seq=[1, next(seqs)]), MAC0 if mac else SIGN1))
    for kind, key in ("es256", signing.Hs256Short(es256.material)), ("hs256", signing.Hs256Short(hs256.material)):
        messages.append((signing.cose(key, device.kid(kind), pack(1), seq=[1, next(seqs)]), MAC0))
    for body, format in messages:
        equal(send(gateway, body, format).code_text, "4.01", repr(body[:80]))
        equal(send_http(gateway, body, format).status, 401, repr(body[:80]))
    equal(stored(gateway, device), [])


def test_who_cannot_sign_learns_of_no_key(gateway):
    """over another device's session a forged signature is 4.01 whether its key is known or not; 4.03 is for one that holds"""
    device, other = Device(gateway), Device(gateway)
    forged = lambda kid: signing.jws(signing.Hs256(), kid, pack(1), seq=[1, next(seqs)])
    equal(dtls_post(gateway, other, forged(device.kid("hs256")), JOSE).code, "4.01")
    equal(dtls_post(gateway, other, forged("nobody"), JOSE).code, "4.01")
    equal(dtls_post(gateway, other, device.jws("hs256", pack(1), seq=[1, next(seqs)]), JOSE).code, "4.03")
    equal(stored(gateway, device), [])


def test_who_has_a_site_gets_no_names_beyond_it(gateway):
    """a device whose id others begin with, made by an operator of one site, signs for none of them"""
    device = Device(gateway)
    gateway.add_device("demo/urn:dev:mac:0001", None, "--site=south")
    operator = gateway.add_token("--tenant", "demo", "--role", "operator", "--sites", "north")
    lib.wait_until(lambda: curl("http://127.0.0.1:%d/devices" % gateway.http_port, token=operator).status == 200, "the token")
    for id, victim in ("urn", "urn:dev:mac:0001"), ("sig", device.id):
        key = signing.Hs256()
        body = {"id": id, "site": "north", "prefix": id, "keys": [{"kind": "hs256", "id": id + "-k", "hex": key.material.hex()}]}
        answer = curl("http://127.0.0.1:%d/devices" % gateway.http_port, token=operator, data=json.dumps(body),
                      content_type="application/json")
        equal(answer.status, 201, repr(answer))
        say = lambda name: signing.jws(key, id + "-k", json.dumps([{"n": name, "v": 1}]), seq=[1, next(seqs)])
        lib.wait_until(lambda: send(gateway, say(id + ":own"), JOSE).code_text == "2.04", "the key is known")
        for name in victim + ":temp", victim + "/temp", victim + "_temp:1":
            equal(send(gateway, say(name), JOSE).code_text, "4.03", name)
            equal(send_http(gateway, say(name), JOSE).status, 403, name)
        equal({entry["n"] for entry in gateway.observations(id)}, {id + ":own"})


def derived(group_key, device):
    return signing.Hs256(hmac.new(group_key, b"mac:" + device.encode(), "sha256").digest())


def test_the_name_of_a_key_takes_no_word_from_a_device_of_a_group(gateway):
    """an operator of one site names a key as a device that a group of another site lets in: both are heard, as who they are"""
    printed = gateway.cli("group", "add", "demo/shade", "--pattern=shade-*", "--site=south").out
    group_key = bytes.fromhex(re.search("[0-9a-f]{64}", printed).group(0))
    lamp, hub = next(names), Device(gateway, "--concentrator")
    gateway.add_device("demo/" + lamp, None, "--site=north")
    operator = gateway.add_token("--tenant", "demo", "--role", "operator", "--sites", "north")
    token = gateway.add_token("--tenant", "demo", "--device", hub.id)
    url = "http://127.0.0.1:%d/devices/%s/keys" % (gateway.http_port, lamp)
    lib.wait_until(lambda: curl(url, token=operator).status == 200, "the token")
    shade, own = derived(group_key, "shade-5"), signing.Hs256()
    say = lambda key, value, form=signing.jws: form(key, "shade-5", pack(value), seq=[1, next(seqs)])
    lib.wait_until(lambda: send(gateway, say(shade, 1), JOSE).code_text == "2.04", "the group")
    body = {"id": "shade-5", "kind": "hs256", "hex": own.material.hex()}
    equal(curl(url, token=operator, data=json.dumps(body), content_type="application/json").status, 201)
    lib.wait_until(lambda: send(gateway, say(own, 2), JOSE).code_text == "2.04", "the key is known")
    equal(send(gateway, say(shade, 3), JOSE).code_text, "2.04")
    equal(send(gateway, say(shade, 4, signing.cose), MAC0).code_text, "2.04")
    equal(send_http(gateway, say(shade, 5), JOSE).status, 200)
    equal(send_http(gateway, say(shade, 6), JOSE, "level", token).status, 200)
    now = {"ts": int(time.time()), "ts_ns": 0}
    envelope = signing.envelope(signing.Hmac(shade.material), {"temp": 7, **now})
    equal(send(gateway, envelope, coap.JSON, ("t=demo", "d=shade-5", "f=hmac")).code_text, "2.04")
    equal([entry["v"] for entry in gateway.observations("shade-5")], ["1", "3", "4", "5", "6", "7"])
    equal([(entry["v"], entry["a"]) for entry in gateway.observations(lamp)], [("2", "jws:shade-5")])


def test_a_query_names_one_device(gateway):
    """?d=A&d=B, and d beside device: 4.00 and 400, also where the two agree or the message is signed; the first is not taken"""
    device, hub = Device(gateway), Device(gateway, "--concentrator")
    token = gateway.add_token("--tenant", "demo", "--device", hub.id)
    url = "http://127.0.0.1:%d/obs?" % gateway.http_port
    lib.wait_until(lambda: curl(url + "d=" + hub.id, token=token).status == 200, "the token")
    twice = [("d=" + device.id, name + "=" + other) for name in ("d", "device") for other in (hub.id, device.id)]
    for query in [*twice, ("d=" + device.id, "f=senml-json", "format=plain-json")]:
        answer = send(gateway, pack(1), coap.SENML_JSON, query, source="127.0.9.2")
        equal(answer.code_text, "4.00", repr(query))
        answer = curl(url + "&".join(query), token=token, data=pack(1), content_type="application/senml+json")
        equal((answer.status, "once" in answer.json()["detail"]), (400, True), repr(query))
    for query in twice:
        signed = device.jws("hs256", pack(1), seq=[1, next(seqs)])
        equal(send(gateway, signed, JOSE, ("t=demo", *query)).code_text, "4.00")
        equal(send_http(gateway, signed, JOSE, "t=demo&" + "&".join(query)).status, 400)
    equal(stored(gateway, device), [])
    equal(send(gateway, pack(2), coap.SENML_JSON, ("d=" + device.id,), source="127.0.9.2").code_text, "2.04")


def test_what_is_not_signed_counts_for_nothing(gateway):
    """query and options cannot add a device, a name or a sequence; without sequence and time it could be stored again"""
    device, other = Device(gateway), Device(gateway)
    now = time.time()
    rows = [
        ("4.22", device.jws("hs256", pack(1)), (), ()),
        ("4.22", device.jws("hs256", pack(1, t=-5)), (), ()),
        ("4.22", device.jws("hs256", pack(1, t=now - 90000)), (), ()),
        ("4.22", device.jws("hs256", pack(1, t=now + 4000)), (), ()),
        ("4.00", device.jws("hs256", pack(1)), ("n=1.7",), ()),
        ("4.00", device.jws("hs256", pack(1, t=now)), (), ((coap.SEQUENCE, coap.sequence(1, 7)),)),
        ("4.00", device.jws("hs256", pack(1), seq=[1, 8]), ("n=1.9",), ()),
        ("4.00", device.jws("hs256", pack(1, epoch=1, seq=9), seq=[1, 8]), (), ()),
        ("4.00", device.jws("hs256", "1", cty="text/plain", seq=[1, 8]), ("n=temp",), ()),
        ("4.03", device.jws("hs256", pack(1), seq=[1, 8]), ("d=" + other.id,), ()),
        ("4.15", device.jws("hs256", pack(1), seq=[1, 8]), ("f=senml-json",), ()),
        ("4.15", device.jws("hs256", "temp v=1", cty="application/vnd.weir.influx", seq=[1, 8]), (), ()),
        ("4.03", device.jws("hs256", json.dumps([{"n": other.id + ":x", "v": 1}]), seq=[1, 8]), (), ()),
    ]
    for code, body, query, options in rows:
        answer = send(gateway, body, JOSE, ("t=demo", *query), options=options)
        equal(answer.code_text, code, repr((query, options, answer.payload)))
    equal(stored(gateway, device), [])
    equal(send(gateway, device.jws("hs256", pack(1), seq=[1, 8]), JOSE, ("t=demo", "n=1.8")).code_text, "2.04")


def test_stored_once(gateway):
    """J8, J11: replayed over the other wire, signed again, with (r, n - s), in other wrapping, after a restart: once"""
    device = Device(gateway)
    now = time.time()
    counted = {"payload": pack(1), "seq": [7, 1]}
    timed = {"payload": pack(2, t=now)}
    copies = []
    for message in (counted, timed):
        first = device.jws("es256", **message)
        equal(send(gateway, first, JOSE).code_text, "2.04")
        head, signature = first.rsplit(".", 1)
        raw = signing.base64.urlsafe_b64decode(signature + "==")
        copies += [(first, JOSE), (head + "." + signing.base64url(signing.other_s(raw)), JOSE),
                   (device.jws("es256", **message), JOSE), (device.jws("hs256", **message), JOSE),
                   (signing.jws_json(first), JOSE_JSON), (device.cose("eddsa", **message), SIGN1)]
    for body, format in copies:
        equal(json.loads(send(gateway, body, format, ("t=demo", "level")).payload).get("duplicate"), True)
        equal(send_http(gateway, body, format).json().get("duplicate"), True)
    equal(send(gateway, device.jws("es256", pack(3), seq=[7, 1]), JOSE).code_text, "4.09")
    gateway.terminate()
    gateway.start()
    device.wait_known()
    for body, format in copies:
        equal(json.loads(send(gateway, body, format, ("t=demo", "level")).payload).get("duplicate"), True)
    equal(sorted(entry["v"] for entry in stored(gateway, device)), ["1", "2"])


def test_times_of_a_clock_that_is_replaced(gateway):
    """Under replace what is signed needs times near the receipt all the same: whoever has seen it gets it stored once"""
    gateway.cli("profile", "add", "demo/worthless", "--clock=replace")
    device = Device(gateway, "--profile=worthless")
    for _ in range(2):
        equal(send(gateway, device.jws("es256", pack(1, t=946684805)), JOSE).code_text, "4.22")
    near = device.jws("es256", pack(2, t=time.time() - 60))
    for duplicate in (None, True):
        equal(json.loads(send(gateway, near, JOSE, ("t=demo", "level")).payload).get("duplicate"), duplicate)
    equal([(entry["v"], entry["q"]) for entry in stored(gateway, device)], [("2", "x")])


def test_a_number_that_says_nothing(gateway):
    """A signed message without an observation takes its sequence number, and there is no evidence of it"""
    device = Device(gateway)
    before = gateway.redis("XLEN", "weir:{demo}:evidence")
    nothing = device.jws("hs256", '[{"bn":"%s:"}]' % device.id, seq=[9, 1])
    for duplicate in (None, True):
        answer = send(gateway, nothing, JOSE, ("t=demo", "level=stored"))
        equal((answer.code_text, json.loads(answer.payload).get("duplicate")), ("2.04", duplicate))
    equal(send(gateway, device.jws("hs256", pack(1), seq=[9, 1]), JOSE).code_text, "4.09")
    equal(gateway.redis("XLEN", "weir:{demo}:evidence"), before)


def test_an_envelope_spelled_anew(gateway):
    """The MAC covers the canonical text: white space, order, escapes and 1.50 make no other message, with or without seq"""
    device = Device(gateway)
    query = ("t=demo", "d=" + device.id, "f=hmac", "level")
    for more in {}, {"epoch": 4, "seq": 1}:
        payload = {"temp": 1.5, "s": "\u00e9", "ts": int(time.time()), "ts_ns": 7, **more}
        first = device.envelope(**payload)
        mac = json.loads(first)["hmac"]
        equal(send(gateway, first, coap.JSON, query).code_text, "2.04")
        spelled = [json.dumps(payload, indent=1), json.dumps(dict(reversed(payload.items()))),
                   json.dumps(payload, ensure_ascii=False), json.dumps(payload).replace("1.5", "1.50"),
                   json.dumps(payload).replace("1.5", "15e-1"), json.dumps(payload).replace("temp", "\\u0074emp")]
        for text in spelled:
            answer = send(gateway, '{"hmac":"%s","payload":%s}' % (mac, text), coap.JSON, query)
            equal((answer.code_text, json.loads(answer.payload).get("duplicate")), ("2.04", True), text)
    entries = stored(gateway, device)
    equal(sorted(entry["v"] for entry in entries if entry["n"] == "temp"), ["1.5", "1.5"])


def test_held_back(gateway):
    """J14: after many wrong signatures an address is held back for a while, its neighbours and sessions are not"""
    device = Device(gateway)
    bad = signing.jws(signing.Hs256(), device.kid("hs256"), pack(1), seq=[1, 1])
    with coap.Peer(gateway.coap_port, source="127.0.2.1") as peer:
        ask = lambda body: peer.ask(coap.request(coap.POST, "/obs", ["t=demo"], (), body, JOSE))
        equal({ask(bad).code_text for _ in range(60)}, {"4.01"})
        # One a second is looked at, and nobody knows when it begins; as many more as there were seconds until now.
        for body in (bad, device.jws("hs256", pack(2), seq=[1, 2])):
            for _ in range(150):
                answer = ask(bad)
                if answer.code_text != "4.29":
                    continue
                assert answer.option_uint(coap.MAX_AGE) > 0, answer
                if ask(body).code_text == "4.29":
                    break
            else:
                raise AssertionError("nobody is held back")
    equal(send(gateway, device.jws("hs256", pack(3), seq=[1, 3]), JOSE, source="127.0.2.2").code_text, "2.04")
    failed = gateway.metric("weir_signatures_total", 'form="jws",result="failed"')
    held = gateway.metric("weir_signatures_total", 'form="jws",result="held"')
    assert failed >= 60 and held >= 1, (failed, held)


class Connection:
    """One connection to one worker, so that its count is the one that is looked at."""

    def __init__(self, gateway, token=None, source=None):
        self.token = token
        self.client = http.client.HTTPConnection("127.0.0.1", gateway.http_port, timeout=60,
                                                 source_address=(source, 0) if source else None)

    def ask(self, body, query="t=demo"):
        headers = {"Content-Type": MEDIA[JOSE], **({"Authorization": "Bearer " + self.token} if self.token else {})}
        self.client.request("POST", "/obs?" + query, body, headers)
        answer = self.client.getresponse()
        answer.read()
        return answer.status


def test_invented_keys_over_a_concentrator(gateway):
    """60 a minute are looked at, whatever they are called; a forged one of a key that is there has the same answers"""
    device, hub = Device(gateway), Device(gateway, "--concentrator")
    token = gateway.add_token("--tenant", "demo", "--device", hub.id)
    lib.wait_until(lambda: curl("http://127.0.0.1:%d/time" % gateway.http_port, token=token).status == 200, "the token")
    connection, key = Connection(gateway, token), signing.Es256()
    invented = (signing.jws(key, "invented-%d" % i, pack(1), seq=[1, 1]) for i in itertools.count())
    began = time.monotonic()
    answers = [connection.ask(next(invented), "") for _ in range(150)]
    looked_at = answers.count(401)
    assert 60 <= looked_at <= 61 + time.monotonic() - began and answers.count(429) == 150 - looked_at, answers
    forged = []
    while 429 not in forged and len(forged) < 4:  # the fifth would hold back the key itself
        assert any(connection.ask(next(invented), "") == 429 for _ in range(150)), "nobody is held back"
        forged.append(connection.ask(signing.jws(key, device.kid("es256"), pack(1), seq=[1, 1]), ""))
    assert 429 in forged and set(forged) <= {401, 429}, forged
    equal(connection.ask(device.jws("es256", pack(2), seq=[1, next(seqs)]), ""), 204)
    equal(connection.ask(device.jws("hs256", pack(3), seq=[1, next(seqs)]), ""), 204)
    equal(sorted(entry["v"] for entry in stored(gateway, device)), ["2", "3"])


def test_nobody_else_holds_back_a_device(gateway):
    """forged over plain CoAP, HTTP without a token, and another's session: heard over its own, a concentrator's, elsewhere"""
    device, other, hub = Device(gateway), Device(gateway), Device(gateway, "--concentrator")
    tokens = [gateway.add_token("--tenant", "demo", "--device", each.id) for each in (device, other, hub)]
    for token in tokens:
        lib.wait_until(lambda: curl("http://127.0.0.1:%d/time" % gateway.http_port, token=token).status == 200, "the token")
    bad = signing.jws(signing.Hs256(), device.kid("hs256"), pack(1), seq=[1, 1])
    good = lambda: device.jws("hs256", pack(2), seq=[1, next(seqs)])
    own, elsewhere = Connection(gateway, tokens[0]), Connection(gateway, source="127.0.3.9")
    with coap.Peer(gateway.coap_port, source="127.0.3.1") as peer:
        flood_coap = lambda: peer.ask(coap.request(coap.POST, "/obs", ["t=demo"], (), bad, JOSE)).code_text == "4.29"
        paths = [("CoAP", flood_coap)]
        for name, connection in (("HTTP", Connection(gateway, source="127.0.3.2")), ("session", Connection(gateway, tokens[1]))):
            paths.append((name, lambda connection=connection: connection.ask(bad) == 429))
        for name, flood in paths:
            assert any(flood() for _ in range(150)), name + " is held back"
            equal(own.ask(good()), 204, name)
            equal(Connection(gateway, tokens[2]).ask(good()), 204, name)
            equal(elsewhere.ask(good()), 204, name)
            equal(send(gateway, good(), JOSE, source="127.0.3.8").code_text, "2.04", name)
        equal(dtls_post(gateway, device, good(), JOSE).code, "")


def test_fakes_on_plain_coap_hold_back_nobody_over_http(gateway):
    """an address that anybody can write into a datagram, and the same one with a handshake of TCP: counted apart"""
    device = Device(gateway)
    bad = signing.jws(signing.Es256(), "nobody", pack(1), seq=[1, 1])
    good = lambda: device.jws("hs256", pack(2), seq=[1, next(seqs)])
    for _ in range(8):  # ports, which spread over the workers
        with coap.Peer(gateway.coap_port, source="127.0.3.20") as peer:
            ask = lambda: peer.ask(coap.request(coap.POST, "/obs", ["t=demo"], (), bad, JOSE)).code_text
            assert any(ask() == "4.29" for _ in range(150)), "nobody is held back"
    equal({Connection(gateway, source="127.0.3.20").ask(good()) for _ in range(8)}, {204})
    connection = Connection(gateway, source="127.0.3.21")
    assert any(connection.ask(bad) == 429 for _ in range(150)), "nobody is held back"
    equal({send(gateway, good(), JOSE, source="127.0.3.21").code_text for _ in range(8)}, {"2.04"})


def test_strangers_have_one_block(gateway):
    """a body of several blocks is begun for nobody unknown"""
    device = Device(gateway)
    body = device.jws("hs256", json.dumps([{"n": "temp", "v": i, "t": i} for i in range(100)]), seq=[1, 1]).encode()
    answer = send(gateway, body[:512], JOSE, options=[(coap.BLOCK1, coap.block(0, True, 512))])
    equal(answer.code_text, "4.01")
