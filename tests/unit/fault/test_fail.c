/* SPDX-License-Identifier: MIT */
/* Every fallible step of working with a fault queue fails once; nothing may be left or lost. */
#include "fault_rig.h"

static int make_and_end(void)
{
	struct fault_q q = { 0 };
	struct mock_ids ids = { 0 };
	u32 ioas = rig_ioas(), hwpt = 0;
	int rc;

	rc = ioas ? q_alloc(&q) : -ENOMEM;
	rc = rc ?: rig_mock_domain(ioas, MOCK_FLAGS_DEVICE_PASID, &ids);
	rc = rc ?: q_hwpt(q, ids.idev, ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt);
	rc = rc ?: rig_replace(ids.stdev, &(u32){ hwpt });
	rc = rc ?: rig_pasid_attach(ids.stdev, 3, &(u32){ hwpt });
	rc = rc ?: q_trigger(ids.idev, 0, 1, 0x1000);
	rc = rc ?: q_trigger(ids.idev, 3, 1, 0x1000);
	rc = rc ?: rig_pasid_detach(ids.stdev, 3);
	rc = rc ?: rig_replace(ids.stdev, &(u32){ ioas });
	rc = rc ?: rig_destroy(hwpt);
	rc = rc ?: iommufd_close(rig.proc, q.fd);
	return rc ?: rig_destroy(q.id);
}

static void making_using_and_ending_a_queue(void **state)
{
	rig_sweep(make_and_end);
}

/* Requests whose report failed are answered at once; all others can be read, in order, later. */
static int read_and_answer(void)
{
	struct iommu_hwpt_pgfault msg[3];
	struct fault_q q = { 0 };
	struct mock_ids ids = { 0 };
	u32 ioas, hwpt = 0, left;
	ssize_t got;
	int rc;

	left = iommufd_fail_nth_get();
	iommufd_fail_nth_set(0);
	ioas = rig_ioas();
	assert_int_equal(q_alloc(&q), 0);
	assert_int_equal(rig_mock_domain(ioas, 0, &ids), 0);
	assert_int_equal(q_hwpt(q, ids.idev, ioas, 0, &hwpt), 0);
	assert_int_equal(rig_replace(ids.stdev, &(u32){ hwpt }), 0);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(q_trigger(ids.idev, 0, i, 0), 0);

	iommufd_fail_nth_set(left);
	got = q_read(q, msg, sizeof(msg));
	rc = got < 0 ? got : 0;
	got = MAX(got, 0) / MSG;
	for (u32 i = 0; !rc && i < got; i++)
		rc = q_answer(q, msg[i].cookie, 0) == ANSWER ? 0 : -EFAULT;
	left = iommufd_fail_nth_get();
	iommufd_fail_nth_set(0);

	assert_int_equal(q_read(q, msg, sizeof(msg)), (3 - got) * MSG);
	for (u32 i = 0; i < 3 - got; i++)
		assert_int_equal(msg[i].grpid, got + i);
	iommufd_fail_nth_set(left);
	return got < 3 && !rc ? -ENOMEM : rc;
}

static void reading_and_answering(void **state)
{
	rig_sweep(read_and_answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(making_using_and_ending_a_queue),
		cmocka_unit_test(reading_and_answering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
