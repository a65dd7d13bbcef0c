/* SPDX-License-Identifier: MIT */
/*
 * The memory side in process: MAP, UNMAP, COPY, the chooser, ACCESS_RW and
 * the dirty bitmap, with no, one and two domains of the mock IOMMU.
 *
 * Baselines are what the same work would cost at the least: stores of as many
 * table entries, a copy of as many bytes, clears of as many bits; where there
 * is none, the cost of malloc and free of the two objects a mapping needs.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <iommufd/access.h>
#include <iommufd/ctx.h>
#include <iommufd/mock.h>
#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>

#include "bench.h"

#define KIB 1024ULL
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define PAGE 4096ULL
#define BASE_IOVA 0x40000000ULL

struct rig {
	struct iommufd_system *system;
	struct iommufd_process *proc;
	int fd;
	uint32_t ioas;
	uint32_t second; /* destination of copies */
	uint32_t hwpt;
	uint64_t length;
	char *memory;
	uint64_t *entries; /* the baseline's table: 262144 words */
	unsigned char *bitmap;
	struct iommufd_access *access;
	struct iommufd_ctx *ctx;
};

static void command(struct rig *rig, unsigned long number, void *cmd, const char *what)
{
	long rc = iommufd_ioctl(rig->proc, rig->fd, number, cmd);

	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-rc));
		exit(1);
	}
}

static uint32_t new_ioas(struct rig *rig)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	command(rig, IOMMU_IOAS_ALLOC, &alloc, "IOAS_ALLOC");
	return alloc.out_ioas_id;
}

/* A device with a page table of its own that covers all of 38 bits. */
static uint32_t new_domain(struct rig *rig, uint32_t ioas, uint32_t flags)
{
	struct iommu_test_cmd test = { .size = sizeof(test),
				       .op = IOMMU_TEST_OP_MOCK_DOMAIN };
	struct iommu_hwpt_selftest data = { .pagetable_type = MOCK_IOMMUPT_HUGE };
	struct iommu_hwpt_alloc alloc = { .size = sizeof(alloc), .flags = flags, .pt_id = ioas };

	test.id = new_ioas(rig);
	command(rig, IOMMU_TEST_CMD, &test, "MOCK_DOMAIN");
	alloc.dev_id = test.mock_domain.out_idev_id;
	alloc.data_type = IOMMU_HWPT_DATA_SELFTEST;
	alloc.data_len = sizeof(data);
	alloc.data_uptr = (uintptr_t)&data;
	command(rig, IOMMU_HWPT_ALLOC, &alloc, "HWPT_ALLOC");
	return alloc.out_hwpt_id;
}

static void rig_open(struct rig *rig, int domains)
{
	struct iommufd_system_opts opts = { .size = sizeof(opts),
					    .selftest = true,
					    .trusted_memory = true };

	bench_check(!iommufd_system_create(&opts, &rig->system), "iommufd_system_create");
	bench_check(!iommufd_mock_init(rig->system), "iommufd_mock_init");
	bench_check(!iommufd_process_create(rig->system, &rig->proc), "iommufd_process_create");
	rig->fd = iommufd_open(rig->proc, "/dev/iommu", O_RDWR | O_CLOEXEC);
	bench_check(rig->fd >= 0, "iommufd_open");
	bench_check(!iommufd_ctx_from_fd(rig->proc, rig->fd, &rig->ctx), "iommufd_ctx_from_fd");
	rig->ioas = new_ioas(rig);
	rig->second = new_ioas(rig);
	for (int i = 0; i < domains; i++)
		rig->hwpt = new_domain(rig, rig->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
}

static void rig_close(struct rig *rig)
{
	iommufd_ctx_put(rig->ctx);
	iommufd_close(rig->proc, rig->fd);
	iommufd_process_destroy(rig->proc);
	iommufd_system_destroy(rig->system);
}

/* ---- the work ---- */

static void map_at(struct rig *rig, uint64_t iova, uint64_t offset, uint64_t length)
{
	struct iommu_ioas_map map = { .size = sizeof(map),
				      .flags = IOMMU_IOAS_MAP_FIXED_IOVA |
					       IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
				      .ioas_id = rig->ioas,
				      .user_va = (uintptr_t)rig->memory + offset,
				      .length = length,
				      .iova = iova };

	command(rig, IOMMU_IOAS_MAP, &map, "IOAS_MAP");
}

static void unmap_at(struct rig *rig, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = ioas, .iova = iova, .length = length
	};

	command(rig, IOMMU_IOAS_UNMAP, &unmap, "IOAS_UNMAP");
}

