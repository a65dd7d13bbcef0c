/* SPDX-License-Identifier: MIT */
/*
 * Pins of this process's own memory, trusted and looked up.
 */
#include "mem_fixture.h"

struct world {
	struct mem_space *space;
	struct mm *mm;
};

static int setup(void **state, bool trusted)
{
	struct world *w = calloc(1, sizeof(*w));

	w->space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);
	assert_int_equal(mm_create_self(w->space, trusted, &w->mm), 0);
	*state = w;
	return 0;
}

static int setup_trusted(void **state)
{
	return setup(state, true);
}

static int setup_exact(void **state)
{
	return setup(state, false);
}

static int teardown(void **state)
{
	struct world *w = *state;

	mm_put(w->mm);
	space_end(w->space);
	free(w);
	return 0;
}

static void a_pin_is_counted_and_leads_to_the_memory(void **state)
{
	struct world *w = *state;
	u8 *buf = map_memory(2 * PAGE_SIZE, MAP_PRIVATE, -1);
	struct mem_run run, again;
	char text[8] = "";

	strcpy((char *)buf + PAGE_SIZE, "before");
	assert_int_equal(mem_pin_va(w->mm, (uintptr_t)buf, 2, true, &run), 2);
	assert_int_equal(mem_space_pins(w->space), 2);
	assert_page(w->mm, buf, run_pa(&run), 1, false);
	assert_page(w->mm, buf + PAGE_SIZE + 77, run_pa(&run) + PAGE_SIZE, 1, false);
	assert_int_equal(pin_one(w->mm, buf, false, &again), 1);
	assert_int_equal(run_pa(&again), run_pa(&run));
	assert_page(w->mm, buf, run_pa(&run), 2, false);
	mem_run_pin_again(&run);
	assert_page(w->mm, buf, run_pa(&run), 3, false);
	assert_int_equal(mem_run_read(&run, PAGE_SIZE, text, 7), 0);
	assert_string_equal(text, "before");
	assert_int_equal(mem_run_write(&run, PAGE_SIZE, "after!", 7), 0);
	assert_string_equal((char *)buf + PAGE_SIZE, "after!");
	mem_unpin(&run);
	mem_unpin(&run);
	mem_unpin(&again);
	assert_page(w->mm, buf, run_pa(&run), 0, false);
	munmap(buf, 2 * PAGE_SIZE);
}

static void memory_never_pinned_has_no_frame(void **state)
{
	struct world *w = *state;
	u8 *buf = map_memory(PAGE_SIZE, MAP_PRIVATE, -1);
	u64 pa, pins;
	bool huge;

	assert_page(w->mm, buf, MEM_NO_PHYS, 0, false);
	munmap(buf, PAGE_SIZE);
	assert_int_equal(mem_va_page(w->mm, (uintptr_t)buf, &pa, &pins, &huge), -EFAULT);
}

