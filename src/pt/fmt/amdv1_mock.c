/* SPDX-License-Identifier: MIT */
/*
 * AMD's version 1 table on pages of 2 KiB: the kernel's mock domain, in whose tests a CPU page
 * is two items.
 */
#define FMT_NAME	amdv1_mock
#define FMT_GRANULE_LG2 11

#include "pt/fmt/amdv1.h"
#include "pt/pt_algo.h"
