# SPDX-License-Identifier: GPL-3.0-or-later
"""FETCH, PATCH and iPATCH /obs (RFC 8790) on both wires, and what SenML packs say since RFC 8428: versions, secondary
units, content types, and XML that is refused."""
import json
import time

import cbor
import coap
import lib
from coap import Peer, request
from lib import curl, equal, wait_until

WORKERS = (2,)
FETCH, PATCH, IPATCH = 5, 6, 7
ETCH_JSON, ETCH_CBOR = 320, 322
BASE = int(time.time()) - 1000


def http(gateway, method, pack, query="", token=None, kind="senml-etch+json", **more):
    data = pack if isinstance(pack, bytes) else json.dumps(pack)
    return curl("http://127.0.0.1:%d/obs%s" % (gateway.http_port, query), method=method, data=data,
                token=token or gateway.device_token, content_type="application/" + kind, **more)


def udp(gateway, method, pack, device, format=ETCH_JSON, options=()):
    payload = cbor.dumps(pack) if format in (ETCH_CBOR, coap.SENML_CBOR) else json.dumps(pack)
    key = "device=" if method == FETCH else "d="
    with Peer(gateway.coap_port) as peer:
        return peer.ask(request(method, "/obs", query=[key + device], payload=payload, format=format, options=options))


def post(gateway, pack, **more):
    answer = http(gateway, "POST", pack, kind="senml+json", **more)
    equal(answer.status, 204, repr(answer))


def values(gateway):
    """What GET /obs shows to sensor-1."""
    answer = curl("http://127.0.0.1:%d/obs" % gateway.http_port, token=gateway.device_token)
    equal(answer.status, 200, repr(answer))
    return {record["n"]: record.get("v", record.get("vs")) for record in answer.json()}


def fetched(answer):
    equal(answer.status, 200, repr(answer))
    return [(record["n"], record.get("v")) for record in answer.json()]


def problem(answer, status):
    equal(answer.status, status, repr(answer))
    assert answer.json()["detail"], answer
    return answer.json()


def test_fetch_http(gateway):
    """FETCH gives what matches, by name, time and unit; [] where nothing does"""
    post(gateway, [{"bn": "f.", "bt": BASE, "n": "a", "u": "Cel", "v": 1}, {"n": "b", "t": 1, "u": "V", "v": 2},
                   {"n": "c", "t": 2, "v": 3}])
    equal(fetched(http(gateway, "FETCH", [{"n": "f.c"}, {"n": "sensor-1:f.a"}, {"n": "f.c"}])),
          [("sensor-1:f.a", 1), ("sensor-1:f.c", 3)])
    equal(fetched(http(gateway, "FETCH", [{"n": "f.b", "u": "V", "t": BASE + 1}])), [("sensor-1:f.b", 2)])
    equal(fetched(http(gateway, "FETCH", [{"n": "f.b", "u": "W"}, {"n": "f.b", "t": BASE}, {"n": "nothing"}])), [])
    equal(fetched(http(gateway, "FETCH", [{"bn": "f."}, {"n": "a"}, {"n": "b"}], "?limit=1")), [("sensor-1:f.a", 1)])
    answer = http(gateway, "FETCH", [{"n": "f.a"}], accept="application/senml+cbor")
    equal(cbor.loads(answer.body)[0][2], 1)
    assert answer.headers["etag"], answer


