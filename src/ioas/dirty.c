/* SPDX-License-Identifier: MIT */
/*
 * Reading dirty marks into the program's bitmap.
 *
 * The bitmap is worked through in windows of a page of bits.  A window
 * collects what the driver reports in a buffer of ours and is OR-ed into the
 * program's memory only if something is dirty: a clean gigabyte touches no
 * user memory at all.  An entry larger than what is left of its window is
 * reported (and cleared) once; its tail is carried into the next windows.
 */
#include <string.h>

#include <iommufd/uapi/iommufd.h>

#include "ioas/area.h"
#include "mem/task.h"

#define WINDOW_BYTES 4096UL
#define WINDOW_BITS (WINDOW_BYTES * 8)

struct dirty_window {
	struct iommu_dirty_bitmap sink;
	u64 iova;       /* of bit 0 of the window */
	u64 last;       /* last byte the window's bits stand for */
	u64 page_lg2;
	u64 carry_last; /* an entry reported before reaches up to here */
	bool carry;
	bool dirty;
	unsigned char bits[WINDOW_BYTES];
};

static void bits_set(unsigned char *bits, u64 first, u64 last)
{
	u64 first_byte = first / 8, last_byte = last / 8;
	unsigned char low = 0xff << (first % 8), high = 0xff >> (7 - last % 8);

	if (first_byte == last_byte) {
		bits[first_byte] |= low & high;
		return;
	}
	bits[first_byte] |= low;
	memset(bits + first_byte + 1, 0xff, last_byte - first_byte - 1);
	bits[last_byte] |= high;
}

static void window_record(struct iommu_dirty_bitmap *sink, u64 iova, size_t length)
{
	struct dirty_window *w = container_of(sink, struct dirty_window, sink);
	u64 last = iova + length - 1;

	if (last > w->last) {
		w->carry = true;
		w->carry_last = MAX(w->carry_last, last);
		last = w->last;
	}
	if (iova > last || last < w->iova)
		return;
	iova = MAX(iova, w->iova);
	bits_set(w->bits, (iova - w->iova) >> w->page_lg2, (last - w->iova) >> w->page_lg2);
	w->dirty = true;
}

/* OR the window into the program's bitmap.  A bad pointer loses the bits and is not reported. */
static void window_flush(struct dirty_window *w, u64 uptr)
{
	u64 nbits = ((w->last - w->iova) >> w->page_lg2) + 1, nbytes = (nbits + 7) / 8;
	unsigned char user[WINDOW_BYTES];

	if (!w->dirty || copy_from_user(user, uptr, nbytes))
		return;
	for (u64 i = 0; i < nbytes; i++)
		user[i] |= w->bits[i];
	copy_to_user(uptr, user, nbytes);
}

static void window_start(struct dirty_window *w, u64 iova, u64 last)
{
	u64 carried = w->carry_last;

	if (w->dirty)
		memset(w->bits, 0, sizeof(w->bits));
	w->dirty = false;
	w->iova = iova;
	w->last = last;
	if (!w->carry)
		return;
	w->carry = false;
	w->carry_last = 0;
	if (carried >= iova)
		window_record(&w->sink, iova, carried - iova + 1);
}

/* Areas from walk.cur on, as far as they are contiguous; returns whether the end was reached. */
static bool window_read(struct io_pagetable *iopt, struct iommu_domain *domain,
			unsigned long flags, struct dirty_window *w)
{
	struct area_walk walk;

	area_walk_for_each(&walk, iopt, w->iova, w->last)
		domain->dirty_ops->read_and_clear_dirty(domain, walk.cur,
							area_walk_step_last(&walk) - walk.cur + 1,
							flags, &w->sink);
	if (!(flags & IOMMU_DIRTY_NO_CLEAR))
		iommu_dirty_sync(domain, w->iova, w->last);
	return area_walk_done(&walk);
}

static void iopt_read_dirty(struct io_pagetable *iopt, struct iommu_domain *domain,
			    unsigned long flags, u64 iova, u64 last, u64 page_lg2, u64 uptr)
{
	struct dirty_window w = { .sink.record = window_record, .page_lg2 = page_lg2 };
	u64 window_length = WINDOW_BITS << page_lg2, window_last;
	bool more = true;

	/* A window of very large pages may exceed the space: then one window is all. */
	if (window_length >> page_lg2 != WINDOW_BITS)
		window_length = 0;
	while (more) {
		if (!window_length || last - iova < window_length)
			window_last = last;
		else
			window_last = iova + window_length - 1;
		window_start(&w, iova, window_last);
		read_lock(&iopt->iova_rwsem);
		more = window_read(iopt, domain, flags, &w);
		read_unlock(&iopt->iova_rwsem);
		window_flush(&w, uptr);
		if (window_last == last)
			break;
		iova = window_last + 1;
		uptr += WINDOW_BYTES;
	}
}

static int dirty_check_range(struct io_pagetable *iopt,
			     const struct iommu_hwpt_get_dirty_bitmap *bitmap, u64 *ret_last)
{
	u64 end_mask;

	if (__builtin_add_overflow(bitmap->iova, bitmap->length - 1, ret_last))
		return -EOVERFLOW;
	end_mask = bitmap->iova | (*ret_last + 1);
	if (end_mask & (iopt->iova_alignment - 1))
		return -EINVAL;
	if (!bitmap->page_size || end_mask & (bitmap->page_size - 1))
		return -EINVAL;
	/* iova 0, length 0 is no range. */
	return bitmap->length ? 0 : -EINVAL;
}

int iopt_read_and_clear_dirty_data(struct io_pagetable *iopt, struct iommu_domain *domain,
				   unsigned long flags,
				   const struct iommu_hwpt_get_dirty_bitmap *bitmap)
{
	u64 last;
	int rc;

	read_lock(&iopt->iova_rwsem);
	rc = dirty_check_range(iopt, bitmap, &last);
	read_unlock(&iopt->iova_rwsem);
	if (!rc && !domain->dirty_ops)
		rc = -EOPNOTSUPP;
	if (!rc && fault_point("dirty_bitmap"))
		rc = -ENOMEM;
	if (!rc)
		iopt_read_dirty(iopt, domain, flags, bitmap->iova, last,
				__builtin_ctzll(bitmap->page_size), bitmap->data);
	return rc;
}

int iopt_set_dirty_tracking(struct io_pagetable *iopt, struct iommu_domain *domain, bool enable)
{
	struct iommu_dirty_bitmap clear_only = { 0 };
	struct rangemap_entry e;
	int rc;

	if (!domain->dirty_ops)
		return -EOPNOTSUPP;
	read_lock(&iopt->iova_rwsem);
	if (enable)
		rangemap_for_each_in(&iopt->areas, e, 0, UINT64_MAX)
			domain->dirty_ops->read_and_clear_dirty(
				domain, e.first, e.last - e.first + 1, 0, &clear_only);
	rc = domain->dirty_ops->set_dirty_tracking(domain, enable);
	if (!rc && enable)
		iommu_dirty_sync(domain, 0, UINT64_MAX);
	read_unlock(&iopt->iova_rwsem);
	return rc;
}
