/* SPDX-License-Identifier: MIT */
/*
 * `uiommufd run`: a machine for one program and its descendants.
 */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <iommufd/dma.h>
#include <iommufd/mock.h>

#include "control/control.h"
#include "core/ctx.h"
#include "core/system.h"
#include "host/preload/launch.h"
#include "host/sandbox.h"
#include "tool.h"

/* Misc devices: vfio's minor is fixed, iommu's is one of the dynamic ones. */
#define MISC_MAJOR  10
#define MINOR_IOMMU 127
#define MINOR_VFIO  196

static void run_log(void *data, enum iommufd_log_level level, const char *line)
{
	char buf[1100];
	int len = snprintf(buf, sizeof(buf), "uiommufd: %s\n", line);

	/* One write, so that lines of several threads and of the program stay whole. */
	if (write(STDERR_FILENO, buf, MIN(len, (int)sizeof(buf) - 1)) < 0)
		return;
}

/* ---- names in /dev ---- */

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

/* The second is VFIO's own where there are devices. */
static const struct tree_entry run_nodes[] = {
	{.path = "/dev/iommu",
	 .kind = TREE_NODE,
	 .mode = 0660,
	 .major = MISC_MAJOR,
	 .minor = MINOR_IOMMU,
	 .open = run_open_iommu},
	{.path = "/dev/vfio/vfio",
	 .kind = TREE_NODE,
	 .mode = 0666,
	 .major = MISC_MAJOR,
	 .minor = MINOR_VFIO,
	 .open = run_open_vfio},
};

static int nodes_add(struct run *run)
{
	size_t wanted = run->machine ? 1 : ARRAY_SIZE(run_nodes);
	int rc = 0;

	while (!rc && run->num_nodes < wanted) {
		struct run_node *node = &run->nodes[run->num_nodes];

		*node = (struct run_node){
			.entry = run_nodes[run->num_nodes],
			.system = run->system,
		};
		rc = tree_add(&run->system->tree, &node->entry);
		run->num_nodes += !rc;
	}
	return rc;
}

/* ---- the supervising process ---- */

/* A machine without IOMMUs and devices is none: then /dev/vfio/vfio is iommufd's. */
static int machine_make(struct run *run)
{
	struct machine_error error;
	int rc;

	if (!run->desc.num_iommus && !run->desc.num_bridges && !run->desc.container_set)
		return 0;
	rc = machine_start(&run->desc, run->system, &run->machine, &error);
	if (rc)
		log_line(&run->host.log, IOMMUFD_LOG_ERROR, "%s", error.text);
	return rc;
}

static int control_default_path(struct run *run, char path[CONTROL_PATH_MAX])
{
	char dir[CONTROL_PATH_MAX];
	int rc = control_dir(dir);

	if (!rc)
		rc = control_dir_make(dir);
	return rc ?: control_path(path, run->pid);
}

/* Nobody asked for the default socket, so the program runs without it, too. */
static int control_make(struct run *run)
{
	const struct control_target target = {
		.system = run->system,
		.machine = run->machine,
		.pid = run->pid,
		.version = UIOMMUFD_VERSION,
		.program = run->program,
	};
	char path[CONTROL_PATH_MAX] = "the control socket";
	const char *at = run->control_path ?: path;
	int rc = 0;

	if (run->no_control)
		return 0;
	if (!run->control_path)
		rc = control_default_path(run, path);
	if (!rc)
		rc = control_start(&target, at, &run->control);
	if (!rc)
		return 0;
	log_line(&run->host.log, run->control_path ? IOMMUFD_LOG_ERROR : IOMMUFD_LOG_INFO, "%s: %s",
		 at, strerror(-rc));
	return run->control_path ? rc : 0;
}

static void run_stop(void *data)
{
	struct run *run = data;

	control_stop(run->control);
	while (run->num_nodes)
		tree_remove(&run->system->tree, &run->nodes[--run->num_nodes].entry);
	machine_stop(run->machine);
	iommufd_system_destroy(run->system);
	machine_desc_fini(&run->desc);
}

static int run_start(void *data, struct iommufd_system **ret_system)
{
	struct run *run = data;
	int rc;

	rc = iommufd_system_create(&run->system_opts, &run->system);
	if (!rc && run->system_opts.selftest)
		rc = iommufd_mock_init(run->system);
	if (!rc && run->check_dma)
		rc = iommufd_dma_check_enable(run->system);
	if (!rc)
		rc = machine_make(run);
	if (!rc)
		rc = nodes_add(run);
	if (!rc)
		rc = control_make(run);
	if (rc) {
		run_stop(run);
		return rc;
	}
	*ret_system = run->system;
	return 0;
}

/* The core inside the program: become it. */
static int run_preloaded(const struct run *run)
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
	return preload_run(&opts, run->program);
}

static int run_main(int argc, char **argv)
{
	struct run run = {
		.system_opts =
			{
				.size = sizeof(run.system_opts),
				.log = run_log,
				.log_level = IOMMUFD_LOG_WARN,
			},
		.host =
			{
				.start = run_start,
				.stop = run_stop,
			},
		.pid = getpid(),
	};
	int rc;

	machine_desc_init(&run.desc, device_models);
	rc = run_options(&run, argc, argv);
	if (rc)
		goto out;
	run.host.data = &run;
	run.host.log = (struct log_sink){.fn = run_log, .level = run.system_opts.log_level};
	rc = run.preload ? run_preloaded(&run) : host_run(&run.host, run.program);
out:
	machine_desc_fini(&run.desc);
	return rc;
}

const struct tool_noun noun_run = {
	.name = "run",
	.line = "run a program with our IOMMUs and devices",
	.main = run_main,
	.help = run_help,
	.more = run_models,
};
