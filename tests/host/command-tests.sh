#!/bin/bash
# SPDX-License-Identifier: MIT
#
# command-tests.sh UIOMMUFD PROGRAM DIR - what `uiommufd run` is to its parent:
# status, signals, stopping, descendants, the trace, and errors of usage.

set -u
uiommufd=$1 program=$2 dir=$3
# shellcheck source=tests/host/shell.sh
. "$(dirname "$0")/shell.sh"

state() {
	awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null
}

status 0 "success is passed on" "$uiommufd" run true
status 7 "the status is the program's" "$uiommufd" run -- sh -c 'exit 7'
status 143 "a program that dies of SIGTERM takes the command with it" \
	"$uiommufd" run -- sh -c 'kill -TERM $$'
status 137 "and of SIGKILL" "$uiommufd" run -- sh -c 'kill -KILL $$'
status 127 "a program that is not there is 127" "$uiommufd" run -- /nonexistent/program
grep -q '/nonexistent/program: No such file' "$dir/err"
say $? "and is named"
status 126 "a file that cannot be executed is 126" "$uiommufd" run -- /etc/passwd
status 125 "a supervisor in a supervisor is 125" \
	"$uiommufd" run -- "$uiommufd" run true
grep -q 'already under a seccomp supervisor' "$dir/err"
say $? "and says why"

status 2 "an unknown option is misuse" "$uiommufd" run --nonsense true
grep -q -- '--nonsense' "$dir/err" && [ "$(wc -l <"$dir/err")" -eq 1 ]
say $? "told in one line that names it"
status 2 "an unknown value too" "$uiommufd" run --frames sideways true
status 2 "and no program" "$uiommufd" run --selftest
status 2 "and an unknown noun" "$uiommufd" flee
status 0 "help is given" "$uiommufd" help
status 0 "for a noun" "$uiommufd" run help
grep -q '^Usage: uiommufd run' "$dir/out"
say $? "on standard output"
status 0 "the version too" "$uiommufd" version

[ "$(echo in | "$uiommufd" run -- sh -c 'cat; echo err >&2' 2>"$dir/err")" = in ] &&
	[ "$(cat "$dir/err")" = err ]
say $? "standard input, output and error are the program's"
[ "$("$uiommufd" run -- sh -c 'id -u')" = "$(id -u)" ]
say $? "the program keeps its user id"
[ "$("$uiommufd" run -- sh -c 'ls /dev/iommu /dev/vfio/vfio /dev/null | wc -l')" -eq 3 ]
say $? "it finds our nodes beside the host's"
if [ -w /sys/kernel/debug ] || [ "$(id -u)" -ne 0 ]; then
	status 0 "with --selftest the knobs of fault injection are there" \
		"$uiommufd" run --selftest -- \
		sh -c 'echo N >/sys/kernel/debug/failslab/ignore-gfp-wait'
fi

# Whatever the caller has made of its children.
if env --ignore-signal=CHLD true 2>"$dir/err"; then
	status 7 "a caller may ignore SIGCHLD" \
		env --ignore-signal=CHLD "$uiommufd" run -- sh -c 'exit 7'
	status 0 "and the program has that from it" \
		env --ignore-signal=CHLD "$uiommufd" run -- \
		grep -q '^SigIgn:.*[13579bdf]....$' /proc/self/status
fi
rm -f "$dir/pid" "$dir/go"
status 6 "a child its caller has left it is none of its business" sh -c "
	( while [ ! -e $dir/go ]; do sleep 0.02; done; exit 3 ) &
	echo \$! >$dir/pid
	exec $uiommufd run -- sh -c 'touch $dir/go
		until grep -q \"^State:.*Z\" /proc/\$(cat $dir/pid)/status; do sleep 0.02; done
		exit 6'"

# Each of them a process and some descriptors of ours.
(
	ulimit -n 200
	status 0 "processes come and go without end where descriptors are few" \
		"$uiommufd" run -- sh -c "i=0
			while [ \$i -lt 150 ]; do $program || exit 1; i=\$((i + 1)); done"
	exit $failed
) || failed=1

# Signals sent to the command reach the program.  (SIGINT is ignored in what a script starts
# in the background, and so would be by the program.)
for sig in TERM HUP USR1; do
	rm -f "$dir/ready" "$dir/got"
	"$uiommufd" run -- bash -c "
		trap 'echo $sig >$dir/got; exit 9' $sig
		touch $dir/ready
		while :; do sleep 0.02; done" &
	pid=$!
	wait_for "[ -e $dir/ready ]"
	kill -$sig $pid
	wait $pid
	[ $? -eq 9 ] && [ "$(cat "$dir/got")" = $sig ]
	say $? "SIG$sig reaches the program"
done

# Stopping.
rm -f "$dir/pid"
"$uiommufd" run -- bash -c "echo \$\$ >$dir/pid; while :; do sleep 0.02; done" &
pid=$!
wait_for "[ -s $dir/pid ]"
inner=$(cat "$dir/pid")
# (SIGTSTP stops nothing in an orphaned process group, which a test may be.)
kill -STOP "$inner"
wait_for "[ \"\$(state $inner)\" = T ] && [ \"\$(state $pid)\" = T ]"
say $? "it stops with the program"
kill -CONT $pid
wait_for "[ \"\$(state $inner)\" != T ] && [ \"\$(state $pid)\" != T ]"
say $? "and goes on with it"
kill -KILL $pid
wait $pid 2>/dev/null
wait_for "[ ! -e /proc/$inner/stat ] || [ \"\$(state $inner)\" = Z ]"
say $? "who kills the command kills the program"

# A supervisor that is killed.
said=$("$uiommufd" run -- sh -c 'kill -KILL $PPID; :' 2>&1)
[ $? -eq 125 ] && grep -q '^uiommufd: the supervisor died: Killed$' <<<"$said"
say $? "of a supervisor that is killed the command says how it died"

# Descendants that outlive the program are served.
rm -f "$dir/late"
"$uiommufd" run -- bash -c "
	( while [ ! -e $dir/gone ]; do sleep 0.02; done
	  $program 2>$dir/late-err; echo \$? >$dir/late ) >/dev/null 2>&1 &
	exit 4"
[ $? -eq 4 ]
say $? "the status comes with the program's end, not its descendants'"
touch "$dir/gone"
wait_for "[ -s $dir/late ]" && [ "$(cat "$dir/late")" -eq 0 ]
say $? "a descendant left behind is served to its end"

# The trace.
"$uiommufd" run -v -- "$program" 2>"$dir/trace"
grep -q '"/dev/iommu", O_RDWR) = [0-9]* <' "$dir/trace"
say $? "-v shows an open"
grep -q 'ioctl([0-9]*, IOMMU_IOAS_ALLOC, {size=12, flags=0, out_ioas_id=0 => 1}) = 0 <' "$dir/trace"
say $? "and an ioctl with every field"
grep -q -- '--- /dev/iommu: last descriptor closed ---' "$dir/trace"
say $? "and the last close"

exit $failed
