/* SPDX-License-Identifier: MIT */
/* IOMMU_HWPT_ALLOC on an ioas: every row of what it refuses, in order, and what it makes. */
#include "../models/rig.h"

#define BASE MOCK_APERTURE_START
#define PG 4096UL

static u32 ioas;
static struct mock_ids ids;

static int begin(void **state)
{
	if (rig_begin(state))
		return -1;
	ioas = rig_ioas();
	return rig_mock_domain(ioas, 0, &ids);
}

static int alloc(struct iommu_hwpt_alloc cmd)
{
	return rig_hwpt_alloc(&cmd);
}

static void reserved_bits_come_before_everything(void **state)
{
	assert_int_equal(alloc((struct iommu_hwpt_alloc){ .__reserved = 1, .data_len = 1 }),
			 -EOPNOTSUPP);
}

static void data_needs_a_type_and_a_type_needs_data(void **state)
{
	assert_int_equal(alloc((struct iommu_hwpt_alloc){ .data_len = 1 }), -EINVAL);
	assert_int_equal(alloc((struct iommu_hwpt_alloc){ .data_type = 0xdead }), -EINVAL);
}

static void ids_are_looked_up_device_first(void **state)
{
	assert_int_equal(alloc((struct iommu_hwpt_alloc){ .dev_id = 4711, .pt_id = 4711 }),
			 -ENOENT);
	assert_int_equal(alloc((struct iommu_hwpt_alloc){ .dev_id = ids.stdev, .pt_id = ioas }),
			 -ENOENT);
	/* a missing pt is EINVAL, not ENOENT */
	assert_int_equal(alloc((struct iommu_hwpt_alloc){ .dev_id = ids.idev, .pt_id = 4711 }),
			 -EINVAL);
	assert_int_equal(alloc((struct iommu_hwpt_alloc){ .dev_id = ids.idev,
							  .pt_id = ids.idev }), -EINVAL);
	assert_int_equal(alloc((struct iommu_hwpt_alloc){ .dev_id = ids.idev,
							  .pt_id = ids.stdev }), -EINVAL);
}

static void unknown_flags_are_not_supported(void **state)
{
	u32 hwpt;

	for (u32 flag = 1 << 4; flag; flag <<= 1)
		assert_int_equal(rig_hwpt(ids.idev, ioas, flag, &hwpt), -EOPNOTSUPP);
	assert_int_equal(rig_hwpt(ids.idev, ioas,
				  IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_FAULT_ID_VALID,
				  &hwpt), -EOPNOTSUPP);
}

static void a_missing_fault_queue_undoes_the_hwpt(void **state)
{
	struct iommu_hwpt_alloc cmd = { .flags = IOMMU_HWPT_FAULT_ID_VALID, .dev_id = ids.idev,
					.pt_id = ioas, .fault_id = UINT32_MAX };
	u32 hwpt;

	assert_int_equal(rig_hwpt_alloc(&cmd), -ENOENT);
	cmd.fault_id = ioas;
	assert_int_equal(rig_hwpt_alloc(&cmd), -ENOENT);
	assert_int_equal(rig_hwpt(ids.idev, ioas, 0, &hwpt), 0);
	assert_int_equal(hwpt, ids.hwpt + 1);
}

static void each_known_flag_makes_a_hwpt(void **state)
{
	const u32 flags[] = { 0, IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
			      IOMMU_HWPT_ALLOC_PASID, IOMMU_HWPT_ALLOC_NEST_PARENT |
			      IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID };
	u32 hwpt;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		assert_int_equal(rig_hwpt(ids.idev, ioas, flags[i], &hwpt), 0);
		assert_int_equal(rig_destroy(hwpt), 0);
	}
}

static void drivers_data_is_checked_by_the_driver(void **state)
{
	const u64 user = 0;
	struct iommu_hwpt_alloc cmd = { .dev_id = ids.idev, .pt_id = ioas, .data_type = 0xbeef,
					.data_len = 8, .data_uptr = (uintptr_t)&user };
	u32 hwpt;

	assert_int_equal(rig_hwpt_alloc(&cmd), -EOPNOTSUPP);
	cmd.data_type = IOMMU_HWPT_DATA_SELFTEST;
	cmd.data_len = 3;
	assert_int_equal(rig_hwpt_alloc(&cmd), -EINVAL);
	cmd.data_len = 9;
	assert_int_equal(rig_hwpt_alloc(&cmd), -EINVAL);
	cmd.data_len = 4;
	cmd.data_uptr = 0;
	assert_int_equal(rig_hwpt_alloc(&cmd), -EFAULT);
	cmd.data_uptr = (uintptr_t)&user;
	assert_int_equal(rig_hwpt_alloc(&cmd), 0);
	assert_int_equal(rig_hwpt_typed(ids.idev, ioas, 0, 2, &hwpt), -EOPNOTSUPP);
}

