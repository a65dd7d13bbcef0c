/* SPDX-License-Identifier: MIT */
/*
 * Calls on address spaces: mapping, copies, options.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "replay.h"

typedef unsigned long long ull;

/* ---- spaces ---- */

static bool ioas_alloc(void)
{
	struct context *ctx = pick_context();
	struct iommu_ioas_alloc cmd = { .flags = USUALLY(0, 1, 1u << 31) };

	/* few of them, so that what goes together meets */
	if (ctx->n_ids[IOAS] > 2 && chance(75))
		return false;
	say(" flags %x", cmd.flags);
	if (CALL(ctx, IOMMU_IOAS_ALLOC, cmd) >= 0) {
		note_id(ctx, IOAS, cmd.out_ioas_id);
		if (world->small_pages) {
			struct iommu_option option = { .option_id = IOMMU_OPTION_HUGE_PAGES };

			option.object_id = cmd.out_ioas_id;
			say(" small");
			call_plainly(ctx->fd, IOMMU_OPTION, &option, sizeof(option));
		}
	}
	say_line();
	return true;
}

static bool destroy(void)
{
	struct context *ctx = pick_context();
	struct iommu_destroy cmd = { .id = pick_id(ctx, pick(KINDS)) };

	if (must_stay(ctx, cmd.id))
		return false;
	say(" %u", cmd.id);
	if (CALL(ctx, IOMMU_DESTROY, cmd) >= 0)
		forget_id(ctx, cmd.id);
	say_line();
	return true;
}

static bool iova_ranges(void)
{
	struct context *ctx = pick_context();
	struct iommu_ioas_iova_ranges cmd = {
		.ioas_id = pick_id(ctx, IOAS),
		.num_iovas = PICK(0, 1, 2, 3, 8, 20),
		.__reserved = USUALLY(0, 1),
	};

	cmd.allowed_iovas = data_arg(NULL, cmd.num_iovas * 16);
	say(" %u num %u res %u at %llx", cmd.ioas_id, cmd.num_iovas, cmd.__reserved,
	    (ull)cmd.allowed_iovas);
	CALL(ctx, IOMMU_IOAS_IOVA_RANGES, cmd);
	say_data();
	say_line();
	return true;
}

static bool allow_iovas(void)
{
	struct context *ctx = pick_context();
	struct iommu_iova_range ranges[4];
	struct iommu_ioas_allow_iovas cmd = {
		.ioas_id = pick_id(ctx, IOAS),
		.num_iovas = PICK(0, 0, 0, 1, 1, 2, 3, 4),
		.__reserved = USUALLY(0, 1),
	};

	for (unsigned int i = 0; i < 4; i++) {
		ranges[i].start = chance(80) ? MOCK_APERTURE_START + pick(64) * PAGE :
					       pick_iova(ctx);
		ranges[i].last =
			ranges[i].start + USUALLY((1 + pick(24)) * PAGE - 1, 0, 1, UMAX, PAGE);
	}
	cmd.allowed_iovas = data_arg(ranges, cmd.num_iovas * sizeof(ranges[0]));
	say(" %u num %u res %u", cmd.ioas_id, cmd.num_iovas, cmd.__reserved);
	for (unsigned int i = 0; i < cmd.num_iovas; i++)
		say(" %llx-%llx", (ull)ranges[i].start, (ull)ranges[i].last);
	say(" at %llx", (ull)cmd.allowed_iovas);
	CALL(ctx, IOMMU_IOAS_ALLOW_IOVAS, cmd);
	say_line();
	return true;
}

/* ---- mapping ---- */

static uint32_t pick_map_flags(void)
{
	return USUALLY(PICK(2, 3, 4, 5, 6, 7, 7, 7, 7, 6), 0, 1, 8, 15, 7 | 1u << 31);
}

