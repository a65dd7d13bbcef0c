#!/bin/bash
# SPDX-License-Identifier: MIT
#
# demo.sh BUILD_DIR - a program that knows nothing of us gets a /dev/iommu, and
# then the kernel's own self-tests do, if they can be had.

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

if "$here/build-kernel-tests.sh" "$build/kernel-tests" >/dev/null 2>&1; then
	printf '\n$ %s\n' "$command run --selftest -- $build/kernel-tests/iommufd | tail -3"
	"$command" run --selftest -- "$build/kernel-tests/iommufd" | tail -3
fi
exit 0
