/* SPDX-License-Identifier: MIT */
/*
 * MAP and UNMAP: every row of their tables, two wrongs at a time where the
 * order of the rows shows, and what a failure must leave as it was.
 */
#include "harness.h"

static long map_cmd(struct bed *bed, struct iommu_ioas_map *cmd)
{
	return bed_ioctl(bed, IOMMU_IOAS_MAP, cmd);
}

/* ---- MAP ---- */

static void map_meets_its_rows_in_order(void **state)
{
	struct bed *bed = *state;
	/* wrong in all rows at once; each step mends the row that was met */
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = 1 << 3,
		.ioas_id = NO_ID,
		.__reserved = 1,
		.user_va = UINT64_MAX - 1,
		.length = 3,
		.iova = UINT64_MAX,
	};

	assert_int_equal(map_cmd(bed, &cmd), -EOPNOTSUPP);
	cmd.flags = 0;
	assert_int_equal(map_cmd(bed, &cmd), -EOPNOTSUPP);
	cmd.__reserved = 0;
	assert_int_equal(map_cmd(bed, &cmd), -EOVERFLOW);
	cmd.iova = 1;
	assert_int_equal(map_cmd(bed, &cmd), -EINVAL);
	cmd.flags = RO;
	assert_int_equal(map_cmd(bed, &cmd), -ENOENT);
	cmd.ioas_id = bed->ioas;
	assert_int_equal(map_cmd(bed, &cmd), -EOVERFLOW);
	cmd.user_va = 0;
	cmd.length = 0;
	assert_int_equal(map_cmd(bed, &cmd), -EINVAL);
	cmd.length = 3;
	assert_int_equal(map_cmd(bed, &cmd), 0);
}

static void a_length_of_all_ones_overflows_also_when_iova_is_chosen(void **state)
{
	struct bed *bed = *state;
	u64 iova = UINT64_MAX;

	assert_int_equal(map_flags(bed, NO_ID, bed->mem, UINT64_MAX, &(u64){ 0 }, RW), -EOVERFLOW);
	assert_int_equal(map_flags(bed, NO_ID, bed->mem, PAGE_SIZE, &iova, RW), -EOVERFLOW);
	assert_int_equal(map_flags(bed, NO_ID, bed->mem, UINT64_MAX, &iova, 0), -EOVERFLOW);
}

static void an_end_of_exactly_the_space_is_a_wrap(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(map_at(bed, bed->ioas, (void *)-PAGE_SIZE, PAGE_SIZE, 0), -EOVERFLOW);
	assert_int_equal(map_at(bed, bed->ioas, (void *)-PAGE_SIZE, PAGE_SIZE - 1, 0), 0);
	assert_int_equal(map_at(bed, bed->ioas, (void *)1, UINT64_MAX - PAGE_SIZE + 1, 0), -EINVAL);
}

/* The rows that need to know what is in the ioas. */
static void map_meets_alignment_then_reservations_then_areas(void **state)
{
	struct bed *bed = *state;
	u64 hole = BED_IOVA + 0x10000;

	device_attached(bed, bed->ioas);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, hole), 0);
	assert_int_equal(add_reserved(bed, bed->ioas, hole + PAGE_SIZE, PAGE_SIZE), 0);
	/* length, iova, end, reserved, area, page offset: all wrong, then mended one by one */
	assert_int_equal(map_at(bed, bed->ioas, bed->mem + 1, 2047, UINT64_MAX - 1), -EINVAL);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem + 1, 4096, UINT64_MAX - 1), -EINVAL);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem + 1, 4096, UINT64_MAX - 2047), -EOVERFLOW);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem + 1, 8192, hole), -EINVAL);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem + 1, 4096, hole), -EEXIST);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem + 1, 4096, hole - 4096), -EINVAL);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 4096, hole - 4096), 0);
	/* fixed: a reservation is EINVAL, also where an area lies as well */
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 8192, hole), -EINVAL);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 4096, 0), -EINVAL);
	assert_int_equal(check_refs(bed, bed->mem, PAGE_SIZE, 2), 0);
}

