/* SPDX-License-Identifier: MIT */
/*
 * ARM's VMSAv8-64 tables as an SMMU reads them, stage 1 and 2 (section D8 of the
 * architecture's manual).
 *
 *   63:59  54:53 52   51  50 49:48 47:12    11 10 9:8 7:6  5:2          1    0
 *   table  XN    CONT DBM -  0     address  nG AF SH  AP   memory type  type valid
 *
 * Entries are judged level by level: valid, kind, width of the address, then for a
 * leaf the access flag and last the rights.  Bits without a meaning are ignored,
 * not refused.  Table entries of stage 1 may take rights away (63:59), unless the
 * context says they do not (HAD).
 *
 * The contiguous hint is followed without a look at the entry's neighbours, as
 * hardware does; only an entry that lies at its own place in the group can be one.
 */
#include "walk/walk_priv.h"

#define ARM_VALID     BIT_ULL(0)
#define ARM_TYPE      BIT_ULL(1)
#define ARM_AP_USER   BIT_ULL(6) /* stage 1: AP[1] */
#define ARM_AP_RO     BIT_ULL(7) /* stage 1: AP[2] */
#define ARM_S2_READ   BIT_ULL(6)
#define ARM_S2_WRITE  BIT_ULL(7)
#define ARM_AF	      BIT_ULL(10)
#define ARM_DBM	      BIT_ULL(51)
#define ARM_CONT      BIT_ULL(52)
#define ARM_PXN	      BIT_ULL(53)
#define ARM_XN	      BIT_ULL(54)
#define ARM_TBL_PXN   BIT_ULL(59)
#define ARM_TBL_XN    BIT_ULL(60)
#define ARM_TBL_PRIV  BIT_ULL(61)
#define ARM_TBL_RO    BIT_ULL(62)
#define ARM_ROOT_LG2  6 /* least alignment of a root */
#define ARM_S2_CONCAT 4 /* up to 16 roots side by side */

/* The privileged may execute; WALK_EXEC is the others' right until fmt_leaf(). */
#define RIGHT_PRIV_EXEC BIT_ULL(12)

static inline bool arm_stage2(const struct walk_cfg *cfg)
{
	return cfg->format == WALK_ARM_S2;
}

static inline u32 arm_bits(const struct walk_cfg *cfg)
{
	return cfg->granule_lg2 - 3;
}

static inline u32 arm_item_lg2(const struct walk_cfg *cfg, u32 level)
{
	return cfg->granule_lg2 + level * arm_bits(cfg);
}

static inline bool arm_lpa2(const struct walk_cfg *cfg)
{
	return cfg->flags & WALK_LPA2 && cfg->granule_lg2 != 16;
}

static inline u32 arm_out_lg2(const struct walk_cfg *cfg)
{
	return cfg->out_lg2 ? cfg->out_lg2 : arm_lpa2(cfg) ? 52 : 48;
}

static inline u32 arm_levels(const struct walk_cfg *cfg)
{
	u32 bits = cfg->in_lg2 - cfg->granule_lg2, per = arm_bits(cfg), levels;

	if (cfg->levels)
		return cfg->levels;
	levels = (bits + per - 1) / per;
	if (arm_stage2(cfg) && levels > 1 && bits - (levels - 1) * per <= ARM_S2_CONCAT)
		levels--;
	return levels;
}

/* Index bits of the root; 0 if the registers mean nothing. */
static inline u32 arm_root_bits(const struct walk_cfg *cfg, u32 levels)
{
	u32 widest = arm_lpa2(cfg) || cfg->granule_lg2 == 16 ? 52 : 48;
	u32 most = arm_bits(cfg) + (arm_stage2(cfg) ? ARM_S2_CONCAT : 0), bits;

	if (cfg->in_lg2 > widest || levels > 5 || cfg->in_lg2 <= arm_item_lg2(cfg, levels - 1))
		return 0;
	bits = cfg->in_lg2 - arm_item_lg2(cfg, levels - 1);
	return bits > most ? 0 : bits;
}

