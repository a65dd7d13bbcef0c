/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target is what one input does in a fresh world.  Each is a file that
 * defines target_input(); the program around it is libFuzzer's, the one that
 * replays a corpus (replay.c), or the one that makes a first corpus (seeds.c).
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include "calls.h"

/** target_input() - use the choice up; whatever must never happen aborts */
void target_input(struct caller *caller);

/**
 * target_run() - target_input() in a world of its own; aborts if something is left of it
 * @outcome, @data: of the world, may be NULL
 */
void target_run(const struct choice *choice,
		void (*outcome)(void *data, unsigned int row, long rc), void *data,
		struct choice *ret_choice);

/* What a program needs of libFuzzer's interface. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** target_step() - one call of a row @wanted accepts, with the world checked after it */
long target_step(struct caller *caller, bool (*wanted)(const struct call *call));

/** target_fail() - print and abort */
void target_fail(const char *what) __attribute__((noreturn));

#endif
