/* SPDX-License-Identifier: MIT */
/*
 * A wall clock that is set while somebody waits by it: a test that includes this file once says
 * by how much it differs when it is read from what the kernel wakes by.
 */
#ifndef TESTS_SET_CLOCK_H
#define TESTS_SET_CLOCK_H

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic long clock_ahead; /* seconds */

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *t)
{
	long rc = syscall(SYS_clock_gettime, clock, t);

	if (!rc && clock == CLOCK_REALTIME)
		t->tv_sec += atomic_load(&clock_ahead);
	return (int)rc;
}

#endif
