/* SPDX-License-Identifier: MIT */
#include "edu.h"

#include <stdlib.h>
#include <string.h>

const struct pci_desc edu_vf_desc = {
	.model = "edu-vf",
	.vendor = EDU_VENDOR,
	.device = EDU_VF_DEVICE,
	.class_code = 0x00ff00,
	.bars = {[0] = {.size = EDU_BAR0_SIZE, .wide = true},
		 [2] = {.size = 0x2000},
		 [4] = {.size = EDU_RAM_SIZE,
			.wide = true,
			.prefetch = true,
			.areas = {{0, EDU_RAM_SIZE}}}},
	.msix_vectors = 4,
	.msix_bar = 2,
	.msix_pba = 0x1000,
	.has_pcie = true,
	.has_flr = true,
};

const struct pci_desc edu_desc = {
	.model = "edu",
	.vendor = EDU_VENDOR,
	.device = EDU_DEVICE,
	.subsystem_vendor = 0x1af4,
	.subsystem_device = 0x1100,
	.class_code = 0x00ff00,
	.revision = 0x10,
	.bars = {[0] = {.size = EDU_BAR0_SIZE, .wide = true},
		 [2] = {.size = 0x2000},
		 [4] = {.size = EDU_RAM_SIZE,
			.wide = true,
			.prefetch = true,
			.areas = {{0, EDU_RAM_SIZE}}}},
	.intx_pin = 1,
	.msi_vectors = 8,
	.msix_vectors = 16,
	.msix_bar = 2,
	.msix_pba = 0x1000,
	.has_pm = true,
	.has_pcie = true,
	.has_flr = true,
	.ats = true,
	.pri = true,
	.pasid_bits = 20,
	.acs = true,
	.sriov_vfs = EDU_VFS,
	.vf = &edu_vf_desc,
};

static bool in_memory(const struct pci_dev *pdev, unsigned int bar)
{
	return pdev->access == PCI_ACCESS_POLL || (bar == EDU_RAM_BAR && pci_in_memory(pdev));
}

/* ---- registers ---- */

static u64 reg_get(const struct edu *edu, u64 offset, unsigned int size)
{
	u64 value = 0;

	memcpy(&value, edu->regs + offset, size);
	return value;
}

static void reg_put(struct edu *edu, u64 offset, u64 value, unsigned int size)
{
	memcpy(edu->regs + offset, &value, size);
	pci_bar_publish(&edu->pdev, 0, offset, value, size);
}

/* Do the copy that is asked for; the lock is not held over DMA. */
static void edu_copy(struct edu *edu, u32 doorbell)
{
	u8 buf[EDU_COPY_MAX];
	u64 src, dst;
	u32 len, vector;
	int rc;

	mutex_lock(&edu->lock);
	src = reg_get(edu, EDU_SRC, 8);
	dst = reg_get(edu, EDU_DST, 8);
	len = (u32)reg_get(edu, EDU_LEN, 4);
	vector = (u32)reg_get(edu, EDU_VECTOR, 4);
	mutex_unlock(&edu->lock);
	rc = len > sizeof(buf) ? -EINVAL : 0;
	if (!rc)
		rc = iommufd_dma_read(&edu->pdev.dev, IOMMU_NO_PASID, src, buf, len, NULL);
	if (!rc)
		rc = iommufd_dma_write(&edu->pdev.dev, IOMMU_NO_PASID, dst, buf, len, NULL);
	mutex_lock(&edu->lock);
	reg_put(edu, EDU_STATUS, (u32)rc, 4);
	reg_put(edu, EDU_DONE, doorbell, 4);
	mutex_unlock(&edu->lock);
	pci_raise(&edu->pdev, vector);
}

/* What a program has left in memory becomes what we know. */
static void edu_look(struct edu *edu)
{
	static const u8 words[] = {EDU_SCRATCH, EDU_SRC,    EDU_SRC + 4,  EDU_DST, EDU_DST + 4,
				   EDU_LEN,	EDU_VECTOR, EDU_DOORBELL, EDU_PIN};
	bool level;

	mutex_lock(&edu->lock);
	/* The doorbell first: what was written before it is then there, too. */
	for (size_t i = 0; i < sizeof(words); i++) {
		u8 at = i ? words[i - 1] : EDU_DOORBELL;
		u32 value;

		if (i && at == EDU_DOORBELL)
			continue;
		value = (u32)pci_bar_peek(&edu->pdev, 0, at, 4);
		memcpy(edu->regs + at, &value, 4);
	}
	memcpy(edu->regs + EDU_PIN, &(u32){(u32)pci_bar_peek(&edu->pdev, 0, EDU_PIN, 4)}, 4);
	level = reg_get(edu, EDU_PIN, 4);
	mutex_unlock(&edu->lock);
	pci_intx(&edu->pdev, level);
}

static bool edu_work(struct pci_dev *pdev)
{
	struct edu *edu = to_edu(pdev);
	u32 doorbell, done;

	atomic_store(&edu->in_work, true);
	atomic_fetch_add(&edu->works, 1);
	if (pdev->access == PCI_ACCESS_POLL)
		edu_look(edu);
	mutex_lock(&edu->lock);
	doorbell = (u32)reg_get(edu, EDU_DOORBELL, 4);
	done = (u32)reg_get(edu, EDU_DONE, 4);
	mutex_unlock(&edu->lock);
	if (doorbell != done)
		edu_copy(edu, doorbell);
	atomic_store(&edu->in_work, false);
	return doorbell != done;
}

