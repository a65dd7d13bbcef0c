/* SPDX-License-Identifier: MIT */
/*
 * Two stages.  A walker does not know where its memory is, so the guest's walk is
 * a walk whose memory lies behind the second stage: each of its reads and marks
 * translates the address first, and a fault there ends it.
 *
 * A guest that changes its tables all the time can make either stage begin again;
 * all reads of one nested walk together are bounded.
 */
#include "walk/walk_priv.h"

/* Two walks of five levels are 35 reads; this leaves each of them dozens of tries. */
#define NESTED_LOADS 4096

/**
 * struct nested - a walk under way
 * @peek: WALK_PEEK if nothing may be marked
 * @loads: reads of the second stage so far
 * @failed: the second stage gave no translation to stage 1; why is in @stage2
 * @mark: it was for a mark
 */
struct nested {
	const struct walk_cfg *s2;
	const struct walk_mem *mem;
	u32 peek;
	u32 loads;
	bool failed;
	bool mark;
	struct walk_result stage2;
};

/* All but @stage2, which is whole after each walk: to empty it would take as long as one. */
static inline void nested_begin(struct nested *n, const struct walk_cfg *s2,
				const struct walk_mem *mem, u32 access)
{
	n->s2 = s2;
	n->mem = mem;
	n->peek = access & WALK_PEEK;
	n->loads = 0;
	n->failed = false;
	n->mark = false;
}

static enum iommu_xlat_fault nested_stage2(struct nested *n, u64 ipa, u32 access)
{
	enum iommu_xlat_fault fault;

	if (n->loads > NESTED_LOADS) {
		n->stage2 = (struct walk_result){.reason = WALK_BUSY, .xlat.fault_addr = ipa};
		return walk_fault(WALK_BUSY);
	}
	fault = walk_translate(n->s2, n->mem, ipa, access, &n->stage2);
	n->loads += n->stage2.loads;
	if (n->mem->written && !fault && access & IOMMU_WRITE && !n->peek)
		n->mem->written(n->mem->ctx, ipa);
	return fault;
}

/* A word of the guest's tables. */
static int nested_word(struct nested *n, u64 ipa, u32 access, u64 *ret_pa)
{
	n->failed = nested_stage2(n, ipa, access | n->peek) != IOMMU_XLAT_OK;
	n->mark = access & IOMMU_WRITE;
	*ret_pa = n->stage2.xlat.pa;
	return n->failed ? -EFAULT : 0;
}

static int nested_load(void *ctx, u64 ipa, u64 *ret)
{
	struct nested *n = ctx;
	u64 pa;
	int rc;

	rc = nested_word(n, ipa, IOMMU_READ, &pa);
	return rc ? rc : n->mem->load(n->mem->ctx, pa, ret);
}

static int nested_cas(void *ctx, u64 ipa, u64 *old, u64 value)
{
	struct nested *n = ctx;
	u64 pa;
	int rc;

	rc = nested_word(n, ipa, IOMMU_READ | IOMMU_WRITE, &pa);
	return rc ? rc : n->mem->cas(n->mem->ctx, pa, old, value);
}

/* The second stage's fault is the answer. */
static enum iommu_xlat_fault nested_fault(const struct nested *n, bool for_table,
					  struct walk_result *ret)
{
	u32 loads = ret->loads;

	*ret = n->stage2;
	ret->loads = loads + n->loads;
	ret->stage = 2;
	ret->for_table = for_table;
	ret->for_mark = for_table && n->mark;
	ret->xlat.stage2 = true;
	return walk_fault(ret->reason);
}

/* The guest's stage is off: it says yes to all, and nothing of the address. */
static inline void nested_bypass(u64 addr, struct walk_result *ret)
{
	ret->reason = WALK_OK;
	ret->stage = 1;
	ret->level = 0;
	ret->for_table = false;
	ret->for_mark = false;
	ret->exec = true;
	ret->user = true;
	ret->loads = 0;
	ret->entry = 0;
	ret->entry_pa = 0;
	ret->xlat.pa = addr;
	ret->xlat.lg2 = 63;
	ret->xlat.prot = IOMMU_READ | IOMMU_WRITE;
	ret->xlat.dirty = true;
	ret->xlat.stage2 = false;
	ret->xlat.fault_addr = 0;
	ret->xlat.tag = 0;
	ret->xlat.table = NULL;
	ret->xlat.leaf = NULL;
}

enum iommu_xlat_fault walk_nested(const struct walk_cfg *s1, const struct walk_cfg *s2,
				  const struct walk_mem *mem, u64 addr, u32 access,
				  struct walk_result *ret)
{
	struct nested n;
	const struct walk_mem guest = {.load = nested_load, .cas = nested_cas, .ctx = &n};
	const struct iommu_xlat *outer = &n.stage2.xlat;
	enum iommu_xlat_fault fault = IOMMU_XLAT_OK;

	nested_begin(&n, s2, mem, access);
	if (s1)
		fault = walk_translate(s1, &guest, addr, access, ret);
	else
		nested_bypass(addr, ret);
	if (fault && n.failed && ret->reason == WALK_FETCH)
		return nested_fault(&n, true, ret);
	/* Privilege is the first stage's affair. */
	if (!fault && nested_stage2(&n, ret->xlat.pa, access & ~(u32)WALK_PRIV))
		return nested_fault(&n, false, ret);
	ret->loads += n.loads;
	if (fault)
		return fault;
	ret->xlat.pa = outer->pa;
	ret->xlat.lg2 = MIN(ret->xlat.lg2, outer->lg2);
	ret->xlat.prot &= outer->prot;
	ret->xlat.dirty &= outer->dirty;
	ret->exec &= n.stage2.exec;
	return IOMMU_XLAT_OK;
}
