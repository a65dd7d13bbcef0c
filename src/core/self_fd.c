/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of this process that are ours.
 *
 * Each is an eventfd in the real table, which keeps the number from being
 * given out again, and a slot in ours that names the open file.  Every number
 * counts one reference on its file, so the last close releases.  The eventfd
 * has a second purpose: it is readable while the file is, so a program can
 * wait for a queue of events beside its other descriptors.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/self.h"

/**
 * struct self_host - struct file.host of a file that has descriptors here
 * @wake_fd: the eventfd again, under a number of our own that stays when the program's go; it is
 *	made to say what the file says under @wake_lock
 * @pos: where read() and write() of a file with a position go on; under @pos_lock
 */
struct self_host {
	int wake_fd;
	struct mutex wake_lock;
	struct mutex pos_lock;
	u64 pos;
};

#define POLL_AGAIN_MS 10

/* ---- readiness ---- */

static void wake_fd_set(int wake_fd)
{
	/* Full means set. */
	(void)eventfd_write(wake_fd, 1);
}

static void self_host_release(void *data)
{
	struct self_host *host = data;

	close(host->wake_fd);
	mutex_destroy(&host->wake_lock);
	mutex_destroy(&host->pos_lock);
	free(host);
}

static unsigned int file_poll(struct file *file)
{
	return file->ops->poll ? file->ops->poll(file) :
				 POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

/* Look and tell in one step, so that nobody who can read finds it unreadable in between. */
static void self_host_wake(struct file *file)
{
	struct self_host *host = file->host;
	eventfd_t count;

	mutex_lock(&host->wake_lock);
	if (file_poll(file) & POLLIN)
		wake_fd_set(host->wake_fd);
	else
		(void)eventfd_read(host->wake_fd, &count);
	mutex_unlock(&host->wake_lock);
}

/* ---- making descriptors ---- */

/* Numbers of ours that the program must not notice: out of the way of the lowest free ones. */
static int dup_high(int fd)
{
	struct rlimit limit;
	int min_fd = 0;
	int high;

	if (!getrlimit(RLIMIT_NOFILE, &limit))
		min_fd = (int)MIN(limit.rlim_cur / 2, 4096U);
	high = fcntl(fd, F_DUPFD_CLOEXEC, min_fd);
	if (high < 0)
		high = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return high < 0 ? -errno : high;
}

/*
 * Exchange the slot's host.  The number orders its owners already, one closes it
 * before the next can get it; the lock is for tools, which do not see that.
 */
static struct self_host *slot_exchange_host(struct iommufd_process *proc, int fd,
					    struct self_host *host)
{
	struct fdmap_slot *slot = fdmap_slot(&proc->fds, fd);
	struct self_host *old;

	mutex_lock(fdmap_lock(&proc->fds, fd));
	old = slot->host;
	slot->host = host;
	mutex_unlock(fdmap_lock(&proc->fds, fd));
	return old;
}

int self_fd_reserve(struct task *task, int open_flags, int *ret_fd)
{
	struct iommufd_process *proc = container_of(task, struct self_task, task)->proc;
	struct self_host *host;
	int fd, rc;

	host = zalloc(sizeof(*host));
	if (!host)
		return -ENOMEM;
	fd = eventfd(0, EFD_NONBLOCK | (open_flags & O_CLOEXEC ? EFD_CLOEXEC : 0));
	if (fd < 0) {
		rc = -errno;
		goto err_free;
	}
	rc = fdmap_prepare(&proc->fds, fd);
	if (rc)
		goto err_close;
	host->wake_fd = dup_high(fd);
	if (host->wake_fd < 0) {
		rc = host->wake_fd;
		goto err_close;
	}
	mutex_init(&host->wake_lock);
	mutex_init(&host->pos_lock);
	slot_exchange_host(proc, fd, host);
	*ret_fd = fd;
	return 0;
err_close:
	close(fd);
err_free:
	free(host);
	return rc;
}

void self_fd_install(struct task *task, int fd, struct file *file)
{
	struct iommufd_process *proc = container_of(task, struct self_task, task)->proc;
	struct self_host *host = slot_exchange_host(proc, fd, NULL);

	file->host_release = self_host_release;
	file->host = host;
	file->host_wake = self_host_wake;
	/* One without poll is always ready: said once, for all descriptors it will ever have. */
	self_host_wake(file);
	fdmap_exchange(&proc->fds, fd, file);
}

void self_fd_unreserve(struct task *task, int fd)
{
	struct iommufd_process *proc = container_of(task, struct self_task, task)->proc;

	self_host_release(slot_exchange_host(proc, fd, NULL));
	close(fd);
}

/* ---- reading and writing ---- */

/* One at a time, as the kernel has it: two threads never get the same bytes. */
static ssize_t self_read_on(struct file *file, u64 ubuf, size_t count)
{
	struct self_host *host = file->host;
	ssize_t rc;

	mutex_lock(&host->pos_lock);
	rc = file->ops->pread(file, ubuf, count, host->pos);
	if (rc > 0)
		host->pos += (u64)rc;
	mutex_unlock(&host->pos_lock);
	return rc;
}

static ssize_t self_write_on(struct file *file, u64 ubuf, size_t count)
{
	struct self_host *host = file->host;
	ssize_t rc;

	mutex_lock(&host->pos_lock);
	rc = file->ops->pwrite(file, ubuf, count, host->pos);
	if (rc > 0)
		host->pos += (u64)rc;
	mutex_unlock(&host->pos_lock);
	return rc;
}

ssize_t self_read(struct file *file, u64 ubuf, size_t count)
{
	if (file->ops->pread)
		return self_read_on(file, ubuf, count);
	return file->ops->read ? file->ops->read(file, ubuf, count) : -EINVAL;
}

ssize_t self_write(struct file *file, u64 ubuf, size_t count)
{
	if (file->ops->pwrite)
		return self_write_on(file, ubuf, count);
	return file->ops->write ? file->ops->write(file, ubuf, count) : -EINVAL;
}

/* ---- the program's calls on descriptors ---- */

int self_fd_get(struct task *task, int fd, struct task_fd *ret)
{
	struct iommufd_process *proc = container_of(task, struct self_task, task)->proc;
	int host_fd = -1;
	struct file *file;

	file = fdmap_get(&proc->fds, fd);
	if (!file) {
		host_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (host_fd < 0)
			return -errno;
	}
	ret->file = file;
	ret->host_fd = host_fd;
	return 0;
}

int self_adopt(struct iommufd_process *proc, struct file *file)
{
	struct self_task self;
	int fd, rc;

	self_enter(&self, proc);
	rc = self_fd_reserve(&self.task, file->open_flags, &fd);
	if (rc)
		file_put(file);
	else
		self_fd_install(&self.task, fd, file);
	self_leave(&self);
	return rc ? rc : fd;
}

int self_dup_from(struct iommufd_process *proc, int fd, int min_fd, int open_flags)
{
	struct fdmap_slot *slot = fdmap_slot(&proc->fds, fd);
	struct file *file = NULL;
	int new_fd = -EBADF;
	int rc;

	if (!slot)
		return -EBADF;
	/* Held over the native call: while the slot is ours, so is the number. */
	mutex_lock(fdmap_lock(&proc->fds, fd));
	file = atomic_load_explicit(&slot->file, memory_order_relaxed);
	if (file) {
		file_get(file);
		new_fd = fcntl(fd, open_flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, min_fd);
		new_fd = new_fd < 0 ? -errno : new_fd;
	}
	mutex_unlock(fdmap_lock(&proc->fds, fd));
	if (new_fd < 0) {
		file_put(file);
		return new_fd;
	}
	rc = fdmap_prepare(&proc->fds, new_fd);
	if (rc) {
		close(new_fd);
		file_put(file);
		return rc;
	}
	fdmap_exchange(&proc->fds, new_fd, file);
	return new_fd;
}

int self_dup_to(struct iommufd_process *proc, int fd, int new_fd, int open_flags)
{
	struct file *file, *old;
	struct self_task self;
	int rc;

	if (fd == new_fd)
		return -EINVAL;
	if (new_fd < 0)
		return -EBADF;
	file = fdmap_get(&proc->fds, fd);
	rc = file ? fdmap_prepare(&proc->fds, new_fd) : 0;
	if (!rc && dup3(fd, new_fd, open_flags & O_CLOEXEC) < 0)
		rc = -errno;
	if (rc) {
		file_put(file);
		return rc;
	}
	/* What the number meant before is closed by this, as the system call closed its eventfd. */
	old = fdmap_exchange(&proc->fds, new_fd, file);
	self_enter(&self, proc);
	file_put(old);
	self_leave(&self);
	return new_fd;
}

int iommufd_dup(struct iommufd_process *proc, int fd)
{
	return self_dup_from(proc, fd, 0, O_CLOEXEC);
}

static u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000 + (u64)now.tv_nsec / 1000000;
}

