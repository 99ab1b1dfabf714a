# SPDX-License-Identifier: GPL-3.0-or-later
"""Clocks that jump (F23, F24): the wall clock is set by hand, by NTP after a boot without one, or has a leap second; the
monotonic one jumps when a machine that was suspended goes on.

The clocks of one program move, those of the others and of the devices do not.
"""
import contextlib
import itertools
import json
import time

import coap
import lib
import signing
from campaign import Campaign
from coap import POST, Peer, request
from faults import Shim
from lib import equal
from test_observe import register, until_value

WORKERS = (1,)
HOUR_S = 3600
# From the last to the one before is less than the window of a day in which a windowed message is known.
WALL_S = {"an hour on": HOUR_S, "an hour back": -HOUR_S, "most of a day back": -20 * HOUR_S, "a leap second": -1}

names = ("clock-%d" % i for i in itertools.count(1))


@contextlib.contextmanager
def movable(**settings):
    """(shim, gateway). The spool does not wait for a moment of its clock."""
    with Shim() as shim, lib.Gateway(environment=shim.environment, spool_commit_us=0, **settings) as gateway:
        yield shim, gateway


class Said:
    """One message of each class, and what it takes to say it again as its device would."""

    def __init__(self, gateway):
        self.gateway, self.peer = gateway, Peer(gateway.coap_port)
        self.exact, self.windowed, self.transport = (next(names) for _ in range(3))
        self.messages = [
            (["d=" + self.exact, "n=7.1"], {"n": "a", "v": 1}),
            (["d=" + self.windowed], {"n": "a", "v": 1, "t": int(time.time())}),
        ]
        self.first = request(POST, "/obs", ["d=" + self.transport], format=coap.SENML_JSON, payload='[{"n":"a","v":1}]')
        for message in self.messages:
            self.say(message)
        equal(self.peer.ask(self.first).code_text, "2.04")

    def say(self, message):
        query, record = message
        with Peer(self.gateway.coap_port) as peer:
            equal(peer.ask(request(POST, "/obs", query, format=coap.SENML_JSON, payload=json.dumps([record]))).code_text,
                  "2.04")

    def again(self, with_transport=True):
        for message in self.messages:
            self.say(message)
        if with_transport:
            self.repeat_exchange()

    def repeat_exchange(self):
        """The same datagram from the same port."""
        self.peer.send(self.first)
        answer = lib.wait_until(lambda: self.peer.receive(1), "the repeated exchange is answered")
        equal((answer.mid, answer.code_text), (self.first.mid, "2.04"))

    def check_once(self):
        for device in (self.exact, self.windowed, self.transport):
            equal(len(self.gateway.observations(device)), 1, device)


def test_once_whatever_the_wall_clock(workers):
    """F23: the wall clock an hour on, an hour or most of a day back, a second twice: what was said is said again, and stored once"""
    with movable() as (shim, gateway):
        for what, wall_s in WALL_S.items():
            said = Said(gateway)
            shim.move_clocks(wall_s)
            said.again()
            said.check_once()
            shim.move_clocks()
            said.again()
            said.check_once()


def test_once_after_a_restart_in_another_time(workers):
    """F23: the gateway is killed and comes back in another time, with its old spool: the same, and LSNs go on"""
    with movable() as (shim, gateway):
        for what, wall_s in WALL_S.items():
            said = Said(gateway)
            gateway.kill()
            shim.move_clocks(wall_s)
            gateway.start()
            # How long ago an exchange was is known by the wall clock alone when the process is gone.
            said.again(with_transport=wall_s <= 0)
            said.check_once()
            gateway.kill()
            shim.move_clocks()
            gateway.start()


def test_once_whatever_the_clock_of_redis(workers):
    """F23: the clock of Redis jumps while it runs: the memory of what was seen is none of time, or outlives an hour"""
    with Shim() as shim:
        if shim.has_malloc:
            raise lib.Skip("Redis has an allocator of its own")
        with (lib.RedisServer(environment=shim.environment) as redis,
              lib.Gateway(redis=redis.address) as gateway, lib.Gateway(redis=redis.address, demo=False) as other):
            for wall_s in WALL_S.values():
                said = Said(gateway)
                gateway.wait_pushed()
                shim.move_clocks(wall_s)
                said.again()
                said.gateway = other  # which remembers nothing itself
                said.again(with_transport=False)
                said.check_once()
                gateway.wait_pushed()
                assert abs(int(redis.call("TIME")[0]) - wall_s - time.time()) < 30, "the clock of Redis has not moved"
            ids = [tuple(map(int, entry[0].decode().split("-"))) for entry in redis.call("XRANGE", "weir:{demo}:obs", "-", "+")]
            equal(ids, sorted(ids))


