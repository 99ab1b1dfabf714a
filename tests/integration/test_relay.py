# SPDX-License-Identifier: GPL-3.0-or-later
"""What bad weather does not change: through the relay everything acknowledged is stored once.

The relay itself is checked first, against an echo socket: it must do what its seed says, each time.
"""
import os
import socket
import threading

import coap
import lib
from coap import POST, Peer, request
from lib import equal
from relay import Relay, Weather

WORKERS = (2,)


class Echo:
    """Sends each datagram back."""

    def __enter__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.peers = []
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def _run(self):
        while True:
            data, address = self.socket.recvfrom(65536)
            if data == b"stop":
                return
            self.peers.append(address)
            self.socket.sendto(data, address)

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"stop", ("127.0.0.1", self.port))


def test_relay_is_transparent():
    """without weather everything passes in order"""
    with Echo() as echo, Relay(echo.port) as relay, Peer(relay.port) as p:
        for i in range(0, 300, 10):
            burst = [b"%d" % j for j in range(i, i + 10)]
            for data in burst:
                p.send(data)
            equal([p.receive_bytes() for _ in burst], burst)


def test_relay_drops_by_size():
    """datagrams above the limit do not pass"""
    with Echo() as echo, Relay(echo.port, Weather(max_bytes=100)) as relay, Peer(relay.port) as p:
        p.send(b"x" * 101)
        p.send(b"y" * 100)
        equal(p.receive_bytes(), b"y" * 100)


def test_relay_holds_and_rebinds():
    """hold catches one datagram, rebind changes the source port"""
    with Echo() as echo, Relay(echo.port) as relay, Peer(relay.port) as p:
        relay.hold(lambda direction, data: data == b"hold me")
        p.send(b"hold me")
        p.send(b"next")
        equal(p.receive_bytes(), b"next")
        equal(relay.release(), 1)
        equal(p.receive_bytes(), b"hold me")
        new = relay.rebind(p.port)
        p.send(b"after")
        equal(p.receive_bytes(), b"after")
        equal(echo.peers[-1][1], new)
        assert echo.peers[0][1] != new


def decisions(seed, count=2000):
    from relay import _Direction
    direction = _Direction(Weather(drop=10, duplicate=10, reorder=10), seed)
    return [direction.decide() for _ in range(count)]


def test_relay_repeats_itself():
    """the same seed decides the same, another seed otherwise, in about the proportions asked for"""
    equal(decisions(7), decisions(7))
    assert decisions(7) != decisions(8)
    for kind in range(3):
        share = sum(d[kind] for d in decisions(7)) / 2000
        assert 0.07 < share < 0.13, share


def test_posts_in_bad_weather(gateway):
    """CON POSTs through loss, duplicates and reordering are stored once each"""
    bad = Weather(drop=15, duplicate=20, reorder=15)
    with Relay(gateway.coap_port, bad, bad, seed=11) as relay:
        with Peer(relay.port) as p:
            for i in range(40):
                answer = p.ask(request(POST, "/obs", query=["d=storm"], format=coap.SENML_JSON,
                                       payload='[{"n":"s","v":%d}]' % i), timeout=90, ack_timeout=0.3)
                equal(answer.code_text, "2.04")
        assert relay.up.dropped + relay.down.dropped > 0
    equal([int(e["v"]) for e in gateway.observations(device="storm")], list(range(40)))


def test_dtls_in_bad_weather(gateway):
    """a DTLS handshake and POSTs survive loss and duplicates"""
    bad = Weather(drop=10, duplicate=15, reorder=5)
    with Relay(gateway.coaps_port, bad, bad, seed=5) as relay:
        for i in range(3):
            result = lib.coap_client("coaps://127.0.0.1:%d/obs" % relay.port, "-m", "post", "-t", "110",
                                     "-e", '[{"n":"dtls-storm","v":%d}]' % i, timeout_s=60,
                                     psk=(gateway.psk_identity, gateway.psk))
            equal(result.code, "", repr(result))
    equal(sorted(int(e["v"]) for e in gateway.observations(name="dtls-storm")), list(range(3)))


def test_every_record_twice(gateway):
    """every DTLS record doubled: handled once (T16)"""
    twice = Weather(duplicate=100)
    with Relay(gateway.coaps_port, twice, Weather(), seed=3) as relay:
        result = lib.coap_client("coaps://127.0.0.1:%d/obs" % relay.port, "-m", "post", "-t", "110", "-e",
                                 '[{"n":"doubled","v":1}]', psk=(gateway.psk_identity, gateway.psk))
        equal((result.status, result.code), (0, ""), repr(result))
        assert relay.up.duplicated >= 4
    equal(len(gateway.observations(name="doubled")), 1)


def test_blocks_in_bad_weather(gateway):
    """a Block1 upload through loss and duplicates arrives whole and once"""
    bad = Weather(drop=5, duplicate=10)
    path = os.path.join(gateway.folder, "storm.json")
    with open(path, "w") as file:
        file.write("[" + ",".join('{"n":"blk-%d","v":%d}' % (i, i) for i in range(100)) + "]")
    with Relay(gateway.coaps_port, bad, bad, seed=9) as relay:
        result = lib.coap_client("coaps://127.0.0.1:%d/obs" % relay.port, "-m", "post", "-t", "110", "-b", "512",
                                 "-f", path, timeout_s=80, psk=(gateway.psk_identity, gateway.psk))
        equal(result.code, "", repr(result))
    stored = [e for e in gateway.observations() if e["n"].startswith("blk-")]
    equal(sorted(int(e["v"]) for e in stored), list(range(100)))


def test_late_duplicate(gateway):
    """a datagram held back and delivered after its exchange is over is answered from memory"""
    with Relay(gateway.coap_port) as relay, Peer(relay.port) as p:
        message = request(POST, "/obs", query=["d=late"], format=coap.SENML_JSON, payload='[{"n":"l","v":1}]', mid=77)
        relay.hold(lambda direction, data: direction == Relay.UP)
        p.send(message)
        p.send(message)
        first = p.receive_bytes()
        equal(relay.release(), 1)
        equal(p.receive_bytes(), first)
    equal(len(gateway.observations(device="late")), 1)
