/* SPDX-License-Identifier: MIT */
/*
 * Many threads at once, on contexts of their own and on one together.
 */
#include "prog.h"

#include <pthread.h>
#include <stdbool.h>

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

static bool used_before;

static void *first_thread_gone(void *arg)
{
	uint64_t iova;
	void *va;
	int fd;

	/* Until it has ended. */
	CHECK(pthread_join(*(pthread_t *)arg, NULL) == 0);
	fd = open_iommu();
	CHECK(ioas_alloc(fd) == 1);
	va = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(va != MAP_FAILED && ioas_map(fd, 1, va, 8192, &iova) == 0);
	close(fd);
	if (used_before)
		CHECK(ioas_alloc(shared) == 2);
	_exit(0);
}

static void a_process_goes_on_without_its_first_thread(void)
{
	static pthread_t first;
	pthread_t thread;
	pid_t pid;

	for (int before = 0; before < 2; before++) {
		pid = fork();
		if (!pid) {
			used_before = before;
			shared = before ? open_iommu() : -1;
			CHECK(!before || ioas_alloc(shared) == 1);
			first = pthread_self();
			CHECK(pthread_create(&thread, NULL, first_thread_gone, &first) == 0);
			pthread_exit(NULL);
		}
		CHECK(child_status(pid) == 0);
	}
}

int main(void)
{
	threads_do_not_disturb_each_other();
	a_process_goes_on_without_its_first_thread();
	return 0;
}
