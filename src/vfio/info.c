/* SPDX-License-Identifier: MIT */
/*
 * What a device says of itself: regions, interrupts, and the chains of
 * capabilities that hang off such answers.
 */
#include <string.h>

#include "mem/task.h"
#include "vfio/vfio_priv.h"

#define INFO_MIN   offsetof(struct vfio_device_info, cap_offset)
#define REGION_MIN sizeof(struct vfio_region_info)
#define IRQ_MIN	   sizeof(struct vfio_irq_info)

int vfio_get_info(struct vfio_device *vdev, u64 arg)
{
	struct vfio_device_info info = {0};
	u32 argsz;
	int rc = copy_from_user(&info, arg, INFO_MIN);

	if (rc)
		return rc;
	if (info.argsz < INFO_MIN)
		return -EINVAL;
	argsz = info.argsz;
	info.flags = VFIO_DEVICE_FLAGS_PCI;
	if (vdev->pdev->desc->has_flr)
		info.flags |= VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return copy_to_user(arg, &info, MIN((size_t)argsz, sizeof(info)));
}

/* ---- regions ---- */

bool vfio_bar_mappable(const struct vfio_device *vdev, u32 index)
{
	const struct pci_dev *pdev = vdev->pdev;

	return index < PCI_BARS && pdev->access != PCI_ACCESS_NO_MMAP &&
	       pdev->bars[index].size >= PAGE_SIZE && !pdev->desc->bars[index].io;
}

/* What is at @info.index; false: nothing ever. */
static bool region_describe(const struct vfio_device *vdev, struct vfio_region_info *info)
{
	info->offset = PCI_REGION_OFFSET(info->index);
	info->size = 0;
	info->flags = 0;
	if (info->index == VFIO_PCI_CONFIG_REGION_INDEX) {
		info->size = pci_config_size(vdev->pdev);
		info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	} else if (info->index < PCI_BARS) {
		info->size = vdev->pdev->bars[info->index].size;
		if (info->size)
			info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		if (vfio_bar_mappable(vdev, info->index))
			info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	}
	/* No function here has an image to boot from, or is a VGA adapter. */
	return info->index < VFIO_PCI_VGA_REGION_INDEX;
}

/* The one capability there is: the pages of the MSI-X table may be mapped, too. */
static int region_put_caps(const struct vfio_device *vdev, struct vfio_region_info *info, u64 arg)
{
	const struct vfio_info_cap_header cap = {.id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
						 .version = 1};
	const struct pci_desc *desc = vdev->pdev->desc;

	info->cap_offset = 0;
	if (!desc->msix_vectors || info->index != desc->msix_bar ||
	    !(info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	if (info->argsz < sizeof(*info) + sizeof(cap)) {
		info->argsz = sizeof(*info) + sizeof(cap);
		return 0;
	}
	info->cap_offset = sizeof(*info);
	return copy_to_user(arg + sizeof(*info), &cap, sizeof(cap));
}

int vfio_get_region_info(struct vfio_device *vdev, u64 arg)
{
	struct vfio_region_info info;
	int rc = copy_from_user(&info, arg, REGION_MIN);

	if (rc)
		return rc;
	if (info.argsz < REGION_MIN || !region_describe(vdev, &info))
		return -EINVAL;
	rc = region_put_caps(vdev, &info, arg);
	return rc ? rc : copy_to_user(arg, &info, REGION_MIN);
}

/* ---- interrupts ---- */

int vfio_get_irq_info(struct vfio_device *vdev, u64 arg)
{
	struct vfio_irq_info info;
	int rc = copy_from_user(&info, arg, IRQ_MIN);

	if (rc)
		return rc;
	if (info.argsz < IRQ_MIN || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (info.index == VFIO_PCI_ERR_IRQ_INDEX && !vdev->pdev->desc->has_pcie)
		return -EINVAL;
	info.flags = irqs_flags(info.index);
	info.count = irqs_count(&vdev->irqs, info.index);
	return copy_to_user(arg, &info, IRQ_MIN);
}
