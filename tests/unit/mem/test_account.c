/* SPDX-License-Identifier: MIT */
/*
 * Accounting: who pays, up to which limit, and what comes back.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem_fixture.h"

#define LIMIT_PAGES 13 /* below the 64 KiB that some systems allow */

struct world {
	struct mem_space *space;
	struct mm *mm;
	struct mem_user *user;
	struct rlimit saved;
};

static void set_limit(u64 bytes)
{
	struct rlimit rl;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &rl), 0);
	rl.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &rl), 0);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	getrlimit(RLIMIT_MEMLOCK, &w->saved);
	set_limit(LIMIT_PAGES * PAGE_SIZE + 4095);
	w->space = space_new(IOMMUFD_FRAMES_CONTIGUOUS);
	assert_int_equal(mm_create_self(w->space, true, &w->mm), 0);
	w->user = mem_user_get(w->space, 1000);
	assert_non_null(w->user);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	setrlimit(RLIMIT_MEMLOCK, &w->saved);
	mem_user_put(w->user);
	mm_put(w->mm);
	space_end(w->space);
	free(w);
	return 0;
}

static void nobody_pays_in_mode_none_but_pinned_pages_count(void **state)
{
	struct world *w = *state;

	assert_int_equal(mem_charge(MEM_ACCOUNT_NONE, w->mm, w->user, 1000), 0);
	assert_int_equal(mm_pinned_pages(w->mm), 1000);
	assert_int_equal(mm_locked_pages(w->mm), 0);
	assert_int_equal(mem_user_locked_pages(w->user), 0);
	mem_uncharge(MEM_ACCOUNT_NONE, w->mm, w->user, 1000);
	assert_int_equal(mm_pinned_pages(w->mm), 0);
}

static void a_user_pays_up_to_the_limit(void **state)
{
	struct world *w = *state;

	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, w->mm, w->user, LIMIT_PAGES - 1), 0);
	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, w->mm, w->user, 2), -ENOMEM);
	assert_int_equal(mem_user_locked_pages(w->user), LIMIT_PAGES - 1);
	assert_int_equal(mm_pinned_pages(w->mm), LIMIT_PAGES - 1);
	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, w->mm, w->user, 1), 0);
	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, w->mm, w->user, 1), -ENOMEM);
	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, w->mm, w->user, UINT64_MAX), -ENOMEM);
	assert_int_equal(mm_locked_pages(w->mm), 0);
	mem_uncharge(MEM_ACCOUNT_USER, w->mm, w->user, LIMIT_PAGES);
	assert_int_equal(mem_user_locked_pages(w->user), 0);
	assert_int_equal(mm_pinned_pages(w->mm), 0);
}

static void an_address_space_pays_from_a_purse_of_its_own(void **state)
{
	struct world *w = *state;

	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, w->mm, w->user, LIMIT_PAGES), 0);
	assert_int_equal(mem_charge(MEM_ACCOUNT_MM, w->mm, w->user, LIMIT_PAGES), 0);
	assert_int_equal(mem_charge(MEM_ACCOUNT_MM, w->mm, w->user, 1), -ENOMEM);
	assert_int_equal(mm_locked_pages(w->mm), LIMIT_PAGES);
	assert_int_equal(mm_pinned_pages(w->mm), 2 * LIMIT_PAGES);
	mem_uncharge(MEM_ACCOUNT_USER, w->mm, w->user, LIMIT_PAGES);
	mem_uncharge(MEM_ACCOUNT_MM, w->mm, w->user, LIMIT_PAGES);
	assert_int_equal(mm_pinned_pages(w->mm), 0);
}

static void the_limit_that_counts_is_the_one_in_force(void **state)
{
	struct world *w = *state;

	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, w->mm, w->user, LIMIT_PAGES), 0);
	set_limit(4 * PAGE_SIZE);
	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, w->mm, w->user, 1), -ENOMEM);
	assert_int_equal(mem_charge(MEM_ACCOUNT_MM, w->mm, w->user, 5), -ENOMEM);
	assert_int_equal(mem_charge(MEM_ACCOUNT_MM, w->mm, w->user, 4), 0);
	mem_uncharge(MEM_ACCOUNT_USER, w->mm, w->user, LIMIT_PAGES);
	mem_uncharge(MEM_ACCOUNT_MM, w->mm, w->user, 4);
}

