/* SPDX-License-Identifier: MIT */
/*
 * Operations on memory (DSA 8.3).  Operands are borrowed by pointer, a chunk at a
 * time, and walked together; an operation is what it does with one piece of each.
 * What is to be looked at is copied to the stack first, because it may vanish.
 */
#include <string.h>

#include "devices/dsa/dsa.h"

#define BLOCK 4096U

/* ---- borrowing ---- */

/** struct window - @len bytes of each operand from @offset on; nothing is held while a map is NULL
 */
struct window {
	struct iommufd_dma_map *maps[DSA_OPERANDS];
	u64 offset;
	u64 len;
};

int dsa_fault_set(struct dsa_fault *fault, int rc, const struct iommufd_dma_fault *dma)
{
	switch (rc) {
	case -EFAULT:
	case -EACCES:
	case -ERANGE:
	case -EINVAL: /* past the end of all addresses */
		fault->status = DSA_PAGE_FAULT;
		break;
	case -EIO:
	case -ENOMEM:
		fault->status = DSA_HW_ERROR;
		break;
	default:
		fault->status = DSA_NO_TRANSLATION;
		break;
	}
	fault->addr = dma->iova;
	fault->write = dma->access & IOMMU_WRITE;
	return -1;
}

static int window_close(struct window *w)
{
	int rc = 0;

	for (int i = 0; i < DSA_OPERANDS; i++) {
		if (iommufd_dma_unmap(w->maps[i]))
			rc = -EIO;
		w->maps[i] = NULL;
	}
	return rc;
}

static int window_try(struct window *w, struct device *dev, ioasid_t pasid,
		      const struct dsa_operand *operands, unsigned int n,
		      struct iommufd_dma_fault *fault, u64 *ret_good)
{
	for (unsigned int i = 0; i < n; i++) {
		u64 iova = operands[i].iova + w->offset;
		int rc = iova < w->offset ? -EINVAL
					  : iommufd_dma_map(dev, pasid, iova, w->len,
							    operands[i].access, &w->maps[i], fault);

		if (!rc)
			continue;
		if (rc == -EINVAL)
			*fault = (struct iommufd_dma_fault){.iova = iova,
							    .access = operands[i].access};
		*ret_good = fault->iova - iova;
		window_close(w);
		return rc;
	}
	return 0;
}

/* Bytes from the last page border before the end of an operand to its end: what can be had at all.
 */
static u64 window_tail(const struct window *w, const struct dsa_operand *operands, unsigned int n)
{
	u64 tail = w->len;

	for (unsigned int i = 0; i < n; i++)
		tail = MIN(tail, ((operands[i].iova + w->offset + w->len - 1) & ~PAGE_MASK) + 1);
	return tail;
}

/* Borrow as much as can be had, from the front or, if @backward, from the back. */
static int window_open(struct window *w, struct device *dev, ioasid_t pasid,
		       const struct dsa_operand *operands, unsigned int n, bool backward,
		       struct dsa_fault *fault)
{
	struct iommufd_dma_fault dma = {0};
	u64 good, shorter;
	int rc;

	for (;;) {
		good = 0;
		rc = window_try(w, dev, pasid, operands, n, &dma, &good);
		if (!rc)
			return 0;
		shorter = backward ? window_tail(w, operands, n) : good;
		if (!shorter || shorter >= w->len)
			return dsa_fault_set(fault, rc, &dma);
		if (backward)
			w->offset += w->len - shorter;
		w->len = shorter;
	}
}

/* ---- walking ---- */

/** struct cursor - in an operand's pieces; @seg, @used: the bytes of it that are behind us */
struct cursor {
	const struct iommufd_dma_map *map;
	u32 seg;
	size_t used;
};

static size_t cursor_left(const struct cursor *c)
{
	return c->map->segs[c->seg].length - c->used;
}

/* @len bytes of the piece, from its front or its back; the cursor goes past them. */
static u8 *cursor_take(struct cursor *c, size_t len, bool backward)
{
	const struct iommufd_dma_seg *seg = &c->map->segs[c->seg];
	u8 *ptr = (u8 *)seg->ptr + (backward ? seg->length - c->used - len : c->used);

	c->used += len;
	if (c->used == seg->length) {
		c->used = 0;
		c->seg += backward ? -1 : 1;
	}
	return ptr;
}

