/* SPDX-License-Identifier: MIT */
/*
 * Delivery: what the device raises becomes one more in an eventfd.
 *
 * INTx is a level.  Each delivery masks it; unmasking delivers again while the
 * level is still there.  The level arrives by a callback that takes a leaf lock
 * only; it tells every change, the last one last, so nobody need ask.
 */
#include "vfio/irqs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <iommufd/uapi/vfio.h>

#include "base/alloc.h"
#include "core/file.h"
#include "mem/task.h"

/* ---- eventfds ---- */

static bool is_eventfd(int fd)
{
	static const char name[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(name)];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target)) == (ssize_t)sizeof(name) - 1 &&
	       !memcmp(target, name, sizeof(name) - 1);
}

int eventfd_take(int fd)
{
	struct task_fd tfd;
	int rc = task_current->ops->fd_get(task_current, fd, &tfd);

	if (rc)
		return rc;
	if (tfd.file) {
		/* One of ours: whatever stands in its place, it is no eventfd to the program. */
		file_put(tfd.file);
		return -EINVAL;
	}
	if (is_eventfd(tfd.host_fd))
		return tfd.host_fd;
	close(tfd.host_fd);
	return -EINVAL;
}

static void trigger_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* ---- delivery ---- */

static void intx_deliver(struct vfio_irqs *irqs) __must_hold(&irqs->lock)
{
	if (irqs->mode != PCI_IRQ_INTX || irqs->masked || !irqs->level)
		return;
	irqs->masked = true;
	if (irqs->triggers[0] >= 0)
		raiser_raise(irqs->raiser, irqs->triggers[0]);
}

void irqs_intx(struct vfio_irqs *irqs, bool level)
{
	mutex_lock(&irqs->lock);
	irqs->level = level;
	intx_deliver(irqs);
	mutex_unlock(&irqs->lock);
}

void irqs_raise(struct vfio_irqs *irqs, enum pci_irq kind, u32 vector)
{
	int fd = -1;

	mutex_lock(&irqs->lock);
	if (kind == PCI_IRQ_ERR)
		fd = irqs->err;
	else if (kind == PCI_IRQ_REQ)
		fd = irqs->req;
	else if (irqs->mode == (int)kind && vector < irqs->count)
		fd = irqs->triggers[vector];
	if (fd >= 0)
		raiser_raise(irqs->raiser, fd);
	mutex_unlock(&irqs->lock);
}

/* ---- masking ---- */

static void intx_set_mask(struct vfio_irqs *irqs, bool masked)
{
	mutex_lock(&irqs->lock);
	irqs->masked = masked;
	intx_deliver(irqs);
	mutex_unlock(&irqs->lock);
}

static void intx_unmask_signalled(void *data)
{
	intx_set_mask(data, false);
}

/* ---- life ---- */

void irqs_init(struct vfio_irqs *irqs, struct pci_dev *pdev, struct watcher *watcher,
	       struct raiser *raiser)
{
	*irqs = (struct vfio_irqs){.pdev = pdev,
				   .watcher = watcher,
				   .raiser = raiser,
				   .mode = -1,
				   .err = -1,
				   .req = -1};
	mutex_init(&irqs->igate);
	mutex_init(&irqs->lock);
}

void irqs_fini(struct vfio_irqs *irqs)
{
	mutex_destroy(&irqs->lock);
	mutex_destroy(&irqs->igate);
}

static int irqs_new_triggers(u32 count, int **ret_triggers)
{
	int *triggers = zalloc_array(count, sizeof(*triggers));

	if (!triggers)
		return -ENOMEM;
	for (u32 i = 0; i < count; i++)
		triggers[i] = -1;
	*ret_triggers = triggers;
	return 0;
}

/* @mode with no trigger yet; @triggers is taken over. */
static void irqs_enter(struct vfio_irqs *irqs, int mode, int *triggers, u32 count)
	__must_hold(&irqs->igate)
{
	mutex_lock(&irqs->lock);
	irqs->triggers = triggers;
	irqs->count = count;
	irqs->masked = mode == PCI_IRQ_INTX; /* until there is a trigger */
	irqs->mode = mode;
	mutex_unlock(&irqs->lock);
	pci_irq_set_mode(irqs->pdev, mode);
}

