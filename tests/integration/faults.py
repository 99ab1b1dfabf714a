# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults inside a running gateway: calls that fail (tests/faults/shim.c) and points at which it dies (gateway/rt/crash.h).

    with Shim() as shim, lib.Gateway(environment=shim.environment) as gateway:
        shim.set("fdatasync:1:EIO:path=spool")       # from now on the first
        ...
        shim.clear()
        assert shim.struck() == 1
        shim.move_clocks(wall_s=-3600)               # the gateway finds it an hour earlier
"""
import mmap
import os
import re
import signal
import struct
import tempfile

import lib

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.path.dirname(os.path.dirname(os.path.abspath(lib.shutil.which(lib.BINARY) or lib.BINARY)))
RULES_MAX = 16
RULES_AT, TEXT_AT, TEXT_MAX = 32, 32 + RULES_MAX * 16, 1024
CLOCKS_AT = TEXT_AT + TEXT_MAX


def _library():
    """(path, whether it has malloc) of the shim beside the binary."""
    for name, has_malloc in (("libweirfault.so", True), ("libweirfault-io.so", False)):
        path = os.path.join(os.environ.get("WEIR_FAULT_SHIM") or os.path.join(BUILD, "tests", "faults"), name)
        if os.path.exists(path):
            return path, has_malloc
    raise lib.Skip("tests/faults is not built beside " + lib.BINARY)


class Shim:
    """The control page of one gateway; it stays while the gateway is killed and started again."""

    def __init__(self):
        library, self.has_malloc = _library()
        self.file = tempfile.NamedTemporaryFile(prefix="weir-fault-")
        self.file.truncate(2 * mmap.PAGESIZE)
        self.page = mmap.mmap(self.file.fileno(), 2 * mmap.PAGESIZE)
        self.environment = {"LD_PRELOAD": library, "WEIR_FAULT_FILE": self.file.name}
        if not self.has_malloc:
            # The sanitizer wants to be first; what stands before it here leaves memory alone.
            self.environment["ASAN_OPTIONS"] = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"),
                                                                      "verify_asan_link_order=0"]))

    def _word(self, at):
        return struct.unpack_from("=Q", self.page, at)[0]

    def set(self, *rules):
        """These rules and no others, for the gateway that runs now (which is waited for) and those after it."""
        text = ",".join(rules).encode()
        assert len(text) < TEXT_MAX and len(rules) <= RULES_MAX
        self.page[TEXT_AT:TEXT_AT + TEXT_MAX] = text.ljust(TEXT_MAX, b"\0")
        generation = self._word(0) + 1
        struct.pack_into("=Q", self.page, 0, generation)
        self.wait_taken()

    def wait_taken(self):
        """Until a running gateway goes by the rules; its loop turns by itself, so that takes no request."""
        if self._word(16) and _is_alive(self._word(16)):
            lib.wait_until(lambda: self._word(8) == self._word(0) or not _is_alive(self._word(16)), "the shim takes the rules")
            assert self._word(24) == 0, "the shim cannot read its rules"

    def clear(self):
        """All calls as they are."""
        self.set()

    def move_clocks(self, wall_s=0, monotonic_s=0):
        """By how much the gateway's clocks are off the machine's, from its next look at them on."""
        struct.pack_into("=qq", self.page, CLOCKS_AT, wall_s * 1000000000, monotonic_s * 1000000000)

    def passed(self, rule=0):
        """How many calls the rule was asked about since it was set, or since the gateway was started."""
        return self._word(RULES_AT + 16 * rule)

    def struck(self, rule=0):
        return self._word(RULES_AT + 16 * rule + 8)

    def wait_struck(self, rule=0, times=1, limit_s=lib.PATIENCE_S):
        lib.wait_until(lambda: self.struck(rule) >= times, "rule %d of the shim strikes" % rule, limit_s)

    def close(self):
        self.page.close()
        self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


# Crash points -----------------------------------------------------------------------------------------------------

def crash_points():
    """[(name, after what)] of the table."""
    with open(os.path.join(ROOT, "gateway", "rt", "crash.h")) as file:
        return re.findall(r'^ *X\("(\w+)", "([^"]*)"\)', file.read(), re.M)


def needs_crash_points():
    """Skips the test if the binary was built without them."""
    with open(lib.shutil.which(lib.BINARY), "rb") as file:
        if b"WEIR_CRASH_AT" not in file.read():
            raise lib.Skip("built without -Dcrash_points=true")


def placed_crash_points():
    """{name: [file, ...]} of the CRASH_POINT lines in the source."""
    found = {}
    for folder, _, files in os.walk(os.path.join(ROOT, "gateway")):
        for name in files:
            if name.endswith(".c"):
                with open(os.path.join(folder, name)) as file:
                    for point in re.findall(r'\bCRASH_POINT\("(\w+)"\)', file.read()):
                        found.setdefault(point, []).append(name)
    return found


def wait_for_death(gateway, limit_s=lib.PATIENCE_S):
    """The gateway has died by SIGKILL of its own."""
    lib.wait_until(lambda: not gateway.is_alive(), "the gateway dies at its crash point", limit_s)
    lib.equal(gateway.process.returncode, -signal.SIGKILL, "how it ended:\n" + gateway.log()[-3000:])
    gateway.kill()
