/* SPDX-License-Identifier: MIT */
/*
 * The bits of a RISC-V table, Sv39, Sv48 or Sv57 (privileged manual, "Supervisor-level
 * ISA"), and of the second stage, Sv39x4 to Sv57x4 (the same, "Two-Stage Address
 * Translation"), which differ in the root alone: two more index bits, 16 KiB.
 *
 *   63 62:61 60:54     53:10  9:8  7 6 5 4 3 2 1 0
 *   N  PBMT  reserved  PPN    RSW  D A G U X W R V
 *
 * An entry with none of R, W, X points to a table and has nothing else set.  A leaf
 * may be on every level.  N with 8 in the low four bits of PPN is one of 16 equal
 * items of a 64 KiB entry (Svnapot, leave 64 KiB out of pgsize_mask without it).
 * PBMT is the memory type (Svpbmt, PT_FEAT_PBMT): 1 not cached, 2 I/O.
 *
 * W without R is reserved, so there is no "write only".  Leaves are born accessed,
 * and writable ones dirty if nobody tracks that: hardware may not update these bits
 * and fault instead.  iovas of the first stage are sign-extended; as with x86-64
 * the table takes the low bits.  The second stage demands U.
 *
 * The including file defines FMT_X4: 1 for the second stage.
 */
#ifndef FMT_X4
#error "define the stage before including the format"
#endif

#include "pt/pt_priv.h"

#define RV_V	      BIT_ULL(0)
#define RV_R	      BIT_ULL(1)
#define RV_W	      BIT_ULL(2)
#define RV_X	      BIT_ULL(3)
#define RV_U	      BIT_ULL(4)
#define RV_A	      BIT_ULL(6)
#define RV_D	      BIT_ULL(7)
#define RV_RSW	      BIT_ULL(8)
#define RV_PPN_SHIFT  10
#define RV_PPN	      (BIT_ULL(54) - BIT_ULL(RV_PPN_SHIFT))
#define RV_PBMT_SHIFT 61
#define RV_PBMT	      (3ULL << RV_PBMT_SHIFT)
#define RV_PBMT_NC    (1ULL << RV_PBMT_SHIFT)
#define RV_PBMT_IO    (2ULL << RV_PBMT_SHIFT)
#define RV_N	      BIT_ULL(63)
#define RV_NAPOT_LG2  16u
#define RV_NAPOT      (8ULL << RV_PPN_SHIFT) /* in the low bits of PPN */
#define RV_INDEX_BITS 9

#define FMT_MIN_TOP	2u
#define FMT_MAX_LEVEL	4u
#define FMT_START_LEVEL FMT_MIN_TOP
#define FMT_MAX_VA_LG2	(FMT_X4 ? 59u : 57u)
#define FMT_MAX_OA_LG2	56u
#define FMT_FEATURES	(PT_FEAT_DIRTY | PT_FEAT_NEW_DIRTY | PT_FEAT_PBMT)
#define FMT_FLUSHED	RV_RSW
#define FMT_ITEM_OWN_PA 0

static inline unsigned fmt_item_lg2(unsigned level)
{
	return 12 + level * RV_INDEX_BITS;
}

static inline unsigned fmt_table_bits(unsigned level)
{
	(void)level;
	return RV_INDEX_BITS;
}

static inline unsigned fmt_top_bits(unsigned level, unsigned max_va_lg2)
{
	(void)max_va_lg2;
	return fmt_table_bits(level) + (FMT_X4 ? 2 : 0);
}

static inline u64 fmt_pgsizes(unsigned oa_lg2)
{
	(void)oa_lg2;
	return BIT_ULL(12) | BIT_ULL(RV_NAPOT_LG2) | BIT_ULL(21) | BIT_ULL(30) | BIT_ULL(39) |
	       BIT_ULL(48);
}

static inline unsigned fmt_leaf_level(unsigned lg2)
{
	return (lg2 - 12) / RV_INDEX_BITS;
}

static inline bool fmt_is_leaf(u64 e, unsigned level)
{
	(void)level;
	return (e & RV_V) && (e & (RV_R | RV_X));
}

