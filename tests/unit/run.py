#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one criterion executable and prints TAP, with the sanitizers' reports made part of the result.

    run.py EXECUTABLE [ARGUMENT...]
    run.py --self-test

Criterion runs each test in a process of its own and does not look at how that ends after the test passed: a leak,
which is found then, would go unnoticed. So the reports go to files, and each is counted as a failed test here. What
the tests print goes to stderr, which meson shows when one fails (with --tap alone criterion would throw it away).

Criterion's own process leaks now and then, with many tests at a time. A report in which criterion itself has allocated
all that leaked is not counted; then the TAP alone says how the tests went."""
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
LEAK = re.compile(r' leak of .*(?:\n\s+#0 .*\n\s+#1 (.*))?')


def is_criterions(report):
    leaks = LEAK.findall(report)
    return (leaks and 'ERROR: AddressSanitizer' not in report and 'runtime error' not in report and
            all('/libcriterion.so' in caller for caller in leaks))


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
        all_reports = [path.read_text(errors='replace') for path in sorted(folder.glob('report.*'))]
    reports = [report for report in all_reports if not is_criterions(report)]
    plan = PLAN.search(tap)
    results = [line for line in tap.splitlines() if RESULT.match(line)]
    if status == 1 and len(reports) < len(all_reports) and plan and len(results) == int(plan[1]):
        status = 1 if any(line.startswith('not ok') for line in results) else 0
    for line in results:
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
    tap, leak = 'printf "1..1\\n%sok - a\\n" >$tap; ', ' leak of 48 byte(s)\\n  #0 0x1 in calloc\\n  #1 0x2 %s\\n'
    theirs, ours = leak % '(/lib/libcriterion.so.3+0x1)', leak % 'in ours a.c:1'
    def leaked(what, verdict=''):
        return one(tap % verdict + f'printf "{what}" >$report.77; exit 1')[0]
    return (leaked(theirs) == 0 and leaked(theirs + theirs) == 0 and leaked(theirs, 'not ') == 1 and
            leaked(ours) == 1 and leaked(theirs + ours) == 1 and
            leaked('ERROR: AddressSanitizer: heap-use-after-free' + theirs) == 1 and leaked(' leak of 1\\n') == 1 and
            good == (0, 'TAP version 13\nok - a\n1..1\n', 'prose\n') and
            bad == (1, 'TAP version 13\nok - a\nnot ok - sanitizer report\n1..2\n', 'leaked\n\n') and
            one('exit 3')[0] == 3 and one('exit 0')[0] == 1)


if __name__ == '__main__':
    if sys.argv[1:] == ['--self-test']:
        sys.exit(0 if self_test() else 1)
    sys.exit(run(sys.argv[1:], sys.stdout, sys.stderr))
