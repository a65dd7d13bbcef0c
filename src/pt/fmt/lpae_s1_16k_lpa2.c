/* SPDX-License-Identifier: MIT */
/*
 * ARM's stage 1 with a granule of 16 KiB and 52 bits of address.
 */
#define FMT_NAME	lpae_s1_16k_lpa2
#define FMT_STAGE	1
#define FMT_GRANULE_LG2 14
#define FMT_LPA2	1

#include "pt/fmt/lpae.h"
#include "pt/pt_algo.h"
