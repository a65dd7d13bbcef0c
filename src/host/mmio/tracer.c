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

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/mmio/pin.h"
#include "host/mmio/tracee.h"

#define WAKE_SIGNAL SIGUSR1
#define WAKE_AGAIN_NS 1000000
#define TICK_NS 2000000
#define TRACEE_BUCKETS 64
#define TRACE_OPTIONS                                                                              \
	(PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |     \
	 PTRACE_O_TRACEEXIT)

/** struct tracee - a thread we trace; the tracer's thread only */
struct tracee {
	struct cds_list_head node;
	pid_t tid, tgid;
	struct pin_pace pace;
};

/** struct trace_request - somebody waits for a process to be attached; on its stack, under lock */
struct trace_request {
	struct cds_list_head node;
	pid_t tid;
	bool done;
	int result;
};

/**
 * struct tracer
 * @lock: requests and @wait; @answered with it
 * @wait_lock: who waits for children, if not the thread
 * @waits: the thread does, from now on; under @wait_lock
 */
struct tracer {
	struct host *host;
	pthread_t thread;
	struct mutex lock;
	pthread_cond_t answered;
	struct cds_list_head requests __guarded_by(&lock);
	bool started __guarded_by(&lock);
	_Atomic bool stop;
	struct mutex wait_lock;
	bool waits __guarded_by(&wait_lock);
	bool traces_program __guarded_by(&wait_lock);
	bool program_stopped; /* the tracer's thread only */
	struct tracer_wait wait __guarded_by(&lock);
	int event_fd;
	_Atomic u64 generation; /* of what programs map */
	struct cds_list_head tracees[TRACEE_BUCKETS];
	struct tracee_maps maps;
	struct pins pins;
	timer_t timer;   /* wakes the thread while anybody is pinned */
	bool has_timer;  /* else nobody is; it and the next: the tracer's thread only */
	bool ticking;
};

/* ---- whom we trace ---- */

static struct cds_list_head *tracee_bucket(struct tracer *tracer, pid_t tid)
{
	return &tracer->tracees[(unsigned int)tid % TRACEE_BUCKETS];
}

static struct tracee *tracee_find(struct tracer *tracer, pid_t tid)
{
	struct tracee *tracee;

	cds_list_for_each_entry(tracee, tracee_bucket(tracer, tid), node) {
		if (tracee->tid == tid)
			return tracee;
	}
	return NULL;
}

static pid_t tgid_of(pid_t tid)
{
	char path[32];
	pid_t tgid = 0;
	uid_t uid;
	int dir;

	snprintf(path, sizeof(path), "/proc/%d", tid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return 0;
	if (read_task_ids(dir, &tgid, &uid))
		tgid = 0;
	close(dir);
	return tgid;
}

static int tracee_add(struct tracer *tracer, pid_t tid)
{
	struct tracee *tracee;

	if (tracee_find(tracer, tid))
		return 0;
	tracee = zalloc(sizeof(*tracee));
	if (!tracee)
		return -ENOMEM;
	tracee->tid = tid;
	cds_list_add(&tracee->node, tracee_bucket(tracer, tid));
	return 0;
}

/* The number may mean another process soon. */
static void tracee_remove(struct tracer *tracer, pid_t tid)
{
	struct tracee *tracee = tracee_find(tracer, tid);

	if (!tracee)
		return;
	pins_release(&tracer->pins, tid);
	if (tracer->maps.tgid == tid)
		tracer->maps.tgid = 0;
	cds_list_del(&tracee->node);
	free(tracee);
}

/*
 * Why a thread cannot be seized: 0 it is ours already and will stop, -ESRCH it has ended, -EPERM.
 */
static int why_refused(pid_t tid)
{
	char path[32], line[128], state = 'X';
	pid_t other = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	if (!f)
		return -ESRCH;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "State: %c", &state) != 1)
			sscanf(line, "TracerPid: %d", &other);
	}
	fclose(f);
	if (state == 'Z' || state == 'X')
		return -ESRCH;
	return other == gettid() ? 0 : -EPERM;
}

static int seize(struct tracer *tracer, pid_t tid)
{
	int rc;

	if (tracee_find(tracer, tid))
		return 0;
	rc = tracee_add(tracer, tid);
	if (rc)
		return rc;
	if (!ptrace(PTRACE_SEIZE, tid, NULL, TRACE_OPTIONS))
		return 1;
	rc = errno == EPERM ? why_refused(tid) : -errno;
	tracee_remove(tracer, tid);
	return rc;
}

/* Before the main thread asks about it again: it would be told what is ours. */
static void mark_program(struct tracer *tracer, pid_t tgid)
{
	if (tgid != tracer->host->program)
		return;
	mutex_lock(&tracer->wait_lock);
	tracer->traces_program = true;
	mutex_unlock(&tracer->wait_lock);
}

/*
 * Every thread of it.  New ones of those seized are ours by themselves; so until a look finds none.
 */
static int seize_process(struct tracer *tracer, pid_t tid)
{
	pid_t tgid = tgid_of(tid);
	struct dirent *ent;
	char path[32];
	int rc, more;
	DIR *dir;

	if (!tgid)
		return -ESRCH;
	mark_program(tracer, tgid);
	snprintf(path, sizeof(path), "/proc/%d/task", tgid);
	do {
		more = 0;
		dir = opendir(path);
		if (!dir)
			return -ESRCH;
		while ((ent = readdir(dir))) {
			if (*ent->d_name == '.')
				continue;
			rc = seize(tracer, atoi(ent->d_name));
			/* A thread that has ended meanwhile is none. */
			if (rc < 0 && rc != -ESRCH) {
				closedir(dir);
				return rc;
			}
			more |= rc > 0;
		}
		closedir(dir);
	} while (more);
	return tracee_find(tracer, tid) ? 0 : -EPERM;
}

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
			tracee->tgid = tgid_of(tracee->tid);
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
		req->result = seize_process(tracer, req->tid);
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
