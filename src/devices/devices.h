/* SPDX-License-Identifier: MIT */
/*
 * The device models there are.  Each is a folder with one struct device_model;
 * models.c lists them and nothing else knows a model by name.
 */
#ifndef DEVICES_DEVICES_H
#define DEVICES_DEVICES_H

#include "pci/pci.h"

/** struct device_option - a key and its value, as the machine file or the command line gave it */
struct device_option {
	const char *key;
	const char *value;
};

/**
 * struct device_model - a kind of device
 * @name: in the machine file; @line: one line about it; @keys: NULL-terminated option keys it
 *	knows, each "key=what it is"
 * @access: the mode it is best served in
 * @emulated: it does no DMA but reaches memory through an access (pdev->memory): behind no IOMMU
 * @create: make one, not yet on a bus: sets desc and ops; @error gets a line naming the
 *	offending word.  Return: 0, -EINVAL a bad option, -ENOMEM, or why something could not be
 *	opened.  Until pci_dev_add() has worked ops->destroy() takes it away again.
 */
struct device_model {
	const char *name;
	const char *line;
	const char *const *keys;
	enum pci_access access;
	bool emulated;
	int (*create)(struct iommufd_system *system, const struct device_option *options,
		      size_t num_options, struct pci_dev **ret_pdev, char *error,
		      size_t error_size);
};

extern const struct device_model nvme_model;
extern const struct device_model dsa_model;
extern const struct device_model mover_model;

/** device_models - all, NULL-terminated */
extern const struct device_model *const device_models[];

/** device_option() - the value of @key, or NULL */
const char *device_option(const struct device_option *options, size_t num, const char *key);
/** device_option_size() - "64M", "4096", "1G"; 0 or -EINVAL with a line in @error */
int device_option_size(const struct device_option *options, size_t num, const char *key,
		       u64 *ret_value, char *error, size_t error_size);

#endif
