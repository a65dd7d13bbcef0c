#!/bin/bash
# SPDX-License-Identifier: MIT
#
# build-kernel-tests.sh OUTDIR - the kernel's own iommufd and VFIO tests as
# programs, unmodified, built against the headers that belong to them.
#
# OUTDIR then holds iommufd, iommufd_fail_nth and, on x86-64, vfio/*_test.
# Nothing is built anew while its source and this script are the same.
#
# Exit: 0 built, 1 does not compile, 2 misused, 77 the source cannot be had.

set -u
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/uiommufd
cc=${CC:-gcc}

if [ $# -ne 1 ]; then
	echo "usage: build-kernel-tests.sh OUTDIR" >&2
	exit 2
fi
mkdir -p "$1" || exit 1
out=$(cd "$1" && pwd)
tree=$cache/kernel-tests

if ! "$here/fetch-kernel-tests.sh" "$tree"; then
	echo "SKIP: THE KERNEL'S OWN TESTS ARE NOT RUN: their source cannot be had (see above)"
	exit 77
fi

stamp=$(cat "$tree/.from" "$0" && $cc --version)
[ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ] && exit 0
rm -f "$out/.stamp"

cd "$tree" || exit 1
flags=(-O2 -w -D_GNU_SOURCE -isystem hdr -isystem "hdr/$($cc -print-multiarch)"
	-Itools/testing/selftests -Itools/include)
for name in iommufd iommufd_fail_nth; do
	$cc "${flags[@]}" "tools/testing/selftests/iommu/$name.c" -o "$out/$name" -lcap || exit 1
done

# The drivers in VFIO's test library touch device registers the x86 way.  One
# assertion macro of it is used but nowhere defined in this release.
if [ "$(uname -m)" = x86_64 ]; then
	vfio=tools/testing/selftests/vfio
	mkdir -p "$out/vfio"
	flags+=(-Dcalloc_assert=calloc "-I$vfio/lib/include" -Itools/arch/x86/include)
	flags+=(-Dcalloc_assert=calloc "-I$vfio/lib/include" -Itools/arch/x86/include)
	flags+=(-Dcalloc_assert=calloc "-I$vfio/lib/include" -Itools/arch/x86/include)
	for source in "$vfio"/lib/*.c "$vfio"/lib/drivers/*/*.c; do
		$cc "${flags[@]}" -c "$source" -o "$out/vfio/$(basename "$source" .c).o" || exit 1
	done
	for source in "$vfio"/*_test.c; do
		$cc "${flags[@]}" "$source" "$out"/vfio/*.o -lpthread -luuid \
			-o "$out/vfio/$(basename "$source" .c)" || exit 1
	done
	rm -f "$out"/vfio/*.o
fi
printf '%s' "$stamp" >"$out/.stamp"
