/* SPDX-License-Identifier: MIT */
/*
 * Programs: sequences of all commands and of all else a program does, on the
 * objects made so far, with failures armed now and then.
 */
#include "target.h"

#define STEPS 300

void target_input(struct caller *caller)
{
	if (!choice_below(&caller->choice, 2))
		scene_make(caller);
	for (u32 i = 0; i < STEPS && !choice_over(&caller->choice); i++) {
		program_step(caller);
		if (world_check(caller->world))
			target_fail("unsound");
	}
}
