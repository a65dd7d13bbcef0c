/* SPDX-License-Identifier: MIT */
/*
 * The bits of an x86-64 table with 4 or 5 levels, as two IOMMUs use it: Intel VT-d's
 * first stage (section 9.8 of its manual) and AMD's guest, "v2", table.
 *
 *   63  62:52    51:12     11 10  9 8 7  6 5 4   3   2  1   0
 *   XD  ignored  address   -  EA  - G PS D A PCD PWT US RW  P
 *
 * PS makes a leaf of an entry of the 2nd (2 MiB) and 3rd (1 GiB) level; at the
 * lowest all are leaves.  RW and US count only if set on all levels, XD if set on
 * one; tables grant all and leaves decide.  Reading is always allowed, so there is
 * no "write only".
 *
 * Leaves are born accessed, and writable ones dirty if nobody tracks that, which
 * spares the device the update.
 *
 * iovas are sign-extended: half of 48 or 57 bits lies at the top of 64.  The table
 * takes the low bits; that the others are right is checked by who has the whole
 * iova.  AMD's "v2" stays in the lower half, max_va_lg2 47 or 56.
 */
#include "pt/pt_priv.h"

#define X86_P	       BIT_ULL(0)
#define X86_RW	       BIT_ULL(1)
#define X86_US	       BIT_ULL(2)
#define X86_A	       BIT_ULL(5)
#define X86_D	       BIT_ULL(6)
#define X86_PS	       BIT_ULL(7)
#define X86_OA	       (BIT_ULL(52) - BIT_ULL(12))
#define X86_SW	       BIT_ULL(52)
#define X86_XD	       BIT_ULL(63)

#define FMT_MIN_TOP	3u
#define FMT_FEATURES	(PT_FEAT_DIRTY | PT_FEAT_NEW_DIRTY)
#define FMT_FLUSHED	X86_SW
#define FMT_PS		X86_PS
#define FMT_ADDRESS	X86_OA

#include "pt/fmt/ps_entry.h"

static inline bool fmt_is_leaf(u64 e, unsigned level)
{
	return (e & X86_P) && (!level || (e & X86_PS));
}

static inline bool fmt_is_table(u64 e, unsigned level)
{
	return level && (e & (X86_P | X86_PS)) == X86_P;
}

static inline int fmt_attr(const struct pt_cfg *cfg, unsigned prot, u64 *ret)
{
	bool tracked = cfg->features & PT_FEAT_DIRTY && !(cfg->features & PT_FEAT_NEW_DIRTY);
	u64 attr = X86_P | X86_A;

	if (prot & PT_PROT_WRITE)
		attr |= X86_RW | (tracked ? 0 : X86_D);
	if (!(prot & PT_PROT_PRIV))
		attr |= X86_US;
	if (prot & PT_PROT_NOEXEC)
		attr |= X86_XD;
	*ret = attr;
	return 0;
}

static inline unsigned fmt_leaf_prot(u64 e)
{
	return PT_PROT_READ | (e & X86_RW ? PT_PROT_WRITE : 0) | (e & X86_US ? 0 : PT_PROT_PRIV) |
	       (e & X86_XD ? PT_PROT_NOEXEC : 0);
}

static inline u64 fmt_table_new(u64 pa, unsigned level)
{
	(void)level;
	return X86_P | X86_RW | X86_US | X86_A | pa;
}

static inline bool fmt_dirty(u64 e)
{
	return e & X86_D;
}

static inline u64 fmt_dirty_set(u64 e)
{
	return e | X86_D;
}

static inline u64 fmt_dirty_clear(u64 e)
{
	return e & ~X86_D;
}

static inline u64 fmt_leaf_common(u64 e)
{
	return e & ~X86_D;
}

static inline u64 fmt_leaf_attr(u64 e)
{
	return fmt_leaf_common(e) & ~(X86_OA | X86_PS);
}

static inline const char *fmt_entry_error(u64 e, unsigned level)
{
	u64 known = X86_P | X86_RW | X86_US | X86_A | X86_OA | X86_XD;

	if (fmt_is_table(e, level))
		return e & ~(known | X86_SW) ? "reserved bits of an entry are set" : NULL;
	if (level > 2)
		return "a leaf in the 4th level or above";
	known |= X86_D | (level ? X86_PS : 0);
	if (e & ~known)
		return "reserved bits of an entry are set";
	if (e & X86_OA & (BIT_ULL(fmt_item_lg2(level)) - 1))
		return "the address of a leaf is not aligned to its size";
	return NULL;
}
