/* SPDX-License-Identifier: MIT */
/*
 * Raising eventfds of a program, which may have left them blocking and may fill them at any time.
 *
 * A write() could wait then, and whether it does is the program's to change between any look and
 * the write.  The kernel's own way to raise one never waits; asynchronous I/O lets us have it: a
 * read of nothing that ends at once and tells the eventfd.
 */
#ifndef VFIO_RAISE_H
#define VFIO_RAISE_H

#include <linux/aio_abi.h>

#include "base/lock.h"

/**
 * struct raiser - of one machine
 * @lock: making @aio, at the first interrupt; a leaf
 * @started: @aio and @fd stay as they are
 * @aio: 0: none yet, or it cannot be had
 * @fd: what is read from; -1: none, and write() has to do
 */
struct raiser {
	struct mutex lock;
	_Atomic bool started;
	aio_context_t aio;
	int fd;
};

/** raiser_init() - cannot fail: where asynchronous I/O cannot be had, poll() and write() do */
void raiser_init(struct raiser *raiser);
void raiser_fini(struct raiser *raiser);
/**
 * raiser_raise() - add 1 to @eventfd, as the kernel does: a count that is as high as can be stays
 * Context: any thread, under any lock; does not wait.
 */
void raiser_raise(struct raiser *raiser, int eventfd);

#endif
