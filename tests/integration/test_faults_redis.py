# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis dies, hangs, forgets, refuses (fault cases F1 to F8 and F11 to F14): acknowledged is stored, once.

Each case says which change of the gateway would make it fail.
"""
import glob
import json
import os
import shutil
import time

import fake_redis
import lib
import resp
from campaign import Campaign
from fake_redis import ALWAYS, FakeRedis
from lib import curl, equal

WORKERS = (2,)
LOAD = {"devices": 60, "rate": 300}
FLOOD = {"devices": 100, "rate": 600}
HAS_SANITIZER = b"__asan_init" in open(lib.shutil.which(lib.BINARY), "rb").read()


def ops(gateway, path):
    return curl("http://127.0.0.1:%d/%s" % (gateway.ops_port, path))


def wait_metric(gateway, name, at_least=1, limit_s=lib.PATIENCE_S):
    lib.wait_until(lambda: gateway.metric(name) >= at_least, "%s >= %g" % (name, at_least), limit_s)


def settled_metric(campaign, name, more):
    """A counter that has stopped: it is the same after so many more acknowledgements. Replies were under way at first."""
    def is_same():
        before = campaign.gateway.metric(name)
        campaign.wait_acknowledged(more)
        return campaign.gateway.metric(name) == before
    lib.wait_until(is_same, name + " stands still")


def wait_degraded(gateway, reason):
    """/ready says yes, because the spool takes what comes, and why it is not as it should be."""
    def is_told():
        answer = ops(gateway, "ready")
        return answer.status == 200 and answer.body.startswith(b"degraded: ") and reason in answer.body.decode()

    lib.wait_until(is_told, "degraded: " + reason)


def aof(redis):
    """The file that Redis appends to."""
    return sorted(glob.glob(redis.folder + "/appendonlydir/*.incr.aof"), key=os.path.getmtime)[-1]


def lose_tail(redis, octets):
    """What a power cut does to a Redis that does not sync, and then redis-check-aof --fix.

    Redis itself would leave the beginning of a transaction that was cut in the file, and execute it together with a
    later one at its next start (valkey-io/valkey#4342).
    """
    lib.wait_until(lambda: os.path.getsize(aof(redis)) > 3 * octets, "there is something to lose")
    redis.kill()
    limit, whole, depth = os.path.getsize(aof(redis)) - octets, 0, 0
    with open(aof(redis), "rb") as file:
        while file.tell() < limit:
            name = resp.read_command(file)[1][0].upper()
            depth += (name == b"MULTI") - (name == b"EXEC")
            if depth == 0 and file.tell() <= limit:
                whole = file.tell()
    assert whole > octets, "nothing to lose yet"
    os.truncate(aof(redis), whole)
    redis.start()


class Backup:
    """A copy of the data of a Redis, to go back to."""

    def __init__(self, redis):
        self.redis, self.folder = redis, redis.folder + "/backup"
        shutil.copytree(redis.folder + "/appendonlydir", self.folder)

    def restore(self):
        self.redis.kill()
        shutil.rmtree(self.redis.folder + "/appendonlydir")
        os.rename(self.folder, self.redis.folder + "/appendonlydir")
        self.redis.start()


def segments(gateway):
    """Those of the spool that have anything in them."""
    listing = json.loads(gateway.cli("spool", "list", "--json").out)
    return [segment for segment in listing["segments"] if segment["records"]]


def wait_released(gateway, lsn):
    """Until the tail does not reach back to the record after this one. Redis is asked first, every ten seconds."""
    def is_released():
        kept = segments(gateway)
        return kept and kept[0]["first_lsn"] > lsn + 1

    lib.wait_until(is_released, "the tail up to %d is released" % lsn, 120)


def settled(campaign, limit_s=120.0):
    """The ledger as it must be at last, without load; the spool pushes again what Redis has lost."""
    result = []

    def is_right():
        result[:] = [campaign.ledger()]
        return campaign.unpushed() == 0 and not result[0].lost

    lib.wait_until(is_right, "Redis has everything again", limit_s)
    equal(result[0].doubled, 0, "doubled")
    assert result[0].acknowledged > 0


def test_killed(workers):
    """F1: Redis is killed under load and comes back seconds later: acknowledgements go on, nothing is lost or doubled"""
    # Fails if an answer waits for Redis, if the push does not come back, if what was under way is not sent again, or if the
    # cursor goes ahead of the verdicts.
    with Campaign(101, workers=workers) as campaign:
        campaign.begin_load(**LOAD)
        for _ in range(3):
            time.sleep(campaign.random.uniform(0.2, 1.5))
            campaign.redis.freeze()  # so that calls are under way that it never sees
            time.sleep(0.2)
            campaign.redis.kill()
            campaign.wait_acknowledged(200)
            equal(ops(campaign.gateway, "health").status, 200)
            wait_metric(campaign.gateway, "weir_push_circuit_open")
            wait_degraded(campaign.gateway, "cannot be reached")
            campaign.redis.start()
        campaign.finish()
        lib.wait_until(lambda: ops(campaign.gateway, "ready").body == b"ready\n", "ready again")
        lib.wait_until(lambda: campaign.gateway.metric("weir_push_circuit_open") == 0, "the circuit is closed")


def test_connections_come_back_one_by_one(workers):
    """F1: of the two connections one comes back later than the other, each time: nothing is lost or doubled"""
    # Fails if what could not be sent is passed by while its connection is away and the cursor goes over it, or if later
    # records of its lanes are sent before it.
    with lib.RedisServer() as redis, FakeRedis(redis.address) as fake:
        with Campaign(117, workers=workers, redis=redis, address=fake.address, redis_connections=2) as campaign:
            campaign.begin_load(**LOAD)
            campaign.begin_load(60, 150, 3600, "--seq", "none")
            for _ in range(4):
                campaign.wait_acknowledged(50)
                # The question for the library, which is the first on a new connection, is answered too late for one.
                late = fake.on("FCALL_RO", campaign.random.randrange(1, 3), fake_redis.hold(1.5))
                fake.cut()
                stored = campaign.gateway.metric("weir_push_records_total")
                lib.wait_until(lambda: late.struck, "one comes late")
                wait_metric(campaign.gateway, "weir_push_records_total", stored + 50)
            campaign.finish()


def test_executed_and_not_told(workers):
    """F2: Redis executes a batch and dies before it answers: the batch is sent again and counts once"""
    # Fails if the Function appends without judging, or if the batch is given up. Of the second fleet, which sends no
    # numbers, only the mark tells that a batch comes again.
    with lib.RedisServer() as redis, FakeRedis(redis.address) as fake:
        with Campaign(102, workers=workers, redis=redis, address=fake.address) as campaign:
            campaign.begin_load(**LOAD)
            campaign.begin_load(60, 150, 3600, "--seq", "none")
            for action in (fake_redis.close_after(), fake_redis.half(), fake_redis.close_after()):
                campaign.wait_acknowledged(50)
                rule = fake.on("FCALL", campaign.random.randrange(1, 6), action)
                lib.wait_until(lambda: rule.struck, "the script strikes")
            # And all that are under way at once.
            rule = fake.on("FCALL", ALWAYS, fake_redis.close_after())
            lib.wait_until(lambda: rule.struck >= 5, "the script strikes")
            fake.clear()
            campaign.finish()
            assert campaign.gateway.metric("weir_push_repeated_total") + campaign.gateway.metric(
                "weir_push_duplicates_total") > 0


def test_loses_its_tail(workers):
    """F3: Redis loses the end of what it had, under load and at rest: it is noticed and pushed again"""
    # Fails if the mark in Redis is not compared on connect (at rest), or not named in each call (under load).
    with Campaign(103, workers=workers) as campaign:
        campaign.begin_load(**LOAD)
        campaign.wait_acknowledged(300)
        lose_tail(campaign.redis, 20000)
        campaign.wait_acknowledged(300)
        campaign.finish()
        rewinds = campaign.gateway.metric("weir_push_rewinds_total")
        assert rewinds >= 1
        assert "Redis went back in time" in campaign.gateway.log()
        lose_tail(campaign.redis, 30000)
        settled(campaign)
        assert campaign.gateway.metric("weir_push_rewinds_total") > rewinds


def test_goes_back_while_gateway_is_down(workers):
    """F3: Redis loses its end while the gateway is down: the next start notices"""
    # Fails if the cursor is believed and the marks are not compared at start.
    with Campaign(104, workers=workers) as campaign:
        campaign.begin_load(**LOAD)
        campaign.wait_acknowledged(300)
        campaign.finish()
        campaign.gateway.terminate()  # the cursor says that everything is in Redis
        lose_tail(campaign.redis, 20000)
        campaign.gateway.start()
        settled(campaign)
        assert campaign.gateway.metric("weir_push_rewinds_total") >= 1


def test_restored_from_backup(workers):
    """F4: Redis comes back with an old backup: within the safety tail everything is pushed again"""
    # Fails if segments are unlinked as soon as they are pushed.
    with Campaign(105, workers=workers, spool_segment_bytes=65536) as campaign:
        campaign.begin_load(**LOAD)
        campaign.wait_acknowledged(100)
        backup = Backup(campaign.redis)
        campaign.wait_acknowledged(400)
        backup.restore()
        campaign.wait_acknowledged(100)
        campaign.finish()
        assert "Redis went back in time" in campaign.gateway.log()


def test_restored_beyond_the_tail(workers):
    """F4: an older backup than the tail: the alarm names what is missing, what is left is stored once"""
    # Fails if the missing range is not told, if the tail is never released, or if the push stops for ever at what is gone.
    with Campaign(106, workers=workers, spool_segment_bytes=65536, spool_tail_s=0, spool_tail_bytes=0) as campaign:
        campaign.begin_load(**LOAD)
        campaign.wait_acknowledged(100)
        backup = Backup(campaign.redis)
        in_backup = segments(campaign.gateway)[-1]["last_lsn"]  # at most
        campaign.wait_acknowledged(1000)
        campaign.end_load()
        campaign.wait_drained()
        wait_released(campaign.gateway, in_backup)
        kept_from = segments(campaign.gateway)[0]["first_lsn"]
        backup.restore()
        lib.wait_until(lambda: "Redis went back beyond the safety tail" in campaign.gateway.log(), "the alarm")
        line = [line for line in campaign.gateway.log().splitlines() if "beyond the safety tail" in line][0]
        numbers = dict(part.split("=") for part in line.split() if part.startswith(("from_lsn=", "to_lsn=")))
        assert 0 < int(numbers["from_lsn"]) <= int(numbers["to_lsn"]), line
        assert int(numbers["to_lsn"]) >= kept_from - 1, (line, kept_from)
        campaign.fleets.clear()
        campaign.begin_load(**LOAD)
        campaign.wait_acknowledged(100)
        campaign.finish()


def test_flushed(workers):
    """F5: FLUSHALL and FUNCTION FLUSH by an operator: the tail is pushed again, the Function loaded again"""
    # Fails if a missing mark is taken for a new tenant, or if "Function not found" is not answered by loading it.
    with Campaign(107, workers=workers) as campaign:
        campaign.begin_load(**LOAD)
        campaign.wait_acknowledged(200)
        with campaign.redis.client() as client:
            client("FLUSHALL")
            client("FUNCTION", "FLUSH")
        time.sleep(1)
        campaign.end_load()
        settled(campaign)
        assert campaign.gateway.metric("weir_push_rewinds_total") >= 1


def fast(run):
    """The summary of a fleet whose answers did not wait for a Redis that takes 200 ms or more, in one of some runs: in the
    others the machine may have stood still. "opened_s" is how long the circuit took to open, where that matters."""
    for _ in range(4):
        summary = run()
        if summary["latency_us"]["p50"] < (150_000 if HAS_SANITIZER else 50_000) and summary.get("opened_s", 0) < 1 + 2 + 1:
            return summary
    raise AssertionError("never fast: %r" % summary)


def test_hangs(workers):
    """F6: Redis hangs: the circuit opens within its time-out and 2 s, acknowledgements stay fast, nothing blocks"""
    # Fails if an answer, /metrics or /health waits for Redis, or if the push has no time-out.
    with Campaign(108, workers=workers, redis_timeout_ms=1000) as campaign:
        campaign.begin_load(**LOAD)
        campaign.wait_acknowledged(100)
        campaign.end_load()
        earlier = []

        def hang():
            """Redis hangs from here on."""
            campaign.redis.thaw()
            lib.wait_until(lambda: campaign.gateway.metric("weir_push_circuit_open") == 0, "the circuit is closed")
            campaign.wait_drained()
            earlier.extend(campaign.fleets)
            campaign.fleets.clear()
            campaign.redis.freeze()
            begun = time.monotonic()
            campaign.begin_load(60, 150, 4)
            wait_metric(campaign.gateway, "weir_push_circuit_open")
            opened_s = time.monotonic() - begun
            equal(ops(campaign.gateway, "health").status, 200)
            return {**campaign.fleets[0].wait(120), "opened_s": opened_s}

        summary = fast(hang)
        equal((summary["failed"], summary["refused"]), (0, 0), repr(summary))
        assert campaign.unpushed() >= summary["acknowledged"]
        campaign.redis.thaw()
        campaign.wait_drained()
        campaign.fleets.extend(earlier)
        ledger = campaign.ledger()
        equal((ledger.lost, ledger.doubled), (0, 0))
        lib.wait_until(lambda: campaign.gateway.metric("weir_push_circuit_open") == 0, "the circuit is closed")


def test_slow(workers):
    """F7: Redis takes 200 ms for each command: batches grow, acknowledgements stay fast, the spool empties"""
    # Fails if the push sends one message per call, or if answers wait for it.
    with lib.RedisServer() as redis, FakeRedis(redis.address) as fake:
        with Campaign(109, workers=workers, redis=redis, address=fake.address, redis_timeout_ms=2000) as campaign:
            campaign.begin_load(**LOAD)
            campaign.wait_acknowledged(50)
            campaign.end_load()
            campaign.wait_drained()
            fake.on("FCALL", ALWAYS, fake_redis.hold(0.2))
            calls = 0

            def load():
                nonlocal calls
                campaign.wait_drained()
                calls = fake.count("FCALL")
                campaign.begin_load(60, 300, 4)
                return campaign.fleets[-1].wait(120)

            summary = fast(load)
            campaign.wait_drained()
            per_call = summary["acknowledged"] / (fake.count("FCALL") - calls)
            assert per_call > 5, "%.1f messages per call" % per_call
            ledger = campaign.ledger()
            equal((ledger.lost, ledger.doubled), (0, 0))


def test_out_of_memory(workers):
    """F8: Redis is full: calls are refused whole, the spool takes it up to its bound, then 5.03; it recovers by itself"""
    # Fails if a refused call is taken for stored, if half of a batch is, if a full spool acknowledges, or if the cursor
    # passes what was refused: the gateway dies with it.
    with Campaign(110, workers=workers, spool_max_bytes=1 << 20, spool_segment_bytes=65536) as campaign:
        campaign.begin_load(**FLOOD)
        campaign.wait_acknowledged(100)
        with campaign.redis.client() as client:
            client("CONFIG", "SET", "maxmemory", "1")
            wait_metric(campaign.gateway, "weir_push_refused_total")
            settled_metric(campaign, "weir_push_records_total", 100)
            # Which of both depends on how much of the first segment was pushed before: that counts as used, not as waiting.
            lib.wait_until(lambda: campaign.gateway.metric("weir_spool_pressure") >= 4 or
                           b"The spool has no room" in ops(campaign.gateway, "ready").body, "telemetry is refused", 240)
            refused = campaign.gateway.metric("weir_outcomes_total")
            lib.wait_until(lambda: campaign.gateway.metric("weir_outcomes_total") > refused, "answers go on")
            campaign.kill_gateway()
            client("CONFIG", "SET", "maxmemory", "0")
        lib.wait_until(lambda: campaign.gateway.metric("weir_spool_pressure") == 0, "the pressure falls", 120)
        campaign.wait_acknowledged(100)
        summaries = campaign.end_load()
        assert summaries[0]["codes"].get("5.03", 0) > 0, summaries
        campaign.finish()


def test_becomes_a_replica(workers):
    """F11: Redis becomes a read-only replica: nothing counts as stored, /ready names it, later all is well"""
    # Fails if READONLY is taken for a verdict, or if its batch is dropped.
    with Campaign(111, workers=workers) as campaign:
        campaign.begin_load(**LOAD)
        campaign.wait_acknowledged(100)
        with campaign.redis.client() as client:
            client("REPLICAOF", "127.0.0.1", "1")
            lib.wait_until(lambda: campaign.unpushed() > 0, "the spool fills")
            settled_metric(campaign, "weir_push_records_total", 200)
            wait_degraded(campaign.gateway, "Redis")
            client("REPLICAOF", "NO", "ONE")
        campaign.finish()
        lib.wait_until(lambda: ops(campaign.gateway, "ready").body == b"ready\n", "ready again")


def test_failover_with_lost_tail(workers):
    """F12: a replica that is behind takes over: what it lacks is pushed again"""
    # Fails if a new server under the old address is not compared with the marks.
    port = lib.free_port()
    with lib.RedisServer("--port", str(port), "--bind", "127.0.0.1") as primary, \
            lib.RedisServer("--replicaof", "127.0.0.1 %d" % port) as replica:
        with FakeRedis(primary.address) as fake:
            with Campaign(112, workers=workers, redis=primary, address=fake.address) as campaign:
                with replica.client() as client:
                    lib.wait_until(lambda: b"master_link_status:up" in client("INFO", "replication"), "replication")
                    campaign.begin_load(**LOAD)
                    campaign.wait_acknowledged(200)
                    client("REPLICAOF", "NO", "ONE")
                campaign.wait_acknowledged(300)
                fake.upstream = replica.address
                primary.kill()
                fake.cut()
                campaign.wait_acknowledged(100)
                campaign.redis = replica
                campaign.finish()
                assert campaign.gateway.metric("weir_push_rewinds_total") >= 1


def test_network_is_cut(workers):
    """F13: connections that say nothing more, busy and idle: given up within seconds, pushed over new ones"""
    # Fails if a request to Redis has no time-out, or if an idle connection is believed for ever.
    with lib.RedisServer() as redis, FakeRedis(redis.address, tcp=True) as fake:
        with Campaign(113, workers=workers, redis=redis, address=fake.address, redis_timeout_ms=1000) as campaign:
            campaign.begin_load(**LOAD)
            campaign.wait_acknowledged(100)
            for _ in range(2):
                fake.strand()
                stored = campaign.gateway.metric("weir_push_records_total")
                wait_metric(campaign.gateway, "weir_push_records_total", stored + 50)
            campaign.end_load()
            campaign.wait_drained()
            fake.strand()
            campaign.begin_load(60, 150, 1)
            campaign.fleets[-1].wait(120)
            campaign.wait_drained()
            campaign.finish()


def test_function_is_missing(workers):
    """F14: the Function goes away: it is loaded again; where that is not allowed nothing is pushed and nothing bypasses it"""
    # Fails if weir falls back to XADD, drops what cannot be pushed, or says that it is ready.
    with lib.RedisServer() as redis, FakeRedis(redis.address) as fake:
        with Campaign(114, workers=workers, redis=redis, address=fake.address) as campaign:
            campaign.begin_load(**LOAD)
            campaign.wait_acknowledged(100)
            bypassed = fake.on("XADD", ALWAYS, fake_redis.Action("pass"),
                               wanted=lambda arguments: arguments[1].endswith(b":obs"))
            with redis.client() as client:
                client("FUNCTION", "DELETE", "weir")
                stored = campaign.gateway.metric("weir_push_records_total")
                wait_metric(campaign.gateway, "weir_push_records_total", stored + 50)
                loads = fake.on("FUNCTION", ALWAYS, fake_redis.error(fake_redis.NOPERM),
                                wanted=lambda arguments: arguments[1].upper() == b"LOAD")
                client("FUNCTION", "DELETE", "weir")
            lib.wait_until(lambda: loads.struck, "weir tries to load it")
            wait_metric(campaign.gateway, "weir_push_circuit_open")
            campaign.wait_acknowledged(200)
            lib.wait_until(lambda: ops(campaign.gateway, "ready").status == 503, "not ready")
            assert "Function" in ops(campaign.gateway, "ready").body.decode() or "library" in ops(
                campaign.gateway, "ready").body.decode(), ops(campaign.gateway, "ready")
            equal(bypassed.seen, 0)
            fake.clear()
            campaign.finish()
            lib.wait_until(lambda: ops(campaign.gateway, "ready").status == 200, "ready again")


def test_function_of_other_versions(workers):
    """F14: an older library is replaced, so is one that says no version, a newer one is left alone"""
    # Fails if weir loads its own over that of a newer gateway, or goes on with an older one.
    def library(version):
        return ("#!lua name=weir\nredis.register_function{function_name = 'weir_version', flags = {'no-writes'}, "
                "callback = function() return %d end}" % version)

    with lib.RedisServer() as redis, redis.client() as client:
        client("FUNCTION", "LOAD", library(0))
        with Campaign(115, workers=workers, redis=redis) as campaign:
            campaign.begin_load(**LOAD)
            campaign.finish()
            own = client("FCALL_RO", "weir_version", "0")
            assert own > 0, own
            client("FUNCTION", "LOAD", "REPLACE", library(own + 1))
            campaign.gateway.kill()
            campaign.gateway.start()
            equal(client("FCALL_RO", "weir_version", "0"), own + 1)
            client("FUNCTION", "LOAD", "REPLACE", library(own + 1).replace("weir_version", "other"))
            campaign.gateway.kill()
            campaign.gateway.start()
            lib.wait_until(lambda: ops(campaign.gateway, "ready").status == 200, "ready with its own")
            equal(client("FCALL_RO", "weir_version", "0"), own)


def test_refusals(workers):
    """what Redis says instead of yes (LOADING, BUSY, MISCONF, WRONGPASS and others): tried again, stored once"""
    # Fails if one of them counts as an answer, or ends the push for good.
    with lib.RedisServer() as redis, FakeRedis(redis.address) as fake:
        with Campaign(116, workers=workers, redis=redis, address=fake.address) as campaign:
            campaign.begin_load(**LOAD)
            for text in (fake_redis.LOADING, fake_redis.READONLY, fake_redis.OOM, fake_redis.MISCONF, fake_redis.BUSY,
                         fake_redis.NOPERM, fake_redis.NOREPLICAS, fake_redis.MASTERDOWN, fake_redis.TRYAGAIN,
                         "ERR something new"):
                rule = fake.on("FCALL", campaign.random.randrange(1, 4), fake_redis.error(text))
                lib.wait_until(lambda: rule.struck, "the script strikes with " + text.split()[0])
                fake.clear()
            for action in (fake_redis.dribble(1), fake_redis.close_before(), fake_redis.reply(["done"]),
                           fake_redis.reply(None), fake_redis.reply(["done", b"nonsense", 0, 0])):
                rule = fake.on("FCALL", 2, action)
                lib.wait_until(lambda: rule.struck, "the script strikes with " + action.name)
                fake.clear()
            campaign.finish()
