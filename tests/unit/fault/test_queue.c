/* SPDX-License-Identifier: MIT */
/* A fault queue as a program sees it: made, read, answered, waited for, closed, destroyed. */
#include "fault_rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

static u32 ioas, hwpt;
static struct mock_ids ids;
static struct fault_q q;

static int begin(void **state)
{
	if (rig_begin(state))
		return -1;
	ioas = rig_ioas();
	if (rig_mock_domain(ioas, MOCK_FLAGS_DEVICE_PASID, &ids) || q_alloc(&q) ||
	    q_hwpt(q, ids.idev, ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt))
		return -1;
	return rig_replace(ids.stdev, &(u32){ hwpt });
}

static void trigger(u32 grpid)
{
	assert_int_equal(q_trigger(ids.idev, 0, grpid, grpid * 0x1000ULL), 0);
}

/* Read exactly @n groups of one page and return the last one's cookie. */
static u32 take(u32 n)
{
	struct iommu_hwpt_pgfault msg[8];

	assert_int_equal(q_read(q, msg, n * MSG), n * MSG);
	return msg[n - 1].cookie;
}

/* ---- making one ---- */

static void unknown_flags_are_refused(void **state)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd), .flags = 1 };

	assert_int_equal(rig_ioctl(IOMMU_FAULT_QUEUE_ALLOC, &cmd), -EOPNOTSUPP);
	cmd.flags = 0;
	cmd.size = sizeof(cmd) - 1;
	assert_int_equal(rig_ioctl(IOMMU_FAULT_QUEUE_ALLOC, &cmd), -EINVAL);
}

static void a_result_that_can_not_be_told_leaves_nothing(void **state)
{
	struct iommu_fault_alloc *cmd = rig_memory(4096);
	struct fault_q next = { 0 };
	int fd = dup(0);

	close(fd);
	*cmd = (struct iommu_fault_alloc){ .size = sizeof(*cmd) };
	assert_int_equal(mprotect(cmd, 4096, PROT_READ), 0);
	assert_int_equal(rig_ioctl(IOMMU_FAULT_QUEUE_ALLOC, cmd), -EFAULT);
	assert_int_equal(q_alloc(&next), 0);
	assert_int_equal(next.fd, fd); /* neither the number */
	assert_int_equal(next.id, ids.hwpt); /* nor the id was kept: that of the automatic hwpt */
	assert_int_equal(fcntl(next.fd, F_GETFD), FD_CLOEXEC);
}

