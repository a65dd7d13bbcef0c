/* SPDX-License-Identifier: MIT */
/*
 * Resets: of a function, and of all functions behind a bridge, which is for who
 * can show that all of them are theirs.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "iommu/group.h"
#include "mem/task.h"
#include "vfio/vfio_priv.h"

#define HOT_INFO_HEAD  offsetof(struct vfio_pci_hot_reset_info, devices)
#define HOT_RESET_HEAD offsetof(struct vfio_pci_hot_reset, group_fds)

/* Buffers of it are taken back, and lent again if decode is on afterwards. */
static int device_reset(struct vfio_device *vdev, int (*reset)(struct pci_dev *pdev))
	__must_hold(&vdev->set->lock)
{
	int rc;

	vfio_exports_revoke(vdev);
	rc = reset(vdev->pdev);
	if (!rc)
		vfio_mig_reset(vdev);
	vfio_exports_sync(vdev);
	return rc;
}

int vfio_reset(struct vfio_device *vdev)
{
	int rc;

	if (!vdev->pdev->desc->has_flr)
		return -EINVAL;
	vfio_wake(vdev);
	mutex_lock(&vdev->set->lock);
	rc = device_reset(vdev, pci_dev_reset);
	mutex_unlock(&vdev->set->lock);
	return rc;
}

/* ---- all that share a bus ---- */

/**
 * struct hot_set - the functions a reset of a bus hits
 * @dir: of the bridge above them, in sysfs: what lies below it is hit
 * @devices: theirs, each with one more open file
 * @missing: one is going, or driven by nobody here
 * @rc: -ENOMEM: not all are in it
 */
struct hot_set {
	char dir[VFIO_PATH_MAX];
	size_t dir_len;
	struct vfio *vfio;
	struct vfio_device **devices;
	u32 count, room;
	bool missing;
	int rc;
};

static void hot_set_put(struct hot_set *set)
{
	while (set->count)
		vfio_device_put(set->devices[--set->count]);
	free(set->devices);
}

static bool hot_set_hits(const struct hot_set *set, const struct pci_dev *pdev)
{
	char path[VFIO_PATH_MAX];

	pci_sysfs_path(pdev, path, sizeof(path));
	return !strncmp(path, set->dir, set->dir_len) && path[set->dir_len] == '/';
}

static int hot_set_add(struct pci_dev *pdev, void *data)
{
	struct hot_set *set = data;
	struct vfio_device *vdev, **more;

	if (!hot_set_hits(set, pdev))
		return 0;
	if (set->count == set->room) {
		u32 room = set->room ? 2 * set->room : 8;

		more = zalloc_array(room, sizeof(struct vfio_device *));
		if (!more)
			return set->rc = -ENOMEM;
		if (set->count)
			memcpy(more, set->devices, set->count * sizeof(struct vfio_device *));
		free(set->devices);
		set->devices = more;
		set->room = room;
	}
	mutex_lock(&set->vfio->lock);
	vdev = vfio_device_find(set->vfio, pdev);
	if (vdev && vdev->removing)
		vdev = NULL;
	if (vdev)
		vdev->files++;
	mutex_unlock(&set->vfio->lock);
	if (vdev)
		set->devices[set->count++] = vdev;
	else
		set->missing = true;
	return 0;
}

/* Return: 0, -ENODEV it is on a root bus, which nothing resets; -ENOMEM. */
static int hot_set_get(struct vfio_device *vdev, struct hot_set *set)
{
	char *slash;

	*set = (struct hot_set){.vfio = vdev->vfio};
	pci_sysfs_path(vdev->pdev, set->dir, sizeof(set->dir));
	slash = strrchr(set->dir, '/');
	*slash = 0;
	set->dir_len = (size_t)(slash - set->dir);
	if (!strncmp(strrchr(set->dir, '/'), "/pci", 4))
		return -ENODEV;
	pci_for_each(vdev->vfio->topology, hot_set_add, set);
	if (set->rc)
		hot_set_put(set);
	return set->rc;
}

/* The context a device was bound to by cdev, counted; NULL: it came through a group. */
static struct iommufd_ctx *device_cdev_ctx(struct vfio_device *vdev)
{
	struct iommufd_ctx *ctx = NULL;
	bool cdev;

	mutex_lock(&vdev->group->lock);
	cdev = !vdev->group->opened;
	mutex_unlock(&vdev->group->lock);
	if (!cdev)
		return NULL;
	mutex_lock(&vdev->set->lock);
	if (vdev->ctx)
		ctx = ctx_get(vdev->ctx);
	mutex_unlock(&vdev->set->lock);
	return ctx;
}

/* What @vdev is to who owns @ctx: its id there, OWNED or NOT_OWNED. */
static s32 device_id_in(struct vfio_device *vdev, struct iommufd_ctx *ctx)
{
	s32 id = VFIO_PCI_DEVID_NOT_OWNED;

	mutex_lock(&vdev->set->lock);
	if (vdev->ctx == ctx && vdev->idev)
		id = (s32)iommufd_device_to_id(vdev->idev);
	mutex_unlock(&vdev->set->lock);
	if (id == VFIO_PCI_DEVID_NOT_OWNED &&
	    iommufd_ctx_has_group(ctx, vdev->pdev->dev.iommu_group))
		id = VFIO_PCI_DEVID_OWNED;
	return id;
}

