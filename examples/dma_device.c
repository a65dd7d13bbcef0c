/* SPDX-License-Identifier: MIT */
/*
 * A device emulator in one process: a machine with an IOMMU and a device, a
 * "program" that maps memory for the device, and the device itself, two threads that
 * do DMA while the program takes the memory away and gives it back.
 *
 * Public headers and the library only.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <iommufd/ctx.h>
#include <iommufd/device.h>
#include <iommufd/dma.h>
#include <iommufd/generic.h>
#include <iommufd/uapi/iommufd.h>

#define PAGE  4096UL
#define PAGES 16UL
#define IOVA  0x10000000UL
#define TURNS 2000

static struct iommufd_system *system_;
static struct iommufd_process *proc;
static struct device *dev;
static int iommu_fd;
static __u32 ioas_id;
static char *memory;
static atomic_bool stop;
static atomic_ulong moved, faulted;

static void check(int rc, const char *what)
{
	if (!rc)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(1);
}

/* ---- the program ---- */

static void map_page(unsigned long page)
{
	struct iommu_ioas_map map = { .size = sizeof(map), .ioas_id = ioas_id,
				      .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
					       IOMMU_IOAS_MAP_WRITEABLE,
				      .user_va = (unsigned long)memory + page * PAGE,
				      .iova = IOVA + page * PAGE, .length = PAGE };

	check((int)iommufd_ioctl(proc, iommu_fd, IOMMU_IOAS_MAP, &map), "IOMMU_IOAS_MAP");
}

/* When this has returned, the page is the program's alone. */
static void unmap_page(unsigned long page)
{
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .ioas_id = ioas_id,
					  .iova = IOVA + page * PAGE, .length = PAGE };

	check((int)iommufd_ioctl(proc, iommu_fd, IOMMU_IOAS_UNMAP, &unmap), "IOMMU_IOAS_UNMAP");
}

static void *program(void *arg)
{
	(void)arg;
	for (int i = 0; i < TURNS || (!atomic_load(&moved) && i < 1000 * TURNS); i++) {
		unsigned long page = i % PAGES;

		unmap_page(page);
		memset(memory + page * PAGE, 0xaa, PAGE);
		for (unsigned long k = 0; k < PAGE; k++)
			if (memory[page * PAGE + k] != (char)0xaa)
				check(-EFAULT, "a DMA came too late");
		map_page(page);
	}
	atomic_store(&stop, true);
	return NULL;
}

/* ---- the device ---- */

static void *engine(void *arg)
{
	unsigned long n = (unsigned long)arg;
	char buf[256];

	while (!atomic_load(&stop)) {
		unsigned long from = IOVA + n * 7919 * 64 % (PAGES * PAGE - sizeof(buf));
		unsigned long to = IOVA + n++ * 104729 * 64 % (PAGES * PAGE - sizeof(buf));
		struct iommufd_dma_fault fault;
		int rc;

		rc = iommufd_dma_read(dev, IOMMU_NO_PASID, from, buf, sizeof(buf), &fault);
		if (!rc)
			rc = iommufd_dma_write(dev, IOMMU_NO_PASID, to, buf, sizeof(buf), &fault);
		if (rc && fault.reason != IOMMU_XLAT_NOT_PRESENT)
			check(rc, "DMA"); /* a page that is just away is all that may happen */
		atomic_fetch_add(rc ? &faulted : &moved, 1);
	}
	return NULL;
}

int main(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommufd_iotlb_counters counters;
	struct iommufd_device *idev;
	struct iommufd_ctx *ctx;
	pthread_t threads[3];
	__u32 id, pt;

	memory =
		mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(memory == MAP_FAILED ? -errno : 0, "mmap");
	check(iommufd_system_create(NULL, &system_), "iommufd_system_create");
	check(iommufd_generic_init(system_), "iommufd_generic_init");
	check(iommufd_generic_device_create(system_, "engine0", &dev), "a device");
	check(iommufd_process_create(system_, &proc), "iommufd_process_create");
	iommu_fd = iommufd_open(proc, "/dev/iommu", O_RDWR | O_CLOEXEC);
	check(iommu_fd < 0 ? iommu_fd : 0, "/dev/iommu");
	check(iommufd_ctx_from_fd(proc, iommu_fd, &ctx), "iommufd_ctx_from_fd");
	idev = iommufd_device_bind(ctx, dev, &id);
	check(IS_ERR(idev) ? (int)PTR_ERR(idev) : 0, "iommufd_device_bind");
	check((int)iommufd_ioctl(proc, iommu_fd, IOMMU_IOAS_ALLOC, &alloc), "IOMMU_IOAS_ALLOC");
	ioas_id = pt = alloc.out_ioas_id;
	for (unsigned long page = 0; page < PAGES; page++)
		map_page(page);
	check(iommufd_device_attach(idev, IOMMU_NO_PASID, &pt), "iommufd_device_attach");

	for (unsigned long i = 0; i < 3; i++)
		check(-pthread_create(&threads[i], NULL, i < 2 ? engine : program, (void *)i),
		      "thread");
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	iommufd_iotlb_counters(dev, &counters);
	printf("%lu blocks moved, %lu met a page that was away; %.1f %% of translations cached\n",
	       moved, faulted, 100.0 * counters.hits / (counters.lookups ? counters.lookups : 1));
	iommufd_device_detach(idev, IOMMU_NO_PASID);
	iommufd_device_unbind(idev);
	iommufd_ctx_put(ctx);
	iommufd_close(proc, iommu_fd);
	iommufd_process_destroy(proc);
	iommufd_generic_device_destroy(dev);
	iommufd_system_destroy(system_);
	return moved ? 0 : 1;
}
