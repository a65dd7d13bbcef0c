/* SPDX-License-Identifier: MIT */
/*
 * Hardware walks and marks while software cuts and joins the same entries,
 * collects marks, and maps and unmaps beside them.  What stays mapped is always
 * found, at the right address, and no mark is lost.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "walk_fixture.h"

#define PAGES  1024u
#define IOVA   (4 * SZ_1G)
#define BESIDE (IOVA + PAGES * SZ_4K) /* in tables shared with the pages that stay */
#define PA     0x140000000ULL
#define ROUNDS 300u

struct kind {
	const char *name;
	pt_init_fn init;
	struct walk_cfg cfg;
	unsigned va_lg2;
};

struct race {
	const struct kind *kind;
	struct pt_table pt;
	struct arena *arena;
	_Atomic bool stop;
	_Atomic bool written[PAGES];
	bool reported[PAGES];
	struct pt_gather gather; /* freed when all walkers are gone */
	_Atomic u64 walks;
};

static int atomic_arena_load(void *ctx, u64 pa, u64 *ret)
{
	if (pa < ARENA_PA || pa >= ARENA_PA + ARENA_ROOM)
		return -EFAULT;
	*ret = atomic_load_explicit((_Atomic u64 *)arena_ptr(ctx, pa), memory_order_acquire);
	return 0;
}

static int atomic_arena_cas(void *ctx, u64 pa, u64 *old, u64 value)
{
	atomic_compare_exchange_strong((_Atomic u64 *)arena_ptr(ctx, pa), old, value);
	return 0;
}

static enum iommu_xlat_fault race_walk(struct race *race, u64 iova, u32 access,
				       struct walk_result *res)
{
	const struct walk_mem mem = { .load = atomic_arena_load, .cas = atomic_arena_cas,
				      .ctx = race->arena };
	struct walk_cfg cfg = race->kind->cfg;
	unsigned level;

	cfg.flags |= WALK_ACCESSED | WALK_DIRTY;
	cfg.root = race->pt.ops->root(&race->pt, &level);
	cfg.levels = level + 1;
	return walk_translate(&cfg, &mem, iova, access, res);
}

static void broken(struct race *race, const struct walk_result *res)
{
	fail_msg("%s: %s, entry %llx, pa %llx", race->kind->name, walk_reason_name(res->reason),
		 (unsigned long long)res->entry, (unsigned long long)res->xlat.pa);
}

static void *device(void *arg)
{
	struct race *race = arg;
	u64 seed = (uintptr_t)&seed, page;
	struct walk_result res;

	while (!atomic_load(&race->stop)) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		page = (seed >> 33) % PAGES;
		if (race_walk(race, IOVA + page * SZ_4K + 8, seed >> 63 ? R : W, &res) ||
		    res.xlat.pa != PA + page * SZ_4K + 8)
			broken(race, &res);
		if (!(seed >> 63)) {
			race->pt.ops->set_dirty(&race->pt, IOVA + page * SZ_4K);
			atomic_store(&race->written[page], true);
		}
		/* beside it anything may be found, but only what is mapped there */
		if (!race_walk(race, BESIDE + page * SZ_4K, W, &res)) {
			race->pt.ops->set_dirty(&race->pt, BESIDE + page * SZ_4K);
			if (res.xlat.pa != PA + SZ_1G + page * SZ_4K && page != 511)
				broken(race, &res);
		}
		atomic_fetch_add_explicit(&race->walks, 1, memory_order_relaxed);
	}
	return NULL;
}

static void *mapper(void *arg)
{
	struct race *race = arg;
	struct pt_gather gather;
	u64 mapped, n = 1;

	pt_gather_init(&gather);
	while (!atomic_load(&race->stop)) {
		n = n * 5 % 509 + 1;
		race->pt.ops->map_range(&race->pt, BESIDE, PA + SZ_1G, n * SZ_4K, RW, &mapped);
		race->pt.ops->unmap_range(&race->pt, BESIDE, mapped, &gather);
		assert_true(pt_gather_empty(&gather)); /* the tables are shared */
	}
	return NULL;
}

static void record(void *ctx, u64 iova, u64 len)
{
	struct race *race = ctx;

	for (; len && iova < IOVA + PAGES * SZ_4K; iova += SZ_4K, len -= SZ_4K)
		race->reported[(iova - IOVA) / SZ_4K] = true;
}

static void collect(struct race *race)
{
	assert_int_equal(race->pt.ops->read_and_clear_dirty(&race->pt, IOVA, PAGES * SZ_4K, 0,
							    record, race), 0);
}

/* A walk for each round at least, and not more rounds than there are tables for. */
static void software(struct race *race)
{
	u32 i;

	for (i = 0; i < ROUNDS; i++) {
		while (atomic_load_explicit(&race->walks, memory_order_relaxed) < i)
			sched_yield();
		switch (i % 4) {
		case 0:
			race->pt.ops->cut(&race->pt, IOVA, PAGES * SZ_4K, i % 8 ? 12 : 16);
			break;
		case 2:
			race->pt.ops->collapse(&race->pt, IOVA, PAGES * SZ_4K, 0, &race->gather);
			break;
		default:
			collect(race);
		}
	}
}

static void marks_and_software_on_the_same_entries(void **state)
{
	const struct kind *kind = *state;
	struct race *race = calloc(1, sizeof(*race));
	pthread_t threads[3];
	unsigned i;

	assert_non_null(race);
	race->kind = kind;
	pt_gather_init(&race->gather);
	race->arena = pt_begin(&race->pt, kind->init,
			       (struct pt_cfg){ .max_va_lg2 = kind->va_lg2,
						.features = PT_FEAT_DIRTY });
	assert_int_equal(map(&race->pt, IOVA, PA, PAGES * SZ_4K, RW), 0);
	/* keeps the table of BESIDE's pages in place */
	assert_int_equal(map(&race->pt, BESIDE + 511 * SZ_4K, PA, SZ_4K, RW), 0);
	assert_int_equal(pthread_create(&threads[0], NULL, device, race), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, device, race), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, mapper, race), 0);
	software(race);
	atomic_store(&race->stop, true);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	collect(race);
	for (i = 0; i < PAGES; i++)
		if (race->written[i] && !race->reported[i])
			fail_msg("%s: page %u was written and never reported", kind->name, i);
	assert_sound(&race->pt);
	pt_gather_free(&race->gather);
	pt_end(&race->pt, race->arena);
	free(race);
}

static const struct kind kinds[] = {
	{ "AMDv1", pt_amdv1_init, { .format = WALK_AMDV1 }, 48 },
	{ "x86-64", pt_x86_64_init, { .format = WALK_X86_64 }, 48 },
	{ "VT-d", pt_vtdss_init, { .format = WALK_VTD_SS }, 39 },
	{ "ARM stage 1", pt_lpae_s1_4k_init,
	  { .format = WALK_ARM_S1, .granule_lg2 = 12, .in_lg2 = 48 }, 48 },
	{ "ARM stage 2", pt_lpae_s2_4k_init,
	  { .format = WALK_ARM_S2, .granule_lg2 = 12, .in_lg2 = 40 }, 40 },
	{ "RISC-V", pt_riscv_init, { .format = WALK_RISCV }, 48 },
};

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(kinds)];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		tests[i] = (struct CMUnitTest)cmocka_unit_test_prestate(
			marks_and_software_on_the_same_entries, (void *)&kinds[i]);
		tests[i].name = kinds[i].name;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
