/* SPDX-License-Identifier: MIT */
/*
 * Many threads at once, on contexts of their own and on one together.
 */
#include "prog.h"

#include <pthread.h>

#define THREADS 8
#define ROUNDS 500

static int shared;

static void *work(void *arg)
{
	int own = open_iommu();

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t id = ioas_alloc(shared);

		CHECK(ioas_alloc(own) == 1);
		CHECK(destroy(own, 1) == 0);
		CHECK(destroy(shared, id) == 0);
		CHECK_ERRNO(ENOENT, destroy(own, 1));
	}
	close(own);
	return arg;
}

static void threads_do_not_disturb_each_other(void)
{
	pthread_t threads[THREADS];

	shared = open_iommu();
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	/* All ids came back. */
	CHECK(ioas_alloc(shared) == 1);
	close(shared);
}

int main(void)
{
	threads_do_not_disturb_each_other();
	return 0;
}
