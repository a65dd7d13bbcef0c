/* SPDX-License-Identifier: MIT */
/* PASIDs of mock devices, and which hwpts go together. */
#include "rig.h"

static u32 ioas;
static struct mock_ids ids; /* a device that knows PASIDs */
static u32 plain, flagged, flagged2;

static int begin(void **state)
{
	if (rig_begin(state))
		return -1;
	ioas = rig_ioas();
	return rig_mock_domain(ioas, MOCK_FLAGS_DEVICE_PASID, &ids) ||
	       rig_hwpt(ids.idev, ioas, 0, &plain) ||
	       rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_PASID, &flagged) ||
	       rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_PASID, &flagged2);
}

static int rid_to(u32 pt)
{
	return rig_replace(ids.stdev, &pt);
}

static int attach(u32 pasid, u32 pt)
{
	return rig_pasid_attach(ids.stdev, pasid, &pt);
}

static int replace(u32 pasid, u32 pt)
{
	return rig_pasid_replace(ids.stdev, pasid, &pt);
}

static void a_pasid_needs_a_flagged_hwpt_and_a_flagged_rid(void **state)
{
	assert_int_equal(attach(100, plain), -EINVAL);
	assert_int_equal(attach(100, flagged), -EINVAL); /* the RID is in an automatic one */
	assert_int_equal(rid_to(flagged), 0);
	assert_int_equal(attach(100, plain), -EINVAL);
	assert_int_equal(attach(100, ioas), -EINVAL); /* automatic ones never are */
	assert_int_equal(attach(100, flagged), 0);
	assert_int_equal(rig_pasid_check(ids.stdev, 100, flagged), 0);
}

static void the_rid_keeps_to_flagged_hwpts_while_pasids_are_attached(void **state)
{
	assert_int_equal(rid_to(flagged), 0);
	assert_int_equal(attach(100, flagged2), 0);
	assert_int_equal(rid_to(plain), -EINVAL);
	assert_int_equal(rid_to(ioas), -EINVAL);
	assert_int_equal(rid_to(flagged2), 0);
	assert_int_equal(rig_pasid_detach(ids.stdev, 100), 0);
	assert_int_equal(rid_to(plain), 0);
}

static void a_pasid_can_be_attached_without_a_rid(void **state)
{
	assert_int_equal(rig_pasid_detach(ids.stdev, 0), 0);
	assert_int_equal(attach(7, flagged), 0);
	assert_int_equal(attach(0, plain), -EINVAL);
	assert_int_equal(attach(0, flagged), 0);
}

static void attaching_twice_is_busy_and_replacing_nothing_invalid(void **state)
{
	assert_int_equal(rid_to(flagged), 0);
	assert_int_equal(replace(100, flagged), -EINVAL);
	assert_int_equal(attach(100, flagged), 0);
	assert_int_equal(attach(100, flagged), -EBUSY);
	assert_int_equal(attach(100, flagged2), -EBUSY);
	assert_int_equal(attach(0, flagged), -EBUSY);
	assert_int_equal(replace(100, flagged2), 0);
	assert_int_equal(rig_pasid_check(ids.stdev, 100, flagged2), 0);
	assert_int_equal(rig_pasid_check(ids.stdev, 100, flagged), -EINVAL);
	assert_int_equal(rig_destroy(flagged2), -EBUSY);
	assert_int_equal(rig_pasid_detach(ids.stdev, 100), 0);
	assert_int_equal(rig_pasid_detach(ids.stdev, 100), 0);
	assert_int_equal(rig_pasid_check(ids.stdev, 100, 0), 0);
	assert_int_equal(rig_destroy(flagged2), 0);
}

static void a_replace_the_driver_refuses_keeps_the_old_hwpt(void **state)
{
	assert_int_equal(rid_to(flagged), 0);
	assert_int_equal(attach(IOMMU_TEST_PASID_RESERVED, flagged), 0);
	assert_int_equal(replace(IOMMU_TEST_PASID_RESERVED, flagged2), -ENOMEM);
	assert_int_equal(rig_pasid_check(ids.stdev, IOMMU_TEST_PASID_RESERVED, flagged), 0);
	assert_int_equal(rig_destroy(flagged2), 0);
}

static void pasids_end_where_the_device_does(void **state)
{
	struct mock_ids none = rig_mock(ioas);
	u32 pt = flagged;

	assert_int_equal(rid_to(flagged), 0);
	assert_int_equal(attach((1 << MOCK_PASID_WIDTH) - 1, flagged), 0);
	assert_int_equal(attach(1 << MOCK_PASID_WIDTH, flagged), -EINVAL);
	assert_int_equal(rig_replace(none.stdev, &pt), 0);
	assert_int_equal(rig_pasid_attach(none.stdev, 1, &pt), -EINVAL);
}

static void a_check_tells_missing_from_wrong(void **state)
{
	assert_int_equal(rig_pasid_check(ids.stdev, 5, 0), 0);
	assert_int_equal(rig_pasid_check(ids.stdev, 5, 4711), -ENOENT);
	assert_int_equal(rig_pasid_check(ids.stdev, 5, ioas), -EINVAL);
	assert_int_equal(rig_pasid_check(ids.stdev, 5, plain), -EINVAL);
	assert_int_equal(rig_pasid_check(ids.stdev, 0, 0), -EINVAL);
	assert_int_equal(rig_pasid_check(ids.stdev, 0, ids.hwpt), 0);
	assert_int_equal(rig_pasid_check(ids.idev, 0, 0), -ENOENT);
}

static void a_device_destroyed_with_pasids_attached_leaves_them(void **state)
{
	assert_int_equal(rid_to(flagged), 0);
	assert_int_equal(attach(1, flagged2), 0);
	assert_int_equal(attach(2, flagged2), 0);
	assert_int_equal(rig_destroy(ids.stdev), 0);
	assert_int_equal(rig_destroy(flagged), 0);
	assert_int_equal(rig_destroy(flagged2), 0);
}

/* ---- failures ---- */

static int pasid_sequence(void)
{
	u32 pt;
	int rc;

	ioas = rig_ioas();
	if (!ioas)
		return -ENOMEM;
	rc = rig_mock_domain(ioas, MOCK_FLAGS_DEVICE_PASID, &ids);
	rc = rc ? rc : rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_PASID, &flagged);
	rc = rc ? rc : rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_PASID, &flagged2);
	rc = rc ? rc : rid_to(flagged);
	pt = flagged;
	rc = rc ? rc : rig_pasid_attach(ids.stdev, 200, &pt);
	pt = flagged2;
	rc = rc ? rc : rig_pasid_replace(ids.stdev, 200, &pt);
	rc = rc ? rc : rig_pasid_check(ids.stdev, 200, flagged2);
	return rc ? rc : rig_pasid_detach(ids.stdev, 200);
}

static void any_step_with_pasids_may_fail(void **state)
{
	rig_sweep(pasid_sequence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, rig_end)
		T(a_pasid_needs_a_flagged_hwpt_and_a_flagged_rid),
		T(the_rid_keeps_to_flagged_hwpts_while_pasids_are_attached),
		T(a_pasid_can_be_attached_without_a_rid),
		T(attaching_twice_is_busy_and_replacing_nothing_invalid),
		T(a_replace_the_driver_refuses_keeps_the_old_hwpt),
		T(pasids_end_where_the_device_does),
		T(a_check_tells_missing_from_wrong),
		T(a_device_destroyed_with_pasids_attached_leaves_them),
		cmocka_unit_test(any_step_with_pasids_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
