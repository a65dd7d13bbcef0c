/* SPDX-License-Identifier: MIT */
/*
 * Nested domains of the mock.  Nothing is translated: a few words stand for what
 * an IOTLB would have cached, and an invalidation zeroes them.
 */
#include "base/alloc.h"
#include "models/mock/mock.h"

/* Each entry is done before the next is read: what was done stays done. */
static int mock_invalidate_one(struct mock_nested *nested,
			       const struct iommu_user_data_array *array, u32 index)
{
	struct iommu_hwpt_invalidate_selftest inv;
	int rc;

	rc = iommu_copy_struct_from_user_array(&inv, array, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
					       index, iotlb_id);
	if (rc)
		return rc;
	if (inv.flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (inv.iotlb_id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	for (u32 i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		if ((inv.flags & IOMMU_TEST_INVALIDATE_FLAG_ALL) || i == inv.iotlb_id)
			atomic_store_explicit(&nested->iotlb[i], 0, memory_order_relaxed);
	return 0;
}

static int mock_nested_invalidate(struct iommu_domain *domain, struct iommu_user_data_array *array)
{
	u32 done = 0;
	int rc = 0;

	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_SELFTEST)
		rc = -EINVAL;
	while (!rc && done < array->entry_num) {
		rc = mock_invalidate_one(to_mock_nested(domain), array, done);
		if (!rc)
			done++;
	}
	array->entry_num = done;
	return rc;
}

static void mock_nested_free(struct iommu_domain *domain)
{
	free(to_mock_nested(domain));
}

const struct iommu_domain_ops mock_nested_ops = {
	.attach_dev = mock_domain_attach_dev,
	.set_dev_pasid = mock_domain_set_dev_pasid,
	.cache_invalidate_user = mock_nested_invalidate,
	.free = mock_nested_free,
};

struct iommu_domain *mock_nested_alloc(struct mock_viommu *viommu, u32 flags,
				       const struct iommu_user_data *user_data)
{
	struct iommu_hwpt_selftest data;
	struct mock_nested *nested;
	int rc;

	if ((flags & ~IOMMU_HWPT_ALLOC_PASID) || user_data->type != IOMMU_HWPT_DATA_SELFTEST)
		return ERR_PTR(-EOPNOTSUPP);
	rc = iommu_copy_struct_from_user(&data, user_data, IOMMU_HWPT_DATA_SELFTEST, iotlb);
	if (rc)
		return ERR_PTR(rc);
	nested = zalloc(sizeof(*nested));
	if (!nested)
		return ERR_PTR(-ENOMEM);
	nested->domain.type = IOMMU_DOMAIN_NESTED;
	nested->domain.ops = &mock_nested_ops;
	nested->viommu = viommu;
	for (u32 i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		atomic_init(&nested->iotlb[i], data.iotlb);
	return &nested->domain;
}

struct iommu_domain *mock_domain_alloc_nested(struct device *dev, struct iommu_domain *parent,
					      u32 flags, const struct iommu_user_data *user_data)
{
	return mock_nested_alloc(NULL, flags, user_data);
}
