/* SPDX-License-Identifier: MIT */
/*
 * A description as a whole: do its parts fit together, and what was left open.
 */
#include "machine/desc.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define SLOTS 32

static bool addr_equal(struct pci_addr a, struct pci_addr b)
{
	return a.domain == b.domain && a.bus == b.bus && a.devfn == b.devfn;
}

static bool same_slot(struct pci_addr a, struct pci_addr b)
{
	return a.domain == b.domain && a.bus == b.bus && a.devfn >> 3 == b.devfn >> 3;
}

static const char *addr_text(struct pci_addr addr, char buf[PCI_ADDR_LEN])
{
	snprintf(buf, PCI_ADDR_LEN, PCI_ADDR_FMT, PCI_ADDR_ARGS(addr));
	return buf;
}

/* Is @addr taken by a bridge or a device other than the ones given? */
static bool addr_taken(const struct machine_desc *desc, struct pci_addr addr,
		       bool (*clash)(struct pci_addr a, struct pci_addr b), const void *but)
{
	for (size_t i = 0; i < desc->num_bridges; i++)
		if (&desc->bridges[i] != but && clash(desc->bridges[i].desc.addr, addr))
			return true;
	for (size_t i = 0; i < desc->num_devices; i++)
		if (&desc->devices[i] != but && desc->devices[i].placed &&
		    clash(desc->devices[i].addr, addr))
			return true;
	return false;
}

/* Is there such a bus, looking at the first @num_bridges bridges? */
static bool bus_exists(const struct machine_desc *desc, size_t num_bridges, u16 domain, u8 bus)
{
	bool found = !bus;

	for (size_t i = 0; !found && i < num_bridges; i++)
		found = desc->bridges[i].desc.addr.domain == domain &&
			desc->bridges[i].desc.secondary == bus;
	return found;
}

/* A slot of a root bus with nothing in it, from @first on in steps of @step. */
static bool slot_choose(const struct machine_desc *desc, u16 domain, int first, int step,
			struct pci_addr *ret)
{
	for (int slot = first; slot > 0 && slot < SLOTS; slot += step) {
		const struct pci_addr addr = {.domain = domain, .devfn = (u8)(slot << 3)};

		if (addr_taken(desc, addr, same_slot, NULL))
			continue;
		*ret = addr;
		return true;
	}
	return false;
}

/* ---- bridges ---- */

static int bridge_finish(const struct machine_desc *desc, size_t i, struct machine_error *error)
{
	const struct machine_bridge *bridge = &desc->bridges[i];
	struct pci_addr addr = bridge->desc.addr;
	char text[PCI_ADDR_LEN];

	addr_text(addr, text);
	if (addr_taken(desc, addr, addr_equal, bridge))
		return machine_error_set(error, &bridge->at, text, "the address is taken");
	if (!bus_exists(desc, i, addr.domain, addr.bus))
		return machine_error_set(error, &bridge->at, text,
					 "no bridge before this one leads to its bus");
	if (bus_exists(desc, i, addr.domain, bridge->desc.secondary))
		return machine_error_set(error, &bridge->at, text,
					 "bus %u is behind another bridge", bridge->desc.secondary);
	return 0;
}

/* The bus of a device nobody described: behind a root port of its own. */
static int root_port_add(struct machine_desc *desc, const struct machine_place *at,
			 struct pci_addr addr, struct machine_error *error)
{
	struct machine_bridge *bridges, *bridge;
	struct pci_addr port;
	char text[PCI_ADDR_LEN];

