/* SPDX-License-Identifier: MIT */
/*
 * Test operations on what guests invalidate, and on events to them.
 */
#include "core/ucmd.h"
#include "device/device.h"
#include "hwpt/hwpt.h"
#include "models/mock/mock.h"

static bool nested_has_word(struct iommu_domain *domain, u32 id, u32 word)
{
	if (domain->ops != &mock_nested_ops || id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return false;
	return atomic_load_explicit(&to_mock_nested(domain)->iotlb[id], memory_order_relaxed) ==
	       word;
}

int mock_op_check_iotlb(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct iommufd_object *obj;
	bool same;
	int rc;

	rc = object_get(ucmd->ctx, cmd->id, IOMMUFD_OBJ_HWPT_NESTED, &obj);
	if (rc)
		return rc;
	same = nested_has_word(container_of(obj, struct iommufd_hw_pagetable, obj)->domain,
			       cmd->check_iotlb.id, cmd->check_iotlb.iotlb);
	object_put(ucmd->ctx, obj);
	return same ? 0 : -EINVAL;
}

/* A bound device of ours; object_put() it. */
static int mock_idev_get(struct iommufd_ctx *ctx, u32 id, struct iommufd_device **ret_idev)
{
	struct iommufd_device *idev;
	int rc;

	rc = device_get(ctx, id, &idev);
	if (rc)
		return rc;
	if (idev->dev->ops != &mock_iommu_ops) {
		object_put(ctx, &idev->obj);
		return -EINVAL;
	}
	*ret_idev = idev;
	return 0;
}

int mock_op_dev_check_cache(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	u32 id = cmd->check_dev_cache.id;
	struct iommufd_device *idev;
	int rc;

	rc = mock_idev_get(ucmd->ctx, cmd->id, &idev);
	if (rc)
		return rc;
	if (id > MOCK_DEV_CACHE_ID_MAX ||
	    atomic_load_explicit(&to_mock_dev(idev->dev)->cache[id], memory_order_relaxed) !=
		    cmd->check_dev_cache.cache)
		rc = -EINVAL;
	object_put(ucmd->ctx, &idev->obj);
	return rc;
}

/* As the device would when it meets an error; the lock keeps its vIOMMU from going. */
static int mock_report_vevent(struct mock_dev *mdev)
{
	struct iommu_viommu_event_selftest event = { 0 };
	int rc = -ENOENT;

	read_lock(&mdev->viommu_lock);
	if (mdev->viommu && mdev->virt_id) {
		event.virt_id = (u32)mdev->virt_id;
		rc = iommufd_viommu_report_event(&mdev->viommu->core,
						 (enum iommu_veventq_type)
							 IOMMU_VEVENTQ_TYPE_SELFTEST,
						 &event, sizeof(event));
	}
	read_unlock(&mdev->viommu_lock);
	return rc;
}

int mock_op_trigger_vevent(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct iommufd_device *idev;
	int rc;

	rc = mock_idev_get(ucmd->ctx, cmd->trigger_vevent.dev_id, &idev);
	if (rc)
		return rc;
	rc = mock_report_vevent(to_mock_dev(idev->dev));
	object_put(ucmd->ctx, &idev->obj);
	return rc;
}
