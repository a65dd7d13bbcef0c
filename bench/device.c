/* SPDX-License-Identifier: MIT */
/*
 * What a program gets from an emulated device, the whole path under `uiommufd run`:
 * a disk beside pread() of the same file in the same order, its interrupt beside a bare
 * eventfd between two threads, and mapping memory for it by either way of VFIO.
 *
 *	bench-device COMMAND [NAME]   all rows, or those that match; COMMAND is the uiommufd to
 *	measure bench-device --inside FILE [NAME]  (inside)
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/vfio.h>

#include "../examples/nvme/nvme_user.h"
#include "bench.h"

#define DISK	 (256ULL << 20)
#define SMALL	 4096u
#define LARGE	 (128u << 10)
#define DEPTH	 32
#define GIB	 (1ULL << 30)
#define MAP_IOVA 0x4000000000ULL

struct device_bench {
	struct nvme_user nvme;
	int file;
	char *buffer;
	uint64_t seed, next;
	int container;
	char *gib;
	int ping, pong;
};

static uint64_t random_offset(struct device_bench *b)
{
	b->seed = b->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (b->seed >> 33) % (DISK / SMALL) * SMALL;
}

static uint64_t next_offset(struct device_bench *b)
{
	b->next = (b->next + LARGE) % DISK;
	return b->next;
}

/* ---- the disk ---- */

static void disk_read(struct device_bench *b, uint64_t offset, size_t length, int sleep)
{
	bench_check(
		!nvme_user_io(&b->nvme, NVME_READ, offset / b->nvme.block_size, 0, length, sleep),
		"a read of the disk");
}

static void disk_small(void *ctx, uint64_t n)
{
	while (n--)
		disk_read(ctx, random_offset(ctx), SMALL, 0);
}

static void disk_small_asleep(void *ctx, uint64_t n)
{
	while (n--)
		disk_read(ctx, random_offset(ctx), SMALL, 1);
}

static void disk_large(void *ctx, uint64_t n)
{
	while (n--)
		disk_read(ctx, next_offset(ctx), LARGE, 0);
}

/* DEPTH commands are under way at any time. */
static void disk_small_deep(void *ctx, uint64_t n)
{
	struct device_bench *b = ctx;
	uint64_t begun = 0, done = 0;
	uint16_t cid, status;

	while (done < n) {
		int more = 0;

		for (; begun < n && begun - done < DEPTH; begun++, more = 1)
			nvme_user_submit(&b->nvme, NVME_READ, begun % DEPTH,
					 random_offset(b) / b->nvme.block_size,
					 begun % DEPTH * SMALL, SMALL);
		if (more)
			nvme_user_ring(&b->nvme);
		while (nvme_user_poll(&b->nvme, &cid, &status)) {
			bench_check(!status, "a read of the disk");
			done++;
		}
	}
}

/* As little as there is, so that what is left is the doorbell, two threads and the interrupt. */
static void disk_block_asleep(void *ctx, uint64_t n)
{
	struct device_bench *b = ctx;

	while (n--)
		disk_read(b, 0, b->nvme.block_size, 1);
}

static void file_small(void *ctx, uint64_t n)
{
	struct device_bench *b = ctx;

	while (n--)
		bench_check(pread(b->file, b->buffer, SMALL, random_offset(b)) == SMALL, "pread");
}

static void file_large(void *ctx, uint64_t n)
{
	struct device_bench *b = ctx;

	while (n--)
		bench_check(pread(b->file, b->buffer, LARGE, next_offset(b)) == LARGE, "pread");
}

/* ---- the interrupt ---- */

static void *answer(void *ctx)
{
	struct device_bench *b = ctx;
	uint64_t one;

	while (read(b->ping, &one, 8) == 8 && one < 1000)
		bench_check(write(b->pong, &one, 8) == 8, "write");
	return NULL;
}

static void eventfd_round(void *ctx, uint64_t n)
{
	struct device_bench *b = ctx;
	uint64_t one = 1;

	while (n--) {
		one = 1;
		bench_check(write(b->ping, &one, 8) == 8, "write");
		bench_check(read(b->pong, &one, 8) == 8, "read");
	}
}

/* ---- memory ---- */

static void map_ioas(void *ctx, uint64_t n)
{
	struct device_bench *b = ctx;

	while (n--) {
		struct iommu_ioas_map map = {
			.size = sizeof(map),
			.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
				 IOMMU_IOAS_MAP_WRITEABLE,
			.ioas_id = b->nvme.ioas,
			.user_va = (uintptr_t)b->gib,
			.length = GIB,
			.iova = MAP_IOVA,
		};
		struct iommu_ioas_unmap unmap = {.size = sizeof(unmap),
						 .ioas_id = b->nvme.ioas,
						 .iova = MAP_IOVA,
						 .length = GIB};

		bench_check(!ioctl(b->nvme.iommu, IOMMU_IOAS_MAP, &map), "IOAS_MAP");
		bench_check(!ioctl(b->nvme.iommu, IOMMU_IOAS_UNMAP, &unmap), "IOAS_UNMAP");
	}
}

