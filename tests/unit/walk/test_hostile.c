/* SPDX-License-Identifier: MIT */
/*
 * Anything as tables: random words, random registers, memory that changes while
 * it is walked.  Each walk ends after a bounded number of reads with a translation
 * that could be one, or a fault; nothing else happens.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "mem/mem.h"
#include "walk_fixture.h"

#define WALKS	  40000u
#define MAX_LOADS (64 * 6)
#define MAX_BOTH  (MAX_LOADS + 4096 + 64 * 6)

struct chaos {
	u64 seed;
	_Atomic u64 words[RAM_SIZE / 8];
	_Atomic bool stop;
};

static u64 rnd(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* A word that some format could take for an entry: often present, often with an address in RAM. */
static u64 random_entry(u64 *seed)
{
	u64 r = rnd(seed), page = RAM_PA + (rnd(seed) & (RAM_SIZE - 1) & ~0xfffULL);
	u64 high = rnd(seed) % 4 ? 0x6000000000000000ULL : rnd(seed) & 0xfff0000000000000ULL;

	switch (r % 8) {
	case 0:
		return rnd(seed);
	case 1:
		return page >> 2 | (r >> 8 & 0x301) | 1; /* RISC-V: a table */
	case 2:
		return page >> 2 | (r >> 8 & 0x3ff) | 1; /* and a leaf */
	case 3:
	case 4:
		return page | (r >> 8 & 0x1fd) | 3 | (r >> 40 & 0x7) << 9; /* most others */
	case 5:
		return page | 1 | high | (r >> 8 & 7) << 9; /* AMDv1 */
	case 6:
		return (r >> 8 & 0xffffffff000ULL) | (r >> 52) | 1 | high; /* leaves */
	default:
		return 0;
	}
}

static int chaos_load(void *ctx, u64 pa, u64 *ret)
{
	struct chaos *chaos = ctx;

	if (pa < RAM_PA || pa >= RAM_PA + RAM_SIZE)
		return -EFAULT;
	assert_int_equal(pa & 7, 0);
	*ret = atomic_load(&chaos->words[(pa - RAM_PA) / 8]);
	return 0;
}

static int chaos_cas(void *ctx, u64 pa, u64 *old, u64 value)
{
	struct chaos *chaos = ctx;

	assert_true(pa >= RAM_PA && pa < RAM_PA + RAM_SIZE && !(pa & 7));
	atomic_compare_exchange_strong(&chaos->words[(pa - RAM_PA) / 8], old, value);
	return 0;
}

static struct walk_cfg random_registers(u64 *seed, enum walk_format format)
{
	static const u8 granules[] = { 12, 12, 14, 16, 9 };
	u64 r = rnd(seed);
	struct walk_cfg cfg = {
		.format = format,
		.root = RAM_PA + (r >> 44 << 14) % RAM_SIZE,
		.levels = r & 1 ? 3 + (r >> 1) % 3 : (r >> 1) % 8,
		.granule_lg2 = granules[(r >> 8) % 5],
		.in_lg2 = r & 16 ? 0 : 30 + (r >> 16) % 30,
		.out_lg2 = r & 32 ? 0 : 32 + (r >> 24) % 24,
		.flags = rnd(seed) & 0xffff,
	};

	if (format == WALK_ARM_S1 || format == WALK_ARM_S2) {
		cfg.in_lg2 = 32 + (r >> 16) % 20;
		cfg.levels = r & 64 ? 0 : cfg.levels;
	}
	if (r >> 60 == 0)
		cfg.page_sizes = rnd(seed);
	if (r >> 60 == 1)
		cfg.root = rnd(seed);
	return cfg;
}

static u64 random_address(u64 *seed, const struct walk_cfg *cfg)
{
	u64 addr = rnd(seed), lg2 = cfg->in_lg2 ? cfg->in_lg2 : 39;

	if (addr & 1)
		return addr;
	addr &= (1ULL << lg2) - 1;
	return cfg->flags & WALK_UPPER ? ~addr : addr;
}

