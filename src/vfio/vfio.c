/* SPDX-License-Identifier: MIT */
/*
 * Devices come and go with the functions of the machine.  One that goes asks
 * its user to let go, and waits for that.
 */
#include "vfio/vfio.h"

#include <limits.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "vfio/vfio_priv.h"

#define REQUEST_AGAIN_S 10

/* ---- sets ---- */

static struct vfio_set *set_find(struct vfio *vfio, const struct pci_addr *addr)
	__must_hold(&vfio->lock)
{
	struct vfio_set *set;

	cds_list_for_each_entry (set, &vfio->sets, node) {
		if (set->domain == addr->domain && set->bus == addr->bus)
			return set;
	}
	return NULL;
}

/* The set of a bus, made for its first device. */
static struct vfio_set *set_get(struct vfio *vfio, const struct pci_addr *addr)
{
	struct vfio_set *fresh = zalloc(sizeof(*fresh)), *set;

	if (!fresh)
		return NULL;
	mutex_lock(&vfio->lock);
	set = set_find(vfio, addr);
	if (!set) {
		set = fresh;
		fresh = NULL;
		set->domain = addr->domain;
		set->bus = addr->bus;
		mutex_init(&set->lock);
		pthread_cond_init(&set->closed, NULL);
		cds_list_add(&set->node, &vfio->sets);
	}
	set->refs++;
	mutex_unlock(&vfio->lock);
	free(fresh);
	return set;
}

static void set_put(struct vfio *vfio, struct vfio_set *set)
{
	bool last;

	mutex_lock(&vfio->lock);
	last = !--set->refs;
	if (last)
		cds_list_del(&set->node);
	mutex_unlock(&vfio->lock);
	if (!last)
		return;
	pthread_cond_destroy(&set->closed);
	mutex_destroy(&set->lock);
	free(set);
}

/* ---- the client of a function ---- */

static void client_irq(struct pci_client *client, enum pci_irq kind, u32 vector)
{
	irqs_raise(&container_of(client, struct vfio_device, client)->irqs, kind, vector);
}

static void client_intx(struct pci_client *client, bool level)
{
	irqs_intx(&container_of(client, struct vfio_device, client)->irqs, level);
}

/* By a write of configuration space: who wrote looks at it afterwards, with no lock held. */
static void client_reset_done(struct pci_client *client)
{
	atomic_store(&container_of(client, struct vfio_device, client)->was_reset, true);
}

/* ---- counting files ---- */

bool vfio_device_get(struct vfio_device *vdev)
{
	bool live;

	mutex_lock(&vdev->vfio->lock);
	live = !vdev->removing;
	vdev->files += live;
	mutex_unlock(&vdev->vfio->lock);
	return live;
}

void vfio_device_put(struct vfio_device *vdev)
{
	struct vfio *vfio = vdev->vfio;

	mutex_lock(&vfio->lock);
	if (!--vdev->files)
		pthread_cond_broadcast(&vfio->idle);
	mutex_unlock(&vfio->lock);
}

struct vfio_device *vfio_device_find(struct vfio *vfio, const struct pci_dev *pdev)
	__must_hold(&vfio->lock)
{
	struct vfio_device *vdev;

	cds_list_for_each_entry (vdev, &vfio->devices, node) {
		if (vdev->pdev == pdev)
			return vdev;
	}
	return NULL;
}

/* ---- devices ---- */

static int minor_reserve(struct vfio *vfio, struct vfio_device *vdev)
{
	u32 id;
	int rc;

	mutex_lock(&vfio->lock);
	rc = idtable_reserve(&vfio->minors, &id);
	if (!rc)
		idtable_store(&vfio->minors, id, vdev);
	mutex_unlock(&vfio->lock);
	vdev->minor = id - 1; /* 0 is the first minor, and no id */
	return rc;
}

