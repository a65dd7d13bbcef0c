/* SPDX-License-Identifier: MIT */
/*
 * An emulated device as its driver sees it, in each way to its registers.
 */
#include "rig.h"

#include <sys/mman.h>
#include <time.h>

#include "devices/devices.h"

#define PG     4096u
#define LENGTH (40 * PG)
#define IOVA   0x100000ULL

enum { ID = 0, SOURCE = 0x8, TARGET = 0x10, LEN = 0x18, GO = 0x20, STATUS = 0x28 };

static enum pci_access mover_access;
static struct pci_dev *mover;
static u32 ioas;
static int fd;
static u8 *memory;

static int begin(void **state)
{
	char error[100];

	if (rig_begin(state) ||
	    mover_model.create(rig.system, NULL, 0, &mover, error, sizeof(error)))
		return -1;
	mover->access = mover_access;
	if (pci_dev_add(rig.topology, mover, PCI_ADDR(3, 0, 0), NULL) ||
	    vfio_add_emulated(rig.vfio, mover))
		return -1;
	ioas = rig_ioas();
	fd = rig_device(3, ioas);
	memory = mmap(NULL, 2 * LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return fd < 0 || rig_map(ioas, memory, 2 * LENGTH, IOVA);
}

static int begin_poll(void **state)
{
	mover_access = PCI_ACCESS_POLL;
	return begin(state);
}

static int begin_calls(void **state)
{
	mover_access = PCI_ACCESS_NO_MMAP;
	return begin(state);
}

static int end(void **state)
{
	rig_close(fd);
	munmap(memory, 2 * LENGTH);
	return rig_end(state);
}

/* Its status, or -1: it is still at it after a minute. */
static s64 copy(u64 source, u64 target, u64 length)
{
	const struct timespec pause = {.tv_nsec = 100000};

	rig_write(fd, SOURCE, source, 8);
	rig_write(fd, TARGET, target, 8);
	rig_write(fd, LEN, length, 8);
	rig_write(fd, GO, 1, 4);
	for (int i = 0; i < 600000; i++) {
		if (!rig_read(fd, GO, 4))
			return rig_read(fd, STATUS, 8);
		nanosleep(&pause, NULL);
	}
	return -1;
}

static void it_copies_memory_of_its_ioas(void **state)
{
	assert_int_equal(rig_read(fd, ID, 4), 0x52564f4d);
	for (u32 i = 0; i < LENGTH; i++)
		memory[i] = (u8)(i * 7 + i / PG);
	assert_int_equal(copy(IOVA + 5, IOVA + LENGTH + 11, LENGTH - 20), 0);
	assert_memory_equal(memory + 5, memory + LENGTH + 11, LENGTH - 20);
	assert_int_equal(memory[LENGTH + 10], 0);
	assert_int_equal(memory[2 * LENGTH - 9], 0);
}

static void what_it_cannot_reach_is_its_status(void **state)
{
	assert_int_equal(copy(IOVA, IOVA + 2 * LENGTH, PG), ENOENT);
	assert_int_equal(copy(IOVA, ~0ULL - 7, PG), EOVERFLOW);
	assert_int_equal(copy(IOVA, IOVA, 0), EINVAL);
	assert_int_equal(copy(IOVA, IOVA, ~0ULL), EINVAL);
	assert_int_equal(rig_write(fd, STATUS, 1, 8), 8);
	assert_int_equal(rig_read(fd, STATUS, 8), 0);
}

static void it_interrupts_when_it_is_done(void **state)
{
	int event = rig_eventfd();

	assert_int_equal(rig_irqs(fd, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				  VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &event),
			 0);
	rig_config_write(fd, 4, 6, 2); /* messages need bus mastering */
	assert_int_equal(copy(IOVA, IOVA + PG, PG), 0);
	for (int i = 0; rig_count(event) != 1; i++) {
		const struct timespec pause = {.tv_nsec = 1000000};

		assert_true(i < 60000);
		nanosleep(&pause, NULL);
	}
	close(event);
}

static void without_an_ioas_it_reaches_nothing(void **state)
{
	struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};

	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
	assert_int_equal(copy(IOVA, IOVA + PG, PG), ENOENT);
}

static void an_option_it_does_not_know_is_named(void **state)
{
	const struct device_option option = {.key = "colour", .value = "red"};
	struct pci_dev *other;
	char error[100] = "";

	assert_int_equal(mover_model.create(rig.system, &option, 1, &other, error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "colour"));
}

int main(void)
{
#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, begin_poll, end),                                    \
		cmocka_unit_test_setup_teardown(test, begin_calls, end)
	const struct CMUnitTest tests[] = {
		BOTH(it_copies_memory_of_its_ioas),	   BOTH(what_it_cannot_reach_is_its_status),
		BOTH(it_interrupts_when_it_is_done),	   BOTH(without_an_ioas_it_reaches_nothing),
		BOTH(an_option_it_does_not_know_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
