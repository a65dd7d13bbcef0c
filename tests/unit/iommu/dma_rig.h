/* SPDX-License-Identifier: MIT */
/*
 * A machine with the generic IOMMU, a program, an IOAS and one device: what
 * every test of DMA begins with.
 */
#ifndef DMA_RIG_H
#define DMA_RIG_H

#include <iommufd/ctx.h>
#include <iommufd/device.h>
#include <iommufd/dma.h>
#include <iommufd/generic.h>
#include <iommufd/uapi/iommufd.h>

#define KIB 1024ULL
#define MIB (KIB * KIB)
#define PAGE 4096ULL
#define RW  (IOMMU_READ | IOMMU_WRITE)

/**
 * struct rig - see above
 * @hwpt: what @dev is attached to after rig_attach()
 * @lines, @last_line: what was logged
 */
struct rig {
	struct iommufd_system *system;
	struct iommufd_process *proc;
	int fd;
	struct iommufd_ctx *ctx;
	struct device *dev;
	struct iommufd_device *idev;
	u32 dev_id;
	u32 ioas;
	u32 hwpt;
	_Atomic unsigned int lines;
	char last_line[512];
};

/** rig_begin() - all of it, the device bound and not attached; rig_end() takes it down */
void rig_begin(struct rig *rig, enum iommufd_frame_policy frames, bool check);
void rig_end(struct rig *rig);

int rig_ioctl(struct rig *rig, unsigned int cmd, void *arg);
u32 rig_ioas(struct rig *rig);
/** rig_attach() - at @pasid, to a hwpt of the IOAS with dirty tracking possible */
void rig_attach(struct rig *rig, ioasid_t pasid);
u32 rig_hwpt(struct rig *rig, u32 ioas, u32 flags);
/** rig_map() - @prot is IOMMU_READ and IOMMU_WRITE */
void rig_map(struct rig *rig, u64 iova, void *va, u64 length, unsigned int prot);
int rig_unmap(struct rig *rig, u64 iova, u64 length);
void rig_track(struct rig *rig, bool on);
/** rig_dirty() - one bit a page, read and cleared */
void rig_dirty(struct rig *rig, u64 iova, u64 length, u64 *bitmap);

/** pages_alloc() - shared anonymous memory */
void *pages_alloc(u64 length);

#endif
