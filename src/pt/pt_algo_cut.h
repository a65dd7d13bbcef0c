/* SPDX-License-Identifier: MIT */
/*
 * Part of pt_algo.h: cutting entries and joining them, while devices use them.
 *
 * Both replace what translates some bytes by something else that translates them
 * the same, so a device may meet either.  What must not be lost is a mark that it
 * sets meanwhile:
 *
 *  - An item is only ever replaced by compare-exchange, so a mark set before is
 *    seen and carried over, and one set afterwards is set in the new item.  The
 *    table an item is cut into is complete, marks and all, before it is linked.
 *  - A table that was joined into a leaf may still be marked by a device inside
 *    it.  So after the leaf is there the table's items are taken out one by one,
 *    by exchange; what marks they bring go to the leaf, and a device that comes
 *    too late finds a hole and looks for the leaf.
 *
 * Real devices cache entries and the tables they found them by.  x86-64, VT-d, AMD
 * and RISC-V allow to change an entry like this, followed by an invalidation.
 * ARM (D8.16.1 of its manual) wants break-before-make when a block becomes a table,
 * a table a block, or the contiguous bit changes: first an empty entry, then an
 * invalidation, then the new one, with devices faulting in between; with FEAT_BBM of
 * level 2 (SMMU_IDR3.BBML) it need not, and a conflict in the IOTLB is all that can
 * happen.  This is the way of level 2; an owner whose device has less stops its
 * traffic around the call.
 *
 * An entry is cut as a whole or not at all: memory for all it needs comes first.
 */

/* ---- both ---- */

/*
 * Make @n leaf items from @index on say @leaf, @pa that of the first.  @dirty: mark all of
 * them, else each keeps its own mark.
 */
static inline void pt_rewrite(struct pt_table *pt, pt_item *items, struct pt_node *node, u64 index,
			      u64 n, u64 leaf, u64 pa, bool dirty)
{
	unsigned item_lg2 = fmt_item_lg2(node ? node->level : 0);
	u64 i;

	for (i = 0; i < n; i++) {
		u64 plain = fmt_leaf_at(leaf, FMT_ITEM_OWN_PA ? pa + (i << item_lg2) : pa);
		u64 e = item_load(&items[index + i]);
		u64 want;

		do
			want = dirty || fmt_dirty(e) ? fmt_dirty_set(plain) : plain;
		while (!atomic_compare_exchange_weak_explicit(
			&items[index + i], &e, want, memory_order_seq_cst, memory_order_relaxed));
		if (node && fmt_dirty(want))
			node_dirty_set(node, index + i);
	}
	pt_flush(pt, &items[index], n);
}

/* ---- cutting ---- */

/* struct pt_cutter - a cut() under way */
struct pt_cutter {
	struct pt_table *pt;
	u64 first, last; /* multiples of the size that is wanted */
	u64 inside;	 /* sizes allowed there */
	unsigned lg2;	 /* leave alone what is not larger */
};

/* struct pt_scratch - a node with one item and no memory, to build something below it */
struct pt_scratch {
	union {
		struct pt_node node;
		char room[sizeof(struct pt_node) + sizeof(_Atomic(void *))];
	};
	pt_item item;
	pt_item dirty;
};

/* struct pt_piece - what an item of the entry is to become: a table, or (0) smaller leaves */
struct pt_piece {
	u64 e;
	void *child;
};

/* The sizes to use at @at of an entry of 2^@lg2 bytes, and how far up to @last they hold. */
static inline u64 cut_sizes(const struct pt_cutter *cut, unsigned lg2, u64 at, u64 last,
			    u64 *ret_len)
{
	u64 outside = cut->pt->pgsize_bitmap & (BIT_ULL(lg2) - 1);

	if (at < cut->first)
		last = MIN(last, cut->first - 1);
	else if (at <= cut->last)
		last = MIN(last, cut->last);
	*ret_len = last - at + 1;
	return at >= cut->first && at <= cut->last ? cut->inside : outside;
}

