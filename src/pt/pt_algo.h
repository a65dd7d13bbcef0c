/* SPDX-License-Identifier: MIT */
/*
 * The algorithm, compiled once per format: fmt/<format>.c includes the format's
 * bits (see fmt/amdv1.h for what they must define), then this.  All of it is
 * static and inlined into the operations at the end, so that reading an entry is
 * a few instructions and never a call.
 *
 * Here: the walk, the installation of tables, and the operations.  Mapping and
 * unmapping, dirty marks, cutting and joining entries, and checking are in the
 * pt_algo_*.h files below.
 *
 * The rule that keeps walkers right: whoever stores an entry that points to a
 * table does so with release after the table is ready, and walkers load with
 * acquire.  Leaves need no order of their own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "pt/pt_priv.h"

/* The granule's bits: index and size of a table of level 0. */
#define PT_LEAF_ITEMS (BIT_ULL(fmt_table_bits(0)))

static inline struct pt_node *pt_top(struct pt_table *pt)
{
	return atomic_load_explicit(&pt->top, memory_order_acquire);
}

static inline u64 node_index(const struct pt_node *node, u64 iova)
{
	return (iova >> fmt_item_lg2(node->level)) & node->mask;
}

static inline void *node_child(struct pt_node *node, u64 index)
{
	return atomic_load_explicit(&node->child[index], memory_order_acquire);
}

static inline void node_child_set(struct pt_node *node, u64 index, void *child)
{
	atomic_store_explicit(&node->child[index], child, memory_order_release);
}

/* Items of the level 0 table that entry @e at @index of @node, of level 1, points to. */
static inline pt_item *node_leaf_table(struct pt_table *pt, struct pt_node *node, u64 index, u64 e)
{
	pt_item *items = node_child(node, index);

	if (unlikely(!items))
		items = pt->cfg.alloc->pa_to_ptr(pt->cfg.alloc_ctx, fmt_table_pa(e));
	return items;
}

/*
 * The items of the table that entry @e at @index of @node points to, and its node (NULL
 * at level 0).  NULL if it is just going away.
 */
static inline pt_item *node_below(struct pt_table *pt, struct pt_node *node, u64 index, u64 e,
				  struct pt_node **ret_child)
{
	*ret_child = NULL;
	if (node->level == 1)
		return node_leaf_table(pt, node, index, e);
	*ret_child = node_child(node, index);
	return *ret_child ? (*ret_child)->items : NULL;
}

static inline u64 leaf_items_lg2(u64 e, unsigned level)
{
	unsigned lg2 = fmt_leaf_lg2(e, level);

	return lg2 - MIN(lg2, fmt_item_lg2(level));
}

/* ---- devices that do not snoop ---- */

/* A format without the bit belongs to devices that snoop, and pays nothing. */
static inline bool pt_flushes(struct pt_table *pt)
{
	return FMT_FLUSHED && unlikely(pt->cfg.flush != NULL);
}

static inline void pt_flush(struct pt_table *pt, const pt_item *items, u64 n)
{
	if (pt_flushes(pt))
		pt->cfg.flush(pt, items, n * sizeof(*items));
}

/*
 * Who finds a table installed by somebody else must not return before the entry
 * that points to it is flushed, and cannot tell how far the other is.  A bit that
 * hardware ignores says that it is done.
 */
static inline void pt_flush_link(struct pt_table *pt, struct pt_node *node, u64 index)
{
	pt_item *item = &node->items[index];

	/* a node without memory is nobody's but its maker's, see struct pt_scratch */
	if (!pt_flushes(pt) || !node->lg2_size || item_load_acquire(item) & FMT_FLUSHED)
		return;
	pt_flush(pt, item, 1);
	atomic_fetch_or_explicit(item, FMT_FLUSHED, memory_order_release);
}

/* ---- walking ---- */

/* struct pt_pos - the item a walk ended at */
struct pt_pos {
	pt_item *item;
	u64 e;
	unsigned level;
};

/*
 * One way down towards the leaf that translates @iova.  @path, if not NULL, gets the
 * nodes on the way by level, the top's level in path_top.  @pos is where it ended.
 *
 * What a step waits for is one load, of the child at an index that depends on
 * nothing but @iova: so the level is counted here and not read from the node.
 */
static inline bool pt_find_once(struct pt_table *pt, u64 iova, struct pt_pos *pos,
				struct pt_node **path, unsigned *path_top)
{
	struct pt_node *node = pt_top(pt);
	unsigned level = node->level;
	u64 index = iova >> fmt_item_lg2(level);

