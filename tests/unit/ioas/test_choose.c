/* SPDX-License-Identifier: MIT */
/*
 * Which iova MAP chooses: the worked values of the interface, and random
 * address spaces against a chooser that is written down as the rule reads.
 */
#include <stdlib.h>

#include "harness.h"

/* The iova chosen for memory at @va, or -errno. */
static s64 choose(struct bed *bed, u64 va, u64 length)
{
	u64 iova = 0;
	long rc = map_flags(bed, bed->ioas, (void *)va, length, &iova, RW);

	return rc ? rc : (s64)iova;
}

/* ---- worked values ---- */

static void the_worked_values_hold_without_a_domain(void **state)
{
	struct bed *bed = *state;
	u64 va = 1UL << 32;

	assert_int_equal(choose(bed, va, PAGE_SIZE), 0x1000);
	unmap_all(bed, bed->ioas);
	assert_int_equal(choose(bed, va, 3 * PAGE_SIZE), 0x4000);
	unmap_all(bed, bed->ioas);
	assert_int_equal(choose(bed, va, 4UL << 20), 0x200000);
	unmap_all(bed, bed->ioas);
	assert_int_equal(choose(bed, va + 0x1801, 1), 0x1801);
	unmap_all(bed, bed->ioas);
	assert_int_equal(choose(bed, va + 0x1800, 0x800), 0x1800);
	assert_int_equal(choose(bed, va + 0x1800, 0x800), 0x2800);
}

static void the_worked_values_hold_with_a_domain_and_with_allowed_ranges(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range allowed = { 200 * PAGE_SIZE, 600 * PAGE_SIZE - 1 };
	struct device_ids ids;

	assert_int_equal(allow_iovas(bed, bed->ioas, &allowed, 1), 0);
	assert_int_equal(choose(bed, 1UL << 32, 3 * PAGE_SIZE), 0xc8000);
	assert_int_equal(allow_iovas(bed, bed->ioas, NULL, 0), 0);
	unmap_all(bed, bed->ioas);
	ids = device_attached(bed, bed->ioas);
	assert_int_equal(choose(bed, (uintptr_t)bed->mem, PAGE_SIZE), 0x1000000);
	assert_int_equal(check_map(bed, ids.hwpt, 0x1000000, bed->mem, PAGE_SIZE), 0);
}

static void lengths_beyond_half_the_space_overflow_before_anything_else(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(choose(bed, 0, UINT64_MAX / 2), -EOVERFLOW);
	assert_int_equal(choose(bed, 0, UINT64_MAX / 2 - 1), 1UL << 21);
	assert_int_equal(choose(bed, 0, UINT64_MAX / 2 - 1), -ENOSPC);
	unmap_all(bed, bed->ioas);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	assert_int_equal(choose(bed, 0, UINT64_MAX / 2), -EINVAL); /* its length is not aligned */
	assert_int_equal(choose(bed, 0, 1UL << 63), -EOVERFLOW);
	assert_int_equal(choose(bed, 0x1800, PAGE_SIZE), -EINVAL); /* the memory is not */
}

static void a_reservation_to_the_top_does_not_wrap(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(add_reserved(bed, bed->ioas, 6, UINT64_MAX - 16), 0);
	assert_int_equal(choose(bed, 0, 5000), -ENOSPC);
	assert_int_equal(choose(bed, 0, 2), -ENOSPC);
	assert_int_equal(choose(bed, 0, 1), -ENOSPC);
}

static void allowed_ranges_that_touch_act_as_one(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range r[] = { { 0x20000, 0x20fff }, { 0x10000, 0x10fff },
					{ 0x11000, 0x11fff }, { UINT64_MAX - 1, UINT64_MAX },
					{ 0, 0xfff } };

	assert_int_equal(allow_iovas(bed, bed->ioas, r, ARRAY_SIZE(r)), 0);
	assert_int_equal(choose(bed, 0x2000, 0x2000), 0x10000);
	assert_int_equal(choose(bed, 0x2000, 0x2000), -ENOSPC);
	assert_int_equal(choose(bed, 0x2000, 0x1000), 0x20000);
	/* neither the first page nor the last is chosen, allowed or not */
	assert_int_equal(choose(bed, 1, 1), -ENOSPC);
}

