# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis as people run it: passwords and rights, TLS, Sentinel, a replica, a cluster whose slots move."""
import os
import tempfile
import threading
import time

import lib
from lib import BINARY, curl, equal, wait_until
from redis_setups import Cluster, Server, sentinels

WORKERS = (1,)
SENML = "application/senml+json"
ACL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "weir.acl")


def rights(password):
    """The ACL of docs/weir.acl with this password, as arguments of ACL SETUSER."""
    with open(ACL) as file:
        words = file.read().split()
    equal(words[:2], ["user", "weir"])
    return ["weir", "reset"] + [">" + password if word == ">CHANGE-ME" else word for word in words[2:]]


def post(gateway, value, name="r", level=None):
    """The HTTP status: 204, or 200 with a level."""
    url = "http://127.0.0.1:%d/obs%s" % (gateway.http_port, "?level=" + level if level else "")
    return curl(url, data='[{"n":"%s","v":%d}]' % (name, value),
                content_type=SENML, token=gateway.device_token).status


def ready(gateway):
    return curl("http://127.0.0.1:%d/ready" % gateway.ops_port)


def is_well(gateway):
    answer = ready(gateway)
    return answer.status == 200 and answer.body == b"ready\n"


def becomes_ready(gateway):
    wait_until(lambda: is_well(gateway), "ready", 120)


def becomes_unready(gateway):
    """Not ready, or at least degraded: observations are spooled."""
    wait_until(lambda: not is_well(gateway), "not ready", 60)


def values_in(client, name="r"):
    return [int(e["v"]) for e in client.observations() if e["n"] == name]


def arrive(connect, expected, name="r"):
    """All of them are in the stream, each once."""
    def there():
        with connect() as client:
            return set(expected) <= set(values_in(client, name))
    wait_until(there, "all %d values are stored" % len(expected), 60)
    with connect() as client:
        values = values_in(client, name)
    for value in expected:
        equal(values.count(value), 1, "value %d" % value)


def write(path, text):
    with open(path, "w") as file:
        os.chmod(path, 0o600)
        file.write(text)


def says(gateway, text):
    wait_until(lambda: text in gateway.log(), "the log says " + text)


