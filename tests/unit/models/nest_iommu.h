/* SPDX-License-Identifier: MIT */
/*
 * An IOMMU with two stages for tests of the DMA path: the parent's tables are VT-d's second
 * stage; in front of them is a guest's table of PASIDs, each with an x86-64 table, all in the
 * guest's memory.
 */
#ifndef TESTS_NEST_IOMMU_H
#define TESTS_NEST_IOMMU_H

#include <iommufd/driver.h>
#include <iommufd/system.h>

#define NEST_TYPE   0x4e455354
#define NEST_PASIDS 64

/*
 * An entry of the guest's table of PASIDs, entry 0 for requests without one: valid, root, and
 * the tag that invalidations name
 */
#define NEST_VALID	1ULL
#define NEST_ROOT	(((1ULL << 52) - 1) & ~0xfffULL)
#define NEST_TAG_SHIFT	52
#define NEST_ENTRY(root, tag) (NEST_VALID | (root) | (u64)(tag) << NEST_TAG_SHIFT)

/** struct nest_hwpt_data - HWPT_ALLOC: where the table of PASIDs is, a guest-physical address */
struct nest_hwpt_data {
	u64 table;
};

/** struct nest_invalidate - HWPT_INVALIDATE: one tag, or @all; [@first, @last] */
struct nest_invalidate {
	u64 tag;
	u64 all;
	u64 first;
	u64 last;
};

struct nest_iommu {
	struct iommu_device iommu_dev;
	struct iommufd_system *system;
	struct iommu_ops ops; /* user_pasid_table may be changed while nothing is attached */
	_Atomic u32 most_loads; /* of any walk */
};

void nest_iommu_init(struct nest_iommu *iommu, struct iommufd_system *system);
/** nest_device_init() - @dev appears behind it; iommu_release_device() it */
int nest_device_init(struct nest_iommu *iommu, struct device *dev, const char *name);

#endif
