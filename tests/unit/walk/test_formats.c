/* SPDX-License-Identifier: MIT */
/*
 * The entries of the formats' golden vectors, and each kind of bad entry, register
 * and request, in x86-64, VT-d's second stage, ARM's and RISC-V's tables.
 */
#include "walk_fixture.h"

#define ROOT   (RAM_PA + 0x10000) /* aligned to all a root can want */
#define TABLE2 (RAM_PA + 0x1000)
#define TABLE1 (RAM_PA + 0x2000)
#define TABLE0 (RAM_PA + 0x3000)
#define X      WALK_EXEC
#define PRIV   WALK_PRIV

static struct ram *ram;

static int begin(void **state)
{
	ram = ram_new();
	return 0;
}

static int end(void **state)
{
	free(ram);
	return 0;
}

static struct walk_result ok(const struct walk_cfg *cfg, u64 addr, u32 access)
{
	return walk_ok(cfg, ram, addr, access);
}

static void bad(const struct walk_cfg *cfg, u64 addr, u32 access, enum walk_reason reason)
{
	walk_bad(cfg, ram, addr, access, reason);
}

/* ---- x86-64 ---- */

static const struct walk_cfg x86 = { .format = WALK_X86_64, .root = ROOT, .levels = 4,
				     .flags = WALK_NX | WALK_WP };

static void x86_tables(void)
{
	poke(ram, ROOT, TABLE2 | 0x27);
	poke(ram, TABLE2, TABLE1 | 0x27);
	poke(ram, TABLE1, TABLE0 | 0x27);
	poke(ram, TABLE1 + 8, 0x1234000e7);
}

static void x86_vectors(void **state)
{
	x86_tables();
	poke(ram, TABLE0, 0x123456067);
	poke(ram, TABLE0 + 8, 0x123456025);
	assert_xlat(ok(&x86, 0x123, R | W | X), 0x123456123, 12, R | W);
	assert_xlat(ok(&x86, 0x1000, R), 0x123456000, 12, R);
	bad(&x86, 0x1000, W, WALK_NO_WRITE);
	assert_xlat(ok(&x86, SZ_2M + 0x12345, W), 0x123412345, 21, R | W);
	poke(ram, TABLE1, 0x7f003027);
	assert_xlat(ok(&x86, 0, R), 0x123456000, 12, R | W);
}

static void x86_addresses_are_canonical(void **state)
{
	struct walk_cfg five = x86, half = x86;

	five.levels = 5;
	half.in_lg2 = 47;
	poke(ram, ROOT + 511 * 8, TABLE2 | 0x27);
	poke(ram, TABLE2 + 511 * 8, 0x1400000e7);
	assert_xlat(ok(&x86, ~0ULL, R), 0x17fffffff, 30, R | W);
	bad(&x86, 1ULL << 47, R, WALK_RANGE);
	bad(&x86, 0xffff7fffffffffff, R, WALK_RANGE);
	bad(&five, 1ULL << 56, R, WALK_RANGE);
	bad(&half, ~0ULL, R, WALK_RANGE);
}

static void x86_rights_are_those_of_all_levels_and_of_the_asker(void **state)
{
	struct walk_cfg cfg = x86;

	x86_tables();
	poke(ram, TABLE0, 0x123456067);
	poke(ram, TABLE1, TABLE0 | 0x25);
	bad(&x86, 0, W, WALK_NO_WRITE);
	bad(&x86, 0, W | PRIV, WALK_NO_WRITE);
	cfg.flags &= ~WALK_WP;
	ok(&cfg, 0, W | PRIV);
	poke(ram, TABLE1, TABLE0 | 0x23);
	bad(&x86, 0, R, WALK_NO_USER);
	assert_false(ok(&x86, 0, R | W | X | PRIV).user);
	poke(ram, TABLE1, TABLE0 | 0x27 | 1ULL << 63);
	bad(&x86, 0, X, WALK_NO_EXEC);
	assert_false(ok(&x86, 0, R).exec);
	poke(ram, TABLE1, TABLE0 | 0x27);
	cfg.flags |= WALK_SMEP;
	bad(&cfg, 0, X | PRIV, WALK_NO_EXEC);
	ok(&cfg, 0, X);
}

