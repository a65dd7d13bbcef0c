/* SPDX-License-Identifier: MIT */
/*
 * The races of docs/locking.md, run: which thread wins is the scheduler's choice,
 * that each outcome is one of those written there is ours.  The thread sanitizer
 * looks on where it is built in.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "guest.h"

#define ROUNDS 300
#define TYPE IOMMU_HW_QUEUE_TYPE_SELFTEST

/* Both sides go on to the end, so what they did not expect is told and counted. */
static _Atomic u32 surprises;
static pthread_barrier_t start;
static int left_rc, right_rc;

#define expect(fine) expect_at(fine, #fine, __LINE__)
static void expect_at(bool fine, const char *what, int line)
{
	if (fine)
		return;
	print_error("%s:%d: not so: %s (%d, %d)\n", __FILE__, line, what, left_rc, right_rc);
	surprises++;
}

/* Both bodies at once, ROUNDS times with @before and @after around; each starts at the barrier. */
struct race {
	void (*before)(void);
	void (*left)(void);
	void (*right)(void);
	void (*after)(void);
};

static void *race_right(void *arg)
{
	const struct race *race = arg;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&start);
		race->right();
		pthread_barrier_wait(&start);
	}
	return NULL;
}

static void run(const struct race *race)
{
	pthread_t thread;

	surprises = 0;
	pthread_barrier_init(&start, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, race_right, (void *)race), 0);
	for (int i = 0; i < ROUNDS; i++) {
		race->before();
		pthread_barrier_wait(&start);
		race->left();
		pthread_barrier_wait(&start);
		race->after();
	}
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&start);
	assert_int_equal(surprises, 0);
}

static void nothing(void)
{
}

/* ---- the device goes ---- */

static struct mock_ids dev;
static u32 vdevice;

static void make_device(void)
{
	expect(!rig_mock_domain(guest.ioas, 0, &dev));
	vdevice = 0;
}

static void make_vdevice(void)
{
	make_device();
	expect(!vdevice_alloc(guest.viommu, dev.idev, 1, &vdevice));
}

static void unbind(void)
{
	left_rc = rig_destroy(dev.stdev);
	expect(!left_rc);
}

static void alloc_vdevice(void)
{
	right_rc = vdevice_alloc(guest.viommu, dev.idev, 1, &vdevice);
}

static void vdevice_was_refused_or_buried(void)
{
	expect(right_rc == 0 || right_rc == -ENOENT);
	if (!right_rc)
		expect(rig_destroy(vdevice) == -ENOENT);
}

static void unbinding_against_a_new_vdevice(void **state)
{
	run(&(struct race){ make_device, unbind, alloc_vdevice, vdevice_was_refused_or_buried });
	assert_int_equal(rig_destroy(guest.viommu), 0);
}

static void destroy_vdevice(void)
{
	right_rc = rig_destroy(vdevice);
}

/* If the program's DESTROY was the one, the id is free and comes round again; else never. */
static void one_of_them_ended_the_vdevice(void)
{
	expect(right_rc == 0 || right_rc == -EBUSY || right_rc == -ENOENT);
	expect(rig_destroy(vdevice) == -ENOENT);
}

static void unbinding_against_destroy_of_the_vdevice(void **state)
{
	run(&(struct race){ make_vdevice, unbind, destroy_vdevice,
			    one_of_them_ended_the_vdevice });
	assert_int_equal(rig_destroy(guest.viommu), 0);
}

static void use_device(void)
{
	u32 hwpt;

	for (int i = 0; i < 4; i++) {
		struct iommu_hw_info info = { .size = sizeof(info), .dev_id = dev.idev };

		right_rc = rig_ioctl(IOMMU_GET_HW_INFO, &info);
		expect(right_rc == 0 || right_rc == -ENOENT);
		right_rc = nested_alloc(dev.idev, guest.viommu, 0, 0, &hwpt);
		expect(right_rc == 0 || right_rc == -ENOENT);
		if (!right_rc)
			expect(rig_destroy(hwpt) == 0);
	}
}

static void unbinding_against_commands_on_the_device(void **state)
{
	run(&(struct race){ make_vdevice, unbind, use_device, nothing });
}

/* An id that DESTROY freed may mean another vdevice when the unbinding thread looks. */
static struct mock_ids second;

static void recycle_ids(void)
{
	u32 other;

	destroy_vdevice();
	if (!vdevice_alloc(guest.viommu, second.idev, 2, &other))
		expect(rig_destroy(other) == 0);
}

static void unbinding_does_not_bury_a_vdevice_of_another_device(void **state)
{
	second = rig_mock(guest.ioas);
	run(&(struct race){ make_vdevice, unbind, recycle_ids, nothing });
}

/* ---- two that want the same ---- */

static u32 left_vdevice, right_vdevice;

