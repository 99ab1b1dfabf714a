# SPDX-License-Identifier: GPL-3.0-or-later
"""A reading reaches the stream: each way in, each format, with the lines that `weir serve --demo` prints."""
import json
import os
import re
import stat
import time

import cbor
import lib
from lib import equal

FIELDS = ["d", "n", "u", "t", "q", "k", "v", "s", "c", "a", "b", "m", "w", "y"]


def obs(gateway, query=""):
    return "http://127.0.0.1:%d/obs%s" % (gateway.http_port, query)


def post(gateway, data, content_type, query="", expected=204):
    answer = lib.curl(obs(gateway, query), data=data, content_type=content_type, token=gateway.device_token)
    equal(answer.status, expected, repr(answer))
    return answer


def only(gateway, name):
    entries = gateway.observations(name=name)
    equal(len(entries), 1, "entries named " + name)
    return entries[0]


def test_one_load_of_the_library(gateway):
    """An empty Redis gets the Function library once, though several connections find at the same time that it is not there"""
    equal(gateway.log().count("the Redis Function library was loaded"), 1)


def test_dtls_psk(gateway):
    """coap-client posts over DTLS with the demo key"""
    result = lib.coap_client("coaps://127.0.0.1:%d/obs" % gateway.coaps_port, "-m", "post", "-t", "110",
                             "-e", '[{"n":"dtls","u":"Cel","v":21.50}]', psk=(gateway.psk_identity, gateway.psk))
    equal((result.status, result.code), (0, ""), repr(result))
    entry = only(gateway, "dtls")
    equal({key: entry[key] for key in "dukvsqcab"},
          {"d": "sensor-1", "u": "Cel", "k": "n", "v": "21.50", "s": "", "q": "x", "c": "t", "a": "psk", "b": ""})
    assert re.fullmatch("[0-9a-f]{16}", entry["m"]), entry


def test_dtls_psk_gnutls(gateway):
    """the same with coap-client on GnuTLS"""
    result = lib.coap_client("coaps://127.0.0.1:%d/obs" % gateway.coaps_port, "-m", "post", "-t", "110",
                             "-e", '[{"n":"gnutls","v":1}]', psk=(gateway.psk_identity, gateway.psk), tls="gnutls")
    equal((result.status, result.code), (0, ""), repr(result))
    only(gateway, "gnutls")


def test_http_post_and_get(gateway):
    """curl posts and reads the latest value"""
    post(gateway, '[{"bn":"sensor-1:","n":"temp","u":"Cel","v":21.5}]', "application/senml+json")
    post(gateway, '[{"bn":"sensor-1:","n":"temp","u":"Cel","v":22.5}]', "application/senml+json")
    answer = lib.curl(obs(gateway, "?device=sensor-1&name=sensor-1:temp"), token=gateway.operator_token)
    equal(answer.status, 200, repr(answer))
    equal(answer.headers["content-type"], "application/senml+json")
    records = answer.json()
    equal(len(records), 1)
    equal((records[0]["n"], records[0]["u"], records[0]["v"]), ("sensor-1:temp", "Cel", 22.5))


def test_get_as_cbor(gateway):
    """GET as SenML CBOR"""
    post(gateway, '[{"n":"ascbor","v":7}]', "application/senml+json")
    answer = lib.curl(obs(gateway, "?device=sensor-1&name=ascbor"), token=gateway.operator_token,
                      accept="application/senml+cbor")
    equal((answer.status, answer.headers["content-type"]), (200, "application/senml+cbor"))
    equal(cbor.loads(answer.body)[0][2], 7)


def test_stream_entry(gateway):
    """XREAD shows the entry with all fields in their order"""
    post(gateway, '[{"n":"ordered","u":"V","t":1763692800.125,"v":3.30}]', "application/senml+json")
    only(gateway, "ordered")
    [[_, entries]] = gateway.redis("XREAD", "COUNT", 10000, "STREAMS", "weir:{demo}:obs", "0")
    fields = [[f.decode() for f in flat] for _, flat in entries]
    for flat in fields:
        equal(flat[::2], FIELDS)
    entry = next(dict(zip(flat[::2], flat[1::2])) for flat in fields if "ordered" in flat)
    equal((entry["t"], entry["q"], entry["u"], entry["v"]), ("1763692800.125", "d", "V", "3.30"))


def test_text(gateway):
    """text/plain with the name in the query"""
    post(gateway, "20.25", "text/plain", "?n=plain-text&u=Cel")
    entry = only(gateway, "plain-text")
    equal((entry["k"], entry["v"], entry["u"], entry["q"]), ("n", "20.25", "Cel", "x"))


def test_plain_json(gateway):
    """a JSON object of names"""
    before = time.time()
    post(gateway, '{"pj_num":1.10,"pj_text":"open","pj_flag":true,"ts":1763692800}', "application/json")
    entries = {name: only(gateway, name) for name in ("pj_num", "pj_text", "pj_flag")}
    equal([(e["k"], e["v"]) for e in entries.values()], [("n", "1.10"), ("s", "open"), ("b", "true")])
    equal({e["t"] for e in entries.values()}, {"1763692800"})
    equal(len({e["m"] for e in entries.values()}), 1, "one message, one id")
    post(gateway, '{"pj_now":1}', "application/json")
    assert before - 1 <= float(only(gateway, "pj_now")["t"]) <= time.time() + 1


