/* SPDX-License-Identifier: MIT */
/*
 * Functions come and go.  One that comes has its place and addresses first, then a group,
 * then names, and is found at last; one that goes loses them in the reverse order.
 */
#include <stdio.h>

#include "pci/priv.h"

/* ---- does a description make sense? ---- */

static bool areas_wrong(const struct pci_bar_desc *bar)
{
	u64 end = 0;

	for (int i = 0; i < PCI_AREAS && bar->areas[i].size; i++) {
		const struct pci_area *area = &bar->areas[i];

		if ((area->offset | area->size) & ~PAGE_MASK || area->offset < end ||
		    area->offset > bar->size || area->size > bar->size - area->offset || bar->io)
			return true;
		end = area->offset + area->size;
	}
	return false;
}

static bool has_areas(const struct pci_desc *desc)
{
	for (int i = 0; i < PCI_BARS; i++) {
		if (desc->bars[i].areas[0].size)
			return true;
	}
	return false;
}

static const char *bars_wrong(const struct pci_desc *desc)
{
	for (int i = 0; i < PCI_BARS; i++) {
		const struct pci_bar_desc *bar = &desc->bars[i];

		if (!bar->size)
			continue;
		if (!is_power_of_2(bar->size) || bar->size < (bar->io ? 4 : 16) ||
		    bar->size > (bar->io ? 256 : MEM_DEVICE_SIZE))
			return "BAR size";
		if (bar->wide && (bar->io || i + 1 == PCI_BARS || desc->bars[i + 1].size))
			return "64-bit BAR";
		if (areas_wrong(bar))
			return "areas of a BAR";
	}
	return NULL;
}

static const char *msix_wrong(const struct pci_desc *desc)
{
	u64 size = desc->msix_bar < PCI_BARS ? desc->bars[desc->msix_bar].size : 0;
	u64 table = (u64)desc->msix_vectors * PCI_MSIX_ENTRY_SIZE;

	if (!desc->msix_vectors)
		return NULL;
	if (desc->msix_vectors > 2048 || (desc->msix_table | desc->msix_pba) & 7 ||
	    desc->msix_table + table > size ||
	    desc->msix_pba + ALIGN_UP((u64)desc->msix_vectors, 64ULL) / 8 > size)
		return "MSI-X";
	return NULL;
}

static const char *desc_wrong(const struct pci_dev *pdev)
{
	const struct pci_desc *desc = pdev->desc;
	const char *wrong = bars_wrong(desc);

	if (!wrong)
		wrong = msix_wrong(desc);
	if (!wrong && desc->msi_vectors &&
	    (!is_power_of_2(desc->msi_vectors) || desc->msi_vectors > 32))
		wrong = "MSI";
	if (!wrong && desc->intx_pin > 4)
		wrong = "interrupt pin";
	if (!wrong && !desc->has_pcie &&
	    (desc->has_flr || desc->ats || desc->pri || desc->pasid_bits || desc->acs ||
	     desc->sriov_vfs))
		wrong = "capability without PCIe";
	if (!wrong && desc->pasid_bits > 20)
		wrong = "PASID";
	if (!wrong && desc->sriov_vfs &&
	    (!desc->vf || desc->vf->sriov_vfs || !pdev->ops->vf_create))
		wrong = "SR-IOV";
	if (!wrong && desc->sriov_vfs)
		wrong = bars_wrong(desc->vf);
	return wrong;
}

/* ---- its place ---- */

static int dev_assign(struct pci_priv *priv) __must_hold(&priv->topology->lock)
{
	const struct pci_dev *pf = priv->pdev->physfn;
	const struct pci_desc *desc = priv->pdev->desc;

	for (int i = 0; i < PCI_BARS; i++) {
		u64 size = desc->bars[i].size,
		    vf_size = desc->sriov_vfs ? desc->vf->bars[i].size : 0;

		if (size && pf)
			priv->address[i] =
				pf->priv->vf_address[i] +
				size * (u64)(priv->pdev->addr.devfn - pf->priv->first_vf);
		else if (size)
			priv->address[i] = address_assign(priv->topology, size, &desc->bars[i]);
		if (vf_size)
			priv->vf_address[i] = address_assign(priv->topology,
							     vf_size * desc->sriov_vfs,
							     &desc->vf->bars[i]);
		if ((size && !priv->address[i]) || (vf_size && !priv->vf_address[i]))
			return -ENOMEM;
	}
	return 0;
}

static void topology_insert(struct pci_topology *topology, struct pci_priv *priv)
	__must_hold(&topology->lock)
{
	struct pci_priv *other;

	cds_list_for_each_entry (other, &topology->functions, node) {
		if (addr_key(other->pdev->addr) > addr_key(priv->pdev->addr)) {
			cds_list_add_tail(&priv->node, &other->node);
			return;
		}
	}
	cds_list_add_tail(&priv->node, &topology->functions);
}

static bool address_free(struct pci_topology *topology, const struct pci_dev *pdev)
	__must_hold(&topology->lock)
{
	struct pci_bridge *bridge;

	if (topology_find(topology, pdev->addr))
		return false;
	cds_list_for_each_entry (bridge, &topology->bridges, node)
		if (addr_key(bridge->desc.addr) == addr_key(pdev->addr))
			return false;
	return pdev->physfn || !sriov_reserved(topology, pdev->addr);
}

