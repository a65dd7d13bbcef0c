/* SPDX-License-Identifier: MIT */
/*
 * What commands write back, and what has happened when that can not be done:
 * the struct of each lies in a page that can be read only.
 */
#include "harness.h"

/* A copy of @cmd that can be read and not written; bed->mem's last page. */
static void *unanswerable(struct bed *bed, const void *cmd, size_t size)
{
	char *page = bed->mem + BED_LENGTH - PAGE_SIZE;

	assert_int_equal(mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	memcpy(page, cmd, size);
	assert_int_equal(mprotect(page, PAGE_SIZE, PROT_READ), 0);
	return page;
}

#define UNANSWERED(bed, num, cmd) bed_ioctl(bed, num, unanswerable(bed, &(cmd), sizeof(cmd)))

static void answerable(struct bed *bed)
{
	char *page = bed->mem + BED_LENGTH - PAGE_SIZE;

	assert_int_equal(mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
}

static void commands_without_an_answer_write_nothing(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = device_attached(bed, bed->ioas);
	u32 dirty = (u32)hwpt_new(bed, ids.idev, bed->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0);
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = (u32)ioas_new(bed) };
	struct iommu_ioas_allow_iovas allow = { .size = sizeof(allow), .ioas_id = bed->ioas };
	struct iommu_hwpt_set_dirty_tracking set = { .size = sizeof(set), .hwpt_id = dirty };
	struct iommu_hwpt_get_dirty_bitmap get = { .size = sizeof(get), .hwpt_id = dirty,
						   .iova = BED_IOVA, .length = PAGE_SIZE,
						   .page_size = PAGE_SIZE };
	struct iommu_ioas_change_process change = { .size = sizeof(change) };
	struct iommu_vfio_ioas compat = { .size = sizeof(compat), .ioas_id = bed->ioas,
					  .op = IOMMU_VFIO_IOAS_SET };

	assert_int_equal(UNANSWERED(bed, IOMMU_DESTROY, destroy), 0);
	assert_int_equal(UNANSWERED(bed, IOMMU_IOAS_ALLOW_IOVAS, allow), 0);
	assert_int_equal(UNANSWERED(bed, IOMMU_HWPT_SET_DIRTY_TRACKING, set), 0);
	assert_int_equal(UNANSWERED(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, get), 0);
	assert_int_equal(UNANSWERED(bed, IOMMU_IOAS_CHANGE_PROCESS, change), 0);
	assert_int_equal(UNANSWERED(bed, IOMMU_VFIO_IOAS, compat), 0);
	compat.op = IOMMU_VFIO_IOAS_GET;
	assert_int_equal(UNANSWERED(bed, IOMMU_VFIO_IOAS, compat), -EFAULT);
	compat.op = IOMMU_VFIO_IOAS_CLEAR;
	assert_int_equal(UNANSWERED(bed, IOMMU_VFIO_IOAS, compat), 0);
	answerable(bed);
}

static void what_is_mapped_or_gone_stays_so_when_the_answer_faults(void **state)
{
	struct bed *bed = *state;
	int fd = memfd_of(2, 0);
	struct iommu_ioas_map_file map = { .size = sizeof(map), .flags = FIXED | RW,
					   .ioas_id = bed->ioas, .fd = fd, .length = PAGE_SIZE };
	struct iommu_ioas_copy copy = { .size = sizeof(copy), .flags = FIXED | RW,
					.dst_ioas_id = bed->ioas, .src_ioas_id = bed->ioas,
					.length = PAGE_SIZE, .dst_iova = 0x10000 };
	struct iommu_ioas_unmap gone = { .size = sizeof(gone), .ioas_id = bed->ioas,
					 .length = PAGE_SIZE };

	assert_int_equal(UNANSWERED(bed, IOMMU_IOAS_MAP_FILE, map), -EFAULT);
	assert_int_equal(UNANSWERED(bed, IOMMU_IOAS_MAP_FILE, map), -EEXIST);
	assert_int_equal(UNANSWERED(bed, IOMMU_IOAS_COPY, copy), -EFAULT);
	assert_int_equal(UNANSWERED(bed, IOMMU_IOAS_COPY, copy), -EEXIST);
	assert_int_equal(UNANSWERED(bed, IOMMU_IOAS_UNMAP, gone), -EFAULT);
	assert_int_equal(UNANSWERED(bed, IOMMU_IOAS_UNMAP, gone), -ENOENT);
	answerable(bed);
	assert_int_equal(unmap_all(bed, bed->ioas), PAGE_SIZE);
	close(fd);
}

static void ranges_are_told_before_the_struct_faults(void **state)
{
	struct bed *bed = *state;
	struct iommu_iova_range range = { 7, 7 };
	struct iommu_ioas_iova_ranges cmd = { .size = sizeof(cmd), .ioas_id = bed->ioas,
					      .num_iovas = 1, .allowed_iovas = (uintptr_t)&range };

	assert_int_equal(UNANSWERED(bed, IOMMU_IOAS_IOVA_RANGES, cmd), -EFAULT);
	assert_true(range.start == 0 && range.last == UINT64_MAX);
	/* it matters more than room that is missing */
	cmd.num_iovas = 0;
	assert_int_equal(UNANSWERED(bed, IOMMU_IOAS_IOVA_RANGES, cmd), -EFAULT);
	answerable(bed);
}

static void an_iova_of_all_ones_overflows_for_files_too(void **state)
{
	struct bed *bed = *state;
	u64 iova = UINT64_MAX;

	assert_int_equal(map_file_flags(bed, NO_ID, -1, 0, 0, &iova, 0), -EOVERFLOW);
	assert_int_equal(map_file_flags(bed, NO_ID, -1, 0, 0, &iova, RW), -EOVERFLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(commands_without_an_answer_write_nothing),
		bed_test(what_is_mapped_or_gone_stays_so_when_the_answer_faults),
		bed_test(ranges_are_told_before_the_struct_faults),
		bed_test(an_iova_of_all_ones_overflows_for_files_too),
	};

	return cmocka_run_group_tests_name("ioas_answers", tests, NULL, NULL);
}
