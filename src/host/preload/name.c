/* SPDX-License-Identifier: MIT */
/*
 * Which paths mean something here.  Every open() and stat() of the program asks,
 * so the last component decides first; only a name that could be ours is made
 * absolute (by its text, links are not followed) and compared.
 */
#include "host/preload/preload.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct node nodes[] = {
	/* Linux gives /dev/iommu a dynamic minor of the misc class; this one is usual. */
	{ "/dev/iommu", 126, 0660 },
	{ "/dev/vfio/vfio", 196, 0666 },
};

const struct node *node_find(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		if (!strcmp(nodes[i].path, path))
			return &nodes[i];
	}
	return NULL;
}

/* The name of the file behind a descriptor of ours, or NULL; constant strings, so no count. */
static const char *file_name_of_fd(int fd)
{
	struct iommufd_process *proc = preload_proc();
	struct file *file = proc ? fdmap_get(&proc->fds, fd) : NULL;
	const char *file_name;

	if (!file)
		return NULL;
	file_name = file->ops->name;
	file_put(file);
	return file_name;
}

const struct node *node_of_fd(int fd)
{
	const char *file_name = file_name_of_fd(fd);

	return file_name ? node_find(file_name) : NULL;
}

void fd_name(int fd, char *buf, size_t size)
{
	const char *file_name = file_name_of_fd(fd);

	if (!file_name)
		file_name = "[iommufd]";
	snprintf(buf, size, "%s%s", *file_name == '/' ? "" : "anon_inode:", file_name);
}

/* ---- text of paths ---- */

static bool last_component_may_be_ours(const char *path)
{
	static const char *const lasts[] = { "iommu", "vfio", "status", "fail-nth" };
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;

	for (size_t i = 0; i < ARRAY_SIZE(lasts); i++) {
		if (!strcmp(last, lasts[i]))
			return true;
	}
	/* /proc/self/fd/N; a relative number is not worth a system call per open */
	return *path == '/' && *last >= '0' && *last <= '9';
}

/* Take away empty and "." components, and let ".." take its parent. */
static void path_clean(char *path)
{
	char *out = path, *in = path;

	while (*in) {
		size_t len;

		in += strspn(in, "/");
		len = strcspn(in, "/");
		if (len == 2 && in[0] == '.' && in[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (len && !(len == 1 && in[0] == '.')) {
			*out++ = '/';
			memmove(out, in, len);
			out += len;
		}
		in += len;
	}
	*out = 0;
}

static bool path_absolute(int dirfd, const char *path, char *buf, size_t size)
{
	char link[32];
	ssize_t len = 0;

	if (*path != '/' && dirfd == AT_FDCWD) {
		if (!getcwd(buf, size))
			return false;
		len = (ssize_t)strlen(buf);
	} else if (*path != '/') {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
		len = readlink(link, buf, size);
		if (len < 0 || (size_t)len >= size)
			return false;
	}
	if ((size_t)len + strlen(path) + 2 > size)
		return false;
	buf[len] = '/';
	strcpy(buf + len + 1, path);
	path_clean(buf);
	return true;
}

/* A number that fills @text up to @end; -1 if it is none. */
static int number_until(const char *text, char end)
{
	char *stop;
	long number;

	if (*text < '0' || *text > '9')
		return -1;
	number = strtol(text, &stop, 10);
	return *stop == end && number <= INT_MAX ? (int)number : -1;
}

/* What follows /proc/self/, or the same by number or as this thread; NULL if that is not us. */
static const char *own_proc(const char *path)
{
	static const char proc[] = "/proc/", self[] = "self/", thread[] = "thread-self/";

	if (strncmp(path, proc, sizeof(proc) - 1) != 0)
		return NULL;
	path += sizeof(proc) - 1;
	if (!strncmp(path, self, sizeof(self) - 1))
		return path + sizeof(self) - 1;
	if (!strncmp(path, thread, sizeof(thread) - 1))
		return path + sizeof(thread) - 1;
	if (number_until(path, '/') == getpid())
		return strchr(path, '/') + 1;
	return NULL;
}

/* fail-nth, task/TID/fail-nth: whose counter? */
static int fail_nth_tid(const char *rest)
{
	if (!strcmp(rest, "fail-nth"))
		return gettid();
	if (strncmp(rest, "task/", 5) != 0)
		return -1;
	rest += 5;
	return strchr(rest, '/') && !strcmp(strchr(rest, '/'), "/fail-nth") ?
		       number_until(rest, '/') :
		       -1;
}

static enum name_kind proc_name_find(const char *path, struct name *ret)
{
	const char *rest = own_proc(path);

	if (!strncmp(path, "/dev/fd/", 8))
		rest = path + 5;
	if (!rest)
		return NAME_OTHER;
	if (!strncmp(rest, "fd/", 3)) {
		ret->number = number_until(rest + 3, 0);
		return ret->number >= 0 ? NAME_FD : NAME_OTHER;
	}
	if (!strcmp(rest, "status"))
		return NAME_STATUS;
	ret->number = fail_nth_tid(rest);
	return ret->number >= 0 ? NAME_FAIL_NTH : NAME_OTHER;
}

static enum name_kind debugfs_find(const char *path, struct name *ret)
{
	static const char debugfs[] = "/sys/kernel/debug";
	const char *rest = path + sizeof(debugfs) - 1;

	if (strncmp(path, debugfs, sizeof(debugfs) - 1) != 0 || (*rest && *rest != '/'))
		return NAME_OTHER;
	if (!preload_opts_get()->selftest || !debugfs_path(rest, ret->path, sizeof(ret->path)))
		return NAME_OTHER;
	return NAME_DEBUGFS;
}

static enum name_kind name_find_ours(int dirfd, const char *path, struct name *ret)
{
	char full[PATH_MAX];

	if (*path == '/' && debugfs_find(path, ret) == NAME_DEBUGFS)
		return NAME_DEBUGFS;
	if (!last_component_may_be_ours(path) || !path_absolute(dirfd, path, full, sizeof(full)))
		return NAME_OTHER;
	if (node_find(full)) {
		snprintf(ret->path, sizeof(ret->path), "%s", full);
		return NAME_NODE;
	}
	return proc_name_find(full, ret);
}

enum name_kind name_find(int dirfd, const char *path, struct name *ret)
{
	int saved_errno = errno;

	/* A null pointer is for the kernel to refuse. */
	ret->kind = path ? name_find_ours(dirfd, path, ret) : NAME_OTHER;
	errno = saved_errno;
	return ret->kind;
}
