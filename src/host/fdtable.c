/* SPDX-License-Identifier: MIT */
/*
 * Our files behind the program's descriptors.
 *
 * A descriptor of ours in the program is a real one: a memfd, or a pipe (event_file.c), one
 * per open.  So dup, fork, passing over sockets and exec work without us, and which of our files
 * a descriptor means is told by the inode behind it.  An inotify watch on the inode reports the
 * last close, wherever it happens; the event is queued before that close() returns, so whoever
 * drains the queue before it serves the next call never shows the program a file that it has
 * closed and that is not yet released.
 *
 * An instance of inotify drops events when its queue is full.  Each watch
 * makes at most three (closed, closed by us where we have it open too, inode
 * gone), so an instance gets no more watches than a third of what its queue
 * holds.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/host_priv.h"

#define WATCH_EVENTS 3
#define WATCH_ROOM_DEFAULT 4096
#define HIGH_TOP 4096      /* no higher: tables of descriptors are as long as their highest */
#define HIGH_ROOM_MAX 1024

struct close_watch {
	struct cds_list_head node; /* fdtable.watches */
	int fd;
	bool writes; /* they tell of writes too: of attributes */
	u32 count; /* watches; under fdtable.lock */
};

static bool host_file_is_attr(const struct host_file *hf)
{
	return hf->name && hf->name->kind == TREE_ATTR;
}

static u32 fdtable_watch_room(void)
{
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	unsigned int events = WATCH_EVENTS * WATCH_ROOM_DEFAULT;

	if (f && fscanf(f, "%u", &events) != 1)
		events = WATCH_EVENTS * WATCH_ROOM_DEFAULT;
	if (f)
		fclose(f);
	return MAX(events / WATCH_EVENTS, 1);
}

/* Before the program starts: its limit, which is ours now, decides about the high numbers. */
void fdtable_high_range(int *ret_base, int *ret_end)
{
	struct rlimit rlim = { .rlim_cur = 256 };

	getrlimit(RLIMIT_NOFILE, &rlim);
	*ret_end = (int)MIN(rlim.rlim_cur, HIGH_TOP);
	*ret_base = *ret_end - MIN(*ret_end / 4, HIGH_ROOM_MAX);
}

int fdtable_init(struct host *host)
{
	struct fdtable *fds = &host->fds;

	mutex_init(&fds->drain_lock);
	mutex_init(&fds->lock);
	for (size_t i = 0; i < FDTABLE_BUCKETS; i++) {
		CDS_INIT_LIST_HEAD(&fds->inos[i]);
		CDS_INIT_LIST_HEAD(&fds->wds[i]);
	}
	CDS_INIT_LIST_HEAD(&fds->watches);
	CDS_INIT_LIST_HEAD(&fds->reserved);
	fds->watch_room = fdtable_watch_room();
	fds->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (fds->epoll < 0)
		return -errno;
	fds->idle = epoll_create1(EPOLL_CLOEXEC);
	if (fds->idle < 0) {
		close(fds->epoll);
		return -errno;
	}
	return 0;
}

/*
 * Two instances, because epoll_wait() without a time-out may miss what is ready while
 * somebody else looks at the same instance; a drain must not.
 */
static int fdtable_listen(struct fdtable *fds, struct close_watch *watch)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = watch };

	if (epoll_ctl(fds->epoll, EPOLL_CTL_ADD, watch->fd, &ev))
		return -errno;
	if (epoll_ctl(fds->idle, EPOLL_CTL_ADD, watch->fd, &ev)) {
		epoll_ctl(fds->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
		return -ENOMEM;
	}
	return 0;
}

void fdtable_fini(struct host *host)
{
	struct close_watch *watch, *w;

	cds_list_for_each_entry_safe(watch, w, &host->fds.watches, node) {
		close(watch->fd);
		free(watch);
	}
	close(host->fds.idle);
	close(host->fds.epoll);
	mutex_destroy(&host->fds.lock);
	mutex_destroy(&host->fds.drain_lock);
}

static struct cds_list_head *fdtable_ino_bucket(struct fdtable *fds, u64 ino)
{
	return &fds->inos[ino % FDTABLE_BUCKETS];
}

