# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of the spool fails, is full, is slow, or gives back something else (F19 to F22).

The shim makes calls fail in the running gateway, on files below the folder "spool", or on its segments (".seg") where it
must not meet the cursor. What each case must catch is said in it. The recovery of every octet of a segment is a matter of
the unit tests of gateway/spool_log.
"""
import contextlib
import glob
import itertools
import os
import re
import shutil
import subprocess
import tempfile
import time

import coap
import lib
from campaign import Campaign
from coap import ACK, CON, NON, POST, Message, Peer, request
from faults import Shim
from lib import equal

WORKERS = (2,)
LOAD = (60, 300, 3600, "--give-up-s", "300")
SMALL = {"spool_segment_bytes": 65536}


def message(value, device="r", seq=None):
    options = [] if seq is None else [(coap.SEQUENCE, coap.sequence(1, seq))]
    return request(POST, "/obs", query=["d=" + device], format=coap.SENML_JSON, options=options,
                   payload='[{"n":"r","v":%d}]' % value)


def ask(gateway, value, **more):
    with Peer(gateway.coap_port) as peer:
        return peer.ask(message(value, **more), timeout=60)


def stored(redis, name="r"):
    with redis.client() as client:
        return [int(e["v"]) for e in client.observations() if e["n"] == name]


# What is read back is not what was written -----------------------------------------------------------------------

def segments(gateway):
    """Oldest first."""
    return sorted(glob.glob(gateway.folder + "/spool/*.seg"), key=os.path.basename)


def used(path):
    """Octets up to the last that is not zero."""
    with open(path, "rb") as file:
        return len(file.read().rstrip(b"\0"))


def records(path):
    """Where the device names of the records in a segment are."""
    with open(path, "rb") as file:
        return [found.start() for found in re.finditer(rb"sim-\d{6}", file.read())]


def overwrite(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


class Interrupted:
    """A campaign whose gateway is dead, with acknowledged messages in its spool that Redis has not seen."""

    def __init__(self, seed, workers, unpushed=300):
        self.campaign, self.unpushed = Campaign(seed, workers=workers, **SMALL), unpushed

    def __enter__(self):
        campaign = self.campaign
        campaign.begin_load(*LOAD)
        campaign.wait_acknowledged(100)
        campaign.redis.kill()
        campaign.wait_acknowledged(self.unpushed)
        campaign.end_load()
        campaign.gateway.kill()
        return campaign

    def __exit__(self, *what):
        self.campaign.__exit__(*what)


def recover(campaign):
    """Both come back; the ledger after the push."""
    campaign.redis.start()
    campaign.gateway.start()
    campaign.wait_drained()
    return campaign.ledger()


def test_torn_tail(workers):
    """F19: a record that was half written when the power went is cut off; all before it counts"""
    # Fails if the tail is not recognised (the start refuses, or garbage is pushed), or if too much is cut.
    with Interrupted(191, workers) as campaign:
        last = segments(campaign.gateway)[-1]
        end = used(last) + 8 & ~7
        with open(last, "rb") as file:
            copy = file.read()[end - 200:end - 60]
        overwrite(last, end, copy)
        overwrite(last, end + 400, campaign.random.randbytes(100))
        ledger = recover(campaign)
        equal((ledger.lost, ledger.doubled), (0, 0))


def test_flipped_bit(workers):
    """F19: a bit turned in the middle: that one record is lost and kept aside, all later ones are stored"""
    # Fails if recovery ends at the damage, or pushes it.
    with Interrupted(192, workers) as campaign:
        last = segments(campaign.gateway)[-1]
        if len(records(last)) < 20:  # begun just now: its middle would be its end
            last = segments(campaign.gateway)[-2]
        places = records(last)
        place = places[-10] + 5
        with open(last, "rb") as file:
            file.seek(place)
            octet = file.read(1)[0]
        overwrite(last, place, bytes([octet ^ 1]))
        ledger = recover(campaign)
        equal((ledger.lost, ledger.doubled), (1, 0))
        assert os.path.getsize(campaign.gateway.folder + "/spool/quarantine") > 0


def test_zeroed_page(workers):
    """F19: a page of zeros in the middle: what it held is lost and counted, all later ones are stored"""
    # Fails if zeros are taken for the end.
    with Interrupted(193, workers) as campaign:
        last = segments(campaign.gateway)[-1]
        places = records(last)
        page = places[len(places) // 2] & ~4095
        if page == 0 or page + 8192 > used(last):
            last = segments(campaign.gateway)[-2]
            page = records(last)[len(records(last)) // 2] & ~4095
        hit = sum(page - 400 < place < page + 4096 for place in records(last))
        overwrite(last, page, bytes(4096))
        ledger = recover(campaign)
        equal(ledger.doubled, 0)
        assert 1 <= ledger.lost <= hit, (ledger.lost, hit)


def test_missing_segments(workers):
    """F19: a segment that is gone: nothing if it was pushed, an alarm if it was not"""
    # Fails if the start refuses, or is silent about what is lost.
    with Interrupted(194, workers, 900) as campaign:
        found = segments(campaign.gateway)
        assert len(found) >= 4, found
        gone = len(records(found[-2]))
        os.unlink(found[-2])
        os.unlink(found[0])
        ledger = recover(campaign)
        equal(ledger.doubled, 0)
        assert 1 <= ledger.lost <= gone, (ledger.lost, gone)
        assert re.search(r"level=error .*missing=[1-9]", campaign.gateway.log()), campaign.gateway.log()[-3000:]


def test_foreign_segment(workers):
    """F19, F44: a segment of another gateway is left alone and said to be foreign"""
    # Fails if it is pushed, cut, or unlinked.
    with lib.Gateway() as other, Interrupted(195, workers) as campaign:
        equal(ask(other, 4711).code_text, "2.04")
        other.kill()
        path = segments(other)[-1]
        copy = os.path.join(campaign.gateway.folder, "spool", os.path.basename(path).replace("0", "7", 1))
        shutil.copy(path, copy)
        before = open(copy, "rb").read()
        ledger = recover(campaign)
        equal((ledger.lost, ledger.doubled), (0, 0))
        equal(open(copy, "rb").read(), before)
        equal(stored(campaign.redis), [])
        assert re.search(r"foreign_files=[1-9]", campaign.gateway.log()), campaign.gateway.log()[-3000:]
        other.start()


# Calls that fail -------------------------------------------------------------------------------------------------

def test_errors_under_load(workers):
    """F20: syncs, writes, allocations, renames that fail once or for a while: nothing acknowledged is lost"""
    # Fails if a sync that failed is tried again on the same file and believed, if a short write counts as whole, or if
    # senders are told yes before the new segment is durable.
    with Shim() as shim, Campaign(20, workers=workers, environment=shim.environment, spool_tail_s=0, spool_tail_bytes=0,
                                    **SMALL) as campaign:
        campaign.begin_load(*LOAD)
        campaign.wait_acknowledged(50)
        for rule in ("fdatasync:%d:EIO", "pwrite:%d:EIO", "pwrite:%d:short", "pwrite:%d:ENOSPC", "fdatasync:%d-9:EIO",
                     "fsync:%d:EIO", "renameat:1:EIO", "fallocate:1:EIO", "openat:1:EIO", "ftruncate:1:EIO",
                     "unlinkat:1:EIO"):
            rule = rule.replace("%d", str(campaign.random.randrange(1, 8)))
            shim.set(rule + ":path=spool")
            shim.wait_struck()
            campaign.wait_acknowledged(50)
        # And what was written through all that is read back by another process.
        shim.clear()
        campaign.kill_gateway()
        campaign.finish()


def test_one_sync_fails(workers):
    """F20: the message whose sync failed is not lost and not acknowledged early; its segment gets no more records"""
    with Shim() as shim, lib.RedisServer() as redis:
        with lib.Gateway(workers=workers, redis=redis.address, environment=shim.environment) as gateway:
            equal(ask(gateway, 1).code_text, "2.04")
            before = segments(gateway)
            gateway.wait_pushed()
            shim.set("fdatasync:1:EIO:path=.seg")
            equal(ask(gateway, 2).code_text, "2.04")
            equal(shim.struck(), 1)
            assert len(segments(gateway)) == len(before) + 1, segments(gateway)
            assert shim.passed() >= 2
            lib.wait_until(lambda: stored(redis) == [1, 2], "both are stored")


def test_syncs_fail(workers):
    """F20: as long as no sync succeeds nothing is acknowledged: 5.03 with Max-Age; then all is well again"""
    # Fails if a record that was written and not synced is acknowledged.
    with Shim() as shim, lib.RedisServer() as redis:
        with lib.Gateway(workers=workers, redis=redis.address, environment=shim.environment) as gateway:
            shim.set("fdatasync:*:EIO:path=spool")
            for value in range(3):
                answer = ask(gateway, value)
                equal(answer.code_text, "5.03")
                assert answer.option_uint(coap.MAX_AGE), answer
            assert gateway.metric("weir_spool_failed_total") >= 3
            shim.clear()
            equal(ask(gateway, 10).code_text, "2.04")
            lib.wait_until(lambda: 10 in stored(redis), "it is stored")
            gateway.kill()
            gateway.start()
            lib.wait_until(lambda: gateway.metric("weir_spool_unpushed_records") == 0, "drained")
            equal(stored(redis).count(10), 1)


def test_disk_full(workers):
    """F21: no space for the spool: 5.03 with Max-Age, what was acknowledged is safe, and it goes on when there is space"""
    # Fails if the gateway ends, acknowledges, or never tries again.
    with Shim() as shim, Campaign(21, workers=workers, environment=shim.environment, **SMALL) as campaign:
        campaign.begin_load(*LOAD)
        campaign.wait_acknowledged(50)
        shim.set("pwrite:*:ENOSPC:path=spool", "fallocate:*:ENOSPC:path=spool")
        shim.wait_struck()
        answer = ask(campaign.gateway, 1)
        equal(answer.code_text, "5.03")
        assert answer.option_uint(coap.MAX_AGE), answer
        shim.clear()
        campaign.wait_acknowledged(100)
        campaign.finish()
        equal(stored(campaign.redis), [])


class SmallDisk:
    """A folder whose "spool" is a disk of so many megabytes."""

    def __init__(self, megabytes=1):
        self.size = "size=%dm,mode=700" % megabytes

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="weir-test-")
        self.spool = self.folder + "/spool"
        os.mkdir(self.spool, 0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", self.size, "weir-test", self.spool],
                              capture_output=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(self.folder)
            raise lib.Skip("mount of a tmpfs: " + done.stderr.decode().strip())
        return self.folder

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.spool], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def test_small_disk(workers):
    """F21: a real disk of 1 MB fills up while Redis is away: 5.03 in the end, nothing lost, space comes back"""
    # Fails if the cursor cannot be saved on a full disk, so that nothing is ever released.
    with SmallDisk() as folder, lib.RedisServer() as redis:
        with Campaign(22, workers=workers, redis=redis, state_dir=folder, spool_tail_s=0, spool_tail_bytes=0,
                      **SMALL) as campaign:
            campaign.begin_load(100, 400, 3600, "--give-up-s", "300")
            campaign.wait_acknowledged(50)
            redis.kill()
            lib.wait_until(lambda: ask(campaign.gateway, 1).code_text == "5.03", "the disk is full", 240)
            redis.start()
            lib.wait_until(lambda: ask(campaign.gateway, 2).code_text == "2.04", "there is space again")
            campaign.wait_acknowledged(100)
            campaign.finish()


def test_disk_full_to_the_last_octet(workers):
    """F21: not one octet is left on the disk, and the gateway dies: it starts, the cursor is saved, space comes back"""
    # Fails if a cursor needs room for a file of its own: it hides behind the spare, which a disk may be too full for.
    with SmallDisk() as folder, lib.RedisServer() as redis:
        with Campaign(23, workers=workers, redis=redis, state_dir=folder, spool_tail_s=0, spool_tail_bytes=0,
                      **SMALL) as campaign:
            redis.kill()
            campaign.begin_load(100, 400, 3600, "--give-up-s", "300")
            lib.wait_until(lambda: ask(campaign.gateway, 1).code_text == "5.03", "the disk is full", 240)
            with open(folder + "/spool/last-octets", "wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass
            campaign.gateway.kill()
            redis.start()
            campaign.gateway.start()
            lib.wait_until(lambda: ask(campaign.gateway, 2).code_text == "2.04", "there is space again")
            campaign.wait_acknowledged(100)
            campaign.finish()


def test_start_on_a_full_disk(workers):
    """F21: no room for the address of Redis that is written for the command line: the gateway starts, says so, and serves"""
    # Fails if that ends the start: what waits in the spool would not be pushed, and no space come back.
    with Shim() as shim, lib.RedisServer() as redis:
        with lib.Gateway(workers=workers, redis=redis.address, environment=shim.environment) as gateway:
            equal(ask(gateway, 1).code_text, "2.04")
            gateway.kill()
            shim.set("renameat:*:ENOSPC:path=redis.address")
            gateway.start()
            assert "cannot write redis.address" in gateway.log(), gateway.log()
            equal(ask(gateway, 2).code_text, "2.04")
            lib.wait_until(lambda: stored(redis) == [1, 2], "both are stored")
            shim.set("renameat:*:EACCES:path=redis.address")
            gateway.terminate()
            gateway.launch()
            lib.wait_until(lambda: not gateway.is_alive(), "another reason ends it")
            shim.clear()
            gateway.start()


def large(gateway, value):
    """The answer to a message of 30 kB over HTTP."""
    return lib.curl("http://127.0.0.1:%d/obs" % gateway.http_port, token=gateway.device_token,
                    data='[{"n":"large","vs":"%d %s"}]' % (value, "x" * 30000), content_type="application/senml+json")


def ready(gateway):
    return lib.curl("http://127.0.0.1:%d/ready" % gateway.ops_port)


def fill_until_refused(gateway, count_max):
    """Values that were acknowledged before the first that was not; /ready then says why."""
    for value in range(count_max):
        answer = large(gateway, value)
        if answer.status != 204:
            equal(answer.status, 503)
            assert "retry-after" in answer.headers, answer
            why = ready(gateway)
            equal((why.status, why.json()["detail"]),
                  (503, "The spool has no room: its disk or spool_max_bytes is full."))
            return list(range(value))
    raise AssertionError("%d messages and the disk is not full" % count_max)


def expect_room_again(gateway, acknowledged, count):
    """So many more are taken, one after the other, and all is stored once."""
    for value in range(10000, 10000 + count):
        lib.wait_until(lambda: large(gateway, value).status == 204, "there is room again")
        acknowledged.append(value)
    lib.wait_until(lambda: ready(gateway).body == b"ready\n", "/ready")
    gateway.wait_pushed()
    found = [int(entry["v"].split()[0]) for entry in gateway.observations(name="large")]
    equal([value for value in acknowledged if value not in found], [], "acknowledged and not stored")


def test_disk_full_of_tail(workers):
    """F21: a disk of 4 MB is full of what Redis has long had: the safety tail gives way, again and again"""
    # Fails if the tail is kept for its hour, and everything new is refused until then.
    with SmallDisk(4) as folder, lib.RedisServer() as redis:
        with lib.Gateway(workers=workers, redis=redis.address, state_dir=folder, **SMALL) as gateway:
            acknowledged = fill_until_refused(gateway, 400)
            assert len(acknowledged) > 60, len(acknowledged)
            expect_room_again(gateway, acknowledged, 200)


def test_no_segment_for_the_tail(workers):
    """F21: as long as no new segment can be made: 5.03, /ready says why, and the tail is unlinked; then all is well"""
    # Fails if what Redis has keeps the room that new messages need, although Redis is there to be asked.
    with Shim() as shim, lib.RedisServer() as redis:
        with lib.Gateway(workers=workers, redis=redis.address, environment=shim.environment, **SMALL) as gateway:
            for value in range(-20, 0):
                equal(large(gateway, value).status, 204)
            gateway.wait_pushed()
            before = segments(gateway)
            assert len(before) > 4, before
            shim.set("fallocate:*:ENOSPC:path=spool", "pwrite:*:ENOSPC:path=.seg")
            acknowledged = list(range(-20, 0)) + fill_until_refused(gateway, 10)

            def tail_is_gone():
                equal(large(gateway, 5000).status, 503)
                return not set(before[:-1]) & set(segments(gateway))
            lib.wait_until(tail_is_gone, "the tail is unlinked")
            equal(ready(gateway).status, 503)
            shim.clear()
            expect_room_again(gateway, acknowledged, 10)


def test_slow_disk(workers):
    """F22: a sync of 4 s: an empty ACK, then the answer separately; a repetition is not executed"""
    # Fails if the answer is given before the sync, if the ACK waits for it, or if the repetition is stored, too.
    with Shim() as shim, lib.RedisServer() as redis:
        with lib.Gateway(workers=workers, redis=redis.address, environment=shim.environment) as gateway:
            equal(ask(gateway, 1).code_text, "2.04")
            gateway.wait_pushed()
            values = itertools.count(2)

            def exchange():
                """How long the empty ACK took."""
                shim.set("fdatasync:1:sleep=4000:path=.seg")
                with Peer(gateway.coap_port) as peer:
                    data = message(next(values))
                    data.mid = 77
                    begun = time.monotonic()
                    peer.send(data)
                    acknowledged = peer.receive()
                    after_ack = time.monotonic() - begun
                    if acknowledged.code:
                        # Without an empty one before it: the machine stood still until the sync was done.
                        equal((acknowledged.type, acknowledged.code_text, acknowledged.mid), (ACK, "2.04", 77))
                        assert after_ack >= 4, after_ack
                        return after_ack
                    equal((acknowledged.type, acknowledged.mid), (ACK, 77))
                    peer.send(data)
                    one = peer.receive()
                    while one is not None and not one.code:
                        one = peer.receive()
                    assert one is not None, "no separate answer"
                    assert time.monotonic() - begun >= 4, time.monotonic() - begun
                    equal((one.type in (CON, NON), one.code_text, one.token), (True, "2.04", data.token))
                    if one.type == CON:
                        peer.send(Message(ACK, 0, one.mid))
                return after_ack

            lib.fastest(exchange, 3.5, "the empty ACK")
            wanted = list(range(1, next(values)))
            lib.wait_until(lambda: stored(redis) == wanted, "each is stored once")


def test_disk_slower_than_the_deadline(workers):
    """F22: a sync beyond the deadline: 5.03; the device sends the same number again and it counts once"""
    # Fails if the late commit and the second one are both stored.
    with Shim() as shim, lib.RedisServer() as redis:
        with lib.Gateway(workers=workers, redis=redis.address, environment=shim.environment,
                         answer_deadline_ms=2000) as gateway:
            lib.wait_until(lambda: ask(gateway, 1, seq=1).code_text == "2.04", "it is acknowledged")
            gateway.wait_pushed()
            shim.set("fdatasync:1:sleep=5000:path=.seg")
            equal(ask(gateway, 2, seq=2).code_text, "5.03")
            lib.wait_until(lambda: ask(gateway, 2, seq=2).code_text == "2.04", "it is acknowledged at last")
            lib.wait_until(lambda: stored(redis) == [1, 2], "each is stored once")
            time.sleep(0.5)
            equal(stored(redis), [1, 2])
