/* SPDX-License-Identifier: MIT */
/*
 * Admin commands (1.4, section 5): queues, abort, format.
 */
#include "devices/nvme/nvme.h"

/* ---- queues (1.4, 5.3 to 5.6) ---- */

static bool is_queue(const struct nvme *nvme, u32 id)
{
	return id && id < nvme->num_queues;
}

/* What both kinds have in common. */
static int queue_check(const struct nvme *nvme, const struct nvme_cmd *cmd, bool taken,
		       bool entries_fit)
{
	u32 id = cmd->cdw10 & 0xffff, size = (cmd->cdw10 >> 16) + 1;

	if (!is_queue(nvme, id) || taken)
		return NVME_SC_QID;
	if (size < 2 || size > NVME_ENTRIES)
		return NVME_SC_QSIZE;
	if (!(cmd->cdw11 & 1)) /* CAP.CQR */
		return NVME_SC_INVALID_FIELD;
	if (cmd->prp1 & (BIT_ULL(nvme->page_shift) - 1))
		return NVME_SC_PRP_OFFSET;
	return entries_fit ? 0 : NVME_SC_QSIZE;
}

static int create_cq(struct nvme *nvme, const struct nvme_cmd *cmd)
{
	u16 id = cmd->cdw10 & 0xffff, vector = cmd->cdw11 >> 16;
	bool taken = is_queue(nvme, id) && nvme->cq[id].live;
	int rc = queue_check(nvme, cmd, taken, NVME_CC_IOCQES(nvme->cc) == 4);

	if (rc)
		return rc;
	if (vector >= nvme->num_queues)
		return NVME_SC_VECTOR;
	nvme_cq_open(nvme, id, cmd->prp1, (cmd->cdw10 >> 16) + 1, cmd->cdw11 & 2, vector);
	return 0;
}

static int create_sq(struct nvme *nvme, const struct nvme_cmd *cmd)
{
	u16 id = cmd->cdw10 & 0xffff, cq_id = cmd->cdw11 >> 16;
	bool taken = is_queue(nvme, id) && nvme->sq[id].live;
	int rc = queue_check(nvme, cmd, taken, NVME_CC_IOSQES(nvme->cc) == 6);

	if (rc)
		return rc;
	if (!is_queue(nvme, cq_id))
		return NVME_SC_QID;
	if (!nvme->cq[cq_id].live)
		return NVME_SC_CQ_INVALID;
	nvme_sq_open(nvme, id, cq_id, cmd->prp1, (cmd->cdw10 >> 16) + 1);
	return 0;
}

static bool of_queue(const struct nvme_req *req, const void *data)
{
	return req->sq_id == *(const u16 *)data;
}

static int delete_sq(struct nvme *nvme, struct nvme_req *req)
{
	u16 id = req->cmd.cdw10 & 0xffff;

	if (!is_queue(nvme, id) || !nvme->sq[id].live || nvme->sq[id].deleter)
		return NVME_SC_QID;
	if (!nvme->sq[id].inflight) {
		nvme_sq_close(nvme, id);
		return 0;
	}
	while (nvme_pool_cancel(&nvme->pool, of_queue, &id, NVME_SC_ABORTED_SQ))
		;
	nvme->sq[id].deleter = req;
	return NVME_PENDING;
}

static int delete_cq(struct nvme *nvme, const struct nvme_cmd *cmd)
{
	u16 id = cmd->cdw10 & 0xffff;

	if (!is_queue(nvme, id) || !nvme->cq[id].live)
		return NVME_SC_QID;
	if (nvme->cq[id].sqs)
		return NVME_SC_QUEUE_DELETION;
	nvme_cq_close(nvme, id);
	return 0;
}

/* ---- abort (1.4, 5.1) ---- */

static bool is_aborted(const struct nvme_req *req, const void *data)
{
	u32 which = *(const u32 *)data;

	return req->sq_id == (which & 0xffff) && req->cmd.cid == which >> 16;
}

static bool abort_event(struct nvme *nvme, u16 cid)
{
	struct nvme_req *event;

	for (u32 i = 0; i < nvme->num_events; i++) {
		if (nvme->events[i] != cid)
			continue;
		event = nvme_req_get(nvme, 0);
		if (!event)
			return false;
		nvme->events[i] = nvme->events[--nvme->num_events];
		event->cmd.opcode = NVME_ADMIN_ASYNC_EVENT;
		event->cmd.cid = cid;
		nvme_complete(nvme, event, NVME_SC_ABORTED);
		return true;
	}
	return false;
}

int nvme_abort(struct nvme *nvme, struct nvme_req *req)
{
	u32 which = req->cmd.cdw10;
	bool done;

	done = nvme_pool_cancel(&nvme->pool, is_aborted, &which, NVME_SC_ABORTED);
	if (!done && !(which & 0xffff))
		done = abort_event(nvme, (u16)(which >> 16));
	req->result = !done;
	return 0;
}

/* ---- format (1.4, 5.23) ---- */

static int format(struct nvme *nvme, struct nvme_req *req)
{
	u32 dw10 = req->cmd.cdw10, erase = dw10 >> 9 & 7, shift;
	u64 blocks;

	if (req->cmd.nsid != NVME_NSID && req->cmd.nsid != NVME_NSID_ALL)
		return NVME_SC_INVALID_NS;
	if (nvme->ns->readonly)
		return NVME_SC_READ_ONLY;
	/* Two formats, neither with metadata nor protection; no cryptographic erase. */
	if ((dw10 & 0xf) > 1 || dw10 & 0x1f0)
		return NVME_SC_FORMAT;
	if (erase > 1)
		return NVME_SC_INVALID_FIELD;
	req->shift = nvme_ns_shift(nvme->ns, dw10 & 1);
	nvme_ns_size(nvme->ns, &shift, &blocks);
	if (!(blocks << shift >> req->shift))
		return NVME_SC_FORMAT;
	req->claimed = nvme_ns_claim(nvme->ns);
	return req->claimed ? nvme_defer(nvme, req) : NVME_SC_FORMATTING;
}

int nvme_admin(struct nvme *nvme, struct nvme_req *req)
{
	if (NVME_CMD_FUSED(req->cmd.flags) || NVME_CMD_PSDT(req->cmd.flags))
		return NVME_SC_INVALID_FIELD;
	switch (req->cmd.opcode) {
	case NVME_ADMIN_DELETE_SQ:
		return delete_sq(nvme, req);
	case NVME_ADMIN_CREATE_SQ:
		return create_sq(nvme, &req->cmd);
	case NVME_ADMIN_GET_LOG:
		return nvme_get_log(nvme, req);
	case NVME_ADMIN_DELETE_CQ:
		return delete_cq(nvme, &req->cmd);
	case NVME_ADMIN_CREATE_CQ:
		return create_cq(nvme, &req->cmd);
	case NVME_ADMIN_IDENTIFY:
		return nvme_identify(nvme, req);
	case NVME_ADMIN_ABORT:
		return nvme_abort(nvme, req);
	case NVME_ADMIN_SET_FEATURES:
		return nvme_set_features(nvme, req);
	case NVME_ADMIN_GET_FEATURES:
		return nvme_get_features(nvme, req);
	case NVME_ADMIN_ASYNC_EVENT:
		return nvme_async_event(nvme, req);
	case NVME_ADMIN_FORMAT:
		return format(nvme, req);
	default:
		return NVME_SC_INVALID_OPCODE;
	}
}
