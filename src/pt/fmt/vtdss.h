/* SPDX-License-Identifier: MIT */
/*
 * The bits of Intel VT-d's second stage table (section 9.8 of its manual), with 3,
 * 4 or 5 levels.
 *
 *   63 62 61:52    51:12    11  10  9 8 7  6    5:3 2 1 0
 *   -  TM ignored  address  SNP -   D A PS IPAT EMT X W R
 *
 * There is no present bit: an entry counts if R or W is set.  X counts in no
 * translation we make and stays 0.  PS makes a leaf of an entry of the 2nd and 3rd
 * level, if the unit has those sizes (pgsize_mask).  Rights are the AND over all
 * levels; tables grant both.  SNP makes the device snoop whatever it asks for.  Hardware
 * may set A in tables, too.
 */
#include "pt/pt_priv.h"

#define SS_R	      BIT_ULL(0)
#define SS_W	      BIT_ULL(1)
#define SS_PS	      BIT_ULL(7)
#define SS_A	      BIT_ULL(8)
#define SS_D	      BIT_ULL(9)
#define SS_SNP	      BIT_ULL(11)
#define SS_OA	      (BIT_ULL(52) - BIT_ULL(12))
#define SS_SW	      BIT_ULL(52)

#define FMT_MIN_TOP	2u
#define FMT_FEATURES	(PT_FEAT_DIRTY | PT_FEAT_NEW_DIRTY | PT_FEAT_FORCE_COHERENT)
#define FMT_FLUSHED	SS_SW
#define FMT_PS		SS_PS
#define FMT_ADDRESS	SS_OA

#include "pt/fmt/ps_entry.h"

static inline bool fmt_is_leaf(u64 e, unsigned level)
{
	return (e & (SS_R | SS_W)) && (!level || (e & SS_PS));
}

static inline bool fmt_is_table(u64 e, unsigned level)
{
	return level && (e & (SS_R | SS_W)) && !(e & SS_PS);
}

static inline int fmt_attr(const struct pt_cfg *cfg, unsigned prot, u64 *ret)
{
	u64 attr = 0;

	if (prot & PT_PROT_READ)
		attr |= SS_R;
	if (prot & PT_PROT_WRITE)
		attr |= SS_W;
	if (cfg->features & PT_FEAT_FORCE_COHERENT)
		attr |= SS_SNP;
	if (cfg->features & PT_FEAT_NEW_DIRTY && prot & PT_PROT_WRITE)
		attr |= SS_A | SS_D;
	*ret = attr;
	return 0;
}

static inline unsigned fmt_leaf_prot(u64 e)
{
	return (e & SS_R ? PT_PROT_READ : 0) | (e & SS_W ? PT_PROT_WRITE : 0);
}

static inline u64 fmt_table_new(u64 pa, unsigned level)
{
	(void)level;
	return SS_R | SS_W | pa;
}

static inline bool fmt_dirty(u64 e)
{
	return e & SS_D;
}

static inline u64 fmt_dirty_set(u64 e)
{
	return e | SS_A | SS_D;
}

static inline u64 fmt_dirty_clear(u64 e)
{
	return e & ~SS_D;
}

static inline u64 fmt_leaf_common(u64 e)
{
	return e & ~(SS_A | SS_D);
}

static inline u64 fmt_leaf_attr(u64 e)
{
	return fmt_leaf_common(e) & ~(SS_OA | SS_PS);
}

static inline const char *fmt_entry_error(u64 e, unsigned level)
{
	u64 known = SS_R | SS_W | SS_OA;

	if (fmt_is_table(e, level))
		return e & ~(known | SS_A | SS_SW) ? "reserved bits of an entry are set" : NULL;
	if (!fmt_is_leaf(e, level))
		return "an entry without rights is not empty";
	if (level > 2)
		return "a leaf in the 4th level or above";
	known |= SS_A | SS_D | SS_SNP | (level ? SS_PS : 0);
	if (e & ~known)
		return "reserved bits of an entry are set";
	if (e & SS_OA & (BIT_ULL(fmt_item_lg2(level)) - 1))
		return "the address of a leaf is not aligned to its size";
	return NULL;
}
