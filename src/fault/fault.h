/* SPDX-License-Identifier: MIT */
/*
 * Fault queues: page requests of devices out to the program, its responses in.
 *
 *	handler --> deliver list --read()--> awaiting, by cookie --write()--> driver
 *	                 |                          |
 *	                 +--- detach, replace: -----+---> answered INVALID
 *
 * A group of requests moves along as a whole and is in exactly one place.
 */
#ifndef FAULT_FAULT_H
#define FAULT_FAULT_H

#include "base/idtable.h"
#include "fault/eventq.h"
#include "iommu/group.h"

struct iommufd_ucmd;

/**
 * struct iommufd_fault - IOMMUFD_OBJ_FAULT
 * @eventq: its deliver list is of struct iopf_entry; nobody takes from it without @mutex
 * @mutex: one read(), write() or automatic answer at a time; held over copies to and from the
 *	program and over the driver's page_response()
 * @awaiting: struct iopf_entry that were read and not answered, by cookie
 *
 * users: the open file, each hwpt made with it.
 */
struct iommufd_fault {
	struct iommufd_eventq eventq;
	struct mutex mutex;
	struct idtable awaiting __guarded_by(&mutex);
};

/**
 * struct iommufd_attach_handle - what a request of a group at a pasid leads to; a new one with each
 *	switch, so that faults of the past can be told from those of now.  Immutable.
 * @fault: where to; NULL nowhere; the attached hwpt keeps it
 * @dev_id: the device that made the switch
 */
struct iommufd_attach_handle {
	struct iommu_attach_handle handle;
	struct iommufd_fault *fault;
	u32 dev_id;
};

static inline struct iommufd_fault *to_fault(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_fault, eventq.obj);
}

/** fault_hold_by_id() - look up and hold for as long as a hwpt lives; -ENOENT */
int fault_hold_by_id(struct iommufd_ctx *ctx, u32 id, struct iommufd_fault **ret_fault);

/** fault_iopf_handler() - domain->iopf_handler of a hwpt with a fault queue */
int fault_iopf_handler(struct iopf_group *group);

/**
 * fault_answer_handle() - nobody else will: answer what came for @handle with INVALID
 * @handle: takes no more requests; NULL @handle->fault is a no-op
 */
void fault_answer_handle(struct iommufd_attach_handle *handle);
/** fault_answer_device() - only what @dev asked for; the handle stays and @dev is at rest */
void fault_answer_device(struct iommufd_attach_handle *handle, struct device *dev);

/* file ops, in fault_file.c */
extern const struct file_ops fault_file_ops;

#endif
