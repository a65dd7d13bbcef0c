#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check-headers.sh SOURCE_DIR - each public header compiles alone, in C and C++,
# without a warning and whatever the feature macros are.

set -u
include=$1/include
number=0
failed=0

# compiles HEADER COMPILER OPTION...
compiles() {
	local header=$1 log verdict=ok
	shift
	if ! log=$(echo "#include <$header>" |
		"$@" -Wall -Werror -I"$include" -fsyntax-only - 2>&1); then
		verdict="not ok"
		failed=1
		sed 's/^/# /' <<<"$log"
	fi
	number=$((number + 1))
	echo "$verdict $number - $header with $1 ${*: -1}"
}

while read -r header; do
	compiles "$header" "${CC:-gcc}" -x c -Wextra -std=gnu17
	compiles "$header" "${CC:-gcc}" -x c -Wextra -std=c11
	compiles "$header" "${CXX:-g++}" -x c++ -std=c++17
done < <(cd "$include" && find . -name '*.h' | sed 's|^\./||' | LC_ALL=C sort)
echo "1..$number"
[ "$number" -gt 0 ] || exit 1
exit $failed
