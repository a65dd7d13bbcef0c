/* SPDX-License-Identifier: MIT */
/*
 * The machine file.  libyaml makes a document of it whose nodes know where they
 * were; each mapping becomes an item, and what the item means is desc.c's.
 *
 *	memory: { frames: contiguous }
 *	container: native
 *	iommus: [ { model: generic, id: iommu0 } ]
 *	bridges: [ { addr: 0000:00:1c.0, bus: 1, acs: true } ]
 *	devices: [ { model: nvme, addr: 0000:01:00.0, iommu: iommu0, size: 64M } ]
 */
#include "machine/desc.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/alloc.h"

#define FILE_MAX  (1 << 20)
#define DEPTH_MAX 16

/** struct reader - one document being read into @desc */
struct reader {
	struct machine_desc *desc;
	const char *source;
	yaml_document_t doc;
	struct machine_error *error;
};

static struct machine_place mark_place(const struct reader *reader, const yaml_mark_t *mark)
{
	return (struct machine_place){
		.source = reader->source,
		.line = (u32)mark->line + 1,
		.column = (u32)mark->column + 1,
	};
}

static struct machine_place node_place(const struct reader *reader, const yaml_node_t *node)
{
	return mark_place(reader, &node->start_mark);
}

/* The text of a scalar, or NULL with an error; @what names it there. */
static const char *node_text(const struct reader *reader, const yaml_node_t *node, const char *what)
{
	struct machine_place at = node_place(reader, node);

	if (node->type != YAML_SCALAR_NODE) {
		machine_error_set(reader->error, &at, what, "a single value is wanted here");
		return NULL;
	}
	if (strlen((const char *)node->data.scalar.value) != node->data.scalar.length) {
		machine_error_set(reader->error, &at, what, "it has a NUL in it");
		return NULL;
	}
	return (const char *)node->data.scalar.value;
}

static yaml_node_t *reader_node(struct reader *reader, int index)
{
	return yaml_document_get_node(&reader->doc, index);
}

/* ---- items ---- */

static int item_word_read(struct reader *reader, const yaml_node_pair_t *pair,
			  struct machine_word *word)
{
	const yaml_node_t *key = reader_node(reader, pair->key);
	const yaml_node_t *value = reader_node(reader, pair->value);

	word->key = node_text(reader, key, "key");
	word->value = word->key ? node_text(reader, value, word->key) : NULL;
	word->key_at = node_place(reader, key);
	word->value_at = node_place(reader, value);
	return word->value ? 0 : -EINVAL;
}

typedef int (*item_fn)(struct machine_desc *desc, const struct machine_item *item,
		       struct machine_error *error);

static int mapping_read(struct reader *reader, const yaml_node_t *node, const char *what,
			item_fn add)
{
	struct machine_word words[MACHINE_KEYS_MAX];
	struct machine_item item = {.at = node_place(reader, node), .words = words};
	const yaml_node_pair_t *pair;
	int rc;

	if (node->type != YAML_MAPPING_NODE)
		return machine_error_set(reader->error, &item.at, what,
					 "a mapping (key: value) is wanted here");
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		if (item.count == MACHINE_KEYS_MAX)
			return machine_error_set(reader->error, &item.at, what, "more than %d keys",
						 MACHINE_KEYS_MAX);
		rc = item_word_read(reader, pair, &words[item.count]);
		if (rc)
			return rc;
		item.count++;
	}
	return add(reader->desc, &item, reader->error);
}

static int list_read(struct reader *reader, const yaml_node_t *node, const char *what, item_fn add)
{
	struct machine_place at = node_place(reader, node);
	const yaml_node_item_t *index;
	int rc = 0;

	if (node->type != YAML_SEQUENCE_NODE)
		return machine_error_set(reader->error, &at, what, "a list (- ...) is wanted here");
	for (index = node->data.sequence.items.start; !rc && index < node->data.sequence.items.top;
	     index++)
		rc = mapping_read(reader, reader_node(reader, *index), what, add);
	return rc;
}

/* ---- sections ---- */

static int memory_read(struct reader *reader, const yaml_node_t *node)
{
	return mapping_read(reader, node, "memory", machine_desc_memory);
}

static int container_read(struct reader *reader, const yaml_node_t *node)
{
	struct machine_word word = {.key = "container", .value_at = node_place(reader, node)};

	word.value = node_text(reader, node, "container");
	return word.value ? machine_desc_container(reader->desc, &word, reader->error) : -EINVAL;
}

static int iommus_read(struct reader *reader, const yaml_node_t *node)
{
	return list_read(reader, node, "iommus", machine_desc_iommu);
}

static int bridges_read(struct reader *reader, const yaml_node_t *node)
{
	return list_read(reader, node, "bridges", machine_desc_bridge);
}

static int devices_read(struct reader *reader, const yaml_node_t *node)
{
	return list_read(reader, node, "devices", machine_desc_device);
}

static const struct section {
	const char *name;
	int (*read)(struct reader *reader, const yaml_node_t *node);
} sections[] = {
	{"memory", memory_read},   {"container", container_read}, {"iommus", iommus_read},
	{"bridges", bridges_read}, {"devices", devices_read},
};

