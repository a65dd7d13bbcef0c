/* SPDX-License-Identifier: MIT */
/*
 * This process as a program of a system: the way in of embedders (calls in
 * <iommufd/ctx.h>) and of the preloaded library, which puts these functions
 * behind libc's names.
 */
#ifndef CORE_SELF_H
#define CORE_SELF_H

#include <iommufd/ctx.h>

#include "base/rangemap.h"
#include "core/fdmap.h"
#include "core/system.h"
#include "mem/task.h"

/**
 * struct iommufd_process - see iommufd_process_create()
 * @caps: effective capabilities at creation, used instead of asking if @caps_fixed
 * @maps: address -> struct self_mapping, pieces of native mappings we made
 */
struct iommufd_process {
	struct iommufd_system *system;  /* immutable, as all until maps_lock */
	struct mm *mm;                  /* counted */
	struct mem_user *user;          /* counted */
	bool caps_fixed;
	u64 caps;
	struct fdmap fds;
	struct mutex maps_lock;
	struct rangemap maps __guarded_by(&maps_lock);
};

/** struct self_task - the calling thread for the duration of one call */
struct self_task {
	struct task task;
	struct iommufd_process *proc;
	struct task *previous;
};

/** self_enter() - the calling thread becomes current; self_leave() in the same function */
void self_enter(struct self_task *self, struct iommufd_process *proc);
void self_leave(struct self_task *self);

/* task ops on descriptors (self_fd.c) */
int self_fd_get(struct task *task, int fd, struct task_fd *ret);
int self_fd_reserve(struct task *task, int open_flags, int *ret_fd);
void self_fd_install(struct task *task, int fd, struct file *file);
void self_fd_unreserve(struct task *task, int fd);

/** self_read(), self_write() - where the file goes on; by a current task */
ssize_t self_read(struct file *file, u64 ubuf, size_t count);
ssize_t self_write(struct file *file, u64 ubuf, size_t count);

/** self_unmap_all() - munmap() everything we mapped, at the end of the process */
void self_unmap_all(struct iommufd_process *proc);

/**
 * self_adopt() - give @file, made by a call of this program, a descriptor
 * Takes over the caller's reference, also on failure.
 * Return: the descriptor, -EMFILE, -ENFILE, -ENOMEM.
 */
int self_adopt(struct iommufd_process *proc, struct file *file);

/**
 * self_dup_from() - fcntl(F_DUPFD[_CLOEXEC]): the lowest free number from @min_fd on
 * @open_flags: O_CLOEXEC or 0
 */
int self_dup_from(struct iommufd_process *proc, int fd, int min_fd, int open_flags);

/**
 * self_dup_to() - dup3(): @new_fd becomes what @fd is; either, both or none may be ours
 * Return: @new_fd or -errno.
 */
int self_dup_to(struct iommufd_process *proc, int fd, int new_fd, int open_flags);

#endif
