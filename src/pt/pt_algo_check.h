/* SPDX-License-Identifier: MIT */
/*
 * Part of pt_algo.h: walking all of a table, to list its entries and to look for
 * damage.  Nobody maps or unmaps meanwhile; devices may set marks.
 */

/* ---- dump ---- */

struct pt_dumper {
	struct pt_table *pt;
	pt_dump_fn fn;
	void *ctx;
};

static inline int dump_table(struct pt_dumper *d, pt_item *items, struct pt_node *node, u64 base)
{
	unsigned level = node ? node->level : 0;
	unsigned item_lg2 = fmt_item_lg2(level);
	u64 count = node ? node->mask + 1 : PT_LEAF_ITEMS;
	u64 index, n, i;
	int rc = 0;

	for (index = 0; index < count && !rc; index += n) {
		u64 e = item_load_acquire(&items[index]);
		u64 iova = base + (index << item_lg2);
		bool dirty = false;

		n = 1;
		if (fmt_is_leaf(e, level)) {
			n = BIT_ULL(leaf_items_lg2(e, level));
			for (i = 0; i < n; i++)
				dirty |= fmt_dirty(item_load(&items[index + i]));
			rc = d->fn(d->ctx, iova, fmt_leaf_pa(e, level), n << item_lg2,
				   fmt_leaf_prot(e), dirty);
		} else if (fmt_is_table(e, level)) {
			struct pt_node *child = level > 1 ? node_child(node, index) : NULL;

			rc = dump_table(
				d, child ? child->items : node_leaf_table(d->pt, node, index, e),
				child, iova);
		}
	}
	return rc;
}

static int pt_dump(struct pt_table *pt, pt_dump_fn fn, void *ctx)
{
	struct pt_dumper d = {.pt = pt, .fn = fn, .ctx = ctx};
	struct pt_node *top = pt_top(pt);

	return dump_table(&d, top->items, top, 0);
}

/* ---- check ---- */

static inline bool node_dirty_test(struct pt_node *node, u64 index)
{
	return item_load(&node->dirty[index / 64]) & BIT_ULL(index % 64);
}

/* The entry whose first item is at @index; *ret_dirty if one of its items is marked. */
static inline const char *check_leaf(struct pt_table *pt, pt_item *items, struct pt_node *node,
				     u64 index, u64 *ret_n, bool *ret_dirty)
{
	unsigned level = node ? node->level : 0;
	u64 count = node ? node->mask + 1 : PT_LEAF_ITEMS;
	u64 e = item_load(&items[index]);
	unsigned lg2 = fmt_leaf_lg2(e, level);
	u64 pa = fmt_leaf_pa(e, level);
	u64 n = BIT_ULL(leaf_items_lg2(e, level));
	u64 leaf = fmt_leaf_new(fmt_leaf_attr(e), lg2, level);
	u64 i;

	if (!(pt->pgsize_bitmap & BIT_ULL(lg2)))
		return "an entry has a size that is not allowed";
	if (index & (n - 1) || index + n > count)
		return "an entry is not aligned to its size";
	if (pa > pt->oa_last || BIT_ULL(lg2) - 1 > pt->oa_last - pa)
		return "an entry points beyond the physical width";
	for (i = 0; i < n; i++) {
		u64 item = item_load(&items[index + i]);

		if (!fmt_is_leaf(item, level) ||
		    fmt_leaf_common(item) !=
			    fmt_leaf_at(leaf,
					FMT_ITEM_OWN_PA ? pa + (i << fmt_item_lg2(level)) : pa))
			return "items of one entry differ";
		if (fmt_dirty(item))
			*ret_dirty = true;
		if (node && fmt_dirty(item) && !node_dirty_test(node, index + i) &&
		    pt->cfg.features & PT_FEAT_DIRTY)
			return "a dirty leaf is missing in its table's summary";
	}
	*ret_n = n;
	return NULL;
}

static inline const char *check_table(struct pt_table *pt, pt_item *items, struct pt_node *node,
				      bool *ret_dirty);

static inline const char *check_below(struct pt_table *pt, struct pt_node *node, u64 index, u64 e,
				      bool *ret_dirty)
{
	void *at = pt->cfg.alloc->pa_to_ptr(pt->cfg.alloc_ctx, fmt_table_pa(e));
	struct pt_node *child;
	bool dirty = false;
	const char *wrong;

	if (node->level == 1) {
		if (node_child(node, index) && node_child(node, index) != at)
			return "the host address of a table is not that of its entry";
		wrong = check_table(pt, at, NULL, &dirty);
	} else {
		child = node_child(node, index);
		if (!child)
			return "a table has no node";
		if (child->level != node->level - 1 || child->items != at)
			return "the node of a table is not that of its entry";
		wrong = check_table(pt, child->items, child, &dirty);
	}
	if (!wrong && dirty && pt->cfg.features & PT_FEAT_DIRTY && !node_dirty_test(node, index))
		return "a dirty leaf is missing in the summary above its table";
	*ret_dirty |= dirty;
	return wrong;
}

/*
 * Marks are looked at before the summary above them, and set in that order, so a
 * device that writes meanwhile may raise a false alarm here; a quiet table cannot.
 */
static inline const char *check_table(struct pt_table *pt, pt_item *items, struct pt_node *node,
				      bool *ret_dirty)
{
	unsigned level = node ? node->level : 0;
	u64 count = node ? node->mask + 1 : PT_LEAF_ITEMS;
	u64 index, n;

	for (index = 0; index < count; index += n) {
		u64 e = item_load_acquire(&items[index]);
		const char *wrong;

		n = 1;
		if (!e)
			continue;
		wrong = fmt_entry_error(e, level);
		if (wrong)
			return wrong;
		if (fmt_is_leaf(e, level))
			wrong = check_leaf(pt, items, node, index, &n, ret_dirty);
		else if (fmt_is_table(e, level))
			wrong = check_below(pt, node, index, e, ret_dirty);
		else
			wrong = "an entry is neither empty, a leaf nor a table";
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *pt_check(struct pt_table *pt)
{
	struct pt_node *top = pt_top(pt);
	bool dirty = false;

	if (top->level < FMT_MIN_TOP || top->level > FMT_MAX_LEVEL)
		return "the top has a level the format has not";
	return check_table(pt, top->items, top, &dirty);
}
