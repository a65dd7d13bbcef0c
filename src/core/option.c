/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_OPTION: switches of the context (here) and of single objects (their
 * rooms).  It answers with val64 alone, for SET as for GET.
 */
#include <iommufd/uapi/iommufd.h>
#include <linux/capability.h>

#include "core/ucmd.h"

static int rlimit_mode_set(struct iommufd_ctx *ctx, u64 value)
{
	int rc = 0;

	if (!capable(CAP_SYS_RESOURCE))
		return -EPERM;
	mutex_lock(&ctx->objects_lock);
	/* Even an id reserved or buried counts: what it charged was charged the old way. */
	if (!idtable_empty(&ctx->objects))
		rc = -EBUSY;
	else if (value > 1)
		rc = -EINVAL;
	else
		ctx->account_mode = value ? MEM_ACCOUNT_MM : MEM_ACCOUNT_USER;
	mutex_unlock(&ctx->objects_lock);
	return rc;
}

int iommufd_option_rlimit_mode(struct iommufd_ctx *ctx, void *cmd)
{
	struct iommu_option *option = cmd;

	if (option->object_id)
		return -EOPNOTSUPP;
	switch (option->op) {
	case IOMMU_OPTION_OP_GET:
		mutex_lock(&ctx->objects_lock);
		option->val64 = ctx->account_mode == MEM_ACCOUNT_MM;
		mutex_unlock(&ctx->objects_lock);
		return 0;
	case IOMMU_OPTION_OP_SET:
		return rlimit_mode_set(ctx, option->val64);
	default:
		return -EOPNOTSUPP;
	}
}

static int option_huge_pages(struct iommufd_ctx *ctx, struct iommu_option *option)
{
	struct iommufd_object *obj;
	int rc;

	rc = object_get(ctx, option->object_id, IOMMUFD_OBJ_IOAS, &obj);
	if (rc)
		return rc;
	/* obj is the first member of an ioas, whose inside this room does not know */
	rc = iommufd_ioas_option_huge_pages((struct iommufd_ioas *)obj, option);
	object_put(ctx, obj);
	return rc;
}

int iommufd_option_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_option *option = ucmd->cmd;
	int rc;

	if (option->__reserved)
		return -EOPNOTSUPP;
	switch (option->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		rc = iommufd_option_rlimit_mode(ucmd->ctx, option);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		rc = option_huge_pages(ucmd->ctx, option);
		break;
	default:
		rc = -EOPNOTSUPP;
	}
	if (rc)
		return rc;
	return copy_to_user(ucmd->ubuffer + offsetof(struct iommu_option, val64), &option->val64,
			    sizeof(option->val64));
}
