/* SPDX-License-Identifier: MIT */
/*
 * The bits of ARM's VMSAv8-64 tables, as the SMMU uses them (section D8.3 of the
 * architecture's manual), stage 1 and stage 2 with granules of 4, 16 and 64 KiB.
 *
 *   54:53 52   51  50 49:48 47:12    11 10 9:8 7:6   5:2              1    0
 *   XN    CONT DBM -  0     address  nG AF SH  AP    memory type      type valid
 *
 * The type bit says table, at the lowest level page; without it an entry is a leaf
 * (block), which only some levels may have.  ARM counts its levels downwards to 3,
 * we count up from 0.  Stage 1 has in bits 4:2 the number of a memory type that the
 * context defines (here 0 not cached, 1 cached, 2 device), stage 2 has the type.
 *
 * Addresses have 48 bits.  Of 52, with 64 KiB granules bits 51:48 lie in 15:12; with
 * the others (LPA2: FMT_LPA2) bits 49:48 lie where they belong and 51:50 take the
 * place of SH, whose value then comes from a register.
 *
 * CONT marks one of a group of entries that a device may cache as one; the group is
 * a page size here, each of whose items has its own address.
 *
 * A right to write is AP[2] = 0 in stage 1, S2AP[1] = 1 in stage 2.  DBM turns it into
 * the dirty mark: the entry is writable, and the device sets the right when it
 * uses it.  Stage 1 always reads, so there is no "write only" there.
 *
 * The root has as many index bits as the iovas leave, in stage 2 up to 4 more than a
 * table: tables next to each other, instead of a level above with few entries.
 *
 * The including file defines FMT_STAGE, FMT_GRANULE_LG2 and FMT_LPA2.
 */
#if !defined(FMT_STAGE) || !defined(FMT_GRANULE_LG2) || !defined(FMT_LPA2)
#error "define stage, granule and LPA2 before including the format"
#endif

#include "pt/pt_priv.h"

#define LPAE_VALID	BIT_ULL(0)
#define LPAE_TYPE	BIT_ULL(1)
#define LPAE_ATTR_SHIFT 2
#define LPAE_ATTR	((FMT_STAGE == 1 ? 7ULL : 15ULL) << LPAE_ATTR_SHIFT)
#define LPAE_AP1	BIT_ULL(6) /* stage 1: not for the privileged alone */
#define LPAE_AP2	BIT_ULL(7) /* stage 1: read only */
#define LPAE_S2R	BIT_ULL(6)
#define LPAE_S2W	BIT_ULL(7)
#define LPAE_SH_SHIFT	8
#define LPAE_SH		(3ULL << LPAE_SH_SHIFT)
#define LPAE_SH_OUTER	(2ULL << LPAE_SH_SHIFT)
#define LPAE_SH_INNER	(3ULL << LPAE_SH_SHIFT)
#define LPAE_AF		BIT_ULL(10)
#define LPAE_NG		BIT_ULL(11)
#define LPAE_DBM	BIT_ULL(51)
#define LPAE_CONT	BIT_ULL(52)
#define LPAE_XN		(FMT_STAGE == 1 ? 3ULL << 53 : 1ULL << 54)
#define LPAE_SW		BIT_ULL(55)
#define LPAE_TOP_MORE	(FMT_STAGE == 2 ? 4u : 0u)
#define LPAE_INDEX_BITS (FMT_GRANULE_LG2 - 3u)
/* the address as it is, and the field of its high bits */
#define LPAE_OA_PLAIN (BIT_ULL(FMT_LPA2 ? 50 : 48) - BIT_ULL(FMT_GRANULE_LG2))
#define LPAE_OA_HIGH  (FMT_LPA2 ? 3ULL << 8 : FMT_GRANULE_LG2 == 16 ? 15ULL << 12 : 0ULL)
#define LPAE_OA	      (LPAE_OA_PLAIN | LPAE_OA_HIGH)

#define FMT_MIN_TOP	1u
#define FMT_MAX_LEVEL                                                                              \
	(FMT_GRANULE_LG2 == 16 ? 2u : FMT_GRANULE_LG2 == 12 && FMT_LPA2 ? 4u : 3u)
#define FMT_START_LEVEL FMT_MIN_TOP
#define FMT_MAX_VA_LG2	FMT_MAX_OA_LG2
#define FMT_MAX_OA_LG2	(FMT_LPA2 || FMT_GRANULE_LG2 == 16 ? 52u : 48u)
#define FMT_FEATURES	(PT_FEAT_DIRTY | PT_FEAT_NEW_DIRTY | (FMT_STAGE == 2 ? PT_FEAT_FWB : 0))
#define FMT_FLUSHED	LPAE_SW
#define FMT_ITEM_OWN_PA 1