def test_fetch_rights(gateway):
    """An operator fetches by full names in the whole tenant, a device its own only; neither may say anything else"""
    post(gateway, [{"n": "r", "v": 5}])
    operator = dict(token=gateway.operator_token)
    equal(fetched(http(gateway, "FETCH", [{"n": "sensor-1:r"}], **operator)), [("sensor-1:r", 5)])
    equal(fetched(http(gateway, "FETCH", [{"n": "r"}], **operator)), [])
    equal(fetched(http(gateway, "FETCH", [{"n": "r"}], "?device=sensor-1", **operator)), [("sensor-1:r", 5)])
    equal(fetched(http(gateway, "FETCH", [{"n": "sensor-2:r"}])), [])
    problem(http(gateway, "PATCH", [{"n": "sensor-1:r", "v": None}], **operator), 403)
    equal(http(gateway, "FETCH", [{"n": "r"}], "?device=sensor-2").status, 404)
    equal(curl("http://127.0.0.1:%d/obs" % gateway.http_port, method="FETCH", data="[]",
               content_type="application/senml-etch+json").status, 401)
    for pack in ([{"n": "r", "v": 1}], [{"n": "r", "bver": 10}], [{"t": 1}], [], {}):
        problem(http(gateway, "FETCH", pack), 422)
    problem(http(gateway, "FETCH", b"[{]"), 400)
    problem(http(gateway, "FETCH", [{"n": "r"}], kind="senml+json"), 415)
    problem(http(gateway, "POST", [{"n": "r", "v": 1}]), 415)
    equal(http(gateway, "FETCH", [{"n": "r"}], accept="application/json").status, 406)


def test_coap(gateway):
    """The same over CoAP, in JSON and CBOR; PATCH and iPATCH are one"""
    equal(udp(gateway, PATCH, [{"n": "a", "v": 1}, {"n": "b", "v": 2}], "m-7").code_text, "2.04")
    equal(udp(gateway, IPATCH, [{0: "a", 2: 7}, {0: "b", 2: None}], "m-7", ETCH_CBOR).code_text, "2.04")
    answer = udp(gateway, FETCH, [{0: "a"}, {0: "b"}], "m-7", ETCH_CBOR, [(coap.ACCEPT, coap.SENML_CBOR)])
    equal(answer.code_text, "2.05")
    equal([(record[0], record[2]) for record in cbor.loads(answer.payload)], [("m-7:a", 7)])
    answer = udp(gateway, FETCH, [{"n": "b"}], "m-7")
    equal((answer.code_text, answer.payload, answer.option_uint(coap.CONTENT_FORMAT)), ("2.05", b"[]", 110))
    equal(udp(gateway, PATCH, [{"n": "a", "v": 1}, {"n": "b"}], "m-7").code_text, "4.22")
    equal(udp(gateway, PATCH, [{"n": "a", "v": 1}], "m-7", coap.SENML_JSON).code_text, "4.15")
    equal([entry["v"] for entry in gateway.observations("m-7", "a")], ["1", "7"])


def test_patch(gateway):
    """A record replaces, adds or removes; each is in the stream, a removal without a value"""
    post(gateway, [{"bn": "p.", "n": "a", "v": 1}, {"n": "b", "v": 2}])
    answer = http(gateway, "PATCH", [{"n": "sensor-1:p.a", "v": 9}, {"n": "p.b", "v": None}, {"n": "p.c", "vs": "new"},
                                     {"n": "p.none", "v": None}], "?level=stored")
    equal((answer.status, answer.json()), (200, {"level": "stored", "n": 3}))
    shown = {name: value for name, value in values(gateway).items() if ":p." in name}
    equal(shown, {"sensor-1:p.a": 9, "sensor-1:p.c": "new"})
    removed = gateway.observations(name="p.b")[-1]
    equal((removed["k"], removed["v"], removed["s"], removed["d"], removed["q"]), ("-", "", "", "sensor-1", "x"))
    equal(gateway.observations(name="p.none"), [])
    # What arrives after the removal is shown, whatever its own time is, in the same pack too.
    post(gateway, [{"n": "p.b", "t": BASE - 5000, "v": 3}])
    equal(values(gateway)["sensor-1:p.b"], 3)
    equal(http(gateway, "PATCH", [{"n": "p.b", "v": None}, {"n": "p.b", "t": BASE - 6000, "v": 2}]).status, 204)
    equal(fetched(http(gateway, "FETCH", [{"n": "p.b"}])), [("sensor-1:p.b", 2)])
    post(gateway, [{"n": "p.b", "t": int(time.time()) + 5, "v": 4}])
    equal(values(gateway)["sensor-1:p.b"], 4)
    # What removes is never older than what it removes.
    equal(http(gateway, "IPATCH", [{"n": "p.b", "v": None}]).status, 204)
    assert "sensor-1:p.b" not in values(gateway)


