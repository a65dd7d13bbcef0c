/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking: which bits of the program's bitmap a marked page sets,
 * wherever the request and the bitmap begin.
 */
#include "harness.h"

#define SLOT MOCK_PAGE_SIZE
#define SLOTS_PER_PAGE (PAGE_SIZE / SLOT)
#define GRANULE_HUGE ((u64)MOCK_HUGE_PAGE_SIZE)

/* A hwpt that tracks, and tracking switched on. */
static u32 tracking_hwpt(struct bed *bed, u32 type)
{
	struct device_ids ids;
	u32 elsewhere = (u32)ioas_new(bed);
	struct iommu_hwpt_set_dirty_tracking cmd = { .size = sizeof(cmd), .flags = 1 };

	/* the device is needed to allocate by, and kept out of this ioas */
	ids = device_attached(bed, elsewhere);
	cmd.hwpt_id =
		(u32)hwpt_new(bed, ids.idev, bed->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, type);
	assert_true((int)cmd.hwpt_id > 0);
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), 0);
	return cmd.hwpt_id;
}

static void mark(struct bed *bed, u32 hwpt, u64 iova)
{
	unsigned char one = 1;
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DIRTY,
		.id = hwpt,
		.dirty = {
			.iova = iova, .length = SLOT, .page_size = SLOT, .uptr = (uintptr_t)&one,
		},
	};

	assert_int_equal(test_cmd(bed, &cmd), 0);
	assert_int_equal(cmd.dirty.out_nr_dirty, 1);
}

static long get_bitmap(struct bed *bed, u32 hwpt, u64 iova, u64 length, u64 page_size, void *data,
		       u32 flags)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt,
		.flags = flags,
		.iova = iova,
		.length = length,
		.page_size = page_size,
		.data = (uintptr_t)data,
	};

	return bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

static bool bit(const unsigned char *bits, u64 n)
{
	return bits[n / 8] >> (n % 8) & 1;
}

/* ---- rows ---- */

static void set_meets_its_rows_in_order(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = device_attached(bed, bed->ioas);
	u32 hwpt = tracking_hwpt(bed, 0);
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd), .flags = 2, .hwpt_id = NO_ID, .__reserved = 9
	};

	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), -EOPNOTSUPP);
	cmd.flags = 1;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), -ENOENT);
	cmd.hwpt_id = bed->ioas;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), -ENOENT);
	cmd.hwpt_id = ids.hwpt;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), -EOPNOTSUPP);
	cmd.hwpt_id = hwpt;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), 0);
}

static void get_meets_its_rows_in_order(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = device_attached(bed, bed->ioas);
	u32 hwpt = tracking_hwpt(bed, 0);
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd), .flags = 2, .hwpt_id = NO_ID, .__reserved = 1, .iova = 1,
		.data = (uintptr_t)bed->mem,
	};

	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), -EOPNOTSUPP);
	cmd.flags = 0;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), -EOPNOTSUPP);
	cmd.__reserved = 0;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), -ENOENT);
	cmd.hwpt_id = ids.hwpt;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), -EOVERFLOW);
	cmd.length = 4096;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), -EINVAL); /* aligned? */
	cmd.iova = BED_IOVA;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd),
			 -EINVAL); /* no page size */
	cmd.page_size = 8192;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), -EINVAL); /* the end */
	cmd.page_size = 4096;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), -EOPNOTSUPP);
	cmd.hwpt_id = hwpt;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), 0);
	cmd.iova = cmd.length = 0;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), -EINVAL);
}

/* ---- bits ---- */

