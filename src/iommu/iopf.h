/* SPDX-License-Identifier: MIT */
/*
 * The core's side of page requests: what is behind a struct iopf_group.
 */
#ifndef IOMMU_IOPF_H
#define IOMMU_IOPF_H

#include <urcu/list.h>
#include <iommufd/driver.h>

#include "base/types.h"

/**
 * struct iopf_entry - a group and where it is
 * @last: what group.last points at, the end of the chain group.faults
 * @param: of the device, counted
 * @pending: in param->pending until the group is answered or taken over
 * @answered: under param->lock
 * @node, @cookie: for who has taken the group over
 */
struct iopf_entry {
	struct iopf_group group;
	struct iopf_fault last;
	struct iommu_fault_param *param;
	struct cds_list_head pending;
	bool answered;
	struct cds_list_head node;
	u32 cookie;
};

/** iopf_group_device() - whose requests they are */
struct device *iopf_group_device(const struct iopf_group *group);

static inline struct iopf_entry *to_iopf_entry(struct iopf_group *group)
{
	return container_of(group, struct iopf_entry, group);
}

#endif
