/* SPDX-License-Identifier: MIT */
/*
 * Each place that can fail fails once, in turn, and nothing is left behind.
 */
#include <dirent.h>

#include "mem/dmabuf.h"
#include "mem_fixture.h"

static u32 count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	u32 n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

struct scene {
	struct mem_space *space;
	struct child child;
	u8 *private;
	u8 *shared;
	int fd;
};

typedef int (*scene_fn)(struct scene *s);

/* Run @fn with its first, second, ... point failing, until it succeeds. */
static void sweep(scene_fn fn, u32 at_least)
{
	struct scene s = { .space = space_new(IOMMUFD_FRAMES_CONTIGUOUS) };
	struct fault_state fault = { 0 };
	u32 fds, n = 0;
	int rc;

	s.private = map_memory(PAGE_SIZE, MAP_PRIVATE, -1);
	s.fd = memfd_new("scene", 0, 4 * PAGE_SIZE);
	s.shared = map_memory(4 * PAGE_SIZE, MAP_SHARED, s.fd);
	s.private[0] = 1;
	s.child = child_start();
	fds = count_fds();
	do {
		atomic_store(&fault.nth, ++n);
		fault_current = &fault;
		rc = fn(&s);
		fault_current = NULL;
		if (rc && rc != -ENOMEM && rc != -EFAULT)
			fail_msg("point %u (%s): %d", n, fault.injected_at, rc);
		assert_int_equal(mem_space_pins(s.space), 0);
		assert_int_equal(count_fds(), fds);
		assert_null(mem_space_check(s.space));
		assert_true(n < 100);
	} while (rc || atomic_load(&fault.injected) == n);
	assert_true(n > at_least);
	child_end(&s.child);
	munmap(s.private, PAGE_SIZE);
	munmap(s.shared, 4 * PAGE_SIZE);
	close(s.fd);
	space_end(s.space);
}

static int pin_both(struct mm *mm, struct scene *s)
{
	struct mem_run private, shared;
	s64 n = pin_one(mm, s->private, true, &private);

	if (n < 0)
		return (int)n;
	n = mem_pin_va(mm, (uintptr_t)s->shared, 4, true, &shared);
	if (n > 0)
		mem_unpin(&shared);
	mem_unpin(&private);
	return n < 0 ? (int)n : 0;
}

static int use_self(struct scene *s)
{
	struct mm *mm;
	int rc = mm_create_self(s->space, false, &mm);

	if (rc)
		return rc;
	rc = pin_both(mm, s);
	mm_put(mm);
	return rc;
}

static int use_remote(struct scene *s)
{
	struct mm *mm;
	int rc = mm_create_remote(s->space, s->child.pid, &mm);

	if (rc)
		return rc;
	rc = pin_both(mm, s);
	mm_put(mm);
	return rc;
}

static int use_file(struct scene *s)
{
	struct mem_file *file;
	struct mem_run run;
	int rc = mem_file_open(s->space, s->fd, &file);
	s64 n;

	if (rc)
		return rc;
	n = mem_pin_file(file, 0, 4, &run);
	if (n > 0)
		mem_unpin(&run);
	mem_file_put(file);
	return n < 0 ? (int)n : 0;
}

static int use_device_file(struct scene *s)
{
	struct mem_file *file;
	int rc = mem_file_open_device(s->space, s->fd, &file);

	if (!rc)
		mem_file_put(file);
	return rc;
}

static int use_space(struct scene *s)
{
	struct mem_space *space;
	int rc = mem_space_create(IOMMUFD_FRAMES_RANDOM, NULL, &space);
	u64 pa;
	void *ptr;

	if (rc)
		return rc;
	ptr = mem_frames_alloc(space, 12, &pa);
	mem_frames_free(space, ptr, pa, 12);
	mem_space_destroy(space);
	return ptr ? 0 : -ENOMEM;
}

static int use_account(struct scene *s)
{
	struct mem_user *user = mem_user_get(s->space, 5);
	struct mm *mm;
	int rc;

	if (!user)
		return -ENOMEM;
	rc = mm_create_self(s->space, true, &mm);
	if (!rc) {
		rc = mem_charge(MEM_ACCOUNT_USER, mm, user, 1);
		if (!rc)
			mem_uncharge(MEM_ACCOUNT_USER, mm, user, 1);
		assert_int_equal(mm_pinned_pages(mm), 0);
		assert_int_equal(mem_user_locked_pages(user), 0);
		mm_put(mm);
	}
	mem_user_put(user);
	return rc;
}

static int use_dmabuf(struct scene *s)
{
	struct dmabuf *buf;
	int rc = dmabuf_create(5 * GIB, PAGE_SIZE, NULL, NULL, &buf);

	if (!rc)
		dmabuf_put(buf);
	return rc;
}

static void our_own_memory(void **state)
{
	sweep(use_self, 8);
}

static void memory_of_another_process(void **state)
{
	sweep(use_remote, 10);
}

static void files(void **state)
{
	sweep(use_file, 6);
}

static void files_of_device_memory(void **state)
{
	sweep(use_device_file, 3);
}

static void spaces_and_frames(void **state)
{
	sweep(use_space, 6);
}

static void users_and_charges(void **state)
{
	sweep(use_account, 4);
}

static void dmabufs(void **state)
{
	sweep(use_dmabuf, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_memory),    cmocka_unit_test(memory_of_another_process),
		cmocka_unit_test(files),             cmocka_unit_test(files_of_device_memory),
		cmocka_unit_test(spaces_and_frames), cmocka_unit_test(users_and_charges),
		cmocka_unit_test(dmabufs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
