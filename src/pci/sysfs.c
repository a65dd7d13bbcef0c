/* SPDX-License-Identifier: MIT */
/*
 * Sets of names, and what does not belong to one function: the bus, IOMMUs, groups, modules.
 */
#include "pci/sysfs.h"

#include <stdio.h>

#include "iommu/group.h"

/* ---- sets ---- */

struct pci_sysfs *sysfs_new(struct iommufd_system *system, void *owner)
{
	struct pci_sysfs *set;

	set = zalloc(sizeof(*set));
	if (!set)
		return NULL;
	set->system = system;
	set->owner = owner;
	CDS_INIT_LIST_HEAD(&set->names);
	return set;
}

/* The last that came goes first. */
void sysfs_del(struct iommufd_system *system, struct pci_sysfs *set)
{
	struct pci_name *name, *next;

	if (!set)
		return;
	cds_list_for_each_entry_safe (name, next, &set->names, node) {
		tree_remove(&system->tree, &name->entry);
		free(name);
	}
	free(set);
}

static struct pci_name *name_new(struct pci_sysfs *set, const char *dir, const char *file,
				 const char *text, enum tree_kind kind, mode_t mode)
{
	size_t path_size = strlen(dir) + 1 + (file ? strlen(file) : 0) + 1;
	size_t text_size = text ? strlen(text) + 1 : 0;
	struct pci_name *name;

	name = zalloc(sizeof(*name) + path_size + text_size);
	if (!name)
		return NULL;
	snprintf(name->path, path_size, "%s%s%s", dir, file ? "/" : "", file ? file : "");
	if (text) {
		name->text = name->path + path_size;
		memcpy(name->text, text, text_size);
	}
	name->owner = set->owner;
	name->entry = (struct tree_entry){.path = name->path, .kind = kind, .mode = mode};
	return name;
}

static int name_add(struct pci_sysfs *set, struct pci_name *name)
{
	int rc;

	if (!name)
		return -ENOMEM;
	rc = tree_add(&set->system->tree, &name->entry);
	if (rc)
		free(name);
	else
		cds_list_add(&name->node, &set->names);
	return rc;
}

static ssize_t text_show(struct tree_entry *entry, char *buf)
{
	return snprintf(buf, TREE_TEXT_MAX, "%s", to_name(entry)->text);
}

int sysfs_dir(struct pci_sysfs *set, const char *dir, const char *name)
{
	return name_add(set, name_new(set, dir, name, NULL, TREE_DIR, 0755));
}

int sysfs_text(struct pci_sysfs *set, const char *dir, const char *name, const char *text)
{
	struct pci_name *attr = name_new(set, dir, name, text, TREE_ATTR, 0444);

	if (attr) {
		attr->entry.show = text_show;
		attr->entry.constant = true;
	}
	return name_add(set, attr);
}

/* Where @path and @target, both absolute, part: behind the last slash they share. */
static size_t common_dirs(const char *path, const char *target)
{
	size_t common = 0;

	for (size_t i = 0; path[i] && path[i] == target[i]; i++)
		if (path[i] == '/')
			common = i + 1;
	return common;
}

/* As sysfs writes them: up to where both part, one step for each directory, then down. */
int sysfs_link(struct pci_sysfs *set, const char *dir, const char *name, const char *target)
{
	char path[256], text[256];
	struct pci_name *link;
	const char *slash;
	size_t common, len = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	common = common_dirs(path, target);
	for (slash = strchr(path + common, '/'); slash && len < sizeof(text) - 4;
	     slash = strchr(slash + 1, '/'))
		len += (size_t)snprintf(text + len, sizeof(text) - len, "../");
	snprintf(text + len, sizeof(text) - len, "%s", target + common);
	link = name_new(set, dir, name, text, TREE_LINK, 0777);
	if (link)
		link->entry.target = link->text;
	return name_add(set, link);
}

int sysfs_attr(struct pci_sysfs *set, const char *dir, const char *name, mode_t mode,
	       sysfs_show_fn show, sysfs_store_fn store)
{
	struct pci_name *attr = name_new(set, dir, name, NULL, TREE_ATTR, mode);

	if (attr) {
		attr->entry.show = show;
		attr->entry.store = store;
	}
	return name_add(set, attr);
}

int sysfs_binary(struct pci_sysfs *set, const char *dir, const char *name, int index,
		 const struct tree_entry *template)
{
	struct pci_name *attr = name_new(set, dir, name, NULL, TREE_ATTR, template->mode);

	if (attr) {
		attr->index = index;
		attr->entry.show = template->show;
		attr->entry.read_at = template->read_at;
		attr->entry.write_at = template->write_at;
		attr->entry.size = template->size;
	}
	return name_add(set, attr);
}

int sysfs_bool(const char *text, bool *ret_value)
{
	if (*text == '1' || *text == 'y' || *text == 'Y')
		*ret_value = true;
	else if (*text == '0' || *text == 'n' || *text == 'N')
		*ret_value = false;
	else
		return -EINVAL;
	return 0;
}

