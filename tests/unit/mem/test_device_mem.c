/* SPDX-License-Identifier: MIT */
/* Device memory in a file: the program's mapping and our pointer are the same bytes. */
#include "mem_fixture.h"

#include "mem/device_mem.h"

static struct mem_space *space;
static struct mem_device *device;

static int setup(void **state)
{
	/* whatever the policy, registers are in a row */
	space = space_new(IOMMUFD_FRAMES_RANDOM);
	return mem_device_create(space, -1, &device);
}

static int teardown(void **state)
{
	mem_device_free(device);
	mem_device_free(NULL);
	space_end(space);
	return 0;
}

static u8 *ptr_of(const struct mem_run *run)
{
	u64 len;
	u8 *ptr = mem_phys_ptr(space, run_pa(run), &len);

	assert_non_null(ptr);
	assert_true(len >= (u64)run->npages * PAGE_SIZE);
	return ptr;
}

static void both_sides_see_the_same_bytes(void **state)
{
	struct mem_run run;
	u8 *ours, *theirs;
	u32 contig;

	assert_int_equal(mem_device_provide(device, 3 * PAGE_SIZE, 4 * PAGE_SIZE, &run), 0);
	mem_run_phys(&run, 0, &contig);
	assert_int_equal(contig, 4);
	ours = ptr_of(&run);
	theirs = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      mem_device_fd(device), 3 * PAGE_SIZE);
	assert_ptr_not_equal(theirs, MAP_FAILED);
	ours[0] = 1;
	theirs[4 * PAGE_SIZE - 1] = 2;
	assert_int_equal(theirs[0], 1);
	assert_int_equal(ours[4 * PAGE_SIZE - 1], 2);
	munmap(theirs, 4 * PAGE_SIZE);
	mem_device_withdraw(device, 3 * PAGE_SIZE, &run);
}

static void what_is_provided_is_zero_whatever_was_there(void **state)
{
	struct mem_run run;
	u8 *ptr;

	assert_int_equal(mem_device_provide(device, PAGE_SIZE, PAGE_SIZE, &run), 0);
	ptr = ptr_of(&run);
	ptr[7] = 1;
	mem_device_withdraw(device, PAGE_SIZE, &run);
	assert_int_equal(pwrite(mem_device_fd(device), "scribble", 8, PAGE_SIZE), 8);
	assert_int_equal(mem_device_provide(device, PAGE_SIZE, PAGE_SIZE, &run), 0);
	ptr = ptr_of(&run);
	assert_int_equal(ptr[0], 0);
	assert_int_equal(ptr[7], 0);
	mem_device_withdraw(device, PAGE_SIZE, &run);
}

static void nobody_can_cut_a_file_of_our_own_off(void **state)
{
	struct mem_run run;

	assert_int_equal(mem_device_provide(device, 0, 2 * PAGE_SIZE, &run), 0);
	assert_int_equal(ftruncate(mem_device_fd(device), PAGE_SIZE), -1);
	mem_device_withdraw(device, 0, &run);
}

static void a_given_file_is_used_as_it_is(void **state)
{
	int fd = memfd_new("given", 0, 0), pipe_fds[2];
	struct mem_device *given, *again;
	struct mem_run run;

	assert_int_equal(mem_device_create(space, fd, &given), 0);
	assert_int_equal(mem_device_create(space, fd, &again), -EBUSY);
	assert_int_equal(mem_device_provide(given, PAGE_SIZE, PAGE_SIZE, &run), 0);
	ptr_of(&run)[1] = 'g';
	assert_int_equal(pread(fd, pipe_fds, 2, PAGE_SIZE), 2);
	assert_int_equal(((char *)pipe_fds)[1], 'g');
	mem_device_withdraw(given, PAGE_SIZE, &run);
	mem_device_free(given);
	assert_int_equal(close(fd), 0);

	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(mem_device_create(space, pipe_fds[0], &given), -EINVAL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(both_sides_see_the_same_bytes),
		T(what_is_provided_is_zero_whatever_was_there),
		T(nobody_can_cut_a_file_of_our_own_off),
		T(a_given_file_is_used_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
