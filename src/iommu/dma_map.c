/* SPDX-License-Identifier: MIT */
/*
 * DMA by pointer.  A borrow is entered in the domain's list before the first
 * piece is translated, so any invalidation that begins later waits for it, and
 * what one that began earlier may have changed is translated anew.
 */
#include <string.h>

#include "base/alloc.h"
#include "iommu/iotlb.h"

/** struct map_piece - @bounced: pointer is a buffer of ours, for memory at @pa */
struct map_bounce {
	u64 pa;
	bool bounced;
};

/**
 * struct dma_map - what is behind a struct iommufd_dma_map
 * @segs, @bounces: @capacity of each
 */
struct dma_map {
	struct iommufd_dma_map map;
	struct iommufd_dma_seg *segs;
	struct map_bounce *bounces;
	u32 capacity;
	bool writes;
	bool borrowed;
	struct dma_system *sys;
	struct dma_borrow borrow;
};

#define BOUNCE_MAX (1UL << 20)

/* ---- borrows ---- */

static void borrow_link(struct dma_borrow_link *link, struct dma_borrow *borrow,
			struct iommu_domain_dma *dd)
{
	link->borrow = borrow;
	link->domain = dd;
	if (!dd)
		return;
	mutex_lock(&dd->lock);
	link->ticket = atomic_load_explicit(&dd->flushes, memory_order_relaxed);
	cds_list_add(&link->node, &dd->borrows);
	atomic_fetch_add_explicit(&dd->nwarm, 1, memory_order_relaxed);
	mutex_unlock(&dd->lock);
}

static void borrow_unlink(struct dma_borrow_link *link)
{
	struct iommu_domain_dma *dd = link->domain;

	if (!dd)
		return;
	mutex_lock(&dd->lock);
	cds_list_del(&link->node);
	atomic_fetch_sub_explicit(&dd->nwarm, 1, memory_order_relaxed);
	/* Under the lock: who waits may free the domain next. */
	pthread_cond_broadcast(&dd->returned);
	mutex_unlock(&dd->lock);
}

static bool borrow_in_way(const struct dma_borrow_link *link, u64 number, u64 first, u64 last,
			  const struct iommu_dma *dma, ioasid_t pasid, bool all_pasids)
{
	const struct dma_borrow *borrow = link->borrow;

	if (link->ticket >= number)
		return false;
	if (dma)
		return borrow->dma == dma && (all_pasids || borrow->pasid == pasid);
	return link == &borrow->links[1] ||
	       ranges_overlap(borrow->first, borrow->last, first, last);
}

void dma_wait_borrows(struct iommu_domain_dma *dd, u64 first, u64 last, struct iommu_dma *dma,
		      ioasid_t pasid, bool all_pasids)
{
	u64 number = atomic_load_explicit(&dd->flushes, memory_order_relaxed);
	struct dma_borrow_link *link;
	bool wait;

	do {
		wait = false;
		cds_list_for_each_entry(link, &dd->borrows, node)
			if (borrow_in_way(link, number, first, last, dma, pasid, all_pasids))
				wait = true;
		if (wait)
			mutex_wait(&dd->lock, &dd->returned);
	} while (wait);
}

/* In the lists of what is attached now; it is linked, and stays so while dma->lock is held. */
static int map_borrow(struct dma_map *map, struct iotlb *iotlb, u64 iova, unsigned int access,
		      enum iommu_xlat_fault *ret_reason)
{
	struct iommu_dma *dma = iotlb->dma;
	int rc;

	for (;;) {
		rc = iotlb_link(iotlb, iova, access, ret_reason);
		if (rc)
			return rc;
		mutex_lock(&dma->lock);
		if (atomic_load_explicit(&iotlb->linked, memory_order_relaxed))
			break;
		mutex_unlock(&dma->lock);
	}
	for (int i = 0; i < 2; i++)
		borrow_link(&map->borrow.links[i], &map->borrow, iotlb->links[i].domain);
	dma->borrows++;
	map->sys = iotlb->sys;
	map->borrowed = true;
	mutex_unlock(&dma->lock);
	atomic_thread_fence(memory_order_seq_cst);
	return 0;
}

static void map_return(struct dma_map *map)
{
	struct iommu_dma *dma = map->borrow.dma;

	if (!map->borrowed)
		return;
	map->borrowed = false;
	mutex_lock(&dma->lock);
	if (!--dma->borrows)
		pthread_cond_broadcast(&dma->all_returned);
	mutex_unlock(&dma->lock);
	/* Last: then the device may leave, and go. */
	for (int i = 0; i < 2; i++)
		borrow_unlink(&map->borrow.links[i]);
}

/* ---- pieces ---- */

static int map_grow(struct dma_map *map)
{
	u32 capacity = map->capacity ? 2 * map->capacity : 4;
	struct iommufd_dma_seg *segs;
	struct map_bounce *bounces;

	if (map->map.count < map->capacity)
		return 0;
	segs = zalloc_array(capacity, sizeof(*segs));
	bounces = segs ? zalloc_array(capacity, sizeof(*bounces)) : NULL;
	if (!bounces) {
		free(segs);
		return -ENOMEM;
	}
	if (map->map.count) {
		memcpy(segs, map->segs, map->map.count * sizeof(*segs));
		memcpy(bounces, map->bounces, map->map.count * sizeof(*bounces));
	}
	free(map->segs);
	free(map->bounces);
	map->segs = segs;
	map->bounces = bounces;
	map->map.segs = segs;
	map->capacity = capacity;
	return 0;
}