/* Enough of the big file that the alignment of the iova is the large page's. */
static uint32_t pick_big(uint32_t flags, uint64_t *at, uint64_t *length)
{
	*at = PICK(0, 0, PAGE, 256 * PAGE, 512 * PAGE, 513 * PAGE, 2048);
	*length = PICK(512, 512, 513, 256, 511, 1024) * PAGE + USUALLY(0, 2048, -PAGE, 1);
	return chance(80) ? flags & ~IOMMU_IOAS_MAP_FIXED_IOVA : flags;
}

static bool map(void)
{
	struct context *ctx = pick_context();
	struct iommu_ioas_map cmd = {
		.flags = pick_map_flags(),
		.ioas_id = pick_id(ctx, IOAS),
		.__reserved = USUALLY(0, 1),
		.user_va = pick_va(),
		.length = pick_length(),
		.iova = pick_iova(ctx),
	};

	if (chance(5)) {
		uint64_t at, length;

		cmd.flags = pick_big(cmd.flags, &at, &length);
		cmd.user_va = BIG_AT + at;
		cmd.length = length;
	}
	say(" %x %u va %llx len %llx iova %llx", cmd.flags, cmd.ioas_id, (ull)cmd.user_va,
	    (ull)cmd.length, (ull)cmd.iova);
	if (cmd.__reserved)
		say(" res");
	if (CALL(ctx, IOMMU_IOAS_MAP, cmd) >= 0)
		note_area(ctx, cmd.ioas_id, cmd.iova, cmd.length, cmd.user_va);
	say_line();
	return true;
}

static bool map_file(void)
{
	struct context *ctx = pick_context();
	unsigned int file = chance(75) ? 0 : pick(in_child ? 3 : FILES);
	struct iommu_ioas_map_file cmd = {
		.flags = pick_map_flags(),
		.ioas_id = pick_id(ctx, IOAS),
		.fd = USUALLY(world->files[file], UINT64_MAX, 0x7fffffff, 200),
		.start = USUALLY(pick(14) * PAGE, 2048, 1, 0x801, 1ULL << 63, UMAX - PAGE, UMAX),
		.length = pick_length(),
		.iova = pick_iova(ctx),
	};
	uint64_t at = file ? 0 : FILE_AT;

	if (chance(4)) {
		uint64_t start, length;

		cmd.flags = pick_big(cmd.flags, &start, &length);
		cmd.start = start;
		cmd.length = length;
		cmd.fd = world->big_file;
		at = BIG_AT;
	} else if (chance(8)) {
		file = pick(ODD_FILES);
		cmd.fd = world->odd_files[file];
		at = file < ODD_ALIASES ? FILE_AT : 0;
		/* devices write to what is sealed, on Linux */
		if (file >= ODD_SEALED && file < ODD_SEALED + 2)
			cmd.flags &= ~IOMMU_IOAS_MAP_WRITEABLE;
	}
	say(" %x %u fd %s start %llx len %llx iova %llx", cmd.flags, cmd.ioas_id, fd_name(cmd.fd),
	    (ull)cmd.start, (ull)cmd.length, (ull)cmd.iova);
	if (CALL(ctx, IOMMU_IOAS_MAP_FILE, cmd) >= 0)
		note_area(ctx, cmd.ioas_id, cmd.iova, cmd.length, at ? at + cmd.start : 0);
	say_line();
	return true;
}

static bool copy(void)
{
	struct context *ctx = pick_context();
	struct area *area = pick_area(ctx);
	struct iommu_ioas_copy cmd = {
		.flags = pick_map_flags(),
		.dst_ioas_id = pick_id(ctx, IOAS),
		.src_ioas_id = pick_id(ctx, IOAS),
		.length = pick_length(),
		.dst_iova = pick_iova(ctx),
		.src_iova = pick_iova(ctx),
	};
	uint64_t va = 0;

	if (area && chance(80)) {
		cmd.src_ioas_id = area->ioas;
		cmd.src_iova = area->iova;
		cmd.length = area->length;
		if (chance(40)) {
			cmd.src_iova += PICK(PAGE, 2048, 1, 2 * PAGE);
			cmd.length = PICK(PAGE, 2048, 2 * PAGE, area->length - PAGE);
		}
		if (area->va)
			va = area->va + cmd.src_iova - area->iova;
	}
	say(" %x %u<%u len %llx dst %llx src %llx", cmd.flags, cmd.dst_ioas_id, cmd.src_ioas_id,
	    (ull)cmd.length, (ull)cmd.dst_iova, (ull)cmd.src_iova);
	if (CALL(ctx, IOMMU_IOAS_COPY, cmd) >= 0)
		note_area(ctx, cmd.dst_ioas_id, cmd.dst_iova, cmd.length, va);
	say_line();
	return true;
}

