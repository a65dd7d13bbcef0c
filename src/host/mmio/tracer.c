/* SPDX-License-Identifier: MIT */
/*
 * The tracer's thread.  ptrace() ties a traced thread to the thread that seized
 * it, and Linux tells a process that is parent and tracer of the same child everything
 * once, so from the first attach on this thread does all waiting of the supervisor and
 * passes on what is the main thread's.
 *
 * It does not ask for continued children: a tracer that is told takes the news away from the
 * child's parent.  Of the program itself it sees that by the end of a stop, if it traces it.
 *
 * It sleeps in waitpid(), as no descriptor tells of ptrace stops; a request wakes it
 * with a signal, again and again until it has been taken up.
 */
#include "host/mmio/tracer.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/mmio/tracer_priv.h"

#define WAKE_SIGNAL SIGUSR1
#define WAKE_AGAIN_NS 1000000
#define TICK_NS 2000000

/** struct trace_request - somebody waits for a process to be attached; on its stack, under lock */
struct trace_request {
	struct cds_list_head node;
	pid_t tid;
	bool done;
	int result;
};

/* ---- what happens to them ---- */

static void tell_main(struct tracer *tracer, int status)
{
	mutex_lock(&tracer->lock);
	if (WIFSTOPPED(status)) {
		tracer->wait.stopped = true;
	} else if (WIFCONTINUED(status)) {
		tracer->wait.continued = true;
	} else {
		tracer->wait.ended = true;
		tracer->wait.status = status;
	}
	mutex_unlock(&tracer->lock);
	eventfd_write(tracer->event_fd, 1);
}

static void go_on(pid_t tid, int sig)
{
	/* ESRCH: it was killed meanwhile, which we are told next. */
	ptrace(PTRACE_CONT, tid, NULL, (long)sig);
}

static void saw_clone(struct tracer *tracer, pid_t tid)
{
	unsigned long child = 0;

	/* It is met at its first stop, which may have been already, and its end as well. */
	if (!ptrace(PTRACE_GETEVENTMSG, tid, NULL, &child) && child)
		pins_inherit(&tracer->pins, tid, (pid_t)child);
	go_on(tid, 0);
}

/* Its mappings are gone, and with them our reason. */
static void saw_exec(struct tracer *tracer, pid_t tid)
{
	unsigned long former = 0;

	if (!ptrace(PTRACE_GETEVENTMSG, tid, NULL, &former) && (pid_t)former != tid)
		tracee_remove(tracer, (pid_t)former);
	tracee_remove(tracer, tid);
	ptrace(PTRACE_DETACH, tid, NULL, NULL);
}

/*
 * On its way out.  One that dies traced is its parent's only after we have waited for it,
 * though its pidfd is readable, and SIGCHLD sent, before; so it dies untraced.
 */
static void saw_exit(struct tracer *tracer, pid_t tid)
{
	tracee_remove(tracer, tid);
	ptrace(PTRACE_DETACH, tid, NULL, NULL);
}

