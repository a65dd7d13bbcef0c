/* SPDX-License-Identifier: MIT */
/*
 * `uiommufd control`: one command to a machine's control socket; `uiommufd device`: those
 * about devices, in words.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/control.h"
#include "tool.h"

static void print_json(struct json_object *obj)
{
	puts(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY |
							 JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* Send it, print what comes back; an exit status.  Takes @arguments over. */
static int request_print(const char *noun, const struct tool_target *target, const char *command,
			 struct json_object *arguments, bool quiet)
{
	struct control_client client;
	struct json_object *ret;
	int rc = tool_connect(noun, target, &client);

	if (rc) {
		json_object_put(arguments);
		return rc;
	}
	rc = control_request(&client, command, arguments, &ret);
	if (!rc && (!quiet || json_object_object_length(ret)))
		print_json(ret);
	if (rc == -EREMOTEIO)
		tool_fail(noun, command, json_object_get_string(ret));
	else if (rc)
		tool_fail(noun, command, strerror(-rc));
	if (!rc || rc == -EREMOTEIO)
		json_object_put(ret);
	control_disconnect(&client);
	return rc ? EXIT_FAILED : 0;
}

/* "key=value" into @arguments; the value is a number if it looks like one. */
static int argument_add(const char *noun, struct json_object *arguments, const char *word)
{
	const char *equals = strchr(word, '=');
	char key[64];

	if (!equals || equals == word || equals - word >= (long)sizeof(key))
		return tool_usage(noun, word, "not of the form key=value");
	snprintf(key, sizeof(key), "%.*s", (int)(equals - word), word);
	json_object_object_add(arguments, key, json_object_new_string(equals + 1));
	return 0;
}

/* Options and then @ret_first, the first word that is none; 0 or an exit status. */
static int options_read(const char *noun, struct tool_target *target, int argc, char **argv,
			int *ret_first)
{
	int i, rc;

	for (i = 1; i < argc && *argv[i] == '-'; i++) {
		rc = tool_target_option(noun, target, argv, &i);
		if (rc == EXIT_USAGE)
			return rc;
		if (!rc)
			return tool_usage(noun, argv[i], "unknown option");
	}
	*ret_first = i;
	return 0;
}

/* An object and nothing behind it; NULL: that is not what @text is. */
static struct json_object *arguments_parse(const char *text)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *arguments = NULL;

	if (!tok)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	arguments = json_tokener_parse_ex(tok, text, (int)strlen(text));
	json_tokener_free(tok);
	return arguments;
}

static int control_main(int argc, char **argv)
{
	struct tool_target target = {0};
	struct json_object *arguments;
	int i = 1, rc = options_read("control", &target, argc, argv, &i);
	const char *command;

	if (rc)
		return rc;
	if (i >= argc)
		return tool_usage("control", "COMMAND", "is missing (uiommufd control help)");
	command = argv[i++];
	if (i + 1 == argc && *argv[i] == '{') {
		arguments = arguments_parse(argv[i]);
		if (!arguments)
			return tool_usage("control", argv[i], "not JSON");
		return request_print("control", &target, command, arguments, false);
	}
	arguments = json_object_new_object();
	for (; !rc && i < argc; i++)
		rc = argument_add("control", arguments, argv[i]);
	if (!rc)
		return request_print("control", &target, command, arguments, false);
	json_object_put(arguments);
	return rc;
}

/* ---- devices ---- */

static void add_word(struct json_object *arguments, const char *key, const char *value)
{
	json_object_object_add(arguments, key, json_object_new_string(value));
}

/* MODEL,key=value,...; a comma in a value is written twice. */
static int add_spec(struct json_object *arguments, const char *spec)
{
	const char *key = "model";
	char part[4200];
	size_t len = 0;
	int rc = 0;

	for (bool end = false; !end && !rc; spec++) {
		if (*spec && (*spec != ',' || spec[1] == ',')) {
			spec += *spec == ',';
			if (len + 1 >= sizeof(part))
				return tool_usage("device", key, "too long");
			part[len++] = *spec;
			continue;
		}
		end = !*spec;
		part[len] = 0;
		len = 0;
		if (key && !strchr(part, '='))
			add_word(arguments, key, part);
		else
			rc = argument_add("device", arguments, part);
		key = NULL;
	}
	return rc;
}

static int device_words(struct json_object *arguments, const char *verb, int argc, char **argv)
{
	if (!strcmp(verb, "add"))
		return argc == 1 ? add_spec(arguments, argv[0])
				 : tool_usage("device", "add", "wants MODEL,KEY=VALUE...");
	if (!argc)
		return tool_usage("device", verb, "which DEVICE? (uiommufd show devices)");
	add_word(arguments, "device", argv[0]);
	if (!strcmp(verb, "inject")) {
		if (argc != 2 && argc != 3)
			return tool_usage("device", "inject", "wants DEVICE WHAT [ARGUMENT]");
		add_word(arguments, "what", argv[1]);
		if (argc == 3)
			add_word(arguments, "argument", argv[2]);
		return 0;
	}
	return argc == 1 ? 0 : tool_usage("device", argv[1], "one word too many");
}

static const struct {
	const char *verb, *command;
} verbs[] = {
	{"add", "device-add"},
	{"remove", "device-remove"},
	{"reset", "device-reset"},
	{"inject", "inject"},
};

static int device_main(int argc, char **argv)
{
	struct tool_target target = {0};
	const char *command = NULL;
	struct json_object *arguments;
	int i = 1, rc = options_read("device", &target, argc, argv, &i);

	if (rc)
		return rc;
	if (i >= argc)
		return tool_usage("device", "VERB", "is missing (uiommufd device help)");
	for (size_t v = 0; v < sizeof(verbs) / sizeof(verbs[0]); v++)
		if (!strcmp(argv[i], verbs[v].verb))
			command = verbs[v].command;
	if (!command)
		return tool_usage("device", argv[i], "no such verb: add, remove, reset, inject");
	arguments = json_object_new_object();
	rc = device_words(arguments, argv[i], argc - i - 1, argv + i + 1);
	if (!rc)
		return request_print("device", &target, command, arguments, true);
	json_object_put(arguments);
	return rc;
}

#define TARGET_HELP "  TARGET := { --pid PID | --socket PATH }; not needed while one machine runs\n"

const struct tool_noun noun_control = {
	.name = "control",
	.line = "one command to a machine's control socket",
	.main = control_main,
	.help = "Usage: uiommufd control [TARGET] COMMAND [KEY=VALUE... | JSON]\n"
		"\n" TARGET_HELP "\n"
		"COMMAND is one of `uiommufd control query-commands`.\n"
		"\n"
		"Example: uiommufd control dma-read device=nvme0 iova=0x1000 length=64\n",
};

const struct tool_noun noun_device = {
	.name = "device",
	.line = "add, remove or disturb a device of a running machine",
	.main = device_main,
	.help = "Usage: uiommufd device [TARGET] add MODEL,KEY=VALUE...\n"
		"       uiommufd device [TARGET] { remove | reset } DEVICE\n"
		"       uiommufd device [TARGET] inject DEVICE WHAT [ARGUMENT]\n"
		"\n" TARGET_HELP "  DEVICE := its id or address (uiommufd show devices)\n"
		"\n"
		"Example: uiommufd device add nvme,id=disk1,size=16M\n",
};
