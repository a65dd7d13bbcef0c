/* SPDX-License-Identifier: MIT */
/*
 * `uiommufd run`: a machine for one program and its descendants.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <iommufd/mock.h>

#include "core/ctx.h"
#include "core/system.h"
#include "host/host.h"
#include "host/preload/launch.h"
#include "host/sandbox.h"
#include "tool.h"

/* Misc devices: vfio's minor is fixed, iommu's is one of the dynamic ones. */
#define MISC_MAJOR 10
#define MINOR_IOMMU 127
#define MINOR_VFIO 196

/* A name in the program's /dev. */
struct run_node {
	struct tree_entry entry;
	struct iommufd_system *system;
};

struct run {
	struct iommufd_system_opts system_opts;
	struct host_opts host;
	struct iommufd_system *system;
	struct run_node nodes[2];
	bool preload;
};

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static const char *const frame_names[] = { "contiguous", "huge-only", "random" };

static void run_log(void *data, enum iommufd_log_level level, const char *line)
{
	char buf[600];
	int len = snprintf(buf, sizeof(buf), "uiommufd: %s\n", line);

	/* One write, so that lines of several threads and of the program stay whole. */
	if (write(STDERR_FILENO, buf, MIN(len, (int)sizeof(buf) - 1)) < 0)
		return;
}

static int run_open(struct tree_entry *entry, unsigned int ctx_flags, int open_flags,
		    struct file **ret_file)
{
	struct run_node *node = container_of(entry, struct run_node, entry);
	struct iommufd_ctx *ctx;
	int rc;

	rc = ctx_open(node->system, ctx_flags, open_flags, &ctx);
	if (!rc)
		*ret_file = &ctx->file;
	return rc;
}

static int run_open_iommu(struct tree_entry *entry, int open_flags, struct file **ret_file)
{
	return run_open(entry, 0, open_flags, ret_file);
}

static int run_open_vfio(struct tree_entry *entry, int open_flags, struct file **ret_file)
{
	return run_open(entry, CTX_OPEN_VFIO_CONTAINER, open_flags, ret_file);
}

static const struct tree_entry run_nodes[] = {
	{ .path = "/dev/iommu", .kind = TREE_NODE, .mode = 0660, .major = MISC_MAJOR,
	  .minor = MINOR_IOMMU, .open = run_open_iommu },
	{ .path = "/dev/vfio/vfio", .kind = TREE_NODE, .mode = 0666, .major = MISC_MAJOR,
	  .minor = MINOR_VFIO, .open = run_open_vfio },
};

static int run_start(void *data, struct iommufd_system **ret_system)
{
	struct run *run = data;
	int rc;

	rc = iommufd_system_create(&run->system_opts, &run->system);
	if (rc)
		return rc;
	if (run->system_opts.selftest) {
		rc = iommufd_mock_init(run->system);
		if (rc) {
			iommufd_system_destroy(run->system);
			return rc;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(run_nodes); i++) {
		run->nodes[i] = (struct run_node){ .entry = run_nodes[i], .system = run->system };
		rc = tree_add(&run->system->tree, &run->nodes[i].entry);
		if (rc)
			return rc;
	}
	*ret_system = run->system;
	return 0;
}

static void run_stop(void *data)
{
	struct run *run = data;

	for (size_t i = 0; i < ARRAY_SIZE(run_nodes); i++)
		tree_remove(&run->system->tree, &run->nodes[i].entry);
	iommufd_system_destroy(run->system);
}

/* Index of @word in @names, or -1. */
static int name_index(const char *word, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(word, names[i]))
			return (int)i;
	}
	return -1;
}

/* The value of option @name at argv[*i], in either form; NULL if this is another option. */
static const char *option_value(char **argv, int *i, const char *name, bool *ret_missing)
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

