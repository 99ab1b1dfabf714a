# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator sees: /devices, gaps in sequences, `weir spool`, and what is refused when the spool fills up."""
import json
import os
import re
import shutil
import tempfile

import cbor
import coap
import lib
from lib import curl, equal, wait_until

WORKERS = (1,)


def post(gateway, name, value=1, token=None, expect=204, sequence=None):
    options = ["-H", "Weir-Seq: " + sequence] if sequence else []
    record = {"n": name, "vs" if isinstance(value, str) else "v": value}
    answer = curl("http://127.0.0.1:%d/obs" % gateway.http_port, *options, data=json.dumps([record]),
                  content_type="application/senml+json", token=token or gateway.device_token)
    if expect is not None:
        equal(answer.status, expect)
    return answer


def get(gateway, path, token=None, **more):
    return curl("http://127.0.0.1:%d%s" % (gateway.http_port, path), token=token or gateway.operator_token, **more)


def show(gateway, device, token=None):
    answer = get(gateway, "/devices/" + device, token)
    equal(answer.status, 200)
    return answer.json()


# Devices ----------------------------------------------------------------------------------------------------------

def add_tenant(gateway, tenant, devices):
    """The operator's token of a new tenant whose devices the gateway knows."""
    gateway.cli("tenant", "add", tenant)
    for device in devices:
        gateway.add_device("%s/%s" % (tenant, device))
    token = gateway.add_token("--tenant", tenant, "--operator")
    wait_until(lambda: get(gateway, "/devices/" + devices[-1], token).status == 200, "the gateway knows " + tenant)
    return token


def test_devices_of_two_tenants(gateway):
    """an operator sees the devices of his tenant and no others, and no secret"""
    north = add_tenant(gateway, "north", ["a-1", "a-2", "shared"])
    south = add_tenant(gateway, "south", ["b-1", "shared"])
    equal([row["id"] for row in get(gateway, "/devices", north).json()["devices"]], ["a-1", "a-2", "shared"])
    equal([row["id"] for row in get(gateway, "/devices", south).json()["devices"]], ["b-1", "shared"])
    equal(get(gateway, "/devices/b-1", north).status, 404)
    equal(get(gateway, "/devices/a-1", south).status, 404)
    equal(get(gateway, "/devices/nobody", north).status, 404)
    equal(get(gateway, "/devices/shared", north).status, 200)
    whole = get(gateway, "/devices/a-1", north).body.decode()
    for secret in gateway.secrets:
        assert secret not in whole
    equal(json.loads(whole)["psk"], True)


def test_devices_are_for_operators(gateway):
    """a device and a stranger are refused, other methods too; the path is decoded once"""
    for path in ("/devices", "/devices/sensor-1"):
        equal(get(gateway, path, gateway.device_token).status, 403)
        equal(curl("http://127.0.0.1:%d%s" % (gateway.http_port, path)).status, 401)
    answer = get(gateway, "/devices", method="DELETE")
    equal((answer.status, answer.headers["allow"]), (405, "GET, HEAD, POST"))
    answer = get(gateway, "/devices/sensor-1", method="POST")
    equal((answer.status, answer.headers["allow"]), (405, "GET, HEAD, PUT, PATCH, DELETE"))
    equal(get(gateway, "/devices/sensor%2d1").status, 200)
    equal(get(gateway, "/devices/sensor%252d1").status, 404)
    equal(get(gateway, "/devices/a%2fb").status, 400)
    equal(get(gateway, "/devices/").status, 400)
    equal(get(gateway, "/devices/sensor-1/x").status, 404)
    with coap.Peer(gateway.coap_port) as peer:
        equal(peer.ask(coap.request(1, "/devices")).code_text, "4.03")


def test_devices_in_pages(gateway):
    """a list comes in pages, sorted"""
    ids = sorted("p-%02d" % i for i in range(25))
    token = add_tenant(gateway, "pages", ids)
    found, after = [], ""
    while True:
        page = get(gateway, "/devices?limit=10" + ("&after=" + after if after else ""), token).json()
        found += [row["id"] for row in page["devices"]]
        after = found[-1]
        if not page["more"]:
            break
        equal(len(page["devices"]), 10)
    equal(found, ids)
    for bad in ("?limit=0", "?limit=x", "?limit=1001", "?after=%20", "?what=1"):
        equal(get(gateway, "/devices" + bad, token).status, 400, bad)