static void what_is_not_mapped_or_not_permitted_is_a_fault(void **state)
{
	struct world *w = *state;
	u8 *buf = map_memory(3 * PAGE_SIZE, MAP_PRIVATE, -1);
	struct mem_run run;

	munmap(buf + PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(pin_one(w->mm, buf + PAGE_SIZE, false, &run), -EFAULT);
	assert_int_equal(pin_one(w->mm, buf + PAGE_SIZE, true, &run), -EFAULT);
	assert_int_equal(mprotect(buf, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(pin_one(w->mm, buf, true, &run), -EFAULT);
	assert_int_equal(pin_one(w->mm, buf, false, &run), 1);
	mem_unpin(&run);
	assert_int_equal(mprotect(buf, PAGE_SIZE, PROT_NONE), 0);
	assert_int_equal(pin_one(w->mm, buf, false, &run), -EFAULT);
	assert_int_equal(pin_one(w->mm, NULL, false, &run), -EFAULT);
	munmap(buf, 3 * PAGE_SIZE);
}

static void the_last_page_of_the_address_space_overflows(void **state)
{
	struct world *w = *state;
	struct mem_run run;
	u64 pa, pins;
	bool huge;

	assert_int_equal(mem_pin_va(w->mm, PAGE_MASK, 1, true, &run), -EOVERFLOW);
	assert_int_equal(mem_pin_va(w->mm, PAGE_MASK - PAGE_SIZE, 2, true, &run), -EFAULT);
	assert_int_equal(mem_pin_va(w->mm, 1UL << 63, 1, false, &run), -EFAULT);
	assert_int_equal(mem_va_page(w->mm, PAGE_MASK + 5, &pa, &pins, &huge), -EOVERFLOW);
}

static void a_run_ends_before_the_first_hole_it_meets(void **state)
{
	struct world *w = *state;
	u8 *buf = map_memory(16 * PAGE_SIZE, MAP_PRIVATE, -1);
	u64 at = 0;

	munmap(buf + 5 * PAGE_SIZE, 11 * PAGE_SIZE);
	for (;;) {
		struct mem_run run;
		s64 n = mem_pin_va(w->mm, (uintptr_t)buf + at * PAGE_SIZE, 16 - at, true, &run);

		if (n < 0) {
			assert_int_equal(n, -EFAULT);
			break;
		}
		at += (u64)n;
		mem_unpin(&run);
	}
	assert_int_equal(at, 5);
	munmap(buf, 5 * PAGE_SIZE);
}

static void a_run_does_not_leave_its_gigabyte(void **state)
{
	struct world *w = *state;
	u8 *area = mmap(NULL, 2 * GIB, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	u8 *edge = (u8 *)ALIGN_UP((uintptr_t)area + PAGE_SIZE, GIB);
	struct mem_run below, above;
	u8 bytes[2] = { 1, 2 };

	assert_ptr_not_equal(area, MAP_FAILED);
	assert_int_equal(mem_pin_va(w->mm, (uintptr_t)edge - PAGE_SIZE, 2, true, &below), 1);
	assert_int_equal(mem_pin_va(w->mm, (uintptr_t)edge, 1, true, &above), 1);
	assert_ptr_not_equal(below.window, above.window);
	assert_int_equal(mem_run_write(&below, PAGE_SIZE - 1, bytes, 1), 0);
	assert_int_equal(mem_run_write(&above, 0, bytes + 1, 1), 0);
	assert_memory_equal(edge - 1, bytes, 2);
	mem_unpin(&below);
	mem_unpin(&above);
	munmap(area, 2 * GIB);
}

static void pins_of_whole_chunks_may_be_undone_in_parts(void **state)
{
	struct world *w = *state;
	u8 *buf = map_memory(8 * MIB, MAP_PRIVATE | MAP_NORESERVE, -1);
	struct mem_run run, part;

	assert_int_equal(mem_pin_va(w->mm, (uintptr_t)buf + PAGE_SIZE, 1200, true, &run), 1200);
	assert_int_equal(mem_space_pins(w->space), 1200);
	assert_page(w->mm, buf + 2 * MIB, run_pa(&run) + 2 * MIB - PAGE_SIZE, 1, false);
	for (u32 done = 0; done < run.npages; done += part.npages) {
		part = (struct mem_run){ run.window, run.first + done,
					 MIN(run.npages - done, 100U) };
		mem_unpin(&part);
		if (done == 600)
			assert_null(mem_space_check(w->space));
	}
	assert_page(w->mm, buf + 2 * MIB, run_pa(&run) + 2 * MIB - PAGE_SIZE, 0, false);
	munmap(buf, 8 * MIB);
}

static void memory_unmapped_while_pinned_gives_faults_and_no_crash(void **state)
{
	struct world *w = *state;
	u8 *buf = map_memory(PAGE_SIZE, MAP_PRIVATE, -1), byte = 1;
	struct mem_run run;

	assert_int_equal(pin_one(w->mm, buf, true, &run), 1);
	munmap(buf, PAGE_SIZE);
	assert_int_equal(mem_run_read(&run, 0, &byte, 1), -EFAULT);
	assert_int_equal(mem_run_write(&run, 0, &byte, 1), -EFAULT);
	assert_int_equal(mem_phys_read(w->space, run_pa(&run), &byte, 1), -EFAULT);
	mem_unpin(&run);
}

static void reading_and_writing_keep_to_the_permissions(void **state)
{
	struct world *w = *state;
	u8 *buf = map_memory(PAGE_SIZE, MAP_PRIVATE, -1), byte = 9;

	assert_int_equal(mm_write(w->mm, (uintptr_t)buf + 1, &byte, 1), 0);
	mprotect(buf, PAGE_SIZE, PROT_READ);
	assert_int_equal(mm_write(w->mm, (uintptr_t)buf + 1, &byte, 1), -EFAULT);
	byte = 0;
	assert_int_equal(mm_read(w->mm, (uintptr_t)buf + 1, &byte, 1), 0);
	assert_int_equal(byte, 9);
	munmap(buf, PAGE_SIZE);
	assert_int_equal(mm_read(w->mm, (uintptr_t)buf, &byte, 1), -EFAULT);
	assert_int_equal(mm_read(w->mm, UINT64_MAX, &byte, 1), -EFAULT);
	assert_int_equal(mm_read(w->mm, UINT64_MAX, &byte, 0), -EFAULT);
}

static void this_process_is_itself_and_no_other(void **state)
{
	struct world *w = *state;
	struct child child = child_start();

	assert_true(mm_alive(w->mm));
	assert_true(mm_is(w->mm, getpid()));
	assert_false(mm_is(w->mm, child.pid));
	assert_int_equal(mm_pid(w->mm), getpid());
	assert_ptr_equal(mm_space(w->mm), w->space);
	child_end(&child);
}

static void pins_outlive_the_mm(void **state)
{
	struct world *w = *state;
	u8 *buf = map_memory(PAGE_SIZE, MAP_PRIVATE, -1), byte = 0;
	struct mem_run run, again;

	buf[0] = 42;
	assert_int_equal(pin_one(w->mm, buf, true, &run), 1);
	mm_put(w->mm);
	assert_int_equal(mem_run_read(&run, 0, &byte, 1), 0);
	assert_int_equal(byte, 42);
	/* The next one is another mm, though it is the same memory. */
	assert_int_equal(mm_create_self(w->space, true, &w->mm), 0);
	assert_int_equal(pin_one(w->mm, buf, true, &again), 1);
	assert_ptr_not_equal(again.window, run.window);
	assert_int_equal(mem_space_pins(w->space), 2);
	mem_unpin(&run);
	mem_unpin(&again);
	munmap(buf, PAGE_SIZE);
}

static void two_addresses_of_one_file_are_one_page(void **state)
{
	struct world *w = *state;
	int fd = memfd_new("twice", 0, 4 * PAGE_SIZE);
	u8 *a = map_memory(4 * PAGE_SIZE, MAP_SHARED, fd),
	   *b = map_memory(PAGE_SIZE, MAP_SHARED, fd);
	struct mem_run run_a, run_b;

	assert_int_equal(pin_one(w->mm, a, true, &run_a), 1);
	assert_int_equal(pin_one(w->mm, b, true, &run_b), 1);
	assert_int_equal(run_pa(&run_a), run_pa(&run_b));
	assert_page(w->mm, a, run_pa(&run_a), 2, false);
	assert_page(w->mm, b, run_pa(&run_a), 2, false);
	/* The file stays though the program drops it. */
	strcpy((char *)a, "kept");
	close(fd);
	munmap(a, 4 * PAGE_SIZE);
	munmap(b, PAGE_SIZE);
	assert_int_equal(mem_run_read(&run_b, 0, (char[5]){ 0 }, 5), 0);
	mem_unpin(&run_a);
	mem_unpin(&run_b);
}

static void devices_and_kernel_pages_can_not_be_pinned(void **state)
{
	struct world *w = *state;
	struct mem_run run;
	char line[256];
	bool seen = false;
	FILE *maps = fopen("/proc/self/maps", "r");

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "[vvar]"))
			continue;
		seen = true;
		assert_int_equal(pin_one(w->mm, (void *)strtoul(line, NULL, 16), false, &run),
				 -EFAULT);
	}
	fclose(maps);
	if (!seen)
		skip();
}

static void private_zero_device_is_plain_memory(void **state)
{
	struct world *w = *state;
	int fd = open("/dev/zero", O_RDWR);
	u8 *buf = map_memory(PAGE_SIZE, MAP_PRIVATE, fd);
	struct mem_run run;

	assert_int_equal(pin_one(w->mm, buf, true, &run), 1);
	mem_unpin(&run);
	munmap(buf, PAGE_SIZE);
	close(fd);
}

static void shared_disk_files_take_only_reads(void **state)
{
	struct world *w = *state;
	char path[] = "./mem-test-XXXXXX";
	int fd = mkstemp(path);
	struct mem_backing *backing;
	struct mem_run run;
	u8 *buf;

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, PAGE_SIZE), 0);
	if (!file_backing_get(w->space, fd, &backing)) {
		print_message("the current directory is not on a disk\n");
		backing_put(backing);
		close(fd);
		skip();
	}
	buf = map_memory(2 * PAGE_SIZE, MAP_SHARED, fd);
	assert_int_equal(pin_one(w->mm, buf, true, &run), -EFAULT);
	assert_int_equal(pin_one(w->mm, buf, false, &run), 1);
	mem_unpin(&run);
	assert_int_equal(pin_one(w->mm, buf + PAGE_SIZE, false, &run), -EFAULT);
	munmap(buf, 2 * PAGE_SIZE);
	close(fd);
}

