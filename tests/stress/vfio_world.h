/* SPDX-License-Identifier: MIT */
/*
 * A machine with devices, this process as its program, and the descriptors all threads share.
 *
 * A slot of the table is a descriptor or -1.  Threads take from it while others close what they
 * took: a number that no longer is what it was is what the library must stand.
 */
#ifndef STRESS_VFIO_WORLD_H
#define STRESS_VFIO_WORLD_H

#include <stdatomic.h>

#include <iommufd/ctx.h>
#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/vfio.h>

#include "choice.h"

/* What descriptors are; SLOT_BASE + kind says where in the table. */
enum fd_kind { FD_CONTAINER, FD_GROUP, FD_DEVICE, FD_DATA, FD_BUFFER, FD_KINDS };

#define FDS_OF_KIND 4 /* slots of each kind */
#define IOMMUS	    3
#define EVENTFDS    4
#define MEMORY_SIZE (1UL << 20)

/**
 * struct vfio_world - one round
 * @fds: see the top of this file
 * @iommus: contexts, each with an IOAS of id 1; open all the time
 * @eventfds: of the host, open all the time
 * @memory: what is mapped; nobody but devices touches it
 */
struct vfio_world {
	struct iommufd_process *proc;
	_Atomic int fds[FD_KINDS][FDS_OF_KIND];
	int iommus[IOMMUS];
	int eventfds[EVENTFDS];
	u8 *memory;
};

/**
 * struct caller - one thread
 * @doing, @since_ms: the call it is in, for who watches; NULL: none
 * @good: calls by row that succeeded, in all callers
 */
struct caller {
	struct vfio_world *world;
	struct choice choice;
	_Atomic(const char *) doing;
	_Atomic u64 since_ms;
	_Atomic u64 *good;
	u64 scratch[1024];
};

#define CALLS_MAX 64

/** call_any() - one random call */
void call_any(struct caller *caller);
u32 call_count(void);
const char *call_name(u32 row);
/** fds_close() - all that is in the table */
void fds_close(struct vfio_world *world);
u64 now_ms(void);

#endif
