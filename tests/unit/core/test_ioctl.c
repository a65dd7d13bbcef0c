/* SPDX-License-Identifier: MIT */
/*
 * The framing of commands, row by row, and the two that core serves itself.
 * HWPT_ALLOC stands for all commands that have grown: 24 bytes at least, 48
 * known.
 */
#include "fake_rooms.h"

#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The test is the caller: its own memory, and capabilities it can switch. */
struct caller {
	struct task task;
	bool sys_resource;
};

static struct world *world;
static struct caller caller;
static struct mm *mm;
static u8 *edge; /* two pages, of which the second cannot be touched */

static int caller_copy_from(struct task *task, void *dst, u64 uaddr, size_t len)
{
	return mm_read(task->mm, uaddr, dst, len);
}

static int caller_copy_to(struct task *task, u64 uaddr, const void *src, size_t len)
{
	return mm_write(task->mm, uaddr, src, len);
}

static bool caller_capable(struct task *task, int cap)
{
	return cap == CAP_SYS_RESOURCE && container_of(task, struct caller, task)->sys_resource;
}

static const struct task_ops caller_ops = {
	.copy_from = caller_copy_from,
	.copy_to = caller_copy_to,
	.capable = caller_capable,
};

static int setup(void **state)
{
	world_setup(state);
	world = *state;
	assert_int_equal(mm_create_self(world->system->mem, false, &mm), 0);
	caller = (struct caller){ .task = { .ops = &caller_ops, .mm = mm } };
	assert_null(task_enter(&caller.task));
	edge = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	assert_ptr_not_equal(edge, MAP_FAILED);
	assert_int_equal(mprotect(edge + PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	return 0;
}

static int teardown(void **state)
{
	task_leave(NULL);
	munmap(edge, 2 * PAGE_SIZE);
	mm_put(mm);
	return world_teardown(state);
}

static long call(unsigned int cmd, void *arg)
{
	return ctx_ioctl(world->ctx, cmd, (uintptr_t)arg);
}

/* Bad address: a page nothing is mapped at. */
#define NOWHERE ((void *)8)

static void numbers_outside_the_table_are_vfio_and_read_nothing(void **state)
{
	assert_int_equal(call(0x3b64, NOWHERE), 0);
	assert_int_equal(call(0x3b00, NOWHERE), -ENOTTY);
	assert_int_equal(call(0x3b7f, NOWHERE), -ENOTTY);
	assert_int_equal(call(0x3b95, NOWHERE), -ENOTTY);
	assert_int_equal(call(IOMMU_TEST_CMD, NOWHERE), -ENOTTY);
	assert_int_equal(call(0x3bff, NOWHERE), -ENOTTY);
}

static void the_test_command_moves_the_end_of_the_table(void **state)
{
	struct iommu_test_cmd cmd = { .size = sizeof(cmd) };

	world->system->test_cmd = fake_test_cmd;
	assert_int_equal(call(0x3b95, NOWHERE), -EFAULT);
	assert_int_equal(call(0x3b9f, &cmd), -ENOTTY);
	assert_int_equal(call(0x3ba1, NOWHERE), -ENOTTY);
	assert_int_equal(call(IOMMU_TEST_CMD, NOWHERE), -EFAULT);
	assert_int_equal(fake_command.calls, 0);
	assert_int_equal(call(IOMMU_TEST_CMD, &cmd), 0);
	cmd.size = 68;
	assert_int_equal(call(IOMMU_TEST_CMD, &cmd), 0);
	cmd.size = 67;
	assert_int_equal(call(IOMMU_TEST_CMD, &cmd), -EINVAL);
	assert_int_equal(fake_command.calls, 2);
}

static void an_unreadable_size_comes_before_an_unknown_number(void **state)
{
	struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd) };
	unsigned int with_size = _IOC(_IOC_READ, IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC, 48);
	unsigned int other_type = _IO('<', IOMMUFD_CMD_HWPT_ALLOC);

	assert_int_equal(call(with_size, NOWHERE), -EFAULT);
	assert_int_equal(call(other_type, NOWHERE), -EFAULT);
	assert_int_equal(call(with_size, &cmd), -ENOTTY);
	assert_int_equal(call(other_type, &cmd), -ENOTTY);
	/* a slot of this table without a row */
	assert_int_equal(call(IOMMU_IOAS_COPY, &cmd), -ENOTTY);
	assert_int_equal(call(IOMMU_IOAS_COPY, NOWHERE), -EFAULT);
	assert_int_equal(call(IOMMU_HWPT_ALLOC, edge + PAGE_SIZE - 2), -EFAULT);
	assert_int_equal(fake_command.calls, 0);
}

