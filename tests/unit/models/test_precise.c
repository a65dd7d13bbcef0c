/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking end to end: devices write through large entries from several threads, and the
 * bitmap is held against what they wrote.
 */
#include "machine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "iommu/group.h"

#define IOVA 0x40000000ULL
#define ELSEWHERE 0x80000000ULL
#define PAGES (LENGTH / SZ_4K)
#define HALF (PAGES / 2)
#define WRITERS 3
#define ROUNDS 4

struct bits {
	u64 words[PAGES / 64];
};

static bool bit(const struct bits *bits, u64 page)
{
	return bits->words[page / 64] >> page % 64 & 1;
}

static void bits_or(struct bits *to, const struct bits *from)
{
	for (u32 i = 0; i < PAGES / 64; i++)
		to->words[i] |= from->words[i];
}

/* struct writer - a device's thread, and the pages it wrote */
struct writer {
	pthread_t thread;
	u64 seed;
	u32 writes;
	struct bits written;
};

static atomic_bool stop, second_half;

static u64 rnd(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void write_at(struct writer *w, u64 off, size_t len)
{
	char buf[5000];

	memset(buf, (int)rnd(&w->seed), len);
	for (u64 page = off / SZ_4K; page <= (off + len - 1) / SZ_4K; page++)
		w->written.words[page / 64] |= 1ULL << page % 64;
	assert_int_equal(iommufd_dma_write(m.dev, 0, IOVA + off, buf, len, NULL), 0);
}

/* Anywhere, some over the border of pages and of large entries, some by atomics. */
static void *write_some(void *arg)
{
	struct writer *w = arg;
	u64 old;

	for (u32 i = 0; i < w->writes; i++) {
		u64 off = rnd(&w->seed) % (LENGTH - 8192);
		struct iommufd_dma_map *borrowed;

		switch (i % 4) {
		case 0:
			write_at(w, off, 1 + rnd(&w->seed) % 4999);
			break;
		case 1:
			off &= ~7ULL;
			w->written.words[off / SZ_4K / 64] |= 1ULL << off / SZ_4K % 64;
			assert_int_equal(iommufd_dma_atomic(m.dev, 0, IOVA + off, 8,
							    IOMMUFD_DMA_FETCH_ADD, 1, 0, &old,
							    NULL), 0);
			break;
		case 2:
			w->written.words[off / SZ_4K / 64] |= 1ULL << off / SZ_4K % 64;
			assert_int_equal(iommufd_dma_map(m.dev, 0, IOVA + off, 1, W, &borrowed,
							 NULL), 0);
			assert_int_equal(iommufd_dma_unmap(borrowed), 0);
			break;
		default:
			write_at(w, off, 8);
		}
	}
	return NULL;
}

/* Reads everything, and writes the first half until it is to write the second. */
static void *write_halves(void *arg)
{
	struct writer *w = arg;
	u64 got;

	while (!atomic_load(&stop)) {
		u64 at = atomic_load(&second_half) ? HALF * SZ_4K : 0;

		write_at(w, at + rnd(&w->seed) % HALF / 8 * 8 * SZ_4K + rnd(&w->seed) % 4000, 8);
		assert_int_equal(iommufd_dma_read(m.dev, 0,
						  IOVA + rnd(&w->seed) % (LENGTH - 8), &got, 8,
						  NULL), 0);
	}
	return NULL;
}

/* The program: other memory comes and goes in the same ioas, large and small. */
static void *map_elsewhere(void *arg)
{
	u64 seed = 77;

	while (!atomic_load(&stop)) {
		u64 length = rnd(&seed) % 2 ? 2 * SZ_2M : SZ_2M + 5 * SZ_4K;
		u64 iova = ELSEWHERE + rnd(&seed) % 4 * SZ_2M;

		assert_int_equal(map(iova, m.memory, length, MAP_RW), 0);
		assert_int_equal(map(iova + length, m.memory + length, SZ_2M, MAP_RW), 0);
		assert_int_equal(unmap(iova, length), 0);
		assert_int_equal(unmap(iova + length, SZ_2M), 0);
	}
	return NULL;
}

static void writers_start(struct writer *writers, void *(*fn)(void *), u32 writes)
{
	for (u32 i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ .seed = 1000 + i, .writes = writes };
		assert_int_equal(pthread_create(&writers[i].thread, NULL, fn, &writers[i]), 0);
	}
}

