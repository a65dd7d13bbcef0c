/* SPDX-License-Identifier: MIT */
/*
 * The generic IOMMU in a system, and devices to put behind it.
 */
#include <assert.h>
#include <string.h>

#include "models/generic/generic.h"

#include "base/alloc.h"

/** struct plain_device - a device that is nothing but its name */
struct plain_device {
	struct device dev;
	char name[];
};

static void generic_iommu_destroy(struct system_model *model)
{
	struct generic_iommu *iommu = container_of(model, struct generic_iommu, model);

	assert(cds_list_empty(&iommu->devs));
	iopf_queue_free(iommu->iopf_queue);
	mutex_destroy(&iommu->lock);
	free(iommu);
}

static struct generic_iommu *generic_find(struct iommufd_system *system)
{
	struct system_model *model = system_model_find(system, generic_iommu_destroy);

	return model ? container_of(model, struct generic_iommu, model) : NULL;
}

int iommufd_generic_init(struct iommufd_system *system)
{
	struct generic_iommu *iommu;

	if (generic_find(system))
		return -EEXIST;
	iommu = zalloc(sizeof(*iommu));
	if (!iommu)
		return -ENOMEM;
	iommu->iopf_queue = iopf_queue_alloc("generic");
	if (!iommu->iopf_queue) {
		free(iommu);
		return -ENOMEM;
	}
	iommu->system = system;
	iommu->iommu_dev = (struct iommu_device){
		.name = "generic",
		.ops = &generic_iommu_ops,
		.max_pasids = 1U << GENERIC_PASID_LG2,
	};
	mutex_init(&iommu->lock);
	CDS_INIT_LIST_HEAD(&iommu->devs);
	iommu->model.destroy = generic_iommu_destroy;
	system_model_add(system, &iommu->model);
	return 0;
}

int iommufd_generic_probe(struct iommufd_system *system, struct device *dev)
{
	struct generic_iommu *iommu = generic_find(system);
	int rc;

	if (!iommu)
		return -ENODEV;
	dev->ops = &generic_iommu_ops;
	dev->iommu_dev = &iommu->iommu_dev;
	rc = iommu_probe_device(dev);
	if (rc)
		dev->iommu_dev = NULL;
	return rc;
}

int iommufd_generic_device_create(struct iommufd_system *system, const char *name,
				  struct device **ret_dev)
{
	size_t size = strlen(name) + 1;
	struct plain_device *plain;
	int rc;

	plain = zalloc(sizeof(*plain) + size);
	if (!plain)
		return -ENOMEM;
	memcpy(plain->name, name, size);
	plain->dev.name = plain->name;
	plain->dev.pasid_limit = 1U << GENERIC_PASID_LG2;
	plain->dev.msi_isolated = true;
	rc = iommufd_generic_probe(system, &plain->dev);
	if (rc) {
		free(plain);
		return rc;
	}
	*ret_dev = &plain->dev;
	return 0;
}

void iommufd_generic_device_destroy(struct device *dev)
{
	if (!dev)
		return;
	iommu_release_device(dev);
	free(container_of(dev, struct plain_device, dev));
}
