# SPDX-License-Identifier: GPL-3.0-or-later
"""epoch and seq by every carrier, over CoAP and HTTP; levels asked for and told; what comes again is found out."""
import itertools
import json
import re
import threading
import time

import cbor
import coap
import lib
from lib import curl, equal

WORKERS = (2,)

SENML = "application/senml+json"
SEQUENCE = 65100

names = ("seq-%d" % i for i in itertools.count(1))
epochs = itertools.count(int(time.time()))


def option(epoch, seq):
    """The value of option 65100."""
    head = coap.uint(epoch)
    return bytes([len(head)]) + head + coap.uint(seq)


def pack(name, value=1, **fields):
    return json.dumps([{"n": name, "v": value, **fields}])


def cbor_pack(name, epoch, seq):
    return cbor.dumps([{0: name, 2: 1, "epoch": epoch, "seq": seq}])


def coap_carriers(name, epoch, seq):
    """The same observation with its sequence in each place: query, options, payload, format."""
    plain = json.dumps({name: 1})
    counted = json.dumps({name: 1, "epoch": epoch, "seq": seq})
    text = "n=%d.%d" % (epoch, seq)
    return {
        "option 65100": ([], [(SEQUENCE, option(epoch, seq))], pack(name), coap.SENML_JSON),
        "query": ([text], [], pack(name), coap.SENML_JSON),
        "query beside a name": (["n=" + name, text], [], "1", coap.TEXT),
        "SenML JSON": ([], [], pack(name, epoch=epoch, seq=seq), coap.SENML_JSON),
        "SenML CBOR": ([], [], cbor_pack(name, epoch, seq), coap.SENML_CBOR),
        "JSON": ([], [], counted, coap.JSON),
        "CBOR": ([], [], cbor.dumps({name: 1, "epoch": epoch, "seq": seq}), coap.CBOR),
        "all of them": ([text], [(SEQUENCE, option(epoch, seq))], counted, coap.JSON),
        "option beside plain JSON": ([], [(SEQUENCE, option(epoch, seq))], plain, coap.JSON),
    }


def post(gateway, query=(), options=(), payload="", format=coap.SENML_JSON, device="counter", source="127.0.0.1"):
    with coap.Peer(gateway.coap_port, source=source) as peer:
        return peer.ask(coap.request(coap.POST, "/obs", ["d=" + device, *query], list(options), payload, format))


def receipt(answer):
    equal(answer.code_text, "2.04", repr(answer))
    equal(answer.option_uint(coap.CONTENT_FORMAT), coap.JSON, repr(answer))
    return json.loads(answer.payload)


def url(gateway, query=""):
    return "http://127.0.0.1:%d/obs%s" % (gateway.http_port, "?" + query if query else "")


def http_post(gateway, data, *headers, query="", content_type=SENML, accept=None):
    options = [part for header in headers for part in ("-H", header)]
    return curl(url(gateway, query), *options, token=gateway.device_token, data=data, content_type=content_type,
                accept=accept)


def need_spool():
    if not re.search(r"(?m)--spool\b", lib.run([lib.BINARY, "serve", "--help"]).out):
        raise lib.Skip("this gateway has no spool, which is what finds repetitions")


def stored(gateway, name, count, device=None):
    lib.wait_until(lambda: len(gateway.observations(name=name, device=device)) >= count, "%s is stored" % name)
    equal(len(gateway.observations(name=name, device=device)), count, name)


# Carriers -----------------------------------------------------------------------------------------------------------

def test_carriers_over_coap(gateway):
    """each carrier over CoAP arrives, and its parts are no observations"""
    name, epoch = next(names), next(epochs)
    carriers = coap_carriers(name, epoch, 0)
    for seq, carrier in enumerate(carriers):
        query, options, payload, format = coap_carriers(name, epoch, seq)[carrier]
        said = receipt(post(gateway, [*query, "level"], options, payload, format))
        equal((said["n"], "duplicate" in said), (1, False), carrier)
    stored(gateway, name, len(carriers), "counter")
    equal([o for o in gateway.observations(device="counter") if o["n"] in ("epoch", "seq")], [])


