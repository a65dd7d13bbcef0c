/* SPDX-License-Identifier: MIT */
/*
 * Regions: what pread(), pwrite() and mappings reach.  A transfer becomes
 * accesses of natural size and alignment, the largest that fit.
 */
#include <string.h>
#include <sys/mman.h>

#include "mem/device_mem.h"
#include "mem/task.h"
#include "vfio/vfio_priv.h"

#define BOUNCE		 4096U
#define TRANSFER_MAX	 (1UL << 20) /* one call moves no more: the rest is the caller's next one */
#define MSIX_ENTRY	 16U
#define BAR_UNIT_MAX	 8U
#define BAR_WRITE_DIRECT 64U

/** struct region_op - one transfer; @off: in the region */
struct region_op {
	struct vfio_device *vdev;
	unsigned int index;
	u64 off;
	bool write;
};

/* The largest access at @off that @count allows. */
static unsigned int unit_size(u64 off, size_t count, unsigned int max)
{
	unsigned int size = max;

	while (size > count || off & (size - 1))
		size /= 2;
	return size;
}

/* ---- configuration space ---- */

static int config_piece(const struct region_op *op, u8 *buf, size_t len)
{
	struct pci_dev *pdev = op->vdev->pdev;
	u64 off = op->off;

	while (len) {
		unsigned int size = unit_size(off, len, sizeof(u32));
		u32 value = 0;

		if (op->write) {
			memcpy(&value, buf, size);
			pci_config_write(pdev, (u32)off, value, size);
		} else {
			value = pci_config_read(pdev, (u32)off, size);
			memcpy(buf, &value, size);
		}
		buf += size;
		off += size;
		len -= size;
	}
	return 0;
}

/* A write may have reset the function, or turned decode on or off. */
static void config_written(struct vfio_device *vdev)
{
	if (atomic_exchange(&vdev->was_reset, false)) {
		vfio_exports_revoke(vdev);
		mutex_lock(&vdev->set->lock);
		vfio_mig_reset(vdev);
		mutex_unlock(&vdev->set->lock);
	}
	vfio_exports_sync(vdev);
}

/* ---- BARs ---- */

/* The MSI-X table is not the program's: what is written through calls goes nowhere. */
static void msix_table(const struct region_op *op, u64 *ret_first, u64 *ret_end)
{
	const struct pci_desc *desc = op->vdev->pdev->desc;

	*ret_first = *ret_end = UINT64_MAX;
	if (!desc->msix_vectors || op->index != desc->msix_bar)
		return;
	*ret_first = desc->msix_table;
	*ret_end = desc->msix_table + (u64)desc->msix_vectors * MSIX_ENTRY;
}

static int bar_accesses(const struct region_op *op, u64 off, u8 *buf, size_t len)
{
	while (len) {
		unsigned int size = unit_size(off, len, BAR_UNIT_MAX);
		int rc;

		if (op->write && len >= BAR_WRITE_DIRECT && !(off & (BAR_WRITE_DIRECT - 1)))
			size = BAR_WRITE_DIRECT;
		rc = pci_bar_access(op->vdev->pdev, op->index, off, buf, size, op->write);
		if (rc)
			return rc;
		buf += size;
		off += size;
		len -= size;
	}
	return 0;
}

static int bar_piece(const struct region_op *op, u8 *buf, size_t len)
{
	u64 off = op->off, table, table_end;
	int rc = 0;

	msix_table(op, &table, &table_end);
	while (len && !rc) {
		size_t part = len;

		if (off >= table && off < table_end) {
			part = MIN(len, table_end - off);
			if (!op->write)
				memset(buf, 0xff, part);
		} else {
			if (off < table)
				part = MIN(len, table - off);
			rc = bar_accesses(op, off, buf, part);
		}
		buf += part;
		off += part;
		len -= part;
	}
	return rc;
}

/* ---- transfers ---- */

