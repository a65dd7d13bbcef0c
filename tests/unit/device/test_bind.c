/* SPDX-License-Identifier: MIT */
/* Binding and attaching devices of a driver's own: groups, ownership, reserved regions. */
#include <fcntl.h>

#include "../iommu/fake_iommu.h"
#include "../models/rig.h"
#include <iommufd/device.h>

#define PG 4096UL

static struct fake_iommu iommu;
static struct fake_dev a, b;
static struct iommufd_ctx *ctx;
static u32 ioas;

static int begin(void **state)
{
	if (rig_begin(state) || iommufd_ctx_from_fd(rig.proc, rig.fd, &ctx))
		return -1;
	ioas = rig_ioas();
	iommu = (struct fake_iommu){ .shared_group = iommu_group_alloc() };
	a = fake_dev_init(&iommu, &fake_ops);
	b = fake_dev_init(&iommu, &fake_ops);
	return fake_dev_add(&a) || fake_dev_add(&b);
}

static int end(void **state)
{
	int rc;

	iommufd_ctx_put(ctx);
	rc = rig_end(state);
	fake_dev_remove(&a);
	fake_dev_remove(&b);
	iommu_group_put(iommu.shared_group);
	return rc || iommu.domains;
}

static struct iommufd_device *bind(struct fake_dev *fake)
{
	struct iommufd_device *idev;
	u32 id;

	idev = iommufd_device_bind(ctx, &fake->dev, &id);
	assert_false(IS_ERR(idev));
	assert_int_equal(id, iommufd_device_to_id(idev));
	assert_ptr_equal(ctx, iommufd_device_to_ictx(idev));
	return idev;
}

static long bind_error(struct fake_dev *fake)
{
	u32 id;

	return PTR_ERR(iommufd_device_bind(ctx, &fake->dev, &id));
}

/* ---- bind ---- */

static void binding_needs_coherency_a_group_and_isolated_interrupts(void **state)
{
	struct fake_dev lonely = fake_dev_init(&iommu, &fake_ops);

	assert_int_equal(bind_error(&lonely), -ENODEV);
	a.coherent = false;
	assert_int_equal(bind_error(&a), -EINVAL);
	a.coherent = true;
	b.dev.msi_isolated = false; /* one of the group is enough */
	assert_int_equal(bind_error(&a), -EPERM);
	b.dev.msi_isolated = true;
	iommufd_device_unbind(bind(&a));
}

static void a_group_belongs_to_one_context(void **state)
{
	struct iommufd_device *idev = bind(&a);
	struct iommufd_ctx *other;
	int fd = iommufd_open(rig.proc, "/dev/iommu", O_RDWR);
	u32 id;

	assert_true(iommufd_ctx_has_group(ctx, iommu.shared_group));
	assert_int_equal(iommufd_ctx_from_fd(rig.proc, fd, &other), 0);
	assert_false(iommufd_ctx_has_group(other, iommu.shared_group));
	assert_false(iommufd_ctx_has_group(NULL, iommu.shared_group));
	assert_int_equal(PTR_ERR(iommufd_device_bind(other, &b.dev, &id)), -EPERM);
	iommufd_device_unbind(idev);
	assert_false(iommufd_ctx_has_group(ctx, iommu.shared_group));
	idev = iommufd_device_bind(other, &b.dev, &id);
	assert_false(IS_ERR(idev));
	iommufd_device_unbind(idev);
	iommufd_ctx_put(other);
}

static void a_bound_device_keeps_the_context_open(void **state)
{
	int fd = iommufd_open(rig.proc, "/dev/iommu", O_RDWR);
	struct iommufd_ctx *other;
	struct iommufd_device *idev;
	u32 id;

	assert_int_equal(iommufd_ctx_from_fd(rig.proc, fd, &other), 0);
	idev = iommufd_device_bind(other, &a.dev, &id);
	iommufd_ctx_put(other);
	assert_int_equal(iommufd_close(rig.proc, fd), 0);
	assert_int_equal(bind_error(&b), -EPERM);
	iommufd_device_unbind(idev);
	iommufd_device_unbind(bind(&b));
}

