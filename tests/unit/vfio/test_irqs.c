/* SPDX-License-Identifier: MIT */
/* SET_IRQS in every form, and that interrupts arrive. */
#include "rig.h"

#include <pthread.h>

#include "vfio/vfio_priv.h"

#define NONE   VFIO_IRQ_SET_DATA_NONE
#define BOOL   VFIO_IRQ_SET_DATA_BOOL
#define FD     VFIO_IRQ_SET_DATA_EVENTFD
#define MASK   VFIO_IRQ_SET_ACTION_MASK
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK
#define TRIG   VFIO_IRQ_SET_ACTION_TRIGGER
#define INTX   VFIO_PCI_INTX_IRQ_INDEX
#define MSI    VFIO_PCI_MSI_IRQ_INDEX
#define MSIX   VFIO_PCI_MSIX_IRQ_INDEX
#define ERR    VFIO_PCI_ERR_IRQ_INDEX
#define REQ    VFIO_PCI_REQ_IRQ_INDEX

static int dev;
static s32 ev[TOY_VECTORS + 1]; /* the last is for a request that is too long */

static int begin(void **state)
{
	if (rig_begin(state))
		return -1;
	dev = rig_device(0, 0);
	rig_config_write(dev, 4, 6, 2); /* a message is a write of the device's */
	for (u32 i = 0; i < TOY_VECTORS; i++)
		ev[i] = rig_eventfd();
	return 0;
}

static int end(void **state)
{
	for (u32 i = 0; i < TOY_VECTORS; i++)
		close(ev[i]);
	return rig_end(state);
}

static long set(u32 flags, u32 index, u32 start, u32 count, const void *data)
{
	return rig_irqs(dev, flags, index, start, count, data);
}

static void raise_vector(u32 vector)
{
	assert_int_equal(rig_write(dev, TOY_RAISE, vector, 4), 4);
}

/* ---- what is refused ---- */

static void malformed_requests_are_einval(void **state)
{
	struct vfio_irq_set head = { .argsz = 19, .flags = NONE | TRIG };

	assert_int_equal(rig_ioctl(dev, VFIO_DEVICE_SET_IRQS, NULL), -EFAULT);
	assert_int_equal(rig_ioctl(dev, VFIO_DEVICE_SET_IRQS, &head), -EINVAL);
	assert_int_equal(set(NONE | TRIG, 5, 0, 0, NULL), -EINVAL);
	assert_int_equal(set(NONE | TRIG | 64, MSIX, 0, 0, NULL), -EINVAL);
	assert_int_equal(set(TRIG, MSIX, 0, 1, NULL), -EINVAL);
	assert_int_equal(set(NONE | BOOL | TRIG, MSIX, 0, 1, ev), -EINVAL);
	assert_int_equal(set(FD | TRIG, MSIX, TOY_VECTORS, 1, ev), -EINVAL);
	assert_int_equal(set(FD | TRIG, MSIX, 0, TOY_VECTORS + 1, ev), -EINVAL);
	assert_int_equal(set(NONE | TRIG, MSIX, 1, UINT32_MAX - 1, NULL), -EINVAL);
	/* Too few bytes for what is announced. */
	head = (struct vfio_irq_set){ .argsz = 20, .flags = FD | TRIG, .index = MSIX, .count = 1 };
	assert_int_equal(rig_ioctl(dev, VFIO_DEVICE_SET_IRQS, &head), -EINVAL);
}

static void actions_a_kind_has_not_are_enotty(void **state)
{
	static const u32 kinds[] = { MSI, MSIX, ERR, REQ };

	for (u32 i = 0; i < 4; i++) {
		assert_int_equal(set(NONE | MASK, kinds[i], 0, 1, NULL), -ENOTTY);
		assert_int_equal(set(NONE | UNMASK, kinds[i], 0, 1, NULL), -ENOTTY);
		assert_int_equal(set(NONE, kinds[i], 0, 1, NULL), -ENOTTY);
		assert_int_equal(set(NONE | MASK | TRIG, kinds[i], 0, 1, NULL), -ENOTTY);
	}
	assert_int_equal(set(FD | TRIG, INTX, 0, 1, ev), 0);
	assert_int_equal(set(FD | MASK, INTX, 0, 1, ev), -ENOTTY);
}

