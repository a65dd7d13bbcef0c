/* SPDX-License-Identifier: MIT */
/*
 * vIOMMUs: making and ending them, and what a driver asks of them later.
 *
 * The object is the driver's struct with the core's own part behind it.  Its init
 * op runs last before the id is told, and its destroy op only if that succeeded.
 */
#include "viommu/viommu.h"

#include "core/ucmd.h"
#include "device/device.h"
#include "hwpt/hwpt.h"

int viommu_get(struct iommufd_ctx *ctx, u32 id, struct iommufd_viommu **ret_viommu)
{
	struct iommufd_object *obj;
	int rc;

	rc = object_get(ctx, id, IOMMUFD_OBJ_VIOMMU, &obj);
	if (!rc)
		*ret_viommu = to_viommu(obj);
	return rc;
}

/* ---- coming and going ---- */

static void viommu_core_init(struct iommufd_viommu_core *core)
{
	mutex_init(&core->vdevs_lock);
	rangemap_init(&core->vdevs);
	rwlock_init(&core->veventqs_rwsem);
	CDS_INIT_LIST_HEAD(&core->veventqs);
}

static void viommu_core_fini(struct iommufd_viommu_core *core)
{
	assert(rangemap_empty(&core->vdevs) && cds_list_empty(&core->veventqs));
	rwlock_destroy(&core->veventqs_rwsem);
	mutex_destroy(&core->vdevs_lock);
}

void viommu_destroy(struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu = to_viommu(obj);

	if (viommu->ops && viommu->ops->destroy)
		viommu->ops->destroy(viommu);
	viommu_core_fini(viommu->vdevs.core);
	object_release(&viommu->hwpt->common.obj);
}

/* What the driver's struct of this type is, if the driver has vIOMMUs at all. */
static int viommu_driver_size(struct iommufd_ctx *ctx, struct device *dev, u32 type,
			      size_t *ret_size)
{
	const struct iommu_ops *ops = dev->ops;
	size_t size;

	if (!ops->get_viommu_size || !ops->viommu_init)
		return -EOPNOTSUPP;
	size = ops->get_viommu_size(dev, (enum iommu_viommu_type)type);
	if (!size)
		return -EOPNOTSUPP;
	if (size < sizeof(struct iommufd_viommu)) {
		system_log(ctx->system, IOMMUFD_LOG_ERROR,
			   "%s: its driver's vIOMMU has no room for the core's", dev->name);
		return -EOPNOTSUPP;
	}
	*ret_size = size;
	return 0;
}

/* A vIOMMU with everything set that its driver may look at in the init op. */
static int viommu_build(struct iommufd_ctx *ctx, struct iommufd_device *idev,
			struct iommufd_hwpt_paging *parent, u32 type, size_t size,
			struct iommufd_viommu **ret_viommu)
{
	struct iommufd_viommu_core *core;
	struct iommufd_viommu *viommu;
	struct iommufd_object *obj;
	int rc;

	rc = object_alloc(ctx, driver_struct_end(size) + sizeof(*core), IOMMUFD_OBJ_VIOMMU, &obj);
	if (rc)
		return rc;
	viommu = to_viommu(obj);
	core = (void *)((char *)viommu + driver_struct_end(size));
	viommu_core_init(core);
	viommu->vdevs.core = core;
	viommu->type = (enum iommu_viommu_type)type;
	viommu->ictx = ctx;
	/*
	 * Instances are not counted: they outlive the devices behind them, as a system's parts do.
	 */
	viommu->iommu_dev = idev->dev->iommu_dev;
	object_hold(&parent->common.obj); /* pairs with viommu_destroy() */
	viommu->hwpt = parent;
	*ret_viommu = viommu;
	return 0;
}