static void a_device_object_is_not_the_programs_to_destroy(void **state)
{
	struct iommufd_device *idev = bind(&a);

	assert_int_equal(rig_destroy(iommufd_device_to_id(idev)), -EBUSY);
	iommufd_device_unbind(idev);
	assert_int_equal(rig_destroy(ioas), 0);
}

static void a_group_somebody_else_uses_can_not_be_bound(void **state)
{
	static const struct iommu_resv_region direct = { .start = 0x1000, .length = 0x1000,
							 .type = IOMMU_RESV_DIRECT };
	struct iommu_domain *foreign = fake_domain_new(&a);
	struct fake_iommu alone = { 0 };
	struct fake_dev gpu = fake_dev_init(&alone, &fake_ops);

	assert_int_equal(iommu_device_use_default_domain(&b.dev), 0); /* its kernel driver */
	assert_int_equal(bind_error(&a), -EPERM);
	iommu_device_unuse_default_domain(&b.dev);
	assert_int_equal(iommu_attach_group(foreign, iommu.shared_group), 0);
	assert_int_equal(bind_error(&a), -EBUSY);
	iommu_detach_group(foreign, iommu.shared_group);
	iommu_domain_free(foreign);
	gpu.resv = &direct; /* firmware wants it mapped one to one */
	assert_int_equal(fake_dev_add(&gpu), 0);
	assert_int_equal(bind_error(&gpu), -EINVAL);
	fake_dev_remove(&gpu);
	iommufd_device_unbind(bind(&a));
}

/* ---- attach ---- */

static void members_of_a_group_join_one_hwpt(void **state)
{
	struct iommufd_device *ia = bind(&a), *ib = bind(&b);
	u32 pt_a = ioas, pt_b, other = rig_ioas();

	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt_a), 0);
	assert_ptr_not_equal(a.in, &fake_blocked);
	assert_ptr_equal(a.in, b.in); /* the hardware knows only the group */
	pt_b = other;
	assert_int_equal(iommufd_device_attach(ib, IOMMU_NO_PASID, &pt_b), -EINVAL);
	pt_b = ioas;
	assert_int_equal(iommufd_device_attach(ib, IOMMU_NO_PASID, &pt_b), 0);
	assert_int_equal(pt_a, pt_b);
	assert_int_equal(iommufd_device_attach(ib, IOMMU_NO_PASID, &pt_b), -EBUSY);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	iommufd_device_detach(ia, IOMMU_NO_PASID); /* a no-op */
	assert_ptr_not_equal(b.in, &fake_blocked);
	assert_int_equal(rig_destroy(pt_b), -EBUSY);
	iommufd_device_detach(ib, IOMMU_NO_PASID);
	assert_ptr_equal(b.in, &fake_blocked);
	assert_int_equal(rig_destroy(pt_b), -ENOENT);
	iommufd_device_unbind(ia);
	iommufd_device_unbind(ib);
}

