# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies larger than a datagram: RFC 7959, cases M6 to M11 of Block1, and Block2 of large answers."""
import json
import os

import coap
import lib
from coap import CON, GET, POST, Peer, request
from lib import equal

SETTINGS = {"body_max": 65536}


def pack(name, count, value=0.5):
    return json.dumps([{"n": "%s-%d" % (name, i), "u": "Cel", "v": value} for i in range(count)])


def named(gateway, prefix):
    return [e for e in gateway.observations() if e["n"].startswith(prefix)]


def block1(p, body, number, more, size=64, device="b-1", tag=None, mid=None, extra=()):
    """Sends one block and returns the answer."""
    options = [(coap.BLOCK1, coap.block(number, more, size)), *extra]
    if tag is not None:
        options.append((coap.REQUEST_TAG, tag))
    message = request(POST, "/obs", query=["d=" + device], options=options, format=coap.SENML_JSON,
                      payload=body[number * size:(number + 1) * size] if isinstance(body, bytes) else body)
    return p.ask(message)


def upload(p, body, size=64, **more):
    blocks = (len(body) + size - 1) // size
    answer = None
    for number in range(blocks):
        answer = block1(p, body, number, number + 1 < blocks, size, **more)
        if number + 1 < blocks:
            equal(answer.code_text, "2.31", "answer to block %d" % number)
            equal(answer.option(coap.BLOCK1), coap.block(number, True, size), "Block1 of the answer")
            equal(answer.payload, b"")
    return answer


def test_upload_by_coap_client(gateway):
    """coap-client uploads 20 kB by Block1 over DTLS"""
    body = pack("up", 400)
    assert len(body) > 15000
    path = os.path.join(gateway.folder, "pack.json")
    with open(path, "w") as file:
        file.write(body)
    for tls, size in (("openssl", "1024"), ("gnutls", "256")):
        result = lib.coap_client("coaps://127.0.0.1:%d/obs" % gateway.coaps_port, "-m", "post", "-t", "110", "-b", size,
                                 "-f", path, psk=(gateway.psk_identity, gateway.psk), tls=tls)
        equal((result.status, result.code), (0, ""), repr(result))
    stored = named(gateway, "up-")
    equal(len(stored), 800)
    equal(len({e["m"] for e in stored}), 2, "one message each")