def test_carriers_over_http(gateway):
    """each carrier over HTTP arrives: header, query, payload"""
    name, epoch = next(names), next(epochs)
    for seq, (headers, query, data) in enumerate([
            (["Weir-Seq: %d.1" % epoch], "", pack(name)),
            (["weir-seq:  %d.2 " % epoch], "", pack(name)),
            ([], "n=%d.3" % epoch, pack(name)),
            ([], "", pack(name, epoch=epoch, seq=4)),
            (["Weir-Seq: %d.5" % epoch], "n=%d.5" % epoch, pack(name, epoch=epoch, seq=5))]):
        answer = http_post(gateway, data, *headers, query=query)
        equal(answer.status, 204, repr(answer))
        assert answer.headers["weir-level"] in ("spooled", "stored", "replicated"), answer
        assert "weir-duplicate" not in answer.headers, answer
        stored(gateway, name, seq + 1)


def test_bad_sequences(gateway):
    """malformed sequences, and those that disagree: 4.00 and 400, and nothing is stored"""
    name = next(names)
    for value in (b"", b"\x01", b"\x05\1\1\1\1\1\1", b"\x01\x00\x01", b"\x00\x20\0\0\0\0\0\0", b"\x00" + b"\x01" * 300):
        answer = post(gateway, [], [(SEQUENCE, value)], pack(name))
        equal(answer.code_text, "4.00", "%s: %r" % (value.hex(), answer))
        assert b"65100" in answer.payload, answer.payload
    for text in ("00.1", "4294967296.1", "1.9007199254740992"):
        equal(post(gateway, ["n=" + text], [], pack(name)).code_text, "4.00", text)
        equal(http_post(gateway, pack(name), query="n=" + text).status, 400, text)
        equal(http_post(gateway, pack(name), "Weir-Seq: " + text).status, 400, text)
    for text in ("1", "1.", "+1.2", "a.b", "1.2.3", "1.2,1.2"):
        equal(http_post(gateway, pack(name), "Weir-Seq: " + text).status, 400, text)
    equal(http_post(gateway, pack(name), "Weir-Seq;").status, 400, "empty")
    equal(http_post(gateway, pack(name), "Weir-Seq: 1.2", "Weir-Seq: 1.2").status, 400, "twice")
    answer = post(gateway, ["n=1.2"], [(SEQUENCE, option(1, 3))], pack(name))
    equal(answer.code_text, "4.00")
    assert b"said twice, differently" in answer.payload, answer.payload
    equal(post(gateway, ["n=1.2"], [], pack(name, epoch=1, seq=3)).code_text, "4.00")
    answer = http_post(gateway, pack(name, epoch=1, seq=3), "Weir-Seq: 1.2")
    equal((answer.status, answer.json()["type"].rsplit(":", 1)[1]), (400, "bad-value"))
    for fields in ({"epoch": 1, "seq": 1.5}, {"epoch": -1, "seq": 1}, {"epoch": 1, "seq": "1"}):
        equal(http_post(gateway, pack(name, **fields)).status, 400, repr(fields))
    equal(gateway.observations(name=name), [])


def test_elective_elsewhere(gateway):
    """what is wrong with option 65100 does not matter where nothing is counted"""
    with coap.Peer(gateway.coap_port) as peer:
        answer = peer.ask(coap.request(coap.GET, "/.well-known/core", [], [(SEQUENCE, b"\xff")]))
        assert answer.code_text in ("2.05", "4.01"), answer
    equal(curl(url(gateway), "-H", "Weir-Seq: x", token=gateway.device_token).status, 200)


