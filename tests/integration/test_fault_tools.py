# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools of the fault tests do what they say: the scripted Redis, the shim, the crash points.

A tool that silently does nothing would make every test that stands on it pass.
"""
import os
import sys
import time

import coap
import fake_redis
import faults
import lib
import resp
from coap import POST, Peer, request
from fake_redis import ALWAYS, FakeRedis
from faults import Shim
from lib import equal

WORKERS = (1,)


def refused(client, *arguments):
    """The error that Redis answers."""
    try:
        client(*arguments)
    except resp.RedisError as error:
        return str(error)
    raise AssertionError("%s was not refused" % arguments[0])


def post(gateway, value, timeout=30):
    with Peer(gateway.coap_port) as peer:
        return peer.ask(request(POST, "/obs", query=["d=r"], format=coap.SENML_JSON, payload='[{"n":"r","v":%d}]' % value),
                        timeout=timeout)


# The scripted Redis -----------------------------------------------------------------------------------------------

def test_fake_passes_on():
    """the scripted Redis without a script is the Redis behind it, pipelines and big replies included"""
    with lib.RedisServer() as real, FakeRedis(real.address) as fake, resp.Redis(fake.address) as client:
        big = bytes(range(256)) * 1000
        equal(client("SET", "k", big), "OK")
        equal(client("GET", "k"), big)
        client.socket.sendall(b"".join(resp.encode_command(["INCR", "n"]) for _ in range(500)))
        equal([client._reply() for _ in range(500)], list(range(1, 501)))
        equal((fake.count("INCR"), fake.count("set"), fake.connected), (500, 1, 1))


def test_fake_errors():
    """the n-th command of a name gets the error, Redis does not see it; the others pass"""
    with lib.RedisServer() as real, FakeRedis(real.address) as fake, resp.Redis(fake.address) as client:
        rule = fake.on("INCR", 2, fake_redis.error(fake_redis.READONLY))
        equal(client("INCR", "n"), 1)
        assert refused(client, "INCR", "n").startswith("READONLY")
        equal(client("INCR", "n"), 2)
        equal((rule.seen, rule.struck), (3, 1))
        fake.on("*", ALWAYS, fake_redis.error(fake_redis.LOADING), wanted=lambda arguments: b"n" in arguments)
        assert refused(client, "GET", "n").startswith("LOADING")
        equal(client("GET", "other"), None)
        fake.clear()
        equal(client("GET", "n"), b"2")


def test_fake_endings():
    """before executing, after executing, in the middle of the answer: the connection ends as the script says"""
    with lib.RedisServer() as real, FakeRedis(real.address) as fake, real.client() as behind:
        for action, executed, octets in ((fake_redis.close_before(), False, 0), (fake_redis.close_after(), True, 0),
                                         (fake_redis.half(), True, 4)):
            behind("DEL", "k")
            fake.on("APPEND", 1, action)
            with resp.Redis(fake.address) as client:
                client.socket.sendall(resp.encode_command(["APPEND", "k", "x" * 12345]))
                equal(len(client.file.read()), octets, action.name)
            equal(behind("EXISTS", "k"), int(executed), action.name)


def test_fake_slow_and_frozen():
    """a held answer keeps the ones after it back; a dribbled one is whole at last; frozen is silent until thawed"""
    with lib.RedisServer() as real, FakeRedis(real.address) as fake, resp.Redis(fake.address) as client:
        fake.on("PING", 1, fake_redis.hold(0.3))
        begun = time.monotonic()
        client.socket.sendall(resp.encode_command(["PING"]) + resp.encode_command(["ECHO", "x"]))
        equal((client._reply(), client._reply()), ("PONG", b"x"))
        assert time.monotonic() - begun >= 0.3
        fake.on("ECHO", 1, fake_redis.dribble(20))
        begun = time.monotonic()
        equal(client("ECHO", "0123456789"), b"0123456789")
        assert time.monotonic() - begun >= 0.2
        fake.freeze()
        client.socket.settimeout(0.3)
        try:
            client("PING")
            raise AssertionError("a frozen Redis answered")
        except TimeoutError:
            pass
        fake.thaw()
        with resp.Redis(fake.address) as other:
            equal(other("PING"), "PONG")
            fake.strand()
            other.socket.settimeout(0.3)
            try:
                other("PING")
                raise AssertionError("a stranded connection answered")
            except TimeoutError:
                pass
        with resp.Redis(fake.address) as other:
            equal(other("PING"), "PONG")


def test_fake_table():
    """alone it answers from a table, over TCP, too"""
    table = {"PING": "PONG", "LEN": lambda arguments: len(arguments[1]), "LIST": [1, b"two", None, ["three"]], "NO": "-ERR no"}
    with FakeRedis(table=table, tcp=True) as fake, resp.Redis(fake.address) as client:
        equal((client("PING"), client("LEN", "abc"), client("LIST")), ("PONG", 3, [1, b"two", None, ["three"]]))
        equal(refused(client, "NO"), "ERR no")
        assert refused(client, "OTHER").startswith("ERR unknown command")
        fake.cut()
        equal(client.file.read(), b"")
        fake.refuse()
        with resp.Redis(fake.address) as late:
            equal(late.file.read(), b"")


def test_gateway_through_fake():
    """a gateway works on the scripted Redis, and meets its script"""
    with lib.RedisServer() as real, FakeRedis(real.address) as fake:
        with lib.Gateway(redis=fake.address) as gateway:
            equal(post(gateway, 1).code_text, "2.04")
            fake.cut()
            lib.wait_until(lambda: post(gateway, 2).code_text == "2.04", "the gateway comes back")
            assert fake.connected > 2


# The shim ---------------------------------------------------------------------------------------------------------

def test_shim_strikes():
    """the n-th call fails, for the files and the process that are meant, and is switched on and off while it runs"""
    with Shim() as shim, lib.Gateway(environment=shim.environment) as gateway:
        equal(post(gateway, 1).code_text, "2.04")
        shim.set("sendmmsg:1:ENOBUFS", "pwrite:*:EIO:path=no-such-folder")
        equal(post(gateway, 2).code_text, "2.04")  # repeated by the client: the first answer was not sent
        equal((shim.struck(), shim.struck(1)), (1, 0))
        assert shim.passed() >= 2, shim.passed()
        before = gateway.metric("weir_datagrams_send_failed_total")
        equal(before, 1)
        shim.clear()
        equal(post(gateway, 3).code_text, "2.04")
        equal(gateway.metric("weir_datagrams_send_failed_total"), before)


def test_shim_of_the_next_process():
    """rules hold for the process that is started next, from its first call"""
    with Shim() as shim, lib.Gateway(environment=shim.environment) as gateway:
        gateway.kill()
        shim.set("recvmmsg:1:kill")
        gateway.start()
        with Peer(gateway.coap_port) as peer:
            peer.send(coap.Message(coap.CON, 0, 1))
            faults.wait_for_death(gateway)
        shim.clear()
        gateway.start()
        equal(post(gateway, 1).code_text, "2.04")


# Crash points -----------------------------------------------------------------------------------------------------

def test_crash_points_are_placed():
    """each point of the table stands in the code, and no other"""
    listed, placed = {name for name, _ in faults.crash_points()}, set(faults.placed_crash_points())
    assert len(listed) > 10, listed
    equal(placed, listed)


def test_crash_point_kills():
    """a crash point ends the process at the passage that was named, and a name that is none at its start"""
    faults.needs_crash_points()
    with lib.Gateway() as gateway:
        gateway.kill()
        gateway.environment["WEIR_CRASH_AT"] = "S0:3"
        gateway.start()
        for value in (1, 2):
            equal(post(gateway, value).code_text, "2.04")
        with Peer(gateway.coap_port) as peer:
            peer.send(coap.Message(coap.CON, 0, 1))
            faults.wait_for_death(gateway)
        gateway.environment["WEIR_CRASH_AT"] = "S99"
        gateway.launch()
        lib.wait_until(lambda: not gateway.is_alive(), "a wrong name ends the gateway")
        assert "not a crash point" in gateway.log(), gateway.log()
        del gateway.environment["WEIR_CRASH_AT"]
        gateway.start()
        equal([e["v"] for e in gateway.observations(name="r")], ["1", "2"])


def other_run(script, *arguments):
    """What a process of another run of tests prints."""
    return lib.run([sys.executable, "-c", "import sys; sys.path.insert(0, %r); import lib; %s" %
                    (os.path.dirname(lib.__file__), script), *map(str, arguments)], check=True).out.split()


def test_ports_are_leased():
    """a port that a test was given is given to no other run of tests while it lives, and never twice"""
    ports = {lib.free_port() for _ in range(200)}
    equal(len(ports), 200)
    equal(other_run("print(*filter(lib.leases.take, map(int, sys.argv[1:])))", *ports), [])
    port = int(other_run("print(lib.free_port())")[0])
    assert lib.leases.take(port), "the lease of a process that ended goes on"
