/* SPDX-License-Identifier: MIT */
/*
 * The real command table against the numbers and sizes of the kernel, written
 * out here once more.  The handlers it names are replaced: only the table runs.
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdarg.h>
#include <cmocka.h>

#include "core/object.h"
#include "core/ucmd.h"
#include "ioas/access.h"
#include "ioas/ioas.h"

#define HANDLER(name)                                                                              \
	int name(struct iommufd_ucmd *ucmd)                                                        \
	{                                                                                          \
		return -ENOSYS;                                                                    \
	}
HANDLER(iommufd_ioas_alloc_ioctl)
HANDLER(iommufd_ioas_allow_iovas_ioctl)
HANDLER(iommufd_ioas_copy_ioctl)
HANDLER(iommufd_ioas_iova_ranges_ioctl)
HANDLER(iommufd_ioas_map_ioctl)
HANDLER(iommufd_ioas_map_file_ioctl)
HANDLER(iommufd_ioas_unmap_ioctl)
HANDLER(iommufd_ioas_change_process_ioctl)
HANDLER(iommufd_vfio_ioas_ioctl)
HANDLER(iommufd_hwpt_alloc_ioctl)
HANDLER(iommufd_hwpt_set_dirty_tracking_ioctl)
HANDLER(iommufd_hwpt_get_dirty_bitmap_ioctl)
HANDLER(iommufd_get_hw_info_ioctl)
HANDLER(iommufd_fault_alloc_ioctl)
HANDLER(iommufd_hwpt_invalidate_ioctl)
HANDLER(iommufd_viommu_alloc_ioctl)
HANDLER(iommufd_vdevice_alloc_ioctl)
HANDLER(iommufd_veventq_alloc_ioctl)
HANDLER(iommufd_hw_queue_alloc_ioctl)

int iommufd_ioas_option_huge_pages(struct iommufd_ioas *ioas, void *cmd)
{
	return -ENOSYS;
}

long iommufd_vfio_ioctl(struct iommufd_ctx *ctx, unsigned int cmd, u64 arg)
{
	return -ENOTTY;
}

const char *ioas_check(struct iommufd_ioas *ioas, char *buf, size_t size)
{
	return NULL;
}

void ioas_destroy(struct iommufd_object *obj)
{
}

void access_destroy_object(struct iommufd_object *obj)
{
}

void device_destroy(struct iommufd_object *obj)
{
}

void hwpt_paging_destroy(struct iommufd_object *obj)
{
}

void hwpt_paging_abort(struct iommufd_object *obj)
{
}

void device_pre_destroy(struct iommufd_object *obj)
{
}

void hwpt_nested_destroy(struct iommufd_object *obj)
{
}

void viommu_destroy(struct iommufd_object *obj)
{
}

void vdevice_destroy(struct iommufd_object *obj)
{
}

void vdevice_abort(struct iommufd_object *obj)
{
}

void veventq_destroy(struct iommufd_object *obj)
{
}

void hw_queue_destroy(struct iommufd_object *obj)
{
}

const char *viommu_check(struct iommufd_object *obj, char *buf, size_t size)
{
	return NULL;
}

const char *veventq_check(struct iommufd_object *obj, char *buf, size_t size)
{
	return NULL;
}

void fault_destroy(struct iommufd_object *obj)
{
}

const char *fault_check(struct iommufd_object *obj, char *buf, size_t size)
{
	return NULL;
}

static const struct {
	unsigned int num;
	u32 min_size;
	u32 size;
} kernel[] = {
	{ 0x3b80, 8, 8 },    { 0x3b81, 12, 12 },  { 0x3b82, 24, 24 }, { 0x3b83, 40, 40 },
	{ 0x3b84, 32, 32 },  { 0x3b85, 40, 40 },  { 0x3b86, 24, 24 }, { 0x3b87, 24, 24 },
	{ 0x3b88, 12, 12 },  { 0x3b89, 24, 48 },  { 0x3b8a, 32, 40 }, { 0x3b8b, 16, 16 },
	{ 0x3b8c, 48, 48 },  { 0x3b8d, 32, 32 },  { 0x3b8e, 16, 16 }, { 0x3b8f, 40, 40 },
	{ 0x3b90, 24, 40 },  { 0x3b91, 24, 24 },  { 0x3b92, 8, 8 },   { 0x3b93, 28, 32 },
	{ 0x3b94, 40, 40 },  { 0x3ba0, 68, 72 },
};

static void every_command_has_the_kernels_number_and_sizes(void **state)
{
	u32 rows = 0;

	assert_int_equal(ucmd_table_size, 0x21);
	for (u32 slot = 0; slot < ucmd_table_size; slot++)
		rows += ucmd_table[slot].ioctl_num != 0;
	assert_int_equal(rows, ARRAY_SIZE(kernel));
	for (u32 i = 0; i < ARRAY_SIZE(kernel); i++) {
		const struct ucmd_row *row = &ucmd_table[kernel[i].num - 0x3b80];

		assert_int_equal(row->ioctl_num, kernel[i].num);
		assert_int_equal(row->size, kernel[i].size);
		assert_int_equal(row->min_size, kernel[i].min_size);
		assert_true(row->size <= UCMD_SIZE_MAX);
	}
}

static _Atomic u32 selftest_ends;

static void selftest_end(struct iommufd_object *obj)
{
	atomic_fetch_add(&selftest_ends, 1);
}

static void a_test_object_ends_as_its_model_says(void **state)
{
	struct selftest_object test_obj = { .obj.type = IOMMUFD_OBJ_SELFTEST };

	object_types[IOMMUFD_OBJ_SELFTEST].destroy(&test_obj.obj);
	assert_int_equal(selftest_ends, 0);
	test_obj.destroy = selftest_end;
	object_types[IOMMUFD_OBJ_SELFTEST].destroy(&test_obj.obj);
	assert_int_equal(selftest_ends, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_has_the_kernels_number_and_sizes),
		cmocka_unit_test(a_test_object_ends_as_its_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
