/* SPDX-License-Identifier: MIT */
/*
 * Lines of the control socket, in a world with a few objects: each gets one reply
 * that is a return or an error.
 */
#include <string.h>

#include "base/fault.h"
#include "control/control.h"
#include "target.h"

static void line_run(const struct control_target *target, const char *line, size_t len)
{
	struct json_object *reply = control_execute(target, line, len), *value;

	if (!reply || json_object_object_get_ex(reply, "return", &value) ==
			      json_object_object_get_ex(reply, "error", &value))
		target_fail("neither a return nor an error");
	json_object_put(reply);
}

void target_input(struct caller *caller)
{
	const struct control_target target = {
		.system = caller->world->system,
		.version = "0",
	};
	struct choice lines = caller->choice;

	/* All of the input is lines: the objects are the same each time. */
	caller->choice = (struct choice){.bytes = (const u8 *)""};
	scene_make(caller);
	while (lines.left) {
		const char *line = (const char *)lines.bytes;
		const char *newline = memchr(line, '\n', lines.left);
		size_t len = newline ? (size_t)(newline - line) : lines.left;

		line_run(&target, line, len);
		len += !!newline;
		lines.bytes += len;
		lines.left -= len;
	}
	fault_named_set("", 0, 0);
}
