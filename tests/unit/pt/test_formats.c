/* SPDX-License-Identifier: MIT */
/*
 * The bits of each format in memory, read as a device reads them, the shape of
 * its roots, and what it refuses.
 *
 * Values of Intel's, ARM's and RISC-V's formats follow from the layouts in the
 * comments of src/pt/fmt, which name the manuals.
 */
#include "pt_fixture.h"

#define CACHED (RW | PT_PROT_CACHE)
#define RO     (PT_PROT_READ | PT_PROT_CACHE)
#define WO     (PT_PROT_WRITE | PT_PROT_CACHE)

static u64 table_plain(u64 e)
{
	assert_int_equal(e & 1, 1);
	return e & 0xfffffffff000;
}

static u64 table_riscv(u64 e)
{
	assert_int_equal(e & 0x8000000000003ff & ~0x100ULL, 1);
	return (e >> 10) << 12;
}

/* A family: how a device finds its way. */
struct shape {
	unsigned granule_lg2, bits;
	u64 (*table)(u64 e);
};

static const struct shape by_4k = {12, 9, table_plain};
static const struct shape by_16k = {14, 11, table_plain};
static const struct shape by_64k = {16, 13, table_plain};
static const struct shape by_riscv = {12, 9, table_riscv};

static u64 raw(struct pt_table *pt, const struct shape *shape, unsigned level, u64 iova)
{
	unsigned at;
	u64 pa = pt->ops->root(pt, &at);
	u64 mask = ~0ULL;

	for (;; at--) {
		u64 *items = pt->cfg.alloc->pa_to_ptr(pt->cfg.alloc_ctx, pa);
		u64 e = items[(iova >> (shape->granule_lg2 + at * shape->bits)) & mask];

		if (at == level)
			return e;
		pa = shape->table(e);
		mask = (1ULL << shape->bits) - 1;
	}
}

struct golden {
	const char *what;
	pt_init_fn init;
	const struct shape *shape;
	unsigned va_lg2, features;
	u64 pa, len;
	unsigned prot, level;
	u64 item;
	unsigned items; /* 0: one */
	u64 step;	/* from item to item */
};

#define DIRTY PT_FEAT_DIRTY
#define BORN  (PT_FEAT_DIRTY | PT_FEAT_NEW_DIRTY)
#define PAGE  0x123456000, SZ_4K
#define LARGE 0x123400000, SZ_2M
#define GIGA  0x140000000, SZ_1G
#define TERA  (1ULL << 40)

