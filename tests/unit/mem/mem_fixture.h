/* SPDX-License-Identifier: MIT */
/*
 * A memory space for each test, looked over when the test ends; memory of all
 * kinds; and another process that does as it is told.
 */
#ifndef TESTS_MEM_FIXTURE_H
#define TESTS_MEM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "mem/mem.h"
#include "mem/mem_priv.h"
#include "mem/mm.h"

#include "keep_signals.h"

#define MIB (1UL << 20)
#define GIB (1UL << 30)

static inline struct mem_space *space_new(enum iommufd_frame_policy policy)
{
	struct mem_space *space;

	assert_int_equal(mem_space_create(policy, NULL, &space), 0);
	return space;
}

/* The end of every test: nothing pinned, everything sound. */
static inline void space_end(struct mem_space *space)
{
	const char *wrong = mem_space_check(space);

	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(mem_space_pins(space), 0);
	mem_space_destroy(space);
}

/* Aligned to its size, as a run ends at a gigabyte and the kernel puts things across them. */
static inline u8 *map_memory(size_t size, int flags, int fd)
{
	size_t align = PAGE_SIZE;
	u8 *area, *ptr;

	while (align < size)
		align <<= 1;
	area = mmap(NULL, 2 * align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(area, MAP_FAILED);
	ptr = (u8 *)ALIGN_UP((uintptr_t)area, align);
	if (ptr > area)
		munmap(area, (size_t)(ptr - area));
	munmap(ptr + size, (size_t)(area + 2 * align - ptr) - size);
	assert_ptr_equal(mmap(ptr, size, PROT_READ | PROT_WRITE,
			      flags | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0),
			 ptr);
	return ptr;
}

static inline int memfd_new(const char *name, unsigned int flags, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | flags);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static inline u64 run_pa(const struct mem_run *run)
{
	u32 contig;

	return mem_run_phys(run, 0, &contig);
}

static inline s64 pin_one(struct mm *mm, const void *ptr, bool write, struct mem_run *ret_run)
{
	return mem_pin_va(mm, (uintptr_t)ptr, 1, write, ret_run);
}

static inline void assert_page(struct mm *mm, const void *ptr, u64 pa, u64 pins, bool huge)
{
	u64 got_pa, got_pins;
	bool got_huge;

	assert_int_equal(mem_va_page(mm, (uintptr_t)ptr, &got_pa, &got_pins, &got_huge), 0);
	assert_int_equal(got_pa, pa);
	assert_int_equal(got_pins, pins);
	assert_int_equal(got_huge, huge);
}

/* ---- another process ---- */

struct child {
	pid_t pid;
	int to;
	int from;
};

enum child_verb {
	CHILD_UNMAP,
	CHILD_PROTECT_NONE,
	CHILD_POKE,
	CHILD_PEEK,
	CHILD_CLOSE,
	CHILD_EXEC
};

struct child_order {
	enum child_verb verb;
	u64 addr;
	u64 arg;
};

static inline u64 child_obey(const struct child_order *order)
{
	u8 *ptr = (u8 *)(uintptr_t)order->addr;

	switch (order->verb) {
	case CHILD_UNMAP:
		return (u64)munmap(ptr, order->arg);
	case CHILD_PROTECT_NONE:
		return (u64)mprotect(ptr, order->arg, PROT_NONE);
	case CHILD_POKE:
		*ptr = (u8)order->arg;
		return 0;
	case CHILD_PEEK:
		return *ptr;
	case CHILD_CLOSE:
		return (u64)close((int)order->arg);
	case CHILD_EXEC:
		execl("/bin/sleep", "sleep", "1000", NULL);
		return 1;
	}
	return ~0ULL;
}

static inline void child_live(int from, int to)
{
	struct child_order order;

	while (read(from, &order, sizeof(order)) == sizeof(order)) {
		u64 answer = child_obey(&order);

		if (write(to, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

static inline struct child child_start(void)
{
	int down[2], up[2];
	struct child child;

	/* The child's ends close at exec: its parent reads an end of file then. */
	assert_int_equal(pipe2(down, O_CLOEXEC), 0);
	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (!child.pid) {
		close(down[1]);
		close(up[0]);
		child_live(down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	child.to = down[1];
	child.from = up[0];
	return child;
}

static inline u64 child_order(struct child *child, enum child_verb verb, const void *addr, u64 arg)
{
	struct child_order order = { verb, (uintptr_t)addr, arg };
	u64 answer = 0;

	assert_int_equal(write(child->to, &order, sizeof(order)), sizeof(order));
	assert_int_equal(read(child->from, &answer, sizeof(answer)), sizeof(answer));
	return answer;
}

static inline void child_exec(struct child *child)
{
	struct child_order order = { CHILD_EXEC, 0, 0 };
	u64 answer;

	assert_int_equal(write(child->to, &order, sizeof(order)), sizeof(order));
	assert_int_equal(read(child->from, &answer, sizeof(answer)), 0);
}

static inline void child_end(struct child *child)
{
	kill(child->pid, SIGKILL);
	assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
	close(child->to);
	close(child->from);
}

#endif
