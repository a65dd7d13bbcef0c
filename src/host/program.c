/* SPDX-License-Identifier: MIT */
/*
 * The child that becomes the program: namespaces, filter, exec.  After the
 * filter is loaded it makes no call that the filter traps until its supervisor
 * says that it serves.
 */
#include <linux/filter.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/launch.h"

struct program {
	int supervisor;
};

static int program_ask(int supervisor, const struct launch_msg *ask, int pass_fd)
{
	struct launch_msg answer;

	if (launch_send(supervisor, ask, pass_fd) || !launch_recv(supervisor, &answer, NULL))
		_exit(EXIT_SUPERVISOR);
	return answer.value;
}

static int program_maps(void *data)
{
	const struct launch_msg msg = { .type = LAUNCH_MAPS };
	int rc = program_ask(((struct program *)data)->supervisor, &msg, -1);

	errno = -rc;
	return rc;
}

static void program_fail(int supervisor, enum launch_type type, int error)
	__attribute__((noreturn));
static void program_fail(int supervisor, enum launch_type type, int error)
{
	const struct launch_msg msg = { .type = type, .value = error };

	launch_send(supervisor, &msg, -1);
	_exit(type == LAUNCH_NO_EXEC && error == ENOENT ? EXIT_NOT_FOUND :
	      type == LAUNCH_NO_EXEC			? EXIT_NOT_EXECUTABLE :
							  EXIT_SUPERVISOR);
}

static int program_load_filter(int high_base, bool paths)
{
	struct sock_fprog prog;
	int rc, listener;

	rc = filter_build(high_base, paths, &prog);
	if (rc)
		return rc;
	/*
	 * WAIT_KILLABLE_RECV: once we work on a call, only death interrupts it; a signal
	 * would make the program repeat what is half done.
	 */
	listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			   SECCOMP_FILTER_FLAG_NEW_LISTENER |
				   SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
			   &prog);
	return listener < 0 ? -errno : listener;
}

void program_exec(const struct host_opts *opts, char *const argv[], int supervisor, int high_base,
		  const struct launch_signals *signals)
{
	struct program program = { supervisor };
	struct launch_msg ready = { .type = LAUNCH_READY };
	int listener;

	sandbox_enter(opts, program_maps, &program, &ready.report);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		program_fail(supervisor, LAUNCH_NO_FILTER, errno);
	listener = program_load_filter(high_base, !ready.report.namespaces);
	if (listener < 0)
		program_fail(supervisor, LAUNCH_NO_FILTER, -listener);
	program_ask(supervisor, &ready, listener);
	/* The listener and our end of the socket are close-on-exec. */
	sigaction(SIGCHLD, &signals->child, NULL);
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
	execvp(argv[0], argv);
	program_fail(supervisor, LAUNCH_NO_EXEC, errno);
}
