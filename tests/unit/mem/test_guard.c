/* SPDX-License-Identifier: MIT */
/*
 * Guarded copies: what is there is copied, what is not is -EFAULT, and faults
 * of anybody else go where they went before.
 */
#include <setjmp.h>

#include "mem/guard.h"
#include "mem_fixture.h"

static void copies_of_every_size_are_exact(void **state)
{
	static u8 src[5000], dst[5002];

	for (u32 i = 0; i < sizeof(src); i++)
		src[i] = (u8)(i * 31 + i / 256 + 1);
	for (u32 len = 0; len <= sizeof(src); len += len < 300 ? 1 : 313) {
		memset(dst, 0, sizeof(dst));
		assert_int_equal(mem_guard_copy(dst + 1, src, len), 0);
		assert_int_equal(dst[0], 0);
		assert_memory_equal(dst + 1, src, len);
		assert_int_equal(dst[len + 1], 0);
	}
}

static void a_hole_on_either_side_is_a_fault_after_what_came_before(void **state)
{
	u8 *two = map_memory(2 * PAGE_SIZE, MAP_PRIVATE, -1), buf[64];

	memset(two, 7, PAGE_SIZE);
	munmap(two + PAGE_SIZE, PAGE_SIZE);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(mem_guard_copy(buf, two + PAGE_SIZE - 10, 64), -EFAULT);
	assert_int_equal(buf[9], 7);
	assert_int_equal(buf[10], 0);
	assert_int_equal(mem_guard_copy(two + PAGE_SIZE - 10, buf + 32, 32), -EFAULT);
	assert_int_equal(two[PAGE_SIZE - 1], 0);
	assert_int_equal(mem_guard_copy(buf, (void *)8, 1), -EFAULT);
	/* Not an address at all. */
	assert_int_equal(mem_guard_copy(buf, (void *)(1UL << 63), 1), -EFAULT);
	munmap(two, PAGE_SIZE);
}

static void the_end_of_a_file_is_a_fault(void **state)
{
	int fd = memfd_new("end", 0, PAGE_SIZE);
	u8 *two = map_memory(2 * PAGE_SIZE, MAP_SHARED, fd), byte = 0;

	assert_int_equal(mem_guard_copy(two, &byte, 1), 0);
	assert_int_equal(mem_guard_copy(two + PAGE_SIZE, &byte, 1), -EFAULT);
	assert_int_equal(mem_guard_copy(&byte, two + PAGE_SIZE, 1), -EFAULT);
	munmap(two, 2 * PAGE_SIZE);
	close(fd);
}

static void touching_tells_reading_from_writing_and_changes_nothing(void **state)
{
	u8 *page = map_memory(PAGE_SIZE, MAP_PRIVATE, -1);

	page[0] = 0xa5;
	assert_int_equal(guard_touch_read(page), 0);
	assert_int_equal(guard_touch_write(page), 0);
	assert_int_equal(page[0], 0xa5);
	mprotect(page, PAGE_SIZE, PROT_READ);
	assert_int_equal(guard_touch_read(page), 0);
	assert_int_equal(guard_touch_write(page), -EFAULT);
	munmap(page, PAGE_SIZE);
	assert_int_equal(guard_touch_read(page), -EFAULT);
}

static void *fault_often(void *arg)
{
	u8 byte;

	for (int i = 0; i < 2000; i++)
		if (mem_guard_copy(&byte, arg, 1) != -EFAULT)
			return arg;
	return NULL;
}

static void threads_fault_independently(void **state)
{
	u8 *hole = map_memory(PAGE_SIZE, MAP_PRIVATE, -1);
	pthread_t threads[3];

	/* Not unmapped: the threads' stacks would fill the hole. */
	mprotect(hole, PAGE_SIZE, PROT_NONE);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, fault_often, hole);
	for (int i = 0; i < 3; i++) {
		void *ret;

		pthread_join(threads[i], &ret);
		assert_null(ret);
	}
	munmap(hole, PAGE_SIZE);
}

/* ---- the handler that was there before ours, see main() ---- */

static sigjmp_buf back;
static volatile sig_atomic_t foreign_faults;

static void foreign_handler(int sig, siginfo_t *info, void *ucontext)
{
	foreign_faults++;
	siglongjmp(back, sig);
}

static void faults_of_others_go_to_the_handler_before_ours(void **state)
{
	u8 *volatile page = map_memory(PAGE_SIZE, MAP_PRIVATE, -1);
	u8 byte;

	munmap(page, PAGE_SIZE);
	foreign_faults = 0;
	if (!sigsetjmp(back, 1)) {
		*(volatile u8 *)page = 1;
		fail_msg("the write went through");
	}
	assert_int_equal(foreign_faults, 1);
	assert_int_equal(mem_guard_copy(&byte, page, 1), -EFAULT);
	assert_int_equal(foreign_faults, 1);
	/* One that was sent is no fault, wherever it meets us. */
	if (!sigsetjmp(back, 1))
		raise(SIGBUS);
	assert_int_equal(foreign_faults, 2);
}

static void a_program_that_owns_the_signal_can_ask_us(void **state)
{
	siginfo_t sent = { .si_code = SI_USER }, fault = { .si_code = SEGV_MAPERR };
	ucontext_t elsewhere;

	memset(&elsewhere, 0, sizeof(elsewhere));
	assert_false(guard_handle_fault(SIGSEGV, &fault, &elsewhere));
	assert_false(guard_handle_fault(SIGSEGV, &sent, &elsewhere));
	assert_false(guard_handle_fault(SIGILL, &fault, &elsewhere));
}

/* Without a handler before ours, a fault ends the process as if we were not there. */
static void without_another_handler_the_default_happens(void **state)
{
	static const int signals[] = { SIGSEGV, SIGBUS };

	for (int i = 0; i < 2; i++) {
		int status;
		pid_t pid = fork();

		if (!pid) {
			execl("/proc/self/exe", "test_guard", i ? "--die-sent" : "--die", NULL);
			_exit(1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
	}
}

static int die(bool sent)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	u8 *volatile nowhere = (u8 *)8;

	sigaction(SIGSEGV, &dfl, NULL);
	sigaction(SIGBUS, &dfl, NULL);
	guard_install();
	if (sent)
		raise(SIGBUS);
	else
		*nowhere = 1;
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_of_every_size_are_exact),
		cmocka_unit_test(a_hole_on_either_side_is_a_fault_after_what_came_before),
		cmocka_unit_test(the_end_of_a_file_is_a_fault),
		cmocka_unit_test(touching_tells_reading_from_writing_and_changes_nothing),
		cmocka_unit_test(threads_fault_independently),
		cmocka_unit_test(faults_of_others_go_to_the_handler_before_ours),
		cmocka_unit_test(a_program_that_owns_the_signal_can_ask_us),
		cmocka_unit_test(without_another_handler_the_default_happens),
	};
	struct sigaction foreign = { .sa_sigaction = foreign_handler, .sa_flags = SA_SIGINFO };

	if (argc > 1)
		return die(!strcmp(argv[1], "--die-sent"));
	sigaction(SIGSEGV, &foreign, NULL);
	sigaction(SIGBUS, &foreign, NULL);
	guard_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