static bool is_stop_signal(int sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/* A new thread's first stop, a stop of the whole process, or the end of one. */
static void saw_stop(struct tracer *tracer, pid_t tid, int status)
{
	bool program = tid == tracer->host->program;

	if (!is_stop_signal(WSTOPSIG(status))) {
		if (program && tracer->program_stopped)
			tell_main(tracer, __W_CONTINUED);
		if (program)
			tracer->program_stopped = false;
		go_on(tid, 0);
		return;
	}
	ptrace(PTRACE_LISTEN, tid, NULL, NULL);
	if (program && !tracer->program_stopped) {
		tracer->program_stopped = true;
		tell_main(tracer, status);
	}
}

/* Be woken now and then, or not. */
static void tick(struct tracer *tracer, bool on)
{
	struct itimerspec every = { 0 };

	if (tracer->ticking == on)
		return;
	every.it_value.tv_nsec = every.it_interval.tv_nsec = on ? TICK_NS : 0;
	timer_settime(tracer->timer, 0, &every, NULL);
	tracer->ticking = on;
}

static void saw_signal(struct tracer *tracer, struct tracee *tracee, int sig)
{
	u64 generation = atomic_load(&tracer->generation);

	if (sig == SIGBUS || sig == SIGILL) {
		if (!tracee->tgid)
			tracee->tgid = tracee_tgid(tracee->tid);
		if (tracee->tgid && tracee_fault(tracer->host, &tracer->maps, tracee->tid,
						 tracee->tgid, generation, sig)) {
			sig = 0;
			if (tracer->has_timer &&
			    pins_access(&tracer->pins, tracee->tid, &tracee->pace))
				tick(tracer, true);
		}
	}
	go_on(tracee->tid, sig);
}

static void saw(struct tracer *tracer, pid_t tid, int status)
{
	struct tracee *tracee = tracee_find(tracer, tid);
	int event = status >> 16;

	if (!WIFSTOPPED(status)) {
		tracee_remove(tracer, tid);
		if (tid == tracer->host->program)
			tell_main(tracer, status);
		return;
	}
	if (!tracee && !event) {
		/* A child of ours that we do not trace has stopped. */
		if (tid == tracer->host->program)
			tell_main(tracer, status);
		return;
	}
	if (!tracee && tracee_add(tracer, tid)) {
		/* It goes on, and its faults are its own. */
		ptrace(PTRACE_DETACH, tid, NULL, NULL);
		return;
	}
	tracee = tracee_find(tracer, tid);
	switch (event) {
	case 0:
		saw_signal(tracer, tracee, WSTOPSIG(status));
		break;
	case PTRACE_EVENT_CLONE:
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		saw_clone(tracer, tid);
		break;
	case PTRACE_EVENT_EXEC:
		saw_exec(tracer, tid);
		break;
	case PTRACE_EVENT_EXIT:
		saw_exit(tracer, tid);
		break;
	case PTRACE_EVENT_STOP:
		saw_stop(tracer, tid, status);
		break;
	default:
		go_on(tid, 0);
	}
}

/* ---- the thread ---- */

static void serve_requests(struct tracer *tracer)
{
	struct trace_request *req;

	mutex_lock(&tracer->lock);
	while (!cds_list_empty(&tracer->requests)) {
		req = cds_list_first_entry(&tracer->requests, struct trace_request, node);
		cds_list_del(&req->node);
		mutex_unlock(&tracer->lock);
		req->result = tracer_seize(tracer, req->tid);
		mutex_lock(&tracer->lock);
		req->done = true;
		pthread_cond_broadcast(&tracer->answered);
	}
	mutex_unlock(&tracer->lock);
}

/* No child is left to wait for: until somebody asks for something. */
static void idle(void)
{
	const struct timespec while_ns = { .tv_nsec = 100000000 };

	nanosleep(&while_ns, NULL);
}

static void wake_handler(int sig)
{
}

/* The signal may interrupt this sleep, and nothing a device does. */
static pid_t wait_for_child(int *ret_status)
{
	sigset_t wake;
	int saved_errno;
	pid_t pid;

	sigemptyset(&wake);
	sigaddset(&wake, WAKE_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
	pid = waitpid(-1, ret_status, __WALL | WUNTRACED);
	saved_errno = errno;
	pthread_sigmask(SIG_BLOCK, &wake, NULL);
	errno = saved_errno;
	return pid;
}

static void *tracer_thread(void *arg)
{
	struct tracer *tracer = arg;
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = WAKE_SIGNAL };
	int status;
	pid_t pid;

	event._sigev_un._tid = gettid();
	tracer->has_timer = !timer_create(CLOCK_MONOTONIC, &event, &tracer->timer);

	mutex_lock(&tracer->wait_lock);
	tracer->waits = true;
	mutex_unlock(&tracer->wait_lock);
	while (!atomic_load(&tracer->stop)) {
		serve_requests(tracer);
		pid = wait_for_child(&status);
		if (pid > 0)
			saw(tracer, pid, status);
		else if (errno == ECHILD)
			idle();
		else if (tracer->ticking)
			tick(tracer, pins_expire(&tracer->pins));
	}
	if (tracer->has_timer)
		timer_delete(tracer->timer);
	return NULL;
}

/* Others leave the signal blocked: it must find this thread. */
static int tracer_start(struct tracer *tracer) __must_hold(&tracer->lock)
{
	struct sigaction action = { .sa_handler = wake_handler };
	sigset_t set, old;
	int rc;

	if (tracer->started)
		return 0;
	sigaction(WAKE_SIGNAL, &action, NULL);
	/* Signals are not its business, but for those of a guarded copy. */
	sigfillset(&set);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	/* The new thread inherits the mask of this one. */
	pthread_sigmask(SIG_SETMASK, &set, &old);
	rc = -pthread_create(&tracer->thread, NULL, tracer_thread, tracer);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	tracer->started = !rc;
	return rc;
}

static void wait_a_while(struct tracer *tracer) __must_hold(&tracer->lock)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += WAKE_AGAIN_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&tracer->answered, &tracer->lock.m, &until);
}