	pos->item = NULL;
	if (unlikely(iova > node->last))
		return false;
	if (path)
		*path_top = level;
	for (;;) {
		if (path)
			path[level] = node;
		pos->level = level;
		pos->item = &node->items[index];
		pos->e = item_load_acquire(pos->item);
		if (fmt_is_leaf(pos->e, level))
			return true;
		if (unlikely(!fmt_is_table(pos->e, level)))
			return false;
		if (level == 1)
			break;
		/* NULL: the entry was replaced, or removed, since it was read */
		node = node_child(node, index);
		if (unlikely(!node))
			return false;
		level--;
		index = (iova >> fmt_item_lg2(level)) & (BIT_ULL(fmt_table_bits(level)) - 1);
	}
	pos->level = 0;
	pos->item = node_leaf_table(pt, node, index, pos->e);
	pos->item += (iova >> fmt_item_lg2(0)) & (PT_LEAF_ITEMS - 1);
	pos->e = item_load_acquire(pos->item);
	return fmt_is_leaf(pos->e, 0);
}

/*
 * A way that ended in a hole is gone again: the tables on it may have been joined into
 * one entry meanwhile.  Tables are emptied after they are replaced, so who saw that sees
 * the replacement too the next time; a hole met twice at the same item is one.
 */
static __attribute__((cold, noinline)) bool pt_find_again(struct pt_table *pt, u64 iova,
							  struct pt_pos *pos, struct pt_node **path,
							  unsigned *path_top)
{
	pt_item *hole;

	do {
		hole = pos->item;
		if (pt_find_once(pt, iova, pos, path, path_top))
			return true;
	} while (pos->item != hole);
	return false;
}

static inline bool pt_find(struct pt_table *pt, u64 iova, struct pt_pos *pos, struct pt_node **path,
			   unsigned *path_top)
{
	return likely(pt_find_once(pt, iova, pos, path, path_top)) ||
	       pt_find_again(pt, iova, pos, path, path_top);
}

/* ---- installing tables ---- */

/*
 * The level 0 table below @index of a level 1 @node.  Such tables have no node,
 * so the entry itself decides who of several mappers installs it.
 */
static inline int pt_get_leaf_table(struct pt_table *pt, struct pt_node *node, u64 index,
				    pt_item **ret)
{
	unsigned lg2_size = pt_table_lg2_size(fmt_table_bits(0));
	u64 e = item_load_acquire(&node->items[index]);
	pt_item *table;
	u64 pa, want;

	if (!e) {
		table = pt->cfg.alloc->table_alloc(pt->cfg.alloc_ctx, lg2_size, &pa);
		if (!table)
			return -ENOMEM;
		pt_flush(pt, table, BIT_ULL(lg2_size) / sizeof(*table));
		want = fmt_table_new(pa, 1);
		if (atomic_compare_exchange_strong_explicit(&node->items[index], &e, want,
							    memory_order_acq_rel,
							    memory_order_acquire)) {
			node_child_set(node, index, table);
			pt_flush_link(pt, node, index);
			*ret = table;
			return 0;
		}
		pt->cfg.alloc->table_free(pt->cfg.alloc_ctx, table, pa, lg2_size);
	}
	if (!fmt_is_table(e, 1))
		return -EADDRINUSE;
	pt_flush_link(pt, node, index);
	*ret = node_leaf_table(pt, node, index, e);
	return 0;
}

/*
 * The node below @index of a @node of level 2 or higher.  The pointer to the new
 * node decides who installs it, for only from it can a loser learn the table's
 * address; then everybody makes sure that the entry is there, because what a
 * mapper writes below must be reachable when it returns.
 */
static inline int pt_get_node(struct pt_table *pt, struct pt_node *node, u64 index,
			      struct pt_node **ret)
{
	unsigned level = node->level;
	u64 e = item_load_acquire(&node->items[index]);
	void *child = node_child(node, index);
	u64 want;

	if (e && !fmt_is_table(e, level))
		return -EADDRINUSE;
	if (!child) {
		struct pt_node *fresh = pt_node_alloc(pt, level - 1, fmt_item_lg2(level - 1),
						      fmt_table_bits(level - 1));

		if (!fresh)
			return -ENOMEM;
		if (atomic_compare_exchange_strong_explicit(&node->child[index], &child, fresh,
							    memory_order_acq_rel,
							    memory_order_acquire))
			child = fresh;
		else
			pt_node_free(pt, fresh);
	}
	*ret = child;
	want = fmt_table_new((*ret)->pa, level);
	e = item_load(&node->items[index]);
	if (!e)
		atomic_compare_exchange_strong_explicit(&node->items[index], &e, want,
							memory_order_acq_rel, memory_order_acquire);
	/* what else it says are marks of ours and of hardware that sets them in tables */
	if (e && (!fmt_is_table(e, level) || fmt_table_pa(e) != (*ret)->pa))
		return -EADDRINUSE;
	pt_flush_link(pt, node, index);
	return 0;
}

