/* SPDX-License-Identifier: MIT */
/*
 * The command: `uiommufd NOUN [ARGS]`, a file per noun.  Exit status 0 done,
 * 1 failed, 2 misused; a noun that runs something gives that one's status.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#define EXIT_USAGE 2

/** struct tool_noun - @help is a grammar with one example at its end */
struct tool_noun {
	const char *name;
	const char *line;
	const char *help;
	int (*main)(int argc, char **argv);
};

extern const struct tool_noun noun_run;

/** tool_usage() - say what is wrong with the word @what; returns EXIT_USAGE */
int tool_usage(const char *noun, const char *what, const char *why);

#endif
