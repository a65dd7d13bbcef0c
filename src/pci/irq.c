/* SPDX-License-Identifier: MIT */
/*
 * Interrupts.  What a driver has asked for by its API decides what is delivered
 * and where; tables in memory decide nothing.
 */
#include "pci/priv.h"

u32 pci_irq_count(const struct pci_dev *pdev, enum pci_irq kind)
{
	const struct pci_desc *desc = pdev->desc;

	switch (kind) {
	case PCI_IRQ_INTX:
		return desc->intx_pin ? 1 : 0;
	case PCI_IRQ_MSI:
		return desc->msi_vectors;
	case PCI_IRQ_MSIX:
		return desc->msix_vectors;
	case PCI_IRQ_ERR:
		return desc->has_pcie ? 1 : 0;
	case PCI_IRQ_REQ:
		return 1;
	}
	return 0;
}

int pci_irq_mode(const struct pci_dev *pdev)
{
	return atomic_load_explicit(&pdev->priv->irq_mode, memory_order_relaxed);
}

/* The enable bit of MSI is the driver's while the mode is on, as it is on hardware. */
static void mode_show(struct pci_priv *priv, int mode) __must_hold(&priv->lock)
{
	u16 *flags;

	if (priv->caps.msi) {
		flags = (u16 *)(priv->config + priv->caps.msi + PCI_MSI_FLAGS);
		*flags &= (u16)~PCI_MSI_FLAGS_ENABLE;
		*flags |= mode == PCI_IRQ_MSI ? PCI_MSI_FLAGS_ENABLE : 0;
		flags = (u16 *)(priv->mask + priv->caps.msi + PCI_MSI_FLAGS);
		*flags &= (u16)~PCI_MSI_FLAGS_ENABLE;
		*flags |= mode == PCI_IRQ_MSI ? PCI_MSI_FLAGS_ENABLE : 0;
	}
	if (priv->caps.msix) {
		flags = (u16 *)(priv->config + priv->caps.msix + PCI_MSIX_FLAGS);
		*flags &= (u16)~PCI_MSIX_FLAGS_ENABLE;
		*flags |= mode == PCI_IRQ_MSIX ? PCI_MSIX_FLAGS_ENABLE : 0;
	}
}

void pci_irq_set_mode(struct pci_dev *pdev, int mode)
{
	struct pci_priv *priv = pdev->priv;

	mutex_lock(&priv->lock);
	mode_show(priv, mode);
	atomic_store_explicit(&priv->irq_mode, mode, memory_order_relaxed);
	mutex_unlock(&priv->lock);
	irq_settle(priv);
}

/* ---- messages ---- */

static bool message_on(struct pci_priv *priv, int mode)
{
	bool on = true;

	if (mode == PCI_IRQ_MSI) {
		mutex_lock(&priv->lock);
		on = config_get(priv, priv->caps.msi + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE;
		mutex_unlock(&priv->lock);
	}
	return on;
}

static void client_irq(struct pci_priv *priv, enum pci_irq kind, u32 vector)
{
	struct pci_client *client = client_enter(priv);

	if (!client)
		return;
	client->irq(client, kind, vector);
	client_leave(priv);
}

/* A message is a write to memory, so it needs bus mastering (PCIe 6.0, 7.5.1.1.3). */
void pci_raise(struct pci_dev *pdev, u32 vector)
{
	int mode = pci_irq_mode(pdev);

	if ((mode != PCI_IRQ_MSI && mode != PCI_IRQ_MSIX) ||
	    vector >= pci_irq_count(pdev, (enum pci_irq)mode) || !pci_bus_master(pdev) ||
	    !message_on(pdev->priv, mode))
		return;
	client_irq(pdev->priv, (enum pci_irq)mode, vector);
}

void pci_fatal(struct pci_dev *pdev)
{
	if (pci_irq_count(pdev, PCI_IRQ_ERR))
		client_irq(pdev->priv, PCI_IRQ_ERR, 0);
}

/* ---- the pin ---- */

static bool pin_level(const struct pci_priv *priv)
{
	return priv->pin && !(atomic_load_explicit(&priv->command, memory_order_relaxed) &
			      PCI_COMMAND_INTX_DISABLE);
}

bool pci_intx_level(const struct pci_dev *pdev)
{
	struct pci_priv *priv = pdev->priv;
	bool level;

	mutex_lock(&priv->lock);
	level = pin_level(priv);
	mutex_unlock(&priv->lock);
	return level;
}

/* One thread tells, until what was told is true: so the last word is the right one. */
void irq_settle(struct pci_priv *priv)
{
	struct pci_client *client;
	bool level;

	mutex_lock(&priv->lock);
	for (;;) {
		level = pin_level(priv) && pci_irq_mode(priv->pdev) == PCI_IRQ_INTX;
		if (level == priv->told || priv->telling)
			break;
		client = client_enter(priv);
		if (!client)
			break;
		priv->told = level;
		priv->telling = true;
		mutex_unlock(&priv->lock);
		client->intx(client, level);
		client_leave(priv);
		mutex_lock(&priv->lock);
		priv->telling = false;
	}
	mutex_unlock(&priv->lock);
}

void pci_intx(struct pci_dev *pdev, bool level)
{
	struct pci_priv *priv = pdev->priv;

	mutex_lock(&priv->lock);
	priv->pin = level && pdev->desc->intx_pin;
	mutex_unlock(&priv->lock);
	irq_settle(priv);
}
