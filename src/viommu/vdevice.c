/* SPDX-License-Identifier: MIT */
/*
 * Vdevices: a device's identity in a guest.
 *
 * A vdevice must end before its device does, and three threads may want to end or
 * make one at the same time: the unbinding of the device, the program's DESTROY,
 * the program's VDEVICE_ALLOC.  The device's group lock orders them: under it are
 * device->vdev and device->destroying, a vdevice is built and published, and the
 * driver's destroy runs.  See device_pre_destroy() for the other side.
 */
#include "viommu/viommu.h"

#include "core/ucmd.h"
#include "device/device.h"

/* unsigned long is what drivers know virtual ids as */
static_assert(sizeof(unsigned long) == sizeof(u64), "64-bit hosts only");

static struct iommufd_vdevice *to_vdevice(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_vdevice, obj);
}

struct device *iommufd_vdevice_to_device(struct iommufd_vdevice *vdev)
{
	return vdev->idev->dev;
}

/* ---- the guest's name ---- */

static int slot_reserve(struct iommufd_viommu_core *core, struct vdev_slot *slot)
{
	u64 virt_id = slot->vdev->virt_id;
	int rc;

	mutex_lock(&core->vdevs_lock);
	rc = rangemap_insert(&core->vdevs, virt_id, virt_id, slot);
	mutex_unlock(&core->vdevs_lock);
	return rc;
}

static void slot_show(struct iommufd_viommu_core *core, struct vdev_slot *slot)
{
	mutex_lock(&core->vdevs_lock);
	slot->ready = true;
	mutex_unlock(&core->vdevs_lock);
}

/* Without a slot of its own, another vdevice may have that name: it stays. */
static void vdevice_drop_slot(struct iommufd_vdevice *vdev)
{
	struct iommufd_viommu_core *core = vdev->viommu->vdevs.core;
	struct rangemap_entry entry;

	mutex_lock(&core->vdevs_lock);
	if (rangemap_find(&core->vdevs, vdev->virt_id, &entry) &&
	    ((struct vdev_slot *)entry.value)->vdev == vdev)
		rangemap_remove(&core->vdevs, vdev->virt_id);
	mutex_unlock(&core->vdevs_lock);
}

/* ---- coming and going ---- */

void vdevice_abort(struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdev = to_vdevice(obj);

	mutex_assert_held(&vdev->idev->igroup->lock);
	if (vdev->destroy)
		vdev->destroy(vdev);
	vdevice_drop_slot(vdev);
	object_release(&vdev->viommu->obj);
	vdev->idev->vdev = NULL;
}

void vdevice_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev = to_vdevice(obj)->idev;

	mutex_lock(&idev->igroup->lock);
	vdevice_abort(obj);
	mutex_unlock(&idev->igroup->lock);
	/* What the unbinding thread waits for: neither device nor group are there any more. */
	object_put(idev->ctx, &idev->obj);
}

static int vdevice_driver_size(struct iommufd_viommu *viommu, const struct device *dev,
			       size_t *ret_size)
{
	*ret_size = sizeof(struct iommufd_vdevice);
	if (!viommu->ops->vdevice_size)
		return 0;
	if (viommu->ops->vdevice_size < sizeof(struct iommufd_vdevice) ||
	    !viommu->ops->vdevice_init) {
		system_log(viommu->ictx->system, IOMMUFD_LOG_ERROR,
			   "%s: its driver's vdevice is too small or has no init", dev->name);
		return -EOPNOTSUPP;
	}
	*ret_size = viommu->ops->vdevice_size;
	return 0;
}

static int vdevice_init(struct iommufd_vdevice *vdev, struct vdev_slot *slot)
{
	const struct iommufd_viommu_ops *ops = vdev->viommu->ops;
	struct iommufd_viommu_core *core = vdev->viommu->vdevs.core;
	int rc;

	slot->vdev = vdev;
	rc = slot_reserve(core, slot);
	if (rc)
		return rc;
	if (ops->vdevice_init) {
		rc = ops->vdevice_init(vdev);
		if (rc) {
			vdev->destroy = NULL;
			return rc;
		}
	}
	slot_show(core, slot);
	return 0;
}

/* On success the caller's reference on @idev belongs to the vdevice. */
static int vdevice_alloc(struct iommufd_ucmd *ucmd, struct iommufd_viommu *viommu,
			 struct iommufd_device *idev)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_vdevice *vdev;
	struct iommufd_object *obj;
	struct vdev_slot *slot;
	size_t size;
	int rc;

	mutex_assert_held(&idev->igroup->lock);
	if (idev->destroying)
		return -ENOENT;
	if (idev->vdev)
		return -EEXIST;
	rc = vdevice_driver_size(viommu, idev->dev, &size);
	if (rc)
		return rc;
	rc = object_alloc(ucmd->ctx, driver_struct_end(size) + sizeof(*slot), IOMMUFD_OBJ_VDEVICE,
			  &obj);
	if (rc)
		return rc;
	vdev = to_vdevice(obj);
	slot = (void *)((char *)vdev + driver_struct_end(size));
	vdev->virt_id = cmd->virt_id;
	object_hold(&viommu->obj); /* pairs with vdevice_abort() */
	vdev->viommu = viommu;
	vdev->idev = idev;
	idev->vdev = vdev;

	rc = vdevice_init(vdev, slot);
	if (rc)
		goto err_abort;
	cmd->out_vdevice_id = vdev->obj.id;
	rc = ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		goto err_abort;
	object_finalize(ucmd->ctx, obj);
	return 0;
err_abort:
	object_abort_and_destroy(ucmd->ctx, obj);
	return rc;
}

int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	const struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	int rc;

	rc = viommu_get(ucmd->ctx, cmd->viommu_id, &viommu);
	if (rc)
		return rc;
	rc = device_get(ucmd->ctx, cmd->dev_id, &idev);
	if (rc)
		goto out_put_viommu;
	rc = -EINVAL;
	if (viommu->iommu_dev == idev->dev->iommu_dev) {
		mutex_lock(&idev->igroup->lock);
		rc = vdevice_alloc(ucmd, viommu, idev);
		mutex_unlock(&idev->igroup->lock);
	}
	/* Kept by the vdevice: vdevice_destroy() puts it. */
	if (rc)
		object_put(ucmd->ctx, &idev->obj);
out_put_viommu:
	object_put(ucmd->ctx, &viommu->obj);
	return rc;
}
