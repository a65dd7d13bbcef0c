/* SPDX-License-Identifier: MIT */
/*
 * A device opened by its own node: bound to an iommufd, attached and detached
 * there.  The order of the checks is part of the API.
 */
#include <limits.h>
#include <unistd.h>

#include "mem/task.h"
#include "vfio/vfio_priv.h"

#define BIND_MIN   offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr)
#define ATTACH_MIN offsetof(struct vfio_device_attach_iommufd_pt, pasid)
#define DETACH_MIN offsetof(struct vfio_device_detach_iommufd_pt, pasid)

/* ---- bind ---- */

static int bind_read(struct vfio_device_bind_iommufd *bind, u64 arg)
{
	u32 argsz;
	int rc = copy_from_user(&argsz, arg, sizeof(argsz));

	if (rc)
		return rc;
	if (argsz < BIND_MIN)
		return -EINVAL;
	rc = copy_struct_from_user(bind, sizeof(*bind), arg, argsz);
	if (rc)
		return rc;
	bind->argsz = argsz;
	return bind->iommufd < 0 || bind->flags & ~VFIO_DEVICE_BIND_FLAG_TOKEN ? -EINVAL : 0;
}

/* The context behind a descriptor of the caller, counted. */
static int ctx_get_by_fd(int fd, struct iommufd_ctx **ret_ctx)
{
	struct iommufd_ctx *ctx;
	struct task_fd tfd;
	int rc = task_current->ops->fd_get(task_current, fd, &tfd);

	if (rc)
		return rc;
	ctx = tfd.file ? ctx_from_file(tfd.file) : NULL;
	if (ctx) {
		*ret_ctx = ctx;
		return 0;
	}
	file_put(tfd.file);
	if (tfd.host_fd >= 0)
		close(tfd.host_fd);
	return -EBADFD;
}

static int bind_open(struct vfio_file *df, struct iommufd_ctx *ctx, u32 *ret_id)
{
	struct vfio_device *vdev = df->vdev;
	int rc = -EINVAL;

	mutex_lock(&vdev->set->lock);
	if (!vdev->open_count)
		rc = vfio_device_open(vdev, ctx, &df->file, ret_id);
	mutex_unlock(&vdev->set->lock);
	return rc;
}

/* Tell the caller, and let the file be used; nobody else could open the device meanwhile. */
static int bind_finish(struct vfio_file *df, u32 id, u64 arg)
{
	struct vfio_device *vdev = df->vdev;
	int rc = copy_to_user(arg + offsetof(struct vfio_device_bind_iommufd, out_devid), &id,
			      sizeof(id));

	if (!rc) {
		atomic_store_explicit(&df->bound, true, memory_order_release);
		return 0;
	}
	mutex_lock(&vdev->set->lock);
	vfio_device_close(vdev);
	mutex_unlock(&vdev->set->lock);
	return rc;
}

/* All that needs the group to stay closed. */
static int bind_blocked(struct vfio_file *df, const struct vfio_device_bind_iommufd *bind, u64 arg)
{
	bool token = bind->flags & VFIO_DEVICE_BIND_FLAG_TOKEN;
	struct iommufd_ctx *ctx;
	u8 uuid[VFIO_UUID_SIZE];
	u32 id;
	int rc;

	if (df->bound)
		return -EINVAL;
	if (token && df->vdev->emulated)
		return -EINVAL;
	rc = token ? copy_from_user(uuid, bind->token_uuid_ptr, sizeof(uuid)) : 0;
	if (!rc)
		rc = vfio_token_check(df->vdev, token ? uuid : NULL);
	if (!rc)
		rc = ctx_get_by_fd(bind->iommufd, &ctx);
	if (rc)
		return rc;
	rc = bind_open(df, ctx, &id);
	if (!rc)
		rc = bind_finish(df, id, arg);
	ctx_put(ctx);
	return rc;
}

