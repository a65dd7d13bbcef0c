/* SPDX-License-Identifier: MIT */
/*
 * Frame policies: each is a permutation of the pages of a window, and memory
 * read by physical address is the memory that was pinned.
 */
#include "mem_fixture.h"

#define BUF_PAGES 1024

static void assert_permutation(const struct mem_layout *layout)
{
	u8 *seen = calloc(MEM_WINDOW_PAGES, 1);

	assert_non_null(seen);
	for (u32 page = 0; page < MEM_WINDOW_PAGES; page++) {
		u32 phys = layout_to_phys(layout, page);

		if (phys >= MEM_WINDOW_PAGES || seen[phys] ||
		    layout_to_linear(layout, phys) != page)
			fail_msg("page %u", page);
		seen[phys] = 1;
	}
	free(seen);
}

static void every_policy_permutes_the_pages_of_a_window(void **state)
{
	for (int policy = IOMMUFD_FRAMES_CONTIGUOUS; policy <= IOMMUFD_FRAMES_RANDOM; policy++) {
		for (u32 seed = 4; seed < 8; seed++) {
			struct mem_backing plain = { .kind = MEM_BACKING_FILE };
			struct mem_backing huge = { .kind = MEM_BACKING_FILE, .hugetlb = true };
			struct mem_layout layout;

			layout_init(&layout, policy, &plain, seed);
			assert_permutation(&layout);
			layout_init(&layout, policy, &huge, seed);
			assert_permutation(&layout);
		}
	}
}

static void random_leaves_no_long_runs(void **state)
{
	struct mem_backing plain = { .kind = MEM_BACKING_MM };
	struct mem_layout layout;
	u32 neighbours = 0;

	layout_init(&layout, IOMMUFD_FRAMES_RANDOM, &plain, 17);
	for (u32 page = 0; page + 1 < MEM_WINDOW_PAGES; page++)
		neighbours += layout_to_phys(&layout, page) + 1 ==
			      layout_to_phys(&layout, page + 1);
	assert_true(neighbours < MEM_WINDOW_PAGES / 100);
}

static void huge_only_keeps_huge_pages_whole_and_scatters_them(void **state)
{
	struct mem_backing huge = { .kind = MEM_BACKING_FILE, .hugetlb = true };
	struct mem_layout layout;
	u32 neighbours = 0;

	layout_init(&layout, IOMMUFD_FRAMES_HUGE_ONLY, &huge, 17);
	for (u32 page = 0; page < MEM_WINDOW_PAGES; page++) {
		u32 head = layout_to_phys(&layout, ALIGN_DOWN(page, MEM_CHUNK_PAGES));

		assert_int_equal(head % MEM_CHUNK_PAGES, 0);
		assert_int_equal(layout_to_phys(&layout, page), head + page % MEM_CHUNK_PAGES);
	}
	for (u32 page = MEM_CHUNK_PAGES; page < MEM_WINDOW_PAGES; page += MEM_CHUNK_PAGES)
		neighbours += layout_to_phys(&layout, page - 1) + 1 ==
			      layout_to_phys(&layout, page);
	assert_true(neighbours < MEM_CHUNKS / 50);
}

/* Fill a buffer, pin it, and find each page's contents at its physical address. */
static void check_data(enum iommufd_frame_policy policy)
{
	struct mem_space *space = space_new(policy);
	u64 *buf = (u64 *)map_memory(BUF_PAGES * PAGE_SIZE, MAP_PRIVATE, -1);
	u32 done = 0;
	struct mm *mm;

	for (u64 i = 0; i < BUF_PAGES; i++)
		buf[i * 512] = buf[i * 512 + 511] = i * 1000003;
	assert_int_equal(mm_create_self(space, true, &mm), 0);
	while (done < BUF_PAGES) {
		struct mem_run run;
		s64 n = mem_pin_va(mm, (uintptr_t)buf + done * PAGE_SIZE, BUF_PAGES - done, true,
				   &run);

		assert_true(n > 0 && n == run.npages);
		for (u32 i = 0; i < run.npages; i++) {
			u32 contig;
			u64 word, len, pa = mem_run_phys(&run, i, &contig);
			u64 *ptr = mem_phys_ptr(space, pa, &len);

			assert_true(pa >= 4 * GIB && pa < BIT_ULL(MEM_PHYS_BITS));
			assert_ptr_equal(ptr, &buf[(done + i) * 512]);
			assert_true(len >= PAGE_SIZE && contig >= 1 && contig <= run.npages - i);
			assert_int_equal(mem_phys_read(space, pa + 8 * 511, &word, 8), 0);
			assert_int_equal(word, (u64)(done + i) * 1000003);
		}
		mem_unpin(&run);
		done += run.npages;
	}
	mm_put(mm);
	munmap(buf, BUF_PAGES * PAGE_SIZE);
	space_end(space);
}