static inline unsigned fmt_item_lg2(unsigned level)
{
	return FMT_GRANULE_LG2 + level * LPAE_INDEX_BITS;
}

static inline unsigned fmt_table_bits(unsigned level)
{
	(void)level;
	return LPAE_INDEX_BITS;
}

static inline unsigned fmt_top_bits(unsigned level, unsigned max_va_lg2)
{
	if (max_va_lg2 <= fmt_item_lg2(level))
		return 0;
	return MIN(max_va_lg2 - fmt_item_lg2(level), LPAE_INDEX_BITS + LPAE_TOP_MORE);
}

/* The highest level that may have leaves: 1 GiB, 32 MiB, 512 MiB, with 52 bits one more. */
static inline unsigned lpae_leaf_max(unsigned oa_lg2)
{
	return (FMT_GRANULE_LG2 == 12 ? 2 : 1) + (oa_lg2 > 48);
}

/* How many leaves of a level, as a power of two, make a group; 0: none do. */
static inline unsigned lpae_group_lg2(unsigned level)
{
	if (level > lpae_leaf_max(48))
		return 0;
	return FMT_GRANULE_LG2 == 12 ? 4 : FMT_GRANULE_LG2 == 14 && !level ? 7 : 5;
}

static inline u64 fmt_pgsizes(unsigned oa_lg2)
{
	u64 sizes = 0;
	unsigned level;

	for (level = 0; level <= lpae_leaf_max(FMT_LPA2 ? 52 : oa_lg2); level++)
		sizes |= BIT_ULL(fmt_item_lg2(level)) |
			 BIT_ULL(fmt_item_lg2(level) + lpae_group_lg2(level));
	return sizes;
}

static inline unsigned fmt_leaf_level(unsigned lg2)
{
	return (lg2 - FMT_GRANULE_LG2) / LPAE_INDEX_BITS;
}

static inline bool fmt_is_leaf(u64 e, unsigned level)
{
	return (e & (LPAE_VALID | LPAE_TYPE)) == (level ? LPAE_VALID : LPAE_VALID | LPAE_TYPE);
}

static inline bool fmt_is_table(u64 e, unsigned level)
{
	return level && (e & (LPAE_VALID | LPAE_TYPE)) == (LPAE_VALID | LPAE_TYPE);
}

static inline u64 lpae_oa(u64 pa)
{
	if (FMT_GRANULE_LG2 == 16)
		return (pa & LPAE_OA_PLAIN) | (pa >> 48 & 15) << 12;
	if (FMT_LPA2)
		return (pa & LPAE_OA_PLAIN) | (pa >> 50 & 3) << 8;
	return pa;
}

static inline u64 fmt_table_pa(u64 e)
{
	if (FMT_GRANULE_LG2 == 16)
		return (e & LPAE_OA_PLAIN) | (e >> 12 & 15) << 48;
	if (FMT_LPA2)
		return (e & LPAE_OA_PLAIN) | (e >> 8 & 3) << 50;
	return e & LPAE_OA_PLAIN;
}

/* Memory types of stage 1 are numbers, those of stage 2 are the thing, in one of two codes. */
static inline u64 lpae_type(const struct pt_cfg *cfg, unsigned prot)
{
	if (FMT_STAGE == 1)
		return prot & PT_PROT_MMIO ? 2 : prot & PT_PROT_CACHE ? 1 : 0;
	if (prot & PT_PROT_MMIO)
		return 1;
	if (!(prot & PT_PROT_CACHE))
		return 5;
	return cfg->features & PT_FEAT_FWB ? 6 : 15;
}

static inline u64 lpae_rights(const struct pt_cfg *cfg, unsigned prot)
{
	bool tracked = cfg->features & PT_FEAT_DIRTY && prot & PT_PROT_WRITE;
	bool writes = prot & PT_PROT_WRITE && (!tracked || cfg->features & PT_FEAT_NEW_DIRTY);
	u64 rights = tracked ? LPAE_DBM : 0;

	if (FMT_STAGE == 1)
		return rights | (writes ? 0 : LPAE_AP2) | (prot & PT_PROT_PRIV ? 0 : LPAE_AP1);
	return rights | (writes ? LPAE_S2W : 0) | (prot & PT_PROT_READ ? LPAE_S2R : 0);
}