static u32 random_access(u64 *seed)
{
	return rnd(seed) & (R | W | WALK_EXEC | WALK_PRIV | WALK_PEEK);
}

static void plausible(const struct walk_result *res, enum iommu_xlat_fault fault, u32 max_loads)
{
	assert_true(res->reason <= WALK_BUSY);
	assert_int_equal(fault, walk_fault(res->reason));
	assert_true(res->loads <= max_loads);
	if (fault)
		return;
	assert_true(res->xlat.lg2 >= 12 && res->xlat.lg2 <= 56);
	assert_true(res->xlat.pa >> 56 == 0);
	assert_false(res->xlat.stage2);
}

static struct chaos *chaos_new(void)
{
	struct chaos *chaos = calloc(1, sizeof(*chaos));
	u32 i;

	assert_non_null(chaos);
	chaos->seed = 0x9e3779b97f4a7c15ULL;
	for (i = 0; i < ARRAY_SIZE(chaos->words); i++)
		chaos->words[i] = random_entry(&chaos->seed);
	return chaos;
}

static void walk_at_random(struct chaos *chaos, u64 *seed, u32 walks, u32 *reasons)
{
	const struct walk_mem mem = { .load = chaos_load, .cas = chaos_cas, .ctx = chaos };
	static const u8 second[] = { WALK_AMDV1, WALK_VTD_SS, WALK_ARM_S2, WALK_RISCV_X4 };
	struct walk_cfg cfg, s2;
	struct walk_result res;
	enum iommu_xlat_fault fault;
	u32 i;

	for (i = 0; i < walks; i++) {
		cfg = random_registers(seed, i % (WALK_RISCV_X4 + 2));
		s2 = random_registers(seed, second[rnd(seed) % 4]);
		fault = walk_translate(&cfg, &mem, random_address(seed, &cfg),
				       random_access(seed), &res);
		plausible(&res, fault, MAX_LOADS);
		reasons[res.reason]++;
		fault = walk_nested(rnd(seed) % 8 ? &cfg : NULL, &s2, &mem,
				    random_address(seed, &cfg), random_access(seed), &res);
		plausible(&res, fault, MAX_BOTH);
	}
}

static void random_words_as_tables(void **state)
{
	struct chaos *chaos = chaos_new();
	u32 reasons[WALK_BUSY + 1] = { 0 }, i;

	walk_at_random(chaos, &chaos->seed, WALKS, reasons);
	/* each kind of end was met, but the rarest and the one that needs somebody beside us */
	for (i = WALK_OK; i < WALK_BUSY; i++)
		if (!reasons[i] && i != WALK_DIRTY_FLAG)
			fail_msg("never met: %s", walk_reason_name(i));
	free(chaos);
}

static void *keep_changing(void *arg)
{
	struct chaos *chaos = arg;
	u64 seed = 12345;

	while (!atomic_load_explicit(&chaos->stop, memory_order_relaxed))
		chaos->words[rnd(&seed) % ARRAY_SIZE(chaos->words)] = random_entry(&seed);
	return NULL;
}

static void random_words_that_change_meanwhile(void **state)
{
	struct chaos *chaos = chaos_new();
	u32 reasons[WALK_BUSY + 1] = { 0 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, keep_changing, chaos), 0);
	walk_at_random(chaos, &chaos->seed, WALKS / 4, reasons);
	atomic_store(&chaos->stop, true);
	pthread_join(thread, NULL);
	free(chaos);
}

