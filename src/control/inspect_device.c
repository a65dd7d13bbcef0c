/* SPDX-License-Identifier: MIT */
/*
 * Devices, from both sides: objects in contexts, and functions of the machine.
 * That an object is of a function is known by comparing pointers; neither keeps the other.
 */
#include "control/inspect.h"

#include <string.h>

#include "control/json.h"
#include "device/device.h"
#include "viommu/viommu.h"

/* ---- objects ---- */

/* Where @idev itself is attached; its group may be elsewhere already for others. */
static struct json_object *attachments_json(struct iommufd_device *idev)
{
	struct iommufd_group *igroup = idev->igroup;
	struct json_object *array = json_object_new_array();
	struct itree_node *node;

	mutex_lock(&igroup->lock);
	for (node = itree_first(&igroup->attachments, 0, UINT64_MAX); node;
	     node = itree_next(node, 0, UINT64_MAX)) {
		struct iommufd_attach *attach = container_of(node, struct iommufd_attach, node);
		struct iommufd_attach_member *member;

		cds_list_for_each_entry (member, &attach->members, node) {
			struct json_object *at;

			if (member->idev != idev)
				continue;
			at = json_object_new_object();
			if (node->first)
				json_add_u64(at, "pasid", node->first);
			json_add_u64(at, "hwpt", attach->hwpt->obj.id);
			json_append(array, at);
		}
	}
	mutex_unlock(&igroup->lock);
	return array;
}

void inspect_add_device(struct iommufd_object *obj, struct json_object *row)
{
	struct iommufd_device *idev = to_device(obj);
	u32 vdevice = 0;

	mutex_lock(&idev->igroup->lock);
	if (idev->vdev)
		vdevice = idev->vdev->obj.id;
	mutex_unlock(&idev->igroup->lock);
	json_add_string(row, "name", idev->dev->name);
	if (idev->dev->iommu_dev)
		json_add_string(row, "iommu", idev->dev->iommu_dev->name);
	if (vdevice)
		json_add_u64(row, "vdevice", vdevice);
	json_add(row, "attached", attachments_json(idev));
}

/* ---- functions ---- */

#define BOUND_MAX 512

/** struct bound - @dev is an object of a context; only compared */
struct bound {
	const struct device *dev;
	u32 context, id;
	struct json_object *attached;
};

struct bounds {
	struct bound rows[BOUND_MAX];
	u32 count;
};

static void bounds_of_context(struct iommufd_ctx *ctx, struct bounds *bounds)
{
	struct iommufd_object *obj;

	for (u32 id = 1; object_peek_next(ctx, &id, &obj); id++) {
		if (obj->type == IOMMUFD_OBJ_DEVICE && bounds->count < BOUND_MAX)
			bounds->rows[bounds->count++] = (struct bound){
				.dev = to_device(obj)->dev,
				.context = ctx->number,
				.id = id,
				.attached = attachments_json(to_device(obj)),
			};
		object_peek_end(ctx, obj);
	}
}

static void bounds_collect(struct iommufd_system *system, struct bounds *bounds)
{
	struct iommufd_ctx *ctx;

	for (u32 number = 1; (ctx = ctx_next(system, number)); number++) {
		number = ctx->number;
		bounds_of_context(ctx, bounds);
		ctx_put(ctx);
	}
}

static struct json_object *iotlb_json(struct device *dev)
{
	struct json_object *obj = json_object_new_object();
	struct iommufd_iotlb_counters counters = {0};

	if (dev->dma)
		iommufd_iotlb_counters(dev, &counters);
	json_add_u64(obj, "lookups", counters.lookups);
	json_add_u64(obj, "hits", counters.hits);
	json_add_u64(obj, "walks", counters.walks);
	json_add_u64(obj, "invalidations", counters.invalidations);
	return obj;
}

static const char *irq_text(int mode)
{
	static const char *const names[] = {"intx", "msi", "msi-x"};

	return mode >= 0 && mode < (int)ARRAY_SIZE(names) ? names[mode] : "none";
}

struct devices_walk {
	struct json_object *rows;
	struct bounds bounds;
};

static void add_bound(const struct devices_walk *walk, struct pci_dev *pdev,
		      struct json_object *row)
{
	for (u32 i = 0; i < walk->bounds.count; i++) {
		const struct bound *bound = &walk->bounds.rows[i];

		if (bound->dev != &pdev->dev)
			continue;
		json_add_u64(row, "context", bound->context);
		json_add_u64(row, "object", bound->id);
		json_add(row, "attached", json_object_get(bound->attached));
		return;
	}
}

