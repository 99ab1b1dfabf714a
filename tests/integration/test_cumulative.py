# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters end to end: totals beside the raw values (field w), by unit, sum and profile; late, repeated, reset, rolled
over, and with a gateway that dies in between. The arithmetic has its own test in test_function.
"""
import json
import random
import time
from decimal import Decimal

import lib
from lib import curl, equal, wait_until

WORKERS = (2,)
BASE = int(time.time()) - 100000


def post(gateway, records, device="sensor-1", sequence=None, token=None):
    options = ["-H", "Weir-Seq: " + sequence] if sequence else []
    return curl("http://127.0.0.1:%d/obs" % gateway.http_port, *options, data=json.dumps(records),
                content_type="application/senml+json", token=token or gateway.tokens.get(device, gateway.device_token))


def send(gateway, records, **more):
    equal(post(gateway, records, **more).status, 204, json.dumps(records))


def reading(name, at, value, unit="J"):
    return {"n": name, "t": BASE + at, "v": value, "u": unit}


def totals(gateway, name, device="sensor-1"):
    return [entry["w"] for entry in gateway.observations(device=device, name=name)]


def shown(gateway, device):
    answer = curl("http://127.0.0.1:%d/devices/%s" % (gateway.http_port, device), token=gateway.operator_token)
    equal(answer.status, 200)
    return {row["name"]: (row["total"], row["time"]) for row in answer.json()["totals"]}


def add_meter(gateway, name, *options):
    gateway.add_device("demo/" + name, None, *options)
    gateway.tokens[name] = gateway.add_token("--tenant", "demo", "--device", name)
    wait_until(lambda: post(gateway, [{"n": "hello", "v": 1}], name).status == 204, name + " may speak")


def start_gateway(workers):
    gateway = lib.Gateway(workers=workers)
    gateway.tokens = {}
    return gateway


def test_which_count(gateway):
    """A unit of the setting, a sum, a name in the profile; nothing else has a total, and the raw value stays as it was"""
    send(gateway, [reading("energy", 1, 100), reading("power", 1, 7, "W"),
                   {"n": "heat", "t": BASE, "u": "W", "v": 5, "s": 12.50}, {"n": "text", "t": BASE, "u": "J", "vs": "100"}])
    equal(totals(gateway, "energy") + totals(gateway, "power") + totals(gateway, "text"), ["100", "", ""])
    entry, = gateway.observations(name="heat")
    equal((entry["v"], entry["s"], entry["w"], entry["y"]), ("5", "12.5", "12.5", ""))
    spooled = gateway.cli("spool", "show", gateway.folder, "1").out
    assert 'counter:     record 1 reads "12.5"\ncounter:     record 3 reads "100"\n' in spooled, spooled
    add_meter(gateway, "old-meter")
    send(gateway, [{"n": "pulse", "t": BASE, "v": 65530}], device="old-meter")
    equal(totals(gateway, "pulse", "old-meter"), [""])
    gateway.cli("profile", "add", "demo/meters", "--cumulative=pulse=65536")
    gateway.cli("device", "set", "demo/old-meter", "--profile=meters")
    at = [0]

    def counts():
        at[0] += 1
        send(gateway, [{"n": "old-meter:pulse", "t": BASE + at[0], "v": 65530}], device="old-meter")
        return gateway.observations(device="old-meter")[-1]["w"] == "65530"
    wait_until(counts, "the profile is known")
    send(gateway, [{"n": "pulse", "t": BASE + 1000 + at, "v": 4 + 2 * at} for at in (0, 1)], device="old-meter")
    equal(totals(gateway, "pulse", "old-meter")[-2:], ["65540", "65542"])
    equal(shown(gateway, "old-meter"), {"pulse": ("65542", BASE + 1001)})


def test_late_repeated_reset(gateway):
    """What is late or comes again counts nothing and gets the total; a reset loses nothing; a date far ahead harms none"""
    for at, value in ((10, 100), (20, 150), (15, 120), (20, 150), (30, 20.5), (40, 30.25)):
        send(gateway, [reading("meter", at, value)])
    equal(totals(gateway, "meter"), ["100", "150", "150", "170.5", "180.25"])
    epoch = int(time.time())
    for _ in range(2):
        send(gateway, [reading("meter", 50, 31)], sequence="%d.1" % epoch)
    send(gateway, [reading("meter", 10 ** 9, 1000)])
    send(gateway, [reading("meter", 60, 32)])
    equal(totals(gateway, "meter")[5:], ["181", "", "182"])
    # A pack is counted in its order, one field at a time; digits stay.
    send(gateway, [reading("big", 1, 18446744073709551615), reading("big", 2, 1), reading("big", 3, 1.5)])
    equal(totals(gateway, "big"), ["18446744073709551615", "18446744073709551616", "18446744073709551616.5"])


def test_seen_and_removed(gateway):
    """Totals are shown over HTTP and by weir device show, and go with their device"""
    add_meter(gateway, "meter-9")
    send(gateway, [reading("b", 5, 12.5), reading("meter-9:a", 6, 3)], device="meter-9")
    gateway.wait_pushed()
    expected = {"a": ("3", BASE + 6), "b": ("12.5", BASE + 5)}
    equal(shown(gateway, "meter-9"), expected)
    found = json.loads(gateway.cli("device", "show", "demo/meter-9", "--json").out)["totals"]
    equal({row["name"]: (row["total"], row["time"]) for row in found}, expected)
    assert "counter:      b 12.5 (" in gateway.cli("device", "show", "demo/meter-9").out
    equal(sorted(gateway.redis("HKEYS", "weir:{demo}:total:meter-9")), [b"a", b"b"])
    gateway.cli("device", "remove", "demo/meter-9")
    equal(gateway.redis("EXISTS", "weir:{demo}:total:meter-9"), 0)


def insist(gateway, records, sequence):
    """As a device does: until it is acknowledged."""
    wait_until(lambda: post(gateway, records, sequence=sequence).status == 204, "an acknowledgement")


def test_killed_in_between(gateway):
    """kill -9 of the gateway between readings, each sent until it is acknowledged: totals exact, never falling"""
    rng, epoch = random.Random(4), int(time.time()) + 1
    value, wanted, sent = Decimal(0), [], []
    for seq in range(60):
        value = Decimal(rng.randint(0, 3)) if rng.random() < 0.1 else value + Decimal(rng.randint(0, 400)) / 8
        records = [reading("survivor", 1000 + seq, float(value))]
        sent.append((records, "%d.%d" % (epoch, seq)))
        wanted.append(value)
        if seq % 15 == 14:
            post(gateway, *sent[-1][:1], sequence=sent[-1][1])
            gateway.kill()
            gateway.start()
        insist(gateway, *sent[-1])
        if rng.random() < 0.3:
            insist(gateway, *rng.choice(sent))
    total, last = Decimal(0), Decimal(0)
    for at, one in enumerate(wanted):
        total, last = total + (one - last if one >= last else one), one
        wanted[at] = total
    equal([Decimal(text) for text in totals(gateway, "survivor")], wanted)
    equal(Decimal(shown(gateway, "sensor-1")["survivor"][0]), total)