static void no_descriptor_means_no_queue(void **state)
{
	struct rlimit old, none;
	struct fault_q next = { 0 };

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ 3, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(q_alloc(&next), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(q_alloc(&next), 0);
	assert_int_equal(next.id, ids.hwpt); /* gone with its last device, so the lowest free one */
}

static void a_hwpt_needs_a_fault_queue_that_exists(void **state)
{
	const struct fault_q wrong = { .id = ioas }, none = { .id = UINT32_MAX };
	u32 out = 0;

	assert_int_equal(q_hwpt(none, ids.idev, ioas, 0, &out), -ENOENT);
	assert_int_equal(q_hwpt(wrong, ids.idev, ioas, 0, &out), -ENOENT);
	assert_int_equal(q_hwpt(q, ids.idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &out),
			 -EOPNOTSUPP);
	assert_int_equal(q_hwpt(q, ids.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &out), 0);
	assert_int_equal(rig_destroy(out), 0);
}

static void the_id_without_the_flag_means_nothing(void **state)
{
	struct iommu_hwpt_alloc cmd = { .dev_id = ids.idev, .pt_id = ioas, .fault_id = UINT32_MAX };

	assert_int_equal(rig_hwpt_alloc(&cmd), 0);
}

/* ---- its life ---- */

static void the_descriptor_and_each_hwpt_hold_it(void **state)
{
	u32 second = 0;

	assert_int_equal(q_hwpt(q, ids.idev, ioas, 0, &second), 0);
	assert_int_equal(rig_destroy(q.id), -EBUSY);
	assert_int_equal(iommufd_close(rig.proc, q.fd), 0);
	assert_int_equal(rig_destroy(q.id), -EBUSY);
	assert_int_equal(rig_destroy(second), 0);
	assert_int_equal(rig_destroy(q.id), -EBUSY);
	assert_int_equal(rig_replace(ids.stdev, &(u32){ ioas }), 0);
	assert_int_equal(rig_destroy(hwpt), 0);
	assert_int_equal(rig_destroy(q.id), 0);
	assert_int_equal(rig_destroy(q.id), -ENOENT);
}

static void a_copy_of_the_descriptor_holds_it_too(void **state)
{
	int copy = iommufd_dup(rig.proc, q.fd);

	assert_int_equal(rig_replace(ids.stdev, &(u32){ ioas }), 0);
	assert_int_equal(rig_destroy(hwpt), 0);
	assert_int_equal(iommufd_close(rig.proc, q.fd), 0);
	assert_int_equal(rig_destroy(q.id), -EBUSY);
	assert_int_equal(iommufd_close(rig.proc, copy), 0);
	assert_int_equal(rig_destroy(q.id), 0);
}

static void the_descriptor_keeps_the_context(void **state)
{
	int ctx_fd = iommufd_open(rig.proc, "/dev/iommu", O_RDWR);
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	struct iommu_hwpt_pgfault msg;

	assert_int_equal(iommufd_ioctl(rig.proc, ctx_fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd), 0);
	assert_int_equal(iommufd_close(rig.proc, ctx_fd), 0);
	assert_ptr_not_equal(rig.system->contexts.next, rig.system->contexts.prev);
	assert_int_equal(iommufd_read(rig.proc, cmd.out_fault_fd, &msg, MSG), 0);
	assert_int_equal(iommufd_close(rig.proc, cmd.out_fault_fd), 0);
	assert_ptr_equal(rig.system->contexts.next, rig.system->contexts.prev);
}

static void requests_go_on_arriving_after_the_descriptor_is_closed(void **state)
{
	trigger(1);
	assert_int_equal(iommufd_close(rig.proc, q.fd), 0);
	trigger(2);
	/* Nobody can read them: the detach of rig_end()'s release, or a replace, answers. */
	assert_int_equal(rig_replace(ids.stdev, &(u32){ ioas }), 0);
	assert_int_equal(rig_destroy(hwpt), 0);
	assert_int_equal(rig_destroy(q.id), 0);
}

static void a_context_closes_with_requests_in_every_state(void **state)
{
	trigger(1);
	take(1);
	trigger(2);
}

/* ---- reading ---- */

static void a_message_says_what_was_asked(void **state)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_TRIGGER_IOPF,
		.trigger_iopf = { .dev_id = ids.idev, .grpid = 77, .perm = 0xd,
				  .addr = 0xdeadbeef12345678 },
	};
	struct iommu_hwpt_pgfault msg;

	memset(&msg, 0xff, sizeof(msg));
	assert_int_equal(rig_test(&cmd), 0);
	assert_int_equal(q_read(q, &msg, MSG), MSG);
	assert_int_equal(msg.flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	assert_int_equal(msg.dev_id, ids.idev);
	assert_int_equal(msg.pasid, 0);
	assert_int_equal(msg.grpid, 77);
	assert_int_equal(msg.perm, 0xd);
	assert_int_equal(msg.__reserved, 0);
	assert_true(msg.addr == 0xdeadbeef12345678);
	assert_int_equal(msg.length, 0);
	assert_int_equal(msg.cookie, 1);
}

