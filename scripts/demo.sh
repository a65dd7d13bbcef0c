#!/bin/bash
# SPDX-License-Identifier: MIT
#
# demo.sh BUILD_DIR - a program that knows nothing of us gets a /dev/iommu, another one an NVMe
# disk it finds through sysfs and drives through VFIO, and then the kernel's own self-tests
# run, if they can be had.

set -u
build=$1
here=$(cd "$(dirname "$0")" && pwd)
command=$build/tools/uiommufd

# show COMMAND...: as if it were typed.
show() {
	printf '\n$ %s\n' "$*"
	"$@"
}

show ls -l /dev/iommu
show "$command" run --selftest -v -- "$build/examples/client" || exit 1
show "$command" run -- "$build/examples/nvme_read" || exit 1

# A machine while its program runs, looked at from outside.
printf '\n$ %s\n' "$command run --control $build/demo.sock -- sleep 2 &"
"$command" run --control "$build/demo.sock" -- sleep 2 &
for _ in $(seq 50); do
	[ -S "$build/demo.sock" ] && break
	sleep 0.1
done
show "$command" show devices --socket "$build/demo.sock"
wait

# A tenth of the kernel's tests map huge pages: lent for the time of the run, if we may.
pages=/proc/sys/vm/nr_hugepages
if "$here/build-kernel-tests.sh" "$build/kernel-tests" >/dev/null 2>&1; then
	before=$(cat "$pages")
	[ "$before" -ge 512 ] || echo 512 2>/dev/null >"$pages"
	[ "$(cat "$pages")" -ge 512 ] ||
		printf '\n(no huge pages here: the tests that need them will fail)\n'
	printf '\n$ %s\n' "$command run --selftest -- $build/kernel-tests/iommufd | tail -3"
	"$command" run --selftest -- "$build/kernel-tests/iommufd" 2>/dev/null | tail -3
	[ "$before" -ge 512 ] || echo "$before" 2>/dev/null >"$pages"
fi
exit 0
