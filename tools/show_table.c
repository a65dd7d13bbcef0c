/* SPDX-License-Identifier: MIT */
/* Replies as tables. */
#include "show.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 12

const char *show_text(struct json_object *obj, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(obj, key, &value) || !value)
		return "";
	if (json_object_is_type(value, json_type_boolean))
		return json_object_get_boolean(value) ? "yes" : "no";
	return json_object_get_string(value);
}

uint64_t show_number(struct json_object *obj, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, key, &value) ? json_object_get_uint64(value) : 0;
}

struct json_object *show_array(struct json_object *obj, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(obj, key, &value) ||
	    !json_object_is_type(value, json_type_array))
		return NULL;
	return value;
}

static size_t rows_of(struct json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

static void print_cell(const char *text, int width, bool right, bool last)
{
	if (last && !right)
		printf("%s\n", text);
	else
		printf(right ? "%*s%s" : "%-*s%s", width, text, last ? "\n" : "  ");
}

void show_table(struct json_object *rows, const struct show_column *columns, const char *indent)
{
	int widths[COLUMNS_MAX] = {0};
	size_t n = 0;

	for (; columns[n].title; n++) {
		widths[n] = (int)strlen(columns[n].title);
		for (size_t r = 0; r < rows_of(rows); r++) {
			struct json_object *row = json_object_array_get_idx(rows, r);
			int len = (int)strlen(show_text(row, columns[n].key));

			widths[n] = len > widths[n] ? len : widths[n];
		}
	}
	fputs(indent, stdout);
	for (size_t c = 0; c < n; c++)
		print_cell(columns[c].title, widths[c], columns[c].right, c == n - 1);
	for (size_t r = 0; r < rows_of(rows); r++) {
		struct json_object *row = json_object_array_get_idx(rows, r);

		fputs(indent, stdout);
		for (size_t c = 0; c < n; c++)
			print_cell(show_text(row, columns[c].key), widths[c], columns[c].right,
				   c == n - 1);
	}
}

void show_contexts(struct json_object *reply)
{
	static const struct show_column columns[] = {
		{"CONTEXT", "context", true},
		{"PID", "pid", true},
		{"COMMAND", "comm"},
		{"NODE", "node"},
		{"ACCOUNT", "account"},
		{"OBJECTS", "objects", true},
		{0},
	};

	show_table(reply, columns, "");
}

static void print_more(struct json_object *row)
{
	if (*show_text(row, "more-from"))
		printf("    ... more: --from %s\n", show_text(row, "more-from"));
}

static void print_ranges(struct json_object *row, const char *key)
{
	struct json_object *ranges = show_array(row, key);

	for (size_t i = 0; i < rows_of(ranges); i++) {
		struct json_object *range = json_object_array_get_idx(ranges, i);

		printf("    %s %s - %s\n", key, show_text(range, "first"),
		       show_text(range, "last"));
	}
}

void show_ioas(struct json_object *reply)
{
	static const struct show_column columns[] = {
		{"IOVA", "iova", true},	    {"LAST", "last", true},
		{"LENGTH", "length", true}, {"PROT", "prot"},
		{"FROM", "origin"},	    {"START", "start", true},
		{"PID", "pid", true},	    {"PINS", "pins", true},
		{"STATE", "state"},	    {0},
	};

	for (size_t i = 0; i < rows_of(reply); i++) {
		struct json_object *row = json_object_array_get_idx(reply, i);

		printf("context %s ioas %s\n", show_text(row, "context"), show_text(row, "ioas"));
		if (rows_of(show_array(row, "areas")))
			show_table(show_array(row, "areas"), columns, "    ");
		print_ranges(row, "reserved");
		print_ranges(row, "allowed");
		print_more(row);
	}
}

void show_page_tables(struct json_object *reply)
{
	static const struct show_column columns[] = {
		{"IOVA", "iova", true}, {"PHYSICAL", "pa", true}, {"LENGTH", "length", true},
		{"PROT", "prot"},	{"DIRTY", "dirty"},	  {0},
	};

	for (size_t i = 0; i < rows_of(reply); i++) {
		struct json_object *row = json_object_array_get_idx(reply, i);

		printf("context %s hwpt %s (ioas %s)\n", show_text(row, "context"),
		       show_text(row, "hwpt"), show_text(row, "ioas"));
		if (rows_of(show_array(row, "entries")))
			show_table(show_array(row, "entries"), columns, "    ");
		print_more(row);
	}
}

void show_dirty(struct json_object *reply)
{
	static const struct show_column columns[] = {
		{"IOVA", "iova", true},
		{"LENGTH", "length", true},
		{"DIRTY", "dirty", true},
		{0},
	};

	for (size_t i = 0; i < rows_of(reply); i++) {
		struct json_object *row = json_object_array_get_idx(reply, i);

		printf("context %s hwpt %s: %s bytes dirty\n", show_text(row, "context"),
		       show_text(row, "hwpt"), show_text(row, "dirty"));
		if (rows_of(show_array(row, "areas")))
			show_table(show_array(row, "areas"), columns, "    ");
		print_more(row);
	}
}

/* "context 1: hwpt 4, pasid 3 hwpt 5": what a device is attached to, as a column of its own. */
static void add_where(struct json_object *row)
{
	struct json_object *attached = show_array(row, "attached");
	char text[256];
	size_t len;

	if (!*show_text(row, "context"))
		return;
	len = (size_t)snprintf(text, sizeof(text), "context %s:", show_text(row, "context"));
	for (size_t i = 0; i < rows_of(attached) && len < sizeof(text); i++) {
		struct json_object *at = json_object_array_get_idx(attached, i);
		const char *pasid = show_text(at, "pasid");

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%s hwpt %s",
					i ? "," : "", *pasid ? " pasid " : "", pasid,
					show_text(at, "hwpt"));
	}
	if (!rows_of(attached))
		snprintf(text + len, sizeof(text) - len, " not attached");
	json_object_object_add(row, "where", json_object_new_string(text));
}

