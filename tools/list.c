/* SPDX-License-Identifier: MIT */
/* `uiommufd list`: machines that run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
#include "tool.h"

static struct json_object *hello_of(const char *path)
{
	struct json_object *hello = NULL;
	struct control_client client;

	if (control_connect(&client, path))
		return NULL;
	if (json_object_object_get_ex(client.greeting, "uiommufd", &hello)) {
		json_object_get(hello);
		json_object_object_add(hello, "socket", json_object_new_string(path));
	}
	control_disconnect(&client);
	return hello;
}

static const char *text_of(struct json_object *obj, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, key, &value) ? json_object_get_string(value) : "-";
}

static void print_row(struct json_object *hello)
{
	struct json_object *program;

	printf("%-8s %-8s", text_of(hello, "pid"), text_of(hello, "version"));
	if (json_object_object_get_ex(hello, "program", &program) &&
	    json_object_is_type(program, json_type_array))
		for (size_t i = 0; i < json_object_array_length(program); i++)
			printf(" %s",
			       json_object_get_string(json_object_array_get_idx(program, i)));
	putchar('\n');
}

static int list_main(int argc, char **argv)
{
	bool json = argc == 2 && !strcmp(argv[1], "--json");
	struct json_object *all = json_object_new_array();
	char **paths;
	size_t n;

	if (argc > 1 && !json)
		return tool_usage("list", argv[1], "unknown option");
	n = tool_machines(&paths);
	for (size_t i = 0; i < n; i++) {
		struct json_object *hello = hello_of(paths[i]);

		if (hello)
			json_object_array_add(all, hello);
		free(paths[i]);
	}
	free(paths);
	n = json_object_array_length(all);
	if (json)
		puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
								 JSON_C_TO_STRING_NOSLASHESCAPE));
	else if (n)
		printf("%-8s %-8s %s\n", "PID", "VERSION", "PROGRAM");
	for (size_t i = 0; !json && i < n; i++)
		print_row(json_object_array_get_idx(all, i));
	json_object_put(all);
	return 0;
}

const struct tool_noun noun_list = {
	.name = "list",
	.line = "machines that run",
	.main = list_main,
	.help = "Usage: uiommufd list [--json]\n"
		"\n"
		"Each `uiommufd run` of yours: its process id, version and program.\n"
		"\n"
		"Example: uiommufd list\n",
};
