/* SPDX-License-Identifier: MIT */
/*
 * Virtual functions (PCIe 6.0, chapter 9): made and removed together.  All of a PF are on
 * its bus, one after the other, where nothing else may be.
 */
#include "pci/priv.h"

#define VF_DEVFN_FIRST 0x80U /* the upper half of a bus, if it is free */

/* ---- their place ---- */

static bool place_taken(struct pci_priv *pf, u32 devfn) __must_hold(&pf->topology->lock)
{
	struct pci_addr addr = pf->pdev->addr;
	struct pci_bridge *bridge;

	addr.devfn = (u8)devfn;
	if (topology_find(pf->topology, addr) || sriov_reserved(pf->topology, addr))
		return true;
	cds_list_for_each_entry (bridge, &pf->topology->bridges, node)
		if (addr_key(bridge->desc.addr) == addr_key(addr))
			return true;
	return false;
}

int sriov_place(struct pci_priv *priv)
{
	u32 first = VF_DEVFN_FIRST, free = 0;

	/* The offset is counted from the PF upwards. */
	first = MAX(first, priv->pdev->addr.devfn + 1U);
	for (u32 devfn = first; devfn < 256 && free < priv->pdev->desc->sriov_vfs; devfn++) {
		free++;
		if (place_taken(priv, devfn)) {
			free = 0;
			first = devfn + 1;
		}
	}
	if (free < priv->pdev->desc->sriov_vfs)
		return -EINVAL;
	priv->first_vf = (u8)first;
	return 0;
}

bool sriov_reserved(struct pci_topology *topology, struct pci_addr addr)
{
	struct pci_priv *priv;

	cds_list_for_each_entry (priv, &topology->functions, node) {
		const struct pci_dev *pf = priv->pdev;

		if (pf->desc->sriov_vfs && pf->addr.domain == addr.domain &&
		    pf->addr.bus == addr.bus && addr.devfn >= priv->first_vf &&
		    addr.devfn - priv->first_vf < pf->desc->sriov_vfs)
			return true;
	}
	return false;
}

/* ---- coming and going ---- */

static int vf_add(struct pci_dev *pf, unsigned int index)
{
	struct pci_priv *priv = pf->priv;
	struct pci_addr addr = pf->addr;
	struct pci_dev *vf;
	int rc;

	rc = pf->ops->vf_create(pf, index, &vf);
	if (rc)
		return rc;
	vf->physfn = pf;
	addr.devfn = (u8)(priv->first_vf + index);
	rc = pf->ops->vf_enable ? pf->ops->vf_enable(pf, index, true) : 0;
	if (rc)
		goto err_destroy;
	rc = pci_dev_add(priv->topology, vf, addr, priv->probe);
	if (rc)
		goto err_disable;
	mutex_lock(&priv->topology->lock);
	priv->vfs[index] = vf;
	mutex_unlock(&priv->topology->lock);
	return 0;
err_disable:
	if (pf->ops->vf_enable)
		pf->ops->vf_enable(pf, index, false);
err_destroy:
	vf->ops->destroy(vf);
	return rc;
}

/* Those from @first on, which are marked as going. */
static void vfs_remove(struct pci_dev *pf, unsigned int first, unsigned int end)
{
	for (unsigned int i = end; i-- > first;) {
		dev_remove_marked(pf->priv->vfs[i]);
		pf->priv->vfs[i] = NULL;
		if (pf->ops->vf_enable)
			pf->ops->vf_enable(pf, i, false);
	}
}

static int vfs_mark_going(struct pci_priv *priv, unsigned int num, bool force)
{
	int rc = 0;

	mutex_lock(&priv->topology->lock);
	for (unsigned int i = 0; i < num; i++)
		if (priv->vfs[i]->priv->open && !force)
			rc = -EBUSY;
	for (unsigned int i = 0; i < num && !rc; i++)
		priv->vfs[i]->priv->going = true;
	mutex_unlock(&priv->topology->lock);
	return rc;
}

static void sriov_show(struct pci_priv *priv, unsigned int num)
{
	mutex_lock(&priv->topology->lock);
	priv->num_vfs = num;
	mutex_unlock(&priv->topology->lock);
	atomic_store_explicit(&priv->shown_vfs, num, memory_order_relaxed);
	mutex_lock(&priv->lock);
	config_put(priv, priv->caps.sriov + PCI_SRIOV_CTRL, 2,
		   num ? PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE : 0, 0);
	config_put(priv, priv->caps.sriov + PCI_SRIOV_NUM_VF, 2, num, 0);
	mutex_unlock(&priv->lock);
}

static int sriov_disable(struct pci_dev *pf, bool force) __must_hold(&pf->priv->sriov_lock)
{
	struct pci_priv *priv = pf->priv;
	unsigned int num = priv->num_vfs;
	int rc;

	rc = vfs_mark_going(priv, num, force);
	if (rc)
		return rc;
	sysfs_del(pf->system, priv->vf_sysfs);
	priv->vf_sysfs = NULL;
	vfs_remove(pf, 0, num);
	sriov_show(priv, 0);
	return 0;
}

static int sriov_enable(struct pci_dev *pf, unsigned int num) __must_hold(&pf->priv->sriov_lock)
{
	struct pci_priv *priv = pf->priv;
	unsigned int i;
	int rc = 0;

	for (i = 0; i < num && !rc; i++)
		rc = vf_add(pf, i);
	if (rc)
		i--;
	else
		rc = sysfs_vfs_add(pf, num);
	if (rc) {
		vfs_mark_going(priv, i, true);
		vfs_remove(pf, 0, i);
		return rc;
	}
	sriov_show(priv, num);
	return 0;
}

static bool dev_is_going(struct pci_priv *priv)
{
	bool going;

	mutex_lock(&priv->topology->lock);
	going = priv->going;
	mutex_unlock(&priv->topology->lock);
	return going;
}

int pci_sriov_set(struct pci_dev *pf, unsigned int num_vfs)
{
	struct pci_priv *priv = pf->priv;
	int rc;

	if (!pf->desc->sriov_vfs || num_vfs > pf->desc->sriov_vfs)
		return -EINVAL;
	mutex_lock(&pf->priv->sriov_lock);
	if (num_vfs == priv->num_vfs)
		rc = 0;
	else if (!num_vfs)
		rc = sriov_disable(pf, false);
	else if (priv->num_vfs)
		rc = -EBUSY;
	else if (dev_is_going(priv))
		rc = -ENODEV;
	else
		rc = sriov_enable(pf, num_vfs);
	mutex_unlock(&pf->priv->sriov_lock);
	return rc;
}

void sriov_disable_all(struct pci_dev *pdev)
{
	if (!pdev->desc->sriov_vfs)
		return;
	mutex_lock(&pdev->priv->sriov_lock);
	if (pdev->priv->num_vfs)
		sriov_disable(pdev, true);
	mutex_unlock(&pdev->priv->sriov_lock);
}
