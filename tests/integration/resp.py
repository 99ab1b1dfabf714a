# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis client of one connection (RESP2), so that the tests need no package."""
import socket


class RedisError(Exception):
    pass


class Redis:
    """address: "unix:/path" or "host:port"."""

    def __init__(self, address, timeout=10.0):
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            target = address[5:]
        else:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            host, port = address.rsplit(":", 1)
            target = (host, int(port))
        self.socket.settimeout(timeout)
        self.socket.connect(target)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __call__(self, *arguments):
        out = b"*%d\r\n" % len(arguments)
        for argument in arguments:
            data = argument if isinstance(argument, bytes) else str(argument).encode()
            out += b"$%d\r\n%s\r\n" % (len(data), data)
        self.socket.sendall(out)
        return self._reply()

    def _reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise RedisError("connection closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == b"-1":
                return None
            return self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
        raise RedisError("not RESP2: %r" % line)

    def stream(self, key, start="-"):
        """Entries of a stream as (id, [(field, value)]), all text."""
        return [(entry_id.decode(), list(zip(*[iter(part.decode("utf-8", "replace") for part in fields)] * 2)))
                for entry_id, fields in self("XRANGE", key, start, "+")]

    def observations(self, tenant="demo", start="-"):
        """Entries of a tenant's observation stream as dicts."""
        return [dict(fields) for _, fields in self.stream("weir:{%s}:obs" % tenant, start)]