def test_cbor(gateway):
    """the same in CBOR"""
    answer = get(gateway, "/devices/sensor-1", accept="application/cbor")
    equal(answer.headers["content-type"], "application/cbor")
    whole = cbor.loads(answer.body)
    equal(sorted(whole), sorted(show(gateway, "sensor-1")))
    equal((whole["id"], whole["prefix"]), ("sensor-1", "sensor-1"))


# Gaps -------------------------------------------------------------------------------------------------------------

def delivery(gateway, device, wanted):
    """What is said of its deliveries, when it is what is wanted."""
    def look():
        found = show(gateway, device)
        if found["delivery_state"] != "known":
            return None
        return found["delivery"] if {key: found["delivery"].get(key) for key in wanted} == wanted else None
    return wait_until(look, "%r of %s, which has %r" % (wanted, device, show(gateway, device)))


def test_gaps(gateway):
    """a device that lost three readings is seen to have lost them, until they come"""
    gateway.add_device("demo/gappy")
    token = gateway.add_token("--tenant", "demo", "--device", "gappy")
    wait_until(lambda: post(gateway, "temp", token=token, sequence="7.1", expect=None).status == 204, "gappy may speak")
    for seq in (2, 6):
        post(gateway, "temp", seq, token=token, sequence="7.%d" % seq)
    found = delivery(gateway, "gappy", {"epoch": 7, "highest": 6, "missing": 3, "ranges": [[3, 5]], "conflicts": 0})
    equal((found["identity"], found["level"]), ("exact", "spooled"))
    equal(found["levels"], {"alarm": "spooled", "action": "spooled", "telemetry": "spooled"})
    assert found["newest"] > 1700000000
    wait_until(lambda: gateway.metric("weir_sequence_missing_total") >= 3, "gaps are counted")
    post(gateway, "temp", 4, token=token, sequence="7.4")
    delivery(gateway, "gappy", {"missing": 2, "ranges": [[3, 3], [5, 5]]})
    post(gateway, "temp", 500, token=token, sequence="7.500")
    delivery(gateway, "gappy", {"highest": 500, "missing": 2 + 493, "ranges": [[3, 3], [5, 5], [7, 499]]})
    text = gateway.cli("device", "show", "demo/gappy").out
    assert re.search(r"missing: +495 \(3, 5, 7-499\)\n", text), text
    whole = json.loads(gateway.cli("device", "show", "demo/gappy", "--json").out)
    equal((whole["delivery"]["missing"], whole["delivery"]["epoch"], whole["delivery_state"]), (495, 7, "known"))


def test_identity_classes(gateway):
    """how a device's repetitions are recognised"""
    gateway.add_device("demo/clocked")
    gateway.add_device("demo/plain")
    clocked = gateway.add_token("--tenant", "demo", "--device", "clocked")
    plain = gateway.add_token("--tenant", "demo", "--device", "plain")
    wait_until(lambda: post(gateway, "temp", token=plain, expect=None).status == 204, "plain may speak")
    wait_until(lambda: curl("http://127.0.0.1:%d/obs" % gateway.http_port, token=clocked,
                            data='[{"n":"temp","v":1,"t":1763692800}]',
                            content_type="application/senml+json").status == 204, "clocked may speak")
    delivery(gateway, "clocked", {"identity": "windowed"})
    delivery(gateway, "plain", {"identity": "transport"})


def test_redis_away():
    """with Redis away a device is shown without what only Redis knows"""
    with lib.RedisServer() as redis, lib.Gateway(redis=redis.address, redis_timeout_ms=500) as gateway:
        wait_until(lambda: show(gateway, "sensor-1")["delivery_state"] == "known", "Redis is asked")
        for away in (redis.freeze, redis.kill):
            away()
            found = show(gateway, "sensor-1")
            equal(found["delivery_state"], "unknown")
            equal(found["delivery"]["level"], "spooled")
        equal(get(gateway, "/devices").json()["devices"][0]["disabled"], False)
        redis.start()
        wait_until(lambda: show(gateway, "sensor-1")["delivery_state"] == "known", "Redis is asked again")


