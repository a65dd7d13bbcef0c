/* SPDX-License-Identifier: MIT */
/*
 * BARs lent as dma-bufs.  While the function does not decode, and over a
 * reset, what was lent is taken back; what a native container maps of a BAR stays
 * until the device is closed, as type1 keeps it.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/dmabuf_file.h"
#include "ioas/pages.h"
#include "mem/dmabuf.h"
#include "mem/task.h"
#include "vfio/container.h"
#include "vfio/vfio_priv.h"

#define EXPORT_RANGES_MAX 1024U

/**
 * struct vfio_export - one buffer; lives as long as its dma-buf
 * @node: in vdev->exports, under vfio->export_lock; of itself: in none any more
 * @dmabuf: valid while it is in a list
 * @mapped: of a container: only the end of the device ends it
 */
struct vfio_export {
	struct cds_list_head node;
	struct vfio *vfio;
	struct dmabuf *dmabuf;
	bool mapped;
};

/* The last user is gone; who has the lock may still be revoking it, so memory goes afterwards. */
static void export_release(void *data)
{
	struct vfio_export *export = data;

	mutex_lock(&export->vfio->export_lock);
	cds_list_del(&export->node);
	mutex_unlock(&export->vfio->export_lock);
	free(export);
}

static int export_create(struct vfio_device *vdev, u32 bar, u64 off, u64 len, bool mapped,
			 struct dmabuf **ret_dmabuf)
{
	struct vfio_export *export = zalloc(sizeof(*export));
	int rc;

	if (!export)
		return -ENOMEM;
	export->vfio = vdev->vfio;
	export->mapped = mapped;
	rc = dmabuf_create(vdev->pdev->bars[bar].pa + off, len, export_release, export,
			   &export->dmabuf);
	if (rc) {
		free(export);
		return rc;
	}
	mutex_lock(&vdev->vfio->export_lock);
	cds_list_add(&export->node, &vdev->exports);
	if (!mapped && vdev->exports_off)
		dmabuf_revoke(export->dmabuf, true);
	mutex_unlock(&vdev->vfio->export_lock);
	*ret_dmabuf = export->dmabuf;
	return 0;
}

static void exports_set(struct vfio_device *vdev, bool off)
	__must_hold(&vdev->vfio->export_lock)
{
	struct vfio_export *export;

	if (vdev->exports_off != off) {
		vdev->exports_off = off;
		cds_list_for_each_entry (export, &vdev->exports, node) {
			if (!export->mapped)
				dmabuf_revoke(export->dmabuf, off);
		}
	}
}

void vfio_exports_revoke(struct vfio_device *vdev)
{
	mutex_lock(&vdev->vfio->export_lock);
	exports_set(vdev, true);
	mutex_unlock(&vdev->vfio->export_lock);
}

void vfio_exports_sync(struct vfio_device *vdev)
{
	/* Asked under the lock, or who asked earlier could have the last word. */
	mutex_lock(&vdev->vfio->export_lock);
	exports_set(vdev, !pci_mem_enabled(vdev->pdev));
	mutex_unlock(&vdev->vfio->export_lock);
}

void vfio_exports_drop(struct vfio_device *vdev)
{
	struct vfio_export *export, *next;

	mutex_lock(&vdev->vfio->export_lock);
	cds_list_for_each_entry_safe (export, next, &vdev->exports, node) {
		dmabuf_revoke(export->dmabuf, true);
		cds_list_del(&export->node);
		CDS_INIT_LIST_HEAD(&export->node);
	}
	vdev->exports_off = false;
	mutex_unlock(&vdev->vfio->export_lock);
}

/* ---- the feature ---- */

/* One stretch of the BAR: ranges in order, each beginning where the last one ended. */
static int ranges_merge(const struct vfio_device *vdev, u32 bar,
			const struct vfio_region_dma_range *ranges, u32 n, u64 *ret_off,
			u64 *ret_len)
{
	u64 size = vdev->pdev->bars[bar].size, total = 0;

	for (u32 i = 0; i < n; i++) {
		if (!ranges[i].length || (ranges[i].offset | ranges[i].length) & ~PAGE_MASK ||
		    ranges[i].offset > size || ranges[i].length > size - ranges[i].offset)
			return -EINVAL;
	}
	for (u32 i = 0; i < n; i++) {
		/* A buffer here is one physical range. */
		if (ranges[i].offset != ranges[0].offset + total)
			return -EOPNOTSUPP;
		total += ranges[i].length;
	}
	*ret_off = ranges[0].offset;
	*ret_len = total;
	return 0;
}

static int export_ranges_read(const struct vfio_device *vdev,
			      const struct vfio_device_feature_dma_buf *get, u64 arg, u64 *ret_off,
			      u64 *ret_len)
{
	size_t size = get->nr_ranges * sizeof(struct vfio_region_dma_range);
	struct vfio_region_dma_range *ranges = zalloc(size);
	int rc;

	if (!ranges)
		return -ENOMEM;
	rc = copy_from_user(ranges, arg + sizeof(*get), size);
	if (!rc)
		rc = ranges_merge(vdev, get->region_index, ranges, get->nr_ranges, ret_off,
				  ret_len);
	free(ranges);
	return rc;
}

