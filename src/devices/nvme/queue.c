/* SPDX-License-Identifier: MIT */
/*
 * Queues (1.4, 4.1).  A command is fetched when a request is free for it and its completion queue
 * has an entry that nobody else will take: a completion always finds room.
 */
#include <string.h>

#include "devices/nvme/nvme.h"

/* What one call of work() begins: commands, and bytes moved by itself. */
#define BUDGET	     64
#define BUDGET_BYTES (4 << 20)

/* ---- coming and going ---- */

static void top_change(struct nvme *nvme, u16 id)
{
	nvme->top = MAX(nvme->top, id);
	while (nvme->top && !nvme->sq[nvme->top].live && !nvme->cq[nvme->top].live)
		nvme->top--;
}

static void doorbell_clear(struct nvme *nvme, u16 id, bool cq)
{
	u32 shift = cq ? 32 : 0;

	nvme_reg_set(nvme, NVME_REG_DOORBELLS + 8 * id + 4 * cq, 0);
	nvme->doorbells[id] &= ~(0xffffffffULL << shift);
}

void nvme_sq_open(struct nvme *nvme, u16 id, u16 cq_id, u64 base, u32 size)
{
	nvme->sq[id] = (struct nvme_sq){.live = true, .cq_id = cq_id, .size = size, .base = base};
	nvme->cq[cq_id].sqs++;
	doorbell_clear(nvme, id, false);
	top_change(nvme, id);
}

void nvme_cq_open(struct nvme *nvme, u16 id, u64 base, u32 size, bool irq, u16 vector)
{
	nvme->cq[id] = (struct nvme_cq){.live = true,
					.irq = irq,
					.vector = vector,
					.phase = true,
					.size = size,
					.base = base};
	doorbell_clear(nvme, id, true);
	top_change(nvme, id);
}

void nvme_sq_close(struct nvme *nvme, u16 id)
{
	nvme->cq[nvme->sq[id].cq_id].sqs--;
	nvme->sq[id].live = false;
	doorbell_clear(nvme, id, false);
	top_change(nvme, id);
}

void nvme_cq_close(struct nvme *nvme, u16 id)
{
	nvme->cq[id].live = false;
	atomic_store(&nvme->irq_stale, true);
	doorbell_clear(nvme, id, true);
	top_change(nvme, id);
}

void nvme_doorbells_clear(struct nvme *nvme)
{
	for (u32 i = 0; i < NVME_QUEUES; i++) {
		u32 offset = NVME_REG_DOORBELLS + 8 * i;

		nvme->doorbells[i] = 0;
		if (nvme_reg(nvme, offset))
			nvme_reg_set(nvme, offset, 0);
		if (nvme_reg(nvme, offset + 4))
			nvme_reg_set(nvme, offset + 4, 0);
	}
}

/* ---- doorbells (1.4, 3.1.24 and 3.1.25) ---- */

static u32 cq_used(const struct nvme_cq *cq)
{
	return cq->tail >= cq->head ? cq->tail - cq->head : cq->tail + cq->size - cq->head;
}

static bool cq_room(const struct nvme_cq *cq)
{
	return cq_used(cq) + cq->reserved < cq->size - 1;
}

static void sq_tail(struct nvme *nvme, struct nvme_sq *sq, u32 tail)
{
	if (!sq->live || sq->tail == tail)
		return;
	if (tail < sq->size)
		sq->tail = tail;
	else
		nvme_event_raise(nvme, NVME_EV_BAD_VALUE);
}

static void cq_head(struct nvme *nvme, struct nvme_cq *cq, u32 head)
{
	u32 taken = head >= cq->head ? head - cq->head : head + cq->size - cq->head;

	if (!cq->live || cq->head == head)
		return;
	if (head < cq->size && taken <= cq_used(cq)) {
		cq->head = head;
		atomic_store_explicit(&nvme->irq_stale, true, memory_order_relaxed);
	} else {
		nvme_event_raise(nvme, NVME_EV_BAD_VALUE);
	}
}

static u64 doorbell_pair(const struct nvme *nvme, u32 i)
{
	u32 offset = NVME_REG_DOORBELLS + 8 * i;

	if (pci_in_memory(&nvme->pdev))
		return pci_bar_peek(&nvme->pdev, 0, offset, 8);
	return nvme_reg(nvme, offset) | (u64)nvme_reg(nvme, offset + 4) << 32;
}

