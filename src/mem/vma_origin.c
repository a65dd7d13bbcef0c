/* SPDX-License-Identifier: MIT */
/*
 * Who backs a mapping: a file that can be mapped here as well, the address
 * space itself (private memory), or something a device must not be pointed at.
 *
 * A shared mapping's file is looked for under its device and inode: among the
 * files that are pinned already, then behind /proc/PID/map_files (which wants
 * privilege), then among the descriptors the process still has open.  If none
 * of these finds it, its pages are taken for private memory of this address
 * space: reachable all the same, but as other pages than through the file.
 *
 * Nothing is opened before it is known to be memory, since opening a device may do things.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fault.h"
#include "mem/mem_priv.h"

#ifndef RAMFS_MAGIC
#define RAMFS_MAGIC 0x858458f6
#endif

/*
 * Mappings that are no memory of a program, whatever their permissions say.  The last is the
 * object behind a descriptor of ours (host/fdtable.c), which nobody but a program may close.
 */
static bool name_is_refused(const char *name)
{
	static const char *const refused[] = {
		"[vvar", "[vsyscall]", "[uprobes]", "anon_inode:", "/dmabuf:", "/secretmem",
		"/memfd:uiommufd (deleted)",
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (!strncmp(name, refused[i], strlen(refused[i])))
			return true;
	return false;
}

/* The best guess when the file itself can not be looked at. */
static bool name_is_device(const char *name)
{
	return !strncmp(name, "/dev/", 5) && strncmp(name, "/dev/zero", 9) &&
	       strncmp(name, "/dev/shm/", 9) && strncmp(name, "/dev/hugepages/", 15);
}

/* KIND_MOVED: the mapping has other borders by now, or is gone. */
enum file_kind { KIND_UNKNOWN, KIND_MOVED, KIND_MEMORY, KIND_DEVICE, KIND_DISK };

/* What the file at @path (below /proc/PID) is, if it is the one behind @vma. */
static enum file_kind path_kind(struct mm *mm, const char *path, const struct vma *vma)
{
	struct statfs fs;
	struct stat st;
	char full[96];
	bool hugetlb;

	if (fstatat(mm->proc_fd, path, &st, 0) || st.st_dev != vma->dev || st.st_ino != vma->ino)
		return KIND_UNKNOWN;
	if (!S_ISREG(st.st_mode))
		return KIND_DEVICE;
	snprintf(full, sizeof(full), "/proc/self/fd/%d/%s", mm->proc_fd, path);
	if (statfs(full, &fs))
		return KIND_UNKNOWN;
	if (file_is_memory((u64)fs.f_type, st.st_mode, &hugetlb))
		return KIND_MEMORY;
	/*
	 * ramfs wants to hear of no writes, so its files may be written; they are just not shmem.
	 */
	return (u64)fs.f_type == RAMFS_MAGIC ? KIND_UNKNOWN : KIND_DISK;
}

/* By the mapping's borders: who may not look through its name still sees that there is one. */
static enum file_kind map_file_kind(struct mm *mm, const struct vma *vma, char *path, size_t size)
{
	enum file_kind kind;

	snprintf(path, size, "map_files/%llx-%llx", (unsigned long long)vma->first,
		 (unsigned long long)vma->last + 1);
	errno = 0;
	kind = path_kind(mm, path, vma);
	return kind == KIND_UNKNOWN && errno == ENOENT ? KIND_MOVED : kind;
}

/* Look for the file among the process's descriptors; fills @path when it returns a kind. */
static enum file_kind find_open_file(struct mm *mm, const struct vma *vma, char *path, size_t size)
{
	enum file_kind kind = KIND_UNKNOWN;
	int fd = openat(mm->proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return KIND_UNKNOWN;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return KIND_UNKNOWN;
	}
	while (kind == KIND_UNKNOWN && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, size, "fd/%.20s", entry->d_name);
		kind = path_kind(mm, path, vma);
	}
	closedir(dir);
	return kind;
}

static enum file_kind find_file(struct mm *mm, const struct vma *vma, char *path, size_t size)
{
	enum file_kind kind, open_kind = KIND_UNKNOWN;

	if (mm->proc_fd < 0)
		return KIND_UNKNOWN;
	kind = map_file_kind(mm, vma, path, size);
	if (kind <= KIND_MOVED && vma->flags & VMA_SHARED)
		open_kind = find_open_file(mm, vma, path, size);
	return open_kind == KIND_UNKNOWN ? kind : open_kind;
}

/*
 * The backing of the memory file at @path; -EAGAIN if it got away.  The process may put another
 * file there at any moment, so it is first taken without opening it.
 */
static int open_memory(struct mm *mm, const char *path, const struct vma *vma,
		       struct mem_backing **ret_backing)
{
	int rc = 0, fd = openat(mm->proc_fd, path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -ENOMEM : -EAGAIN;
	if (fstat(fd, &st) || st.st_dev != vma->dev || st.st_ino != vma->ino)
		rc = -EAGAIN;
	else if (file_backing_get(mm->space, fd, ret_backing) == -ENOMEM)
		rc = -ENOMEM;
	close(fd);
	return rc;
}

static int shared_origin(struct mm *mm, const struct vma *vma, bool write, bool make,
			 struct vma_origin *ret_origin)
{
	char path[64];

	ret_origin->backing = file_backing_find(mm->space, vma->dev, vma->ino);
	if (ret_origin->backing) {
		if (!ret_origin->backing->device)
			return 0;
		backing_put(ret_origin->backing);
		return -EFAULT;
	}
	switch (find_file(mm, vma, path, sizeof(path))) {
	case KIND_MEMORY:
		return make ? open_memory(mm, path, vma, &ret_origin->backing) : 0;
	case KIND_DEVICE:
		return -EFAULT;
	case KIND_DISK:
		/* Its file system has to be told of every write, and a device tells nobody. */
		return write ? -EFAULT : 0;
	case KIND_MOVED:
		return make ? -EAGAIN : 0;
	case KIND_UNKNOWN:
		break;
	}
	return name_is_device(vma->name) ? -EFAULT : 0;
}

static int private_origin(struct mm *mm, const struct vma *vma)
{
	enum file_kind kind;
	char path[64];

	/* Private /dev/zero is anonymous memory under a device's name. */
	if (!vma->ino || !strcmp(vma->name, "/dev/zero"))
		return 0;
	kind = find_file(mm, vma, path, sizeof(path));
	if (kind == KIND_DEVICE || (kind <= KIND_MOVED && name_is_device(vma->name)))
		return -EFAULT;
	return 0;
}

int vma_origin_get(struct mm *mm, const struct vma *vma, bool write, bool make,
		   struct vma_origin *ret_origin)
{
	ret_origin->backing = NULL;
	if (name_is_refused(vma->name))
		return -EFAULT;
	if (vma->flags & VMA_SHARED && vma->ino)
		return shared_origin(mm, vma, write, make, ret_origin);
	return private_origin(mm, vma);
}
