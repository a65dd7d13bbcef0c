/* SPDX-License-Identifier: MIT */
/*
 * ARM's stage 2 with a granule of 64 KiB.
 */
#define FMT_NAME	lpae_s2_64k
#define FMT_STAGE	2
#define FMT_GRANULE_LG2 16
#define FMT_LPA2	0

#include "pt/fmt/lpae.h"
#include "pt/pt_algo.h"
