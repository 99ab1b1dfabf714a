# SPDX-License-Identifier: GPL-3.0-or-later
"""First contact: boxes that enrol over DTLS and HTTP, answers that are lost at every step, people who decide, rotation."""
import base64
import concurrent.futures
import itertools
import json
import os
import re
import subprocess
import tempfile
import time

import lib
from lib import curl, equal, run, wait_until

WORKERS = (1,)
# What is offered is used long before it is over; what must be over is made so (make_over), not waited for.
SETTINGS = {"enroll_confirm_s": 600, "enroll_pending_s": 600, "enroll_overlap_s": 2}

BOX = b"printed-on-the-box-0001"
_known = {}


def plant(gateway):
    """A tenant with batches; the token of each and an operator's."""
    if "operator" in _known:
        return _known
    gateway.cli("tenant", "add", "plant")
    gateway.secrets.append(BOX.hex())
    for name, *more in (("auto", "--approve=auto"), ("manual", "--approve=manual"), ("list", "--approve=list"),
                        ("few", "--approve=auto", "--max=1"), ("boxes", "--approve=auto", "--per-device"),
                        ("code", "--approve=auto", "--claim=blue-heron")):
        out = gateway.cli("batch", "add", "plant/" + name, "--psk=" + BOX.hex(), "--token", "--pattern=%s-*" % name,
                          "--site=hall-3", *more).out
        _known[name] = re.search(r"(?m)^token:\s+(\S+)", out).group(1)
        gateway.secrets.append(_known[name])
    _known["operator"] = gateway.add_token("--tenant", "plant", "--operator")
    wait_until(lambda: curl(url(gateway, "/enrollments"), token=_known["operator"]).status == 200, "the operator is known")
    wait_until(lambda: curl(url(gateway, "/enroll"), token=_known["code"]).status == 200, "the last batch is known")
    return _known


def url(gateway, path):
    return "http://127.0.0.1:%d%s" % (gateway.http_port, path)


def ask(gateway, token, expect=200, **question):
    answer = curl(url(gateway, "/enroll"), data=json.dumps(question), content_type="application/json", token=token)
    equal(answer.status, expect, repr(answer))
    return answer.json()


def ask_coap(gateway, identity, key, **question):
    """The same with coap-client; what the answer says, or its code."""
    result = lib.coap_client("coaps://127.0.0.1:%d/enroll" % gateway.coaps_port, "-m", "post", "-t", "50", "-A", "50",
                             "-e", json.dumps(question), psk=(identity, key))
    return json.loads(result.out) if result.out.strip().startswith("{") else result.code


def arrives(gateway, name, post):
    """Whether post() brings an observation; coap-client ends well also when it could not send."""
    before = len(gateway.observations(name=name, tenant="plant"))
    post()
    return len(gateway.observations(name=name, tenant="plant")) > before


def send(gateway, identity, psk, name, timeout_s=60):
    """Whether it arrives. Who is refused hears nothing: with less patience for those."""
    return arrives(gateway, name, lambda: lib.coap_client(
        "coaps://127.0.0.1:%d/obs" % gateway.coaps_port, "-m", "post", "-t", "110", "-e", '[{"n":"%s","v":1}]' % name,
        psk=(identity, psk.encode()), timeout_s=timeout_s))


def is_refused(gateway, identity, psk, name):
    return not send(gateway, identity, psk, name, 4)


def make_over(gateway, device):
    """As if the time in which what was offered had to be used were over."""
    gateway.redis("HSET", "weir:{plant}:enrol:" + device, "expires", "1")


def is_let_in(gateway, identity, psk_hex, patience_s=2):
    """Whether a handshake with this key is finished."""
    result = run(["timeout", str(patience_s), "openssl", "s_client", "-dtls1_2", "-connect", "127.0.0.1:%d" % gateway.coaps_port,
                  "-psk_identity", identity, "-psk", psk_hex, "-cipher", "PSK-AES128-GCM-SHA256"], stdin="")
    return "Cipher    : PSK-AES128-GCM-SHA256" in result.out


