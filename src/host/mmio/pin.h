/* SPDX-License-Identifier: MIT */
/*
 * Keeping a thread that touches registers in quick succession on its tracer's
 * processor: to wake a sleeping processor takes longer than all the rest of an
 * access.  What the program knows of affinities does not change by it: a thread is
 * let go before the program looks at them or sets them, and those it makes meanwhile
 * begin with what it had.
 */
#ifndef HOST_MMIO_PIN_H
#define HOST_MMIO_PIN_H

#include <sched.h>

#include "base/lock.h"

#define PINS_MAX 32

/** struct pin - one thread; @tid 0: free.  Under pins.lock */
struct pin {
	pid_t tid;
	u64 last_ns;  /* its last access */
	cpu_set_t saved;
};

/**
 * struct pins - of one tracer
 * @lock: leaf
 * @cpu: where all of them are, and the tracer; -1: it is free to move
 */
struct pins {
	struct mutex lock;
	struct pin pins[PINS_MAX] __guarded_by(&lock);
	u32 count __guarded_by(&lock);
	int cpu __guarded_by(&lock);
	cpu_set_t own; /* the tracer's; its thread only */
};

/** struct pin_pace - how a thread's accesses follow each other; the tracer's thread only */
struct pin_pace {
	u64 last_ns;
	u32 quick; /* that came soon after the one before */
};

void pins_init(struct pins *pins);
void pins_fini(struct pins *pins);
/**
 * pins_access() - thread @tid is about to go on after an access; the tracer's thread.  Is it held?
 */
bool pins_access(struct pins *pins, pid_t tid, struct pin_pace *pace);
/** pins_release() - let go of thread @tid, if it is held; any thread */
void pins_release(struct pins *pins, pid_t tid);
/** pins_inherit() - @child was made by @parent, which may be held: it shall not be */
void pins_inherit(struct pins *pins, pid_t parent, pid_t child);
/** pins_expire() - let go of whom has been quiet; the tracer's thread.  Are any left? */
bool pins_expire(struct pins *pins);

#endif
