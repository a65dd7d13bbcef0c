/* SPDX-License-Identifier: MIT */
/*
 * cmocka with assertions for every thread.
 *
 * One that fails jumps back to its case, which only the case's own thread can do: in any other
 * thread it ends the process without a word.  Here it says at once where it stands and what it
 * saw, and in another thread ends the process by abort().
 */
#ifndef TESTS_CMOCKA_H
#define TESTS_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include_next <cmocka.h>

static inline void thread_check(bool good, const char *what, unsigned long long a,
				unsigned long long b, const char *file, int line)
{
	if (good)
		return;
	fprintf(stderr, "%s:%d: not so: %s (%#llx, %#llx)\n", file, line, what, a, b);
	if (gettid() != getpid())
		abort();
}

static inline void thread_assert_true(unsigned long long c, const char *what, const char *file,
				      int line)
{
	thread_check(c, what, c, 1, file, line);
	_assert_true(c, what, file, line);
}

static inline void thread_assert_int_equal(unsigned long long a, unsigned long long b,
					   const char *file, int line)
{
	thread_check(a == b, "equal", a, b, file, line);
	_assert_int_equal(a, b, file, line);
}

static inline void thread_assert_int_not_equal(unsigned long long a, unsigned long long b,
					       const char *file, int line)
{
	thread_check(a != b, "not equal", a, b, file, line);
	_assert_int_not_equal(a, b, file, line);
}

static inline void thread_assert_in_range(unsigned long long value, unsigned long long min,
					  unsigned long long max, const char *file, int line)
{
	thread_check(value >= min, "at least", value, min, file, line);
	thread_check(value <= max, "at most", value, max, file, line);
	_assert_in_range(value, min, max, file, line);
}

static inline void thread_assert_string_equal(const char *a, const char *b, const char *file,
					      int line)
{
	thread_check(!strcmp(a, b), a, 0, 0, file, line);
	_assert_string_equal(a, b, file, line);
}

static inline void thread_assert_memory_equal(const void *a, const void *b, size_t size,
					      const char *file, int line)
{
	thread_check(!memcmp(a, b, size), "the same bytes", 0, size, file, line);
	_assert_memory_equal(a, b, size, file, line);
}

static inline void thread_fail(const char *file, int line)
{
	thread_check(false, "got here", 0, 0, file, line);
	_fail(file, line);
}

/* What the macros are made of. */
#define _assert_true thread_assert_true
#define _assert_int_equal thread_assert_int_equal
#define _assert_int_not_equal thread_assert_int_not_equal
#define _assert_in_range thread_assert_in_range
#define _assert_string_equal thread_assert_string_equal
#define _assert_memory_equal thread_assert_memory_equal
#define _fail thread_fail

#endif
