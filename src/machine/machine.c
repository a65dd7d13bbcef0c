/* SPDX-License-Identifier: MIT */
#include "machine/machine.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static int said(struct machine_error *error, int rc, const struct machine_place *at,
		const char *word, const char *why)
{
	machine_error_set(error, at, word, "%s", why);
	return rc;
}

/* ---- IOMMUs and buses ---- */

static int iommu_start(struct iommufd_system *system, const struct machine_iommu *iommu,
		       struct machine_error *error)
{
	char why[256] = "";
	int rc;

	rc = iommu->model->create(system, iommu->options.list, iommu->options.count, why,
				  sizeof(why));
	if (!rc)
		return 0;
	return said(error, rc, &iommu->at, iommu->id, *why ? why : strerror(-rc));
}

static const char *bridge_error(int rc)
{
	switch (rc) {
	case -EEXIST:
		return "the address or the bus is taken";
	case -ENOENT:
		return "there is no bus for it";
	default:
		return strerror(-rc);
	}
}

static int bridge_start(struct pci_topology *topology, const struct machine_bridge *bridge,
			struct machine_error *error)
{
	char addr[PCI_ADDR_LEN];
	int rc;

	rc = pci_bridge_add(topology, &bridge->desc);
	if (!rc)
		return 0;
	snprintf(addr, sizeof(addr), PCI_ADDR_FMT, PCI_ADDR_ARGS(bridge->desc.addr));
	return said(error, rc, &bridge->at, addr, bridge_error(rc));
}

/* ---- devices ---- */

/* What puts @device behind its IOMMU; NULL: there is none. */
static int (*device_probe(const struct machine *machine,
			  const struct machine_device *device))(struct iommufd_system *system,
								struct device *dev)
{
	for (size_t i = 0; !device->model->emulated && i < machine->desc.num_iommus; i++)
		if (!device->iommu || !strcmp(machine->desc.iommus[i].id, device->iommu))
			return machine->desc.iommus[i].model->probe;
	return NULL;
}

static int device_start(struct machine *machine, const struct machine_device *device,
			struct pci_dev **ret_pdev, struct machine_error *error)
{
	char why[256] = "";
	struct pci_dev *pdev;
	int rc;

	rc = device->model->create(machine->system, device->options.list, device->options.count,
				   &pdev, why, sizeof(why));
	if (rc)
		return said(error, rc, &device->at, device->id, *why ? why : strerror(-rc));
	pdev->access = device->access;
	rc = pci_dev_add(machine->topology, pdev, device->addr, device_probe(machine, device));
	if (rc) {
		pdev->ops->destroy(pdev);
		return said(error, rc, &device->at, device->id,
			    rc == -EEXIST ? "its address is taken" : strerror(-rc));
	}
	rc = device->model->emulated ? vfio_add_emulated(machine->vfio, pdev) : 0;
	if (rc) {
		pci_dev_remove(pdev);
		return said(error, rc, &device->at, device->id, strerror(-rc));
	}
	*ret_pdev = pdev;
	return 0;
}

static int slot_free(const struct machine *machine) __must_hold(&machine->lock)
{
	for (int i = 0; i < MACHINE_DEVICES_MAX; i++)
		if (!machine->slots[i])
			return i;
	return -ENOSPC;
}

/* Start @device and own it; on failure it stays the caller's. */
static int slot_start(struct machine *machine, struct machine_device *device,
		      struct machine_error *error)
{
	struct machine_slot *slot = zalloc(sizeof(*slot));
	int index, rc;

	if (!slot)
		return said(error, -ENOMEM, &device->at, "memory", "there is not enough");
	rc = device_start(machine, device, &slot->pdev, error);
	if (rc) {
		free(slot);
		return rc;
	}
	slot->device = *device;
	*device = (struct machine_device){0};
	mutex_lock(&machine->lock);
	index = slot_free(machine);
	machine->slots[index] = slot;
	mutex_unlock(&machine->lock);
	return 0;
}

/* Nobody finds it any more, and nobody looks at it. */
static void slot_end(struct machine_slot *slot)
{
	pci_dev_remove(slot->pdev);
	machine_device_fini(&slot->device);
	free(slot);
}

