/* SPDX-License-Identifier: MIT */
/*
 * Commands of the control socket: a row each, checked before their function runs.
 */
#ifndef CONTROL_COMMAND_H
#define CONTROL_COMMAND_H

#include "control/control.h"

enum control_arg_type { ARG_END, ARG_STRING, ARG_NUMBER };

/** struct control_arg - @optional: may be missing */
struct control_arg {
	const char *name;
	enum control_arg_type type;
	bool optional;
};

/**
 * struct control_call - one command being run
 * @args: an object, checked against the row; may be NULL
 * @ret: the function's result, an object or array; missing: {}
 * @class, @desc: of the error
 */
struct control_call {
	const struct control_target *target;
	struct json_object *args;
	struct json_object *ret;
	const char *class;
	char desc[MACHINE_ERROR_MAX];
};

/**
 * struct control_command
 * @run: 0, or -1 after control_fail()
 * @args: ends with ARG_END; NULL: none
 * @free_args: any other keys are the function's to judge
 */
struct control_command {
	const char *name;
	const char *line;
	int (*run)(struct control_call *call);
	const struct control_arg *args;
	bool free_args;
};

/* The tables, each ending with a row without a name. */
extern const struct control_command control_query_commands[];
extern const struct control_command control_device_commands[];
extern const struct control_command control_fault_commands[];
extern const struct control_command *const control_tables[];

/** control_fail() - set the error; -1 */
int control_fail(struct control_call *call, const char *class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** control_fail_errno() - the same for -errno of what was tried */
int control_fail_errno(struct control_call *call, int rc, const char *what);

/* ---- arguments; they are of the right type or missing ---- */

/** control_arg_string() - NULL if missing */
const char *control_arg_string(const struct control_call *call, const char *name);
/** control_arg_number() - a number, or a string as "0x1000"; @otherwise if missing */
u64 control_arg_number(const struct control_call *call, const char *name, u64 otherwise);

/**
 * control_arg_bytes() - an even number of hex digits
 * @buf: gets at most @size bytes
 * Return: how many, or -1 after control_fail().
 */
ssize_t control_arg_bytes(struct control_call *call, const char *name, void *buf, size_t size);
/** control_hex() - the reverse */
struct json_object *control_hex(const void *data, size_t len);

#endif