static int dev_place(struct pci_priv *priv)
{
	const struct pci_dev *pdev = priv->pdev;
	int rc = 0;

	mutex_lock(&priv->topology->lock);
	priv->integrated = !bus_bridge(priv->topology, pdev->addr.domain, pdev->addr.bus);
	if (!address_free(priv->topology, pdev))
		rc = -EEXIST;
	else if (pdev->addr.bus && priv->integrated)
		rc = -EINVAL;
	if (!rc && pdev->desc->sriov_vfs)
		rc = sriov_place(priv);
	/* In the list before addresses are given out, so that its own do not meet. */
	if (!rc) {
		topology_insert(priv->topology, priv);
		rc = dev_assign(priv);
		if (rc)
			cds_list_del(&priv->node);
	}
	mutex_unlock(&priv->topology->lock);
	if (rc == -EINVAL)
		system_log(priv->topology->system, IOMMUFD_LOG_ERROR,
			   "%s: no bus %02x, or no room for its VFs there", priv->name,
			   pdev->addr.bus);
	return rc;
}

static void dev_displace(struct pci_priv *priv)
{
	mutex_lock(&priv->topology->lock);
	cds_list_del(&priv->node);
	mutex_unlock(&priv->topology->lock);
}

/* ---- behind its IOMMU ---- */

static int dev_probe(struct pci_priv *priv)
{
	struct pci_dev *pdev = priv->pdev;
	int rc;

	pdev->dev.name = priv->name;
	pdev->dev.pasid_limit = pdev->desc->pasid_bits ? 1U << pdev->desc->pasid_bits : 0;
	pdev->dev.msi_isolated = true;
	pdev->dev.vf_pri = pdev->physfn && pdev->physfn->desc->pri;
	pdev->dev.bus_group = pci_device_group;
	if (!priv->probe)
		return 0;
	mutex_lock(&priv->topology->probe_lock);
	rc = priv->probe(pdev->system, &pdev->dev);
	if (!rc) {
		rc = group_id_set(pdev);
		if (rc)
			iommu_release_device(&pdev->dev);
	}
	mutex_unlock(&priv->topology->probe_lock);
	if (!rc)
		iommufd_dma_bus_master(&pdev->dev, false);
	return rc;
}

static void dev_unprobe(struct pci_priv *priv)
{
	mutex_lock(&priv->topology->probe_lock);
	group_id_put(priv->pdev);
	iommu_release_device(&priv->pdev->dev);
	mutex_unlock(&priv->topology->probe_lock);
}

/* ---- its driver ---- */

static int driver_begin(struct pci_priv *priv, enum pci_driver_state from, enum pci_driver_state to)
{
	const char *override = priv->driver_override;
	int rc = 0;

	mutex_lock(&priv->topology->lock);
	if (to == PCI_DRIVER_BINDING && priv->going)
		rc = -ENODEV;
	else if (priv->driver != from)
		rc = from == PCI_DRIVER_NONE ? -EBUSY : -ENODEV;
	else if (to == PCI_DRIVER_BINDING && *override && strcmp(override, "vfio-pci") != 0)
		rc = -ENODEV;
	else
		priv->driver = to;
	mutex_unlock(&priv->topology->lock);
	return rc;
}

static void driver_end(struct pci_priv *priv, enum pci_driver_state to)
{
	mutex_lock(&priv->topology->lock);
	priv->driver = to;
	pthread_cond_broadcast(&priv->topology->idle);
	mutex_unlock(&priv->topology->lock);
}

int dev_bind(struct pci_dev *pdev)
{
	struct pci_priv *priv = pdev->priv;
	struct pci_listener *listener = topology_listener(priv->topology);
	int rc;

	rc = driver_begin(priv, PCI_DRIVER_NONE, PCI_DRIVER_BINDING);
	if (rc)
		return rc;
	rc = sysfs_driver_add(pdev);
	if (!rc && listener)
		rc = listener->added(listener, pdev);
	if (rc) {
		sysfs_del(pdev->system, priv->driver_sysfs);
		priv->driver_sysfs = NULL;
	}
	driver_end(priv, rc ? PCI_DRIVER_NONE : PCI_DRIVER_BOUND);
	return rc;
}

int dev_unbind(struct pci_dev *pdev)
{
	struct pci_priv *priv = pdev->priv;
	struct pci_listener *listener = topology_listener(priv->topology);
	int rc;

	rc = driver_begin(priv, PCI_DRIVER_BOUND, PCI_DRIVER_UNBINDING);
	if (rc)
		return rc;
	if (listener)
		listener->removing(listener, pdev);
	sysfs_del(pdev->system, priv->driver_sysfs);
	priv->driver_sysfs = NULL;
	driver_end(priv, PCI_DRIVER_NONE);
	return 0;
}

/* ---- coming ---- */

static struct pci_priv *priv_create(struct pci_topology *topology, struct pci_dev *pdev,
				    struct pci_addr addr)
{
	struct pci_priv *priv;