static int irqs_enable(struct vfio_irqs *irqs, int mode, u32 allocated) __must_hold(&irqs->igate)
{
	u32 count = mode == PCI_IRQ_INTX ? 1 : pci_irq_count(irqs->pdev, (enum pci_irq)mode);
	int *triggers;
	int rc = irqs_new_triggers(count, &triggers);

	if (rc)
		return rc;
	irqs->allocated = mode == PCI_IRQ_MSI ? allocated : count;
	irqs_enter(irqs, mode, triggers, count);
	return 0;
}

static void irqs_disable(struct vfio_irqs *irqs) __must_hold(&irqs->igate)
{
	int *triggers;
	u32 count;

	watch_remove(irqs->unmask);
	irqs->unmask = NULL;
	pci_irq_set_mode(irqs->pdev, -1);
	mutex_lock(&irqs->lock);
	triggers = irqs->triggers;
	count = irqs->count;
	irqs->triggers = NULL;
	irqs->count = 0;
	irqs->mode = -1;
	mutex_unlock(&irqs->lock);
	for (u32 i = 0; i < count; i++)
		trigger_close(triggers[i]);
	free(triggers);
}

static void trigger_exchange(struct vfio_irqs *irqs, int *trigger, int fd)
{
	int old;

	mutex_lock(&irqs->lock);
	old = *trigger;
	*trigger = fd;
	mutex_unlock(&irqs->lock);
	trigger_close(old);
}

void irqs_reset(struct vfio_irqs *irqs)
{
	mutex_lock(&irqs->igate);
	if (irqs->mode >= 0)
		irqs_disable(irqs);
	trigger_exchange(irqs, &irqs->err, -1);
	trigger_exchange(irqs, &irqs->req, -1);
	irqs->level = false;
	mutex_unlock(&irqs->igate);
}

/* ---- what there is ---- */

u32 irqs_count(const struct vfio_irqs *irqs, u32 index)
{
	if (!irqs->pdev)
		return 0;
	if (index == VFIO_PCI_ERR_IRQ_INDEX)
		return irqs->pdev->desc->has_pcie;
	if (index == VFIO_PCI_REQ_IRQ_INDEX)
		return 1;
	return pci_irq_count(irqs->pdev, (enum pci_irq)index);
}

u32 irqs_flags(u32 index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return VFIO_IRQ_INFO_EVENTFD;
	default:
		return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
	}
}

/* ---- SET_IRQS ---- */

/** struct irq_request - a checked request; @data is NULL where there is none */
struct irq_request {
	u32 type;
	u32 index;
	u32 start;
	u32 count;
	void *data;
};

static s32 request_fd(const struct irq_request *req, u32 i)
{
	return ((const s32 *)req->data)[i];
}

static bool request_bool(const struct irq_request *req, u32 i)
{
	return req->type == VFIO_IRQ_SET_DATA_NONE || ((const u8 *)req->data)[i];
}

static int intx_mask(struct vfio_irqs *irqs, const struct irq_request *req)
	__must_hold(&irqs->igate)
{
	if (irqs->mode != PCI_IRQ_INTX || req->start || req->count != 1)
		return -EINVAL;
	if (req->type == VFIO_IRQ_SET_DATA_EVENTFD)
		return -ENOTTY;
	if (request_bool(req, 0))
		intx_set_mask(irqs, true);
	return 0;
}

static int intx_arm_unmask(struct vfio_irqs *irqs, s32 fd) __must_hold(&irqs->igate)
{
	int host_fd;

	if (fd < 0) {
		watch_remove(irqs->unmask);
		irqs->unmask = NULL;
		return 0;
	}
	host_fd = eventfd_take(fd);
	if (host_fd < 0)
		return host_fd;
	if (irqs->unmask) {
		close(host_fd);
		return -EBUSY;
	}
	return watch_add(irqs->watcher, host_fd, intx_unmask_signalled, irqs, &irqs->unmask);
}

