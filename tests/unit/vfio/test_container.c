/* SPDX-License-Identifier: MIT */
/* A native container: type1's own rules. */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PG 4096UL
#define RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

static int group, container;
static u8 *memory;

static int container_begin(void **state, u64 type)
{
	char path[64];

	if (rig_begin(state))
		return -1;
	memory = mmap(NULL, 16 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	snprintf(path, sizeof(path), "/dev/vfio/%d", pci_group_id(&rig.toys[0]->pdev));
	group = rig_open(path);
	container = rig_open("/dev/vfio/vfio");
	return rig_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	       rig_ioctl(container, VFIO_SET_IOMMU, (void *)(uintptr_t)type);
}

static int begin(void **state)
{
	return container_begin(state, VFIO_TYPE1v2_IOMMU);
}

static int begin_v1(void **state)
{
	return container_begin(state, VFIO_TYPE1_IOMMU);
}

static int begin_split(void **state)
{
	rig_access = PCI_ACCESS_SPLIT;
	return begin(state);
}

static int end(void **state)
{
	munmap(memory, 16 * PG);
	return rig_end(state);
}

static long map(u64 iova, void *va, u64 size, u32 flags)
{
	struct vfio_iommu_type1_dma_map cmd = { .argsz = sizeof(cmd), .flags = flags,
						.vaddr = (uintptr_t)va, .iova = iova,
						.size = size };

	return rig_ioctl(container, VFIO_IOMMU_MAP_DMA, &cmd);
}

/* Bytes unmapped, or -errno. */
static long unmap(u64 iova, u64 size, u32 flags)
{
	struct vfio_iommu_type1_dma_unmap cmd = { .argsz = sizeof(cmd), .flags = flags,
						  .iova = iova, .size = size };
	long rc = rig_ioctl(container, VFIO_IOMMU_UNMAP_DMA, &cmd);

	return rc ? rc : (long)cmd.size;
}

static int device(void)
{
	int fd = (int)rig_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, (void *)"0000:01:00.0");

	assert_true(fd >= 0);
	rig_config_write(fd, 4, 6, 2);
	return fd;
}

/* What writing 8 bytes at @iova gives the device: 0 or an errno. */
static s64 dma_write(int fd, u64 iova, u64 value)
{
	rig_write(fd, TOY_SCRATCH, value, 8);
	rig_write(fd, TOY_DMA_ADDR, iova, 8);
	rig_write(fd, TOY_DMA_GO, 1, 4);
	return rig_read(fd, TOY_DMA_RC, 8);
}

/* ---- states ---- */

