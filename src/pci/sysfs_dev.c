/* SPDX-License-Identifier: MIT */
/*
 * The directory of a function, and of a bridge.
 */
#include <stdio.h>

#include "pci/sysfs.h"

#define SYSFS_PATH 160

/* As Linux shows resources: what they are, and the low bits of the register. */
#define RES_IO	      0x100U
#define RES_MEM	      0x200U
#define RES_PREFETCH  0x2000U
#define RES_SIZEALIGN 0x40000U
#define RES_MEM_64    0x100000U

/* ---- constant ---- */

static int ids_add(struct pci_sysfs *set, const char *dir, const struct pci_dev *pdev)
{
	const struct pci_desc *desc = pdev->desc, *pf = pdev->physfn ? pdev->physfn->desc : desc;
	const struct {
		const char *name, *format;
		u32 value;
	} ids[] = {
		{"vendor", "0x%04x\n", pf->vendor},
		{"device", "0x%04x\n", desc->device},
		{"subsystem_vendor", "0x%04x\n", desc->subsystem_vendor},
		{"subsystem_device", "0x%04x\n", desc->subsystem_device},
		{"class", "0x%06x\n", pf->class_code & 0xffffff},
		{"revision", "0x%02x\n", pf->revision},
		{"irq", "%u\n", 0},
	};
	char text[32];
	int rc = sysfs_text(set, dir, "numa_node", "-1\n");

	for (size_t i = 0; i < ARRAY_SIZE(ids) && !rc; i++) {
		snprintf(text, sizeof(text), ids[i].format, ids[i].value);
		rc = sysfs_text(set, dir, ids[i].name, text);
	}
	return rc;
}

static size_t modalias(const struct pci_dev *pdev, char *buf, size_t size)
{
	const struct pci_desc *desc = pdev->desc, *pf = pdev->physfn ? pdev->physfn->desc : desc;
	u32 class = pf->class_code;

	return (size_t)snprintf(buf, size, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n",
				pf->vendor, desc->device, desc->subsystem_vendor,
				desc->subsystem_device, class >> 16 & 0xff, class >> 8 & 0xff,
				class & 0xff);
}

