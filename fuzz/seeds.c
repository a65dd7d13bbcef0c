/* SPDX-License-Identifier: MIT */
/*
 * seeds DIRECTORY TRIES BYTES - a first corpus for a target: random inputs, of
 * which those are written that make some call answer what none before them
 * made it answer.
 */
#include <stdio.h>
#include <stdlib.h>

#include "target.h"

#define BYTES_MAX 4096
#define ANSWERS 160 /* success, and errnos */

/**
 * struct seen - which rows gave which answers
 * @fresh: how many this input added
 */
struct seen {
	bool answer[256][ANSWERS];
	unsigned int fresh;
};

static void seen_add(void *data, unsigned int row, long rc)
{
	struct seen *seen = data;
	long answer = rc < 0 ? -rc : 0;
	bool *known;

	if (answer >= ANSWERS)
		return;
	known = &seen->answer[row % 256][answer];
	seen->fresh += !*known;
	*known = true;
}

static void write_input(const char *directory, unsigned int n, const u8 *input, size_t size)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/seed-%03u", directory, n);
	file = fopen(path, "wb");
	if (!file || fwrite(input, 1, size, file) != size || fclose(file))
		target_fail(path);
}

int main(int argc, char **argv)
{
	static u8 input[BYTES_MAX];
	static struct seen seen;
	struct choice choice, done;
	unsigned int written = 0;
	unsigned long tries, bytes;

	if (argc != 4) {
		fprintf(stderr, "usage: seeds DIRECTORY TRIES BYTES\n");
		return 2;
	}
	tries = strtoul(argv[2], NULL, 0);
	bytes = MIN(strtoul(argv[3], NULL, 0), (unsigned long)BYTES_MAX);
	for (unsigned long i = 0; i < tries; i++) {
		seen.fresh = 0;
		choice = (struct choice){
			.state = (i + 1) * 0x9e3779b97f4a7c15ULL,
			.record = input,
			.room = bytes,
		};
		target_run(&choice, seen_add, &seen, &done);
		if (seen.fresh)
			write_input(argv[1], ++written, input, done.recorded);
	}
	printf("%u of %lu inputs kept\n", written, tries);
	return 0;
}
