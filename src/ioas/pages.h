/* SPDX-License-Identifier: MIT */
/*
 * Pages objects: the linear memory, file range or device buffer that areas
 * show slices of.  One is made by each MAP; COPY and area splitting share it.
 *
 * Which page is behind an index is fixed while somebody holds the index, and
 * forgotten afterwards.  Holders are areas that have a domain and accesses
 * that pin.  The held part is a set of segments [first..last] of page indexes,
 * each one run of pinned memory with a count of holders.  A segment border
 * stands wherever some holder's range begins or ends, so releasing a range
 * only ever meets whole segments: it frees memory and never needs any.
 *
 * Locks: pages->mutex guards everything that changes; origin and sizes are
 * immutable.  Taken below iova_rwsem; mem and dmabuf locks are below it.  Whose area is
 * in flight and has the only count needs no mutex (pages_enter()).
 */
#ifndef IOAS_PAGES_H
#define IOAS_PAGES_H

#include <stdatomic.h>
#include <urcu/list.h>

#include "base/lock.h"
#include "base/rangemap.h"
#include "mem/dmabuf.h"
#include "mem/mm.h"

struct iommu_domain;
struct iommufd_ctx;
struct iopt_area;

enum iopt_origin {
	IOPT_ORIGIN_USER,   /* uptr in mm */
	IOPT_ORIGIN_FILE,   /* start in file */
	IOPT_ORIGIN_DMABUF, /* start in dmabuf */
};

/** struct pages_segment - one run of held pages */
struct pages_segment {
	struct mem_run run;
	u32 holds;
};

/**
 * struct iopt_pages - see the top of this file
 * @page_offset: of the first mapped byte in page 0
 * @start: byte address of page 0: VA, file offset or buffer offset, page aligned
 * @whole: the one segment while exactly [0..npages-1] is held; then @held is empty
 */
struct iopt_pages {
	_Atomic u32 refs;
	enum iopt_origin origin;
	bool writable;
	u64 start;
	u64 npages;
	u32 page_offset;
	union {
		struct mem_file *file;
		struct dmabuf *dmabuf;
	};
	struct mutex mutex;
	struct mm *mm __guarded_by(&mutex);         /* where memory is read, who owns it */
	struct mm *account_mm __guarded_by(&mutex); /* who was charged; counted, once if the same */
	struct mem_user *user __guarded_by(&mutex); /* counted; NULL if users are not charged */
	enum mem_account_mode account_mode;         /* immutable */
	struct pages_segment whole __guarded_by(&mutex);
	struct rangemap held __guarded_by(&mutex);  /* index -> struct pages_segment */
	u64 npinned __guarded_by(&mutex);
	bool revoked __guarded_by(&mutex);          /* dma-buf taken back: dead for ever */
	struct dmabuf_importer importer;
	struct cds_list_head dmabuf_maps __guarded_by(&mutex); /* struct pages_dmabuf_map */
	u64 visit;                                  /* CHANGE_PROCESS, under ioas_creation_lock */
};

/** pages_alloc_user() - memory of the current caller; accounting mode is fixed here */
int pages_alloc_user(struct iommufd_ctx *ctx, u64 uptr, u64 length, bool writable,
		     struct iopt_pages **ret_pages);
/** pages_alloc_file() - takes over @file */
int pages_alloc_file(struct iommufd_ctx *ctx, struct mem_file *file, u64 start, u64 length,
		     bool writable, struct iopt_pages **ret_pages);
/** pages_alloc_dmabuf() - counts its own reference on @dmabuf; -EINVAL, -ENODEV revoked, -ENOMEM */
int pages_alloc_dmabuf(struct iommufd_ctx *ctx, struct dmabuf *dmabuf, u64 start, u64 length,
		       bool writable, struct iopt_pages **ret_pages);
/**
 * pages_own() - from now on @mm's memory, and charged (to be uncharged) to @account_mm and @user
 */
void pages_own(struct iopt_pages *pages, struct mm *mm, struct mm *account_mm,
	       struct mem_user *user) __must_hold(&pages->mutex);
struct iopt_pages *pages_get(struct iopt_pages *pages);
void pages_put(struct iopt_pages *pages);

/**
 * pages_enter() - for an area in flight: take the mutex, unless nobody else can be there
 *
 * Everybody comes by an area that can be used, or has a count of its own; but a dma-buf's owner.
 * Return: what pages_leave() is to know.
 */
static inline bool pages_enter(struct iopt_pages *pages) __no_lock_analysis
{
	if (pages->origin != IOPT_ORIGIN_DMABUF &&
	    likely(atomic_load_explicit(&pages->refs, memory_order_acquire) == 1))
		return false;
	mutex_lock(&pages->mutex);
	return true;
}

static inline void pages_leave(struct iopt_pages *pages, bool locked) __no_lock_analysis
{
	if (locked)
		mutex_unlock(&pages->mutex);
}

static inline void pages_assert_entered(struct iopt_pages *pages)
{
	if (atomic_load_explicit(&pages->refs, memory_order_relaxed) != 1)
		mutex_assert_held(&pages->mutex);
}

/**
 * pages_hold() - hold indexes [first..last], pinning and charging what nobody held
 * Return: 0, -EFAULT, -EINVAL (file), -ENOMEM (also over the limit); on error nothing changed.
 */
int pages_hold(struct iopt_pages *pages, u64 first, u64 last) __must_hold(&pages->mutex);
/** pages_release() - a range held before, with the same borders; cannot fail */
void pages_release(struct iopt_pages *pages, u64 first, u64 last) __must_hold(&pages->mutex);
/**
 * pages_split_hold() - one hold of [first..last] becomes two, [first..low_last] and
 * [high_first..last]
 */
int pages_split_hold(struct iopt_pages *pages, u64 first, u64 low_last, u64 high_first, u64 last)
	__must_hold(&pages->mutex);

/**
 * pages_map_domain() - install bytes [offset, offset + length) at @iova
 * @large: physically contiguous runs in one piece, else page by page
 * The bytes are held (or a dma-buf).  On error nothing of the range is left in the domain.
 */
int pages_map_domain(struct iopt_pages *pages, struct iommu_domain *domain, u64 iova, u64 offset,
		     u64 length, int prot, bool large) __must_hold(&pages->mutex);
void pages_unmap_domain(struct iopt_pages *pages, struct iommu_domain *domain, u64 iova, u64 offset,
			u64 length) __must_hold(&pages->mutex);

/** pages_phys() - physical address of a held byte, 0 if it is not held */
u64 pages_phys(struct iopt_pages *pages, u64 offset) __must_hold(&pages->mutex);

/**
 * pages_rw() - copy to or from bytes, through held pages where there are any, else through
 * pages pinned for the moment (never charged)
 *
 * Context: takes pages->mutex to find the pages, not while copying.
 * Return: 0, -EFAULT, -EINVAL (file too short), -ENOMEM.
 */
int pages_rw(struct iopt_pages *pages, u64 offset, void *data, size_t length, bool write);

const char *pages_check(struct iopt_pages *pages);

#endif
