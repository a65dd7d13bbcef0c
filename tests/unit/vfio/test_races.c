/* SPDX-License-Identifier: MIT */
/* What may happen at the same time; most of it is for a sanitizer to judge. */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#include "mem/mem.h"

#define PG     4096UL
#define ROUNDS 60

static _Atomic bool stop;
static int shared_fd, shared_ioas;
static s32 shared_ev[TOY_VECTORS];

struct thread {
	pthread_t thread;
	_Atomic u32 done;
};

static void run(struct thread *t, void *(*fn)(void *))
{
	t->done = 0;
	assert_int_equal(pthread_create(&t->thread, NULL, fn, t), 0);
}

static void *raises(void *arg)
{
	while (!stop) {
		pci_raise(&rig.toys[0]->pdev, 1);
		pci_intx(&rig.toys[0]->pdev, true);
		pci_intx(&rig.toys[0]->pdev, false);
		((struct thread *)arg)->done++;
	}
	return NULL;
}

static int begin(void **state)
{
	stop = false;
	for (u32 i = 0; i < TOY_VECTORS; i++)
		shared_ev[i] = rig_eventfd();
	return rig_begin(state);
}

static int end(void **state)
{
	for (u32 i = 0; i < TOY_VECTORS; i++)
		close(shared_ev[i]);
	return rig_end(state);
}

static void join(struct thread *t)
{
	stop = true;
	pthread_join(t->thread, NULL);
}

static void closing_against_interrupts(void **state)
{
	struct thread t;

	run(&t, raises);
	for (int i = 0; i < ROUNDS; i++) {
		int fd = rig_device(0, 0);

		rig_config_write(fd, 4, 6, 2);
		assert_int_equal(rig_irqs(fd,
					  VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
					  i % 2 ? VFIO_PCI_MSIX_IRQ_INDEX : VFIO_PCI_INTX_IRQ_INDEX,
					  0, i % 2 ? 2 : 1, shared_ev),
				 0);
		rig_close(fd);
	}
	join(&t);
}

static void *sets(void *arg)
{
	const u32 trigger = VFIO_IRQ_SET_ACTION_TRIGGER;

	while (!stop) {
		rig_irqs(shared_fd, VFIO_IRQ_SET_DATA_EVENTFD | trigger, VFIO_PCI_MSIX_IRQ_INDEX,
			 0, TOY_VECTORS, shared_ev);
		rig_irqs(shared_fd, VFIO_IRQ_SET_DATA_NONE | trigger, VFIO_PCI_MSIX_IRQ_INDEX, 0,
			 TOY_VECTORS, NULL);
		rig_irqs(shared_fd, VFIO_IRQ_SET_DATA_NONE | trigger, VFIO_PCI_MSIX_IRQ_INDEX, 0,
			 0, NULL);
		rig_irqs(shared_fd, VFIO_IRQ_SET_DATA_EVENTFD | trigger, VFIO_PCI_INTX_IRQ_INDEX,
			 0, 1, shared_ev);
		rig_irqs(shared_fd, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
			 VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &shared_ev[1]);
		eventfd_write(shared_ev[1], 1);
		rig_irqs(shared_fd, VFIO_IRQ_SET_DATA_NONE | trigger, VFIO_PCI_INTX_IRQ_INDEX, 0,
			 0, NULL);
		((struct thread *)arg)->done++;
	}
	return NULL;
}

static void setting_interrupts_on_two_threads_while_they_come(void **state)
{
	struct thread a, b, c;

	shared_fd = rig_device(0, 0);
	rig_config_write(shared_fd, 4, 6, 2);
	run(&a, sets);
	run(&b, sets);
	run(&c, raises);
	while (a.done < ROUNDS || b.done < ROUNDS)
		usleep(1000);
	join(&a);
	join(&b);
	join(&c);
	/* Whoever was last turned all of it off. */
	assert_int_equal(rig_irqs(shared_fd,
				  VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				  VFIO_PCI_MSIX_IRQ_INDEX, 0, 2, shared_ev),
			 0);
	rig_close(shared_fd);
}

