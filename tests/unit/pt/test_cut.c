/* SPDX-License-Identifier: MIT */
/*
 * Cutting and joining: what becomes of an entry, of its marks and of the tables,
 * with and without memory; and that a device that does not snoop finds all of it.
 */
#include "pt_fixture.h"

#define SHIFT (64 * SZ_1G) /* physical address less iova */

static const pt_init_fn all[] = {
	pt_amdv1_init,		 pt_x86_64_init,	   pt_vtdss_init,
	pt_riscv_init,		 pt_riscv_x4_init,	   pt_lpae_s1_4k_init,
	pt_lpae_s1_4k_lpa2_init, pt_lpae_s1_16k_init,	   pt_lpae_s1_16k_lpa2_init,
	pt_lpae_s1_64k_init,	 pt_lpae_s2_4k_init,	   pt_lpae_s2_4k_lpa2_init,
	pt_lpae_s2_16k_init,	 pt_lpae_s2_16k_lpa2_init, pt_lpae_s2_64k_init,
};

struct list {
	unsigned n;
	struct {
		u64 iova, len;
		unsigned prot;
		bool dirty;
	} entry[1100];
};

static int note(void *ctx, u64 iova, u64 pa, u64 len, unsigned prot, bool dirty)
{
	struct list *list = ctx;

	assert_true(list->n < ARRAY_SIZE(list->entry));
	assert_int_equal(pa, iova + SHIFT);
	list->entry[list->n].iova = iova;
	list->entry[list->n].len = len;
	list->entry[list->n].prot = prot;
	list->entry[list->n++].dirty = dirty;
	return 0;
}

static struct list entries;

static struct list *list_of(struct pt_table *pt)
{
	entries.n = 0;
	assert_int_equal(pt->ops->dump(pt, note, &entries), 0);
	return &entries;
}

/* The lengths of the table's entries, in order, are these. */
static void assert_lengths(struct pt_table *pt, const u64 *len, unsigned n)
{
	struct list *list = list_of(pt);
	unsigned i;

	assert_int_equal(list->n, n);
	for (i = 0; i < n; i++)
		assert_int_equal(list->entry[i].len, len[i]);
	assert_sound(pt);
}

#define ASSERT_LENGTHS(pt, ...)                                                                    \
	do {                                                                                       \
		static const u64 expect[] = {__VA_ARGS__};                                         \
		assert_lengths(pt, expect, ARRAY_SIZE(expect));                                    \
	} while (0)

static void map_shifted(struct pt_table *pt, u64 iova, u64 len, unsigned prot)
{
	assert_int_equal(map(pt, iova, iova + SHIFT, len, prot), 0);
}

static void a_part_of_an_entry_is_cut_out_and_the_rest_stays_large(void **state)
{
	struct pt_table pt;
	struct arena *arena =
		pt_begin(&pt, pt_amdv1_init,
			 (struct pt_cfg){.max_va_lg2 = 48, .pgsize_mask = SZ_4K | SZ_64K | SZ_2M});

	map_shifted(&pt, SZ_1G, SZ_2M, RW);
	assert_int_equal(pt.ops->cut(&pt, SZ_1G + 17 * SZ_4K + 5, 1, 12), 0);
	assert_int_equal(list_of(&pt)->n, 1 + 16 + 30);
	assert_int_equal(entries.entry[0].len, SZ_64K);
	assert_int_equal(entries.entry[1].len, SZ_4K);
	assert_int_equal(entries.entry[16].len, SZ_4K);
	assert_int_equal(entries.entry[17].len, SZ_64K);
	assert_sound(&pt);
	/* to 64 KiB is the same as to anything below 2 MiB, and no page is touched */
	assert_int_equal(pt.ops->cut(&pt, SZ_1G, SZ_2M, 20), 0);
	assert_int_equal(list_of(&pt)->n, 1 + 16 + 30);
	collapse(&pt, SZ_1G, SZ_2M, 16);
	assert_int_equal(list_of(&pt)->n, 32);
	collapse(&pt, SZ_1G, SZ_2M, 0);
	ASSERT_LENGTHS(&pt, SZ_2M);
	/* now there is nothing between 4 KiB and the entry */
	assert_int_equal(unmap(&pt, SZ_1G, SZ_2M), SZ_2M);
	pt_end(&pt, arena);
}

