# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad weather between devices and gateway (F30 to F33), and devices that roam between two gateways (F43).

The relay decides by its seed; the fleet repeats as RFC 7252 has it and, when an exchange has failed, sends the same
sequence number again.
"""
import collections
import json
import subprocess
import time

import coap
import lib
from campaign import Campaign, seed_of
from coap import POST, Peer, request
from fake_redis import FakeRedis
from lib import equal
from relay import Relay, Weather

WORKERS = (2,)


def through(seed, workers, weather, *more, seconds=4, devices=60, rate=120, ack_timeout_ms=300):
    """A fleet through the weather; (summary, relay's direction up)."""
    with Campaign(seed, workers=workers, weather=weather) as campaign:
        campaign.begin_load(devices, rate, seconds, "--give-up-s", "120", *more, ack_timeout_ms=ack_timeout_ms)
        summary = campaign.fleets[0].wait(200)
        up = campaign.relays[0].up
        campaign.finish()
        equal((summary["failed"], summary["refused"]), (0, 0), repr(summary))
        return summary, up


def test_loss(workers):
    """F30: 30 % loss both ways: all answered in the end, nothing lost, nothing doubled"""
    # Fails if a repetition is executed again, in the exchange or after it.
    for seed in (30, 31):
        summary, up = through(seed, workers, Weather(drop=30), ack_timeout_ms=40)
        assert up.dropped > 50 and summary["retransmitted"] > 50, summary


def test_duplicates_and_disorder(workers):
    """F31: 20 % doubled, 20 % up to 2 s late: the same"""
    # Fails if a copy that comes after the answer is executed. Of a fleet without numbers only the exchange tells that.
    weather = Weather(duplicate=20, reorder=20, reorder_span=40, reorder_wait_ms=2000)
    for seed, more in ((32, []), (36, ["--seq", "none"])):
        summary, up = through(seed, workers, weather, *more, seconds=3)
        assert up.duplicated > 20 and up.reordered > 20, summary


def test_corrupted(workers):
    """F32: bits turned and ends cut off below DTLS: dropped, repeated, stored once"""
    # Fails if a record is used before its tag is checked. The weather begins after the handshakes, whose first flights
    # nothing protects: a bit turned there ends the handshake, or leaves it without an end (test_damaged_handshake).
    seed = seed_of(33)
    bad = Weather(corrupt=3, truncate=3)
    with Campaign(seed, workers=workers) as campaign:
        key = campaign.fleet_key(40)
        with Relay(campaign.gateway.coaps_port, seed=seed) as relay:
            campaign.begin_load(40, 120, 4, "--give-up-s", "120", "--dtls", "--key-from", key, ports=[relay.port],
                                ack_timeout_ms=300)
            relay.up.weather = relay.down.weather = bad
            summary = campaign.fleets[0].wait(200)
            assert relay.up.corrupted > 5 and relay.up.truncated > 5 and relay.down.corrupted > 5
        campaign.finish()
        equal((summary["failed"], summary["refused"]), (0, 0), repr(summary))
        assert summary["acknowledged"] > 300, summary


class OneBit(Relay):
    """Turns one bit of one datagram, counted over both directions. Whoever comes next is the same device with the same port."""

    def __init__(self, port, datagram, at):
        super().__init__(port)
        self.count, self.struck = 0, False
        for direction in self.directions:
            direction.damaged = lambda data: self._damaged(data, datagram, at)

    def _damaged(self, data, datagram, at):
        self.count += 1
        if self.count - 1 != datagram:
            return data
        self.struck = True
        at = min(at, len(data) - 1)  # repeated by a slow machine it may be a shorter one
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]

    def _client(self, address):
        if self.clients and address not in self.clients:
            self.clients[address] = next(iter(self.clients.values()))
            self.clients[address].address = address
        return super()._client(address)


def one_device(port, key, limit_s):
    """A device that shakes hands and sends a little: how much was acknowledged; 0, too, if it did not end in time."""
    try:
        done = lib.run([lib.BINARY, "sim", "--tenant", "demo", "--devices", "1", "--target", "127.0.0.1", "--port", str(port),
                        "--dtls", "--key-from", key, "--rate", "20", "--seconds", "0.1"], timeout=limit_s)
    except subprocess.TimeoutExpired:
        return 0
    return json.loads(done.out.strip().splitlines()[-1])["acknowledged"]


# Number of the datagram of a PSK handshake, place in it.
DAMAGED = {"the first hello": (0, 40), "its cookie": (1, 30), "the server's hello": (3, 30),
           "the type of the key exchange, after which the device gives up in silence": (4, 13),
           "the device's identity, after which the gateway waits for a Finished that fits": (6, 40),
           "a Finished": (7, 60)}


def test_damaged_handshake(workers):
    """F32: a bit turned in a handshake costs that handshake; the device begins again from the same port at once"""
    # Fails if what is left of the broken handshake swallows the hellos of the next.
    with Campaign(35, workers=workers) as campaign:
        key = campaign.fleet_key(1)
        for what, (datagram, at) in DAMAGED.items():
            with OneBit(campaign.gateway.coaps_port, datagram, at) as relay:
                for limit_s in (0.8, 2, 5, 10, 20):  # a slow device may not have come to the datagram
                    relay.count = 0
                    one_device(relay.port, key, limit_s)
                    if relay.struck:
                        break
                assert relay.struck, what
                assert one_device(relay.port, key, 60) > 0, what


class Deaf:
    """Lets only the fourth copy of each answer pass."""

    def __init__(self):
        self.seen = collections.Counter()

    def __call__(self, direction, data):
        if direction == Relay.UP:
            return True
        self.seen[data] += 1
        return self.seen[data] % 4 == 0


