/* SPDX-License-Identifier: MIT */
/* Page requests between a driver and whoever has its devices attached, below any fault queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../iommu/fake_iommu.h"
#include "base/fault.h"
#include "iommu/iopf.h"

#define LOG_MAX 16

/* What the driver was told, in order. */
static struct {
	struct device *dev;
	u64 addr; /* of the last page */
	struct iommu_page_response response;
} told[LOG_MAX];
static u32 n_told;

/* What the handler got, in order; it keeps all of it. */
static struct iopf_group *got[LOG_MAX];
static u32 n_got;
static bool refuses, takes_over;

static struct iommu_ops ops;
static struct fake_iommu iommu;
static struct fake_dev a, b;
static struct iopf_queue *queue;
static struct iommu_domain *domain, *other;
static struct iommu_attach_handle rid, at_pasid;
static struct iopf_fault *again; /* reported from inside page_response */

static void page_response(struct device *dev, struct iopf_fault *fault,
			  struct iommu_page_response *response)
{
	struct iopf_fault *evt = again;

	assert_in_range(n_told, 0, LOG_MAX - 1);
	told[n_told].dev = dev;
	told[n_told].addr = fault->fault.prm.addr;
	told[n_told++].response = *response;
	again = NULL;
	if (evt)
		assert_int_equal(iommu_report_device_fault(dev, evt), 0);
}

static int handler(struct iopf_group *group)
{
	if (refuses)
		return -EBUSY;
	if (takes_over)
		iopf_group_dequeue(group);
	assert_in_range(n_got, 0, LOG_MAX - 1);
	got[n_got++] = group;
	return 0;
}

static int begin(void **state)
{
	ops = fake_ops;
	ops.page_response = page_response;
	iommu = (struct fake_iommu){ .shared_group = iommu_group_alloc() };
	a = fake_dev_init(&iommu, &ops);
	b = fake_dev_init(&iommu, &ops);
	if (fake_dev_add(&a) || fake_dev_add(&b))
		return -1;
	queue = iopf_queue_alloc("fake");
	domain = fake_domain_new(&a);
	other = fake_domain_new(&a);
	domain->iopf_handler = other->iopf_handler = handler;
	n_told = n_got = 0;
	refuses = false;
	takes_over = true;
	return iommu_device_claim_dma_owner(&a.dev, &iommu) || iopf_queue_add_device(queue, &a.dev);
}

static int end(void **state)
{
	iommu_detach_device_pasid(other, &a.dev, 3);
	iommu_detach_group(a.in == other ? other : domain, iommu.shared_group);
	for (u32 i = 0; i < n_got; i++)
		iopf_free_group(got[i]);
	iopf_queue_free(queue);
	iommu_domain_free(domain);
	iommu_domain_free(other);
	iommu_device_release_dma_owner(&a.dev);
	fake_dev_remove(&a);
	fake_dev_remove(&b);
	iommu_group_put(iommu.shared_group);
	return iommu.domains;
}

static void attach(void)
{
	assert_int_equal(iommu_attach_group_handle(domain, iommu.shared_group, &rid), 0);
}

#define LAST  IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE
#define PASID IOMMU_FAULT_PAGE_REQUEST_PASID_VALID

static struct iopf_fault request(u32 flags, u32 pasid, u32 grpid, u64 addr)
{
	return (struct iopf_fault){
		.fault = {
			.type = IOMMU_FAULT_PAGE_REQ,
			.prm = { .flags = flags, .pasid = pasid, .grpid = grpid, .addr = addr },
		},
	};
}

static int report(u32 flags, u32 pasid, u32 grpid, u64 addr)
{
	struct iopf_fault evt = request(flags, pasid, grpid, addr);

	return iommu_report_device_fault(&a.dev, &evt);
}

static void expect_told(u32 nth, u32 grpid, u32 code)
{
	assert_in_range(nth, 0, n_told - 1);
	assert_int_equal(told[nth].response.grpid, grpid);
	assert_int_equal(told[nth].response.code, code);
}

static void expect_page(const struct iopf_group *group, u32 nth, u64 addr)
{
	const struct iopf_fault *fault = group->faults;

	while (nth--)
		fault = fault->next;
	assert_int_equal(fault->fault.prm.addr, addr);
}

/* ---- where requests go ---- */

