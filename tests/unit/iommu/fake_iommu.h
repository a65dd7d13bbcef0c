/* SPDX-License-Identifier: MIT */
/*
 * An IOMMU driver as small as one can be: devices remember which domain they
 * are in, domains remember up to a few mapped bytes, and each step can be told
 * to fail.
 */
#ifndef TESTS_FAKE_IOMMU_H
#define TESTS_FAKE_IOMMU_H

#include <iommufd/driver.h>

#include "iommu/domain.h"
#include "iommu/group.h"

#define FAKE_PASIDS 8

struct fake_iommu {
	struct iommu_device iommu_dev;
	struct iommu_group *shared_group; /* NULL: each device has its own */
	u32 domains;                      /* alive */
};

struct fake_dev {
	struct device dev;
	struct fake_iommu *iommu;
	struct iommu_domain *in;              /* RID */
	struct iommu_domain *pasid[FAKE_PASIDS];
	const struct iommu_resv_region *resv; /* chained through next */
	int refuse;                           /* errno of the next attach to a paging domain */
	bool coherent;
	bool enforces;
	bool no_alloc_flags;                  /* driver without the flags-aware allocator */
};

struct fake_domain {
	struct iommu_domain domain;
	struct fake_iommu *iommu;
	bool enforce_refused;
	u64 iova, pa, len; /* the one range it can map */
	u64 map_limit;     /* map_range stops after so many bytes with -ENOMEM; 0: no limit */
	u32 syncs;
};

extern const struct iommu_ops fake_ops;
extern const struct iommu_ops fake_other_ops;      /* another driver */
extern const struct iommu_ops fake_plain_ops;      /* only domain_alloc_paging */
extern const struct iommu_ops fake_no_pasid_ops;   /* no blocked domain */
extern struct iommu_domain fake_blocked;

static inline struct fake_dev *to_fake_dev(struct device *dev)
{
	return container_of(dev, struct fake_dev, dev);
}

static inline struct fake_domain *to_fake_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct fake_domain, domain);
}

/* A device with sensible answers; fake_dev_add() makes it appear. */
struct fake_dev fake_dev_init(struct fake_iommu *iommu, const struct iommu_ops *ops);
int fake_dev_add(struct fake_dev *fake);
void fake_dev_remove(struct fake_dev *fake);
struct iommu_domain *fake_domain_new(struct fake_dev *fake);

#endif
