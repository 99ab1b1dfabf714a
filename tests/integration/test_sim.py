# SPDX-License-Identifier: GPL-3.0-or-later
"""`weir sim`: fleets through bad weather, and the ledger that proves that nothing acknowledged is lost or doubled."""
import json
import os
import subprocess
import threading

import lib
from lib import equal
from relay import Relay, Weather

WORKERS = (2,)


def sim(gateway, *arguments, check=True):
    return lib.run([lib.BINARY, "sim", "--tenant", "demo", *arguments], timeout=200, check=check)


def summary(result):
    return json.loads(result.out.strip().splitlines()[-1])


def ledger_check(gateway, ledger, check=True):
    return lib.run([lib.BINARY, "sim", "--check", ledger, "--redis", gateway.redis_address, "--tenant", "demo"],
                   check=check)


def path(gateway, name):
    return os.path.join(gateway.folder, name)


def fleet_run(gateway, name, port, *arguments):
    ledger = path(gateway, name)
    result = sim(gateway, "--target", "127.0.0.1", "--port", str(port), "--ledger", ledger, "--ack-timeout-ms", "400",
                 *arguments)
    report = summary(result)
    assert report["acknowledged"] > 0, result
    checked = ledger_check(gateway, ledger)
    assert "%d acknowledged, 0 lost, 0 doubled" % report["acknowledged"] in checked.out, checked
    return report


def test_closed_loop(gateway):
    """a plain fleet in a closed loop, SenML JSON"""
    report = fleet_run(gateway, "closed", gateway.coap_port, "--devices", "50", "--window", "1", "--seconds", "1")
    equal((report["failed"], report["refused"]), (0, 0), repr(report))


def test_open_loop_cbor(gateway):
    """a plain fleet at a given rate, SenML CBOR"""
    for name in ("open-1", "open-2", "open-3", "open-4"):
        report = fleet_run(gateway, name, gateway.coap_port, "--devices", "200", "--rate", "300", "--seconds", "2",
                           "--format", "senml-cbor")
        if report["sent"] == 600:  # fewer if the machine stood still at the end of the two seconds
            break
    equal((report["failed"], report["sent"]), (0, 600), repr(report))


def test_non(gateway):
    """NON is counted when it is answered"""
    report = fleet_run(gateway, "non", gateway.coap_port, "--devices", "20", "--rate", "100", "--seconds", "1", "--non")
    assert report["acknowledged"] <= report["sent"], report


def test_in_bad_weather(gateway):
    """10 % loss, duplicates and reordering: nothing lost, nothing doubled"""
    bad = Weather(drop=10, duplicate=10, reorder=10)
    with Relay(gateway.coap_port, bad, bad, seed=42) as relay:
        report = fleet_run(gateway, "weather", relay.port, "--devices", "100", "--rate", "150", "--seconds", "3")
        assert relay.up.dropped and relay.up.duplicated and relay.up.reordered
    assert report["retransmitted"] > 0, report


def provision(gateway, devices):
    key = path(gateway, "fleet.key")
    if not os.path.exists(key):
        with open(key, "w") as file:
            file.write(os.urandom(32).hex() + "\n")
    sim(gateway, "--provision", "--devices", str(devices), "--key-from", key, "--redis", gateway.redis_address)
    return key


def test_dtls_fleet(gateway):
    """a DTLS PSK fleet, provisioned by the simulator"""
    key = provision(gateway, 40)
    report = fleet_run(gateway, "dtls", gateway.coaps_port, "--dtls", "--key-from", key, "--devices", "40",
                       "--window", "1", "--seconds", "2")
    equal((report["failed"], report["refused"], report["handshakes"]), (0, 0, 40), repr(report))


def test_dtls_fleet_in_bad_weather(gateway):
    """the DTLS fleet through loss, duplicates and reordering"""
    key = provision(gateway, 40)
    bad = Weather(drop=5, duplicate=10, reorder=5)
    with Relay(gateway.coaps_port, bad, bad, seed=6) as relay:
        fleet_run(gateway, "dtls-weather", relay.port, "--dtls", "--key-from", key, "--devices", "20", "--rate", "40",
                  "--seconds", "3")


