/* SPDX-License-Identifier: MIT */
/*
 * replay FILE|DIRECTORY... - run a target on inputs that are kept, one test
 * case each.  Needs no fuzzer, so every build can do it.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "target.h"

#define INPUT_MAX 65536

static unsigned int cases;

static void replay_file(const char *path)
{
	static u8 input[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file)
		target_fail(path);
	size = fread(input, 1, sizeof(input), file);
	fclose(file);
	printf("# %s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(input, size);
	printf("ok %u - %s\n", ++cases, path);
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void replay_directory(const char *path)
{
	struct dirent **entries;
	char name[PATH_MAX];
	int i, n;

	n = scandir(path, &entries, is_input, alphasort);
	if (n < 0)
		target_fail(path);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		replay_file(name);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	struct stat st;

	for (int i = 1; i < argc; i++) {
		if (stat(argv[i], &st))
			target_fail(argv[i]);
		if (S_ISDIR(st.st_mode))
			replay_directory(argv[i]);
		else
			replay_file(argv[i]);
	}
	printf("1..%u\n", cases);
	return 0;
}
