/* SPDX-License-Identifier: MIT */
/*
 * A device to drive: what its registers are told to do, it does at once.
 */
#ifndef TESTS_TOY_H
#define TESTS_TOY_H

#include "pci/pci.h"

#define TOY_ID	     0x00 /* TOY_MAGIC */
#define TOY_SCRATCH  0x08
#define TOY_RAISE    0x10 /* raise this vector */
#define TOY_INTX     0x18 /* the pin */
#define TOY_DMA_ADDR 0x20
#define TOY_DMA_GO   0x28 /* 1: scratch to memory, 2: memory to scratch */
#define TOY_DMA_RC   0x30 /* of the latest: 0 or an errno */
#define TOY_FATAL    0x38
#define TOY_DIRECT   0x40 /* what was stored by 64 bytes at once; 64 bytes */
#define TOY_MAGIC    0x746f79
#define TOY_BAR0     0x10000
#define TOY_TABLE    0x8000
#define TOY_PBA	     0xc000
#define TOY_VECTORS  8
#define TOY_BAR2     0x4000
/* What is mapped in split mode: these pages, those of the MSI-X table, and BAR 2. */
#define TOY_AREA      0x2000
#define TOY_AREA_SIZE 0x3000

struct vfio;

/**
 * struct toy - the device
 * @vfio: where an emulated one finds memory; NULL: it does DMA
 * @lock: the registers
 * @resets: how often; @fail_open: the errno opening gives
 * @big_lock: held while it raises interrupts, as a model may
 */
struct toy {
	struct pci_dev pdev;
	struct vfio *vfio;
	struct mutex lock;
	u64 scratch, dma_addr, dma_rc;
	u8 direct[64];
	_Atomic u32 resets;
	_Atomic int fail_open;
	_Atomic u32 direct_stores;
};

struct pci_topology;

enum { TOY_NO_FLR = 1, TOY_NO_MIGRATION = 2, TOY_SRIOV = 4, TOY_EMULATED = 8, TOY_NO_ACS = 16 };
/** toy_add() - a new one at @addr, behind the generic IOMMU unless emulated */
struct toy *toy_add(struct pci_topology *topology, struct pci_addr addr, enum pci_access access,
		    unsigned int flags);

#endif
