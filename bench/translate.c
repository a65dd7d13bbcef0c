/* SPDX-License-Identifier: MIT */
/*
 * DMA in process: translation of the same page again, of random pages among 1
 * to 262144 mappings of 4 KiB, copies, and how it scales with threads.
 *
 * Baselines are measured in the same rounds: the loads a walk of that depth
 * depends on, one after the other, on tables of the same size; what a user would
 * write (a sorted array, a balanced tree, a hash table); memcpy.
 *
 * Rows named "chained" know the next address when the last answer is there, on both
 * sides; in the others queries may overlap, on both sides.
 */
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <iommufd/device.h>
#include <iommufd/dma.h>
#include <iommufd/generic.h>

#include "bench.h"
#include "machine.h"

#define KIB 1024ULL
#define MIB (KIB * KIB)
#define PAGE 4096ULL
#define BASE 0x100000000ULL
#define MAX_PAGES 262144ULL
#define HASH_SLOTS (2 * MAX_PAGES)
#define RANDOMS 65536U
#define FAR (1ULL << 40) /* far away, so that the table is four levels deep */

struct range {
	uint64_t first, last, pa;
};

struct rig {
	struct machine machine;
	struct device *dev;
	struct iommufd_device *idev;
	char *memory;
	uint64_t pages;        /* mapped now, from BASE on */
	uint64_t *iovas;       /* RANDOMS of them */
	struct range *ranges;  /* sorted */
	void *tree;
	const struct range **hash; /* HASH_SLOTS */
	uint64_t *level[4];    /* tables for the dependent loads */
	char *buffer;
	uint64_t copy;
	volatile uint64_t sink;
	uint64_t zero; /* is 0, but the compiler does not know */
};

static void rig_open(struct rig *rig)
{
	struct machine *m = &rig->machine;
	uint32_t id, pt;

	machine_open(m);
	bench_check(!iommufd_generic_device_create(m->system, "bench", &rig->dev), "device");
	rig->idev = iommufd_device_bind(m->ctx, rig->dev, &id);
	bench_check(!IS_ERR(rig->idev), "iommufd_device_bind");
	pt = m->ioas;
	bench_check(!iommufd_device_attach(rig->idev, IOMMU_NO_PASID, &pt), "attach");
}

static void rig_close(struct rig *rig)
{
	iommufd_device_detach(rig->idev, IOMMU_NO_PASID);
	iommufd_device_unbind(rig->idev);
	iommufd_generic_device_destroy(rig->dev);
	machine_close(&rig->machine);
}

/* ---- what is measured ---- */

static uint64_t translate(struct rig *rig, uint64_t iova)
{
	uint64_t pa;

	if (iommufd_dma_translate(rig->dev, IOMMU_NO_PASID, iova, IOMMU_READ, &pa))
		abort();
	return pa;
}

static void same_page(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t sum = 0;

	while (n--)
		sum += translate(rig, BASE + n % 512 * 8);
	rig->sink = sum;
}

static void random_pages(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t sum = 0;

	while (n--)
		sum += translate(rig, rig->iovas[n % RANDOMS]);
	rig->sink = sum;
}

static void random_chained(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t pa = 0;

	while (n--)
		pa = translate(rig, rig->iovas[(n + (pa & rig->zero)) % RANDOMS]);
	rig->sink = pa;
}

static void read_same_word(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t word;

	while (n--)
		if (iommufd_dma_read(rig->dev, 0, BASE + n % 512 * 8, &word, 8, NULL))
			abort();
}

static void read_random_words(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t word;

	while (n--)
		if (iommufd_dma_read(rig->dev, 0, rig->iovas[n % RANDOMS], &word, 8, NULL))
			abort();
}

static void copy_out(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	while (n--)
		if (iommufd_dma_read(rig->dev, 0, BASE, rig->buffer, rig->copy, NULL))
			abort();
}

/* ---- baselines ---- */

static void one_load(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t sum = 0;

	while (n--)
		sum += ((volatile uint64_t *)rig->buffer)[n % 512];
	rig->sink = sum;
}

/* Four tables, each naming the next: nothing but the loads a walk waits for. */
static inline uint64_t four_loads(const struct rig *rig, uint64_t iova)
{
	const uint64_t *table = rig->level[3];

	table = (const uint64_t *)(uintptr_t)table[iova >> 39 & 511];
	table = (const uint64_t *)(uintptr_t)table[iova >> 30 & 511];
	table = (const uint64_t *)(uintptr_t)table[iova >> 21 & 511];
	return table[iova >> 12 & 511];
}

static void dependent_loads(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t sum = 0;

	while (n--)
		sum += four_loads(rig, rig->iovas[n % RANDOMS]);
	rig->sink = sum;
}

static void dependent_loads_chained(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t pa = 0;

	while (n--)
		pa = four_loads(rig, rig->iovas[(n + (pa & rig->zero)) % RANDOMS]);
	rig->sink = pa;
}

