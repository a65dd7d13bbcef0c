/* SPDX-License-Identifier: MIT */
/*
 * Two stages: a guest's tables in guest memory that is scattered over physical
 * memory, against the composition of two arrays of pages; and the faults of
 * either stage, told apart.
 */
#include "walk_fixture.h"

#define GUEST_PA    0x200000000ULL
#define IPAGES	    1024u /* pages of guest memory; the first TABLES hold the guest's tables */
#define TABLES	    256u
#define VPAGES	    512u
#define VA	    0x40000000ULL /* of page 0 */
#define STEPS	    1500u
#define MARKS	    (WALK_ACCESSED | WALK_DIRTY)

struct pair {
	const char *name;
	pt_init_fn init1, init2;
	struct walk_cfg s1, s2;
	unsigned va_lg2, ipa_lg2;
};

/* struct page - where a page of one stage is mapped to */
struct page {
	bool mapped;
	u32 to;
	unsigned prot;
};

struct world {
	const struct pair *pair;
	struct pt_table s1, s2;
	struct arena *arena; /* of the second stage's tables */
	char *guest;	     /* IPAGES pages; guest page i is page place[i] of it */
	u32 place[IPAGES];
	u32 next_table;
	u32 spare[IPAGES], spares; /* tables the guest gave back */
	struct page va[VPAGES], ipa[IPAGES];
	u64 seed;
	u64 written; /* last that was reported */
	u64 flipped; /* an entry that changes all the time */
};

static u64 rnd(struct world *w, u64 below)
{
	w->seed = w->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (w->seed >> 33) % below;
}

/* ---- memory ---- */

static u64 *phys_word(struct world *w, u64 pa)
{
	if (pa & 7)
		return NULL;
	if (pa >= ARENA_PA && pa < ARENA_PA + ARENA_ROOM)
		return arena_ptr(w->arena, pa);
	if (pa >= GUEST_PA && pa < GUEST_PA + IPAGES * SZ_4K)
		return (u64 *)(w->guest + (pa - GUEST_PA));
	return NULL;
}

static int world_load(void *ctx, u64 pa, u64 *ret)
{
	u64 *word = phys_word(ctx, pa);

	if (!word)
		return -EFAULT;
	*ret = *word;
	return 0;
}

static int world_cas(void *ctx, u64 pa, u64 *old, u64 value)
{
	struct world *w = ctx;
	u64 *word = phys_word(ctx, pa), found;

	if (!word)
		return -EFAULT;
	if (w->flipped == pa)
		*word ^= 1ULL << 9; /* no matter to a walk, but not the same */
	found = *word;
	if (found == *old)
		*word = value;
	*old = found;
	return 0;
}

static void world_written(void *ctx, u64 ipa)
{
	struct world *w = ctx;

	w->written = ipa;
}

/* What the guest sees at @ipa. */
static void *guest_ptr(struct world *w, u64 ipa)
{
	return w->guest + w->place[ipa / SZ_4K] * SZ_4K + ipa % SZ_4K;
}

static void *guest_table_alloc(void *ctx, unsigned lg2_size, u64 *ret_ipa)
{
	struct world *w = ctx;
	u32 page = w->spares ? w->spare[--w->spares] : w->next_table++;

	assert_true(lg2_size == 12 && page < TABLES);
	*ret_ipa = page * SZ_4K;
	return memset(guest_ptr(w, *ret_ipa), 0, SZ_4K);
}

static void guest_table_free(void *ctx, void *table, u64 ipa, unsigned lg2_size)
{
	struct world *w = ctx;

	w->spare[w->spares++] = ipa / SZ_4K;
}

static void *guest_table_ptr(void *ctx, u64 ipa)
{
	return guest_ptr(ctx, ipa);
}

static const struct pt_alloc_ops guest_ops = {
	.table_alloc = guest_table_alloc,
	.table_free = guest_table_free,
	.pa_to_ptr = guest_table_ptr,
};

