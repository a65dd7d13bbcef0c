/* SPDX-License-Identifier: MIT */
/*
 * The small vocabulary every room shares: fixed-width integers under the
 * kernel's short names, bit helpers, and range arithmetic that cannot wrap
 * unnoticed.  Inside the library a range is (first, last), last inclusive;
 * (start, length) is turned into it once, at the door, by range_last().
 */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <iommufd/types.h> /* u8 .. u64, container_of, IOMMUFD_EXPORT */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT_ULL(n) (1ULL << (n))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + (a) - 1, a)
/* Each argument is looked at once: it may be a call. */
#define MIN(a, b) PICK_(a, b, <, __COUNTER__)
#define MAX(a, b) PICK_(a, b, >, __COUNTER__)
#define PICK_(a, b, op, n) PICK__(a, b, op, n)
#define PICK__(a, b, op, n)                                                                        \
	({                                                                                         \
		__typeof__((a) + 0) pick_a_##n = (a);                                              \
		__typeof__((b) + 0) pick_b_##n = (b);                                              \
		pick_a_##n op pick_b_##n ? pick_a_##n : pick_b_##n;                                \
	})
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* The CPU page of every program we serve (x86-64 and the 4K arm64 kernels). */
#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

/**
 * range_last() - turn (start, length) into an inclusive last, once
 * @start: first byte
 * @length: number of bytes
 * @ret_last: set on success only
 *
 * Return: 0, -EINVAL for no bytes, -EOVERFLOW if the range wraps.
 */
static inline int range_last(u64 start, u64 length, u64 *ret_last)
{
	u64 last;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;
	*ret_last = last;
	return 0;
}

static inline bool ranges_overlap(u64 first_a, u64 last_a, u64 first_b, u64 last_b)
{
	return first_a <= last_b && first_b <= last_a;
}

static inline bool is_power_of_2(u64 x)
{
	return x && !(x & (x - 1));
}

#endif
