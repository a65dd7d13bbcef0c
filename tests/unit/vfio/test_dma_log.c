/* SPDX-License-Identifier: MIT */
/* DMA_LOGGING: what a device has written, as a program asks for it. */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#define PG	4096UL
#define BASE	0x10000000UL
#define PAGES	64UL
#define GET	VFIO_DEVICE_FEATURE_GET
#define SET	VFIO_DEVICE_FEATURE_SET
#define PROBE	VFIO_DEVICE_FEATURE_PROBE
#define START	VFIO_DEVICE_FEATURE_DMA_LOGGING_START
#define STOP	VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
#define REPORT	VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT

typedef struct vfio_device_feature_dma_logging_range log_range;

static u64 *memory;

static long feature(int fd, u32 flags, void *data, size_t len)
{
	struct {
		struct vfio_device_feature head;
		u8 data[64];
	} cmd = {.head = {.argsz = (u32)(8 + len), .flags = flags}};
	long rc;

	if (len)
		memcpy(cmd.head.data, data, len);
	rc = rig_ioctl(fd, VFIO_DEVICE_FEATURE, &cmd);
	if (len)
		memcpy(data, cmd.head.data, len);
	return rc;
}

static long start_with(int fd, u64 page_size, const log_range *ranges, u32 n, u64 *ret_page_size)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = page_size, .num_ranges = n, .ranges = (uintptr_t)ranges};
	long rc = feature(fd, START | SET, &control, sizeof(control));

	if (ret_page_size)
		*ret_page_size = control.page_size;
	return rc;
}

static long start(int fd, const log_range *ranges, u32 n)
{
	return start_with(fd, PG, ranges, n, NULL);
}

static long report(int fd, u64 iova, u64 length, u64 page_size, void *bitmap)
{
	struct vfio_device_feature_dma_logging_report get = {
		.iova = iova, .length = length, .page_size = page_size,
		.bitmap = (uintptr_t)bitmap};

	return feature(fd, REPORT | GET, &get, sizeof(get));
}

/* The bitmap of all there is. */
static u64 written(int fd)
{
	u64 bitmap = 0;

	assert_int_equal(report(fd, BASE, PAGES * PG, PG, &bitmap), 0);
	return bitmap;
}

static void dma(int fd, u64 iova, bool write)
{
	rig_write(fd, TOY_DMA_ADDR, iova, 8);
	rig_write(fd, TOY_DMA_GO, write ? 1 : 2, 8);
}

static const log_range everything = {BASE, PAGES * PG};

