/* SPDX-License-Identifier: MIT */
/*
 * Calls on vIOMMUs and what hangs on them, and mmap of an open file.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "replay.h"

typedef unsigned long long ull;

static bool viommu_alloc(void)
{
	struct context *ctx = pick_context();
	struct iommu_viommu_selftest data = { .in_data = 0x1234 };
	struct iommu_viommu_alloc cmd = {
		.flags = USUALLY(0, 1),
		.type = USUALLY(IOMMU_VIOMMU_TYPE_SELFTEST, 0, 1, 0xdead),
		.dev_id = pick_id(ctx, IDEV),
		.hwpt_id = pick_id(ctx, HWPT),
		.__reserved = USUALLY(0, 1),
	};

	if (chance(50)) {
		cmd.data_len = USUALLY(PICK(24, 24, 8), 4, 25, 32);
		cmd.data_uptr = data_arg(&data, sizeof(data));
	} else {
		data_arg(NULL, 0);
	}
	say(" flags %x type %x dev %u hwpt %u len %u at %llx res %u", cmd.flags, cmd.type,
	    cmd.dev_id, cmd.hwpt_id, cmd.data_len, (ull)cmd.data_uptr, cmd.__reserved);
	if (CALL(ctx, IOMMU_VIOMMU_ALLOC, cmd) >= 0) {
		note_id(ctx, VIOMMU, cmd.out_viommu_id);
		if (cmd.data_len == 24) {
			memcpy(&data, (void *)(cmd.data_uptr), sizeof(data));
			world->mmap_offset = data.out_mmap_offset;
			if (!world->mapped)
				world->mmap_length = data.out_mmap_length;
		}
	}
	say_data();
	say_line();
	return true;
}

static bool vdevice_alloc(void)
{
	struct context *ctx = pick_context();
	struct iommu_vdevice_alloc cmd = {
		.viommu_id = pick_id(ctx, VIOMMU),
		.dev_id = pick_id(ctx, IDEV),
		.virt_id = USUALLY(PICK(0, 1, 2, 0x99), UMAX, 1ULL << 32),
	};

	if (lacks(ctx, VIOMMU))
		return false;
	say(" viommu %u dev %u virt %llx", cmd.viommu_id, cmd.dev_id, (ull)cmd.virt_id);
	if (CALL(ctx, IOMMU_VDEVICE_ALLOC, cmd) >= 0)
		note_id(ctx, VDEVICE, cmd.out_vdevice_id);
	say_line();
	return true;
}

static bool veventq_alloc(void)
{
	struct context *ctx = pick_context();
	struct iommu_veventq_alloc cmd = {
		.flags = USUALLY(0, 1),
		.viommu_id = pick_id(ctx, VIOMMU),
		.type = USUALLY(IOMMU_VEVENTQ_TYPE_SELFTEST, 0, 1, 2),
		.veventq_depth = USUALLY(PICK(1, 2, 2, 3), 0, 1u << 19, (1u << 19) + 1),
		.__reserved = USUALLY(0, 1),
	};

	if (in_child)
		return false;
	for (unsigned int i = 0; i < EVENT_FDS; i++) {
		struct event_fd *event = &world->events[i];

		if (event->fd >= 0)
			continue;
		say(" flags %x viommu %u type %x depth %u res %u", cmd.flags, cmd.viommu_id,
		    cmd.type, cmd.veventq_depth, cmd.__reserved);
		expect_fd_at(offsetof(struct iommu_veventq_alloc, out_veventq_fd));
		if (CALL(ctx, IOMMU_VEVENTQ_ALLOC, cmd) >= 0) {
			note_id(ctx, VEVENTQ, cmd.out_veventq_id);
			*event = (struct event_fd){ .fd = cmd.out_veventq_fd };
		}
		say_line();
		return true;
	}
	return false;
}

static bool trigger_vevent(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_TRIGGER_VEVENT };

	if (lacks(ctx, VEVENTQ))
		return false;
	cmd.trigger_vevent.dev_id = pick_id(ctx, IDEV);
	say(" dev %u", cmd.trigger_vevent.dev_id);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say_line();
	return true;
}

/* Within one page: which pages lie side by side is the machine's affair. */
static bool hw_queue_alloc(void)
{
	struct context *ctx = pick_context();
	struct area *area = pick_area(ctx);
	struct iommu_hw_queue_alloc cmd = {
		.flags = USUALLY(0, 1),
		.viommu_id = pick_id(ctx, VIOMMU),
		.type = USUALLY(IOMMU_HW_QUEUE_TYPE_SELFTEST, 0, 1),
		.index = USUALLY(PICK(0, 0, 1), 2, UINT32_MAX),
		.nesting_parent_iova = pick_iova(ctx) & -PAGE,
		.length = USUALLY(PICK(PAGE, 2048, 100), 0),
	};

	if (lacks(ctx, VIOMMU))
		return false;
	if (area && chance(85))
		cmd.nesting_parent_iova = area->iova & -PAGE;
	if (chance(20)) {
		cmd.nesting_parent_iova += 2048;
		cmd.length = PICK(2048, 1);
	} else if (chance(4)) {
		cmd.nesting_parent_iova = UMAX - PAGE + 1;
		cmd.length = PICK(PAGE, PAGE + 1, UMAX);
	}
	say(" flags %x viommu %u type %x index %u iova %llx len %llx", cmd.flags, cmd.viommu_id,
	    cmd.type, cmd.index, (ull)cmd.nesting_parent_iova, (ull)cmd.length);
	if (cmd.index && ctx->n_second_queues == PASIDS)
		cmd.index = 2;
	if (CALL(ctx, IOMMU_HW_QUEUE_ALLOC, cmd) >= 0) {
		if (cmd.index)
			ctx->second_queues[ctx->n_second_queues++] = cmd.out_hw_queue_id;
		else
			note_id(ctx, HW_QUEUE, cmd.out_hw_queue_id);
	}
	say_line();
	return true;
}

static bool map_file_page(void)
{
	struct context *ctx = pick_context();
	size_t length = world->mmap_length ? USUALLY(world->mmap_length, PAGE, 4 * PAGE, 0) :
					     2 * PAGE;
	uint64_t offset = USUALLY(world->mmap_offset, 0, PAGE, 2 * PAGE, 100 * PAGE);
	int prot = USUALLY(PROT_READ | PROT_WRITE, PROT_READ, PROT_READ | PROT_EXEC, 0);
	int flags = USUALLY(MAP_SHARED, MAP_PRIVATE);
	void *page;

	if (!world->mmap_offset && chance(85))
		return false;
	if (in_child)
		return false;
	if (world->mapped) {
		say(" munmap");
		say_result(munmap(world->mapped, world->mmap_length));
		world->mapped = NULL;
		return true;
	}
	say(" len %zx offset %llx prot %x flags %x", length, (ull)offset, prot, flags);
	page = mmap(NULL, length, prot, flags, ctx->fd, offset);
	if (page == MAP_FAILED) {
		say_result(-1);
		return true;
	}
	if (prot & PROT_READ)
		say(" word %x", *(uint32_t *)page);
	world->mapped = page;
	world->mmap_length = length;
	say_result(0);
	return true;
}

const struct step viommu_steps[] = {
	{ "viommu", 30, viommu_alloc },
	{ "vdevice", 30, vdevice_alloc },
	{ "veventq", 12, veventq_alloc },
	{ "vevent", 20, trigger_vevent },
	{ "hw_queue", 24, hw_queue_alloc },
	{ "mmap", 8, map_file_page },
	{ NULL, 0, NULL },
};