static void bits_are_relative_or_ed_in_and_cleared_once_read(void **state)
{
	struct bed *bed = *state;
	u32 hwpt = tracking_hwpt(bed, 0);
	unsigned char bits[16] = { 0 };
	u64 iova = BED_IOVA + 6 * PAGE_SIZE;

	assert_int_equal(map_at(bed, bed->ioas, bed->mem, BED_LENGTH, BED_IOVA), 0);
	mark(bed, hwpt, iova + 3 * SLOT);
	bits[0] = 0x81;
	bits[1] = 0xff;
	assert_int_equal(get_bitmap(bed, hwpt, iova, 8 * SLOT, SLOT, bits, 1), 0);
	assert_int_equal(bits[0], 0x89);
	assert_int_equal(bits[1], 0xff);
	memset(bits, 0, sizeof(bits));
	assert_int_equal(get_bitmap(bed, hwpt, iova + 2 * SLOT, 4 * SLOT, SLOT, bits + 5, 0), 0);
	assert_int_equal(bits[5], 2);
	memset(bits, 0, sizeof(bits));
	assert_int_equal(get_bitmap(bed, hwpt, iova, 8 * SLOT, SLOT, bits, 0), 0);
	assert_int_equal(bits[0], 0);
}

static void marks_end_with_the_mapping_and_with_enabling(void **state)
{
	struct bed *bed = *state;
	u32 hwpt = tracking_hwpt(bed, 0);
	struct iommu_hwpt_set_dirty_tracking cmd = { .size = sizeof(cmd), .hwpt_id = hwpt };
	unsigned char bits[64] = { 0 };

	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA), 0);
	mark(bed, hwpt, BED_IOVA);
	assert_int_equal(unmap_all(bed, bed->ioas), PAGE_SIZE);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA, PAGE_SIZE, SLOT, bits, 0), 0);
	assert_int_equal(bits[0], 0);
	mark(bed, hwpt, BED_IOVA);
	/* off keeps what is marked, on forgets it, also when it was on */
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), 0);
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA, PAGE_SIZE, SLOT, bits, 1), 0);
	assert_int_equal(bits[0], 1);
	cmd.flags = 1;
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), 0);
	bits[0] = 0;
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA, PAGE_SIZE, SLOT, bits, 0), 0);
	assert_int_equal(bits[0], 0);
	mark(bed, hwpt, BED_IOVA);
	assert_int_equal(bed_ioctl(bed, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), 0);
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA, PAGE_SIZE, SLOT, bits, 0), 0);
	assert_int_equal(bits[0], 0);
}

static void the_walk_ends_at_the_first_hole_without_an_error(void **state)
{
	struct bed *bed = *state;
	u32 hwpt = tracking_hwpt(bed, 0);
	unsigned char bits[8] = { 0 };

	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(
		map_at(bed, bed->ioas, bed->mem + PAGE_SIZE, PAGE_SIZE, BED_IOVA + PAGE_SIZE), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA + 3 * PAGE_SIZE), 0);
	mark(bed, hwpt, BED_IOVA + PAGE_SIZE);
	mark(bed, hwpt, BED_IOVA + 3 * PAGE_SIZE);
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA, 4 * PAGE_SIZE, SLOT, bits, 0), 0);
	assert_int_equal(bits[0], 4);
	/* beginning in a hole reports nothing at all; what lies behind keeps its marks */
	bits[0] = 0;
	assert_int_equal(
		get_bitmap(bed, hwpt, BED_IOVA + 2 * PAGE_SIZE, 2 * PAGE_SIZE, SLOT, bits, 0), 0);
	assert_int_equal(bits[0], 0);
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA + 3 * PAGE_SIZE, PAGE_SIZE, SLOT, bits, 0),
			 0);
	assert_int_equal(bits[0], 1);
}

static void a_bad_bitmap_loses_the_bits_and_is_no_error(void **state)
{
	struct bed *bed = *state;
	u32 hwpt = tracking_hwpt(bed, 0);
	unsigned char bits[8] = { 0 };

	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA), 0);
	mark(bed, hwpt, BED_IOVA);
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA, PAGE_SIZE, SLOT, BAD_PTR, 0), 0);
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA, PAGE_SIZE, SLOT, bits, 0), 0);
	assert_int_equal(bits[0], 0);
	/* nothing dirty: the bitmap is not even touched */
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA, PAGE_SIZE, SLOT, BAD_PTR, 0), 0);
}

