/* SPDX-License-Identifier: MIT */
/*
 * A mover of memory, as a mediated device would be: nothing of it does DMA.  It has
 * no IOMMU in front of it; its model reads and writes the memory of whoever drives it
 * through an access of the IOAS it is attached to.
 *
 * BAR 0, little endian, 4 or 8 bytes:
 *
 *	0x00 ID      reads 0x52564f4d ("MOVR")
 *	0x08 SOURCE  iova
 *	0x10 TARGET  iova
 *	0x18 LENGTH  bytes, at most 16 MiB
 *	0x20 GO      writing 1 copies LENGTH bytes; reads 1 until that is done
 *	0x28 STATUS  of the last copy: 0, or an errno
 *
 * A copy that is done raises MSI vector 0, or the pin until STATUS is written.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "devices/devices.h"

#define MOVER_ID  0x52564f4dU
#define MOVER_MAX (16U << 20)
#define CHUNK	  (64U << 10)

enum { REG_ID, REG_SOURCE, REG_TARGET, REG_LENGTH, REG_GO, REG_STATUS, NUM_REGS };

/**
 * struct mover - a device
 * @lock: guards @regs; not held while memory is copied
 * @chunk: work()'s
 */
struct mover {
	struct pci_dev pdev;
	struct mutex lock;
	u64 regs[NUM_REGS] __guarded_by(&lock);
	u8 chunk[CHUNK];
};

static const struct pci_desc mover_desc = {
	.model = "mover",
	.vendor = 0x1209,
	.device = 0x4d56,
	.subsystem_vendor = 0x1209,
	.subsystem_device = 0x4d56,
	.class_code = 0x088000,
	.revision = 1,
	.bars = {{.size = PAGE_SIZE}},
	.intx_pin = 1,
	.msi_vectors = 1,
	.has_pm = true,
	.has_pcie = true,
	.has_flr = true,
};

static struct mover *to_mover(struct pci_dev *pdev)
{
	return container_of(pdev, struct mover, pdev);
}

static void mover_publish(struct mover *mover) __must_hold(&mover->lock)
{
	for (unsigned int i = 0; i < NUM_REGS; i++)
		pci_bar_publish(&mover->pdev, 0, 8 * i, mover->regs[i], 8);
}

/* ---- registers ---- */

static u64 mover_read(struct pci_dev *pdev, unsigned int bar, u64 offset, unsigned int size)
{
	struct mover *mover = to_mover(pdev);
	u64 value = 0;

	if (size < 4 || offset / 8 >= NUM_REGS)
		return 0;
	mutex_lock(&mover->lock);
	memcpy(&value, (const u8 *)&mover->regs[offset / 8] + offset % 8, size);
	mutex_unlock(&mover->lock);
	return value;
}

static void mover_set(struct mover *mover, unsigned int reg, u64 value) __must_hold(&mover->lock)
{
	switch (reg) {
	case REG_GO:
		mover->regs[REG_GO] |= value & 1;
		break;
	case REG_SOURCE:
	case REG_TARGET:
	case REG_LENGTH:
		mover->regs[reg] = value;
		break;
	case REG_STATUS:
		mover->regs[REG_STATUS] = 0;
		break;
	}
}

static void mover_write(struct pci_dev *pdev, unsigned int bar, u64 offset, const void *data,
			unsigned int size)
{
	struct mover *mover = to_mover(pdev);
	unsigned int reg = (unsigned int)(offset / 8);
	u64 value;

	if (size < 4 || size > 8 || reg >= NUM_REGS)
		return;
	mutex_lock(&mover->lock);
	value = mover->regs[reg];
	memcpy((u8 *)&value + offset % 8, data, size);
	mover_set(mover, reg, value);
	mover_publish(mover);
	mutex_unlock(&mover->lock);
	if (reg == REG_STATUS)
		pci_intx(pdev, false);
	pci_dev_kick(pdev);
}

