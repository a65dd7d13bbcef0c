/* SPDX-License-Identifier: MIT */
/*
 * MAP, MAP_FILE and COPY: from the user's struct to pieces of pages.
 */
#include <fcntl.h>
#include <unistd.h>

#include <iommufd/uapi/iommufd.h>

#include "base/alloc.h"
#include "core/dmabuf_file.h"
#include "core/ucmd.h"
#include "ioas/area.h"
#include "ioas/ioas.h"

#define MAP_FLAGS (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)

static int prot_from_flags(u32 map_flags)
{
	int prot = 0;

	if (map_flags & IOMMU_IOAS_MAP_WRITEABLE)
		prot |= IOMMU_WRITE;
	if (map_flags & IOMMU_IOAS_MAP_READABLE)
		prot |= IOMMU_READ;
	return prot;
}

static unsigned int alloc_flags(u32 map_flags)
{
	return map_flags & IOMMU_IOAS_MAP_FIXED_IOVA ? 0 : IOPT_ALLOC_IOVA;
}

/* Map all of a new pages object, which belongs to the map afterwards or is gone. */
static int iopt_map_new_pages(struct io_pagetable *iopt, struct iopt_pages *pages, u64 length,
			      u64 *iova, u32 map_flags)
{
	struct map_piece piece = { .pages = pages, .offset = pages->page_offset, .length = length };
	int rc = iopt_map_pieces(iopt, &piece, 1, length, iova, prot_from_flags(map_flags),
				 alloc_flags(map_flags));

	if (rc)
		pages_put(pages);
	return rc;
}

int iommufd_ioas_map_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map *cmd = ucmd->cmd;
	struct iopt_pages *pages;
	struct iommufd_ioas *ioas;
	u64 iova = cmd->iova;
	int rc;

	if ((cmd->flags & ~MAP_FLAGS) || cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->iova == UINT64_MAX || cmd->length == UINT64_MAX)
		return -EOVERFLOW;
	if (!(cmd->flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)))
		return -EINVAL;
	rc = ioas_get(ucmd->ctx, cmd->ioas_id, &ioas);
	if (rc)
		return rc;
	rc = pages_alloc_user(ucmd->ctx, cmd->user_va, cmd->length,
			      cmd->flags & IOMMU_IOAS_MAP_WRITEABLE, &pages);
	if (!rc)
		rc = iopt_map_new_pages(&ioas->iopt, pages, cmd->length, &iova, cmd->flags);
	if (!rc) {
		cmd->iova = iova;
		rc = ucmd_respond(ucmd, sizeof(*cmd));
	}
	ioas_put(ucmd->ctx, ioas);
	return rc;
}

/* ---- MAP_FILE ---- */

static int pages_from_host_fd(struct iommufd_ctx *ctx, int host_fd,
			      const struct iommu_ioas_map_file *cmd, struct iopt_pages **ret_pages)
{
	struct mem_file *file;
	int rc = mem_file_open(ctx->system->mem, host_fd, &file);

	if (rc)
		return rc;
	rc = pages_alloc_file(ctx, file, cmd->start, cmd->length,
			      cmd->flags & IOMMU_IOAS_MAP_WRITEABLE, ret_pages);
	if (rc)
		mem_file_put(file);
	return rc;
}

static int pages_from_fd(struct iommufd_ctx *ctx, const struct iommu_ioas_map_file *cmd,
			 struct iopt_pages **ret_pages)
{
	struct task_fd tfd;
	struct dmabuf *dmabuf;
	int rc = task_current->ops->fd_get(task_current, cmd->fd, &tfd);

	if (rc)
		return rc;
	if (!tfd.file) {
		rc = pages_from_host_fd(ctx, tfd.host_fd, cmd, ret_pages);
		close(tfd.host_fd);
		return rc;
	}
	dmabuf = dmabuf_from_file(tfd.file);
	/*
	 * Our other files hold no memory.  Linux would take its own iommufd here and keep it, and
	 * its pins, for ever.
	 */
	rc = dmabuf ? pages_alloc_dmabuf(ctx, dmabuf, cmd->start, cmd->length,
					 cmd->flags & IOMMU_IOAS_MAP_WRITEABLE, ret_pages) :
		      -EINVAL;
	file_put(tfd.file);
	return rc;
}