static void sizes_between_are_used_outside_the_range(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init, (struct pt_cfg){.max_va_lg2 = 48});

	map_shifted(&pt, 0, SZ_64K, RW);
	assert_int_equal(pt.ops->cut(&pt, 0x5000, SZ_4K, 12), 0);
	ASSERT_LENGTHS(&pt, SZ_16K, SZ_4K, SZ_4K, 2 * SZ_4K, 2 * SZ_16K);
	pt_end(&pt, arena);
}

/* Whatever the entry, in any format: cut to pages, each piece is right, and join to what it was. */
static void each_size_of_each_format_is_cut_and_joined_again(void **state)
{
	struct pt_walk walk;
	struct pt_table pt;
	unsigned i, lg2, smallest;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		struct arena *arena = pt_begin(&pt, all[i], (struct pt_cfg){.max_va_lg2 = 48});
		u64 sizes = pt.ops->pgsize_bitmap(&pt);
		u32 tables = arena->live;

		smallest = __builtin_ctzll(sizes);
		for (lg2 = smallest + 1; lg2 < 40; lg2++) {
			u64 size = 1ULL << lg2, at = size, hit;

			if (!(sizes & size))
				continue;
			assert_int_equal(map(&pt, at, at + size, size, PT_PROT_READ), 0);
			hit = at + size / 2 + 5;
			assert_int_equal(pt.ops->cut(&pt, hit, 1, smallest), 0);
			assert_sound(&pt);
			assert_int_equal(pt.ops->walk(&pt, hit, &walk), 0);
			assert_int_equal(walk.lg2, smallest);
			assert_int_equal(walk.pa, hit + size);
			assert_int_equal(walk.prot & RW, PT_PROT_READ);
			assert_int_equal(phys(&pt, at), at + size);
			assert_int_equal(phys(&pt, at + size - 1), at + 2 * size - 1);
			collapse(&pt, 0, 4 * size, 0);
			assert_int_equal(pt.ops->walk(&pt, hit, &walk), 0);
			assert_int_equal(walk.lg2, lg2);
			assert_int_equal(walk.pa, hit + size);
			assert_sound(&pt);
			assert_int_equal(unmap(&pt, at, size), size);
		}
		assert_int_equal(unmap(&pt, 0, 1ULL << 47), 0);
		pt_end(&pt, arena);
		assert_true(tables);
	}
}

static void a_cut_carries_rights_and_marks(void **state)
{
	struct pt_walk walk;
	struct pt_table pt;
	unsigned i, prot, smallest;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		struct arena *arena = pt_begin(
			&pt, all[i], (struct pt_cfg){.max_va_lg2 = 48, .features = PT_FEAT_DIRTY});
		u64 size = 32 * SZ_1M, at;

		smallest = __builtin_ctzll(pt.ops->pgsize_bitmap(&pt));
		map_shifted(&pt, size, size, RW);
		map_shifted(&pt, 2 * size, size, RW);
		assert_int_equal(pt.ops->walk(&pt, size, &walk), 0);
		assert_false(walk.dirty);
		prot = walk.prot;
		assert_int_equal(pt.ops->set_dirty(&pt, size), 0);
		assert_int_equal(pt.ops->cut(&pt, size, 2 * size, smallest), 0);
		assert_sound(&pt);
		for (at = size; at < 3 * size; at += SZ_64K) {
			assert_int_equal(pt.ops->walk(&pt, at, &walk), 0);
			assert_int_equal(walk.lg2, smallest);
			assert_int_equal(walk.prot, prot);
			/* the unit was an entry of 2 MiB at least */
			if (at < size + SZ_2M)
				assert_true(walk.dirty);
			if (at >= 2 * size)
				assert_false(walk.dirty);
		}
		pt_end(&pt, arena);
	}
}

static u64 dirty_sum;

static void add_up(void *ctx, u64 iova, u64 len)
{
	dirty_sum += len;
}

static u64 dirty_in(struct pt_table *pt, u64 iova, u64 len, unsigned flags)
{
	dirty_sum = 0;
	assert_int_equal(pt->ops->read_and_clear_dirty(pt, iova, len, flags, add_up, NULL), 0);
	return dirty_sum;
}

