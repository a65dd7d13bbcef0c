/* SPDX-License-Identifier: MIT */
/*
 * Readers-writer locks where they have to wait (futex(2)).  Who waits sets
 * RWLOCK_WAITED in the word it waits on; whoever makes the lock free takes the bit
 * away and wakes all, in one step, and touches the lock no more after that.
 */
#include "base/lock.h"

#include <linux/futex.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS 100 /* most are held for less than a sleep takes */

static void pause_cpu(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

static void rwlock_sleep(struct rwlock *lock, u32 seen)
{
	if (!(seen & RWLOCK_WAITED) &&
	    !atomic_compare_exchange_strong_explicit(&lock->state, &seen, seen | RWLOCK_WAITED,
						     memory_order_relaxed, memory_order_relaxed))
		return;
	syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, seen | RWLOCK_WAITED, NULL, NULL, 0);
}

void rwlock_wake(struct rwlock *lock)
{
	syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void read_lock_wait(struct rwlock *lock)
{
	for (u32 spins = 0;; spins++) {
		u32 seen = atomic_load_explicit(&lock->state, memory_order_relaxed);

		if (!(seen & RWLOCK_WRITER)) {
			if (atomic_compare_exchange_weak_explicit(&lock->state, &seen, seen + 1,
								  memory_order_acquire,
								  memory_order_relaxed))
				return;
		} else if (spins < SPINS) {
			pause_cpu();
		} else {
			rwlock_sleep(lock, seen);
		}
	}
}

void write_lock_wait(struct rwlock *lock)
{
	for (u32 spins = 0;; spins++) {
		u32 seen = atomic_load_explicit(&lock->state, memory_order_relaxed);

		if (!(seen & ~RWLOCK_WAITED)) {
			if (atomic_compare_exchange_weak_explicit(&lock->state, &seen,
								  seen | RWLOCK_WRITER,
								  memory_order_acquire,
								  memory_order_relaxed))
				return;
		} else if (spins < SPINS) {
			pause_cpu();
		} else {
			rwlock_sleep(lock, seen);
		}
	}
}
