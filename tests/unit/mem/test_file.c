/* SPDX-License-Identifier: MIT */
/*
 * Files as the origin of pages.
 */
#include "mem_fixture.h"

struct world {
	struct mem_space *space;
	struct mem_file *file;
	int fd;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);
	w->fd = memfd_new("file", MFD_ALLOW_SEALING, 4 * PAGE_SIZE + 1);
	assert_int_equal(mem_file_open(w->space, w->fd, &w->file), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	mem_file_put(w->file);
	if (w->fd >= 0)
		close(w->fd);
	space_end(w->space);
	free(w);
	return 0;
}

static void pages_are_the_files(void **state)
{
	struct world *w = *state;
	struct mem_run run, other;
	u8 byte = 0;

	assert_int_equal(pwrite(w->fd, "xyz", 3, PAGE_SIZE + 5), 3);
	assert_int_equal(mem_pin_file(w->file, 1, 2, &run), 2);
	assert_int_equal(mem_run_read(&run, 5, &byte, 1), 0);
	assert_int_equal(byte, 'x');
	assert_int_equal(mem_run_write(&run, PAGE_SIZE, "new", 3), 0);
	assert_int_equal(pread(w->fd, &byte, 1, 2 * PAGE_SIZE), 1);
	assert_int_equal(byte, 'n');
	assert_int_equal(mem_pin_file(w->file, 2, 1, &other), 1);
	assert_int_equal(run_pa(&other), run_pa(&run) + PAGE_SIZE);
	assert_int_equal(mem_space_pins(w->space), 3);
	mem_unpin(&run);
	mem_unpin(&other);
}

static void only_whole_pages_inside_the_file_are_pinned(void **state)
{
	struct world *w = *state;
	struct mem_run run;

	assert_int_equal(mem_pin_file(w->file, 0, 4, &run), 4);
	mem_unpin(&run);
	assert_int_equal(mem_pin_file(w->file, 0, 5, &run), -EINVAL);
	assert_int_equal(mem_pin_file(w->file, 1, UINT64_MAX, &run), -EINVAL);
	/* The fifth page is there for one byte only. */
	assert_int_equal(mem_pin_file(w->file, 4, 1, &run), -EINVAL);
	assert_int_equal(mem_pin_file(w->file, 5, 1, &run), -EINVAL);
	assert_int_equal(mem_pin_file(w->file, 1UL << 51, 1, &run), -EINVAL);
	assert_int_equal(mem_pin_file(w->file, UINT64_MAX, 1, &run), -EINVAL);
	/* It may grow, and what counts is its size at the pin. */
	assert_int_equal(ftruncate(w->fd, 5 * PAGE_SIZE), 0);
	assert_int_equal(mem_pin_file(w->file, 4, 1, &run), 1);
	assert_int_equal(mem_run_write(&run, 0, "x", 1), 0);
	mem_unpin(&run);
}

static void pages_stay_though_the_program_lets_go_of_the_file(void **state)
{
	struct world *w = *state;
	struct mem_run run;
	u8 byte = 0;

	assert_int_equal(pwrite(w->fd, "k", 1, 0), 1);
	close(w->fd);
	w->fd = -1;
	assert_int_equal(mem_pin_file(w->file, 0, 1, &run), 1);
	mem_file_put(w->file);
	w->file = NULL;
	assert_int_equal(mem_run_read(&run, 0, &byte, 1), 0);
	assert_int_equal(byte, 'k');
	mem_unpin(&run);
}

static void a_truncated_file_gives_faults_and_no_crash(void **state)
{
	struct world *w = *state;
	struct mem_run run;
	u8 byte = 0;

	assert_int_equal(mem_pin_file(w->file, 3, 1, &run), 1);
	assert_int_equal(ftruncate(w->fd, PAGE_SIZE), 0);
	assert_int_equal(mem_run_read(&run, 0, &byte, 1), -EFAULT);
	assert_int_equal(mem_run_write(&run, 0, &byte, 1), -EFAULT);
	mem_unpin(&run);
	assert_int_equal(mem_pin_file(w->file, 3, 1, &run), -EINVAL);
}

