/* SPDX-License-Identifier: MIT */
/*
 * A container from open to close: groups join, an IOMMU is chosen, groups leave.
 */
#include "vfio/container.h"

#include "base/alloc.h"
#include "ioas/ioas.h"
#include "mem/task.h"

static const struct file_ops container_file_ops;

/* ---- its lock: readers of the lock alone would pass a writer that waits ---- */

static void change_begin(struct vfio_container *container) __acquires(&container->rwsem)
	__no_lock_analysis
{
	atomic_fetch_add_explicit(&container->changes, 1, memory_order_relaxed);
	mutex_lock(&container->turn);
	write_lock(&container->rwsem);
	mutex_unlock(&container->turn);
	atomic_fetch_sub_explicit(&container->changes, 1, memory_order_relaxed);
}

static void change_end(struct vfio_container *container) __releases(&container->rwsem)
	__no_lock_analysis
{
	write_unlock(&container->rwsem);
}

static void command_begin(struct vfio_container *container) __acquires_shared(&container->rwsem)
	__no_lock_analysis
{
	if (unlikely(atomic_load_explicit(&container->changes, memory_order_relaxed))) {
		mutex_lock(&container->turn);
		mutex_unlock(&container->turn);
	}
	read_lock(&container->rwsem);
}

static void command_end(struct vfio_container *container) __releases_shared(&container->rwsem)
	__no_lock_analysis
{
	read_unlock(&container->rwsem);
}

/* ---- devices of attached groups ---- */

static int device_attach(struct vfio_container *container, struct vfio_device *vdev)
	__must_hold(&container->rwsem)
{
	struct iommufd_device *idev;
	u32 id = container->ioas->obj.id;
	int rc;

	idev = iommufd_device_bind(container->ctx, &vdev->pdev->dev, &(u32){0});
	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	rc = iommufd_device_attach(idev, IOMMU_NO_PASID, &id);
	if (rc)
		iommufd_device_unbind(idev);
	else
		vdev->container_idev = idev;
	return rc;
}

static void device_detach(struct vfio_device *vdev)
{
	if (!vdev->container_idev)
		return;
	iommufd_device_detach(vdev->container_idev, IOMMU_NO_PASID);
	iommufd_device_unbind(vdev->container_idev);
	vdev->container_idev = NULL;
}

/* A device of @group with, or without, its part in the container; NULL: there is none (any more).
 */
static struct vfio_device *group_device(struct vfio_group *group, bool attached)
{
	struct vfio_device *vdev, *found = NULL;

	mutex_lock(&group->vfio->lock);
	cds_list_for_each_entry (vdev, &group->devices, group_node) {
		if (!vdev->emulated && attached == !!vdev->container_idev)
			found = vdev;
	}
	mutex_unlock(&group->vfio->lock);
	/* It may be leaving, but not go before it has asked for rwsem. */
	return found;
}

static void group_detach(struct vfio_group *group)
{
	struct vfio_device *vdev;

	while ((vdev = group_device(group, true)))
		device_detach(vdev);
}

static int group_attach(struct vfio_container *container, struct vfio_group *group)
	__must_hold(&container->rwsem)
{
	struct vfio_device *vdev;
	int rc = 0;

	while (!rc && (vdev = group_device(group, false)))
		rc = device_attach(container, vdev);
	if (rc)
		group_detach(group);
	return rc;
}

int vfio_container_device_added(struct vfio_container *container, struct vfio_device *vdev)
{
	int rc = 0;

	change_begin(container);
	if (container->type && !vdev->emulated && !vdev->container_idev)
		rc = device_attach(container, vdev);
	change_end(container);
	return rc;
}

void vfio_container_device_removed(struct vfio_container *container, struct vfio_device *vdev)
{
	change_begin(container);
	device_detach(vdev);
	change_end(container);
}

/* ---- groups ---- */

int vfio_container_attach(struct vfio_container *container, struct vfio_group *group)
{
	int rc = 0;

	change_begin(container);
	if (container->type)
		rc = group_attach(container, group);
	if (!rc)
		cds_list_add_tail(&group->container_node, &container->groups);
	change_end(container);
	return rc;
}

void vfio_container_detach(struct vfio_container *container, struct vfio_group *group)
{
	change_begin(container);
	group_detach(group);
	cds_list_del(&group->container_node);
	if (cds_list_empty(&container->groups)) {
		/* Mappings go with the last group, and the choice with them. */
		container_unmap_everything(container);
		container->type = 0;
	}
	change_end(container);
}

bool vfio_container_ready(struct vfio_container *container)
{
	bool ready;

	command_begin(container);
	ready = container->type;
	command_end(container);
	return ready;
}

