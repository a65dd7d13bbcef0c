/* SPDX-License-Identifier: MIT */
/* Fault points: who counts, which one fails, what can be read afterwards. */
#include <pthread.h>

#include "random.h"

/* Each test starts with a fresh state, pointed at by nothing. */
static struct fault_state state;

static int state_reset(void **test)
{
	fault_current = NULL;
	memset(&state, 0, sizeof(state));
	return 0;
}

static void without_a_state_no_point_fails(void **test)
{
	for (int i = 0; i < 100; i++)
		assert_false(fault_point("nothing"));
}

static void a_disarmed_state_only_counts(void **test)
{
	fault_current = &state;
	for (int i = 0; i < 100; i++)
		assert_false(fault_point("nothing"));
	assert_int_equal(state.passed, 100);
	assert_int_equal(state.injected, 0);
	assert_int_equal(state.nth, 0);
	assert_null(state.injected_at);
}

static void only_the_nth_point_fails_and_nth_reads_zero_then(void **test)
{
	state.nth = 3;
	fault_current = &state;
	assert_false(fault_point("first"));
	assert_int_equal(state.nth, 2);
	assert_false(fault_point("second"));
	assert_int_equal(state.nth, 1);
	assert_true(fault_point("third"));
	assert_int_equal(state.nth, 0);
	assert_string_equal(state.injected_at, "third");
	assert_int_equal(state.injected, 1);
	for (int i = 0; i < 10; i++)
		assert_false(fault_point("after"));
	assert_int_equal(state.nth, 0);
	assert_int_equal(state.injected, 1);
	assert_int_equal(state.passed, 13);
}

static void a_state_can_be_armed_again(void **test)
{
	fault_current = &state;
	for (int i = 1; i <= 5; i++) {
		state.nth = 1;
		assert_true(fault_point("again"));
		assert_int_equal(state.injected, i);
	}
}

static void *point_of_another_thread(void *arg)
{
	return fault_current || fault_point("elsewhere") ? arg : NULL;
}

static void the_state_belongs_to_one_thread(void **test)
{
	pthread_t thread;
	void *result = &state;

	state.nth = 1;
	fault_current = &state;
	assert_int_equal(pthread_create(&thread, NULL, point_of_another_thread, &state), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	assert_int_equal(state.nth, 1);
	assert_int_equal(state.passed, 0);
}

static void *disarm_often(void *arg)
{
	for (int i = 0; i < 20000; i++)
		atomic_store(&state.nth, i % 3);
	atomic_store(&state.nth, 0);
	return NULL;
}

static void a_writer_at_the_same_time_never_makes_nth_wrap(void **test)
{
	pthread_t thread;
	u64 failed = 0;

	fault_current = &state;
	assert_int_equal(pthread_create(&thread, NULL, disarm_often, NULL), 0);
	for (int i = 0; i < 20000; i++) {
		failed += fault_point("race");
		assert_true(atomic_load(&state.nth) <= 2);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(state.nth, 0);
	assert_int_equal(state.passed, 20000);
	assert_int_equal(state.injected, failed);
}

static void every_allocator_has_a_fault_point(void **test)
{
	void *memory;

	fault_current = &state;
	state.nth = 1;
	assert_null(zalloc(16));
	state.nth = 1;
	assert_null(zalloc_array(4, 4));
	state.nth = 1;
	assert_null(alloc_uninit(16));
	assert_int_equal(state.injected, 3);

	memory = zalloc(16);
	assert_non_null(memory);
	assert_memory_equal(memory, (char[16]){0}, 16);
	free(memory);
	memory = zalloc_array(4, 4);
	assert_non_null(memory);
	assert_memory_equal(memory, (char[16]){0}, 16);
	free(memory);
	memory = alloc_uninit(16);
	assert_non_null(memory);
	free(memory);
}

static void what_is_too_large_for_linux_is_too_large(void **test)
{
	assert_null(zalloc(1ULL << 31));
	assert_null(alloc_uninit(1ULL << 31));
	assert_null(zalloc_array(1ULL << 28, 8));
	assert_null(zalloc_array(SIZE_MAX / 2, 4)); /* whose bytes are more than there are numbers */
}

static void a_step_can_be_named_to_fail_for_everybody(void **test)
{
	u64 injected;

	fault_named_set("pin", 1, 2);
	assert_false(fault_point("alloc"));
	assert_false(fault_point("pin"));
	assert_true(fault_point("pin"));
	assert_int_equal(fault_named_left(&injected), 1);
	fault_current = &state;
	assert_true(fault_point("pin"));
	assert_false(fault_point("pin"));
	assert_int_equal(fault_named_left(&injected), 0);
	assert_int_equal(injected, 2);
	assert_false(fault_named_on);
	fault_named_set("*", 0, 1);
	assert_true(fault_point("anything"));
	fault_named_set("pin", 0, 0);
	assert_false(fault_point("pin"));
}

#define counted(f) cmocka_unit_test_setup_teardown(f, state_reset, state_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		counted(without_a_state_no_point_fails),
		counted(a_disarmed_state_only_counts),
		counted(only_the_nth_point_fails_and_nth_reads_zero_then),
		counted(a_state_can_be_armed_again),
		counted(a_step_can_be_named_to_fail_for_everybody),
		counted(the_state_belongs_to_one_thread),
		counted(a_writer_at_the_same_time_never_makes_nth_wrap),
		counted(every_allocator_has_a_fault_point),
		counted(what_is_too_large_for_linux_is_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
