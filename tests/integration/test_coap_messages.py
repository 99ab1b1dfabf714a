# SPDX-License-Identifier: GPL-3.0-or-later
"""The CoAP message layer, byte for byte: RFC 7252 3 and 4, cases M1 to M5, M17, M18, M20, T5 and T27."""
import concurrent.futures
import os
import socket

import cbor
import coap
import lib
from coap import ACK, CON, GET, NON, POST, RST, Message, Peer, request
from lib import equal

PACK = '[{"n":"%s","v":%d}]'


def peer(gateway, **more):
    return Peer(gateway.coap_port, **more)


def observation(name, value, type=CON, mid=0, device="m-1", **more):
    return request(POST, "/obs", query=["d=" + device], payload=PACK % (name, value), format=coap.SENML_JSON, type=type,
                   mid=mid, **more)


def answers(gateway, data, known=False):
    """Everything an endpoint gets for a datagram; the pong of a ping sent after it marks the end.

    known: the endpoint has been answered before; otherwise the datagram is its first.
    """
    with peer(gateway) as p:
        if known:
            p.ask(request(GET, "/time"))
        p.send(data)
        mid = p.next_mid()
        p.send(Message(CON, 0, mid))
        pong = Message(RST, 0, mid).encode()
        got = []
        while True:
            answer = p.receive_bytes()
            if answer is None:
                raise AssertionError("no pong after " + data.hex())
            if answer == pong:
                return got
            got.append(answer)


# What is wrong, the datagram, and what it gets: "rst", "" for silence, "rst?" for either. What cannot begin an exchange
# ("rst!") is answered for known endpoints only; a stranger, who may speak another protocol (T27), gets silence or RST.
MALFORMED = [
    ("shorter than a header", "400100", ""),
    ("empty datagram", "", ""),
    ("version 0", "00010001", ""),
    ("version 2", "80010001", ""),
    ("version 3", "c0010001", ""),
    ("TKL 9 in CON", "49010101" + "00" * 9, "rst!"),
    ("TKL 15 in CON", "4f010102" + "00" * 15, "rst!"),
    ("token past the end in CON", "4401010300", "rst"),
    ("marker without payload in CON", "40010104ff", "rst"),
    ("option past the end in CON", "40010105b5616263", "rst"),
    ("option delta 15 in CON", "40010106f0", "rst"),
    ("option length 15 in CON", "400101070f", "rst"),
    ("extended delta past the end in CON", "40010108d0", "rst"),
    ("extended length past the end in CON", "400101090e00", "rst"),
    ("option number above 65535 in CON", "4001010ae0fffee0ffff", "rst"),
    ("empty CON with a token", "4100010baa", "rst"),
    ("empty CON with bytes after the header", "4000010cff", "rst"),
    ("reserved class 1 in CON", "4020010d", "rst!"),
    ("reserved class 6 in CON", "40c0010e", "rst!"),
    ("reserved class 7 in CON", "40e1010f", "rst!"),
    ("TKL 9 in NON", "59010110" + "00" * 9, ""),
    ("marker without payload in NON", "50010111ff", ""),
    ("reserved class 1 in NON", "50200112", ""),
    ("empty NON", "50000113", ""),
    ("TKL 9 in ACK", "69010114" + "00" * 9, ""),
    ("request in ACK", "60010115", ""),
    ("request in RST", "70010116", ""),
    ("bytes after an empty ACK", "60000117ff", ""),
    ("ACK that matches nothing", "60000118", ""),
    ("RST that matches nothing", "70000119", ""),
    ("response in CON that matches nothing", "4045011a", "rst!"),
    ("response in NON that matches nothing", "5045011b", "rst?"),
    ("ping", "4000011c", "rst"),
]


def test_malformed(gateway):
    """format errors get RST in CON and silence elsewhere (M1)"""
    wrong = []
    for what, datagram, expected in MALFORMED:
        for known in (True, False):
            data = bytes.fromhex(datagram)
            rst = b"\x70\x00" + data[2:4]
            silence_or_rst = ([], [rst])
            allowed = {"rst": ([rst],), "": ([],), "rst?": silence_or_rst,
                       "rst!": ([rst],) if known else silence_or_rst}[expected]
            got = answers(gateway, data, known)
            if got not in allowed:
                wrong.append("%s%s: %s -> %s" % (what, "" if known else ", from a stranger", datagram,
                                                 [g.hex() for g in got]))
    assert not wrong, "\n".join(wrong)


