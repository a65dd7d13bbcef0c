/* SPDX-License-Identifier: MIT */
/* Vevent queues: allocation, the stream, what is lost, readiness. */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "guest.h"

#define TYPE IOMMU_VEVENTQ_TYPE_SELFTEST
#define VIRT_ID 0x99

struct event {
	struct iommufd_vevent_header header;
	struct iommu_viommu_event_selftest data;
};

static u32 queue;
static int fd;

/* A device in the guest, whose events nobody listens to yet. */
static int begin(void **state)
{
	u32 pt;

	if (guest_begin(state))
		return -1;
	must_vdevice(guest.viommu, guest.dev.idev, VIRT_ID);
	pt = must_nested(guest.dev.idev, guest.viommu);
	return rig_replace(guest.dev.stdev, &pt);
}

static void listen_to(u32 depth)
{
	assert_int_equal(veventq_alloc(guest.viommu, TYPE, depth, &queue, &fd), 0);
}

static ssize_t get(void *buf, size_t count)
{
	return iommufd_read(rig.proc, fd, buf, count);
}

static void trigger(int times)
{
	while (times--)
		assert_int_equal(trigger_vevent(guest.dev.idev), 0);
}

static void expect_event(const struct event *event, u32 sequence)
{
	assert_int_equal(event->header.flags, 0);
	assert_int_equal(event->header.sequence, sequence);
	assert_int_equal(event->data.virt_id, VIRT_ID);
}

