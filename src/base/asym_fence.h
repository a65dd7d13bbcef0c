/* SPDX-License-Identifier: MIT */
/*
 * A pair of fences of unequal weight.  Two threads that each store one thing
 * and then load what the other stores need a full fence each, or both may miss
 * the other's store.  Here the side that runs a hundred million times a second
 * pays nothing: the other side makes the kernel run a fence on every CPU the
 * process runs on (membarrier(2)).
 *
 * Where the kernel will not, both sides run real fences.
 */
#ifndef BASE_ASYM_FENCE_H
#define BASE_ASYM_FENCE_H

#include <stdatomic.h>

#include "base/types.h"

/** asym_fence_setup() - ask the kernel, once per process; true: the light side needs real fences */
bool asym_fence_setup(void);
/** asym_fence_real() - the same, without asking: true also before it was asked */
bool asym_fence_real(void);

/** asym_fence_light() - @real: what asym_fence_setup() said */
static inline void asym_fence_light(bool real)
{
	if (unlikely(real))
		atomic_thread_fence(memory_order_seq_cst);
	else
		atomic_signal_fence(memory_order_seq_cst);
}

/** asym_fence_heavy() - a microsecond or more */
void asym_fence_heavy(void);

#endif
