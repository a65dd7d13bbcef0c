/* SPDX-License-Identifier: MIT */
/*
 * Test operations that make mock devices and move them about.  A device made
 * here is an object of the context ("stdev"), so that a test ends it with
 * IOMMU_DESTROY; beside it is the DEVICE object that binding gave it ("idev").
 */
#include "core/ucmd.h"
#include "device/device.h"
#include "models/mock/mock.h"

/**
 * struct mock_stdev - the object
 * @lock: one attach, replace or detach at a time
 */
struct mock_stdev {
	struct selftest_object base;
	struct mock_dev *mdev;
	struct iommufd_device *idev;
	struct mutex lock;
};

/* What the test has attached and not detached goes too, or the device could never be unbound. */
static void stdev_detach_all(struct mock_stdev *stdev)
{
	ioasid_t pasid = IOMMU_NO_PASID;

	while (device_next_pasid(stdev->idev, &pasid))
		iommufd_device_detach(stdev->idev, pasid);
}

static void stdev_destroy(struct iommufd_object *obj)
{
	struct mock_stdev *stdev = container_of(obj, struct mock_stdev, base.obj);

	stdev_detach_all(stdev);
	iommufd_device_unbind(stdev->idev);
	mock_dev_destroy(stdev->mdev);
	mutex_destroy(&stdev->lock);
}

static int stdev_get(struct iommufd_ctx *ctx, u32 id, struct mock_stdev **ret_stdev)
{
	struct iommufd_object *obj;
	int rc;

	rc = object_get(ctx, id, IOMMUFD_OBJ_SELFTEST, &obj);
	if (!rc)
		*ret_stdev = container_of(obj, struct mock_stdev, base.obj);
	return rc;
}

static void stdev_put(struct iommufd_ctx *ctx, struct mock_stdev *stdev)
{
	object_put(ctx, &stdev->base.obj);
}

/* ---- making one ---- */

static int stdev_create(struct iommufd_ctx *ctx, u32 dev_flags, u32 *pt_id,
			struct mock_stdev **ret_stdev)
{
	struct mock_stdev *stdev;
	struct iommufd_object *obj;
	u32 idev_id;
	int rc;

	rc = object_alloc(ctx, sizeof(*stdev), IOMMUFD_OBJ_SELFTEST, &obj);
	if (rc)
		return rc;
	stdev = container_of(obj, struct mock_stdev, base.obj);
	rc = mock_dev_create(ctx->system->mock, dev_flags, &stdev->mdev);
	if (rc)
		goto err_abort;
	stdev->idev = iommufd_device_bind(ctx, &stdev->mdev->dev, &idev_id);
	if (IS_ERR(stdev->idev)) {
		rc = PTR_ERR(stdev->idev);
		goto err_destroy_dev;
	}
	rc = iommufd_device_attach(stdev->idev, IOMMU_NO_PASID, pt_id);
	if (rc)
		goto err_unbind;
	mutex_init(&stdev->lock);
	stdev->base.destroy = stdev_destroy;
	*ret_stdev = stdev;
	return 0;
err_unbind:
	iommufd_device_unbind(stdev->idev);
err_destroy_dev:
	mock_dev_destroy(stdev->mdev);
err_abort:
	object_abort(ctx, obj);
	return rc;
}

static int stdev_create_cmd(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd, u32 dev_flags)
{
	struct mock_stdev *stdev = NULL;
	u32 pt_id = cmd->id;
	int rc;

	rc = stdev_create(ucmd->ctx, dev_flags, &pt_id, &stdev);
	if (rc)
		return rc;
	cmd->mock_domain.out_stdev_id = stdev->base.obj.id;
	cmd->mock_domain.out_hwpt_id = pt_id;
	cmd->mock_domain.out_idev_id = iommufd_device_to_id(stdev->idev);
	rc = ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		object_abort_and_destroy(ucmd->ctx, &stdev->base.obj);
	else
		object_finalize(ucmd->ctx, &stdev->base.obj);
	return rc;
}

