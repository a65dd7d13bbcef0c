/* SPDX-License-Identifier: MIT */
/*
 * Buses and who is on them.  The list of functions is in order of address; who
 * finds one holds it (users), and removing it waits.
 */
#include <stdio.h>

#include "pci/priv.h"

/* Where firmware puts BARs. */
#define IO_FIRST   0x1000ULL
#define IO_LAST	   0xffffULL
#define MEM_FIRST  0x80000000ULL
#define MEM_LAST   0xfdffffffULL
#define HIGH_FIRST 0x380000000000ULL
#define HIGH_LAST  0x3fffffffffffULL

bool pci_addr_parse(const char *text, struct pci_addr *ret_addr)
{
	unsigned int domain = 0, bus, slot, fn;
	int end = -1;

	if (sscanf(text, "%4x:%2x:%2x.%1o%n", &domain, &bus, &slot, &fn, &end) != 4 || end < 0 ||
	    text[end]) {
		domain = 0;
		end = -1;
		if (sscanf(text, "%2x:%2x.%1o%n", &bus, &slot, &fn, &end) != 3 || end < 0 ||
		    text[end])
			return false;
	}
	if (slot > 31)
		return false;
	*ret_addr = (struct pci_addr){
		.domain = (u16)domain, .bus = (u8)bus, .devfn = (u8)(slot << 3 | fn)};
	return true;
}

int pci_topology_create(struct iommufd_system *system, struct pci_topology **ret_topology)
{
	struct pci_topology *topology;
	int rc;

	topology = zalloc(sizeof(*topology));
	if (!topology)
		return -ENOMEM;
	topology->system = system;
	mutex_init(&topology->probe_lock);
	mutex_init(&topology->lock);
	pthread_cond_init(&topology->idle, NULL);
	CDS_INIT_LIST_HEAD(&topology->functions);
	CDS_INIT_LIST_HEAD(&topology->bridges);
	rc = sysfs_topology_add(topology);
	if (rc) {
		pci_topology_destroy(topology);
		return rc;
	}
	*ret_topology = topology;
	return 0;
}

void pci_topology_destroy(struct pci_topology *topology)
{
	struct pci_bridge *bridge, *next;

	if (!topology)
		return;
	assert(cds_list_empty(&topology->functions));
	cds_list_for_each_entry_safe (bridge, next, &topology->bridges, node) {
		sysfs_del(topology->system, bridge->sysfs);
		free(bridge);
	}
	sysfs_del(topology->system, topology->sysfs);
	pthread_cond_destroy(&topology->idle);
	mutex_destroy(&topology->lock);
	mutex_destroy(&topology->probe_lock);
	free(topology);
}

/* ---- bridges ---- */

struct pci_bridge *bus_bridge(struct pci_topology *topology, u16 domain, u8 bus)
{
	struct pci_bridge *bridge;

	cds_list_for_each_entry (bridge, &topology->bridges, node)
		if (bridge->desc.addr.domain == domain && bridge->desc.secondary == bus)
			return bridge;
	return NULL;
}

static struct pci_bridge *bridge_at(struct pci_topology *topology, struct pci_addr addr)
{
	struct pci_bridge *bridge;

	cds_list_for_each_entry (bridge, &topology->bridges, node)
		if (addr_key(bridge->desc.addr) == addr_key(addr))
			return bridge;
	return NULL;
}

static void bridge_path(struct pci_bridge *bridge)
{
	struct pci_addr addr = bridge->desc.addr;

	if (bridge->parent)
		snprintf(bridge->path, sizeof(bridge->path), "%.100s/" PCI_ADDR_FMT,
			 bridge->parent->path, PCI_ADDR_ARGS(addr));
	else
		snprintf(bridge->path, sizeof(bridge->path),
			 "/sys/devices/pci%04x:00/" PCI_ADDR_FMT, addr.domain, PCI_ADDR_ARGS(addr));
}

/* Deeper and its path would be cut. */
#define BRIDGES_DEEP 6

static int bridge_place(struct pci_topology *topology, struct pci_bridge *bridge)
	__must_hold(&topology->lock)
{
	const struct pci_bridge_desc *desc = &bridge->desc;
	unsigned int depth = 0;

	if (!desc->secondary || desc->secondary <= desc->addr.bus)
		return -EINVAL;
	if (topology_find(topology, desc->addr) || bridge_at(topology, desc->addr) ||
	    bus_bridge(topology, desc->addr.domain, desc->secondary))
		return -EEXIST;
	bridge->parent = bus_bridge(topology, desc->addr.domain, desc->addr.bus);
	if (desc->addr.bus && !bridge->parent)
		return -ENOENT;
	for (struct pci_bridge *up = bridge->parent; up; up = up->parent)
		depth++;
	if (depth >= BRIDGES_DEEP)
		return -EINVAL;
	bridge_path(bridge);
	cds_list_add_tail(&bridge->node, &topology->bridges);
	return 0;
}

int pci_bridge_add(struct pci_topology *topology, const struct pci_bridge_desc *desc)
{
	struct pci_bridge *bridge;
	int rc;

	bridge = zalloc(sizeof(*bridge));
	if (!bridge)
		return -ENOMEM;
	bridge->topology = topology;
	bridge->desc = *desc;
	mutex_lock(&topology->lock);
	rc = bridge_place(topology, bridge);
	mutex_unlock(&topology->lock);
	if (rc)
		goto err_free;
	rc = sysfs_bridge_add(bridge);
	if (rc)
		goto err_remove;
	return 0;
err_remove:
	mutex_lock(&topology->lock);
	cds_list_del(&bridge->node);
	mutex_unlock(&topology->lock);
err_free:
	free(bridge);
	return rc;
}

