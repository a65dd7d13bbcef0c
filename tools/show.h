/* SPDX-License-Identifier: MIT */
/* What `uiommufd show` makes of a reply: tables, a tree, a graph. */
#ifndef TOOLS_SHOW_H
#define TOOLS_SHOW_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/** show_text() - the value of @key as text, "" if there is none; the object's */
const char *show_text(struct json_object *obj, const char *key);
/** show_number() - likewise; 0 */
uint64_t show_number(struct json_object *obj, const char *key);
/** show_array() - its array of this name, or NULL; borrowed */
struct json_object *show_array(struct json_object *obj, const char *key);

/** struct show_column - @right: numbers */
struct show_column {
	const char *title;
	const char *key;
	bool right;
};

/** show_table() - a line per element of @rows, columns as wide as they need; ends with a NULL title
 */
void show_table(struct json_object *rows, const struct show_column *columns, const char *indent);

/* A reply each; @reply as the command of the same name gives it. */
void show_contexts(struct json_object *reply);
void show_ioas(struct json_object *reply);
void show_page_tables(struct json_object *reply);
void show_dirty(struct json_object *reply);
void show_devices(struct json_object *reply);
void show_counters(struct json_object *reply);
void show_machine(struct json_object *reply);

/** show_objects() - each context as a tree: address spaces, what is on them, what is behind that */
void show_objects(struct json_object *reply);
/** show_dot() - the same with all relations, for graphviz */
void show_dot(struct json_object *reply);

/**
 * show_line() - "hwpt 3 (automatic, 2 users)": one object in words, without its relations
 */
void show_line(struct json_object *obj, char *buf, size_t size);

/** struct show_relation - @key: of an object that refers to another one of its context */
struct show_relation {
	const char *key;
	const char *label;
};
extern const struct show_relation show_relations[];

#endif