def test_plain_cbor(gateway):
    """a CBOR object of names"""
    post(gateway, cbor.dumps({"pc_num": 5, "pc_real": 0.5, "pc_flag": False}), "application/cbor")
    equal([only(gateway, n)["v"] for n in ("pc_num", "pc_real", "pc_flag")], ["5", "0.5", "false"])


def test_senml_cbor(gateway):
    """SenML CBOR with base fields, decimal fraction and bytes"""
    pack = [{-2: "sensor-1:", -3: 1763692800, -4: "Cel", 0: "sc-a", 2: cbor.Tag(4, [-2, 2150])},
            {0: "sc-b", 6: -5, 2: 3}, {0: "sc-c", 8: b"\x00\xff", 1: "%RH"}]
    post(gateway, cbor.dumps(pack), "application/senml+cbor")
    a, b, c = (only(gateway, "sensor-1:sc-" + n) for n in "abc")
    equal((float(a["v"]), a["u"], a["t"]), (21.5, "Cel", "1763692800"))
    equal((b["v"], b["t"]), ("3", "1763692795"))
    equal((c["k"], c["v"], c["u"]), ("x", "AP8", "%RH"))


def test_all_or_nothing(gateway):
    """one bad record refuses the whole pack"""
    post(gateway, '[{"n":"aon-1","v":1},{"n":"aon-2","v":1,"vs":"x"}]', "application/senml+json", expected=400)
    equal(gateway.observations(name="aon-1"), [])


def test_wrong_clock_does_not_hide_later_values(gateway):
    """a value from the far future is stored, and the next one is the latest all the same (P7)"""
    senml = "application/senml+json"
    post(gateway, '[{"n":"clock","v":1,"t":900000000000}]', senml)
    post(gateway, '[{"n":"clock","v":2}]', senml)
    equal([e["v"] for e in gateway.observations(name="clock")], ["1", "2"])
    answer = lib.curl(obs(gateway, "?name=clock"), token=gateway.device_token)
    equal([record["v"] for record in answer.json()], [2])


def test_device_reads_itself(gateway):
    """a device's token reads its own values"""
    post(gateway, '[{"n":"mine","v":1}]', "application/senml+json")
    answer = lib.curl(obs(gateway, "?name=mine"), token=gateway.device_token)
    equal((answer.status, answer.json()[0]["v"]), (200, 1))


def test_time(gateway):
    """/time tells the time"""
    answer = lib.curl("http://127.0.0.1:%d/time" % gateway.http_port, token=gateway.device_token)
    equal(answer.status, 200)
    assert abs(float(answer.body) - time.time()) < 30, answer


def test_ops(gateway):
    """/health, /ready and /metrics on the ops listener, and only there"""
    for path in ("health", "ready", "metrics"):
        equal(lib.curl("http://127.0.0.1:%d/%s" % (gateway.ops_port, path)).status, 200, path)
        equal(lib.curl("http://127.0.0.1:%d/%s" % (gateway.http_port, path),
                       token=gateway.operator_token).status, 404, path)
    equal(lib.curl("http://127.0.0.1:%d/obs" % gateway.ops_port, token=gateway.operator_token).status, 404)
    post(gateway, '[{"n":"counted","v":1}]', "application/senml+json")
    assert gateway.metric("weir_records_stored_total") > 0


def test_secrets_are_private(gateway):
    """demo.env is readable by its owner only and tokens are hashed at rest"""
    equal(stat.S_IMODE(os.stat(os.path.join(gateway.folder, "demo.env")).st_mode), 0o600)
    secret = gateway.device_token[-43:].encode()
    for key in gateway.redis("KEYS", "weir:{demo}:tok:*"):
        assert secret not in b"".join(gateway.redis("HGETALL", key)), "the token is in Redis"


def test_restart_keeps_everything():
    """a clean restart keeps records, tokens and latest values"""
    gateway = lib.Gateway()
    try:
        post(gateway, '[{"n":"kept","v":42}]', "application/senml+json")
        token, psk = gateway.device_token, gateway.psk
        gateway.terminate()
        gateway.start()
        equal((gateway.device_token, gateway.psk), (token, psk))
        answer = lib.curl(obs(gateway, "?device=sensor-1&name=kept"), token=gateway.operator_token)
        equal((answer.status, answer.json()[0]["v"]), (200, 42))
        equal(len(gateway.observations(name="kept")), 1)
    finally:
        gateway.stop()


def test_kill_keeps_what_was_acknowledged():
    """kill -9 of the gateway loses nothing acknowledged"""
    gateway = lib.Gateway()
    try:
        for i in range(20):
            post(gateway, json.dumps([{"n": "killed", "v": i}]), "application/senml+json")
        gateway.kill()
        gateway.start()
        equal([e["v"] for e in gateway.observations(name="killed")], [str(i) for i in range(20)])
    finally:
        gateway.stop()
