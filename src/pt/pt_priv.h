/* SPDX-License-Identifier: MIT */
/*
 * What pt.c and the compiled formats share: the node beside a table, and the
 * words of a table that waits to be freed.
 */
#ifndef PT_PT_PRIV_H
#define PT_PT_PRIV_H

#include "pt/pt.h"

/* One 64-bit word of a table, read and written by devices too. */
typedef _Atomic u64 pt_item;

/* No format has more levels: 64 bits of address, 7 bits at the least per level. */
#define PT_MAX_LEVELS 8

/*
 * The software's side of a table of level 1 or higher.  There is one for some
 * 512 tables of level 0, which have none.
 *
 * @child mirrors the table entries: the node below, or at level 1 the host
 * address of the items below.  It spares walkers the way from a physical to a
 * host address.
 *
 * @dirty has one bit for each item: "this leaf, or a leaf somewhere below this
 * table, may be dirty".  Whoever sets a leaf's dirty mark sets these bits after
 * it, upwards from the leaf; whoever collects marks clears them downwards, each
 * before it looks at what the bit stands for.  Between two neighbours that is
 * the classic store-then-load on both sides, so all of it is seq_cst: either
 * the collector finds the mark, or the setter finds the bit cleared and sets it
 * for the next collector.  A bit set for nothing costs a look, no more.
 */
struct pt_node {
	/* immutable after it is published */
	pt_item *items;
	u64 pa;
	u64 last; /* as the top: last iova it reaches */
	u64 mask; /* number of items less 1 */
	unsigned level;
	unsigned lg2_size;
	pt_item *dirty;

	_Atomic(void *) child[];
};

/* Words of a table on its way out; 0 in the low three bits is "not present" in every format. */
enum pt_link {
	PT_LINK_NEXT, /* host address of the next such table */
	PT_LINK_SELF, /* own physical address, lg2 of the size in bits 8:3 */
	PT_LINK_NODE, /* the node beside it or NULL */
};

#define PT_LINK_LG2_SHIFT 3
#define PT_LINK_PA_SHIFT  12

static inline u64 item_load(const pt_item *item)
{
	return atomic_load_explicit(item, memory_order_relaxed);
}

static inline u64 item_load_acquire(const pt_item *item)
{
	return atomic_load_explicit(item, memory_order_acquire);
}

static inline void item_store(pt_item *item, u64 value)
{
	atomic_store_explicit(item, value, memory_order_relaxed);
}

static inline void item_store_release(pt_item *item, u64 value)
{
	atomic_store_explicit(item, value, memory_order_release);
}

/* Is every one of @n items taken / free?  Returns the index of the first that is not, or @n. */
static inline u64 items_taken(const pt_item *items, u64 n)
{
	u64 i;

	for (i = 0; i < n; i++)
		if (!item_load(&items[i]))
			break;
	return i;
}

static inline u64 items_free(const pt_item *items, u64 n)
{
	u64 i = 0;

	for (; i + 4 <= n; i += 4)
		if (item_load(&items[i]) | item_load(&items[i + 1]) | item_load(&items[i + 2]) |
		    item_load(&items[i + 3]))
			break;
	while (i < n && !item_load(&items[i]))
		i++;
	return i;
}

/* Size and alignment of the memory for a table of 2^@bits items: at least a frame. */
static inline unsigned pt_table_lg2_size(unsigned bits)
{
	return MAX(bits + 3, PT_LINK_PA_SHIFT);
}

struct pt_node *pt_node_alloc(struct pt_table *pt, unsigned level, unsigned item_lg2,
			      unsigned bits);
void pt_node_free(struct pt_table *pt, struct pt_node *node);

/* pt_link_push() - put a table in front of @list; @node may be NULL */
void pt_link_push(void **list, pt_item *table, u64 pa, unsigned lg2_size, struct pt_node *node);
void pt_retire(struct pt_table *pt, void *list);
void pt_gather_retired(struct pt_table *pt, struct pt_gather *gather);

#endif
