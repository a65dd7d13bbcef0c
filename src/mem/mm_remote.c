/* SPDX-License-Identifier: MIT */
/*
 * The address space of another process.  /proc/PID/mem and /proc/PID/maps stay
 * with the address space they were opened on: once it has no user any more
 * (exit, or exec), the first reads nothing and the second says ESRCH.  So no
 * operation here can meet a new program under an old pid.
 *
 * Writing through /proc/PID/mem disregards the permissions of a mapping.  For
 * pinned memory that is right, as a device disregards them too; elsewhere the
 * mapping is looked up first.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "mem/mem_priv.h"

static bool remote_alive(struct mm *mm)
{
	bool has_query;

	return !maps_fd_alive(mm->maps_fd, &has_query);
}

/* Is the anchor's number still that of the anchor? */
static bool anchor_alive(struct mm *mm)
{
	return mm->pidfd < 0 || !syscall(SYS_pidfd_send_signal, mm->pidfd, 0, NULL, 0);
}

static int proc_dir_open(pid_t pid)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int proc_read(int dir, const char *name, char *buf, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	buf[len] = '\0';
	return n < 0 ? -errno : 0;
}

/* A number from a line "Name:\t123" of a status file; 0 if it has none. */
static pid_t status_number(const char *status, const char *name)
{
	const char *line = strstr(status, name);

	return line ? (pid_t)strtol(line + strlen(name), NULL, 10) : 0;
}

/* The process @pid is a thread of, or its parent: 0 if nobody says. */
static pid_t pid_status(int dir, const char *name)
{
	char status[4096];

	return proc_read(dir, "status", status, sizeof(status)) ? 0 : status_number(status, name);
}

static bool remote_is(struct mm *mm, pid_t pid)
{
	int same = pid == mm->anchor ? 1 : pids_share_mm(mm->anchor, pid);

	if (same < 0) {
		/* Nobody compares for us: a thread of the anchor is what can be told. */
		int dir = proc_dir_open(pid);

		same = dir >= 0 && pid_status(dir, "\nTgid:") == mm->anchor;
		if (dir >= 0)
			close(dir);
	}
	return same && anchor_alive(mm);
}

/* Kernels before 6.11: the pid is looked up again, so ask first whether it is still ours. */
static int remote_copy_by_pid(struct mm *mm, u64 va, void *buf, size_t len, bool write)
{
	struct iovec here = { buf, len }, there = { (void *)(uintptr_t)va, len };
	ssize_t n;

	if (!remote_alive(mm) || !anchor_alive(mm))
		return -EFAULT;
	n = write ? process_vm_writev(mm->anchor, &here, 1, &there, 1, 0) :
		    process_vm_readv(mm->anchor, &here, 1, &there, 1, 0);
	return n == (ssize_t)len ? 0 : -EFAULT;
}

static int remote_copy(struct mm *mm, u64 va, void *buf, size_t len, bool write)
{
	if (!mm->has_query)
		return len ? remote_copy_by_pid(mm, va, buf, len, write) : 0;
	while (len) {
		struct vma vma;
		size_t n;

		if (vma_find(mm, va, &vma) || !(vma.flags & (write ? VMA_WRITE : VMA_READ)))
			return -EFAULT;
		n = MIN(len, vma.last - va + 1);
		if (memfd_copy(mm->backing->fd, va, buf, n, write))
			return -EFAULT;
		buf = (u8 *)buf + n;
		va += n;
		len -= n;
	}
	return 0;
}

static int remote_touch(struct mm *mm, u64 va, bool write)
{
	char byte;

	/* Reading is enough: a page that can be read can be written if its mapping can. */
	return memfd_copy(mm->backing->fd, va, &byte, 1, false);
}

static const struct mm_ops remote_ops = {
	.alive = remote_alive,
	.is = remote_is,
	.copy = remote_copy,
	.touch = remote_touch,
};

