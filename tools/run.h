/* SPDX-License-Identifier: MIT */
/*
 * `uiommufd run`: what was asked for (run_options.c) and what is made of it (run.c).
 */
#ifndef TOOLS_RUN_H
#define TOOLS_RUN_H

#include <iommufd/system.h>

#include "core/tree.h"
#include "host/host.h"
#include "machine/machine.h"

struct control;

/* A name in the program's /dev. */
struct run_node {
	struct tree_entry entry;
	struct iommufd_system *system;
};

/**
 * struct run
 * @desc: the machine; @described: an option said something about it
 * @frames_set: --frames was given, which goes before the machine file's
 * @control_path: --control; NULL: the default place
 * @no_control: --control none; @check_dma: --check-dma
 * @pid: of the command; @program: its words
 * The rest is made in the supervising process.
 */
struct run {
	struct iommufd_system_opts system_opts;
	struct host_opts host;
	struct machine_desc desc;
	bool described;
	bool frames_set;
	bool preload;
	bool no_control;
	bool check_dma;
	const char *control_path;
	pid_t pid;
	char **program;

	struct iommufd_system *system;
	struct machine *machine;
	struct control *control;
	struct run_node nodes[2];
	size_t num_nodes;
};

/** run_options() - read them; 0 or an exit status; @run->program is then what follows */
int run_options(struct run *run, int argc, char **argv);

/** run_models() - print the models there are, for `run help` */
void run_models(void);

extern const char run_help[];

#endif
