/* SPDX-License-Identifier: MIT */
/*
 * VFIO_IOMMU_GET_INFO as type1 answers it: migration, mappings left, usable iova.
 */
#include <string.h>

#include "base/alloc.h"
#include "ioas/area.h"
#include "ioas/ioas.h"
#include "mem/task.h"
#include "vfio/container.h"

#define INFO_MIN       16U
#define INFO_CAPS      20U /* with cap_offset */
#define INFO_FULL      24U
#define RANGES_MAX     4096U
#define DIRTY_MAX_SIZE (256UL << 20)

/** struct info_caps - the chain, in the order it is handed out; the iova ranges follow */
struct info_caps {
	struct vfio_iommu_type1_info_cap_migration migration;
	struct vfio_iommu_type1_info_dma_avail avail;
	u32 pad;
	struct vfio_iommu_type1_info_cap_iova_range iova;
};

static struct vfio_info_cap_header cap_header(u16 id, size_t next)
{
	return (struct vfio_info_cap_header){
		.id = id, .version = 1, .next = next ? (u32)(INFO_FULL + next) : 0};
}

static int caps_build(struct vfio_container *container, struct info_caps **ret_caps,
		      size_t *ret_size)
{
	struct iova_range *ranges;
	struct info_caps *caps;
	u64 alignment;
	u32 n;
	int rc = iopt_list_usable(&container->ioas->iopt, RANGES_MAX, &ranges, &n, &alignment);

	if (rc)
		return rc;
	*ret_size = sizeof(*caps) + n * sizeof(*ranges);
	caps = zalloc(*ret_size);
	if (caps) {
		caps->migration.header = cap_header(VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
						    offsetof(struct info_caps, avail));
		caps->migration.pgsize_bitmap = PAGE_SIZE;
		caps->migration.max_dirty_bitmap_size = DIRTY_MAX_SIZE;
		caps->avail.header = cap_header(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
						offsetof(struct info_caps, iova));
		mutex_lock(&container->lock);
		caps->avail.avail = CONTAINER_DMAS_MAX - container->num_dmas;
		mutex_unlock(&container->lock);
		caps->iova.header = cap_header(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 0);
		caps->iova.nr_iovas = n;
		memcpy(caps + 1, ranges, n * sizeof(*ranges));
	}
	free(ranges);
	*ret_caps = caps;
	return caps ? 0 : -ENOMEM;
}

int container_get_info(struct vfio_container *container, u64 arg)
{
	struct vfio_iommu_type1_info info = {0};
	struct info_caps *caps;
	size_t size;
	u32 argsz;
	int rc = copy_from_user(&info, arg, INFO_MIN);

	if (rc)
		return rc;
	argsz = info.argsz;
	if (argsz < INFO_MIN)
		return -EINVAL;
	rc = caps_build(container, &caps, &size);
	if (rc)
		return rc;
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.iova_pgsizes = iopt_page_sizes(&container->ioas->iopt);
	if (argsz < INFO_FULL + size) {
		info.argsz = (u32)(INFO_FULL + size);
	} else {
		info.cap_offset = INFO_FULL;
		rc = copy_to_user(arg + INFO_FULL, caps, size);
	}
	free(caps);
	return rc ? rc : copy_to_user(arg, &info, argsz < INFO_CAPS ? INFO_MIN : INFO_CAPS);
}
