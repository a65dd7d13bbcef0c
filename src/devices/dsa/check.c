/* SPDX-License-Identifier: MIT */
/*
 * What makes a descriptor invalid (DSA 5.8, 8.1 and each operation of 8.3).
 * A descriptor is a copy of ours by now.
 */
#include "devices/dsa/dsa.h"

#define COMMON (DSA_FLAG_RECORD_OK | DSA_FLAG_RECORD | DSA_FLAG_IRQ | DSA_FLAG_TC_RECORD)
#define WRITES (DSA_FLAG_CACHE | DSA_FLAG_STRICT | DSA_FLAG_READBACK)
#define CRC    (DSA_FLAG_CRC_SEED | DSA_FLAG_CRC_RAW | DSA_FLAG_CRC_DATARAW)

/* Bytes of a descriptor, from the 16th on, as bits */
#define BYTES(first, n) ((BIT_ULL(n) - 1) << ((first)-16))
#define SRC		BYTES(16, 8)
#define DST		BYTES(24, 8)
#define SIZE		BYTES(32, 4)

/**
 * struct shape - of an operation
 * @flags: that mean something; @used: bytes that do; the others must be 0
 */
struct shape {
	u32 flags;
	u64 used;
};

static const struct shape shapes[] = {
	[DSA_OP_NOOP] = {0, 0},
	[DSA_OP_BATCH] = {DSA_FLAG_BLOCK | DSA_FLAG_TC1, SRC | SIZE},
	[DSA_OP_DRAIN] = {DSA_FLAG_TC1 | DSA_FLAG_TC2 | DSA_FLAG_DRAIN1 | DSA_FLAG_DRAIN2,
			  SRC | DST},
	[DSA_OP_MOVE] = {DSA_FLAG_BLOCK | WRITES | DSA_FLAG_TC1 | DSA_FLAG_TC2, SRC | DST | SIZE},
	[DSA_OP_FILL] = {DSA_FLAG_BLOCK | WRITES | DSA_FLAG_TC2, SRC | DST | SIZE},
	[DSA_OP_COMPARE] = {DSA_FLAG_BLOCK | DSA_FLAG_CHECK | DSA_FLAG_TC1 | DSA_FLAG_TC2,
			    SRC | DST | SIZE | BYTES(40, 1)},
	[DSA_OP_COMPARE_PATTERN] = {DSA_FLAG_BLOCK | DSA_FLAG_CHECK | DSA_FLAG_TC1,
				    SRC | DST | SIZE | BYTES(40, 1)},
	[DSA_OP_DELTA_CREATE] = {DSA_FLAG_BLOCK | DSA_FLAG_CHECK | WRITES | DSA_FLAG_TC1 |
					 DSA_FLAG_TC2 | DSA_FLAG_TC3,
				 SRC | DST | SIZE | BYTES(40, 12) | BYTES(56, 1)},
	[DSA_OP_DELTA_APPLY] = {DSA_FLAG_BLOCK | WRITES | DSA_FLAG_TC1 | DSA_FLAG_TC2,
				SRC | DST | SIZE | BYTES(40, 4)},
	[DSA_OP_DUALCAST] = {DSA_FLAG_BLOCK | WRITES | DSA_FLAG_TC1 | DSA_FLAG_TC2 | DSA_FLAG_TC3,
			     SRC | DST | SIZE | BYTES(40, 8)},
	[DSA_OP_CRC] = {DSA_FLAG_BLOCK | CRC | DSA_FLAG_TC1 | DSA_FLAG_TC3,
			SRC | SIZE | BYTES(40, 4) | BYTES(48, 8)},
	[DSA_OP_COPY_CRC] = {DSA_FLAG_BLOCK | WRITES | CRC | DSA_FLAG_TC1 | DSA_FLAG_TC2 |
				     DSA_FLAG_TC3,
			     SRC | DST | SIZE | BYTES(40, 4) | BYTES(48, 8)},
	[DSA_OP_CACHE_FLUSH] = {DSA_FLAG_BLOCK | DSA_FLAG_CACHE | DSA_FLAG_TC2, DST | SIZE},
};

static bool opcode_ok(const struct dsa_queue *queue, const struct dsa_task *task)
{
	u8 op = DSA_DESC_OP(&task->desc);

	/* A batch in a batch and a drain in one are not supported (DSA 3.8, 3.9). */
	if (task->member && (op == DSA_OP_BATCH || op == DSA_OP_DRAIN))
		return false;
	return op < 64 && queue->cfg.ops & BIT_ULL(op) & DSA_OPCAP;
}

static u32 bad_flags(const struct dsa_queue *queue, const struct dsa_task *task)
{
	const struct dsa_desc *desc = &task->desc;
	u32 flags = DSA_DESC_FLAGS(desc);
	u32 good = shapes[DSA_DESC_OP(desc)].flags | COMMON;

	if (task->member)
		good |= DSA_FLAG_FENCE;
	if (!queue->cfg.block)
		good &= ~DSA_FLAG_BLOCK;
	if (!(flags & DSA_FLAG_RECORD_OK))
		good &= ~DSA_FLAG_RECORD;
	return flags & ~good;
}

