/* SPDX-License-Identifier: MIT */
/*
 * The supervisor process: starts the program, serves it with the threads of
 * serve.c, and meanwhile waits on this thread for everything else: the
 * program's state, signals to pass on, and the end, which is when no process
 * has our filter any more.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/launch.h"
#include "host/mmio/tracer.h"

struct supervisor {
	struct host host;
	int front;       /* -1: it has its answer */
	int program_end; /* our end of the socket to the program */
	bool alive;      /* the program; descendants may outlive it */
	int status;      /* of the program, once it is not */
};

static void supervisor_leave(struct supervisor *sup, enum launch_type type, int value)
	__attribute__((noreturn));
static void supervisor_leave(struct supervisor *sup, enum launch_type type, int value)
{
	const struct launch_msg msg = { .type = type, .value = value };

	if (sup->front >= 0)
		launch_send(sup->front, &msg, -1);
	exit(0);
}

/* ---- start ---- */

static void say_sandbox(struct host *host, const struct sandbox_report *report)
{
	if (!report->namespaces)
		host_log(host, IOMMUFD_LOG_WARN,
			 "%s: %s; the program sees our devices through trapped path calls only",
			 report->step, strerror(report->error));
	else if (!report->user)
		host_log(host, IOMMUFD_LOG_WARN, "%s: %s; capabilities are those of the caller",
			 report->step, strerror(report->error));
	else if (report->error)
		host_log(host, IOMMUFD_LOG_INFO, "%s: %s", report->step, strerror(report->error));
}

static int host_setup(struct host *host, const struct sandbox_report *report, int listener)
{
	u64 flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
	struct seccomp_notif_sizes sizes;
	struct stat st;
	int rc;

	host->listener = listener;
	host->namespaces = report->namespaces;
	host->covers = report->covers;
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) || stat("/proc/self", &st))
		return -errno;
	host->notif_size = MAX(sizes.seccomp_notif, sizeof(struct seccomp_notif));
	host->proc_dev = st.st_dev;
	/* Serve on the processor the call came from; Linux before 6.6 cannot. */
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags);
	mutex_init(&host->trace_lock);
	mutex_init(&host->stores_lock);
	cond_init(&host->stores_done);
	CDS_INIT_LIST_HEAD(&host->storing);
	targets_init(&host->targets);
	rc = fdtable_init(host);
	if (!rc)
		rc = tracer_create(host);
	if (!rc)
		rc = names_start(host, &host->system->tree);
	if (!rc)
		rc = serve_start(host);
	return rc;
}

static void say_no_filter(struct host *host, int error)
{
	const char *why = strerror(error);

	if (error == EBUSY)
		why = "this process tree is already under a seccomp supervisor (another run, or a "
		      "container's)";
	else if (error == EINVAL)
		why = "the kernel lacks seccomp user notification with WAIT_KILLABLE_RECV (Linux "
		      "5.19)";
	host_log(host, IOMMUFD_LOG_ERROR, "loading the seccomp filter: %s", why);
}

/* Serve the child's wishes until it is ready to exec. */
static void supervisor_start(struct supervisor *sup)
{
	struct host *host = &sup->host;
	struct launch_msg msg;
	int listener, rc;

	while (launch_recv(sup->program_end, &msg, &listener)) {
		switch (msg.type) {
		case LAUNCH_MAPS:
			msg.value = sandbox_write_maps(host->program);
			launch_send(sup->program_end, &msg, -1);
			break;
		case LAUNCH_READY:
			say_sandbox(host, &msg.report);
			rc = host_setup(host, &msg.report, listener);
			if (rc) {
				host_log(host, IOMMUFD_LOG_ERROR, "cannot supervise: %s",
					 strerror(-rc));
				kill(host->program, SIGKILL);
				supervisor_leave(sup, LAUNCH_FAILED, EXIT_SUPERVISOR);
			}
			msg.value = 0;
			launch_send(sup->program_end, &msg, -1);
			return;
		case LAUNCH_NO_FILTER:
			say_no_filter(host, msg.value);
			supervisor_leave(sup, LAUNCH_FAILED, EXIT_SUPERVISOR);
		default:
			supervisor_leave(sup, LAUNCH_FAILED, EXIT_SUPERVISOR);
		}
	}
	host_log(host, IOMMUFD_LOG_ERROR, "the child died before it could execute the program");
	supervisor_leave(sup, LAUNCH_FAILED, EXIT_SUPERVISOR);
}

