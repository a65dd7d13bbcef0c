/* SPDX-License-Identifier: MIT */
/*
 * A small device for tests: a register to read back, a doorbell that starts a copy by DMA, and an
 * interrupt when it is done.  It behaves alike in all modes.
 *
 * BAR 0, 4 KiB, 64-bit:
 *   0x00 u32 id 0xed0e0001, read only        0x04 u32 scratch
 *   0x08 u64 source iova                     0x10 u64 destination iova
 *   0x18 u32 length, at most EDU_COPY_MAX    0x1c u32 vector to raise when done
 *   0x20 u32 doorbell: a number other than the last one starts a copy
 *   0x24 u32 done: the last doorbell         0x28 u32 status: 0, or -errno of the copy
 *   0x2c u32 level of the INTx pin: written by the program
 *   0x40 64 bytes that take a direct store
 * BAR 2, 8 KiB: MSI-X table at 0, pending bits at 0x1000
 * BAR 4, 64 KiB, 64-bit: memory
 */
#ifndef TEST_PCI_EDU_H
#define TEST_PCI_EDU_H

#include "pci/topology.h"

#define EDU_ID	      0xed0e0001U
#define EDU_SCRATCH   0x04
#define EDU_SRC	      0x08
#define EDU_DST	      0x10
#define EDU_LEN	      0x18
#define EDU_VECTOR    0x1c
#define EDU_DOORBELL  0x20
#define EDU_DONE      0x24
#define EDU_STATUS    0x28
#define EDU_PIN	      0x2c
#define EDU_STORE     0x40
#define EDU_BAR0_SIZE 0x1000
#define EDU_RAM_BAR   4
#define EDU_RAM_SIZE  0x10000
#define EDU_COPY_MAX  4096
#define EDU_VENDOR    0x1234
#define EDU_DEVICE    0x11e8
#define EDU_VF_DEVICE 0x11e9
#define EDU_VFS	      8

/**
 * struct edu - the device
 * @regs: BAR 0; in poll mode what work() knows of it
 * @ram: BAR 4, in no-mmap and trap modes; in split mode it is mapped, and BAR 0 is not
 * @works, @resets: calls counted
 * @in_work: inside work(); a test asserts that it never is where it may not
 * @refuse_vf: vf_enable() says -EPERM from this one on
 */
struct edu {
	struct pci_dev pdev;
	struct pci_desc desc;
	struct mutex lock;
	u8 regs[EDU_BAR0_SIZE];
	u8 *ram;
	_Atomic u32 works, resets, stores;
	_Atomic bool in_work;
	_Atomic u32 *destroyed;
	unsigned int refuse_vf;
	int open_error;
};

extern const struct pci_desc edu_desc, edu_vf_desc;

/** edu_create() - one as @desc says (copied; NULL: edu_desc) */
struct edu *edu_create(const struct pci_desc *desc, enum pci_access access);
static inline struct edu *to_edu(struct pci_dev *pdev)
{
	return container_of(pdev, struct edu, pdev);
}

#endif
