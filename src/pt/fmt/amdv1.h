/* SPDX-License-Identifier: MIT */
/*
 * The bits of AMD's IOMMU version 1 table (the host table of AMD's manual).
 *
 *   63  62 61 60 59 58:52      51:12       11:9    8:7 6 5 4:1  0
 *   -   IW IR FC U  reserved   address   NextLevel  -  D A  -   PR
 *
 * NextLevel 1..6 points to a table of that level, counted from 1; the levels of
 * this room count from 0, so an entry at our level n that points to a table
 * carries n.  NextLevel 0 is a leaf of the level's natural size.  NextLevel 7 is
 * a leaf whose size is in the address: if it covers 2^k granules, the low k - 1
 * bits of the address field are 1 and the next is 0.  Such a leaf is repeated in
 * all items it covers, so every power of two is a page size, except 512 GiB,
 * which the hardware gets wrong.  The 6th level (our 5) holds tables only.
 *
 * Rights are the AND over all levels; tables grant both, leaves decide.
 *
 * The including file defines FMT_GRANULE_LG2: 12 is the hardware.  With another
 * granule the address field counts those (the mock: 2 KiB, 51 bits of address).
 *
 * This header also is the pattern for other formats; pt_algo.h needs of one:
 *
 *   FMT_MAX_LEVEL, FMT_MAX_VA_LG2, FMT_MAX_OA_LG2, FMT_FEATURES
 *   FMT_MIN_TOP       lowest level a top table may have, 1 at least
 *   FMT_START_LEVEL   first root's level with PT_FEAT_DYNAMIC_TOP
 *   FMT_FLUSHED       a bit of table entries hardware ignores, for cfg.flush; or 0
 *   FMT_ITEM_OWN_PA   1: items of one entry carry each its own address
 *                     (contiguous hint), 0: they are equal
 *   fmt_item_lg2()    bytes one item of a level covers; grows with the level
 *   fmt_table_bits()  index bits of a table below the top
 *   fmt_top_bits()    index bits of the top table (may need more than a frame);
 *                     0 if the top cannot have that level
 *   fmt_attr(), fmt_leaf_*(), fmt_table_*(), fmt_dirty*(), fmt_entry_error()
 *
 * Attributes are what a leaf says besides address, size and mark, in the leaf's
 * own bits.  fmt_leaf_common() is a leaf without its mark: so a new one looks,
 * with PT_FEAT_DIRTY and without PT_FEAT_NEW_DIRTY.
 *
 * An empty item is 0, and an item whose low three bits are 0 is not present.
 */
#ifndef FMT_GRANULE_LG2
#error "define the granule before including the format"
#endif

#include "pt/pt_priv.h"

#define AMDV1_PR	 BIT_ULL(0)
#define AMDV1_A		 BIT_ULL(5)
#define AMDV1_D		 BIT_ULL(6)
#define AMDV1_NL_SHIFT	 9
#define AMDV1_NL_MASK	 (7ULL << AMDV1_NL_SHIFT)
#define AMDV1_NL_SIZED	 7ULL
#define AMDV1_OA_SHIFT	 12
#define AMDV1_OA_BITS	 40
#define AMDV1_OA_MASK	 ((BIT_ULL(AMDV1_OA_BITS) - 1) << AMDV1_OA_SHIFT)
#define AMDV1_FC	 BIT_ULL(60)
#define AMDV1_IR	 BIT_ULL(61)
#define AMDV1_IW	 BIT_ULL(62)
#define AMDV1_INDEX_BITS 9
#define AMDV1_BAD_LG2	 39 /* the size the hardware gets wrong */

#define FMT_MAX_LEVEL	(FMT_GRANULE_LG2 == 12 ? 5u : 4u)
#define FMT_MIN_TOP	1u
#define FMT_START_LEVEL 2u
#define FMT_FLUSHED	0ULL
#define FMT_MAX_VA_LG2	(FMT_GRANULE_LG2 == 12 ? 64u : FMT_GRANULE_LG2 + 45u)
#define FMT_MAX_OA_LG2	(FMT_GRANULE_LG2 + (unsigned)AMDV1_OA_BITS)
#define FMT_FEATURES                                                                               \
	(PT_FEAT_DIRTY | PT_FEAT_NEW_DIRTY | PT_FEAT_DYNAMIC_TOP | PT_FEAT_FORCE_COHERENT)
#define FMT_ITEM_OWN_PA 0

static inline unsigned fmt_item_lg2(unsigned level)
{
	return FMT_GRANULE_LG2 + level * AMDV1_INDEX_BITS;
}

/* The 6th level has only what is left of 64 bits. */
static inline unsigned fmt_table_bits(unsigned level)
{
	return MIN(AMDV1_INDEX_BITS, 64 - fmt_item_lg2(level));
}

static inline unsigned fmt_top_bits(unsigned level, unsigned max_va_lg2)
{
	(void)max_va_lg2;
	return fmt_table_bits(level);
}

/* All sizes any table of this format may hold; levels 0 to 4 have leaves. */
static inline u64 fmt_pgsizes(unsigned oa_lg2)
{
	u64 sizes = BIT_ULL(FMT_MAX_OA_LG2) - BIT_ULL(FMT_GRANULE_LG2);

	(void)oa_lg2;
	return FMT_GRANULE_LG2 == 12 ? sizes & ~BIT_ULL(AMDV1_BAD_LG2) : sizes;
}

/* The level whose tables hold leaves of 2^@lg2 bytes. */
static inline unsigned fmt_leaf_level(unsigned lg2)
{
	return MIN((lg2 - FMT_GRANULE_LG2) / AMDV1_INDEX_BITS, 4u);
}

