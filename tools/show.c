/* SPDX-License-Identifier: MIT */
/* `uiommufd show`: a look at a running machine. */
#include "show.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/control.h"
#include "tool.h"

/** struct show_what - @table: takes --context, --id, --from, --limit */
static const struct show_what {
	const char *word;
	const char *command;
	void (*print)(struct json_object *reply);
	bool context, table;
} whats[] = {
	{"objects", "query-objects", show_objects, true, false},
	{"contexts", "query-contexts", show_contexts, false, false},
	{"ioas", "query-ioas", show_ioas, true, true},
	{"pt", "query-page-table", show_page_tables, true, true},
	{"dirty", "query-dirty", show_dirty, true, true},
	{"devices", "query-devices", show_devices, false, false},
	{"counters", "query-counters", show_counters, false, false},
	{"machine", "query-machine", show_machine, false, false},
};

struct show {
	struct tool_target target;
	const struct show_what *what;
	bool json, dot;
	struct json_object *arguments;
};

static const struct show_what *what_find(const char *word)
{
	for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++)
		if (!strcmp(whats[i].word, word))
			return &whats[i];
	return NULL;
}

/* --context and its like: words of the request.  1 taken, 0 another option, or EXIT_USAGE */
static int argument_option(struct show *show, char **argv, int *i)
{
	static const char *const names[] = {"--context", "--id", "--from", "--limit"};
	const char *word = argv[*i], *value;
	bool missing;

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		value = tool_option(argv, i, names[n], &missing);
		if (missing)
			return tool_usage("show", word, "its value is missing");
		if (!value)
			continue;
		json_object_object_add(show->arguments, names[n] + 2,
				       json_object_new_string(value));
		return 1;
	}
	return 0;
}

static int show_word(struct show *show, char **argv, int *i)
{
	const char *word = argv[*i];
	int rc;

	if (!strcmp(word, "--json")) {
		show->json = true;
		return 0;
	}
	if (!strcmp(word, "--dot")) {
		show->dot = true;
		return 0;
	}
	rc = tool_target_option("show", &show->target, argv, i);
	if (!rc)
		rc = argument_option(show, argv, i);
	if (rc)
		return rc == 1 ? 0 : rc;
	if (*word == '-')
		return tool_usage("show", word, "unknown option");
	if (show->what)
		return tool_usage("show", word, "one word too many");
	show->what = what_find(word);
	return show->what ? 0
			  : tool_usage("show", word,
				       "not one of objects, contexts, ioas, pt, dirty, devices, "
				       "counters, machine");
}

static int show_check(const struct show *show)
{
	if (show->dot && show->what->print != show_objects)
		return tool_usage("show", "--dot", "is for objects only");
	if (show->dot && show->json)
		return tool_usage("show", "--dot", "not with --json");
	json_object_object_foreach(show->arguments, key, value)
	{
		(void)value;
		if (!show->what->context || (!show->what->table && strcmp(key, "context")))
			return tool_usage("show", key, "means nothing here");
	}
	return 0;
}

static void show_print(const struct show *show, struct json_object *reply)
{
	if (show->json)
		puts(json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PRETTY |
								   JSON_C_TO_STRING_NOSLASHESCAPE));
	else if (show->dot)
		show_dot(reply);
	else
		show->what->print(reply);
}

static int show_run(struct show *show)
{
	struct control_client client;
	struct json_object *reply = NULL;
	int rc = tool_connect("show", &show->target, &client);

	if (rc)
		return rc;
	rc = control_request(&client, show->what->command, json_object_get(show->arguments),
			     &reply);
	control_disconnect(&client);
	if (!rc)
		show_print(show, reply);
	else
		tool_fail("show", show->what->word,
			  rc == -EREMOTEIO ? json_object_get_string(reply) : strerror(-rc));
	json_object_put(reply);
	return rc ? EXIT_FAILED : 0;
}

static int show_main(int argc, char **argv)
{
	struct show show = {.arguments = json_object_new_object()};
	int rc = 0;

	for (int i = 1; !rc && i < argc; i++)
		rc = show_word(&show, argv, &i);
	if (!show.what)
		show.what = &whats[0];
	if (!rc)
		rc = show_check(&show);
	if (!rc)
		rc = show_run(&show);
	json_object_put(show.arguments);
	return rc;
}

const struct tool_noun noun_show = {
	.name = "show",
	.line = "look at a running machine",
	.main = show_main,
	.help = "Usage: uiommufd show [WHAT] [OPTIONS]\n"
		"\n"
		"  WHAT := { objects | contexts | ioas | pt | dirty | devices | counters | machine "
		"}\n"
		"  OPTIONS := { --pid PID | --socket PATH | --json | --dot | --context N\n"
		"             | --id N | --from IOVA | --limit ROWS }\n"
		"\n"
		"  objects   what programs have made, as a tree (default); --dot: for graphviz\n"
		"  contexts  who has /dev/iommu or /dev/vfio/vfio open\n"
		"  ioas      what is mapped where, reserved and allowed iova\n"
		"  pt        entries of page tables behind it\n"
		"  dirty     dirty bytes, without clearing their marks\n"
		"  devices   functions, their groups, interrupts, IOTLB, and who uses them\n"
		"  counters  sums\n"
		"  machine   the machine as a machine file\n"
		"\n"
		"  --context, --id  only this context, this object\n"
		"  --from, --limit  of long tables the part from this iova on\n"
		"\n"
		"Example: uiommufd show --dot | dot -Tsvg >objects.svg\n",
};
