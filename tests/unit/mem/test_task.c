/* SPDX-License-Identifier: MIT */
/*
 * The current task and the extensible-struct rule.
 */
#include "mem/task.h"
#include "mem_fixture.h"

/* A program whose memory is one page, right below a hole. */
struct program {
	struct task task;
	u8 *page;
	int cap;
	u32 copies;
};

#define PROGRAM_BASE 0x10000UL
#define PROGRAM_END (PROGRAM_BASE + PAGE_SIZE)

static int program_copy_from(struct task *task, void *dst, u64 uaddr, size_t len)
{
	struct program *p = container_of(task, struct program, task);

	p->copies++;
	if (uaddr < PROGRAM_BASE || uaddr > PROGRAM_END || len > PROGRAM_END - uaddr)
		return -EFAULT;
	memcpy(dst, p->page + (uaddr - PROGRAM_BASE), len);
	return 0;
}

static int program_copy_to(struct task *task, u64 uaddr, const void *src, size_t len)
{
	struct program *p = container_of(task, struct program, task);

	if (uaddr < PROGRAM_BASE || uaddr > PROGRAM_END || len > PROGRAM_END - uaddr)
		return -EFAULT;
	memcpy(p->page + (uaddr - PROGRAM_BASE), src, len);
	return 0;
}

static bool program_capable(struct task *task, int cap)
{
	return container_of(task, struct program, task)->cap == cap;
}

static const struct task_ops program_ops = {
	.copy_from = program_copy_from,
	.copy_to = program_copy_to,
	.capable = program_capable,
};

static int setup(void **state)
{
	struct program *p = calloc(1, sizeof(*p));

	p->task.ops = &program_ops;
	p->page = calloc(1, PAGE_SIZE);
	p->cap = 14;
	assert_null(task_enter(&p->task));
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct program *p = *state;

	task_leave(NULL);
	assert_null(task_current);
	free(p->page);
	free(p);
	return 0;
}

struct known {
	u32 size;
	u32 flags;
	u64 iova;
};

static void a_struct_of_our_size_is_copied(void **state)
{
	struct program *p = *state;
	struct known k = { 16, 1, 2 }, got;

	memcpy(p->page, &k, sizeof(k));
	assert_int_equal(copy_struct_from_user(&got, sizeof(got), PROGRAM_BASE, sizeof(got)), 0);
	assert_memory_equal(&got, &k, sizeof(k));
	assert_int_equal(p->copies, 1);
}

static void a_shorter_struct_is_extended_with_zeroes(void **state)
{
	struct program *p = *state;
	struct known got;

	memset(p->page, 0xff, PAGE_SIZE);
	memset(&got, 0xaa, sizeof(got));
	assert_int_equal(copy_struct_from_user(&got, sizeof(got), PROGRAM_BASE, 8), 0);
	assert_int_equal(got.flags, 0xffffffff);
	assert_int_equal(got.iova, 0);
}

static void a_longer_struct_must_end_in_zeroes(void **state)
{
	struct program *p = *state;
	struct known got;

	p->page[3] = 9;
	assert_int_equal(copy_struct_from_user(&got, sizeof(got), PROGRAM_BASE, PAGE_SIZE), 0);
	assert_int_equal(got.size, 9U << 24);
	for (size_t at = sizeof(got); at < PAGE_SIZE; at += 501) {
		p->page[at] = 1;
		assert_int_equal(copy_struct_from_user(&got, sizeof(got), PROGRAM_BASE, PAGE_SIZE),
				 -E2BIG);
		p->page[at] = 0;
	}
	p->page[PAGE_SIZE - 1] = 1;
	assert_int_equal(copy_struct_from_user(&got, sizeof(got), PROGRAM_BASE, PAGE_SIZE), -E2BIG);
	assert_int_equal(copy_struct_from_user(&got, sizeof(got), PROGRAM_BASE, PAGE_SIZE - 1), 0);
}

static void a_set_byte_below_a_hole_is_seen_first(void **state)
{
	struct program *p = *state;
	struct known got;
	u64 uaddr = PROGRAM_END - 64;

	assert_int_equal(copy_struct_from_user(&got, sizeof(got), uaddr, 4096), -EFAULT);
	p->page[PAGE_SIZE - 1] = 1;
	assert_int_equal(copy_struct_from_user(&got, sizeof(got), uaddr, 4096), -E2BIG);
	assert_int_equal(copy_struct_from_user(&got, sizeof(got), PROGRAM_END, 16), -EFAULT);
	assert_int_equal(copy_struct_from_user(&got, sizeof(got), PROGRAM_END - 8, 16), -EFAULT);
}

static void copies_go_to_the_current_program(void **state)
{
	struct program *p = *state, other = { .task.ops = &program_ops };
	u8 page[PAGE_SIZE] = { 0 }, byte = 5;
	struct task *previous;

	other.page = page;
	previous = task_enter(&other.task);
	assert_ptr_equal(previous, &p->task);
	assert_int_equal(copy_to_user(PROGRAM_BASE, &byte, 1), 0);
	task_leave(previous);
	assert_int_equal(page[0], 5);
	assert_int_equal(p->page[0], 0);
	assert_int_equal(copy_to_user(PROGRAM_END, &byte, 1), -EFAULT);
	assert_int_equal(copy_from_user(&byte, PROGRAM_END, 1), -EFAULT);
	assert_int_equal(copy_from_user(&byte, 0, 0), 0);
}

static void a_thread_of_ours_has_no_memory_and_every_right(void **state)
{
	struct task kthread = { .kthread = true }, *previous = task_enter(&kthread);
	u8 byte = 0;

	assert_int_equal(copy_from_user(&byte, PROGRAM_BASE, 1), -EFAULT);
	assert_int_equal(copy_to_user(PROGRAM_BASE, &byte, 1), -EFAULT);
	assert_true(capable(21));
	task_leave(previous);
	assert_true(capable(14));
	assert_false(capable(21));
}

static void outside_a_call_there_is_nothing(void **state)
{
	struct task *previous = task_enter(NULL);
	u8 byte = 0;

	assert_int_equal(copy_from_user(&byte, PROGRAM_BASE, 1), -EFAULT);
	assert_false(capable(14));
	task_leave(previous);
}

static void faults_on_demand_follow_the_task(void **state)
{
	struct program *p = *state;
	struct fault_state fault = { 0 };
	u8 byte = 0;
	struct task *previous;

	p->task.fault = &fault;
	previous = task_enter(&p->task);
	atomic_store(&fault.nth, 2);
	assert_int_equal(copy_from_user(&byte, PROGRAM_BASE, 1), 0);
	assert_int_equal(copy_to_user(PROGRAM_BASE, &byte, 1), -EFAULT);
	assert_int_equal(copy_to_user(PROGRAM_BASE, &byte, 1), 0);
	assert_int_equal(atomic_load(&fault.injected), 1);
	p->task.fault = NULL;
	task_leave(previous);
	assert_null(fault_current);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_struct_of_our_size_is_copied),
		TEST(a_shorter_struct_is_extended_with_zeroes),
		TEST(a_longer_struct_must_end_in_zeroes),
		TEST(a_set_byte_below_a_hole_is_seen_first),
		TEST(copies_go_to_the_current_program),
		TEST(a_thread_of_ours_has_no_memory_and_every_right),
		TEST(outside_a_call_there_is_nothing),
		TEST(faults_on_demand_follow_the_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
