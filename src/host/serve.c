/* SPDX-License-Identifier: MIT */
/*
 * Serving threads.  A notification wakes every thread that waits for one, so
 * exactly one -- the leader -- does.  It serves what it receives by itself,
 * which is fastest; but a call may sleep for long (pinning gigabytes, waiting
 * for another call to let go of an object), and then others must be served.
 * So while there is work a monitor looks once a millisecond, and if the leader
 * is still in the call it was in a look ago, hands the lead to another thread.
 *
 * The lead is one word: `seq` counts steps of the leader, odd while it serves.
 * Leader (done serving) and monitor (handing over) both try to move it from
 * the same odd value to the next even one; whoever succeeds decides.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "host/host_priv.h"

#define SERVE_PARKED_MAX 4
#define SERVE_LOOK_MS 1
#define SERVE_IDLE_LOOKS 50
#define SERVE_STOP_LOOKS 20
#define SERVE_STOP_LOOK_NS 10000000
#define SERVE_STACK (512 * 1024)

struct serve {
	struct host *host;
	_Atomic u64 seq;
	_Atomic bool asleep;      /* the monitor needs a push */
	int push;                 /* eventfd: work, or stop */
	struct mutex lock;
	pthread_cond_t lead;      /* the lead is free, or stop */
	pthread_cond_t gone;      /* threads went down */
	bool lead_free __guarded_by(&lock);
	_Atomic bool stop;        /* set under lock */
	u32 parked __guarded_by(&lock);
	u32 threads __guarded_by(&lock);
	pthread_t monitor;
};

static void *serve_thread(void *arg);

static int serve_spawn(struct serve *serve, pthread_t *ret_thread, void *(*fn)(void *))
{
	pthread_attr_t attr;
	int rc;

	if (fault_point("thread"))
		return -EAGAIN;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, SERVE_STACK);
	if (!ret_thread)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(ret_thread ? ret_thread : &(pthread_t){ 0 }, &attr, fn, serve);
	pthread_attr_destroy(&attr);
	return -rc;
}

static bool serve_find_leader(struct serve *serve) __must_hold(&serve->lock)
{
	bool found = true;

	if (serve->parked) {
		pthread_cond_signal(&serve->lead);
	} else {
		serve->threads++;
		found = !serve_spawn(serve, NULL, serve_thread);
		serve->threads -= !found;
	}
	return found;
}

/* Somebody else is to lead.  False: there is no thread to spare, and none can be made now. */
static bool serve_hand_over(struct serve *serve)
{
	bool found;

	mutex_lock(&serve->lock);
	serve->lead_free = true;
	found = serve_find_leader(serve);
	mutex_unlock(&serve->lock);
	return found;
}

/*
 * The same once more.  One that finishes its call takes the lead by itself, but all may wait for
 * what only a call not served yet brings about.
 */
static bool serve_hand_over_again(struct serve *serve)
{
	bool found;

	mutex_lock(&serve->lock);
	found = !serve->lead_free || serve_find_leader(serve);
	mutex_unlock(&serve->lock);
	return found;
}

/* Wait for the lead; false if the thread is to end. */
static bool serve_take_lead(struct serve *serve)
{
	bool lead;

	mutex_lock(&serve->lock);
	if (!serve->lead_free && serve->parked < SERVE_PARKED_MAX) {
		serve->parked++;
		while (!serve->lead_free && !serve->stop)
			pthread_cond_wait(&serve->lead, &serve->lock.m);
		serve->parked--;
	}
	lead = serve->lead_free && !serve->stop;
	if (lead)
		serve->lead_free = false;
	mutex_unlock(&serve->lock);
	return lead;
}

static void serve_wake(struct serve *serve)
{
	eventfd_write(serve->push, 1);
}

/* There is work: see that the monitor looks. */
static void serve_push(struct serve *serve)
{
	if (unlikely(atomic_load(&serve->asleep)) && atomic_exchange(&serve->asleep, false))
		serve_wake(serve);
}

/* Serve until somebody else leads (true) or nobody is left to serve (false). */
static bool serve_lead(struct serve *serve, struct seccomp_notif *req)
{
	u64 seq;

	do {
		if (notify_recv(serve->host, req))
			return false;
		/* pairs with serve_idle() */
		seq = atomic_fetch_add(&serve->seq, 1) + 1;
		serve_push(serve);
		call_serve(serve->host, req);
	} while (atomic_compare_exchange_strong(&serve->seq, &seq, seq + 1));
	return true;
}

