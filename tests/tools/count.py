#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts single tests in meson's testlog.json: each line of TAP counts, a test without TAP counts as one.

    count.py testlog.json...     prints "PASSED FAILED SKIPPED"; a log that is missing or empty is a failure
    count.py --explain testlog.json   prints what failed TAP tests said: their comments and the lines "not ok"
    count.py --self-test

What meson calls failed is never counted as passed: a TAP test that ended badly after its last "ok" (a sanitizer
report at exit, a time-out, fewer lines than planned) adds one failure."""
import json
import re
import sys

PLAN = re.compile(r'^1\.\.\d+', re.M)
TAP_LINE = re.compile(r'(not )?ok\b[^#]*(#\s*(?:SKIP|TODO)\b)?', re.I)
GOOD = ('OK', 'EXPECTEDFAIL')


def count_one(entry):
    """(passed, failed, skipped) of one meson test."""
    result, stdout = entry['result'], entry.get('stdout') or ''
    if result == 'SKIP':
        return 0, 0, 1
    passed = failed = skipped = 0
    if PLAN.search(stdout):
        for line in stdout.splitlines():
            tap = TAP_LINE.match(line)
            if tap and tap[2]:
                skipped += 1
            elif tap and tap[1]:
                failed += 1
            elif tap:
                passed += 1
    elif result in GOOD:
        passed = 1
    if result not in GOOD:
        failed = failed or 1
    return passed, failed, skipped


def count(lines):
    totals = [0, 0, 0]
    for line in lines:
        for i, n in enumerate(count_one(json.loads(line))):
            totals[i] += n
    return totals


def explain(path):
    """Meson shows the stderr of a failed test, but of TAP only the names."""
    with open(path) as log:
        for entry in map(json.loads, log):
            stdout = entry.get('stdout') or ''
            if entry['result'] not in GOOD + ('SKIP',) and PLAN.search(stdout):
                said = [line for line in stdout.splitlines() if line.startswith(('#', 'not ok'))]
                print(f'-- {entry["name"]}', *said[-200:], sep='\n')


def self_test():
    def one(result, stdout=''):
        return count([json.dumps({'result': result, 'stdout': stdout})])
    tap = '1..3\nok 1 - a\nok 2 - b # SKIP why\n'
    return (one('OK') == [1, 0, 0] and one('FAIL') == [0, 1, 0] and one('TIMEOUT') == [0, 1, 0] and
            one('SKIP') == [0, 0, 1] and one('UNEXPECTEDPASS') == [0, 1, 0] and
            one('OK', tap) == [1, 0, 1] and one('ERROR', tap) == [1, 1, 1] and
            one('FAIL', tap + 'not ok 3 - c\n') == [1, 1, 1] and
            one('OK', 'ok, this is prose and no TAP\nok\n') == [1, 0, 0])


def main():
    totals = [0, 0, 0]
    for path in sys.argv[1:]:
        try:
            with open(path) as log:
                one = count(log)
        except (OSError, ValueError, KeyError) as error:
            print(f'{path}: {error}', file=sys.stderr)
            one = [0, 1, 0]
        totals = [a + b for a, b in zip(totals, one)]
    print(*totals)


if __name__ == '__main__':
    if sys.argv[1:] == ['--self-test']:
        sys.exit(0 if self_test() else 1)
    if sys.argv[1:2] == ['--explain']:
        explain(sys.argv[2])
    else:
        main()
