/* SPDX-License-Identifier: MIT */
/*
 * Part of pt_algo.h: dirty marks.
 *
 * The mark itself is the format's bit in the leaf.  The bits of struct pt_node
 * tell which items are worth a look; pt_priv.h explains the order in which both
 * are set and cleared.
 */

/* ---- setting ---- */

static inline void node_dirty_set(struct pt_node *node, u64 index)
{
	pt_item *word = &node->dirty[index / 64];
	u64 bit = BIT_ULL(index % 64);

	if (!(atomic_load_explicit(word, memory_order_seq_cst) & bit))
		atomic_fetch_or_explicit(word, bit, memory_order_seq_cst);
}

/* Set the mark in one item; by compare-exchange, because the entry may just be going away. */
static inline bool item_dirty_set(pt_item *item, unsigned level)
{
	u64 e = atomic_load_explicit(item, memory_order_seq_cst);

	while (fmt_is_leaf(e, level)) {
		if (fmt_dirty(e) ||
		    atomic_compare_exchange_weak_explicit(
			    item, &e, fmt_dirty_set(e), memory_order_seq_cst, memory_order_seq_cst))
			return true;
	}
	return false;
}

/*
 * Tell the summaries of leaves that were written with their marks, a run within one
 * table.  The bits are set without a look at them first: the leaves were plain stores,
 * and only a read-modify-write carries those to a collector that clears the bit.
 */
static inline void pt_mark_run(struct pt_table *pt, u64 iova, u64 len)
{
	struct pt_node *path[PT_MAX_LEVELS];
	struct pt_node *top;
	struct pt_pos pos;
	unsigned level, path_top;
	u64 at;

	do {
		if (!pt_find(pt, iova, &pos, path, &path_top))
			return;
		for (at = 0; at < len; at += BIT_ULL(fmt_item_lg2(pos.level))) {
			for (level = MAX(pos.level, 1u); level <= path_top; level++) {
				u64 index = node_index(path[level], iova + at);

				atomic_fetch_or_explicit(&path[level]->dirty[index / 64],
							 BIT_ULL(index % 64), memory_order_seq_cst);
			}
			if (!pos.level)
				break; /* all under one bit */
		}
		top = atomic_load_explicit(&pt->top, memory_order_seq_cst);
	} while (unlikely(top != path[path_top]));
}

static int pt_set_dirty(struct pt_table *pt, u64 iova)
{
	struct pt_node *path[PT_MAX_LEVELS];
	struct pt_node *top;
	struct pt_pos pos;
	unsigned level, path_top;

	if (!(pt->cfg.features & PT_FEAT_DIRTY))
		return -EOPNOTSUPP;
	do {
		/* again if the leaf became another, or was joined or cut, before it got the mark */
		do {
			if (!pt_find(pt, iova, &pos, path, &path_top))
				return -ENOENT;
			if (!fmt_dirty_can(pos.e))
				return -EACCES;
		} while (unlikely(!item_dirty_set(pos.item, pos.level)));
		for (level = MAX(pos.level, 1u); level <= path_top; level++)
			node_dirty_set(path[level], node_index(path[level], iova));
		/* a level added on top meanwhile has to know too */
		top = atomic_load_explicit(&pt->top, memory_order_seq_cst);
	} while (unlikely(top != path[path_top]));
	return 0;
}

/* ---- collecting ---- */

/* struct pt_dirty_scan - a read_and_clear_dirty() under way, and the run it has not yet reported */
struct pt_dirty_scan {
	struct pt_table *pt;
	u64 first, last;
	u64 run_first, run_last;
	bool run;
	bool clear;
	pt_record_fn record;
	void *ctx;
};

static inline void scan_flush(struct pt_dirty_scan *scan)
{
	if (scan->run)
		scan->record(scan->ctx, scan->run_first, scan->run_last - scan->run_first + 1);
	scan->run = false;
}

/* The unit's end is not clipped: who reads piece by piece must learn how far it reached. */
static inline void scan_hit(struct pt_dirty_scan *scan, u64 first, u64 last)
{
	first = MAX(first, scan->first);
	if (scan->run && first == scan->run_last + 1) {
		scan->run_last = last;
		return;
	}
	scan_flush(scan);
	scan->run_first = first;
	scan->run_last = last;
	scan->run = true;
}

/* Is this item marked?  Clears the mark if the scan is to. */
static inline bool scan_item(struct pt_dirty_scan *scan, pt_item *item, unsigned level)
{
	u64 e = atomic_load_explicit(item, memory_order_seq_cst);

	while (fmt_is_leaf(e, level) && fmt_dirty(e)) {
		if (!scan->clear || atomic_compare_exchange_weak_explicit(
					    item, &e, fmt_dirty_clear(e), memory_order_seq_cst,
					    memory_order_seq_cst))
			return true;
	}
	return false;
}

/* First item of the dirty unit that item @index belongs to, and how many items that has. */
static inline u64 scan_unit(struct pt_dirty_scan *scan, u64 e, unsigned level, u64 index,
			    u64 *ret_items)
{
	u64 items = scan->pt->cfg.slot_dirty ? 1 : BIT_ULL(leaf_items_lg2(e, level));

	*ret_items = items;
	return ALIGN_DOWN(index, items);
}

