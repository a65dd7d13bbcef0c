/* SPDX-License-Identifier: MIT */
/*
 * The ioas object and its commands.  Each handler checks flags and reserved
 * fields, then arithmetic, then looks ids up, then acts: the order programs
 * can observe.
 */
#include "ioas/ioas.h"

#include <stdio.h>

#include <iommufd/uapi/iommufd.h>

#include "base/alloc.h"
#include "core/ucmd.h"
#include "ioas/area.h"

int ioas_alloc(struct iommufd_ctx *ctx, struct iommufd_ioas **ret_ioas)
{
	struct iommufd_ioas *ioas;
	int rc = object_alloc_typed(ctx, ioas, IOMMUFD_OBJ_IOAS);

	if (rc)
		return rc;
	iopt_init(&ioas->iopt, ctx->system);
	ioas->ctx = ctx;
	mutex_init(&ioas->mutex);
	CDS_INIT_LIST_HEAD(&ioas->hwpt_list);
	*ret_ioas = ioas;
	return 0;
}

int ioas_get(struct iommufd_ctx *ctx, u32 id, struct iommufd_ioas **ret_ioas)
{
	struct iommufd_object *obj;
	int rc = object_get(ctx, id, IOMMUFD_OBJ_IOAS, &obj);

	if (!rc)
		*ret_ioas = container_of(obj, struct iommufd_ioas, obj);
	return rc;
}

void ioas_put(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas)
{
	object_put(ctx, &ioas->obj);
}

void ioas_destroy(struct iommufd_object *obj)
{
	struct iommufd_ioas *ioas = container_of(obj, struct iommufd_ioas, obj);

	mutex_lock(&ioas->ctx->objects_lock);
	if (ioas->ctx->vfio_ioas == ioas)
		ioas->ctx->vfio_ioas = NULL;
	mutex_unlock(&ioas->ctx->objects_lock);
	iopt_destroy(&ioas->iopt);
	mutex_destroy(&ioas->mutex);
}

int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_alloc *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->flags)
		return -EOPNOTSUPP;
	rc = ioas_alloc(ucmd->ctx, &ioas);
	if (rc)
		return rc;
	ucmd->new_obj = &ioas->obj;
	cmd->out_ioas_id = ioas->obj.id;
	return ucmd_respond(ucmd, sizeof(*cmd));
}

/* ---- IOVA_RANGES, ALLOW_IOVAS ---- */

int iopt_list_usable(struct io_pagetable *iopt, u32 capacity, struct iova_range **ret_ranges,
		     u32 *ret_total, u64 *ret_alignment)
{
	struct iova_range *ranges;
	u64 first = 0, last;
	u32 total = 0;

	read_lock(&iopt->iova_rwsem);
	while (iopt_next_usable(iopt, &first, &last)) {
		total++;
		if (last == UINT64_MAX)
			break;
		first = last + 1;
	}
	ranges = zalloc_array(MIN(total, capacity) + 1, sizeof(*ranges));
	first = 0;
	for (u32 i = 0; ranges && i < MIN(total, capacity); i++, first = last + 1) {
		iopt_next_usable(iopt, &first, &last);
		ranges[i] = (struct iova_range){ .first = first, .last = last };
	}
	*ret_alignment = iopt->iova_alignment;
	read_unlock(&iopt->iova_rwsem);
	if (!ranges)
		return -ENOMEM;
	*ret_ranges = ranges;
	*ret_total = total;
	return 0;
}

static_assert(sizeof(struct iova_range) == sizeof(struct iommu_iova_range), "copied as they are");

int iommufd_ioas_iova_ranges_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_iova_ranges *cmd = ucmd->cmd;
	struct iova_range *ranges;
	struct iommufd_ioas *ioas;
	u32 capacity = cmd->num_iovas, filled;
	u64 alignment;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	rc = ioas_get(ucmd->ctx, cmd->ioas_id, &ioas);
	if (rc)
		return rc;
	rc = iopt_list_usable(&ioas->iopt, capacity, &ranges, &cmd->num_iovas, &alignment);
	ioas_put(ucmd->ctx, ioas);
	if (rc)
		return rc;
	cmd->out_iova_alignment = alignment;
	filled = MIN(capacity, cmd->num_iovas);
	if (filled)
		rc = copy_to_user(cmd->allowed_iovas, ranges, filled * sizeof(*ranges));
	free(ranges);
	if (!rc)
		rc = ucmd_respond(ucmd, sizeof(*cmd));
	if (!rc && cmd->num_iovas > capacity)
		rc = -EMSGSIZE;
	return rc;
}

