/* SPDX-License-Identifier: MIT */
#include "vfio/raise.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/types.h"

#define RAISER_EVENTS 128 /* that are kept until somebody makes room */
#define RAISER_TRIES  16

void raiser_init(struct raiser *raiser)
{
	*raiser = (struct raiser){.fd = memfd_create("interrupts", MFD_CLOEXEC)};
	mutex_init(&raiser->lock);
}

/*
 * The end of a context waits until every processor has looked away from it, tens of milliseconds:
 * a machine that raises nothing has none.
 */
static void raiser_start(struct raiser *raiser)
{
	mutex_lock(&raiser->lock);
	if (!atomic_load_explicit(&raiser->started, memory_order_relaxed) && raiser->fd >= 0 &&
	    syscall(SYS_io_setup, RAISER_EVENTS, &raiser->aio)) {
		close(raiser->fd);
		raiser->fd = -1;
	}
	atomic_store_explicit(&raiser->started, true, memory_order_release);
	mutex_unlock(&raiser->lock);
}

void raiser_fini(struct raiser *raiser)
{
	if (raiser->aio)
		syscall(SYS_io_destroy, raiser->aio);
	if (raiser->fd >= 0)
		close(raiser->fd);
	mutex_destroy(&raiser->lock);
}

/* Nobody wants to know how reads of nothing ended. */
static void raiser_make_room(struct raiser *raiser)
{
	struct io_event events[RAISER_EVENTS];
	struct timespec none = {0};

	syscall(SYS_io_getevents, raiser->aio, 0L, (long)RAISER_EVENTS, events, &none);
}

static bool raiser_submit(struct raiser *raiser, int eventfd)
{
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (u32)raiser->fd,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (u32)eventfd,
	};
	struct iocb *list = &iocb;

	for (int i = 0; i < RAISER_TRIES; i++) {
		if (syscall(SYS_io_submit, raiser->aio, 1L, &list) == 1)
			return true;
		if (errno != EAGAIN)
			return false;
		raiser_make_room(raiser);
	}
	return false;
}

void raiser_raise(struct raiser *raiser, int eventfd)
{
	struct pollfd pfd = {.fd = eventfd, .events = POLLOUT};

	if (!atomic_load_explicit(&raiser->started, memory_order_acquire))
		raiser_start(raiser);
	if (raiser->fd >= 0 && raiser_submit(raiser, eventfd))
		return;
	/* The best there is: it is not full now. */
	if (poll(&pfd, 1, 0) == 1 && pfd.revents & POLLOUT)
		eventfd_write(eventfd, 1);
}
