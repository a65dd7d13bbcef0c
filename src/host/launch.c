/* SPDX-License-Identifier: MIT */
/*
 * The front process.  It looks to its parent as if it were the program: signals
 * sent to it reach the program, it stops when the program stops, and it ends
 * the way the program ends.
 *
 * A signal that comes from the terminal goes to the whole process group, so the
 * program has it already; only what somebody sent to this process is passed on.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/launch.h"

int launch_send(int fd, const struct launch_msg *msg, int pass_fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (void *)msg, sizeof(*msg) };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (pass_fd >= 0) {
		hdr.msg_control = control.buf;
		hdr.msg_controllen = sizeof(control.buf);
		cmsg = CMSG_FIRSTHDR(&hdr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &pass_fd, sizeof(int));
	}
	return sendmsg(fd, &hdr, MSG_NOSIGNAL) == sizeof(*msg) ? 0 : -errno;
}

int launch_recv(int fd, struct launch_msg *msg, int *ret_fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { msg, sizeof(*msg) };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg;
	ssize_t len;

	/* Reset, once, by one who has ended before it read all; what it said before is there. */
	do
		len = recvmsg(fd, &hdr, MSG_CMSG_CLOEXEC);
	while (len < 0 && (errno == EINTR || errno == ECONNRESET));
	if (len != sizeof(*msg))
		return 0;
	cmsg = CMSG_FIRSTHDR(&hdr);
	if (ret_fd) {
		*ret_fd = -1;
		if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
			memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(int));
	}
	return 1;
}

/* Everything but what a fault of our own raises. */
static void front_signals(sigset_t *set)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };

	sigfillset(set);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		sigdelset(set, own[i]);
}

static void die_by(int sig)
{
	const struct rlimit no_core = { 0, 0 };
	sigset_t set;

	/* The program has left its core, if any. */
	setrlimit(RLIMIT_CORE, &no_core);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	kill(getpid(), sig);
}

static int front_end(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	die_by(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

static void front_signal(int supervisor, const struct signalfd_siginfo *info)
{
	const struct launch_msg msg = { .type = LAUNCH_SIGNAL, .value = (int)info->ssi_signo };

	if (info->ssi_signo == SIGCHLD || info->ssi_code == SI_KERNEL)
		return;
	launch_send(supervisor, &msg, -1);
}

static void front_say(const char *what)
{
	dprintf(STDERR_FILENO, "uiommufd: %s\n", what);
}

struct front {
	int supervisor; /* our end of the socket */
	pid_t pid;      /* its process; there may be children of who became us, too */
};

/* It is gone without having said why. */
static void front_say_died(const struct front *front)
{
	int status = 0;

	waitpid(front->pid, &status, 0);
	if (WIFSIGNALED(status))
		dprintf(STDERR_FILENO, "uiommufd: the supervisor died: %s\n",
			strsignal(WTERMSIG(status)));
	else
		front_say("the supervisor died");
}

/* One message; true if *ret_status is the end. */
static bool front_message(const struct front *front, int *ret_status)
{
	const struct launch_msg resumed = { .type = LAUNCH_SIGNAL, .value = SIGCONT };
	struct launch_msg msg;
	int status;

	*ret_status = EXIT_SUPERVISOR;
	if (!launch_recv(front->supervisor, &msg, NULL)) {
		front_say_died(front);
		return true;
	}
	switch (msg.type) {
	case LAUNCH_ENDED:
		/* All is told, but a supervisor that finds damage at its end fails the run. */
		if (waitpid(front->pid, &status, 0) > 0 && status) {
			front_say("the supervisor did not end well");
			return true;
		}
		*ret_status = front_end(msg.value);
		return true;
	case LAUNCH_EXITED:
		*ret_status = front_end(msg.value);
		return true;
	case LAUNCH_FAILED:
		waitpid(front->pid, NULL, 0);
		*ret_status = msg.value;
		return true;
	case LAUNCH_STOPPED:
		kill(getpid(), SIGSTOP);
		launch_send(front->supervisor, &resumed, -1);
		return false;
	default:
		return false;
	}
}

static int front_wait(const struct front *front, const sigset_t *set)
{
	int sigfd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	struct pollfd pfds[] = {
		{ .fd = front->supervisor, .events = POLLIN },
		{ .fd = sigfd, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	int status;

	for (;;) {
		if (poll(pfds, ARRAY_SIZE(pfds), -1) < 0)
			continue;
		while (read(sigfd, &info, sizeof(info)) == sizeof(info))
			front_signal(front->supervisor, &info);
		if (pfds[0].revents && front_message(front, &status))
			return status;
	}
}

int host_run(const struct host_opts *opts, char *const argv[])
{
	const struct sigaction reaped = { .sa_handler = SIG_DFL };
	struct launch_signals old;
	struct front front;
	sigset_t set;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		log_line(&opts->log, IOMMUFD_LOG_ERROR, "socketpair: %s", strerror(errno));
		return EXIT_SUPERVISOR;
	}
	/* Nothing may come between: what is sent from now on is for the program. */
	front_signals(&set);
	sigprocmask(SIG_BLOCK, &set, &old.mask);
	/* Where a caller ignores it nobody is told how a child has ended. */
	sigaction(SIGCHLD, &reaped, &old.child);
	front.pid = fork();
	if (front.pid < 0) {
		log_line(&opts->log, IOMMUFD_LOG_ERROR, "fork: %s", strerror(errno));
		sigaction(SIGCHLD, &old.child, NULL);
		sigprocmask(SIG_SETMASK, &old.mask, NULL);
		return EXIT_SUPERVISOR;
	}
	if (!front.pid) {
		close(ends[0]);
		supervise(opts, argv, ends[1], &old);
	}
	close(ends[1]);
	front.supervisor = ends[0];
	return front_wait(&front, &set);
}
