/* SPDX-License-Identifier: MIT */
/*
 * Allocation with a fault point in front.  Code of the library allocates with
 * these and with nothing else, so a failure sweep reaches every allocation.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

#define ALLOC_SMALL 1024
/* A size may be a program's: more than this Linux's kvmalloc() does not even look for. */
#define ALLOC_MAX ((size_t)INT_MAX)

/** zalloc() - zeroed memory of @size bytes, or NULL; release with free() */
static inline void *zalloc(size_t size)
{
	void *ptr;

	if (fault_point("alloc"))
		return NULL;
	/* calloc() passes by the thread's cache of free chunks, where malloc() has one. */
	if (size > ALLOC_SMALL)
		return size > ALLOC_MAX ? NULL : calloc(1, size);
	ptr = malloc(size);
	/* What the compiler knows it makes a calloc() again, or a slow string instruction. */
	__asm__("" : "+r"(ptr), "+r"(size));
	return ptr ? memset(ptr, 0, size) : NULL;
}

/** zalloc_array() - zeroed memory for @n items of @size bytes, or NULL (also on overflow) */
static inline void *zalloc_array(size_t n, size_t size)
{
	size_t bytes;

	if (fault_point("alloc") || __builtin_mul_overflow(n, size, &bytes) || bytes > ALLOC_MAX)
		return NULL;
	return calloc(n, size);
}

/** alloc_uninit() - memory of @size bytes, contents undefined, or NULL */
static inline void *alloc_uninit(size_t size)
{
	if (fault_point("alloc") || size > ALLOC_MAX)
		return NULL;
	return malloc(size);
}

#endif
