/* SPDX-License-Identifier: MIT */
/*
 * AMDv1: the bits in memory, which entries a mapping is made of, and what is
 * refused.
 */
#include "pt_fixture.h"

static void entries_in_memory_have_the_bits_of_the_manual(void **state)
{
	static const struct {
		u64 pa, len;
		unsigned prot, level, items;
		u64 item;
	} golden[] = {
		{ 0x123456000, SZ_4K, RW, 0, 1, 0x6000000123456001 },
		{ 0x123456000, SZ_4K, PT_PROT_READ, 0, 1, 0x2000000123456001 },
		{ 0x123456000, SZ_4K, PT_PROT_WRITE, 0, 1, 0x4000000123456001 },
		{ 0x123456000, SZ_4K, RW | PT_PROT_CACHE, 0, 1, 0x6000000123456001 },
		{ 0x123456000, 2 * SZ_4K, RW, 0, 2, 0x6000000123456e01 },
		{ 0x123454000, 4 * SZ_4K, RW, 0, 4, 0x6000000123455e01 },
		{ 0x123450000, 16 * SZ_4K, RW, 0, 16, 0x6000000123457e01 },
		{ 0x123400000, SZ_1M, RW, 0, 256, 0x600000012347fe01 },
		{ 0x123400000, SZ_2M, RW, 1, 1, 0x6000000123400001 },
		{ 0x123400000, 2 * SZ_2M, RW, 1, 2, 0x60000001235ffe01 },
		{ 0x140000000, SZ_1G, RW, 2, 1, 0x6000000140000001 },
	};
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init, (struct pt_cfg){ .max_va_lg2 = 48 });
	u64 iova = 0x8000000000;
	unsigned i, n;

	for (i = 0; i < ARRAY_SIZE(golden); i++) {
		assert_int_equal(map(&pt, iova, golden[i].pa, golden[i].len, golden[i].prot), 0);
		for (n = 0; n < golden[i].items; n++)
			assert_int_equal(raw_item(&pt, 12, golden[i].level,
						  iova + n * (golden[i].len / golden[i].items)),
					 golden[i].item);
		assert_sound(&pt);
		assert_int_equal(unmap(&pt, iova, golden[i].len), golden[i].len);
	}
	pt_end(&pt, arena);
}

static void tables_are_linked_by_next_level(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init, (struct pt_cfg){ .max_va_lg2 = 39 });
	unsigned level;

	/* the arena gives frames in order: root, then level 1, then level 0 */
	assert_int_equal(pt.ops->root(&pt, &level), ARENA_PA);
	assert_int_equal(level, 2);
	assert_int_equal(map(&pt, 0, 0x123456000, SZ_4K, RW), 0);
	assert_int_equal(raw_item(&pt, 12, 2, 0), 0x600000007f001401 + 0x1000);
	assert_int_equal(raw_item(&pt, 12, 1, 0), 0x600000007f001201 + 0x2000);
	pt_end(&pt, arena);
}

static void a_device_that_writes_sets_accessed_and_dirty(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DIRTY });
	struct pt_walk walk;

	assert_int_equal(map(&pt, SZ_4K, 0x123456000, SZ_4K, RW), 0);
	assert_int_equal(pt.ops->walk(&pt, SZ_4K, &walk), 0);
	assert_false(walk.dirty);
	assert_int_equal(pt.ops->set_dirty(&pt, SZ_4K + 5), 0);
	assert_int_equal(raw_item(&pt, 12, 0, SZ_4K), 0x6000000123456061);
	assert_int_equal(pt.ops->walk(&pt, SZ_4K, &walk), 0);
	assert_true(walk.dirty);
	pt_end(&pt, arena);
}

static void force_coherent_marks_leaves_only(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .max_va_lg2 = 39,
							.features = PT_FEAT_FORCE_COHERENT });

	assert_int_equal(map(&pt, 0, 0x123456000, SZ_4K, RW), 0);
	assert_int_equal(raw_item(&pt, 12, 0, 0), 0x7000000123456001);
	assert_int_equal(raw_item(&pt, 12, 1, 0), 0x600000007f003201);
	pt_end(&pt, arena);
}

