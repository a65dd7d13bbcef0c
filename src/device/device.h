/* SPDX-License-Identifier: MIT */
/*
 * Bound devices and, per context, the groups they form.  What is attached is a
 * property of the group and the pasid; each bound device of the group then
 * joins for itself, so that what it reserves is honoured.
 *
 * Locks: ioas->mutex, group->lock, the iommu room's group lock.
 */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include <urcu/list.h>
#include <iommufd/device.h>
#include <iommufd/driver.h>

#include "core/object.h"
#include "fault/fault.h"
#include "hwpt/hwpt.h"
#include "iommu/group.h"

struct iommufd_vdevice;

#define IOMMUFD_NO_SW_MSI UINT64_MAX

/**
 * struct iommufd_group - what the devices of one group share in one context
 * @users: bound devices; under ctx->groups_lock
 * @attachments: struct iommufd_attach by pasid
 * @sw_msi_start: where its interrupts are to be mapped, or IOMMUFD_NO_SW_MSI
 * @required_sw_msi: doorbell pages its interrupts use, a bit each; in every domain it enters
 */
struct iommufd_group {
	struct cds_list_head node;   /* ctx->groups, under ctx->groups_lock */
	u32 users;
	struct iommufd_ctx *ctx;     /* immutable */
	struct iommu_group *group;   /* immutable, counted */
	struct mutex lock;
	struct itree attachments __guarded_by(&lock);
	u64 sw_msi_start __guarded_by(&lock);
	u64 required_sw_msi __guarded_by(&lock);
};

/**
 * struct iommufd_attach - a group attached at one pasid; all under group->lock
 * @node: in group->attachments
 * @hwpt: has one users reference per member
 * @members: struct iommufd_attach_member
 */
struct iommufd_attach {
	struct itree_node node;
	struct iommufd_hw_pagetable *hwpt;
	struct iommufd_attach_handle *handle;
	struct cds_list_head members;
};

struct iommufd_attach_member {
	struct cds_list_head node;
	struct iommufd_device *idev;
};

/**
 * struct iommufd_device - IOMMUFD_OBJ_DEVICE
 * Immutable after bind but for the last two, which are under igroup->lock.
 * @enforce_cache_coherency: hwpts made for it shall ignore no-snoop
 * @vdev: its vdevice, from its making until its end; holds users and wait_cnt
 * @destroying: it is being unbound: there will be no new vdevice
 */
struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct iommufd_group *igroup;
	struct device *dev;
	bool enforce_cache_coherency;
	struct iommufd_vdevice *vdev;
	bool destroying;
};

static inline struct iommufd_device *to_device(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_device, obj);
}

/** device_get() - object_get() of the type */
int device_get(struct iommufd_ctx *ctx, u32 id, struct iommufd_device **ret_idev);
void device_destroy(struct iommufd_object *obj);
void device_pre_destroy(struct iommufd_object *obj);

/**
 * device_hwpt_attach() - @idev joins @hwpt at @pasid; the first one moves the group
 * Takes a users reference of @hwpt for the member.
 * Return: as iommufd_device_attach().
 */
int device_hwpt_attach(struct iommufd_device *idev, ioasid_t pasid,
		       struct iommufd_hw_pagetable *hwpt);
/** device_hwpt_replace() - *@ret_old: a hwpt that lost a reference to be dropped, or NULL */
int device_hwpt_replace(struct iommufd_device *idev, ioasid_t pasid,
			struct iommufd_hw_pagetable *hwpt,
			struct iommufd_hw_pagetable **ret_old);
/** device_hwpt_detach() - the hwpt it left, its reference now the caller's; NULL: it was in none */
struct iommufd_hw_pagetable *device_hwpt_detach(struct iommufd_device *idev, ioasid_t pasid);

/** device_answer_faults() - what @idev asked for is answered; it is at rest and about to go */
void device_answer_faults(struct iommufd_device *idev);

/** device_next_pasid() - lowest pasid >= *pasid (0: the RID too) at which @idev is attached */
bool device_next_pasid(struct iommufd_device *idev, ioasid_t *pasid);

/** group_attached_hwpt() - the same with the lock held */
struct iommufd_hw_pagetable *group_attached_hwpt(struct iommufd_group *igroup, ioasid_t pasid)
	__must_hold(&igroup->lock);

/* ---- what device_hwpt_*() are made of ---- */

/**
 * sw_msi_install() - the doorbell pages the group uses, into a domain it enters; igroup->lock held
 */
int sw_msi_install(struct iommufd_group *igroup, struct iommufd_hwpt_paging *hwpt);

/** device_reserve() - iova that @idev can not have translated; all of them or none */
int device_reserve(struct iommufd_device *idev, struct iommufd_hwpt_paging *hwpt);
void device_unreserve(struct iommufd_device *idev, struct iommufd_hwpt_paging *hwpt);

#endif
