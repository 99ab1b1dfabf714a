#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one criterion executable and prints TAP, with the sanitizers' reports made part of the result.

    run.py EXECUTABLE [ARGUMENT...]
    run.py --self-test

Criterion runs each test in a process of its own and does not look at how that ends after the test passed: a leak,
which is found then, would go unnoticed. So the reports go to files, and each is counted as a failed test here. What
the tests print goes to stderr, which meson shows when one fails (with --tap alone criterion would throw it away)."""
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SANITIZERS = ['ASAN_OPTIONS', 'LSAN_OPTIONS', 'TSAN_OPTIONS']
PLAN = re.compile(r'^1\.\.(\d+)$', re.M)
RESULT = re.compile(r'(?:not )?ok\b')


def run(command, out, err):
    print('TAP version 13', file=out, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        environment = dict(os.environ)
        for name in SANITIZERS:
            environment[name] = ':'.join(filter(None, [environment.get(name), f'log_path={folder}/report']))
        process = subprocess.Popen([*command, f'--tap={folder}/tap'], env=environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors='replace')
        for line in process.stdout:
            print(line.rstrip('\n'), file=err, flush=True)
        status = process.wait()
        tap = (folder / 'tap').read_text(errors='replace') if (folder / 'tap').exists() else ''
        reports = [path.read_text(errors='replace') for path in sorted(folder.glob('report.*'))]
    plan = PLAN.search(tap)
    for line in tap.splitlines():
        if RESULT.match(line):
            print(line, file=out)
    for report in reports:
        print('not ok - sanitizer report', file=out)
        print(report, file=err)
    if plan: # last, where TAP allows it too
        print(f'1..{int(plan[1]) + len(reports)}', file=out, flush=True)
    # No plan: the tests did not start.
    return status or (1 if reports or not plan else 0)


def self_test():
    def one(script):
        out, err = io.StringIO(), io.StringIO()
        script = 'tap=${0#--tap=}; report=${ASAN_OPTIONS##*log_path=}; ' + script
        return run(['sh', '-c', script], out, err), out.getvalue(), err.getvalue()
    good = one('printf "1..1\\nok - a\\n" >$tap; echo prose')
    bad = one('printf "1..1\\nok - a\\n" >$tap; echo leaked >$report.77')
    return (good == (0, 'TAP version 13\nok - a\n1..1\n', 'prose\n') and
            bad == (1, 'TAP version 13\nok - a\nnot ok - sanitizer report\n1..2\n', 'leaked\n\n') and
            one('exit 3')[0] == 3 and one('exit 0')[0] == 1)


if __name__ == '__main__':
    if sys.argv[1:] == ['--self-test']:
        sys.exit(0 if self_test() else 1)
    sys.exit(run(sys.argv[1:], sys.stdout, sys.stderr))
