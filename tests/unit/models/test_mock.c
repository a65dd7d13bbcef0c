/* SPDX-License-Identifier: MIT */
/* The mock IOMMU as a program sees it: devices, automatic hwpts, translations, reservations. */
#include <string.h>

#include "rig.h"

#define BASE MOCK_APERTURE_START
#define PG 4096UL

static u32 ioas;

static int begin(void **state)
{
	int rc = rig_begin(state);

	ioas = rc ? 0 : rig_ioas();
	return !ioas;
}

/* ---- making and ending devices ---- */

static void a_device_gets_a_stdev_an_idev_and_a_hwpt(void **state)
{
	struct mock_ids ids = rig_mock(ioas);

	assert_int_equal(ids.stdev, ioas + 1);
	assert_int_equal(ids.idev, ioas + 2);
	assert_int_equal(ids.hwpt, ioas + 3);
}

static void two_devices_share_one_automatic_hwpt(void **state)
{
	struct mock_ids one = rig_mock(ioas), two = rig_mock(ioas);

	assert_int_equal(one.hwpt, two.hwpt);
	assert_int_equal(rig_destroy(one.stdev), 0);
	assert_int_equal(rig_destroy(one.hwpt), -EBUSY);
	assert_int_equal(rig_destroy(two.stdev), 0);
	assert_int_equal(rig_destroy(two.hwpt), -ENOENT);
	assert_int_equal(rig_destroy(ioas), 0);
}

static void objects_in_use_are_busy(void **state)
{
	struct mock_ids ids = rig_mock(ioas);

	assert_int_equal(rig_destroy(ids.idev), -EBUSY);
	assert_int_equal(rig_destroy(ids.hwpt), -EBUSY);
	assert_int_equal(rig_destroy(ioas), -EBUSY);
}

static void a_device_can_start_in_the_hwpt_of_another(void **state)
{
	struct mock_ids one = rig_mock(ioas), two = rig_mock(one.hwpt);

	assert_int_equal(one.hwpt, two.hwpt);
	assert_int_equal(rig_destroy(one.stdev), 0);
	assert_int_equal(rig_destroy(two.stdev), 0);
	assert_int_equal(rig_destroy(two.hwpt), -ENOENT);
}

static void a_device_that_can_not_be_made_leaves_no_id(void **state)
{
	struct mock_ids ids = rig_mock(ioas), more;

	assert_int_equal(rig_mock_domain(4711, 0, &more), -ENOENT);
	assert_int_equal(rig_mock_domain(ids.stdev, 0, &more), -EINVAL);
	assert_int_equal(rig_mock_domain(ids.idev, 0, &more), -EINVAL);
	assert_int_equal(rig_mock_domain(ioas, 1 << 1, &more), -EINVAL);
	assert_int_equal(rig_ioas(), ids.hwpt + 1);
}

static void closing_with_devices_attached_ends_everything(void **state)
{
	struct mock_ids ids = rig_mock(ioas);
	u32 hwpt;

	assert_int_equal(rig_map(ioas, rig_memory(4 * PG), 4 * PG, BASE), 0);
	assert_int_equal(rig_hwpt(ids.idev, ioas, 0, &hwpt), 0);
	assert_int_equal(rig_replace(ids.stdev, &hwpt), 0);
	/* rig_end() says whether anything is left */
}

/* ---- replace ---- */

static void replace_moves_a_device_and_ends_the_old_automatic_hwpt(void **state)
{
	struct mock_ids ids = rig_mock(ioas);
	u32 other = rig_ioas(), pt = other;

	assert_int_equal(rig_replace(ids.stdev, &pt), 0);
	assert_int_not_equal(pt, ids.hwpt);
	assert_int_equal(rig_destroy(ids.hwpt), -ENOENT);
	assert_int_equal(rig_destroy(ioas), 0);
	assert_int_equal(rig_destroy(other), -EBUSY);
}

static void replace_by_the_same_ioas_changes_nothing(void **state)
{
	struct mock_ids ids = rig_mock(ioas);
	u32 pt = ioas;

	assert_int_equal(rig_replace(ids.stdev, &pt), 0);
	assert_int_equal(pt, ids.hwpt);
	assert_int_equal(rig_destroy(ids.stdev), 0);
}

static void replace_to_something_that_is_no_page_table_fails(void **state)
{
	struct mock_ids ids = rig_mock(ioas);
	u32 pt = 4711;

	assert_int_equal(rig_replace(ids.stdev, &pt), -ENOENT);
	pt = ids.idev;
	assert_int_equal(rig_replace(ids.stdev, &pt), -EINVAL);
	pt = ioas;
	assert_int_equal(rig_replace(ids.idev, &pt), -ENOENT);
	assert_int_equal(rig_destroy(ids.hwpt), -EBUSY);
}

/* ---- translation ---- */

