/* SPDX-License-Identifier: MIT */
/*
 * Threads that come and go in one ioas.  Each outcome is one of a few; which
 * one is the scheduler's choice, that nothing is left and nobody sees a
 * half-made object is ours.
 */
#include <pthread.h>

#include "rig.h"

#define BASE MOCK_APERTURE_START
#define PG 4096UL
#define ROUNDS 500

static u32 ioas, other;
static char *mem;

static int begin(void **state)
{
	if (rig_begin(state))
		return -1;
	ioas = rig_ioas();
	other = rig_ioas();
	mem = rig_memory(64 * PG);
	return rig_map(ioas, mem, 16 * PG, BASE);
}


/* Whoever looks at an object holds it for a moment. */
static int destroy_now(u32 id)
{
	int rc;

	do
		rc = rig_destroy(id);
	while (rc == -EBUSY);
	return rc;
}

static void *attach_and_leave(void *arg)
{
	struct mock_ids ids;
	u32 pt;

	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(rig_mock_domain(ioas, MOCK_FLAGS_DEVICE_PASID, &ids), 0);
		assert_int_equal(rig_check_map(ids.hwpt, BASE, 16 * PG, mem), 0);
		pt = i % 2 ? other : ioas;
		assert_int_equal(rig_replace(ids.stdev, &pt), 0);
		assert_int_equal(destroy_now(ids.stdev), 0);
	}
	return NULL;
}

static void *make_hwpts(void *arg)
{
	struct mock_ids ids;
	u32 hwpt, pt;

	assert_int_equal(rig_mock_domain(ioas, 0, &ids), 0);
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt),
				 0);
		pt = hwpt;
		assert_int_equal(rig_replace(ids.stdev, &pt), 0);
		assert_int_equal(rig_destroy(hwpt), -EBUSY);
		pt = ioas;
		assert_int_equal(rig_replace(ids.stdev, &pt), 0);
		assert_int_equal(destroy_now(hwpt), 0);
	}
	assert_int_equal(destroy_now(ids.stdev), 0);
	return NULL;
}

static void *map_and_unmap(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		u64 at = 32 * PG;

		assert_int_equal(rig_map(ioas, mem + at, 16 * PG, BASE + at), 0);
		assert_int_equal(rig_unmap(ioas, BASE + at, 16 * PG), 0);
	}
	return NULL;
}

/* Walks the tables of whatever has an id: a hwpt may be on its way in or out. */
static void *look(void *arg)
{
	for (int i = 0; i < ROUNDS * 10; i++) {
		int rc = rig_check_map(i % 16 + 1, BASE + 32 * PG, 16 * PG, mem + 32 * PG);

		assert_true(rc == 0 || rc == -ENOENT || rc == -EINVAL);
	}
	return NULL;
}

static void devices_hwpts_and_mappings_in_parallel(void **state)
{
	void *(*const bodies[])(void *) = { attach_and_leave, attach_and_leave, make_hwpts,
					    map_and_unmap, look };
	pthread_t threads[ARRAY_SIZE(bodies)];

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(rig_check_refs(mem, 64 * PG, 0), 0);
	assert_int_equal(rig_destroy(ioas), 0);
	assert_int_equal(rig_destroy(other), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(devices_hwpts_and_mappings_in_parallel, begin,
						rig_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
