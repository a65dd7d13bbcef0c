/* SPDX-License-Identifier: MIT */
/*
 * Running out of memory at every single allocation: what was mapped is known,
 * stays right, can be unmapped, and nothing leaks.
 */
#include "pt_fixture.h"

static void assert_nothing(void *ctx, u64 iova, u64 len)
{
	fail_msg("a mark appeared");
}

static int assert_no_entry(void *ctx, u64 iova, u64 pa, u64 len, unsigned prot, bool dirty)
{
	return -EEXIST;
}

static void sweep_map(struct pt_cfg cfg, u64 iova, u64 pa, u64 len)
{
	struct fault_state fault = { 0 };
	struct pt_table pt;
	struct arena *arena;
	u64 mapped, at;
	int rc = -ENOMEM;
	u32 nth;

	for (nth = 1; rc; nth++) {
		arena = pt_begin(&pt, pt_amdv1_init, cfg);
		fault_current = &fault;
		atomic_store(&fault.nth, nth);
		rc = pt.ops->map_range(&pt, iova, pa, len, RW, &mapped);
		atomic_store(&fault.nth, 0);
		fault_current = NULL;
		assert_sound(&pt);
		if (!rc) {
			assert_int_equal(mapped, len);
			assert_true(nth > 5);
			pt_end(&pt, arena);
			break;
		}
		assert_int_equal(rc, -ENOMEM);
		assert_true(mapped < len);
		for (at = 0; at < mapped; at += SZ_4K)
			assert_int_equal(phys(&pt, iova + at), pa + at);
		assert_int_equal(phys(&pt, iova + mapped), ~0ULL);

		assert_int_equal(unmap(&pt, iova, mapped), mapped);
		assert_int_equal(pt.ops->dump(&pt, assert_no_entry, NULL), 0);
		assert_sound(&pt);
		/* what was left behind serves the next try */
		assert_int_equal(map(&pt, iova, pa, len, RW), 0);
		assert_int_equal(phys(&pt, iova + len - 1), pa + len - 1);
		assert_sound(&pt);
		pt_end(&pt, arena);
	}
}

static void small_entries_across_levels(void **state)
{
	sweep_map((struct pt_cfg){ .max_va_lg2 = 48, .pgsize_mask = SZ_4K },
		  (1ULL << 39) - 3 * SZ_2M - SZ_4K, SZ_1G, 6 * SZ_2M);
}

static void mixed_entries_across_levels(void **state)
{
	sweep_map((struct pt_cfg){ .max_va_lg2 = 48 }, (1ULL << 39) - 3 * SZ_2M - SZ_4K,
		  SZ_1G - SZ_4K, 6 * SZ_2M);
}

static void a_growing_top(void **state)
{
	sweep_map((struct pt_cfg){ .features = PT_FEAT_DYNAMIC_TOP }, (1ULL << 57) - 5 * SZ_4K,
		  SZ_1G, 10 * SZ_4K);
}

static void making_a_table_fails_cleanly(void **state)
{
	struct arena *arena = arena_new();
	struct pt_cfg cfg = { .alloc = &arena_ops, .alloc_ctx = arena };
	struct fault_state fault = { 0 };
	struct pt_table pt;
	u32 nth;

	for (nth = 1; nth <= 2; nth++) {
		fault_current = &fault;
		atomic_store(&fault.nth, nth);
		assert_int_equal(pt_amdv1_init(&pt, &cfg), -ENOMEM);
		fault_current = NULL;
		assert_int_equal(arena->live, 0);
	}
	arena_end(arena);
}

static void unmap_and_dirty_need_no_memory(void **state)
{
	struct fault_state fault = { 0 };
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DIRTY,
							.pgsize_mask = SZ_4K });

	assert_int_equal(map(&pt, SZ_1G - SZ_2M, 0, 3 * SZ_2M, RW), 0);
	fault_current = &fault;
	assert_int_equal(pt.ops->set_dirty(&pt, SZ_1G), 0);
	assert_int_equal(unmap(&pt, SZ_1G - SZ_2M, 3 * SZ_2M), 3 * SZ_2M);
	assert_int_equal(pt.ops->read_and_clear_dirty(&pt, 0, 4 * SZ_1G, 0, assert_nothing, NULL),
			 0);
	pt.ops->fini(&pt);
	fault_current = NULL;
	assert_int_equal(atomic_load(&fault.passed), 0);
	arena_end(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_entries_across_levels),
		cmocka_unit_test(mixed_entries_across_levels),
		cmocka_unit_test(a_growing_top),
		cmocka_unit_test(making_a_table_fails_cleanly),
		cmocka_unit_test(unmap_and_dirty_need_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