static void what_is_locked_by_mlock_is_under_the_same_limit(void **state)
{
	struct world *w = *state;
	void *locked = mmap(NULL, 6 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(locked, MAP_FAILED);
	/* mlock() does nothing under a sanitizer. */
	if (syscall(SYS_mlock, locked, 6 * PAGE_SIZE)) {
		munmap(locked, 6 * PAGE_SIZE);
		skip();
	}
	assert_int_equal(mem_charge(MEM_ACCOUNT_MM, w->mm, w->user, LIMIT_PAGES - 5), -ENOMEM);
	assert_int_equal(mem_charge(MEM_ACCOUNT_MM, w->mm, w->user, LIMIT_PAGES - 6), 0);
	/* A user's is another purse. */
	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, w->mm, w->user, LIMIT_PAGES), 0);
	munmap(locked, 6 * PAGE_SIZE);
	assert_int_equal(mem_charge(MEM_ACCOUNT_MM, w->mm, w->user, 6), 0);
	mem_uncharge(MEM_ACCOUNT_USER, w->mm, w->user, LIMIT_PAGES);
	mem_uncharge(MEM_ACCOUNT_MM, w->mm, w->user, LIMIT_PAGES);
}

static void users_are_counters_by_uid(void **state)
{
	struct world *w = *state;
	struct mem_user *same = mem_user_get(w->space, 1000);
	struct mem_user *other = mem_user_get(w->space, 1001);

	assert_ptr_equal(same, w->user);
	assert_ptr_not_equal(other, w->user);
	assert_ptr_equal(mem_user_ref(other), other);
	mem_user_put(other);
	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, w->mm, other, 1), 0);
	assert_int_equal(mem_user_locked_pages(w->user), 0);
	mem_uncharge(MEM_ACCOUNT_USER, w->mm, other, 1);
	mem_user_put(same);
	mem_user_put(other);
}

static void another_process_is_charged_against_its_own_limit(void **state)
{
	struct world *w = *state;
	struct child child;
	struct mm *mm;

	set_limit(3 * PAGE_SIZE);
	child = child_start();
	set_limit(LIMIT_PAGES * PAGE_SIZE);
	assert_int_equal(mm_create_remote(w->space, child.pid, &mm), 0);
	assert_int_equal(mem_charge(MEM_ACCOUNT_MM, mm, w->user, 4), -ENOMEM);
	assert_int_equal(mem_charge(MEM_ACCOUNT_MM, mm, w->user, 3), 0);
	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, mm, w->user, 2), 0);
	child_end(&child);
	/* The dead pay no more; their user does, up to the limit they had. */
	assert_int_equal(mem_charge(MEM_ACCOUNT_MM, mm, w->user, 1), -EINVAL);
	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, mm, w->user, 1), 0);
	assert_int_equal(mem_charge(MEM_ACCOUNT_USER, mm, w->user, 1), -ENOMEM);
	mem_uncharge(MEM_ACCOUNT_MM, mm, w->user, 3);
	mem_uncharge(MEM_ACCOUNT_USER, mm, w->user, 3);
	assert_int_equal(mem_user_locked_pages(w->user), 0);
	mm_put(mm);
}

struct payer {
	struct world *w;
	u64 paid;
};

static void *pay_and_take_back(void *arg)
{
	struct payer *p = arg;

	for (int i = 0; i < 20000; i++) {
		if (mem_charge(MEM_ACCOUNT_USER, p->w->mm, p->w->user, 3))
			continue;
		if (mem_user_locked_pages(p->w->user) > LIMIT_PAGES)
			p->paid = 1000000;
		if (i % 1000)
			mem_uncharge(MEM_ACCOUNT_USER, p->w->mm, p->w->user, 3);
		else
			p->paid += 3;
	}
	return NULL;
}

static void threads_together_never_pass_the_limit(void **state)
{
	struct world *w = *state;
	struct payer payers[4];
	pthread_t threads[4];
	u64 paid = 0;

	for (int i = 0; i < 4; i++) {
		payers[i] = (struct payer){ w, 0 };
		pthread_create(&threads[i], NULL, pay_and_take_back, &payers[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		paid += payers[i].paid;
	}
	/* Each may have been refused for what others were about to take back. */
	while (!mem_charge(MEM_ACCOUNT_USER, w->mm, w->user, 3))
		paid += 3;
	assert_int_equal(paid, LIMIT_PAGES - LIMIT_PAGES % 3);
	assert_int_equal(mem_user_locked_pages(w->user), paid);
	assert_int_equal(mm_pinned_pages(w->mm), paid);
	mem_uncharge(MEM_ACCOUNT_USER, w->mm, w->user, paid);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_pays_in_mode_none_but_pinned_pages_count),
		TEST(a_user_pays_up_to_the_limit),
		TEST(an_address_space_pays_from_a_purse_of_its_own),
		TEST(the_limit_that_counts_is_the_one_in_force),
		TEST(what_is_locked_by_mlock_is_under_the_same_limit),
		TEST(users_are_counters_by_uid),
		TEST(another_process_is_charged_against_its_own_limit),
		TEST(threads_together_never_pass_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
