/* SPDX-License-Identifier: MIT */
/*
 * The user API of VFIO as Linux 7.2 has it: containers, groups, device files
 * and what can be asked of them, under the kernel's names.  Written for this
 * project; tests/abi holds it against the kernel's header, member by member.
 *
 * Shape of the API: an argument starts with argsz, the bytes the caller has,
 * and flags.  Answers too long for argsz report the size needed; extra answers
 * hang off cap_offset as a chain of capabilities.
 *
 * It replaces <linux/vfio.h>: include this one first or alone.
 */
#ifndef IOMMUFD_UAPI_VFIO_H
#define IOMMUFD_UAPI_VFIO_H

#ifdef VFIO_H
#error "<linux/vfio.h> is already included and may be older: include this header first"
#endif
/* The kernel header's guard: a later #include of it adds nothing. */
#define VFIO_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VFIO_API_VERSION 0

#define VFIO_TYPE (';')
#define VFIO_BASE 100

/*
 * The numbers.  What a number means depends on the file: containers reuse
 * those of devices, and the IOMMU backends of a container each other's.
 */

/* Container. */
#define VFIO_GET_API_VERSION _IO(VFIO_TYPE, VFIO_BASE + 0)
#define VFIO_CHECK_EXTENSION _IO(VFIO_TYPE, VFIO_BASE + 1)
#define VFIO_SET_IOMMU _IO(VFIO_TYPE, VFIO_BASE + 2)

/* Container once its backend is type1. */
#define VFIO_IOMMU_GET_INFO _IO(VFIO_TYPE, VFIO_BASE + 12)
#define VFIO_IOMMU_MAP_DMA _IO(VFIO_TYPE, VFIO_BASE + 13)
#define VFIO_IOMMU_UNMAP_DMA _IO(VFIO_TYPE, VFIO_BASE + 14)
#define VFIO_IOMMU_ENABLE _IO(VFIO_TYPE, VFIO_BASE + 15)
#define VFIO_IOMMU_DISABLE _IO(VFIO_TYPE, VFIO_BASE + 16)
#define VFIO_IOMMU_DIRTY_PAGES _IO(VFIO_TYPE, VFIO_BASE + 17)

/* Container once its backend is POWER's TCE tables. */
#define VFIO_IOMMU_SPAPR_TCE_GET_INFO _IO(VFIO_TYPE, VFIO_BASE + 12)
#define VFIO_IOMMU_SPAPR_REGISTER_MEMORY _IO(VFIO_TYPE, VFIO_BASE + 17)
#define VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VFIO_IOMMU_SPAPR_TCE_CREATE _IO(VFIO_TYPE, VFIO_BASE + 19)
#define VFIO_IOMMU_SPAPR_TCE_REMOVE _IO(VFIO_TYPE, VFIO_BASE + 20)
#define VFIO_EEH_PE_OP _IO(VFIO_TYPE, VFIO_BASE + 21)

/* Group. */
#define VFIO_GROUP_GET_STATUS _IO(VFIO_TYPE, VFIO_BASE + 3)
#define VFIO_GROUP_SET_CONTAINER _IO(VFIO_TYPE, VFIO_BASE + 4)
#define VFIO_GROUP_UNSET_CONTAINER _IO(VFIO_TYPE, VFIO_BASE + 5)
#define VFIO_GROUP_GET_DEVICE_FD _IO(VFIO_TYPE, VFIO_BASE + 6)

/* Device. */
#define VFIO_DEVICE_GET_INFO _IO(VFIO_TYPE, VFIO_BASE + 7)
#define VFIO_DEVICE_GET_REGION_INFO _IO(VFIO_TYPE, VFIO_BASE + 8)
#define VFIO_DEVICE_GET_IRQ_INFO _IO(VFIO_TYPE, VFIO_BASE + 9)
#define VFIO_DEVICE_SET_IRQS _IO(VFIO_TYPE, VFIO_BASE + 10)
#define VFIO_DEVICE_RESET _IO(VFIO_TYPE, VFIO_BASE + 11)
#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO _IO(VFIO_TYPE, VFIO_BASE + 12)
#define VFIO_DEVICE_PCI_HOT_RESET _IO(VFIO_TYPE, VFIO_BASE + 13)
#define VFIO_DEVICE_QUERY_GFX_PLANE _IO(VFIO_TYPE, VFIO_BASE + 14)
#define VFIO_DEVICE_GET_GFX_DMABUF _IO(VFIO_TYPE, VFIO_BASE + 15)
#define VFIO_DEVICE_IOEVENTFD _IO(VFIO_TYPE, VFIO_BASE + 16)
#define VFIO_DEVICE_FEATURE _IO(VFIO_TYPE, VFIO_BASE + 17)

