/* SPDX-License-Identifier: MIT */
/*
 * Locks: pthread mutexes, and readers-writer locks of ours, under short names, carrying
 * clang's thread-safety attributes.  The global order is in docs/locking.md.
 * Debug builds (IOMMUFD_DEBUG) remember the owner, so that *_assert_held() is a real check.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/types.h"

#if defined(__clang__)
#define __capability(x) __attribute__((capability(x)))
#define __acquires(x) __attribute__((acquire_capability(x)))
#define __acquires_shared(x) __attribute__((acquire_shared_capability(x)))
#define __releases(x) __attribute__((release_capability(x)))
#define __releases_shared(x) __attribute__((release_shared_capability(x)))
#define __must_hold(x) __attribute__((requires_capability(x)))
#define __must_hold_shared(x) __attribute__((requires_shared_capability(x)))
#define __asserts_held(x) __attribute__((assert_capability(x)))
#define __no_lock_analysis __attribute__((no_thread_safety_analysis))
#else
#define __capability(x)
#define __acquires(x)
#define __acquires_shared(x)
#define __releases(x)
#define __releases_shared(x)
#define __must_hold(x)
#define __must_hold_shared(x)
#define __asserts_held(x)
#define __no_lock_analysis
#endif
/* clang 14 rejects guarded_by on members of C structs: kept as a comment that greps. */
#define __guarded_by(x)

struct __capability("mutex") mutex {
	pthread_mutex_t m;
#ifdef IOMMUFD_DEBUG
	_Atomic(pthread_t) owner;
#endif
};

/*
 * Many readers or one writer; readers may come while a writer waits, so a thread may read-lock what
 * it has read-locked.  Ours, because each operation is one atomic one.
 */
#define RWLOCK_WRITER (1U << 31)
#define RWLOCK_WAITED (1U << 30) /* somebody sleeps; the rest is how many read */

struct __capability("rwlock") rwlock {
	_Atomic u32 state;
};

static inline void mutex_init(struct mutex *lock)
{
	/* What pthread_mutex_init() makes, without the call: each mapping has a mutex. */
	lock->m = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
#ifdef IOMMUFD_DEBUG
	atomic_init(&lock->owner, (pthread_t)0);
#endif
}

static inline void mutex_destroy(struct mutex *lock)
{
	pthread_mutex_destroy(&lock->m);
}

static inline void mutex_lock(struct mutex *lock) __acquires(lock) __no_lock_analysis
{
	pthread_mutex_lock(&lock->m);
#ifdef IOMMUFD_DEBUG
	atomic_store_explicit(&lock->owner, pthread_self(), memory_order_relaxed);
#endif
}

static inline void mutex_unlock(struct mutex *lock) __releases(lock) __no_lock_analysis
{
#ifdef IOMMUFD_DEBUG
	atomic_store_explicit(&lock->owner, (pthread_t)0, memory_order_relaxed);
#endif
	pthread_mutex_unlock(&lock->m);
}

/** cond_init() - a condition with deadlines of CLOCK_MONOTONIC: setting the clock ends no wait */
static inline void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

/**
 * mutex_wait_until() - pthread_cond_timedwait() on a held mutex
 * @deadline: of the clock the condition was made with
 * Return: 0 (also for a spurious wake) or -ETIMEDOUT; the mutex is held again either way.
 */
static inline int mutex_wait_until(struct mutex *lock, pthread_cond_t *cond,
				   const struct timespec *deadline) __must_hold(lock)
{
	int rc = pthread_cond_timedwait(cond, &lock->m, deadline);

#ifdef IOMMUFD_DEBUG
	atomic_store_explicit(&lock->owner, pthread_self(), memory_order_relaxed);
#endif
	return -rc;
}

/** mutex_wait() - pthread_cond_wait() on a held mutex, which is held again on return */
static inline void mutex_wait(struct mutex *lock, pthread_cond_t *cond) __must_hold(lock)
{
	pthread_cond_wait(cond, &lock->m);
#ifdef IOMMUFD_DEBUG
	atomic_store_explicit(&lock->owner, pthread_self(), memory_order_relaxed);
#endif
}

static inline void mutex_assert_held(struct mutex *lock) __asserts_held(lock)
{
#ifdef IOMMUFD_DEBUG
	assert(atomic_load_explicit(&lock->owner, memory_order_relaxed) == pthread_self());
#else
	(void)lock;
#endif
}

static inline void rwlock_init(struct rwlock *lock)
{
	atomic_init(&lock->state, 0);
}

static inline void rwlock_destroy(struct rwlock *lock)
{
	assert(!atomic_load_explicit(&lock->state, memory_order_relaxed));
}

/* lock.c: the same where it may have to be waited for; and waking those who do */
void read_lock_wait(struct rwlock *lock);
void write_lock_wait(struct rwlock *lock);
void rwlock_wake(struct rwlock *lock);

static inline void read_lock(struct rwlock *lock) __acquires_shared(lock) __no_lock_analysis
{
	u32 seen = atomic_load_explicit(&lock->state, memory_order_relaxed);

	if (unlikely(seen & RWLOCK_WRITER) ||
	    unlikely(!atomic_compare_exchange_weak_explicit(&lock->state, &seen, seen + 1,
							    memory_order_acquire,
							    memory_order_relaxed)))
		read_lock_wait(lock);
}

static inline void read_unlock(struct rwlock *lock) __releases_shared(lock) __no_lock_analysis
{
	u32 seen = atomic_load_explicit(&lock->state, memory_order_relaxed), left;

	do
		left = seen - 1 == RWLOCK_WAITED ? 0 : seen - 1;
	while (unlikely(!atomic_compare_exchange_weak_explicit(&lock->state, &seen, left,
							       memory_order_release,
							       memory_order_relaxed)));
	if (unlikely(!left && seen & RWLOCK_WAITED))
		rwlock_wake(lock);
}

static inline void write_lock(struct rwlock *lock) __acquires(lock) __no_lock_analysis
{
	u32 none = 0;

	if (unlikely(!atomic_compare_exchange_weak_explicit(&lock->state, &none, RWLOCK_WRITER,
							    memory_order_acquire,
							    memory_order_relaxed)))
		write_lock_wait(lock);
}

static inline void write_unlock(struct rwlock *lock) __releases(lock) __no_lock_analysis
{
	if (unlikely(atomic_exchange_explicit(&lock->state, 0, memory_order_release) &
		     RWLOCK_WAITED))
		rwlock_wake(lock);
}

#endif