static void minor_release(struct vfio *vfio, u32 minor)
{
	mutex_lock(&vfio->lock);
	idtable_release(&vfio->minors, minor + 1);
	mutex_unlock(&vfio->lock);
}

static int device_names(struct vfio_device *vdev)
{
	char parent[VFIO_PATH_MAX / 2], dir[VFIO_PATH_MAX], node[64], name[32], link[VFIO_PATH_MAX];
	int rc;

	pci_sysfs_path(vdev->pdev, parent, sizeof(parent));
	snprintf(name, sizeof(name), "vfio%u", vdev->minor);
	snprintf(node, sizeof(node), "/dev/vfio/devices/%s", name);
	snprintf(dir, sizeof(dir), "%s/vfio-dev/%s", parent, name);
	rc = vfio_names_node(&vdev->names, node, 0600, VFIO_DEV_MAJOR, vdev->minor, vfio_cdev_open,
			     vdev);
	snprintf(link, sizeof(link), "%.200s/device", dir);
	rc = rc ?: vfio_names_link(&vdev->names, link, parent);
	return rc
		       ?: vfio_names_device(&vdev->names, node, VFIO_DEV_MAJOR, vdev->minor, dir,
					    "vfio-dev", name);
}

static void device_init(struct vfio_device *vdev, struct vfio *vfio, struct pci_dev *pdev,
			bool emulated)
{
	vdev->vfio = vfio;
	vdev->pdev = pdev;
	vdev->emulated = emulated;
	vdev->client = (struct pci_client){
		.irq = client_irq, .intx = client_intx, .reset_done = client_reset_done};
	vdev->removing = true; /* nobody opens what is half made */
	vdev->wakeup = -1;
	vdev->mig.state = VFIO_DEVICE_STATE_RUNNING;
	vfio_token_init(vdev);
	rangemap_init(&vdev->pasids);
	irqs_init(&vdev->irqs, pdev, vfio->watcher, &vfio->raiser);
	CDS_INIT_LIST_HEAD(&vdev->exports);
	mutex_init(&vdev->ioeventfd_lock);
	CDS_INIT_LIST_HEAD(&vdev->ioeventfds);
}

static void device_free(struct vfio_device *vdev)
{
	rangemap_clear(&vdev->pasids);
	irqs_fini(&vdev->irqs);
	mutex_destroy(&vdev->ioeventfd_lock);
	free(vdev);
}

static void device_publish(struct vfio_device *vdev)
{
	mutex_lock(&vdev->vfio->lock);
	cds_list_add_tail(&vdev->node, &vdev->vfio->devices);
	mutex_unlock(&vdev->vfio->lock);
}

static void device_unpublish(struct vfio_device *vdev)
{
	mutex_lock(&vdev->vfio->lock);
	cds_list_del(&vdev->node);
	mutex_unlock(&vdev->vfio->lock);
}

/* From here on it can be opened; who sees its node a moment before gets ENODEV, as on Linux. */
static void device_allow(struct vfio_device *vdev)
{
	mutex_lock(&vdev->vfio->lock);
	vdev->removing = false;
	mutex_unlock(&vdev->vfio->lock);
}

static int device_create(struct vfio *vfio, struct pci_dev *pdev, u32 group, bool emulated)
{
	struct vfio_device *vdev = zalloc(sizeof(*vdev));
	int rc;

	if (!vdev)
		return -ENOMEM;
	device_init(vdev, vfio, pdev, emulated);
	rc = minor_reserve(vfio, vdev);
	if (rc)
		goto err_free;
	rc = -ENOMEM;
	vdev->set = set_get(vfio, &pdev->addr);
	if (!vdev->set)
		goto err_minor;
	device_publish(vdev);
	rc = vfio_group_join(vfio, group, vdev);
	if (rc)
		goto err_set;
	rc = device_names(vdev) ?: vfio_names_show(vfio, &vdev->names);
	if (!rc) {
		device_allow(vdev);
		return 0;
	}
	vfio_names_hide(vfio, &vdev->names);
	vfio_group_leave(vdev);
err_set:
	device_unpublish(vdev);
	set_put(vfio, vdev->set);
err_minor:
	minor_release(vfio, vdev->minor);
err_free:
	device_free(vdev);
	return rc;
}

