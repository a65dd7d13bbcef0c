/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_HWPT_INVALIDATE: a guest has changed tables of its own, or asks its vIOMMU
 * to forget something.  The entries are the driver's to read and understand.
 *
 * The program learns on every path how many entries were done, so the struct is
 * written back also where the command fails.
 */
#include <iommufd/uapi/iommufd.h>
#include <iommufd/viommu.h>

#include "core/ucmd.h"
#include "hwpt/hwpt.h"

#define INVALIDATE_ENTRIES_MAX (1U << 19)

static int invalidate_check(const struct iommu_hwpt_invalidate *cmd)
{
	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (!cmd->entry_num)
		return 0; /* a question about the type: nothing else counts */
	if (!cmd->data_uptr || !cmd->entry_len)
		return -EINVAL;
	if (cmd->entry_len > PAGE_SIZE || cmd->entry_num > INVALIDATE_ENTRIES_MAX)
		return -EINVAL;
	return 0;
}

static int invalidate_hwpt(struct iommufd_object *obj, struct iommu_user_data_array *array)
{
	struct iommu_domain *domain = container_of(obj, struct iommufd_hw_pagetable, obj)->domain;

	if (!domain->ops->cache_invalidate_user) {
		array->entry_num = 0;
		return -EOPNOTSUPP;
	}
	return domain->ops->cache_invalidate_user(domain, array);
}

static int invalidate_viommu(struct iommufd_object *obj, struct iommu_user_data_array *array)
{
	struct iommufd_viommu *viommu = container_of(obj, struct iommufd_viommu, obj);

	if (!viommu->ops->cache_invalidate) {
		array->entry_num = 0;
		return -EOPNOTSUPP;
	}
	return viommu->ops->cache_invalidate(viommu, array);
}

/* array->entry_num becomes the number of entries done. */
static int invalidate_object(struct iommufd_object *obj, struct iommu_user_data_array *array)
{
	switch (obj->type) {
	case IOMMUFD_OBJ_HWPT_NESTED:
		return invalidate_hwpt(obj, array);
	case IOMMUFD_OBJ_VIOMMU:
		return invalidate_viommu(obj, array);
	default:
		array->entry_num = 0;
		return -EINVAL;
	}
}

static int invalidate(struct iommufd_ctx *ctx, const struct iommu_hwpt_invalidate *cmd,
		      u32 *ret_done)
{
	struct iommu_user_data_array array = {
		.type = cmd->data_type,
		.uptr = cmd->data_uptr,
		.entry_len = cmd->entry_len,
		.entry_num = cmd->entry_num,
	};
	struct iommufd_object *obj;
	int rc;

	rc = invalidate_check(cmd);
	if (rc)
		return rc;
	rc = object_get(ctx, cmd->hwpt_id, IOMMUFD_OBJ_ANY, &obj);
	if (rc)
		return rc;
	rc = invalidate_object(obj, &array);
	object_put(ctx, obj);
	/* A driver that forgets to count must not claim more than it was given. */
	*ret_done = MIN(array.entry_num, cmd->entry_num);
	return rc;
}

int iommufd_hwpt_invalidate_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_invalidate *cmd = ucmd->cmd;
	u32 done = 0;
	int rc;

	rc = invalidate(ucmd->ctx, cmd, &done);
	cmd->entry_num = done;
	if (ucmd_respond(ucmd, sizeof(*cmd)))
		return -EFAULT;
	return rc;
}
