/* SPDX-License-Identifier: MIT */
/*
 * VFIO: the devices of a machine as programs drive them: by cdev and iommufd, or by
 * group and container.  Nodes appear in the system's tree.
 */
#ifndef VFIO_VFIO_H
#define VFIO_VFIO_H

#include "core/file.h"
#include "pci/topology.h"

struct vfio;

/**
 * enum vfio_container_kind - what /dev/vfio/vfio is
 * @VFIO_CONTAINER_NATIVE: type1's own rules (a thin layer over an IOAS)
 * @VFIO_CONTAINER_COMPAT: iommufd in its place, as with CONFIG_IOMMUFD_VFIO_CONTAINER
 */
enum vfio_container_kind {
	VFIO_CONTAINER_NATIVE,
	VFIO_CONTAINER_COMPAT,
};

/**
 * vfio_create() - VFIO for all functions of @topology, now and later
 * Adds /dev/vfio/vfio, a cdev and (for the first of a group) a group node per function, and what
 * sysfs shows of them.
 * Return: 0, -ENOMEM.
 */
int vfio_create(struct iommufd_system *system, struct pci_topology *topology,
		enum vfio_container_kind kind, struct vfio **ret_vfio);
/** vfio_destroy() - every file is closed; before the functions are removed.  NULL is a no-op */
void vfio_destroy(struct vfio *vfio);

/**
 * vfio_add_emulated() - a device that does no DMA of its own: its model reads and writes memory
 * through an access (mdev): a cdev and a group like the others' Return: 0, -EEXIST, -ENOMEM.
 */
int vfio_add_emulated(struct vfio *vfio, struct pci_dev *pdev);

/**
 * vfio_emulated_rw() - memory of whoever drives an emulated device
 * Context: any thread while the device is open, no lock of vfio's needed.
 * Return: 0; -ENODEV it is not open; as iommufd_access_rw().
 */
int vfio_emulated_rw(struct vfio *vfio, struct pci_dev *pdev, u64 iova, void *data, size_t len,
		     bool write);

#endif
