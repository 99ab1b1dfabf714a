# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP byte by byte: what no well-behaved client sends (acceptance case H1), and what a strict server must still take.

The vectors run against the whole gateway (test_http_framing) and against its HTTP wire alone (test_http_wire).
"""
import re
import socket
import time

PATIENCE_S = 60
# If this is answered after something doubtful, a request has been smuggled.
SECOND = b"GET /.well-known/core HTTP/1.1\r\nHost: second\r\n\r\n"


def get(*fields, target=b"/.well-known/core", version=b"HTTP/1.1", host=b"Host: a\r\n"):
    return b"GET " + target + b" " + version + b"\r\n" + host + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def post(*fields, body=b"", target=b"/nothing"):
    lines = [b"POST " + target + b" HTTP/1.1", b"Host: a", *fields, b"", b""]
    return b"\r\n".join(lines) + body


# name: (bytes, status). Each is followed by SECOND, which must not be answered; then the connection must end.
REFUSED = {
    "Content-Length and chunked": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "chunked and Content-Length": (post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"), 400),
    "two different lengths": (post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello"), 400),
    "two equal lengths": (post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), 400),
    "lengths in a list": (post(b"Content-Length: 5, 5", body=b"hello"), 400),
    "length with plus": (post(b"Content-Length: +5", body=b"hello"), 400),
    "length with minus": (post(b"Content-Length: -5", body=b"hello"), 400),
    "length in hexadecimal": (post(b"Content-Length: 0x5", body=b"hello"), 400),
    "length with text behind": (post(b"Content-Length: 5 x", body=b"hello"), 400),
    "empty length": (post(b"Content-Length: ", body=b"hello"), 400),
    "length beyond 64 bits": (post(b"Content-Length: 18446744073709551621", body=b"hello"), 400),
    "space before the colon": (post(b"Content-Length : 5", body=b"hello"), 400),
    "tab before the colon": (post(b"Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"), 400),
    "xchunked": (post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 400),
    "gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 400),
    "chunked twice": (post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "chunked, chunked": (post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    "identity": (post(b"Transfer-Encoding: identity", b"Content-Length: 5", body=b"hello"), 400),
    "chunked with vertical tab": (post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    "chunked in HTTP/1.0": (b"POST /nothing HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "folded length": (post(b"X-A: b\r\n Content-Length: 5", body=b"hello"), 400),
    "folded coding": (post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"), 400),
    "fold before any field": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "bare LF after the request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare LF after a field": (get(b"X: y\nContent-Length: 5"), 400),
    "bare LF at the end": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    "bare LF everywhere": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "bare CR as a line end": (post(b"X: y\rContent-Length: 5", body=b"hello"), 400),
    "bare CR in a name": (get(b"X\r: y"), 400),
    "NUL in a value": (get(b"X: a\x00b"), 400),
    "NUL in a name": (get(b"X\x00: b"), 400),
    "NUL in the target": (get(target=b"/.well-known/core\x00x"), 400),
    "control character": (get(b"X: a\x01b"), 400),
    "field without colon": (get(b"X"), 400),
    "field without name": (get(b": x"), 400),
    "name that is no token": (get(b"X(a): b"), 400),
    "no Host": (get(host=b""), 400),
    "two Hosts": (get(b"Host: b"), 400),
    "Host with a path": (get(host=b"Host: a/b\r\n"), 400),
    "two tokens": (get(b"Authorization: Bearer a", b"Authorization: Bearer b"), 400),
    "two spaces in the request line": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space behind the version": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "tab in the request line": (b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/1.2": (get(version=b"HTTP/1.2"), 400),
    "lower case version": (get(version=b"http/1.1"), 400),
    "TLS ClientHello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", 400),
    "unknown expectation": (post(b"Expect: 200-ok", b"Content-Length: 5", body=b"hello"), 400),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
    "OPTIONS": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "lower case method": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "head without end": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20000, 431),
    "many small fields": (get(*[b"X%d: y" % i for i in range(100)]), 431),
    "long target": (get(target=b"/" + b"x" * 4000), 400),
    "many parameters": (get(target=b"/?" + b"&".join(b"a" for _ in range(100))), 400),
    "chunk size beyond 64 bits": (post(b"Transfer-Encoding: chunked", body=b"FFFFFFFFFFFFFFFFF\r\n"), 413),
    "chunk size that wraps": (post(b"Transfer-Encoding: chunked", body=b"10000000000000005\r\nhello\r\n0\r\n\r\n"), 413),
    "negative chunk size": (post(b"Transfer-Encoding: chunked", body=b"-5\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk size 0x5": (post(b"Transfer-Encoding: chunked", body=b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk without size": (post(b"Transfer-Encoding: chunked", body=b"\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk longer than said": (post(b"Transfer-Encoding: chunked", body=b"3\r\nhello\r\n0\r\n\r\n"), 400),
}

# Good ones, with the statuses of all answers to them; each is followed by SECOND with Connection: close.
TAKEN = {
    "plain": (get(), [200]),
    "no space after the colon": (get(b"Accept:*/*"), [200]),
    "space behind a value": (get(b"Accept: */*  \t"), [200]),
    "an empty line before": (b"\r\n" + get(), [200]),
    "names in other cases": (b"GET /.well-known/core HTTP/1.1\r\nhOST: a\r\n\r\n", [200]),
    "absolute URI": (get(target=b"http://elsewhere:80/.well-known/core"), [200]),
    "three at once": (get() * 3, [200] * 3),
    "latin-1 in a value": (get(b"X-Name: caf\xe9"), [200]),
    "method override is ignored": (get(b"X-HTTP-Method-Override: DELETE"), [200]),
    "body where none is taken": (post(b"Content-Length: 5", body=b"hello"), [404]),
    "leading zeros in a length": (post(b"Content-Length: 0005", body=b"hello"), [404]),
    "HEAD": (b"HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n", [404]),
}

# target: status of a GET
TARGETS = {
    b"/.well-known/core": 200,
    b"/%2Ewell-known/%63ore": 200,
    b"/.well-known/core?a=%20b;c": 200,
    b"/.well-known/core;v=1": 404,
    b"/.well-known//core": 400,
    b"//.well-known/core": 400,
    b"/.well-known/core/": 400,
    b"/x/../.well-known/core": 400,
    b"/x/%2e%2E/.well-known/core": 400,
    b"/./.well-known/core": 400,
    b"/%2e/.well-known/core": 400,
    b"/.well-known%2Fcore": 400,
    b"/.well-known%5ccore": 400,
    b"/.well-known\\core": 400,
    b"/.well-known/core%00": 400,
    b"/.well-known/core%0d%0aX:%20y": 400,
    b"/.well-known/core%": 400,
    b"/.well-known/core%4": 400,
    b"/.well-known/core%zz": 400,
    b"/.well-known/core%252e": 404,
    b"/%c3%a9": 404,
    b"/%c3": 400,
    b"/%c0%af": 400,
    b"/caf\xc3\xa9": 400,
    b"/.well-known/core#x": 400,
    b"/.well-known/core?x=%00": 400,
    b"/.well-known/core?x=%ff": 400,
    b"*": 400,
    b"coap://10.0.0.1/x": 400,
    b"http:///x": 400,
    b".well-known/core": 400,
    b"?x": 400,
}


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __repr__(self):
        return "<%d %r %r>" % (self.status, self.fields, self.body[:300])


class Connection:
    def __init__(self, port, source=None, receive_buffer=None):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(("127.0.0.1", port))
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused while it was still being sent

    def _more(self):
        try:
            got = self.sock.recv(65536)
        except ConnectionResetError:
            got = b""
        self.rest += got
        return bool(got)

    def answer(self, has_body=True):
        """The next answer, or None at the end of the connection."""
        while b"\r\n\r\n" not in self.rest:
            if not self._more():
                assert not self.rest, "half an answer: %r" % self.rest
                return None
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}
        status = int(re.fullmatch(r"HTTP/1\.1 (\d\d\d) .*", lines[0]).group(1))
        length = int(fields.get("content-length", 0)) if has_body else 0
        while len(self.rest) < length:
            assert self._more(), "the body is cut off"
        body, self.rest = self.rest[:length], self.rest[length:]
        return Answer(status, fields, body)

    def ended(self):
        while self._more():
            pass
        return not self.rest


def ask(port, data, **more):
    """One request in, one answer out."""
    with Connection(port, **more) as connection:
        connection.send(data)
        return connection.answer(not data.startswith(b"HEAD"))


def check_refused(port, data, status):
    with Connection(port) as connection:
        connection.send(data + SECOND)
        answer = connection.answer()
        assert answer, "closed without an answer"
        assert answer.status == status, "%r instead of %d" % (answer, status)
        assert answer.fields.get("connection", "").lower() == "close", answer
        assert connection.ended(), "answered more than once: %r" % connection.rest


def check_taken(port, data, statuses):
    with Connection(port) as connection:
        connection.send(data + SECOND.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        for status in statuses + [200]:
            answer = connection.answer(not data.startswith(b"HEAD") or status == 200)
            assert answer and answer.status == status, "%r instead of %d" % (answer, status)
        assert connection.ended(), connection.rest


def check_dribbled(port, data, statuses):
    """The same, a byte at a time."""
    with Connection(port) as connection:
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(data)):
            connection.send(data[i:i + 1])
            if i < 40:
                time.sleep(0.001)  # so that the first bytes come one by one
        for status in statuses:
            answer = connection.answer(not data.startswith(b"HEAD"))
            assert answer and answer.status == status, "%r instead of %d" % (answer, status)


def all_of(table, check, port):
    """Every vector, and then what failed."""
    failed = []
    for name, (data, expected) in table.items():
        try:
            check(port, data, expected)
        except (AssertionError, OSError) as error:
            failed.append("%s: %s %s" % (name, type(error).__name__, error))
    assert not failed, "\n".join(failed)


def check_targets(port):
    failed = []
    for target, status in TARGETS.items():
        answer = ask(port, get(b"Connection: close", target=target))
        if not answer or answer.status != status:
            failed.append("%r: %r instead of %d" % (target, answer, status))
    assert not failed, "\n".join(failed)


def seconds_until_ended(connection):
    start = time.monotonic()
    connection.ended()
    return time.monotonic() - start
