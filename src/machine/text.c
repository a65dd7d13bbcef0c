/* SPDX-License-Identifier: MIT */
/*
 * The command line's way of saying an item: "MODEL,key=value,key=value".
 */
#include "machine/desc.h"

#include <string.h>

#include "base/alloc.h"

struct text_words {
	struct machine_word words[MACHINE_KEYS_MAX + 1];
	size_t count;
};

/* Cut the part at @text off: "a,,b,c" gives "a,b" and returns where "c" is; NULL: it was the last.
 */
static char *part_cut(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == ',') {
			if (text[1] != ',') {
				*to = 0;
				return text + 1;
			}
			text++;
		}
		*to++ = *text;
	}
	*to = 0;
	return NULL;
}

static int text_split(struct text_words *words, char *text, const struct machine_place *at,
		      struct machine_error *error)
{
	for (char *part = text, *next; part; part = next) {
		struct machine_word *word = &words->words[words->count];
		char *equals;

		next = part_cut(part);
		equals = strchr(part, '=');
		if (words->count == ARRAY_SIZE(words->words))
			return machine_error_set(error, at, part, "more than %d keys",
						 MACHINE_KEYS_MAX);
		*word = (struct machine_word){.key_at = *at, .value_at = *at};
		if (equals) {
			*equals = 0;
			word->key = part;
			word->value = equals + 1;
		} else if (!words->count && *part) {
			word->key = "model";
			word->value = part;
		} else {
			return machine_error_set(error, at, part, "not of the form key=value");
		}
		words->count++;
	}
	return 0;
}

int machine_desc_text(struct machine_desc *desc, const char *source, const char *text,
		      int (*add)(struct machine_desc *desc, const struct machine_item *item,
				 struct machine_error *error),
		      struct machine_error *error)
{
	struct machine_place at = {.source = machine_desc_source(desc, source)};
	struct text_words words = {.count = 0};
	struct machine_item item = {.at = at, .words = words.words};
	char *copy = fault_point("alloc") ? NULL : strdup(text);
	int rc;

	if (!at.source || !copy) {
		free(copy);
		machine_error_set(error, NULL, "memory", "there is not enough");
		return -ENOMEM;
	}
	rc = text_split(&words, copy, &at, error);
	item.count = words.count;
	if (!rc)
		rc = add(desc, &item, error);
	free(copy);
	return rc;
}
