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
	return mem_device_create(space, -1, false, &device);
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

	assert_int_equal(mem_device_create(space, fd, false, &given), 0);
	assert_int_equal(mem_device_create(space, fd, false, &again), -EBUSY);
	assert_int_equal(mem_device_provide(given, PAGE_SIZE, PAGE_SIZE, &run), 0);
	ptr_of(&run)[1] = 'g';
	assert_int_equal(pread(fd, pipe_fds, 2, PAGE_SIZE), 2);
	assert_int_equal(((char *)pipe_fds)[1], 'g');
	mem_device_withdraw(given, PAGE_SIZE, &run);
	mem_device_free(given);
	assert_int_equal(close(fd), 0);

	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(mem_device_create(space, pipe_fds[0], false, &given), -EINVAL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* ---- hiding ---- */

#define FAR (5UL << 40)

/**
 * struct hideable - two stretches of a file, as two BARs are, and the program's mappings of it
 */
struct hideable {
	struct mem_device *device;
	struct mem_part parts[2];
	u8 *ours[2], *theirs[2];
};

static const u64 hideable_pages[2] = { 4, 1 };

static void hideable_begin(struct hideable *h, int fd)
{
	assert_int_equal(mem_device_create(space, fd, true, &h->device), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct mem_part *part = &h->parts[i];

		part->offset = FAR << i;
		assert_int_equal(mem_device_provide(h->device, part->offset,
						    hideable_pages[i] * PAGE_SIZE, &part->run),
				 0);
		h->ours[i] = ptr_of(&part->run);
		h->theirs[i] = mmap(NULL, hideable_pages[i] * PAGE_SIZE, PROT_READ | PROT_WRITE,
				    MAP_SHARED, mem_device_fd(h->device), (off_t)part->offset);
		assert_ptr_not_equal(h->theirs[i], MAP_FAILED);
	}
}

static void hideable_end(struct hideable *h)
{
	for (unsigned int i = 0; i < 2; i++) {
		munmap(h->theirs[i], hideable_pages[i] * PAGE_SIZE);
		mem_device_withdraw(h->device, h->parts[i].offset, &h->parts[i].run);
	}
	mem_device_free(h->device);
}

/* Every page of theirs raises a signal, or none does. */
static void assert_reachable(const struct hideable *h, bool reachable)
{
	for (unsigned int i = 0; i < 2; i++) {
		for (u64 at = 0; at < hideable_pages[i] * PAGE_SIZE; at += PAGE_SIZE) {
			u8 byte = 0;

			assert_int_equal(mem_guard_copy(&byte, h->theirs[i] + at, 1),
					 reachable ? 0 : -EFAULT);
			if (reachable)
				assert_int_equal(byte, h->ours[i][at]);
		}
	}
}

static void hidden_memory_is_a_bus_error_for_others_and_the_same_for_us(void **state)
{
	struct hideable h;
	struct mem_run none;
	void *late;

	hideable_begin(&h, -1);
	h.theirs[0][5] = 5;
	h.theirs[0][3 * PAGE_SIZE] = 33;
	h.ours[1][PAGE_SIZE - 1] = 7;
	for (int round = 0; round < 3; round++) {
		assert_int_equal(mem_device_hide(h.device, h.parts, 2), 0);
		assert_int_equal(mem_device_hide(h.device, h.parts, 2), 0);
		assert_reachable(&h, false);
		assert_int_equal(h.ours[0][5], 5);
		assert_int_equal(h.ours[0][PAGE_SIZE], 0);
		assert_int_equal(h.ours[0][3 * PAGE_SIZE], 33);
		assert_int_equal(h.ours[1][PAGE_SIZE - 1], 7 + round);
		/* What a device does meanwhile is there afterwards. */
		h.ours[1][PAGE_SIZE - 1]++;
		h.ours[0][2 * PAGE_SIZE + (u64)round] = 9;
		/* It can be mapped, and touched later. */
		late = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, mem_device_fd(h.device), FAR);
		assert_ptr_not_equal(late, MAP_FAILED);
		assert_int_equal(mem_device_provide(h.device, 4 * FAR, PAGE_SIZE, &none), -ENOMEM);
		assert_int_equal(mem_device_show(h.device, h.parts, 2), 0);
		assert_int_equal(mem_device_show(h.device, h.parts, 2), 0);
		assert_reachable(&h, true);
		assert_int_equal(((u8 *)late)[5], 5);
		assert_int_equal(h.theirs[1][PAGE_SIZE - 1], 8 + round);
		assert_int_equal(h.theirs[0][2 * PAGE_SIZE + (u64)round], 9);
		/* One memory again. */
		h.theirs[0][6] = (u8)round;
		assert_int_equal(h.ours[0][6], round);
		munmap(late, PAGE_SIZE);
	}
	hideable_end(&h);
}