def test_started_without_redis():
    """started while Redis is away: a token is not called wrong, /ready says why; all is well when Redis comes"""
    # Fails if the token of a device is answered 401, so that it is thrown away, or if its address is made to wait.
    with lib.RedisServer() as redis, lib.Gateway(redis=redis.address, redis_timeout_ms=500) as gateway:
        gateway.terminate()
        redis.kill()
        gateway.demo = False
        gateway.start()
        for token in (gateway.device_token, "weir_0000000000000000_" + 43 * "A", "x"):
            for _ in range(20 if token == "x" else 2):
                answer = post(gateway, "temp", token=token, expect=503)
                assert "retry-after" in answer.headers, answer
        ready = curl("http://127.0.0.1:%d/ready" % gateway.ops_port)
        equal((ready.status, ready.json()["detail"]), (503, "The registry has not been read from Redis yet."))
        redis.start()
        wait_until(lambda: post(gateway, "temp", token=gateway.device_token, expect=None).status == 204, "it may speak")
        wait_until(lambda: curl("http://127.0.0.1:%d/ready" % gateway.ops_port).status == 200, "it is ready")
        equal(post(gateway, "temp", token="x", expect=None).status, 401)
        wait_until(lambda: len(gateway.observations(name="temp")) == 1, "it is stored, once")


# weir spool -------------------------------------------------------------------------------------------------------

def spool(gateway, *arguments, status=0):
    result = gateway.cli("spool", *arguments, check=False)
    equal(result.status, status, repr(result))
    return result


def filled_spool(redis, count, **settings):
    """A stopped gateway with so many messages in its spool that Redis, which is dead, has not."""
    gateway = lib.Gateway(redis=redis.address, **settings)
    redis.kill()
    for i in range(count):
        post(gateway, "temp", i, sequence="1.%d" % i)
    gateway.terminate()
    return gateway


def segment(folder):
    """The file with the records, by size."""
    names = [name for name in os.listdir(folder) if name.endswith(".seg")]
    return os.path.join(folder, max(names, key=lambda name: os.path.getsize(os.path.join(folder, name))))


def test_spool_list_verify_show(gateway):
    """list, verify and show, also while the gateway runs"""
    for i in range(5):
        post(gateway, "listed", i)
    wait_until(lambda: json.loads(spool(gateway, "list", "--json").out)["to_push"] == 0, "all is pushed")
    whole = json.loads(spool(gateway, "list", "--json").out)
    assert whole["records"] >= 5 and whole["segments"], whole
    equal(sum(row["records"] for row in whole["segments"]), whole["records"])
    text = spool(gateway, "list").out
    assert "to push:     0\n" in text and "pushed" in text and "damaged:     0, missing: 0" in text, text
    checked = json.loads(spool(gateway, "verify", "--json").out)
    equal((checked["damage"], checked["lost"]), ([], 0))
    assert checked["read"] >= 5
    last = whole["next_lsn"] - 1
    text = spool(gateway, "show", gateway.folder, str(last)).out
    assert "tenant:      demo\n" in text and 'n="listed"' in text and "identity:    transport" in text, text
    spool(gateway, "show", gateway.folder, str(last + 1000), status=1)
    for command in ("replay", "adopt"):
        assert "in use" in spool(gateway, command, status=1).err
    with tempfile.TemporaryDirectory() as elsewhere:
        os.mkdir(os.path.join(elsewhere, "spool"))
        shutil.copy(os.path.join(gateway.folder, "spool", "identity"), os.path.join(elsewhere, "spool"))
        refused = spool(gateway, "adopt", elsewhere, status=1).err
        assert elsewhere + "/spool would become" in refused and "give --state-dir" in refused, refused
    spool(gateway, "list", tempfile.gettempdir(), status=1)


