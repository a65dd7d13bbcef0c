/* SPDX-License-Identifier: MIT */
/*
 * Device memory that a program maps: registers of an IOMMU, above all.  It lies
 * in a file, so that the program's mapping and our pointer are the same bytes;
 * where in the file is the caller's to say.
 */
#ifndef MEM_DEVICE_MEM_H
#define MEM_DEVICE_MEM_H

#include "mem/mem.h"

#define MEM_DEVICE_SIZE BIT_ULL(MEM_WINDOW_SHIFT) /* of what is physically consecutive, at most */

struct mem_device;

/**
 * mem_device_create() - a file to keep device memory in, empty
 * @host_fd: the file, on tmpfs and not in use as memory; duplicated.  -1: one of its own, which
 *	nobody can shrink.
 * Return: 0, -ENOMEM, -EMFILE, -EINVAL or -EBUSY for an unsuitable file.
 */
int mem_device_create(struct mem_space *space, int host_fd, struct mem_device **ret_device);
/** mem_device_free() - everything provided is withdrawn; NULL is a no-op */
void mem_device_free(struct mem_device *device);
/** mem_device_fd() - the file, borrowed */
int mem_device_fd(const struct mem_device *device);

/**
 * mem_device_provide() - zeroed memory at @offset, physically consecutive
 * @offset, @length: bytes, whole pages, of one MEM_DEVICE_SIZE (no multiple of it is inside), nothing
 *	there yet.  Offsets may be as large as a file's: only what is provided takes memory.
 * @ret_run: mem_device_withdraw() it
 * Return: 0, -ENOMEM.
 */
int mem_device_provide(struct mem_device *device, u64 offset, u64 length,
		       struct mem_run *ret_run);
/** mem_device_clear() - what was provided becomes zero again */
void mem_device_clear(struct mem_device *device, u64 offset, u64 length);
void mem_device_withdraw(struct mem_device *device, u64 offset, const struct mem_run *run);

#endif
