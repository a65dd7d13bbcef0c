/* SPDX-License-Identifier: MIT */
/*
 * Interrupts that the IOMMU translates.  Where an MSI is a write to a doorbell
 * page like any other, that page must be mapped in whatever domain the device
 * is in.  A window of iova is set aside for it (a reserved region of the
 * device); each doorbell page of a context gets the next page of the window,
 * the same one in every domain, so an address given to a device once stays
 * right through every replace.
 *
 * ctx->sw_msi_lock guards the list of doorbell pages and which of them a
 * domain has (present_sw_msi) and a group needs (required_sw_msi, with the
 * group's lock).  It is taken below the group's lock; drivers map under it.
 */
#include "base/alloc.h"
#include "core/ctx.h"
#include "device/device.h"
#include "hwpt/hwpt.h"
#include "iommu/domain.h"

#define SW_MSI_PAGES 64 /* per context: as many as a word has bits */

/** struct sw_msi_page - one doorbell page of a context; begins with its node, see core/ctx.c */
struct sw_msi_page {
	struct cds_list_head node; /* ctx->sw_msi_list, under its lock */
	u64 window;
	phys_addr_t doorbell;
	u32 pgoff; /* in the window */
	u32 index; /* of its bit */
};

static u64 sw_msi_iova(const struct sw_msi_page *page)
{
	return page->window + ((u64)page->pgoff << PAGE_SHIFT);
}

static int sw_msi_get_page(struct iommufd_ctx *ctx, u64 window, phys_addr_t doorbell,
			   struct sw_msi_page **ret_page) __must_hold(&ctx->sw_msi_lock)
{
	struct sw_msi_page *page;
	u32 pgoff = 0, index = 0;

	cds_list_for_each_entry(page, &ctx->sw_msi_list, node) {
		if (page->window == window) {
			if (page->doorbell == doorbell) {
				*ret_page = page;
				return 0;
			}
			pgoff = MAX(pgoff, page->pgoff + 1);
		}
		index++;
	}
	if (index >= SW_MSI_PAGES)
		return -EOVERFLOW;
	page = zalloc(sizeof(*page));
	if (!page)
		return -ENOMEM;
	page->window = window;
	page->doorbell = doorbell;
	page->pgoff = pgoff;
	page->index = index;
	cds_list_add_tail(&page->node, &ctx->sw_msi_list);
	*ret_page = page;
	return 0;
}

static int sw_msi_map(struct iommufd_hwpt_paging *hwpt, const struct sw_msi_page *page)
{
	int rc;

	mutex_assert_held(&hwpt->ctx->sw_msi_lock);
	if (hwpt->present_sw_msi & BIT_ULL(page->index))
		return 0;
	rc = iommu_map(hwpt->common.domain, sw_msi_iova(page), page->doorbell, PAGE_SIZE,
		       IOMMU_READ | IOMMU_WRITE | IOMMU_MMIO);
	if (!rc)
		hwpt->present_sw_msi |= BIT_ULL(page->index);
	return rc;
}

int sw_msi_install(struct iommufd_group *igroup, struct iommufd_hwpt_paging *hwpt)
{
	struct iommufd_ctx *ctx = igroup->ctx;
	struct sw_msi_page *page;
	int rc = 0;

	mutex_assert_held(&igroup->lock);
	if (!igroup->required_sw_msi || igroup->sw_msi_start == IOMMUFD_NO_SW_MSI)
		return 0;
	mutex_lock(&ctx->sw_msi_lock);
	cds_list_for_each_entry(page, &ctx->sw_msi_list, node) {
		if (!(igroup->required_sw_msi & BIT_ULL(page->index)))
			continue;
		rc = sw_msi_map(hwpt, page);
		if (rc)
			break;
	}
	mutex_unlock(&ctx->sw_msi_lock);
	return rc;
}

int iommufd_device_prepare_msi(struct iommufd_device *idev, phys_addr_t doorbell,
			       dma_addr_t *msi_addr)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_ctx *ctx = igroup->ctx;
	struct iommufd_hw_pagetable *hwpt;
	struct iommufd_hwpt_paging *paging;
	struct sw_msi_page *page;
	int rc = 0;

	mutex_lock(&igroup->lock);
	hwpt = group_attached_hwpt(igroup, IOMMU_NO_PASID);
	paging = hwpt ? hwpt_find_paging(hwpt) : NULL;
	if (!paging || igroup->sw_msi_start == IOMMUFD_NO_SW_MSI)
		goto out_unlock;
	mutex_lock(&ctx->sw_msi_lock);
	rc = sw_msi_get_page(ctx, igroup->sw_msi_start, doorbell & PAGE_MASK, &page);
	if (!rc)
		rc = sw_msi_map(paging, page);
	if (!rc) {
		igroup->required_sw_msi |= BIT_ULL(page->index);
		*msi_addr = sw_msi_iova(page) | (doorbell & ~PAGE_MASK);
	}
	mutex_unlock(&ctx->sw_msi_lock);
out_unlock:
	mutex_unlock(&igroup->lock);
	return rc;
}
