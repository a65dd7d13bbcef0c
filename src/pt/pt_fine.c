/* SPDX-License-Identifier: MIT */
#include "pt/pt_fine.h"

#include "base/alloc.h"

/**
 * struct fine_run - bytes of one mapping that is in small entries
 * @lg2: of the largest entry it may become; 0: the largest there is
 */
struct fine_run {
	struct itree_node node;
	unsigned lg2;
};

static inline u64 run_length(const struct fine_run *run)
{
	return run->node.last - run->node.first + 1;
}

/* What is called fine: a CPU page, or the smallest entry there is if that is larger. */
static unsigned fine_lg2(const struct pt_fine *fine)
{
	return MAX(PAGE_SHIFT, (unsigned)__builtin_ctzll(fine->pt->pgsize_bitmap));
}

void pt_fine_init(struct pt_fine *fine, struct pt_table *pt)
{
	fine->pt = pt;
	fine->on = false;
	mutex_init(&fine->switching);
	rwlock_init(&fine->lock);
	mutex_init(&fine->runs_lock);
	itree_init(&fine->runs);
}

static void run_drop(struct pt_fine *fine, struct fine_run *run)
{
	itree_remove(&fine->runs, &run->node);
	free(run);
}

void pt_fine_fini(struct pt_fine *fine)
{
	struct itree_node *node;

	while ((node = itree_first(&fine->runs, 0, UINT64_MAX)))
		run_drop(fine, container_of(node, struct fine_run, node));
	mutex_destroy(&fine->runs_lock);
	rwlock_destroy(&fine->lock);
	mutex_destroy(&fine->switching);
}

/* ---- the runs ---- */

static struct fine_run *run_add(struct pt_fine *fine, u64 first, u64 last, unsigned lg2)
{
	struct fine_run *run = zalloc(sizeof(*run));

	if (!run)
		return NULL;
	run->node.first = first;
	run->node.last = last;
	run->lg2 = lg2;
	itree_insert(&fine->runs, &run->node);
	return run;
}

static void run_resize(struct pt_fine *fine, struct fine_run *run, u64 first, u64 last)
{
	itree_remove(&fine->runs, &run->node);
	run->node.first = first;
	run->node.last = last;
	itree_insert(&fine->runs, &run->node);
}

/* Without memory for a second half that half stays small. */
static void runs_cut_out(struct pt_fine *fine, u64 first, u64 last)
{
	struct itree_node *node;

	while ((node = itree_first(&fine->runs, first, last))) {
		struct fine_run *run = container_of(node, struct fine_run, node);
		u64 run_first = node->first, run_last = node->last;

		if (run_first < first) {
			run_resize(fine, run, run_first, first - 1);
			if (run_last > last)
				run_add(fine, last + 1, run_last, run->lg2);
		} else if (run_last > last) {
			run_resize(fine, run, last + 1, run_last);
		} else {
			run_drop(fine, run);
		}
	}
}

/* ---- mapping ---- */

int pt_fine_map_range(struct pt_fine *fine, u64 iova, u64 pa, u64 len, unsigned prot,
		      u64 *ret_mapped)
{
	bool small;
	int rc;

	read_lock(&fine->lock);
	small = fine->on && !(prot & PT_PROT_PAGES);
	rc = fine->pt->ops->map_range(fine->pt, iova, pa, len, small ? prot | PT_PROT_PAGES : prot,
				      ret_mapped);
	if (small && *ret_mapped > BIT_ULL(fine_lg2(fine))) {
		mutex_lock(&fine->runs_lock);
		run_add(fine, iova, iova + *ret_mapped - 1, 0);
		mutex_unlock(&fine->runs_lock);
	}
	read_unlock(&fine->lock);
	return rc;
}

u64 pt_fine_unmap_range(struct pt_fine *fine, u64 iova, u64 len, struct pt_gather *gather)
{
	u64 done;

	read_lock(&fine->lock);
	done = fine->pt->ops->unmap_range(fine->pt, iova, len, gather);
	if (done) {
		mutex_lock(&fine->runs_lock);
		runs_cut_out(fine, iova, iova + done - 1);
		mutex_unlock(&fine->runs_lock);
	}
	read_unlock(&fine->lock);
	return done;
}