static void one_bit_may_stand_for_many_entries(void **state)
{
	struct bed *bed = *state;
	u32 hwpt = tracking_hwpt(bed, 0);
	unsigned char bits[8] = { 0 };

	assert_int_equal(map_at(bed, bed->ioas, bed->mem, BED_LENGTH, BED_IOVA), 0);
	mark(bed, hwpt, BED_IOVA + 5 * PAGE_SIZE);
	mark(bed, hwpt, BED_IOVA + 6 * PAGE_SIZE);
	mark(bed, hwpt, BED_IOVA + 63 * PAGE_SIZE);
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA, BED_LENGTH, 4 * PAGE_SIZE, bits, 1), 0);
	assert_int_equal(bits[0], 2);
	assert_int_equal(bits[1], 0x80);
	memset(bits, 0, sizeof(bits));
	/* bits larger than any window there could be */
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA, BED_LENGTH, BED_LENGTH, bits, 1), 0);
	assert_int_equal(bits[0], 1);
	assert_int_equal(get_bitmap(bed, hwpt, 0, 1UL << 63, 1UL << 63, bits + 1, 0), 0);
	assert_int_equal(bits[1], 0); /* iova 0 is a hole */
}

/* ---- entries and windows ---- */

#define LARGE_LENGTH (80UL << 20)

/* A window is 64 MiB at these bits; the request begins so that its border cuts an entry. */
static void an_entry_across_a_window_sets_all_its_bits(void **state)
{
	struct bed *bed = *state;
	char *mem = bed_memory(LARGE_LENGTH);
	u32 hwpt = tracking_hwpt(bed, MOCK_IOMMUPT_HUGE);
	u64 base = 1UL << 30, begin = base + PAGE_SIZE, length = LARGE_LENGTH - 2 * PAGE_SIZE;
	u64 entry = base + 64 * GRANULE_HUGE, first, last;
	unsigned char *bits = test_calloc(1, length / SLOT / 8 + 2);

	assert_int_equal(map_at(bed, bed->ioas, mem, LARGE_LENGTH, base), 0);
	for (int no_clear = 1; no_clear >= 0; no_clear--) {
		mark(bed, hwpt, entry + 100 * SLOT);
		memset(bits, 0, length / SLOT / 8 + 2);
		assert_int_equal(get_bitmap(bed, hwpt, begin, length, SLOT, bits + 1, no_clear), 0);
		first = (entry - begin) / SLOT;
		last = first + GRANULE_HUGE / SLOT - 1;
		for (u64 n = 0; n < length / SLOT; n++)
			if (bit(bits + 1, n) != (n >= first && n <= last))
				fail_msg("bit %llu", (unsigned long long)n);
	}
	/* an entry at the end of the request is clipped to it */
	mark(bed, hwpt, entry + 2 * SLOT);
	memset(bits, 0, 8);
	assert_int_equal(get_bitmap(bed, hwpt, entry - PAGE_SIZE, 2 * PAGE_SIZE, SLOT, bits, 0), 0);
	assert_int_equal(bits[0], 0x0c);
	assert_int_equal(bits[1], 0);
	test_free(bits);
	assert_int_equal(unmap_all(bed, bed->ioas), LARGE_LENGTH);
	munmap(mem, LARGE_LENGTH);
}

static void windows_are_put_together_without_a_seam(void **state)
{
	struct bed *bed = *state;
	char *mem = bed_memory(LARGE_LENGTH);
	u32 hwpt = tracking_hwpt(bed, 0);
	u64 nbits = LARGE_LENGTH / SLOT, seam = (64UL << 20) / SLOT;
	const u64 marked[] = { 0, seam - 2, seam, nbits - 2 };
	unsigned char *bits = test_calloc(1, nbits / 8 + 1);
	u64 n, found = 0;

	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	assert_int_equal(map_at(bed, bed->ioas, mem, LARGE_LENGTH, BED_IOVA), 0);
	for (size_t i = 0; i < ARRAY_SIZE(marked); i++)
		mark(bed, hwpt, BED_IOVA + marked[i] * SLOT);
	assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA, LARGE_LENGTH, SLOT, bits + 1, 0), 0);
	for (n = 0; n < nbits; n++)
		if (bit(bits + 1, n))
			assert_int_equal(n, marked[found++]);
	assert_int_equal(found, ARRAY_SIZE(marked));
	assert_int_equal(bits[0], 0);
	test_free(bits);
	assert_int_equal(unmap_all(bed, bed->ioas), LARGE_LENGTH);
	munmap(mem, LARGE_LENGTH);
}