static void a_refused_map_frees_its_iova(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = device_attached(bed, bed->ioas);
	char *tail = bed->mem + 8 * PAGE_SIZE;

	/* the eleventh page is missing */
	assert_int_equal(munmap(tail + 2 * PAGE_SIZE, PAGE_SIZE), 0);
	assert_int_equal(map_at(bed, bed->ioas, tail, 4 * PAGE_SIZE, BED_IOVA), -EFAULT);
	assert_int_equal(map_at(bed, bed->ioas, tail + 2 * PAGE_SIZE, PAGE_SIZE, BED_IOVA),
			 -EFAULT);
	assert_int_equal(check_refs(bed, tail, 2 * PAGE_SIZE, 0), 0);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 0);
	assert_int_equal(map_at(bed, bed->ioas, tail, 2 * PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA, tail, 2 * PAGE_SIZE), 0);
	assert_int_equal(map_at(bed, bed->ioas, tail, PAGE_SIZE, BED_IOVA), -EEXIST);
}

static void pages_without_the_permission_fault(void **state)
{
	struct bed *bed = *state;
	u64 iova = BED_IOVA;

	device_attached(bed, bed->ioas);
	assert_int_equal(mprotect(bed->mem, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(map_flags(bed, bed->ioas, bed->mem, PAGE_SIZE, &iova, FIXED | RW),
			 -EFAULT);
	assert_int_equal(map_flags(bed, bed->ioas, bed->mem, PAGE_SIZE, &iova, FIXED | WO),
			 -EFAULT);
	assert_int_equal(map_flags(bed, bed->ioas, bed->mem, PAGE_SIZE, &iova, FIXED | RO), 0);
	assert_int_equal(mprotect(bed->mem, PAGE_SIZE, PROT_NONE), 0);
	iova += PAGE_SIZE;
	assert_int_equal(map_flags(bed, bed->ioas, bed->mem, PAGE_SIZE, &iova, FIXED | RO),
			 -EFAULT);
	assert_int_equal(mprotect(bed->mem, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
}

static void without_a_domain_the_memory_is_not_looked_at(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = { 0 };

	assert_int_equal(map_at(bed, bed->ioas, NOWHERE, PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(device_new(bed, bed->ioas, &ids), -EFAULT);
	assert_int_equal(ioas_alignment(bed, bed->ioas), 1);
	assert_int_equal(unmap_all(bed, bed->ioas), PAGE_SIZE);
	assert_int_equal(device_new(bed, bed->ioas, &ids), 0);
}

static void the_whole_space_can_be_one_area(void **state)
{
	struct bed *bed = *state;
	u64 most = UINT64_MAX - PAGE_SIZE;
	int access = (int)access_new(bed, bed->ioas, 0);
	char byte;

	/* the odd start makes the page count the largest there is */
	assert_int_equal(map_at(bed, bed->ioas, (void *)(PAGE_SIZE - 1), most, 0), 0);
	assert_sound(bed);
	assert_int_equal(access_rw(bed, access, most - 1, &byte, 1, 0), -EFAULT);
	assert_int_equal(access_rw(bed, access, most, &byte, 1, 0), -ENOENT);
	assert_int_equal(unmap_all(bed, bed->ioas), most);
	assert_int_equal(map_at(bed, bed->ioas, (void *)0, most, PAGE_SIZE), 0);
	assert_int_equal(map_at(bed, bed->ioas, (void *)0, 1, UINT64_MAX - 1), -EEXIST);
	assert_sound(bed);
	assert_int_equal(unmap(bed, bed->ioas, 0, UINT64_MAX - 1), -ENOENT);
	assert_int_equal(unmap(bed, bed->ioas, PAGE_SIZE, most), most);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
}

static void the_last_bytes_of_the_space_are_iova_too(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 2, UINT64_MAX - 1), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 3, UINT64_MAX - 2), -EEXIST);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 3, UINT64_MAX - 1), -EOVERFLOW);
	assert_sound(bed);
	assert_int_equal(unmap(bed, bed->ioas, UINT64_MAX - 1, 1), -ENOENT);
	assert_int_equal(unmap(bed, bed->ioas, UINT64_MAX - 1, 3), -EOVERFLOW);
	assert_int_equal(unmap(bed, bed->ioas, UINT64_MAX - 1, 2), 2);
}

static void the_mapping_stays_when_the_answer_faults(void **state)
{
	struct bed *bed = *state;
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = FIXED | RW,
		.ioas_id = bed->ioas,
		.user_va = (uintptr_t)bed->mem + PAGE_SIZE,
		.length = PAGE_SIZE,
		.iova = 0,
	};

	memcpy(bed->mem, &cmd, sizeof(cmd));
	assert_int_equal(mprotect(bed->mem, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_MAP, bed->mem), -EFAULT);
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_MAP, bed->mem), -EEXIST);
	assert_int_equal(mprotect(bed->mem, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(unmap(bed, bed->ioas, 0, PAGE_SIZE), PAGE_SIZE);
}

static void one_memory_mapped_twice_is_pinned_twice(void **state)
{
	struct bed *bed = *state;

	device_attached(bed, bed->ioas);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 4 * PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA + 0x10000), 0);
	assert_int_equal(check_refs(bed, bed->mem, PAGE_SIZE, 2), 0);
	assert_int_equal(check_refs(bed, bed->mem + PAGE_SIZE, 3 * PAGE_SIZE, 1), 0);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 5);
	assert_int_equal(unmap(bed, bed->ioas, BED_IOVA, 4 * PAGE_SIZE), 4 * PAGE_SIZE);
	assert_int_equal(check_refs(bed, bed->mem, PAGE_SIZE, 1), 0);
}

