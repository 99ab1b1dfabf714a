# SPDX-License-Identifier: GPL-3.0-or-later
"""How a batch of devices speaks: profiles and fields of devices by the CLI, keys of legacy senders, and what is done
about clocks that are wrong. Whatever is changed takes effect while the gateway runs."""
import json
import re
import time

import coap
import lib
from coap import GET, POST, Peer, request
from lib import curl, equal

WORKERS = (2,)
HOUR = 3600
FRAME_KEY = "000102030405060708090a0b0c0d0e0f"


def send(gateway, device, records, *query):
    """A SenML pack from the mapped network; the code of the answer."""
    with Peer(gateway.coap_port) as peer:
        return peer.ask(request(POST, "/obs", query=("d=" + device,) + query, payload=json.dumps(records).encode(),
                                format=coap.SENML_JSON)).code_text


def reading(gateway, device, name, wrong_by):
    """One reading by a clock that is wrong; what came of it: seconds from now, and where the time came from."""
    code = send(gateway, device, [{"n": name, "v": 1, "t": round(time.time() + wrong_by, 3)}])
    if code != "2.04":
        return code
    entry = gateway.observations(device=device, name=name)[-1]
    return round(float(entry["t"]) - time.time(), 1), entry["q"]


def is_near(got, seconds, source):
    return got[1] == source and abs(got[0] - seconds) < 30


def clock_of(gateway, device):
    answer = curl("http://127.0.0.1:%d/devices/%s" % (gateway.http_port, device), token=gateway.operator_token)
    equal(answer.status, 200)
    return answer.json()["clock"]


def test_profile_commands(gateway):
    """profile add, list, show, remove; an unknown format is refused with those there are"""
    added = gateway.cli("profile", "add", "demo/old-meters", "--format=senml-json", "--clock=correct", "--clock-window=10",
                        "--cumulative=energy,pulses=65536").out
    assert "old-meters" in added, added
    assert "old-meters" in gateway.cli("profile", "list", "demo").out
    shown = json.loads(gateway.cli("profile", "show", "demo/old-meters", "--json").out)
    del shown["created"]
    equal(shown, {"profile": "old-meters", "format": "senml-json", "clock": "correct", "clock_window_s": 10,
                  "cumulative": "energy,pulses=65536"})
    equal([p["profile"] for p in json.loads(gateway.cli("profile", "list", "demo", "--json").out)], ["old-meters"])
    wrong = gateway.cli("profile", "add", "demo/bad", "--format=morse", check=False)
    assert wrong.status == 1 and "senml-json" in wrong.err and "morse" in wrong.err, wrong
    for arguments in (["--clock=guess"], ["--clock-window=5"], ["--clock=refuse", "--clock-window=0"],
                      ["--cumulative=a:b"], ["--cumulative=a=0"]):
        equal(gateway.cli("profile", "add", "demo/bad", *arguments, check=False).status, 2, str(arguments))
    equal(gateway.cli("profile", "add", "demo/old-meters", check=False).status, 1)
    equal(gateway.cli("profile", "add", "nobody/p", check=False).status, 1)
    gateway.cli("profile", "add", "demo/old-meters", "--replace", "--clock=trust")
    gateway.cli("profile", "remove", "demo/old-meters")
    equal(gateway.cli("profile", "show", "demo/old-meters", check=False).status, 1)


def test_device_fields(gateway):
    """device set changes single fields, and nobody shows a key"""
    gateway.secrets.append(FRAME_KEY)
    gateway.cli("profile", "add", "demo/batch-7")
    psk = gateway.add_device("demo/valve-1", None, "--site=north", "--tags=a,b", "--profile=batch-7",
                             "--frame-key=" + FRAME_KEY, "--frame-id=8040a0b0c0d0e0f0")
    gateway.cli("device", "set", "demo/valve-1", "--site=south", "--tags=", "--concentrator=yes")
    shown = gateway.cli("device", "show", "demo/valve-1").out
    listed = gateway.cli("device", "list", "demo").out
    for text in ("south", "batch-7", "(frame) of id 8040a0b0c0d0e0f0", "concentrator: yes"):
        assert text in shown, (text, shown)
    assert "profile=batch-7" in listed and FRAME_KEY not in shown + listed and psk.hex() not in shown + listed, listed
    record = json.loads(gateway.cli("device", "show", "demo/valve-1", "--json").out)
    equal((record["tags"], record["psk"], record["frame_key"], record["profile"]), ("", True, True, "batch-7"))
    gateway.cli("device", "set", "demo/valve-1", "--frame-key=", "--profile=senml-cbor", "--concentrator=no")
    record = json.loads(gateway.cli("device", "show", "demo/valve-1", "--json").out)
    equal((record["psk"], record["frame_key"], record["profile"], record["concentrator"]),
          (True, False, "senml-cbor", False))
    for arguments in (["--profile=nothing-like-it"], [], ["--frame-key=00"], ["--concentrator=perhaps"], ["--prefix=/"]):
        assert gateway.cli("device", "set", "demo/valve-1", *arguments, check=False).status in (1, 2), arguments
    equal(gateway.cli("device", "set", "demo/nobody", "--site=x", check=False).status, 1)