/* Look at the unit of the leaf @e at @index of the table at @base.  Returns the index behind it. */
static inline u64 scan_leaf(struct pt_dirty_scan *scan, pt_item *items, unsigned level, u64 base,
			    u64 index, u64 e)
{
	unsigned item_lg2 = fmt_item_lg2(level);
	bool dirty = false;
	u64 first, n, i;

	first = scan_unit(scan, e, level, index, &n);
	for (i = first; i < first + n; i++)
		dirty |= scan_item(scan, &items[i], level);
	if (dirty && scan->clear)
		pt_flush(scan->pt, &items[first], n);
	if (dirty)
		scan_hit(scan, base + (first << item_lg2), base + ((first + n) << item_lg2) - 1);
	return first + n;
}

static inline void scan_leaf_table(struct pt_dirty_scan *scan, pt_item *items, u64 base, u64 first,
				   u64 last)
{
	unsigned item_lg2 = fmt_item_lg2(0);
	u64 index = (first - base) >> item_lg2;
	u64 stop = (last - base) >> item_lg2;

	while (index <= stop) {
		u64 e = item_load(&items[index]);

		index = fmt_is_leaf(e, 0) ? scan_leaf(scan, items, 0, base, index, e) : index + 1;
	}
}

/* Bits [@lo, @hi] of word @word; empty if the range misses it or hi < lo. */
static inline u64 word_mask(u64 word, u64 lo, u64 hi)
{
	u64 first = word * 64;

	if (hi < lo || hi < first || lo > first + 63)
		return 0;
	lo = lo > first ? lo - first : 0;
	hi = MIN(hi - first, 63);
	return (~0ULL << lo) & (~0ULL >> (63 - hi));
}

static inline void scan_node(struct pt_dirty_scan *scan, struct pt_node *node, u64 base, u64 first,
			     u64 last);

/* Look at item @index of @node within [@first, @last].  Returns the next index worth a look. */
static inline u64 scan_index(struct pt_dirty_scan *scan, struct pt_node *node, u64 base, u64 index,
			     u64 first, u64 last)
{
	unsigned item_lg2 = fmt_item_lg2(node->level);
	u64 item_first = base + (index << item_lg2);
	u64 e = item_load_acquire(&node->items[index]);
	void *child;

	if (fmt_is_leaf(e, node->level))
		return scan_leaf(scan, node->items, node->level, base, index, e);
	if (!fmt_is_table(e, node->level))
		return index + 1;
	first = MAX(first, item_first);
	last = MIN(last, item_first + (BIT_ULL(item_lg2) - 1));
	if (node->level == 1) {
		scan_leaf_table(scan, node_leaf_table(scan->pt, node, index, e), item_first, first,
				last);
	} else {
		child = node_child(node, index);
		if (child)
			scan_node(scan, child, item_first, first, last);
	}
	return index + 1;
}

/* Widen [*lo, *hi] so that it cuts no unit: any item may carry the mark of all. */
static inline void scan_widen(struct pt_dirty_scan *scan, struct pt_node *node, u64 *lo, u64 *hi)
{
	u64 e, n;

	e = item_load(&node->items[*lo]);
	if (fmt_is_leaf(e, node->level))
		*lo = scan_unit(scan, e, node->level, *lo, &n);
	e = item_load(&node->items[*hi]);
	if (fmt_is_leaf(e, node->level))
		*hi = scan_unit(scan, e, node->level, *hi, &n) + n - 1;
}

static inline void scan_node(struct pt_dirty_scan *scan, struct pt_node *node, u64 base, u64 first,
			     u64 last)
{
	unsigned item_lg2 = fmt_item_lg2(node->level);
	u64 within = BIT_ULL(item_lg2) - 1;
	u64 lo = (first - base) >> item_lg2;
	u64 hi = (last - base) >> item_lg2;
	/* only an item looked at as a whole may lose its bit: [full_lo, full_end) */
	u64 full_lo = lo + !!((first - base) & within);
	u64 full_end = hi + (((last - base) & within) == within);
	u64 next, word;

	scan_widen(scan, node, &lo, &hi);
	next = lo;
	for (word = lo / 64; word <= hi / 64; word++) {
		pt_item *dirty = &node->dirty[word];
		u64 bits = atomic_load_explicit(dirty, memory_order_seq_cst);
		u64 done;

		bits &= word_mask(word, lo, hi);
		if (!bits)
			continue;
		done = full_end ? bits & word_mask(word, full_lo, full_end - 1) : 0;
		if (scan->clear && done)
			atomic_fetch_and_explicit(dirty, ~done, memory_order_seq_cst);
		for (; bits; bits &= bits - 1) {
			u64 index = word * 64 + __builtin_ctzll(bits);

			if (index >= next)
				next = scan_index(scan, node, base, index, first, last);
		}
	}
}

static int pt_read_and_clear_dirty(struct pt_table *pt, u64 iova, u64 len, unsigned flags,
				   pt_record_fn record, void *ctx)
{
	struct pt_dirty_scan scan = {.pt = pt, .record = record, .ctx = ctx};
	struct pt_node *top = atomic_load_explicit(&pt->top, memory_order_seq_cst);

	if (!(pt->cfg.features & PT_FEAT_DIRTY))
		return -EOPNOTSUPP;
	if (!len)
		return 0;
	if (iova > pt->aperture_last || len - 1 > pt->aperture_last - iova)
		return -ERANGE;
	if (iova > top->last)
		return 0;
	scan.first = iova;
	scan.last = MIN(iova + len - 1, top->last);
	scan.clear = !(flags & PT_DIRTY_NO_CLEAR);
	scan_node(&scan, top, 0, scan.first, scan.last);
	scan_flush(&scan);
	return 0;
}