static int allowed_load(struct rangemap *allowed, u64 uptr, u32 n)
{
	static char marker; /* the map wants a value; ranges carry none */
	struct iommu_iova_range range;
	int rc;

	for (; n; n--, uptr += sizeof(range)) {
		rc = copy_from_user(&range, uptr, sizeof(range));
		if (rc)
			return rc;
		if (range.start >= range.last)
			return -EINVAL;
		rc = rangemap_insert(allowed, range.start, range.last, &marker);
		if (rc)
			return rc == -EEXIST ? -EINVAL : rc;
	}
	return 0;
}

static int iopt_set_allowed(struct io_pagetable *iopt, struct rangemap *allowed)
{
	struct rangemap_entry e;
	struct rangemap old;
	int rc = 0;

	write_lock(&iopt->iova_rwsem);
	rangemap_for_each_in(allowed, e, 0, UINT64_MAX)
		if (itree_first(&iopt->reserved, e.first, e.last))
			rc = -EADDRINUSE;
	if (!rc) {
		old = iopt->allowed;
		iopt->allowed = *allowed;
		*allowed = old;
	}
	write_unlock(&iopt->iova_rwsem);
	return rc;
}

int iommufd_ioas_allow_iovas_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_allow_iovas *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	struct rangemap allowed;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	rc = ioas_get(ucmd->ctx, cmd->ioas_id, &ioas);
	if (rc)
		return rc;
	rangemap_init(&allowed);
	rc = allowed_load(&allowed, cmd->allowed_iovas, cmd->num_iovas);
	if (!rc)
		rc = iopt_set_allowed(&ioas->iopt, &allowed);
	rangemap_clear(&allowed);
	ioas_put(ucmd->ctx, ioas);
	return rc;
}

/* ---- UNMAP ---- */

int iommufd_ioas_unmap_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_unmap *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	u64 unmapped = 0, last;
	int rc;

	rc = ioas_get(ucmd->ctx, cmd->ioas_id, &ioas);
	if (rc)
		return rc;
	if (cmd->iova == 0 && cmd->length == UINT64_MAX) {
		rc = iopt_unmap_all(&ioas->iopt, &unmapped);
	} else if (cmd->iova == UINT64_MAX || cmd->length == UINT64_MAX) {
		rc = -EOVERFLOW;
	} else {
		rc = range_last(cmd->iova, cmd->length, &last);
		if (!rc)
			rc = iopt_unmap_iova(&ioas->iopt, cmd->iova, last, &unmapped);
		if (!rc && !unmapped)
			rc = -ENOENT;
	}
	if (!rc) {
		cmd->length = unmapped;
		rc = ucmd_respond(ucmd, sizeof(*cmd));
	}
	ioas_put(ucmd->ctx, ioas);
	return rc;
}

/* ---- OPTION HUGE_PAGES ---- */

int iommufd_ioas_option_huge_pages(struct iommufd_ioas *ioas, void *cmd_)
{
	struct iommu_option *cmd = cmd_;

	if (cmd->op == IOMMU_OPTION_OP_GET) {
		read_lock(&ioas->iopt.iova_rwsem);
		cmd->val64 = !ioas->iopt.disable_large_pages;
		read_unlock(&ioas->iopt.iova_rwsem);
		return 0;
	}
	if (cmd->op != IOMMU_OPTION_OP_SET)
		return -EOPNOTSUPP;
	if (cmd->val64 == 0)
		return iopt_disable_large_pages(&ioas->iopt);
	if (cmd->val64 == 1)
		return iopt_enable_large_pages(&ioas->iopt);
	return -EINVAL;
}
