# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP wire alone (tests/tools/http_harness.c): framing, deadlines, limits, late answers, clients that go away."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

import http_raw
import lib
from http_raw import Connection, ask, get, post
from lib import equal

WORKERS = (1,)
HEADER_TIMEOUT_S = 2
# Nobody is cut off for being slow, whatever the machine does, but by a Harness of the tests that want it.
SETTINGS = {"http_header_timeout_s": 120, "http_body_timeout_s": 120, "http_idle_timeout_s": 120,
            "http_connections_max": 60, "http_connections_per_address": 20}
HASTY = {"http_header_timeout_s": HEADER_TIMEOUT_S, "http_body_timeout_s": 3, "http_idle_timeout_s": 2}
GOOD = b"Authorization: Bearer good"
# A deadline that does not hold is found by its not holding at all, not by its being late on a busy machine.
FAR_TOO_LONG_S = 40


class Harness:
    """Has what run.py asks of a gateway."""

    def __init__(self, **more):
        self.http_port, self.ops_port = lib.free_port(), lib.free_port()
        self.log_file = tempfile.NamedTemporaryFile("w+")
        settings = {**SETTINGS, **more, "http_port": self.http_port, "ops_port": self.ops_port}
        build_root = os.path.dirname(os.path.dirname(os.path.abspath(lib.BINARY)))
        program = os.path.join(build_root, "tests", "integration", "http-harness")
        self.process = lib.spawn([program] + ["--%s=%s" % item for item in settings.items()],
                                 stdout=subprocess.PIPE, stderr=self.log_file)
        assert self.process.stdout.readline() == b"ready\n", self.log()

    def log(self):
        return open(self.log_file.name).read()

    def is_alive(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        assert status == 0 and not self.log(), "ended with %d:\n%s" % (status, self.log()[:6000])


def start_gateway(_workers):
    return Harness()


@contextlib.contextmanager
def hasty():
    """One with short deadlines."""
    harness = Harness(**HASTY)
    try:
        yield harness
    finally:
        harness.stop()


def show(gateway, data):
    """What the handler saw, as a dict; repeated facts as lists."""
    answer = ask(gateway.http_port, data)
    assert answer and answer.status == 200, answer
    facts = {"query": [], "etag": []}
    for line in answer.body.decode().splitlines():
        name, value = line.split("=", 1)
        if name in ("query", "etag"):
            facts[name].append(value)
        else:
            facts[name] = value
    return facts


def problem(answer, status, slug):
    equal((answer.status, answer.fields.get("content-type")), (status, "application/problem+json"), repr(answer))
    body = json.loads(answer.body)
    equal((body["status"], body["type"].rsplit(":", 1)[1]), (status, slug))
    return answer


def test_refused(gateway):
    """Doubtful framing is refused, and nothing behind it is answered"""
    http_raw.all_of(http_raw.REFUSED, http_raw.check_refused, gateway.http_port)


def test_taken(gateway):
    """What is unusual but clear is taken, also a byte at a time"""
    http_raw.all_of(http_raw.TAKEN, http_raw.check_taken, gateway.http_port)
    http_raw.all_of(http_raw.TAKEN, http_raw.check_dribbled, gateway.http_port)


def test_targets(gateway):
    """A path has one spelling"""
    http_raw.check_targets(gateway.http_port)


def test_request(gateway):
    """A handler sees target, formats and entity tags decoded once"""
    facts = show(gateway, get(b"Accept: text/html, application/senml+json;q=0.5, application/senml+cbor",
                              b'If-None-Match: "0a", W/"0bff"', target=b"/show?n=a+b%2526&&d=%C3%A9&flag"))
    equal(facts["query"], ["n|a+b%26", "d|é", "flag|"])
    equal((facts["accept"], facts["content_format"], facts["who"], facts["wire"]), ("112", "-1", "0", "1"))
    equal(facts["etag"], ["1:0a", "2:0b"])
    equal(show(gateway, get(target=b"/a;b"))["path"], "/a;b")
    equal(show(gateway, get(GOOD, target=b"/show"))["who"], "2")
    equal(show(gateway, get(target=b"/show?token=good&access_token=good"))["who"], "0")
    equal(show(gateway, get(b"Accept: text/html", target=b"/show"))["accept"], "-2")
    equal(show(gateway, get(b"If-None-Match: *", target=b"/show"))["any"], "1")


def test_etag(gateway):
    """ETag goes out quoted, and comes back as 304 without a body"""
    answer = ask(gateway.http_port, get(target=b"/tagged"))
    equal((answer.status, answer.fields["etag"], answer.body), (200, '"deadbeef"', b"tagged\n"))
    with Connection(gateway.http_port) as connection:
        for _ in range(2):
            connection.send(get(b'If-None-Match: W/"deadbeef"', target=b"/tagged"))
            answer = connection.answer(has_body=False)
            equal((answer.status, answer.fields["etag"]), (304, '"deadbeef"'))


def test_answers(gateway):
    """Errors are problem+json with the fields that belong to their status"""
    answer = problem(ask(gateway.http_port, get(target=b"/nothing")), 404, "not-found")
    equal((answer.fields["cache-control"], answer.fields.get("server")), ("no-store", None))
    answer = problem(ask(gateway.http_port, b"DELETE /obs HTTP/1.1\r\nHost: a\r\n\r\n"), 405, "bad-method")
    equal(answer.fields["allow"], "POST, GET, HEAD")
    answer = problem(ask(gateway.http_port, get(target=b"/busy")), 503, "store-away")
    equal(answer.fields["retry-after"], "7")
    answer = problem(ask(gateway.http_port, post(b"Content-Length: 0", target=b"/obs")), 401, "unauthenticated")
    equal(answer.fields["www-authenticate"], 'Bearer realm="weir"')
    answer = ask(gateway.http_port, post(GOOD, b"Content-Length: 2", body=b"21", target=b"/obs"))
    equal((answer.status, answer.body, answer.fields.get("content-length", "0")), (204, b"", "0"))
    problem(ask(gateway.http_port, post(b"Content-Encoding: gzip", b"Content-Length: 2", body=b"21", target=b"/obs")),
            415, "unsupported-format")
    problem(ask(gateway.http_port, get(b'If-Match: "not ours"', target=b"/show")), 412, "precondition-failed")


def test_head(gateway):
    """HEAD is GET without the body, and the next request is in step"""
    with Connection(gateway.http_port) as connection:
        connection.send(b"HEAD /tagged HTTP/1.1\r\nHost: a\r\n\r\n" + get(target=b"/tagged"))
        equal(connection.answer(has_body=False).fields["content-length"], "7")
        equal(connection.answer().body, b"tagged\n")


def test_listeners(gateway):
    """Each listener has its own routes only"""
    problem(ask(gateway.http_port, get(target=b"/health")), 404, "not-found")
    problem(ask(gateway.ops_port, get(target=b"/show")), 404, "not-found")


def test_late(gateway):
    """Late answers come in order on one connection, and hold up nobody else"""
    with Connection(gateway.http_port) as slow:
        slow.send(get(target=b"/late?ms=200") + get(target=b"/tagged") + get(target=b"/late?ms=1"))
        equal(ask(gateway.http_port, get(target=b"/tagged")).body, b"tagged\n")
        equal([slow.answer().body for _ in range(3)], [b"late\n", b"tagged\n", b"late\n"])


def test_gone(gateway):
    """A client that goes away while its answer is made costs nothing"""
    for how in (socket.SHUT_RDWR, socket.SHUT_WR, None):
        with Connection(gateway.http_port) as connection:
            connection.send(get(target=b"/late?ms=100"))
            if how is not None:
                connection.sock.shutdown(how)
    with Connection(gateway.http_port) as connection:
        connection.send(get(target=b"/never"))
    with Connection(gateway.http_port) as connection:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.send(get(target=b"/never"))
    time.sleep(0.3)
    equal(ask(gateway.http_port, get(target=b"/tagged")).status, 200)


def test_half_closed(gateway):
    """A client that has closed its sending side still gets its answer"""
    with Connection(gateway.http_port) as connection:
        connection.send(get(target=b"/late?ms=50"))
        connection.sock.shutdown(socket.SHUT_WR)
        equal(connection.answer().body, b"late\n")
        assert connection.ended()


def test_large(gateway):
    """A megabyte arrives whole at a reader with a small window, while others are served"""
    with Connection(gateway.http_port, receive_buffer=4096) as slow:
        slow.send(get(target=b"/large?bytes=1000000") + get(target=b"/tagged"))
        equal(ask(gateway.http_port, get(target=b"/tagged")).status, 200)
        equal(slow.answer().body, b"x" * 1000000)
        equal(slow.answer().body, b"tagged\n")


def test_bodies(gateway):
    """Bodies of all sizes come whole, with a length and in chunks"""
    for size in (0, 1, 1023, 8192, 16384, 16385, 65536):
        body = os.urandom(size)
        fields = [b"Content-Type: application/cbor"]
        plain = post(*fields, b"Content-Length: %d" % size, body=body, target=b"/echo")
        pieces = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 5000]), body[i:i + 5000]) for i in range(0, size, 5000))
        chunked = post(*fields, b"Transfer-Encoding: chunked", target=b"/echo",
                       body=pieces + b"0\r\nX-Trailer: y\r\n\r\n")
        with Connection(gateway.http_port) as connection:
            connection.send(plain + plain + chunked + get(target=b"/tagged"))
            for _ in range(3):
                answer = connection.answer()
                equal((answer.status, answer.body), (200, body), "size %d" % size)
            equal(answer.fields["content-type"], "application/cbor" if size else answer.fields["content-type"])
            equal(connection.answer(), None, "the connection ends after chunks")


