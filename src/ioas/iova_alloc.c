/* SPDX-License-Identifier: MIT */
/*
 * Choosing an iova: the lowest place that is allowed, not reserved and free.
 *
 * Programs observe the choice, so it follows Linux to the byte: align to the
 * length's power of two, to what the memory's address allows and to 2 MiB at
 * most; keep the offset within the page; never use the first or last page of
 * the space.  Areas are skipped by the map's gap search, so a million of them
 * cost a logarithm; reserved ranges are few and are walked.
 */
#include "ioas/area.h"

#define IOVA_MAX_ALIGN (1ULL << 21) /* the transparent huge page of x86-64 */

/* Lowest s in [first..last] that is aligned, has the page offset, and leaves room for length. */
static bool fit(u64 first, u64 last, u64 length, u64 align, u64 offset, u64 *ret)
{
	u64 s;

	if (__builtin_add_overflow(first, align - 1, &s))
		return false;
	s = (s & ~(align - 1)) | offset;
	if (s >= last || last - s < length - 1)
		return false;
	*ret = s;
	return true;
}

/*
 * Clip [*first..*last] to the part before the next reserved range; steps over those at its start.
 */
static bool next_unreserved(struct io_pagetable *iopt, u64 *first, u64 *last)
{
	struct itree_node *node;

	while ((node = itree_first(&iopt->reserved, *first, *last))) {
		if (node->first > *first) {
			*last = node->first - 1;
			return true;
		}
		if (node->last >= *last)
			return false;
		*first = node->last + 1;
	}
	return true;
}

static bool fit_in_hole(struct io_pagetable *iopt, u64 hole_first, u64 hole_last, u64 length,
			u64 align, u64 offset, u64 *ret)
{
	u64 first = hole_first, last;

	for (;;) {
		last = hole_last;
		if (!next_unreserved(iopt, &first, &last))
			return false;
		if (fit(first, last, length, align, offset, ret))
			return true;
		if (last == hole_last)
			return false;
		first = last + 1;
	}
}

static bool fit_in_window(struct io_pagetable *iopt, u64 first, u64 last, u64 length, u64 align,
			  u64 offset, u64 *ret)
{
	u64 hole_first, hole_last;

	if (!fit(first, last, length, align, offset, &first))
		return false;
	for (;;) {
		hole_first = first;
		hole_last = last;
		if (!rangemap_next_gap(&iopt->areas, &hole_first, &hole_last, length))
			return false;
		if (fit_in_hole(iopt, hole_first, hole_last, length, align, offset, ret))
			return true;
		if (hole_last >= last)
			return false;
		first = hole_last + 1;
	}
}

/* The next run of adjacent allowed ranges from *pos on, clipped to the usable space. */
static bool next_window(struct io_pagetable *iopt, u64 *pos, u64 *ret_first, u64 *ret_last)
{
	struct rangemap_entry e, next;

	if (!rangemap_first_from(&iopt->allowed, *pos, &e))
		return false;
	while (e.last != UINT64_MAX && rangemap_find(&iopt->allowed, e.last + 1, &next))
		e.last = next.last;
	*pos = e.last == UINT64_MAX ? e.last : e.last + 1;
	*ret_first = MAX(e.first, PAGE_SIZE);
	*ret_last = MIN(e.last, UINT64_MAX - PAGE_SIZE);
	return true;
}

static u64 wanted_alignment(u64 addr, u64 length)
{
	u64 align = length == 1 ? 1 : 1ULL << (64 - __builtin_clzll(length - 1));

	if (addr)
		align = MIN(align, addr & -addr);
	return MIN(align, IOVA_MAX_ALIGN);
}

int iopt_choose_iova(struct io_pagetable *iopt, u64 addr, u64 length, u64 *ret_iova)
{
	u64 align, offset = addr & ~PAGE_MASK, pos = 0, first, last;

	if (!length || length >= UINT64_MAX / 2)
		return -EOVERFLOW;
	align = wanted_alignment(addr, length);
	if (align < iopt->iova_alignment)
		return -EINVAL;
	if (rangemap_empty(&iopt->allowed))
		return fit_in_window(iopt, PAGE_SIZE, UINT64_MAX - PAGE_SIZE, length, align, offset,
				     ret_iova) ?
			       0 :
			       -ENOSPC;
	while (next_window(iopt, &pos, &first, &last)) {
		if (first <= last &&
		    fit_in_window(iopt, first, last, length, align, offset, ret_iova))
			return 0;
		if (pos == UINT64_MAX)
			break;
	}
	return -ENOSPC;
}
