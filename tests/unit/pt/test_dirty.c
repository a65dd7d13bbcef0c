/* SPDX-License-Identifier: MIT */
/*
 * Dirty marks: what their unit is, what a report says and clears, and that the
 * summary beside the tables hides nothing.
 */
#include "pt_fixture.h"

struct report {
	unsigned n;
	struct {
		u64 iova, len;
	} run[16];
};

static void record(void *ctx, u64 iova, u64 len)
{
	struct report *report = ctx;

	assert_true(report->n < ARRAY_SIZE(report->run));
	report->run[report->n].iova = iova;
	report->run[report->n++].len = len;
}

static void assert_dirty(struct pt_table *pt, u64 iova, u64 len, unsigned flags, unsigned n,
			 const u64 (*expect)[2])
{
	struct report report = { 0 };
	unsigned i;

	assert_int_equal(pt->ops->read_and_clear_dirty(pt, iova, len, flags, record, &report), 0);
	assert_int_equal(report.n, n);
	for (i = 0; i < n; i++) {
		assert_int_equal(report.run[i].iova, expect[i][0]);
		assert_int_equal(report.run[i].len, expect[i][1]);
	}
}

#define ASSERT_DIRTY(pt, iova, len, flags, ...)                                                    \
	do {                                                                                       \
		static const u64 expect[][2] = { __VA_ARGS__ };                                    \
		assert_dirty(pt, iova, len, flags, ARRAY_SIZE(expect), expect);                    \
	} while (0)
#define ASSERT_CLEAN(pt, iova, len) assert_dirty(pt, iova, len, 0, 0, NULL)

static void an_entry_of_many_items_is_one_unit(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DIRTY });

	assert_int_equal(map(&pt, 0x10000, 0x10000, 0x10000, RW), 0);
	assert_int_equal(map(&pt, 0x20000, 0x30000, 0x10000, RW), 0);
	ASSERT_CLEAN(&pt, 0, SZ_1G);
	assert_int_equal(pt.ops->set_dirty(&pt, 0x1f123), 0);
	assert_sound(&pt);
	/* only the item hit carries the mark, and all of the entry is reported */
	assert_int_equal(raw_item(&pt, 12, 0, 0x10000) & 0x40, 0);
	assert_int_equal(raw_item(&pt, 12, 0, 0x1f000) & 0x40, 0x40);
	ASSERT_DIRTY(&pt, 0, SZ_1G, PT_DIRTY_NO_CLEAR, { 0x10000, 0x10000 });
	/* a range that does not even touch the item hit still finds it, and clears all of it */
	ASSERT_DIRTY(&pt, 0x12000, 0x3000, 0, { 0x12000, 0xe000 });
	assert_int_equal(raw_item(&pt, 12, 0, 0x1f000) & 0x40, 0);
	ASSERT_CLEAN(&pt, 0, SZ_1G);
	pt_end(&pt, arena);
}

static void an_entry_of_many_large_items_is_one_unit_too(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DIRTY });

	/* 512 MiB: 256 items of level 1, four words of the summary */
	assert_int_equal(map(&pt, SZ_1G, SZ_1G, SZ_1G / 2, RW), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, SZ_1G + 200 * SZ_2M), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, SZ_1G + 3 * SZ_2M), 0);
	ASSERT_DIRTY(&pt, 0, 4 * SZ_1G, PT_DIRTY_NO_CLEAR, { SZ_1G, SZ_1G / 2 });
	ASSERT_DIRTY(&pt, SZ_1G + 10 * SZ_2M, SZ_2M, PT_DIRTY_NO_CLEAR,
		     { SZ_1G + 10 * SZ_2M, SZ_1G / 2 - 10 * SZ_2M });
	ASSERT_DIRTY(&pt, SZ_1G + 220 * SZ_2M + SZ_4K, SZ_4K, 0,
		     { SZ_1G + 220 * SZ_2M + SZ_4K, SZ_1G / 2 - 220 * SZ_2M - SZ_4K });
	assert_sound(&pt);
	ASSERT_CLEAN(&pt, 0, 4 * SZ_1G);
	pt_end(&pt, arena);
}

