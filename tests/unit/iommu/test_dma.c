/* SPDX-License-Identifier: MIT */
/*
 * DMA by one thread: the right bytes, the right error, the right moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../mem/keep_signals.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dma_rig.h"

#define BASE 0x10000000ULL

static struct rig rig;

static int setup(void **state)
{
	rig_begin(&rig, IOMMUFD_FRAMES_CONTIGUOUS, false);
	return 0;
}

static int setup_scattered(void **state)
{
	rig_begin(&rig, IOMMUFD_FRAMES_RANDOM, false);
	return 0;
}

static int teardown(void **state)
{
	rig_end(&rig);
	return 0;
}

static int read8(u64 iova, u64 *value, struct iommufd_dma_fault *fault)
{
	return iommufd_dma_read(rig.dev, IOMMU_NO_PASID, iova, value, 8, fault);
}

static int write8(u64 iova, u64 value, struct iommufd_dma_fault *fault)
{
	return iommufd_dma_write(rig.dev, IOMMU_NO_PASID, iova, &value, 8, fault);
}

/* ---- copies ---- */

static void test_random_copies_match_memory(void **state)
{
	static u8 expect[64 * PAGE], buf[64 * PAGE];
	u8 *memory = pages_alloc(sizeof(expect));

	srand(1);
	for (size_t i = 0; i < sizeof(expect); i++)
		memory[i] = expect[i] = (u8)rand();
	/* Three areas side by side, and one whose pages go backwards. */
	rig_map(&rig, BASE, memory, 16 * PAGE, RW);
	rig_map(&rig, BASE + 16 * PAGE, memory + 16 * PAGE, PAGE, RW);
	rig_map(&rig, BASE + 17 * PAGE, memory + 17 * PAGE, 31 * PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	rig_map(&rig, BASE + 48 * PAGE, memory + 48 * PAGE, 16 * PAGE, RW);
	for (int i = 0; i < 3000; i++) {
		u64 off = (u64)rand() % sizeof(expect);
		u64 len = (u64)rand() % (rand() % 8 ? 100 : sizeof(expect));

		len = len < sizeof(expect) - off ? len : sizeof(expect) - off;
		if (rand() & 1) {
			assert_int_equal(iommufd_dma_read(rig.dev, 0, BASE + off, buf, len, NULL),
					 0);
			assert_memory_equal(buf, expect + off, len);
		} else {
			memset(buf, rand(), len);
			memcpy(expect + off, buf, len);
			assert_int_equal(iommufd_dma_write(rig.dev, 0, BASE + off, buf, len, NULL),
					 0);
		}
	}
	assert_memory_equal(memory, expect, sizeof(expect));
	munmap(memory, sizeof(expect));
}

static void test_a_copy_stops_at_the_hole(void **state)
{
	u8 *memory = pages_alloc(2 * PAGE), buf[2 * PAGE];
	struct iommufd_dma_fault fault;

	memset(memory, 7, 2 * PAGE);
	memset(buf, 0, sizeof(buf));
	rig_map(&rig, BASE, memory, PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(iommufd_dma_read(rig.dev, 0, BASE + 16, buf, 2 * PAGE, &fault), -EFAULT);
	assert_int_equal(fault.reason, IOMMU_XLAT_NOT_PRESENT);
	assert_int_equal(fault.iova, BASE + PAGE);
	assert_int_equal(fault.access, IOMMU_READ);
	assert_int_equal(buf[PAGE - 17], 7);
	assert_int_equal(buf[PAGE - 16], 0);
	munmap(memory, 2 * PAGE);
}

static void test_atomics_of_both_sizes(void **state)
{
	u64 *memory = pages_alloc(PAGE), old;
	u32 *half = (u32 *)&memory[1];

	rig_map(&rig, BASE, memory, PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	memory[0] = ~0ULL;
	half[0] = 5;
	half[1] = 77;
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE, 8, IOMMUFD_DMA_FETCH_ADD, 3, 0, &old,
					    NULL), 0);
	assert_int_equal(old, ~0ULL);
	assert_int_equal(memory[0], 2);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE + 8, 4, IOMMUFD_DMA_FETCH_ADD,
					    0xffffffff, 0, &old, NULL), 0);
	assert_int_equal(old, 5);
	assert_int_equal(half[0], 4);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE + 8, 4, IOMMUFD_DMA_SWAP, 9, 0, &old,
					    NULL), 0);
	assert_int_equal(old, 4);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE + 8, 4, IOMMUFD_DMA_COMPARE_SWAP, 1,
					    8, &old, NULL), 0);
	assert_int_equal(old, 9);
	assert_int_equal(half[0], 9);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE, 8, IOMMUFD_DMA_COMPARE_SWAP,
					    1ULL << 40, 2, &old, NULL),
			 0);
	assert_int_equal(old, 2);
	assert_int_equal(memory[0], 1ULL << 40);
	assert_int_equal(half[1], 77);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE + 4, 8, IOMMUFD_DMA_SWAP, 0, 0, &old,
					    NULL), -EINVAL);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE, 2, IOMMUFD_DMA_SWAP, 0, 0, &old,
					    NULL), -EINVAL);
	munmap(memory, PAGE);
}

