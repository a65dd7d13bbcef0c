/* SPDX-License-Identifier: MIT */
/*
 * The part of the page table room that knows no format: nodes, and tables on
 * their way out.
 *
 * Unmapping must not need memory, and a table that was taken out may still be
 * read by walkers, so the list of such tables is threaded through the tables
 * themselves: words at their beginning (enum pt_link) become values that are
 * multiples of eight.  In every format an entry whose low three bits are 0 is
 * not present, so a late walker meets a hole.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "pt/pt_priv.h"

/* A node with its (empty) table; its words and children are laid behind it in one allocation. */
struct pt_node *pt_node_alloc(struct pt_table *pt, unsigned level, unsigned item_lg2, unsigned bits)
{
	u64 count = BIT_ULL(bits);
	u64 words = (count + 63) / 64;
	struct pt_node *node;

	node = zalloc(sizeof(*node) + count * sizeof(node->child[0]) + words * sizeof(pt_item));
	if (!node)
		return NULL;
	node->level = level;
	node->mask = count - 1;
	node->last = item_lg2 + bits >= 64 ? ~0ULL : BIT_ULL(item_lg2 + bits) - 1;
	node->lg2_size = pt_table_lg2_size(bits);
	node->dirty = (pt_item *)&node->child[count];
	node->items = pt->cfg.alloc->table_alloc(pt->cfg.alloc_ctx, node->lg2_size, &node->pa);
	if (!node->items) {
		free(node);
		return NULL;
	}
	if (pt->cfg.flush)
		pt->cfg.flush(pt, node->items, BIT_ULL(node->lg2_size));
	return node;
}

void pt_node_free(struct pt_table *pt, struct pt_node *node)
{
	pt->cfg.alloc->table_free(pt->cfg.alloc_ctx, node->items, node->pa, node->lg2_size);
	free(node);
}

void pt_link_push(void **list, pt_item *table, u64 pa, unsigned lg2_size, struct pt_node *node)
{
	/* a walker that meets a word must also see that the table was replaced: release */
	item_store_release(&table[PT_LINK_NODE], (u64)(uintptr_t)node);
	item_store_release(&table[PT_LINK_SELF], pa | (u64)lg2_size << PT_LINK_LG2_SHIFT);
	item_store_release(&table[PT_LINK_NEXT], (u64)(uintptr_t)*list);
	*list = table;
}

static pt_item *link_next(pt_item *table)
{
	return (pt_item *)(uintptr_t)item_load(&table[PT_LINK_NEXT]);
}

/* Keep the tables of @list, emptied by a map, until somebody comes with a gather. */
void pt_retire(struct pt_table *pt, void *list)
{
	void *old = atomic_load_explicit(&pt->retired, memory_order_relaxed);
	pt_item *tail = list;

	while (link_next(tail))
		tail = link_next(tail);
	do
		item_store(&tail[PT_LINK_NEXT], (u64)(uintptr_t)old);
	while (!atomic_compare_exchange_weak_explicit(&pt->retired, &old, list,
						      memory_order_release, memory_order_relaxed));
}

/* The list is only ever taken whole, so pushing by compare-exchange above is sound. */
void pt_gather_retired(struct pt_table *pt, struct pt_gather *gather)
{
	pt_item *table;

	assert(pt_gather_empty(gather) ||
	       (gather->alloc == pt->cfg.alloc && gather->alloc_ctx == pt->cfg.alloc_ctx));
	gather->alloc = pt->cfg.alloc;
	gather->alloc_ctx = pt->cfg.alloc_ctx;
	if (likely(!atomic_load_explicit(&pt->retired, memory_order_relaxed)))
		return;
	table = atomic_exchange_explicit(&pt->retired, NULL, memory_order_acquire);
	while (table) {
		pt_item *next = link_next(table);

		item_store(&table[PT_LINK_NEXT], (u64)(uintptr_t)gather->tables);
		gather->tables = table;
		table = next;
	}
}

void pt_gather_free(struct pt_gather *gather)
{
	pt_item *table = gather->tables;

	while (table) {
		pt_item *next = link_next(table);
		u64 self = item_load(&table[PT_LINK_SELF]);
		unsigned lg2_size = (self & (BIT_ULL(PT_LINK_PA_SHIFT) - 1)) >> PT_LINK_LG2_SHIFT;

		free((void *)(uintptr_t)item_load(&table[PT_LINK_NODE]));
		gather->alloc->table_free(gather->alloc_ctx, table,
					  ALIGN_DOWN(self, BIT_ULL(PT_LINK_PA_SHIFT)), lg2_size);
		table = next;
	}
	gather->tables = NULL;
}
