/* SPDX-License-Identifier: MIT */
/*
 * The objects a guest's slice of an IOMMU consists of.  Drivers see them through
 * <iommufd/viommu.h>; here is what the core keeps beside the driver's structs:
 * it lies behind them in the same memory, so that a driver can neither reach it
 * by mistake nor forget it.
 *
 * Who holds whom (users): viommu -> nesting parent; nested hwpt, vdevice, veventq,
 * hw queue, mapping -> viommu; vdevice -> device, that one by wait_cnt as well, so
 * that unbinding the device finds it and waits for its end.
 */
#ifndef VIOMMU_VIOMMU_H
#define VIOMMU_VIOMMU_H

#include <urcu/list.h>
#include <iommufd/viommu.h>

#include "base/rangemap.h"
#include "core/object.h"
#include "fault/eventq.h"

struct iommufd_ucmd;

/**
 * struct iommufd_viommu_core - behind a driver's vIOMMU struct
 * @vdevs_lock: innermost lock; drivers take it with xa_lock()
 * @vdevs: virt_id -> struct vdev_slot
 * @veventqs_rwsem: read: an event is being reported; write: a queue comes or goes
 * @veventqs: struct iommufd_veventq, one of each type
 */
struct iommufd_viommu_core {
	struct mutex vdevs_lock;
	struct rangemap vdevs __guarded_by(&vdevs_lock);
	struct rwlock veventqs_rwsem;
	struct cds_list_head veventqs __guarded_by(&veventqs_rwsem);
};

/**
 * struct vdev_slot - behind a driver's vdevice struct: its entry in viommu->vdevs
 * @ready: vdevice_init() has succeeded: drivers may find it; under vdevs_lock
 */
struct vdev_slot {
	struct iommufd_vdevice *vdev;
	bool ready;
};

/**
 * struct vevent - one item of the stream; data_len bytes follow the header, as the program reads it
 */
struct vevent {
	struct cds_list_head node;
	size_t data_len;
	struct iommufd_vevent_header header;
};
static_assert(sizeof(struct vevent) == offsetof(struct vevent, header) +
					       sizeof(struct iommufd_vevent_header),
	      "data follows the header");

/**
 * struct iommufd_veventq - IOMMUFD_OBJ_VEVENTQ
 * @viommu: counted; @type, @depth: immutable
 * @node: in viommu's list, under its veventqs_rwsem
 * @open: the program can have the descriptor: events are taken; under veventqs_rwsem
 * @read_lock: one reader at a time, so that what one puts back stays in order; held over the copy
 *	to the program, waited for by readers only
 * @lost: stands last in the list while events after the last real one have been lost
 * @num_events: real ones in the list; this and all below under common.lock
 */
struct iommufd_veventq {
	struct iommufd_eventq common;
	struct iommufd_viommu *viommu;
	enum iommu_veventq_type type;
	u32 depth;
	struct cds_list_head node;
	bool open;
	struct mutex read_lock;
	struct vevent lost;
	u32 num_events;
	u32 sequence;
};

/* What the core keeps behind a struct of @size bytes of a driver, and where. */
static inline size_t driver_struct_end(size_t size)
{
	return ALIGN_UP(size, _Alignof(max_align_t));
}

static inline struct iommufd_viommu *to_viommu(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_viommu, obj);
}

/** viommu_get() - object_get() of the type; object_put() it */
int viommu_get(struct iommufd_ctx *ctx, u32 id, struct iommufd_viommu **ret_viommu);

/** veventq_add_event() - for iommufd_viommu_report_event(); errors as there */
int veventq_add_event(struct iommufd_veventq *veventq, const void *data, size_t len);

#endif