static void test_translate_says_where_a_byte_is(void **state)
{
	char *memory = pages_alloc(4 * PAGE), buf[3];
	u64 pa;

	memcpy(memory + 2 * PAGE + 5, "abc", 3);
	rig_map(&rig, BASE, memory, 4 * PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(iommufd_dma_translate(rig.dev, 0, BASE + 2 * PAGE + 5, IOMMU_READ,
						       &pa), 0);
		assert_int_equal(iommufd_phys_read(rig.system, pa, buf, 3), 0);
		assert_memory_equal(buf, "abc", 3);
	}
	munmap(memory, 4 * PAGE);
}

/* ---- errors ---- */

static void test_every_reason_has_its_errno(void **state)
{
	static const int want[] = {
		0, -EFAULT, -EACCES, -ERANGE, -EBADMSG, -ENXIO, -ENODEV, -EPERM
	};

	for (int i = 0; i < 8; i++)
		assert_int_equal(iommufd_dma_errno((enum iommu_xlat_fault)i), want[i]);
}

static void test_errors_are_told_apart(void **state)
{
	u8 *memory = pages_alloc(2 * PAGE);
	struct iommufd_dma_fault fault;
	u64 value, old;

	rig_map(&rig, BASE, memory, PAGE, IOMMU_READ);
	assert_int_equal(read8(BASE, &value, &fault), -EPERM); /* bound, in the blocked domain */
	assert_int_equal(fault.reason, IOMMU_XLAT_BLOCKED);
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(read8(BASE, &value, &fault), 0);
	assert_int_equal(write8(BASE, 1, &fault), -EACCES);
	assert_int_equal(fault.reason, IOMMU_XLAT_PERMISSION);
	assert_int_equal(fault.access, IOMMU_WRITE);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE, 8, IOMMUFD_DMA_SWAP, 0, 0, &old,
					    &fault), -EACCES);
	assert_int_equal(fault.access, RW);
	assert_int_equal(read8(BASE + PAGE, &value, &fault), -EFAULT);
	assert_int_equal(fault.reason, IOMMU_XLAT_NOT_PRESENT);
	assert_int_equal(read8(1ULL << 50, &value, &fault), -ERANGE);
	assert_int_equal(fault.reason, IOMMU_XLAT_OUT_OF_RANGE);
	assert_int_equal(iommufd_dma_read(rig.dev, 7, BASE, &value, 8, &fault), -ENODEV);
	assert_int_equal(fault.reason, IOMMU_XLAT_NOT_ATTACHED);
	assert_int_equal(fault.pasid, 7);
	assert_int_equal(iommufd_dma_read(rig.dev, 0, ~0ULL - 3, &value, 8, &fault), -EINVAL);
	iommufd_dma_bus_master(rig.dev, false);
	assert_int_equal(read8(BASE, &value, &fault), -EPERM);
	iommufd_dma_bus_master(rig.dev, true);
	assert_int_equal(read8(BASE, &value, &fault), 0);
	iommufd_device_detach(rig.idev, IOMMU_NO_PASID);
	assert_int_equal(read8(BASE, &value, &fault), -EPERM);
	munmap(memory, 2 * PAGE);
}

