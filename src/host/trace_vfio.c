/* SPDX-License-Identifier: MIT */
/*
 * How the commands of VFIO's containers, groups and devices read in a trace.
 */
#include <string.h>

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

static const struct trace_name irq_flags[] = {
	TRACE_NAME(VFIO_IRQ_SET_, DATA_NONE),	 TRACE_NAME(VFIO_IRQ_SET_, DATA_BOOL),
	TRACE_NAME(VFIO_IRQ_SET_, DATA_EVENTFD), TRACE_NAME(VFIO_IRQ_SET_, ACTION_MASK),
	TRACE_NAME(VFIO_IRQ_SET_, ACTION_UNMASK), TRACE_NAME(VFIO_IRQ_SET_, ACTION_TRIGGER),
	{ 0 },
};
static const struct trace_name irq_info_flags[] = {
	TRACE_NAME(VFIO_IRQ_INFO_, EVENTFD),
	TRACE_NAME(VFIO_IRQ_INFO_, MASKABLE),
	TRACE_NAME(VFIO_IRQ_INFO_, AUTOMASKED),
	TRACE_NAME(VFIO_IRQ_INFO_, NORESIZE),
	{ 0 },
};
static const struct trace_name device_flags[] = {
	TRACE_NAME(VFIO_DEVICE_FLAGS_, RESET),
	TRACE_NAME(VFIO_DEVICE_FLAGS_, PCI),
	TRACE_NAME(VFIO_DEVICE_FLAGS_, CAPS),
	{ 0 },
};
static const struct trace_name region_flags[] = {
	TRACE_NAME(VFIO_REGION_INFO_FLAG_, READ),
	TRACE_NAME(VFIO_REGION_INFO_FLAG_, WRITE),
	TRACE_NAME(VFIO_REGION_INFO_FLAG_, MMAP),
	TRACE_NAME(VFIO_REGION_INFO_FLAG_, CAPS),
	{ 0 },
};
static const struct trace_name group_flags[] = {
	TRACE_NAME(VFIO_GROUP_FLAGS_, VIABLE),
	TRACE_NAME(VFIO_GROUP_FLAGS_, CONTAINER_SET),
	{ 0 },
};
static const struct trace_name bind_flags[] = { TRACE_NAME(VFIO_DEVICE_BIND_FLAG_, TOKEN), { 0 } };
static const struct trace_name attach_flags[] = { TRACE_NAME(VFIO_DEVICE_ATTACH_, PASID), { 0 } };

static const struct trace_name hot_reset_flags[] = {
	TRACE_NAME(VFIO_PCI_HOT_RESET_FLAG_, DEV_ID),
	TRACE_NAME(VFIO_PCI_HOT_RESET_FLAG_, DEV_ID_OWNED),
	{ 0 },
};
static const struct trace_name features[] = {
	TRACE_NAME(VFIO_DEVICE_FEATURE_, PCI_VF_TOKEN),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, MIGRATION),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, MIG_DEVICE_STATE),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, LOW_POWER_ENTRY),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, LOW_POWER_ENTRY_WITH_WAKEUP),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, LOW_POWER_EXIT),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, DMA_LOGGING_START),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, DMA_LOGGING_STOP),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, DMA_LOGGING_REPORT),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, MIG_DATA_SIZE),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, BUS_MASTER),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, DMA_BUF),
	TRACE_NAME(VFIO_DEVICE_FEATURE_, MIG_PRECOPY_INFOv2),
	{ 0 },
};
static const struct trace_name feature_flags[] = {
	{ VFIO_DEVICE_FEATURE_GET >> 16, "GET" },
	{ VFIO_DEVICE_FEATURE_SET >> 16, "SET" },
	{ VFIO_DEVICE_FEATURE_PROBE >> 16, "PROBE" },
	{ 0 },
};

#define DEC(m) TRACE_FIELD(T, m, TRACE_DEC, NULL)
#define HEX(m) TRACE_FIELD(T, m, TRACE_HEX, NULL)
#define FLAGS(m, n) TRACE_FIELD(T, m, TRACE_FLAGS, n)
#define FD(m) TRACE_FIELD(T, m, TRACE_SDEC, NULL)

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

#define T struct vfio_group_status
static const struct trace_field group_status[] = { DEC(argsz), FLAGS(flags, group_flags) };
#undef T
#define T struct vfio_device_info
static const struct trace_field device_info[] = { DEC(argsz), FLAGS(flags, device_flags),
						  DEC(num_regions), DEC(num_irqs),
						  DEC(cap_offset) };
#undef T
#define T struct vfio_region_info
static const struct trace_field region_info[] = { DEC(argsz), FLAGS(flags, region_flags),
						  DEC(index), DEC(cap_offset), HEX(size),
						  HEX(offset) };
#undef T
#define T struct vfio_irq_info
static const struct trace_field irq_info[] = { DEC(argsz), FLAGS(flags, irq_info_flags),
					       DEC(index), DEC(count) };
