# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis that follows a script: in front of a real one, or alone with answers from a table.

    with RedisServer() as real, FakeRedis(real.address) as fake:
        fake.on("FCALL", 3, error("LOADING Redis is loading the dataset in memory"))   # the third from now on
        fake.on("FCALL", 1, close_after())                # executed, and nobody is told
        fake.on("XADD", ALWAYS, hold(0.2))                # every one
        ... the gateway talks to fake.address ...

    with FakeRedis(table={"PING": "PONG", "HGET": lambda arguments: None}) as fake: ...

Commands of one connection are pipelined as they come and answered in order, as Redis does it. A rule counts the
commands of its name over all connections from the moment it is set; what it does is done for its n-th, or for all. A
rule that has struck says so in .struck. Names are compared without case; "*" is any command.

What can be done to a command (each is a function that makes an action):

    error(text)       an error reply; Redis is not asked
    reply(value)      any reply; Redis is not asked
    close_before()    the connection ends; Redis is not asked
    close_after()     Redis executes it; the connection ends without an answer
    half()            Redis executes it; half of the answer is sent, then the connection ends
    dribble(ms)       the answer comes one byte each so many milliseconds
    hold(seconds)     the answer comes late
    forget()          Redis is not asked, there is no answer, the connection stays
"""
import queue
import shutil
import socket
import tempfile
import threading
import time

import resp

ALWAYS = 0

# What Redis says when it does not want; the first word is what clients go by.
LOADING = "LOADING Redis is loading the dataset in memory"
READONLY = "READONLY You can't write against a read only replica."
OOM = "OOM command not allowed when used memory > 'maxmemory'."
MISCONF = ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that "
           "may modify the data set are disabled")
BUSY = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
WRONGPASS = "WRONGPASS invalid username-password pair or user is disabled."
NOAUTH = "NOAUTH Authentication required."
NOPERM = "NOPERM this user has no permissions to run the command"
NO_FUNCTION = "ERR Function not found"
NOREPLICAS = "NOREPLICAS Not enough good replicas to write."
CLUSTERDOWN = "CLUSTERDOWN The cluster is down"
MASTERDOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
TRYAGAIN = "TRYAGAIN Multiple keys request during rehashing of slot"


def moved(slot, address):
    return "MOVED %d %s" % (slot, address)


def ask(slot, address):
    return "ASK %d %s" % (slot, address)


class Action:
    """What happens to one command. own_reply: instead of Redis' answer; forward: whether Redis gets the command."""

    def __init__(self, name, forward=True, own_reply=None, delay_s=0.0, dribble_s=0.0, share=1.0, close=False, silent=False):
        self.name, self.forward, self.own_reply = name, forward, own_reply
        self.delay_s, self.dribble_s, self.share, self.close, self.silent = delay_s, dribble_s, share, close, silent


def error(text):
    return Action("error", forward=False, own_reply=b"-" + text.encode() + b"\r\n")


def reply(value):
    return Action("reply", forward=False, own_reply=resp.encode_reply(value))


def close_before():
    return Action("close before", forward=False, silent=True, close=True)


def close_after():
    return Action("close after", silent=True, close=True)


def half():
    return Action("half", share=0.5, close=True)


def dribble(ms):
    return Action("dribble", dribble_s=ms / 1000)


def hold(seconds):
    return Action("hold", delay_s=seconds)


def forget():
    return Action("forget", forward=False, silent=True)


class Rule:
    def __init__(self, command, nth, action, wanted):
        self.command, self.nth, self.action, self.wanted = command.upper(), nth, action, wanted
        self.seen = self.struck = 0

    def is_about(self, arguments):
        name = arguments[0].decode("latin-1").upper()
        if self.command not in ("*", name):
            return False
        return self.wanted is None or self.wanted(arguments)

    def strikes(self):
        self.seen += 1
        if self.nth not in (ALWAYS, self.seen):
            return False
        self.struck += 1
        return True