static void what_is_no_eventfd_is_refused_and_nothing_stays(void **state)
{
	s32 fds[3] = { ev[0], 9999, ev[2] };
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(set(FD | TRIG, MSIX, 0, 3, fds), -EBADF);
	/* The mode is off again. */
	assert_int_equal(set(NONE | TRIG, MSIX, 0, 0, NULL), -EINVAL);
	fds[1] = pipes[0];
	assert_int_equal(set(FD | TRIG, MSIX, 0, 3, fds), -EINVAL);
	fds[1] = rig.iommu;
	assert_int_equal(set(FD | TRIG, MSIX, 0, 3, fds), -EINVAL);
	/* With the mode on, the block is taken back, and what lay outside it stays. */
	assert_int_equal(set(FD | TRIG, MSIX, 4, 1, &ev[4]), 0);
	assert_int_equal(set(FD | TRIG, MSIX, 0, 3, fds), -EINVAL);
	assert_int_equal(set(NONE | TRIG, MSIX, 0, TOY_VECTORS, NULL), 0);
	assert_int_equal(rig_count(ev[0]), 0);
	assert_int_equal(rig_count(ev[4]), 1);
	close(pipes[0]);
	close(pipes[1]);
}

static void only_one_mode_is_on_at_a_time(void **state)
{
	static const u32 modes[] = { INTX, MSI, MSIX };

	for (u32 on = 0; on < 3; on++) {
		assert_int_equal(set(NONE | TRIG, modes[on], 0, 0, NULL), -EINVAL);
		assert_int_equal(set(NONE | TRIG, modes[on], 0, 1, NULL), -EINVAL);
		assert_int_equal(set(FD | TRIG, modes[on], 0, 1, ev), 0);
		for (u32 other = 0; other < 3; other++) {
			if (other == on)
				continue;
			assert_int_equal(set(FD | TRIG, modes[other], 0, 1, ev), -EINVAL);
			assert_int_equal(set(NONE | TRIG, modes[other], 0, 0, NULL), -EINVAL);
		}
		assert_int_equal(set(NONE | TRIG, modes[on], 0, 0, NULL), 0);
	}
}

/* ---- MSI and MSI-X ---- */

static void each_vector_has_its_eventfd(void **state)
{
	for (u32 mode = MSI; mode <= MSIX; mode++) {
		u32 n = mode == MSI ? 4 : TOY_VECTORS;

		assert_int_equal(set(FD | TRIG, mode, 0, n, ev), 0);
		for (u32 i = 0; i < n; i++)
			raise_vector(i);
		raise_vector(1);
		raise_vector(n);
		for (u32 i = 0; i < n; i++)
			assert_int_equal(rig_count(ev[i]), i == 1 ? 2 : 1);
		assert_int_equal(set(NONE | TRIG, mode, 0, 0, NULL), 0);
		raise_vector(0);
		assert_int_equal(rig_count(ev[0]), 0);
	}
}

static void vectors_loop_back(void **state)
{
	u8 some[TOY_VECTORS] = { 1, 0, 1 };

	assert_int_equal(set(FD | TRIG, MSIX, 0, TOY_VECTORS, ev), 0);
	assert_int_equal(set(NONE | TRIG, MSIX, 2, 3, NULL), 0);
	for (u32 i = 0; i < TOY_VECTORS; i++)
		assert_int_equal(rig_count(ev[i]), i >= 2 && i < 5);
	assert_int_equal(set(BOOL | TRIG, MSIX, 0, TOY_VECTORS, some), 0);
	for (u32 i = 0; i < TOY_VECTORS; i++)
		assert_int_equal(rig_count(ev[i]), some[i]);
}

static void vectors_are_cleared_and_added_while_it_is_on(void **state)
{
	s32 none = -1;

	assert_int_equal(set(FD | TRIG, MSIX, 0, 1, ev), 0);
	assert_int_equal(set(FD | TRIG, MSIX, 7, 1, &ev[7]), 0);
	raise_vector(7);
	assert_int_equal(rig_count(ev[7]), 1);
	assert_int_equal(set(FD | TRIG, MSIX, 7, 1, &none), 0);
	raise_vector(7);
	assert_int_equal(rig_count(ev[7]), 0);
	assert_int_equal(set(NONE | TRIG, MSIX, 0, 0, NULL), 0);
	/* MSI takes what it was given at first. */
	assert_int_equal(set(FD | TRIG, MSI, 0, 2, ev), 0);
	assert_int_equal(set(FD | TRIG, MSI, 3, 1, ev), -EINVAL);
	assert_int_equal(set(FD | TRIG, MSI, 1, 1, &ev[5]), 0);
	raise_vector(1);
	assert_int_equal(rig_count(ev[5]), 1);
	assert_int_equal(rig_count(ev[1]), 0);
}