static const struct golden goldens[] = {
#define X86 pt_x86_64_init, &by_4k
	{"page", X86, 48, 0, PAGE, RW, 0, 0x123456067},
	{"read only", X86, 48, 0, PAGE, PT_PROT_READ, 0, 0x123456025},
	{"write only reads", X86, 48, 0, PAGE, PT_PROT_WRITE, 0, 0x123456067},
	{"2 MiB", X86, 48, 0, LARGE, RW, 1, 0x1234000e7},
	{"1 GiB", X86, 57, 0, GIGA, RW, 2, 0x1400000e7},
	{"clean", X86, 47, DIRTY, PAGE, RW, 0, 0x123456027},
	{"born dirty", X86, 47, BORN, PAGE, RW, 0, 0x123456067},
	{"born dirty, read only", X86, 47, BORN, PAGE, PT_PROT_READ, 0, 0x123456025},
	{"no exec", X86, 57, 0, PAGE, RW | PT_PROT_NOEXEC, 0, 0x8000000123456067},
	{"supervisor", X86, 57, 0, PAGE, RW | PT_PROT_PRIV, 0, 0x123456063},
	{"table", X86, 48, 0, PAGE, RW, 3, 0x7f002027},
	{"table of the 5th level", X86, 57, 0, PAGE, RW, 4, 0x7f002027},
#define SS pt_vtdss_init, &by_4k
	{"page", SS, 48, 0, PAGE, RW, 0, 0x123456003},
	{"read only", SS, 39, 0, PAGE, PT_PROT_READ, 0, 0x123456001},
	{"2 MiB snooped", SS, 48, PT_FEAT_FORCE_COHERENT, LARGE, RW, 1, 0x123400883},
	{"1 GiB", SS, 57, 0, GIGA, RW, 2, 0x140000083},
	{"clean", SS, 48, DIRTY, PAGE, RW, 0, 0x123456003},
	{"born dirty", SS, 48, BORN, PAGE, RW, 0, 0x123456303},
	{"table", SS, 39, 0, PAGE, RW, 2, 0x7f002003},
#define S1(g) pt_lpae_s1_##g##_init, &by_##g
	{"page", S1(4k), 48, 0, PAGE, CACHED, 0, 0x123456f47},
	{"read only", S1(4k), 48, 0, PAGE, RO, 0, 0x123456fc7},
	{"write only reads", S1(4k), 48, 0, PAGE, WO, 0, 0x123456f47},
	{"2 MiB", S1(4k), 48, 0, LARGE, CACHED, 1, 0x123400f45},
	{"1 GiB", S1(4k), 39, 0, GIGA, CACHED, 2, 0x140000f45},
	{"born dirty", S1(4k), 48, BORN, PAGE, CACHED, 0, 0x0008000123456f47},
	{"clean", S1(4k), 48, DIRTY, PAGE, CACHED, 0, 0x0008000123456fc7},
	{"read only, no mark", S1(4k), 48, BORN, PAGE, RO, 0, 0x123456fc7},
	{"not cached", S1(4k), 48, 0, PAGE, RW, 0, 0x123456e43},
	{"device", S1(4k), 48, 0, PAGE, RW | PT_PROT_MMIO, 0, 0x123456e4b},
	{"privileged", S1(4k), 48, 0, PAGE, CACHED | PT_PROT_PRIV, 0, 0x123456f07},
	{"no exec", S1(4k), 48, 0, PAGE, CACHED | PT_PROT_NOEXEC, 0, 0x0060000123456f47},
	{"16 pages", S1(4k), 48, 0, 0x123450000, SZ_64K, CACHED, 0, 0x0010000123450f47, 16, SZ_4K},
	{"16 of 2 MiB", S1(4k), 48, 0, 0x122000000, 16 * SZ_2M, CACHED, 1, 0x0010000122000f45, 16,
	 SZ_2M},
	{"16 of 1 GiB", S1(4k), 48, 0, 0x400000000, 16 * SZ_1G, CACHED, 2, 0x0010000400000f45, 16,
	 SZ_1G},
	{"table", S1(4k), 48, 0, PAGE, CACHED, 3, 0x7f002003},
	{"page", S1(16k), 47, 0, 0x123454000, SZ_16K, CACHED, 0, 0x123454f47},
	{"32 MiB", S1(16k), 47, 0, 0x122000000, 16 * SZ_2M, CACHED, 1, 0x122000f45},
	{"128 pages", S1(16k), 48, 0, LARGE, CACHED, 0, 0x0010000123400f47, 128, SZ_16K},
	{"32 of 32 MiB", S1(16k), 48, 0, GIGA, CACHED, 1, 0x0010000140000f45, 32, 16 * SZ_2M},
	{"page", S1(64k), 48, 0, 0x123450000, SZ_64K, CACHED, 0, 0x123450f47},
	{"512 MiB", S1(64k), 42, 0, 0x120000000, SZ_1G / 2, CACHED, 1, 0x120000f45},
	{"32 pages", S1(64k), 42, 0, LARGE, CACHED, 0, 0x0010000123400f47, 32, SZ_64K},
	{"32 of 512 MiB", S1(64k), 48, 0, 0x400000000, 16 * SZ_1G, CACHED, 1, 0x0010000400000f45,
	 32, SZ_1G / 2},
	{"page of 52 bits", S1(64k), 52, 0, 0xa000123450000, SZ_64K, CACHED, 0, 0x12345af47},
	{"4 TiB", S1(64k), 52, 0, 1ULL << 51, 4 * TERA, CACHED, 2, 0x8f45},
#define LPA2(s, g) pt_lpae_##s##_##g##_lpa2_init, &by_##g
	{"low page", LPA2(s1, 4k), 48, 0, PAGE, CACHED, 0, 0x123456c47},
	{"page of 52 bits", LPA2(s1, 4k), 48, 0, 0xd000123456000, SZ_4K, CACHED, 0,
	 0x0001000123456f47},
	{"the same, other bits", LPA2(s1, 4k), 52, DIRTY, 0xa000123456000, SZ_4K, CACHED, 0,
	 0x000a000123456ec7},
	{"512 GiB", LPA2(s1, 4k), 52, 0, 0x4008000000000, TERA / 2, CACHED, 3, 0x8000000d45},
	{"page of 52 bits", LPA2(s1, 16k), 48, 0, 0xd000123454000, SZ_16K, CACHED, 0,
	 0x0001000123454f47},
	{"64 GiB", LPA2(s1, 16k), 52, 0, 0x8001000000000, 64 * SZ_1G, CACHED, 2, 0x1000000e45},
	{"page of 52 bits", LPA2(s2, 4k), 48, 0, 0xd000123456000, SZ_4K, CACHED, 0,
	 0x00010001234567ff},
	{"page of 52 bits", LPA2(s2, 16k), 48, 0, 0xc000123454000, SZ_16K, CACHED, 0, 0x1234547ff},
#define S2(g) pt_lpae_s2_##g##_init, &by_##g
	{"page", S2(4k), 48, 0, PAGE, CACHED, 0, 0x1234567ff},
	{"page, forced", S2(4k), 48, PT_FEAT_FWB, PAGE, CACHED, 0, 0x1234567db},
	{"2 MiB", S2(4k), 40, 0, LARGE, CACHED, 1, 0x1234007fd},
	{"device", S2(4k), 48, 0, PAGE, RW | PT_PROT_MMIO, 0, 0x1234566c7},
	{"not cached", S2(4k), 48, PT_FEAT_FWB, PAGE, RW, 0, 0x1234566d7},
	{"read only", S2(4k), 48, 0, PAGE, RO, 0, 0x12345677f},
	{"write only", S2(4k), 48, 0, PAGE, WO, 0, 0x1234567bf},
	{"clean", S2(4k), 48, DIRTY, PAGE, CACHED, 0, 0x000800012345677f},
	{"born dirty", S2(4k), 48, BORN, PAGE, CACHED, 0, 0x00080001234567ff},
	{"clean, write only", S2(4k), 48, DIRTY, PAGE, WO, 0, 0x000800012345673f},
	{"no exec", S2(4k), 48, 0, PAGE, CACHED | PT_PROT_NOEXEC, 0, 0x00400001234567ff},
	{"16 pages", S2(4k), 40, 0, 0x123450000, SZ_64K, CACHED, 0, 0x00100001234507ff, 16, SZ_4K},
	{"table", S2(4k), 40, 0, PAGE, CACHED, 1, 0x7f005003},
	{"page", S2(16k), 40, 0, 0x123454000, SZ_16K, CACHED, 0, 0x1234547ff},
	{"page of 52 bits", S2(64k), 46, 0, 0xa000123450000, SZ_64K, CACHED, 0, 0x12345a7ff},
#define RV   pt_riscv_init, &by_riscv
#define RVX4 pt_riscv_x4_init, &by_riscv
	{"page", RV, 39, 0, PAGE, RW, 0, 0x48d158df},
	{"read only", RV, 48, 0, PAGE, PT_PROT_READ, 0, 0x48d1585b},
	{"write only reads", RV, 48, 0, PAGE, PT_PROT_WRITE, 0, 0x48d158df},
	{"I/O", RV, 39, PT_FEAT_PBMT, PAGE, RW | PT_PROT_MMIO, 0, 0x4000000048d158df},
	{"not cached", RV, 39, PT_FEAT_PBMT, PAGE, RW, 0, 0x2000000048d158df},
	{"cached", RV, 39, PT_FEAT_PBMT, PAGE, CACHED, 0, 0x48d158df},
	{"no exec", RV, 57, 0, PAGE, RW | PT_PROT_NOEXEC, 0, 0x48d158d7},
	{"supervisor", RV, 57, 0, PAGE, RW | PT_PROT_PRIV, 0, 0x48d158cf},
	{"clean", RV, 48, DIRTY, PAGE, RW, 0, 0x48d1585f},
	{"born dirty", RV, 48, BORN, PAGE, RW, 0, 0x48d158df},
	{"64 KiB", RV, 48, 0, 0x123450000, SZ_64K, RW, 0, 0x8000000048d160df, 16, 0},
	{"2 MiB", RV, 39, 0, LARGE, RW, 1, 0x48d000df},
	{"1 GiB", RV, 39, 0, GIGA, RW, 2, 0x500000df},
	{"512 GiB", RV, 48, 0, TERA, TERA / 2, RW, 3, 0x40000000df},
	{"256 TiB", RV, 57, 0, 1ULL << 55, 256 * TERA, RW, 4, 0x00200000000000df},
	{"table", RV, 39, 0, PAGE, RW, 2, 0x1fc00801},
	{"users only", RVX4, 41, 0, PAGE, RW | PT_PROT_PRIV, 0, 0x48d158df},
	{"table", RVX4, 41, 0, PAGE, RW, 2, 0x1fc02001},
};

