/* SPDX-License-Identifier: MIT */
#include "toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <iommufd/dma.h>
#include <iommufd/generic.h>

#include "pci/topology.h"
#include "vfio/vfio.h"

static struct toy *to_toy(struct pci_dev *pdev)
{
	return container_of(pdev, struct toy, pdev);
}

static u64 toy_read(struct pci_dev *pdev, unsigned int bar, u64 offset, unsigned int size)
{
	struct toy *toy = to_toy(pdev);
	u64 value = 0;

	if (bar)
		return pci_bar_peek(pdev, bar, offset, size);
	mutex_lock(&toy->lock);
	if (offset == TOY_ID)
		value = TOY_MAGIC;
	else if (offset == TOY_SCRATCH)
		value = toy->scratch;
	else if (offset == TOY_SCRATCH + 4)
		value = toy->scratch >> 32;
	else if (offset == TOY_DMA_RC)
		value = toy->dma_rc;
	else if (offset >= TOY_DIRECT && offset + size <= TOY_DIRECT + 64)
		memcpy(&value, toy->direct + (offset - TOY_DIRECT), size);
	mutex_unlock(&toy->lock);
	return value;
}

static int toy_move(struct toy *toy, bool write)
{
	if (toy->vfio)
		return vfio_emulated_rw(toy->vfio, &toy->pdev, toy->dma_addr, &toy->scratch, 8,
					write);
	return write ? iommufd_dma_write(&toy->pdev.dev, IOMMU_NO_PASID, toy->dma_addr,
					 &toy->scratch, 8, NULL)
		     : iommufd_dma_read(&toy->pdev.dev, IOMMU_NO_PASID, toy->dma_addr,
					&toy->scratch, 8, NULL);
}

static void toy_publish(struct toy *toy)
{
	pci_bar_publish(&toy->pdev, 0, TOY_ID, TOY_MAGIC, 8);
	pci_bar_publish(&toy->pdev, 0, TOY_SCRATCH, toy->scratch, 8);
	pci_bar_publish(&toy->pdev, 0, TOY_DMA_RC, toy->dma_rc, 8);
}

static void toy_write(struct pci_dev *pdev, unsigned int bar, u64 offset, const void *data,
		      unsigned int size)
{
	struct toy *toy = to_toy(pdev);
	u64 value = 0;

	memcpy(&value, data, size < 8 ? size : 8);
	if (bar) {
		if (size <= 8)
			pci_bar_publish(pdev, bar, offset, value, size);
		return;
	}
	/* With its lock held, as models raise interrupts. */
	mutex_lock(&toy->lock);
	if (size == 64 && offset == TOY_DIRECT) {
		memcpy(toy->direct, data, 64);
		toy->direct_stores++;
	} else if (offset == TOY_SCRATCH && size == 4) {
		toy->scratch = (toy->scratch & ~0xffffffffULL) | (u32)value;
	} else if (offset == TOY_SCRATCH) {
		toy->scratch = value;
	} else if (offset == TOY_SCRATCH + 4) {
		toy->scratch = (toy->scratch & 0xffffffffULL) | value << 32;
	} else if (offset == TOY_RAISE) {
		pci_raise(pdev, (u32)value);
	} else if (offset == TOY_INTX) {
		pci_intx(pdev, value);
	} else if (offset == TOY_DMA_ADDR) {
		toy->dma_addr = value;
	} else if (offset == TOY_DMA_GO) {
		toy->dma_rc = (u64)-toy_move(toy, value == 1);
	} else if (offset == TOY_FATAL) {
		pci_fatal(pdev);
	}
	toy_publish(toy);
	mutex_unlock(&toy->lock);
}

static void toy_reset(struct pci_dev *pdev)
{
	struct toy *toy = to_toy(pdev);

	mutex_lock(&toy->lock);
	toy->scratch = toy->dma_addr = toy->dma_rc = 0;
	memset(toy->direct, 0, sizeof(toy->direct));
	toy->resets++;
	toy_publish(toy);
	mutex_unlock(&toy->lock);
}

static int toy_opened(struct pci_dev *pdev)
{
	return to_toy(pdev)->fail_open;
}

