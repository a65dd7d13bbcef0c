/* SPDX-License-Identifier: MIT */
/*
 * From the id a program gives to a hwpt.  A hwpt is taken as it is; for an ioas
 * an automatic one is found that suits the device, or made.  Suitability is
 * tried out: -EINVAL from an attach means "not this one" and nothing else, so
 * every other error ends the search.
 */
#include "device/device.h"

typedef int (*pt_change_fn)(struct iommufd_device *idev, ioasid_t pasid,
			    struct iommufd_hw_pagetable *hwpt,
			    struct iommufd_hw_pagetable **ret_old);

static int change_attach(struct iommufd_device *idev, ioasid_t pasid,
			 struct iommufd_hw_pagetable *hwpt, struct iommufd_hw_pagetable **ret_old)
{
	*ret_old = NULL;
	return device_hwpt_attach(idev, pasid, hwpt);
}

/*
 * Make an automatic hwpt.  For an attach the device is in before the map is
 * filled in; a replace comes after, or the device would lose its old mappings
 * before it has the new ones.
 */
static int auto_create(struct iommufd_device *idev, ioasid_t pasid, struct iommufd_ioas *ioas,
		       pt_change_fn change, u32 *pt_id, struct iommufd_hw_pagetable **ret_old)
	__must_hold(&ioas->mutex)
{
	bool immediate = change == change_attach;
	struct iommufd_hw_pagetable *old = NULL;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	rc = hwpt_paging_alloc(idev->ctx, ioas, idev, pasid, 0, immediate, NULL, &hwpt);
	if (rc)
		return rc;
	if (!immediate) {
		rc = change(idev, pasid, &hwpt->common, &old);
		if (rc) {
			object_abort_and_destroy(idev->ctx, &hwpt->common.obj);
			return rc;
		}
	}
	hwpt->auto_domain = true;
	*pt_id = hwpt->common.obj.id;
	object_finalize(idev->ctx, &hwpt->common.obj);
	*ret_old = old;
	return 0;
}

static int auto_change(struct iommufd_device *idev, ioasid_t pasid, struct iommufd_ioas *ioas,
		       pt_change_fn change, u32 *pt_id, struct iommufd_hw_pagetable **ret_old)
	__must_hold(&ioas->mutex)
{
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	cds_list_for_each_entry(hwpt, &ioas->hwpt_list, hwpt_item) {
		if (!hwpt->auto_domain)
			continue;
		/* On its way out; its destroyer waits for our mutex to leave the list. */
		if (object_try_hold(idev->ctx, &hwpt->common.obj))
			continue;
		rc = change(idev, pasid, &hwpt->common, ret_old);
		if (!rc)
			*pt_id = hwpt->common.obj.id;
		object_release(&hwpt->common.obj);
		if (rc != -EINVAL)
			return rc;
	}
	return auto_create(idev, pasid, ioas, change, pt_id, ret_old);
}

static int pt_change_ioas(struct iommufd_device *idev, ioasid_t pasid, struct iommufd_object *pt,
			  pt_change_fn change, u32 *pt_id, struct iommufd_hw_pagetable **ret_old)
{
	struct iommufd_ioas *ioas = container_of(pt, struct iommufd_ioas, obj);
	int rc;

	mutex_lock(&ioas->mutex);
	rc = auto_change(idev, pasid, ioas, change, pt_id, ret_old);
	mutex_unlock(&ioas->mutex);
	return rc;
}

static int pt_change(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id, pt_change_fn change)
{
	struct iommufd_hw_pagetable *old = NULL;
	struct iommufd_object *pt;
	int rc;

	rc = object_get(idev->ctx, *pt_id, IOMMUFD_OBJ_ANY, &pt);
	if (rc)
		return rc;
	switch (pt->type) {
	case IOMMUFD_OBJ_HWPT_PAGING:
	case IOMMUFD_OBJ_HWPT_NESTED:
		rc = change(idev, pasid, container_of(pt, struct iommufd_hw_pagetable, obj), &old);
		break;
	case IOMMUFD_OBJ_IOAS:
		rc = pt_change_ioas(idev, pasid, pt, change, pt_id, &old);
		break;
	default:
		rc = -EINVAL;
		break;
	}
	object_put(idev->ctx, pt);
	/* With no lock held: ending an automatic hwpt takes its ioas's mutex. */
	if (!rc && old)
		hwpt_detached(idev->ctx, old);
	return rc;
}

int iommufd_device_attach(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id)
{
	int rc;

	rc = pt_change(idev, pasid, pt_id, change_attach);
	if (!rc)
		object_hold(&idev->obj); /* pairs with iommufd_device_detach() */
	return rc;
}

int iommufd_device_replace(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id)
{
	return pt_change(idev, pasid, pt_id, device_hwpt_replace);
}

void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid)
{
	struct iommufd_hw_pagetable *hwpt;

	hwpt = device_hwpt_detach(idev, pasid);
	if (!hwpt)
		return;
	hwpt_detached(idev->ctx, hwpt);
	object_release(&idev->obj);
}
