/* SPDX-License-Identifier: MIT */
/*
 * The DMA checker's own books: which areas there are and were, who mapped
 * them and when, and which domain shows which map.  It is told by the rooms above while it
 * is on, and asked by the DMA path when something is wrong.
 */
#ifndef IOMMU_DMA_CHECK_H
#define IOMMU_DMA_CHECK_H

#include "iommu/dma.h"

struct iotlb;

/** dma_check_create() - 0, -ENOMEM */
int dma_check_create(const struct log_sink *log, struct dma_check **ret_check);
void dma_check_free(struct dma_check *check);
u64 dma_check_reports(struct dma_check *check);

/*
 * What the maps say.  @map stands for an io_pagetable, and what is told of is always a whole area;
 * calls with @check NULL do nothing.  Memory it cannot have means that a report later knows less.
 */
void dma_check_mapped_slow(struct dma_check *check, const void *map, u64 first, u64 last);
void dma_check_unmapped_slow(struct dma_check *check, const void *map, u64 first, u64 last);
/** dma_check_undone() - mapping it failed half way: the program never had it */
void dma_check_undone(struct dma_check *check, const void *map, u64 first, u64 last);
void dma_check_joined(struct dma_check *check, const void *map, const struct iommu_domain *domain);
void dma_check_left(struct dma_check *check, const struct iommu_domain *domain);
/** dma_check_ended() - @map ends: what is still in it was left behind */
void dma_check_ended(struct dma_check *check, const void *map);

static inline void dma_check_mapped(struct dma_check *check, const void *map, u64 first, u64 last)
{
	if (check)
		dma_check_mapped_slow(check, map, first, last);
}

static inline void dma_check_unmapped(struct dma_check *check, const void *map, u64 first, u64 last)
{
	if (check)
		dma_check_unmapped_slow(check, map, first, last);
}

/* What the DMA path met; @x of a walk that failed. */
void dma_check_stale(struct dma_check *check, const struct iotlb *iotlb, u64 iova,
		     unsigned int access);
void dma_check_refused(struct dma_check *check, const struct iotlb *iotlb, u64 iova,
		       unsigned int access, enum iommu_xlat_fault reason,
		       const struct iommu_xlat *x);
/** dma_check_unattached() - @iotlb is of a PASID that has no domain, or may do no DMA */
void dma_check_unattached(struct dma_check *check, const struct iotlb *iotlb, u64 iova,
			  unsigned int access);

#endif
