/* SPDX-License-Identifier: MIT */
/*
 * The x86-64 table as an IOMMU reads it: VT-d's first stage (section 3.6 of its
 * manual), AMD's guest ("v2") table.
 *
 *   63  62:52    51:12    11 10  9 8 7  6 5 4   3   2  1  0
 *   XD  ignored  address  -  EA  - G PS D A PCD PWT US RW P
 *
 * RW and US count only if set on all levels, XD if set on one.  An entry is judged
 * as it is met: present, then reserved bits; rights when the walk is through.
 * Addresses are sign-extended.  Every entry used is marked accessed.
 */
#include "walk/walk_priv.h"

#define X86_P	    BIT_ULL(0)
#define X86_RW	    BIT_ULL(1)
#define X86_US	    BIT_ULL(2)
#define X86_A	    BIT_ULL(5)
#define X86_D	    BIT_ULL(6)
#define X86_PS	    BIT_ULL(7)
#define X86_PAT	    BIT_ULL(12) /* in large entries */
#define X86_ADDRESS (BIT_ULL(52) - BIT_ULL(12))
#define X86_XD	    BIT_ULL(63)

static inline u32 x86_item_lg2(u32 level)
{
	return 12 + 9 * level;
}

static inline enum walk_reason fmt_start(const struct walk_cfg *cfg, u64 addr, struct walk_at *at)
{
	if (cfg->levels < 4 || cfg->levels > 5 || cfg->root & ~X86_ADDRESS)
		return WALK_CONFIG;
	if (!walk_canonical(addr, x86_item_lg2(cfg->levels)) ||
	    (cfg->in_lg2 && walk_too_wide(addr, cfg->in_lg2)))
		return WALK_RANGE;
	at->level = cfg->levels - 1;
	at->table = cfg->root;
	at->rights = IOMMU_READ | IOMMU_WRITE | WALK_EXEC | RIGHT_USER;
	return WALK_OK;
}

static inline u64 fmt_index(const struct walk_cfg *cfg, const struct walk_at *at, u64 addr)
{
	return addr >> x86_item_lg2(at->level) & 511;
}

/* Bits of a present entry that have to be 0. */
static inline u64 x86_reserved(const struct walk_cfg *cfg, const struct walk_at *at)
{
	u64 size = BIT_ULL(x86_item_lg2(at->level));
	u64 reserved = cfg->flags & WALK_NX ? 0 : X86_XD;

	if (!at->level || !(at->entry & X86_PS))
		return reserved;
	if (at->level > 2 || (cfg->page_sizes && !(cfg->page_sizes & size)))
		return reserved | X86_PS;
	return reserved | (X86_ADDRESS & (size - 1) & ~X86_PAT);
}

static inline enum walk_reason fmt_entry(const struct walk_cfg *cfg, u64 addr, struct walk_at *at)
{
	if (!(at->entry & X86_P))
		return WALK_NOT_PRESENT;
	if (at->entry & x86_reserved(cfg, at))
		return WALK_RESERVED;
	at->leaf = !at->level || at->entry & X86_PS;
	at->lg2 = x86_item_lg2(at->level);
	at->pa = at->entry & X86_ADDRESS;
	if (at->leaf)
		at->pa = ALIGN_DOWN(at->pa, BIT_ULL(at->lg2));
	else
		at->next = at->level - 1;
	if (cfg->out_lg2 && walk_too_wide(at->pa, cfg->out_lg2))
		return WALK_ADDRESS_SIZE;
	if (!(at->entry & X86_RW))
		at->rights &= ~(u32)IOMMU_WRITE;
	if (!(at->entry & X86_US))
		at->rights &= ~(u32)RIGHT_USER;
	if (at->entry & X86_XD)
		at->rights &= ~(u32)WALK_EXEC;
	return WALK_OK;
}

static inline u64 fmt_table_mark(const struct walk_cfg *cfg, u64 entry)
{
	return cfg->flags & WALK_ACCESSED ? entry | X86_A : entry;
}

static inline enum walk_reason fmt_leaf(const struct walk_cfg *cfg, u32 access, struct walk_at *at,
					u64 *ret_mark)
{
	bool user = at->rights & RIGHT_USER;
	u64 mark = at->entry;

	if (!(access & WALK_PRIV) && !user)
		return WALK_NO_USER;
	if (access & WALK_PRIV && !(cfg->flags & WALK_WP))
		at->rights |= IOMMU_WRITE;
	if (access & WALK_PRIV && user && cfg->flags & WALK_SMEP)
		at->rights &= ~(u32)WALK_EXEC;
	if (cfg->flags & WALK_ACCESSED)
		mark |= X86_A;
	if (cfg->flags & WALK_DIRTY && access & IOMMU_WRITE)
		mark |= X86_D;
	*ret_mark = mark;
	return walk_denied(access, at->rights);
}

static inline bool fmt_is_dirty(const struct walk_cfg *cfg, u64 entry)
{
	return !(cfg->flags & WALK_DIRTY) || entry & X86_D;
}

#define WALK_FN walk_x86_64
#include "walk/walk_algo.h"