static inline enum walk_reason fmt_start(const struct walk_cfg *cfg, u64 addr, struct walk_at *at)
{
	u32 levels, bits;

	if ((cfg->granule_lg2 != 12 && cfg->granule_lg2 != 14 && cfg->granule_lg2 != 16) ||
	    cfg->in_lg2 <= cfg->granule_lg2)
		return WALK_CONFIG;
	levels = arm_levels(cfg);
	bits = arm_root_bits(cfg, levels);
	if (!bits || cfg->root & (BIT_ULL(MAX(bits + 3, ARM_ROOT_LG2)) - 1))
		return WALK_CONFIG;
	if (walk_too_wide(cfg->flags & WALK_UPPER ? ~addr : addr, cfg->in_lg2))
		return WALK_RANGE;
	at->level = levels - 1;
	at->table = cfg->root;
	at->rights = IOMMU_READ | IOMMU_WRITE | WALK_EXEC | RIGHT_PRIV_EXEC | RIGHT_USER;
	return walk_too_wide(cfg->root, arm_out_lg2(cfg)) ? WALK_ADDRESS_SIZE : WALK_OK;
}

static inline u64 fmt_index(const struct walk_cfg *cfg, const struct walk_at *at, u64 addr)
{
	u64 index = (addr & (BIT_ULL(cfg->in_lg2) - 1)) >> arm_item_lg2(cfg, at->level);

	/* the root has as many as the input leaves */
	return at->level == arm_levels(cfg) - 1 ? index : index & (BIT_ULL(arm_bits(cfg)) - 1);
}

static inline u64 arm_address(const struct walk_cfg *cfg, u64 e)
{
	u64 low = e & (BIT_ULL(48) - BIT_ULL(cfg->granule_lg2));

	if (arm_lpa2(cfg))
		return low | (e & (3ULL << 48)) | (e >> 8 & 3) << 50;
	if (cfg->granule_lg2 == 16 && arm_out_lg2(cfg) > 48)
		return low | (e >> 12 & 15) << 48;
	return low;
}

/* The highest level with leaves: 1 GiB, 32 MiB, 512 MiB, with 52 bits one more. */
static inline u32 arm_leaf_max(const struct walk_cfg *cfg)
{
	bool more = arm_lpa2(cfg) || (cfg->granule_lg2 == 16 && arm_out_lg2(cfg) > 48);

	return (cfg->granule_lg2 == 12 ? 2 : 1) + more;
}

static inline u32 arm_group_lg2(const struct walk_cfg *cfg, u32 level)
{
	if (level > (cfg->granule_lg2 == 12 ? 2 : 1))
		return 0; /* leaves that came with 52 bits are in no groups */
	return cfg->granule_lg2 == 12 ? 4 : cfg->granule_lg2 == 14 && !level ? 7 : 5;
}

static inline void arm_contiguous(const struct walk_cfg *cfg, u64 addr, struct walk_at *at)
{
	u32 lg2 = at->lg2 + arm_group_lg2(cfg, at->level);

	if (lg2 > cfg->in_lg2 || (at->pa ^ ALIGN_DOWN(addr, BIT_ULL(at->lg2))) & (BIT_ULL(lg2) - 1))
		return;
	at->lg2 = lg2;
	at->pa = ALIGN_DOWN(at->pa, BIT_ULL(lg2));
}

static inline enum walk_reason arm_table(const struct walk_cfg *cfg, struct walk_at *at)
{
	at->pa = arm_address(cfg, at->entry);
	at->next = at->level - 1;
	if (walk_too_wide(at->pa, arm_out_lg2(cfg)))
		return WALK_ADDRESS_SIZE;
	if (arm_stage2(cfg) || cfg->flags & WALK_FLAT)
		return WALK_OK;
	if (at->entry & ARM_TBL_RO)
		at->rights &= ~(u32)IOMMU_WRITE;
	if (at->entry & ARM_TBL_PRIV)
		at->rights &= ~(u32)RIGHT_USER;
	if (at->entry & ARM_TBL_XN)
		at->rights &= ~(u32)WALK_EXEC;
	if (at->entry & ARM_TBL_PXN)
		at->rights &= ~(u32)RIGHT_PRIV_EXEC;
	return WALK_OK;
}

