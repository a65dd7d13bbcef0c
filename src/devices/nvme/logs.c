/* SPDX-License-Identifier: MIT */
/*
 * Get Log Page (1.4, 5.14).
 */
#include <string.h>

#include "devices/nvme/nvme.h"

#define LOG_MAX 4096U

static void put64(u8 *page, u32 at, u64 value)
{
	memcpy(page + at, &value, sizeof(value));
}

/* The newest first. */
static u32 error_log(const struct nvme *nvme, u8 *page)
{
	u64 n = MIN(nvme->error_count, (u64)NVME_ERRORS);

	for (u64 i = 0; i < n; i++)
		memcpy(page + i * sizeof(nvme->errors[0]),
		       &nvme->errors[(nvme->error_count - i) % NVME_ERRORS],
		       sizeof(nvme->errors[0]));
	return sizeof(nvme->errors);
}

/* 1.4, figure 194; data units are thousands of 512 bytes, rounded up. */
static u32 smart_log(const struct nvme *nvme, u8 *page)
{
	const struct nvme_counters *c = &nvme->counters;
	u16 kelvin = (u16)atomic_load(&nvme->kelvin);
	u32 critical = atomic_load(&nvme->critical);

	if (nvme_too_hot(nvme))
		critical |= 1U << 1;
	if (nvme->ns->readonly)
		critical |= 1U << 3;
	page[0] = (u8)critical;
	memcpy(page + 1, &kelvin, sizeof(kelvin));
	page[3] = critical & 1 ? 5 : 100; /* spare, % */
	page[4] = 10;			  /* its threshold */
	put64(page, 32, (c->read_blocks + 999) / 1000);
	put64(page, 48, (c->written_blocks + 999) / 1000);
	put64(page, 64, c->reads);
	put64(page, 80, c->writes);
	put64(page, 112, c->power_cycles);
	put64(page, 144, c->unsafe_shutdowns);
	put64(page, 160, c->media_errors);
	put64(page, 176, c->errors);
	return 512;
}

static u32 firmware_log(u8 *page)
{
	page[0] = 1;
	memcpy(page + 8, "1.0     ", 8);
	return 512;
}

static u32 changed_ns_log(const struct nvme *nvme, u8 *page)
{
	page[0] = nvme->changed_ns ? NVME_NSID : 0;
	return 4096;
}

/* 1.4, 5.14.1.5: supported, and what else changes: blocks (1), capabilities of a namespace (2) */
static u32 effects_log(u8 *page)
{
	static const u8 admin[] = {NVME_ADMIN_DELETE_SQ,    NVME_ADMIN_CREATE_SQ,
				   NVME_ADMIN_GET_LOG,	    NVME_ADMIN_DELETE_CQ,
				   NVME_ADMIN_CREATE_CQ,    NVME_ADMIN_IDENTIFY,
				   NVME_ADMIN_ABORT,	    NVME_ADMIN_SET_FEATURES,
				   NVME_ADMIN_GET_FEATURES, NVME_ADMIN_ASYNC_EVENT};
	static const u8 reads[] = {NVME_IO_FLUSH, NVME_IO_READ, NVME_IO_COMPARE};
	static const u8 writes[] = {NVME_IO_WRITE, NVME_IO_WRITE_ZEROES, NVME_IO_DSM};

	for (u32 i = 0; i < ARRAY_SIZE(admin); i++)
		page[4 * admin[i]] = 1;
	page[4 * NVME_ADMIN_FORMAT] = 1 | 1 << 1 | 1 << 2;
	for (u32 i = 0; i < ARRAY_SIZE(reads); i++)
		page[1024 + 4 * reads[i]] = 1;
	for (u32 i = 0; i < ARRAY_SIZE(writes); i++)
		page[1024 + 4 * writes[i]] = 1 | 1 << 1;
	return 4096;
}

/* Its size, 0: there is no such page. */
static u32 log_page(const struct nvme *nvme, u32 id, u8 *page)
{
	switch (id) {
	case NVME_LOG_ERROR:
		return error_log(nvme, page);
	case NVME_LOG_SMART:
		return smart_log(nvme, page);
	case NVME_LOG_FIRMWARE:
		return firmware_log(page);
	case NVME_LOG_CHANGED_NS:
		return changed_ns_log(nvme, page);
	case NVME_LOG_EFFECTS:
		return effects_log(page);
	default:
		return 0;
	}
}

/* @len bytes of @page from @offset; beyond @size there are zeros. */
static int reply(struct nvme *nvme, struct nvme_req *req, const u8 *page, u32 size, u32 offset,
		 u32 len)
{
	static const u8 zeros[LOG_MAX];
	u32 first = MIN(len, size - offset);
	struct nvme_cursor at = {0};
	int rc = nvme_xfer_map(nvme, req, len);

	if (!rc)
		rc = nvme_xfer_out(req, &at, page + offset, first);
	for (u32 left = len - first, piece; left && !rc; left -= piece) {
		piece = MIN(left, LOG_MAX);
		rc = nvme_xfer_out(req, &at, zeros, piece);
	}
	return rc;
}

int nvme_get_log(struct nvme *nvme, struct nvme_req *req)
{
	const struct nvme_cmd *cmd = &req->cmd;
	u64 len = ((cmd->cdw10 >> 16 | (u64)(cmd->cdw11 & 0xffff) << 16) + 1) * 4;
	u64 offset = cmd->cdw12 | (u64)cmd->cdw13 << 32;
	u32 id = cmd->cdw10 & 0xff, size;
	u8 *page = nvme->buffer;
	int rc;

	memset(page, 0, LOG_MAX);
	size = log_page(nvme, id, page);
	if (!size)
		return NVME_SC_LOG_PAGE;
	if (cmd->nsid > NVME_NSID && cmd->nsid != NVME_NSID_ALL)
		return NVME_SC_INVALID_NS;
	if (len > NVME_TRANSFER_MAX || offset & 3 || offset >= size)
		return NVME_SC_INVALID_FIELD;
	rc = reply(nvme, req, page, size, (u32)offset, (u32)len);
	if (!rc && !(cmd->cdw10 & 1U << 15)) {
		nvme_event_read(nvme, id);
		if (id == NVME_LOG_CHANGED_NS)
			nvme->changed_ns = false;
	}
	return rc;
}