static int begin(void **state)
{
	int rc = rig_begin(state);

	memory = mmap(NULL, PAGES * PG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return rc;
}

static int end(void **state)
{
	munmap(memory, PAGES * PG);
	return rig_end(state);
}

static int device(void)
{
	u32 ioas = rig_ioas();
	int fd = rig_device(0, ioas);

	assert_int_equal(rig_map(ioas, memory, PAGES * PG, BASE), 0);
	rig_config_write(fd, 4, 6, 2); /* memory, bus master */
	return fd;
}

static void what_was_written_is_told_once(void **state)
{
	int fd = device();

	dma(fd, BASE, true);
	assert_int_equal(start(fd, &everything, 1), 0);
	assert_int_equal(written(fd), 0); /* it was before */
	dma(fd, BASE + 3 * PG + 8, true);
	dma(fd, BASE + 5 * PG, false);
	dma(fd, BASE + 63 * PG + PG - 8, true);
	assert_int_equal(rig_read(fd, TOY_DMA_RC, 8), 0);
	assert_true(written(fd) == (BIT_ULL(3) | BIT_ULL(63)));
	assert_int_equal(written(fd), 0);
	dma(fd, BASE + 3 * PG, true);
	assert_true(written(fd) == BIT_ULL(3));
	rig_close(fd);
}

static void only_the_ranges_are_logged(void **state)
{
	const log_range ranges[] = {{BASE + 8 * PG, PG}, {BASE + 2 * PG, 2 * PG}};
	int fd = device();

	assert_int_equal(start(fd, ranges, 2), 0);
	for (u64 i = 0; i < 16; i++)
		dma(fd, BASE + i * PG, true);
	assert_true(written(fd) == (BIT_ULL(2) | BIT_ULL(3) | BIT_ULL(8)));
	rig_close(fd);
}

static void a_report_adds_bits_at_the_page_size_it_asks_for(void **state)
{
	u64 bitmap = BIT_ULL(7);
	int fd = device();

	assert_int_equal(start(fd, &everything, 1), 0);
	dma(fd, BASE + 5 * PG, true);
	assert_int_equal(report(fd, BASE, PAGES * PG, 4 * PG, &bitmap), 0);
	assert_true(bitmap == (BIT_ULL(7) | BIT_ULL(1)));
	/* Half a page is told of and kept. */
	dma(fd, BASE + 9 * PG, true);
	bitmap = 0;
	assert_int_equal(report(fd, BASE + 9 * PG + 512, PG, PG, &bitmap), 0);
	assert_true(bitmap == BIT_ULL(0));
	assert_true(written(fd) == BIT_ULL(9));
	/* A part that was not asked for stays. */
	dma(fd, BASE + 10 * PG, true);
	dma(fd, BASE + 20 * PG, true);
	bitmap = 0;
	assert_int_equal(report(fd, BASE + 16 * PG, 16 * PG, PG, &bitmap), 0);
	assert_true(bitmap == BIT_ULL(4));
	assert_true(written(fd) == BIT_ULL(10));
	rig_close(fd);
}

static void a_report_that_fails_forgets_nothing(void **state)
{
	void *hole = mmap(NULL, PG, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = device();

	assert_int_equal(start(fd, &everything, 1), 0);
	dma(fd, BASE + PG, true);
	dma(fd, BASE + 40 * PG, true);
	assert_int_equal(report(fd, BASE, PAGES * PG, PG, hole), -EFAULT);
	assert_true(written(fd) == (BIT_ULL(1) | BIT_ULL(40)));
	munmap(hole, PG);
	rig_close(fd);
}

static void sessions_begin_and_end(void **state)
{
	u64 bitmap = 0, page_size;
	int fd = device();

	assert_int_equal(feature(fd, START | SET | PROBE, NULL, 0), 0);
	assert_int_equal(feature(fd, STOP | SET | PROBE, NULL, 0), 0);
	assert_int_equal(feature(fd, REPORT | GET | PROBE, NULL, 0), 0);
	assert_int_equal(feature(fd, REPORT | SET | PROBE, NULL, 0), -EINVAL);
	assert_int_equal(report(fd, BASE, PG, PG, &bitmap), -EINVAL);
	assert_int_equal(feature(fd, STOP | SET, NULL, 0), 0);
	assert_int_equal(start_with(fd, 16 * PG, &everything, 1, &page_size), 0);
	assert_int_equal(page_size, PG);
	assert_int_equal(start(fd, &everything, 1), -EINVAL);
	dma(fd, BASE, true);
	assert_int_equal(feature(fd, STOP | SET, NULL, 0), 0);
	dma(fd, BASE + PG, true);
	assert_int_equal(start(fd, &everything, 1), 0);
	assert_int_equal(written(fd), 0);
	/* It ends with the device. */
	rig_close(fd);
	fd = device();
	assert_int_equal(report(fd, BASE, PG, PG, &bitmap), -EINVAL);
	assert_int_equal(start(fd, &everything, 1), 0);
	rig_close(fd);
}

static void what_makes_no_sense_is_refused(void **state)
{
	log_range many[257], two[2] = {{0, 2 * PG}, {PG, 2 * PG}};
	int fd = device();
	u64 bitmap = 0;

	for (u64 i = 0; i < 257; i++)
		many[i] = (log_range){i * PG, PG};
	assert_int_equal(start(fd, many, 0), -EINVAL);
	assert_int_equal(start(fd, many, 257), -E2BIG);
	assert_int_equal(start(fd, two, 2), -EINVAL);
	assert_int_equal(start(fd, &(log_range){512, PG}, 1), -EINVAL);
	assert_int_equal(start(fd, &(log_range){0, PG + 1}, 1), -EINVAL);
	assert_int_equal(start(fd, &(log_range){0, 0}, 1), -EINVAL);
	assert_int_equal(start(fd, &(log_range){-2 * PG, 4 * PG}, 1), -EOVERFLOW);
	assert_int_equal(start_with(fd, 4 * PG, &(log_range){PG, 4 * PG}, 1, NULL), -EINVAL);
	assert_int_equal(start_with(fd, 2048, &everything, 1, NULL), -EINVAL);
	assert_int_equal(start_with(fd, 3 * PG, &everything, 1, NULL), -EINVAL);
	assert_int_equal(start(fd, (void *)8, 1), -EFAULT);
	assert_int_equal(start(fd, many, 256), 0);
	assert_int_equal(report(fd, BASE, PG, 2048, &bitmap), -EINVAL);
	assert_int_equal(report(fd, BASE, PG, 3 * PG, &bitmap), -EINVAL);
	assert_int_equal(report(fd, BASE, 0, PG, &bitmap), -EINVAL);
	assert_int_equal(report(fd, -PG, 2 * PG, PG, &bitmap), -EOVERFLOW);
	rig_close(fd);
}

static void the_whole_address_space_can_be_logged(void **state)
{
	log_range all = {0, -PG};
	u64 bitmap = 0;
	int fd = device();

	assert_int_equal(start(fd, &all, 1), 0);
	dma(fd, BASE + 7 * PG, true);
	assert_int_equal(report(fd, BASE + (1UL << 40), 1UL << 50, PG, &bitmap), 0);
	assert_int_equal(bitmap, 0);
	assert_true(written(fd) == BIT_ULL(7));
	rig_close(fd);
}

/* ---- threads ---- */

#define WRITERS 3
#define ROUNDS	400

static int shared_fd;

/* Each its own pages; a value that the page held when it was not yet in the log is a lost write. */
static void *writes(void *arg)
{
	u64 n = (uintptr_t)arg;

	for (u32 i = 0; i < ROUNDS; i++) {
		struct iommufd_dma_fault fault;
		u64 value = i + 1, iova = BASE + (n + WRITERS * (i % 16)) * PG;

		if (iommufd_dma_write(&rig.toys[0]->pdev.dev, IOMMU_NO_PASID, iova, &value,
				      sizeof(value), &fault))
			return &rig;
	}
	return NULL;
}

static void *restarts(void *arg)
{
	for (u32 i = 0; i < ROUNDS / 4; i++)
		if (feature(shared_fd, STOP | SET, NULL, 0) || start(shared_fd, &everything, 1))
			return &rig;
	return NULL;
}

static void no_write_is_lost_between_reports(void **state)
{
	static u64 copy[PAGES];
	pthread_t threads[WRITERS];
	void *failed;

	shared_fd = device();
	memset(copy, 0, sizeof(copy));
	assert_int_equal(start(shared_fd, &everything, 1), 0);
	for (uintptr_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, writes, (void *)i), 0);
	for (u32 i = 0; i <= ROUNDS; i++) {
		u64 bits;

		if (i == ROUNDS)
			for (u32 n = 0; n < WRITERS; n++) {
				pthread_join(threads[n], &failed);
				assert_null(failed);
			}
		/* As who migrates does: read the log, then copy what is in it. */
		bits = written(shared_fd);
		for (u64 page = 0; page < PAGES; page++)
			if (bits & BIT_ULL(page))
				copy[page] = __atomic_load_n(&memory[page * PG / 8],
							     __ATOMIC_RELAXED);
	}
	for (u64 page = 0; page < PAGES; page++)
		assert_int_equal(copy[page], memory[page * PG / 8]);
	rig_close(shared_fd);
}

static void starting_and_stopping_against_writes(void **state)
{
	pthread_t threads[WRITERS + 1];
	void *failed;

	shared_fd = device();
	assert_int_equal(start(shared_fd, &everything, 1), 0);
	for (uintptr_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, writes, (void *)i), 0);
	assert_int_equal(pthread_create(&threads[WRITERS], NULL, restarts, NULL), 0);
	for (u32 i = 0; i <= WRITERS; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	dma(shared_fd, BASE, true);
	assert_true(written(shared_fd) & BIT_ULL(0));
	rig_close(shared_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_written_is_told_once, begin, end),
		cmocka_unit_test_setup_teardown(only_the_ranges_are_logged, begin, end),
		cmocka_unit_test_setup_teardown(a_report_adds_bits_at_the_page_size_it_asks_for,
						begin, end),
		cmocka_unit_test_setup_teardown(a_report_that_fails_forgets_nothing, begin, end),
		cmocka_unit_test_setup_teardown(sessions_begin_and_end, begin, end),
		cmocka_unit_test_setup_teardown(what_makes_no_sense_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(the_whole_address_space_can_be_logged, begin, end),
		cmocka_unit_test_setup_teardown(no_write_is_lost_between_reports, begin, end),
		cmocka_unit_test_setup_teardown(starting_and_stopping_against_writes, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