static void one_dirty_page_makes_the_joined_entry_dirty(void **state)
{
	struct pt_walk walk;
	struct pt_table pt;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		struct arena *arena = pt_begin(
			&pt, all[i], (struct pt_cfg){.max_va_lg2 = 48, .features = PT_FEAT_DIRTY});
		u64 size = 32 * SZ_1M, unit;

		map_shifted(&pt, size, size, RW);
		map_shifted(&pt, 2 * size, size, RW);
		assert_int_equal(pt.ops->cut(&pt, size, 2 * size, 16), 0);
		assert_int_equal(dirty_in(&pt, 0, SZ_1G, 0), 0);
		assert_int_equal(pt.ops->set_dirty(&pt, size + size / 2), 0);
		unit = dirty_in(&pt, 0, SZ_1G, PT_DIRTY_NO_CLEAR);
		assert_true(unit == SZ_4K || unit == SZ_16K || unit == SZ_64K);
		collapse(&pt, 0, SZ_1G, 0);
		assert_sound(&pt);
		assert_int_equal(pt.ops->walk(&pt, size + size / 2, &walk), 0);
		assert_true(walk.lg2 >= 21);
		assert_int_equal(dirty_in(&pt, 0, SZ_1G, 0), 1ULL << walk.lg2);
		assert_int_equal(dirty_in(&pt, 0, SZ_1G, 0), 0);
		pt_end(&pt, arena);
	}
}

/* What a clean entry is written to after tracking began is found once, and is still writable. */
static void marks_are_kept_in_every_format(void **state)
{
	struct pt_walk walk;
	struct pt_table pt;
	unsigned i;
	int rc;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		struct arena *arena = pt_begin(
			&pt, all[i], (struct pt_cfg){.max_va_lg2 = 48, .features = PT_FEAT_DIRTY});

		map_shifted(&pt, SZ_1G, SZ_64K, RW | PT_PROT_PAGES);
		map_shifted(&pt, SZ_1G + SZ_64K, SZ_64K, PT_PROT_READ);
		map_shifted(&pt, 2 * SZ_1G, SZ_1G, RW);
		assert_int_equal(dirty_in(&pt, 0, 4 * SZ_1G, 0), 0);
		assert_int_equal(pt.ops->set_dirty(&pt, SZ_1G + 5), 0);
		assert_int_equal(pt.ops->set_dirty(&pt, SZ_1G + 6), 0);
		assert_int_equal(pt.ops->set_dirty(&pt, 3 * SZ_1G - 1), 0);
		assert_int_equal(pt.ops->walk(&pt, SZ_1G, &walk), 0);
		assert_true(walk.dirty);
		assert_int_equal(dirty_in(&pt, SZ_1G, SZ_64K, 0), 1ULL << walk.lg2);
		assert_int_equal(pt.ops->walk(&pt, SZ_1G, &walk), 0);
		assert_false(walk.dirty);
		assert_int_equal(walk.prot & RW, RW);
		assert_int_equal(pt.ops->walk(&pt, 3 * SZ_1G - 1, &walk), 0);
		assert_true(walk.dirty);
		assert_int_equal(dirty_in(&pt, 0, 4 * SZ_1G, 0), 1ULL << walk.lg2);
		assert_int_equal(dirty_in(&pt, 0, 4 * SZ_1G, 0), 0);
		assert_sound(&pt);
		/* ARM's mark is the right to write, which a read only entry has not got */
		rc = pt.ops->set_dirty(&pt, SZ_1G + SZ_64K);
		assert_int_equal(rc, strncmp(pt.ops->name, "lpae", 4) ? 0 : -EACCES);
		assert_int_equal(pt.ops->walk(&pt, SZ_1G + SZ_64K, &walk), 0);
		assert_int_equal(walk.prot & RW, PT_PROT_READ);
		pt_end(&pt, arena);
	}
}

