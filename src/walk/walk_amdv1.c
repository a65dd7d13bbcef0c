/* SPDX-License-Identifier: MIT */
/*
 * AMD's host ("version 1") table, as the IOMMU reads it (section 2.2.3 of AMD's
 * I/O Virtualization Technology specification).
 *
 *   63  62 61 60 59 58:52      51:12       11:9    8:7 6 5 4:1  0
 *   -   IW IR FC U  reserved   address   NextLevel  -  D A  -   PR
 *
 * NextLevel 0 and 7 translate; 7 has its size in the address: the lowest clear bit
 * says it.  Another value is the level, counted from 1, of the table pointed to.
 * It may skip levels if the bits of the address they would have used are zero.
 * The levels of this file count from 0, so a table of level n is named n + 1.
 *
 * Rights are the AND over all levels.  The registers are those of a device table
 * entry: root, mode (levels), HAD (who sets A and D).
 */
#include "walk/walk_priv.h"

#define AMD_PR	       BIT_ULL(0)
#define AMD_A	       BIT_ULL(5)
#define AMD_D	       BIT_ULL(6)
#define AMD_ADDRESS    (BIT_ULL(52) - BIT_ULL(12))
#define AMD_RSVD       (BIT_ULL(59) - BIT_ULL(52))
#define AMD_RSVD_TBL   (BIT_ULL(61) - BIT_ULL(52)) /* a table has no FC and U */
#define AMD_IR_SHIFT   61			   /* IW is next to it */
#define AMD_NEXT_SHIFT 9
#define AMD_NEXT       (7ULL << AMD_NEXT_SHIFT)
#define AMD_LEVELS     6u
#define AMD_LEAF_MAX   4u /* the 6th level has no leaves */
#define AMD_SIZED      7u

_Static_assert(IOMMU_READ == 1 && IOMMU_WRITE == 2, "rights are taken from IR and IW as they are");

static inline u32 amd_item_lg2(u32 level)
{
	return 12 + 9 * level;
}

static inline enum walk_reason fmt_start(const struct walk_cfg *cfg, u64 addr, struct walk_at *at)
{
	u32 reach = amd_item_lg2(cfg->levels);

	if (unlikely(!cfg->levels || cfg->levels > AMD_LEVELS || cfg->root & ~AMD_ADDRESS))
		return WALK_CONFIG;
	if (cfg->in_lg2)
		reach = MIN(reach, cfg->in_lg2);
	if (unlikely(walk_too_wide(addr, reach)))
		return WALK_RANGE;
	at->level = cfg->levels - 1;
	at->table = cfg->root;
	at->rights = IOMMU_READ | IOMMU_WRITE | WALK_EXEC | RIGHT_USER;
	return WALK_OK;
}

static inline u64 fmt_index(const struct walk_cfg *cfg, const struct walk_at *at, u64 addr)
{
	return (addr >> amd_item_lg2(at->level)) & 511;
}

/* A leaf whose size is in its address: 2^k granules have k - 1 ones below a zero. */
static inline enum walk_reason amd_sized(struct walk_at *at)
{
	u64 field = (at->entry & AMD_ADDRESS) >> 12;

	at->lg2 = 13 + __builtin_ctzll(~field);
	/* larger than an item of this level, smaller than one of the next */
	if (at->lg2 <= amd_item_lg2(at->level) ||
	    (at->level < AMD_LEAF_MAX && at->lg2 >= amd_item_lg2(at->level + 1)) || at->lg2 > 51)
		return WALK_RESERVED;
	at->pa = ALIGN_DOWN(at->entry & AMD_ADDRESS, BIT_ULL(at->lg2));
	return WALK_OK;
}

static inline enum walk_reason amd_leaf(struct walk_at *at, u32 next)
{
	if (at->level > AMD_LEAF_MAX || at->entry & AMD_RSVD)
		return WALK_RESERVED;
	if (next == AMD_SIZED)
		return amd_sized(at);
	at->lg2 = amd_item_lg2(at->level);
	at->pa = at->entry & AMD_ADDRESS;
	return at->pa & (BIT_ULL(at->lg2) - 1) ? WALK_MISALIGNED : WALK_OK;
}

