# SPDX-License-Identifier: GPL-3.0-or-later
"""The push against a Redis that forgets, loses its library, refuses a tenant or stands still.

What a sensor was told and what the stream holds are compared by value: each message carries a number of its own.
"""
import os
import shutil
import time

import coap
import fake_redis
import lib
from coap import POST, Peer, request
from lib import curl, equal

DEVICES = 8  # more than lanes, so that each lane and each connection has some


class Stand:
    """A gateway on a Redis of the test, and a ledger of what was acknowledged."""

    def __init__(self, workers, address=None, **settings):
        self.redis = lib.RedisServer()
        self.acknowledged = {}
        try:
            self.gateway = lib.Gateway(workers=workers, redis=address or self.redis.address,
                                       map_network="127.0.0.1/32=demo,127.0.0.2/32=other",
                                       **{"redis_timeout_ms": 500, **settings})
        except BaseException:
            self.redis.close()
            raise
        self.peers = {}

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        try:
            for peer in self.peers.values():
                peer.close()
            if self.redis.process.poll() is None:
                self.redis.thaw()
            self.gateway.__exit__(kind, *rest)
        finally:
            self.redis.close()

    def ask(self, device, value, tenant="demo", query=(), timeout=40):
        source = {"demo": "127.0.0.1", "other": "127.0.0.2"}[tenant]
        if source not in self.peers:
            self.peers[source] = Peer(self.gateway.coap_port, source=source)
        message = request(POST, "/obs", query=["d=" + device, "n=1.%d" % value, *query], format=coap.SENML_JSON,
                          payload='[{"n":"p","v":%d}]' % value)
        answer = self.peers[source].ask(message, timeout=timeout)
        if answer.code_text[0] == "2":
            self.acknowledged.setdefault((tenant, device), []).append(value)
        return answer

    def send(self, first, count, tenant="demo"):
        """So many of each device, all acknowledged."""
        for value in range(first, first + count):
            for device in range(DEVICES):
                answer = self.ask("d%d" % device, value, tenant)
                assert answer.code_text[0] == "2", answer

    def stored(self, tenant="demo"):
        with self.redis.client() as client:
            found = {}
            for entry in client.observations(tenant):
                found.setdefault((tenant, entry["d"]), []).append(int(entry["v"]))
            return found

    def expect_all(self, tenant="demo"):
        """All that was acknowledged is there, once, in the order in which it was acknowledged."""
        wanted = {key: values for key, values in self.acknowledged.items() if key[0] == tenant}
        count = sum(map(len, wanted.values()))
        lib.wait_until(lambda: sum(map(len, self.stored(tenant).values())) >= count, "%d are stored" % count)
        equal(self.stored(tenant), wanted, "the stream")


def test_order(workers):
    """The order of a device in the stream is the order of acknowledgement"""
    with Stand(workers) as stand:
        stand.send(0, 40)
        stand.expect_all()


def test_flushed(workers):
    """Streams, marks and memory are deleted at run time, and the library: all of the tail is there again, once"""
    with Stand(workers) as stand:
        stand.send(0, 20)
        stand.expect_all()
        with stand.redis.client() as client:
            for key in client("KEYS", "weir:{demo}:*"):
                if key.split(b":")[2] in (b"obs", b"seen", b"hwm", b"epoch", b"superseded", b"holes"):
                    client("DEL", key)
            client("FUNCTION", "FLUSH")
        stand.send(20, 3)
        stand.expect_all()
        assert stand.gateway.metric("weir_push_rewinds_total") >= 4


def test_older_data(workers):
    """Redis comes back with an older copy of its data: what it lost is pushed again, what it has is not"""
    with Stand(workers) as stand:
        stand.send(0, 10)
        stand.expect_all()
        copy = stand.redis.folder + "/copy"
        shutil.copytree(stand.redis.folder + "/appendonlydir", copy)
        stand.send(10, 10)
        stand.expect_all()
        stand.redis.kill()
        shutil.rmtree(stand.redis.folder + "/appendonlydir")
        os.rename(copy, stand.redis.folder + "/appendonlydir")
        stand.redis.start()
        stand.expect_all()
        stand.send(20, 3)
        stand.expect_all()


def test_library_deleted(workers):
    """The library is deleted at run time, again and again: it is loaded again and nothing is passed over"""
    with Stand(workers) as stand:
        stand.send(0, 2)
        with stand.redis.client() as client:
            for i in range(10):
                client("FUNCTION", "FLUSH")
                stand.send(2 + 2 * i, 2)
        stand.expect_all()


def test_one_link_not_ready(workers):
    """One of two connections finds no library for a while: what its lanes missed comes when it has it"""
    with lib.RedisServer() as redis, fake_redis.FakeRedis(redis.address) as fake:
        with Stand(workers, address=fake.address) as stand:
            stand.redis.close()
            stand.redis = redis
            stand.send(0, 2)
            stand.expect_all()
            # One call fails, and the question for the library that follows it.
            missing = fake.on("FCALL", 1, fake_redis.error("ERR Function not found"))
            asked = fake.on("FCALL_RO", 1, fake_redis.error("ERR not now"))
            stand.send(2, 20)
            lib.wait_until(lambda: missing.struck and asked.struck, "the rules have struck")
            stand.send(22, 2)
            stand.expect_all()