struct iommufd_ctx *vfio_container_ctx(struct vfio_container *container)
{
	return container->ctx;
}

u32 vfio_container_ioas(struct vfio_container *container)
{
	return container->ioas->obj.id;
}

struct file *vfio_container_file(struct vfio_container *container)
{
	return &container->file;
}

/* ---- commands ---- */

static int container_attach_all(struct vfio_container *container) __must_hold(&container->rwsem)
{
	struct vfio_group *group, *done;
	int rc;

	cds_list_for_each_entry (group, &container->groups, container_node) {
		rc = group_attach(container, group);
		if (!rc)
			continue;
		cds_list_for_each_entry (done, &container->groups, container_node)
			group_detach(done);
		return rc;
	}
	return 0;
}

static int container_set_iommu(struct vfio_container *container, u64 type)
{
	int rc;

	change_begin(container);
	if (container->type || cds_list_empty(&container->groups))
		rc = -EINVAL;
	else if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		rc = -ENODEV;
	else
		rc = container_attach_all(container);
	if (!rc)
		container->type = (u32)type;
	change_end(container);
	return rc;
}

static long container_check_extension(struct vfio_container *container, u64 extension)
{
	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		/* All the IOMMUs there are keep caches coherent. */
		return vfio_container_ready(container);
	default:
		return 0;
	}
}

static long container_command(struct vfio_container *container, unsigned int cmd, u64 arg)
{
	struct file *file = NULL;
	long rc = -EINVAL;

	command_begin(container);
	if (container->type) {
		switch (cmd) {
		case VFIO_IOMMU_GET_INFO:
			rc = container_get_info(container, arg);
			break;
		case VFIO_IOMMU_MAP_DMA:
			rc = container_map_dma(container, arg, &file);
			break;
		case VFIO_IOMMU_UNMAP_DMA:
			rc = container_unmap_dma(container, arg);
			break;
		case VFIO_IOMMU_DIRTY_PAGES:
			rc = container_dirty_pages(container, arg);
			break;
		default:
			rc = -ENOTTY;
		}
	}
	command_end(container);
	file_put(file);
	return rc;
}

static long container_ioctl(struct file *file, unsigned int cmd, u64 arg)
{
	struct vfio_container *container = container_of(file, struct vfio_container, file);

	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return container_check_extension(container, arg);
	case VFIO_SET_IOMMU:
		return container_set_iommu(container, arg);
	default:
		return container_command(container, cmd, arg);
	}
}

/* ---- the file ---- */

/* Groups hold the file: none is attached, nothing is mapped. */
static void container_release(struct file *file)
{
	struct vfio_container *container = container_of(file, struct vfio_container, file);

	file_put(&container->ctx->file);
	rangemap_clear(&container->dmas);
	pthread_cond_destroy(&container->settled);
	mutex_destroy(&container->lock);
	mutex_destroy(&container->turn);
	rwlock_destroy(&container->rwsem);
	free(container);
}

static const struct file_ops container_file_ops = {
	.name = "/dev/vfio/vfio",
	.ioctl = container_ioctl,
	.release = container_release,
};

struct vfio_container *vfio_container_from_file(struct file *file)
{
	if (file->ops != &container_file_ops)
		return NULL;
	return container_of(file, struct vfio_container, file);
}

static int container_space(struct vfio_container *container)
{
	int rc =
		ctx_open(container->vfio->system, CTX_OPEN_VFIO_CONTAINER, O_RDWR, &container->ctx);

	if (rc)
		return rc;
	rc = ioas_alloc(container->ctx, &container->ioas);
	if (rc)
		file_put(&container->ctx->file);
	else
		object_finalize(container->ctx, &container->ioas->obj);
	return rc;
}

int vfio_container_open(struct tree_entry *entry, int open_flags, struct file **ret_file)
{
	const struct vfio_name *name = container_of(entry, struct vfio_name, entry);
	struct vfio_container *container = zalloc(sizeof(*container));
	int rc;

	if (!container)
		return -ENOMEM;
	container->vfio = name->owner;
	rc = container_space(container);
	if (rc) {
		free(container);
		return rc;
	}
	file_init(&container->file, &container_file_ops, container->vfio->system, open_flags);
	rwlock_init(&container->rwsem);
	mutex_init(&container->turn);
	CDS_INIT_LIST_HEAD(&container->groups);
	mutex_init(&container->lock);
	pthread_cond_init(&container->settled, NULL);
	rangemap_init(&container->dmas);
	*ret_file = &container->file;
	return 0;
}