static void writers_join(struct writer *writers, struct bits *written)
{
	memset(written, 0, sizeof(*written));
	for (u32 i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		bits_or(written, &writers[i].written);
	}
}

static void read_into(u32 hwpt, struct bits *bits)
{
	assert_int_equal(read_bitmap(hwpt, IOVA, LENGTH, SZ_4K, bits->words), 0);
}

/* log2 of the entry that translates @iova. */
static unsigned int entry_lg2(u64 iova)
{
	struct iommu_domain *domain = iommu_attach_handle_get(m.dev->iommu_group, 0)->domain;
	struct iommu_xlat xlat;

	assert_int_equal(domain->ops->translate(domain, iova, R, &xlat), IOMMU_XLAT_OK);
	return xlat.lg2;
}

static u32 tracked_domain(void)
{
	u32 hwpt;

	assert_int_equal(hwpt_alloc(IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt), 0);
	attach(IOMMU_NO_PASID, hwpt);
	atomic_store(&stop, false);
	atomic_store(&second_half, false);
	return hwpt;
}

static u32 large_mapping(void)
{
	u32 hwpt = tracked_domain();

	assert_int_equal(map(IOVA, m.memory, LENGTH, MAP_RW), 0);
	assert_true(entry_lg2(IOVA) >= 21);
	return hwpt;
}

static void pages_written_by_many_threads_and_no_others_are_dirty(void **state)
{
	struct writer writers[WRITERS];
	struct bits written, got = { 0 };
	u32 hwpt = large_mapping();
	pthread_t mapper;

	assert_int_equal(pthread_create(&mapper, NULL, map_elsewhere, NULL), 0);
	assert_int_equal(track(hwpt, true), 0);
	writers_start(writers, write_some, 300);
	writers_join(writers, &written);
	atomic_store(&stop, true);
	pthread_join(mapper, NULL);
	read_into(hwpt, &got);
	assert_memory_equal(&got, &written, sizeof(got));
	assert_int_equal(track(hwpt, false), 0);
}

static void rounds_of_reading_and_clearing_add_up(void **state)
{
	struct bits written, got = { 0 }, none = { 0 };
	struct writer writers[WRITERS];
	u32 hwpt = large_mapping();
	pthread_t mapper;

	assert_int_equal(pthread_create(&mapper, NULL, map_elsewhere, NULL), 0);
	assert_int_equal(track(hwpt, true), 0);
	writers_start(writers, write_some, 600);
	for (u32 i = 0; i < 50; i++) /* the bitmap is OR-ed into */
		read_into(hwpt, &got);
	writers_join(writers, &written);
	atomic_store(&stop, true);
	pthread_join(mapper, NULL);
	read_into(hwpt, &got);
	assert_memory_equal(&got, &written, sizeof(got));
	memset(&got, 0, sizeof(got));
	read_into(hwpt, &got);
	assert_memory_equal(&got, &none, sizeof(got));
}

static void devices_and_the_program_go_on_while_it_is_switched(void **state)
{
	struct bits written, got;
	struct writer writers[WRITERS];
	u32 hwpt = large_mapping();
	pthread_t mapper;

	assert_int_equal(pthread_create(&mapper, NULL, map_elsewhere, NULL), 0);
	for (u32 round = 0; round < ROUNDS; round++) {
		atomic_store(&second_half, false);
		atomic_store(&stop, false);
		writers_start(writers, write_halves, 0);
		assert_int_equal(track(hwpt, true), 0);
		assert_int_equal(entry_lg2(IOVA), 12);
		assert_int_equal(entry_lg2(IOVA + LENGTH - 1), 12);
		atomic_store(&second_half, true);
		for (u32 i = 0; i < 3; i++)
			assert_int_equal(track(hwpt, true), 0); /* again, which clears */
		memset(&got, 0, sizeof(got));
		read_into(hwpt, &got);
		assert_int_equal(track(hwpt, false), 0);
		atomic_store(&stop, true);
		writers_join(writers, &written);
		for (u32 i = 0; i < PAGES; i++)
			assert_true(!bit(&got, i) || bit(&written, i));
		memset(&got, 0, sizeof(got));
		read_into(hwpt, &got); /* what was left when it was switched off */
		for (u32 i = 0; i < PAGES; i++)
			assert_true(!bit(&got, i) || bit(&written, i));
		atomic_store(&stop, false);
	}
	atomic_store(&stop, true);
	pthread_join(mapper, NULL);
	/* one without writers, after which nothing is marked: all is as it was */
	assert_int_equal(track(hwpt, true), 0);
	assert_int_equal(track(hwpt, false), 0);
	assert_true(entry_lg2(IOVA) >= 21);
	assert_int_equal(unmap(IOVA, LENGTH), 0);
}