/* In poll mode a program wrote into memory what it would have written to a register. */
static void mover_look(struct mover *mover) __must_hold(&mover->lock)
{
	if (mover->pdev.access != PCI_ACCESS_POLL)
		return;
	if (mover->regs[REG_GO] || !(pci_bar_peek(&mover->pdev, 0, 8 * REG_GO, 4) & 1))
		return;
	for (unsigned int reg = REG_SOURCE; reg <= REG_GO; reg++)
		mover_set(mover, reg, pci_bar_peek(&mover->pdev, 0, 8 * reg, 8));
}

/* ---- moving ---- */

static int mover_copy(struct mover *mover, u64 source, u64 target, u64 length)
{
	struct pci_dev *pdev = &mover->pdev;
	int rc = 0;

	if (!length || length > MOVER_MAX || !pdev->memory)
		return -EINVAL;
	while (length && !rc) {
		size_t n = (size_t)MIN(length, CHUNK);

		rc = pdev->memory(pdev, source, mover->chunk, n, false);
		if (!rc)
			rc = pdev->memory(pdev, target, mover->chunk, n, true);
		source += n;
		target += n;
		length -= n;
	}
	return rc;
}

static bool mover_work(struct pci_dev *pdev)
{
	struct mover *mover = to_mover(pdev);
	u64 source, target, length;
	bool go;
	int rc;

	mutex_lock(&mover->lock);
	mover_look(mover);
	go = mover->regs[REG_GO];
	source = mover->regs[REG_SOURCE];
	target = mover->regs[REG_TARGET];
	length = mover->regs[REG_LENGTH];
	mutex_unlock(&mover->lock);
	if (!go)
		return false;
	rc = mover_copy(mover, source, target, length);
	mutex_lock(&mover->lock);
	mover->regs[REG_STATUS] = (u64)-rc;
	mover->regs[REG_GO] = 0;
	mover_publish(mover);
	mutex_unlock(&mover->lock);
	if (pci_irq_mode(pdev) == PCI_IRQ_MSI)
		pci_raise(pdev, 0);
	else
		pci_intx(pdev, true);
	return true;
}

/* ---- life ---- */

static void mover_reset(struct pci_dev *pdev)
{
	struct mover *mover = to_mover(pdev);

	mutex_lock(&mover->lock);
	memset(mover->regs, 0, sizeof(mover->regs));
	mover->regs[REG_ID] = MOVER_ID;
	mover_publish(mover);
	mutex_unlock(&mover->lock);
	pci_intx(pdev, false);
}

static void mover_destroy(struct pci_dev *pdev)
{
	struct mover *mover = to_mover(pdev);

	mutex_destroy(&mover->lock);
	free(mover);
}

static const struct pci_ops mover_ops = {
	.bar_read = mover_read,
	.bar_write = mover_write,
	.work = mover_work,
	.reset = mover_reset,
	.destroy = mover_destroy,
};

static int mover_create(struct iommufd_system *system, const struct device_option *options,
			size_t num_options, struct pci_dev **ret_pdev, char *error,
			size_t error_size)
{
	struct mover *mover;

	if (num_options) {
		snprintf(error, error_size, "%s: a mover has no options", options[0].key);
		return -EINVAL;
	}
	mover = fault_point("mover") ? NULL : zalloc(sizeof(*mover));
	if (!mover)
		return -ENOMEM;
	mutex_init(&mover->lock);
	mover->pdev.desc = &mover_desc;
	mover->pdev.ops = &mover_ops;
	*ret_pdev = &mover->pdev;
	return 0;
}

static const char *const mover_keys[] = {NULL};

const struct device_model mover_model = {
	.name = "mover",
	.line = "copies memory by an access, doing no DMA (an emulated device)",
	.keys = mover_keys,
	.access = PCI_ACCESS_NO_MMAP,
	.emulated = true,
	.create = mover_create,
};