static void replace_moves_every_member(void **state)
{
	struct iommufd_device *ia = bind(&a), *ib = bind(&b);
	u32 one = ioas, two = rig_ioas(), pt = two;

	assert_int_equal(iommufd_device_replace(ia, IOMMU_NO_PASID, &pt), -EINVAL);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &one), 0);
	assert_int_equal(iommufd_device_replace(ib, IOMMU_NO_PASID, &pt), -EINVAL);
	one = ioas;
	assert_int_equal(iommufd_device_attach(ib, IOMMU_NO_PASID, &one), 0);
	pt = two;
	assert_int_equal(iommufd_device_replace(ib, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(rig_destroy(one), -ENOENT);
	assert_int_equal(rig_destroy(ioas), 0);
	assert_int_equal(rig_destroy(two), -EBUSY);
	iommufd_device_detach(ib, IOMMU_NO_PASID);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	assert_int_equal(rig_destroy(two), 0);
	iommufd_device_unbind(ib);
	iommufd_device_unbind(ia);
}

static void a_refused_replace_leaves_everything_as_it_was(void **state)
{
	struct iommufd_device *ia = bind(&a);
	u32 pt = ioas, other = rig_ioas(), hwpt;
	struct iommu_domain *domain;

	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	hwpt = pt;
	domain = a.in;
	a.refuse = -ENOSPC;
	pt = other;
	assert_int_equal(iommufd_device_replace(ia, IOMMU_NO_PASID, &pt), -ENOSPC);
	a.refuse = 0;
	assert_ptr_equal(a.in, domain);
	assert_int_equal(rig_destroy(hwpt), -EBUSY);
	assert_int_equal(rig_destroy(other), 0);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	iommufd_device_unbind(ia);
}

static void an_error_of_the_driver_ends_the_search_unless_it_is_einval(void **state)
{
	struct fake_iommu alone = { 0 };
	struct fake_dev c = fake_dev_init(&alone, &fake_ops);
	struct iommufd_device *ia = bind(&a), *ic;
	u32 pt = ioas, first;

	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	first = pt;
	assert_int_equal(fake_dev_add(&c), 0);
	ic = bind(&c);
	c.refuse = -ENOSPC;
	pt = ioas;
	assert_int_equal(iommufd_device_attach(ic, IOMMU_NO_PASID, &pt), -ENOSPC);
	c.refuse = -EINVAL;
	assert_int_equal(iommufd_device_attach(ic, IOMMU_NO_PASID, &pt), -EINVAL);
	assert_int_equal(alone.domains, 0);
	c.refuse = 0;
	assert_int_equal(iommufd_device_attach(ic, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(pt, first);
	iommufd_device_detach(ic, IOMMU_NO_PASID);
	iommufd_device_unbind(ic);
	fake_dev_remove(&c);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	iommufd_device_unbind(ia);
}

static void another_driver_gets_another_hwpt(void **state)
{
	struct fake_iommu other_iommu = { 0 };
	struct fake_dev c = fake_dev_init(&other_iommu, &fake_plain_ops);
	struct iommufd_device *ia = bind(&a), *ic;
	u32 pt_a = ioas, pt_c = ioas, hwpt;

	assert_int_equal(fake_dev_add(&c), 0);
	ic = bind(&c);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt_a), 0);
	assert_int_equal(iommufd_device_attach(ic, IOMMU_NO_PASID, &pt_c), 0);
	assert_int_not_equal(pt_a, pt_c);
	/* it has only the plain allocator */
	assert_int_equal(rig_hwpt(iommufd_device_to_id(ic), ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt),
			 -EOPNOTSUPP);
	assert_int_equal(rig_hwpt(iommufd_device_to_id(ic), ioas, 0, &hwpt), 0);
	iommufd_device_detach(ic, IOMMU_NO_PASID);
	iommufd_device_unbind(ic);
	assert_int_equal(rig_destroy(hwpt), 0);
	fake_dev_remove(&c);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	iommufd_device_unbind(ia);
}

static void a_hwpt_made_for_an_enforcing_device_enforces(void **state)
{
	struct iommufd_device *ia;
	u32 pt = ioas;

	a.enforces = true;
	ia = bind(&a);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	assert_true(a.in->enforced_coherency);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	iommufd_device_unbind(ia);
}

static void the_information_of_a_silent_driver_is_empty(void **state)
{
	struct iommufd_device *ia = bind(&a);
	u64 buf = UINT64_MAX;
	struct iommu_hw_info cmd = { .size = sizeof(cmd), .dev_id = iommufd_device_to_id(ia),
				     .flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE, .in_data_type = 99,
				     .data_len = 8, .data_uptr = (uintptr_t)&buf };

	assert_int_equal(rig_ioctl(IOMMU_GET_HW_INFO, &cmd), 0);
	assert_int_equal(cmd.out_data_type, IOMMU_HW_INFO_TYPE_NONE);
	assert_int_equal(cmd.data_len, 0);
	assert_int_equal(buf, 0);
	assert_int_equal(cmd.out_max_pasid_log2, 3);
	iommufd_device_unbind(ia);
}

/* ---- drivers that are odd in one thing ---- */

static struct iommu_ops odd_ops;

/* A device alone in its group, behind a driver like the fake one but for what @odd_ops change. */
static struct iommufd_device *bind_odd(struct fake_dev *odd)
{
	assert_int_equal(fake_dev_add(odd), 0);
	return bind(odd);
}

static void odd_end(struct iommufd_device *idev, struct fake_dev *odd)
{
	iommufd_device_unbind(idev);
	fake_dev_remove(odd);
	assert_int_equal(odd->iommu->domains, 0);
}

static struct iommu_domain *alloc_large_pages(struct device *dev, u32 flags,
					      const struct iommu_user_data *user_data)
{
	struct iommu_domain *domain = fake_ops.domain_alloc_paging_flags(dev, flags, user_data);

	domain->pgsize_bitmap = 0x10000;
	return domain;
}

static void a_domain_must_have_pages_as_small_as_ours(void **state)
{
	struct fake_iommu alone = { 0 };
	struct fake_dev odd = fake_dev_init(&alone, &odd_ops);
	struct iommufd_device *idev;
	u32 pt = ioas, hwpt;

	odd_ops = fake_ops;
	odd_ops.domain_alloc_paging_flags = alloc_large_pages;
	idev = bind_odd(&odd);
	assert_int_equal(rig_hwpt(iommufd_device_to_id(idev), ioas, 0, &hwpt), -EINVAL);
	assert_int_equal(iommufd_device_attach(idev, IOMMU_NO_PASID, &pt), -EINVAL);
	assert_ptr_equal(odd.in, &fake_blocked);
	odd_end(idev, &odd);
	assert_int_equal(rig_destroy(ioas), 0);
}

static struct iommu_domain *alloc_unenforceable(struct device *dev, u32 flags,
						const struct iommu_user_data *user_data)
{
	struct iommu_domain *domain = fake_ops.domain_alloc_paging_flags(dev, flags, user_data);

	to_fake_domain(domain)->enforce_refused = true;
	return domain;
}

static void a_promise_of_coherency_that_is_not_kept_is_an_error(void **state)
{
	struct fake_iommu alone = { 0 };
	struct fake_dev odd = fake_dev_init(&alone, &odd_ops);
	struct iommufd_device *idev;
	u32 hwpt;

	odd_ops = fake_ops;
	odd_ops.domain_alloc_paging_flags = alloc_unenforceable;
	odd.enforces = true;
	idev = bind_odd(&odd);
	assert_int_equal(rig_hwpt(iommufd_device_to_id(idev), ioas, 0, &hwpt), -EINVAL);
	odd_end(idev, &odd);
}

static enum iommu_hw_info_type told_type;
static int told_rc;

static void *tell_info(struct device *dev, u32 *length, enum iommu_hw_info_type *type)
{
	*length = 8;
	*type = told_type;
	return told_rc ? ERR_PTR(told_rc) : calloc(1, 8);
}

static void the_drivers_information_has_a_type_or_an_error(void **state)
{
	struct fake_iommu alone = { 0 };
	struct fake_dev odd = fake_dev_init(&alone, &odd_ops);
	struct iommu_hw_info cmd = { .size = sizeof(cmd) };
	struct iommufd_device *idev;

	odd_ops = fake_ops;
	odd_ops.hw_info = tell_info;
	odd.dev.pasid_exec = odd.dev.pasid_priv = true;
	idev = bind_odd(&odd);
	cmd.dev_id = iommufd_device_to_id(idev);
	told_type = IOMMU_HW_INFO_TYPE_NONE;
	assert_int_equal(rig_ioctl(IOMMU_GET_HW_INFO, &cmd), -EOPNOTSUPP);
	told_rc = -ENXIO;
	assert_int_equal(rig_ioctl(IOMMU_GET_HW_INFO, &cmd), -ENXIO);
	told_rc = 0;
	told_type = IOMMU_HW_INFO_TYPE_AMD;
	assert_int_equal(rig_ioctl(IOMMU_GET_HW_INFO, &cmd), 0);
	assert_int_equal(cmd.out_data_type, IOMMU_HW_INFO_TYPE_AMD);
	assert_int_equal(cmd.out_capabilities, IOMMU_HW_CAP_PCI_PASID_EXEC |
			 IOMMU_HW_CAP_PCI_PASID_PRIV | IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	odd_end(idev, &odd);
}

static void a_hwpt_made_for_another_driver_does_not_fit(void **state)
{
	struct fake_iommu alone = { 0 };
	struct fake_dev odd = fake_dev_init(&alone, &fake_other_ops);
	struct iommufd_device *idev = bind_odd(&odd), *ia = bind(&a);
	u32 hwpt;

	assert_int_equal(rig_hwpt(iommufd_device_to_id(ia), ioas, 0, &hwpt), 0);
	assert_int_equal(iommufd_device_attach(idev, IOMMU_NO_PASID, &hwpt), -EINVAL);
	assert_int_equal(rig_destroy(hwpt), 0);
	iommufd_device_unbind(ia);
	odd_end(idev, &odd);
}

/* ---- reserved regions ---- */

static const struct iommu_resv_region relaxable = { .start = 0x500000, .length = 0x1000,
						    .type = IOMMU_RESV_DIRECT_RELAXABLE };
static const struct iommu_resv_region msi = { .start = 0xfee00000, .length = 0x100000,
					      .type = IOMMU_RESV_MSI,
					      .next = (struct iommu_resv_region *)&relaxable };
static const struct iommu_resv_region sw_msi = { .start = 0x8000000, .length = 0x100000,
						 .type = IOMMU_RESV_SW_MSI };
static const struct iommu_resv_region both_msi = { .start = 0x8000000, .length = 0x100000,
						   .type = IOMMU_RESV_SW_MSI,
						   .next = (struct iommu_resv_region *)&msi };

static void reserved_regions_block_iova_while_attached(void **state)
{
	struct iommufd_device *ia;
	char *mem = rig_memory(PG);
	u32 pt = ioas, other = rig_ioas();

	a.resv = &msi;
	ia = bind(&a);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(rig_map(ioas, mem, PG, 0xfee01000), -EINVAL);
	pt = other;
	assert_int_equal(iommufd_device_replace(ia, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(rig_map(ioas, mem, PG, 0xfee01000), 0);
	assert_int_equal(rig_map(other, mem, PG, 0xfee01000), -EINVAL);
	/* and what is mapped already keeps the device out */
	pt = ioas;
	assert_int_equal(iommufd_device_replace(ia, IOMMU_NO_PASID, &pt), -EADDRINUSE);
	assert_int_equal(rig_map(other, mem, PG, 0xfee01000), -EINVAL);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	pt = ioas;
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), -EADDRINUSE);
	assert_ptr_equal(a.in, &fake_blocked);
	iommufd_device_unbind(ia);
}

static void relaxable_regions_are_not_reserved(void **state)
{
	struct iommufd_device *ia;
	char *mem = rig_memory(PG);
	u32 pt = ioas;

	a.resv = &relaxable;
	ia = bind(&a);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(rig_map(ioas, mem, PG, relaxable.start), 0);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	iommufd_device_unbind(ia);
}

static void an_interrupt_is_translated_in_every_domain_the_device_enters(void **state)
{
	dma_addr_t addr = 0xabcd040;
	struct iommufd_device *ia;
	u32 pt = ioas, other = rig_ioas();

	a.resv = &sw_msi;
	ia = bind(&a);
	/* not attached: nothing translates, the doorbell is written as it is */
	assert_int_equal(iommufd_device_prepare_msi(ia, 0x20000040, &addr), 0);
	assert_int_equal(addr, 0xabcd040);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(iommufd_device_prepare_msi(ia, 0x20000040, &addr), 0);
	assert_int_equal(addr, sw_msi.start + 0x40);
	assert_int_equal(to_fake_domain(a.in)->iova, sw_msi.start);
	assert_int_equal(to_fake_domain(a.in)->pa, 0x20000000);
	/* the same page again is the same address, and is not mapped twice */
	assert_int_equal(iommufd_device_prepare_msi(ia, 0x20000080, &addr), 0);
	assert_int_equal(addr, sw_msi.start + 0x80);

	pt = other;
	assert_int_equal(iommufd_device_replace(ia, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(to_fake_domain(a.in)->iova, sw_msi.start);
	assert_int_equal(to_fake_domain(a.in)->pa, 0x20000000);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	pt = ioas;
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(to_fake_domain(a.in)->pa, 0x20000000);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	iommufd_device_unbind(ia);
}

static void a_context_has_64_doorbell_pages(void **state)
{
	dma_addr_t addr, first = 0;
	struct iommufd_device *ia;
	u32 pt = ioas;

	a.resv = &sw_msi;
	ia = bind(&a);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	for (u32 i = 0; i < 64; i++) {
		/* it holds one range; here only the address counts */
		to_fake_domain(a.in)->len = 0;
		assert_int_equal(iommufd_device_prepare_msi(ia, 0x20000000 + i * PG, &addr), 0);
		first = i ? first : addr;
		assert_int_equal(addr, first + i * PG);
	}
	assert_int_equal(iommufd_device_prepare_msi(ia, 0x20000000 + 64 * PG, &addr), -EOVERFLOW);
	assert_int_equal(iommufd_device_prepare_msi(ia, 0x20000000, &addr), 0);
	assert_int_equal(addr, first);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	iommufd_device_unbind(ia);
}

static void a_joining_device_adds_its_own_regions(void **state)
{
	struct iommufd_device *ia, *ib;
	char *mem = rig_memory(PG);
	u32 pt = ioas;

	b.resv = &msi;
	ia = bind(&a);
	ib = bind(&b);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(rig_map(ioas, mem, PG, 0xfee01000), 0);
	pt = ioas;
	assert_int_equal(iommufd_device_attach(ib, IOMMU_NO_PASID, &pt), -EADDRINUSE);
	assert_int_equal(rig_unmap(ioas, 0xfee01000, PG), 0);
	assert_int_equal(iommufd_device_attach(ib, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(rig_map(ioas, mem, PG, 0xfee01000), -EINVAL);
	iommufd_device_detach(ib, IOMMU_NO_PASID);
	assert_int_equal(rig_map(ioas, mem, PG, 0xfee01000), 0);
	assert_int_equal(rig_unmap(ioas, 0xfee01000, PG), 0);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	iommufd_device_unbind(ib);
	iommufd_device_unbind(ia);
}

static void two_kinds_of_interrupt_windows_do_not_go_together(void **state)
{
	struct iommufd_device *ia;
	u32 pt = ioas;

	a.resv = &both_msi;
	ia = bind(&a);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), -EINVAL);
	a.resv = &sw_msi;
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	iommufd_device_unbind(ia);
}

static const struct iommu_resv_region second_sw_msi = {
	.start = 0x9000000,
	.length = 0x100000,
	.type = IOMMU_RESV_SW_MSI,
	.next = (struct iommu_resv_region *)&sw_msi,
};

static void there_is_one_window_for_interrupts(void **state)
{
	struct iommufd_device *ia;
	u32 pt = ioas;

	a.resv = &second_sw_msi;
	ia = bind(&a);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), -EINVAL);
	assert_int_equal(rig_destroy(ioas), 0);
	iommufd_device_unbind(ia);
}

/* As a driver that has no room for the doorbell. */
static struct iommu_domain *alloc_full(struct device *dev, u32 flags,
				       const struct iommu_user_data *user_data)
{
	struct iommu_domain *domain = fake_ops.domain_alloc_paging_flags(dev, flags, user_data);

	to_fake_domain(domain)->map_limit = 2048;
	return domain;
}

static void a_device_does_not_go_where_its_interrupts_can_not(void **state)
{
	struct fake_iommu alone = { 0 };
	struct fake_dev odd = fake_dev_init(&alone, &odd_ops);
	struct iommufd_device *idev;
	u32 pt = ioas, other = rig_ioas();
	dma_addr_t addr = 0;

	odd_ops = fake_ops;
	odd.resv = &sw_msi;
	idev = bind_odd(&odd);
	assert_int_equal(iommufd_device_attach(idev, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(iommufd_device_prepare_msi(idev, 0x20000000, &addr), 0);
	odd_ops.domain_alloc_paging_flags = alloc_full;
	pt = other;
	assert_int_equal(iommufd_device_replace(idev, IOMMU_NO_PASID, &pt), -ENOMEM);
	assert_int_equal(to_fake_domain(odd.in)->pa, 0x20000000); /* where it was */
	iommufd_device_detach(idev, IOMMU_NO_PASID);
	pt = other;
	assert_int_equal(iommufd_device_attach(idev, IOMMU_NO_PASID, &pt), -ENOMEM);
	assert_ptr_equal(odd.in, &fake_blocked);
	assert_int_equal(rig_destroy(other), 0);
	odd_end(idev, &odd);
}

static void a_replace_reserves_for_every_member(void **state)
{
	struct iommufd_device *ia, *ib;
	char *mem = rig_memory(PG);
	u32 pt = ioas, other = rig_ioas();

	b.resv = &msi;
	ia = bind(&a);
	ib = bind(&b);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(iommufd_device_attach(ib, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(rig_map(other, mem, PG, 0xfee01000), 0);
	pt = other;
	assert_int_equal(iommufd_device_replace(ia, IOMMU_NO_PASID, &pt), -EADDRINUSE);
	assert_int_equal(rig_unmap(other, 0xfee01000, PG), 0);
	assert_int_equal(iommufd_device_replace(ia, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(rig_map(other, mem, PG, 0xfee01000), -EINVAL);
	assert_int_equal(rig_map(ioas, mem, PG, 0xfee01000), 0);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	iommufd_device_detach(ib, IOMMU_NO_PASID);
	iommufd_device_unbind(ia);
	iommufd_device_unbind(ib);
}

/* Linux gives the reservations away here; see docs/architecture.md. */
static void a_refused_replace_within_one_ioas_keeps_its_reservations(void **state)
{
	struct iommufd_device *ia;
	char *mem = rig_memory(PG);
	u32 pt = ioas, hwpt;

	a.resv = &msi;
	ia = bind(&a);
	assert_int_equal(iommufd_device_attach(ia, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(rig_hwpt(iommufd_device_to_id(ia), ioas, 0, &hwpt), 0);
	a.refuse = -ENOSPC;
	assert_int_equal(iommufd_device_replace(ia, IOMMU_NO_PASID, &hwpt), -ENOSPC);
	a.refuse = 0;
	assert_int_equal(rig_map(ioas, mem, PG, 0xfee01000), -EINVAL);
	assert_int_equal(iommufd_device_replace(ia, IOMMU_NO_PASID, &hwpt), 0);
	assert_int_equal(rig_map(ioas, mem, PG, 0xfee01000), -EINVAL);
	iommufd_device_detach(ia, IOMMU_NO_PASID);
	assert_int_equal(rig_map(ioas, mem, PG, 0xfee01000), 0);
	iommufd_device_unbind(ia);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
		T(binding_needs_coherency_a_group_and_isolated_interrupts),
		T(a_group_belongs_to_one_context),
		T(a_bound_device_keeps_the_context_open),
		T(a_device_object_is_not_the_programs_to_destroy),
		T(a_group_somebody_else_uses_can_not_be_bound),
		T(members_of_a_group_join_one_hwpt),
		T(replace_moves_every_member),
		T(a_refused_replace_leaves_everything_as_it_was),
		T(an_error_of_the_driver_ends_the_search_unless_it_is_einval),
		T(another_driver_gets_another_hwpt),
		T(a_hwpt_made_for_an_enforcing_device_enforces),
		T(the_information_of_a_silent_driver_is_empty),
		T(a_domain_must_have_pages_as_small_as_ours),
		T(a_promise_of_coherency_that_is_not_kept_is_an_error),
		T(the_drivers_information_has_a_type_or_an_error),
		T(a_hwpt_made_for_another_driver_does_not_fit),
		T(reserved_regions_block_iova_while_attached),
		T(relaxable_regions_are_not_reserved),
		T(an_interrupt_is_translated_in_every_domain_the_device_enters),
		T(a_context_has_64_doorbell_pages),
		T(a_joining_device_adds_its_own_regions),
		T(two_kinds_of_interrupt_windows_do_not_go_together),
		T(there_is_one_window_for_interrupts),
		T(a_device_does_not_go_where_its_interrupts_can_not),
		T(a_replace_reserves_for_every_member),
		T(a_refused_replace_within_one_ioas_keeps_its_reservations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
