/* SPDX-License-Identifier: MIT */
/*
 * Part of pt_algo.h: mapping and unmapping.
 *
 * Mapping cuts the range into runs of equal entries within one table.  It walks
 * from the top once for each run and writes the run in one loop, so that a walk
 * is paid once for 512 entries.  A larger entry that meets a table looks whether
 * that is empty and takes its place.
 *
 * Unmapping goes down recursively.  A table of level 0 that lies in the range
 * and is full is not even cleared, only taken out: it goes away as it is.
 */

/* ---- taking tables out ---- */

/* Does nothing hang below this table? */
static inline bool pt_is_empty(struct pt_table *pt, pt_item *items, struct pt_node *node)
{
	u64 count = node ? node->mask + 1 : PT_LEAF_ITEMS;
	u64 i;

	if (!node)
		return items_free(items, count) == count;
	for (i = 0; i < count; i++) {
		u64 e = item_load_acquire(&items[i]);
		struct pt_node *child = node->level > 1 ? node_child(node, i) : NULL;

		if (!e)
			continue;
		if (!fmt_is_table(e, node->level) || (node->level > 1 && !child))
			return false;
		if (!pt_is_empty(pt, child ? child->items : node_leaf_table(pt, node, i, e), child))
			return false;
	}
	return true;
}

/* Put a table and all below it on @list.  @node is NULL for level 0. */
static inline void pt_collect(struct pt_table *pt, void **list, pt_item *items, u64 pa,
			      struct pt_node *node)
{
	u64 i;

	if (!node) {
		pt_link_push(list, items, pa, pt_table_lg2_size(fmt_table_bits(0)), NULL);
		return;
	}
	for (i = 0; i <= node->mask; i++) {
		u64 e = item_load_acquire(&items[i]);
		struct pt_node *child;

		if (node->level > 1) {
			child = node_child(node, i);
			if (child)
				pt_collect(pt, list, child->items, child->pa, child);
		} else if (fmt_is_table(e, 1)) {
			pt_collect(pt, list, node_leaf_table(pt, node, i, e), fmt_table_pa(e),
				   NULL);
		}
	}
	pt_link_push(list, items, pa, node->lg2_size, node);
}

/* Replace the table at @index of @node by @e, which is 0 or a leaf, and collect it. */
static inline void pt_detach(struct pt_table *pt, struct pt_node *node, u64 index, u64 e,
			     void **list)
{
	u64 old = item_load_acquire(&node->items[index]);
	void *child = node_child(node, index);
	pt_item *items;

	item_store(&node->items[index], e);
	node_child_set(node, index, NULL);
	pt_flush(pt, &node->items[index], 1);
	if (node->level > 1) {
		struct pt_node *below = child;

		pt_collect(pt, list, below->items, below->pa, below);
		return;
	}
	items = child ? child : pt->cfg.alloc->pa_to_ptr(pt->cfg.alloc_ctx, fmt_table_pa(old));
	pt_collect(pt, list, items, fmt_table_pa(old), NULL);
}

/* ---- mapping ---- */

/* The largest of @sizes that divides @align and is no more than @len. */
static inline unsigned pt_best_lg2(u64 sizes, u64 align, u64 len)
{
	if (align)
		sizes &= (2ULL << __builtin_ctzll(align)) - 1;
	sizes &= (2ULL << (63 - __builtin_clzll(len))) - 1;
	return 63 - __builtin_clzll(sizes);
}

/* How far entries of 2^@lg2 are the best choice, at most @len (their multiple). */
static inline u64 pt_run_length(u64 sizes, u64 iova, u64 pa, u64 len, unsigned lg2)
{
	u64 larger = sizes & ~((2ULL << lg2) - 1);
	u64 next = larger & -larger;
	u64 distance = -iova & (next - 1);

	if (next && !((iova ^ pa) & (next - 1)) && distance && len > distance &&
	    len - distance >= next)
		return distance;
	return ALIGN_DOWN(len, BIT_ULL(lg2));
}

/*
 * How many of the @n items from @index may take a leaf, up to the first that is
 * taken.  Tables without content make way.
 */