def test_spool_replay():
    """what a dead gateway has left is pushed once, in order, and found to be there by the next replay"""
    with lib.RedisServer() as redis:
        gateway = filled_spool(redis, 20)
        try:
            whole = json.loads(spool(gateway, "list", "--json").out)
            assert whole["to_push"] >= 20, whole
            result = gateway.cli("spool", "replay", "--redis", redis.address, check=False)
            equal(result.status, 3, repr(result))
            redis.start()
            result = spool(gateway, "replay")
            assert re.search(r"(?m)^%d messages pushed, 0 were there already$" % whole["to_push"], result.out), result
            with redis.client() as client:
                values = [entry["v"] for entry in client.observations("demo") if entry["n"] == "temp"]
            equal(values, [str(i) for i in range(20)])
            assert "0 messages pushed, 0 were there already" in spool(gateway, "replay").out
            result = spool(gateway, "replay", "--all")
            assert re.search(r"(?m)^0 messages pushed, %d were there already$" % whole["records"], result.out), result
            equal(json.loads(spool(gateway, "list", "--json").out)["to_push"], 0)
        finally:
            shutil.rmtree(gateway.folder, ignore_errors=True)


def test_spool_adopt():
    """a spool that was moved to another box is refused, adopted, and pushed by the gateway there"""
    with lib.RedisServer() as redis:
        gateway = filled_spool(redis, 7)
        other = tempfile.mkdtemp(prefix="weir-test-")
        try:
            shutil.move(os.path.join(gateway.folder, "spool"), os.path.join(other, "spool"))
            redis.start()
            refused = lib.run([lib.BINARY, "serve", "--state-dir", other, "--redis", redis.address, "--coap-port=0",
                               "--coaps-port=0", "--http-port=0", "--ops-port=0"], timeout=60)
            assert refused.status == 1 and "spool adopt" in refused.err, refused
            adopted = lib.run([lib.BINARY, "spool", "adopt", "--state-dir", other])
            equal(adopted.status, 0, repr(adopted))
            with lib.Gateway(redis=redis.address, state_dir=other, demo=False) as heir:
                wait_until(lambda: len(heir.observations(name="temp")) == 7, "the heir has pushed")
                equal([entry["v"] for entry in heir.observations(name="temp")], [str(i) for i in range(7)])
        finally:
            shutil.rmtree(gateway.folder, ignore_errors=True)
            shutil.rmtree(other, ignore_errors=True)


def test_spool_replay_of_a_folder_elsewhere():
    """a spool that stands alone is pushed from where it is"""
    with lib.RedisServer() as redis:
        gateway = filled_spool(redis, 4)
        elsewhere = tempfile.mkdtemp(prefix="weir-test-")
        try:
            alone = shutil.move(os.path.join(gateway.folder, "spool"), os.path.join(elsewhere, "rescued"))
            redis.start()
            result = lib.run([lib.BINARY, "spool", "replay", alone, "--redis", redis.address])
            equal(result.status, 0, repr(result))
            assert re.search(r"(?m)^4 messages pushed, ", result.out), result
        finally:
            shutil.rmtree(gateway.folder, ignore_errors=True)
            shutil.rmtree(elsewhere, ignore_errors=True)


def spoil(path, number):
    """Damages one message, counted from 0."""
    with open(path, "r+b") as file:
        at = [found.start() for found in re.finditer(b"wrec", file.read())][number]
        file.seek(at + 40)
        file.write(b"\xff\xff\xff\xff")


def test_spool_damage():
    """damage is found, named, and told from damage of what was pushed; the rest is pushed"""
    with lib.RedisServer() as redis:
        gateway = filled_spool(redis, 6)
        try:
            path = segment(os.path.join(gateway.folder, "spool"))
            spoil(path, 2)
            result = spool(gateway, "verify", status=1)
            assert re.search(r"(?m)^lsn=3-3 damaged-or-missing not-pushed segment=%s$" % os.path.basename(path), result.out), result
            assert "1 damaged or missing, 1 of them not pushed" in result.out, result
            found = json.loads(spool(gateway, "verify", "--json", status=1).out)
            equal(found["damage"], [{"from": 3, "to": 3, "pushed": False, "what": "damaged-or-missing",
                                     "segment": os.path.basename(path)}])
            redis.start()
            result = spool(gateway, "replay", status=1)
            assert re.search(r"(?m)^5 messages pushed, 0 were there already$", result.out), result
            assert "weir spool verify" in result.err, result
            after = spool(gateway, "verify", status=1)
            assert "1 damaged or missing, 1 of them not pushed" in after.out and "lost: lsn 3-3, " in after.out, after
        finally:
            shutil.rmtree(gateway.folder, ignore_errors=True)


