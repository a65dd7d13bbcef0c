/* SPDX-License-Identifier: MIT */
/*
 * The state of a controller as bytes.  Commands under way travel as commands to be
 * begun again, or as completions to be posted; blocks in memory travel too, those of an image do
 * not. What is loaded may be anything: all of it is checked before any of it is used.
 */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "devices/nvme/nvme.h"

#define MAGIC 0x31304d564eULL /* "NVM01" */
#define REGS  ((NVME_REG_END - NVME_REG_CC) / 4)
#define CHUNK (1U << 20)

struct saved_sq {
	u64 base;
	u32 size, head, tail;
	u16 cq_id;
	u16 live;
};

struct saved_cq {
	u64 base;
	u32 size, head, tail, unsignaled;
	u16 vector;
	u8 live, irq, phase, pad[3];
};

/** struct saved_req - @redo: begin it; else post it with @status and @result */
struct saved_req {
	struct nvme_cmd cmd;
	u32 result;
	u16 status;
	u16 sq_id;
	u32 redo;
	u32 pad;
};

struct saved {
	u64 magic;
	u64 bytes; /* of the namespace */
	u32 num_queues, first_shift, shift, on;
	u32 csts, mask, page_shift, cc;
	u8 clean, bad_start, changed_ns, pad;
	u32 num_events, pending_events, masked_types, kelvin, critical, slow_ms;
	u16 events[NVME_EVENT_SLOTS];
	u32 regs[REGS];
	u64 doorbells[NVME_QUEUES]; /* as they are, and as we know them */
	u64 known[NVME_QUEUES];
	u64 timestamp_age;
	u64 error_count;
	struct nvme_features features;
	struct nvme_counters counters;
	struct nvme_error_entry errors[NVME_ERRORS];
	struct saved_sq sq[NVME_QUEUES];
	struct saved_cq cq[NVME_QUEUES];
	u32 num_reqs, num_pieces;
	struct saved_req reqs[NVME_REQUESTS];
};

/** struct piece - of the blocks, with its bytes behind it */
struct piece {
	u64 offset;
	u64 len;
};

/* ---- save ---- */

static void save_req(struct saved *saved, const struct nvme_req *req, bool redo)
{
	if (req->internal)
		return;
	saved->reqs[saved->num_reqs++] = (struct saved_req){.cmd = req->cmd,
							    .result = req->result,
							    .status = redo ? 0 : (u16)req->status,
							    .sq_id = req->sq_id,
							    .redo = redo};
}

static void save_pool_req(const struct nvme_req *req, bool begun, void *data)
{
	save_req(data, req, !begun || req->status == NVME_BLOCKED);
}

static void save_reqs(struct nvme *nvme, struct saved *saved)
{
	struct nvme_req *req;

	nvme_pool_each(&nvme->pool, save_pool_req, saved);
	cds_list_for_each_entry (req, &nvme->stalled, node)
		save_req(saved, req, false);
	cds_list_for_each_entry (req, &nvme->redo, node)
		save_req(saved, req, true);
	for (u32 i = 0; i < NVME_QUEUES; i++)
		if (nvme->sq[i].deleter)
			save_req(saved, nvme->sq[i].deleter, true);
}

static void save_queues(const struct nvme *nvme, struct saved *saved)
{
	for (u32 i = 0; i < NVME_QUEUES; i++) {
		const struct nvme_sq *sq = &nvme->sq[i];
		const struct nvme_cq *cq = &nvme->cq[i];
		u32 offset = NVME_REG_DOORBELLS + 8 * i;

		saved->sq[i] = (struct saved_sq){sq->base, sq->size,  sq->head,
						 sq->tail, sq->cq_id, sq->live};
		saved->cq[i] =
			(struct saved_cq){cq->base,   cq->size, cq->head, cq->tail, cq->unsignaled,
					  cq->vector, cq->live, cq->irq,  cq->phase};
		saved->doorbells[i] = nvme_reg(nvme, offset) | (u64)nvme_reg(nvme, offset + 4)
								       << 32;
		saved->known[i] = nvme->doorbells[i];
	}
}