static void nobody_attached_means_invalid_once_per_group(void **state)
{
	assert_int_equal(report(0, 0, 7, 0x1000), -EINVAL);
	assert_int_equal(n_told, 0); /* the device waits for its last page */
	assert_int_equal(report(LAST, 0, 7, 0x2000), -EINVAL);
	assert_int_equal(n_told, 1);
	expect_told(0, 7, IOMMU_PAGE_RESP_INVALID);
	assert_ptr_equal(told[0].dev, &a.dev);
}

static void a_domain_without_a_handler_refuses(void **state)
{
	domain->iopf_handler = NULL;
	attach();
	assert_int_equal(report(LAST, 0, 1, 0x1000), -EINVAL);
	expect_told(0, 1, IOMMU_PAGE_RESP_INVALID);
}

static void a_device_in_no_queue_is_refused(void **state)
{
	struct iopf_fault evt = request(LAST, 0, 1, 0x1000);

	attach();
	assert_int_equal(iommu_report_device_fault(&b.dev, &evt), -EINVAL);
	expect_told(0, 1, IOMMU_PAGE_RESP_INVALID);
	assert_ptr_equal(told[0].dev, &b.dev);
}

static void only_page_requests_are_reported(void **state)
{
	struct iopf_fault evt = request(LAST, 0, 1, 0x1000);

	attach();
	evt.fault.type = 0;
	assert_int_equal(iommu_report_device_fault(&a.dev, &evt), -EINVAL);
	assert_int_equal(n_told + n_got, 0);
}

static void a_pasid_has_its_own_attachment(void **state)
{
	attach();
	assert_int_equal(iommu_attach_device_pasid(other, &a.dev, 3, &at_pasid), 0);
	assert_int_equal(report(LAST, 0, 1, 0x1000), 0);
	assert_int_equal(report(LAST | PASID, 3, 2, 0x2000), 0);
	assert_ptr_equal(got[0]->attach_handle, &rid);
	assert_ptr_equal(got[1]->attach_handle, &at_pasid);
	assert_ptr_equal(got[1]->attach_handle->domain, other);
	/* the number alone says nothing */
	assert_int_equal(report(LAST, 3, 3, 0x3000), 0);
	assert_ptr_equal(got[2]->attach_handle, &rid);
}

static void an_unknown_pasid_belongs_to_the_rid_only_if_guests_have_the_table(void **state)
{
	attach();
	assert_int_equal(report(LAST | PASID, 5, 1, 0x1000), -EINVAL);
	ops.user_pasid_table = true;
	assert_int_equal(report(LAST | PASID, 5, 2, 0x1000), -EINVAL); /* not nested */
	domain->type = IOMMU_DOMAIN_NESTED;
	assert_int_equal(report(LAST | PASID, 5, 3, 0x1000), 0);
	assert_ptr_equal(got[0]->attach_handle, &rid);
	ops.user_pasid_table = false;
	assert_int_equal(report(LAST | PASID, 5, 4, 0x1000), -EINVAL);
	assert_int_equal(n_told, 3);
	domain->type = IOMMU_DOMAIN_UNMANAGED;
}

static void requests_follow_a_replace_and_end_with_a_detach(void **state)
{
	struct iommu_attach_handle next;

	attach();
	assert_int_equal(iommu_replace_group_handle(iommu.shared_group, other, &next), 0);
	assert_int_equal(report(LAST, 0, 1, 0x1000), 0);
	assert_ptr_equal(got[0]->attach_handle, &next);
	iommu_detach_group(other, iommu.shared_group);
	assert_int_equal(report(LAST, 0, 2, 0x1000), -EINVAL);

	assert_int_equal(iommu_attach_device_pasid(other, &a.dev, 3, &at_pasid), 0);
	assert_int_equal(iommu_replace_device_pasid(domain, &a.dev, 3, &next), 0);
	assert_int_equal(report(LAST | PASID, 3, 3, 0x1000), 0);
	assert_ptr_equal(got[1]->attach_handle, &next);
	iommu_detach_device_pasid(domain, &a.dev, 3);
	assert_int_equal(report(LAST | PASID, 3, 4, 0x1000), -EINVAL);
}

/* ---- groups ---- */

