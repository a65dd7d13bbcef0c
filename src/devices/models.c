/* SPDX-License-Identifier: MIT */
#include "devices/devices.h"

const struct device_model *const device_models[] = {
	&dsa_model,
	&mover_model,
	&nvme_model,
	NULL,
};
