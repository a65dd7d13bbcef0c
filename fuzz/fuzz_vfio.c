/* SPDX-License-Identifier: MIT */
/*
 * VFIO containers: commands whose argument says how long it is.  Behind the
 * argsz a caller states, nothing may be written.
 */
#include <string.h>

#include <iommufd/uapi/vfio.h>

#include "target.h"

#define STEPS 60
#define CANARY 0xa5
#define INFO_MAX 512U

static bool wanted(const struct call *call)
{
	return call->cmd == IOMMU_VFIO_IOAS || call->cmd == VFIO_CHECK_EXTENSION ||
	       call->cmd == VFIO_SET_IOMMU || call->cmd == VFIO_IOMMU_GET_INFO ||
	       call->cmd == VFIO_IOMMU_MAP_DMA || call->cmd == VFIO_IOMMU_UNMAP_DMA ||
	       call->cmd == IOMMU_IOAS_ALLOW_IOVAS || call->op == IOMMU_TEST_OP_MOCK_DOMAIN ||
	       call->op == IOMMU_TEST_OP_ADD_RESERVED;
}

static void get_info(struct caller *caller)
{
	u32 argsz = choice_below(&caller->choice, 256);
	u8 *buf = caller->scratch;

	memset(buf, CANARY, INFO_MAX);
	memcpy(buf, &argsz, sizeof(argsz));
	iommufd_ioctl(caller->world->proc, caller->world->contexts[0].fd, VFIO_IOMMU_GET_INFO,
		      buf);
	for (u32 i = MAX(argsz, 4); i < INFO_MAX; i++)
		if (buf[i] != CANARY)
			target_fail("VFIO_IOMMU_GET_INFO wrote behind argsz");
}

/* An ioas for the container, and a type, as most programs have. */
static void container(struct caller *caller)
{
	struct world_ctx *ctx = &caller->world->contexts[0];
	struct iommu_vfio_ioas cmd = { .size = sizeof(cmd), .op = IOMMU_VFIO_IOAS_SET };

	cmd.ioas_id = pick_id(caller, ctx, KIND_IOAS);
	iommufd_ioctl(caller->world->proc, ctx->fd, IOMMU_VFIO_IOAS, &cmd);
	iommufd_ioctl(caller->world->proc, ctx->fd, VFIO_SET_IOMMU,
		      (void *)(uintptr_t)(choice_below(&caller->choice, 2) ? VFIO_TYPE1_IOMMU :
									     VFIO_TYPE1v2_IOMMU));
}

void target_input(struct caller *caller)
{
	u32 n;

	scene_make(caller);
	container(caller);
	for (u32 i = 0; i < STEPS && !choice_over(&caller->choice); i++) {
		n = choice_below(&caller->choice, 8);
		caller->hostile = choice_rarely(&caller->choice, 4);
		if (n < 5)
			target_step(caller, wanted);
		else if (n < 7)
			get_info(caller);
		else
			act_contexts(caller);
	}
}