def kinds(gateway, device):
    """The states of a device's credentials, by id; None: there is no such device."""
    fields = gateway.redis("HGETALL", "weir:{plant}:dev:" + device)
    pairs = {fields[i].decode(): fields[i + 1].decode() for i in range(0, len(fields), 2)}
    if not pairs:
        return None
    return {name[4:]: text.split(" ")[0] for name, text in pairs.items() if name.startswith("key:")}


def is_confirmed(gateway, device, key):
    return (kinds(gateway, device) or {}).get(key, "?")[-1] != "?"


def waiting(gateway):
    rows = curl(url(gateway, "/enrollments"), token=plant(gateway)["operator"]).json()["enrollments"]
    return {row["serial"]: row["state"] for row in rows}


def test_psk_by_coap(gateway):
    """coap-client enrols with the batch's key, twice because the answer was lost, and speaks with its own"""
    plant(gateway)
    question = {"serial": "A1", "model": "m-7", "want": "psk", "attempt": "random-12345"}
    first = ask_coap(gateway, "plant/+auto", BOX, **question)
    equal(first, {**ask_coap(gateway, "plant/+auto", BOX, **question), "time": first["time"]})
    gateway.secrets.append(first["psk"])
    equal((first["device"], first["tenant"], first["path"], first["state"]), ("auto-A1", "plant", "/obs", "offered"))
    equal(kinds(gateway, "auto-A1"), {first["kid"]: "psk?"})
    assert send(gateway, first["identity"], first["psk"], "temp")
    wait_until(lambda: is_confirmed(gateway, "auto-A1", first["kid"]), "the credential is confirmed")
    equal(waiting(gateway).get("A1"), None)
    # Spent: whoever asks for it now is told so.
    equal(ask_coap(gateway, "plant/+auto", BOX, **question), "4.09")
    equal(len(gateway.observations("auto-A1", "temp", "plant")), 1)


def test_bootstrap_enrols_only(gateway):
    """what is printed on the box opens nothing but /enroll"""
    token = plant(gateway)["auto"]
    for path in ("/obs", "/devices", "/time", "/codecs", "/enrollments"):
        equal(curl(url(gateway, path), token=token).status, 403)
    equal(curl(url(gateway, "/obs"), token=token, data='[{"n":"x","v":1}]', content_type="application/senml+json").status, 403)
    equal(curl(url(gateway, "/enroll")).status, 401)
    equal(curl(url(gateway, "/enroll"), token=plant(gateway)["operator"]).status, 403)
    assert is_refused(gateway, "plant/+auto", BOX.decode(), "temp")


def test_two_race_for_one_serial(gateway):
    """of many boxes that ask for one serial number at once one gets it"""
    token = plant(gateway)["auto"]

    def one(number):
        return curl(url(gateway, "/enroll"), token=token, content_type="application/json",
                    data=json.dumps({"serial": "race", "want": "psk", "attempt": "attempt-%04d" % number}))

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(one, range(6)))
    equal(sorted(answer.status for answer in answers), [200] + [409] * 5)
    equal(len(kinds(gateway, "auto-race")), 1)


def test_expires_and_leaves_nothing(gateway):
    """what was offered and not used goes, with the device; a new question may come then"""
    token = plant(gateway)["few"]
    question = {"serial": "B1", "want": "psk"}
    gateway.secrets.append(ask(gateway, token, attempt="first-attempt", **question)["psk"])
    ask(gateway, token, 403, serial="B2", want="psk", attempt="first-attempt")
    ask(gateway, token, 409, attempt="other-attempt", **question)
    make_over(gateway, "few-B1")
    again = ask(gateway, token, attempt="other-attempt", **question)
    gateway.secrets.append(again["psk"])
    equal(list(kinds(gateway, "few-B1")), [again["kid"]])