bool nvme_doorbells(struct nvme *nvme)
{
	bool did = false;

	for (u32 i = 0; i <= nvme->top; i++) {
		u64 pair = doorbell_pair(nvme, i);

		if (likely(pair == nvme->doorbells[i]))
			continue;
		did = true;
		/* What was written before the doorbell is seen after it. */
		atomic_thread_fence(memory_order_acquire);
		if ((u32)pair != (u32)nvme->doorbells[i])
			sq_tail(nvme, &nvme->sq[i], (u32)pair);
		if (pair >> 32 != nvme->doorbells[i] >> 32)
			cq_head(nvme, &nvme->cq[i], (u32)(pair >> 32));
		nvme->doorbells[i] = pair;
	}
	return did;
}

/* ---- requests ---- */

struct nvme_req *nvme_req_restore(struct nvme *nvme, u16 sq_id)
{
	struct nvme_sq *sq = &nvme->sq[sq_id];
	struct nvme_req *req;

	if (cds_list_empty(&nvme->free))
		return NULL;
	req = cds_list_first_entry(&nvme->free, struct nvme_req, node);
	cds_list_del(&req->node);
	memset(req, 0, offsetof(struct nvme_req, extents));
	req->nvme = nvme;
	req->sq_id = sq_id;
	sq->inflight++;
	nvme->cq[sq->cq_id].reserved++;
	nvme->inflight++;
	return req;
}

/* Can a command of @sq_id be begun?  I/O leaves requests to the admin queue, that could abort it.
 */
static bool can_begin(struct nvme *nvme, u16 sq_id)
{
	u32 io = nvme->inflight - nvme->sq[0].inflight;

	return cq_room(&nvme->cq[nvme->sq[sq_id].cq_id]) && !cds_list_empty(&nvme->free) &&
	       (!sq_id || io < NVME_REQUESTS - NVME_ADMIN_REQUESTS);
}

struct nvme_req *nvme_req_get(struct nvme *nvme, u16 sq_id)
{
	return can_begin(nvme, sq_id) ? nvme_req_restore(nvme, sq_id) : NULL;
}

void nvme_req_leave(struct nvme_req *req)
{
	if (req->inside)
		nvme_ns_leave(req->nvme->ns);
	if (req->claimed)
		nvme_ns_formatted(req->nvme->ns, 0);
	req->inside = req->claimed = false;
}

/* The last command of a queue that is to go takes it away. */
static void sq_deleted(struct nvme *nvme, u16 id)
{
	struct nvme_req *deleter = nvme->sq[id].deleter;

	nvme->sq[id].deleter = NULL;
	nvme_sq_close(nvme, id);
	nvme_complete(nvme, deleter, NVME_SC_SUCCESS);
}

void nvme_req_drop(struct nvme *nvme, struct nvme_req *req)
{
	struct nvme_sq *sq = &nvme->sq[req->sq_id];

	nvme_req_leave(req);
	cds_list_add(&req->node, &nvme->free);
	nvme->inflight--;
	if (req->internal)
		return;
	nvme->cq[sq->cq_id].reserved--;
	sq->inflight--;
	if (sq->deleter && !sq->inflight && nvme->state == NVME_ON)
		sq_deleted(nvme, req->sq_id);
}

/* ---- completions ---- */

/* The phase, and with it all of the entry, appears with the second half (1.4, 4.6). */
static int cq_write(struct nvme *nvme, struct nvme_cq *cq, const struct nvme_req *req)
{
	u64 at = cq->base + (u64)cq->tail * sizeof(struct nvme_cqe);
	u64 low = req->result;
	u64 high = (nvme->sq[req->sq_id].head & 0xffff) | (u64)req->sq_id << 16 |
		   (u64)req->cmd.cid << 32 | (u64)(u16)(req->status << 1 | cq->phase) << 48;
	int rc;

	rc = nvme_dma_write(nvme, at, &low, sizeof(low));
	if (rc)
		return rc;
	atomic_thread_fence(memory_order_release);
	return nvme_dma_write(nvme, at + sizeof(low), &high, sizeof(high));
}

static void cq_post(struct nvme *nvme, struct nvme_req *req)
{
	struct nvme_cq *cq = &nvme->cq[nvme->sq[req->sq_id].cq_id];
	int rc;

	rc = cq_write(nvme, cq, req);
	if (rc == NVME_BLOCKED) {
		cds_list_add_tail(&req->node, &nvme->stalled);
		return;
	}
	if (rc) {
		nvme_fatal(nvme);
	} else {
		cq->tail++;
		if (cq->tail == cq->size) {
			cq->tail = 0;
			cq->phase = !cq->phase;
		}
		if (cq->irq && !cq->unsignaled++)
			cq->since = nvme->features.value[NVME_FEAT_COALESCING] ? nvme_now() : 0;
		atomic_store_explicit(&nvme->irq_stale, true, memory_order_relaxed);
	}
	nvme_req_drop(nvme, req);
}