int tracer_attach(struct tracer *tracer, pid_t tid)
{
	struct trace_request req = { .tid = tid };
	int rc;

#if !defined(__x86_64__)
	return -EOPNOTSUPP;
#endif
	mutex_lock(&tracer->lock);
	rc = tracer_start(tracer);
	if (!rc) {
		cds_list_add_tail(&req.node, &tracer->requests);
		/* It may go to sleep between a signal and its sleep: signal again. */
		while (!req.done) {
			pthread_kill(tracer->thread, WAKE_SIGNAL);
			wait_a_while(tracer);
		}
		rc = req.result;
	}
	mutex_unlock(&tracer->lock);
	return rc;
}

void tracer_release_affinity(struct tracer *tracer, pid_t tid)
{
	pins_release(&tracer->pins, tid);
}

void tracer_forget_maps(struct tracer *tracer)
{
	atomic_fetch_add(&tracer->generation, 1);
}

bool tracer_lock_wait(struct tracer *tracer) __no_lock_analysis
{
	mutex_lock(&tracer->wait_lock);
	if (!tracer->waits)
		return true;
	mutex_unlock(&tracer->wait_lock);
	return false;
}

bool tracer_saw_continue(struct tracer *tracer)
{
	siginfo_t info = { 0 };

	mutex_lock(&tracer->wait_lock);
	/* Nothing but this news is taken, as long as it is not traced. */
	if (!tracer->traces_program)
		waitid(P_PID, tracer->host->program, &info, WCONTINUED | WNOHANG);
	mutex_unlock(&tracer->wait_lock);
	return info.si_pid == tracer->host->program;
}

void tracer_unlock_wait(struct tracer *tracer) __no_lock_analysis
{
	mutex_unlock(&tracer->wait_lock);
}

int tracer_event_fd(const struct tracer *tracer)
{
	return tracer->event_fd;
}

void tracer_take_wait(struct tracer *tracer, struct tracer_wait *ret)
{
	eventfd_t count;

	eventfd_read(tracer->event_fd, &count);
	mutex_lock(&tracer->lock);
	*ret = tracer->wait;
	tracer->wait = (struct tracer_wait){ 0 };
	mutex_unlock(&tracer->lock);
}

int tracer_create(struct host *host)
{
	struct tracer *tracer = zalloc(sizeof(*tracer));

	if (!tracer)
		return -ENOMEM;
	tracer->host = host;
	tracer->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (tracer->event_fd < 0) {
		free(tracer);
		return -EMFILE;
	}
	mutex_init(&tracer->lock);
	mutex_init(&tracer->wait_lock);
	pins_init(&tracer->pins);
	pthread_cond_init(&tracer->answered, NULL);
	CDS_INIT_LIST_HEAD(&tracer->requests);
	for (size_t i = 0; i < TRACEE_BUCKETS; i++)
		CDS_INIT_LIST_HEAD(&tracer->tracees[i]);
	host->tracer = tracer;
	return 0;
}

static void tracer_stop(struct tracer *tracer)
{
	struct timespec until;
	int rc;

	atomic_store(&tracer->stop, true);
	do {
		pthread_kill(tracer->thread, WAKE_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WAKE_AGAIN_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		rc = pthread_timedjoin_np(tracer->thread, NULL, &until);
	} while (rc == ETIMEDOUT);
}

void tracer_destroy(struct tracer *tracer)
{
	struct tracee *tracee, *next;

	if (!tracer)
		return;
	if (tracer->started)
		tracer_stop(tracer);
	for (size_t i = 0; i < TRACEE_BUCKETS; i++) {
		cds_list_for_each_entry_safe(tracee, next, &tracer->tracees[i], node)
			free(tracee);
	}
	tracee_maps_fini(&tracer->maps);
	close(tracer->event_fd);
	pins_fini(&tracer->pins);
	mutex_destroy(&tracer->wait_lock);
	mutex_destroy(&tracer->lock);
	free(tracer);
}
