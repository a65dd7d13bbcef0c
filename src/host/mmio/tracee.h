/* SPDX-License-Identifier: MIT */
/*
 * One traced thread at a fault: its registers, its mappings of ours, and what it was about to do.
 */
#ifndef HOST_MMIO_TRACEE_H
#define HOST_MMIO_TRACEE_H

#include "base/types.h"

struct host;

/** struct tracee_map - a mapping of one of our files; @prot as mmap() has it */
struct tracee_map {
	u64 start, end; /* end is not in it */
	u64 offset;     /* of start in the file */
	u64 dev, ino;
	int prot;
};

/**
 * struct tracee_maps - those of the process looked at last
 * @tgid: 0: of none
 * @generation: of the host's mappings then
 */
struct tracee_maps {
	pid_t tgid;
	u64 generation;
	struct tracee_map *maps;
	size_t n, max;
};

/**
 * tracee_fault() - the thread stands before SIGBUS or SIGILL @sig: is it about something of ours?
 * @tgid: its process; @generation: changes whenever somebody maps something
 * Context: the tracer's thread; no lock is held.
 * Return: true: done, and it stands behind the instruction; false: the signal is its own.
 */
bool tracee_fault(struct host *host, struct tracee_maps *maps, pid_t tid, pid_t tgid,
		  u64 generation, int sig);
void tracee_maps_fini(struct tracee_maps *maps);

#endif
