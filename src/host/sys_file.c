/* SPDX-License-Identifier: MIT */
/*
 * System calls on descriptors of ours.  Each begins with the same question,
 * whose descriptor is this, and leaves what is not ours to the kernel.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/host_priv.h"
#include "host/mmio/tracer.h"

static const u64 *call_args(const struct call *call)
{
	return (const u64 *)call->req->data.args;
}

/* Our file behind the first argument, or NULL. */
static struct host_file *call_first_file(struct call *call)
{
	struct host_file *hf;

	return call_file(call, (int)call_args(call)[0], &hf) ? NULL : hf;
}

/* Commands below take values, not structs: nothing else would ask whether the caller is there. */
#define IOCTL_STRUCTS 0x3b80

/*
 * A file of ours that is added to, or removed from, KVM's vfio device: what KVM would
 * do with it (flush caches that snoop, tell the guest of it) there is no need for.
 * <linux/kvm.h>: group 1 is KVM_DEV_VFIO_FILE, attribute 1 adds, 2 removes, addr points to a
 * descriptor.
 */
static long sys_kvm_device_attr(struct call *call)
{
	struct {
		u32 flags, group;
		u64 attr, addr;
	} arg;
	struct host_file *hf;
	s32 fd;

	if (call_read(call, &arg, call_args(call)[2], sizeof(arg)) || arg.flags || arg.group != 1 ||
	    (arg.attr != 1 && arg.attr != 2) || call_read(call, &fd, arg.addr, sizeof(fd)) ||
	    call_file(call, fd, &hf) || !hf)
		return CALL_NATIVE;
	host_file_put(hf);
	return call_check(call) ? CALL_NATIVE : 0;
}

long sys_ioctl(struct call *call)
{
	u32 cmd = (u32)call_args(call)[1];
	struct host_file *hf;
	long rc;

	if (cmd == IOCTL_KVM_SET_DEVICE_ATTR)
		return sys_kvm_device_attr(call);
	hf = call_first_file(call);
	if (!hf)
		return CALL_NATIVE;
	rc = cmd < IOCTL_STRUCTS ? call_check(call) : 0;
	rc = rc ?: call_enter(call);
	if (!rc) {
		const struct file_ops *ops = hf->file->ops;

		rc = ops->ioctl ? ops->ioctl(hf->file, cmd, call_args(call)[2]) : -ENOTTY;
		call_leave(call);
	}
	host_file_put(hf);
	return rc;
}

/* ---- read and write, on descriptors above the base or at offsets that only ours have ---- */

struct rw_args {
	bool write;
	bool at;  /* pos is given */
	u32 flags; /* RWF_* */
	u64 pos;
	u64 buf;
	u64 count;
	u64 iov;  /* vector of count entries, else 0 */
};

static struct rw_args rw_args(const struct call *call)
{
	const u64 *arg = call_args(call);
	struct rw_args rw = { .buf = arg[1], .count = arg[2] };

	switch (call->req->data.nr) {
	case SYS_readv:
	case SYS_writev:
		rw.iov = arg[1];
		break;
	case SYS_preadv2:
	case SYS_pwritev2:
		rw.iov = arg[1];
		rw.pos = arg[3];
		rw.at = rw.pos != UINT64_MAX; /* else where the file is */
		rw.flags = (u32)arg[5];
		break;
	case SYS_preadv:
	case SYS_pwritev:
		rw.iov = arg[1];
		__attribute__((fallthrough));
	case SYS_pread64:
	case SYS_pwrite64:
		rw.at = true;
		rw.pos = arg[3];
		break;
	}
	switch (call->req->data.nr) {
	case SYS_write:
	case SYS_writev:
	case SYS_pwrite64:
	case SYS_pwritev:
	case SYS_pwritev2:
		rw.write = true;
	}
	return rw;
}

