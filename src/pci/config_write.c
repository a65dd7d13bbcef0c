/* SPDX-License-Identifier: MIT */
/*
 * What a write to configuration space does: bits change as the mask allows, and some
 * of them mean something.
 */
#include "pci/priv.h"

/** struct config_effect - what a write asks for */
struct config_effect {
	bool command;
	bool power;
	bool d3;
	bool flr;
};

/* Does [@offset, @offset + @len) touch the byte at @at? */
static bool touches(u32 offset, unsigned int len, u32 at)
{
	return at >= offset && at < offset + len;
}

/* D1 and D2 are not there: asking for one changes nothing (PCIe 6.0, 7.5.2.2). */
static void write_power(struct pci_priv *priv, u8 old, struct config_effect *effect)
	__must_hold(&priv->lock)
{
	u8 *state = priv->config + priv->caps.pm + PCI_PM_CTRL;

	if ((*state & PCI_PM_CTRL_STATE_MASK) == 1 || (*state & PCI_PM_CTRL_STATE_MASK) == 2)
		*state = old;
	effect->power = true;
	effect->d3 = (*state & PCI_PM_CTRL_STATE_MASK) == 3;
}

/* No more messages than there are. */
static void write_msi(struct pci_priv *priv) __must_hold(&priv->lock)
{
	u8 *flags = priv->config + priv->caps.msi + PCI_MSI_FLAGS;
	u8 capable = (*flags & PCI_MSI_FLAGS_QMASK) >> 1,
	   wanted = (*flags & PCI_MSI_FLAGS_QSIZE) >> 4;

	if (wanted > capable)
		*flags = (u8)((*flags & ~PCI_MSI_FLAGS_QSIZE) | capable << 4);
}

static struct config_effect config_merge(struct pci_priv *priv, u32 offset, const u8 *bytes,
					 unsigned int len) __must_hold(&priv->lock)
{
	const struct pci_caps *caps = &priv->caps;
	struct config_effect effect = {0};
	u32 flr_byte = caps->exp + PCI_EXP_DEVCTL + 1U;
	u8 power = caps->pm ? priv->config[caps->pm + PCI_PM_CTRL] : 0;

	for (unsigned int i = 0; i < len; i++) {
		u8 *at = priv->config + offset + i, mask = priv->mask[offset + i];

		*at = (u8)((*at & ~mask) | (bytes[i] & mask));
	}
	if (touches(offset, len, PCI_COMMAND) || touches(offset, len, PCI_COMMAND + 1)) {
		effect.command = true;
		atomic_store_explicit(&priv->command, (u16)config_get(priv, PCI_COMMAND, 2),
				      memory_order_relaxed);
	}
	if (caps->pm && touches(offset, len, caps->pm + PCI_PM_CTRL))
		write_power(priv, power, &effect);
	if (caps->msi && touches(offset, len, caps->msi + PCI_MSI_FLAGS))
		write_msi(priv);
	if (caps->exp && priv->pdev->desc->has_flr && touches(offset, len, flr_byte))
		effect.flr = bytes[flr_byte - offset] & PCI_EXP_DEVCTL_BCR_FLR >> 8;
	return effect;
}

void pci_config_write(struct pci_dev *pdev, u32 offset, u32 value, unsigned int len)
{
	struct pci_priv *priv = pdev->priv;
	struct config_effect effect;
	struct pci_client *client;
	u8 bytes[4];

	if ((len != 1 && len != 2 && len != 4) || offset & (len - 1) ||
	    offset >= pci_config_size(pdev))
		return;
	memcpy(bytes, &value, sizeof(bytes));
	mutex_lock(&priv->op_lock);
	mutex_lock(&priv->lock);
	effect = config_merge(priv, offset, bytes, len);
	mutex_unlock(&priv->lock);
	if (effect.flr)
		dev_function_reset(priv);
	else if (effect.power)
		dev_set_power(priv, effect.d3);
	if (effect.command)
		dev_command(priv);
	mutex_unlock(&priv->op_lock);

	/* Leaving D3hot is a reset, too. */
	if (effect.command || effect.flr || effect.power)
		irq_settle(priv);
	client = effect.flr ? client_enter(priv) : NULL;
	if (client) {
		client->reset_done(client);
		client_leave(priv);
	}
}