	if (desc->num_bridges >= MACHINE_BRIDGES_MAX ||
	    !slot_choose(desc, addr.domain, SLOTS - 1, -1, &port))
		return machine_error_set(error, at, addr_text(addr, text),
					 "no room for a root port that leads to its bus");
	bridges = fault_point("alloc")
			  ? NULL
			  : realloc(desc->bridges, (desc->num_bridges + 1) * sizeof(*bridges));
	if (!bridges) {
		machine_error_set(error, at, "memory", "there is not enough");
		return -ENOMEM;
	}
	desc->bridges = bridges;
	bridge = &bridges[desc->num_bridges++];
	*bridge = (struct machine_bridge){
		.at = *at,
		.desc = {.addr = port, .secondary = addr.bus, .acs = true},
		.implied = true,
	};
	return 0;
}

/* ---- devices ---- */

static int device_iommu_finish(const struct machine_desc *desc, const struct machine_device *device,
			       struct machine_error *error)
{
	for (size_t i = 0; device->iommu && i < desc->num_iommus; i++)
		if (!strcmp(desc->iommus[i].id, device->iommu))
			return 0;
	if (!device->iommu)
		return 0;
	return machine_error_set(error, &device->at, device->iommu, "no IOMMU has this id");
}

/* Addresses that were given, and their buses. */
static int device_addr_finish(struct machine_desc *desc, const struct machine_device *device,
			      bool may_add_bus, struct machine_error *error)
{
	struct pci_addr addr = device->addr;
	char text[PCI_ADDR_LEN];

	if (addr_taken(desc, addr, addr_equal, device))
		return machine_error_set(error, &device->at, addr_text(addr, text),
					 "the address is taken");
	if (bus_exists(desc, desc->num_bridges, addr.domain, addr.bus))
		return 0;
	if (!may_add_bus)
		return machine_error_set(error, &device->at, addr_text(addr, text),
					 "no bridge leads to its bus");
	return root_port_add(desc, &device->at, addr, error);
}

static int device_slot_finish(const struct machine_desc *desc, struct machine_device *device,
			      struct machine_error *error)
{
	struct pci_addr addr;

	if (!slot_choose(desc, 0, 1, 1, &addr))
		return machine_error_set(error, &device->at, device->id,
					 "no slot of bus 0 is free: give it an addr");
	device->addr = addr;
	device->placed = true;
	return 0;
}

int machine_desc_place(struct machine_desc *desc, struct machine_device *device,
		       struct machine_error *error)
{
	int rc = device_iommu_finish(desc, device, error);

	if (rc)
		return rc;
	return device->placed ? device_addr_finish(desc, device, false, error)
			      : device_slot_finish(desc, device, error);
}

static int iommu_implied(struct machine_desc *desc, struct machine_error *error)
{
	const struct machine_word model = {.key = "model", .value = iommu_models[0]->name};
	const struct machine_item item = {.words = &model, .count = 1};

	return machine_desc_iommu(desc, &item, error);
}

int machine_desc_finish(struct machine_desc *desc, struct machine_error *error)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < desc->num_bridges; i++)
		rc = bridge_finish(desc, i, error);
	if (!rc && desc->num_devices && !desc->num_iommus)
		rc = iommu_implied(desc, error);
	for (size_t i = 0; !rc && i < desc->num_devices; i++)
		rc = device_iommu_finish(desc, &desc->devices[i], error);
	for (size_t i = 0; !rc && i < desc->num_devices; i++)
		if (desc->devices[i].placed)
			rc = device_addr_finish(desc, &desc->devices[i], true, error);
	for (size_t i = 0; !rc && i < desc->num_devices; i++)
		if (!desc->devices[i].placed)
			rc = device_slot_finish(desc, &desc->devices[i], error);
	return rc;
}

int machine_desc_default(struct machine_desc *desc, struct machine_error *error)
{
	static const char source[] = "the default machine";
	int rc;

	rc = machine_desc_text(desc, source, "generic,id=iommu0", machine_desc_iommu, error);
	if (!rc)
		rc = machine_desc_text(desc, source, "dsa", machine_desc_device, error);
	if (!rc)
		rc = machine_desc_text(desc, source, "nvme,size=64M", machine_desc_device, error);
	return rc;
}