static void every_page_size_is_one_entry(void **state)
{
	static const pt_init_fn inits[] = { pt_amdv1_init, pt_amdv1_mock_init };
	struct pt_walk walk;
	struct pt_table pt;
	unsigned i, lg2;

	for (i = 0; i < ARRAY_SIZE(inits); i++) {
		struct arena *arena = pt_begin(&pt, inits[i], (struct pt_cfg){ 0 });
		u64 sizes = pt.ops->pgsize_bitmap(&pt);

		assert_int_equal(sizes, i ? 0x7fffffffff800 : 0x000fff7ffffff000);
		for (lg2 = 11; lg2 < 52; lg2++) {
			u64 size = 1ULL << lg2, at = lg2 == 51 ? 0 : size;

			if (!(sizes & size))
				continue;
			assert_int_equal(map(&pt, size, at, size, RW), 0);
			assert_int_equal(pt.ops->walk(&pt, size + size / 2 + 1, &walk), 0);
			assert_int_equal(walk.lg2, lg2);
			assert_int_equal(walk.pa, at + size / 2 + 1);
			assert_int_equal(walk.run, size / 2 - 1);
			assert_int_equal(walk.prot, RW);
			assert_int_equal(phys(&pt, size - 1), ~0ULL);
			assert_int_equal(phys(&pt, 2 * size), ~0ULL);
			assert_sound(&pt);
			assert_int_equal(unmap(&pt, size, size), size);
			assert_int_equal(phys(&pt, size), ~0ULL);
		}
		pt_end(&pt, arena);
	}
}

/* 512 GiB is not to be used: two halves instead. */
static void the_size_hardware_gets_wrong_is_avoided(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init, (struct pt_cfg){ .max_va_lg2 = 48 });
	struct pt_walk walk;

	assert_int_equal(map(&pt, 1ULL << 39, 0, 1ULL << 39, RW), 0);
	assert_int_equal(pt.ops->walk(&pt, 1ULL << 39, &walk), 0);
	assert_int_equal(walk.lg2, 38);
	assert_sound(&pt);
	pt_end(&pt, arena);
}

struct shape {
	unsigned n;
	unsigned lg2[64];
};

static int note_shape(void *ctx, u64 iova, u64 pa, u64 len, unsigned prot, bool dirty)
{
	struct shape *shape = ctx;

	assert_true(shape->n < ARRAY_SIZE(shape->lg2));
	assert_true(is_power_of_2(len));
	shape->lg2[shape->n++] = __builtin_ctzll(len);
	return 0;
}

static void assert_shape(struct pt_table *pt, const unsigned *lg2, unsigned n)
{
	struct shape shape = { 0 };

	assert_int_equal(pt->ops->dump(pt, note_shape, &shape), 0);
	assert_int_equal(shape.n, n);
	assert_memory_equal(shape.lg2, lg2, n * sizeof(*lg2));
}

static void the_largest_entries_alignment_allows_are_chosen(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init, (struct pt_cfg){ .max_va_lg2 = 48 });

	/* iova and pa march together: up in size, then down */
	assert_int_equal(map(&pt, 0x1ff000, 0x101ff000, SZ_4K + 2 * SZ_2M + 3 * SZ_4K, RW), 0);
	assert_shape(&pt, (unsigned[]){ 12, 21, 21, 13, 12 }, 5);
	assert_int_equal(unmap(&pt, 0x1ff000, 0x404000), 0x404000);
	/* the physical address is 16 KiB out of step */
	assert_int_equal(map(&pt, 0x200000, 0x10004000, 0x10000, RW), 0);
	assert_shape(&pt, (unsigned[]){ 14, 14, 14, 14 }, 4);
	assert_int_equal(unmap(&pt, 0x200000, 0x10000), 0x10000);
	/* the remaining length decides */
	assert_int_equal(map(&pt, 0, 0, 0x7000, RW), 0);
	assert_shape(&pt, (unsigned[]){ 14, 13, 12 }, 3);
	assert_sound(&pt);
	pt_end(&pt, arena);
}