/* ---- making a world ---- */

static void outer_map(struct world *w, u32 ipage, u32 to, unsigned prot)
{
	assert_int_equal(map(&w->s2, ipage * SZ_4K, GUEST_PA + to * SZ_4K, SZ_4K, prot), 0);
	w->ipa[ipage] = (struct page){ .mapped = true, .to = to, .prot = prot };
}

static void outer_unmap(struct world *w, u32 ipage)
{
	assert_int_equal(unmap(&w->s2, ipage * SZ_4K, SZ_4K), SZ_4K);
	w->ipa[ipage].mapped = false;
}

static void inner_map(struct world *w, u32 vpage, u32 to, unsigned prot)
{
	assert_int_equal(map(&w->s1, VA + vpage * SZ_4K, to * SZ_4K, SZ_4K, prot), 0);
	w->va[vpage] = (struct page){ .mapped = true, .to = to, .prot = prot };
}

static struct world *world_new(const struct pair *pair)
{
	struct world *w = calloc(1, sizeof(*w));
	struct pt_cfg cfg1 = { .alloc = &guest_ops, .alloc_ctx = w, .max_va_lg2 = pair->va_lg2,
			       .features = PT_FEAT_DIRTY };
	u32 i, k;

	assert_non_null(w);
	w->pair = pair;
	w->seed = 3;
	w->next_table = 1;
	w->guest = calloc(IPAGES, SZ_4K);
	for (i = 0; i < IPAGES; i++) { /* a random order */
		k = rnd(w, i + 1);
		w->place[i] = w->place[k];
		w->place[k] = i;
	}
	w->arena = pt_begin(&w->s2, pair->init2,
			    (struct pt_cfg){ .max_va_lg2 = pair->ipa_lg2,
					     .features = PT_FEAT_DIRTY });
	for (i = 0; i < TABLES; i++)
		outer_map(w, i, w->place[i], RW);
	assert_int_equal(pair->init1(&w->s1, &cfg1), 0);
	return w;
}

static void world_end(struct world *w)
{
	w->s1.ops->fini(&w->s1);
	pt_end(&w->s2, w->arena);
	free(w->guest);
	free(w);
}

static enum iommu_xlat_fault nested(struct world *w, u64 addr, u32 access,
				    struct walk_result *res)
{
	const struct walk_mem mem = { .load = world_load, .cas = world_cas, .ctx = w,
				      .written = world_written };
	struct walk_cfg s1 = w->pair->s1, s2 = w->pair->s2;
	unsigned level;

	s1.root = w->s1.ops->root(&w->s1, &level);
	s1.levels = level + 1;
	s2.root = w->s2.ops->root(&w->s2, &level);
	s2.levels = level + 1;
	return walk_nested(&s1, &s2, &mem, addr, access, res);
}

/* ---- against two arrays ---- */

static void compare_failed(const struct walk_result *res, enum walk_reason reason, u8 stage,
			   u64 addr)
{
	if (res->reason != reason)
		fail_msg("%s instead of %s", walk_reason_name(res->reason),
			 walk_reason_name(reason));
	assert_int_equal(res->stage, stage);
	assert_int_equal(res->xlat.stage2, stage == 2);
	assert_int_equal(res->xlat.fault_addr, addr);
	assert_false(res->for_table);
}

