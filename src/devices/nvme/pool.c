/* SPDX-License-Identifier: MIT */
/*
 * The threads of a controller that may wait.  They come when they are first needed; a request is
 * theirs from nvme_pool_submit() until nvme_pool_take() gives it back.
 */
#include <stdlib.h>
#include <time.h>

#include "base/fault.h"
#include "devices/nvme/nvme.h"

#define LATER 1000000 /* ns until a request that could not begin is tried again */

void nvme_pool_init(struct nvme_pool *pool)
{
	mutex_init(&pool->lock);
	cond_init(&pool->work);
	cond_init(&pool->idle);
	CDS_INIT_LIST_HEAD(&pool->queue);
	CDS_INIT_LIST_HEAD(&pool->done);
}

void nvme_pool_fini(struct nvme_pool *pool)
{
	mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	mutex_unlock(&pool->lock);
	for (u32 i = 0; i < pool->num_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_cond_destroy(&pool->idle);
	mutex_destroy(&pool->lock);
}

/* The first that may begin; else wait for one, or for news. */
static struct nvme_req *next_or_wait(struct nvme_pool *pool) __must_hold(&pool->lock)
{
	u64 now = nvme_now(), first = UINT64_MAX;
	struct timespec until;
	struct nvme_req *req;

	cds_list_for_each_entry (req, &pool->queue, node) {
		if (req->not_before <= now) {
			cds_list_del(&req->node);
			pool->queued--;
			return req;
		}
		first = MIN(first, req->not_before);
	}
	if (first == UINT64_MAX) {
		mutex_wait(&pool->lock, &pool->work);
		return NULL;
	}
	until.tv_sec = (time_t)(first / 1000000000);
	until.tv_nsec = (long)(first % 1000000000);
	mutex_wait_until(&pool->lock, &pool->work, &until);
	return NULL;
}

static void done(struct nvme_pool *pool, struct nvme_req *req) __must_hold(&pool->lock)
{
	cds_list_add_tail(&req->node, &pool->done);
	atomic_fetch_add_explicit(&pool->num_done, 1, memory_order_release);
}

static void work_on(struct nvme_pool *pool, struct nvme_req *req, u8 *buffer)
	__must_hold(&pool->lock)
{
	struct nvme *nvme = req->nvme;

	pool->running++;
	mutex_unlock(&pool->lock);
	req->status = nvme_work_on(req, buffer);
	if (req->status != NVME_DEFER)
		nvme_req_leave(req);
	mutex_lock(&pool->lock);
	if (req->status == NVME_DEFER) {
		req->not_before = nvme_now() + LATER;
		cds_list_add_tail(&req->node, &pool->queue);
		pool->queued++;
	} else {
		done(pool, req);
		pci_dev_kick(&nvme->pdev);
	}
	if (!--pool->running)
		pthread_cond_broadcast(&pool->idle);
}

static void *pool_thread(void *arg)
{
	struct nvme_pool *pool = arg;
	struct nvme_req *req;
	u8 *buffer = malloc(NVME_BUFFER);

	mutex_lock(&pool->lock);
	while (!pool->stop) {
		req = next_or_wait(pool);
		if (req && buffer) {
			work_on(pool, req, buffer);
		} else if (req) {
			req->status = NVME_SC_INTERNAL;
			done(pool, req);
			pci_dev_kick(&req->nvme->pdev);
		}
	}
	mutex_unlock(&pool->lock);
	free(buffer);
	return NULL;
}

bool nvme_pool_submit(struct nvme_pool *pool, struct nvme_req *req)
{
	bool ok;

	mutex_lock(&pool->lock);
	if (pool->num_threads < NVME_THREADS && pool->queued + pool->running >= pool->num_threads &&
	    !fault_point("thread") &&
	    !pthread_create(&pool->threads[pool->num_threads], NULL, pool_thread, pool))
		pool->num_threads++;
	ok = pool->num_threads;
	if (ok) {
		cds_list_add_tail(&req->node, &pool->queue);
		pool->queued++;
		pthread_cond_signal(&pool->work);
	}
	mutex_unlock(&pool->lock);
	return ok;
}

struct nvme_req *nvme_pool_take(struct nvme_pool *pool)
{
	struct nvme_req *req = NULL;

	if (!atomic_load_explicit(&pool->num_done, memory_order_acquire))
		return NULL;
	mutex_lock(&pool->lock);
	if (!cds_list_empty(&pool->done)) {
		req = cds_list_first_entry(&pool->done, struct nvme_req, node);
		cds_list_del(&req->node);
		atomic_fetch_sub_explicit(&pool->num_done, 1, memory_order_relaxed);
	}
	mutex_unlock(&pool->lock);
	return req;
}

bool nvme_pool_cancel(struct nvme_pool *pool,
		      bool (*match)(const struct nvme_req *req, const void *data), const void *data,
		      int status)
{
	struct nvme_req *req;
	bool found = false;

	mutex_lock(&pool->lock);
	cds_list_for_each_entry (req, &pool->queue, node) {
		if (req->internal || !match(req, data))
			continue;
		cds_list_del(&req->node);
		pool->queued--;
		req->status = status;
		done(pool, req);
		found = true;
		break;
	}
	mutex_unlock(&pool->lock);
	return found;
}

void nvme_pool_wait(struct nvme_pool *pool)
{
	mutex_lock(&pool->lock);
	while (pool->running)
		mutex_wait(&pool->lock, &pool->idle);
	mutex_unlock(&pool->lock);
}

void nvme_pool_each(struct nvme_pool *pool,
		    void (*fn)(const struct nvme_req *req, bool begun, void *data), void *data)
{
	struct nvme_req *req;

	nvme_pool_wait(pool);
	mutex_lock(&pool->lock);
	cds_list_for_each_entry (req, &pool->queue, node)
		fn(req, false, data);
	cds_list_for_each_entry (req, &pool->done, node)
		fn(req, true, data);
	mutex_unlock(&pool->lock);
}

void nvme_pool_empty(struct nvme_pool *pool)
{
	mutex_lock(&pool->lock);
	CDS_INIT_LIST_HEAD(&pool->queue);
	pool->queued = 0;
	while (pool->running)
		mutex_wait(&pool->lock, &pool->idle);
	/* What could not begin has been queued again meanwhile. */
	CDS_INIT_LIST_HEAD(&pool->queue);
	CDS_INIT_LIST_HEAD(&pool->done);
	pool->queued = 0;
	atomic_store(&pool->num_done, 0);
	mutex_unlock(&pool->lock);
}