JUNK = [
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01",  # DNS
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x00\x05hello",  # TLS record
    b"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04junk",  # DTLS record
    b"\x00" * 64, b"\xff" * 1400,
]


def test_other_protocols(gateway):
    """DNS, SIP, HTTP and TLS at the CoAP port are answered with nothing but silence or RST (T27)"""
    for data in JUNK:
        got = answers(gateway, data)
        for answer in got:
            message = Message.decode(answer)
            assert message.type == RST, (data, answer.hex())


def test_coap_at_the_dtls_port(gateway):
    """CoAP and junk at the DTLS port are dropped in silence (T27)"""
    with Peer(gateway.coaps_port) as p:
        for data in JUNK + [observation("junk", 1, mid=7).encode(), bytes.fromhex("40000001")]:
            p.send(data)
        equal(p.receive_bytes(0.7), None, "answer to junk at the DTLS port")
    equal(gateway.observations(name="junk"), [])


def test_con_is_piggybacked(gateway):
    """a CON POST is answered by one ACK with the same message id and token"""
    with peer(gateway) as p:
        message = observation("piggy", 1, mid=0x4242, token=b"\x01\x02\x03\x04\x05\x06\x07\x08")
        p.send(message)
        answer = p.receive()
        equal((answer.type, answer.code_text, answer.mid, answer.token), (ACK, "2.04", 0x4242, message.token))
        equal(answer.payload, b"")
    entry = gateway.observations(name="piggy")[0]
    equal((entry["d"], entry["a"]), ("m-1", "net"))


def test_non(gateway):
    """a NON POST is answered by a NON with another message id"""
    with peer(gateway) as p:
        message = observation("non", 1, type=NON, mid=0x1111)
        p.send(message)
        answer = p.receive()
        equal((answer.type, answer.code_text, answer.token), (NON, "2.04", message.token))
    equal(len(gateway.observations(name="non")), 1)


def test_duplicate_con(gateway):
    """a repeated CON gets the same bytes and is stored once (M2)"""
    with peer(gateway) as p:
        data = observation("dup", 1, mid=0x2001).encode()
        p.send(data)
        first = p.receive_bytes()
        for i in range(5):
            p.send(data)
            equal(p.receive_bytes(), first, "answer to the duplicate")
            other = observation("dup-other", i, mid=0x3000 + i)
            p.send(other)
            equal(p.receive().mid, other.mid)
    equal(len(gateway.observations(name="dup")), 1)
    equal(len(gateway.observations(name="dup-other")), 5)


def test_duplicates_in_one_burst(gateway):
    """twenty copies sent at once are stored once (M4)"""
    with peer(gateway) as p:
        data = observation("burst", 1, mid=0x2101).encode()
        for _ in range(20):
            p.send(data)
        assert p.ping()
        p.send(data)
        answer = p.receive()
        equal((answer.mid, answer.code_text), (0x2101, "2.04"))
    equal(len(gateway.observations(name="burst")), 1)


def test_duplicate_non(gateway):
    """a repeated NON is not stored again and not answered again"""
    with peer(gateway) as p:
        data = observation("dup-non", 1, type=NON, mid=0x2201).encode()
        p.send(data)
        assert p.receive_bytes()
        p.send(data)
        mid = p.next_mid()
        p.send(Message(CON, 0, mid))
        equal(p.receive_bytes(), Message(RST, 0, mid).encode(), "first answer after the duplicate is the pong")
    equal(len(gateway.observations(name="dup-non")), 1)


def test_same_mid_from_another_endpoint(gateway):
    """the same message id from another port or address is another message"""
    data = observation("same-mid", 1, mid=0x2301, device="m-2").encode()
    with peer(gateway) as a, peer(gateway) as b, peer(gateway, source="127.0.9.9") as c:
        for p in (a, b, c):
            p.send(data)
            equal(p.receive().code_text, "2.04")
    equal(len(gateway.observations(name="same-mid")), 3)


