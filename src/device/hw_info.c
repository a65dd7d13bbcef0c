/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_GET_HW_INFO: what the IOMMU says about itself in its own struct, and
 * what every IOMMU can be asked about a device.
 */
#include <stdlib.h>
#include <iommufd/uapi/iommufd.h>

#include "core/ucmd.h"
#include "device/device.h"

static const u8 zeros[1024];

static int clear_user(u64 uaddr, u64 len)
{
	while (len) {
		size_t n = MIN(len, sizeof(zeros));
		int rc = copy_to_user(uaddr, zeros, n);

		if (rc)
			return rc;
		uaddr += n;
		len -= n;
	}
	return 0;
}

/* Without the driver's hook there is nothing to tell, and that is not an error. */
static int driver_info(struct device *dev, u32 *type, u32 *length, void **ret_data)
{
	enum iommu_hw_info_type info_type = (enum iommu_hw_info_type)*type;
	void *data = NULL;

	*length = 0;
	if (!dev->ops->hw_info) {
		*type = IOMMU_HW_INFO_TYPE_NONE;
		*ret_data = NULL;
		return 0;
	}
	data = dev->ops->hw_info(dev, length, &info_type);
	if (IS_ERR(data))
		return PTR_ERR(data);
	if (info_type == IOMMU_HW_INFO_TYPE_NONE) {
		free(data);
		return -EOPNOTSUPP;
	}
	*type = info_type;
	*ret_data = data;
	return 0;
}

static u64 device_caps(struct device *dev)
{
	u64 caps = 0;

	if (device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING))
		caps |= IOMMU_HW_CAP_DIRTY_TRACKING;
	if (dev->pasid_exec)
		caps |= IOMMU_HW_CAP_PCI_PASID_EXEC;
	if (dev->pasid_priv)
		caps |= IOMMU_HW_CAP_PCI_PASID_PRIV;
	if (!device_iommu_capable(dev, IOMMU_CAP_PCI_ATS_SUPPORTED))
		caps |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	return caps;
}

static u8 pasid_log2(u32 max_pasids)
{
	return max_pasids ? 31 - __builtin_clz(max_pasids) : 0;
}

static int hw_info_answer(struct iommufd_ucmd *ucmd, struct iommufd_device *idev)
{
	struct iommu_hw_info *cmd = ucmd->cmd;
	u32 type = cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE ? cmd->in_data_type :
								IOMMU_HW_INFO_TYPE_DEFAULT;
	u32 length, copied;
	void *data = NULL;
	int rc;

	rc = driver_info(idev->dev, &type, &length, &data);
	if (rc)
		return rc;
	copied = MIN(cmd->data_len, length);
	if (copied)
		rc = copy_to_user(cmd->data_uptr, data, copied);
	free(data);
	if (!rc && cmd->data_len > copied)
		rc = clear_user(cmd->data_uptr + copied, cmd->data_len - copied);
	if (rc)
		return rc;
	cmd->data_len = length;
	cmd->out_data_type = type;
	cmd->out_max_pasid_log2 = pasid_log2(idev->dev->max_pasids);
	cmd->out_capabilities = device_caps(idev->dev);
	return ucmd_respond(ucmd, sizeof(*cmd));
}

int iommufd_get_hw_info_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_info *cmd = ucmd->cmd;
	struct iommufd_device *idev;
	int rc;

	if ((cmd->flags & ~IOMMU_HW_INFO_FLAG_INPUT_TYPE) || cmd->__reserved[0] ||
	    cmd->__reserved[1] || cmd->__reserved[2])
		return -EOPNOTSUPP;
	rc = device_get(ucmd->ctx, cmd->dev_id, &idev);
	if (rc)
		return rc;
	rc = hw_info_answer(ucmd, idev);
	object_put(ucmd->ctx, &idev->obj);
	return rc;
}
