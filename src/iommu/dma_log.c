/* SPDX-License-Identifier: MIT */
/*
 * The log is bits of pages, in pieces that exist once something in them was written: it
 * needs memory for what is written and not for what could be.
 */
#include "iommu/dma_log.h"

#include <string.h>

#include "base/alloc.h"
#include "base/rangemap.h"
#include "iommu/iotlb.h"

/** struct log_range - @lost: number of the last page that could not be remembered; 0: none */
struct log_range {
	u64 lost;
};

/**
 * struct dma_log - under dma->log_lock
 * @ranges: what is logged: struct log_range, of @all
 * @pieces: struct dma_log_piece
 * @lost: how many pages could not be remembered
 */
struct dma_log {
	struct rangemap ranges;
	struct rangemap pieces;
	u64 lost;
	struct log_range all[];
};

static void log_free(struct dma_log *log)
{
	struct rangemap_entry entry;

	if (!log)
		return;
	while (rangemap_first_from(&log->pieces, 0, &entry))
		free(rangemap_remove(&log->pieces, entry.first));
	rangemap_clear(&log->ranges);
	free(log);
}

static int log_create(const struct dma_log_range *ranges, u32 n, struct dma_log **ret_log)
{
	struct dma_log *log = zalloc(sizeof(*log) + n * sizeof(log->all[0]));
	int rc = 0;

	if (!log)
		return -ENOMEM;
	rangemap_init(&log->ranges);
	rangemap_init(&log->pieces);
	for (u32 i = 0; i < n && !rc; i++)
		rc = rangemap_insert(&log->ranges, ranges[i].first, ranges[i].last, &log->all[i]);
	if (rc)
		log_free(log);
	else
		*ret_log = log;
	return rc;
}

/* ---- marking ---- */

static u64 piece_base(u64 iova)
{
	return iova & ~(DMA_LOG_PIECE_BYTES - 1);
}

static u64 piece_last(u64 base)
{
	return base + (DMA_LOG_PIECE_BYTES - 1);
}

static struct dma_log_piece *log_piece(struct dma_log *log, u64 base)
{
	struct dma_log_piece *piece;
	struct rangemap_entry entry;

	if (rangemap_find(&log->pieces, base, &entry))
		return entry.value;
	piece = zalloc(sizeof(*piece));
	if (piece && rangemap_insert(&log->pieces, base, piece_last(base), piece)) {
		free(piece);
		piece = NULL;
	}
	if (piece)
		piece->first = base;
	return piece;
}

static void piece_set(struct dma_log_piece *piece, u64 first, u64 last)
{
	u64 end = (last - piece->first) >> PAGE_SHIFT;

	for (u64 page = (first - piece->first) >> PAGE_SHIFT; page <= end; page++)
		piece->bits[page / 64] |= BIT_ULL(page % 64);
}

/* [@first, @last] lies in @range. */
static void log_set(struct dma_log *log, struct log_range *range, u64 first, u64 last)
{
	u64 base, end;

	for (base = piece_base(first);; base += DMA_LOG_PIECE_BYTES) {
		struct dma_log_piece *piece = log_piece(log, base);

		end = MIN(last, piece_last(base));
		if (piece)
			piece_set(piece, MAX(first, base), end);
		else
			range->lost = ++log->lost;
		if (end == last)
			break;
	}
}

void dma_log_wrote_slow(struct iommu_dma *dma, u64 iova, u64 length)
{
	u64 last = iova + length - 1;
	struct rangemap_entry entry;

	if (!length)
		return;
	mutex_lock(&dma->log_lock);
	if (dma->log) {
		rangemap_for_each_in(&dma->log->ranges, entry, iova, last)
			log_set(dma->log, entry.value, MAX(iova, entry.first),
				MIN(last, entry.last));
	}
	mutex_unlock(&dma->log_lock);
}

/* ---- on and off ---- */

int iommu_dma_log_start(struct device *dev, const struct dma_log_range *ranges, u32 n)
{
	struct iommu_dma *dma = dev->dma;
	struct dma_log *log;
	bool on;
	int rc;

	if (!dma)
		return -ENODEV;
	rc = log_create(ranges, n, &log);
	if (rc)
		return rc;
	mutex_lock(&dma->log_lock);
	on = dma->log;
	if (!on) {
		dma->log = log;
		atomic_store_explicit(&dma->logging, true, memory_order_release);
	}
	mutex_unlock(&dma->log_lock);
	if (on) {
		log_free(log);
		return -EBUSY;
	}
	/* No thread knows of tables any more, and whoever comes in again sees that it is on. */
	iommufd_iotlb_flush_device(dev);
	return 0;
}