static void only_allowed_page_sizes_are_used(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_mock_init,
				       (struct pt_cfg){ .max_va_lg2 = 38,
							.pgsize_mask = SZ_4K | SZ_1M });
	u64 mapped;

	assert_int_equal(pt.ops->pgsize_bitmap(&pt), SZ_4K | SZ_1M);
	assert_int_equal(pt.aperture_last, (1ULL << 38) - 1);
	assert_int_equal(pt.ops->map_range(&pt, 0x800, 0, SZ_4K, RW, &mapped), -EINVAL);
	assert_int_equal(map(&pt, SZ_1M - 2 * SZ_4K, 9 * SZ_1M - 2 * SZ_4K,
			     2 * SZ_4K + 2 * SZ_1M + SZ_4K, RW), 0);
	assert_shape(&pt, (unsigned[]){ 12, 12, 20, 20, 12 }, 5);
	assert_sound(&pt);
	pt_end(&pt, arena);
}

static void a_map_may_ask_for_pages_only(void **state)
{
	struct pt_table pt;
	struct arena *arena =
		pt_begin(&pt, pt_amdv1_mock_init, (struct pt_cfg){ .max_va_lg2 = 38 });

	assert_int_equal(map(&pt, 0, SZ_1G, 4 * SZ_4K, RW | PT_PROT_PAGES), 0);
	assert_shape(&pt, (unsigned[]){ 12, 12, 12, 12 }, 4);
	assert_int_equal(unmap(&pt, 0, 4 * SZ_4K), 4 * SZ_4K);
	assert_int_equal(map(&pt, 0x800, SZ_1G + 0x800, 0x1800, RW | PT_PROT_PAGES), 0);
	assert_shape(&pt, (unsigned[]){ 11, 12 }, 2);
	assert_sound(&pt);
	pt_end(&pt, arena);
}

static void bad_requests_are_refused_and_map_nothing(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .max_va_lg2 = 39, .max_oa_lg2 = 40 });
	u64 mapped = 1;

#define REFUSED(error, iova, pa, len, prot)                                                        \
	do {                                                                                       \
		mapped = 1;                                                                        \
		assert_int_equal(pt.ops->map_range(&pt, iova, pa, len, prot, &mapped), error);     \
		assert_int_equal(mapped, 0);                                                       \
	} while (0)
	REFUSED(-EINVAL, 0, 0, 0, RW);
	REFUSED(-EINVAL, 1, 0, SZ_4K, RW);
	REFUSED(-EINVAL, 0, 0x800, SZ_4K, RW);
	REFUSED(-EINVAL, 0, 0, 0x1800, RW);
	REFUSED(-EINVAL, 0, 0, SZ_4K, 0);
	REFUSED(-EINVAL, 0, 0, SZ_4K, PT_PROT_CACHE | PT_PROT_MMIO);
	REFUSED(-ERANGE, 1ULL << 39, 0, SZ_4K, RW);
	REFUSED(-ERANGE, (1ULL << 39) - SZ_4K, 0, 2 * SZ_4K, RW);
	REFUSED(-ERANGE, ~0xfffULL, 0, 2 * SZ_4K, RW);
	REFUSED(-ERANGE, 0, 1ULL << 40, SZ_4K, RW);
	REFUSED(-ERANGE, 0, (1ULL << 40) - SZ_4K, 2 * SZ_4K, RW);
	REFUSED(-ERANGE, 0, ~0xfffULL, 2 * SZ_4K, RW);
