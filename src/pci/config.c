/* SPDX-License-Identifier: MIT */
/*
 * Configuration space: the header (PCIe 6.0, 7.5.1) and how it reads.  The rights of each bit are
 * in a mask beside it; they are those of a driver in user space (as Linux gives them), not of the
 * hardware.
 */
#include "pci/priv.h"

#define PIN_STATUS PCI_STATUS_INTERRUPT

void config_bar_put(struct pci_priv *priv, u32 offset, const struct pci_bar_desc *bar, u64 address,
		    bool writable)
{
	u32 flags = 0;
	u64 size_mask;

	if (!bar->size)
		return;
	if (bar->io)
		flags = PCI_BASE_ADDRESS_SPACE_IO;
	else
		flags = (bar->wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
			(bar->prefetch ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
	/* Bits below the size read 0: that is how it is found out. */
	size_mask = ~(MAX(bar->size, bar->io ? 4ULL : 16ULL) - 1);
	config_put(priv, offset, 4, (u32)(address & size_mask) | flags,
		   writable ? (u32)size_mask : 0);
	if (bar->wide)
		config_put(priv, offset + 4, 4, (u32)((address & size_mask) >> 32),
			   writable ? (u32)(size_mask >> 32) : 0);
}

static void config_ids(struct pci_priv *priv)
{
	const struct pci_desc *desc = priv->pdev->desc;
	const struct pci_dev *pf = priv->pdev->physfn;

	/* A VF has its vendor, class and revision from its PF (PCIe 6.0, 9.3.4.1). */
	config_put(priv, PCI_VENDOR_ID, 2, pf ? pf->desc->vendor : desc->vendor, 0);
	config_put(priv, PCI_DEVICE_ID, 2, desc->device, 0);
	config_put(priv, PCI_REVISION_ID, 1, pf ? pf->desc->revision : desc->revision, 0);
	config_put(priv, PCI_CLASS_PROG, 3, pf ? pf->desc->class_code : desc->class_code, 0);
	config_put(priv, PCI_SUBSYSTEM_VENDOR_ID, 2, desc->subsystem_vendor, 0);
	config_put(priv, PCI_SUBSYSTEM_ID, 2, desc->subsystem_device, 0);
}

void config_build(struct pci_priv *priv)
{
	const struct pci_desc *desc = priv->pdev->desc;
	u16 command = PCI_COMMAND_MEMORY;

	memset(priv->config, 0, sizeof(priv->config));
	memset(priv->mask, 0, sizeof(priv->mask));
	config_ids(priv);
	for (int i = 0; i < PCI_BARS; i++) {
		if (desc->bars[i].io)
			command |= PCI_COMMAND_IO;
		config_bar_put(priv, PCI_BASE_ADDRESS_0 + 4 * (u32)i, &desc->bars[i],
			       priv->address[i], true);
	}
	config_put(priv, PCI_COMMAND, 2, command,
		   PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
			   PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	config_put(priv, PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
	config_put(priv, PCI_LATENCY_TIMER, 1, 0, 0xff);
	config_put(priv, PCI_INTERRUPT_LINE, 1, 0, 0xff);
	config_put(priv, PCI_INTERRUPT_PIN, 1, desc->intx_pin, 0);
	caps_build(priv);
	atomic_store_explicit(&priv->command, command, memory_order_relaxed);
}

u32 pci_config_size(const struct pci_dev *pdev)
{
	return pdev->desc->has_pcie ? PCI_CONFIG_SIZE : 256;
}

u32 pci_config_read(struct pci_dev *pdev, u32 offset, unsigned int len)
{
	struct pci_priv *priv = pdev->priv;
	u8 status[4];
	u32 value;

	if ((len != 1 && len != 2 && len != 4) || offset & (len - 1) ||
	    offset >= pci_config_size(pdev))
		return UINT32_MAX;
	mutex_lock(&priv->lock);
	value = config_get(priv, offset, len);
	/* The pin's level shows, disabled or not. */
	memset(status, 0, sizeof(status));
	if (priv->pin)
		status[PCI_STATUS & 3] = PIN_STATUS;
	mutex_unlock(&priv->lock);
	if ((offset & ~3U) == PCI_COMMAND) {
		u32 computed = 0;

		memcpy(&computed, status + (offset & 3), len);
		value |= computed;
	}
	return value;
}
