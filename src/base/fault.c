/* SPDX-License-Identifier: MIT */
/*
 * Faults on demand: the slow half of fault_point(), reached only by a thread
 * that serves a task with a fault_state.
 *
 * The countdown is a compare-and-swap because another thread may write nth
 * (through the fail-nth file) while this one counts: a plain decrement could
 * then wrap a fresh 0 around to four thousand million.  Nothing is ordered by
 * these counters, so they are relaxed.
 */
#include "base/fault.h"

__thread struct fault_state *fault_current __attribute__((tls_model("initial-exec")));

/* Count nth down by one; true when that was the step from 1 to 0. */
static bool fault_countdown(struct fault_state *state)
{
	u32 nth = atomic_load_explicit(&state->nth, memory_order_relaxed);

	do {
		if (!nth)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&state->nth, &nth, nth - 1, memory_order_relaxed, memory_order_relaxed));
	return nth == 1;
}

bool fault_point_slow(const char *what)
{
	struct fault_state *state = fault_current;

	atomic_fetch_add_explicit(&state->passed, 1, memory_order_relaxed);
	if (likely(!fault_countdown(state)))
		return false;
	atomic_store_explicit(&state->injected_at, what, memory_order_relaxed);
	atomic_fetch_add_explicit(&state->injected, 1, memory_order_relaxed);
	return true;
}