static void a_write_that_was_tracked_is_reported_after_the_switch_as_well(void **state)
{
	struct writer w = { .seed = 5 };
	struct bits got = { 0 };
	u32 hwpt = large_mapping();

	assert_int_equal(track(hwpt, true), 0);
	write_at(&w, 7 * SZ_4K + 5, 10);
	write_at(&w, 3 * SZ_2M - 4, 8);
	assert_int_equal(track(hwpt, false), 0);
	write_at(&(struct writer){ .seed = 6 }, 100 * SZ_4K, 10);
	read_into(hwpt, &got);
	assert_memory_equal(&got, &w.written, sizeof(got));
	/* entries with marks stayed small; the others did not, nor do these next time */
	assert_int_equal(entry_lg2(IOVA + 7 * SZ_4K), 12);
	assert_true(entry_lg2(IOVA + 4 * SZ_2M) >= 21);
	assert_int_equal(track(hwpt, true), 0);
	assert_int_equal(track(hwpt, false), 0);
	assert_true(entry_lg2(IOVA + 7 * SZ_4K) >= 21);
}

static void what_is_mapped_meanwhile_is_small_and_then_large(void **state)
{
	u32 hwpt = tracked_domain();
	struct writer w = { .seed = 9 };
	struct bits got = { 0 };

	assert_int_equal(track(hwpt, true), 0);
	assert_int_equal(map(IOVA, m.memory, LENGTH, MAP_RW), 0);
	assert_int_equal(entry_lg2(IOVA), 12);
	write_at(&w, SZ_2M + 12345, 4999);
	read_into(hwpt, &got);
	assert_memory_equal(&got, &w.written, sizeof(got));
	assert_int_equal(track(hwpt, false), 0);
	assert_true(entry_lg2(IOVA) >= 21);
	assert_true(entry_lg2(IOVA + LENGTH - 1) >= 21);
}

/* Side by side in iova and in memory, but mapped one by one: they must come apart again. */
static void areas_are_not_joined_to_their_neighbours(void **state)
{
	u32 hwpt = tracked_domain();

	for (u32 round = 0; round < 2; round++) {
		if (round)
			assert_int_equal(track(hwpt, true), 0);
		for (u64 off = 0; off < 2 * SZ_2M; off += SZ_2M / 4)
			assert_int_equal(map(IOVA + off, m.memory + off, SZ_2M / 4, MAP_RW), 0);
		if (!round)
			assert_int_equal(track(hwpt, true), 0);
		/* and one of two halves comes back as something else */
		assert_int_equal(unmap(IOVA, SZ_2M / 4), 0);
		assert_int_equal(map(IOVA, m.memory, SZ_2M / 8, MAP_RW), 0);
		assert_int_equal(map(IOVA + SZ_2M / 8, m.memory + SZ_2M / 8, SZ_2M / 8, MAP_RW), 0);
		assert_int_equal(track(hwpt, false), 0);
		assert_int_equal(entry_lg2(IOVA), 18);
		assert_int_equal(entry_lg2(IOVA + SZ_2M / 8), 18);
		assert_int_equal(entry_lg2(IOVA + SZ_2M / 4), 19);
		assert_int_equal(unmap(IOVA + SZ_2M, SZ_2M / 4), 0);
		assert_int_equal(unmap(IOVA + SZ_2M / 8, SZ_2M / 8), 0);
		assert_int_equal(entry_lg2(IOVA), 18);
		assert_int_equal(unmap(IOVA, SZ_2M), 0);
		assert_int_equal(unmap(IOVA + SZ_2M + SZ_2M / 4, 3 * SZ_2M / 4), 0);
	}
}