#undef REFUSED
	assert_int_equal(arena->live, 1);
	assert_int_equal(map(&pt, (1ULL << 39) - SZ_4K, (1ULL << 40) - SZ_4K, SZ_4K, RW), 0);
	assert_int_equal(phys(&pt, (1ULL << 39) - 1), (1ULL << 40) - 1);
	assert_int_equal(phys(&pt, 1ULL << 39), ~0ULL);
	assert_int_equal(phys(&pt, ~0ULL), ~0ULL);
	pt_end(&pt, arena);
}

static void an_impossible_configuration_is_refused(void **state)
{
	struct arena *arena = arena_new();
	struct pt_table pt;
	struct pt_cfg cfg = { .alloc = &arena_ops, .alloc_ctx = arena };

	cfg.max_va_lg2 = 65;
	assert_int_equal(pt_amdv1_init(&pt, &cfg), -EINVAL);
	cfg.max_va_lg2 = 57;
	assert_int_equal(pt_amdv1_mock_init(&pt, &cfg), -EINVAL);
	cfg.max_oa_lg2 = 53;
	assert_int_equal(pt_amdv1_init(&pt, &cfg), -EINVAL);
	cfg.max_oa_lg2 = 0;
	cfg.top_level = 2; /* reaches 39 bits only, and may not grow */
	assert_int_equal(pt_amdv1_init(&pt, &cfg), -EINVAL);
	cfg.top_level = 6;
	assert_int_equal(pt_amdv1_init(&pt, &cfg), -EINVAL);
	cfg.top_level = 0;
	cfg.pgsize_mask = 0x800;
	assert_int_equal(pt_amdv1_init(&pt, &cfg), -EINVAL);
	cfg.pgsize_mask = 0;
	cfg.features = 1u << 31;
	assert_int_equal(pt_amdv1_init(&pt, &cfg), -EOPNOTSUPP);
	arena_end(arena);
}

static void occupied_iovas_stop_a_map_where_they_begin(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init, (struct pt_cfg){ .max_va_lg2 = 48 });
	u64 mapped;

	/* a leaf among leaves */
	assert_int_equal(map(&pt, 3 * SZ_4K, 0x5000, SZ_4K, RW), 0);
	assert_int_equal(pt.ops->map_range(&pt, 0, 0x1000, 8 * SZ_4K, RW, &mapped), -EADDRINUSE);
	assert_int_equal(mapped, 3 * SZ_4K);
	assert_int_equal(unmap(&pt, 0, mapped), mapped);
	/* a leaf inside a larger entry: none of the entry is written */
	assert_int_equal(pt.ops->map_range(&pt, 0, 0, 8 * SZ_4K, RW, &mapped), -EADDRINUSE);
	assert_int_equal(mapped, 0);
	assert_int_equal(phys(&pt, 0), ~0ULL);
	/* a table with content where a large leaf wants to be */
	assert_int_equal(pt.ops->map_range(&pt, 0, 0, SZ_2M, RW, &mapped), -EADDRINUSE);
	assert_int_equal(mapped, 0);
	assert_int_equal(pt.ops->map_range(&pt, 0, 0, SZ_1G, RW, &mapped), -EADDRINUSE);
	assert_int_equal(mapped, 0);
	/* a large leaf where a table would have to be */
	assert_int_equal(map(&pt, SZ_1G, 0, SZ_1G, RW), 0);
	assert_int_equal(pt.ops->map_range(&pt, SZ_1G + SZ_4K, 0x2000, SZ_4K, RW, &mapped),
			 -EADDRINUSE);
	assert_int_equal(map(&pt, 2 * SZ_1G, 0, SZ_2M, RW), 0);
	assert_int_equal(pt.ops->map_range(&pt, 2 * SZ_1G, 0x1000, SZ_4K, RW, &mapped),
			 -EADDRINUSE);
	assert_sound(&pt);
	assert_int_equal(phys(&pt, 3 * SZ_4K), 0x5000);
	pt_end(&pt, arena);
}