static void items_in_memory_have_the_bits_of_the_manuals(void **state)
{
	const struct golden *g;
	struct pt_walk walk;
	struct pt_table pt;
	u64 iova, i;

	for (g = goldens; g < goldens + ARRAY_SIZE(goldens); g++) {
		struct arena *arena =
			pt_begin(&pt, g->init,
				 (struct pt_cfg){.max_va_lg2 = g->va_lg2, .features = g->features});

		/* the entry of all its levels that is not the first, as far as there is room */
		iova = g->len < 1ULL << (g->va_lg2 - 1) ? MAX(g->len, SZ_1G) : 0;
		assert_int_equal(map(&pt, iova, g->pa, g->len, g->prot), 0);
		for (i = 0; i < MAX(g->items, 1u); i++) {
			u64 e = raw(&pt, g->shape, g->level,
				    iova + i * (g->len / MAX(g->items, 1u)));

			if (e != g->item + i * g->step)
				fail_msg("%s, %s: %#llx, not %#llx", pt.ops->name, g->what,
					 (unsigned long long)e,
					 (unsigned long long)(g->item + i * g->step));
		}
		assert_int_equal(pt.ops->walk(&pt, iova + g->len / 2 + 5, &walk), 0);
		assert_int_equal(walk.pa, g->pa + g->len / 2 + 5);
		assert_int_equal(1ULL << walk.lg2, g->len);
		assert_int_equal(walk.prot & g->prot & RW, g->prot & RW);
		assert_sound(&pt);
		assert_int_equal(unmap(&pt, iova, g->len), g->len);
		assert_int_equal(phys(&pt, iova), ~0ULL);
		pt_end(&pt, arena);
	}
}

