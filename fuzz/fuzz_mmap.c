/* SPDX-License-Identifier: MIT */
/*
 * Pages of contexts: mmap() with any offset, length, protection and flags, and
 * munmap() of wholes and parts, while vIOMMUs with pages come and go and
 * contexts are closed under their mappings.
 */
#include "target.h"

#define STEPS 100

static bool wanted(const struct call *call)
{
	return call->cmd == IOMMU_VIOMMU_ALLOC || call->cmd == IOMMU_DESTROY;
}

void target_input(struct caller *caller)
{
	u32 n;

	scene_make(caller);
	for (u32 i = 0; i < STEPS && !choice_over(&caller->choice); i++) {
		n = choice_below(&caller->choice, 8);
		caller->hostile = choice_rarely(&caller->choice, 4);
		if (n < 4)
			act_maps(caller);
		else if (n < 6)
			target_step(caller, wanted);
		else if (n < 7)
			act_contexts(caller);
		else
			scene_make(caller);
	}
}