/* Mark all leaves below; nobody else can see them yet. */
static inline void cut_mark(struct pt_table *pt, pt_item *items, struct pt_node *node)
{
	u64 count = node ? node->mask + 1 : PT_LEAF_ITEMS;
	unsigned level = node ? node->level : 0;
	struct pt_node *child;
	pt_item *below;
	u64 i;

	for (i = 0; i < count; i++) {
		u64 e = item_load(&items[i]);

		if (fmt_is_leaf(e, level)) {
			item_store(&items[i], fmt_dirty_set(e));
		} else {
			below = node_below(pt, node, i, e, &child);
			cut_mark(pt, below, child);
		}
		if (node)
			node_dirty_set(node, i);
	}
	pt_flush(pt, items, count);
}

static inline void cut_drop(struct pt_table *pt, unsigned level, const struct pt_piece *piece)
{
	struct pt_gather gather = {.alloc = pt->cfg.alloc, .alloc_ctx = pt->cfg.alloc_ctx};
	struct pt_node *child = piece->child;

	if (!piece->child)
		return;
	if (level == 1)
		pt_collect(pt, &gather.tables, piece->child, fmt_table_pa(piece->e), NULL);
	else
		pt_collect(pt, &gather.tables, child->items, child->pa, child);
	pt_gather_free(&gather);
}

/* Build the table that item @at of an entry of 2^@lg2 bytes at @level is to be cut into. */
static inline int cut_build(const struct pt_cutter *cut, unsigned level, unsigned lg2, u64 attr,
			    u64 at, u64 pa, struct pt_piece *ret_piece)
{
	u64 left = BIT_ULL(fmt_item_lg2(level));
	struct pt_scratch scratch;
	struct pt_piece piece;
	u64 sizes, len, done;
	int rc = 0;

	memset(&scratch, 0, sizeof(scratch));
	scratch.node.items = &scratch.item;
	scratch.node.dirty = &scratch.dirty;
	scratch.node.level = level;
	while (left && !rc) {
		sizes = cut_sizes(cut, lg2, at, at + left - 1, &len);
		rc = pt_map_run(cut->pt, &scratch.node, sizes, at, pa, len,
				pt_best_lg2(sizes, at | pa, len), attr, &done);
		at += done;
		pa += done;
		left -= done;
	}
	piece.e = item_load(&scratch.item);
	piece.child = node_child(&scratch.node, 0);
	if (rc)
		cut_drop(cut->pt, level, &piece);
	else
		*ret_piece = piece;
	return rc;
}

/* Put the table of @piece in the place of the leaf item at @index. */
static inline void cut_publish(struct pt_table *pt, struct pt_node *node, u64 index, bool dirty,
			       const struct pt_piece *piece)
{
	u64 e = item_load(&node->items[index]);
	struct pt_node *child;
	bool marked = false;
	pt_item *below;

	/* before the entry: walkers look for it as soon as they see a table */
	node_child_set(node, index, piece->child);
	do {
		if ((dirty || fmt_dirty(e)) && !marked) {
			below = node_below(pt, node, index, piece->e, &child);
			cut_mark(pt, below, child);
			marked = true;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&node->items[index], &e, piece->e, memory_order_seq_cst, memory_order_relaxed));
	if (marked)
		node_dirty_set(node, index);
	pt_flush_link(pt, node, index);
}

/*
 * Go over the entry of leaf @e, the first of whose items is at @index and translates @iova:
 * first (@act false) to build what is needed, then to act.
 */
