/* SPDX-License-Identifier: MIT */
/*
 * membarrier(2), or a plain fence where it is not to be had.
 */
#include "base/asym_fence.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CMD_PRIVATE_EXPEDITED	       (1 << 3)
#define CMD_REGISTER_PRIVATE_EXPEDITED (1 << 4)

static pthread_once_t setup_once = PTHREAD_ONCE_INIT;
static bool setup_real; /* written once */
static atomic_bool not_known_to_work = true;

static void setup(void)
{
#ifdef __NR_membarrier
	setup_real = syscall(__NR_membarrier, CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) < 0 ||
		     syscall(__NR_membarrier, CMD_PRIVATE_EXPEDITED, 0, 0) < 0;
#else
	setup_real = true;
#endif
	atomic_store_explicit(&not_known_to_work, setup_real, memory_order_relaxed);
}

bool asym_fence_real(void)
{
	return atomic_load_explicit(&not_known_to_work, memory_order_relaxed);
}

bool asym_fence_setup(void)
{
	pthread_once(&setup_once, setup);
	return setup_real;
}

void asym_fence_heavy(void)
{
	atomic_thread_fence(memory_order_seq_cst);
#ifdef __NR_membarrier
	if (!asym_fence_setup())
		syscall(__NR_membarrier, CMD_PRIVATE_EXPEDITED, 0, 0);
#endif
}