static inline enum walk_reason amd_table(struct walk_at *at, u32 next, u64 addr)
{
	u64 skipped;

	if (at->entry & AMD_RSVD_TBL || next > at->level)
		return WALK_RESERVED;
	at->next = next - 1;
	at->pa = at->entry & AMD_ADDRESS;
	if (likely(next == at->level))
		return WALK_OK;
	skipped = BIT_ULL(amd_item_lg2(at->level)) - BIT_ULL(amd_item_lg2(next));
	return addr & skipped ? WALK_NOT_PRESENT : WALK_OK;
}

/* Any entry but a plain table. */
static inline enum walk_reason amd_other(struct walk_at *at, u64 addr)
{
	u32 next = at->entry >> 9 & 7;

	if (unlikely(!(at->entry & AMD_PR)))
		return WALK_NOT_PRESENT;
	at->leaf = next == 0 || next == AMD_SIZED;
	return at->leaf ? amd_leaf(at, next) : amd_table(at, next, addr);
}

static inline enum walk_reason fmt_entry(const struct walk_cfg *cfg, u64 addr, struct walk_at *at)
{
	u64 kind = at->entry & (AMD_PR | AMD_NEXT | AMD_RSVD_TBL);
	enum walk_reason reason;

	/* IR and IW are IOMMU_READ and IOMMU_WRITE, 61 bits up */
	at->rights &= (u32)(at->entry >> AMD_IR_SHIFT & 3) | ~3u;
	if (likely(at->level && kind == (AMD_PR | (u64)at->level << AMD_NEXT_SHIFT))) {
		at->leaf = false;
		at->next = at->level - 1;
		at->pa = at->entry & AMD_ADDRESS;
	} else {
		reason = amd_other(at, addr);
		if (unlikely(reason))
			return reason;
	}
	return unlikely(cfg->out_lg2 && walk_too_wide(at->pa, cfg->out_lg2)) ? WALK_ADDRESS_SIZE
									     : WALK_OK;
}

/* Nobody reads what a table's A would say, so only the leaf is marked. */
static inline u64 fmt_table_mark(const struct walk_cfg *cfg, u64 entry)
{
	return entry;
}

static inline enum walk_reason fmt_leaf(const struct walk_cfg *cfg, u32 access, struct walk_at *at,
					u64 *ret_mark)
{
	u64 mark = at->entry;

	if (cfg->flags & WALK_ACCESSED)
		mark |= AMD_A;
	if (cfg->flags & WALK_DIRTY && access & IOMMU_WRITE)
		mark |= AMD_D;
	if (!(at->rights & IOMMU_READ))
		at->rights &= ~(u32)WALK_EXEC;
	*ret_mark = mark;
	return walk_denied(access, at->rights);
}

static inline bool fmt_is_dirty(const struct walk_cfg *cfg, u64 entry)
{
	return !(cfg->flags & WALK_DIRTY) || entry & AMD_D;
}

/* A plain leaf of the last level, with the marks it would get. */
#define AMD_LEAF_BITS(marks)                                                                       \
	{                                                                                          \
		.address = AMD_ADDRESS,                                                            \
		.mask = {AMD_PLAIN | AMD_RIGHTS(IOMMU_READ) | ((marks) & AMD_A),                   \
			 AMD_PLAIN | AMD_RIGHTS(3) | (marks)},                                     \
		.want = {AMD_PR | AMD_RIGHTS(IOMMU_READ) | ((marks) & AMD_A),                      \
			 AMD_PR | AMD_RIGHTS(3) | (marks)},                                        \
	}
#define AMD_PLAIN	   (AMD_PR | AMD_NEXT | AMD_RSVD)
#define AMD_RIGHTS(rights) ((u64)(rights) << AMD_IR_SHIFT)

static inline const struct iommu_leaf_bits *amd_leaf_bits(const struct walk_cfg *cfg)
{
	static const struct iommu_leaf_bits plain = AMD_LEAF_BITS(0ULL);
	static const struct iommu_leaf_bits marked = AMD_LEAF_BITS(AMD_A | AMD_D);

	if (cfg->out_lg2 || (cfg->in_lg2 && cfg->in_lg2 < amd_item_lg2(1)))
		return NULL;
	switch (cfg->flags & (WALK_ACCESSED | WALK_DIRTY)) {
	case 0:
		return &plain;
	case WALK_ACCESSED | WALK_DIRTY:
		return &marked;
	default:
		return NULL;
	}
}

#define WALK_LEAF_BITS amd_leaf_bits
#define WALK_FN walk_amdv1
#include "walk/walk_algo.h"