static void an_iommu_is_chosen_once_and_for_a_group(void **state)
{
	int other = rig_open("/dev/vfio/vfio");
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	assert_int_equal(rig_ioctl(other, VFIO_GET_API_VERSION, NULL), 0);
	assert_int_equal(rig_ioctl(other, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1_IOMMU), 1);
	assert_int_equal(rig_ioctl(other, VFIO_CHECK_EXTENSION, (void *)VFIO_UNMAP_ALL), 1);
	assert_int_equal(rig_ioctl(other, VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU), 0);
	assert_int_equal(rig_ioctl(container, VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU), 1);
	assert_int_equal(rig_ioctl(other, VFIO_CHECK_EXTENSION, (void *)VFIO_NOIOMMU_IOMMU), 0);
	assert_int_equal(rig_ioctl(other, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU), -EINVAL);
	assert_int_equal(rig_ioctl(other, VFIO_IOMMU_GET_INFO, &info), -EINVAL);
	assert_int_equal(rig_ioctl(other, 0x3b7f, NULL), -EINVAL);
	assert_int_equal(rig_ioctl(container, 0x3b7f, NULL), -ENOTTY);
	assert_int_equal(rig_ioctl(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU), -EINVAL);
	/* Free again with the last group; and a type nobody has. */
	assert_int_equal(rig_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	assert_int_equal(rig_ioctl(container, VFIO_IOMMU_GET_INFO, &info), -EINVAL);
	assert_int_equal(rig_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(rig_ioctl(container, VFIO_SET_IOMMU, (void *)VFIO_SPAPR_TCE_IOMMU),
			 -ENODEV);
	assert_int_equal(rig_ioctl(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU), 0);
	rig_close(other);
}

/* ---- information ---- */

static void info_has_its_three_capabilities(void **state)
{
	struct {
		struct vfio_iommu_type1_info info;
		u8 chain[1000];
	} cmd = { .info = { .argsz = 15 } };
	struct vfio_iommu_type1_info_cap_migration *mig;
	struct vfio_iommu_type1_info_dma_avail *avail;
	struct vfio_iommu_type1_info_cap_iova_range *iova;
	u32 needed;

	assert_int_equal(rig_ioctl(container, VFIO_IOMMU_GET_INFO, &cmd), -EINVAL);
	/* What is behind the struct as it is asked for stays as it was. */
	cmd.info.argsz = 19;
	cmd.info.cap_offset = cmd.info.pad = 4711;
	assert_int_equal(rig_ioctl(container, VFIO_IOMMU_GET_INFO, &cmd), 0);
	assert_int_equal(cmd.info.cap_offset, 4711);
	cmd.info.argsz = 24;
	assert_int_equal(rig_ioctl(container, VFIO_IOMMU_GET_INFO, &cmd), 0);
	assert_int_equal(cmd.info.pad, 4711);
	needed = cmd.info.argsz;
	assert_true(needed > 24 && needed < sizeof(cmd));
	assert_int_equal(cmd.info.cap_offset, 0);
	assert_int_equal(cmd.info.flags, VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS);
	assert_true(cmd.info.iova_pgsizes & PG);
	cmd.info.argsz = needed;
	assert_int_equal(map(0, memory, PG, RW), 0);
	assert_int_equal(rig_ioctl(container, VFIO_IOMMU_GET_INFO, &cmd), 0);
	assert_int_equal(cmd.info.argsz, needed);
	mig = (void *)((u8 *)&cmd + cmd.info.cap_offset);
	assert_int_equal(mig->header.id, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
	assert_int_equal(mig->pgsize_bitmap, PG);
	assert_int_equal(mig->max_dirty_bitmap_size, 256 << 20);
	avail = (void *)((u8 *)&cmd + mig->header.next);
	assert_int_equal(avail->header.id, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	assert_int_equal(avail->avail, 65534);
	iova = (void *)((u8 *)&cmd + avail->header.next);
	assert_int_equal(iova->header.id, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	assert_int_equal(iova->header.next, 0);
	/* The window of interrupts is a hole, the end is the table's. */
	assert_int_equal(iova->nr_iovas, 2);
	assert_int_equal(iova->iova_ranges[0].start, 0);
	assert_int_equal(iova->iova_ranges[0].end, 0xfedfffff);
	assert_int_equal(iova->iova_ranges[1].start, 0xfef00000);
	assert_true(iova->iova_ranges[1].end >= (1ULL << 39) - 1);
}

/* ---- mapping ---- */

static void map_refuses_in_the_order_it_is_specified(void **state)
{
	struct vfio_iommu_type1_dma_map cmd = { .argsz = 31, .flags = RW };
	void *hole = memory + 15 * PG;

	assert_int_equal(rig_ioctl(container, VFIO_IOMMU_MAP_DMA, NULL), -EFAULT);
	assert_int_equal(rig_ioctl(container, VFIO_IOMMU_MAP_DMA, &cmd), -EINVAL);
	assert_int_equal(map(0, memory, PG, RW | 8), -EINVAL);
	assert_int_equal(map(0, memory, 0, RW), -EINVAL);
	assert_int_equal(map(UINT64_MAX - 1, memory, 3, RW), -EOVERFLOW);
	assert_int_equal(map(0, (void *)(UINT64_MAX - 1), 3, RW), -EOVERFLOW);
	assert_int_equal(map(0, memory, PG, 0), -EINVAL);
	assert_int_equal(map(0, memory, PG, RW | VFIO_DMA_MAP_FLAG_VADDR), -EINVAL);
	assert_int_equal(map(0, memory, PG, VFIO_DMA_MAP_FLAG_VADDR), -ENOENT);
	assert_int_equal(map(1, memory, PG, RW), -EINVAL);
	assert_int_equal(map(0, memory + 1, PG, RW), -EINVAL);
	assert_int_equal(map(0, memory, PG + 1, RW), -EINVAL);
	assert_int_equal(map(0, memory, 2 * PG, RW), 0);
	assert_int_equal(map(PG, memory, PG, RW), -EEXIST);
	assert_int_equal(map(0, memory, PG, VFIO_DMA_MAP_FLAG_VADDR), -EINVAL);
	assert_int_equal(map(0xfee00000, memory, PG, RW), -EINVAL);
	assert_int_equal(map(1ULL << 60, memory, PG, RW), -EINVAL);
	munmap(hole, PG);
	assert_int_equal(map(0x10000, hole, PG, RW), -EFAULT);
	assert_int_equal(map(0x10000, memory, PG, RW), 0); /* nothing was left of it */
	mprotect(memory + 3 * PG, PG, PROT_READ);
	assert_int_equal(map(0x20000, memory + 3 * PG, PG, RW), -EFAULT);
	assert_int_equal(map(0x20000, memory + 3 * PG, PG, VFIO_DMA_MAP_FLAG_READ), 0);
}

static void devices_reach_what_is_mapped(void **state)
{
	int fd = device();

	assert_int_equal(map(0x100000, memory, 4 * PG, RW), 0);
	assert_int_equal(map(0x200000, memory, PG, VFIO_DMA_MAP_FLAG_READ), 0);
	assert_int_equal(dma_write(fd, 0x100008, 99), 0);
	assert_int_equal(((u64 *)memory)[1], 99);
	assert_int_not_equal(dma_write(fd, 0x200008, 99), 0);
	assert_int_equal(unmap(0x100000, 4 * PG, 0), 4 * PG);
	assert_int_not_equal(dma_write(fd, 0x100008, 98), 0);
	assert_int_equal(((u64 *)memory)[1], 99);
	rig_close(fd);
}

static void there_are_65535_mappings(void **state)
{
	for (u64 i = 0; i < 65535; i++)
		assert_int_equal(map(0x100000000 + i * PG, memory, PG, RW), 0);
	assert_int_equal(map(0, memory, PG, RW), -ENOSPC);
	assert_int_equal(unmap(0x100000000, PG, 0), PG);
	assert_int_equal(map(0, memory, PG, RW), 0);
	assert_int_equal(unmap(0, 0, VFIO_DMA_UNMAP_FLAG_ALL), 65535 * (long)PG);
}

static void registers_of_a_device_can_be_mapped(void **state)
{
	int fd = device();
	void *bar;

	assert_int_equal(iommufd_mmap(rig.proc, NULL, TOY_BAR2, PROT_READ | PROT_WRITE, MAP_SHARED,
				      fd, PCI_REGION_OFFSET(2), &bar), 0);
	((volatile u64 *)bar)[0] = 1;
	((volatile u64 *)((u8 *)bar + TOY_BAR2 - PG))[0] = 1;
	assert_int_equal(map(0x300000, bar, TOY_BAR2, RW), 0);
	assert_int_equal(dma_write(fd, 0x300010, 4711), 0);
	assert_int_equal(((volatile u64 *)bar)[2], 4711);
	assert_int_equal(unmap(0x300000, TOY_BAR2, 0), TOY_BAR2);
	assert_int_equal(map(0x300000, bar, TOY_BAR2, RW), 0);
	iommufd_munmap(rig.proc, bar, TOY_BAR2);
	rig_close(fd);
	/* It is a mapping still, of nothing. */
	assert_int_equal(unmap(0x300000, TOY_BAR2, 0), TOY_BAR2);
}

/* ---- unmapping ---- */

static void unmap_refuses_in_the_order_it_is_specified(void **state)
{
	struct vfio_iommu_type1_dma_unmap cmd = { .argsz = 23 };

	assert_int_equal(rig_ioctl(container, VFIO_IOMMU_UNMAP_DMA, &cmd), -EINVAL);
	assert_int_equal(unmap(0, PG, 8), -EINVAL);
	assert_int_equal(unmap(0, PG, VFIO_DMA_UNMAP_FLAG_ALL), -EINVAL);
	assert_int_equal(unmap(PG, 0, VFIO_DMA_UNMAP_FLAG_ALL), -EINVAL);
	assert_int_equal(unmap(0, 0, 0), -EINVAL);
	assert_int_equal(unmap(UINT64_MAX - 1, 3, 0), -EOVERFLOW);
	assert_int_equal(unmap(1, PG, 0), -EINVAL);
	assert_int_equal(unmap(0, PG + 1, 0), -EINVAL);
	assert_int_equal(unmap(0, PG, 0), 0); /* nothing there */
	assert_int_equal(unmap(0, 0, VFIO_DMA_UNMAP_FLAG_ALL), 0);
}

static void version_two_takes_whole_mappings_only(void **state)
{
	assert_int_equal(map(0x10000, memory, 4 * PG, RW), 0);
	assert_int_equal(map(0x20000, memory, 4 * PG, RW), 0);
	assert_int_equal(unmap(0x10000, PG, 0), -EINVAL);
	assert_int_equal(unmap(0x11000, 3 * PG, 0), -EINVAL);
	assert_int_equal(unmap(0x0, 0x21000, 0), -EINVAL);
	assert_int_equal(unmap(0x0, 0x30000, 0), 8 * PG);
	assert_int_equal(unmap(0x0, 0x30000, 0), 0);
}

static _Atomic bool stop;

static void *maps_across(void *arg)
{
	while (!stop) {
		assert_int_equal(map(0x11000, memory, 2 * PG, RW), 0);
		assert_int_equal(unmap(0x11000, 2 * PG, 0), 2 * PG);
	}
	return NULL;
}

/* What is mapped meanwhile is seen whole, or not at all. */
static void an_unmap_takes_nothing_beyond_its_range(void **state)
{
	u32 cut = 0, none = 0;
	pthread_t thread;

	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, maps_across, NULL), 0);
	for (int i = 0; i < 3000 || !cut || !none; i++) {
		long rc = unmap(0x10000, 2 * PG, 0);

		assert_true(!rc || rc == -EINVAL);
		cut += rc == -EINVAL;
		none += !rc;
	}
	stop = true;
	pthread_join(thread, NULL);
}

/* A mapping of its own, again and again; somebody else may have ended it. */
static void *maps_inside(void *arg)
{
	const u64 iova = 0x100000 * (1 + (u64)(uintptr_t)arg);
	long rc;

	while (!stop) {
		assert_int_equal(map(iova, memory, PG, RW), 0);
		rc = unmap(iova, PG, 0);
		assert_true(rc == PG || !rc);
	}
	return NULL;
}

/* There is always one that is being made: an UNMAP waits for those before it only. */
static void an_unmap_ends_while_others_map_into_its_range(void **state)
{
	pthread_t threads[6];

	stop = false;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, maps_inside, (void *)(uintptr_t)i), 0);
	for (int i = 0; i < 10; i++) {
		usleep(1000); /* so that they are all at it */
		assert_true(unmap(0, 0x1000000, 0) >= 0);
	}
	stop = true;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(unmap(0, 0x1000000, 0), 0);
}

static void version_one_goes_by_the_first_byte(void **state)
{
	assert_int_equal(map(0x10000, memory, 4 * PG, RW), 0);
	assert_int_equal(unmap(0x11000, PG, 0), 0);
	assert_int_equal(unmap(0x10000, PG, 0), 4 * PG);
	assert_int_equal(unmap(0x10000, PG, 0), 0);
}

/* ---- what was written ---- */

static long dirty(u32 flags, u64 iova, u64 size, u64 pgsize, u64 bytes, void *data)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} cmd = {
		.head = { .argsz = sizeof(cmd), .flags = flags },
		.get = { .iova = iova, .size = size,
			 .bitmap = { .pgsize = pgsize, .size = bytes, .data = data } },
	};

	return rig_ioctl(container, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static void dirty_pages_are_those_mapped(void **state)
{
	const u32 start = VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
		  get = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	u64 bits[2] = { 0 };
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} last = {
		.unmap = { .argsz = sizeof(last), .flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
			   .iova = 0x3000, .size = 4 * PG },
		.bitmap = { .pgsize = PG, .size = 8, .data = (__u64 *)bits },
	};

	assert_int_equal(map(0x3000, memory, 4 * PG, RW), 0);
	assert_int_equal(dirty(get, 0, 64 * PG, PG, 8, bits), -EINVAL);
	assert_int_equal(rig_ioctl(container, VFIO_IOMMU_UNMAP_DMA, &last), -EINVAL);
	assert_int_equal(dirty(start | get, 0, 64 * PG, PG, 8, bits), -EINVAL);
	assert_int_equal(dirty(0, 0, 64 * PG, PG, 8, bits), -EINVAL);
	assert_int_equal(dirty(start, 0, 0, 0, 0, NULL), 0);
	assert_int_equal(dirty(get, 0, 64 * PG, 2 * PG, 8, bits), -EINVAL);
	assert_int_equal(dirty(get, 0, 65 * PG, PG, 8, bits), -EINVAL);
	assert_int_equal(dirty(get, 0x4000, 64 * PG, PG, 8, bits), -EINVAL);
	assert_int_equal(dirty(get, 0, 64 * PG, PG, 8, bits), 0);
	assert_int_equal(bits[0], 0x78);
	assert_int_equal(bits[1], 0);
	bits[0] = 0;
	assert_int_equal(rig_ioctl(container, VFIO_IOMMU_UNMAP_DMA, &last), 0);
	assert_int_equal(last.unmap.size, 4 * PG);
	assert_int_equal(bits[0], 0xf);
	assert_int_equal(dirty(VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, 0, 0, 0, 0, NULL), 0);
}

static void version_one_has_no_dirty_pages(void **state)
{
	assert_int_equal(dirty(VFIO_IOMMU_DIRTY_PAGES_FLAG_START, 0, 0, 0, 0, NULL), -EACCES);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define T1(name) cmocka_unit_test_setup_teardown(name, begin_v1, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_iommu_is_chosen_once_and_for_a_group),
		T(info_has_its_three_capabilities),
		T(map_refuses_in_the_order_it_is_specified),
		T(devices_reach_what_is_mapped),
		T(there_are_65535_mappings),
		T(registers_of_a_device_can_be_mapped),
		{"registers_of_a_device_can_be_mapped (split)",
		 registers_of_a_device_can_be_mapped, begin_split, end, NULL},
		T(unmap_refuses_in_the_order_it_is_specified),
		T(version_two_takes_whole_mappings_only),
		T(an_unmap_takes_nothing_beyond_its_range),
		T(an_unmap_ends_while_others_map_into_its_range),
		T1(version_one_goes_by_the_first_byte),
		T(dirty_pages_are_those_mapped),
		T1(version_one_has_no_dirty_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
