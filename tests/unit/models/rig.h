/* SPDX-License-Identifier: MIT */
/*
 * A machine with a mock IOMMU, this process as its program, one open
 * /dev/iommu: commands are functions that return what the ioctl would.
 */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <iommufd/ctx.h>
#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>

#include "core/ctx.h"

struct rig {
	struct iommufd_system *system;
	struct iommufd_process *proc;
	int fd;
};

struct mock_ids {
	u32 stdev, hwpt, idev;
};

/* For cmocka: one rig per test; the end fails if a pin, a context or a page is left. */
extern struct rig rig;
int rig_begin(void **state);
int rig_end(void **state);

long rig_ioctl(unsigned int cmd, void *arg);
int rig_test(struct iommu_test_cmd *cmd); /* sets size */

u32 rig_ioas(void);
int rig_destroy(u32 id);
int rig_map(u32 ioas, void *va, u64 length, u64 iova); /* read and write, fixed */
int rig_unmap(u32 ioas, u64 iova, u64 length);
int rig_huge_pages(u32 ioas, u64 on);

int rig_mock_domain(u32 pt, u32 dev_flags, struct mock_ids *ret);
struct mock_ids rig_mock(u32 pt); /* must work */
int rig_replace(u32 stdev, u32 *pt);
int rig_pasid_attach(u32 stdev, u32 pasid, u32 *pt);
int rig_pasid_replace(u32 stdev, u32 pasid, u32 *pt);
int rig_pasid_detach(u32 stdev, u32 pasid);
int rig_pasid_check(u32 stdev, u32 pasid, u32 hwpt);
int rig_check_map(u32 hwpt, u64 iova, u64 length, void *va);
int rig_check_refs(void *va, u64 length, u32 refs);
int rig_hwpt_alloc(struct iommu_hwpt_alloc *cmd); /* sets size */
int rig_hwpt(u32 idev, u32 pt, u32 flags, u32 *ret_hwpt);
int rig_hwpt_typed(u32 idev, u32 pt, u32 flags, u32 pagetable_type, u32 *ret_hwpt);

/* Anonymous memory, page aligned; rig_end() unmaps all of it. */
void *rig_memory(u64 length);

/*
 * Run @sequence with its nth fallible step failing, for n = 1, 2, ... until none is left to fail.
 * The sequence returns 0 or the first error, having undone nothing: the rig is thrown away.
 */
void rig_sweep(int (*sequence)(void));

#endif