static void a_word_of_a_pinned_page_is_read_and_exchanged_with_no_hold_of_its_own(void **state)
{
	struct world *w = *state;
	u64 word = 0, found = 7;
	struct mem_run run;
	u64 pa;

	assert_int_equal(mem_pin_file(w->file, 1, 1, &run), 1);
	pa = run_pa(&run) + 16;
	assert_int_equal(mem_run_write(&run, 16, &found, sizeof(found)), 0);
	assert_int_equal(mem_pinned_load64(w->space, pa, &word), 0);
	assert_int_equal(word, 7);
	assert_int_equal(mem_pinned_cas64(w->space, pa, &word, 8), 0);
	assert_int_equal(word, 7);
	assert_int_equal(mem_pinned_cas64(w->space, pa, &word, 9), 0);
	assert_int_equal(word, 8);
	assert_int_equal(mem_phys_load64(w->space, pa, &word), 0);
	assert_int_equal(word, 8);
	/* As with a hold: whole words of memory only, and of memory that is still there. */
	assert_int_equal(mem_pinned_load64(w->space, pa + 4, &word), -EFAULT);
	assert_int_equal(mem_pinned_cas64(w->space, pa + 4, &word, 1), -EFAULT);
	assert_int_equal(mem_pinned_load64(w->space, 0, &word), -EFAULT);
	assert_int_equal(mem_pinned_load64(w->space, 1ULL << MEM_PHYS_BITS, &word), -EFAULT);
	assert_int_equal(ftruncate(w->fd, 0), 0);
	assert_int_equal(mem_pinned_load64(w->space, pa, &word), -EFAULT);
	assert_int_equal(mem_pinned_cas64(w->space, pa, &word, 1), -EFAULT);
	mem_unpin(&run);
}

static void files_that_are_no_memory_open_but_do_not_pin(void **state)
{
	static const char *const paths[] = { "/proc/self/maps", "/dev/null", "/", "/dev/zero" };
	struct world *w = *state;
	struct mem_file *file;
	struct mem_run run;

	for (u32 i = 0; i < ARRAY_SIZE(paths); i++) {
		int fd = open(paths[i], O_RDONLY);

		assert_int_equal(mem_file_open(w->space, fd, &file), 0);
		assert_int_equal(mem_pin_file(file, 0, 1, &run), -EINVAL);
		mem_file_put(file);
		assert_int_equal(mem_file_open_device(w->space, fd, &file), -EINVAL);
		close(fd);
	}
	assert_int_equal(mem_file_open(w->space, 9999, &file), -EBADF);
	assert_int_equal(mem_file_open(w->space, -1, &file), -EBADF);
	int path = open("/", O_PATH);
	assert_int_equal(mem_file_open(w->space, path, &file), -EBADF);
	close(path);
}

static void a_file_opened_for_reading_is_written_by_devices_all_the_same(void **state)
{
	struct world *w = *state;
	char path[32];
	struct mem_file *file;
	struct mem_run run;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", w->fd);
	fd = open(path, O_RDONLY);
	assert_int_equal(mem_file_open(w->space, fd, &file), 0);
	assert_int_equal(mem_pin_file(file, 0, 1, &run), 1);
	assert_int_equal(mem_run_write(&run, 0, "x", 1), 0);
	mem_unpin(&run);
	mem_file_put(file);
	close(fd);
}

static void a_sealed_file_is_read_but_not_written(void **state)
{
	struct world *w = *state;
	struct mem_run run;
	u8 byte;

	assert_int_equal(fcntl(w->fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	if (mem_pin_file(w->file, 0, 1, &run) != 1) {
		print_message("this kernel maps no sealed files\n");
		skip();
	}
	assert_int_equal(mem_run_read(&run, 0, &byte, 1), 0);
	assert_int_equal(mem_run_write(&run, 0, &byte, 1), -EFAULT);
	mem_unpin(&run);
}

static void runs_end_at_gigabytes_of_a_large_file(void **state)
{
	struct world *w = *state;
	struct mem_run low, high;

	assert_int_equal(ftruncate(w->fd, 3L << 30), 0);
	assert_int_equal(mem_pin_file(w->file, MEM_WINDOW_PAGES - 3, 10, &low), 3);
	assert_int_equal(mem_pin_file(w->file, MEM_WINDOW_PAGES, 10, &high), 10);
	assert_ptr_not_equal(low.window, high.window);
	assert_int_equal(mem_run_write(&high, 0, "h", 1), 0);
	assert_int_equal(mem_run_write(&low, 3 * PAGE_SIZE - 1, "l", 1), 0);
	char got[2];
	assert_int_equal(pread(w->fd, got, 2, (1L << 30) - 1), 2);
	assert_memory_equal(got, "lh", 2);
	mem_unpin(&high);
	mem_unpin(&low);
	assert_int_equal(mem_pin_file(w->file, 0, MEM_WINDOW_PAGES * 2, &low), MEM_WINDOW_PAGES);
	mem_unpin(&low);
}

static void a_window_goes_with_its_last_pin(void **state)
{
	struct world *w = *state;
	struct mm *mm;
	u8 *ptr = map_memory(PAGE_SIZE, MAP_SHARED, w->fd), byte;
	struct mem_run run;
	u64 pa, len;

	assert_int_equal(mm_create_self(w->space, false, &mm), 0);
	assert_int_equal(pin_one(mm, ptr, true, &run), 1);
	pa = run_pa(&run);
	assert_int_equal(mem_phys_read(w->space, pa, &byte, 1), 0);
	mem_unpin(&run);
	assert_null(mem_phys_ptr(w->space, pa, &len));
	assert_int_equal(mem_phys_read(w->space, pa, &byte, 1), -EFAULT);
	mm_put(mm);
	munmap(ptr, PAGE_SIZE);
}

static long huge_pages(const char *what)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long n = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, what, strlen(what)))
			n = atol(line + strlen(what));
	if (f)
		fclose(f);
	return n;
}

