/* SPDX-License-Identifier: MIT */
/* Domains: mapping is all or nothing, and drivers' data is copied by the strict rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake_iommu.h"
#include "mem/task.h"

static struct fake_iommu iommu;
static struct fake_dev dev;
static struct iommu_domain *domain;

static int domain_begin(void **state)
{
	iommu = (struct fake_iommu){ 0 };
	dev = fake_dev_init(&iommu, &fake_ops);
	if (fake_dev_add(&dev))
		return -1;
	domain = fake_domain_new(&dev);
	return 0;
}

static int domain_end(void **state)
{
	iommu_domain_free(domain);
	fake_dev_remove(&dev);
	return iommu.domains != 0;
}

static void the_driver_and_its_ops_are_filled_in(void **state)
{
	assert_ptr_equal(domain->owner, &fake_ops);
	assert_ptr_equal(domain->ops, fake_ops.default_domain_ops);
	assert_int_equal(domain->type, IOMMU_DOMAIN_UNMANAGED);
}

static void a_plain_allocator_serves_only_plain_requests(void **state)
{
	const struct iommu_user_data data = { .len = 4 };
	struct iommu_domain *plain;

	dev.dev.ops = &fake_plain_ops;
	assert_int_equal(iommu_paging_domain_alloc_flags(&dev.dev, 1, NULL, &plain), -EOPNOTSUPP);
	assert_int_equal(iommu_paging_domain_alloc_flags(&dev.dev, 0, &data, &plain), -EOPNOTSUPP);
	assert_int_equal(iommu_paging_domain_alloc_flags(&dev.dev, 0, NULL, &plain), 0);
	iommu_domain_free(plain);
	dev.dev.ops = &fake_ops;
}

static void a_mapping_translates_until_it_is_removed(void **state)
{
	assert_int_equal(iommu_map(domain, 0x10000, 0x5000, 0x2000, IOMMU_READ), 0);
	assert_int_equal(iommu_iova_to_phys(domain, 0x11234), 0x6234);
	assert_int_equal(iommu_unmap(domain, 0x10000, 0x2000), 0x2000);
	assert_int_equal(iommu_iova_to_phys(domain, 0x11234), 0);
	assert_int_equal(to_fake_domain(domain)->syncs, 1);
}

static void a_driver_that_stops_half_way_leaves_nothing(void **state)
{
	to_fake_domain(domain)->map_limit = 0x1000;
	assert_int_equal(iommu_map(domain, 0x10000, 0x5000, 0x3000, IOMMU_READ), -ENOMEM);
	assert_int_equal(to_fake_domain(domain)->len, 0);
}

static void what_is_not_page_aligned_is_refused(void **state)
{
	assert_int_equal(iommu_map(domain, 0x10800, 0x5000, 0x1000, IOMMU_READ), -EINVAL);
	assert_int_equal(iommu_map(domain, 0x10000, 0x5800, 0x1000, IOMMU_READ), -EINVAL);
	assert_int_equal(iommu_map(domain, 0x10000, 0x5000, 0x1800, IOMMU_READ), -EINVAL);
	assert_int_equal(iommu_map(&fake_blocked, 0x10000, 0x5000, 0x1000, IOMMU_READ), -EINVAL);
}

static void a_gather_covers_all_that_was_unmapped(void **state)
{
	struct iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	assert_int_equal(iommu_unmap_gather(domain, 0x1000, 0x1000, &gather), 0);
	assert_true(gather.start > gather.end);
	assert_int_equal(iommu_map(domain, 0x10000, 0x5000, 0x1000, IOMMU_READ), 0);
	assert_int_equal(iommu_unmap_gather(domain, 0x10000, 0x1000, &gather), 0x1000);
	assert_int_equal(gather.start, 0x10000);
	assert_int_equal(gather.end, 0x10fff);
	iommu_iotlb_sync(domain, &gather);
	assert_true(gather.start > gather.end);
}

static u64 recorded;

static void record(struct iommu_dirty_bitmap *dirty, u64 iova, size_t length)
{
	recorded += length;
}

static void dirty_marks_go_to_the_recorder_if_there_is_one(void **state)
{
	struct iommu_dirty_bitmap dirty = { .record = record };

	recorded = 0;
	iommu_dirty_bitmap_record(&dirty, 0x1000, 0x800);
	dirty.record = NULL;
	iommu_dirty_bitmap_record(&dirty, 0x1000, 0x800);
	assert_int_equal(recorded, 0x800);
}

/* ---- drivers' data; the program's memory is ours, address 0 is unreadable ---- */

static int copy_from(struct task *task, void *dst, u64 uaddr, size_t len)
{
	if (!uaddr)
		return -EFAULT;
	memcpy(dst, (const void *)(uintptr_t)uaddr, len);
	return 0;
}

static int copy_to(struct task *task, u64 uaddr, const void *src, size_t len)
{
	if (!uaddr)
		return -EFAULT;
	memcpy((void *)(uintptr_t)uaddr, src, len);
	return 0;
}

static const struct task_ops task_ops = { .copy_from = copy_from, .copy_to = copy_to };

struct blob {
	u32 first;
	u32 later;
};

static struct task task = { .ops = &task_ops };

