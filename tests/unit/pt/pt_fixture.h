/* SPDX-License-Identifier: MIT */
/*
 * Memory for page tables under test: an arena of frames whose physical addresses
 * begin at ARENA_PA, every frame's state known, so that a leak, a double free or
 * a wrong address shows.
 */
#ifndef TEST_PT_FIXTURE_H
#define TEST_PT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/lock.h"
#include "pt/pt.h"

#define ARENA_PA     0x7f001000ULL
#define ARENA_FRAMES 16384u
#define ARENA_LG2S   9 /* tables of 4 KiB to 1 MiB */
#define ARENA_ROOM   (ARENA_FRAMES * SZ_4K)

#define SZ_4K  0x1000ULL
#define SZ_16K 0x4000ULL
#define SZ_64K 0x10000ULL
#define SZ_2M  0x200000ULL
#define SZ_1M  0x100000ULL
#define SZ_1G  0x40000000ULL
#define RW     (PT_PROT_READ | PT_PROT_WRITE)

struct arena {
	struct mutex lock;
	char *base, *mapped;
	char *shadow; /* memory as a device sees it that does not snoop, see arena_shadow() */
	u32 next;     /* never used from here on */
	u32 live;     /* tables */
	u32 flushes;
	u32 free_count[ARENA_LG2S];
	u32 free_list[ARENA_LG2S][ARENA_FRAMES];
	u8 used[ARENA_FRAMES]; /* by the first frame of a table: lg2 of its size, or 0 */
};

static inline void *arena_alloc(void *ctx, unsigned lg2_size, u64 *ret_pa)
{
	struct arena *arena = ctx;
	u64 size = 1ULL << lg2_size;
	u32 frame, kind = lg2_size - 12;

	assert_true(lg2_size >= 12 && kind < ARENA_LG2S);
	if (fault_point("table"))
		return NULL;
	mutex_lock(&arena->lock);
	if (arena->free_count[kind]) {
		frame = arena->free_list[kind][--arena->free_count[kind]];
	} else {
		frame = (ALIGN_UP(ARENA_PA + arena->next * SZ_4K, size) - ARENA_PA) / SZ_4K;
		arena->next = frame + size / SZ_4K;
	}
	assert_true(frame + size / SZ_4K <= ARENA_FRAMES);
	arena->used[frame] = lg2_size;
	arena->live++;
	mutex_unlock(&arena->lock);
	*ret_pa = ARENA_PA + frame * SZ_4K;
	if (arena->shadow)
		memset(arena->shadow + frame * SZ_4K, 0xff, size);
	return memset(arena->base + frame * SZ_4K, 0, size);
}

static inline void *arena_ptr(void *ctx, u64 pa)
{
	struct arena *arena = ctx;

	assert_true(pa >= ARENA_PA && pa < ARENA_PA + ARENA_ROOM);
	return arena->base + (pa - ARENA_PA);
}

static inline void arena_free(void *ctx, void *table, u64 pa, unsigned lg2_size)
{
	struct arena *arena = ctx;
	u32 frame = (pa - ARENA_PA) / SZ_4K, kind = lg2_size - 12;

	assert_ptr_equal(arena_ptr(ctx, pa), table);
	mutex_lock(&arena->lock);
	assert_int_equal(arena->used[frame], lg2_size);
	arena->used[frame] = 0;
	arena->free_list[kind][arena->free_count[kind]++] = frame;
	arena->live--;
	mutex_unlock(&arena->lock);
}

static const struct pt_alloc_ops arena_ops = {
	.table_alloc = arena_alloc,
	.table_free = arena_free,
	.pa_to_ptr = arena_ptr,
};

static inline struct arena *arena_new(void)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	assert_non_null(arena);
	mutex_init(&arena->lock);
	arena->mapped = mmap(NULL, ARENA_ROOM + 2 * SZ_1M, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(arena->mapped != MAP_FAILED);
	/* aligned tables are aligned on both sides */
	arena->base = arena->mapped + ((ARENA_PA - (uintptr_t)arena->mapped) & (SZ_1M - 1));
	return arena;
}

