# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence: messages signed by `weir sign`, sent over HTTP and CoAP, kept as they were received, and checked again by
`weir verify` without the gateway.
"""
import base64
import itertools
import json
import os
import re
import threading
import time

import faults
import lib
from lib import equal

WORKERS = (1,)
PAYLOAD = '[{"bn":"signer:","bt":1763692800.5,"n":"temp","u":"Cel","v":21.50},{"n":"open","vb":true},{"n":"note","vs":"a b"}]'
SECRET = "0f" * 32
FIELDS = "m d f k ct r p v".split()
KEYS = {"es": "ES256", "ed": "EdDSA", "hs": "HS256"}
TYPES = {"jws": "application/jose", "jws-json": "application/jose+json", "hmac": "application/json"}


class Signer:
    """The device demo/signer with a key of each kind, and files of them in the folder of the gateway."""

    def __init__(self, gateway):
        self.gateway, self.count = gateway, 0
        self.url = "http://127.0.0.1:%d/obs?t=demo&d=signer" % gateway.http_port
        gateway.add_device("demo/signer")
        for kid, algorithm in KEYS.items():
            made = gateway.cli("sign", "--generate", "--alg", algorithm, "--out", self.path(kid), "--kid", kid).out
            equal(os.stat(self.path(kid)).st_mode & 0o777, 0o600)
            command = made.splitlines()[-1].replace("TENANT/DEVICE", "demo/signer").split(" ")
            gateway.cli(*command[1:])
        gateway.cli("key", "add", "demo/signer", "--kind=hmac", "--id=env", "--hex", SECRET)
        gateway.secrets += [SECRET, json.load(open(self.path("hs")))["k"]]
        lib.wait_until(lambda: self.send(self.sign(payload='[{"n":"first","v":1}]')).status == 204, "the keys are known")

    def path(self, name):
        return os.path.join(self.gateway.folder, name)

    def key(self, kid):
        return ("--hex", kid + "=" + SECRET) if kid == "env" else ("--key", "%s=%s" % (kid, self.path(kid)))

    def sign(self, form="jws", kid="es", payload=PAYLOAD, *more):
        self.count += 1
        if form != "hmac" and "--seq" not in more:
            more += ("--seq", "0.%d" % self.count)
        answer = lib.run([lib.BINARY, "sign", *self.key(kid), "--form", form, *more], stdin=payload.encode(), text=False,
                         check=True)
        return answer.out

    def send(self, message, form="jws", query=""):
        return lib.curl(self.url + ("&f=hmac" if form == "hmac" else "") + query, data=message,
                        content_type=TYPES.get(form, 'application/cose; cose-type="cose-sign1"'))

    def evidence(self):
        self.gateway.wait_pushed()
        return [(entry.decode(), dict(zip([name.decode() for name in fields[::2]], fields[1::2])))
                for entry, fields in self.gateway.redis("XRANGE", "weir:{demo}:evidence", "-", "+")]

    def verify(self, *options, keys=("es", "ed", "hs")):
        """(exit status, lines)"""
        named = ",".join("%s=%s" % (kid, self.path(kid) + (".pub" if kid != "hs" else "")) for kid in keys)
        answer = self.gateway.cli("verify", "demo", "--key", named, *options, check=False)
        return answer.status, answer.out.splitlines() + answer.err.splitlines()

    def copy(self, entry, **changes):
        """A changed copy of an entry; its id."""
        fields = {**entry, **changes}
        return self.gateway.redis("XADD", "weir:{demo}:evidence", "*",
                                  *[part for name in FIELDS for part in (name, fields[name])]).decode()


def test_every_form():
    """Each form and algorithm is kept octet for octet beside its records, and holds; keys of PEM, JWK and hexadecimal"""
    with lib.Gateway() as gateway:
        signer = Signer(gateway)
        sent = []
        for at, (form, kid) in enumerate([("jws", "es"), ("jws", "ed"), ("jws", "hs"), ("jws-json", "es"), ("cose", "es"),
                                          ("cose", "ed")]):
            message = signer.sign(form, kid, PAYLOAD, "--seq", "7.%d" % at)
            equal(signer.send(message, form).status, 204, "%s %s" % (form, kid))
            sent.append((form.split("-")[0], kid, message))
        envelope = signer.sign("hmac", "env", json.dumps({"ts": int(time.time()), "ts_ns": 5, "temp": 21.5, "on": True}))
        equal(signer.send(envelope, "hmac").status, 204)
        sent.append(("hmac", "env", envelope))
        entries = [fields for _, fields in signer.evidence()][1:]
        equal([(entry["f"].decode(), entry["k"].decode(), entry["p"]) for entry in entries], sent)
        equal([entry["ct"] for entry in entries], [b"65000"] * 3 + [b"65001", b"18", b"18", b"50"])
        assert all(list(entry) == FIELDS and entry["d"] == b"signer" and entry["v"] == b"ok" for entry in entries)
        records = gateway.observations("signer")
        for entry in entries:
            mine = [record for record in records if record["m"] == entry["m"].decode()]
            equal(len(mine), 2 if entry["f"] == b"hmac" else 3)
            equal({record["a"] for record in mine}, {(entry["f"] + b":" + entry["k"]).decode()})
        status, lines = signer.verify("--hex", "env=" + SECRET)
        equal((status, lines[-1]), (0, "8 hold, 0 do not, 0 not checked"), lines)
        assert all("as signed" in line for line in lines[:-1]), lines
        status, lines = signer.verify("--device", "nobody")
        equal((status, lines), (1, ["0 hold, 0 do not, 0 not checked"]))
        status, lines = signer.verify(keys=["ed"])
        equal((status, lines[-1]), (0, "2 hold, 0 do not, 6 not checked"), lines)


def test_tampering():
    """What was changed in Redis, evidence or record, does not hold, and verify says which entry it is"""
    with lib.Gateway() as gateway:
        signer = Signer(gateway)
        for form, kid in ("jws", "es"), ("cose", "ed"):
            equal(signer.send(signer.sign(form, kid), form).status, 204)
        (_, first), (entry_id, jws), (_, cose) = signer.evidence()
        equal(signer.verify()[0], 0)
        head, payload, signature = jws["p"].split(b".")
        other = base64.urlsafe_b64encode(PAYLOAD.replace("21.50", "12.50").encode()).rstrip(b"=")
        flipped = bytearray(cose["p"])
        flipped[-3] ^= 1
        for what, entry in [("not by that key", {**jws, "p": head + b"." + other + b"." + signature}),
                            ("not by that key", {**cose, "p": bytes(flipped)}),
                            ("names another key", {**jws, "k": b"ed"}),
                            ("ct is not of the form", {**jws, "ct": b"18"}),
                            ("names another key", {**jws, "k": b""}),
                            ("none of jws", {**jws, "f": b"x509"}),
                            ("exactly two dots", {**jws, "p": b"a.b"}),
                            ("names another signature", {**jws, "m": cose["m"]}),
                            ("0 are in the streams", {**jws, "m": b"0" * 16})]:
            copy = signer.copy(entry)
            status, lines = signer.verify("--entry", copy)
            equal((status, lines[-1]), (1, "0 hold, 1 do not, 0 not checked"), lines)
            assert lines[0].startswith(copy + "  DOES NOT HOLD") and what in lines[0], lines
        equal(signer.verify("--to", entry_id)[0], 0)
        status, lines = signer.verify()
        equal((status, lines[-1]), (1, "3 hold, 9 do not, 0 not checked"), lines)
        # A record that was taken away, and another one in its place.
        records = gateway.redis("XRANGE", "weir:{demo}:obs", "-", "+")
        mine = [(at, fields) for at, fields in records if jws["m"] in fields]
        changed = [b"99" if part == b"21.50" else part for part in mine[0][1]]
        gateway.redis("XDEL", "weir:{demo}:obs", mine[0][0])
        assert "3 records were signed, 2 are" in signer.verify("--entry", entry_id)[1][0]
        gateway.redis("XADD", "weir:{demo}:obs", "*", *changed)
        assert "1 of 3 records are not as they were signed" in signer.verify("--entry", entry_id)[1][0]


def test_forged_records():
    """A record that was added seconds later, filed under another device, or of a message without evidence does not hold"""
    with lib.Gateway() as gateway:
        signer = Signer(gateway)
        equal(signer.send(signer.sign(payload='[{"n":"temp","v":1}]')).status, 204)
        entry_id, jws = signer.evidence()[-1]
        at, record = next(each for each in gateway.redis("XRANGE", "weir:{demo}:obs", "-", "+") if jws["m"] in each[1])
        equal(signer.verify()[0], 0)
        seconds = itertools.count(1)

        def judge(words, *options, **changes):
            fields = dict(zip(record[::2], record[1::2]))
            fields.update({name.encode(): value for name, value in changes.items()})
            later = "%d-0" % (int(at.split(b"-")[0]) + 5000 * next(seconds))
            added = gateway.redis("XADD", "weir:{demo}:obs", later, *[part for pair in fields.items() for part in pair])
            status, lines = signer.verify(*options)
            gateway.redis("XDEL", "weir:{demo}:obs", added)
            assert status == 1 and any(words in line for line in lines), (status, lines)

        judge("1 records were signed, 2 are")
        judge("1 records were signed, 2 are", "--entry", entry_id, v=b"99")
        judge("names another signature", "--entry", entry_id, a=b"psk")
        judge("no evidence of its message", m=b"0" * 16)
        equal(signer.verify()[0], 0)
        # The same record under another device.
        fields = dict(zip(record[::2], record[1::2]))
        fields[b"d"] = b"another"
        gateway.redis("XDEL", "weir:{demo}:obs", at)
        gateway.redis("XADD", "weir:{demo}:obs", "*", *[part for pair in fields.items() for part in pair])
        assert "1 of 1 records are not as they were signed" in signer.verify("--entry", entry_id)[1][0]


def test_retention():
    """Evidence is trimmed by its own limit; of what outlives its records verify says so, and no rule writes there"""
    with lib.Gateway(retention_period_s=1) as gateway:
        signer = Signer(gateway)
        for at in range(5):
            equal(signer.send(signer.sign("jws", "es", PAYLOAD, "--seq", "1.%d" % at)).status, 204)
        equal(len(signer.evidence()), 6)
        gateway.cli("stream", "set", "demo", "evidence", "--max-entries", "2")
        lib.wait_until(lambda: gateway.redis("XLEN", "weir:{demo}:evidence") == 2, "evidence is trimmed")
        assert "evidence" in gateway.cli("stream", "list", "demo").out
        gateway.redis("XTRIM", "weir:{demo}:obs", "MAXLEN", "=", "3")
        status, lines = signer.verify()
        equal(status, 0, lines)
        assert "went by retention" in lines[0] and "3 records as signed" in lines[1], lines
        equal(gateway.cli("rule", "add", "demo", "r", "--stream", "evidence", check=False).status, 2)


def test_duplicates():
    """A message that comes again appends nothing, through a kill -9 of the gateway; a conflict proves itself"""
    with lib.Gateway(redis_timeout_ms=1000) as gateway:
        signer = Signer(gateway)
        message = signer.sign("jws", "es", PAYLOAD, "--seq", "3.1")
        for _ in range(3):
            equal(signer.send(message).status, 204)
        equal(len(signer.evidence()), 2)
        # Spooled and not pushed when it dies.
        gateway.redis("CLIENT", "PAUSE", "1500", "WRITE")
        second = signer.sign("jws", "es", PAYLOAD, "--seq", "3.2")
        equal(signer.send(second).status, 204)
        gateway.kill()
        shown = [lib.run([lib.BINARY, "spool", "show", gateway.folder, str(lsn)]).out for lsn in range(1, 6)]
        assert any('evidence:    "jws" by "signer" with key "es", %d octets' % len(second) in out for out in shown), shown
        gateway.start()
        signer.url = signer.url.replace("&d=signer", "")
        for _ in range(2):
            equal(signer.send(second).status, 204)
        equal([fields["p"] for _, fields in signer.evidence()][1:], [message, second])
        equal(len(gateway.observations("signer")), 7)
        equal(signer.send(signer.sign("jws", "es", PAYLOAD.replace("21", "22"), "--seq", "3.2")).status, 409)
        status, lines = signer.verify()
        equal((status, lines[-1]), (0, "3 hold, 0 do not, 0 not checked"), lines)


def test_crash_points():
    """Dies after it was synced, sent, executed: one entry for each message, beside its records"""
    faults.needs_crash_points()
    with lib.Gateway() as gateway:
        signer = Signer(gateway)
        messages = []
        for point in "S4", "S6", "S7":
            gateway.kill()
            gateway.environment["WEIR_CRASH_AT"] = point + ":3"
            gateway.launch()
            lib.wait_until(lambda: not gateway.is_alive() or 'msg="ready"' in gateway.log(), "it starts")
            while gateway.is_alive():
                messages.append(signer.sign("jws", "hs", PAYLOAD, "--seq", "5.%d" % len(messages)))
                answered(signer, messages[-1])
            faults.wait_for_death(gateway, 20)
            del gateway.environment["WEIR_CRASH_AT"]
            gateway.start()
        for message in messages:
            equal(signer.send(message).status, 204)
        equal(sorted(fields["p"] for _, fields in signer.evidence()[1:]), sorted(messages))
        equal(len(gateway.observations("signer")), 1 + 3 * len(messages))
        equal(signer.verify()[0], 0)


def test_kills_under_load():
    """kill -9 again and again while signed messages come: of each that was acknowledged one entry, and all hold"""
    with lib.Gateway() as gateway:
        signer = Signer(gateway)
        messages = [signer.sign("jws", "hs", '[{"n":"x","v":%d}]' % at, "--seq", "9.%d" % at) for at in range(60)]
        sent = []

        def send():
            for message in messages:
                lib.wait_until(lambda: answered(signer, message), "it is acknowledged", 120)
                sent.append(message)
        # A process that a thread starts ends with the thread, so it is the gateway that is this one's.
        sender = threading.Thread(target=send)
        sender.start()
        while sender.is_alive():
            # Not before one more has come through: on a slow machine none would, else.
            before = len(sent)
            lib.wait_until(lambda: len(sent) > before or not sender.is_alive(), "the load goes on", 130)
            time.sleep(0.3)
            gateway.kill()
            gateway.start()
        equal(sent, messages)
        entries = [fields["p"] for _, fields in signer.evidence()][1:]
        equal(sorted(entries), sorted(messages))
        status, lines = signer.verify()
        equal((status, lines[-1]), (0, "61 hold, 0 do not, 0 not checked"), lines)


def answered(signer, message):
    try:
        return signer.send(message).status == 204
    except (AssertionError, OSError, ConnectionError):
        return False


def test_direct():
    """Without a spool: in the transaction of its records"""
    with lib.Gateway(spool="false") as gateway:
        signer = Signer(gateway)
        for payload in PAYLOAD, '[{"n":"one","v":1}]':
            equal(signer.send(signer.sign(payload=payload)).status, 204)
        entries = gateway.redis("XRANGE", "weir:{demo}:evidence", "-", "+")
        equal(len(entries), 3)
        status, lines = signer.verify()
        equal((status, lines[-1]), (0, "3 hold, 0 do not, 0 not checked"), lines)


def test_files():
    """sign and verify of files alone: every form, a wrong key, what a gateway would refuse, nothing overwritten"""
    with lib.Gateway() as gateway:
        signer = Signer(gateway)

        def check(message, form, *key):
            answer = lib.run([lib.BINARY, "verify", "--file", "-", "--form", form, *key], stdin=message, text=False)
            return answer.status, answer.out.decode()
        for form, kid in [("jws", "es"), ("jws-json", "hs"), ("cose", "hs"), ("cose", "ed")]:
            message = signer.sign(form, kid)
            status, out = check(message, form.split("-")[0], *signer.key(kid))
            equal(status, 0, out)
            assert out.startswith("holds") and "application/senml+json" in out and "key " + kid in out, out
            equal(check(message, form.split("-")[0], "--hex", "33" * 32)[0], 1)
        equal(check(signer.sign("cose", "es")[:-1], "cose", *signer.key("es"))[0], 1)
        small = ["--hex", "k=" + "11" * 32, "--alg", "HS256/64"]
        cose = lib.run([lib.BINARY, "sign", *small, "--form", "cose"], stdin=PAYLOAD.encode(), text=False, check=True).out
        equal(check(cose, "cose", *small)[0], 0)
        for more, what in [(["--form", "hmac"], "would refuse"), (["--form", "jws", "--cty", "image/png"], "--cty"),
                           (["--seq", "x"], "--seq"), (["--kid", ""], "--kid"), (["--form", "jws", "--hex", "11"], "--hex"),
                           (["--key", "/dev/null"], "holds no key")]:
            options = [] if "--key" in more or "--hex" in more else ["--hex", "k=" + "11" * 32]
            answer = lib.run([lib.BINARY, "sign", *options, *more], stdin=PAYLOAD.encode())
            assert answer.status in (1, 2) and answer.out == "" and re.search(what, answer.err), (more, answer)
        answer = gateway.cli("sign", "--generate", "--out", signer.path("es"), check=False)
        assert answer.status == 1 and "exists" in answer.err, answer
        equal(gateway.cli("verify", "demo", check=False).status, 2)


def test_coap():
    """A signed observation over plain CoAP, by coap-client"""
    with lib.Gateway(map_network="") as gateway:
        signer = Signer(gateway)
        for form, number in ("jws", "65000"), ("cose", "18"):
            path = signer.path("message")
            with open(path, "wb") as file:
                file.write(signer.sign(form, "ed", PAYLOAD, "--seq", "1." + number, "--kid", "demo/ed"))
            answer = lib.coap_client("coap://127.0.0.1:%d/obs" % gateway.coap_port, "-m", "post", "-t", number, "-f", path)
            equal(answer.status, 0)
        equal([fields["ct"] for _, fields in signer.evidence()][1:], [b"65000", b"18"])
        equal(signer.verify()[0], 0)