static int viommu_init(struct iommufd_viommu *viommu, struct device *dev,
		       const struct iommu_viommu_alloc *cmd)
{
	const struct iommu_user_data data = {
		.type = cmd->type,
		.uptr = cmd->data_uptr,
		.len = cmd->data_len,
	};
	int rc;

	rc = dev->ops->viommu_init(viommu, viommu->hwpt->common.domain,
				   cmd->data_len ? &data : NULL);
	if (rc) {
		viommu->ops = NULL; /* it has undone everything: no destroy */
		return rc;
	}
	if (!viommu->ops) {
		system_log(viommu->ictx->system, IOMMUFD_LOG_ERROR,
			   "%s: its driver made a vIOMMU without operations", dev->name);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int viommu_alloc(struct iommufd_ucmd *ucmd, struct iommufd_device *idev, size_t size)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *parent;
	struct iommufd_viommu *viommu;
	int rc;

	rc = hwpt_paging_get(ucmd->ctx, cmd->hwpt_id, &parent);
	if (rc)
		return rc;
	rc = -EINVAL;
	if (!parent->nest_parent)
		goto out_put_parent;
	rc = viommu_build(ucmd->ctx, idev, parent, cmd->type, size, &viommu);
	if (rc)
		goto out_put_parent;
	ucmd->new_obj = &viommu->obj;
	rc = viommu_init(viommu, idev->dev, cmd);
	if (rc)
		goto out_put_parent;
	cmd->out_viommu_id = viommu->obj.id;
	rc = ucmd_respond(ucmd, sizeof(*cmd));
out_put_parent:
	hwpt_put(ucmd->ctx, &parent->common);
	return rc;
}

int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	const struct iommu_viommu_alloc *cmd = ucmd->cmd;
	struct iommufd_device *idev;
	size_t size;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	rc = device_get(ucmd->ctx, cmd->dev_id, &idev);
	if (rc)
		return rc;
	rc = viommu_driver_size(ucmd->ctx, idev->dev, cmd->type, &size);
	if (!rc)
		rc = viommu_alloc(ucmd, idev, size);
	object_put(ucmd->ctx, &idev->obj);
	return rc;
}

/* ---- what drivers ask ---- */

void iommufd_vdevs_lock(struct xarray *vdevs) __no_lock_analysis
{
	mutex_lock(&vdevs->core->vdevs_lock);
}

void iommufd_vdevs_unlock(struct xarray *vdevs) __no_lock_analysis
{
	mutex_unlock(&vdevs->core->vdevs_lock);
}

struct device *iommufd_viommu_find_dev(struct iommufd_viommu *viommu, unsigned long vdev_id)
{
	struct iommufd_viommu_core *core = viommu->vdevs.core;
	struct rangemap_entry entry;
	struct vdev_slot *slot;

	mutex_assert_held(&core->vdevs_lock);
	if (!rangemap_find(&core->vdevs, vdev_id, &entry))
		return NULL;
	slot = entry.value;
	return slot->ready ? slot->vdev->idev->dev : NULL;
}

int iommufd_viommu_get_vdev_id(struct iommufd_viommu *viommu, struct device *dev,
			       unsigned long *vdev_id)
{
	struct iommufd_viommu_core *core = viommu->vdevs.core;
	struct rangemap_entry entry;
	int rc = -ENOENT;

	if (!vdev_id)
		return -EINVAL;
	mutex_lock(&core->vdevs_lock);
	rangemap_for_each_in(&core->vdevs, entry, 0, UINT64_MAX) {
		const struct vdev_slot *slot = entry.value;

		if (!slot->ready || slot->vdev->idev->dev != dev)
			continue;
		*vdev_id = slot->vdev->virt_id;
		rc = 0;
		break;
	}
	mutex_unlock(&core->vdevs_lock);
	return rc;
}

/* ---- soundness ---- */

static const char *viommu_check_vdevs(struct iommufd_viommu *viommu)
{
	struct iommufd_viommu_core *core = viommu->vdevs.core;
	const char *wrong = rangemap_check(&core->vdevs);
	struct rangemap_entry entry;

	mutex_assert_held(&core->vdevs_lock);
	if (wrong)
		return wrong;
	rangemap_for_each_in(&core->vdevs, entry, 0, UINT64_MAX) {
		const struct vdev_slot *slot = entry.value;

		if (entry.first != entry.last || entry.first != slot->vdev->virt_id)
			return "vdevice under another virt_id than its own";
		if (slot->vdev->viommu != viommu)
			return "vdevice of another vIOMMU";
	}
	return NULL;
}

const char *viommu_check(struct iommufd_object *obj, char *buf, size_t size)
{
	struct iommufd_viommu *viommu = to_viommu(obj);
	const char *wrong;

	mutex_lock(&viommu->vdevs.core->vdevs_lock);
	wrong = viommu_check_vdevs(viommu);
	mutex_unlock(&viommu->vdevs.core->vdevs_lock);
	return wrong;
}
