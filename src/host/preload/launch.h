/* SPDX-License-Identifier: MIT */
/*
 * Starting a program with the core preloaded.  The command's side writes the
 * options into the environment, the library's side reads them there.
 */
#ifndef HOST_PRELOAD_LAUNCH_H
#define HOST_PRELOAD_LAUNCH_H

#include "base/log.h"
#include "base/types.h"

#define PRELOAD_ENV "UIOMMUFD_PRELOAD"

/**
 * struct preload_opts - how the system inside the program is to be
 * @selftest: serve IOMMU_TEST_CMD, and present /sys/kernel/debug as fault-injection tests want it
 * @frames: layout of physical memory
 * @trace: write each ioctl served to stderr
 * @precise_dirty: the bitmap of dirty tracking tells pages, whatever the entries
 * @log: for messages of preload_run() itself
 */
struct preload_opts {
	bool selftest;
	enum iommufd_frame_policy frames;
	bool trace;
	bool precise_dirty;
	struct log_sink log;
};

/** preload_opts_format() - as text for the environment.  Return: 0, -ENAMETOOLONG */
int preload_opts_format(const struct preload_opts *opts, char *buf, size_t size);

/**
 * preload_opts_parse() - the other way
 * @ret_bad: the first word that means nothing (unterminated), or NULL; the rest is taken
 */
void preload_opts_parse(const char *text, struct preload_opts *opts, const char **ret_bad);

/**
 * preload_run() - become @argv (NULL-terminated), with the core in it
 *
 * The library is looked for beside the running executable, where the build leaves it, and where
 * it is installed.  A sanitizer that the program or the library is linked with goes in front.
 * Return: only on failure: 125 if the library is missing or cannot go into this program, 126 if
 * the program cannot be executed, 127 if it is not found (each said through the log).
 */
int preload_run(const struct preload_opts *opts, char *const argv[]);

#endif