static int window_walk(struct window *w, struct dsa_task *task, unsigned int n,
		       dsa_kernel_fn kernel)
{
	struct cursor cursors[DSA_OPERANDS];
	u8 *ptr[DSA_OPERANDS] = {0};
	u64 left = w->len;
	int rc = 0;

	for (unsigned int i = 0; i < n; i++)
		cursors[i] = (struct cursor){
			.map = w->maps[i],
			.seg = task->backward ? w->maps[i]->count - 1 : 0,
		};
	while (left && !rc) {
		size_t len = left;

		for (unsigned int i = 0; i < n; i++)
			len = MIN(len, cursor_left(&cursors[i]));
		for (unsigned int i = 0; i < n; i++)
			ptr[i] = cursor_take(&cursors[i], len, task->backward);
		rc = kernel(task, ptr, len);
		if (!rc)
			task->done += len;
		left -= len;
	}
	return rc;
}

int dsa_walk(struct device *dev, ioasid_t pasid, struct dsa_task *task,
	     const struct dsa_operand *operands, unsigned int n, u64 len, dsa_kernel_fn kernel,
	     struct dsa_fault *fault)
{
	u64 left = task->desc.size - task->done;
	struct window w = {.len = MIN(MIN(len, left), DSA_CHUNK)};
	int rc;

	w.offset = task->backward ? left - w.len : task->done;
	rc = window_open(&w, dev, pasid, operands, n, task->backward, fault);
	if (rc)
		return rc;
	rc = window_walk(&w, task, n, kernel);
	if (window_close(&w))
		rc = -EIO;
	if (rc >= 0)
		return rc;
	*fault = (struct dsa_fault){.addr = operands[0].iova + task->done, .status = DSA_HW_ERROR};
	return -1;
}

/* ---- what is done with a piece ---- */

/* Through the stack, block by block and each read whole before it is written: pieces that overlap.
 */
static int move_blocks(u8 *dst, const u8 *src, size_t len, bool backward)
{
	u8 block[BLOCK];
	int rc = 0;

	for (size_t done = 0; done < len && !rc;) {
		size_t n = MIN(len - done, sizeof(block));
		size_t at = backward ? len - done - n : done;

		rc = iommufd_dma_copy(block, src + at, n);
		if (!rc)
			rc = iommufd_dma_copy(dst + at, block, n);
		done += n;
	}
	return rc;
}

static int kernel_move(struct dsa_task *task, u8 *const ptr[], size_t len)
{
	/* Two addresses may also be the same memory. */
	if (task->overlap || (ptr[0] < ptr[1] + len && ptr[1] < ptr[0] + len))
		return move_blocks(ptr[1], ptr[0], len, task->backward);
	return iommufd_dma_copy(ptr[1], ptr[0], len);
}

static int kernel_dualcast(struct dsa_task *task, u8 *const ptr[], size_t len)
{
	u8 block[BLOCK];
	int rc = 0;

	for (size_t at = 0; at < len && !rc; at += sizeof(block)) {
		size_t n = MIN(len - at, sizeof(block));

		rc = iommufd_dma_copy(block, ptr[0] + at, n);
		if (!rc)
			rc = iommufd_dma_copy(ptr[1] + at, block, n);
		if (!rc)
			rc = iommufd_dma_copy(ptr[2] + at, block, n);
	}
	return rc;
}

/* @block: BLOCK bytes and 8 more of a pattern that begins with byte @at of an operation */
static const u8 *pattern_block(u8 *block, u64 pattern, u64 at)
{
	for (size_t i = 0; i < BLOCK + 8; i += 8)
		memcpy(block + i, &pattern, 8);
	return block + at % 8;
}

static int kernel_fill(struct dsa_task *task, u8 *const ptr[], size_t len)
{
	u8 block[BLOCK + 8];
	const u8 *pattern = pattern_block(block, task->desc.src, task->done);
	int rc = 0;

	for (size_t at = 0; at < len && !rc; at += BLOCK)
		rc = iommufd_dma_copy(ptr[0] + at, pattern, MIN(len - at, BLOCK));
	return rc;
}

