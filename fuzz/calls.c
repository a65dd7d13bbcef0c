/* SPDX-License-Identifier: MIT */
/*
 * The table of all commands.  A row reads like the documentation of its
 * struct: members in order, with what a sensible program puts in them.
 * Adding a command is adding a row (at the end: inputs number them).
 */
#include "calls.h"

#include <iommufd/uapi/vfio.h>

/* clang-format off */

#define AT(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)NULL)->member)

#define ID(type, member, k)        { FIELD_ID, AT(type, member), .arg = (k) }
#define PT(type, member)           { FIELD_PT, AT(type, member) }
#define FLAGS(type, member, mask)  { FIELD_FLAGS, AT(type, member), .arg = (mask) }
#define VALUE(type, member, list)  { FIELD_VALUE, AT(type, member), .values = (list) }
#define SMALL(type, member, limit) { FIELD_SMALL, AT(type, member), .arg = (limit) }
#define ZERO(type, member)         { FIELD_ZERO, AT(type, member) }
#define IOVA(type, member)         { FIELD_IOVA, AT(type, member) }
#define LENGTH(type, member)       { FIELD_LENGTH, AT(type, member) }
#define VA(type, member)           { FIELD_VA, AT(type, member) }
#define MAPPED_VA(type, member)    { FIELD_MAPPED_VA, AT(type, member) }
#define MAYBE_VA(type, member)     { FIELD_MAYBE_VA, AT(type, member) }
#define PASID(type, member)        { FIELD_PASID, AT(type, member) }
#define FD(type, member, k)        { FIELD_FD, AT(type, member), .arg = (k) }
#define FILE_FD(type, member)      { FIELD_FILE, AT(type, member) }
#define BLOB(type, member, k)      { FIELD_BLOB, AT(type, member), .arg = (k) }
#define BLOB_LEN(type, member, k)  { FIELD_BLOB_LEN, AT(type, member), .arg = (k) }
#define BLOB_NUM(type, member)     { FIELD_BLOB_NUM, AT(type, member) }
#define OUT_ID(type, member, k)    { FIELD_OUT_ID, AT(type, member), .arg = (k) }
#define OUT_FD(type, member, k)    { FIELD_OUT_FD, AT(type, member), .arg = (k) }

#define ROW(number, type, last_min, w, ...)                                                        \
	{ .name = #number, .cmd = (number), .size = sizeof(type),                                  \
	  .min_size = offsetof(type, last_min) + sizeof(((type *)NULL)->last_min),                 \
	  .weight = (w), .fields = { __VA_ARGS__ } }

/* __VA_ARGS__ may be empty but for what every op has */
#define TEST(number, w, ...)                                                                       \
	{ .name = #number, .cmd = IOMMU_TEST_CMD, .size = sizeof(struct iommu_test_cmd),           \
	  .min_size = sizeof(struct iommu_test_cmd) - 4, .op = (number), .weight = (w),            \
	  .fields = { __VA_ARGS__ } }

typedef struct iommu_test_cmd T;

static const u32 page_sizes[] = { PAGE_SIZE, MOCK_PAGE_SIZE, MOCK_HUGE_PAGE_SIZE, 1, 3, 1U << 30,
				  0 };
static const u32 hwpt_types[] = { IOMMU_HWPT_DATA_SELFTEST, IOMMU_HWPT_DATA_VTD_S1,
				  IOMMU_HWPT_DATA_NONE };
static const u32 info_types[] = { IOMMU_HW_INFO_TYPE_SELFTEST, 1, 77, 0 };
static const u32 invalidate_types[] = { IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
					IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID, 1, 0 };
static const u32 viommu_types[] = { IOMMU_VIOMMU_TYPE_SELFTEST, 1, 0xdead, 0 };
static const u32 event_types[] = { IOMMU_VEVENTQ_TYPE_SELFTEST, 1, 2, 0 };
static const u32 queue_types[] = { IOMMU_HW_QUEUE_TYPE_SELFTEST, 1, 0 };
static const u32 depths[] = { 2, 1, 16, 1U << 19, (1U << 19) + 1, UINT32_MAX, 0 };
static const u32 limits[] = { 65536, 4096, 16, 12, 11, UINT32_MAX, 0 };
static const u32 caches[] = { IOMMU_TEST_DEV_CACHE_DEFAULT, IOMMU_TEST_IOTLB_DEFAULT, 0 };
static const u32 extensions[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, UINT32_MAX, 0 };
static const u32 api_version[] = { 0 };
static const u32 argsz_more[] = { sizeof(struct vfio_iommu_type1_info), 64, 96, 200, 1, UINT32_MAX,
				  0 };
