#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run-vfio-tests.sh BUILD TESTS [NAME...] - the kernel's VFIO tests, unmodified, on us.
#
# BUILD is a build directory with the command, TESTS where build-kernel-tests.sh left
# the programs, NAME one of the names in the table below; without any: all.
# Prints TAP, one line for each case of each test.  A case that skips
# itself fails here, unless it wants huge pages that this machine does not have: on a
# machine of ours nothing else is missing.
#
# Exit: 0 all passed, 1 not, 77 nothing to run.

set -u
[ $# -ge 2 ] || { echo "usage: run-vfio-tests.sh BUILD TESTS [NAME...]" >&2; exit 2; }
command=$(cd "$1" && pwd)/tools/uiommufd
tests=$2/vfio
shift 2
[ -d "$tests" ] || { echo "SKIP: no kernel tests in $tests"; exit 77; }

dsa=0000:01:00.0 nvme=0000:02:00.0
# name, program, devices it is given, the fewest cases that must pass
table="setup     vfio_iommufd_setup_test         $dsa       6
device           vfio_pci_device_test            $nvme      5
dma-mapping      vfio_dma_mapping_test           $dsa       30
dma-mapping-mmio vfio_dma_mapping_mmio_test      $dsa       15
init-perf        vfio_pci_device_init_perf_test  $dsa,$nvme 5
sriov            vfio_pci_sriov_uapi_test        $nvme      45
driver           vfio_pci_driver_test            $dsa       35"

# The storm fills every batch of the DSA, and the test gives itself a minute for it: with the
# usual batches of 1024 that is 64 GiB, which a busy machine may not move in time.
max_batch=7
[ -z "${UIOMMUFD_LONG:-}" ] || max_batch=10

log=$(mktemp)
trap 'rm -f "$log"' EXIT
number=0 failed=0

# One program: its cases, numbered on, under the name of the test.
run_one() {
	local name=$1 program=$2 least=$4 devices status before=$number passed=0 line
	IFS=, read -ra devices <<<"$3"

	timeout "${KERNEL_TESTS_TIMEOUT:-900}" "$command" run --log-level info \
		--device "dsa,addr=$dsa,max-batch=$max_batch" --device "nvme,addr=$nvme,vfs=2" -- \
		"$tests/$program" "${devices[@]}" >"$log" 2>&1
	status=$?
	while read -r line; do
		number=$((number + 1))
		case $line in
		"ok "*hugetlb*"# SKIP mmap() failed: Cannot allocate memory"*)
			passed=$((passed + 1))
			echo "ok $number $name: ${line#ok * }"
			;;
		"ok "*"# SKIP"*) echo "not ok $number $name: skipped: ${line#ok * }" ;;
		"ok "*)
			passed=$((passed + 1))
			echo "ok $number $name: ${line#ok * }"
			;;
		*) echo "not ok $number $name: ${line#not ok * }" ;;
		esac
	done < <(grep -E '^(not )?ok ' "$log")
	[ $status -eq 0 ] && [ $passed -ge "$least" ] && [ $passed -eq $((number - before)) ] &&
		return
	number=$((number + 1))
	echo "not ok $number $name: $passed of at least $least cases passed, exit status $status"
	sed 's/^/# /' "$log" | tail -60
	failed=1
}

while read -r name program devices least; do
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	run_one "$name" "$program" "$devices" "$least"
done <<<"$table"
echo "1..$number"
exit $failed
