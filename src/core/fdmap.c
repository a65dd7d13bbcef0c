/* SPDX-License-Identifier: MIT */
/*
 * The table grows by chunks that stay where they are until the end, so a
 * reader needs no lock to follow the two pointers.
 */
#include "core/fdmap.h"

#include "base/alloc.h"

void fdmap_init(struct fdmap *table)
{
	mutex_init(&table->grow_lock);
	for (u32 i = 0; i < FDMAP_LOCKS; i++)
		mutex_init(&table->locks[i]);
	for (u32 i = 0; i < FDMAP_CHUNKS; i++)
		atomic_init(&table->chunks[i], NULL);
}

void fdmap_fini(struct fdmap *table)
{
	for (u32 i = 0; i < FDMAP_CHUNKS; i++)
		free(atomic_load_explicit(&table->chunks[i], memory_order_relaxed));
	for (u32 i = 0; i < FDMAP_LOCKS; i++)
		mutex_destroy(&table->locks[i]);
	mutex_destroy(&table->grow_lock);
}

int fdmap_prepare(struct fdmap *table, int fd)
{
	u32 index = (u32)fd >> FDMAP_CHUNK_SHIFT;
	struct fdmap_chunk *chunk;
	int rc = 0;

	if (index >= FDMAP_CHUNKS)
		return -EMFILE;
	mutex_lock(&table->grow_lock);
	if (!atomic_load_explicit(&table->chunks[index], memory_order_relaxed)) {
		chunk = zalloc(sizeof(*chunk));
		if (chunk)
			atomic_store_explicit(&table->chunks[index], chunk, memory_order_release);
		else
			rc = -ENOMEM;
	}
	mutex_unlock(&table->grow_lock);
	return rc;
}

struct file *fdmap_get(struct fdmap *table, int fd)
{
	struct fdmap_slot *slot = fdmap_slot(table, fd);
	struct file *file;

	if (!slot)
		return NULL;
	/* Under the lock the slot's own count keeps the file from going before ours is taken. */
	mutex_lock(fdmap_lock(table, fd));
	file = atomic_load_explicit(&slot->file, memory_order_relaxed);
	if (file)
		file_get(file);
	mutex_unlock(fdmap_lock(table, fd));
	return file;
}

struct file *fdmap_exchange(struct fdmap *table, int fd, struct file *file)
{
	struct fdmap_slot *slot = fdmap_slot(table, fd);
	struct file *old;

	if (!slot)
		return NULL;
	mutex_lock(fdmap_lock(table, fd));
	old = atomic_load_explicit(&slot->file, memory_order_relaxed);
	atomic_store_explicit(&slot->file, file, memory_order_relaxed);
	mutex_unlock(fdmap_lock(table, fd));
	return old;
}

int fdmap_next(const struct fdmap *table, int fd)
{
	int end = (int)(FDMAP_CHUNKS * FDMAP_CHUNK_SLOTS);

	while (fd < end) {
		if (!fdmap_slot(table, fd))
			fd = (int)ALIGN_UP((u32)fd + 1, FDMAP_CHUNK_SLOTS);
		else if (fdmap_has(table, fd))
			return fd;
		else
			fd++;
	}
	return -1;
}