def test_all_that_is_over_is_swept():
    """many at once, in more than one tenant, beside a device whose record is damaged, which is told once"""
    # It is looked for as often as the shorter of both times asks for; nothing here waits for an approval.
    with lib.Gateway(enroll_confirm_s=600, enroll_pending_s=2) as gateway:
        for tenant in ("annex", "plant"):
            gateway.cli("tenant", "add", tenant)
        out = gateway.cli("batch", "add", "plant/auto", "--approve=auto", "--psk=" + BOX.hex(), "--token", "--pattern=auto-*").out
        gateway.secrets += [BOX.hex(), re.search(r"(?m)^token:\s+(\S+)", out).group(1)]
        token = gateway.secrets[-1]
        wait_until(lambda: curl(url(gateway, "/enroll"), token=token).status == 200, "the batch is known")
        sweep(gateway, token)


def sweep(gateway, token):
    question = {"want": "psk", "attempt": "attempt-0001"}
    for serial in ("Z1", "Z2"):
        gateway.secrets.append(ask(gateway, token, serial=serial, **question)["psk"])
    gateway.redis("HSET", "weir:{plant}:dev:auto-Z1", "created", "soon")
    # Over long ago; of the others nothing is left but their names.
    for serial in ("Z1", "Z2"):
        gateway.redis("HSET", "weir:{plant}:enrol:auto-" + serial, "expires", "1")
        gateway.redis("ZADD", "weir:{plant}:enrolments", "1", "auto-" + serial)
    for tenant in ("annex", "plant"):
        gateway.redis("ZADD", "weir:{%s}:enrolments" % tenant, *(text for i in range(2000) for text in ("2", "old-%d" % i)))
    wait_until(lambda: kinds(gateway, "auto-Z2") is None, "the device that was not used has gone")
    wait_until(lambda: not gateway.redis("ZRANGEBYSCORE", "weir:{annex}:enrolments", "-inf", "100"), "the others are gone")
    wait_until(lambda: not gateway.redis("ZRANGEBYSCORE", "weir:{plant}:enrolments", "-inf", "100"), "all are gone")
    wait_until(lambda: "what is over cannot be ended" in gateway.log(), "it is told")
    equal(gateway.log().count("what is over cannot be ended"), 1)
    equal(kinds(gateway, "auto-Z1") is None, False)


def test_people_decide(gateway):
    """manual approval over REST and by the CLI, rejection, a list of serial numbers"""
    known = plant(gateway)
    question = {"want": "psk", "attempt": "attempt-0001"}
    for serial in ("C1", "C2", "C3"):
        equal(ask(gateway, known["manual"], 202, serial=serial, **question)["state"], "pending")
    equal(ask(gateway, known["manual"], 202, serial="C1", **question)["device"], "manual-C1")
    equal(kinds(gateway, "manual-C1"), None)
    ask(gateway, known["manual"], 409, serial="C1", want="psk", attempt="somebody-else")
    assert "C2" in gateway.cli("device", "waiting", "plant").out
    equal(curl(url(gateway, "/enrollments/C1/approve"), token=known["manual"], method="POST").status, 403)
    equal(curl(url(gateway, "/enrollments/C1/approve"), token=known["operator"], method="POST").status, 204)
    equal(curl(url(gateway, "/enrollments/C9/approve"), token=known["operator"], method="POST").status, 404)
    assert "plant/manual-C2 approved" in gateway.cli("device", "approve", "plant/C2").out
    gateway.cli("device", "reject", "plant/C3")
    for serial in ("C1", "C2"):
        gateway.secrets.append(ask(gateway, known["manual"], serial=serial, **question)["psk"])
    ask(gateway, known["manual"], 403, serial="C3", **question)
    gateway.cli("batch", "approve-serial", "plant/list", "D1")
    gateway.secrets.append(ask(gateway, known["list"], serial="D1", **question)["psk"])
    ask(gateway, known["list"], 202, serial="D2", **question)
    states = waiting(gateway)
    equal([states[serial] for serial in ("C1", "C3", "D1", "D2")], ["offered", "rejected", "offered", "pending"])