static inline u64 amdv1_oa(u64 pa)
{
	return pa >> FMT_GRANULE_LG2 << AMDV1_OA_SHIFT;
}

static inline u64 amdv1_next_level(u64 e)
{
	return (e & AMDV1_NL_MASK) >> AMDV1_NL_SHIFT;
}

static inline bool fmt_is_leaf(u64 e, unsigned level)
{
	u64 next = amdv1_next_level(e);

	(void)level;
	return (e & AMDV1_PR) && (next == 0 || next == AMDV1_NL_SIZED);
}

static inline bool fmt_is_table(u64 e, unsigned level)
{
	return (e & AMDV1_PR) && level && amdv1_next_level(e) == level;
}

/**
 * fmt_attr() - what leaves of a mapping have in common
 * Return: 0, -EINVAL if the format cannot say such rights.
 */
static inline int fmt_attr(const struct pt_cfg *cfg, unsigned prot, u64 *ret)
{
	u64 attr = AMDV1_PR;

	if (prot & PT_PROT_READ)
		attr |= AMDV1_IR;
	if (prot & PT_PROT_WRITE)
		attr |= AMDV1_IW;
	if (cfg->features & PT_FEAT_FORCE_COHERENT)
		attr |= AMDV1_FC;
	if (cfg->features & PT_FEAT_NEW_DIRTY && prot & PT_PROT_WRITE)
		attr |= AMDV1_A | AMDV1_D;
	*ret = attr;
	return 0;
}

/* All of a leaf but its address. */
static inline u64 fmt_leaf_new(u64 attr, unsigned lg2, unsigned level)
{
	u64 ones;

	if (lg2 == fmt_item_lg2(level))
		return attr;
	ones = BIT_ULL(lg2 - FMT_GRANULE_LG2 - 1) - 1;
	return attr | AMDV1_NL_SIZED << AMDV1_NL_SHIFT | ones << AMDV1_OA_SHIFT;
}

static inline u64 fmt_leaf_at(u64 leaf, u64 pa)
{
	return leaf | amdv1_oa(pa);
}

static inline unsigned fmt_leaf_lg2(u64 e, unsigned level)
{
	u64 field = (e & AMDV1_OA_MASK) >> AMDV1_OA_SHIFT;

	if (amdv1_next_level(e) != AMDV1_NL_SIZED)
		return fmt_item_lg2(level);
	return FMT_GRANULE_LG2 + 1 + __builtin_ctzll(~field);
}

/* Address of the first byte of the entry @e is an item of. */
static inline u64 fmt_leaf_pa(u64 e, unsigned level)
{
	u64 pa = (e & AMDV1_OA_MASK) >> AMDV1_OA_SHIFT << FMT_GRANULE_LG2;

	return ALIGN_DOWN(pa, BIT_ULL(fmt_leaf_lg2(e, level)));
}

static inline unsigned fmt_leaf_prot(u64 e)
{
	return (e & AMDV1_IR ? PT_PROT_READ : 0) | (e & AMDV1_IW ? PT_PROT_WRITE : 0);
}

/* An entry of @level that points to the table at @pa. */
static inline u64 fmt_table_new(u64 pa, unsigned level)
{
	return AMDV1_PR | AMDV1_IR | AMDV1_IW | (u64)level << AMDV1_NL_SHIFT | amdv1_oa(pa);
}

static inline u64 fmt_table_pa(u64 e)
{
	return (e & AMDV1_OA_MASK) >> AMDV1_OA_SHIFT << FMT_GRANULE_LG2;
}

static inline bool fmt_dirty(u64 e)
{
	return e & AMDV1_D;
}

/* Hardware marks any leaf it writes through; whether it may, others decide. */
static inline bool fmt_dirty_can(u64 e)
{
	(void)e;
	return true;
}

/* A device that writes has also accessed. */
static inline u64 fmt_dirty_set(u64 e)
{
	return e | AMDV1_A | AMDV1_D;
}

static inline u64 fmt_dirty_clear(u64 e)
{
	return e & ~AMDV1_D;
}

/* Two items of one entry are alike when this of them is. */
static inline u64 fmt_leaf_common(u64 e)
{
	return e & ~(AMDV1_A | AMDV1_D);
}

static inline u64 fmt_leaf_attr(u64 e)
{
	return fmt_leaf_common(e) & ~(AMDV1_NL_MASK | AMDV1_OA_MASK);
}

/* What a device would find wrong with a present entry, beyond its kind; NULL if nothing. */
static inline const char *fmt_entry_error(u64 e, unsigned level)
{
	u64 known = AMDV1_PR | AMDV1_A | AMDV1_D | AMDV1_NL_MASK | AMDV1_OA_MASK | AMDV1_FC |
		    AMDV1_IR | AMDV1_IW;

	if (e & ~known)
		return "reserved bits of an entry are set";
	if (fmt_is_table(e, level))
		return fmt_table_pa(e) & (PAGE_SIZE - 1) ? "a table is not aligned" : NULL;
	if (level > 4)
		return "a leaf in the 6th level";
	if (!fmt_leaf_prot(e))
		return "a leaf without rights";
	if (amdv1_next_level(e) != AMDV1_NL_SIZED) {
		if (fmt_table_pa(e) & (BIT_ULL(fmt_item_lg2(level)) - 1))
			return "the address of a leaf is not aligned to its size";
		return NULL;
	}
	if (fmt_leaf_lg2(e, level) <= fmt_item_lg2(level))
		return "a size-coded leaf is too small for its level";
	if (fmt_leaf_level(fmt_leaf_lg2(e, level)) != level)
		return "a size-coded leaf is too large for its level";
	return NULL;
}
