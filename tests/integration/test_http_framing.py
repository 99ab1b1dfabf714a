# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP framing of the whole gateway: nothing can be smuggled behind a doubtful request (acceptance cases H1, H10)."""
import http_raw


def test_refused(gateway):
    """What two readers could read in two ways is refused, and nothing behind it is answered"""
    http_raw.all_of(http_raw.REFUSED, http_raw.check_refused, gateway.http_port)


def test_refused_ops(gateway):
    """The same on the ops listener"""
    http_raw.all_of(http_raw.REFUSED, http_raw.check_refused, gateway.ops_port)


def test_taken(gateway):
    """What is unusual but clear is taken, also a byte at a time"""
    http_raw.all_of(http_raw.TAKEN, http_raw.check_taken, gateway.http_port)
    http_raw.all_of(http_raw.TAKEN, http_raw.check_dribbled, gateway.http_port)


def test_targets(gateway):
    """A path has one spelling"""
    http_raw.check_targets(gateway.http_port)
