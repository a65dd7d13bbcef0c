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

#define OPEN_TRIES    10000
#define PROC_ROOT_INO 1 /* of each file system of its kind */

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

/*
 * What the caller calls the directory that /proc/PID/@link shows: below its root, if that is not
 * ours.  Its length, -ENOENT it is elsewhere.
 */
static ssize_t path_base(const struct call *call, const char *link, char text[PATH_MAX])
{
	char path[64], root[PATH_MAX];
	ssize_t n, above;

	snprintf(path, sizeof(path), "/proc/%d/%s", call->req->pid, link);
	n = readlink(path, text, PATH_MAX - 1);
	snprintf(path, sizeof(path), "/proc/%d/root", call->req->pid);
	above = readlink(path, root, sizeof(root));
	if (n < 0 || *text != '/' || above < 0)
		return -ENOENT;
	if (above == 1)
		return n;
	text[n] = 0;
	if (strncmp(text, root, above) || (text[above] && text[above] != '/'))
		return -ENOENT;
	memmove(text, text + above, n - above);
	return n - above;
}

/* The directory of @path as an absolute path in the caller's root. */
static int path_directory(struct call *call, int dirfd, const char *path, char out[PATH_MAX])
{
	size_t len = last_component(path) - path;
	char text[PATH_MAX], link[24] = "cwd";
	ssize_t n = 0;

	if (*path != '/') {
		if (dirfd != AT_FDCWD)
			snprintf(link, sizeof(link), "fd/%d", dirfd);
		n = path_base(call, link, text);
		if (n < 0)
			return n;
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

/** struct proc_dir - a directory of /proc: of @pid or its thread @tid (0: none); its fd? */
struct proc_dir {
	int pid, tid;
	bool fd;
	char path[64]; /* in our own /proc */
};

static bool proc_dir_parse(const char *text, struct proc_dir *pd)
{
	char task[24] = "";
	int end = 0, n = 0;

	*pd = (struct proc_dir){ 0 };
	if (sscanf(text, "/%d%n", &pd->pid, &end) != 1)
		return false;
	if (sscanf(text + end, "/task/%d%n", &pd->tid, &n) == 1) {
		end += n;
		snprintf(task, sizeof(task), "/task/%d", pd->tid);
	}
	pd->fd = !strcmp(text + end, "/fd");
	snprintf(pd->path, sizeof(pd->path), "/proc/%d%s%s", pd->pid, task, pd->fd ? "/fd" : "");
	return pd->fd || !text[end];
}

/*
 * Which one is the directory @st, that @text means for somebody?  Its /proc may be mounted
 * anywhere, so how @text ends tells, and that it is the same directory.  Never ours: there we
 * come by a "self" that path_unself() did not see.
 */
static bool proc_dir_find(const char *text, const struct stat *st, struct proc_dir *pd)
{
	struct stat ours;

	for (; text; text = strchr(text + 1, '/')) {
		if (proc_dir_parse(text, pd) && !stat(pd->path, &ours) &&
		    ours.st_dev == st->st_dev && ours.st_ino == st->st_ino)
			return pd->pid != getpid();
	}
	return false;
}

/* @dir is a directory of our /proc, and @text its name for somebody. */
static void hit_proc(struct call *call, int *dir, const char *text, const char *name,
		     struct path_hit *hit)
{
	struct proc_dir pd;
	struct stat st;

	if (fstat(*dir, &st))
		return;
	if (!strcmp(name, "devices")) {
		if (st.st_ino == PROC_ROOT_INO)
			hit->kind = PATH_DEVICES;
		return;
	}
	if (!proc_dir_find(strchr(text, '/'), &st, &pd))
		return;
	if (is_number(name)) {
		if (pd.fd)
			hit_fd(call, pd.path, name, hit);
		return;
	}
	if (pd.fd)
		return;
	hit->pid = pd.tid ?: pd.pid;
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
