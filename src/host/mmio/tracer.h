/* SPDX-License-Identifier: MIT */
/*
 * Mappings of the program's that have no memory behind them: each access of it
 * raises SIGBUS, which a tracer thread of the supervisor sees first, carries out on
 * the file, and takes away.
 *
 * A process is traced from its first such mmap() until it ends or executes another
 * program, and so are the processes it forks.  It can have only one tracer: a debugger cannot
 * attach to it, and a process that has one already, or forbids it (PR_SET_DUMPABLE), is refused.
 */
#ifndef HOST_MMIO_TRACER_H
#define HOST_MMIO_TRACER_H

#include <signal.h>

#include "base/types.h"

struct host;
struct tracer;

/**
 * struct tracer_wait - what the tracer's thread met while it waited in the main thread's place
 * @stopped, @continued, @ended: of the program; @status: as wait() has it
 */
struct tracer_wait {
	bool stopped, continued, ended;
	int status;
};

/** tracer_create() - no thread yet; 0, -errno */
int tracer_create(struct host *host);
/** tracer_destroy() - nobody is left to be traced; NULL is a no-op */
void tracer_destroy(struct tracer *tracer);

/**
 * tracer_attach() - trace the process of thread @tid from now on
 * Return: 0 (also if it is), -EPERM it has another tracer or forbids it, -ESRCH, -ENOMEM,
 * -EOPNOTSUPP on other processors than x86-64.
 */
int tracer_attach(struct tracer *tracer, pid_t tid);
/** tracer_release_affinity() - thread @tid's affinity is asked for: undo what we have done to it */
void tracer_release_affinity(struct tracer *tracer, pid_t tid);
/** tracer_forget_maps() - some process maps something; its mappings must be looked at again */
void tracer_forget_maps(struct tracer *tracer);

/**
 * tracer_lock_wait() - may this thread wait for children?
 * Only one thread may, as a tracer and a parent in one process are told the same things once.
 * Return: true, until tracer_unlock_wait(); false: the tracer does and tells by tracer_event_fd().
 */
bool tracer_lock_wait(struct tracer *tracer);
void tracer_unlock_wait(struct tracer *tracer);
/** tracer_saw_continue() - has the program gone on after a stop, without the tracer seeing it? */
bool tracer_saw_continue(struct tracer *tracer);
/** tracer_event_fd() - readable when there is something for tracer_take_wait() */
int tracer_event_fd(const struct tracer *tracer);
void tracer_take_wait(struct tracer *tracer, struct tracer_wait *ret);

#endif
