/* SPDX-License-Identifier: MIT */
/* Threads kept near their tracer; see pin.h. */
#include "host/mmio/pin.h"

#include <string.h>
#include <time.h>

#define QUICK_NS 100000  /* accesses this close follow each other quickly ... */
#define QUICK_MANY 8     /* ... and so many of them are worth it */
#define QUIET_NS 1000000 /* after this it is over */

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void pins_init(struct pins *pins)
{
	mutex_init(&pins->lock);
	pins->cpu = -1;
}

void pins_fini(struct pins *pins)
{
	mutex_destroy(&pins->lock);
}

static struct pin *pin_find(struct pins *pins, pid_t tid) __must_hold(&pins->lock)
{
	for (size_t i = 0; i < PINS_MAX; i++) {
		if (pins->pins[i].tid == tid)
			return &pins->pins[i];
	}
	return NULL;
}

static void pin_drop(struct pins *pins, struct pin *pin) __must_hold(&pins->lock)
{
	cpu_set_t now;

	/* Not what somebody else has set meanwhile. */
	if (!sched_getaffinity(pin->tid, sizeof(now), &now) && CPU_COUNT(&now) == 1 &&
	    CPU_ISSET(pins->cpu, &now))
		sched_setaffinity(pin->tid, sizeof(pin->saved), &pin->saved);
	pin->tid = 0;
	pins->count--;
}

/* The tracer stays where it is, so that all meet there. */
static bool pins_settle(struct pins *pins) __must_hold(&pins->lock)
{
	cpu_set_t one;
	int cpu;

	if (pins->cpu >= 0)
		return true;
	cpu = sched_getcpu();
	if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(pins->own), &pins->own))
		return false;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		return false;
	pins->cpu = cpu;
	return true;
}

static void pin_add(struct pins *pins, pid_t tid, u64 now) __must_hold(&pins->lock)
{
	struct pin *pin = pin_find(pins, 0);
	cpu_set_t one;

	if (!pin || !pins_settle(pins) || sched_getaffinity(tid, sizeof(pin->saved), &pin->saved) ||
	    !CPU_ISSET(pins->cpu, &pin->saved))
		return;
	CPU_ZERO(&one);
	CPU_SET(pins->cpu, &one);
	if (sched_setaffinity(tid, sizeof(one), &one))
		return;
	pin->tid = tid;
	pin->last_ns = now;
	pins->count++;
}

bool pins_access(struct pins *pins, pid_t tid, struct pin_pace *pace)
{
	u64 now = now_ns();
	struct pin *pin;
	bool held;

	pace->quick = now - pace->last_ns < QUICK_NS ? pace->quick + 1 : 0;
	pace->last_ns = now;
	if (pace->quick < QUICK_MANY)
		return false;
	mutex_lock(&pins->lock);
	pin = pin_find(pins, tid);
	if (pin)
		pin->last_ns = now;
	else
		pin_add(pins, tid, now);
	held = pins->count > 0;
	mutex_unlock(&pins->lock);
	return held;
}

void pins_release(struct pins *pins, pid_t tid)
{
	struct pin *pin;

	mutex_lock(&pins->lock);
	pin = tid ? pin_find(pins, tid) : NULL;
	if (pin)
		pin_drop(pins, pin);
	mutex_unlock(&pins->lock);
}

void pins_inherit(struct pins *pins, pid_t parent, pid_t child)
{
	struct pin *pin;

	mutex_lock(&pins->lock);
	pin = pin_find(pins, parent);
	if (pin)
		sched_setaffinity(child, sizeof(pin->saved), &pin->saved);
	mutex_unlock(&pins->lock);
}

bool pins_expire(struct pins *pins)
{
	u64 now = now_ns();
	bool any;

	mutex_lock(&pins->lock);
	for (size_t i = 0; i < PINS_MAX && pins->count; i++) {
		struct pin *pin = &pins->pins[i];

		if (pin->tid && now - pin->last_ns > QUIET_NS)
			pin_drop(pins, pin);
	}
	any = pins->count;
	if (!any && pins->cpu >= 0) {
		sched_setaffinity(0, sizeof(pins->own), &pins->own);
		pins->cpu = -1;
	}
	mutex_unlock(&pins->lock);
	return any;
}