def test_same_mid_other_bytes(gateway):
    """the same message id with other bytes is a new request (M3)"""
    with peer(gateway) as p:
        for value in (1, 2):
            message = observation("reused", value, mid=0x2401)
            p.send(message)
            answer = p.receive()
            equal((answer.code_text, answer.token), ("2.04", message.token))
    equal([e["v"] for e in gateway.observations(name="reused")], ["1", "2"])
    assert gateway.metric("weir_coap_mid_reused_total") >= 1


def test_ping(gateway):
    """a ping is answered by an RST of four bytes"""
    with peer(gateway) as p:
        p.send(Message(CON, 0, 0x5a5a))
        equal(p.receive_bytes(), b"\x70\x00\x5a\x5a")


def test_ping_flood(gateway):
    """pings of one peer are answered at a bounded rate (M20)"""
    with peer(gateway) as p:
        for mid in range(400):
            p.send(Message(CON, 0, mid))
        got = int(p.receive_bytes() is not None)
        while p.receive_bytes(1.0) is not None:
            got += 1
        assert 1 <= got <= 100, got
        equal(p.ask(observation("after-pings", 1)).code_text, "2.04")


# Options, method GET /time unless said otherwise, and the answer.
OPTIONS = [
    ("unknown critical option", GET, "/time", [(2049, b"x")], "4.02"),
    ("unknown elective option", GET, "/time", [(2050, b"x")], "2.05"),
    ("If-Match that matches nothing on POST", POST, "/obs", [(coap.IF_MATCH, b"abc")], "4.12"),
    ("If-None-Match on POST of what exists", POST, "/obs", [(coap.IF_NONE_MATCH, b"")], "4.12"),
    ("Proxy-Uri", GET, "/time", [(coap.PROXY_URI, "coap://[::1]/x")], "5.05"),
    ("Proxy-Scheme", GET, "/time", [(coap.PROXY_SCHEME, "http")], "5.05"),
    ("Accept of three bytes", GET, "/time", [(coap.ACCEPT, b"\0\0\x32")], "4.02"),
    ("Accept twice", GET, "/time", [(coap.ACCEPT, b""), (coap.ACCEPT, b"")], "4.02"),
    ("Accept that cannot be met", GET, "/time", [(coap.ACCEPT, 41)], "4.06"),
    ("ETag of nine bytes is elective", GET, "/time", [(coap.ETAG, b"123456789")], "2.05"),
    ("empty Uri-Host", GET, "/time", [(coap.URI_HOST, b"")], "4.02"),
    ("Uri-Host", GET, "/time", [(coap.URI_HOST, "127.0.0.1")], "2.05"),
    ("Uri-Host twice", GET, "/time", [(coap.URI_HOST, "a"), (coap.URI_HOST, "b")], "4.02"),
    ("Uri-Path .. is never resolved", GET, "/x/../time", [], "4.00"),
    ("Uri-Path . is never resolved", GET, "/./time", [], "4.00"),
    ("Uri-Path %2e%2e is just a name", GET, "/%2e%2e/time", [], "4.04"),
    ("trailing slash is another path", GET, "/time", [(coap.URI_PATH, b"")], "4.04"),
    ("If-Match empty: anything that exists", GET, "/time", [(coap.IF_MATCH, b"")], "2.05"),
    ("unknown path", GET, "/nothing", [], "4.04"),
    ("method that the path has not", coap.DELETE, "/time", [], "4.05"),
    ("method that nobody has", 31, "/time", [], "4.05"),
    ("FETCH", coap.FETCH, "/time", [], "4.05"),
    ("ops routes are not here", GET, "/metrics", [], "4.04"),
    ("Block2 twice", GET, "/time", [(coap.BLOCK2, b"\x02"), (coap.BLOCK2, b"\x02")], "4.02"),
    ("Block2 with SZX 7", GET, "/time", [(coap.BLOCK2, b"\x07")], "4.00"),
    ("Block2 past the end", GET, "/time", [(coap.BLOCK2, coap.block(40, False, 64))], "4.00"),
    ("OSCORE is not spoken here", GET, "/time", [(9, b"")], "4.02"),
]