static void x86_bad_entries(void **state)
{
	struct walk_cfg cfg = x86;

	x86_tables();
	bad(&x86, 0, R, WALK_NOT_PRESENT);
	poke(ram, TABLE1 + 8, 0x1234020e7); /* not aligned */
	bad(&x86, SZ_2M, R, WALK_RESERVED);
	poke(ram, TABLE1 + 8, 0x1234010e7); /* PAT */
	assert_int_equal(ok(&x86, SZ_2M, R).xlat.pa, 0x123400000);
	cfg.page_sizes = SZ_4K | SZ_2M;
	poke(ram, TABLE2 + 8, 0x1400000e7);
	ok(&x86, SZ_1G, R);
	bad(&cfg, SZ_1G, R, WALK_RESERVED);
	poke(ram, ROOT + 8, 0xe7); /* 512 GiB */
	bad(&x86, 1ULL << 39, R, WALK_RESERVED);
	cfg = x86;
	cfg.flags = 0;
	poke(ram, TABLE0, 0x123456067 | 1ULL << 63);
	bad(&cfg, 0, R, WALK_RESERVED);
	poke(ram, TABLE0, 0x123456067);
	cfg.out_lg2 = 32;
	bad(&cfg, 0, R, WALK_ADDRESS_SIZE);
	poke(ram, TABLE1, 0x1000 | 0x27);
	bad(&x86, 0, R, WALK_FETCH);
	cfg.levels = 3;
	bad(&cfg, 0, R, WALK_CONFIG);
}

static void x86_marks_what_it_uses(void **state)
{
	struct walk_cfg cfg = x86;

	cfg.flags |= WALK_ACCESSED | WALK_DIRTY;
	x86_tables();
	poke(ram, TABLE1, TABLE0 | 7);
	poke(ram, TABLE0, 0x123456007);
	assert_false(ok(&cfg, 0, R).xlat.dirty);
	assert_int_equal(peek(ram, TABLE1), TABLE0 | 0x27);
	assert_int_equal(peek(ram, TABLE0), 0x123456027);
	assert_true(ok(&cfg, 0, W).xlat.dirty);
	assert_int_equal(peek(ram, TABLE0), 0x123456067);
	poke(ram, TABLE0, 0x123456005);
	bad(&cfg, 0, W, WALK_NO_WRITE);
	assert_int_equal(peek(ram, TABLE0), 0x123456005);
}

/* ---- VT-d, second stage ---- */

static const struct walk_cfg ss = { .format = WALK_VTD_SS, .root = ROOT, .levels = 3,
				    .flags = WALK_SNOOP };

static void ss_tables(void)
{
	poke(ram, ROOT, TABLE1 | 3);
	poke(ram, TABLE1, 0x7f003003);
	poke(ram, TABLE1 + 8, 0x123400883);
}

static void ss_vectors(void **state)
{
	struct walk_cfg cfg = ss;

	ss_tables();
	poke(ram, TABLE0, 0x123456003);
	assert_xlat(ok(&ss, 0xfff, R | W), 0x123456fff, 12, R | W);
	assert_xlat(ok(&ss, SZ_2M, R | W), 0x123400000, 21, R | W);
	cfg.flags |= WALK_ACCESSED | WALK_DIRTY;
	ok(&cfg, 0, W);
	assert_int_equal(peek(ram, TABLE0), 0x123456303);
	assert_int_equal(peek(ram, TABLE1), 0x7f003003);
	cfg.flags |= WALK_ACCESSED_TABLES;
	ok(&cfg, 0, R);
	assert_int_equal(peek(ram, TABLE1), 0x7f003103);
}

static void ss_rights_and_presence(void **state)
{
	ss_tables();
	poke(ram, TABLE0, 0x123456001);
	poke(ram, TABLE0 + 8, 0x123456002);
	poke(ram, TABLE0 + 16, 0x123456004); /* X alone is not there */
	bad(&ss, 0, W, WALK_NO_WRITE);
	bad(&ss, 0x1000, R, WALK_NO_READ);
	ok(&ss, 0x1000, W);
	bad(&ss, 0x2000, R, WALK_NOT_PRESENT);
	poke(ram, TABLE1, TABLE0 | 1);
	bad(&ss, 0x1000, W, WALK_NO_WRITE);
}