def test_body_limit(gateway):
    """A body over the limit is refused by what was said and by what came"""
    for length in (65537, 10_000_000_000, 999_999_999_999_999_999):
        problem(ask(gateway.http_port, post(b"Content-Length: %d" % length, target=b"/echo")), 413, "too-large")
        problem(ask(gateway.http_port, post(b"Content-Length: %d" % length, target=b"/nothing")), 413, "too-large")
    flood = post(b"Transfer-Encoding: chunked", body=b"10000\r\n%s\r\n" % (b"x" * 65536) * 4, target=b"/echo")
    problem(ask(gateway.http_port, flood), 413, "too-large")


def test_head_limit(gateway):
    """Ten megabytes of header are refused after eight kilobytes"""
    with Connection(gateway.http_port) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: %s\r\n" % (b"y" * 1000) * 10000)
        problem(connection.answer(), 431, "headers-too-large")


def test_expect(gateway):
    """100-continue is sent only if the body would be taken"""
    with Connection(gateway.http_port) as connection:
        connection.send(post(b"Expect: 100-continue", b"Content-Length: 5", target=b"/echo"))
        equal(connection.answer().status, 100)
        connection.send(b"hello")
        equal(connection.answer().body, b"hello")
    for refused in (post(b"Expect: 100-continue", b"Content-Length: 70000", target=b"/echo"),
                    post(b"Expect: 100-continue", b"Content-Length: 5", b"Authorization: Bearer bad", target=b"/echo")):
        assert ask(gateway.http_port, refused).status in (401, 413)


