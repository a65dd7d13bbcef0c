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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/host_priv.h"

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_number(const char *name)
{
	return *name && !name[strspn(name, "0123456789")];
}

static bool name_is_candidate(const struct host *host, const char *name)
{
	if (is_number(name) || !strcmp(name, "status") || !strcmp(name, "fail-nth"))
		return true;
	for (size_t i = 0; i < host->opts->num_nodes; i++) {
		if (!strcmp(name, last_component(host->opts->nodes[i].path)))
			return true;
	}
	return false;
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

static int open_in_root(struct call *call, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT,
	};
	char root[32];
	int rootfd, fd;

	snprintf(root, sizeof(root), "/proc/%d/root", call->req->pid);
	rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0)
		return -1;
	fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
	close(rootfd);
	return fd;
}

/*
 * Which node is @name in the directory @st?  Without a /dev of our own its directory may not
 * exist (then @st is NULL, or another's by chance), and the name @text decides as well.
 */
static int node_in(const struct host *host, const struct stat *st, const char *text,
		   const char *name)
{
	for (size_t i = 0; i < host->opts->num_nodes; i++) {
		const char *node = host->opts->nodes[i].path;
		const char *last = last_component(node);
		size_t len = last - node - 1;

		if (strcmp(name, last))
			continue;
		if (st && host->dir_ino[i] && host->dir_dev[i] == st->st_dev &&
		    host->dir_ino[i] == st->st_ino)
			return (int)i;
		if (!host->namespaces && strlen(text) == len && !memcmp(text, node, len))
			return (int)i;
	}
	return -1;
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
	if (!text || sscanf(text, "/proc/%d%n", &pid, &end) != 1)
		return;
	if (sscanf(text + end, "/task/%d", &tid) == 1)
		end += snprintf(NULL, 0, "/task/%d", tid);
	if (is_number(name)) {
		if (!strcmp(text + end, "/fd"))
			hit_fd(call, text, name, hit);
		return;
	}
	if (text[end])
		return;
	hit->pid = tid ?: pid;
	hit->kind = !strcmp(name, "status") ? PATH_STATUS : PATH_FAIL_NTH;
	hit->dir = *dir;
	*dir = -1;
}

/* A symlink of ours would do no harm here: RESOLVE_IN_ROOT saw to /proc/self textually only. */
static void hit_directory(struct call *call, const char *asked, const char *name,
			  struct path_hit *hit)
{
	struct host *host = call->host;
	char link[32], text[PATH_MAX];
	struct stat st;
	ssize_t len;
	int node, dir;

	dir = open_in_root(call, asked);
	if (dir < 0 || fstat(dir, &st)) {
		node = node_in(host, NULL, asked, name);
		goto out;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	len = readlink(link, text, sizeof(text) - 1);
	node = -1;
	if (len < 0)
		goto out;
	text[len] = 0;
	node = node_in(host, &st, text, name);
	if (node < 0 && st.st_dev == host->proc_dev)
		hit_proc(call, &dir, text, name, hit);
out:
	if (node >= 0) {
		hit->kind = PATH_NODE;
		hit->node = node;
	}
	if (dir >= 0)
		close(dir);
}

void path_resolve(struct call *call, int dirfd, const char *path, struct path_hit *ret_hit)
{
	const char *name = last_component(path);
	char dir[PATH_MAX];

	*ret_hit = (struct path_hit){ .kind = PATH_OTHER, .dir = -1 };
	if (!name_is_candidate(call->host, name))
		return;
	if (path_directory(call, dirfd, path, dir))
		return;
	hit_directory(call, *dir ? dir : "/", name, ret_hit);
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
}
