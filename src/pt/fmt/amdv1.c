/* SPDX-License-Identifier: MIT */
/*
 * AMD's version 1 table as hardware has it.
 */
#define FMT_NAME	amdv1
#define FMT_GRANULE_LG2 12

#include "pt/fmt/amdv1.h"
#include "pt/pt_algo.h"