/*
 * Sleep until the file may have changed.  The eventfd tells only of what can be
 * read: if that is so already and not what was asked, look again from time to time.
 */
static int self_poll_sleep(struct file *file, bool readable, int timeout_ms)
{
	const struct self_host *host = file->host;
	struct pollfd pfd = { .fd = readable ? -1 : host->wake_fd, .events = POLLIN };

	if (readable && file->ops->poll && (timeout_ms < 0 || timeout_ms > POLL_AGAIN_MS))
		timeout_ms = POLL_AGAIN_MS;
	return poll(&pfd, 1, timeout_ms) < 0 ? -errno : 0;
}

static int self_poll_file(struct file *file, unsigned int events, int timeout_ms)
{
	u64 deadline = now_ms() + (u64)MAX(timeout_ms, 0);

	for (;;) {
		unsigned int ready = file_poll(file);
		u64 now = now_ms();
		int rc;

		if ((ready & (events | POLLERR | POLLHUP)) || !timeout_ms ||
		    (timeout_ms > 0 && now >= deadline))
			return (int)(ready & (events | POLLERR | POLLHUP));
		rc = self_poll_sleep(file, ready & POLLIN,
				     timeout_ms < 0 ? -1 : (int)(deadline - now));
		if (rc)
			return rc;
	}
}

int iommufd_poll(struct iommufd_process *proc, int fd, unsigned int events, int timeout_ms)
{
	struct file *file = fdmap_get(&proc->fds, fd);
	struct self_task self;
	int rc;

	if (!file)
		return -EBADF;
	self_enter(&self, proc);
	rc = self_poll_file(file, events, timeout_ms);
	file_put(file);
	self_leave(&self);
	return rc;
}

int iommufd_close(struct iommufd_process *proc, int fd)
{
	struct file *file = fdmap_exchange(&proc->fds, fd, NULL);
	struct self_task self;

	if (!file)
		return -EBADF;
	/* The number goes back after it has stopped being ours, never before. */
	close(fd);
	self_enter(&self, proc);
	file_put(file);
	self_leave(&self);
	return 0;
}

bool iommufd_fd_is_ours(const struct iommufd_process *proc, int fd)
{
	return fdmap_has(&proc->fds, fd);
}
