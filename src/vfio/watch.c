/* SPDX-License-Identifier: MIT */
/*
 * An entry is found by its number, never by a pointer out of the kernel: what
 * epoll_wait() gave may have been removed meanwhile.
 */
#include "vfio/watch.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>
#include <urcu/list.h>

#include "base/alloc.h"
#include "base/lock.h"

#define WATCH_STACK (256 * 1024)

/**
 * struct watch - one eventfd
 * @node: in watcher->watches, under its lock
 * All else is immutable.
 */
struct watch {
	struct cds_list_head node;
	struct watcher *watcher;
	u64 number;
	int fd;
	void (*fn)(void *data);
	void *data;
};

/**
 * struct watcher - the thread
 * @stop_fd: readable: the thread is to end
 * @running: whose fn runs
 */
struct watcher {
	pthread_t thread;
	int epoll_fd;
	int stop_fd;
	struct mutex lock;
	pthread_cond_t idle;
	struct cds_list_head watches __guarded_by(&lock);
	u64 numbers __guarded_by(&lock);
	struct watch *running __guarded_by(&lock);
};

/* The count goes to 0; never blocks, though the program's descriptor may be a blocking one. */
static bool eventfd_drain(int fd)
{
	u64 count;
	struct iovec iov = {&count, sizeof(count)};

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) == (ssize_t)sizeof(count);
}

static struct watch *watch_claim(struct watcher *watcher, u64 number)
{
	struct watch *watch, *found = NULL;

	mutex_lock(&watcher->lock);
	cds_list_for_each_entry (watch, &watcher->watches, node) {
		if (watch->number == number)
			found = watch;
	}
	watcher->running = found;
	mutex_unlock(&watcher->lock);
	return found;
}

static void *watcher_thread(void *arg)
{
	struct watcher *watcher = arg;
	struct epoll_event ev;
	struct watch *watch;

	for (;;) {
		if (epoll_wait(watcher->epoll_fd, &ev, 1, -1) != 1)
			continue;
		if (!ev.data.u64)
			return NULL;
		watch = watch_claim(watcher, ev.data.u64);
		if (!watch)
			continue;
		if (eventfd_drain(watch->fd))
			watch->fn(watch->data);
		mutex_lock(&watcher->lock);
		watcher->running = NULL;
		pthread_cond_broadcast(&watcher->idle);
		mutex_unlock(&watcher->lock);
	}
}

static int watcher_listen(struct watcher *watcher, int fd, u32 events, u64 number)
{
	struct epoll_event ev = {.events = events, .data.u64 = number};

	return epoll_ctl(watcher->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -ENOMEM : 0;
}

static int watcher_start(struct watcher *watcher)
{
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WATCH_STACK);
	rc = pthread_create(&watcher->thread, &attr, watcher_thread, watcher);
	pthread_attr_destroy(&attr);
	return rc ? -ENOMEM : 0;
}

int watcher_create(struct watcher **ret_watcher)
{
	struct watcher *watcher = zalloc(sizeof(*watcher));
	int rc = -EMFILE;

	if (!watcher)
		return -ENOMEM;
	mutex_init(&watcher->lock);
	pthread_cond_init(&watcher->idle, NULL);
	CDS_INIT_LIST_HEAD(&watcher->watches);
	watcher->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	watcher->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (watcher->epoll_fd >= 0 && watcher->stop_fd >= 0) {
		rc = watcher_listen(watcher, watcher->stop_fd, EPOLLIN, 0);
		if (!rc)
			rc = watcher_start(watcher);
	}
	if (!rc) {
		*ret_watcher = watcher;
		return 0;
	}
	if (watcher->epoll_fd >= 0)
		close(watcher->epoll_fd);
	if (watcher->stop_fd >= 0)
		close(watcher->stop_fd);
	pthread_cond_destroy(&watcher->idle);
	mutex_destroy(&watcher->lock);
	free(watcher);
	return rc;
}

void watcher_destroy(struct watcher *watcher)
{
	if (!watcher)
		return;
	eventfd_write(watcher->stop_fd, 1);
	pthread_join(watcher->thread, NULL);
	close(watcher->stop_fd);
	close(watcher->epoll_fd);
	pthread_cond_destroy(&watcher->idle);
	mutex_destroy(&watcher->lock);
	free(watcher);
}

int watch_add(struct watcher *watcher, int fd, void (*fn)(void *data), void *data,
	      struct watch **ret_watch)
{
	struct watch *watch = zalloc(sizeof(*watch));
	int rc = -ENOMEM;

	if (!watch)
		goto err_close;
	*watch = (struct watch){.watcher = watcher, .fd = fd, .fn = fn, .data = data};
	mutex_lock(&watcher->lock);
	watch->number = ++watcher->numbers;
	cds_list_add(&watch->node, &watcher->watches);
	mutex_unlock(&watcher->lock);
	/* Edges: a counter somebody else empties at the same moment makes no busy loop. */
	rc = watcher_listen(watcher, fd, EPOLLIN | EPOLLET, watch->number);
	if (!rc) {
		*ret_watch = watch;
		return 0;
	}
	mutex_lock(&watcher->lock);
	cds_list_del(&watch->node);
	mutex_unlock(&watcher->lock);
	free(watch);
err_close:
	close(fd);
	return rc;
}

void watch_remove(struct watch *watch)
{
	struct watcher *watcher;

	if (!watch)
		return;
	watcher = watch->watcher;
	epoll_ctl(watcher->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	mutex_lock(&watcher->lock);
	cds_list_del(&watch->node);
	while (watcher->running == watch)
		mutex_wait(&watcher->lock, &watcher->idle);
	mutex_unlock(&watcher->lock);
	close(watch->fd);
	free(watch);
}