static void compare_walk(struct world *w)
{
	u32 vpage = rnd(w, VPAGES);
	u64 off = rnd(w, SZ_4K), addr = VA + vpage * SZ_4K + off, ipa;
	u32 access = rnd(w, 2) ? R : W;
	const struct page *in = &w->va[vpage], *out;
	enum iommu_xlat_fault fault;
	struct walk_result res;
	struct pt_walk sw;

	fault = nested(w, addr, access, &res);
	assert_int_equal(fault, walk_fault(res.reason));
	if (!in->mapped) {
		compare_failed(&res, WALK_NOT_PRESENT, 1, addr);
		return;
	}
	if (access & ~in->prot) {
		compare_failed(&res, WALK_NO_WRITE, 1, addr);
		return;
	}
	out = &w->ipa[in->to];
	ipa = in->to * SZ_4K + off;
	if (!out->mapped || access & ~out->prot) {
		compare_failed(&res, out->mapped ? WALK_NO_WRITE : WALK_NOT_PRESENT, 2, ipa);
		return;
	}
	assert_int_equal(res.reason, WALK_OK);
	assert_xlat(res, GUEST_PA + out->to * SZ_4K + off, 12, in->prot & out->prot);
	if (access == R)
		return;
	assert_true(res.xlat.dirty);
	assert_int_equal(w->written, ipa);
	assert_int_equal(w->s1.ops->walk(&w->s1, addr, &sw), 0);
	assert_true(sw.dirty);
	assert_int_equal(w->s2.ops->walk(&w->s2, ipa, &sw), 0);
	assert_true(sw.dirty);
}

static void step(struct world *w)
{
	u32 vpage = rnd(w, VPAGES), ipage = TABLES + rnd(w, IPAGES - TABLES);
	unsigned prot = rnd(w, 3) ? RW : PT_PROT_READ;

	if (rnd(w, 2)) {
		if (w->va[vpage].mapped) {
			assert_int_equal(unmap(&w->s1, VA + vpage * SZ_4K, SZ_4K), SZ_4K);
			w->va[vpage].mapped = false;
		}
		if (rnd(w, 4))
			inner_map(w, vpage, ipage, prot);
		return;
	}
	if (w->ipa[ipage].mapped)
		outer_unmap(w, ipage);
	if (rnd(w, 6))
		outer_map(w, ipage, rnd(w, IPAGES), prot);
}

static void two_stages_are_the_composition_of_two_maps(void **state)
{
	struct world *w = world_new(*state);
	u32 i, k;

	for (i = TABLES; i < IPAGES; i += 2)
		outer_map(w, i, w->place[i], RW);
	for (i = 0; i < STEPS; i++) {
		step(w);
		for (k = 0; k < 8; k++)
			compare_walk(w);
	}
	world_end(w);
}

/* ---- faults, told apart ---- */

/* One page, and where its guest entries are: @ret_entry, of the last level, in guest memory. */
static struct world *world_with_a_page(const struct pair *pair, u64 *ret_entry)
{
	struct world *w = world_new(pair);
	struct walk_result res;

	inner_map(w, 0, TABLES, RW);
	outer_map(w, TABLES, w->place[TABLES], RW);
	assert_int_equal(nested(w, VA, R, &res), IOMMU_XLAT_OK);
	nested(w, VA + SZ_4K, R, &res); /* a hole beside it says where */
	assert_int_equal(res.stage, 1);
	*ret_entry = res.entry_pa - 8;
	return w;
}

static void a_table_the_parent_does_not_map_is_a_fault_of_the_second_stage(void **state)
{
	struct walk_result res;
	struct world *w;
	u64 entry;

	w = world_with_a_page(*state, &entry);
	outer_unmap(w, entry / SZ_4K);
	assert_int_equal(nested(w, VA, R, &res), IOMMU_XLAT_NOT_PRESENT);
	assert_int_equal(res.stage, 2);
	assert_true(res.xlat.stage2);
	assert_true(res.for_table);
	assert_false(res.for_mark);
	assert_int_equal(res.xlat.fault_addr, entry);
	/* without memory behind the parent's page, the table is none */
	assert_int_equal(map(&w->s2, ALIGN_DOWN(entry, SZ_4K), 0x10000000, SZ_4K, RW), 0);
	assert_int_equal(nested(w, VA, R, &res), IOMMU_XLAT_BAD_TABLE);
	assert_int_equal(res.reason, WALK_FETCH);
	assert_int_equal(res.stage, 1);
	assert_false(res.xlat.stage2);
	world_end(w);
}