static void the_enable_bit_reads_as_the_mode(void **state)
{
	u32 cap = rig_config_read(dev, 0x34, 1);

	while (cap && rig_config_read(dev, cap, 1) != 0x11)
		cap = rig_config_read(dev, cap + 1, 1);
	assert_int_not_equal(cap, 0);
	assert_int_equal(rig_config_read(dev, cap + 2, 2) & 0x8000, 0);
	assert_int_equal(set(FD | TRIG, MSIX, 0, 1, ev), 0);
	assert_int_equal(rig_config_read(dev, cap + 2, 2) & 0x8000, 0x8000);
	/* A reset leaves the eventfds registered. */
	assert_int_equal(rig_ioctl(dev, VFIO_DEVICE_RESET, NULL), 0);
	rig_config_write(dev, 4, 6, 2);
	raise_vector(0);
	assert_int_equal(rig_count(ev[0]), 1);
}

static void a_full_blocking_counter_blocks_nobody(void **state)
{
	s32 full = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(eventfd_write(full, UINT64_MAX - 1), 0);
	assert_int_equal(set(FD | TRIG, MSIX, 0, 1, &full), 0);
	raise_vector(0);
	/* As high as the kernel raises one; nobody else can write the last. */
	assert_true(rig_count(full) >= UINT64_MAX - 1);
	assert_int_equal(fcntl(full, F_SETFL, O_NONBLOCK), 0);
	raise_vector(0);
	assert_int_equal(rig_count(full), 1);
	close(full);
}

#define RAISES 300

/** struct raises - a device that raises its first vector once in each round */
struct raises {
	pthread_t thread;
	pthread_barrier_t *round;
	int device;
};

static void *raise_on(void *arg)
{
	struct raises *raises = arg;

	for (int i = 0; i < RAISES; i++) {
		pthread_barrier_wait(raises->round);
		rig_irqs(raises->device, NONE | TRIG, MSIX, 0, 1, NULL);
		pthread_barrier_wait(raises->round);
	}
	return NULL;
}

