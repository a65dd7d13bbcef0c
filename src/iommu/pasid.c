/* SPDX-License-Identifier: MIT */
/*
 * PASIDs of a group.  As with the RID all members move together; members that
 * know no PASIDs are left out.  Leaving means entering the driver's static
 * blocked domain, so a driver without that can not have PASIDs.
 */
#include <assert.h>

#include "iommu/dma.h"
#include "iommu/group.h"

static struct iommu_attach_handle *pasid_find(struct iommu_group *group, ioasid_t pasid)
	__must_hold(&group->lock)
{
	struct itree_node *node = itree_first(&group->pasids, pasid, pasid);

	return node ? container_of(node, struct iommu_attach_handle, node) : NULL;
}

/*
 * @handle in place of @old, either may be NULL.  In one step for page requests: those of a PASID
 * that is attached go to one handle or the other, never to the RID's.
 */
static void pasid_set_handle(struct iommu_group *group, ioasid_t pasid, struct iommu_domain *domain,
			     struct iommu_attach_handle *old, struct iommu_attach_handle *handle)
	__must_hold(&group->lock)
{
	struct iommu_domain *old_domain = old ? old->domain : NULL;
	struct iommu_group_device *gdev;

	mutex_lock(&group->fault_lock);
	if (old)
		itree_remove(&group->pasids, &old->node);
	if (handle) {
		handle->domain = domain;
		handle->node.first = handle->node.last = pasid;
		itree_insert(&group->pasids, &handle->node);
	}
	mutex_unlock(&group->fault_lock);
	cds_list_for_each_entry(gdev, &group->devices, node)
		iommu_dma_switched(gdev->dev, pasid, old_domain);
}

/* Also the way back for members that moved before one refused: @old NULL means blocked. */
static void pasid_set_back(struct iommu_group *group, struct iommu_group_device *until,
			   struct iommu_domain *domain, ioasid_t pasid, struct iommu_domain *old)
	__must_hold(&group->lock)
{
	struct iommu_group_device *gdev;

	cds_list_for_each_entry(gdev, &group->devices, node) {
		struct iommu_domain *to = old ? old : gdev->dev->ops->blocked_domain;
		int rc;

		if (gdev == until)
			return;
		if (!gdev->dev->max_pasids)
			continue;
		rc = to->ops->set_dev_pasid(to, gdev->dev, pasid, domain);
		assert(!rc);
		(void)rc;
	}
}

static int pasid_set(struct iommu_group *group, struct iommu_domain *domain, ioasid_t pasid,
		     struct iommu_domain *old) __must_hold(&group->lock)
{
	struct iommu_group_device *gdev;
	int rc;

	cds_list_for_each_entry(gdev, &group->devices, node) {
		if (!gdev->dev->max_pasids)
			continue;
		rc = domain->ops->set_dev_pasid(domain, gdev->dev, pasid, old);
		if (rc) {
			pasid_set_back(group, gdev, domain, pasid, old);
			return rc;
		}
	}
	return 0;
}

static int pasid_check_domain(const struct iommu_domain *domain, const struct device *dev,
			      ioasid_t pasid)
{
	const struct iommu_ops *ops = dev->ops;

	if (!domain->ops->set_dev_pasid || !ops->blocked_domain ||
	    !ops->blocked_domain->ops->set_dev_pasid)
		return -EOPNOTSUPP;
	if (domain->owner != ops || pasid == IOMMU_NO_PASID)
		return -EINVAL;
	return 0;
}

static int pasid_check_limit(struct iommu_group *group, ioasid_t pasid) __must_hold(&group->lock)
{
	struct iommu_group_device *gdev;

	cds_list_for_each_entry(gdev, &group->devices, node)
		if (gdev->dev->max_pasids && pasid >= gdev->dev->max_pasids)
			return -EINVAL;
	return 0;
}

int iommu_attach_device_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			      struct iommu_attach_handle *handle)
{
	struct iommu_group *group = dev->iommu_group;
	int rc;

	if (!group)
		return -ENODEV;
	rc = pasid_check_domain(domain, dev, pasid);
	if (rc)
		return rc;
	mutex_lock(&group->lock);
	rc = pasid_check_limit(group, pasid);
	if (!rc && pasid_find(group, pasid))
		rc = -EBUSY;
	if (!rc)
		rc = pasid_set(group, domain, pasid, NULL);
	if (!rc)
		pasid_set_handle(group, pasid, domain, NULL, handle);
	mutex_unlock(&group->lock);
	return rc;
}

int iommu_replace_device_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			       struct iommu_attach_handle *handle)
{
	struct iommu_group *group = dev->iommu_group;
	struct iommu_attach_handle *old;
	int rc;

	if (!group)
		return -ENODEV;
	rc = pasid_check_domain(domain, dev, pasid);
	if (rc)
		return rc;
	mutex_lock(&group->lock);
	old = pasid_find(group, pasid);
	rc = pasid_check_limit(group, pasid);
	if (!rc && !old)
		rc = -EINVAL;
	if (!rc && old->domain != domain)
		rc = pasid_set(group, domain, pasid, old->domain);
	if (!rc)
		pasid_set_handle(group, pasid, domain, old, handle);
	mutex_unlock(&group->lock);
	return rc;
}

void iommu_detach_device_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid)
{
	struct iommu_group *group = dev->iommu_group;
	struct iommu_attach_handle *handle;

	mutex_lock(&group->lock);
	handle = pasid_find(group, pasid);
	if (handle && handle->domain == domain) {
		pasid_set_back(group, NULL, domain, pasid, NULL);
		/* Only now: what the driver flushed out belongs to @handle, not to the RID. */
		pasid_set_handle(group, pasid, domain, handle, NULL);
	}
	mutex_unlock(&group->lock);
}

struct iommu_attach_handle *iommu_attach_handle_get(struct iommu_group *group, ioasid_t pasid)
{
	struct iommu_attach_handle *handle;

	mutex_lock(&group->lock);
	handle = pasid == IOMMU_NO_PASID ? group->handle : pasid_find(group, pasid);
	mutex_unlock(&group->lock);
	return handle;
}