def test_removed_device_needs_approval(gateway):
    """what people remove asks as for the first time: an operator decides again, and what it had lets nobody in"""
    known = plant(gateway)

    def remove_by_rest(device):
        equal(curl(url(gateway, "/devices/" + device), token=known["operator"], method="DELETE").status, 204)

    for serial, remove in (("R1", remove_by_rest), ("R2", lambda device: gateway.cli("device", "remove", "plant/" + device))):
        question, device = {"serial": serial, "want": "psk", "attempt": "attempt-0001"}, "manual-" + serial
        ask(gateway, known["manual"], 202, **question)
        gateway.cli("device", "approve", "plant/" + serial)
        offered = ask(gateway, known["manual"], **question)
        gateway.secrets.append(offered["psk"])
        remove(device)
        equal(ask(gateway, known["manual"], 202, **question)["state"], "pending")
        equal(kinds(gateway, device), None)
        equal(waiting(gateway)[serial], "pending")
        wait_until(lambda: is_refused(gateway, offered["identity"], offered["psk"], "removed"), "the key has gone")
        gateway.cli("device", "approve", "plant/" + serial)
        anew = ask(gateway, known["manual"], **question)
        gateway.secrets.append(anew["psk"])
        assert send(gateway, anew["identity"], anew["psk"], "removed")
        assert is_refused(gateway, offered["identity"], offered["psk"], "removed")


def test_removed_device_is_not_counted(gateway):
    """one that was removed makes room in its batch, and comes back only as long as there is room"""
    plant(gateway)
    out = gateway.cli("batch", "add", "plant/single", "--approve=auto", "--max=1", "--psk=" + BOX.hex(), "--token",
                      "--pattern=single-*").out
    token = re.search(r"(?m)^token:\s+(\S+)", out).group(1)
    gateway.secrets.append(token)
    wait_until(lambda: curl(url(gateway, "/enroll"), token=token).status == 200, "the batch is known")
    question = {"want": "psk", "attempt": "attempt-0001"}
    gateway.secrets.append(ask(gateway, token, serial="S1", **question)["psk"])
    ask(gateway, token, 403, serial="S2", **question)
    gateway.cli("device", "remove", "plant/single-S1")
    gateway.secrets.append(ask(gateway, token, serial="S2", **question)["psk"])
    ask(gateway, token, 403, serial="S1", **question)
    equal(kinds(gateway, "single-S1"), None)


def test_one_serial_in_two_batches(gateway):
    """people say which device they mean; one that was rejected by mistake is forgotten before it may ask again"""
    known = plant(gateway)
    question = {"serial": "L1", "want": "psk", "attempt": "attempt-0001"}
    for batch in ("manual", "list"):
        ask(gateway, known[batch], 202, **question)

    def decide(method, path):
        answer = curl(url(gateway, "/enrollments/" + path), token=known["operator"], method=method)
        return answer.status, answer.body.decode()

    for command in (["approve"], ["reject"], ["reject", "--forget"]):
        said = gateway.cli("device", *command, "plant/L1", check=False)
        assert said.status == 1 and "plant/manual-L1" in said.err and "plant/list-L1" in said.err, repr(said)
    status, text = decide("POST", "L1/approve")
    assert status == 409 and "manual-L1" in text and "list-L1" in text, text
    equal(decide("POST", "manual-L1/reject")[0], 204)
    status, text = decide("POST", "manual-L1/approve")
    assert status == 409 and "rejected" in text, text
    assert "forget" in gateway.cli("device", "approve", "plant/manual-L1", check=False).err
    equal(decide("DELETE", "manual-L1")[0], 204)
    equal(decide("DELETE", "manual-L1")[0], 404)
    # Another may ask for it now.
    ask(gateway, known["manual"], 202, serial="L1", want="psk", attempt="the-true-one")
    assert "plant/manual-L1 forgotten" in gateway.cli("device", "reject", "--forget", "plant/manual-L1").out
    assert "plant/list-L1 approved" in gateway.cli("device", "approve", "plant/L1").out
    gateway.secrets.append(ask(gateway, known["list"], **question)["psk"])


