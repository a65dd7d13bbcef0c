/* SPDX-License-Identifier: MIT */
/*
 * A group in a hwpt, at one pasid.  The first device to attach moves the group
 * in the hardware; further ones join; replace moves all of them; the last to
 * detach takes the group out.
 *
 * Everything that needs memory is allocated before the hardware moves, so the
 * bookkeeping after it can not fail.
 *
 * All below the three entries runs under the group's lock; where it is reached
 * through the device that is asserted, since annotations can not say it.
 */
#include "base/alloc.h"
#include "device/device.h"

static struct iommufd_attach *attach_find(struct iommufd_group *igroup, ioasid_t pasid)
	__must_hold(&igroup->lock)
{
	struct itree_node *node = itree_first(&igroup->attachments, pasid, pasid);

	return node ? container_of(node, struct iommufd_attach, node) : NULL;
}

static struct iommufd_attach_member *member_find(struct iommufd_attach *attach,
						 struct iommufd_device *idev)
{
	struct iommufd_attach_member *member;

	cds_list_for_each_entry(member, &attach->members, node)
		if (member->idev == idev)
			return member;
	return NULL;
}

/* ---- may it go there? ---- */

/*
 * Hardware with PASIDs lays the tables out differently, so RID and PASIDs of a
 * group must agree that they are in use.
 */
static int attach_check_pasid(struct iommufd_group *igroup, ioasid_t pasid,
			      const struct iommufd_hw_pagetable *hwpt)
	__must_hold(&igroup->lock)
{
	struct iommufd_attach *rid;

	if (pasid == IOMMU_NO_PASID) {
		if (!hwpt->pasid_compat &&
		    itree_first(&igroup->attachments, IOMMU_NO_PASID + 1, UINT64_MAX))
			return -EINVAL;
		return 0;
	}
	if (!hwpt->pasid_compat)
		return -EINVAL;
	rid = attach_find(igroup, IOMMU_NO_PASID);
	return rid && !rid->hwpt->pasid_compat ? -EINVAL : 0;
}

static __no_lock_analysis int attach_check(struct iommufd_device *idev, ioasid_t pasid,
					   const struct iommufd_hw_pagetable *hwpt)
{
	mutex_assert_held(&idev->igroup->lock);
	/* A VF's page requests arrive through its PF, whose queue is not ours to stop. */
	if (hwpt->fault && idev->dev->vf_pri)
		return -EINVAL;
	return attach_check_pasid(idev->igroup, pasid, hwpt);
}

/* ---- the hardware ---- */

static struct iommufd_attach_handle *handle_alloc(const struct iommufd_device *idev,
						  const struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_attach_handle *handle = zalloc(sizeof(*handle));

	if (handle) {
		handle->fault = hwpt->fault;
		handle->dev_id = idev->obj.id;
	}
	return handle;
}

/* The hardware has left it, so nothing more arrives; what did is answered. */
static void handle_end(struct iommufd_attach_handle *handle)
{
	fault_answer_handle(handle);
	free(handle);
}

static int hw_attach(struct iommufd_device *idev, ioasid_t pasid,
		     struct iommufd_hw_pagetable *hwpt, struct iommufd_attach_handle **ret_handle)
{
	struct iommufd_attach_handle *handle;
	int rc;

	rc = attach_check(idev, pasid, hwpt);
	if (rc)
		return rc;
	handle = handle_alloc(idev, hwpt);
	if (!handle)
		return -ENOMEM;
	if (pasid == IOMMU_NO_PASID)
		rc = iommu_attach_group_handle(hwpt->domain, idev->igroup->group, &handle->handle);
	else
		rc = iommu_attach_device_pasid(hwpt->domain, idev->dev, pasid, &handle->handle);
	if (rc) {
		free(handle);
		return rc;
	}
	*ret_handle = handle;
	return 0;
}

static int hw_replace(struct iommufd_device *idev, ioasid_t pasid, struct iommufd_attach *attach,
		      struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_attach_handle *handle;
	int rc;

	rc = attach_check(idev, pasid, hwpt);
	if (rc)
		return rc;
	handle = handle_alloc(idev, hwpt);
	if (!handle)
		return -ENOMEM;
	if (pasid == IOMMU_NO_PASID)
		rc = iommu_replace_group_handle(idev->igroup->group, hwpt->domain,
						&handle->handle);
	else
		rc = iommu_replace_device_pasid(hwpt->domain, idev->dev, pasid, &handle->handle);
	if (rc) {
		free(handle);
		return rc;
	}
	handle_end(attach->handle);
	attach->handle = handle;
	return 0;
}