def test_sessions_whatever_the_clocks(workers):
    """F23, F24: a fleet over DTLS while both clocks jump: no session ends, nothing is lost or doubled"""
    with Shim() as shim, Campaign(23, environment=shim.environment, spool_commit_us=0) as campaign:
        key = campaign.fleet_key(40)
        campaign.begin_load(40, 100, 3600, "--dtls", "--key-from", key, ports=[campaign.gateway.coaps_port])
        campaign.wait_acknowledged(200)
        handshakes = campaign.gateway.metric("weir_dtls_handshakes_total")
        monotonic_s = 0
        for wall_s in WALL_S.values():
            monotonic_s += 600
            shim.move_clocks(wall_s, monotonic_s)
            campaign.wait_acknowledged(100)
        summary = campaign.end_load()[0]
        # What is under way when ten minutes are over at once is refused, and sent again.
        equal(summary["failed"], 0, repr(summary))
        equal(campaign.gateway.metric("weir_dtls_handshakes_total"), handshakes, "handshakes")
        campaign.finish()


def test_validity_is_of_the_wall_clock(workers):
    """F23: times that are signed and keys that end are judged by the wall clock of the moment, and nothing sticks"""
    with movable() as (shim, gateway):
        device = next(names)
        gateway.add_device("demo/" + device)
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 12 * HOUR_S))
        added = gateway.cli("key", "add", "demo/" + device, "--kind=hs256", "--id=" + device, "--generate",
                            "--not-after=" + ends).out
        secret = next(line for line in added.splitlines() if "(hex):" in line).split()[-1]
        gateway.secrets.append(secret)
        key = signing.Hs256(bytes.fromhex(secret))

        def send(value, at_s=None, seq=None):
            pack = [{"n": "signed", "v": value, **({"t": at_s} if at_s else {})}]
            # A new port each time: a worker that holds back strangers would hold back this one.
            with Peer(gateway.coap_port, source="127.3.0.%d" % value) as peer:
                return peer.ask(request(POST, "/obs", ["t=demo"], format=65000, payload=signing.jws(
                    key, device, json.dumps(pack), seq=seq))).code_text

        lib.wait_until(lambda: send(1, seq=[1, 1]) == "2.04", "the key is known", 10)
        now_s = int(time.time())
        shim.move_clocks(wall_s=-3 * HOUR_S)
        equal(send(2, at_s=now_s), "4.22", "times three hours ahead")
        equal(send(3, seq=[1, 2]), "2.04", "a sequence, whatever the time")
        shim.move_clocks(wall_s=13 * HOUR_S)
        equal(send(4, seq=[1, 3]), "4.01", "after the end of the key")
        shim.move_clocks()
        equal(send(5, at_s=now_s), "2.04", "the times of before")
        equal(send(6, seq=[1, 3]), "2.04", "the key of before")
        gateway.wait_pushed()
        equal(sorted(entry["v"] for entry in gateway.observations(device)), ["1", "3", "5", "6"])


def test_long_sleep(workers):
    """F24: ten minutes in which nothing ran, once while Redis hangs: observers are told, what was under way is stored once"""
    with (lib.RedisServer() as redis, movable(redis=redis.address) as (shim, gateway), Peer(gateway.coap_port) as observer,
          Peer(gateway.coap_port) as device):
        name = next(names)

        def post(seq):
            equal(device.ask(request(POST, "/obs", ["d=" + name, "n=9.%d" % seq], format=coap.SENML_JSON,
                                     payload='[{"n":"a","v":%d}]' % seq)).code_text, "2.04")

        post(0)
        registered, _ = register(observer, name)
        for sleep in range(1, 4):
            post(10 * sleep)
            gateway.wait_pushed()
            errors = gateway.log().count("level=error")
            shim.move_clocks(wall_s=600 * sleep, monotonic_s=600 * sleep)
            post(10 * sleep)
            post(10 * sleep + 1)
            until_value(observer, registered.token, 10 * sleep + 1)
            gateway.wait_pushed()
            equal(gateway.log().count("level=error"), errors, gateway.log()[-3000:])
        redis.freeze()
        post(50)
        shim.move_clocks(wall_s=2400, monotonic_s=2400)
        post(50)
        post(51)
        redis.thaw()
        gateway.wait_pushed()
        equal(sorted(int(entry["v"]) for entry in gateway.observations(name)), [0, 10, 11, 20, 21, 30, 31, 50, 51])
        lib.wait_until(lambda: lib.curl("http://127.0.0.1:%d/ready" % gateway.ops_port).status == 200, "it is ready again")