/* One stretch of memory; for seekable files *pos moves on. */
static ssize_t rw_one(struct host_file *hf, const struct rw_args *rw, u64 buf, u64 count, u64 *pos)
{
	const struct file_ops *ops = hf->file->ops;
	ssize_t rc = -EINVAL;

	if (count > SSIZE_MAX)
		return -EINVAL;
	if (rw->write ? ops->pwrite != NULL : ops->pread != NULL) {
		rc = rw->write ? ops->pwrite(hf->file, buf, count, *pos) :
				 ops->pread(hf->file, buf, count, *pos);
		if (rc > 0)
			*pos += rc;
	} else if (rw->at) {
		rc = -ESPIPE;
	} else if (rw->write ? ops->write != NULL : ops->read != NULL) {
		rc = rw->write ? ops->write(hf->file, buf, count) :
				 ops->read(hf->file, buf, count);
	}
	return rc;
}

/* A vector is its parts one after the other, up to the first that comes short. */
static ssize_t rw_vector(struct call *call, struct host_file *hf, const struct rw_args *rw,
			 u64 *pos)
{
	ssize_t done = 0;

	if (rw->count > IOV_MAX)
		return -EINVAL;
	/*
	 * Of these only polling is for files that read and write as ours do, and it changes
	 * nothing.
	 */
	if (rw->flags & ~RWF_HIPRI)
		return -EOPNOTSUPP;
	for (u64 i = 0; i < rw->count; i++) {
		struct iovec iov;
		ssize_t rc;

		if (call_read(call, &iov, rw->iov + i * sizeof(iov), sizeof(iov)))
			return done ?: -EFAULT;
		if (!iov.iov_len)
			continue;
		rc = rw_one(hf, rw, (uintptr_t)iov.iov_base, iov.iov_len, pos);
		if (rc < 0)
			return done ?: rc;
		done += rc;
		if ((size_t)rc < iov.iov_len)
			break;
	}
	return done;
}

static ssize_t rw_at(struct call *call, struct host_file *hf, const struct rw_args *rw, u64 *pos)
{
	return rw->iov ? rw_vector(call, hf, rw, pos) : rw_one(hf, rw, rw->buf, rw->count, pos);
}

static ssize_t rw_file(struct call *call, struct host_file *hf, const struct rw_args *rw)
{
	bool seekable = hf->file->ops->pread || hf->file->ops->pwrite;
	u64 pos = rw->pos;
	ssize_t rc;

	if (rw->at || !seekable)
		return rw_at(call, hf, rw, &pos);
	/* The position of a file is one for all its descriptors, and a read moves it once. */
	mutex_lock(&hf->lock);
	rc = rw_at(call, hf, rw, &hf->pos);
	mutex_unlock(&hf->lock);
	return rc;
}

long sys_read_write(struct call *call)
{
	struct host_file *hf = call_first_file(call);
	struct rw_args rw = rw_args(call);
	int acc;
	long rc;

	if (!hf)
		return CALL_NATIVE;
	acc = hf->file->open_flags & O_ACCMODE;
	if (acc == (rw.write ? O_RDONLY : O_WRONLY)) {
		rc = -EBADF;
		goto out;
	}
	rc = call_check(call) ?: call_enter(call);
	if (rc)
		goto out;
	rc = rw_file(call, hf, &rw);
	call_leave(call);
out:
	host_file_put(hf);
	return rc;
}

/*
 * dup() and fcntl(F_DUPFD) of a descriptor above the base: the copy must lie
 * there too.  (dup2() names its number; a copy below reads the bare object.)
 */
long sys_dup(struct call *call)
{
	bool fcntl_cloexec = call->req->data.nr == SYS_fcntl &&
			     call_args(call)[1] == F_DUPFD_CLOEXEC;
	struct host_file *hf = call_first_file(call);
	int native, fd;
	long rc;

	if (!hf)
		return CALL_NATIVE;
	rc = call_check(call) ?: call_enter(call);
	if (rc)
		goto out_put;
	native = call_steal_fd(call, (int)call_args(call)[0]);
	rc = native;
	if (native < 0)
		goto out_leave;
	rc = fdtable_reserve(call, &fd);
	if (!rc) {
		rc = notify_addfd(call->host, call->req->id, native, fd,
				  fcntl_cloexec ? O_CLOEXEC : 0);
		fdtable_unreserve(call, fd);
		rc = rc < 0 ? rc : fd;
	}
	close(native);
out_leave:
	call_leave(call);
out_put:
	host_file_put(hf);
	return rc;
}