void pci_sysfs_path(const struct pci_dev *pdev, char *buf, size_t size)
{
	struct pci_topology *topology = pdev->priv->topology;
	const struct pci_bridge *bridge;

	mutex_lock(&topology->lock);
	bridge = bus_bridge(topology, pdev->addr.domain, pdev->addr.bus);
	mutex_unlock(&topology->lock);
	if (bridge)
		snprintf(buf, size, "%s/%s", bridge->path, pdev->priv->name);
	else
		snprintf(buf, size, "/sys/devices/pci%04x:00/%s", pdev->addr.domain,
			 pdev->priv->name);
}

/* ---- addresses of BARs ---- */

static bool address_meets(u64 first, u64 size, u64 other, u64 other_size, u64 *ret_after)
{
	if (!other_size || !ranges_overlap(first, first + size - 1, other, other + other_size - 1))
		return false;
	*ret_after = other + other_size;
	return true;
}

static bool address_taken(struct pci_topology *topology, u64 first, u64 size, bool io,
			  u64 *ret_after) __must_hold(&topology->lock)
{
	struct pci_priv *priv;

	cds_list_for_each_entry (priv, &topology->functions, node) {
		const struct pci_desc *desc = priv->pdev->desc;

		for (int i = 0; i < PCI_BARS; i++) {
			if (desc->bars[i].io != io)
				continue;
			if (priv->address[i] && address_meets(first, size, priv->address[i],
							      desc->bars[i].size, ret_after))
				return true;
			if (priv->vf_address[i] &&
			    address_meets(first, size, priv->vf_address[i],
					  desc->vf->bars[i].size * desc->sriov_vfs, ret_after))
				return true;
		}
	}
	return false;
}

u64 address_assign(struct pci_topology *topology, u64 size, const struct pci_bar_desc *bar)
{
	u64 first = bar->io ? IO_FIRST : bar->wide ? HIGH_FIRST : MEM_FIRST;
	u64 last = bar->io ? IO_LAST : bar->wide ? HIGH_LAST : MEM_LAST;
	u64 align = bar->io ? bar->size : MAX(bar->size, (u64)PAGE_SIZE);

	first = ALIGN_UP(first, align);
	while (first <= last && size <= last - first + 1) {
		u64 after;

		if (!address_taken(topology, first, size, bar->io, &after))
			return first;
		first = ALIGN_UP(after, align);
	}
	return 0;
}

/* ---- finding ---- */

struct pci_dev *topology_find(struct pci_topology *topology, struct pci_addr addr)
{
	struct pci_priv *priv;

	cds_list_for_each_entry (priv, &topology->functions, node)
		if (addr_key(priv->pdev->addr) == addr_key(addr))
			return priv->pdev;
	return NULL;
}

struct pci_dev *pci_find(struct pci_topology *topology, struct pci_addr addr)
{
	struct pci_dev *pdev;

	mutex_lock(&topology->lock);
	pdev = topology_find(topology, addr);
	if (pdev && !pdev->priv->shown)
		pdev = NULL;
	mutex_unlock(&topology->lock);
	return pdev;
}

struct pci_dev *topology_get(struct pci_topology *topology, struct pci_addr addr)
{
	struct pci_dev *pdev;

	mutex_lock(&topology->lock);
	pdev = topology_find(topology, addr);
	if (pdev && pdev->priv->shown)
		pdev->priv->users++;
	else
		pdev = NULL;
	mutex_unlock(&topology->lock);
	return pdev;
}

void topology_put(struct pci_dev *pdev)
{
	struct pci_topology *topology = pdev->priv->topology;

	mutex_lock(&topology->lock);
	if (!--pdev->priv->users)
		pthread_cond_broadcast(&topology->idle);
	mutex_unlock(&topology->lock);
}

/* The first shown one from @key on, counted. */
static struct pci_dev *topology_next(struct pci_topology *topology, u64 key)
{
	struct pci_dev *found = NULL;
	struct pci_priv *priv;

	mutex_lock(&topology->lock);
	cds_list_for_each_entry (priv, &topology->functions, node) {
		if (addr_key(priv->pdev->addr) < key || !priv->shown)
			continue;
		found = priv->pdev;
		priv->users++;
		break;
	}
	mutex_unlock(&topology->lock);
	return found;
}

void pci_for_each(struct pci_topology *topology, int (*fn)(struct pci_dev *pdev, void *data),
		  void *data)
{
	struct pci_dev *pdev;
	u64 key = 0;
	int rc = 0;

	while (!rc && (pdev = topology_next(topology, key))) {
		key = addr_key(pdev->addr) + 1ULL;
		rc = fn(pdev, data);
		topology_put(pdev);
	}
}

/* ---- who wants to know ---- */

void pci_listen(struct pci_topology *topology, struct pci_listener *listener)
{
	mutex_lock(&topology->lock);
	topology->listener = listener;
	mutex_unlock(&topology->lock);
}

struct pci_listener *topology_listener(struct pci_topology *topology)
{
	struct pci_listener *listener;

	mutex_lock(&topology->lock);
	listener = topology->listener;
	mutex_unlock(&topology->lock);
	return listener;
}

void pci_owner_set(struct pci_topology *topology, int (*remove)(void *owner, struct pci_dev *pdev),
		   void *owner)
{
	topology->owner_remove = remove;
	topology->owner = owner;
}
