#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fetch-kernel-tests.sh DESTDIR - the kernel's own self-tests of iommufd and VFIO.
#
# They are GPL and large, so they are not part of this project; they are cut out
# of the kernel's source package where the machine can reach one, else taken
# from an archive linux-7.2*-tests.tar.xz in the folder $UIOMMUFD_KERNEL_TESTS.
#
# DESTDIR then has what the tests' includes expect to find: tools/, drivers/ as
# in the kernel's tree and the matching user API headers in hdr/.  DESTDIR/.from
# says where it came from; once there it stays.
#
# Exit: 0 done, 2 misused, 77 cannot be had (the last line says why).

set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/uiommufd
series=7.2

say() { echo "fetch-kernel-tests: $*" >&2; }

# The wanted hundredth of the source package's tarball $1, into $2.  Some of
# tools/include are links into include/.
cut_source() {
	local source=$1 top=linux-source-$series

	tar -xJf "$source/usr/src/$top.tar.xz" -C "$2" --strip-components=1 --wildcards \
		"$top/COPYING" \
		"$top/tools/testing/selftests/kselftest*.h" \
		"$top/tools/testing/selftests/iommu" \
		"$top/tools/testing/selftests/vfio" \
		"$top/tools/include" \
		"$top/include/linux/pci_ids.h" \
		"$top/tools/arch/x86/include" \
		"$top/drivers/iommu/iommufd/iommufd_test.h" \
		"$top/drivers/dma/ioat/*.h" \
		"$top/drivers/dma/idxd/registers.h"
}

from_package() {
	local new=$1 source=$cache/linux-source-$series headers=$cache/linux-libc-dev version

	"$here/fetch-sid.sh" linux-libc-dev "$headers" || return 1
	version=$(cut -d' ' -f2 "$headers/.package")
	case $version in
	$series.*) ;;
	*)
		say "the archive has moved on to Linux $version"
		return 1
		;;
	esac
	say "fetching linux-source-$series, some 160 MB, once"
	"$here/fetch-sid.sh" "linux-source-$series" "$source" || return 1
	cut_source "$source" "$new" && cp -rL "$headers/usr/include" "$new/hdr" || return 1
	paste -sd' ' "$source/.package" "$headers/.package" >"$new/.from"
	rm -rf "$source"
}

from_archive() {
	local new=$1 archive

	[ -n "${UIOMMUFD_KERNEL_TESTS:-}" ] || return 1
	for archive in "$UIOMMUFD_KERNEL_TESTS"/linux-$series*-tests.tar.xz; do
		[ -f "$archive" ] || continue
		tar -xJf "$archive" -C "$new" --strip-components=1 || return 1
		basename "$archive" >"$new/.from"
		return 0
	done
	say "no linux-$series*-tests.tar.xz in $UIOMMUFD_KERNEL_TESTS"
	return 1
}

if [ $# -ne 1 ]; then
	echo "usage: fetch-kernel-tests.sh DESTDIR" >&2
	exit 2
fi
dest=$1
[ -f "$dest/.from" ] && exit 0
if ! mkdir -p "$cache" "$(dirname "$dest")"; then
	say "cannot write $cache or $dest"
	exit 77
fi
exec 8>"$cache/kernel-tests.lock"
flock 8
[ -f "$dest/.from" ] && exit 0

new=$dest.new.$$
trap 'rm -rf "$new"' EXIT
for way in from_package from_archive; do
	rm -rf "$new" && mkdir -p "$new" || exit 77
	if $way "$new"; then
		rm -rf "$dest"
		mv "$new" "$dest"
		exit 0
	fi
done
say "the self-tests of Linux $series cannot be had; set UIOMMUFD_KERNEL_TESTS to a folder with them"
exit 77