static void leaves_may_be_born_dirty(void **state)
{
	struct pt_table pt;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		struct arena *arena =
			pt_begin(&pt, all[i],
				 (struct pt_cfg){.max_va_lg2 = 48,
						 .features = PT_FEAT_DIRTY | PT_FEAT_NEW_DIRTY});

		map_shifted(&pt, SZ_1G - SZ_64K, SZ_1G + 2 * SZ_64K, RW);
		map_shifted(&pt, 3 * SZ_1G, SZ_64K, PT_PROT_READ);
		assert_sound(&pt);
		assert_int_equal(dirty_in(&pt, 0, 4 * SZ_1G, 0), SZ_1G + 2 * SZ_64K);
		assert_int_equal(dirty_in(&pt, 0, 4 * SZ_1G, 0), 0);
		pt_end(&pt, arena);
	}
}

static void only_what_is_alike_and_contiguous_is_joined(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_lpae_s1_4k_init, (struct pt_cfg){.max_va_lg2 = 48});
	u64 page;

	for (page = 0; page < 16; page++)
		if (page != 7)
			map_shifted(&pt, page * SZ_4K, SZ_4K, RW);
	collapse(&pt, 0, SZ_64K, 0);
	assert_int_equal(list_of(&pt)->n, 15); /* a hole */
	map_shifted(&pt, 7 * SZ_4K, SZ_4K, PT_PROT_READ);
	collapse(&pt, 0, SZ_64K, 0);
	assert_int_equal(list_of(&pt)->n, 16); /* other rights */
	assert_int_equal(unmap(&pt, 7 * SZ_4K, SZ_4K), SZ_4K);
	map_shifted(&pt, 7 * SZ_4K, SZ_4K, RW | PT_PROT_CACHE);
	collapse(&pt, 0, SZ_64K, 0);
	assert_int_equal(list_of(&pt)->n, 16); /* another memory type */
	assert_int_equal(unmap(&pt, 7 * SZ_4K, SZ_4K), SZ_4K);
	map_shifted(&pt, 7 * SZ_4K, SZ_4K, RW);
	collapse(&pt, SZ_4K, SZ_64K, 0);
	assert_int_equal(list_of(&pt)->n, 16); /* not all in the range */
	collapse(&pt, 0, SZ_64K - 1, 0);
	assert_int_equal(list_of(&pt)->n, 16);
	collapse(&pt, 0, SZ_64K, 15);
	assert_int_equal(list_of(&pt)->n, 16); /* not so large */
	collapse(&pt, 0, SZ_64K, 16);
	ASSERT_LENGTHS(&pt, SZ_64K);
	pt_end(&pt, arena);
}

static void physical_runs_must_begin_aligned_and_have_no_jump(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_x86_64_init, (struct pt_cfg){.max_va_lg2 = 48});
	struct pt_walk walk;

	assert_int_equal(map(&pt, SZ_2M, SZ_2M + SZ_4K, SZ_2M, RW), 0);
	assert_int_equal(map(&pt, 2 * SZ_2M, 8 * SZ_2M, SZ_2M - SZ_4K, RW), 0);
	assert_int_equal(map(&pt, 3 * SZ_2M - SZ_4K, 7 * SZ_2M - SZ_4K, SZ_4K, RW), 0);
	collapse(&pt, 0, SZ_1G, 0);
	assert_int_equal(pt.ops->walk(&pt, SZ_2M, &walk), 0);
	assert_int_equal(walk.lg2, 12);
	assert_int_equal(pt.ops->walk(&pt, 2 * SZ_2M, &walk), 0);
	assert_int_equal(walk.lg2, 12);
	pt_end(&pt, arena);
}

static void tables_go_with_the_next_flush(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_x86_64_init, (struct pt_cfg){.max_va_lg2 = 48});
	struct pt_gather gather;

	map_shifted(&pt, 0, SZ_1G, RW);
	assert_int_equal(arena->live, 2);
	assert_int_equal(pt.ops->cut(&pt, 0, SZ_2M + 1, 12), 0);
	assert_int_equal(arena->live, 2 + 1 + 2);
	pt_gather_init(&gather);
	assert_int_equal(pt.ops->collapse(&pt, 0, SZ_1G, 0, &gather), 0);
	assert_int_equal(arena->live, 2 + 1 + 2);
	assert_int_equal(phys(&pt, SZ_2M), SZ_2M + SHIFT);
	pt_gather_free(&gather);
	assert_int_equal(arena->live, 2);
	ASSERT_LENGTHS(&pt, SZ_1G);
	pt_end(&pt, arena);
}

