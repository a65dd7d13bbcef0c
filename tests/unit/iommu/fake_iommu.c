/* SPDX-License-Identifier: MIT */
#include "fake_iommu.h"

#include <assert.h>
#include <stdlib.h>

/* ---- domains ---- */

static int fake_attach(struct iommu_domain *domain, struct device *dev, struct iommu_domain *old)
{
	struct fake_dev *fake = to_fake_dev(dev);

	if (domain->type == IOMMU_DOMAIN_UNMANAGED && fake->refuse)
		return fake->refuse;
	assert(fake->in == old);
	fake->in = domain;
	return 0;
}

static int fake_set_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			  struct iommu_domain *old)
{
	struct fake_dev *fake = to_fake_dev(dev);

	if (domain->type == IOMMU_DOMAIN_UNMANAGED && fake->refuse)
		return fake->refuse;
	assert(pasid < FAKE_PASIDS && fake->pasid[pasid] == old);
	fake->pasid[pasid] = domain->type == IOMMU_DOMAIN_BLOCKED ? NULL : domain;
	return 0;
}

static int fake_map(struct iommu_domain *domain, u64 iova, phys_addr_t pa, size_t len, int prot,
		    size_t *mapped)
{
	struct fake_domain *fd = to_fake_domain(domain);
	bool cut = fd->map_limit && len > fd->map_limit;

	if (fd->len)
		return -EADDRINUSE;
	fd->iova = iova;
	fd->pa = pa;
	fd->len = *mapped = cut ? fd->map_limit : len;
	return cut ? -ENOMEM : 0;
}

static size_t fake_unmap(struct iommu_domain *domain, u64 iova, size_t len,
			 struct iommu_iotlb_gather *gather)
{
	struct fake_domain *fd = to_fake_domain(domain);
	size_t gone = iova == fd->iova && len >= fd->len ? fd->len : 0;

	fd->len -= gone;
	return gone;
}

static void fake_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	to_fake_domain(domain)->syncs++;
}

static phys_addr_t fake_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	struct fake_domain *fd = to_fake_domain(domain);

	return iova >= fd->iova && iova - fd->iova < fd->len ? fd->pa + (iova - fd->iova) : 0;
}

static bool fake_enforce(struct iommu_domain *domain)
{
	return !to_fake_domain(domain)->enforce_refused;
}

static void fake_free(struct iommu_domain *domain)
{
	to_fake_domain(domain)->iommu->domains--;
	free(to_fake_domain(domain));
}

static const struct iommu_domain_ops fake_domain_ops = {
	.attach_dev = fake_attach,
	.set_dev_pasid = fake_set_pasid,
	.map_range = fake_map,
	.unmap_range = fake_unmap,
	.iotlb_sync = fake_sync,
	.iova_to_phys = fake_iova_to_phys,
	.enforce_cache_coherency = fake_enforce,
	.free = fake_free,
};

static const struct iommu_domain_ops fake_blocked_ops = {
	.attach_dev = fake_attach,
	.set_dev_pasid = fake_set_pasid,
};

struct iommu_domain fake_blocked = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &fake_blocked_ops,
};

static struct iommu_domain *fake_alloc_flags(struct device *dev, u32 flags,
					     const struct iommu_user_data *user_data)
{
	struct fake_domain *fd = calloc(1, sizeof(*fd));

	if (!fd)
		return NULL;
	fd->iommu = to_fake_dev(dev)->iommu;
	fd->iommu->domains++;
	fd->domain.pgsize_bitmap = 4096;
	fd->domain.geometry.aperture_end = UINT32_MAX;
	return &fd->domain;
}

static struct iommu_domain *fake_alloc(struct device *dev)
{
	return fake_alloc_flags(dev, 0, NULL);
}

/* ---- devices ---- */

static bool fake_capable(struct device *dev, enum iommu_cap cap)
{
	if (cap == IOMMU_CAP_CACHE_COHERENCY)
		return to_fake_dev(dev)->coherent;
	if (cap == IOMMU_CAP_ENFORCE_CACHE_COHERENCY)
		return to_fake_dev(dev)->enforces;
	return false;
}

static void fake_resv(struct device *dev, struct iommu_resv_list *list)
{
	for (const struct iommu_resv_region *r = to_fake_dev(dev)->resv; r; r = r->next)
		iommu_add_resv_region(list, r->start, r->length, r->prot, r->type);
}

static struct iommu_device *fake_probe(struct device *dev)
{
	return &to_fake_dev(dev)->iommu->iommu_dev;
}

static void fake_release(struct device *dev)
{
	to_fake_dev(dev)->in = NULL;
}

static struct iommu_group *fake_group(struct device *dev)
{
	struct fake_iommu *iommu = to_fake_dev(dev)->iommu;

	if (iommu->shared_group)
		return iommu_group_ref_get(iommu->shared_group);
	return generic_device_group(dev);
}

#define FAKE_OPS_COMMON                                                                            \
	.capable = fake_capable, .get_resv_regions = fake_resv, .probe_device = fake_probe,        \
	.release_device = fake_release, .device_group = fake_group,                                \
	.default_domain_ops = &fake_domain_ops

const struct iommu_ops fake_ops = {
	FAKE_OPS_COMMON,
	.domain_alloc_paging_flags = fake_alloc_flags,
	.blocked_domain = &fake_blocked,
};

const struct iommu_ops fake_other_ops = {
	FAKE_OPS_COMMON,
	.domain_alloc_paging_flags = fake_alloc_flags,
	.blocked_domain = &fake_blocked,
};

const struct iommu_ops fake_plain_ops = {
	FAKE_OPS_COMMON,
	.domain_alloc_paging = fake_alloc,
	.blocked_domain = &fake_blocked,
};

const struct iommu_ops fake_no_pasid_ops = {
	FAKE_OPS_COMMON,
	.domain_alloc_paging_flags = fake_alloc_flags,
};

struct fake_dev fake_dev_init(struct fake_iommu *iommu, const struct iommu_ops *ops)
{
	return (struct fake_dev){
		.dev = { .name = "fake", .ops = ops, .pasid_limit = FAKE_PASIDS,
			 .msi_isolated = true },
		.iommu = iommu,
		.coherent = true,
	};
}

int fake_dev_add(struct fake_dev *fake)
{
	fake->iommu->iommu_dev.max_pasids = 1 << 20;
	return iommu_probe_device(&fake->dev);
}

void fake_dev_remove(struct fake_dev *fake)
{
	iommu_release_device(&fake->dev);
}

struct iommu_domain *fake_domain_new(struct fake_dev *fake)
{
	struct iommu_domain *domain = NULL;
	int rc = iommu_paging_domain_alloc_flags(&fake->dev, 0, NULL, &domain);

	assert(!rc);
	(void)rc;
	return domain;
}
