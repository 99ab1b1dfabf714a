# SPDX-License-Identifier: GPL-3.0-or-later
"""The push against a Redis that forgets, loses its library, refuses a tenant or stands still.

What a sensor was told and what the stream holds are compared by value: each message carries a number of its own.
"""
import glob
import itertools
import os
import shutil
import time

import coap
import fake_redis
import lib
from coap import POST, Peer, request
from lib import curl, equal

WORKERS = (2,)
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

    def ask(self, device, value, tenant="demo", query=(), timeout=40, padding=0):
        source = {"demo": "127.0.0.1", "other": "127.0.0.2"}[tenant]
        if source not in self.peers:
            self.peers[source] = Peer(self.gateway.coap_port, source=source)
        padded = ',{"n":"padding","vs":"%s"}' % ("x" * padding) if padding else ""
        message = request(POST, "/obs", query=["d=" + device, "n=1.%d" % value, *query], format=coap.SENML_JSON,
                          payload='[{"n":"p","v":%d}%s]' % (value, padded))
        answer = self.peers[source].ask(message, timeout=timeout)
        if answer.code_text[0] == "2":
            self.acknowledged.setdefault((tenant, device), []).append(value)
        return answer

    def send(self, first, count, tenant="demo", padding=0):
        """So many of each device, all acknowledged."""
        for value in range(first, first + count):
            for device in range(DEVICES):
                answer = self.ask("d%d" % device, value, tenant, padding=padding)
                assert answer.code_text[0] == "2", answer

    def stored(self, tenant="demo"):
        with self.redis.client() as client:
            found = {}
            for entry in client.observations(tenant):
                if entry["n"] == "p":
                    found.setdefault((tenant, entry["d"]), []).append(int(entry["v"]))
            return found

    def expect_all(self, tenant="demo", sort=False):
        """All that was acknowledged is there, once, in the order in which it was acknowledged, or in any."""
        wanted = {key: values for key, values in self.acknowledged.items() if key[0] == tenant}
        count = sum(map(len, wanted.values()))
        lib.wait_until(lambda: sum(map(len, self.stored(tenant).values())) >= count, "%d are stored" % count)
        found = self.stored(tenant)
        if sort:
            found = {key: sorted(values) for key, values in found.items()}
        equal(found, wanted, "the stream")


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
            # At once: the push asks for its marks every few seconds.
            client("DEL", *(key for key in client("KEYS", "weir:{demo}:*")
                            if key.split(b":")[2] in (b"obs", b"seen", b"hwm", b"epoch", b"superseded", b"holes")))
            client("FUNCTION", "FLUSH")
        stand.send(20, 3)
        stand.expect_all()
        assert stand.gateway.metric("weir_push_rewinds_total") >= 4


def delete_streams(client):
    """All that the push has written for a tenant."""
    names = (b"obs", b"seen", b"hwm", b"epoch", b"superseded", b"holes", b"once", b"conflicts", b"conflicted")
    keys = [key for key in client("KEYS", "weir:{demo}:*") if key.split(b":")[2] in names]
    client("DEL", *keys)


def flush_but_registry(client):
    """FLUSHALL, and at the same moment the registry from a backup."""
    kept = [key for key in client("KEYS", "weir:*") if key.split(b":")[-1] in (b"tenants", b"changes", b"meta", b"devices",
                                                                              b"tokens", b"rules", b"streams")
            or b":dev:" in key or b":tok:" in key]
    dumps = [(key, client("DUMP", key)) for key in kept]
    assert b"weir:{demo}:obs" not in kept and b"weir:tenants" in kept, kept
    client("MULTI")
    client("FLUSHALL")
    for key, dump in dumps:
        client("RESTORE", key, 0, dump)
    client("EXEC")


def test_forgotten_while_silent(workers):
    """Redis forgets everything, connected, and nobody speaks: what the spool holds comes back, also of the run before"""
    # Fails if only a message of the same lane, or a new connection, lets the push see it.
    for forget in (delete_streams, flush_but_registry):
        with Stand(workers) as stand:
            stand.send(0, 10)
            stand.expect_all()
            stand.gateway.terminate()
            stand.gateway.start()
            stand.send(10, 5)
            stand.expect_all()
            time.sleep(2)  # the first question comes with the connection and must not find it
            with stand.redis.client() as client:
                forget(client)
            stand.expect_all(sort=True)
            assert stand.gateway.metric("weir_push_rewinds_total") >= 8, "lanes of both runs"
            stand.send(15, 1)
            stand.expect_all(sort=True)


