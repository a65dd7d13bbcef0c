/* SPDX-License-Identifier: MIT */
/*
 * Making an ioas, what iova it offers, what is allowed and reserved in it, its
 * options, and the compat ioas.  Errors are tried two at a time, so that the
 * order of the checks shows.
 */
#include "harness.h"

#define VALID_OPTION(id)                                                                           \
	{ .size = sizeof(struct iommu_option), .option_id = IOMMU_OPTION_HUGE_PAGES,               \
	  .object_id = (id) }

/* ---- IOAS_ALLOC ---- */

static void alloc_refuses_flags_before_it_writes(void **state)
{
	struct bed *bed = *state;
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd), .flags = 1, .out_ioas_id = 77 };

	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_ALLOC, &cmd), -EOPNOTSUPP);
	assert_int_equal(cmd.out_ioas_id, 77);
	assert_int_equal(ioas_new(bed), 2);
}

static void alloc_leaves_no_object_when_the_answer_faults(void **state)
{
	struct bed *bed = *state;
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	char *page = bed->mem;

	memcpy(page, &cmd, sizeof(cmd));
	assert_int_equal(mprotect(page, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_ALLOC, page), -EFAULT);
	assert_int_equal(mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(ioas_new(bed), 2);
}

static void ids_are_the_lowest_free(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(ioas_new(bed), 2);
	assert_int_equal(ioas_new(bed), 3);
	assert_int_equal(object_kill(bed, 2), 0);
	assert_int_equal(object_kill(bed, 2), -ENOENT);
	assert_int_equal(ioas_new(bed), 2);
}

/* ---- IOVA_RANGES ---- */

static long iova_ranges(struct bed *bed, struct iommu_ioas_iova_ranges *cmd, void *array, u32 n)
{
	*cmd = (struct iommu_ioas_iova_ranges){ .size = sizeof(*cmd),
						.ioas_id = bed->ioas,
						.num_iovas = n,
						.allowed_iovas = (uintptr_t)array };
	return bed_ioctl(bed, IOMMU_IOAS_IOVA_RANGES, cmd);
}

static void ranges_check_reserved_then_id_then_array(void **state)
{
	struct bed *bed = *state;
	struct iommu_ioas_iova_ranges cmd = { .size = sizeof(cmd),
					      .ioas_id = NO_ID,
					      .num_iovas = 1,
					      .__reserved = 1,
					      .allowed_iovas = (uintptr_t)BAD_PTR };

	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_IOVA_RANGES, &cmd), -EOPNOTSUPP);
	cmd.__reserved = 0;
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_IOVA_RANGES, &cmd), -ENOENT);
	cmd.ioas_id = bed->ioas;
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_IOVA_RANGES, &cmd), -EFAULT);
	assert_int_equal(cmd.num_iovas, 1);
	assert_int_equal(cmd.out_iova_alignment, 0);
	/* a bad array is worse than one that is too small */
	assert_int_equal(add_reserved(bed, bed->ioas, 0x1000, 0x1000), 0);
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_IOVA_RANGES, &cmd), -EFAULT);
}

static void a_fresh_ioas_offers_everything(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range r[2] = { { 1, 2 }, { 3, 4 } };
	struct iommu_ioas_iova_ranges cmd;

	assert_int_equal(iova_ranges(bed, &cmd, r, 2), 0);
	assert_int_equal(cmd.num_iovas, 1);
	assert_int_equal(cmd.out_iova_alignment, 1);
	assert_true(r[0].start == 0 && r[0].last == UINT64_MAX);
	assert_true(r[1].start == 3 && r[1].last == 4);
}

static void too_small_an_array_is_filled_and_says_so(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range r[3] = { { 0 } };
	struct iommu_ioas_iova_ranges cmd;

	assert_int_equal(add_reserved(bed, bed->ioas, 0x1000, 0x1000), 0);
	assert_int_equal(add_reserved(bed, bed->ioas, 0x1800, 0x1800), 0);
	assert_int_equal(iova_ranges(bed, &cmd, NULL, 0), -EMSGSIZE);
	assert_int_equal(cmd.num_iovas, 2);
	assert_int_equal(cmd.out_iova_alignment, 1);
	assert_int_equal(iova_ranges(bed, &cmd, r, 1), -EMSGSIZE);
	assert_int_equal(cmd.num_iovas, 2);
	assert_true(r[0].start == 0 && r[0].last == 0xfff);
	assert_true(r[1].start == 0 && r[1].last == 0);
	assert_int_equal(iova_ranges(bed, &cmd, r, 3), 0);
	assert_true(r[1].start == 0x3000 && r[1].last == UINT64_MAX);
}