/* ---- all of it ---- */

static int remove_by_program(void *owner, struct pci_dev *pdev);

static int machine_build(struct machine *machine, const struct machine_desc *desc,
			 struct machine_error *error)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < desc->num_iommus; i++)
		rc = iommu_start(machine->system, &desc->iommus[i], error);
	if (rc)
		return rc;
	rc = pci_topology_create(machine->system, &machine->topology);
	if (!rc)
		pci_owner_set(machine->topology, remove_by_program, machine);
	for (size_t i = 0; !rc && i < desc->num_bridges; i++) {
		rc = bridge_start(machine->topology, &desc->bridges[i], error);
		if (rc)
			return rc;
	}
	if (!rc)
		rc = vfio_create(machine->system, machine->topology, desc->container,
				 &machine->vfio);
	return rc ? said(error, rc, NULL, "machine", strerror(-rc)) : 0;
}

static void machine_free(struct machine *machine)
{
	vfio_destroy(machine->vfio);
	for (size_t i = MACHINE_DEVICES_MAX; i--;)
		if (machine->slots[i])
			slot_end(machine->slots[i]);
	pci_topology_destroy(machine->topology);
	pthread_cond_destroy(&machine->unused);
	mutex_destroy(&machine->lock);
	mutex_destroy(&machine->changes);
	free(machine);
}

int machine_start(struct machine_desc *desc, struct iommufd_system *system,
		  struct machine **ret_machine, struct machine_error *error)
{
	struct machine *machine = zalloc(sizeof(*machine));
	int rc;

	if (!machine)
		return said(error, -ENOMEM, NULL, "memory", "there is not enough");
	machine->system = system;
	mutex_init(&machine->changes);
	mutex_init(&machine->lock);
	pthread_cond_init(&machine->unused, NULL);
	rc = machine_build(machine, desc, error);
	/* Borrowed until it works: devices look for their IOMMU in it. */
	machine->desc = *desc;
	for (size_t i = 0; !rc && i < desc->num_devices; i++)
		rc = slot_start(machine, &desc->devices[i], error);
	if (rc) {
		machine_free(machine);
		return rc;
	}
	free(desc->devices);
	machine->desc.devices = NULL;
	machine->desc.num_devices = 0;
	machine_desc_init(desc, desc->models);
	*ret_machine = machine;
	return 0;
}

void machine_stop(struct machine *machine)
{
	struct machine_desc desc;

	if (!machine)
		return;
	desc = machine->desc;
	machine_free(machine);
	machine_desc_fini(&desc);
}

/* ---- while it runs ---- */

static bool slot_is(const struct machine_slot *slot, const char *name)
{
	struct pci_addr addr;

	if (!strcmp(slot->device.id, name))
		return true;
	return pci_addr_parse(name, &addr) && addr.domain == slot->device.addr.domain &&
	       addr.bus == slot->device.addr.bus && addr.devfn == slot->device.addr.devfn;
}

static struct machine_slot **slot_find(struct machine *machine, const char *name)
	__must_hold(&machine->lock)
{
	for (size_t i = 0; i < MACHINE_DEVICES_MAX; i++)
		if (machine->slots[i] && slot_is(machine->slots[i], name))
			return &machine->slots[i];
	return NULL;
}

struct machine_slot *machine_slot_get(struct machine *machine, const char *name)
{
	struct machine_slot **at, *slot = NULL;

	mutex_lock(&machine->lock);
	at = slot_find(machine, name);
	if (at && !(*at)->going) {
		slot = *at;
		slot->users++;
	}
	mutex_unlock(&machine->lock);
	return slot;
}

struct machine_slot *machine_slot_next(struct machine *machine, size_t *index)
{
	struct machine_slot *slot = NULL;

	mutex_lock(&machine->lock);
	for (; *index < MACHINE_DEVICES_MAX; ++*index) {
		slot = machine->slots[*index];
		if (slot && !slot->going)
			break;
		slot = NULL;
	}
	if (slot)
		slot->users++;
	mutex_unlock(&machine->lock);
	return slot;
}

