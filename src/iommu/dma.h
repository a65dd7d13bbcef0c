/* SPDX-License-Identifier: MIT */
/*
 * The DMA side of devices and domains: what attaching code calls, and what a
 * system lends its devices.  The public half is <iommufd/dma.h>.
 */
#ifndef IOMMU_DMA_H
#define IOMMU_DMA_H

#include <stdatomic.h>
#include <iommufd/dma.h>

#include "base/lock.h"
#include "base/log.h"
#include "mem/mem.h"

struct dma_check;

/**
 * struct dma_system - what DMA needs of a system
 * @mem, @log: borrowed
 * @copied: held over an atomic operation on memory that can only be copied
 * @check: NULL: nobody watches; set before anything is open
 */
struct dma_system {
	struct mem_space *mem;
	const struct log_sink *log;
	struct mutex copied;
	struct dma_check *check;
};

void dma_system_init(struct dma_system *sys, struct mem_space *mem, const struct log_sink *log);
void dma_system_fini(struct dma_system *sys);

/* ---- devices ---- */

/** iommu_dma_create() - when a device appears: 0, -ENOMEM */
int iommu_dma_create(struct device *dev);
/** iommu_dma_destroy() - when it goes; no DMA of it runs */
void iommu_dma_destroy(struct device *dev);
/** iommu_dma_bind() - @dev may do DMA in @sys; iommu_dma_unbind(): no more, none is under way */
void iommu_dma_bind(struct device *dev, struct dma_system *sys);
void iommu_dma_unbind(struct device *dev);

/**
 * iommu_dma_switched() - what @dev is attached to at @pasid has changed, and can be looked up
 * @old: what it was; NULL: nothing.  When this returns no DMA uses it.
 * Context: not under group->fault_lock.
 */
void iommu_dma_switched(struct device *dev, ioasid_t pasid, struct iommu_domain *old);

/* ---- domains ---- */

/** iommu_dma_sync_begin(), iommu_dma_sync_end() - around a driver's iotlb_sync() */
u64 iommu_dma_sync_begin(struct iommu_domain *domain);
/**
 * iommu_dma_sync_end() - see that pointers into [@first, @last] are gone from all caches
 *
 * A driver that flushed has seen to it.  What one that did not flush left behind stays a (stale)
 * translation, as in silicon, but of physical addresses only: our memory is safe.
 */
void iommu_dma_sync_end(struct iommu_domain *domain, u64 first, u64 last, u64 begun);
/** iommu_dma_domain_free() - before the driver frees it; nothing is attached */
void iommu_dma_domain_free(struct iommu_domain *domain);

#endif
