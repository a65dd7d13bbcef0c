/* SPDX-License-Identifier: MIT */
/*
 * Calls on descriptor numbers: close(), dup(), fcntl().  The core keeps its
 * table and the kernel's in step; what is added here is what a program can do
 * to numbers that the core did not foresee: close all it can find, put one over
 * a number of ours, do so in a vfork() child.
 *
 * On exec our descriptors are closed whatever the program asked, since they
 * would be eventfds to what comes; F_GETFD still tells what it asked.
 */
#include "host/preload/preload.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__aarch64__) || defined(__arm__)
#define KERNEL_O_LARGEFILE 0400000
#else
#define KERNEL_O_LARGEFILE 0100000
#endif

/* ---- close ---- */

/* In a vfork() child the table is the parent's, the numbers are its own. */
static int close_ours(int fd)
{
	if (preload_is_guest())
		return NEXT(close)(fd) ? -errno : 0;
	fd_mark_clear(fd, ~0U);
	return iommufd_close(preload_proc(), fd);
}

static int close_call(int fd)
{
	int saved_errno = errno;

	switch (fd_kind(fd)) {
	case FD_OURS:
		return (int)preload_return(close_ours(fd), saved_errno);
	case FD_INTERNAL:
		errno = EBADF;
		return -1;
	case FD_ORPHAN:
		fd_mark_clear(fd, ~0U);
		break;
	default:
		break;
	}
	return NEXT(close)(fd);
}

PRELOAD_EXPORT int close(int fd)
{
	return close_call(fd);
}

/* The first number from @fd to @last that is not the kernel's business alone; @last + 1 if none. */
static unsigned int next_special(unsigned int fd, unsigned int last)
{
	while (fd <= last && fd_kind((int)fd) == FD_FOREIGN)
		fd++;
	return fd;
}

static int close_range_call(unsigned int first, unsigned int last, int flags)
{
	unsigned int end = MIN(last, FDMAP_CHUNKS * FDMAP_CHUNK_SLOTS - 1);
	struct rlimit limit;

	/* Numbers of ours lie below the limit they were made under; few programs raise it. */
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		end = (unsigned int)MIN((rlim_t)end, limit.rlim_max);
	while (first <= end) {
		unsigned int fd = next_special(first, end);
		int rc = 0;

		if (fd > end)
			break;
		if (fd > first)
			rc = NEXT(close_range)(first, fd - 1, flags);
		if (rc)
			return rc;
		/* Ours are closed on exec as it is. */
		if (flags & CLOSE_RANGE_CLOEXEC)
			fd_mark_clear((int)fd, MARK_KEEP);
		else if (fd_kind((int)fd) != FD_INTERNAL)
			close_call((int)fd);
		first = fd + 1;
	}
	return first <= last ? NEXT(close_range)(first, last, flags) : 0;
}

PRELOAD_EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	if (first > last || (flags & ~(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)) ||
	    !atomic_load_explicit(&preload_front, memory_order_acquire))
		return NEXT(close_range)(first, last, flags);
	return close_range_call(first, last, flags);
}

PRELOAD_EXPORT void closefrom(int first)
{
	if (!atomic_load_explicit(&preload_front, memory_order_acquire))
		NEXT(closefrom)(first);
	else
		(void)close_range_call((unsigned int)MAX(first, 0), UINT_MAX, 0);
}

/* ---- dup ---- */

static int dup_from(int fd, int min_fd, int open_flags)
{
	int new_fd = self_dup_from(preload_proc(), fd, min_fd, O_CLOEXEC);

	if (new_fd >= 0 && !(open_flags & O_CLOEXEC))
		fd_mark_set(new_fd, MARK_KEEP);
	return new_fd;
}

PRELOAD_EXPORT int dup(int fd)
{
	int saved_errno = errno;
	int new_fd;

	switch (fd_kind(fd)) {
	case FD_OURS:
		return (int)preload_return(dup_from(fd, 0, 0), saved_errno);
	case FD_INTERNAL:
		errno = EBADF;
		return -1;
	case FD_ORPHAN:
		new_fd = NEXT(dup)(fd);
		if (new_fd >= 0)
			fd_mark_set(new_fd, MARK_ORPHAN);
		return new_fd;
	default:
		return NEXT(dup)(fd);
	}
}