def test_answers_are_lost(workers):
    """F33: three of four answers are lost, always: one execution, the same answer"""
    # Fails if a repetition is executed again or answered otherwise.
    with lib.Gateway(workers=workers) as gateway, Relay(gateway.coap_port, seed=34) as relay:
        relay.sniff = Deaf()
        with Peer(relay.port) as peer:
            for value in range(5):
                # Each copy leaves when the answer to the one before was lost: four of each, however fast the machine is.
                data = request(POST, "/obs", query=["d=deaf"], format=coap.SENML_JSON, mid=peer.next_mid(),
                               payload='[{"n":"deaf","v":%d}]' % value)
                for copy in range(1, 5):
                    peer.send(data)
                    lib.wait_until(lambda: sum(relay.sniff.seen.values()) == 4 * value + copy, "the gateway answers")
                answer = peer.receive()
                equal((answer.code_text, answer.mid), ("2.04", data.mid))
        equal(sorted(relay.sniff.seen.values()), [4] * 5)
        lib.wait_until(lambda: len(gateway.observations(name="deaf")) >= 5, "all are stored")
        equal([e["v"] for e in gateway.observations(name="deaf")], ["0", "1", "2", "3", "4"])
        equal(gateway.metric("weir_coap_duplicates_total"), 15)


# Two gateways -----------------------------------------------------------------------------------------------------

class Roaming:
    """Two gateways on one Redis; the push of the first can be held back."""

    def __init__(self, workers):
        self.redis = lib.RedisServer()
        self.fake = FakeRedis(self.redis.address)
        self.campaign = Campaign(43, workers=workers, redis=self.redis, address=self.fake.address, redis_timeout_ms=60000)
        self.first = self.campaign.gateway
        self.second = lib.Gateway(workers=workers, demo=False, redis=self.redis.address)
        lib.wait_until(lambda: lib.curl("http://127.0.0.1:%d/ready" % self.second.ops_port).status == 200, "ready")

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.fake.clear()
        try:
            self.second.__exit__(*what)
            self.campaign.__exit__(*what)
        finally:
            self.fake.close()
            self.redis.close()

    @staticmethod
    def send(gateway, seq, value, device="roamer"):
        with Peer(gateway.coap_port) as peer:
            return peer.ask(request(POST, "/obs", query=["d=" + device], format=coap.SENML_JSON,
                                    options=[(coap.SEQUENCE, coap.sequence(7, seq))],
                                    payload='[{"n":"roam","v":%d}]' % value), timeout=30).code_text

    def stored(self):
        with self.redis.client() as client:
            return [int(e["v"]) for e in client.observations() if e["n"] == "roam"]


def test_roaming(workers):
    """F43: the answer of gateway A is lost, B gets the same reading, A pushes much later: stored once"""
    # Fails if de-dup is in the gateway, or if the Function forgets what is older than its window.
    with Roaming(workers) as stand:
        equal(stand.send(stand.first, 1, 1), "2.04")
        lib.wait_until(lambda: stand.stored() == [1], "A pushes")
        stand.fake.freeze()
        equal(stand.send(stand.first, 2, 2), "2.04")  # acknowledged, but the device does not hear it
        equal(stand.send(stand.second, 2, 2), "2.04")
        lib.wait_until(lambda: stand.stored() == [1, 2], "B pushes")
        # Two that only A has; then the device goes on at B, far beyond any window.
        for seq in (3, 4):
            equal(stand.send(stand.first, seq, seq), "2.04")
        for seq in range(5, 105):
            equal(stand.send(stand.second, seq, seq), "2.04")
        lib.wait_until(lambda: len(stand.stored()) == 102, "B pushes")
        stand.fake.thaw()
        lib.wait_until(lambda: stand.first.metric("weir_spool_unpushed_records") == 0, "A pushes what it held")
        equal(sorted(stand.stored()), list(range(1, 105)))
        equal(stand.first.metric("weir_push_duplicates_total"), 1)
        # Both again, at either: known by now.
        for gateway in (stand.first, stand.second):
            for seq in (2, 4, 50):
                equal(stand.send(gateway, seq, seq), "2.04")
        time.sleep(0.5)
        lib.wait_until(lambda: stand.second.metric("weir_spool_unpushed_records") == 0, "B is done")
        equal(sorted(stand.stored()), list(range(1, 105)))


def test_same_number_other_content(workers):
    """F43: the same number with other content at two gateways: the first counts, the other is kept in conflicts"""
    # Fails if the Function compares numbers only.
    with Roaming(workers) as stand:
        equal(stand.send(stand.first, 1, 1), "2.04")
        lib.wait_until(lambda: stand.stored() == [1], "A pushes")
        equal(stand.send(stand.first, 1, 100), "4.09")
        equal(stand.send(stand.second, 1, 200), "2.04")  # spooled: B cannot know yet
        lib.wait_until(lambda: stand.second.metric("weir_push_conflicts_total") == 1, "the conflict is seen")
        equal(stand.stored(), [1])
        with stand.redis.client() as client:
            equal(client("XLEN", "weir:{demo}:conflicts"), 1)


def test_two_fleets(workers):
    """F43: two gateways under load, one dies and comes back: nothing lost, nothing doubled"""
    with Campaign(44, gateways=2, workers=workers) as campaign:
        campaign.begin_load(60, 100, 3600, "--give-up-s", "300")
        for number in (0, 1, 0):
            campaign.wait_acknowledged(60)
            campaign.kill_gateway(number, 0.3)
            campaign.kill_redis(0.3)
        campaign.finish()
