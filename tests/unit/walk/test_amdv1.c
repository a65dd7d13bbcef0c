/* SPDX-License-Identifier: MIT */
/*
 * AMD's host table as the IOMMU reads it: the entries of the format's golden
 * vectors, each kind of bad entry, and what is marked when.
 */
#include "walk_fixture.h"

#define ROOT   (RAM_PA + 0x0000)
#define TABLE1 (RAM_PA + 0x1000)
#define TABLE0 (RAM_PA + 0x2000)

#define RIGHTS	  0x6000000000000000ULL
#define TBL(pa, nl) (RIGHTS | (pa) | (u64)(nl) << 9 | 1)
#define PAGE_RW	  0x6000000123456001ULL
#define PAGE_RO	  0x2000000123456001ULL
#define PAGE_WO	  0x4000000123456001ULL

static const struct walk_cfg three = { .format = WALK_AMDV1, .root = ROOT, .levels = 3 };

/* Three levels, one table each, with @e in the first item of the last. */
static int begin(void **state)
{
	struct ram *ram = ram_new();

	poke(ram, ROOT, TBL(TABLE1, 2));
	poke(ram, TABLE1, TBL(TABLE0, 1));
	*state = ram;
	return 0;
}

static int end(void **state)
{
	free(*state);
	return 0;
}

static struct walk_result page(struct ram *ram, u64 e, u64 addr, u32 access)
{
	poke(ram, TABLE0 + (addr >> 12) * 8, e);
	return walk_ok(&three, ram, addr, access);
}

static void the_table_entries_of_the_vectors_lead_to_their_tables(void **state)
{
	struct ram *ram = *state;
	struct walk_result res;

	poke(ram, ROOT, 0x600000007f001401ULL);
	poke(ram, TABLE1, 0x600000007f002201ULL);
	res = page(ram, PAGE_RW, 0x123, R | W);
	assert_xlat(res, 0x123456123, 12, R | W);
	assert_int_equal(res.loads, 3);
	assert_int_equal(res.entry, PAGE_RW);
	assert_int_equal(res.entry_pa, TABLE0);
	assert_true(res.xlat.dirty); /* nobody tracks */
}

static void rights_are_those_of_all_levels(void **state)
{
	struct ram *ram = *state;

	assert_xlat(page(ram, PAGE_RO, 0, R), 0x123456000, 12, R);
	walk_bad(&three, ram, 0, W, WALK_NO_WRITE);
	walk_bad(&three, ram, 0, R | W, WALK_NO_WRITE);
	assert_xlat(page(ram, PAGE_WO, 0, W), 0x123456000, 12, W);
	walk_bad(&three, ram, 0, R, WALK_NO_READ);
	poke(ram, TABLE0, PAGE_RW);
	poke(ram, ROOT, TBL(TABLE1, 2) & ~(1ULL << 62));
	assert_xlat(walk_ok(&three, ram, 0, R), 0x123456000, 12, R);
	walk_bad(&three, ram, 0, W, WALK_NO_WRITE);
}

static void size_coded_leaves_of_the_vectors(void **state)
{
	static const struct {
		u64 e, pa;
		unsigned lg2;
	} sized[] = {
		{ 0x6000000123456e01, 0x123456000, 13 }, { 0x6000000123455e01, 0x123454000, 14 },
		{ 0x6000000123457e01, 0x123450000, 16 }, { 0x600000012347fe01, 0x123400000, 20 },
	};
	struct ram *ram = *state;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sized); i++) {
		u64 last = (1ULL << sized[i].lg2) - 1;

		assert_xlat(page(ram, sized[i].e, 0, R | W), sized[i].pa, sized[i].lg2, R | W);
		assert_xlat(page(ram, sized[i].e, last, R | W), sized[i].pa + last, sized[i].lg2,
			    R | W);
	}
}

static void large_leaves_of_the_vectors(void **state)
{
	struct ram *ram = *state;

	poke(ram, TABLE1, 0x6000000123400001);
	assert_xlat(walk_ok(&three, ram, 0x1fffff, R), 0x1235fffff, 21, R | W);
	poke(ram, TABLE1, 0x60000001235ffe01);
	poke(ram, TABLE1 + 8, 0x60000001235ffe01);
	assert_xlat(walk_ok(&three, ram, 0x3fffff, R), 0x1237fffff, 22, R | W);
	poke(ram, ROOT, 0x6000000140000001);
	assert_xlat(walk_ok(&three, ram, 0x3fffffff, R), 0x17fffffff, 30, R | W);
}