static void save(struct nvme *nvme, struct saved *saved)
{
	u64 blocks;

	nvme_ns_size(nvme->ns, &saved->shift, &blocks);
	saved->magic = MAGIC;
	saved->bytes = blocks << saved->shift;
	saved->num_queues = nvme->num_queues;
	saved->first_shift = nvme->ns->first_shift;
	saved->on = nvme->state != NVME_OFF;
	saved->csts = atomic_load(&nvme->csts);
	saved->mask = atomic_load(&nvme->mask);
	saved->page_shift = nvme->page_shift;
	saved->cc = nvme->cc;
	saved->clean = nvme->clean;
	saved->bad_start = nvme->bad_start;
	saved->changed_ns = nvme->changed_ns;
	saved->num_events = nvme->num_events;
	memcpy(saved->events, nvme->events, sizeof(saved->events));
	saved->pending_events = nvme->pending_events | atomic_load(&nvme->injected);
	saved->masked_types = nvme->masked_types;
	saved->kelvin = atomic_load(&nvme->kelvin);
	saved->critical = atomic_load(&nvme->critical);
	saved->slow_ms = atomic_load(&nvme->slow_ms);
	for (u32 i = 0; i < REGS; i++)
		saved->regs[i] = nvme_reg(nvme, NVME_REG_CC + 4 * i);
	saved->features = nvme->features;
	saved->timestamp_age = nvme_now() - nvme->features.timestamp_at;
	saved->counters = nvme->counters;
	memcpy(saved->errors, nvme->errors, sizeof(saved->errors));
	saved->error_count = nvme->error_count;
	save_queues(nvme, saved);
	if (nvme->state == NVME_ON)
		save_reqs(nvme, saved);
}

/* ---- blocks in memory ---- */

/* The next piece with anything in it at or after @from; false: there is none. */
static bool next_piece(const struct nvme_ns *ns, u64 from, u64 bytes, struct piece *ret)
{
	off_t start = lseek(ns->fd, (off_t)from, SEEK_DATA), end;

	if (start < 0 || (u64)start >= bytes)
		return false;
	end = lseek(ns->fd, start, SEEK_HOLE);
	if (end < 0 || (u64)end > bytes)
		end = (off_t)bytes;
	*ret = (struct piece){(u64)start, MIN((u64)(end - start), (u64)CHUNK)};
	return true;
}

static size_t pieces_size(const struct nvme_ns *ns, u64 bytes, u32 *ret_count)
{
	struct piece piece = {0};
	size_t size = 0;

	*ret_count = 0;
	while (next_piece(ns, piece.offset + piece.len, bytes, &piece)) {
		size += sizeof(piece) + piece.len;
		++*ret_count;
	}
	return size;
}

static int save_pieces(const struct nvme_ns *ns, u64 bytes, u32 count, u8 *to, const u8 *end)
{
	struct piece piece = {0};

	for (u32 i = 0; i < count; i++) {
		if (!next_piece(ns, piece.offset + piece.len, bytes, &piece) ||
		    sizeof(piece) + piece.len > (size_t)(end - to))
			return -EBUSY; /* another function writes */
		memcpy(to, &piece, sizeof(piece));
		to += sizeof(piece);
		if (pread(ns->fd, to, piece.len, (off_t)piece.offset) != (ssize_t)piece.len)
			return -EIO;
		to += piece.len;
	}
	return 0;
}

int nvme_migrate_save(struct pci_dev *pdev, void **ret_data, size_t *ret_len)
{
	struct nvme *nvme = to_nvme(pdev);
	struct saved *saved;
	u32 shift, pieces = 0;
	size_t len = sizeof(*saved);
	u64 blocks;
	int rc;

	nvme_pool_wait(&nvme->pool);
	nvme_ns_size(nvme->ns, &shift, &blocks);
	if (nvme->ns->memory)
		len += pieces_size(nvme->ns, blocks << shift, &pieces);
	saved = zalloc(len);
	if (!saved)
		return -ENOMEM;
	save(nvme, saved);
	saved->num_pieces = pieces;
	rc = save_pieces(nvme->ns, saved->bytes, pieces, (u8 *)(saved + 1), (u8 *)saved + len);
	if (rc) {
		free(saved);
		return rc;
	}
	*ret_data = saved;
	*ret_len = len;
	return 0;
}

/* ---- load: is it sound? ---- */

static bool sq_sound(const struct saved *saved, u32 id)
{
	const struct saved_sq *sq = &saved->sq[id];

	return !sq->live ||
	       (sq->size >= 2 && sq->size <= NVME_ENTRIES && sq->head < sq->size &&
		sq->tail < sq->size && sq->cq_id < saved->num_queues && saved->cq[sq->cq_id].live &&
		!id == !sq->cq_id && id < saved->num_queues);
}

