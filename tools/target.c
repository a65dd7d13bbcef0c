/* SPDX-License-Identifier: MIT */
/* Finding the machine a command is about. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/control.h"
#include "tool.h"

int tool_target_option(const char *noun, struct tool_target *target, char **argv, int *i)
{
	const char *word = argv[*i];
	bool missing;
	const char *value = tool_option(argv, i, "--pid", &missing);

	if (value) {
		if (!*value || strspn(value, "0123456789") != strlen(value) || strlen(value) > 9)
			return tool_usage(noun, value, "not a process id");
		target->pid = value;
		return 1;
	}
	if (!missing)
		value = tool_option(argv, i, "--socket", &missing);
	if (missing)
		return tool_usage(noun, word, "its value is missing");
	if (value)
		target->socket = value;
	return !!value;
}

/* ---- all of them ---- */

static int is_socket(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && !strcmp(entry->d_name + len - 5, ".sock") &&
	       strspn(entry->d_name, "0123456789") == len - 5;
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
	long x = atol((*a)->d_name), y = atol((*b)->d_name);

	return x < y ? -1 : x > y;
}

/* Does somebody answer there?  What a killed run has left is cleared away. */
static bool machine_answers(const char *path)
{
	struct control_client client;
	int rc = control_connect(&client, path);

	if (!rc)
		control_disconnect(&client);
	else if (rc == -ECONNREFUSED)
		unlink(path);
	return !rc;
}

size_t tool_machines(char ***ret_paths)
{
	char dir[CONTROL_PATH_MAX], *path, **paths;
	struct dirent **entries;
	size_t count = 0;
	int n;

	*ret_paths = NULL;
	n = control_dir(dir) ? -1 : scandir(dir, &entries, is_socket, by_number);
	if (n < 0)
		return 0;
	paths = calloc((size_t)n + 1, sizeof(*paths));
	for (int i = 0; i < n; i++) {
		if (paths && asprintf(&path, "%s/%s", dir, entries[i]->d_name) >= 0) {
			if (machine_answers(path))
				paths[count++] = path;
			else
				free(path);
		}
		free(entries[i]);
	}
	free(entries);
	*ret_paths = paths;
	return count;
}

/* ---- one of them ---- */

static int only_machine(const char *noun, char buf[CONTROL_PATH_MAX])
{
	char **paths;
	size_t n = tool_machines(&paths);

	if (n == 1)
		snprintf(buf, CONTROL_PATH_MAX, "%s", paths[0]);
	for (size_t i = 0; i < n; i++)
		free(paths[i]);
	free(paths);
	if (n == 1)
		return 0;
	return tool_fail(noun, n ? "several machines run" : "no machine runs",
			 n ? "say which by --pid (uiommufd list)" : "start one by uiommufd run");
}

int tool_connect(const char *noun, const struct tool_target *target, struct control_client *client)
{
	char buf[CONTROL_PATH_MAX];
	const char *path = target->socket ?: buf;
	int rc = 0;

	if (!target->socket) {
		rc = target->pid ? control_path(buf, (pid_t)atoi(target->pid))
				 : only_machine(noun, buf);
		if (rc)
			return rc > 0 ? rc : tool_fail(noun, target->pid, strerror(-rc));
	}
	rc = control_connect(client, path);
	if (!rc)
		return 0;
	return tool_fail(noun, path,
			 rc == -ENOENT || rc == -ECONNREFUSED ? "no machine runs there"
							      : strerror(-rc));
}