class Files:
    """A folder for passwords and certificates."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-test-")
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)


def test_rights_and_password():
    """A user with the rights of docs/weir.acl is enough; a changed password is taken without a restart"""
    with Files() as files, Server() as redis:
        secret = files.path("password")
        write(secret, "first-password\n")
        redis.call("ACL", "SETUSER", *rights("first-password"))
        redis.call("ACL", "SETUSER", "default", "resetpass", ">other")
        def ask(*arguments):
            with redis.client() as client:
                client("AUTH", "other")
                return client(*arguments)

        def stored():
            client = redis.client()
            client("AUTH", "other")
            return client

        with lib.Gateway(redis=redis.address, redis_user="weir", redis_password_file=secret) as gateway:
            gateway.secrets += ["first-password", "second-password", "wrong-password"]
            becomes_ready(gateway)
            equal(post(gateway, 1), 204)
            arrive(stored, [1])
            equal(gateway.cli("tenant", "list").status, 0)
            # Nothing that the log of Redis' refusals would show.
            refused = ask("ACL", "LOG")
            equal([dict(zip(entry[::2], entry[1::2])) for entry in refused
                   if dict(zip(entry[::2], entry[1::2])).get(b"username") == b"weir"], [])
            # The password changes in Redis, and the old connections go.
            ask("ACL", "SETUSER", *rights("second-password"))
            ask("CLIENT", "KILL", "USER", "weir")
            says(gateway, "Redis refused the password")
            becomes_unready(gateway)
            assert gateway.cli("tenant", "list", check=False).status == 3
            write(secret, "second-password\n")
            becomes_ready(gateway)
            wait_until(lambda: post(gateway, 2) == 204, "takes observations again", 60)
            equal(gateway.cli("tenant", "list").status, 0)
            arrive(stored, [1])
            # A right goes away at run time and comes back.
            ask("ACL", "SETUSER", "weir", "-xadd", "-fcall")
            status = post(gateway, 3, level="stored")
            equal(status, 503)
            ask("ACL", "SETUSER", "weir", "+xadd", "+fcall")
            wait_until(lambda: post(gateway, 4) == 204, "takes observations again", 60)
            arrive(stored, [4])


def test_the_cli_takes_its_own_facts():
    """The CLI finds user and password in flags and environment, and never shows the password"""
    with Files() as files, Server("--requirepass", "hidden-password") as redis:
        secret = files.path("password")
        write(secret, "hidden-password")
        refused = lib.run([BINARY, "tenant", "list", "--redis", redis.address])
        assert refused.status != 0 and "NOAUTH" in refused.err, refused
        equal(lib.run([BINARY, "tenant", "add", "acme", "--redis", redis.address, "--redis-password-file", secret]).status, 0)
        listed = lib.run(["env", "WEIR_REDIS=" + redis.address, "WEIR_REDIS_PASSWORD_FILE=" + secret, BINARY, "tenant",
                          "list"])
        assert listed.status == 0 and "acme" in listed.out, listed
        write(secret, "wrong-password")
        wrong = lib.run([BINARY, "tenant", "list", "--redis", redis.address, "--redis-password-file", secret])
        assert wrong.status == 3 and "refused the password" in wrong.err, wrong
        assert "wrong-password" not in wrong.err + wrong.out


def tls_server(files, *more):
    authority = lib.Authority(files.folder.name)
    certificate, key = authority.issue("redis", "redis.example", usage="serverAuth,clientAuth")
    port = lib.free_port()
    plain = Server("--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file",
                   authority.certificate, *more)
    return authority, plain, "127.0.0.1:%d" % port


def test_tls():
    """TLS 1.3 and 1.2, with a certificate of our own if Redis wants one, through to the stream"""
    for versions in ("TLSv1.3", "TLSv1.2"):
        with Files() as files:
            authority, redis, address = tls_server(files, "--tls-protocols", versions)
            certificate, key = authority.issue("weir", "weir.example")
            with redis, lib.Gateway(redis=address, redis_tls="true", redis_tls_ca=authority.certificate,
                                    redis_tls_certificate=certificate, redis_tls_key=key,
                                    redis_tls_name="redis.example") as gateway:
                becomes_ready(gateway)
                for value in range(10):
                    equal(post(gateway, value), 204)
                arrive(redis.client, range(10))
                equal(gateway.cli("tenant", "list").status, 0)


def test_tls_is_verified():
    """Another authority, another name, no certificate shown: no connection, and the log says why"""
    with Files() as files, Files() as others:
        authority, redis, address = tls_server(files)
        stranger = lib.Authority(others.folder.name)
        certificate, key = authority.issue("weir", "weir.example")
        good = {"--redis": address, "--redis-tls-ca": authority.certificate, "--redis-tls-name": "redis.example",
                "--redis-tls-certificate": certificate, "--redis-tls-key": key}

        def listing(**changes):
            options = dict(good, **{"--" + name.replace("_", "-"): value for name, value in changes.items()})
            arguments = [word for option, value in options.items() if value for word in (option, value)]
            return lib.run([BINARY, "tenant", "list", "--redis-tls", *arguments])

        with redis:
            equal(listing().status, 0)
            for changes in ({"redis_tls_ca": stranger.certificate}, {"redis_tls_name": "other.example"},
                            {"redis_tls_name": None}, {"redis_tls_certificate": None, "redis_tls_key": None}):
                result = listing(**changes)
                equal(result.status, 3, "with %r: %r" % (changes, result))
            result = listing(redis_tls_name="other.example")
            assert "TLS" in result.err, result


def test_host_name():
    """The host of Redis may be a name"""
    with Server() as redis, lib.Gateway(redis="ip6-localhost:%d,localhost.localdomain:%d,localhost:%d"
                                        % (redis.port, redis.port, redis.port)) as gateway:
        becomes_ready(gateway)
        equal(post(gateway, 1), 204)
        arrive(redis.client, [1])


def test_hung_connection():
    """A Redis that stands still is noticed within 5 s though nobody asks it for anything"""
    with Server() as redis, lib.Gateway(redis=redis.address) as gateway:
        def notice():
            becomes_ready(gateway)
            redis.freeze()
            began = time.monotonic()
            becomes_unready(gateway)
            took = time.monotonic() - began
            redis.thaw()
            return took

        lib.fastest(notice, 8, "it is noticed")
        becomes_ready(gateway)


def test_replica():
    """A primary that becomes a replica is left: nothing counts as stored there, and the next primary of the list is taken"""
    with Server() as first, Server("--replicaof", "127.0.0.1", str(first.port)) as second:
        wait_until(lambda: b"master_link_status:up" in second.call("INFO", "replication"), "the replica follows")
        with lib.Gateway(redis=second.address + "," + first.address) as gateway:
            becomes_ready(gateway)
            equal(post(gateway, 1), 204)
            arrive(first.client, [1])
            wait_until(lambda: second.call("XLEN", "weir:{demo}:obs") == 1, "the replica has it")
            # They change places.
            second.call("REPLICAOF", "NO", "ONE")
            first.call("REPLICAOF", "127.0.0.1", second.port)
            accepted = []
            for value in range(10, 30):
                if post(gateway, value) == 204:
                    accepted.append(value)
                time.sleep(0.05)
            becomes_ready(gateway)
            wait_until(lambda: post(gateway, 99, level="stored") == 200, "stored on the new primary", 60)
            arrive(second.client, accepted + [99])
            assert "READONLY" in gateway.log() or "replica" in gateway.log()


def test_read_only_alone():
    """A single address that is a replica: never stored, not ready, and well again when it is a primary"""
    with Server() as first, Server() as second, lib.Gateway(redis=first.address) as gateway:
        becomes_ready(gateway)
        first.call("REPLICAOF", "127.0.0.1", second.port)
        wait_until(lambda: post(gateway, 1, level="stored") == 503, "refused", 60)
        becomes_unready(gateway)
        first.call("REPLICAOF", "NO", "ONE")
        becomes_ready(gateway)


def test_sentinel():
    """The primary dies under load: the Sentinels name another, the gateway goes there, and no acknowledged value is missing"""
    with Server() as first, Server("--replicaof", "127.0.0.1", str(first.port)) as second:
        wait_until(lambda: b"master_link_status:up" in second.call("INFO", "replication"), "the replica follows")
        with sentinels(3, first, 2) as watchers:
            wait_until(lambda: all(b"slaves=1,sentinels=3" in watcher.call("INFO", "sentinel") for watcher in watchers),
                       "the Sentinels know each other")
            # The first is a port where nobody listens.
            address = "sentinel:127.0.0.1:1," + ",".join(watcher.address for watcher in watchers) + "/m"
            with lib.Gateway(redis=address) as gateway:
                becomes_ready(gateway)
                accepted = [value for value in range(20) if post(gateway, value) == 204]
                equal(len(accepted), 20)
                first.call("WAIT", 1, 5000)
                arrive(second.client, accepted)
                first.kill()
                accepted += [value for value in range(100, 130) if post(gateway, value) == 204]
                wait_until(second.is_primary, "the other is promoted", 240)  # a Sentinel that stood still does nothing for 30 s
                becomes_ready(gateway)
                wait_until(lambda: post(gateway, 999, level="stored") == 200, "stored there", 120)
                arrive(second.client, accepted + [999])
                equal(gateway.cli("tenant", "list").status, 0)


class Load(threading.Thread):
    """Posts increasing values until it is told to end."""

    def __init__(self, gateway):
        super().__init__()
        self.gateway, self.accepted, self.refused, self.ends = gateway, [], [], threading.Event()
        self.start()

    def run(self):
        value = 0
        while not self.ends.is_set():
            status = post(self.gateway, value, name="load")
            (self.accepted if status == 204 else self.refused).append((value, status))
            value += 1

    def end(self):
        self.ends.set()
        self.join()
        return [value for value, _ in self.accepted]


def test_cluster():
    """A cluster of three: the registry, the stream, a slot that moves while values come in (MOVED and ASK)"""
    check_cluster()


def test_cluster_direct():
    """The same with plain XADD"""
    check_cluster(spool="false")


def check_cluster(**settings):
    with Cluster() as cluster, lib.Gateway(redis=cluster.address, **settings) as gateway:
        becomes_ready(gateway)
        key = "weir:{demo}:obs"
        slot = cluster.slot_of(key)
        equal(post(gateway, 1), 204)
        arrive(lambda: cluster.client_of(key), [1])
        equal(gateway.cli("tenant", "add", "acme").status, 0)
        assert "acme" in gateway.cli("tenant", "list").out
        psk = gateway.add_device("acme/d-1")
        assert psk and "d-1" in gateway.cli("device", "list", "acme").out
        source = cluster.owner_of(slot)
        target = next(node for node in cluster.nodes if node is not source)
        load = Load(gateway)
        try:
            wait_until(lambda: len(load.accepted) >= 10, "load")
            cluster.move(slot, target, pause=lambda: time.sleep(0.3))
            before = len(load.accepted)
            wait_until(lambda: len(load.accepted) >= before + 10, "load goes on", 60)
        finally:
            accepted = load.end()
        assert cluster.owner_of(slot) is target
        equal(load.refused, [], "redirects are followed, not told")
        arrive(lambda: cluster.client_of(key), accepted, "load")
        becomes_ready(gateway)
        equal(gateway.cli("tenant", "remove", "acme").status, 0)
        assert "acme" not in gateway.cli("tenant", "list").out


def test_eviction_policy():
    """A policy that deletes keys makes /ready say no, and why; another warning per change of what else is checked"""
    with Server() as redis, lib.Gateway(redis=redis.address) as gateway:
        becomes_ready(gateway)
        redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        redis.call("CONFIG", "SET", "appendfsync", "everysec")
        wait_until(lambda: ready(gateway).status == 503, "not ready", 60)
        assert "noeviction" in ready(gateway).body.decode()
        says(gateway, "appendfsync")
        redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
        redis.call("CONFIG", "SET", "appendfsync", "always")
        becomes_ready(gateway)
        equal(gateway.log().count("no request can have the level stored"), 1)