static void levels_may_be_skipped_where_the_address_is_zero(void **state)
{
	struct ram *ram = *state;

	poke(ram, ROOT, TBL(TABLE0, 1));
	assert_int_equal(page(ram, PAGE_RW, 0x1000, R).loads, 2);
	walk_bad(&three, ram, SZ_2M + 0x1000, R, WALK_NOT_PRESENT);
}

static void what_is_not_there_is_not_present(void **state)
{
	struct ram *ram = *state;

	walk_bad(&three, ram, 0, R, WALK_NOT_PRESENT);
	walk_bad(&three, ram, SZ_2M, R, WALK_NOT_PRESENT);
	walk_bad(&three, ram, SZ_1G, R, WALK_NOT_PRESENT);
	page(ram, PAGE_RW, 0, R);
	poke(ram, TABLE0, PAGE_RW & ~1ULL);
	walk_bad(&three, ram, 0, R, WALK_NOT_PRESENT);
}

static void each_bad_entry_gives_its_fault(void **state)
{
	struct ram *ram = *state;
	struct walk_cfg narrow = three;
	unsigned bit;

	for (bit = 52; bit < 59; bit++) {
		poke(ram, TABLE0, PAGE_RW | 1ULL << bit);
		walk_bad(&three, ram, 0, R, WALK_RESERVED);
	}
	poke(ram, TABLE0, TBL(TABLE0, 1)); /* a table below the last level */
	walk_bad(&three, ram, 0, R, WALK_RESERVED);
	poke(ram, TABLE0, 0x60000001235ffe01); /* 4 MiB at the level of 4 KiB */
	walk_bad(&three, ram, 0, R, WALK_RESERVED);
	poke(ram, TABLE0, 0x600ffffffffffe01); /* ones without end */
	walk_bad(&three, ram, 0, R, WALK_RESERVED);
	poke(ram, TABLE1, 0x6000000123457e01); /* 64 KiB at the level of 2 MiB */
	walk_bad(&three, ram, 0, R, WALK_RESERVED);
	poke(ram, TABLE1, 0x6000000123401001);
	walk_bad(&three, ram, 0, R, WALK_MISALIGNED);
	poke(ram, TABLE1, TBL(TABLE1, 2)); /* of its own level: a loop */
	walk_bad(&three, ram, 0, R, WALK_RESERVED);
	poke(ram, TABLE1, TBL(TABLE0, 1) | 1ULL << 60); /* FC in a table */
	walk_bad(&three, ram, 0, R, WALK_RESERVED);
	poke(ram, TABLE1, TBL(0x10000000, 1));
	walk_bad(&three, ram, 0, R, WALK_FETCH);
	poke(ram, TABLE1, TBL(TABLE0, 1));
	poke(ram, TABLE0, PAGE_RW);
	narrow.out_lg2 = 32;
	walk_bad(&narrow, ram, 0, R, WALK_ADDRESS_SIZE);
	narrow.out_lg2 = 33;
	walk_ok(&narrow, ram, 0, R);
}

static void the_sixth_level_has_no_leaves(void **state)
{
	static const struct walk_cfg six = { .format = WALK_AMDV1, .root = ROOT, .levels = 6 };
	struct ram *ram = *state;

	poke(ram, ROOT + 127 * 8, RIGHTS | 1);
	walk_bad(&six, ram, ~0ULL, R, WALK_RESERVED);
	poke(ram, ROOT + 127 * 8, TBL(TABLE1, 5));
	poke(ram, TABLE1 + 511 * 8, RIGHTS | 1);
	assert_xlat(walk_ok(&six, ram, ~0ULL, R), (1ULL << 48) - 1, 48, R | W);
	poke(ram, ROOT, TBL(TABLE0, 1)); /* from the sixth to the first */
	poke(ram, TABLE0, PAGE_RW);
	assert_int_equal(walk_ok(&six, ram, 0, R).loads, 2);
}

static void registers_and_addresses_out_of_range(void **state)
{
	struct ram *ram = *state;
	struct walk_cfg cfg = three;

	walk_bad(&three, ram, 1ULL << 39, R, WALK_RANGE);
	cfg.in_lg2 = 32;
	walk_bad(&cfg, ram, 1ULL << 32, R, WALK_RANGE);
	cfg.levels = 0;
	walk_bad(&cfg, ram, 0, R, WALK_CONFIG);
	cfg.levels = 7;
	walk_bad(&cfg, ram, 0, R, WALK_CONFIG);
	cfg = three;
	cfg.root |= 8;
	walk_bad(&cfg, ram, 0, R, WALK_CONFIG);
	cfg.root = 0x1000;
	walk_bad(&cfg, ram, 0, R, WALK_FETCH);
	cfg.format = 77;
	walk_bad(&cfg, ram, 0, R, WALK_CONFIG);
}