def test_spool_loss_is_not_forgotten():
    """a message that was lost is still said to be lost when the gateway has pushed what comes after it"""
    with lib.RedisServer() as redis:
        gateway = filled_spool(redis, 4)
        folder = os.path.join(gateway.folder, "spool")
        try:
            spoil(segment(folder), 2)
            redis.start()
            for _ in range(2):
                gateway.start()
                gateway.wait_pushed()
                wait_until(lambda: json.loads(spool(gateway, "list", "--json").out)["to_push"] == 0, "the cursor")
                gateway.kill()
                with open(os.path.join(folder, "lost")) as file:
                    assert re.fullmatch(r"3 3 \d{10} [0-9a-f]{8}-[0-9a-f]{16}\.seg \d+\n", file.read())
            for command, status in (("list", 0), ("verify", 1)):
                result = spool(gateway, command, status=status)
                assert re.search(r"(?m)^lost: lsn 3-3, found \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ, never pushed segment=",
                                 result.out), result
                whole = json.loads(spool(gateway, command, "--json", status=status).out)
                equal([(row["from"], row["to"]) for row in whole["lost_ranges"]], [(3, 3)])
            assert re.search(r"(?m)^lsn=3-3 damaged-or-missing not-pushed ", result.out), result
            assert re.search(r"(?m)^  \S+\.seg empty next_lsn=5 ", spool(gateway, "list").out)
            assert folder + "/lost" in result.err, result
            equal(whole["damage"][0]["pushed"], False)
            os.unlink(os.path.join(folder, "lost"))
            assert "0 of them not pushed" in spool(gateway, "verify").out
        finally:
            gateway.kill()
            shutil.rmtree(gateway.folder, ignore_errors=True)


def test_spool_encrypted():
    """an encrypted spool is read with its key only"""
    folder = tempfile.mkdtemp(prefix="weir-test-")
    key, wrong = os.path.join(folder, "key"), os.path.join(folder, "wrong")
    for path, octet in ((key, "11"), (wrong, "22")):
        with open(path, "w") as file:
            file.write(octet * 32)
    with lib.RedisServer() as redis:
        gateway = filled_spool(redis, 3, spool_key_file=key)
        try:
            redis.start()
            equal(json.loads(spool(gateway, "list", "--json", "--key-file", key).out)["records"], 3)
            for options, why in (([], "encrypted: give --key-file"),
                                 (["--key-file", wrong], "encrypted with another key than that of --key-file")):
                for command in ("list", "verify"):
                    result = spool(gateway, command, *options, status=1)
                    assert re.search(r"(?m)^not read: [0-9a-f-]+\.seg, %s lsn=1-3$" % why, result.out), result
                    assert "--key-file" in result.err, result
                    whole = json.loads(spool(gateway, command, "--json", *options, status=1).out)
                    equal((whole["to_push"], [(row["why"], row["last_lsn"]) for row in whole["not_read"]]),
                          (3, [(why, 3)]))
                assert "give it with --key-file" in spool(gateway, "replay", *options, status=1).err
            assert not os.path.exists(os.path.join(gateway.folder, "spool", "lost"))
            for bad in ("none", "short"):
                with open(os.path.join(folder, "short"), "w") as file:
                    file.write("11")
                result = spool(gateway, "verify", "--key-file", os.path.join(folder, bad), status=1)
                assert re.search(r"--key-file \S+%s: .*32 octets or 64 hexadecimal digits" % bad, result.err), result
            assert "3 messages read" in spool(gateway, "verify", "--key-file", key).out
            assert 'n="temp"' in spool(gateway, "show", gateway.folder, "2", "--key-file", key).out
            assert "3 messages pushed" in spool(gateway, "replay", "--key-file", key).out
        finally:
            shutil.rmtree(gateway.folder, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)


