#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-trace.sh LAUNCHER PROGRAM - with "trace" each ioctl of PROGRAM is told
# with its fields, without it there is not a word.

set -eu
out=$(mktemp)
trap 'rm -f "$out"' EXIT

"$1" selftest -- "$2" >/dev/null 2>"$out"
if grep -q 'ioctl(' "$out"; then
	echo "a line without having been asked:"
	cat "$out"
	exit 1
fi
"$1" selftest trace -- "$2" >/dev/null 2>"$out"
number='[0-9][0-9]*'
for line in \
	"ioctl($number, IOMMU_IOAS_ALLOC, {size=12, flags=0, out_ioas_id=0 => 1}) = 0 <" \
	"ioctl($number, IOMMU_IOAS_MAP, {.*length=0x2000, iova=0x10000}) = 0 <" \
	"ioctl($number, IOMMU_IOAS_ALLOC, 0x8) = -1 EFAULT <"
do
	if ! grep -q "^\[tid $number\] $line" "$out"; then
		echo "no such line: $line"
		cat "$out"
		exit 1
	fi
done
