/* SPDX-License-Identifier: MIT */
/*
 * A function that is driven: opened, reset, stopped, closed.  Each of these is one
 * at a time (op_lock), and brings work() and BAR accesses to rest first.
 */
#include "pci/priv.h"

/* ---- the client ---- */

struct pci_client *client_enter(struct pci_priv *priv)
{
	/* Open means there is one. */
	return gate_enter(&priv->callbacks) ? priv->client : NULL;
}

void client_leave(struct pci_priv *priv)
{
	gate_leave(&priv->callbacks);
}

/* ---- at rest, at work ---- */

bool pci_bus_master(const struct pci_dev *pdev)
{
	return atomic_load_explicit(&pdev->priv->dma_on, memory_order_acquire);
}

void dev_settle(struct pci_priv *priv)
{
	u16 command = atomic_load_explicit(&priv->command, memory_order_relaxed);
	bool on = priv->client && command & PCI_COMMAND_MASTER && !priv->stopped && !priv->d3 &&
		  !priv->resetting;

	mutex_assert_held(&priv->op_lock);
	if (on == atomic_load_explicit(&priv->dma_on, memory_order_relaxed))
		return;
	/* Whose DMA is refused finds pci_bus_master() off, or may try again: it says on only
	 * while DMA is. */
	if (!on)
		atomic_store_explicit(&priv->dma_on, false, memory_order_release);
	/* Waits for what is under way. */
	iommufd_dma_bus_master(&priv->pdev->dev, on);
	if (on) {
		atomic_store_explicit(&priv->dma_on, true, memory_order_release);
		pci_dev_kick(priv->pdev);
	}
}

static void dev_rest(struct pci_priv *priv) __must_hold(&priv->op_lock)
{
	worker_pause(priv);
	gate_close(&priv->accesses);
	dev_settle(priv);
}

static void dev_run(struct pci_priv *priv) __must_hold(&priv->op_lock)
{
	if (!priv->d3)
		gate_open(&priv->accesses);
	dev_settle(priv);
	if (!priv->d3 && !priv->stopped)
		worker_resume(priv);
}

void dev_command(struct pci_priv *priv)
{
	if (bars_settled(priv)) {
		dev_settle(priv);
		return;
	}
	/* Neither work() nor an access may write where nobody will find it. */
	worker_pause(priv);
	gate_close(&priv->accesses);
	bars_settle(priv);
	dev_run(priv);
}

/* At rest: the model as after power on, and no interrupt left. */
static void dev_model_reset(struct pci_priv *priv) __must_hold(&priv->op_lock)
{
	bars_clear(priv);
	if (priv->pdev->ops->reset)
		priv->pdev->ops->reset(priv->pdev);
	mutex_lock(&priv->lock);
	priv->pin = false;
	mutex_unlock(&priv->lock);
}

void dev_function_reset(struct pci_priv *priv)
{
	if (!priv->client)
		return;
	priv->resetting = true;
	dev_rest(priv);
	dev_model_reset(priv);
	priv->d3 = false;
	if (priv->caps.pm) {
		mutex_lock(&priv->lock);
		priv->config[priv->caps.pm + PCI_PM_CTRL] &= (u8)~PCI_PM_CTRL_STATE_MASK;
		mutex_unlock(&priv->lock);
	}
	priv->resetting = false;
	bars_settle(priv);
	dev_run(priv);
}

void dev_set_power(struct pci_priv *priv, bool d3)
{
	if (d3 == priv->d3 || !priv->client)
		return;
	if (!d3) {
		/* It lost its state (No_Soft_Reset is 0: PCIe 6.0, 5.3.1.4). */
		dev_function_reset(priv);
		return;
	}
	priv->d3 = true;
	dev_rest(priv);
	bars_settle(priv);
}

/* ---- opening and closing ---- */

static int dev_claim(struct pci_priv *priv)
{
	int rc = 0;

	mutex_lock(&priv->topology->lock);
	if (priv->going)
		rc = -ENODEV;
	else if (priv->open)
		rc = -EBUSY;
	else
		priv->open = true;
	mutex_unlock(&priv->topology->lock);
	return rc;
}

