/* SPDX-License-Identifier: MIT */
/* Nested hwpts, on a parent and on a vIOMMU, and IOMMU_HWPT_INVALIDATE on both. */
#include "guest.h"

#define INV IOMMU_HWPT_INVALIDATE_DATA_SELFTEST
#define VINV IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST

/* ---- allocation ---- */

static int alloc(u32 pt, u32 flags, u32 type, const void *data, u32 len)
{
	struct iommu_hwpt_alloc cmd = { .flags = flags, .dev_id = guest.dev.idev, .pt_id = pt,
					.data_type = type, .data_len = len,
					.data_uptr = (uintptr_t)data };

	return rig_hwpt_alloc(&cmd);
}

static void both_ways_refuse_flags_and_data_alike(void **state)
{
	const struct iommu_hwpt_selftest data = { .iotlb = 1 };
	const u32 pts[] = { guest.parent, guest.viommu };

	for (int i = 0; i < 2; i++) {
		u32 pt = pts[i];

		for (u32 flag = 1; flag; flag <<= 1) {
			if (flag == IOMMU_HWPT_FAULT_ID_VALID || flag == IOMMU_HWPT_ALLOC_PASID)
				continue;
			assert_int_equal(alloc(pt, flag, 0xdead, &data, sizeof(data)),
					 -EOPNOTSUPP);
		}
		assert_int_equal(alloc(pt, 0, IOMMU_HWPT_DATA_NONE, NULL, 0), -EOPNOTSUPP);
		assert_int_equal(alloc(pt, 0, IOMMU_HWPT_DATA_NONE, &data, 8), -EINVAL);
		assert_int_equal(alloc(pt, 0, 0xdead, &data, 0), -EINVAL);
		assert_int_equal(alloc(pt, 0, IOMMU_HWPT_DATA_VTD_S1, &data, 8), -EOPNOTSUPP);
		assert_int_equal(alloc(pt, 0, 0xdead, &data, 3), -EINVAL);
		assert_int_equal(alloc(pt, 0, 0xdead, &data, 9), -EINVAL);
		assert_int_equal(alloc(pt, 0, 0xdead, NULL, 8), -EFAULT);
		assert_int_equal(alloc(pt, 0, 0xdead, &data, 4), 0);
		assert_int_equal(alloc(pt, IOMMU_HWPT_ALLOC_PASID, 0xdead, &data, 8), 0);
	}
}

static void only_a_nesting_parent_is_one(void **state)
{
	u32 manual, nested = must_nested(guest.dev.idev, guest.parent), none;

	assert_int_equal(nested_alloc(guest.dev.idev, guest.dev.hwpt, 0, 0, &none), -EINVAL);
	assert_int_equal(rig_hwpt(guest.dev.idev, guest.ioas, 0, &manual), 0);
	assert_int_equal(nested_alloc(guest.dev.idev, manual, 0, 0, &none), -EINVAL);
	assert_int_equal(nested_alloc(guest.dev.idev, nested, 0, 0, &none), -EINVAL);
	/* flags and data are looked at first */
	assert_int_equal(rig_hwpt(guest.dev.idev, manual, 0, &none), -EOPNOTSUPP);
}

static void a_missing_fault_queue_undoes_it(void **state)
{
	const struct iommu_hwpt_selftest data = { 0 };
	struct iommu_hwpt_alloc cmd = { .flags = IOMMU_HWPT_FAULT_ID_VALID,
					.dev_id = guest.dev.idev, .data_type = 0xdead,
					.data_len = 8, .data_uptr = (uintptr_t)&data,
					.fault_id = UINT32_MAX };

	cmd.pt_id = guest.parent;
	assert_int_equal(rig_hwpt_alloc(&cmd), -ENOENT);
	cmd.pt_id = guest.viommu;
	assert_int_equal(rig_hwpt_alloc(&cmd), -ENOENT);
	assert_int_equal(rig_destroy(guest.viommu), 0);
	assert_int_equal(rig_destroy(guest.parent), 0);
}