static const u32 files_lengths[] = { PAGE_SIZE, 2 * PAGE_SIZE, 64 * PAGE_SIZE, 100, 1U << 21,
				     1U << 31, 0 };
static const u32 dev_flags[] = { MOCK_FLAGS_DEVICE_PASID, MOCK_FLAGS_DEVICE_NO_DIRTY, 2, 5,
				 UINT32_MAX, 0 };
static const u32 access_flags[] = { MOCK_ACCESS_RW_WRITE, MOCK_ACCESS_RW_SLOW_PATH,
				    MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH, 2, UINT32_MAX,
				    0 };
static const u32 pages_flags[] = { MOCK_FLAGS_ACCESS_WRITE, MOCK_FLAGS_ACCESS_SYZ,
				   MOCK_FLAGS_ACCESS_SYZ | MOCK_FLAGS_ACCESS_WRITE, UINT32_MAX, 0 };

const struct call calls[] = {
	ROW(IOMMU_DESTROY, struct iommu_destroy, id, 3,
	    ID(struct iommu_destroy, id, KIND_STDEV)),
	ROW(IOMMU_DESTROY, struct iommu_destroy, id, 3,
	    ID(struct iommu_destroy, id, KIND_HWPT)),
	ROW(IOMMU_DESTROY, struct iommu_destroy, id, 2,
	    ID(struct iommu_destroy, id, KIND_IOAS)),
	ROW(IOMMU_DESTROY, struct iommu_destroy, id, 2,
	    ID(struct iommu_destroy, id, KIND_VIOMMU)),
	ROW(IOMMU_DESTROY, struct iommu_destroy, id, 2,
	    ID(struct iommu_destroy, id, KIND_VDEVICE)),
	ROW(IOMMU_DESTROY, struct iommu_destroy, id, 2,
	    ID(struct iommu_destroy, id, KIND_HW_QUEUE)),
	ROW(IOMMU_DESTROY, struct iommu_destroy, id, 2,
	    ID(struct iommu_destroy, id, KIND_VEVENTQ)),
	ROW(IOMMU_DESTROY, struct iommu_destroy, id, 2,
	    ID(struct iommu_destroy, id, KIND_FAULT)),
	ROW(IOMMU_IOAS_ALLOC, struct iommu_ioas_alloc, out_ioas_id, 5,
	    FLAGS(struct iommu_ioas_alloc, flags, 0),
	    OUT_ID(struct iommu_ioas_alloc, out_ioas_id, KIND_IOAS)),
	ROW(IOMMU_IOAS_ALLOW_IOVAS, struct iommu_ioas_allow_iovas, allowed_iovas, 2,
	    ID(struct iommu_ioas_allow_iovas, ioas_id, KIND_IOAS),
	    BLOB_NUM(struct iommu_ioas_allow_iovas, num_iovas),
	    ZERO(struct iommu_ioas_allow_iovas, __reserved),
	    BLOB(struct iommu_ioas_allow_iovas, allowed_iovas, BLOB_RANGES)),
	ROW(IOMMU_IOAS_COPY, struct iommu_ioas_copy, src_iova, 6,
	    FLAGS(struct iommu_ioas_copy, flags, 7),
	    ID(struct iommu_ioas_copy, dst_ioas_id, KIND_IOAS),
	    ID(struct iommu_ioas_copy, src_ioas_id, KIND_IOAS),
	    LENGTH(struct iommu_ioas_copy, length),
	    IOVA(struct iommu_ioas_copy, dst_iova),
	    IOVA(struct iommu_ioas_copy, src_iova)),
	ROW(IOMMU_IOAS_IOVA_RANGES, struct iommu_ioas_iova_ranges, out_iova_alignment, 2,
	    ID(struct iommu_ioas_iova_ranges, ioas_id, KIND_IOAS),
	    BLOB_NUM(struct iommu_ioas_iova_ranges, num_iovas),
	    ZERO(struct iommu_ioas_iova_ranges, __reserved),
	    BLOB(struct iommu_ioas_iova_ranges, allowed_iovas, BLOB_BUFFER)),
	ROW(IOMMU_IOAS_MAP, struct iommu_ioas_map, iova, 29,
	    FLAGS(struct iommu_ioas_map, flags, 7),
	    ID(struct iommu_ioas_map, ioas_id, KIND_IOAS),
	    ZERO(struct iommu_ioas_map, __reserved),
	    VA(struct iommu_ioas_map, user_va),
	    LENGTH(struct iommu_ioas_map, length),
	    IOVA(struct iommu_ioas_map, iova)),
	ROW(IOMMU_IOAS_UNMAP, struct iommu_ioas_unmap, length, 10,
	    ID(struct iommu_ioas_unmap, ioas_id, KIND_IOAS),
	    IOVA(struct iommu_ioas_unmap, iova),
	    LENGTH(struct iommu_ioas_unmap, length)),
	ROW(IOMMU_OPTION, struct iommu_option, val64, 2,
	    SMALL(struct iommu_option, option_id, 3),
	    SMALL(struct iommu_option, op, 3),
	    ZERO(struct iommu_option, __reserved),
	    ID(struct iommu_option, object_id, KIND_IOAS),
	    SMALL(struct iommu_option, val64, 3)),
	ROW(IOMMU_OPTION, struct iommu_option, val64, 1,
	    SMALL(struct iommu_option, option_id, 2),
	    SMALL(struct iommu_option, op, 2),
	    ZERO(struct iommu_option, object_id),
	    SMALL(struct iommu_option, val64, 3)),
	ROW(IOMMU_VFIO_IOAS, struct iommu_vfio_ioas, __reserved, 2,
	    ID(struct iommu_vfio_ioas, ioas_id, KIND_IOAS),
	    SMALL(struct iommu_vfio_ioas, op, 4),
	    ZERO(struct iommu_vfio_ioas, __reserved)),
	ROW(IOMMU_HWPT_ALLOC, struct iommu_hwpt_alloc, __reserved, 8,
	    FLAGS(struct iommu_hwpt_alloc, flags, 0xb),
	    ID(struct iommu_hwpt_alloc, dev_id, KIND_DEVICE),
	    ID(struct iommu_hwpt_alloc, pt_id, KIND_IOAS),
	    OUT_ID(struct iommu_hwpt_alloc, out_hwpt_id, KIND_HWPT)),
	ROW(IOMMU_HWPT_ALLOC, struct iommu_hwpt_alloc, __reserved, 8,
	    FLAGS(struct iommu_hwpt_alloc, flags, 0xf),
	    ID(struct iommu_hwpt_alloc, dev_id, KIND_DEVICE),
	    PT(struct iommu_hwpt_alloc, pt_id),
	    OUT_ID(struct iommu_hwpt_alloc, out_hwpt_id, KIND_HWPT),
	    ZERO(struct iommu_hwpt_alloc, __reserved),
	    VALUE(struct iommu_hwpt_alloc, data_type, hwpt_types),
	    BLOB_LEN(struct iommu_hwpt_alloc, data_len, sizeof(struct iommu_hwpt_selftest)),
	    BLOB(struct iommu_hwpt_alloc, data_uptr, BLOB_HWPT),
	    ID(struct iommu_hwpt_alloc, fault_id, KIND_FAULT)),
	ROW(IOMMU_GET_HW_INFO, struct iommu_hw_info, __reserved, 3,
	    FLAGS(struct iommu_hw_info, flags, 1),
	    ID(struct iommu_hw_info, dev_id, KIND_DEVICE),
	    BLOB_LEN(struct iommu_hw_info, data_len, sizeof(struct iommu_test_hw_info)),
	    BLOB(struct iommu_hw_info, data_uptr, BLOB_BUFFER),
	    VALUE(struct iommu_hw_info, in_data_type, info_types)),
	ROW(IOMMU_HWPT_SET_DIRTY_TRACKING, struct iommu_hwpt_set_dirty_tracking, __reserved, 3,
	    FLAGS(struct iommu_hwpt_set_dirty_tracking, flags, 1),
	    ID(struct iommu_hwpt_set_dirty_tracking, hwpt_id, KIND_HWPT),
	    ZERO(struct iommu_hwpt_set_dirty_tracking, __reserved)),
	ROW(IOMMU_HWPT_GET_DIRTY_BITMAP, struct iommu_hwpt_get_dirty_bitmap, data, 7,
	    ID(struct iommu_hwpt_get_dirty_bitmap, hwpt_id, KIND_HWPT),
	    FLAGS(struct iommu_hwpt_get_dirty_bitmap, flags, 1),
	    ZERO(struct iommu_hwpt_get_dirty_bitmap, __reserved),
	    IOVA(struct iommu_hwpt_get_dirty_bitmap, iova),
	    LENGTH(struct iommu_hwpt_get_dirty_bitmap, length),
	    VALUE(struct iommu_hwpt_get_dirty_bitmap, page_size, page_sizes),
	    BLOB(struct iommu_hwpt_get_dirty_bitmap, data, BLOB_BUFFER)),
	ROW(IOMMU_HWPT_INVALIDATE, struct iommu_hwpt_invalidate, __reserved, 3,
	    ID(struct iommu_hwpt_invalidate, hwpt_id, KIND_HWPT),
	    BLOB(struct iommu_hwpt_invalidate, data_uptr, BLOB_INVALIDATE),
	    VALUE(struct iommu_hwpt_invalidate, data_type, invalidate_types),
	    BLOB_LEN(struct iommu_hwpt_invalidate, entry_len,
		     sizeof(struct iommu_hwpt_invalidate_selftest)),
	    BLOB_NUM(struct iommu_hwpt_invalidate, entry_num),
	    ZERO(struct iommu_hwpt_invalidate, __reserved)),
	ROW(IOMMU_HWPT_INVALIDATE, struct iommu_hwpt_invalidate, __reserved, 3,
	    ID(struct iommu_hwpt_invalidate, hwpt_id, KIND_VIOMMU),
	    BLOB(struct iommu_hwpt_invalidate, data_uptr, BLOB_INVALIDATE),
	    VALUE(struct iommu_hwpt_invalidate, data_type, invalidate_types),
	    BLOB_LEN(struct iommu_hwpt_invalidate, entry_len,
		     sizeof(struct iommu_viommu_invalidate_selftest)),
	    BLOB_NUM(struct iommu_hwpt_invalidate, entry_num),
	    ZERO(struct iommu_hwpt_invalidate, __reserved)),
	ROW(IOMMU_FAULT_QUEUE_ALLOC, struct iommu_fault_alloc, out_fault_fd, 2,
	    FLAGS(struct iommu_fault_alloc, flags, 0),
	    OUT_ID(struct iommu_fault_alloc, out_fault_id, KIND_FAULT),
	    OUT_FD(struct iommu_fault_alloc, out_fault_fd, FD_FAULT)),
	ROW(IOMMU_IOAS_MAP_FILE, struct iommu_ioas_map_file, iova, 8,
	    FLAGS(struct iommu_ioas_map_file, flags, 7),
	    ID(struct iommu_ioas_map_file, ioas_id, KIND_IOAS),
	    FILE_FD(struct iommu_ioas_map_file, fd),
	    LENGTH(struct iommu_ioas_map_file, start),
	    LENGTH(struct iommu_ioas_map_file, length),
	    IOVA(struct iommu_ioas_map_file, iova)),
	ROW(IOMMU_VIOMMU_ALLOC, struct iommu_viommu_alloc, out_viommu_id, 8,
	    FLAGS(struct iommu_viommu_alloc, flags, 0),
	    VALUE(struct iommu_viommu_alloc, type, viommu_types),
	    ID(struct iommu_viommu_alloc, dev_id, KIND_DEVICE),
	    ID(struct iommu_viommu_alloc, hwpt_id, KIND_HWPT),
	    OUT_ID(struct iommu_viommu_alloc, out_viommu_id, KIND_VIOMMU),
	    BLOB_LEN(struct iommu_viommu_alloc, data_len, sizeof(struct iommu_viommu_selftest)),
	    BLOB(struct iommu_viommu_alloc, data_uptr, BLOB_VIOMMU)),
	ROW(IOMMU_VDEVICE_ALLOC, struct iommu_vdevice_alloc, virt_id, 7,
	    ID(struct iommu_vdevice_alloc, viommu_id, KIND_VIOMMU),
	    ID(struct iommu_vdevice_alloc, dev_id, KIND_DEVICE),
	    OUT_ID(struct iommu_vdevice_alloc, out_vdevice_id, KIND_VDEVICE),
	    SMALL(struct iommu_vdevice_alloc, virt_id, 4)),
	ROW(IOMMU_IOAS_CHANGE_PROCESS, struct iommu_ioas_change_process, __reserved, 1,
	    ZERO(struct iommu_ioas_change_process, __reserved)),
	ROW(IOMMU_VEVENTQ_ALLOC, struct iommu_veventq_alloc, out_veventq_fd, 4,
	    FLAGS(struct iommu_veventq_alloc, flags, 0),
	    ID(struct iommu_veventq_alloc, viommu_id, KIND_VIOMMU),
	    VALUE(struct iommu_veventq_alloc, type, event_types),
	    VALUE(struct iommu_veventq_alloc, veventq_depth, depths),
	    OUT_ID(struct iommu_veventq_alloc, out_veventq_id, KIND_VEVENTQ),
	    OUT_FD(struct iommu_veventq_alloc, out_veventq_fd, FD_VEVENTQ),
	    ZERO(struct iommu_veventq_alloc, __reserved)),
	ROW(IOMMU_HW_QUEUE_ALLOC, struct iommu_hw_queue_alloc, length, 6,
	    FLAGS(struct iommu_hw_queue_alloc, flags, 0),
	    ID(struct iommu_hw_queue_alloc, viommu_id, KIND_VIOMMU),
	    VALUE(struct iommu_hw_queue_alloc, type, queue_types),
	    SMALL(struct iommu_hw_queue_alloc, index, 3),
	    OUT_ID(struct iommu_hw_queue_alloc, out_hw_queue_id, KIND_HW_QUEUE),
	    IOVA(struct iommu_hw_queue_alloc, nesting_parent_iova),
	    LENGTH(struct iommu_hw_queue_alloc, length)),

	TEST(IOMMU_TEST_OP_ADD_RESERVED, 1,
	     ID(T, id, KIND_IOAS), IOVA(T, add_reserved.start), LENGTH(T, add_reserved.length)),
	TEST(IOMMU_TEST_OP_MOCK_DOMAIN, 4,
	     PT(T, id), OUT_ID(T, mock_domain.out_stdev_id, KIND_STDEV),
	     OUT_ID(T, mock_domain.out_hwpt_id, KIND_HWPT),
	     OUT_ID(T, mock_domain.out_idev_id, KIND_DEVICE)),
	TEST(IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, 8,
	     PT(T, id), OUT_ID(T, mock_domain_flags.out_stdev_id, KIND_STDEV),
	     OUT_ID(T, mock_domain_flags.out_hwpt_id, KIND_HWPT),
	     OUT_ID(T, mock_domain_flags.out_idev_id, KIND_DEVICE),
	     VALUE(T, mock_domain_flags.dev_flags, dev_flags)),
	TEST(IOMMU_TEST_OP_MD_CHECK_MAP, 3,
	     ID(T, id, KIND_HWPT), IOVA(T, check_map.iova), LENGTH(T, check_map.length),
	     MAPPED_VA(T, check_map.uptr)),
	TEST(IOMMU_TEST_OP_MD_CHECK_REFS, 1,
	     LENGTH(T, check_refs.length), VA(T, check_refs.uptr), SMALL(T, check_refs.refs, 4)),
	TEST(IOMMU_TEST_OP_CREATE_ACCESS, 5,
	     ID(T, id, KIND_IOAS), OUT_FD(T, create_access.out_access_fd, FD_ACCESS),
	     FLAGS(T, create_access.flags, 1)),
	TEST(IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, 5,
	     FD(T, id, FD_ACCESS), SMALL(T, destroy_access_pages.access_pages_id, 6)),
	TEST(IOMMU_TEST_OP_ACCESS_PAGES, 8,
	     FD(T, id, FD_ACCESS), VALUE(T, access_pages.flags, pages_flags),
	     IOVA(T, access_pages.iova), LENGTH(T, access_pages.length),
	     MAYBE_VA(T, access_pages.uptr)),
	TEST(IOMMU_TEST_OP_ACCESS_RW, 10,
	     FD(T, id, FD_ACCESS), IOVA(T, access_rw.iova), LENGTH(T, access_rw.length),
	     BLOB(T, access_rw.uptr, BLOB_BUFFER), VALUE(T, access_rw.flags, access_flags)),
	TEST(IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, 1,
	     VALUE(T, memory_limit.limit, limits)),
	TEST(IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, 10,
	     ID(T, id, KIND_STDEV), PT(T, mock_domain_replace.pt_id)),
	TEST(IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, 3,
	     FD(T, id, FD_ACCESS), ID(T, access_replace_ioas.ioas_id, KIND_IOAS)),
	TEST(IOMMU_TEST_OP_DIRTY, 5,
	     ID(T, id, KIND_HWPT), FLAGS(T, dirty.flags, 0), IOVA(T, dirty.iova),
	     LENGTH(T, dirty.length), VALUE(T, dirty.page_size, page_sizes),
	     BLOB(T, dirty.uptr, BLOB_BUFFER)),
	TEST(IOMMU_TEST_OP_MD_CHECK_IOTLB, 1,
	     ID(T, id, KIND_HWPT), SMALL(T, check_iotlb.id, 5),
	     VALUE(T, check_iotlb.iotlb, caches)),
	TEST(IOMMU_TEST_OP_TRIGGER_IOPF, 8,
	     ID(T, trigger_iopf.dev_id, KIND_DEVICE), PASID(T, trigger_iopf.pasid),
	     SMALL(T, trigger_iopf.grpid, 4), SMALL(T, trigger_iopf.perm, 16),
	     IOVA(T, trigger_iopf.addr)),
	TEST(IOMMU_TEST_OP_DEV_CHECK_CACHE, 1,
	     ID(T, id, KIND_DEVICE), SMALL(T, check_dev_cache.id, 5),
	     VALUE(T, check_dev_cache.cache, caches)),
	TEST(IOMMU_TEST_OP_TRIGGER_VEVENT, 8,
	     ID(T, trigger_vevent.dev_id, KIND_DEVICE)),
	TEST(IOMMU_TEST_OP_PASID_ATTACH, 3,
	     ID(T, id, KIND_STDEV), PASID(T, pasid_attach.pasid), PT(T, pasid_attach.pt_id)),
	TEST(IOMMU_TEST_OP_PASID_REPLACE, 3,
	     ID(T, id, KIND_STDEV), PASID(T, pasid_replace.pasid), PT(T, pasid_replace.pt_id)),
	TEST(IOMMU_TEST_OP_PASID_DETACH, 2,
	     ID(T, id, KIND_STDEV), PASID(T, pasid_detach.pasid)),
	TEST(IOMMU_TEST_OP_PASID_CHECK_HWPT, 1,
	     ID(T, id, KIND_STDEV), PASID(T, pasid_check.pasid),
	     ID(T, pasid_check.hwpt_id, KIND_HWPT)),
	TEST(IOMMU_TEST_OP_DMABUF_GET, 2,
	     VALUE(T, dmabuf_get.length, files_lengths), FLAGS(T, dmabuf_get.open_flags, 02000003)),
	TEST(IOMMU_TEST_OP_DMABUF_REVOKE, 2,
	     FD(T, dmabuf_revoke.dmabuf_fd, FD_DMABUF), SMALL(T, dmabuf_revoke.revoked, 2)),

	{ .name = "VFIO_GET_API_VERSION", .cmd = VFIO_GET_API_VERSION, .weight = 1,
	  .values = api_version },
	{ .name = "VFIO_CHECK_EXTENSION", .cmd = VFIO_CHECK_EXTENSION, .weight = 1,
	  .values = extensions },
	{ .name = "VFIO_SET_IOMMU", .cmd = VFIO_SET_IOMMU, .weight = 1, .values = extensions },
	ROW(VFIO_IOMMU_GET_INFO, struct vfio_iommu_type1_info, pad, 2,
	    VALUE(struct vfio_iommu_type1_info, argsz, argsz_more)),
	ROW(VFIO_IOMMU_MAP_DMA, struct vfio_iommu_type1_dma_map, size, 4,
	    FLAGS(struct vfio_iommu_type1_dma_map, flags, 7),
	    VA(struct vfio_iommu_type1_dma_map, vaddr),
	    IOVA(struct vfio_iommu_type1_dma_map, iova),
	    LENGTH(struct vfio_iommu_type1_dma_map, size)),
	ROW(VFIO_IOMMU_UNMAP_DMA, struct vfio_iommu_type1_dma_unmap, size, 3,
	    FLAGS(struct vfio_iommu_type1_dma_unmap, flags, 7),
	    IOVA(struct vfio_iommu_type1_dma_unmap, iova),
	    LENGTH(struct vfio_iommu_type1_dma_unmap, size)),
	ROW(VFIO_IOMMU_UNMAP_DMA, struct vfio_iommu_type1_dma_unmap, size, 1,
	    SMALL(struct vfio_iommu_type1_dma_unmap, flags, 4)),
};

/* clang-format on */

unsigned int call_count(void)
{
	return ARRAY_SIZE(calls);
}

const char *call_name(unsigned int row)
{
	return calls[row].name;
}

unsigned int call_pick(struct caller *caller)
{
	u32 n = (u32)choice_raw(&caller->choice, 1);
	unsigned int row = 0;

	/* The weights are about as many as a byte has values. */
	for (;; row = (row + 1) % ARRAY_SIZE(calls)) {
		if (n < calls[row].weight)
			return row;
		n -= calls[row].weight;
	}
}
