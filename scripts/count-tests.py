#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Count the tests in what a run has left.

    count-tests.py [--show] TESTLOG.json     what Meson has run
    count-tests.py OUTPUT NAME               what one program NAME has said

Where a program speaks TAP, as cmocka and the kernel's tests do, its cases are
counted; else it counts as one.  Prints "PASSED FAILED SKIPPED", then a line for
each failure; with --show, the end of a failing program's output goes to stderr.
"""
import json
import re
import sys

# cmocka marks a skipped case "not ok", the kernel's harness "ok".
CASE = re.compile(r'^(not )?ok\b(?: +(\d+))?(?: *-)? *(.*)$')
PLAN = re.compile(r'^1\.\.(\d+)')
SKIPPED = re.compile(r'# *SKIP\b *', re.IGNORECASE)


class Count:
    def __init__(self):
        self.passed = self.skipped = 0
        self.failures = []

    def tap(self, who, output):
        """Counts the cases in output; False if there are none."""
        seen = planned = 0
        for line in output.splitlines():
            plan = PLAN.match(line)
            case = CASE.match(line)
            if plan:
                planned += int(plan[1])
            elif case and case[2]:
                seen += 1
                if SKIPPED.search(case[3]):
                    self.skipped += 1
                elif case[1]:
                    self.failures.append(f'{who}: {case[3]}')
                else:
                    self.passed += 1
        if not seen:
            return False
        # A program that dies leaves cases it promised.
        for _ in range(seen, planned):
            self.failures.append(f'{who}: a case did not run')
        return True

    def program(self, who, output, verdict):
        """verdict: 'pass', 'skip', or what went wrong."""
        failures = len(self.failures)
        if verdict == 'skip' or not self.tap(who, output):
            if verdict == 'pass':
                self.passed += 1
            elif verdict == 'skip':
                self.skipped += 1
        # Whatever its cases say: a crash or a sanitizer's report is a failure.
        if verdict not in ('pass', 'skip') and len(self.failures) == failures:
            self.failures.append(f'{who}: {verdict}')


def meson_verdict(test):
    result = test['result']
    if result in ('OK', 'EXPECTEDFAIL'):
        return 'pass'
    if result == 'SKIP':
        return 'skip'
    return f'{result.lower()} (exit status {test.get("returncode")})'


def count_meson(count, file, show):
    for line in file:
        test = json.loads(line)
        # Meson writes "project:suite / name".
        name = test['name'].partition(':')[2] or test['name']
        before = len(count.failures)
        count.program(name, test.get('stdout', ''), meson_verdict(test))
        if show and len(count.failures) > before:
            said = test.get('stdout', '') + test.get('stderr', '')
            print(f'---- {name}', *said.splitlines()[-30:], sep='\n', file=sys.stderr)


def main():
    arguments = sys.argv[1:]
    show = '--show' in arguments
    if show:
        arguments.remove('--show')
    count = Count()
    with open(arguments[0], encoding='utf-8', errors='replace') as file:
        if arguments[0].endswith('.json'):
            count_meson(count, file, show)
        else:
            count.tap(arguments[1], file.read())
    print(count.passed, len(count.failures), count.skipped)
    for failure in count.failures:
        print(failure)


main()