static void a_hole_of_one_byte_is_never_used(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range r = { 0x1000, 0x1001 };

	assert_int_equal(allow_iovas(bed, bed->ioas, &r, 1), 0);
	assert_int_equal(choose(bed, 1UL << 20, 1), 0x1000);
	assert_int_equal(choose(bed, (1UL << 20) + 1, 1), -ENOSPC);
}

/* ---- against the rule ---- */

#define MAX_RANGES 64

struct range {
	u64 first, last;
};

struct ranges {
	struct range at[MAX_RANGES];
	u32 n;
};

struct space {
	struct ranges areas, reserved, allowed;
	u64 alignment;
};

static int by_first(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static bool any_overlap(const struct ranges *ranges, u64 first, u64 last)
{
	for (u32 i = 0; i < ranges->n; i++)
		if (ranges->at[i].first <= last && first <= ranges->at[i].last)
			return true;
	return false;
}

static bool rule_fit(u64 first, u64 last, u64 length, u64 align, u64 off, u64 *ret)
{
	u64 s = first;

	if (s & (align - 1)) {
		if (s > UINT64_MAX - align)
			return false;
		s = (s | (align - 1)) + 1;
	}
	s |= off;
	if (s >= last || last - s < length - 1)
		return false;
	*ret = s;
	return true;
}

/* The lowest maximal hole of the union inside [from..last]; false if there is none. */
static bool rule_hole(const struct ranges *taken, u64 from, u64 last, struct range *ret)
{
	for (u32 i = 0; i < taken->n; i++) {
		if (taken->at[i].last < from)
			continue;
		if (taken->at[i].first > from) {
			*ret = (struct range){ from, MIN(taken->at[i].first - 1, last) };
			return true;
		}
		if (taken->at[i].last >= last)
			return false;
		from = taken->at[i].last + 1;
	}
	*ret = (struct range){ from, last };
	return from <= last;
}

static struct ranges rule_windows(const struct space *space)
{
	struct ranges in = space->allowed, out = { .n = 0 };

	if (!in.n)
		in = (struct ranges){ .at = { { 0, UINT64_MAX } }, .n = 1 };
	qsort(in.at, in.n, sizeof(in.at[0]), by_first);
	for (u32 i = 0; i < in.n; i++) {
		if (out.n && out.at[out.n - 1].last + 1 == in.at[i].first)
			out.at[out.n - 1].last = in.at[i].last;
		else
			out.at[out.n++] = in.at[i];
	}
	for (u32 i = 0; i < out.n; i++) {
		out.at[i].first = MAX(out.at[i].first, PAGE_SIZE);
		out.at[i].last = MIN(out.at[i].last, UINT64_MAX - PAGE_SIZE);
	}
	return out;
}

static s64 rule_choose(const struct space *space, u64 addr, u64 length)
{
	struct ranges windows = rule_windows(space), taken = space->areas;
	u64 align = 1, off = addr % PAGE_SIZE, from, s;
	struct range hole;

	while (align < length)
		align *= 2;
	if (addr)
		align = MIN(align, addr & -addr);
	align = MIN(align, 2UL << 20);
	if (align < space->alignment)
		return -EINVAL;
	memcpy(taken.at + taken.n, space->reserved.at, space->reserved.n * sizeof(struct range));
	taken.n += space->reserved.n;
	qsort(taken.at, taken.n, sizeof(taken.at[0]), by_first);
	for (u32 i = 0; i < windows.n; i++) {
		u64 last = windows.at[i].last;

		if (windows.at[i].first > last ||
		    !rule_fit(windows.at[i].first, last, length, align, off, &from))
			continue;
		while (from <= last && rule_hole(&taken, from, last, &hole)) {
			if (rule_fit(hole.first, hole.last, length, align, off, &s))
				return (s64)s;
			from = hole.last + 1;
		}
	}
	return -ENOSPC;
}

#define UNIVERSE (40 * PAGE_SIZE)

static struct range random_range(u64 *seed, u64 grain)
{
	u64 first = ALIGN_DOWN(random_below(seed, UNIVERSE), grain);
	u64 length = ALIGN_UP(2 + random_below(seed, 1ULL << (2 + random_below(seed, 13))), grain);

	return (struct range){ first, first + length - 1 };
}

/* An ioas with random reservations, allowed ranges and areas, and what we know of it. */
static struct space random_space(struct bed *bed, u64 *seed)
{
	struct space space = { .alignment = random_below(seed, 3) ? 1 : PAGE_SIZE };
	struct iommu_iova_range allowed[8];
	struct range r;
	u64 iova;

	bed->ioas = (u32)ioas_new(bed);
	if (space.alignment > 1)
		assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	/* beyond the small universe there is nothing, or there are no failures to see */
	if (random_below(seed, 4)) {
		r = (struct range){ UNIVERSE, random_below(seed, 2) ? UINT64_MAX :
								      UINT64_MAX - 3 * PAGE_SIZE };
		assert_int_equal(add_reserved(bed, bed->ioas, r.first, r.last - r.first + 1), 0);
		space.reserved.at[space.reserved.n++] = r;
	}
	for (u64 i = random_below(seed, 5); i; i--) {
		r = random_range(seed, 1);
		assert_int_equal(add_reserved(bed, bed->ioas, r.first, r.last - r.first + 1), 0);
		space.reserved.at[space.reserved.n++] = r;
	}
	for (u64 i = random_below(seed, 2) ? random_below(seed, 6) : 0; i; i--) {
		r = random_range(seed, random_below(seed, 2) ? PAGE_SIZE : 1);
		if (any_overlap(&space.reserved, r.first, r.last) ||
		    any_overlap(&space.allowed, r.first, r.last))
			continue;
		allowed[space.allowed.n] = (struct iommu_iova_range){ r.first, r.last };
		space.allowed.at[space.allowed.n++] = r;
	}
	assert_int_equal(allow_iovas(bed, bed->ioas, allowed, space.allowed.n), 0);
	for (u64 i = random_below(seed, 12); i; i--) {
		r = random_range(seed, space.alignment);
		iova = r.first;
		if (map_at(bed, bed->ioas, NULL, r.last - r.first + 1, iova) == 0)
			space.areas.at[space.areas.n++] = r;
	}
	return space;
}

static void random_spaces_agree_with_the_rule(void **state)
{
	struct bed *bed = *state;
	u64 seed = 99, addr, length, found = 0, refused = 0;
	u32 first = bed->ioas;
	struct space space;
	s64 want, got;

	for (int round = 0; round < (BED_SLOW ? 300 : 3000); round++) {
		space = random_space(bed, &seed);
		for (int i = 0; i < 10 && space.areas.n < 30; i++) {
			addr = random_below(&seed, 8) ? (1UL << 30) + random_below(&seed, 1 << 16) :
							0;
			addr &= -(1ULL << random_below(&seed, 16));
			length = 1 + random_below(&seed, 1ULL << random_below(&seed, 18));
			length = ALIGN_UP(length, space.alignment);
			want = rule_choose(&space, addr, length);
			/* page offsets that break the alignment are refused by the chooser, too */
			got = choose(bed, addr, length);
			if (want != got)
				fail_msg("round %d: %#llx + %#llx: %#llx, and the rule says %#llx",
					 round, (unsigned long long)addr,
					 (unsigned long long)length, (unsigned long long)got,
					 (unsigned long long)want);
			if (got < 0) {
				refused++;
				continue;
			}
			space.areas.at[space.areas.n++] =
				(struct range){ (u64)got, (u64)got + length - 1 };
			found++;
		}
		assert_int_equal(object_kill(bed, bed->ioas), 0);
	}
	bed->ioas = first;
	/* the comparison is worth something only if both happen */
	assert_true(found > 500 && refused > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(the_worked_values_hold_without_a_domain),
		bed_test(the_worked_values_hold_with_a_domain_and_with_allowed_ranges),
		bed_test(lengths_beyond_half_the_space_overflow_before_anything_else),
		bed_test(a_reservation_to_the_top_does_not_wrap),
		bed_test(allowed_ranges_that_touch_act_as_one),
		bed_test(a_hole_of_one_byte_is_never_used),
		bed_test(random_spaces_agree_with_the_rule),
	};

	return cmocka_run_group_tests_name("ioas_choose", tests, NULL, NULL);
}