int iommufd_ioas_map_file_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map_file *cmd = ucmd->cmd;
	struct iopt_pages *pages;
	struct iommufd_ioas *ioas;
	u64 iova = cmd->iova, last;
	int rc;

	if (cmd->flags & ~MAP_FLAGS)
		return -EOPNOTSUPP;
	if (cmd->iova == UINT64_MAX || cmd->length == UINT64_MAX)
		return -EOVERFLOW;
	if (!(cmd->flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)))
		return -EINVAL;
	rc = ioas_get(ucmd->ctx, cmd->ioas_id, &ioas);
	if (rc)
		return rc;
	rc = range_last(cmd->start, cmd->length, &last);
	if (!rc)
		rc = pages_from_fd(ucmd->ctx, cmd, &pages);
	if (!rc)
		rc = iopt_map_new_pages(&ioas->iopt, pages, cmd->length, &iova, cmd->flags);
	if (!rc) {
		cmd->iova = iova;
		rc = ucmd_respond(ucmd, sizeof(*cmd));
	}
	ioas_put(ucmd->ctx, ioas);
	return rc;
}

/* ---- COPY ---- */

static void pieces_put(struct map_piece *pieces, u32 n)
{
	for (u32 i = 0; i < n; i++)
		pages_put(pieces[i].pages);
	free(pieces);
}

static int pieces_grow(struct map_piece **pieces, u32 n, u32 *max)
{
	struct map_piece *bigger;

	if (n < *max)
		return 0;
	bigger = zalloc_array(*max ? 2 * *max : 4, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++)
		bigger[i] = (*pieces)[i];
	free(*pieces);
	*pieces = bigger;
	*max = *max ? 2 * *max : 4;
	return 0;
}

/* What [iova..last] shows, as counted slices of pages objects. */
static int iopt_get_pieces(struct io_pagetable *iopt, u64 iova, u64 last,
			   struct map_piece **ret_pieces, u32 *ret_n)
{
	struct map_piece *pieces = NULL;
	struct area_walk walk;
	u32 n = 0, max = 0;
	int rc = 0;

	read_lock(&iopt->iova_rwsem);
	area_walk_for_each(&walk, iopt, iova, last) {
		rc = pieces_grow(&pieces, n, &max);
		if (rc)
			break;
		pieces[n++] = (struct map_piece){
			.pages = pages_get(area->pages),
			.offset = area_start_byte(area, walk.cur),
			.length = area_walk_step_last(&walk) - walk.cur + 1,
		};
	}
	if (!rc && !area_walk_done(&walk))
		rc = -ENOENT;
	read_unlock(&iopt->iova_rwsem);
	if (rc) {
		pieces_put(pieces, n);
		return rc;
	}
	*ret_pieces = pieces;
	*ret_n = n;
	return 0;
}

static int copy_get_source(struct iommufd_ctx *ctx, const struct iommu_ioas_copy *cmd,
			   struct map_piece **ret_pieces, u32 *ret_n)
{
	struct iommufd_ioas *src;
	u64 last;
	int rc = ioas_get(ctx, cmd->src_ioas_id, &src);

	if (rc)
		return rc;
	rc = range_last(cmd->src_iova, cmd->length, &last);
	if (!rc)
		rc = iopt_get_pieces(&src->iopt, cmd->src_iova, last, ret_pieces, ret_n);
	ioas_put(ctx, src);
	return rc;
}

int iommufd_ioas_copy_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_copy *cmd = ucmd->cmd;
	struct map_piece *pieces;
	struct iommufd_ioas *dst;
	u64 iova = cmd->dst_iova;
	u32 n;
	int rc;

	if (cmd->flags & ~MAP_FLAGS)
		return -EOPNOTSUPP;
	if (cmd->length == UINT64_MAX || cmd->src_iova == UINT64_MAX || cmd->dst_iova == UINT64_MAX)
		return -EOVERFLOW;
	if (!(cmd->flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)))
		return -EINVAL;
	rc = copy_get_source(ucmd->ctx, cmd, &pieces, &n);
	if (rc)
		return rc;
	rc = ioas_get(ucmd->ctx, cmd->dst_ioas_id, &dst);
	if (rc) {
		pieces_put(pieces, n);
		return rc;
	}
	rc = iopt_map_pieces(&dst->iopt, pieces, n, cmd->length, &iova, prot_from_flags(cmd->flags),
			     alloc_flags(cmd->flags));
	if (rc) {
		pieces_put(pieces, n);
	} else {
		free(pieces);
		cmd->dst_iova = iova;
		rc = ucmd_respond(ucmd, sizeof(*cmd));
	}
	ioas_put(ucmd->ctx, dst);
	return rc;
}
