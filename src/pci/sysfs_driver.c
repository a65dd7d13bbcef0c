/* SPDX-License-Identifier: MIT */
/*
 * /sys/bus/pci/drivers/vfio-pci.  Every function is one it may drive, unless
 * driver_override says another; ids are only remembered.
 */
#include <stdio.h>

#include "pci/sysfs.h"

#define DRIVER_DIR "/sys/bus/pci/drivers/vfio-pci"

/* ---- by address ---- */

static int by_address(struct tree_entry *entry, const char *text, int (*fn)(struct pci_dev *pdev))
{
	struct pci_topology *topology = to_name(entry)->owner;
	char name[PCI_ADDR_LEN];
	struct pci_addr addr;
	struct pci_dev *pdev;
	int rc;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, "\n"), text);
	if (!pci_addr_parse(name, &addr))
		return -ENODEV;
	pdev = topology_get(topology, addr);
	if (!pdev)
		return -ENODEV;
	rc = fn(pdev);
	topology_put(pdev);
	return rc;
}

static int bind_store(struct tree_entry *entry, const char *text, size_t len)
{
	return by_address(entry, text, dev_bind);
}

static int unbind_store(struct tree_entry *entry, const char *text, size_t len)
{
	return by_address(entry, text, dev_unbind);
}

/* Bound already is as good. */
static int probe_fn(struct pci_dev *pdev)
{
	int rc = dev_bind(pdev);

	return rc == -EBUSY ? 0 : rc;
}

static int probe_store(struct tree_entry *entry, const char *text, size_t len)
{
	return by_address(entry, text, probe_fn);
}

/* ---- by id ---- */

static int id_parse(const char *text, struct pci_dynamic_id *ret)
{
	unsigned int vendor, device;

	if (sscanf(text, "%x %x", &vendor, &device) != 2 || vendor > 0xffff || device > 0xffff)
		return -EINVAL;
	*ret = (struct pci_dynamic_id){.vendor = (u16)vendor, .device = (u16)device, .used = true};
	return 0;
}

/* Where @id is among those remembered, or with @id NULL a free place; NULL: nowhere. */
static struct pci_dynamic_id *id_find(struct pci_topology *topology,
				      const struct pci_dynamic_id *id) __must_hold(&topology->lock)
{
	for (size_t i = 0; i < ARRAY_SIZE(topology->ids); i++) {
		struct pci_dynamic_id *at = &topology->ids[i];

		if (id ? at->used && at->vendor == id->vendor && at->device == id->device
		       : !at->used)
			return at;
	}
	return NULL;
}

static int bind_id(struct pci_dev *pdev, void *data)
{
	const struct pci_dynamic_id *id = data;

	if (pdev->desc->vendor == id->vendor && pdev->desc->device == id->device)
		dev_bind(pdev);
	return 0;
}

static int new_id_store(struct tree_entry *entry, const char *text, size_t len)
{
	struct pci_topology *topology = to_name(entry)->owner;
	struct pci_dynamic_id id, *at;
	int rc = id_parse(text, &id);

	if (rc)
		return rc;
	mutex_lock(&topology->lock);
	if (id_find(topology, &id)) {
		rc = -EEXIST;
	} else {
		at = id_find(topology, NULL);
		if (at)
			*at = id;
		else
			rc = -ENOMEM;
	}
	mutex_unlock(&topology->lock);
	if (!rc)
		pci_for_each(topology, bind_id, &id);
	return rc;
}

static int remove_id_store(struct tree_entry *entry, const char *text, size_t len)
{
	struct pci_topology *topology = to_name(entry)->owner;
	struct pci_dynamic_id id, *at;
	int rc = id_parse(text, &id);

	if (rc)
		return rc;
	mutex_lock(&topology->lock);
	at = id_find(topology, &id);
	if (at)
		at->used = false;
	mutex_unlock(&topology->lock);
	return at ? 0 : -ENODEV;
}

/* Nothing appears by itself on a bus of ours. */
int sysfs_rescan_store(struct tree_entry *entry, const char *text, size_t len)
{
	bool value;

	return sysfs_bool(text, &value);
}

int sysfs_driver_files(struct pci_topology *topology, struct pci_sysfs *set)
{
	static const struct {
		const char *dir, *name;
		sysfs_store_fn store;
	} files[] = {
		{DRIVER_DIR, "bind", bind_store},
		{DRIVER_DIR, "unbind", unbind_store},
		{DRIVER_DIR, "new_id", new_id_store},
		{DRIVER_DIR, "remove_id", remove_id_store},
		{"/sys/bus/pci", "drivers_probe", probe_store},
		{"/sys/bus/pci", "rescan", sysfs_rescan_store},
	};
	int rc = sysfs_link(set, DRIVER_DIR, "module", "/sys/module/vfio_pci");

	for (size_t i = 0; i < ARRAY_SIZE(files) && !rc; i++)
		rc = sysfs_attr(set, files[i].dir, files[i].name, 0200, NULL, files[i].store);
	return rc;
}

int sysfs_driver_add(struct pci_dev *pdev)
{
	struct pci_priv *priv = pdev->priv;
	char path[160];
	int rc;

	priv->driver_sysfs = sysfs_new(pdev->system, pdev);
	if (!priv->driver_sysfs)
		return -ENOMEM;
	pci_sysfs_path(pdev, path, sizeof(path));
	rc = sysfs_link(priv->driver_sysfs, path, "driver", DRIVER_DIR);
	return rc ?: sysfs_link(priv->driver_sysfs, DRIVER_DIR, priv->name, path);
}