static void *serve_thread(void *arg)
{
	struct serve *serve = arg;
	struct seccomp_notif *req = calloc(1, serve->host->notif_size);
	bool more = req != NULL;

	while (more && serve_take_lead(serve))
		more = serve_lead(serve, req);
	free(req);
	mutex_lock(&serve->lock);
	serve->threads--;
	pthread_cond_broadcast(&serve->gone);
	mutex_unlock(&serve->lock);
	return NULL;
}

/*
 * Until the next look, which is when there is work again.  Only meanwhile does
 * a close() by itself wake us: under load each call releases what was closed
 * before it, and to be woken besides would make every close dear.
 */
static void serve_idle(struct serve *serve, u64 seen)
{
	struct pollfd pfds[] = {
		{ .fd = serve->push, .events = POLLIN },
		{ .fd = serve->host->fds.idle, .events = POLLIN },
	};
	eventfd_t count;

	/* seq_cst: serve_lead() moves seq, then reads asleep; we do it the other way round */
	atomic_store(&serve->asleep, true);
	if (atomic_load(&serve->seq) != seen && atomic_exchange(&serve->asleep, false))
		return;
	while (poll(pfds, ARRAY_SIZE(pfds), -1) < 0 || !pfds[0].revents)
		fdtable_drain(serve->host);
	eventfd_read(serve->push, &count);
}

/* Sleep for one look, or if @idle until there is work; false to end. */
static bool serve_monitor_wait(struct serve *serve, u64 seen, bool idle)
{
	struct pollfd pfd = { .fd = serve->push, .events = POLLIN };

	if (idle)
		serve_idle(serve, seen);
	else
		poll(&pfd, 1, SERVE_LOOK_MS);
	fdtable_drain(serve->host);
	return !atomic_load(&serve->stop);
}

static void *serve_monitor(void *arg)
{
	struct serve *serve = arg;
	unsigned int idle = SERVE_IDLE_LOOKS;
	bool led = true;
	u64 last = 0;

	while (serve_monitor_wait(serve, last, led && idle >= SERVE_IDLE_LOOKS)) {
		u64 seq = atomic_load(&serve->seq);

		led = led || serve_hand_over_again(serve);

		idle = seq == last && !(seq & 1) ? idle % SERVE_IDLE_LOOKS + 1 : 0;
		if (seq == last && (seq & 1) &&
		    atomic_compare_exchange_strong(&serve->seq, &seq, seq + 1))
			led = serve_hand_over(serve);
		last = atomic_load(&serve->seq);
	}
	return NULL;
}

int serve_start(struct host *host)
{
	struct serve *serve = zalloc(sizeof(*serve));
	int rc;

	if (!serve)
		return -ENOMEM;
	serve->host = host;
	mutex_init(&serve->lock);
	pthread_cond_init(&serve->lead, NULL);
	pthread_cond_init(&serve->gone, NULL);
	serve->lead_free = true;
	serve->threads = 1;
	serve->push = eventfd(0, EFD_CLOEXEC);
	rc = serve->push < 0 ? -errno : 0;
	if (rc)
		goto err_free;
	rc = serve_spawn(serve, &serve->monitor, serve_monitor);
	if (rc)
		goto err_close;
	rc = serve_spawn(serve, NULL, serve_thread);
	if (rc)
		goto err_stop;
	host->serve = serve;
	return 0;
err_stop:
	atomic_store(&serve->stop, true);
	serve_wake(serve);
	pthread_join(serve->monitor, NULL);
err_close:
	close(serve->push);
err_free:
	free(serve);
	return rc;
}

/*
 * The filter has no users any more.  Wait for calls still being served for
 * callers that were killed; a leader that an older kernel lets sleep in its
 * receive for ever holds nothing and ends with the process.
 */
void serve_stop(struct host *host)
{
	struct serve *serve = host->serve;
	struct timespec until;

	mutex_lock(&serve->lock);
	atomic_store(&serve->stop, true);
	pthread_cond_broadcast(&serve->lead);
	mutex_unlock(&serve->lock);
	serve_wake(serve);
	pthread_join(serve->monitor, NULL);

	mutex_lock(&serve->lock);
	for (int looks = 0; serve->threads; looks++) {
		bool receiving = serve->threads == 1 && !(atomic_load(&serve->seq) & 1);

		if (receiving && looks > SERVE_STOP_LOOKS)
			break;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += SERVE_STOP_LOOK_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&serve->gone, &serve->lock.m, &until);
	}
	mutex_unlock(&serve->lock);
}