def test_in_blocks(gateway):
    """a body in blocks with option 65100 in each"""
    name, epoch = next(names), next(epochs)
    body = json.dumps([{"n": name, "v": 1}, {"n": name, "v": 2}, {"n": name, "v": 3}]).encode()
    with coap.Peer(gateway.coap_port) as peer:
        for number in range(0, len(body), 16):
            last = number + 16 >= len(body)
            answer = peer.ask(coap.request(
                coap.POST, "/obs", ["d=counter", "level"],
                [(SEQUENCE, option(epoch, 1)), (coap.BLOCK1, coap.block(number // 16, not last, 16))],
                body[number:number + 16], coap.SENML_JSON))
            equal(answer.code_text, "2.04" if last else "2.31", repr(answer))
    equal(json.loads(answer.payload)["n"], 3)


# What the answer says -------------------------------------------------------------------------------------------------

def test_answers_over_coap(gateway):
    """no payload unless asked for; ?level, Accept 50, Accept 60; another Accept gets none"""
    for query, accept, format in (([], None, None), (["level"], None, coap.JSON), (["level=spooled"], None, coap.JSON),
                                  ([], coap.JSON, coap.JSON), ([], coap.CBOR, coap.CBOR),
                                  (["level"], coap.CBOR, coap.CBOR), ([], coap.SENML_JSON, None), ([], 41, None),
                                  (["level"], coap.SENML_JSON, coap.JSON)):
        options = [] if accept is None else [(coap.ACCEPT, coap.uint(accept))]
        answer = post(gateway, query, options, pack(next(names)))
        equal((answer.code_text, answer.option_uint(coap.CONTENT_FORMAT)), ("2.04", format), "%r %r" % (query, accept))
        if format is None:
            equal(answer.payload, b"")
            continue
        said = json.loads(answer.payload) if format == coap.JSON else cbor.loads(answer.payload)
        assert said["level"] in ("spooled", "stored", "replicated") and said["n"] == 1 and len(said) == 2, said


def test_answers_over_http(gateway):
    """204 and a header; 200 and a body for ?level or an Accept that names a format; */* names none"""
    for query, accept, content_type in (("", None, None), ("", "*/*", None), ("", "application/*", None),
                                        ("", "text/html, */*;q=0.1", None), ("level", None, "application/json"),
                                        ("", "application/json", "application/json"),
                                        ("", "application/cbor", "application/cbor"),
                                        ("level=spooled", "application/cbor", "application/cbor"),
                                        ("", "application/senml+json", None)):
        answer = http_post(gateway, pack(next(names)), query=query, accept=accept)
        equal(answer.status, 200 if content_type else 204, "%r %r" % (query, accept))
        equal(answer.headers.get("content-type"), content_type, "%r %r" % (query, accept))
        level = answer.headers["weir-level"]
        if content_type == "application/json":
            equal(answer.json(), {"level": level, "n": 1})
        elif content_type:
            equal(cbor.loads(answer.body), {"level": level, "n": 1})


def test_levels(gateway):
    """a request demands more, the tenant too; an unknown level is 4.00"""
    name = next(names)
    for _ in range(2):
        equal(receipt(post(gateway, ["level=stored"], [], pack(name)))["level"], "stored")
    equal(http_post(gateway, pack(name), query="level=stored").headers["weir-level"], "stored")
    equal(len(gateway.observations(name=name)), 3, "stored means that it is there")
    equal(post(gateway, ["level=best"], [], pack(name)).code_text, "4.00")
    equal(http_post(gateway, pack(name), query="level=best").status, 400)


def test_level_of_a_tenant(gateway):
    """weir tenant set --level"""
    gateway.cli("tenant", "add", "careful", "--level", "stored")
    assert "level:   stored" in gateway.cli("tenant", "show", "careful").out
    gateway.cli("device", "add", "careful/one")
    token = gateway.add_token("--tenant", "careful", "--device", "one")

    def level(query=""):
        return curl(url(gateway, query), token=token, data=pack("x"), content_type=SENML).headers.get("weir-level")

    lib.wait_until(lambda: level() == "stored", "the tenant is known")
    equal(level("level=spooled"), "stored", "less than the tenant demands is passed over")
    assert gateway.cli("tenant", "set", "careful", check=False).status == 2
    assert gateway.cli("tenant", "set", "careful", "--level=some", check=False).status == 2
    assert gateway.cli("tenant", "set", "nobody", "--level=stored", check=False).status == 1
    gateway.cli("tenant", "set", "careful", "--level=spooled")
    assert "level:   spooled" in gateway.cli("tenant", "show", "careful").out


# Repetitions ----------------------------------------------------------------------------------------------------------

def test_repetitions_over_coap(gateway):
    """the same sequence by each carrier, from another port each time: stored once, and told"""
    need_spool()
    name, epoch = next(names), next(epochs)
    query, options, payload, format = coap_carriers(name, epoch, 1)["option 65100"]
    first = receipt(post(gateway, ["level=stored"], options, payload, format))
    assert "duplicate" not in first, first
    for carrier in ("option 65100", "query"):
        query, options, payload, format = coap_carriers(name, epoch, 1)[carrier]
        said = receipt(post(gateway, [*query, "level=stored"], options, payload, format, source="127.0.0.9"))
        equal(said, {"level": "stored", "n": 1, "duplicate": True}, carrier)
    stored(gateway, name, 1)


def test_repetitions_over_both_wires(gateway):
    """a device that falls back from CoAPS to HTTP is the same device"""
    need_spool()
    name, epoch = next(names), next(epochs)
    for seq in (7, 8):
        equal(http_post(gateway, pack(name), "Weir-Seq: %d.%d" % (epoch, seq), query="level=stored").status, 200)
    answer = http_post(gateway, pack(name), query="n=%d.7&level=stored" % epoch)
    equal((answer.status, answer.headers.get("weir-duplicate")), (200, "true"), repr(answer))
    result = lib.coap_client("coaps://127.0.0.1:%d/obs?n=%d.8&level=stored" % (gateway.coaps_port, epoch), "-m", "post",
                             "-t", "110", "-e", pack(name), psk=(gateway.psk_identity, gateway.psk))
    assert '"duplicate":true' in result.out, result
    stored(gateway, name, 2)


def test_conflicts(gateway):
    """the same sequence with other content: 4.09, 409"""
    need_spool()
    name, epoch = next(names), next(epochs)
    equal(http_post(gateway, pack(name, 1), "Weir-Seq: %d.1" % epoch, query="level=stored").status, 200)
    answer = http_post(gateway, pack(name, 2), "Weir-Seq: %d.1" % epoch, query="level=stored")
    equal((answer.status, answer.json()["type"].rsplit(":", 1)[1]), (409, "sequence-conflict"), repr(answer))
    assert "retry-after" not in answer.headers, answer
    for value, code in ((1, "2.04"), (2, "4.09")):
        answer = post(gateway, ["level=stored"], [(SEQUENCE, option(epoch, 1))], pack(name, value), device="other")
        equal(answer.code_text, code, repr(answer))
    stored(gateway, name, 2)


def test_what_says_nothing_has_its_number(gateway):
    """a message without an observation takes its sequence number: nothing is missing, and no other may have it"""
    need_spool()
    gateway.add_device("demo/quiet", None)
    token = gateway.add_token("--tenant", "demo", "--device", "quiet")
    epoch, obs, etch = next(epochs), "application/senml+json", "application/senml-etch+json"
    post = lambda seq, data, query="", content_type=obs, method="POST": curl(
        url(gateway, query), "-H", "Weir-Seq: %d.%d" % (epoch, seq), token=token, data=data, content_type=content_type,
        method=method)
    nothing = ((2, '[{"bn":"quiet:"}]'), (3, '[{"n":"none","v":null}]', "", etch, "PATCH"),
               (4, "t|null", "f=ultralight", "text/plain"))
    lib.wait_until(lambda: post(1, pack("quiet")).status == 204, "the token is known")
    for each in nothing:
        answer = post(*each)
        equal((answer.status, answer.headers.get("weir-duplicate")), (204, None), repr(answer))
    for limit in ("", "level=stored"):
        for seq, data, *more in nothing:
            answer = post(seq, data, "&".join(filter(None, (*more[:1], limit))), *more[1:])
            assert answer.status in (200, 204) and answer.headers["weir-duplicate"] == "true", answer
            equal(post(seq, pack("other"), limit).status, 409)
    answer = post(5, '[{"bn":"quiet:"}]', "level=stored")
    equal(answer.json(), {"level": "stored", "n": 0})
    equal(post(6, pack("quiet")).status, 204)
    stored(gateway, "quiet", 2)
    equal(gateway.redis("EXISTS", "weir:{demo}:conflicts"), 0)
    delivery = curl("http://127.0.0.1:%d/devices/quiet" % gateway.http_port, token=gateway.operator_token).json()["delivery"]
    equal((delivery["highest"], delivery["missing"]), (6, 0))
    # Without a number there is nothing to keep.
    before = gateway.metric("weir_sink_messages_total")
    equal(http_post(gateway, '[{"bn":"sensor-1:"}]').status, 204)
    equal(gateway.metric("weir_sink_messages_total"), before)


def test_repetitions_after_a_kill(workers):
    """a device repeats, in a new exchange, what the gateway that was killed had taken"""
    need_spool()
    gateway = lib.Gateway(workers=workers)
    try:
        name, epoch = next(names), next(epochs)
        arguments = dict(options=[(SEQUENCE, option(epoch, 1))], payload=pack(name))
        equal(post(gateway, **arguments).code_text, "2.04")
        gateway.kill()
        gateway.start()
        said = receipt(post(gateway, ["level=stored"], **arguments))
        equal((said["level"], said.get("duplicate")), ("stored", True))
        stored(gateway, name, 1)
    finally:
        gateway.stop()


# A device that is removed -----------------------------------------------------------------------------------------------

def counted(gateway, token, epoch, seq, value):
    """Status of an observation with a sequence, and whether it was taken for a repetition."""
    answer = curl(url(gateway, "n=%d.%d" % (epoch, seq)), token=token, data=pack("t", value), content_type=SENML)
    return answer.status, answer.headers.get("weir-duplicate")


def knows_all(gateway, *others):
    """Waits until the gateways have followed what was changed up to now."""
    marker = next(names)
    gateway.cli("device", "add", "demo/" + marker, "--psk-generate")
    for each in (gateway, *others):
        path = "http://127.0.0.1:%d/devices/%s" % (each.http_port, marker)
        lib.wait_until(lambda: curl(path, token=gateway.operator_token).status == 200, "all changes are known")


def add_counter(gateway, *others):
    """A device that has sent 1 to 100 without 50, of epochs 1 and 2, and a token of it."""
    device = next(names)
    gateway.cli("device", "add", "demo/" + device, "--psk-generate")
    token = gateway.add_token("--tenant", "demo", "--device", device)
    knows_all(gateway, *others)
    for epoch in (1, 2):
        for seq in (*range(1, 50), *range(51, 121)):
            equal(counted(gateway, token, epoch, seq, seq), (204, None))
    gateway.wait_pushed()
    return device, token


def exchange(gateway, device, *others):
    """Another device under the id; its token, as that of the one before proves it no more."""
    gateway.cli("device", "remove", "demo/" + device)
    gateway.cli("device", "add", "demo/" + device, "--psk-generate")
    token = gateway.add_token("--tenant", "demo", "--device", device)
    knows_all(gateway, *others)
    return token


def memory_of(gateway, device):
    """What Redis remembers of the sequences of a device."""
    found = [field for key in ("seen", "epoch") for field in gateway.redis("HKEYS", "weir:{demo}:" + key)]
    found += gateway.redis("ZRANGE", "weir:{demo}:superseded", 0, -1)
    return [field for field in found if field.split()[0].decode() == device] + [
        key for kind in ("holes", "once", "epochs")
        for end in ("", ":*") for key in gateway.redis("KEYS", "weir:{demo}:%s:%s%s" % (kind, device, end))]


def test_removed_and_registered_anew(gateway):
    """a device under the id of a removed one begins anew: in Redis, in this gateway and in another one"""
    need_spool()
    with lib.Gateway(demo=False, redis=gateway.redis_address) as other:
        device, token = add_counter(gateway, other)
        equal(counted(gateway, token, 2, 1, 1000)[0], 409, "what is remembered of it")
        equal(counted(gateway, token, 1, 1, 1), (204, "true"))
        equal(len(memory_of(gateway, device)), 7, repr(memory_of(gateway, device)))
        token = exchange(gateway, device, other)
        equal(memory_of(gateway, device), [])
        # Numbers, holes and contents of the one before, as another device has them.
        for each, epoch, seqs in ((gateway, 2, range(1, 121)), (other, 1, range(1, 121))):
            for seq in seqs:
                equal(counted(each, token, epoch, seq, seq if seq % 2 else 1000), (204, None), "%d.%d" % (epoch, seq))
            each.wait_pushed()
        equal(len(gateway.observations(device=device)), 2 * 119 + 2 * 120)
        equal([fields for _, fields in gateway.redis.stream("weir:{demo}:conflicts") if dict(fields)["d"] == device], [])
        for each, epoch, seq in ((gateway, 2, 50), (other, 1, 50), (other, 2, 120), (gateway, 1, 120)):
            equal(counted(each, token, epoch, seq, 1000)[0], 204)
            each.wait_pushed()
        equal(len(gateway.observations(device=device)), 2 * 119 + 2 * 120, "and what comes again is a repetition")


def test_removed_though_it_begins_epochs_all_the_time(gateway):
    """a device that begins a new epoch with each message can be removed: whoever has its key must not hinder that"""
    need_spool()
    device = next(names)
    gateway.add_device("demo/" + device)
    goes_on, sent = threading.Event(), []

    def send(each):
        while not goes_on.is_set():
            epoch = next(epochs)
            post(gateway, ["n=%d.1" % epoch], payload=pack(device), device=device, source="127.0.8.%d" % each)
            sent.append(epoch)

    senders = [threading.Thread(target=send, args=(each,)) for each in range(1, 5)]
    for sender in senders:
        sender.start()
    try:
        lib.wait_until(lambda: len(sent) > 200, "epochs have been begun")
        gateway.cli("device", "remove", "demo/" + device)
    finally:
        goes_on.set()
        for sender in senders:
            sender.join()


def test_removed_while_a_gateway_was_down(workers):
    """a gateway that finds messages of a removed device in its spool does not remember them as of the one that has its id"""
    need_spool()
    gateway = lib.Gateway(workers=workers)
    try:
        device, token = add_counter(gateway)
        gateway.kill()
        gateway.start()
        knows_all(gateway)
        equal(counted(gateway, token, 2, 1, 1000)[0], 409, "the spool is read at start")
        token = exchange(gateway, device)
        gateway.kill()
        gateway.start()
        knows_all(gateway)
        equal(counted(gateway, token, 2, 1, 1000), (204, None))
        equal(counted(gateway, token, 2, 2, 2), (204, None))
        equal(len(gateway.observations(device=device)), 2 * 119 + 2)
    finally:
        gateway.stop()


# The simulator --------------------------------------------------------------------------------------------------------

def test_simulator(gateway):
    """weir sim by each carrier, with levels"""
    for seq in ("option", "query", "senml", "none"):
        for format in ("senml-json", "senml-cbor"):
            result = lib.run([lib.BINARY, "sim", "--target", "127.0.0.1", "--port", str(gateway.coap_port), "--devices",
                              "5", "--rate", "40", "--seconds", "0.5", "--seq", seq, "--format", format, "--level",
                              "stored"], check=True)
            report = json.loads(result.out.strip().splitlines()[-1])
            assert report["acknowledged"] > 0, report
            equal((report["levels"]["stored"], report["refused"], report["duplicates"]),
                  (report["acknowledged"], 0, 0), repr(report))
