# SPDX-License-Identifier: GPL-3.0-or-later
"""Several credentials of one device, their times, keys derived from a group's, people over DTLS; cases T23, T24.

The client is Debian's coap-client on OpenSSL; where a key is not text, which it cannot take, openssl s_client.
"""
import hashlib
import hmac
import json
import os
import subprocess
import time

import lib
from lib import equal

WORKERS = (2,)

PACK = '[{"n":"%s","v":%d}]'


def uri(gateway, path="obs"):
    return "coaps://127.0.0.1:%d/%s" % (gateway.coaps_port, path)


def post(gateway, name, value, psk, timeout_s=30):
    """Whether it was stored."""
    before = len(gateway.observations(name=name))
    lib.coap_client(uri(gateway), "-m", "post", "-t", "110", "-e", PACK % (name, value), psk=psk, timeout_s=timeout_s)
    return len(gateway.observations(name=name)) > before


def cli(gateway, *arguments):
    return gateway.cli(*arguments).out


def within_two(gateway, name, psk):
    return post(gateway, name, 1, psk) or post(gateway, name, 2, psk)


def add_key(gateway, device, *options):
    """The secret that is printed, once."""
    out = cli(gateway, "key", "add", device, *options)
    line = next(line for line in out.splitlines() if "(hex):" in line)
    gateway.secrets.append(line.split()[-1])
    return bytes.fromhex(line.split()[-1])


def keys_of(gateway, device):
    return {key["id"]: key for key in json.loads(cli(gateway, "key", "list", device, "--json"))}


def known(gateway, device, psk):
    """Waits until the gateway has the key."""
    name = device.split("/")[1]
    lib.wait_until(lambda: post(gateway, name, 0, psk, 4), "%s is known" % device)


