/* SPDX-License-Identifier: MIT */
/*
 * Pins from several threads: windows that come and go under everybody's feet,
 * counters that add up, and readers who know nothing but an address.
 */
#include "mem_fixture.h"

#define THREADS 4
#define ROUNDS 3000

struct world {
	struct mem_space *space;
	struct mm *mm;
	u8 *buf;
	int fd;
	_Atomic u64 pa;      /* somewhere in a window that may be gone */
	_Atomic bool stop;
	_Atomic u32 wrong;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);
	assert_int_equal(mm_create_self(w->space, false, &w->mm), 0);
	w->fd = memfd_new("shared", 0, 8 * PAGE_SIZE);
	w->buf = map_memory(8 * PAGE_SIZE, MAP_SHARED, w->fd);
	memset(w->buf, 0x77, 8 * PAGE_SIZE);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	assert_int_equal(atomic_load(&w->wrong), 0);
	mm_put(w->mm);
	munmap(w->buf, 8 * PAGE_SIZE);
	close(w->fd);
	space_end(w->space);
	free(w);
	return 0;
}

static void run_threads(struct world *w, void *(*fn)(void *), void *(*last)(void *))
{
	pthread_t threads[THREADS], extra;

	if (last)
		pthread_create(&extra, NULL, last, w);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, fn, w);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&w->stop, true);
	if (last)
		pthread_join(extra, NULL);
}

static void *pin_and_unpin(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct mem_run run;
		u8 byte = 0;

		if (mem_pin_va(w->mm, (uintptr_t)w->buf + i % 8 * PAGE_SIZE, 8 - i % 8, true,
			       &run) != 8 - i % 8) {
			atomic_fetch_add(&w->wrong, 1);
			continue;
		}
		atomic_store(&w->pa, run_pa(&run));
		if (mem_phys_read(w->space, run_pa(&run), &byte, 1) || byte != 0x77)
			atomic_fetch_add(&w->wrong, 1);
		mem_run_pin_again(&run);
		mem_unpin(&run);
		mem_unpin(&run);
	}
	return NULL;
}

/* A device without translation: it reads where memory may be, and gets it or an error. */
static void *read_blindly(void *arg)
{
	struct world *w = arg;

	while (!atomic_load(&w->stop)) {
		u64 pa = atomic_load(&w->pa);
		u8 byte = 0;
		int rc = pa ? mem_phys_read(w->space, pa, &byte, 1) : -EFAULT;

		if (rc ? rc != -EFAULT : byte != 0x77)
			atomic_fetch_add(&w->wrong, 1);
	}
	return NULL;
}

static void windows_of_files_come_and_go(void **state)
{
	run_threads(*state, pin_and_unpin, read_blindly);
}

static void *pin_by_file(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < ROUNDS / 4; i++) {
		struct mem_file *file;
		struct mem_run run;

		if (mem_file_open(w->space, w->fd, &file)) {
			atomic_fetch_add(&w->wrong, 1);
			continue;
		}
		for (int k = 0; k < 3; k++) {
			if (mem_pin_file(file, k, 4, &run) == 4)
				mem_unpin(&run);
			else
				atomic_fetch_add(&w->wrong, 1);
		}
		mem_file_put(file);
	}
	return NULL;
}

static void files_are_opened_by_all_at_once(void **state)
{
	run_threads(*state, pin_by_file, pin_and_unpin);
}

static void *pin_private(void *arg)
{
	struct world *w = arg;
	u8 *mine = map_memory(4 * PAGE_SIZE, MAP_PRIVATE, -1);

	for (int i = 0; i < ROUNDS; i++) {
		struct mem_run run;

		if (mem_pin_va(w->mm, (uintptr_t)mine, 4, true, &run) == 4)
			mem_unpin(&run);
		else
			atomic_fetch_add(&w->wrong, 1);
	}
	munmap(mine, 4 * PAGE_SIZE);
	return NULL;
}

static void private_memory_is_pinned_by_all(void **state)
{
	struct world *w = *state;

	run_threads(w, pin_private, NULL);
	mm_put(w->mm);
	assert_int_equal(mm_create_self(w->space, true, &w->mm), 0);
	run_threads(w, pin_private, NULL);
}

static void *truncate_and_extend(void *arg)
{
	struct world *w = arg;

	while (!atomic_load(&w->stop))
		for (int pages = 1; pages <= 8; pages += 7)
			if (ftruncate(w->fd, (off_t)(pages * PAGE_SIZE)))
				atomic_fetch_add(&w->wrong, 1);
	return NULL;
}

static void *pin_three(void *arg)
{
	struct world *w = arg;
	struct mem_run run;
	s64 n;

	for (int i = 0; i < 10 * ROUNDS; i++) {
		n = mem_pin_va(w->mm, (uintptr_t)w->buf, 3, true, &run);
		if (n > 0)
			mem_unpin(&run);
		if (n < 1 || n > 3)
			atomic_fetch_add(&w->wrong, 1);
	}
	return NULL;
}

/* More than was asked for would be pins nobody ever drops. */
static void a_file_that_grows_gives_no_more_than_asked_for(void **state)
{
	run_threads(*state, pin_three, truncate_and_extend);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(windows_of_files_come_and_go),
		TEST(files_are_opened_by_all_at_once),
		TEST(a_file_that_grows_gives_no_more_than_asked_for),
		TEST(private_memory_is_pinned_by_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