	priv = zalloc(sizeof(*priv));
	if (!priv)
		return NULL;
	if (pdev->desc->sriov_vfs) {
		priv->vfs = zalloc_array(pdev->desc->sriov_vfs, sizeof(*priv->vfs));
		if (!priv->vfs) {
			free(priv);
			return NULL;
		}
	}
	priv->pdev = pdev;
	priv->topology = topology;
	priv->group_id = -1;
	snprintf(priv->name, sizeof(priv->name), PCI_ADDR_FMT, PCI_ADDR_ARGS(addr));
	mutex_init(&priv->op_lock);
	mutex_init(&priv->lock);
	mutex_init(&priv->sriov_lock);
	gate_init(&priv->accesses);
	gate_init(&priv->callbacks);
	atomic_init(&priv->irq_mode, -1);
	worker_init(&priv->worker);
	pdev->priv = priv;
	pdev->system = topology->system;
	pdev->addr = addr;
	for (int i = 0; i < PCI_BARS; i++)
		pdev->bars[i] = (struct pci_bar){.size = pdev->desc->bars[i].size};
	return priv;
}

static void priv_free(struct pci_priv *priv)
{
	worker_fini(&priv->worker);
	mutex_destroy(&priv->sriov_lock);
	mutex_destroy(&priv->lock);
	mutex_destroy(&priv->op_lock);
	priv->pdev->priv = NULL;
	free(priv->vfs);
	free(priv);
}

static void dev_show(struct pci_priv *priv, bool shown)
{
	mutex_lock(&priv->topology->lock);
	priv->shown = shown;
	while (!shown && priv->users)
		mutex_wait(&priv->topology->lock, &priv->topology->idle);
	mutex_unlock(&priv->topology->lock);
}

int pci_dev_add(struct pci_topology *topology, struct pci_dev *pdev, struct pci_addr addr,
		int (*probe)(struct iommufd_system *system, struct device *dev))
{
	const char *wrong = desc_wrong(pdev);
	struct pci_priv *priv;
	int rc;

	if (wrong) {
		system_log(topology->system, IOMMUFD_LOG_ERROR, PCI_ADDR_FMT ": model %s: bad %s",
			   PCI_ADDR_ARGS(addr), pdev->desc->model, wrong);
		return -EINVAL;
	}
	if (pdev->access == PCI_ACCESS_SPLIT && !has_areas(pdev->desc)) {
		system_log(topology->system, IOMMUFD_LOG_ERROR,
			   PCI_ADDR_FMT ": model %s has no registers that are mapped apart",
			   PCI_ADDR_ARGS(addr), pdev->desc->model);
		return -EOPNOTSUPP;
	}
	priv = priv_create(topology, pdev, addr);
	if (!priv)
		return -ENOMEM;
	priv->probe = probe;
	rc = dev_place(priv);
	if (rc)
		goto err_free;
	rc = dev_probe(priv);
	if (rc)
		goto err_displace;
	config_build(priv);
	rc = sysfs_dev_add(pdev);
	if (rc)
		goto err_unprobe;
	dev_show(priv, true);
	rc = dev_bind(pdev);
	if (rc)
		goto err_hide;
	return 0;
err_hide:
	dev_show(priv, false);
	sysfs_del(pdev->system, priv->sysfs);
err_unprobe:
	dev_unprobe(priv);
err_displace:
	dev_displace(priv);
err_free:
	priv_free(priv);
	return rc;
}

/* ---- going ---- */

static bool dev_mark_going(struct pci_priv *priv)
{
	bool mine;

	mutex_lock(&priv->topology->lock);
	mine = !priv->going;
	priv->going = true;
	mutex_unlock(&priv->topology->lock);
	return mine;
}

/* Nobody binds it any more, since it is going; but who has begun to must come to an end. */
static void dev_leave_driver(struct pci_priv *priv)
{
	mutex_lock(&priv->topology->lock);
	while (priv->driver == PCI_DRIVER_BINDING || priv->driver == PCI_DRIVER_UNBINDING)
		mutex_wait(&priv->topology->lock, &priv->topology->idle);
	mutex_unlock(&priv->topology->lock);
	dev_unbind(priv->pdev);
	mutex_lock(&priv->topology->lock);
	while (priv->open)
		mutex_wait(&priv->topology->lock, &priv->topology->idle);
	mutex_unlock(&priv->topology->lock);
}

void dev_remove_marked(struct pci_dev *pdev)
{
	struct pci_priv *priv = pdev->priv;

	sriov_disable_all(pdev);
	dev_leave_driver(priv);
	dev_show(priv, false);
	sysfs_del(pdev->system, priv->sysfs);
	dev_unprobe(priv);
	dev_displace(priv);
	priv_free(priv);
	if (pdev->ops->destroy)
		pdev->ops->destroy(pdev);
}

bool dev_remove_once(struct pci_dev *pdev)
{
	if (pdev->physfn || !dev_mark_going(pdev->priv))
		return false;
	dev_remove_marked(pdev);
	return true;
}

void pci_dev_remove(struct pci_dev *pdev)
{
	dev_remove_once(pdev);
}
