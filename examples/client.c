/* SPDX-License-Identifier: MIT */
/*
 * A program as anybody would write it for Linux: it opens /dev/iommu, maps
 * memory for a device, copies the mapping into a second address space without
 * pinning anything twice, and finds out which pages the device has written.
 * It links with nothing of uiommufd and works the same on a kernel built with
 * the iommufd self-tests (whose mock device stands in for a real one here).
 *
 *	uiommufd run --selftest -v -- examples/client
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The user API of Linux; a header set as old as Debian 12's has none, ours says the same. */
#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>

#define PAGES 256UL
#define PAGE 4096UL
#define IOVA 0x1000000ULL

static int iommu;

static void command(unsigned long number, void *cmd, const char *what)
{
	if (ioctl(iommu, number, cmd) < 0)
		err(1, "%s", what);
}

static uint32_t new_ioas(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	command(IOMMU_IOAS_ALLOC, &alloc, "IOAS_ALLOC");
	return alloc.out_ioas_id;
}

static void map(uint32_t ioas, void *memory)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory,
		.length = PAGES * PAGE,
		.iova = IOVA,
	};

	command(IOMMU_IOAS_MAP, &map, "IOAS_MAP");
}

/* A device, attached to @ioas.  Real programs get theirs from VFIO. */
static uint32_t new_device(uint32_t ioas)
{
	struct iommu_test_cmd test = {
		.size = sizeof(test), .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas
	};

	command(IOMMU_TEST_CMD, &test, "no mock device (uiommufd run --selftest?)");
	return test.mock_domain.out_idev_id;
}

/* A page table of our own for the device, with dirty tracking on. */
static uint32_t new_dirty_tracker(uint32_t device, uint32_t ioas)
{
	struct iommu_hwpt_alloc alloc = { .size = sizeof(alloc),
					  .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					  .dev_id = device,
					  .pt_id = ioas };
	struct iommu_hwpt_set_dirty_tracking set = { .size = sizeof(set),
						     .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE };

	command(IOMMU_HWPT_ALLOC, &alloc, "HWPT_ALLOC");
	set.hwpt_id = alloc.out_hwpt_id;
	command(IOMMU_HWPT_SET_DIRTY_TRACKING, &set, "HWPT_SET_DIRTY_TRACKING");
	return alloc.out_hwpt_id;
}

/* What a device's writes do to the page table: mark the pages in @bitmap. */
static void device_writes(uint32_t hwpt, uint8_t *bitmap)
{
	struct iommu_test_cmd test = {
		.size = sizeof(test), .op = IOMMU_TEST_OP_DIRTY, .id = hwpt,
	};

	test.dirty.iova = IOVA;
	test.dirty.length = PAGES * PAGE;
	test.dirty.page_size = PAGE;
	test.dirty.uptr = (uintptr_t)bitmap;
	command(IOMMU_TEST_CMD, &test, "TEST_DIRTY");
}

static unsigned int dirty_pages(uint32_t hwpt, uint8_t *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap get = { .size = sizeof(get),
						   .hwpt_id = hwpt,
						   .iova = IOVA,
						   .length = PAGES * PAGE,
						   .page_size = PAGE,
						   .data = (uintptr_t)bitmap };
	unsigned int n = 0;

	memset(bitmap, 0, PAGES / 8);
	command(IOMMU_HWPT_GET_DIRTY_BITMAP, &get, "HWPT_GET_DIRTY_BITMAP");
	for (unsigned long i = 0; i < PAGES; i++)
		n += bitmap[i / 8] >> (i % 8) & 1;
	return n;
}

static void copy(uint32_t from, uint32_t to)
{
	struct iommu_ioas_copy copy = { .size = sizeof(copy),
					.flags = IOMMU_IOAS_MAP_READABLE,
					.dst_ioas_id = to,
					.src_ioas_id = from,
					.length = PAGES * PAGE,
					.src_iova = IOVA };

	command(IOMMU_IOAS_COPY, &copy, "IOAS_COPY");
	printf("ioas %u shows the same pages read-only at iova %#llx\n", to,
	       (unsigned long long)copy.dst_iova);
}

int main(void)
{
	uint8_t bitmap[PAGES / 8] = { 0 };
	uint32_t ioas, second, device, hwpt;
	void *memory;

	iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommu < 0)
		err(1, "/dev/iommu");
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (memory == MAP_FAILED)
		err(1, "mmap");

	ioas = new_ioas();
	device = new_device(ioas);
	hwpt = new_dirty_tracker(device, ioas);
	map(ioas, memory);
	printf("ioas %u: %lu KiB mapped for device %u, page table %u\n", ioas, PAGES * PAGE / 1024,
	       device, hwpt);

	second = new_ioas();
	copy(ioas, second);

	memset(bitmap, 0x11, sizeof(bitmap));
	device_writes(hwpt, bitmap);
	printf("dirty pages after the device's writes: %u\n", dirty_pages(hwpt, bitmap));
	printf("dirty pages when asked again:          %u\n", dirty_pages(hwpt, bitmap));
	close(iommu);
	return 0;
}
