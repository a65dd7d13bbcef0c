/* SPDX-License-Identifier: MIT */
/*
 * Files in the program's covers.  The supervisor has a descriptor of each cover's
 * root and works below it, never by the program's names: the program can
 * rename and link there what it likes, so each step refuses to leave
 * the file system or to follow a link.
 *
 * An ordinary user may make one kind of device node, number 0:0.  It is a
 * character device for whoever looks at the directory; nobody can open it, and
 * what fstat() shows of an open one is ours to say.
 */
#include "host/covers.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/host_priv.h"

static const char *const hide_dev[] = {"iommu", "vfio", NULL};
static const char *const hide_devices[] = {"pci*", NULL};
static const char *const hide_class[] = {"vfio", "vfio-dev", "iommu", "pci_bus", NULL};
static const char *const hide_virtual[] = {"iommu", "vfio", "vfio-dev", NULL};
static const char *const hide_module[] = {"vfio*", "iommufd", NULL};
static const char *const hide_all[] = {"*", NULL};
static const char *const hide_nothing[] = {NULL};

/* An outer one comes before those in it; what a machine lacks can only be put beside the rest of
 * it. */
const struct host_cover host_covers[] = {
	{"/dev", hide_dev, NULL},
	{"/dev/char", hide_nothing, NULL},
	{"/sys/bus", hide_nothing, "/sys/bus/pci"},
	{"/sys/bus/pci", hide_all, NULL},
	{"/sys/devices", hide_devices, NULL},
	{"/sys/devices/virtual", hide_virtual, NULL},
	{"/sys/class", hide_class, NULL},
	{"/sys/module", hide_module, NULL},
	{"/sys/dev/char", hide_nothing, NULL},
	{"/sys/kernel", hide_nothing, "/sys/kernel/iommu_groups"},
	{"/sys/kernel/iommu_groups", hide_all, NULL},
	{NULL, NULL, NULL},
};

static_assert(ARRAY_SIZE(host_covers) == HOST_COVERS + 1, "names.covers has room for each");

/* The innermost cover @path lies in, or -1; *ret_rest: its path from there. */
static int cover_of(const struct names *names, const char *path, const char **ret_rest)
{
	size_t best_len = 0, len;
	int best = -1;

	for (int i = 0; host_covers[i].path; i++) {
		len = strlen(host_covers[i].path);
		if (names->covers[i] >= 0 && len > best_len &&
		    !strncmp(path, host_covers[i].path, len) && path[len] == '/') {
			best = i;
			best_len = len;
			*ret_rest = path + len + 1;
		}
	}
	return best;
}

/* Is @path a cover itself, and so there for good? */
static bool is_cover(const struct names *names, const char *path)
{
	for (int i = 0; host_covers[i].path; i++) {
		if (names->covers[i] >= 0 && !strcmp(path, host_covers[i].path))
			return true;
	}
	return false;
}