/*
 * The items at @level on the way from @node to @iova, with what is missing installed;
 * @ret_node is NULL for level 0.
 */
static inline int pt_descend(struct pt_table *pt, struct pt_node *node, u64 iova, unsigned level,
			     pt_item **ret_items, struct pt_node **ret_node)
{
	int rc;

	while (node->level > MAX(level, 1u)) {
		rc = pt_get_node(pt, node, node_index(node, iova), &node);
		if (rc)
			return rc;
	}
	if (!level) {
		*ret_node = NULL;
		return pt_get_leaf_table(pt, node, node_index(node, iova), ret_items);
	}
	*ret_node = node;
	*ret_items = node->items;
	return 0;
}

/*
 * Put one more level on top.  The owner hears of it before anybody can use it, so
 * that no mapping is made that its devices cannot reach.  Something below may be
 * dirty, for all we know; set_dirty() looks for a new top after it has marked its
 * path, so what it misses here it marks again.
 */
static inline int pt_grow(struct pt_table *pt, unsigned level)
{
	struct pt_node *old, *top;
	int rc = 0;

	mutex_lock(&pt->grow);
	while ((old = pt_top(pt))->level < level) {
		unsigned up = old->level + 1;

		top = pt_node_alloc(pt, up, fmt_item_lg2(up), fmt_table_bits(up));
		if (!top) {
			rc = -ENOMEM;
			break;
		}
		item_store(&top->items[0], fmt_table_new(old->pa, up));
		node_child_set(top, 0, old);
		item_store(&top->dirty[0], 1);
		if (pt->cfg.top_changed)
			pt->cfg.top_changed(pt, top->pa, up);
		atomic_store_explicit(&pt->top, top, memory_order_seq_cst);
	}
	mutex_unlock(&pt->grow);
	return rc;
}

#include "pt/pt_algo_dirty.h"
#include "pt/pt_algo_map.h"
#include "pt/pt_algo_cut.h"
#include "pt/pt_algo_check.h"

/* ---- the other operations ---- */

static u64 pt_pgsize_bitmap(struct pt_table *pt)
{
	return pt->pgsize_bitmap;
}

static u64 pt_best_size(struct pt_table *pt, u64 iova, u64 pa, u64 len)
{
	u64 smallest = pt->pgsize_bitmap & -pt->pgsize_bitmap;

	if (len < smallest || (iova | pa) & (smallest - 1))
		return 0;
	return BIT_ULL(pt_best_lg2(pt->pgsize_bitmap, iova | pa, len));
}

static u64 pt_root(struct pt_table *pt, unsigned *ret_level)
{
	struct pt_node *top = pt_top(pt);

	*ret_level = top->level;
	return top->pa;
}

static int pt_walk(struct pt_table *pt, u64 iova, struct pt_walk *ret)
{
	struct pt_pos pos;
	u64 within;

	if (!pt_find(pt, iova, &pos, NULL, NULL))
		return -ENOENT;
	ret->lg2 = fmt_leaf_lg2(pos.e, pos.level);
	within = iova & (BIT_ULL(ret->lg2) - 1);
	ret->pa = fmt_leaf_pa(pos.e, pos.level) + within;
	ret->run = BIT_ULL(ret->lg2) - within;
	ret->prot = fmt_leaf_prot(pos.e);
	ret->dirty = fmt_dirty(pos.e);
	return 0;
}

static int pt_iova_to_phys(struct pt_table *pt, u64 iova, u64 *ret_pa, u64 *ret_run)
{
	struct pt_pos pos;
	u64 size, within;

	if (!pt_find(pt, iova, &pos, NULL, NULL))
		return -ENOENT;
	size = BIT_ULL(fmt_leaf_lg2(pos.e, pos.level));
	within = iova & (size - 1);
	*ret_pa = fmt_leaf_pa(pos.e, pos.level) + within;
	*ret_run = size - within;
	return 0;
}