static bool unmap(void)
{
	struct context *ctx = pick_context();
	struct area *area = pick_area(ctx);
	struct iommu_ioas_unmap cmd = {
		.ioas_id = pick_id(ctx, IOAS),
		.iova = pick_iova(ctx),
		.length = pick_length(),
	};

	if (area && chance(75)) {
		cmd.ioas_id = area->ioas;
		cmd.iova = area->iova;
		cmd.length = area->length + (chance(10) ? PICK(PAGE, -PAGE, 1, -1) : 0);
	} else if (chance(30)) {
		cmd.length = (8 + pick(32)) * PAGE;
	} else if (chance(10)) {
		cmd.iova = 0;
		cmd.length = UMAX;
	}
	say(" %u iova %llx len %llx", cmd.ioas_id, (ull)cmd.iova, (ull)cmd.length);
	if (CALL(ctx, IOMMU_IOAS_UNMAP, cmd) >= 0)
		forget_area(ctx, cmd.ioas_id, cmd.iova, cmd.length);
	say_line();
	return true;
}

/* ---- options ---- */

static bool option(void)
{
	struct context *ctx = pick_context();
	struct iommu_option cmd = {
		.option_id = USUALLY(PICK(0, 1, 1), 2, UINT32_MAX),
		.op = USUALLY(PICK(0, 1), 2, 0xffff),
		.__reserved = USUALLY(0, 1),
		.val64 = USUALLY(PICK(0, 1), 2, UMAX),
	};

	cmd.object_id = cmd.option_id == 0 ? USUALLY(0, 1, 99) : pick_id(ctx, IOAS);
	/* dirty bits shall stay exact */
	if (world->small_pages && cmd.option_id == 1)
		cmd.val64 = cmd.val64 == 1 ? 0 : cmd.val64;
	say(" %u op %u obj %u val %llx", cmd.option_id, cmd.op, cmd.object_id, (ull)cmd.val64);
	if (cmd.__reserved)
		say(" res");
	if (CALL(ctx, IOMMU_OPTION, cmd) >= 0 && cmd.option_id == 0)
		ctx->charges_mm = cmd.val64;
	say_line();
	return true;
}

static bool vfio_ioas(void)
{
	struct context *ctx = pick_context();
	struct iommu_vfio_ioas cmd = {
		.ioas_id = pick_id(ctx, IOAS),
		.op = USUALLY(PICK(0, 1, 1, 2), 3, 0xffff),
		.__reserved = USUALLY(0, 1),
	};

	say(" %u op %u res %u", cmd.ioas_id, cmd.op, cmd.__reserved);
	CALL(ctx, IOMMU_VFIO_IOAS, cmd);
	say_line();
	return true;
}

static bool change_process(void)
{
	struct context *ctx = pick_context();
	struct iommu_ioas_change_process cmd = { .__reserved = USUALLY(0, 1) };

	/* Linux warns if the former owner of such pages is dead */
	if (ctx->charges_mm)
		return false;
	say(" res %u", cmd.__reserved);
	if (CALL(ctx, IOMMU_IOAS_CHANGE_PROCESS, cmd) >= 0)
		world->changed_hands = true;
	say_line();
	return true;
}

/* ---- what the test command says of memory ---- */