static void add_iotlb(struct json_object *row)
{
	struct json_object *iotlb;
	char text[64];

	if (!json_object_object_get_ex(row, "iotlb", &iotlb))
		return;
	snprintf(text, sizeof(text), "%s/%s", show_text(iotlb, "walks"),
		 show_text(iotlb, "lookups"));
	json_object_object_add(row, "tlb", json_object_new_string(text));
}

void show_devices(struct json_object *reply)
{
	static const struct show_column columns[] = {
		{"ADDRESS", "addr"},
		{"ID", "id"},
		{"MODEL", "model"},
		{"IOMMU", "iommu"},
		{"GROUP", "group", true},
		{"ACCESS", "access"},
		{"DMA", "bus-master"},
		{"IRQ", "irq"},
		{"WALKS/DMA", "tlb", true},
		{"USED BY", "where"},
		{0},
	};

	for (size_t i = 0; i < rows_of(reply); i++) {
		add_where(json_object_array_get_idx(reply, i));
		add_iotlb(json_object_array_get_idx(reply, i));
	}
	show_table(reply, columns, "");
}

void show_counters(struct json_object *reply)
{
	json_object_object_foreach(reply, key, value)
		printf("%-18s %s\n", key, json_object_get_string(value));
}

/* As a machine file, which JSON is as well; only nicer to read. */
void show_machine(struct json_object *reply)
{
	json_object_object_foreach(reply, section, content)
	{
		if (json_object_is_type(content, json_type_array)) {
			printf("%s:%s\n", section, rows_of(content) ? "" : " []");
			for (size_t i = 0; i < rows_of(content); i++)
				printf("  - %s\n", json_object_to_json_string_ext(
							   json_object_array_get_idx(content, i),
							   JSON_C_TO_STRING_SPACED |
								   JSON_C_TO_STRING_NOSLASHESCAPE));
		} else {
			printf("%s: %s\n", section,
			       json_object_is_type(content, json_type_string)
				       ? json_object_get_string(content)
				       : json_object_to_json_string_ext(content,
									JSON_C_TO_STRING_SPACED));
		}
	}
}