/* Until the last file is closed; asks again every now and then. */
static void device_wait_closed(struct vfio_device *vdev)
{
	struct vfio *vfio = vdev->vfio;
	struct timespec again;

	mutex_lock(&vfio->lock);
	vdev->removing = true;
	while (vdev->files) {
		mutex_unlock(&vfio->lock);
		irqs_raise(&vdev->irqs, PCI_IRQ_REQ, 0);
		mutex_lock(&vfio->lock);
		clock_gettime(CLOCK_MONOTONIC, &again);
		again.tv_sec += REQUEST_AGAIN_S;
		while (vdev->files && !mutex_wait_until(&vfio->lock, &vfio->idle, &again))
			;
	}
	mutex_unlock(&vfio->lock);
}

static void device_remove(struct vfio_device *vdev)
{
	struct vfio *vfio = vdev->vfio;

	mutex_lock(&vfio->lock);
	vdev->removing = true;
	mutex_unlock(&vfio->lock);
	vfio_names_hide(vfio, &vdev->names);
	device_wait_closed(vdev);
	vfio_group_leave(vdev);
	device_unpublish(vdev);
	set_put(vfio, vdev->set);
	minor_release(vfio, vdev->minor);
	device_free(vdev);
}

/* ---- the listener ---- */

static int vfio_added(struct pci_listener *listener, struct pci_dev *pdev)
{
	struct vfio *vfio = container_of(listener, struct vfio, listener);
	int group = pci_group_id(pdev);

	/* Behind no IOMMU: nothing could keep its DMA in bounds. */
	return group < 0 ? 0 : device_create(vfio, pdev, (u32)group, false);
}

static void vfio_removing(struct pci_listener *listener, struct pci_dev *pdev)
{
	struct vfio *vfio = container_of(listener, struct vfio, listener);
	struct vfio_device *vdev;

	mutex_lock(&vfio->lock);
	vdev = vfio_device_find(vfio, pdev);
	mutex_unlock(&vfio->lock);
	if (vdev)
		device_remove(vdev);
}

static u32 emulated_group_free(struct vfio *vfio)
{
	u32 id = VFIO_GROUP_EMULATED;
	struct vfio_group *group;
	bool taken;

	mutex_lock(&vfio->lock);
	do {
		taken = false;
		cds_list_for_each_entry (group, &vfio->groups, node)
			taken |= group->id == id;
		id += taken;
	} while (taken);
	mutex_unlock(&vfio->lock);
	return id;
}

static int emulated_memory(struct pci_dev *pdev, u64 iova, void *data, size_t len, bool write)
{
	return vfio_emulated_rw(pdev->memory_owner, pdev, iova, data, len, write);
}

int vfio_add_emulated(struct vfio *vfio, struct pci_dev *pdev)
{
	bool known;

	pdev->memory_owner = vfio;
	pdev->memory = emulated_memory;
	mutex_lock(&vfio->lock);
	known = vfio_device_find(vfio, pdev);
	mutex_unlock(&vfio->lock);
	return known ? -EEXIST : device_create(vfio, pdev, emulated_group_free(vfio), true);
}

int vfio_emulated_rw(struct vfio *vfio, struct pci_dev *pdev, u64 iova, void *data, size_t len,
		     bool write)
{
	struct iommufd_access *access;
	struct vfio_device *vdev;

	mutex_lock(&vfio->lock);
	vdev = vfio_device_find(vfio, pdev);
	access = vdev ? vdev->access : NULL;
	mutex_unlock(&vfio->lock);
	if (!access)
		return -ENODEV;
	return iommufd_access_rw(access, iova, data, len,
				 IOMMUFD_ACCESS_RW_KTHREAD | (write ? IOMMUFD_ACCESS_RW_WRITE : 0));
}