struct root {
	pt_init_fn init;
	unsigned va_lg2, top_level;
	unsigned level, lg2_size;
	u64 sizes;
};

static const struct root roots[] = {
	{pt_x86_64_init, 0, 0, 4, 12, 0x40201000},
	{pt_x86_64_init, 48, 0, 3, 12, 0x40201000},
	{pt_x86_64_init, 39, 0, 3, 12, 0x40201000}, /* 3 levels are none of x86-64's */
	{pt_x86_64_init, 48, 4, 4, 12, 0x40201000},
	{pt_vtdss_init, 39, 0, 2, 12, 0x40201000},
	{pt_vtdss_init, 40, 0, 3, 12, 0x40201000},
	{pt_vtdss_init, 57, 0, 4, 12, 0x40201000},
	{pt_riscv_init, 39, 0, 2, 12, 0x40211000},
	{pt_riscv_init, 48, 0, 3, 12, 0x8040211000},
	{pt_riscv_init, 57, 0, 4, 12, 0x1008040211000},
	{pt_riscv_x4_init, 41, 0, 2, 14, 0x40211000}, /* no 512 GiB, though it would fit */
	{pt_riscv_x4_init, 50, 0, 3, 14, 0x8040211000},
	{pt_riscv_x4_init, 59, 0, 4, 14, 0x1008040211000},
	{pt_lpae_s1_4k_init, 48, 0, 3, 12, 0x442211000},
	{pt_lpae_s1_4k_init, 40, 0, 3, 12, 0x442211000},
	{pt_lpae_s1_4k_init, 39, 0, 2, 12, 0x442211000},
	{pt_lpae_s1_4k_init, 31, 0, 2, 12, 0x42211000},
	{pt_lpae_s1_4k_init, 30, 0, 1, 12, 0x2211000},
	{pt_lpae_s1_4k_lpa2_init, 52, 0, 4, 12, 0x8442211000},
	{pt_lpae_s1_16k_init, 48, 0, 3, 12, 0x42204000},
	{pt_lpae_s1_16k_init, 47, 0, 2, 14, 0x42204000},
	{pt_lpae_s1_16k_init, 36, 0, 1, 14, 0x42204000},
	{pt_lpae_s1_16k_lpa2_init, 52, 0, 3, 12, 0x1042204000},
	{pt_lpae_s1_64k_init, 48, 0, 2, 12, 0x40420210000},
	{pt_lpae_s1_64k_init, 42, 0, 1, 16, 0x420210000},
	{pt_lpae_s2_4k_init, 48, 0, 3, 12, 0x442211000},
	{pt_lpae_s2_4k_init, 43, 0, 2, 16, 0x442211000}, /* 16 tables */
	{pt_lpae_s2_4k_init, 40, 0, 2, 13, 0x442211000},
	{pt_lpae_s2_4k_init, 40, 3, 3, 12, 0x442211000},
	{pt_lpae_s2_4k_init, 32, 0, 1, 14, 0x2211000},
	{pt_lpae_s2_4k_lpa2_init, 52, 0, 3, 16, 0x8442211000},
	{pt_lpae_s2_16k_init, 48, 0, 2, 15, 0x42204000},
	{pt_lpae_s2_16k_init, 40, 0, 1, 18, 0x42204000},
	{pt_lpae_s2_64k_init, 46, 0, 1, 20, 0x420210000},
	{pt_lpae_s2_64k_init, 52, 0, 2, 13, 0x40420210000},
};

