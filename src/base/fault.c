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

#include <stdio.h>
#include <string.h>

#include "base/lock.h"

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

/* ---- by name ---- */

#define NAME_MAX_LEN 32

_Atomic bool fault_named_on;

static struct {
	struct mutex lock;
	char name[NAME_MAX_LEN] __guarded_by(&lock);
	u32 skip __guarded_by(&lock);
	u32 count __guarded_by(&lock);
	u64 injected __guarded_by(&lock);
} named = { .lock.m = PTHREAD_MUTEX_INITIALIZER };

void fault_named_set(const char *name, u32 skip, u32 count)
{
	mutex_lock(&named.lock);
	snprintf(named.name, sizeof(named.name), "%s", name);
	named.skip = skip;
	named.count = count;
	named.injected = 0;
	atomic_store_explicit(&fault_named_on, count, memory_order_relaxed);
	mutex_unlock(&named.lock);
}

u32 fault_named_left(u64 *ret_injected)
{
	u32 left;

	mutex_lock(&named.lock);
	left = named.count;
	*ret_injected = named.injected;
	mutex_unlock(&named.lock);
	return left;
}

static bool fault_named(const char *what)
{
	bool fails = false;

	mutex_lock(&named.lock);
	if (named.count && (!strcmp(named.name, "*") || !strcmp(named.name, what))) {
		fails = !named.skip;
		if (!fails)
			named.skip--;
	}
	if (fails) {
		named.injected++;
		named.count--;
		atomic_store_explicit(&fault_named_on, named.count, memory_order_relaxed);
	}
	mutex_unlock(&named.lock);
	return fails;
}

bool fault_point_slow(const char *what)
{
	struct fault_state *state = fault_current;

	if (unlikely(atomic_load_explicit(&fault_named_on, memory_order_relaxed)) &&
	    fault_named(what))
		return true;
	if (!state)
		return false;
	atomic_fetch_add_explicit(&state->passed, 1, memory_order_relaxed);
	if (likely(!fault_countdown(state)))
		return false;
	atomic_store_explicit(&state->injected_at, what, memory_order_relaxed);
	atomic_fetch_add_explicit(&state->injected, 1, memory_order_relaxed);
	return true;
}
