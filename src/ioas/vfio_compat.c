/* SPDX-License-Identifier: MIT */
/*
 * The VFIO container's commands on an iommufd: they act on the context's
 * compat IOAS.  Type1 and type1v2 differ in one thing, the large-pages switch:
 * off, an unmap may cut areas.
 */
#include <string.h>

#include <linux/capability.h>

#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/vfio.h>

#include "base/alloc.h"
#include "core/ucmd.h"
#include "ioas/area.h"
#include "ioas/ioas.h"

static struct iommufd_ioas *compat_ioas_now(struct iommufd_ctx *ctx, u32 *ret_id)
{
	struct iommufd_ioas *ioas;

	mutex_lock(&ctx->objects_lock);
	ioas = ctx->vfio_ioas;
	*ret_id = ioas ? ioas->obj.id : 0;
	mutex_unlock(&ctx->objects_lock);
	return ioas;
}

/* The compat IOAS, held for a command. */
static int compat_ioas_get(struct iommufd_ctx *ctx, struct iommufd_ioas **ret_ioas)
{
	struct iommufd_ioas *ioas;
	u32 id;

	while (compat_ioas_now(ctx, &id)) {
		if (ioas_get(ctx, id, &ioas))
			return -ENODEV;
		/* It may have been destroyed in between, and its id given to another. */
		if (compat_ioas_now(ctx, &id) == ioas) {
			*ret_ioas = ioas;
			return 0;
		}
		ioas_put(ctx, ioas);
	}
	return -ENODEV;
}

int vfio_compat_ioas_get_id(struct iommufd_ctx *ctx, u32 *ret_id)
{
	struct iommufd_ioas *ioas;
	int rc = compat_ioas_get(ctx, &ioas);

	if (rc)
		return rc;
	*ret_id = ioas->obj.id;
	ioas_put(ctx, ioas);
	return 0;
}

int vfio_compat_ioas_create(struct iommufd_ctx *ctx)
{
	struct iommufd_ioas *ioas;
	bool wanted;
	int rc = ioas_alloc(ctx, &ioas);

	if (rc)
		return rc;
	mutex_lock(&ctx->objects_lock);
	if (ctx->no_iommu_mode)
		rc = -EINVAL;
	wanted = !rc && !ctx->vfio_ioas;
	if (wanted)
		ctx->vfio_ioas = ioas;
	mutex_unlock(&ctx->objects_lock);
	/* Until it is published nobody finds it by its id, which commands do first. */
	if (wanted)
		object_finalize(ctx, &ioas->obj);
	else
		object_abort_and_destroy(ctx, &ioas->obj);
	return rc;
}

/* ---- IOMMU_VFIO_IOAS ---- */

static int vfio_ioas_set(struct iommufd_ctx *ctx, u32 id)
{
	struct iommufd_ioas *ioas;
	int rc = ioas_get(ctx, id, &ioas);

	if (rc)
		return rc;
	mutex_lock(&ctx->objects_lock);
	ctx->vfio_ioas = ioas;
	mutex_unlock(&ctx->objects_lock);
	ioas_put(ctx, ioas);
	return 0;
}

int iommufd_vfio_ioas_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_vfio_ioas *cmd = ucmd->cmd;
	struct iommufd_ctx *ctx = ucmd->ctx;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_GET:
		rc = compat_ioas_get(ctx, &ioas);
		if (rc)
			return rc;
		cmd->ioas_id = ioas->obj.id;
		ioas_put(ctx, ioas);
		return ucmd_respond(ucmd, sizeof(*cmd));
	case IOMMU_VFIO_IOAS_SET:
		return vfio_ioas_set(ctx, cmd->ioas_id);
	case IOMMU_VFIO_IOAS_CLEAR:
		mutex_lock(&ctx->objects_lock);
		ctx->vfio_ioas = NULL;
		mutex_unlock(&ctx->objects_lock);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

/* ---- extensions and types ---- */

static bool ctx_no_iommu(struct iommufd_ctx *ctx)
{
	bool mode;

	mutex_lock(&ctx->objects_lock);
	mode = ctx->no_iommu_mode;
	mutex_unlock(&ctx->objects_lock);
	return mode;
}

static long vfio_check_dma_cc(struct iommufd_ctx *ctx)
{
	struct iommufd_ioas *ioas;
	long enforced = 1;
	int rc = compat_ioas_get(ctx, &ioas);

	if (rc)
		return rc;
	read_lock(&ioas->iopt.domains_rwsem);
	for (u32 i = 0; i < ioas->iopt.num_domains; i++)
		if (!ioas->iopt.domains[i]->enforced_coherency)
			enforced = 0;
	read_unlock(&ioas->iopt.domains_rwsem);
	ioas_put(ctx, ioas);
	return enforced;
}