static void with_everything_reserved_there_are_no_ranges(void **state)
{
	struct bed *bed = *state;
	struct iommu_ioas_iova_ranges cmd;

	assert_int_equal(add_reserved(bed, bed->ioas, 0, 1UL << 63), 0);
	assert_int_equal(add_reserved(bed, bed->ioas, 1UL << 63, 1UL << 63), 0);
	assert_int_equal(iova_ranges(bed, &cmd, NULL, 0), 0);
	assert_int_equal(cmd.num_iovas, 0);
}

static void adjacent_reservations_leave_no_hole_between(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range r[3] = { { 0 } };
	struct iommu_ioas_iova_ranges cmd;

	assert_int_equal(add_reserved(bed, bed->ioas, 0, 16), 0);
	assert_int_equal(add_reserved(bed, bed->ioas, 16, 16), 0);
	assert_int_equal(add_reserved(bed, bed->ioas, UINT64_MAX, 1), 0);
	assert_int_equal(iova_ranges(bed, &cmd, r, 3), 0);
	assert_int_equal(cmd.num_iovas, 1);
	assert_true(r[0].start == 32 && r[0].last == UINT64_MAX - 1);
}

static void a_mock_domain_offers_its_aperture(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range r[2] = { { 0 } };
	struct iommu_ioas_iova_ranges cmd;

	device_attached(bed, bed->ioas);
	assert_int_equal(iova_ranges(bed, &cmd, r, 2), 0);
	assert_int_equal(cmd.num_iovas, 1);
	assert_int_equal(cmd.out_iova_alignment, 2048);
	assert_true(r[0].start == MOCK_APERTURE_START && r[0].last == MOCK_APERTURE_LAST);
}

/* Areas and the allowed list do not change what is offered. */
static void areas_and_allowed_ranges_do_not_show(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range r[2] = { { 0x5000, 0x6fff } };
	struct iommu_ioas_iova_ranges cmd;

	assert_int_equal(allow_iovas(bed, bed->ioas, r, 1), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 0), 0);
	assert_int_equal(iova_ranges(bed, &cmd, r, 2), 0);
	assert_int_equal(cmd.num_iovas, 1);
	assert_true(r[0].start == 0 && r[0].last == UINT64_MAX);
}

/* ---- ALLOW_IOVAS ---- */

static void allow_checks_reserved_then_id_then_entries(void **state)
{
	struct bed *bed = *state;
	struct iommu_ioas_allow_iovas cmd = { .size = sizeof(cmd),
					      .ioas_id = NO_ID,
					      .num_iovas = 1,
					      .__reserved = 1,
					      .allowed_iovas = (uintptr_t)BAD_PTR };

	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_ALLOW_IOVAS, &cmd), -EOPNOTSUPP);
	cmd.__reserved = 0;
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_ALLOW_IOVAS, &cmd), -ENOENT);
	cmd.ioas_id = bed->ioas;
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_ALLOW_IOVAS, &cmd), -EFAULT);
	cmd.num_iovas = 0;
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_ALLOW_IOVAS, &cmd), 0);
}

static void allow_meets_the_first_bad_entry_first(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range *r = (void *)(bed->mem + PAGE_SIZE - 2 * sizeof(*r));

	assert_int_equal(mprotect(bed->mem + PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	r[0] = (struct iommu_iova_range){ 0x1000, 0x1fff };
	r[1] = (struct iommu_iova_range){ 0x3000, 0x3000 };
	assert_int_equal(allow_iovas(bed, bed->ioas, r, 3), -EINVAL); /* one byte */
	r[1] = (struct iommu_iova_range){ 0x1fff, 0x3000 };
	assert_int_equal(allow_iovas(bed, bed->ioas, r, 3), -EINVAL); /* overlaps */
	r[1] = (struct iommu_iova_range){ 0x2000, 0x3000 };
	assert_int_equal(allow_iovas(bed, bed->ioas, r, 3), -EFAULT);
	assert_int_equal(allow_iovas(bed, bed->ioas, r, 2), 0);
	assert_int_equal(mprotect(bed->mem + PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
}

static void a_bad_entry_is_met_before_a_reserved_one(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range r[] = { { 0x1000, 0x1fff }, { 9, 8 } };

	assert_int_equal(add_reserved(bed, bed->ioas, 0x1fff, 1), 0);
	assert_int_equal(allow_iovas(bed, bed->ioas, r, 2), -EINVAL);
	assert_int_equal(allow_iovas(bed, bed->ioas, r, 1), -EADDRINUSE);
}

static void a_refused_list_leaves_the_old_one(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range first = { 0x100000, 0x1fffff }, bad[] = { { 0, 9 }, { 9, 20 } };
	u64 iova = 0;

	assert_int_equal(allow_iovas(bed, bed->ioas, &first, 1), 0);
	assert_int_equal(allow_iovas(bed, bed->ioas, bad, 2), -EINVAL);
	assert_int_equal(add_reserved(bed, bed->ioas, 0x1fffff, 1), -EADDRINUSE);
	assert_int_equal(map_flags(bed, bed->ioas, bed->mem, PAGE_SIZE, &iova, RW), 0);
	assert_int_equal(iova, 0x100000);
	/* the list binds only the chooser */
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 0), 0);
	assert_int_equal(allow_iovas(bed, bed->ioas, NULL, 0), 0);
	assert_int_equal(add_reserved(bed, bed->ioas, 0x1fffff, 1), 0);
}

static void reserving_fails_over_areas_and_allowed_ranges(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 0x1000), 0);
	assert_int_equal(add_reserved(bed, bed->ioas, 0x1fff, 1), -EADDRINUSE);
	assert_int_equal(add_reserved(bed, bed->ioas, 0x2000, 1), 0);
	assert_int_equal(add_reserved(bed, bed->ioas, 0xfff, 2), -EADDRINUSE);
	assert_int_equal(add_reserved(bed, bed->ioas, 0, 0x1000), 0);
}

