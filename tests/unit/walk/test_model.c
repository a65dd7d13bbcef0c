/* SPDX-License-Identifier: MIT */
/*
 * The hardware's view of tables against the software's, in every format: random
 * mapping, unmapping, cutting, joining and writing, and after each step walks at
 * random iovas that have to find what pt/ says is there.
 */
#include "walk_fixture.h"

#define STEPS 700u
#define PAGES 2048u
#define WALKS 24u

struct kind {
	const char *name;
	pt_init_fn init;
	u8 format, granule_lg2, va_lg2, out_lg2;
	bool sign; /* iovas are sign-extended */
	u32 flags;
	unsigned features; /* besides PT_FEAT_DIRTY */
};

struct model {
	const struct kind *kind;
	struct pt_table pt;
	struct arena *arena;
	unsigned page_lg2;
	u64 base, seed;
	u32 found; /* walks that translated */
};

static u64 rnd(struct model *m, u64 below)
{
	m->seed = m->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (m->seed >> 33) % below;
}

/* ---- memory of the arena, as hardware accesses it ---- */

static int arena_load(void *ctx, u64 pa, u64 *ret)
{
	if (pa < ARENA_PA || pa >= ARENA_PA + ARENA_ROOM || pa & 7)
		return -EFAULT;
	*ret = *(u64 *)arena_ptr(ctx, pa);
	return 0;
}

static int arena_cas(void *ctx, u64 pa, u64 *old, u64 value)
{
	u64 *word = arena_ptr(ctx, pa), found = *word;

	if (found == *old)
		*word = value;
	*old = found;
	return 0;
}

static enum iommu_xlat_fault hw_walk(struct model *m, u64 iova, u32 access,
				     struct walk_result *res)
{
	const struct walk_mem mem = { .load = arena_load, .cas = arena_cas, .ctx = m->arena };
	struct walk_cfg cfg = {
		.format = m->kind->format,
		.granule_lg2 = m->kind->granule_lg2,
		.in_lg2 = m->kind->sign ? 0 : m->kind->va_lg2,
		.out_lg2 = m->kind->out_lg2,
		.flags = m->kind->flags | WALK_ACCESSED | WALK_DIRTY,
	};
	unsigned level, unused = 64 - m->kind->va_lg2;

	cfg.root = m->pt.ops->root(&m->pt, &level);
	cfg.levels = level + 1;
	if (m->kind->sign)
		iova = (u64)((s64)(iova << unused) >> unused);
	return walk_translate(&cfg, &mem, iova, access, res);
}

/* ---- what both have to agree on ---- */

static void compare_at(struct model *m, u64 iova)
{
	struct walk_result res;
	struct pt_walk sw;
	enum iommu_xlat_fault fault = hw_walk(m, iova, R | WALK_PEEK, &res);

	if (m->pt.ops->walk(&m->pt, iova, &sw)) {
		assert_true(res.reason == WALK_NOT_PRESENT ||
			    (res.reason == WALK_RANGE && m->pt.cfg.features & PT_FEAT_DYNAMIC_TOP));
		return;
	}
	if (!(sw.prot & PT_PROT_READ)) {
		assert_int_equal(res.reason, WALK_NO_READ);
		fault = hw_walk(m, iova, W | WALK_PEEK, &res);
	}
	if (fault)
		fail_msg("%s: %llx: %s, entry %llx", m->kind->name, (unsigned long long)iova,
			 walk_reason_name(res.reason), (unsigned long long)res.entry);
	m->found++;
	assert_xlat(res, sw.pa, sw.lg2, sw.prot & (PT_PROT_READ | PT_PROT_WRITE));
	if (sw.prot & PT_PROT_WRITE)
		assert_int_equal(res.xlat.dirty, sw.dirty);
}