/* -errno of a failed open below /proc, as mm_create_remote() promises it */
static int proc_errno(void)
{
	switch (errno) {
	case ENOENT:
	case ESRCH:
		return -ESRCH;
	case EACCES:
	case EPERM:
		return -EPERM;
	default:
		return -ENOMEM;
	}
}

static int proc_open(int dir, const char *name, int flags)
{
	int fd;

	if (fault_point("open"))
		return -ENOMEM;
	fd = openat(dir, name, flags | O_CLOEXEC);
	return fd < 0 ? proc_errno() : fd;
}

/* Do the descriptors belong to one living address space?  An exec may come between two opens. */
static int fds_agree(int mem_fd, int maps_fd, bool *ret_query)
{
	struct vma vma;
	char byte;
	int rc = maps_fd_alive(maps_fd, ret_query);

	if (rc)
		return rc;
	/* The first mapping will do; any page of it that is not there says nothing. */
	for (u64 va = 0; !vma_next(maps_fd, *ret_query, va, &vma); va = vma.last + 1)
		if (vma.flags & VMA_READ && !memfd_copy(mem_fd, vma.first, &byte, 1, false))
			return 0;
	return -ESRCH;
}

/*
 * Fill in who the address space belongs to.  A child of vfork() shares its parent's for a
 * while and then leaves it by exec, under the same pid; the parent stays, and is the one to
 * compare others with.
 */
static int remote_identify(struct mm *mm, int dir, pid_t pid)
{
	pid_t tgid = pid_status(dir, "\nTgid:");
	pid_t parent = pid_status(dir, "\nPPid:");

	mm->pid = tgid ? tgid : pid;
	mm->anchor = mm->pid;
	if (parent > 1 && pids_share_mm(mm->pid, parent) == 1)
		mm->anchor = parent;
	/* As it was reached: the first thread of a process may have ended. */
	mm->proc_fd = proc_dir_open(pid);
	mm->pidfd = (int)syscall(SYS_pidfd_open, mm->anchor, 0);
	return mm->proc_fd < 0 ? -ESRCH : 0;
}

static int remote_create(struct mem_space *space, int dir, pid_t pid, struct mm **ret_mm)
{
	int maps_fd, mem_fd = proc_open(dir, "mem", O_RDWR);
	bool has_query;
	struct mm *mm;
	int rc;

	if (mem_fd < 0)
		return mem_fd;
	maps_fd = proc_open(dir, "maps", O_RDONLY);
	if (maps_fd < 0) {
		rc = maps_fd;
		goto err_close_mem;
	}
	rc = fds_agree(mem_fd, maps_fd, &has_query);
	if (rc)
		goto err_close_maps;
	rc = mm_alloc(space, &remote_ops, mem_fd, &mm);
	if (rc)
		goto err_close_maps;
	mm->maps_fd = maps_fd;
	mm->has_query = has_query;
	rc = remote_identify(mm, dir, pid);
	if (rc) {
		mm_put(mm);
		return rc;
	}
	mm_memlock_limit(mm);
	*ret_mm = mm;
	return 0;
err_close_maps:
	close(maps_fd);
err_close_mem:
	close(mem_fd);
	return rc;
}

int mm_create_remote(struct mem_space *space, pid_t pid, struct mm **ret_mm)
{
	int rc, dir = proc_dir_open(pid);

	if (dir < 0) {
		errno = -dir;
		return proc_errno();
	}
	/* An exec during the first try makes the second one succeed; more are not bad luck. */
	rc = remote_create(space, dir, pid, ret_mm);
	if (rc == -ESRCH)
		rc = remote_create(space, dir, pid, ret_mm);
	/* Whoever has no memory belongs to root in /proc, and seems forbidden to others. */
	if (rc == -EPERM && !pid_status(dir, "\nVmSize:"))
		rc = -ESRCH;
	close(dir);
	return rc;
}