static void test_an_unbound_device_is_not_attached(void **state)
{
	struct iommufd_dma_fault fault;
	struct device *other;
	u64 value;

	assert_int_equal(iommufd_generic_device_create(rig.system, "dev1", &other), 0);
	assert_int_equal(iommufd_dma_read(other, 0, BASE, &value, 8, &fault), -ENODEV);
	assert_int_equal(fault.reason, IOMMU_XLAT_NOT_ATTACHED);
	iommufd_generic_device_destroy(other);
}

static void test_vanished_memory_is_a_failed_dma(void **state)
{
	char *memory = pages_alloc(PAGE);
	int fd = memfd_create("vanish", MFD_CLOEXEC);
	struct iommufd_dma_fault fault;
	struct iommu_ioas_map_file map = { .size = sizeof(map), .ioas_id = rig.ioas, .fd = fd,
					   .flags = IOMMU_IOAS_MAP_FIXED_IOVA |
						    IOMMU_IOAS_MAP_READABLE |
						    IOMMU_IOAS_MAP_WRITEABLE,
					   .length = 4 * PAGE, .iova = BASE };
	struct iommufd_dma_map *dma_map;
	u64 value = 1, old;

	assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
	assert_int_equal(rig_ioctl(&rig, IOMMU_IOAS_MAP_FILE, &map), 0);
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(write8(BASE + PAGE, 5, &fault), 0);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE, 4 * PAGE, RW, &dma_map, &fault), 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(read8(BASE, &value, &fault), 0);
	assert_int_equal(read8(BASE + PAGE, &value, &fault), -EIO);
	assert_int_equal(fault.reason, IOMMU_XLAT_OK);
	assert_int_equal(fault.iova, BASE + PAGE);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE + PAGE, 8, IOMMUFD_DMA_SWAP, 0, 0,
					    &old, &fault),
			 -EIO);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE + PAGE, 4, IOMMUFD_DMA_COMPARE_SWAP, 0,
					    0, &old, &fault), -EIO);
	assert_int_equal(iommufd_dma_copy(&value, (char *)dma_map->segs[0].ptr + PAGE, 8), -EFAULT);
	assert_int_equal(iommufd_dma_unmap(dma_map), 0);
	close(fd);
	munmap(memory, PAGE);
}

