/* SPDX-License-Identifier: MIT */
/*
 * The commands on hwpts: allocation, which means something else for each kind
 * of object it is asked on, and dirty tracking.
 */
#include <iommufd/uapi/iommufd.h>
#include <iommufd/viommu.h>

#include "core/ucmd.h"
#include "device/device.h"
#include "hwpt/hwpt.h"

/* The last thing that can fail is telling the program the id. */
static int hwpt_respond(struct iommufd_ucmd *ucmd, struct iommufd_hw_pagetable *hwpt)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	int rc;

	if (cmd->flags & IOMMU_HWPT_FAULT_ID_VALID) {
		rc = hwpt_set_fault(ucmd->ctx, hwpt, cmd->fault_id);
		if (rc)
			return rc;
	}
	cmd->out_hwpt_id = hwpt->obj.id;
	return ucmd_respond(ucmd, sizeof(*cmd));
}

static int hwpt_alloc_on_ioas(struct iommufd_ucmd *ucmd, struct iommufd_device *idev,
			      struct iommufd_object *obj, const struct iommu_user_data *user_data)
{
	struct iommufd_ioas *ioas = container_of(obj, struct iommufd_ioas, obj);
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	mutex_lock(&ioas->mutex);
	rc = hwpt_paging_alloc(ucmd->ctx, ioas, idev, IOMMU_NO_PASID, cmd->flags, false,
			       user_data, &hwpt);
	if (rc)
		goto out_unlock;
	rc = hwpt_respond(ucmd, &hwpt->common);
	if (rc)
		object_abort_and_destroy(ucmd->ctx, &hwpt->common.obj);
	else
		object_finalize(ucmd->ctx, &hwpt->common.obj);
out_unlock:
	mutex_unlock(&ioas->mutex);
	return rc;
}

/* @pt: a nesting parent, or a vIOMMU that has one */
static int hwpt_alloc_nested(struct iommufd_ucmd *ucmd, struct iommufd_device *idev,
			     struct iommufd_object *pt, const struct iommu_user_data *user_data)
{
	const struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_hwpt_nested *hwpt;
	int rc;

	if (pt->type == IOMMUFD_OBJ_VIOMMU)
		rc = hwpt_nested_alloc_viommu(ucmd->ctx,
					      container_of(pt, struct iommufd_viommu, obj), idev,
					      cmd->flags, user_data, &hwpt);
	else
		rc = hwpt_nested_alloc(ucmd->ctx,
				       to_hwpt_paging(container_of(pt, struct iommufd_hw_pagetable,
								   obj)),
				       idev, cmd->flags, user_data, &hwpt);
	if (rc)
		return rc;
	ucmd->new_obj = &hwpt->common.obj;
	return hwpt_respond(ucmd, &hwpt->common);
}

int iommufd_hwpt_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	const struct iommu_user_data blob = {
		.type = cmd->data_type,
		.uptr = cmd->data_uptr,
		.len = cmd->data_len,
	};
	const struct iommu_user_data *user_data = cmd->data_len ? &blob : NULL;
	struct iommufd_device *idev;
	struct iommufd_object *pt;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if ((cmd->data_type == IOMMU_HWPT_DATA_NONE) != !cmd->data_len)
		return -EINVAL;
	rc = device_get(ucmd->ctx, cmd->dev_id, &idev);
	if (rc)
		return rc;
	if (object_get(ucmd->ctx, cmd->pt_id, IOMMUFD_OBJ_ANY, &pt)) {
		rc = -EINVAL;
		goto out_put_idev;
	}
	switch (pt->type) {
	case IOMMUFD_OBJ_IOAS:
		rc = hwpt_alloc_on_ioas(ucmd, idev, pt, user_data);
		break;
	case IOMMUFD_OBJ_HWPT_PAGING:
	case IOMMUFD_OBJ_VIOMMU:
		rc = hwpt_alloc_nested(ucmd, idev, pt, user_data);
		break;
	default:
		rc = -EINVAL;
		break;
	}
	object_put(ucmd->ctx, pt);
out_put_idev:
	object_put(ucmd->ctx, &idev->obj);
	return rc;
}

/* ---- dirty tracking ---- */

int iommufd_hwpt_set_dirty_tracking_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = ucmd->cmd;
	bool on = cmd->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if (cmd->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	rc = hwpt_paging_get(ucmd->ctx, cmd->hwpt_id, &hwpt);
	if (rc)
		return rc;
	if (hwpt->common.domain->dirty_ops)
		rc = iopt_set_dirty_tracking(&hwpt->ioas->iopt, hwpt->common.domain, on);
	else
		rc = -EOPNOTSUPP;
	if (!rc)
		atomic_store_explicit(&hwpt->tracking, on, memory_order_relaxed);
	hwpt_put(ucmd->ctx, &hwpt->common);
	return rc;
}

int iommufd_hwpt_get_dirty_bitmap_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if ((cmd->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) || cmd->__reserved)
		return -EOPNOTSUPP;
	rc = hwpt_paging_get(ucmd->ctx, cmd->hwpt_id, &hwpt);
	if (rc)
		return rc;
	rc = iopt_read_and_clear_dirty_data(&hwpt->ioas->iopt, hwpt->common.domain, cmd->flags,
					    cmd);
	hwpt_put(ucmd->ctx, &hwpt->common);
	return rc;
}
