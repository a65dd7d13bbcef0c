/* SPDX-License-Identifier: MIT */
/* A rig with a control target, and short words to talk to it. */
#ifndef TESTS_TALK_H
#define TESTS_TALK_H

#include "../models/rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "control/control.h"

static char *const talk_program[] = {(char *)"./test", (char *)"of control", NULL};

static inline struct control_target talk_target(void)
{
	return (struct control_target){
		.system = rig.system,
		.pid = 17,
		.version = "1.2",
		.program = talk_program,
	};
}

/* The reply to a line; json_object_put() it. */
static inline struct json_object *talk(const char *line)
{
	const struct control_target target = talk_target();
	struct json_object *reply = control_execute(&target, line, strlen(line));

	assert_non_null(reply);
	return reply;
}

/* What @path, "a/b/0/c", leads to; NULL: nowhere. */
static inline struct json_object *talk_at(struct json_object *obj, const char *path)
{
	char word[64];

	while (obj && *path) {
		size_t len = strcspn(path, "/");

		snprintf(word, sizeof(word), "%.*s", (int)len, path);
		path += len + (path[len] == '/');
		if (json_object_is_type(obj, json_type_array))
			obj = json_object_array_get_idx(obj, strtoul(word, NULL, 10));
		else if (!json_object_object_get_ex(obj, word, &obj))
			return NULL;
	}
	return obj;
}

static inline const char *talk_text(struct json_object *obj, const char *path)
{
	struct json_object *value = talk_at(obj, path);

	return value ? json_object_get_string(value) : "(missing)";
}

static inline u64 talk_number(struct json_object *obj, const char *path)
{
	struct json_object *value = talk_at(obj, path);

	assert_non_null(value);
	return json_object_get_uint64(value);
}

#define expect_text(obj, path, text) assert_string_equal(talk_text(obj, path), text)
#define expect_number(obj, path, n)  assert_int_equal(talk_number(obj, path), n)

#endif
