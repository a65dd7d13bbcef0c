/* SPDX-License-Identifier: MIT */
/*
 * Moving a group from domain to domain, whole or not at all.  Drivers attach
 * one device at a time; when one refuses, those that have moved go back, and
 * going back to a domain one was just in must not fail.
 */
#include <assert.h>

#include "iommu/dma.h"
#include "iommu/domain.h"
#include "iommu/group.h"

/* @old NULL is not an error: a device is always in some domain. */
static int device_set_domain(struct device *dev, struct iommu_domain *domain,
			     struct iommu_domain *old)
{
	if (dev->require_direct && domain == dev->iommu_group->blocking_domain)
		return -EINVAL;
	return domain->ops->attach_dev(domain, dev, old);
}

static void group_revert(struct iommu_group *group, struct iommu_group_device *failed,
			 struct iommu_domain *domain, struct iommu_domain *old)
	__must_hold(&group->lock)
{
	struct iommu_group_device *gdev;
	int rc;

	cds_list_for_each_entry(gdev, &group->devices, node) {
		if (gdev == failed)
			return;
		rc = old->ops->attach_dev(old, gdev->dev, domain);
		assert(!rc);
		(void)rc;
	}
}

/* All members have moved; when this returns no DMA uses what they were in. */
static void group_domain_changed(struct iommu_group *group, struct iommu_domain *domain,
				 struct iommu_domain *old) __must_hold(&group->lock)
{
	struct iommu_group_device *gdev;

	mutex_lock(&group->fault_lock);
	group->domain = domain;
	mutex_unlock(&group->fault_lock);
	cds_list_for_each_entry(gdev, &group->devices, node)
		iommu_dma_switched(gdev->dev, IOMMU_NO_PASID, old);
}

static int group_set_domain(struct iommu_group *group, struct iommu_domain *domain)
	__must_hold(&group->lock)
{
	struct iommu_domain *old = group->domain;
	struct iommu_group_device *gdev;
	int rc;

	if (old == domain)
		return 0;
	cds_list_for_each_entry(gdev, &group->devices, node) {
		rc = device_set_domain(gdev->dev, domain, old);
		if (rc) {
			group_revert(group, gdev, domain, old);
			return rc;
		}
	}
	group_domain_changed(group, domain, old);
	return 0;
}

/* Static domains do not fail to take a device. */
static void group_set_domain_nofail(struct iommu_group *group, struct iommu_domain *domain)
	__must_hold(&group->lock)
{
	struct iommu_domain *old = group->domain;
	struct iommu_group_device *gdev;
	int rc;

	if (old == domain)
		return;
	cds_list_for_each_entry(gdev, &group->devices, node) {
		rc = domain->ops->attach_dev(domain, gdev->dev, old);
		assert(!rc);
		(void)rc;
	}
	group_domain_changed(group, domain, old);
}

static bool group_takes_domain(struct iommu_group *group, const struct iommu_domain *domain)
	__must_hold(&group->lock)
{
	struct iommu_group_device *gdev;

	cds_list_for_each_entry(gdev, &group->devices, node)
		if (gdev->dev->ops != domain->owner)
			return false;
	return true;
}

/* ---- ownership ---- */

static int group_take_ownership(struct iommu_group *group, void *owner)
	__must_hold(&group->lock)
{
	int rc;

	if (group->domain != group->default_domain || !itree_empty(&group->pasids))
		return -EBUSY;
	rc = group_set_domain(group, group->blocking_domain);
	if (rc)
		return rc;
	group->owner = owner;
	group->owner_cnt = 1;
	return 0;
}

/* Also where the default domain is the blocking one, so that nothing has to move. */
static bool group_requires_direct(struct iommu_group *group) __must_hold(&group->lock)
{
	struct iommu_group_device *gdev;

	cds_list_for_each_entry(gdev, &group->devices, node)
		if (gdev->dev->require_direct)
			return true;
	return false;
}

int iommu_group_claim_dma_owner(struct iommu_group *group, void *owner)
{
	int rc = 0;

	assert(owner);
	mutex_lock(&group->lock);
	if (group->owner_cnt && group->owner != owner)
		rc = -EPERM;
	else if (group->owner_cnt)
		group->owner_cnt++;
	else if (group_requires_direct(group))
		rc = -EINVAL;
	else
		rc = group_take_ownership(group, owner);
	mutex_unlock(&group->lock);
	return rc;
}

void iommu_group_release_dma_owner(struct iommu_group *group)
{
	mutex_lock(&group->lock);
	assert(group->owner_cnt && group->owner);
	if (!--group->owner_cnt) {
		assert(itree_empty(&group->pasids));
		group->owner = NULL;
		group_set_domain_nofail(group, group->default_domain);
	}
	mutex_unlock(&group->lock);
}

int iommu_device_claim_dma_owner(struct device *dev, void *owner)
{
	if (!dev->iommu_group)
		return -ENODEV;
	return iommu_group_claim_dma_owner(dev->iommu_group, owner);
}

void iommu_device_release_dma_owner(struct device *dev)
{
	iommu_group_release_dma_owner(dev->iommu_group);
}

int iommu_device_use_default_domain(struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;
	int rc = 0;

	if (!group)
		return 0;
	mutex_lock(&group->lock);
	if ((group->owner_cnt && group->owner) || group->domain != group->default_domain)
		rc = -EBUSY;
	else
		group->owner_cnt++;
	mutex_unlock(&group->lock);
	return rc;
}

void iommu_device_unuse_default_domain(struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;

	if (!group)
		return;
	mutex_lock(&group->lock);
	assert(group->owner_cnt && !group->owner);
	group->owner_cnt--;
	mutex_unlock(&group->lock);
}

/* ---- the RID ---- */

/* Page requests follow from here on; those on their way to the old one have arrived. */
static void group_set_handle(struct iommu_group *group, struct iommu_domain *domain,
			     struct iommu_attach_handle *handle) __must_hold(&group->lock)
{
	mutex_lock(&group->fault_lock);
	group->handle = handle;
	if (handle)
		handle->domain = domain;
	mutex_unlock(&group->fault_lock);
}

int iommu_attach_group_handle(struct iommu_domain *domain, struct iommu_group *group,
			      struct iommu_attach_handle *handle)
{
	int rc;

	mutex_lock(&group->lock);
	if (group->domain != group->default_domain && group->domain != group->blocking_domain)
		rc = -EBUSY;
	else if (!group_takes_domain(group, domain))
		rc = -EINVAL;
	else
		rc = group_set_domain(group, domain);
	if (!rc)
		group_set_handle(group, domain, handle);
	mutex_unlock(&group->lock);
	return rc;
}

int iommu_replace_group_handle(struct iommu_group *group, struct iommu_domain *domain,
			       struct iommu_attach_handle *handle)
{
	int rc;

	mutex_lock(&group->lock);
	if (!group_takes_domain(group, domain))
		rc = -EINVAL;
	else
		rc = group_set_domain(group, domain);
	if (!rc)
		group_set_handle(group, domain, handle);
	mutex_unlock(&group->lock);
	return rc;
}

void iommu_detach_group_handle(struct iommu_domain *domain, struct iommu_group *group)
{
	mutex_lock(&group->lock);
	if (group->domain == domain) {
		group_set_domain_nofail(group, group->owner_cnt && group->owner ?
						       group->blocking_domain :
						       group->default_domain);
		group_set_handle(group, domain, NULL);
	}
	mutex_unlock(&group->lock);
}
