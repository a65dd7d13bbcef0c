#!/bin/bash
# SPDX-License-Identifier: MIT
#
# bench.sh BUILD_DIR - runs each benchmark of an optimised build, one at a time,
# and shows what it prints: a ratio against its own baseline.

set -u
meson test -C "$1" --benchmark --num-processes 1 --verbose --no-rebuild
