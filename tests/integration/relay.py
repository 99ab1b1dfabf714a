# SPDX-License-Identifier: GPL-3.0-or-later
"""A UDP relay that misbehaves on purpose, and the same way each time: the weather between clients and the gateway.

    with Relay(gateway.coap_port, up=Weather(drop=10, duplicate=10, reorder=10), seed=1) as relay:
        ... clients talk to relay.port ...

Every client endpoint gets an upstream socket of its own, with the client's source address if that is a loopback one,
so that the gateway sees one endpoint for each. Decisions are drawn from one generator per direction, in the order in
which datagrams arrive: the same traffic with the same seed meets the same weather, whatever the clock does.

Further tools: hold() catches the next datagram for which a predicate is true, release() lets it go; rebind() gives
a client a new upstream port, as a NAT does after a reboot; sniff sees and may drop each datagram.
"""
import dataclasses
import heapq
import itertools
import random
import selectors
import socket
import threading
import time


@dataclasses.dataclass
class Weather:
    """Percentages of one direction. A reordered datagram is kept until the next `reorder_span` have passed."""
    drop: float = 0
    duplicate: float = 0
    reorder: float = 0
    reorder_span: int = 3
    delay_ms: float = 0
    max_bytes: int = 65536  # larger datagrams are dropped
    # A reordered datagram leaves after this time even if nothing follows it.
    reorder_wait_ms: float = 50
    corrupt: float = 0  # one bit is turned
    truncate: float = 0  # the end is cut off


class _Direction:
    def __init__(self, weather, seed):
        self.weather, self.random = weather, random.Random(seed)
        self.damage = random.Random("damage %d" % seed)
        self.late = []  # [datagrams to let pass, due, send]
        self.seen = self.dropped = self.duplicated = self.reordered = self.corrupted = self.truncated = 0

    def decide(self):
        # Always three draws, so that one setting does not shift the decisions of another.
        drop, duplicate, reorder = (self.random.random() * 100 for _ in range(3))
        weather = self.weather
        return drop < weather.drop, duplicate < weather.duplicate, reorder < weather.reorder

    def damaged(self, data):
        corrupt, truncate, where = (self.damage.random() for _ in range(3))
        if data and corrupt * 100 < self.weather.corrupt:
            self.corrupted += 1
            at = int(where * len(data))
            data = data[:at] + bytes([data[at] ^ 1 << int(where * 8191) % 8]) + data[at + 1:]
        if truncate * 100 < self.weather.truncate:
            self.truncated += 1
            data = data[:int(where * len(data))]
        return data


class _Client:
    def __init__(self, address, upstream):
        self.address, self.upstream = address, upstream


