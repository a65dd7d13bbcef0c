/* SPDX-License-Identifier: MIT */
/*
 * Page requests of mock devices.  Answers go to whoever asked through
 * iommufd_dma_page_request(); those of the test command's are taken and forgotten, since what
 * its tests look at is the program's end.
 */
#include <iommufd/dma.h>

#include "core/ucmd.h"
#include "device/device.h"
#include "models/mock/mock.h"

static int faults_enable(struct mock_dev *mdev)
{
	int rc;

	if (!mdev->fault_domains) {
		rc = iopf_queue_add_device(mdev->mock->iopf_queue, &mdev->dev);
		if (rc)
			return rc;
	}
	mdev->fault_domains++;
	return 0;
}

static void faults_disable(struct mock_dev *mdev)
{
	assert(mdev->fault_domains);
	if (!--mdev->fault_domains)
		iopf_queue_remove_device(mdev->mock->iopf_queue, &mdev->dev);
}

int mock_faults_move(struct mock_dev *mdev, struct iommu_domain *to, struct iommu_domain *from)
{
	int rc;

	if (to->iopf_handler) {
		rc = faults_enable(mdev);
		if (rc)
			return rc;
	}
	if (from && from->iopf_handler)
		faults_disable(mdev);
	return 0;
}

void mock_page_response(struct device *dev, struct iopf_fault *fault,
			struct iommu_page_response *response)
{
	iommufd_dma_page_response(dev, response);
}

/* The test learns from the queue, not from the result, whether anybody took it. */
int mock_op_trigger_iopf(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	u32 pasid = cmd->trigger_iopf.pasid;
	struct iopf_fault evt = {
		.fault = {
			.type = IOMMU_FAULT_PAGE_REQ,
			.prm = {
				.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE,
				.pasid = pasid,
				.grpid = cmd->trigger_iopf.grpid,
				.perm = cmd->trigger_iopf.perm,
				.addr = cmd->trigger_iopf.addr,
			},
		},
	};
	struct iommufd_device *idev;
	int rc;

	if (pasid != IOMMU_NO_PASID)
		evt.fault.prm.flags |= IOMMU_FAULT_PAGE_REQUEST_PASID_VALID;
	/*
	 * Held, the device can not be unbound; that it may move meanwhile is the core's to sort
	 * out.
	 */
	rc = device_get(ucmd->ctx, cmd->trigger_iopf.dev_id, &idev);
	if (rc)
		return rc;
	if (idev->dev->ops == &mock_iommu_ops)
		iommu_report_device_fault(idev->dev, &evt);
	else
		rc = -EINVAL;
	object_put(ucmd->ctx, &idev->obj);
	return rc;
}
