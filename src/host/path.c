/* SPDX-License-Identifier: MIT */
/*
 * Which of our names does a path mean?  Nearly none does, and every open() and
 * readlink() of the program is asked, so the last component decides first: a
 * name of ours, or a number (a descriptor in /proc).  Only then is the
 * directory opened, as the caller would reach it -- through its root, with its
 * mounts and its idea of /proc/self -- and compared by identity.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/host_priv.h"

#define OPEN_TRIES 10000

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_number(const char *name)
{
	return *name && !name[strspn(name, "0123456789")];
}

static bool name_is_candidate(struct host *host, const char *name)
{
	if (is_number(name) || !strcmp(name, "status") || !strcmp(name, "fail-nth") ||
	    !strcmp(name, "devices"))
		return true;
	return names_maybe(&host->names, name);
}

/* The caller's process, as /proc/self shows it. */
static pid_t caller_tgid(struct call *call)
{
	char path[32];
	pid_t tgid = 0;
	uid_t uid;
	int dir;

	if (call->target)
		return call->target->tgid;
	snprintf(path, sizeof(path), "/proc/%d", call->req->pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return 0;
	read_task_ids(dir, &tgid, &uid);
	close(dir);
	return tgid;
}

/*
 * Write @dir with the names that mean the one who looks replaced by the caller's: resolved
 * by us they would mean us.
 */
static int path_unself(struct call *call, const char *dir, char out[PATH_MAX])
{
	static const char *const self[] = { "/proc/self", "/dev/fd" };
	static const char thread_self[] = "/proc/thread-self";
	const char *rest = dir;
	size_t len;
	int n;

	for (size_t i = 0; i < ARRAY_SIZE(self); i++) {
		len = strlen(self[i]);
		if (!strncmp(dir, self[i], len) && (!dir[len] || dir[len] == '/')) {
			n = snprintf(out, PATH_MAX, "/proc/%d%s%s", caller_tgid(call),
				     i == 1 ? "/fd" : "", dir + len);
			return n < PATH_MAX ? 0 : -ENAMETOOLONG;
		}
	}
	len = sizeof(thread_self) - 1;
	if (!strncmp(dir, thread_self, len) && (!dir[len] || dir[len] == '/')) {
		rest = dir + len;
		n = snprintf(out, PATH_MAX, "/proc/%d/task/%d%s", caller_tgid(call),
			     call->req->pid, rest);
	} else {
		n = snprintf(out, PATH_MAX, "%s", dir);
	}
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* The directory of @path as an absolute path in the caller's root. */
static int path_directory(struct call *call, int dirfd, const char *path, char out[PATH_MAX])
{
	size_t len = last_component(path) - path;
	char text[PATH_MAX], base[64];
	ssize_t n = 0;

	if (*path != '/') {
		if (dirfd == AT_FDCWD)
			snprintf(base, sizeof(base), "/proc/%d/cwd", call->req->pid);
		else
			snprintf(base, sizeof(base), "/proc/%d/fd/%d", call->req->pid, dirfd);
		n = readlink(base, text, sizeof(text) - 1);
		if (n < 0 || *text != '/')
			return -ENOENT;
		text[n++] = '/';
	}
	if (n + len >= sizeof(text))
		return -ENAMETOOLONG;
	memcpy(text + n, path, len);
	n += len;
	while (n > 1 && text[n - 1] == '/')
		n--;
	text[n] = 0;
	return path_unself(call, text, out);
}

/*
 * The kernel says EAGAIN where a ".." was crossed while anything anywhere was renamed or mounted.
 * Whoever does so without a pause is in the way for some tries only.
 */
static int open_in_root(struct call *call, const char *path, int open_flags)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | open_flags,
		.resolve = RESOLVE_IN_ROOT,
	};
	char root[32];
	int rootfd, fd = -1;

	snprintf(root, sizeof(root), "/proc/%d/root", call->req->pid);
	rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0)
		return -1;
	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
		sched_yield();
	}
	close(rootfd);
	return fd;
}

/* Which entry of the tree is @name in the directory @dir, which the caller calls @asked? */
static struct host_name *name_in(struct call *call, int dir, const char *asked, const char *name,
				 bool follow)
{
	struct host *host = call->host;
	char path[PATH_MAX];
	struct stat st;
	int fd, rc;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return NULL;
	if (!S_ISLNK(st.st_mode) || !follow)
		return names_find_ino(&host->names, st.st_dev, st.st_ino);
	if (snprintf(path, sizeof(path), "%s/%s", asked, name) >= (int)sizeof(path))
		return NULL;
	fd = open_in_root(call, path, 0);
	if (fd < 0)
		return NULL;
	rc = fstat(fd, &st);
	close(fd);
	return rc ? NULL : names_find_ino(&host->names, st.st_dev, st.st_ino);
}

