/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: what both kinds have in common.
 */
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "mem/mem_priv.h"

#define KCMP_VM_TYPE 1 /* <linux/kcmp.h> */

int mm_alloc(struct mem_space *space, const struct mm_ops *ops, int mem_fd, struct mm **ret_mm)
{
	struct mm *mm = zalloc(sizeof(*mm));
	int rc;

	if (!mm)
		return -ENOMEM;
	rc = backing_create(space, MEM_BACKING_MM, mem_fd, &mm->backing);
	if (rc) {
		free(mm);
		return rc;
	}
	mm->ops = ops;
	mm->space = space;
	mm->maps_fd = -1;
	mm->proc_fd = -1;
	mm->pidfd = -1;
	atomic_init(&mm->refs, 1);
	*ret_mm = mm;
	return 0;
}

struct mm *mm_get(struct mm *mm)
{
	atomic_fetch_add_explicit(&mm->refs, 1, memory_order_relaxed);
	return mm;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void mm_put(struct mm *mm)
{
	if (!mm || atomic_fetch_sub_explicit(&mm->refs, 1, memory_order_acq_rel) != 1)
		return;
	/* Windows that are still pinned keep the backing, and with it /proc/PID/mem. */
	backing_unhold_windows(mm->backing);
	backing_put(mm->backing);
	close_if_open(mm->maps_fd);
	close_if_open(mm->proc_fd);
	close_if_open(mm->pidfd);
	free(mm);
}

struct mem_space *mm_space(const struct mm *mm)
{
	return mm->space;
}

pid_t mm_pid(const struct mm *mm)
{
	return mm->pid;
}

bool mm_alive(struct mm *mm)
{
	return mm->ops->alive(mm);
}

bool mm_is(struct mm *mm, pid_t pid)
{
	return mm->ops->alive(mm) && mm->ops->is(mm, pid);
}

static bool va_range_valid(u64 va, size_t len)
{
	return va < MEM_VA_END && len <= MEM_VA_END - va;
}

int mm_read(struct mm *mm, u64 va, void *dst, size_t len)
{
	return va_range_valid(va, len) ? mm->ops->copy(mm, va, dst, len, false) : -EFAULT;
}

int mm_write(struct mm *mm, u64 va, const void *src, size_t len)
{
	if (!va_range_valid(va, len))
		return -EFAULT;
	return mm->ops->copy(mm, va, (void *)(uintptr_t)src, len, true);
}

int mm_window_take(struct mm *mm, u64 va, u64 npages, struct mem_window **ret_window)
{
	u64 section = va >> MEM_WINDOW_SHIFT;
	_Atomic(struct mem_window *) *slot = &mm->cache[section % MM_CACHE];
	struct mem_window *window = atomic_load_explicit(slot, memory_order_acquire);
	int rc;

	if (likely(window && window->section == section)) {
		atomic_fetch_add_explicit(&window->refs, npages, memory_order_relaxed);
		*ret_window = window;
		return 0;
	}
	rc = window_take(mm->backing, section, npages, &window);
	if (rc)
		return rc;
	atomic_store_explicit(slot, window, memory_order_release);
	*ret_window = window;
	return 0;
}

int pids_share_mm(pid_t a, pid_t b)
{
	long rc = syscall(SYS_kcmp, a, b, KCMP_VM_TYPE, 0, 0);

	return rc < 0 ? -errno : rc == 0;
}
