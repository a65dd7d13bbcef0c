/* SPDX-License-Identifier: MIT */
/*
 * The inside of the example IOMMU, shared by its driver (example_driver.c) and its
 * hardware (example_hw.c).
 *
 * Locks: iommu->lock; viommu->lock; xa_lock(); dev->lock.
 */
#ifndef EXAMPLE_IOMMU_H
#define EXAMPLE_IOMMU_H

#include <iommufd/viommu.h>
#include <pthread.h>
#include <stdlib.h>

#include "example_driver.h"

#define PAGE 4096ul
#define QUEUES 4

/** struct example_vdevice - a device in a guest; @cached_page: page + 1, 0 for none */
struct example_vdevice {
	struct iommufd_vdevice core;
	u64 cached_page;
	phys_addr_t cached_pa;
};

struct example_dev {
	struct device dev;
	struct example_iommu *iommu;
	pthread_mutex_t lock;          /* all below; a DMA holds it */
	struct iommu_domain *domain;
	struct example_vdevice *vdev;
};

struct example_domain {
	struct iommu_domain domain;
	_Atomic phys_addr_t pages[EXAMPLE_PAGES];
};

struct example_nested {
	struct iommu_domain domain;
	struct example_viommu *viommu;
	u64 table;
};

struct example_queue {
	struct iommufd_hw_queue core;
	struct example_queue *previous;
	u32 index, consumer;
	phys_addr_t pa;
};

struct example_viommu {
	struct iommufd_viommu core;
	struct example_iommu *iommu;
	struct example_domain *parent;
	struct example_viommu *next;   /* under iommu->lock */
	void *doorbells;               /* u32[QUEUES], in a page the program maps */
	phys_addr_t doorbells_pa;
	unsigned long mmap_offset;
	pthread_mutex_t lock;
	struct example_queue *queues[QUEUES];
};

struct example_iommu {
	struct iommu_device iommu_dev;
	struct iommufd_system *system;
	pthread_mutex_t lock;
	struct example_viommu *viommus;
};

static inline struct example_dev *to_dev(struct device *dev)
{
	return container_of(dev, struct example_dev, dev);
}

extern const struct iommu_ops example_ops;
extern const struct iommu_domain_ops example_paging_ops;

int example_attach(struct iommu_domain *domain, struct device *device, struct iommu_domain *old);
struct iommu_domain *example_alloc_paging(struct device *dev, u32 flags,
					  const struct iommu_user_data *user_data);
/** example_forget() - the hardware drops what it has cached for a device of the guest; 0 or -EIO */
int example_forget(struct iommufd_viommu *viommu, u64 virt_id);

#endif
