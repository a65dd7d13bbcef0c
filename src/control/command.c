/* SPDX-License-Identifier: MIT */
/*
 * From a line to a reply: parse, find the row, check the arguments, run.
 */
#include "control/command.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/json.h"

const struct control_command *const control_tables[] = {
	control_query_commands,
	control_device_commands,
	control_fault_commands,
	NULL,
};

int control_fail(struct control_call *call, const char *class, const char *fmt, ...)
{
	va_list args;

	call->class = class;
	va_start(args, fmt);
	vsnprintf(call->desc, sizeof(call->desc), fmt, args);
	va_end(args);
	return -1;
}

int control_fail_errno(struct control_call *call, int rc, const char *what)
{
	return control_fail(call, "GenericError", "%s: %s", what, strerror(-rc));
}

/* ---- arguments ---- */

static struct json_object *arg_get(const struct control_call *call, const char *name)
{
	struct json_object *value = NULL;

	if (call->args)
		json_object_object_get_ex(call->args, name, &value);
	return value;
}

const char *control_arg_string(const struct control_call *call, const char *name)
{
	struct json_object *value = arg_get(call, name);

	return value ? json_object_get_string(value) : NULL;
}

static bool number_read(struct json_object *value, u64 *ret)
{
	const char *text;
	char *end;

	if (json_object_is_type(value, json_type_int)) {
		/* Negative ones come out as 0: look at the sign first. */
		if (json_object_get_int64(value) < 0)
			return false;
		*ret = json_object_get_uint64(value);
		return true;
	}
	text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 0);
	return !errno && !*end;
}

u64 control_arg_number(const struct control_call *call, const char *name, u64 otherwise)
{
	struct json_object *value = arg_get(call, name);
	u64 number = otherwise;

	if (value)
		number_read(value, &number);
	return number;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ssize_t control_arg_bytes(struct control_call *call, const char *name, void *buf, size_t size)
{
	const char *text = control_arg_string(call, name);
	size_t len = strlen(text);
	u8 *bytes = buf;

	if (!len || len % 2 || len / 2 > size)
		return control_fail(call, "BadArgument",
				    "%s: 1 to %zu bytes of two hex digits are wanted", name, size);
	for (size_t i = 0; i < len / 2; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return control_fail(call, "BadArgument", "%s: not hex digits", name);
		bytes[i] = (u8)(high << 4 | low);
	}
	return (ssize_t)(len / 2);
}

struct json_object *control_hex(const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	struct json_object *ret;
	const u8 *bytes = data;
	char *text = malloc(2 * len + 1);

	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret = json_object_new_string_len(text, (int)(2 * len));
	free(text);
	return ret;
}

static bool arg_fits(const struct control_arg *arg, struct json_object *value)
{
	u64 number;

	if (arg->type == ARG_NUMBER)
		return number_read(value, &number);
	return json_object_is_type(value, json_type_string) &&
	       strlen(json_object_get_string(value)) == (size_t)json_object_get_string_len(value);
}

static int args_check(struct control_call *call, const struct control_command *command)
{
	static const struct control_arg none[] = {{.type = ARG_END}};
	const struct control_arg *args = command->args ?: none, *arg;

	for (arg = args; arg->type != ARG_END; arg++) {
		struct json_object *value = arg_get(call, arg->name);

		if (!value && !arg->optional)
			return control_fail(call, "BadArgument", "%s: it is missing", arg->name);
		if (value && !arg_fits(arg, value))
			return control_fail(call, "BadArgument", "%s: a %s is wanted", arg->name,
					    arg->type == ARG_NUMBER ? "number" : "string");
	}
	if (!call->args || command->free_args)
		return 0;
	json_object_object_foreach(call->args, key, unused)
	{
		(void)unused;
		for (arg = args; arg->type != ARG_END && strcmp(arg->name, key); arg++)
			;
		if (arg->type == ARG_END)
			return control_fail(call, "BadArgument", "%.100s: unknown argument of %s",
					    key, command->name);
	}
	return 0;
}

/* ---- a line ---- */

static const struct control_command *command_find(const char *name)
{
	for (size_t t = 0; control_tables[t]; t++)
		for (const struct control_command *row = control_tables[t]; row->name; row++)
			if (!strcmp(row->name, name))
				return row;
	return NULL;
}

static int request_run(struct control_call *call, struct json_object *request)
{
	const struct control_command *command;
	struct json_object *name = NULL;

	json_object_object_foreach(request, key, value)
	{
		if (!strcmp(key, "execute"))
			name = value;
		else if (!strcmp(key, "arguments"))
			call->args = value;
		else if (strcmp(key, "id"))
			return control_fail(call, "BadRequest", "%.100s: unknown key", key);
	}
	if (!json_object_is_type(name, json_type_string))
		return control_fail(call, "BadRequest", "execute: a command's name is wanted");
	if (call->args && !json_object_is_type(call->args, json_type_object))
		return control_fail(call, "BadRequest", "arguments: an object is wanted");
	command = command_find(json_object_get_string(name));
	if (!command)
		return control_fail(call, "CommandNotFound",
				    "%.100s: no such command (query-commands)",
				    json_object_get_string(name));
	return args_check(call, command) ? -1 : command->run(call);
}

static struct json_object *request_parse(struct control_call *call, const char *line, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(CONTROL_DEPTH_MAX);
	struct json_object *request = NULL;

	if (!tok)
		return NULL;
	/* Strict: nothing behind the object either. */
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* A NUL ends nothing for us, but would for the parser. */
	if (len <= CONTROL_LINE_MAX && !memchr(line, 0, len)) {
		request = json_tokener_parse_ex(tok, line, (int)len);
		/* A number at the end could go on: say that it does not. */
		if (!request && json_tokener_get_error(tok) == json_tokener_continue)
			request = json_tokener_parse_ex(tok, "\n", 1);
	}
	if (memchr(line, 0, len))
		control_fail(call, "BadRequest", "not JSON: a byte that is 0");
	else if (!request && json_tokener_get_error(tok) != json_tokener_success)
		control_fail(call, "BadRequest", "not JSON: %s",
			     json_tokener_error_desc(json_tokener_get_error(tok)));
	else if (!json_object_is_type(request, json_type_object))
		control_fail(call, "BadRequest", "not an object");
	if (!json_object_is_type(request, json_type_object)) {
		json_object_put(request);
		request = NULL;
	}
	json_tokener_free(tok);
	return request;
}

struct json_object *control_execute(const struct control_target *target, const char *line,
				    size_t len)
{
	struct control_call call = {.target = target};
	struct json_object *reply = json_object_new_object(), *request, *id, *error;
	int rc = -1;

	if (!reply)
		return NULL;
	request = request_parse(&call, line, len);
	if (request)
		rc = request_run(&call, request);
	if (!rc) {
		json_add(reply, "return", call.ret ?: json_object_new_object());
	} else {
		json_object_put(call.ret);
		error = json_object_new_object();
		json_add_string(error, "class", call.class ?: "GenericError");
		json_add_string(error, "desc", call.desc);
		json_add(reply, "error", error);
	}
	if (request && json_object_object_get_ex(request, "id", &id))
		json_add(reply, "id", json_object_get(id));
	json_object_put(request);
	return reply;
}
