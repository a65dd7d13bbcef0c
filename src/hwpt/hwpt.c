/* SPDX-License-Identifier: MIT */
/*
 * Building and ending paging hwpts.  The ioas mutex is held from before the
 * domain joins the map until the hwpt is published, so that whoever walks
 * hwpt_list sees either nothing or the finished hwpt.
 */
#include "hwpt/hwpt.h"

#include <iommufd/uapi/iommufd.h>

#include "device/device.h"
#include "fault/fault.h"
#include "iommu/group.h"

#define HWPT_PAGING_FLAGS                                                                          \
	(IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |                          \
	 IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)

static struct iommufd_hwpt_paging *obj_to_paging(struct iommufd_object *obj)
{
	return to_hwpt_paging(container_of(obj, struct iommufd_hw_pagetable, obj));
}

int hwpt_paging_get(struct iommufd_ctx *ctx, u32 id, struct iommufd_hwpt_paging **ret_hwpt)
{
	struct iommufd_object *obj;
	int rc;

	rc = object_get(ctx, id, IOMMUFD_OBJ_HWPT_PAGING, &obj);
	if (!rc)
		*ret_hwpt = obj_to_paging(obj);
	return rc;
}

void hwpt_put(struct iommufd_ctx *ctx, struct iommufd_hw_pagetable *hwpt)
{
	object_put(ctx, &hwpt->obj);
}

void hwpt_detached(struct iommufd_ctx *ctx, struct iommufd_hw_pagetable *hwpt)
{
	if (hwpt_is_paging(hwpt) && to_hwpt_paging(hwpt)->auto_domain)
		object_put_and_try_destroy(ctx, &hwpt->obj);
	else
		object_release(&hwpt->obj);
}

int hwpt_set_fault(struct iommufd_ctx *ctx, struct iommufd_hw_pagetable *hwpt, u32 fault_id)
{
	int rc;

	rc = fault_hold_by_id(ctx, fault_id, &hwpt->fault); /* pairs with hwpt_fini() */
	if (!rc)
		hwpt->domain->iopf_handler = fault_iopf_handler;
	return rc;
}

void hwpt_fini(struct iommufd_hw_pagetable *hwpt)
{
	iommu_domain_free(hwpt->domain);
	if (hwpt->fault)
		object_release(&hwpt->fault->eventq.obj);
}

/* Both tolerate a hwpt that got no domain, and a domain that never joined the map. */
static void hwpt_paging_fini(struct iommufd_hwpt_paging *hwpt)
{
	hwpt_fini(&hwpt->common);
	if (hwpt->ioas)
		object_release(&hwpt->ioas->obj);
}

void hwpt_paging_abort(struct iommufd_object *obj)
{
	struct iommufd_hwpt_paging *hwpt = obj_to_paging(obj);

	if (!cds_list_empty(&hwpt->hwpt_item)) {
		mutex_assert_held(&hwpt->ioas->mutex);
		cds_list_del_init(&hwpt->hwpt_item);
		iopt_table_remove_domain(&hwpt->ioas->iopt, hwpt->common.domain);
	}
	hwpt_paging_fini(hwpt);
}

void hwpt_paging_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_paging *hwpt = obj_to_paging(obj);

	mutex_lock(&hwpt->ioas->mutex);
	cds_list_del_init(&hwpt->hwpt_item);
	mutex_unlock(&hwpt->ioas->mutex);
	iopt_table_remove_domain(&hwpt->ioas->iopt, hwpt->common.domain);
	hwpt_paging_fini(hwpt);
}

static int hwpt_check_flags(struct iommufd_device *idev, u32 flags,
			    const struct iommu_user_data *user_data)
{
	if ((flags || user_data) && !idev->dev->ops->domain_alloc_paging_flags)
		return -EOPNOTSUPP;
	if (flags & ~HWPT_PAGING_FLAGS)
		return -EOPNOTSUPP;
	if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) &&
	    !device_iommu_capable(idev->dev, IOMMU_CAP_DIRTY_TRACKING))
		return -EOPNOTSUPP;
	/* Faults of a parent belong to what is nested in it. */
	if ((flags & IOMMU_HWPT_FAULT_ID_VALID) && (flags & IOMMU_HWPT_ALLOC_NEST_PARENT))
		return -EOPNOTSUPP;
	return 0;
}

/* Before anything is mapped: the bit can differ in each entry. */
static int hwpt_enforce_coherency(struct iommufd_hwpt_paging *hwpt)
{
	struct iommu_domain *domain = hwpt->common.domain;

	if (!domain->ops->enforce_cache_coherency ||
	    !domain->ops->enforce_cache_coherency(domain))
		return -EINVAL; /* the device promised it */
	domain->enforced_coherency = true;
	hwpt->enforce_cache_coherency = true;
	return 0;
}

int hwpt_paging_alloc(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
		      struct iommufd_device *idev, ioasid_t pasid, u32 flags,
		      bool immediate_attach, const struct iommu_user_data *user_data,
		      struct iommufd_hwpt_paging **ret_hwpt)
{
	struct iommufd_hwpt_paging *hwpt;
	struct iommufd_object *obj;
	int rc;

	mutex_assert_held(&ioas->mutex);
	rc = hwpt_check_flags(idev, flags, user_data);
	if (rc)
		return rc;
	rc = object_alloc(ctx, sizeof(*hwpt), IOMMUFD_OBJ_HWPT_PAGING, &obj);
	if (rc)
		return rc;
	hwpt = obj_to_paging(obj);
	CDS_INIT_LIST_HEAD(&hwpt->hwpt_item);
	hwpt->ctx = ctx;
	hwpt->common.pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	object_hold(&ioas->obj); /* pairs with hwpt_paging_fini() */
	hwpt->ioas = ioas;

	rc = iommu_paging_domain_alloc_flags(idev->dev, flags & ~IOMMU_HWPT_FAULT_ID_VALID,
					     user_data, &hwpt->common.domain);
	if (rc)
		goto err_abort;
	hwpt->common.domain->hwpt = &hwpt->common;
	if (idev->enforce_cache_coherency) {
		rc = hwpt_enforce_coherency(hwpt);
		if (rc)
			goto err_abort;
	}
	/* Some drivers know a domain's page sizes only once it is attached. */
	if (immediate_attach) {
		rc = device_hwpt_attach(idev, pasid, &hwpt->common);
		if (rc)
			goto err_abort;
	}
	rc = iopt_table_add_domain(&ioas->iopt, hwpt->common.domain);
	if (rc)
		goto err_detach;
	cds_list_add_tail(&hwpt->hwpt_item, &ioas->hwpt_list);
	*ret_hwpt = hwpt;
	return 0;
err_detach:
	if (immediate_attach)
		object_release(&device_hwpt_detach(idev, pasid)->obj);
err_abort:
	object_abort_and_destroy(ctx, obj);
	return rc;
}
