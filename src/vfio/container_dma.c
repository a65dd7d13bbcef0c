/* SPDX-License-Identifier: MIT */
/*
 * Mappings of a container.  The list says what there is and in which order
 * errors come; the pages are the IOAS's business.  While a mapping is made or
 * ended it is in the list as busy, with no lock held.
 */
#include <string.h>

#include "base/alloc.h"
#include "ioas/area.h"
#include "ioas/ioas.h"
#include "mem/task.h"
#include "vfio/container.h"

#define MAP_FLAGS   (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE | VFIO_DMA_MAP_FLAG_VADDR)
#define UNMAP_FLAGS (VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP | VFIO_DMA_UNMAP_FLAG_ALL)
#define DIRTY_FLAGS                                                                                \
	(VFIO_IOMMU_DIRTY_PAGES_FLAG_START | VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP |                    \
	 VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP)
#define BITMAP_MAX   (256UL << 20)
#define BITMAP_CHUNK 4096U

/* ---- the list ---- */

static int dma_add(struct vfio_container *container, u64 first, u64 last)
{
	struct container_dma *dma = zalloc(sizeof(*dma));
	int rc;

	if (!dma)
		return -ENOMEM;
	dma->busy = true;
	mutex_lock(&container->lock);
	dma->number = container->next_dma++;
	if (rangemap_overlaps(&container->dmas, first, last))
		rc = -EEXIST;
	else if (container->num_dmas >= CONTAINER_DMAS_MAX)
		rc = -ENOSPC;
	else
		rc = rangemap_insert(&container->dmas, first, last, dma);
	if (!rc)
		container->num_dmas++;
	mutex_unlock(&container->lock);
	if (rc)
		free(dma);
	return rc;
}

static void dma_settle(struct vfio_container *container, u64 first)
{
	struct rangemap_entry entry;

	mutex_lock(&container->lock);
	if (rangemap_find(&container->dmas, first, &entry)) {
		struct container_dma *dma = entry.value;

		dma->busy = false;
		dma->ending = NULL;
	}
	pthread_cond_broadcast(&container->settled);
	mutex_unlock(&container->lock);
}

static void dma_remove(struct vfio_container *container, u64 first)
{
	mutex_lock(&container->lock);
	free(rangemap_remove(&container->dmas, first));
	container->num_dmas--;
	pthread_cond_broadcast(&container->settled);
	mutex_unlock(&container->lock);
}

/* ---- map ---- */

static int map_check(const struct vfio_iommu_type1_dma_map *map, u64 *ret_last)
{
	bool vaddr = map->flags & VFIO_DMA_MAP_FLAG_VADDR;
	bool rights = map->flags & ~VFIO_DMA_MAP_FLAG_VADDR;
	u64 last;
	int rc;

	if (map->argsz < sizeof(*map) || map->flags & ~MAP_FLAGS)
		return -EINVAL;
	rc = range_last(map->iova, map->size, ret_last);
	if (!rc)
		rc = range_last(map->vaddr, map->size, &last);
	if (rc)
		return rc;
	if (vaddr == rights || (map->iova | map->vaddr | map->size) & ~PAGE_MASK)
		return -EINVAL;
	return 0;
}

/* No address is ever taken away from a mapping, so there is none to be given back. */
static int map_vaddr(struct vfio_container *container, u64 first, u64 last)
{
	bool found;

	mutex_lock(&container->lock);
	found = rangemap_overlaps(&container->dmas, first, last);
	mutex_unlock(&container->lock);
	return found ? -EINVAL : -ENOENT;
}

/* @pages belong to the map afterwards, or are gone. */
static int map_pages(struct vfio_container *container, struct iopt_pages *pages,
		     const struct vfio_iommu_type1_dma_map *map)
{
	struct map_piece piece = { .pages = pages, .offset = pages->page_offset,
				   .length = map->size };
	u64 iova = map->iova;
	int rc, prot = 0;

	if (map->flags & VFIO_DMA_MAP_FLAG_READ)
		prot |= IOMMU_READ;
	if (map->flags & VFIO_DMA_MAP_FLAG_WRITE)
		prot |= IOMMU_WRITE;
	rc = iopt_map_pieces(&container->ioas->iopt, &piece, 1, map->size, &iova, prot, 0);
	if (rc)
		pages_put(pages);
	return rc;
}

