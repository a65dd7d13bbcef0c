/* SPDX-License-Identifier: MIT */
/*
 * Get and Set Features (1.4, 5.13 and 5.21).  None can be saved.
 */
#include <string.h>

#include "devices/nvme/nvme.h"

#define CHANGEABLE 0x4U /* as Get Features tells what can be done with one */

/** struct feature - @mask: bits of dword 11 that mean something; others must be 0 */
struct feature {
	bool known;
	u32 initial;
	u32 mask;
};

/* Those that are one number, of which only bits in the mask may be set. */
static const struct feature features[NVME_FEATURES] = {
	[NVME_FEAT_ARBITRATION] = {true, 4, 0xffffff07}, [NVME_FEAT_POWER] = {true, 0, 0xe0},
	[NVME_FEAT_ERROR_RECOVERY] = {true, 0, 0xffff},	 [NVME_FEAT_WRITE_CACHE] = {true, 1, 0x1},
	[NVME_FEAT_COALESCING] = {true, 0, 0xffff},	 [NVME_FEAT_ATOMICITY] = {true, 0, 0x1},
	[NVME_FEAT_EVENTS] = {true, 0, 0x11f},
};

void nvme_features_reset(struct nvme *nvme)
{
	memset(&nvme->features, 0, sizeof(nvme->features));
	for (u32 i = 0; i < NVME_FEATURES; i++)
		nvme->features.value[i] = features[i].initial;
	nvme->features.over = 343;
}

/* ---- temperature (1.4, 5.21.1.4) ---- */

/* The composite one is the only sensor; 15 means all there are. */
static bool bad_sensor(u32 dw11, bool set)
{
	u32 sensor = dw11 >> 16 & 0xf;

	return (sensor && !(set && sensor == 0xf)) || (dw11 >> 20 & 3) > 1;
}

static int set_temperature(struct nvme *nvme, u32 dw11)
{
	if (bad_sensor(dw11, true))
		return NVME_SC_INVALID_FIELD;
	if (dw11 >> 20 & 3)
		nvme->features.under = dw11 & 0xffff;
	else
		nvme->features.over = dw11 & 0xffff;
	if (nvme_too_hot(nvme))
		nvme_event_raise(nvme, NVME_EV_TEMPERATURE);
	return 0;
}

/* ---- timestamp (1.4, 5.21.1.14) ---- */

static int set_timestamp(struct nvme *nvme, struct nvme_req *req)
{
	struct nvme_cursor at = {0};
	u64 value;
	int rc = nvme_xfer_map(nvme, req, sizeof(value));

	if (!rc)
		rc = nvme_xfer_in(req, &at, &value, sizeof(value));
	if (rc)
		return rc;
	nvme->features.timestamp = value & (BIT_ULL(48) - 1);
	nvme->features.timestamp_at = nvme_now();
	nvme->features.timestamp_set = true;
	return 0;
}

static int get_timestamp(struct nvme *nvme, struct nvme_req *req)
{
	const struct nvme_features *f = &nvme->features;
	u64 value = f->timestamp + (nvme_now() - f->timestamp_at) / 1000000;

	value &= BIT_ULL(48) - 1;
	if (f->timestamp_set)
		value |= BIT_ULL(49); /* origin: a Set Features */
	return nvme_reply(nvme, req, &value, sizeof(value));
}

/* ---- queues and vectors ---- */

/* All there are, whatever is asked for (1.4, 5.21.1.7). */
static u32 queues(const struct nvme *nvme)
{
	return (nvme->num_queues - 2) | (nvme->num_queues - 2) << 16;
}

static int set_queues(struct nvme *nvme, struct nvme_req *req)
{
	if (nvme->top)
		return NVME_SC_SEQUENCE;
	if ((req->cmd.cdw11 & 0xffff) == 0xffff || req->cmd.cdw11 >> 16 == 0xffff)
		return NVME_SC_INVALID_FIELD;
	req->result = queues(nvme);
	return 0;
}

static int set_vector(struct nvme *nvme, u32 dw11)
{
	if ((dw11 & 0xffff) >= nvme->num_queues || dw11 >> 17)
		return NVME_SC_INVALID_FIELD;
	nvme->features.uncoalesced[dw11 & 0xffff] = dw11 >> 16 & 1;
	return 0;
}

/* ---- */

static int set_plain(struct nvme *nvme, u32 id, u32 dw11)
{
	if (dw11 & ~features[id].mask)
		return NVME_SC_INVALID_FIELD;
	nvme->features.value[id] = dw11;
	return 0;
}

int nvme_set_features(struct nvme *nvme, struct nvme_req *req)
{
	u32 id = req->cmd.cdw10 & 0xff, dw11 = req->cmd.cdw11;

	if (req->cmd.cdw10 >> 31)
		return NVME_SC_NOT_SAVEABLE;
	switch (id) {
	case NVME_FEAT_TEMPERATURE:
		return set_temperature(nvme, dw11);
	case NVME_FEAT_QUEUES:
		return set_queues(nvme, req);
	case NVME_FEAT_VECTOR:
		return set_vector(nvme, dw11);
	case NVME_FEAT_TIMESTAMP:
		return set_timestamp(nvme, req);
	default:
		if (id >= NVME_FEATURES || !features[id].known)
			return NVME_SC_INVALID_FIELD;
		return set_plain(nvme, id, dw11);
	}
}

static int get_current(struct nvme *nvme, struct nvme_req *req, u32 id)
{
	u32 dw11 = req->cmd.cdw11;

	switch (id) {
	case NVME_FEAT_TEMPERATURE:
		if (bad_sensor(dw11, false))
			return NVME_SC_INVALID_FIELD;
		req->result = dw11 >> 20 & 3 ? nvme->features.under : nvme->features.over;
		return 0;
	case NVME_FEAT_QUEUES:
		req->result = queues(nvme);
		return 0;
	case NVME_FEAT_VECTOR:
		if ((dw11 & 0xffff) >= nvme->num_queues)
			return NVME_SC_INVALID_FIELD;
		req->result = (dw11 & 0xffff) | (u32)nvme->features.uncoalesced[dw11 & 0xffff]
							<< 16;
		return 0;
	case NVME_FEAT_TIMESTAMP:
		return get_timestamp(nvme, req);
	default:
		req->result = nvme->features.value[id];
		return 0;
	}
}

static u32 initial(const struct nvme *nvme, const struct nvme_cmd *cmd, u32 id)
{
	if (id == NVME_FEAT_TEMPERATURE)
		return cmd->cdw11 >> 20 & 3 ? 0 : 343;
	if (id == NVME_FEAT_QUEUES)
		return queues(nvme);
	if (id == NVME_FEAT_VECTOR)
		return cmd->cdw11 & 0xffff;
	return features[id].initial;
}

int nvme_get_features(struct nvme *nvme, struct nvme_req *req)
{
	u32 id = req->cmd.cdw10 & 0xff, select = req->cmd.cdw10 >> 8 & 7;
	bool special = id == NVME_FEAT_TEMPERATURE || id == NVME_FEAT_QUEUES ||
		       id == NVME_FEAT_VECTOR || id == NVME_FEAT_TIMESTAMP;

	if (select > 3 || id >= NVME_FEATURES || !(special || features[id].known))
		return NVME_SC_INVALID_FIELD;
	if (!select)
		return get_current(nvme, req, id);
	/* The saved value of what cannot be saved is the default (1.4, 5.13). */
	req->result = select == 3 ? CHANGEABLE : initial(nvme, &req->cmd, id);
	return 0;
}