static void who_lets_two_devices_fill_its_counter_blocks_nobody(void **state)
{
	struct raises raises[2] = {{.device = dev}, {.device = rig_device(1, 0)}};
	s32 full = eventfd(0, EFD_CLOEXEC);
	pthread_barrier_t round;

	/* The first one makes the context. */
	assert_int_equal(rig.vfio->raiser.aio, 0);
	raiser_raise(&rig.vfio->raiser, full);
	assert_int_equal(rig_count(full), 1);
	/* Without asynchronous I/O (aio-max-nr, a filter) it cannot be promised. */
	if (rig.vfio->raiser.fd < 0) {
		rig_close(raises[1].device);
		close(full);
		skip();
	}
	pthread_barrier_init(&round, NULL, 3);
	for (int i = 0; i < 2; i++) {
		raises[i].round = &round;
		assert_int_equal(rig_irqs(raises[i].device, FD | TRIG, MSIX, 0, 1, &full), 0);
		assert_int_equal(pthread_create(&raises[i].thread, NULL, raise_on, &raises[i]), 0);
	}
	for (int i = 0; i < RAISES; i++) {
		eventfd_t count = UINT64_MAX - 2;

		/* Room for one of them: who only looked whether there is some would wait. */
		assert_int_equal(eventfd_write(full, count), 0);
		pthread_barrier_wait(&round);
		pthread_barrier_wait(&round);
		assert_int_equal(eventfd_read(full, &count), 0);
		assert_true(count >= UINT64_MAX - 1);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(raises[i].thread, NULL);
	pthread_barrier_destroy(&round);
	rig_close(raises[1].device);
	close(full);
}

/* ---- INTx ---- */

static void intx(bool level)
{
	assert_int_equal(rig_write(dev, TOY_INTX, level, 4), 4);
}

static void intx_masks_itself_and_fires_again_while_it_is_high(void **state)
{
	u8 yes = 1, no = 0;

	assert_int_equal(set(NONE | MASK, INTX, 0, 1, NULL), -EINVAL);
	assert_int_equal(set(NONE | UNMASK, INTX, 0, 1, NULL), -EINVAL);
	assert_int_equal(set(FD | TRIG, INTX, 0, 1, ev), 0);
	intx(true);
	assert_int_equal(rig_count(ev[0]), 1);
	intx(false);
	intx(true);
	assert_int_equal(rig_count(ev[0]), 0); /* masked */
	assert_int_equal(set(BOOL | UNMASK, INTX, 0, 1, &no), 0);
	assert_int_equal(rig_count(ev[0]), 0);
	assert_int_equal(set(BOOL | UNMASK, INTX, 0, 1, &yes), 0);
	assert_int_equal(rig_count(ev[0]), 1); /* still high */
	intx(false);
	assert_int_equal(set(NONE | UNMASK, INTX, 0, 1, NULL), 0);
	assert_int_equal(rig_count(ev[0]), 0);
	assert_int_equal(set(NONE | MASK, INTX, 0, 1, NULL), 0);
	intx(true);
	assert_int_equal(rig_count(ev[0]), 0);
	assert_int_equal(set(NONE | UNMASK, INTX, 0, 1, NULL), 0);
	assert_int_equal(rig_count(ev[0]), 1);
	assert_int_equal(set(NONE | UNMASK, INTX, 1, 0, NULL), -EINVAL);
}

static u32 find_cap(u8 id)
{
	u32 at = rig_config_read(dev, 0x34, 1);

	while (at && rig_config_read(dev, at, 1) != id)
		at = rig_config_read(dev, at + 1, 1);
	assert_true(at);
	return at;
}

/* A reset takes the level away, and nobody is told of it again: by leaving D3hot as by FLR. */
static void intx_is_low_after_any_reset(void **state)
{
	u32 pm = find_cap(1), exp = find_cap(0x10);

	assert_int_equal(set(FD | TRIG, INTX, 0, 1, ev), 0);
	for (u32 i = 0; i < 3; i++) {
		intx(true);
		assert_int_equal(rig_count(ev[0]), 1);
		if (i == 0) {
			rig_config_write(dev, pm + 4, 3, 2);
			rig_config_write(dev, pm + 4, 0, 2);
		} else if (i == 1) {
			rig_config_write(dev, exp + 8, 0x8000, 2);
		} else {
			assert_int_equal(rig_ioctl(dev, VFIO_DEVICE_RESET, NULL), 0);
		}
		assert_int_equal(set(NONE | UNMASK, INTX, 0, 1, NULL), 0);
		assert_int_equal(rig_count(ev[0]), 0);
	}
}

static void intx_that_is_high_when_it_is_turned_on_fires(void **state)
{
	intx(true);
	assert_int_equal(set(FD | TRIG, INTX, 0, 1, ev), 0);
	assert_int_equal(rig_count(ev[0]), 1);
	assert_int_equal(set(NONE | TRIG, INTX, 0, 1, NULL), 0); /* loopback, masked or not */
	assert_int_equal(rig_count(ev[0]), 1);
}

static void the_command_register_disables_intx(void **state)
{
	assert_int_equal(set(FD | TRIG, INTX, 0, 1, ev), 0);
	rig_config_write(dev, 4, 0x402, 2);
	intx(true);
	assert_int_equal(rig_count(ev[0]), 0);
	assert_int_equal(set(NONE | TRIG, INTX, 0, 1, NULL), 0);
	assert_int_equal(rig_count(ev[0]), 0);
	rig_config_write(dev, 4, 2, 2);
	assert_int_equal(rig_count(ev[0]), 1);
}

static bool count_soon(int fd, u64 want)
{
	u64 seen = 0;

	for (int i = 0; i < 60000 && seen < want; i++) {
		seen += rig_count(fd);
		usleep(1000);
	}
	return seen == want;
}

static void an_eventfd_unmasks_intx(void **state)
{
	s32 none = -1;

	assert_int_equal(set(FD | TRIG, INTX, 0, 1, ev), 0);
	assert_int_equal(set(FD | UNMASK, INTX, 0, 1, &ev[1]), 0);
	assert_int_equal(set(FD | UNMASK, INTX, 0, 1, &ev[1]), -EBUSY);
	intx(true);
	assert_int_equal(rig_count(ev[0]), 1);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(eventfd_write(ev[1], 1), 0);
		assert_true(count_soon(ev[0], 1)); /* the level is still there */
	}
	assert_int_equal(rig_count(ev[1]), 0); /* it was taken */
	assert_int_equal(set(FD | UNMASK, INTX, 0, 1, &none), 0);
	assert_int_equal(eventfd_write(ev[1], 1), 0);
	usleep(5000);
	assert_int_equal(rig_count(ev[0]), 0);
	assert_int_equal(set(FD | UNMASK, INTX, 0, 1, &ev[2]), 0);
	/* Off with all of it. */
	assert_int_equal(set(NONE | TRIG, INTX, 0, 0, NULL), 0);
	assert_int_equal(set(FD | UNMASK, INTX, 0, 1, &ev[2]), -EINVAL);
}