def spool_segments(stand):
    """Names of the segments, oldest first."""
    return sorted(os.path.basename(path) for path in glob.glob(stand.gateway.folder + "/spool/*.seg"))


def test_tail_is_released_when_confirmed(workers):
    """The tail goes when it is old and Redis was asked, not before; a Redis that forgot it in between gets it again"""
    # Fails if the age of the tail is enough to unlink it, or if it never goes although all are silent.
    with Stand(workers, spool_tail_s=2, spool_segment_bytes=65536) as stand:
        next_value = 0
        for _ in range(4):
            with stand.redis.client() as client:
                stand.send(next_value, 16, padding=1000)
                next_value += 16
                stand.gateway.wait_pushed()
                octets, before = stand.gateway.metric("weir_spool_bytes"), spool_segments(stand)
                assert len(before) >= 3, before
                lib.wait_until(lambda: spool_segments(stand)[0] not in before[:2], "the tail is released")
                released = time.monotonic()
                lib.wait_until(lambda: stand.gateway.metric("weir_spool_bytes") < octets, "and the gauge says so")
                stand.acknowledged.clear()
                stand.send(next_value, 16, padding=1000)
                next_value += 16
                stand.gateway.wait_pushed()
                tail = spool_segments(stand)
                time.sleep(5)  # older than spool_tail_s, and younger than the next question
                delete_streams(client)
            # The next question comes 10 s after the last; a machine that was slower than that proves nothing.
            if time.monotonic() - released < 9:
                assert set(tail) <= set(spool_segments(stand)), "nothing was unlinked before the question"
                break
        else:
            raise lib.Skip("too slow to be between two questions")
        wanted = {key: sorted(values) for key, values in stand.acknowledged.items()}

        def all_is_back():
            found = stand.stored()
            return all(set(values) <= set(found.get(key, ())) for key, values in wanted.items())
        lib.wait_until(all_is_back, "what was acknowledged is back")
        equal([key for key, values in stand.stored().items() if len(values) != len(set(values))], [], "doubled")


def test_small_spool(workers):
    """A spool of the least size and default segments, Redis alive: thousands of messages and none is refused"""
    # Fails if segments are as large as the spool, so that none can ever go, or if room is only made when there is none.
    with Stand(workers, spool_max_bytes=1048576, redis_timeout_ms=30000) as stand:
        for value in range(3000):
            answer = stand.ask("d%d" % (value % DEVICES), value, padding=1000)
            equal(answer.code_text, "2.04", "message %d" % value)
            if value % 200 == 199:
                stand.gateway.wait_pushed()  # what a slow Redis has not yet fills the spool, too
        stand.expect_all()
        assert stand.gateway.metric("weir_spool_bytes") < 1048576


def exchange(gateway, content, *query):
    """Content for the same sequence number: (code, payload)."""
    with Peer(gateway.coap_port) as peer:
        answer = peer.ask(request(POST, "/obs", query=["d=c1", "n=1.7", "level", *query], format=coap.SENML_JSON,
                                  payload='[{"n":"x","v":%d}]' % content))
        return answer.code_text, answer.payload


def conflicts(client):
    if not client("EXISTS", "weir:{demo}:conflicts"):
        return []
    return [dict(fields)["v"] for _, fields in client.stream("weir:{demo}:conflicts")]


def test_conflict_of_two_gateways(workers):
    """Another gateway has stored other content: kept once; what is stored is a duplicate, what is not is a conflict"""
    # Fails if a repetition is kept again, or if a gateway believes its own memory more than Redis.
    patient = {"redis_timeout_ms": 30000, "stored_wait_ms": 30000}
    with Stand(workers, **patient) as stand, \
            lib.Gateway(redis=stand.redis.address, workers=workers, demo=False, **patient) as other, \
            stand.redis.client() as client:
        equal(exchange(stand.gateway, 1)[0], "2.04")
        stand.gateway.wait_pushed()
        code, payload = exchange(other, 2)
        equal(code, "2.04")
        assert b'"spooled"' in payload, payload
        other.wait_pushed()
        equal(conflicts(client), ["2"])
        for _ in range(3):
            equal(exchange(other, 2, "level=stored")[0], "4.09")
        code, payload = exchange(other, 1, "level=stored")
        equal(code, "2.04")
        assert b'"duplicate":true' in payload, payload
        equal(exchange(other, 2, "level=stored")[0], "4.09")
        equal(exchange(other, 2)[0], "2.04")
        other.wait_pushed()
        equal(conflicts(client), ["2"], "kept once")
        for content in (3, 4, 3):
            equal(exchange(other, content, "level=stored")[0], "4.09")
        equal(conflicts(client), ["2", "3", "4"], "other content once more each")
        other.terminate()
        other.start()
        code, payload = exchange(other, 1, "level=stored")
        equal((code, b'"duplicate":true' in payload), ("2.04", True), "after a restart")
        equal(exchange(other, 2, "level=stored")[0], "4.09")
        equal(conflicts(client), ["2", "3", "4"])
        equal([entry["v"] for entry in client.observations()], ["1"])
        # The gateway that has stored it refuses without asking.
        equal(exchange(stand.gateway, 2)[0], "4.09")
        equal(exchange(stand.gateway, 1)[0], "2.04")