/* Differ at some byte: there the comparison ends. */
static int compare_block(struct dsa_task *task, size_t at, const u8 *a, const u8 *b, size_t len)
{
	size_t i = 0;

	if (!memcmp(a, b, len))
		return 0;
	while (a[i] == b[i])
		i++;
	task->done += at + i;
	task->result = 1;
	return 1;
}

static int kernel_compare(struct dsa_task *task, u8 *const ptr[], size_t len)
{
	u8 a[BLOCK], b[BLOCK];
	int rc = 0;

	for (size_t at = 0; at < len && !rc; at += BLOCK) {
		size_t n = MIN(len - at, BLOCK);

		rc = iommufd_dma_copy(a, ptr[0] + at, n);
		if (!rc)
			rc = iommufd_dma_copy(b, ptr[1] + at, n);
		if (!rc)
			rc = compare_block(task, at, a, b, n);
	}
	return rc;
}

static int kernel_compare_pattern(struct dsa_task *task, u8 *const ptr[], size_t len)
{
	u8 block[BLOCK + 8], a[BLOCK];
	const u8 *pattern = pattern_block(block, task->desc.dst, task->done);
	int rc = 0;

	for (size_t at = 0; at < len && !rc; at += BLOCK) {
		size_t n = MIN(len - at, BLOCK);

		rc = iommufd_dma_copy(a, ptr[0] + at, n);
		if (!rc)
			rc = compare_block(task, at, a, pattern, n);
	}
	return rc;
}

static int crc_pieces(struct dsa_task *task, const u8 *src, u8 *dst, size_t len)
{
	bool raw = DSA_DESC_FLAGS(&task->desc) & DSA_FLAG_CRC_DATARAW;
	u8 block[BLOCK];
	u32 crc = task->crc;
	int rc = 0;

	for (size_t at = 0; at < len && !rc; at += BLOCK) {
		size_t n = MIN(len - at, BLOCK);

		rc = iommufd_dma_copy(block, src + at, n);
		if (!rc && dst)
			rc = iommufd_dma_copy(dst + at, block, n);
		if (!rc)
			crc = dsa_crc32c(crc, block, n, raw);
	}
	if (!rc)
		task->crc = crc;
	return rc;
}

static int kernel_crc(struct dsa_task *task, u8 *const ptr[], size_t len)
{
	return crc_pieces(task, ptr[0], NULL, len);
}

static int kernel_copy_crc(struct dsa_task *task, u8 *const ptr[], size_t len)
{
	return crc_pieces(task, ptr[0], ptr[1], len);
}

/* Memory is coherent: what is left of a flush is that each page is reached. */
static int kernel_none(struct dsa_task *task, u8 *const ptr[], size_t len)
{
	return 0;
}

/* ---- operations ---- */

/* Addresses in one space (a descriptor has one PASID): a move goes backward if it must. */
static void move_begin(struct dsa_task *task)
{
	const struct dsa_desc *desc = &task->desc;

	task->overlap = desc->dst - desc->src < desc->size || desc->src - desc->dst < desc->size;
	task->backward = task->overlap && desc->dst > desc->src;
	task->result = task->backward;
}

static int crc_begin(struct device *dev, ioasid_t pasid, struct dsa_task *task,
		     struct dsa_fault *fault)
{
	const struct dsa_desc *desc = &task->desc;
	struct iommufd_dma_fault dma = {0};
	u32 flags = DSA_DESC_FLAGS(desc);
	u32 seed = desc->op.crc.seed;
	int rc;

	if (flags & DSA_FLAG_CRC_SEED) {
		rc = iommufd_dma_read(dev, pasid, desc->op.crc.addr, &seed, sizeof(seed), &dma);
		if (rc)
			return dsa_fault_set(fault, rc, &dma);
	}
	task->crc = flags & DSA_FLAG_CRC_RAW ? dsa_reverse32(seed) : ~seed;
	return 0;
}

/* Read what was asked to be read back: everything before has arrived then. */
static int drain_step(struct device *dev, ioasid_t pasid, struct dsa_task *task, u8 *ret_status,
		      struct dsa_fault *fault)
{
	const struct dsa_desc *desc = &task->desc;
	const u64 addr[] = {desc->src, desc->dst};
	const u32 flag[] = {DSA_FLAG_DRAIN1, DSA_FLAG_DRAIN2};
	struct iommufd_dma_fault dma = {0};
	u8 byte;