static void *touches(void *arg)
{
	while (!stop) {
		s64 got = rig_read(shared_fd, TOY_SCRATCH, 8);

		assert_true(got == 0 || got == 7 || got == -EIO);
		rig_write(shared_fd, TOY_SCRATCH, 7, 8);
		((struct thread *)arg)->done++;
	}
	return NULL;
}

static void resetting_against_registers(void **state)
{
	bool decodes = true;
	struct thread t;
	void *va;

	shared_fd = rig_device(0, 0);
	assert_int_equal(iommufd_mmap(rig.proc, NULL, TOY_BAR0, PROT_READ | PROT_WRITE, MAP_SHARED,
				      shared_fd, PCI_REGION_OFFSET(0), &va),
			 0);
	run(&t, touches);
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(rig_ioctl(shared_fd, VFIO_DEVICE_RESET, NULL), 0);
		/* As a store, but for the signal. */
		assert_int_equal(mem_guard_copy((u64 *)va + 0x100, &i, sizeof(i)),
				 decodes ? 0 : -EFAULT);
		decodes = i % 2;
		rig_config_write(shared_fd, 4, decodes ? 2 : 0, 2);
	}
	join(&t);
	iommufd_munmap(rig.proc, va, TOY_BAR0);
	rig_close(shared_fd);
}

static void *opens(void *arg)
{
	while (!stop) {
		int fd = rig_open("/dev/vfio/devices/vfio0");

		/* It comes and goes. */
		assert_true(fd >= 0 || fd == -ENOENT || fd == -ENODEV);
		if (fd < 0)
			continue;
		if (!rig_bind(fd, rig.iommu, NULL))
			rig_attach(fd, (u32)shared_ioas, NULL);
		rig_close(fd);
		((struct thread *)arg)->done++;
	}
	return NULL;
}

static void removing_against_opening(void **state)
{
	struct thread a, b;

	shared_ioas = (int)rig_ioas();
	run(&a, opens);
	run(&b, opens);
	for (int i = 0; i < 20; i++) {
		pci_dev_remove(&rig.toys[0]->pdev);
		rig.toys[0] = toy_add(rig.topology, PCI_ADDR(1, 0, 0), rig_access, 0);
	}
	join(&a);
	join(&b);
}

static _Atomic u32 group_opens;

/* A function of bus 3, again and again; those of one device that promises nothing are one group. */
static void *plugs(void *arg)
{
	static _Atomic u8 functions;
	u8 function = functions++ % 2;

	for (int i = 0; i < ROUNDS; i++) {
		struct toy *toy = toy_add(rig.topology, PCI_ADDR(3, 0, function), rig_access,
					  TOY_NO_ACS);

		/* The first ones stay until they have been opened. */
		while (!group_opens)
			usleep(100);
		pci_dev_remove(&toy->pdev);
	}
	return NULL;
}

/* By the group's node, whichever of its devices is there. */
static void *opens_groups(void *arg)
{
	int container = rig_open("/dev/vfio/vfio");

	while (!stop) {
		int group = rig_open("/dev/vfio/3"), fd;

		assert_true(group >= 0 || group == -ENOENT || group == -ENODEV);
		if (group < 0)
			continue;
		rig_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container);
		rig_ioctl(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU);
		fd = (int)rig_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, (void *)"0000:03:00.0");
		if (fd >= 0) {
			assert_int_equal(rig_read(fd, TOY_ID, 4), TOY_MAGIC);
			rig_close(fd);
			group_opens++;
		}
		rig_close(group);
	}
	rig_close(container);
	return NULL;
}

static void devices_of_one_group_come_and_go_together(void **state)
{
	struct thread a, b, c;

	group_opens = 0;
	run(&a, plugs);
	run(&b, plugs);
	run(&c, opens_groups);
	pthread_join(a.thread, NULL);
	pthread_join(b.thread, NULL);
	join(&c);
}

