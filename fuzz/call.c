/* SPDX-License-Identifier: MIT */
/*
 * One ioctl: a struct is laid out in the caller's scratch memory as its row of
 * the table says, most fields sensible and now and then one that is not, and
 * what a successful call answers goes to the tables of the world.
 */
#include <string.h>

#include <iommufd/uapi/vfio.h>

#include "calls.h"

#define BLOB_OFFSET PAGE_SIZE
#define BLOB_SIZE PAGE_SIZE

/* ---- data beside the struct ---- */

static void fill_ranges(struct caller *caller, struct world_ctx *ctx, u8 *blob)
{
	struct iommu_iova_range range;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		range.start = pick_iova(caller, ctx);
		range.last = range.start + pick_length(caller) * 16 - 1;
		memcpy(blob + i * sizeof(range), &range, sizeof(range));
	}
}

static void fill_words(struct caller *caller, u8 *blob, unsigned int n, u32 limit)
{
	u32 word;

	for (unsigned int i = 0; i < n; i++) {
		word = choice_below(&caller->choice, limit);
		memcpy(blob + 4 * i, &word, 4);
	}
}

static const void *fill_blob(struct caller *caller, struct world_ctx *ctx, u32 kind)
{
	u8 *blob = caller->scratch + BLOB_OFFSET;

	memset(blob, 0, BLOB_SIZE);
	switch (kind) {
	case BLOB_RANGES:
		fill_ranges(caller, ctx, blob);
		break;
	case BLOB_HWPT:
		fill_words(caller, blob, 2, 3);
		break;
	case BLOB_INVALIDATE:
		fill_words(caller, blob, 6, 6);
		break;
	case BLOB_VIOMMU:
		fill_words(caller, blob, 1, 256);
		break;
	default:
		memset(blob, choice_byte(&caller->choice), 64);
	}
	return blob;
}

static u64 pick_blob_len(struct caller *caller, u32 natural)
{
	const u32 odd[] = { 0, 1, natural - 1, natural + 1, 4, 2 * natural, PAGE_SIZE,
			    PAGE_SIZE + 1, UINT32_MAX };
	u32 n = pick_n(caller, 1, 64);

	return n < 64 - ARRAY_SIZE(odd) ? natural : odd[n - (64 - ARRAY_SIZE(odd))];
}

static u64 pick_blob_num(struct caller *caller)
{
	static const u32 odd[] = { 0, 65, 1U << 19, (1U << 19) + 1, 1U << 24, UINT32_MAX };
	u32 n = pick_n(caller, 4, 64);

	return n < 64 - ARRAY_SIZE(odd) ? n % 4 + 1 : odd[n - (64 - ARRAY_SIZE(odd))];
}

/* ---- fields ---- */

static u64 pick_value(struct caller *caller, const u32 *values)
{
	u32 n = 0, pick;

	while (values[n])
		n++;
	/* The first one is the usual one. */
	pick = choice_below(&caller->choice, (caller->hostile ? 2 : 8) * (n + 1));
	return values[pick <= n ? pick : 0];
}

static u64 pick_flags(struct caller *caller, u32 mask)
{
	u32 n = pick_n(caller, 248, 256);

	return n < 248 ? n * 0x01010101U & mask : choice_raw(&caller->choice, 4);
}

static u64 pick_pasid(struct caller *caller)
{
	static const u32 odd[] = { 0, 100, IOMMU_TEST_PASID_RESERVED, (1U << 20) - 1, 1U << 20,
				   UINT32_MAX };
	u32 n = pick_n(caller, 28, 32);

	return n < 32 - ARRAY_SIZE(odd) ? n % 3 + 1 : odd[n - (32 - ARRAY_SIZE(odd))];
}

static u64 pick_pt(struct caller *caller, struct world_ctx *ctx)
{
	static const enum kind kinds[] = { KIND_IOAS, KIND_HWPT, KIND_HWPT, KIND_VIOMMU };

	return pick_id(caller, ctx, kinds[choice_below(&caller->choice, ARRAY_SIZE(kinds))]);
}

static u64 pick_file(struct caller *caller)
{
	u32 n = choice_below(&caller->choice, 16);

	if (n < 12)
		return (u32)caller->world->files[n % WORLD_FILES];
	return (u32)pick_fd(caller, n == 15 ? FD_ACCESS : FD_DMABUF);
}