static void a_new_hwpt_carries_what_is_mapped(void **state)
{
	char *mem = rig_memory(8 * PG);
	u32 hwpt;

	assert_int_equal(rig_map(ioas, mem, 4 * PG, BASE), 0);
	assert_int_equal(rig_hwpt(ids.idev, ioas, 0, &hwpt), 0);
	assert_int_equal(rig_check_map(hwpt, BASE, 4 * PG, mem), 0);
	assert_int_equal(rig_map(ioas, mem + 4 * PG, 4 * PG, BASE + 4 * PG), 0);
	assert_int_equal(rig_check_map(hwpt, BASE, 8 * PG, mem), 0);
	assert_int_equal(rig_check_map(ids.hwpt, BASE, 8 * PG, mem), 0);
	assert_int_equal(rig_check_refs(mem, 8 * PG, 1), 0);
	assert_int_equal(rig_unmap(ioas, BASE, 4 * PG), 0);
	assert_int_equal(rig_check_map(hwpt, BASE, PG, mem), -EINVAL);
	assert_int_equal(rig_destroy(hwpt), 0);
	assert_int_equal(rig_check_map(ids.hwpt, BASE + 4 * PG, 4 * PG, mem + 4 * PG), 0);
}

static void a_hwpt_that_does_not_suit_the_map_is_refused(void **state)
{
	char *mem = rig_memory(2 * PG);
	u32 hwpt, empty = rig_ioas();

	/* half pages are mapped, and the HUGE type has whole ones only */
	assert_int_equal(rig_map(ioas, mem, 2048, BASE), 0);
	assert_int_equal(rig_hwpt_typed(ids.idev, ioas, 0, MOCK_IOMMUPT_HUGE, &hwpt), -EADDRINUSE);
	/* below the aperture of the default type */
	assert_int_equal(rig_map(empty, mem, PG, 0), 0);
	assert_int_equal(rig_hwpt(ids.idev, empty, 0, &hwpt), -EADDRINUSE);
	assert_int_equal(rig_hwpt_typed(ids.idev, empty, 0, MOCK_IOMMUPT_HUGE, &hwpt), 0);
	assert_int_equal(rig_check_map(hwpt, 0, PG, mem), 0);
}

static void memory_that_is_gone_can_not_be_filled_in(void **state)
{
	u32 other = rig_ioas(), hwpt;

	assert_int_equal(rig_map(other, (void *)PG, PG, BASE), 0);
	assert_int_equal(rig_hwpt(ids.idev, other, 0, &hwpt), -EFAULT);
	assert_int_equal(rig_destroy(other), 0);
}

static void a_manual_hwpt_stays_when_its_devices_leave(void **state)
{
	u32 one, two, pt;

	assert_int_equal(rig_hwpt(ids.idev, ioas, 0, &one), 0);
	assert_int_equal(rig_hwpt(ids.idev, ioas, 0, &two), 0);
	pt = one;
	assert_int_equal(rig_replace(ids.stdev, &pt), 0);
	assert_int_equal(pt, one);
	assert_int_equal(rig_destroy(ids.hwpt), -ENOENT);
	assert_int_equal(rig_destroy(one), -EBUSY);
	pt = two;
	assert_int_equal(rig_replace(ids.stdev, &pt), 0);
	assert_int_equal(rig_destroy(one), 0);
	assert_int_equal(rig_destroy(ids.stdev), 0);
	assert_int_equal(rig_destroy(two), 0);
	assert_int_equal(rig_destroy(ioas), 0);
}

static void the_automatic_search_passes_by_manual_hwpts(void **state)
{
	struct mock_ids next;
	u32 other = rig_ioas(), hwpt;

	assert_int_equal(rig_hwpt(ids.idev, other, 0, &hwpt), 0);
	next = rig_mock(other);
	assert_int_not_equal(next.hwpt, hwpt);
}

/* ---- devices that do not track writes ---- */

static void a_device_without_dirty_tracking_takes_no_such_hwpt(void **state)
{
	struct mock_ids no_dirty, more;
	u32 dirty, pt;

	assert_int_equal(rig_mock_domain(ioas, MOCK_FLAGS_DEVICE_NO_DIRTY, &no_dirty), 0);
	assert_int_equal(rig_hwpt(no_dirty.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &dirty),
			 -EOPNOTSUPP);
	assert_int_equal(rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &dirty), 0);
	pt = dirty;
	assert_int_equal(rig_replace(no_dirty.stdev, &pt), -EINVAL);
	assert_int_equal(rig_mock_domain(dirty, MOCK_FLAGS_DEVICE_NO_DIRTY, &more), -EINVAL);
	assert_int_equal(rig_mock_domain(dirty, 0, &more), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, rig_end)
		T(reserved_bits_come_before_everything),
		T(data_needs_a_type_and_a_type_needs_data),
		T(ids_are_looked_up_device_first),
		T(unknown_flags_are_not_supported),
		T(a_missing_fault_queue_undoes_the_hwpt),
		T(each_known_flag_makes_a_hwpt),
		T(drivers_data_is_checked_by_the_driver),
		T(a_new_hwpt_carries_what_is_mapped),
		T(a_hwpt_that_does_not_suit_the_map_is_refused),
		T(memory_that_is_gone_can_not_be_filled_in),
		T(a_manual_hwpt_stays_when_its_devices_leave),
		T(the_automatic_search_passes_by_manual_hwpts),
		T(a_device_without_dirty_tracking_takes_no_such_hwpt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