static inline int fmt_attr(const struct pt_cfg *cfg, unsigned prot, u64 *ret)
{
	u64 attr = LPAE_VALID | LPAE_AF | lpae_type(cfg, prot) << LPAE_ATTR_SHIFT |
		   lpae_rights(cfg, prot);

	if (!FMT_LPA2)
		attr |= prot & PT_PROT_CACHE ? LPAE_SH_INNER : LPAE_SH_OUTER;
	if (FMT_STAGE == 1)
		attr |= LPAE_NG;
	if (prot & PT_PROT_NOEXEC)
		attr |= LPAE_XN;
	*ret = attr;
	return 0;
}

static inline u64 fmt_leaf_new(u64 attr, unsigned lg2, unsigned level)
{
	return attr | (level ? 0 : LPAE_TYPE) | (lg2 == fmt_item_lg2(level) ? 0 : LPAE_CONT);
}

static inline u64 fmt_leaf_at(u64 leaf, u64 pa)
{
	return leaf | lpae_oa(pa);
}

static inline unsigned fmt_leaf_lg2(u64 e, unsigned level)
{
	return fmt_item_lg2(level) + (e & LPAE_CONT ? lpae_group_lg2(level) : 0);
}

static inline u64 fmt_leaf_pa(u64 e, unsigned level)
{
	return ALIGN_DOWN(fmt_table_pa(e), BIT_ULL(fmt_leaf_lg2(e, level)));
}

static inline unsigned fmt_leaf_prot(u64 e)
{
	unsigned prot = (e & LPAE_XN) == LPAE_XN ? PT_PROT_NOEXEC : 0;

	if (FMT_STAGE == 1)
		return prot | PT_PROT_READ | (e & LPAE_DBM || !(e & LPAE_AP2) ? PT_PROT_WRITE : 0) |
		       (e & LPAE_AP1 ? 0 : PT_PROT_PRIV);
	return prot | (e & LPAE_S2R ? PT_PROT_READ : 0) |
	       (e & (LPAE_DBM | LPAE_S2W) ? PT_PROT_WRITE : 0);
}

static inline u64 fmt_table_new(u64 pa, unsigned level)
{
	(void)level;
	return LPAE_VALID | LPAE_TYPE | lpae_oa(pa);
}

static inline bool fmt_dirty(u64 e)
{
	if (FMT_STAGE == 1)
		return (e & (LPAE_DBM | LPAE_AP2)) == LPAE_DBM;
	return (e & (LPAE_DBM | LPAE_S2W)) == (LPAE_DBM | LPAE_S2W);
}

static inline bool fmt_dirty_can(u64 e)
{
	return e & LPAE_DBM;
}

static inline u64 fmt_dirty_set(u64 e)
{
	return FMT_STAGE == 1 ? e & ~LPAE_AP2 : e | LPAE_S2W;
}

static inline u64 fmt_dirty_clear(u64 e)
{
	return FMT_STAGE == 1 ? e | LPAE_AP2 : e & ~LPAE_S2W;
}

static inline u64 fmt_leaf_common(u64 e)
{
	return e & LPAE_DBM ? fmt_dirty_clear(e) : e;
}

static inline u64 fmt_leaf_attr(u64 e)
{
	return fmt_leaf_common(e) & ~(LPAE_OA | LPAE_TYPE | LPAE_CONT);
}

static inline const char *fmt_entry_error(u64 e, unsigned level)
{
	u64 known = LPAE_VALID | LPAE_TYPE | LPAE_OA;

	if (fmt_is_table(e, level))
		return e & ~(known | LPAE_SW) ? "reserved bits of an entry are set" : NULL;
	if (!fmt_is_leaf(e, level))
		return "an entry that is not valid is not empty";
	if (level > lpae_leaf_max(FMT_MAX_OA_LG2))
		return "a leaf in a level that has none";
	/* rights, the mark and, if there, SH lie between */
	known |= LPAE_ATTR | LPAE_AP1 | LPAE_AP2 | LPAE_SH | LPAE_AF | LPAE_DBM | LPAE_XN;
	known |= FMT_STAGE == 1 ? LPAE_NG : 0;
	known |= lpae_group_lg2(level) ? LPAE_CONT : 0;
	if (e & ~known)
		return "reserved bits of an entry are set";
	if (!(e & LPAE_AF))
		return "a leaf is not marked as accessed";
	if (!(fmt_leaf_prot(e) & (PT_PROT_READ | PT_PROT_WRITE)))
		return "a leaf without rights";
	if (fmt_table_pa(e) & (BIT_ULL(fmt_item_lg2(level)) - 1))
		return "the address of a leaf is not aligned to its size";
	return NULL;
}