def test_claims(gateway):
    """a claim code, and secrets that are one per device"""
    known = plant(gateway)
    question = {"want": "psk", "attempt": "attempt-0001"}
    ask(gateway, known["code"], 403, serial="E1", **question)
    ask(gateway, known["code"], 403, serial="E1", claim="blue-hero", **question)
    gateway.secrets.append(ask(gateway, known["code"], serial="E1", claim="blue-heron", **question)["psk"])
    out = gateway.cli("batch", "claim", "plant/boxes", "F1").out
    claim = re.search(r"(?m)^claim:\s+(\S+)", out).group(1)
    box = re.search(r"(?m)^psk:\s+(\S+)", out).group(1)
    gateway.secrets += [claim, box]
    ask(gateway, known["boxes"], 403, serial="F2", claim=claim, **question)
    gateway.secrets.append(ask(gateway, known["boxes"], serial="F1", claim=claim, **question)["psk"])

    assert is_let_in(gateway, "plant/+boxes/F1", box, 60)
    assert not is_let_in(gateway, "plant/+boxes/F2", box)
    assert not is_let_in(gateway, "plant/+boxes", BOX.hex())


def unpadded(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class Key:
    """An Ed25519 key of a device, by the openssl program."""

    def __init__(self, folder):
        self.path, self.folder = os.path.join(folder, "device.key"), folder
        run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.path], check=True)
        der = run(["openssl", "pkey", "-in", self.path, "-pubout", "-outform", "DER"], check=True, text=False).out
        self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": unpadded(der[-32:])}

    def thumbprint(self):
        import hashlib
        text = '{"crv":"Ed25519","kty":"OKP","x":"%s"}' % self.jwk["x"]
        return unpadded(hashlib.sha256(text.encode()).digest())

    def sign(self, text):
        path = os.path.join(self.folder, "text")
        with open(path, "w") as file:
            file.write(text)
        return unpadded(run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", path], check=True,
                            text=False).out)

    def question(self, gateway, token, tenant, serial):
        nonce = curl(url(gateway, "/enroll"), token=token).json()["nonce"]
        text = " ".join(["weir-enroll", tenant, serial, self.thumbprint(), nonce])
        return {"serial": serial, "key": self.jwk, "nonce": nonce, "proof": self.sign(text)}


def test_public_key(gateway):
    """a key of the device's own, with proof that it has it; the same again with a new nonce is the same"""
    known = plant(gateway)
    with tempfile.TemporaryDirectory() as folder:
        key = Key(folder)
        question = key.question(gateway, known["auto"], "plant", "G1")
        ask(gateway, known["auto"], 401, **{**question, "serial": "G2"})
        other = "B" if question["nonce"][-1] == "A" else "A"
        ask(gateway, known["auto"], 401, **{**question, "nonce": question["nonce"][:-1] + other})
        ask(gateway, known["code"], 401, claim="blue-heron", **question)
        first = ask(gateway, known["auto"], **question)
        second = ask(gateway, known["auto"], **key.question(gateway, known["auto"], "plant", "G1"))
        equal((first["kid"], first["expires"]), (second["kid"], second["expires"]))
        equal(kinds(gateway, "auto-G1"), {first["kid"]: "eddsa?"})
        # The same key for another serial number would be one identity for two.
        ask(gateway, known["auto"], 409, **key.question(gateway, known["auto"], "plant", "G3"))
        equal(kinds(gateway, "auto-G3"), None)


def test_a_nonce_of_any_time(gateway):
    """whatever time a nonce says, it is too old or from the future, and the gateway computes with it as with any other"""
    token = plant(gateway)["auto"]
    with tempfile.TemporaryDirectory() as folder:
        question = Key(folder).question(gateway, token, "plant", "G5")
        for time_octets in ("8000000000000000", "8000000000000001", "7fffffffffffffff", "ffffffffffffffff",
                            "0000000000000000"):
            ask(gateway, token, 401, **{**question, "nonce": unpadded(bytes.fromhex(time_octets) + bytes(16))})
        ask(gateway, token, **question)
    assert "runtime error" not in gateway.log()


