/* SPDX-License-Identifier: MIT */
/*
 * Paging domains of the mock: AMD's version 1 table on 2 KiB pages, so a CPU
 * page is two of the IOMMU's.  With the HUGE type only CPU pages and 1 MiB may
 * be used, which makes a dirty megabyte one mark.
 *
 * The tests look into tables while others unmap, so a lock stands where real
 * hardware has the IOTLB flush: tables are freed with no walker inside.
 */
#include "models/mock/mock.h"

#include "base/alloc.h"

#include "iommu/domain.h"

#define MOCK_VA_LG2 38
/* As the kernel's mock: every power of two from 2 KiB to 64 GiB. */
#define MOCK_PGSIZES (BIT_ULL(37) - MOCK_PAGE_SIZE)
#define MOCK_HUGE_PGSIZES (PAGE_SIZE | MOCK_HUGE_PAGE_SIZE)

/*
 * As a device's access: no lock, since the flush waits for it.  While marks are kept they belong to
 * 2 KiB, whatever the entry's size, so a write says no more than about that.
 */
static enum iommu_xlat_fault mock_translate(struct iommu_domain *domain, u64 iova,
					    unsigned int access, struct iommu_xlat *ret)
{
	struct mock_domain *mock = to_mock_domain(domain);
	struct pt_table *pt = &mock->base.pt;
	bool tracking = atomic_load_explicit(&mock->tracking, memory_order_relaxed);
	struct pt_walk walk;

	if (iova > domain->geometry.aperture_end)
		return IOMMU_XLAT_OUT_OF_RANGE;
	if (pt->ops->walk(pt, iova, &walk))
		return IOMMU_XLAT_NOT_PRESENT;
	if (access & ~walk.prot)
		return IOMMU_XLAT_PERMISSION;
	ret->pa = walk.pa;
	ret->lg2 = walk.lg2;
	ret->prot = walk.prot & (IOMMU_READ | IOMMU_WRITE);
	ret->dirty = !tracking;
	if (!tracking || !(access & IOMMU_WRITE))
		return IOMMU_XLAT_OK;
	if (pt->ops->set_dirty(pt, iova))
		return IOMMU_XLAT_NOT_PRESENT;
	ret->dirty = true;
	if (pt->cfg.slot_dirty)
		ret->lg2 = (unsigned int)__builtin_ctzll(MOCK_PAGE_SIZE);
	return IOMMU_XLAT_OK;
}

static void mock_domain_free(struct iommu_domain *domain)
{
	struct mock_domain *mock = to_mock_domain(domain);

	pt_domain_fini(&mock->base);
	free(mock);
}

const struct iommu_domain_ops mock_domain_ops = {
	.attach_dev = mock_domain_attach_dev,
	.set_dev_pasid = mock_domain_set_dev_pasid,
	.map_range = pt_domain_map_range,
	.unmap_range = pt_domain_unmap_range,
	.iotlb_sync = pt_domain_iotlb_sync,
	.iova_to_phys = pt_domain_iova_to_phys,
	.look = pt_domain_look,
	.translate = mock_translate,
	.free = mock_domain_free,
};

/* ---- dirty tracking ---- */

static int mock_set_dirty_tracking(struct iommu_domain *domain, bool enabled)
{
	atomic_store(&to_mock_domain(domain)->tracking, enabled);
	return 0;
}

/*
 * A mark is cleared for its whole entry, so all of the entry must be reported,
 * also what lies behind the range; the caller cuts.
 */
static u64 mock_extend_to_entry(struct pt_table *pt, u64 iova, u64 len)
{
	u64 pa, run;

	if (pt->cfg.slot_dirty || pt->ops->iova_to_phys(pt, iova + len - 1, &pa, &run))
		return len;
	return len + run - 1;
}

