/* SPDX-License-Identifier: MIT */
/*
 * A system with an IOMMU and a topology, a program with an IOAS, and clients that
 * remember what they were told.
 */
#ifndef TEST_PCI_RIG_H
#define TEST_PCI_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <iommufd/ctx.h>
#include <linux/pci_regs.h>
#include <iommufd/device.h>

#include "core/self.h"
#include "edu.h"
#include "mem/device_mem.h"

/** struct told - a client */
struct told {
	struct pci_client client;
	_Atomic u32 irqs[32];
	_Atomic u32 errors;
	_Atomic bool level;
	_Atomic u32 levels;
	_Atomic u32 resets;
	struct edu *edu;
};

/**
 * struct rig - the machine
 * @memory: RIG_MEMORY bytes, mapped at RIG_IOVA of @ioas
 */
struct rig {
	struct iommufd_system *system;
	struct pci_topology *topology;
	struct iommufd_process *proc;
	int fd;
	struct iommufd_ctx *ctx;
	u32 ioas;
	u8 *memory;
	_Atomic u32 destroyed;
};

#define RIG_MEMORY 0x10000UL
#define RIG_IOVA   0x40000000ULL
#define RIG_PEER   0x80000000ULL /* where rig_map_bar() puts a BAR */

int rig_begin(void **state);
int rig_end(void **state);

/** rig_add() - an edu at @address, behind the generic IOMMU */
struct edu *rig_add(struct rig *rig, const char *address, const struct pci_desc *desc,
		    enum pci_access access);
/** rig_open() - drive it */
void rig_open(struct edu *edu, struct told *told, struct mem_device *memory);
void rig_close(struct told *told);
/** rig_attach() - to the rig's IOAS, by a bound device */
struct iommufd_device *rig_attach(struct rig *rig, struct edu *edu);
void rig_detach(struct iommufd_device *idev);
/** rig_map_bar() - a BAR of an open function at RIG_PEER; rig_unmap_bar() */
void rig_map_bar(struct rig *rig, struct edu *edu, unsigned int bar);
void rig_unmap_bar(struct rig *rig, struct edu *edu, unsigned int bar);
/** rig_read(), rig_write() - the file of that name, whole; bytes or -errno */
ssize_t rig_read(struct rig *rig, const char *path, char *buf, size_t size);
ssize_t rig_write(struct rig *rig, const char *path, const char *text);

static inline struct pci_addr rig_addr(const char *text)
{
	struct pci_addr addr;

	assert_true(pci_addr_parse(text, &addr));
	return addr;
}

static inline void cfg_write(struct edu *edu, u32 offset, u32 value, unsigned int len)
{
	pci_config_write(&edu->pdev, offset, value, len);
}

static inline u32 cfg_read(struct edu *edu, u32 offset, unsigned int len)
{
	return pci_config_read(&edu->pdev, offset, len);
}

static inline void cfg_master(struct edu *edu, bool on)
{
	cfg_write(edu, PCI_COMMAND, PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0), 2);
}

static inline u64 bar_read(struct edu *edu, unsigned int bar, u64 offset, unsigned int size)
{
	u64 value = 0;

	assert_int_equal(pci_bar_access(&edu->pdev, bar, offset, &value, size, false), 0);
	return value;
}

static inline void bar_write(struct edu *edu, unsigned int bar, u64 offset, u64 value,
			     unsigned int size)
{
	assert_int_equal(pci_bar_access(&edu->pdev, bar, offset, &value, size, true), 0);
}

/** rig_wait() - until @what; only who hangs takes a minute */
#define rig_wait(what)                                                                             \
	do {                                                                                       \
		for (int tries_ = 0; !(what) && tries_ < 600000; tries_++)                         \
			usleep(100);                                                               \
		assert_true(what);                                                                 \
	} while (0)

/** rig_copy() - let @edu copy by DMA, and wait; its status */
static inline int rig_copy(struct edu *edu, u64 dst, u64 src, u32 len, u32 doorbell)
{
	bar_write(edu, 0, EDU_SRC, src, 8);
	bar_write(edu, 0, EDU_DST, dst, 8);
	bar_write(edu, 0, EDU_LEN, len, 4);
	bar_write(edu, 0, EDU_DOORBELL, doorbell, 4);
	rig_wait(bar_read(edu, 0, EDU_DONE, 4) == doorbell);
	return (int)(u32)bar_read(edu, 0, EDU_STATUS, 4);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, rig_begin, rig_end)

#endif