def test_refused_body_is_no_request(gateway):
    """What is left of a refused body is not taken for a request"""
    inner = get(target=b"/tagged")
    for fields in ([b"Authorization: Bearer bad"], [b"Content-Encoding: gzip"]):
        with Connection(gateway.http_port, source="127.0.0.77") as connection:
            connection.send(post(*fields, b"Content-Length: %d" % len(inner), target=b"/echo"))
            answer = connection.answer()
            assert answer.status in (401, 415), answer
            connection.send(inner)
            equal(connection.answer(), None)


def dribble_until_408(connection, piece):
    """Sends piece after piece for as long as nothing is said; how many seconds it took to be told that it is too late"""
    start = time.monotonic()
    connection.sock.settimeout(0.1)
    got = b""
    while not got:
        assert time.monotonic() - start < FAR_TOO_LONG_S, "still open"
        connection.send(piece)
        try:
            got = connection.sock.recv(4096)
        except socket.timeout:
            pass
    assert got.startswith(b"HTTP/1.1 408 "), got
    return time.monotonic() - start


def test_slow_head():
    """A head that dribbles in ends at its deadline, however lively it is"""
    with hasty() as gateway, Connection(gateway.http_port) as connection:
        connection.send(b"GET / HTTP/1.1\r\n")
        assert dribble_until_408(connection, b"X-A: b\r\n") > HEADER_TIMEOUT_S - 0.5


