/* SPDX-License-Identifier: MIT */
/*
 * IOMMU groups.  From a function up to the root, as far as a port on the way lets requests turn
 * round before they reach the IOMMU (no ACS), everything below that port is one group; and the
 * functions of a device that do not promise to keep apart are one (PCIe 6.0, 6.12).  A VF promises
 * by what it is.
 */
#include "pci/priv.h"

#define KEY_SLOT BIT_ULL(32)

static bool acs_to_root(const struct pci_bridge *bridge)
{
	for (; bridge; bridge = bridge->parent)
		if (!bridge->desc.acs)
			return false;
	return true;
}

/* The same for all functions of a group, and for no other. */
static u64 group_key(struct pci_topology *topology, const struct pci_dev *pdev)
	__must_hold(&topology->lock)
{
	const struct pci_bridge *bridge = bus_bridge(topology, pdev->addr.domain, pdev->addr.bus);
	bool apart = pdev->desc->acs || pdev->physfn;
	struct pci_addr addr = pdev->addr;

	for (; bridge && !acs_to_root(bridge); bridge = bridge->parent) {
		addr = bridge->desc.addr;
		apart = bridge->desc.acs;
	}
	return apart ? addr_key(addr) : KEY_SLOT | (addr_key(addr) & ~7U);
}

/* Asked while the device is probed, so under probe_lock: no group comes or goes meanwhile. */
struct iommu_group *pci_device_group(struct device *dev)
{
	struct pci_dev *pdev = container_of(dev, struct pci_dev, dev);
	struct pci_topology *topology = pdev->priv->topology;
	struct iommu_group *group = NULL;
	struct pci_priv *priv;
	u64 key;

	mutex_lock(&topology->lock);
	key = group_key(topology, pdev);
	cds_list_for_each_entry (priv, &topology->functions, node) {
		/* Behind another IOMMU it is never in the same group. */
		if (priv->pdev->dev.iommu_group && priv->pdev->dev.iommu_dev == dev->iommu_dev &&
		    group_key(topology, priv->pdev) == key) {
			group = iommu_group_ref_get(priv->pdev->dev.iommu_group);
			break;
		}
	}
	mutex_unlock(&topology->lock);
	if (!group)
		group = iommu_group_alloc();
	return group ? group : ERR_PTR(-ENOMEM);
}

/* ---- numbers ---- */

static int group_id_find(struct pci_topology *topology, const struct iommu_group *group)
	__must_hold(&topology->lock)
{
	struct pci_priv *priv;

	cds_list_for_each_entry (priv, &topology->functions, node)
		if (priv->group_id >= 0 && priv->pdev->dev.iommu_group == group)
			return priv->group_id;
	for (int id = 0; id < PCI_GROUPS; id++)
		if (!topology->group_refs[id])
			return id;
	return -ENOSPC;
}

int group_id_set(struct pci_dev *pdev)
{
	struct pci_topology *topology = pdev->priv->topology;
	bool first = false;
	int id, rc;

	if (!pdev->dev.iommu_group)
		return 0;
	mutex_lock(&topology->lock);
	id = group_id_find(topology, pdev->dev.iommu_group);
	if (id >= 0) {
		first = !topology->group_refs[id]++;
		pdev->priv->group_id = id;
	}
	mutex_unlock(&topology->lock);
	rc = id < 0 ? id : sysfs_iommu_add(topology, pdev->dev.iommu_dev->name);
	if (!rc && first)
		rc = sysfs_group_add(topology, id);
	if (rc)
		group_id_put(pdev);
	return rc;
}

void group_id_put(struct pci_dev *pdev)
{
	struct pci_topology *topology = pdev->priv->topology;
	int id = pdev->priv->group_id;
	bool last;

	if (id < 0)
		return;
	mutex_lock(&topology->lock);
	last = !--topology->group_refs[id];
	pdev->priv->group_id = -1;
	mutex_unlock(&topology->lock);
	/* Under probe_lock nobody takes the number before this is over. */
	if (last)
		sysfs_group_del(topology, id);
}

int pci_group_id(const struct pci_dev *pdev)
{
	return pdev->priv->group_id;
}