static int export_install(struct vfio_device *vdev, u32 bar, u64 off, u64 len, u32 open_flags)
{
	struct dmabuf *dmabuf;
	struct file *file;
	int fd, rc;

	rc = task_current->ops->fd_reserve(task_current, (int)open_flags, &fd);
	if (rc)
		return rc;
	rc = export_create(vdev, bar, off, len, false, &dmabuf);
	if (!rc) {
		rc = dmabuf_file_create(vdev->vfio->system, dmabuf, (int)open_flags, &file);
		dmabuf_put(dmabuf);
	}
	if (rc) {
		task_current->ops->fd_unreserve(task_current, fd);
		return rc;
	}
	task_current->ops->fd_install(task_current, fd, file);
	return fd;
}

int vfio_export_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len)
{
	struct vfio_device_feature_dma_buf get;
	u64 off, length;
	int rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_GET, sizeof(get));

	if (rc != 1)
		return rc;
	rc = copy_from_user(&get, arg, sizeof(get));
	if (rc)
		return rc;
	if (!get.nr_ranges || get.nr_ranges > EXPORT_RANGES_MAX || get.flags)
		return -EINVAL;
	if (get.open_flags & ~(u32)(O_CLOEXEC | O_ACCMODE))
		return -EINVAL;
	if (get.region_index >= PCI_BARS || !vdev->pdev->bars[get.region_index].size ||
	    vdev->pdev->desc->bars[get.region_index].io)
		return -ENODEV;
	if (len < sizeof(get) + get.nr_ranges * sizeof(struct vfio_region_dma_range))
		return -EINVAL;
	rc = export_ranges_read(vdev, &get, arg, &off, &length);
	return rc ? rc : export_install(vdev, get.region_index, off, length, get.open_flags);
}

/* ---- what a native container maps ---- */

/* Which BAR of @vdev has its memory at physical [@pa, @pa + @length)? */
static bool bar_find(const struct vfio_device *vdev, u64 pa, u64 length, u32 *ret_bar)
{
	for (u32 i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &vdev->pdev->bars[i];

		if (bar->mem_pa && pa >= bar->mem_pa && pa - bar->mem_pa < bar->size &&
		    length <= bar->size - (pa - bar->mem_pa)) {
			*ret_bar = i;
			return true;
		}
	}
	return false;
}

static int bar_dmabuf(struct vfio *vfio, u64 pa, u64 length, struct dmabuf **ret_dmabuf)
{
	struct vfio_device *vdev, *found = NULL;
	int rc = -EFAULT;
	u32 bar = 0;

	mutex_lock(&vfio->lock);
	cds_list_for_each_entry (vdev, &vfio->devices, node) {
		if (!vdev->removing && vdev->used && bar_find(vdev, pa, length, &bar))
			found = vdev;
	}
	if (found)
		found->files++;
	mutex_unlock(&vfio->lock);
	if (!found)
		return -EFAULT;
	mutex_lock(&found->set->lock);
	if (found->open_count && bar_find(found, pa, length, &bar))
		rc = export_create(found, bar, pa - found->pdev->bars[bar].mem_pa, length, true,
				   ret_dmabuf);
	mutex_unlock(&found->set->lock);
	vfio_device_put(found);
	return rc;
}

/* The same by a mapping of the device's file, behind which there need not be memory. */
static int file_dmabuf(struct vfio *vfio, struct file *file, u64 pos, u64 length,
		       struct dmabuf **ret_dmabuf)
{
	struct vfio_file *df = vfio_file_from_file(file);
	u64 off = pos & (BIT_ULL(PCI_REGION_SHIFT) - 1);
	u32 bar = PCI_REGION_INDEX(pos);
	struct vfio_device *vdev;
	int rc = -EFAULT;

	if (!df || df->vdev->vfio != vfio || (pos & PCI_REGION_TAG_MASK) != PCI_REGION_TAG ||
	    bar >= PCI_BARS)
		return -EFAULT;
	vdev = df->vdev;
	mutex_lock(&vdev->set->lock);
	if (vdev->open_count && vdev->pdev->bars[bar].pa && off < vdev->pdev->bars[bar].size &&
	    length <= vdev->pdev->bars[bar].size - off)
		rc = export_create(vdev, bar, off, length, true, ret_dmabuf);
	mutex_unlock(&vdev->set->lock);
	return rc;
}

static int memory_dmabuf(struct vfio *vfio, u64 va, u64 length, struct dmabuf **ret_dmabuf)
{
	u64 pa, last_pa;

	if (mem_va_device(task_current->mm, va, &pa) ||
	    mem_va_device(task_current->mm, va + length - 1, &last_pa) ||
	    last_pa != pa + length - PAGE_SIZE)
		return -EFAULT;
	return bar_dmabuf(vfio, pa, length, ret_dmabuf);
}

int container_bar_pages(struct vfio_container *container, u64 va, u64 length, bool writable,
			struct file **ret_file, struct iopt_pages **ret_pages)
{
	struct dmabuf *dmabuf;
	struct file *file;
	u64 pos;
	int rc;

	*ret_file = file = task_va_file(va, length, &pos);
	rc = file ? file_dmabuf(container->vfio, file, pos, length, &dmabuf) :
		    memory_dmabuf(container->vfio, va, length, &dmabuf);
	if (rc)
		return rc;
	rc = pages_alloc_dmabuf(container->ctx, dmabuf, 0, length, writable, ret_pages);
	dmabuf_put(dmabuf);
	return rc;
}
