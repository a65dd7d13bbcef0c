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
#include <iommufd/dma.h>

#include "iommu/domain.h"

#define MOCK_VA_LG2 38
/* As the kernel's mock: every power of two from 2 KiB to 64 GiB. */
#define MOCK_PGSIZES (BIT_ULL(37) - MOCK_PAGE_SIZE)
#define MOCK_HUGE_PGSIZES (PAGE_SIZE | MOCK_HUGE_PAGE_SIZE)

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

static const struct pt_alloc_ops mock_pt_alloc = {
	.table_alloc = table_alloc,
	.table_free = table_free,
	.pa_to_ptr = table_ptr,
};

/* ---- mapping ---- */

static int mock_map_range(struct iommu_domain *domain, u64 iova, phys_addr_t pa, size_t len,
			  int prot, size_t *mapped)
{
	struct pt_table *pt = &to_mock_domain(domain)->pt;
	u64 done = 0;
	int rc;

	rc = pt->ops->map_range(pt, iova, pa, len, prot, &done);
	*mapped = done;
	return rc;
}

/* The gather's chain is the list of tables; where they go back to is the domain's to know. */
static struct pt_gather mock_gather(struct mock_domain *mock, struct iommu_iotlb_gather *gather)
{
	return (struct pt_gather){
		.tables = gather->freelist,
		.alloc = mock->pt.cfg.alloc,
		.alloc_ctx = mock->pt.cfg.alloc_ctx,
	};
}

static size_t mock_unmap_range(struct iommu_domain *domain, u64 iova, size_t len,
			       struct iommu_iotlb_gather *gather)
{
	struct mock_domain *mock = to_mock_domain(domain);
	struct pt_gather tables = mock_gather(mock, gather);
	u64 unmapped;

	unmapped = mock->pt.ops->unmap_range(&mock->pt, iova, len, &tables);
	gather->freelist = tables.tables;
	return unmapped;
}

static void mock_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	struct mock_domain *mock = to_mock_domain(domain);
	struct pt_gather tables = mock_gather(mock, gather);

	iommufd_iotlb_flush(domain, gather->start, gather->end);
	if (pt_gather_empty(&tables))
		return;
	write_lock(&mock->walkers);
	pt_gather_free(&tables);
	write_unlock(&mock->walkers);
	gather->freelist = NULL;
}

static phys_addr_t mock_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	struct mock_domain *mock = to_mock_domain(domain);
	u64 pa, run;
	int rc;

	read_lock(&mock->walkers);
	rc = mock->pt.ops->iova_to_phys(&mock->pt, iova, &pa, &run);
	read_unlock(&mock->walkers);
	return rc ? 0 : pa;
}

/*
 * As a device's access: no lock, since the flush waits for it.  While marks are kept they belong to
 * 2 KiB, whatever the entry's size, so a write says no more than about that.
 */
static enum iommu_xlat_fault mock_translate(struct iommu_domain *domain, u64 iova,
					    unsigned int access, struct iommu_xlat *ret)
{
	struct mock_domain *mock = to_mock_domain(domain);
	struct pt_table *pt = &mock->pt;
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

	mock->pt.ops->fini(&mock->pt);
	rwlock_destroy(&mock->walkers);
	free(mock);
}

const struct iommu_domain_ops mock_domain_ops = {
	.attach_dev = mock_domain_attach_dev,
	.set_dev_pasid = mock_domain_set_dev_pasid,
	.map_range = mock_map_range,
	.unmap_range = mock_unmap_range,
	.iotlb_sync = mock_iotlb_sync,
	.iova_to_phys = mock_iova_to_phys,
	.translate = mock_translate,
	.free = mock_domain_free,
};

/* ---- dirty tracking ---- */

static int mock_set_dirty_tracking(struct iommu_domain *domain, bool enabled)
{
	atomic_store(&to_mock_domain(domain)->tracking, enabled);
	return 0;
}

static void mock_record(void *ctx, u64 iova, u64 len)
{
	iommu_dirty_bitmap_record(ctx, iova, len);
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
	struct pt_table *pt = &mock->pt;
	unsigned int pt_flags = flags & IOMMU_DIRTY_NO_CLEAR ? PT_DIRTY_NO_CLEAR : 0;
	int rc;

	read_lock(&mock->walkers);
	rc = pt->ops->read_and_clear_dirty(pt, iova, mock_extend_to_entry(pt, iova, size),
					   pt_flags, mock_record, dirty);
	read_unlock(&mock->walkers);
	return rc;
}

static const struct iommu_dirty_ops mock_dirty_ops = {
	.set_dirty_tracking = mock_set_dirty_tracking,
	.read_and_clear_dirty = mock_read_and_clear_dirty,
};

int mock_domain_set_dirty(struct mock_domain *mock, u64 iova)
{
	int rc;

	read_lock(&mock->walkers);
	rc = mock->pt.ops->set_dirty(&mock->pt, iova);
	read_unlock(&mock->walkers);
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
		.alloc = &mock_pt_alloc,
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
	rc = pt_amdv1_mock_init(&mock->pt, &cfg);
	if (rc) {
		free(mock);
		return ERR_PTR(rc);
	}
	rwlock_init(&mock->walkers);
	mock->mock = iommu;
	mock->domain.ops = &mock_domain_ops;
	mock->domain.dirty_ops = dirty ? &mock_dirty_ops : NULL;
	mock->domain.pgsize_bitmap = mock->pt.pgsize_bitmap;
	mock->domain.geometry = (struct iommu_domain_geometry){
		.aperture_start = huge ? 0 : MOCK_APERTURE_START,
		.aperture_end = huge ? mock->pt.aperture_last : MOCK_APERTURE_LAST,
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
	return IS_ERR(mock) ? (void *)mock : &mock->domain;
}
