# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis stops, dies and comes back, spool = 0: nothing is acknowledged that is not stored, and the gateway recovers."""
import glob
import os
import signal

import coap
import lib
from coap import CON, POST, Message, Peer, request
from lib import curl, equal

WORKERS = (2,)

SENML = "application/senml+json"


class Stand:
    """A gateway on a Redis that belongs to the test; without a spool (test_faults_redis has the one with)."""

    def __init__(self, workers, **settings):
        self.redis = lib.RedisServer()
        try:
            settings.setdefault("spool", 0)
            self.gateway = lib.Gateway(workers=workers, redis=self.redis.address,
                                       **{"redis_timeout_ms": 5000, **settings})
        except BaseException:
            self.redis.close()
            raise

    def __enter__(self):
        return self.gateway, self.redis

    def __exit__(self, kind, *rest):
        try:
            self.redis.thaw() if self.redis.process.poll() is None else None
            self.gateway.__exit__(kind, *rest)
        finally:
            self.redis.close()


def message(device, name, value):
    return request(POST, "/obs", query=["d=" + device], format=coap.SENML_JSON,
                   payload='[{"n":"%s","v":%d}]' % (name, value))


def ask(gateway, value, device="r", name="r"):
    with Peer(gateway.coap_port) as p:
        return p.ask(message(device, name, value), timeout=60)


def recovers(gateway):
    """Every worker has found Redis again; the address decides which of them one meets."""
    lib.wait_until(lambda: curl("http://127.0.0.1:%d/ready" % gateway.ops_port).status == 200, "ready again")
    lib.wait_until(lambda: ask(gateway, -1, name="probe").code_text == "2.04", "the gateway recovers")


def stored(redis, name="r"):
    with redis.client() as client:
        return [int(e["v"]) for e in client.observations() if e["n"] == name]


def test_redis_frozen(workers):
    """Redis stands still: 5.03 with Max-Age and never an acknowledgement; then all is well again"""
    with Stand(workers) as (gateway, redis):
        equal(ask(gateway, 1).code_text, "2.04")
        redis.freeze()
        answer = ask(gateway, 2)
        equal(answer.code_text, "5.03")
        assert answer.option_uint(coap.MAX_AGE), answer
        http = curl("http://127.0.0.1:%d/obs" % gateway.http_port, data='[{"n":"r","v":3}]', content_type=SENML,
                    token=gateway.device_token)
        equal(http.status, 503)
        assert int(http.headers["retry-after"]) > 0, http
        equal(http.headers["content-type"].split(";")[0], "application/problem+json")
        redis.thaw()
        recovers(gateway)
        equal(ask(gateway, 4).code_text, "2.04")
        values = stored(redis)
        assert values.count(1) == 1 and values.count(4) == 1, values


def test_redis_killed(workers):
    """Redis dies and comes back: 5.03 in between, everything acknowledged is there once"""
    with Stand(workers) as (gateway, redis):
        acknowledged = []
        for round_number in range(3):
            for i in range(20):
                value = round_number * 100 + i
                if ask(gateway, value).code_text == "2.04":
                    acknowledged.append(value)
            redis.kill()
            equal(ask(gateway, 1000 + round_number).code_text, "5.03")
            assert gateway.is_alive()
            redis.start()
            recovers(gateway)
        values = stored(redis)
        for value in acknowledged:
            equal(values.count(value), 1, "value %d" % value)
        equal(len(acknowledged), 60)


def test_killed_with_requests_under_way(workers):
    """Redis is killed under load: what was acknowledged is stored, the rest was refused or left open"""
    with Stand(workers) as (gateway, redis):
        peers = [Peer(gateway.coap_port, source="127.0.3.%d" % (i + 1)) for i in range(60)]
        try:
            for i, p in enumerate(peers):
                p.send(Message(CON, 0, 1))
                data = message("load", "load", i)
                data.mid = 2
                p.send(data)
                if i == 40:
                    redis.kill()
            acknowledged = []
            for i, p in enumerate(peers):
                answer = p.receive()
                while answer is not None and answer.code == 0:
                    answer = p.receive()
                assert answer is not None, "peer %d was never answered" % i
                assert answer.code_text in ("2.04", "5.03"), answer
                if answer.code_text == "2.04":
                    acknowledged.append(i)
        finally:
            for p in peers:
                p.close()
        redis.start()
        recovers(gateway)
        values = stored(redis, "load")
        for value in acknowledged:
            equal(values.count(value), 1, "value %d" % value)