def test_keys_of_legacy_senders(gateway):
    """token add --apikey: printed once, listed as what it is, refused where it would stand twice"""
    gateway.add_device("demo/emontx-1")
    made = gateway.cli("token", "add", "--tenant=demo", "--device=emontx-1", "--apikey").out
    key = re.search(r"^apikey:\s+([0-9a-f]{32})$", made, re.M).group(1)
    gateway.secrets.append(key)
    listed = gateway.cli("token", "list", "demo").out
    assert key not in listed and [line for line in listed.splitlines() if "apikey" in line and "emontx-1" in line], listed
    path = gateway.folder + "/key"
    with open(path, "w") as file:
        file.write(key + "\n")
    again = gateway.cli("token", "add", "--tenant=demo", "--device=emontx-1", "--apikey-from=" + path, check=False)
    assert again.status == 1 and "revoke" in again.err and key not in again.err, again
    gateway.cli("token", "revoke", re.search(r"^id:\s+(\w+)$", made, re.M).group(1))
    assert key in gateway.cli("token", "add", "--tenant=demo", "--device=emontx-1", "--apikey-from=" + path).out
    with open(path, "w") as file:
        file.write("too short\n")
    equal(gateway.cli("token", "add", "--tenant=demo", "--device=emontx-1", "--apikey-from=" + path, check=False).status, 1)
    equal(gateway.cli("token", "add", "--tenant=demo", "--operator", "--apikey", check=False).status, 2)


def test_clock_policies(gateway):
    """trust, replace and refuse, changed while the device speaks"""
    gateway.cli("profile", "add", "demo/clocks")
    gateway.add_device("demo/rtc-1", None, "--profile=clocks")
    def until(seconds, source):
        lib.wait_until(lambda: is_near(reading(gateway, "rtc-1", "t", -HOUR), seconds, source), "%s %s" % (seconds, source))
    until(-HOUR, "d")
    gateway.cli("profile", "add", "demo/clocks", "--replace", "--clock=replace")
    until(0, "x")
    then = time.time() - HOUR
    pack = [{"n": "two", "v": 1, "t": then - 60}, {"n": "two", "v": 2, "t": then}]
    equal(send(gateway, "rtc-1", pack), "2.04")
    first, second = gateway.observations(device="rtc-1", name="two")
    assert abs(float(second["t"]) - float(first["t"]) - 60) < 0.1, "they keep their distance"
    gateway.cli("profile", "add", "demo/clocks", "--replace", "--clock=refuse", "--clock-window=600")
    lib.wait_until(lambda: reading(gateway, "rtc-1", "t", -HOUR) == "4.22", "refused")
    before = len(gateway.observations(device="rtc-1"))
    equal(send(gateway, "rtc-1", [{"n": "t", "v": 1}, {"n": "t", "v": 2, "t": -700}]), "4.22", "a relative time too")
    equal(len(gateway.observations(device="rtc-1")), before, "nothing of it is stored")
    assert is_near(reading(gateway, "rtc-1", "t", -500), -500, "d")
    clock = clock_of(gateway, "rtc-1")
    equal((clock["policy"], clock["window_s"]), ("refuse", 600))
    assert gateway.metric("weir_clock_refused_total") >= 2 and gateway.metric("weir_clock_replaced_total") >= 1


