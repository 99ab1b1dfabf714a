#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs integration tests and prints TAP.

    WEIR_BIN=build/dev/cmd/weir tests/integration/run.py [module ...] [-k PART_OF_A_NAME] [-w WORKERS] [--times]

A module is test_<area>.py in this folder. Its functions test_* run in the order of the file; the first line of a
function's docstring is its name in the output. A function that takes `gateway` gets the one of its module, started
with the module's SETTINGS (a dict) or by its start_gateway(workers); one that takes `workers` gets their number.
WORKERS = (1, 2) is the default: everything is run with one worker and with two. The tests of a module share a gateway
and its stream, so each uses names of its own. After the last one the gateway must end cleanly on SIGTERM, without a
sanitizer report and without a secret in its log; that counts as a test.
"""
import argparse
import glob
import importlib
import inspect
import os
import shutil
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lib  # noqa: E402


class Tap:
    def __init__(self, times):
        self.count = self.failed = 0
        self.times, self.last = times, time.monotonic()

    def report(self, ok, name, note=""):
        self.count += 1
        self.failed += not ok
        if self.times:
            print("# %.1f s" % (time.monotonic() - self.last))
        self.last = time.monotonic()
        name = name.replace("#", "")
        print("%s %d - %s%s" % ("ok" if ok else "not ok", self.count, name, note), flush=True)

    def failure(self, name):
        for line in traceback.format_exc().splitlines():
            print("# " + line)
        self.report(False, name)


class ModuleRun:
    """One module with one number of workers."""

    def __init__(self, tap, module, workers):
        self.tap, self.module, self.workers = tap, module, workers
        self.gateway = None

    def start_gateway(self):
        if self.gateway is None:
            make = getattr(self.module, "start_gateway", None)
            settings = getattr(self.module, "SETTINGS", {})
            self.gateway = make(self.workers) if make else lib.Gateway(workers=self.workers, **settings)
        return self.gateway

    def run(self, tests):
        for test in tests:
            self.run_one(test)
        if self.gateway:
            self.stop_gateway()

    def title(self, text):
        return "%s: %s [%d worker%s]" % (self.module.__name__[5:], text, self.workers, "s" * (self.workers != 1))

    def run_one(self, test):
        title = self.title((test.__doc__ or test.__name__).strip().splitlines()[0])
        try:
            wanted = inspect.signature(test).parameters
            arguments = {}
            if "gateway" in wanted:
                arguments["gateway"] = self.start_gateway()
            if "workers" in wanted:
                arguments["workers"] = self.workers
            test(**arguments)
            if self.gateway and not self.gateway.is_alive():
                raise AssertionError("the gateway died:\n" + self.gateway.log()[-6000:])
            self.tap.report(True, title)
        except lib.Skip as reason:
            self.tap.report(True, title, " # SKIP " + str(reason))
        except Exception:
            self.tap.failure(title)
            self.after_failure()

    def after_failure(self):
        """A dead gateway fails its own test only: the next gets a new one."""
        if self.gateway and not self.gateway.is_alive():
            self.gateway.kill()
            self.gateway = None

    def stop_gateway(self):
        title = self.title("the gateway ends cleanly")
        try:
            self.gateway.stop()
            self.tap.report(True, title)
        except Exception:
            self.tap.failure(title)


def tests_of(module, part):
    found = [item for name, item in vars(module).items() if name.startswith("test_") and inspect.isfunction(item)]
    return [test for test in found if not part or part in test.__name__]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("modules", nargs="*")
    parser.add_argument("-k", dest="part", default="")
    parser.add_argument("-w", dest="workers", type=int, help="with this number of workers only")
    parser.add_argument("--times", action="store_true", help="say how long each test took")
    options = parser.parse_args()
    if not shutil.which(lib.BINARY):
        print("Bail out! WEIR_BIN does not name the weir binary")
        return 1
    names = options.modules or sorted(os.path.basename(path)[:-3] for path in glob.glob(HERE + "/test_*.py"))
    tap = Tap(options.times)
    for name in names:
        module = importlib.import_module(name)
        tests = tests_of(module, options.part)
        for workers in [options.workers] if options.workers is not None else getattr(module, "WORKERS", (1, 2)):
            ModuleRun(tap, module, workers).run(tests)
    print("1..%d" % tap.count)
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
