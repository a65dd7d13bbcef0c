/* SPDX-License-Identifier: MIT */
/*
 * The IOMMU models a machine can be described with: one table, as devices/ has
 * one of devices.
 */
#ifndef MACHINE_IOMMU_MODEL_H
#define MACHINE_IOMMU_MODEL_H

#include "devices/devices.h"

/**
 * struct iommu_model - a kind of IOMMU; a system has at most one of each
 * @name: in the machine file; @line: one line about it
 * @keys: NULL-terminated option keys it knows, each "key=what it is"
 * @create: give @system one, nothing of it being open; @error gets a line naming the offending
 *word.  It ends with the system.  Return: 0, -EINVAL a bad option, -EEXIST, -ENOMEM.
 * @probe: as pci_dev_add() takes it
 */
struct iommu_model {
	const char *name;
	const char *line;
	const char *const *keys;
	int (*create)(struct iommufd_system *system, const struct device_option *options,
		      size_t num_options, char *error, size_t error_size);
	int (*probe)(struct iommufd_system *system, struct device *dev);
};

/** iommu_models - all, NULL-terminated; the first is the one devices get that ask for none */
extern const struct iommu_model *const iommu_models[];

#endif
