/* SPDX-License-Identifier: MIT */
/*
 * Binding devices: what the owner of a device (a VFIO driver, an embedding
 * program) does to put it under the control of a context.  Names and contracts
 * are the kernel's.
 *
 * Context: the caller lets only one of these run at a time for one device;
 * devices of one group, and groups, may run in parallel.
 */
#ifndef IOMMUFD_DEVICE_H
#define IOMMUFD_DEVICE_H

#include <iommufd/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct device;
struct iommu_group;
struct iommufd_ctx;
struct iommufd_device;

/**
 * iommufd_device_bind() - make @dev an object of @ctx
 * @id: its object id
 *
 * The whole group stops doing DMA until it is attached; devices of one group can be bound to one
 * context only.  Keeps the context open (a selftest device does not).
 *
 * Return: the device, to be iommufd_device_unbind(), or ERR_PTR: -EINVAL the IOMMU does not keep
 * caches coherent, or firmware maps memory of the group one to one; -ENODEV no group; -EPERM
 * interrupts not isolated, or the group is somebody else's; -EBUSY the group is in use, or ids are
 * exhausted; -ENOMEM.
 */
IOMMUFD_EXPORT struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ctx,
							  struct device *dev, u32 *id);

/**
 * iommufd_device_unbind() - the reverse; @idev is gone afterwards
 * Detach it first, from the RID and each PASID: what is attached cannot be undone by this call.
 */
IOMMUFD_EXPORT void iommufd_device_unbind(struct iommufd_device *idev);

/**
 * iommufd_device_attach() - let DMA of @idev be translated
 * @pasid: whose; IOMMU_NO_PASID for requests without one
 * @pt_id: a hwpt, or an ioas for which one is found or made; out: the hwpt
 *
 * Return: 0; -ENOENT no such object; -EBUSY attached already; -EINVAL neither kind, the group is
 * attached to something else, or the hwpt does not suit the device; -EADDRINUSE iova the device
 * reserves is in use; -ENOMEM; else errors of the driver.
 */
IOMMUFD_EXPORT int iommufd_device_attach(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id);

/**
 * iommufd_device_replace() - the same where something is attached, with no gap between
 *
 * The whole group moves.  Return: as attach, -EINVAL also if nothing is attached; on error the old
 * hwpt stays.
 */
IOMMUFD_EXPORT int iommufd_device_replace(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id);

/** iommufd_device_detach() - back to no DMA; a no-op when not attached */
IOMMUFD_EXPORT void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid);

/**
 * iommufd_device_prepare_msi() - where @idev must write to raise an interrupt at @doorbell
 * @doorbell: physical address of the interrupt controller's register
 * @msi_addr: in and out: changed to an iova only where the IOMMU translates interrupts and the
 *	device is attached; its page is then mapped, in this domain and any it moves to
 *
 * For the interrupt layer, each time it sets up an interrupt.
 * Return: 0; -EOVERFLOW more than 64 doorbell pages in the context; -ENOMEM; errors of the driver.
 */
IOMMUFD_EXPORT int iommufd_device_prepare_msi(struct iommufd_device *idev, phys_addr_t doorbell,
					      dma_addr_t *msi_addr);

/** iommufd_device_to_ictx(), iommufd_device_to_id() - plain getters; the context is not counted */
IOMMUFD_EXPORT struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev);
IOMMUFD_EXPORT u32 iommufd_device_to_id(struct iommufd_device *idev);

/** iommufd_ctx_has_group() - is any device of @group bound to @ctx? false for NULLs */
IOMMUFD_EXPORT bool iommufd_ctx_has_group(struct iommufd_ctx *ctx, struct iommu_group *group);

#ifdef __cplusplus
}
#endif

#endif
