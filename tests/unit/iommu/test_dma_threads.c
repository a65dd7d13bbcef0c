/* SPDX-License-Identifier: MIT */
/*
 * DMA by several threads against everything that takes memory away from it.
 *
 * Memory that was unmapped is poisoned at once, in place of the frame's next user: a DMA
 * that reads poison, or overwrites it, came too late.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../mem/keep_signals.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "dma_rig.h"

#define BASE	0x10000000ULL
#define PAGES	8
#define THREADS 3
#define POISON	0xdeaddeaddeaddeadULL
#define GOOD	0x1111111111111111ULL

#if defined(__SANITIZE_THREAD__)
#define ROUNDS 300
#else
#define ROUNDS 2000
#endif

static struct rig rig;
static _Atomic u64 *memory;
static atomic_bool stop;
static atomic_uint poison_read, done, refused, odd_errors;
static struct timespec started;

static int setup(void **state)
{
	rig_begin(&rig, IOMMUFD_FRAMES_CONTIGUOUS, false);
	memory = pages_alloc(PAGES * PAGE);
	for (u64 i = 0; i < PAGES * PAGE / 8; i++)
		atomic_store(&memory[i], GOOD);
	atomic_store(&stop, false);
	atomic_store(&poison_read, 0);
	atomic_store(&done, 0);
	atomic_store(&refused, 0);
	atomic_store(&odd_errors, 0);
	clock_gettime(CLOCK_MONOTONIC, &started);
	return 0;
}

static int teardown(void **state)
{
	rig_end(&rig);
	munmap(memory, PAGES * PAGE);
	return 0;
}

static void note(int rc)
{
	if (!rc)
		atomic_fetch_add(&done, 1);
	else if (rc == -EFAULT || rc == -EPERM || rc == -EACCES)
		atomic_fetch_add(&refused, 1);
	else
		atomic_fetch_add(&odd_errors, 1);
}

/* Each round waits for threads that may wait for a processor: what is done in 20 s will do. */
static bool enough(int round, int rounds)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return round >= rounds || now.tv_sec > started.tv_sec + 20;
}

/* At least ROUNDS / @part, and until the threads have met both sides of it. */
static bool again(int round, int part)
{
	if (!enough(round, ROUNDS / part))
		return true;
	return !(atomic_load(&done) > 100 && atomic_load(&refused));
}

static u64 next(u64 *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 33;
}

static void one_map(u64 iova)
{
	struct iommufd_dma_map *map;
	u64 value;
	int rc = iommufd_dma_map(rig.dev, 0, iova, 8, RW, &map, NULL);

	note(rc);
	if (rc)
		return;
	iommufd_dma_copy(&value, map->segs[0].ptr, 8);
	if (value == POISON)
		atomic_fetch_add(&poison_read, 1);
	value = GOOD;
	iommufd_dma_copy(map->segs[0].ptr, &value, 8);
	iommufd_dma_unmap(map);
}

static void one_ats(u64 iova)
{
	struct iommufd_ats_translation at;
	u64 value = GOOD;
	int rc = iommufd_ats_translate(rig.dev, 0, iova, RW, &at, NULL);

	if (!rc)
		rc = iommufd_ats_write(rig.dev, at.pa, &value, 8, NULL);
	if (!rc)
		rc = iommufd_ats_read(rig.dev, at.pa, &value, 8, NULL);
	note(rc);
	if (!rc && value == POISON)
		atomic_fetch_add(&poison_read, 1);
}

static void *device_thread(void *arg)
{
	u64 seed = (uintptr_t)arg, value, old;
	int rc;

	while (!atomic_load(&stop)) {
		u64 iova = BASE + next(&seed) % PAGES * PAGE + next(&seed) % 512 * 8;

		value = GOOD;
		switch (next(&seed) % 16) {
		case 0:
			one_map(iova);
			continue;
		case 1:
			one_ats(iova);
			continue;
		case 2:
			rc = iommufd_dma_atomic(rig.dev, 0, iova, 8, IOMMUFD_DMA_SWAP, GOOD, 0,
						&old, NULL);
			if (!rc)
				value = old;
			break;
		case 3 ... 8:
			rc = iommufd_dma_write(rig.dev, 0, iova, &value, 8, NULL);
			break;
		default:
			rc = iommufd_dma_read(rig.dev, 0, iova, &value, 8, NULL);
		}
		note(rc);
		if (!rc && value == POISON)
			atomic_fetch_add(&poison_read, 1);
	}
	return NULL;
}