/* A device writes; software has to see the mark, in the same entry. */
static void write_at(struct model *m, u64 iova)
{
	struct walk_result res;
	struct pt_walk sw;
	enum iommu_xlat_fault fault = hw_walk(m, iova, W, &res);

	if (m->pt.ops->walk(&m->pt, iova, &sw)) {
		assert_int_not_equal(fault, IOMMU_XLAT_OK);
		return;
	}
	if (!(sw.prot & PT_PROT_WRITE)) {
		assert_int_equal(res.reason, WALK_NO_WRITE);
		return;
	}
	assert_int_equal(fault, IOMMU_XLAT_OK);
	assert_true(res.xlat.dirty);
	assert_true(sw.dirty);
	assert_int_equal(m->pt.ops->set_dirty(&m->pt, iova), 0); /* tell the summary */
}

static u64 some_iova(struct model *m)
{
	return m->base + (rnd(m, PAGES) << m->page_lg2) + rnd(m, 1ULL << m->page_lg2);
}

/* ---- steps ---- */

static void step_map(struct model *m)
{
	u64 at = rnd(m, PAGES), n = 1 + rnd(m, rnd(m, 3) ? 60 : PAGES), align = rnd(m, 12);
	u64 iova, pa, mapped, bits;

	if (rnd(m, 2))
		at = ALIGN_DOWN(at, 1ULL << align);
	n = MIN(n, PAGES - at);
	iova = m->base + (at << m->page_lg2);
	bits = MIN(63 - __builtin_clzll((m->pt.oa_last >> (m->page_lg2 + align + 1)) | 1), 30);
	pa = rnd(m, 1ULL << bits) << (m->page_lg2 + align) |
	     (iova & ((1ULL << (m->page_lg2 + align)) - 1));
	m->pt.ops->map_range(&m->pt, iova, pa, n << m->page_lg2, 1 + rnd(m, 3), &mapped);
}

static void clean(void *ctx, u64 iova, u64 len)
{
}

static void step(struct model *m)
{
	u64 at = rnd(m, PAGES), n = 1 + rnd(m, PAGES - at);
	u64 iova = m->base + (at << m->page_lg2), len = n << m->page_lg2;
	unsigned i;

	switch (rnd(m, 10)) {
	case 0 ... 2:
		step_map(m);
		break;
	case 3 ... 4:
		unmap(&m->pt, iova, len);
		break;
	case 5:
		m->pt.ops->cut(&m->pt, iova, len, m->page_lg2 + rnd(m, 12));
		break;
	case 6:
		collapse(&m->pt, iova, len, 0);
		break;
	case 7 ... 8:
		for (i = 0; i < 8; i++)
			write_at(m, some_iova(m));
		break;
	default:
		m->pt.ops->read_and_clear_dirty(&m->pt, iova, len, 0, clean, NULL);
	}
}

static void run(const struct kind *kind, bool dirty_from_birth)
{
	struct model m = { .kind = kind, .seed = 7 };
	const struct pt_cfg cfg = {
		.max_va_lg2 = kind->va_lg2,
		.max_oa_lg2 = kind->out_lg2,
		.features = PT_FEAT_DIRTY | kind->features |
			    (dirty_from_birth ? PT_FEAT_NEW_DIRTY : 0),
	};
	struct walk_result res;
	unsigned i, k, upper;

	m.arena = pt_begin(&m.pt, kind->init, cfg);
	m.page_lg2 = __builtin_ctzll(m.pt.ops->pgsize_bitmap(&m.pt));
	/* across the middle, which is a boundary of the highest level; or of the third */
	upper = dirty_from_birth ? kind->va_lg2 - 1 : MIN(m.page_lg2 * 2 + 6, kind->va_lg2 - 1u);
	m.base = (1ULL << upper) - (PAGES / 2 << m.page_lg2);
	for (i = 0; i < STEPS; i++) {
		step(&m);
		for (k = 0; k < WALKS; k++)
			compare_at(&m, some_iova(&m));
		assert_sound(&m.pt);
	}
	assert_true(m.found > STEPS * WALKS / 4 && m.found < STEPS * WALKS);
	if (!kind->sign) {
		hw_walk(&m, 1ULL << kind->va_lg2, R, &res);
		assert_int_equal(res.reason, WALK_RANGE);
	}
	pt_end(&m.pt, m.arena);
}