static u8 shared_token[16] = {1, 2, 3};
static _Atomic u32 vf_binds;

/* A VF that may be gone at any step. */
static void use_vf(u32 minor)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind),
						.iommufd = rig.iommu,
						.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
						.token_uuid_ptr = (uintptr_t)shared_token};
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", minor);
	fd = rig_open(path);
	if (fd < 0)
		return;
	if (!rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind)) {
		rig_attach(fd, (u32)shared_ioas, NULL);
		rig_write(fd, TOY_SCRATCH, 1, 8);
		rig_irqs(fd, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 VFIO_PCI_MSIX_IRQ_INDEX, 0, 2, shared_ev);
		rig_ioctl(fd, VFIO_DEVICE_RESET, NULL);
		vf_binds++;
	}
	rig_close(fd);
}

static void *opens_vfs(void *arg)
{
	for (u32 i = 0; !stop; i++)
		use_vf(3 + i % 2);
	return NULL;
}

static void *resets(void *arg)
{
	while (!stop)
		rig_ioctl(shared_fd, VFIO_DEVICE_RESET, NULL);
	return NULL;
}

/* Whose VFs are used keeps them: who wants them gone asks again. */
static void vfs_come_and_go_against_opening(void **state)
{
	struct {
		struct vfio_device_feature head;
		u8 token[16];
	} set = {.head = {.argsz = sizeof(set),
			  .flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN}};
	struct thread a, b, c;
	int rc;

	shared_ioas = (int)rig_ioas();
	shared_fd = rig_device(0, 0);
	memcpy(set.token, shared_token, sizeof(shared_token));
	assert_int_equal(rig_ioctl(shared_fd, VFIO_DEVICE_FEATURE, &set), 0);
	run(&a, opens_vfs);
	run(&b, opens_vfs);
	run(&c, resets);
	for (int i = 0; i < 20; i++) {
		u32 before = vf_binds;

		assert_int_equal(pci_sriov_set(&rig.toys[0]->pdev, 2), 0);
		while (vf_binds < before + 4)
			usleep(100);
		do
			rc = pci_sriov_set(&rig.toys[0]->pdev, 0);
		while (rc == -EBUSY);
		assert_int_equal(rc, 0);
	}
	join(&a);
	join(&b);
	join(&c);
	rig_close(shared_fd);
}

static int begin_sriov(void **state)
{
	rig_toy_flags = TOY_SRIOV;
	return begin(state);
}

static void *removes(void *arg)
{
	pci_dev_remove(&rig.toys[0]->pdev);
	((struct thread *)arg)->done = 1;
	return NULL;
}

static void a_device_that_goes_asks_its_user_and_waits(void **state)
{
	struct thread t;
	u64 asked = 0;

	shared_fd = rig_device(0, rig_ioas());
	assert_int_equal(rig_irqs(shared_fd,
				  VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				  VFIO_PCI_REQ_IRQ_INDEX, 0, 1, shared_ev),
			 0);
	run(&t, removes);
	while (!asked) {
		asked = rig_count(shared_ev[0]);
		usleep(1000);
	}
	assert_int_equal(t.done, 0);
	assert_int_equal(rig_open("/dev/vfio/devices/vfio0"), -ENOENT);
	assert_int_equal(rig_read(shared_fd, TOY_ID, 4), TOY_MAGIC);
	rig_close(shared_fd);
	pthread_join(t.thread, NULL);
	assert_int_equal(t.done, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(closing_against_interrupts),
		T(setting_interrupts_on_two_threads_while_they_come),
		T(resetting_against_registers),
		T(removing_against_opening),
		T(devices_of_one_group_come_and_go_together),
		cmocka_unit_test_setup_teardown(vfs_come_and_go_against_opening, begin_sriov, end),
		T(a_device_that_goes_asks_its_user_and_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
