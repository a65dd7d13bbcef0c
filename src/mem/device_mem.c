/* SPDX-License-Identifier: MIT */
/*
 * Memory of a device in a file: the file grows as memory is provided, holes are
 * punched where it is withdrawn.  A pin keeps the physical address, and marks
 * the file as a device's: neighbours in it are neighbours in physical space, and
 * the program's mapping of it can not be given to a device as memory.
 */
#include "mem/device_mem.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/lock.h"

/**
 * struct mem_device - the file
 * @lock: its size
 */
struct mem_device {
	struct mem_file *file; /* immutable, as is fd */
	int fd;
	struct mutex lock;
};

static int own_file(void)
{
	int fd;

	if (fault_point("memfd"))
		return -ENOMEM;
	fd = memfd_create("device memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? -EMFILE : -ENOMEM;
	/* The program's mapping must not be able to take it away. */
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
	return fd;
}

int mem_device_create(struct mem_space *space, int host_fd, struct mem_device **ret_device)
{
	struct mem_device *device = zalloc(sizeof(*device));
	int rc;

	if (!device)
		return -ENOMEM;
	device->fd = host_fd < 0 ? own_file() : fcntl(host_fd, F_DUPFD_CLOEXEC, 3);
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
	rc = fstat(device->fd, &st);
	if (!rc && (u64)st.st_size < offset + length)
		rc = ftruncate(device->fd, (off_t)(offset + length));
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

void mem_device_clear(struct mem_device *device, u64 offset, u64 length)
{
	fallocate(device->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		  (off_t)length);
}

void mem_device_withdraw(struct mem_device *device, u64 offset, const struct mem_run *run)
{
	mem_device_clear(device, offset, (u64)run->npages << PAGE_SHIFT);
	mem_unpin(run);
}
