# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway dies at every point of its path (F17, F18), and is told to end in the middle of other faults (F46).

One test for each crash point of gateway/rt/crash.h; what must hold is the same for all: the next start succeeds, and
what was acknowledged is stored once.
"""
import random
import time

import faults
import lib
from campaign import Campaign, seed_of
from faults import Shim
from lib import equal

WORKERS = (2,)
SMALL = {"spool_segment_bytes": 65536, "spool_tail_s": 0, "spool_tail_bytes": 0}


def die_and_recover(campaign, point, passage):
    """The gateway, under load, dies at that passage of the point, comes back, and goes on."""
    gateway = campaign.gateway
    gateway.kill()
    gateway.environment["WEIR_CRASH_AT"] = "%s:%d" % (point, passage)
    gateway.launch()
    faults.wait_for_death(gateway, 60)
    del gateway.environment["WEIR_CRASH_AT"]
    gateway.start()
    campaign.wait_acknowledged(60)


def crash_test(point, what):
    def test(workers):
        faults.needs_crash_points()
        chance = random.Random("%d %s" % (seed_of(17), point))
        with Campaign(17, workers=workers, **SMALL) as campaign:
            campaign.begin_load(60, 300, 3600, "--give-up-s", "300")
            # The first passage is often another than the later ones: at a start, of an empty spool. The later points
            # are passed once a second or once a segment only.
            for passage in (1, chance.randrange(2, 40) if point < "S8" and point[0] == "S" else 2):
                die_and_recover(campaign, point, passage)
            campaign.finish()

    test.__name__ = "test_at_" + point
    test.__doc__ = "F17, F18: dies at %s, after %s" % (point, what)
    return test


# Fails, for the point before it, if: S0-S3 an answer is given before the commit; S3b, S4 a record counts that was not
# synced, or one that was is forgotten at the next start; S6, S7 a batch that was sent again is appended again; S8, S9
# the cursor is ahead of what was executed, or a segment goes before the cursor is saved; C, R a start stumbles over a
# file that is half made.
for name, after in faults.crash_points():
    one = crash_test(name, after)
    globals()[one.__name__] = one
del one


def test_random_kills(workers):
    """F17: random kills of gateway and Redis under load"""
    # What scripts/torture does for long.
    with Campaign(18, workers=workers, **SMALL) as campaign:
        campaign.begin_load(100, 200, 3600, "--give-up-s", "300")
        for _ in range(12):
            time.sleep(campaign.random.uniform(0.1, 0.8))
            campaign.random_fault(1.0)
        campaign.finish()


# The end of the process -------------------------------------------------------------------------------------------

def ends(gateway, limit_s=30.0):
    """SIGTERM; the exit status. What it must not wait for takes twice the limit, or for ever."""
    begun = time.monotonic()
    gateway._disconnect()
    gateway.process.terminate()
    try:
        status = gateway.process.wait(60)
    finally:
        gateway.kill()
    seconds = time.monotonic() - begun
    gateway.check_log()
    assert seconds < limit_s, "SIGTERM took %.1f s:\n%s" % (seconds, gateway.log()[-2000:])
    return status


def test_terminated_under_load(workers):
    """F46: SIGTERM under load: a clean end, nothing lost"""
    # Fails if what is under way is answered but not committed at the end, or if the end waits for ever.
    with Campaign(46, workers=workers) as campaign:
        campaign.begin_load(60, 300, 3600, "--give-up-s", "300")
        for _ in range(3):
            campaign.wait_acknowledged(100)
            equal(ends(campaign.gateway), 0)
            campaign.gateway.start()
        campaign.finish()


def test_terminated_without_redis(workers):
    """F46: SIGTERM while Redis is dead, and while it hangs: a clean end, the spool keeps what was acknowledged"""
    # Fails if the end waits for the push.
    with Campaign(47, workers=workers) as campaign:
        campaign.begin_load(60, 300, 3600, "--give-up-s", "300")
        campaign.wait_acknowledged(50)
        for away, back in ((campaign.redis.kill, campaign.redis.start), (campaign.redis.freeze, campaign.redis.thaw)):
            away()
            campaign.wait_acknowledged(100)
            equal(ends(campaign.gateway), 0)
            campaign.gateway.launch()
            back()
            campaign.gateway.wait_ready()
            campaign.wait_acknowledged(50)
        campaign.finish()


def test_terminated_with_a_slow_disk(workers):
    """F46: SIGTERM while the disk takes a second for a sync: a clean end, for which the gateway gives itself 9 s"""
    # Fails if the end waits for every request under way instead of the commit under way.
    with Shim() as shim, Campaign(48, workers=workers, environment=shim.environment) as campaign:
        campaign.begin_load(60, 300, 3600, "--give-up-s", "300")
        campaign.wait_acknowledged(50)
        shim.set("fdatasync:*:sleep=1000:path=spool")
        shim.wait_struck()
        equal(ends(campaign.gateway), 0)
        shim.clear()
        campaign.gateway.start()
        campaign.finish()


def test_terminated_with_a_dead_disk(workers):
    """F46: SIGTERM while a sync does not come back: ends before it, and says that the end was not clean"""
    # Fails if the writer's thread is waited for without a limit, or if the exit status hides it.
    with Shim() as shim, Campaign(49, workers=workers, environment=shim.environment) as campaign:
        campaign.begin_load(60, 300, 3600, "--give-up-s", "300")
        campaign.wait_acknowledged(50)
        shim.set("fdatasync:*:sleep=60000:path=spool")
        shim.wait_struck()
        equal(ends(campaign.gateway), 3)
        shim.clear()
        campaign.gateway.start()
        campaign.finish()
