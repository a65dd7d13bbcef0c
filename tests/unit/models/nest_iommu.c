/* SPDX-License-Identifier: MIT */
#include "nest_iommu.h"

#include <iommufd/dma.h>

#include "base/alloc.h"
#include "core/system.h"
#include "models/pt_domain.h"
#include "walk/walk.h"

struct nest_domain {
	struct pt_domain base;
	struct nest_iommu *iommu;
	_Atomic bool marking;
};

struct nest_nested {
	struct iommu_domain domain;
	struct nest_domain *parent;
	u64 table;
};

static struct nest_iommu *to_nest(struct device *dev)
{
	return container_of(dev->iommu_dev, struct nest_iommu, iommu_dev);
}

static int nest_attach(struct iommu_domain *domain, struct device *dev, struct iommu_domain *old)
{
	return 0;
}

static int nest_set_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			      struct iommu_domain *old)
{
	return 0;
}

/* ---- the hardware ---- */

struct nest_walker {
	struct nest_domain *parent;
	struct walk_cfg stage2;
	struct walk_mem mem;
};

/* What the second stage gives stays pinned until this stay in the IOTLB is over. */
static int nest_load(void *ctx, u64 pa, u64 *ret)
{
	struct nest_domain *parent = ctx;

	return mem_pinned_load64(parent->iommu->system->mem, pa, ret);
}

static int nest_cas(void *ctx, u64 pa, u64 *old, u64 value)
{
	struct nest_domain *parent = ctx;

	return mem_pinned_cas64(parent->iommu->system->mem, pa, old, value);
}

static void nest_written(void *ctx, u64 gpa)
{
	struct nest_domain *parent = ctx;

	parent->base.pt.ops->set_dirty(&parent->base.pt, gpa);
}

static struct nest_walker nest_walker(struct nest_domain *parent)
{
	bool marking = atomic_load(&parent->marking);
	struct nest_walker w = {
		.parent = parent,
		.stage2 = { .format = WALK_VTD_SS,
			    .flags = marking ? WALK_ACCESSED | WALK_DIRTY : 0 },
		.mem = { .load = nest_load, .cas = nest_cas, .ctx = parent,
			 .frames = parent->iommu->system->mem,
			 .written = marking ? nest_written : NULL },
	};
	unsigned int level;

	w.stage2.root = parent->base.pt.ops->root(&parent->base.pt, &level);
	w.stage2.levels = level + 1;
	return w;
}

static void nest_count(struct nest_domain *parent, u32 loads)
{
	if (loads > atomic_load_explicit(&parent->iommu->most_loads, memory_order_relaxed))
		atomic_store_explicit(&parent->iommu->most_loads, loads, memory_order_relaxed);
}

static enum iommu_xlat_fault nest_translate(struct iommu_domain *domain, u64 iova,
					    unsigned int access, struct iommu_xlat *ret)
{
	struct nest_domain *parent = container_of(domain, struct nest_domain, base.domain);
	struct nest_walker w = nest_walker(parent);
	enum iommu_xlat_fault fault;
	struct walk_result res;

	fault = walk_translate(&w.stage2, &w.mem, iova, access, &res);
	if (!fault && access & IOMMU_WRITE && w.mem.written)
		nest_written(parent, iova);
	*ret = res.xlat;
	return fault;
}

static enum iommu_xlat_fault nest_translate_nested(struct iommu_domain *domain, struct device *dev,
						   ioasid_t pasid, u64 iova, unsigned int access,
						   struct iommu_xlat *ret)
{
	struct nest_nested *nested = container_of(domain, struct nest_nested, domain);
	struct nest_walker w = nest_walker(nested->parent);
	struct walk_cfg stage1 = { .format = WALK_X86_64, .levels = 4,
				   .flags = WALK_ACCESSED | WALK_DIRTY };
	enum iommu_xlat_fault fault;
	struct walk_result res;
	u64 entry;

	if (pasid >= NEST_PASIDS)
		return IOMMU_XLAT_NOT_ATTACHED;
	fault = walk_nested(NULL, &w.stage2, &w.mem, nested->table + pasid * sizeof(entry),
			    IOMMU_READ, &res);
	*ret = res.xlat;
	if (fault)
		return fault;
	if (nest_load(nested->parent, res.xlat.pa, &entry))
		return IOMMU_XLAT_BAD_TABLE;
	if (!(entry & NEST_VALID))
		return IOMMU_XLAT_NOT_ATTACHED;
	stage1.root = entry & NEST_ROOT;
	fault = walk_nested(&stage1, &w.stage2, &w.mem, iova, access, &res);
	nest_count(nested->parent, res.loads);
	*ret = res.xlat;
	ret->tag = entry >> NEST_TAG_SHIFT;
	return fault;
}

/* ---- nested domains ---- */

static int nest_invalidate_one(struct nest_nested *nested,
			       const struct iommu_user_data_array *array, u32 index)
{
	struct nest_invalidate inv;
	int rc;

	rc = iommu_copy_struct_from_user_array(&inv, array, NEST_TYPE, index, last);
	if (!rc)
		iommufd_iotlb_flush_tag(&nested->domain, inv.tag, inv.all ? 0 : UINT64_MAX,
					inv.first, inv.last);
	return rc;
}

