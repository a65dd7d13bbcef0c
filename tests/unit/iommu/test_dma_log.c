/* SPDX-License-Identifier: MIT */
/*
 * The log of what a device writes: each way in which it can.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../mem/keep_signals.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fault.h"
#include "dma_rig.h"
#include "iommu/dma_log.h"

#define BASE  0x10000000ULL
#define PAGES 32ULL

static struct rig rig;
static u64 *memory;
static const struct dma_log_range everything = {BASE, BASE + PAGES * PAGE - 1};

static int setup(void **state)
{
	rig_begin(&rig, IOMMUFD_FRAMES_CONTIGUOUS, false);
	memory = pages_alloc(PAGES * PAGE);
	rig_map(&rig, BASE, memory, PAGES * PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
	return 0;
}

static int teardown(void **state)
{
	rig_end(&rig);
	munmap(memory, PAGES * PAGE);
	return 0;
}

/** struct seen - pages of [BASE, ...]; @pages: how many bits there were in all; @rc: answer this */
struct seen {
	u64 bits;
	u64 pages;
	int rc;
};

static int see(void *data, const struct dma_log_piece *piece)
{
	struct seen *seen = data;

	for (u64 i = 0; i < DMA_LOG_PIECE_PAGES; i++) {
		u64 iova = piece->first + i * PAGE;

		if (!(piece->bits[i / 64] & BIT_ULL(i % 64)))
			continue;
		seen->pages++;
		if (iova >= BASE && iova < BASE + 64 * PAGE)
			seen->bits |= BIT_ULL((iova - BASE) / PAGE);
	}
	return seen->rc;
}

static u64 written(void)
{
	struct seen seen = {0};

	assert_int_equal(iommu_dma_log_read(rig.dev, everything.first, everything.last, see, &seen),
			 0);
	return seen.bits;
}

static void write8(u64 iova)
{
	u64 value = iova;

	assert_int_equal(iommufd_dma_write(rig.dev, 0, iova, &value, 8, NULL), 0);
}

static void copies_atomics_and_translations_are_logged(void **state)
{
	u8 bytes[3 * PAGE] = {0};
	u64 pa, old;

	write8(BASE); /* its table is known from here on */
	assert_int_equal(iommu_dma_log_start(rig.dev, &everything, 1), 0);
	assert_int_equal(iommu_dma_log_start(rig.dev, &everything, 1), -EBUSY);
	write8(BASE);
	assert_int_equal(iommufd_dma_write(rig.dev, 0, BASE + 3 * PAGE - 4, bytes, PAGE + 8, NULL),
			 0);
	assert_int_equal(iommufd_dma_read(rig.dev, 0, BASE + 8 * PAGE, bytes, 2 * PAGE, NULL), 0);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE + 12 * PAGE, 8, IOMMUFD_DMA_FETCH_ADD,
					    1, 0, &old, NULL),
			 0);
	assert_int_equal(iommufd_dma_translate(rig.dev, 0, BASE + 14 * PAGE, IOMMU_WRITE, &pa), 0);
	assert_int_equal(iommufd_dma_translate(rig.dev, 0, BASE + 15 * PAGE, IOMMU_READ, &pa), 0);
	assert_true(written() == (BIT_ULL(0) | BIT_ULL(2) | BIT_ULL(3) | BIT_ULL(4) | BIT_ULL(12) |
				  BIT_ULL(14)));
	assert_int_equal(written(), 0);
	iommu_dma_log_stop(rig.dev);
	write8(BASE);
	assert_int_equal(iommu_dma_log_read(rig.dev, 0, UINT64_MAX, see, &(struct seen){0}),
			 -EINVAL);
}

static void lent_memory_counts_when_it_comes_back(void **state)
{
	struct iommufd_dma_map *map, *reads;

	assert_int_equal(
		iommufd_dma_map(rig.dev, 0, BASE + PAGE + 8, PAGE, IOMMU_WRITE, &map, NULL), 0);
	assert_int_equal(iommu_dma_log_start(rig.dev, &everything, 1), 0);
	assert_int_equal(
		iommufd_dma_map(rig.dev, 0, BASE + 9 * PAGE, PAGE, IOMMU_READ, &reads, NULL), 0);
	assert_int_equal(written(), 0);
	assert_int_equal(iommufd_dma_unmap(map), 0);
	assert_int_equal(iommufd_dma_unmap(reads), 0);
	assert_true(written() == (BIT_ULL(1) | BIT_ULL(2)));
}

