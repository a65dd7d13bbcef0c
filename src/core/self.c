/* SPDX-License-Identifier: MIT */
/*
 * This process as its own program: who is calling, and the calls.  Each
 * looks its file up, makes the thread current and runs the file's op.
 */
#include "core/self.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/ctx.h"

/* fail-nth belongs to the thread, as in Linux; calls of all processes and systems count */
static __thread struct fault_state self_fault __attribute__((tls_model("initial-exec")));

/* ---- the caller ---- */

static int self_copy_from(struct task *task, void *dst, u64 uaddr, size_t len)
{
	return mm_read(task->mm, uaddr, dst, len);
}

static int self_copy_to(struct task *task, u64 uaddr, const void *src, size_t len)
{
	return mm_write(task->mm, uaddr, src, len);
}

/* Effective capabilities of this thread, one bit each; none if the kernel does not say. */
static u64 caps_now(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &head, data))
		return 0;
	return data[0].effective | (u64)data[1].effective << 32;
}

static bool self_capable(struct task *task, int cap)
{
	const struct iommufd_process *proc = container_of(task, struct self_task, task)->proc;
	u64 caps = proc->caps_fixed ? proc->caps : caps_now();

	return caps & BIT_ULL(cap);
}

static const struct task_ops self_task_ops = {
	.copy_from = self_copy_from,
	.copy_to = self_copy_to,
	.capable = self_capable,
	.fd_get = self_fd_get,
	.fd_reserve = self_fd_reserve,
	.fd_install = self_fd_install,
	.fd_unreserve = self_fd_unreserve,
};

void self_enter(struct self_task *self, struct iommufd_process *proc)
{
	self->proc = proc;
	self->task = (struct task){
		.ops = &self_task_ops,
		.mm = proc->mm,
		.user = proc->user,
		/* disarmed costs a test of a pointer, not a count */
		.fault = iommufd_fail_nth_get() ? &self_fault : NULL,
	};
	self->previous = task_enter(&self->task);
}

void self_leave(struct self_task *self)
{
	task_leave(self->previous);
}

/* ---- the process ---- */

int iommufd_process_create(struct iommufd_system *system, struct iommufd_process **ret_proc)
{
	struct iommufd_process *proc;
	int rc;

	proc = zalloc(sizeof(*proc));
	if (!proc)
		return -ENOMEM;
	proc->system = system;
	rc = mm_create_self(system->mem, system->opts.trusted_memory, &proc->mm);
	if (rc)
		goto err_free;
	proc->user = mem_user_get(system->mem, getuid());
	if (!proc->user) {
		rc = -ENOMEM;
		goto err_put_mm;
	}
	proc->caps_fixed = system->opts.trusted_memory;
	proc->caps = caps_now();
	fdmap_init(&proc->fds);
	mutex_init(&proc->maps_lock);
	rangemap_init(&proc->maps);
	*ret_proc = proc;
	return 0;
err_put_mm:
	mm_put(proc->mm);
err_free:
	free(proc);
	return rc;
}

void iommufd_process_destroy(struct iommufd_process *proc)
{
	int fd = -1;

	if (!proc)
		return;
	/* Descriptors first, as exit does not: mappings keep their files by themselves. */
	while ((fd = fdmap_next(&proc->fds, fd + 1)) >= 0)
		iommufd_close(proc, fd);
	self_unmap_all(proc);
	rangemap_clear(&proc->maps);
	mutex_destroy(&proc->maps_lock);
	fdmap_fini(&proc->fds);
	mem_user_put(proc->user);
	mm_put(proc->mm);
	free(proc);
}

/* ---- calls ---- */

static int open_file(struct iommufd_process *proc, const char *path, int open_flags,
		     struct file **ret_file)
{
	unsigned int ctx_flags = 0;
	struct iommufd_ctx *ctx;
	int rc;

	/* A machine with devices has a container of its own. */
	rc = tree_open(proc->system, path, open_flags, ret_file);
	if (rc != -ENOENT)
		return rc;
	if (!strcmp(path, "/dev/vfio/vfio"))
		ctx_flags = CTX_OPEN_VFIO_CONTAINER;
	else if (strcmp(path, "/dev/iommu") != 0)
		return -ENOENT;
	rc = ctx_open(proc->system, ctx_flags, open_flags, &ctx);
	if (!rc)
		*ret_file = &ctx->file;
	return rc;
}

