/* SPDX-License-Identifier: MIT */
/*
 * The way in for unmodified programs: run one under a seccomp user-notification
 * supervisor that answers its system calls on our device nodes.  The room knows
 * descriptors, paths and processes; what a node means is behind its open op.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "base/log.h"
#include "core/file.h"
#include "mem/mem.h"

/**
 * struct host_node - a character device the program is to find
 * @path: absolute, below /dev
 * @major, @minor: what fstat() shows
 * @mode: permission bits
 * @open: makes the file behind one open(); several threads may call it at once
 */
struct host_node {
	const char *path;
	u32 major, minor;
	mode_t mode;
	int (*open)(void *data, int open_flags, struct file **ret_file);
};

/**
 * struct host_opts - how to run a program
 * @nodes, @num_nodes: the devices; at most HOST_NODES_MAX
 * @start: called once in the supervising process before anything is served
 * @stop: called when the last process of the program is gone and every file is released
 * @data: their first argument, and that of every node's open op
 * @selftest: present /sys/kernel/debug as the kernel's fault-injection tests want it
 * @trace: write each call served to stderr
 * @no_namespaces: do not try user and mount namespaces, answer path calls instead
 * @log: for messages of the way in itself
 */
struct host_opts {
	const struct host_node *nodes;
	size_t num_nodes;
	int (*start)(void *data, struct mem_space **ret_space);
	void (*stop)(void *data);
	void *data;
	bool selftest;
	bool trace;
	bool no_namespaces;
	struct log_sink log;
};

#define HOST_NODES_MAX 32

/**
 * host_run() - run @argv (NULL-terminated) under supervision until it ends
 *
 * Signals sent to this process go to the program; it stops and continues with it.  When the
 * program dies of a signal, so does this process, and the call does not return.  Descendants
 * that outlive the program are served on in the background.
 *
 * Context: the process has one thread.
 * Return: the program's exit status; 125 if supervision failed (said through the log), 126 if
 * the program cannot be executed, 127 if it is not found.
 */
int host_run(const struct host_opts *opts, char *const argv[]);

#endif