static void map_unmap(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	while (n--) {
		map_at(rig, BASE_IOVA, 0, rig->length);
		unmap_at(rig, rig->ioas, BASE_IOVA, rig->length);
	}
}

static void map_only(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	for (uint64_t i = 0; i < n; i++)
		map_at(rig, BASE_IOVA + i * rig->length, 0, rig->length);
}

static void unmap_only(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	for (uint64_t i = 0; i < n; i++)
		unmap_at(rig, rig->ioas, BASE_IOVA + i * rig->length, rig->length);
}

static void chosen_map_unmap(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	struct iommu_ioas_map map = { .size = sizeof(map),
				      .flags = IOMMU_IOAS_MAP_READABLE,
				      .ioas_id = rig->ioas,
				      .user_va = (uintptr_t)rig->memory,
				      .length = 3 * PAGE };

	while (n--) {
		command(rig, IOMMU_IOAS_MAP, &map, "IOAS_MAP");
		unmap_at(rig, rig->ioas, map.iova, map.length);
	}
}

static void copy_unmap(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	struct iommu_ioas_copy copy = { .size = sizeof(copy),
					.flags = IOMMU_IOAS_MAP_FIXED_IOVA |
						 IOMMU_IOAS_MAP_READABLE,
					.dst_ioas_id = rig->second,
					.src_ioas_id = rig->ioas,
					.length = rig->length,
					.dst_iova = BASE_IOVA,
					.src_iova = BASE_IOVA };

	while (n--) {
		command(rig, IOMMU_IOAS_COPY, &copy, "IOAS_COPY");
		unmap_at(rig, rig->second, BASE_IOVA, rig->length);
	}
}

static void access_read(void *ctx, uint64_t n)
{
	static char buf[4096];
	struct rig *rig = ctx;

	while (n--)
		bench_check(!iommufd_access_rw(rig->access, BASE_IOVA, buf, sizeof(buf),
					       IOMMUFD_ACCESS_RW_READ),
			    "access_rw");
}

static void read_bitmap(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	struct iommu_hwpt_get_dirty_bitmap get = { .size = sizeof(get),
						   .hwpt_id = rig->hwpt,
						   .flags = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
						   .iova = BASE_IOVA,
						   .length = GIB,
						   .page_size = PAGE,
						   .data = (uintptr_t)rig->bitmap };

	while (n--)
		command(rig, IOMMU_HWPT_GET_DIRTY_BITMAP, &get, "GET_DIRTY_BITMAP");
}

/* ---- baselines ---- */

static void two_mallocs(void *ctx, uint64_t n)
{
	(void)ctx;
	while (n--) {
		void *volatile a = malloc(192), *volatile b = malloc(64);

		free(a);
		free(b);
	}
}

static void plain_stores(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	while (n--)
		for (uint64_t i = 0; i < GIB / PAGE; i++)
			((volatile uint64_t *)rig->entries)[i] = i << 12 | 1;
}

static void atomic_clears(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	while (n--)
		for (uint64_t i = 0; i < GIB / PAGE; i++)
			atomic_fetch_and_explicit((_Atomic uint64_t *)&rig->entries[i], ~64ULL,
						  memory_order_relaxed);
}

static void copy_page(void *ctx, uint64_t n)
{
	static char buf[4096];
	struct rig *rig = ctx;

	while (n--) {
		memcpy(buf, rig->memory, sizeof(buf));
		__asm__ volatile("" : : "r"(buf) : "memory");
	}
}