def test_clock_is_corrected(gateway):
    """an error that is known is taken off; a late message of the same clock too; a right clock is left alone"""
    gateway.cli("profile", "add", "demo/drifting", "--clock=correct")
    gateway.add_device("demo/rtc-2", None, "--profile=drifting")
    gateway.add_device("demo/rtc-3", None, "--profile=drifting")
    lib.wait_until(lambda: reading(gateway, "rtc-2", "t", 2 * HOUR)[1] == "c", "the error is known")
    assert is_near(reading(gateway, "rtc-2", "t", 2 * HOUR), 0, "c")
    assert is_near(reading(gateway, "rtc-2", "t", 2 * HOUR - 600), -600, "c")
    for _ in range(5):
        assert is_near(reading(gateway, "rtc-3", "t", 1), 0, "d")
    clock = clock_of(gateway, "rtc-2")
    assert clock["state"] == "known" and abs(clock["skew_s"] - 2 * HOUR) < 30 and clock["samples"] >= 4, clock
    assert gateway.metric("weir_clock_corrected_total") >= 2


def test_a_repetition_is_one_whatever_its_time_became(gateway):
    """a message that comes again is recognised by what was sent, not by its corrected time"""
    record = [{"n": "once", "v": 1, "t": round(time.time() + 2 * HOUR, 3)}]
    equal(send(gateway, "rtc-2", record), "2.04")
    time.sleep(0.2)
    equal(send(gateway, "rtc-2", record), "2.04")
    equal(len(gateway.observations(device="rtc-2", name="once")), 1)


def test_times_that_are_replaced_make_no_message(gateway):
    """under replace a reading that has the time and the value of the one after the last boot is another one"""
    gateway.cli("profile", "add", "demo/boots", "--clock=replace")
    gateway.add_device("demo/rtc-4", None, "--profile=boots")
    lib.wait_until(lambda: reading(gateway, "rtc-4", "t", -HOUR)[1] == "x", "the profile is known")
    boot = [{"n": "temp", "u": "Cel", "t": 946684805, "v": 21.5}]
    for _ in range(3):
        equal(send(gateway, "rtc-4", boot), "2.04")
    equal([entry["q"] for entry in gateway.observations(device="rtc-4", name="temp")], ["x"] * 3)
    counted = [dict(boot[0], n="counted", epoch=1, seq=1)]
    others = [{"n": "two", "t": 946684805, "v": 1, "bn": "blind-2:"}, {"n": "two", "t": 946684806, "v": 1}]
    for _ in range(2):
        equal(send(gateway, "rtc-4", counted), "2.04")
        equal(send(gateway, "blind-2", others), "2.04")
    equal(len(gateway.observations(device="rtc-4", name="counted")), 1, "a sequence number says which one it is")
    equal(len(gateway.observations(device="blind-2")), 2, "so do the times of who has no such profile")


def test_without_a_clock(gateway):
    """relative batches need no clock, and /time tells the time to whoever wants to have one"""
    with Peer(gateway.coap_port) as peer:
        told = peer.ask(request(GET, "/time"))
        equal(told.code_text, "2.05")
        assert abs(float(told.payload) - time.time()) < 30, told
    equal(send(gateway, "blind-1", [{"bn": "blind-1:", "n": "temp", "v": 20, "t": -120}, {"n": "temp", "v": 21, "t": -60},
                                    {"n": "temp", "v": 22}]), "2.04")
    entries = gateway.observations(device="blind-1", name="blind-1:temp")
    equal([entry["q"] for entry in entries], ["r", "r", "x"])
    for entry, age in zip(entries, (120, 60, 0)):
        assert abs(time.time() - float(entry["t"]) - age) < 30, entry
    # The latest value is the newest, and stays that when the gateway comes back.
    newest = lambda: curl("http://127.0.0.1:%d/obs?device=blind-1" % gateway.http_port, token=gateway.operator_token)
    equal([record["v"] for record in newest().json() if record["n"].endswith("temp")], [22])


def test_emoncms_batch_without_a_clock(gateway):
    """emonCMS's batch counts from its end (sentat) or from the receipt"""
    with Peer(gateway.coap_port) as peer:
        answer = peer.ask(request(POST, "/obs", query=("d=hub-1", "format=emoncms-bulk", "sentat=543"),
                                  payload=b'[[520,16,1137],[530,17,1437,3164],[543,19,1412,3077]]', format=coap.JSON))
    equal(answer.code_text, "2.04", str(answer.payload))
    ages = sorted(time.time() - float(e["t"]) for e in gateway.observations() if e["q"] == "b")
    equal(len(ages), 5)
    assert 22 < ages[-1] - ages[0] < 24 and 0 <= ages[0] < 30, ages
