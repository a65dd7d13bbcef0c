/* SPDX-License-Identifier: MIT */
/*
 * A table that was freed while something still leads to it, in every format: with checks on, no
 * walk takes it for a table or for an empty one.
 */
#include "walk_fixture.h"

#include "mem/mem.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

struct kind {
	const char *name;
	u8 format, granule_lg2, levels, in_lg2;
	u64 table; /* an entry that leads to a table, but for its address */
};

static const struct kind kinds[] = {
	{ "AMDv1", WALK_AMDV1, 12, 4, 48, 1 | 3ULL << 9 | 3ULL << 61 },
	{ "x86-64", WALK_X86_64, 12, 4, 0, 0x27 },
	{ "VT-d second stage", WALK_VTD_SS, 12, 4, 48, 3 },
	{ "RISC-V", WALK_RISCV, 12, 4, 0, 1 },
	{ "ARM stage 1", WALK_ARM_S1, 12, 0, 48, 3 },
	{ "ARM stage 2", WALK_ARM_S2, 12, 4, 48, 3 },
};

static struct mem_space *space;

static void *frame(u64 *ret_pa)
{
	void *ptr = mem_frames_alloc(space, 12, ret_pa);

	assert_non_null(ptr);
	return ptr;
}

/* As the walkers' frames: the address of a RISC-V table is two bits further down. */
static u64 table_entry(const struct kind *kind, u64 pa)
{
	return kind->table | (kind->format == WALK_RISCV ? pa >> 2 : pa);
}

static void freed_tables_are_neither_tables_nor_empty(void **state)
{
	const u64 iova = 0x123456000;
	struct walk_result res;
	u64 root_pa, freed_pa, *root, *freed;

	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *kind = &kinds[i];
		const struct walk_mem mem = walk_mem_phys(space);
		struct walk_cfg cfg = { .format = kind->format, .granule_lg2 = kind->granule_lg2,
					.levels = kind->levels, .in_lg2 = kind->in_lg2 };
		enum iommu_xlat_fault fault;

		root = frame(&root_pa);
		freed = frame(&freed_pa);
		cfg.root = root_pa;
		root[0] = table_entry(kind, freed_pa);
		assert_int_equal(walk_translate(&cfg, &mem, iova, IOMMU_READ, &res),
				 IOMMU_XLAT_NOT_PRESENT);
		assert_int_equal(res.entry_pa & ~0xfffULL, freed_pa);
		mem_frames_free(space, freed, freed_pa, 12);
		fault = walk_translate(&cfg, &mem, iova, IOMMU_READ, &res);
		print_message("%s: %s\n", kind->name, walk_reason_name(res.reason));
#ifdef IOMMUFD_DEBUG
		assert_int_not_equal(fault, IOMMU_XLAT_OK);
		assert_int_not_equal(fault, IOMMU_XLAT_NOT_PRESENT);
#else
		assert_int_equal(fault, IOMMU_XLAT_NOT_PRESENT);
#endif
#if defined(IOMMUFD_DEBUG) && defined(__SANITIZE_ADDRESS__)
		assert_true(__asan_address_is_poisoned(freed + 2));
		assert_true(__asan_address_is_poisoned(freed + 511));
#endif
		/* and is clean when it is given out again */
		freed = frame(&freed_pa);
		for (u32 k = 0; k < 512; k++)
			assert_int_equal(freed[k], 0);
		mem_frames_free(space, freed, freed_pa, 12);
		mem_frames_free(space, root, root_pa, 12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(freed_tables_are_neither_tables_nor_empty),
	};
	int rc;

	if (mem_space_create(IOMMUFD_FRAMES_CONTIGUOUS, NULL, &space))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	mem_space_destroy(space);
	return rc;
}
