#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run-integrity.sh BUILD_DIR WORK_DIR [SECONDS] - no write is lost that a disk acknowledged.
#
# A program reads and writes at random while the control socket resets the disk, and
# removes and adds it; then one is killed at random moments, again and again.  After
# each the image must hold what was acknowledged.
#
# Output: TAP.  Exit: 0, 1.

set -u
if [ $# -lt 2 ]; then
	echo "usage: run-integrity.sh BUILD_DIR WORK_DIR [SECONDS]" >&2
	exit 2
fi
build=$(cd "$1" && pwd) || exit 2
mkdir -p "$2" && work=$(cd "$2" && pwd) || exit 2
seconds=${3:-6}
uiommufd=$build/tools/uiommufd program=$build/tests/integrity/integrity
image=$work/disk.img log=$work/log socket=$work/control
bdf=0000:01:00.0
device="nvme,addr=$bdf,image=$image"
count=0 failed=0

result() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		sed 's/^/# /' "$work/out" | tail -30
		failed=1
	fi
}

fresh() {
	rm -f "$image" "$log" "$socket"
	truncate -s 8M "$image"
	: >"$work/out"
}

control() {
	"$uiommufd" device --socket "$socket" "$@" >>"$work/out" 2>&1
}

# The machine does things to the disk until the program ends.
disturb() {
	local pid=$1 turn=0

	while kill -0 "$pid" 2>/dev/null && [ ! -S "$socket" ]; do
		sleep 0.05
	done
	while kill -0 "$pid" 2>/dev/null; do
		sleep "0.$((RANDOM % 4 + 1))"
		if [ $((turn++ % 3)) -eq 0 ]; then
			control remove "$bdf" && sleep 0.1 && control add "$device"
		else
			control reset "$bdf"
		fi
	done
}

fresh
"$uiommufd" run --control "$socket" --device "$device" -- "$program" run "$log" "$seconds" \
	>>"$work/out" 2>&1 &
pid=$!
disturb $pid
wait $pid
result $? "reads see what was written while the disk is reset, removed and added"
"$program" check "$log" "$image" >>"$work/out" 2>&1
result $? "the image has every acknowledged write after that"
grep -q 'the disk lost [1-9]' "$work/out"
result $? "the disk really went away"

fresh
lost=0
for _ in $(seq 1 $((seconds * 2))); do
	"$uiommufd" run --control none --device "$device" -- "$program" run "$log" 60 \
		>>"$work/out" 2>&1 &
	pid=$!
	# What counts is how long it has been at it, however long it took to begin.
	until pgrep -f "^$program run $log" >/dev/null || ! kill -0 $pid 2>/dev/null; do
		sleep 0.05
	done
	sleep "0.$((RANDOM % 60 + 20))"
	# It may just be forking: until nobody is left.
	while pkill -9 -f "^$program run $log"; do
		sleep 0.02
	done
	wait $pid 2>/dev/null
	# The run is over with the program; the machine goes when the program's child is gone, too.
	flock -w 60 "$image" true
	"$program" check "$log" "$image" >>"$work/out" 2>&1 || lost=1
done
result $lost "a program killed at any moment loses no acknowledged write"
echo "1..$count"
exit $failed