/* At least one of the numbers is not the kernel's alone. */
static int dup_to(int fd, int new_fd, int open_flags)
{
	enum fd_kind kind = fd_kind(fd), new_kind = fd_kind(new_fd);
	int rc;

	if (kind == FD_INTERNAL)
		return -EBADF;
	/* The kernel's word for a number that another thread is about to get. */
	if (new_kind == FD_INTERNAL)
		return -EBUSY;
	if (preload_is_guest() || (kind != FD_OURS && new_kind != FD_OURS))
		rc = NEXT(dup3)(fd, new_fd, open_flags) < 0 ? -errno : new_fd;
	else
		rc = self_dup_to(preload_proc(), fd, new_fd,
				 kind == FD_OURS ? O_CLOEXEC : open_flags);
	if (rc < 0 || preload_is_guest())
		return rc;
	fd_mark_clear(new_fd, ~0U);
	if (kind == FD_ORPHAN)
		fd_mark_set(new_fd, MARK_ORPHAN);
	if (kind == FD_OURS && !(open_flags & O_CLOEXEC))
		fd_mark_set(new_fd, MARK_KEEP);
	return rc;
}

static bool both_foreign(int fd, int new_fd)
{
	return likely(fd_kind(fd) == FD_FOREIGN && fd_kind(new_fd) == FD_FOREIGN);
}

PRELOAD_EXPORT int dup2(int fd, int new_fd)
{
	int saved_errno = errno;

	if (both_foreign(fd, new_fd) || fd == new_fd)
		return NEXT(dup2)(fd, new_fd);
	return (int)preload_return(dup_to(fd, new_fd, 0), saved_errno);
}

PRELOAD_EXPORT int dup3(int fd, int new_fd, int flags)
{
	int saved_errno = errno;

	if (both_foreign(fd, new_fd) || fd == new_fd || (flags & ~O_CLOEXEC))
		return NEXT(dup3)(fd, new_fd, flags);
	return (int)preload_return(dup_to(fd, new_fd, flags), saved_errno);
}

/* ---- fcntl ---- */

static long fcntl_flags(int fd, int cmd, long arg)
{
	const int changeable = O_APPEND | O_NONBLOCK | O_NOATIME;
	struct file *file = fdmap_get(&preload_proc()->fds, fd);
	int flags, large;

	if (!file)
		return -EBADF;
	flags = __atomic_load_n(&file->open_flags, __ATOMIC_RELAXED);
	if (cmd == F_SETFL)
		__atomic_store_n(&file->open_flags,
				 (flags & ~changeable) | ((int)arg & changeable), __ATOMIC_RELAXED);
	/* open() says so; what commands make was not opened. */
	large = *file->ops->name == '/' ? KERNEL_O_LARGEFILE : 0;
	file_put(file);
	return cmd == F_SETFL ? 0 : (flags & ~O_CLOEXEC) | large;
}

static long fcntl_ours(int fd, int cmd, long arg)
{
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return dup_from(fd, (int)arg, cmd == F_DUPFD ? 0 : O_CLOEXEC);
	case F_GETFD:
		return fd_mark_test(fd, MARK_KEEP) ? 0 : FD_CLOEXEC;
	case F_SETFD:
		if (arg & FD_CLOEXEC)
			fd_mark_clear(fd, MARK_KEEP);
		else
			fd_mark_set(fd, MARK_KEEP);
		return 0;
	case F_GETFL:
	case F_SETFL:
		return fcntl_flags(fd, cmd, arg);
	default:
		return NEXT(fcntl)(fd, cmd, arg) < 0 ? -errno : 0;
	}
}

static int fcntl_call(int fd, int cmd, long arg)
{
	int saved_errno = errno;
	int rc;

	switch (fd_kind(fd)) {
	case FD_OURS:
		return (int)preload_return(fcntl_ours(fd, cmd, arg), saved_errno);
	case FD_INTERNAL:
		errno = EBADF;
		return -1;
	case FD_ORPHAN:
		rc = NEXT(fcntl)(fd, cmd, arg);
		if (rc >= 0 && (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC))
			fd_mark_set(rc, MARK_ORPHAN);
		return rc;
	default:
		return NEXT(fcntl)(fd, cmd, arg);
	}
}

/* The third argument, if there is one, is an int or a pointer: a register either way. */
PRELOAD_EXPORT int fcntl(int fd, int cmd, ...)
{
	va_list args;
	long arg;

	va_start(args, cmd);
	arg = va_arg(args, long);
	va_end(args);
	return fcntl_call(fd, cmd, arg);
}

PRELOAD_EXPORT int fcntl64(int fd, int cmd, ...)
{
	va_list args;
	long arg;

	va_start(args, cmd);
	arg = va_arg(args, long);
	va_end(args);
	return fcntl_call(fd, cmd, arg);
}
