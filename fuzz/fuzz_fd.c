/* SPDX-License-Identifier: MIT */
/*
 * Files of queues and accesses: reads, writes and polls of any size, between
 * commands that put something into the queues or take their objects away.
 */
#include "target.h"

#define STEPS 200

static bool wanted(const struct call *call)
{
	switch (call->op) {
	case IOMMU_TEST_OP_TRIGGER_IOPF:
	case IOMMU_TEST_OP_TRIGGER_VEVENT:
	case IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE:
	case IOMMU_TEST_OP_PASID_ATTACH:
	case IOMMU_TEST_OP_PASID_REPLACE:
	case IOMMU_TEST_OP_PASID_DETACH:
	case IOMMU_TEST_OP_CREATE_ACCESS:
	case IOMMU_TEST_OP_DMABUF_GET:
		return true;
	case 0:
		return call->cmd == IOMMU_DESTROY || call->cmd == IOMMU_HWPT_ALLOC ||
		       call->cmd == IOMMU_FAULT_QUEUE_ALLOC || call->cmd == IOMMU_VDEVICE_ALLOC ||
		       call->cmd == IOMMU_VEVENTQ_ALLOC;
	default:
		return false;
	}
}

void target_input(struct caller *caller)
{
	scene_make(caller);
	for (u32 i = 0; i < STEPS && !choice_over(&caller->choice); i++) {
		if (choice_below(&caller->choice, 2)) {
			target_step(caller, wanted);
			continue;
		}
		caller->hostile = choice_rarely(&caller->choice, 4);
		act_files(caller);
	}
}
