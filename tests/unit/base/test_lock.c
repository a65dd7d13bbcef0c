/* SPDX-License-Identifier: MIT */
/*
 * Readers-writer locks: who is kept out, and nobody sleeps for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/lock.h"

#define THREADS 4
#define ROUNDS	20000

static struct rwlock lock;
static u64 left, right; /* equal, but for a writer at work */
static atomic_uint odd, reading;

static void *worker(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		if ((i + me) % 4 == 0) {
			write_lock(&lock);
			left++;
			if (i % 64 == 0)
				sched_yield();
			right++;
			write_unlock(&lock);
		} else {
			read_lock(&lock);
			if (left != right)
				atomic_fetch_add(&odd, 1);
			if (i % 64 == 1)
				sched_yield();
			read_unlock(&lock);
		}
	}
	return NULL;
}

static void writers_are_alone(void **state)
{
	pthread_t threads[THREADS];

	rwlock_init(&lock);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&odd), 0);
	assert_int_equal(left, THREADS * ROUNDS / 4);
	assert_int_equal(left, right);
	rwlock_destroy(&lock);
}

static void *reader(void *arg)
{
	read_lock(&lock);
	atomic_fetch_add(&reading, 1);
	while (atomic_load(&reading) < 2)
		sched_yield();
	read_unlock(&lock);
	return NULL;
}

static void readers_are_together(void **state)
{
	pthread_t threads[2];

	rwlock_init(&lock);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, NULL), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	rwlock_destroy(&lock);
}

static atomic_uint entered;

static void *late_reader(void *arg)
{
	read_lock(&lock);
	atomic_fetch_add(&entered, 1);
	read_unlock(&lock);
	return NULL;
}

static void *late_writer(void *arg)
{
	write_lock(&lock);
	atomic_fetch_add(&entered, 1);
	write_unlock(&lock);
	return NULL;
}

/* Long enough that all of them sleep. */
static void who_sleeps_is_woken(void **state) __no_lock_analysis
{
	pthread_t threads[4];

	for (int by_writer = 0; by_writer < 2; by_writer++) {
		rwlock_init(&lock);
		atomic_store(&entered, 0);
		if (by_writer)
			write_lock(&lock);
		else
			read_lock(&lock);
		for (int i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&threads[i], NULL,
							i % 2 ? late_reader : late_writer, NULL),
					 0);
		usleep(20000);
		if (by_writer)
			assert_int_equal(atomic_load(&entered), 0);
		else /* a writer that waits keeps no reader out */
			assert_true(atomic_load(&entered) <= 2);
		if (by_writer)
			write_unlock(&lock);
		else
			read_unlock(&lock);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(atomic_load(&entered), 4);
		rwlock_destroy(&lock);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writers_are_alone),
		cmocka_unit_test(readers_are_together),
		cmocka_unit_test(who_sleeps_is_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