/* Device opened by its own node instead of through a group. */
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)

/* File a migration state is read from. */
#define VFIO_MIG_GET_PRECOPY_INFO _IO(VFIO_TYPE, VFIO_BASE + 21)

/**
 * struct vfio_info_cap_header - starts each capability of an answer
 * @id: meaning, in the list that goes with the answer
 * @version: of the capability's layout
 * @next: offset of the next one from the start of the answer, 0 for none
 */
struct vfio_info_cap_header {
	__u16 id;
	__u16 version;
	__u32 next;
};

/* ---- container ---- */

/* VFIO_CHECK_EXTENSION asks for these, VFIO_SET_IOMMU takes the IOMMUs among them. */
#define VFIO_TYPE1_IOMMU 1
#define VFIO_SPAPR_TCE_IOMMU 2
#define VFIO_TYPE1v2_IOMMU 3 /* unmaps only what was mapped, never cuts */
#define VFIO_DMA_CC_IOMMU 4 /* DMA is cache coherent */
#define VFIO_EEH 5
#define __VFIO_RESERVED_TYPE1_NESTING_IOMMU 6 /* never of use, gone */
#define VFIO_SPAPR_TCE_v2_IOMMU 7
#define VFIO_NOIOMMU_IOMMU 8
#define VFIO_UNMAP_ALL 9 /* VFIO_DMA_UNMAP_FLAG_ALL is known */
#define VFIO_UPDATE_VADDR 10 /* VFIO_DMA_MAP_FLAG_VADDR is known */

/**
 * struct vfio_iommu_type1_info - VFIO_IOMMU_GET_INFO
 * @iova_pgsizes: a bit for each size the IOMMU maps in
 * @cap_offset: of the first capability, 0 if none or @argsz leaves no room
 */
struct vfio_iommu_type1_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOMMU_INFO_PGSIZES (1 << 0) /* iova_pgsizes is valid */
#define VFIO_IOMMU_INFO_CAPS (1 << 1) /* there are capabilities */
	__aligned_u64 iova_pgsizes;
	__u32 cap_offset;
	__u32 pad;
};

/* Ids of its capabilities. */
#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE 1
#define VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION 2
#define VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL 3

/** struct vfio_iova_range - usable IOVA; @end belongs to it */
struct vfio_iova_range {
	__u64 start;
	__u64 end;
};

/** struct vfio_iommu_type1_info_cap_iova_range - where mapping is possible */
struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	__u32 nr_iovas;
	__u32 reserved;
	struct vfio_iova_range iova_ranges[];
};

/**
 * struct vfio_iommu_type1_info_cap_migration - dirty tracking is offered
 * @pgsize_bitmap: a bit for each page size a bitmap may have
 * @max_dirty_bitmap_size: bytes of the largest bitmap
 */
struct vfio_iommu_type1_info_cap_migration {
	struct vfio_info_cap_header header;
	__u32 flags;
	__u64 pgsize_bitmap;
	__u64 max_dirty_bitmap_size;
};

/** struct vfio_iommu_type1_info_dma_avail - mappings the container still takes */
struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	__u32 avail;
};

/**
 * struct vfio_iommu_type1_dma_map - VFIO_IOMMU_MAP_DMA
 * @vaddr: first byte of the caller's memory
 * @iova: where devices see it
 * @size: bytes
 */
struct vfio_iommu_type1_dma_map {
	__u32 argsz;
	__u32 flags;
#define VFIO_DMA_MAP_FLAG_READ (1 << 0) /* by the device */
#define VFIO_DMA_MAP_FLAG_WRITE (1 << 1) /* by the device */
#define VFIO_DMA_MAP_FLAG_VADDR (1 << 2) /* only give a mapping its new address */
	__u64 vaddr;
	__u64 iova;
	__u64 size;
};

/**
 * struct vfio_bitmap - a bit for each page
 * @pgsize: bytes of a page
 * @size: bytes of the bitmap
 * @data: the bitmap
 */
struct vfio_bitmap {
	__u64 pgsize;
	__u64 size;
	__u64 *data;
};

/**
 * struct vfio_iommu_type1_dma_unmap - VFIO_IOMMU_UNMAP_DMA
 * @iova: first byte
 * @size: in: bytes; out: bytes that were mapped in there
 * @data: a struct vfio_bitmap, with GET_DIRTY_BITMAP
 */
