/* SPDX-License-Identifier: MIT */
/*
 * The hardware of the generic IOMMU: a register per domain, and the walk.  It
 * knows the tables by what is in memory and nothing else.
 */
#include "models/generic/generic.h"

/* The first word of a device table entry, as far as this hardware has it. */
#define DTE_V	       BIT_ULL(0)
#define DTE_TV	       BIT_ULL(1)
#define DTE_HAD	       (3ULL << 7) /* set accessed and dirty marks */
#define DTE_MODE_SHIFT 9
#define DTE_MODE       (7ULL << DTE_MODE_SHIFT)
#define DTE_ROOT       (BIT_ULL(52) - BIT_ULL(12))

void generic_hw_init(struct generic_hw *hw, struct mem_space *mem)
{
	atomic_init(&hw->dte, 0);
	hw->mem = walk_mem_frames(mem);
}

void generic_hw_set_root(struct generic_hw *hw, u64 root_pa, unsigned int levels)
{
	u64 old = atomic_load_explicit(&hw->dte, memory_order_relaxed), dte;

	/* Somebody may switch marking on meanwhile. */
	do
		dte = (old & DTE_HAD) | DTE_V | DTE_TV | (u64)levels << DTE_MODE_SHIFT | root_pa;
	while (!atomic_compare_exchange_weak(&hw->dte, &old, dte));
}

void generic_hw_set_marking(struct generic_hw *hw, bool on)
{
	if (on)
		atomic_fetch_or(&hw->dte, DTE_HAD);
	else
		atomic_fetch_and(&hw->dte, ~DTE_HAD);
}

enum iommu_xlat_fault generic_hw_translate(const struct generic_hw *hw, u64 iova,
					   unsigned int access, struct iommu_xlat *ret,
					   bool *ret_marks)
{
	u64 dte = atomic_load_explicit(&hw->dte, memory_order_acquire);
	const struct walk_cfg cfg = {
		.format = WALK_AMDV1,
		.root = dte & DTE_ROOT,
		.levels = (dte & DTE_MODE) >> DTE_MODE_SHIFT,
		.in_lg2 = GENERIC_VA_LG2,
		.flags = dte & DTE_HAD ? WALK_ACCESSED | WALK_DIRTY : 0,
	};
	enum iommu_xlat_fault fault;
	struct walk_result res;

	fault = walk_amdv1(&cfg, &hw->mem, iova, access, &res);
	*ret = res.xlat;
	*ret_marks = dte & DTE_HAD;
	/* The driver adds levels as it needs them: what they do not reach is in range all the same.
	 */
	if (unlikely(fault == IOMMU_XLAT_OUT_OF_RANGE && !(iova >> GENERIC_VA_LG2)))
		return IOMMU_XLAT_NOT_PRESENT;
	return fault;
}
