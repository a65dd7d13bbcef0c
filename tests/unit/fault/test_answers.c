/* SPDX-License-Identifier: MIT */
/*
 * What becomes of requests when attachments end, and what the driver is told:
 * devices of a driver that keeps count of the answers, each group exactly one.
 */
#include "../iommu/fake_iommu.h"
#include "fault_rig.h"

#include <string.h>

#include <iommufd/device.h>

#define GROUPS 32

static struct iommu_ops ops;
static struct fake_iommu iommu;
static struct iopf_queue *queue;
static struct fake_dev a, b;
static struct iommufd_device *ia, *ib;
static struct iommufd_ctx *ctx;
static u32 ioas, id_a, id_b;
static struct fault_q q;

/* By group number: how many answers, and the latest. */
static struct {
	u32 answers, code;
	struct device *dev;
} told[GROUPS];

static void page_response(struct device *dev, struct iopf_fault *fault,
			  struct iommu_page_response *response)
{
	u32 grpid = response->grpid;

	assert_in_range(grpid, 0, GROUPS - 1);
	assert_int_equal(fault->fault.prm.grpid, grpid);
	told[grpid].answers++;
	told[grpid].code = response->code;
	told[grpid].dev = dev;
}

static void bind(struct fake_dev *fake, struct iommufd_device **idev, u32 *id)
{
	*idev = iommufd_device_bind(ctx, &fake->dev, id);
	assert_false(IS_ERR(*idev));
}

/* Two devices, each alone in its group. */
static int begin(void **state)
{
	if (rig_begin(state) || iommufd_ctx_from_fd(rig.proc, rig.fd, &ctx) || q_alloc(&q))
		return -1;
	ioas = rig_ioas();
	ops = fake_ops;
	ops.page_response = page_response;
	iommu = (struct fake_iommu){ 0 };
	memset(told, 0, sizeof(told));
	queue = iopf_queue_alloc("fake");
	a = fake_dev_init(&iommu, &ops);
	b = fake_dev_init(&iommu, &ops);
	if (fake_dev_add(&a) || fake_dev_add(&b) || iopf_queue_add_device(queue, &a.dev) ||
	    iopf_queue_add_device(queue, &b.dev))
		return -1;
	bind(&a, &ia, &id_a);
	bind(&b, &ib, &id_b);
	return 0;
}

/* The same, both in one group. */
static int begin_shared(void **state)
{
	if (begin(state))
		return -1;
	iommufd_device_unbind(ia);
	iommufd_device_unbind(ib);
	iopf_queue_remove_device(queue, &a.dev);
	iopf_queue_remove_device(queue, &b.dev);
	fake_dev_remove(&a);
	fake_dev_remove(&b);
	iommu.shared_group = iommu_group_alloc();
	if (fake_dev_add(&a) || fake_dev_add(&b) || iopf_queue_add_device(queue, &a.dev) ||
	    iopf_queue_add_device(queue, &b.dev))
		return -1;
	bind(&a, &ia, &id_a);
	bind(&b, &ib, &id_b);
	return 0;
}

static void leave(struct iommufd_device *idev)
{
	if (!idev)
		return;
	iommufd_device_detach(idev, IOMMU_NO_PASID);
	for (u32 pasid = 1; pasid < FAKE_PASIDS; pasid++)
		iommufd_device_detach(idev, pasid);
	iommufd_device_unbind(idev);
}

static int end(void **state)
{
	int rc;

	leave(ia);
	leave(ib);
	iommufd_ctx_put(ctx);
	rc = rig_end(state);
	iopf_queue_free(queue);
	fake_dev_remove(&a);
	fake_dev_remove(&b);
	if (iommu.shared_group)
		iommu_group_put(iommu.shared_group);
	for (u32 i = 0; i < GROUPS; i++)
		if (told[i].answers > 1)
			rc = -1;
	return rc || iommu.domains;
}

static u32 hwpt(u32 id, u32 flags)
{
	u32 ret = 0;

	assert_int_equal(q_hwpt(q, id, ioas, flags, &ret), 0);
	return ret;
}

static void attach(struct iommufd_device *idev, u32 pasid, u32 pt)
{
	assert_int_equal(iommufd_device_attach(idev, pasid, &pt), 0);
}

static void replace(struct iommufd_device *idev, u32 pasid, u32 pt)
{
	assert_int_equal(iommufd_device_replace(idev, pasid, &pt), 0);
}

#define LAST IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE

static int report(struct fake_dev *fake, u32 flags, u32 pasid, u32 grpid, u64 addr)
{
	struct iopf_fault evt = {
		.fault = {
			.type = IOMMU_FAULT_PAGE_REQ,
			.prm = { .flags = flags, .pasid = pasid, .grpid = grpid, .addr = addr },
		},
	};

	if (pasid)
		evt.fault.prm.flags |= IOMMU_FAULT_PAGE_REQUEST_PASID_VALID;
	return iommu_report_device_fault(&fake->dev, &evt);
}

/* A group of @pages pages. */
static void ask(struct fake_dev *fake, u32 pasid, u32 grpid, u32 pages)
{
	for (u32 i = 1; i <= pages; i++)
		assert_int_equal(report(fake, i == pages ? LAST : 0, pasid, grpid, i * 4096), 0);
}

static void expect_answer(u32 grpid, u32 code)
{
	assert_int_equal(told[grpid].answers, 1);
	assert_int_equal(told[grpid].code, code);
}

static void expect_none(u32 grpid)
{
	assert_int_equal(told[grpid].answers, 0);
}

/* Read one group of @pages pages; its cookie. */
static u32 take(u32 grpid, u32 pages)
{
	struct iommu_hwpt_pgfault msg[8];

	assert_int_equal(q_read(q, msg, pages * MSG), pages * MSG);
	for (u32 i = 0; i < pages; i++) {
		assert_int_equal(msg[i].grpid, grpid);
		assert_int_equal(msg[i].cookie, msg[0].cookie);
		assert_int_equal(msg[i].addr, (i + 1) * 4096);
		assert_int_equal(!!(msg[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE), i + 1 == pages);
	}
	return msg[0].cookie;
}

/* ---- groups ---- */

static void a_group_is_read_whole_or_not_at_all(void **state)
{
	struct iommu_hwpt_pgfault msg[8];
	char *edge = q_edge(3 * MSG + 8);

	attach(ia, 0, hwpt(id_a, 0));
	assert_int_equal(report(&a, 0, 0, 1, 4096), 0);
	assert_false(q_readable(q)); /* its last page has not come */
	ask(&a, 0, 2, 2);
	assert_int_equal(report(&a, LAST, 0, 1, 8192), 0);
	assert_int_equal(q_read(q, msg, MSG), -EINVAL);
	assert_int_equal(q_read(q, msg, 3 * MSG), 2 * MSG); /* the next does not fit */
	assert_int_equal(msg[0].grpid, 2);
	assert_int_equal(take(1, 2), 2);
	ask(&a, 0, 3, 3);
	ask(&a, 0, 4, 2);
	/* The second group runs off the edge in its first message, and is still there. */
	assert_int_equal(q_read(q, edge, 8 * MSG), 3 * MSG);
	assert_int_equal(q_read(q, edge + 2 * MSG, 8 * MSG), -EFAULT); /* in its second */
	assert_int_equal(take(4, 2), 4);
	q_edge_end(edge);
}

static void the_answer_reaches_the_driver(void **state)
{
	attach(ia, 0, hwpt(id_a, 0));
	ask(&a, 0, 1, 3);
	ask(&a, 0, 2, 1);
	assert_int_equal(take(1, 3), 1);
	assert_int_equal(take(2, 1), 2);
	expect_none(1);
	assert_int_equal(q_answer(q, 2, IOMMUFD_PAGE_RESP_INVALID), ANSWER);
	expect_none(1);
	expect_answer(2, IOMMU_PAGE_RESP_INVALID);
	assert_int_equal(q_answer(q, 1, IOMMUFD_PAGE_RESP_SUCCESS), ANSWER);
	expect_answer(1, IOMMU_PAGE_RESP_SUCCESS);
	assert_ptr_equal(told[1].dev, &a.dev);
}

static void a_driver_flag_is_passed_on(void **state)
{
	struct iommu_hwpt_pgfault msg;

	attach(ia, 0, hwpt(id_a, 0));
	assert_int_equal(report(&a, LAST | IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID, 0, 1, 4096), 0);
	assert_int_equal(q_read(q, &msg, MSG), MSG);
	assert_int_equal(msg.flags, LAST | IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID);
}

/* ---- automatic answers ---- */

static void a_detach_answers_read_and_unread(void **state)
{
	u32 pt = hwpt(id_a, 0), cookie;

	attach(ia, 0, pt);
	ask(&a, 0, 1, 2);
	cookie = take(1, 2);
	ask(&a, 0, 2, 1);
	assert_int_equal(report(&a, 0, 0, 3, 4096), 0); /* parked */
	iommufd_device_detach(ia, 0);
	expect_answer(1, IOMMU_PAGE_RESP_INVALID);
	expect_answer(2, IOMMU_PAGE_RESP_INVALID);
	expect_none(3);
	assert_false(q_readable(q));
	assert_int_equal(q_answer(q, cookie, 0), -EINVAL);
	assert_int_equal(report(&a, LAST, 0, 3, 8192), -EINVAL);
	expect_answer(3, IOMMU_PAGE_RESP_INVALID);
	assert_int_equal(rig_destroy(pt), 0);
	assert_int_equal(iommufd_close(rig.proc, q.fd), 0);
	assert_int_equal(rig_destroy(q.id), 0);
}

static void a_replace_answers_even_if_the_queue_is_the_same(void **state)
{
	u32 first = hwpt(id_a, 0), second = hwpt(id_a, 0);

	attach(ia, 0, first);
	ask(&a, 0, 1, 1);
	take(1, 1);
	ask(&a, 0, 2, 1);
	replace(ia, 0, second);
	expect_answer(1, IOMMU_PAGE_RESP_INVALID);
	expect_answer(2, IOMMU_PAGE_RESP_INVALID);
	ask(&a, 0, 3, 1);
	assert_int_equal(take(3, 1), 1);
	replace(ia, 0, second); /* moves nothing */
	expect_none(3);
	assert_int_equal(q_answer(q, 1, 0), ANSWER);
	expect_answer(3, IOMMU_PAGE_RESP_SUCCESS);
}

static void a_replace_that_fails_answers_nothing(void **state)
{
	u32 first = hwpt(id_a, 0), second = hwpt(id_a, 0);

	attach(ia, 0, first);
	ask(&a, 0, 1, 1);
	a.refuse = -ENOSPC;
	assert_int_equal(iommufd_device_replace(ia, 0, &second), -ENOSPC);
	a.refuse = 0;
	expect_none(1);
	assert_int_equal(take(1, 1), 1);
	assert_int_equal(q_answer(q, 1, 0), ANSWER);
	expect_answer(1, IOMMU_PAGE_RESP_SUCCESS);
	ask(&a, 0, 2, 1);
}

static void a_hwpt_without_a_queue_ends_requests(void **state)
{
	u32 plain, pt = hwpt(id_a, 0);

	assert_int_equal(rig_hwpt(id_a, ioas, 0, &plain), 0);
	attach(ia, 0, pt);
	ask(&a, 0, 1, 1);
	replace(ia, 0, plain);
	expect_answer(1, IOMMU_PAGE_RESP_INVALID);
	assert_int_equal(report(&a, LAST, 0, 2, 4096), -EINVAL);
	expect_answer(2, IOMMU_PAGE_RESP_INVALID);
	assert_int_equal(rig_destroy(pt), 0);
}

static void other_attachments_of_the_queue_are_not_touched(void **state)
{
	u32 rid = hwpt(id_a, IOMMU_HWPT_ALLOC_PASID), second = hwpt(id_b, 0);

	attach(ia, 0, rid);
	attach(ia, 3, rid); /* the same hwpt, another attachment */
	attach(ib, 0, second);
	ask(&a, 0, 1, 1);
	ask(&a, 3, 2, 1);
	ask(&b, 0, 3, 1);
	take(1, 1);
	take(2, 1);
	ask(&a, 3, 4, 1);
	iommufd_device_detach(ia, 3);
	expect_none(1);
	expect_answer(2, IOMMU_PAGE_RESP_INVALID);
	expect_none(3);
	expect_answer(4, IOMMU_PAGE_RESP_INVALID);
	iommufd_device_detach(ia, 0);
	expect_answer(1, IOMMU_PAGE_RESP_INVALID);
	expect_none(3);
	assert_int_equal(take(3, 1), 1);
	assert_int_equal(q_answer(q, 1, 0), ANSWER);
	expect_answer(3, IOMMU_PAGE_RESP_SUCCESS);
}

static void each_message_names_the_device_that_asked(void **state)
{
	struct iommu_hwpt_pgfault msg[2];
	u32 pt = hwpt(id_a, 0);

	attach(ia, 0, pt);
	attach(ib, 0, pt);
	ask(&b, 0, 1, 1);
	ask(&a, 0, 2, 1);
	assert_int_equal(q_read(q, msg, sizeof(msg)), sizeof(msg));
	assert_int_equal(msg[0].dev_id, id_b);
	assert_int_equal(msg[1].dev_id, id_a);
}

static void queues_are_told_apart(void **state)
{
	struct iommu_hwpt_pgfault msg;
	struct fault_q first = q, second;

	assert_int_equal(q_alloc(&second), 0);
	attach(ia, 0, hwpt(id_a, 0));
	q = second;
	attach(ib, 0, hwpt(id_b, 0));
	ask(&a, 0, 1, 1);
	ask(&b, 0, 2, 1);
	assert_int_equal(q_read(first, &msg, MSG), MSG);
	assert_int_equal(msg.grpid, 1);
	assert_int_equal(q_read(second, &msg, MSG), MSG);
	assert_int_equal(msg.grpid, 2);
	assert_int_equal(msg.cookie, 1); /* each counts for itself */
	assert_int_equal(q_answer(first, 1, 0), ANSWER);
	expect_none(2);
	assert_int_equal(q_answer(second, 1, 1), ANSWER);
	expect_answer(1, IOMMU_PAGE_RESP_SUCCESS);
	expect_answer(2, IOMMU_PAGE_RESP_INVALID);
}

/* ---- groups of devices ---- */

static void a_groups_messages_name_who_attached_it(void **state)
{
	struct iommu_hwpt_pgfault msg[2];
	u32 pt = hwpt(id_a, 0), second = hwpt(id_a, 0);

	attach(ia, 0, pt);
	attach(ib, 0, pt);
	ask(&b, 0, 1, 1);
	assert_int_equal(q_read(q, msg, MSG), MSG);
	assert_int_equal(msg[0].dev_id, id_a);
	replace(ib, 0, second);
	expect_answer(1, IOMMU_PAGE_RESP_INVALID);
	ask(&a, 0, 2, 1);
	assert_int_equal(q_read(q, msg, MSG), MSG);
	assert_int_equal(msg[0].dev_id, id_b);
}

static void a_device_that_leaves_its_group_for_good_is_answered(void **state)
{
	u32 pt = hwpt(id_a, 0);

	attach(ia, 0, pt);
	attach(ib, 0, pt);
	ask(&a, 0, 1, 1);
	ask(&b, 0, 2, 1);
	ask(&b, 0, 3, 1);
	take(1, 1);
	take(2, 1);
	iommufd_device_detach(ib, 0);
	expect_none(2); /* the group is still attached */
	iommufd_device_unbind(ib);
	ib = NULL;
	expect_none(1);
	expect_answer(2, IOMMU_PAGE_RESP_INVALID);
	expect_answer(3, IOMMU_PAGE_RESP_INVALID);
	assert_int_equal(q_answer(q, 1, 0), ANSWER);
	expect_answer(1, IOMMU_PAGE_RESP_SUCCESS);
}

/* ---- what devices may not ---- */

static void a_virtual_function_can_not_have_a_queue(void **state)
{
	u32 pt = hwpt(id_a, 0), plain;

	assert_int_equal(rig_hwpt(id_a, ioas, 0, &plain), 0);
	a.dev.vf_pri = true;
	assert_int_equal(iommufd_device_attach(ia, 0, &pt), -EINVAL);
	attach(ia, 0, plain);
	assert_int_equal(iommufd_device_replace(ia, 0, &pt), -EINVAL);
	assert_int_equal(rig_destroy(pt), 0);
	assert_int_equal(rig_destroy(plain), -EBUSY); /* still attached */
}

static void a_device_taken_out_of_its_queue_leaves_the_program_its_cookies(void **state)
{
	attach(ia, 0, hwpt(id_a, 0));
	ask(&a, 0, 1, 1);
	take(1, 1);
	ask(&a, 0, 2, 1);
	iopf_queue_remove_device(queue, &a.dev);
	expect_none(1);
	expect_none(2);
	assert_int_equal(report(&a, LAST, 0, 3, 4096), -EINVAL);
	assert_int_equal(q_answer(q, 1, 0), ANSWER);
	expect_answer(1, IOMMU_PAGE_RESP_SUCCESS);
	iommufd_device_detach(ia, 0);
	expect_answer(2, IOMMU_PAGE_RESP_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define S(name) cmocka_unit_test_setup_teardown(name, begin_shared, end)
		T(a_group_is_read_whole_or_not_at_all),
		T(the_answer_reaches_the_driver),
		T(a_driver_flag_is_passed_on),
		T(a_detach_answers_read_and_unread),
		T(a_replace_answers_even_if_the_queue_is_the_same),
		T(a_replace_that_fails_answers_nothing),
		T(a_hwpt_without_a_queue_ends_requests),
		T(other_attachments_of_the_queue_are_not_touched),
		T(each_message_names_the_device_that_asked),
		T(queues_are_told_apart),
		S(a_groups_messages_name_who_attached_it),
		S(a_device_that_leaves_its_group_for_good_is_answered),
		T(a_virtual_function_can_not_have_a_queue),
		T(a_device_taken_out_of_its_queue_leaves_the_program_its_cookies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