static void roots_have_the_width_the_iovas_need(void **state)
{
	const struct root *r;
	struct pt_table pt;
	unsigned level;
	u64 root, last;

	for (r = roots; r < roots + ARRAY_SIZE(roots); r++) {
		struct arena *arena = pt_begin(
			&pt, r->init,
			(struct pt_cfg){.max_va_lg2 = r->va_lg2, .top_level = r->top_level});

		root = pt.ops->root(&pt, &level);
		assert_int_equal(level, r->level);
		assert_int_equal(arena->used[(root - ARENA_PA) / SZ_4K], r->lg2_size);
		assert_int_equal(root & ((1ULL << r->lg2_size) - 1), 0);
		assert_int_equal(pt.ops->pgsize_bitmap(&pt), r->sizes);
		/* the very last page is reached, through the last of several tables too */
		last = pt.aperture_last & ~(SZ_64K - 1);
		assert_int_equal(map(&pt, last, SZ_64K, SZ_64K, RW), 0);
		assert_int_equal(phys(&pt, pt.aperture_last), 2 * SZ_64K - 1);
		assert_int_equal(phys(&pt, 0), ~0ULL);
		assert_sound(&pt);
		assert_int_equal(unmap(&pt, last, SZ_64K), SZ_64K);
		pt_end(&pt, arena);
	}
}