static inline enum walk_reason fmt_entry(const struct walk_cfg *cfg, u64 addr, struct walk_at *at)
{
	bool type = at->entry & ARM_TYPE;

	if (!(at->entry & ARM_VALID))
		return WALK_NOT_PRESENT;
	at->leaf = !at->level || !type;
	if (!at->leaf)
		return arm_table(cfg, at);
	if ((!at->level && !type) || at->level > arm_leaf_max(cfg))
		return WALK_RESERVED;
	at->lg2 = arm_item_lg2(cfg, at->level);
	at->pa = ALIGN_DOWN(arm_address(cfg, at->entry), BIT_ULL(at->lg2));
	if (walk_too_wide(at->pa, arm_out_lg2(cfg)))
		return WALK_ADDRESS_SIZE;
	if (at->entry & ARM_CONT)
		arm_contiguous(cfg, addr, at);
	return WALK_OK;
}

static inline u64 fmt_table_mark(const struct walk_cfg *cfg, u64 entry)
{
	return entry;
}

/* What the leaf itself says, @writes: hardware may make it writable. */
static inline void arm_leaf_rights(const struct walk_cfg *cfg, struct walk_at *at, bool writes)
{
	u64 e = at->entry;

	if (arm_stage2(cfg)) {
		if (!(e & ARM_S2_READ))
			at->rights &= ~(u32)IOMMU_READ;
		if (!(e & ARM_S2_WRITE) && !writes)
			at->rights &= ~(u32)IOMMU_WRITE;
		if (e & ARM_XN)
			at->rights &= ~(u32)(WALK_EXEC | RIGHT_PRIV_EXEC);
		return;
	}
	if (e & ARM_AP_RO && !writes)
		at->rights &= ~(u32)IOMMU_WRITE;
	if (!(e & ARM_AP_USER))
		at->rights &= ~(u32)RIGHT_USER;
	if (e & ARM_XN)
		at->rights &= ~(u32)WALK_EXEC;
	if (e & ARM_PXN)
		at->rights &= ~(u32)RIGHT_PRIV_EXEC;
}

static inline enum walk_reason fmt_leaf(const struct walk_cfg *cfg, u32 access, struct walk_at *at,
					u64 *ret_mark)
{
	bool managed = cfg->flags & WALK_DIRTY && at->entry & ARM_DBM;
	u64 mark = at->entry;

	if (!(mark & ARM_AF)) {
		if (cfg->flags & WALK_ACCESSED)
			mark |= ARM_AF;
		else if (!(cfg->flags & WALK_ACCESS_FREE))
			return WALK_ACCESS_FLAG;
	}
	arm_leaf_rights(cfg, at, managed);
	if (access & WALK_PRIV && !arm_stage2(cfg)) {
		at->rights &= ~(u32)WALK_EXEC;
		at->rights |= at->rights & RIGHT_PRIV_EXEC ? WALK_EXEC : 0;
	} else if (!(at->rights & RIGHT_USER)) {
		return WALK_NO_USER;
	}
	if (managed && access & IOMMU_WRITE)
		mark = arm_stage2(cfg) ? mark | ARM_S2_WRITE : mark & ~ARM_AP_RO;
	*ret_mark = mark;
	return walk_denied(access, at->rights);
}

static inline bool fmt_is_dirty(const struct walk_cfg *cfg, u64 entry)
{
	if (!(cfg->flags & WALK_DIRTY) || !(entry & ARM_DBM))
		return true;
	return arm_stage2(cfg) ? entry & ARM_S2_WRITE : !(entry & ARM_AP_RO);
}

#define WALK_FN walk_arm
#include "walk/walk_algo.h"