/* ---- run ---- */

static void supervisor_child(struct supervisor *sup, int status)
{
	const struct launch_msg stopped = { .type = LAUNCH_STOPPED };

	if (WIFSTOPPED(status)) {
		launch_send(sup->front, &stopped, -1);
	} else if (WIFCONTINUED(status)) {
		/* By somebody else: the front has to run again too. */
		if (sup->alive)
			kill(getppid(), SIGCONT);
	} else {
		sup->alive = false;
		sup->status = status;
	}
}

static void supervisor_wait(struct supervisor *sup)
{
	int status;
	pid_t pid;

	if (!tracer_lock_wait(sup->host.tracer)) {
		if (tracer_saw_continue(sup->host.tracer))
			supervisor_child(sup, __W_CONTINUED);
		return;
	}
	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
		if (pid == sup->host.program)
			supervisor_child(sup, status);
		/* else an orphan of the program, ours to bury */
	}
	tracer_unlock_wait(sup->host.tracer);
}

/* The tracer has waited in our place. */
static void supervisor_tracer(struct supervisor *sup)
{
	struct tracer_wait wait;

	tracer_take_wait(sup->host.tracer, &wait);
	if (wait.stopped)
		supervisor_child(sup, W_STOPCODE(SIGSTOP));
	if (wait.continued)
		supervisor_child(sup, __W_CONTINUED);
	if (wait.ended)
		supervisor_child(sup, wait.status);
}

/* What the program's child said before it failed to execute: nothing if it did. */
static void supervisor_exec_result(struct supervisor *sup, char *const argv[])
{
	struct launch_msg msg;

	if (launch_recv(sup->program_end, &msg, NULL) && msg.type == LAUNCH_NO_EXEC)
		host_log(&sup->host, IOMMUFD_LOG_ERROR, "%s: %s", argv[0], strerror(msg.value));
	close(sup->program_end);
	sup->program_end = -1;
}

static void supervisor_front(struct supervisor *sup)
{
	struct launch_msg msg;

	if (!launch_recv(sup->front, &msg, NULL)) {
		/* Killed: who kills the front means the program. */
		if (sup->alive)
			kill(sup->host.program, SIGKILL);
		close(sup->front);
		sup->front = -1;
	} else if (msg.type == LAUNCH_SIGNAL && sup->alive) {
		/* Not yet waited for, so the id is still the program's. */
		kill(sup->host.program, msg.value);
	}
}

static void supervisor_tell(struct supervisor *sup)
{
	const struct launch_msg msg = { .type = LAUNCH_EXITED, .value = sup->status };
	int null;

	if (sup->front < 0)
		return;
	launch_send(sup->front, &msg, -1);
	close(sup->front);
	sup->front = -1;
	/* Descendants go on in the background; do not keep the user's pipes open for them. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0 && !sup->host.opts->trace)
		dup2(null, STDERR_FILENO);
	close(null);
}

enum { POLL_LISTENER, POLL_SIGNAL, POLL_TRACER, POLL_FRONT, POLL_EXEC, POLL_COUNT };

static void supervisor_loop(struct supervisor *sup, char *const argv[], int sigfd)
{
	struct host *host = &sup->host;
	struct pollfd pfds[POLL_COUNT] = {
		/* Asked for nothing, it is not woken by each notification. */
		[POLL_LISTENER] = { .fd = host->listener },
		[POLL_SIGNAL] = { .fd = sigfd, .events = POLLIN },
		[POLL_TRACER] = { .fd = tracer_event_fd(host->tracer), .events = POLLIN },
	};
	struct pollfd listener = pfds[POLL_LISTENER];
	struct signalfd_siginfo info;

	for (;;) {
		pfds[POLL_FRONT] = (struct pollfd){ .fd = sup->front, .events = POLLIN };
		pfds[POLL_EXEC] = (struct pollfd){ .fd = sup->program_end, .events = POLLIN };
		if (poll(pfds, POLL_COUNT, -1) < 0)
			continue;
		/*
		 * Hung up, and for good: the last one ends, which its parent is still to hear of.
		 */
		if (pfds[POLL_LISTENER].revents)
			pfds[POLL_LISTENER].fd = -1;
		if (pfds[POLL_EXEC].revents)
			supervisor_exec_result(sup, argv);
		while (pfds[POLL_SIGNAL].revents &&
		       read(sigfd, &info, sizeof(info)) == sizeof(info))
			;
		if (pfds[POLL_SIGNAL].revents)
			supervisor_wait(sup);
		if (pfds[POLL_TRACER].revents)
			supervisor_tracer(sup);
		if (pfds[POLL_FRONT].revents)
			supervisor_front(sup);
		if (sup->alive)
			continue;
		/* With nobody left the status goes out when everything is released. */
		if (poll(&listener, 1, 0) == 1)
			return;
		supervisor_tell(sup);
	}
}