static bool cq_sound(const struct saved *saved, u32 id)
{
	const struct saved_cq *cq = &saved->cq[id];

	return !cq->live ||
	       (cq->size >= 2 && cq->size <= NVME_ENTRIES && cq->head < cq->size &&
		cq->tail < cq->size && cq->vector < saved->num_queues && id < saved->num_queues);
}

/* With all its requests a CQ must have room. */
static bool cqs_fit(const struct saved *saved)
{
	for (u32 i = 0; i < saved->num_queues; i++) {
		const struct saved_cq *cq = &saved->cq[i];
		u32 used =
			cq->tail >= cq->head ? cq->tail - cq->head : cq->tail + cq->size - cq->head;

		if (!cq->live)
			continue;
		for (u32 k = 0; k < saved->num_reqs; k++)
			used += saved->sq[saved->reqs[k].sq_id].cq_id == i;
		if (used > cq->size - 1)
			return false;
	}
	return true;
}

static bool sound(const struct nvme *nvme, const struct saved *saved)
{
	if (saved->magic != MAGIC || saved->num_queues != nvme->num_queues ||
	    saved->first_shift != nvme->ns->first_shift ||
	    (saved->shift != 9 && saved->shift != 12) || saved->num_events > NVME_EVENT_SLOTS ||
	    saved->num_reqs > NVME_REQUESTS || saved->pending_events >> NVME_EVENTS ||
	    saved->on > 1 || saved->kelvin > 0xffff ||
	    saved->page_shift > NVME_PAGE_SHIFT + NVME_MPS_MAX)
		return false;
	if (saved->on && (saved->page_shift < NVME_PAGE_SHIFT || !saved->sq[0].live))
		return false;
	for (u32 i = 0; i < NVME_QUEUES; i++)
		if (!sq_sound(saved, i) || !cq_sound(saved, i) ||
		    (!saved->on && (saved->sq[i].live || saved->cq[i].live)))
			return false;
	for (u32 i = 0; i < saved->num_reqs; i++)
		if (saved->reqs[i].sq_id >= saved->num_queues || saved->reqs[i].status & 0x8000 ||
		    !saved->sq[saved->reqs[i].sq_id].live)
			return false;
	return cqs_fit(saved);
}

static bool pieces_sound(const struct saved *saved, const u8 *from, const u8 *end)
{
	struct piece piece;

	for (u32 i = 0; i < saved->num_pieces; i++) {
		if ((size_t)(end - from) < sizeof(piece))
			return false;
		memcpy(&piece, from, sizeof(piece));
		from += sizeof(piece);
		if (piece.len > (size_t)(end - from) || piece.offset > saved->bytes ||
		    piece.len > saved->bytes - piece.offset)
			return false;
		from += piece.len;
	}
	return from == end;
}

/* ---- load ---- */

static int load_pieces(const struct nvme_ns *ns, const struct saved *saved)
{
	const u8 *from = (const u8 *)(saved + 1);
	struct piece piece;

	if (ftruncate(ns->fd, 0) || ftruncate(ns->fd, (off_t)saved->bytes))
		return -EIO;
	for (u32 i = 0; i < saved->num_pieces; i++) {
		memcpy(&piece, from, sizeof(piece));
		from += sizeof(piece);
		if (pwrite(ns->fd, from, piece.len, (off_t)piece.offset) != (ssize_t)piece.len)
			return -ENOMEM;
		from += piece.len;
	}
	return 0;
}

static int load_ns(struct nvme_ns *ns, const struct saved *saved)
{
	u32 shift;
	u64 blocks;

	nvme_ns_size(ns, &shift, &blocks);
	if (ALIGN_DOWN(blocks << shift, BIT_ULL(saved->shift)) != saved->bytes)
		return -EINVAL;
	if (ns->memory)
		return load_pieces(ns, saved);
	return 0;
}