int vfio_cdev_bind(struct vfio_file *df, u64 arg)
{
	struct vfio_device_bind_iommufd bind;
	int rc = bind_read(&bind, arg);

	if (rc)
		return rc;
	if (df->group_file)
		return -EINVAL;
	rc = vfio_group_block(df->vdev->group);
	if (rc)
		return rc;
	rc = bind_blocked(df, &bind, arg);
	if (rc)
		vfio_group_unblock(df->vdev->group);
	return rc;
}

/* ---- attach and detach ---- */

static int pasid_attach(struct vfio_device *vdev, u32 pasid, u32 *pt_id)
	__must_hold(&vdev->set->lock)
{
	struct rangemap_entry entry;
	int rc;

	if (rangemap_find(&vdev->pasids, pasid, &entry))
		return iommufd_device_replace(vdev->idev, pasid, pt_id);
	if (pasid > INT_MAX)
		return -ENOSPC;
	rc = rangemap_insert(&vdev->pasids, pasid, pasid, vdev);
	if (rc)
		return rc;
	rc = iommufd_device_attach(vdev->idev, pasid, pt_id);
	if (rc)
		rangemap_remove(&vdev->pasids, pasid);
	return rc;
}

static void pasid_detach(struct vfio_device *vdev, u32 pasid) __must_hold(&vdev->set->lock)
{
	struct rangemap_entry entry;

	if (!rangemap_find(&vdev->pasids, pasid, &entry))
		return;
	iommufd_device_detach(vdev->idev, pasid);
	rangemap_remove(&vdev->pasids, pasid);
}

/* The rows the two commands share: *@words is the struct, @min without its pasid. */
static int pt_read(const struct vfio_device *vdev, u32 *words, size_t min, u64 arg)
{
	u32 argsz, flags;
	int rc = copy_from_user(words, arg, min);

	if (rc)
		return rc;
	argsz = words[0];
	flags = words[1];
	if (argsz < min || flags & ~VFIO_DEVICE_ATTACH_PASID)
		return -EINVAL;
	if (!flags)
		return 0;
	if (vdev->emulated)
		return -EOPNOTSUPP;
	if (argsz < min + sizeof(u32))
		return -EINVAL;
	return copy_from_user(&words[min / sizeof(u32)], arg + min, sizeof(u32));
}

int vfio_cdev_attach(struct vfio_file *df, u64 arg)
{
	struct vfio_device_attach_iommufd_pt attach;
	struct vfio_device *vdev = df->vdev;
	int rc = pt_read(vdev, (u32 *)&attach, ATTACH_MIN, arg);

	if (rc)
		return rc;
	mutex_lock(&vdev->set->lock);
	if (attach.flags)
		rc = pasid_attach(vdev, attach.pasid, &attach.pt_id);
	else
		rc = vfio_device_attach(vdev, &attach.pt_id);
	mutex_unlock(&vdev->set->lock);
	if (rc)
		return rc;
	rc = copy_to_user(arg + offsetof(struct vfio_device_attach_iommufd_pt, pt_id),
			  &attach.pt_id, sizeof(attach.pt_id));
	if (rc) {
		mutex_lock(&vdev->set->lock);
		vfio_device_detach(vdev); /* the RID, also where a PASID was meant */
		mutex_unlock(&vdev->set->lock);
	}
	return rc;
}

int vfio_cdev_detach(struct vfio_file *df, u64 arg)
{
	struct vfio_device_detach_iommufd_pt detach;
	struct vfio_device *vdev = df->vdev;
	int rc = pt_read(vdev, (u32 *)&detach, DETACH_MIN, arg);

	if (rc)
		return rc;
	mutex_lock(&vdev->set->lock);
	if (detach.flags)
		pasid_detach(vdev, detach.pasid);
	else
		vfio_device_detach(vdev);
	mutex_unlock(&vdev->set->lock);
	return 0;
}
