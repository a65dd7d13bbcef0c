#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check-golden.sh UIOMMUFD REPLAY GOLDEN.xz - what a real Linux said once is what
# we say.  GOLDEN.xz is the text compare.sh recorded (RECORD=) of all its seeds.
#
# Exit: 0 alike, 1 not, 77 with a reason where replay cannot run.

set -u
uiommufd=$1 replay=$2 golden=$3
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

if ! command -v xz >/dev/null; then
	echo "SKIP: no xz to unpack what is recorded"
	exit 77
fi
xz -dc "$golden" >"$dir/linux" || exit 1
first=$(awk '/^seed / { print $2; exit }' "$dir/linux")
last=$(awk '/^seed / { seed = $2 } END { print seed }' "$dir/linux")

# A heap at a random place may lie where the replay wants nothing to be.
layout=()
setarch -R true 2>/dev/null && layout=(setarch -R)
"${layout[@]}" "$uiommufd" run --selftest -- "$replay" "$first" "$last" >"$dir/ours" 2>"$dir/error"
status=$?
case $status in
77 | 125)
	echo "SKIP: $(tail -1 "$dir/error")"
	exit 77
	;;
esac
if diff -U 3 "$dir/linux" "$dir/ours" >"$dir/diff" && [ $status -eq 0 ]; then
	echo "seeds $first to $last: $(wc -l <"$dir/linux") lines, all as Linux has them"
	exit 0
fi
cat "$dir/error"
# A later difference may follow from the first; its seed is the one to look at.
head -40 "$dir/diff"
line=$(cmp "$dir/linux" "$dir/ours" 2>/dev/null | sed 's/.* line //')
[ -z "$line" ] ||
	echo "first in $(head -n "$line" "$dir/linux" | grep '^seed ' | tail -1), status $status"
exit 1
