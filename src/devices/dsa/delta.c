/* SPDX-License-Identifier: MIT */
/*
 * Delta records (DSA 8.3.8, 8.3.9): where 8 aligned bytes of two buffers differ,
 * the offset and what is in the second.
 */
#include <string.h>

#include "devices/dsa/dsa.h"

#define WORDS 64 /* compared at a time */

struct entry {
	u16 offset; /* in units of 8 bytes */
	u64 data;
} __attribute__((packed));
_Static_assert(sizeof(struct entry) == DSA_DELTA_ENTRY, "an entry has 10 bytes");

/* Results of a creation */
enum {
	DELTA_SAME,
	DELTA_DIFFERS,
	DELTA_FULL,
};

static int create_done(const struct dsa_task *task, u8 *ret_status)
{
	const struct dsa_desc *desc = &task->desc;

	*ret_status = DSA_OK;
	if (DSA_DESC_FLAGS(desc) & DSA_FLAG_CHECK && (desc->op.delta.expected & 3) != task->result)
		*ret_status = DSA_OK_FALSE;
	return 1;
}

/* Bytes of a side that can be had, up to @len; a page at a time where the whole cannot */
static int read_words(struct device *dev, ioasid_t pasid, u64 iova, u64 *words, size_t *len,
		      struct dsa_fault *fault)
{
	struct iommufd_dma_fault dma = {0};
	int rc = iommufd_dma_read(dev, pasid, iova, words, *len, &dma);

	if (!rc)
		return 0;
	/* All before the byte that failed has moved. */
	if (rc != -EINVAL && dma.iova > iova && dma.iova - iova < *len && (dma.iova - iova) / 8) {
		*len = ALIGN_DOWN(dma.iova - iova, 8);
		return 0;
	}
	if (rc == -EINVAL)
		dma.iova = iova;
	return dsa_fault_set(fault, rc, &dma);
}

static int create_entry(struct device *dev, ioasid_t pasid, struct dsa_task *task, u64 at, u64 data,
			struct dsa_fault *fault)
{
	const struct entry entry = {.offset = (u16)(at / 8), .data = data};
	struct iommufd_dma_fault dma = {0};
	int rc = iommufd_dma_write(dev, pasid, task->desc.op.delta.addr + task->delta_size, &entry,
				   sizeof(entry), &dma);

	if (rc)
		return dsa_fault_set(fault, rc, &dma);
	task->delta_size += sizeof(entry);
	task->result = DELTA_DIFFERS;
	return 0;
}

int dsa_delta_create(struct device *dev, ioasid_t pasid, struct dsa_task *task, u64 len,
		     u8 *ret_status, struct dsa_fault *fault)
{
	const struct dsa_desc *desc = &task->desc;
	u64 end = MIN((u64)desc->size, task->done + MIN(len, DSA_CHUNK / 8));
	u64 a[WORDS], b[WORDS];
	int rc;

	while (task->done < end) {
		size_t n = MIN(sizeof(a), desc->size - task->done);

		rc = read_words(dev, pasid, desc->src + task->done, a, &n, fault);
		if (!rc)
			rc = read_words(dev, pasid, desc->dst + task->done, b, &n, fault);
		if (rc)
			return rc;
		for (size_t i = 0; i < n / 8; i++, task->done += 8) {
			if (a[i] == b[i])
				continue;
			if (task->delta_size + DSA_DELTA_ENTRY > desc->op.delta.max) {
				task->result = DELTA_FULL;
				return create_done(task, ret_status);
			}
			rc = create_entry(dev, pasid, task, task->done, b[i], fault);
			if (rc)
				return rc;
		}
	}
	return task->done < desc->size ? 0 : create_done(task, ret_status);
}

static int apply_entry(struct device *dev, ioasid_t pasid, struct dsa_task *task,
		       const struct entry *entry, u8 *ret_status, struct dsa_fault *fault)
{
	u64 at = entry->offset * 8ULL, data = entry->data;
	struct iommufd_dma_fault dma = {0};
	int rc;

	if (at >= task->desc.size) {
		*ret_status = DSA_DELTA_RANGE;
		return 1;
	}
	if ((s64)at <= task->last_offset) {
		*ret_status = DSA_DELTA_ORDER;
		return 1;
	}
	rc = iommufd_dma_write(dev, pasid, task->desc.dst + at, &data, sizeof(data), &dma);
	if (rc)
		return dsa_fault_set(fault, rc, &dma);
	task->last_offset = (s64)at;
	return 0;
}

/* Done are bytes of the delta record. */
int dsa_delta_apply(struct device *dev, ioasid_t pasid, struct dsa_task *task, u64 len,
		    u8 *ret_status, struct dsa_fault *fault)
{
	const struct dsa_desc *desc = &task->desc;
	u64 end = MIN((u64)desc->op.delta_size, task->done + MIN(len, DSA_CHUNK / 8));
	struct iommufd_dma_fault dma = {0};
	struct entry entry;
	int rc;

	while (task->done < end) {
		rc = iommufd_dma_read(dev, pasid, desc->src + task->done, &entry, sizeof(entry),
				      &dma);
		if (rc)
			return dsa_fault_set(fault, rc, &dma);
		rc = apply_entry(dev, pasid, task, &entry, ret_status, fault);
		if (rc)
			return rc;
		task->done += sizeof(entry);
	}
	*ret_status = DSA_OK;
	return task->done < desc->op.delta_size ? 0 : 1;
}
