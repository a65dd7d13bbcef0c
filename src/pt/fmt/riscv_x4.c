/* SPDX-License-Identifier: MIT */
/*
 * RISC-V's second stage: Sv39x4, Sv48x4, Sv57x4, by max_va_lg2 of 41, 50, 59.
 */
#define FMT_NAME riscv_x4
#define FMT_X4	 1

#include "pt/fmt/riscv.h"
#include "pt/pt_algo.h"
