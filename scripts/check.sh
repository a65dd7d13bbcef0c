#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check.sh [--long] [STEP...] - all tests there are, or those of the named steps.
#
# Installs what is missing, builds the library three times (plain with its own
# checks, with ASan and UBSan, with TSan) and runs the tests of each, and after
# that what needs more than one program.  Everything a step says goes to
# build/check-log/STEP.log; the end of it is shown if the step fails.  The last
# line is "N passed, N failed, N skipped", counting test cases of all steps.
#
# Without --long all of it has to fit into 25 minutes on two processors (or into
# UIOMMUFD_CHECK_MINUTES, on a slower machine); a step that does not is stopped and fails.  With it, UIOMMUFD_LONG=1 is set for the
# tests to do more rounds, and tests of the suite "long" run as well.
#
# To add a step: write a function or script that exits 0, 1 or 77 (skipped, the
# reason as its last line) and a `step NAME COMMAND...` line at the end.  If its
# output is TAP, or it calls count_meson, its cases are counted.

set -u
cd "$(dirname "$0")/.." || exit 1
export SOURCE=$PWD
export BUILD=$SOURCE/build
export LOGS=$BUILD/check-log
export JOBS=${JOBS:-$(nproc)}
budget=$((${UIOMMUFD_CHECK_MINUTES:-24} * 60))
suites=(--no-suite long)
wanted=()

for argument in "$@"; do
	case $argument in
	--long)
		budget=$((12 * 3600))
		suites=()
		export UIOMMUFD_LONG=1
		;;
	-*)
		echo "usage: check.sh [--long] [STEP...]" >&2
		exit 2
		;;
	*) wanted+=("$argument") ;;
	esac
done
export SUITES="${suites[*]}"
integrity_seconds=6
[ -z "${UIOMMUFD_LONG:-}" ] || integrity_seconds=300
deadline=$(($(date +%s) + budget))
passed=0 failed=0 skipped=0
running=

# ---- one step: run, show, count ----

interrupted() {
	[ -n "$running" ] && kill "$running" 2>/dev/null
	exit 130
}
trap interrupted INT TERM HUP

# The name and, on a terminal, the seconds so far.
show_progress() {
	local name=$1 start=$2

	if [ ! -t 1 ]; then
		wait "$running"
		return
	fi
	while kill -0 "$running" 2>/dev/null; do
		printf '\r%-24s %4d s ' "$name" $(($(date +%s) - start))
		sleep 0.5
	done
	printf '\r\033[K'
	wait "$running"
}

# Adds a step's cases to the totals; sets verdict.
add_counts() {
	local name=$1 status=$2 p=0 f=0 s=0

	if [ ! -f "$LOGS/$name.count" ]; then
		python3 "$SOURCE/scripts/count-tests.py" "$LOGS/$name.log" "$name" \
			>"$LOGS/$name.count"
	fi
	read -r p f s <"$LOGS/$name.count"
	case $status in
	0) ;;
	77) [ $((p + f + s)) -gt 0 ] || s=1 ;;
	*) [ "$f" -gt 0 ] || f=1 ;;
	esac
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	verdict=
	[ $((p + f + s)) -gt 0 ] && verdict="$p passed, $f failed, $s skipped"
	[ "$f" -eq 0 ] || status=1
	return "$status"
}

# step NAME COMMAND...
step() {
	local name=$1 start status verdict left
	shift
	if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $name "* ]]; then
		return
	fi
	start=$(date +%s)
	left=$((deadline - start))
	rm -f "$LOGS/$name.count"
	if [ "$left" -le 0 ]; then
		echo "no time left" >"$LOGS/$name.log"
		status=124
	else
		STEP=$name timeout -k 20 "$left" bash -c '"$@"' step "$@" \
			>"$LOGS/$name.log" 2>&1 </dev/null &
		running=$!
		show_progress "$name" "$start"
		status=$?
		running=
	fi
	[ "$status" != 124 ] || echo "stopped: the time for all steps is over" >>"$LOGS/$name.log"
	add_counts "$name" "$status"
	case $? in
	0) printf '%-24s ok    %s\n' "$name" "$verdict" ;;
	77) printf '%-24s SKIP  %s\n' "$name" "$(tail -1 "$LOGS/$name.log")" ;;
	*)
		printf '%-24s FAIL  %s\n' "$name" "$verdict"
		sed -n '2,$s/^/    failed: /p' "$LOGS/$name.count" | head -40
		tail -40 "$LOGS/$name.log" | sed 's/^/    /'
		echo "    (all of it: build/check-log/$name.log)"
		;;
	esac
}

# ---- what the steps are made of ----

