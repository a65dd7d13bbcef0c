/* SPDX-License-Identifier: MIT */
/* The program's namespaces; see sandbox.c. */
#ifndef HOST_SANDBOX_H
#define HOST_SANDBOX_H

#include "host/host.h"

/**
 * struct sandbox_report - what became of it
 * @namespaces: the program has a /dev of its own
 * @covers: which of host_covers[] stand, a bit each
 * @user: it is in a user namespace of its own
 * @error, @step: errno and name of the first step that failed, or 0
 */
struct sandbox_report {
	bool namespaces;
	bool user;
	u32 covers;
	s32 error;
	char step[52];
};

/** sandbox_enter() - in the child; @write_maps asks the parent for sandbox_write_maps() */
void sandbox_enter(const struct host_opts *opts, int (*write_maps)(void *data), void *data,
		   struct sandbox_report *report);
int sandbox_write_maps(pid_t pid);

/**
 * sandbox_own_user() - root alone moves into a user namespace with full capabilities and all ids
 * Return: 0 (also for an ordinary user, who stays), -errno.
 */
int sandbox_own_user(void);

#endif
