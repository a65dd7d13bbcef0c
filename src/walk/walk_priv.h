/* SPDX-License-Identifier: MIT */
/*
 * What the walkers share: where a walk is, and one access to an entry.
 */
#ifndef WALK_WALK_PRIV_H
#define WALK_WALK_PRIV_H

#include "mem/mem.h"
#include "walk/walk.h"

/* How often a walk begins again because entries changed under it. */
#define WALK_TRIES 64

/* Not for callers: an entry is not any more what was read. */
#define WALK_CHANGED ((enum walk_reason)255)

#define WALK_NO_WINDOW (~0ULL)

/* Beside IOMMU_READ, IOMMU_WRITE and WALK_EXEC in walk_at.rights: for the unprivileged. */
#define RIGHT_USER BIT_ULL(11)

/**
 * struct walk_at - where a walk is
 * @table, @level: the table to look in next; 0 is the last level
 * @entry, @entry_pa: what was read last
 * @rights: what all entries so far allow: IOMMU_READ, IOMMU_WRITE, WALK_EXEC, RIGHT_USER
 * @leaf: @entry translates; else it points to a table
 * @pa, @lg2: of the leaf: its first byte and size; of a table: its address
 * @next: level of that table
 * @dirty: a write needs no mark (any more)
 * @window: the GiB of physical space the last frame was in, or WALK_NO_WINDOW
 * @host: what to add to an address there
 * @word: the entry in a frame, or NULL
 * @above: @rights before the last entry
 */
struct walk_at {
	u64 table;
	u64 entry;
	u64 entry_pa;
	u64 pa;
	u32 level;
	u32 next;
	u32 lg2;
	u32 rights;
	u32 above;
	u32 loads;
	bool leaf;
	bool dirty;
	u64 window;
	uintptr_t host;
	_Atomic u64 *word;
};

typedef enum iommu_xlat_fault walk_fn(const struct walk_cfg *cfg, const struct walk_mem *mem,
				      u64 addr, u32 access, struct walk_result *ret);

walk_fn walk_x86_64, walk_vtdss, walk_arm, walk_riscv;

/*
 * Host address of the entry at at->entry_pa if it is in a frame, else NULL.  Frames are mostly in
 * one window: a guess that it is the last one costs nothing where a look would be waited for.
 */
static inline __attribute__((always_inline)) _Atomic u64 *walk_frame(const struct walk_mem *mem,
								     struct walk_at *at)
{
	const struct mem_space_front *front = (const struct mem_space_front *)mem->frames;
	u64 pa = at->entry_pa;

	if (!front || unlikely(pa >> MEM_PHYS_BITS))
		return NULL;
	if (unlikely(pa >> MEM_WINDOW_SHIFT != at->window)) {
		uintptr_t host = front->frame_host[pa >> MEM_WINDOW_SHIFT];

		if (unlikely(!host))
			return NULL;
		at->window = pa >> MEM_WINDOW_SHIFT;
		at->host = host - (at->window << MEM_WINDOW_SHIFT);
	}
	return (void *)(at->host + pa);
}

/* The one read of an entry.  Acquire: what it points to was written before it. */
static inline __attribute__((always_inline)) int walk_load(const struct walk_mem *mem,
							   struct walk_at *at)
{
	_Atomic u64 *word = walk_frame(mem, at);
	u64 entry = 0;
	int rc = 0;

	at->word = word;
	if (likely(word))
		entry = atomic_load_explicit(word, memory_order_acquire);
	else
		rc = mem->load(mem->ctx, at->entry_pa, &entry);
	at->entry = entry;
	return rc;
}

/* The entry that was read becomes @value, if it is still that. */
static inline enum walk_reason walk_mark(const struct walk_mem *mem, struct walk_at *at, u64 value)
{
	_Atomic u64 *word = walk_frame(mem, at);
	u64 found = at->entry;

	if (word)
		atomic_compare_exchange_strong(word, &found, value);
	else if (mem->cas(mem->ctx, at->entry_pa, &found, value))
		return WALK_FETCH;
	if (found != at->entry)
		return WALK_CHANGED;
	at->entry = value;
	return WALK_OK;
}

/* Does @rights lack something of what was asked? */
static inline enum walk_reason walk_denied(u32 access, u32 rights)
{
	u32 lack = access & ~rights;

	if (likely(!(lack & (IOMMU_READ | IOMMU_WRITE | WALK_EXEC))))
		return WALK_OK;
	return lack & IOMMU_WRITE ? WALK_NO_WRITE : lack & IOMMU_READ ? WALK_NO_READ : WALK_NO_EXEC;
}

/* Is @addr wider than @lg2 bits? */
static inline bool walk_too_wide(u64 addr, u32 lg2)
{
	return lg2 < 64 && addr >> lg2;
}

/* Is @addr, of @lg2 bits, sign-extended to 64? */
static inline bool walk_canonical(u64 addr, u32 lg2)
{
	s64 high = (s64)addr >> (lg2 - 1);

	return high == 0 || high == -1;
}

#endif