/* ---- rows ---- */

static void rows_map(struct rig *rig, int domains)
{
	static const struct {
		uint64_t length, n;
		const char *what;
	} sizes[] = { { PAGE, 20000, "4K" }, { 2 * MIB, 5000, "2M" }, { GIB, 20, "1G" } };
	char name[64];

	for (unsigned int i = 0; i < 3; i++) {
		struct bench bench = { .name = name, .fn = map_unmap, .n = sizes[i].n,
				       .baseline = "two malloc+free", .baseline_fn = two_mallocs,
				       .baseline_n = 20000 };

		rig->length = sizes[i].length;
		snprintf(name, sizeof(name), "map+unmap %s, %d domains", sizes[i].what, domains);
		if (sizes[i].length == GIB && domains) {
			bench.baseline = "262144 plain stores";
			bench.baseline_fn = plain_stores;
			bench.baseline_n = 5;
			bench.aim_ns = 50e3;
		}
		if (sizes[i].length == PAGE && domains == 1)
			bench.aim_ns = 300;
		bench_run(&bench, rig);
		if (sizes[i].length == PAGE)
			continue;
		bench.fn = map_only;
		bench.undo = unmap_only;
		bench.n = 1;
		snprintf(name, sizeof(name), "map %s, %d domains", sizes[i].what, domains);
		bench_run(&bench, rig);
	}
}

static void row_small_entries(struct rig *rig)
{
	struct iommu_option option = { .size = sizeof(option),
				       .option_id = IOMMU_OPTION_HUGE_PAGES,
				       .op = IOMMU_OPTION_OP_SET,
				       .object_id = rig->ioas };
	struct bench bench = { .name = "map+unmap 1G in 4K entries, 1 domain", .fn = map_unmap,
			       .n = 5, .baseline = "262144 plain stores",
			       .baseline_fn = plain_stores, .baseline_n = 5 };

	command(rig, IOMMU_OPTION, &option, "OPTION");
	rig->length = GIB;
	bench_run(&bench, rig);
	bench.name = "map 1G in 4K entries, 1 domain";
	bench.fn = map_only;
	bench.undo = unmap_only;
	bench.n = 1;
	bench.aim_ns = 500e3;
	bench_run(&bench, rig);
	option.val64 = 1;
	command(rig, IOMMU_OPTION, &option, "OPTION");
}

static void rows_copy_and_access(struct rig *rig)
{
	static const struct iommufd_access_ops ops;
	struct bench copy = { .name = "copy+unmap 4K, no domain", .fn = copy_unmap, .n = 20000,
			      .baseline = "two malloc+free", .baseline_fn = two_mallocs,
			      .baseline_n = 20000 };
	struct bench rw = {
		.name = "access_rw 4K, read", .fn = access_read, .n = 50000,
		.baseline = "memcpy 4K", .baseline_fn = copy_page, .baseline_n = 50000,
	};
	uint32_t id;

	rig->length = PAGE;
	map_at(rig, BASE_IOVA, 0, PAGE);
	bench_run(&copy, rig);
	bench_check(!iommufd_access_create(rig->ctx, &ops, NULL, &id, &rig->access), "access");
	bench_check(!iommufd_access_attach(rig->access, rig->ioas), "access attach");
	bench_run(&rw, rig);
	iommufd_access_destroy(rig->access);
	unmap_at(rig, rig->ioas, BASE_IOVA, PAGE);
}