static void hw_detach(struct iommufd_device *idev, ioasid_t pasid, struct iommufd_attach *attach)
{
	mutex_assert_held(&idev->igroup->lock);
	if (pasid == IOMMU_NO_PASID)
		iommu_detach_group_handle(attach->hwpt->domain, idev->igroup->group);
	else
		iommu_detach_device_pasid(attach->hwpt->domain, idev->dev, pasid);
	handle_end(attach->handle);
	attach->handle = NULL;
}

/* ---- attach ---- */

/* The attachment at @pasid, made if need be; a made one has no hwpt and is in no tree yet. */
static int attach_find_or_alloc(struct iommufd_group *igroup, ioasid_t pasid,
				struct iommufd_attach **ret_attach) __must_hold(&igroup->lock)
{
	struct iommufd_attach *attach = attach_find(igroup, pasid);

	if (!attach) {
		attach = zalloc(sizeof(*attach));
		if (!attach)
			return -ENOMEM;
		attach->node.first = attach->node.last = pasid;
		CDS_INIT_LIST_HEAD(&attach->members);
	}
	*ret_attach = attach;
	return 0;
}

static void attach_free_unused(struct iommufd_attach *attach)
{
	if (!attach->hwpt)
		free(attach);
}

static int attach_join(struct iommufd_device *idev, ioasid_t pasid, struct iommufd_attach *attach,
		       struct iommufd_attach_member *member, struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_hwpt_paging *paging = hwpt_find_paging(hwpt);
	bool reserve = pasid == IOMMU_NO_PASID && paging;
	int rc;

	mutex_assert_held(&idev->igroup->lock);
	if (member_find(attach, idev))
		return -EBUSY;
	if (attach->hwpt && attach->hwpt != hwpt)
		return -EINVAL;
	if (reserve) {
		rc = device_reserve(idev, paging);
		if (rc)
			return rc;
	}
	if (!attach->hwpt) {
		rc = reserve ? sw_msi_install(idev->igroup, paging) : 0;
		if (!rc)
			rc = hw_attach(idev, pasid, hwpt, &attach->handle);
		if (rc) {
			if (reserve)
				device_unreserve(idev, paging);
			return rc;
		}
		attach->hwpt = hwpt;
		itree_insert(&idev->igroup->attachments, &attach->node);
	}
	member->idev = idev;
	cds_list_add_tail(&member->node, &attach->members);
	object_hold(&hwpt->obj); /* pairs with hwpt_detached() */
	return 0;
}

int device_hwpt_attach(struct iommufd_device *idev, ioasid_t pasid,
		       struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attach_member *member;
	struct iommufd_attach *attach;
	int rc;

	member = zalloc(sizeof(*member));
	if (!member)
		return -ENOMEM;
	mutex_lock(&igroup->lock);
	rc = attach_find_or_alloc(igroup, pasid, &attach);
	if (!rc) {
		rc = attach_join(idev, pasid, attach, member, hwpt);
		if (rc)
			attach_free_unused(attach);
	}
	mutex_unlock(&igroup->lock);
	if (rc)
		free(member);
	return rc;
}

/* ---- replace ---- */

static void members_unreserve(struct iommufd_attach *attach, struct iommufd_attach_member *until,
			      struct iommufd_hwpt_paging *paging)
{
	struct iommufd_attach_member *member;

	cds_list_for_each_entry(member, &attach->members, node) {
		if (member == until)
			return;
		device_unreserve(member->idev, paging);
	}
}

static int members_reserve(struct iommufd_attach *attach, struct iommufd_hwpt_paging *paging)
{
	struct iommufd_attach_member *member;
	int rc;

	cds_list_for_each_entry(member, &attach->members, node) {
		rc = device_reserve(member->idev, paging);
		if (rc) {
			members_unreserve(attach, member, paging);
			return rc;
		}
	}
	return 0;
}

/* One reference per member moves over, but one of the old ones is left for the caller to drop. */
static void attach_move_refs(struct iommufd_attach *attach, struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_attach_member *member;
	bool first = true;

	cds_list_for_each_entry(member, &attach->members, node) {
		object_hold(&hwpt->obj);
		if (!first)
			object_release(&attach->hwpt->obj);
		first = false;
	}
}