static void bad_requests_are_refused(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_vtdss_init,
				       (struct pt_cfg){.max_va_lg2 = 39, .pgsize_mask = ~SZ_4K});
	struct pt_gather gather;

	pt_gather_init(&gather);
	map_shifted(&pt, 0, SZ_1G, RW);
	assert_int_equal(pt.ops->cut(&pt, 0, SZ_1G, 20), -EINVAL);
	assert_int_equal(pt.ops->cut(&pt, 0, (1ULL << 39) + 1, 21), -ERANGE);
	assert_int_equal(pt.ops->cut(&pt, 1ULL << 39, 1, 21), -ERANGE);
	assert_int_equal(pt.ops->cut(&pt, 0, 0, 21), 0);
	assert_int_equal(pt.ops->cut(&pt, 0, SZ_1G, 30), 0);
	assert_int_equal(pt.ops->cut(&pt, 2 * SZ_1G, SZ_1G, 21), 0);
	assert_int_equal(pt.ops->cut(&pt, 0, 1ULL << 39, 99), 0);
	assert_int_equal(pt.ops->collapse(&pt, 0, (1ULL << 39) + 1, 0, &gather), -ERANGE);
	assert_int_equal(pt.ops->collapse(&pt, 1ULL << 39, 1, 0, &gather), -ERANGE);
	assert_int_equal(pt.ops->collapse(&pt, 0, 0, 0, &gather), 0);
	ASSERT_LENGTHS(&pt, SZ_1G);
	pt_end(&pt, arena);
}

/* Each allocation of a cut fails once: no byte loses its translation, and nothing leaks. */
static void sweep(pt_init_fn init, struct pt_cfg cfg, u64 size, u64 first, u64 len)
{
	struct fault_state fault = {0};
	struct pt_table pt;
	int rc = -ENOMEM;
	unsigned lg2;
	u64 at;
	u32 nth;

	for (nth = 1; rc; nth++) {
		struct arena *arena = pt_begin(&pt, init, cfg);

		lg2 = __builtin_ctzll(pt.ops->pgsize_bitmap(&pt));
		map_shifted(&pt, size, size, RW);
		assert_int_equal(pt.ops->set_dirty(&pt, size + first), 0);
		fault_current = &fault;
		atomic_store(&fault.nth, nth);
		rc = pt.ops->cut(&pt, size + first, len, lg2);
		atomic_store(&fault.nth, 0);
		fault_current = NULL;
		assert_true(!rc || rc == -ENOMEM);
		assert_sound(&pt);
		for (at = size; at < 2 * size; at += SZ_1M / 2)
			assert_int_equal(phys(&pt, at), at + SHIFT);
		assert_true(dirty_in(&pt, size + first, 1, PT_DIRTY_NO_CLEAR));
		/* joining needs no memory */
		fault_current = &fault;
		atomic_store(&fault.nth, 1);
		collapse(&pt, 0, 4 * size, 0);
		assert_int_equal(atomic_load(&fault.nth), 1);
		atomic_store(&fault.nth, 0);
		fault_current = NULL;
		assert_lengths(&pt, &size, 1);
		assert_true(entries.entry[0].dirty);
		pt_end(&pt, arena);
	}
	assert_true(nth > 2);
}

static void a_cut_without_memory_changes_nothing(void **state)
{
	const struct pt_cfg dirty = {.max_va_lg2 = 48, .features = PT_FEAT_DIRTY};
	struct pt_cfg gap = dirty;

	sweep(pt_amdv1_init, dirty, SZ_1G, 5 * SZ_4K, SZ_4K);
	sweep(pt_x86_64_init, dirty, SZ_1G, SZ_2M - SZ_4K, 2 * SZ_4K);
	sweep(pt_lpae_s1_4k_init, dirty, 16 * SZ_1G, SZ_1G - SZ_4K, 2 * SZ_4K);
	sweep(pt_lpae_s2_16k_init, dirty, SZ_1G, 3 * SZ_2M, 8 * SZ_2M);
	gap.pgsize_mask = SZ_4K | 16 * SZ_2M;
	sweep(pt_lpae_s1_4k_init, gap, 16 * SZ_2M, 0, SZ_4K);
}

/* ---- devices that do not snoop ---- */

