/* SPDX-License-Identifier: MIT */
/*
 * A great many areas in one ioas: a million where nothing slows the program
 * down, fewer under checkers.
 */
#include "harness.h"

#define MANY (BED_SLOW ? 20000UL : 1000000UL)

static void every_second_page_of_a_large_space_can_be_mapped(void **state)
{
	struct bed *bed = *state;
	u64 iova;

	for (u64 i = 0; i < MANY; i++)
		assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 2 * i * PAGE_SIZE), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, MANY * PAGE_SIZE), -EEXIST);
	/* the chooser finds the first hole, and the first one that is larger than all between */
	iova = 0;
	assert_int_equal(map_flags(bed, bed->ioas, bed->mem, PAGE_SIZE, &iova, RW), 0);
	assert_int_equal(iova, PAGE_SIZE);
	iova = 0;
	assert_int_equal(map_flags(bed, bed->ioas, bed->mem + PAGE_SIZE, 2 * PAGE_SIZE, &iova, RW),
			 0);
	assert_int_equal(iova, (2 * MANY - 1) * PAGE_SIZE);
	/* take every fourth, and the holes are used from below */
	for (u64 i = 0; i < MANY; i += 4)
		assert_int_equal(unmap(bed, bed->ioas, 2 * i * PAGE_SIZE, PAGE_SIZE), PAGE_SIZE);
	iova = 0;
	assert_int_equal(map_flags(bed, bed->ioas, bed->mem + PAGE_SIZE, 3 * PAGE_SIZE, &iova, RW),
			 0);
	assert_int_equal(iova, 7 * PAGE_SIZE);
	assert_sound(bed);
	assert_int_equal(unmap_all(bed, bed->ioas), (MANY - MANY / 4 + 6) * PAGE_SIZE);
}

static void chosen_addresses_fill_the_space_in_order(void **state)
{
	struct bed *bed = *state;
	u64 iova;

	for (u64 i = 0; i < MANY; i++) {
		iova = 0;
		assert_int_equal(map_flags(bed, bed->ioas, bed->mem, PAGE_SIZE, &iova, RW), 0);
		assert_int_equal(iova, (1 + i) * PAGE_SIZE);
	}
	assert_sound(bed);
	assert_int_equal(object_kill(bed, bed->ioas), 0);
	assert_int_equal(ioas_new(bed), bed->ioas);
}

static void many_areas_come_and_go_with_a_domain(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids;
	u64 n = MANY / 4;

	for (u64 i = 0; i < n; i++)
		assert_int_equal(map_at(bed, bed->ioas, bed->mem + i % BED_PAGES * PAGE_SIZE,
					PAGE_SIZE, BED_IOVA + i * PAGE_SIZE),
				 0);
	ids = device_attached(bed, bed->ioas);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), n);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA + (n - 1) * PAGE_SIZE,
				   bed->mem + (n - 1) % BED_PAGES * PAGE_SIZE, PAGE_SIZE), 0);
	assert_int_equal(object_kill(bed, ids.stdev), 0);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 0);
	ids = device_attached(bed, bed->ioas);
	assert_int_equal(unmap_all(bed, bed->ioas), n * PAGE_SIZE);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(every_second_page_of_a_large_space_can_be_mapped),
		bed_test(chosen_addresses_fill_the_space_in_order),
		bed_test(many_areas_come_and_go_with_a_domain),
	};

	return cmocka_run_group_tests_name("ioas_many", tests, NULL, NULL);
}
