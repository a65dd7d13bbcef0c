/* SPDX-License-Identifier: MIT */
/*
 * Repeatable random numbers for the tests of this room (splitmix64), and the
 * cmocka headers in the order they want.
 */
#ifndef TEST_BASE_RANDOM_H
#define TEST_BASE_RANDOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/types.h"

static inline u64 random_next(u64 *state)
{
	u64 x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline u64 random_below(u64 *state, u64 bound)
{
	return random_next(state) % bound;
}

static inline void assert_sound(const char *wrong)
{
	if (wrong)
		fail_msg("%s", wrong);
}

#endif
