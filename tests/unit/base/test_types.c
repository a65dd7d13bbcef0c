/* SPDX-License-Identifier: MIT */
/* Range arithmetic at the ends of the number line. */
#include "random.h"

static void range_last_of_no_bytes_is_invalid(void **test)
{
	u64 last = 7;

	assert_int_equal(range_last(0, 0, &last), -EINVAL);
	assert_int_equal(range_last(UINT64_MAX, 0, &last), -EINVAL);
	assert_int_equal(last, 7);
}

static void range_last_reaches_the_last_byte_and_not_beyond(void **test)
{
	u64 last = 7;

	assert_int_equal(range_last(UINT64_MAX, 2, &last), -EOVERFLOW);
	assert_int_equal(range_last(1, UINT64_MAX, &last), 0);
	assert_true(last == UINT64_MAX);
	assert_int_equal(range_last(UINT64_MAX, 1, &last), 0);
	assert_true(last == UINT64_MAX);
	assert_int_equal(range_last(2, UINT64_MAX, &last), -EOVERFLOW);
	assert_int_equal(range_last(0x1000, 0x1000, &last), 0);
	assert_int_equal(last, 0x1fff);
}

static void ranges_overlap_when_they_share_a_byte(void **test)
{
	assert_true(ranges_overlap(0, 5, 5, 9));
	assert_true(ranges_overlap(5, 9, 0, 5));
	assert_true(ranges_overlap(0, UINT64_MAX, UINT64_MAX, UINT64_MAX));
	assert_false(ranges_overlap(0, 4, 5, 9));
	assert_false(ranges_overlap(5, 9, 0, 4));
}

static void powers_of_two_and_alignment(void **test)
{
	assert_false(is_power_of_2(0));
	assert_true(is_power_of_2(1));
	assert_true(is_power_of_2(1ULL << 63));
	assert_false(is_power_of_2(UINT64_MAX));
	assert_true(ALIGN_DOWN((u64)0x1234567890fffULL, 0x1000) == 0x1234567890000ULL);
	assert_true(ALIGN_UP((u64)0x1234567890001ULL, 0x1000) == 0x1234567891000ULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(range_last_of_no_bytes_is_invalid),
		cmocka_unit_test(range_last_reaches_the_last_byte_and_not_beyond),
		cmocka_unit_test(ranges_overlap_when_they_share_a_byte),
		cmocka_unit_test(powers_of_two_and_alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
