/* SPDX-License-Identifier: MIT */
/*
 * A descriptor's life: it is checked, worked on, and a record of it written, at
 * each of which it may have to wait for a page.  A batch (DSA 3.8) is a descriptor whose
 * work is the lives of others, one after the other, so a fence has nothing to wait for.
 */
#include "devices/dsa/dsa.h"

#define DESC_COST 4096U /* of a slice, at least */

ioasid_t dsa_task_pasid(const struct dsa_queue *queue, const struct dsa_desc *desc)
{
	if (!queue->cfg.pasid_en)
		return IOMMU_NO_PASID;
	return queue->cfg.dedicated ? queue->cfg.pasid : DSA_DESC_PASID(desc);
}

static bool is_batch(const struct dsa_task *task)
{
	return DSA_DESC_OP(&task->desc) == DSA_OP_BATCH;
}

static bool dropped(struct dsa_queue *queue)
{
	return atomic_load_explicit(&queue->discard, memory_order_relaxed);
}

static void spend(u64 *slice, u64 bytes)
{
	*slice -= MIN(*slice, bytes);
}

/* ---- the end of a task ---- */

/* What the operation says besides its status (DSA 8.2 and each operation). */
static void record_result(struct dsa_task *task)
{
	struct dsa_record *record = &task->record;

	record->result = task->result;
	record->completed = (u32)task->done;
	switch (DSA_DESC_OP(&task->desc)) {
	case DSA_OP_CRC:
	case DSA_OP_COPY_CRC:
		record->op.crc = DSA_DESC_FLAGS(&task->desc) & DSA_FLAG_CRC_RAW
					 ? dsa_reverse32(task->crc)
					 : ~task->crc;
		break;
	case DSA_OP_DELTA_CREATE:
		record->op.delta_size = task->delta_size;
		break;
	}
}

static void task_end(struct dsa_task *task, u8 status)
{
	task->record = (struct dsa_record){.status = status};
	if (task->phase == DSA_TASK_RUN)
		record_result(task);
	task->phase = DSA_TASK_RECORD;
}

static void task_end_fault(struct dsa_task *task, const struct dsa_fault *fault, u8 status)
{
	bool page = status == DSA_PAGE_FAULT || status == DSA_PAGE_REFUSED;

	task_end(task, status | (page && fault->write ? DSA_STATUS_WRITE : 0));
	task->record.fault = fault->addr;
}

/*
 * May the task wait for the page it misses?  Then the queue knows which; a refusal of the page it
 * waited for is final (DSA 3.5).
 */
static bool task_blocks(struct dsa_queue *queue, const struct dsa_task *task,
			struct dsa_fault *fault)
{
	int answer = queue->answer;

	queue->answer = 1;
	if (fault->status != DSA_PAGE_FAULT || !queue->cfg.block ||
	    !(DSA_DESC_FLAGS(&task->desc) & DSA_FLAG_BLOCK))
		return false;
	if (answer < 0) {
		fault->status = DSA_PAGE_REFUSED;
		return false;
	}
	queue->ask.pasid = dsa_task_pasid(queue, &task->desc);
	queue->ask.addr = fault->addr;
	queue->ask.access = fault->write ? IOMMU_WRITE : IOMMU_READ;
	return true;
}

/* All but the first word, then that one at once: it has the status. */
static int record_store(struct dsa_queue *queue, struct dsa_task *task, struct dsa_fault *fault)
{
	struct device *dev = &queue->dsa->pdev.dev;
	ioasid_t pasid = dsa_task_pasid(queue, &task->desc);
	struct iommufd_dma_fault dma = {0};
	u8 *record = (u8 *)&task->record;
	int rc;

	rc = iommufd_dma_write(dev, pasid, task->desc.record + 4, record + 4,
			       sizeof(task->record) - 4, &dma);
	atomic_thread_fence(memory_order_release);
	if (!rc)
		rc = iommufd_dma_write(dev, pasid, task->desc.record, record, 4, &dma);
	return rc ? dsa_fault_set(fault, rc, &dma) : 0;
}

static void report(struct dsa_queue *queue, const struct dsa_task *task, u8 status, u64 addr)
{
	struct dsa *dsa = queue->dsa;

	dsa_lock(dsa);
	if (!dropped(queue))
		dsa_swerr(dsa, queue, task, status, addr);
	dsa_unlock(dsa);
}

static enum dsa_step task_record(struct dsa_queue *queue, struct dsa_task *task)
{
	u32 flags = DSA_DESC_FLAGS(&task->desc);
	u8 status = task->record.status;
	bool fine = status == DSA_OK || status == DSA_OK_FALSE;
	struct dsa_fault fault;

	if (flags & DSA_FLAG_RECORD_OK && status != DSA_RECORD_ALIGN) {
		if ((flags & DSA_FLAG_RECORD || status != DSA_OK) &&
		    record_store(queue, task, &fault)) {
			if (task_blocks(queue, task, &fault))
				return DSA_STEP_BLOCKED;
			fault.write = true;
			report(queue, task, DSA_RECORD_FAULT | DSA_STATUS_WRITE, fault.addr);
		}
	} else if (!fine) {
		report(queue, task, status, task->record.fault);
	}
	if (flags & DSA_FLAG_IRQ && dsa_check_handle(queue, &task->desc))
		pci_raise(&queue->dsa->pdev, task->desc.handle);
	return DSA_STEP_DONE;
}