def test_slow_body():
    """A body that dribbles in ends at its deadline"""
    for fields in ([b"Content-Length: 60000"], [b"Transfer-Encoding: chunked"]):
        with hasty() as gateway, Connection(gateway.http_port) as connection:
            connection.send(post(*fields, target=b"/echo"))
            dribble_until_408(connection, b"1\r\nx\r\n")


def test_silent():
    """Connections on which nothing comes, or nothing more, end"""
    with hasty() as gateway, Connection(gateway.http_port) as silent, Connection(gateway.http_port) as idle:
        idle.send(get(target=b"/tagged"))
        equal(idle.answer().status, 200)
        assert http_raw.seconds_until_ended(silent) < FAR_TOO_LONG_S
        assert http_raw.seconds_until_ended(idle) < FAR_TOO_LONG_S


def test_limits(gateway):
    """One address cannot take all connections, and all together not more than the limit"""
    held = [Connection(gateway.http_port, source="127.0.1.1") for _ in range(SETTINGS["http_connections_per_address"])]
    try:
        equal(ask(gateway.http_port, get(target=b"/tagged"), source="127.0.1.1"), None)
        equal(ask(gateway.http_port, get(target=b"/tagged"), source="127.0.1.2").status, 200)
        for i in range(SETTINGS["http_connections_max"] - len(held)):
            held.append(Connection(gateway.http_port, source="127.0.2.%d" % (i + 1)))
        equal(ask(gateway.http_port, get(target=b"/tagged"), source="127.0.1.3"), None)
        equal(ask(gateway.ops_port, get(target=b"/nothing")).status, 404)
    finally:
        for connection in held:
            connection.sock.close()
    lib.wait_until(lambda: ask(gateway.http_port, get(target=b"/tagged"), source="127.0.1.1"), "room again")


def test_guessing(gateway):
    """Who guesses tokens has to wait; who has one does not, even at the same address"""
    wrong, right = get(b"Authorization: Bearer guess", target=b"/show"), get(GOOD, target=b"/show")
    for count in range(60):  # some more on a slow machine, which forgets some meanwhile
        answer = ask(gateway.http_port, wrong, source="127.0.3.1")
        if answer.status == 429:
            break
        problem(answer, 401, "unauthenticated")
        equal(answer.fields["www-authenticate"], 'Bearer realm="weir", error="invalid_token"')
    assert count >= 10, count
    problem(answer, 429, "too-many")
    assert 1 <= int(answer.fields["retry-after"]) <= 60, answer
    equal(ask(gateway.http_port, right, source="127.0.3.1").status, 200)
    problem(ask(gateway.http_port, wrong, source="127.0.3.2"), 401, "unauthenticated")
    equal(ask(gateway.http_port, get(target=b"/show"), source="127.0.3.1").status, 200)


def test_schemes(gateway):
    """Only bearer tokens count"""
    for value in (b"Basic Z29vZDo=", b"Bearer", b"Bearer  ", b"Bearer good good", b"good", b"Bearer goo\xe9"):
        answer = ask(gateway.http_port, get(b"Authorization: " + value, target=b"/show"), source="127.0.4.1")
        problem(answer, 401, "unauthenticated")
    equal(ask(gateway.http_port, get(b"authorization: bearer good", target=b"/show")).status, 200)
