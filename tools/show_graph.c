/* SPDX-License-Identifier: MIT */
/*
 * Objects and their relations, as a tree of lines and as a graph.  The tree has
 * each object once, below what it cannot be without; what else it refers to is said
 * on its line.
 */
#include "show.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 8

const struct show_relation show_relations[] = {
	{"ioas", "ioas"},
	{"parent", "parent"},
	{"viommu", "viommu"},
	{"device", "device"},
	{"fault", "faults"},
	{"access", "access"},
	{0},
};

static struct json_object *objects_of(struct json_object *context)
{
	return show_array(context, "objects");
}

static struct json_object *object_at(struct json_object *context, size_t i)
{
	return json_object_array_get_idx(objects_of(context), i);
}

static size_t objects_count(struct json_object *context)
{
	return objects_of(context) ? json_object_array_length(objects_of(context)) : 0;
}

/* What the object is attached to without a PASID, else by the first one; 0: nothing */
static uint64_t attached_hwpt(struct json_object *obj)
{
	struct json_object *attached = show_array(obj, "attached");

	if (!attached || !json_object_array_length(attached))
		return 0;
	return show_number(json_object_array_get_idx(attached, 0), "hwpt");
}

/* The object it is shown below, by id; 0: at the root. */
static uint64_t parent_of(struct json_object *obj)
{
	static const char *const keys[] = {"viommu", "parent", "ioas"};
	uint64_t id = attached_hwpt(obj);

	for (size_t i = 0; !id && i < sizeof(keys) / sizeof(keys[0]); i++)
		id = show_number(obj, keys[i]);
	return id;
}

/* ---- a line ---- */

static size_t add_note(char *buf, size_t size, size_t len, const char *fmt, const char *value)
{
	if (len < size)
		len += (size_t)snprintf(buf + len, size - len, fmt, value);
	return len;
}

void show_line(struct json_object *obj, char *buf, size_t size)
{
	static const struct {
		const char *key, *fmt;
		bool flag;
	} notes[] = {
		{"name", " %s", false},
		{"bytes", " %s bytes", false},
		{"areas", " in %s areas", false},
		{"automatic", " automatic", true},
		{"nest-parent", " nest-parent", true},
		{"dirty-tracking", " dirty-tracking", true},
		{"tracks", ", on", true},
		{"internal", " internal", true},
		{"virt-id", " virt-id %s", false},
		{"depth", " depth %s", false},
		{"unread", " %s unread", false},
		{"base", " base %s", false},
		{"length", " length %s", false},
	};
	size_t len =
		(size_t)snprintf(buf, size, "%s %s", show_text(obj, "type"), show_text(obj, "id"));

	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		const char *value = show_text(obj, notes[i].key);

		if (*value && (!notes[i].flag || !strcmp(value, "yes")))
			len = add_note(buf, size, len, notes[i].fmt, value);
	}
	if (show_number(obj, "users") > 1)
		add_note(buf, size, len, " [%s users]", show_text(obj, "users"));
}

/* Relations that the place in the tree does not show. */
static void print_relations(struct json_object *obj)
{
	struct json_object *attached = show_array(obj, "attached");

	for (const struct show_relation *relation = show_relations; relation->key; relation++)
		if (show_number(obj, relation->key) &&
		    show_number(obj, relation->key) != parent_of(obj))
			printf(" -> %s %s", relation->label, show_text(obj, relation->key));
	for (size_t i = 0; attached && i < json_object_array_length(attached); i++) {
		struct json_object *at = json_object_array_get_idx(attached, i);

		if (*show_text(at, "pasid"))
			printf(" -> pasid %s hwpt %s", show_text(at, "pasid"),
			       show_text(at, "hwpt"));
	}
	putchar('\n');
}

/* ---- the tree ---- */

static bool has_object(struct json_object *context, uint64_t id)
{
	for (size_t i = 0; i < objects_count(context); i++)
		if (show_number(object_at(context, i), "id") == id)
			return true;
	return false;
}

/* Objects below @parent (0: the roots); what refers to something gone meanwhile is a root. */
static void print_below(struct json_object *context, uint64_t parent, int depth)
{
	char line[512];

	for (size_t i = 0; depth < DEPTH_MAX && i < objects_count(context); i++) {
		struct json_object *obj = object_at(context, i);
		uint64_t above = parent_of(obj);

		if (above && !has_object(context, above))
			above = 0;
		if (above != parent)
			continue;
		show_line(obj, line, sizeof(line));
		printf("%*s%s", 2 * depth, "", line);
		print_relations(obj);
		print_below(context, show_number(obj, "id"), depth + 1);
	}
}

void show_objects(struct json_object *reply)
{
	for (size_t i = 0; i < json_object_array_length(reply); i++) {
		struct json_object *context = json_object_array_get_idx(reply, i);

		printf("context %s %s of %s (pid %s)\n", show_text(context, "context"),
		       show_text(context, "node"), show_text(context, "comm"),
		       show_text(context, "pid"));
		print_below(context, 0, 1);
	}
}

/* ---- the graph ---- */

static void dot_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void dot_edge(const char *context, const char *from, const char *to, const char *label)
{
	printf("    c%so%s -> c%so%s [label=", context, from, context, to);
	dot_quoted(label);
	printf("];\n");
}

static void dot_edges(const char *context, struct json_object *obj)
{
	struct json_object *attached = show_array(obj, "attached");
	const char *id = show_text(obj, "id");
	char label[32];

	for (const struct show_relation *relation = show_relations; relation->key; relation++)
		if (show_number(obj, relation->key))
			dot_edge(context, id, show_text(obj, relation->key), relation->label);
	for (size_t i = 0; attached && i < json_object_array_length(attached); i++) {
		struct json_object *at = json_object_array_get_idx(attached, i);
		const char *pasid = show_text(at, "pasid");

		snprintf(label, sizeof(label), *pasid ? "pasid %s" : "attached", pasid);
		dot_edge(context, id, show_text(at, "hwpt"), label);
	}
}

static void dot_context(struct json_object *context)
{
	const char *number = show_text(context, "context");
	char line[512];

	printf("  subgraph cluster_%s {\n    label=", number);
	snprintf(line, sizeof(line), "context %s: %s (pid %s)", number, show_text(context, "comm"),
		 show_text(context, "pid"));
	dot_quoted(line);
	printf(";\n");
	for (size_t i = 0; i < objects_count(context); i++) {
		struct json_object *obj = object_at(context, i);

		show_line(obj, line, sizeof(line));
		printf("    c%so%s [label=", number, show_text(obj, "id"));
		dot_quoted(line);
		printf("];\n");
	}
	for (size_t i = 0; i < objects_count(context); i++)
		dot_edges(number, object_at(context, i));
	printf("  }\n");
}

void show_dot(struct json_object *reply)
{
	printf("digraph uiommufd {\n  rankdir=BT;\n  node [shape=box];\n");
	for (size_t i = 0; i < json_object_array_length(reply); i++)
		dot_context(json_object_array_get_idx(reply, i));
	printf("}\n");
}