def test_patch_refused(gateway):
    """All or nothing: a wrong record, one that matches two, a foreign name; nothing is changed"""
    post(gateway, [{"n": "n.a", "t": BASE, "v": 1}])
    before = len(gateway.observations())
    good = {"n": "n.a", "v": 2}
    for wrong in ({"n": "n.a"}, {"n": "n a", "v": 1}, {"n": "n.a", "v": "1"}, {"n": "n.a", "v": 1, "vb": True}):
        problem(http(gateway, "PATCH", [good, wrong]), 422)
    problem(http(gateway, "PATCH", [{"n": "n.b", "t": BASE, "v": 1}, {"n": "n.b", "t": BASE + 1, "v": 1},
                                    {"n": "n.b", "v": 3}]), 422)
    equal(http(gateway, "PATCH", [good, {"n": "sensor-2:n.a", "v": None}]).status, 403)
    equal(http(gateway, "PATCH", [{"n": "n.a", "t": BASE + 7, "v": None}, {"n": "n.a", "u": "V", "v": None}]).status, 204)
    equal(len(gateway.observations()), before)
    equal(values(gateway)["sensor-1:n.a"], 1)


def test_patch_is_a_message(gateway):
    """A sequence makes a repeated patch a duplicate; the same one with other content is a conflict"""
    pack = [{"epoch": 1, "seq": 5, "n": "s.a", "v": 1}, {"n": "s.b", "v": 2}]
    equal(http(gateway, "PATCH", pack).status, 204)
    equal(http(gateway, "PATCH", pack, "?level").json()["duplicate"], True)
    equal(http(gateway, "PATCH", [{"epoch": 1, "seq": 5, "n": "s.a", "v": 2}], "?level=stored").status, 409)
    equal([entry["v"] for entry in gateway.observations(name="s.a")], ["1"])


def test_a_patch_sets_a_state(gateway):
    """What is set or removed again, as it was before, is set or removed again; with a sequence it is the same patch"""
    shown = lambda: values(gateway).get("sensor-1:set.a")
    states = ([{"n": "set.a", "t": BASE, "v": 1}], 1), ([{"n": "set.a", "t": BASE, "v": 2}], 2)
    for pack, state in (*states, *states):
        equal(http(gateway, "PATCH", pack).status, 204)
        equal(shown(), state, repr(pack))
    for _ in range(2):
        equal(http(gateway, "IPATCH", [{"n": "set.a", "v": None}]).status, 204)
        equal(shown(), None)
        equal(http(gateway, "PATCH", states[0][0]).status, 204)
        equal(shown(), 1)
    for pack, state, duplicate in ((states[1][0], 2, None), (states[0][0], 1, None), (states[1][0], 1, True)):
        pack = [dict(pack[0], epoch=2, seq=pack[0]["v"])]
        equal(http(gateway, "PATCH", pack, "?level").json().get("duplicate"), duplicate)
        equal(shown(), state)