static inline int cut_entry(const struct pt_cutter *cut, pt_item *items, struct pt_node *node,
			    u64 index, u64 iova, u64 e, struct pt_piece *pieces, bool act)
{
	unsigned level = node ? node->level : 0;
	unsigned item_lg2 = fmt_item_lg2(level);
	unsigned lg2 = fmt_leaf_lg2(e, level);
	u64 attr = fmt_leaf_attr(e);
	u64 pa = fmt_leaf_pa(e, level);
	u64 last = iova + (BIT_ULL(lg2) - 1);
	u64 n = BIT_ULL(lg2 - item_lg2);
	u64 sizes, len, i, step;
	bool dirty = false;
	int rc;

	for (i = 0; i < n && !cut->pt->cfg.slot_dirty; i++)
		dirty |= fmt_dirty(item_load(&items[index + i]));
	for (i = 0; i < n; i += step) {
		u64 at = i << item_lg2;
		unsigned best;

		sizes = cut_sizes(cut, lg2, iova + at, last, &len);
		best = pt_best_lg2(sizes, (iova + at) | (pa + at), len);
		step = BIT_ULL(MAX(best, item_lg2) - item_lg2);
		if (act && best >= item_lg2) {
			pt_rewrite(cut->pt, items, node, index + i, step,
				   fmt_leaf_new(attr, best, level), pa + at, dirty);
		} else if (act) {
			cut_publish(cut->pt, node, index + i, dirty, &pieces[i]);
		} else if (best < item_lg2) {
			rc = cut_build(cut, level, lg2, attr, iova + at, pa + at, &pieces[i]);
			if (rc)
				return rc;
		}
	}
	return 0;
}

static inline int cut_leaf(const struct pt_cutter *cut, pt_item *items, struct pt_node *node,
			   u64 index, u64 iova, u64 e)
{
	unsigned level = node ? node->level : 0;
	u64 i, n = BIT_ULL(leaf_items_lg2(e, level));
	struct pt_piece one = {0};
	struct pt_piece *pieces = n > 1 ? zalloc_array(n, sizeof(*pieces)) : &one;
	int rc;

	if (!pieces)
		return -ENOMEM;
	rc = cut_entry(cut, items, node, index, iova, e, pieces, false);
	if (!rc)
		cut_entry(cut, items, node, index, iova, e, pieces, true);
	for (i = 0; i < n && rc; i++)
		cut_drop(cut->pt, level, &pieces[i]);
	if (pieces != &one)
		free(pieces);
	return rc;
}

static inline int cut_table(const struct pt_cutter *cut, pt_item *items, struct pt_node *node,
			    u64 base)
{
	unsigned level = node ? node->level : 0;
	unsigned item_lg2 = fmt_item_lg2(level);
	u64 count = node ? node->mask + 1 : PT_LEAF_ITEMS;
	u64 last = MIN(cut->last, base + ((count << item_lg2) - 1));
	u64 index = (MAX(cut->first, base) - base) >> item_lg2;
	struct pt_node *child;
	u64 n;
	int rc = 0;

	for (; index <= (last - base) >> item_lg2 && !rc; index++) {
		u64 e = item_load_acquire(&items[index]);
		pt_item *below;

		if (fmt_is_leaf(e, level)) {
			n = BIT_ULL(leaf_items_lg2(e, level));
			index = ALIGN_DOWN(index, n);
			if (fmt_leaf_lg2(e, level) > cut->lg2)
				rc = cut_leaf(cut, items, node, index, base + (index << item_lg2),
					      e);
			index += n - 1;
		} else if (fmt_is_table(e, level) && item_lg2 > cut->lg2 + 1) {
			below = node_below(cut->pt, node, index, e, &child);
			if (below)
				rc = cut_table(cut, below, child, base + (index << item_lg2));
		}
	}
	return rc;
}

static int pt_cut(struct pt_table *pt, u64 iova, u64 len, unsigned lg2)
{
	u64 up_to = lg2 < 63 ? BIT_ULL(lg2 + 1) - 1 : ~0ULL;
	struct pt_cutter cut = {.pt = pt, .inside = pt->pgsize_bitmap & up_to, .lg2 = lg2};
	struct pt_node *top = pt_top(pt);
	u64 largest;

	if (!cut.inside)
		return -EINVAL;
	if (!len)
		return 0;
	if (iova > pt->aperture_last || len - 1 > pt->aperture_last - iova)
		return -ERANGE;
	if (iova > top->last)
		return 0;
	/* a larger entry meets the range exactly if it meets the range so widened */
	largest = BIT_ULL(63 - __builtin_clzll(cut.inside));
	cut.first = ALIGN_DOWN(iova, largest);
	cut.last = MIN((iova + len - 1) | (largest - 1), top->last);
	return cut_table(&cut, top->items, top, 0);
}

