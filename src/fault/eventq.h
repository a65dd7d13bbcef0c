/* SPDX-License-Identifier: MIT */
/*
 * Queues of events that a program reads from a file: what fault queues and
 * vIOMMU event queues have in common.  A queue is an object; its file is a
 * second thing that keeps the object (a users reference) and the context
 * alive and may go first: then the queue stays and fills, unread.
 *
 *	eventq_init()     in a fresh object
 *	eventq_open()     descriptor and file, which the program does not see yet
 *	ucmd_respond()    the last step that can fail
 *	eventq_install()  or eventq_cancel()
 *
 * Lock: eventq->lock, a leaf but for the way in's own lock in file_wake().
 */
#ifndef FAULT_EVENTQ_H
#define FAULT_EVENTQ_H

#include <urcu/list.h>

#include "core/object.h"

/**
 * struct iommufd_eventq - embedded at the start of the kind's object
 * @ctx: immutable; kept open by @file, not by the object
 * @lock: short: never held over a copy to the program
 * @deliver: what has not been read, oldest first; nodes of the kind's own structs
 * @file: NULL before eventq_open() and after the last close
 * @readable: @deliver is not empty; written under @lock, read by poll() without
 */
struct iommufd_eventq {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct mutex lock;
	struct cds_list_head deliver __guarded_by(&lock);
	struct file *file __guarded_by(&lock);
	_Atomic bool readable;
};

/** eventq_init() / eventq_fini() - of an object just allocated / about to be freed, with no file */
void eventq_init(struct iommufd_eventq *eventq, struct iommufd_ctx *ctx);
void eventq_fini(struct iommufd_eventq *eventq);

/**
 * eventq_open() - reserve a descriptor of the current task and make the queue's file
 * @ops: of the kind; release is eventq_release(), poll calls eventq_poll()
 * @ret_fd: the number; set on success only
 *
 * Return: 0, -EMFILE, -ENFILE, -ENOMEM.
 */
int eventq_open(struct iommufd_eventq *eventq, const struct file_ops *ops, int *ret_fd);

/**
 * eventq_install() - the program has the descriptor from here on; cannot fail
 *
 * To be done before anybody can find the queue and add events: it gives the file what
 * eventq_added() wakes.  The program may close it at once; the object's own reference remains.
 */
void eventq_install(struct iommufd_eventq *eventq, int fd);
/** eventq_cancel() - the other way out: the file is gone when it returns */
void eventq_cancel(struct iommufd_eventq *eventq, int fd);

/** eventq_added() - after something was added to @deliver: whoever waits is woken each time */
void eventq_added(struct iommufd_eventq *eventq) __must_hold(&eventq->lock);
/** eventq_changed() - after any other change of @deliver: readiness may end */
void eventq_changed(struct iommufd_eventq *eventq) __must_hold(&eventq->lock);

/* For the kind's file_ops. */
struct iommufd_eventq *eventq_from_file(struct file *file);
/** eventq_poll() - POLLIN | POLLRDNORM or 0; takes no lock */
unsigned int eventq_poll(struct file *file);
void eventq_release(struct file *file);

/** eventq_check() - NULL if sound, else what is wrong */
const char *eventq_check(struct iommufd_eventq *eventq);

#endif
