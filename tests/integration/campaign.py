# SPDX-License-Identifier: GPL-3.0-or-later
"""Load, faults by seed, and the ledger: what was acknowledged is in the stream, once.

    with Campaign(seed=7) as campaign:
        campaign.begin_load()
        campaign.kill_redis(away_s=1)
        campaign.kill_gateway()
        campaign.finish()          # ends the load, waits until the spools are empty, compares

A campaign has a Redis that syncs every append, one gateway or more on it, and for each a fleet (`weir sim`) that keeps
a ledger. All chance comes from one generator: the same seed begins the same faults in the same order. (What they hit
is up to the machine; the same seed finds the same place within a few runs.) WEIR_SEED overrides the seed of the code,
and a failure names it.
"""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import lib
from relay import Relay

TENANT = "demo"
DRAIN_S = 120.0
LEDGER = re.compile(r"^(\d+) acknowledged, (\d+) lost, (\d+) doubled", re.M)


def seed_of(fallback):
    return int(os.environ.get("WEIR_SEED") or fallback)


class Ledger:
    """The sum of what `weir sim --check` says of some ledgers."""

    def __init__(self, acknowledged=0, lost=0, doubled=0):
        self.acknowledged, self.lost, self.doubled = acknowledged, lost, doubled

    def __add__(self, other):
        return Ledger(self.acknowledged + other.acknowledged, self.lost + other.lost, self.doubled + other.doubled)

    def __str__(self):
        return "%d acknowledged, %d lost, %d doubled" % (self.acknowledged, self.lost, self.doubled)


