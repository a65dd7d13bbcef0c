/* SPDX-License-Identifier: MIT */
/*
 * Memory of another process: what can be shared is mapped here, what is private
 * is reached through its address space, and that is gone after exit and exec.
 */
#include <sys/prctl.h>

#include "mem_fixture.h"

struct world {
	struct mem_space *space;
	struct child child;
	struct mm *mm;
	u8 *private;   /* two pages */
	u8 *shared;    /* anonymous, two pages */
	u8 *file;      /* the memfd, two pages of it */
	int fd;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);
	w->private = map_memory(2 * PAGE_SIZE, MAP_PRIVATE, -1);
	w->shared = map_memory(2 * PAGE_SIZE, MAP_SHARED, -1);
	w->fd = memfd_new("of the child", 0, 2 * PAGE_SIZE);
	w->file = map_memory(2 * PAGE_SIZE, MAP_SHARED, w->fd);
	strcpy((char *)w->private, "private");
	strcpy((char *)w->shared, "shared");
	strcpy((char *)w->file, "file");
	w->child = child_start();
	assert_int_equal(mm_create_remote(w->space, w->child.pid, &w->mm), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	child_end(&w->child);
	mm_put(w->mm);
	munmap(w->private, 2 * PAGE_SIZE);
	munmap(w->shared, 2 * PAGE_SIZE);
	munmap(w->file, 2 * PAGE_SIZE);
	close(w->fd);
	space_end(w->space);
	free(w);
	return 0;
}

/* Pin a page, see its text, change it, and have the child see the change. */
static void assert_page_works(struct world *w, u8 *page, const char *text, struct mem_run *ret_run)
{
	char got[16];

	assert_int_equal(mem_pin_va(w->mm, (uintptr_t)page, 1, true, ret_run), 1);
	assert_int_equal(mem_run_read(ret_run, 0, got, strlen(text) + 1), 0);
	assert_string_equal(got, text);
	assert_int_equal(mem_run_write(ret_run, 100, "!", 1), 0);
	assert_int_equal(child_order(&w->child, CHILD_PEEK, page + 100, 0), '!');
	child_order(&w->child, CHILD_POKE, page + 101, '?');
	assert_int_equal(mem_phys_read(w->space, run_pa(ret_run) + 101, got, 1), 0);
	assert_int_equal(got[0], '?');
	assert_page(w->mm, page, run_pa(ret_run), 1, false);
}

static void private_memory_is_reached_by_copying(void **state)
{
	struct world *w = *state;
	struct mem_run run;
	u64 len;

	assert_page_works(w, w->private, "private", &run);
	assert_null(mem_phys_ptr(w->space, run_pa(&run), &len));
	/* Our own page of that address has parted from the child's at fork. */
	assert_int_equal(w->private[100], 0);
	mem_unpin(&run);
}

static void shared_memory_is_reached_by_pointer(void **state)
{
	struct world *w = *state;
	struct mem_run run;
	u64 len;

	assert_page_works(w, w->file, "file", &run);
	assert_non_null(mem_phys_ptr(w->space, run_pa(&run), &len));
	assert_int_equal(w->file[100], '!');
	mem_unpin(&run);
	assert_page_works(w, w->shared, "shared", &run);
	if (mem_phys_ptr(w->space, run_pa(&run), &len))
		assert_int_equal(w->shared[101], '?');
	else
		print_message("map_files may not be opened here: shared memory was copied\n");
	mem_unpin(&run);
}

static void huge_pages_of_the_child_are_shared_too(void **state)
{
	struct world *w = *state;
	u8 *huge = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	struct child child;
	struct mem_run run;
	struct mm *mm;
	char got[8];

	if (huge == MAP_FAILED) {
		print_message("no huge pages on this machine\n");
		skip();
	}
	strcpy((char *)huge + MIB, "huge");
	child = child_start();
	munmap(huge, 2 * MIB);
	assert_int_equal(mm_create_remote(w->space, child.pid, &mm), 0);
	assert_int_equal(mem_pin_va(mm, (uintptr_t)huge, 600, true, &run), 512);
	assert_int_equal(mem_run_read(&run, MIB, got, 5), 0);
	assert_string_equal(got, "huge");
	assert_page(mm, huge + MIB, run_pa(&run) + MIB, 1, true);
	mem_unpin(&run);
	mm_put(mm);
	child_end(&child);
}