static void a_mark_in_a_table_the_parent_only_reads(void **state)
{
	struct walk_result res;
	struct world *w;
	u64 entry;

	w = world_with_a_page(*state, &entry);
	outer_unmap(w, entry / SZ_4K);
	outer_map(w, entry / SZ_4K, w->place[entry / SZ_4K], PT_PROT_READ);
	assert_int_equal(nested(w, VA, R, &res), IOMMU_XLAT_OK); /* nothing to mark */
	assert_int_equal(nested(w, VA, W, &res), IOMMU_XLAT_PERMISSION);
	assert_int_equal(res.stage, 2);
	assert_true(res.for_table && res.for_mark);
	assert_int_equal(res.xlat.fault_addr, entry);
	assert_int_equal(nested(w, VA, W | WALK_PEEK, &res), IOMMU_XLAT_OK);
	assert_false(res.xlat.dirty);
	world_end(w);
}

static void a_mark_in_a_table_is_a_write_to_guest_memory(void **state)
{
	struct walk_result res;
	struct pt_walk sw;
	struct world *w;
	u64 entry;

	w = world_with_a_page(*state, &entry);
	assert_int_equal(w->s2.ops->walk(&w->s2, entry, &sw), 0);
	assert_false(sw.dirty);
	assert_int_equal(nested(w, VA, W, &res), IOMMU_XLAT_OK);
	assert_int_equal(w->s2.ops->walk(&w->s2, entry, &sw), 0);
	assert_true(sw.dirty);
	world_end(w);
}

static void an_entry_that_changes_for_ever_ends_the_walk(void **state)
{
	struct walk_result res;
	struct world *w;
	u64 entry;

	w = world_with_a_page(*state, &entry);
	w->flipped = GUEST_PA + w->place[entry / SZ_4K] * SZ_4K + entry % SZ_4K;
	assert_int_equal(nested(w, VA, W, &res), IOMMU_XLAT_BAD_TABLE);
	assert_int_equal(res.reason, WALK_BUSY);
	assert_true(res.loads < 5000);
	world_end(w);
}

static void reads_are_counted_over_both_stages(void **state)
{
	const struct pair *pair = *state;
	unsigned level1, level2;
	struct walk_result res;
	struct world *w;
	u64 entry;

	w = world_with_a_page(pair, &entry);
	w->s1.ops->root(&w->s1, &level1);
	w->s2.ops->root(&w->s2, &level2);
	assert_int_equal(nested(w, VA, R, &res), IOMMU_XLAT_OK);
	assert_int_equal(res.loads, (level1 + 1) * (level2 + 2) + level2 + 1);
	world_end(w);
}

static void the_page_is_the_smaller_of_both_stages(void **state)
{
	const struct pair *pair = *state;
	struct walk_result res;
	struct world *w = world_new(pair);
	const u64 large = 64 * SZ_2M;

	assert_int_equal(map(&w->s2, large, 0x400000000, SZ_2M, RW), 0);
	assert_int_equal(map(&w->s2, large + SZ_2M, 0x400001000, SZ_2M, RW), 0);
	assert_int_equal(map(&w->s1, VA, large, SZ_2M, RW), 0);
	assert_int_equal(map(&w->s1, VA + SZ_2M, large + SZ_2M, SZ_2M, RW), 0);
	assert_int_equal(map(&w->s1, VA + 2 * SZ_2M, large + SZ_4K, SZ_4K, RW), 0);
	assert_int_equal(nested(w, VA + 0x12345, R, &res), IOMMU_XLAT_OK);
	assert_xlat(res, 0x400012345, 21, RW);
	assert_int_equal(nested(w, VA + SZ_2M + 0x12345, R, &res), IOMMU_XLAT_OK);
	assert_true(res.xlat.lg2 < 21);
	assert_int_equal(res.xlat.pa, 0x400013345);
	assert_int_equal(nested(w, VA + 2 * SZ_2M, R, &res), IOMMU_XLAT_OK);
	assert_xlat(res, 0x400001000, 12, RW);
	world_end(w);
}

