/* SPDX-License-Identifier: MIT */
/*
 * A machine with the generic IOMMU, one device behind it that is bound, an ioas and memory:
 * commands are functions that return what the ioctl would.
 */
#ifndef TESTS_MACHINE_H
#define TESTS_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <iommufd/ctx.h>
#include <iommufd/device.h>
#include <iommufd/dma.h>
#include <iommufd/driver.h>
#include <iommufd/generic.h>
#include <iommufd/uapi/iommufd.h>

#include "core/system.h"

#define SZ_4K 0x1000ULL
#define SZ_2M 0x200000ULL
#define PASIDS (1u << 20)
#define LENGTH (8 * SZ_2M)
#define R IOMMU_READ
#define W IOMMU_WRITE
#define MAP_RW (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

struct machine {
	struct iommufd_system *system;
	struct iommufd_process *proc;
	struct iommufd_ctx *ctx;
	int fd;
	u32 ioas;
	struct device *dev;
	struct iommufd_device *idev;
	u32 dev_id;
	char *memory; /* LENGTH bytes, aligned to 2 MiB */
};

extern struct machine m;

/* For cmocka; the end fails if a pin is left or a structure unsound. */
int machine_begin(void **state);
int machine_begin_precise(void **state); /* with precise_dirty */
int machine_end(void **state);

int command(unsigned int cmd, void *arg);
int map(u64 iova, char *va, u64 length, u32 rights);
int unmap(u64 iova, u64 length);
int hwpt_alloc(u32 flags, u32 *ret_id);
void attach(u32 pasid, u32 pt); /* must work */
int read_bitmap(u32 hwpt, u64 iova, u64 length, u64 page, u64 *bits);
int track(u32 hwpt, bool on);

#endif