static void pt_fini(struct pt_table *pt)
{
	struct pt_node *top = pt_top(pt);
	struct pt_gather gather;

	pt_gather_init(&gather);
	pt_gather_retired(pt, &gather);
	pt_collect(pt, &gather.tables, top->items, top->pa, top);
	pt_gather_free(&gather);
	mutex_destroy(&pt->grow);
}

#define PT_CAT_(a, b, c) a##b##c
#define PT_CAT(a, b, c)	 PT_CAT_(a, b, c)
#define PT_STR_(a)	 #a
#define PT_STR(a)	 PT_STR_(a)

static const struct pt_ops pt_format_ops = {
	.name = PT_STR(FMT_NAME),
	.pgsize_bitmap = pt_pgsize_bitmap,
	.best_size = pt_best_size,
	.root = pt_root,
	.map_range = pt_map_range,
	.unmap_range = pt_unmap_range,
	.iova_to_phys = pt_iova_to_phys,
	.walk = pt_walk,
	.set_dirty = pt_set_dirty,
	.read_and_clear_dirty = pt_read_and_clear_dirty,
	.cut = pt_cut,
	.collapse = pt_collapse,
	.check = pt_check,
	.dump = pt_dump,
	.fini = pt_fini,
};

/* The lowest level whose top table reaches all iovas. */
static inline unsigned pt_level_for(unsigned va_lg2)
{
	unsigned level = FMT_MIN_TOP;

	while (level < FMT_MAX_LEVEL && fmt_item_lg2(level) + fmt_top_bits(level, va_lg2) < va_lg2)
		level++;
	return level;
}

/* The page sizes of the format that @cfg and a top of @level leave. */
static inline u64 pt_sizes_for(const struct pt_cfg *cfg, unsigned level, unsigned va_lg2,
			       unsigned oa_lg2)
{
	u64 sizes = fmt_pgsizes(oa_lg2);
	unsigned lg2;

	/* an entry that is all there is would want a level above the top */
	sizes &= BIT_ULL(MIN(va_lg2, oa_lg2)) - 1;
	if (cfg->pgsize_mask)
		sizes &= cfg->pgsize_mask;
	for (lg2 = fmt_item_lg2(0); lg2 < 64; lg2++)
		if (sizes & BIT_ULL(lg2) && fmt_leaf_level(lg2) > level &&
		    !(cfg->features & PT_FEAT_DYNAMIC_TOP))
			sizes &= ~BIT_ULL(lg2);
	return sizes;
}

/**
 * pt_<format>_init() - an empty table
 * Return: 0, -EINVAL for widths or page sizes the format has not, -EOPNOTSUPP for
 * features, -ENOMEM.
 */
int PT_CAT(pt_, FMT_NAME, _init)(struct pt_table *pt, const struct pt_cfg *cfg)
{
	unsigned va_lg2 = cfg->max_va_lg2 ? cfg->max_va_lg2 : FMT_MAX_VA_LG2;
	unsigned oa_lg2 = cfg->max_oa_lg2 ? cfg->max_oa_lg2 : FMT_MAX_OA_LG2;
	unsigned full = pt_level_for(va_lg2);
	unsigned level = cfg->top_level;
	struct pt_node *top;
	unsigned bits;
	u64 sizes;

	if (cfg->features & ~FMT_FEATURES || (cfg->flush && !FMT_FLUSHED))
		return -EOPNOTSUPP;
	if (!level)
		level = cfg->features & PT_FEAT_DYNAMIC_TOP ? MIN(full, FMT_START_LEVEL) : full;
	if (va_lg2 > FMT_MAX_VA_LG2 || oa_lg2 > FMT_MAX_OA_LG2)
		return -EINVAL;
	if (level < FMT_MIN_TOP || level > FMT_MAX_LEVEL)
		return -EINVAL;
	if (level < full && !(cfg->features & PT_FEAT_DYNAMIC_TOP))
		return -EINVAL;
	bits = fmt_top_bits(level, va_lg2);
	sizes = pt_sizes_for(cfg, level, va_lg2, oa_lg2);
	if (!bits || !sizes)
		return -EINVAL;

	memset(pt, 0, sizeof(*pt));
	pt->ops = &pt_format_ops;
	pt->cfg = *cfg;
	pt->pgsize_bitmap = sizes;
	pt->aperture_last = va_lg2 == 64 ? ~0ULL : BIT_ULL(va_lg2) - 1;
	pt->oa_last = BIT_ULL(oa_lg2) - 1;
	top = pt_node_alloc(pt, level, fmt_item_lg2(level), bits);
	if (!top)
		return -ENOMEM;
	mutex_init(&pt->grow);
	atomic_init(&pt->top, top);
	return 0;
}
