/* SPDX-License-Identifier: MIT */
/*
 * The address space we are in: an address is a pointer.
 *
 * A trusted one is not looked up at all; else mappings are, as those of
 * another process, so that shared files are recognised from wherever they are
 * reached.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "mem/mem_priv.h"

static bool self_alive(struct mm *mm)
{
	return true;
}

static bool self_is(struct mm *mm, pid_t pid)
{
	return (pid == mm->pid && pid == getpid()) || pids_share_mm(getpid(), pid) == 1;
}

static int self_copy(struct mm *mm, u64 va, void *buf, size_t len, bool write)
{
	void *there = (void *)(uintptr_t)va;

	return write ? mem_guard_copy(there, buf, len) : mem_guard_copy(buf, there, len);
}

static int self_touch(struct mm *mm, u64 va, bool write)
{
	void *there = (void *)(uintptr_t)va;

	return write ? guard_touch_write(there) : guard_touch_read(there);
}

static const struct mm_ops self_ops = {
	.alive = self_alive,
	.is = self_is,
	.copy = self_copy,
	.touch = self_touch,
};

int mm_create_self(struct mem_space *space, bool trusted, struct mm **ret_mm)
{
	struct mm *mm;
	int rc = mm_alloc(space, &self_ops, -1, &mm);

	if (rc)
		return rc;
	mm->trusted = trusted;
	mm->pid = getpid();
	mm->anchor = mm->pid;
	mm->proc_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	mm->maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (mm->maps_fd >= 0 && maps_fd_alive(mm->maps_fd, &mm->has_query)) {
		close(mm->maps_fd);
		mm->maps_fd = -1;
	}
	/* Without /proc a trusted mm lacks nothing but the size of huge pages. */
	if (!trusted && mm->maps_fd < 0) {
		mm_put(mm);
		return -ENOMEM;
	}
	mm_memlock_limit(mm);
	*ret_mm = mm;
	return 0;
}