/* ---- the system ---- */

static int modules_add(struct pci_sysfs *set)
{
	static const char *const parameters[][3] = {
		{"/sys/module/vfio/parameters", "enable_unsafe_noiommu_mode", "N\n"},
		{"/sys/module/vfio_pci/parameters", "nointxmask", "N\n"},
		{"/sys/module/vfio_pci/parameters", "disable_idle_d3", "N\n"},
		{"/sys/module/vfio_pci/parameters", "enable_sriov", "Y\n"},
		{"/sys/module/vfio_iommu_type1/parameters", "allow_unsafe_interrupts", "N\n"},
		{"/sys/module/vfio_iommu_type1/parameters", "disable_hugepages", "N\n"},
		{"/sys/module/vfio_iommu_type1/parameters", "dma_entry_limit", "65535\n"},
	};
	int rc = sysfs_dir(set, "/sys/module/iommufd", NULL);

	for (size_t i = 0; i < ARRAY_SIZE(parameters) && !rc; i++)
		rc = sysfs_text(set, parameters[i][0], parameters[i][1], parameters[i][2]);
	return rc;
}

int sysfs_topology_add(struct pci_topology *topology)
{
	int rc;

	topology->sysfs = sysfs_new(topology->system, topology);
	if (!topology->sysfs)
		return -ENOMEM;
	rc = modules_add(topology->sysfs);
	rc = rc ?: sysfs_dir(topology->sysfs, "/sys/bus/pci/devices", NULL);
	rc = rc ?: sysfs_dir(topology->sysfs, "/sys/kernel/iommu_groups", NULL);
	rc = rc ?: sysfs_dir(topology->sysfs, "/sys/class/iommu", NULL);
	return rc ?: sysfs_driver_files(topology, topology->sysfs);
}

/* ---- IOMMUs ---- */

int sysfs_iommu_add(struct pci_topology *topology, const char *name)
{
	char path[128];
	int rc;

	snprintf(path, sizeof(path), "/sys/devices/virtual/iommu/%.64s", name);
	rc = sysfs_link(topology->sysfs, "/sys/class/iommu", name, path);
	if (rc)
		return rc == -EEXIST ? 0 : rc;
	return sysfs_link(topology->sysfs, path, "subsystem", "/sys/class/iommu");
}

/* ---- groups ---- */

static const char *resv_name(enum iommu_resv_type type)
{
	switch (type) {
	case IOMMU_RESV_DIRECT:
		return "direct";
	case IOMMU_RESV_DIRECT_RELAXABLE:
		return "direct-relaxable";
	case IOMMU_RESV_RESERVED:
		return "reserved";
	case IOMMU_RESV_MSI:
	case IOMMU_RESV_SW_MSI:
		return "msi";
	}
	return "reserved";
}

static struct pci_dev *any_of_group(struct pci_topology *topology, int id)
{
	struct pci_dev *found = NULL;
	struct pci_priv *priv;

	mutex_lock(&topology->lock);
	cds_list_for_each_entry (priv, &topology->functions, node) {
		if (!priv->shown || priv->group_id != id)
			continue;
		found = priv->pdev;
		priv->users++;
		break;
	}
	mutex_unlock(&topology->lock);
	return found;
}

static ssize_t resv_show(struct tree_entry *entry, char *buf)
{
	struct pci_topology *topology = to_name(entry)->owner;
	struct pci_dev *pdev = any_of_group(topology, to_name(entry)->index);
	struct iommu_resv_region *region;
	struct iommu_resv_list list;
	size_t len = 0;
	int rc;

	if (!pdev)
		return 0;
	rc = iommu_get_resv_regions(&pdev->dev, &list);
	topology_put(pdev);
	if (rc)
		return rc;
	for (region = list.first; region && len < TREE_TEXT_MAX - 64; region = region->next)
		len += (size_t)snprintf(buf + len, TREE_TEXT_MAX - len, "0x%016llx 0x%016llx %s\n",
					(unsigned long long)region->start,
					(unsigned long long)(region->start + region->length - 1),
					resv_name(region->type));
	iommu_put_resv_regions(&list);
	return (ssize_t)len;
}

int sysfs_group_add(struct pci_topology *topology, int id)
{
	const struct tree_entry regions = {.mode = 0444, .show = resv_show};
	struct pci_sysfs *set = sysfs_new(topology->system, topology);
	char dir[64];
	int rc;

	if (!set)
		return -ENOMEM;
	snprintf(dir, sizeof(dir), "/sys/kernel/iommu_groups/%d", id);
	rc = sysfs_text(set, dir, "type", "DMA-FQ\n");
	rc = rc ?: sysfs_binary(set, dir, "reserved_regions", id, &regions);
	if (rc)
		sysfs_del(topology->system, set);
	else
		topology->group_sysfs[id] = set;
	return rc;
}

void sysfs_group_del(struct pci_topology *topology, int id)
{
	sysfs_del(topology->system, topology->group_sysfs[id]);
	topology->group_sysfs[id] = NULL;
}
