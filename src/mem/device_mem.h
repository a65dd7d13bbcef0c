/* SPDX-License-Identifier: MIT */
/*
 * Device memory that a program maps: registers of an IOMMU, above all.  It lies
 * in a file, so that the program's mapping and our pointer are the same bytes;
 * where in the file is the caller's to say.  It can be hidden: then the program's mappings
 * raise SIGBUS, and our pointer shows the same bytes in memory of our own.
 */
#ifndef MEM_DEVICE_MEM_H
#define MEM_DEVICE_MEM_H

#include "mem/mem.h"

#define MEM_DEVICE_SIZE BIT_ULL(MEM_WINDOW_SHIFT) /* of what is physically consecutive, at most */

struct mem_device;

/** struct mem_part - what was provided at @offset of the file */
struct mem_part {
	u64 offset;
	struct mem_run run;
};

/**
 * mem_device_create() - a file to keep device memory in, empty
 * @host_fd: the file, on tmpfs and not in use as memory; duplicated.  -1: one of its own
 * @hides: it may be hidden; else nobody can shrink one of its own
 * Return: 0, -ENOMEM, -EMFILE, -EINVAL or -EBUSY for an unsuitable file.
 */
int mem_device_create(struct mem_space *space, int host_fd, bool hides,
		      struct mem_device **ret_device);
/** mem_device_free() - everything provided is withdrawn; NULL is a no-op */
void mem_device_free(struct mem_device *device);
/** mem_device_fd() - the file, borrowed */
int mem_device_fd(const struct mem_device *device);

/**
 * mem_device_provide() - zeroed memory at @offset, physically consecutive
 * @offset, @length: bytes, whole pages, of one MEM_DEVICE_SIZE (no multiple of it is inside),
 *	nothing there yet.  Offsets may be as large as a file's: only what is provided takes memory.
 * @ret_run: mem_device_withdraw() it
 * Return: 0, -ENOMEM.
 */
int mem_device_provide(struct mem_device *device, u64 offset, u64 length,
		       struct mem_run *ret_run);
/** mem_device_clear() - what was provided becomes zero again, hidden or not */
void mem_device_clear(struct mem_device *device, u64 offset, const struct mem_run *run);
void mem_device_withdraw(struct mem_device *device, u64 offset, const struct mem_run *run);

/**
 * mem_device_hide() - mappings of the file raise SIGBUS from now on; mem_device_show() ends that
 * @parts: all that is provided
 *
 * Our pointers stay good over both, and nothing is lost if nobody writes through them meanwhile;
 * who does is not harmed, but what it writes may be.  Nothing is provided while it is hidden.
 * Return: 0, also where it was so before; -ENOMEM, or what a file says that cannot be shrunk
 * (-EPERM): all is as before.
 */
int mem_device_hide(struct mem_device *device, const struct mem_part *parts, unsigned int n);
int mem_device_show(struct mem_device *device, const struct mem_part *parts, unsigned int n);

#endif