static void marks_are_set_as_the_registers_say(void **state)
{
	struct ram *ram = *state;
	struct walk_cfg cfg = three;

	assert_int_equal(page(ram, PAGE_RW, 0, W).entry, PAGE_RW);
	cfg.flags = WALK_ACCESSED;
	walk_ok(&cfg, ram, 0, W);
	assert_int_equal(peek(ram, TABLE0), PAGE_RW | 0x20);
	cfg.flags = WALK_ACCESSED | WALK_DIRTY;
	assert_false(walk_ok(&cfg, ram, 0, R).xlat.dirty);
	assert_true(walk_ok(&cfg, ram, 0, W).xlat.dirty);
	assert_int_equal(peek(ram, TABLE0), 0x6000000123456061);
	ram->cas = 0;
	assert_true(walk_ok(&cfg, ram, 0, R).xlat.dirty); /* already there */
	walk_ok(&cfg, ram, 0, W);
	assert_int_equal(ram->cas, 0);
	assert_int_equal(peek(ram, TABLE1), TBL(TABLE0, 1)); /* tables are not marked */
}

static void a_look_and_a_fault_mark_nothing(void **state)
{
	struct ram *ram = *state;
	struct walk_cfg cfg = three;

	cfg.flags = WALK_ACCESSED | WALK_DIRTY;
	poke(ram, TABLE0, PAGE_RO);
	walk_bad(&cfg, ram, 0, W, WALK_NO_WRITE);
	assert_int_equal(peek(ram, TABLE0), PAGE_RO);
	poke(ram, TABLE0, PAGE_RW);
	assert_xlat(walk_ok(&cfg, ram, 0, W | WALK_PEEK), 0x123456000, 12, R | W);
	assert_int_equal(peek(ram, TABLE0), PAGE_RW);
}

static void unmap_just_then(struct ram *ram, u64 pa)
{
	poke(ram, pa, 0);
}

static void move_just_then(struct ram *ram, u64 pa)
{
	poke(ram, pa, 0x6000000aaaaaa001);
	ram->before_cas = NULL;
}

static void flip(struct ram *ram, u64 pa)
{
	poke(ram, pa, peek(ram, pa) ^ 1ULL << 12);
}

static void an_entry_that_changes_is_walked_again(void **state)
{
	struct ram *ram = *state;
	struct walk_cfg cfg = three;

	cfg.flags = WALK_ACCESSED | WALK_DIRTY;
	poke(ram, TABLE0, PAGE_RW);
	ram->before_cas = move_just_then;
	assert_xlat(walk_ok(&cfg, ram, 0, W), 0xaaaaaa000, 12, R | W);
	assert_int_equal(peek(ram, TABLE0), 0x6000000aaaaaa061);
	poke(ram, TABLE0, PAGE_RW);
	ram->before_cas = unmap_just_then;
	walk_bad(&cfg, ram, 0, W, WALK_NOT_PRESENT);
	poke(ram, TABLE0, PAGE_RW);
	ram->before_cas = flip;
	ram->loads = 0;
	walk_bad(&cfg, ram, 0, W, WALK_BUSY);
	assert_true(ram->loads < 1000);
}

/* Software makes one entry of a table that the walk has just reached, then empties it. */
static void join_just_then(struct ram *ram, u64 pa)
{
	if (pa != TABLE0)
		return;
	poke(ram, TABLE1, 0x6000000123400001);
	poke(ram, TABLE0, 0);
}

static void a_hole_in_a_table_that_was_taken_out_is_none(void **state)
{
	struct ram *ram = *state;

	poke(ram, TABLE0, 0x6000000123400001);
	ram->before_load = join_just_then;
	assert_xlat(walk_ok(&three, ram, 0x123, R), 0x123400123, 21, R | W);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(the_table_entries_of_the_vectors_lead_to_their_tables),
		TEST(rights_are_those_of_all_levels),
		TEST(size_coded_leaves_of_the_vectors),
		TEST(large_leaves_of_the_vectors),
		TEST(levels_may_be_skipped_where_the_address_is_zero),
		TEST(what_is_not_there_is_not_present),
		TEST(each_bad_entry_gives_its_fault),
		TEST(the_sixth_level_has_no_leaves),
		TEST(registers_and_addresses_out_of_range),
		TEST(marks_are_set_as_the_registers_say),
		TEST(a_look_and_a_fault_mark_nothing),
		TEST(an_entry_that_changes_is_walked_again),
		TEST(a_hole_in_a_table_that_was_taken_out_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
