/* SPDX-License-Identifier: MIT */
/*
 * The thread of an open function.  Without mapped registers it sleeps until it is
 * kicked.  In poll mode it has to look: for a while at full speed after there was
 * something to do, then between sleeps that become longer.
 *
 * A program that waits for us by looking, too, gets nowhere while we look on the processor it is
 * on, and the scheduler may leave both there.  What is found after sleeps only, time and again,
 * is a sign of that: then we go to another processor.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "mem/task.h"
#include "pci/priv.h"

#define WORKER_KICK  1U
#define WORKER_PAUSE 2U
#define WORKER_EXIT  4U

#define SPIN_NS	     50000ULL /* after the last thing there was to do */
#define SLEEP_MIN_NS 20000ULL
#define SLEEP_MAX_NS 1000000ULL
#define LATE_MIN     4U /* finds after sleeps, until we go; doubled each time that did not help */
#define LATE_MAX     1024U

/**
 * struct worker_pace - of a thread in poll mode
 * @last: when there was something to do; @sleep_ns: the next sleep
 * @looked, @slept: since then without finding any
 * @late: finds in a row that came after a sleep; @go_at: so many, and we go elsewhere
 */
struct worker_pace {
	u64 last, sleep_ns;
	bool looked, slept;
	u32 late, go_at;
};

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000ULL + (u64)ts.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

void worker_init(struct pci_worker *worker)
{
	atomic_init(&worker->state, WORKER_PAUSE);
	mutex_init(&worker->lock);
	pthread_cond_init(&worker->changed, NULL);
}

void worker_fini(struct pci_worker *worker)
{
	pthread_cond_destroy(&worker->changed);
	mutex_destroy(&worker->lock);
}

static void worker_wake(struct pci_worker *worker)
{
	syscall(SYS_futex, &worker->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Until somebody sets a bit; @ns 0: as long as it takes. */
static void worker_sleep(struct pci_worker *worker, u64 ns)
{
	const struct timespec timeout = {.tv_nsec = (long)ns};

	syscall(SYS_futex, &worker->state, FUTEX_WAIT_PRIVATE, 0, ns ? &timeout : NULL, NULL, 0);
}

static void worker_park(struct pci_worker *worker)
{
	mutex_lock(&worker->lock);
	worker->parked = true;
	pthread_cond_broadcast(&worker->changed);
	while (atomic_load_explicit(&worker->state, memory_order_acquire) == WORKER_PAUSE ||
	       atomic_load_explicit(&worker->state, memory_order_acquire) ==
		       (WORKER_PAUSE | WORKER_KICK))
		mutex_wait(&worker->lock, &worker->changed);
	worker->parked = false;
	mutex_unlock(&worker->lock);
}

/* To a processor that is not this one, of those we may be on. */
static void worker_move(void)
{
	cpu_set_t all, others;
	int cpu = sched_getcpu();

	if (cpu < 0 || sched_getaffinity(0, sizeof(all), &all))
		return;
	others = all;
	CPU_CLR(cpu, &others);
	if (CPU_COUNT(&others) && !sched_setaffinity(0, sizeof(others), &others))
		sched_setaffinity(0, sizeof(all), &all);
}

/* There was something to do. */
static void pace_found(struct worker_pace *pace)
{
	if (pace->slept && ++pace->late >= pace->go_at) {
		worker_move();
		pace->late = 0;
		pace->go_at = MIN(2 * pace->go_at, LATE_MAX);
	} else if (pace->looked && !pace->slept) {
		pace->late = 0;
		pace->go_at = LATE_MIN;
	}
	pace->looked = pace->slept = false;
	pace->last = now_ns();
}

/* There was nothing to do. */
static void pace_idle(struct pci_worker *worker, struct worker_pace *pace)
{
	if (now_ns() - pace->last < SPIN_NS) {
		relax();
		pace->looked = true;
		pace->sleep_ns = SLEEP_MIN_NS;
		return;
	}
	worker_sleep(worker, pace->sleep_ns);
	pace->slept = true;
	pace->sleep_ns = MIN(2 * pace->sleep_ns, SLEEP_MAX_NS);
}

static void *worker_main(void *data)
{
	struct pci_dev *pdev = data;
	struct pci_worker *worker = &pdev->priv->worker;
	struct worker_pace pace = {.sleep_ns = SLEEP_MIN_NS, .go_at = LATE_MIN};
	bool polls = pci_in_memory(pdev) && pdev->ops->work;
	struct task task = {.kthread = true};
	u32 state;

	task_enter(&task);
	/* Short sleeps are to be short. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	for (;;) {
		state = atomic_fetch_and_explicit(&worker->state, ~WORKER_KICK,
						  memory_order_acquire);
		if (state & WORKER_EXIT) {
			task_leave(NULL);
			return NULL;
		}
		if (state & WORKER_PAUSE) {
			worker_park(worker);
			pace.last = now_ns();
			continue;
		}
		if (pdev->ops->work && pdev->ops->work(pdev)) {
			if (polls)
				pace_found(&pace);
			continue;
		}
		if (state & WORKER_KICK && polls)
			pace.last = now_ns();
		if (polls)
			pace_idle(worker, &pace);
		else
			worker_sleep(worker, 0);
	}
}

int worker_start(struct pci_priv *priv)
{
	struct pci_worker *worker = &priv->worker;
	sigset_t all, old;
	int rc;

	if (fault_point("thread"))
		return -ENOMEM;
	atomic_store(&worker->state, WORKER_PAUSE);
	worker->parked = false;
	/* Signals are the program's, not ours, but for those of a guarded copy. */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&worker->thread, NULL, worker_main, priv->pdev);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return -ENOMEM;
	worker->started = true;
	return 0;
}

static void worker_change(struct pci_worker *worker, u32 set, u32 clear)
{
	mutex_lock(&worker->lock);
	atomic_fetch_or_explicit(&worker->state, set, memory_order_release);
	atomic_fetch_and_explicit(&worker->state, ~clear, memory_order_release);
	pthread_cond_broadcast(&worker->changed);
	mutex_unlock(&worker->lock);
	worker_wake(worker);
}

void worker_stop(struct pci_priv *priv)
{
	if (!priv->worker.started)
		return;
	worker_change(&priv->worker, WORKER_EXIT, 0);
	pthread_join(priv->worker.thread, NULL);
	priv->worker.started = false;
}

void worker_pause(struct pci_priv *priv)
{
	struct pci_worker *worker = &priv->worker;

	if (!worker->started)
		return;
	worker_change(worker, WORKER_PAUSE, 0);
	mutex_lock(&worker->lock);
	while (!worker->parked)
		mutex_wait(&worker->lock, &worker->changed);
	mutex_unlock(&worker->lock);
}

void worker_resume(struct pci_priv *priv)
{
	/* Kicked: whatever happened meanwhile is to be looked at. */
	if (priv->worker.started)
		worker_change(&priv->worker, WORKER_KICK, WORKER_PAUSE);
}

void pci_dev_kick(struct pci_dev *pdev)
{
	struct pci_worker *worker = &pdev->priv->worker;
	u32 old = atomic_fetch_or_explicit(&worker->state, WORKER_KICK, memory_order_release);

	/* Who has kicked before has woken it. */
	if (!(old & WORKER_KICK))
		worker_wake(worker);
}
