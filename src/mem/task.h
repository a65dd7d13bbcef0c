/* SPDX-License-Identifier: MIT */
/*
 * Who is calling: what the kernel calls "current".  The way in (supervisor,
 * preload, a plain library call) makes a struct task for each program thread it
 * serves and points task_current at it for the duration of the call, so that
 * code below -- IOMMU drivers above all -- reads and writes the caller's memory
 * and descriptors without carrying it through every signature.
 *
 * Context: task_current is thread-local and valid only during a call; a task
 * serves one call at a time.
 */
#ifndef MEM_TASK_H
#define MEM_TASK_H

#include "base/fault.h"
#include "mem/mm.h"

struct file;
struct task;

/**
 * struct task_fd - a descriptor of the caller, looked up
 * @file: our file behind it, counted (file_put() it), or NULL for a foreign one
 * @host_fd: for a foreign one, a descriptor of this process for the same open file, owned by
 *	the receiver (close it); else -1
 */
struct task_fd {
	struct file *file;
	int host_fd;
};

/**
 * struct task_ops - what a way in supplies
 * @copy_from, @copy_to: the caller's memory, with its permissions; 0 or -EFAULT
 * @capable: is the capability in the caller's effective set, as the caller sees it?
 * @fd_get: -EBADF if not open
 * @fd_reserve: a free descriptor number for a file about to be made; -EMFILE, -ENOMEM
 * @fd_install: bind the number to @file; takes over the caller's reference; cannot fail
 * @fd_unreserve: the other way out
 * @fd_object: make the way in's half of @file now and not in @fd_install, so that file->host_memory
 *	is there; may be missing.  0, -ENOMEM, -ENFILE
 * @fd_again: bind a reserved number to the open file of a descriptor of @file that the caller has,
 *	as dup() would; may be missing.  0: done; -ENOENT it has none; -EMFILE: the number is still
 *	reserved
 * @va_file: the file of ours, counted, that all of the caller's [@va, @va + @length) is a mapping
 *	of, from position *@ret_pos on; NULL: of none; may be missing where memory is behind all
 *	mappings
 */
struct task_ops {
	int (*copy_from)(struct task *task, void *dst, u64 uaddr, size_t len);
	int (*copy_to)(struct task *task, u64 uaddr, const void *src, size_t len);
	bool (*capable)(struct task *task, int cap);
	int (*fd_get)(struct task *task, int fd, struct task_fd *ret);
	int (*fd_reserve)(struct task *task, int open_flags, int *ret_fd);
	void (*fd_install)(struct task *task, int fd, struct file *file);
	void (*fd_unreserve)(struct task *task, int fd);
	int (*fd_object)(struct task *task, struct file *file);
	int (*fd_again)(struct task *task, int fd, struct file *file);
	struct file *(*va_file)(struct task *task, u64 va, u64 length, u64 *ret_pos);
};

struct task {
	const struct task_ops *ops;
	struct mm *mm;               /* counted by the way in, constant during a call */
	struct mem_user *user;       /* likewise */
	struct fault_state *fault;   /* fail-nth of this thread; may be NULL */
	bool kthread;                /* of ours, with no program behind it (device models) */
};

extern __thread struct task *task_current __attribute__((tls_model("initial-exec")));

/** task_enter() - serve @task on this thread; returns what was current, for task_leave() */
struct task *task_enter(struct task *task);
void task_leave(struct task *previous);

/**
 * copy_from_user() / copy_to_user() - the current caller's memory
 * Return: 0 or -EFAULT.  Contains a fault point, as the kernel's has.
 */
int copy_from_user(void *dst, u64 uaddr, size_t len);
int copy_to_user(u64 uaddr, const void *src, size_t len);

/**
 * copy_struct_from_user() - the extensible-struct rule
 * @ksize: what we know; @usize: what the caller has.  A shorter one is zero-extended, a longer
 * one must have a zero tail (scanned upward).
 * Return: 0, -E2BIG, -EFAULT.
 */
int copy_struct_from_user(void *dst, size_t ksize, u64 uaddr, size_t usize);

bool capable(int cap);

/** task_fd_object() - op fd_object of the current task, where it has one */
static inline int task_fd_object(struct file *file)
{
	return task_current && task_current->ops->fd_object ?
		       task_current->ops->fd_object(task_current, file) :
		       0;
}

/** task_fd_again() - op fd_again of the current task; -ENOENT where it has none */
static inline int task_fd_again(int fd, struct file *file)
{
	return task_current->ops->fd_again ?
		       task_current->ops->fd_again(task_current, fd, file) :
		       -ENOENT;
}

/** task_va_file() - op va_file of the current task, where it has one */
static inline struct file *task_va_file(u64 va, u64 length, u64 *ret_pos)
{
	return task_current->ops->va_file ?
		       task_current->ops->va_file(task_current, va, length, ret_pos) :
		       NULL;
}

#endif
