/* SPDX-License-Identifier: MIT */
/*
 * Blocking on faults (DSA 3.5).  A page request takes as long as whoever answers
 * it, so each queue that blocks has a thread that waits while the device goes on; the
 * task goes on when there is an answer.  An abort does not wait for it.
 */
#include <signal.h>
#include <unistd.h>

#include "base/fault.h"
#include "devices/dsa/dsa.h"

#define END_POLL_US 200

static void *fault_thread(void *arg)
{
	struct dsa_queue *queue = arg;
	struct dsa *dsa = queue->dsa;
	u64 epoch = 0;
	int rc;

	dsa_lock(dsa);
	for (;;) {
		__typeof__(queue->ask) ask;

		while (!dsa->ending && (!queue->asking || queue->epoch == epoch))
			mutex_wait(&dsa->lock, &queue->asked);
		if (dsa->ending)
			break;
		epoch = queue->epoch;
		ask = queue->ask;
		dsa_unlock(dsa);
		rc = iommufd_dma_page_request(&dsa->pdev.dev, ask.pasid, ask.addr, ask.access,
					      DSA_PAGE_REQUEST_MS);
		dsa_lock(dsa);
		if (!queue->asking || queue->epoch != epoch)
			continue;
		queue->asking = false;
		queue->answer = rc;
		dsa_unlock(dsa);
		pci_dev_kick(&dsa->pdev);
		dsa_lock(dsa);
	}
	dsa->threads_ended++;
	dsa_unlock(dsa);
	return NULL;
}

static int thread_make(struct dsa_queue *queue)
{
	sigset_t all, old;
	int rc;

	if (fault_point("thread"))
		return -ENOMEM;
	/* Signals are the program's, not ours, but for those of a guarded copy. */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&queue->thread, NULL, fault_thread, queue);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	queue->thread_runs = !rc;
	return rc ? -EAGAIN : 0;
}

int dsa_fault_ask(struct dsa_queue *queue)
{
	int rc = 0;

	mutex_assert_held(&queue->dsa->lock);
	if (!queue->thread_runs)
		rc = thread_make(queue);
	if (rc)
		return rc;
	queue->epoch++;
	queue->asking = true;
	pthread_cond_signal(&queue->asked);
	return 0;
}

void dsa_fault_forget(struct dsa_queue *queue)
{
	mutex_assert_held(&queue->dsa->lock);
	queue->epoch++;
	queue->asking = false;
	if (!queue->running)
		queue->answer = 1;
}

void dsa_fault_begin(struct dsa *dsa)
{
	dsa_lock(dsa);
	dsa->ending = false;
	dsa_unlock(dsa);
}

/* One that is about to wait when the others are told does so until it is told again. */
void dsa_fault_end(struct dsa *dsa)
{
	u64 threads = 0;

	dsa_lock(dsa);
	dsa->ending = true;
	for (u32 i = 0; i < dsa->opt.wqs; i++)
		threads += dsa->queues[i].thread_runs;
	while (dsa->threads_ended < threads) {
		for (u32 i = 0; i < dsa->opt.wqs; i++)
			pthread_cond_signal(&dsa->queues[i].asked);
		dsa_unlock(dsa);
		iommufd_dma_page_abandon(&dsa->pdev.dev);
		usleep(END_POLL_US);
		dsa_lock(dsa);
	}
	dsa->threads_ended = 0;
	dsa_unlock(dsa);
	for (u32 i = 0; i < dsa->opt.wqs; i++) {
		if (dsa->queues[i].thread_runs)
			pthread_join(dsa->queues[i].thread, NULL);
		dsa->queues[i].thread_runs = false;
	}
}
