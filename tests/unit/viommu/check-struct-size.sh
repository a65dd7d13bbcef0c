#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check-struct-size.sh INCLUDE - VIOMMU_STRUCT_SIZE() and siblings are a size for a driver's
# struct that begins with the core's, and no program for any other.

set -u
include=$1
number=0
failed=0

# try 0|1 WHAT STRUCT EXPRESSION - does a file with both compile?
try() {
	local verdict=ok
	printf '#include <iommufd/viommu.h>\nstruct drv { %s };\nsize_t size(void);\n%s\n' "$3" \
		"size_t size(void) { static const size_t s = $4; return s; }" |
		${CC:-cc} -std=gnu17 -Wall -Wextra -Werror -I"$include" -fsyntax-only -x c - \
			2>/dev/null
	[ $(($? != 0)) = "$1" ] || { verdict="not ok"; failed=1; }
	number=$((number + 1))
	echo "$verdict $number - $2"
}

while read -r kind macro; do
	try 0 "$macro of a struct that begins with it" \
		"struct $kind core; u64 more;" "$macro(struct drv, core)"
	try 0 "$macro of nothing but it" "struct $kind core;" "$macro(struct drv, core)"
	try 1 "$macro where something stands before it" \
		"u64 before; struct $kind core;" "$macro(struct drv, core)"
	try 1 "$macro of another type" "struct iommufd_object core; char room[200];" \
		"$macro(struct drv, core)"
	try 1 "$macro of a pointer to it" "struct $kind *core;" "$macro(struct drv, core)"
done <<'END'
iommufd_viommu VIOMMU_STRUCT_SIZE
iommufd_vdevice VDEVICE_STRUCT_SIZE
iommufd_hw_queue HW_QUEUE_STRUCT_SIZE
END
echo "1..$number"
exit $failed