static int nest_invalidate(struct iommu_domain *domain, struct iommu_user_data_array *array)
{
	u32 done = 0;
	int rc = 0;

	while (!rc && done < array->entry_num) {
		rc = nest_invalidate_one(container_of(domain, struct nest_nested, domain), array,
					 done);
		done += !rc;
	}
	array->entry_num = done;
	return rc;
}

static void nest_nested_free(struct iommu_domain *domain)
{
	free(container_of(domain, struct nest_nested, domain));
}

static const struct iommu_domain_ops nest_nested_ops = {
	.attach_dev = nest_attach,
	.set_dev_pasid = nest_set_dev_pasid,
	.translate_nested = nest_translate_nested,
	.cache_invalidate_user = nest_invalidate,
	.free = nest_nested_free,
};

static struct iommu_domain *nest_alloc_nested(struct device *dev, struct iommu_domain *parent,
					      u32 flags, const struct iommu_user_data *user_data)
{
	struct nest_hwpt_data data;
	struct nest_nested *nested;
	int rc;

	rc = iommu_copy_struct_from_user(&data, user_data, NEST_TYPE, table);
	if (rc)
		return ERR_PTR(rc);
	nested = zalloc(sizeof(*nested));
	if (!nested)
		return ERR_PTR(-ENOMEM);
	nested->domain.type = IOMMU_DOMAIN_NESTED;
	nested->domain.ops = &nest_nested_ops;
	nested->parent = container_of(parent, struct nest_domain, base.domain);
	nested->table = data.table;
	return &nested->domain;
}

/* ---- paging domains ---- */

static void nest_free(struct iommu_domain *domain)
{
	struct nest_domain *parent = container_of(domain, struct nest_domain, base.domain);

	pt_domain_fini(&parent->base);
	free(parent);
}

static void nest_mark(struct pt_domain *pdom, bool on)
{
	atomic_store(&container_of(pdom, struct nest_domain, base)->marking, on);
}

static int nest_set_dirty_tracking(struct iommu_domain *domain, bool on)
{
	return pt_domain_set_tracking(to_pt_domain(domain), on, nest_mark);
}

static const struct iommu_dirty_ops nest_dirty_ops = {
	.set_dirty_tracking = nest_set_dirty_tracking,
	.read_and_clear_dirty = pt_domain_read_dirty,
};

static const struct iommu_domain_ops nest_ops = {
	.attach_dev = nest_attach,
	.set_dev_pasid = nest_set_dev_pasid,
	.map_range = pt_domain_map_range,
	.unmap_range = pt_domain_unmap_range,
	.iotlb_sync = pt_domain_iotlb_sync,
	.iova_to_phys = pt_domain_iova_to_phys,
	.translate = nest_translate,
	.free = nest_free,
};

static struct iommu_domain *nest_alloc(struct device *dev, u32 flags,
				       const struct iommu_user_data *user_data)
{
	struct nest_iommu *iommu = to_nest(dev);
	const struct pt_cfg cfg = {
		.alloc = &pt_domain_alloc,
		.alloc_ctx = iommu->system->mem,
		.max_va_lg2 = 48,
		.features = PT_FEAT_DIRTY,
	};
	struct nest_domain *parent = zalloc(sizeof(*parent));

	if (!parent || pt_vtdss_init(&parent->base.pt, &cfg)) {
		free(parent);
		return ERR_PTR(-ENOMEM);
	}
	pt_domain_setup(&parent->base, false);
	parent->iommu = iommu;
	parent->base.domain.ops = &nest_ops;
	parent->base.domain.dirty_ops = &nest_dirty_ops;
	parent->base.domain.geometry = (struct iommu_domain_geometry){
		.aperture_end = (1ULL << 48) - 1,
		.force_aperture = true,
	};
	return &parent->base.domain;
}

/* ---- the driver ---- */

static bool nest_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY || cap == IOMMU_CAP_DIRTY_TRACKING;
}

static struct iommu_device *nest_probe(struct device *dev)
{
	return dev->iommu_dev;
}

static const struct iommu_domain_ops nest_blocked_ops = {
	.attach_dev = nest_attach,
	.set_dev_pasid = nest_set_dev_pasid,
};

void nest_iommu_init(struct nest_iommu *iommu, struct iommufd_system *system)
{
	static struct iommu_domain blocked = { .type = IOMMU_DOMAIN_BLOCKED,
					       .ops = &nest_blocked_ops };

	*iommu = (struct nest_iommu){
		.system = system,
		.ops = {
			.capable = nest_capable,
			.domain_alloc_paging_flags = nest_alloc,
			.domain_alloc_nested = nest_alloc_nested,
			.probe_device = nest_probe,
			.device_group = generic_device_group,
			.blocked_domain = &blocked,
			.user_pasid_table = true,
		},
	};
	iommu->iommu_dev = (struct iommu_device){
		.name = "nest", .ops = &iommu->ops, .max_pasids = NEST_PASIDS
	};
}

int nest_device_init(struct nest_iommu *iommu, struct device *dev, const char *name)
{
	*dev = (struct device){ .name = name, .ops = &iommu->ops, .iommu_dev = &iommu->iommu_dev,
				.pasid_limit = NEST_PASIDS, .msi_isolated = true };
	return iommu_probe_device(dev);
}