static struct cds_list_head *fdtable_wd_bucket(struct fdtable *fds, int wd)
{
	return &fds->wds[(unsigned int)wd % FDTABLE_BUCKETS];
}

/* An instance of inotify with room, counted up by one. */
static struct close_watch *fdtable_watch_get(struct fdtable *fds, bool writes)
	__must_hold(&fds->lock)
{
	struct close_watch *watch;

	cds_list_for_each_entry(watch, &fds->watches, node) {
		if (watch->writes == writes && watch->count < fds->watch_room)
			goto found;
	}
	watch = zalloc(sizeof(*watch));
	if (!watch)
		return NULL;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd < 0)
		goto err_free;
	if (fdtable_listen(fds, watch))
		goto err_close;
	watch->writes = writes;
	cds_list_add(&watch->node, &fds->watches);
found:
	watch->count++;
	return watch;
err_close:
	close(watch->fd);
err_free:
	free(watch);
	return NULL;
}

/*
 * A memfd, open as the program asked, and open once more for us, read-write: closing an
 * open of the watched object would be taken for the program's.
 */
static int fdtable_unnamed(int open_flags, u64 size, int *ret_memory)
{
	int keep = open_flags & (O_ACCMODE | O_NONBLOCK | O_APPEND);
	int memory = memfd_create("uiommufd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char path[32];
	int fd;

	if (memory < 0)
		return errno == EMFILE || errno == ENFILE ? -ENFILE : -ENOMEM;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	fd = ftruncate(memory, (off_t)size) ? -1 : open(path, O_CLOEXEC | keep);
	if (fd < 0) {
		close(memory);
		return -ENFILE;
	}
	*ret_memory = memory;
	return fd;
}

/* Watch for the last close of @fd, and let its inode mean @hf from now on. */
static int fdtable_publish(struct fdtable *fds, struct host_file *hf, int fd)
{
	bool attr = host_file_is_attr(hf);
	char path[32];
	int rc = -ENOMEM;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	mutex_lock(&fds->lock);
	hf->watch = fdtable_watch_get(fds, attr);
	if (!hf->watch)
		goto out;
	hf->wd = inotify_add_watch(hf->watch->fd, path, IN_CLOSE | (attr ? IN_MODIFY : 0));
	if (hf->wd < 0) {
		hf->watch->count--;
		goto out;
	}
	cds_list_add(&hf->by_wd, fdtable_wd_bucket(fds, hf->wd));
	hf->serial = ++fds->serial;
	cds_list_add(&hf->by_ino, fdtable_ino_bucket(fds, hf->ino));
	fds->count++;
	rc = 0;
out:
	mutex_unlock(&fds->lock);
	return rc;
}

/* The file has been released, nobody can come here any more. */
static void host_file_free(void *host)
{
	struct host_file *hf = host;

	if (hf->native >= 0)
		close(hf->native);
	if (hf->event_fd >= 0)
		close(hf->event_fd);
	if (hf->memory_fd >= 0)
		close(hf->memory_fd);
	host_name_put(hf->name);
	mutex_destroy(&hf->lock);
	free(hf);
}

static int host_file_object(struct host_file *hf, int open_flags)
{
	struct stat st;
	int fd, rc;

	if (hf->file->ops->poll) {
		rc = event_file_make(hf, open_flags, &fd);
		if (rc)
			return rc;
	} else {
		fd = fdtable_unnamed(open_flags, hf->file->size, &hf->memory_fd);
		if (fd < 0)
			return fd;
		if (!hf->file->ops->mmap && !host_file_is_attr(hf)) {
			close(hf->memory_fd);
			hf->memory_fd = -1;
		}
	}
	hf->native = fd;
	if (fstat(fd, &st))
		return -errno;
	hf->dev = st.st_dev;
	hf->ino = st.st_ino;
	hf->mnt = fdinfo_mount(fd);
	/* It may have become readable before anybody listened. */
	file_wake(hf->file);
	return 0;
}

int fdtable_object(struct host *host, struct file *file, struct host_name *name, int open_flags)
{
	struct host_file *hf = zalloc(sizeof(*hf));

	if (!hf)
		return -ENOMEM;
	mutex_init(&hf->lock);
	hf->host = host;
	hf->file = file;
	hf->name = name ? host_name_get(name) : NULL;
	hf->native = -1;
	hf->event_fd = -1;
	hf->memory_fd = -1;
	CDS_INIT_LIST_HEAD(&hf->maps);
	file->host = hf;
	file->host_release = host_file_free;
	if (file->ops->mmap) {
		file->host_memory = host_map_memory;
		file->host_settle = host_map_settle;
	}
	if (file->ops->poll)
		file->host_wake = event_file_wake;
	/* If this fails @hf ends with the file. */
	return host_file_object(hf, open_flags);
}

int fdtable_open(struct host *host, struct file *file, struct host_name *name,
		 int open_flags, int *ret_fd)
{
	struct host_file *hf;
	int rc = 0, native = -1;

	if (!file->host)
		rc = fdtable_object(host, file, name, open_flags);
	hf = file->host;
	if (!rc) {
		/* Once it is published its last descriptor may be closed, and it ends. */
		native = hf->native;
		hf->native = -1;
		rc = fdtable_publish(&host->fds, hf, native);
	}
	if (rc) {
		if (native >= 0)
			close(native);
		file_put(file);
		return rc;
	}
	*ret_fd = native;
	return 0;
}

/* The place is a device or, @by_mnt, a mount: each of our objects' file systems has one of both. */
static struct host_file *fdtable_find_at(struct fdtable *fds, bool by_mnt, u64 place, u64 ino)
{
	struct host_file *hf, *found = NULL;

	mutex_lock(&fds->lock);
	cds_list_for_each_entry(hf, fdtable_ino_bucket(fds, ino), by_ino) {
		if (hf->ino == ino && (by_mnt ? hf->mnt : hf->dev) == place) {
			file_get(hf->file);
			found = hf;
			break;
		}
	}
	mutex_unlock(&fds->lock);
	return found;
}

struct host_file *fdtable_find(struct host *host, u64 dev, u64 ino)
{
	return fdtable_find_at(&host->fds, false, dev, ino);
}

/* Take it out of the tables; the caller drops the descriptors' reference. */
static void fdtable_erase(struct fdtable *fds, struct host_file *hf) __must_hold(&fds->lock)
{
	cds_list_del(&hf->by_ino);
	cds_list_del(&hf->by_wd);
	hf->watch->count--;
	fds->count--;
}

static struct host_file *fdtable_find_wd(struct fdtable *fds, struct close_watch *watch, int wd)
	__must_hold(&fds->lock)
{
	struct host_file *hf;

	cds_list_for_each_entry(hf, fdtable_wd_bucket(fds, wd), by_wd) {
		if (hf->wd == wd && hf->watch == watch)
			return hf;
	}
	return NULL;
}

static void fdtable_written(struct host *host, struct close_watch *watch, int wd)
{
	struct host_file *hf;

	mutex_lock(&host->fds.lock);
	hf = fdtable_find_wd(&host->fds, watch, wd);
	if (hf)
		file_get(hf->file);
	mutex_unlock(&host->fds.lock);
	if (!hf)
		return;
	attr_written(hf);
	host_file_put(hf);
}

static void fdtable_closed(struct host *host, struct close_watch *watch, int wd)
{
	struct fdtable *fds = &host->fds;
	struct host_file *found;

	mutex_lock(&fds->lock);
	found = fdtable_find_wd(fds, watch, wd);
	if (found)
		fdtable_erase(fds, found);
	mutex_unlock(&fds->lock);
	if (!found)
		return; /* its first event has told already */
	if (host->opts->trace)
		trace_release(host, found->file->ops->name);
	host_map_end_all(found);
	file_put(found->file);
}

static void fdtable_drain_watch(struct host *host, struct close_watch *watch)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t len;

	while ((len = read(watch->fd, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + len;) {
			struct inotify_event *ev = (struct inotify_event *)p;

			if (ev->mask & IN_MODIFY)
				fdtable_written(host, watch, ev->wd);
			else
				fdtable_closed(host, watch, ev->wd);
			p += sizeof(*ev) + ev->len;
		}
	}
}

void fdtable_drain(struct host *host)
{
	struct fdtable *fds = &host->fds;
	struct epoll_event ev[8];
	int n;

	mutex_lock(&fds->drain_lock);
	do {
		n = epoll_wait(fds->epoll, ev, ARRAY_SIZE(ev), 0);
		for (int i = 0; i < n; i++)
			fdtable_drain_watch(host, ev[i].data.ptr);
	} while (n == ARRAY_SIZE(ev));
	mutex_unlock(&fds->drain_lock);
}

/* @fd in decimal, ending at @end: printf takes longer than some of the system calls here. */
static const char *fd_name(int fd, char *end)
{
	*--end = 0;
	do
		*--end = (char)('0' + fd % 10);
	while (fd /= 10);
	return end;
}

int call_file(struct call *call, int fd, struct host_file **ret_file)
{
	struct host *host = call->host;
	struct stat st;
	char path[48];
	u64 mnt, ino;

	if (fd < 0)
		return -EBADF;
	if (!call->target)
		call->target = target_peek(host, call->req->pid);
	if (call->target) {
		if (fdinfo_ask(call->target, fd, &mnt, &ino)) {
			*ret_file = fdtable_find_at(&host->fds, true, mnt, ino);
			if (*ret_file)
				return 0;
		}
		if (!fstatat(call->target->fd_dir, fd_name(fd, path + sizeof(path)), &st, 0))
			goto found;
		if (target_alive(call->target))
			return -EBADF;
		target_forget(host, call->target);
		target_put(host, call->target);
		call->target = NULL;
	}
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", call->req->pid, fd);
	if (stat(path, &st))
		return -EBADF;
found:
	*ret_file = fdtable_find(host, st.st_dev, st.st_ino);
	return 0;
}

/* ---- numbers of files that commands make ---- */

struct fd_reserved {
	struct cds_list_head node; /* fdtable.reserved */
	pid_t tgid;
	int fd;
};

static struct fd_reserved *fd_reserved_find(struct fdtable *fds, pid_t tgid, int fd)
	__must_hold(&fds->lock)
{
	struct fd_reserved *res;

	cds_list_for_each_entry(res, &fds->reserved, node) {
		if (res->tgid == tgid && res->fd == fd)
			return res;
	}
	return NULL;
}

/* Called with fdtable.lock, which the analysis cannot see through call->host. */
static bool fd_is_free(struct call *call, int fd) __no_lock_analysis
{
	struct stat st;
	char path[16];

	return fstatat(call->target->fd_dir, fd_name(fd, path + sizeof(path)), &st,
		       AT_SYMLINK_NOFOLLOW) &&
	       errno == ENOENT &&
	       !fd_reserved_find(&call->host->fds, call->target->tgid, fd);
}

/*
 * The number must be known before the file exists, and nothing can be closed
 * in another process again.  So only a promise is made here: the program takes
 * low numbers first, those at the top stay free until the file is installed.
 */
int fdtable_reserve(struct call *call, int *ret_fd)
{
	struct fdtable *fds = &call->host->fds;
	struct fd_reserved *res = zalloc(sizeof(*res));
	struct rlimit rlim = { .rlim_cur = fds->high_end };
	int fd;

	if (!res)
		return -ENOMEM;
	res->tgid = call->target->tgid;
	/* It may have lowered its limit since it started. */
	prlimit(call->req->pid, RLIMIT_NOFILE, NULL, &rlim);
	mutex_lock(&fds->lock);
	fd = (int)MIN(rlim.rlim_cur, (rlim_t)fds->high_end) - 1;
	while (fd >= fds->high_base && !fd_is_free(call, fd))
		fd--;
	if (fd >= fds->high_base) {
		res->fd = fd;
		cds_list_add(&res->node, &fds->reserved);
	}
	mutex_unlock(&fds->lock);
	if (fd < fds->high_base) {
		free(res);
		return -EMFILE;
	}
	*ret_fd = fd;
	return 0;
}

void fdtable_unreserve(struct call *call, int fd)
{
	struct fdtable *fds = &call->host->fds;
	struct fd_reserved *res;

	mutex_lock(&fds->lock);
	res = fd_reserved_find(fds, call->target->tgid, fd);
	if (res)
		cds_list_del(&res->node);
	mutex_unlock(&fds->lock);
	free(res);
}