static void an_entry_is_never_cut_by_unmap(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init, (struct pt_cfg){ .max_va_lg2 = 48 });

	assert_int_equal(map(&pt, 0, 0x1000, SZ_4K, RW), 0);
	assert_int_equal(map(&pt, 0x10000, 0x10000, 0x10000, RW), 0);
	assert_int_equal(map(&pt, SZ_2M, SZ_2M, SZ_2M, RW), 0);
	assert_int_equal(unmap(&pt, 0x10000, 0xf000), 0);
	assert_int_equal(unmap(&pt, 0x11000, 0xf000), 0);
	assert_int_equal(unmap(&pt, SZ_2M, SZ_2M - SZ_4K), 0);
	assert_int_equal(unmap(&pt, SZ_2M + SZ_1M, SZ_1M), 0);
	assert_int_equal(unmap(&pt, SZ_4K, SZ_1G), 0); /* begins in a hole */
	assert_int_equal(unmap(&pt, 0, SZ_1G), SZ_4K); /* ends at a hole */
	assert_int_equal(unmap(&pt, 0, 0), 0);
	assert_int_equal(unmap(&pt, 1ULL << 60, SZ_1G), 0);
	assert_int_equal(phys(&pt, 0x1ffff), 0x1ffff);
	assert_int_equal(phys(&pt, SZ_2M), SZ_2M);
	assert_sound(&pt);
	pt_end(&pt, arena);
}

static void a_large_entry_takes_the_place_of_an_emptied_table(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init, (struct pt_cfg){ .max_va_lg2 = 39 });
	u32 tables;

	assert_int_equal(map(&pt, 0, 0x1000, SZ_4K, RW), 0);
	assert_int_equal(map(&pt, 3 * SZ_2M, 0x1000, SZ_4K, RW), 0);
	assert_int_equal(unmap(&pt, 0, SZ_4K), SZ_4K);
	assert_int_equal(unmap(&pt, 3 * SZ_2M, SZ_4K), SZ_4K);
	tables = arena->live;
	assert_int_equal(tables, 4); /* root, one of level 1, two empty ones of level 0 */
	assert_int_equal(map(&pt, 0, 0, SZ_1G, RW), 0);
	assert_int_equal(raw_item(&pt, 12, 2, 0), 0x6000000000000001);
	assert_sound(&pt);
	assert_int_equal(arena->live, tables); /* walkers may still be inside */
	assert_int_equal(unmap(&pt, 0, SZ_1G), SZ_1G);
	assert_int_equal(arena->live, 1); /* the next flush frees them */
	assert_int_equal(map(&pt, 2 * SZ_2M, 0x1000, SZ_4K, RW), 0);
	assert_int_equal(unmap(&pt, 2 * SZ_2M, SZ_4K), SZ_4K);
	assert_int_equal(map(&pt, 0, 0, 2 * SZ_1G, RW), 0);
	pt_end(&pt, arena); /* and so does the end */
}

static void unmapping_all_a_table_spans_frees_it(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .max_va_lg2 = 39, .pgsize_mask = SZ_4K });
	struct pt_gather gather;

	assert_int_equal(map(&pt, 0, 0, SZ_1G, RW), 0);
	assert_int_equal(arena->live, 2 + 512);
	assert_int_equal(unmap(&pt, SZ_2M, 3 * SZ_2M - SZ_4K), 3 * SZ_2M - SZ_4K);
	assert_int_equal(arena->live, 2 + 510);
	assert_int_equal(unmap(&pt, 4 * SZ_2M - SZ_4K, SZ_4K), SZ_4K);
	assert_int_equal(arena->live, 2 + 510);
	assert_sound(&pt);

	/* until the flush the memory stays, and late walkers find holes or what was there */
	pt_gather_init(&gather);
	assert_int_equal(pt.ops->unmap_range(&pt, 4 * SZ_2M, 508 * SZ_2M, &gather), 508 * SZ_2M);
	assert_int_equal(arena->live, 2 + 510);
	assert_false(pt_gather_empty(&gather));
	pt_gather_free(&gather);
	assert_true(pt_gather_empty(&gather));
	assert_int_equal(arena->live, 2 + 2);
	pt_end(&pt, arena);
}