static void it_holds_what_it_was_made_on(void **state)
{
	u32 direct = must_nested(guest.dev.idev, guest.parent);
	u32 through = must_nested(guest.dev.idev, guest.viommu);

	assert_int_equal(rig_destroy(guest.parent), -EBUSY);
	assert_int_equal(rig_destroy(guest.viommu), -EBUSY);
	assert_int_equal(rig_destroy(through), 0);
	assert_int_equal(rig_destroy(guest.viommu), 0);
	assert_int_equal(rig_destroy(guest.parent), -EBUSY);
	assert_int_equal(rig_destroy(direct), 0);
	assert_int_equal(rig_destroy(guest.parent), 0);
}

static void a_device_moves_between_parents_and_children(void **state)
{
	u32 nested = must_nested(guest.dev.idev, guest.parent), pt = nested;
	u32 other = must_nested(guest.dev.idev, guest.parent);

	assert_int_equal(rig_replace(guest.dev.stdev, &pt), 0);
	assert_int_equal(pt, nested);
	assert_int_equal(rig_destroy(nested), -EBUSY);
	assert_int_equal(rig_pasid_check(guest.dev.stdev, 0, nested), 0);
	pt = other;
	assert_int_equal(rig_replace(guest.dev.stdev, &pt), 0);
	assert_int_equal(rig_destroy(nested), 0);
	pt = guest.parent;
	assert_int_equal(rig_replace(guest.dev.stdev, &pt), 0);
	assert_int_equal(rig_destroy(other), 0);
	pt = guest.ioas;
	assert_int_equal(rig_replace(guest.dev.stdev, &pt), 0);
}

static void a_viommu_is_no_page_table(void **state)
{
	u32 pt = guest.viommu;

	assert_int_equal(rig_replace(guest.dev.stdev, &pt), -EINVAL);
	assert_int_equal(rig_pasid_attach(guest.dev.stdev, 1, &pt), -EINVAL);
}

static void attaching_through_a_viommu_needs_a_vdevice(void **state)
{
	u32 nested = must_nested(guest.dev.idev, guest.viommu), pt = nested;

	assert_int_equal(rig_replace(guest.dev.stdev, &pt), -ENOENT);
	/* of the same vIOMMU */
	must_vdevice(must_viommu(guest.dev.idev, guest.parent), guest.dev.idev, 5);
	assert_int_equal(rig_replace(guest.dev.stdev, &pt), -ENOENT);
}

/* ---- invalidation ---- */

static int inv(u32 hwpt, void *data, u32 type, u32 len, u32 num, u32 done)
{
	u32 n = num;
	int rc = invalidate(hwpt, data, type, len, &n);

	assert_int_equal(n, done);
	return rc;
}

static void the_common_checks_come_in_order_and_count_nothing(void **state)
{
	struct iommu_hwpt_invalidate_selftest entry = { .iotlb_id = 0 };
	struct iommu_hwpt_invalidate cmd = { .size = sizeof(cmd), .__reserved = 1,
					     .entry_num = 7 };
	u32 nested = must_nested(guest.dev.idev, guest.parent);

	assert_int_equal(rig_ioctl(IOMMU_HWPT_INVALIDATE, &cmd), -EOPNOTSUPP);
	assert_int_equal(cmd.entry_num, 0);
	assert_int_equal(inv(4711, NULL, INV, 8, 1, 0), -EINVAL);
	assert_int_equal(inv(4711, &entry, INV, 0, 1, 0), -EINVAL);
	assert_int_equal(inv(4711, &entry, INV, 4097, 1, 0), -EINVAL);
	assert_int_equal(inv(4711, &entry, INV, 8, (1 << 19) + 1, 0), -EINVAL);
	assert_int_equal(inv(4711, &entry, INV, 8, 1, 0), -ENOENT);
	assert_int_equal(inv(4711, NULL, INV, 0, 0, 0), -ENOENT);
	assert_int_equal(inv(guest.parent, &entry, INV, 8, 1, 0), -EINVAL);
	assert_int_equal(inv(guest.ioas, &entry, INV, 8, 1, 0), -EINVAL);
	assert_int_equal(inv(guest.dev.idev, &entry, INV, 8, 1, 0), -EINVAL);
	/* without entries it is a question about the type */
	assert_int_equal(inv(nested, NULL, INV, 0, 0, 0), 0);
	assert_int_equal(inv(nested, NULL, INV, 9999, 0, 0), 0);
	assert_int_equal(inv(nested, NULL, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID, 0, 0, 0),
			 -EINVAL);
}