/*
 * A process that ends lets go of the filter before it closes its files.  All come to be our
 * children, and one that can be buried has closed them.
 */
static void supervisor_bury(void)
{
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
}

static void supervisor_end(struct supervisor *sup)
{
	struct host *host = &sup->host;

	serve_stop(host);
	tracer_destroy(host->tracer);
	supervisor_bury();
	fdtable_drain(host);
	while (atomic_load(&host->stores))
		attr_stores_wait(host);
	targets_fini(&host->targets);
	tree_watch(&host->system->tree, NULL);
	if (host->opts->stop)
		host->opts->stop(host->opts->data);
	names_fini(&host->names);
	fdtable_fini(host);
}

/* The program's descriptors are its own business; ours must not hold its pipes open. */
static void drop_stdio(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

static void raise_nofile(void)
{
	struct rlimit rlim;

	if (!getrlimit(RLIMIT_NOFILE, &rlim)) {
		rlim.rlim_cur = rlim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rlim);
	}
}

void supervise(const struct host_opts *opts, char *const argv[], int front,
	       const struct launch_signals *signals)
{
	struct supervisor *sup = zalloc(sizeof(*sup));
	sigset_t chld;
	int ends[2];
	int sigfd, rc;

	if (!sup || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		log_line(&opts->log, IOMMUFD_LOG_ERROR, "cannot start: %s", strerror(errno));
		_exit(EXIT_SUPERVISOR);
	}
	sup->front = front;
	sup->program_end = ends[0];
	sup->host.opts = opts;
	fdtable_high_range(&sup->host.fds.high_base, &sup->host.fds.high_end);
	/* Orphans come to us, so that one who may look at processes may look at them. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigfd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	sup->host.program = fork();
	if (sup->host.program < 0 || sigfd < 0) {
		host_log(&sup->host, IOMMUFD_LOG_ERROR, "cannot start: %s", strerror(errno));
		supervisor_leave(sup, LAUNCH_FAILED, EXIT_SUPERVISOR);
	}
	if (!sup->host.program) {
		close(ends[0]);
		program_exec(opts, argv, ends[1], sup->host.fds.high_base, signals);
	}
	close(ends[1]);
	sup->alive = true;
	drop_stdio();
	raise_nofile();
	/* The machine is made while the program makes its surroundings. */
	rc = opts->start(opts->data, &sup->host.system);
	if (rc) {
		host_log(&sup->host, IOMMUFD_LOG_ERROR, "cannot make the machine: %s",
			 strerror(-rc));
		kill(sup->host.program, SIGKILL);
		supervisor_leave(sup, LAUNCH_FAILED, EXIT_SUPERVISOR);
	}
	sup->host.space = sup->host.system->mem;
	supervisor_start(sup);
	supervisor_loop(sup, argv, sigfd);
	supervisor_end(sup);
	supervisor_leave(sup, LAUNCH_ENDED, sup->status);
}
