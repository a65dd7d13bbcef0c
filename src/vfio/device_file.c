/* SPDX-License-Identifier: MIT */
/*
 * An open device, by its own node or by its group.
 */
#include "base/alloc.h"
#include "vfio/vfio_priv.h"

static struct vfio_file *to_vfio_file(struct file *file)
{
	return container_of(file, struct vfio_file, file);
}

static bool file_bound(const struct vfio_file *df)
{
	/* pairs with the store at the end of opening */
	return atomic_load_explicit(&df->bound, memory_order_acquire);
}

static long device_command(struct vfio_file *df, unsigned int cmd, u64 arg)
{
	struct vfio_device *vdev = df->vdev;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return vfio_get_info(vdev, arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return vfio_get_region_info(vdev, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return vfio_get_irq_info(vdev, arg);
	case VFIO_DEVICE_SET_IRQS:
		return irqs_set(&vdev->irqs, arg);
	case VFIO_DEVICE_RESET:
		return vfio_reset(vdev);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return vfio_hot_reset_info(vdev, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return vfio_hot_reset(vdev, arg);
	case VFIO_DEVICE_IOEVENTFD:
		return vfio_ioeventfd(vdev, arg);
	case VFIO_DEVICE_FEATURE:
		return vfio_feature(vdev, arg);
	default:
		return -ENOTTY;
	}
}

static long device_ioctl(struct file *file, unsigned int cmd, u64 arg)
{
	struct vfio_file *df = to_vfio_file(file);

	if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return vfio_cdev_bind(df, arg);
	if (!file_bound(df))
		return -EINVAL;
	/* Who came through the group has given its DMA into other hands. */
	if (!df->group_file && cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		return vfio_cdev_attach(df, arg);
	if (!df->group_file && cmd == VFIO_DEVICE_DETACH_IOMMUFD_PT)
		return vfio_cdev_detach(df, arg);
	return device_command(df, cmd, arg);
}

static ssize_t device_pread(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	struct vfio_file *df = to_vfio_file(file);

	return file_bound(df) ? vfio_region_read(df->vdev, ubuf, count, pos) : -EINVAL;
}

static ssize_t device_pwrite(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	struct vfio_file *df = to_vfio_file(file);

	return file_bound(df) ? vfio_region_write(df->vdev, ubuf, count, pos) : -EINVAL;
}

static int device_mmap(struct file *file, u64 length, int prot, int flags, u64 offset,
		       struct file_map *ret_map)
{
	struct vfio_file *df = to_vfio_file(file);

	return file_bound(df) ? vfio_region_mmap(df, length, prot, flags, offset, ret_map)
			      : -EINVAL;
}

/* A mapping keeps the file, which is all that BARs need. */
static void device_unmap(struct file *file, void *cookie)
{
}

static int device_access(struct file *file, u64 pos, void *data, unsigned int size, bool write)
{
	struct vfio_file *df = to_vfio_file(file);

	return file_bound(df) ? vfio_region_access(df->vdev, pos, data, size, write) : -EINVAL;
}

static void device_file_close(struct vfio_file *df)
{
	struct vfio_device *vdev = df->vdev;
	struct iommufd_ctx *ctx = NULL;

	mutex_lock(&vdev->set->lock);
	if (vdev->ctx)
		ctx = ctx_get(vdev->ctx); /* its end, if this is it, needs no lock of ours */
	/* Memory stays, but whoever opens the device from now on cannot map it. */
	if (vdev->memory_file == &df->file)
		vdev->memory_file = NULL;
	if (vdev->open_count == 1)
		vfio_device_close(vdev);
	else
		vdev->open_count--;
	mutex_unlock(&vdev->set->lock);
	if (ctx)
		ctx_put(ctx);
	if (df->group_file)
		vfio_group_device_closed(vdev->group);
	else
		vfio_group_unblock(vdev->group);
}

static void device_release(struct file *file)
{
	struct vfio_file *df = to_vfio_file(file);

	file_settle(file);
	if (file_bound(df))
		device_file_close(df);
	file_put(df->group_file);
	vfio_device_put(df->vdev);
	free(df);
}

/* By cdev and by group it is the same file, but for its name. */
#define DEVICE_FILE_OPS(shown)                                                                     \
	{                                                                                          \
		.name = (shown), .ioctl = device_ioctl, .mmap = device_mmap,                       \
		.unmap = device_unmap, .release = device_release, .pread = device_pread,           \
		.pwrite = device_pwrite, .access = device_access,                                  \
	}

static const struct file_ops cdev_file_ops = DEVICE_FILE_OPS("/dev/vfio/devices/vfio");
static const struct file_ops group_device_file_ops = DEVICE_FILE_OPS("anon_inode:[vfio-device]");

int vfio_file_create(struct vfio_device *vdev, struct file *group_file, int open_flags,
		     struct vfio_file **ret_file)
{
	struct vfio_file *df;

	if (!vfio_device_get(vdev))
		return -ENODEV;
	df = zalloc(sizeof(*df));
	if (!df) {
		vfio_device_put(vdev);
		return -ENOMEM;
	}
	file_init(&df->file, group_file ? &group_device_file_ops : &cdev_file_ops,
		  vdev->vfio->system, open_flags);
	df->vdev = vdev;
	df->group_file = group_file ? file_get(group_file) : NULL;
	*ret_file = df;
	return 0;
}

struct vfio_file *vfio_file_from_file(struct file *file)
{
	if (file->ops != &cdev_file_ops && file->ops != &group_device_file_ops)
		return NULL;
	return to_vfio_file(file);
}

int vfio_cdev_open(struct tree_entry *entry, int open_flags, struct file **ret_file)
{
	const struct vfio_name *name = container_of(entry, struct vfio_name, entry);
	struct vfio_file *df;
	int rc = vfio_file_create(name->owner, NULL, open_flags, &df);

	if (!rc)
		*ret_file = &df->file;
	return rc;
}
