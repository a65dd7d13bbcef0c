/* SPDX-License-Identifier: MIT */
/*
 * RISC-V tables as an IOMMU reads them: Sv39, Sv48, Sv57, and Sv39x4 to Sv57x4 of
 * the second stage (the privileged manual's "Virtual Address Translation Process").
 *
 *   63 62:61 60:54     53:10  9:8  7 6 5 4 3 2 1 0
 *   N  PBMT  reserved  PPN    RSW  D A G U X W R V
 *
 * An entry with none of R, W, X points to a table.  What is wrong is reported in the
 * manual's order: valid and reserved, rights, alignment, accessed and dirty, which
 * are a fault where hardware may not set them.  N makes 16 items of 4 KiB one entry.
 * Addresses of the first stage are sign-extended; the second stage has two index bits
 * more in its root, which is 16 KiB, and takes every access for a user's.
 */
#include "walk/walk_priv.h"

#define RV_V	    BIT_ULL(0)
#define RV_R	    BIT_ULL(1)
#define RV_W	    BIT_ULL(2)
#define RV_X	    BIT_ULL(3)
#define RV_U	    BIT_ULL(4)
#define RV_A	    BIT_ULL(6)
#define RV_D	    BIT_ULL(7)
#define RV_PPN	    (BIT_ULL(54) - BIT_ULL(10))
#define RV_RESERVED (BIT_ULL(61) - BIT_ULL(54))
#define RV_PBMT	    (3ULL << 61)
#define RV_N	    BIT_ULL(63)
#define RV_NAPOT    16u /* log2 of the one size N can say */
#define RV_OUT_LG2  56u

static inline bool riscv_x4(const struct walk_cfg *cfg)
{
	return cfg->format == WALK_RISCV_X4;
}

static inline u32 riscv_item_lg2(u32 level)
{
	return 12 + 9 * level;
}

static inline enum walk_reason fmt_start(const struct walk_cfg *cfg, u64 addr, struct walk_at *at)
{
	u32 reach = riscv_item_lg2(cfg->levels) + (riscv_x4(cfg) ? 2 : 0);
	u64 root_size = riscv_x4(cfg) ? BIT_ULL(14) : BIT_ULL(12);

	if (cfg->levels < 3 || cfg->levels > 5 || cfg->root & (root_size - 1) ||
	    walk_too_wide(cfg->root, RV_OUT_LG2))
		return WALK_CONFIG;
	if (riscv_x4(cfg) ? walk_too_wide(addr, reach) : !walk_canonical(addr, reach))
		return WALK_RANGE;
	at->level = cfg->levels - 1;
	at->table = cfg->root;
	at->rights = IOMMU_READ | IOMMU_WRITE | WALK_EXEC | RIGHT_USER;
	return WALK_OK;
}

static inline u64 fmt_index(const struct walk_cfg *cfg, const struct walk_at *at, u64 addr)
{
	bool wide = riscv_x4(cfg) && at->level == cfg->levels - 1u;

	return addr >> riscv_item_lg2(at->level) & (wide ? 2047 : 511);
}

static inline enum walk_reason riscv_table(struct walk_at *at)
{
	if (!at->level || at->entry & (RV_D | RV_A | RV_U | RV_N | RV_PBMT))
		return WALK_RESERVED;
	at->next = at->level - 1;
	return WALK_OK;
}

static inline enum walk_reason riscv_group(const struct walk_cfg *cfg, struct walk_at *at)
{
	bool known = !cfg->page_sizes || cfg->page_sizes & BIT_ULL(RV_NAPOT);

	if (!known || at->level || (at->entry >> 10 & 15) != 8)
		return WALK_RESERVED;
	at->lg2 = RV_NAPOT;
	at->pa = ALIGN_DOWN(at->pa, BIT_ULL(RV_NAPOT));
	return WALK_OK;
}

static inline enum walk_reason fmt_entry(const struct walk_cfg *cfg, u64 addr, struct walk_at *at)
{
	u64 e = at->entry;
	enum walk_reason reason = WALK_OK;

	if (!(e & RV_V))
		return WALK_NOT_PRESENT;
	if ((e & (RV_R | RV_W)) == RV_W || e & RV_RESERVED || (e & RV_PBMT) == RV_PBMT ||
	    (e & RV_PBMT && !(cfg->flags & WALK_PBMT)))
		return WALK_RESERVED;
	at->leaf = e & (RV_R | RV_X);
	at->lg2 = riscv_item_lg2(at->level);
	at->pa = (e & RV_PPN) >> 10 << 12;
	if (!at->leaf)
		reason = riscv_table(at);
	else if (e & RV_N)
		reason = riscv_group(cfg, at);
	if (reason)
		return reason;
	return cfg->out_lg2 && walk_too_wide(at->pa, cfg->out_lg2) ? WALK_ADDRESS_SIZE : WALK_OK;
}

static inline u64 fmt_table_mark(const struct walk_cfg *cfg, u64 entry)
{
	return entry;
}

static inline enum walk_reason riscv_rights(const struct walk_cfg *cfg, u32 access,
					    struct walk_at *at)
{
	u64 e = at->entry;

	at->rights = (e & RV_R ? IOMMU_READ : 0) | (e & RV_W ? IOMMU_WRITE : 0) |
		     (e & RV_X ? WALK_EXEC : 0) | (e & RV_U ? RIGHT_USER : 0);
	if (!(e & RV_U))
		return access & WALK_PRIV && !riscv_x4(cfg) ? WALK_OK : WALK_NO_USER;
	if (access & WALK_PRIV && !riscv_x4(cfg)) {
		if (!(cfg->flags & WALK_SUM))
			return WALK_NO_USER;
		at->rights &= ~(u32)WALK_EXEC;
	}
	return WALK_OK;
}

/* Accessed and dirty: set by hardware, or its fault. */
static inline enum walk_reason riscv_marks(const struct walk_cfg *cfg, u32 access,
					   struct walk_at *at, u64 *ret_mark)
{
	u64 mark = at->entry;

	if (cfg->flags & WALK_ACCESSED)
		mark |= RV_A;
	if (cfg->flags & WALK_DIRTY && access & IOMMU_WRITE)
		mark |= RV_D;
	*ret_mark = mark;
	if (!(mark & RV_A))
		return WALK_ACCESS_FLAG;
	return access & IOMMU_WRITE && !(mark & RV_D) ? WALK_DIRTY_FLAG : WALK_OK;
}

static inline enum walk_reason fmt_leaf(const struct walk_cfg *cfg, u32 access, struct walk_at *at,
					u64 *ret_mark)
{
	enum walk_reason reason = riscv_rights(cfg, access, at);

	if (!reason)
		reason = walk_denied(access, at->rights);
	if (!reason && at->pa & (BIT_ULL(at->lg2) - 1))
		reason = WALK_MISALIGNED;
	return reason ? reason : riscv_marks(cfg, access, at, ret_mark);
}

static inline bool fmt_is_dirty(const struct walk_cfg *cfg, u64 entry)
{
	return entry & RV_D;
}

#define WALK_FN walk_riscv
#include "walk/walk_algo.h"
