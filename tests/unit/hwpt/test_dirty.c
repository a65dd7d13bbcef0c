/* SPDX-License-Identifier: MIT */
/* Dirty tracking of a hwpt, with marks a mock device would make. */
#include <string.h>

#include "../models/rig.h"

#define BASE MOCK_APERTURE_START
#define PG 4096UL
#define SLOT 2048UL

static u32 ioas, dirty;
static struct mock_ids ids;

static int begin(void **state)
{
	if (rig_begin(state))
		return -1;
	ioas = rig_ioas();
	return rig_huge_pages(ioas, 0) || rig_mock_domain(ioas, 0, &ids) ||
	       rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &dirty);
}

static int track(u32 hwpt, u32 flags)
{
	struct iommu_hwpt_set_dirty_tracking cmd = { .size = sizeof(cmd), .hwpt_id = hwpt,
						     .flags = flags };

	return rig_ioctl(IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

static int mark(u32 hwpt, u64 iova, u64 length, u64 page_size, const void *bits, u64 *ret_nr)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_DIRTY, .id = hwpt,
				      .dirty = { .iova = iova, .length = length,
						 .page_size = page_size,
						 .uptr = (uintptr_t)bits } };
	int rc = rig_test(&cmd);

	if (ret_nr)
		*ret_nr = cmd.dirty.out_nr_dirty;
	return rc;
}

static int read_dirty(u32 hwpt, u64 iova, u64 length, u64 page_size, void *bits, u32 flags)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = { .size = sizeof(cmd), .hwpt_id = hwpt,
						   .flags = flags, .iova = iova, .length = length,
						   .page_size = page_size,
						   .data = (uintptr_t)bits };

	return rig_ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

static void set_tracking_refuses_what_it_does_not_know(void **state)
{
	assert_int_equal(track(4711, 2), -EOPNOTSUPP);
	assert_int_equal(track(4711, 1), -ENOENT);
	assert_int_equal(track(ioas, 1), -ENOENT);
	assert_int_equal(track(ids.hwpt, 1), -EOPNOTSUPP);
	assert_int_equal(track(dirty, 1), 0);
	assert_int_equal(track(dirty, 1), 0);
	assert_int_equal(track(dirty, 0), 0);
	assert_int_equal(track(dirty, 0), 0);
}

static void reading_checks_flags_then_id_then_range(void **state)
{
	u64 bits = 0;
	struct iommu_hwpt_get_dirty_bitmap cmd = { .size = sizeof(cmd), .hwpt_id = dirty,
						   .__reserved = 1 };

	assert_int_equal(rig_ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), -EOPNOTSUPP);
	assert_int_equal(read_dirty(4711, BASE, PG, SLOT, &bits, 2), -EOPNOTSUPP);
	assert_int_equal(read_dirty(4711, BASE, 0, 0, &bits, 0), -ENOENT);
	assert_int_equal(read_dirty(ids.hwpt, BASE, 0, 0, &bits, 0), -EOVERFLOW);
	assert_int_equal(read_dirty(ids.hwpt, BASE, UINT64_MAX, 0, &bits, 0), -EOVERFLOW);
	assert_int_equal(read_dirty(ids.hwpt, BASE + 1, PG, SLOT, &bits, 0), -EINVAL);
	assert_int_equal(read_dirty(ids.hwpt, BASE, PG, 0, &bits, 0), -EINVAL);
	assert_int_equal(read_dirty(ids.hwpt, BASE, PG, 2 * PG, &bits, 0), -EINVAL);
	assert_int_equal(read_dirty(ids.hwpt, BASE, PG, SLOT, &bits, 0), -EOPNOTSUPP);
	assert_int_equal(read_dirty(dirty, BASE, PG, SLOT, &bits, 0), 0);
}

static void marks_need_tracking_and_sound_arguments(void **state)
{
	const u64 bits = 1;

	assert_int_equal(mark(dirty, BASE, PG, SLOT, &bits, NULL), -EINVAL); /* tracking is off */
	assert_int_equal(track(dirty, 1), 0);
	assert_int_equal(mark(dirty, BASE, PG, 0, &bits, NULL), -EINVAL);
	assert_int_equal(mark(dirty, BASE, 0, SLOT, &bits, NULL), -EINVAL);
	assert_int_equal(mark(dirty, BASE, PG, SLOT, NULL, NULL), -EINVAL);
	assert_int_equal(mark(dirty, BASE + 1, PG, SLOT, &bits, NULL), -EINVAL);
	assert_int_equal(mark(dirty, BASE, PG + 1, SLOT, &bits, NULL), -EINVAL);
	assert_int_equal(mark(dirty, 0, 1UL << 40, SLOT, &bits, NULL), -EOVERFLOW);
	assert_int_equal(mark(ioas, BASE, PG, SLOT, &bits, NULL), -ENOENT);
	assert_int_equal(mark(dirty, BASE, PG, SLOT, (void *)8, NULL), -EFAULT);
	assert_int_equal(mark(ids.hwpt, BASE, PG, SLOT, &bits, NULL), -EINVAL);
	assert_int_equal(mark(dirty, BASE, PG, SLOT, &bits, NULL), 0);
}