static int intx_unmask(struct vfio_irqs *irqs, const struct irq_request *req)
	__must_hold(&irqs->igate)
{
	if (irqs->mode != PCI_IRQ_INTX || req->start || req->count != 1)
		return -EINVAL;
	if (req->type == VFIO_IRQ_SET_DATA_EVENTFD)
		return intx_arm_unmask(irqs, request_fd(req, 0));
	if (request_bool(req, 0))
		intx_set_mask(irqs, false);
	return 0;
}

static int intx_set_eventfd(struct vfio_irqs *irqs, s32 fd) __must_hold(&irqs->igate)
{
	bool fresh = irqs->mode < 0;
	int host_fd = -1;
	int rc = 0;

	if (fd >= 0) {
		host_fd = eventfd_take(fd);
		if (host_fd < 0)
			return host_fd;
	}
	if (fresh)
		rc = irqs_enable(irqs, PCI_IRQ_INTX, 1);
	if (rc) {
		trigger_close(host_fd);
		return rc;
	}
	trigger_exchange(irqs, &irqs->triggers[0], host_fd);
	/* The pin may have been high before there was anybody to tell. */
	if (fresh)
		intx_set_mask(irqs, false);
	return 0;
}

/* As if the device had raised it; INTx is not masked by that. */
static void irqs_loop_back(struct vfio_irqs *irqs, const struct irq_request *req)
{
	mutex_lock(&irqs->lock);
	for (u32 i = 0; i < req->count && req->start + i < irqs->count; i++) {
		int fd = irqs->triggers[req->start + i];

		if (fd >= 0 && request_bool(req, i))
			raiser_raise(irqs->raiser, fd);
	}
	mutex_unlock(&irqs->lock);
}

static int intx_trigger(struct vfio_irqs *irqs, const struct irq_request *req)
	__must_hold(&irqs->igate)
{
	bool on = irqs->mode == PCI_IRQ_INTX;

	if (on && !req->count && req->type == VFIO_IRQ_SET_DATA_NONE) {
		irqs_disable(irqs);
		return 0;
	}
	if ((!on && irqs->mode >= 0) || req->start || req->count != 1)
		return -EINVAL;
	if (req->type == VFIO_IRQ_SET_DATA_EVENTFD)
		return intx_set_eventfd(irqs, request_fd(req, 0));
	if (!on)
		return -EINVAL;
	/* Not while the command register disables the pin. */
	if (!(pci_config_read(irqs->pdev, 4, 2) & 0x400))
		irqs_loop_back(irqs, req);
	return 0;
}

static int msi_set_vector(struct vfio_irqs *irqs, u32 vector, s32 fd) __must_hold(&irqs->igate)
{
	int host_fd = -1;

	trigger_exchange(irqs, &irqs->triggers[vector], -1);
	if (fd < 0)
		return 0;
	if (vector >= irqs->allocated)
		return -EINVAL;
	host_fd = eventfd_take(fd);
	if (host_fd < 0)
		return host_fd;
	trigger_exchange(irqs, &irqs->triggers[vector], host_fd);
	return 0;
}

static int msi_set_block(struct vfio_irqs *irqs, const struct irq_request *req)
	__must_hold(&irqs->igate)
{
	int rc = 0;
	u32 i;

	for (i = 0; i < req->count && !rc; i++)
		rc = msi_set_vector(irqs, req->start + i, request_fd(req, i));
	if (rc)
		while (i--)
			trigger_exchange(irqs, &irqs->triggers[req->start + i], -1);
	return rc;
}

static int msi_trigger(struct vfio_irqs *irqs, const struct irq_request *req)
	__must_hold(&irqs->igate)
{
	bool on = irqs->mode == (int)req->index;
	int rc;

	if (on && !req->count && req->type == VFIO_IRQ_SET_DATA_NONE) {
		irqs_disable(irqs);
		return 0;
	}
	if (!on && irqs->mode >= 0)
		return -EINVAL;
	if (req->type != VFIO_IRQ_SET_DATA_EVENTFD) {
		if (on)
			irqs_loop_back(irqs, req);
		return on ? 0 : -EINVAL;
	}
	if (on)
		return msi_set_block(irqs, req);
	if (!req->count)
		return -EINVAL;
	rc = irqs_enable(irqs, (int)req->index, req->start + req->count);
	if (rc)
		return rc;
	rc = msi_set_block(irqs, req);
	if (rc)
		irqs_disable(irqs);
	return rc;
}