static void count(struct nvme *nvme, const struct nvme_req *req)
{
	u64 blocks = req->count << req->shift >> 9;

	if (req->cmd.opcode == NVME_IO_READ || req->cmd.opcode == NVME_IO_COMPARE) {
		nvme->counters.reads++;
		nvme->counters.read_blocks += blocks;
	} else if (req->cmd.opcode == NVME_IO_WRITE) {
		nvme->counters.writes++;
		nvme->counters.written_blocks += blocks;
	}
}

static bool failed(const struct nvme *nvme)
{
	return atomic_load_explicit(&nvme->csts, memory_order_relaxed) & NVME_CSTS_CFS;
}

void nvme_complete(struct nvme *nvme, struct nvme_req *req, int status)
{
	nvme_req_leave(req);
	if (req->internal || nvme->state != NVME_ON || failed(nvme)) {
		if (req->internal && nvme->state == NVME_ON) {
			nvme->clean = true;
			nvme_csts_change(nvme, NVME_CSTS_SHST, NVME_CSTS_SHST_DONE);
		}
		nvme_req_drop(nvme, req);
		return;
	}
	req->status = status;
	if (!status) {
		if (req->sq_id)
			count(nvme, req);
	} else if (status != NVME_SC_ABORTED && status != NVME_SC_ABORTED_SQ) {
		nvme_error_log(nvme, req, status);
		req->status |= NVME_SC_MORE;
	}
	cq_post(nvme, req);
}

/* ---- submission ---- */

void nvme_req_begin(struct nvme *nvme, struct nvme_req *req)
{
	int status = req->sq_id ? nvme_io(nvme, req) : nvme_admin(nvme, req);

	if (status == NVME_BLOCKED) {
		nvme_req_leave(req);
		cds_list_add_tail(&req->node, &nvme->redo);
	} else if (status != NVME_PENDING) {
		nvme_complete(nvme, req, status);
	}
}

/* Up to @most commands, those before the queue wraps: how many, or a status or NVME_BLOCKED in
 * @ret_status. */
static u32 sq_fetch(struct nvme *nvme, const struct nvme_sq *sq, u32 most, struct nvme_cmd *cmds,
		    int *ret_status)
{
	u32 end = sq->tail > sq->head ? sq->tail : sq->size;
	u32 n = MIN(MIN(end - sq->head, most), (u32)NVME_BATCH);
	u64 at = sq->base + (u64)sq->head * sizeof(*cmds);
	int rc;

	*ret_status = 0;
	rc = nvme_dma_read(nvme, at, cmds, n * sizeof(*cmds));
	if (rc && rc != NVME_BLOCKED && n > 1) {
		/* Those that can be read come first. */
		n = 1;
		rc = nvme_dma_read(nvme, at, cmds, sizeof(*cmds));
	}
	*ret_status = rc;
	return rc ? 0 : n;
}

/* Begin at most @most; how many were begun. */
static u32 sq_run(struct nvme *nvme, u16 id, u32 most)
{
	struct nvme_sq *sq = &nvme->sq[id];
	struct nvme_cmd cmds[NVME_BATCH];
	struct nvme_req *req;
	u32 begun = 0, n;
	int status;

	while (begun < most && sq->head != sq->tail && !sq->deleter && !failed(nvme) &&
	       nvme->moved < BUDGET_BYTES) {
		if (!can_begin(nvme, id))
			break;
		n = sq_fetch(nvme, sq, most - begun, cmds, &status);
		if (status > 0)
			nvme_fatal(nvme);
		if (!n)
			break;
		for (u32 i = 0; i < n && !failed(nvme) && nvme->moved < BUDGET_BYTES; i++) {
			req = nvme_req_get(nvme, id);
			if (!req)
				return begun;
			sq->head = sq->head + 1 == sq->size ? 0 : sq->head + 1;
			req->cmd = cmds[i];
			begun++;
			nvme_req_begin(nvme, req);
		}
	}
	return begun;
}

