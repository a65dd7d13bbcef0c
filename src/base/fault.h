/* SPDX-License-Identifier: MIT */
/*
 * Faults on demand.  Every place that can fail for want of memory, of a page
 * or of room asks fault_point() first, so that a test can make the nth such
 * place of one call fail and look for damage.  The counter belongs to the
 * calling task (Linux keeps it in /proc/self/task/TID/fail-nth), and the
 * thread that serves the call points at it through a thread-local.
 *
 * Context: all of it lock-free; a fault_state is used by one serving thread at
 * a time, readers elsewhere (the fail-nth file) use the atomics.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdatomic.h>

#include "base/types.h"

struct fault_state {
	/* 0: disarmed, also after it fired; n: the nth point from here fails */
	_Atomic u32 nth;
	/* points reached since the state was made, failing ones included */
	_Atomic u64 passed;
	/* failures injected, and the name of the point of the latest (NULL before the first) */
	_Atomic u64 injected;
	const char *_Atomic injected_at;
};

/* The state of the task this thread serves; NULL: no point ever fails. */

extern __thread struct fault_state *fault_current __attribute__((tls_model("initial-exec")));

/**
 * fault_named_set() - steps of one name are to fail, whoever takes them
 * @name: as given to fault_point(); "*" any; copied, cut at 31 bytes
 * @skip: so many of them still succeed; @count: so many fail then; 0: no more of this
 * One such wish at a time for the whole process; it takes the place of the last.
 */
void fault_named_set(const char *name, u32 skip, u32 count);
/** fault_named_left() - failures that are still to come, and how many there were */
u32 fault_named_left(u64 *ret_injected);

extern _Atomic bool fault_named_on;

/* Count one point; use fault_point(). */
bool fault_point_slow(const char *what);

/**
 * fault_point() - should this step pretend to fail?
 * @what: the step's name ("alloc", "pin", "charge", ...), a string that lives for ever:
 *	fault_state.injected_at keeps the pointer
 *
 * Return: true if the caller must take its failure path now.
 */
static inline bool fault_point(const char *what)
{
	return unlikely(fault_current != NULL ||
			atomic_load_explicit(&fault_named_on, memory_order_relaxed)) &&
	       fault_point_slow(what);
}

#endif