static void a_message_of_a_pasid_says_so(void **state)
{
	struct iommu_hwpt_pgfault msg;

	assert_int_equal(rig_pasid_attach(ids.stdev, 2048, &(u32){ hwpt }), 0);
	assert_int_equal(q_trigger(ids.idev, 2048, 1, 0x1000), 0);
	assert_int_equal(q_read(q, &msg, MSG), MSG);
	assert_int_equal(msg.flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE |
					    IOMMU_PGFAULT_FLAGS_PASID_VALID);
	assert_int_equal(msg.pasid, 2048);
	/* One that is not attached is refused, and the test operation succeeds all the same. */
	assert_int_equal(q_trigger(ids.idev, 2049, 1, 0x1000), 0);
	assert_int_equal(q_read(q, &msg, MSG), 0);
	assert_int_equal(q_trigger(ids.stdev, 0, 1, 0x1000), -ENOENT);
}

/* A guest numbers its PASIDs as it likes and tells nobody. */
static void a_pasid_of_the_guests_own_reaches_its_nested_hwpt(void **state)
{
	const struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_hwpt_alloc cmd = {
		.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID,
		.dev_id = ids.idev,
		.fault_id = q.id,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	struct iommu_hwpt_pgfault msg;

	assert_int_equal(rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &cmd.pt_id), 0);
	assert_int_equal(rig_hwpt_alloc(&cmd), 0);
	assert_int_equal(rig_replace(ids.stdev, &(u32){ cmd.out_hwpt_id }), 0);
	assert_int_equal(q_trigger(ids.idev, 1, 5, 0x1000), 0);
	assert_int_equal(q_read(q, &msg, MSG), MSG);
	assert_int_equal(msg.pasid, 1);
	assert_int_equal(q_answer(q, msg.cookie, 0), ANSWER);
	/* One that is attached goes its own way; when it is detached, requests come here again. */
	assert_int_equal(rig_pasid_attach(ids.stdev, 1, &(u32){ hwpt }), 0);
	assert_int_equal(q_trigger(ids.idev, 1, 6, 0x1000), 0);
	assert_int_equal(rig_pasid_detach(ids.stdev, 1), 0);
	assert_int_equal(q_trigger(ids.idev, 1, 7, 0x1000), 0);
	assert_int_equal(q_read(q, &msg, MSG), MSG);
	assert_int_equal(msg.grpid, 7);
	assert_int_equal(rig_replace(ids.stdev, &(u32){ ioas }), 0);
	assert_int_equal(q_answer(q, msg.cookie, 0), -EINVAL);
	assert_int_equal(rig_destroy(cmd.out_hwpt_id), 0);
}

static void only_whole_messages_can_be_asked_for(void **state)
{
	char buf[2 * MSG];

	assert_int_equal(q_read(q, buf, 1), -ESPIPE);
	assert_int_equal(q_read(q, buf, MSG - 1), -ESPIPE);
	assert_int_equal(q_read(q, buf, MSG + 8), -ESPIPE);
	assert_int_equal(q_read(q, NULL, MSG), 0); /* empty: the buffer does not matter */
	assert_int_equal(q_read(q, NULL, 0), 0);
	trigger(1);
	assert_int_equal(q_read(q, buf, 1), -ESPIPE);
	assert_int_equal(q_read(q, buf, 0), -EINVAL);
	assert_int_equal(q_read(q, buf, 2 * MSG), MSG);
}

static void reading_takes_as_many_as_fit_oldest_first(void **state)
{
	struct iommu_hwpt_pgfault msg[4];

	for (u32 i = 1; i <= 4; i++)
		trigger(i);
	assert_int_equal(q_read(q, msg, 3 * MSG), 3 * MSG);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(msg[i].grpid, i + 1);
		assert_int_equal(msg[i].cookie, i + 1);
	}
	assert_int_equal(q_read(q, msg, sizeof(msg)), MSG);
	assert_int_equal(msg[0].grpid, 4);
	assert_int_equal(q_read(q, msg, sizeof(msg)), 0);
}