static long vfio_check_extension(struct iommufd_ctx *ctx, u64 extension)
{
	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return !ctx_no_iommu(ctx);
	case VFIO_DMA_CC_IOMMU:
		return vfio_check_dma_cc(ctx);
	default:
		return 0;
	}
}

static int vfio_set_iommu(struct iommufd_ctx *ctx, u64 type)
{
	bool no_iommu = ctx_no_iommu(ctx);
	struct iommufd_ioas *ioas;
	int rc;

	if (type == VFIO_NOIOMMU_IOMMU && no_iommu)
		return capable(CAP_SYS_RAWIO) ? 0 : -EPERM;
	if ((type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU) || no_iommu)
		return -EINVAL;
	rc = compat_ioas_get(ctx, &ioas);
	if (rc)
		return rc;
	if (type == VFIO_TYPE1_IOMMU)
		rc = iopt_disable_large_pages(&ioas->iopt);
	ioas_put(ctx, ioas);
	return rc;
}

/* ---- map and unmap ---- */

static int vfio_map_dma(struct iommufd_ctx *ctx, u64 arg)
{
	struct vfio_iommu_type1_dma_map map;
	struct map_piece piece;
	struct iommufd_ioas *ioas;
	int rc, prot = 0;

	rc = copy_from_user(&map, arg, sizeof(map));
	if (rc)
		return rc;
	if (map.argsz < sizeof(map) ||
	    map.flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE))
		return -EINVAL;
	if (map.flags & VFIO_DMA_MAP_FLAG_READ)
		prot |= IOMMU_READ;
	if (map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		prot |= IOMMU_WRITE;
	rc = compat_ioas_get(ctx, &ioas);
	if (rc)
		return rc;
	rc = pages_alloc_user(ctx, map.vaddr, map.size, prot & IOMMU_WRITE, &piece.pages);
	if (!rc) {
		u64 iova = map.iova;

		piece.offset = piece.pages->page_offset;
		piece.length = map.size;
		rc = iopt_map_pieces(&ioas->iopt, &piece, 1, map.size, &iova, prot, 0);
		if (rc)
			pages_put(piece.pages);
	}
	ioas_put(ctx, ioas);
	return rc;
}

static int iopt_cut_for_unmap(struct io_pagetable *iopt, u64 iova, u64 size)
{
	u64 cuts[2] = { iova + size, iova };
	bool splits;

	read_lock(&iopt->iova_rwsem);
	splits = iopt->disable_large_pages;
	read_unlock(&iopt->iova_rwsem);
	return splits ? iopt_cut_iova(iopt, cuts, iova ? 2 : 1) : 0;
}

static int vfio_unmap_range(struct io_pagetable *iopt, u64 iova, u64 size, u64 *ret_unmapped)
{
	u64 last;
	int rc = range_last(iova, size, &last);

	return rc ? rc : iopt_unmap_iova(iopt, iova, last, ret_unmapped);
}

static int vfio_unmap_dma(struct iommufd_ctx *ctx, u64 arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	struct iommufd_ioas *ioas;
	u64 unmapped = 0;
	int rc;

	rc = copy_from_user(&unmap, arg, sizeof(unmap));
	if (rc)
		return rc;
	if (unmap.argsz < sizeof(unmap) || unmap.flags & ~VFIO_DMA_UNMAP_FLAG_ALL)
		return -EINVAL;
	rc = compat_ioas_get(ctx, &ioas);
	if (rc)
		return rc;
	if (unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		rc = -EINVAL;
		if (unmap.iova || unmap.size)
			goto out;
		rc = iopt_unmap_all(&ioas->iopt, &unmapped);
	} else {
		rc = iopt_cut_for_unmap(&ioas->iopt, unmap.iova, unmap.size);
		if (rc)
			goto out;
		rc = vfio_unmap_range(&ioas->iopt, unmap.iova, unmap.size, &unmapped);
	}
	unmap.size = unmapped;
	if (copy_to_user(arg, &unmap, sizeof(unmap)))
		rc = -EFAULT;
out:
	ioas_put(ctx, ioas);
	return rc;
}

/* ---- GET_INFO ---- */

u64 iopt_page_sizes(struct io_pagetable *iopt)
{
	u64 sizes = UINT64_MAX;

	read_lock(&iopt->domains_rwsem);
	read_lock(&iopt->iova_rwsem);
	for (u32 i = 0; i < iopt->num_domains; i++)
		sizes &= iopt->domains[i]->pgsize_bitmap;
	if (sizes & (PAGE_SIZE - 1))
		sizes = (sizes & PAGE_MASK) | PAGE_SIZE;
	sizes = MAX(sizes, iopt->iova_alignment);
	read_unlock(&iopt->iova_rwsem);
	read_unlock(&iopt->domains_rwsem);
	return sizes;
}