static void private_pages_beyond_the_end_of_their_file_fault(void **state)
{
	struct world *w = *state;
	int fd = memfd_new("short", 0, 3 * PAGE_SIZE);
	u8 *buf = map_memory(8 * PAGE_SIZE, MAP_PRIVATE, fd);
	struct mem_run run;

	assert_int_equal(pin_one(w->mm, buf + 3 * PAGE_SIZE, false, &run), -EFAULT);
	assert_true(mem_pin_va(w->mm, (uintptr_t)buf, 8, true, &run) <= 3);
	mem_unpin(&run);
	munmap(buf, 8 * PAGE_SIZE);
	close(fd);
}

static void shared_pages_beyond_the_end_of_their_file_fault(void **state)
{
	struct world *w = *state;
	int fd = memfd_new("short", 0, 2 * PAGE_SIZE + 100);
	u8 *buf = map_memory(8 * PAGE_SIZE, MAP_SHARED, fd);
	struct mem_run run;

	/* A program may touch the page that holds the end, so it can be pinned by address. */
	assert_int_equal(mem_pin_va(w->mm, (uintptr_t)buf, 8, true, &run), 3);
	mem_unpin(&run);
	assert_int_equal(pin_one(w->mm, buf + 3 * PAGE_SIZE, true, &run), -EFAULT);
	munmap(buf, 8 * PAGE_SIZE);
	close(fd);
}