/* The self-test marks every other 2 KiB and wants the odd ones clean. */
static void the_mock_marks_each_slot_by_itself(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_mock_init,
				       (struct pt_cfg){ .max_va_lg2 = 38, .slot_dirty = true,
							.features = PT_FEAT_DIRTY });
	u64 iova;

	for (iova = SZ_1M; iova < SZ_1M + 0x4000; iova += SZ_4K)
		assert_int_equal(map(&pt, iova, 0x5000 + iova, SZ_4K, RW), 0);
	for (iova = SZ_1M; iova < SZ_1M + 0x3000; iova += SZ_4K)
		assert_int_equal(pt.ops->set_dirty(&pt, iova), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, SZ_1M + 0x3800), 0);
	ASSERT_DIRTY(&pt, SZ_1M, 0x4000, PT_DIRTY_NO_CLEAR, { SZ_1M, 0x800 },
		     { SZ_1M + 0x1000, 0x800 }, { SZ_1M + 0x2000, 0x800 },
		     { SZ_1M + 0x3800, 0x800 });
	/* clearing takes what was asked about and no more */
	ASSERT_DIRTY(&pt, SZ_1M + 0x800, 0x1000, 0, { SZ_1M + 0x1000, 0x800 });
	ASSERT_DIRTY(&pt, SZ_1M, 0x4000, 0, { SZ_1M, 0x800 }, { SZ_1M + 0x2000, 0x800 },
		     { SZ_1M + 0x3800, 0x800 });
	ASSERT_CLEAN(&pt, SZ_1M, 0x4000);
	pt_end(&pt, arena);
}

static void a_megabyte_of_the_mock_is_one_unit(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_mock_init,
				       (struct pt_cfg){ .max_va_lg2 = 38,
							.pgsize_mask = SZ_4K | SZ_1M,
							.features = PT_FEAT_DIRTY });

	assert_int_equal(map(&pt, 0, 64 * SZ_1M, 3 * SZ_1M + SZ_4K, RW), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, SZ_1M + 0x800), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, 3 * SZ_1M + 0x800), 0);
	ASSERT_DIRTY(&pt, 0, 4 * SZ_1M, 0, { SZ_1M, SZ_1M }, { 3 * SZ_1M, SZ_4K });
	ASSERT_CLEAN(&pt, 0, 4 * SZ_1M);
	pt_end(&pt, arena);
}

static void neighbours_come_as_one_run(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DIRTY,
							.pgsize_mask = SZ_4K });
	u64 iova;

	assert_int_equal(map(&pt, 0, 0, 3 * SZ_2M, RW), 0);
	for (iova = SZ_2M - 2 * SZ_4K; iova < SZ_2M + 3 * SZ_4K; iova += SZ_4K)
		assert_int_equal(pt.ops->set_dirty(&pt, iova), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, 2 * SZ_2M), 0);
	assert_sound(&pt);
	ASSERT_DIRTY(&pt, 0, SZ_1G, 0, { SZ_2M - 2 * SZ_4K, 5 * SZ_4K }, { 2 * SZ_2M, SZ_4K });
	pt_end(&pt, arena);
}

/* Reading a part of a table must not make the rest of it look clean. */
static void the_summary_survives_partial_reads(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DIRTY,
							.pgsize_mask = SZ_4K });

	assert_int_equal(map(&pt, 0, 0, 2 * SZ_2M, RW), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, 0x5000), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, 0x9000), 0);
	ASSERT_DIRTY(&pt, 0, 0x6000, 0, { 0x5000, SZ_4K });
	assert_sound(&pt);
	ASSERT_CLEAN(&pt, SZ_2M, SZ_2M);
	ASSERT_DIRTY(&pt, 0x9000, SZ_4K, PT_DIRTY_NO_CLEAR, { 0x9000, SZ_4K });
	ASSERT_DIRTY(&pt, 0, SZ_2M, 0, { 0x9000, SZ_4K });
	assert_int_equal(pt.ops->set_dirty(&pt, 0x9000), 0);
	ASSERT_DIRTY(&pt, 0, 2 * SZ_2M, 0, { 0x9000, SZ_4K });
	pt_end(&pt, arena);
}

