# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory runs out (F39). In the optimised build: the allocator of the sanitizers cannot be made to fail."""
import time

import lib
from campaign import Campaign
from faults import Shim

WORKERS = (2,)


def test_no_memory(workers):
    """F39: allocations fail one after the other: an answer or none, no crash, nothing acknowledged is lost"""
    # Fails if a NULL is used, or if half of what an out-of-memory left counts.
    with Shim() as shim, Campaign(39, workers=workers, environment=shim.environment, spool_segment_bytes=65536) as campaign:
        if not shim.has_malloc:
            raise lib.Skip("the allocator is the sanitizer's: see build/release")
        campaign.begin_load(60, 300, 3600, "--give-up-s", "300")
        campaign.wait_acknowledged(50)
        for n in list(range(1, 25)) + [40, 60, 100]:
            shim.set("malloc:%d" % n)
            time.sleep(0.1)
            assert campaign.gateway.is_alive(), "malloc:%d" % n
        shim.set("malloc:1-200")
        shim.wait_struck(times=200)
        shim.clear()
        campaign.wait_acknowledged(100)
        campaign.finish()
