/* SPDX-License-Identifier: MIT */
/*
 * What a program and a machine need to know of the example IOMMU: its data
 * structures in commands, and the functions that stand for its hardware.
 */
#ifndef EXAMPLE_DRIVER_H
#define EXAMPLE_DRIVER_H

#include <iommufd/driver.h>
#include <iommufd/system.h>

#define EXAMPLE_TYPE 0xe8a0 /* of its vIOMMUs, nested tables, events, queues and invalidations */
#define EXAMPLE_PAGES 1024  /* of 4 KiB: what it can translate */

/** struct example_viommu_data - of VIOMMU_ALLOC, filled in: where the doorbells can be mapped */
struct example_viommu_data {
	u64 out_mmap_offset;
	u64 out_mmap_length;
};

/** struct example_table_data - of HWPT_ALLOC: guest-physical address of u64[EXAMPLE_PAGES] */
struct example_table_data {
	u64 table;
};

#define EXAMPLE_VALID 1 /* in an entry of the table, beside a guest-physical page */

/** struct example_event - a device's access was not translated */
struct example_event {
	u64 virt_id;
	u64 iova;
};

/**
 * struct example_command - an entry of a hw queue, and of HWPT_INVALIDATE: forget a device's tables
 */
struct example_command {
	u64 virt_id;
};

struct example_iommu;
struct example_dev;

struct example_iommu *example_iommu_create(struct iommufd_system *system);
void example_iommu_destroy(struct example_iommu *iommu);
struct example_dev *example_dev_create(struct example_iommu *iommu);
void example_dev_destroy(struct example_dev *dev);
struct device *example_to_device(struct example_dev *dev);

/** example_dma_read() - the device reads memory; 0 or -EFAULT, and the guest is told */
int example_dma_read(struct example_dev *dev, u64 iova, void *buf, size_t len);
/** example_iommu_poll() - the IOMMU looks at its doorbells */
void example_iommu_poll(struct example_iommu *iommu);

#endif