/* Half pages: the domain's granule is 2 KiB, in iova as in memory, and they need not agree. */
static void half_pages_are_mapped_to_the_byte(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = device_attached(bed, bed->ioas);

	for (u64 start = 0; start < 4; start++)
		for (u64 end = start + 1; end <= 8; end++) {
			char *va = bed->mem + start * 2048;
			u64 length = (end - start) * 2048;
			u64 first = start / 2, npages = (end + 1) / 2 - first;

			assert_int_equal(map_at(bed, bed->ioas, va, length, BED_IOVA + 2048), 0);
			assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA + 2048, va, length), 0);
			assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA, va, 2048), -EINVAL);
			assert_int_equal(
				check_map(bed, ids.hwpt, BED_IOVA + 2048 + length, va, 2048),
				-EINVAL);
			assert_int_equal(check_refs(bed, bed->mem + first * PAGE_SIZE,
						    npages * PAGE_SIZE, 1), 0);
			assert_int_equal(unmap_all(bed, bed->ioas), length);
			assert_int_equal(check_refs(bed, bed->mem, 16 * PAGE_SIZE, 0), 0);
		}
}

static void a_new_alignment_is_refused_over_areas_that_break_it(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = { 0 };
	const struct {
		u64 iova, length, offset;
	} bad[] = { { 1024, 4096, 0 }, { 0, 1024, 0 }, { 0, 2048, 1024 } };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(map_at(bed, bed->ioas, bed->mem + bad[i].offset, bad[i].length,
					BED_IOVA + bad[i].iova), 0);
		assert_int_equal(device_new(bed, bed->ioas, &ids), -EADDRINUSE);
		assert_int_equal(ioas_alignment(bed, bed->ioas), 1);
		assert_int_equal(unmap_all(bed, bed->ioas), bad[i].length);
	}
	/* an area outside the aperture is in the way as well */
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA - PAGE_SIZE), 0);
	assert_int_equal(device_new(bed, bed->ioas, &ids), -EADDRINUSE);
	assert_int_equal(ioas_alignment(bed, bed->ioas), 1);
}

/* Identity is fixed when a page is pinned, and forgotten when the last hold goes. */
static void a_page_keeps_its_identity_only_while_it_is_held(void **state)
{
	struct bed *bed = *state;
	int fd = memfd_of(2, 0);
	char *shared = mmap(bed->mem, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			    0);
	struct device_ids ids;

	assert_ptr_equal(shared, bed->mem);
	assert_int_equal(map_at(bed, bed->ioas, shared, PAGE_SIZE, BED_IOVA), 0);
	ids = device_attached(bed, bed->ioas);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA, shared, PAGE_SIZE), 0);
	/* the program puts the file's other page there: the domain keeps the first */
	mmap(shared, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, PAGE_SIZE);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA, shared, PAGE_SIZE), -EINVAL);
	assert_int_equal(object_kill(bed, ids.stdev), 0);
	ids = device_attached(bed, bed->ioas);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA, shared, PAGE_SIZE), 0);
	mmap(shared, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
	     0);
	close(fd);
}

/* ---- UNMAP ---- */

