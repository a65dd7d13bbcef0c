/* SPDX-License-Identifier: MIT */
/*
 * Which descriptor numbers of this process are ours, and which open file each
 * stands for.  Asked on every system call of a preloaded program, so the
 * question "ours?" is two loads; only taking a reference locks, and then one
 * of several locks chosen by the number.
 */
#ifndef CORE_FDMAP_H
#define CORE_FDMAP_H

#include <stdatomic.h>

#include "base/lock.h"
#include "core/file.h"

#define FDMAP_CHUNK_SHIFT 10
#define FDMAP_CHUNK_SLOTS (1U << FDMAP_CHUNK_SHIFT)
#define FDMAP_CHUNKS 1024U /* a million descriptors: Linux's own default ceiling */
#define FDMAP_LOCKS 16U

/*
 * A number is reserved while its slot has a host but no file, in use while it has a file.
 * @file changes under the slot's lock and is read without; @host belongs to the reserving
 * thread, which takes the lock as well.
 */
struct fdmap_slot {
	struct file *_Atomic file; /* counted: one per descriptor */
	void *host;
};

struct fdmap_chunk {
	struct fdmap_slot slots[FDMAP_CHUNK_SLOTS];
};

struct fdmap {
	struct fdmap_chunk *_Atomic chunks[FDMAP_CHUNKS]; /* set once, under grow_lock */
	struct mutex grow_lock;
	struct mutex locks[FDMAP_LOCKS];
};

void fdmap_init(struct fdmap *table);
/** fdmap_fini() - every slot is empty again */
void fdmap_fini(struct fdmap *table);

static inline struct fdmap_slot *fdmap_slot(const struct fdmap *table, int fd)
{
	struct fdmap_chunk *chunk;

	if ((unsigned int)fd >= FDMAP_CHUNKS * FDMAP_CHUNK_SLOTS)
		return NULL;
	/* acquire pairs with the release in fdmap_prepare(): the chunk is zeroed */
	chunk = atomic_load_explicit(&table->chunks[(unsigned int)fd >> FDMAP_CHUNK_SHIFT],
				     memory_order_acquire);
	return chunk ? &chunk->slots[(unsigned int)fd % FDMAP_CHUNK_SLOTS] : NULL;
}

/** fdmap_has() - is @fd ours at this moment? */
static inline bool fdmap_has(const struct fdmap *table, int fd)
{
	struct fdmap_slot *slot = fdmap_slot(table, fd);

	return slot && atomic_load_explicit(&slot->file, memory_order_relaxed);
}

/** fdmap_lock() - keep @fd meaning what it means; any number may be given */
static inline struct mutex *fdmap_lock(struct fdmap *table, int fd)
{
	return &table->locks[(unsigned int)fd % FDMAP_LOCKS];
}

/** fdmap_prepare() - there is a slot for @fd from now on.  Return: 0, -ENOMEM, -EMFILE */
int fdmap_prepare(struct fdmap *table, int fd);
/** fdmap_get() - the file behind @fd, counted; NULL if not ours */
struct file *fdmap_get(struct fdmap *table, int fd);
/** fdmap_exchange() - @fd, prepared, becomes @file (its count moves in; NULL: nobody's) */
struct file *fdmap_exchange(struct fdmap *table, int fd, struct file *file);
/** fdmap_next() - the lowest of our numbers >= @fd, or -1 */
int fdmap_next(const struct fdmap *table, int fd);

#endif