	*ret_status = DSA_OK;
	for (int i = 0; i < 2; i++) {
		if (!(DSA_DESC_FLAGS(desc) & flag[i]) ||
		    !iommufd_dma_read(dev, pasid, addr[i], &byte, 1, &dma))
			continue;
		*fault = (struct dsa_fault){.addr = addr[i], .status = DSA_READBACK_FAULT};
		return -1;
	}
	return 1;
}

static int op_walk(struct device *dev, ioasid_t pasid, struct dsa_task *task, u64 len,
		   struct dsa_fault *fault)
{
	const struct dsa_desc *desc = &task->desc;
	struct dsa_operand src = {desc->src, IOMMU_READ}, dst = {desc->dst, IOMMU_WRITE};
	struct dsa_operand src_dst[] = {src, dst};
	struct dsa_operand src_src[] = {src, {desc->dst, IOMMU_READ}};
	struct dsa_operand dual[] = {src, dst, {desc->op.dst2, IOMMU_WRITE}};

	switch (DSA_DESC_OP(desc)) {
	case DSA_OP_MOVE:
		return dsa_walk(dev, pasid, task, src_dst, 2, len, kernel_move, fault);
	case DSA_OP_FILL:
		return dsa_walk(dev, pasid, task, &dst, 1, len, kernel_fill, fault);
	case DSA_OP_COMPARE:
		return dsa_walk(dev, pasid, task, src_src, 2, len, kernel_compare, fault);
	case DSA_OP_COMPARE_PATTERN:
		return dsa_walk(dev, pasid, task, &src, 1, len, kernel_compare_pattern, fault);
	case DSA_OP_DUALCAST:
		return dsa_walk(dev, pasid, task, dual, 3, len, kernel_dualcast, fault);
	case DSA_OP_CRC:
		return dsa_walk(dev, pasid, task, &src, 1, len, kernel_crc, fault);
	case DSA_OP_COPY_CRC:
		return dsa_walk(dev, pasid, task, src_dst, 2, len, kernel_copy_crc, fault);
	default: /* a flush */
		src.iova = desc->dst;
		return dsa_walk(dev, pasid, task, &src, 1, len, kernel_none, fault);
	}
}

/* Was the result the one that was expected? (DSA 8.1.3, Check Result) */
static u8 compare_status(const struct dsa_task *task)
{
	const struct dsa_desc *desc = &task->desc;

	if (DSA_DESC_FLAGS(desc) & DSA_FLAG_CHECK && (desc->op.expected & 1) != task->result)
		return DSA_OK_FALSE;
	return DSA_OK;
}

static int op_begin(struct device *dev, ioasid_t pasid, struct dsa_task *task,
		    struct dsa_fault *fault)
{
	switch (DSA_DESC_OP(&task->desc)) {
	case DSA_OP_MOVE:
		move_begin(task);
		return 0;
	case DSA_OP_CRC:
	case DSA_OP_COPY_CRC:
		return crc_begin(dev, pasid, task, fault);
	default:
		return 0;
	}
}

int dsa_op_step(struct device *dev, ioasid_t pasid, struct dsa_task *task, u64 len, u8 *ret_status,
		struct dsa_fault *fault)
{
	u8 op = DSA_DESC_OP(&task->desc);
	int rc;

	*ret_status = DSA_OK;
	if (op == DSA_OP_NOOP)
		return 1;
	if (op == DSA_OP_DRAIN)
		return drain_step(dev, pasid, task, ret_status, fault);
	if (op == DSA_OP_DELTA_CREATE)
		return dsa_delta_create(dev, pasid, task, len, ret_status, fault);
	if (op == DSA_OP_DELTA_APPLY)
		return dsa_delta_apply(dev, pasid, task, len, ret_status, fault);
	if (!task->done) {
		rc = op_begin(dev, pasid, task, fault);
		if (rc)
			return rc;
	}
	rc = op_walk(dev, pasid, task, len, fault);
	if (rc < 0)
		return rc;
	if (rc == 0 && task->done < task->desc.size)
		return 0;
	if (op == DSA_OP_COMPARE || op == DSA_OP_COMPARE_PATTERN)
		*ret_status = compare_status(task);
	return 1;
}
