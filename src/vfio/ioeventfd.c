/* SPDX-License-Identifier: MIT */
/*
 * Eventfds that stand for a write of one value to one register.
 */
#include <unistd.h>

#include "base/alloc.h"
#include "mem/task.h"
#include "vfio/vfio_priv.h"

#define IOEVENTFDS_MAX 1000
#define MSIX_ENTRY     16U

/** struct vfio_ioeventfd - immutable but for @node, which is under vdev->ioeventfd_lock */
struct vfio_ioeventfd {
	struct cds_list_head node;
	struct vfio_device *vdev;
	u32 bar;
	u32 size;
	u64 off;
	u64 data;
	struct watch *watch;
};

static void ioeventfd_signalled(void *data)
{
	struct vfio_ioeventfd *io = data;
	u64 value = io->data;

	/* With decode off it goes nowhere, as any write. */
	(void)pci_bar_access(io->vdev->pdev, io->bar, io->off, &value, io->size, true);
}

static bool msix_touched(const struct pci_desc *desc, u32 bar, u64 off, u32 size)
{
	u64 end = desc->msix_table + (u64)desc->msix_vectors * MSIX_ENTRY;

	return desc->msix_vectors && bar == desc->msix_bar && off < end &&
	       off + size > desc->msix_table;
}

static int ioeventfd_check(struct vfio_device *vdev, const struct vfio_device_ioeventfd *cmd,
			   struct vfio_ioeventfd *ret)
{
	*ret = (struct vfio_ioeventfd){
		.vdev = vdev,
		.bar = PCI_REGION_INDEX(cmd->offset),
		.size = cmd->flags,
		.off = cmd->offset & (BIT_ULL(PCI_REGION_SHIFT) - 1),
		.data = cmd->data,
	};
	if (cmd->flags & ~VFIO_DEVICE_IOEVENTFD_SIZE_MASK || !is_power_of_2(cmd->flags) ||
	    cmd->fd < -1 || (cmd->offset & PCI_REGION_TAG_MASK) != PCI_REGION_TAG ||
	    ret->bar >= PCI_BARS)
		return -EINVAL;
	if (ret->off + ret->size > vdev->pdev->bars[ret->bar].size || ret->off & (ret->size - 1) ||
	    msix_touched(vdev->pdev->desc, ret->bar, ret->off, ret->size))
		return -EINVAL;
	return 0;
}

static struct vfio_ioeventfd *ioeventfd_find(struct vfio_device *vdev,
					     const struct vfio_ioeventfd *want)
	__must_hold(&vdev->ioeventfd_lock)
{
	struct vfio_ioeventfd *io;

	cds_list_for_each_entry (io, &vdev->ioeventfds, node) {
		if (io->bar == want->bar && io->off == want->off && io->size == want->size &&
		    io->data == want->data)
			return io;
	}
	return NULL;
}

static void ioeventfd_free(struct vfio_ioeventfd *io)
{
	watch_remove(io->watch);
	free(io);
}

/* @host_fd is taken over. */
static int ioeventfd_add(struct vfio_device *vdev, const struct vfio_ioeventfd *want, int host_fd)
	__must_hold(&vdev->ioeventfd_lock)
{
	struct vfio_ioeventfd *io = zalloc(sizeof(*io));
	int rc;

	if (!io) {
		close(host_fd);
		return -ENOMEM;
	}
	*io = *want;
	rc = watch_add(vdev->vfio->watcher, host_fd, ioeventfd_signalled, io, &io->watch);
	if (rc) {
		free(io);
		return rc;
	}
	cds_list_add(&io->node, &vdev->ioeventfds);
	vdev->num_ioeventfds++;
	return 0;
}

static int ioeventfd_set(struct vfio_device *vdev, const struct vfio_ioeventfd *want, int fd)
	__must_hold(&vdev->ioeventfd_lock)
{
	int host_fd;

	if (ioeventfd_find(vdev, want))
		return -EEXIST;
	if (vdev->num_ioeventfds >= IOEVENTFDS_MAX)
		return -ENOSPC;
	host_fd = eventfd_take(fd);
	return host_fd < 0 ? host_fd : ioeventfd_add(vdev, want, host_fd);
}

static int ioeventfd_remove(struct vfio_device *vdev, const struct vfio_ioeventfd *want)
{
	struct vfio_ioeventfd *io;

	mutex_lock(&vdev->ioeventfd_lock);
	io = ioeventfd_find(vdev, want);
	if (io) {
		cds_list_del(&io->node);
		vdev->num_ioeventfds--;
	}
	mutex_unlock(&vdev->ioeventfd_lock);
	if (!io)
		return -ENODEV;
	ioeventfd_free(io);
	return 0;
}

int vfio_ioeventfd(struct vfio_device *vdev, u64 arg)
{
	const size_t min = offsetof(struct vfio_device_ioeventfd, reserved);
	struct vfio_device_ioeventfd cmd;
	struct vfio_ioeventfd want;
	int rc = copy_from_user(&cmd, arg, min);

	if (rc)
		return rc;
	if (cmd.argsz < min)
		return -EINVAL;
	rc = ioeventfd_check(vdev, &cmd, &want);
	if (rc)
		return rc;
	if (cmd.fd < 0)
		return ioeventfd_remove(vdev, &want);
	mutex_lock(&vdev->ioeventfd_lock);
	rc = ioeventfd_set(vdev, &want, cmd.fd);
	mutex_unlock(&vdev->ioeventfd_lock);
	return rc;
}

void vfio_ioeventfds_remove(struct vfio_device *vdev)
{
	struct vfio_ioeventfd *io, *next;

	/* The device is being closed: no command runs. */
	cds_list_for_each_entry_safe (io, next, &vdev->ioeventfds, node) {
		cds_list_del(&io->node);
		ioeventfd_free(io);
	}
	vdev->num_ioeventfds = 0;
}
