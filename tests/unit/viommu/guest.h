/* SPDX-License-Identifier: MIT */
/*
 * A guest on top of the mock rig: a device, a nesting parent, a vIOMMU on it.
 * Commands return what the ioctl would; those named must_ end the test otherwise.
 */
#ifndef TESTS_GUEST_H
#define TESTS_GUEST_H

#include "../models/rig.h"

#include "base/types.h"

#define BASE MOCK_APERTURE_START
#define PG 4096UL

struct guest {
	u32 ioas;
	struct mock_ids dev;
	u32 parent;  /* nesting hwpt */
	u32 viommu;
};

extern struct guest guest;
/* For cmocka: with rig_end() as teardown. */
int guest_begin(void **state);

int viommu_alloc(struct iommu_viommu_alloc *cmd); /* sets size */
int vdevice_alloc(u32 viommu, u32 idev, u64 virt_id, u32 *ret_vdevice);
int veventq_alloc(u32 viommu, u32 type, u32 depth, u32 *ret_veventq, int *ret_fd);
int hw_queue_alloc(u32 viommu, u32 type, u32 index, u64 iova, u64 length, u32 *ret_queue);
int nested_alloc(u32 idev, u32 pt, u32 flags, u32 iotlb, u32 *ret_hwpt);
int invalidate(u32 hwpt, void *data, u32 type, u32 entry_len, u32 *entry_num);

u32 must_parent(u32 idev, u32 ioas);
u32 must_viommu(u32 idev, u32 parent);
u32 must_vdevice(u32 viommu, u32 idev, u64 virt_id);
u32 must_nested(u32 idev, u32 pt);

int check_iotlb(u32 hwpt, u32 id, u32 word);
int check_cache(u32 idev, u32 id, u32 word);
int trigger_vevent(u32 idev);

/* One page of rig_memory() that commands can be read from but not answered to. */
void read_only(void *page, u64 length);

#endif
