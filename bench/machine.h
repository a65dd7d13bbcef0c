/* SPDX-License-Identifier: MIT */
/*
 * What benchmarks in process begin with: a system that trusts the program's memory, a process of
 * it, an open /dev/iommu and an address space.
 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdint.h>

#include <iommufd/ctx.h>
#include <iommufd/system.h>

struct machine {
	struct iommufd_system *system;
	struct iommufd_process *proc;
	struct iommufd_ctx *ctx;
	int fd;
	uint32_t ioas;
};

/** machine_open() - the program ends with a line if it cannot be had */
void machine_open(struct machine *m);
/** machine_close() - devices are gone */
void machine_close(struct machine *m);
/** machine_command() - an ioctl that has to work; @what is said if it does not */
void machine_command(struct machine *m, unsigned int number, void *cmd, const char *what);
/** machine_map() - @length bytes at @va for reading and writing, at @iova */
void machine_map(struct machine *m, uint64_t iova, void *va, uint64_t length);

#endif
