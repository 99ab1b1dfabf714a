# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP: the same resources, problem+json errors, and the framing of cases H1 to H3."""
import json
import re
import socket
import time

import lib
from lib import curl, equal

SENML = "application/senml+json"
PACK = '[{"n":"%s","v":1}]'


def base(gateway):
    return "http://127.0.0.1:%d" % gateway.http_port


def problem(answer, status):
    equal(answer.status, status, repr(answer))
    equal(answer.headers.get("content-type", "").split(";")[0], "application/problem+json", repr(answer))
    body = answer.json()
    equal(body["status"], status)
    assert body["title"], body
    return body


def test_tokens(gateway):
    """no token, a wrong one, a wrong scheme: 401; an operator may not post: 403"""
    url = base(gateway) + "/obs"
    body = dict(data=PACK % "tok", content_type=SENML)
    answer = curl(url, **body)
    problem(answer, 401)
    assert "bearer" in answer.headers["www-authenticate"].lower(), answer
    good = gateway.device_token
    for token in ("x", good[:-1], good + "A", good[:-1] + ("A" if good[-1] != "A" else "B"),
                  good[:5] + "0" * 16 + good[21:], "weir_" + "0" * 16 + "_" + "A" * 43):
        problem(curl(url, token=token, **body), 401)
    problem(curl(url, "-H", "Authorization: Basic YTpi", **body), 401)
    problem(curl(url, token=gateway.operator_token, **body), 403)
    equal(gateway.observations(name="tok"), [])


def test_revoked_token(gateway):
    """a revoked token ends within a second"""
    token = gateway.add_token("--tenant", "demo", "--device", "sensor-1")
    url = base(gateway) + "/obs?name=x"
    lib.wait_until(lambda: curl(url, token=token).status == 200, "the token is known")
    gateway.cli("token", "revoke", token[5:21])
    lib.wait_until(lambda: curl(url, token=token).status == 401, "the token is revoked")


def test_error_statuses(gateway):
    """404, 405 with Allow, 406, 413, 415, 400, each as problem+json"""
    token = gateway.device_token
    problem(curl(base(gateway) + "/nothing", token=token), 404)
    answer = curl(base(gateway) + "/obs", token=token, method="DELETE")
    problem(answer, 405)
    equal(sorted(answer.headers["allow"].replace(" ", "").split(",")), ["FETCH", "GET", "HEAD", "IPATCH", "PATCH", "POST"])
    problem(curl(base(gateway) + "/obs", token=token, accept="image/png"), 406)
    problem(curl(base(gateway) + "/obs", token=token, data="x", content_type="image/png"), 415)
    problem(curl(base(gateway) + "/obs", token=token, data="x"), 415)
    problem(curl(base(gateway) + "/obs", token=token, data=" " * 70000, content_type=SENML), 413)
    problem(curl(base(gateway) + "/obs", "-H", "Transfer-Encoding: chunked", token=token, data=" " * 70000,
                 content_type=SENML), 413)
    body = problem(curl(base(gateway) + "/obs", token=token, data='[{"n":"x","v":]', content_type=SENML), 400)
    assert "offset" in json.dumps(body) or body.get("detail"), body
    problem(curl(base(gateway) + "/obs?unknown=1", token=token), 400)


def test_foreign_device(gateway):
    """a device cannot read another: 404, as if it were not there"""
    problem(curl(base(gateway) + "/obs?device=somebody", token=gateway.device_token), 404)
    problem(curl(base(gateway) + "/obs?device=never-seen", token=gateway.operator_token), 404)


def test_foreign_name(gateway):
    """a name of another device is refused: 403"""
    problem(curl(base(gateway) + "/obs", token=gateway.device_token, content_type=SENML,
                 data='[{"n":"sensor-2:temp","v":1}]'), 403)
    equal(gateway.observations(name="sensor-2:temp"), [])


def test_head(gateway):
    """HEAD is GET without the body"""
    url = base(gateway) + "/time"
    answer = curl(url, token=gateway.device_token, method="HEAD")
    equal((answer.status, answer.body.strip()[-20:] if b"\r\n\r\n" not in answer.body else b""), (200, b""))
    assert answer.headers["content-type"].startswith("text/plain"), answer
    equal(curl(base(gateway) + "/nothing", token=gateway.device_token, method="HEAD").status, 404)


