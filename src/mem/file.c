/* SPDX-License-Identifier: MIT */
/*
 * Files as memory.  A file's identity is its device and inode; the first pin
 * opens it for us (or keeps a duplicate), and each GiB that is pinned is mapped
 * here, shared, so that everybody sees the same bytes.
 *
 * The mapping covers the whole GiB whatever the file's size is now: what lies
 * beyond the end faults, and touching it is guarded.  On hugetlbfs a writable
 * mmap() would extend the file, so it is mapped for reading and made writable
 * afterwards; and nothing is reserved.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "mem/mem_priv.h"

/**
 * struct mem_file - a file of the program, as MAP_FILE holds it
 * @memory: pages of it can be pinned
 * @device: the counted backing of device memory, else NULL
 * @window: the first window that was pinned through it, held; never changes once set.
 *	Whoever has the file may take it without the lock.
 */
struct mem_file {
	struct mem_space *space; /* immutable, as are the next three */
	int fd;
	bool memory;
	struct mem_backing *device;
	_Atomic(struct mem_window *) window;
};

bool file_is_memory(u64 fs_magic, mode_t mode, bool *ret_hugetlb)
{
	*ret_hugetlb = fs_magic == HUGETLBFS_MAGIC;
	/* devtmpfs says it is tmpfs, and has devices. */
	return S_ISREG(mode) && (fs_magic == HUGETLBFS_MAGIC || fs_magic == TMPFS_MAGIC);
}

static int fd_is_memory(int fd, struct stat *ret_st, bool *ret_hugetlb)
{
	struct statfs fs;

	if (fstat(fd, ret_st) || fstatfs(fd, &fs))
		return -errno;
	return file_is_memory((u64)fs.f_type, ret_st->st_mode, ret_hugetlb);
}

static int reopen_errno(void)
{
	return errno == EMFILE || errno == ENFILE ? -ENOMEM : -errno;
}