static void ss_bad_entries(void **state)
{
	struct walk_cfg cfg = ss;

	ss_tables();
	cfg.flags = 0; /* SNP is not known */
	bad(&cfg, SZ_2M, R, WALK_RESERVED);
	cfg = ss;
	cfg.page_sizes = SZ_4K;
	bad(&cfg, SZ_2M, R, WALK_RESERVED);
	poke(ram, TABLE1 + 8, 0x123401083);
	bad(&ss, SZ_2M, R, WALK_RESERVED);
	cfg.levels = 4;
	poke(ram, ROOT, 0x83); /* 512 GiB */
	bad(&cfg, 0, R, WALK_RESERVED);
	bad(&ss, 1ULL << 39, R, WALK_RANGE);
	cfg.in_lg2 = 40;
	bad(&cfg, 1ULL << 40, R, WALK_RANGE);
	cfg.levels = 2;
	bad(&cfg, 0, R, WALK_CONFIG);
	poke(ram, ROOT, 1ULL << 50 | 3);
	cfg = ss;
	bad(&cfg, 0, R, WALK_FETCH);
	cfg.out_lg2 = 46;
	bad(&cfg, 0, R, WALK_ADDRESS_SIZE);
}

/* ---- ARM ---- */

static const struct walk_cfg s1 = { .format = WALK_ARM_S1, .root = ROOT, .granule_lg2 = 12,
				    .in_lg2 = 39, .out_lg2 = 40 };
static const struct walk_cfg s2 = { .format = WALK_ARM_S2, .root = ROOT, .granule_lg2 = 12,
				    .in_lg2 = 40, .out_lg2 = 40 };

static void arm_tables(void)
{
	poke(ram, ROOT, TABLE1 | 3);
	poke(ram, TABLE1, 0x7f003003);
}

static void arm_vectors(void **state)
{
	struct walk_cfg hd = s1;

	arm_tables();
	poke(ram, TABLE0, 0x123456f47);
	poke(ram, TABLE0 + 8, 0x123456fc7);
	poke(ram, TABLE1 + 8, 0x123400f45);
	assert_xlat(ok(&s1, 0x10, R | W | X), 0x123456010, 12, R | W);
	assert_xlat(ok(&s1, 0x1000, R), 0x123456000, 12, R);
	bad(&s1, 0x1000, W, WALK_NO_WRITE);
	assert_xlat(ok(&s1, SZ_2M, W), 0x123400000, 21, R | W);

	hd.flags = WALK_ACCESSED | WALK_DIRTY;
	poke(ram, TABLE0, 0x0008000123456fc7); /* writable, clean */
	bad(&s1, 0, W, WALK_NO_WRITE); /* nobody manages it */
	assert_false(ok(&hd, 0, R).xlat.dirty);
	assert_int_equal(ok(&hd, 0, R).xlat.prot, R | W);
	assert_true(ok(&hd, 0, W).xlat.dirty);
	assert_int_equal(peek(ram, TABLE0), 0x0008000123456f47);
	assert_true(ok(&hd, 0x1000, R).xlat.dirty); /* no DBM: nothing to mark */

	poke(ram, TABLE0, 0x1234567ff);
	assert_xlat(ok(&s2, 0, R | W), 0x123456000, 12, R | W);
	poke(ram, TABLE0, 0x1234567db);
	assert_xlat(ok(&s2, 0, R | W), 0x123456000, 12, R | W);
	poke(ram, TABLE1, 0x1234007fd);
	assert_xlat(ok(&s2, 0, R | W), 0x123400000, 21, R | W);
	hd = s2;
	hd.flags = WALK_ACCESSED | WALK_DIRTY;
	poke(ram, TABLE1, 0x123400f7dULL | 1ULL << 51); /* DBM, not yet written */
	bad(&s2, 0, W, WALK_NO_WRITE);
	assert_true(ok(&hd, 0, W).xlat.dirty);
	assert_int_equal(peek(ram, TABLE1), 0x123400ffdULL | 1ULL << 51);
}

static void arm_access_flag(void **state)
{
	struct walk_cfg cfg = s1;

	arm_tables();
	poke(ram, TABLE0, 0x123456b47);
	bad(&s1, 0, R, WALK_ACCESS_FLAG);
	bad(&s1, 0, X | W, WALK_ACCESS_FLAG);
	cfg.flags = WALK_ACCESS_FREE;
	ok(&cfg, 0, R);
	assert_int_equal(peek(ram, TABLE0), 0x123456b47);
	cfg.flags = WALK_ACCESSED;
	ok(&cfg, 0, R);
	assert_int_equal(peek(ram, TABLE0), 0x123456f47);
}