int mock_op_domain(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	return stdev_create_cmd(ucmd, cmd, 0);
}

int mock_op_domain_flags(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	return stdev_create_cmd(ucmd, cmd, cmd->mock_domain_flags.dev_flags);
}

/* ---- moving it ---- */

typedef int (*stdev_move_fn)(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id);

static int stdev_move(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd, ioasid_t pasid,
		      u32 *pt_id, stdev_move_fn move)
{
	struct mock_stdev *stdev;
	int rc;

	rc = stdev_get(ucmd->ctx, cmd->id, &stdev);
	if (rc)
		return rc;
	mutex_lock(&stdev->lock);
	rc = move(stdev->idev, pasid, pt_id);
	mutex_unlock(&stdev->lock);
	stdev_put(ucmd->ctx, stdev);
	return rc ? rc : ucmd_respond(ucmd, sizeof(*cmd));
}

int mock_op_domain_replace(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	return stdev_move(ucmd, cmd, IOMMU_NO_PASID, &cmd->mock_domain_replace.pt_id,
			  iommufd_device_replace);
}

int mock_op_pasid_attach(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	return stdev_move(ucmd, cmd, cmd->pasid_attach.pasid, &cmd->pasid_attach.pt_id,
			  iommufd_device_attach);
}

int mock_op_pasid_replace(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	return stdev_move(ucmd, cmd, cmd->pasid_replace.pasid, &cmd->pasid_replace.pt_id,
			  iommufd_device_replace);
}

int mock_op_pasid_detach(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct mock_stdev *stdev;
	int rc;

	rc = stdev_get(ucmd->ctx, cmd->id, &stdev);
	if (rc)
		return rc;
	mutex_lock(&stdev->lock);
	iommufd_device_detach(stdev->idev, cmd->pasid_detach.pasid);
	mutex_unlock(&stdev->lock);
	stdev_put(ucmd->ctx, stdev);
	return 0;
}

/* ---- looking at it ---- */

/* The domain the hardware has at @pasid, NULL none; the stdev lock keeps it there. */
static struct iommu_domain *stdev_domain(struct mock_stdev *stdev, ioasid_t pasid)
{
	struct iommu_attach_handle *handle =
		iommu_attach_handle_get(stdev->mdev->dev.iommu_group, pasid);

	return handle ? handle->domain : NULL;
}

static int stdev_check_hwpt(struct iommufd_ctx *ctx, struct mock_stdev *stdev, ioasid_t pasid,
			    u32 hwpt_id)
{
	struct iommufd_hw_pagetable *hwpt;
	struct iommufd_object *obj;
	int rc;

	if (!hwpt_id)
		return stdev_domain(stdev, pasid) ? -EINVAL : 0;
	rc = object_get(ctx, hwpt_id, IOMMUFD_OBJ_ANY, &obj);
	if (rc)
		return rc;
	hwpt = container_of(obj, struct iommufd_hw_pagetable, obj);
	if (obj->type != IOMMUFD_OBJ_HWPT_PAGING && obj->type != IOMMUFD_OBJ_HWPT_NESTED)
		rc = -EINVAL;
	else if (stdev_domain(stdev, pasid) != hwpt->domain)
		rc = -EINVAL;
	object_put(ctx, obj);
	return rc;
}

int mock_op_pasid_check(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct mock_stdev *stdev;
	int rc;

	rc = stdev_get(ucmd->ctx, cmd->id, &stdev);
	if (rc)
		return rc;
	mutex_lock(&stdev->lock);
	rc = stdev_check_hwpt(ucmd->ctx, stdev, cmd->pasid_check.pasid, cmd->pasid_check.hwpt_id);
	mutex_unlock(&stdev->lock);
	stdev_put(ucmd->ctx, stdev);
	return rc;
}
