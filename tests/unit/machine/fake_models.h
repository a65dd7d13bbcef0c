/* SPDX-License-Identifier: MIT */
/* Two device models that only have to be named. */
#ifndef TESTS_FAKE_MODELS_H
#define TESTS_FAKE_MODELS_H

#include "machine/desc.h"

static const char *const fake_disk_keys[] = {"image=file", "size=bytes", NULL};
static const char *const fake_engine_keys[] = {"groups=how many", NULL};

static const struct device_model fake_disk = {
	.name = "nvme",
	.line = "a disk",
	.keys = fake_disk_keys,
	.access = PCI_ACCESS_POLL,
};
static const struct device_model fake_engine = {
	.name = "dsa",
	.line = "an engine",
	.keys = fake_engine_keys,
	.access = PCI_ACCESS_TRAP,
};
static const struct device_model *const fake_models[] = {&fake_disk, &fake_engine, NULL};

#endif