static int attach_move(struct iommufd_device *idev, ioasid_t pasid, struct iommufd_attach *attach,
		       struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_hwpt_paging *to = hwpt_find_paging(hwpt);
	struct iommufd_hwpt_paging *from = hwpt_find_paging(attach->hwpt);
	bool rid = pasid == IOMMU_NO_PASID;
	bool reserve = rid && to && (!from || from->ioas != to->ioas);
	bool unreserve = rid && from && (!to || from->ioas != to->ioas);
	int rc;

	mutex_assert_held(&idev->igroup->lock);
	if (reserve) {
		rc = members_reserve(attach, to);
		if (rc)
			return rc;
	}
	rc = rid && to ? sw_msi_install(idev->igroup, to) : 0;
	if (!rc)
		rc = hw_replace(idev, pasid, attach, hwpt);
	if (rc) {
		if (reserve)
			members_unreserve(attach, NULL, to);
		return rc;
	}
	if (unreserve)
		members_unreserve(attach, NULL, from);
	attach_move_refs(attach, hwpt);
	attach->hwpt = hwpt;
	return 0;
}

int device_hwpt_replace(struct iommufd_device *idev, ioasid_t pasid,
			struct iommufd_hw_pagetable *hwpt, struct iommufd_hw_pagetable **ret_old)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hw_pagetable *old = NULL;
	struct iommufd_attach *attach;
	int rc = 0;

	mutex_lock(&igroup->lock);
	attach = attach_find(igroup, pasid);
	if (!attach || !member_find(attach, idev)) {
		rc = -EINVAL;
	} else if (attach->hwpt != hwpt) {
		old = attach->hwpt;
		rc = attach_move(idev, pasid, attach, hwpt);
	}
	mutex_unlock(&igroup->lock);
	if (!rc)
		*ret_old = old;
	return rc;
}

/* ---- detach ---- */

struct iommufd_hw_pagetable *device_hwpt_detach(struct iommufd_device *idev, ioasid_t pasid)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hw_pagetable *hwpt = NULL;
	struct iommufd_attach_member *member;
	struct iommufd_hwpt_paging *paging;
	struct iommufd_attach *attach;

	mutex_lock(&igroup->lock);
	attach = attach_find(igroup, pasid);
	member = attach ? member_find(attach, idev) : NULL;
	if (!member)
		goto out_unlock;
	hwpt = attach->hwpt;
	paging = hwpt_find_paging(hwpt);
	cds_list_del(&member->node);
	free(member);
	if (cds_list_empty(&attach->members)) {
		hw_detach(idev, pasid, attach);
		itree_remove(&igroup->attachments, &attach->node);
		free(attach);
	}
	if (pasid == IOMMU_NO_PASID && paging)
		device_unreserve(idev, paging);
out_unlock:
	mutex_unlock(&igroup->lock);
	return hwpt;
}

/*
 * In a group the attachment goes on without @idev, and what @idev asked for could be answered long
 * after it is gone.
 */
void device_answer_faults(struct iommufd_device *idev)
{
	struct iommufd_group *igroup = idev->igroup;
	struct itree_node *node;

	mutex_lock(&igroup->lock);
	for (node = itree_first(&igroup->attachments, 0, UINT64_MAX); node;
	     node = itree_next(node, 0, UINT64_MAX))
		fault_answer_device(container_of(node, struct iommufd_attach, node)->handle,
				    idev->dev);
	mutex_unlock(&igroup->lock);
}

struct iommufd_hw_pagetable *group_attached_hwpt(struct iommufd_group *igroup, ioasid_t pasid)
{
	struct iommufd_attach *attach = attach_find(igroup, pasid);

	return attach ? attach->hwpt : NULL;
}

bool device_next_pasid(struct iommufd_device *idev, u32 *pasid)
{
	struct itree_node *node;
	bool found = false;

	mutex_lock(&idev->igroup->lock);
	for (node = itree_first(&idev->igroup->attachments, *pasid, UINT64_MAX); node && !found;
	     node = itree_next(node, *pasid, UINT64_MAX)) {
		found = member_find(container_of(node, struct iommufd_attach, node), idev);
		if (found)
			*pasid = node->first;
	}
	mutex_unlock(&idev->igroup->lock);
	return found;
}