def test_readiness(workers):
    """/ready says no while Redis is away and yes after; /health stays well"""
    with Stand(workers) as (gateway, redis):
        url = "http://127.0.0.1:%d/" % gateway.ops_port
        equal(curl(url + "ready").status, 200)
        redis.kill()
        lib.wait_until(lambda: curl(url + "ready").status == 503, "not ready without Redis")
        equal(curl(url + "health").status, 200)
        redis.start()
        lib.wait_until(lambda: curl(url + "ready").status == 200, "ready again", 60)


def test_reads_go_on(workers):
    """latest values are read while Redis is away"""
    with Stand(workers) as (gateway, redis):
        equal(ask(gateway, 5, device="sensor-1", name="still").code_text, "2.04")
        redis.kill()
        answer = curl("http://127.0.0.1:%d/obs?device=sensor-1&name=still" % gateway.http_port,
                      token=gateway.operator_token)
        equal((answer.status, answer.json()[0]["v"]), (200, 5))
        redis.start()
        recovers(gateway)


def private_pid(gateway):
    found = next(line for line in gateway.redis("INFO", "server").decode().splitlines() if line.startswith("process_id"))
    gateway._disconnect()
    return int(found.split(":")[1])


def rewrites(gateway):
    """Names of the files that the private Redis appends to; another one for each time they were written anew."""
    return sorted(os.path.basename(path) for path in glob.glob(gateway.folder + "/redis/appendonlydir/*.incr.aof"))


def test_private_redis_restarted(workers):
    """the private Redis is started again when it dies, with all its data"""
    with lib.Gateway(workers=workers) as gateway:
        equal(ask(gateway, 1).code_text, "2.04")
        os.kill(private_pid(gateway), signal.SIGKILL)
        recovers(gateway)
        equal(ask(gateway, 2).code_text, "2.04")
        equal([e["v"] for e in gateway.observations(name="r")], ["1", "2"])


def test_private_redis_torn(workers):
    """the private Redis was cut off in the middle of a transaction: what came before counts, and what comes after it"""
    # Fails if the half stays in the file: Redis 7.0 takes what is appended behind it for its other half.
    with lib.Gateway(workers=workers) as gateway:
        equal(ask(gateway, 1).code_text, "2.04")
        gateway.wait_pushed()
        pid = private_pid(gateway)
        gateway.kill()
        lib.wait_until(lambda: not os.path.exists("/proc/%d" % pid), "the private Redis has ended with its gateway")
        before = rewrites(gateway)
        path = "%s/redis/appendonlydir/%s" % (gateway.folder, before[-1])
        with open(path, "r+b") as file:
            data = file.read()
            begin = data.rindex(b"*1\r\n$5\r\nMULTI")
            file.truncate(data.index(b"$4\r\nXADD", begin) + 6)
        gateway.start()
        lib.wait_until(lambda: rewrites(gateway) and rewrites(gateway)[0] != before[0], "the file is written anew")
        for value in (2, 3):
            equal(ask(gateway, value).code_text, "2.04")
            gateway.wait_pushed()
            pid = private_pid(gateway)
            os.kill(pid, signal.SIGKILL)
            recovers(gateway)
        equal([e["v"] for e in gateway.observations(name="r")], ["1", "2", "3"])


def test_durable(workers):
    """the private Redis appends with fsync always and evicts nothing"""
    with lib.Gateway(workers=workers) as gateway:
        for name, expected in (("appendonly", b"yes"), ("appendfsync", b"always"), ("maxmemory-policy", b"noeviction")):
            equal(gateway.redis("CONFIG", "GET", name)[1], expected, name)


def test_read_only_redis(workers):
    """a Redis that refuses to write: 5.03, then recovery"""
    with Stand(workers) as (gateway, redis):
        with redis.client() as client:
            client("CONFIG", "SET", "min-replicas-to-write", "1")
        equal(ask(gateway, 1).code_text, "5.03")
        with redis.client() as client:
            client("CONFIG", "SET", "min-replicas-to-write", "0")
        recovers(gateway)
        equal(stored(redis), [])
