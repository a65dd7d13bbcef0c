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

	if (index >= PCI_BARS || pdev->access == PCI_ACCESS_NO_MMAP)
		return false;
	if (pdev->access == PCI_ACCESS_SPLIT)
		return pdev->desc->bars[index].areas[0].size;
	return pdev->bars[index].size >= PAGE_SIZE && !pdev->desc->bars[index].io;
}

bool vfio_bar_area_mappable(const struct vfio_device *vdev, u32 index, u64 offset, u64 length)
{
	const struct pci_bar_desc *bar = &vdev->pdev->desc->bars[index];
	u64 size = ALIGN_UP(bar->size, PAGE_SIZE);

	if (vdev->pdev->access != PCI_ACCESS_SPLIT)
		return offset <= size && length <= size - offset;
	for (unsigned int i = 0; i < PCI_AREAS && bar->areas[i].size; i++) {
		const struct pci_area *area = &bar->areas[i];

		if (offset >= area->offset && offset - area->offset < area->size &&
		    length <= area->size - (offset - area->offset))
			return true;
	}
	return false;
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

/**
 * struct region_caps - what hangs off the answer, as the program finds it behind the struct
 * @len: bytes of it
 */
struct region_caps {
	u64 words[2 + 2 * PCI_AREAS + 1];
	u32 len;
};

/* One more, of whole words; it becomes the last one of the chain. */
static void *caps_add(struct region_caps *caps, u32 *last, u16 id, u32 len)
{
	struct vfio_info_cap_header *cap = (void *)((u8 *)caps->words + caps->len);

	if (caps->len)
		((struct vfio_info_cap_header *)((u8 *)caps->words + *last))->next =
			(u32)sizeof(struct vfio_region_info) + caps->len;
	*cap = (struct vfio_info_cap_header){.id = id, .version = 1};
	*last = caps->len;
	caps->len += len;
	return cap;
}

/* Of a mappable BAR: which parts can be mapped if not all; and so can the MSI-X table's pages. */
static void region_caps(const struct vfio_device *vdev, u32 index, struct region_caps *caps)
{
	const struct pci_desc *desc = vdev->pdev->desc;
	const struct pci_area *areas = desc->bars[index].areas;
	struct vfio_region_info_cap_sparse_mmap *sparse;
	u32 last = 0, n = 0;

	while (n < PCI_AREAS && areas[n].size)
		n++;
	if (vdev->pdev->access == PCI_ACCESS_SPLIT) {
		sparse = caps_add(caps, &last, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
				  (u32)(sizeof(*sparse) + n * sizeof(*sparse->areas)));
		sparse->nr_areas = n;
		for (u32 i = 0; i < n; i++)
			sparse->areas[i] = (struct vfio_region_sparse_mmap_area){
				.offset = areas[i].offset, .size = areas[i].size};
	}
	if (desc->msix_vectors && index == desc->msix_bar)
		caps_add(caps, &last, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
			 sizeof(struct vfio_info_cap_header));
}

static int region_put_caps(const struct vfio_device *vdev, struct vfio_region_info *info, u64 arg)
{
	struct region_caps caps = {0};

	info->cap_offset = 0;
	if (info->flags & VFIO_REGION_INFO_FLAG_MMAP)
		region_caps(vdev, info->index, &caps);
	if (!caps.len)
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	if (info->argsz < sizeof(*info) + caps.len) {
		info->argsz = (u32)sizeof(*info) + caps.len;
		return 0;
	}
	info->cap_offset = sizeof(*info);
	return copy_to_user(arg + sizeof(*info), caps.words, caps.len);
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