def test_upload_plain(gateway):
    """blocks of 64 bytes: 2.31 each, then 2.04, stored once"""
    body = pack("plain", 20).encode()
    with Peer(gateway.coap_port) as p:
        answer = upload(p, body)
        equal(answer.code_text, "2.04")
        equal(answer.option(coap.BLOCK1), coap.block((len(body) - 1) // 64, False, 64))
    equal(len(named(gateway, "plain-")), 20)


def test_all_sizes(gateway):
    """every block size from 16 to 1024"""
    for size in (16, 32, 64, 128, 256, 512, 1024):
        with Peer(gateway.coap_port) as p:
            equal(upload(p, pack("size%d" % size, 40 if size > 64 else 8).encode(), size).code_text, "2.04", str(size))


def test_last_block_again(gateway):
    """the last block again, with a new message id, gets the same answer and stores nothing (M9)"""
    body = pack("again", 6).encode()
    last = (len(body) - 1) // 64
    with Peer(gateway.coap_port) as p:
        equal(upload(p, body).code_text, "2.04")
        for _ in range(3):
            equal(block1(p, body, last, False).code_text, "2.04")
    equal(len(named(gateway, "again-")), 6)


def test_block_in_the_middle_again(gateway):
    """a block sent twice under two message ids is taken once"""
    body = pack("twice", 6).encode()
    with Peer(gateway.coap_port) as p:
        equal(block1(p, body, 0, True).code_text, "2.31")
        equal(block1(p, body, 1, True).code_text, "2.31")
        equal(block1(p, body, 1, True).code_text, "2.31")
        answer = None
        for number in range(2, (len(body) + 63) // 64):
            answer = block1(p, body, number, (number + 1) * 64 < len(body))
        equal(answer.code_text, "2.04")
    equal(len(named(gateway, "twice-")), 6)


def test_gap(gateway):
    """a missing block gets 4.08 (M8)"""
    body = pack("gap", 20).encode()
    with Peer(gateway.coap_port) as p:
        equal(block1(p, body, 0, True).code_text, "2.31")
        equal(block1(p, body, 2, True).code_text, "4.08")
    with Peer(gateway.coap_port) as p:
        equal(block1(p, body, 3, False).code_text, "4.08")
    equal(named(gateway, "gap-"), [])


def test_broken_blocks(gateway):
    """short middle block, SZX 7, Block1 on what takes no body (M8)"""
    with Peer(gateway.coap_port) as p:
        equal(block1(p, "[" * 63, 0, True).code_text, "4.00", "63 bytes with M in a block of 64")
        message = request(POST, "/obs", query=["d=b"], options=[(coap.BLOCK1, b"\x0f")], payload="[" * 64,
                          format=coap.SENML_JSON)
        equal(p.ask(message).code_text, "4.00", "SZX 7")
        equal(p.ask(request(POST, "/obs", query=["d=b"], options=[(coap.BLOCK1, b"\x00"), (coap.BLOCK1, b"\x00")],
                            payload="x", format=coap.SENML_JSON)).code_text, "4.02", "Block1 twice")
        assert p.ask(request(POST, "/time", options=[(coap.BLOCK1, coap.block(0, True, 64))], payload="x" * 64,
                             format=coap.SENML_JSON)).code >> 5 == 4


def test_too_large(gateway):
    """4.13 with our limit in Size1: declared, grown beyond, and in one piece (M6)"""
    with Peer(gateway.coap_port) as p:
        answer = block1(p, b" " * 64, 0, True, extra=[(coap.SIZE1, 0xffffffff)])
        equal((answer.code_text, answer.option_uint(coap.SIZE1)), ("4.13", 65536), "declared")
    with Peer(gateway.coap_port) as p:
        answer = block1(p, " " * 1024, 2 ** 20 - 1, True, 1024)
        assert answer.code_text in ("4.13", "4.08"), answer
    with Peer(gateway.coap_port) as p:
        body = b" " * (65536 + 1024)
        for number in range(65):
            answer = block1(p, body, number, True, 1024)
            if answer.code_text != "2.31":
                break
        equal((answer.code_text, answer.option_uint(coap.SIZE1)), ("4.13", 65536), "grown")


def test_declared_sizes_cost_nothing(gateway):
    """two hundred peers that declare the largest size cost no memory (M6)"""
    before = gateway.memory_kb()
    peers = [Peer(gateway.coap_port, source="127.0.8.%d" % (i + 1)) for i in range(200)]
    try:
        for p in peers:
            equal(block1(p, b" " * 64, 0, True, extra=[(coap.SIZE1, 65536)]).code_text, "2.31")
    finally:
        for p in peers:
            p.close()
    assert gateway.memory_kb() - before < 8000, gateway.memory_kb() - before


def test_restart_from_zero(gateway):
    """block 0 in the middle of a body starts it anew"""
    first, second = pack("old", 10).encode(), pack("new", 10).encode()
    with Peer(gateway.coap_port) as p:
        equal(block1(p, first, 0, True).code_text, "2.31")
        equal(block1(p, first, 1, True).code_text, "2.31")
        equal(upload(p, second).code_text, "2.04")
    equal((len(named(gateway, "old-")), len(named(gateway, "new-"))), (0, 10))


def test_request_tags(gateway):
    """blocks of different Request-Tags are never mixed (M10)"""
    a, b = pack("tag-a", 8).encode(), pack("tag-b", 8).encode()
    with Peer(gateway.coap_port) as p:
        equal(block1(p, a, 0, True, tag=b"a").code_text, "2.31")
        answer = block1(p, b, 1, True, tag=b"b")
        equal(answer.code_text, "4.08", "block 1 of a tag that never began")
        equal(upload(p, b, tag=b"b").code_text, "2.04")
    equal(len(named(gateway, "tag-b")), 8)
    equal(named(gateway, "tag-a"), [])


def test_two_peers_interleaved(gateway):
    """two peers upload to one resource at once (M10)"""
    bodies = [pack("il%d" % i, 12).encode() for i in range(2)]
    peers = [Peer(gateway.coap_port), Peer(gateway.coap_port)]
    blocks = (len(bodies[0]) + 63) // 64
    try:
        for number in range(blocks):
            for p, body in zip(peers, bodies):
                answer = block1(p, body, number, number + 1 < blocks)
                equal(answer.code_text, "2.31" if number + 1 < blocks else "2.04")
    finally:
        for p in peers:
            p.close()
    equal([len(named(gateway, "il%d-" % i)) for i in range(2)], [12, 12])


def test_many_bodies_of_one_peer(gateway):
    """a thousand bodies begun by one peer are bounded (M7)"""
    before = gateway.memory_kb()
    with Peer(gateway.coap_port) as p:
        for i in range(1000):
            block1(p, b" " * 1024, 0, True, 1024, tag=b"%d" % i)
        equal(upload(p, pack("after", 5).encode()).code_text, "2.04")
    assert gateway.memory_kb() - before < 8000, gateway.memory_kb() - before


def read_blocks(p, message, size):
    """All of an answer by Block2, and its ETags."""
    body, etags, number = b"", set(), 0
    while True:
        message.options = [o for o in message.options if o[0] != coap.BLOCK2]
        message.options.append((coap.BLOCK2, coap.block(number, False, size)))
        message.token = os.urandom(4)
        answer = p.ask(message)
        equal(answer.code_text, "2.05", "block %d" % number)
        etags.add(answer.option(coap.ETAG))
        value = answer.option_uint(coap.BLOCK2) or 0
        equal(value >> 4, number)
        equal(16 << (value & 7), size, "size of the block")
        body += answer.payload
        if not value & 8:
            return body, etags
        equal(len(answer.payload), size)
        number += 1


def test_large_answer(gateway):
    """GET of many values by Block2 with one ETag"""
    with Peer(gateway.coap_port) as p:
        equal(upload(p, pack("many", 120).encode(), 1024, device="b2").code_text, "2.04")
        for size in (64, 256, 1024):
            body, etags = read_blocks(p, request(GET, "/obs", query=["device=b2"]), size)
            names = {r["n"].split(":")[-1] for r in json.loads(body)}
            equal(names, {"many-%d" % i for i in range(120)})
            assert len(etags) == 1 and None not in etags, etags


def test_large_answer_unasked(gateway):
    """a large answer comes in blocks also when the client asked for none"""
    with Peer(gateway.coap_port) as p:
        equal(upload(p, pack("many", 120).encode(), 1024, device="b3").code_text, "2.04")
        answer = p.ask(request(GET, "/obs", query=["device=b3"]))
        equal(answer.code_text, "2.05")
        assert answer.option_uint(coap.BLOCK2) & 8 and len(answer.payload) <= 1024, answer


def test_large_answer_by_coap_client(gateway):
    """coap-client reads many values over DTLS"""
    path = os.path.join(gateway.folder, "big.json")
    with open(path, "w") as file:
        file.write(pack("cc", 150))
    uri = "coaps://127.0.0.1:%d/obs" % gateway.coaps_port
    psk = (gateway.psk_identity, gateway.psk)
    equal(lib.coap_client(uri, "-m", "post", "-t", "110", "-b", "1024", "-f", path, psk=psk).code, "")
    result = lib.coap_client(uri, "-m", "get", "-b", "256", psk=psk)
    equal((result.status, result.code), (0, ""), repr(result))
    assert len([r for r in json.loads(result.out) if "cc-" in r["n"]]) == 150, result


def test_etag_validates(gateway):
    """a GET with the ETag it got is answered 2.03"""
    with Peer(gateway.coap_port) as p:
        equal(p.ask(request(POST, "/obs", query=["d=et"], payload='[{"n":"e","v":1}]',
                            format=coap.SENML_JSON)).code_text, "2.04")
        first = p.ask(request(GET, "/obs", query=["device=et"]))
        etag = first.option(coap.ETAG)
        assert etag, first
        again = p.ask(request(GET, "/obs", query=["device=et"], options=[(coap.ETAG, etag)]))
        equal((again.code_text, again.option(coap.ETAG), again.payload), ("2.03", etag, b""))
