/* SPDX-License-Identifier: MIT */
/*
 * What a descriptor of ours looks like: fstat(), and statx() and fstatat() with
 * an empty path, show the character device it stands for; readlink() of it in
 * /proc shows its name.  Where the program has no /dev of its own, stat() and
 * access() of the nodes' paths are answered too.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "host/host_priv.h"

/* Not in the C library's headers, and larger than what it calls struct statx in old ones. */
#include <linux/stat.h>

/* Files made by commands are anonymous inodes in Linux: no type, no device. */
#define ANON_MODE 0600

static void file_stat(const struct host_file *hf, struct stat *st)
{
	if (hf->name) {
		*st = hf->name->st;
		return;
	}
	*st = (struct stat){
		.st_dev = hf->dev,
		.st_ino = hf->ino,
		.st_mode = ANON_MODE,
		.st_nlink = 1,
		.st_uid = 0,
		.st_size = (off_t)hf->file->size,
		.st_blksize = PAGE_SIZE,
	};
}

static struct statx_timestamp stamp(const struct timespec *t)
{
	return (struct statx_timestamp){ .tv_sec = t->tv_sec, .tv_nsec = (u32)t->tv_nsec };
}

static long answer_statx(struct call *call, const struct stat *st, u64 ubuf)
{
	struct statx stx = {
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = (u32)st->st_blksize,
		.stx_nlink = (u32)st->st_nlink,
		.stx_uid = st->st_uid,
		.stx_gid = st->st_gid,
		.stx_mode = (u16)st->st_mode,
		.stx_ino = st->st_ino,
		.stx_size = (u64)st->st_size,
		.stx_atime = stamp(&st->st_atim),
		.stx_mtime = stamp(&st->st_mtim),
		.stx_ctime = stamp(&st->st_ctim),
		.stx_rdev_major = major(st->st_rdev),
		.stx_rdev_minor = minor(st->st_rdev),
		.stx_dev_major = major(st->st_dev),
		.stx_dev_minor = minor(st->st_dev),
	};

	return call_write(call, ubuf, &stx, sizeof(stx));
}

static long answer_stat(struct call *call, const struct stat *st)
{
	const u64 *arg = (const u64 *)call->req->data.args;

	switch (call->req->data.nr) {
	case SYS_statx:
		return answer_statx(call, st, arg[4]);
	case SYS_newfstatat:
		return call_write(call, arg[2], st, sizeof(*st));
	default:
		return call_write(call, arg[1], st, sizeof(*st));
	}
}

static long stat_fd(struct call *call, int fd)
{
	struct host_file *hf;
	struct stat st;

	if (call_file(call, fd, &hf) || !hf)
		return CALL_NATIVE;
	file_stat(hf, &st);
	host_file_put(hf);
	return answer_stat(call, &st);
}

long sys_fstat(struct call *call)
{
	return stat_fd(call, (int)call->req->data.args[0]);
}

/* access(): only root and the program's own user run here, both may. */
static long answer_access(const struct path_hit *hit, u64 mode)
{
	mode_t bits = hit->kind == PATH_DIR || hit->name->kind == TREE_DIR  ? 0555 :
		      hit->name->kind == TREE_LINK			    ? 0777 :
									      hit->name->mode;

	if (mode & ~(u64)(R_OK | W_OK | X_OK))
		return -EINVAL;
	return ((mode & R_OK) && !(bits & 0444)) || ((mode & W_OK) && !(bits & 0222)) ||
			       ((mode & X_OK) && !(bits & 0111)) ?
		       -EACCES :
		       0;
}

/* A directory the host does not have, as far as it can be shown. */
static const struct stat dir_stat = {
	.st_mode = S_IFDIR | 0755, .st_nlink = 2, .st_blksize = PAGE_SIZE,
};

static long stat_path(struct call *call, int dirfd, const char *path, bool follow)
{
	const u64 *arg = (const u64 *)call->req->data.args;
	struct path_hit hit;
	long rc = CALL_NATIVE;

	path_resolve(call, dirfd, path, follow, &hit);
	if (hit.kind == PATH_NAME || hit.kind == PATH_DIR) {
		switch (call->req->data.nr) {
#ifdef SYS_access
		case SYS_access:
			rc = answer_access(&hit, (u32)arg[1]);
			break;
#endif
		case SYS_faccessat:
		case SYS_faccessat2:
			rc = answer_access(&hit, (u32)arg[2]);
			break;
		default:
			rc = answer_stat(call, hit.name ? &hit.name->st : &dir_stat);
		}
	}
	path_hit_put(&hit);
	return rc;
}

long sys_path_stat(struct call *call)
{
	const u64 *arg = (const u64 *)call->req->data.args;
	char path[PATH_MAX];
	int dirfd = (int)arg[0];
	u64 upath = arg[1];
	u64 flags = 0;
	ssize_t len;

	switch (call->req->data.nr) {
	case SYS_newfstatat:
		flags = arg[3];
		break;
	case SYS_statx:
		flags = arg[2];
		break;
#ifdef SYS_stat
	case SYS_lstat:
		flags = AT_SYMLINK_NOFOLLOW;
		__attribute__((fallthrough));
	case SYS_stat:
	case SYS_access:
		dirfd = AT_FDCWD;
		upath = arg[0];
		break;
#endif
	}
	/* Linux 6.11 takes no path at all for an empty one. */
	len = upath || !(flags & AT_EMPTY_PATH) ? call_path(call, upath, path) : 0;
	if (len < 0)
		return CALL_NATIVE;
	if (!len)
		return flags & AT_EMPTY_PATH ? stat_fd(call, dirfd) : CALL_NATIVE;
	return call->host->namespaces ?
		       CALL_NATIVE :
		       stat_path(call, dirfd, path, !(flags & AT_SYMLINK_NOFOLLOW));
}

/* The text of a link; @name is NULL for a directory. */
static long answer_link(struct call *call, const struct host_name *name, u64 ubuf, int size)
{
	size_t len;

	if (size <= 0 || !name || name->kind != TREE_LINK)
		return -EINVAL;
	len = MIN(strlen(name->target), (size_t)size);
	return call_write(call, ubuf, name->target, len) ?: (long)len;
}

long sys_readlink(struct call *call)
{
	const u64 *arg = (const u64 *)call->req->data.args;
	bool at = call->req->data.nr == SYS_readlinkat;
	char path[PATH_MAX];
	struct path_hit hit;
	const char *name;
	long rc = CALL_NATIVE;
	size_t len;

	if (call_path(call, arg[at], path) < 0)
		return CALL_NATIVE;
	path_resolve(call, at ? (int)arg[0] : AT_FDCWD, path, false, &hit);
	if ((hit.kind == PATH_NAME || hit.kind == PATH_DIR) && !call->host->namespaces)
		rc = answer_link(call, hit.name, arg[at + 1], (int)arg[at + 2]);
	if (hit.kind == PATH_FD && (int)arg[at + 2] > 0) {
		char text[PATH_MAX];

		name = hit.file->name ? hit.file->name->path : hit.file->file->ops->name;
		snprintf(text, sizeof(text), "%s%s", *name == '/' ? "" : "anon_inode:", name);
		len = MIN(strlen(text), arg[at + 2]);
		rc = call_write(call, arg[at + 1], text, len) ?: (long)len;
	}
	path_hit_put(&hit);
	return rc;
}