/* A descriptor of ours for the file behind @fd: writable if that can be had, else readable. */
static int fd_reopen(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	char path[32];
	int mine;

	if (fault_point("open"))
		return -ENOMEM;
	if (flags < 0)
		return -EBADF;
	if ((flags & O_ACCMODE) == O_RDWR && !(flags & O_PATH)) {
		mine = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return mine < 0 ? reopen_errno() : mine;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	mine = open(path, O_RDWR | O_CLOEXEC);
	if (mine < 0)
		mine = open(path, O_RDONLY | O_CLOEXEC);
	/* Not ours to open again; what we were given may still be readable. */
	if (mine < 0 && !(flags & O_PATH))
		mine = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return mine < 0 ? reopen_errno() : mine;
}

static struct cds_hlist_head *file_bucket(struct mem_space *space, dev_t dev, ino_t ino)
{
	return &space->files[(dev * 31 + ino) % SPACE_FILE_BUCKETS];
}

static struct mem_backing *file_backing_find_locked(struct mem_space *space, dev_t dev, ino_t ino)
{
	struct mem_backing *backing;

	mutex_assert_held(&space->lock);
	cds_hlist_for_each_entry_2(backing, file_bucket(space, dev, ino), node) {
		if (backing->dev == dev && backing->ino == ino) {
			backing->refs++;
			return backing;
		}
	}
	return NULL;
}

struct mem_backing *file_backing_find(struct mem_space *space, dev_t dev, ino_t ino)
{
	struct mem_backing *backing;

	mutex_lock(&space->lock);
	backing = file_backing_find_locked(space, dev, ino);
	mutex_unlock(&space->lock);
	return backing;
}

/* Make a backing, unless somebody else has made one meanwhile: then that is the result. */
static int file_backing_create(struct mem_space *space, int fd, const struct stat *st,
			       bool hugetlb, struct mem_backing **ret_backing)
{
	struct mem_backing *backing, *other;
	int rc, mine = fd_reopen(fd);

	if (mine < 0)
		return mine;
	rc = backing_create(space, MEM_BACKING_FILE, mine, &backing);
	if (rc) {
		close(mine);
		return rc;
	}
	backing->hugetlb = hugetlb;
	backing->dev = st->st_dev;
	backing->ino = st->st_ino;

	mutex_lock(&space->lock);
	other = file_backing_find_locked(space, st->st_dev, st->st_ino);
	if (!other)
		cds_hlist_add_head(&backing->node, file_bucket(space, st->st_dev, st->st_ino));
	mutex_unlock(&space->lock);
	if (other) {
		close(mine);
		free(backing);
		backing = other;
	}
	*ret_backing = backing;
	return 0;
}

int file_backing_get(struct mem_space *space, int fd, struct mem_backing **ret_backing)
{
	struct mem_backing *backing;
	struct stat st;
	bool hugetlb = false;
	int rc = fd_is_memory(fd, &st, &hugetlb);

	if (rc <= 0)
		return -EINVAL;
	backing = file_backing_find(space, st.st_dev, st.st_ino);
	if (!backing)
		return file_backing_create(space, fd, &st, hugetlb, ret_backing);
	*ret_backing = backing;
	return 0;
}

int file_window_map(const struct mem_backing *backing, u64 section, uintptr_t *ret_host)
{
	off_t offset = (off_t)(section << MEM_WINDOW_SHIFT);
	void *ptr;

	if (fault_point("window"))
		return -ENOMEM;
	ptr = mmap(NULL, MEM_WINDOW_SIZE, PROT_READ, MAP_SHARED | MAP_NORESERVE, backing->fd,
		   offset);
	if (ptr == MAP_FAILED)
		return -ENOMEM;
	/* Refused for a sealed file or one that is not ours to write: then we only read it. */
	mprotect(ptr, MEM_WINDOW_SIZE, PROT_READ | PROT_WRITE);
	*ret_host = (uintptr_t)ptr;
	return 0;
}

int mem_file_open(struct mem_space *space, int host_fd, struct mem_file **ret_file)
{
	int rc, flags = fcntl(host_fd, F_GETFL);
	struct mem_file *file;
	struct stat st;
	bool hugetlb;

	/* A descriptor of a mere path is none as far as using the file goes. */
	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	file = zalloc(sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->space = space;
	file->fd = fcntl(host_fd, F_DUPFD_CLOEXEC, 3);
	if (file->fd < 0) {
		/* EINVAL: the limit on descriptors is below where we begin to look. */
		rc = errno == EBADF ? -EBADF : -EMFILE;
		free(file);
		return rc;
	}
	/* A file that does not say what it is can still be mapped; pinning it fails. */
	file->memory = fd_is_memory(file->fd, &st, &hugetlb) > 0;
	*ret_file = file;
	return 0;
}

/* Set the device flag of a backing nobody else uses yet. */
static int backing_make_device(struct mem_backing *backing)
{
	struct mem_space *space = backing->space;
	int rc = 0;

	mutex_lock(&space->lock);
	if (backing->device || !cds_list_empty(&backing->windows))
		rc = -EBUSY;
	else
		backing->device = true;
	mutex_unlock(&space->lock);
	return rc;
}

int mem_file_open_device(struct mem_space *space, int host_fd, struct mem_file **ret_file)
{
	struct mem_file *file;
	int rc = mem_file_open(space, host_fd, &file);

	if (rc)
		return rc;
	rc = file_backing_get(space, file->fd, &file->device);
	if (rc) {
		file->device = NULL;
		goto err_put_file;
	}
	rc = backing_make_device(file->device);
	if (rc)
		goto err_put_file;
	*ret_file = file;
	return 0;
err_put_file:
	mem_file_put(file);
	return rc;
}

void mem_file_put(struct mem_file *file)
{
	struct mem_window *window;

	if (!file)
		return;
	window = atomic_load_explicit(&file->window, memory_order_relaxed);
	if (window)
		window_unhold(window);
	if (file->device)
		backing_put(file->device);
	close(file->fd);
	free(file);
}

/* Keep the first window for as long as the file: the next pin is then without a lock. */
static void file_keep_window(struct mem_file *file, struct mem_window *window)
{
	struct mem_space *space = file->space;

	mutex_lock(&space->lock);
	if (!atomic_load_explicit(&file->window, memory_order_relaxed)) {
		window->holds++;
		atomic_fetch_add_explicit(&window->refs, 1, memory_order_relaxed);
		atomic_store_explicit(&file->window, window, memory_order_release);
	}
	mutex_unlock(&space->lock);
}

static int file_window_take(struct mem_file *file, u64 section, u64 npages,
			    struct mem_window **ret_window)
{
	struct mem_window *window = atomic_load_explicit(&file->window, memory_order_acquire);
	struct mem_backing *backing;
	int rc;

	if (window && window->section == section) {
		atomic_fetch_add_explicit(&window->refs, npages, memory_order_relaxed);
		*ret_window = window;
		return 0;
	}
	rc = file_backing_get(file->space, file->fd, &backing);
	if (rc)
		return rc;
	rc = window_take(backing, section, npages, ret_window);
	if (!rc && !window)
		file_keep_window(file, *ret_window);
	backing_put(backing);
	return rc;
}

s64 mem_pin_file(struct mem_file *file, u64 index, u64 npages, struct mem_run *ret_run)
{
	u64 first = index % MEM_WINDOW_PAGES;
	struct mem_window *window;
	struct stat st;
	u64 whole;
	int rc;

	if (fault_point("pin"))
		return -EFAULT;
	/* The offset is a signed 64-bit number of bytes. */
	if (!file->memory || index > (u64)INT64_MAX >> PAGE_SHIFT || fstat(file->fd, &st))
		return -EINVAL;
	whole = (u64)st.st_size >> PAGE_SHIFT;
	/* All of it or nothing, as in the kernel: who copies must not have begun. */
	if (index >= whole || npages > whole - index)
		return -EINVAL;
	npages = MIN(npages, MEM_WINDOW_PAGES - first);
	rc = file_window_take(file, index / MEM_WINDOW_PAGES, npages, &window);
	if (rc)
		return rc;
	pins_add(window, (u32)first, (u32)npages, 1);
	*ret_run = (struct mem_run){ window, (u32)first, (u32)npages };
	return (s64)npages;
}
