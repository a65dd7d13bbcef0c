#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check-exports.sh SOURCE_DIR LIBRARY - the shared library exports what the public
# headers mark IOMMUFD_EXPORT, and nothing else.

set -u -o pipefail
export LC_ALL=C
include=$1/include library=$2
tables=$(mktemp -d)
trap 'rm -rf "$tables"' EXIT

# The preprocessor leaves each declaration between the mark and a semicolon; the
# function's name is the word before its first parenthesis.
declared() {
	find "$include/iommufd" -name '*.h' | sed 's/.*/#include "&"/' |
		${CC:-gcc} -E -P -I"$include" '-D__attribute__(x)=' -x c - | tr -s ' \n' '  ' |
		grep -o 'extern_mark [^;({]*(' | sed 's/ *($//; s/.*[ *]//'
}

# The mark itself is an attribute, so it is renamed before anyone defines it away.
marked_copy() {
	cp -r "$include" "$tables/include"
	find "$tables/include" -name '*.h' -exec \
		sed -i '/#define IOMMUFD_EXPORT/!s/\bIOMMUFD_EXPORT\b/extern_mark/' {} +
	include=$tables/include
}

marked_copy
declared | sort -u >"$tables/declared" || exit 1
nm -D --defined-only "$library" | awk '$2 ~ /[TDRBVWi]/ && $3 !~ /^LIBIOMMUFD/ { print $3 }' |
	sed 's/@.*//' | sort -u >"$tables/exported" || exit 1

verdict() {
	if [ -s "$tables/$1" ]; then
		sed 's/^/# /' "$tables/$1"
		echo "not ok $2"
		failed=1
	else
		echo "ok $2"
	fi
}
failed=0
comm -23 "$tables/declared" "$tables/exported" >"$tables/missing"
comm -13 "$tables/declared" "$tables/exported" >"$tables/surplus"
[ -s "$tables/declared" ] || echo "no declarations found" >"$tables/missing"
verdict missing "1 - $(wc -l <"$tables/declared") functions of the headers are exported"
verdict surplus "2 - nothing else is exported"
echo "1..2"
exit $failed
