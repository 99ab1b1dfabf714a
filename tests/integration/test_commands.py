# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands print and how they end: damaged records in lists, JSON, terminals, readers that go away."""
import json
import os
import subprocess

import lib
from lib import equal

WORKERS = (1,)

# A reset of the terminal, a C1 control character, and octets that are no UTF-8.
TALK = b"\x1b[31m\xc2\x9b"
WORSE = TALK + b"\xff"


def is_quiet(octets):
    return all(0x20 <= octet < 0x7f or octet == 0x0a for octet in octets)


def weir(gateway, *arguments, **more):
    return subprocess.run([lib.BINARY, *arguments, "--state-dir", gateway.folder], timeout=60, **more)


def listed(gateway, *arguments):
    """The first words of the lines, the lines of stderr, and the exit status."""
    result = gateway.cli(*arguments, check=False)
    return [line.split()[0] for line in result.out.splitlines()], result.err.splitlines(), result.status


def damaged(gateway, names, broken, *arguments):
    """All are listed but the broken one, which is told of by its name."""
    good, told, status = listed(gateway, *arguments)
    equal((good, len(told), status), ([name for name in names if name != broken], 1, 1), told)
    assert " %s is no valid record" % broken in told[0], told


def test_lists_go_on_behind_a_damaged_record(gateway):
    """batches, authorities, tokens, groups, those that enrol: the first is damaged, the others are listed"""
    gateway.cli("tenant", "add", "orchard")
    for name in ("a", "b", "c"):
        gateway.cli("batch", "add", "orchard/" + name)
        gateway.cli("group", "add", "orchard/" + name, "--pattern", name + "-*")
    for act in ("make", "rotate", "rotate"):
        gateway.cli("ca", act, "orchard")
    for _ in range(2):
        gateway.add_token("orchard", "--role", "viewer")
    tokens = listed(gateway, "token", "list", "orchard")[0]
    equal(len(tokens), 2)
    equal(listed(gateway, "batch", "list", "orchard"), (["a", "b", "c"], [], 0))
    equal(listed(gateway, "ca", "list", "orchard"), (["ca-1", "ca-2", "ca-3"], [], 0))
    for key, field in (("batch:a", "approval"), ("group:a", "pattern"), ("ca:ca-1", "spki"),
                       ("tok:" + tokens[0], "role")):
        equal(gateway.redis("EXISTS", "weir:{orchard}:" + key), 1)
        gateway.redis("HSET", "weir:{orchard}:" + key, field, "no such {thing}")
    damaged(gateway, ["a", "b", "c"], "a", "batch", "list", "orchard")
    damaged(gateway, ["a", "b", "c"], "a", "group", "list", "orchard")
    damaged(gateway, ["ca-1", "ca-2", "ca-3"], "ca-1", "ca", "list", "orchard")
    damaged(gateway, tokens, tokens[0], "token", "list", "orchard")
    for kind, name in (("batch", "a"), ("group", "a"), ("ca", "ca-1")):
        assert "orchard/%s removed; " % name in gateway.cli(kind, "remove", "orchard/" + name).out, kind
        equal(listed(gateway, kind, "list", "orchard")[1:], ([], 0), kind)


def test_waiting_goes_on_behind_a_damaged_record(gateway):
    """one that enrols and cannot be read does not hide the others"""
    gateway.cli("tenant", "add", "nursery")
    for name in ("w1", "w2"):
        key = "weir:{nursery}:enrol:" + name
        gateway.redis("HSET", key, "state", "pending", "kind", "psk", "digest", "00" * 32, "asked", "1",
                      "expires", "4000000000", "until", "0", "certificate", "")
        gateway.redis("ZADD", "weir:{nursery}:enrolments", "4000000000", name)
    equal(listed(gateway, "device", "waiting", "nursery"), (["w1", "w2"], [], 0))
    gateway.redis("HSET", "weir:{nursery}:enrol:w1", "state", "nonsense")
    damaged(gateway, ["w1", "w2"], "w1", "device", "waiting", "nursery")
    result = gateway.cli("device", "approve", "nursery/w1", check=False)
    assert result.status == 1 and "DEL weir:" in result.err, result
    gateway.redis("DEL", "weir:{nursery}:enrol:w1")
    equal(listed(gateway, "device", "waiting", "nursery"), (["w2"], [], 0))


