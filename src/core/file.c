/* SPDX-License-Identifier: MIT */
/*
 * Open file descriptions: a counted thing with operations.  What a descriptor
 * is (a real one in this process, an injected one in another) is the way in's
 * business and hangs on file->host.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "core/file.h"

void file_init(struct file *file, const struct file_ops *ops, struct iommufd_system *system,
	       int open_flags)
{
	file->ops = ops;
	atomic_init(&file->refs, 1);
	file->open_flags = open_flags;
	file->size = 0;
	file->system = system;
	file->host = NULL;
	file->host_wake = NULL;
	file->host_memory = NULL;
	file->host_settle = NULL;
	file->host_release = NULL;
}

struct file *file_get(struct file *file)
{
	atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
	return file;
}

bool file_get_live(struct file *file)
{
	u32 refs = atomic_load_explicit(&file->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&file->refs, &refs, refs + 1,
							  memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}

void file_put(struct file *file)
{
	void (*host_release)(void *host);
	void *host;

	/* acq_rel: what every holder did is seen by the one who releases */
	if (!file || atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) != 1)
		return;
	host_release = file->host_release;
	host = file->host;
	file->ops->release(file);
	/* Only now: until the owner's release returned, others may have called file_wake(). */
	if (host_release)
		host_release(host);
}

void file_wake(struct file *file)
{
	if (file->host_wake)
		file->host_wake(file);
}

void file_settle(struct file *file)
{
	if (file->host_settle)
		file->host_settle(file);
}

int file_mmap_check(const struct file *file, u64 addr, u64 length, int prot, int flags, u64 offset)
{
	int access = file->open_flags & O_ACCMODE;
	bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
	u64 last;

	if ((offset & ~PAGE_MASK) || (flags & MAP_ANONYMOUS) ||
	    ((flags & MAP_FIXED) && (addr & ~PAGE_MASK)))
		return -EINVAL;
	if (!length)
		return -EINVAL;
	if (length > UINT64_MAX - PAGE_SIZE ||
	    ((flags & MAP_FIXED) && range_last(addr, length + PAGE_SIZE, &last)))
		return -ENOMEM;
	if (range_last(offset, length, &last))
		return -EOVERFLOW;
	if (access == O_WRONLY || (shared && (prot & PROT_WRITE) && access == O_RDONLY))
		return -EACCES;
	return file->ops->mmap ? 0 : -ENODEV;
}