static int region_piece(const struct region_op *op, u64 ubuf, size_t len)
{
	u8 buf[BOUNCE];
	int rc = op->write ? copy_from_user(buf, ubuf, len) : 0;

	if (rc)
		return rc;
	rc = op->index == VFIO_PCI_CONFIG_REGION_INDEX ? config_piece(op, buf, len)
						       : bar_piece(op, buf, len);
	if (!rc && !op->write)
		rc = copy_to_user(ubuf, buf, len);
	return rc;
}

/* Is there such a region, and @count bytes of it at the position?  May make @count less. */
static int region_check(struct region_op *op, size_t *count)
{
	const struct pci_dev *pdev = op->vdev->pdev;
	u64 size;

	if (op->index == VFIO_PCI_CONFIG_REGION_INDEX) {
		size = pci_config_size(pdev);
		return op->off >= size || *count > size - op->off ? -EFAULT : 0;
	}
	if (op->index >= PCI_BARS || op->off >= pdev->bars[op->index].size)
		return -EINVAL;
	*count = MIN(MIN(*count, pdev->bars[op->index].size - op->off), TRANSFER_MAX);
	return 0;
}

static ssize_t region_transfer(struct region_op *op, u64 ubuf, size_t count, u64 pos)
{
	size_t done = 0;
	int rc;

	op->index = PCI_REGION_INDEX(pos);
	op->off = pos & (BIT_ULL(PCI_REGION_SHIFT) - 1);
	if ((pos & PCI_REGION_TAG_MASK) != PCI_REGION_TAG || op->index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	if (!count)
		return 0;
	rc = region_check(op, &count);
	vfio_wake(op->vdev);
	while (!rc && done < count) {
		size_t len = MIN(count - done, BOUNCE - op->off % BOUNCE);

		rc = region_piece(op, ubuf + done, len);
		op->off += len;
		done += len;
	}
	if (op->write && op->index == VFIO_PCI_CONFIG_REGION_INDEX)
		config_written(op->vdev);
	return rc ? rc : (ssize_t)count;
}

ssize_t vfio_region_read(struct vfio_device *vdev, u64 ubuf, size_t count, u64 pos)
{
	struct region_op op = {.vdev = vdev};

	return region_transfer(&op, ubuf, count, pos);
}

ssize_t vfio_region_write(struct vfio_device *vdev, u64 ubuf, size_t count, u64 pos)
{
	struct region_op op = {.vdev = vdev, .write = true};

	return region_transfer(&op, ubuf, count, pos);
}

/* ---- mappings ---- */

int vfio_region_mmap(struct vfio_file *df, u64 length, int prot, int flags, u64 offset,
		     struct file_map *ret_map)
{
	const struct vfio_device *vdev = df->vdev;
	u32 index = PCI_REGION_INDEX(offset);
	u64 start = offset & (BIT_ULL(PCI_REGION_SHIFT) - 1);
	int rc = 0;

	if ((offset & PCI_REGION_TAG_MASK) != PCI_REGION_TAG || (flags & MAP_TYPE) == MAP_PRIVATE ||
	    !vfio_bar_mappable(vdev, index) ||
	    !vfio_bar_area_mappable(vdev, index, start, length))
		return -EINVAL;
	*ret_map = (struct file_map){.host_fd = -1, .host_offset = offset, .length = length};
	if (vdev->pdev->access == PCI_ACCESS_TRAP) {
		ret_map->trapped = true;
		return 0;
	}
	/* The memory is behind the descriptor it was opened by, if a way in wants it there. */
	mutex_lock(&vdev->set->lock);
	if (vdev->memory_file && vdev->memory_file != &df->file)
		rc = -EBUSY;
	ret_map->host_fd = mem_device_fd(vdev->memory);
	mutex_unlock(&vdev->set->lock);
	return rc;
}

int vfio_region_access(struct vfio_device *vdev, u64 pos, void *data, unsigned int size, bool write)
{
	u32 index = PCI_REGION_INDEX(pos);

	if ((pos & PCI_REGION_TAG_MASK) != PCI_REGION_TAG || index >= PCI_BARS)
		return -EINVAL;
	vfio_wake(vdev);
	return pci_bar_access(vdev->pdev, index, pos & (BIT_ULL(PCI_REGION_SHIFT) - 1), data, size,
			      write);
}
