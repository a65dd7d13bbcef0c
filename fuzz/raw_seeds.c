/* SPDX-License-Identifier: MIT */
/*
 * raw_seeds DIRECTORY - a first corpus for fuzz_raw, which would never guess
 * whole structs: a valid one of each command, about the objects of the scene
 * each input begins with.  Addresses in it hold, because memory of a world is
 * always in the same place.
 */
#include <stdio.h>
#include <string.h>

#include "target.h"

static size_t raw_input(struct caller *caller, unsigned int row, u8 *input)
{
	/* make the scene, in the first context, with the first chunk mapped */
	static const u8 begin[] = { 0, 0, 0 };
	size_t size, n = sizeof(begin);

	memcpy(input, begin, n);
	size = call_struct(caller, row);
	input[n++] = (u8)row;
	input[n++] = (u8)size;
	memcpy(input + n, caller->scratch, size);
	n += size;
	input[n++] = 0; /* the struct's own address */
	input[n++] = 0; /* the first context */
	return n;
}

static void raw_write(struct caller *caller, const char *directory, unsigned int row)
{
	char path[4096];
	u8 input[256];
	FILE *file;
	size_t n;

	n = raw_input(caller, row, input);
	snprintf(path, sizeof(path), "%s/row-%02u", directory, row);
	file = fopen(path, "wb");
	if (!file || fwrite(input, 1, n, file) != n || fclose(file))
		target_fail(path);
}

int main(int argc, char **argv)
{
	struct caller caller = { 0 };
	struct world world;
	const char *wrong;

	if (argc != 2 || world_begin(&world, IOMMUFD_FRAMES_CONTIGUOUS))
		return 2;
	caller_init(&caller, &world, 0);
	/* Bytes that are used up: the ordinary thing everywhere. */
	caller.choice.bytes = (const u8 *)"";
	if (!scene_make(&caller))
		target_fail("no scene");
	for (unsigned int row = 0; row < call_count(); row++)
		if (calls[row].size)
			raw_write(&caller, argv[1], row);
	wrong = world_end(&world);
	if (wrong)
		target_fail(wrong);
	return 0;
}

/* No input is run here. */
void target_input(struct caller *caller)
{
}