static void a_group_waits_for_its_last_page(void **state)
{
	attach();
	assert_int_equal(report(0, 0, 1, 0x1000), 0);
	assert_int_equal(report(0, 0, 2, 0x9000), 0);
	assert_int_equal(report(0, 0, 1, 0x2000), 0);
	assert_int_equal(n_got, 0);
	assert_int_equal(report(LAST, 0, 1, 0x3000), 0);
	assert_int_equal(n_got, 1);
	assert_int_equal(got[0]->fault_count, 3);
	expect_page(got[0], 0, 0x1000);
	expect_page(got[0], 1, 0x2000);
	expect_page(got[0], 2, 0x3000);
	assert_null(got[0]->last->next);
	assert_int_equal(got[0]->last->fault.prm.addr, 0x3000);
	assert_int_equal(report(LAST, 0, 2, 0xa000), 0);
	assert_int_equal(got[1]->fault_count, 2);
	expect_page(got[1], 0, 0x9000);
	expect_page(got[1], 1, 0xa000);
}

static void each_device_parks_its_own(void **state)
{
	struct iopf_fault evt = request(LAST, 0, 1, 0x2000);

	attach();
	assert_int_equal(iopf_queue_add_device(queue, &b.dev), 0);
	assert_int_equal(report(0, 0, 1, 0x1000), 0);
	assert_int_equal(iommu_report_device_fault(&b.dev, &evt), 0);
	assert_int_equal(got[0]->fault_count, 1);
	assert_ptr_equal(iopf_group_device(got[0]), &b.dev);
}

static void a_group_is_answered_once(void **state)
{
	attach();
	assert_int_equal(report(LAST | PASID, 0, 1, 0x1000), 0);
	assert_int_equal(report(LAST, 0, 2, 0x2000), 0);
	iopf_group_response(got[1], IOMMU_PAGE_RESP_INVALID);
	iopf_group_response(got[0], IOMMU_PAGE_RESP_SUCCESS);
	iopf_group_response(got[0], IOMMU_PAGE_RESP_INVALID);
	assert_int_equal(n_told, 2);
	expect_told(0, 2, IOMMU_PAGE_RESP_INVALID);
	expect_told(1, 1, IOMMU_PAGE_RESP_SUCCESS);
	assert_int_equal(told[1].addr, 0x1000);
}

static void a_group_that_was_refused_takes_its_pages_along(void **state)
{
	attach();
	assert_int_equal(report(0, 0, 1, 0x1000), 0);
	iommu_detach_group(domain, iommu.shared_group);
	assert_int_equal(report(LAST, 0, 1, 0x2000), -EINVAL);
	attach();
	assert_int_equal(report(LAST, 0, 1, 0x3000), 0);
	assert_int_equal(got[0]->fault_count, 1);
}

static void a_handler_that_refuses_means_failure(void **state)
{
	attach();
	refuses = true;
	assert_int_equal(report(0, 0, 1, 0x1000), 0);
	assert_int_equal(report(LAST, 0, 1, 0x2000), 0);
	assert_int_equal(n_told, 1);
	expect_told(0, 1, IOMMU_PAGE_RESP_FAILURE);
}

static void memory_that_runs_out_is_told_to_the_device(void **state)
{
	struct fault_state fail = { .nth = 1 };

	attach();
	fault_current = &fail;
	assert_int_equal(report(0, 0, 1, 0x1000), -ENOMEM);
	assert_int_equal(report(0, 0, 1, 0x2000), 0);
	fail.nth = 1;
	assert_int_equal(report(LAST, 0, 1, 0x3000), 0);
	fault_current = NULL;
	assert_int_equal(n_got, 0);
	expect_told(0, 1, IOMMU_PAGE_RESP_FAILURE);
	assert_int_equal(report(LAST, 0, 1, 0x4000), 0);
	assert_int_equal(got[0]->fault_count, 1);
}

static void a_device_may_ask_again_while_it_is_answered(void **state)
{
	struct iopf_fault evt = request(LAST, 0, 2, 0x2000);

	attach();
	assert_int_equal(report(LAST, 0, 1, 0x1000), 0);
	again = &evt;
	iopf_group_response(got[0], IOMMU_PAGE_RESP_SUCCESS);
	assert_int_equal(n_got, 2);
	assert_int_equal(got[1]->last->fault.prm.addr, 0x2000);
}

/* ---- queues ---- */

