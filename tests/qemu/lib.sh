# SPDX-License-Identifier: MIT
#
# What the tests of this folder have in common.  Sourced with the build directory and
# the one to work in as arguments; sets uiommufd, work, source, here.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
root=${XDG_CACHE_HOME:-$HOME/.cache}/uiommufd/qemu-root
suite=${UIOMMUFD_QEMU_SUITE:-trixie}
bdf=0000:01:00.0

if [ $# -ne 2 ]; then
	echo "usage: ${0##*/} BUILD_DIR WORK_DIR" >&2
	exit 2
fi
uiommufd=$(cd "$1" && pwd)/tools/uiommufd
mkdir -p "$2" && work=$(cd "$2" && pwd) || exit 1
if [ "$(uname -m)" != x86_64 ]; then
	echo "SKIP: QEMU's tests are for x86-64"
	exit 77
fi

# Debian's packages of a newer suite than the machine's, each unpacked beside its libraries.
# fetch [--deps] PACKAGE
fetch() { UIOMMUFD_SUITE=$suite "$source/scripts/fetch-sid.sh" "$@" "$root/${*: -1}"; }

# need PACKAGE...: or the test is skipped
need() {
	local package
	for package; do
		fetch --deps "$package" && continue
		echo "SKIP: $package cannot be had (see above)"
		exit 77
	done
}

# in_root PACKAGE PROGRAM ARG...: run by its own loader, with its own libraries
in_root() {
	local top=$root/$1 program=$2
	shift 2
	"$top/usr/lib64/ld-linux-x86-64.so.2" --library-path "$top/usr/lib/x86_64-linux-gnu" \
		"$top/usr/bin/$program" "$@"
}
export -f in_root
export root

# shellcheck disable=SC2034 # for who sources this
qemu_args=(-machine q35,accel=tcg -display none -serial stdio -monitor none -nodefaults
	-net none -no-reboot -sandbox on
	-L "$root/qemu-system-x86/usr/share/qemu" -L "$root/qemu-system-x86/usr/share/seabios")

# check NAME COMMAND...: a case, whose command is `$prepare` and COMMAND
count=0 failed=0
check() {
	local name=$1
	shift
	count=$((count + 1))
	if ($prepare && "$@") >"$work/log" 2>&1; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		sed 's/^/# /' "$work/log" | tail -"${log_lines:-30}"
		failed=$((failed + 1))
	fi
}

finish() {
	echo "1..$count"
	[ $failed -eq 0 ]
}
