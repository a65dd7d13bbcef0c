/* SPDX-License-Identifier: MIT */
/*
 * Domains of the generic IOMMU: AMD's host table, which has an entry for every power of two
 * and begins with three levels; a fourth comes on top with the first iova over 512 GiB.
 */
#include "models/generic/generic.h"

#include "base/alloc.h"

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
	bool marks;

	/*
	 * The register is read once: a mark that pt/ does not hear of would be joined into others.
	 */
	fault = generic_hw_translate(&gdom->hw, iova, access, ret, &marks);
	if (unlikely(domain->dirty_ops) && access & IOMMU_WRITE && !fault && marks)
		gdom->base.pt.ops->set_dirty(&gdom->base.pt, iova);
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

	pt_domain_fini(&gdom->base);
	free(gdom);
}

static const struct iommu_domain_ops generic_domain_ops = {
	.attach_dev = generic_attach_dev,
	.set_dev_pasid = generic_set_dev_pasid,
	.map_range = pt_domain_map_range,
	.unmap_range = pt_domain_unmap_range,
	.iotlb_sync = pt_domain_iotlb_sync,
	.iova_to_phys = pt_domain_iova_to_phys,
	.translate = generic_translate,
	.look = pt_domain_look,
	.enforce_cache_coherency = generic_enforce_cache_coherency,
	.free = generic_domain_free,
};

/* ---- dirty tracking ---- */

static void generic_mark(struct pt_domain *pdom, bool on)
{
	generic_hw_set_marking(&container_of(pdom, struct generic_domain, base)->hw, on);
}

static int generic_set_dirty_tracking(struct iommu_domain *domain, bool enabled)
{
	return pt_domain_set_tracking(&to_generic_domain(domain)->base, enabled, generic_mark);
}

static const struct iommu_dirty_ops generic_dirty_ops = {
	.set_dirty_tracking = generic_set_dirty_tracking,
	.read_and_clear_dirty = pt_domain_read_dirty,
};

/* ---- making one ---- */

static void generic_top_changed(struct pt_table *pt, u64 root_pa, unsigned int level)
{
	struct generic_domain *gdom = container_of(pt, struct generic_domain, base.pt);

	generic_hw_set_root(&gdom->hw, root_pa, level + 1);
}

struct iommu_domain *generic_domain_alloc(struct device *dev, u32 flags,
					  const struct iommu_user_data *user_data)
{
	struct iommufd_system *system = to_generic_iommu(dev->iommu_dev)->system;
	bool dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	const struct pt_cfg cfg = {
		.alloc = &pt_domain_alloc,
		.alloc_ctx = system->mem,
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
	rc = pt_amdv1_init(&gdom->base.pt, &cfg);
	if (rc) {
		free(gdom);
		return ERR_PTR(rc);
	}
	generic_hw_init(&gdom->hw, system->mem);
	root = gdom->base.pt.ops->root(&gdom->base.pt, &level);
	generic_hw_set_root(&gdom->hw, root, level + 1);
	pt_domain_setup(&gdom->base, dirty && system->opts.precise_dirty);
	gdom->base.domain.ops = &generic_domain_ops;
	gdom->base.domain.dirty_ops = dirty ? &generic_dirty_ops : NULL;
	gdom->base.domain.geometry = (struct iommu_domain_geometry){
		.aperture_end = gdom->base.pt.aperture_last,
		.force_aperture = true,
	};
	return &gdom->base.domain;
}