struct vfio_iommu_type1_dma_unmap {
	__u32 argsz;
	__u32 flags;
#define VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP (1 << 0) /* say what was written */
#define VFIO_DMA_UNMAP_FLAG_ALL (1 << 1) /* everything; iova and size are 0 */
#define VFIO_DMA_UNMAP_FLAG_VADDR (1 << 2) /* keep the IOVA, forget the address */
	__u64 iova;
	__u64 size;
	__u8 data[];
};

/**
 * struct vfio_iommu_type1_dirty_bitmap - VFIO_IOMMU_DIRTY_PAGES; one flag at a time
 * @data: a struct vfio_iommu_type1_dirty_bitmap_get, with GET_BITMAP
 */
struct vfio_iommu_type1_dirty_bitmap {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_START (1 << 0)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP (1 << 1)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP (1 << 2)
	__u8 data[];
};

/** struct vfio_iommu_type1_dirty_bitmap_get - the range asked about, and room for bits */
struct vfio_iommu_type1_dirty_bitmap_get {
	__u64 iova;
	__u64 size;
	struct vfio_bitmap bitmap;
};

/* ---- group ---- */

/** struct vfio_group_status - VFIO_GROUP_GET_STATUS */
struct vfio_group_status {
	__u32 argsz;
	__u32 flags;
#define VFIO_GROUP_FLAGS_VIABLE (1 << 0) /* no other driver has a device of it */
#define VFIO_GROUP_FLAGS_CONTAINER_SET (1 << 1)
};

/* ---- device: what it is ---- */

/**
 * struct vfio_device_info - VFIO_DEVICE_GET_INFO
 * @flags: the bus it sits on, and whether it can be reset
 * @num_regions: one more than the largest region index
 * @num_irqs: one more than the largest interrupt index
 * @cap_offset: of the first capability
 */
struct vfio_device_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_FLAGS_RESET (1 << 0)
#define VFIO_DEVICE_FLAGS_PCI (1 << 1)
#define VFIO_DEVICE_FLAGS_PLATFORM (1 << 2)
#define VFIO_DEVICE_FLAGS_AMBA (1 << 3)
#define VFIO_DEVICE_FLAGS_CCW (1 << 4)
#define VFIO_DEVICE_FLAGS_AP (1 << 5)
#define VFIO_DEVICE_FLAGS_FSL_MC (1 << 6)
#define VFIO_DEVICE_FLAGS_CAPS (1 << 7)
#define VFIO_DEVICE_FLAGS_CDX (1 << 8)
	__u32 num_regions;
	__u32 num_irqs;
	__u32 cap_offset;
	__u32 pad;
};

/* Names of the bus-specific interfaces, as mediated devices show them in sysfs. */
#define VFIO_DEVICE_API_PCI_STRING "vfio-pci"
#define VFIO_DEVICE_API_PLATFORM_STRING "vfio-platform"
#define VFIO_DEVICE_API_AMBA_STRING "vfio-amba"
#define VFIO_DEVICE_API_CCW_STRING "vfio-ccw"
#define VFIO_DEVICE_API_AP_STRING "vfio-ap"

/* Ids of its capabilities; those of s390's PCI have a header of their own. */
#define VFIO_DEVICE_INFO_CAP_ZPCI_BASE 1
#define VFIO_DEVICE_INFO_CAP_ZPCI_GROUP 2
#define VFIO_DEVICE_INFO_CAP_ZPCI_UTIL 3
#define VFIO_DEVICE_INFO_CAP_ZPCI_PFIP 4
#define VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP 5

/** struct vfio_device_info_cap_pci_atomic_comp - widths of AtomicOps the host completes */
struct vfio_device_info_cap_pci_atomic_comp {
	struct vfio_info_cap_header header;
	__u32 flags;
#define VFIO_PCI_ATOMIC_COMP32 (1 << 0)
#define VFIO_PCI_ATOMIC_COMP64 (1 << 1)
#define VFIO_PCI_ATOMIC_COMP128 (1 << 2)
	__u32 reserved;
};

/* ---- device: regions, windows of its file ---- */

/* Regions every PCI device numbers alike; more may follow. */
enum {
	VFIO_PCI_BAR0_REGION_INDEX = 0,
	VFIO_PCI_BAR1_REGION_INDEX = 1,
	VFIO_PCI_BAR2_REGION_INDEX = 2,
	VFIO_PCI_BAR3_REGION_INDEX = 3,
	VFIO_PCI_BAR4_REGION_INDEX = 4,
	VFIO_PCI_BAR5_REGION_INDEX = 5,
	VFIO_PCI_ROM_REGION_INDEX = 6,
	VFIO_PCI_CONFIG_REGION_INDEX = 7,
	VFIO_PCI_VGA_REGION_INDEX = 8,
	VFIO_PCI_NUM_REGIONS = 9
};

