/* SPDX-License-Identifier: MIT */
/*
 * The host's memory: PRPs (1.4, 4.3) and SGLs (4.4), read once into extents, and copies from and to
 * these.  The number of extents bounds all walks.
 */
#include <string.h>

#include "devices/nvme/nvme.h"

#define PRPS (NVME_TRANSFER_MAX >> NVME_PAGE_SHIFT)

/* ---- DMA ---- */

int nvme_dma_status(const struct nvme *nvme, int rc, const struct iommufd_dma_fault *fault)
{
	if (!rc)
		return NVME_SC_SUCCESS;
	if (fault->reason == IOMMU_XLAT_BLOCKED && !pci_bus_master(&nvme->pdev))
		return NVME_BLOCKED;
	return rc == -ENOMEM ? NVME_SC_INTERNAL : NVME_SC_DATA_TRANSFER;
}

bool nvme_dma_again(const struct nvme *nvme, int status, const struct iommufd_dma_fault *fault,
		    u32 tries)
{
	return status == NVME_SC_DATA_TRANSFER && fault->reason == IOMMU_XLAT_BLOCKED && tries < 3;
}

int nvme_dma_read(struct nvme *nvme, u64 iova, void *buf, size_t len)
{
	struct iommufd_dma_fault fault;
	u32 tries = 0;
	int rc;

	do {
		rc = iommufd_dma_read(&nvme->pdev.dev, IOMMU_NO_PASID, iova, buf, len, &fault);
		rc = nvme_dma_status(nvme, rc, &fault);
	} while (rc && nvme_dma_again(nvme, rc, &fault, ++tries));
	return rc;
}

int nvme_dma_write(struct nvme *nvme, u64 iova, const void *buf, size_t len)
{
	struct iommufd_dma_fault fault;
	u32 tries = 0;
	int rc;

	do {
		rc = iommufd_dma_write(&nvme->pdev.dev, IOMMU_NO_PASID, iova, buf, len, &fault);
		rc = nvme_dma_status(nvme, rc, &fault);
	} while (rc && nvme_dma_again(nvme, rc, &fault, ++tries));
	return rc;
}

/* ---- extents ---- */

static int extent_add(struct nvme_req *req, u64 addr, u64 len, bool bucket)
{
	struct nvme_extent *last = req->num_extents ? &req->extents[req->num_extents - 1] : NULL;

	if (last && last->bucket == bucket && (bucket || last->addr + last->len == addr)) {
		last->len += len;
		return 0;
	}
	if (req->num_extents == NVME_EXTENTS)
		return NVME_SC_SGL_COUNT;
	req->extents[req->num_extents++] =
		(struct nvme_extent){.addr = addr, .len = len, .bucket = bucket};
	return 0;
}

/* ---- PRPs ---- */

/* The pages after the first, by the list at @pos, which may be continued elsewhere. */
static int prp_list(struct nvme *nvme, struct nvme_req *req, u64 pos, u32 len)
{
	u32 page = 1U << nvme->page_shift;
	u64 prps[PRPS];
	u32 wanted, here;
	int rc;

	if (pos & 7)
		return NVME_SC_PRP_OFFSET;
	for (;;) {
		wanted = (len + page - 1) / page;
		here = MIN(wanted, (page - (u32)(pos & (page - 1))) / 8);
		rc = nvme_dma_read(nvme, pos, prps, here * 8);
		if (rc)
			return rc;
		for (u32 i = 0; i < here - (here < wanted); i++) {
			u32 piece = MIN(len, page);

			if (prps[i] & (page - 1))
				return NVME_SC_PRP_OFFSET;
			rc = extent_add(req, prps[i], piece, false);
			if (rc)
				return rc;
			len -= piece;
		}
		if (!len)
			return 0;
		pos = prps[here - 1];
		/* So each list but the first has room for more than its own continuation. */
		if (pos & (page - 1))
			return NVME_SC_PRP_OFFSET;
	}
}

static int prp_map(struct nvme *nvme, struct nvme_req *req, u32 len)
{
	u32 page = 1U << nvme->page_shift;
	u64 prp1 = req->cmd.prp1, prp2 = req->cmd.prp2;
	u32 first = MIN(len, page - (u32)(prp1 & (page - 1)));
	int rc;

	if (prp1 & 3)
		return NVME_SC_PRP_OFFSET;
	rc = extent_add(req, prp1, first, false);
	len -= first;
	if (rc || !len)
		return rc;
	if (len > page)
		return prp_list(nvme, req, prp2, len);
	if (prp2 & (page - 1))
		return NVME_SC_PRP_OFFSET;
	return extent_add(req, prp2, len, false);
}

/* ---- SGLs ---- */

static bool to_device(const struct nvme_req *req)
{
	return req->cmd.opcode & 1;
}