# Shedding ---------------------------------------------------------------------------------------------------------

SHED_ORDER = ("handshake", "body", "non", "telemetry")


def shed(gateway, what):
    return gateway.metric("weir_shed_total", 'what="%s"' % what)


def is_refused(gateway, peer, what, count):
    """Tries one of its kind; whether it was shed."""
    before = shed(gateway, what)
    if what == "handshake":
        lib.coap_client("coaps://127.0.0.1:%d/time" % gateway.coaps_port, timeout_s=4,
                        psk=(gateway.psk_identity, gateway.psk))
    elif what == "body":
        block = coap.block(0, True, 16)
        peer.ask(coap.request(2, "/obs", query=["d=sensor-1"], format=110, payload=b"[" + b" " * 15,
                              options=[(27, block), (292, b"%d" % count)]))
    elif what == "non":
        peer.send(coap.request(2, "/obs", query=["d=sensor-1"], format=110, type=coap.NON, mid=peer.next_mid(),
                               payload='[{"n":"non","v":%d}]' % count))
        peer.ping()
    else:
        post(gateway, "con", count, expect=None)
    return shed(gateway, what) > before


def test_shedding():
    """as the spool fills up, what costs least to lose is refused first; when Redis is back all is taken again"""
    with lib.RedisServer() as redis, lib.Gateway(redis=redis.address, spool_max_bytes=2 << 20,
                                                 spool_segment_bytes=1 << 18, spool_tail_bytes=0) as gateway:
        redis.kill()
        with coap.Peer(gateway.coap_port) as peer:
            refused, stored = {}, 0
            for step in range(400):
                answer = post(gateway, "bulk", "x" * 30000, expect=None)
                fill = gateway.metric("weir_spool_fill_percent")
                if answer.status == 503:
                    assert "retry-after" in answer.headers
                    wait_until(lambda: gateway.metric("weir_spool_pressure") >= 4, "pressure of telemetry")
                else:
                    equal(answer.status, 204)
                    stored += 1
                for what in SHED_ORDER if fill >= 75 else ():
                    if what not in refused and is_refused(gateway, peer, what, step):
                        refused[what] = step
                if len(refused) == len(SHED_ORDER):
                    break
            equal(sorted(refused, key=lambda what: (refused[what], SHED_ORDER.index(what))), list(SHED_ORDER))
            assert refused["handshake"] < refused["telemetry"], refused
            ready = curl("http://127.0.0.1:%d/ready" % gateway.ops_port)
            equal(ready.status, 503)
            redis.start()
            wait_until(lambda: gateway.metric("weir_spool_pressure") == 0, "nothing is shed any more")
            post(gateway, "after", 1)
            result = lib.coap_client("coaps://127.0.0.1:%d/time" % gateway.coaps_port,
                                     psk=(gateway.psk_identity, gateway.psk))
            assert re.search(r"\d{10}", result.out), repr(result)
            wait_until(lambda: len(gateway.observations(name="bulk")) == stored, "all that was acknowledged is there")


def test_metrics(gateway):
    """/metrics says spool depth, oldest message, push rate, duplicates, gaps, what is shed"""
    post(gateway, "counted")
    text = curl("http://127.0.0.1:%d/metrics" % gateway.ops_port).body.decode()
    for name in ("weir_spool_unpushed_records", "weir_spool_oldest_seconds", "weir_spool_bytes",
                 "weir_spool_fill_percent", "weir_spool_pressure", "weir_push_records_total",
                 "weir_push_duplicates_total", "weir_push_conflicts_total", "weir_sequence_missing_total",
                 "weir_sequence_late_total", 'weir_shed_total{what="handshake"}', 'weir_shed_total{what="action"}'):
        assert re.search(r"(?m)^%s \d+$" % re.escape(name), text), name
    wait_until(lambda: gateway.metric("weir_spool_unpushed_records") == 0, "nothing waits")
    assert gateway.metric("weir_push_records_total") > 0