static void tables_that_point_to_themselves(void **state)
{
	struct ram *ram = ram_new();
	struct walk_cfg cfg = { .format = WALK_X86_64, .root = RAM_PA, .levels = 5 };
	const struct walk_mem mem = ram_mem(ram);
	struct walk_result res;
	u32 i;

	for (i = 0; i < 512; i++)
		poke(ram, RAM_PA + i * 8, RAM_PA | 0x67);
	assert_int_equal(walk_ok(&cfg, ram, 0x123456789abc, R).loads, 5);
	cfg = (struct walk_cfg){ .format = WALK_ARM_S1, .root = RAM_PA, .granule_lg2 = 12,
				 .in_lg2 = 48 };
	for (i = 0; i < 512; i++)
		poke(ram, RAM_PA + i * 8, RAM_PA | 0x743);
	assert_int_equal(walk_ok(&cfg, ram, 0x123456789abc, R).loads, 4);
	cfg = (struct walk_cfg){ .format = WALK_RISCV, .root = RAM_PA, .levels = 5 };
	for (i = 0; i < 512; i++)
		poke(ram, RAM_PA + i * 8, RAM_PA >> 2 | 1);
	assert_int_equal(walk_translate(&cfg, &mem, 0, R, &res), IOMMU_XLAT_BAD_ENTRY);
	assert_int_equal(res.loads, 5);
	/* a guest's table that is the parent's too */
	for (i = 0; i < 512; i++)
		poke(ram, RAM_PA + i * 8, RAM_PA | 0x67);
	cfg = (struct walk_cfg){ .format = WALK_X86_64, .root = RAM_PA, .levels = 5 };
	assert_int_equal(walk_nested(&cfg, &cfg, &mem, 0, R, &res), IOMMU_XLAT_OK);
	assert_int_equal(res.loads, 5 * 6 + 5);
	free(ram);
}

/* ---- physical memory of a system ---- */

static void the_memory_of_a_system(void **state)
{
	struct walk_cfg cfg = { .format = WALK_AMDV1, .levels = 2,
				.flags = WALK_ACCESSED | WALK_DIRTY };
	const u64 rw = 0x6000000000000001ULL;
	struct walk_mem mem[2];
	struct mem_space *space;
	struct walk_result res;
	u64 *root, *table, table_pa;
	u32 i;

	assert_int_equal(mem_space_create(IOMMUFD_FRAMES_CONTIGUOUS, NULL, &space), 0);
	root = mem_frames_alloc(space, 12, &cfg.root);
	table = mem_frames_alloc(space, 12, &table_pa);
	assert_true(root && table);
	mem[0] = walk_mem_phys(space);
	mem[1] = walk_mem_frames(space);
	for (i = 0; i < 2; i++) {
		root[0] = rw | table_pa | 1 << 9;
		root[1] = rw | 0x3ffff000 | 1 << 9; /* below all memory */
		root[2] = rw | 0xfffffffff000ULL | 1 << 9; /* where there is none */
		root[3] = rw | 0xffffffffff000ULL | 1 << 9; /* wider than there is */
		table[0] = rw | 0x123456000;
		assert_int_equal(walk_translate(&cfg, &mem[i], 5, W, &res), IOMMU_XLAT_OK);
		assert_int_equal(res.xlat.pa, 0x123456005);
		assert_int_equal(table[0], rw | 0x123456060);
		assert_int_equal(walk_translate(&cfg, &mem[i], SZ_2M, R, &res),
				 IOMMU_XLAT_BAD_TABLE);
		assert_int_equal(walk_translate(&cfg, &mem[i], 2 * SZ_2M, R, &res),
				 IOMMU_XLAT_BAD_TABLE);
		assert_int_equal(walk_translate(&cfg, &mem[i], 3 * SZ_2M, R, &res),
				 IOMMU_XLAT_BAD_TABLE);
		assert_int_equal(res.reason, WALK_FETCH);
	}
	mem_frames_free(space, table, table_pa, 12);
	mem_frames_free(space, root, cfg.root, 12);
	mem_space_destroy(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_words_as_tables),
		cmocka_unit_test(random_words_that_change_meanwhile),
		cmocka_unit_test(tables_that_point_to_themselves),
		cmocka_unit_test(the_memory_of_a_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