/*
 * The whole answer in one buffer: fixed part, the DMA_AVAIL capability at 24 (padded to 40), the
 * IOVA_RANGE capability.  What of it reaches the caller is decided afterwards.
 */
#define INFO_FIXED 24
#define INFO_RANGE_CAP 40
#define INFO_RANGES (INFO_RANGE_CAP + 16)

static int info_build(struct io_pagetable *iopt, char **ret_buf, u32 *ret_total, u32 *ret_n)
{
	struct vfio_iommu_type1_info_dma_avail avail = { 0 };
	struct vfio_iommu_type1_info_cap_iova_range cap = { 0 };
	struct iova_range *ranges;
	u64 alignment;
	char *buf;
	u32 n;
	int rc = iopt_list_usable(iopt, UINT32_MAX / 16 - 64, &ranges, &n, &alignment);

	if (rc)
		return rc;
	buf = zalloc(INFO_RANGES + 16UL * n);
	if (!buf) {
		free(ranges);
		return -ENOMEM;
	}
	avail.header.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;
	avail.header.version = 1;
	avail.header.next = INFO_RANGE_CAP;
	avail.avail = UINT32_MAX;
	cap.header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	cap.header.version = 1;
	cap.nr_iovas = n;
	memcpy(buf + INFO_FIXED, &avail, sizeof(avail));
	memcpy(buf + INFO_RANGE_CAP, &cap, 16);
	memcpy(buf + INFO_RANGES, ranges, 16UL * n);
	free(ranges);
	*ret_buf = buf;
	*ret_total = INFO_RANGES + 16 * n;
	*ret_n = n;
	return 0;
}

/* Store the pieces that fit wholly below @argsz, never a byte beyond it. */
static int info_store(u64 arg, u32 argsz, const char *buf, u32 total, u32 n)
{
	struct vfio_info_cap_header header;
	u32 fit;
	int rc = 0;

	if (argsz >= INFO_FIXED + 12) {
		memcpy(&header, buf + INFO_FIXED, sizeof(header));
		if (argsz < INFO_RANGE_CAP)
			header.next = 0;
		rc = copy_to_user(arg + INFO_FIXED, &header, sizeof(header));
		if (!rc)
			rc = copy_to_user(arg + INFO_FIXED + 8, buf + INFO_FIXED + 8, 4);
	}
	if (!rc && argsz >= total)
		rc = copy_to_user(arg + INFO_RANGE_CAP, buf + INFO_RANGE_CAP, 16);
	fit = argsz > INFO_RANGES ? MIN(n, (argsz - INFO_RANGES) / 16) : 0;
	if (!rc && fit)
		rc = copy_to_user(arg + INFO_RANGES, buf + INFO_RANGES, 16UL * fit);
	return rc;
}

static int vfio_get_info(struct iommufd_ctx *ctx, u64 arg)
{
	struct vfio_iommu_type1_info info = { 0 };
	struct iommufd_ioas *ioas;
	u32 argsz, total, n;
	char *buf;
	int rc;

	rc = copy_from_user(&info, arg, 16);
	if (rc)
		return rc;
	argsz = info.argsz;
	if (argsz < 16)
		return -EINVAL;
	rc = compat_ioas_get(ctx, &ioas);
	if (rc)
		return rc;
	rc = info_build(&ioas->iopt, &buf, &total, &n);
	if (!rc) {
		info.argsz = total;
		info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
		info.iova_pgsizes = iopt_page_sizes(&ioas->iopt);
		info.cap_offset = argsz >= total ? INFO_FIXED : 0;
		rc = info_store(arg, argsz, buf, total, n);
		if (!rc)
			rc = copy_to_user(arg, &info, MIN(argsz, INFO_FIXED));
		free(buf);
	}
	ioas_put(ctx, ioas);
	return rc;
}

long iommufd_vfio_ioctl(struct iommufd_ctx *ctx, unsigned int cmd, u64 arg)
{
	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return vfio_check_extension(ctx, arg);
	case VFIO_SET_IOMMU:
		return vfio_set_iommu(ctx, arg);
	case VFIO_IOMMU_GET_INFO:
		return vfio_get_info(ctx, arg);
	case VFIO_IOMMU_MAP_DMA:
		return vfio_map_dma(ctx, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return vfio_unmap_dma(ctx, arg);
	default:
		return -ENOTTY;
	}
}