static int map_bounce(struct dma_map *map, const struct dma_at *at, size_t len, void **ret_ptr)
{
	void *buf = alloc_uninit(len);
	int rc;

	if (!buf)
		return -ENOMEM;
	/* Also when it is only to be written: what the device leaves must come back as it was. */
	rc = mem_phys_read(map->sys->mem, at->pa, buf, len);
	if (rc) {
		free(buf);
		return -EIO;
	}
	*ret_ptr = buf;
	return 0;
}

static int map_add(struct dma_map *map, const struct dma_at *at, size_t len)
{
	u32 n = map->map.count;
	void *ptr = at->host;
	int rc;

	if (ptr && n && !map->bounces[n - 1].bounced &&
	    (u8 *)map->segs[n - 1].ptr + map->segs[n - 1].length == ptr) {
		map->segs[n - 1].length += len;
		return 0;
	}
	rc = map_grow(map);
	if (!rc && !ptr)
		rc = map_bounce(map, at, len, &ptr);
	if (rc)
		return rc;
	map->segs[n] = (struct iommufd_dma_seg){ .ptr = ptr, .length = len };
	map->bounces[n] = (struct map_bounce){ .pa = at->pa, .bounced = !at->host };
	map->map.count++;
	return 0;
}

static int map_piece(struct dma_map *map, struct iotlb *iotlb, u64 iova, unsigned int access,
		     size_t *len, u64 binds, struct iommufd_dma_fault *fault)
{
	int which = access & IOMMU_WRITE ? IOTLB_WRITE : IOTLB_READ;
	struct dma_at at;
	int rc;

	iotlb_enter(iotlb);
	rc = iotlb_lookup(iotlb, iova, which, &at, fault);
	if (!rc && access & ~at.prot & (IOMMU_READ | IOMMU_WRITE))
		rc = dma_fault_set(fault, IOMMU_XLAT_PERMISSION, iova, iotlb->pasid, access);
	if (!rc && at.host == IOTLB_UNKNOWN)
		iotlb_resolve(iotlb, iova, &at);
	/* Attached to something else since the borrow was entered? */
	if (!rc && iotlb->binds != binds)
		rc = -EAGAIN;
	iotlb_leave(iotlb);
	if (rc)
		return rc;
	*len = MIN(*len, at.run);
	if (!at.host)
		*len = MIN(*len, BOUNCE_MAX);
	rc = map_add(map, &at, *len);
	if (rc)
		dma_fault_set(fault, IOMMU_XLAT_OK, iova, iotlb->pasid, access);
	return rc;
}

static void map_drop_pieces(struct dma_map *map)
{
	for (u32 i = 0; i < map->map.count; i++)
		if (map->bounces[i].bounced)
			free(map->segs[i].ptr);
	map->map.count = 0;
}

static int map_pieces(struct dma_map *map, struct iotlb *iotlb, u64 iova, size_t len,
		      unsigned int access, struct iommufd_dma_fault *fault)
{
	enum iommu_xlat_fault reason;
	u64 binds;
	int rc;

	rc = map_borrow(map, iotlb, iova, access, &reason);
	if (rc) {
		dma_fault_set(fault, reason, iova, iotlb->pasid, access);
		return rc;
	}
	binds = iotlb->binds;
	while (len && !rc) {
		size_t piece = len;

		rc = map_piece(map, iotlb, iova, access, &piece, binds, fault);
		iova += piece;
		len -= piece;
	}
	return rc;
}

static void map_free(struct dma_map *map)
{
	map_return(map);
	map_drop_pieces(map);
	free(map->segs);
	free(map->bounces);
	free(map);
}

int iommufd_dma_map(struct device *dev, ioasid_t pasid, u64 iova, size_t len, unsigned int access,
		    struct iommufd_dma_map **ret_map, struct iommufd_dma_fault *fault)
{
	struct iotlb *iotlb = iotlb_get(dev, pasid);
	struct dma_map *map;
	u64 last;
	int rc;

	dma_fault_set(fault, IOMMU_XLAT_OK, iova, pasid, access);
	if (range_last(iova, len, &last) || !access || access & ~(IOMMU_READ | IOMMU_WRITE))
		return -EINVAL;
	if (!dev->dma)
		return dma_fault_set(fault, IOMMU_XLAT_NOT_ATTACHED, iova, pasid, access);
	map = iotlb ? zalloc(sizeof(*map)) : NULL;
	if (!map)
		return -ENOMEM;
	map->writes = access & IOMMU_WRITE;
	map->borrow.dma = dev->dma;
	map->borrow.pasid = pasid;
	map->borrow.first = iova;
	map->borrow.last = last;
	iotlb->held++;
	for (;;) {
		rc = map_pieces(map, iotlb, iova, len, access, fault);
		if (rc != -EAGAIN)
			break;
		map_return(map);
		map_drop_pieces(map);
	}
	iotlb->held--;
	if (rc)
		map_free(map);
	else
		*ret_map = &map->map;
	return rc;
}

int iommufd_dma_unmap(struct iommufd_dma_map *dma_map)
{
	struct dma_map *map;
	int rc = 0;

	if (!dma_map)
		return 0;
	map = container_of(dma_map, struct dma_map, map);
	for (u32 i = 0; map->writes && i < map->map.count; i++)
		if (map->bounces[i].bounced &&
		    mem_phys_write(map->sys->mem, map->bounces[i].pa, map->segs[i].ptr,
				   map->segs[i].length))
			rc = -EIO;
	if (map->writes)
		dma_log_wrote(map->borrow.dma, map->borrow.first,
			      map->borrow.last - map->borrow.first + 1);
	map_free(map);
	return rc;
}