/* ---- joining ---- */

/* struct pt_joiner - a collapse() under way */
struct pt_joiner {
	struct pt_table *pt;
	u64 first, last;
	u64 sizes; /* that may be made */
	struct pt_gather *gather;
};

/* struct pt_probe - what some items translate to, if it is one thing */
struct pt_probe {
	u64 attr;
	u64 pa, next;
	bool begun;
	bool dirty;
};

/* Do @n items from @index on translate to one run of equal attributes, going on at probe->next? */
static inline bool join_probe(struct pt_table *pt, pt_item *items, struct pt_node *node, u64 index,
			      u64 n, struct pt_probe *probe)
{
	unsigned level = node ? node->level : 0;
	u64 end = index + n;
	struct pt_node *child;

	for (; index < end; index++) {
		u64 e = item_load_acquire(&items[index]);
		pt_item *below;

		if (fmt_is_leaf(e, level)) {
			u64 pa = fmt_leaf_pa(e, level);

			pa += (index & (BIT_ULL(leaf_items_lg2(e, level)) - 1))
			      << fmt_item_lg2(level);
			if (!probe->begun) {
				probe->begun = true;
				probe->attr = fmt_leaf_attr(e);
				probe->pa = probe->next = pa;
			}
			if (fmt_leaf_attr(e) != probe->attr || pa != probe->next)
				return false;
			probe->dirty |= fmt_dirty(e);
			probe->next += BIT_ULL(fmt_item_lg2(level));
		} else if (fmt_is_table(e, level)) {
			below = node_below(pt, node, index, e, &child);
			if (!below || !join_probe(pt, below, child, 0,
						  child ? child->mask + 1 : PT_LEAF_ITEMS, probe))
				return false;
		} else {
			return false;
		}
	}
	return true;
}

/* Take every leaf below out.  Was one marked? */
static inline bool join_drain(struct pt_table *pt, pt_item *items, struct pt_node *node)
{
	u64 count = node ? node->mask + 1 : PT_LEAF_ITEMS;
	unsigned level = node ? node->level : 0;
	struct pt_node *child;
	bool dirty = false;
	pt_item *below;
	u64 i;

	for (i = 0; i < count; i++) {
		u64 e = item_load_acquire(&items[i]);

		if (fmt_is_leaf(e, level)) {
			e = atomic_exchange_explicit(&items[i], 0, memory_order_seq_cst);
			dirty |= fmt_dirty(e);
		} else {
			below = node_below(pt, node, i, e, &child);
			dirty |= join_drain(pt, below, child);
		}
	}
	return dirty;
}

/*
 * Put @leaf in the place of the table @old at @index.  If nobody sets marks, devices may
 * as well finish in the old table.
 */
static inline void join_table_into(struct pt_joiner *join, struct pt_node *node, u64 index, u64 old,
				   u64 leaf)
{
	struct pt_probe probe = {0};
	struct pt_node *child;
	pt_item *below = node_below(join->pt, node, index, old, &child);

	join_probe(join->pt, node->items, node, index, 1, &probe);
	if (probe.dirty)
		leaf = fmt_dirty_set(leaf);
	atomic_store_explicit(&node->items[index], leaf, memory_order_seq_cst);
	node_child_set(node, index, NULL);
	if (join->pt->cfg.features & PT_FEAT_DIRTY && join_drain(join->pt, below, child))
		probe.dirty = true;
	if (probe.dirty) {
		item_dirty_set(&node->items[index], node->level);
		node_dirty_set(node, index);
	}
	pt_flush(join->pt, &node->items[index], 1);
	pt_collect(join->pt, &join->gather->tables, below, fmt_table_pa(old), child);
}