/* Of memory that no IOMMU is in front of: what the data itself costs. */
static void random_words(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t sum = 0;

	while (n--) {
		uint64_t offset = rig->iovas[n % RANDOMS] - BASE;

		sum += *(volatile uint64_t *)(rig->memory +
					      (offset / PAGE * 40503 % MAX_PAGES * PAGE |
					       offset % PAGE));
	}
	rig->sink = sum;
}

static void sorted_array(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t sum = 0;

	while (n--) {
		uint64_t iova = rig->iovas[n % RANDOMS], low = 0, high = rig->pages;

		while (high - low > 1) {
			uint64_t mid = (low + high) / 2;

			if (rig->ranges[mid].first <= iova)
				low = mid;
			else
				high = mid;
		}
		sum += rig->ranges[low].pa + (iova - rig->ranges[low].first);
	}
	rig->sink = sum;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->last < y->first ? -1 : x->first > y->last;
}

static void balanced_tree(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t sum = 0;

	while (n--) {
		uint64_t iova = rig->iovas[n % RANDOMS];
		struct range key = { iova, iova, 0 };
		struct range *hit = *(struct range **)tfind(&key, &rig->tree, compare_ranges);

		sum += hit->pa + (iova - hit->first);
	}
	rig->sink = sum;
}

/* By page number, open addressing, at most half full. */
static void hash_insert(struct rig *rig, const struct range *range)
{
	uint64_t at = range->first / PAGE * 0x9e3779b97f4a7c15ULL >> 32;

	while (rig->hash[at %= HASH_SLOTS])
		at++;
	rig->hash[at] = range;
}

static void hash_table(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	uint64_t sum = 0;

	while (n--) {
		uint64_t iova = rig->iovas[n % RANDOMS];
		uint64_t at = iova / PAGE * 0x9e3779b97f4a7c15ULL >> 32;

		at %= HASH_SLOTS;
		while (rig->hash[at]->first != iova / PAGE * PAGE)
			at = (at + 1) % HASH_SLOTS;
		sum += rig->hash[at]->pa + iova % PAGE;
	}
	rig->sink = sum;
}

static void plain_memcpy(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	while (n--) {
		memcpy(rig->buffer, rig->memory, rig->copy);
		__asm__ volatile("" : : "r"(rig->buffer) : "memory");
	}
}

/* ---- scenes ---- */

static void tables_grow(struct rig *rig, uint64_t page)
{
	uint64_t iova = BASE + page * PAGE, **slot;
	uint64_t *table = rig->level[3];

	for (int shift = 39; shift > 12; shift -= 9) {
		slot = (uint64_t **)&table[iova >> shift & 511];
		if (!*slot) {
			*slot = aligned_alloc(PAGE, PAGE);
			bench_check(*slot != NULL, "tables");
			memset(*slot, 0, PAGE);
		}
		table = *slot;
	}
	table[iova >> 12 & 511] = iova;
}

/* Every page a mapping of its own, and no two neighbours in memory, as with scattered frames. */
static void scene_grow(struct rig *rig, uint64_t pages)
{
	for (uint64_t i = rig->pages; i < pages; i++) {
		uint64_t at = (i * 40503) % MAX_PAGES;
		struct range *range = &rig->ranges[i];

		machine_map(&rig->machine, BASE + i * PAGE, rig->memory + at * PAGE, PAGE);
		*range = (struct range){ BASE + i * PAGE, BASE + i * PAGE + PAGE - 1, at * PAGE };
		tsearch(range, &rig->tree, compare_ranges);
		hash_insert(rig, range);
		tables_grow(rig, i);
	}
	rig->pages = pages;
	for (uint32_t i = 0; i < RANDOMS; i++)
		rig->iovas[i] = BASE +
				((uint64_t)random() << 20 ^ (uint64_t)random()) % pages * PAGE +
				(uint64_t)random() % 512 * 8;
}

static void row(struct rig *rig, const char *what, uint64_t pages, bench_fn fn,
		const char *baseline, bench_fn baseline_fn, double aim, double aim_ratio)
{
	char name[96];
	struct bench bench = { .name = name, .fn = fn, .n = 500000, .baseline = baseline,
			       .baseline_fn = baseline_fn, .baseline_n = 200000, .aim_ns = aim,
			       .aim_ratio = aim_ratio };

	snprintf(name, sizeof(name), "%s, %llu mappings", what, (unsigned long long)pages);
	bench_run(&bench, rig);
}

static void rows_random(struct rig *rig)
{
	static const uint64_t sizes[] = { 1, 16, 256, 4096, 65536, 131072, 262144 };

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t pages = sizes[i];

		scene_grow(rig, pages);
		row(rig, "translate at random", pages, random_pages, "4 dependent loads",
		    dependent_loads, pages <= 131072 ? 8 : 0, 0);
		row(rig, "translate at random, chained", pages, random_chained,
		    "4 dependent loads, chained", dependent_loads_chained, 0, 2);
		row(rig, "translate at random", pages, random_pages, "sorted array", sorted_array,
		    0, 0);
		row(rig, "translate at random", pages, random_pages, "hash table", hash_table, 0,
		    0);
		row(rig, "translate at random", pages, random_pages, "balanced tree (tsearch)",
		    balanced_tree, 0, 0);
		row(rig, "read 8 bytes at random", pages, read_random_words, "the same loads",
		    random_words, 0, 0);
	}
}