/* ---- its work ---- */

static void task_begin(struct dsa_queue *queue, struct dsa_task *task)
{
	u32 flags = 0;
	u8 status = dsa_check(queue, task, &flags);

	if (status == DSA_OK && DSA_DESC_FLAGS(&task->desc) & DSA_FLAG_IRQ &&
	    !dsa_check_handle(queue, &task->desc))
		status = DSA_BAD_HANDLE;
	if (status == DSA_OK && atomic_exchange(&queue->dsa->hw_error, false))
		status = DSA_HW_ERROR;
	if (status != DSA_OK) {
		task_end(task, status);
		task->record.op.invalid_flags = flags;
		return;
	}
	task->last_offset = -1;
	task->phase = DSA_TASK_RUN;
}

static enum dsa_step op_run(struct dsa_queue *queue, struct dsa_task *task, u64 *slice)
{
	ioasid_t pasid = dsa_task_pasid(queue, &task->desc);
	struct dsa_fault fault;
	u8 status;
	int rc = 0;

	while (!rc && *slice && !dropped(queue)) {
		u64 before = task->done;

		rc = dsa_op_step(&queue->dsa->pdev.dev, pasid, task, *slice, &status, &fault);
		spend(slice, MAX(task->done - before, DESC_COST));
		if (rc >= 0)
			queue->answer = 1;
	}
	if (rc > 0)
		task_end(task, status);
	else if (rc < 0 && task_blocks(queue, task, &fault))
		return DSA_STEP_BLOCKED;
	else if (rc < 0)
		task_end_fault(task, &fault, fault.status);
	return DSA_STEP_MORE;
}

static enum dsa_step batch_run(struct dsa_queue *queue, struct dsa_task *task, u64 *slice);

/* A task to its end, or as far as it gets. */
static enum dsa_step task_run(struct dsa_queue *queue, struct dsa_task *task, u64 *slice)
{
	enum dsa_step step;

	if (task->phase == DSA_TASK_NEW)
		task_begin(queue, task);
	if (task->phase == DSA_TASK_RUN) {
		step = is_batch(task) ? batch_run(queue, task, slice) : op_run(queue, task, slice);
		if (task->phase == DSA_TASK_RUN)
			return step;
	}
	if (dropped(queue))
		return DSA_STEP_MORE;
	spend(slice, DESC_COST);
	return task_record(queue, task);
}

/* ---- batches ---- */

static void batch_end(struct dsa_queue *queue, struct dsa_task *task, u8 status)
{
	task_end(task, status);
	task->record.completed = queue->batch.index;
	task->record.result = 0;
}

/* Read the next descriptor, once.  0; 1 the batch is over; -1 it waits for a page of the list */
static int batch_fetch(struct dsa_queue *queue, struct dsa_task *task)
{
	struct dsa_batch *batch = &queue->batch;
	struct iommufd_dma_fault dma = {0};
	struct dsa_fault fault;
	u64 addr = task->desc.src + batch->index * (u64)sizeof(struct dsa_desc);
	int rc;

	queue->member = (struct dsa_task){.member = true};
	rc = iommufd_dma_read(&queue->dsa->pdev.dev, dsa_task_pasid(queue, &task->desc), addr,
			      &queue->member.desc, sizeof(queue->member.desc), &dma);
	if (rc) {
		dsa_fault_set(&fault, rc, &dma);
		if (task_blocks(queue, task, &fault))
			return -1;
		batch_end(queue, task,
			  fault.status == DSA_PAGE_FAULT ? DSA_BATCH_FAULT : fault.status);
		task->record.fault = fault.addr;
		return 1;
	}
	queue->answer = 1;
	/* Who submitted the batch submitted these. */
	queue->member.desc.trusted = task->desc.trusted;
	if (batch->failed && DSA_DESC_FLAGS(&queue->member.desc) & DSA_FLAG_FENCE) {
		batch_end(queue, task, DSA_BATCH_FAILED);
		return 1;
	}
	batch->in_member = true;
	return 0;
}

static enum dsa_step batch_run(struct dsa_queue *queue, struct dsa_task *task, u64 *slice)
{
	struct dsa_batch *batch = &queue->batch;
	enum dsa_step step;
	int rc;

	while (*slice && !dropped(queue)) {
		if (batch->in_member) {
			step = task_run(queue, &queue->member, slice);
			if (step != DSA_STEP_DONE)
				return step;
			batch->in_member = false;
			batch->index++;
			if (queue->member.record.status != DSA_OK)
				batch->failed = true;
		} else if (batch->index == task->desc.size) {
			batch_end(queue, task, batch->failed ? DSA_BATCH_FAILED : DSA_OK);
			return DSA_STEP_MORE;
		} else {
			rc = batch_fetch(queue, task);
			if (rc)
				return rc < 0 ? DSA_STEP_BLOCKED : DSA_STEP_MORE;
		}
	}
	return DSA_STEP_MORE;
}

enum dsa_step dsa_engine_run(struct dsa_queue *queue, u64 *slice)
{
	return task_run(queue, &queue->task, slice);
}