static void expect_lost(u32 sequence)
{
	struct iommufd_vevent_header header = { 0 };

	assert_int_equal(get(&header, sizeof(header)), sizeof(header));
	assert_int_equal(header.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(header.sequence, sequence);
}

/* ---- allocation ---- */

static int alloc(struct iommu_veventq_alloc cmd)
{
	cmd.size = sizeof(cmd);
	return rig_ioctl(IOMMU_VEVENTQ_ALLOC, &cmd);
}

static void a_queue_is_checked_in_order(void **state)
{
	assert_int_equal(alloc((struct iommu_veventq_alloc){ .flags = 1, .type = TYPE }),
			 -EOPNOTSUPP);
	assert_int_equal(alloc((struct iommu_veventq_alloc){ .__reserved = 1, .type = TYPE }),
			 -EOPNOTSUPP);
	assert_int_equal(alloc((struct iommu_veventq_alloc){ .type = 0, .veventq_depth = 0 }),
			 -EOPNOTSUPP);
	assert_int_equal(alloc((struct iommu_veventq_alloc){ .type = TYPE, .veventq_depth = 0 }),
			 -EINVAL);
	assert_int_equal(alloc((struct iommu_veventq_alloc){ .type = TYPE,
							     .veventq_depth = (1 << 19) + 1 }),
			 -EINVAL);
	assert_int_equal(alloc((struct iommu_veventq_alloc){ .type = TYPE,
							     .veventq_depth = 1 << 19,
							     .viommu_id = 4711 }), -ENOENT);
	assert_int_equal(alloc((struct iommu_veventq_alloc){ .type = TYPE,
							     .veventq_depth = 1,
							     .viommu_id = guest.parent }),
			 -ENOENT);
}

static void a_type_has_one_queue_and_need_not_be_known(void **state)
{
	u32 other;
	int other_fd;

	listen_to(1 << 19);
	assert_int_equal(veventq_alloc(guest.viommu, TYPE, 1, &other, &other_fd), -EEXIST);
	assert_int_equal(veventq_alloc(guest.viommu, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 1, &other,
				       &other_fd), 0);
	assert_int_equal(rig_destroy(other), -EBUSY);
	assert_int_equal(iommufd_close(rig.proc, other_fd), 0);
	assert_int_equal(rig_destroy(other), 0);
}

static void a_type_in_use_is_told_before_descriptors_are_counted(void **state)
{
	struct rlimit old, none;
	u32 other;
	int other_fd, rc;

	listen_to(1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ 3, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rc = veventq_alloc(guest.viommu, TYPE, 1, &other, &other_fd);
	assert_int_equal(rc, -EEXIST);
	rc = veventq_alloc(guest.viommu, 77, 1, &other, &other_fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(rc, -EMFILE);
	/* and nothing of it is left */
	assert_int_equal(veventq_alloc(guest.viommu, 77, 1, &other, &other_fd), 0);
}

static void an_answer_that_can_not_be_written_undoes_the_queue(void **state)
{
	struct iommu_veventq_alloc *cmd = rig_memory(PG);

	*cmd = (struct iommu_veventq_alloc){ .size = sizeof(*cmd), .viommu_id = guest.viommu,
					     .type = TYPE, .veventq_depth = 1 };
	read_only(cmd, PG);
	assert_int_equal(rig_ioctl(IOMMU_VEVENTQ_ALLOC, cmd), -EFAULT);
	listen_to(1);
}

static void the_descriptor_and_the_queue_hold_what_they_need(void **state)
{
	listen_to(1);
	assert_int_equal(rig_destroy(queue), -EBUSY);
	assert_int_equal(rig_destroy(guest.viommu), -EBUSY);
	assert_int_equal(iommufd_close(rig.proc, fd), 0);
	/* unread, it fills and is thrown away */
	trigger(3);
	assert_int_equal(rig_destroy(queue), 0);
	assert_int_equal(trigger_vevent(guest.dev.idev), -EOPNOTSUPP);
}

static void a_descriptor_keeps_the_context_open(void **state)
{
	struct event event;

	listen_to(1);
	trigger(1);
	assert_int_equal(iommufd_close(rig.proc, rig.fd), 0);
	assert_int_equal(get(&event, sizeof(event)), sizeof(event));
	expect_event(&event, 0);
	assert_int_equal(iommufd_close(rig.proc, fd), 0);
	assert_true(cds_list_empty(&rig.system->contexts));
	rig.fd = iommufd_open(rig.proc, "/dev/iommu", O_RDWR);
}

/* ---- the stream ---- */

static void nobody_listening_and_nobody_concerned_are_told_apart(void **state)
{
	struct mock_ids outside = rig_mock(guest.ioas);
	u32 pt = guest.ioas;

	assert_int_equal(trigger_vevent(guest.dev.idev), -EOPNOTSUPP);
	listen_to(1);
	assert_int_equal(trigger_vevent(4711), -ENOENT);
	assert_int_equal(trigger_vevent(outside.idev), -ENOENT);
	assert_int_equal(rig_replace(guest.dev.stdev, &pt), 0);
	assert_int_equal(trigger_vevent(guest.dev.idev), -ENOENT);
}

static void the_mock_takes_virtual_id_0_for_none(void **state)
{
	struct mock_ids second = rig_mock(guest.ioas);
	u32 pt;

	listen_to(1);
	must_vdevice(guest.viommu, second.idev, 0);
	pt = must_nested(second.idev, guest.viommu);
	assert_int_equal(rig_replace(second.stdev, &pt), 0);
	assert_int_equal(trigger_vevent(second.idev), -ENOENT);
}

static void attach_anew(const struct mock_ids *dev)
{
	u32 pt = must_nested(dev->idev, guest.viommu);

	assert_int_equal(rig_replace(dev->stdev, &pt), 0);
}

static void expect_event_of(const struct mock_ids *dev, u32 virt_id)
{
	struct event event;

	assert_int_equal(trigger_vevent(dev->idev), 0);
	assert_int_equal(get(&event, sizeof(event)), sizeof(event));
	assert_int_equal(event.data.virt_id, virt_id);
}

static void the_mock_knows_a_device_by_the_name_it_came_with(void **state)
{
	struct mock_ids second = rig_mock(guest.ioas);
	u32 vdevice = must_vdevice(guest.viommu, second.idev, 5), ioas = guest.ioas;

	listen_to(1);
	attach_anew(&second);
	expect_event_of(&second, 5);
	assert_int_equal(rig_destroy(vdevice), 0);
	must_vdevice(guest.viommu, second.idev, 6);
	attach_anew(&second);
	expect_event_of(&second, 5);
	assert_int_equal(rig_replace(second.stdev, &ioas), 0);
	attach_anew(&second);
	expect_event_of(&second, 6);
}

static void reads_that_are_too_small_take_nothing(void **state)
{
	struct event event;

	listen_to(2);
	for (size_t count = 0; count < 8; count++)
		assert_int_equal(get(&event, count), -EINVAL);
	assert_int_equal(get(&event, 8), 0);
	assert_int_equal(get(&event, sizeof(event)), 0);
	trigger(1);
	for (size_t count = 0; count < sizeof(event); count++)
		assert_int_equal(get(&event, count), -EINVAL);
	assert_int_equal(get(&event, sizeof(event)), sizeof(event));
	expect_event(&event, 0);
	assert_int_equal(get(&event, sizeof(event)), 0);
}

static void a_read_gets_whole_items_while_they_fit(void **state)
{
	struct event events[4];

	listen_to(4);
	trigger(4);
	assert_int_equal(get(events, 3 * sizeof(events[0]) - 1), 2 * sizeof(events[0]));
	expect_event(&events[0], 0);
	expect_event(&events[1], 1);
	assert_int_equal(get(events, 100), 2 * sizeof(events[0]));
	expect_event(&events[0], 2);
	expect_event(&events[1], 3);
}

static void what_is_lost_at_the_end_is_said_once(void **state)
{
	struct event events[2];

	listen_to(2);
	trigger(5);
	assert_int_equal(get(events, sizeof(events)), sizeof(events));
	expect_event(&events[1], 1);
	/* the latest of three */
	expect_lost(4);
	assert_int_equal(get(events, sizeof(events)), 0);
	trigger(1);
	assert_int_equal(get(events, sizeof(events)), sizeof(events[0]));
	expect_event(&events[0], 5);
}

static void an_event_that_fits_takes_the_place_of_the_lost_ones(void **state)
{
	struct event event;

	listen_to(1);
	trigger(3);
	assert_int_equal(get(&event, sizeof(event)), sizeof(event));
	expect_event(&event, 0);
	trigger(1);
	assert_int_equal(get(&event, sizeof(event)), sizeof(event));
	/* 1 and 2 are missing: that is all there is to see */
	expect_event(&event, 3);
	assert_int_equal(get(&event, sizeof(event)), 0);
}

static void a_lost_header_goes_out_where_no_event_would_fit(void **state)
{
	struct {
		struct event event;
		struct iommufd_vevent_header lost;
	} both;

	listen_to(1);
	trigger(2);
	assert_int_equal(get(&both, sizeof(both)), sizeof(both));
	expect_event(&both.event, 0);
	assert_int_equal(both.lost.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(both.lost.sequence, 1);
}

static void want_of_memory_loses_an_event_and_says_so(void **state)
{
	struct event event;
	int rc;

	listen_to(2);
	iommufd_fail_nth_set(2); /* after the lookup of the device */
	rc = trigger_vevent(guest.dev.idev);
	for (u32 n = 3; rc != -ENOMEM && n < 8; n++) {
		iommufd_fail_nth_set(n);
		if (rc == 0)
			get(&event, sizeof(event));
		rc = trigger_vevent(guest.dev.idev);
	}
	iommufd_fail_nth_set(0);
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(get(&event, sizeof(event)), sizeof(event.header));
	assert_int_equal(event.header.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
}

static void a_bad_buffer_leaves_the_event_at_the_head(void **state)
{
	char *page = rig_memory(2 * PG);
	struct event event;

	listen_to(3);
	trigger(3);
	assert_int_equal(mprotect(page + PG, PG, PROT_NONE), 0);
	assert_int_equal(get(page + PG, 100), -EFAULT);
	/* the second item reaches into the bad page: the first is what counts */
	assert_int_equal(get(page + PG - sizeof(event) - 10, 100), sizeof(event));
	assert_int_equal(get(&event, sizeof(event)), sizeof(event));
	expect_event(&event, 1);
	assert_int_equal(get(&event, sizeof(event)), sizeof(event));
	expect_event(&event, 2);
}

static void a_bad_buffer_leaves_the_lost_header(void **state)
{
	struct event event;

	listen_to(1);
	trigger(2);
	assert_int_equal(get(&event, sizeof(event)), sizeof(event));
	assert_int_equal(get((void *)16, 8), -EFAULT);
	expect_lost(1);
	assert_int_equal(get(&event, sizeof(event)), 0);
}

static void it_is_only_ever_read_and_has_no_position(void **state)
{
	struct event event = { 0 };

	listen_to(1);
	assert_int_equal(iommufd_write(rig.proc, fd, &event, sizeof(event)), -EINVAL);
	assert_int_equal(iommufd_pread(rig.proc, fd, &event, sizeof(event), 0), -ESPIPE);
	assert_int_equal(iommufd_ioctl(rig.proc, fd, IOMMU_DESTROY, &event), -ENOTTY);
}

static void it_is_readable_while_something_is_there_and_never_writable(void **state)
{
	struct pollfd native;
	struct event event;

	listen_to(1);
	native = (struct pollfd){ .fd = fd, .events = POLLIN };
	assert_int_equal(iommufd_poll(rig.proc, fd, POLLIN | POLLOUT, 0), 0);
	assert_int_equal(poll(&native, 1, 0), 0);
	trigger(2);
	assert_int_equal(iommufd_poll(rig.proc, fd, POLLIN | POLLOUT, 0), POLLIN);
	assert_int_equal(poll(&native, 1, 0), 1);
	assert_int_equal(get(&event, sizeof(event)), sizeof(event));
	assert_int_equal(iommufd_poll(rig.proc, fd, POLLIN, 0), POLLIN); /* the lost one */
	expect_lost(1);
	assert_int_equal(iommufd_poll(rig.proc, fd, POLLIN, 0), 0);
	assert_int_equal(poll(&native, 1, 0), 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, begin, rig_end)
	const struct CMUnitTest tests[] = {
		T(a_queue_is_checked_in_order),
		T(a_type_has_one_queue_and_need_not_be_known),
		T(a_type_in_use_is_told_before_descriptors_are_counted),
		T(an_answer_that_can_not_be_written_undoes_the_queue),
		T(the_descriptor_and_the_queue_hold_what_they_need),
		T(a_descriptor_keeps_the_context_open),
		T(nobody_listening_and_nobody_concerned_are_told_apart),
		T(the_mock_takes_virtual_id_0_for_none),
		T(the_mock_knows_a_device_by_the_name_it_came_with),
		T(reads_that_are_too_small_take_nothing),
		T(a_read_gets_whole_items_while_they_fit),
		T(what_is_lost_at_the_end_is_said_once),
		T(an_event_that_fits_takes_the_place_of_the_lost_ones),
		T(a_lost_header_goes_out_where_no_event_would_fit),
		T(want_of_memory_loses_an_event_and_says_so),
		T(a_bad_buffer_leaves_the_event_at_the_head),
		T(a_bad_buffer_leaves_the_lost_header),
		T(it_is_only_ever_read_and_has_no_position),
		T(it_is_readable_while_something_is_there_and_never_writable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
