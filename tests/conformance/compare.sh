#!/bin/bash
# SPDX-License-Identifier: MIT
#
# compare.sh ORACLE_COMMAND SEEDS - replay on a real Linux and under uiommufd.
#
# ORACLE_COMMAND runs the static program given to it, with arguments, as root on
# a Linux 7.2 with CONFIG_IOMMUFD_TEST (a virtual machine, User Mode Linux; one
# that was not used for anything else) and passes its standard output on.
# SEEDS is FIRST or FIRST-LAST.
#
# BUILD=DIR    build directory with uiommufd and replay (build/plain)
# RECORD=FILE  keep the oracle's text there, for check-golden.sh
#
# Of each seed that differs the first line that does is shown, before > for
# Linux and after it ours.  Exit: 0 alike, 1 not, 2 misused or cannot run.
#
# A Linux without large pages of its own is the better oracle: it counts the
# pins of each page.

set -u
if [ $# -ne 2 ]; then
	sed -n '4,19s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
oracle=$1
first=${2%-*} last=${2#*-}
build=${BUILD:-$(cd "$(dirname "$0")/../.." && pwd)/build/plain}
replay=$build/tests/conformance/replay
for program in "$replay" "$build/tools/uiommufd"; do
	[ -x "$program" ] || { echo "compare: no $program" >&2; exit 2; }
done
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT

# shellcheck disable=SC2086 # a command with its arguments
$oracle "$replay" "$first" "$last" >"$dir/linux" ||
	{ echo "compare: the oracle failed ($?)" >&2; exit 2; }
"$build/tools/uiommufd" run --selftest -- "$replay" "$first" "$last" >"$dir/ours" ||
	echo "compare: replay under uiommufd ended with $?" >&2
[ -z "${RECORD:-}" ] || cp "$dir/linux" "$RECORD" || exit 2

awk '
	FNR == 1 { file++ }
	/^seed / { seed = $2; line = 0; if (file == 1) seeds++ }
	{ line++ }
	file == 1 { text[seed, line] = $0; next }
	!(seed in bad) && text[seed, line] != $0 {
		bad[seed] = 1
		differ++
		printf "seed %s\n   %s\n > %s\n", seed, text[seed, line], $0
	}
	END {
		printf "%d seeds, %d differ\n", seeds, differ
		exit differ || !seeds
	}' "$dir/linux" "$dir/ours" || exit 1
cmp -s "$dir/linux" "$dir/ours" || { echo "ours ends early"; exit 1; }
