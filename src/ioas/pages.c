/* SPDX-License-Identifier: MIT */
/*
 * Pages objects: making them, and who holds which pages.
 *
 * The common case by far is one holder of everything, in one run: it lives in
 * pages->whole and touches no tree.  Any other hold moves it into the tree of
 * segments first.
 */
#include "ioas/pages.h"
#include "ioas/pages_priv.h"

#include <linux/capability.h>

#include "base/alloc.h"
#include "core/ctx.h"
#include "mem/task.h"

/* ---- making ---- */

static void pages_revoked(struct dmabuf_importer *importer);

static void pages_disown(struct mm *mm, struct mm *account_mm, struct mem_user *user)
{
	mm_put(mm);
	if (account_mm != mm)
		mm_put(account_mm);
	mem_user_put(user);
}

void pages_own(struct iopt_pages *pages, struct mm *mm, struct mm *account_mm,
	       struct mem_user *user)
{
	struct mm *old_mm = pages->mm, *old_account = pages->account_mm;
	struct mem_user *old_user = pages->user;

	pages->mm = mm_get(mm);
	pages->account_mm = account_mm == mm ? mm : mm_get(account_mm);
	pages->user = pages->account_mode == MEM_ACCOUNT_USER ? mem_user_ref(user) : NULL;
	if (old_mm)
		pages_disown(old_mm, old_account, old_user);
}

/* Nobody else knows the pages yet, so this takes no mutex to own them. */
static __no_lock_analysis int pages_alloc(struct iommufd_ctx *ctx, enum iopt_origin origin,
					  u64 start, u64 length, bool writable,
					  struct iopt_pages **ret_pages)
{
	struct task *task = task_current;
	struct iopt_pages *pages;

	if (!length || length > UINT64_MAX - PAGE_SIZE)
		return -EINVAL;
	pages = zalloc(sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	atomic_init(&pages->refs, 1);
	pages->origin = origin;
	pages->writable = writable;
	pages->start = start & PAGE_MASK;
	pages->page_offset = start & ~PAGE_MASK;
	/* from the last byte's page, so that the largest lengths do not overflow */
	pages->npages = ((pages->page_offset + length - 1) >> PAGE_SHIFT) + 1;
	mutex_init(&pages->mutex);
	rangemap_init(&pages->held);
	CDS_INIT_LIST_HEAD(&pages->dmabuf_maps);
	if (origin == IOPT_ORIGIN_DMABUF || capable(CAP_IPC_LOCK))
		pages->account_mode = MEM_ACCOUNT_NONE;
	else
		pages->account_mode = ctx->account_mode;
	pages_own(pages, task->mm, task->mm, task->user);
	*ret_pages = pages;
	return 0;
}

int pages_alloc_user(struct iommufd_ctx *ctx, u64 uptr, u64 length, bool writable,
		     struct iopt_pages **ret_pages)
{
	u64 end;

