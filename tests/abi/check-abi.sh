#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check-abi.sh SOURCE_DIR WORK_DIR - our user API headers against the kernel's.
#
# For each header names.py lists what ours defines, table.c states it twice, as
# ours and as the kernel's header have it, and compare.c compares.  The names
# themselves are compared too, so neither header has what the other lacks.
#
# The kernel's headers come from its unstable Debian package, or lie beside its
# self-tests; when neither can be had the test is skipped (77).

set -u -o pipefail
export LC_ALL=C
source=$1 work=$2
cache=${XDG_CACHE_HOME:-$HOME/.cache}/uiommufd
abi=$source/tests/abi
cc=${CC:-gcc}
number=0
failed=0

mkdir -p "$work" || exit 1

# Prints the folder with linux/ of the kernel's headers.
find_kernel_headers() {
	if "$source/scripts/fetch-sid.sh" linux-libc-dev "$cache/linux-libc-dev"; then
		echo "$cache/linux-libc-dev/usr/include"
	elif "$source/scripts/fetch-kernel-tests.sh" "$cache/kernel-tests"; then
		echo "$cache/kernel-tests/hdr"
	else
		return 1
	fi
}

result() {
	number=$((number + 1))
	echo "$1 $number - $2"
	[ "$1" = ok ] || failed=1
}

# names_compare HEADER: what one lists and the other does not.
names_compare() {
	local header=$1 fact verdict=ok

	while read -r fact; do
		if grep -q "^${fact##* }[[:space:]]" "$abi/newer.list"; then
			echo "# not ours on purpose: $fact"
		elif [ -n "$newer" ]; then
			echo "# of a newer kernel: $fact"
		else
			echo "# missing in ours: $fact"
			verdict="not ok"
		fi
	done < <(comm -13 "$work/$header.ours" "$work/$header.kernel")
	while read -r fact; do
		echo "# unknown to the kernel: $fact"
		verdict="not ok"
	done < <(comm -23 "$work/$header.ours" "$work/$header.kernel")
	result "$verdict" "$header: $(wc -l <"$work/$header.ours") names, all of the kernel's"
}

# compile OBJECT TABLE HEADER INCLUDE...: one table.
compile() {
	local object=$1 table=$2 header=$3
	shift 3
	# "linux" is a macro of old, and would be one in the header's name.
	$cc -std=gnu17 -Ulinux -w -I"$work/inc-$name" -I"$abi" "$@" -DFACTS_HEADER="<$header>" \
		-DFACTS_TABLE="$table" -c "$abi/table.c" -o "$object" 2>"$work/log" && return
	sed 's/^/# /' "$work/log"
	return 1
}

# check HEADER OURS KERNELS_FILE KERNELS_INCLUDE: all tests of one header.
check() {
	local header=$1 ours=$2 file=$3 theirs=$4 name=${1%.h}

	if ! python3 "$abi/names.py" "$source/include/$ours" | sort -u >"$work/$header.ours" ||
		! python3 "$abi/names.py" "$file" | sort -u >"$work/$header.kernel"; then
		result "not ok" "$header: both headers can be read"
		return
	fi
	names_compare "$header"
	mkdir -p "$work/inc-$name"
	# Names the kernel lacks have failed above and would not compile.
	comm -12 "$work/$header.ours" "$work/$header.kernel" |
		sed -E 's/^(\w+) (\S+)( (\S+))?$/FACT_\1(\2, \4)/; s/, \)$/)/' \
			>"$work/inc-$name/facts.inc"
	if compile "$work/$name-ours.o" facts_ours "$ours" -I"$source/include" &&
		compile "$work/$name-kernel.o" facts_kernel "$theirs" "${kernel_include[@]}" &&
		$cc -std=gnu17 -Wall "$abi/compare.c" "$work/$name-ours.o" "$work/$name-kernel.o" \
			-o "$work/$name-compare"; then
		"$work/$name-compare" "$header" $((number + 1)) $newer || failed=1
		number=$((number + 3))
	else
		result "not ok" "$header: both tables compile"
	fi
}

if ! headers=$(find_kernel_headers); then
	echo "1..0 # SKIP the kernel's headers cannot be had (reasons above)"
	exit 77
fi
kernel_include=(-isystem "$headers" -isystem "$headers/$($cc -print-multiarch)")
version=$(printf '#include <linux/version.h>\nLINUX_VERSION_MAJOR LINUX_VERSION_PATCHLEVEL\n' |
	$cc -E -P "${kernel_include[@]}" - | tail -1)
read -r major minor <<<"$version"
newer=
[ $((major * 1000 + minor)) -gt 7002 ] && newer=newer
if [ $((major * 1000 + minor)) -lt 7002 ]; then
	echo "1..0 # SKIP the kernel's headers are of $major.$minor, older than ours"
	exit 77
fi

echo "# the kernel's headers: Linux $major.$minor"
check iommufd.h iommufd/uapi/iommufd.h "$headers/linux/iommufd.h" linux/iommufd.h
check vfio.h iommufd/uapi/vfio.h "$headers/linux/vfio.h" linux/vfio.h

# The self-test's header is not among the installed ones.
if "$source/scripts/fetch-kernel-tests.sh" "$cache/kernel-tests"; then
	newer=
	kernel_include=(-isystem "$cache/kernel-tests/hdr"
		-isystem "$cache/kernel-tests/hdr/$($cc -print-multiarch)"
		-I "$cache/kernel-tests")
	check iommufd_test.h iommufd/uapi/iommufd_test.h \
		"$cache/kernel-tests/drivers/iommu/iommufd/iommufd_test.h" \
		drivers/iommu/iommufd/iommufd_test.h
else
	number=$((number + 1))
	echo "ok $number - iommufd_test.h # SKIP the kernel's self-tests cannot be had"
fi
echo "1..$number"
exit $failed