/* Walk the copy that flushes made: no table may be linked before its contents are there. */
static void look_as_a_device(struct arena *arena, u64 pa, unsigned level, unsigned bits,
			     u64 first_bits)
{
	const u64 *items = (const u64 *)(arena->shadow + (pa - ARENA_PA));
	u64 i;

	for (i = 0; i < 1ULL << first_bits; i++) {
		assert_true(items[i] != ~0ULL);
		/* x86-64: present, and no leaf; ARM: a table */
		if (level && (items[i] & 1) && (bits == 9 ? !(items[i] & 0x80) : items[i] & 2))
			look_as_a_device(arena, items[i] & 0xfffffffff000, level - 1, bits, bits);
	}
}

static struct arena *watched;
static unsigned watched_bits, watched_top_bits;

static void flush_and_look(struct pt_table *pt, const void *at, u64 len)
{
	unsigned level;
	u64 root;

	arena_flush(pt, at, len);
	if (!watched) /* the root itself is being made */
		return;
	root = pt->ops->root(pt, &level);
	look_as_a_device(watched, root, level, watched_bits, watched_top_bits);
}

static void a_table_is_flushed_before_it_is_linked(void **state)
{
	static const struct {
		pt_init_fn init;
		unsigned va_lg2, bits, top_bits;
	} some[] = {
		{pt_x86_64_init, 48, 9, 9},
		{pt_lpae_s1_16k_init, 36, 11, 11},
	};
	struct pt_table pt;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(some); i++) {
		struct arena *arena;

		watched = NULL;
		watched_bits = some[i].bits;
		watched_top_bits = some[i].top_bits;
		arena = pt_begin(
			&pt, some[i].init,
			(struct pt_cfg){.max_va_lg2 = some[i].va_lg2, .flush = flush_and_look});
		watched = arena;
		map_shifted(&pt, SZ_1G - SZ_64K, SZ_64K + 16 * SZ_2M, RW);
		assert_int_equal(pt.ops->cut(&pt, SZ_1G + SZ_2M, SZ_64K, 14), 0);
		collapse(&pt, SZ_1G, 16 * SZ_2M, 0);
		assert_int_equal(unmap(&pt, SZ_1G - SZ_64K, SZ_64K), SZ_64K);
		assert_true(arena->flushes > 5);
		watched = NULL;
		pt_end(&pt, arena);
	}
}

/* Flushes are one for each run, table and link, not one for each item. */
static void a_run_is_flushed_at_once(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(
		&pt, pt_vtdss_init,
		(struct pt_cfg){.max_va_lg2 = 39, .flush = arena_flush, .pgsize_mask = SZ_4K});

	assert_int_equal(arena->flushes, 1); /* the root */
	map_shifted(&pt, 0, SZ_2M, RW);
	assert_int_equal(arena->flushes, 1 + 2 * 2 + 1); /* two tables, their links, the run */
	assert_int_equal(unmap(&pt, 0, SZ_4K), SZ_4K);
	assert_int_equal(arena->flushes, 7);
	map_shifted(&pt, 0, SZ_4K, PT_PROT_READ);
	assert_int_equal(arena->flushes, 8); /* the tables are known to be there */
	assert_int_equal(unmap(&pt, 0, SZ_2M), SZ_2M);
	assert_int_equal(arena->flushes, 9); /* the table's link; what was in it goes with it */
	pt_end(&pt, arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_part_of_an_entry_is_cut_out_and_the_rest_stays_large),
		cmocka_unit_test(sizes_between_are_used_outside_the_range),
		cmocka_unit_test(each_size_of_each_format_is_cut_and_joined_again),
		cmocka_unit_test(a_cut_carries_rights_and_marks),
		cmocka_unit_test(one_dirty_page_makes_the_joined_entry_dirty),
		cmocka_unit_test(marks_are_kept_in_every_format),
		cmocka_unit_test(leaves_may_be_born_dirty),
		cmocka_unit_test(only_what_is_alike_and_contiguous_is_joined),
		cmocka_unit_test(physical_runs_must_begin_aligned_and_have_no_jump),
		cmocka_unit_test(tables_go_with_the_next_flush),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(a_cut_without_memory_changes_nothing),
		cmocka_unit_test(a_table_is_flushed_before_it_is_linked),
		cmocka_unit_test(a_run_is_flushed_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
