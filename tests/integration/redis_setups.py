# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis servers as people run them, for test_redis_setups: over TCP with anything, Sentinels, a cluster of three."""
import contextlib
import os
import subprocess
import tempfile

import lib
import resp


class Server(lib.Server):
    """A redis-server on a TCP port of this machine, with a folder of its own."""

    def __init__(self, *options, port=None, sentinel=False):
        self.folder = tempfile.mkdtemp(prefix="weir-redis-")
        self.port = port or lib.free_port()
        self.address = "127.0.0.1:%d" % self.port
        self.options, self.sentinel = options, sentinel
        self.process = None
        self.start()

    def start(self, wait=True):
        if self.sentinel:
            arguments = ["redis-server", os.path.join(self.folder, "sentinel.conf"), "--sentinel"]
            with open(arguments[1], "w") as file:
                file.write("port %d\nbind 127.0.0.1\ndir %s\n%s" % (self.port, self.folder, self.options[0]))
        else:
            arguments = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder,
                         "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0",
                         "--maxmemory-policy", "noeviction", *self.options]
        self.process = lib.spawn(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if wait:
            lib.wait_until(self.answers, "redis-server on port %d answers" % self.port)

    def is_primary(self):
        """False also where it could not be asked: a Sentinel cuts all connections of whom it promotes."""
        try:
            return self.call("ROLE")[0] == b"master"
        except (OSError, resp.RedisError):
            return False

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("redis-server on port %d ended with %d" % (self.port, self.process.returncode))
        try:
            with self.client() as redis:
                redis("PING")
            return True
        except resp.RedisError as error:
            return "NOAUTH" in str(error)
        except OSError:
            return False


@contextlib.contextmanager
def sentinels(count, master, quorum):
    """Sentinels that watch one master, quick to judge."""
    text = ("sentinel monitor m 127.0.0.1 %d %d\nsentinel down-after-milliseconds m 1000\n"
            "sentinel failover-timeout m 5000\n" % (master.port, quorum))
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Server(text, sentinel=True)) for _ in range(count)]


class Cluster:
    """Three primaries. The busports are the ports + 10000."""

    def __init__(self):
        self.nodes = []
        self.stack = contextlib.ExitStack()
        try:
            for _ in range(3):
                port = lib.free_port(also=10000)
                self.nodes.append(self.stack.enter_context(
                    Server("--cluster-enabled", "yes", "--cluster-node-timeout", "20000", port=port)))
            self.form()
        except BaseException:
            self.stack.close()
            raise

    def form(self):
        ranges = [(0, 5460), (5461, 10922), (10923, 16383)]
        for node, (first, last) in zip(self.nodes, ranges):
            node.call("CLUSTER", "ADDSLOTSRANGE", first, last)
            node.call("CLUSTER", "SET-CONFIG-EPOCH", self.nodes.index(node) + 1)
        for node in self.nodes[1:]:
            node.call("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        lib.wait_until(lambda: all(b"cluster_state:ok" in node.call("CLUSTER", "INFO") and
                                   b"cluster_known_nodes:3" in node.call("CLUSTER", "INFO") for node in self.nodes),
                       "the cluster is formed")

    @property
    def address(self):
        return "cluster:" + ",".join(node.address for node in self.nodes[:2])

    def id_of(self, node):
        return node.call("CLUSTER", "MYID").decode()

    def slot_of(self, key):
        return self.nodes[0].call("CLUSTER", "KEYSLOT", key)

    def owner_of(self, slot):
        for first, last, primary, *_ in self.nodes[0].call("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == primary[1])
        raise AssertionError("slot %d has no owner" % slot)

    def move(self, slot, to, pause=lambda: None):
        """The slot with its keys, one key after the other, as redis-cli does it; pause() in between."""
        source = self.owner_of(slot)
        to.call("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(to))
        while True:
            keys = source.call("CLUSTER", "GETKEYSINSLOT", slot, 1)
            if not keys:
                break
            pause()
            source.call("MIGRATE", "127.0.0.1", to.port, keys[0], 0, 60000)
        pause()
        for node in (to, source, *self.nodes):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(to))

    def client_of(self, key):
        return self.owner_of(self.slot_of(key)).client()

    def close(self):
        self.stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
