/* SPDX-License-Identifier: MIT */
/*
 * The options a model is made with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/devices.h"

const char *device_option(const struct device_option *options, size_t num, const char *key)
{
	for (size_t i = 0; i < num; i++)
		if (!strcmp(options[i].key, key))
			return options[i].value;
	return NULL;
}

static int size_shift(const char *unit)
{
	static const char units[] = "KMGT";
	const char *at;

	if (!*unit)
		return 0;
	at = strchr(units, *unit);
	return at && !unit[1] ? 10 * (int)(at - units + 1) : -1;
}

int device_option_size(const struct device_option *options, size_t num, const char *key,
		       u64 *ret_value, char *error, size_t error_size)
{
	const char *text = device_option(options, num, key);
	unsigned long long value;
	char *end;
	int shift;

	if (!text)
		return 0;
	errno = 0;
	value = strtoull(text, &end, 0);
	shift = size_shift(end);
	if (*text < '0' || *text > '9' || errno || shift < 0 || value << shift >> shift != value) {
		snprintf(error, error_size, "%s=%s: a size is wanted, such as 4096, 64M or 1G", key,
			 text);
		return -EINVAL;
	}
	*ret_value = value << shift;
	return 0;
}
