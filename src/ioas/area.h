/* SPDX-License-Identifier: MIT */
/*
 * Areas: an iova interval that shows a slice of a pages object.
 *
 * An area in flight (being filled, or being torn down) occupies its iova but
 * cannot be used.  It is made usable by one release store, and taken out of
 * use under iova_rwsem held for writing.
 */
#ifndef IOAS_AREA_H
#define IOAS_AREA_H

#include "ioas/iopt.h"
#include "ioas/pages.h"

/**
 * struct iopt_area - see the top of this file
 * @first, @last: iova; changed only by a split, under iova_rwsem for writing
 * @offset: bytes from the start of page 0 of @pages to the first byte
 * @prot: IOMMU_READ | IOMMU_WRITE
 * @in_flight: not usable; see above
 * @prevent_access: closing: no new access may pin or copy
 * @num_accesses: pins by accesses; raised under iova_rwsem for reading
 * @num_locks: those of them that refuse to leave (hw queues)
 * @held: the area's own hold on its pages, which it has while the iopt has a domain;
 *	changes with domains_rwsem held, by the filler or emptier
 */
struct iopt_area {
	struct io_pagetable *iopt;
	struct iopt_pages *pages;
	u64 first;
	u64 last;
	u64 offset;
	int prot;
	_Atomic bool in_flight;
	_Atomic bool prevent_access;
	_Atomic u32 num_accesses;
	_Atomic u32 num_locks;
	bool held;
};

static inline u64 area_length(const struct iopt_area *area)
{
	return area->last - area->first + 1;
}

/** area_start_byte() - where in the pages object the byte at @iova is */
static inline u64 area_start_byte(const struct iopt_area *area, u64 iova)
{
	return area->offset + (iova - area->first);
}

static inline u64 area_first_index(const struct iopt_area *area)
{
	return area->offset >> PAGE_SHIFT;
}

static inline u64 area_last_index(const struct iopt_area *area)
{
	return area_start_byte(area, area->last) >> PAGE_SHIFT;
}

static inline bool area_usable(const struct iopt_area *area)
{
	return !atomic_load_explicit(&area->in_flight, memory_order_acquire);
}

/** area_is_aligned() - iova, length and offset in the page are multiples of @alignment */
static inline bool area_is_aligned(const struct iopt_area *area, u64 alignment)
{
	return !((area->first | (area->last + 1) | (area->offset & ~PAGE_MASK)) & (alignment - 1));
}

/**
 * area_fill_domains() - hold the pages and install them in every domain of the iopt
 * Return: 0 or errno; on error no domain holds any of it and nothing stays held.
 */
int area_fill_domains(struct iopt_area *area);
/** area_unfill_domains() - the reverse; cannot fail */
void area_unfill_domains(struct iopt_area *area);
/** area_fill_domain() - one more domain for an area */
int area_fill_domain(struct iopt_area *area, struct iommu_domain *domain);
/** area_unfill_domain() - one domain fewer; @last_domain: the area lets go of its pages */
void area_unfill_domain(struct iopt_area *area, struct iommu_domain *domain, bool last_domain);

/* ---- contiguous walks ---- */

/** struct area_walk - the areas that cover [iova..last] without a hole, one step each */
struct area_walk {
	struct io_pagetable *iopt;
	struct iopt_area *area; /* NULL: a hole (or an area in flight) was met */
	u64 cur;                /* first byte of this step */
	u64 last;               /* of the whole walk */
};

struct iopt_area *area_walk_init(struct area_walk *walk, struct io_pagetable *iopt, u64 iova,
				 u64 last);
struct iopt_area *area_walk_next(struct area_walk *walk);

static inline u64 area_walk_step_last(const struct area_walk *walk)
{
	return MIN(walk->area->last, walk->last);
}

static inline bool area_walk_done(const struct area_walk *walk)
{
	return walk->area && walk->last <= walk->area->last;
}

#define area_walk_for_each(walk, iopt, iova, last)                                                 \
	for (struct iopt_area *area = area_walk_init(walk, iopt, iova, last); area;                \
	     area = area_walk_next(walk))

/* ---- inside the room ---- */

/** struct map_piece - one area to be made by iopt_map_pieces() */
struct map_piece {
	struct iopt_pages *pages; /* counted by the caller; the area takes over its count */
	u64 offset;               /* bytes from page 0 of pages */
	u64 length;
	struct iopt_area *area;
};

enum { IOPT_ALLOC_IOVA = 1 << 0 };
/**
 * iopt_map_pieces() - on success the counts of the pieces' pages are the areas', else the caller's
 */
int iopt_map_pieces(struct io_pagetable *iopt, struct map_piece *pieces, u32 n, u64 length,
		    u64 *iova, int prot, unsigned int flags);

/** iopt_unmap_iova() - areas wholly inside [first..last]; *ret_unmapped also set on error */
int iopt_unmap_iova(struct io_pagetable *iopt, u64 first, u64 last, u64 *ret_unmapped);
int iopt_unmap_all(struct io_pagetable *iopt, u64 *ret_unmapped);

/** iopt_cut_iova() - VFIO type1 splitting at each of @cuts (a cut is before that iova) */
int iopt_cut_iova(struct io_pagetable *iopt, const u64 *cuts, u32 n);

int iopt_disable_large_pages(struct io_pagetable *iopt);
int iopt_enable_large_pages(struct io_pagetable *iopt);

/** iopt_choose_iova() - lowest fitting iova (iova_alloc.c) */
int iopt_choose_iova(struct io_pagetable *iopt, u64 addr, u64 length, u64 *ret_iova)
	__must_hold_shared(&iopt->iova_rwsem);

/** iopt_raise_alignment() - recompute alignment with @extra as one more contributor */
int iopt_raise_alignment(struct io_pagetable *iopt, u64 extra) __must_hold(&iopt->iova_rwsem);
void iopt_lower_alignment(struct io_pagetable *iopt) __must_hold(&iopt->iova_rwsem);

int iopt_reserve_iova_locked(struct io_pagetable *iopt, u64 first, u64 last, void *owner)
	__must_hold(&iopt->iova_rwsem);
void iopt_remove_reserved_locked(struct io_pagetable *iopt, void *owner)
	__must_hold(&iopt->iova_rwsem);
/** iopt_next_usable() - next maximal hole of the reserved ranges from *first on */
bool iopt_next_usable(struct io_pagetable *iopt, u64 *first, u64 *last);

/**
 * iopt_list_usable() - the holes of the reserved ranges, ascending
 * @ret_ranges: the first min(@capacity, total) of them; free() it
 * Return: 0 or -ENOMEM.
 */
int iopt_list_usable(struct io_pagetable *iopt, u32 capacity, struct iova_range **ret_ranges,
		     u32 *ret_total, u64 *ret_alignment);

/** access_notify_unmap() - tell every external access of @iopt; called with no lock held */
void access_notify_unmap(struct io_pagetable *iopt, u64 iova, u64 length);

#endif
