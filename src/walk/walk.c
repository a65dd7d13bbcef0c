/* SPDX-License-Identifier: MIT */
/*
 * What the walkers have in common outside a walk: the choice of one, the memory
 * they read, the words for faults.
 */
#include "walk/walk_priv.h"

static int phys_load(void *ctx, u64 pa, u64 *ret)
{
	return mem_phys_load64(ctx, pa, ret);
}

static int phys_cas(void *ctx, u64 pa, u64 *old, u64 value)
{
	return mem_phys_cas64(ctx, pa, old, value);
}

struct walk_mem walk_mem_phys(struct mem_space *space)
{
	return (struct walk_mem){ .load = phys_load, .cas = phys_cas, .ctx = space };
}

struct walk_mem walk_mem_frames(struct mem_space *space)
{
	struct walk_mem mem = walk_mem_phys(space);

	mem.frames = space;
	return mem;
}

static walk_fn *const walkers[] = {
	[WALK_AMDV1] = walk_amdv1,
	[WALK_X86_64] = walk_x86_64,
	[WALK_VTD_SS] = walk_vtdss,
	[WALK_ARM_S1] = walk_arm,
	[WALK_ARM_S2] = walk_arm,
	[WALK_RISCV] = walk_riscv,
	[WALK_RISCV_X4] = walk_riscv,
};

enum iommu_xlat_fault walk_translate(const struct walk_cfg *cfg, const struct walk_mem *mem,
				     u64 addr, u32 access, struct walk_result *ret)
{
	if (likely(cfg->format < ARRAY_SIZE(walkers)))
		return walkers[cfg->format](cfg, mem, addr, access, ret);
	*ret = (struct walk_result){
		.reason = WALK_CONFIG, .stage = 1, .xlat.fault_addr = addr
	};
	return walk_fault(WALK_CONFIG);
}

static const struct {
	const char *name;
	enum iommu_xlat_fault fault;
} reasons[] = {
	[WALK_OK] = { "translated", IOMMU_XLAT_OK },
	[WALK_RANGE] = { "address out of range", IOMMU_XLAT_OUT_OF_RANGE },
	[WALK_NOT_PRESENT] = { "not present", IOMMU_XLAT_NOT_PRESENT },
	[WALK_RESERVED] = { "reserved bits or kind of entry", IOMMU_XLAT_BAD_ENTRY },
	[WALK_MISALIGNED] = { "misaligned entry", IOMMU_XLAT_BAD_ENTRY },
	[WALK_ADDRESS_SIZE] = { "output address too wide", IOMMU_XLAT_BAD_ENTRY },
	[WALK_ACCESS_FLAG] = { "access flag clear", IOMMU_XLAT_NOT_PRESENT },
	[WALK_DIRTY_FLAG] = { "dirty flag clear", IOMMU_XLAT_PERMISSION },
	[WALK_NO_READ] = { "not readable", IOMMU_XLAT_PERMISSION },
	[WALK_NO_WRITE] = { "not writable", IOMMU_XLAT_PERMISSION },
	[WALK_NO_EXEC] = { "not executable", IOMMU_XLAT_PERMISSION },
	[WALK_NO_USER] = { "of another privilege", IOMMU_XLAT_PERMISSION },
	[WALK_FETCH] = { "table is no memory", IOMMU_XLAT_BAD_TABLE },
	[WALK_CONFIG] = { "bad registers", IOMMU_XLAT_BAD_TABLE },
	[WALK_BUSY] = { "entries keep changing", IOMMU_XLAT_BAD_TABLE },
};

enum iommu_xlat_fault walk_fault(enum walk_reason reason)
{
	return reasons[reason].fault;
}

const char *walk_reason_name(enum walk_reason reason)
{
	return reason < ARRAY_SIZE(reasons) ? reasons[reason].name : "unknown";
}