static void marks_are_read_per_half_page_and_cleared(void **state)
{
	const unsigned char wanted[8] = { 0x55, 0x55, 0, 0x05, 0, 0, 0, 0x40 };
	unsigned char got[8] = { 0 };
	u64 nr;

	assert_int_equal(rig_map(ioas, rig_memory(32 * PG), 32 * PG, BASE), 0);
	assert_int_equal(track(dirty, 1), 0);
	assert_int_equal(mark(dirty, BASE, 32 * PG, SLOT, wanted, &nr), 0);
	assert_int_equal(nr, 11);
	assert_int_equal(read_dirty(dirty, BASE, 32 * PG, SLOT, got,
				    IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR), 0);
	assert_memory_equal(got, wanted, 8);
	memset(got, 0, 8);
	assert_int_equal(read_dirty(dirty, BASE, 32 * PG, SLOT, got, 0), 0);
	assert_memory_equal(got, wanted, 8);
	/* bits are added, never taken away */
	assert_int_equal(read_dirty(dirty, BASE, 32 * PG, SLOT, got, 0), 0);
	assert_memory_equal(got, wanted, 8);
	memset(got, 0, 8);
	assert_int_equal(read_dirty(dirty, BASE, 32 * PG, SLOT, got, 0), 0);
	assert_memory_equal(got, ((unsigned char[8]){ 0 }), 8);
}

static void a_bitmap_may_begin_at_any_byte(void **state)
{
	const unsigned char wanted[2] = { 0x11, 0x44 };
	unsigned char *page = rig_memory(2 * PG), *got = page + PG - 1;

	assert_int_equal(rig_map(ioas, rig_memory(8 * PG), 8 * PG, BASE), 0);
	assert_int_equal(track(dirty, 1), 0);
	assert_int_equal(mark(dirty, BASE, 8 * PG, SLOT, wanted, NULL), 0);
	assert_int_equal(read_dirty(dirty, BASE, 8 * PG, SLOT, got, 0), 0);
	assert_memory_equal(got, wanted, 2);
}

static void enabling_forgets_old_marks(void **state)
{
	const unsigned char wanted = 1;
	unsigned char got = 0;

	assert_int_equal(rig_map(ioas, rig_memory(PG), PG, BASE), 0);
	assert_int_equal(track(dirty, 1), 0);
	assert_int_equal(mark(dirty, BASE, PG, SLOT, &wanted, NULL), 0);
	assert_int_equal(track(dirty, 0), 0);
	assert_int_equal(read_dirty(dirty, BASE, PG, SLOT, &got, 1), 0);
	assert_int_equal(got, 1);
	assert_int_equal(track(dirty, 1), 0);
	got = 0;
	assert_int_equal(read_dirty(dirty, BASE, PG, SLOT, &got, 0), 0);
	assert_int_equal(got, 0);
}

static void marks_where_nothing_is_mapped_are_counted_and_lost(void **state)
{
	const unsigned char wanted = 0xff;
	unsigned char got = 0;
	u64 nr;

	assert_int_equal(rig_map(ioas, rig_memory(PG), PG, BASE), 0);
	assert_int_equal(track(dirty, 1), 0);
	assert_int_equal(mark(dirty, BASE, 8 * SLOT, SLOT, &wanted, &nr), 0);
	assert_int_equal(nr, 8);
	assert_int_equal(read_dirty(dirty, BASE, 8 * SLOT, SLOT, &got, 0), 0);
	assert_int_equal(got, 3);
}

/*
 * One mark stands for a whole megabyte.  A read that ends inside it clears it,
 * so a read right behind finds nothing; a read over several windows of the
 * bitmap must not lose the part behind a window's edge.
 */
static void a_huge_entry_is_one_mark(void **state)
{
	const u64 length = 192UL << 20, start = 512UL << 10;
	unsigned char *mem = rig_memory(length), *got = rig_memory(length / SLOT / 8);
	u64 first_byte = (length - start) / SLOT / 8, all;
	unsigned char one = 1;
	u32 other = rig_ioas(), huge;

	mem += -(uintptr_t)mem & ((1UL << 20) - 1);
	all = length - (2UL << 20);
	assert_int_equal(rig_hwpt_typed(ids.idev, other, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					MOCK_IOMMUPT_HUGE, &huge), 0);
	assert_int_equal(rig_map(other, mem, all, 0), 0);
	assert_int_equal(track(huge, 1), 0);
	for (u64 iova = 0; iova < all; iova += 1UL << 20)
		assert_int_equal(mark(huge, iova + 7 * SLOT, SLOT, SLOT, &one, NULL), 0);
	/* from the middle of an entry: windows of 64 MiB end in the middle of others */
	assert_int_equal(read_dirty(huge, start, all - start, SLOT, got, 0), 0);
	for (u64 i = 0; i < (all - start) / SLOT / 8; i++)
		assert_int_equal(got[i], 0xff);
	assert_true(first_byte > (all - start) / SLOT / 8);
	memset(got, 0, first_byte);
	assert_int_equal(read_dirty(huge, 0, all, SLOT, got, 0), 0);
	for (u64 i = 0; i < all / SLOT / 8; i++)
		assert_int_equal(got[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, rig_end)
		T(set_tracking_refuses_what_it_does_not_know),
		T(reading_checks_flags_then_id_then_range),
		T(marks_need_tracking_and_sound_arguments),
		T(marks_are_read_per_half_page_and_cleared),
		T(a_bitmap_may_begin_at_any_byte),
		T(enabling_forgets_old_marks),
		T(marks_where_nothing_is_mapped_are_counted_and_lost),
		T(a_huge_entry_is_one_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