static void what_a_format_has_not_is_refused(void **state)
{
	static const struct {
		int rc;
		pt_init_fn init;
		struct pt_cfg cfg;
	} bad[] = {
		{-EINVAL, pt_x86_64_init, {.max_va_lg2 = 58}},
		{-EINVAL, pt_x86_64_init, {.top_level = 3}},
		{-EINVAL, pt_x86_64_init, {.max_va_lg2 = 30, .top_level = 2}},
		{-EINVAL, pt_x86_64_init, {.max_oa_lg2 = 53}},
		{-EINVAL, pt_vtdss_init, {.max_va_lg2 = 39, .top_level = 1}},
		{-EINVAL, pt_riscv_init, {.max_va_lg2 = 59}},
		{-EINVAL, pt_riscv_x4_init, {.max_va_lg2 = 60}},
		{-EINVAL, pt_riscv_init, {.max_oa_lg2 = 57}},
		{-EINVAL, pt_lpae_s1_4k_init, {.max_va_lg2 = 49}},
		{-EINVAL, pt_lpae_s1_4k_init, {.max_oa_lg2 = 49}},
		{-EINVAL, pt_lpae_s1_4k_init, {.max_va_lg2 = 21}},
		{-EINVAL, pt_lpae_s1_4k_init, {.max_va_lg2 = 39, .top_level = 3}},
		{-EINVAL, pt_lpae_s1_64k_init, {.pgsize_mask = SZ_4K}},
		{-EINVAL, pt_lpae_s2_4k_lpa2_init, {.max_va_lg2 = 53}},
		{-EOPNOTSUPP, pt_x86_64_init, {.features = PT_FEAT_FORCE_COHERENT}},
		{-EOPNOTSUPP, pt_vtdss_init, {.features = PT_FEAT_PBMT}},
		{-EOPNOTSUPP, pt_riscv_init, {.features = PT_FEAT_DYNAMIC_TOP}},
		{-EOPNOTSUPP, pt_lpae_s1_4k_init, {.features = PT_FEAT_FWB}},
		{-EOPNOTSUPP, pt_amdv1_init, {.flush = arena_flush}},
	};
	struct arena *arena = arena_new();
	struct pt_table pt;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct pt_cfg cfg = bad[i].cfg;

		cfg.alloc = &arena_ops;
		cfg.alloc_ctx = arena;
		assert_int_equal(bad[i].init(&pt, &cfg), bad[i].rc);
	}
	arena_end(arena);
}

/* A page of 64 KiB is the smallest, and all "pages only" can mean. */
static void pages_only_means_the_smallest_where_that_is_larger(void **state)
{
	struct pt_walk walk;
	struct pt_table pt;
	struct arena *arena = pt_begin(&pt, pt_lpae_s1_64k_init, (struct pt_cfg){0});

	assert_int_equal(map(&pt, SZ_2M, SZ_2M, SZ_2M, RW | PT_PROT_PAGES), 0);
	assert_int_equal(pt.ops->walk(&pt, SZ_2M, &walk), 0);
	assert_int_equal(walk.lg2, 16);
	assert_int_equal(pt.ops->best_size(&pt, SZ_2M, SZ_2M, SZ_2M), SZ_2M);
	assert_int_equal(pt.ops->best_size(&pt, SZ_2M, SZ_2M, SZ_2M - 1), SZ_64K);
	assert_int_equal(pt.ops->best_size(&pt, SZ_2M, SZ_4K, SZ_2M), 0);
	assert_int_equal(pt.ops->best_size(&pt, 0, 0, SZ_4K), 0);
	pt_end(&pt, arena);
}

