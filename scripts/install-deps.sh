#!/bin/bash
# SPDX-License-Identifier: MIT
#
# install-deps.sh - everything a build and its tests need, on Debian 12 or later.
# Says nothing and touches no list when it is all there.

set -u

packages=(
	# the build
	gcc g++ libc6-dev make meson ninja-build pkg-config python3
	liburcu-dev libseccomp-dev libjson-c-dev libyaml-dev systemtap-sdt-dev
	# its tests
	libcmocka-dev procps spin e2fsprogs
	# the fuzzers
	clang libclang-rt-dev
	# the kernel's own tests, and what fetches them
	libcap-dev uuid-dev xz-utils debian-archive-keyring git
)

missing=()
for package in "${packages[@]}"; do
	case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) in
	ii*) ;;
	*) missing+=("$package") ;;
	esac
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
	echo "install-deps: no apt-get here; please install what corresponds to: ${missing[*]}" >&2
	exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
	if ! sudo -n true 2>/dev/null; then
		echo "install-deps: not root and no sudo; please install: ${missing[*]}" >&2
		exit 1
	fi
	as_root=(sudo -n)
fi

echo "install-deps: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt_install() {
	"${as_root[@]}" apt-get -qq update >"$log" 2>&1 &&
		"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
			--no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 \
			install "${missing[@]}" >>"$log" 2>&1
}

# A machine that has just come up may be updating its own lists, or have no network yet.
for pause in 0 5 20; do
	sleep $pause
	apt_install && exit 0
done
tail -20 "$log" >&2
echo "install-deps: apt-get failed; still missing: ${missing[*]}" >&2
exit 1