bool nvme_queues_run(struct nvme *nvme)
{
	u32 burst = nvme->features.value[NVME_FEAT_ARBITRATION] & 7, left = BUDGET, n;

	nvme->moved = 0;
	burst = burst == 7 ? BUDGET : 1U << burst;
	n = sq_run(nvme, 0, BUDGET);
	left -= n;
	for (u32 seen = 0; seen < nvme->top && left; seen++) {
		nvme->turn = nvme->turn >= nvme->top ? 1 : nvme->turn + 1;
		if (nvme->sq[nvme->turn].live &&
		    nvme->sq[nvme->turn].head != nvme->sq[nvme->turn].tail)
			left -= sq_run(nvme, (u16)nvme->turn, MIN(burst, left));
	}
	return left < BUDGET;
}

/* ---- what was begun ---- */

static bool retry(struct nvme *nvme)
{
	struct cds_list_head stalled, redo;
	struct nvme_req *req, *next;
	bool did = false;

	if (cds_list_empty(&nvme->stalled) && cds_list_empty(&nvme->redo))
		return false;
	CDS_INIT_LIST_HEAD(&stalled);
	CDS_INIT_LIST_HEAD(&redo);
	cds_list_splice(&nvme->stalled, &stalled);
	cds_list_splice(&nvme->redo, &redo);
	CDS_INIT_LIST_HEAD(&nvme->stalled);
	CDS_INIT_LIST_HEAD(&nvme->redo);
	cds_list_for_each_entry_safe (req, next, &stalled, node) {
		cds_list_del(&req->node);
		cq_post(nvme, req);
		did = true;
	}
	cds_list_for_each_entry_safe (req, next, &redo, node) {
		cds_list_del(&req->node);
		nvme_req_begin(nvme, req);
		did = true;
	}
	return did;
}

bool nvme_reap(struct nvme *nvme)
{
	struct nvme_req *req;
	bool did = false;

	while ((req = nvme_pool_take(&nvme->pool))) {
		did = true;
		if (req->status == NVME_BLOCKED && nvme->state == NVME_ON && !req->internal) {
			nvme_req_leave(req);
			cds_list_add_tail(&req->node, &nvme->redo);
		} else {
			nvme_complete(nvme, req, req->status);
		}
	}
	if (nvme->state == NVME_ON && pci_bus_master(&nvme->pdev))
		did |= retry(nvme);
	return did;
}

/* ---- interrupts (1.4, 7.5) ---- */

/* Is one due?  If not yet, work() must come back. */
static bool signal_due(struct nvme *nvme, u32 id)
{
	const struct nvme_cq *cq = &nvme->cq[id];
	u32 wanted = (nvme->features.value[NVME_FEAT_COALESCING] & 0xff) + 1;
	u64 wait = (u64)(nvme->features.value[NVME_FEAT_COALESCING] >> 8 & 0xff) * 100000;

	if (!id || !wait || cq->unsignaled >= wanted || nvme->features.uncoalesced[cq->vector] ||
	    nvme_now() - cq->since >= wait)
		return true;
	nvme->coalescing = true;
	return false;
}

static void signal(struct nvme *nvme, int mode)
{
	u32 mask = atomic_load(&nvme->mask);

	for (u32 i = 0; i <= nvme->top; i++) {
		struct nvme_cq *cq = &nvme->cq[i];

		if (!cq->live || !cq->unsignaled)
			continue;
		if (mode == PCI_IRQ_MSI && cq->vector < 32 && mask & 1U << cq->vector)
			continue;
		if (!signal_due(nvme, i))
			continue;
		cq->unsignaled = 0;
		pci_raise(&nvme->pdev, cq->vector);
	}
}

static bool pin_level(const struct nvme *nvme)
{
	u32 mask = atomic_load(&nvme->mask);

	if (mask & 1)
		return false;
	for (u32 i = 0; i <= nvme->top; i++)
		if (nvme->cq[i].live && nvme->cq[i].irq && nvme->cq[i].head != nvme->cq[i].tail)
			return true;
	return false;
}

void nvme_interrupts(struct nvme *nvme)
{
	bool level = false;
	int mode;

	if (!atomic_load_explicit(&nvme->irq_stale, memory_order_relaxed) && !nvme->coalescing)
		return;
	if (!pci_bus_master(&nvme->pdev))
		return; /* a message is a write */
	atomic_store(&nvme->irq_stale, false);
	nvme->coalescing = false;
	mode = pci_irq_mode(&nvme->pdev);
	if (mode == PCI_IRQ_MSIX || mode == PCI_IRQ_MSI)
		signal(nvme, mode);
	else
		level = pin_level(nvme);
	if (level != nvme->pin) {
		nvme->pin = level;
		pci_intx(&nvme->pdev, level);
	}
}
