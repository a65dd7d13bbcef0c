/* SPDX-License-Identifier: MIT */
/*
 * Groups: devices that can not be told apart by their IOMMU, or that reach each
 * other behind its back.  All of a group is in one domain, per PASID too, and
 * belongs to one owner.
 *
 * Locks: group->lock; drivers' attach ops run under it.  Above it: the core's
 * ioas mutex and group lock.  Below it: the drivers' own, and group->fault_lock,
 * under which page requests find their attachment (iopf.h).
 */
#ifndef IOMMU_GROUP_H
#define IOMMU_GROUP_H

#include <urcu/list.h>
#include <iommufd/driver.h>

#include "base/itree.h"
#include "base/lock.h"

/**
 * struct iommu_attach_handle - who attached a domain; embedded by whoever wants to be found from a
 *	fault.  Set by the caller: nothing.  Stays in place until detach or replace has returned.
 */
struct iommu_attach_handle {
	struct iommu_domain *domain;
	struct itree_node node; /* in group->pasids at its pasid; unused for the RID */
};

struct iommu_group_device {
	struct cds_list_head node;
	struct device *dev;
};

/**
 * struct iommu_group - the group
 * @refs: one per device, one per other holder
 * @default_domain: while nobody owns the group
 * @blocking_domain: while it is owned and not attached
 * @owned_blocking: @blocking_domain is an empty paging domain of our own
 * @domain: what the group is in now; changed under both locks, read under either
 * @fault_lock: held from finding a page request's handle until it is handed over, so that a handle
 *	gets no more of them once the call that took its place has returned
 * @handle: of the domain attached to the RID, or NULL; changed under both locks, read under either
 * @pasids: struct iommu_attach_handle by pasid; likewise
 * @owner, @owner_cnt: who may attach, and how often it said so; owner NULL with a count: drivers
 *	that use the default domain
 */
struct iommu_group {
	_Atomic u32 refs;
	struct mutex lock;
	struct cds_list_head devices __guarded_by(&lock);
	struct iommu_domain *default_domain __guarded_by(&lock);
	struct iommu_domain *blocking_domain __guarded_by(&lock);
	bool owned_blocking __guarded_by(&lock);
	struct iommu_domain *domain __guarded_by(&lock);
	struct mutex fault_lock;
	struct iommu_attach_handle *handle __guarded_by(&fault_lock);
	struct itree pasids __guarded_by(&fault_lock);
	void *owner __guarded_by(&lock);
	u32 owner_cnt __guarded_by(&lock);
};

/** iommu_group_for_each_device() - call @fn until it answers non-zero, which is returned */
int iommu_group_for_each_device(struct iommu_group *group,
				int (*fn)(struct device *dev, void *data), void *data);

/* ---- ownership ---- */

/**
 * iommu_device_claim_dma_owner() - @dev's group belongs to @owner and is blocked
 * Counted: each success is given back by iommu_device_release_dma_owner().
 * Return: 0; -ENODEV no group; -EPERM another owner; -EBUSY the group is not in its default domain
 * or has PASIDs attached; -EINVAL a device needs its firmware mappings; -ENOMEM.
 */
int iommu_device_claim_dma_owner(struct device *dev, void *owner);
void iommu_device_release_dma_owner(struct device *dev);
int iommu_group_claim_dma_owner(struct iommu_group *group, void *owner);
void iommu_group_release_dma_owner(struct iommu_group *group);
/** iommu_device_use_default_domain() - a driver of the machine itself does DMA; -EBUSY if owned */
int iommu_device_use_default_domain(struct device *dev);
void iommu_device_unuse_default_domain(struct device *dev);

/* ---- the RID ---- */

/**
 * iommu_attach_group_handle() - the owned or default group enters @domain
 * @handle: for finding it again; NULL: none
 * Return: 0; -EBUSY it is in another domain; -EINVAL @domain is of another driver, or the driver
 * says it does not fit; else the driver's errno.  On error no device has moved.
 */
int iommu_attach_group_handle(struct iommu_domain *domain, struct iommu_group *group,
			      struct iommu_attach_handle *handle);
/** iommu_replace_group_handle() - from whatever it is in to @domain; errors as above but -EBUSY */
int iommu_replace_group_handle(struct iommu_group *group, struct iommu_domain *domain,
			       struct iommu_attach_handle *handle);
/** iommu_detach_group_handle() - back to blocked (owned) or default; cannot fail */
void iommu_detach_group_handle(struct iommu_domain *domain, struct iommu_group *group);

static inline int iommu_attach_group(struct iommu_domain *domain, struct iommu_group *group)
{
	return iommu_attach_group_handle(domain, group, NULL);
}

static inline void iommu_detach_group(struct iommu_domain *domain, struct iommu_group *group)
{
	iommu_detach_group_handle(domain, group);
}

/* ---- one PASID ---- */

/**
 * iommu_attach_device_pasid() - requests of the group with @pasid are translated by @domain
 * Return: 0; -ENODEV no group; -EOPNOTSUPP the driver has no PASIDs; -EINVAL @domain is of another
 * driver, pasid 0, or one over the limit of a device; -EBUSY attached; else the driver's errno.
 */
int iommu_attach_device_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			      struct iommu_attach_handle *handle);
/** iommu_replace_device_pasid() - errors as above, -EINVAL also if nothing is attached */
int iommu_replace_device_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			       struct iommu_attach_handle *handle);
void iommu_detach_device_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid);

/** iommu_attach_handle_get() - who is attached at @pasid; NULL nobody; caller keeps it attached */
struct iommu_attach_handle *iommu_attach_handle_get(struct iommu_group *group, ioasid_t pasid);

/* ---- what devices say ---- */

bool device_iommu_capable(struct device *dev, enum iommu_cap cap);
/** iommu_get_resv_regions() - 0 or -ENOMEM; iommu_put_resv_regions() the list on success */
int iommu_get_resv_regions(struct device *dev, struct iommu_resv_list *list);
void iommu_put_resv_regions(struct iommu_resv_list *list);

/**
 * iommu_paging_domain_alloc_flags() - a paging domain of @dev's IOMMU
 * Return: 0; -EOPNOTSUPP the driver makes none of this kind; -ENOMEM; else the driver's errno.
 */
int iommu_paging_domain_alloc_flags(struct device *dev, u32 flags,
				    const struct iommu_user_data *user_data,
				    struct iommu_domain **ret_domain);

#endif