static void device_memory_is_refused_by_address(void **state)
{
	struct world *w = *state;
	int fd = memfd_new("bar", 0, PAGE_SIZE);
	u8 *buf = map_memory(PAGE_SIZE, MAP_SHARED, fd);
	struct mem_file *file;
	struct mem_run run;

	assert_int_equal(mem_file_open_device(w->space, fd, &file), 0);
	assert_int_equal(pin_one(w->mm, buf, true, &run), -EFAULT);
	mem_file_put(file);
	assert_int_equal(pin_one(w->mm, buf, true, &run), 1);
	mem_unpin(&run);
	munmap(buf, PAGE_SIZE);
	close(fd);
}

static void huge_pages_say_so(void **state)
{
	struct world *w = *state;
	u8 *buf = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	struct mem_run run;

	if (buf == MAP_FAILED) {
		print_message("no huge pages on this machine\n");
		skip();
	}
	buf[0] = 1;
	assert_int_equal(mem_pin_va(w->mm, (uintptr_t)buf, 512, true, &run), 512);
	assert_page(w->mm, buf + PAGE_SIZE, run_pa(&run) + PAGE_SIZE, 1, true);
	mem_unpin(&run);
	munmap(buf, 2 * MIB);
}

#define BOTH(test)                                                                                 \
	{ #test " (trusted)", test, setup_trusted, teardown, NULL },                               \
		{ #test " (looked up)", test, setup_exact, teardown, NULL }
#define EXACT(test) cmocka_unit_test_setup_teardown(test, setup_exact, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_pin_is_counted_and_leads_to_the_memory),
		BOTH(memory_never_pinned_has_no_frame),
		BOTH(what_is_not_mapped_or_not_permitted_is_a_fault),
		BOTH(the_last_page_of_the_address_space_overflows),
		BOTH(a_run_ends_before_the_first_hole_it_meets),
		BOTH(a_run_does_not_leave_its_gigabyte),
		BOTH(pins_of_whole_chunks_may_be_undone_in_parts),
		BOTH(memory_unmapped_while_pinned_gives_faults_and_no_crash),
		BOTH(reading_and_writing_keep_to_the_permissions),
		BOTH(this_process_is_itself_and_no_other),
		BOTH(pins_outlive_the_mm),
		BOTH(huge_pages_say_so),
		EXACT(two_addresses_of_one_file_are_one_page),
		EXACT(devices_and_kernel_pages_can_not_be_pinned),
		EXACT(private_zero_device_is_plain_memory),
		EXACT(shared_disk_files_take_only_reads),
		EXACT(private_pages_beyond_the_end_of_their_file_fault),
		EXACT(shared_pages_beyond_the_end_of_their_file_fault),
		EXACT(device_memory_is_refused_by_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