/* The same for s390's channel devices. */
enum {
	VFIO_CCW_CONFIG_REGION_INDEX = 0,
	VFIO_CCW_NUM_REGIONS = 1
};

/**
 * struct vfio_region_info - VFIO_DEVICE_GET_REGION_INFO
 * @index: which one
 * @cap_offset: of the first capability
 * @size: bytes; 0 for an index without a region
 * @offset: of the region in the device's file
 */
struct vfio_region_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_REGION_INFO_FLAG_READ (1 << 0)
#define VFIO_REGION_INFO_FLAG_WRITE (1 << 1)
#define VFIO_REGION_INFO_FLAG_MMAP (1 << 2)
#define VFIO_REGION_INFO_FLAG_CAPS (1 << 3)
	__u32 index;
	__u32 cap_offset;
	__aligned_u64 size;
	__aligned_u64 offset;
};

/* Ids of its capabilities. */
#define VFIO_REGION_INFO_CAP_SPARSE_MMAP 1
#define VFIO_REGION_INFO_CAP_TYPE 2
#define VFIO_REGION_INFO_CAP_MSIX_MAPPABLE 3 /* header only: the MSI-X table may be mapped */
#define VFIO_REGION_INFO_CAP_NVLINK2_SSATGT 4
#define VFIO_REGION_INFO_CAP_NVLINK2_LNKSPD 5

/** struct vfio_region_sparse_mmap_area - a part that can be mapped */
struct vfio_region_sparse_mmap_area {
	__aligned_u64 offset;
	__aligned_u64 size;
};

/** struct vfio_region_info_cap_sparse_mmap - only these parts of the region can be mapped */
struct vfio_region_info_cap_sparse_mmap {
	struct vfio_info_cap_header header;
	__u32 nr_areas;
	__u32 reserved;
	struct vfio_region_sparse_mmap_area areas[];
};

/** struct vfio_region_info_cap_type - what a region beyond the common ones is */
struct vfio_region_info_cap_type {
	struct vfio_info_cap_header header;
	__u32 type;
	__u32 subtype;
};

/* Types; with the vendor bit set the low half is a PCI vendor id. */
#define VFIO_REGION_TYPE_PCI_VENDOR_TYPE (1 << 31)
#define VFIO_REGION_TYPE_PCI_VENDOR_MASK (0xffff)
#define VFIO_REGION_TYPE_GFX (1)
#define VFIO_REGION_TYPE_CCW (2)
#define VFIO_REGION_TYPE_MIGRATION_DEPRECATED (3)

/* Subtypes of vendor 8086 (Intel graphics). */
#define VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION (1)
#define VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG (2)
#define VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG (3)

/* Subtypes of vendors 10de (NVIDIA) and 1014 (IBM): NVLink2. */
#define VFIO_REGION_SUBTYPE_NVIDIA_NVLINK2_RAM (1)
#define VFIO_REGION_SUBTYPE_IBM_NVLINK2_ATSD (1)

/* Subtypes of VFIO_REGION_TYPE_GFX, _CCW and _MIGRATION_DEPRECATED. */
#define VFIO_REGION_SUBTYPE_GFX_EDID (1)
#define VFIO_REGION_SUBTYPE_CCW_ASYNC_CMD (1)
#define VFIO_REGION_SUBTYPE_CCW_SCHIB (2)
#define VFIO_REGION_SUBTYPE_CCW_CRW (3)
#define VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED (1)

/**
 * struct vfio_region_gfx_edid - head of the EDID region of a virtual display
 * @edid_offset: where in the region the EDID goes
 * @edid_max_size: bytes it may have
 * @edid_size: bytes it has
 * @max_xres: widest picture, 0 for no limit
 * @max_yres: highest picture, 0 for no limit
 * @link_state: plugged in or not; take it down while the EDID changes
 */
struct vfio_region_gfx_edid {
	__u32 edid_offset;
	__u32 edid_max_size;
	__u32 edid_size;
	__u32 max_xres;
	__u32 max_yres;
	__u32 link_state;
#define VFIO_DEVICE_GFX_LINK_STATE_UP 1
#define VFIO_DEVICE_GFX_LINK_STATE_DOWN 2
};

/** struct vfio_region_info_cap_nvlink2_ssatgt - target address of the link */
struct vfio_region_info_cap_nvlink2_ssatgt {
	struct vfio_info_cap_header header;
	__aligned_u64 tgt;
};

/** struct vfio_region_info_cap_nvlink2_lnkspd - its speed as the bridge states it */
struct vfio_region_info_cap_nvlink2_lnkspd {
	struct vfio_info_cap_header header;
	__u32 link_speed;
	__u32 __pad;
};