	if (__builtin_add_overflow(uptr, length, &end))
		return -EOVERFLOW;
	return pages_alloc(ctx, IOPT_ORIGIN_USER, uptr, length, writable, ret_pages);
}

int pages_alloc_file(struct iommufd_ctx *ctx, struct mem_file *file, u64 start, u64 length,
		     bool writable, struct iopt_pages **ret_pages)
{
	int rc = pages_alloc(ctx, IOPT_ORIGIN_FILE, start, length, writable, ret_pages);

	if (!rc)
		(*ret_pages)->file = file;
	return rc;
}

int pages_alloc_dmabuf(struct iommufd_ctx *ctx, struct dmabuf *dmabuf, u64 start, u64 length,
		       bool writable, struct iopt_pages **ret_pages)
{
	struct iopt_pages *pages;
	int rc;

	if (start + length - 1 >= dmabuf_size(dmabuf))
		return -EINVAL;
	rc = pages_alloc(ctx, IOPT_ORIGIN_DMABUF, start, length, writable, &pages);
	if (rc)
		return rc;
	pages->dmabuf = dmabuf_get(dmabuf);
	pages->importer.revoked = pages_revoked;
	rc = dmabuf_attach(dmabuf, &pages->importer);
	if (rc) {
		pages->importer.revoked = NULL;
		pages_put(pages);
		return rc;
	}
	*ret_pages = pages;
	return 0;
}

struct iopt_pages *pages_get(struct iopt_pages *pages)
{
	atomic_fetch_add_explicit(&pages->refs, 1, memory_order_relaxed);
	return pages;
}

void pages_put(struct iopt_pages *pages)
{
	if (atomic_fetch_sub_explicit(&pages->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(!pages->npinned);
	if (pages->origin == IOPT_ORIGIN_FILE && pages->file)
		mem_file_put(pages->file);
	if (pages->origin == IOPT_ORIGIN_DMABUF) {
		if (pages->importer.revoked)
			dmabuf_detach(pages->dmabuf, &pages->importer);
		dmabuf_put(pages->dmabuf);
	}
	rangemap_clear(&pages->held);
	pages_disown(pages->mm, pages->account_mm, pages->user);
	mutex_destroy(&pages->mutex);
	free(pages);
}

/* ---- holding ---- */

s64 pages_pin_origin(struct iopt_pages *pages, u64 index, u64 npages, struct mem_run *run)
{
	if (pages->origin == IOPT_ORIGIN_FILE)
		return mem_pin_file(pages->file, (pages->start >> PAGE_SHIFT) + index, npages, run);
	return mem_pin_va(pages->mm, pages->start + (index << PAGE_SHIFT), npages, pages->writable,
			  run);
}

static int pages_charge(struct iopt_pages *pages, u64 npages)
{
	int rc;

	if (!npages)
		return 0;
	rc = mem_charge(pages->account_mode, pages->account_mm, pages->user, npages);
	if (!rc)
		pages->npinned += npages;
	return rc;
}

static void pages_uncharge(struct iopt_pages *pages, u64 npages)
{
	if (!npages)
		return;
	pages->npinned -= npages;
	mem_uncharge(pages->account_mode, pages->account_mm, pages->user, npages);
}

/* Everything, nobody holds anything, one run: no tree.  Returns > 0 if it is not that simple. */
static int pages_hold_whole(struct iopt_pages *pages) __must_hold(&pages->mutex)
{
	struct mem_run run;
	s64 n;
	int rc;

	n = pages_pin_origin(pages, 0, pages->npages, &run);
	if (n < 0)
		return n;
	if ((u64)n != pages->npages) {
		mem_unpin(&run);
		return 1;
	}
	rc = pages_charge(pages, n);
	if (rc) {
		mem_unpin(&run);
		return rc;
	}
	pages->whole = (struct pages_segment){ .run = run, .holds = 1 };
	return 0;
}

/* Move the one big segment into the tree, since somebody wants a part of it. */
static int pages_whole_to_tree(struct iopt_pages *pages)
{
	struct pages_segment *seg = alloc_uninit(sizeof(*seg));
	int rc;

	if (!seg)
		return -ENOMEM;
	*seg = pages->whole;
	rc = rangemap_insert(&pages->held, 0, pages->npages - 1, seg);
	if (rc) {
		free(seg);
		return rc;
	}
	pages->whole.holds = 0;
	return 0;
}

/* Make a border before @index, if a segment runs across it. */
static int pages_cut(struct iopt_pages *pages, u64 index)
{
	struct pages_segment *low, *high;
	struct rangemap_entry e;
	u32 keep;
	int rc;

	if (!index || !rangemap_find(&pages->held, index - 1, &e) || e.last < index)
		return 0;
	high = alloc_uninit(sizeof(*high));
	if (!high)
		return -ENOMEM;
	rc = rangemap_split(&pages->held, index, high);
	if (rc) {
		free(high);
		return rc;
	}
	low = e.value;
	keep = index - e.first;
	*high = *low;
	high->run.first += keep;
	high->run.npages -= keep;
	low->run.npages = keep;
	return 0;
}

static int pages_pin_gap(struct iopt_pages *pages, u64 first, u64 last, u64 *npinned)
	__must_hold(&pages->mutex)
{
	struct pages_segment *seg;
	s64 n;
	int rc;

	for (;;) {
		seg = zalloc(sizeof(*seg));
		if (!seg)
			return -ENOMEM;
		n = pages_pin_origin(pages, first, last - first + 1, &seg->run);
		if (n < 0) {
			free(seg);
			return n;
		}
		rc = rangemap_insert(&pages->held, first, first + n - 1, seg);
		if (rc) {
			mem_unpin(&seg->run);
			free(seg);
			return rc;
		}
		*npinned += n;
		if (last - first + 1 == (u64)n)
			return 0;
		first += n;
	}
}

/* Drop the segments of [first..last] that nobody holds; returns how many pages they were. */
static u64 pages_drop_unheld(struct iopt_pages *pages, u64 first, u64 last)
{
	struct rangemap_entry e;
	u64 dropped = 0;

	while (rangemap_first_from(&pages->held, first, &e) && e.first <= last) {
		struct pages_segment *seg = e.value;

		if (!seg->holds) {
			rangemap_remove(&pages->held, e.first);
			mem_unpin(&seg->run);
			dropped += seg->run.npages;
			free(seg);
		}
		if (e.last >= last)
			break;
		first = e.last + 1;
	}
	return dropped;
}

static int pages_pin_gaps(struct iopt_pages *pages, u64 first, u64 last)
	__must_hold(&pages->mutex)
{
	u64 npinned = 0, pos = first, gap_first, gap_last;
	int rc = 0;

	while (!rc && pos <= last) {
		gap_first = pos;
		gap_last = last;
		if (!rangemap_next_gap(&pages->held, &gap_first, &gap_last, 1))
			break;
		rc = pages_pin_gap(pages, gap_first, gap_last, &npinned);
		pos = gap_last + 1;
	}
	if (!rc)
		rc = pages_charge(pages, npinned);
	if (rc)
		pages_drop_unheld(pages, first, last);
	return rc;
}

int pages_hold(struct iopt_pages *pages, u64 first, u64 last)
{
	bool all = first == 0 && last == pages->npages - 1;
	struct rangemap_entry e;
	int rc;

	pages_assert_entered(pages);
	if (all && pages->whole.holds) {
		pages->whole.holds++;
		return 0;
	}
	if (all && !pages->npinned) {
		rc = pages_hold_whole(pages);
		if (rc <= 0)
			return rc;
	}
	if (pages->whole.holds) {
		rc = pages_whole_to_tree(pages);
		if (rc)
			return rc;
	}
	rc = pages_cut(pages, first);
	if (!rc)
		rc = pages_cut(pages, last + 1);
	if (!rc)
		rc = pages_pin_gaps(pages, first, last);
	if (rc)
		return rc;
	rangemap_for_each_in(&pages->held, e, first, last)
		((struct pages_segment *)e.value)->holds++;
	return 0;
}

void pages_release(struct iopt_pages *pages, u64 first, u64 last)
{
	struct rangemap_entry e;
	struct mem_run run;

	pages_assert_entered(pages);
	if (pages->whole.holds) {
		assert(first == 0 && last == pages->npages - 1);
		if (--pages->whole.holds)
			return;
		run = pages->whole.run;
		mem_unpin(&run);
		pages_uncharge(pages, pages->npages);
		return;
	}
	rangemap_for_each_in(&pages->held, e, first, last) {
		assert(e.first >= first && e.last <= last);
		((struct pages_segment *)e.value)->holds--;
	}
	pages_uncharge(pages, pages_drop_unheld(pages, first, last));
}

int pages_split_hold(struct iopt_pages *pages, u64 first, u64 low_last, u64 high_first, u64 last)
{
	struct rangemap_entry e;
	int rc;

	pages_assert_entered(pages);
	if (pages->whole.holds) {
		rc = pages_whole_to_tree(pages);
		if (rc)
			return rc;
	}
	rc = pages_cut(pages, high_first);
	if (!rc)
		rc = pages_cut(pages, low_last + 1);
	if (rc || high_first > low_last)
		return rc;
	/* The cut lies inside a page: both halves hold it. */
	rangemap_for_each_in(&pages->held, e, high_first, low_last)
		((struct pages_segment *)e.value)->holds++;
	return 0;
}

/* ---- a device buffer is taken back ---- */

static void pages_revoked(struct dmabuf_importer *importer)
{
	struct iopt_pages *pages = container_of(importer, struct iopt_pages, importer);

	mutex_lock(&pages->mutex);
	pages->revoked = true;
	pages_dmabuf_unmap_all(pages);
	mutex_unlock(&pages->mutex);
}

/* ---- checking ---- */

const char *pages_check(struct iopt_pages *pages)
{
	struct rangemap_entry e;
	const char *wrong = NULL;
	u64 pinned = 0;

	mutex_lock(&pages->mutex);
	if (pages->whole.holds) {
		pinned = pages->whole.run.npages;
		if (pinned != pages->npages || !rangemap_empty(&pages->held))
			wrong = "whole segment does not cover the pages";
	}
	if (!wrong)
		wrong = rangemap_check(&pages->held);
	if (!wrong && !rangemap_empty(&pages->held)) {
		rangemap_for_each_in(&pages->held, e, 0, UINT64_MAX) {
			struct pages_segment *seg = e.value;

			if (!seg->holds)
				wrong = "segment without a holder";
			if (seg->run.npages != e.last - e.first + 1)
				wrong = "segment and its run differ in length";
			if (e.last >= pages->npages)
				wrong = "segment beyond the pages";
			pinned += seg->run.npages;
		}
	}
	if (!wrong && pinned != pages->npinned)
		wrong = "pinned page count differs from the segments";
	mutex_unlock(&pages->mutex);
	return wrong;
}