static void *ats_thread(void *arg)
{
	u64 seed = (uintptr_t)arg;

	while (!atomic_load(&stop))
		one_ats(BASE + next(&seed) % PAGES * PAGE + next(&seed) % 512 * 8);
	return NULL;
}

static pthread_t threads[THREADS];

static void threads_start(void *(*fn)(void *))
{
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fn, (void *)(i + 1)), 0);
}

static void threads_end(void)
{
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&poison_read), 0);
	assert_int_equal(atomic_load(&odd_errors), 0);
	assert_true(atomic_load(&done) > 0);
}

static void poison_page(u64 page)
{
	_Atomic u64 *words = memory + page * PAGE / 8;

	for (u64 i = 0; i < PAGE / 8; i++)
		atomic_store_explicit(&words[i], POISON, memory_order_relaxed);
	sched_yield();
	for (u64 i = 0; i < PAGE / 8; i++)
		assert_int_equal(atomic_load_explicit(&words[i], memory_order_relaxed), POISON);
}

static void heal_page(u64 page)
{
	for (u64 i = 0; i < PAGE / 8; i++)
		atomic_store_explicit(&memory[page * PAGE / 8 + i], GOOD, memory_order_relaxed);
}

static void map_page(u64 page)
{
	rig_map(&rig, BASE + page * PAGE, (char *)memory + page * PAGE, PAGE, RW);
}

static void no_dma_after_unmap(void *(*fn)(void *))
{
	u64 seed = 99;

	for (u64 i = 0; i < PAGES; i++)
		map_page(i);
	rig_attach(&rig, IOMMU_NO_PASID);
	threads_start(fn);
	for (int i = 0; again(i, 1); i++) {
		u64 page = next(&seed) % PAGES;

		assert_int_equal(rig_unmap(&rig, BASE + page * PAGE, PAGE), 0);
		poison_page(page);
		heal_page(page);
		map_page(page);
	}
	threads_end();
	assert_true(atomic_load(&refused) > 0);
}

static void test_no_dma_after_unmap_has_returned(void **state)
{
	no_dma_after_unmap(device_thread);
}

static void test_no_translated_dma_after_unmap_has_returned(void **state)
{
	no_dma_after_unmap(ats_thread);
}

static void test_no_dma_after_detach_has_returned(void **state)
{
	for (u64 i = 0; i < PAGES; i++)
		map_page(i);
	rig_attach(&rig, IOMMU_NO_PASID);
	threads_start(device_thread);
	for (int i = 0; again(i, 4); i++) {
		iommufd_device_detach(rig.idev, IOMMU_NO_PASID);
		for (u64 page = 0; page < PAGES; page++)
			poison_page(page);
		for (u64 page = 0; page < PAGES; page++)
			heal_page(page);
		rig_attach(&rig, IOMMU_NO_PASID);
		usleep(50);
	}
	threads_end();
}

static void test_no_dma_by_the_old_table_after_replace_has_returned(void **state)
{
	u32 ioas[2], pt;

	ioas[0] = rig.ioas;
	ioas[1] = rig_ioas(&rig);
	for (int k = 0; k < 2; k++) {
		rig.ioas = ioas[k];
		rig_map(&rig, BASE, (char *)memory + k * (PAGES / 2) * PAGE, PAGES / 2 * PAGE, RW);
	}
	pt = ioas[0];
	assert_int_equal(iommufd_device_attach(rig.idev, 0, &pt), 0);
	threads_start(device_thread);
	for (int i = 1; !enough(i, ROUNDS / 2) || !atomic_load(&done); i++) {
		u64 old = i & 1 ? 0 : PAGES / 2;

		pt = ioas[i & 1];
		assert_int_equal(iommufd_device_replace(rig.idev, 0, &pt), 0);
		for (u64 page = old; page < old + PAGES / 2; page++)
			poison_page(page);
		for (u64 page = old; page < old + PAGES / 2; page++)
			heal_page(page);
	}
	threads_end();
}

/* ---- dirty pages, while others map and unmap ---- */

#define TRACKED 256

static u8 *tracked;

static void *mapper_thread(void *arg)
{
	while (!atomic_load(&stop)) {
		rig_map(&rig, BASE + 0x40000000, memory, PAGES * PAGE, RW);
		rig_unmap(&rig, BASE + 0x40000000, PAGES * PAGE);
	}
	return NULL;
}

