/* SPDX-License-Identifier: MIT */
/*
 * A log of what a device writes: which pages, by the addresses it used, of whatever PASID.
 * While it is on, its writes take the slow path, where tables are not remembered; off it
 * costs a load there.
 *
 * A page is marked after it was written, so who reads the log and then the memory misses
 * nothing: what comes later is in the log's next reading.  Memory lent by iommufd_dma_map() counts
 * as written when it is given back.
 */
#ifndef IOMMU_DMA_LOG_H
#define IOMMU_DMA_LOG_H

#include "iommu/dma.h"

#define DMA_LOG_PIECE_PAGES 4096U
#define DMA_LOG_PIECE_BYTES ((u64)DMA_LOG_PIECE_PAGES << PAGE_SHIFT)

/** struct dma_log_range - [@first, @last], whole pages */
struct dma_log_range {
	u64 first;
	u64 last;
};

/**
 * struct dma_log_piece - pages that were written
 * @first: of the first bit, aligned to DMA_LOG_PIECE_BYTES
 */
struct dma_log_piece {
	u64 first;
	u64 bits[DMA_LOG_PIECE_PAGES / 64];
};

/**
 * iommu_dma_log_start() - log writes of @dev to @ranges from here on
 * Return: 0; -EBUSY it is on; -EEXIST ranges overlap; -ENODEV behind no IOMMU; -ENOMEM.
 */
int iommu_dma_log_start(struct device *dev, const struct dma_log_range *ranges, u32 n);
/** iommu_dma_log_stop() - forget the log, if there is one */
void iommu_dma_log_stop(struct device *dev);
/**
 * iommu_dma_log_read() - what was written of [@first, @last] since it was read last
 * @fn: gets it in ascending order, with no lock held; what it refuses stays in the log
 *
 * A page that is not wholly in the range is told of and stays in the log.  Where there was no
 * memory to remember a page, its whole range counts as written.
 * Return: 0; -EINVAL the log is off; what @fn returned.
 */
int iommu_dma_log_read(struct device *dev, u64 first, u64 last,
		       int (*fn)(void *data, const struct dma_log_piece *piece), void *data);

#endif
