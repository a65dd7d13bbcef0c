/* SPDX-License-Identifier: MIT */
/*
 * How our nodes and descriptors look: character devices of major 10, like any
 * device of the misc class.  Everything that is not our number is taken from
 * /dev/null, a device node that is surely there.  Anonymous files need no help:
 * an eventfd looks as the kernel's anonymous files do.
 */
#include "host/preload/preload.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MISC_MAJOR 10
#define NODE_INO 0x10ff0000U /* plus the minor; above what devtmpfs has given out */

/* The node that (@dirfd, @path, @flags) of fstatat() means, or NULL. */
static const struct node *node_at(int dirfd, const char *path, int flags)
{
	struct name name;

	if ((flags & AT_EMPTY_PATH) && (!path || !*path))
		return fd_kind(dirfd) == FD_OURS ? node_of_fd(dirfd) : NULL;
	switch (name_find(dirfd, path, &name)) {
	case NAME_NODE:
		return node_find(name.path);
	case NAME_FD:
		return !(flags & AT_SYMLINK_NOFOLLOW) && fd_kind(name.number) == FD_OURS ?
			       node_of_fd(name.number) :
			       NULL;
	default:
		return NULL;
	}
}

static int node_stat(const struct node *node, struct stat *st)
{
	if (NEXT(stat)("/dev/null", st))
		return -1;
	st->st_mode = S_IFCHR | node->mode;
	st->st_rdev = makedev(MISC_MAJOR, node->minor);
	st->st_ino = NODE_INO + node->minor;
	st->st_nlink = 1;
	st->st_uid = 0;
	st->st_gid = 0;
	return 0;
}

static int node_statx(const struct node *node, unsigned int mask, struct statx *stx)
{
	if (NEXT(statx)(AT_FDCWD, "/dev/null", 0, mask, stx))
		return -1;
	stx->stx_mode = (u16)(S_IFCHR | node->mode);
	stx->stx_rdev_major = MISC_MAJOR;
	stx->stx_rdev_minor = node->minor;
	stx->stx_ino = NODE_INO + node->minor;
	stx->stx_nlink = 1;
	stx->stx_uid = 0;
	stx->stx_gid = 0;
	return 0;
}

static int stat_call(const char *path, struct stat *st)
{
	const struct node *node = node_at(AT_FDCWD, path, 0);

	return node ? node_stat(node, st) : NEXT(stat)(path, st);
}

static int lstat_call(const char *path, struct stat *st)
{
	const struct node *node = node_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);

	return node ? node_stat(node, st) : NEXT(lstat)(path, st);
}

static int fstat_call(int fd, struct stat *st)
{
	const struct node *node = fd_kind(fd) == FD_OURS ? node_of_fd(fd) : NULL;

	return node ? node_stat(node, st) : NEXT(fstat)(fd, st);
}

static int fstatat_call(int dirfd, const char *path, struct stat *st, int flags)
{
	const struct node *node = node_at(dirfd, path, flags);

	return node ? node_stat(node, st) : NEXT(fstatat)(dirfd, path, st, flags);
}

/* On 64 bit machines struct stat64 is struct stat. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "the names with 64 are the same");

#define AS_STAT(st) ((struct stat *)(void *)(st))

PRELOAD_EXPORT int stat(const char *path, struct stat *st)
{
	return stat_call(path, st);
}

PRELOAD_EXPORT int stat64(const char *path, struct stat64 *st)
{
	return stat_call(path, AS_STAT(st));
}

PRELOAD_EXPORT int lstat(const char *path, struct stat *st)
{
	return lstat_call(path, st);
}

PRELOAD_EXPORT int lstat64(const char *path, struct stat64 *st)
{
	return lstat_call(path, AS_STAT(st));
}

PRELOAD_EXPORT int fstat(int fd, struct stat *st)
{
	return fstat_call(fd, st);
}

PRELOAD_EXPORT int fstat64(int fd, struct stat64 *st)
{
	return fstat_call(fd, AS_STAT(st));
}

PRELOAD_EXPORT int fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	return fstatat_call(dirfd, path, st, flags);
}

PRELOAD_EXPORT int fstatat64(int dirfd, const char *path, struct stat64 *st, int flags)
{
	return fstatat_call(dirfd, path, AS_STAT(st), flags);
}

PRELOAD_EXPORT int statx(int dirfd, const char *path, int flags, unsigned int mask,
			 struct statx *stx)
{
	const struct node *node = node_at(dirfd, path, flags);

	return node ? node_statx(node, mask, stx) : NEXT(statx)(dirfd, path, flags, mask, stx);
}

/* ---- programs built before glibc 2.33; the version of the struct is always the one ---- */