static void arm_rights_of_tables_and_of_the_asker(void **state)
{
	struct walk_cfg had = s1;

	had.flags = WALK_FLAT;
	arm_tables();
	poke(ram, TABLE0, 0x123456f07); /* not for EL0 */
	bad(&s1, 0, R, WALK_NO_USER);
	ok(&s1, 0, R | W | X | PRIV);
	poke(ram, TABLE0, 0x123456f47 | 3ULL << 53);
	bad(&s1, 0, X, WALK_NO_EXEC);
	bad(&s1, 0, X | PRIV, WALK_NO_EXEC);
	poke(ram, TABLE0, 0x123456f47 | 1ULL << 53); /* PXN */
	bad(&s1, 0, X | PRIV, WALK_NO_EXEC);
	ok(&s1, 0, X);
	poke(ram, TABLE0, 0x123456f47);
	poke(ram, TABLE1, TABLE0 | 3 | 1ULL << 62);
	bad(&s1, 0, W, WALK_NO_WRITE);
	ok(&had, 0, W);
	poke(ram, TABLE1, TABLE0 | 3 | 1ULL << 61);
	bad(&s1, 0, R, WALK_NO_USER);
	poke(ram, TABLE1, TABLE0 | 3 | 1ULL << 60);
	bad(&s1, 0, X, WALK_NO_EXEC);
	ok(&s1, 0, X | PRIV);
	poke(ram, TABLE1, TABLE0 | 3 | 1ULL << 59);
	bad(&s1, 0, X | PRIV, WALK_NO_EXEC);
	ok(&had, 0, X | PRIV);
	poke(ram, TABLE0, 0x12345677f); /* stage 2: read only */
	bad(&s2, 0, W, WALK_NO_WRITE);
	poke(ram, TABLE0, 0x1234567bf); /* write only */
	bad(&s2, 0, R, WALK_NO_READ);
	poke(ram, TABLE0, 0x1234567ff | 1ULL << 54);
	bad(&s2, 0, X, WALK_NO_EXEC);
}

static void arm_bad_entries_and_registers(void **state)
{
	struct walk_cfg cfg = s1;

	arm_tables();
	bad(&s1, 0, R, WALK_NOT_PRESENT);
	poke(ram, TABLE0, 0x123456f45); /* a block at the last level */
	bad(&s1, 0, R, WALK_RESERVED);
	poke(ram, TABLE0, 0x10123456f47); /* 41 bits */
	bad(&s1, 0, R, WALK_ADDRESS_SIZE);
	poke(ram, TABLE1, 0x10000000003);
	bad(&s1, 0, R, WALK_ADDRESS_SIZE);
	cfg.in_lg2 = 48;
	poke(ram, ROOT, 0x123400f45); /* a block at the top of four levels */
	bad(&cfg, 0, R, WALK_RESERVED);
	bad(&s1, 1ULL << 39, R, WALK_RANGE);
	cfg.in_lg2 = 49;
	bad(&cfg, 0, R, WALK_CONFIG);
	cfg = s1;
	cfg.granule_lg2 = 13;
	bad(&cfg, 0, R, WALK_CONFIG);
	cfg = s1;
	cfg.levels = 2; /* 18 bits in one root */
	bad(&cfg, 0, R, WALK_CONFIG);
	cfg.levels = 5;
	bad(&cfg, 0, R, WALK_CONFIG);
	cfg.levels = 255;
	bad(&cfg, 0, R, WALK_CONFIG);
	cfg = s1;
	cfg.root += 8;
	bad(&cfg, 0, R, WALK_CONFIG);
	cfg = s2;
	cfg.root += SZ_4K; /* two roots want 8 KiB */
	bad(&cfg, 0, R, WALK_CONFIG);
	cfg.in_lg2 = 0;
	bad(&cfg, 0, R, WALK_CONFIG);
}

static void arm_contiguous_groups(void **state)
{
	unsigned i;

	arm_tables();
	for (i = 0; i < 16; i++)
		poke(ram, TABLE0 + i * 8, (0x123450f47 + i * SZ_4K) | 1ULL << 52);
	assert_xlat(ok(&s1, 0x5678, R), 0x123455678, 16, R | W);
	/* what is not at its place in a group is no part of one */
	poke(ram, TABLE0 + 5 * 8, 0x123456f47 | 1ULL << 52);
	assert_xlat(ok(&s1, 0x5678, R), 0x123456678, 12, R | W);
	poke(ram, TABLE1 + 8, 0x122200f45ULL | 1ULL << 52);
	assert_xlat(ok(&s1, SZ_2M + 1, R), 0x122200001, 25, R | W);
}