static void too_small_is_einval_even_if_unreadable(void **state)
{
	u32 *size = (u32 *)(edge + PAGE_SIZE - 4);

	for (*size = 0; *size < 24; ++*size)
		assert_int_equal(call(IOMMU_HWPT_ALLOC, size), -EINVAL);
	assert_int_equal(call(IOMMU_HWPT_ALLOC, size), -EFAULT);
	assert_int_equal(fake_command.calls, 0);
}

static void a_missing_tail_reads_as_zero(void **state)
{
	u8 expect[48] = { 0 };
	u8 *cmd = edge + PAGE_SIZE - 28;

	memset(cmd, 0xaa, 28);
	*(u32 *)cmd = 28;
	memcpy(expect, cmd, 28);
	assert_int_equal(call(IOMMU_HWPT_ALLOC, cmd), 0);
	assert_memory_equal(fake_command.copy, expect, sizeof(expect));
	assert_int_equal(fake_command.user_size, 28);
	/* and only as much is written back as the caller has */
	assert_int_equal(*(u32 *)(cmd + offsetof(struct iommu_hwpt_alloc, out_hwpt_id)), 77);
}

static void answers_stop_at_the_callers_size(void **state)
{
	struct iommu_hwpt_alloc cmd = { .size = 24, .fault_id = 5 };

	assert_int_equal(call(IOMMU_HWPT_ALLOC, &cmd), 0);
	assert_int_equal(cmd.out_hwpt_id, 77);
	assert_int_equal(cmd.fault_id, 5);
	cmd.size = sizeof(cmd);
	assert_int_equal(call(IOMMU_HWPT_ALLOC, &cmd), 0);
	assert_int_equal(cmd.fault_id, 78);
}

static void a_longer_struct_needs_a_zero_tail(void **state)
{
	struct {
		struct iommu_hwpt_alloc cmd;
		u8 tail[5000];
	} longer = { .cmd.size = sizeof(longer) };

	assert_int_equal(call(IOMMU_HWPT_ALLOC, &longer), 0);
	longer.tail[4999] = 1;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, &longer), -E2BIG);
	longer.cmd.size--;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, &longer), 0);
	longer.tail[0] = 1;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, &longer), -E2BIG);
	longer.cmd.size = sizeof(longer.cmd);
	assert_int_equal(call(IOMMU_HWPT_ALLOC, &longer), 0);
	assert_int_equal(fake_command.calls, 3);
}

static void of_a_tail_the_first_bad_byte_decides(void **state)
{
	u8 *cmd = edge + PAGE_SIZE - 64;

	*(u32 *)cmd = 65;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, cmd), -EFAULT);
	*(u32 *)cmd = UINT32_MAX;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, cmd), -EFAULT);
	cmd[63] = 1;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, cmd), -E2BIG);
	*(u32 *)cmd = 63;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, cmd), 0);
}

static void an_unreadable_struct_is_efault(void **state)
{
	struct iommu_hwpt_alloc *cmd = (void *)(edge + PAGE_SIZE - 40);

	cmd->size = 48;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, cmd), -EFAULT);
	cmd->size = 40;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, cmd), 0);
}

static void known_but_not_built_is_refused_after_the_framing(void **state)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) - 1 };

	assert_int_equal(call(IOMMU_FAULT_QUEUE_ALLOC, NOWHERE), -EFAULT);
	assert_int_equal(call(IOMMU_FAULT_QUEUE_ALLOC, &cmd), -EINVAL);
	cmd.size++;
	assert_int_equal(call(IOMMU_FAULT_QUEUE_ALLOC, &cmd), -EOPNOTSUPP);
}