class FakeRedis:
    """upstream: address of a real Redis, or None; table: {command: value or function of the arguments (bytes)}."""

    def __init__(self, upstream=None, table=None, tcp=False):
        self.upstream = upstream
        self.table = {name.upper(): value for name, value in (table or {}).items()}
        self.lock = threading.Lock()
        self.rules = []
        self.counts = {}
        self.connections = set()
        self.connected = 0
        self.running = True
        self.refusing = False
        self.flowing = threading.Event()
        self.flowing.set()
        self.folder = tempfile.mkdtemp(prefix="weir-fake-")
        self.listener = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(("127.0.0.1", 0) if tcp else self.folder + "/s")
        self.listener.listen(64)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1] if tcp else "unix:" + self.folder + "/s"
        threading.Thread(target=self._accept, name="fake redis", daemon=True).start()

    def on(self, command, nth, action, wanted=None):
        """From now on, the nth command of that name (ALWAYS: each) for which wanted(arguments) is true; a later rule
        goes before an earlier one."""
        rule = Rule(command, nth, action, wanted)
        with self.lock:
            self.rules.insert(0, rule)
        return rule

    def clear(self):
        """No rule any more."""
        with self.lock:
            self.rules.clear()

    def count(self, command):
        """How many commands of that name have come."""
        with self.lock:
            return self.counts.get(command.upper(), 0)

    def freeze(self):
        """Takes commands, and connections, and does nothing at all."""
        self.flowing.clear()

    def thaw(self):
        self.flowing.set()

    def strand(self):
        """The connections that are there now hear and say nothing any more, as when a network is cut; new ones work."""
        with self.lock:
            for connection in self.connections:
                connection.flowing.clear()

    def cut(self):
        """Ends all connections."""
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            connection.end()

    def refuse(self, refusing=True):
        """Ends all connections, and new ones at once."""
        self.refusing = refusing
        if refusing:
            self.cut()

    def close(self):
        self.running = False
        self.flowing.set()
        # shutdown wakes the thread in accept, which close does not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while self.running:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refusing:
                client.close()
                continue
            try:
                connection = _Connection(self, client)
            except OSError:
                client.close()  # the real Redis is away: so are we
                continue
            with self.lock:
                self.connections.add(connection)
                self.connected += 1
            connection.start()

    def _decide(self, arguments):
        """The action for a command, or None."""
        name = arguments[0].decode("latin-1").upper()
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + 1
            chosen = None
            for rule in self.rules:
                if rule.is_about(arguments) and rule.strikes() and chosen is None:
                    chosen = rule.action
        return chosen

    def _from_table(self, arguments):
        name = arguments[0].decode("latin-1").upper()
        if name not in self.table:
            return b"-ERR unknown command '%s'\r\n" % name.encode()
        value = self.table[name]
        return resp.encode_reply(value(arguments) if callable(value) else value)


class _Connection:
    """One client: a thread reads and forwards, another answers in the same order."""

    def __init__(self, fake, client):
        self.fake, self.client = fake, client
        self.upstream = resp.connect(fake.upstream, timeout=None) if fake.upstream else None
        self.answers = queue.Queue()
        self.flowing = threading.Event()
        self.flowing.set()

    def start(self):
        for work in (self._forward, self._answer):
            threading.Thread(target=self._guarded, args=(work,), daemon=True).start()

    def _guarded(self, work):
        try:
            work()
        except (OSError, ValueError, resp.RedisError):
            pass  # either side has gone; so does the other
        finally:
            self.end()

    def end(self):
        for sock in (self.client, self.upstream):
            if sock is not None:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.answers.put(None)
        self.flowing.set()
        with self.fake.lock:
            self.fake.connections.discard(self)

    def _wait(self):
        self.fake.flowing.wait()
        self.flowing.wait()

    def _forward(self):
        commands = self.client.makefile("rb")
        while True:
            raw, arguments = resp.read_command(commands)
            self._wait()
            action = self.fake._decide(arguments) or Action("pass")
            own = action.own_reply
            if self.upstream is None and own is None:
                own = self.fake._from_table(arguments)
            forwarded = self.upstream is not None and action.forward
            if forwarded:
                self.upstream.sendall(raw)
            self.answers.put((action, own, forwarded))

    def _answer(self):
        replies = self.upstream.makefile("rb") if self.upstream else None
        while True:
            item = self.answers.get()
            if item is None:
                return
            action, own, forwarded = item
            answer = resp.read_raw_reply(replies) if forwarded else own
            if action.delay_s:
                time.sleep(action.delay_s)
            self._wait()
            if not action.silent and answer:
                self._send(answer[:max(1, int(len(answer) * action.share))], action.dribble_s)
            if action.close:
                return

    def _send(self, data, pause_s):
        if not pause_s:
            self.client.sendall(data)
            return
        for i in range(len(data)):
            self.client.sendall(data[i:i + 1])
            time.sleep(pause_s)