static int map_memory(struct vfio_container *container, const struct vfio_iommu_type1_dma_map *map,
		      struct file **ret_file)
{
	bool writable = map->flags & VFIO_DMA_MAP_FLAG_WRITE;
	struct iopt_pages *pages;
	int rc = pages_alloc_user(container->ctx, map->vaddr, map->size, writable, &pages);

	if (!rc)
		rc = map_pages(container, pages, map);
	if (rc != -EFAULT)
		return rc;
	/* No memory of the program: registers of a device it drives? */
	rc = container_bar_pages(container, map->vaddr, map->size, writable, ret_file,
				 &pages);
	return rc ? rc : map_pages(container, pages, map);
}

int container_map_dma(struct vfio_container *container, u64 arg, struct file **ret_file)
{
	struct vfio_iommu_type1_dma_map map;
	u64 last;
	int rc = copy_from_user(&map, arg, sizeof(map));

	if (!rc)
		rc = map_check(&map, &last);
	if (rc)
		return rc;
	if (map.flags & VFIO_DMA_MAP_FLAG_VADDR)
		return map_vaddr(container, map.iova, last);
	rc = dma_add(container, map.iova, last);
	if (rc)
		return rc;
	rc = map_memory(container, &map, ret_file);
	if (rc)
		dma_remove(container, map.iova);
	else
		dma_settle(container, map.iova);
	/* What is left besides overlaps: iova nobody can have. */
	return rc == -EADDRINUSE || rc == -EEXIST ? -EINVAL : rc;
}

/* ---- bitmaps ---- */

static int bitmap_check(u64 npages, const struct vfio_bitmap *bitmap)
{
	u64 bytes = (npages + 63) / 64 * 8;

	return !npages || !bitmap->size || bitmap->size > BITMAP_MAX || bitmap->size < bytes
		       ? -EINVAL
		       : 0;
}

/* Set bits [@first, @last] in the program's memory. */
static int bitmap_set(u64 uptr, u64 first, u64 last)
{
	u8 chunk[BITMAP_CHUNK], edge;
	u64 byte = first / 8;
	int rc = 0;

	memset(chunk, 0xff, sizeof(chunk));
	while (!rc && byte <= last / 8) {
		u64 n = MIN(last / 8 - byte, (u64)BITMAP_CHUNK);

		if (n && byte * 8 >= first) {
			rc = copy_to_user(uptr + byte, chunk, n);
			byte += n;
			continue;
		}
		rc = copy_from_user(&edge, uptr + byte, 1);
		for (u64 bit = MAX(first, byte * 8); bit <= MIN(last, byte * 8 + 7); bit++)
			edge |= (u8)(1 << bit % 8);
		rc = rc ?: copy_to_user(uptr + byte, &edge, 1);
		byte++;
	}
	return rc;
}

/*
 * All that is mapped may have been written: this is what Linux's type1 says of a container whose
 * groups have no pinned scope, which is all but those of mediated devices.  It looks neither at
 * marks in the tables nor at a device's own log (DMA_LOGGING), so these change nothing here.
 * @ending: only of what this request ends; NULL: of all.
 */
static int bitmap_report(struct vfio_container *container, const struct container_ending *ending,
			 u64 first, u64 last, u64 uptr)
{
	struct rangemap_entry entry = {.first = first};
	bool found, wanted;
	int rc = 0;

	for (u64 at = first; !rc; at = entry.last + 1) {
		mutex_lock(&container->lock);
		found = rangemap_first_from(&container->dmas, at, &entry) && entry.first <= last;
		wanted = found &&
			 (!ending || ((struct container_dma *)entry.value)->ending == ending);
		mutex_unlock(&container->lock);
		if (!found)
			break;
		if (wanted)
			rc = bitmap_set(uptr, (entry.first - first) >> PAGE_SHIFT,
					(MIN(entry.last, last) - first) >> PAGE_SHIFT);
		if (entry.last == UINT64_MAX)
			break;
	}
	return rc;
}