void iommu_dma_log_stop(struct device *dev)
{
	struct iommu_dma *dma = dev->dma;
	struct dma_log *log;

	if (!dma)
		return;
	mutex_lock(&dma->log_lock);
	log = dma->log;
	dma->log = NULL;
	atomic_store_explicit(&dma->logging, false, memory_order_relaxed);
	mutex_unlock(&dma->log_lock);
	if (!log)
		return;
	log_free(log);
	/* What was looked up page by page is found through its table again. */
	iommufd_iotlb_flush_device(dev);
}

/* ---- reading ---- */

/* Move bits of [@first, @last] of @from to @to; those of pages partly inside are copied. */
static void piece_take(struct dma_log_piece *from, struct dma_log_piece *to, u64 first, u64 last)
{
	u64 base = from->first;
	u64 lo = first > base ? (first - base) >> PAGE_SHIFT : 0;
	u64 hi = (MIN(last, piece_last(base)) - base) >> PAGE_SHIFT;

	for (u64 page = lo; page <= hi; page++) {
		u64 at = base + (page << PAGE_SHIFT), bit = BIT_ULL(page % 64);

		if (!(from->bits[page / 64] & bit))
			continue;
		to->bits[page / 64] |= bit;
		if (at >= first && (at | ~PAGE_MASK) <= last)
			from->bits[page / 64] &= ~bit;
	}
}

static bool piece_empty(const struct dma_log_piece *piece)
{
	u64 any = 0;

	for (size_t i = 0; i < ARRAY_SIZE(piece->bits); i++)
		any |= piece->bits[i];
	return !any;
}

/* The lowest range of [@at, @last] of which something was lost. */
static bool log_lost_from(const struct dma_log *log, u64 at, u64 last, struct rangemap_entry *ret)
{
	struct rangemap_entry entry;

	if (!log->lost)
		return false;
	rangemap_for_each_in(&log->ranges, entry, at, last)
		if (((struct log_range *)entry.value)->lost) {
			*ret = entry;
			return true;
		}
	return false;
}

/* Fill @ret with what there is from @at on; false: nothing up to @last. */
static bool log_take(struct dma_log *log, u64 at, u64 first, u64 last, struct dma_log_piece *ret)
{
	struct rangemap_entry piece, lost;
	bool in = rangemap_first_from(&log->pieces, at, &piece) && piece.first <= last;
	u64 base = in ? piece.first : UINT64_MAX;

	if (log_lost_from(log, at, last, &lost))
		base = MIN(base, piece_base(MAX(at, lost.first)));
	if (base == UINT64_MAX)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->first = base;
	if (in && piece.first == base) {
		piece_take(piece.value, ret, first, last);
		if (piece_empty(piece.value))
			free(rangemap_remove(&log->pieces, base));
	}
	for (u64 from = MAX(at, base); log_lost_from(log, from, MIN(last, piece_last(base)), &lost);
	     from = lost.last + 1) {
		piece_set(ret, MAX(from, lost.first), MIN(MIN(last, piece_last(base)), lost.last));
		if (lost.last >= piece_last(base))
			break;
	}
	return true;
}

static void log_give_back(struct iommu_dma *dma, const struct dma_log_piece *piece)
{
	for (u64 page = 0; page < DMA_LOG_PIECE_PAGES; page++)
		if (piece->bits[page / 64] & BIT_ULL(page % 64))
			dma_log_wrote_slow(dma, piece->first + (page << PAGE_SHIFT), PAGE_SIZE);
}

/* All of these ranges was told, and nothing was lost since @lost. */
static void log_found(struct dma_log *log, u64 first, u64 last, u64 lost)
{
	struct rangemap_entry entry;

	rangemap_for_each_in(&log->ranges, entry, first, last) {
		struct log_range *range = entry.value;

		if (entry.first >= first && entry.last <= last && range->lost <= lost)
			range->lost = 0;
	}
}

int iommu_dma_log_read(struct device *dev, u64 first, u64 last,
		       int (*fn)(void *data, const struct dma_log_piece *piece), void *data)
{
	struct iommu_dma *dma = dev->dma;
	struct dma_log_piece piece;
	u64 at = first, lost = 0;
	int rc = dma ? 0 : -EINVAL;

	while (!rc) {
		bool more = false;

		mutex_lock(&dma->log_lock);
		if (!dma->log)
			rc = -EINVAL;
		else
			more = log_take(dma->log, at, first, last, &piece);
		if (!rc && at == first)
			lost = dma->log->lost;
		if (!rc && (!more || piece_last(piece.first) >= last))
			log_found(dma->log, first, last, lost);
		mutex_unlock(&dma->log_lock);
		if (!more)
			break;
		rc = fn(data, &piece);
		if (rc)
			log_give_back(dma, &piece);
		if (piece_last(piece.first) >= last)
			break;
		at = piece_last(piece.first) + 1;
	}
	return rc;
}