static inline u64 pt_make_room(struct pt_table *pt, struct pt_node *node, pt_item *items, u64 index,
			       u64 n)
{
	u64 done = items_free(&items[index], n);

	while (done < n) {
		u64 at = index + done;
		u64 e = item_load_acquire(&items[at]);
		struct pt_node *child;
		void *list = NULL;

		if (!node || !fmt_is_table(e, node->level))
			break;
		child = node->level > 1 ? node_child(node, at) : NULL;
		if (node->level > 1 && !child)
			break;
		if (!pt_is_empty(pt, child ? child->items : node_leaf_table(pt, node, at, e),
				 child))
			break;
		pt_detach(pt, node, at, 0, &list);
		pt_retire(pt, list);
		done += items_free(&items[at], n - done);
	}
	return done;
}

/* Write @n items; 2^@items_lg2 of them are one entry. */
static inline void pt_write_leaves(pt_item *items, u64 n, unsigned items_lg2, u64 leaf, u64 pa,
				   unsigned item_lg2)
{
	u64 item_size = BIT_ULL(item_lg2);
	u64 entry_mask = (item_size << items_lg2) - 1;
	u64 i;

	for (i = 0; i < n; i++, pa += item_size)
		item_store(&items[i], fmt_leaf_at(leaf, FMT_ITEM_OWN_PA ? pa : pa & ~entry_mask));
}

/*
 * Map as many entries of 2^@lg2 as are the best choice of @sizes and lie in one table,
 * somewhere below @node.
 */
static inline int pt_map_run(struct pt_table *pt, struct pt_node *node, u64 sizes, u64 iova, u64 pa,
			     u64 len, unsigned lg2, u64 attr, u64 *ret_done)
{
	unsigned level = fmt_leaf_level(lg2);
	unsigned item_lg2 = fmt_item_lg2(level);
	u64 leaf = fmt_leaf_new(attr, lg2, level);
	u64 index, count, n, room;
	pt_item *items;
	int rc;

	*ret_done = 0;
	rc = pt_descend(pt, node, iova, level, &items, &node);
	if (rc)
		return rc;

	count = node ? node->mask + 1 : PT_LEAF_ITEMS;
	index = (iova >> item_lg2) & (count - 1);
	n = pt_run_length(sizes, iova, pa, len, lg2) >> item_lg2;
	n = MIN(n, count - index);
	room = pt_make_room(pt, node, items, index, n);
	room = ALIGN_DOWN(room, BIT_ULL(lg2 - item_lg2));
	if (lg2 == item_lg2)
		pt_write_leaves(&items[index], room, 0, leaf, pa, item_lg2);
	else
		pt_write_leaves(&items[index], room, lg2 - item_lg2, leaf, pa, item_lg2);
	pt_flush(pt, &items[index], room);
	*ret_done = room << item_lg2;
	return room < n ? -EADDRINUSE : 0;
}

static inline u64 pt_allowed_sizes(struct pt_table *pt, unsigned prot)
{
	u64 small = pt->pgsize_bitmap & (2 * PAGE_SIZE - 1);

	if (!(prot & PT_PROT_PAGES))
		return pt->pgsize_bitmap;
	return small ? small : pt->pgsize_bitmap & -pt->pgsize_bitmap;
}