static void hidden_memory_is_cleared_and_withdrawn_as_any(void **state)
{
	struct hideable h;

	hideable_begin(&h, -1);
	memset(h.ours[0], 1, 4 * PAGE_SIZE);
	h.ours[1][0] = 2;
	assert_int_equal(mem_device_hide(h.device, h.parts, 2), 0);
	mem_device_clear(h.device, h.parts[0].offset, &h.parts[0].run);
	assert_int_equal(h.ours[0][PAGE_SIZE], 0);
	assert_int_equal(h.ours[1][0], 2);
	assert_int_equal(mem_device_show(h.device, h.parts, 2), 0);
	assert_reachable(&h, true);
	assert_int_equal(h.theirs[0][PAGE_SIZE], 0);
	assert_int_equal(h.theirs[1][0], 2);
	assert_int_equal(mem_device_hide(h.device, h.parts, 2), 0);
	hideable_end(&h);
}

static void hiding_that_fails_changes_nothing(void **state)
{
	struct fault_state fault = { 0 };
	bool failed = true;
	struct hideable h;

	hideable_begin(&h, -1);
	h.theirs[0][1] = 1;
	fault_current = &fault;
	for (u32 nth = 1; failed; nth++) {
		bool hidden = nth > 2;

		atomic_store(&fault.nth, nth);
		failed = mem_device_hide(h.device, h.parts, 2) == -ENOMEM;
		atomic_store(&fault.nth, 0);
		assert_int_equal(failed, !hidden);
		assert_reachable(&h, failed);
		assert_int_equal(h.ours[0][1], 1);
	}
	h.ours[0][2] = 2;
	failed = true;
	for (u32 nth = 1; failed; nth++) {
		atomic_store(&fault.nth, nth);
		failed = mem_device_show(h.device, h.parts, 2) == -ENOMEM;
		atomic_store(&fault.nth, 0);
		assert_int_equal(failed, nth < 3);
		assert_reachable(&h, !failed);
		assert_int_equal(h.ours[0][1], 1);
		assert_int_equal(h.ours[0][2], 2);
	}
	fault_current = NULL;
	hideable_end(&h);
}

static void a_sealed_file_is_not_hidden(void **state)
{
	int fd = memfd_new("sealed", MFD_ALLOW_SEALING, 0);
	struct hideable h;

	hideable_begin(&h, fd);
	h.theirs[0][1] = 1;
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(mem_device_hide(h.device, h.parts, 2), -EPERM);
	assert_reachable(&h, true);
	h.theirs[0][1] = 2;
	assert_int_equal(h.ours[0][1], 2);
	hideable_end(&h);
	close(fd);
}

static void a_program_that_changes_the_size_harms_itself(void **state)
{
	int fd = memfd_new("given", 0, 0);
	struct hideable h;
	u8 byte = 0;

	hideable_begin(&h, fd);
	h.theirs[1][0] = 9;
	/* Cut off before: there is nothing to keep. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(mem_guard_copy(&byte, h.ours[1], 1), -EFAULT);
	assert_int_equal(mem_device_hide(h.device, h.parts, 2), 0);
	assert_int_equal(h.ours[1][0], 0);
	h.ours[1][0] = 3;
	/* Grown meanwhile: it has memory, not the device's. */
	assert_int_equal(ftruncate(fd, 4 * FAR), 0);
	assert_int_equal(h.theirs[1][0], 0);
	h.theirs[0][0] = 4;
	assert_int_equal(h.ours[0][0], 0);
	assert_int_equal(mem_device_show(h.device, h.parts, 2), 0);
	assert_int_equal(h.theirs[1][0], 3);
	assert_reachable(&h, true);
	hideable_end(&h);
	close(fd);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(both_sides_see_the_same_bytes),
		T(what_is_provided_is_zero_whatever_was_there),
		T(nobody_can_cut_a_file_of_our_own_off),
		T(a_given_file_is_used_as_it_is),
		T(hidden_memory_is_a_bus_error_for_others_and_the_same_for_us),
		T(hidden_memory_is_cleared_and_withdrawn_as_any),
		T(hiding_that_fails_changes_nothing),
		T(a_sealed_file_is_not_hidden),
		T(a_program_that_changes_the_size_harms_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
