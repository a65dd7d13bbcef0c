/* SPDX-License-Identifier: MIT */
/*
 * Calls on what address spaces hold: accesses, dirty bitmaps.
 */
#include <string.h>
#include <unistd.h>

#include "replay.h"

typedef unsigned long long ull;

/* ---- accesses ---- */

static bool create_access(void)
{
	struct access *access = &world->accesses[pick(ACCESSES)];
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS, .id = pick_id(ctx, IOAS),
	};

	if (in_child)
		return false;
	if (access->fd >= 0) {
		say(" close %s", fd_name(access->fd));
		say_result(close(access->fd));
		access->fd = -1;
		return true;
	}
	cmd.create_access.flags = USUALLY(PICK(0, 1, 1), 2, 3);
	say(" %u flags %x", cmd.id, cmd.create_access.flags);
	expect_fd_at(offsetof(struct iommu_test_cmd, create_access.out_access_fd));
	if (CALL(ctx, IOMMU_TEST_CMD, cmd) >= 0) {
		*access = (struct access){
			cmd.create_access.out_access_fd, ctx, cmd.id, cmd.create_access.flags & 1, 0
		};
	}
	say_line();
	return true;
}

/* An access of the context, or hardly one. */
static struct access *pick_access(struct context *ctx, bool pins, uint32_t *ret_fd)
{
	struct access *access = NULL;

	for (unsigned int i = 0; i < 16; i++) {
		access = &world->accesses[pick(ACCESSES)];
		if (access->fd >= 0 && access->ctx == ctx && (access->pins || !pins || i > 12))
			break;
	}
	/* a child has not got those made after it */
	*ret_fd = USUALLY(access->fd, 0, UINT32_MAX, 200, world->files[0], world->files[2]);
	return access;
}

static bool access_pages(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_ACCESS_PAGES };
	struct access *access;
	struct area *area;
	uint64_t iova = pick_iova(ctx), length = pick_length(), va = 0;

	if (in_child)
		return false;
	access = pick_access(ctx, true, &cmd.id);
	if (access->fd < 0 && chance(85))
		return false;
	area = pick_area_of(ctx, access->ioas);
	if (area && chance(85)) {
		iova = area->iova + (chance(30) ? PICK(PAGE, 2048, 1, 2 * PAGE) : 0);
		length = chance(70) ? area->length : PICK(PAGE, 1, 2 * PAGE, 100);
		if (area->va && chance(50))
			va = area->va + iova - area->iova;
	}
	if (chance(3))
		va = pick_va();
	cmd.access_pages.flags = USUALLY(pick(2), 2, 4);
	cmd.access_pages.iova = iova;
	cmd.access_pages.length = length;
	cmd.access_pages.uptr = va;
	say(" %s flags %x iova %llx len %llx va %llx", fd_name(cmd.id), cmd.access_pages.flags,
	    (ull)iova, (ull)length, (ull)va);
	if (CALL(ctx, IOMMU_TEST_CMD, cmd) >= 0)
		access->next_pin = cmd.access_pages.out_access_pages_id + 1;
	say_line();
	return true;
}

static bool unpin(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES };
	struct access *access;

	if (in_child)
		return false;
	access = pick_access(ctx, true, &cmd.id);
	if ((access->fd < 0 || !access->next_pin) && chance(85))
		return false;
	cmd.destroy_access_pages.access_pages_id = pick(access->next_pin + 1);
	say(" %s pin %u", fd_name(cmd.id), cmd.destroy_access_pages.access_pages_id);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say_line();
	return true;
}

static bool access_rw(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_ACCESS_RW };
	struct access *access;
	struct area *area;
	uint64_t iova = pick_iova(ctx), length = pick_length();

	/* a Linux without a CPU of its own reads what nobody may read */
	if (in_child || world->no_access)
		return false;
	access = pick_access(ctx, false, &cmd.id);
	if (access->fd < 0 && chance(85))
		return false;
	area = pick_area_of(ctx, access->ioas);
	if (area && chance(85)) {
		iova = area->iova +
		       (chance(40) ? PICK(PAGE, 2048, 1, 5, PAGE - 3, area->length - 1) : 0);
		length = chance(50) ? area->length : PICK(1, 7, 100, PAGE, 2 * PAGE);
	}
	cmd.access_rw.flags = USUALLY(PICK(0, 1, 4, 5), 8, 2);
	cmd.access_rw.iova = iova;
	cmd.access_rw.length = length;
	cmd.access_rw.uptr = data_arg(NULL, length);
	say(" %s flags %x iova %llx len %llx at %llx", fd_name(cmd.id), cmd.access_rw.flags,
	    (ull)iova, (ull)length, (ull)cmd.access_rw.uptr);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say(" data %08x", hash((void *)DATA_AT, DATA_SIZE));
	say_line();
	return true;
}

