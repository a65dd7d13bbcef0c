/* SPDX-License-Identifier: MIT */
/*
 * RISC-V's first stage: Sv39, Sv48, Sv57, by max_va_lg2.
 */
#define FMT_NAME riscv
#define FMT_X4	 0

#include "pt/fmt/riscv.h"
#include "pt/pt_algo.h"
