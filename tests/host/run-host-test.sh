#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run-host-test.sh WAY COMMAND prog PROGRAM [OPTIONS]   run PROGRAM supervised
# run-host-test.sh WAY COMMAND command PROGRAM          test the command itself
# run-host-test.sh WAY COMMAND machine PROGRAM          test its machines
# run-host-test.sh WAY COMMAND self PROGRAM             run PROGRAM, which supervises itself
#
# WAY: root, user (an ordinary one), no-namespaces.  Exit 77 with a reason where
# that cannot be had here.

set -u
way=$1 command=$2 what=$3 program=$4
shift 4
here=$(cd "$(dirname "$0")" && pwd)

skip() {
	echo "SKIP: $*"
	exit 77
}

# An ordinary user may not see the build directory: give everybody copies.
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cp "$command" "$dir/uiommufd" && cp "$program" "$dir/program" || exit 1
cp "$here"/{command-tests,machine-tests,shell}.sh "$dir/" || exit 1
chmod 755 "$dir"/*

as=()
options=()
case $way in
root)
	[ "$(id -u)" -eq 0 ] || skip "not root"
	;;
user)
	if [ "$(id -u)" -eq 0 ]; then
		command -v setpriv >/dev/null || skip "no setpriv to become an ordinary user"
		chown 65534:65534 "$dir"
		as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	fi
	;;
no-namespaces)
	options=(--no-namespaces --log-level error)
	;;
esac

"${as[@]}" "$dir/uiommufd" run "${options[@]}" -- true 2>"$dir/error" ||
	{ [ $? -eq 125 ] && skip "cannot supervise here: $(cat "$dir/error")"; }

cd "$dir" || exit 1
case $what in
prog)
	"${as[@]}" "$dir/uiommufd" run "${options[@]}" "$@" -- "$dir/program"
	exit
	;;
self)
	[ "$way" = no-namespaces ] && set -- no-namespaces
	"${as[@]}" "$dir/program" "$@"
	exit
	;;
command | machine)
	"${as[@]}" "$dir/$what-tests.sh" "$dir/uiommufd" "$dir/program" "$dir"
	exit
	;;
esac
