/* SPDX-License-Identifier: MIT */
/*
 * How the commands of /dev/iommu read in a trace.
 */
#include <iommufd/uapi/iommufd.h>

#include "host/trace.h"

static const struct trace_name map_flags[] = {
	TRACE_NAME(IOMMU_IOAS_MAP_, FIXED_IOVA),
	TRACE_NAME(IOMMU_IOAS_MAP_, WRITEABLE),
	TRACE_NAME(IOMMU_IOAS_MAP_, READABLE),
	{ 0 },
};
static const struct trace_name option_ids[] = {
	TRACE_NAME(IOMMU_OPTION_, RLIMIT_MODE),
	TRACE_NAME(IOMMU_OPTION_, HUGE_PAGES),
	{ 0 },
};
static const struct trace_name option_ops[] = {
	{ IOMMU_OPTION_OP_SET, "SET" },
	{ IOMMU_OPTION_OP_GET, "GET" },
	{ 0 },
};
static const struct trace_name vfio_ioas_ops[] = {
	{ IOMMU_VFIO_IOAS_GET, "GET" },
	{ IOMMU_VFIO_IOAS_SET, "SET" },
	{ IOMMU_VFIO_IOAS_CLEAR, "CLEAR" },
	{ 0 },
};
static const struct trace_name hwpt_flags[] = {
	{ IOMMU_HWPT_ALLOC_NEST_PARENT, "NEST_PARENT" },
	{ IOMMU_HWPT_ALLOC_DIRTY_TRACKING, "DIRTY_TRACKING" },
	{ IOMMU_HWPT_FAULT_ID_VALID, "FAULT_ID_VALID" },
	{ IOMMU_HWPT_ALLOC_PASID, "PASID" },
	{ 0 },
};
static const struct trace_name hwpt_data_types[] = {
	TRACE_NAME(IOMMU_HWPT_DATA_, NONE),	  TRACE_NAME(IOMMU_HWPT_DATA_, VTD_S1),
	TRACE_NAME(IOMMU_HWPT_DATA_, ARM_SMMUV3), TRACE_NAME(IOMMU_HWPT_DATA_, AMD_GUEST),
	{ 0xdead, "SELFTEST" },			  { 0 },
};
static const struct trace_name dirty_flags[] = {
	{ IOMMU_HWPT_DIRTY_TRACKING_ENABLE, "ENABLE" },
	{ 0 },
};
static const struct trace_name bitmap_flags[] = {
	{ IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, "NO_CLEAR" },
	{ 0 },
};
static const struct trace_name inv_types[] = {
	{ IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, "VTD_S1" },
	{ IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, "ARM_SMMUV3" },
	{ 0xdeadbeef, "SELFTEST" },
	{ 0 },
};
static const struct trace_name hw_info_flags[] = {
	{ IOMMU_HW_INFO_FLAG_INPUT_TYPE, "INPUT_TYPE" },
	{ 0 },
};
static const struct trace_name hw_info_types[] = {
	{ IOMMU_HW_INFO_TYPE_NONE, "NONE" },
	{ IOMMU_HW_INFO_TYPE_INTEL_VTD, "INTEL_VTD" },
	{ IOMMU_HW_INFO_TYPE_ARM_SMMUV3, "ARM_SMMUV3" },
	{ IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV" },
	{ IOMMU_HW_INFO_TYPE_AMD, "AMD" },
	{ 0xfeedbeef, "SELFTEST" },
	{ 0 },
};
static const struct trace_name hw_caps[] = {
	TRACE_NAME(IOMMU_HW_CAP_, DIRTY_TRACKING),
	TRACE_NAME(IOMMU_HW_CAP_, PCI_PASID_EXEC),
	TRACE_NAME(IOMMU_HW_CAP_, PCI_PASID_PRIV),
	TRACE_NAME(IOMMU_HW_CAP_, PCI_ATS_NOT_SUPPORTED),
	{ 0 },
};
static const struct trace_name viommu_types[] = {
	{ IOMMU_VIOMMU_TYPE_DEFAULT, "DEFAULT" },
	{ IOMMU_VIOMMU_TYPE_ARM_SMMUV3, "ARM_SMMUV3" },
	{ IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV" },
	{ 0xdeadbeef, "SELFTEST" },
	{ 0 },
};
static const struct trace_name veventq_types[] = {
	{ IOMMU_VEVENTQ_TYPE_DEFAULT, "DEFAULT" },
	{ IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, "ARM_SMMUV3" },
	{ IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV" },
	{ 0xbeefbeef, "SELFTEST" },
	{ 0 },
};
static const struct trace_name hw_queue_types[] = {
	{ IOMMU_HW_QUEUE_TYPE_DEFAULT, "DEFAULT" },
	{ IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV" },
	{ 0xdeadbeef, "SELFTEST" },
	{ 0 },
};

/* Shorthands of this file; T is the struct being described. */
#define DEC(m) TRACE_FIELD(T, m, TRACE_DEC, NULL)
#define HEX(m) TRACE_FIELD(T, m, TRACE_HEX, NULL)
#define FD(m) TRACE_FIELD(T, m, TRACE_SDEC, NULL)
#define ENUM(m, n) TRACE_FIELD(T, m, TRACE_ENUM, n)
#define FLAGS(m, n) TRACE_FIELD(T, m, TRACE_FLAGS, n)

#define T struct iommu_destroy
static const struct trace_field destroy[] = { DEC(size), DEC(id) };
#undef T
#define T struct iommu_ioas_alloc
static const struct trace_field ioas_alloc[] = { DEC(size), HEX(flags), DEC(out_ioas_id) };
#undef T
#define T struct iommu_ioas_allow_iovas
static const struct trace_field allow_iovas[] = { DEC(size), DEC(ioas_id), DEC(num_iovas),
						  HEX(allowed_iovas) };
#undef T
#define T struct iommu_ioas_copy
static const struct trace_field ioas_copy[] = {
	DEC(size),   FLAGS(flags, map_flags), DEC(dst_ioas_id), DEC(src_ioas_id),
	HEX(length), HEX(dst_iova),	      HEX(src_iova),
};
#undef T
#define T struct iommu_ioas_iova_ranges
static const struct trace_field iova_ranges[] = { DEC(size), DEC(ioas_id), DEC(num_iovas),
						  HEX(allowed_iovas), HEX(out_iova_alignment) };
#undef T
#define T struct iommu_ioas_map
static const struct trace_field ioas_map[] = { DEC(size),    FLAGS(flags, map_flags),
					       DEC(ioas_id), HEX(user_va),
					       HEX(length),  HEX(iova) };
#undef T
#define T struct iommu_ioas_map_file
static const struct trace_field ioas_map_file[] = {
	DEC(size),  FLAGS(flags, map_flags), DEC(ioas_id), FD(fd),
	HEX(start), HEX(length),	     HEX(iova),
};
#undef T
#define T struct iommu_ioas_unmap
static const struct trace_field ioas_unmap[] = { DEC(size), DEC(ioas_id), HEX(iova), HEX(length) };
#undef T
#define T struct iommu_option
static const struct trace_field option[] = { DEC(size), ENUM(option_id, option_ids),
					     ENUM(op, option_ops), DEC(object_id), DEC(val64) };
#undef T
#define T struct iommu_vfio_ioas
static const struct trace_field vfio_ioas[] = { DEC(size), DEC(ioas_id), ENUM(op, vfio_ioas_ops) };
#undef T
#define T struct iommu_hwpt_alloc
static const struct trace_field hwpt_alloc[] = {
	DEC(size),		       FLAGS(flags, hwpt_flags),
	DEC(dev_id),		       DEC(pt_id),
	DEC(out_hwpt_id),	       ENUM(data_type, hwpt_data_types),
	DEC(data_len),		       HEX(data_uptr),
	DEC(fault_id),
};
#undef T
#define T struct iommu_hw_info
static const struct trace_field hw_info[] = {
	DEC(size),	FLAGS(flags, hw_info_flags),	      DEC(dev_id),
	DEC(data_len),	HEX(data_uptr),			      ENUM(out_data_type, hw_info_types),
	DEC(out_max_pasid_log2), FLAGS(out_capabilities, hw_caps),
};
#undef T
#define T struct iommu_hwpt_set_dirty_tracking
static const struct trace_field set_dirty[] = { DEC(size), FLAGS(flags, dirty_flags),
						DEC(hwpt_id) };
#undef T
#define T struct iommu_hwpt_get_dirty_bitmap
static const struct trace_field get_dirty[] = {
	DEC(size), DEC(hwpt_id), FLAGS(flags, bitmap_flags), HEX(iova), HEX(length),
	HEX(page_size), HEX(data),
};
#undef T
#define T struct iommu_hwpt_invalidate
static const struct trace_field invalidate[] = { DEC(size), DEC(hwpt_id), HEX(data_uptr),
						 ENUM(data_type, inv_types), DEC(entry_len),
						 DEC(entry_num) };
#undef T
#define T struct iommu_fault_alloc
static const struct trace_field fault_alloc[] = { DEC(size), HEX(flags), DEC(out_fault_id),
						  FD(out_fault_fd) };
#undef T
#define T struct iommu_viommu_alloc
static const struct trace_field viommu_alloc[] = {
	DEC(size),    HEX(flags),	   ENUM(type, viommu_types), DEC(dev_id),
	DEC(hwpt_id), DEC(out_viommu_id), DEC(data_len),	     HEX(data_uptr),
};
#undef T
#define T struct iommu_vdevice_alloc
static const struct trace_field vdevice_alloc[] = { DEC(size), DEC(viommu_id), DEC(dev_id),
						    DEC(out_vdevice_id), HEX(virt_id) };
#undef T
#define T struct iommu_ioas_change_process
static const struct trace_field change_process[] = { DEC(size) };
#undef T
#define T struct iommu_veventq_alloc
static const struct trace_field veventq_alloc[] = {
	DEC(size),		   HEX(flags),		DEC(viommu_id),
	ENUM(type, veventq_types), DEC(veventq_depth),	DEC(out_veventq_id),
	FD(out_veventq_fd),
};
#undef T
#define T struct iommu_hw_queue_alloc
static const struct trace_field hw_queue_alloc[] = {
	DEC(size),  HEX(flags),		  DEC(viommu_id),	    ENUM(type, hw_queue_types),
	DEC(index), DEC(out_hw_queue_id), HEX(nesting_parent_iova), HEX(length),
};
#undef T

#define CMD(number, type, table)                                                                   \
	{                                                                                          \
		.cmd = number, .name = #number, .size = sizeof(type), .fields = table,             \
		.num_fields = ARRAY_SIZE(table)                                                    \
	}

static const struct trace_cmd cmds[] = {
	CMD(IOMMU_DESTROY, struct iommu_destroy, destroy),
	CMD(IOMMU_IOAS_ALLOC, struct iommu_ioas_alloc, ioas_alloc),
	CMD(IOMMU_IOAS_ALLOW_IOVAS, struct iommu_ioas_allow_iovas, allow_iovas),
	CMD(IOMMU_IOAS_COPY, struct iommu_ioas_copy, ioas_copy),
	CMD(IOMMU_IOAS_IOVA_RANGES, struct iommu_ioas_iova_ranges, iova_ranges),
	CMD(IOMMU_IOAS_MAP, struct iommu_ioas_map, ioas_map),
	CMD(IOMMU_IOAS_MAP_FILE, struct iommu_ioas_map_file, ioas_map_file),
	CMD(IOMMU_IOAS_UNMAP, struct iommu_ioas_unmap, ioas_unmap),
	CMD(IOMMU_OPTION, struct iommu_option, option),
	CMD(IOMMU_VFIO_IOAS, struct iommu_vfio_ioas, vfio_ioas),
	CMD(IOMMU_HWPT_ALLOC, struct iommu_hwpt_alloc, hwpt_alloc),
	CMD(IOMMU_GET_HW_INFO, struct iommu_hw_info, hw_info),
	CMD(IOMMU_HWPT_SET_DIRTY_TRACKING, struct iommu_hwpt_set_dirty_tracking, set_dirty),
	CMD(IOMMU_HWPT_GET_DIRTY_BITMAP, struct iommu_hwpt_get_dirty_bitmap, get_dirty),
	CMD(IOMMU_HWPT_INVALIDATE, struct iommu_hwpt_invalidate, invalidate),
	CMD(IOMMU_FAULT_QUEUE_ALLOC, struct iommu_fault_alloc, fault_alloc),
	CMD(IOMMU_VIOMMU_ALLOC, struct iommu_viommu_alloc, viommu_alloc),
	CMD(IOMMU_VDEVICE_ALLOC, struct iommu_vdevice_alloc, vdevice_alloc),
	CMD(IOMMU_IOAS_CHANGE_PROCESS, struct iommu_ioas_change_process, change_process),
	CMD(IOMMU_VEVENTQ_ALLOC, struct iommu_veventq_alloc, veventq_alloc),
	CMD(IOMMU_HW_QUEUE_ALLOC, struct iommu_hw_queue_alloc, hw_queue_alloc),
};

const struct trace_cmd *trace_cmd_iommufd(u32 cmd)
{
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		if (cmds[i].cmd == cmd)
			return &cmds[i];
	}
	return NULL;
}