static void alloc_left(void)
{
	left_rc = vdevice_alloc(guest.viommu, guest.dev.idev, 1, &left_vdevice);
}

static void alloc_right(void)
{
	right_rc = vdevice_alloc(guest.viommu, guest.dev.idev, 2, &right_vdevice);
}

static void alloc_right_of_second(void)
{
	right_rc = vdevice_alloc(guest.viommu, second.idev, 1, &right_vdevice);
}

static void one_has_it(void)
{
	expect((!left_rc && right_rc == -EEXIST) || (!right_rc && left_rc == -EEXIST));
	expect(rig_destroy(left_rc ? right_vdevice : left_vdevice) == 0);
}

static void two_vdevices_of_one_device(void **state)
{
	run(&(struct race){ nothing, alloc_left, alloc_right, one_has_it });
}

static void two_vdevices_of_one_name(void **state)
{
	second = rig_mock(guest.ioas);
	run(&(struct race){ nothing, alloc_left, alloc_right_of_second, one_has_it });
}

static int left_fd, right_fd;

static void veventq_left(void)
{
	left_rc = veventq_alloc(guest.viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 4, &left_vdevice,
				&left_fd);
}

static void veventq_right(void)
{
	right_rc = veventq_alloc(guest.viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 4, &right_vdevice,
				 &right_fd);
}

static void close_and_one_has_it(void)
{
	iommufd_close(rig.proc, left_rc ? right_fd : left_fd);
	one_has_it();
}

static void two_queues_of_one_type(void **state)
{
	run(&(struct race){ nothing, veventq_left, veventq_right, close_and_one_has_it });
}

/* ---- events ---- */

static u32 veventq;
static int fd;

static void open_veventq(void)
{
	expect(!veventq_alloc(guest.viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 4, &veventq, &fd));
}

static void end_veventq(void)
{
	char buf[64];

	expect(iommufd_read(rig.proc, fd, buf, sizeof(buf)) >= 0);
	expect(!iommufd_close(rig.proc, fd));
	expect(!rig_destroy(veventq));
}

static void report(void)
{
	for (int i = 0; i < 8; i++) {
		right_rc = trigger_vevent(guest.dev.idev);
		expect(right_rc == 0 || right_rc == -EOPNOTSUPP);
	}
}

static void reports_against_the_end_of_the_queue(void **state)
{
	u32 pt;

	must_vdevice(guest.viommu, guest.dev.idev, 9);
	pt = must_nested(guest.dev.idev, guest.viommu);
	assert_int_equal(rig_replace(guest.dev.stdev, &pt), 0);
	run(&(struct race){ open_veventq, end_veventq, report, nothing });
}

static void *read_all(void *arg)
{
	struct {
		struct iommufd_vevent_header header;
		u32 virt_id;
	} events[3];
	ssize_t got;

	for (int i = 0; i < ROUNDS * 10; i++) {
		got = iommufd_read(rig.proc, fd, events, sizeof(events));
		/* events of 12 bytes and at most one lost header of 8 */
		expect(got >= 0 && (got % 12 == 0 || got % 12 == 8));
	}
	return NULL;
}

static void readers_against_reports(void **state)
{
	pthread_t readers[2];
	u32 pt;

	must_vdevice(guest.viommu, guest.dev.idev, 9);
	pt = must_nested(guest.dev.idev, guest.viommu);
	assert_int_equal(rig_replace(guest.dev.stdev, &pt), 0);
	open_veventq();
	surprises = 0;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_all, NULL), 0);
	for (int i = 0; i < ROUNDS * 10; i++)
		expect(!trigger_vevent(guest.dev.idev));
	for (int i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(surprises, 0);
}

/* ---- invalidation against the end of the vdevice ---- */

static void make_named(void)
{
	expect(!vdevice_alloc(guest.viommu, guest.dev.idev, 5, &vdevice));
}

static void invalidate_named(void)
{
	struct iommu_viommu_invalidate_selftest entry = { .vdev_id = 5 };
	u32 n;

	for (int i = 0; i < 8; i++) {
		n = 1;
		right_rc = invalidate(guest.viommu, &entry, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
				      sizeof(entry), &n);
		expect((right_rc == 0 && n == 1) || (right_rc == -EINVAL && n == 0));
	}
}

static void end_named(void)
{
	expect(!rig_destroy(vdevice));
}

static void invalidation_against_the_end_of_the_vdevice(void **state)
{
	run(&(struct race){ make_named, end_named, invalidate_named, nothing });
}

/* ---- hw queues ---- */

static u32 queues[2];

static void first_queue(void)
{
	expect(!hw_queue_alloc(guest.viommu, TYPE, 0, BASE, PG, &queues[0]));
}

static void end_first(void)
{
	left_rc = rig_destroy(queues[0]);
}

static void second_queue(void)
{
	right_rc = hw_queue_alloc(guest.viommu, TYPE, 1, BASE, PG, &queues[1]);
}

