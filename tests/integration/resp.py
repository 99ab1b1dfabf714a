# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis client of one connection (RESP2) and the protocol itself, so that the tests need no package."""
import socket


class RedisError(Exception):
    pass


def connect(address, timeout):
    """A socket. address: "unix:/path" or "host:port"."""
    if address.startswith("unix:"):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target = address[5:]
    else:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        host, port = address.rsplit(":", 1)
        target = (host, int(port))
    made.settimeout(timeout)
    made.connect(target)
    return made


def encode_command(arguments):
    out = b"*%d\r\n" % len(arguments)
    for argument in arguments:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        out += b"$%d\r\n%s\r\n" % (len(data), data)
    return out


def encode_reply(value):
    """str: a status, or an error if it begins with '-'; bytes, int, None, lists of them."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, bytes):
        return b"$%d\r\n%s\r\n" % (len(value), value)
    if isinstance(value, str):
        return (value if value.startswith("-") else "+" + value).encode() + b"\r\n"
    return b"*%d\r\n" % len(value) + b"".join(encode_reply(item) for item in value)


def _read_line(file):
    line = file.readline()
    if not line.endswith(b"\r\n"):
        raise RedisError("connection closed")
    return line


def _read_exactly(file, count):
    data = file.read(count)
    if len(data) != count:
        raise RedisError("connection closed")
    return data


def read_command(file):
    """(its bytes, its arguments) of what a client sends."""
    raw = head = _read_line(file)
    if head[:1] != b"*":
        return raw, raw.split()
    arguments = []
    for _ in range(int(head[1:])):
        head = _read_line(file)
        data = _read_exactly(file, int(head[1:]) + 2)
        raw += head + data
        arguments.append(data[:-2])
    return raw, arguments


def read_raw_reply(file):
    """One reply as it stands, RESP2 or RESP3."""
    line = _read_line(file)
    kind, rest = line[:1], line[1:-2]
    if kind in b"$!=" and rest != b"-1":
        return line + _read_exactly(file, int(rest) + 2)
    if kind in b"*~>%" and rest != b"-1":
        count = int(rest) * (2 if kind == b"%" else 1)
        return line + b"".join(read_raw_reply(file) for _ in range(count))
    return line


class Redis:
    """address: "unix:/path" or "host:port"."""

    def __init__(self, address, timeout=60.0):
        self.socket = connect(address, timeout)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __call__(self, *arguments):
        self.socket.sendall(encode_command(arguments))
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
