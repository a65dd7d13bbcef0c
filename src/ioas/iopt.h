/* SPDX-License-Identifier: MIT */
/*
 * The map of one I/O address space: areas, reserved and allowed iova, the
 * domains that carry it and the accesses that read it.
 *
 * Locks, in this order: domains_rwsem, iova_rwsem, pages->mutex.
 *   domains_rwsem  read: filling or emptying areas; write: adding or removing a domain
 *   iova_rwsem     the trees (areas, reserved, allowed), alignment; write to change them
 *   pages->mutex   who holds which pages of one pages object
 * None of them is held over an access's unmap callback.
 */
#ifndef IOAS_IOPT_H
#define IOAS_IOPT_H

#include <urcu/list.h>

#include "base/idtable.h"
#include "base/itree.h"
#include "base/lock.h"
#include "base/rangemap.h"
#include "iommu/domain.h"

struct iommufd_access;
struct iommufd_ctx;
struct iommufd_system;
struct iopt_area;
struct iopt_pages;

struct iopt_reserved {
	struct itree_node node;
	void *owner;
};

struct io_pagetable {
	struct iommufd_system *system;
	struct rwlock domains_rwsem;
	struct iommu_domain **domains __guarded_by(&domains_rwsem); /* in order of arrival */
	u32 num_domains __guarded_by(&domains_rwsem);
	u32 max_domains __guarded_by(&domains_rwsem);

	struct rwlock iova_rwsem;
	struct rangemap areas __guarded_by(&iova_rwsem);    /* iova -> struct iopt_area */
	struct rangemap allowed __guarded_by(&iova_rwsem);  /* merged allowed iova */
	struct itree reserved __guarded_by(&iova_rwsem);    /* struct iopt_reserved */
	struct idtable access_list __guarded_by(&iova_rwsem);   /* struct iommufd_access */
	u64 iova_alignment __guarded_by(&iova_rwsem);
	bool disable_large_pages __guarded_by(&iova_rwsem);
};

int iopt_init(struct io_pagetable *iopt, struct iommufd_system *system);
void iopt_destroy(struct io_pagetable *iopt);

/* ---- domains: called by hwpt ---- */

/**
 * iopt_table_add_domain() - the domain joins the map: its aperture becomes a reservation, its
 * smallest page the alignment, every area is filled into it
 * Return: 0; -EINVAL smallest page over PAGE_SIZE; -EADDRINUSE areas or allowed ranges outside the
 * aperture, or misaligned; -EFAULT, -ENOMEM or the driver's errno from filling.  On error the
 * domain is empty and nothing has changed.
 */
int iopt_table_add_domain(struct io_pagetable *iopt, struct iommu_domain *domain);
/** iopt_table_remove_domain() - empty it and drop its reservations; cannot fail */
void iopt_table_remove_domain(struct io_pagetable *iopt, struct iommu_domain *domain);

/* ---- reservations: called by devices ---- */

/**
 * iopt_reserve_iova() - nobody may map [first, last] while @owner wants it so
 * Return: 0, -EADDRINUSE if an area or allowed range is there, -ENOMEM.
 */
int iopt_reserve_iova(struct io_pagetable *iopt, u64 first, u64 last, void *owner);
/** iopt_remove_reserved_iova() - every reservation of @owner; cannot fail */
void iopt_remove_reserved_iova(struct io_pagetable *iopt, void *owner);

/**
 * struct iova_range - inclusive; a device's reserved region as the device room passes it
 */
struct iova_range {
	u64 first;
	u64 last;
};
/** iopt_reserve_regions() - all of them or none, as one step (device attach) */
int iopt_reserve_regions(struct io_pagetable *iopt, const struct iova_range *regions, u32 n,
			 void *owner);

/* ---- dirty tracking: called by hwpt ---- */

int iopt_set_dirty_tracking(struct io_pagetable *iopt, struct iommu_domain *domain, bool enable);
struct iommu_hwpt_get_dirty_bitmap;
/**
 * iopt_read_and_clear_dirty_data() - after hwpt has checked flags; all other rows of the table here
 */
int iopt_read_and_clear_dirty_data(struct io_pagetable *iopt, struct iommu_domain *domain,
				   unsigned long flags,
				   const struct iommu_hwpt_get_dirty_bitmap *bitmap);

#endif