static void an_unwritable_buffer_loses_nothing(void **state)
{
	char *edge = q_edge(MSG + MSG / 2);
	struct iommu_hwpt_pgfault msg;

	trigger(1);
	trigger(2);
	assert_int_equal(q_read(q, NULL, MSG), -EFAULT);
	assert_true(q_readable(q));
	assert_int_equal(q_read(q, edge, 2 * MSG), MSG); /* the first one got through */
	assert_int_equal(q_read(q, edge + MSG, MSG), -EFAULT);
	assert_int_equal(q_read(q, &msg, MSG), MSG);
	assert_int_equal(msg.grpid, 2);
	assert_int_equal(msg.cookie, 2); /* nor was a cookie lost */
	q_edge_end(edge);
}

static void there_are_no_positions(void **state)
{
	struct iommu_hwpt_pgfault msg;

	trigger(1);
	assert_int_equal(iommufd_pread(rig.proc, q.fd, &msg, MSG, 0), -ESPIPE);
	assert_int_equal(iommufd_pwrite(rig.proc, q.fd, &msg, ANSWER, 0), -ESPIPE);
	assert_int_equal(iommufd_ioctl(rig.proc, q.fd, IOMMU_DESTROY, &msg), -ENOTTY);
}

/* ---- answering ---- */

static void only_whole_answers_are_taken(void **state)
{
	char buf[2 * ANSWER] = { 0 };

	assert_int_equal(iommufd_write(rig.proc, q.fd, buf, ANSWER - 1), -ESPIPE);
	assert_int_equal(iommufd_write(rig.proc, q.fd, buf, ANSWER + 4), -ESPIPE);
	assert_int_equal(iommufd_write(rig.proc, q.fd, NULL, 0), 0);
	assert_int_equal(iommufd_write(rig.proc, q.fd, NULL, ANSWER), -EFAULT);
}

static void an_answer_needs_a_code_and_a_cookie_that_was_read(void **state)
{
	u32 cookie;

	assert_int_equal(q_answer(q, 1, 0), -EINVAL);
	trigger(1);
	assert_int_equal(q_answer(q, 1, 0), -EINVAL); /* not read yet */
	cookie = take(1);
	assert_int_equal(q_answer(q, cookie, 2), -EINVAL);
	assert_int_equal(q_answer(q, cookie, UINT32_MAX), -EINVAL);
	assert_int_equal(q_answer(q, 0, 0), -EINVAL);
	assert_int_equal(q_answer(q, UINT32_MAX, 0), -EINVAL);
	assert_int_equal(q_answer(q, cookie, IOMMUFD_PAGE_RESP_INVALID), ANSWER);
	assert_int_equal(q_answer(q, cookie, IOMMUFD_PAGE_RESP_SUCCESS), -EINVAL);
}

static void answers_before_a_wrong_one_count(void **state)
{
	struct iommu_hwpt_page_response *answers;
	char *edge = q_edge(2 * ANSWER);

	for (u32 i = 1; i <= 4; i++)
		trigger(i);
	take(4);
	answers = (void *)edge;
	answers[0] = (struct iommu_hwpt_page_response){ .cookie = 3 };
	answers[1] = (struct iommu_hwpt_page_response){ .cookie = 9 };
	assert_int_equal(iommufd_write(rig.proc, q.fd, edge, 2 * ANSWER), ANSWER);
	answers[0].cookie = 1;
	answers[1].cookie = 4;
	assert_int_equal(iommufd_write(rig.proc, q.fd, edge, 3 * ANSWER), 2 * ANSWER);
	assert_int_equal(q_answer(q, 2, 0), ANSWER);
	q_edge_end(edge);
}

static void the_lowest_free_cookie_is_used(void **state)
{
	for (u32 i = 1; i <= 4; i++)
		trigger(i);
	assert_int_equal(take(3), 3);
	assert_int_equal(q_answer(q, 2, 0), ANSWER);
	assert_int_equal(take(1), 2);
	trigger(5);
	assert_int_equal(take(1), 4);
}

/* ---- waiting ---- */

