/* SPDX-License-Identifier: MIT */
/*
 * Memory of a device in a file: the file grows as memory is provided, holes are
 * punched where it is withdrawn.  A pin keeps the physical address, and marks
 * the file as a device's: neighbours in it are neighbours in physical space, and
 * the program's mapping of it can not be given to a device as memory.
 *
 * Hidden is cut off: an empty file has nothing to map.  Before that, memory of our own takes the
 * place of the file in our window.
 */
#include "mem/device_mem.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/lock.h"
#include "mem/mem_priv.h"

/**
 * struct mem_device - the file
 * @lock: its size
 * @size: what it has to be, unless hidden
 */
struct mem_device {
	struct mem_file *file; /* immutable, as is fd */
	int fd;
	struct mutex lock;
	u64 size __guarded_by(&lock);
	bool hidden __guarded_by(&lock);
};

static int own_file(bool hides)
{
	int fd;

	if (fault_point("memfd"))
		return -ENOMEM;
	fd = memfd_create("device memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? -EMFILE : -ENOMEM;
	/* The program's mapping must not be able to take it away. */
	fcntl(fd, F_ADD_SEALS, hides ? F_SEAL_SEAL : F_SEAL_SHRINK);
	return fd;
}

int mem_device_create(struct mem_space *space, int host_fd, bool hides,
		      struct mem_device **ret_device)
{
	struct mem_device *device = zalloc(sizeof(*device));
	int rc;

	if (!device)
		return -ENOMEM;
	device->fd = host_fd < 0 ? own_file(hides) : fcntl(host_fd, F_DUPFD_CLOEXEC, 3);
	if (device->fd < 0) {
		rc = host_fd < 0 ? device->fd : -EMFILE;
		goto err_free;
	}
	rc = mem_file_open_device(space, device->fd, &device->file);
	if (rc)
		goto err_close;
	mutex_init(&device->lock);
	*ret_device = device;
	return 0;
err_close:
	close(device->fd);
err_free:
	free(device);
	return rc;
}

void mem_device_free(struct mem_device *device)
{
	if (!device)
		return;
	mem_file_put(device->file);
	close(device->fd);
	mutex_destroy(&device->lock);
	free(device);
}

int mem_device_fd(const struct mem_device *device)
{
	return device->fd;
}

/* Make the file long enough, and what it has there zero: the program can write to it, too. */
static int file_prepare(struct mem_device *device, u64 offset, u64 length)
{
	struct stat st;
	int rc;

	mutex_lock(&device->lock);
	rc = device->hidden ? -1 : fstat(device->fd, &st);
	if (!rc && (u64)st.st_size < offset + length)
		rc = ftruncate(device->fd, (off_t)(offset + length));
	if (!rc)
		device->size = MAX(device->size, offset + length);
	mutex_unlock(&device->lock);
	return rc ? rc : fallocate(device->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   (off_t)offset, (off_t)length);
}

int mem_device_provide(struct mem_device *device, u64 offset, u64 length, struct mem_run *ret_run)
{
	u64 npages = length >> PAGE_SHIFT;
	struct mem_run run;
	s64 got;

	if (file_prepare(device, offset, length))
		return -ENOMEM;
	got = mem_pin_file(device->file, offset >> PAGE_SHIFT, npages, &run);
	if (got < 0)
		return -ENOMEM;
	if ((u64)got < npages) {
		/* The program has cut the file off meanwhile. */
		mem_unpin(&run);
		return -ENOMEM;
	}
	*ret_run = run;
	return 0;
}

/* ---- hiding ---- */

static u8 *run_host(const struct mem_run *run)
{
	return (u8 *)run->window->host + ((u64)run->first << PAGE_SHIFT);
}

static size_t run_bytes(const struct mem_run *run)
{
	return (size_t)run->npages << PAGE_SHIFT;
}

void mem_device_clear(struct mem_device *device, u64 offset, const struct mem_run *run)
{
	mutex_lock(&device->lock);
	if (device->hidden)
		madvise(run_host(run), run_bytes(run), MADV_DONTNEED);
	else
		fallocate(device->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			  (off_t)run_bytes(run));
	mutex_unlock(&device->lock);
}

void mem_device_withdraw(struct mem_device *device, u64 offset, const struct mem_run *run)
{
	mem_device_clear(device, offset, run);
	mem_unpin(run);
}

static bool page_is_zero(const u64 *page)
{
	for (size_t i = 0; i < PAGE_SIZE / sizeof(*page); i++) {
		if (page[i])
			return false;
	}
	return true;
}

/* What the file has.  By read, which makes no pages of holes. */
static void part_save(const struct mem_device *device, const struct mem_part *part, u8 *to)
{
	u64 page[PAGE_SIZE / sizeof(u64)];

	for (size_t at = 0; at < run_bytes(&part->run); at += PAGE_SIZE) {
		/* The program can have cut it off: then this is zero. */
		if (pread(device->fd, page, sizeof(page), (off_t)(part->offset + at)) !=
		    (ssize_t)sizeof(page))
			continue;
		if (!page_is_zero(page))
			memcpy(to + at, page, sizeof(page));
	}
}

/* Guarded, as the program can cut the file off again. */
static int part_restore(const struct mem_part *part, u8 *to)
{
	u64 page[PAGE_SIZE / sizeof(u64)];
	int rc = 0;

	for (size_t at = 0; at < run_bytes(&part->run) && !rc; at += PAGE_SIZE) {
		rc = mem_guard_copy(page, run_host(&part->run) + at, sizeof(page));
		if (!rc && !page_is_zero(page))
			rc = mem_guard_copy(to + at, page, sizeof(page));
	}
	return rc ? -ENOMEM : 0;
}

/* Memory of our own as large as @part, or what the file has there. */
static u8 *part_map(const struct mem_device *device, const struct mem_part *part, bool ours)
{
	void *ptr = MAP_FAILED;

	if (!fault_point("window"))
		ptr = mmap(NULL, run_bytes(&part->run), PROT_READ | PROT_WRITE,
			   MAP_NORESERVE | (ours ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED),
			   ours ? -1 : device->fd, ours ? 0 : (off_t)part->offset);
	return ptr == MAP_FAILED ? NULL : ptr;
}

/* The file is in our window again.  There is a mapping already, so this needs no room for one. */
static int parts_back(const struct mem_device *device, const struct mem_part *parts,
		      unsigned int n)
{
	int rc = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (mmap(run_host(&parts[i].run), run_bytes(&parts[i].run),
			 PROT_READ | PROT_WRITE, MAP_NORESERVE | MAP_FIXED | MAP_SHARED,
			 device->fd, (off_t)parts[i].offset) == MAP_FAILED)
			rc = -ENOMEM;
	}
	return rc;
}

