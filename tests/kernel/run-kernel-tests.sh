#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run-kernel-tests.sh BUILD TESTS PROGRAM [--preload] - one of the kernel's
# iommufd tests, unmodified, on us instead of on a kernel.
#
# BUILD is a build directory with the command, TESTS where build-kernel-tests.sh
# left the programs, PROGRAM iommufd or iommufd_fail_nth.  Prints the test's own
# TAP.  With --preload, tests that need two processes (two-processes.txt) are
# left out.  A test that skips itself fails here, unless skips.txt says that it
# skips on Linux too.  So does any error of ours in the log: a check of all
# structures after a command that found something, or a page still pinned when
# nothing is open.
#
# iommufd_fail_nth makes the nth fallible step of a sequence fail, for each n; a
# case that injected nothing, or once, has not tested that, and fails.
#
# Exit: 0 all as on Linux, 1 not, 77 nothing to run.

set -u
[ $# -ge 3 ] || { echo "usage: run-kernel-tests.sh BUILD TESTS PROGRAM [--preload]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
command=$(cd "$1" && pwd)/tools/uiommufd
program=$2/$3
way=() options=()
[ -x "$program" ] || { echo "SKIP: no kernel tests in $2"; exit 77; }

words() {
	sed 's/#.*//' "$@" | awk 'NF'
}
if [ "${4:-}" = --preload ]; then
	way=(--preload)
	while read -r kind name; do
		options+=("-$kind" "$name")
	done < <(words "$here/two-processes.txt")
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
timeout "${KERNEL_TESTS_TIMEOUT:-600}" "$command" run --selftest --log-level info "${way[@]}" -- \
	"$program" "${options[@]}" >"$log" 2>&1
status=$?
cat "$log"
[ "$status" -ne 124 ] || { echo "not ok 999 the kernel's test hung"; exit 1; }

unexpected=$(grep -E '^ok .*# SKIP' "$log" |
	grep -v -F -f <(words "$here/skips.txt"; echo '#none#'))
if [ -n "$unexpected" ]; then
	echo "skipped, but not on Linux:"
	echo "$unexpected"
	status=1
fi
if grep -E 'still pinned|check after|refcount|Assertion' "$log" >/dev/null; then
	echo "errors of ours in the log above"
	status=1
fi

# "fail-nth of TID: armed A times, I injected", a line for each case; the supervisor says so.
if [ "$3" = iommufd_fail_nth ] && [ ${#way[@]} -eq 0 ]; then
	cases=$(grep -c '^ok ' "$log")
	grep -o 'fail-nth of .*' "$log" | awk -v cases="$cases" '
		{ n++; armed = $5 + 0; injected = $7 + 0; sum += injected }
		injected < 2 { print "a case injected only " injected; bad = 1 }
		END {
			printf "%d cases, %d failures injected\n", n, sum
			if (n < cases) { print "cases without a count: " cases - n; bad = 1 }
			exit bad
		}' || status=1
fi
exit "$status"