static void a_handlers_value_and_error_reach_the_caller(void **state)
{
	struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd) };

	fake_command.ret = 42;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, &cmd), 42);
	fake_command.rc = -EADDRINUSE;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, &cmd), -EADDRINUSE);
}

static void an_object_is_published_only_with_its_answer(void **state)
{
	struct iommu_ioas_alloc *cmd = (void *)(edge + PAGE_SIZE - sizeof(*cmd));

	cmd->size = sizeof(*cmd);
	assert_int_equal(call(IOMMU_IOAS_ALLOC, cmd), 0);
	assert_int_equal(cmd->out_ioas_id, 1);
	assert_int_equal(mprotect(edge, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(call(IOMMU_IOAS_ALLOC, cmd), -EFAULT);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	assert_int_equal(mprotect(edge, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(call(IOMMU_IOAS_ALLOC, cmd), 0);
	assert_int_equal(cmd->out_ioas_id, 2);
}

static void destroy_ends_what_nobody_uses(void **state)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = 1 };
	struct fake_object *fake;

	assert_int_equal(call(IOMMU_DESTROY, &cmd), -ENOENT);
	fake = fake_object_make(world->ctx, IOMMUFD_OBJ_IOAS);
	object_hold(&fake->obj);
	assert_int_equal(call(IOMMU_DESTROY, &cmd), -EBUSY);
	object_release(&fake->obj);
	assert_int_equal(call(IOMMU_DESTROY, &cmd), 0);
	assert_int_equal(call(IOMMU_DESTROY, &cmd), -ENOENT);
}

/* A program that changes the size while we read: the second look must not count. */
static int racing_copy_from(struct task *task, void *dst, u64 uaddr, size_t len)
{
	int rc = mm_read(task->mm, uaddr, dst, len);
	u32 other = 4096;

	return rc ? rc : mm_write(task->mm, uaddr, &other, sizeof(other));
}

static void a_size_that_changes_is_not_believed(void **state)
{
	struct task_ops racing_ops = caller_ops;
	struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd) };

	racing_ops.copy_from = racing_copy_from;
	caller.task.ops = &racing_ops;
	assert_int_equal(call(IOMMU_HWPT_ALLOC, &cmd), 0);
	assert_int_equal(fake_command.user_size, sizeof(cmd));
	assert_int_equal(*(u32 *)fake_command.copy, sizeof(cmd));
}

#ifdef IOMMUFD_DEBUG
/* Does it abort at one of so many commands?  It says nothing of it. */
static bool stops_within(unsigned int calls, bool slow)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = 99 };
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		struct rlimit none = { 0 };

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		atomic_store(&world->ctx->check_slow, slow);
		while (calls--)
			call(IOMMU_DESTROY, &cmd);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_debug_build_stops_at_the_command_that_broke_something(void **state)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = 99 };
	struct fake_object *fake = fake_object_make(world->ctx, IOMMUFD_OBJ_IOAS);

	assert_int_equal(call(IOMMU_DESTROY, &cmd), -ENOENT);
	fake->wrong = "areas overlap";
	assert_true(stops_within(1, false));
	/* Where a check takes long (or who does it has to wait for a processor) it is rare. */
	assert_false(stops_within(2, true));
	assert_true(stops_within(64, true));
	fake->wrong = NULL;
}
#endif

/* ---- IOMMU_OPTION ---- */

static long option(u32 id, u16 op, u32 object_id, u64 *value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = id,
		.op = op,
		.object_id = object_id,
		.val64 = *value,
	};
	long rc = call(IOMMU_OPTION, &cmd);

	*value = cmd.val64;
	return rc;
}

static void option_framing(void **state)
{
	struct iommu_option cmd = { .size = sizeof(cmd), .op = IOMMU_OPTION_OP_GET };
	u64 value = 0;

	cmd.__reserved = 1;
	assert_int_equal(call(IOMMU_OPTION, &cmd), -EOPNOTSUPP);
	assert_int_equal(option(2, IOMMU_OPTION_OP_GET, 0, &value), -EOPNOTSUPP);
	assert_int_equal(option(IOMMU_OPTION_RLIMIT_MODE, 2, 0, &value), -EOPNOTSUPP);
	assert_int_equal(option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 1, &value),
			 -EOPNOTSUPP);
}