def test_tenants_go_on_behind_a_damaged_record(gateway):
    """a tenant that cannot be read does not hide those behind it"""
    gateway.redis("HSET", "weir:{aaa}:meta", "level", "nonsense")
    gateway.redis("SADD", "weir:tenants", "aaa")
    try:
        good, told, status = listed(gateway, "tenant", "list")
        assert "demo" in good and status == 1 and len(told) == 1 and " aaa " in told[0], (good, told, status)
    finally:
        gateway.redis("SREM", "weir:tenants", "aaa")
        gateway.redis("DEL", "weir:{aaa}:meta")


def test_batches_without_their_key(gateway):
    """a batch whose secret does not open is told of by its name, and not as if it were damaged and to be removed"""
    gateway.cli("tenant", "add", "kiosk")
    gateway.cli("batch", "add", "kiosk/one")
    result = lib.run([lib.BINARY, "batch", "list", "kiosk", "--redis", gateway.redis_address, "--kek",
                      os.path.join(gateway.folder, "none")])
    assert result.status == 1 and "batch one " in result.err and "--kek" in result.err, result
    assert "remove" not in result.err, result


def test_json_of_every_value(gateway):
    """what people and consumers of streams write is valid JSON, whatever it is"""
    gateway.cli("tenant", "add", "press")
    site, tags = 'Zürich "Süd" \\ {}', 'a"b,ö\\,\u2028'
    gateway.cli("device", "add", "press/A.b:c_1-", "--site", site, "--tags", tags)
    gateway.cli("group", "add", "press/g", "--pattern", "*", "--site", site, "--tags", tags)
    gateway.cli("rule", "add", "press", "r", "--site", site, "--tag", 'colour="ö"')
    gateway.redis("XADD", "weir:{press}:obs", "*", "n", "x")
    gateway.redis("XGROUP", "CREATE", "weir:{press}:obs", WORSE + b'"', "0")
    for arguments in (["device", "list", "press"], ["group", "list", "press"], ["rule", "list", "press"]):
        row, = json.loads(gateway.cli(*arguments, "--json").out)
        equal(row["site"], site)
    for arguments in (["device", "show", "press/A.b:c_1-"], ["group", "show", "press/g"]):
        shown = json.loads(gateway.cli(*arguments, "--json").out)
        equal((shown["site"], shown["tags"]), (site, tags))
    out = weir(gateway, "stream", "list", "press", "--json", capture_output=True).stdout
    equal(json.loads(out.decode())[0]["groups"][0]["group"], "\x1b[31m\ufffd\ufffd\ufffd\"")
    assert is_quiet(out), out
    out = weir(gateway, "stream", "list", "press", capture_output=True).stdout
    assert b"group \\x1b[31m\\xc2\\x9b\\xff\" " in out and is_quiet(out), out


def test_nothing_talks_to_the_terminal(gateway):
    """what was typed stands in a message as it is, but for what a terminal would obey"""
    for arguments in ([TALK], ["device", TALK], ["device", "show", b"demo/" + WORSE], ["device", "list", WORSE],
                      ["device", "list", "demo", b"--" + TALK], ["device", "list", "demo", TALK],
                      ["device", "add", "demo/x", "--site", TALK], ["profile", "add", "demo/x", b"--clock=" + WORSE],
                      ["profile", "add", "demo/x", b"--format=" + WORSE], ["device", "import", "demo", WORSE],
                      ["serve", TALK], ["serve", b"--" + TALK], ["sim", b"--" + TALK], ["decode", b"--format=" + TALK]):
        result = subprocess.run([lib.BINARY, *arguments], capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
                                env={**os.environ, "WEIR_STATE_DIR": gateway.folder})
        assert result.returncode in (1, 2) and b"\\x1b[31m" in result.stderr and is_quiet(result.stderr), result