static void test_memory_the_program_unmaps_is_a_failed_dma(void **state)
{
	char *memory =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommufd_dma_fault fault;
	u64 value = 1;

	assert_true(memory != MAP_FAILED);
	memset(memory, 1, 2 * PAGE);
	rig_map(&rig, BASE, memory, 2 * PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(read8(BASE + PAGE, &value, &fault), 0);
	munmap(memory + PAGE, PAGE);
	assert_int_equal(read8(BASE + PAGE, &value, &fault), -EIO);
	assert_int_equal(read8(BASE, &value, &fault), 0);
	munmap(memory, PAGE);
}

/* ---- moments ---- */

static void test_nothing_is_cached_beyond_unmap_detach_and_replace(void **state)
{
	u64 *memory = pages_alloc(2 * PAGE), value;
	u32 second = rig_ioas(&rig), first = rig.ioas, pt;

	memory[0] = 1;
	memory[PAGE / 8] = 2;
	rig_map(&rig, BASE, memory, PAGE, RW);
	rig.ioas = second;
	rig_map(&rig, BASE, (char *)memory + PAGE, PAGE, RW);
	rig.ioas = first;
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(read8(BASE, &value, NULL), 0);
	assert_int_equal(value, 1);
	assert_int_equal(rig_unmap(&rig, BASE, PAGE), 0);
	assert_int_equal(read8(BASE, &value, NULL), -EFAULT);
	rig_map(&rig, BASE, memory, PAGE, RW);
	assert_int_equal(read8(BASE, &value, NULL), 0);
	pt = second;
	assert_int_equal(iommufd_device_replace(rig.idev, 0, &pt), 0);
	assert_int_equal(read8(BASE, &value, NULL), 0);
	assert_int_equal(value, 2);
	iommufd_device_detach(rig.idev, 0);
	assert_int_equal(read8(BASE, &value, NULL), -EPERM);
	munmap(memory, 2 * PAGE);
}

static void test_pasids_have_translations_of_their_own(void **state)
{
	u64 *memory = pages_alloc(2 * PAGE), value;
	u32 second = rig_ioas(&rig), first = rig.ioas, pt;

	memory[0] = 1;
	memory[PAGE / 8] = 2;
	rig_map(&rig, BASE, memory, PAGE, RW);
	rig.ioas = second;
	rig_map(&rig, BASE, (char *)memory + PAGE, PAGE, RW);
	rig.ioas = first;
	rig_attach(&rig, IOMMU_NO_PASID);
	pt = rig_hwpt(&rig, second, IOMMU_HWPT_ALLOC_PASID);
	assert_int_equal(iommufd_device_attach(rig.idev, 5, &pt), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(iommufd_dma_read(rig.dev, 0, BASE, &value, 8, NULL), 0);
		assert_int_equal(value, 1);
		assert_int_equal(iommufd_dma_read(rig.dev, 5, BASE, &value, 8, NULL), 0);
		assert_int_equal(value, 2);
	}
	iommufd_device_detach(rig.idev, 5);
	assert_int_equal(iommufd_dma_read(rig.dev, 5, BASE, &value, 8, NULL), -ENODEV);
	assert_int_equal(iommufd_dma_read(rig.dev, 0, BASE, &value, 8, NULL), 0);
	munmap(memory, 2 * PAGE);
}

static void test_counters_count(void **state)
{
	u8 *memory = pages_alloc(2 * PAGE);
	struct iommufd_iotlb_counters c;
	u64 value;

	rig_map(&rig, BASE, memory, PAGE, RW);
	rig_map(&rig, BASE + 64 * PAGE, memory + PAGE, PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	for (int i = 0; i < 10; i++)
		assert_int_equal(read8(BASE + 8 * i, &value, NULL), 0);
	iommufd_iotlb_counters(rig.dev, &c);
	assert_int_equal(c.lookups, 10);
	assert_int_equal(c.walks, 1);
	assert_int_equal(c.hits, 9);
	assert_int_equal(c.invalidations, 0);
	/* An unmap elsewhere is met by the cache, and leaves its entry alone. */
	assert_int_equal(rig_unmap(&rig, BASE + 64 * PAGE, PAGE), 0);
	assert_int_equal(read8(BASE, &value, NULL), 0);
	iommufd_iotlb_counters(rig.dev, &c);
	assert_int_equal(c.walks, 1);
	assert_int_equal(c.invalidations, 1);
	iommufd_iotlb_flush_pasid(rig.dev, 1);
	assert_int_equal(read8(BASE, &value, NULL), 0);
	iommufd_iotlb_flush_pasid(rig.dev, IOMMU_NO_PASID);
	assert_int_equal(read8(BASE, &value, NULL), 0);
	iommufd_iotlb_flush_device(rig.dev);
	assert_int_equal(read8(BASE, &value, NULL), 0);
	iommufd_iotlb_counters(rig.dev, &c);
	assert_int_equal(c.walks, 3);
	munmap(memory, 2 * PAGE);
}

#define TABLE (2 * MIB)

static void assert_reads(u64 iova, u64 want)
{
	u64 value = 0;

	assert_int_equal(read8(iova, &value, NULL), 0);
	assert_int_equal(value, want);
}

static void assert_gone(u64 iova)
{
	u64 value;

	assert_int_equal(read8(iova, &value, NULL), -EFAULT);
	assert_int_equal(iommufd_dma_translate(rig.dev, 0, iova, IOMMU_READ, &value), -EFAULT);
}

/* Scattered frames: each 2 MiB are 512 entries, in a table of their own. */
static void test_a_table_that_was_freed_is_not_read(void **state)
{
	u64 *memory = pages_alloc(2 * TABLE);

	rig_attach(&rig, IOMMU_NO_PASID);
	for (u64 i = 0; i < 2 * TABLE / 8; i++)
		memory[i] = i;
	for (u64 round = 0; round < 4; round++) {
		u64 here = BASE + round * TABLE, there = BASE + (8 - round) * TABLE;

		rig_map(&rig, here, memory, TABLE, RW);
		assert_reads(here, 0);
		assert_reads(here + TABLE - 8, TABLE / 8 - 1);
		assert_int_equal(rig_unmap(&rig, here, TABLE), 0);
		assert_gone(here);
		/* Frees are used again at once: this is what was the other's table. */
		rig_map(&rig, there, memory + TABLE / 8, TABLE, RW);
		assert_reads(there, TABLE / 8);
		assert_gone(here);
		assert_gone(here + TABLE - 8);
		assert_int_equal(rig_unmap(&rig, there, TABLE), 0);
	}
	munmap(memory, 2 * TABLE);
}

/* Pages come and go in a table that stays, and stays known. */
static void test_pages_of_a_known_table_come_and_go(void **state)
{
	u64 *memory = pages_alloc(4 * PAGE);
	struct iommufd_iotlb_counters before, after;

	rig_attach(&rig, IOMMU_NO_PASID);
	for (u64 i = 0; i < 4; i++) {
		memory[i * PAGE / 8] = i;
		rig_map(&rig, BASE + i * PAGE, memory + i * PAGE / 8, PAGE,
			i == 3 ? IOMMU_READ : RW);
	}
	assert_reads(BASE, 0);
	iommufd_iotlb_counters(rig.dev, &before);
	assert_reads(BASE + PAGE, 1);
	assert_reads(BASE + 3 * PAGE, 3);
	assert_int_equal(rig_unmap(&rig, BASE + PAGE, PAGE), 0);
	assert_reads(BASE + 2 * PAGE, 2);
	iommufd_iotlb_counters(rig.dev, &after);
	assert_int_equal(after.walks, before.walks);
	assert_gone(BASE + PAGE);
	rig_map(&rig, BASE + PAGE, memory + 2 * PAGE / 8, PAGE, RW);
	assert_reads(BASE + PAGE, 2);
	assert_int_equal(iommufd_dma_write(rig.dev, 0, BASE + 3 * PAGE, memory, 8, NULL), -EACCES);
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(rig_unmap(&rig, BASE + i * PAGE, PAGE), 0);
	munmap(memory, 4 * PAGE);
}

/* A large entry takes the place of a table that was left empty; that is freed some time later. */
static void test_a_large_entry_replaces_a_known_table(void **state)
{
	u64 *memory = pages_alloc(3 * TABLE);
	u64 *large = (u64 *)(((uintptr_t)memory + TABLE - 1) & ~(TABLE - 1));

	rig_attach(&rig, IOMMU_NO_PASID);
	for (u64 i = 0; i < 2 * TABLE / 8; i++)
		large[i] = i;
	rig_map(&rig, BASE, large + 2 * PAGE / 8, PAGE, RW);
	assert_reads(BASE, 2 * PAGE / 8);
	assert_int_equal(rig_unmap(&rig, BASE, PAGE), 0);
	rig_map(&rig, BASE, large, TABLE, RW);
	assert_reads(BASE + 3 * PAGE, 3 * PAGE / 8);
	for (u64 i = 1; i < 4; i++) {
		/* The first unmap frees what the large entry replaced, the next map uses it. */
		rig_map(&rig, BASE + i * TABLE, large + TABLE / 8, PAGE, RW);
		assert_reads(BASE + i * TABLE, TABLE / 8);
		assert_reads(BASE, 0);
		assert_reads(BASE + 3 * PAGE, 3 * PAGE / 8);
		assert_int_equal(rig_unmap(&rig, BASE + i * TABLE, PAGE), 0);
		assert_gone(BASE + i * TABLE);
	}
	munmap(memory, 3 * TABLE);
}

static void test_an_idle_device_is_not_asked_any_more(void **state)
{
	u8 *memory = pages_alloc(2 * PAGE);
	struct iommufd_iotlb_counters c;
	u64 value, before;

	rig_map(&rig, BASE, memory, PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(read8(BASE, &value, NULL), 0);
	for (int i = 0; i < 2; i++) {
		rig_map(&rig, BASE + PAGE, memory + PAGE, PAGE, RW);
		assert_int_equal(rig_unmap(&rig, BASE + PAGE, PAGE), 0);
	}
	iommufd_iotlb_counters(rig.dev, &c);
	before = c.invalidations;
	for (int i = 0; i < 5; i++) {
		rig_map(&rig, BASE + PAGE, memory + PAGE, PAGE, RW);
		assert_int_equal(rig_unmap(&rig, BASE + PAGE, PAGE), 0);
	}
	iommufd_iotlb_counters(rig.dev, &c);
	assert_int_equal(c.invalidations, before);
	assert_int_equal(read8(BASE, &value, NULL), 0);
	rig_map(&rig, BASE + PAGE, memory + PAGE, PAGE, RW);
	assert_int_equal(rig_unmap(&rig, BASE, PAGE), 0);
	assert_int_equal(read8(BASE, &value, NULL), -EFAULT);
	munmap(memory, 2 * PAGE);
}

/* ---- dirty pages ---- */

#define TRACKED 512

static void test_the_bitmap_is_the_set_of_pages_written(void **state)
{
	u8 *memory = pages_alloc(TRACKED * PAGE);
	u64 want[TRACKED / 64], got[TRACKED / 64];

	srand(3);
	/* Page by page, so that no entry is larger. */
	for (int i = 0; i < TRACKED; i++)
		rig_map(&rig, BASE + i * PAGE, memory + i * PAGE, PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	for (int i = 0; i < TRACKED; i++)
		assert_int_equal(write8(BASE + i * PAGE, i, NULL), 0); /* cached as writable */
	rig_track(&rig, true);
	for (int round = 0; round < 50; round++) {
		memset(want, 0, sizeof(want));
		memset(got, 0, sizeof(got));
		for (int i = 0; i < 200; i++) {
			u64 page = (u64)rand() % TRACKED, value;

			if (rand() % 3) {
				assert_int_equal(read8(BASE + page * PAGE, &value, NULL), 0);
				continue;
			}
			assert_int_equal(write8(BASE + page * PAGE + 8, i, NULL), 0);
			want[page / 64] |= 1ULL << page % 64;
		}
		rig_dirty(&rig, BASE, TRACKED * PAGE, got);
		assert_memory_equal(got, want, sizeof(got));
	}
	rig_track(&rig, false);
	munmap(memory, TRACKED * PAGE);
}

/* ---- pointers ---- */

static void test_mapped_pointers_are_the_memory(void **state)
{
	u8 *memory = pages_alloc(8 * PAGE);
	struct iommufd_dma_map *map;
	struct iommufd_dma_fault fault;
	u64 total = 0;

	rig_map(&rig, BASE, memory, 8 * PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE + 100, 8 * PAGE - 100, RW, &map, &fault),
			 0);
	for (u32 i = 0; i < map->count; i++) {
		memset(map->segs[i].ptr, 0x5a, map->segs[i].length);
		total += map->segs[i].length;
	}
	assert_int_equal(total, 8 * PAGE - 100);
	assert_int_equal(iommufd_dma_unmap(map), 0);
	assert_int_equal(memory[99], 0);
	for (u64 i = 100; i < 8 * PAGE; i++)
		assert_int_equal(memory[i], 0x5a);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE + PAGE, 8 * PAGE, RW, &map, &fault),
			 -EFAULT);
	assert_int_equal(fault.iova, BASE + 8 * PAGE);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE, 0, RW, &map, &fault), -EINVAL);
	assert_int_equal(iommufd_dma_map(rig.dev, 3, BASE, 8, RW, &map, &fault), -ENODEV);
	assert_int_equal(iommufd_dma_unmap(NULL), 0);
	munmap(memory, 8 * PAGE);
}