def test_accept(gateway):
    """Accept picks the format, */* and wildcards take any"""
    url = base(gateway) + "/time"
    for accept, expected in (("*/*", "text/plain"), ("application/json", "application/json"),
                             ("application/cbor", "application/cbor"),
                             ("image/png, application/json;q=0.5", "application/json"),
                             ("text/plain;q=0, application/json", "application/json")):
        answer = curl(url, token=gateway.device_token, accept=accept)
        equal((answer.status, answer.headers["content-type"].split(";")[0]), (200, expected), accept)


def test_etag(gateway):
    """If-None-Match with the ETag: 304"""
    url = base(gateway) + "/obs?name=etag"
    equal(curl(url.split("?")[0], token=gateway.device_token, data=PACK % "etag", content_type=SENML).status, 204)
    answer = curl(url, token=gateway.device_token)
    etag = answer.headers["etag"]
    assert etag.startswith('"') and etag.endswith('"'), etag
    again = curl(url, "-H", "If-None-Match: " + etag, token=gateway.device_token)
    equal((again.status, again.body), (304, b""))
    equal(curl(url, "-H", 'If-None-Match: "other"', token=gateway.device_token).status, 200)


class Raw:
    """A TCP connection for requests that curl would not send."""

    def __init__(self, gateway):
        self.socket = socket.create_connection(("127.0.0.1", gateway.http_port), 60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read_until_closed(self, timeout=60.0):
        self.socket.settimeout(timeout)
        data = b""
        try:
            while True:
                part = self.socket.recv(65536)
                if not part:
                    return data
                data += part
        except ConnectionError:
            return data

    def answer(self):
        """Status, headers and body of one answer that has a length."""
        file = self.socket.makefile("rb")
        status = int(file.readline().split()[1])
        headers = {}
        for line in iter(file.readline, b"\r\n"):
            name, value = line.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        return status, headers, file.read(int(headers.get("content-length", 0)))


def statuses_of(data):
    return re.findall(rb"HTTP/1\.1 (\d\d\d) ", data)


def test_keep_alive(gateway):
    """twenty requests on one connection"""
    head = "GET /time HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n" % gateway.device_token
    body = PACK % "keep"
    post = "POST /obs HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n\r\n%s" % (
        SENML, len(body), gateway.device_token, body)
    with Raw(gateway) as raw:
        for i in range(10):
            raw.send(head.encode())
            equal(raw.answer()[0], 200)
            raw.send(post.encode())
            equal(raw.answer()[0], 204)
    equal(len(gateway.observations(name="keep")), 10)


def test_refused_requests_keep_framing(gateway):
    """the body of a refused request is never taken for the next request"""
    body = PACK % "framing"
    inner = "POST /obs HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n\r\n%s" % (
        SENML, len(body), gateway.device_token, body)
    outer = "POST /obs HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        SENML, len(inner), inner)
    with Raw(gateway) as raw:
        raw.send(outer.encode())
        equal(raw.answer()[0], 401)
    equal(curl(base(gateway) + "/time", token=gateway.device_token).status, 200)
    equal(gateway.observations(name="framing"), [])


# Framing that lets two parties disagree on where a request ends (H1). Each is followed by a POST that must not count.
SMUGGLING = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "Content-Length: 5, 6\r\n\r\nhello",
    "Content-Length: +5\r\n\r\nhello",
    "Content-Length: -5\r\n\r\nhello",
    "Content-Length: 0x5\r\n\r\nhello",
    "Content-Length: 5 5\r\n\r\nhello",
    "Content-Length: 99999999999999999999\r\n\r\nhello",
    "Content-Length : 5\r\n\r\nhello",
    "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "X: a\r\n Content-Length: 5\r\n\r\nhello",
    "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5;\r\nhello0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello",
    "X\0Y: a\r\n\r\n",
    "X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "X: a\rb\r\nContent-Length: 0\r\n\r\n",
    "no colon here\r\nContent-Length: 0\r\n\r\n",
    ": no name\r\nContent-Length: 0\r\n\r\n",
]