static int section_read(struct reader *reader, const yaml_node_pair_t *pair, u32 *seen)
{
	const yaml_node_t *key = reader_node(reader, pair->key);
	struct machine_place at = node_place(reader, key);
	const char *name = node_text(reader, key, "key");

	if (!name)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		if (strcmp(name, sections[i].name))
			continue;
		if (*seen & 1u << i)
			return machine_error_set(reader->error, &at, name, "given twice");
		*seen |= 1u << i;
		return sections[i].read(reader, reader_node(reader, pair->value));
	}
	return machine_error_set(reader->error, &at, name,
				 "unknown section: memory, container, iommus, bridges, devices");
}

static int document_read(struct reader *reader)
{
	const yaml_node_t *root = yaml_document_get_root_node(&reader->doc);
	const yaml_node_pair_t *pair;
	struct machine_place at = {.source = reader->source};
	u32 seen = 0;
	int rc = 0;

	if (!root)
		return machine_error_set(reader->error, &at, "file", "there is nothing in it");
	at = node_place(reader, root);
	if (root->type != YAML_MAPPING_NODE)
		return machine_error_set(reader->error, &at, "file",
					 "sections (devices: ...) are wanted here");
	for (pair = root->data.mapping.pairs.start; !rc && pair < root->data.mapping.pairs.top;
	     pair++)
		rc = section_read(reader, pair, &seen);
	return rc;
}

/* ---- documents ---- */

/* libyaml could not make sense of it. */
static int syntax_error(const struct reader *reader, const yaml_parser_t *parser)
{
	struct machine_place at = mark_place(reader, &parser->problem_mark);

	if (parser->error == YAML_MEMORY_ERROR) {
		machine_error_set(reader->error, NULL, "memory", "there is not enough");
		return -ENOMEM;
	}
	return machine_error_set(reader->error, &at, "yaml", "%s%s%s",
				 parser->problem ?: "not understood", parser->context ? ", " : "",
				 parser->context ?: "");
}

static int parser_at_end(const struct reader *reader, yaml_parser_t *parser)
{
	yaml_document_t next;
	const yaml_node_t *root;
	struct machine_place at;
	int rc = 0;

	if (!yaml_parser_load(parser, &next))
		return syntax_error(reader, parser);
	root = yaml_document_get_root_node(&next);
	if (root) {
		at = node_place(reader, root);
		rc = machine_error_set(reader->error, &at, "---", "a second document");
	}
	yaml_document_delete(&next);
	return rc;
}

static int parser_read(struct reader *reader, yaml_parser_t *parser)
{
	int rc;

	if (!yaml_parser_load(parser, &reader->doc))
		return syntax_error(reader, parser);
	rc = document_read(reader);
	if (!rc)
		rc = parser_at_end(reader, parser);
	yaml_document_delete(&reader->doc);
	return rc;
}

/*
 * The time libyaml takes grows with the square of the nesting, so that a file of brackets would
 * keep it busy for hours: look at the depth before a document is made.
 */
static int parser_check_depth(struct reader *reader, yaml_parser_t *parser)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	struct machine_place at;
	yaml_event_t event;
	int depth = 0;

	while (type != YAML_STREAM_END_EVENT && depth <= DEPTH_MAX) {
		if (!yaml_parser_parse(parser, &event))
			return syntax_error(reader, parser);
		type = event.type;
		at = mark_place(reader, &event.start_mark);
		if (type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT)
			depth++;
		else if (type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT)
			depth--;
		yaml_event_delete(&event);
	}
	if (depth > DEPTH_MAX)
		return machine_error_set(reader->error, &at, "file", "nested too deeply");
	return 0;
}

static int text_parse(struct reader *reader, const void *text, size_t len,
		      int (*fn)(struct reader *reader, yaml_parser_t *parser))
{
	yaml_parser_t parser;
	int rc;

	if (fault_point("alloc") || !yaml_parser_initialize(&parser)) {
		machine_error_set(reader->error, NULL, "memory", "there is not enough");
		return -ENOMEM;
	}
	yaml_parser_set_input_string(&parser, text, len);
	rc = fn(reader, &parser);
	yaml_parser_delete(&parser);
	return rc;
}

int machine_desc_yaml(struct machine_desc *desc, const char *source, const void *text, size_t len,
		      struct machine_error *error)
{
	struct reader reader = {.desc = desc, .error = error};
	int rc;

	reader.source = machine_desc_source(desc, source);
	if (!reader.source) {
		machine_error_set(error, NULL, "memory", "there is not enough");
		return -ENOMEM;
	}
	rc = text_parse(&reader, text, len, parser_check_depth);
	return rc ?: text_parse(&reader, text, len, parser_read);
}

/* All of a file of at most FILE_MAX bytes; length or -errno. */
static ssize_t file_read(const char *path, char **ret_text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0, len = 0;
	char *text;

	if (fd < 0)
		return -errno;
	text = alloc_uninit(FILE_MAX + 1);
	if (!text) {
		close(fd);
		return -ENOMEM;
	}
	while (len <= FILE_MAX && (n = read(fd, text + len, (size_t)(FILE_MAX + 1 - len))) > 0)
		len += n;
	if (n < 0)
		len = -errno;
	else if (len > FILE_MAX)
		len = -EFBIG;
	close(fd);
	if (len < 0)
		free(text);
	else
		*ret_text = text;
	return len;
}

int machine_desc_file(struct machine_desc *desc, const char *path, struct machine_error *error)
{
	char *text = NULL;
	ssize_t len;
	int rc;

	len = file_read(path, &text);
	if (len < 0) {
		machine_error_set(error, NULL, path, "%s", strerror((int)-len));
		return (int)len;
	}
	rc = machine_desc_yaml(desc, path, text, (size_t)len, error);
	free(text);
	return rc;
}
