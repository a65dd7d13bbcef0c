/* SPDX-License-Identifier: MIT */
/*
 * launcher [WORD...] -- PROGRAM [ARG...]: preload_run() as a command of its own.
 * Words are those of the environment variable.
 */
#include <stdio.h>
#include <string.h>

#include "host/preload/launch.h"

static void to_stderr(void *data, enum iommufd_log_level level, const char *line)
{
	fprintf(stderr, "launcher: %s\n", line);
}

int main(int argc, char **argv)
{
	struct preload_opts opts = { .log = { .fn = to_stderr, .level = IOMMUFD_LOG_WARN } };
	const char *bad;
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		preload_opts_parse(argv[i], &opts, &bad);
		if (bad)
			return 2;
	}
	return i + 1 < argc ? preload_run(&opts, argv + i + 1) : 2;
}