static void mappings_are_translated_before_and_after_a_device_comes(void **state)
{
	char *mem = rig_memory(16 * PG);
	struct mock_ids ids;

	memset(mem, 1, 16 * PG);
	assert_int_equal(rig_map(ioas, mem, 8 * PG, BASE), 0);
	assert_int_equal(rig_check_refs(mem, 16 * PG, 0), 0);
	ids = rig_mock(ioas);
	assert_int_equal(rig_map(ioas, mem + 8 * PG, 8 * PG, BASE + 8 * PG), 0);
	assert_int_equal(rig_check_map(ids.hwpt, BASE, 16 * PG, mem), 0);
	assert_int_equal(rig_check_refs(mem, 16 * PG, 1), 0);
	assert_int_equal(rig_check_refs(mem, 16 * PG, 2), -EIO);
	assert_int_equal(rig_destroy(ids.stdev), 0);
	assert_int_equal(rig_check_refs(mem, 16 * PG, 0), 0);
}

static void half_pages_can_be_mapped(void **state)
{
	struct mock_ids ids = rig_mock(ioas);
	char *mem = rig_memory(4 * PG);

	assert_int_equal(rig_map(ioas, mem + 2048, 3 * 2048, BASE + 2048), 0);
	assert_int_equal(rig_check_map(ids.hwpt, BASE + 2048, 3 * 2048, mem + 2048), 0);
	assert_int_equal(rig_check_map(ids.hwpt, BASE, 2048, mem), -EINVAL);
	assert_int_equal(rig_unmap(ioas, BASE + 2048, 3 * 2048), 0);
	assert_int_equal(rig_check_map(ids.hwpt, BASE + 2048, 2048, mem + 2048), -EINVAL);
}

static void a_translation_check_sees_the_wrong_page(void **state)
{
	struct mock_ids ids = rig_mock(ioas);
	char *mem = rig_memory(4 * PG);

	assert_int_equal(rig_map(ioas, mem, 2 * PG, BASE), 0);
	assert_int_equal(rig_check_map(ids.hwpt, BASE, PG, mem + PG), -EINVAL);
	assert_int_equal(rig_check_map(ids.hwpt, BASE + 1, PG, mem), -EINVAL);
	assert_int_equal(rig_check_map(ids.hwpt, BASE, PG, mem + 1), -EINVAL);
	assert_int_equal(rig_check_map(ids.hwpt, BASE, PG, (void *)-4096L), -EINVAL);
	assert_int_equal(rig_check_map(ids.hwpt, BASE, PG, (void *)4096), -EFAULT);
	assert_int_equal(rig_check_map(ioas, BASE, PG, mem), -ENOENT);
}

static void the_aperture_limits_the_ioas_while_a_device_is_there(void **state)
{
	char *mem = rig_memory(PG);
	struct mock_ids ids = rig_mock(ioas);

	assert_int_equal(rig_map(ioas, mem, PG, BASE - PG), -EINVAL);
	assert_int_equal(rig_map(ioas, mem, PG, MOCK_APERTURE_LAST + 1UL), -EINVAL);
	assert_int_equal(rig_map(ioas, mem, PG, MOCK_APERTURE_LAST + 1UL - PG), 0);
	assert_int_equal(rig_unmap(ioas, 0, UINT64_MAX), 0);
	assert_int_equal(rig_destroy(ids.stdev), 0);
	assert_int_equal(rig_map(ioas, mem, PG, 0), 0);
	assert_int_equal(rig_mock_domain(ioas, 0, &ids), -EADDRINUSE);
}

static void a_huge_hwpt_translates_from_zero(void **state)
{
	char *mem = rig_memory(4 << 20);
	u32 other = rig_ioas(), hwpt;
	struct mock_ids ids = rig_mock(ioas);

	assert_int_equal(rig_hwpt_typed(ids.idev, other, 0, MOCK_IOMMUPT_HUGE, &hwpt), 0);
	assert_int_equal(rig_map(other, mem, 4 << 20, 0), 0);
	assert_int_equal(rig_check_map(hwpt, 0, 4 << 20, mem), 0);
	assert_int_equal(rig_check_map(hwpt, 2048, 2048, mem + 2048), -EINVAL);
	assert_int_equal(rig_map(other, mem, 2048, 8 << 20), -EINVAL);
	assert_int_equal(rig_map(other, mem, PG, 1UL << 38), -EINVAL);
	assert_int_equal(rig_map(other, mem, PG, (1UL << 38) - PG), 0);
}

static void a_pin_count_is_asked_of_whole_pages(void **state)
{
	char *mem = rig_memory(2 * PG);

	assert_int_equal(rig_check_refs(mem + 1, PG, 0), -EINVAL);
	assert_int_equal(rig_check_refs(mem, PG + 1, 0), -EINVAL);
	assert_int_equal(rig_check_refs((void *)-4096L, PG, 0), -EINVAL);
	assert_int_equal(rig_check_refs((void *)4096, PG, 0), -EFAULT);
	assert_int_equal(rig_check_refs(mem, 2 * PG, 0), 0);
}

/* ---- reservations, limits, unknown operations ---- */