static void arm_concatenated_roots_and_the_upper_half(void **state)
{
	struct walk_cfg upper = s1;

	poke(ram, ROOT + SZ_4K, TABLE1 | 3); /* of the second of two roots */
	poke(ram, TABLE1, 0x1234007fd);
	assert_xlat(ok(&s2, 1ULL << 39, R), 0x123400000, 21, R | W);
	poke(ram, ROOT + 511 * 8, 0x140000f45);
	upper.flags = WALK_UPPER;
	assert_xlat(ok(&upper, ~0ULL, R), 0x17fffffff, 30, R | W);
	bad(&upper, 0, R, WALK_RANGE);
	bad(&s1, ~0ULL, R, WALK_RANGE);
}

static void arm_addresses_of_52_bits(void **state)
{
	struct walk_cfg cfg = { .format = WALK_ARM_S1, .root = ROOT, .granule_lg2 = 16,
				.in_lg2 = 42, .out_lg2 = 52 };

	poke(ram, ROOT, 0x40000000f745); /* block of 512 MiB, bits 51:48 in 15:12 */
	assert_xlat(ok(&cfg, 0, R), 0xf400000000000, 29, R | W);
	cfg.out_lg2 = 48;
	assert_xlat(ok(&cfg, 0, R), 0x400000000000, 29, R | W); /* ignored */
	cfg = s1;
	cfg.flags = WALK_LPA2;
	cfg.out_lg2 = 52;
	poke(ram, ROOT, 0x3400000000745); /* 51:50 in 9:8, no SH */
	assert_xlat(ok(&cfg, 0, R), 0xf400000000000, 30, R | W);
}

/* ---- RISC-V ---- */

static const struct walk_cfg rv = { .format = WALK_RISCV, .root = ROOT, .levels = 3 };
static const struct walk_cfg x4 = { .format = WALK_RISCV_X4, .root = ROOT, .levels = 3 };

#define PTE(pa, bits) ((pa) >> 12 << 10 | (bits))

static void riscv_tables(void)
{
	poke(ram, ROOT, PTE(TABLE1, 1));
	poke(ram, TABLE1, 0x1fc00c01); /* the vector's, for TABLE0 */
}

static void riscv_vectors(void **state)
{
	struct walk_cfg pbmt = rv, no_napot = rv;
	unsigned i;

	riscv_tables();
	poke(ram, TABLE0, 0x48d158df);
	assert_xlat(ok(&rv, 0x10, R | W | X), 0x123456010, 12, R | W);
	poke(ram, TABLE0, 0x4000000048d158df);
	bad(&rv, 0, R, WALK_RESERVED);
	pbmt.flags = WALK_PBMT;
	ok(&pbmt, 0, R);
	for (i = 0; i < 16; i++)
		poke(ram, TABLE0 + i * 8, 0x8000000048d160df);
	assert_xlat(ok(&rv, 0xfedc, W), 0x12345fedc, 16, R | W);
	no_napot.page_sizes = SZ_4K | SZ_2M | SZ_1G;
	bad(&no_napot, 0, R, WALK_RESERVED);
}