static void map_container(void *ctx, uint64_t n)
{
	struct device_bench *b = ctx;

	while (n--) {
		struct vfio_iommu_type1_dma_map map = {
			.argsz = sizeof(map),
			.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
			.vaddr = (uintptr_t)b->gib,
			.iova = MAP_IOVA,
			.size = GIB,
		};
		struct vfio_iommu_type1_dma_unmap unmap = {
			.argsz = sizeof(unmap), .iova = MAP_IOVA, .size = GIB};

		bench_check(!ioctl(b->container, VFIO_IOMMU_MAP_DMA, &map), "MAP_DMA");
		bench_check(!ioctl(b->container, VFIO_IOMMU_UNMAP_DMA, &unmap), "UNMAP_DMA");
	}
}

/* The device behind a container: closed as a cdev first. */
static void open_container(struct device_bench *b, const char *bdf)
{
	char path[64], target[128] = "";
	int group;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	bench_check(readlink(path, target, sizeof(target) - 1) > 0, path);
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	b->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	group = open(path, O_RDWR | O_CLOEXEC);
	bench_check(b->container >= 0 && group >= 0, path);
	bench_check(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &b->container), "SET_CONTAINER");
	bench_check(!ioctl(b->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
}

/* ---- all of it ---- */

static int inside(const char *file)
{
	static const struct bench rows[] = {
		{"nvme-read-4k-qd1", disk_small, 2000, "pread", file_small, 2000, 0},
		{"nvme-read-4k-qd1-interrupt", disk_small_asleep, 1000, "pread", file_small, 1000,
		 0},
		{"nvme-read-4k-qd32", disk_small_deep, 8000, "pread", file_small, 8000, 0},
		{"nvme-read-128k-sequential", disk_large, 1000, "pread", file_large, 1000, 0},
		{"nvme-read-512-interrupt", disk_block_asleep, 1000, "eventfd-round-trip",
		 eventfd_round, 1000, 0},
	};
	static const struct bench maps[] = {
		{"vfio-map-dma-1g", map_container, 20, NULL, NULL, 0, 0},
		{"ioas-map-1g", map_ioas, 20, NULL, NULL, 0, 0},
	};
	static struct device_bench b;
	uint64_t end = 1000;
	pthread_t thread;
	char bdf[16];

	b.file = open(file, O_RDONLY | O_CLOEXEC);
	b.buffer = malloc(LARGE);
	b.gib = mmap(NULL, GIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
		     -1, 0);
	b.ping = eventfd(0, EFD_CLOEXEC);
	b.pong = eventfd(0, EFD_CLOEXEC);
	bench_check(b.file >= 0 && b.buffer && b.gib != MAP_FAILED && b.pong >= 0, file);
	bench_check(!pthread_create(&thread, NULL, answer, &b), "a thread");
	nvme_user_open(&b.nvme, NULL, DEPTH * LARGE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		bench_run(&rows[i], &b);
	if (bench_selected(maps[0].name) || bench_selected(maps[1].name))
		memset(b.gib, 1, GIB);
	bench_run(&maps[1], &b);
	memcpy(bdf, b.nvme.bdf, sizeof(bdf));
	nvme_user_close(&b.nvme);
	open_container(&b, bdf);
	bench_run(&maps[0], &b);
	bench_check(write(b.ping, &end, 8) == 8, "write");
	pthread_join(thread, NULL);
	return 0;
}

static void make_disk(char *file)
{
	int fd = mkstemp(file);
	char *data = malloc(1 << 20);

	bench_check(fd >= 0 && data, file);
	for (uint64_t at = 0; at < DISK; at += 1 << 20) {
		memset(data, (int)(at >> 20), 1 << 20);
		bench_check(pwrite(fd, data, 1 << 20, (off_t)at) == 1 << 20, "pwrite");
	}
	free(data);
	close(fd);
}

int main(int argc, char **argv)
{
	char file[] = "/tmp/bench-disk-XXXXXX", command[600], self[300];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int rc;

	if (argc >= 3 && !strcmp(argv[1], "--inside")) {
		bench_select(argc - 2, argv + 2);
		return inside(argv[2]);
	}
	bench_check((argc == 2 || argc == 3) && len > 0, "usage: bench-device COMMAND [NAME]");
	self[len] = 0;
	make_disk(file);
	snprintf(command, sizeof(command), "%s run --device nvme,image=%s -- %s --inside %s %s",
		 argv[1], file, self, file, argc == 3 ? argv[2] : "");
	rc = system(command);
	unlink(file);
	return rc ? 1 : 0;
}
