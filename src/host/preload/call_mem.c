/* SPDX-License-Identifier: MIT */
/*
 * mmap() of our descriptors, and what ends such mappings.  As long as there has
 * been none, munmap() is libc's after one load.
 */
#include "host/preload/preload.h"

#include <stdarg.h>
#include <sys/mman.h>

static bool mapped_ever(void)
{
	struct preload_front *front = atomic_load_explicit(&preload_front, memory_order_acquire);

	return front && atomic_load_explicit(&front->proc, memory_order_acquire) &&
	       atomic_load_explicit(&front->mapped, memory_order_relaxed);
}

/* Does a mapping of ours touch this range? */
static bool mapped_at(const void *addr, size_t length)
{
	struct iommufd_process *proc;
	struct rangemap_entry piece;
	u64 first = (uintptr_t)addr;
	bool hit;
	u64 last;

	if (likely(!mapped_ever()) || range_last(first, length, &last))
		return false;
	proc = preload_proc();
	mutex_lock(&proc->maps_lock);
	hit = rangemap_first_from(&proc->maps, first, &piece) && piece.first <= last;
	mutex_unlock(&proc->maps_lock);
	return hit;
}

static void *mmap_ours(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	int saved_errno = errno;
	void *ptr = MAP_FAILED;
	int rc;

	rc = fd_is_lost(fd);
	if (!rc)
		rc = iommufd_mmap(preload_proc(), addr, length, prot, flags, fd, (u64)offset, &ptr);
	if (!rc)
		atomic_store_explicit(&preload_front->mapped, true, memory_order_relaxed);
	errno = rc ? -rc : saved_errno;
	return ptr;
}

static void *mmap_call(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	if (!(flags & MAP_ANONYMOUS) && unlikely(fd_kind(fd) != FD_FOREIGN))
		return mmap_ours(addr, length, prot, flags, fd, offset);
	/* Something foreign over a mapping of ours ends it. */
	if ((flags & MAP_FIXED) && mapped_at(addr, length) && !preload_is_guest())
		iommufd_munmap(preload_proc(), addr, length);
	return NEXT(mmap)(addr, length, prot, flags, fd, offset);
}

PRELOAD_EXPORT void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return mmap_call(addr, length, prot, flags, fd, offset);
}

PRELOAD_EXPORT void *mmap64(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return mmap_call(addr, length, prot, flags, fd, offset);
}

PRELOAD_EXPORT int munmap(void *addr, size_t length)
{
	int saved_errno = errno;

	if (!mapped_at(addr, length) || preload_is_guest())
		return NEXT(munmap)(addr, length);
	return (int)preload_return(iommufd_munmap(preload_proc(), addr, length), saved_errno);
}

/* The kernel refuses to grow a device's mapping; that it could move one, nobody relies on. */
PRELOAD_EXPORT void *mremap(void *addr, size_t old_length, size_t new_length, int flags, ...)
{
	void *new_addr = NULL;
	va_list args;

	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_start(args, flags);
		new_addr = va_arg(args, void *);
		va_end(args);
	}
	if (mapped_at(addr, old_length) ||
	    ((flags & MREMAP_FIXED) && mapped_at(new_addr, new_length))) {
		errno = EFAULT;
		return MAP_FAILED;
	}
	return NEXT(mremap)(addr, old_length, new_length, flags, new_addr);
}
