# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
#
# What the shell tests here share.  $dir is a directory for what commands say; the test
# exits with $failed.

failed=0

# say STATUS SENTENCE
say() {
	if [ "$1" -eq 0 ]; then
		echo "ok - $2"
	else
		echo "not ok - $2"
		failed=1
	fi
}

# status WANTED SENTENCE COMMAND...
status() {
	local wanted=$1 sentence=$2 got
	shift 2
	"$@" >"$dir/out" 2>"$dir/err"
	got=$?
	[ "$got" -eq "$wanted" ] || { echo "# status $got, not $wanted"; sed 's/^/# /' "$dir/err"; }
	[ "$got" -eq "$wanted" ]
	say $? "$sentence"
}

# wait_for CONDITION: until it holds; a minute and more is for what never comes
wait_for() {
	for _ in $(seq 3000); do
		eval "$1" && return 0
		sleep 0.02
	done
	return 1
}
