/* SPDX-License-Identifier: MIT */
/*
 * What is done to the namespace.  Reads of what is in the page cache, and writes into it, are done
 * at once by work(): large ones between the file and the program's memory directly, small or
 * scattered ones through a buffer.  All that may wait is the pool's.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "devices/nvme/nvme.h"

#define DIRECT_LEN 16384U /* from here on borrow the program's memory */
#define DIRECT_IOV 64

static int file_status(int error, bool write)
{
	if (error == EAGAIN)
		return NVME_DEFER;
	if (error == EFAULT)
		return NVME_SC_DATA_TRANSFER;
	if (error == ENOMEM)
		return NVME_SC_INTERNAL;
	if (error == ENOSPC || error == EDQUOT || error == EFBIG)
		return NVME_SC_CAPACITY;
	return write ? NVME_SC_WRITE_FAULT : NVME_SC_READ_ERROR;
}

/* All of @iov, or why not; a read that would wait ends with NVME_DEFER if @flags say so. */
static int file_move(const struct nvme_ns *ns, struct iovec *iov, int count, u64 offset, bool write,
		     int flags)
{
	ssize_t n;

	while (count) {
		n = write ? pwritev2(ns->fd, iov, count, (off_t)offset, flags)
			  : preadv2(ns->fd, iov, count, (off_t)offset, flags);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return file_status(errno, write);
		if (!n)
			return NVME_SC_READ_ERROR; /* the image has been cut */
		offset += (u64)n;
		while (count && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count) {
			iov->iov_base = (u8 *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

static int file_buffer(const struct nvme_ns *ns, u8 *buf, size_t len, u64 offset, bool write,
		       int flags)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};

	return file_move(ns, &iov, 1, offset, write, flags);
}

/* ---- through a buffer ---- */

static int move_buffered(struct nvme_req *req, u8 *buffer, bool write, int flags)
{
	const struct nvme_ns *ns = req->nvme->ns;
	struct nvme_cursor at = {0};
	u64 offset = req->lba << req->shift, left = req->count << req->shift;
	int rc = 0;

	while (left && !rc) {
		size_t piece = MIN(left, NVME_BUFFER);

		if (write) {
			rc = nvme_xfer_in(req, &at, buffer, piece);
			if (!rc)
				rc = file_buffer(ns, buffer, piece, offset, true, flags);
		} else {
			rc = file_buffer(ns, buffer, piece, offset, false, flags);
			if (!rc)
				rc = nvme_xfer_out(req, &at, buffer, piece);
		}
		offset += piece;
		left -= piece;
	}
	return rc;
}

/* ---- without ---- */

static int move_mapped(const struct nvme_ns *ns, const struct iommufd_dma_map *map, u64 offset,
		       bool write, int flags)
{
	struct iovec iov[DIRECT_IOV];
	size_t bytes;
	int n, rc = 0;

	for (u32 i = 0; i < map->count && !rc; i += (u32)n) {
		bytes = 0;
		for (n = 0; n < DIRECT_IOV && i + (u32)n < map->count; n++) {
			iov[n].iov_base = map->segs[i + (u32)n].ptr;
			iov[n].iov_len = map->segs[i + (u32)n].length;
			bytes += iov[n].iov_len;
		}
		rc = file_move(ns, iov, n, offset, write, flags);
		offset += bytes;
	}
	return rc;
}

static int borrow(struct nvme *nvme, const struct nvme_extent *extent, unsigned int access,
		  struct iommufd_dma_map **ret_map)
{
	struct iommufd_dma_fault fault;
	u32 tries = 0;
	int rc;

	do {
		rc = iommufd_dma_map(&nvme->pdev.dev, IOMMU_NO_PASID, extent->addr, extent->len,
				     access, ret_map, &fault);
		rc = nvme_dma_status(nvme, rc, &fault);
	} while (rc && nvme_dma_again(nvme, rc, &fault, ++tries));
	return rc;
}

static int move_direct(struct nvme_req *req, bool write, int flags)
{
	struct nvme *nvme = req->nvme;
	u64 offset = req->lba << req->shift;
	struct iommufd_dma_map *map;
	int rc;

	for (u32 i = 0; i < req->num_extents; i++) {
		const struct nvme_extent *extent = &req->extents[i];

		rc = borrow(nvme, extent, write ? IOMMU_READ : IOMMU_WRITE, &map);
		if (rc)
			return rc;
		rc = move_mapped(nvme->ns, map, offset, write, flags);
		if (iommufd_dma_unmap(map) && !rc)
			rc = NVME_SC_DATA_TRANSFER;
		if (rc)
			return rc;
		offset += extent->len;
	}
	return 0;
}

static bool is_direct(const struct nvme_req *req)
{
	u64 len = req->count << req->shift;

	if (len < DIRECT_LEN || len / req->num_extents < DIRECT_LEN)
		return false;
	for (u32 i = 0; i < req->num_extents; i++)
		if (req->extents[i].bucket)
			return false;
	return true;
}

int nvme_transfer(struct nvme_req *req, u8 *buffer)
{
	struct nvme_ns *ns = req->nvme->ns;
	bool write = req->cmd.opcode == NVME_IO_WRITE;
	int flags = !write && ns->nowait ? RWF_NOWAIT : 0;

	if (!ns->memory && (write ? req->sync : !ns->nowait))
		return NVME_DEFER;
	if (!write && nvme_ns_spoilt(ns, req->lba, req->count, false))
		return NVME_SC_READ_ERROR;
	if (write)
		nvme_ns_spoilt(ns, req->lba, req->count, true);
	return is_direct(req) ? move_direct(req, write, flags)
			      : move_buffered(req, buffer, write, flags);
}

/* ---- the pool's ---- */

static int move(struct nvme_req *req, u8 *buffer, bool write)
{
	struct nvme_ns *ns = req->nvme->ns;
	bool spoilt = nvme_ns_spoilt(ns, req->lba, req->count, write);

	if (spoilt && !write)
		return NVME_SC_READ_ERROR;
	return move_buffered(req, buffer, write, write && req->sync ? RWF_DSYNC : 0);
}

static int compare(struct nvme_req *req, u8 *buffer)
{
	u64 offset = req->lba << req->shift, left = req->count << req->shift;
	struct nvme_cursor at = {0};
	u8 *theirs = buffer + NVME_BUFFER / 2;
	int rc = 0;

	if (nvme_ns_spoilt(req->nvme->ns, req->lba, req->count, false))
		return NVME_SC_READ_ERROR;
	while (left && !rc) {
		size_t piece = MIN(left, NVME_BUFFER / 2);

		rc = file_buffer(req->nvme->ns, buffer, piece, offset, false, 0);
		if (!rc)
			rc = nvme_xfer_in(req, &at, theirs, piece);
		if (!rc && memcmp(buffer, theirs, piece))
			rc = NVME_SC_COMPARE;
		offset += piece;
		left -= piece;
	}
	return rc;
}

static int sync_file(const struct nvme_ns *ns)
{
	if (ns->memory || ns->readonly)
		return 0;
	return fdatasync(ns->fd) ? file_status(errno, true) : 0;
}

static int write_zeroes(const struct nvme_ns *ns, u8 *buffer, u64 offset, u64 len)
{
	int rc = 0;

	memset(buffer, 0, NVME_BUFFER);
	while (len && !rc) {
		size_t piece = MIN(len, NVME_BUFFER);

		rc = file_buffer(ns, buffer, piece, offset, true, 0);
		offset += piece;
		len -= piece;
	}
	return rc;
}

/* @punch: give the space back; else it stays allocated where the file system can do that. */
static int zero(const struct nvme_ns *ns, u8 *buffer, u64 offset, u64 len, bool punch)
{
	int modes[] = {FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE};

	for (u32 i = punch; i < ARRAY_SIZE(modes); i++) {
		if (!fallocate(ns->fd, modes[i], (off_t)offset, (off_t)len))
			return 0;
		if (errno != EOPNOTSUPP)
			return file_status(errno, true);
	}
	return write_zeroes(ns, buffer, offset, len);
}

static int zeroes(struct nvme_req *req, u8 *buffer)
{
	struct nvme_ns *ns = req->nvme->ns;
	bool punch = req->cmd.cdw12 & 1U << 25; /* DEAC */
	int rc;

	nvme_ns_spoilt(ns, req->lba, req->count, true);
	rc = zero(ns, buffer, req->lba << req->shift, req->count << req->shift, punch);
	return rc || !req->sync ? rc : sync_file(ns);
}

static int deallocate(struct nvme_req *req, u8 *buffer)
{
	struct nvme_ns *ns = req->nvme->ns;
	int rc = 0;

	for (u32 i = 0; i < req->num_extents && !rc; i++) {
		const struct nvme_extent *range = &req->extents[i];

		nvme_ns_spoilt(ns, range->addr >> req->shift, range->len >> req->shift, true);
		rc = zero(ns, buffer, range->addr, range->len, true);
	}
	return rc;
}

static int format(struct nvme_req *req, u8 *buffer)
{
	struct nvme_ns *ns = req->nvme->ns;
	u32 shift;
	u64 blocks;
	int rc;

	if (!nvme_ns_quiet(ns))
		return NVME_DEFER;
	nvme_ns_size(ns, &shift, &blocks);
	rc = zero(ns, buffer, 0, blocks << shift, true);
	if (!rc)
		rc = sync_file(ns);
	if (!rc) {
		nvme_ns_formatted(ns, req->shift);
		req->claimed = false;
	}
	return rc;
}

int nvme_work_on(struct nvme_req *req, u8 *buffer)
{
	if (!req->sq_id)
		return format(req, buffer);
	switch (req->cmd.opcode) {
	case NVME_IO_READ:
		return move(req, buffer, false);
	case NVME_IO_WRITE:
		return move(req, buffer, true);
	case NVME_IO_COMPARE:
		return compare(req, buffer);
	case NVME_IO_FLUSH:
		return sync_file(req->nvme->ns);
	case NVME_IO_WRITE_ZEROES:
		return zeroes(req, buffer);
	default:
		return deallocate(req, buffer);
	}
}

int nvme_defer(struct nvme *nvme, struct nvme_req *req)
{
	int status;

	if (nvme_pool_submit(&nvme->pool, req))
		return NVME_PENDING;
	status = nvme_work_on(req, nvme->buffer);
	return status == NVME_DEFER ? NVME_SC_INTERNAL : status;
}