static void entries_are_done_up_to_the_first_bad_one(void **state)
{
	struct iommu_hwpt_invalidate_selftest e[3] = { { 0, 0 }, { 0, 1 }, { 0, 2 } };
	u32 nested = must_nested(guest.dev.idev, guest.parent);

	assert_int_equal(inv(nested, e, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID, 8, 3, 0),
			 -EINVAL);
	e[2].flags = 1u << 31;
	assert_int_equal(inv(nested, e, INV, 8, 3, 2), -EOPNOTSUPP);
	assert_int_equal(check_iotlb(nested, 0, 0), 0);
	assert_int_equal(check_iotlb(nested, 1, 0), 0);
	assert_int_equal(check_iotlb(nested, 2, IOMMU_TEST_IOTLB_DEFAULT), 0);
	e[1] = (struct iommu_hwpt_invalidate_selftest){ IOMMU_TEST_INVALIDATE_FLAG_ALL, 4 };
	assert_int_equal(inv(nested, e, INV, 8, 3, 1), -EINVAL);
	e[1] = (struct iommu_hwpt_invalidate_selftest){ IOMMU_TEST_INVALIDATE_FLAG_ALL, 0 };
	assert_int_equal(inv(nested, e, INV, 8, 2, 2), 0);
	for (u32 i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		assert_int_equal(check_iotlb(nested, i, 0), 0);
	assert_int_equal(check_iotlb(nested, 4, 0), -EINVAL);
	assert_int_equal(check_iotlb(guest.parent, 0, 0), -ENOENT);
	for (u32 len = 1; len < 20; len++)
		if (len != 8)
			assert_int_equal(inv(nested, e, INV, len, 1, 0), -EINVAL);
	assert_int_equal(inv(nested, (void *)16, INV, 8, 1, 0), -EFAULT);
}

static void an_answer_that_can_not_be_written_is_a_fault_after_the_work(void **state)
{
	struct iommu_hwpt_invalidate_selftest entry = { .iotlb_id = 1 };
	struct iommu_hwpt_invalidate *cmd = rig_memory(PG);
	u32 nested = must_nested(guest.dev.idev, guest.parent);

	*cmd = (struct iommu_hwpt_invalidate){ .size = sizeof(*cmd), .hwpt_id = nested,
					       .data_uptr = (uintptr_t)&entry, .data_type = INV,
					       .entry_len = sizeof(entry), .entry_num = 1 };
	read_only(cmd, PG);
	assert_int_equal(rig_ioctl(IOMMU_HWPT_INVALIDATE, cmd), -EFAULT);
	assert_int_equal(check_iotlb(nested, 1, 0), 0);
}

static void a_nested_hwpt_has_no_dirty_bits(void **state)
{
	u32 nested = must_nested(guest.dev.idev, guest.parent);
	struct iommu_hwpt_set_dirty_tracking set = { .size = sizeof(set), .hwpt_id = nested };
	struct iommu_hwpt_get_dirty_bitmap get = { .size = sizeof(get), .hwpt_id = nested,
						   .iova = BASE, .length = PG, .page_size = PG };

	assert_int_equal(rig_ioctl(IOMMU_HWPT_SET_DIRTY_TRACKING, &set), -ENOENT);
	assert_int_equal(rig_ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, &get), -ENOENT);
}