static u64 edu_bar_read(struct pci_dev *pdev, unsigned int bar, u64 offset, unsigned int size)
{
	struct edu *edu = to_edu(pdev);
	u64 value = 0;

	if (in_memory(pdev, bar))
		return pci_bar_peek(pdev, bar, offset, size);
	mutex_lock(&edu->lock);
	if (bar == 0)
		value = reg_get(edu, offset, size);
	else if (bar == EDU_RAM_BAR)
		memcpy(&value, edu->ram + offset, size);
	mutex_unlock(&edu->lock);
	return value;
}

static void edu_bar_write(struct pci_dev *pdev, unsigned int bar, u64 offset, const void *data,
			  unsigned int size)
{
	struct edu *edu = to_edu(pdev);
	bool level;

	if (in_memory(pdev, bar)) {
		for (unsigned int i = 0; i < size; i++)
			pci_bar_publish(pdev, bar, offset + i, ((const u8 *)data)[i], 1);
		pci_dev_kick(pdev);
		return;
	}
	mutex_lock(&edu->lock);
	if (size == 64)
		atomic_fetch_add(&edu->stores, 1);
	if (bar == 0 && offset >= EDU_SCRATCH && offset + size <= sizeof(edu->regs))
		memcpy(edu->regs + offset, data, size);
	else if (bar == EDU_RAM_BAR)
		memcpy(edu->ram + offset, data, size);
	level = reg_get(edu, EDU_PIN, 4);
	mutex_unlock(&edu->lock);
	pci_intx(pdev, level);
	pci_dev_kick(pdev);
}

/* ---- life ---- */

static void edu_reset(struct pci_dev *pdev)
{
	struct edu *edu = to_edu(pdev);

	assert(!atomic_load(&edu->in_work));
	assert(!pci_bus_master(pdev));
	atomic_fetch_add(&edu->resets, 1);
	mutex_lock(&edu->lock);
	memset(edu->regs, 0, sizeof(edu->regs));
	if (edu->ram)
		memset(edu->ram, 0, EDU_RAM_SIZE);
	reg_put(edu, 0, EDU_ID, 4);
	mutex_unlock(&edu->lock);
}

static int edu_opened(struct pci_dev *pdev)
{
	return to_edu(pdev)->open_error;
}

static int edu_vf_create(struct pci_dev *pf, unsigned int index, struct pci_dev **ret_vf)
{
	struct edu *vf = edu_create(&edu_vf_desc, pf->access);

	vf->destroyed = to_edu(pf)->destroyed;
	*ret_vf = &vf->pdev;
	return 0;
}

static int edu_vf_enable(struct pci_dev *pf, unsigned int index, bool on)
{
	return on && index >= to_edu(pf)->refuse_vf ? -EPERM : 0;
}

/* All there is to it is in the registers and the memory. */
static int edu_migrate_save(struct pci_dev *pdev, void **ret_data, size_t *ret_len)
{
	struct edu *edu = to_edu(pdev);
	u8 *data = malloc(sizeof(edu->regs));

	if (!data)
		return -ENOMEM;
	mutex_lock(&edu->lock);
	memcpy(data, edu->regs, sizeof(edu->regs));
	mutex_unlock(&edu->lock);
	*ret_data = data;
	*ret_len = sizeof(edu->regs);
	return 0;
}

static int edu_migrate_load(struct pci_dev *pdev, const void *data, size_t len)
{
	struct edu *edu = to_edu(pdev);

	if (len != sizeof(edu->regs))
		return -EINVAL;
	mutex_lock(&edu->lock);
	memcpy(edu->regs, data, len);
	for (size_t i = 0; i < len; i += 8)
		pci_bar_publish(pdev, 0, i, reg_get(edu, i, 8), 8);
	mutex_unlock(&edu->lock);
	return 0;
}

static void edu_destroy(struct pci_dev *pdev)
{
	struct edu *edu = to_edu(pdev);

	if (edu->destroyed)
		atomic_fetch_add(edu->destroyed, 1);
	mutex_destroy(&edu->lock);
	free(edu->ram);
	free(edu);
}

static int edu_inject(struct pci_dev *pdev, const char *what, const char *argument)
{
	if (strcmp(what, "fatal") != 0)
		return -EINVAL;
	pci_fatal(pdev);
	return 0;
}

static const struct pci_ops edu_ops = {
	.bar_read = edu_bar_read,
	.bar_write = edu_bar_write,
	.work = edu_work,
	.reset = edu_reset,
	.opened = edu_opened,
	.vf_create = edu_vf_create,
	.vf_enable = edu_vf_enable,
	.migrate_save = edu_migrate_save,
	.migrate_load = edu_migrate_load,
	.destroy = edu_destroy,
	.inject = edu_inject,
};

struct edu *edu_create(const struct pci_desc *desc, enum pci_access access)
{
	struct edu *edu = calloc(1, sizeof(*edu));

	mutex_init(&edu->lock);
	edu->desc = desc ? *desc : edu_desc;
	edu->pdev.desc = &edu->desc;
	edu->pdev.ops = &edu_ops;
	edu->pdev.access = access;
	edu->refuse_vf = UINT32_MAX;
	if (!pci_in_memory(&edu->pdev))
		edu->ram = calloc(1, EDU_RAM_SIZE);
	return edu;
}
