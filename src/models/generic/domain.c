/* SPDX-License-Identifier: MIT */
/*
 * Domains of the generic IOMMU: AMD's host table, which has an entry for every power of two
 * and begins with three levels; a fourth comes on top with the first iova over 512 GiB.
 */
#include "models/generic/generic.h"

#include <iommufd/dma.h>

#include "base/alloc.h"

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

static const struct pt_alloc_ops generic_pt_alloc = {
	.table_alloc = table_alloc,
	.table_free = table_free,
	.pa_to_ptr = table_ptr,
};

/* ---- mapping ---- */

static int generic_map_range(struct iommu_domain *domain, u64 iova, phys_addr_t pa, size_t len,
			     int prot, size_t *mapped)
{
	struct pt_table *pt = &to_generic_domain(domain)->pt;
	u64 done = 0;
	int rc;

	rc = pt->ops->map_range(pt, iova, pa, len, prot, &done);
	*mapped = done;
	return rc;
}

static struct pt_gather generic_gather(struct generic_domain *gdom,
				       struct iommu_iotlb_gather *gather)
{
	return (struct pt_gather){
		.tables = gather->freelist,
		.alloc = gdom->pt.cfg.alloc,
		.alloc_ctx = gdom->pt.cfg.alloc_ctx,
	};
}

static size_t generic_unmap_range(struct iommu_domain *domain, u64 iova, size_t len,
				  struct iommu_iotlb_gather *gather)
{
	struct generic_domain *gdom = to_generic_domain(domain);
	struct pt_gather tables = generic_gather(gdom, gather);
	u64 unmapped;

	unmapped = gdom->pt.ops->unmap_range(&gdom->pt, iova, len, &tables);
	gather->freelist = tables.tables;
	return unmapped;
}

static void generic_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	struct generic_domain *gdom = to_generic_domain(domain);
	struct pt_gather tables = generic_gather(gdom, gather);

	iommufd_iotlb_flush(domain, gather->start, gather->end);
	if (pt_gather_empty(&tables))
		return;
	write_lock(&gdom->walkers);
	pt_gather_free(&tables);
	write_unlock(&gdom->walkers);
	gather->freelist = NULL;
}

static phys_addr_t generic_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	struct generic_domain *gdom = to_generic_domain(domain);
	u64 pa, run;
	int rc;

	read_lock(&gdom->walkers);
	rc = gdom->pt.ops->iova_to_phys(&gdom->pt, iova, &pa, &run);
	read_unlock(&gdom->walkers);
	return rc ? 0 : pa;
}

/*
 * What the hardware does is in hw.c.  One thing is added that no hardware does: pt/ keeps a
 * summary of what may be dirty, to skip what is clean, and that has to hear of marks before
 * the write they are for happens, whoever set them.
 */
static enum iommu_xlat_fault generic_translate(struct iommu_domain *domain, u64 iova,
					       unsigned int access, struct iommu_xlat *ret)
{
	struct generic_domain *gdom = to_generic_domain(domain);
	enum iommu_xlat_fault fault;

	fault = generic_hw_translate(&gdom->hw, iova, access, ret);
	if (unlikely(domain->dirty_ops) && access & IOMMU_WRITE && !fault &&
	    generic_hw_marks(&gdom->hw))
		gdom->pt.ops->set_dirty(&gdom->pt, iova);
	return fault;
}

/* Every leaf says it (FC), from the beginning. */
static bool generic_enforce_cache_coherency(struct iommu_domain *domain)
{
	return true;
}

static void generic_domain_free(struct iommu_domain *domain)
{
	struct generic_domain *gdom = to_generic_domain(domain);

	gdom->pt.ops->fini(&gdom->pt);
	rwlock_destroy(&gdom->walkers);
	free(gdom);
}

static const struct iommu_domain_ops generic_domain_ops = {
	.attach_dev = generic_attach_dev,
	.set_dev_pasid = generic_set_dev_pasid,
	.map_range = generic_map_range,
	.unmap_range = generic_unmap_range,
	.iotlb_sync = generic_iotlb_sync,
	.iova_to_phys = generic_iova_to_phys,
	.translate = generic_translate,
	.enforce_cache_coherency = generic_enforce_cache_coherency,
	.free = generic_domain_free,
};

/* ---- dirty tracking ---- */

static int generic_set_dirty_tracking(struct iommu_domain *domain, bool enabled)
{
	generic_hw_set_marking(&to_generic_domain(domain)->hw, enabled);
	return 0;
}

static void generic_record(void *ctx, u64 iova, u64 len)
{
	iommu_dirty_bitmap_record(ctx, iova, len);
}

static int generic_read_and_clear_dirty(struct iommu_domain *domain, u64 iova, size_t size,
					unsigned long flags, struct iommu_dirty_bitmap *dirty)
{
	struct generic_domain *gdom = to_generic_domain(domain);
	unsigned int pt_flags = flags & IOMMU_DIRTY_NO_CLEAR ? PT_DIRTY_NO_CLEAR : 0;
	int rc;

	read_lock(&gdom->walkers);
	rc = gdom->pt.ops->read_and_clear_dirty(&gdom->pt, iova, size, pt_flags, generic_record,
						dirty);
	read_unlock(&gdom->walkers);
	return rc;
}

static const struct iommu_dirty_ops generic_dirty_ops = {
	.set_dirty_tracking = generic_set_dirty_tracking,
	.read_and_clear_dirty = generic_read_and_clear_dirty,
};

/* ---- making one ---- */

static void generic_top_changed(struct pt_table *pt, u64 root_pa, unsigned int level)
{
	struct generic_domain *gdom = container_of(pt, struct generic_domain, pt);

	generic_hw_set_root(&gdom->hw, root_pa, level + 1);
}

struct iommu_domain *generic_domain_alloc(struct device *dev, u32 flags,
					  const struct iommu_user_data *user_data)
{
	struct mem_space *mem = to_generic_iommu(dev->iommu_dev)->system->mem;
	bool dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	const struct pt_cfg cfg = {
		.alloc = &generic_pt_alloc,
		.alloc_ctx = mem,
		.max_va_lg2 = GENERIC_VA_LG2,
		.features =
			PT_FEAT_DYNAMIC_TOP | PT_FEAT_FORCE_COHERENT | (dirty ? PT_FEAT_DIRTY : 0),
		.top_changed = generic_top_changed,
	};
	struct generic_domain *gdom;
	unsigned int level;
	u64 root;
	int rc;

	if (user_data || flags & ~(IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID))
		return ERR_PTR(-EOPNOTSUPP);
	gdom = zalloc(sizeof(*gdom));
	if (!gdom)
		return ERR_PTR(-ENOMEM);
	rc = pt_amdv1_init(&gdom->pt, &cfg);
	if (rc) {
		free(gdom);
		return ERR_PTR(rc);
	}
	generic_hw_init(&gdom->hw, mem);
	root = gdom->pt.ops->root(&gdom->pt, &level);
	generic_hw_set_root(&gdom->hw, root, level + 1);
	rwlock_init(&gdom->walkers);
	gdom->domain.ops = &generic_domain_ops;
	gdom->domain.dirty_ops = dirty ? &generic_dirty_ops : NULL;
	gdom->domain.pgsize_bitmap = gdom->pt.pgsize_bitmap;
	gdom->domain.geometry = (struct iommu_domain_geometry){
		.aperture_end = gdom->pt.aperture_last,
		.force_aperture = true,
	};
	return &gdom->domain;
}