class Fleet:
    """`weir sim` against one port, until it is told to stop."""

    def __init__(self, folder, name, port, seed, arguments):
        self.ledger = os.path.join(folder, name + ".ledger")
        self.lines = []
        command = [lib.BINARY, "sim", "--tenant", TENANT, "--target", "127.0.0.1", "--port", str(port), "--ledger",
                   self.ledger, "--seed", str(seed), "--progress",
                   "--progress-ms", "100", *arguments]
        self.out = tempfile.TemporaryFile("w+")
        self.process = lib.spawn(command, stdout=self.out, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines = self.lines[-20:] + [line.rstrip()]

    def acknowledged(self):
        """As of the last progress line."""
        for line in reversed(self.lines):
            found = re.search(r"(\d+) in all", line)
            if found:
                return int(found[1])
        return 0

    def stop(self):
        """Ends it, at the latest when what is under way has been answered. Returns its summary."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(120)

    def wait(self, limit_s):
        """Waits for the end it was given."""
        self.process.wait(limit_s)
        self.reader.join(5)
        if self.process.returncode != 0:
            raise AssertionError("weir sim ended with %d: %s" % (self.process.returncode, "\n".join(self.lines)))
        self.out.seek(0)
        return json.loads(self.out.read().strip().splitlines()[-1])

    def check(self, redis_address):
        result = lib.run([lib.BINARY, "sim", "--check", self.ledger, "--redis", redis_address, "--tenant", TENANT],
                         timeout=300)
        found = LEDGER.search(result.out)
        if not found:
            raise AssertionError("weir sim --check: %r" % result)
        return Ledger(*map(int, found.groups()))


class Campaign:
    """redis: a RedisServer of the caller's, which stays his; address: what the gateways are told, if not its own."""

    def __init__(self, seed=1, gateways=1, workers=1, redis=None, address=None, weather=None, environment=None, **settings):
        self.seed = seed_of(seed)
        self.random = random.Random(self.seed)
        self.owns_redis = redis is None
        self.folder = tempfile.mkdtemp(prefix="weir-campaign-")
        self.redis = redis or lib.RedisServer()
        self.gateways, self.fleets, self.relays = [], [], []
        self.finished = []
        self.fleets_made = 0
        settings = {"redis_timeout_ms": 500, **settings}
        try:
            for _ in range(gateways):
                gateway = lib.Gateway(workers=workers, redis=address or self.redis.address, environment=environment,
                                      **settings)
                gateway.demo = False  # later starts find the records in Redis
                self.gateways.append(gateway)
                if weather:
                    relay = Relay(gateway.coap_port, weather, weather, seed=self.seed)
                    relay.__enter__()
                    self.relays.append(relay)
        except BaseException:
            self.close(failed=True)
            raise

    @property
    def gateway(self):
        return self.gateways[0]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            sys.stderr.write("# campaign failed; again with WEIR_SEED=%d\n" % self.seed)
        self.close(failed=kind is not None)

    def close(self, failed=False):
        for fleet in self.fleets:
            if fleet.process.poll() is None:
                fleet.process.kill()
        for relay in self.relays:
            relay.__exit__()
        self.relays = []
        try:
            for gateway in self.gateways:
                gateway.__exit__(AssertionError if failed else None)
        finally:
            if self.owns_redis:
                self.redis.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    # Load

    def fleet_key(self, devices):
        """Provisions so many devices of a fleet that speaks DTLS; the file of its key."""
        path = os.path.join(self.folder, "fleet.key")
        with open(path, "w") as file:
            file.write(self.random.randbytes(32).hex() + "\n")
        lib.run([lib.BINARY, "sim", "--tenant", TENANT, "--provision", "--devices", str(devices), "--key-from", path,
                 "--redis", self.redis.address], check=True)
        return path

    def begin_load(self, devices=100, rate=200, seconds=3600, *more, ack_timeout_ms=400, ports=None):
        """A fleet for each gateway. Devices repeat a request until they know how it ended."""
        arguments = ["--devices", str(devices), "--rate", str(rate), "--seconds", str(seconds), "--ack-timeout-ms",
                     str(ack_timeout_ms), "--drain", "20", *more]
        ports = ports or [relay.port for relay in self.relays] or [gateway.coap_port for gateway in self.gateways]
        for port in ports:
            self.fleets_made += 1  # the seed names the run: never twice the same
            self.fleets.append(Fleet(self.folder, "fleet-%d" % self.fleets_made, port,
                                     self.seed * 1000 + self.fleets_made, arguments))
        self.wait_acknowledged(1)

    def acknowledged(self):
        return sum(fleet.acknowledged() for fleet in self.fleets)

    def wait_acknowledged(self, more, limit_s=120.0):
        """Until so many more are acknowledged."""
        wanted = self.acknowledged() + more
        lib.wait_until(lambda: self.acknowledged() >= wanted, "%d acknowledged" % wanted, limit_s)

    def end_load(self):
        """Summaries of the fleets."""
        self.finished = [fleet.stop() for fleet in self.fleets]
        return self.finished

    # Faults

    def kill_gateway(self, number=0, away_s=0.0):
        gateway = self.gateways[number]
        gateway.kill()
        time.sleep(away_s)
        gateway.start()

    def kill_redis(self, away_s=0.0):
        self.redis.kill()
        time.sleep(away_s)
        self.redis.start()

    def freeze_redis(self, seconds):
        self.redis.freeze()
        time.sleep(seconds)
        self.redis.thaw()

    def kill_both(self, away_s=0.0):
        """The gateway comes back first, and finds nothing for a while."""
        self.redis.kill()
        for gateway in self.gateways:
            gateway.kill()
            gateway.launch()
        time.sleep(away_s)
        self.redis.start()
        for gateway in self.gateways:
            gateway.wait_ready()

    def freeze_and_kill(self, seconds):
        """The gateway dies and comes back while Redis hangs."""
        self.redis.freeze()
        time.sleep(seconds / 2)
        for gateway in self.gateways:
            gateway.kill()
            gateway.launch()
        time.sleep(seconds / 2)
        self.redis.thaw()
        for gateway in self.gateways:
            gateway.wait_ready()

    def random_fault(self, longest_s=2.0):
        """One of them, by the seed. Returns its name."""
        kind = self.random.choices(("gateway", "redis", "freeze", "both", "freeze+gateway"), (45, 25, 15, 10, 5))[0]
        away_s = self.random.choice((0.0, self.random.uniform(0, longest_s)))
        number = self.random.randrange(len(self.gateways))
        if kind == "gateway":
            self.kill_gateway(number, away_s / 2)
        elif kind == "redis":
            self.kill_redis(away_s)
        elif kind == "freeze":
            self.freeze_redis(self.random.uniform(0.05, longest_s))
        elif kind == "both":
            self.kill_both(away_s)
        else:
            self.freeze_and_kill(self.random.uniform(0.1, longest_s))
        return kind

    # The proof

    def unpushed(self):
        """Records in the spools that Redis does not have yet."""
        return sum(gateway.metric("weir_spool_unpushed_records") for gateway in self.gateways)

    def wait_drained(self, limit_s=DRAIN_S):
        lib.wait_until(lambda: self.unpushed() == 0, "the spools are empty", limit_s)

    def ledger(self):
        return sum((fleet.check(self.redis.address) for fleet in self.fleets), Ledger())

    def finish(self, limit_s=DRAIN_S):
        """Ends the load; afterwards nothing may be lost or doubled. Returns the Ledger."""
        self.end_load()
        self.wait_drained(limit_s)
        result = self.ledger()
        if result.lost or result.doubled or not result.acknowledged:
            raise AssertionError("%s (seed %d)" % (result, self.seed))
        return result