static void what_was_small_before_is_small_afterwards(void **state)
{
	struct iommu_option small = { .size = sizeof(small), .option_id = IOMMU_OPTION_HUGE_PAGES,
				      .op = IOMMU_OPTION_OP_SET, .object_id = m.ioas };
	u32 hwpt;

	assert_int_equal(command(IOMMU_OPTION, &small), 0);
	hwpt = tracked_domain();
	assert_int_equal(map(IOVA, m.memory, LENGTH, MAP_RW), 0);
	assert_int_equal(track(hwpt, true), 0);
	assert_int_equal(map(ELSEWHERE, m.memory, LENGTH, MAP_RW), 0);
	assert_int_equal(track(hwpt, false), 0);
	assert_int_equal(entry_lg2(IOVA), 12);
	assert_int_equal(entry_lg2(ELSEWHERE), 12);
}

static void without_memory_the_switch_fails_and_all_is_as_it_was(void **state)
{
	struct writer w = { .seed = 11 };
	u32 hwpt = large_mapping();
	bool failed;
	u32 n = 0;
	int rc;

	do {
		iommufd_fail_nth_set(++n);
		rc = track(hwpt, true);
		failed = !iommufd_fail_nth_get();
		iommufd_fail_nth_set(0);
		assert_true(!rc == !failed);
		if (failed)
			assert_true(entry_lg2(IOVA) >= 21);
		write_at(&w, rnd(&w.seed) % (LENGTH - 8), 8);
	} while (failed);
	assert_true(n > 4); /* a table for each 2 MiB */
	assert_int_equal(entry_lg2(IOVA), 12);
}

/* ---- without the switch ---- */

static void a_mark_stands_for_its_entry(void **state)
{
	struct bits got = { 0 }, all;
	struct writer w = { .seed = 3 };
	u32 hwpt = large_mapping();
	u64 first, n;

	assert_int_equal(track(hwpt, true), 0);
	assert_true(entry_lg2(IOVA) >= 21);
	write_at(&w, 9 * SZ_4K, 1);
	read_into(hwpt, &got);
	memset(&all, 0, sizeof(all));
	n = (1ULL << entry_lg2(IOVA)) / SZ_4K;
	for (first = 0; first < n; first++)
		all.words[first / 64] |= 1ULL << first % 64;
	assert_memory_equal(&got, &all, sizeof(got));
}

static void a_mark_of_a_small_page_stands_for_it_alone(void **state)
{
	struct writer writers[WRITERS];
	struct bits written, got = { 0 };
	u32 hwpt = tracked_domain();

	for (u64 off = 0; off < LENGTH; off += SZ_4K)
		assert_int_equal(map(IOVA + off, m.memory + off, SZ_4K, MAP_RW), 0);
	assert_int_equal(track(hwpt, true), 0);
	writers_start(writers, write_some, 200);
	for (u32 i = 0; i < 10; i++)
		read_into(hwpt, &got);
	writers_join(writers, &written);
	read_into(hwpt, &got);
	assert_memory_equal(&got, &written, sizeof(got));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, machine_begin_precise, machine_end)
#define PLAIN(name) cmocka_unit_test_setup_teardown(name, machine_begin, machine_end)
	const struct CMUnitTest tests[] = {
		TEST(pages_written_by_many_threads_and_no_others_are_dirty),
		TEST(rounds_of_reading_and_clearing_add_up),
		TEST(devices_and_the_program_go_on_while_it_is_switched),
		TEST(a_write_that_was_tracked_is_reported_after_the_switch_as_well),
		TEST(what_is_mapped_meanwhile_is_small_and_then_large),
		TEST(areas_are_not_joined_to_their_neighbours),
		TEST(what_was_small_before_is_small_afterwards),
		TEST(without_memory_the_switch_fails_and_all_is_as_it_was),
		PLAIN(a_mark_stands_for_its_entry),
		PLAIN(a_mark_of_a_small_page_stands_for_it_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
