/* SPDX-License-Identifier: MIT */
/*
 * Frames: memory of our own in physical space, for I/O page tables above all.
 *
 * Fresh blocks are cut from a window front to back, aligned to their size; a
 * freed block goes to the list of its size and its first bytes become the link.
 * Blocks are not merged again: what one table size freed, tables of that size
 * will want.  Small blocks are cleared when they are given out, large ones are
 * handed back to the kernel at once, which clears them for us.
 *
 * With checks on, what is free says so: its words are entries that are there and lead nowhere in
 * every format of tables, and AddressSanitizer reports who looks at them.
 *
 * Locks: a class's lock guards its list; pool.lock the window being cut, and
 * is taken before space->lock.
 */
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "mem/mem_priv.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

#define FRAME_MIN_LG2 12
#define FRAME_MAX_LG2 21
#define FRAME_GIVE_BACK_LG2 16 /* from here on, clearing costs more than fresh pages do */

struct frame_free {
	struct frame_free *next;
	u64 pa;
};

struct frame_class {
	struct mutex lock;
	struct frame_free *free; /* under lock */
} __attribute__((aligned(64)));

/**
 * struct frame_pool - the pool of one space
 * @window: what fresh blocks are cut from, NULL at first; it and @used under @lock
 */
struct frame_pool {
	struct frame_class classes[FRAME_MAX_LG2 - FRAME_MIN_LG2 + 1];
	struct mem_backing *backing;         /* immutable; its section n is the nth GiB of frames */
	struct mutex lock;
	struct mem_window *window;
	u64 used;
	u64 sections;
};

/* ---- what is free ---- */

/* The link in front is still needed. */
static void frame_poison(struct frame_free *block, unsigned int lg2_size)
{
#ifdef IOMMUFD_DEBUG
	size_t size = (1UL << lg2_size) - sizeof(*block);

	if (lg2_size < FRAME_GIVE_BACK_LG2)
		memset(block + 1, 0xff, size);
	ASAN_POISON_MEMORY_REGION(block + 1, size);
#else
	(void)block;
	(void)lg2_size;
#endif
}

static void frame_unpoison(struct frame_free *block, unsigned int lg2_size)
{
	ASAN_UNPOISON_MEMORY_REGION(block, 1UL << lg2_size);
}

/* Its addresses will be somebody else's. */
static void class_unpoison(const struct frame_class *class, unsigned int lg2_size)
{
	struct frame_free *block, *next;

	for (block = class->free; block; block = next) {
		next = block->next;
		frame_unpoison(block, lg2_size);
	}
}

int frame_pool_create(struct mem_space *space, struct frame_pool **ret_pool)
{
	struct frame_pool *pool;
	int rc;

	if (fault_point("alloc"))
		return -ENOMEM;
	/* The classes are aligned to cache lines, which calloc() does not promise. */
	pool = aligned_alloc(64, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	memset(pool, 0, sizeof(*pool));
	rc = backing_create(space, MEM_BACKING_FRAMES, -1, &pool->backing);
	if (rc) {
		free(pool);
		return rc;
	}
	for (u32 i = 0; i < ARRAY_SIZE(pool->classes); i++)
		mutex_init(&pool->classes[i].lock);
	mutex_init(&pool->lock);
	*ret_pool = pool;
	return 0;
}

void frame_pool_destroy(struct frame_pool *pool)
{
	for (u32 i = 0; i < ARRAY_SIZE(pool->classes); i++)
		class_unpoison(&pool->classes[i], FRAME_MIN_LG2 + i);
	backing_unhold_windows(pool->backing);
	backing_put(pool->backing);
	for (u32 i = 0; i < ARRAY_SIZE(pool->classes); i++)
		mutex_destroy(&pool->classes[i].lock);
	mutex_destroy(&pool->lock);
	free(pool);
}

/* Begin another GiB. */
static int pool_grow(struct frame_pool *pool)
{
	struct mem_space *space = pool->backing->space;
	struct mem_window *window;
	int rc;

	mutex_assert_held(&pool->lock);
	rc = window_take(pool->backing, pool->sections, 0, &window);
	if (rc)
		return rc;
	space->front.frame_host[window->pa >> MEM_WINDOW_SHIFT] = window->host;
	pool->window = window;
	pool->used = 0;
	pool->sections++;
	return 0;
}

static struct frame_class *pool_class(struct frame_pool *pool, unsigned int lg2_size)
{
	return &pool->classes[lg2_size - FRAME_MIN_LG2];
}

static void class_push(struct frame_class *class, void *ptr, u64 pa)
{
	struct frame_free *block = ptr;

	block->pa = pa;
	mutex_lock(&class->lock);
	block->next = class->free;
	class->free = block;
	mutex_unlock(&class->lock);
}

static struct frame_free *class_pop(struct frame_class *class)
{
	struct frame_free *block;

	mutex_lock(&class->lock);
	block = class->free;
	if (block)
		class->free = block->next;
	mutex_unlock(&class->lock);
	return block;
}

/* What alignment skips is made of smaller blocks: put them where they will be used. */
static void pool_skip_to(struct frame_pool *pool, u64 offset)
{
	while (pool->used < offset) {
		unsigned int lg2 = (unsigned int)__builtin_ctzll(pool->used);
		u64 pa = pool->window->pa + pool->used;

		class_push(pool_class(pool, lg2), (void *)(pool->window->host + pool->used), pa);
		pool->used += 1UL << lg2;
	}
}

static void *pool_cut(struct frame_pool *pool, unsigned int lg2_size, u64 *ret_pa)
{
	u64 size = 1UL << lg2_size;
	void *ptr = NULL;

	mutex_lock(&pool->lock);
	if (pool->window)
		pool_skip_to(pool, ALIGN_UP(pool->used, size));
	if ((pool->window && pool->used < MEM_WINDOW_SIZE) || !pool_grow(pool)) {
		ptr = (void *)(pool->window->host + pool->used);
		*ret_pa = pool->window->pa + pool->used;
		pool->used += size;
	}
	mutex_unlock(&pool->lock);
	return ptr;
}

void *mem_frames_alloc(struct mem_space *space, unsigned int lg2_size, u64 *ret_pa)
{
	struct frame_pool *pool = space->frames;
	struct frame_free *block;

	if (lg2_size < FRAME_MIN_LG2 || lg2_size > FRAME_MAX_LG2 || fault_point("frames"))
		return NULL;
	block = class_pop(pool_class(pool, lg2_size));
	if (!block)
		return pool_cut(pool, lg2_size, ret_pa);
	*ret_pa = block->pa;
	frame_unpoison(block, lg2_size);
	/* Only the link is dirty in memory that went back to the kernel or was never used. */
	memset(block, 0, lg2_size < FRAME_GIVE_BACK_LG2 ? 1UL << lg2_size : sizeof(*block));
	return block;
}

void mem_frames_free(struct mem_space *space, void *ptr, u64 pa, unsigned int lg2_size)
{
	if (!ptr)
		return;
	if (lg2_size >= FRAME_GIVE_BACK_LG2 && madvise(ptr, 1UL << lg2_size, MADV_DONTNEED))
		memset(ptr, 0, 1UL << lg2_size);
	frame_poison(ptr, lg2_size);
	class_push(pool_class(space->frames, lg2_size), ptr, pa);
}