static void dev_unclaim(struct pci_priv *priv)
{
	mutex_lock(&priv->topology->lock);
	priv->open = false;
	/* Who removes it may be waiting. */
	pthread_cond_broadcast(&priv->topology->idle);
	mutex_unlock(&priv->topology->lock);
}

static void dev_power_on(struct pci_priv *priv) __must_hold(&priv->op_lock)
{
	mutex_lock(&priv->lock);
	config_build(priv);
	priv->pin = priv->told = false;
	atomic_store_explicit(&priv->irq_mode, -1, memory_order_relaxed);
	mutex_unlock(&priv->lock);
	priv->stopped = priv->d3 = false;
}

static int dev_open(struct pci_priv *priv, struct pci_client *client, struct mem_device *memory)
	__must_hold(&priv->op_lock)
{
	struct pci_dev *pdev = priv->pdev;
	int rc;

	rc = bars_open(priv, memory);
	if (rc)
		return rc;
	dev_power_on(priv);
	rc = worker_start(priv);
	if (rc)
		goto err_bars;
	dev_model_reset(priv);
	rc = pdev->ops->opened ? pdev->ops->opened(pdev) : 0;
	if (rc)
		goto err_worker;
	priv->client = client;
	gate_open(&priv->callbacks);
	dev_run(priv);
	return 0;
err_worker:
	worker_stop(priv);
err_bars:
	bars_close(priv);
	return rc;
}

int pci_dev_open(struct pci_dev *pdev, struct pci_client *client, struct mem_device *memory)
{
	struct pci_priv *priv = pdev->priv;
	int rc;

	rc = dev_claim(priv);
	if (rc)
		return rc;
	mutex_lock(&priv->op_lock);
	rc = dev_open(priv, client, memory);
	mutex_unlock(&priv->op_lock);
	if (rc)
		dev_unclaim(priv);
	return rc;
}

void pci_dev_close(struct pci_dev *pdev, struct pci_client *client)
{
	struct pci_priv *priv = pdev->priv;

	mutex_lock(&priv->op_lock);
	if (priv->client != client) {
		mutex_unlock(&priv->op_lock);
		return;
	}
	gate_close(&priv->callbacks);
	priv->client = NULL;
	dev_rest(priv);
	dev_model_reset(priv);
	worker_stop(priv);
	if (pdev->ops->closed)
		pdev->ops->closed(pdev);
	bars_close(priv);
	dev_power_on(priv);
	mutex_unlock(&priv->op_lock);
	dev_unclaim(priv);
}

/* ---- resets, migration ---- */

int pci_dev_reset(struct pci_dev *pdev)
{
	return pdev->desc->has_flr ? pci_bus_reset(pdev) : -ENOTTY;
}

int pci_bus_reset(struct pci_dev *pdev)
{
	struct pci_priv *priv = pdev->priv;

	mutex_lock(&priv->op_lock);
	dev_function_reset(priv);
	mutex_unlock(&priv->op_lock);
	irq_settle(priv);
	return 0;
}

void pci_dev_stop(struct pci_dev *pdev)
{
	struct pci_priv *priv = pdev->priv;

	mutex_lock(&priv->op_lock);
	if (priv->client && !priv->stopped) {
		priv->stopped = true;
		worker_pause(priv);
		dev_settle(priv);
	}
	mutex_unlock(&priv->op_lock);
}

void pci_dev_start(struct pci_dev *pdev)
{
	struct pci_priv *priv = pdev->priv;

	mutex_lock(&priv->op_lock);
	if (priv->client && priv->stopped) {
		priv->stopped = false;
		dev_run(priv);
	}
	mutex_unlock(&priv->op_lock);
}

int pci_dev_save(struct pci_dev *pdev, void **ret_data, size_t *ret_len)
{
	struct pci_priv *priv = pdev->priv;
	int rc;

	mutex_lock(&priv->op_lock);
	rc = pdev->ops->migrate_save(pdev, ret_data, ret_len);
	mutex_unlock(&priv->op_lock);
	return rc;
}

int pci_dev_load(struct pci_dev *pdev, const void *data, size_t len)
{
	struct pci_priv *priv = pdev->priv;
	int rc;

	mutex_lock(&priv->op_lock);
	rc = pdev->ops->migrate_load(pdev, data, len);
	mutex_unlock(&priv->op_lock);
	return rc;
}