int pt_fine_read_dirty(struct pt_fine *fine, u64 iova, u64 len, unsigned flags,
		       pt_record_fn record, void *ctx)
{
	int rc;

	read_lock(&fine->lock);
	rc = fine->pt->ops->read_and_clear_dirty(fine->pt, iova, len, flags, record, ctx);
	read_unlock(&fine->lock);
	return rc;
}

/* ---- joining ---- */

/* struct fine_join - a run being joined, but for what is marked */
struct fine_join {
	struct pt_fine *fine;
	struct fine_run *run;
	struct pt_gather *gather;
	u64 at; /* up to here it is done */
	bool marked;
};

static void join_to(struct fine_join *join, u64 end)
{
	struct pt_table *pt = join->fine->pt;

	if (join->at < end)
		pt->ops->collapse(pt, join->at, end - join->at, join->run->lg2, join->gather);
}

/* What lies before a mark is behind whoever looks for marks. */
static void join_around(void *ctx, u64 iova, u64 len)
{
	struct fine_join *join = ctx;

	join_to(join, iova);
	join->at = iova + len;
	join->marked = true;
}

static void fine_join(struct pt_fine *fine, struct pt_gather *gather)
{
	struct pt_table *pt = fine->pt;
	struct itree_node *node, *next;

	for (node = itree_first(&fine->runs, 0, UINT64_MAX); node; node = next) {
		struct fine_run *run = container_of(node, struct fine_run, node);
		struct fine_join join = {
			.fine = fine, .run = run, .gather = gather, .at = node->first
		};

		next = itree_next(node, 0, UINT64_MAX);
		pt->ops->read_and_clear_dirty(pt, node->first, run_length(run), PT_DIRTY_NO_CLEAR,
					      join_around, &join);
		join_to(&join, node->last + 1);
		if (!join.marked)
			run_drop(fine, run);
	}
	fine->on = false;
}

void pt_fine_join(struct pt_fine *fine, struct pt_gather *gather)
{
	write_lock(&fine->lock);
	if (fine->on)
		fine_join(fine, gather);
	write_unlock(&fine->lock);
}

/* ---- cutting ---- */

/* struct fine_look - the entries of a table passing by; @last: the run that may go on */
struct fine_look {
	struct pt_fine *fine;
	struct fine_run *last;
};

static int look_at_entry(void *ctx, u64 iova, u64 pa, u64 len, unsigned prot, bool dirty)
{
	struct fine_look *look = ctx;
	struct pt_fine *fine = look->fine;
	unsigned lg2 = (unsigned)__builtin_ctzll(len);

	if (lg2 <= fine_lg2(fine) || itree_first(&fine->runs, iova, iova + len - 1))
		return 0;
	if (look->last && look->last->lg2 == lg2 && look->last->node.last + 1 == iova) {
		run_resize(fine, look->last, look->last->node.first, iova + len - 1);
		return 0;
	}
	look->last = run_add(fine, iova, iova + len - 1, lg2);
	return look->last ? 0 : -ENOMEM;
}

int pt_fine_cut(struct pt_fine *fine, struct pt_gather *gather)
{
	struct fine_look look = { .fine = fine };
	struct pt_table *pt = fine->pt;
	int rc = 0;

	write_lock(&fine->lock);
	if (!fine->on) {
		rc = pt->ops->dump(pt, look_at_entry, &look);
		/* The last byte of 2^64 is in an entry with those before it. */
		if (!rc)
			rc = pt->ops->cut(pt, 0, MIN(pt->aperture_last, UINT64_MAX - 1) + 1,
					  fine_lg2(fine));
		fine->on = true;
		if (rc)
			fine_join(fine, gather);
	}
	write_unlock(&fine->lock);
	return rc;
}
