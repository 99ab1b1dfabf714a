# SPDX-License-Identifier: GPL-3.0-or-later
"""DTLS from outside: PSK, certificates, raw public keys; cases T2, T7 to T9, T14 to T16, T18 to T23.

The clients are Debian's coap-client on OpenSSL and GnuTLS; the relay shows what they and the gateway say.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import signal
import subprocess
import time

import lib
from coap import Peer
from lib import equal
from relay import Relay, Weather

WORKERS = (2,)

PACK = '[{"n":"%s","v":%d}]'


def start_gateway(workers):
    """One that takes certificates of an authority of our own."""
    folder = lib.tempfile.mkdtemp(prefix="weir-test-")
    authority = lib.Authority(folder)
    certificate, key = authority.issue("server", "localhost", "serverAuth")
    gateway = lib.Gateway(workers=workers, state_dir=folder, dtls_client_ca=authority.certificate,
                          dtls_certificate=certificate, dtls_key=key)
    gateway.owns_folder = True
    gateway.authority = authority
    return gateway


def uri(gateway, port=None, host="127.0.0.1"):
    return "coaps://%s:%d/obs" % (host, port or gateway.coaps_port)


def post(gateway, name, value, *options, psk=None, port=None, host="127.0.0.1", **more):
    return lib.coap_client(uri(gateway, port, host), "-m", "post", "-t", "110", "-e", PACK % (name, value), *options,
                           psk=psk, **more)


def demo(gateway):
    return gateway.psk_identity, gateway.psk


def count(gateway, name):
    return len(gateway.observations(name=name))


def accepted(gateway, name, value, *options, **more):
    """It is posted, and arrives: coap-client ends well also when it could not send."""
    before = count(gateway, name)
    result = post(gateway, name, value, *options, **more)
    equal((result.status, result.code, count(gateway, name) - before), (0, "", 1), repr(result))


def all_at_once(function, cases):
    """Results in the order of the cases; refused clients only wait, so many can do it together."""
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        return list(pool.map(function, cases))


def test_psk_both_clients(gateway):
    """PSK with OpenSSL and GnuTLS"""
    for tls in ("openssl", "gnutls"):
        accepted(gateway, "psk-" + tls, 1, psk=demo(gateway), tls=tls)
        equal(gateway.observations(name="psk-" + tls)[0]["a"], "psk")


def flight(gateway, psk, tls="openssl"):
    """What an observer on the line sees of a handshake: for each datagram the direction, record types and lengths."""
    seen = []

    def sniff(direction, data):
        at, records = 0, []
        while at + 13 <= len(data):
            length = int.from_bytes(data[at + 11:at + 13], "big")
            records.append((data[at], length))
            at += 13 + length
        seen.append((direction, tuple(records)))

    with Relay(gateway.coaps_port) as relay:
        relay.sniff = sniff
        post(gateway, "stranger", 1, psk=psk, port=relay.port, tls=tls, timeout_s=4)
    return [entry for entry in seen if entry[0] == Relay.DOWN]


def test_wrong_key_and_unknown_identity_look_the_same(gateway):
    """wrong key and unknown identity look the same from outside (T19)"""
    key = b"wrong-wrong-wrong"
    for _ in range(4):  # of a machine that stood still an observer may not have seen all
        wrong_key, unknown, no_tenant = (sorted(set(r for _, rs in f for r in rs)) for f in all_at_once(
            lambda identity: flight(gateway, (identity, key)), [gateway.psk_identity, "demo/sensor-X", "nope/sensor-1"]))
        if wrong_key and wrong_key == unknown == no_tenant:
            break
    assert wrong_key, "nothing was said at all"
    equal([unknown, no_tenant], [wrong_key] * 2)
    equal(count(gateway, "stranger"), 0)


def test_odd_identities(gateway):
    """odd identities are refused and nobody else is hurt (T20, T21)"""
    identities = ["", "x" * 200, "demo", "/sensor-1", "demo/", "demo/sensor-1/", "demo//sensor-1", "demo/sensor-1 ",
                  "DEMO/sensor-1", "demo/*", "demo/sensor-1\nweir", "demo/\u00fc", "other/sensor-1"]
    all_at_once(lambda identity: post(gateway, "odd", 1, psk=(identity, gateway.psk), timeout_s=2), identities)
    equal(gateway.observations(name="odd"), [])
    accepted(gateway, "after-odd", 1, psk=demo(gateway))


def certified(gateway, file):
    """Certificate and key of the device cert-1, which is known afterwards."""
    certificate, key = gateway.authority.issue(file, "cert-device-1.example")
    gateway.cli("device", "add", "demo/cert-1", "--x509", "cert-device-1.example", check=False)
    lib.wait_until(lambda: not post(gateway, "cert", 1, "-c", certificate, "-j", key, "-n", timeout_s=5).code and
                   count(gateway, "cert"), "the certificate gets in")
    return certificate, key


def test_certificate_client(gateway):
    """a certificate of the authority is a device"""
    certified(gateway, "client")
    entry = gateway.observations(name="cert")[0]
    equal((entry["d"], entry["a"]), ("cert-1", "x509"))


def test_server_certificate(gateway):
    """the gateway shows its certificate, and a client that trusts another authority goes away"""
    certificate, key = certified(gateway, "checker")
    accepted(gateway, "checked", 1, "-c", certificate, "-j", key, "-R", gateway.authority.certificate,
             host="localhost")
    equal(count(gateway, "checked"), 1)
    folder = os.path.join(gateway.folder, "elsewhere")
    os.makedirs(folder)
    post(gateway, "checked", 2, "-c", certificate, "-j", key, "-R", lib.Authority(folder).certificate,
         host="localhost", timeout_s=3)
    equal(count(gateway, "checked"), 1)


def test_self_signed_server_certificate(workers):
    """without a certificate of its own the gateway makes one, and keeps it"""
    with lib.Gateway(workers=workers) as gateway:
        seen = set()
        for _ in range(2):
            shown = lib.run(["openssl", "s_client", "-dtls1_2", "-connect", "127.0.0.1:%d" % gateway.coaps_port,
                             "-showcerts"], stdin=b"")
            seen.add(shown.out[shown.out.index("-----BEGIN"):shown.out.index("-----END")])
            gateway.terminate()
            gateway.start()
        equal(len(seen), 1, "the certificate stays the same over a restart")


def test_foreign_certificates(gateway):
    """certificates of another authority, unknown names and server certificates are refused (T22)"""
    folder = os.path.join(gateway.folder, "foreign")
    os.makedirs(folder)
    stranger = lib.Authority(folder).issue("stranger", "cert-device-1.example")
    unknown = gateway.authority.issue("unknown", "nobody.example")
    for certificate, key in (stranger, unknown):
        post(gateway, "foreign", 1, "-c", certificate, "-j", key, "-n", timeout_s=4)
    equal(count(gateway, "foreign"), 0)


def spki_digest(certificate):
    """SHA-256 of its SubjectPublicKeyInfo: what a credential of the kind ca has, and everybody can compute."""
    public = lib.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], text=False, check=True).out
    return hashlib.sha256(lib.run(["openssl", "pkey", "-pubin", "-outform", "DER"], stdin=public, text=False,
                                  check=True).out).hexdigest()


def whose_certificate(gateway, name, certificate, key, timeout_s=4):
    """Posts once. Whose the value is, of all tenants, or nobody's."""
    post(gateway, name, 1, "-c", certificate, "-j", key, "-n", timeout_s=timeout_s)
    return [entry["d"] for tenant in ("demo", "evil") for entry in gateway.observations(name=name, tenant=tenant)]