/* A copy in memory of our own takes its place, in one step for whoever looks at it. */
static int part_leave(const struct mem_device *device, const struct mem_part *part)
{
	size_t bytes = run_bytes(&part->run);
	u8 *ours = part_map(device, part, true);

	if (!ours)
		return -ENOMEM;
	part_save(device, part, ours);
	/* The raw call, as what the preloaded library links has no other. */
	if (syscall(SYS_mremap, ours, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
		    run_host(&part->run)) != -1)
		return 0;
	munmap(ours, bytes);
	return -ENOMEM;
}

static int file_cut(const struct mem_device *device)
{
	return ftruncate(device->fd, 0) ? -errno : 0;
}

static int parts_leave(const struct mem_device *device, const struct mem_part *parts,
		       unsigned int n)
{
	unsigned int done;
	int rc = 0;

	for (done = 0; done < n && !rc; done++)
		rc = part_leave(device, &parts[done]);
	if (!rc)
		rc = file_cut(device);
	if (!rc)
		return 0;
	/* The file has it all still. */
	parts_back(device, parts, done);
	return rc;
}

/* What our window has, to the file. */
static int part_fill(const struct mem_device *device, const struct mem_part *part)
{
	u8 *theirs = part_map(device, part, false);
	int rc;

	if (!theirs)
		return -ENOMEM;
	rc = part_restore(part, theirs);
	munmap(theirs, run_bytes(&part->run));
	return rc;
}

static int parts_return(struct mem_device *device, const struct mem_part *parts,
			unsigned int n) __must_hold(&device->lock)
{
	int rc = ftruncate(device->fd, (off_t)device->size) ? -errno : 0;

	for (unsigned int i = 0; i < n && !rc; i++)
		rc = part_fill(device, &parts[i]);
	if (rc) {
		file_cut(device);
		return rc;
	}
	device->hidden = false;
	return parts_back(device, parts, n);
}

int mem_device_hide(struct mem_device *device, const struct mem_part *parts, unsigned int n)
{
	int rc = 0;

	mutex_lock(&device->lock);
	if (!device->hidden)
		rc = parts_leave(device, parts, n);
	if (!rc)
		device->hidden = true;
	mutex_unlock(&device->lock);
	return rc;
}

int mem_device_show(struct mem_device *device, const struct mem_part *parts, unsigned int n)
{
	int rc = 0;

	mutex_lock(&device->lock);
	if (device->hidden)
		rc = parts_return(device, parts, n);
	mutex_unlock(&device->lock);
	return rc;
}
