#!/bin/bash
# SPDX-License-Identifier: MIT
#
# chroot-test.sh UIOMMUFD PROGRAM - PROGRAM, a static one, supervised below a root
# directory that is no mount point, as chroot() makes one: no /dev of its own can be
# made there, and its path calls are answered.  Then below one that it makes itself,
# with the /dev and /proc it was given.  Exit 77 with a reason where that cannot be had.

set -u
uiommufd=$1 program=$2

skip() {
	echo "SKIP: $*"
	exit 77
}

# All that is made is in a file system that goes with the mount namespace: nothing is deleted.
if [ "${WHERE:-}" = "" ]; then
	[ "$(id -u)" -eq 0 ] || skip "not root"
	WHERE=$(mktemp -d) || exit 1
	export WHERE
	trap 'rmdir "$WHERE"' EXIT
	unshare -m --propagation private "$0" "$@"
	exit
fi

mount -t tmpfs tmpfs "$WHERE" || skip "cannot mount"
root=$WHERE/root
mkdir "$root" || exit 1
for folder in usr lib lib64 bin proc sys dev; do
	[ -d "/$folder" ] || continue
	mkdir "$root/$folder" && mount --rbind "/$folder" "$root/$folder" ||
		skip "cannot bind /$folder"
done
mkdir "$root/tmp" && cp "$uiommufd" "$root/uiommufd" && cp "$program" "$root/program" || exit 1

# Mounts of this namespace, which nobody else makes any in, and our names; in /dev itself others
# may come and go.
machine() {
	cat /proc/self/mountinfo
	ls -d /dev/iommu /dev/vfio/* /dev/vfio/devices/* 2>&1
}

before=$(machine)
chroot "$root" /uiommufd run --log-level error -- /program
status=$?
[ "$(machine)" = "$before" ] || {
	echo "the machine's /dev has changed"
	status=1
}

# Where we are below one already it has no /dev of its own to take along.
"$uiommufd" run --log-level error -- ls /dev | grep -qx iommu || exit $status
mkdir -p "$root/inner/dev" "$root/inner/proc" "$root/inner/tmp"
cp "$program" "$root/inner/program" || exit 1
"$uiommufd" run --log-level error -- sh -c "
	mount --rbind /dev '$root/inner/dev' && mount --rbind /proc '$root/inner/proc' &&
		exec chroot '$root/inner' /program" || {
	echo "not below a root of the program's own"
	status=1
}
exit $status
