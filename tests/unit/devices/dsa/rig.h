/* SPDX-License-Identifier: MIT */
/*
 * A machine with one DSA behind the generic IOMMU, memory, and the few lines of a driver
 * that the tests share.  Addresses of the memory: iova BASE + n is rig.memory[n].
 */
#ifndef TESTS_DSA_RIG_H
#define TESTS_DSA_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <iommufd/ctx.h>
#include <iommufd/device.h>
#include <iommufd/generic.h>
#include <iommufd/uapi/iommufd.h>

#include "core/system.h"
#include "devices/dsa/dsa.h"
#include "pci/topology.h"

#define BASE   0x100000000ULL
#define LENGTH (8UL << 20)
#define HOLE   0x200000000ULL /* nothing is mapped there */

/* Where in the memory the driver has its things; data is from DATA on. */
#define RECORDS 0x0
#define LIST	0x10000
#define DATA	0x100000

#define WANT (DSA_FLAG_RECORD_OK | DSA_FLAG_RECORD)

struct rig {
	struct iommufd_system *system;
	struct iommufd_process *proc;
	struct iommufd_ctx *ctx;
	int fd;
	u32 ioas, dev_id;
	struct pci_topology *topology;
	struct pci_dev *pdev;
	struct dsa *dsa;
	struct pci_client client;
	struct iommufd_device *idev;
	u8 *memory;
	_Atomic u32 irqs[DSA_MAX_VECTORS];
	u32 records; /* handed out */
};

extern struct rig rig;

/* For cmocka; the second with a queue enabled as the kernel's driver does it. */
int rig_begin(void **state);
int rig_begin_enabled(void **state);
int rig_end(void **state);
int rig_begin_with(const struct device_option *options, size_t num);

int command(unsigned int cmd, void *arg);
int map(u64 iova, void *va, u64 length);
int unmap(u64 iova, u64 length);

/* Registers */
u32 rd32(u64 offset);
u64 rd64(u64 offset);
void wr32(u64 offset, u32 value);
void wr64(u64 offset, u64 value);
/* A command, and its error; waits while it is active. */
u8 dsa_command(u32 code, u32 operand);
void bus_master(bool on);

/* A queue's registers: dword 2 and 3 */
#define WQ_DEDICATED (DSA_WQ_DEDICATED | 1 << 4)
void configure_queue(u32 wq, u32 size, u32 dword2);
void configure_group(u32 group, u64 wqs, u64 engines);
void enable_device_and_queue(void);

/* A record of 32 bytes, cleared, in memory; its iova */
struct dsa_record *record_new(u64 *ret_iova);
/* A descriptor with a record that is wanted */
struct dsa_desc descriptor(u8 op, u32 flags, struct dsa_record **ret_record);
void submit(u32 wq, const struct dsa_desc *desc);
/* Wait for a status; fails after some seconds.  Any but 0. */
u8 wait_for(struct dsa_record *record);
/* submit to queue 0 and wait: what came out */
struct dsa_record run(struct dsa_desc *desc);
struct dsa_record run_status(struct dsa_desc *desc, u8 status);
u32 irqs_until(u32 vector, u32 count);

/* Pseudo-random, the same each time */
u64 chance(void);
void fill_random(u8 *data, size_t len);

#endif
