/* SPDX-License-Identifier: MIT */
/*
 * The x86-64 table: VT-d's first stage, AMD's v2.
 */
#define FMT_NAME x86_64

#include "pt/fmt/x86_64.h"
#include "pt/pt_algo.h"