/* The same by its text alone, where the program has no files for our entries. */
static void name_by_text(struct call *call, const char *dir, const char *name, bool follow,
			 struct path_hit *hit)
{
	char path[PATH_MAX];
	bool above;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return;
	hit->name = names_find_path(&call->host->names, path, follow, &above);
	if (hit->name)
		hit->kind = PATH_NAME;
	else if (above)
		hit->kind = PATH_DIR;
}

/* The descriptor /proc/PID/[task/TID/]fd/N is of one of our files. */
static void hit_fd(struct call *call, const char *text, const char *name, struct path_hit *hit)
{
	char path[128];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/%s", text, name) >= (int)sizeof(path) ||
	    stat(path, &st))
		return;
	hit->file = fdtable_find(call->host, st.st_dev, st.st_ino);
	if (hit->file)
		hit->kind = PATH_FD;
}

/* @text is the directory's name in our own /proc. */
static void hit_proc(struct call *call, int *dir, const char *text, const char *name,
		     struct path_hit *hit)
{
	int pid = 0, tid = 0, end = 0;

	/* The caller may be in a mount namespace of its own, where this is all we are told. */
	if (!strncmp(text, "(unreachable)", 13))
		text = strstr(text, "/proc/");
	if (text && !strcmp(text, "/proc") && !strcmp(name, "devices"))
		hit->kind = PATH_DEVICES;
	if (!text || sscanf(text, "/proc/%d%n", &pid, &end) != 1)
		return;
	if (sscanf(text + end, "/task/%d", &tid) == 1)
		end += snprintf(NULL, 0, "/task/%d", tid);
	if (is_number(name)) {
		if (!strcmp(text + end, "/fd"))
			hit_fd(call, text, name, hit);
		return;
	}
	if (text[end] || !strcmp(name, "devices"))
		return;
	hit->pid = tid ?: pid;
	hit->kind = !strcmp(name, "status") ? PATH_STATUS : PATH_FAIL_NTH;
	hit->dir = *dir;
	*dir = -1;
}

/* A symlink of ours would do no harm here: RESOLVE_IN_ROOT saw to /proc/self textually only. */
static void hit_directory(struct call *call, const char *asked, const char *name, bool follow,
			  struct path_hit *hit)
{
	struct host *host = call->host;
	char link[32], text[PATH_MAX];
	struct stat st;
	ssize_t len;
	int dir;

	dir = open_in_root(call, asked, O_DIRECTORY);
	if (dir < 0 || fstat(dir, &st)) {
		if (!host->namespaces)
			name_by_text(call, asked, name, follow, hit);
		return;
	}
	if (host->namespaces && st.st_dev != host->proc_dev) {
		hit->name = name_in(call, dir, asked, name, follow);
		if (hit->name)
			hit->kind = PATH_NAME;
		goto out;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	len = readlink(link, text, sizeof(text) - 1);
	if (len < 0)
		goto out;
	text[len] = 0;
	if (st.st_dev == host->proc_dev)
		hit_proc(call, &dir, text, name, hit);
	else
		name_by_text(call, text, name, follow, hit);
out:
	if (dir >= 0)
		close(dir);
}

/* Without files of ours any path below /dev and /sys may lead through an entry. */
static bool path_is_candidate(const struct host *host, int dirfd, const char *path)
{
	return !host->namespaces && (!strncmp(path, "/dev/", 5) || !strncmp(path, "/sys/", 5) ||
				     (*path != '/' && dirfd != AT_FDCWD));
}

void path_resolve(struct call *call, int dirfd, const char *path, bool follow,
		  struct path_hit *ret_hit)
{
	const char *name = last_component(path);
	char dir[PATH_MAX];

	*ret_hit = (struct path_hit){ .kind = PATH_OTHER, .dir = -1 };
	if (!name_is_candidate(call->host, name) && !path_is_candidate(call->host, dirfd, path))
		return;
	if (path_directory(call, dirfd, path, dir))
		return;
	hit_directory(call, *dir ? dir : "/", name, follow, ret_hit);
	/* All that was read of the caller is true only if it was still the caller. */
	if (ret_hit->kind != PATH_OTHER && !notify_valid(call->host, call->req->id)) {
		path_hit_put(ret_hit);
		*ret_hit = (struct path_hit){ .kind = PATH_OTHER, .dir = -1 };
	}
}

void path_hit_put(struct path_hit *hit)
{
	if (hit->dir >= 0)
		close(hit->dir);
	if (hit->file)
		host_file_put(hit->file);
	host_name_put(hit->name);
}