static int add_reserved(u32 id, u64 start, u64 length)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_ADD_RESERVED, .id = id,
				      .add_reserved = { .start = start, .length = length } };

	return rig_test(&cmd);
}

static void reserved_iova_can_not_be_mapped(void **state)
{
	char *mem = rig_memory(PG);

	assert_int_equal(add_reserved(ioas, 0x10000, 0), -EINVAL);
	assert_int_equal(add_reserved(ioas, 0x10000, UINT64_MAX), -EOVERFLOW);
	assert_int_equal(add_reserved(4711, 0x10000, 1), -ENOENT);
	assert_int_equal(add_reserved(ioas, 0x10001, 1), 0);
	assert_int_equal(add_reserved(ioas, 0x10000, PG), 0);
	assert_int_equal(add_reserved(ioas, UINT64_MAX, 1), 0);
	assert_int_equal(rig_map(ioas, mem, PG, 0x10000), -EINVAL);
	assert_int_equal(rig_map(ioas, mem, PG, 0x11000), 0);
	assert_int_equal(add_reserved(ioas, 0x11000, 1), -EADDRINUSE);
}

static void the_temporary_memory_limit_is_global_and_not_tiny(void **state)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT,
				      .memory_limit.limit = 11 };

	assert_int_equal(rig_test(&cmd), -EINVAL);
	cmd.memory_limit.limit = 12;
	assert_int_equal(rig_test(&cmd), 0);
	assert_int_equal(rig.system->temp_memory_limit, 12);
	cmd.memory_limit.limit = 65536;
	assert_int_equal(rig_test(&cmd), 0);
}

static void unknown_operations_are_not_supported(void **state)
{
	struct iommu_test_cmd cmd = { 0 };

	assert_int_equal(rig_test(&cmd), -EOPNOTSUPP);
	cmd.op = 1000;
	assert_int_equal(rig_test(&cmd), -EOPNOTSUPP);
}

static void cache_words_begin_with_their_mark(void **state)
{
	struct mock_ids ids = rig_mock(ioas);
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_DEV_CHECK_CACHE, .id = ids.idev,
				      .check_dev_cache.id = 3 };

	cmd.check_dev_cache.cache = IOMMU_TEST_DEV_CACHE_DEFAULT;
	assert_int_equal(rig_test(&cmd), 0);
	cmd.check_dev_cache.id = 4;
	assert_int_equal(rig_test(&cmd), -EINVAL);
	cmd.check_dev_cache.id = 0;
	cmd.check_dev_cache.cache = 0;
	assert_int_equal(rig_test(&cmd), -EINVAL);
	cmd.id = ids.stdev;
	assert_int_equal(rig_test(&cmd), -ENOENT);
}

/* ---- failures ---- */

static int attach_map_detach(void)
{
	char *mem = rig_memory(64 * PG);
	struct mock_ids one, two;
	u32 id, other, hwpt, pt;
	int rc;

	id = rig_ioas();
	other = id ? rig_ioas() : 0;
	if (!other)
		return -ENOMEM;
	rc = rig_map(id, mem, 64 * PG, BASE);
	rc = rc ? rc : rig_mock_domain(id, 0, &one);
	rc = rc ? rc : rig_mock_domain(id, 0, &two);
	rc = rc ? rc : rig_check_map(one.hwpt, BASE, 64 * PG, mem);
	rc = rc ? rc : rig_hwpt(one.idev, id, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt);
	rc = rc ? rc : rig_replace(one.stdev, &hwpt);
	pt = other;
	rc = rc ? rc : rig_replace(two.stdev, &pt);
	rc = rc ? rc : rig_destroy(one.stdev);
	rc = rc ? rc : rig_unmap(id, BASE, 64 * PG);
	return rc;
}

static void any_step_may_fail_and_nothing_is_left(void **state)
{
	rig_sweep(attach_map_detach);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, rig_end)
		T(a_device_gets_a_stdev_an_idev_and_a_hwpt),
		T(two_devices_share_one_automatic_hwpt),
		T(objects_in_use_are_busy),
		T(a_device_can_start_in_the_hwpt_of_another),
		T(a_device_that_can_not_be_made_leaves_no_id),
		T(closing_with_devices_attached_ends_everything),
		T(replace_moves_a_device_and_ends_the_old_automatic_hwpt),
		T(replace_by_the_same_ioas_changes_nothing),
		T(replace_to_something_that_is_no_page_table_fails),
		T(mappings_are_translated_before_and_after_a_device_comes),
		T(half_pages_can_be_mapped),
		T(a_translation_check_sees_the_wrong_page),
		T(a_pin_count_is_asked_of_whole_pages),
		T(the_aperture_limits_the_ioas_while_a_device_is_there),
		T(a_huge_hwpt_translates_from_zero),
		T(reserved_iova_can_not_be_mapped),
		T(the_temporary_memory_limit_is_global_and_not_tiny),
		T(unknown_operations_are_not_supported),
		T(cache_words_begin_with_their_mark),
		cmocka_unit_test(any_step_may_fail_and_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