void machine_slot_put(struct machine *machine, struct machine_slot *slot)
{
	mutex_lock(&machine->lock);
	if (!--slot->users)
		pthread_cond_broadcast(&machine->unused);
	mutex_unlock(&machine->lock);
}

bool machine_function_get(struct machine *machine, const char *name,
			  struct machine_function *ret_function)
{
	struct machine_slot *slot = machine_slot_get(machine, name);
	struct pci_dev *pdev = slot ? slot->pdev : NULL;
	struct pci_addr addr;

	if (!slot && pci_addr_parse(name, &addr)) {
		pdev = topology_get(machine->topology, addr);
		/* A device has a slot, unless it is on its way in or out. */
		if (pdev && !pdev->physfn) {
			topology_put(pdev);
			pdev = NULL;
		}
	}
	*ret_function = (struct machine_function){.pdev = pdev, .slot = slot};
	return pdev;
}

void machine_function_put(struct machine *machine, const struct machine_function *function)
{
	if (function->slot)
		machine_slot_put(machine, function->slot);
	else
		topology_put(function->pdev);
}

/*
 * The parser wants a whole description to see what is taken; it gets one that borrows
 * what the machine has.  Nothing of it can go meanwhile: changes is held.
 */
static int device_describe(struct machine *machine, const struct machine_item *item,
			   struct machine_device *ret_device, struct machine_error *error)
	__must_hold(&machine->changes)
{
	struct machine_desc desc = machine->desc;
	size_t last;
	int rc;

	desc.num_devices = 0;
	desc.devices = zalloc_array(MACHINE_DEVICES_MAX, sizeof(*desc.devices));
	if (!desc.devices)
		return said(error, -ENOMEM, &item->at, "memory", "there is not enough");
	mutex_lock(&machine->lock);
	for (size_t i = 0; i < MACHINE_DEVICES_MAX; i++)
		if (machine->slots[i])
			desc.devices[desc.num_devices++] = machine->slots[i]->device;
	mutex_unlock(&machine->lock);
	rc = machine_desc_device(&desc, item, error);
	if (rc)
		goto out;
	last = desc.num_devices - 1;
	rc = machine_desc_place(&desc, &desc.devices[last], error);
	if (rc)
		machine_device_fini(&desc.devices[last]);
	else
		*ret_device = desc.devices[last];
out:
	free(desc.devices);
	return rc;
}

int machine_device_add(struct machine *machine, const struct machine_item *item, char *ret_id,
		       struct machine_error *error)
{
	struct machine_device device;
	int rc;

	mutex_lock(&machine->changes);
	rc = device_describe(machine, item, &device, error);
	if (!rc) {
		if (ret_id)
			snprintf(ret_id, MACHINE_ID_MAX + 1, "%s", device.id);
		rc = slot_start(machine, &device, error);
		if (rc)
			machine_device_fini(&device);
	}
	mutex_unlock(&machine->changes);
	return rc;
}

int machine_device_remove(struct machine *machine, const char *name)
{
	struct machine_slot **at, *slot;

	mutex_lock(&machine->lock);
	at = slot_find(machine, name);
	if (!at || (*at)->going) {
		mutex_unlock(&machine->lock);
		return at ? -EBUSY : -ENODEV;
	}
	slot = *at;
	slot->going = true;
	while (slot->users)
		mutex_wait(&machine->lock, &machine->unused);
	mutex_unlock(&machine->lock);
	/* Its place and its name stay taken until it is gone. */
	pci_dev_remove(slot->pdev);
	/* Who describes another one has borrowed its words. */
	mutex_lock(&machine->changes);
	mutex_lock(&machine->lock);
	*slot_find(machine, slot->device.id) = NULL;
	mutex_unlock(&machine->lock);
	mutex_unlock(&machine->changes);
	machine_device_fini(&slot->device);
	free(slot);
	return 0;
}

/* A program has written to the `remove` of a function of ours. */
static int remove_by_program(void *owner, struct pci_dev *pdev)
{
	struct machine *machine = owner;
	char name[PCI_ADDR_LEN];

	snprintf(name, sizeof(name), PCI_ADDR_FMT, PCI_ADDR_ARGS(pdev->addr));
	return machine_device_remove(machine, name);
}