static void tables_left_empty_go_when_their_span_is_unmapped(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .max_va_lg2 = 48, .pgsize_mask = SZ_4K });

	/* a table filled only at its beginning */
	assert_int_equal(map(&pt, 0, 0, 3 * SZ_4K, RW), 0);
	assert_int_equal(arena->live, 4);
	assert_int_equal(unmap(&pt, 0, SZ_2M), 3 * SZ_4K);
	assert_int_equal(arena->live, 3);
	/* one with something behind the hole stays, and what is in it too */
	assert_int_equal(map(&pt, 0, 0, SZ_4K, RW), 0);
	assert_int_equal(map(&pt, 2 * SZ_4K, 0, SZ_4K, RW), 0);
	assert_int_equal(unmap(&pt, 0, SZ_2M), SZ_4K);
	assert_int_equal(phys(&pt, 2 * SZ_4K), 0);
	assert_int_equal(unmap(&pt, 2 * SZ_4K, SZ_4K), SZ_4K);
	/* all levels but the top */
	assert_int_equal(map(&pt, 0, 0, 2 * SZ_1G, RW), 0);
	assert_int_equal(arena->live, 1 + 1 + 2 + 1024);
	assert_int_equal(unmap(&pt, 0, 1ULL << 39), 2 * SZ_1G);
	assert_int_equal(arena->live, 1);
	pt_end(&pt, arena);
}

static u64 *leaf_items(struct pt_table *pt, u64 iova)
{
	u64 pa = raw_item(pt, 12, 1, iova) & 0xffffffffff000;

	return (u64 *)pt->cfg.alloc->pa_to_ptr(pt->cfg.alloc_ctx, pa) + (iova >> 12 & 511);
}

static void check_names_what_is_damaged(void **state)
{
	static const struct {
		unsigned item;
		u64 flip;
		const char *wrong;
	} damage[] = {
		{ 0, 1ULL << 55, "reserved bits of an entry are set" },
		{ 0, 3ULL << 61, "a leaf without rights" },
		{ 0, 3ULL << 9, "an entry is neither empty, a leaf nor a table" },
		{ 0, 1ULL << 6, "a dirty leaf is missing in the summary above its table" },
		{ 0, 1ULL << 45, "an entry points beyond the physical width" },
		{ 0, 7ULL << 9, "items of one entry differ" },
		{ 4, 1ULL << 13, "an entry is not aligned to its size" },
		{ 5, 1ULL << 61, "items of one entry differ" },
		{ 7, 1ULL << 0, "items of one entry differ" },
		{ 5, 1ULL << 13, "items of one entry differ" },
	};
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .max_oa_lg2 = 44,
							.features = PT_FEAT_DIRTY });
	unsigned i;

	/* item 0 a page at an address that would read as a 16 KiB one, items 4 to 7 one entry */
	assert_int_equal(map(&pt, SZ_2M - 8 * SZ_4K, 0x1000, SZ_4K, RW), 0);
	assert_int_equal(map(&pt, SZ_2M - 4 * SZ_4K, 0x4000, 4 * SZ_4K, RW), 0);
	for (i = 0; i < ARRAY_SIZE(damage); i++) {
		u64 *item = leaf_items(&pt, SZ_2M - 8 * SZ_4K) + damage[i].item;

		assert_sound(&pt);
		*item ^= damage[i].flip;
		assert_non_null(pt.ops->check(&pt));
		assert_string_equal(pt.ops->check(&pt), damage[i].wrong);
		*item ^= damage[i].flip;
	}
	pt_end(&pt, arena);
}

static u64 told_root;
static unsigned told_level;

static void note_top(struct pt_table *pt, u64 root_pa, unsigned level)
{
	told_root = root_pa;
	told_level = level;
}

