/* SPDX-License-Identifier: MIT */
/*
 * The way in for unmodified programs: run one under a seccomp user-notification
 * supervisor that answers its system calls on our device nodes.  The room knows
 * descriptors, paths and processes; what a node means is behind its open op.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "base/log.h"
#include "base/types.h"

struct iommufd_system;

/**
 * struct host_opts - how to run a program
 * @start: called once in the supervising process before anything is served: the system, whose
 *	tree (core/tree.h) is what the program finds under /dev and /sys, now and later
 * @stop: called when the last process of the program is gone and every file is released
 * @data: their first argument
 * @selftest: present /sys/kernel/debug as the kernel's fault-injection tests want it
 * @trace: write each call served to stderr
 * @no_namespaces: do not try user and mount namespaces, answer path calls instead
 * @log: for messages of the way in itself
 */
struct host_opts {
	int (*start)(void *data, struct iommufd_system **ret_system);
	void (*stop)(void *data);
	void *data;
	bool selftest;
	bool trace;
	bool no_namespaces;
	struct log_sink log;
};

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