/* ---- the room ---- */

static int container_open_compat(struct tree_entry *entry, int open_flags, struct file **ret_file)
{
	const struct vfio_name *name = container_of(entry, struct vfio_name, entry);
	const struct vfio *vfio = name->owner;
	struct iommufd_ctx *ctx;
	int rc = ctx_open(vfio->system, CTX_OPEN_VFIO_CONTAINER, open_flags, &ctx);

	if (!rc)
		*ret_file = &ctx->file;
	return rc;
}

static int container_name(struct vfio *vfio)
{
	bool native = vfio->kind == VFIO_CONTAINER_NATIVE;
	int rc = vfio_names_node(&vfio->names, "/dev/vfio/vfio", 0666, VFIO_MISC_MAJOR,
				 VFIO_MISC_MINOR,
				 native ? vfio_container_open : container_open_compat, vfio);

	return rc ?: vfio_names_show(vfio, &vfio->names);
}

static void vfio_init(struct vfio *vfio)
{
	vfio->listener = (struct pci_listener){.added = vfio_added, .removing = vfio_removing};
	mutex_init(&vfio->group_lock);
	mutex_init(&vfio->lock);
	mutex_init(&vfio->export_lock);
	cond_init(&vfio->idle);
	CDS_INIT_LIST_HEAD(&vfio->devices);
	CDS_INIT_LIST_HEAD(&vfio->groups);
	CDS_INIT_LIST_HEAD(&vfio->sets);
	idtable_init(&vfio->minors, 1, 1 << 20);
	raiser_init(&vfio->raiser);
}

/** struct vfio_now - adding the functions that are there already */
struct vfio_now {
	struct vfio *vfio;
	int rc;
};

static int vfio_add_now(struct pci_dev *pdev, void *data)
{
	struct vfio_now *now = data;

	now->rc = vfio_added(&now->vfio->listener, pdev);
	return now->rc;
}

static void vfio_fini(struct vfio *vfio)
{
	vfio_names_hide(vfio, &vfio->names);
	watcher_destroy(vfio->watcher);
	raiser_fini(&vfio->raiser);
	idtable_clear(&vfio->minors);
	pthread_cond_destroy(&vfio->idle);
	mutex_destroy(&vfio->export_lock);
	mutex_destroy(&vfio->lock);
	mutex_destroy(&vfio->group_lock);
	free(vfio);
}

/* Those that are left: nobody has them open. */
static void vfio_remove_devices(struct vfio *vfio)
{
	struct vfio_device *vdev, *next;

	cds_list_for_each_entry_safe (vdev, next, &vfio->devices, node)
		device_remove(vdev);
}

int vfio_create(struct iommufd_system *system, struct pci_topology *topology,
		enum vfio_container_kind kind, struct vfio **ret_vfio)
{
	struct vfio *vfio = zalloc(sizeof(*vfio));
	struct vfio_now now = {.vfio = vfio};
	int rc;

	if (!vfio)
		return -ENOMEM;
	vfio->system = system;
	vfio->topology = topology;
	vfio->kind = kind;
	vfio_init(vfio);
	rc = watcher_create(&vfio->watcher);
	if (!rc)
		rc = container_name(vfio);
	if (!rc) {
		pci_for_each(topology, vfio_add_now, &now);
		rc = now.rc;
	}
	if (rc) {
		vfio_remove_devices(vfio);
		vfio_fini(vfio);
		return rc;
	}
	pci_listen(topology, &vfio->listener);
	*ret_vfio = vfio;
	return 0;
}

void vfio_destroy(struct vfio *vfio)
{
	if (!vfio)
		return;
	pci_listen(vfio->topology, NULL);
	vfio_remove_devices(vfio);
	vfio_fini(vfio);
}