def request_of(folder):
    run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
         os.path.join(folder, "dev.key"), "-out", os.path.join(folder, "dev.csr"), "-outform", "DER", "-subj", "/CN=any"],
        check=True)
    with open(os.path.join(folder, "dev.csr"), "rb") as file:
        return file.read()


class Certified:
    """A device with a key and the certificate that it got for it."""

    def __init__(self, gateway, folder, name):
        self.gateway, self.folder = gateway, os.path.join(folder, name)
        os.mkdir(self.folder)
        self.csr = unpadded(request_of(self.folder))

    def take(self, answer):
        with open(os.path.join(self.folder, "certificate"), "w") as file:
            file.write(answer["certificate"])
        self.kid = answer["kid"]
        return self

    def post(self, path, form, text, timeout_s=60):
        return lib.coap_client("coaps://127.0.0.1:%d%s" % (self.gateway.coaps_port, path), "-m", "post", "-t", form, "-A",
                               "50", "-e", text, "-c", os.path.join(self.folder, "certificate"), "-j",
                               os.path.join(self.folder, "dev.key"), "-n", timeout_s=timeout_s)

    def speaks(self, timeout_s=60):
        return arrives(self.gateway, "temp", lambda: self.post("/obs", "110", '[{"n":"temp","v":1}]', timeout_s))

    def is_silent(self):
        return not self.speaks(3)

    def becomes_heard(self):
        wait_until(lambda: self.speaks(10), "it is heard")

    def rotate(self, csr):
        return json.loads(self.post("/enroll", "50", json.dumps({"csr": csr})).out)


def sessions_made(gateway):
    return gateway.metric("weir_dtls_handshakes_total", 'result="done"')


def test_certificate(gateway):
    """a certificate request is answered by the tenant's authority; the device speaks with it; the authority is rotated"""
    known = plant(gateway)
    with tempfile.TemporaryDirectory() as folder:
        csr = request_of(folder)
        ask(gateway, known["auto"], 422, serial="H1", csr=unpadded(csr))
        gateway.cli("ca", "make", "plant")
        ask(gateway, known["auto"], 400, serial="H1", csr=unpadded(csr[:-1] + bytes([csr[-1] ^ 1])))
        first = ask(gateway, known["auto"], serial="H1", csr=unpadded(csr))
        equal(first["certificate"], ask(gateway, known["auto"], serial="H1", csr=unpadded(csr))["certificate"])
        for name in ("certificate", "authority"):
            with open(os.path.join(folder, name), "w") as file:
                file.write(first[name])
        equal(gateway.cli("ca", "show", "plant/ca-1").out, first["authority"])
        text = run(["openssl", "x509", "-in", os.path.join(folder, "certificate"), "-noout", "-text"], check=True).out
        assert "URI:weir://plant/auto-H1" in text and "TLS Web Client Authentication" in text, text
        assert "OK" in run(["openssl", "verify", "-CAfile", os.path.join(folder, "authority"),
                            os.path.join(folder, "certificate")], check=True).out
        gateway.cli("ca", "rotate", "plant")

        def speaks():
            return arrives(gateway, "temp", lambda: lib.coap_client(
                "coaps://127.0.0.1:%d/obs" % gateway.coaps_port, "-m", "post", "-t", "110", "-e", '[{"n":"temp","v":1}]',
                "-c", os.path.join(folder, "certificate"), "-j", os.path.join(folder, "dev.key"), "-n", timeout_s=10))

        wait_until(speaks, "the certificate is good")
        wait_until(lambda: is_confirmed(gateway, "auto-H1", first["kid"]), "the credential is confirmed")
        other = ask(gateway, known["auto"], serial="H2", csr=unpadded(csr))
        assert other["authority"] != first["authority"]
        # Over CoAP JSON leaves the authority out, so that the answer is one block.
        small = ask_coap(gateway, "plant/+auto", BOX, serial="H3", csr=unpadded(csr))
        assert "CERTIFICATE" in small["certificate"] and "authority" not in small, small

        # Whoever is there by a certificate of an authority that is removed is not there any more.
        before = sessions_made(gateway)
        live = subprocess.Popen(["openssl", "s_client", "-dtls1_2", "-connect", "127.0.0.1:%d" % gateway.coaps_port,
                                 "-cert", os.path.join(folder, "certificate"), "-key", os.path.join(folder, "dev.key")],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: sessions_made(gateway) > before, "the session is there")
            ended = gateway.metric("weir_sessions_revoked_total")
            gateway.cli("ca", "remove", "plant/ca-1")
            wait_until(lambda: gateway.metric("weir_sessions_revoked_total") > ended, "the session is ended")
        finally:
            live.kill()
            live.communicate()


