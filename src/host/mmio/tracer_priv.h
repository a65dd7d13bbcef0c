/* SPDX-License-Identifier: MIT */
/*
 * What the tracer's thread keeps, and whom it traces (seize.c).
 */
#ifndef HOST_MMIO_TRACER_PRIV_H
#define HOST_MMIO_TRACER_PRIV_H

#include <signal.h>
#include <time.h>
#include <urcu/list.h>

#include "base/lock.h"
#include "host/mmio/pin.h"
#include "host/mmio/tracee.h"
#include "host/mmio/tracer.h"

#define TRACEE_BUCKETS 64

/** struct tracee - a thread we trace; the tracer's thread only */
struct tracee {
	struct cds_list_head node;
	pid_t tid, tgid;
	struct pin_pace pace;
};

/**
 * struct tracer
 * @lock: requests and @wait; @answered with it
 * @wait_lock: who waits for children, if not the thread
 * @waits: the thread does, from now on; under @wait_lock
 */
struct tracer {
	struct host *host;
	pthread_t thread;
	struct mutex lock;
	pthread_cond_t answered;
	struct cds_list_head requests __guarded_by(&lock);
	bool started __guarded_by(&lock);
	_Atomic bool stop;
	struct mutex wait_lock;
	bool waits __guarded_by(&wait_lock);
	bool traces_program __guarded_by(&wait_lock);
	bool program_stopped; /* the tracer's thread only */
	struct tracer_wait wait __guarded_by(&lock);
	int event_fd;
	_Atomic u64 generation; /* of what programs map */
	struct cds_list_head tracees[TRACEE_BUCKETS];
	struct tracee_maps maps;
	struct pins pins;
	timer_t timer;   /* wakes the thread while anybody is pinned */
	bool has_timer;  /* else nobody is; it and the next: the tracer's thread only */
	bool ticking;
};

/* seize.c, for the tracer's thread */

struct tracee *tracee_find(struct tracer *tracer, pid_t tid);
/** tracee_add() - unless it is there; 0, -ENOMEM */
int tracee_add(struct tracer *tracer, pid_t tid);
/** tracee_remove() - its number may mean another process soon; unknown is a no-op */
void tracee_remove(struct tracer *tracer, pid_t tid);
/** tracee_tgid() - the process of thread @tid, or 0: it has ended */
pid_t tracee_tgid(pid_t tid);
/**
 * tracer_seize() - every thread of the process of @tid
 * Return: 0, -EPERM it has another tracer or forbids it, -ESRCH, -ENOMEM.
 */
int tracer_seize(struct tracer *tracer, pid_t tid);

#endif