static void load_queues(struct nvme *nvme, const struct saved *saved)
{
	for (u32 i = 0; i < nvme->num_queues; i++) {
		const struct saved_sq *sq = &saved->sq[i];
		const struct saved_cq *cq = &saved->cq[i];

		nvme->sq[i] = (struct nvme_sq){.live = sq->live,
					       .cq_id = sq->cq_id,
					       .size = sq->size,
					       .head = sq->head,
					       .tail = sq->tail,
					       .base = sq->base};
		nvme->cq[i].live = cq->live;
		nvme->cq[i].irq = cq->irq;
		nvme->cq[i].phase = cq->phase & 1;
		nvme->cq[i].vector = cq->vector;
		nvme->cq[i].size = cq->size;
		nvme->cq[i].head = cq->head;
		nvme->cq[i].tail = cq->tail;
		nvme->cq[i].base = cq->base;
		nvme->cq[i].unsignaled = cq->unsignaled;
		if (sq->live)
			nvme->cq[sq->cq_id].sqs++;
		if (sq->live || cq->live)
			nvme->top = i;
	}
	for (u32 i = 0; i < NVME_QUEUES; i++) {
		nvme->doorbells[i] = saved->known[i];
		nvme_reg_set(nvme, NVME_REG_DOORBELLS + 8 * i, (u32)saved->doorbells[i]);
		nvme_reg_set(nvme, NVME_REG_DOORBELLS + 8 * i + 4,
			     (u32)(saved->doorbells[i] >> 32));
	}
}

static void load_reqs(struct nvme *nvme, const struct saved *saved)
{
	for (u32 i = 0; i < saved->num_reqs; i++) {
		const struct saved_req *from = &saved->reqs[i];
		struct nvme_req *req = nvme_req_restore(nvme, from->sq_id);

		req->cmd = from->cmd;
		req->status = from->status;
		req->result = from->result;
		cds_list_add_tail(&req->node, from->redo ? &nvme->redo : &nvme->stalled);
	}
}

static void load_regs(struct nvme *nvme, const struct saved *saved)
{
	for (u32 i = 0; i < REGS; i++)
		nvme_reg_set(nvme, NVME_REG_CC + 4 * i, saved->regs[i]);
	atomic_store(&nvme->csts, saved->csts & 0x1f);
	nvme_csts_change(nvme, 0, 0);
	nvme_mask_change(nvme, saved->mask, 0);
}

static void load(struct nvme *nvme, const struct saved *saved)
{
	load_regs(nvme, saved);
	nvme->cc = saved->cc;
	nvme->page_shift = saved->page_shift;
	nvme->clean = saved->clean;
	nvme->bad_start = saved->bad_start;
	nvme->changed_ns = saved->changed_ns;
	nvme->num_events = saved->num_events;
	memcpy(nvme->events, saved->events, sizeof(nvme->events));
	nvme->pending_events = saved->pending_events;
	nvme->masked_types = saved->masked_types;
	atomic_store(&nvme->kelvin, saved->kelvin);
	atomic_store(&nvme->critical, saved->critical & 0x1f);
	atomic_store(&nvme->slow_ms, saved->slow_ms);
	memcpy(&nvme->features, &saved->features, offsetof(struct nvme_features, timestamp_set));
	nvme->features.timestamp_at = nvme_now() - saved->timestamp_age;
	for (u32 i = 0; i < NVME_QUEUES; i++)
		nvme->features.uncoalesced[i] = *(const u8 *)&saved->features.uncoalesced[i] & 1;
	nvme->features.timestamp_set = *(const u8 *)&saved->features.timestamp_set & 1;
	nvme->counters = saved->counters;
	memcpy(nvme->errors, saved->errors, sizeof(nvme->errors));
	nvme->error_count = saved->error_count;
	load_queues(nvme, saved);
	load_reqs(nvme, saved);
	nvme->ns_changes = atomic_load(&nvme->ns->changes);
	nvme->state = saved->on ? NVME_ON : NVME_OFF;
	atomic_store(&nvme->irq_stale, true);
}

int nvme_migrate_load(struct pci_dev *pdev, const void *data, size_t len)
{
	struct nvme *nvme = to_nvme(pdev);
	const struct saved *saved = data;
	int rc;

	if (len < sizeof(*saved) || !sound(nvme, saved) ||
	    !pieces_sound(saved, (const u8 *)(saved + 1), (const u8 *)data + len) ||
	    (saved->num_pieces && !nvme->ns->memory))
		return -EINVAL;
	pdev->ops->reset(pdev);
	if (!nvme_ns_claim(nvme->ns))
		return -EBUSY;
	rc = nvme_ns_quiet(nvme->ns) ? load_ns(nvme->ns, saved) : -EBUSY;
	nvme_ns_formatted(nvme->ns, rc ? 0 : saved->shift);
	if (!rc)
		load(nvme, saved);
	return rc;
}