static void riscv_bad_entries(void **state)
{
	struct walk_cfg cfg = rv;
	unsigned bit;

	riscv_tables();
	bad(&rv, 0, R, WALK_NOT_PRESENT);
	for (bit = 54; bit <= 60; bit++) {
		poke(ram, TABLE0, 0x48d158df | 1ULL << bit);
		bad(&rv, 0, R, WALK_RESERVED);
	}
	cfg.flags = WALK_PBMT;
	poke(ram, TABLE0, 0x48d158df | 3ULL << 61);
	bad(&cfg, 0, R, WALK_RESERVED);
	poke(ram, TABLE0, PTE(0x123456000, 0xd5)); /* W without R */
	bad(&rv, 0, W, WALK_RESERVED);
	poke(ram, TABLE0, PTE(TABLE0, 1)); /* a table below the last level */
	bad(&rv, 0, R, WALK_RESERVED);
	poke(ram, TABLE0, 0x8000000048d158df); /* N of another size */
	bad(&rv, 0, R, WALK_RESERVED);
	poke(ram, TABLE1, PTE(TABLE0, 0x41)); /* a table that is accessed */
	bad(&rv, 0, R, WALK_RESERVED);
	poke(ram, TABLE1, PTE(0x123401000, 0xdf));
	bad(&rv, 0, R, WALK_MISALIGNED);
	poke(ram, TABLE1, PTE(0x123401000, 0xdb)); /* rights come first */
	bad(&rv, 0, W, WALK_NO_WRITE);
	poke(ram, TABLE1, PTE(0x123400000, 0xdf) | 1ULL << 63);
	bad(&rv, 0, R, WALK_RESERVED);
	poke(ram, TABLE1, PTE(0x123400000, 0xdf));
	assert_xlat(ok(&rv, 0, R), 0x123400000, 21, R | W);
	cfg = rv;
	cfg.out_lg2 = 32;
	bad(&cfg, 0, R, WALK_ADDRESS_SIZE);
	bad(&rv, 1ULL << 38, R, WALK_RANGE);
	cfg.levels = 6;
	bad(&cfg, 0, R, WALK_CONFIG);
}

static void riscv_rights(void **state)
{
	struct walk_cfg sum = rv;

	sum.flags = WALK_SUM;
	riscv_tables();
	poke(ram, TABLE0, PTE(0x123456000, 0xc9)); /* to execute, not for users */
	bad(&rv, 0, X, WALK_NO_USER);
	ok(&rv, 0, X | PRIV);
	bad(&rv, 0, R | PRIV, WALK_NO_READ);
	poke(ram, TABLE0, 0x48d158df);
	bad(&rv, 0, R | PRIV, WALK_NO_USER);
	ok(&sum, 0, R | W | PRIV);
	bad(&sum, 0, X | PRIV, WALK_NO_EXEC);
	poke(ram, TABLE0, PTE(0x123456000, 0xd3));
	bad(&rv, 0, W, WALK_NO_WRITE);
	bad(&rv, 0, X, WALK_NO_EXEC);
}

static void riscv_marks_or_faults(void **state)
{
	struct walk_cfg ade = rv;

	ade.flags = WALK_ACCESSED | WALK_DIRTY;
	riscv_tables();
	poke(ram, TABLE0, PTE(0x123456000, 0x1f));
	bad(&rv, 0, R, WALK_ACCESS_FLAG);
	poke(ram, TABLE0, PTE(0x123456000, 0x5f));
	assert_false(ok(&rv, 0, R).xlat.dirty);
	bad(&rv, 0, W, WALK_DIRTY_FLAG);
	poke(ram, TABLE0, PTE(0x123456000, 0x1f));
	ok(&ade, 0, W);
	assert_int_equal(peek(ram, TABLE0), PTE(0x123456000, 0xdf));
}

static void riscv_second_stage(void **state)
{
	struct walk_cfg cfg = x4;

	poke(ram, ROOT + 2047 * 8, PTE(0x140000000, 0xdf));
	assert_xlat(ok(&x4, (1ULL << 41) - 1, R), 0x17fffffff, 30, R | W);
	bad(&x4, 1ULL << 41, R, WALK_RANGE);
	poke(ram, ROOT, PTE(0x140000000, 0xcf)); /* everybody is a user */
	bad(&x4, 0, R, WALK_NO_USER);
	bad(&x4, 0, R | PRIV, WALK_NO_USER);
	cfg.root += SZ_4K;
	bad(&cfg, 0, R, WALK_CONFIG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(x86_vectors),
		TEST(x86_addresses_are_canonical),
		TEST(x86_rights_are_those_of_all_levels_and_of_the_asker),
		TEST(x86_bad_entries),
		TEST(x86_marks_what_it_uses),
		TEST(ss_vectors),
		TEST(ss_rights_and_presence),
		TEST(ss_bad_entries),
		TEST(arm_vectors),
		TEST(arm_access_flag),
		TEST(arm_rights_of_tables_and_of_the_asker),
		TEST(arm_bad_entries_and_registers),
		TEST(arm_contiguous_groups),
		TEST(arm_concatenated_roots_and_the_upper_half),
		TEST(arm_addresses_of_52_bits),
		TEST(riscv_vectors),
		TEST(riscv_bad_entries),
		TEST(riscv_rights),
		TEST(riscv_marks_or_faults),
		TEST(riscv_second_stage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
