/* SPDX-License-Identifier: MIT */
/*
 * Who pays for pinned pages.  Counters are ours: the kernel's own VmPin and
 * VmLck know nothing of pins that pin nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "mem/mem_priv.h"

/**
 * struct mem_user - one uid's locked pages
 * @refs: changes from zero, and to it, only under space->lock
 */
struct mem_user {
	struct mem_space *space; /* immutable, as is the next */
	uid_t uid;
	_Atomic u64 refs;
	_Atomic u64 locked;
	struct cds_list_head node; /* in space->users, under space->lock */
};

static struct mem_user *user_find(struct mem_space *space, uid_t uid)
{
	struct mem_user *user;

	cds_list_for_each_entry(user, &space->users, node)
		if (user->uid == uid)
			return user;
	return NULL;
}

struct mem_user *mem_user_get(struct mem_space *space, uid_t uid)
{
	struct mem_user *user;

	mutex_lock(&space->lock);
	user = user_find(space, uid);
	if (user) {
		mem_user_ref(user);
	} else {
		user = zalloc(sizeof(*user));
		if (user) {
			user->space = space;
			user->uid = uid;
			atomic_init(&user->refs, 1);
			cds_list_add(&user->node, &space->users);
		}
	}
	mutex_unlock(&space->lock);
	return user;
}

struct mem_user *mem_user_ref(struct mem_user *user)
{
	atomic_fetch_add_explicit(&user->refs, 1, memory_order_relaxed);
	return user;
}

void mem_user_put(struct mem_user *user)
{
	struct mem_space *space;
	u64 refs;
	bool last;

	if (!user)
		return;
	refs = atomic_load_explicit(&user->refs, memory_order_relaxed);
	while (refs > 1)
		if (atomic_compare_exchange_weak_explicit(&user->refs, &refs, refs - 1,
							  memory_order_release,
							  memory_order_relaxed))
			return;
	space = user->space;
	mutex_lock(&space->lock);
	last = atomic_fetch_sub_explicit(&user->refs, 1, memory_order_acq_rel) == 1;
	if (last)
		cds_list_del(&user->node);
	mutex_unlock(&space->lock);
	if (last)
		free(user);
}

u64 mem_user_locked_pages(const struct mem_user *user)
{
	return atomic_load_explicit(&user->locked, memory_order_relaxed);
}

u64 mm_pinned_pages(const struct mm *mm)
{
	return atomic_load_explicit(&mm->pinned, memory_order_relaxed);
}

u64 mm_locked_pages(const struct mm *mm)
{
	return atomic_load_explicit(&mm->locked, memory_order_relaxed);
}

/* What stands behind @label in a file of /proc/PID; NULL: it is not there. */
static const char *proc_field(int proc_fd, const char *file, const char *label, char *buf,
			      size_t size)
{
	int fd = openat(proc_fd, file, O_RDONLY | O_CLOEXEC);
	const char *field;
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n <= 0)
		return NULL;
	buf[n] = '\0';
	field = strstr(buf, label);
	if (!field)
		return NULL;
	field += strlen(label);
	return field + strspn(field, " \t");
}

/* prlimit() wants our own ids or a capability; the file in /proc is open to everybody. */
static bool memlock_from_proc(int proc_fd, u64 *ret_limit)
{
	char buf[4096];
	const char *field = proc_field(proc_fd, "limits", "Max locked memory", buf, sizeof(buf));

	if (!field)
		return false;
	*ret_limit = !strncmp(field, "unlimited", 9) ? RLIM_INFINITY : strtoull(field, NULL, 10);
	return true;
}

/* Pages the program has locked by mlock() and the like: one limit is for both. */
static u64 mm_kernel_locked_pages(const struct mm *mm)
{
	char buf[4096];
	const char *field = proc_field(mm->proc_fd, "status", "\nVmLck:", buf, sizeof(buf));

	return field ? strtoull(field, NULL, 10) * 1024 >> PAGE_SHIFT : 0;
}

u64 mm_memlock_limit(struct mm *mm)
{
	struct rlimit rl;
	u64 limit;

	if (mm->backing->fd < 0) {
		if (!getrlimit(RLIMIT_MEMLOCK, &rl))
			atomic_store_explicit(&mm->memlock, rl.rlim_cur, memory_order_relaxed);
	} else if (mm->ops->alive(mm)) {
		if (!prlimit(mm->pid, RLIMIT_MEMLOCK, NULL, &rl))
			atomic_store_explicit(&mm->memlock, rl.rlim_cur, memory_order_relaxed);
		else if (memlock_from_proc(mm->proc_fd, &limit))
			atomic_store_explicit(&mm->memlock, limit, memory_order_relaxed);
	}
	return atomic_load_explicit(&mm->memlock, memory_order_relaxed);
}

/* Add to a counter unless that takes it over @max. */
static int counter_charge(_Atomic u64 *counter, u64 npages, u64 max)
{
	u64 now = atomic_load_explicit(counter, memory_order_relaxed);

	do {
		if (npages > max || now > max - npages)
			return -ENOMEM;
	} while (!atomic_compare_exchange_weak_explicit(counter, &now, now + npages,
							memory_order_relaxed,
							memory_order_relaxed));
	return 0;
}

static u64 limit_pages(u64 limit)
{
	return limit == RLIM_INFINITY ? UINT64_MAX : limit >> PAGE_SHIFT;
}

static int mm_charge(struct mm *mm, u64 npages)
{
	u64 max = limit_pages(mm_memlock_limit(mm)), taken;

	if (max != UINT64_MAX) {
		taken = mm_kernel_locked_pages(mm);
		max = taken < max ? max - taken : 0;
	}
	return counter_charge(&mm->locked, npages, max);
}

int mem_charge(enum mem_account_mode mode, struct mm *mm, struct mem_user *user, u64 npages)
{
	int rc = 0;

	if (fault_point("charge"))
		return -ENOMEM;
	if (!npages)
		return 0;
	if (mode == MEM_ACCOUNT_USER) {
		rc = counter_charge(&user->locked, npages, limit_pages(mm_memlock_limit(mm)));
	} else if (mode == MEM_ACCOUNT_MM) {
		if (!mm->ops->alive(mm))
			return -EINVAL;
		rc = mm_charge(mm, npages);
	}
	if (!rc)
		atomic_fetch_add_explicit(&mm->pinned, npages, memory_order_relaxed);
	return rc;
}

void mem_uncharge(enum mem_account_mode mode, struct mm *mm, struct mem_user *user, u64 npages)
{
	/* The counters of a dead mm are ours, and nobody else can read them: no need to skip. */
	if (mode == MEM_ACCOUNT_USER)
		atomic_fetch_sub_explicit(&user->locked, npages, memory_order_relaxed);
	else if (mode == MEM_ACCOUNT_MM)
		atomic_fetch_sub_explicit(&mm->locked, npages, memory_order_relaxed);
	atomic_fetch_sub_explicit(&mm->pinned, npages, memory_order_relaxed);
}
