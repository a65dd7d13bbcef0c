/* SPDX-License-Identifier: MIT */
/*
 * ioctl(), read(), write() and their relatives on descriptors of ours.
 * Readiness needs nothing: the eventfd behind the number is readable when the
 * file is, so poll(), select() and epoll stay libc's.
 */
#include "host/preload/preload.h"

#include <limits.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define KIND_IS_FOREIGN(fd) likely(fd_kind(fd) == FD_FOREIGN)

/* The process, if @fd is ours; else why not. */
static int proc_of_fd(int fd, struct iommufd_process **ret_proc)
{
	if (fd_kind(fd) != FD_OURS)
		return fd_is_lost(fd) ?: -EBADF;
	*ret_proc = preload_proc();
	return 0;
}

/* ---- ioctl ---- */

static long ioctl_ours(int fd, unsigned int cmd, void *arg)
{
	struct iommufd_process *proc;
	int rc;

	rc = proc_of_fd(fd, &proc);
	if (rc)
		return rc;
	if (unlikely(preload_opts_get()->trace))
		return trace_ioctl(proc, fd, cmd, arg);
	return iommufd_ioctl(proc, fd, cmd, arg);
}

PRELOAD_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	int saved_errno = errno;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (KIND_IS_FOREIGN(fd))
		return NEXT(ioctl)(fd, request, arg);
	return (int)preload_return(ioctl_ours(fd, (unsigned int)request, arg), saved_errno);
}

/* ---- read and write ---- */

static ssize_t read_ours(int fd, void *buf, size_t count)
{
	struct iommufd_process *proc;
	ssize_t rc;

	rc = proc_of_fd(fd, &proc);
	return rc ? rc : iommufd_read(proc, fd, buf, count);
}

static ssize_t write_ours(int fd, const void *buf, size_t count)
{
	struct iommufd_process *proc;
	ssize_t rc;

	rc = proc_of_fd(fd, &proc);
	return rc ? rc : iommufd_write(proc, fd, buf, count);
}

PRELOAD_EXPORT ssize_t read(int fd, void *buf, size_t count)
{
	int saved_errno = errno;

	if (KIND_IS_FOREIGN(fd))
		return NEXT(read)(fd, buf, count);
	return preload_return(read_ours(fd, buf, count), saved_errno);
}

PRELOAD_EXPORT ssize_t write(int fd, const void *buf, size_t count)
{
	int saved_errno = errno;

	if (KIND_IS_FOREIGN(fd))
		return NEXT(write)(fd, buf, count);
	return preload_return(write_ours(fd, buf, count), saved_errno);
}

/* What has no position says so itself. */
static ssize_t pread_ours(int fd, void *buf, size_t count, off_t pos)
{
	struct iommufd_process *proc;
	ssize_t rc;

	rc = proc_of_fd(fd, &proc);
	if (!rc && pos < 0)
		rc = -EINVAL;
	return rc ? rc : iommufd_pread(proc, fd, buf, count, (u64)pos);
}

static ssize_t pwrite_ours(int fd, const void *buf, size_t count, off_t pos)
{
	struct iommufd_process *proc;
	ssize_t rc;

	rc = proc_of_fd(fd, &proc);
	if (!rc && pos < 0)
		rc = -EINVAL;
	return rc ? rc : iommufd_pwrite(proc, fd, buf, count, (u64)pos);
}

static ssize_t pread_call(int fd, void *buf, size_t count, off_t pos)
{
	int saved_errno = errno;

	if (KIND_IS_FOREIGN(fd))
		return NEXT(pread)(fd, buf, count, pos);
	return preload_return(pread_ours(fd, buf, count, pos), saved_errno);
}

static ssize_t pwrite_call(int fd, const void *buf, size_t count, off_t pos)
{
	int saved_errno = errno;

	if (KIND_IS_FOREIGN(fd))
		return NEXT(pwrite)(fd, buf, count, pos);
	return preload_return(pwrite_ours(fd, buf, count, pos), saved_errno);
}

PRELOAD_EXPORT ssize_t pread(int fd, void *buf, size_t count, off_t pos)
{
	return pread_call(fd, buf, count, pos);
}

PRELOAD_EXPORT ssize_t pread64(int fd, void *buf, size_t count, off_t pos)
{
	return pread_call(fd, buf, count, pos);
}

PRELOAD_EXPORT ssize_t pwrite(int fd, const void *buf, size_t count, off_t pos)
{
	return pwrite_call(fd, buf, count, pos);
}

PRELOAD_EXPORT ssize_t pwrite64(int fd, const void *buf, size_t count, off_t pos)
{
	return pwrite_call(fd, buf, count, pos);
}

/* ---- vectors: files without an op for them are asked once per element ---- */

static ssize_t vector_ours(int fd, const struct iovec *iov, int n, bool writing)
{
	ssize_t total = 0;

	if (n < 0 || n > IOV_MAX)
		return -EINVAL;
	for (int i = 0; i < n; i++) {
		ssize_t done = writing ? write_ours(fd, iov[i].iov_base, iov[i].iov_len) :
					 read_ours(fd, iov[i].iov_base, iov[i].iov_len);

		if (done < 0)
			return total ? total : done;
		total += done;
		if ((size_t)done < iov[i].iov_len)
			break;
	}
	return total;
}

PRELOAD_EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	int saved_errno = errno;

	if (KIND_IS_FOREIGN(fd))
		return NEXT(readv)(fd, iov, n);
	return preload_return(vector_ours(fd, iov, n, false), saved_errno);
}

PRELOAD_EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	int saved_errno = errno;

	if (KIND_IS_FOREIGN(fd))
		return NEXT(writev)(fd, iov, n);
	return preload_return(vector_ours(fd, iov, n, true), saved_errno);
}

/* ---- the fortified names ---- */

void __chk_fail(void) __attribute__((noreturn));
ssize_t __read_chk(int fd, void *buf, size_t count, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t count, off_t pos, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t count, off_t pos, size_t room);

PRELOAD_EXPORT ssize_t __read_chk(int fd, void *buf, size_t count, size_t room)
{
	if (count > room)
		__chk_fail();
	return read(fd, buf, count);
}

PRELOAD_EXPORT ssize_t __pread_chk(int fd, void *buf, size_t count, off_t pos, size_t room)
{
	if (count > room)
		__chk_fail();
	return pread_call(fd, buf, count, pos);
}

PRELOAD_EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t count, off_t pos, size_t room)
{
	if (count > room)
		__chk_fail();
	return pread_call(fd, buf, count, pos);
}

/* ---- seeking ---- */

static off_t lseek_call(int fd, off_t offset, int whence)
{
	if (KIND_IS_FOREIGN(fd))
		return NEXT(lseek)(fd, offset, whence);
	errno = fd_kind(fd) == FD_OURS ? ESPIPE : -(fd_is_lost(fd) ?: -EBADF);
	return -1;
}

PRELOAD_EXPORT off_t lseek(int fd, off_t offset, int whence)
{
	return lseek_call(fd, offset, whence);
}

PRELOAD_EXPORT off_t lseek64(int fd, off_t offset, int whence)
{
	return lseek_call(fd, offset, whence);
}
