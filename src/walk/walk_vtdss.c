/* SPDX-License-Identifier: MIT */
/*
 * VT-d's second stage as the IOMMU reads it (sections 3.7 and 9.8 of its manual).
 *
 *   63 62 61:52    51:12    11  10 9 8 7  6    5:3 2 1 0
 *   -  TM ignored  address  SNP -  D A PS IPAT EMT X W R
 *
 * An entry that neither reads nor writes is not there; X is ignored, as it is in
 * all translations of requests.  Rights are the AND over all levels.
 */
#include "walk/walk_priv.h"

#define SS_R	   BIT_ULL(0)
#define SS_W	   BIT_ULL(1)
#define SS_PS	   BIT_ULL(7)
#define SS_A	   BIT_ULL(8)
#define SS_D	   BIT_ULL(9)
#define SS_SNP	   BIT_ULL(11)
#define SS_ADDRESS (BIT_ULL(52) - BIT_ULL(12))

static inline u32 ss_item_lg2(u32 level)
{
	return 12 + 9 * level;
}

static inline enum walk_reason fmt_start(const struct walk_cfg *cfg, u64 addr, struct walk_at *at)
{
	u32 reach = ss_item_lg2(cfg->levels);

	if (cfg->levels < 3 || cfg->levels > 5 || cfg->root & ~SS_ADDRESS)
		return WALK_CONFIG;
	if (cfg->in_lg2)
		reach = MIN(reach, cfg->in_lg2);
	if (walk_too_wide(addr, reach))
		return WALK_RANGE;
	at->level = cfg->levels - 1;
	at->table = cfg->root;
	at->rights = IOMMU_READ | IOMMU_WRITE | WALK_EXEC | RIGHT_USER;
	return WALK_OK;
}

static inline u64 fmt_index(const struct walk_cfg *cfg, const struct walk_at *at, u64 addr)
{
	return addr >> ss_item_lg2(at->level) & 511;
}

/* Bits of an entry that have to be 0. */
static inline u64 ss_reserved(const struct walk_cfg *cfg, const struct walk_at *at)
{
	u64 size = BIT_ULL(ss_item_lg2(at->level));
	u64 reserved = cfg->flags & WALK_SNOOP ? 0 : SS_SNP;

	if (!at->level)
		return reserved;
	if (!(at->entry & SS_PS))
		return 0; /* a table ignores what it has no use for */
	if (at->level > 2 || (cfg->page_sizes && !(cfg->page_sizes & size)))
		return reserved | SS_PS;
	return reserved | (SS_ADDRESS & (size - 1));
}

static inline enum walk_reason fmt_entry(const struct walk_cfg *cfg, u64 addr, struct walk_at *at)
{
	if (!(at->entry & (SS_R | SS_W)))
		return WALK_NOT_PRESENT;
	if (at->entry & ss_reserved(cfg, at))
		return WALK_RESERVED;
	at->leaf = !at->level || at->entry & SS_PS;
	at->lg2 = ss_item_lg2(at->level);
	at->pa = at->entry & SS_ADDRESS;
	if (!at->leaf)
		at->next = at->level - 1;
	if (cfg->out_lg2 && walk_too_wide(at->pa, cfg->out_lg2))
		return WALK_ADDRESS_SIZE;
	if (!(at->entry & SS_R))
		at->rights &= ~(u32)(IOMMU_READ | WALK_EXEC);
	if (!(at->entry & SS_W))
		at->rights &= ~(u32)IOMMU_WRITE;
	return WALK_OK;
}

static inline u64 fmt_table_mark(const struct walk_cfg *cfg, u64 entry)
{
	return cfg->flags & WALK_ACCESSED_TABLES ? entry | SS_A : entry;
}

static inline enum walk_reason fmt_leaf(const struct walk_cfg *cfg, u32 access, struct walk_at *at,
					u64 *ret_mark)
{
	u64 mark = at->entry;

	if (cfg->flags & WALK_ACCESSED)
		mark |= SS_A;
	if (cfg->flags & WALK_DIRTY && access & IOMMU_WRITE)
		mark |= SS_D;
	*ret_mark = mark;
	return walk_denied(access, at->rights);
}

static inline bool fmt_is_dirty(const struct walk_cfg *cfg, u64 entry)
{
	return !(cfg->flags & WALK_DIRTY) || entry & SS_D;
}

#define WALK_FN walk_vtdss
#include "walk/walk_algo.h"