/* What can be changed of an open file, and so is the native object's to tell. */
#define FLAGS_SETTABLE (O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK)

/* F_GETFL of a file that a command made: the object may be open in another way than the file is. */
static long fcntl_flags(struct call *call)
{
	struct host_file *hf = call_first_file(call);
	int native;
	long rc;

	if (!hf)
		return CALL_NATIVE;
	rc = hf->name ? CALL_NATIVE : call_check(call) ?: call_enter(call);
	if (rc)
		goto out;
	native = call_steal_fd(call, (int)call_args(call)[0]);
	call_leave(call);
	rc = native;
	if (native >= 0) {
		rc = fcntl(native, F_GETFL) & FLAGS_SETTABLE;
		rc |= hf->file->open_flags & O_ACCMODE;
		close(native);
	}
out:
	host_file_put(hf);
	return rc;
}

long sys_fcntl(struct call *call)
{
	return call_args(call)[1] == F_GETFL ? fcntl_flags(call) : sys_dup(call);
}

/* What is allowed must be the native object. */
static int mmap_memory(const struct host_file *hf, const struct file_map *map, u64 offset)
{
	struct stat st;

	return !fstat(map->host_fd, &st) && st.st_dev == hf->dev && st.st_ino == hf->ino &&
			       map->host_offset == offset ?
		       0 :
		       -ENODEV;
}

/* Nothing may be behind the mapping, and its process be traced before it is there. */
static int mmap_trapped(struct call *call, const struct host_file *hf, u64 offset)
{
	struct host *host = call->host;
	struct stat st;
	int rc;

	if (!hf->file->ops->access || hf->memory_fd < 0 || fstat(hf->memory_fd, &st) ||
	    (u64)st.st_size > offset)
		return -ENODEV;
	rc = tracer_attach(host->tracer, (pid_t)call->req->pid);
	if (rc)
		host_log(host, IOMMUFD_LOG_WARN,
			 "thread %d may not map registers whose accesses trap: it cannot be "
			 "traced: %s",
			 call->req->pid, strerror(-rc));
	return rc;
}

/*
 * A shared mapping of one of our files.  The file's owner decides, but the
 * mapping itself is the kernel's: it maps the native object, so what is allowed
 * must be that object.
 */
long sys_mmap(struct call *call)
{
	const u64 *arg = call_args(call);
	struct host_file *hf;
	struct file_map map = { .host_fd = -1 };
	long rc;

	/* Whatever is mapped may come to lie where something of ours was. */
	tracer_forget_maps(call->host->tracer);
	if (call_file(call, (int)arg[4], &hf) || !hf)
		return CALL_NATIVE;
	rc = call_check(call);
	if (!rc)
		rc = file_mmap_check(hf->file, arg[0], arg[1], (int)arg[2], (int)arg[3], arg[5]);
	if (!rc)
		rc = call_enter(call);
	if (rc)
		goto out;
	rc = hf->file->ops->mmap(hf->file, ALIGN_UP(arg[1], PAGE_SIZE), (int)arg[2], (int)arg[3],
				 arg[5], &map);
	call_leave(call);
	if (rc)
		goto out;
	rc = map.trapped ? mmap_trapped(call, hf, arg[5]) : mmap_memory(hf, &map, arg[5]);
	if (!rc && hf->file->ops->unmap)
		rc = host_map_add(hf, arg[5], ALIGN_UP(arg[1], PAGE_SIZE), map.cookie);
	if (!rc)
		rc = CALL_NATIVE;
	else if (hf->file->ops->unmap)
		hf->file->ops->unmap(hf->file, map.cookie);
out:
	host_file_put(hf);
	return rc;
}

/* ---- calls trapped only to know that they happen ---- */

long sys_exec(struct call *call)
{
	target_saw_exec(call->host, call->req->pid);
	return CALL_NATIVE;
}

long sys_cred(struct call *call)
{
	target_saw_cred(call->host, call->req->pid);
	return CALL_NATIVE;
}

long sys_affinity(struct call *call)
{
	pid_t tid = (pid_t)call_args(call)[0];

	tracer_release_affinity(call->host->tracer, tid ?: (pid_t)call->req->pid);
	return CALL_NATIVE;
}