/* ---- device: interrupts ---- */

/* Interrupts every PCI device numbers alike. */
enum {
	VFIO_PCI_INTX_IRQ_INDEX = 0,
	VFIO_PCI_MSI_IRQ_INDEX = 1,
	VFIO_PCI_MSIX_IRQ_INDEX = 2,
	VFIO_PCI_ERR_IRQ_INDEX = 3,
	VFIO_PCI_REQ_IRQ_INDEX = 4,
	VFIO_PCI_NUM_IRQS = 5
};

/* The same for s390's channel devices and crypto adapters. */
enum {
	VFIO_CCW_IO_IRQ_INDEX = 0,
	VFIO_CCW_CRW_IRQ_INDEX = 1,
	VFIO_CCW_REQ_IRQ_INDEX = 2,
	VFIO_CCW_NUM_IRQS = 3
};

enum {
	VFIO_AP_REQ_IRQ_INDEX = 0,
	VFIO_AP_CFG_CHG_IRQ_INDEX = 1,
	VFIO_AP_NUM_IRQS = 2
};

/**
 * struct vfio_irq_info - VFIO_DEVICE_GET_IRQ_INFO
 * @index: which kind
 * @count: vectors of it, 0 for none
 */
struct vfio_irq_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_IRQ_INFO_EVENTFD (1 << 0) /* can be signalled by eventfd */
#define VFIO_IRQ_INFO_MASKABLE (1 << 1)
#define VFIO_IRQ_INFO_AUTOMASKED (1 << 2) /* masks itself when it fires */
#define VFIO_IRQ_INFO_NORESIZE (1 << 3) /* vectors are set up all at once */
	__u32 index;
	__u32 count;
};

/**
 * struct vfio_irq_set - VFIO_DEVICE_SET_IRQS
 * @flags: one DATA bit, one ACTION bit
 * @index: which kind
 * @start: first vector
 * @count: vectors; 0 with DATA_NONE and ACTION_TRIGGER turns the kind off
 * @data: nothing, @count bytes, or @count eventfds (-1 takes one away)
 */
struct vfio_irq_set {
	__u32 argsz;
	__u32 flags;
#define VFIO_IRQ_SET_DATA_NONE (1 << 0)
#define VFIO_IRQ_SET_DATA_BOOL (1 << 1)
#define VFIO_IRQ_SET_DATA_EVENTFD (1 << 2)
#define VFIO_IRQ_SET_ACTION_MASK (1 << 3)
#define VFIO_IRQ_SET_ACTION_UNMASK (1 << 4)
#define VFIO_IRQ_SET_ACTION_TRIGGER (1 << 5)
	__u32 index;
	__u32 start;
	__u32 count;
	__u8 data[];
};

#define VFIO_IRQ_SET_DATA_TYPE_MASK \
	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_DATA_EVENTFD)
#define VFIO_IRQ_SET_ACTION_TYPE_MASK \
	(VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_ACTION_TRIGGER)

/**
 * struct vfio_device_ioeventfd - VFIO_DEVICE_IOEVENTFD: an eventfd that writes a register
 * @flags: the width
 * @offset: of the register in the device's file
 * @data: what to write
 * @fd: the eventfd, -1 takes the match away
 */
struct vfio_device_ioeventfd {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_IOEVENTFD_8 (1 << 0)
#define VFIO_DEVICE_IOEVENTFD_16 (1 << 1)
#define VFIO_DEVICE_IOEVENTFD_32 (1 << 2)
#define VFIO_DEVICE_IOEVENTFD_64 (1 << 3)
#define VFIO_DEVICE_IOEVENTFD_SIZE_MASK (0xf)
	__aligned_u64 offset;
	__aligned_u64 data;
	__s32 fd;
	__u32 reserved;
};

/* ---- device: resetting all that share a bus ---- */

/**
 * struct vfio_pci_dependent_device - a device the reset would hit
 * @group_id: its group
 * @devid: its id in the caller's iommufd instead, or one of the two values below
 */
struct vfio_pci_dependent_device {
	union {
		__u32 group_id;
		__u32 devid;
#define VFIO_PCI_DEVID_OWNED 0 /* no id, but nobody else's either */
#define VFIO_PCI_DEVID_NOT_OWNED -1
	};
	__u16 segment;
	__u8 bus;
	__u8 devfn;
};

/** struct vfio_pci_hot_reset_info - VFIO_DEVICE_GET_PCI_HOT_RESET_INFO */
struct vfio_pci_hot_reset_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID (1 << 0) /* devices[] has devid, not group_id */
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1 << 1) /* the caller owns all of them */
	__u32 count;
	struct vfio_pci_dependent_device devices[];
};

