/* SPDX-License-Identifier: MIT */
/*
 * DMA_LOGGING: a device that tells which pages it has written, as drivers of devices that
 * can be migrated have it.  Every device that does DMA can; an emulated one does none.
 * The log is exact, in pages of 4 KiB whatever is asked for: a coarser report is made of it.
 */
#include <string.h>

#include "base/alloc.h"
#include "iommu/dma_log.h"
#include "mem/task.h"
#include "vfio/vfio_priv.h"

#define LOG_RANGES_MAX (PAGE_SIZE / sizeof(struct vfio_device_feature_dma_logging_range))

/* ---- start and stop ---- */

static int ranges_check(const struct vfio_device_feature_dma_logging_range *in, u32 n,
			u64 page_size, struct dma_log_range *ret)
{
	for (u32 i = 0; i < n; i++) {
		if (!in[i].length || (in[i].iova | in[i].length) & (page_size - 1))
			return -EINVAL;
		/* The end behind it must be a number, too. */
		if (range_last(in[i].iova, in[i].length, &ret[i].last) ||
		    ret[i].last == UINT64_MAX)
			return -EOVERFLOW;
		ret[i].first = in[i].iova;
	}
	return 0;
}

static int ranges_start(struct vfio_device *vdev,
			const struct vfio_device_feature_dma_logging_control *control)
{
	struct vfio_device_feature_dma_logging_range *in;
	struct dma_log_range *ranges;
	int rc = -ENOMEM;

	in = zalloc_array(control->num_ranges, sizeof(*in));
	ranges = zalloc_array(control->num_ranges, sizeof(*ranges));
	if (in && ranges)
		rc = copy_from_user(in, control->ranges, control->num_ranges * sizeof(*in));
	if (!rc)
		rc = ranges_check(in, control->num_ranges, control->page_size, ranges);
	if (!rc)
		rc = iommu_dma_log_start(&vdev->pdev->dev, ranges, control->num_ranges);
	free(ranges);
	free(in);
	/* On already, or ranges that overlap. */
	return rc == -EBUSY || rc == -EEXIST ? -EINVAL : rc;
}

int vfio_dma_log_start_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len)
{
	struct vfio_device_feature_dma_logging_control control;
	int rc;

	if (vdev->emulated)
		return -ENOTTY;
	rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_SET, sizeof(control));
	if (rc != 1)
		return rc;
	rc = copy_from_user(&control, arg, sizeof(control));
	if (rc)
		return rc;
	if (!control.num_ranges)
		return -EINVAL;
	if (control.num_ranges > LOG_RANGES_MAX)
		return -E2BIG;
	if (control.page_size < PAGE_SIZE || !is_power_of_2(control.page_size))
		return -EINVAL;
	rc = ranges_start(vdev, &control);
	if (rc)
		return rc;
	control.page_size = PAGE_SIZE;
	rc = copy_to_user(arg, &control, sizeof(control));
	if (rc)
		iommu_dma_log_stop(&vdev->pdev->dev);
	return rc;
}

int vfio_dma_log_stop_feature(struct vfio_device *vdev, u32 flags, size_t len)
{
	int rc;

	if (vdev->emulated)
		return -ENOTTY;
	rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_SET, 0);
	if (rc == 1) {
		iommu_dma_log_stop(&vdev->pdev->dev);
		rc = 0;
	}
	return rc;
}

void vfio_dma_log_end(struct vfio_device *vdev)
{
	iommu_dma_log_stop(&vdev->pdev->dev);
}

/* ---- report ---- */

/** struct log_report - [@iova, @last], a bit per 1 << @shift bytes at @bitmap of the program */
struct log_report {
	u64 iova;
	u64 last;
	u64 bitmap;
	unsigned int shift;
};

static u64 report_bit(const struct log_report *report, u64 iova)
{
	return (MAX(iova, report->iova) - report->iova) >> report->shift;
}

/* The bits of a piece are at most one more than its pages: add them to what is there. */
static int report_piece(void *data, const struct dma_log_piece *piece)
{
	const struct log_report *report = data;
	u64 first = report_bit(report, piece->first) / 8;
	u64 end = report_bit(report, MIN(report->last,
					 piece->first + (DMA_LOG_PIECE_BYTES - 1))) / 8 + 1;
	u8 bytes[DMA_LOG_PIECE_PAGES / 8 + 2];
	int rc = copy_from_user(bytes, report->bitmap + first, end - first);

	if (rc)
		return rc;
	for (u64 page = 0; page < DMA_LOG_PIECE_PAGES; page++) {
		u64 bit;

		if (!(piece->bits[page / 64] & BIT_ULL(page % 64)))
			continue;
		bit = report_bit(report, piece->first + (page << PAGE_SHIFT));
		bytes[bit / 8 - first] |= (u8)(1 << bit % 8);
		/* A page that is not aligned as the report is lies in two of its. */
		bit = report_bit(report, MIN(report->last, piece->first + (page << PAGE_SHIFT) +
								    (PAGE_SIZE - 1)));
		bytes[bit / 8 - first] |= (u8)(1 << bit % 8);
	}
	return copy_to_user(report->bitmap + first, bytes, end - first);
}

int vfio_dma_log_report_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len)
{
	struct vfio_device_feature_dma_logging_report get;
	struct log_report report;
	int rc;

	if (vdev->emulated)
		return -ENOTTY;
	rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_GET, sizeof(get));
	if (rc != 1)
		return rc;
	rc = copy_from_user(&get, arg, sizeof(get));
	if (rc)
		return rc;
	if (get.page_size < PAGE_SIZE || !is_power_of_2(get.page_size) || !get.length)
		return -EINVAL;
	if (range_last(get.iova, get.length, &report.last) || report.last == UINT64_MAX)
		return -EOVERFLOW;
	report.iova = get.iova;
	report.bitmap = get.bitmap;
	report.shift = (unsigned int)__builtin_ctzll(get.page_size);
	return iommu_dma_log_read(&vdev->pdev->dev, report.iova, report.last, report_piece,
				  &report);
}