#undef T
#define T struct vfio_irq_set
static const struct trace_field set_irqs[] = { DEC(argsz), FLAGS(flags, irq_flags), DEC(index),
					       DEC(start), DEC(count) };
#undef T
#define T struct vfio_device_ioeventfd
static const struct trace_field ioeventfd[] = { DEC(argsz), HEX(flags), HEX(offset), HEX(data),
						FD(fd) };
#undef T
#define T struct vfio_device_bind_iommufd
static const struct trace_field bind[] = { DEC(argsz), FLAGS(flags, bind_flags), FD(iommufd),
					   DEC(out_devid) };
#undef T
#define T struct vfio_device_attach_iommufd_pt
static const struct trace_field attach[] = { DEC(argsz), FLAGS(flags, attach_flags), DEC(pt_id),
					     DEC(pasid) };
#undef T
#define T struct vfio_device_detach_iommufd_pt
static const struct trace_field detach[] = { DEC(argsz), FLAGS(flags, attach_flags), DEC(pasid) };
#undef T
#define T struct vfio_pci_hot_reset_info
static const struct trace_field hot_reset_info[] = { DEC(argsz), FLAGS(flags, hot_reset_flags),
						     DEC(count) };
#undef T
#define T struct vfio_pci_hot_reset
static const struct trace_field hot_reset[] = { DEC(argsz), HEX(flags), DEC(count) };
#undef T
/* The low half of the flags is a number. */
static const struct trace_field feature[] = {
	{ .name = "argsz", .offset = 0, .size = 4, .kind = TRACE_DEC },
	{ .name = "feature", .offset = 4, .size = 2, .kind = TRACE_ENUM, .names = features },
	{ .name = "flags", .offset = 6, .size = 2, .kind = TRACE_FLAGS, .names = feature_flags },
};
#define T struct vfio_precopy_info
static const struct trace_field precopy[] = { DEC(argsz), HEX(flags), DEC(initial_bytes),
					      DEC(dirty_bytes) };
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
	CMD(VFIO_GROUP_GET_STATUS, struct vfio_group_status, group_status),
	{ .cmd = VFIO_GROUP_SET_CONTAINER, .name = "VFIO_GROUP_SET_CONTAINER" },
	{ .cmd = VFIO_GROUP_UNSET_CONTAINER, .name = "VFIO_GROUP_UNSET_CONTAINER" },
	{ .cmd = VFIO_GROUP_GET_DEVICE_FD, .name = "VFIO_GROUP_GET_DEVICE_FD" },
	CMD(VFIO_DEVICE_GET_INFO, struct vfio_device_info, device_info),
	CMD(VFIO_DEVICE_GET_REGION_INFO, struct vfio_region_info, region_info),
	CMD(VFIO_DEVICE_GET_IRQ_INFO, struct vfio_irq_info, irq_info),
	CMD(VFIO_DEVICE_SET_IRQS, struct vfio_irq_set, set_irqs),
	{ .cmd = VFIO_DEVICE_RESET, .name = "VFIO_DEVICE_RESET" },
	CMD(VFIO_DEVICE_BIND_IOMMUFD, struct vfio_device_bind_iommufd, bind),
	CMD(VFIO_DEVICE_ATTACH_IOMMUFD_PT, struct vfio_device_attach_iommufd_pt, attach),
	CMD(VFIO_DEVICE_DETACH_IOMMUFD_PT, struct vfio_device_detach_iommufd_pt, detach),
	CMD(VFIO_MIG_GET_PRECOPY_INFO, struct vfio_precopy_info, precopy),
};

/* What a device does when told these numbers, which a container has other names for. */
static const struct trace_cmd device_cmds[] = {
	CMD(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, struct vfio_pci_hot_reset_info, hot_reset_info),
	CMD(VFIO_DEVICE_PCI_HOT_RESET, struct vfio_pci_hot_reset, hot_reset),
	{ .cmd = VFIO_DEVICE_QUERY_GFX_PLANE, .name = "VFIO_DEVICE_QUERY_GFX_PLANE" },
	CMD(VFIO_DEVICE_IOEVENTFD, struct vfio_device_ioeventfd, ioeventfd),
	CMD(VFIO_DEVICE_FEATURE, struct vfio_device_feature, feature),
};

static const struct trace_cmd *cmd_in(const struct trace_cmd *table, size_t n, u32 cmd)
{
	for (size_t i = 0; i < n; i++) {
		if (table[i].cmd == cmd)
			return &table[i];
	}
	return NULL;
}

const struct trace_cmd *trace_cmd_vfio(u32 cmd, const char *file)
{
	const struct trace_cmd *found = NULL;

	if (file && (strstr(file, "vfio-device") || strstr(file, "/vfio/devices/")))
		found = cmd_in(device_cmds, ARRAY_SIZE(device_cmds), cmd);
	return found ? found : cmd_in(cmds, ARRAY_SIZE(cmds), cmd);
}