def test_a_certificate_is_of_its_key_alone(gateway):
    """one that was never confirmed, one that was rotated away, one of a device that was removed: none speaks again"""
    known = plant(gateway)
    with tempfile.TemporaryDirectory() as folder:
        if "ca-" not in gateway.cli("ca", "list", "plant").out:
            gateway.cli("ca", "make", "plant")
        thief, owner, a, b, again = (Certified(gateway, folder, name) for name in ("thief", "owner", "a", "b", "again"))
        thief.take(ask(gateway, known["auto"], serial="M1", csr=thief.csr))
        a.take(ask(gateway, known["auto"], serial="M2", csr=a.csr))
        a.becomes_heard()
        wait_until(lambda: is_confirmed(gateway, "auto-M2", a.kid), "it is confirmed")
        b.take(a.rotate(b.csr))
        assert a.speaks()
        equal(kinds(gateway, "auto-M2"), {a.kid: "ca", b.kid: "ca?"})
        b.becomes_heard()
        wait_until(lambda: is_confirmed(gateway, "auto-M2", b.kid), "and confirmed by its own use")
        wait_until(lambda: 0 < int(gateway.redis("HGET", "weir:{plant}:dev:auto-M2", "key:" + a.kid).split()[3]) <
                   time.time() - 1, "the first has ended, after the overlap")
        assert a.is_silent()
        assert b.speaks()
        gateway.cli("device", "remove", "plant/auto-M2")
        again.take(ask(gateway, known["auto"], serial="M2", csr=again.csr))
        again.becomes_heard()
        assert b.is_silent() and a.is_silent()
        make_over(gateway, "auto-M1")
        owner.take(ask(gateway, known["auto"], serial="M1", csr=owner.csr))
        wait_until(lambda: owner.kid in (kinds(gateway, "auto-M1") or {}), "the owner is enrolled")
        wait_until(thief.is_silent, "the thief's key has gone")
        owner.becomes_heard()
        assert thief.is_silent()


def test_refused_rotation(gateway):
    """a key that the device has already is refused, and what it has stays as it is"""
    known = plant(gateway)
    first = ask(gateway, known["auto"], serial="N1", want="psk", attempt="attempt-0001")
    gateway.secrets.append(first["psk"])
    assert send(gateway, first["identity"], first["psk"], "temp")
    wait_until(lambda: is_confirmed(gateway, "auto-N1", first["kid"]), "it is confirmed")
    session = (first["identity"], first["psk"].encode())
    with tempfile.TemporaryDirectory() as folder:
        key = Key(folder)

        def rotate():
            nonce = json.loads(lib.coap_client("coaps://127.0.0.1:%d/enroll" % gateway.coaps_port, "-A", "50",
                                               psk=session).out)["nonce"]
            proof = key.sign(" ".join(["weir-enroll", "plant", "auto-N1", key.thumbprint(), nonce]))
            return lib.coap_client("coaps://127.0.0.1:%d/enroll" % gateway.coaps_port, "-m", "post", "-t", "50", "-A", "50",
                                   "-e", json.dumps({"key": key.jwk, "nonce": nonce, "proof": proof}), psk=session)

        kid = json.loads(rotate().out)["kid"]
        wait_until(lambda: kid in kinds(gateway, "auto-N1"), "it is offered")
        # As if it had been given by hand.
        text = gateway.redis("HGET", "weir:{plant}:dev:auto-N1", "key:" + kid).decode().split(" ")
        gateway.redis("HSET", "weir:{plant}:dev:auto-N1", "key:" + kid, " ".join(["eddsa", text[1], "0", "0", text[4]]))
        gateway.redis("DEL", "weir:{plant}:enrol:auto-N1")
        before = gateway.redis("HGETALL", "weir:{plant}:dev:auto-N1")
        equal(rotate().code, "4.09")
        equal(gateway.redis("EXISTS", "weir:{plant}:enrol:auto-N1"), 0)
        equal(gateway.redis("HGETALL", "weir:{plant}:dev:auto-N1"), before)