static void note_dirty(void *ctx, u64 iova, u64 len)
{
	*(u64 *)ctx += iova + len;
}

static void the_top_grows_when_iovas_need_it(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DYNAMIC_TOP |
								    PT_FEAT_DIRTY,
							.top_changed = note_top });
	unsigned level;
	u64 sum = 0;

	pt.ops->root(&pt, &level);
	assert_int_equal(level, 2);
	assert_int_equal(pt.aperture_last, ~0ULL);
	assert_int_equal(map(&pt, SZ_4K, 0x1000, SZ_4K, RW), 0);
	assert_int_equal(pt.ops->set_dirty(&pt, SZ_4K), 0);
	assert_int_equal(phys(&pt, 1ULL << 40), ~0ULL);
	assert_int_equal(map(&pt, 1ULL << 40, 0x2000, SZ_4K, RW), 0);
	assert_int_equal(pt.ops->root(&pt, &level), told_root);
	assert_int_equal(level, 3);
	assert_int_equal(told_level, 3);
	assert_int_equal(map(&pt, ~0xfffULL, 0x3000, SZ_4K, RW), 0);
	assert_int_equal(pt.ops->root(&pt, &level), told_root);
	assert_int_equal(level, 5);
	assert_int_equal(phys(&pt, SZ_4K), 0x1000);
	assert_int_equal(phys(&pt, 1ULL << 40), 0x2000);
	assert_int_equal(phys(&pt, ~0ULL), 0x3fff);
	assert_sound(&pt);
	/* a mark made under the old top is found from the new one */
	assert_int_equal(pt.ops->read_and_clear_dirty(&pt, 0, 1ULL << 41, 0, note_dirty, &sum), 0);
	assert_int_equal(sum, 2 * SZ_4K);
	assert_int_equal(unmap(&pt, ~0xfffULL, SZ_4K), SZ_4K);
	pt_end(&pt, arena);
}

/* An entry as large as all the top reaches needs a level above it. */
static void the_top_grows_for_an_entry_of_its_whole_span(void **state)
{
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_amdv1_init,
				       (struct pt_cfg){ .features = PT_FEAT_DYNAMIC_TOP,
							.top_level = 1 });
	unsigned level;

	assert_int_equal(map(&pt, 0, SZ_1G, SZ_1G, RW), 0);
	pt.ops->root(&pt, &level);
	assert_int_equal(level, 2);
	assert_int_equal(phys(&pt, 5), SZ_1G + 5);
	assert_sound(&pt);
	pt_end(&pt, arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_in_memory_have_the_bits_of_the_manual),
		cmocka_unit_test(tables_are_linked_by_next_level),
		cmocka_unit_test(a_device_that_writes_sets_accessed_and_dirty),
		cmocka_unit_test(force_coherent_marks_leaves_only),
		cmocka_unit_test(every_page_size_is_one_entry),
		cmocka_unit_test(the_size_hardware_gets_wrong_is_avoided),
		cmocka_unit_test(the_largest_entries_alignment_allows_are_chosen),
		cmocka_unit_test(only_allowed_page_sizes_are_used),
		cmocka_unit_test(a_map_may_ask_for_pages_only),
		cmocka_unit_test(bad_requests_are_refused_and_map_nothing),
		cmocka_unit_test(an_impossible_configuration_is_refused),
		cmocka_unit_test(occupied_iovas_stop_a_map_where_they_begin),
		cmocka_unit_test(an_entry_is_never_cut_by_unmap),
		cmocka_unit_test(a_large_entry_takes_the_place_of_an_emptied_table),
		cmocka_unit_test(unmapping_all_a_table_spans_frees_it),
		cmocka_unit_test(tables_left_empty_go_when_their_span_is_unmapped),
		cmocka_unit_test(check_names_what_is_damaged),
		cmocka_unit_test(the_top_grows_when_iovas_need_it),
		cmocka_unit_test(the_top_grows_for_an_entry_of_its_whole_span),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