/* ---- errors and requests ---- */

static void error_and_request_have_an_eventfd_each(void **state)
{
	s32 none = -1;
	u8 yes = 1;

	for (u32 kind = ERR; kind <= REQ; kind++) {
		assert_int_equal(set(NONE | TRIG, kind, 0, 0, NULL), -EINVAL);
		assert_int_equal(set(NONE | TRIG, kind, 0, 1, NULL), -EINVAL);
		assert_int_equal(set(BOOL | TRIG, kind, 0, 1, &yes), 0);
		assert_int_equal(set(BOOL | TRIG, kind, 0, 0, &yes), -EINVAL);
		assert_int_equal(set(FD | TRIG, kind, 0, 0, NULL), -EINVAL);
		assert_int_equal(set(FD | TRIG, kind, 0, 1, &ev[kind]), 0);
		assert_int_equal(set(NONE | TRIG, kind, 0, 1, NULL), 0);
		assert_int_equal(set(BOOL | TRIG, kind, 0, 1, &yes), 0);
		assert_int_equal(rig_count(ev[kind]), 2);
	}
	rig_write(dev, TOY_FATAL, 1, 4);
	assert_int_equal(rig_count(ev[ERR]), 1);
	assert_int_equal(rig_count(ev[REQ]), 0);
	assert_int_equal(set(FD | TRIG, ERR, 0, 1, &none), 0);
	rig_write(dev, TOY_FATAL, 1, 4);
	assert_int_equal(rig_count(ev[ERR]), 0);
	assert_int_equal(set(NONE | TRIG, REQ, 0, 0, NULL), 0);
	assert_int_equal(set(NONE | TRIG, REQ, 0, 0, NULL), -EINVAL);
}

/* ---- failures ---- */

static void every_failing_step_leaves_the_mode_off(void **state)
{
	bool failed = true;

	for (u32 nth = 1; failed; nth++) {
		long rc;

		iommufd_fail_nth_set(nth);
		rc = set(FD | TRIG, MSIX, 0, TOY_VECTORS, ev);
		failed = !iommufd_fail_nth_get();
		iommufd_fail_nth_set(0);
		assert_int_equal(set(NONE | TRIG, MSIX, 0, 0, NULL), rc ? -EINVAL : 0);
		iommufd_fail_nth_set(nth);
		rc = set(FD | TRIG, INTX, 0, 1, ev);
		assert_int_equal(rc != 0, !iommufd_fail_nth_get());
		rc = set(FD | UNMASK, INTX, 0, 1, &ev[1]);
		failed |= !iommufd_fail_nth_get();
		iommufd_fail_nth_set(0);
		set(NONE | TRIG, INTX, 0, 0, NULL);
		assert_true(nth < 100);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(malformed_requests_are_einval),
		T(actions_a_kind_has_not_are_enotty),
		T(what_is_no_eventfd_is_refused_and_nothing_stays),
		T(only_one_mode_is_on_at_a_time),
		T(each_vector_has_its_eventfd),
		T(vectors_loop_back),
		T(vectors_are_cleared_and_added_while_it_is_on),
		T(the_enable_bit_reads_as_the_mode),
		T(a_full_blocking_counter_blocks_nobody),
		T(who_lets_two_devices_fill_its_counter_blocks_nobody),
		T(intx_masks_itself_and_fires_again_while_it_is_high),
		T(intx_is_low_after_any_reset),
		T(intx_that_is_high_when_it_is_turned_on_fires),
		T(the_command_register_disables_intx),
		T(an_eventfd_unmasks_intx),
		T(error_and_request_have_an_eventfd_each),
		T(every_failing_step_leaves_the_mode_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
