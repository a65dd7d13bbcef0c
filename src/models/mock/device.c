/* SPDX-License-Identifier: MIT */
/*
 * Mock devices and what their IOMMU says about them.  Each is alone in its
 * group and blocked until it is attached to something.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "models/mock/mock.h"

static bool mock_capable(struct device *dev, enum iommu_cap cap)
{
	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return true;
	case IOMMU_CAP_DIRTY_TRACKING:
		return !(to_mock_dev(dev)->flags & MOCK_FLAGS_DEVICE_NO_DIRTY);
	default:
		return false;
	}
}

static void *mock_hw_info(struct device *dev, u32 *length, enum iommu_hw_info_type *type)
{
	struct iommu_test_hw_info *info;

	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT &&
	    (u32)*type != IOMMU_HW_INFO_TYPE_SELFTEST)
		return ERR_PTR(-EOPNOTSUPP);
	info = zalloc(sizeof(*info));
	if (!info)
		return ERR_PTR(-ENOMEM);
	info->test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL;
	*length = sizeof(*info);
	*type = (enum iommu_hw_info_type)IOMMU_HW_INFO_TYPE_SELFTEST;
	return info;
}

static struct iommu_device *mock_probe_device(struct device *dev)
{
	return &to_mock_dev(dev)->mock->iommu_dev;
}

/* ---- entering domains ---- */

/* Remember who the device is to the guest whose tables it uses from now on. */
static int mock_set_viommu(struct mock_dev *mdev, struct iommu_domain *domain)
{
	struct mock_viommu *viommu = NULL;
	unsigned long virt_id = 0;
	int rc;

	if (domain->type == IOMMU_DOMAIN_NESTED)
		viommu = to_mock_nested(domain)->viommu;
	if (viommu) {
		rc = iommufd_viommu_get_vdev_id(&viommu->core, &mdev->dev, &virt_id);
		if (rc)
			return rc;
	}
	write_lock(&mdev->viommu_lock);
	/* Going from table to table of one guest it keeps its name, whatever it is called by now. */
	if (mdev->viommu != viommu)
		mdev->virt_id = virt_id;
	mdev->viommu = viommu;
	write_unlock(&mdev->viommu_lock);
	return 0;
}

int mock_domain_attach_dev(struct iommu_domain *domain, struct device *dev,
			   struct iommu_domain *old)
{
	struct mock_dev *mdev = to_mock_dev(dev);
	int rc;

	/* A device that can not mark entries would leave its writes untracked. */
	if (domain->dirty_ops && (mdev->flags & MOCK_FLAGS_DEVICE_NO_DIRTY))
		return -EINVAL;
	rc = mock_set_viommu(mdev, domain);
	return rc ? rc : mock_faults_move(mdev, domain, old);
}

/*
 * One PASID fails every second time it is attached without a detach between,
 * so that a test can see a replace fail in the driver.
 */
int mock_domain_set_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			      struct iommu_domain *old)
{
	struct mock_dev *mdev = to_mock_dev(dev);
	bool fails = false;

	if (pasid == IOMMU_TEST_PASID_RESERVED) {
		fails = domain->type != IOMMU_DOMAIN_BLOCKED && mdev->pasid_1024_fails;
		mdev->pasid_1024_fails = domain->type != IOMMU_DOMAIN_BLOCKED && !fails;
	}
	return fails ? -ENOMEM : mock_faults_move(mdev, domain, old);
}

static const struct iommu_domain_ops mock_blocked_ops = {
	.attach_dev = mock_domain_attach_dev,
	.set_dev_pasid = mock_domain_set_dev_pasid,
};

/* Never written: one blocked domain serves all devices of all systems. */
static struct iommu_domain mock_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &mock_blocked_ops,
	.owner = &mock_iommu_ops,
};

const struct iommu_ops mock_iommu_ops = {
	.capable = mock_capable,
	.hw_info = mock_hw_info,
	.domain_alloc_paging_flags = mock_domain_alloc_paging_flags,
	.domain_alloc_nested = mock_domain_alloc_nested,
	.get_viommu_size = mock_get_viommu_size,
	.viommu_init = mock_viommu_init,
	.probe_device = mock_probe_device,
	.device_group = generic_device_group,
	.page_response = mock_page_response,
	.default_domain = &mock_blocked_domain,
	.blocked_domain = &mock_blocked_domain,
	.default_domain_ops = &mock_domain_ops,
	.user_pasid_table = true,
};

/* ---- coming and going ---- */

int mock_dev_create(struct mock_iommu *mock, u32 flags, struct mock_dev **ret_mdev)
{
	struct mock_dev *mdev;
	unsigned int i;
	int rc;

	if (flags & ~(MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID))
		return -EINVAL;
	mdev = zalloc(sizeof(*mdev));
	if (!mdev)
		return -ENOMEM;
	mdev->mock = mock;
	mdev->flags = flags;
	for (i = 0; i < MOCK_DEV_CACHE_NUM; i++)
		atomic_init(&mdev->cache[i], IOMMU_TEST_DEV_CACHE_DEFAULT);
	rwlock_init(&mdev->viommu_lock);
	snprintf(mdev->name, sizeof(mdev->name), "iommufd_mock%u",
		 atomic_fetch_add(&mock->next_dev, 1));
	mdev->dev = (struct device){
		.name = mdev->name,
		.ops = &mock_iommu_ops,
		/* A width of 0 bits still is one PASID: number 0. */
		.pasid_limit = flags & MOCK_FLAGS_DEVICE_PASID ? 1U << MOCK_PASID_WIDTH : 1,
		.msi_isolated = true,
		.selftest = true,
	};
	rc = iommu_probe_device(&mdev->dev);
	if (rc) {
		rwlock_destroy(&mdev->viommu_lock);
		free(mdev);
		return rc;
	}
	*ret_mdev = mdev;
	return 0;
}

void mock_dev_destroy(struct mock_dev *mdev)
{
	iommu_release_device(&mdev->dev);
	rwlock_destroy(&mdev->viommu_lock);
	free(mdev);
}

static void mock_iommu_destroy(struct iommufd_system *system)
{
	struct mock_iommu *mock = system->mock;

	iopf_queue_free(mock->iopf_queue);
	free(mock);
	system->mock = NULL;
	system->test_cmd = NULL;
}

int iommufd_mock_init(struct iommufd_system *system)
{
	struct mock_iommu *mock;

	mock = zalloc(sizeof(*mock));
	if (!mock)
		return -ENOMEM;
	mock->iopf_queue = iopf_queue_alloc("mock");
	if (!mock->iopf_queue) {
		free(mock);
		return -ENOMEM;
	}
	mock->system = system;
	mock->iommu_dev = (struct iommu_device){
		.name = "iommufd_selftest_iommu.0",
		.ops = &mock_iommu_ops,
		.max_pasids = 1U << MOCK_PASID_WIDTH,
	};
	system->mock = mock;
	system->mock_destroy = mock_iommu_destroy;
	system->test_cmd = mock_test_cmd;
	return 0;
}