/* ---- unmap ---- */

/* Does a mapping lie across the beginning or the end of the range? */
static bool range_cuts(struct vfio_container *container, u64 first, u64 last, bool v2)
	__must_hold(&container->lock)
{
	struct rangemap_entry entry;

	if (rangemap_find(&container->dmas, first, &entry) && entry.first != first)
		return true;
	return v2 && rangemap_find(&container->dmas, last, &entry) && entry.last != last;
}

/**
 * struct container_ending - a request that ends mappings; on its stack
 * @first, @last: what is asked for
 * @before: only mappings with lower numbers: what is mapped after the request has begun stays
 * @unmapped: bytes that are gone
 */
struct container_ending {
	u64 first, last;
	u64 before;
	u64 unmapped;
};

/*
 * Until nothing a request means is being made or ended: only then is it known what there is.
 * These become fewer, however many others are mapped meanwhile.
 */
static void ending_settle(struct vfio_container *container, const struct container_ending *ending)
	__must_hold(&container->lock)
{
	struct rangemap_entry entry;
	bool busy;

	do {
		busy = false;
		rangemap_for_each_in (&container->dmas, entry, ending->first, ending->last) {
			const struct container_dma *dma = entry.value;

			busy |= dma->busy && dma->number < ending->before;
		}
		if (busy)
			mutex_wait(&container->lock, &container->settled);
	} while (busy);
}

/*
 * Mark all that a request takes away, at one moment.
 * Version 1 goes by where a mapping begins, and takes nothing if one began before the range.
 * Return: 0; -EINVAL: version 2, and a mapping would be cut.
 */
static int ending_begin(struct vfio_container *container, struct container_ending *ending, bool v2)
	__must_hold(&container->lock)
{
	struct rangemap_entry entry;

	ending->before = container->next_dma;
	ending_settle(container, ending);
	if (range_cuts(container, ending->first, ending->last, v2))
		return v2 ? -EINVAL : 0;
	rangemap_for_each_in (&container->dmas, entry, ending->first, ending->last) {
		struct container_dma *dma = entry.value;

		if (dma->number >= ending->before)
			continue;
		dma->busy = true;
		dma->ending = ending;
	}
	return 0;
}

/* The first mapping from @at on that is marked. */
static bool ending_next(struct vfio_container *container, const struct container_ending *ending,
			u64 at, struct rangemap_entry *ret)
{
	bool found = false;

	mutex_lock(&container->lock);
	while (rangemap_first_from(&container->dmas, at, ret) && ret->first <= ending->last) {
		found = ((struct container_dma *)ret->value)->ending == ending;
		if (found || ret->last >= ending->last)
			break;
		at = ret->last + 1;
	}
	mutex_unlock(&container->lock);
	return found;
}

/* End what is marked, unless @rc says no; from a failure on the rest stays as it was. */
static int ending_run(struct vfio_container *container, struct container_ending *ending, int rc)
{
	struct rangemap_entry entry = {.first = ending->first};

	while (ending_next(container, ending, entry.first, &entry)) {
		if (!rc)
			rc = iopt_unmap_iova(&container->ioas->iopt, entry.first, entry.last,
					     &(u64){0});
		if (rc) {
			dma_settle(container, entry.first);
		} else {
			ending->unmapped += entry.last - entry.first + 1;
			dma_remove(container, entry.first);
		}
	}
	return rc;
}

void container_unmap_everything(struct vfio_container *container)
{
	struct container_ending all = {.last = UINT64_MAX};

	mutex_lock(&container->lock);
	ending_begin(container, &all, false);
	container->dirty = false;
	mutex_unlock(&container->lock);
	ending_run(container, &all, 0);
}

static int unmap_check(const struct vfio_iommu_type1_dma_unmap *unmap, u64 *ret_last)
{
	bool all = unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL;
	bool dirty = unmap->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	int rc;

	if (unmap->argsz < sizeof(*unmap) || unmap->flags & ~UNMAP_FLAGS || (all && dirty))
		return -EINVAL;
	*ret_last = UINT64_MAX;
	if (all)
		return unmap->iova || unmap->size ? -EINVAL : 0;
	rc = range_last(unmap->iova, unmap->size, ret_last);
	if (rc)
		return rc;
	return (unmap->iova | unmap->size) & ~PAGE_MASK ? -EINVAL : 0;
}

