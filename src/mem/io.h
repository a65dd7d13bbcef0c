/* SPDX-License-Identifier: MIT */
/*
 * Physical addresses where a device answers instead of memory: registers that are no plain memory.
 * There is no pointer to them; reads and writes become calls.
 */
#ifndef MEM_IO_H
#define MEM_IO_H

#include "mem/mem.h"

/**
 * struct mem_io_ops - who answers
 * @read, @write: @size is 1, 2, 4 or 8, aligned, inside; 0, or negative: the access fails (-EFAULT)
 * Context: any thread that does DMA; several at once; no lock is held.  One may cause others, here
 * or elsewhere, to a depth of MEM_IO_DEPTH on a thread: from there on accesses fail.
 */
struct mem_io_ops {
	int (*read)(void *data, u64 offset, void *buf, unsigned int size);
	int (*write)(void *data, u64 offset, const void *buf, unsigned int size);
};

#define MEM_IO_DEPTH 4

struct mem_io;

/**
 * mem_io_create() - a range of physical space
 * @size: bytes, at most 1 << MEM_WINDOW_SHIFT
 * @ret_pa: where it begins, aligned to 1 << MEM_WINDOW_SHIFT
 * Return: 0, -EINVAL, -ENOMEM.
 */
int mem_io_create(struct mem_space *space, u64 size, const struct mem_io_ops *ops, void *data,
		  struct mem_io **ret_io, u64 *ret_pa);
/** mem_io_destroy() - no op runs or will run when it returns; not from inside one.  NULL is a no-op
 */
void mem_io_destroy(struct mem_io *io);

#endif