static int toy_save(struct pci_dev *pdev, void **ret_data, size_t *ret_len)
{
	struct toy *toy = to_toy(pdev);
	u64 *data = malloc(sizeof(*data));

	if (!data)
		return -ENOMEM;
	mutex_lock(&toy->lock);
	*data = toy->scratch;
	mutex_unlock(&toy->lock);
	*ret_data = data;
	*ret_len = sizeof(*data);
	return 0;
}

static int toy_load(struct pci_dev *pdev, const void *data, size_t len)
{
	struct toy *toy = to_toy(pdev);

	if (len != sizeof(u64))
		return -EINVAL;
	mutex_lock(&toy->lock);
	memcpy(&toy->scratch, data, len);
	toy_publish(toy);
	mutex_unlock(&toy->lock);
	return 0;
}

static void toy_destroy(struct pci_dev *pdev)
{
	struct toy *toy = to_toy(pdev);

	mutex_destroy(&toy->lock);
	free(toy);
}

static int toy_vf_create(struct pci_dev *pdev, unsigned int index, struct pci_dev **ret_vf);

static const struct pci_ops toy_ops = {
	.bar_read = toy_read,
	.bar_write = toy_write,
	.reset = toy_reset,
	.opened = toy_opened,
	.vf_create = toy_vf_create,
	.migrate_save = toy_save,
	.migrate_load = toy_load,
	.destroy = toy_destroy,
};

static const struct pci_ops toy_ops_no_migration = {
	.bar_read = toy_read,
	.bar_write = toy_write,
	.reset = toy_reset,
	.opened = toy_opened,
	.destroy = toy_destroy,
};

#define TOY_DESC                                                                                   \
	.model = "toy", .vendor = 0x1d0f, .device = 0x0001, .class_code = 0x088000,                \
	.bars = {{.size = TOY_BAR0,                                                                \
		  .wide = true,                                                                    \
		  .areas = {{TOY_AREA, TOY_AREA_SIZE}, {TOY_TABLE, TOY_BAR0 - TOY_TABLE}}},        \
		 [2] = {.size = TOY_BAR2, .areas = {{0, TOY_BAR2}}},                               \
		 [3] = {.size = 0x100},                                                            \
		 [4] = {.size = 0x20, .io = true}},                                                \
	.msi_vectors = 4, .msix_vectors = TOY_VECTORS, .msix_bar = 0, .msix_table = TOY_TABLE,     \
	.msix_pba = TOY_PBA, .has_pm = true, .has_pcie = true, .pasid_bits = 20

static const struct pci_desc toy_desc = {TOY_DESC, .acs = true, .intx_pin = 1, .has_flr = true};
static const struct pci_desc toy_desc_no_acs = {TOY_DESC, .intx_pin = 1, .has_flr = true};
static const struct pci_desc toy_desc_no_flr = {TOY_DESC, .acs = true, .intx_pin = 1};
static const struct pci_desc toy_desc_vf = {TOY_DESC, .acs = true, .has_flr = true};
static const struct pci_desc toy_desc_pf = {TOY_DESC, .acs = true, .intx_pin = 1, .has_flr = true,
					    .sriov_vfs = 2, .vf = &toy_desc_vf};

static struct toy *toy_new(enum pci_access access, const struct pci_desc *desc,
			   const struct pci_ops *ops)
{
	struct toy *toy = calloc(1, sizeof(*toy));

	mutex_init(&toy->lock);
	toy->pdev.desc = desc;
	toy->pdev.ops = ops;
	toy->pdev.access = access;
	return toy;
}

static int toy_vf_create(struct pci_dev *pdev, unsigned int index, struct pci_dev **ret_vf)
{
	*ret_vf = &toy_new(pdev->access, &toy_desc_vf, &toy_ops)->pdev;
	return 0;
}

struct toy *toy_add(struct pci_topology *topology, struct pci_addr addr, enum pci_access access,
		    unsigned int flags)
{
	const struct pci_desc *desc = flags & TOY_NO_FLR  ? &toy_desc_no_flr
				      : flags & TOY_SRIOV  ? &toy_desc_pf
				      : flags & TOY_NO_ACS ? &toy_desc_no_acs
							   : &toy_desc;
	struct toy *toy =
		toy_new(access, desc, flags & TOY_NO_MIGRATION ? &toy_ops_no_migration : &toy_ops);

	assert_int_equal(pci_dev_add(topology, &toy->pdev, addr,
				     flags & TOY_EMULATED ? NULL : iommufd_generic_probe),
			 0);
	return toy;
}
