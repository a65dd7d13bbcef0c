/* SPDX-License-Identifier: MIT */
/*
 * The command: `uiommufd NOUN [ARGS]`, a file per noun.  Exit status 0 done,
 * 1 failed, 2 misused; a noun that runs something gives that one's status.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define EXIT_FAILED 1
#define EXIT_USAGE  2

struct control_client;

/**
 * struct tool_noun
 * @help: a grammar with one example at its end; @more: prints what is known at run time only; may
 * be NULL
 */
struct tool_noun {
	const char *name;
	const char *line;
	const char *help;
	int (*main)(int argc, char **argv);
	void (*more)(void);
};

extern const struct tool_noun noun_run;
extern const struct tool_noun noun_list;
extern const struct tool_noun noun_show;
extern const struct tool_noun noun_device;
extern const struct tool_noun noun_control;

/** tool_usage() - say what is wrong with the word @what; returns EXIT_USAGE */
int tool_usage(const char *noun, const char *what, const char *why);
/** tool_fail() - the same for what was asked rightly and did not work; returns EXIT_FAILED */
int tool_fail(const char *noun, const char *what, const char *why);

/**
 * tool_option() - the value of option @name at argv[*i], as "--name=value" or "--name value"
 * NULL: it is another option, or (@ret_missing) its value is missing; *i moves to its last word.
 */
const char *tool_option(char **argv, int *i, const char *name, bool *ret_missing);

/** struct tool_target - which machine: --pid N or --socket PATH; else the only one */
struct tool_target {
	const char *pid;
	const char *socket;
};

/** tool_target_option() - is argv[*i] one of these?  1 taken, 0 another, EXIT_USAGE said */
int tool_target_option(const char *noun, struct tool_target *target, char **argv, int *i);
/** tool_connect() - 0, or an exit status, said */
int tool_connect(const char *noun, const struct tool_target *target, struct control_client *client);

/** tool_machines() - sockets of machines that answer, in order of pid; free() each and all */
size_t tool_machines(char ***ret_paths);

#endif