class Relay:
    UP, DOWN = 0, 1

    def __init__(self, target_port, up=None, down=None, seed=1, target_host="127.0.0.1"):
        self.target = (target_host, target_port)
        self.directions = [_Direction(up or Weather(), seed * 2), _Direction(down or Weather(), seed * 2 + 1)]
        self.socket = self._bound("127.0.0.1", 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.port = self.socket.getsockname()[1]
        self.clients = {}
        self.by_fd = {}
        self.delayed = []  # heap of (due, order, send)
        self.order = itertools.count()
        self.lock = threading.RLock()
        self.held = []
        self.hold_predicate = None
        self.sniff = None  # (direction, data) -> False to drop
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.socket, selectors.EVENT_READ)
        self.wake_in, self.wake_out = socket.socketpair()
        self.selector.register(self.wake_out, selectors.EVENT_READ)
        self.running = True
        self.thread = threading.Thread(target=self._run, name="relay", daemon=True)

    @staticmethod
    def _bound(host, port):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, port))
        sock.setblocking(False)
        return sock

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.wake_in.send(b"x")
        self.thread.join()
        for sock in [self.socket, self.wake_in, self.wake_out] + [c.upstream for c in self.clients.values()]:
            sock.close()
        self.selector.close()

    @property
    def up(self):
        return self.directions[self.UP]

    @property
    def down(self):
        return self.directions[self.DOWN]

    def hold(self, predicate):
        """Catches the next datagram for which predicate(direction, data) is true."""
        with self.lock:
            self.hold_predicate = predicate

    def release(self):
        """Sends what was caught; returns how many datagrams."""
        with self.lock:
            held, self.held = self.held, []
            for send in held:
                send()
            return len(held)

    def rebind(self, client_port):
        """Gives the client a new port towards the gateway. Answers to the old one are lost, as behind a real NAT."""
        with self.lock:
            for client in self.clients.values():
                if client.address[1] == client_port:
                    self._forget(client)
                    client.upstream = self._open(client)
                    return client.upstream.getsockname()[1]
        raise KeyError(client_port)

    def swap(self, port_a, port_b):
        """Exchanges the upstream sockets of two clients: each now sends from the other's port."""
        with self.lock:
            a, b = (next(c for c in self.clients.values() if c.address[1] == port) for port in (port_a, port_b))
            a.upstream, b.upstream = b.upstream, a.upstream
            self.by_fd[a.upstream.fileno()], self.by_fd[b.upstream.fileno()] = a, b

    def _open(self, client):
        upstream = self._bound(client.address[0], 0)
        self.by_fd[upstream.fileno()] = client
        self.selector.register(upstream, selectors.EVENT_READ)
        return upstream

    def _forget(self, client):
        self.selector.unregister(client.upstream)
        del self.by_fd[client.upstream.fileno()]
        client.upstream.close()

    def _client(self, address):
        if address not in self.clients:
            client = _Client(address, None)
            client.upstream = self._open(client)
            self.clients[address] = client
        return self.clients[address]

    def _run(self):
        while self.running:
            ready = self.selector.select(self._wait())
            with self.lock:
                for key, _ in ready:
                    if key.fileobj is self.wake_out:
                        self.wake_out.recv(64)
                    else:
                        self._drain(key.fileobj)
                self._let_go()

    def _drain(self, sock):
        for _ in range(64):
            try:
                data, address = sock.recvfrom(65536)
            except (BlockingIOError, OSError):
                return
            data = self.directions[self.UP if sock is self.socket else self.DOWN].damaged(data)
            if sock is self.socket:
                client = self._client(address)
                self._weather(self.UP, data, lambda d=data, c=client: self._send(c.upstream, d, self.target))
            elif sock.fileno() in self.by_fd:
                client = self.by_fd[sock.fileno()]
                self._weather(self.DOWN, data, lambda d=data, c=client: self._send(self.socket, d, c.address))

    @staticmethod
    def _send(sock, data, address):
        try:
            sock.sendto(data, address)
        except OSError:
            pass  # a full buffer or a refused port is weather, too

    def _weather(self, which, data, send):
        direction = self.directions[which]
        direction.seen += 1
        drop, duplicate, reorder = direction.decide()
        if self.sniff and self.sniff(which, data) is False:
            return
        if self.hold_predicate and self.hold_predicate(which, data):
            self.hold_predicate = None
            self.held.append(send)
            return
        if drop or len(data) > direction.weather.max_bytes:
            direction.dropped += 1
            return
        self._pass_late(direction)
        if reorder:
            direction.reordered += 1
            due = time.monotonic() + direction.weather.reorder_wait_ms / 1000
            direction.late.append([direction.weather.reorder_span, due, send])
        else:
            self._later(direction, send)
        if duplicate:
            direction.duplicated += 1
            self._later(direction, send)

    def _later(self, direction, send):
        if direction.weather.delay_ms:
            heapq.heappush(self.delayed,
                           (time.monotonic() + direction.weather.delay_ms / 1000, next(self.order), send))
        else:
            send()

    def _pass_late(self, direction):
        for entry in direction.late:
            entry[0] -= 1
        while direction.late and direction.late[0][0] <= 0:
            direction.late.pop(0)[2]()

    def _wait(self):
        now = time.monotonic()
        due = [entry[1] for direction in self.directions for entry in direction.late[:1]]
        if self.delayed:
            due.append(self.delayed[0][0])
        return max(0.0, min(due) - now) if due else None

    def _let_go(self):
        now = time.monotonic()
        while self.delayed and self.delayed[0][0] <= now:
            heapq.heappop(self.delayed)[2]()
        for direction in self.directions:
            while direction.late and direction.late[0][1] <= now:
                direction.late.pop(0)[2]()
