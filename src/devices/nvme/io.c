/* SPDX-License-Identifier: MIT */
/*
 * The NVM command set (1.4, section 6).
 */
#include <string.h>

#include "devices/nvme/nvme.h"

/** struct dsm_range - of Dataset Management (1.4, 6.7) */
struct dsm_range {
	u32 attributes;
	u32 blocks;
	u64 lba;
};

static int enter(struct nvme *nvme, struct nvme_req *req, u64 *ret_blocks)
{
	req->inside = nvme_ns_enter(nvme->ns, &req->shift, ret_blocks);
	return req->inside ? 0 : NVME_SC_FORMATTING;
}

/* The blocks that dwords 10 to 12 name. */
static int range(struct nvme *nvme, struct nvme_req *req)
{
	u64 blocks;
	int rc = enter(nvme, req, &blocks);

	if (rc)
		return rc;
	req->lba = req->cmd.cdw10 | (u64)req->cmd.cdw11 << 32;
	req->count = (req->cmd.cdw12 & 0xffff) + 1;
	req->sync = req->cmd.cdw12 & 1U << 30 || !(nvme->features.value[NVME_FEAT_WRITE_CACHE] & 1);
	/* No metadata: nothing to check or to make (PRINFO). */
	if (req->cmd.cdw12 >> 26 & 0xf)
		return NVME_SC_INVALID_FIELD;
	if (req->lba >= blocks || req->count > blocks - req->lba)
		return NVME_SC_LBA_RANGE;
	return 0;
}

/* Injected slowness: the pool waits, and work() does not. */
static u64 due(struct nvme *nvme)
{
	u32 ms = atomic_load_explicit(&nvme->slow_ms, memory_order_relaxed);

	return ms ? nvme_now() + (u64)ms * 1000000 : 0;
}

static int transfer(struct nvme *nvme, struct nvme_req *req)
{
	u64 len;
	int rc = range(nvme, req);

	if (rc)
		return rc;
	len = req->count << req->shift;
	if (len > NVME_TRANSFER_MAX)
		return NVME_SC_INVALID_FIELD;
	rc = nvme_xfer_map(nvme, req, (u32)len);
	if (rc)
		return rc;
	nvme->moved += (u32)len;
	req->not_before = due(nvme);
	rc = req->not_before || req->cmd.opcode == NVME_IO_COMPARE
		     ? NVME_DEFER
		     : nvme_transfer(req, nvme->buffer);
	return rc == NVME_DEFER ? nvme_defer(nvme, req) : rc;
}

static int zeroes(struct nvme *nvme, struct nvme_req *req)
{
	int rc = range(nvme, req);

	if (rc)
		return rc;
	req->not_before = due(nvme);
	return nvme_defer(nvme, req);
}

static int flush(struct nvme *nvme, struct nvme_req *req)
{
	u64 blocks;
	int rc = enter(nvme, req, &blocks);

	if (rc)
		return rc;
	req->not_before = due(nvme);
	/* Memory is as safe as it gets. */
	return nvme->ns->memory && !req->not_before ? 0 : nvme_defer(nvme, req);
}

/* The ranges of the command become the extents, which nothing else uses any more. */
static int dsm_ranges(struct nvme_req *req, const struct dsm_range *ranges, u32 n, u64 blocks)
{
	for (u32 i = 0; i < n; i++)
		if (ranges[i].lba > blocks || ranges[i].blocks > blocks - ranges[i].lba)
			return NVME_SC_LBA_RANGE;
	req->num_extents = 0;
	for (u32 i = 0; i < n; i++)
		if (ranges[i].blocks)
			req->extents[req->num_extents++] =
				(struct nvme_extent){.addr = ranges[i].lba << req->shift,
						     .len = (u64)ranges[i].blocks << req->shift};
	return 0;
}

static int dsm(struct nvme *nvme, struct nvme_req *req)
{
	struct dsm_range ranges[NVME_EXTENTS];
	u32 n = (req->cmd.cdw10 & 0xff) + 1;
	struct nvme_cursor at = {0};
	u64 blocks;
	int rc = enter(nvme, req, &blocks);

	if (!rc)
		rc = nvme_xfer_map(nvme, req, n * (u32)sizeof(*ranges));
	if (!rc)
		rc = nvme_xfer_in(req, &at, ranges, n * sizeof(*ranges));
	if (!rc)
		rc = dsm_ranges(req, ranges, n, blocks);
	/* Attributes other than deallocate are hints. */
	if (rc || !(req->cmd.cdw11 & 4))
		return rc;
	req->not_before = due(nvme);
	return nvme_defer(nvme, req);
}

static bool writes(u8 opcode)
{
	return opcode == NVME_IO_WRITE || opcode == NVME_IO_WRITE_ZEROES || opcode == NVME_IO_DSM;
}

int nvme_io(struct nvme *nvme, struct nvme_req *req)
{
	const struct nvme_cmd *cmd = &req->cmd;
	u8 opcode = cmd->opcode;

	if (NVME_CMD_FUSED(cmd->flags))
		return NVME_SC_INVALID_FIELD;
	if (cmd->nsid != NVME_NSID && !(opcode == NVME_IO_FLUSH && cmd->nsid == NVME_NSID_ALL))
		return NVME_SC_INVALID_NS;
	if (writes(opcode) && nvme->ns->readonly)
		return NVME_SC_READ_ONLY;
	switch (opcode) {
	case NVME_IO_READ:
	case NVME_IO_WRITE:
	case NVME_IO_COMPARE:
		return transfer(nvme, req);
	case NVME_IO_FLUSH:
		return flush(nvme, req);
	case NVME_IO_WRITE_ZEROES:
		return zeroes(nvme, req);
	case NVME_IO_DSM:
		return dsm(nvme, req);
	default:
		return NVME_SC_INVALID_OPCODE;
	}
}
