#!/bin/bash
# SPDX-License-Identifier: MIT
#
# coverage-names.sh SOURCE_DIR - every file, function and test that docs/coverage.md names exists.
#
# ROOM/THING:NAME must be defined in the test file it stands for, and be run there: its name stands
# twice or more.  :NAME means the file named last.  FILE:FUNCTION and bare files are looked up as
# they are.  Only what stands between backquotes is a reference, and capitals stand for something.

set -u
cd "$1" || exit 1
number=0
failed=0

# test_file ROOM/THING - the file these words stand for
test_file() {
	local room=${1%%/*} thing=${1#*/} file

	for file in "tests/unit/$room/test_$thing.c" "tests/$room/prog_$thing.c" \
		"tests/$room/test_$thing.c"; do
		[ -f "$file" ] && { echo "$file"; return; }
	done
	return 1
}

# has FILE NAME TIMES - does NAME stand in FILE at least so often, as a word, followed by ( , or )?
has() {
	[ "$(grep -o -E "\\b$2[[:space:]]*[(,)]" "$1" | wc -l)" -ge "$3" ]
}

complain() {
	number=$((number + 1))
	failed=1
	echo "not ok $number - $1"
}

seen=0
last=
while read -r reference; do
	case $reference in
	*[A-Z]*) continue ;;
	:*) file=$last name=${reference#:} times=2 ;;
	*/*.[a-z]*:*) file=${reference%:*} name=${reference#*:} times=1 ;;
	*/*:*)
		file=$(test_file "${reference%:*}") || file=${reference%:*}
		last=$file name=${reference#*:} times=2
		;;
	*/*.c | */*.h | */*.sh | */*.md) file=$reference name= times=0 ;;
	*) continue ;;
	esac
	seen=$((seen + 1))
	if [ -z "$file" ] || [ ! -f "$file" ]; then
		complain "$reference: there is no file ${file:-before it}"
	elif [ -n "$name" ] && ! has "$file" "$name" "$times"; then
		complain "$reference: not in $file"
	fi
done < <(grep -o '`[^`]*`' docs/coverage.md | tr -d '`')
if [ "$seen" -lt 100 ]; then
	complain "only $seen references found"
fi
[ "$failed" -ne 0 ] || { number=1; echo "ok 1 - $seen references"; }
echo "1..$number"
exit $failed