static void second_depends_or_is_refused(void)
{
	if (!right_rc) {
		expect(left_rc == -EBUSY);
		expect(!rig_destroy(queues[1]));
		expect(!rig_destroy(queues[0]));
	} else {
		expect(right_rc == -EIO && left_rc == 0);
	}
}

static void a_second_queue_against_the_end_of_the_first(void **state)
{
	assert_int_equal(rig_map(guest.ioas, rig_memory(PG), PG, BASE), 0);
	run(&(struct race){ first_queue, end_first, second_queue, second_depends_or_is_refused });
}

static void both_first(void)
{
	left_rc = hw_queue_alloc(guest.viommu, TYPE, 0, BASE, PG, &queues[0]);
}

static void both_first_too(void)
{
	right_rc = hw_queue_alloc(guest.viommu, TYPE, 0, BASE, PG, &queues[1]);
}

static void one_is_first(void)
{
	expect((!left_rc && right_rc == -EEXIST) || (!right_rc && left_rc == -EEXIST));
	expect(!rig_destroy(queues[left_rc ? 1 : 0]));
}

static void two_queues_of_one_index(void **state)
{
	assert_int_equal(rig_map(guest.ioas, rig_memory(PG), PG, BASE), 0);
	run(&(struct race){ nothing, both_first, both_first_too, one_is_first });
}

static void *memory;

static void map_ring(void)
{
	expect(!rig_map(guest.ioas, memory, PG, BASE));
}

static void unmap_ring(void)
{
	left_rc = rig_unmap(guest.ioas, BASE, PG);
}

static void ring_queue(void)
{
	right_rc = hw_queue_alloc(guest.viommu, TYPE, 0, BASE, PG, &queues[0]);
}

static void the_ring_is_there_or_the_queue_is_not(void)
{
	if (!right_rc) {
		expect(left_rc == -EBUSY);
		expect(!rig_destroy(queues[0]));
		expect(!rig_unmap(guest.ioas, BASE, PG));
	} else {
		/*
		 * not mapped any more, or on its way out; or translated no more when the driver
		 * looks
		 */
		expect(right_rc == -ENOENT || right_rc == -EINVAL || right_rc == -EFAULT);
		if (left_rc == -EBUSY)
			expect(!rig_unmap(guest.ioas, BASE, PG));
		else
			expect(!left_rc);
	}
}

static void a_queue_against_the_unmapping_of_its_ring(void **state)
{
	memory = rig_memory(PG);
	run(&(struct race){ map_ring, unmap_ring, ring_queue,
			    the_ring_is_there_or_the_queue_is_not });
}

/* ---- mappings ---- */

static u32 mapped_viommu;
static u64 offset;
static void *mapped;

static void make_mappable(void)
{
	struct iommu_viommu_selftest data = { 0 };
	struct iommu_viommu_alloc cmd = { .type = IOMMU_VIOMMU_TYPE_SELFTEST,
					  .dev_id = guest.dev.idev, .hwpt_id = guest.parent,
					  .data_len = sizeof(data), .data_uptr = (uintptr_t)&data };

	expect(!viommu_alloc(&cmd));
	mapped_viommu = cmd.out_viommu_id;
	offset = data.out_mmap_offset;
}

static void map_page(void)
{
	right_rc = iommufd_mmap(rig.proc, NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_SHARED,
				rig.fd, offset, &mapped);
	if (!right_rc)
		*(volatile u32 *)mapped = 1;
}

static void end_mappable(void)
{
	left_rc = rig_destroy(mapped_viommu);
}

static void mapped_and_busy_or_neither(void)
{
	if (!right_rc) {
		expect(left_rc == -EBUSY);
		expect(!iommufd_munmap(rig.proc, mapped, 2 * PG));
		expect(!rig_destroy(mapped_viommu));
	} else {
		expect(right_rc == -ENXIO && left_rc == 0);
	}
}

static void mmap_against_the_end_of_the_owner(void **state)
{
	run(&(struct race){ make_mappable, end_mappable, map_page, mapped_and_busy_or_neither });
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, guest_begin, rig_end)
	const struct CMUnitTest tests[] = {
		T(unbinding_against_a_new_vdevice),
		T(unbinding_against_destroy_of_the_vdevice),
		T(unbinding_against_commands_on_the_device),
		T(unbinding_does_not_bury_a_vdevice_of_another_device),
		T(two_vdevices_of_one_device),
		T(two_vdevices_of_one_name),
		T(two_queues_of_one_type),
		T(reports_against_the_end_of_the_queue),
		T(readers_against_reports),
		T(invalidation_against_the_end_of_the_vdevice),
		T(a_second_queue_against_the_end_of_the_first),
		T(two_queues_of_one_index),
		T(a_queue_against_the_unmapping_of_its_ring),
		T(mmap_against_the_end_of_the_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