static void the_same_file_is_the_same_page_in_both_processes(void **state)
{
	struct world *w = *state;
	struct mem_run here, there, by_file;
	struct mem_file *file;
	struct mm *self;

	assert_int_equal(mm_create_self(w->space, false, &self), 0);
	assert_int_equal(mem_file_open(w->space, w->fd, &file), 0);
	assert_int_equal(mem_pin_va(self, (uintptr_t)w->file, 2, true, &here), 2);
	assert_int_equal(mem_pin_va(w->mm, (uintptr_t)w->file, 2, true, &there), 2);
	assert_int_equal(mem_pin_file(file, 0, 1, &by_file), 1);
	assert_int_equal(run_pa(&here), run_pa(&there));
	assert_int_equal(run_pa(&here), run_pa(&by_file));
	assert_page(w->mm, w->file, run_pa(&here), 3, false);
	assert_page(self, w->file + PAGE_SIZE, run_pa(&here) + PAGE_SIZE, 2, false);
	mem_unpin(&here);
	mem_unpin(&there);
	mem_unpin(&by_file);
	mem_file_put(file);
	mm_put(self);
}

static void pins_are_refused_with_efault(void **state)
{
	struct world *w = *state;
	struct mem_run run;
	u64 pa, pins;
	bool huge;

	child_order(&w->child, CHILD_PROTECT_NONE, w->private, PAGE_SIZE);
	assert_int_equal(pin_one(w->mm, w->private, false, &run), -EFAULT);
	assert_int_equal(pin_one(w->mm, w->private, true, &run), -EFAULT);
	child_order(&w->child, CHILD_UNMAP, w->private, PAGE_SIZE);
	assert_int_equal(pin_one(w->mm, w->private, false, &run), -EFAULT);
	assert_int_equal(mem_va_page(w->mm, (uintptr_t)w->private, &pa, &pins, &huge), -EFAULT);
	assert_int_equal(mem_pin_va(w->mm, PAGE_MASK, 1, false, &run), -EOVERFLOW);
	/* The file was cut short after it was mapped. */
	assert_int_equal(ftruncate(w->fd, PAGE_SIZE), 0);
	assert_int_equal(pin_one(w->mm, w->file + PAGE_SIZE, true, &run), -EFAULT);
}

static void unmapping_takes_private_memory_but_not_files(void **state)
{
	struct world *w = *state;
	struct mem_run private, file;
	char got[8];

	assert_int_equal(pin_one(w->mm, w->private, true, &private), 1);
	assert_int_equal(pin_one(w->mm, w->file, true, &file), 1);
	child_order(&w->child, CHILD_PROTECT_NONE, w->private, PAGE_SIZE);
	assert_int_equal(mem_run_read(&private, 0, got, 8), 0);
	assert_string_equal(got, "private");
	child_order(&w->child, CHILD_UNMAP, w->private, PAGE_SIZE);
	child_order(&w->child, CHILD_UNMAP, w->file, PAGE_SIZE);
	assert_int_equal(mem_run_read(&private, 0, got, 8), -EFAULT);
	assert_int_equal(mem_run_write(&private, 0, got, 8), -EFAULT);
	assert_int_equal(mem_run_read(&file, 0, got, 5), 0);
	assert_string_equal(got, "file");
	mem_unpin(&private);
	mem_unpin(&file);
}

static void a_truncated_file_gives_faults_and_no_crash(void **state)
{
	struct world *w = *state;
	struct mem_run run;
	char got[8];

	assert_int_equal(pin_one(w->mm, w->file, true, &run), 1);
	assert_int_equal(ftruncate(w->fd, 0), 0);
	assert_int_equal(mem_run_read(&run, 0, got, 5), -EFAULT);
	assert_int_equal(mem_run_write(&run, 0, got, 5), -EFAULT);
	assert_int_equal(mem_phys_write(w->space, run_pa(&run), got, 5), -EFAULT);
	mem_unpin(&run);
}

static void after_exit_shared_pages_stay_and_private_ones_go(void **state)
{
	struct world *w = *state;
	struct mem_run private, shared, file, run;
	char got[8];
	u64 len;

	assert_int_equal(pin_one(w->mm, w->private, true, &private), 1);
	assert_int_equal(pin_one(w->mm, w->shared, true, &shared), 1);
	assert_int_equal(pin_one(w->mm, w->file, true, &file), 1);
	assert_true(mm_alive(w->mm));
	child_end(&w->child);
	w->child = child_start();

	assert_false(mm_alive(w->mm));
	assert_false(mm_is(w->mm, w->child.pid));
	assert_int_equal(mem_run_read(&private, 0, got, 8), -EFAULT);
	assert_int_equal(mem_run_read(&file, 0, got, 5), 0);
	assert_string_equal(got, "file");
	if (mem_phys_ptr(w->space, run_pa(&shared), &len)) {
		assert_int_equal(mem_run_read(&shared, 0, got, 7), 0);
		assert_string_equal(got, "shared");
	}
	assert_int_equal(pin_one(w->mm, w->private, true, &run), -EFAULT);
	assert_int_equal(pin_one(w->mm, w->file, true, &run), -EFAULT);
	assert_int_equal(mm_read(w->mm, (uintptr_t)w->private, got, 1), -EFAULT);
	assert_int_equal(mm_write(w->mm, (uintptr_t)w->private, got, 1), -EFAULT);
	mem_unpin(&private);
	mem_unpin(&shared);
	mem_unpin(&file);
}

