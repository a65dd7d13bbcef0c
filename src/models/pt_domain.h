/* SPDX-License-Identifier: MIT */
/*
 * Paging domains that are one page table in frames of the system: what their drivers' ops
 * have in common.  The hardware's side, translate, is each model's own.
 */
#ifndef MODELS_PT_DOMAIN_H
#define MODELS_PT_DOMAIN_H

#include <iommufd/driver.h>

#include "mem/mem.h"
#include "pt/pt_fine.h"

/**
 * struct pt_domain - embedded by the model's domain
 * @walkers: read: software is inside the tables; write: tables are being freed.  The hardware is
 *	kept out by flushing its IOTLB instead.
 * @fine: in use if @precise: large entries are cut while dirty marks are kept
 */
struct pt_domain {
	struct iommu_domain domain;
	struct pt_table pt;
	struct rwlock walkers;
	bool precise;
	struct pt_fine fine;
};

static inline struct pt_domain *to_pt_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct pt_domain, domain);
}

/** pt_domain_alloc - tables in frames of the struct mem_space that is the table's alloc_ctx */
extern const struct pt_alloc_ops pt_domain_alloc;

/** pt_domain_setup() - @pdom->pt is made: the rest of it, but for ops and geometry */
void pt_domain_setup(struct pt_domain *pdom, bool precise);
/** pt_domain_fini() - all of it, but for its memory */
void pt_domain_fini(struct pt_domain *pdom);

/* For struct iommu_domain_ops */
int pt_domain_map_range(struct iommu_domain *domain, u64 iova, phys_addr_t pa, size_t len,
			int prot, size_t *mapped);
size_t pt_domain_unmap_range(struct iommu_domain *domain, u64 iova, size_t len,
			     struct iommu_iotlb_gather *gather);
void pt_domain_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather);
phys_addr_t pt_domain_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova);
int pt_domain_look(struct iommu_domain *domain, u64 iova, struct iommu_xlat *ret);

/** typedef pt_domain_mark_fn - tell the hardware to set dirty marks, or no more */
typedef void (*pt_domain_mark_fn)(struct pt_domain *pdom, bool on);

/**
 * pt_domain_set_tracking() - for set_dirty_tracking(): one switch at a time
 *
 * With @pdom->precise entries are cut before @mark(true) and joined after @mark(false); the
 * IOTLB is flushed when this returns.
 * Return: 0, -ENOMEM (@on and precise only): all is as it was.
 */
int pt_domain_set_tracking(struct pt_domain *pdom, bool on, pt_domain_mark_fn mark);

/** pt_domain_read_dirty() - struct iommu_dirty_ops.read_and_clear_dirty */
int pt_domain_read_dirty(struct iommu_domain *domain, u64 iova, size_t size, unsigned long flags,
			 struct iommu_dirty_bitmap *dirty);

#endif