static void it_is_readable_while_requests_are_unread(void **state)
{
	assert_false(q_readable(q));
	trigger(1);
	assert_true(q_readable(q));
	trigger(2);
	take(1);
	assert_true(q_readable(q));
	take(1);
	assert_false(q_readable(q)); /* though both await an answer */
	assert_int_equal(q_answer(q, 1, 0), ANSWER);
	assert_false(q_readable(q));
	trigger(3);
	assert_true(q_readable(q));
	assert_int_equal(rig_replace(ids.stdev, &(u32){ ioas }), 0);
	assert_false(q_readable(q)); /* nothing is left to read */
}

static void each_request_is_an_edge(void **state)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, q.fd, &event), 0);
	assert_int_equal(epoll_wait(ep, &event, 1, 0), 0);
	for (u32 i = 1; i <= 3; i++) {
		trigger(i);
		assert_int_equal(epoll_wait(ep, &event, 1, 0), 1);
		assert_int_equal(epoll_wait(ep, &event, 1, 0), 0);
	}
	close(ep);
}

static void what_a_read_leaves_is_no_edge(void **state)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, q.fd, &event), 0);
	trigger(1);
	trigger(2);
	assert_int_equal(epoll_wait(ep, &event, 1, 0), 1);
	assert_int_equal(q_read(q, NULL, MSG), -EFAULT);
	take(1);
	assert_true(q_readable(q));
	assert_int_equal(epoll_wait(ep, &event, 1, 0), 0);
	close(ep);
}

static void *trigger_many(void *arg)
{
	for (u32 i = 2; i < 3000; i++) {
		trigger(i);
		assert_int_equal(iommufd_poll(rig.proc, q.fd, POLLIN, 0), POLLIN);
	}
	atomic_store((_Atomic bool *)arg, true);
	return NULL;
}

static void it_stays_readable_while_more_comes(void **state)
{
	_Atomic bool done = false;
	struct pollfd pfd = { .fd = q.fd, .events = POLLIN };
	pthread_t thread;

	trigger(1);
	assert_int_equal(pthread_create(&thread, NULL, trigger_many, &done), 0);
	while (!atomic_load(&done))
		assert_int_equal(poll(&pfd, 1, 0), 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void *trigger_later(void *arg)
{
	usleep(20000);
	return (void *)(intptr_t)q_trigger(ids.idev, 0, 1, 0x1000);
}

static void a_request_wakes_who_waits(void **state)
{
	pthread_t thread;
	void *rc;

	assert_int_equal(pthread_create(&thread, NULL, trigger_later, NULL), 0);
	assert_int_equal(iommufd_poll(rig.proc, q.fd, POLLIN, -1), POLLIN);
	assert_int_equal(pthread_join(thread, &rc), 0);
	assert_null(rc);
	take(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, rig_end)
		T(unknown_flags_are_refused),
		T(a_result_that_can_not_be_told_leaves_nothing),
		T(no_descriptor_means_no_queue),
		T(a_hwpt_needs_a_fault_queue_that_exists),
		T(the_id_without_the_flag_means_nothing),
		T(the_descriptor_and_each_hwpt_hold_it),
		T(a_copy_of_the_descriptor_holds_it_too),
		T(the_descriptor_keeps_the_context),
		T(requests_go_on_arriving_after_the_descriptor_is_closed),
		T(a_context_closes_with_requests_in_every_state),
		T(a_message_says_what_was_asked),
		T(a_message_of_a_pasid_says_so),
		T(a_pasid_of_the_guests_own_reaches_its_nested_hwpt),
		T(only_whole_messages_can_be_asked_for),
		T(reading_takes_as_many_as_fit_oldest_first),
		T(an_unwritable_buffer_loses_nothing),
		T(there_are_no_positions),
		T(only_whole_answers_are_taken),
		T(an_answer_needs_a_code_and_a_cookie_that_was_read),
		T(answers_before_a_wrong_one_count),
		T(the_lowest_free_cookie_is_used),
		T(it_is_readable_while_requests_are_unread),
		T(each_request_is_an_edge),
		T(what_a_read_leaves_is_no_edge),
		T(it_stays_readable_while_more_comes),
		T(a_request_wakes_who_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
