/* SPDX-License-Identifier: MIT */
/*
 * Devices that ask while the program reads, answers and moves them about.
 * Whatever the order, a request is either answered by the program or for it:
 * the driver counts, and the sums must agree.
 */
#include "../iommu/fake_iommu.h"
#include "fault_rig.h"

#include <iommufd/device.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define DEVICES 2
#define ROUNDS  3000

static struct iommu_ops ops;
static struct fake_iommu iommu;
static struct iopf_queue *queue;
static struct fake_dev devs[DEVICES];
static struct iommufd_device *idevs[DEVICES];
static u32 ids[DEVICES];
static struct iommufd_ctx *ctx;
static u32 ioas, hwpts[3]; /* two with the queue, one without */
static struct fault_q q;

/* Groups that began, were answered, were answered by this program, in each device's own numbers. */
static _Atomic u32 asked, answered, by_program;
static _Atomic u8 seen[DEVICES][ROUNDS];
static _Atomic bool stop;

static void page_response(struct device *dev, struct iopf_fault *fault,
			  struct iommu_page_response *response)
{
	u32 nth = to_fake_dev(dev) - devs;

	answered++;
	assert_true(response->grpid < ROUNDS && !atomic_fetch_add(&seen[nth][response->grpid], 1));
}

static int begin(void **state)
{
	u32 pt;

	if (rig_begin(state) || iommufd_ctx_from_fd(rig.proc, rig.fd, &ctx) || q_alloc(&q))
		return -1;
	ioas = rig_ioas();
	ops = fake_ops;
	ops.page_response = page_response;
	iommu = (struct fake_iommu){ 0 };
	queue = iopf_queue_alloc("fake");
	for (u32 i = 0; i < DEVICES; i++) {
		devs[i] = fake_dev_init(&iommu, &ops);
		if (fake_dev_add(&devs[i]) || iopf_queue_add_device(queue, &devs[i].dev))
			return -1;
		idevs[i] = iommufd_device_bind(ctx, &devs[i].dev, &ids[i]);
		if (IS_ERR(idevs[i]))
			return -1;
	}
	if (q_hwpt(q, ids[0], ioas, 0, &hwpts[0]) || q_hwpt(q, ids[0], ioas, 0, &hwpts[1]) ||
	    rig_hwpt(ids[0], ioas, 0, &hwpts[2]))
		return -1;
	for (u32 i = 0; i < DEVICES; i++) {
		pt = hwpts[0];
		if (iommufd_device_attach(idevs[i], 0, &pt))
			return -1;
	}
	asked = answered = by_program = 0;
	memset(seen, 0, sizeof(seen));
	stop = false;
	return 0;
}

static int end(void **state)
{
	int rc;

	for (u32 i = 0; i < DEVICES; i++) {
		iommufd_device_detach(idevs[i], 0);
		iommufd_device_unbind(idevs[i]);
	}
	iommufd_ctx_put(ctx);
	rc = rig_end(state);
	iopf_queue_free(queue);
	for (u32 i = 0; i < DEVICES; i++)
		fake_dev_remove(&devs[i]);
	return rc || iommu.domains;
}

/* Let the others have their turn in between, also where there is one processor. */
static void breathe(u32 round)
{
	if (round % 8 == 7)
		usleep(1);
}

static void *ask(void *arg)
{
	struct fake_dev *fake = arg;
	struct iopf_fault evt = { .fault.type = IOMMU_FAULT_PAGE_REQ };

	for (u32 i = 0; i < ROUNDS; i++) {
		evt.fault.prm.grpid = i;
		evt.fault.prm.flags = 0;
		iommu_report_device_fault(&fake->dev, &evt); /* parked or refused */
		evt.fault.prm.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
		asked++;
		iommu_report_device_fault(&fake->dev, &evt);
		breathe(i);
	}
	return NULL;
}

static void *move(void *arg)
{
	struct iommufd_device *idev = arg;

	for (u32 i = 0; !stop; i++) {
		u32 pt = hwpts[i % 3];

		if (i % 5 == 4) {
			iommufd_device_detach(idev, 0);
			assert_int_equal(iommufd_device_attach(idev, 0, &pt), 0);
		} else {
			assert_int_equal(iommufd_device_replace(idev, 0, &pt), 0);
		}
		usleep(50);
	}
	return NULL;
}