static bool reserved_zero(const struct dsa_desc *desc)
{
	const u8 *bytes = (const u8 *)desc;
	/* The interrupt handle is not looked at unless an interrupt is asked for. */
	u64 used = shapes[DSA_DESC_OP(desc)].used | BYTES(36, 2);

	if (desc->trusted & 0x7ff00000)
		return false;
	for (unsigned int i = 16; i < sizeof(*desc); i++)
		if (bytes[i] && !(used & BYTES(i, 1)))
			return false;
	return true;
}

bool dsa_check_handle(struct dsa_queue *queue, const struct dsa_desc *desc)
{
	struct dsa *dsa = queue->dsa;
	ioasid_t pasid = dsa_task_pasid(queue, desc);
	u32 perm;

	/* Vector 0 is not for completions (DSA 3.7). */
	if (!desc->handle || desc->handle >= dsa->desc.msix_vectors)
		return false;
	dsa_lock(dsa);
	perm = dsa->msixperm[desc->handle];
	dsa_unlock(dsa);
	if (perm & DSA_PERM_IGNORE)
		return true;
	if (perm & DSA_PERM_PASID_EN)
		return queue->cfg.pasid_en && DSA_PERM_PASID(perm) == pasid;
	return !queue->cfg.pasid_en;
}

static bool overlap(u64 a, u64 a_len, u64 b, u64 b_len)
{
	u64 a_last, b_last;

	/* What wraps fails when it is reached. */
	if (range_last(a, a_len, &a_last) || range_last(b, b_len, &b_last))
		return false;
	return ranges_overlap(a, a_last, b, b_last);
}

static u8 check_delta(const struct dsa_desc *desc, bool apply)
{
	u64 record = apply ? desc->src : desc->op.delta.addr;
	u64 length = apply ? desc->op.delta_size : desc->op.delta.max;

	if (desc->size % 8 || desc->size > DSA_DELTA_XFER)
		return DSA_BAD_SIZE;
	if ((desc->src | desc->dst | record) % 8)
		return DSA_BAD_ALIGN;
	if (length % DSA_DELTA_ENTRY || length < (apply ? DSA_DELTA_ENTRY : 8 * DSA_DELTA_ENTRY))
		return DSA_BAD_DELTA;
	if (overlap(record, length, desc->dst, desc->size) ||
	    (!apply && overlap(record, length, desc->src, desc->size)))
		return DSA_OVERLAPS;
	return DSA_OK;
}

static u8 check_batch(const struct dsa_queue *queue, const struct dsa_desc *desc)
{
	if (desc->size < 2 || desc->size > queue->cfg.max_batch)
		return DSA_BAD_COUNT;
	return desc->src % DSA_LIST_ALIGN ? DSA_BAD_LIST : DSA_OK;
}

static u8 check_operands(const struct dsa_queue *queue, const struct dsa_desc *desc)
{
	u8 op = DSA_DESC_OP(desc);

	if (op == DSA_OP_NOOP || op == DSA_OP_DRAIN)
		return DSA_OK;
	if (op == DSA_OP_BATCH)
		return check_batch(queue, desc);
	if (!desc->size || desc->size > queue->cfg.max_xfer)
		return DSA_BAD_SIZE;
	switch (op) {
	case DSA_OP_DELTA_CREATE:
	case DSA_OP_DELTA_APPLY:
		return check_delta(desc, op == DSA_OP_DELTA_APPLY);
	case DSA_OP_DUALCAST:
		if ((desc->dst ^ desc->op.dst2) & 0xfff)
			return DSA_BAD_DUALCAST;
		if (overlap(desc->dst, desc->size, desc->op.dst2, desc->size) ||
		    overlap(desc->src, desc->size, desc->op.dst2, desc->size) ||
		    overlap(desc->src, desc->size, desc->dst, desc->size))
			return DSA_OVERLAPS;
		return DSA_OK;
	case DSA_OP_COPY_CRC:
		if (overlap(desc->src, desc->size, desc->dst, desc->size))
			return DSA_OVERLAPS;
		/* fall through */
	case DSA_OP_CRC:
		if (DSA_DESC_FLAGS(desc) & DSA_FLAG_CRC_SEED && desc->op.crc.addr % 4)
			return DSA_BAD_ALIGN;
		return DSA_OK;
	default:
		return DSA_OK;
	}
}

u8 dsa_check(const struct dsa_queue *queue, const struct dsa_task *task, u32 *ret_flags)
{
	const struct dsa_desc *desc = &task->desc;

	if (DSA_DESC_FLAGS(desc) & DSA_FLAG_RECORD_OK && desc->record % DSA_RECORD_ALIGN_BYTES)
		return DSA_RECORD_ALIGN;
	if (!opcode_ok(queue, task))
		return DSA_BAD_OPCODE;
	*ret_flags = bad_flags(queue, task);
	if (*ret_flags)
		return DSA_BAD_FLAGS;
	if (!reserved_zero(desc))
		return DSA_NOT_ZERO;
	/* Of a dedicated queue it is the queue that has a privilege (DSA 3.4). */
	if (!queue->cfg.dedicated && desc->trusted & DSA_DESC_PRIV && !queue->cfg.priv)
		return DSA_BAD_PRIV;
	return check_operands(queue, desc);
}