static int mock_read_and_clear_dirty(struct iommu_domain *domain, u64 iova, size_t size,
				     unsigned long flags, struct iommu_dirty_bitmap *dirty)
{
	struct mock_domain *mock = to_mock_domain(domain);
	u64 length;

	read_lock(&mock->base.walkers);
	length = mock_extend_to_entry(&mock->base.pt, iova, size);
	read_unlock(&mock->base.walkers);
	return pt_domain_read_dirty(domain, iova, length, flags, dirty);
}

static const struct iommu_dirty_ops mock_dirty_ops = {
	.set_dirty_tracking = mock_set_dirty_tracking,
	.read_and_clear_dirty = mock_read_and_clear_dirty,
};

int mock_domain_set_dirty(struct mock_domain *mock, u64 iova)
{
	int rc;

	read_lock(&mock->base.walkers);
	rc = mock->base.pt.ops->set_dirty(&mock->base.pt, iova);
	read_unlock(&mock->base.walkers);
	return rc;
}

/* ---- making one ---- */

static int mock_paging_type(const struct iommu_user_data *user_data, u32 *ret_type)
{
	struct iommu_hwpt_selftest data;
	int rc;

	*ret_type = MOCK_IOMMUPT_DEFAULT;
	if (!user_data)
		return 0;
	if (user_data->type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	rc = iommu_copy_struct_from_user(&data, user_data, IOMMU_HWPT_DATA_SELFTEST, iotlb);
	if (rc)
		return rc;
	if (data.pagetable_type != MOCK_IOMMUPT_DEFAULT &&
	    data.pagetable_type != MOCK_IOMMUPT_HUGE)
		return -EOPNOTSUPP;
	*ret_type = data.pagetable_type;
	return 0;
}

static struct mock_domain *mock_domain_build(struct mock_iommu *iommu, u32 type, bool dirty)
{
	bool huge = type == MOCK_IOMMUPT_HUGE;
	const struct pt_cfg cfg = {
		.alloc = &pt_domain_alloc,
		.alloc_ctx = iommu->system->mem,
		.max_va_lg2 = MOCK_VA_LG2,
		.features = dirty ? PT_FEAT_DIRTY : 0,
		.slot_dirty = !huge,
		.pgsize_mask = huge ? MOCK_HUGE_PGSIZES : MOCK_PGSIZES,
	};
	struct mock_domain *mock;
	int rc;

	mock = zalloc(sizeof(*mock));
	if (!mock)
		return ERR_PTR(-ENOMEM);
	rc = pt_amdv1_mock_init(&mock->base.pt, &cfg);
	if (rc) {
		free(mock);
		return ERR_PTR(rc);
	}
	pt_domain_setup(&mock->base, false);
	mock->mock = iommu;
	mock->base.domain.ops = &mock_domain_ops;
	mock->base.domain.dirty_ops = dirty ? &mock_dirty_ops : NULL;
	mock->base.domain.geometry = (struct iommu_domain_geometry){
		.aperture_start = huge ? 0 : MOCK_APERTURE_START,
		.aperture_end = huge ? mock->base.pt.aperture_last : MOCK_APERTURE_LAST,
		.force_aperture = true,
	};
	return mock;
}

struct iommu_domain *mock_domain_alloc_paging_flags(struct device *dev, u32 flags,
						    const struct iommu_user_data *user_data)
{
	struct mock_dev *mdev = to_mock_dev(dev);
	bool dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	struct mock_domain *mock;
	u32 type;
	int rc;

	if (flags & ~(IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
		      IOMMU_HWPT_ALLOC_PASID))
		return ERR_PTR(-EOPNOTSUPP);
	if (dirty && (mdev->flags & MOCK_FLAGS_DEVICE_NO_DIRTY))
		return ERR_PTR(-EOPNOTSUPP);
	rc = mock_paging_type(user_data, &type);
	if (rc)
		return ERR_PTR(rc);
	mock = mock_domain_build(mdev->mock, type, dirty);
	return IS_ERR(mock) ? (void *)mock : &mock->base.domain;
}
