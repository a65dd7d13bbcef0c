/* SPDX-License-Identifier: MIT */
/*
 * An IOMMU driver whose vIOMMUs do as a test says, wrong things too, and count
 * what is called.
 */
#ifndef TESTS_TOY_H
#define TESTS_TOY_H

#include "../iommu/fake_iommu.h"
#include "guest.h"
#include <iommufd/device.h>
#include <iommufd/viommu.h>

struct toy_viommu {
	struct iommufd_viommu core;
	u64 zero;
};

struct toy_vdevice {
	struct iommufd_vdevice core;
	u64 zero;
};

struct toy_queue {
	struct iommufd_hw_queue core;
	u64 zero;
	u32 index;
	phys_addr_t pa;
};

/* What the driver does; all zero is a good one. */
struct toy {
	int init_rc, vdevice_rc, queue_rc;
	bool no_ops;            /* viommu_init succeeds without setting them */
	size_t viommu_size;     /* 0: the right one */
	size_t queue_size;
	struct iommu_domain *nested; /* what alloc_domain_nested answers; NULL: a good one */
	u32 viommus, vdevices, queues, domains; /* made and not ended */
	int seen_in_init;       /* what get_vdev_id said during vdevice_init */
	struct toy_viommu *viommu;   /* the latest of each */
	struct toy_vdevice *vdevice;
	struct toy_queue *queue;
	struct iommufd_viommu_ops ops; /* to be changed before VIOMMU_ALLOC */
};

extern struct toy toy;
extern struct iommu_ops toy_ops;

/* for ops.hw_queue_init_phys, in place of hw_queue_init */
int toy_queue_init_phys(struct iommufd_hw_queue *queue, u32 index, phys_addr_t base_addr_pa);

/* A bound device @a behind an IOMMU with toy vIOMMUs, @b behind another of the same driver. */
struct toy_rig {
	struct fake_iommu iommu, other_iommu;
	struct fake_dev a, b;
	struct iommufd_device *idev_a, *idev_b;
	struct iommufd_ctx *ctx;
	u32 ioas, a_id, b_id, parent;
};

extern struct toy_rig toys;
int toy_begin(void **state);
int toy_end(void **state);
/* device @a goes; toy_end() knows */
void toy_unbind_a(void);

int toy_viommu_alloc(u32 *ret_viommu);
u32 must_toy(void);

#endif