#define OLD_STAT(name, call, ...)                                                                  \
	int name(int version, __VA_ARGS__);                                                        \
	PRELOAD_EXPORT int name(int version, __VA_ARGS__)                                          \
	{                                                                                          \
		return call;                                                                       \
	}

OLD_STAT(__xstat, stat_call(path, st), const char *path, struct stat *st)
OLD_STAT(__xstat64, stat_call(path, st), const char *path, struct stat *st)
OLD_STAT(__lxstat, lstat_call(path, st), const char *path, struct stat *st)
OLD_STAT(__lxstat64, lstat_call(path, st), const char *path, struct stat *st)
OLD_STAT(__fxstat, fstat_call(fd, st), int fd, struct stat *st)
OLD_STAT(__fxstat64, fstat_call(fd, st), int fd, struct stat *st)
OLD_STAT(__fxstatat, fstatat_call(dirfd, path, st, flags), int dirfd, const char *path,
	 struct stat *st, int flags)
OLD_STAT(__fxstatat64, fstatat_call(dirfd, path, st, flags), int dirfd, const char *path,
	 struct stat *st, int flags)

/* ---- may it be used, where does it lead ---- */

/* Anyone may use a node that exists only for him; none is a program. */
static int node_access(int mode)
{
	if (!(mode & X_OK))
		return 0;
	errno = EACCES;
	return -1;
}

PRELOAD_EXPORT int access(const char *path, int mode)
{
	return node_at(AT_FDCWD, path, 0) ? node_access(mode) : NEXT(access)(path, mode);
}

PRELOAD_EXPORT int eaccess(const char *path, int mode)
{
	return node_at(AT_FDCWD, path, 0) ? node_access(mode) : NEXT(eaccess)(path, mode);
}

PRELOAD_EXPORT int euidaccess(const char *path, int mode)
{
	return eaccess(path, mode);
}

PRELOAD_EXPORT int faccessat(int dirfd, const char *path, int mode, int flags)
{
	return node_at(dirfd, path, flags) ? node_access(mode) :
					     NEXT(faccessat)(dirfd, path, mode, flags);
}

static ssize_t readlink_ours(int fd, char *buf, size_t size)
{
	char text[128];

	fd_name(fd, text, sizeof(text));
	if (!size)
		return -EINVAL;
	size = MIN(size, strlen(text));
	memcpy(buf, text, size);
	return (ssize_t)size;
}

static ssize_t readlinkat_call(int dirfd, const char *path, char *buf, size_t size)
{
	int saved_errno = errno;
	struct name name;

	switch (name_find(dirfd, path, &name)) {
	case NAME_FD:
		if (fd_kind(name.number) == FD_OURS)
			return preload_return(readlink_ours(name.number, buf, size), saved_errno);
		break;
	case NAME_NODE:
		errno = EINVAL;
		return -1;
	default:
		break;
	}
	return NEXT(readlinkat)(dirfd, path, buf, size);
}

PRELOAD_EXPORT ssize_t readlink(const char *path, char *buf, size_t size)
{
	return readlinkat_call(AT_FDCWD, path, buf, size);
}

PRELOAD_EXPORT ssize_t readlinkat(int dirfd, const char *path, char *buf, size_t size)
{
	return readlinkat_call(dirfd, path, buf, size);
}

void __chk_fail(void) __attribute__((noreturn));
ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room);
ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t size, size_t room);

PRELOAD_EXPORT ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room)
{
	if (size > room)
		__chk_fail();
	return readlinkat_call(AT_FDCWD, path, buf, size);
}

PRELOAD_EXPORT ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t size,
					size_t room)
{
	if (size > room)
		__chk_fail();
	return readlinkat_call(dirfd, path, buf, size);
}