#define X86(va) { "x86-64", pt_x86_64_init, WALK_X86_64, 12, va, 52, true, WALK_NX | WALK_WP, 0 }
#define SS(va, flags)                                                                              \
	{ "VT-d second stage", pt_vtdss_init, WALK_VTD_SS, 12, va, 52, false,                      \
	  WALK_SNOOP | (flags), PT_FEAT_FORCE_COHERENT }
#define RV(va) { "RISC-V", pt_riscv_init, WALK_RISCV, 12, va, 56, true, WALK_PBMT, PT_FEAT_PBMT }
#define RVX4(va)                                                                                   \
	{ "RISC-V x4", pt_riscv_x4_init, WALK_RISCV_X4, 12, va, 56, false, WALK_PBMT, PT_FEAT_PBMT }
#define ARM(stage, name, g, va, out, flags)                                                        \
	{ "ARM " #stage " " #name, pt_lpae_##stage##_##name##_init,                                \
	  WALK_ARM_S1 + (#stage[1] == '2'), g, va, out, false, flags, 0 }

static const struct kind kinds[] = {
	{ "AMDv1", pt_amdv1_init, WALK_AMDV1, 12, 48, 52, false, 0, PT_FEAT_FORCE_COHERENT },
	{ "AMDv1 growing", pt_amdv1_init, WALK_AMDV1, 12, 57, 52, false, 0, PT_FEAT_DYNAMIC_TOP },
	X86(48),
	X86(57),
	SS(39, WALK_ACCESSED_TABLES),
	SS(48, WALK_ACCESSED_TABLES),
	SS(57, 0),
	RV(39),
	RV(48),
	RV(57),
	RVX4(41),
	RVX4(50),
	RVX4(59),
	ARM(s1, 4k, 12, 39, 48, 0),
	ARM(s1, 4k, 12, 48, 48, 0),
	ARM(s1, 4k_lpa2, 12, 52, 52, WALK_LPA2),
	ARM(s1, 16k, 14, 47, 48, 0),
	ARM(s1, 16k_lpa2, 14, 52, 52, WALK_LPA2),
	ARM(s1, 64k, 16, 48, 48, 0),
	ARM(s1, 64k, 16, 52, 52, 0),
	ARM(s2, 4k, 12, 40, 40, 0), /* two roots side by side */
	ARM(s2, 4k, 12, 43, 48, 0), /* sixteen */
	ARM(s2, 4k, 12, 48, 48, 0),
	ARM(s2, 4k_lpa2, 12, 52, 52, WALK_LPA2),
	ARM(s2, 16k, 14, 40, 48, 0),
	ARM(s2, 16k_lpa2, 14, 50, 52, WALK_LPA2),
	ARM(s2, 64k, 16, 46, 48, 0),
	ARM(s2, 64k, 16, 52, 52, 0),
};

static void the_hardware_finds_what_software_mapped(void **state)
{
	const struct kind *kind = *state;

	run(kind, false);
}

static void the_same_with_leaves_born_dirty_and_high_iovas(void **state)
{
	const struct kind *kind = *state;

	run(kind, true);
}

int main(void)
{
	struct CMUnitTest tests[2 * ARRAY_SIZE(kinds)];
	static char names[ARRAY_SIZE(tests)][100];
	unsigned i, n = 0;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		tests[n] = (struct CMUnitTest)cmocka_unit_test_prestate(
			the_hardware_finds_what_software_mapped, (void *)&kinds[i]);
		tests[n + 1] = (struct CMUnitTest)cmocka_unit_test_prestate(
			the_same_with_leaves_born_dirty_and_high_iovas, (void *)&kinds[i]);
		for (unsigned k = n; k < n + 2; k++) {
			snprintf(names[k], sizeof(names[k]), "%s: %s, %u bits", tests[k].name,
				 kinds[i].name, kinds[i].va_lg2);
			tests[k].name = names[k];
		}
		n += 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