# configure BUILD_DIR OPTION...: set up or bring up to date, and compile.
configure() {
	local dir=$BUILD/$1
	shift
	if [ -f "$dir/build.ninja" ]; then
		meson configure "$dir" "$@" || return 1
	else
		meson setup "$dir" "$SOURCE" "$@" || return 1
	fi
	ninja -C "$dir" -j "$JOBS"
}

# count_meson BUILD_DIR: leave the counts of its last test run for step().  What
# failing tests said is in Meson's log; the end of it goes to ours.
count_meson() {
	python3 "$SOURCE/scripts/count-tests.py" --show "$BUILD/$1/meson-logs/testlog.json" \
		>"$LOGS/$STEP.count"
}

# meson_tests BUILD_DIR TIMEOUT_FACTOR OPTION...: build it and run its tests.
meson_tests() {
	local dir=$1 factor=$2 status layout=()
	shift 2
	configure "$dir" "$@" || return 1
	rm -f "$BUILD/$dir/meson-logs/testlog.json"
	# TSan's shadow does not fit a layout as random as newer kernels make it.
	if [ "$dir" = tsan ] && setarch -R true 2>/dev/null; then
		layout=(setarch -R)
	fi
	# What has nothing of the build in it is the same in each.
	[ "$dir" = plain ] || SUITES="$SUITES --no-suite once"
	# shellcheck disable=SC2086 # a list of words
	"${layout[@]}" meson test -C "$BUILD/$dir" --no-rebuild --num-processes "$JOBS" \
		--timeout-multiplier "$factor" $SUITES
	status=$?
	count_meson "$dir" || return 1
	return $status
}

# reserve_huge_pages N: the kernel's tests map some with MAP_HUGETLB.
reserve_huge_pages() {
	local have setting

	# The second time of what is free in pieces.
	for setting in "vm.nr_hugepages=$1" vm.compact_memory=1 "vm.nr_hugepages=$1"; do
		have=$(cat /proc/sys/vm/nr_hugepages 2>/dev/null || echo 0)
		[ "$have" -ge "$1" ] && return 0
		sysctl -q "$setting" 2>/dev/null || sudo -n sysctl -q "$setting" 2>/dev/null
	done
	have=$(cat /proc/sys/vm/nr_hugepages 2>/dev/null || echo 0)
	[ "$have" -ge "$1" ] || echo "note: only $have of $1 huge pages; tests that need them skip"
	return 0
}

# kernel_tests BUILD_DIR PROGRAM [--preload]: one of the kernel's iommufd tests, run by that build.
kernel_tests() {
	local dir=$1
	shift
	reserve_huge_pages 512
	tests/kernel/run-kernel-tests.sh "$BUILD/$dir" "$BUILD/kernel-tests" "$@"
}

# vfio_tests BUILD_DIR: the kernel's VFIO tests, run by that build.
vfio_tests() {
	reserve_huge_pages 512
	tests/kernel/run-vfio-tests.sh "$BUILD/$1" "$BUILD/kernel-tests"
}
export -f vfio_tests configure count_meson meson_tests reserve_huge_pages kernel_tests

# cmocka tells its cases apart, and sanitizers end the program they complain about.
export CMOCKA_MESSAGE_OUTPUT=TAP
ASAN_OPTIONS=halt_on_error=1:abort_on_error=1
ASAN_OPTIONS+=:detect_stack_use_after_return=1:strict_string_checks=1
export ASAN_OPTIONS
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

# ---- the steps ----

if ! scripts/install-deps.sh; then
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
mkdir -p "$LOGS" || exit 1

step kernel-tests-build scripts/build-kernel-tests.sh "$BUILD/kernel-tests"
step plain meson_tests plain 2 -Dchecks=true
step kernel-tests kernel_tests plain iommufd
step kernel-fail-nth kernel_tests plain iommufd_fail_nth
step kernel-tests-preload kernel_tests plain iommufd --preload
step kernel-fail-nth-preload kernel_tests plain iommufd_fail_nth --preload
step kernel-vfio vfio_tests plain
step qemu tests/qemu/run-qemu-tests.sh "$BUILD/plain" "$BUILD/qemu-work"
[ -z "${UIOMMUFD_LONG:-}" ] ||
	step qemu-linux tests/qemu/run-linux-tests.sh "$BUILD/plain" "$BUILD/qemu-linux-work"
step integrity tests/integrity/run-integrity.sh "$BUILD/plain" "$BUILD/integrity-work" \
	$integrity_seconds
step asan meson_tests asan 4 -Dchecks=true -Db_sanitize=address,undefined -Db_lundef=false
step tsan meson_tests tsan 6 -Db_sanitize=thread -Db_lundef=false
step fuzz scripts/fuzz.sh

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