/**
 * struct vfio_pci_hot_reset - VFIO_DEVICE_PCI_HOT_RESET
 * @count: groups that prove ownership, 0 when the iommufd does
 */
struct vfio_pci_hot_reset {
	__u32 argsz;
	__u32 flags;
	__u32 count;
	__s32 group_fds[];
};

/* ---- device: binding to an iommufd ---- */

/**
 * struct vfio_device_bind_iommufd - VFIO_DEVICE_BIND_IOMMUFD
 * @iommufd: the file that owns the device from now on
 * @out_devid: the device's id there
 * @token_uuid_ptr: address of 16 bytes, with BIND_FLAG_TOKEN
 */
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_BIND_FLAG_TOKEN (1 << 0)
	__s32 iommufd;
	__u32 out_devid;
	__aligned_u64 token_uuid_ptr;
};

/**
 * struct vfio_device_attach_iommufd_pt - VFIO_DEVICE_ATTACH_IOMMUFD_PT: translate its DMA
 * @pt_id: in: an ioas or hwpt; out: the hwpt in use
 * @pasid: with ATTACH_PASID, the context it is for
 */
struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_ATTACH_PASID (1 << 0)
	__u32 pt_id;
	__u32 pasid;
};

/** struct vfio_device_detach_iommufd_pt - VFIO_DEVICE_DETACH_IOMMUFD_PT: block its DMA */
struct vfio_device_detach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_DETACH_PASID (1 << 0)
	__u32 pasid;
};

/* ---- device: features ---- */

/**
 * struct vfio_device_feature - VFIO_DEVICE_FEATURE
 * @flags: the feature's number and what to do; PROBE with GET or SET asks if it could
 * @data: the feature's structure
 */
struct vfio_device_feature {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_FEATURE_MASK (0xffff)
#define VFIO_DEVICE_FEATURE_GET (1 << 16)
#define VFIO_DEVICE_FEATURE_SET (1 << 17)
#define VFIO_DEVICE_FEATURE_PROBE (1 << 18)
	__u8 data[];
};

/* Numbers of the features. */
#define VFIO_DEVICE_FEATURE_PCI_VF_TOKEN (0) /* set: 16 bytes a VF's user must know */
#define VFIO_DEVICE_FEATURE_MIGRATION 1
#define VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE 2
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY 3 /* set, no data */
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP 4
#define VFIO_DEVICE_FEATURE_LOW_POWER_EXIT 5 /* set, no data */
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_START 6
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP 7 /* set, no data */
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT 8
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE 9
#define VFIO_DEVICE_FEATURE_BUS_MASTER 10
#define VFIO_DEVICE_FEATURE_DMA_BUF 11
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 12 /* set, no data: REINIT may be reported */

/** struct vfio_device_feature_migration - get: states beyond stop and running it knows */
struct vfio_device_feature_migration {
	__aligned_u64 flags;
#define VFIO_MIGRATION_STOP_COPY (1 << 0)
#define VFIO_MIGRATION_P2P (1 << 1)
#define VFIO_MIGRATION_PRE_COPY (1 << 2)
};

/**
 * enum vfio_device_mig_state - where a device is in its migration
 * @VFIO_DEVICE_STATE_ERROR: broke on the way; only a reset helps
 * @VFIO_DEVICE_STATE_STOP: does nothing, its state does not change
 * @VFIO_DEVICE_STATE_RUNNING: works
 * @VFIO_DEVICE_STATE_STOP_COPY: stopped, its state is being read
 * @VFIO_DEVICE_STATE_RESUMING: stopped, a state is being written to it
 * @VFIO_DEVICE_STATE_RUNNING_P2P: answers other devices but starts no DMA to them
 * @VFIO_DEVICE_STATE_PRE_COPY: works while its state is being read
 * @VFIO_DEVICE_STATE_PRE_COPY_P2P: both
 * @VFIO_DEVICE_STATE_NR: how many there are
 */
enum vfio_device_mig_state {
	VFIO_DEVICE_STATE_ERROR = 0,
	VFIO_DEVICE_STATE_STOP = 1,
	VFIO_DEVICE_STATE_RUNNING = 2,
	VFIO_DEVICE_STATE_STOP_COPY = 3,
	VFIO_DEVICE_STATE_RESUMING = 4,
	VFIO_DEVICE_STATE_RUNNING_P2P = 5,
	VFIO_DEVICE_STATE_PRE_COPY = 6,
	VFIO_DEVICE_STATE_PRE_COPY_P2P = 7,
	VFIO_DEVICE_STATE_NR,
};

