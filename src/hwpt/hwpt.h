/* SPDX-License-Identifier: MIT */
/*
 * Hwpts: a domain of some IOMMU as an object.  A paging hwpt carries the map of
 * its ioas; it is made by a program (manual) or by attaching a device to an
 * ioas (automatic, and then it goes with its last attachment).
 */
#ifndef HWPT_HWPT_H
#define HWPT_HWPT_H

#include <urcu/list.h>

#include "core/object.h"
#include "ioas/ioas.h"
#include "iommu/domain.h"

struct iommufd_device;
struct iommufd_viommu;
struct iommufd_fault;
struct iommufd_ucmd;

/**
 * struct iommufd_hw_pagetable - what all kinds have; the fields are immutable once published
 * @domain: NULL only while it is being built
 * @fault: where its page requests go, held by hwpt_set_fault(); NULL none
 * @pasid_compat: made with IOMMU_HWPT_ALLOC_PASID
 */
struct iommufd_hw_pagetable {
	struct iommufd_object obj;
	struct iommu_domain *domain;
	struct iommufd_fault *fault;
	bool pasid_compat;
};

/**
 * struct iommufd_hwpt_paging - IOMMUFD_OBJ_HWPT_PAGING
 * @ctx, @ioas: immutable, the ioas counted
 * @hwpt_item: in ioas->hwpt_list once its domain is part of the map, under ioas->mutex
 * @auto_domain: set before publication
 * @enforce_cache_coherency, @nest_parent: immutable
 * @present_sw_msi: doorbell pages mapped in it, a bit each; under ctx->sw_msi_lock
 * @tracking: what SET_DIRTY_TRACKING last said, for who looks
 */
struct iommufd_hwpt_paging {
	struct iommufd_hw_pagetable common;
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;
	struct cds_list_head hwpt_item;
	bool auto_domain;
	bool enforce_cache_coherency;
	bool nest_parent;
	_Atomic bool tracking;
	u64 present_sw_msi;
};

/**
 * struct iommufd_hwpt_nested - IOMMUFD_OBJ_HWPT_NESTED
 * @parent: carries the memory; counted if there is no @viommu, else through it
 * @viommu: whose driver made it, counted; NULL: made on the parent directly
 * Both immutable.
 */
struct iommufd_hwpt_nested {
	struct iommufd_hw_pagetable common;
	struct iommufd_hwpt_paging *parent;
	struct iommufd_viommu *viommu;
};

static inline bool hwpt_is_paging(const struct iommufd_hw_pagetable *hwpt)
{
	return hwpt->obj.type == IOMMUFD_OBJ_HWPT_PAGING;
}

static inline struct iommufd_hwpt_paging *to_hwpt_paging(struct iommufd_hw_pagetable *hwpt)
{
	return container_of(hwpt, struct iommufd_hwpt_paging, common);
}

static inline struct iommufd_hwpt_nested *to_hwpt_nested(struct iommufd_hw_pagetable *hwpt)
{
	return container_of(hwpt, struct iommufd_hwpt_nested, common);
}

/** hwpt_find_paging() - the paging hwpt whose ioas carries @hwpt's memory: itself or its parent */
static inline struct iommufd_hwpt_paging *hwpt_find_paging(struct iommufd_hw_pagetable *hwpt)
{
	return hwpt_is_paging(hwpt) ? to_hwpt_paging(hwpt) : to_hwpt_nested(hwpt)->parent;
}

/** hwpt_paging_get() - object_get() of the type; put it with hwpt_put() */
int hwpt_paging_get(struct iommufd_ctx *ctx, u32 id, struct iommufd_hwpt_paging **ret_hwpt);
void hwpt_put(struct iommufd_ctx *ctx, struct iommufd_hw_pagetable *hwpt);

/**
 * hwpt_set_fault() - its page requests go to a fault queue; before it can be attached
 * Return: 0, -ENOENT no fault queue has this id.
 */
int hwpt_set_fault(struct iommufd_ctx *ctx, struct iommufd_hw_pagetable *hwpt, u32 fault_id);
/** hwpt_fini() - end what all kinds have: the domain (NULL: none yet) and the hold on @fault */
void hwpt_fini(struct iommufd_hw_pagetable *hwpt);

/** hwpt_detached() - drop an attachment's reference; the last one of an automatic hwpt ends it */
void hwpt_detached(struct iommufd_ctx *ctx, struct iommufd_hw_pagetable *hwpt);

/**
 * hwpt_paging_alloc() - a domain for @idev's IOMMU that carries @ioas
 * @flags: IOMMU_HWPT_ALLOC_*, as the program gave them
 * @immediate_attach: attach @idev at @pasid before the map is filled in
 * @user_data: the driver's blob; NULL none
 * @ret_hwpt: not published; object_finalize() or object_abort_and_destroy() it with the mutex
 *	still held (after a detach, if attached)
 *
 * Return: 0; -EOPNOTSUPP flags or data the driver or device can not do; -ENOMEM; -EBUSY; -EINVAL;
 * -EADDRINUSE; errors of attaching, of the driver, of pinning.
 */
int hwpt_paging_alloc(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
		      struct iommufd_device *idev, ioasid_t pasid, u32 flags,
		      bool immediate_attach, const struct iommu_user_data *user_data,
		      struct iommufd_hwpt_paging **ret_hwpt) __must_hold(&ioas->mutex);

/**
 * hwpt_nested_alloc() - a guest's tables in front of @parent, by @idev's driver
 * @ret_hwpt: not published; object_finalize() or object_abort_and_destroy() it
 * Return: 0; -EOPNOTSUPP flags, no data, or the driver can not; -EINVAL @parent is automatic, no
 * nesting parent, or another driver's; -ENOMEM; -EBUSY; the driver's errno.
 */
int hwpt_nested_alloc(struct iommufd_ctx *ctx, struct iommufd_hwpt_paging *parent,
		      struct iommufd_device *idev, u32 flags,
		      const struct iommu_user_data *user_data,
		      struct iommufd_hwpt_nested **ret_hwpt);
/** hwpt_nested_alloc_viommu() - the same by a vIOMMU; -EINVAL @idev is behind another IOMMU */
int hwpt_nested_alloc_viommu(struct iommufd_ctx *ctx, struct iommufd_viommu *viommu,
			     struct iommufd_device *idev, u32 flags,
			     const struct iommu_user_data *user_data,
			     struct iommufd_hwpt_nested **ret_hwpt);
void hwpt_nested_destroy(struct iommufd_object *obj);

void hwpt_paging_destroy(struct iommufd_object *obj);
void hwpt_paging_abort(struct iommufd_object *obj);

#endif