static void translated_writes_are_logged_by_their_iova(void **state)
{
	struct iommufd_ats_translation at;
	u64 value = 1;

	assert_int_equal(iommu_dma_log_start(rig.dev, &everything, 1), 0);
	assert_int_equal(iommufd_ats_translate(rig.dev, 0, BASE + 5 * PAGE + 8, RW, &at, NULL), 0);
	written(); /* the device may have it for writing */
	assert_int_equal(iommufd_ats_write(rig.dev, at.pa, &value, 8, NULL), 0);
	assert_int_equal(memory[5 * PAGE / 8 + 1], 1);
	assert_true(written() == BIT_ULL(5));
	assert_int_equal(iommufd_ats_read(rig.dev, at.pa, &value, 8, NULL), 0);
	assert_int_equal(written(), 0);
}

static void who_refuses_a_piece_is_told_again(void **state)
{
	struct seen seen = {.rc = -EFAULT};

	assert_int_equal(iommu_dma_log_start(rig.dev, &everything, 1), 0);
	write8(BASE + 4 * PAGE);
	assert_int_equal(iommu_dma_log_read(rig.dev, 0, UINT64_MAX, see, &seen), -EFAULT);
	assert_true(written() == BIT_ULL(4));
}

static void a_page_there_is_no_memory_for_makes_its_range_dirty(void **state)
{
	const struct dma_log_range ranges[] = {{BASE, BASE + 4 * PAGE - 1},
					       {BASE + 8 * PAGE, BASE + 12 * PAGE - 1}};
	struct seen seen = {0};

	write8(BASE);
	assert_int_equal(iommu_dma_log_start(rig.dev, ranges, 2), 0);
	write8(BASE); /* the IOTLB's own memory is there */
	assert_true(written() == BIT_ULL(0));
	fault_named_set("alloc", 0, 1);
	write8(BASE + 9 * PAGE);
	fault_named_set("", 0, 0);
	write8(BASE + PAGE);
	/* Part of it does not settle it. */
	assert_int_equal(iommu_dma_log_read(rig.dev, BASE + 8 * PAGE, BASE + 10 * PAGE - 1, see,
					    &seen),
			 0);
	assert_true(seen.bits == (BIT_ULL(8) | BIT_ULL(9)));
	assert_true(written() == (BIT_ULL(1) | 0xf00));
	assert_int_equal(written(), 0);
}

static void starting_without_memory_starts_nothing(void **state)
{
	struct fault_state faults = {0};
	int rc;

	for (u32 n = 1;; n++) {
		fault_current = &faults;
		faults.nth = n;
		rc = iommu_dma_log_start(rig.dev, &everything, 1);
		faults.nth = 0;
		fault_current = NULL;
		if (!rc)
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(iommu_dma_log_read(rig.dev, 0, 1, see, &(struct seen){ 0 }),
				 -EINVAL);
	}
	write8(BASE);
	assert_true(written() == BIT_ULL(0));
}

static void pieces_far_apart_are_told_in_order(void **state)
{
	const struct dma_log_range all = {0, UINT64_MAX};
	const u64 far = BASE + 7 * DMA_LOG_PIECE_BYTES;
	struct seen seen = {0};

	rig_map(&rig, far, memory, PAGES * PAGE, RW);
	assert_int_equal(iommu_dma_log_start(rig.dev, &all, 1), 0);
	write8(far + PAGE);
	write8(BASE + PAGE);
	assert_int_equal(iommu_dma_log_read(rig.dev, far, far + PAGE - 1, see, &seen), 0);
	assert_int_equal(seen.pages, 0);
	assert_int_equal(iommu_dma_log_read(rig.dev, 0, UINT64_MAX, see, &seen), 0);
	assert_int_equal(seen.pages, 2);
	assert_true(seen.bits == BIT_ULL(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copies_atomics_and_translations_are_logged, setup,
						teardown),
		cmocka_unit_test_setup_teardown(lent_memory_counts_when_it_comes_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(translated_writes_are_logged_by_their_iova, setup,
						teardown),
		cmocka_unit_test_setup_teardown(who_refuses_a_piece_is_told_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_page_there_is_no_memory_for_makes_its_range_dirty,
						setup, teardown),
		cmocka_unit_test_setup_teardown(starting_without_memory_starts_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(pieces_far_apart_are_told_in_order, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