/* ---- against a naive model ---- */

#define MODEL_SLOTS (BED_PAGES * SLOTS_PER_PAGE)

/* @area: of each page, 0 none; neighbours of one area are in one piece. */
static void random_areas(struct bed *bed, u64 *seed, bool *mapped)
{
	for (u64 page = 0; page < BED_PAGES;) {
		u64 n = 1 + random_below(seed, 12);

		n = MIN(n, BED_PAGES - page);
		if (random_below(seed, 5)) {
			assert_int_equal(map_at(bed, bed->ioas, bed->mem + page * PAGE_SIZE,
						n * PAGE_SIZE, BED_IOVA + page * PAGE_SIZE), 0);
			memset(mapped + page, true, n);
		} else {
			memset(mapped + page, false, n);
		}
		page += n;
	}
}

static void model_read(bool *dirty, const bool *mapped, u64 first, u64 nslots, u64 per_bit,
		       unsigned char *want, bool clear)
{
	for (u64 i = 0; i < nslots && mapped[(first + i) / SLOTS_PER_PAGE]; i++) {
		if (!dirty[first + i])
			continue;
		want[i / per_bit / 8] |= (unsigned char)(1 << (i / per_bit % 8));
		if (clear)
			dirty[first + i] = false;
	}
}

/* Page-sized entries: a mark on a page's first slot is reported for that slot. */
static void random_requests_agree_with_a_naive_model(void **state)
{
	struct bed *bed = *state;
	u32 hwpt = tracking_hwpt(bed, 0);
	bool mapped[BED_PAGES], dirty[MODEL_SLOTS];
	unsigned char want[80], got[80];
	u64 seed = 5, first, nslots, per_bit, slot;
	bool clear;

	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	for (int round = 0; round < 40; round++) {
		unmap_all(bed, bed->ioas);
		memset(dirty, 0, sizeof(dirty));
		random_areas(bed, &seed, mapped);
		for (int i = 0; i < 40; i++) {
			for (int j = 0; j < 6; j++) {
				slot = random_below(&seed, BED_PAGES) * SLOTS_PER_PAGE;
				mark(bed, hwpt, BED_IOVA + slot * SLOT);
				dirty[slot] = mapped[slot / SLOTS_PER_PAGE];
			}
			/* whole pages: the option made them the alignment */
			per_bit = 1ULL << random_below(&seed, 5);
			first = ALIGN_UP(random_below(&seed, MODEL_SLOTS), MAX(per_bit, 2));
			nslots = ALIGN_UP(1 + random_below(&seed, MODEL_SLOTS), MAX(per_bit, 2));
			if (first + nslots > MODEL_SLOTS)
				continue;
			clear = random_below(&seed, 2);
			for (size_t j = 0; j < sizeof(got); j++)
				want[j] = got[j] = (unsigned char)(random_below(&seed, 8) ? 0 : j);
			slot = random_below(&seed, 9);
			model_read(dirty, mapped, first, nslots, per_bit, want + slot, clear);
			assert_int_equal(get_bitmap(bed, hwpt, BED_IOVA + first * SLOT,
						    nslots * SLOT, per_bit * SLOT, got + slot,
						    !clear),
					 0);
			assert_memory_equal(want, got, sizeof(want));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(set_meets_its_rows_in_order),
		bed_test(get_meets_its_rows_in_order),
		bed_test(bits_are_relative_or_ed_in_and_cleared_once_read),
		bed_test(marks_end_with_the_mapping_and_with_enabling),
		bed_test(the_walk_ends_at_the_first_hole_without_an_error),
		bed_test(a_bad_bitmap_loses_the_bits_and_is_no_error),
		bed_test(one_bit_may_stand_for_many_entries),
		bed_test(an_entry_across_a_window_sets_all_its_bits),
		bed_test(windows_are_put_together_without_a_seam),
		bed_test(random_requests_agree_with_a_naive_model),
	};

	return cmocka_run_group_tests_name("ioas_dirty", tests, NULL, NULL);
}
