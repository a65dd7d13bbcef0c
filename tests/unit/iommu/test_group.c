/* SPDX-License-Identifier: MIT */
/* Groups: who owns them and how they move between domains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fake_iommu.h"

static struct fake_iommu iommu;
static struct fake_dev a, b;
static int owner_one, owner_two;

static int group_of_two(void **state)
{
	iommu = (struct fake_iommu){ .shared_group = iommu_group_alloc() };
	a = fake_dev_init(&iommu, &fake_ops);
	b = fake_dev_init(&iommu, &fake_ops);
	return fake_dev_add(&a) || fake_dev_add(&b);
}

static int group_end(void **state)
{
	fake_dev_remove(&a);
	fake_dev_remove(&b);
	iommu_group_put(iommu.shared_group);
	return iommu.domains != 0;
}

static void a_new_device_is_blocked(void **state)
{
	assert_ptr_equal(a.in, &fake_blocked);
	assert_ptr_equal(a.dev.iommu_group, b.dev.iommu_group);
	assert_int_equal(a.dev.max_pasids, FAKE_PASIDS);
}

static void ownership_is_counted_and_exclusive(void **state)
{
	assert_int_equal(iommu_device_claim_dma_owner(&a.dev, &owner_one), 0);
	assert_int_equal(iommu_device_claim_dma_owner(&b.dev, &owner_one), 0);
	assert_int_equal(iommu_device_claim_dma_owner(&b.dev, &owner_two), -EPERM);
	assert_int_equal(iommu_device_use_default_domain(&a.dev), -EBUSY);
	iommu_device_release_dma_owner(&a.dev);
	assert_int_equal(iommu_device_claim_dma_owner(&a.dev, &owner_two), -EPERM);
	iommu_device_release_dma_owner(&b.dev);
	assert_int_equal(iommu_device_claim_dma_owner(&a.dev, &owner_two), 0);
	iommu_device_release_dma_owner(&a.dev);
}

static void a_group_in_use_by_its_drivers_can_not_be_owned(void **state)
{
	assert_int_equal(iommu_device_use_default_domain(&b.dev), 0);
	assert_int_equal(iommu_device_claim_dma_owner(&a.dev, &owner_one), -EPERM);
	iommu_device_unuse_default_domain(&b.dev);
	assert_int_equal(iommu_device_claim_dma_owner(&a.dev, &owner_one), 0);
	iommu_device_release_dma_owner(&a.dev);
}

static void a_device_without_group_can_not_be_owned(void **state)
{
	struct fake_dev lonely = fake_dev_init(&iommu, &fake_ops);

	assert_int_equal(iommu_device_claim_dma_owner(&lonely.dev, &owner_one), -ENODEV);
}

static void firmware_mappings_forbid_ownership(void **state)
{
	const struct iommu_resv_region direct = { .start = 0x1000, .length = 0x1000,
						  .type = IOMMU_RESV_DIRECT };
	struct fake_iommu alone = { 0 };
	struct fake_dev gpu = fake_dev_init(&alone, &fake_ops);

	gpu.resv = &direct;
	assert_int_equal(fake_dev_add(&gpu), 0);
	assert_int_equal(iommu_device_claim_dma_owner(&gpu.dev, &owner_one), -EINVAL);
	fake_dev_remove(&gpu);
}

static void attach_moves_the_whole_group_and_detach_blocks_it(void **state)
{
	struct iommu_domain *domain = fake_domain_new(&a);
	struct iommu_attach_handle handle = { 0 };
	struct iommu_group *group = a.dev.iommu_group;

	assert_int_equal(iommu_device_claim_dma_owner(&a.dev, &owner_one), 0);
	assert_int_equal(iommu_attach_group_handle(domain, group, &handle), 0);
	assert_ptr_equal(a.in, domain);
	assert_ptr_equal(b.in, domain);
	assert_ptr_equal(iommu_attach_handle_get(group, IOMMU_NO_PASID), &handle);
	assert_ptr_equal(handle.domain, domain);
	iommu_detach_group_handle(domain, group);
	assert_ptr_equal(a.in, &fake_blocked);
	assert_null(iommu_attach_handle_get(group, IOMMU_NO_PASID));
	iommu_device_release_dma_owner(&a.dev);
	iommu_domain_free(domain);
}

static void a_second_domain_needs_replace(void **state)
{
	struct iommu_domain *one = fake_domain_new(&a), *two = fake_domain_new(&a);
	struct iommu_group *group = a.dev.iommu_group;

	assert_int_equal(iommu_attach_group(one, group), 0);
	assert_int_equal(iommu_attach_group(two, group), -EBUSY);
	assert_int_equal(iommu_device_claim_dma_owner(&a.dev, &owner_one), -EBUSY);
	assert_int_equal(iommu_replace_group_handle(group, two, NULL), 0);
	assert_ptr_equal(b.in, two);
	iommu_detach_group(two, group);
	iommu_domain_free(one);
	iommu_domain_free(two);
}

static void one_device_refusing_moves_all_back(void **state)
{
	struct iommu_domain *one = fake_domain_new(&a), *two = fake_domain_new(&a);
	struct iommu_group *group = a.dev.iommu_group;

	b.refuse = -ENOSPC;
	assert_int_equal(iommu_attach_group(one, group), -ENOSPC);
	assert_ptr_equal(a.in, &fake_blocked);
	b.refuse = 0;
	assert_int_equal(iommu_attach_group(one, group), 0);
	b.refuse = -EINVAL;
	assert_int_equal(iommu_replace_group_handle(group, two, NULL), -EINVAL);
	assert_ptr_equal(a.in, one);
	assert_ptr_equal(b.in, one);
	b.refuse = 0;
	iommu_detach_group(one, group);
	iommu_domain_free(one);
	iommu_domain_free(two);
}

static void a_domain_of_another_driver_does_not_fit(void **state)
{
	struct fake_iommu other_iommu = { 0 };
	struct fake_dev other = fake_dev_init(&other_iommu, &fake_other_ops);
	struct iommu_domain *foreign;

	assert_int_equal(fake_dev_add(&other), 0);
	foreign = fake_domain_new(&other);
	assert_int_equal(iommu_attach_group(foreign, a.dev.iommu_group), -EINVAL);
	assert_int_equal(iommu_attach_device_pasid(foreign, &a.dev, 1, NULL), -EINVAL);
	iommu_domain_free(foreign);
	fake_dev_remove(&other);
}

/* ---- PASIDs ---- */

