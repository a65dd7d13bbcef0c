/* SPDX-License-Identifier: MIT */
/*
 * Frames: aligned, zeroed, found again by their physical address, and never
 * given out twice.
 */
#include "mem_fixture.h"

static bool is_zero(const u8 *ptr, size_t len)
{
	return !ptr[0] && !memcmp(ptr, ptr + 1, len - 1);
}

static void frames_are_aligned_zeroed_and_contiguous(void **state)
{
	for (int policy = IOMMUFD_FRAMES_CONTIGUOUS; policy <= IOMMUFD_FRAMES_RANDOM; policy++) {
		struct mem_space *space = space_new(policy);

		for (unsigned int lg2 = 12; lg2 <= 21; lg2++) {
			size_t size = 1UL << lg2;
			u64 pa, len;
			u8 *ptr = mem_frames_alloc(space, lg2, &pa);

			assert_non_null(ptr);
			assert_int_equal(pa % size, 0);
			assert_int_equal((uintptr_t)ptr % size, 0);
			assert_true(is_zero(ptr, size));
			assert_ptr_equal(mem_frames_ptr(space, pa), ptr);
			assert_ptr_equal(mem_frames_ptr(space, pa + size - 1), ptr + size - 1);
			assert_ptr_equal(mem_phys_ptr(space, pa, &len), ptr);
			assert_true(len >= size);
			memset(ptr, 0xff, size);
			mem_frames_free(space, ptr, pa, lg2);
		}
		space_end(space);
	}
}

static void freed_frames_come_back_zeroed(void **state)
{
	struct mem_space *space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);

	for (unsigned int lg2 = 12; lg2 <= 21; lg2++) {
		u64 pa, again_pa;
		u8 *ptr = mem_frames_alloc(space, lg2, &pa), *again;

		memset(ptr, 0xff, 1UL << lg2);
		mem_frames_free(space, ptr, pa, lg2);
		again = mem_frames_alloc(space, lg2, &again_pa);
		assert_ptr_equal(again, ptr);
		assert_int_equal(again_pa, pa);
		assert_true(is_zero(again, 1UL << lg2));
		mem_frames_free(space, again, again_pa, lg2);
	}
	mem_frames_free(space, NULL, 0, 12);
	space_end(space);
}

static void sizes_we_do_not_have_are_refused(void **state)
{
	struct mem_space *space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);
	u64 pa;

	assert_null(mem_frames_alloc(space, 11, &pa));
	assert_null(mem_frames_alloc(space, 22, &pa));
	space_end(space);
}

#define BLOCKS 3000

struct block {
	u8 *ptr;
	u64 pa;
	unsigned int lg2;
};

/* What alignment skips must be used up, not lost: the pool stays within what was asked. */
static void mixed_sizes_never_overlap(void **state)
{
	struct mem_space *space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);
	struct block *blocks = calloc(BLOCKS, sizeof(*blocks));
	u64 random = 1;

	for (u32 step = 0; step < 20000; step++) {
		struct block *b;

		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		b = &blocks[(random >> 33) % BLOCKS];
		if (b->ptr) {
			/* Its mark is still its own. */
			assert_int_equal(*(u32 *)b->ptr, (u32)(b - blocks) + 1);
			assert_int_equal(*(u32 *)(b->ptr + (1UL << b->lg2) - 4),
					 (u32)(b - blocks) + 1);
			mem_frames_free(space, b->ptr, b->pa, b->lg2);
			b->ptr = NULL;
			continue;
		}
		b->lg2 = 12 + (random >> 20) % 5;
		b->ptr = mem_frames_alloc(space, b->lg2, &b->pa);
		assert_non_null(b->ptr);
		assert_int_equal(b->pa % (1UL << b->lg2), 0);
		assert_int_equal(*(u32 *)b->ptr, 0);
		*(u32 *)b->ptr = (u32)(b - blocks) + 1;
		*(u32 *)(b->ptr + (1UL << b->lg2) - 4) = (u32)(b - blocks) + 1;
	}
	free(blocks);
	space_end(space);
}

static void a_second_gigabyte_is_begun_when_the_first_is_full(void **state)
{
	struct mem_space *space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);
	u64 first = 0, pa = 0;

	for (u32 i = 0; i < 520; i++) {
		u8 *ptr = mem_frames_alloc(space, 21, &pa);

		assert_non_null(ptr);
		ptr[0] = 1;
		if (!i)
			first = pa;
		assert_ptr_equal(mem_frames_ptr(space, pa), ptr);
	}
	assert_true(pa >> 30 != first >> 30);
	space_end(space);
}

static void *use_frames(void *arg)
{
	struct mem_space *space = arg;

	for (int i = 0; i < 20000; i++) {
		u64 pa;
		unsigned int lg2 = 12 + i % 3;
		u64 *ptr = mem_frames_alloc(space, lg2, &pa);

		if (!ptr || *ptr || ptr[511])
			return arg;
		*ptr = (uintptr_t)&pa;
		if (mem_frames_ptr(space, pa) != ptr || *ptr != (uintptr_t)&pa)
			return arg;
		mem_frames_free(space, ptr, pa, lg2);
	}
	return NULL;
}

static void threads_share_the_pool(void **state)
{
	struct mem_space *space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, use_frames, space);
	for (int i = 0; i < 4; i++) {
		void *ret;

		pthread_join(threads[i], &ret);
		assert_null(ret);
	}
	space_end(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_aligned_zeroed_and_contiguous),
		cmocka_unit_test(freed_frames_come_back_zeroed),
		cmocka_unit_test(sizes_we_do_not_have_are_refused),
		cmocka_unit_test(mixed_sizes_never_overlap),
		cmocka_unit_test(a_second_gigabyte_is_begun_when_the_first_is_full),
		cmocka_unit_test(threads_share_the_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
