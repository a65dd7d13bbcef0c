/* SPDX-License-Identifier: MIT */
/*
 * The calling thread as the core sees it: its memory, capabilities and
 * descriptors, all in another process.
 *
 * The first read of a call fetches what lies behind it on the page too, for
 * commands read their size, then their struct, then often an array next to it:
 * one visit instead of three.  It also means bytes are seen as of one moment.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/host_priv.h"

static int remote_read(struct call *call, void *dst, u64 uaddr, size_t len)
{
	struct iovec local = { dst, len };
	struct iovec remote = { (void *)(uintptr_t)uaddr, len };

	if (process_vm_readv(call->req->pid, &local, 1, &remote, 1, 0) != (ssize_t)len)
		return -EFAULT;
	/* Only now is it known that the id still means our caller. */
	return call_check(call);
}

int call_read(struct call *call, void *dst, u64 uaddr, size_t len)
{
	size_t room = PAGE_SIZE - (uaddr & ~PAGE_MASK);
	int rc;

	if (!len)
		return 0;
	if (uaddr >= call->prefetch_at && uaddr - call->prefetch_at < call->prefetch_len &&
	    len <= call->prefetch_len - (uaddr - call->prefetch_at)) {
		memcpy(dst, call->prefetch + (uaddr - call->prefetch_at), len);
		return 0;
	}
	if (len > CALL_PREFETCH || len > room || call->prefetch_len)
		return remote_read(call, dst, uaddr, len);
	room = MIN(room, CALL_PREFETCH);
	rc = remote_read(call, call->prefetch, uaddr, room);
	if (rc)
		return rc;
	call->prefetch_at = uaddr;
	call->prefetch_len = room;
	memcpy(dst, call->prefetch, len);
	return 0;
}

int call_write(struct call *call, u64 uaddr, const void *src, size_t len)
{
	struct iovec local = { (void *)src, len };
	struct iovec remote = { (void *)(uintptr_t)uaddr, len };

	if (!len)
		return 0;
	/* What was fetched may be what is overwritten. */
	call->prefetch_len = 0;
	if (call_check(call))
		return -EFAULT;
	return process_vm_writev(call->req->pid, &local, 1, &remote, 1, 0) == (ssize_t)len ?
		       0 :
		       -EFAULT;
}

static struct call *task_call(struct task *task)
{
	return container_of(task, struct call, task);
}

static int task_copy_from(struct task *task, void *dst, u64 uaddr, size_t len)
{
	return call_read(task_call(task), dst, uaddr, len);
}

static int task_copy_to(struct task *task, u64 uaddr, const void *src, size_t len)
{
	return call_write(task_call(task), uaddr, src, len);
}

/* The effective set as /proc/TID/status has it, by the cheaper door. */
static bool task_capable(struct task *task, int cap)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
		.pid = task_call(task)->req->pid,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap);
}

/* A descriptor of the caller's own table; older kernels know only the process's. */
int call_steal_fd(struct call *call, int fd)
{
	const unsigned int pidfd_thread = O_EXCL;
	int pidfd = syscall(SYS_pidfd_open, call->req->pid, pidfd_thread);
	int host_fd, rc = 0;

	if (pidfd < 0 && errno == EINVAL)
		pidfd = syscall(SYS_pidfd_open, call->target->tgid, 0);
	if (pidfd < 0)
		return -EBADF;
	host_fd = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (host_fd < 0)
		rc = errno == EMFILE || errno == ENFILE ? -EMFILE : -EBADF;
	close(pidfd);
	return rc ?: host_fd;
}

static int task_fd_get(struct task *task, int fd, struct task_fd *ret)
{
	struct call *call = task_call(task);
	struct host_file *hf;
	int host_fd;
	int rc;

	rc = call_file(call, fd, &hf);
	if (rc)
		return rc;
	if (hf) {
		*ret = (struct task_fd){ .file = hf->file, .host_fd = -1 };
		return 0;
	}
	host_fd = call_steal_fd(call, fd);
	if (host_fd < 0)
		return host_fd;
	if (call_check(call)) {
		close(host_fd);
		return -EBADF;
	}
	*ret = (struct task_fd){ .host_fd = host_fd };
	return 0;
}

static int task_fd_reserve(struct task *task, int open_flags, int *ret_fd)
{
	return fdtable_reserve(task_call(task), ret_fd);
}

/*
 * If the caller is gone, or has lowered its limit meanwhile, the file was
 * never open and is released like one closed.
 */
static void task_fd_install(struct task *task, int fd, struct file *file)
{
	struct fault_state *fault = fault_current;
	struct call *call = task_call(task);
	int native;
	int rc;

	/* Past the point of no return: nothing is to be made to fail here. */
	fault_current = NULL;
	rc = fdtable_open(call->host, file, NULL, file->open_flags, &native);
	if (!rc) {
		rc = notify_addfd(call->host, call->req->id, native, fd, file->open_flags);
		close(native);
	}
	if (rc < 0 && rc != -ENOENT)
		host_log(call->host, IOMMUFD_LOG_WARN, "no descriptor %d for thread %d: %s", fd,
			 call->req->pid, strerror(-rc));
	fdtable_unreserve(call, fd);
	fault_current = fault;
}

static void task_fd_unreserve(struct task *task, int fd)
{
	fdtable_unreserve(task_call(task), fd);
}

static int task_fd_make(struct task *task, struct file *file)
{
	return fdtable_object(task_call(task)->host, file, NULL, file->open_flags);
}

/* A descriptor in this process like one that the caller has of @hf's object; -ENOENT, -EMFILE. */
static int steal_object(struct call *call, const struct host_file *hf)
{
	int fd = openat(call->target->dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	int native = -ENOENT;
	struct stat st;
	DIR *dir;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -EMFILE;
	}
	while (native == -ENOENT && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || fstatat(fd, entry->d_name, &st, 0) ||
		    st.st_dev != hf->dev || st.st_ino != hf->ino)
			continue;
		native = call_steal_fd(call, atoi(entry->d_name));
		if (native == -EBADF)
			native = -ENOENT;
		/* It may be another one by now. */
		if (native >= 0 && (fstat(native, &st) || st.st_dev != hf->dev ||
				    st.st_ino != hf->ino)) {
			close(native);
			native = -ENOENT;
		}
	}
	closedir(dir);
	return native;
}

/* One open of the object, so that its last close is still the end of the file. */
static int task_fd_dup(struct task *task, int fd, struct file *file)
{
	struct call *call = task_call(task);
	int native = file->host ? steal_object(call, file->host) : -ENOENT;
	int rc;

	if (native < 0)
		return native;
	rc = notify_addfd(call->host, call->req->id, native, fd, O_CLOEXEC);
	close(native);
	if (rc < 0)
		return rc;
	fdtable_unreserve(call, fd);
	return 0;
}

static struct file *task_find_va_file(struct task *task, u64 va, u64 length, u64 *ret_pos)
{
	struct host_file *hf;
	u64 dev, ino;

	if (mem_va_file(task->mm, va, length, &dev, &ino, ret_pos))
		return NULL;
	hf = fdtable_find(task_call(task)->host, dev, ino);
	return hf ? hf->file : NULL;
}

const struct task_ops host_task_ops = {
	.copy_from = task_copy_from,
	.copy_to = task_copy_to,
	.capable = task_capable,
	.fd_get = task_fd_get,
	.fd_reserve = task_fd_reserve,
	.fd_install = task_fd_install,
	.fd_unreserve = task_fd_unreserve,
	.fd_object = task_fd_make,
	.fd_again = task_fd_dup,
	.va_file = task_find_va_file,
};