/* @left: bytes still wanted; what a list has beyond them is left alone. */
static int sgl_data(struct nvme_req *req, const struct nvme_sgl *sgl, u32 *left)
{
	bool bucket = sgl->type >> 4 == NVME_SGL_BIT_BUCKET;
	u32 len = MIN(sgl->len, *left);

	if (sgl->type & 0xf)
		return NVME_SC_SGL_TYPE;
	if (sgl->type >> 4 != NVME_SGL_DATA && !bucket)
		return NVME_SC_SGL_TYPE;
	if (!len || (bucket && to_device(req)))
		return 0;
	*left -= len;
	return extent_add(req, sgl->addr, len, bucket);
}

static bool is_segment(const struct nvme_sgl *sgl)
{
	return sgl->type >> 4 == NVME_SGL_SEGMENT || sgl->type >> 4 == NVME_SGL_LAST_SEGMENT;
}

/* One segment: its data, and in @seg what comes next if it is not the last one. */
static int sgl_segment(struct nvme *nvme, struct nvme_req *req, struct nvme_sgl *seg, u32 *left,
		       u32 *room)
{
	bool last = seg->type >> 4 == NVME_SGL_LAST_SEGMENT;
	struct nvme_sgl sgls[NVME_EXTENTS];
	u32 n = seg->len / sizeof(*sgls);
	int rc;

	if (seg->type & 0xf)
		return NVME_SC_SGL_TYPE;
	if (!n || seg->len % sizeof(*sgls))
		return NVME_SC_SGL_SEGMENT;
	if (n > *room)
		return NVME_SC_SGL_COUNT;
	*room -= n;
	rc = nvme_dma_read(nvme, seg->addr, sgls, n * sizeof(*sgls));
	if (!rc && !last && !is_segment(&sgls[n - 1]))
		return NVME_SC_SGL_SEGMENT;
	for (u32 i = 0; !rc && i < n - !last; i++)
		rc = is_segment(&sgls[i]) ? NVME_SC_SGL_SEGMENT : sgl_data(req, &sgls[i], left);
	*seg = sgls[n - 1];
	return rc;
}

static int sgl_map(struct nvme *nvme, struct nvme_req *req, u32 len)
{
	u32 left = len, room = NVME_EXTENTS;
	struct nvme_sgl seg;
	bool more;
	int rc = 0;

	memcpy(&seg, &req->cmd.prp1, sizeof(seg));
	if (!is_segment(&seg)) {
		rc = sgl_data(req, &seg, &left);
	} else {
		do {
			more = seg.type >> 4 == NVME_SGL_SEGMENT;
			rc = sgl_segment(nvme, req, &seg, &left, &room);
		} while (!rc && more && left);
	}
	if (!rc && left)
		return NVME_SC_SGL_LENGTH;
	return rc;
}

int nvme_xfer_map(struct nvme *nvme, struct nvme_req *req, u32 len)
{
	req->num_extents = 0;
	if (!NVME_CMD_PSDT(req->cmd.flags))
		return prp_map(nvme, req, len);
	/* SGLs are for I/O queues only (1.4, 4.4), and the fourth kind of pointer is reserved. */
	if (!req->sq_id || NVME_CMD_PSDT(req->cmd.flags) == 3)
		return NVME_SC_INVALID_FIELD;
	return sgl_map(nvme, req, len);
}

/* ---- copies ---- */

static int copy(struct nvme_req *req, struct nvme_cursor *at, u8 *buf, size_t len, bool out)
{
	while (len) {
		const struct nvme_extent *extent = &req->extents[at->extent];
		size_t piece = MIN(len, extent->len - at->offset);
		u64 iova = extent->addr + at->offset;
		int rc = 0;

		if (!extent->bucket)
			rc = out ? nvme_dma_write(req->nvme, iova, buf, piece)
				 : nvme_dma_read(req->nvme, iova, buf, piece);
		if (rc)
			return rc;
		buf += piece;
		len -= piece;
		at->offset += piece;
		if (at->offset == extent->len) {
			at->extent++;
			at->offset = 0;
		}
	}
	return 0;
}

int nvme_xfer_in(struct nvme_req *req, struct nvme_cursor *at, void *buf, size_t len)
{
	return copy(req, at, buf, len, false);
}

int nvme_xfer_out(struct nvme_req *req, struct nvme_cursor *at, const void *buf, size_t len)
{
	return copy(req, at, (u8 *)(uintptr_t)buf, len, true);
}

int nvme_reply(struct nvme *nvme, struct nvme_req *req, const void *buf, u32 len)
{
	struct nvme_cursor at = {0};
	int rc = nvme_xfer_map(nvme, req, len);

	return rc ? rc : nvme_xfer_out(req, &at, buf, len);
}