static void a_pasid_is_attached_on_all_devices_that_know_pasids(void **state)
{
	struct iommu_domain *one = fake_domain_new(&a), *two = fake_domain_new(&a);
	struct iommu_attach_handle h1 = { 0 }, h2 = { 0 };

	b.dev.max_pasids = 0;
	assert_int_equal(iommu_attach_device_pasid(one, &a.dev, 3, &h1), 0);
	assert_ptr_equal(a.pasid[3], one);
	assert_null(b.pasid[3]);
	assert_int_equal(iommu_attach_device_pasid(two, &a.dev, 3, &h2), -EBUSY);
	assert_int_equal(iommu_device_claim_dma_owner(&a.dev, &owner_one), -EBUSY);
	assert_int_equal(iommu_replace_device_pasid(two, &a.dev, 4, &h2), -EINVAL);
	assert_int_equal(iommu_replace_device_pasid(two, &a.dev, 3, &h2), 0);
	assert_ptr_equal(a.pasid[3], two);
	assert_ptr_equal(iommu_attach_handle_get(a.dev.iommu_group, 3), &h2);
	iommu_detach_device_pasid(two, &a.dev, 3);
	assert_null(a.pasid[3]);
	assert_null(iommu_attach_handle_get(a.dev.iommu_group, 3));
	b.dev.max_pasids = FAKE_PASIDS;
	iommu_domain_free(one);
	iommu_domain_free(two);
}

static void a_refused_pasid_leaves_nobody_attached(void **state)
{
	struct iommu_domain *domain = fake_domain_new(&a);
	struct iommu_attach_handle handle = { 0 };

	b.refuse = -ENOMEM;
	assert_int_equal(iommu_attach_device_pasid(domain, &a.dev, 2, &handle), -ENOMEM);
	assert_null(a.pasid[2]);
	assert_null(iommu_attach_handle_get(a.dev.iommu_group, 2));
	b.refuse = 0;
	iommu_domain_free(domain);
}

static void a_pasid_beyond_a_limit_or_zero_is_invalid(void **state)
{
	struct iommu_domain *domain = fake_domain_new(&a);
	struct iommu_attach_handle handle = { 0 };

	assert_int_equal(iommu_attach_device_pasid(domain, &a.dev, FAKE_PASIDS, &handle), -EINVAL);
	assert_int_equal(iommu_attach_device_pasid(domain, &a.dev, 0, &handle), -EINVAL);
	iommu_domain_free(domain);
}

static void a_driver_without_a_blocked_domain_has_no_pasids(void **state)
{
	struct fake_iommu plain_iommu = { 0 };
	struct fake_dev plain = fake_dev_init(&plain_iommu, &fake_no_pasid_ops);
	struct iommu_attach_handle handle = { 0 };
	struct iommu_domain *domain;

	assert_int_equal(fake_dev_add(&plain), 0);
	/* it is blocked by an empty domain of its own */
	assert_int_equal(plain_iommu.domains, 1);
	assert_int_equal(plain.in->type, IOMMU_DOMAIN_UNMANAGED);
	domain = fake_domain_new(&plain);
	assert_int_equal(iommu_attach_device_pasid(domain, &plain.dev, 1, &handle), -EOPNOTSUPP);
	iommu_domain_free(domain);
	fake_dev_remove(&plain);
	assert_int_equal(plain_iommu.domains, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, group_of_two, group_end)
		T(a_new_device_is_blocked),
		T(ownership_is_counted_and_exclusive),
		T(a_group_in_use_by_its_drivers_can_not_be_owned),
		T(a_device_without_group_can_not_be_owned),
		T(firmware_mappings_forbid_ownership),
		T(attach_moves_the_whole_group_and_detach_blocks_it),
		T(a_second_domain_needs_replace),
		T(one_device_refusing_moves_all_back),
		T(a_domain_of_another_driver_does_not_fit),
		T(a_pasid_is_attached_on_all_devices_that_know_pasids),
		T(a_refused_pasid_leaves_nobody_attached),
		T(a_pasid_beyond_a_limit_or_zero_is_invalid),
		T(a_driver_without_a_blocked_domain_has_no_pasids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