static void data_is_found_at_its_physical_address_under_every_policy(void **state)
{
	check_data(IOMMUFD_FRAMES_CONTIGUOUS);
	check_data(IOMMUFD_FRAMES_HUGE_ONLY);
	check_data(IOMMUFD_FRAMES_RANDOM);
}

static void contiguous_counts_say_how_far_addresses_run_on(void **state)
{
	for (int policy = IOMMUFD_FRAMES_CONTIGUOUS; policy <= IOMMUFD_FRAMES_RANDOM; policy++) {
		struct mem_space *space = space_new(policy);
		int fd = memfd_new("contig", 0, 8 * MIB);
		struct mem_file *file;
		struct mem_run run;
		u32 contig, i = 0;

		assert_int_equal(mem_file_open(space, fd, &file), 0);
		assert_int_equal(mem_pin_file(file, 3, 1500, &run), 1500);
		while (i < run.npages) {
			u64 pa = mem_run_phys(&run, i, &contig);
			u32 rest;

			for (u32 k = 1; k < contig; k++)
				assert_int_equal(mem_run_phys(&run, i + k, &rest),
						 pa + k * PAGE_SIZE);
			i += contig;
			if (i < run.npages)
				assert_true(mem_run_phys(&run, i, &rest) !=
					    pa + contig * PAGE_SIZE);
		}
		if (policy == IOMMUFD_FRAMES_CONTIGUOUS)
			assert_int_equal(contig, 1500);
		mem_unpin(&run);
		mem_file_put(file);
		close(fd);
		space_end(space);
	}
}

static void a_copy_by_physical_address_crosses_pages_and_scattered_ones_too(void **state)
{
	struct mem_space *space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);
	u8 *buf = map_memory(4 * PAGE_SIZE, MAP_PRIVATE, -1), out[PAGE_SIZE * 2];
	struct mem_run run;
	struct mm *mm;

	for (u32 i = 0; i < 4 * PAGE_SIZE; i++)
		buf[i] = (u8)(i * 7 + i / 256);
	assert_int_equal(mm_create_self(space, true, &mm), 0);
	assert_int_equal(mem_pin_va(mm, (uintptr_t)buf, 4, true, &run), 4);
	assert_int_equal(mem_phys_read(space, run_pa(&run) + 100, out, sizeof(out)), 0);
	assert_memory_equal(out, buf + 100, sizeof(out));
	memset(out, 0x5a, sizeof(out));
	assert_int_equal(mem_phys_write(space, run_pa(&run) + 4000, out, sizeof(out)), 0);
	assert_memory_equal(buf + 4000, out, sizeof(out));
	mem_unpin(&run);
	mm_put(mm);
	munmap(buf, 4 * PAGE_SIZE);
	space_end(space);
}

static void addresses_without_memory_are_refused(void **state)
{
	static const u64 nowhere[] = { 0, 4 * GIB - 1, 4 * GIB, 9 * GIB, BIT_ULL(48) - 1,
				       BIT_ULL(48), UINT64_MAX };
	struct mem_space *space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);
	u64 len;
	u8 byte = 0;

	for (u32 i = 0; i < ARRAY_SIZE(nowhere); i++) {
		assert_null(mem_phys_ptr(space, nowhere[i], &len));
		assert_int_equal(mem_phys_read(space, nowhere[i], &byte, 1), -EFAULT);
		assert_int_equal(mem_phys_write(space, nowhere[i], &byte, 1), -EFAULT);
	}
	space_end(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_policy_permutes_the_pages_of_a_window),
		cmocka_unit_test(random_leaves_no_long_runs),
		cmocka_unit_test(huge_only_keeps_huge_pages_whole_and_scatters_them),
		cmocka_unit_test(data_is_found_at_its_physical_address_under_every_policy),
		cmocka_unit_test(contiguous_counts_say_how_far_addresses_run_on),
		cmocka_unit_test(a_copy_by_physical_address_crosses_pages_and_scattered_ones_too),
		cmocka_unit_test(addresses_without_memory_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