/* A device cannot come where an allowed range lies outside its aperture. */
static void an_allowed_range_keeps_devices_out(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range outside = { 0x1000, 0x1fff };
	struct device_ids ids = { 0 };

	assert_int_equal(allow_iovas(bed, bed->ioas, &outside, 1), 0);
	assert_int_equal(device_new(bed, bed->ioas, &ids), -EADDRINUSE);
	assert_int_equal(ioas_alignment(bed, bed->ioas), 1);
	assert_int_equal(allow_iovas(bed, bed->ioas, NULL, 0), 0);
	assert_int_equal(device_new(bed, bed->ioas, &ids), 0);
	assert_int_equal(allow_iovas(bed, bed->ioas, &outside, 1), -EADDRINUSE);
	assert_int_equal(object_kill(bed, ids.stdev), 0);
	assert_int_equal(allow_iovas(bed, bed->ioas, &outside, 1), 0);
}

/* ---- OPTION HUGE_PAGES ---- */

static void option_checks_reserved_then_number_then_id(void **state)
{
	struct bed *bed = *state;
	struct iommu_option cmd = VALID_OPTION(NO_ID);

	cmd.__reserved = 1;
	assert_int_equal(bed_ioctl(bed, IOMMU_OPTION, &cmd), -EOPNOTSUPP);
	cmd.__reserved = 0;
	cmd.option_id = 2;
	assert_int_equal(bed_ioctl(bed, IOMMU_OPTION, &cmd), -EOPNOTSUPP);
	cmd.option_id = IOMMU_OPTION_HUGE_PAGES;
	cmd.op = 9;
	assert_int_equal(bed_ioctl(bed, IOMMU_OPTION, &cmd), -ENOENT);
	cmd.object_id = bed->ioas;
	assert_int_equal(bed_ioctl(bed, IOMMU_OPTION, &cmd), -EOPNOTSUPP);
	cmd.op = IOMMU_OPTION_OP_GET;
	cmd.object_id = 0;
	assert_int_equal(bed_ioctl(bed, IOMMU_OPTION, &cmd), -ENOENT);
}

static u64 huge_pages(struct bed *bed)
{
	struct iommu_option cmd = VALID_OPTION(bed->ioas);

	cmd.op = IOMMU_OPTION_OP_GET;
	cmd.val64 = 5;
	assert_int_equal(bed_ioctl(bed, IOMMU_OPTION, &cmd), 0);
	return cmd.val64;
}

static void huge_pages_is_on_and_can_be_switched(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(huge_pages(bed), 1);
	assert_int_equal(option_huge_set(bed, bed->ioas, 2), -EINVAL);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	assert_int_equal(huge_pages(bed), 0);
	assert_int_equal(ioas_alignment(bed, bed->ioas), PAGE_SIZE);
	assert_int_equal(option_huge_set(bed, bed->ioas, 1), 0);
	assert_int_equal(huge_pages(bed), 1);
	assert_int_equal(ioas_alignment(bed, bed->ioas), 1);
}

static void switching_off_wants_page_aligned_areas(void **state)
{
	struct bed *bed = *state;
	const struct {
		u64 iova;
		u64 length;
		u64 offset;
	} bad[] = { { 1, 4096, 0 }, { 4096, 4095, 0 }, { 4096, 4096, 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(map_at(bed, bed->ioas, bed->mem + bad[i].offset, bad[i].length,
					bad[i].iova), 0);
		assert_int_equal(option_huge_set(bed, bed->ioas, 0), -EADDRINUSE);
		assert_int_equal(huge_pages(bed), 1);
		assert_int_equal(ioas_alignment(bed, bed->ioas), 1);
		assert_true(unmap_all(bed, bed->ioas) > 0);
	}
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 0), 0);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
}