static void rows_same(struct rig *rig)
{
	struct bench same = { .name = "translate, same page again", .fn = same_page, .n = 10000000,
			      .baseline = "one load", .baseline_fn = one_load,
			      .baseline_n = 10000000, .aim_ns = 2 };

	scene_grow(rig, 1);
	bench_run(&same, rig);
	same.name = "read 8 bytes, same page again";
	same.fn = read_same_word;
	same.aim_ns = 0;
	bench_run(&same, rig);
}

static void rows_copy(struct rig *rig)
{
	static const uint64_t sizes[] = { 512, PAGE, 64 * KIB, MIB, 16 * MIB };
	char name[64];

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bench bench = { .name = name, .fn = copy_out, .baseline = "memcpy",
				       .baseline_fn = plain_memcpy };

		rig->copy = sizes[i];
		bench.n = bench.baseline_n = 64 * MIB / (sizes[i] < 16 * KIB ? 8 * PAGE : sizes[i]);
		snprintf(name, sizeof(name), "DMA read of %llu bytes",
			 (unsigned long long)sizes[i]);
		bench_run(&bench, rig);
	}
}

/* ---- threads ---- */

struct worker {
	pthread_t thread;
	struct rig rig;
	bench_fn fn;
	uint64_t n;
	uint64_t start, end;
};

static pthread_barrier_t barrier;

static void *worker(void *arg)
{
	struct worker *w = arg;

	w->fn(&w->rig, 1000);
	pthread_barrier_wait(&barrier);
	w->start = bench_now_ns();
	w->fn(&w->rig, w->n);
	w->end = bench_now_ns();
	return NULL;
}

/* From when the first began until the last was done. */
static double threads_ns(struct rig *rig, bench_fn fn, unsigned int count)
{
	struct worker *workers = calloc(count, sizeof(*workers));
	uint64_t n = 2000000, start = UINT64_MAX, end = 0;

	bench_check(workers != NULL, "workers");
	pthread_barrier_init(&barrier, NULL, count);
	for (unsigned int i = 0; i < count; i++) {
		workers[i].rig = *rig;
		workers[i].fn = fn;
		workers[i].n = n;
		bench_check(!pthread_create(&workers[i].thread, NULL, worker, &workers[i]),
			    "thread");
	}
	for (unsigned int i = 0; i < count; i++) {
		pthread_join(workers[i].thread, NULL);
		start = workers[i].start < start ? workers[i].start : start;
		end = workers[i].end > end ? workers[i].end : end;
	}
	pthread_barrier_destroy(&barrier);
	free(workers);
	return (double)(end - start) / n;
}

static void threads_row(struct rig *rig, const char *what, bench_fn fn, unsigned int count)
{
	double best = 1e9, ns;

	if (!bench_selected("threads"))
		return;
	for (int i = 0; i < 11; i++) {
		ns = threads_ns(rig, fn, count);
		best = ns < best ? ns : best;
	}
	printf("{\"name\": \"%s, %u threads\", \"best_ns\": %.2f, \"all_per_us\": %.1f}\n", what,
	       count, best, count / best * 1000);
	fflush(stdout);
}

static void rows_threads(struct rig *rig)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (unsigned int count = 1; count <= cpus; count *= 2) {
		threads_row(rig, "translate, same page again", same_page, count);
		threads_row(rig, "translate at random, 262144 mappings", random_pages, count);
	}
}

int main(int argc, char **argv)
{
	struct rig rig = { 0 };

	bench_select(argc, argv);
	rig.memory = mmap(NULL, MAX_PAGES * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	bench_check(rig.memory != MAP_FAILED, "mmap");
	rig.iovas = calloc(RANDOMS, sizeof(*rig.iovas));
	rig.hash = calloc(HASH_SLOTS, sizeof(*rig.hash));
	rig.ranges = calloc(MAX_PAGES, sizeof(*rig.ranges));
	rig.level[3] = aligned_alloc(PAGE, PAGE);
	rig.buffer = aligned_alloc(PAGE, 16 * MIB);
	bench_check(rig.iovas && rig.ranges && rig.hash && rig.level[3] && rig.buffer, "memory");
	memset(rig.level[3], 0, PAGE);
	memset(rig.buffer, 1, 16 * MIB);
	rig_open(&rig);
	machine_map(&rig.machine, FAR, rig.memory, PAGE);
	rows_same(&rig);
	rows_random(&rig);
	scene_grow(&rig, MAX_PAGES);
	rows_threads(&rig);
	rig_close(&rig);

	rig_open(&rig);
	memset(rig.memory, 2, 16 * MIB);
	machine_map(&rig.machine, BASE, rig.memory, 16 * MIB);
	rows_copy(&rig);
	rig_close(&rig);
	return 0;
}
