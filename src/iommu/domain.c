/* SPDX-License-Identifier: MIT */
/*
 * Domains as their users see them.  Drivers map and unmap as far as they get
 * and say how far; here that becomes all or nothing.
 */
#include <assert.h>

#include "iommu/dma.h"
#include "iommu/domain.h"
#include "iommu/group.h"

static u64 domain_min_page(const struct iommu_domain *domain)
{
	return domain->pgsize_bitmap & -domain->pgsize_bitmap;
}

int iommu_map(struct iommu_domain *domain, u64 iova, phys_addr_t pa, size_t len, int prot)
{
	u64 min_page = domain_min_page(domain);
	size_t mapped = 0;
	int rc;

	if (!(domain->type & __IOMMU_DOMAIN_PAGING) || !domain->ops->map_range || !min_page)
		return -EINVAL;
	if ((iova | pa | len) & (min_page - 1))
		return -EINVAL;
	rc = domain->ops->map_range(domain, iova, pa, len, prot, &mapped);
	if (rc && mapped)
		iommu_unmap(domain, iova, mapped);
	return rc;
}

size_t iommu_unmap_gather(struct iommu_domain *domain, u64 iova, size_t len,
			  struct iommu_iotlb_gather *gather)
{
	size_t unmapped;

	assert(domain->type & __IOMMU_DOMAIN_PAGING);
	unmapped = domain->ops->unmap_range(domain, iova, len, gather);
	if (unmapped) {
		gather->start = MIN(gather->start, iova);
		gather->end = MAX(gather->end, iova + unmapped - 1);
	}
	return unmapped;
}

void iommu_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	u64 begun;

	if (!domain->ops->iotlb_sync) {
		iommufd_iotlb_flush(domain, gather->start, gather->end);
	} else {
		begun = iommu_dma_sync_begin(domain);
		domain->ops->iotlb_sync(domain, gather);
		iommu_dma_sync_end(domain, gather->start, gather->end, begun);
	}
	iommu_iotlb_gather_init(gather);
}

size_t iommu_unmap(struct iommu_domain *domain, u64 iova, size_t len)
{
	struct iommu_iotlb_gather gather;
	size_t unmapped;

	iommu_iotlb_gather_init(&gather);
	unmapped = iommu_unmap_gather(domain, iova, len, &gather);
	iommu_iotlb_sync(domain, &gather);
	return unmapped;
}

phys_addr_t iommu_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	if (!(domain->type & __IOMMU_DOMAIN_PAGING) || !domain->ops->iova_to_phys)
		return 0;
	return domain->ops->iova_to_phys(domain, iova);
}

void iommu_domain_free(struct iommu_domain *domain)
{
	if (!domain)
		return;
	iommu_dma_domain_free(domain);
	if (domain->ops->free)
		domain->ops->free(domain);
}

void iommu_dirty_sync(struct iommu_domain *domain, u64 first, u64 last)
{
	struct iommu_iotlb_gather gather = { .start = first, .end = last };

	iommu_iotlb_sync(domain, &gather);
}

void iommu_dirty_bitmap_record(struct iommu_dirty_bitmap *dirty, u64 iova, size_t length)
{
	if (dirty->record)
		dirty->record(dirty, iova, length);
}

int iommu_paging_domain_alloc_flags(struct device *dev, u32 flags,
				    const struct iommu_user_data *user_data,
				    struct iommu_domain **ret_domain)
{
	const struct iommu_ops *ops = dev->ops;
	struct iommu_domain *domain;

	if (ops->domain_alloc_paging_flags)
		domain = ops->domain_alloc_paging_flags(dev, flags, user_data);
	else if (ops->domain_alloc_paging && !flags && !user_data)
		domain = ops->domain_alloc_paging(dev);
	else
		return -EOPNOTSUPP;
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	if (!domain)
		return -ENOMEM;
	if (!domain->ops)
		domain->ops = ops->default_domain_ops;
	domain->type = IOMMU_DOMAIN_UNMANAGED;
	domain->owner = ops;
	*ret_domain = domain;
	return 0;
}
