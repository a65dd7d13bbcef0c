/* SPDX-License-Identifier: MIT */
/*
 * The one file that knows every room: which handler serves which command with
 * which struct, and how each type of object ends.  Adding a command is adding
 * a row.
 */
#include <assert.h>

#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>

#include "core/object.h"
#include "core/ucmd.h"
#include "ioas/access.h"
#include "ioas/ioas.h"

/* ---- commands ---- */

/* @last_min: last member a caller built against the oldest header passes */
#define ROW(cmd, fn, type, last_min)                                                               \
	[_IOC_NR(cmd) - IOMMUFD_CMD_BASE] = {                                                      \
		.ioctl_num = (cmd),                                                                \
		.size = sizeof(type) + BUILD_CHECK(sizeof(type) <= UCMD_SIZE_MAX),                 \
		.min_size = offsetof(type, last_min) + sizeof(((type *)NULL)->last_min),           \
		.execute = (fn),                                                                   \
	}
/* 0, or no program */
#define BUILD_CHECK(condition) (sizeof(struct { int fits : (condition) ? 1 : -1; }) * 0)

/* The dispatcher lets the number through only where a model serves it. */
static int test_ioctl(struct iommufd_ucmd *ucmd)
{
	return ucmd->ctx->system->test_cmd(ucmd);
}

const struct ucmd_row ucmd_table[] = {
	ROW(IOMMU_DESTROY, iommufd_destroy_ioctl, struct iommu_destroy, id),
	ROW(IOMMU_IOAS_ALLOC, iommufd_ioas_alloc_ioctl, struct iommu_ioas_alloc, out_ioas_id),
	ROW(IOMMU_IOAS_ALLOW_IOVAS, iommufd_ioas_allow_iovas_ioctl, struct iommu_ioas_allow_iovas,
	    allowed_iovas),
	ROW(IOMMU_IOAS_COPY, iommufd_ioas_copy_ioctl, struct iommu_ioas_copy, src_iova),
	ROW(IOMMU_IOAS_IOVA_RANGES, iommufd_ioas_iova_ranges_ioctl, struct iommu_ioas_iova_ranges,
	    out_iova_alignment),
	ROW(IOMMU_IOAS_MAP, iommufd_ioas_map_ioctl, struct iommu_ioas_map, iova),
	ROW(IOMMU_IOAS_UNMAP, iommufd_ioas_unmap_ioctl, struct iommu_ioas_unmap, length),
	ROW(IOMMU_OPTION, iommufd_option_ioctl, struct iommu_option, val64),
	ROW(IOMMU_VFIO_IOAS, iommufd_vfio_ioas_ioctl, struct iommu_vfio_ioas, __reserved),
	ROW(IOMMU_HWPT_ALLOC, iommufd_hwpt_alloc_ioctl, struct iommu_hwpt_alloc, __reserved),
	ROW(IOMMU_GET_HW_INFO, iommufd_get_hw_info_ioctl, struct iommu_hw_info, __reserved),
	ROW(IOMMU_HWPT_SET_DIRTY_TRACKING, iommufd_hwpt_set_dirty_tracking_ioctl,
	    struct iommu_hwpt_set_dirty_tracking, __reserved),
	ROW(IOMMU_HWPT_GET_DIRTY_BITMAP, iommufd_hwpt_get_dirty_bitmap_ioctl,
	    struct iommu_hwpt_get_dirty_bitmap, data),
	ROW(IOMMU_HWPT_INVALIDATE, iommufd_hwpt_invalidate_ioctl, struct iommu_hwpt_invalidate,
	    __reserved),
	ROW(IOMMU_FAULT_QUEUE_ALLOC, iommufd_fault_alloc_ioctl, struct iommu_fault_alloc,
	    out_fault_fd),
	ROW(IOMMU_IOAS_MAP_FILE, iommufd_ioas_map_file_ioctl, struct iommu_ioas_map_file, iova),
	ROW(IOMMU_VIOMMU_ALLOC, iommufd_viommu_alloc_ioctl, struct iommu_viommu_alloc,
	    out_viommu_id),
	ROW(IOMMU_VDEVICE_ALLOC, iommufd_vdevice_alloc_ioctl, struct iommu_vdevice_alloc, virt_id),
	ROW(IOMMU_IOAS_CHANGE_PROCESS, iommufd_ioas_change_process_ioctl,
	    struct iommu_ioas_change_process, __reserved),
	ROW(IOMMU_VEVENTQ_ALLOC, iommufd_veventq_alloc_ioctl, struct iommu_veventq_alloc,
	    out_veventq_fd),
	ROW(IOMMU_HW_QUEUE_ALLOC, iommufd_hw_queue_alloc_ioctl, struct iommu_hw_queue_alloc,
	    length),
	ROW(IOMMU_TEST_CMD, test_ioctl, struct iommu_test_cmd, last),
};
const unsigned int ucmd_table_size = ARRAY_SIZE(ucmd_table);

/* ---- objects ---- */

static const char *ioas_object_check(struct iommufd_object *obj, char *buf, size_t size)
{
	return ioas_check(container_of(obj, struct iommufd_ioas, obj), buf, size);
}

/* What a test object is, only the model that made it knows. */
static void selftest_destroy(struct iommufd_object *obj)
{
	struct selftest_object *test_obj = container_of(obj, struct selftest_object, obj);

	/* NULL: aborted before the model had built anything */
	if (test_obj->destroy)
		test_obj->destroy(obj);
}

const struct object_type_ops object_types[IOMMUFD_OBJ_MAX] = {
	[IOMMUFD_OBJ_DEVICE] = {
		.name = "device",
		.pre_destroy = device_pre_destroy,
		.destroy = device_destroy,
	},
	[IOMMUFD_OBJ_HWPT_PAGING] = {
		.name = "hwpt",
		.destroy = hwpt_paging_destroy,
		.abort = hwpt_paging_abort,
	},
	[IOMMUFD_OBJ_IOAS] = {
		.name = "ioas",
		.destroy = ioas_destroy,
		.check = ioas_object_check,
	},
	[IOMMUFD_OBJ_ACCESS] = {
		.name = "access",
		.destroy = access_destroy_object,
	},
	[IOMMUFD_OBJ_FAULT] = {
		.name = "fault",
		.destroy = fault_destroy,
		.check = fault_check,
	},
	[IOMMUFD_OBJ_HWPT_NESTED] = {
		.name = "nested hwpt",
		.destroy = hwpt_nested_destroy,
	},
	[IOMMUFD_OBJ_VIOMMU] = {
		.name = "viommu",
		.destroy = viommu_destroy,
		.check = viommu_check,
	},
	[IOMMUFD_OBJ_VDEVICE] = {
		.name = "vdevice",
		.destroy = vdevice_destroy,
		.abort = vdevice_abort,
	},
	[IOMMUFD_OBJ_VEVENTQ] = {
		.name = "veventq",
		.destroy = veventq_destroy,
		.check = veventq_check,
	},
	[IOMMUFD_OBJ_HW_QUEUE] = {
		.name = "hw queue",
		.destroy = hw_queue_destroy,
	},
	[IOMMUFD_OBJ_SELFTEST] = {
		.name = "selftest",
		.destroy = selftest_destroy,
	},
};