def test_options(gateway):
    """options: unknown, wrong length, repeated, not for us (M18)"""
    wrong = []
    for what, method, path, options, expected in OPTIONS:
        for type in (CON, NON):
            with peer(gateway) as p:
                message = request(method, path, options=options, type=type, query=["d=opt"] if method == POST else ())
                if method == POST:
                    message.options.append((coap.CONTENT_FORMAT, b"\x6e"))
                    message.payload = b'[{"n":"opt","v":1}]'
                message.mid = p.next_mid()
                p.send(message)
                answer = p.receive()
                if answer is None or answer.code_text != expected or answer.token != message.token:
                    wrong.append("%s: expected %s, got %r" % (what, expected, answer))
    assert not wrong, "\n".join(wrong)
    equal(gateway.observations(name="opt"), [])


def test_bad_option_is_named(gateway):
    """4.02 says which option in concise problem details (RFC 9290)"""
    with peer(gateway) as p:
        answer = p.ask(request(GET, "/time", options=[(2049, b"x")]))
        equal((answer.code_text, answer.option_uint(coap.CONTENT_FORMAT)), ("4.02", 257))
        unprocessed = cbor.loads(answer.payload)[-8]
        assert unprocessed == 2049 or unprocessed == [2049], unprocessed


def test_formats_and_bodies(gateway):
    """bodies that are wrong: 4.00 and 4.15, and nothing is stored"""
    cases = [
        (None, b'[{"n":"bad","v":1}]', "4.15"),
        (42, b'[{"n":"bad","v":1}]', "4.15"),
        (coap.SENML_CBOR, b'[{"n":"bad","v":1}]', "4.00"),
        (coap.SENML_JSON, cbor.dumps([{0: "bad", 2: 1}]), "4.00"),
        (coap.SENML_JSON, b"", "4.00"),
        (coap.SENML_JSON, b"[]", "4.00"),
        (coap.SENML_JSON, b'[{"n":"bad","v":1}', "4.00"),
        (coap.SENML_JSON, b'[{"n":"bad","v":1,"v":2}]', "4.00"),
        (coap.SENML_JSON, b'[{"n":"bad","v":1e999}]', "4.00"),
        (coap.SENML_JSON, b'[{"n":"bad","v":1,"x_":2}]', "4.00"),
        (coap.SENML_JSON, b'[{"n":"bad\\u0000","v":1}]', "4.00"),
        (coap.SENML_JSON, b"[" * 1500 + b"]" * 1500, "4.00"),
        (coap.SENML_CBOR, bytes.fromhex("9bffffffffffffffff"), "4.00"),
        (coap.SENML_CBOR, bytes.fromhex("7bffffffffffffffff"), "4.00"),
        (coap.CBOR, b"\xbf" * 1000, "4.00"),
        (coap.TEXT, b"warm", "4.00"),
    ]
    for format, body, expected in cases:
        with peer(gateway) as p:
            answer = p.ask(request(POST, "/obs", query=["d=bad", "n=bad"], payload=body, format=format))
            equal(answer.code_text, expected, repr(body[:60]))
    equal(gateway.observations(device="bad"), [])


def test_no_response(gateway):
    """No-Response 2 suppresses the 2.04 and leaves an empty ACK (RFC 7967)"""
    with peer(gateway) as p:
        message = observation("quiet", 1, mid=0x2601)
        message.options.append((coap.NO_RESPONSE, b"\x02"))
        p.send(message)
        equal(p.receive_bytes(), Message(ACK, 0, 0x2601).encode())
        quiet = observation("quiet", 2, type=NON, mid=0x2602)
        quiet.options.append((coap.NO_RESPONSE, b"\x1a"))
        p.send(quiet)
        lib.wait_until(lambda: len(gateway.observations(name="quiet")) == 2, "both are stored")
        mid = p.next_mid()
        p.send(Message(CON, 0, mid))
        equal(p.receive_bytes(), Message(RST, 0, mid).encode(), "nothing before the pong")


