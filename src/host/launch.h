/* SPDX-License-Identifier: MIT */
/*
 * The three processes of a run and what they say to each other.
 *
 *   front        started by the user; waits, passes signals on, gives the status
 *     supervisor   serves the program's calls and its descendants' to the last
 *       program      sets up its namespaces, loads the filter, executes
 *
 * The front is apart so that it can end with the program while descendants of
 * the program are still served.  All three stay in the user's process group.
 */
#ifndef HOST_LAUNCH_H
#define HOST_LAUNCH_H

#include <signal.h>

#include "host/host_priv.h"
#include "host/sandbox.h"

#define EXIT_SUPERVISOR 125
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

enum launch_type {
	/* supervisor -> front */
	LAUNCH_EXITED,  /* value: wait status of the program */
	LAUNCH_ENDED,   /* likewise, and the supervisor ends too */
	LAUNCH_STOPPED, /* the program has stopped */
	LAUNCH_FAILED,  /* value: exit status; already told why; the supervisor ends too */
	/* front -> supervisor */
	LAUNCH_SIGNAL,  /* value: send this to the program */
	/* program -> supervisor */
	LAUNCH_MAPS,    /* write my id maps; answered with the same, value 0 or -errno */
	LAUNCH_READY,   /* descriptor: listener; answered with the same when it is served */
	LAUNCH_NO_EXEC, /* value: errno */
	LAUNCH_NO_FILTER, /* value: errno */
};

struct launch_msg {
	enum launch_type type;
	int value;
	struct sandbox_report report; /* with LAUNCH_READY */
};

/** struct launch_signals - of our caller's, for the program: the mask, and who reaps children */
struct launch_signals {
	sigset_t mask;
	struct sigaction child;
};

int launch_send(int fd, const struct launch_msg *msg, int pass_fd);
/** launch_recv() - 1, or 0 when the other side is gone; *ret_fd may be NULL */
int launch_recv(int fd, struct launch_msg *msg, int *ret_fd);

/** supervise() - the supervisor's life; never returns */
void supervise(const struct host_opts *opts, char *const argv[], int front,
	       const struct launch_signals *signals) __attribute__((noreturn));
/** program_exec() - the program's life up to its first instruction; never returns */
void program_exec(const struct host_opts *opts, char *const argv[], int supervisor, int high_base,
		  const struct launch_signals *signals) __attribute__((noreturn));

#endif
