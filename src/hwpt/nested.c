/* SPDX-License-Identifier: MIT */
/*
 * Nested hwpts: a guest's own page tables in front of a nesting parent's.  The
 * guest owns the tables and says when it has changed them; nothing here looks
 * into them.
 *
 * One is made on the parent directly, or on a vIOMMU that has the parent: then it
 * is the vIOMMU's driver that makes the domain, and the vIOMMU that is held.
 */
#include "hwpt/hwpt.h"

#include <iommufd/uapi/iommufd.h>
#include <iommufd/viommu.h>

#include "device/device.h"

#define HWPT_NESTED_FLAGS (IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)

void hwpt_nested_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_nested *hwpt =
		to_hwpt_nested(container_of(obj, struct iommufd_hw_pagetable, obj));

	hwpt_fini(&hwpt->common);
	if (hwpt->viommu)
		object_release(&hwpt->viommu->obj);
	else
		object_release(&hwpt->parent->common.obj);
}

static int nested_alloc(struct iommufd_ctx *ctx, struct iommufd_hwpt_paging *parent,
			struct iommufd_viommu *viommu, u32 flags,
			struct iommufd_hwpt_nested **ret_hwpt)
{
	struct iommufd_object *obj;
	int rc;

	rc = object_alloc(ctx, sizeof(struct iommufd_hwpt_nested), IOMMUFD_OBJ_HWPT_NESTED, &obj);
	if (rc)
		return rc;
	*ret_hwpt = to_hwpt_nested(container_of(obj, struct iommufd_hw_pagetable, obj));
	(*ret_hwpt)->common.pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	(*ret_hwpt)->parent = parent;
	(*ret_hwpt)->viommu = viommu;
	object_hold(viommu ? &viommu->obj : &parent->common.obj); /* hwpt_nested_destroy() */
	return 0;
}

/* Take over what the driver has made, unless it is no nested domain. */
static int nested_set_domain(struct iommufd_ctx *ctx, struct iommufd_hwpt_nested *hwpt,
			     const struct device *dev, struct iommu_domain *domain)
{
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	if (!domain)
		return -ENOMEM;
	domain->owner = dev->ops;
	domain->parent = hwpt->parent->common.domain;
	domain->hwpt = &hwpt->common;
	hwpt->common.domain = domain;
	if (domain->type == IOMMU_DOMAIN_NESTED)
		return 0;
	system_log(ctx->system, IOMMUFD_LOG_ERROR,
		   "%s: its driver made a nested domain that is none", dev->name);
	return -EOPNOTSUPP;
}

int hwpt_nested_alloc(struct iommufd_ctx *ctx, struct iommufd_hwpt_paging *parent,
		      struct iommufd_device *idev, u32 flags,
		      const struct iommu_user_data *user_data,
		      struct iommufd_hwpt_nested **ret_hwpt)
{
	const struct iommu_ops *ops = idev->dev->ops;
	struct iommufd_hwpt_nested *hwpt;
	int rc;

	if ((flags & ~HWPT_NESTED_FLAGS) || !user_data || !ops->domain_alloc_nested)
		return -EOPNOTSUPP;
	if (parent->auto_domain || !parent->nest_parent || parent->common.domain->owner != ops)
		return -EINVAL;
	rc = nested_alloc(ctx, parent, NULL, flags, &hwpt);
	if (rc)
		return rc;
	rc = nested_set_domain(ctx, hwpt, idev->dev,
			       ops->domain_alloc_nested(idev->dev, parent->common.domain,
							flags & ~IOMMU_HWPT_FAULT_ID_VALID,
							user_data));
	if (rc)
		object_abort_and_destroy(ctx, &hwpt->common.obj);
	else
		*ret_hwpt = hwpt;
	return rc;
}

int hwpt_nested_alloc_viommu(struct iommufd_ctx *ctx, struct iommufd_viommu *viommu,
			     struct iommufd_device *idev, u32 flags,
			     const struct iommu_user_data *user_data,
			     struct iommufd_hwpt_nested **ret_hwpt)
{
	struct iommufd_hwpt_nested *hwpt;
	int rc;

	if (idev->dev->iommu_dev != viommu->iommu_dev)
		return -EINVAL;
	if ((flags & ~HWPT_NESTED_FLAGS) || !user_data || !viommu->ops->alloc_domain_nested)
		return -EOPNOTSUPP;
	rc = nested_alloc(ctx, viommu->hwpt, viommu, flags, &hwpt);
	if (rc)
		return rc;
	rc = nested_set_domain(ctx, hwpt, idev->dev,
			       viommu->ops->alloc_domain_nested(viommu,
							flags & ~IOMMU_HWPT_FAULT_ID_VALID,
							user_data));
	if (rc)
		object_abort_and_destroy(ctx, &hwpt->common.obj);
	else
		*ret_hwpt = hwpt;
	return rc;
}