static long set_mode(u64 value)
{
	return option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &value);
}

static u64 get_mode(void)
{
	u64 value = 99;

	assert_int_equal(option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, &value), 0);
	return value;
}

static void rlimit_mode_rows_in_order(void **state)
{
	struct fake_object *fake = fake_object_begin(world->ctx, IOMMUFD_OBJ_IOAS);

	assert_int_equal(get_mode(), 0);
	/* without the privilege nothing else matters */
	assert_int_equal(set_mode(7), -EPERM);
	caller.sys_resource = true;
	/* an id is taken, be it unpublished, published or buried */
	assert_int_equal(set_mode(7), -EBUSY);
	object_finalize(world->ctx, &fake->obj);
	assert_int_equal(set_mode(1), -EBUSY);
	object_hold(&fake->obj);
	object_destroy_user(world->ctx, &fake->obj);
	assert_int_equal(set_mode(7), -EINVAL);
	assert_int_equal(set_mode(1), 0);
	assert_int_equal(get_mode(), 1);
	assert_int_equal(world->ctx->account_mode, MEM_ACCOUNT_MM);
	assert_int_equal(set_mode(0), 0);
	assert_int_equal(get_mode(), 0);
	fake = fake_object_make(world->ctx, IOMMUFD_OBJ_ACCESS);
	object_hold(&fake->obj);
	object_tombstone_user(world->ctx, &fake->obj);
	assert_int_equal(set_mode(1), -EBUSY);
	assert_int_equal(get_mode(), 0);
}

static void huge_pages_goes_to_the_ioas(void **state)
{
	u64 value = 9;

	assert_int_equal(option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, 0, &value), -ENOENT);
	fake_object_make(world->ctx, IOMMUFD_OBJ_DEVICE);
	assert_int_equal(option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, 1, &value), -ENOENT);
	fake_object_make(world->ctx, IOMMUFD_OBJ_IOAS);
	assert_int_equal(option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, 2, &value), 0);
	assert_int_equal(value, 0);
	value = 1;
	assert_int_equal(option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, 2, &value), 0);
	value = 9;
	assert_int_equal(option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, 2, &value), 0);
	assert_int_equal(value, 1);
}

static void option_answers_with_its_value_alone(void **state)
{
	struct iommu_option *cmd = (void *)(edge + PAGE_SIZE - 16);

	/* the first 16 bytes may be read-only, the value may not */
	assert_int_equal(mprotect(edge + PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	memset(cmd, 0, sizeof(*cmd));
	cmd->size = sizeof(*cmd);
	cmd->op = IOMMU_OPTION_OP_GET;
	cmd->val64 = 9;
	assert_int_equal(mprotect(edge, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(call(IOMMU_OPTION, cmd), 0);
	assert_int_equal(cmd->val64, 0);
	assert_int_equal(mprotect(edge + PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(call(IOMMU_OPTION, cmd), -EFAULT);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(numbers_outside_the_table_are_vfio_and_read_nothing),
		T(the_test_command_moves_the_end_of_the_table),
		T(an_unreadable_size_comes_before_an_unknown_number),
		T(too_small_is_einval_even_if_unreadable),
		T(a_missing_tail_reads_as_zero),
		T(answers_stop_at_the_callers_size),
		T(a_longer_struct_needs_a_zero_tail),
		T(of_a_tail_the_first_bad_byte_decides),
		T(an_unreadable_struct_is_efault),
		T(known_but_not_built_is_refused_after_the_framing),
		T(a_handlers_value_and_error_reach_the_caller),
		T(an_object_is_published_only_with_its_answer),
		T(destroy_ends_what_nobody_uses),
		T(a_size_that_changes_is_not_believed),
#ifdef IOMMUFD_DEBUG
		T(a_debug_build_stops_at_the_command_that_broke_something),
#endif
		T(option_framing),
		T(rlimit_mode_rows_in_order),
		T(huge_pages_goes_to_the_ioas),
		T(option_answers_with_its_value_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