def test_other_unit(workers):
    """Without a sequence number other content is another message: never 4.09"""
    # Fails if a message whose time and values were seen, but not its unit, is refused as a conflict.
    with lib.Gateway(workers=workers) as gateway, Peer(gateway.coap_port) as peer:
        for query in ([], ["u=K"], ["u=Cel"], ["u=K"]):
            answer = peer.ask(request(POST, "/obs", query=["d=w1", *query], format=coap.JSON,
                                      payload='{"a":1,"ts":1763692800}'))
            equal(answer.code_text, "2.04", "with %r" % query)
        gateway.wait_pushed()
        assert "" in [entry["u"] for entry in gateway.observations(device="w1")]


def test_level_missed(workers):
    """level=stored where Redis does not sync before it answers: refused, and the answer says why"""
    with Stand(workers, redis_timeout_ms=30000) as stand:
        stand.gateway.terminate()
        with stand.redis.client() as client:
            client("CONFIG", "SET", "appendfsync", "everysec")
            if client("COMMAND", "INFO", "WAITAOF")[0]:  # by which such a Redis can be made to
                client("CONFIG", "SET", "appendonly", "no")
        stand.gateway.start()
        answer = stand.ask("d0", 0, query=["level=stored"])
        equal(answer.code_text, "5.03")
        assert b"Redis does not sync before it answers" in answer.payload, answer.payload
        equal(stand.ask("d0", 1).code_text, "2.04")


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
            lib.wait_until(lambda: stand.ask("d0", value, query=["level=stored"]).code_text[0] == "2", "it is stored")
            equal(stand.stored()["demo", "d0"], list(range(value + 1)), "stored when it was answered")
        stand.redis.freeze()
        begin = time.monotonic()
        answer = stand.ask("d0", 5, query=["level=stored"])
        equal(answer.code_text, "5.03")
        assert answer.option_uint(coap.MAX_AGE), answer
        assert time.monotonic() - begin < 30, "answered in time"
        equal(stand.ask("d1", 0).code_text[0], "2", "spooled is not concerned")
        lib.wait_until(lambda: stand.gateway.metric("weir_push_circuit_open") == 1, "the circuit is open")
        ready = curl("http://127.0.0.1:%d/ready" % stand.gateway.ops_port)
        assert ready.status == 200 and ready.body.startswith(b"degraded: "), ready
        lib.fastest(lambda: equal(stand.ask("d2", 0, query=["level=stored"]).code_text, "5.03"), 1, "refused at once")
        stand.redis.thaw()
        lib.wait_until(lambda: stand.ask("d0", 5, query=["level=stored"]).code_text[0] == "2", "Redis is there again")
        stand.expect_all()


class Replica(lib.RedisServer):
    """Of another one."""

    def __init__(self, primary_port):
        super().__init__("--replicaof", "127.0.0.1 %d" % primary_port)


REPLICA_WAIT_S = 4


def test_replicated(workers):
    """level=replicated: with a replica, without one (5.03, and nobody else waits for it), and with one again"""
    port = lib.free_port()
    with lib.RedisServer("--port", str(port)) as primary, \
            Stand(workers, address=primary.address, redis_timeout_ms=15000,
                  redis_replica_wait_ms=REPLICA_WAIT_S * 1000) as stand:
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
        # Behind those of the others, one or two at a time, it would wait for minutes. Redis and the disk of this machine
        # may stand still for a moment, and the time-outs above let them.
        values = itertools.count(1000)
        lib.fastest(lambda: equal(stand.ask("d3", next(values), query=["level=stored"]).code_text[0], "2"), REPLICA_WAIT_S,
                    "waits for what others demanded")
        assert "connection to Redis lost" not in stand.gateway.log()