/* From here on the arena keeps a second copy, which only flushes bring up to date. */
static inline void arena_shadow(struct arena *arena)
{
	arena->shadow = mmap(NULL, ARENA_ROOM, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(arena->shadow != MAP_FAILED);
}

/* The flush hook of a table in an arena. */
static inline void arena_flush(struct pt_table *pt, const void *at, u64 len)
{
	struct arena *arena = pt->cfg.alloc_ctx;
	u64 offset = (const char *)at - arena->base;

	assert_true(offset < ARENA_ROOM && len <= ARENA_ROOM - offset);
	memcpy(arena->shadow + offset, at, len);
	arena->flushes++;
}

/* Ends the arena; whatever is not given back by then is a leak. */
static inline void arena_end(struct arena *arena)
{
	assert_int_equal(arena->live, 0);
	munmap(arena->mapped, ARENA_ROOM + 2 * SZ_1M);
	if (arena->shadow)
		munmap(arena->shadow, ARENA_ROOM);
	mutex_destroy(&arena->lock);
	free(arena);
}

typedef int (*pt_init_fn)(struct pt_table *pt, const struct pt_cfg *cfg);

static inline struct arena *pt_begin(struct pt_table *pt, pt_init_fn init, struct pt_cfg cfg)
{
	struct arena *arena = arena_new();

	if (cfg.flush)
		arena_shadow(arena);
	cfg.alloc = &arena_ops;
	cfg.alloc_ctx = arena;
	assert_int_equal(init(pt, &cfg), 0);
	return arena;
}

static inline void pt_end(struct pt_table *pt, struct arena *arena)
{
	pt->ops->fini(pt);
	arena_end(arena);
}

static inline void assert_sound(struct pt_table *pt)
{
	const char *wrong = pt->ops->check(pt);

	if (wrong)
		fail_msg("%s", wrong);
}

static inline int map(struct pt_table *pt, u64 iova, u64 pa, u64 len, unsigned prot)
{
	u64 mapped;
	int rc = pt->ops->map_range(pt, iova, pa, len, prot, &mapped);

	if (!rc)
		assert_int_equal(mapped, len);
	return rc;
}

static inline u64 unmap(struct pt_table *pt, u64 iova, u64 len)
{
	struct pt_gather gather;
	u64 done;

	pt_gather_init(&gather);
	done = pt->ops->unmap_range(pt, iova, len, &gather);
	pt_gather_free(&gather);
	return done;
}

static inline void collapse(struct pt_table *pt, u64 iova, u64 len, unsigned lg2)
{
	struct pt_gather gather;

	pt_gather_init(&gather);
	assert_int_equal(pt->ops->collapse(pt, iova, len, lg2, &gather), 0);
	pt_gather_free(&gather);
}

static inline u64 phys(struct pt_table *pt, u64 iova)
{
	u64 pa, run;

	return pt->ops->iova_to_phys(pt, iova, &pa, &run) ? ~0ULL : pa;
}

/* The item a device would read at @level for @iova, found through memory as a device does. */
static inline u64 raw_item(struct pt_table *pt, unsigned granule_lg2, unsigned level, u64 iova)
{
	unsigned at;
	u64 pa = pt->ops->root(pt, &at);

	for (;; at--) {
		u64 *items = pt->cfg.alloc->pa_to_ptr(pt->cfg.alloc_ctx, pa);
		u64 e = items[iova >> (granule_lg2 + 9 * at) & 511];

		if (at == level)
			return e;
		assert_int_equal(e & 1, 1);
		assert_int_equal(e >> 9 & 7, at);
		pa = (e >> 12 & ((1ULL << 40) - 1)) << granule_lg2;
	}
}

#endif