static void hot_info_fill(const struct hot_set *set, struct iommufd_ctx *ctx,
			  struct vfio_pci_hot_reset_info *info)
{
	info->flags =
		ctx ? VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED : 0;
	if (ctx && set->missing)
		info->flags &= ~VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	info->count = set->count;
	for (u32 i = 0; i < set->count; i++) {
		struct vfio_device *vdev = set->devices[i];
		struct vfio_pci_dependent_device *dep = &info->devices[i];

		dep->segment = vdev->pdev->addr.domain;
		dep->bus = vdev->pdev->addr.bus;
		dep->devfn = vdev->pdev->addr.devfn;
		dep->group_id = vdev->group->id;
		if (ctx)
			dep->devid = (u32)device_id_in(vdev, ctx);
		if (ctx && dep->devid == (u32)VFIO_PCI_DEVID_NOT_OWNED)
			info->flags &= ~VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	}
}

static int hot_info_answer(const struct hot_set *set, struct iommufd_ctx *ctx, u32 argsz, u64 arg)
{
	size_t size = HOT_INFO_HEAD + set->count * sizeof(struct vfio_pci_dependent_device);
	struct vfio_pci_hot_reset_info *info = zalloc(size);
	bool fits = argsz >= size;
	int rc;

	if (!info)
		return -ENOMEM;
	hot_info_fill(set, ctx, info);
	info->argsz = argsz;
	rc = copy_to_user(arg, info, fits ? size : HOT_INFO_HEAD);
	free(info);
	return rc || fits ? rc : -ENOSPC;
}

int vfio_hot_reset_info(struct vfio_device *vdev, u64 arg)
{
	struct vfio_pci_hot_reset_info head;
	struct iommufd_ctx *ctx;
	struct hot_set set;
	int rc = copy_from_user(&head, arg, HOT_INFO_HEAD);

	if (rc)
		return rc;
	if (head.argsz < HOT_INFO_HEAD)
		return -EINVAL;
	rc = hot_set_get(vdev, &set);
	if (rc)
		return rc;
	ctx = device_cdev_ctx(vdev);
	rc = hot_info_answer(&set, ctx, head.argsz, arg);
	if (ctx)
		ctx_put(ctx);
	hot_set_put(&set);
	return rc;
}

/* ---- doing it ---- */

/** struct hot_proof - what shows that devices are the caller's: a context, or group files (counted)
 */
struct hot_proof {
	struct iommufd_ctx *ctx;
	struct file **groups;
	u32 count;
};

static void proof_put(struct hot_proof *proof)
{
	if (proof->ctx)
		ctx_put(proof->ctx);
	while (proof->count)
		file_put(proof->groups[--proof->count]);
	free(proof->groups);
}

static bool proof_covers(const struct hot_proof *proof, struct vfio_device *vdev)
{
	if (proof->ctx)
		return device_id_in(vdev, proof->ctx) != VFIO_PCI_DEVID_NOT_OWNED;
	for (u32 i = 0; i < proof->count; i++) {
		if (vfio_group_from_file(proof->groups[i]) == vdev->group)
			return true;
	}
	return false;
}

static int proof_group(struct hot_proof *proof, s32 fd)
{
	struct task_fd tfd;
	int rc = task_current->ops->fd_get(task_current, fd, &tfd);

	if (rc)
		return rc;
	if (tfd.file && vfio_group_from_file(tfd.file)) {
		proof->groups[proof->count++] = tfd.file;
		return 0;
	}
	file_put(tfd.file);
	if (tfd.host_fd >= 0)
		close(tfd.host_fd);
	return -EINVAL;
}

static int proof_groups(struct hot_proof *proof, u32 count, u64 arg)
{
	s32 *fds = zalloc_array(count, sizeof(*fds));
	int rc = -ENOMEM;

	proof->groups = zalloc_array(count, sizeof(struct file *));
	if (fds && proof->groups)
		rc = copy_from_user(fds, arg + HOT_RESET_HEAD, count * sizeof(*fds));
	for (u32 i = 0; i < count && !rc; i++)
		rc = proof_group(proof, fds[i]);
	free(fds);
	return rc;
}

static int hot_set_reset(struct hot_set *set, const struct hot_proof *proof)
{
	int rc = 0;

	if (set->missing)
		return -EINVAL;
	for (u32 i = 0; i < set->count; i++) {
		if (!proof_covers(proof, set->devices[i]))
			return -EINVAL;
	}
	/* One bus at a time: what is not open is reset when it is opened. */
	for (u32 i = 0; i < set->count && !rc; i++) {
		struct vfio_device *vdev = set->devices[i];

		mutex_lock(&vdev->set->lock);
		/* Somebody else may have bound it since it was looked at. */
		if (vdev->open_count && proof->ctx && vdev->ctx != proof->ctx)
			rc = -EINVAL;
		else if (vdev->open_count)
			rc = device_reset(vdev, pci_bus_reset);
		mutex_unlock(&vdev->set->lock);
	}
	return rc;
}

static int hot_reset_proven(struct vfio_device *vdev, struct hot_set *set, u32 count, u64 arg)
{
	struct hot_proof proof = {.ctx = device_cdev_ctx(vdev)};
	int rc = -EINVAL;

	/* A context proves by itself, groups are named; never more than are hit. */
	if (!proof.ctx == !!count && count <= set->count)
		rc = count ? proof_groups(&proof, count, arg) : 0;
	if (!rc)
		rc = hot_set_reset(set, &proof);
	proof_put(&proof);
	return rc;
}

int vfio_hot_reset(struct vfio_device *vdev, u64 arg)
{
	struct vfio_pci_hot_reset head;
	struct hot_set set;
	int rc = copy_from_user(&head, arg, HOT_RESET_HEAD);

	if (rc)
		return rc;
	if (head.argsz < HOT_RESET_HEAD || head.flags)
		return -EINVAL;
	rc = hot_set_get(vdev, &set);
	if (rc)
		return rc;
	rc = hot_reset_proven(vdev, &set, head.count, arg);
	hot_set_put(&set);
	return rc;
}
