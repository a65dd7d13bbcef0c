/* SPDX-License-Identifier: MIT */
/*
 * VT-d's second stage.
 */
#define FMT_NAME vtdss

#include "pt/fmt/vtdss.h"
#include "pt/pt_algo.h"