/**
 * struct vfio_device_feature_mig_state - get, or set to travel
 * @device_state: enum vfio_device_mig_state
 * @data_fd: out: a file the state is read from or written to, -1 for none
 */
struct vfio_device_feature_mig_state {
	__u32 device_state;
	__s32 data_fd;
};

/**
 * struct vfio_precopy_info - VFIO_MIG_GET_PRECOPY_INFO, on that file
 * @initial_bytes: still to read of what must come first
 * @dirty_bytes: to read again because it changed
 */
struct vfio_precopy_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_PRECOPY_INFO_REINIT (1 << 0) /* initial data has started over */
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};

/** struct vfio_device_feature_mig_data_size - get: about how much STOP_COPY will read */
struct vfio_device_feature_mig_data_size {
	__aligned_u64 stop_copy_length;
};

/** struct vfio_device_low_power_entry_with_wakeup - set: sleep, and tell when woken */
struct vfio_device_low_power_entry_with_wakeup {
	__s32 wakeup_eventfd;
	__u32 reserved;
};

/**
 * struct vfio_device_feature_dma_logging_control - set: let the device log its writes
 * @page_size: of the log wished for
 * @num_ranges: entries at @ranges
 * @ranges: address of an array of struct vfio_device_feature_dma_logging_range
 */
struct vfio_device_feature_dma_logging_control {
	__aligned_u64 page_size;
	__u32 num_ranges;
	__u32 __reserved;
	__aligned_u64 ranges;
};

/** struct vfio_device_feature_dma_logging_range - IOVA whose writes matter */
struct vfio_device_feature_dma_logging_range {
	__aligned_u64 iova;
	__aligned_u64 length;
};

/**
 * struct vfio_device_feature_dma_logging_report - get: what was written, and forget it
 * @page_size: bytes a bit stands for
 * @bitmap: address of the bitmap; bits are added
 */
struct vfio_device_feature_dma_logging_report {
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 bitmap;
};

/** struct vfio_device_feature_bus_master - set: forbid or allow DMA, without a config cycle */
struct vfio_device_feature_bus_master {
	__u32 op;
#define VFIO_DEVICE_FEATURE_CLEAR_MASTER 0
#define VFIO_DEVICE_FEATURE_SET_MASTER 1
};

/** struct vfio_region_dma_range - bytes of a region */
struct vfio_region_dma_range {
	__u64 offset;
	__u64 length;
};

/**
 * struct vfio_device_feature_dma_buf - get: a dma-buf of parts of a region
 * @region_index: the region
 * @open_flags: for the new file, as of open()
 * @flags: 0
 * @nr_ranges: entries in @dma_ranges
 *
 * The ioctl returns the file.
 */
struct vfio_device_feature_dma_buf {
	__u32 region_index;
	__u32 open_flags;
	__u32 flags;
	__u32 nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};

/* ---- device: migration of old, kept so old programs build ---- */

/** struct vfio_device_migration_info - head of the region once used for it */
struct vfio_device_migration_info {
	__u32 device_state;
#define VFIO_DEVICE_STATE_V1_STOP (0)
#define VFIO_DEVICE_STATE_V1_RUNNING (1 << 0)
#define VFIO_DEVICE_STATE_V1_SAVING (1 << 1)
#define VFIO_DEVICE_STATE_V1_RESUMING (1 << 2)
	__u32 reserved;
	__aligned_u64 pending_bytes;
	__aligned_u64 data_offset;
	__aligned_u64 data_size;
};

#define VFIO_DEVICE_STATE_MASK \
	(VFIO_DEVICE_STATE_V1_RUNNING | VFIO_DEVICE_STATE_V1_SAVING | VFIO_DEVICE_STATE_V1_RESUMING)
/* Resuming excludes the other two. */
#define VFIO_DEVICE_STATE_VALID(state)                                                  \
	(!((state) & VFIO_DEVICE_STATE_V1_RESUMING) ||                                  \
	 ((state) & VFIO_DEVICE_STATE_MASK) == VFIO_DEVICE_STATE_V1_RESUMING)
/* Saving while resuming is how an error was told. */
#define VFIO_DEVICE_STATE_IS_ERROR(state)                                               \
	(((state) & VFIO_DEVICE_STATE_MASK) ==                                          \
	 (VFIO_DEVICE_STATE_V1_SAVING | VFIO_DEVICE_STATE_V1_RESUMING))
#define VFIO_DEVICE_STATE_SET_ERROR(state)                                              \
	(((state) & ~VFIO_DEVICE_STATE_MASK) | VFIO_DEVICE_STATE_V1_SAVING |            \
	 VFIO_DEVICE_STATE_V1_RESUMING)