static bool add_reserved(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ADD_RESERVED, .id = pick_id(ctx, IOAS),
	};

	cmd.add_reserved.start = pick_iova(ctx);
	cmd.add_reserved.length = pick_length();
	say(" %u start %llx len %llx", cmd.id, (ull)cmd.add_reserved.start,
	    (ull)cmd.add_reserved.length);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say_line();
	return true;
}

static bool check_map(void)
{
	struct context *ctx = pick_context();
	struct area *area = pick_area(ctx);
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MD_CHECK_MAP, .id = pick_id(ctx, HWPT),
	};

	if (!ctx->n_areas && chance(85))
		return false;
	cmd.check_map.iova = pick_iova(ctx);
	cmd.check_map.length = (1 + pick(4)) * PAGE;
	cmd.check_map.uptr = pick_va();
	if (area && chance(85)) {
		cmd.check_map.iova = area->iova;
		cmd.check_map.length = area->length < 1024 * PAGE ? area->length : PAGE;
		cmd.check_map.uptr = area->va ? area->va : FILE_AT;
		if (chance(10))
			cmd.check_map.uptr += PICK(PAGE, 2048, 1);
	}
	say(" %u iova %llx len %llx va %llx", cmd.id, (ull)cmd.check_map.iova,
	    (ull)cmd.check_map.length, (ull)cmd.check_map.uptr);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say_line();
	return true;
}

/* The number of pins of each of a few pages, found by guessing. */
static bool count_pins(void)
{
	struct context *ctx = pick_context();
	uint64_t va = PICK(SHARED_AT, PRIVATE_AT, FILE_AT) + pick(12) * PAGE;

	say(" %llx:", (ull)va);
	for (unsigned int page = 0; page < 4; page++) {
		struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MD_CHECK_REFS };
		uint32_t refs = 0;

		cmd.size = sizeof(cmd);
		cmd.check_refs.length = PAGE;
		cmd.check_refs.uptr = va + page * PAGE;
		do {
			cmd.check_refs.refs = refs;
		} while (ioctl(ctx->fd, IOMMU_TEST_CMD, &cmd) && errno == EIO && ++refs < 40);
		say(" %u", refs);
	}
	say_line();
	return true;
}

static bool check_refs(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MD_CHECK_REFS };

	cmd.check_refs.length = USUALLY(PAGE, 0, 1, 2048, UMAX, 2 * PAGE);
	cmd.check_refs.uptr = pick_va();
	cmd.check_refs.refs = pick(3);
	/* what is pinned there but ours is none of our business */
	if (cmd.check_refs.uptr >= READONLY_AT && cmd.check_refs.uptr < READONLY_AT + 8 * PAGE)
		return false;
	say(" len %llx va %llx refs %u", (ull)cmd.check_refs.length, (ull)cmd.check_refs.uptr,
	    cmd.check_refs.refs);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say_line();
	return true;
}

static bool memory_limit(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT };

	cmd.memory_limit.limit = PICK(0, 11, 12, 16, 32, 4096, 65536, 65536);
	say(" %u", cmd.memory_limit.limit);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say_line();
	return true;
}

const struct step memory_steps[] = {
	{ "ioas", 22, ioas_alloc },
	{ "device", 12, mock_domain },
	{ "hwpt", 10, hwpt_alloc },
	{ "destroy", 28, destroy },
	{ "ranges", 14, iova_ranges },
	{ "allow", 8, allow_iovas },
	{ "map", 70, map },
	{ "map_file", 40, map_file },
	{ "copy", 40, copy },
	{ "unmap", 50, unmap },
	{ "option", 16, option },
	{ "vfio_ioas", 10, vfio_ioas },
	{ "change_process", 5, change_process },
	{ "reserve", 6, add_reserved },
	{ "check_map", 25, check_map },
	{ "pins", 16, count_pins },
	{ "check_refs", 3, check_refs },
	{ "limit", 4, memory_limit },
	{ NULL, 0, NULL },
};