static u64 field_pick(struct caller *caller, struct world_ctx *ctx, const struct field *field)
{
	switch (field->kind) {
	case FIELD_ID:
		return pick_id(caller, ctx, (enum kind)field->arg);
	case FIELD_PT:
		return pick_pt(caller, ctx);
	case FIELD_FLAGS:
		return pick_flags(caller, field->arg);
	case FIELD_VALUE:
		return pick_value(caller, field->values);
	case FIELD_SMALL:
		return choice_below(&caller->choice, field->arg);
	case FIELD_ZERO:
		return caller->hostile && choice_rarely(&caller->choice, 64);
	case FIELD_IOVA:
		return pick_iova(caller, ctx);
	case FIELD_LENGTH:
		return pick_length(caller);
	case FIELD_VA:
		return pick_va(caller);
	case FIELD_MAPPED_VA:
		return pick_mapped_va(caller, ctx);
	case FIELD_MAYBE_VA:
		return choice_below(&caller->choice, 2) ? pick_mapped_va(caller, ctx) : 0;
	case FIELD_PASID:
		return pick_pasid(caller);
	case FIELD_FD:
		return (u32)pick_fd(caller, (enum fd_kind)field->arg);
	case FIELD_FILE:
		return pick_file(caller);
	case FIELD_BLOB:
		return pick_pointer(caller, fill_blob(caller, ctx, field->arg));
	case FIELD_BLOB_LEN:
		return pick_blob_len(caller, field->arg);
	case FIELD_BLOB_NUM:
		return pick_blob_num(caller);
	default: /* answers are written over whatever is there */
		return 0;
	}
}

static u32 pick_size(struct caller *caller, const struct call *call)
{
	const u32 odd[] = { call->min_size, call->min_size - 1U, call->size + 1U,
			    call->size + 16U, 0, UINT32_MAX };
	u32 n = pick_n(caller, 1, 128);

	return n < 128 - ARRAY_SIZE(odd) ? call->size : odd[n - (128 - ARRAY_SIZE(odd))];
}

static void struct_fill(struct caller *caller, struct world_ctx *ctx, const struct call *call)
{
	const struct field *field;
	u32 size, op = call->op;
	u64 value;

	memset(caller->scratch, 0, 256);
	size = pick_size(caller, call);
	memcpy(caller->scratch, &size, 4);
	if (op)
		memcpy(caller->scratch + offsetof(struct iommu_test_cmd, op), &op, 4);
	for (field = call->fields; field->kind; field++) {
		value = field_pick(caller, ctx, field);
		memcpy(caller->scratch + field->offset, &value, field->width);
	}
	if (caller->hostile && choice_rarely(&caller->choice, 64))
		caller->scratch[call->size] = 1;
}

/* ---- answers ---- */

static u64 field_get(struct caller *caller, const struct field *field)
{
	u64 value = 0;

	memcpy(&value, caller->scratch + field->offset, field->width);
	return value;
}

static void viommu_made(struct caller *caller, struct world_ctx *ctx)
{
	struct iommu_viommu_selftest data;

	memcpy(&data, caller->scratch + BLOB_OFFSET, sizeof(data));
	if (!data.out_mmap_length)
		return;
	ctx->mmap_offset = data.out_mmap_offset;
	ctx->mmap_length = data.out_mmap_length;
}

/* Iova and, if the call has one, address of a new mapping. */
static void map_made(struct caller *caller, struct world_ctx *ctx, const struct call *call)
{
	const struct field *field, *iova = NULL, *va = NULL;
	u32 slot;

	if (call->cmd != IOMMU_IOAS_MAP && call->cmd != IOMMU_IOAS_MAP_FILE &&
	    call->cmd != IOMMU_IOAS_COPY && call->cmd != VFIO_IOMMU_MAP_DMA)
		return;
	for (field = call->fields; field->kind; field++) {
		if (field->kind == FIELD_IOVA && !iova)
			iova = field;
		if (field->kind == FIELD_VA)
			va = field;
	}
	slot = ctx->next_iova++ % WORLD_RING;
	ctx->iovas[slot] = field_get(caller, iova);
	ctx->vas[slot] = va ? field_get(caller, va) : (uintptr_t)caller->world->arena;
}