/* ---- device: pictures of a virtual display ---- */

/**
 * struct vfio_device_gfx_plane_info - VFIO_DEVICE_QUERY_GFX_PLANE
 * @flags: how the picture is shared; with PROBE, whether it could be
 * @drm_plane_type: which plane, in DRM's numbers
 * @drm_format: of pixels, in DRM's codes
 * @drm_format_mod: its tiling
 * @stride: bytes from line to line
 * @size: bytes of the picture
 * @x_pos: of the cursor, as @y_pos
 * @x_hot: hot spot in it, as @y_hot
 * @region_index: where the picture is, with TYPE_REGION
 * @dmabuf_id: for VFIO_DEVICE_GET_GFX_DMABUF, with TYPE_DMABUF
 */
struct vfio_device_gfx_plane_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_GFX_PLANE_TYPE_PROBE (1 << 0)
#define VFIO_GFX_PLANE_TYPE_DMABUF (1 << 1)
#define VFIO_GFX_PLANE_TYPE_REGION (1 << 2)
	__u32 drm_plane_type;
	__u32 drm_format;
	__aligned_u64 drm_format_mod;
	__u32 width;
	__u32 height;
	__u32 stride;
	__u32 size;
	__u32 x_pos;
	__u32 y_pos;
	__u32 x_hot;
	__u32 y_hot;
	union {
		__u32 region_index;
		__u32 dmabuf_id;
	};
	__u32 reserved;
};

/* ---- POWER: its TCE tables and error handling ---- */

/** struct vfio_iommu_spapr_tce_ddw_info - what windows beside the 32-bit one can be made */
struct vfio_iommu_spapr_tce_ddw_info {
	__u64 pgsizes;
	__u32 max_dynamic_windows_supported;
	__u32 levels;
};

/** struct vfio_iommu_spapr_tce_info - VFIO_IOMMU_SPAPR_TCE_GET_INFO */
struct vfio_iommu_spapr_tce_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOMMU_SPAPR_INFO_DDW (1 << 0) /* ddw is valid */
	__u32 dma32_window_start;
	__u32 dma32_window_size;
	struct vfio_iommu_spapr_tce_ddw_info ddw;
};

/** struct vfio_iommu_spapr_register_memory - pin and account memory before mapping it */
struct vfio_iommu_spapr_register_memory {
	__u32 argsz;
	__u32 flags;
	__u64 vaddr;
	__u64 size;
};

/** struct vfio_iommu_spapr_tce_create - a new window; @start_addr is chosen and returned */
struct vfio_iommu_spapr_tce_create {
	__u32 argsz;
	__u32 flags;
	__u32 page_shift;
	__u32 __resv1;
	__u64 window_size;
	__u32 levels;
	__u32 __resv2;
	__u64 start_addr;
};

/** struct vfio_iommu_spapr_tce_remove - away with the window at @start_addr */
struct vfio_iommu_spapr_tce_remove {
	__u32 argsz;
	__u32 flags;
	__u64 start_addr;
};

/** struct vfio_eeh_pe_err - the error VFIO_EEH_PE_INJECT_ERR causes */
struct vfio_eeh_pe_err {
	__u32 type;
	__u32 func;
	__u64 addr;
	__u64 mask;
};

/** struct vfio_eeh_pe_op - VFIO_EEH_PE_OP: state and recovery of a container's devices */
struct vfio_eeh_pe_op {
	__u32 argsz;
	__u32 flags;
	__u32 op;
	union {
		struct vfio_eeh_pe_err err;
	};
};

/* Values of op; GET_STATE returns one of the states. */
#define VFIO_EEH_PE_DISABLE 0
#define VFIO_EEH_PE_ENABLE 1
#define VFIO_EEH_PE_UNFREEZE_IO 2
#define VFIO_EEH_PE_UNFREEZE_DMA 3
#define VFIO_EEH_PE_GET_STATE 4
#define VFIO_EEH_PE_STATE_NORMAL 0
#define VFIO_EEH_PE_STATE_RESET 1
#define VFIO_EEH_PE_STATE_STOPPED 2
#define VFIO_EEH_PE_STATE_STOPPED_DMA 4
#define VFIO_EEH_PE_STATE_UNAVAIL 5
#define VFIO_EEH_PE_RESET_DEACTIVATE 5
#define VFIO_EEH_PE_RESET_HOT 6
#define VFIO_EEH_PE_RESET_FUNDAMENTAL 7
#define VFIO_EEH_PE_CONFIGURE 8
#define VFIO_EEH_PE_INJECT_ERR 9

#endif