/* ---- translated requests ---- */

struct told {
	unsigned int count;
	u64 first, last;
};

static void told_invalidate(void *data, ioasid_t pasid, u64 first, u64 last)
{
	struct told *told = data;

	told->count++;
	told->first = first;
	told->last = last;
}

static void test_translated_requests_are_held_against_what_was_given(void **state)
{
	u64 *memory = pages_alloc(2 * PAGE), value = 0;
	struct iommufd_ats_translation at;
	struct iommufd_dma_fault fault;
	struct told told = { 0 };

	memory[1] = 42;
	rig_map(&rig, BASE, memory, PAGE, IOMMU_READ);
	rig_map(&rig, BASE + 16 * PAGE, (char *)memory + PAGE, PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	iommufd_ats_enable(rig.dev, told_invalidate, &told);
	assert_int_equal(iommufd_ats_translate(rig.dev, 0, BASE + 8, IOMMU_READ, &at, &fault), 0);
	assert_int_equal(at.prot, IOMMU_READ);
	assert_int_equal(iommufd_ats_read(rig.dev, at.pa, &value, 8, &fault), 0);
	assert_int_equal(value, 42);
	assert_int_equal(iommufd_ats_write(rig.dev, at.pa, &value, 8, &fault), -EACCES);
	assert_int_equal(iommufd_ats_read(rig.dev, at.pa + at.length, &value, 8, &fault), -EACCES);
	assert_int_equal(fault.iova, at.pa + at.length);
	assert_int_equal(iommufd_ats_translate(rig.dev, 0, BASE, IOMMU_WRITE, &at, &fault),
			 -EACCES);
	assert_int_equal(iommufd_ats_translate(rig.dev, 0, BASE + PAGE, IOMMU_READ, &at, &fault),
			 -EFAULT);
	assert_int_equal(iommufd_ats_translate(rig.dev, 0, BASE + 8, IOMMU_READ, &at, &fault), 0);
	assert_int_equal(rig_unmap(&rig, BASE + 16 * PAGE, PAGE), 0);
	assert_int_equal(told.count, 0);
	assert_int_equal(rig_unmap(&rig, BASE, PAGE), 0);
	assert_int_equal(told.count, 1); /* asked for twice, and the same */
	assert_true(told.first <= BASE + 8 && told.last >= BASE + PAGE - 1);
	assert_int_equal(iommufd_ats_read(rig.dev, at.pa, &value, 8, &fault), -EACCES);
	munmap(memory, 2 * PAGE);
}

static void test_leaving_a_domain_ends_what_was_given(void **state)
{
	u64 *memory = pages_alloc(PAGE), value = 0;
	struct iommufd_ats_translation at;

	rig_map(&rig, BASE, memory, PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(iommufd_ats_translate(rig.dev, 0, BASE, IOMMU_WRITE, &at, NULL), 0);
	assert_int_equal(iommufd_ats_write(rig.dev, at.pa, &value, 8, NULL), 0);
	iommufd_device_detach(rig.idev, 0);
	assert_int_equal(iommufd_ats_write(rig.dev, at.pa, &value, 8, NULL), -EACCES);
	munmap(memory, PAGE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_random_copies_match_memory),
		cmocka_unit_test_setup_teardown(test_random_copies_match_memory, setup_scattered,
						teardown),
		T(test_a_copy_stops_at_the_hole),
		T(test_atomics_of_both_sizes),
		T(test_translate_says_where_a_byte_is),
		cmocka_unit_test(test_every_reason_has_its_errno),
		T(test_errors_are_told_apart),
		T(test_an_unbound_device_is_not_attached),
		T(test_vanished_memory_is_a_failed_dma),
		T(test_memory_the_program_unmaps_is_a_failed_dma),
		T(test_nothing_is_cached_beyond_unmap_detach_and_replace),
		T(test_pasids_have_translations_of_their_own),
		T(test_counters_count),
		cmocka_unit_test_setup_teardown(test_a_table_that_was_freed_is_not_read,
						setup_scattered, teardown),
		T(test_pages_of_a_known_table_come_and_go),
		T(test_a_large_entry_replaces_a_known_table),
		T(test_an_idle_device_is_not_asked_any_more),
		T(test_the_bitmap_is_the_set_of_pages_written),
		T(test_mapped_pointers_are_the_memory),
		cmocka_unit_test_setup_teardown(test_mapped_pointers_are_the_memory,
						setup_scattered, teardown),
		T(test_translated_requests_are_held_against_what_was_given),
		T(test_leaving_a_domain_ends_what_was_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