static int user_begin(void **state)
{
	*state = task_enter(&task);
	return 0;
}

static int user_end(void **state)
{
	task_leave(*state);
	return 0;
}

static void a_blob_may_be_as_short_as_its_first_version(void **state)
{
	const struct blob user = { 1, 2 };
	struct iommu_user_data data = { .type = 7, .uptr = (uintptr_t)&user, .len = 4 };
	struct blob got = { 9, 9 };

	assert_int_equal(iommu_copy_struct_from_user(&got, &data, 7, first), 0);
	assert_int_equal(got.first, 1);
	assert_int_equal(got.later, 0);
	data.len = 8;
	assert_int_equal(iommu_copy_struct_from_user(&got, &data, 7, first), 0);
	assert_int_equal(got.later, 2);
}

static void a_blob_of_the_wrong_type_or_size_is_invalid(void **state)
{
	const struct blob user[2] = { { 0 } };
	struct iommu_user_data data = { .type = 7, .uptr = (uintptr_t)user, .len = 8 };
	struct blob got;

	assert_int_equal(iommu_copy_struct_from_user(&got, &data, 8, first), -EINVAL);
	data.len = 3;
	assert_int_equal(iommu_copy_struct_from_user(&got, &data, 7, first), -EINVAL);
	data.len = 9; /* also with a zero tail */
	assert_int_equal(iommu_copy_struct_from_user(&got, &data, 7, first), -EINVAL);
	data.len = 4;
	assert_int_equal(iommu_copy_struct_from_user(&got, &data, 7, later), -EINVAL);
	data.uptr = 0;
	assert_int_equal(iommu_copy_struct_from_user(&got, &data, 7, first), -EFAULT);
	assert_int_equal(iommu_copy_struct_from_user(&got, (struct iommu_user_data *)NULL, 7,
						     first), -EINVAL);
}

static void a_blob_is_written_back_as_far_as_it_goes(void **state)
{
	struct blob user = { 9, 9 };
	const struct iommu_user_data data = { .type = 7, .uptr = (uintptr_t)&user, .len = 4 };
	const struct blob mine = { 1, 2 };

	assert_int_equal(iommu_copy_struct_to_user(&data, &mine, 7, first), 0);
	assert_int_equal(user.first, 1);
	assert_int_equal(user.later, 9);
	assert_int_equal(iommu_copy_struct_to_user(&data, &mine, 7, later), -EINVAL);
	assert_int_equal(iommu_copy_struct_to_user(&data, &mine, 6, first), -EINVAL);
}

static void an_array_entry_is_found_by_its_index(void **state)
{
	const struct blob user[3] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };
	const struct iommu_user_data_array array = { .type = 7, .uptr = (uintptr_t)user,
						     .entry_len = 8, .entry_num = 3 };
	struct blob got;

	assert_int_equal(iommu_copy_struct_from_user_array(&got, &array, 7, 2, later), 0);
	assert_int_equal(got.first, 5);
	assert_int_equal(iommu_copy_struct_from_user_array(&got, &array, 7, 3, later), -EINVAL);
	assert_int_equal(iommu_copy_struct_from_user_array(&got, &array, 6, 0, later), -EINVAL);
}

static void a_full_array_is_stretched_or_cut_if_the_rest_is_zero(void **state)
{
	u32 user[6] = { 1, 0, 0, 2, 0, 0 };
	struct iommu_user_data_array array = { .type = 7, .uptr = (uintptr_t)user,
					       .entry_len = 12, .entry_num = 2 };
	struct blob got[6];

	assert_int_equal(iommu_copy_struct_from_full_user_array(got, 8, &array, 7), 0);
	assert_int_equal(got[1].first, 2);
	user[5] = 1;
	assert_int_equal(iommu_copy_struct_from_full_user_array(got, 8, &array, 7), -E2BIG);
	array.entry_len = 4;
	array.entry_num = 6;
	assert_int_equal(iommu_copy_struct_from_full_user_array(got, 8, &array, 7), 0);
	assert_int_equal(got[3].first, 2);
	assert_int_equal(got[3].later, 0);
	array.entry_num = 0;
	assert_int_equal(iommu_copy_struct_from_full_user_array(got, 8, &array, 7), -EINVAL);
	array.entry_num = 1;
	assert_int_equal(iommu_copy_struct_from_full_user_array(got, 8, &array, 6), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define D(name) cmocka_unit_test_setup_teardown(name, domain_begin, domain_end)
#define U(name) cmocka_unit_test_setup_teardown(name, user_begin, user_end)
		D(the_driver_and_its_ops_are_filled_in),
		D(a_plain_allocator_serves_only_plain_requests),
		D(a_mapping_translates_until_it_is_removed),
		D(a_driver_that_stops_half_way_leaves_nothing),
		D(what_is_not_page_aligned_is_refused),
		D(a_gather_covers_all_that_was_unmapped),
		D(dirty_marks_go_to_the_recorder_if_there_is_one),
		U(a_blob_may_be_as_short_as_its_first_version),
		U(a_blob_of_the_wrong_type_or_size_is_invalid),
		U(a_blob_is_written_back_as_far_as_it_goes),
		U(an_array_entry_is_found_by_its_index),
		U(a_full_array_is_stretched_or_cut_if_the_rest_is_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
