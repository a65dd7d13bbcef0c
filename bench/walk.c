/* SPDX-License-Identifier: MIT */
/*
 * The hardware walkers alone, with nothing cached: one stage, and a guest's tables
 * behind a second one, at random over mappings of 4 KiB.
 *
 * The baseline is what such a walk cannot do without: as many loads, each of which
 * says where the next one is, in as much memory as the tables are.  Both sides are
 * chained: the next address is known when the last answer is.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "mem/mem.h"
#include "pt/pt.h"
#include "walk/walk.h"

#define PAGES	32768ULL /* 64 last-level tables for each stage */
#define BASE	(1ULL << 40)
#define RANDOMS 65536U

/**
 * struct rig - @s1: maps BASE.. to guest-physical BASE..; @s2: that to frames, and tables of @s1 to
 * themselves
 * @zero: 0, but the compiler does not know
 * @loads: of the walk measured; @chain: the baseline's memory
 */
struct rig {
	struct mem_space *space;
	struct pt_table s1, s2;
	struct walk_cfg cfg1, cfg2;
	struct walk_mem mem;
	uint64_t *addrs;
	uint64_t zero, loads;
	struct bench_chain chain;
};

/* ---- tables ---- */

static void *frames_alloc(void *ctx, unsigned int lg2, u64 *ret_pa)
{
	return mem_frames_alloc(ctx, lg2, ret_pa);
}

static void frames_free(void *ctx, void *table, u64 pa, unsigned int lg2)
{
	mem_frames_free(ctx, table, pa, lg2);
}

static void *frames_ptr(void *ctx, u64 pa)
{
	return mem_frames_ptr(ctx, pa);
}

static const struct pt_alloc_ops alloc_ops = { frames_alloc, frames_free, frames_ptr };

static void map_page(struct pt_table *pt, uint64_t addr, uint64_t pa)
{
	u64 done;

	bench_check(!pt->ops->map_range(pt, addr, pa, PAGE_SIZE,
					PT_PROT_READ | PT_PROT_WRITE | PT_PROT_PAGES, &done),
		    "map");
}

/* The guest's tables are frames, too; for the second stage they are where they are. */
static void map_tables(struct rig *rig, uint64_t table, unsigned int level)
{
	const uint64_t *items = mem_frames_ptr(rig->space, table);

	map_page(&rig->s2, table, table);
	for (int i = 0; level && i < 512; i++)
		if (items[i] & 1)
			map_tables(rig, items[i] & 0x000ffffffffff000ULL, level - 1);
}

static void rig_open(struct rig *rig)
{
	struct pt_cfg cfg = { .alloc = &alloc_ops, .max_va_lg2 = 48 };
	unsigned int level;

	bench_check(!mem_space_create(IOMMUFD_FRAMES_CONTIGUOUS, NULL, &rig->space), "space");
	cfg.alloc_ctx = rig->space;
	bench_check(!pt_x86_64_init(&rig->s1, &cfg) && !pt_amdv1_init(&rig->s2, &cfg), "tables");
	for (uint64_t i = 0; i < PAGES; i++) {
		map_page(&rig->s1, BASE + i * PAGE_SIZE, BASE + i * PAGE_SIZE);
		map_page(&rig->s2, BASE + i * PAGE_SIZE,
			 (1ULL << 45) + i * 40503 % PAGES * PAGE_SIZE);
	}
	rig->cfg1 = (struct walk_cfg){ .format = WALK_X86_64, .levels = 4 };
	rig->cfg1.root = rig->s1.ops->root(&rig->s1, &level);
	map_tables(rig, rig->cfg1.root, level);
	rig->cfg2 = (struct walk_cfg){ .format = WALK_AMDV1 };
	rig->cfg2.root = rig->s2.ops->root(&rig->s2, &level);
	rig->cfg2.levels = level + 1;
	rig->mem = walk_mem_frames(rig->space);
	for (uint32_t i = 0; i < RANDOMS; i++)
		rig->addrs[i] = BASE + (uint64_t)random() % PAGES * PAGE_SIZE;
}

static void rig_close(struct rig *rig)
{
	rig->s1.ops->fini(&rig->s1);
	rig->s2.ops->fini(&rig->s2);
	mem_space_destroy(rig->space);
}

/* ---- what is measured ---- */

static void walk_one(struct rig *rig, const struct walk_cfg *cfg, uint64_t n)
{
	struct walk_result res = { 0 };

	while (n--)
		if (walk_translate(cfg, &rig->mem,
				   rig->addrs[(n + (res.xlat.pa & rig->zero)) % RANDOMS],
				   IOMMU_READ, &res))
			abort();
	rig->loads = res.loads;
}

static void walk_first(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	walk_one(rig, &rig->cfg1, n);
}

static void walk_second(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	walk_one(rig, &rig->cfg2, n);
}

static void walk_both(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	struct walk_result res = { 0 };

	while (n--)
		if (walk_nested(&rig->cfg1, &rig->cfg2, &rig->mem,
				rig->addrs[(n + (res.xlat.pa & rig->zero)) % RANDOMS], IOMMU_READ,
				&res))
			abort();
	rig->loads = res.loads;
}

static void chased_loads(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	bench_chase(&rig->chain, n * rig->loads);
}

static void row(struct rig *rig, const char *what, bench_fn fn, uint64_t stages)
{
	char name[96], baseline[64];
	struct bench bench = { .name = name, .fn = fn, .n = 200000, .baseline = baseline,
			       .baseline_fn = chased_loads, .baseline_n = 200000, .aim_ratio = 2 };

	if (!bench_selected(what))
		return;
	bench_chain_make(&rig->chain, stages * PAGES * sizeof(uint64_t));
	fn(rig, 1000);
	snprintf(name, sizeof(name), "%s, %llu mappings, chained", what, (unsigned long long)PAGES);
	snprintf(baseline, sizeof(baseline), "%llu loads, chained", (unsigned long long)rig->loads);
	bench_run(&bench, rig);
	bench_chain_free(&rig->chain);
}

int main(int argc, char **argv)
{
	struct rig rig = { 0 };

	bench_select(argc, argv);
	rig.addrs = calloc(RANDOMS, sizeof(*rig.addrs));
	bench_check(rig.addrs != NULL, "memory");
	rig_open(&rig);
	row(&rig, "walk x86-64", walk_first, 1);
	row(&rig, "walk AMDv1", walk_second, 1);
	row(&rig, "walk nested, x86-64 on AMDv1", walk_both, 2);
	rig_close(&rig);
	free(rig.addrs);
	return 0;
}
