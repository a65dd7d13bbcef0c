/* SPDX-License-Identifier: MIT */
/*
 * Mappings of our files in this process.  The file's op checks the request and
 * names host memory; that is mapped natively where the program wanted it, and
 * remembered, because the owner must learn when the mapping ends.  As with the
 * kernel's, a mapping that is cut lives until its last piece is gone.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "core/self.h"

/**
 * struct self_mapping - one successful mmap()
 * @file: counted
 * @cookie: the file's
 * @pieces: entries of proc->maps, under maps_lock
 * @dead: links mappings whose last piece went in one munmap()
 */
struct self_mapping {
	struct file *file;
	void *cookie;
	u32 pieces;
	struct self_mapping *dead;
};

/* Let a piece begin at @at, if one lies across it. */
static int maps_cut(struct iommufd_process *proc, u64 at) __must_hold(&proc->maps_lock)
{
	struct rangemap_entry piece;
	int rc;

	if (!at || !rangemap_find(&proc->maps, at, &piece) || piece.first == at)
		return 0;
	rc = rangemap_split(&proc->maps, at, piece.value);
	if (!rc)
		((struct self_mapping *)piece.value)->pieces++;
	return rc;
}

/* Forget the pieces in [first, last], at whose ends pieces end; returns mappings that ended. */
static struct self_mapping *maps_drop(struct iommufd_process *proc, u64 first, u64 last)
	__must_hold(&proc->maps_lock)
{
	struct self_mapping *mapping, *dead = NULL;
	struct rangemap_entry piece;

	while (rangemap_first_from(&proc->maps, first, &piece) && piece.first <= last) {
		mapping = rangemap_remove(&proc->maps, piece.first);
		if (--mapping->pieces)
			continue;
		mapping->dead = dead;
		dead = mapping;
	}
	return dead;
}

static void mapping_end(struct self_mapping *mapping)
{
	struct file *file = mapping->file;

	if (file->ops->unmap)
		file->ops->unmap(file, mapping->cookie);
	file_put(file);
	free(mapping);
}

/* No lock held: an unmap op or a release may do anything. */
static void mappings_end(struct iommufd_process *proc, struct self_mapping *dead)
{
	struct self_mapping *next;
	struct self_task self;

	self_enter(&self, proc);
	for (; dead; dead = next) {
		next = dead->dead;
		mapping_end(dead);
	}
	self_leave(&self);
}

int iommufd_munmap(struct iommufd_process *proc, void *addr, size_t length)
{
	u64 first = (uintptr_t)addr;
	struct self_mapping *dead = NULL;
	u64 last;
	int rc;

	if ((first & ~PAGE_MASK) || range_last(first, length, &last))
		return -EINVAL;
	last |= ~PAGE_MASK;
	mutex_lock(&proc->maps_lock);
	/* What can fail comes before the memory goes. */
	rc = maps_cut(proc, first);
	if (!rc)
		rc = maps_cut(proc, last + 1);
	if (!rc && munmap(addr, length))
		rc = -errno;
	if (!rc)
		dead = maps_drop(proc, first, last);
	mutex_unlock(&proc->maps_lock);
	mappings_end(proc, dead);
	return rc;
}

void self_unmap_all(struct iommufd_process *proc)
{
	struct rangemap_entry piece;

	while (rangemap_first_from(&proc->maps, 0, &piece))
		iommufd_munmap(proc, (void *)(uintptr_t)piece.first,
			       piece.last - piece.first + 1);
}

/* Map natively and remember; with MAP_FIXED this ends whatever of ours was there. */
static int mapping_place(struct iommufd_process *proc, struct self_mapping *mapping,
			 const struct file_map *map, void *addr, u64 length, int prot, int flags,
			 void **ret_addr)
{
	u64 first = (uintptr_t)addr;
	struct self_mapping *dead = NULL;
	void *ptr = MAP_FAILED;
	int rc = 0;

	mutex_lock(&proc->maps_lock);
	if (flags & MAP_FIXED) {
		rc = maps_cut(proc, first);
		if (!rc)
			rc = maps_cut(proc, first + length);
	}
	if (!rc) {
		ptr = mmap(addr, length, prot, flags, map->host_fd, (off_t)map->host_offset);
		rc = ptr == MAP_FAILED ? -errno : 0;
	}
	if (!rc) {
		first = (uintptr_t)ptr;
		dead = maps_drop(proc, first, first + length - 1);
		rc = rangemap_insert(&proc->maps, first, first + length - 1, mapping);
		if (rc)
			munmap(ptr, length);
	}
	mutex_unlock(&proc->maps_lock);
	mappings_end(proc, dead);
	if (!rc)
		*ret_addr = ptr;
	return rc;
}

static int self_mmap_file(struct iommufd_process *proc, struct file *file, void *addr,
			  u64 length, int prot, int flags, u64 offset, void **ret_addr)
{
	struct self_mapping *mapping;
	struct file_map map = { 0 };
	int rc;

	rc = file_mmap_check(file, (uintptr_t)addr, length, prot, flags, offset);
	if (rc)
		return rc;
	length = ALIGN_UP(length, PAGE_SIZE);
	mapping = zalloc(sizeof(*mapping));
	if (!mapping)
		return -ENOMEM;
	rc = file->ops->mmap(file, length, prot, flags, offset, &map);
	if (rc) {
		free(mapping);
		return rc;
	}
	mapping->file = file_get(file);
	mapping->cookie = map.cookie;
	mapping->pieces = 1;
	/* Nobody is there to carry out this process's own accesses. */
	rc = map.trapped ? -EOPNOTSUPP :
			   mapping_place(proc, mapping, &map, addr, length, prot, flags, ret_addr);
	if (rc)
		mapping_end(mapping);
	return rc;
}

int iommufd_mmap(struct iommufd_process *proc, void *addr, size_t length, int prot, int flags,
		 int fd, u64 offset, void **ret_addr)
{
	struct file *file = fdmap_get(&proc->fds, fd);
	struct self_task self;
	int rc;

	if (!file)
		return -EBADF;
	self_enter(&self, proc);
	rc = self_mmap_file(proc, file, addr, length, prot, flags, offset, ret_addr);
	file_put(file);
	self_leave(&self);
	return rc;
}