def test_rotation(gateway):
    """an enrolled device gets a new key; the old one is good until the new one was used, and a little longer"""
    known = plant(gateway)
    first = ask(gateway, known["auto"], serial="I1", want="psk", attempt="attempt-0001")
    old = (first["identity"], first["psk"].encode())
    assert send(gateway, first["identity"], first["psk"], "temp")
    wait_until(lambda: is_confirmed(gateway, "auto-I1", first["kid"]), "the first is confirmed")
    second = ask_coap(gateway, *old, want="psk", attempt="attempt-0002")
    equal(second["psk"], ask_coap(gateway, *old, want="psk", attempt="attempt-0002")["psk"])
    gateway.secrets += [first["psk"], second["psk"]]
    equal(kinds(gateway, "auto-I1"), {first["kid"]: "psk", second["kid"]: "psk?"})
    assert send(gateway, first["identity"], first["psk"], "temp")
    assert send(gateway, second["identity"], second["psk"], "temp")
    wait_until(lambda: is_confirmed(gateway, "auto-I1", second["kid"]), "the second is confirmed")
    wait_until(lambda: not is_let_in(gateway, first["identity"], first["psk"].encode().hex()), "the first is good no more")
    assert send(gateway, second["identity"], second["psk"], "temp")


def test_wrong_claims_are_braked(gateway):
    """after some wrong claim codes even the right one has to wait, in that batch and from that address"""
    known = plant(gateway)

    def guess(claim, serial="M0"):
        return curl(url(gateway, "/enroll"), token=known["code"], content_type="application/json", data=json.dumps(
            {"serial": serial, "want": "psk", "attempt": "attempt-0001", "claim": claim}))

    def brake():
        """Guesses until it has to wait."""
        for number in range(60):
            answer = guess("blue-%05d" % number)
            if answer.status == 429:
                equal(answer.headers.get("retry-after"), "6")
                return
            equal(answer.status, 403)
        raise AssertionError("60 wrong claims, and nobody has to wait")

    equal(guess("blue-00000").status, 403)
    # One more is looked at every six seconds, whatever it says, and the right one may be just that.
    right = dict(want="psk", attempt="attempt-0001", claim="blue-heron")
    answers = []
    while (429, "4.29") not in answers and len(answers) < 6:
        serial = "M%d" % (len(answers) + 1)
        brake()
        answers.append((guess("blue-heron", serial).status, ask_coap(gateway, "plant/+code", BOX, serial=serial, **right)))
    assert (429, "4.29") in answers, answers
    assert "6 to" in gateway.cli("batch", "add", "plant/short", "--claim=12345", check=False).err


def test_closed_batch(gateway):
    """a batch that is disabled or removed opens nothing"""
    known = plant(gateway)
    gateway.cli("batch", "disable", "plant/code")
    serials = ("K%d" % i for i in itertools.count(1))

    def refused_serial():
        question = {"serial": next(serials), "claim": "blue-heron", "want": "psk", "attempt": "attempt-0001"}
        answer = curl(url(gateway, "/enroll"), token=known["code"], content_type="application/json", data=json.dumps(question))
        return question["serial"] if answer.status == 403 else None

    refused = wait_until(refused_serial, "it is closed")
    out = gateway.cli("batch", "show", "plant/auto").out
    assert BOX.hex() not in out and "one for all" in out
    equal(kinds(gateway, "code-" + refused), None)