static int pt_map_range(struct pt_table *pt, u64 iova, u64 pa, u64 len, unsigned prot,
			u64 *ret_mapped)
{
	u64 smallest = pt->pgsize_bitmap & -pt->pgsize_bitmap;
	u64 sizes = pt_allowed_sizes(pt, prot);
	u64 left = len;
	u64 attr;
	int rc;

	*ret_mapped = 0;
	if (!len || (iova | pa | len) & (smallest - 1))
		return -EINVAL;
	if (!(prot & (PT_PROT_READ | PT_PROT_WRITE)))
		return -EINVAL;
	if (iova > pt->aperture_last || len - 1 > pt->aperture_last - iova)
		return -ERANGE;
	if (pa > pt->oa_last || len - 1 > pt->oa_last - pa)
		return -ERANGE;
	rc = fmt_attr(&pt->cfg, prot, &attr);
	while (unlikely(iova + len - 1 > pt_top(pt)->last) && !rc)
		rc = pt_grow(pt, pt_top(pt)->level + 1);

	while (left && !rc) {
		unsigned lg2 = pt_best_lg2(sizes, iova | pa, left);
		u64 done;

		if (unlikely(fmt_leaf_level(lg2) > pt_top(pt)->level)) {
			rc = pt_grow(pt, fmt_leaf_level(lg2));
			if (rc)
				break;
		}
		rc = pt_map_run(pt, pt_top(pt), sizes, iova, pa, left, lg2, attr, &done);
		if (unlikely(pt->cfg.features & PT_FEAT_NEW_DIRTY) && done && fmt_dirty(attr))
			pt_mark_run(pt, iova, done);
		iova += done;
		pa += done;
		left -= done;
	}
	*ret_mapped = len - left;
	return rc;
}

/* ---- unmapping ---- */

static inline u64 pt_unmap_table(struct pt_table *pt, pt_item *items, struct pt_node *node,
				 u64 iova, u64 len, struct pt_gather *gather);

/* The part of a range that lies below the table entry at @index. */
static inline u64 pt_unmap_below(struct pt_table *pt, struct pt_node *node, u64 index, u64 e,
				 u64 iova, u64 len, struct pt_gather *gather)
{
	bool whole = len == BIT_ULL(fmt_item_lg2(node->level));
	struct pt_node *child = NULL;
	pt_item *items;
	u64 done;

	if (node->level > 1) {
		child = node_child(node, index);
		if (!child)
			return 0;
		items = child->items;
	} else {
		items = node_leaf_table(pt, node, index, e);
	}
	if (whole && !child && items_taken(items, PT_LEAF_ITEMS) == PT_LEAF_ITEMS) {
		pt_detach(pt, node, index, 0, &gather->tables);
		return len;
	}
	done = pt_unmap_table(pt, items, child, iova, len, gather);
	if (whole && pt_is_empty(pt, items, child))
		pt_detach(pt, node, index, 0, &gather->tables);
	return done;
}

/* Unmap from @iova on within one table; stops where unmap_range() is to stop. */
static inline u64 pt_unmap_table(struct pt_table *pt, pt_item *items, struct pt_node *node,
				 u64 iova, u64 len, struct pt_gather *gather)
{
	unsigned level = node ? node->level : 0;
	unsigned item_lg2 = fmt_item_lg2(level);
	u64 count = node ? node->mask + 1 : PT_LEAF_ITEMS;
	u64 index = (iova >> item_lg2) & (count - 1);
	u64 begin = count, end = 0;
	u64 left = len;

	while (left && index < count) {
		u64 e = item_load_acquire(&items[index]);
		u64 want, done;

		if (fmt_is_leaf(e, level)) {
			want = done = BIT_ULL(fmt_leaf_lg2(e, level));
			if (iova & (want - 1) || want > left)
				break;
			begin = MIN(begin, index);
			for (end = index + (want >> item_lg2); index < end; index++)
				item_store(&items[index], 0);
		} else if (node && fmt_is_table(e, level)) {
			want = MIN(left, BIT_ULL(item_lg2) - (iova & (BIT_ULL(item_lg2) - 1)));
			done = pt_unmap_below(pt, node, index, e, iova, want, gather);
			index++;
		} else {
			break;
		}
		iova += done;
		left -= done;
		if (done < want)
			break;
	}
	if (begin < end)
		pt_flush(pt, &items[begin], end - begin);
	return len - left;
}

static u64 pt_unmap_range(struct pt_table *pt, u64 iova, u64 len, struct pt_gather *gather)
{
	struct pt_node *top = pt_top(pt);

	pt_gather_retired(pt, gather);
	if (!len || iova > top->last)
		return 0;
	return pt_unmap_table(pt, top->items, top, iova, MIN(len - 1, top->last - iova) + 1,
			      gather);
}
