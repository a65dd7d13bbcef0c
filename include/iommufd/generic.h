/* SPDX-License-Identifier: MIT */
/*
 * The generic IOMMU, behind which devices sit that ask for no other: AMDv1 tables,
 * iovas up to 2^48 with a hole at 0xfee00000 for interrupts, 20-bit PASIDs, page
 * requests, dirty tracking; nothing of any vendor's beyond, and no nesting.
 */
#ifndef IOMMUFD_GENERIC_H
#define IOMMUFD_GENERIC_H

#include <iommufd/system.h>

#ifdef __cplusplus
extern "C" {
#endif

struct device;

/**
 * iommufd_generic_init() - give a system its generic IOMMU
 * @system: nothing of it is open yet; the IOMMU ends with it
 * Return: 0, -EEXIST it has one, -ENOMEM.
 */
IOMMUFD_EXPORT int iommufd_generic_init(struct iommufd_system *system);

/**
 * iommufd_generic_probe() - a device of the caller's own appears behind the generic IOMMU
 * @dev: the upper half of it is set, but for @ops
 *
 * iommu_release_device() takes it away again, before the system ends.
 * Return: 0, -ENODEV the system has no generic IOMMU, -ENOMEM.
 */
IOMMUFD_EXPORT int iommufd_generic_probe(struct iommufd_system *system, struct device *dev);

/**
 * iommufd_generic_device_create() - a device with nothing in it, for an embedder to do DMA with
 * @name: copied
 * @ret_dev: set on success only; to be bound with iommufd_device_bind(), and
 *	iommufd_generic_device_destroy()ed before the system ends.  It can send all PASIDs.
 * Return: as iommufd_generic_probe().
 */
IOMMUFD_EXPORT int iommufd_generic_device_create(struct iommufd_system *system, const char *name,
						 struct device **ret_dev);

/** iommufd_generic_device_destroy() - it is bound to nobody; NULL is a no-op */
IOMMUFD_EXPORT void iommufd_generic_device_destroy(struct device *dev);

#ifdef __cplusplus
}
#endif

#endif