/* Each write makes a byte that was not there: a copy brought up to date by bitmaps must have it. */
static void *changer_thread(void *arg)
{
	u64 seed = (uintptr_t)arg, value = 1;

	while (!atomic_load(&stop)) {
		u64 page = next(&seed) % TRACKED;

		value++;
		note(iommufd_dma_write(rig.dev, 0, BASE + page * PAGE + 8 * (uintptr_t)arg, &value,
				       8, NULL));
	}
	return NULL;
}

static void copy_page(u8 *copy, int page)
{
	for (u64 i = 0; i < PAGE; i += 8)
		*(u64 *)(copy + page * PAGE + i) =
			__atomic_load_n((u64 *)(tracked + page * PAGE + i), __ATOMIC_RELAXED);
}

static void copy_dirty(u8 *copy)
{
	u64 bitmap[TRACKED / 64] = { 0 };

	rig_dirty(&rig, BASE, TRACKED * PAGE, bitmap);
	for (int i = 0; i < TRACKED; i++)
		if (bitmap[i / 64] >> i % 64 & 1)
			copy_page(copy, i);
}

static void test_a_migrated_copy_is_the_memory(void **state)
{
	u8 *copy = pages_alloc(TRACKED * PAGE);

	tracked = pages_alloc(TRACKED * PAGE);
	for (int i = 0; i < TRACKED; i++)
		rig_map(&rig, BASE + i * PAGE, tracked + i * PAGE, PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(pthread_create(&threads[0], NULL, changer_thread, (void *)1), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, changer_thread, (void *)2), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, mapper_thread, NULL), 0);
	rig_track(&rig, true);
	for (int i = 0; i < TRACKED; i++)
		copy_page(copy, i);
	for (int round = 0; !enough(round, ROUNDS / 10) || !atomic_load(&done); round++)
		copy_dirty(copy);
	threads_end();
	copy_dirty(copy);
	assert_memory_equal(copy, tracked, TRACKED * PAGE);
	munmap(copy, TRACKED * PAGE);
	munmap(tracked, TRACKED * PAGE);
}

/* ---- a borrow holds an unmap up ---- */

static atomic_bool unmapped;

static void *unmap_thread(void *arg)
{
	rig_unmap(&rig, BASE, PAGE);
	atomic_store(&unmapped, true);
	return NULL;
}

static void test_unmap_waits_for_pointers_given_out(void **state)
{
	struct iommufd_dma_map *map;

	atomic_store(&unmapped, false);
	map_page(0);
	map_page(1);
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE, PAGE, RW, &map, NULL), 0);
	assert_int_equal(rig_unmap(&rig, BASE + PAGE, PAGE), 0); /* not the same page: goes */
	assert_int_equal(pthread_create(&threads[0], NULL, unmap_thread, NULL), 0);
	usleep(50000);
	assert_false(atomic_load(&unmapped));
	memset(map->segs[0].ptr, 1, PAGE);
	assert_int_equal(iommufd_dma_unmap(map), 0);
	pthread_join(threads[0], NULL);
	assert_true(atomic_load(&unmapped));
}

/* ---- memory that goes while it is used ---- */

static void *reader_thread(void *arg)
{
	u8 buf[4 * PAGE];

	while (!atomic_load(&stop)) {
		int rc = iommufd_dma_read(rig.dev, 0, BASE, buf, sizeof(buf), NULL);

		note(rc == -EIO ? -EFAULT : rc);
	}
	return NULL;
}

static void test_memory_may_vanish_during_dma(void **state)
{
	int fd = memfd_create("vanish", MFD_CLOEXEC);
	struct iommu_ioas_map_file map = { .size = sizeof(map),
					   .ioas_id = rig.ioas,
					   .fd = fd,
					   .flags = IOMMU_IOAS_MAP_FIXED_IOVA |
						    IOMMU_IOAS_MAP_READABLE,
					   .length = 4 * PAGE,
					   .iova = BASE };

	assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
	assert_int_equal(rig_ioctl(&rig, IOMMU_IOAS_MAP_FILE, &map), 0);
	rig_attach(&rig, IOMMU_NO_PASID);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader_thread, NULL), 0);
	for (int i = 0; again(i, 1); i++)
		assert_int_equal(ftruncate(fd, i & 1 ? 4 * PAGE : PAGE), 0);
	threads_end();
	close(fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_no_dma_after_unmap_has_returned),
		T(test_no_translated_dma_after_unmap_has_returned),
		T(test_no_dma_after_detach_has_returned),
		T(test_no_dma_by_the_old_table_after_replace_has_returned),
		T(test_a_migrated_copy_is_the_memory),
		T(test_unmap_waits_for_pointers_given_out),
		T(test_memory_may_vanish_during_dma),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
