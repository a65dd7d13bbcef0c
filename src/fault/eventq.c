/* SPDX-License-Identifier: MIT */
/*
 * The life of an event queue's file, and its readiness.
 *
 * A wake runs under the queue's lock, so that the file, which forgets itself
 * under the same lock when it is released, can not go meanwhile.  The way in
 * asks the poll op from inside the wake; therefore poll takes no lock.
 */
#include "fault/eventq.h"

#include <fcntl.h>
#include <poll.h>

#include "base/alloc.h"
#include "mem/task.h"

/** struct eventq_file - the open file; @eventq: users reference, immutable */
struct eventq_file {
	struct file file;
	struct iommufd_eventq *eventq;
};

void eventq_init(struct iommufd_eventq *eventq, struct iommufd_ctx *ctx)
{
	eventq->ctx = ctx;
	mutex_init(&eventq->lock);
	CDS_INIT_LIST_HEAD(&eventq->deliver);
	eventq->file = NULL;
	atomic_init(&eventq->readable, false);
}

void eventq_fini(struct iommufd_eventq *eventq)
{
	assert(!eventq->file && cds_list_empty(&eventq->deliver));
	mutex_destroy(&eventq->lock);
}

/* ---- the file ---- */

int eventq_open(struct iommufd_eventq *eventq, const struct file_ops *ops, int *ret_fd)
{
	struct eventq_file *ef;
	int fd, rc;

	ef = zalloc(sizeof(*ef));
	if (!ef)
		return -ENOMEM;
	rc = task_current->ops->fd_reserve(task_current, O_RDWR | O_CLOEXEC, &fd);
	if (rc) {
		free(ef);
		return rc;
	}
	file_init(&ef->file, ops, eventq->ctx->system, O_RDWR | O_CLOEXEC);
	ef->eventq = eventq;
	object_hold(&eventq->obj); /* both pair with eventq_release() */
	ctx_get(eventq->ctx);
	mutex_lock(&eventq->lock);
	eventq->file = &ef->file;
	mutex_unlock(&eventq->lock);
	*ret_fd = fd;
	return 0;
}

static struct file *eventq_file(struct iommufd_eventq *eventq)
{
	struct file *file;

	mutex_lock(&eventq->lock);
	file = eventq->file;
	mutex_unlock(&eventq->lock);
	return file;
}

void eventq_install(struct iommufd_eventq *eventq, int fd)
{
	task_current->ops->fd_install(task_current, fd, eventq_file(eventq));
}

void eventq_cancel(struct iommufd_eventq *eventq, int fd)
{
	file_put(eventq_file(eventq));
	task_current->ops->fd_unreserve(task_current, fd);
}

struct iommufd_eventq *eventq_from_file(struct file *file)
{
	return container_of(file, struct eventq_file, file)->eventq;
}

void eventq_release(struct file *file)
{
	struct eventq_file *ef = container_of(file, struct eventq_file, file);
	struct iommufd_eventq *eventq = ef->eventq;
	struct iommufd_ctx *ctx = eventq->ctx;

	mutex_lock(&eventq->lock);
	eventq->file = NULL;
	mutex_unlock(&eventq->lock);
	/* From here on DESTROY can have the queue. */
	object_release(&eventq->obj);
	free(ef);
	/* May be the context's last holder, and then end the queue, too. */
	ctx_put(ctx);
}

/* ---- readiness ---- */

static void eventq_wake(struct iommufd_eventq *eventq, bool readable)
	__must_hold(&eventq->lock)
{
	atomic_store_explicit(&eventq->readable, readable, memory_order_release);
	if (eventq->file)
		file_wake(eventq->file);
}

/* Also if there was something before: who waits for edges gets one per event. */
void eventq_added(struct iommufd_eventq *eventq)
{
	mutex_assert_held(&eventq->lock);
	eventq_wake(eventq, true);
}

void eventq_changed(struct iommufd_eventq *eventq)
{
	bool readable = !cds_list_empty(&eventq->deliver);

	mutex_assert_held(&eventq->lock);
	if (readable != atomic_load_explicit(&eventq->readable, memory_order_relaxed))
		eventq_wake(eventq, readable);
}

unsigned int eventq_poll(struct file *file)
{
	struct iommufd_eventq *eventq = eventq_from_file(file);

	return atomic_load_explicit(&eventq->readable, memory_order_acquire) ?
		       POLLIN | POLLRDNORM : 0;
}

const char *eventq_check(struct iommufd_eventq *eventq)
{
	bool readable;

	mutex_lock(&eventq->lock);
	readable = atomic_load_explicit(&eventq->readable, memory_order_relaxed);
	readable = readable == !cds_list_empty(&eventq->deliver);
	mutex_unlock(&eventq->lock);
	return readable ? NULL : "readiness differs from what is queued";
}