static ssize_t resource_line(char *buf, size_t size, u64 address, u64 bytes,
			     const struct pci_bar_desc *bar)
{
	u32 flags = RES_SIZEALIGN;

	if (!bytes)
		return snprintf(buf, size, "0x%016x 0x%016x 0x%016x\n", 0, 0, 0);
	if (bar->io)
		flags |= RES_IO | PCI_BASE_ADDRESS_SPACE_IO;
	else
		flags |= RES_MEM | (bar->wide ? RES_MEM_64 | PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
			 (bar->prefetch ? RES_PREFETCH | PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
	return snprintf(buf, size, "0x%016llx 0x%016llx 0x%016x\n", (unsigned long long)address,
			(unsigned long long)(address + bytes - 1), flags);
}

/* BARs, the ROM, and the BARs of all VFs together. */
static int resource_add(struct pci_sysfs *set, const char *dir, const struct pci_dev *pdev)
{
	const struct pci_desc *desc = pdev->desc, *vf = desc->sriov_vfs ? desc->vf : NULL;
	char text[13 * 57 + 1];
	size_t len = 0;

	for (int i = 0; i < PCI_BARS; i++)
		len += (size_t)resource_line(text + len, sizeof(text) - len, pdev->priv->address[i],
					     desc->bars[i].size, &desc->bars[i]);
	len += (size_t)resource_line(text + len, sizeof(text) - len, 0, 0, NULL);
	for (int i = 0; i < PCI_BARS; i++)
		len += (size_t)resource_line(
			text + len, sizeof(text) - len, pdev->priv->vf_address[i],
			vf ? vf->bars[i].size * desc->sriov_vfs : 0, vf ? &vf->bars[i] : NULL);
	return sysfs_text(set, dir, "resource", text);
}

static int resource_none_add(struct pci_sysfs *set, const char *dir)
{
	char text[13 * 57 + 1];
	size_t len = 0;

	for (int i = 0; i < 13; i++)
		len += (size_t)resource_line(text + len, sizeof(text) - len, 0, 0, NULL);
	return sysfs_text(set, dir, "resource", text);
}

/* ---- configuration space ---- */

static unsigned int config_step(u64 pos, size_t len)
{
	if (!(pos & 3) && len >= 4)
		return 4;
	return !(pos & 1) && len >= 2 ? 2 : 1;
}

static ssize_t config_read_at(struct tree_entry *entry, void *buf, size_t len, u64 pos)
{
	struct pci_dev *pdev = name_dev(entry);
	u32 size = pci_config_size(pdev);
	size_t done = 0;

	len = pos < size ? MIN(len, size - (size_t)pos) : 0;
	while (done < len) {
		unsigned int step = config_step(pos + done, len - done);
		u32 value = pci_config_read(pdev, (u32)(pos + done), step);

		/* A VF does not say who it is: its PF does (PCIe 6.0, 9.3.4.1). */
		if (pdev->physfn && pos + done < PCI_COMMAND)
			value = UINT32_MAX;
		memcpy((u8 *)buf + done, &value, step);
		done += step;
	}
	return (ssize_t)len;
}

static ssize_t config_write_at(struct tree_entry *entry, const void *buf, size_t len, u64 pos)
{
	struct pci_dev *pdev = name_dev(entry);
	u32 size = pci_config_size(pdev);
	size_t done = 0;

	len = pos < size ? MIN(len, size - (size_t)pos) : 0;
	while (done < len) {
		unsigned int step = config_step(pos + done, len - done);
		u32 value = 0;

		memcpy(&value, (const u8 *)buf + done, step);
		pci_config_write(pdev, (u32)(pos + done), value, step);
		done += step;
	}
	return (ssize_t)len;
}

/* ---- attributes ---- */

static ssize_t enable_show(struct tree_entry *entry, char *buf)
{
	struct pci_priv *priv = name_dev(entry)->priv;
	bool open;

	mutex_lock(&priv->topology->lock);
	open = priv->open;
	mutex_unlock(&priv->topology->lock);
	return snprintf(buf, TREE_TEXT_MAX, "%d\n", open);
}

/* Who drives it enables it. */
static int enable_store(struct tree_entry *entry, const char *text, size_t len)
{
	struct pci_priv *priv = name_dev(entry)->priv;
	bool value, bound;

	if (sysfs_bool(text, &value))
		return -EINVAL;
	mutex_lock(&priv->topology->lock);
	bound = priv->driver != PCI_DRIVER_NONE;
	mutex_unlock(&priv->topology->lock);
	return bound ? -EBUSY : 0;
}

static ssize_t override_show(struct tree_entry *entry, char *buf)
{
	struct pci_priv *priv = name_dev(entry)->priv;
	ssize_t len;

	mutex_lock(&priv->topology->lock);
	len = snprintf(buf, TREE_TEXT_MAX, "%s\n",
		       *priv->driver_override ? priv->driver_override : "(null)");
	mutex_unlock(&priv->topology->lock);
	return len;
}

static int override_store(struct tree_entry *entry, const char *text, size_t len)
{
	struct pci_priv *priv = name_dev(entry)->priv;
	size_t n = strcspn(text, "\n");

	if (n >= sizeof(priv->driver_override))
		return -EINVAL;
	mutex_lock(&priv->topology->lock);
	memcpy(priv->driver_override, text, n);
	priv->driver_override[n] = 0;
	mutex_unlock(&priv->topology->lock);
	return 0;
}

static ssize_t uevent_show(struct tree_entry *entry, char *buf)
{
	const struct pci_dev *pdev = name_dev(entry);
	const struct pci_desc *desc = pdev->desc, *pf = pdev->physfn ? pdev->physfn->desc : desc;
	struct pci_topology *topology = pdev->priv->topology;
	char alias[128];
	bool bound;

	mutex_lock(&topology->lock);
	bound = pdev->priv->driver == PCI_DRIVER_BOUND;
	mutex_unlock(&topology->lock);
	modalias(pdev, alias, sizeof(alias));
	return snprintf(buf, TREE_TEXT_MAX,
			"%sPCI_CLASS=%04X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n"
			"PCI_SLOT_NAME=%s\nMODALIAS=%s",
			bound ? "DRIVER=vfio-pci\n" : "", pf->class_code, pf->vendor, desc->device,
			desc->subsystem_vendor, desc->subsystem_device, pdev->priv->name, alias);
}

static int uevent_store(struct tree_entry *entry, const char *text, size_t len)
{
	return 0;
}

static int reset_store(struct tree_entry *entry, const char *text, size_t len)
{
	bool value;

	if (sysfs_bool(text, &value) || !value)
		return -EINVAL;
	return pci_dev_reset(name_dev(entry));
}

/* Nothing of the function is there any more when it is over, not even this entry. */
static int remove_store(struct tree_entry *entry, const char *text, size_t len)
{
	struct pci_dev *pdev = name_dev(entry);
	struct pci_topology *topology = pdev->priv->topology;
	bool value;

	if (sysfs_bool(text, &value))
		return -EINVAL;
	if (!value)
		return 0;
	if (topology->owner_remove)
		return topology->owner_remove(topology->owner, pdev);
	return dev_remove_once(pdev) ? 0 : -ENODEV;
}

static ssize_t resource_show(struct tree_entry *entry, char *buf)
{
	/* It is there to be mapped, and it is vfio that maps it. */
	return -EIO;
}

/* ---- SR-IOV ---- */

static ssize_t numvfs_show(struct tree_entry *entry, char *buf)
{
	struct pci_priv *priv = name_dev(entry)->priv;
	unsigned int num;

	mutex_lock(&priv->topology->lock);
	num = priv->num_vfs;
	mutex_unlock(&priv->topology->lock);
	return snprintf(buf, TREE_TEXT_MAX, "%u\n", num);
}

static int numvfs_store(struct tree_entry *entry, const char *text, size_t len)
{
	struct pci_dev *pdev = name_dev(entry);
	char *end;
	unsigned long num = strtoul(text, &end, 0);

	if (end == text || (*end && *end != '\n'))
		return -EINVAL;
	if (num > pdev->desc->sriov_vfs)
		return -ERANGE;
	return pci_sriov_set(pdev, (unsigned int)num);
}

static int sriov_add(struct pci_sysfs *set, const char *dir, struct pci_dev *pdev)
{
	char text[SYSFS_PATH];
	int rc = 0;

	if (pdev->physfn) {
		pci_sysfs_path(pdev->physfn, text, sizeof(text));
		return sysfs_link(set, dir, "physfn", text);
	}
	if (!pdev->desc->sriov_vfs)
		return 0;
	snprintf(text, sizeof(text), "%u\n", pdev->desc->sriov_vfs);
	rc = sysfs_text(set, dir, "sriov_totalvfs", text);
	rc = rc ?: sysfs_text(set, dir, "sriov_stride", "1\n");
	snprintf(text, sizeof(text), "%u\n", pdev->priv->first_vf - pdev->addr.devfn);
	rc = rc ?: sysfs_text(set, dir, "sriov_offset", text);
	snprintf(text, sizeof(text), "%04x\n", pdev->desc->vf->device);
	rc = rc ?: sysfs_text(set, dir, "sriov_vf_device", text);
	return rc ?: sysfs_attr(set, dir, "sriov_numvfs", 0644, numvfs_show, numvfs_store);
}

int sysfs_vfs_add(struct pci_dev *pf, unsigned int num_vfs)
{
	struct pci_sysfs *set = sysfs_new(pf->system, pf);
	char dir[SYSFS_PATH], target[SYSFS_PATH], name[24];
	int rc = 0;

	if (!set)
		return -ENOMEM;
	pci_sysfs_path(pf, dir, sizeof(dir));
	for (unsigned int i = 0; i < num_vfs && !rc; i++) {
		snprintf(name, sizeof(name), "virtfn%u", i);
		pci_sysfs_path(pf->priv->vfs[i], target, sizeof(target));
		rc = sysfs_link(set, dir, name, target);
	}
	if (rc)
		sysfs_del(pf->system, set);
	else
		pf->priv->vf_sysfs = set;
	return rc;
}

/* ---- all of it ---- */

static int attrs_add(struct pci_sysfs *set, const char *dir, const struct pci_dev *pdev)
{
	const struct tree_entry config = {.mode = 0644,
					  .read_at = config_read_at,
					  .write_at = config_write_at,
					  .size = pci_config_size(pdev)};
	char text[128];
	int rc;

	rc = sysfs_binary(set, dir, "config", 0, &config);
	rc = rc ?: sysfs_attr(set, dir, "enable", 0644, enable_show, enable_store);
	rc = rc ?: sysfs_attr(set, dir, "driver_override", 0644, override_show, override_store);
	rc = rc ?: sysfs_attr(set, dir, "uevent", 0644, uevent_show, uevent_store);
	rc = rc ?: sysfs_attr(set, dir, "rescan", 0220, NULL, sysfs_rescan_store);
	if (pdev->desc->has_flr)
		rc = rc ?: sysfs_attr(set, dir, "reset", 0200, NULL, reset_store);
	/* VFs come and go together. */
	if (!pdev->physfn)
		rc = rc ?: sysfs_attr(set, dir, "remove", 0220, NULL, remove_store);
	modalias(pdev, text, sizeof(text));
	return rc ?: sysfs_text(set, dir, "modalias", text);
}

static int bars_add(struct pci_sysfs *set, const char *dir, const struct pci_dev *pdev)
{
	struct tree_entry bar = {.mode = 0600, .show = resource_show};
	char name[24];
	int rc = 0;

	for (int i = 0; i < PCI_BARS && !rc; i++) {
		if (!pdev->desc->bars[i].size)
			continue;
		snprintf(name, sizeof(name), "resource%d", i);
		bar.size = pdev->desc->bars[i].size;
		rc = sysfs_binary(set, dir, name, i, &bar);
	}
	return rc;
}

static int iommu_links_add(struct pci_sysfs *set, const char *dir, const struct pci_dev *pdev)
{
	char path[SYSFS_PATH];
	int rc;

	if (pdev->priv->group_id < 0)
		return 0;
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d", pdev->priv->group_id);
	rc = sysfs_link(set, dir, "iommu_group", path);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices", pdev->priv->group_id);
	rc = rc ?: sysfs_link(set, path, pdev->priv->name, dir);
	snprintf(path, sizeof(path), "/sys/devices/virtual/iommu/%.64s", pdev->dev.iommu_dev->name);
	rc = rc ?: sysfs_link(set, dir, "iommu", path);
	snprintf(path, sizeof(path), "/sys/devices/virtual/iommu/%.64s/devices",
		 pdev->dev.iommu_dev->name);
	return rc ?: sysfs_link(set, path, pdev->priv->name, dir);
}

int sysfs_dev_add(struct pci_dev *pdev)
{
	struct pci_sysfs *set = sysfs_new(pdev->system, pdev);
	char dir[SYSFS_PATH];
	int rc;

	if (!set)
		return -ENOMEM;
	pci_sysfs_path(pdev, dir, sizeof(dir));
	rc = ids_add(set, dir, pdev);
	rc = rc ?: resource_add(set, dir, pdev);
	rc = rc ?: attrs_add(set, dir, pdev);
	rc = rc ?: bars_add(set, dir, pdev);
	rc = rc ?: sriov_add(set, dir, pdev);
	rc = rc ?: iommu_links_add(set, dir, pdev);
	rc = rc ?: sysfs_link(set, dir, "subsystem", "/sys/bus/pci");
	/* Last: who looks here finds all of it. */
	rc = rc ?: sysfs_link(set, "/sys/bus/pci/devices", pdev->priv->name, dir);
	if (rc)
		sysfs_del(pdev->system, set);
	else
		pdev->priv->sysfs = set;
	return rc;
}

/* ---- bridges ---- */

static ssize_t bridge_read_at(struct tree_entry *entry, void *buf, size_t len, u64 pos)
{
	const struct pci_bridge *bridge = to_name(entry)->owner;

	len = pos < sizeof(bridge->config) ? MIN(len, sizeof(bridge->config) - (size_t)pos) : 0;
	memcpy(buf, bridge->config + pos, len);
	return (ssize_t)len;
}

/* A port of Red Hat's (as QEMU's root ports are), type 1 header (PCIe 6.0, 7.5.1.3). */
#define BRIDGE_VENDOR 0x1b36
#define BRIDGE_DEVICE 0x000c
#define BRIDGE_CLASS  0x060400

static void bridge_config(struct pci_bridge *bridge)
{
	static const u8 head[] = {BRIDGE_VENDOR & 0xff, BRIDGE_VENDOR >> 8, BRIDGE_DEVICE & 0xff,
				  BRIDGE_DEVICE >> 8, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER};

	memcpy(bridge->config, head, sizeof(head));
	bridge->config[PCI_CLASS_DEVICE + 1] = BRIDGE_CLASS >> 16;
	bridge->config[PCI_CLASS_DEVICE] = BRIDGE_CLASS >> 8 & 0xff;
	bridge->config[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
	bridge->config[PCI_PRIMARY_BUS] = bridge->desc.addr.bus;
	bridge->config[PCI_SECONDARY_BUS] = bridge->desc.secondary;
	bridge->config[PCI_SUBORDINATE_BUS] = bridge->desc.secondary;
}

int sysfs_bridge_add(struct pci_bridge *bridge)
{
	const struct tree_entry config = {
		.mode = 0444, .read_at = bridge_read_at, .size = sizeof(bridge->config)};
	struct iommufd_system *system = bridge->topology->system;
	struct pci_sysfs *set = sysfs_new(system, bridge);
	char name[PCI_ADDR_LEN];
	int rc;

	if (!set)
		return -ENOMEM;
	bridge_config(bridge);
	snprintf(name, sizeof(name), PCI_ADDR_FMT, PCI_ADDR_ARGS(bridge->desc.addr));
	rc = sysfs_text(set, bridge->path, "vendor", "0x1b36\n");
	rc = rc ?: sysfs_text(set, bridge->path, "device", "0x000c\n");
	rc = rc ?: sysfs_text(set, bridge->path, "subsystem_vendor", "0x0000\n");
	rc = rc ?: sysfs_text(set, bridge->path, "subsystem_device", "0x0000\n");
	rc = rc ?: sysfs_text(set, bridge->path, "class", "0x060400\n");
	rc = rc ?: sysfs_text(set, bridge->path, "revision", "0x00\n");
	rc = rc ?: sysfs_text(set, bridge->path, "irq", "0\n");
	rc = rc ?: sysfs_text(set, bridge->path, "numa_node", "-1\n");
	rc = rc ?: resource_none_add(set, bridge->path);
	rc = rc ?: sysfs_binary(set, bridge->path, "config", 0, &config);
	rc = rc ?: sysfs_link(set, bridge->path, "subsystem", "/sys/bus/pci");
	rc = rc ?: sysfs_link(set, "/sys/bus/pci/devices", name, bridge->path);
	if (rc)
		sysfs_del(system, set);
	else
		bridge->sysfs = set;
	return rc;
}