def test_removed_stays_removed(workers):
    """After a restart the latest values come from the streams, and what was removed does not come back"""
    with lib.Gateway(workers=workers) as gateway:
        post(gateway, [{"n": "w.a", "t": BASE, "v": 1}, {"n": "w.b", "t": BASE, "v": 2}, {"n": "w.c", "t": BASE, "v": 3}])
        pack = [{"n": "w.a", "v": None}, {"n": "w.b", "t": BASE, "v": None}, {"n": "w.c", "v": None},
                {"n": "w.c", "t": BASE - 9, "v": 4}]
        equal(http(gateway, "PATCH", pack).status, 204)
        post(gateway, [{"n": "w.d", "vd": "AQ", "ct": "text/csv"}])
        gateway.wait_pushed()
        gateway.terminate()
        gateway.start()
        wait_until(lambda: {"sensor-1:w.c", "sensor-1:w.d"} <= set(values(gateway)), "the latest values are read")
        shown = curl("http://127.0.0.1:%d/obs" % gateway.http_port, token=gateway.device_token).json()
        equal({record["n"]: record.get("ct") for record in shown}, {"sensor-1:w.c": None, "sensor-1:w.d": "text/csv"})


def test_secondary_units(gateway):
    """With version 26 secondary units come out in primary ones, exactly; without it they stay; unknown features are refused"""
    post(gateway, [{"bver": 26, "bn": "u.", "bu": "kWh", "bv": 1, "n": "a", "v": 0.25},
                   {"n": "b", "u": "km/h", "v": 35}, {"n": "c", "u": "dBm", "v": 19}, {"n": "d", "u": "W", "v": 1}])
    post(gateway, [{"n": "u.e", "u": "kWh", "v": 1.5}])
    got = {entry["n"]: (entry["v"], entry["u"]) for entry in gateway.observations() if entry["n"].startswith("u.")}
    equal(got, {"u.a": ("4500000", "J"), "u.b": ("10", "m/s"), "u.c": ("-10", "dBW"), "u.d": ("2", "W"),
                "u.e": ("1.5", "kWh")})
    for version in (42, 11, 2**53 - 1):
        problem(http(gateway, "POST", [{"bver": version, "n": "u.f", "v": 1}], kind="senml+json"), 400)


def test_content_types(gateway):
    """ct and bct are stored (y) and shown (ct), in JSON and CBOR"""
    post(gateway, [{"bn": "c.", "bct": "60", "n": "a", "vd": "AQ"}, {"n": "b", "vd": "Ag", "ct": "text/csv@gzip"},
                   {"n": "c", "v": 1}])
    got = {entry["n"]: entry["y"] for entry in gateway.observations() if entry["n"].startswith("c.")}
    equal(got, {"c.a": "60", "c.b": "text/csv@gzip", "c.c": ""})
    names = [{"bn": "c.", "n": "a"}, {"n": "b"}, {"n": "c"}]
    shown = http(gateway, "FETCH", names).json()
    expected = {"sensor-1:c.a": "60", "sensor-1:c.b": "text/csv@gzip", "sensor-1:c.c": None}
    equal({record["n"]: record.get("ct") for record in shown}, expected)
    shown = cbor.loads(http(gateway, "FETCH", names, accept="application/senml+cbor").body)
    equal({record[0]: record.get("ct") for record in shown}, expected)
    problem(http(gateway, "POST", [{"n": "c.d", "v": 1, "ct": "60"}], kind="senml+json"), 400)


def test_xml_is_refused(gateway):
    """SenML in XML and EXI: 4.15 and 415, and the answer says so"""
    xml = b'<sensml xmlns="urn:ietf:params:xml:ns:senml"><senml n="x" v="1"></senml></sensml>'
    for kind in ("senml+xml", "sensml+xml", "senml-exi", "sensml-exi"):
        assert "XML" in problem(http(gateway, "POST", xml, kind=kind), 415)["detail"]
    with Peer(gateway.coap_port) as peer:
        for number in (310, 311, 114, 115):
            answer = peer.ask(request(coap.POST, "/obs", query=["d=m-1"], payload=xml, format=number))
            equal(answer.code_text, "4.15")
            assert b"XML" in answer.payload, answer.payload
    equal(curl("http://127.0.0.1:%d/obs" % gateway.http_port, token=gateway.device_token,
               accept="application/senml+xml, application/senml+json;q=0.5").status, 200)
