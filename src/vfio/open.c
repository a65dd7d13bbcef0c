/* SPDX-License-Identifier: MIT */
/*
 * The open state of a device: in whose hands its DMA is, where its BARs are,
 * and that it runs.
 */
#include "base/alloc.h"
#include "mem/device_mem.h"
#include "vfio/vfio_priv.h"

/* An emulated device keeps no pin that it would have to give back. */
static void access_unmap(void *data, u64 iova, u64 length)
{
}

static const struct iommufd_access_ops access_ops = {
	.needs_pin_pages = true,
	.unmap = access_unmap,
};

static int device_bind(struct vfio_device *vdev, struct iommufd_ctx *ctx, u32 *ret_id)
{
	struct iommufd_device *idev;

	if (vdev->emulated)
		return iommufd_access_create(ctx, &access_ops, vdev, ret_id, &vdev->access);
	idev = iommufd_device_bind(ctx, &vdev->pdev->dev, ret_id);
	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	vdev->idev = idev;
	return 0;
}

static void device_unbind(struct vfio_device *vdev)
{
	struct iommufd_access *access;

	/* A model that still asks finds none from here on. */
	mutex_lock(&vdev->vfio->lock);
	access = vdev->access;
	vdev->access = NULL;
	mutex_unlock(&vdev->vfio->lock);
	if (access)
		iommufd_access_destroy(access);
	if (vdev->idev)
		iommufd_device_unbind(vdev->idev);
	vdev->idev = NULL;
}

static int device_memory(struct vfio_device *vdev, struct file *file)
{
	int host_fd = -1;
	int rc = 0;

	if (!pci_in_memory(vdev->pdev))
		return 0;
	if (file->host_memory)
		rc = file->host_memory(file, true, &host_fd);
	if (rc)
		return rc;
	vdev->memory_file = file->host_memory ? file : NULL;
	return mem_device_create(vdev->vfio->system->mem, host_fd, true, &vdev->memory);
}

static void device_memory_free(struct vfio_device *vdev)
{
	mem_device_free(vdev->memory);
	vdev->memory = NULL;
	vdev->memory_file = NULL;
}

static void device_set_used(struct vfio_device *vdev, bool used)
{
	mutex_lock(&vdev->vfio->lock);
	vdev->used = used;
	mutex_unlock(&vdev->vfio->lock);
}

int vfio_device_open(struct vfio_device *vdev, struct iommufd_ctx *ctx, struct file *file,
		     u32 *ret_id)
{
	int rc = ctx ? device_bind(vdev, ctx, ret_id) : 0;

	if (rc)
		return rc;
	rc = device_memory(vdev, file);
	if (rc)
		goto err_unbind;
	rc = pci_dev_open(vdev->pdev, &vdev->client, vdev->memory);
	if (rc)
		goto err_memory;
	vdev->ctx = ctx;
	vdev->mig.state = VFIO_DEVICE_STATE_RUNNING;
	vdev->open_count = 1;
	device_set_used(vdev, true);
	return 0;
err_memory:
	device_memory_free(vdev);
err_unbind:
	device_unbind(vdev);
	return rc;
}

/* ---- attaching ---- */

int vfio_device_attach(struct vfio_device *vdev, u32 *pt_id)
{
	int rc;

	if (vdev->emulated)
		rc = vdev->attached ? iommufd_access_replace(vdev->access, *pt_id)
				    : iommufd_access_attach(vdev->access, *pt_id);
	else
		rc = vdev->attached ? iommufd_device_replace(vdev->idev, IOMMU_NO_PASID, pt_id)
				    : iommufd_device_attach(vdev->idev, IOMMU_NO_PASID, pt_id);
	if (!rc)
		vdev->attached = true;
	return rc;
}

void vfio_device_detach(struct vfio_device *vdev)
{
	if (!vdev->attached)
		return;
	if (vdev->emulated)
		iommufd_access_detach(vdev->access);
	else
		iommufd_device_detach(vdev->idev, IOMMU_NO_PASID);
	vdev->attached = false;
}

static void device_detach_pasids(struct vfio_device *vdev)
{
	struct rangemap_entry entry;

	while (rangemap_first_from(&vdev->pasids, 0, &entry)) {
		iommufd_device_detach(vdev->idev, (ioasid_t)entry.first);
		rangemap_remove(&vdev->pasids, entry.first);
	}
}

void vfio_device_close(struct vfio_device *vdev)
{
	vdev->open_count = 0;
	device_set_used(vdev, false);
	vfio_ioeventfds_remove(vdev);
	vfio_exports_drop(vdev);
	vfio_dma_log_end(vdev);
	pci_dev_close(vdev->pdev, &vdev->client);
	irqs_reset(&vdev->irqs);
	vfio_mig_reset(vdev);
	vfio_low_power_end(vdev);
	if (vdev->ctx) {
		device_detach_pasids(vdev);
		vfio_device_detach(vdev);
		device_unbind(vdev);
		vdev->ctx = NULL;
	}
	device_memory_free(vdev);
	pthread_cond_broadcast(&vdev->set->closed);
}
