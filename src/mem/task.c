/* SPDX-License-Identifier: MIT */
/*
 * The current task, and the caller's memory as commands read and write it.
 */
#include <string.h>

#include "mem/task.h"

__thread struct task *task_current __attribute__((tls_model("initial-exec")));

static void task_switch(struct task *task)
{
	task_current = task;
	fault_current = task ? task->fault : NULL;
}

struct task *task_enter(struct task *task)
{
	struct task *previous = task_current;

	task_switch(task);
	return previous;
}

void task_leave(struct task *previous)
{
	task_switch(previous);
}

/* Threads of ours have no program whose memory an address could mean. */
static bool task_has_program(void)
{
	return task_current && !task_current->kthread;
}

int copy_from_user(void *dst, u64 uaddr, size_t len)
{
	if (fault_point("copy") || !task_has_program())
		return -EFAULT;
	return len ? task_current->ops->copy_from(task_current, dst, uaddr, len) : 0;
}

int copy_to_user(u64 uaddr, const void *src, size_t len)
{
	if (fault_point("copy") || !task_has_program())
		return -EFAULT;
	return len ? task_current->ops->copy_to(task_current, uaddr, src, len) : 0;
}

/*
 * The bytes of a struct that we do not know must be zero.  They are read a page at most at a
 * time, so that a set byte below a hole is seen before the hole is.
 */
static int check_zero_user(u64 uaddr, size_t len)
{
	u8 buf[512];

	while (len) {
		size_t n = MIN(len, sizeof(buf) - (size_t)(uaddr % sizeof(buf)));
		int rc = copy_from_user(buf, uaddr, n);

		if (rc)
			return rc;
		for (size_t i = 0; i < n; i++)
			if (buf[i])
				return -E2BIG;
		uaddr += n;
		len -= n;
	}
	return 0;
}

int copy_struct_from_user(void *dst, size_t ksize, u64 uaddr, size_t usize)
{
	size_t size = MIN(ksize, usize);
	int rc;

	if (usize > ksize) {
		rc = check_zero_user(uaddr + size, usize - size);
		if (rc)
			return rc;
	}
	rc = copy_from_user(dst, uaddr, size);
	if (rc)
		return rc;
	memset((u8 *)dst + size, 0, ksize - size);
	return 0;
}

bool capable(int cap)
{
	if (!task_current)
		return false;
	/* As in a kernel, its own threads may do everything. */
	return task_current->kthread || task_current->ops->capable(task_current, cap);
}
