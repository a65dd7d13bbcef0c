/* SPDX-License-Identifier: MIT */
/*
 * Where decisions come from.  All that a random program does is decided by
 * numbers below a limit; they are taken from the bytes of a fuzzer's input, or
 * made from a seed, and then the same bytes can be written down: what a seed
 * did becomes an input.
 *
 * When bytes run out every answer is 0, so 0 means the ordinary thing, and one
 * byte decides what can be decided by one: inputs stay short and small changes
 * of them are small changes of the program.
 */
#ifndef FUZZ_CHOICE_H
#define FUZZ_CHOICE_H

#include "base/types.h"

/**
 * struct choice - owned by one thread
 * @bytes, @left: the input; NULL: make them from @state
 * @record, @room: if not NULL, gets the bytes made
 */
struct choice {
	const u8 *bytes;
	size_t left;
	u64 state;
	u8 *record;
	size_t room, recorded;
};

/** choice_over() - has the input been used up?  Never for a seed that is not recorded */
static inline bool choice_over(const struct choice *choice)
{
	if (choice->bytes)
		return !choice->left;
	return choice->record && choice->recorded == choice->room;
}

static inline u8 choice_byte(struct choice *choice)
{
	u8 byte;

	if (choice->bytes) {
		if (!choice->left)
			return 0;
		choice->left--;
		return *choice->bytes++;
	}
	/* xorshift64*: good enough and the same everywhere */
	choice->state ^= choice->state >> 12;
	choice->state ^= choice->state << 25;
	choice->state ^= choice->state >> 27;
	byte = (u8)((choice->state * 0x2545f4914f6cdd1dULL) >> 56);
	if (choice->record) {
		if (choice->recorded == choice->room)
			return 0;
		choice->record[choice->recorded++] = byte;
	}
	return byte;
}

/** choice_raw() - @n bytes, at most 8, as a little-endian number */
static inline u64 choice_raw(struct choice *choice, unsigned int n)
{
	u64 value = 0;

	for (unsigned int i = 0; i < n; i++)
		value |= (u64)choice_byte(choice) << (8 * i);
	return value;
}

/** choice_below() - 0 .. @limit - 1 */
static inline u32 choice_below(struct choice *choice, u32 limit)
{
	return (u32)(choice_raw(choice, limit > 256 ? 4 : 1) % limit);
}

/** choice_rarely() - true once in @n; the other answer is the ordinary one */
static inline bool choice_rarely(struct choice *choice, u32 n)
{
	return choice_below(choice, n) == n - 1;
}

#endif
