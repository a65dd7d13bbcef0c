/* SPDX-License-Identifier: MIT */
#include "models/pt_domain.h"

#include <iommufd/dma.h>

/* ---- memory of tables ---- */

static void *table_alloc(void *ctx, unsigned int lg2_size, u64 *ret_pa)
{
	return mem_frames_alloc(ctx, lg2_size, ret_pa);
}

static void table_free(void *ctx, void *table, u64 pa, unsigned int lg2_size)
{
	mem_frames_free(ctx, table, pa, lg2_size);
}

static void *table_ptr(void *ctx, u64 pa)
{
	return mem_frames_ptr(ctx, pa);
}

const struct pt_alloc_ops pt_domain_alloc = {
	.table_alloc = table_alloc,
	.table_free = table_free,
	.pa_to_ptr = table_ptr,
};

/* ---- mapping ---- */

int pt_domain_map_range(struct iommu_domain *domain, u64 iova, phys_addr_t pa, size_t len,
			int prot, size_t *mapped)
{
	struct pt_domain *pdom = to_pt_domain(domain);
	struct pt_table *pt = &pdom->pt;
	u64 done = 0;
	int rc;

	if (unlikely(pdom->precise))
		rc = pt_fine_map_range(&pdom->fine, iova, pa, len, prot, &done);
	else
		rc = pt->ops->map_range(pt, iova, pa, len, prot, &done);
	*mapped = done;
	return rc;
}

/* The gather's chain is the list of tables; where they go back to is the domain's to know. */
static struct pt_gather domain_gather(struct pt_domain *pdom, struct iommu_iotlb_gather *gather)
{
	return (struct pt_gather){
		.tables = gather->freelist,
		.alloc = pdom->pt.cfg.alloc,
		.alloc_ctx = pdom->pt.cfg.alloc_ctx,
	};
}

size_t pt_domain_unmap_range(struct iommu_domain *domain, u64 iova, size_t len,
			     struct iommu_iotlb_gather *gather)
{
	struct pt_domain *pdom = to_pt_domain(domain);
	struct pt_gather tables = domain_gather(pdom, gather);
	u64 unmapped;

	if (unlikely(pdom->precise))
		unmapped = pt_fine_unmap_range(&pdom->fine, iova, len, &tables);
	else
		unmapped = pdom->pt.ops->unmap_range(&pdom->pt, iova, len, &tables);
	gather->freelist = tables.tables;
	return unmapped;
}

void pt_domain_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	struct pt_domain *pdom = to_pt_domain(domain);
	struct pt_gather tables = domain_gather(pdom, gather);

	/* What pt/ takes out while it unmaps is empty: tables in use elsewhere stay. */
	if (pt_gather_empty(&tables)) {
		iommufd_iotlb_flush_pages(domain, gather->start, gather->end);
		return;
	}
	iommufd_iotlb_flush(domain, gather->start, gather->end);
	write_lock(&pdom->walkers);
	pt_gather_free(&tables);
	write_unlock(&pdom->walkers);
	gather->freelist = NULL;
}

phys_addr_t pt_domain_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	struct pt_domain *pdom = to_pt_domain(domain);
	u64 pa, run;
	int rc;

	read_lock(&pdom->walkers);
	rc = pdom->pt.ops->iova_to_phys(&pdom->pt, iova, &pa, &run);
	read_unlock(&pdom->walkers);
	return rc ? 0 : pa;
}

int pt_domain_look(struct iommu_domain *domain, u64 iova, struct iommu_xlat *ret)
{
	struct pt_domain *pdom = to_pt_domain(domain);
	struct pt_walk walk;
	int rc;

	read_lock(&pdom->walkers);
	rc = pdom->pt.ops->walk(&pdom->pt, iova, &walk);
	read_unlock(&pdom->walkers);
	if (rc)
		return rc;
	*ret = (struct iommu_xlat){
		.pa = walk.pa,
		.lg2 = walk.lg2,
		.prot = walk.prot & (IOMMU_READ | IOMMU_WRITE),
		.dirty = domain->dirty_ops && walk.dirty,
	};
	return 0;
}

/* ---- dirty tracking ---- */

int pt_domain_set_tracking(struct pt_domain *pdom, bool on, pt_domain_mark_fn mark)
{
	struct iommu_iotlb_gather gather;
	struct pt_gather tables;
	int rc = 0;

	iommu_iotlb_gather_init(&gather);
	tables = domain_gather(pdom, &gather);
	mutex_lock(&pdom->fine.switching);
	if (on && pdom->precise)
		rc = pt_fine_cut(&pdom->fine, &tables);
	if (!rc)
		mark(pdom, on);
	if (!on && pdom->precise) {
		/* Who is inside may still set marks. */
		iommufd_iotlb_flush_all(&pdom->domain);
		pt_fine_join(&pdom->fine, &tables);
	}
	/* Of the tables, too: how their entries are to be read has changed. */
	iommufd_iotlb_flush_all(&pdom->domain);
	write_lock(&pdom->walkers);
	pt_gather_free(&tables);
	write_unlock(&pdom->walkers);
	mutex_unlock(&pdom->fine.switching);
	return rc;
}

static void domain_record(void *ctx, u64 iova, u64 len)
{
	iommu_dirty_bitmap_record(ctx, iova, len);
}

int pt_domain_read_dirty(struct iommu_domain *domain, u64 iova, size_t size, unsigned long flags,
			 struct iommu_dirty_bitmap *dirty)
{
	unsigned int pt_flags = flags & IOMMU_DIRTY_NO_CLEAR ? PT_DIRTY_NO_CLEAR : 0;
	struct pt_domain *pdom = to_pt_domain(domain);
	struct pt_table *pt = &pdom->pt;
	int rc;

	read_lock(&pdom->walkers);
	if (unlikely(pdom->precise))
		rc = pt_fine_read_dirty(&pdom->fine, iova, size, pt_flags, domain_record, dirty);
	else
		rc = pt->ops->read_and_clear_dirty(pt, iova, size, pt_flags, domain_record, dirty);
	read_unlock(&pdom->walkers);
	return rc;
}

/* ---- from beginning to end ---- */

void pt_domain_setup(struct pt_domain *pdom, bool precise)
{
	rwlock_init(&pdom->walkers);
	pdom->precise = precise;
	pt_fine_init(&pdom->fine, &pdom->pt);
	pdom->domain.pgsize_bitmap = pdom->pt.pgsize_bitmap;
}

void pt_domain_fini(struct pt_domain *pdom)
{
	pt_fine_fini(&pdom->fine);
	pdom->pt.ops->fini(&pdom->pt);
	rwlock_destroy(&pdom->walkers);
}
