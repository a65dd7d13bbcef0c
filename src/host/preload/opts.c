/* SPDX-License-Identifier: MIT */
/*
 * The options as text, "frames=random,selftest": what the command writes into
 * the environment and the preloaded library reads there.
 */
#include "host/preload/launch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const frames_words[] = {
	[IOMMUFD_FRAMES_CONTIGUOUS] = "frames=contiguous",
	[IOMMUFD_FRAMES_HUGE_ONLY] = "frames=huge-only",
	[IOMMUFD_FRAMES_RANDOM] = "frames=random",
};

int preload_opts_format(const struct preload_opts *opts, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s%s%s%s", frames_words[opts->frames],
			 opts->selftest ? ",selftest" : "", opts->trace ? ",trace" : "",
			 opts->precise_dirty ? ",precise-dirty" : "");

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static bool word_is(const char *word, size_t len, const char *expected)
{
	return strlen(expected) == len && !memcmp(word, expected, len);
}

static bool word_parse(const char *word, size_t len, struct preload_opts *opts)
{
	for (size_t i = 0; i < ARRAY_SIZE(frames_words); i++) {
		if (word_is(word, len, frames_words[i])) {
			opts->frames = (enum iommufd_frame_policy)i;
			return true;
		}
	}
	if (word_is(word, len, "selftest"))
		opts->selftest = true;
	else if (word_is(word, len, "trace"))
		opts->trace = true;
	else if (word_is(word, len, "precise-dirty"))
		opts->precise_dirty = true;
	else
		return !len;
	return true;
}

void preload_opts_parse(const char *text, struct preload_opts *opts, const char **ret_bad)
{
	*ret_bad = NULL;
	while (*text) {
		size_t len = strcspn(text, ",");

		if (!word_parse(text, len, opts) && !*ret_bad)
			*ret_bad = text;
		text += len + (text[len] == ',');
	}
}