/* A cookie may be answered automatically and even be another group's meanwhile: never twice. */
static void *serve(void *arg)
{
	struct iommu_hwpt_pgfault msg[6];
	ssize_t rc;

	while (!stop) {
		rc = q_read(q, msg, sizeof(msg));
		assert_true(rc >= 0 && rc % MSG == 0);
		for (u32 i = 0; rc > 0 && i < rc / MSG; i++) {
			if (!(msg[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
				continue;
			assert_true(msg[i].dev_id == ids[0] || msg[i].dev_id == ids[1]);
			if (q_answer(q, msg[i].cookie, 0) == ANSWER)
				by_program++;
		}
		if (!rc)
			iommufd_poll(rig.proc, q.fd, POLLIN, 1);
	}
	return NULL;
}

static void *look(void *arg)
{
	char why[200];

	while (!stop) {
		assert_int_equal(iommufd_ctx_check(ctx, why, sizeof(why)), 0);
		assert_int_equal(rig_destroy(q.id), -EBUSY);
		usleep(200);
	}
	return NULL;
}

static void every_request_is_answered_once_whatever_happens_around_it(void **state)
{
	pthread_t asking[DEVICES], others[DEVICES + 3];
	u32 n = 0;

	for (u32 i = 0; i < DEVICES; i++) {
		assert_int_equal(pthread_create(&asking[i], NULL, ask, &devs[i]), 0);
		assert_int_equal(pthread_create(&others[n++], NULL, move, idevs[i]), 0);
	}
	assert_int_equal(pthread_create(&others[n++], NULL, serve, NULL), 0);
	assert_int_equal(pthread_create(&others[n++], NULL, serve, NULL), 0);
	assert_int_equal(pthread_create(&others[n++], NULL, look, NULL), 0);
	for (u32 i = 0; i < DEVICES; i++)
		pthread_join(asking[i], NULL);
	stop = true;
	while (n)
		pthread_join(others[--n], NULL);
	for (u32 i = 0; i < DEVICES; i++)
		iommufd_device_detach(idevs[i], 0);
	assert_int_equal(asked, DEVICES * ROUNDS);
	assert_int_equal(answered, asked);
	assert_in_range(by_program, 0, answered);
	assert_false(q_readable(q));
}

/* The same through the commands: the mock injects requests under no lock of its own. */
static void *trigger(void *arg)
{
	const struct mock_ids *mock = arg;

	for (u32 i = 0; i < ROUNDS; i++) {
		assert_int_equal(q_trigger(mock->idev, i % 2 ? 7 : 0, i, 0x1000), 0);
		breathe(i);
	}
	return NULL;
}

static void *move_mock(void *arg)
{
	const struct mock_ids *mock = arg;
	u32 with = hwpts[0], without = hwpts[2];

	while (!stop) {
		assert_int_equal(rig_replace(mock->stdev, &without), 0);
		assert_int_equal(rig_pasid_attach(mock->stdev, 7, &with), 0);
		assert_int_equal(rig_replace(mock->stdev, &with), 0);
		assert_int_equal(rig_pasid_replace(mock->stdev, 7, &without), 0);
		assert_int_equal(rig_pasid_detach(mock->stdev, 7), 0);
		usleep(50);
	}
	return NULL;
}

static void *queues_come_and_go(void *arg)
{
	const struct mock_ids *mock = arg;
	struct fault_q mine = { 0 };
	u32 pt = 0;

	while (!stop) {
		assert_int_equal(q_alloc(&mine), 0);
		assert_int_equal(q_hwpt(mine, mock->idev, ioas, 0, &pt), 0);
		iommufd_close(rig.proc, mine.fd);
		while (rig_destroy(pt) == -EBUSY)
			;
		while (rig_destroy(mine.id) == -EBUSY)
			;
	}
	return NULL;
}

static int begin_mock(void **state)
{
	static struct mock_ids mock;

	if (rig_begin(state) || q_alloc(&q))
		return -1;
	ioas = rig_ioas();
	if (rig_mock_domain(ioas, MOCK_FLAGS_DEVICE_PASID, &mock) ||
	    q_hwpt(q, mock.idev, ioas, IOMMU_HWPT_ALLOC_PASID, &hwpts[0]) ||
	    rig_hwpt(mock.idev, ioas, IOMMU_HWPT_ALLOC_PASID, &hwpts[2]))
		return -1;
	ids[0] = ids[1] = mock.idev;
	by_program = 0;
	stop = false;
	*state = &mock;
	return 0;
}

static void mock_devices_ask_while_they_move(void **state)
{
	struct mock_ids *mock = *state;
	pthread_t asking, others[4];
	u32 n = 0;

	assert_int_equal(pthread_create(&asking, NULL, trigger, mock), 0);
	assert_int_equal(pthread_create(&others[n++], NULL, move_mock, mock), 0);
	assert_int_equal(pthread_create(&others[n++], NULL, serve, NULL), 0);
	assert_int_equal(pthread_create(&others[n++], NULL, queues_come_and_go, mock), 0);
	pthread_join(asking, NULL);
	stop = true;
	while (n)
		pthread_join(others[--n], NULL);
	while (rig_destroy(mock->stdev) == -EBUSY)
		;
	assert_false(q_readable(q));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			every_request_is_answered_once_whatever_happens_around_it, begin, end),
		cmocka_unit_test_setup_teardown(mock_devices_ask_while_they_move, begin_mock,
						rig_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
