/* SPDX-License-Identifier: MIT */
/*
 * Around every target: a fresh world for each input, and nothing left of it
 * afterwards.  An input never depends on those before it.
 */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/system.h"

void target_fail(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

void target_run(const struct choice *choice,
		void (*outcome)(void *data, unsigned int row, long rc), void *data,
		struct choice *ret_choice)
{
	struct caller caller = { 0 };
	struct world world;
	const char *wrong;

	if (world_begin(&world, IOMMUFD_FRAMES_CONTIGUOUS))
		target_fail("no world");
	world.outcome = outcome;
	world.outcome_data = data;
	/* Who waits longer than a moment waits for ever: only this thread is there. */
	atomic_store(&world.system->object_wait_ms, 1000);
	caller_init(&caller, &world, 0);
	caller.choice = *choice;
	target_input(&caller);
	if (ret_choice)
		*ret_choice = caller.choice;
	wrong = world_end(&world);
	if (wrong)
		target_fail(wrong);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct choice choice = { .bytes = data, .left = size };

	if (size)
		target_run(&choice, NULL, NULL, NULL);
	return 0;
}

long target_step(struct caller *caller, bool (*wanted)(const struct call *call))
{
	unsigned int row = choice_byte(&caller->choice) % call_count();
	long rc;

	while (!wanted(&calls[row]))
		row = (row + 1) % call_count();
	rc = call_run(caller, row);
	if (world_check(caller->world))
		target_fail("unsound");
	return rc;
}