static int single_set_eventfd(struct vfio_irqs *irqs, int *trigger, s32 fd)
{
	int host_fd = -1;

	if (fd < -1)
		return 0;
	if (fd >= 0) {
		host_fd = eventfd_take(fd);
		if (host_fd < 0)
			return host_fd;
	}
	trigger_exchange(irqs, trigger, host_fd);
	return 0;
}

/* ERR and REQ: one eventfd each, whatever mode is on. */
static int single_trigger(struct vfio_irqs *irqs, const struct irq_request *req)
	__must_hold(&irqs->igate)
{
	int *trigger = req->index == VFIO_PCI_ERR_IRQ_INDEX ? &irqs->err : &irqs->req;

	if (req->type == VFIO_IRQ_SET_DATA_NONE && *trigger < 0)
		return -EINVAL;
	if (req->type == VFIO_IRQ_SET_DATA_NONE && !req->count) {
		trigger_exchange(irqs, trigger, -1);
		return 0;
	}
	if (!req->count)
		return -EINVAL;
	if (req->type == VFIO_IRQ_SET_DATA_EVENTFD)
		return single_set_eventfd(irqs, trigger, request_fd(req, 0));
	if (request_bool(req, 0))
		irqs_raise(irqs, (enum pci_irq)req->index, 0);
	return 0;
}

typedef int (*irq_handler)(struct vfio_irqs *irqs, const struct irq_request *req);

/* NULL: no such action for this kind. */
static irq_handler request_handler(u32 index, u32 action)
{
	bool intx = index == VFIO_PCI_INTX_IRQ_INDEX;

	switch (action) {
	case VFIO_IRQ_SET_ACTION_MASK:
		return intx ? intx_mask : NULL;
	case VFIO_IRQ_SET_ACTION_UNMASK:
		return intx ? intx_unmask : NULL;
	case VFIO_IRQ_SET_ACTION_TRIGGER:
		if (intx)
			return intx_trigger;
		return index <= VFIO_PCI_MSIX_IRQ_INDEX ? msi_trigger : single_trigger;
	default:
		return NULL;
	}
}

/* Everything that can be said before the data is read; *ret_size: of the data. */
static int request_check(const struct vfio_irqs *irqs, const struct vfio_irq_set *set,
			 u32 *ret_size)
{
	const u32 head = offsetof(struct vfio_irq_set, data);
	u32 count, size;

	if (set->argsz < head || set->index >= VFIO_PCI_NUM_IRQS ||
	    set->count >= UINT32_MAX - set->start ||
	    set->flags & ~(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK))
		return -EINVAL;
	count = irqs_count(irqs, set->index);
	if (set->start >= count || set->start + set->count > count)
		return -EINVAL;
	switch (set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		size = 0;
		break;
	case VFIO_IRQ_SET_DATA_BOOL:
		size = sizeof(u8);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		size = sizeof(s32);
		break;
	default:
		return -EINVAL;
	}
	*ret_size = set->count * size; /* no more than a few thousand vectors */
	return set->argsz - head < *ret_size ? -EINVAL : 0;
}

int irqs_set(struct vfio_irqs *irqs, u64 arg)
{
	const u32 head = offsetof(struct vfio_irq_set, data);
	struct irq_request req = {0};
	struct vfio_irq_set set;
	irq_handler handler;
	u32 size;
	int rc;

	rc = copy_from_user(&set, arg, head);
	if (!rc)
		rc = request_check(irqs, &set, &size);
	if (rc)
		return rc;
	if (size) {
		req.data = zalloc(size);
		if (!req.data)
			return -ENOMEM;
		rc = copy_from_user(req.data, arg + head, size);
	}
	req.type = set.flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	req.index = set.index;
	req.start = set.start;
	req.count = set.count;
	handler = request_handler(set.index, set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK);
	if (!rc && !handler)
		rc = -ENOTTY;
	if (!rc) {
		mutex_lock(&irqs->igate);
		rc = handler(irqs, &req);
		mutex_unlock(&irqs->igate);
	}
	free(req.data);
	return rc;
}
