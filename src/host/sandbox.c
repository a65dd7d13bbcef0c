/* SPDX-License-Identifier: MIT */
/*
 * The program's surroundings, made by the child that is about to become it: a
 * mount namespace in which parts of /dev and /sys are covered by small file systems
 * with the host's other entries bound in, and a
 * user namespace in which ids stay what they are and root has every capability.
 * What is ours in the covers the supervisor puts there (covers.c).
 *
 * Root of the machine first makes the mounts, then the user namespace, so that
 * covers are of the machine's root; anybody else makes the user namespace first.
 * Nobody can open a device node there: covers are mounted nodev, and open() is trapped.
 *
 * What is not available is reported, not fatal: without a /dev of its own the
 * program's path calls are answered one by one.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/host_priv.h"
#include "host/names.h"
#include "host/sandbox.h"

#define DEBUGFS "/sys/kernel/debug"

static int sandbox_fail(struct sandbox_report *report, const char *step)
{
	if (!report->error) {
		report->error = errno;
		snprintf(report->step, sizeof(report->step), "%s", step);
	}
	return -1;
}

static bool name_is_hidden(const struct host_cover *cover, const char *name)
{
	for (const char *const *hide = cover->hide; *hide; hide++) {
		size_t len = strlen(*hide);

		if ((*hide)[len - 1] == '*' ? !strncmp(name, *hide, len - 1) : !strcmp(name, *hide))
			return true;
	}
	return false;
}

/* Is @path a cover itself?  It is filled by itself. */
static bool path_is_cover(const char *path)
{
	for (const struct host_cover *cover = host_covers; cover->path; cover++) {
		if (!strcmp(path, cover->path))
			return true;
	}
	return false;
}

/* Show entry @name of the directory that is covered, open as @old, in the cover. */
static int cover_bind(const struct host_cover *cover, int old, const char *name)
{
	char from[64 + NAME_MAX], to[64 + NAME_MAX], text[PATH_MAX];
	struct stat st;
	ssize_t len;

	snprintf(from, sizeof(from), "/proc/self/fd/%d/%s", old, name);
	snprintf(to, sizeof(to), "%s/%s", cover->path, name);
	if (path_is_cover(to))
		return mkdir(to, 0755) && errno != EEXIST;
	if (fstatat(old, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0; /* went away meanwhile */
	if (S_ISLNK(st.st_mode)) {
		len = readlinkat(old, name, text, sizeof(text) - 1);
		if (len < 0)
			return 0;
		text[len] = 0;
		return symlink(text, to);
	}
	if (S_ISDIR(st.st_mode) ? mkdir(to, 0755) : mknod(to, S_IFREG | 0600, 0))
		return -1;
	if (!mount(from, to, NULL, MS_BIND | MS_REC, NULL))
		return 0;
	/* A single entry we may not show (a stale mount) is no reason to fail. */
	return S_ISDIR(st.st_mode) ? rmdir(to) : unlink(to);
}

static int cover_fill(const struct host_cover *cover, int old)
{
	int fd = openat(old, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;
	int rc = 0;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (!rc && (ent = readdir(dir))) {
		if (strcmp(ent->d_name, ".") && strcmp(ent->d_name, "..") &&
		    !name_is_hidden(cover, ent->d_name))
			rc = cover_bind(cover, old, ent->d_name);
	}
	closedir(dir);
	return rc;
}

/* Is cover @i inside one that is mounted, and so a plain directory of it? */
static bool cover_is_inside(u32 covers, int i)
{
	for (int outer = 0; outer < i; outer++) {
		size_t len = strlen(host_covers[outer].path);

		if ((covers & 1u << outer) &&
		    !strncmp(host_covers[i].path, host_covers[outer].path, len) &&
		    host_covers[i].path[len] == '/')
			return true;
	}
	return false;
}

/* A file system of ours over a directory, with the rest of it inside; or no change. */
static int cover_build(int i, int old, struct sandbox_report *report)
{
	const struct host_cover *cover = &host_covers[i];
	bool inside = cover_is_inside(report->covers, i);

	if (!inside && old < 0)
		return 0; /* there is no such directory here */
	if (inside ? mkdir(cover->path, 0755) && errno != EEXIST :
		     mount("tmpfs", cover->path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			   "mode=0755"))
		return sandbox_fail(report, "mounting a tmpfs for our devices");
	if (old >= 0 && cover_fill(cover, old)) {
		sandbox_fail(report, "filling the new /dev and /sys");
		if (!inside)
			umount2(cover->path, MNT_DETACH);
		return -1;
	}
	report->covers |= 1u << i;
	return 0;
}

/* Covers over all we may show things in.  Without that of /dev, which is the first, none. */
static int covers_build(struct sandbox_report *report)
{
	mode_t mask = umask(0);
	int old[HOST_COVERS];
	int rc = 0;

	/* Mounts made later outside are seen inside, not the other way round. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL)) {
		umask(mask);
		return sandbox_fail(report, "making mounts private");
	}
	for (int i = 0; i < HOST_COVERS; i++)
		old[i] = open(host_covers[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < HOST_COVERS; i++) {
		const char *unless = host_covers[i].unless;

		if (rc || (unless && !access(unless, F_OK)))
			continue;
		rc = cover_build(i, old[i], report);
		if (i)
			rc = 0; /* the program sees the host's there */
	}
	for (int i = 0; i < HOST_COVERS; i++) {
		if (old[i] >= 0)
			close(old[i]);
	}
	umask(mask);
	return rc;
}

static void debugfs_file(const char *dir, const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), DEBUGFS "/%s", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), DEBUGFS "/%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		unlink(path);
	close(fd);
}