static void exec_counts_as_exit(void **state)
{
	struct world *w = *state;
	struct mem_run run;
	struct mm *next;
	char byte;

	assert_int_equal(pin_one(w->mm, w->private, true, &run), 1);
	assert_true(mm_is(w->mm, w->child.pid));
	child_exec(&w->child);
	assert_false(mm_alive(w->mm));
	assert_false(mm_is(w->mm, w->child.pid));
	assert_int_equal(mem_run_read(&run, 0, &byte, 1), -EFAULT);
	assert_int_equal(mm_read(w->mm, (uintptr_t)w->private, &byte, 1), -EFAULT);
	assert_int_equal(mm_create_remote(w->space, w->child.pid, &next), 0);
	assert_true(mm_alive(next));
	assert_true(mm_is(next, w->child.pid));
	assert_int_equal(mm_pid(next), w->child.pid);
	mm_put(next);
	mem_unpin(&run);
}

static void another_process_is_another_mm(void **state)
{
	struct world *w = *state;
	struct child other = child_start();

	assert_true(mm_is(w->mm, w->child.pid));
	assert_false(mm_is(w->mm, other.pid));
	assert_false(mm_is(w->mm, getpid()));
	child_end(&other);
	assert_false(mm_is(w->mm, other.pid));
}

static int wait_in_parents_memory(void *arg)
{
	int *fds = arg;
	char byte;

	if (read(fds[0], &byte, 1) == 1)
		execl("/bin/sleep", "sleep", "1000", NULL);
	_exit(1);
}

static void a_vfork_child_leaves_its_parents_mm_at_exec(void **state)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	struct world *w = *state;
	int go[2], gone[2];
	struct mm *mm;
	char byte = 0;
	pid_t pid;

#ifdef __SANITIZE_THREAD__
	print_message("the thread sanitizer does not survive clone(CLONE_VM)\n");
	skip();
#endif
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(gone, O_CLOEXEC), 0);
	/* As vfork() does it, but without stopping us meanwhile. */
	pid = clone(wait_in_parents_memory, stack + sizeof(stack), CLONE_VM | SIGCHLD, go);
	assert_true(pid > 0);
	assert_int_equal(mm_create_remote(w->space, pid, &mm), 0);
	assert_true(mm_is(mm, pid));
	assert_true(mm_is(mm, getpid()));
	close(gone[1]);
	assert_int_equal(write(go[1], &byte, 1), 1);
	/* The child's end of this pipe closes at exec. */
	assert_int_equal(read(gone[0], &byte, 1), 0);
	assert_true(mm_alive(mm));
	assert_false(mm_is(mm, pid));
	assert_true(mm_is(mm, getpid()));
	mm_put(mm);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(go[0]);
	close(go[1]);
	close(gone[0]);
}

static void reading_and_writing_keep_to_the_permissions(void **state)
{
	struct world *w = *state;
	char got[16];

	assert_int_equal(mm_read(w->mm, (uintptr_t)w->private, got, 8), 0);
	assert_string_equal(got, "private");
	assert_int_equal(mm_write(w->mm, (uintptr_t)w->private, "written", 8), 0);
	assert_int_equal(child_order(&w->child, CHILD_PEEK, w->private, 0), 'w');
	/* From one page into the next, whose mapping is another. */
	child_order(&w->child, CHILD_PROTECT_NONE, w->private + PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(mm_read(w->mm, (uintptr_t)w->private + PAGE_SIZE - 4, got, 4), 0);
	assert_int_equal(mm_read(w->mm, (uintptr_t)w->private + PAGE_SIZE - 4, got, 8), -EFAULT);
	assert_int_equal(mm_write(w->mm, (uintptr_t)w->private + PAGE_SIZE, got, 1), -EFAULT);
	assert_int_equal(mm_read(w->mm, 0, got, 1), -EFAULT);
	assert_int_equal(mm_read(w->mm, UINT64_MAX - 3, got, 8), -EFAULT);
}

/* A process one of whose threads never leaves alone the mapping another one pins in. */
static pid_t cutter_start(u8 *page, _Atomic u32 *go)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		if (!*go) {
			usleep(100);
			continue;
		}
		mprotect(page, PAGE_SIZE, PROT_READ);
		mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE);
	}
}

