/* SPDX-License-Identifier: MIT */
/*
 * Using held pages: filling domains with them, and copying to and from them.
 *
 * Filling joins neighbouring segments while they stay physically contiguous,
 * so a range is handed to the driver in as few pieces as memory allows, and
 * the driver chooses the entry sizes.
 */
#include "ioas/pages.h"
#include "ioas/pages_priv.h"

#include "base/alloc.h"
#include "iommu/domain.h"

/* The segment that covers @index; false if it is not held. */
static bool pages_find(struct iopt_pages *pages, u64 index, struct rangemap_entry *ret)
{
	if (pages->whole.holds) {
		*ret = (struct rangemap_entry){ .first = 0,
						.last = pages->npages - 1,
						.value = &pages->whole };
		return true;
	}
	return rangemap_find(&pages->held, index, ret);
}

/* Physical run that begins at byte @offset: its address, and its length up to @length bytes. */
static u64 pages_phys_run(struct iopt_pages *pages, u64 offset, u64 length, u64 *ret_len)
{
	u64 index = offset >> PAGE_SHIFT, in_page = offset & ~PAGE_MASK;
	struct pages_segment *seg;
	struct rangemap_entry e;
	u32 contig;
	u64 pa;

	if (pages->origin == IOPT_ORIGIN_DMABUF) {
		*ret_len = length;
		return dmabuf_pa(pages->dmabuf) + pages->start + offset;
	}
	if (!pages_find(pages, index, &e))
		return 0;
	seg = e.value;
	pa = mem_run_phys(&seg->run, index - e.first, &contig) + in_page;
	*ret_len = MIN(((u64)contig << PAGE_SHIFT) - in_page, length);
	return pa;
}

u64 pages_phys(struct iopt_pages *pages, u64 offset)
{
	u64 len;

	return pages_phys_run(pages, offset, 1, &len);
}

static int pages_map_run(struct iommu_domain *domain, u64 iova, u64 pa, u64 length, int prot,
			 u64 *done)
{
	int rc = iommu_map(domain, iova, pa, length, prot);

	if (!rc)
		*done += length;
	return rc;
}

static int pages_map_held(struct iopt_pages *pages, struct iommu_domain *domain, u64 iova,
			  u64 offset, u64 length, int prot, bool large)
{
	u64 done = 0, run_pa = 0, run_len = 0, pos = 0, pa, len;
	int rc = 0;

	if (!large)
		prot |= IOMMU_PAGES;
	while (!rc && pos < length) {
		pa = pages_phys_run(pages, offset + pos, length - pos, &len);
		assert(pa);
		if (run_len && pa == run_pa + run_len) {
			run_len += len;
		} else {
			if (run_len)
				rc = pages_map_run(domain, iova + done, run_pa, run_len, prot,
						   &done);
			run_pa = pa;
			run_len = len;
		}
		pos += len;
	}
	if (!rc)
		rc = pages_map_run(domain, iova + done, run_pa, run_len, prot, &done);
	if (rc && done)
		iommu_unmap(domain, iova, done);
	return rc;
}

/* A buffer's mapping is remembered, so that a revoke finds it. */
static int pages_map_dmabuf(struct iopt_pages *pages, struct iommu_domain *domain, u64 iova,
			    u64 offset, u64 length, int prot, bool large)
{
	struct pages_dmabuf_map *map;
	int rc;

	if (pages->revoked)
		return 0;
	map = zalloc(sizeof(*map));
	if (!map)
		return -ENOMEM;
	map->domain = domain;
	map->iova = iova;
	map->length = length;
	prot = (prot & ~IOMMU_CACHE) | IOMMU_MMIO;
	rc = pages_map_held(pages, domain, iova, offset, length, prot, large);
	if (rc) {
		free(map);
		return rc;
	}
	cds_list_add(&map->node, &pages->dmabuf_maps);
	return 0;
}

int pages_map_domain(struct iopt_pages *pages, struct iommu_domain *domain, u64 iova, u64 offset,
		     u64 length, int prot, bool large)
{
	pages_assert_entered(pages);
	if (pages->origin == IOPT_ORIGIN_DMABUF)
		return pages_map_dmabuf(pages, domain, iova, offset, length, prot, large);
	return pages_map_held(pages, domain, iova, offset, length, prot, large);
}

static void pages_unmap_dmabuf(struct iopt_pages *pages, struct iommu_domain *domain, u64 iova)
{
	struct pages_dmabuf_map *map;

	cds_list_for_each_entry(map, &pages->dmabuf_maps, node) {
		if (map->domain != domain || map->iova != iova)
			continue;
		iommu_unmap(domain, iova, map->length);
		cds_list_del(&map->node);
		free(map);
		return;
	}
}

void pages_dmabuf_unmap_all(struct iopt_pages *pages)
{
	struct pages_dmabuf_map *map, *next;

	cds_list_for_each_entry_safe(map, next, &pages->dmabuf_maps, node) {
		iommu_unmap(map->domain, map->iova, map->length);
		cds_list_del(&map->node);
		free(map);
	}
}

void pages_unmap_domain(struct iopt_pages *pages, struct iommu_domain *domain, u64 iova, u64 offset,
			u64 length)
{
	size_t gone;

	pages_assert_entered(pages);
	if (pages->origin == IOPT_ORIGIN_DMABUF) {
		pages_unmap_dmabuf(pages, domain, iova);
		return;
	}
	gone = iommu_unmap(domain, iova, length);
	assert(gone == length);
	(void)gone;
}

/* ---- copies ---- */

/* The longest run of pages from @index on, pinned once more (or for the moment, uncharged). */
static s64 pages_borrow_run(struct iopt_pages *pages, u64 index, u64 last_index,
			    struct mem_run *ret_run) __must_hold(&pages->mutex)
{
	struct pages_segment *seg;
	struct rangemap_entry e;

	if (pages_find(pages, index, &e)) {
		seg = e.value;
		*ret_run = seg->run;
		ret_run->first += index - e.first;
		ret_run->npages = MIN(e.last, last_index) - index + 1;
		mem_run_pin_again(ret_run);
		return ret_run->npages;
	}
	if (rangemap_first_from(&pages->held, index, &e) && e.first <= last_index)
		last_index = e.first - 1;
	return pages_pin_origin(pages, index, last_index - index + 1, ret_run);
}

int pages_rw(struct iopt_pages *pages, u64 offset, void *data, size_t length, bool write)
{
	u64 in_page, len;
	struct mem_run run;
	s64 n;
	int rc;

	while (length) {
		mutex_lock(&pages->mutex);
		n = pages_borrow_run(pages, offset >> PAGE_SHIFT,
				     (offset + length - 1) >> PAGE_SHIFT, &run);
		mutex_unlock(&pages->mutex);
		if (n < 0)
			return n;
		in_page = offset & ~PAGE_MASK;
		len = MIN(((u64)n << PAGE_SHIFT) - in_page, length);
		rc = write ? mem_run_write(&run, in_page, data, len) :
			     mem_run_read(&run, in_page, data, len);
		mem_unpin(&run);
		if (rc)
			return rc;
		offset += len;
		data = (char *)data + len;
		length -= len;
	}
	return 0;
}
