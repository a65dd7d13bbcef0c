/* SPDX-License-Identifier: MIT */
/*
 * How the commands of VFIO's containers read in a trace.
 */
#include <iommufd/uapi/vfio.h>

#include "host/trace.h"

static const struct trace_name extensions[] = {
	TRACE_NAME(VFIO_, TYPE1_IOMMU),	  TRACE_NAME(VFIO_, SPAPR_TCE_IOMMU),
	TRACE_NAME(VFIO_, TYPE1v2_IOMMU), TRACE_NAME(VFIO_, DMA_CC_IOMMU),
	TRACE_NAME(VFIO_, NOIOMMU_IOMMU), TRACE_NAME(VFIO_, UNMAP_ALL),
	TRACE_NAME(VFIO_, UPDATE_VADDR),  { 0 },
};
static const struct trace_name info_flags[] = {
	TRACE_NAME(VFIO_IOMMU_INFO_, PGSIZES),
	TRACE_NAME(VFIO_IOMMU_INFO_, CAPS),
	{ 0 },
};
static const struct trace_name map_flags[] = {
	TRACE_NAME(VFIO_DMA_MAP_FLAG_, READ),
	TRACE_NAME(VFIO_DMA_MAP_FLAG_, WRITE),
	TRACE_NAME(VFIO_DMA_MAP_FLAG_, VADDR),
	{ 0 },
};
static const struct trace_name unmap_flags[] = {
	TRACE_NAME(VFIO_DMA_UNMAP_FLAG_, GET_DIRTY_BITMAP),
	TRACE_NAME(VFIO_DMA_UNMAP_FLAG_, ALL),
	TRACE_NAME(VFIO_DMA_UNMAP_FLAG_, VADDR),
	{ 0 },
};
static const struct trace_name dirty_flags[] = {
	TRACE_NAME(VFIO_IOMMU_DIRTY_PAGES_FLAG_, START),
	TRACE_NAME(VFIO_IOMMU_DIRTY_PAGES_FLAG_, STOP),
	TRACE_NAME(VFIO_IOMMU_DIRTY_PAGES_FLAG_, GET_BITMAP),
	{ 0 },
};

#define DEC(m) TRACE_FIELD(T, m, TRACE_DEC, NULL)
#define HEX(m) TRACE_FIELD(T, m, TRACE_HEX, NULL)
#define FLAGS(m, n) TRACE_FIELD(T, m, TRACE_FLAGS, n)

static const struct trace_field extension[] = {
	{ .name = "extension", .size = 8, .kind = TRACE_ENUM, .names = extensions },
};
#define T struct vfio_iommu_type1_info
static const struct trace_field get_info[] = { DEC(argsz), FLAGS(flags, info_flags),
					       HEX(iova_pgsizes), DEC(cap_offset) };
#undef T
#define T struct vfio_iommu_type1_dma_map
static const struct trace_field map_dma[] = { DEC(argsz), FLAGS(flags, map_flags), HEX(vaddr),
					      HEX(iova), HEX(size) };
#undef T
#define T struct vfio_iommu_type1_dma_unmap
static const struct trace_field unmap_dma[] = { DEC(argsz), FLAGS(flags, unmap_flags), HEX(iova),
						HEX(size) };
#undef T
#define T struct vfio_iommu_type1_dirty_bitmap
static const struct trace_field dirty_pages[] = { DEC(argsz), FLAGS(flags, dirty_flags) };
#undef T

#define CMD(number, type, table)                                                                   \
	{                                                                                          \
		.cmd = number, .name = #number, .size = sizeof(type), .fields = table,             \
		.num_fields = ARRAY_SIZE(table)                                                    \
	}
#define VALUE(number, table)                                                                       \
	{                                                                                          \
		.cmd = number, .name = #number, .fields = table, .num_fields = ARRAY_SIZE(table)   \
	}

static const struct trace_cmd cmds[] = {
	{ .cmd = VFIO_GET_API_VERSION, .name = "VFIO_GET_API_VERSION" },
	VALUE(VFIO_CHECK_EXTENSION, extension),
	VALUE(VFIO_SET_IOMMU, extension),
	CMD(VFIO_IOMMU_GET_INFO, struct vfio_iommu_type1_info, get_info),
	CMD(VFIO_IOMMU_MAP_DMA, struct vfio_iommu_type1_dma_map, map_dma),
	CMD(VFIO_IOMMU_UNMAP_DMA, struct vfio_iommu_type1_dma_unmap, unmap_dma),
	{ .cmd = VFIO_IOMMU_ENABLE, .name = "VFIO_IOMMU_ENABLE" },
	{ .cmd = VFIO_IOMMU_DISABLE, .name = "VFIO_IOMMU_DISABLE" },
	CMD(VFIO_IOMMU_DIRTY_PAGES, struct vfio_iommu_type1_dirty_bitmap, dirty_pages),
};

const struct trace_cmd *trace_cmd_vfio(u32 cmd)
{
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		if (cmds[i].cmd == cmd)
			return &cmds[i];
	}
	return NULL;
}
