/* SPDX-License-Identifier: MIT */
/*
 * What Intel's tables have in common: 512 entries of a page of 4 KiB each, one item an entry, a
 * bit (PS) that makes a leaf of an entry above the last level.  Included by a format that
 * has defined FMT_PS and FMT_ADDRESS, the bits of an entry's address.
 */
#define FMT_INDEX_BITS	9
#define FMT_MAX_LEVEL	4u
#define FMT_START_LEVEL FMT_MIN_TOP
#define FMT_MAX_VA_LG2	57u
#define FMT_MAX_OA_LG2	52u
#define FMT_ITEM_OWN_PA 0

static inline unsigned fmt_item_lg2(unsigned level)
{
	return 12 + level * FMT_INDEX_BITS;
}

static inline unsigned fmt_table_bits(unsigned level)
{
	(void)level;
	return FMT_INDEX_BITS;
}

static inline unsigned fmt_top_bits(unsigned level, unsigned max_va_lg2)
{
	(void)max_va_lg2;
	return fmt_table_bits(level);
}

static inline u64 fmt_pgsizes(unsigned oa_lg2)
{
	(void)oa_lg2;
	return BIT_ULL(12) | BIT_ULL(21) | BIT_ULL(30);
}

static inline unsigned fmt_leaf_level(unsigned lg2)
{
	return (lg2 - 12) / FMT_INDEX_BITS;
}

static inline u64 fmt_leaf_new(u64 attr, unsigned lg2, unsigned level)
{
	(void)lg2;
	return level ? attr | FMT_PS : attr;
}

static inline u64 fmt_leaf_at(u64 leaf, u64 pa)
{
	return leaf | pa;
}

static inline unsigned fmt_leaf_lg2(u64 e, unsigned level)
{
	(void)e;
	return fmt_item_lg2(level);
}

static inline u64 fmt_leaf_pa(u64 e, unsigned level)
{
	return ALIGN_DOWN(e & FMT_ADDRESS, BIT_ULL(fmt_item_lg2(level)));
}

static inline u64 fmt_table_pa(u64 e)
{
	return e & FMT_ADDRESS;
}

static inline bool fmt_dirty_can(u64 e)
{
	(void)e;
	return true;
}