static inline bool fmt_is_table(u64 e, unsigned level)
{
	return level && (e & (RV_V | RV_R | RV_W | RV_X)) == RV_V;
}

static inline int fmt_attr(const struct pt_cfg *cfg, unsigned prot, u64 *ret)
{
	bool tracked = cfg->features & PT_FEAT_DIRTY && !(cfg->features & PT_FEAT_NEW_DIRTY);
	u64 attr = RV_V | RV_R | RV_A;

	if (prot & PT_PROT_WRITE)
		attr |= RV_W | (tracked ? 0 : RV_D);
	if (!(prot & PT_PROT_NOEXEC))
		attr |= RV_X;
	if (FMT_X4 || !(prot & PT_PROT_PRIV))
		attr |= RV_U;
	if (cfg->features & PT_FEAT_PBMT) {
		if (prot & PT_PROT_MMIO)
			attr |= RV_PBMT_IO;
		else if (!(prot & PT_PROT_CACHE))
			attr |= RV_PBMT_NC;
	}
	*ret = attr;
	return 0;
}

static inline u64 fmt_leaf_new(u64 attr, unsigned lg2, unsigned level)
{
	(void)level;
	return lg2 == RV_NAPOT_LG2 ? attr | RV_N | RV_NAPOT : attr;
}

static inline u64 riscv_ppn(u64 pa)
{
	return pa >> 12 << RV_PPN_SHIFT;
}

static inline u64 fmt_leaf_at(u64 leaf, u64 pa)
{
	return leaf | riscv_ppn(pa);
}

static inline unsigned fmt_leaf_lg2(u64 e, unsigned level)
{
	return e & RV_N ? RV_NAPOT_LG2 : fmt_item_lg2(level);
}

static inline u64 fmt_table_pa(u64 e)
{
	return (e & RV_PPN) >> RV_PPN_SHIFT << 12;
}

static inline u64 fmt_leaf_pa(u64 e, unsigned level)
{
	return ALIGN_DOWN(fmt_table_pa(e), BIT_ULL(fmt_leaf_lg2(e, level)));
}

static inline unsigned fmt_leaf_prot(u64 e)
{
	return (e & RV_R ? PT_PROT_READ : 0) | (e & RV_W ? PT_PROT_WRITE : 0) |
	       (e & RV_X ? 0 : PT_PROT_NOEXEC) | (e & RV_U ? 0 : PT_PROT_PRIV);
}

static inline u64 fmt_table_new(u64 pa, unsigned level)
{
	(void)level;
	return RV_V | riscv_ppn(pa);
}

static inline bool fmt_dirty(u64 e)
{
	return e & RV_D;
}

static inline bool fmt_dirty_can(u64 e)
{
	(void)e;
	return true;
}

static inline u64 fmt_dirty_set(u64 e)
{
	return e | RV_D;
}

static inline u64 fmt_dirty_clear(u64 e)
{
	return e & ~RV_D;
}

static inline u64 fmt_leaf_common(u64 e)
{
	return e & ~RV_D;
}

static inline u64 fmt_leaf_attr(u64 e)
{
	return fmt_leaf_common(e) & ~(RV_PPN | RV_N);
}

static inline const char *fmt_entry_error(u64 e, unsigned level)
{
	u64 known = RV_V | RV_R | RV_W | RV_X | RV_U | RV_A | RV_D | RV_PPN | RV_PBMT;

	if (fmt_is_table(e, level))
		return e & ~(RV_V | RV_PPN | RV_RSW) ? "reserved bits of an entry are set" : NULL;
	if (!level)
		known |= RV_N;
	if (e & ~known || (e & RV_PBMT) == RV_PBMT)
		return "reserved bits of an entry are set";
	if (!(e & RV_R))
		return "a leaf that cannot be read";
	if (FMT_X4 && !(e & RV_U))
		return "a leaf of the second stage is not for users";
	if (e & RV_N)
		return (e & (15ULL << RV_PPN_SHIFT)) == RV_NAPOT ? NULL : "an unknown group size";
	if (fmt_table_pa(e) & (BIT_ULL(fmt_item_lg2(level)) - 1))
		return "the address of a leaf is not aligned to its size";
	return NULL;
}