/* With the topology held: it reads, and what it calls takes leaf locks at most. */
static int device_row(struct pci_dev *pdev, void *data)
{
	struct devices_walk *walk = data;
	struct json_object *row = json_object_new_object();
	char addr[PCI_ADDR_LEN], ids[16];
	int group = pci_group_id(pdev);

	snprintf(addr, sizeof(addr), PCI_ADDR_FMT, PCI_ADDR_ARGS(pdev->addr));
	snprintf(ids, sizeof(ids), "%04x:%04x", pdev->desc->vendor, pdev->desc->device);
	json_add_string(row, "addr", addr);
	json_add_string(row, "model", pdev->desc->model);
	json_add_string(row, "pci-id", ids);
	if (pdev->dev.iommu_dev)
		json_add_string(row, "iommu", pdev->dev.iommu_dev->name);
	if (group >= 0)
		json_add_u64(row, "group", (u64)group);
	if (pdev->physfn) {
		snprintf(addr, sizeof(addr), PCI_ADDR_FMT, PCI_ADDR_ARGS(pdev->physfn->addr));
		json_add_string(row, "physfn", addr);
	}
	json_add_string(row, "access", machine_access_names[pdev->access]);
	json_add_bool(row, "memory", pci_mem_enabled(pdev));
	json_add_bool(row, "bus-master", pci_bus_master(pdev));
	json_add_string(row, "irq", irq_text(pci_irq_mode(pdev)));
	add_bound(walk, pdev, row);
	json_add(row, "iotlb", iotlb_json(&pdev->dev));
	json_append(walk->rows, row);
	return 0;
}

/* The ids the machine knows its functions by. */
static void rows_add_ids(struct machine *machine, struct json_object *rows)
{
	struct machine_slot *slot;
	char addr[PCI_ADDR_LEN];

	for (size_t i = 0; (slot = machine_slot_next(machine, &i)); i++) {
		snprintf(addr, sizeof(addr), PCI_ADDR_FMT, PCI_ADDR_ARGS(slot->device.addr));
		for (size_t r = 0; r < json_object_array_length(rows); r++) {
			struct json_object *row = json_object_array_get_idx(rows, r), *value;

			if (json_object_object_get_ex(row, "addr", &value) &&
			    !strcmp(json_object_get_string(value), addr))
				json_add_string(row, "id", slot->device.id);
		}
		machine_slot_put(machine, slot);
	}
}

struct json_object *inspect_devices(struct iommufd_system *system, struct machine *machine)
{
	struct devices_walk *walk = calloc(1, sizeof(*walk));
	struct json_object *rows = json_object_new_array();

	if (!walk || !machine) {
		free(walk);
		return rows;
	}
	walk->rows = rows;
	bounds_collect(system, &walk->bounds);
	pci_for_each(machine->topology, device_row, walk);
	rows_add_ids(machine, rows);
	for (u32 i = 0; i < walk->bounds.count; i++)
		json_object_put(walk->bounds.rows[i].attached);
	free(walk);
	return rows;
}

/* ---- the description ---- */

static void add_options(const struct machine_options *options, struct json_object *row)
{
	for (size_t i = 0; i < options->count; i++)
		json_add_string(row, options->list[i].key, options->list[i].value);
}

static struct json_object *iommus_json(const struct machine_desc *desc)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < desc->num_iommus; i++) {
		struct json_object *row = json_object_new_object();

		json_add_string(row, "model", desc->iommus[i].model->name);
		json_add_string(row, "id", desc->iommus[i].id);
		add_options(&desc->iommus[i].options, row);
		json_append(array, row);
	}
	return array;
}

static void add_addr(struct pci_addr addr, struct json_object *row)
{
	char text[PCI_ADDR_LEN];

	snprintf(text, sizeof(text), PCI_ADDR_FMT, PCI_ADDR_ARGS(addr));
	json_add_string(row, "addr", text);
}

static struct json_object *bridges_json(const struct machine_desc *desc)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < desc->num_bridges; i++) {
		struct json_object *row = json_object_new_object();

		add_addr(desc->bridges[i].desc.addr, row);
		json_add_u64(row, "bus", desc->bridges[i].desc.secondary);
		json_add_bool(row, "acs", desc->bridges[i].desc.acs);
		json_append(array, row);
	}
	return array;
}

static struct json_object *slots_json(struct machine *machine)
{
	struct json_object *array = json_object_new_array();
	struct machine_slot *slot;

	for (size_t i = 0; (slot = machine_slot_next(machine, &i)); i++) {
		const struct machine_device *device = &slot->device;
		struct json_object *row = json_object_new_object();

		json_add_string(row, "model", device->model->name);
		json_add_string(row, "id", device->id);
		add_addr(device->addr, row);
		if (device->iommu)
			json_add_string(row, "iommu", device->iommu);
		json_add_string(row, "access", machine_access_names[device->access]);
		add_options(&device->options, row);
		machine_slot_put(machine, slot);
		json_append(array, row);
	}
	return array;
}

struct json_object *inspect_machine(struct machine *machine, struct iommufd_system *system)
{
	struct json_object *obj = json_object_new_object(), *memory = json_object_new_object();

	json_add_string(memory, "frames", machine_frames_names[system->opts.frames]);
	json_add(obj, "memory", memory);
	if (!machine)
		return obj;
	json_add_string(obj, "container", machine_container_names[machine->desc.container]);
	json_add(obj, "iommus", iommus_json(&machine->desc));
	json_add(obj, "bridges", bridges_json(&machine->desc));
	json_add(obj, "devices", slots_json(machine));
	return obj;
}
