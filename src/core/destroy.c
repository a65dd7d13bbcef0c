/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_DESTROY: a user's try to end an object, whatever its type.
 */
#include <iommufd/uapi/iommufd.h>

#include "core/ucmd.h"

int iommufd_destroy_ioctl(struct iommufd_ucmd *ucmd)
{
	const struct iommu_destroy *cmd = ucmd->cmd;
	int rc;

	rc = object_remove(ucmd->ctx, NULL, cmd->id, 0);
	if (rc != -EBUSY || !ucmd->ctx->file.host_settle)
		return rc;
	/* Perhaps only a mapping held it that the program has ended in the meantime. */
	file_settle(&ucmd->ctx->file);
	return object_remove(ucmd->ctx, NULL, cmd->id, 0);
}