static void a_device_is_in_one_queue_and_needs_an_answer(void **state)
{
	struct fake_dev lonely = fake_dev_init(&iommu, &ops);
	struct iopf_queue *second = iopf_queue_alloc("second");

	assert_int_equal(iopf_queue_add_device(queue, &a.dev), -EBUSY);
	assert_int_equal(iopf_queue_add_device(second, &a.dev), -EBUSY);
	assert_int_equal(iopf_queue_add_device(queue, &lonely.dev), -ENODEV);
	ops.page_response = NULL;
	assert_int_equal(iopf_queue_add_device(queue, &b.dev), -ENODEV);
	ops.page_response = page_response;
	iopf_queue_remove_device(second, &a.dev); /* not its */
	iopf_queue_remove_device(second, &b.dev);
	iopf_queue_remove_device(second, &lonely.dev);
	assert_int_equal(iopf_queue_flush_dev(&a.dev), 0);
	assert_int_equal(iopf_queue_flush_dev(&b.dev), -ENODEV);
	assert_int_equal(iopf_queue_flush_dev(&lonely.dev), -ENODEV);
	iopf_queue_free(second);
	iopf_queue_free(NULL);
}

static void removal_drops_what_is_parked(void **state)
{
	attach();
	assert_int_equal(report(0, 0, 1, 0x1000), 0);
	iopf_queue_remove_device(queue, &a.dev);
	assert_int_equal(n_told, 0);
	assert_int_equal(report(LAST, 0, 1, 0x2000), -EINVAL);
	assert_int_equal(iopf_queue_add_device(queue, &a.dev), 0);
	assert_int_equal(report(LAST, 0, 1, 0x3000), 0);
	assert_int_equal(got[0]->fault_count, 1);
}

static void removal_answers_what_nobody_took_over(void **state)
{
	attach();
	takes_over = false;
	assert_int_equal(report(LAST, 0, 1, 0x1000), 0);
	assert_int_equal(report(LAST, 0, 2, 0x2000), 0);
	iopf_group_response(got[0], IOMMU_PAGE_RESP_SUCCESS);
	iopf_queue_remove_device(queue, &a.dev);
	iopf_group_response(got[1], IOMMU_PAGE_RESP_SUCCESS);
	assert_int_equal(n_told, 2);
	expect_told(0, 1, IOMMU_PAGE_RESP_SUCCESS);
	expect_told(1, 2, IOMMU_PAGE_RESP_INVALID);
}

static void what_was_taken_over_is_answered_after_removal_too(void **state)
{
	attach();
	assert_int_equal(report(LAST, 0, 1, 0x1000), 0);
	iopf_queue_remove_device(queue, &a.dev);
	assert_int_equal(n_told, 0);
	iopf_group_response(got[0], IOMMU_PAGE_RESP_SUCCESS);
	expect_told(0, 1, IOMMU_PAGE_RESP_SUCCESS);
}

static void partial_groups_can_be_discarded(void **state)
{
	attach();
	assert_int_equal(report(0, 0, 1, 0x1000), 0);
	assert_int_equal(report(0, 0, 2, 0x1000), 0);
	assert_int_equal(iopf_queue_discard_partial(queue), 0);
	assert_int_equal(iopf_queue_discard_partial(NULL), -EINVAL);
	assert_int_equal(report(LAST, 0, 1, 0x3000), 0);
	assert_int_equal(got[0]->fault_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
		T(nobody_attached_means_invalid_once_per_group),
		T(a_domain_without_a_handler_refuses),
		T(a_device_in_no_queue_is_refused),
		T(only_page_requests_are_reported),
		T(a_pasid_has_its_own_attachment),
		T(an_unknown_pasid_belongs_to_the_rid_only_if_guests_have_the_table),
		T(requests_follow_a_replace_and_end_with_a_detach),
		T(a_group_waits_for_its_last_page),
		T(each_device_parks_its_own),
		T(a_group_is_answered_once),
		T(a_group_that_was_refused_takes_its_pages_along),
		T(a_handler_that_refuses_means_failure),
		T(memory_that_runs_out_is_told_to_the_device),
		T(a_device_may_ask_again_while_it_is_answered),
		T(a_device_is_in_one_queue_and_needs_an_answer),
		T(removal_drops_what_is_parked),
		T(removal_answers_what_nobody_took_over),
		T(what_was_taken_over_is_answered_after_removal_too),
		T(partial_groups_can_be_discarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