static void a_viommus_entries_name_devices_as_the_guest_does(void **state)
{
	struct iommu_viommu_invalidate_selftest e[2] = { { 0, 0x99, 0 }, { 0, 0x98, 1 } };
	u32 idev = guest.dev.idev;

	must_vdevice(guest.viommu, idev, 0x99);
	assert_int_equal(inv(guest.viommu, NULL, VINV, 0, 0, 0), 0);
	assert_int_equal(inv(guest.viommu, NULL, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID, 0,
			     0, 0), -EINVAL);
	assert_int_equal(inv(guest.viommu, e, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID, 12, 1,
			     0), -EINVAL);
	/* the second device is not there */
	assert_int_equal(inv(guest.viommu, e, VINV, 12, 2, 1), -EINVAL);
	assert_int_equal(check_cache(idev, 0, 0), 0);
	assert_int_equal(check_cache(idev, 1, IOMMU_TEST_DEV_CACHE_DEFAULT), 0);
	e[0].flags = 0xffffffff;
	assert_int_equal(inv(guest.viommu, e, VINV, 12, 1, 0), -EOPNOTSUPP);
	e[0] = (struct iommu_viommu_invalidate_selftest){ IOMMU_TEST_INVALIDATE_FLAG_ALL, 0x99,
							  4 };
	assert_int_equal(inv(guest.viommu, e, VINV, 12, 1, 0), -EINVAL);
	e[0].cache_id = 0;
	assert_int_equal(inv(guest.viommu, e, VINV, 12, 1, 1), 0);
	for (u32 i = 0; i < MOCK_DEV_CACHE_NUM; i++)
		assert_int_equal(check_cache(idev, i, 0), 0);
	assert_int_equal(check_cache(idev, 4, 0), -EINVAL);
	assert_int_equal(check_cache(guest.ioas, 0, 0), -ENOENT);
}

static void a_viommus_entries_may_be_longer_or_shorter(void **state)
{
	struct {
		struct iommu_viommu_invalidate_selftest known;
		u32 excess;
	} e[2] = { { { 0, 0, 0 }, 0 }, { { 0, 0, 1 }, 0 } };

	must_vdevice(guest.viommu, guest.dev.idev, 0);
	assert_int_equal(inv(guest.viommu, e, VINV, sizeof(e[0]), 2, 2), 0);
	assert_int_equal(check_cache(guest.dev.idev, 1, 0), 0);
	e[1].excess = 1;
	assert_int_equal(inv(guest.viommu, e, VINV, sizeof(e[0]), 2, 0), -E2BIG);
	/* what is missing is zero: flags 0, device 0, word 0 */
	assert_int_equal(inv(guest.viommu, e, VINV, 1, 1, 1), 0);
	assert_int_equal(inv(guest.viommu, (void *)16, VINV, 12, 1, 0), -EFAULT);
	assert_int_equal(inv(guest.viommu, (void *)16, VINV, 8, 1, 0), -EFAULT);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, guest_begin, rig_end)
	const struct CMUnitTest tests[] = {
		T(both_ways_refuse_flags_and_data_alike),
		T(only_a_nesting_parent_is_one),
		T(a_missing_fault_queue_undoes_it),
		T(it_holds_what_it_was_made_on),
		T(a_device_moves_between_parents_and_children),
		T(a_viommu_is_no_page_table),
		T(attaching_through_a_viommu_needs_a_vdevice),
		T(the_common_checks_come_in_order_and_count_nothing),
		T(entries_are_done_up_to_the_first_bad_one),
		T(an_answer_that_can_not_be_written_is_a_fault_after_the_work),
		T(a_nested_hwpt_has_no_dirty_bits),
		T(a_viommus_entries_name_devices_as_the_guest_does),
		T(a_viommus_entries_may_be_longer_or_shorter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
