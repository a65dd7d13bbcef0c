/* SPDX-License-Identifier: MIT */
/*
 * Processes: address spaces (struct mm), users, and what is charged to them.
 *
 * An mm is one address space for its whole life, not a pid: a remote mm keeps
 * descriptors of /proc/PID/mem and /proc/PID/maps that stay tied to the
 * address space they were opened on, so after exit or exec it is gone, and a
 * new program under the same pid is another mm.
 */
#ifndef MEM_MM_H
#define MEM_MM_H

#include "mem/mem.h"

/** mm_create_self() - this process; @trusted: see struct iommufd_system_opts */
int mm_create_self(struct mem_space *space, bool trusted, struct mm **ret_mm);
/** mm_create_remote() - the address space @pid has now. Return: 0, -ESRCH, -EPERM, -ENOMEM */
int mm_create_remote(struct mem_space *space, pid_t pid, struct mm **ret_mm);
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm);
struct mem_space *mm_space(const struct mm *mm);
pid_t mm_pid(const struct mm *mm);

/** mm_alive() - does the address space still have a user? */
bool mm_alive(struct mm *mm);
/** mm_is() - is @mm the address space @pid has at this moment? (fork, exec, pid reuse: no) */
bool mm_is(struct mm *mm, pid_t pid);

/**
 * mm_read() / mm_write() - through the current mappings, with their permissions
 * Return: 0 or -EFAULT (also when the mm is gone); a part may have been copied.
 */
int mm_read(struct mm *mm, u64 va, void *dst, size_t len);
int mm_write(struct mm *mm, u64 va, const void *src, size_t len);

/** mm_pinned_pages(), mm_locked_pages() - VmPin and VmLck this library adds, in pages */
u64 mm_pinned_pages(const struct mm *mm);
u64 mm_locked_pages(const struct mm *mm);

/* ---- accounting ---- */

/** mem_user_get() - the counter shared by all processes of @uid in this space (counted); or NULL */
struct mem_user *mem_user_get(struct mem_space *space, uid_t uid);
struct mem_user *mem_user_ref(struct mem_user *user);
void mem_user_put(struct mem_user *user);
u64 mem_user_locked_pages(const struct mem_user *user);

/**
 * enum mem_account_mode - who pays for pinned pages, fixed when a mapping is made
 * @MEM_ACCOUNT_NONE: nobody (caller had CAP_IPC_LOCK); VmPin still counts
 * @MEM_ACCOUNT_USER: the user, up to the process's soft RLIMIT_MEMLOCK
 * @MEM_ACCOUNT_MM: the address space (VmLck), up to the same limit
 */
enum mem_account_mode { MEM_ACCOUNT_NONE, MEM_ACCOUNT_USER, MEM_ACCOUNT_MM };

/**
 * mem_charge() - pay for @npages pinned pages
 * The limit is the mm's process's soft RLIMIT_MEMLOCK now (the last known one once it is gone).
 * Return: 0, -ENOMEM over the limit (or by fault injection), -EINVAL in mode MM if the mm is gone.
 */
int mem_charge(enum mem_account_mode mode, struct mm *mm, struct mem_user *user, u64 npages);
/** mem_uncharge() - undo mem_charge(); a dead mm is silently skipped; cannot fail */
void mem_uncharge(enum mem_account_mode mode, struct mm *mm, struct mem_user *user, u64 npages);

#endif