def test_well_known_core(gateway):
    """/.well-known/core lists and filters, also for strangers"""
    with peer(gateway) as p:
        answer = ask_with_echo(p, request(GET, "/.well-known/core"))
        equal((answer.code_text, answer.option_uint(coap.CONTENT_FORMAT)), ("2.05", 40))
        assert b"</obs>" in answer.payload and b"</time>" in answer.payload, answer.payload
        answer = ask_with_echo(p, request(GET, "/.well-known/core", query=["rt=weir.time"]))
        assert answer.payload.startswith(b"</time>") and b"/obs" not in answer.payload, answer.payload
        answer = ask_with_echo(p, request(GET, "/.well-known/core", query=["rt=nothing"]))
        equal((answer.code_text, answer.payload), ("2.05", b""))


def ask_with_echo(p, message):
    """Answers a 4.01 with Echo as RFC 9175 2.3 says."""
    answer = p.ask(message)
    if answer.code_text == "4.01" and answer.option(coap.ECHO):
        message.options.append((coap.ECHO, answer.option(coap.ECHO)))
        message.token = os.urandom(4)
        answer = p.ask(message)
    return answer


def test_amplification():
    """an unverified peer gets at most three times what it sent (T5)"""
    with lib.Gateway(map_network="") as gateway:
        for path in ("/.well-known/core", "/nothing", "/obs", "/time"):
            with peer(gateway) as p:
                message = request(GET, path, token=b"")
                message.mid = p.next_mid()
                data = message.encode()
                p.send(data)
                got = p.receive_bytes(5)
                assert got is None or len(got) <= 3 * len(data), (path, len(data), len(got))
        with peer(gateway) as p:
            answer = ask_with_echo(p, request(GET, "/.well-known/core"))
            equal(answer.code_text, "2.05")


def test_unmapped_network():
    """plain CoAP without a mapped network takes nothing"""
    with lib.Gateway(map_network="127.0.1.0/24=demo") as gateway:
        with peer(gateway) as p:
            equal(ask_with_echo(p, observation("outside", 1)).code_text, "4.01")
        with peer(gateway, source="127.0.1.5") as p:
            equal(p.ask(observation("inside", 1)).code_text, "2.04")
        equal(gateway.observations(name="outside"), [])
        equal(len(gateway.observations(name="inside")), 1)


def test_many_message_ids(gateway):
    """a peer that uses thousands of message ids is served and does not grow the gateway (M5)"""
    before = gateway.memory_kb()
    with peer(gateway, source="127.0.5.5") as p:
        for mid in range(0, 20000):
            p.send(request(GET, "/time", mid=mid & 0xffff, token=b""))
            if mid % 64 == 63:
                while p.receive_bytes(0.002):
                    pass
        while p.receive_bytes(1):
            pass  # late answers, whose message ids come again
        equal(p.ask(observation("after-many", 1)).code_text, "2.04")
    assert gateway.memory_kb() - before < 40000, gateway.memory_kb() - before


def test_ipv6():
    """the same over IPv6"""
    if not os.path.exists("/proc/net/if_inet6") or not open("/proc/net/if_inet6").read():
        raise lib.Skip("no IPv6 here")
    with lib.Gateway(listen="[::1]", map_network="::1/128=demo") as gateway:
        with Peer(gateway.coap_port, source="::1", host="::1", family=socket.AF_INET6) as p:
            equal(p.ask(observation("six", 1)).code_text, "2.04")
        equal(len(gateway.observations(name="six")), 1)


def test_answer_leaves_from_the_address_asked():
    """with a wildcard socket the answer comes from the address that was asked"""
    with lib.Gateway(listen="0.0.0.0") as gateway:
        for host in ("127.0.0.1", "127.3.2.1"):
            with peer(gateway, host=host) as p:
                p.socket.connect((host, gateway.coap_port))  # the kernel now drops what comes from elsewhere
                message = request(GET, "/time", mid=1)
                p.socket.send(message.encode())
                equal(p.receive().code_text, "2.05")


def test_many_peers_at_once(gateway):
    """two hundred endpoints at once, each stored once"""
    def one(i):
        with peer(gateway, source="127.0.7.%d" % (i + 1)) as p:
            return p.ask(observation("crowd", i, device="c-%d" % i), timeout=30).code_text
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        equal(set(pool.map(one, range(200))), {"2.04"})
    equal(sorted(int(e["v"]) for e in gateway.observations(name="crowd")), list(range(200)))