static bool access_replace(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_ACCESS_REPLACE_IOAS };
	struct access *access;

	if (in_child)
		return false;
	access = pick_access(ctx, false, &cmd.id);
	cmd.access_replace_ioas.ioas_id = pick_id(ctx, IOAS);
	say(" %s ioas %u", fd_name(cmd.id), cmd.access_replace_ioas.ioas_id);
	if (CALL(ctx, IOMMU_TEST_CMD, cmd) >= 0)
		access->ioas = cmd.access_replace_ioas.ioas_id;
	say_line();
	return true;
}

/* ---- dirty bits ---- */

static bool set_dirty_tracking(void)
{
	struct context *ctx = pick_context();
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.flags = USUALLY(PICK(0, 1, 1), 2, 3),
		.hwpt_id = pick_id(ctx, PICK(HWPT, DIRTY_HWPT, DIRTY_HWPT)),
		.__reserved = USUALLY(0, 1),
	};

	if (lacks(ctx, DIRTY_HWPT))
		return false;
	say(" flags %x hwpt %u res %u", cmd.flags, cmd.hwpt_id, cmd.__reserved);
	CALL(ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, cmd);
	say_line();
	return true;
}

/* An entry of the big-page table is two small pages, of which Linux tells one. */
static uint64_t dirty_page(void)
{
	return world->big_tables ? PAGE : MOCK_PAGE_SIZE;
}

/*
 * Only whole entries of the page table are marked and asked for: Linux does not
 * tell the last of several items in one, or never returns.
 */
static bool dirty(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_DIRTY };
	struct area *area = pick_area(ctx);
	uint64_t bits = random_u64() & 0x5555555555555555;

	if (lacks(ctx, DIRTY_HWPT))
		return false;
	cmd.id = pick_id(ctx, chance(90) ? DIRTY_HWPT : HWPT);
	cmd.dirty.iova = area && chance(80) ? area->iova & -PAGE : pick_iova(ctx) & -PAGE;
	cmd.dirty.page_size = USUALLY(PICK(PAGE, dirty_page()), 0, 1000);
	cmd.dirty.length = USUALLY((1 + pick(16)) * PAGE, 0, 1, 100 * PAGE);
	if (chance(2))
		cmd.dirty.length = (1ULL << 28) * cmd.dirty.page_size;
	cmd.dirty.uptr = data_arg(&bits, sizeof(bits));
	if (cmd.dirty.length > 64 * cmd.dirty.page_size && cmd.dirty.page_size == 2048)
		cmd.dirty.length = 16 * PAGE;
	say(" %u iova %llx len %llx page %llx bits %llx at %llx", cmd.id, (ull)cmd.dirty.iova,
	    (ull)cmd.dirty.length, (ull)cmd.dirty.page_size, (ull)bits, (ull)cmd.dirty.uptr);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say_line();
	return true;
}

static bool get_dirty_bitmap(void)
{
	struct context *ctx = pick_context();
	struct area *area = pick_area(ctx);
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.hwpt_id = pick_id(ctx, chance(90) ? DIRTY_HWPT : HWPT),
		.flags = USUALLY(pick(2), 2, 1u << 31),
		.__reserved = USUALLY(0, 1),
		.iova = area && chance(80) ? area->iova & -PAGE : pick_iova(ctx) & -PAGE,
		.length = USUALLY((1 + pick(16)) * PAGE, 256 * PAGE, 100, UMAX),
		.page_size = USUALLY(PICK(PAGE, dirty_page()), 0, 2 * PAGE, 1u << 20),
	};

	if (lacks(ctx, DIRTY_HWPT))
		return false;
	/* of entries with more than one item not even the first ones are exact */
	if (!world->small_pages)
		cmd.hwpt_id = pick_id(ctx, IOAS);
	if (chance(5))
		cmd.iova += PICK(1, 256, 1024);
	cmd.data = data_arg(NULL, 64);
	if (chance(30) && cmd.data == DATA_AT)
		cmd.data += PICK(1, 8, 0xff1, PAGE + 2048);
	memset((void *)DATA_AT, 0, DATA_SIZE);
	say(" %u flags %x iova %llx len %llx page %llx at %llx", cmd.hwpt_id, cmd.flags,
	    (ull)cmd.iova, (ull)cmd.length, (ull)cmd.page_size, (ull)cmd.data);
	if (cmd.__reserved)
		say(" res");
	CALL(ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, cmd);
	say(" data");
	for (const uint8_t *byte = (void *)DATA_AT; byte < (uint8_t *)DATA_AT + DATA_SIZE; byte++) {
		if (*byte)
			say(" %llx:%x", (ull)((uint64_t)byte - DATA_AT), *byte);
	}
	say_line();
	return true;
}

const struct step access_steps[] = {
	{ "access", 16, create_access },
	{ "pin", 30, access_pages },
	{ "unpin", 14, unpin },
	{ "rw", 24, access_rw },
	{ "access_replace", 8, access_replace },
	{ "track", 14, set_dirty_tracking },
	{ "dirty", 14, dirty },
	{ "get_dirty", 16, get_dirty_bitmap },
	{ NULL, 0, NULL },
};