static void without_a_first_stage_the_second_is_all(void **state)
{
	const struct pair *pair = *state;
	struct world *w = world_new(pair);
	const struct walk_mem mem = { .load = world_load, .cas = world_cas, .ctx = w };
	struct walk_cfg s2 = pair->s2;
	struct walk_result res;
	unsigned level;

	s2.root = w->s2.ops->root(&w->s2, &level);
	s2.levels = level + 1;
	outer_map(w, TABLES, 5, PT_PROT_READ);
	assert_int_equal(walk_nested(NULL, &s2, &mem, TABLES * SZ_4K + 9, R, &res), 0);
	assert_xlat(res, GUEST_PA + 5 * SZ_4K + 9, 12, R);
	walk_nested(NULL, &s2, &mem, TABLES * SZ_4K, W, &res);
	compare_failed(&res, WALK_NO_WRITE, 2, TABLES * SZ_4K);
	walk_nested(NULL, &s2, &mem, 1ULL << pair->ipa_lg2, R, &res);
	compare_failed(&res, WALK_RANGE, 2, 1ULL << pair->ipa_lg2);
	world_end(w);
}

static const struct pair pairs[] = {
	{ "x86-64 over VT-d", pt_x86_64_init, pt_vtdss_init,
	  { .format = WALK_X86_64, .flags = MARKS | WALK_NX | WALK_WP },
	  { .format = WALK_VTD_SS, .flags = MARKS }, 48, 39 },
	{ "x86-64 over AMDv1", pt_x86_64_init, pt_amdv1_init,
	  { .format = WALK_X86_64, .flags = MARKS | WALK_NX | WALK_WP },
	  { .format = WALK_AMDV1, .flags = MARKS, .in_lg2 = 48 }, 57, 48 },
	{ "ARM", pt_lpae_s1_4k_init, pt_lpae_s2_4k_init,
	  { .format = WALK_ARM_S1, .flags = MARKS, .granule_lg2 = 12, .in_lg2 = 48 },
	  { .format = WALK_ARM_S2, .flags = MARKS, .granule_lg2 = 12, .in_lg2 = 40 }, 48, 40 },
	{ "RISC-V", pt_riscv_init, pt_riscv_x4_init, { .format = WALK_RISCV, .flags = MARKS },
	  { .format = WALK_RISCV_X4, .flags = MARKS }, 39, 41 },
};

int main(void)
{
	static const struct CMUnitTest each[] = {
		cmocka_unit_test(two_stages_are_the_composition_of_two_maps),
		cmocka_unit_test(a_table_the_parent_does_not_map_is_a_fault_of_the_second_stage),
		cmocka_unit_test(a_mark_in_a_table_the_parent_only_reads),
		cmocka_unit_test(a_mark_in_a_table_is_a_write_to_guest_memory),
		cmocka_unit_test(an_entry_that_changes_for_ever_ends_the_walk),
		cmocka_unit_test(reads_are_counted_over_both_stages),
		cmocka_unit_test(the_page_is_the_smaller_of_both_stages),
		cmocka_unit_test(without_a_first_stage_the_second_is_all),
	};
	struct CMUnitTest tests[ARRAY_SIZE(pairs) * ARRAY_SIZE(each)];
	static char names[ARRAY_SIZE(tests)][120];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		const struct pair *pair = &pairs[i / ARRAY_SIZE(each)];

		tests[i] = each[i % ARRAY_SIZE(each)];
		tests[i].initial_state = (void *)pair;
		snprintf(names[i], sizeof(names[i]), "%s: %s", tests[i].name, pair->name);
		tests[i].name = names[i];
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