/*
 * The knobs of the kernel's fault injection, as plain files: a test sets them
 * before it uses fail-nth, and nothing here depends on them.
 */
static void debugfs_build(struct sandbox_report *report)
{
	static const char *const knobs[][2] = {
		{ "probability", "0\n" }, { "interval", "1\n" },
		{ "times", "1\n" },	  { "space", "0\n" },
		{ "verbose", "2\n" },	  { "verbose_ratelimit_burst", "10\n" },
		{ "task-filter", "N\n" }, { "stacktrace-depth", "32\n" },
	};
	static const char *const dirs[] = { "failslab", "fail_page_alloc", "fail_usercopy",
					    "fail_iommufd" };

	if (mount("tmpfs", DEBUGFS, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755")) {
		sandbox_fail(report, "mounting a tmpfs on " DEBUGFS);
		return;
	}
	for (size_t d = 0; d < ARRAY_SIZE(dirs); d++) {
		for (size_t k = 0; k < ARRAY_SIZE(knobs); k++)
			debugfs_file(dirs[d], knobs[k][0], knobs[k][1]);
	}
	debugfs_file("failslab", "ignore-gfp-wait", "Y\n");
	debugfs_file("failslab", "cache-filter", "N\n");
	debugfs_file("fail_page_alloc", "ignore-gfp-wait", "Y\n");
	debugfs_file("fail_page_alloc", "ignore-gfp-highmem", "Y\n");
	debugfs_file("fail_page_alloc", "min-order", "1\n");
}

static void sandbox_mounts(const struct host_opts *opts, struct sandbox_report *report)
{
	if (covers_build(report))
		return;
	report->namespaces = true;
	if (opts->selftest)
		debugfs_build(report);
}

/*
 * Covers in a directory tree that some chroot() made the root would show up outside:
 * the mount the tree is in cannot be named from inside, and so not be made private.
 */
static bool root_is_mount(void)
{
	struct statx st;

	return statx(AT_FDCWD, "/", 0, STATX_TYPE, &st) ||
	       !(st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) ||
	       st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

void sandbox_enter(const struct host_opts *opts, int (*write_maps)(void *data), void *data,
		   struct sandbox_report *report)
{
	*report = (struct sandbox_report){ 0 };
	if (opts->no_namespaces) {
		errno = ECANCELED;
		sandbox_fail(report, "namespaces");
		return;
	}
	if (!root_is_mount()) {
		errno = EINVAL;
		sandbox_fail(report, "covering /dev below a chroot");
		return;
	}
	/* Root: the mounts first. */
	if (!unshare(CLONE_NEWNS))
		sandbox_mounts(opts, report);
	if (unshare(CLONE_NEWUSER | (report->namespaces ? 0 : CLONE_NEWNS))) {
		sandbox_fail(report, "a user namespace");
		return;
	}
	if (write_maps(data)) {
		sandbox_fail(report, "the id maps of the user namespace");
		return;
	}
	report->user = true;
	if (report->namespaces) {
		/* Mounts in there belong to the outer namespace: own a copy. */
		unshare(CLONE_NEWNS);
		return;
	}
	report->error = 0;
	sandbox_mounts(opts, report);
}

/* ---- the other side: in the supervisor ---- */

static int map_write(pid_t pid, const char *file, const char *text)
{
	char path[48];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* Every id we have ourselves, as itself. */
static int map_identity(pid_t pid, const char *file)
{
	unsigned int inside, outside, count;
	char path[48], text[4096];
	size_t len = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/%s", file);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (len < sizeof(text) - 64 && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3)
		len += snprintf(text + len, sizeof(text) - len, "%u %u %u\n", inside, inside,
				count);
	fclose(f);
	return map_write(pid, file, text);
}

static int map_one(pid_t pid, const char *file, unsigned int id)
{
	char text[48];

	snprintf(text, sizeof(text), "%u %u 1\n", id, id);
	return map_write(pid, file, text);
}

/* All ids where we may (root), else our own two, which costs the child setgroups(). */
int sandbox_write_maps(pid_t pid)
{
	int rc;

	if (!map_identity(pid, "uid_map"))
		return map_identity(pid, "gid_map");
	rc = map_write(pid, "setgroups", "deny");
	if (!rc)
		rc = map_one(pid, "uid_map", geteuid());
	if (!rc)
		rc = map_one(pid, "gid_map", getegid());
	return rc;
}

int sandbox_own_user(void)
{
	pid_t self = getpid(), helper;
	int go[2], status, rc = 0;
	char c = 0;

	if (geteuid())
		return 0;
	if (pipe(go))
		return -errno;
	/* The maps must be written from outside; a process of ours that stays behind does it. */
	helper = fork();
	if (helper < 0) {
		close(go[0]);
		close(go[1]);
		return -EAGAIN;
	}
	if (!helper) {
		close(go[1]);
		_exit(read(go[0], &c, 1) == 1 && !sandbox_write_maps(self) ? 0 : 1);
	}
	close(go[0]);
	if (unshare(CLONE_NEWUSER) || write(go[1], &c, 1) != 1)
		rc = -errno;
	close(go[1]);
	if (waitpid(helper, &status, 0) != helper || status)
		rc = rc ? rc : -EPERM;
	return rc;
}