/* The memory of the tables is out of reach: looking at a leaf would be the end. */
static void a_clean_table_is_not_even_looked_at(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DIRTY,
							.max_va_lg2 = 39, .pgsize_mask = SZ_4K });
	char *leaves = arena->base + 2 * SZ_4K; /* the root and one of level 1 come first */

	assert_int_equal(map(&pt, 0, 0, 4 * SZ_2M, RW), 0);
	mprotect(leaves, 4 * SZ_4K, PROT_NONE);
	ASSERT_CLEAN(&pt, 0, SZ_1G);
	mprotect(leaves, 4 * SZ_4K, PROT_READ | PROT_WRITE);

	/* the second table is dirty, is collected, and is clean again */
	assert_int_equal(pt.ops->set_dirty(&pt, SZ_2M + SZ_4K), 0);
	mprotect(leaves, SZ_4K, PROT_NONE);
	mprotect(leaves + 2 * SZ_4K, 2 * SZ_4K, PROT_NONE);
	ASSERT_DIRTY(&pt, 0, 4 * SZ_2M, 0, { SZ_2M + SZ_4K, SZ_4K });
	mprotect(leaves + SZ_4K, SZ_4K, PROT_NONE);
	ASSERT_CLEAN(&pt, 0, 4 * SZ_2M);
	mprotect(leaves, 4 * SZ_4K, PROT_READ | PROT_WRITE);
	pt_end(&pt, arena);
}

static void marks_go_with_their_mapping(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DIRTY });

	assert_int_equal(map(&pt, 0x1000, 0x1000, SZ_4K, RW), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, 0x1000), 0);
	assert_int_equal(unmap(&pt, 0x1000, SZ_4K), SZ_4K);
	assert_int_equal(pt.ops->set_dirty(&pt, 0x1000), -ENOENT);
	assert_int_equal(map(&pt, 0x1000, 0x2000, SZ_4K, RW), 0);
	ASSERT_CLEAN(&pt, 0, SZ_1G);
	pt_end(&pt, arena);
}

static void without_the_feature_there_are_no_marks(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init, (struct pt_cfg){ .max_va_lg2 = 40 });

	assert_int_equal(map(&pt, 0, 0, SZ_4K, RW), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, 0), -EOPNOTSUPP);
	assert_int_equal(pt.ops->read_and_clear_dirty(&pt, 0, SZ_4K, 0, record, NULL),
			 -EOPNOTSUPP);
	pt_end(&pt, arena);
}

static void ranges_of_all_kinds_can_be_read(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DIRTY,
							.max_va_lg2 = 48 });

	assert_int_equal(map(&pt, (1ULL << 48) - SZ_4K, 0, SZ_4K, RW), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, (1ULL << 48) - 1), 0);
	ASSERT_CLEAN(&pt, 0, 0);
	ASSERT_DIRTY(&pt, 0, 1ULL << 48, 0, { (1ULL << 48) - SZ_4K, SZ_4K });
	ASSERT_CLEAN(&pt, 0, 1ULL << 48);
	assert_int_equal(pt.ops->read_and_clear_dirty(&pt, 0, (1ULL << 48) + 1, 0, record, NULL),
			 -ERANGE);
	assert_int_equal(pt.ops->read_and_clear_dirty(&pt, 1ULL << 48, 1, 0, record, NULL),
			 -ERANGE);
	pt_end(&pt, arena);
}

static void the_top_of_64_bits_can_be_read(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DIRTY });

	assert_int_equal(map(&pt, ~0xfffULL, 0x1000, SZ_4K, RW), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, ~0ULL), 0);
	ASSERT_DIRTY(&pt, 1, ~0ULL, 0, { ~0xfffULL, SZ_4K });
	ASSERT_CLEAN(&pt, 1, ~0ULL);
	pt_end(&pt, arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_of_many_items_is_one_unit),
		cmocka_unit_test(an_entry_of_many_large_items_is_one_unit_too),
		cmocka_unit_test(the_mock_marks_each_slot_by_itself),
		cmocka_unit_test(a_megabyte_of_the_mock_is_one_unit),
		cmocka_unit_test(neighbours_come_as_one_run),
		cmocka_unit_test(the_summary_survives_partial_reads),
		cmocka_unit_test(a_clean_table_is_not_even_looked_at),
		cmocka_unit_test(marks_go_with_their_mapping),
		cmocka_unit_test(without_the_feature_there_are_no_marks),
		cmocka_unit_test(ranges_of_all_kinds_can_be_read),
		cmocka_unit_test(the_top_of_64_bits_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