static void unmap_meets_its_rows_in_order(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(unmap(bed, NO_ID, UINT64_MAX, 0), -ENOENT);
	assert_int_equal(unmap(bed, bed->ioas, 0, UINT64_MAX), 0); /* all, though empty */
	assert_int_equal(unmap(bed, bed->ioas, 1, UINT64_MAX), -EOVERFLOW);
	assert_int_equal(unmap(bed, bed->ioas, UINT64_MAX, 0), -EOVERFLOW);
	assert_int_equal(unmap(bed, bed->ioas, 5, 0), -EINVAL);
	assert_int_equal(unmap(bed, bed->ioas, 0, 0), -EINVAL);
	assert_int_equal(unmap(bed, bed->ioas, UINT64_MAX - 1, 3), -EOVERFLOW);
	assert_int_equal(unmap(bed, bed->ioas, 0, UINT64_MAX - 1), -ENOENT);
}

static void unmap_takes_whole_areas_and_jumps_gaps(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 10, 100), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 10, 200), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 10, 300), 0);
	assert_int_equal(unmap(bed, bed->ioas, 101, 300), -ENOENT);
	assert_int_equal(unmap(bed, bed->ioas, 90, 10), -ENOENT);
	assert_int_equal(unmap(bed, bed->ioas, 110, 90), -ENOENT);
	assert_int_equal(unmap(bed, bed->ioas, 0, 1000), 30);
}

/* Not transactional, and silent about it: what went before the error is gone. */
static void a_failed_unmap_keeps_what_it_did_to_itself(void **state)
{
	struct bed *bed = *state;
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = bed->ioas, .iova = 100, .length = 205
	};

	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 10, 100), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 10, 300), 0);
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_UNMAP, &cmd), -ENOENT);
	assert_int_equal(cmd.length, 205);
	assert_int_equal(unmap(bed, bed->ioas, 100, 10), -ENOENT);
	assert_int_equal(unmap(bed, bed->ioas, 300, 10), 10);
}

static void an_ioas_in_use_is_busy_and_one_with_areas_is_not(void **state)
{
	struct bed *bed = *state;
	u32 other = (u32)ioas_new(bed);
	struct device_ids ids = device_attached(bed, bed->ioas);
	int access;

	assert_int_equal(object_kill(bed, bed->ioas), -EBUSY);
	assert_int_equal(object_kill(bed, ids.idev), -EBUSY);
	assert_int_equal(map_at(bed, other, bed->mem, PAGE_SIZE, 0), 0);
	access = (int)access_new(bed, other, 0);
	assert_int_equal(object_kill(bed, other), -EBUSY);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
	assert_int_equal(object_kill(bed, other), 0);
	assert_int_equal(object_kill(bed, ids.stdev), 0);
	assert_int_equal(object_kill(bed, bed->ioas), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(map_meets_its_rows_in_order),
		bed_test(a_length_of_all_ones_overflows_also_when_iova_is_chosen),
		bed_test(an_end_of_exactly_the_space_is_a_wrap),
		bed_test(map_meets_alignment_then_reservations_then_areas),
		bed_test(a_refused_map_frees_its_iova),
		bed_test(pages_without_the_permission_fault),
		bed_test(without_a_domain_the_memory_is_not_looked_at),
		bed_test(the_whole_space_can_be_one_area),
		bed_test(the_last_bytes_of_the_space_are_iova_too),
		bed_test(the_mapping_stays_when_the_answer_faults),
		bed_test(one_memory_mapped_twice_is_pinned_twice),
		bed_test(half_pages_are_mapped_to_the_byte),
		bed_test_scattered(half_pages_are_mapped_to_the_byte),
		bed_test_trusted(half_pages_are_mapped_to_the_byte),
		bed_test(a_new_alignment_is_refused_over_areas_that_break_it),
		bed_test(a_page_keeps_its_identity_only_while_it_is_held),
		bed_test(unmap_meets_its_rows_in_order),
		bed_test(unmap_takes_whole_areas_and_jumps_gaps),
		bed_test(a_failed_unmap_keeps_what_it_did_to_itself),
		bed_test(an_ioas_in_use_is_busy_and_one_with_areas_is_not),
	};

	return cmocka_run_group_tests_name("ioas_map", tests, NULL, NULL);
}
