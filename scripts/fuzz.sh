#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fuzz.sh [-t SECONDS] [TARGET...] - run the fuzz targets, each for a while, from
# its committed corpus.  What they find worth keeping goes to build/fuzz/corpus,
# a crash to build/fuzz/crashes; to keep an input for good, copy it to
# fuzz/corpus/TARGET, from where every build replays it.
#
# fuzz.sh --seeds - make the committed corpora again (after the table of calls
# has changed its order; found inputs in them are not touched).
#
# Who gives no time gets the same inputs each time, as far as ten seconds go; with -t, or
# UIOMMUFD_LONG, others.
#
# Ends with 77 if there is no clang with libFuzzer.  Prints TAP.

set -u
cd "$(dirname "$0")/.." || exit 1
source=$PWD
build=$source/build/fuzz
seconds=10
seed=1
targets=()
seeds=

while [ $# -gt 0 ]; do
	case $1 in
	-t)
		seconds=$2 seed=0
		shift
		;;
	--seeds) seeds=1 ;;
	-*)
		echo "usage: fuzz.sh [-t SECONDS] [TARGET...] | --seeds" >&2
		exit 2
		;;
	*) targets+=("$1") ;;
	esac
	shift
done
[ ${#targets[@]} -gt 0 ] ||
	targets=(ioctl raw fd mmap dirty vfio nvme dsa pci machine control mmio_decode)
[ -z "${UIOMMUFD_LONG:-}" ] || seconds=$((seconds * 60)) seed=0

# configure OPTION...: in $build
configure() {
	if [ -f "$build/build.ninja" ]; then
		meson configure "$build" "$@"
	else
		meson setup "$build" "$source" "$@"
	fi
}

make_seeds() {
	local target
	build=$source/build/seeds
	configure -Dchecks=true >/dev/null || return 1
	for target in "${targets[@]}"; do
		# These are text, written by hand, or bytes whose meaning stays.
		[[ ! $target =~ ^(machine|control|dsa|pci|mmio_decode)$ ]] || continue
		mkdir -p "fuzz/corpus/$target"
		if [ "$target" = raw ]; then
			ninja -C "$build" fuzz/raw_seeds >/dev/null || return 1
			rm -f "fuzz/corpus/$target"/row-*
			"$build/fuzz/raw_seeds" "fuzz/corpus/$target" || return 1
		else
			ninja -C "$build" "fuzz/seeds_$target" >/dev/null || return 1
			rm -f "fuzz/corpus/$target"/seed-*
			"$build/fuzz/seeds_$target" "fuzz/corpus/$target" 400 256 || return 1
		fi
	done
}

if [ -n "$seeds" ]; then
	make_seeds
	exit
fi

probe=$(mktemp)
trap 'rm -f "$probe"' EXIT
if ! echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return !d && n; }' |
	clang -fsanitize=fuzzer,address,undefined -x c - -o "$probe" 2>/dev/null; then
	echo "no clang with libFuzzer"
	exit 77
fi

mkdir -p "$source/build" || exit 1
export CC=clang
configure -Dfuzz=true -Dchecks=true -Db_sanitize=address,undefined -Db_lundef=false \
	>"$source/build/fuzz-setup.log" 2>&1 || {
	cat "$source/build/fuzz-setup.log"
	exit 1
}
ninja -C "$build" -j "${JOBS:-$(nproc)}" "${targets[@]/#/fuzz/fuzz_}" || exit 1

# Not what check.sh sets for gcc's: libFuzzer ends by itself, and leaks are to be found.
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

failed=0 number=0
echo "1..${#targets[@]}"
for target in "${targets[@]}"; do
	number=$((number + 1))
	corpus=$build/corpus/$target
	crashes=$build/crashes/$target-
	log=$build/$target.log
	mkdir -p "$corpus" "$build/crashes"
	options=(-max_total_time="$seconds" -max_len=1024 -timeout=100 -rss_limit_mb=2048
		-artifact_prefix="$crashes" -print_final_stats=1 -seed=$seed)
	[ ! -f "fuzz/$target.dict" ] || options+=(-dict="fuzz/$target.dict")
	if "$build/fuzz/fuzz_$target" "${options[@]}" "$corpus" "fuzz/corpus/$target" \
		>"$log" 2>&1; then
		inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
		echo "ok $number - fuzz_$target: $inputs inputs"
	else
		failed=1
		tail -60 "$log"
		echo "not ok $number - fuzz_$target: see $log"
	fi
done
exit $failed