/* What was dirty is asked for with the unmapping. */
static int unmap_read_bitmap(struct vfio_container *container,
			     const struct vfio_iommu_type1_dma_unmap *unmap, u64 arg,
			     struct vfio_bitmap *bitmap)
{
	bool dirty;
	int rc;

	if (unmap->argsz < sizeof(*unmap) + sizeof(*bitmap))
		return -EINVAL;
	rc = copy_from_user(bitmap, arg + sizeof(*unmap), sizeof(*bitmap));
	if (rc)
		return rc;
	mutex_lock(&container->lock);
	dirty = container->dirty;
	mutex_unlock(&container->lock);
	if (bitmap->pgsize != PAGE_SIZE || !dirty)
		return -EINVAL;
	return bitmap_check(unmap->size >> PAGE_SHIFT, bitmap);
}

int container_unmap_dma(struct vfio_container *container, u64 arg)
{
	bool v2 = container->type == VFIO_TYPE1v2_IOMMU;
	struct vfio_iommu_type1_dma_unmap unmap = {0};
	struct container_ending ending = {0};
	struct vfio_bitmap bitmap;
	bool dirty;
	int rc = copy_from_user(&unmap, arg, sizeof(unmap));

	if (!rc)
		rc = unmap_check(&unmap, &ending.last);
	dirty = unmap.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	if (!rc && dirty)
		rc = unmap_read_bitmap(container, &unmap, arg, &bitmap);
	if (rc)
		return rc;
	ending.first = unmap.iova;
	mutex_lock(&container->lock);
	rc = ending_begin(container, &ending, v2);
	mutex_unlock(&container->lock);
	if (rc)
		return rc;
	if (dirty)
		rc = bitmap_report(container, &ending, ending.first, ending.last,
				   (uintptr_t)bitmap.data);
	rc = ending_run(container, &ending, rc);
	if (rc)
		return rc;
	unmap.size = ending.unmapped;
	return copy_to_user(arg, &unmap, sizeof(unmap));
}

/* ---- DIRTY_PAGES ---- */

static int dirty_get(struct vfio_container *container, u32 argsz, u64 arg)
{
	struct vfio_iommu_type1_dirty_bitmap_get get;
	const size_t head = offsetof(struct vfio_iommu_type1_dirty_bitmap, data);
	bool tracking, cuts;
	u64 last;
	int rc;

	if (argsz < head + sizeof(get))
		return -EINVAL;
	rc = copy_from_user(&get, arg + head, sizeof(get));
	if (rc)
		return rc;
	if (range_last(get.iova, get.size, &last) || get.bitmap.pgsize != PAGE_SIZE ||
	    (get.iova | get.size) & ~PAGE_MASK)
		return -EINVAL;
	rc = bitmap_check(get.size >> PAGE_SHIFT, &get.bitmap);
	if (rc)
		return rc;
	mutex_lock(&container->lock);
	tracking = container->dirty;
	cuts = range_cuts(container, get.iova, last, true);
	mutex_unlock(&container->lock);
	if (!tracking || cuts)
		return -EINVAL;
	return bitmap_report(container, NULL, get.iova, last, (uintptr_t)get.bitmap.data);
}

int container_dirty_pages(struct vfio_container *container, u64 arg)
{
	struct vfio_iommu_type1_dirty_bitmap dirty;
	int rc;

	if (container->type != VFIO_TYPE1v2_IOMMU)
		return -EACCES;
	rc = copy_from_user(&dirty, arg, sizeof(dirty));
	if (rc)
		return rc;
	if (dirty.argsz < sizeof(dirty) || dirty.flags & ~DIRTY_FLAGS ||
	    !is_power_of_2(dirty.flags))
		return -EINVAL;
	if (dirty.flags == VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP)
		return dirty_get(container, dirty.argsz, arg);
	mutex_lock(&container->lock);
	container->dirty = dirty.flags == VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
	mutex_unlock(&container->lock);
	return 0;
}