def test_an_option_twice(gateway):
    """neither of two values is taken in silence"""
    result = gateway.cli("device", "add", "demo/twice", "--site", "a", "--site=b", check=False)
    assert result.status == 2 and "--site is given twice" in result.err, result
    equal(gateway.cli("device", "show", "demo/twice", check=False).status, 1)
    config = os.path.join(gateway.folder, "twice.conf")
    with open(config, "w") as file:
        file.write("what starts nothing if it is read\n")
    for option, arguments in (("coap-port", ["serve", "--coap-port=0", "--coap_port", "0", "--nor-does-this"]),
                              ("dtls13", ["serve", "--dtls13", "--no-dtls13", "--nor-does-this"]),
                              ("config", ["serve", "--config", config, "--config=" + config]),
                              ("rate", ["sim", "--rate=1", "--rate", "2"])):
        result = lib.run([lib.BINARY, *arguments])
        assert result.status == 2 and "--%s is given twice" % option in result.err, result


def test_what_would_do_nothing_is_refused(gateway):
    """an empty name of a certificate, a folder as a file, a profile that nobody has, a stream of no tenant"""
    for status, arguments in ((2, ["device", "add", "demo/empty", "--x509="]),
                              (1, ["device", "import", "demo", gateway.folder]),
                              (1, ["batch", "add", "demo/empty", "--profile", "nobody-has-it"]),
                              (2, ["batch", "add", "demo/empty", "--pattern", ""]),
                              (2, ["batch", "add", "demo/empty", "--pattern", "no-star"]),
                              (1, ["stream", "show", "no-such-tenant", "obs"]),
                              (2, ["batch", "approve-serial", "demo/empty", "not one"])):
        result = gateway.cli(*arguments, check=False)
        assert result.status == status and result.err, (arguments, result)
    equal(gateway.cli("device", "show", "demo/empty", check=False).status, 1)
    equal(gateway.cli("batch", "show", "demo/empty", check=False).status, 1)


def test_what_is_not_there_says_where_to_look(gateway):
    """the command that a message names lists what was asked for"""
    gateway.add_device("demo/keys")
    for arguments, hint in ((["key", "list", "demo/nobody"], "weir device list TENANT"),
                            (["key", "remove", "demo/keys", "nokey"], "weir key list demo/keys"),
                            (["ca", "show", "demo/ca-9"], "weir ca list TENANT"),
                            (["tenant", "show", "nobody"], "weir tenant list\n")):
        result = gateway.cli(*arguments, check=False)
        assert result.status == 1 and hint in result.err, (arguments, result)


def printed_to(gateway, output, *arguments):
    result = weir(gateway, *arguments, stdout=output, stderr=subprocess.PIPE)
    return result.returncode, result.stderr


def test_nobody_reads(gateway):
    """a command whose output nobody reads ends quietly, one whose output has no room says so; neither with success"""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as gone, open("/dev/full", "wb") as full:
        for arguments in (["device", "list", "demo"], ["device", "export", "demo"], ["tenant", "--help"]):
            equal(printed_to(gateway, gone, *arguments), (1, b""), arguments)
            equal(printed_to(gateway, full, *arguments), (1, b"weir: standard output cannot be written\n"), arguments)


def test_closed_standard_output(gateway):
    """nothing that is meant for people goes into a connection that has the number of a closed descriptor"""
    result = subprocess.run(["sh", "-c", 'exec "$0" "$@" >&-', lib.BINARY, "device", "list", "demo", "--state-dir",
                             gateway.folder], stderr=subprocess.PIPE, timeout=60)
    equal((result.returncode, result.stderr), (1, b"weir: standard output cannot be written\n"))