def test_nobody_takes_a_certificate_over(gateway):
    """who says more of another's certificate, or the same later, does not get it; the first has it, enabled or not"""
    certificate, key = gateway.authority.issue("wanted", "wanted.example")
    authority, leaf = spki_digest(gateway.authority.certificate), spki_digest(certificate)
    gateway.cli("tenant", "add", "evil")
    token = gateway.add_token("evil", "--role", "operator", "--sites", "hall")
    gateway.cli("device", "add", "demo/wanted", "--x509", "wanted.example")
    lib.wait_until(lambda: whose_certificate(gateway, "mine", certificate, key), "the device is known")
    url = "http://127.0.0.1:%d/devices" % gateway.http_port

    def add_thief(digests, **more):
        body = {"id": "thief", "site": "hall",
                "keys": [{"id": "x", "kind": "ca", "name": "wanted.example", "hex": digests}], **more}
        lib.wait_until(lambda: lib.curl(url, data=json.dumps(body), token=token,
                                        content_type="application/json").status == 201, "the thief is made")
        lib.wait_until(lambda: lib.curl(url + "/thief", token=token).status == 200, "the thief is known")
    for i, (digests, more) in enumerate(((authority, {}), (authority + leaf, {}), (authority, {"disabled": True}))):
        add_thief(digests, **more)
        equal(whose_certificate(gateway, "wanted-%d" % i, certificate, key, 60), ["wanted"])
        equal(lib.curl(url + "/thief", token=token, method="DELETE").status, 204)
    add_thief(authority)
    gateway.cli("device", "disable", "demo/wanted")

    def is_told():
        log = lib.curl(url + "/wanted/log", token=gateway.operator_token).json()["log"]
        return any(event["stage"] == "handshake" and "disabled" in event["detail"] for event in log)
    lib.wait_until(lambda: not whose_certificate(gateway, "disabled-%s" % time.monotonic(), certificate, key) and is_told(),
                   "the device is disabled, and its log says so")
    line = re.search("may not speak by it.*", gateway.log())
    assert line and 'device=wanted shown="wanted.example"' in line[0], line
    gateway.cli("device", "remove", "demo/wanted")
    lib.wait_until(lambda: whose_certificate(gateway, "gone", certificate, key), "names are first come, first served")
    equal(gateway.observations(name="gone", tenant="evil")[0]["d"], "thief")


