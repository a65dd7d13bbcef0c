/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking: maps, marks and bitmaps of any size and alignment.  What a
 * look without forgetting shows, the next look must show too, and what was
 * looked at and forgotten must be gone.
 */
#include <stdlib.h>
#include <string.h>

#include "target.h"

#define STEPS 100
#define LOOK_BYTES 4096U

static bool wanted(const struct call *call)
{
	return call->cmd == IOMMU_IOAS_MAP || call->cmd == IOMMU_IOAS_MAP_FILE ||
	       call->cmd == IOMMU_IOAS_COPY || call->cmd == IOMMU_IOAS_UNMAP ||
	       call->cmd == IOMMU_OPTION || call->cmd == IOMMU_HWPT_ALLOC ||
	       call->cmd == IOMMU_HWPT_SET_DIRTY_TRACKING ||
	       call->cmd == IOMMU_HWPT_GET_DIRTY_BITMAP || call->op == IOMMU_TEST_OP_DIRTY ||
	       call->op == IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE;
}

static long look(struct caller *caller, struct iommu_hwpt_get_dirty_bitmap *cmd, u32 flags,
		 u8 *bits)
{
	struct world *world = caller->world;
	long rc;

	cmd->flags = flags;
	memset(caller->scratch, 0, LOOK_BYTES);
	rc = iommufd_ioctl(world->proc, world->contexts[0].fd, IOMMU_HWPT_GET_DIRTY_BITMAP, cmd);
	memcpy(bits, caller->scratch, LOOK_BYTES);
	return rc;
}

static bool subset(const u8 *part, const u8 *whole)
{
	for (u32 i = 0; i < LOOK_BYTES; i++)
		if (part[i] & ~whole[i])
			return false;
	return true;
}

static void look_thrice(struct caller *caller)
{
	static u8 first[LOOK_BYTES], second[LOOK_BYTES], third[LOOK_BYTES];
	static const u32 page_sizes[] = { MOCK_PAGE_SIZE, PAGE_SIZE, MOCK_HUGE_PAGE_SIZE, 512 };
	struct iommu_hwpt_get_dirty_bitmap cmd = { .size = sizeof(cmd) };

	cmd.hwpt_id = pick_id(caller, &caller->world->contexts[0], KIND_HWPT);
	cmd.page_size = page_sizes[choice_below(&caller->choice, ARRAY_SIZE(page_sizes))];
	cmd.iova = pick_iova(caller, &caller->world->contexts[0]);
	cmd.length = pick_length(caller);
	/* All the bits have to have room. */
	if (cmd.length / cmd.page_size > LOOK_BYTES * 8 - 8)
		cmd.length = cmd.page_size * (LOOK_BYTES * 8 - 8);
	cmd.data = (uintptr_t)caller->scratch;
	if (look(caller, &cmd, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, first))
		return;
	if (look(caller, &cmd, 0, second) || memcmp(first, second, LOOK_BYTES))
		target_fail("a look without forgetting changed what is dirty");
	/* A mark may be larger than a bit: what is seen again was seen before. */
	if (look(caller, &cmd, 0, third) || !subset(third, second))
		target_fail("clean memory became dirty");
}

static void dirty_hwpt(struct caller *caller)
{
	struct world_ctx *ctx = &caller->world->contexts[0];
	struct iommu_hwpt_selftest data = { .pagetable_type = choice_below(&caller->choice, 2) };
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		.dev_id = pick_id(caller, ctx, KIND_DEVICE),
		.pt_id = pick_id(caller, ctx, KIND_IOAS),
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	struct iommu_hwpt_set_dirty_tracking track = {
		.size = sizeof(track),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
	};

	if (iommufd_ioctl(caller->world->proc, ctx->fd, IOMMU_HWPT_ALLOC, &cmd))
		return;
	track.hwpt_id = cmd.out_hwpt_id;
	iommufd_ioctl(caller->world->proc, ctx->fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &track);
	world_put_id(caller, ctx, KIND_HWPT, cmd.out_hwpt_id);
}

void target_input(struct caller *caller)
{
	u32 n;

	scene_make(caller);
	dirty_hwpt(caller);
	for (u32 i = 0; i < STEPS && !choice_over(&caller->choice); i++) {
		n = choice_below(&caller->choice, 8);
		caller->hostile = choice_rarely(&caller->choice, 8);
		if (n < 6)
			target_step(caller, wanted);
		else if (n < 7)
			look_thrice(caller);
		else
			dirty_hwpt(caller);
	}
}