def test_rotation_overlaps(gateway):
    """two keys of a device are good at once, and one that is removed ends its session (T24, T23)"""
    old = gateway.add_device("demo/rotor")
    known(gateway, "demo/rotor", ("demo/rotor", old))
    new = add_key(gateway, "demo/rotor", "--kind=psk", "--id=second", "--generate")
    known(gateway, "demo/rotor", ("demo/rotor/second", new))
    assert within_two(gateway, "rotor", ("demo/rotor", old))
    assert within_two(gateway, "rotor", ("demo/rotor", new))
    client = lib.spawn(["env", "OPENSSL_CONF=/dev/null", "stdbuf", "-o0", "coap-client-openssl", "-s", "120", "-B", "120",
                        "-w", "-u", "demo/rotor/psk", "-k", lib.printable(old), uri(gateway)],
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert client.stdout.readline()
        before = gateway.metric("weir_sessions_revoked_total")
        cli(gateway, "key", "remove", "demo/rotor", "psk")
        lib.wait_until(lambda: gateway.metric("weir_sessions_revoked_total") > before, "the session is ended")
    finally:
        client.kill()
        client.wait()
    assert not post(gateway, "rotor", 9, ("demo/rotor", old), timeout_s=2)
    assert within_two(gateway, "rotor", ("demo/rotor", new))


def keks(gateway):
    """What `weir kek show` tells: how many secrets each key of the file wrapped, in the order of the file."""
    lines = cli(gateway, "kek", "show").splitlines()
    equal(lines[0], os.path.join(gateway.folder, "kek"))
    assert all(" secrets" in line for line in lines[1:]), lines
    return {line.split()[0]: int(line.split()[-2]) for line in lines[1:]}


def test_another_kek():
    """the key-encryption key is exchanged by weir kek: nobody is refused at any step, and the old one is gone at last"""
    path = lambda: os.path.join(gateway.folder, "kek")
    with lib.Gateway() as gateway:
        psk = gateway.add_device("demo/keeper")
        known(gateway, "demo/keeper", ("demo/keeper", psk))
        gateway.secrets.append(cli(gateway, "group", "add", "demo/crate", "--pattern", "crate-*").split("(hex):")[1].split()[0])
        (old, count), = keks(gateway).items()
        assert count >= 3, count
        cli(gateway, "kek", "rewrap")
        cli(gateway, "kek", "use", old)
        equal(gateway.cli("kek", "drop", old, check=False).status, 1, "it wraps")
        equal(keks(gateway), {old: count}, "nothing to do")

        def restart():
            gateway.kill()
            gateway.start()
            known(gateway, "demo/keeper", ("demo/keeper", psk))

        cli(gateway, "kek", "add")
        fresh = list(keks(gateway))[1]
        equal(keks(gateway), {old: count, fresh: 0})
        equal(os.stat(path()).st_mode & 0o777, 0o600)
        restart()
        for _ in range(2):
            cli(gateway, "kek", "use", fresh)
            equal(list(keks(gateway).items()), [(fresh, 0), (old, count)], "once more changes nothing")
        restart()
        later = gateway.add_device("demo/later")
        known(gateway, "demo/later", ("demo/later", later))
        refused = gateway.cli("kek", "drop", old, check=False)
        assert refused.status == 1 and "weir kek rewrap" in refused.err, refused
        equal(list(keks(gateway).items()), [(fresh, 1), (old, count)])
        assert "%d secrets rewrapped" % count in cli(gateway, "kek", "rewrap")
        assert within_two(gateway, "keeper", ("demo/keeper", psk)), "nobody noticed"
        assert old + " dropped" in cli(gateway, "kek", "drop", old)
        equal(keks(gateway), {fresh: count + 1})
        with open(path()) as file:
            equal(len(file.read()), 65)
        restart()
        known(gateway, "demo/later", ("demo/later", later))
        equal(gateway.metric("weir_secrets_not_opened_total"), 0)
        for arguments in ("use", "0123456789abcdef"), ("use", old):
            equal(gateway.cli("kek", *arguments, check=False).status, 1)
        with open(path() + ".dropped") as file:
            equal(len(file.read()), 130)
        equal(os.stat(path() + ".dropped").st_mode & 0o777, 0o600)
        # At once, and none is lost.
        added = [lib.spawn([lib.BINARY, "kek", "add", "--state-dir", gateway.folder], stdout=subprocess.PIPE)
                 for _ in range(4)]
        printed = [each.communicate()[0].split()[0].decode() for each in added if each.wait() == 0]
        equal(len(printed), 3)
        equal(set(keks(gateway)), {fresh, *printed})
        cli(gateway, "kek", "drop", printed[0])
        equal(set(keks(gateway)), {fresh, *printed[1:]})


def test_kek_and_what_is_damaged():
    """what opens a secret of a damaged record is not known, so no key goes; nor is a link to the file replaced"""
    with lib.Gateway() as gateway:
        for batch in "a", "b":
            gateway.secrets.append("%064d" % ord(batch))
            cli(gateway, "batch", "add", "demo/" + batch, "--psk=" + gateway.secrets[-1], "--claim=CLAIM-" + batch)
        (old, count), = keks(gateway).items()
        path, elsewhere = os.path.join(gateway.folder, "kek"), os.path.join(gateway.folder, "elsewhere")
        os.rename(path, elsewhere)
        os.symlink("elsewhere", path)
        cli(gateway, "kek", "add")
        assert os.path.islink(path)
        cli(gateway, "kek", "use", list(keks(gateway))[1])
        gateway.redis("HSET", "weir:{demo}:batch:a", "approval", "nonsense")
        refused = gateway.cli("kek", "rewrap", check=False)
        assert refused.status == 1 and "1 records are damaged" in refused.err, refused
        refused = gateway.cli("kek", "drop", old, check=False)
        assert refused.status == 1 and "damaged" in refused.err, refused
        gateway.redis("HSET", "weir:{demo}:batch:a", "approval", "manual")
        cli(gateway, "kek", "rewrap")
        # A link in place of the file that stays would say where the old key goes.
        stolen = os.path.join(gateway.folder, "stolen")
        os.symlink(stolen, path + ".dropped")
        refused = gateway.cli("kek", "drop", old, check=False)
        assert refused.status == 1 and "kek.dropped" in refused.err and "link" in refused.err, refused
        assert old in keks(gateway) and not os.path.exists(stolen)
        os.remove(path + ".dropped")
        cli(gateway, "kek", "drop", old)
        equal(list(keks(gateway).values()), [count])
        # A text that only looks like a wrapped secret.
        gateway.redis("HSET", "weir:{demo}:batch:a", "site", "w1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        equal(list(keks(gateway).values()), [count])
        # A file from which the key was lost.
        os.rename(elsewhere, elsewhere + ".lost")
        with open(os.open(elsewhere, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(os.urandom(32).hex())
        refused = gateway.cli("kek", "show", check=False)
        assert refused.status == 1 and "%d secrets are wrapped by a key that is not" % count in refused.err, refused
        os.rename(elsewhere + ".lost", elsewhere)


def test_time_of_a_key(gateway):
    """a key is good in its time only, and a session ends with it"""
    gateway.add_device("demo/brief")
    later = add_key(gateway, "demo/brief", "--kind=psk", "--id=later", "--generate", "--not-before=2100-01-01T00:00:00Z")
    before = gateway.metric("weir_sessions_revoked_total")
    for lasts_s in (8, 20, 40):  # a slow machine needs more until it has a session
        until = int(time.time()) + lasts_s
        key = add_key(gateway, "demo/brief", "--kind=psk", "--id=short-%d" % lasts_s, "--generate", "--not-after=%d" % until)
        client = lib.spawn(["env", "OPENSSL_CONF=/dev/null", "stdbuf", "-o0", "coap-client-openssl", "-s", "90", "-B",
                            str(lasts_s + 20), "-w", "-u", "demo/brief/short-%d" % lasts_s, "-k", lib.printable(key), uri(gateway)],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            if client.stdout.readline():
                lib.wait_until(lambda: gateway.metric("weir_sessions_revoked_total") > before, "the session is ended")
                break
        finally:
            client.kill()
            client.wait()
    else:
        raise AssertionError("a key that is good lets nobody in")
    lib.wait_until(lambda: time.time() >= until + 1, "it is over")
    states = {name: key["state"] for name, key in keys_of(gateway, "demo/brief").items()}
    equal((states["short-%d" % lasts_s], states["later"]), ("expired", "not yet"))
    assert not post(gateway, "brief", 1, ("demo/brief/later", later), timeout_s=2)


def test_keys_of_the_command_line(gateway):
    """weir key lists what it has without secrets, and refuses what is no key"""
    gateway.add_device("demo/keyed")
    pem = cli(gateway, "key", "generate", "--kind=es256")
    assert "BEGIN PRIVATE KEY" in pem and "BEGIN PUBLIC KEY" in pem, pem
    path = gateway.folder + "/public.pem"
    with open(path, "w") as file:
        file.write(pem[pem.index("-----BEGIN PUBLIC KEY"):pem.index("Keep")])
    cli(gateway, "key", "add", "demo/keyed", "--kind=es256", "--id=keyed-1", "--file=" + path)
    cli(gateway, "key", "add", "demo/keyed", "--kind=rpk", "--id=raw", "--file=" + path)
    cli(gateway, "key", "add", "demo/keyed", "--kind=x509", "--id=name", "--name=keyed.example")
    secret = add_key(gateway, "demo/keyed", "--kind=hs256", "--id=keyed-2", "--generate")
    keys = keys_of(gateway, "demo/keyed")
    equal({name: key["kind"] for name, key in keys.items()},
          {"keyed-1": "es256", "keyed-2": "hs256", "name": "x509", "psk": "psk", "raw": "rpk"})
    equal(len(keys["keyed-1"]["thumbprint"]), 43)
    shown = cli(gateway, "key", "list", "demo/keyed") + cli(gateway, "device", "show", "demo/keyed") + json.dumps(keys)
    assert secret.hex() not in shown, shown
    for wrong in (["--kind=es256", "--hex=" + "00" * 64], ["--kind=hs256", "--hex=0011"], ["--kind=psk"],
                  ["--kind=none", "--generate"], ["--kind=x509"], ["--kind=eddsa", "--file=" + path],
                  ["--kind=psk", "--id=psk", "--generate"], ["--kind=psk", "--generate", "--not-after=yesterday"]):
        result = gateway.cli("key", "add", "demo/keyed", *wrong, check=False)
        assert result.status in (1, 2) and result.err, (wrong, result)
    two = gateway.folder + "/two.pem"
    with open(two, "w") as file:
        file.write(open(path).read() * 2)
    gateway.add_device("demo/second")
    for device, wrong, words in (
            ("keyed", ["--kind=es256", "--id=keyed-1", "--file=" + path], "device demo/keyed has a key keyed-1 already"),
            ("second", ["--kind=es256", "--id=two", "--file=" + two], "holds no key"),
            ("second", ["--kind=es256", "--id=other", "--file=" + path], "the device keyed shows this key or certificate name"),
            ("second", ["--kind=hs256", "--id=keyed-2", "--generate"], "is one of the device keyed"),
            ("second", ["--kind=hs256", "--hex=" + "00" * 32], "nothing but zeros"),
            ("second", ["--kind=psk", "--generate", "--not-after=1000000000"], "in the past"),
            ("nobody", ["--kind=psk", "--generate"], "there is no such device")):
        result = gateway.cli("key", "add", "demo/" + device, *wrong, check=False)
        assert result.status in (1, 2) and words in result.err, (wrong, result)
    for _ in range(7):
        gateway.cli("key", "add", "demo/second", "--kind=hmac", "--generate")
    result = gateway.cli("key", "add", "demo/second", "--kind=hmac", "--generate", check=False)
    assert result.status == 1 and "has 8 keys" in result.err, result


def handshake(gateway, identity, key, patience_s=4):
    """Whether one succeeds, with any octets as key."""
    result = lib.run(["timeout", str(patience_s), "openssl", "s_client", "-dtls1_2", "-connect", "127.0.0.1:%d" % gateway.coaps_port,
                      "-psk_identity", identity, "-psk", key.hex(), "-cipher", "PSK-AES128-GCM-SHA256"],
                     stdin=b"Q\n")
    return "Cipher is PSK-AES128-GCM-SHA256" in result.out


def test_group(gateway):
    """devices with keys of their group need no record, appear, and are banned one by one or together"""
    key = bytes(range(32))
    gateway.secrets.append(key.hex())
    cli(gateway, "group", "add", "demo/meters", "--pattern=meter-*", "--key=" + key.hex(), "--site=house-3", "--tags=heat")

    def of(device):
        return hmac.new(key, device.encode(), hashlib.sha256).digest()

    lib.wait_until(lambda: handshake(gateway, "demo/meter-1", of("meter-1")), "the group is known")
    assert not handshake(gateway, "demo/meter-2", of("meter-1"))
    lib.wait_until(lambda: "meter-1" in cli(gateway, "device", "list", "demo"), "the device appears")
    record = json.loads(cli(gateway, "device", "show", "demo/meter-1", "--json"))
    equal((record["group"], record["site"], record["tags"], record["keys"]), ("meters", "house-3", "heat", []))
    assert handshake(gateway, "demo/meter-1", of("meter-1"), 60), "with its record"
    cli(gateway, "device", "disable", "demo/meter-1")
    lib.wait_until(lambda: not handshake(gateway, "demo/meter-1", of("meter-1")), "one is banned")
    assert handshake(gateway, "demo/meter-3", of("meter-3"), 60)
    cli(gateway, "group", "disable", "demo/meters")
    lib.wait_until(lambda: not handshake(gateway, "demo/meter-3", of("meter-3")), "all are banned")
    shown = cli(gateway, "group", "show", "demo/meters") + cli(gateway, "group", "list", "demo", "--json")
    assert key.hex() not in shown and "disabled" in shown, shown


def test_person(gateway):
    """a record with a role is a person: reads, and speaks for no device"""
    out = cli(gateway, "device", "add", "demo/anna", "--role=viewer", "--psk-generate")
    psk = bytes.fromhex(next(line for line in out.splitlines() if "psk (hex)" in line).split()[-1])
    gateway.secrets.append(psk.hex())
    result = []

    def reads():
        result[:] = [lib.coap_client(uri(gateway, "health"), psk=("demo/anna", psk), timeout_s=4)]
        return not result[0].code and result[0].out

    lib.wait_until(reads, "anna is let in")
    assert not post(gateway, "anna", 1, ("demo/anna", psk), 4)
    assert "role:         viewer" in cli(gateway, "device", "show", "demo/anna")