def test_raw_public_key(gateway):
    """a raw public key of the registry is a device, another one is not (T22)"""
    for name in ("known", "unknown"):
        lib.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout",
                 "-out", gateway.authority.path(name + ".rpk")], check=True)
        lib.run(["openssl", "ec", "-in", gateway.authority.path(name + ".rpk"), "-pubout",
                 "-out", gateway.authority.path(name + ".pub")], check=True)
    gateway.cli("device", "add", "demo/rpk-1", "--rpk-file", gateway.authority.path("known.pub"))

    def attempt(name):
        return post(gateway, "rpk-" + name, 1, "-M", gateway.authority.path(name + ".rpk"), "-R",
                    gateway.authority.certificate, tls="gnutls", timeout_s=5, host="localhost")
    lib.wait_until(lambda: not attempt("known").code and count(gateway, "rpk-known"), "the raw key gets in")
    entry = gateway.observations(name="rpk-known")[0]
    equal((entry["d"], entry["a"]), ("rpk-1", "rpk"))
    attempt("unknown")
    equal(count(gateway, "rpk-unknown"), 0)


def observe(gateway, psk, *options, port=None):
    """A coap-client that stays: an observation; its lines come from its stdout."""
    return lib.spawn(["env", "OPENSSL_CONF=/dev/null", "stdbuf", "-o0", "coap-client-openssl", "-s", "120", "-B", "120",
                      "-w", *options, "-u", psk[0], "-k", lib.printable(psk[1]), uri(gateway, port)],
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def test_rebooted_device(gateway):
    """a device that reboots and comes back from its old port gets in at once (T9)"""
    psk = gateway.add_device("demo/reboot-1")
    identity = ("demo/reboot-1", psk)
    lib.wait_until(lambda: not post(gateway, "reboot", 0, psk=identity, timeout_s=3).code and count(gateway, "reboot"),
                   "the device is known")
    port = lib.free_port(lib.socket.SOCK_DGRAM)
    client = observe(gateway, identity, "-p", str(port))
    try:
        assert b"reboot" in client.stdout.readline()
    finally:
        client.send_signal(signal.SIGKILL)  # no close_notify
        client.wait()
    for i in range(3):
        begin = time.monotonic()
        accepted(gateway, "reboot", 1, "-p", str(port), psk=identity)
        assert time.monotonic() - begin < 30, "the handshake took %g s" % (time.monotonic() - begin)
    equal(count(gateway, "reboot"), 4)


def test_spoofed_hello_hurts_nobody(gateway):
    """a ClientHello in a session's name does not end the session (T8)"""
    hello = []
    with Relay(gateway.coaps_port) as recorder:
        recorder.sniff = lambda direction, data: hello.append(data) if direction == Relay.UP else None
        accepted(gateway, "t8", 0, psk=demo(gateway), port=recorder.port)
    with Relay(gateway.coaps_port) as relay:
        client = observe(gateway, demo(gateway), port=relay.port)
        try:
            assert client.stdout.readline()
            upstream = next(iter(relay.clients.values())).upstream
            for data in (hello[0], b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28", b"\x16\xfe\xfd" + bytes(30)):
                upstream.sendto(data, ("127.0.0.1", gateway.coaps_port))
            accepted(gateway, "t8", 81, psk=demo(gateway))
            line = lib.wait_until(client.stdout.readline, "a notification")
            while b'"v":81' not in line:
                line = client.stdout.readline()
                assert line, "the session ended"
        finally:
            client.kill()
            client.wait()


def test_forged_records(gateway):
    """forged and cut records do not end a session (T14, T15)"""
    with Relay(gateway.coaps_port) as relay:
        records = []
        relay.sniff = lambda direction, data: records.append(data) if direction == Relay.UP else None
        client = observe(gateway, demo(gateway), port=relay.port)
        try:
            assert client.stdout.readline()
            upstream = next(iter(relay.clients.values())).upstream
            genuine = next(d for d in reversed(records) if d[0] in (23, 25))
            for i in range(300):
                forged = bytearray(genuine)
                forged[-1 - i % 8] ^= 1 + i % 255
                upstream.sendto(bytes(forged), ("127.0.0.1", gateway.coaps_port))
                upstream.sendto(genuine[:i % len(genuine)], ("127.0.0.1", gateway.coaps_port))
            accepted(gateway, "t14", 82, psk=demo(gateway))
            line = client.stdout.readline()
            while b'"v":82' not in line:
                line = client.stdout.readline()
                assert line, "the session ended"
        finally:
            client.kill()
            client.wait()


def test_no_amplification(gateway):
    """a stranger's ClientHello gets at most its own size back (T2)"""
    hello = []
    with Relay(gateway.coaps_port) as recorder:
        recorder.sniff = lambda direction, data: hello.append(data) if direction == Relay.UP else None
        post(gateway, "t2", 0, psk=demo(gateway), port=recorder.port)
    with Peer(gateway.coaps_port, source="127.0.4.4") as p:
        p.send(hello[0])
        answer = p.receive_bytes()
        assert answer and len(answer) <= len(hello[0]), (len(hello[0]), answer)
        equal(p.receive_bytes(1.2), None, "a second datagram to a stranger")


def test_hello_flood(gateway):
    """a flood of ClientHellos from many addresses costs no memory and lets a device in (T1)"""
    hello = []
    with Relay(gateway.coaps_port) as recorder:
        recorder.sniff = lambda direction, data: hello.append(data) if direction == Relay.UP else None
        post(gateway, "t1", 0, psk=demo(gateway), port=recorder.port)
    before = gateway.memory_kb()
    for i in range(3000):
        with Peer(gateway.coaps_port, source="127.77.%d.%d" % (i // 250, 1 + i % 250)) as p:
            p.send(hello[0])
    accepted(gateway, "t1", 1, psk=demo(gateway))
    assert gateway.memory_kb() - before < 8000, gateway.memory_kb() - before
    assert gateway.metric("weir_sessions", 'kind="half-open"') < 50


def test_old_and_weak(gateway):
    """old versions and weak suites are refused (T18)"""
    offers = [["-dtls1", "-cipher", "ALL:@SECLEVEL=0"], ["-dtls1_2", "-cipher", "PSK-NULL-SHA256:@SECLEVEL=0"],
              ["-dtls1_2", "-cipher", "PSK-AES128-CBC-SHA:@SECLEVEL=0"],
              ["-dtls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
              ["-dtls1_2", "-cipher", "ADH-AES128-SHA:@SECLEVEL=0"]]

    def offer(more, is_over=lambda: False):
        """Whether the client said it; one that is refused may wait for ever."""
        with Relay(gateway.coaps_port) as relay:
            said = []
            relay.sniff = lambda direction, data: said.append(direction)
            client = subprocess.Popen(["env", "OPENSSL_CONF=/dev/null", "openssl", "s_client", "-connect",
                                       "127.0.0.1:%d" % relay.port, "-psk_identity", gateway.psk_identity, "-psk",
                                       gateway.psk.hex(), *more], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
            try:
                lib.wait_until(lambda: Relay.UP in said or client.poll() is not None, "the client says something")
                end = time.monotonic() + 2
                while time.monotonic() < end and not is_over():
                    time.sleep(0.05)
            finally:
                client.kill()
                client.communicate()
            return Relay.UP in said

    def done():
        return gateway.metric("weir_dtls_handshakes_total", 'result="done"')

    before = done()
    equal(all_at_once(offer, offers), [True] * len(offers), "what the client did not even say")
    equal(done(), before, "weak handshakes that were finished")
    lib.wait_until(lambda: offer(["-dtls1_2", "-cipher", "PSK-AES128-GCM-SHA256"], lambda: done() > before) and
                   done() > before, "a good one from the same client")


def test_sessions_per_identity(gateway):
    """one device holds at most two sessions, others keep theirs (T6)"""
    psk = gateway.add_device("demo/greedy")
    lib.wait_until(lambda: not post(gateway, "greedy", 0, psk=("demo/greedy", psk), timeout_s=3).code and
                   count(gateway, "greedy"), "known")
    bystander = observe(gateway, demo(gateway))
    clients = []
    try:
        assert bystander.stdout.readline()
        before = gateway.metric("weir_sessions", 'kind="dtls"')
        for _ in range(6):
            clients.append(observe(gateway, ("demo/greedy", psk)))
            assert clients[-1].stdout.readline()
        lib.wait_until(lambda: gateway.metric("weir_sessions", 'kind="dtls"') <= before + 2, "two sessions are left")
        accepted(gateway, "t6", 83, psk=demo(gateway))
        line = bystander.stdout.readline()
        while b'"v":83' not in line:
            line = bystander.stdout.readline()
            assert line, "the bystander's session ended"
    finally:
        for client in clients + [bystander]:
            client.kill()
            client.wait()


def test_disabled_device(gateway):
    """a disabled device's session ends within two seconds and it cannot come back (T23)"""
    psk = gateway.add_device("demo/victim")
    identity = ("demo/victim", psk)
    lib.wait_until(lambda: not post(gateway, "victim", 0, psk=identity, timeout_s=3).code and count(gateway, "victim"),
                   "the device is known")
    token = gateway.add_token("--tenant", "demo", "--device", "victim")
    client = observe(gateway, identity)
    try:
        assert client.stdout.readline()
        before = gateway.metric("weir_sessions_revoked_total")
        gateway.cli("device", "disable", "demo/victim")
        lib.wait_until(lambda: gateway.metric("weir_sessions_revoked_total") > before, "the session is ended")
    finally:
        client.kill()
        client.wait()
    post(gateway, "victim", 1, psk=identity, timeout_s=3)
    answer = lib.curl("http://127.0.0.1:%d/obs" % gateway.http_port, data=PACK % ("victim", 2), token=token,
                      content_type="application/senml+json")
    assert answer.status in (401, 403), answer
    equal(count(gateway, "victim"), 1)
    accepted(gateway, "t23", 1, psk=demo(gateway))