static int open_below(int dir, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	int fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* The directory @rest lies in, made if it is not there; *ret_name: what comes after it. */
static int open_parent(int root, const char *rest, const char **ret_name)
{
	char path[PATH_MAX];
	char *slash;
	int fd;

	if (snprintf(path, sizeof(path), "%s", rest) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	slash = strrchr(path, '/');
	*ret_name = slash ? rest + (slash - path) + 1 : rest;
	if (!slash)
		return open_below(root, ".");
	*slash = 0;
	fd = open_below(root, path);
	if (fd != -ENOENT)
		return fd;
	for (char *p = strchr(path, '/');; p = strchr(p + 1, '/')) {
		const char *name;
		int above;

		if (p)
			*p = 0;
		above = open_parent(root, path, &name);
		if (above < 0)
			return above;
		fd = mkdirat(above, name, 0755) && errno != EEXIST ? -errno : 0;
		close(above);
		if (fd)
			return fd;
		if (!p)
			break;
		*p = '/';
	}
	return open_below(root, path);
}

static int make_node(int dir, const char *name, const struct tree_entry *entry)
{
	if (!mknodat(dir, name, S_IFCHR, makedev(entry->major, entry->minor)) ||
	    (errno == EPERM && !mknodat(dir, name, S_IFCHR, 0)))
		return 0;
	return -errno;
}

static int make_attr(int dir, const char *name, const struct tree_entry *entry)
{
	char text[TREE_TEXT_MAX];
	ssize_t len = 0;
	int fd, rc = 0;

	if (entry->constant && entry->show && !entry->store) {
		len = entry->show((struct tree_entry *)entry, text);
		if (len < 0)
			return (int)len;
	}
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	/* Files of sysfs are a page long to who asks. */
	if (len ? write(fd, text, len) != len
		: ftruncate(fd, entry->size ? (off_t)entry->size : TREE_TEXT_MAX))
		rc = -ENOSPC;
	close(fd);
	return rc;
}

static int make_entry(int dir, const char *name, const struct tree_entry *entry)
{
	switch (entry->kind) {
	case TREE_NODE:
		return make_node(dir, name, entry);
	case TREE_ATTR:
		return make_attr(dir, name, entry);
	case TREE_LINK:
		return symlinkat(entry->target, dir, name) ? -errno : 0;
	case TREE_DIR:
		return mkdirat(dir, name, 0755) && errno != EEXIST ? -errno : 0;
	}
	return -EINVAL;
}

int cover_add(struct names *names, struct host_name *name, const struct tree_entry *entry)
{
	const char *rest, *last;
	int cover = cover_of(names, entry->path, &rest);
	int dir, rc;

	if (entry->kind == TREE_DIR && is_cover(names, entry->path))
		return 0;
	if (cover < 0)
		return -EXDEV;
	dir = open_parent(names->covers[cover], rest, &last);
	if (dir < 0)
		return dir;
	rc = make_entry(dir, last, entry);
	if (!rc && (entry->kind == TREE_NODE || entry->kind == TREE_ATTR) &&
	    fchmodat(dir, last, entry->mode, 0))
		rc = -errno;
	if (!rc && fstatat(dir, last, &name->st, AT_SYMLINK_NOFOLLOW))
		rc = -errno;
	close(dir);
	if (rc)
		return rc;
	name->dev = name->st.st_dev;
	name->ino = name->st.st_ino;
	return 0;
}

/* Directories that hold nothing any more go too, unless an entry says that they are there. */
static void cover_trim(struct names *names, int cover, const char *rest)
{
	char path[PATH_MAX], whole[PATH_MAX];
	struct host_name *name;
	bool below;
	char *slash;
	int fd;

	snprintf(path, sizeof(path), "%s", rest);
	while ((slash = strrchr(path, '/'))) {
		*slash = 0;
		if (snprintf(whole, sizeof(whole), "%s/%s", host_covers[cover].path, path) >=
		    (int)sizeof(whole))
			return;
		name = names_find_path(names, whole, false, &below);
		host_name_put(name);
		if (name)
			return;
		slash = strrchr(path, '/');
		if (slash)
			*slash = 0;
		fd = open_below(names->covers[cover], slash ? path : ".");
		if (slash)
			*slash = '/';
		if (fd < 0)
			return;
		below = unlinkat(fd, slash ? slash + 1 : path, AT_REMOVEDIR) != 0;
		close(fd);
		if (below)
			return;
	}
}

void cover_remove(struct names *names, const struct host_name *name)
{
	const char *rest, *last;
	int cover = cover_of(names, name->path, &rest);
	struct stat st;
	int dir;

	if (cover < 0)
		return;
	dir = open_parent(names->covers[cover], rest, &last);
	if (dir < 0)
		return;
	/* Not what the program has put in its place. */
	if (!fstatat(dir, last, &st, AT_SYMLINK_NOFOLLOW) && st.st_dev == name->dev &&
	    st.st_ino == name->ino)
		unlinkat(dir, last, name->kind == TREE_DIR ? AT_REMOVEDIR : 0);
	close(dir);
	cover_trim(names, cover, rest);
}

int covers_open(struct names *names)
{
	char path[64];

	for (int i = 0; i < HOST_COVERS; i++)
		names->covers[i] = -1;
	for (int i = 0; host_covers[i].path && names->host->namespaces; i++) {
		if (!(names->host->covers & 1u << i))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/root%s", names->host->program,
			 host_covers[i].path);
		names->covers[i] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (names->covers[i] < 0) {
			int rc = -errno;

			covers_close(names);
			return rc;
		}
	}
	return 0;
}

void covers_close(struct names *names)
{
	for (int i = 0; i < HOST_COVERS; i++) {
		if (names->covers[i] >= 0)
			close(names->covers[i]);
		names->covers[i] = -1;
	}
}
