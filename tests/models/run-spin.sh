#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run-spin.sh MODEL [RULE...] - check every schedule of a Promela model: as it is
# there is nothing wrong, and without any one of the rules there is.
#
# Exit: 0 so, 1 not, 77 without spin.

set -u
[ $# -ge 1 ] || { echo "usage: run-spin.sh MODEL [RULE...]" >&2; exit 2; }
model=$(realpath "$1")
shift
command -v spin >/dev/null || { echo "SKIP: spin is not installed"; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# check NAME [SPIN OPTION...] - prints the verifier's report; false if it could not be made
check() {
	local dir=$1
	shift
	mkdir "$dir" && cd "$dir" || return 1
	spin "$@" -a "$model" >log 2>&1 &&
		${CC:-cc} -O2 -w -DSAFETY -DNOCLAIM -DVECTORSZ=2048 -DMEMLIM=2048 -o pan pan.c \
			>>log 2>&1 &&
		./pan -m1000000 >report 2>&1
	local made=$?
	cat report 2>/dev/null || cat log
	cd ..
	return $made
}

failed=0
number=0
verdict() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		sed 's/^/# /' <<<"$report"
		failed=1
	fi
}

report=$(check whole)
grep -q 'errors: 0' <<<"$report" && ! grep -q 'Search not completed\|max search depth' <<<"$report"
well=$?
states=$(awk '/states, stored/ { print $1; exit }' <<<"$report")
verdict $well "$(basename "$model"): every schedule ends well ($states states)"
for rule; do
	report=$(check "$rule" "-D$rule")
	grep -q 'errors: [1-9]' <<<"$report"
	verdict $? "with $rule some schedule does not ($(sed -n 's/^pan:1: //p' <<<"$report"))"
done
echo "1..$number"
exit $failed
