/* SPDX-License-Identifier: MIT */
/*
 * Structs nobody filled in: any command number with any bytes of any size.
 * Numbers in them may be ids, so there is a scene they may mean.
 */
#include "target.h"

#define STEPS 16

void target_input(struct caller *caller)
{
	if (!choice_below(&caller->choice, 2))
		scene_make(caller);
	for (u32 i = 0; i < STEPS && !choice_over(&caller->choice); i++) {
		call_raw(caller);
		if (world_check(caller->world))
			target_fail("unsound");
	}
}
