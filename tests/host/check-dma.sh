#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check-dma.sh UIOMMUFD NVME_READ - with --check-dma the mapping that the program leaves
# behind is told, with who made it; without it there is not a word.

set -u
uiommufd=$1 program=$2
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

fail() {
	echo "$*"
	cat "$out"
	exit 1
}

"$uiommufd" run -- true 2>"$out" || { [ $? -eq 125 ] && echo "SKIP: $(cat "$out")" && exit 77; }
"$uiommufd" run -- "$program" >"$out" 2>&1 || fail "the program failed"
grep -q "DMA check" "$out" && fail "a report without having been asked:"
"$uiommufd" run --check-dma -- "$program" >"$out" 2>&1 || fail "the program failed, watched"
[ "$(grep -c "DMA check" "$out")" = 1 ] || fail "not one report:"
grep -q "DMA check: left mapped .*: area 0x[0-9a-f]*-0x[0-9a-f]*, mapped by pid [0-9]* at" "$out" ||
	fail "not of the area that is left:"
"$uiommufd" run --check-dma --preload -- true 2>"$out"
[ $? -eq 2 ] || fail "not a usage error without devices:"
grep -q -e "--preload" "$out" || fail "the word is not named:"
