/* SPDX-License-Identifier: MIT */
#include "machine/iommu_model.h"

#include <iommufd/generic.h>

static int generic_create(struct iommufd_system *system, const struct device_option *options,
			  size_t num_options, char *error, size_t error_size)
{
	return iommufd_generic_init(system);
}

static const char *const no_keys[] = {NULL};

static const struct iommu_model generic_model = {
	.name = "generic",
	.line = "no vendor's: AMDv1 tables, PASIDs, page requests, dirty tracking",
	.keys = no_keys,
	.create = generic_create,
	.probe = iommufd_generic_probe,
};

const struct iommu_model *const iommu_models[] = {&generic_model, NULL};
