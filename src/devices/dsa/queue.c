/* SPDX-License-Identifier: MIT */
/*
 * Work queues: descriptors come in through portals (DSA 3.3, 9.3) and leave when the
 * worker has a turn for their queue, in the order they came.  A turn is as long as
 * the queue's priority says (DSA 3.2.3).
 *
 * ENQCMD is an ordinary 64-byte write by the time it gets here, so a shared queue that has no
 * room for a descriptor loses it: there is no way to answer "retry".
 */
#include <string.h>

#include "devices/dsa/dsa.h"

#define WORK_BYTES   (4U << 20) /* of all queues, in one work() */
#define MAX_PRIORITY 15

/* ---- in ---- */

static bool portal_full(const struct dsa_queue *queue, u32 page)
{
	if (!queue->cfg.dedicated && page & DSA_PORTAL_LIMITED)
		return queue->count >= queue->cfg.threshold;
	return queue->count >= queue->cfg.size;
}

/* Return: is there work? */
static bool portal_submit(struct dsa *dsa, struct dsa_queue *queue, u32 page, const void *data,
			  unsigned int size) __must_hold(&dsa->lock)
{
	if (size != sizeof(struct dsa_desc)) {
		dsa_swerr(dsa, queue, NULL, DSA_SWERR_PORTAL_SIZE, 0);
	} else if (queue->state != DSA_WQ_ENABLED) {
		dsa_swerr(dsa, queue, NULL, DSA_SWERR_PORTAL_DISABLED, 0);
	} else if (portal_full(queue, page)) {
		if (queue->cfg.dedicated)
			dsa_swerr(dsa, queue, NULL, DSA_SWERR_PORTAL_FULL, 0);
	} else {
		memcpy(&queue->ring[(queue->head + queue->count) % dsa->opt.wq_size], data,
		       sizeof(struct dsa_desc));
		queue->count++;
		queue->submitted++;
		return true;
	}
	return false;
}

void dsa_portal_write(struct dsa *dsa, u64 offset, const void *data, unsigned int size)
{
	u64 page = offset / DSA_PORTAL_PAGE;
	bool work = false;

	dsa_lock(dsa);
	if (page / DSA_PORTAL_PAGES < dsa->opt.wqs)
		work = portal_submit(dsa, &dsa->queues[page / DSA_PORTAL_PAGES],
				     page % DSA_PORTAL_PAGES, data, size);
	dsa_unlock(dsa);
	if (work)
		pci_dev_kick(&dsa->pdev);
}

u32 dsa_queue_occupancy(const struct dsa_queue *queue)
{
	return queue->count;
}

/* ---- out without being worked on ---- */

void dsa_queue_abort(struct dsa_queue *queue)
{
	mutex_assert_held(&queue->dsa->lock);
	queue->completed += queue->count;
	queue->count = 0;
	if (queue->running) {
		atomic_store_explicit(&queue->discard, true, memory_order_relaxed);
	} else if (queue->has_task) {
		queue->has_task = false;
		queue->completed++;
	}
	dsa_fault_forget(queue);
}

void dsa_queue_abort_pasid(struct dsa_queue *queue, u32 pasid)
{
	const struct dsa *dsa = queue->dsa;
	u32 kept = 0;

	for (u32 i = 0; i < queue->count; i++) {
		struct dsa_desc desc = queue->ring[(queue->head + i) % dsa->opt.wq_size];

		if (dsa_task_pasid(queue, &desc) != pasid)
			queue->ring[(queue->head + kept++) % dsa->opt.wq_size] = desc;
	}
	queue->completed += queue->count - kept;
	queue->count = kept;
	/* The task's descriptor does not change while it is one. */
	if (!queue->has_task || dsa_task_pasid(queue, &queue->task.desc) != pasid)
		return;
	if (queue->running) {
		atomic_store_explicit(&queue->discard, true, memory_order_relaxed);
	} else {
		queue->has_task = false;
		queue->completed++;
	}
	dsa_fault_forget(queue);
}

/* ---- work ---- */

static bool queue_ready(const struct dsa_queue *queue)
{
	return queue->state != DSA_WQ_DISABLED && !queue->asking &&
	       (queue->has_task || queue->count);
}

static void queue_next(struct dsa_queue *queue)
{
	queue->task = (struct dsa_task){.desc = queue->ring[queue->head]};
	queue->batch = (struct dsa_batch){0};
	queue->has_task = true;
	queue->answer = 1;
	queue->head = (queue->head + 1) % queue->dsa->opt.wq_size;
	queue->count--;
}

static void queue_stopped(struct dsa *dsa, struct dsa_queue *queue, enum dsa_step step)
	__must_hold(&dsa->lock)
{
	int rc;

	queue->running = false;
	if (atomic_load_explicit(&queue->discard, memory_order_relaxed)) {
		atomic_store_explicit(&queue->discard, false, memory_order_relaxed);
		queue->answer = 1;
		step = DSA_STEP_DONE;
	}
	if (step == DSA_STEP_DONE) {
		queue->has_task = false;
		queue->completed++;
	} else if (step == DSA_STEP_BLOCKED) {
		rc = dsa_fault_ask(queue);
		if (rc)
			queue->answer = rc;
	}
	dsa_command_progress(dsa);
	pthread_cond_broadcast(&dsa->idle);
}

/* A queue's turn; what it spent. */
static u64 queue_turn(struct dsa *dsa, struct dsa_queue *queue) __must_hold(&dsa->lock)
{
	u64 whole = (u64)DSA_SLICE * queue->cfg.priority / MAX_PRIORITY, slice = whole;
	enum dsa_step step;

	while (slice && queue_ready(queue)) {
		if (!queue->has_task)
			queue_next(queue);
		queue->running = true;
		dsa_unlock(dsa);
		step = dsa_engine_run(queue, &slice);
		dsa_lock(dsa);
		queue_stopped(dsa, queue, step);
	}
	return whole - slice;
}

bool dsa_work(struct pci_dev *pdev)
{
	struct dsa *dsa = to_dsa(pdev);
	u64 spent = 0;
	u32 idle = 0;

	dsa_lock(dsa);
	while (idle < dsa->opt.wqs && spent < WORK_BYTES) {
		struct dsa_queue *queue = &dsa->queues[dsa->next_queue++ % dsa->opt.wqs];

		if (queue_ready(queue)) {
			spent += queue_turn(dsa, queue);
			idle = 0;
		} else {
			idle++;
		}
	}
	dsa_unlock(dsa);
	return spent;
}