def test_tenant_refused(workers):
    """A tenant whose stream is a string does not stop another one, and goes on when the key is removed"""
    with Stand(workers) as stand:
        stand.gateway.cli("tenant", "add", "other")
        with stand.redis.client() as client:
            client("SET", "weir:{other}:obs", "not a stream")
            lib.wait_until(lambda: stand.ask("d0", 0, "other").code_text[0] == "2", "the tenant is known")
            stand.send(1, 5, "other")
            stand.send(0, 10)
            stand.expect_all()
            lib.wait_until(lambda: stand.gateway.metric("weir_push_refused_total") > 1, "it is tried again")
            equal(client("GET", "weir:{other}:obs"), b"not a stream")
            client("DEL", "weir:{other}:obs")
        stand.acknowledged["other", "d0"] = sorted(set(stand.acknowledged["other", "d0"]))
        stand.expect_all("other")


def test_stored(workers):
    """level=stored is answered when Redis has it; with a Redis that stands still 5.03 in time; then all goes on"""
    with Stand(workers, stored_wait_ms=1000) as stand:
        for value in range(5):
            equal(stand.ask("d0", value, query=["level=stored"]).code_text[0], "2")
            equal(stand.stored()["demo", "d0"], list(range(value + 1)), "stored when it was answered")
        stand.redis.freeze()
        begin = time.monotonic()
        answer = stand.ask("d0", 5, query=["level=stored"])
        equal(answer.code_text, "5.03")
        assert answer.option_uint(coap.MAX_AGE), answer
        assert time.monotonic() - begin < 5, "answered in time"
        equal(stand.ask("d1", 0).code_text[0], "2", "spooled is not concerned")
        lib.wait_until(lambda: stand.gateway.metric("weir_push_circuit_open") == 1, "the circuit is open", 5)
        ready = curl("http://127.0.0.1:%d/ready" % stand.gateway.ops_port)
        assert ready.status == 200 and ready.body.startswith(b"degraded: "), ready
        begin = time.monotonic()
        equal(stand.ask("d2", 0, query=["level=stored"]).code_text, "5.03")
        assert time.monotonic() - begin < 1, "refused at once"
        stand.redis.thaw()
        lib.wait_until(lambda: stand.ask("d0", 5, query=["level=stored"]).code_text[0] == "2", "Redis is there again")
        stand.expect_all()


class Replica(lib.RedisServer):
    """Of another one."""

    def __init__(self, primary_port):
        super().__init__("--replicaof", "127.0.0.1 %d" % primary_port)


def test_replicated(workers):
    """level=replicated: with a replica, without one (5.03, and nobody else waits for it), and with one again"""
    port = lib.free_port()
    with lib.RedisServer("--port", str(port)) as primary, \
            Stand(workers, address=primary.address, redis_timeout_ms=2000) as stand:
        stand.redis.close()
        stand.redis = primary
        with Replica(port) as replica:
            with primary.client() as client:
                lib.wait_until(lambda: b"state=online" in client("INFO", "replication"), "the replica is there")
            equal(stand.ask("d0", 0, query=["level=replicated"]).code_text[0], "2")
            with replica.client() as client:
                equal(client("XLEN", "weir:{demo}:obs"), 1, "the replica has it")
        equal(stand.ask("d0", 1, query=["level=replicated"]).code_text, "5.03")
        stand.acknowledged["demo", "d0"].append(1)  # stored all the same, as its sender may find out by asking again
        equal(stand.ask("d1", 0, query=["level=stored"]).code_text[0], "2")
        others_are_not_held_up(stand)
        with Replica(port):
            lib.wait_until(lambda: stand.ask("d0", 1, query=["level=replicated"]).code_text[0] == "2", "a replica again")
        stand.acknowledged["demo", "d0"] = [0, 1]
        lib.wait_until(lambda: stand.gateway.metric("weir_spool_unpushed_records") == 0, "all is pushed")


def others_are_not_held_up(stand):
    """Many that demand what cannot be had, and one that demands less, of the same lane."""
    with Peer(stand.gateway.coap_port, source="127.0.0.1") as demanding:
        for value in range(100, 140):
            demanding.send(request(POST, "/obs", query=["d=d3", "n=1.%d" % value, "level=replicated"],
                                   format=coap.SENML_JSON, payload='[{"n":"p","v":%d}]' % value, mid=value))
            time.sleep(0.05)
        begin = time.monotonic()
        equal(stand.ask("d3", 1000, query=["level=stored"]).code_text[0], "2")
        assert time.monotonic() - begin < 1.5, "waited %.1f s for what others demanded" % (time.monotonic() - begin)
        assert "connection to Redis lost" not in stand.gateway.log()
