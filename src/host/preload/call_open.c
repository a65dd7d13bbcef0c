/* SPDX-License-Identifier: MIT */
/*
 * open() and its relatives.  A node becomes a descriptor of ours; files that we
 * present differently become one that says so; anything else is libc's.
 */
#include "host/preload/preload.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOT_OURS INT_MIN /* no descriptor and no errno: let libc do it */

/* What open() itself looks at and the open file does not keep. */
#define OPEN_ONCE_FLAGS (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC)

static int node_open(const char *path, int open_flags)
{
	struct iommufd_process *proc;
	int fd, rc;

	if (open_flags & O_PATH)
		return NOT_OURS;
	if (open_flags & O_DIRECTORY)
		return -ENOTDIR;
	if ((open_flags & O_CREAT) && (open_flags & O_EXCL))
		return -EEXIST;
	rc = preload_proc_make(&proc);
	if (rc)
		return rc;
	/* Closed on exec in any case: the new program could make nothing of it. */
	fd = iommufd_open(proc, path, (open_flags & ~OPEN_ONCE_FLAGS) | O_CLOEXEC);
	if (fd >= 0 && !(open_flags & O_CLOEXEC))
		fd_mark_set(fd, MARK_KEEP);
	return fd;
}

/* /proc/self/fd/N of a node opens the node again, which is another context. */
static int fd_reopen(int fd, int open_flags)
{
	const struct node *node;

	if (fd_kind(fd) != FD_OURS)
		return NOT_OURS;
	node = node_of_fd(fd);
	return node ? node_open(node->path, open_flags) : -ENXIO;
}

static int fail_nth_name_open(int tid, int open_flags)
{
	struct iommufd_process *proc;
	int rc;

	rc = preload_proc_make(&proc);
	return rc ? rc : fail_nth_open(proc, tid, (open_flags & ~OPEN_ONCE_FLAGS) | O_CLOEXEC);
}

/* A descriptor, -errno, or NOT_OURS. */
static int name_open(const struct name *name, int open_flags)
{
	switch (name->kind) {
	case NAME_NODE:
		return node_open(name->path, open_flags);
	case NAME_FD:
		return fd_reopen(name->number, open_flags);
	case NAME_FAIL_NTH:
		return fail_nth_name_open(name->number, open_flags);
	case NAME_STATUS:
		/* Until something of ours is used, the kernel's is true. */
		return preload_proc() && !(open_flags & (O_ACCMODE | O_PATH | O_DIRECTORY)) ?
			       status_open(open_flags) :
			       NOT_OURS;
	default:
		return NOT_OURS;
	}
}

static int openat_call(int dirfd, const char *path, int open_flags, mode_t mode)
{
	int saved_errno = errno;
	struct name name;
	int fd;

	if (name_find(dirfd, path, &name) == NAME_OTHER)
		return NEXT(openat)(dirfd, path, open_flags, mode);
	if (name.kind == NAME_DEBUGFS)
		return NEXT(openat)(AT_FDCWD, name.path, open_flags, mode);
	fd = name_open(&name, open_flags);
	if (fd == NOT_OURS)
		return NEXT(openat)(dirfd, path, open_flags, mode);
	return (int)preload_return(fd, saved_errno);
}

/* Only these flags are followed by a mode. */
#define MODE_OF(flags, last)                                                                       \
	({                                                                                         \
		mode_t mode_ = 0;                                                                  \
		va_list args_;                                                                     \
		if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) {                   \
			va_start(args_, last);                                                     \
			mode_ = va_arg(args_, mode_t);                                             \
			va_end(args_);                                                             \
		}                                                                                  \
		mode_;                                                                             \
	})

PRELOAD_EXPORT int open(const char *path, int flags, ...)
{
	return openat_call(AT_FDCWD, path, flags, MODE_OF(flags, flags));
}

PRELOAD_EXPORT int open64(const char *path, int flags, ...)
{
	return openat_call(AT_FDCWD, path, flags, MODE_OF(flags, flags));
}

PRELOAD_EXPORT int openat(int dirfd, const char *path, int flags, ...)
{
	return openat_call(dirfd, path, flags, MODE_OF(flags, flags));
}

PRELOAD_EXPORT int openat64(int dirfd, const char *path, int flags, ...)
{
	return openat_call(dirfd, path, flags, MODE_OF(flags, flags));
}

PRELOAD_EXPORT int creat(const char *path, mode_t mode)
{
	return openat_call(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

PRELOAD_EXPORT int creat64(const char *path, mode_t mode)
{
	return openat_call(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* What fortified programs call when there is no mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);

PRELOAD_EXPORT int __open_2(const char *path, int flags)
{
	return openat_call(AT_FDCWD, path, flags, 0);
}

PRELOAD_EXPORT int __open64_2(const char *path, int flags)
{
	return openat_call(AT_FDCWD, path, flags, 0);
}

PRELOAD_EXPORT int __openat_2(int dirfd, const char *path, int flags)
{
	return openat_call(dirfd, path, flags, 0);
}

PRELOAD_EXPORT int __openat64_2(int dirfd, const char *path, int flags)
{
	return openat_call(dirfd, path, flags, 0);
}

/* ---- streams ---- */

/*
 * A stream reads its descriptor inside libc, past our read(); so only files
 * whose descriptor is a real one can be opened as one.
 */
static FILE *status_fopen(const char *mode)
{
	int fd = status_open(O_RDONLY | (strchr(mode, 'e') ? O_CLOEXEC : 0));
	FILE *stream;

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	stream = fdopen(fd, mode);
	if (!stream)
		close(fd);
	return stream;
}

static FILE *fopen_call(const char *path, const char *mode)
{
	struct name name;

	switch (name_find(AT_FDCWD, path, &name)) {
	case NAME_DEBUGFS:
		return NEXT(fopen)(name.path, mode);
	case NAME_STATUS:
		if (preload_proc() && mode[0] == 'r' && !strchr(mode, '+'))
			return status_fopen(mode);
		break;
	default:
		break;
	}
	return NEXT(fopen)(path, mode);
}

PRELOAD_EXPORT FILE *fopen(const char *path, const char *mode)
{
	return fopen_call(path, mode);
}

PRELOAD_EXPORT FILE *fopen64(const char *path, const char *mode)
{
	return fopen_call(path, mode);
}

/*
 * Libc closes the number past our close().  A stream on a descriptor of ours is
 * good for nothing, but a number left behind as ours would be a trap.
 */
PRELOAD_EXPORT int fclose(FILE *stream)
{
	int fd = stream ? fileno_unlocked(stream) : -1;
	struct iommufd_process *proc = preload_proc();
	struct file *file = NULL;
	struct self_task self;
	int rc;

	if (likely(fd_kind(fd) == FD_FOREIGN) || preload_is_guest())
		return NEXT(fclose)(stream);
	if (fd_kind(fd) == FD_OURS)
		file = fdmap_exchange(&proc->fds, fd, NULL);
	fd_mark_clear(fd, ~0U);
	rc = NEXT(fclose)(stream);
	if (file) {
		self_enter(&self, proc);
		file_put(file);
		self_leave(&self);
	}
	return rc;
}

PRELOAD_EXPORT DIR *opendir(const char *path)
{
	struct name name;

	if (name_find(AT_FDCWD, path, &name) == NAME_DEBUGFS)
		path = name.path;
	return NEXT(opendir)(path);
}