int iommufd_open(struct iommufd_process *proc, const char *path, int open_flags)
{
	struct self_task self;
	struct file *file;
	int fd, rc;

	self_enter(&self, proc);
	rc = self_fd_reserve(&self.task, open_flags, &fd);
	if (rc)
		goto out;
	rc = open_file(proc, path, open_flags, &file);
	if (rc) {
		self_fd_unreserve(&self.task, fd);
		goto out;
	}
	self_fd_install(&self.task, fd, file);
	rc = fd;
out:
	self_leave(&self);
	return rc;
}

long iommufd_ioctl(struct iommufd_process *proc, int fd, unsigned int cmd, void *arg)
{
	struct file *file = fdmap_get(&proc->fds, fd);
	struct self_task self;
	long rc = -ENOTTY;

	if (!file)
		return -EBADF;
	self_enter(&self, proc);
	if (file->ops->ioctl)
		rc = file->ops->ioctl(file, cmd, (uintptr_t)arg);
	/* Inside: if the descriptor was closed meanwhile, this is the release. */
	file_put(file);
	self_leave(&self);
	return rc;
}

/* What a read or write does in the process; @pos NULL: at the file's own position. */
typedef ssize_t (*self_io_fn)(struct file *file, u64 ubuf, size_t count, const u64 *pos);

static ssize_t self_io(struct iommufd_process *proc, int fd, const void *buf, size_t count,
		       const u64 *pos, self_io_fn io)
{
	struct file *file = fdmap_get(&proc->fds, fd);
	struct self_task self;
	ssize_t rc;

	if (!file)
		return -EBADF;
	self_enter(&self, proc);
	rc = io(file, (uintptr_t)buf, count, pos);
	file_put(file);
	self_leave(&self);
	return rc;
}

static ssize_t self_reads(struct file *file, u64 ubuf, size_t count, const u64 *pos)
{
	if (!pos)
		return self_read(file, ubuf, count);
	return file->ops->pread ? file->ops->pread(file, ubuf, count, *pos) : -ESPIPE;
}

static ssize_t self_writes(struct file *file, u64 ubuf, size_t count, const u64 *pos)
{
	if (!pos)
		return self_write(file, ubuf, count);
	return file->ops->pwrite ? file->ops->pwrite(file, ubuf, count, *pos) : -ESPIPE;
}

ssize_t iommufd_read(struct iommufd_process *proc, int fd, void *buf, size_t count)
{
	return self_io(proc, fd, buf, count, NULL, self_reads);
}

ssize_t iommufd_write(struct iommufd_process *proc, int fd, const void *buf, size_t count)
{
	return self_io(proc, fd, buf, count, NULL, self_writes);
}

ssize_t iommufd_pread(struct iommufd_process *proc, int fd, void *buf, size_t count, u64 offset)
{
	return self_io(proc, fd, buf, count, &offset, self_reads);
}

ssize_t iommufd_pwrite(struct iommufd_process *proc, int fd, const void *buf, size_t count,
		       u64 offset)
{
	return self_io(proc, fd, buf, count, &offset, self_writes);
}

/* ---- contexts and failures ---- */

int iommufd_ctx_from_fd(struct iommufd_process *proc, int fd, struct iommufd_ctx **ret_ctx)
{
	struct file *file = fdmap_get(&proc->fds, fd);
	struct iommufd_ctx *ctx;

	if (!file)
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -EBADFD;
	ctx = ctx_from_file(file);
	if (!ctx) {
		file_put(file);
		return -EBADFD;
	}
	*ret_ctx = ctx;
	return 0;
}

void iommufd_ctx_put(struct iommufd_ctx *ctx)
{
	if (ctx)
		ctx_put(ctx);
}

int iommufd_ctx_check(struct iommufd_ctx *ctx, char *buf, size_t size)
{
	return ctx_check(ctx, buf, size);
}

void iommufd_fail_nth_set(u32 nth)
{
	atomic_store_explicit(&self_fault.nth, nth, memory_order_relaxed);
}

u32 iommufd_fail_nth_get(void)
{
	return atomic_load_explicit(&self_fault.nth, memory_order_relaxed);
}
