# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS: the same routes through TLS, by wolfSSL in front of libmicrohttpd, and what TLS must not let through."""
import json
import os
import socket
import ssl

import lib
from lib import curl, equal

WORKERS = (1, 2)
# Nobody here is slow but in test_endless_hello, whatever the machine does.
SETTINGS = {"https_port": lib.free_port(), "https_listen": "127.0.0.1", "http_header_timeout_s": 120,
            "http_connections_per_address": 20}


def url(gateway, path):
    return "https://localhost:%s%s" % (gateway.settings["https_port"], path)


def secure(gateway, path, *options, **more):
    """curl that believes the certificate of the first start and nobody else."""
    return curl(url(gateway, path), "--cacert", os.path.join(gateway.folder, "server.pem"), *options, **more)


def context(gateway):
    made = ssl.create_default_context(cafile=os.path.join(gateway.folder, "server.pem"))
    return made


def connect(gateway):
    plain = socket.create_connection(("127.0.0.1", int(gateway.settings["https_port"])), timeout=60)
    return context(gateway).wrap_socket(plain, server_hostname="localhost")


def pack(count, width=0):
    return json.dumps([{"n": "n%d" % i + "x" * width, "v": i} for i in range(count)])


def read_answer(stream):
    """One answer with a length."""
    head = b""
    while b"\r\n\r\n" not in head:
        got = stream.recv(1)
        assert got, head
        head += got
    length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    body = b""
    while length and len(body) < length[0]:
        got = stream.recv(length[0] - len(body))
        assert got, body
        body += got
    return int(head.split()[1]), body


def test_observations(gateway):
    """a token over TLS stores what plain HTTP would, small or large"""
    for count, width in ((1, 0), (600, 40)):
        answer = secure(gateway, "/obs", token=gateway.device_token, data=pack(count, width),
                        content_type="application/senml+json")
        equal(answer.status, 204)
    equal(len(gateway.observations(device="sensor-1")), 601)
    answer = secure(gateway, "/obs?limit=1000", token=gateway.operator_token)
    equal(answer.status, 200)
    assert len(answer.json()) > 500, len(answer.json())


def test_versions(gateway):
    """1.2 and 1.3; nothing older; and only for who believes the certificate"""
    for version in ("1.2", "1.3"):
        answer = secure(gateway, "/time", "--tlsv" + version, "--tls-max", version, token=gateway.device_token)
        equal(answer.status, 200)
    old = lib.run(["curl", "-sSk", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", url(gateway, "/time")])
    assert old.status != 0 and "alert" in old.err, repr(old)
    equal(lib.run(["curl", "-sS", url(gateway, "/time")]).status, 60)


def test_one_record_of_many_requests(gateway):
    """requests that come in one TLS record are answered one after the other: nothing stays behind in the library"""
    ask = ("GET /time HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n" % gateway.device_token).encode()
    with connect(gateway) as stream:
        stream.sendall(ask * 40)
        equal([read_answer(stream)[0] for _ in range(40)], [200] * 40)


def test_body_of_many_records(gateway):
    """a body in hundreds of records, and a head in single octets"""
    body = pack(600, 30).encode()
    head = ("POST /obs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/senml+json\r\n"
            "Content-Length: %d\r\n\r\n" % (gateway.device_token, len(body))).encode()
    with connect(gateway) as stream:
        for at in range(len(head)):
            stream.sendall(head[at:at + 1])
        for at in range(0, len(body), 97):
            stream.sendall(body[at:at + 97])
        equal(read_answer(stream)[0], 204)


def test_slow_reader(gateway):
    """who reads late gets all of a long answer"""
    equal(secure(gateway, "/obs", token=gateway.device_token, data=pack(600, 40), content_type="application/senml+json").status,
          204)
    ask = ("GET /obs?limit=1000 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n" % gateway.operator_token).encode()
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(60)
    plain.connect(("127.0.0.1", int(gateway.settings["https_port"])))
    with context(gateway).wrap_socket(plain, server_hostname="localhost") as stream:
        stream.sendall(ask * 5)
        bodies = [read_answer(stream)[1] for _ in range(5)]
    equal(len(set(bodies)), 1)
    assert len(bodies[0]) > 20000, len(bodies[0])


def test_no_tls(gateway):
    """plain HTTP and noise on this port get nothing"""
    port = int(gateway.settings["https_port"])
    for noise in (b"GET /time HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\xff\xff" + os.urandom(2000), b"\x00" * 100):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as stream:
            stream.sendall(noise)
            got = b""
            while True:
                try:
                    piece = stream.recv(4096)
                except ConnectionResetError:
                    break
                if not piece:
                    break
                got += piece
            assert not got.startswith(b"HTTP"), got
    equal(secure(gateway, "/time", token=gateway.device_token).status, 200, "others are served")


def test_endless_hello(workers):
    """a hello that never ends is cut off at the deadline, and others are served"""
    settings = {**SETTINGS, "https_port": lib.free_port(), "http_header_timeout_s": 2}
    with lib.Gateway(workers=workers, **settings) as gateway:
        with socket.create_connection(("127.0.0.1", int(gateway.settings["https_port"])), timeout=60) as stream:
            stream.sendall(b"\x16\x03\x01\x02\x00\x01")
            equal(stream.recv(100), b"", "the deadline of the handshake")
        lib.until(200, lambda: secure(gateway, "/time", token=gateway.device_token), "others are served")


def test_many_connections(gateway):
    """the limit of one address holds for handshakes too"""
    port = int(gateway.settings["https_port"])
    idle = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(60)]
    going = set(idle)

    def are_bounded():
        for stream in list(going):
            stream.setblocking(False)
            try:
                if stream.recv(1) == b"":
                    going.remove(stream)
            except ConnectionResetError:
                going.remove(stream)
            except BlockingIOError:
                pass
        return len(going) <= 20 * gateway.workers

    try:
        lib.wait_until(are_bounded, "those above the limit have ended")
    finally:
        for stream in idle:
            stream.close()
    lib.until(200, lambda: secure(gateway, "/time", token=gateway.device_token), "there is room again")
