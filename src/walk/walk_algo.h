/* SPDX-License-Identifier: MIT */
/*
 * The skeleton of a hardware walker.  A format's file defines WALK_FN (the name
 * of the walker) and these, then includes this:
 *
 *   fmt_start()       check the registers and the address; set table, level, rights
 *   fmt_index()       the index in a table of at->level
 *   fmt_entry()       judge at->entry: set leaf, pa, lg2 or next; take rights away
 *   fmt_table_mark()  at->entry, of a table, as a walk leaves it behind
 *   fmt_leaf()        judge rights; the entry as this access leaves it
 *   fmt_is_dirty()    a write through this leaf needs no mark (any more)
 *   WALK_LEAF_BITS()  optional: how to read last-level tables without a walk (struct iommu_xlat)
 *
 * Each reports faults in the order its hardware does.  All that may be marked is
 * judged before: a walk that ends in a fault at a leaf has not touched the leaf.
 */
#include "walk/walk_priv.h"

static inline __attribute__((always_inline)) enum walk_reason walk_once(const struct walk_cfg *cfg,
									const struct walk_mem *mem,
									u64 addr, u32 access,
									struct walk_at *at)
{
	enum walk_reason reason;
	u64 mark;

	reason = fmt_start(cfg, addr, at);
	if (unlikely(reason))
		return reason;
	for (;;) {
		at->entry_pa = at->table + fmt_index(cfg, at, addr) * sizeof(u64);
		at->loads++;
		at->above = at->rights;
		if (unlikely(walk_load(mem, at)))
			return WALK_FETCH;
		reason = fmt_entry(cfg, addr, at);
		if (unlikely(reason))
			return reason;
		if (at->leaf)
			break;
		mark = fmt_table_mark(cfg, at->entry);
		if (unlikely(mark != at->entry) && !(access & WALK_PEEK)) {
			reason = walk_mark(mem, at, mark);
			if (reason)
				return reason;
		}
		at->table = at->pa;
		at->level = at->next;
	}
	reason = fmt_leaf(cfg, access, at, &mark);
	if (unlikely(reason))
		return reason;
	if (unlikely(mark != at->entry) && !(access & WALK_PEEK))
		reason = walk_mark(mem, at, mark);
	at->dirty = fmt_is_dirty(cfg, at->entry);
	return reason;
}

#ifndef WALK_LEAF_BITS
#define WALK_LEAF_BITS(cfg) ((const struct iommu_leaf_bits *)NULL)
#endif

/* The table of the leaf, if what is above it allows all that can be asked. */
static inline void walk_table(const struct walk_cfg *cfg, const struct walk_at *at,
			      struct iommu_xlat *xlat)
{
	const u32 all = IOMMU_READ | IOMMU_WRITE;

	if (at->level || !at->word || (at->above & all) != all)
		return;
	xlat->leaf = WALK_LEAF_BITS(cfg);
	if (xlat->leaf)
		xlat->table = (const u64 *)ALIGN_DOWN((uintptr_t)at->word, PAGE_SIZE);
}

/* A field at a time: of a whole struct compilers make a string instruction, half a walk long. */
static inline void walk_met(const struct walk_at *at, enum walk_reason reason,
			    struct walk_result *ret)
{
	ret->reason = reason;
	ret->level = at->level;
	ret->loads = at->loads;
	ret->entry = at->entry;
	ret->entry_pa = at->entry_pa;
}

static inline void walk_found(const struct walk_cfg *cfg, const struct walk_at *at, u64 addr,
			      struct walk_result *ret)
{
	walk_met(at, WALK_OK, ret);
	ret->stage = 1;
	ret->for_table = false;
	ret->for_mark = false;
	ret->exec = at->rights & WALK_EXEC;
	ret->user = at->rights & RIGHT_USER;
	ret->xlat.pa = at->pa | (addr & (BIT_ULL(at->lg2) - 1));
	ret->xlat.lg2 = at->lg2;
	ret->xlat.prot = at->rights & (IOMMU_READ | IOMMU_WRITE);
	ret->xlat.dirty = at->dirty;
	ret->xlat.stage2 = false;
	ret->xlat.fault_addr = 0;
	ret->xlat.tag = 0;
	ret->xlat.table = NULL;
	ret->xlat.leaf = NULL;
	walk_table(cfg, at, &ret->xlat);
}

static inline enum iommu_xlat_fault walk_failed(const struct walk_at *at, enum walk_reason reason,
						u64 addr, struct walk_result *ret)
{
	*ret = (struct walk_result){.stage = 1, .xlat.fault_addr = addr};
	walk_met(at, reason, ret);
	return walk_fault(reason);
}

/*
 * A walk that did not end well, begun again if that may help.  A hole is believed when
 * it is met twice in the same place: software that joins entries while we walk empties
 * the table it took out after it has replaced it.
 *
 * @ret has what it met (walk_met()), so that the walk that does end well has all in registers.
 */
static __attribute__((cold, noinline)) enum iommu_xlat_fault walk_again(const struct walk_cfg *cfg,
									const struct walk_mem *mem,
									u64 addr, u32 access,
									struct walk_result *ret)
{
	struct walk_at at = {
		.level = ret->level,
		.loads = ret->loads,
		.entry = ret->entry,
		.entry_pa = ret->entry_pa,
		.window = WALK_NO_WINDOW,
	};
	enum walk_reason reason = ret->reason;
	u64 hole = ~0ULL;
	u32 tries;

	for (tries = 1; tries < WALK_TRIES; tries++) {
		if (reason != WALK_NOT_PRESENT && reason != WALK_CHANGED)
			break;
		if (reason == WALK_NOT_PRESENT && at.entry_pa == hole)
			break;
		hole = reason == WALK_NOT_PRESENT ? at.entry_pa : ~0ULL;
		reason = walk_once(cfg, mem, addr, access, &at);
	}
	if (tries == WALK_TRIES && (reason == WALK_NOT_PRESENT || reason == WALK_CHANGED))
		reason = WALK_BUSY;
	if (reason)
		return walk_failed(&at, reason, addr, ret);
	walk_found(cfg, &at, addr, ret);
	return IOMMU_XLAT_OK;
}

enum iommu_xlat_fault WALK_FN(const struct walk_cfg *cfg, const struct walk_mem *mem, u64 addr,
			      u32 access, struct walk_result *ret)
{
	struct walk_at at = {.window = WALK_NO_WINDOW};
	enum walk_reason reason;

	reason = walk_once(cfg, mem, addr, access, &at);
	if (unlikely(reason)) {
		walk_met(&at, reason, ret);
		return walk_again(cfg, mem, addr, access, ret);
	}
	walk_found(cfg, &at, addr, ret);
	return IOMMU_XLAT_OK;
}
