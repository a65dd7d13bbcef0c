/* SPDX-License-Identifier: MIT */
/*
 * Using a domain: map and unmap through the driver's ops, all or nothing, and
 * the sink its dirty ops report to.
 */
#ifndef IOMMU_DOMAIN_H
#define IOMMU_DOMAIN_H

#include <iommufd/driver.h>

#include "base/types.h"

/**
 * iommu_map() - map one physically contiguous run
 * Return: 0 or the driver's errno; on error nothing of the range is left mapped.
 */
int iommu_map(struct iommu_domain *domain, u64 iova, phys_addr_t pa, size_t len, int prot);

/** iommu_unmap_gather() - remove a range, leave the flush to iommu_iotlb_sync(); bytes removed */
size_t iommu_unmap_gather(struct iommu_domain *domain, u64 iova, size_t len,
			  struct iommu_iotlb_gather *gather);
void iommu_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather);
/**
 * iommu_dirty_sync() - after marks of [@first, @last] were cleared, or tracking began
 * When it returns, every write of a device that marked nothing new has reached memory.
 */
void iommu_dirty_sync(struct iommu_domain *domain, u64 first, u64 last);
/** iommu_unmap() - both */
size_t iommu_unmap(struct iommu_domain *domain, u64 iova, size_t len);
phys_addr_t iommu_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova);
void iommu_domain_free(struct iommu_domain *domain);

/**
 * struct iommu_dirty_bitmap - where read_and_clear_dirty() reports to
 * @record: NULL: marks are only cleared
 */
struct iommu_dirty_bitmap {
	void (*record)(struct iommu_dirty_bitmap *dirty, u64 iova, size_t length);
	void *private;
};

#endif