/* One option at argv[*i], which moves to its last word; 0 or EXIT_USAGE. */
static int run_option(struct run *run, char **argv, int *i)
{
	const char *word = argv[*i], *value;
	bool missing;
	int index;

	if (!strcmp(word, "-v") || !strcmp(word, "--trace")) {
		run->host.trace = true;
		return 0;
	}
	if (!strcmp(word, "--selftest")) {
		run->host.selftest = true;
		run->system_opts.selftest = true;
		return 0;
	}
	if (!strcmp(word, "--preload")) {
		run->preload = true;
		return 0;
	}
	if (!strcmp(word, "--no-namespaces")) {
		run->host.no_namespaces = true;
		return 0;
	}
	if (!strcmp(word, "--precise-dirty")) {
		run->system_opts.precise_dirty = true;
		return 0;
	}
	value = option_value(argv, i, "--frames", &missing);
	if (value) {
		index = name_index(value, frame_names, ARRAY_SIZE(frame_names));
		if (index < 0)
			return tool_usage("run", value, "not a layout: contiguous, huge-only, random");
		run->system_opts.frames = index;
		return 0;
	}
	if (!missing)
		value = option_value(argv, i, "--log-level", &missing);
	if (value) {
		index = name_index(value, level_names, ARRAY_SIZE(level_names));
		if (index < 0)
			return tool_usage("run", value, "not a level: error, warning, info, debug");
		run->system_opts.log_level = index;
		return 0;
	}
	return tool_usage("run", word, missing ? "its value is missing" : "unknown option");
}

/* The core inside the program: become it. */
static int run_preloaded(const struct run *run, char **argv)
{
	struct preload_opts opts = {
		.selftest = run->system_opts.selftest,
		.frames = run->system_opts.frames,
		.precise_dirty = run->system_opts.precise_dirty,
		.trace = run->host.trace,
		.log = run->host.log,
	};

	int rc = sandbox_own_user();

	if (rc)
		log_line(&run->host.log, IOMMUFD_LOG_WARN,
			 "no user namespace (%s): the program has the capabilities it has here",
			 strerror(-rc));
	return preload_run(&opts, argv);
}

static int run_main(int argc, char **argv)
{
	struct run run = {
		.system_opts = {
			.size = sizeof(run.system_opts),
			.log = run_log,
			.log_level = IOMMUFD_LOG_WARN,
		},
		.host = {
			.start = run_start,
			.stop = run_stop,
		},
	};
	int i, rc;

	for (i = 1; i < argc && *argv[i] == '-'; i++) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		rc = run_option(&run, argv, &i);
		if (rc)
			return rc;
	}
	if (i >= argc)
		return tool_usage("run", "PROGRAM", "is missing (uiommufd run help)");
	run.host.data = &run;
	run.host.log = (struct log_sink){ .fn = run_log, .level = run.system_opts.log_level };
	if (run.preload)
		return run_preloaded(&run, argv + i);
	return host_run(&run.host, argv + i);
}

const struct tool_noun noun_run = {
	.name = "run",
	.line = "run a program with our /dev/iommu and /dev/vfio/vfio",
	.main = run_main,
	.help = "Usage: uiommufd run [OPTIONS] [--] PROGRAM [ARGS]\n"
		"\n"
		"  OPTIONS := { -v | --trace | --preload | --selftest | --no-namespaces\n"
		"             | --precise-dirty\n"
		"             | --frames { contiguous | huge-only | random }\n"
		"             | --log-level { error | warning | info | debug } }\n"
		"\n"
		"  -v, --trace      write each call on our devices to stderr, decoded\n"
		"  --preload        run inside the program's own process (one process, not static):\n"
		"                   a call on our devices is a function call\n"
		"  --selftest       serve IOMMU_TEST_CMD and fault injection for the kernel's tests\n"
		"  --no-namespaces  leave the program's /dev alone, answer its path calls instead\n"
		"  --frames         layout of physical memory: as in its backing (default), only\n"
		"                   huge pages contiguous, or every page somewhere else\n"
		"  --precise-dirty  dirty tracking tells 4 KiB pages, not page table entries\n"
		"  --log-level      least severe message that is shown (default: warning)\n"
		"\n"
		"Exit status: the program's; if it dies of a signal, so does this command.\n"
		"125 the supervisor failed, 126 PROGRAM cannot be executed, 127 it is not found,\n"
		"2 misuse.  Processes the program leaves behind are served until they end.\n"
		"\n"
		"Example: uiommufd run -v --selftest -- ./iommufd\n",
};
