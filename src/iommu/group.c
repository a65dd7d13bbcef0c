/* SPDX-License-Identifier: MIT */
/*
 * Devices come and go, groups are counted.  A device keeps its group; the group
 * takes its default and blocking domains from its first device.
 */
#include <assert.h>

#include "base/alloc.h"
#include "iommu/dma.h"
#include "iommu/domain.h"
#include "iommu/group.h"

struct iommu_group *iommu_group_alloc(void)
{
	struct iommu_group *group;

	group = zalloc(sizeof(*group));
	if (!group)
		return NULL;
	atomic_init(&group->refs, 1);
	mutex_init(&group->lock);
	mutex_init(&group->fault_lock);
	CDS_INIT_LIST_HEAD(&group->devices);
	itree_init(&group->pasids);
	return group;
}

struct iommu_group *iommu_group_ref_get(struct iommu_group *group)
{
	atomic_fetch_add_explicit(&group->refs, 1, memory_order_relaxed);
	return group;
}

void iommu_group_put(struct iommu_group *group)
{
	if (atomic_fetch_sub_explicit(&group->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(cds_list_empty(&group->devices) && itree_empty(&group->pasids));
	mutex_destroy(&group->fault_lock);
	mutex_destroy(&group->lock);
	free(group);
}

struct iommu_group *generic_device_group(struct device *dev)
{
	struct iommu_group *group;

	if (dev->bus_group)
		return dev->bus_group(dev);
	group = iommu_group_alloc();
	return group ? group : ERR_PTR(-ENOMEM);
}

int iommu_group_for_each_device(struct iommu_group *group,
				int (*fn)(struct device *dev, void *data), void *data)
{
	struct iommu_group_device *gdev;
	int rc = 0;

	mutex_lock(&group->lock);
	cds_list_for_each_entry(gdev, &group->devices, node) {
		rc = fn(gdev->dev, data);
		if (rc)
			break;
	}
	mutex_unlock(&group->lock);
	return rc;
}

bool device_iommu_capable(struct device *dev, enum iommu_cap cap)
{
	return dev->ops && dev->ops->capable && dev->ops->capable(dev, cap);
}

/* ---- reserved regions ---- */

void iommu_add_resv_region(struct iommu_resv_list *list, u64 start, size_t length, int prot,
			   enum iommu_resv_type type)
{
	struct iommu_resv_region *region;

	region = zalloc(sizeof(*region));
	if (!region) {
		list->error = -ENOMEM;
		return;
	}
	region->start = start;
	region->length = length;
	region->prot = prot;
	region->type = type;
	*list->last = region;
	list->last = &region->next;
}

int iommu_get_resv_regions(struct device *dev, struct iommu_resv_list *list)
{
	*list = (struct iommu_resv_list){ .last = &list->first };
	if (dev->ops->get_resv_regions)
		dev->ops->get_resv_regions(dev, list);
	if (list->error) {
		iommu_put_resv_regions(list);
		return list->error;
	}
	return 0;
}

void iommu_put_resv_regions(struct iommu_resv_list *list)
{
	struct iommu_resv_region *region, *next;

	for (region = list->first; region; region = next) {
		next = region->next;
		free(region);
	}
	list->first = NULL;
}

/* ---- devices ---- */

static int device_probe_direct(struct device *dev)
{
	struct iommu_resv_region *region;
	struct iommu_resv_list list;
	int rc;

	rc = iommu_get_resv_regions(dev, &list);
	if (rc)
		return rc;
	dev->require_direct = false;
	for (region = list.first; region; region = region->next)
		if (region->type == IOMMU_RESV_DIRECT)
			dev->require_direct = true;
	iommu_put_resv_regions(&list);
	return 0;
}

/* The domain of a group nobody owns; made by its first device. */
static int group_set_default(struct iommu_group *group, struct device *dev)
	__must_hold(&group->lock)
{
	const struct iommu_ops *ops = dev->ops;

	if (group->default_domain)
		return 0;
	if (ops->blocked_domain) {
		group->blocking_domain = ops->blocked_domain;
	} else {
		int rc = iommu_paging_domain_alloc_flags(dev, 0, NULL, &group->blocking_domain);

		if (rc)
			return rc;
		group->owned_blocking = true;
	}
	group->default_domain = ops->default_domain ? ops->default_domain : group->blocking_domain;
	group->domain = group->default_domain;
	return 0;
}

static void group_drop_default(struct iommu_group *group) __must_hold(&group->lock)
{
	if (!cds_list_empty(&group->devices))
		return;
	if (group->owned_blocking)
		iommu_domain_free(group->blocking_domain);
	group->owned_blocking = false;
	group->blocking_domain = group->default_domain = group->domain = NULL;
}

static int group_add_device(struct iommu_group *group, struct device *dev)
{
	struct iommu_group_device *gdev;
	int rc;

	gdev = zalloc(sizeof(*gdev));
	if (!gdev)
		return -ENOMEM;
	gdev->dev = dev;
	mutex_lock(&group->lock);
	rc = group_set_default(group, dev);
	if (!rc) {
		rc = group->domain->ops->attach_dev(group->domain, dev, NULL);
		if (rc)
			group_drop_default(group);
	}
	if (!rc) {
		/* Who switches the group's domain from here on looks at it. */
		dev->iommu_group = group;
		cds_list_add_tail(&gdev->node, &group->devices);
	}
	mutex_unlock(&group->lock);
	if (rc)
		free(gdev);
	return rc;
}

/* Its DMA ends with the lock held: who switches the domain meets all of it, or none. */
static void group_del_device(struct iommu_group *group, struct device *dev)
{
	struct iommu_group_device *gdev, *tmp;

	mutex_lock(&group->lock);
	cds_list_for_each_entry_safe(gdev, tmp, &group->devices, node) {
		if (gdev->dev != dev)
			continue;
		cds_list_del(&gdev->node);
		free(gdev);
	}
	iommu_dma_destroy(dev);
	group_drop_default(group);
	mutex_unlock(&group->lock);
}

int iommu_probe_device(struct device *dev)
{
	struct iommu_device *iommu_dev;
	struct iommu_group *group;
	int rc;

	if (!dev->ops)
		return -ENODEV;
	iommu_dev = dev->ops->probe_device(dev);
	if (IS_ERR(iommu_dev))
		return PTR_ERR(iommu_dev);
	dev->iommu_dev = iommu_dev;
	dev->max_pasids = MIN(dev->pasid_limit, iommu_dev->max_pasids);
	rc = device_probe_direct(dev);
	if (rc)
		goto err_release;
	rc = iommu_dma_create(dev);
	if (rc)
		goto err_release;
	group = dev->ops->device_group ? dev->ops->device_group(dev) : generic_device_group(dev);
	if (IS_ERR(group)) {
		rc = PTR_ERR(group);
		goto err_dma;
	}
	rc = group_add_device(group, dev);
	if (rc)
		goto err_put_group;
	return 0;
err_put_group:
	iommu_group_put(group);
err_dma:
	iommu_dma_destroy(dev);
err_release:
	if (dev->ops->release_device)
		dev->ops->release_device(dev);
	dev->iommu_dev = NULL;
	return rc;
}

void iommu_release_device(struct device *dev)
{
	if (!dev->iommu_group)
		return;
	group_del_device(dev->iommu_group, dev);
	if (dev->ops->release_device)
		dev->ops->release_device(dev);
	iommu_group_put(dev->iommu_group);
	dev->iommu_group = NULL;
	dev->iommu_dev = NULL;
}
