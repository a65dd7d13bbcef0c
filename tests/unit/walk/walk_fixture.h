/* SPDX-License-Identifier: MIT */
/*
 * Memory that a walker under test reads: a few megabytes at RAM_PA, nothing elsewhere.
 * Tables are written by hand, word by word.
 */
#ifndef TEST_WALK_FIXTURE_H
#define TEST_WALK_FIXTURE_H

#include "../pt/pt_fixture.h"
#include "walk/walk.h"

#define RAM_PA	 0x7f000000ULL
#define RAM_SIZE (4 * SZ_1M)

#define R IOMMU_READ
#define W IOMMU_WRITE

struct ram {
	u64 words[RAM_SIZE / 8];
	u64 loads, cas;
	/* called before each exchange or read, in place of somebody who changes things just then */
	void (*before_cas)(struct ram *ram, u64 pa);
	void (*before_load)(struct ram *ram, u64 pa);
};

static inline u64 *ram_word(struct ram *ram, u64 pa)
{
	if (pa < RAM_PA || pa >= RAM_PA + RAM_SIZE || pa & 7)
		return NULL;
	return &ram->words[(pa - RAM_PA) / 8];
}

static inline int ram_load(void *ctx, u64 pa, u64 *ret)
{
	struct ram *ram = ctx;
	u64 *word = ram_word(ram, pa);

	if (!word)
		return -EFAULT;
	ram->loads++;
	if (ram->before_load)
		ram->before_load(ram, pa);
	*ret = *word;
	return 0;
}

static inline int ram_cas(void *ctx, u64 pa, u64 *old, u64 value)
{
	struct ram *ram = ctx;
	u64 *word = ram_word(ram, pa), found;

	if (!word)
		return -EFAULT;
	ram->cas++;
	if (ram->before_cas)
		ram->before_cas(ram, pa);
	found = *word;
	if (found == *old)
		*word = value;
	*old = found;
	return 0;
}

static inline struct walk_mem ram_mem(struct ram *ram)
{
	return (struct walk_mem){ .load = ram_load, .cas = ram_cas, .ctx = ram };
}

static inline struct ram *ram_new(void)
{
	struct ram *ram = calloc(1, sizeof(*ram));

	assert_non_null(ram);
	return ram;
}

static inline void poke(struct ram *ram, u64 pa, u64 value)
{
	u64 *word = ram_word(ram, pa);

	assert_non_null(word);
	*word = value;
}

static inline u64 peek(struct ram *ram, u64 pa)
{
	u64 *word = ram_word(ram, pa);

	assert_non_null(word);
	return *word;
}

/* A walk that must work; its result. */
static inline struct walk_result walk_ok(const struct walk_cfg *cfg, struct ram *ram, u64 addr,
					 u32 access)
{
	const struct walk_mem mem = ram_mem(ram);
	struct walk_result res;
	enum iommu_xlat_fault fault = walk_translate(cfg, &mem, addr, access, &res);

	if (fault)
		fail_msg("%llx: %s at level %u, entry %llx", (unsigned long long)addr,
			 walk_reason_name(res.reason), res.level, (unsigned long long)res.entry);
	assert_int_equal(res.reason, WALK_OK);
	return res;
}

/* A walk that must fail so. */
static inline void walk_bad(const struct walk_cfg *cfg, struct ram *ram, u64 addr, u32 access,
			    enum walk_reason reason)
{
	const struct walk_mem mem = ram_mem(ram);
	struct walk_result res;
	enum iommu_xlat_fault fault = walk_translate(cfg, &mem, addr, access, &res);

	if (res.reason != reason)
		fail_msg("%llx: %s instead of %s", (unsigned long long)addr,
			 walk_reason_name(res.reason), walk_reason_name(reason));
	assert_int_equal(fault, walk_fault(reason));
	assert_int_not_equal(fault, IOMMU_XLAT_OK);
	assert_int_equal(res.xlat.fault_addr, addr);
	assert_false(res.xlat.stage2);
}

#define assert_xlat(res, want_pa, want_lg2, want_prot)                                             \
	do {                                                                                       \
		assert_int_equal((res).xlat.pa, want_pa);                                          \
		assert_int_equal((res).xlat.lg2, want_lg2);                                        \
		assert_int_equal((res).xlat.prot, want_prot);                                      \
	} while (0)

#endif