static void struct_record(struct caller *caller, struct world_ctx *ctx, const struct call *call)
{
	const struct field *field;

	map_made(caller, ctx, call);
	for (field = call->fields; field->kind; field++)
		if (field->kind == FIELD_OUT_FD)
			world_put_fd(caller, (enum fd_kind)field->arg,
				     (int)field_get(caller, field));
	if (call->cmd == IOMMU_VIOMMU_ALLOC)
		viommu_made(caller, ctx);
	/* Last: what an id pushes out is destroyed with another struct. */
	for (field = call->fields; field->kind; field++)
		if (field->kind == FIELD_OUT_ID)
			world_put_id(caller, ctx, (enum kind)field->arg,
				     (u32)field_get(caller, field));
}

size_t call_struct(struct caller *caller, unsigned int row)
{
	caller->hostile = false;
	struct_fill(caller, &caller->world->contexts[0], &calls[row]);
	return calls[row].size;
}

long call_run(struct caller *caller, unsigned int row)
{
	const struct call *call = &calls[row];
	struct world *world = caller->world;
	struct world_ctx *ctx = pick_ctx(caller);
	u64 arg;
	long rc;

	caller->hostile = choice_rarely(&caller->choice, 4);
	if (call->size) {
		struct_fill(caller, ctx, call);
		arg = pick_pointer(caller, caller->scratch);
	} else {
		arg = pick_value(caller, call->values);
	}
	caller_begin(caller, call->name);
	rc = iommufd_ioctl(world->proc, ctx->fd, call->cmd, (void *)(uintptr_t)arg);
	caller_end(caller);
	world_note(world, row, rc);
	if (rc < 0)
		return rc;
	if (call->op == IOMMU_TEST_OP_DMABUF_GET)
		world_put_fd(caller, FD_DMABUF, (int)rc);
	else if (arg == (uintptr_t)caller->scratch)
		struct_record(caller, ctx, call);
	return rc;
}

/* ---- without the table ---- */

/* Numbers that could be anybody's memory become the arena's. */
static u64 pointer_tame(const struct world *world, u64 value)
{
	if (value < PAGE_SIZE || value >= 1UL << 47)
		return value;
	if (value >= (uintptr_t)world->region && value < (uintptr_t)world->region + (1UL << 30))
		return value;
	return (uintptr_t)world->arena + value % ARENA_SIZE;
}

static bool field_is_pointer(const struct field *field)
{
	return field->kind == FIELD_BLOB || field->kind == FIELD_VA ||
	       field->kind == FIELD_MAPPED_VA || field->kind == FIELD_MAYBE_VA;
}

static void struct_tame(struct caller *caller, u32 cmd)
{
	const struct field *field;
	unsigned int row;
	u64 value;
	u32 op;

	memcpy(&op, caller->scratch + offsetof(struct iommu_test_cmd, op), sizeof(op));
	for (row = 0; row < call_count(); row++) {
		if (calls[row].cmd != cmd || (calls[row].op && calls[row].op != op))
			continue;
		for (field = calls[row].fields; field->kind; field++) {
			if (!field_is_pointer(field))
				continue;
			value = pointer_tame(caller->world, field_get(caller, field));
			memcpy(caller->scratch + field->offset, &value, field->width);
		}
	}
}

static u32 pick_cmd(struct caller *caller)
{
	u32 n = choice_byte(&caller->choice);

	if (n < 224)
		return calls[n % call_count()].cmd;
	return n < 250 ? 0x3b00U | choice_byte(&caller->choice) :
			 (u32)choice_raw(&caller->choice, 4);
}

long call_raw(struct caller *caller)
{
	struct world *world = caller->world;
	u32 cmd = pick_cmd(caller);
	u32 length = choice_below(&caller->choice, 100);
	u64 arg;
	long rc;

	caller->hostile = true;
	memset(caller->scratch, 0, 256);
	for (u32 i = 0; i < length; i++)
		caller->scratch[i] = choice_byte(&caller->choice);
	struct_tame(caller, cmd);
	arg = pick_pointer(caller, caller->scratch);
	caller_begin(caller, "raw ioctl");
	rc = iommufd_ioctl(world->proc, pick_ctx(caller)->fd, cmd, (void *)(uintptr_t)arg);
	caller_end(caller);
	world_note(world, NOTE_RAW + (cmd & 0x7f), rc);
	return rc;
}
