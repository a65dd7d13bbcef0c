/* SPDX-License-Identifier: MIT */
/*
 * The first word decides.
 */
#include <stdio.h>
#include <string.h>

#include "base/types.h"
#include "tool.h"

static const struct tool_noun *const nouns[] = {
	&noun_run, &noun_list, &noun_show, &noun_device, &noun_control,
};

static const char usage[] = "Usage: uiommufd NOUN [ARGS]\n"
			    "       uiommufd NOUN help\n"
			    "       uiommufd help | version\n"
			    "\n";

int tool_usage(const char *noun, const char *what, const char *why)
{
	fprintf(stderr, "uiommufd%s%s: %s: %s\n", noun ? " " : "", noun ?: "", what, why);
	return EXIT_USAGE;
}

int tool_fail(const char *noun, const char *what, const char *why)
{
	tool_usage(noun, what, why);
	return EXIT_FAILED;
}

const char *tool_option(char **argv, int *i, const char *name, bool *ret_missing)
{
	size_t len = strlen(name);

	*ret_missing = false;
	if (strncmp(argv[*i], name, len))
		return NULL;
	if (argv[*i][len] == '=')
		return argv[*i] + len + 1;
	if (argv[*i][len])
		return NULL;
	if (!argv[*i + 1]) {
		*ret_missing = true;
		return NULL;
	}
	return argv[++*i];
}

static int help(void)
{
	fputs(usage, stdout);
	for (size_t i = 0; i < ARRAY_SIZE(nouns); i++)
		printf("  %-10s %s\n", nouns[i]->name, nouns[i]->line);
	printf("\nExample: uiommufd run -- ./my-vmm --iommufd\n");
	return 0;
}

static int noun_help(const struct tool_noun *noun)
{
	fputs(noun->help, stdout);
	if (noun->more)
		noun->more();
	return 0;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (argc < 2) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h"))
		return help();
	if (!strcmp(word, "version") || !strcmp(word, "--version")) {
		printf("uiommufd %s\n", UIOMMUFD_VERSION);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(nouns); i++) {
		if (strcmp(word, nouns[i]->name))
			continue;
		if (argc == 3 && (!strcmp(argv[2], "help") || !strcmp(argv[2], "--help")))
			return noun_help(nouns[i]);
		return nouns[i]->main(argc - 1, argv + 1);
	}
	return tool_usage(NULL, word, "no such noun (uiommufd help)");
}