static void check_knows_what_each_format_reserves(void **state)
{
	static const struct {
		pt_init_fn init;
		const struct shape *shape;
		unsigned level;
		u64 flip;
		const char *wrong;
	} damage[] = {
		{pt_x86_64_init, &by_4k, 0, 1ULL << 60, "reserved bits of an entry are set"},
		{pt_x86_64_init, &by_4k, 1, 1ULL << 60, "reserved bits of an entry are set"},
		{pt_x86_64_init, &by_4k, 3, 1ULL << 7, "a leaf in the 4th level or above"},
		{pt_vtdss_init, &by_4k, 0, 3, "an entry without rights is not empty"},
		{pt_vtdss_init, &by_4k, 0, 1ULL << 60, "reserved bits of an entry are set"},
		{pt_vtdss_init, &by_4k, 3, 1ULL << 7, "a leaf in the 4th level or above"},
		{pt_riscv_init, &by_riscv, 0, 2, "a leaf that cannot be read"},
		{pt_riscv_init, &by_riscv, 0, 1ULL << 60, "reserved bits of an entry are set"},
		{pt_riscv_init, &by_riscv, 0, 3ULL << 61, "reserved bits of an entry are set"},
		{pt_riscv_init, &by_riscv, 0, 1ULL << 63, "an unknown group size"},
		{pt_riscv_init, &by_riscv, 1, 1ULL << 7, "reserved bits of an entry are set"},
		{pt_riscv_init, &by_riscv, 1, 3ULL << 1,
		 "the address of a leaf is not aligned to its size"},
		{pt_riscv_x4_init, &by_riscv, 0, 1ULL << 4,
		 "a leaf of the second stage is not for users"},
		{pt_lpae_s1_4k_init, &by_4k, 0, 1, "an entry that is not valid is not empty"},
		{pt_lpae_s1_4k_init, &by_4k, 0, 2, "an entry that is not valid is not empty"},
		{pt_lpae_s1_4k_init, &by_4k, 0, 1ULL << 10, "a leaf is not marked as accessed"},
		{pt_lpae_s1_4k_init, &by_4k, 0, 1ULL << 52, "an entry is not aligned to its size"},
		{pt_lpae_s1_4k_init, &by_4k, 3, 2, "a leaf in a level that has none"},
		{pt_lpae_s1_4k_init, &by_4k, 0, 1ULL << 49, "reserved bits of an entry are set"},
		{pt_lpae_s2_4k_init, &by_4k, 0, 3ULL << 6, "a leaf without rights"},
		{pt_lpae_s2_4k_init, &by_4k, 0, 1ULL << 11, "reserved bits of an entry are set"},
	};
	struct pt_table pt;
	unsigned i, at;
	u64 pa, *item;

	for (i = 0; i < ARRAY_SIZE(damage); i++) {
		struct arena *arena =
			pt_begin(&pt, damage[i].init, (struct pt_cfg){.max_va_lg2 = 48});

		assert_int_equal(map(&pt, SZ_1G + 5 * SZ_4K, 0x123456000, SZ_4K, RW), 0);
		pa = pt.ops->root(&pt, &at);
		for (; at > damage[i].level; at--)
			pa = damage[i].shape->table(
				raw(&pt, damage[i].shape, at, SZ_1G + 5 * SZ_4K));
		item = arena_ptr(arena, pa);
		item += (SZ_1G + 5 * SZ_4K) >> (12 + 9 * at) & 511;
		assert_sound(&pt);
		*item ^= damage[i].flip;
		assert_non_null(pt.ops->check(&pt));
		assert_string_equal(pt.ops->check(&pt), damage[i].wrong);
		*item ^= damage[i].flip;
		pt_end(&pt, arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_in_memory_have_the_bits_of_the_manuals),
		cmocka_unit_test(roots_have_the_width_the_iovas_need),
		cmocka_unit_test(what_a_format_has_not_is_refused),
		cmocka_unit_test(pages_only_means_the_smallest_where_that_is_larger),
		cmocka_unit_test(check_knows_what_each_format_reserves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