static void switching_off_fails_over_a_domain_with_areas(void **state)
{
	struct bed *bed = *state;

	device_attached(bed, bed->ioas);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 2048, BED_IOVA), 0);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), -EINVAL); /* not EADDRINUSE */
	assert_int_equal(unmap_all(bed, bed->ioas), 2048);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0); /* is off already */
	assert_int_equal(option_huge_set(bed, bed->ioas, 1), 0);
	assert_int_equal(ioas_alignment(bed, bed->ioas), 2048);
}

/* ---- VFIO_IOAS ---- */

static long vfio_ioas(struct bed *bed, u16 op, u32 *id, u16 reserved)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd), .ioas_id = *id, .op = op, .__reserved = reserved
	};
	long rc = bed_ioctl(bed, IOMMU_VFIO_IOAS, &cmd);

	*id = cmd.ioas_id;
	return rc;
}

static void the_compat_ioas_is_set_read_and_cleared(void **state)
{
	struct bed *bed = *state;
	u32 id = NO_ID;

	assert_int_equal(vfio_ioas(bed, IOMMU_VFIO_IOAS_SET, &id, 1), -EOPNOTSUPP);
	assert_int_equal(vfio_ioas(bed, 3, &id, 0), -EOPNOTSUPP);
	assert_int_equal(vfio_ioas(bed, IOMMU_VFIO_IOAS_GET, &id, 0), -ENODEV);
	assert_int_equal(vfio_ioas(bed, IOMMU_VFIO_IOAS_SET, &id, 0), -ENOENT);
	assert_int_equal(vfio_ioas(bed, IOMMU_VFIO_IOAS_CLEAR, &id, 0), 0);
	id = bed->ioas;
	assert_int_equal(vfio_ioas(bed, IOMMU_VFIO_IOAS_SET, &id, 0), 0);
	id = 0;
	assert_int_equal(vfio_ioas(bed, IOMMU_VFIO_IOAS_GET, &id, 0), 0);
	assert_int_equal(id, bed->ioas);
	assert_int_equal(vfio_ioas(bed, IOMMU_VFIO_IOAS_CLEAR, &id, 0), 0);
	assert_int_equal(vfio_ioas(bed, IOMMU_VFIO_IOAS_GET, &id, 0), -ENODEV);
}

static void destroying_the_compat_ioas_clears_it(void **state)
{
	struct bed *bed = *state;
	u32 id = (u32)ioas_new(bed);

	assert_int_equal(compat_set(bed, id), 0);
	assert_int_equal(object_kill(bed, id), 0);
	assert_int_equal(ioas_new(bed), id); /* another one under the same number */
	assert_int_equal(vfio_ioas(bed, IOMMU_VFIO_IOAS_GET, &id, 0), -ENODEV);
}

static void the_compat_ioas_must_be_an_ioas(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = device_attached(bed, bed->ioas);

	assert_int_equal(compat_set(bed, ids.hwpt), -ENOENT);
	assert_int_equal(compat_set(bed, ids.idev), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(alloc_refuses_flags_before_it_writes),
		bed_test(alloc_leaves_no_object_when_the_answer_faults),
		bed_test(ids_are_the_lowest_free),
		bed_test(ranges_check_reserved_then_id_then_array),
		bed_test(a_fresh_ioas_offers_everything),
		bed_test(too_small_an_array_is_filled_and_says_so),
		bed_test(with_everything_reserved_there_are_no_ranges),
		bed_test(adjacent_reservations_leave_no_hole_between),
		bed_test(a_mock_domain_offers_its_aperture),
		bed_test(areas_and_allowed_ranges_do_not_show),
		bed_test(allow_checks_reserved_then_id_then_entries),
		bed_test(allow_meets_the_first_bad_entry_first),
		bed_test(a_bad_entry_is_met_before_a_reserved_one),
		bed_test(a_refused_list_leaves_the_old_one),
		bed_test(reserving_fails_over_areas_and_allowed_ranges),
		bed_test(an_allowed_range_keeps_devices_out),
		bed_test(option_checks_reserved_then_number_then_id),
		bed_test(huge_pages_is_on_and_can_be_switched),
		bed_test(switching_off_wants_page_aligned_areas),
		bed_test(switching_off_fails_over_a_domain_with_areas),
		bed_test(the_compat_ioas_is_set_read_and_cleared),
		bed_test(destroying_the_compat_ioas_clears_it),
		bed_test(the_compat_ioas_must_be_an_ioas),
	};

	return cmocka_run_group_tests_name("ioas_ranges", tests, NULL, NULL);
}
