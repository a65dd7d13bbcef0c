/* SPDX-License-Identifier: MIT */
/*
 * A machine with one NVMe disk behind the generic IOMMU, memory, and a small driver, for all
 * three ways to reach registers.  iova BASE + n is rig.memory[n].
 */
#ifndef TESTS_NVME_RIG_H
#define TESTS_NVME_RIG_H

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

#include "base/fault.h"
#include "core/system.h"
#include "devices/nvme/nvme.h"
#include "pci/topology.h"

#define BASE   0x100000000ULL
#define LENGTH (16UL << 20)
#define HOLE   0x200000000ULL /* nothing is mapped there */
#define RO     0x300000000ULL /* one page that can be read only */
#define PAGE   4096U

/* Where in the memory the driver has its things. */
#define AT_QUEUES 0x0	   /* 512 KiB each pair */
#define AT_PAGE	  0x400000 /* of identify and the like */
#define AT_LISTS  0x410000
#define AT_DATA	  0x800000

#define PAIRS 8

/** struct pair - a submission queue and its completion queue */
struct pair {
	u16 id;
	u32 size, tail, head;
	bool phase;
};

struct rig {
	struct iommufd_system *system;
	struct iommufd_process *proc;
	struct iommufd_ctx *ctx;
	int fd;
	u32 ioas, dev_id;
	struct pci_topology *topology;
	struct pci_dev *pdev;
	struct nvme *nvme;
	struct pci_client client;
	struct iommufd_device *idev;
	u8 *memory;
	_Atomic u32 irqs[NVME_QUEUES];
	_Atomic u32 errors;
	_Atomic bool pin;
	struct fault_state
		*_Atomic worker_faults; /* of the thread of work(), from its next interrupt on */
	_Atomic u16 next_cid;
	struct pair pairs[PAIRS];
};

extern struct rig rig;

/** rig_begin() - open, bus master on, not enabled; rig_begin_on() enabled, with pair 1 */
void rig_begin(enum pci_access access, const struct device_option *options, size_t num);
void rig_begin_on(enum pci_access access, const struct device_option *options, size_t num);
void rig_end(void);
/** rig_attach(), rig_detach() - of another function, for VFs */
struct iommufd_device *rig_bind(struct pci_dev *pdev);
void rig_unbind(struct iommufd_device *idev);

int rig_map(u64 iova, void *va, u64 length, bool writable);
int rig_unmap(u64 iova, u64 length);
void bus_master(bool on);

/* Registers, as the mode has them. */
u32 rd32(u32 offset);
u64 rd64(u32 offset);
void wr32(u32 offset, u32 value);
void wr64(u32 offset, u64 value);
/** wait_reg() - until the bits of @mask are @value */
void wait_reg(u32 offset, u32 mask, u32 value);

/* The driver. */
void enable(void);
void disable(void);
struct nvme_cmd *slot(struct pair *pair);
/** submit() - copy it, give it an id, ring; the id */
u16 submit(struct pair *pair, const struct nvme_cmd *cmd);
/** wait_posted() - until the @n-th completion from here is there; takes none */
void wait_posted(const struct pair *pair, u32 n);
/** wait_fetched() - until work() has looked at what was submitted to each queue so far */
void wait_fetched(void);
/** reap() - the next completion; try_reap() one if it is there */
struct nvme_cqe reap(struct pair *pair);
bool try_reap(struct pair *pair, struct nvme_cqe *ret);
/** run() - one command, its status without the phase and the "more" bit */
int run(struct pair *pair, const struct nvme_cmd *cmd, u32 *ret_result);
int admin(const struct nvme_cmd *cmd, u32 *ret_result);
/** make_pair() - pair @id of @size entries, with vector @id */
void make_pair(u16 id, u32 size);
int create_cq(u16 id, u32 size, u16 vector, u64 at);
int create_sq(u16 id, u32 size, u16 cq_id, u64 at);
int delete_queue(u8 opcode, u16 id);
int identify(u32 cns, u32 nsid);
int get_log(u32 page, u32 flags, u32 len, u64 offset);
int set_feature(u32 id, u32 value, u32 *ret_result);
int get_feature(u32 id, u32 value, u32 *ret_result);
/** rw() - blocks at @lba, data in one piece at @at */
int rw(u8 opcode, u64 lba, u32 blocks, u64 at);
struct nvme_cmd rw_cmd(u8 opcode, u64 lba, u32 blocks, u64 at);

u64 pair_sq(u16 id);
u64 pair_cq(u16 id);
static inline void *at(u64 offset)
{
	return rig.memory + offset;
}

#endif
