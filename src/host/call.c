/* SPDX-License-Identifier: MIT */
/*
 * One call of the program, from notification to answer.
 *
 * What we know of the caller was read while it sat in its call, but it may be
 * killed and its id used again at any time; so whatever is read from it counts
 * only if the notification is still valid afterwards, and nothing is done
 * before that is known.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "host/host_priv.h"

typedef long (*sys_fn)(struct call *call);

static sys_fn call_handler(int nr)
{
	switch (nr) {
	case SYS_ioctl:
		return sys_ioctl;
#ifdef SYS_open
	case SYS_open:
	case SYS_creat:
#endif
	case SYS_openat:
	case SYS_openat2:
		return sys_open;
	case SYS_fstat:
		return sys_fstat;
#ifdef SYS_stat
	case SYS_stat:
	case SYS_lstat:
	case SYS_access:
#endif
	case SYS_newfstatat:
	case SYS_statx:
	case SYS_faccessat:
	case SYS_faccessat2:
		return sys_path_stat;
#ifdef SYS_readlink
	case SYS_readlink:
#endif
	case SYS_readlinkat:
		return sys_readlink;
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv:
	case SYS_pwritev:
	case SYS_preadv2:
	case SYS_pwritev2:
		return sys_read_write;
	case SYS_mmap:
		return sys_mmap;
	case SYS_dup:
		return sys_dup;
	case SYS_fcntl:
		return sys_fcntl;
	case SYS_execve:
	case SYS_execveat:
		return sys_exec;
	case SYS_setuid:
	case SYS_setreuid:
	case SYS_setresuid:
		return sys_cred;
	case SYS_sched_getaffinity:
	case SYS_sched_setaffinity:
		return sys_affinity;
	default:
		return NULL;
	}
}

void call_serve(struct host *host, const struct seccomp_notif *req)
{
	struct call call;
	sys_fn fn = call_handler(req->data.nr);
	struct trace_state trace;
	long result;

	/* All but the prefetch buffer, which is its largest part. */
	memset(&call, 0, offsetof(struct call, prefetch));
	call.host = host;
	call.req = req;
	call.task.ops = &host_task_ops;
	/* Whatever the caller closed before this call is released before it. */
	fdtable_drain(host);
	attr_stores_wait(host);
	if (host->opts->trace)
		trace_begin(&call, &trace);
	result = fn ? fn(&call) : CALL_NATIVE;
	if (host->opts->trace)
		trace_call(&call, &trace, result);
	notify_send(host, req->id, result);
	if (call.target)
		target_put(host, call.target);
}

int call_enter(struct call *call)
{
	if (!call->target)
		call->target = target_get(call->host, call->req->pid);
	if (!call->target)
		return -ENOMEM;
	call->task.mm = call->target->mm;
	call->task.user = call->target->user;
	if (atomic_load_explicit(&call->host->targets.num_faults, memory_order_relaxed))
		call->task.fault = target_fault(call->host, call->req->pid, false);
	call->previous = task_enter(&call->task);
	return 0;
}

void call_leave(struct call *call)
{
	task_leave(call->previous);
}

/*
 * An id cannot come round again within the time a check is trusted: that would
 * take as many new processes as there are ids.
 */
#define CHECK_TRUSTED_NS 1000000

int call_check(struct call *call)
{
	struct timespec t;
	u64 now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	now = t.tv_sec * 1000000000ull + t.tv_nsec;
	if (call->checked_at && now - call->checked_at < CHECK_TRUSTED_NS)
		return 0;
	if (!notify_valid(call->host, call->req->id))
		return -EFAULT;
	call->checked_at = now;
	return 0;
}

ssize_t call_path(struct call *call, u64 uaddr, char path[PATH_MAX])
{
	size_t done = 0;

	/* A page at a time: the string may end right before an unmapped one. */
	while (done < PATH_MAX) {
		size_t len = MIN(PATH_MAX - done, PAGE_SIZE - ((uaddr + done) & ~PAGE_MASK));
		struct iovec local = { path + done, len };
		struct iovec remote = { (void *)(uintptr_t)(uaddr + done), len };
		char *end;

		if (process_vm_readv(call->req->pid, &local, 1, &remote, 1, 0) != (ssize_t)len)
			return -EFAULT;
		end = memchr(path + done, 0, len);
		if (end)
			return call_check(call) ?: end - path;
		done += len;
	}
	return -ENAMETOOLONG;
}
