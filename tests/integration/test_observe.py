# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe: RFC 7641, cases M13 to M15, with our own bytes, coap-client and aiocoap."""
import asyncio
import json
import subprocess
import time

import coap
import lib
from coap import ACK, CON, GET, NON, POST, RST, Message, Peer, request
from lib import equal

SETTINGS = {"observers_per_peer": 4}


def post(gateway, device, value, name="o"):
    with Peer(gateway.coap_port) as p:
        equal(p.ask(request(POST, "/obs", query=["d=" + device], format=coap.SENML_JSON,
                            payload='[{"n":"%s","v":%d}]' % (name, value))).code_text, "2.04")


def register(p, device, token=None):
    message = request(GET, "/obs", query=["device=" + device], options=[(coap.OBSERVE, b"")], token=token)
    answer = p.ask(message)
    equal(answer.code_text, "2.05")
    return message, answer


def fresh(p, token, timeout):
    """The next notification of the token that has not come before (the gateway repeats what is acknowledged late), or None."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        message = p.receive(max(0.01, end - time.monotonic()))
        if message is None or message.token != token or message.type not in (CON, NON):
            continue
        known = p.__dict__.setdefault("notified", set())
        if message.mid not in known:
            known.add(message.mid)
            return message
        if message.type == CON:
            p.send(Message(ACK, 0, message.mid))
    return None


def notification(p, token, timeout=coap.PATIENCE_S):
    """The same, acknowledged."""
    message = fresh(p, token, timeout)
    if message is not None and message.type == CON:
        p.send(Message(ACK, 0, message.mid))
    return message


def value_of(message):
    return json.loads(message.payload)[0]["v"]


def until_value(p, token, value):
    """Notifications until the newest state; in between may be skipped (RFC 7641 1.3)."""
    seen = []
    end = time.monotonic() + lib.PATIENCE_S
    while time.monotonic() < end:
        message = notification(p, token)
        if message:
            seen.append(message)
            if value_of(message) == value:
                return seen
    raise AssertionError("value %d never came: %r" % (value, seen))


def test_notifications(gateway):
    """an observer gets every last state, in order, with growing numbers"""
    post(gateway, "n1", 1)
    with Peer(gateway.coap_port) as p:
        message, first = register(p, "n1")
        equal(value_of(first), 1)
        numbers = [first.option_uint(coap.OBSERVE)]
        assert numbers[0] is not None, first
        for value in (2, 3, 4):
            post(gateway, "n1", value)
            for note in until_value(p, message.token, value):
                equal(note.code_text, "2.05")
                equal(note.option_uint(coap.CONTENT_FORMAT), coap.SENML_JSON)
                numbers.append(note.option_uint(coap.OBSERVE))
        assert numbers == sorted(set(numbers)), numbers


def test_other_devices_do_not_notify(gateway):
    """values of another device are not told"""
    post(gateway, "n2", 1)
    with Peer(gateway.coap_port) as p:
        message, _ = register(p, "n2")
        post(gateway, "n2-other", 5)
        post(gateway, "n2", 2)
        for note in until_value(p, message.token, 2):
            equal(len(json.loads(note.payload)), 1)


def test_rst_removes(gateway):
    """RST to a notification ends the observation"""
    post(gateway, "n3", 1)
    with Peer(gateway.coap_port) as p:
        message, _ = register(p, "n3")
        post(gateway, "n3", 2)
        note = fresh(p, message.token, coap.PATIENCE_S)
        p.send(Message(RST, 0, note.mid))
        assert p.ping()
        post(gateway, "n3", 3)
        equal(notification(p, message.token, 1.5), None, "a notification after the RST")


def test_deregister(gateway):
    """GET with Observe 1 and the same token ends the observation"""
    post(gateway, "n4", 1)
    with Peer(gateway.coap_port) as p:
        message, _ = register(p, "n4")
        answer = p.ask(request(GET, "/obs", query=["device=n4"], options=[(coap.OBSERVE, b"\x01")],
                               token=message.token))
        equal((answer.code_text, answer.option(coap.OBSERVE)), ("2.05", None))
        post(gateway, "n4", 2)
        equal(notification(p, message.token, 1.5), None, "a notification after deregistering")


def test_plain_get_does_not_cancel(gateway):
    """GET without Observe from the same endpoint leaves the observation alone"""
    post(gateway, "n5", 1)
    with Peer(gateway.coap_port) as p:
        message, _ = register(p, "n5")
        equal(p.ask(request(GET, "/obs", query=["device=n5"])).option(coap.OBSERVE), None)
        post(gateway, "n5", 2)
        until_value(p, message.token, 2)


def test_same_token_again(gateway):
    """registering the same token again does not make two observers"""
    post(gateway, "n6", 1)
    with Peer(gateway.coap_port) as p:
        message, _ = register(p, "n6")
        register(p, "n6", message.token)
        before = gateway.metric("weir_observers")  # some of peers that have gone may end any time
        post(gateway, "n6", 2)
        until_value(p, message.token, 2)
        equal(notification(p, message.token, 1.0), None, "a second notification of the same state")
        assert gateway.metric("weir_observers") <= before


def test_limit(gateway):
    """above the limit of a peer the answer comes without Observe (M13)"""
    post(gateway, "n7", 1)
    with Peer(gateway.coap_port) as p:
        observed = [register(p, "n7")[1].option(coap.OBSERVE) is not None for _ in range(7)]
    equal(observed, [True] * 4 + [False] * 3)


def test_unacknowledged(gateway):
    """one confirmable notification at a time, repeated, and the newest state is not lost (M15)"""
    post(gateway, "n8", 1)
    with Peer(gateway.coap_port) as p:
        message, _ = register(p, "n8")
        for value in range(2, 6):
            post(gateway, "n8", value)
        pending, newest = set(), None
        end = time.monotonic() + lib.PATIENCE_S
        while time.monotonic() < end and newest != 5:
            note = p.receive()
            if note is None or note.token != message.token:
                continue
            newest = value_of(note)
            if note.type == CON:
                pending.add(note.mid)
                if len(pending) > 1:
                    p.send(Message(ACK, 0, note.mid))
        equal(newest, 5)


def test_error_ends_observation(gateway):
    """observing what is not there is answered without Observe"""
    with Peer(gateway.coap_port) as p:
        answer = p.ask(request(GET, "/obs", query=["device=nobody-knows"], options=[(coap.OBSERVE, b"")]))
        equal((answer.code_text, answer.option(coap.OBSERVE)), ("4.04", None))


def test_across_workers(gateway):
    """observers of every worker hear of values that any worker took"""
    post(gateway, "n9", 0)
    peers = [Peer(gateway.coap_port, source="127.0.6.%d" % (i + 1)) for i in range(12)]
    try:
        tokens = [register(p, "n9")[0].token for p in peers]
        for value in range(1, 4):
            post(gateway, "n9", value)
        for p, token in zip(peers, tokens):
            until_value(p, token, 3)
    finally:
        for p in peers:
            p.close()


def test_coap_client_observes(gateway):
    """coap-client -s over DTLS sees the values that come by HTTP"""
    def put(value):
        answer = lib.curl("http://127.0.0.1:%d/obs" % gateway.http_port, data='[{"n":"seen","v":%d}]' % value,
                          content_type="application/senml+json", token=gateway.device_token)
        equal(answer.status, 204, repr(answer))
    put(700)
    program = ["env", "OPENSSL_CONF=/dev/null", "stdbuf", "-o0", "coap-client-openssl", "-s", "90", "-B", "90", "-w",
               "-u", gateway.psk_identity, "-k", lib.printable(gateway.psk),
               "coaps://127.0.0.1:%d/obs?name=seen" % gateway.coaps_port]
    client = lib.spawn(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        expected = [700, 701, 702]
        assert b'"v":700' in client.stdout.readline()
        for value, last in zip(expected[1:], expected):
            put(value)
            line = client.stdout.readline()
            while b'"v":%d' % last in line:
                line = client.stdout.readline()  # repeated, because it was acknowledged late
            assert b'"v":%d' % value in line, line
    finally:
        client.kill()
        client.wait()


def test_aiocoap(gateway):
    """aiocoap posts, reads and observes"""
    aiocoap = lib.aiocoap()

    async def talk():
        context = await aiocoap.Context.create_client_context()
        base = "coap://127.0.0.1:%d/obs" % gateway.coap_port

        async def put(value):
            answer = await context.request(aiocoap.Message(
                code=aiocoap.POST, uri=base + "?d=aio", content_format=110,
                payload=b'[{"n":"x","v":%d}]' % value)).response
            equal(str(answer.code), "2.04 Changed")

        await put(1)
        observed = context.request(aiocoap.Message(code=aiocoap.GET, uri=base + "?device=aio", observe=0))
        first = await observed.response
        values = [json.loads(first.payload)[0]["v"]]

        async def collect():
            async for note in observed.observation:
                values.append(json.loads(note.payload)[0]["v"])
                if values[-1] == 3:
                    return

        collecting = asyncio.ensure_future(collect())
        await put(2)
        await put(3)
        await asyncio.wait_for(collecting, 60)
        equal((values[0], values[-1]), (1, 3))
        big = json.dumps([{"n": "big-%d" % i, "v": i} for i in range(300)]).encode()
        answer = await context.request(aiocoap.Message(code=aiocoap.POST, uri=base + "?d=aio-big", content_format=110,
                                                       payload=big)).response
        equal(str(answer.code), "2.04 Changed")
        answer = await context.request(aiocoap.Message(code=aiocoap.GET, uri=base + "?device=aio-big")).response
        equal(len(json.loads(answer.payload)), 300)
        await context.shutdown()

    asyncio.run(asyncio.wait_for(talk(), 120))
