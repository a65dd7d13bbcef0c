/* SPDX-License-Identifier: MIT */
/*
 * The iova a device can not have translated (interrupt windows, firmware's
 * holes) must not be handed out by an ioas the device's RID uses.  They are
 * reserved in the device's name, so that each device gives back its own.
 */
#include "base/alloc.h"
#include "device/device.h"

struct resv_count {
	u32 ranges;
	u32 hw_msi;
	u32 sw_msi;
};

static bool resv_is_enforced(const struct iommu_resv_region *region)
{
	/* Relaxable means: only the host's own use of the device needed it. */
	return region->type != IOMMU_RESV_DIRECT_RELAXABLE && region->length;
}

static struct resv_count resv_count(const struct iommu_resv_list *list)
{
	struct iommu_resv_region *region;
	struct resv_count count = { 0 };

	for (region = list->first; region; region = region->next) {
		count.ranges += resv_is_enforced(region);
		count.hw_msi += region->type == IOMMU_RESV_MSI;
		count.sw_msi += region->type == IOMMU_RESV_SW_MSI;
	}
	return count;
}

/* @ranges has room for all; *@sw_msi_start is changed if there is such a window. */
static u32 resv_fill(const struct iommu_resv_list *list, struct iova_range *ranges,
		     u64 *sw_msi_start)
{
	struct iommu_resv_region *region;
	u32 n = 0;

	for (region = list->first; region; region = region->next) {
		if (!resv_is_enforced(region))
			continue;
		ranges[n++] = (struct iova_range){
			.first = region->start,
			.last = region->start + region->length - 1,
		};
		if (region->type == IOMMU_RESV_SW_MSI)
			*sw_msi_start = region->start;
	}
	return n;
}

static int resv_apply(struct iommufd_device *idev, const struct iommu_resv_list *list,
		      struct io_pagetable *iopt)
{
	struct resv_count count = resv_count(list);
	u64 sw_msi_start = idev->igroup->sw_msi_start;
	struct iova_range *ranges;
	int rc;

	/* One window for software's MSIs, and hardware does not translate what software maps. */
	if (count.sw_msi > 1 || (count.sw_msi && count.hw_msi))
		return -EINVAL;
	if (!count.ranges)
		return 0;
	ranges = zalloc_array(count.ranges, sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	resv_fill(list, ranges, &sw_msi_start);
	rc = iopt_reserve_regions(iopt, ranges, count.ranges, idev);
	if (!rc)
		idev->igroup->sw_msi_start = sw_msi_start;
	free(ranges);
	return rc;
}

int device_reserve(struct iommufd_device *idev, struct iommufd_hwpt_paging *hwpt)
{
	struct iommu_resv_list list;
	int rc;

	mutex_assert_held(&idev->igroup->lock);
	if (fault_point("device_reserve"))
		return -EINVAL;
	rc = iommu_get_resv_regions(idev->dev, &list);
	if (rc)
		return rc;
	rc = resv_apply(idev, &list, &hwpt->ioas->iopt);
	iommu_put_resv_regions(&list);
	return rc;
}

void device_unreserve(struct iommufd_device *idev, struct iommufd_hwpt_paging *hwpt)
{
	mutex_assert_held(&idev->igroup->lock);
	iopt_remove_reserved_iova(&hwpt->ioas->iopt, idev);
}
