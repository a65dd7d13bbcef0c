/* SPDX-License-Identifier: MIT */
/*
 * Short words for making JSON.  Want of memory shows as null in the result and
 * nowhere else.  Addresses are strings, "0x1000": readers that keep numbers in doubles
 * would lose their low bits.
 */
#ifndef CONTROL_JSON_H
#define CONTROL_JSON_H

#include <json-c/json.h>
#include <stdio.h>

#include "base/types.h"

static inline void json_add(struct json_object *obj, const char *key, struct json_object *value)
{
	json_object_object_add(obj, key, value);
}

static inline void json_add_u64(struct json_object *obj, const char *key, u64 value)
{
	json_add(obj, key, json_object_new_uint64(value));
}

static inline void json_add_hex(struct json_object *obj, const char *key, u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
	json_add(obj, key, json_object_new_string(text));
}

static inline void json_add_string(struct json_object *obj, const char *key, const char *value)
{
	json_add(obj, key, value ? json_object_new_string(value) : NULL);
}

static inline void json_add_bool(struct json_object *obj, const char *key, bool value)
{
	json_add(obj, key, json_object_new_boolean(value));
}

static inline void json_append(struct json_object *array, struct json_object *value)
{
	json_object_array_add(array, value);
}

#endif