static void a_file_is_known_though_its_mapping_is_cut_and_joined(void **state)
{
	struct world *w = *state;
	u8 *pages = map_memory(8 * PAGE_SIZE, MAP_SHARED, -1);
	_Atomic u32 *go = (_Atomic u32 *)map_memory(PAGE_SIZE, MAP_SHARED, -1);
	pid_t pid = cutter_start(pages + 6 * PAGE_SIZE, go);
	struct mem_run run;
	struct mm *mm;
	bool known;
	u64 len;

	assert_int_equal(mm_create_remote(w->space, pid, &mm), 0);
	assert_int_equal(pin_one(mm, pages, true, &run), 1);
	known = mem_phys_ptr(w->space, run_pa(&run), &len) != NULL;
	mem_unpin(&run);
	if (!known)
		print_message("map_files may not be opened here\n");
	*go = true;
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(pin_one(mm, pages, true, &run), 1);
		assert_true(known == (mem_phys_ptr(w->space, run_pa(&run), &len) != NULL));
		mem_unpin(&run);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	mm_put(mm);
	munmap(pages, 8 * PAGE_SIZE);
	munmap((void *)go, PAGE_SIZE);
}

static void processes_that_do_not_exist_are_refused(void **state)
{
	struct world *w = *state;
	struct mm *mm;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	assert_int_equal(mm_create_remote(w->space, pid, &mm), -ESRCH);
	assert_int_equal(mm_create_remote(w->space, 0x7ffffff0, &mm), -ESRCH);
	pid = fork();
	if (!pid)
		_exit(0);
	/* A zombie has no address space. */
	siginfo_t info;

	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	assert_int_equal(mm_create_remote(w->space, pid, &mm), -ESRCH);
	waitpid(pid, NULL, 0);
}

static void the_text_of_maps_says_what_the_query_says(void **state)
{
	struct world *w = *state;
	struct vma query, text;
	u64 va = 0, seen = 0;

	if (!w->mm->has_query) {
		print_message("this kernel has no PROCMAP_QUERY\n");
		skip();
	}
	while (!vma_next(w->mm->maps_fd, true, va, &query)) {
		assert_int_equal(vma_next(w->mm->maps_fd, false, va, &text), 0);
		assert_int_equal(text.first, query.first);
		assert_int_equal(text.last, query.last);
		assert_int_equal(text.flags, query.flags);
		assert_int_equal(text.ino, query.ino);
		assert_int_equal(text.dev, query.dev);
		/* The text gives anonymous mappings an offset too. */
		if (text.ino)
			assert_int_equal(text.offset, query.offset);
		if (text.page_size == PAGE_SIZE)
			assert_string_equal(text.name, query.name);
		va = query.last + 1;
		seen++;
	}
	assert_true(seen > 10);
}

/* What kernels before 6.11 leave us with. */
static void everything_works_without_the_query_too(void **state)
{
	struct world *w = *state;
	struct mem_run run;
	char got[8];

	w->mm->has_query = false;
	assert_page_works(w, w->private, "private", &run);
	mem_unpin(&run);
	assert_int_equal(mm_read(w->mm, (uintptr_t)w->private, got, 8), 0);
	assert_string_equal(got, "private");
	assert_int_equal(mm_write(w->mm, (uintptr_t)w->private, "written", 8), 0);
	child_order(&w->child, CHILD_PROTECT_NONE, w->private, PAGE_SIZE);
	assert_int_equal(mm_read(w->mm, (uintptr_t)w->private, got, 8), -EFAULT);
	assert_int_equal(pin_one(w->mm, w->private, false, &run), -EFAULT);
	child_exec(&w->child);
	assert_int_equal(mm_read(w->mm, (uintptr_t)w->file, got, 1), -EFAULT);
	assert_int_equal(pin_one(w->mm, w->file, false, &run), -EFAULT);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(private_memory_is_reached_by_copying),
		TEST(shared_memory_is_reached_by_pointer),
		TEST(huge_pages_of_the_child_are_shared_too),
		TEST(the_same_file_is_the_same_page_in_both_processes),
		TEST(pins_are_refused_with_efault),
		TEST(unmapping_takes_private_memory_but_not_files),
		TEST(a_truncated_file_gives_faults_and_no_crash),
		TEST(after_exit_shared_pages_stay_and_private_ones_go),
		TEST(exec_counts_as_exit),
		TEST(another_process_is_another_mm),
		TEST(a_vfork_child_leaves_its_parents_mm_at_exec),
		TEST(reading_and_writing_keep_to_the_permissions),
		TEST(a_file_is_known_though_its_mapping_is_cut_and_joined),
		TEST(processes_that_do_not_exist_are_refused),
		TEST(the_text_of_maps_says_what_the_query_says),
		TEST(everything_works_without_the_query_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