def test_check_finds_losses_and_doubles(gateway):
    """the checker sees what is lost and what is doubled"""
    ledger = path(gateway, "broken")
    sim(gateway, "--target", "127.0.0.1", "--port", str(gateway.coap_port), "--ledger", ledger, "--devices", "5",
        "--rate", "20", "--seconds", "1")
    run_name = json.loads(open(ledger).readline())["name"]
    entries = [(i, dict(f)) for i, f in gateway.redis.stream("weir:{demo}:obs") if dict(f)["n"] == run_name]
    gateway.redis("XDEL", "weir:{demo}:obs", entries[0][0])
    doubled = [part for field in entries[1][1].items() for part in field]
    gateway.redis("XADD", "weir:{demo}:obs", "*", *doubled)
    result = ledger_check(gateway, ledger, check=False)
    assert result.status != 0 and "1 lost, 1 doubled" in result.out, result


def test_remote_targets_are_refused(gateway):
    """a target that is not loopback needs --allow-remote"""
    result = sim(gateway, "--target", "192.0.2.1", "--devices", "1", "--rate", "1", "--seconds", "1", check=False)
    assert result.status != 0 and "loopback" in result.err, result


ALERT = bytes.fromhex("15fefd 0000 000000000000 0002 0228")  # DTLS: fatal, handshake_failure


def test_what_came_to_nothing_fails(gateway):
    """status 1 if nothing was acknowledged, refused or not answered or without a handshake; a fleet may send nothing"""
    secure = ["--dtls", "--key-from", provision(gateway, 40)]

    def refuse(server):
        for _ in range(2):
            server.sendto(ALERT, server.recvfrom(2048)[1])

    def status(port, *arguments):
        result = sim(gateway, "--port", str(port), "--devices", "2", *arguments, check=False)
        assert result.status == 0 or "nothing was acknowledged" in result.err, result
        return result.status, summary(result)
    some, none = ["--rate", "10", "--seconds", "0.3"], ["--rate", "1", "--seconds", "0"]
    code, report = status(gateway.coap_port, "--level", "replicated", *some)
    equal((code, report["acknowledged"]), (1, 0), repr(report))
    assert report["refused"] > 0, report
    with lib.socket.socket(lib.socket.AF_INET, lib.socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        code, report = status(deaf.getsockname()[1], *some, "--drain", "0.5")
        equal((code, report["acknowledged"], report["refused"]), (1, 0, 0), repr(report))
    equal(status(gateway.coap_port, *some)[0], 0)
    code, report = status(gateway.coap_port, *none)
    equal((code, report["sent"]), (0, 0), repr(report))
    lib.wait_until(lambda: status(gateway.coaps_port, *none, *secure)[0] == 0, "the fleet is known")
    with lib.socket.socket(lib.socket.AF_INET, lib.socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=refuse, args=(server,), daemon=True)
        thread.start()
        code, report = status(server.getsockname()[1], *some, *secure)
        thread.join()
    equal((code, report["sent"], report["handshakes"], report["handshakes_failed"]), (1, 0, 0, 2), repr(report))


def test_kill_under_load(workers):
    """kill -9 of the gateway under load: everything acknowledged is there once"""
    gateway = lib.Gateway(workers=workers)
    try:
        ledger = path(gateway, "killed")
        fleet = lib.spawn([lib.BINARY, "sim", "--tenant", "demo", "--target", "127.0.0.1", "--port",
                           str(gateway.coap_port), "--devices", "200", "--rate", "400", "--seconds", "4",
                           "--ack-timeout-ms", "400", "--ledger", ledger], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        lib.wait_until(lambda: gateway.metric("weir_records_stored_total") > 100, "the fleet is under way")
        gateway.kill()
        gateway.start()
        fleet.wait(200)
        checked = ledger_check(gateway, ledger, check=False)
        assert " 0 lost" in checked.out, checked
    finally:
        gateway.stop()