static void rows_million(struct rig *rig)
{
	struct bench chosen = { .name = "chosen iova map+unmap among 1000000 areas",
				.fn = chosen_map_unmap, .n = 20000, .baseline = "two malloc+free",
				.baseline_fn = two_mallocs, .baseline_n = 20000, .aim_ns = 2000 };
	uint64_t start = bench_now_ns(), n = 1000000;

	if (!bench_selected("1000000 areas"))
		return;
	/* Every second page: a million holes too small for what is asked for. */
	for (uint64_t i = 0; i < n; i++)
		map_at(rig, PAGE + 2 * i * PAGE, 0, PAGE);
	printf("{\"name\": \"map one of 1000000 areas\", \"ns\": %.1f, \"aim_ns\": 1000}\n",
	       (double)(bench_now_ns() - start) / n);
	bench_run(&chosen, rig);
	start = bench_now_ns();
	for (uint64_t i = 0; i < n; i++)
		unmap_at(rig, rig->ioas, PAGE + 2 * ((i * 7919) % n) * PAGE, PAGE);
	printf("{\"name\": \"unmap one of 1000000 areas, random\", \"ns\": %.1f, \"aim_ns\": "
	       "1000}\n",
	       (double)(bench_now_ns() - start) / n);
}

static void mark_dirty(struct rig *rig, unsigned char pattern)
{
	struct iommu_test_cmd test = { .size = sizeof(test), .op = IOMMU_TEST_OP_DIRTY,
				       .id = rig->hwpt };

	memset(rig->bitmap, pattern, GIB / PAGE / 8);
	if (pattern == 1) /* one page in a hundred, more or less: every 104th */
		for (uint64_t i = 0; i < GIB / PAGE / 8; i++)
			rig->bitmap[i] = i % 13 == 0;
	test.dirty.iova = BASE_IOVA;
	test.dirty.length = GIB;
	test.dirty.page_size = PAGE;
	test.dirty.uptr = (uintptr_t)rig->bitmap;
	command(rig, IOMMU_TEST_CMD, &test, "DIRTY");
	memset(rig->bitmap, 0, GIB / PAGE / 8);
}

static void rows_dirty(struct rig *rig)
{
	struct iommu_option option = { .size = sizeof(option),
				       .option_id = IOMMU_OPTION_HUGE_PAGES,
				       .op = IOMMU_OPTION_OP_SET,
				       .object_id = rig->ioas };
	struct iommu_hwpt_set_dirty_tracking set = { .size = sizeof(set),
						     .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
						     .hwpt_id = rig->hwpt };
	struct bench bench = { .name = "dirty bitmap 1G at 4K, clean", .fn = read_bitmap, .n = 50,
			       .baseline = "262144 atomic clears", .baseline_fn = atomic_clears,
			       .baseline_n = 3, .aim_ns = 5e3 };

	if (!bench_selected("dirty bitmap"))
		return;
	command(rig, IOMMU_OPTION, &option, "OPTION");
	map_at(rig, BASE_IOVA, 0, GIB);
	command(rig, IOMMU_HWPT_SET_DIRTY_TRACKING, &set, "SET_DIRTY_TRACKING");
	bench_run(&bench, rig);
	mark_dirty(rig, 1);
	bench.name = "dirty bitmap 1G at 4K, 1 % dirty";
	bench.aim_ns = 0;
	bench_run(&bench, rig);
	mark_dirty(rig, 0xff);
	bench.name = "dirty bitmap 1G at 4K, all dirty";
	bench.aim_ns = 2e6;
	bench.n = 3;
	bench_run(&bench, rig);
}

int main(int argc, char **argv)
{
	struct rig rig = { 0 };

	bench_select(argc, argv);
	rig.memory = mmap(NULL, GIB + 2 * MIB, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	bench_check(rig.memory != MAP_FAILED, "mmap");
	rig.memory = (char *)(((uintptr_t)rig.memory + 2 * MIB - 1) & ~(2 * MIB - 1));
	rig.entries = calloc(GIB / PAGE, sizeof(*rig.entries));
	rig.bitmap = calloc(GIB / PAGE / 8, 1);
	bench_check(rig.entries && rig.bitmap, "calloc");

	for (int domains = 0; domains <= 2; domains++) {
		rig_open(&rig, domains);
		rows_map(&rig, domains);
		if (!domains) {
			rows_copy_and_access(&rig);
			rows_million(&rig);
		}
		if (domains == 1) {
			row_small_entries(&rig);
			rows_dirty(&rig);
		}
		rig_close(&rig);
	}
	return 0;
}