static void mapping_a_huge_file_changes_neither_size_nor_reserve(void **state)
{
	struct world *w = *state;
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	struct mem_file *file;
	struct mem_run run;
	struct stat st;
	long reserved;

	if (fd < 0 || huge_pages("HugePages_Free:") < 2) {
		print_message("no huge pages on this machine\n");
		skip();
	}
	assert_int_equal(ftruncate(fd, 4 * MIB), 0);
	reserved = huge_pages("HugePages_Rsvd:");
	assert_int_equal(mem_file_open(w->space, fd, &file), 0);
	assert_int_equal(mem_pin_file(file, 0, 1024, &run), 1024);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 4 * MIB);
	assert_int_equal(huge_pages("HugePages_Rsvd:"), reserved);
	assert_int_equal(mem_run_write(&run, 3 * MIB, "huge", 5), 0);
	/* Later growth is seen through the window that exists. */
	assert_int_equal(ftruncate(fd, 6 * MIB), 0);
	struct mem_run grown;
	assert_int_equal(mem_pin_file(file, 1024, 1, &grown), 1);
	assert_ptr_equal(grown.window, run.window);
	assert_int_equal(mem_run_write(&grown, 0, "more", 5), 0);
	assert_int_equal(ftruncate(fd, 2 * MIB), 0);
	assert_int_equal(mem_run_write(&grown, 0, "more", 5), -EFAULT);
	mem_unpin(&grown);
	mem_unpin(&run);
	mem_file_put(file);
	close(fd);
}

static void device_files_are_contiguous_under_every_policy(void **state)
{
	for (int policy = IOMMUFD_FRAMES_CONTIGUOUS; policy <= IOMMUFD_FRAMES_RANDOM; policy++) {
		struct mem_space *space = space_new(policy);
		int fd = memfd_new("bar", 0, 4 * MIB);
		struct mem_file *file, *second;
		struct mem_run run;
		u32 contig;

		assert_int_equal(mem_file_open_device(space, fd, &file), 0);
		assert_int_equal(mem_file_open_device(space, fd, &second), -EBUSY);
		assert_int_equal(mem_pin_file(file, 0, 1024, &run), 1024);
		mem_run_phys(&run, 0, &contig);
		assert_int_equal(contig, 1024);
		mem_unpin(&run);
		mem_file_put(file);
		close(fd);
		space_end(space);
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_are_the_files),
		TEST(only_whole_pages_inside_the_file_are_pinned),
		TEST(pages_stay_though_the_program_lets_go_of_the_file),
		TEST(a_truncated_file_gives_faults_and_no_crash),
		TEST(a_word_of_a_pinned_page_is_read_and_exchanged_with_no_hold_of_its_own),
		TEST(files_that_are_no_memory_open_but_do_not_pin),
		TEST(a_file_opened_for_reading_is_written_by_devices_all_the_same),
		TEST(a_sealed_file_is_read_but_not_written),
		TEST(runs_end_at_gigabytes_of_a_large_file),
		TEST(a_window_goes_with_its_last_pin),
		TEST(mapping_a_huge_file_changes_neither_size_nor_reserve),
		cmocka_unit_test(device_files_are_contiguous_under_every_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