def test_smuggling(gateway):
    """ambiguous framing: 400, the connection closed, nothing after it processed (H1)"""
    body = PACK % "smuggled"
    second = "POST /obs HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n\r\n%s" % (
        SENML, len(body), gateway.device_token, body)
    wrong = []
    for rest in SMUGGLING:
        first = "POST /obs HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nAuthorization: Bearer %s\r\n" % (
            SENML, gateway.device_token)
        with Raw(gateway) as raw:
            raw.send((first + rest + second).encode("latin-1"))
            try:
                data = raw.read_until_closed()
            except TimeoutError:
                wrong.append("%r: the connection stays open" % rest)
                continue
        statuses = statuses_of(data)
        if statuses not in ([b"400"], [b"501"], [b"413"], []):
            wrong.append("%r: %r" % (rest, statuses))
    equal(gateway.observations(name="smuggled"), [], "smuggled requests")
    assert not wrong, "\n".join(wrong)


def test_request_line(gateway):
    """missing Host, bad versions and absurd targets are refused"""
    for line, allowed in (("GET /time HTTP/1.1\r\n\r\n", {400}), ("GET /time HTTP/3.0\r\nHost: a\r\n\r\n", {400, 505}),
                          ("GET time HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404}),
                          ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404}),
                          ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404}),
                          ("TRACE /time HTTP/1.1\r\nHost: a\r\n\r\n", {400, 405, 501}),
                          ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404, 405, 501}),
                          ("GET /../time HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404}),
                          ("GET //time HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404})):
        with Raw(gateway) as raw:
            raw.send(line.encode())
            status = raw.answer()[0]
            assert status in allowed, (line, status)


def test_header_limits(gateway):
    """headers of a megabyte and a thousand query parameters are refused (H3)"""
    with Raw(gateway) as raw:
        try:
            raw.send(b"GET /time HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n")
        except ConnectionError:
            pass
        data = raw.read_until_closed()
        assert not data or data.split()[1] in (b"431", b"400"), data[:100]
    answer = curl(base(gateway) + "/obs?" + "&".join("a%d=1" % i for i in range(1000)), token=gateway.device_token)
    assert answer.status in (400, 414, 431), answer


def test_slow_header():
    """a header sent a byte a second is cut off at the deadline, others are served meanwhile (H2)"""
    with lib.Gateway(http_header_timeout_s=2) as gateway:
        with Raw(gateway) as raw:
            raw.send(b"GET /time HTTP/1.1\r\nHost: a\r\n")
            begin = time.monotonic()
            raw.socket.settimeout(0.2)
            closed = False
            while time.monotonic() - begin < 60 and not closed:
                try:
                    raw.send(b"X")
                    raw.socket.recv(1024)  # an answer or the end
                    closed = True
                except TimeoutError:
                    continue
                except ConnectionError:
                    closed = True
            assert closed, "still open after a minute"
            lib.until(200, lambda: curl(base(gateway) + "/time", token=gateway.device_token), "others are served")


def test_slow_body():
    """a body that never comes is cut off at the deadline (H2)"""
    with lib.Gateway(http_body_timeout_s=2) as gateway:
        with Raw(gateway) as raw:
            raw.send(("POST /obs HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: 100\r\n"
                      "Authorization: Bearer %s\r\n\r\n[" % (SENML, gateway.device_token)).encode())
            raw.read_until_closed()


def test_many_connections_of_one_address():
    """connections of one address are bounded (H2)"""
    with lib.Gateway(http_connections_per_address=10) as gateway:
        open_ones = []
        try:
            for _ in range(40):
                open_ones.append(socket.create_connection(("127.0.0.1", gateway.http_port), 10))
            lib.wait_until(lambda: gateway.metric("weir_http_connections") <= 12, "connections are bounded")
        finally:
            for sock in open_ones:
                sock.close()
        lib.until(200, lambda: curl(base(gateway) + "/time", token=gateway.device_token), "served again")


def test_pipelining(gateway):
    """pipelined requests are answered in order"""
    with Raw(gateway) as raw:
        one = "GET /%s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + gateway.device_token + "\r\n\r\n"
        last = one.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
        raw.send(((one % "time") + (one % "nothing") + (last % "time")).encode())
        data = raw.read_until_closed()
    equal(statuses_of(data), [b"200", b"404", b"200"])