/* Try to make one entry of 2^@lg2 bytes of the items from @index on. */
static inline bool join_into(struct pt_joiner *join, pt_item *items, struct pt_node *node,
			     u64 index, unsigned lg2)
{
	unsigned level = node ? node->level : 0;
	unsigned item_lg2 = fmt_item_lg2(level);
	u64 n = BIT_ULL(lg2 - item_lg2);
	struct pt_probe probe = {0};
	u64 leaf, i;

	if (!join_probe(join->pt, items, node, index, n, &probe) || probe.pa & (BIT_ULL(lg2) - 1))
		return false;
	leaf = fmt_leaf_new(probe.attr, lg2, level);
	for (i = 0; i < n; i++) {
		u64 pa = FMT_ITEM_OWN_PA ? probe.pa + (i << item_lg2) : probe.pa;
		u64 e = item_load_acquire(&items[index + i]);

		if (fmt_is_table(e, level))
			join_table_into(join, node, index + i, e, fmt_leaf_at(leaf, pa));
		else
			pt_rewrite(join->pt, items, node, index + i, 1, leaf, pa, false);
	}
	return true;
}

/* The items of the entry at @iova, @index of its table, joined with what follows if possible. */
static inline u64 join_at(struct pt_joiner *join, pt_item *items, struct pt_node *node, u64 index,
			  u64 iova, u64 e)
{
	unsigned level = node ? node->level : 0;
	bool leaf = fmt_is_leaf(e, level);
	unsigned lg2 = leaf ? fmt_leaf_lg2(e, level) : fmt_item_lg2(level);
	u64 n = BIT_ULL(lg2 - fmt_item_lg2(level));
	u64 sizes = join->sizes & ~(leaf ? (2ULL << lg2) - 1 : BIT_ULL(lg2) - 1);
	unsigned best;

	if (index & (n - 1)) /* begins before the range */
		return n - (index & (n - 1));
	if (iova)
		sizes &= (2ULL << __builtin_ctzll(iova)) - 1;
	for (; sizes && iova >= join->first; sizes &= ~BIT_ULL(best)) {
		best = 63 - __builtin_clzll(sizes);
		if (fmt_leaf_level(best) != level || BIT_ULL(best) - 1 > join->last - iova)
			continue;
		if (join_into(join, items, node, index, best))
			return BIT_ULL(best - fmt_item_lg2(level));
	}
	return leaf ? n : 0;
}

static inline void join_table(struct pt_joiner *join, pt_item *items, struct pt_node *node,
			      u64 base)
{
	unsigned level = node ? node->level : 0;
	unsigned item_lg2 = fmt_item_lg2(level);
	u64 count = node ? node->mask + 1 : PT_LEAF_ITEMS;
	u64 last = MIN(join->last, base + ((count << item_lg2) - 1));
	u64 index = (MAX(join->first, base) - base) >> item_lg2;
	struct pt_node *child;
	u64 n;

	for (; index <= (last - base) >> item_lg2; index += n) {
		u64 e = item_load_acquire(&items[index]);
		pt_item *below;

		n = 1;
		if (!fmt_is_leaf(e, level) && !fmt_is_table(e, level))
			continue;
		n = join_at(join, items, node, index, base + (index << item_lg2), e);
		if (n)
			continue;
		below = node_below(join->pt, node, index, e, &child);
		if (below)
			join_table(join, below, child, base + (index << item_lg2));
		n = 1;
	}
}

static int pt_collapse(struct pt_table *pt, u64 iova, u64 len, unsigned lg2,
		       struct pt_gather *gather)
{
	u64 up_to = lg2 && lg2 < 63 ? BIT_ULL(lg2 + 1) - 1 : ~0ULL;
	struct pt_joiner join = {.pt = pt, .sizes = pt->pgsize_bitmap & up_to, .gather = gather};
	struct pt_node *top = pt_top(pt);

	pt_gather_retired(pt, gather);
	if (!len)
		return 0;
	if (iova > pt->aperture_last || len - 1 > pt->aperture_last - iova)
		return -ERANGE;
	if (iova > top->last)
		return 0;
	join.first = iova;
	join.last = MIN(iova + len - 1, top->last);
	join_table(&join, top->items, top, 0);
	return 0;
}
