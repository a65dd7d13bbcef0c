/* SPDX-License-Identifier: MIT */
/*
 * The user API of /dev/iommu as Linux 7.2 has it: command numbers, structures
 * and constants under the kernel's names, so that a program and this library
 * mean the same bytes.  Written for this project; tests/abi holds it against
 * the kernel's header, member by member.
 *
 * Shape of the API: every command is an ioctl whose argument starts with its
 * own size.  A caller built against older headers passes a smaller size and
 * the missing tail counts as zero; a larger one is taken if the tail is zero.
 * Objects (ioas, hwpt, device, viommu, ...) are named by ids of one space per
 * open file.
 *
 * It replaces <linux/iommufd.h>: include this one first or alone.
 */
#ifndef IOMMUFD_UAPI_IOMMUFD_H
#define IOMMUFD_UAPI_IOMMUFD_H

#ifdef _IOMMUFD_H
#error "<linux/iommufd.h> is already included and may be older: include this header first"
#endif
/* The kernel header's guard: a later #include of it adds nothing. */
#define _IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOMMUFD_TYPE (';')

/* Command numbers.  Below the base live those of VFIO's containers. */
enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = IOMMUFD_CMD_BASE,
	IOMMUFD_CMD_IOAS_ALLOC,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS,
	IOMMUFD_CMD_IOAS_COPY,
	IOMMUFD_CMD_IOAS_IOVA_RANGES,
	IOMMUFD_CMD_IOAS_MAP,
	IOMMUFD_CMD_IOAS_UNMAP,
	IOMMUFD_CMD_OPTION,
	IOMMUFD_CMD_VFIO_IOAS,
	IOMMUFD_CMD_HWPT_ALLOC,
	IOMMUFD_CMD_GET_HW_INFO,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP,
	IOMMUFD_CMD_HWPT_INVALIDATE,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC,
	IOMMUFD_CMD_IOAS_MAP_FILE,
	IOMMUFD_CMD_VIOMMU_ALLOC,
	IOMMUFD_CMD_VDEVICE_ALLOC,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS,
	IOMMUFD_CMD_VEVENTQ_ALLOC,
	IOMMUFD_CMD_HW_QUEUE_ALLOC,
};

/* The ioctl numbers carry neither direction nor size: the size travels inside. */
#define IOMMU_DESTROY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)
#define IOMMU_IOAS_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)
#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)
#define IOMMU_IOAS_COPY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)
#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)
#define IOMMU_IOAS_MAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)
#define IOMMU_IOAS_UNMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)
#define IOMMU_OPTION _IO(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)
#define IOMMU_VFIO_IOAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)
#define IOMMU_HWPT_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)
#define IOMMU_GET_HW_INFO _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)
#define IOMMU_HWPT_SET_DIRTY_TRACKING _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)
#define IOMMU_HWPT_GET_DIRTY_BITMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)
#define IOMMU_HWPT_INVALIDATE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_INVALIDATE)
#define IOMMU_FAULT_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_FAULT_QUEUE_ALLOC)
#define IOMMU_IOAS_MAP_FILE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_FILE)
#define IOMMU_VIOMMU_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VIOMMU_ALLOC)
#define IOMMU_VDEVICE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VDEVICE_ALLOC)
#define IOMMU_IOAS_CHANGE_PROCESS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_CHANGE_PROCESS)
#define IOMMU_VEVENTQ_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VEVENTQ_ALLOC)
#define IOMMU_HW_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HW_QUEUE_ALLOC)

/* ---- any object ---- */

/**
 * struct iommu_destroy - IOMMU_DESTROY: drop an object nobody uses any more
 * @size: bytes of this structure
 * @id: any kind of object; -EBUSY while another object or a file depends on it
 */
struct iommu_destroy {
	__u32 size;
	__u32 id;
};

/* ---- ioas: address spaces and what is mapped in them ---- */

/**
 * struct iommu_ioas_alloc - IOMMU_IOAS_ALLOC: an empty address space
 * @flags: 0
 * @out_ioas_id: its id
 */
struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};

/** struct iommu_iova_range - an interval of IOVA, both ends belong to it */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

/**
 * struct iommu_ioas_iova_ranges - IOMMU_IOAS_IOVA_RANGES: where mapping is possible
 * @num_iovas: in: room in the array; out: ranges there are, -EMSGSIZE if more than room
 * @allowed_iovas: address of an array of struct iommu_iova_range, filled ascending
 * @out_iova_alignment: what IOVA, length and offset in a page must be multiples of
 */
struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
	__aligned_u64 out_iova_alignment;
};

/**
 * struct iommu_ioas_allow_iovas - IOMMU_IOAS_ALLOW_IOVAS: confine automatic IOVA choice
 * @num_iovas: ranges in the array; 0 lifts the confinement
 * @allowed_iovas: address of an array of struct iommu_iova_range
 *
 * Devices that would reserve IOVA inside these ranges can no longer attach.
 */
struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
};

/**
 * enum iommufd_ioas_map_flags - how MAP, MAP_FILE and COPY map
 * @IOMMU_IOAS_MAP_FIXED_IOVA: the caller names the IOVA; else one is chosen and returned
 * @IOMMU_IOAS_MAP_WRITEABLE: DMA may write
 * @IOMMU_IOAS_MAP_READABLE: DMA may read
 */
enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0,
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

/**
 * struct iommu_ioas_map - IOMMU_IOAS_MAP: show the caller's memory at an IOVA
 * @flags: enum iommufd_ioas_map_flags
 * @user_va: first byte of the memory
 * @length: bytes
 * @iova: in with FIXED_IOVA, out always
 */
struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};

/**
 * struct iommu_ioas_map_file - IOMMU_IOAS_MAP_FILE: show a memfd's or dma-buf's bytes
 * @flags: enum iommufd_ioas_map_flags
 * @fd: the file; need not stay open
 * @start: offset of the first byte in it
 * @length: bytes
 * @iova: in with FIXED_IOVA, out always
 */
struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 length;
	__aligned_u64 iova;
};

/**
 * struct iommu_ioas_copy - IOMMU_IOAS_COPY: map the same memory a second time
 * @flags: enum iommufd_ioas_map_flags, of the new mapping
 * @dst_ioas_id: where the new mapping goes, may equal the source
 * @src_ioas_id: where the memory is mapped already
 * @length: bytes, must be mapped throughout in the source
 * @dst_iova: in with FIXED_IOVA, out always
 * @src_iova: first byte in the source
 */
struct iommu_ioas_copy {
	__u32 size;
	__u32 flags;
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova;
	__aligned_u64 src_iova;
};

/**
 * struct iommu_ioas_unmap - IOMMU_IOAS_UNMAP: remove whole mappings
 * @iova: first byte; 0 together with the maximum length means everything
 * @length: in: bytes; out: bytes that were mapped in there
 *
 * A mapping is not cut: both ends must fall on ends of mappings.
 */
struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};

/**
 * struct iommu_ioas_change_process - IOMMU_IOAS_CHANGE_PROCESS: the caller takes over
 * @__reserved: 0
 *
 * Charges of all file mappings of the context move to the calling process;
 * -EINVAL if memory was mapped by address.
 */
struct iommu_ioas_change_process {
	__u32 size;
	__u32 __reserved;
};

/**
 * enum iommufd_option - what IOMMU_OPTION reads or changes
 * @IOMMU_OPTION_RLIMIT_MODE: pinned memory is charged to the user (0) or the process (1)
 * @IOMMU_OPTION_HUGE_PAGES: an ioas may join pages into large entries (1) or not (0)
 */
enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0,
	IOMMU_OPTION_HUGE_PAGES = 1,
};

/** enum iommufd_option_ops - the two directions of IOMMU_OPTION */
enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

/**
 * struct iommu_option - IOMMU_OPTION: a switch of the context or of one object
 * @option_id: enum iommufd_option
 * @op: enum iommufd_option_ops
 * @object_id: the ioas for HUGE_PAGES, 0 for RLIMIT_MODE
 * @val64: in for SET, out for GET
 */
struct iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};

/** enum iommufd_vfio_ioas_op - read, choose or forget the ioas VFIO commands act on */
enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

/**
 * struct iommu_vfio_ioas - IOMMU_VFIO_IOAS: the address space behind VFIO's old commands
 * @ioas_id: in for SET, out for GET
 * @op: enum iommufd_vfio_ioas_op
 */
struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 __reserved;
};

/* ---- hwpt: translations held by an IOMMU ---- */

/**
 * enum iommufd_hwpt_alloc_flags - properties asked of a new hwpt
 * @IOMMU_HWPT_ALLOC_NEST_PARENT: others may nest on it (stage 2)
 * @IOMMU_HWPT_ALLOC_DIRTY_TRACKING: refuse devices that cannot track writes
 * @IOMMU_HWPT_FAULT_ID_VALID: @fault_id names where page requests go
 * @IOMMU_HWPT_ALLOC_PASID: fit for attachment to a PASID, and beside PASIDs
 */
enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

/**
 * enum iommu_hwpt_data_type - which structure describes the guest's own translation
 * @IOMMU_HWPT_DATA_NONE: none: the library fills the table from an ioas
 * @IOMMU_HWPT_DATA_VTD_S1: struct iommu_hwpt_vtd_s1
 * @IOMMU_HWPT_DATA_ARM_SMMUV3: struct iommu_hwpt_arm_smmuv3
 * @IOMMU_HWPT_DATA_AMD_GUEST: struct iommu_hwpt_amd_guest
 */
enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

/**
 * enum iommu_hwpt_vtd_s1_flags - bits of Intel's scalable-mode PASID entry
 * @IOMMU_VTD_S1_SRE: supervisor requests allowed
 * @IOMMU_VTD_S1_EAFE: keep the extended-accessed bit
 * @IOMMU_VTD_S1_WPE: supervisor writes obey the write bit
 */
enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,
	IOMMU_VTD_S1_EAFE = 1 << 1,
	IOMMU_VTD_S1_WPE = 1 << 2,
};

/**
 * struct iommu_hwpt_vtd_s1 - a guest's Intel first-stage table
 * @flags: enum iommu_hwpt_vtd_s1_flags
 * @pgtbl_addr: guest-physical address of its root
 * @addr_width: bits of input address it translates
 */
struct iommu_hwpt_vtd_s1 {
	__aligned_u64 flags;
	__aligned_u64 pgtbl_addr;
	__u32 addr_width;
	__u32 __reserved;
};

/** struct iommu_hwpt_arm_smmuv3 - first two words of a guest's SMMUv3 stream table entry */
struct iommu_hwpt_arm_smmuv3 {
	__aligned_le64 ste[2];
};

/** struct iommu_hwpt_amd_guest - a guest's AMD device table entry */
struct iommu_hwpt_amd_guest {
	__aligned_u64 dte[4];
};

/**
 * struct iommu_hwpt_alloc - IOMMU_HWPT_ALLOC: a translation made for one device's IOMMU
 * @flags: enum iommufd_hwpt_alloc_flags
 * @dev_id: the device
 * @pt_id: an ioas (paging), or a nest parent or viommu (nested)
 * @out_hwpt_id: the new hwpt
 * @data_type: enum iommu_hwpt_data_type
 * @data_len: bytes at @data_uptr
 * @data_uptr: address of the structure @data_type names
 * @fault_id: a fault queue, with IOMMU_HWPT_FAULT_ID_VALID
 */
struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};

/** enum iommufd_hwpt_set_dirty_tracking_flags - tracking is on with the bit, off without */
enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

/**
 * struct iommu_hwpt_set_dirty_tracking - IOMMU_HWPT_SET_DIRTY_TRACKING: note writes, or stop
 * @flags: enum iommufd_hwpt_set_dirty_tracking_flags
 * @hwpt_id: allocated with IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 */
struct iommu_hwpt_set_dirty_tracking {
	__u32 size;
	__u32 flags;
	__u32 hwpt_id;
	__u32 __reserved;
};

/** enum iommufd_hwpt_get_dirty_bitmap_flags - NO_CLEAR looks without forgetting */
enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

/**
 * struct iommu_hwpt_get_dirty_bitmap - IOMMU_HWPT_GET_DIRTY_BITMAP: what DMA has written
 * @flags: enum iommufd_hwpt_get_dirty_bitmap_flags
 * @iova: first byte of interest
 * @length: bytes
 * @page_size: bytes a bit stands for
 * @data: address of the bitmap; bits are added, never taken away
 */
struct iommu_hwpt_get_dirty_bitmap {
	__u32 size;
	__u32 hwpt_id;
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 data;
};

/**
 * enum iommu_hwpt_invalidate_data_type - form of the entries of an invalidation
 * @IOMMU_HWPT_INVALIDATE_DATA_VTD_S1: struct iommu_hwpt_vtd_s1_invalidate, on a hwpt
 * @IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3: struct iommu_viommu_arm_smmuv3_invalidate,
 *	on a viommu
 */
enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

/** enum iommu_hwpt_vtd_s1_invalidate_flags - LEAF: inner tables may stay cached */
enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0,
};

/**
 * struct iommu_hwpt_vtd_s1_invalidate - a range of a nested hwpt's input addresses
 * @addr: its start, page aligned; with all-ones @npages it means everything
 * @npages: pages of 4 KiB
 * @flags: enum iommu_hwpt_vtd_s1_invalidate_flags
 */
struct iommu_hwpt_vtd_s1_invalidate {
	__aligned_u64 addr;
	__aligned_u64 npages;
	__u32 flags;
	__u32 __reserved;
};

/** struct iommu_viommu_arm_smmuv3_invalidate - a command as the guest queued it */
struct iommu_viommu_arm_smmuv3_invalidate {
	__aligned_le64 cmd[2];
};

/**
 * struct iommu_hwpt_invalidate - IOMMU_HWPT_INVALIDATE: a guest changed its tables
 * @hwpt_id: a nested hwpt, or a viommu
 * @data_uptr: address of the array of entries
 * @data_type: enum iommu_hwpt_invalidate_data_type
 * @entry_len: bytes from one entry to the next
 * @entry_num: in: entries; out, also on failure: entries done
 */
struct iommu_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 data_uptr;
	__u32 data_type;
	__u32 entry_len;
	__u32 entry_num;
	__u32 __reserved;
};

/* ---- what a device's IOMMU can do ---- */

/**
 * enum iommu_hw_info_type - which structure IOMMU_GET_HW_INFO fills
 * @IOMMU_HW_INFO_TYPE_NONE: the IOMMU tells nothing (as answer)
 * @IOMMU_HW_INFO_TYPE_DEFAULT: the IOMMU's usual one (as question)
 * @IOMMU_HW_INFO_TYPE_INTEL_VTD: struct iommu_hw_info_vtd
 * @IOMMU_HW_INFO_TYPE_ARM_SMMUV3: struct iommu_hw_info_arm_smmuv3
 * @IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV: struct iommu_hw_info_tegra241_cmdqv
 * @IOMMU_HW_INFO_TYPE_AMD: struct iommu_hw_info_amd
 */
enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

/**
 * enum iommu_hw_info_vtd_flags - Intel's quirks
 * @IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17: read-only stage-2 pages do not mix with nesting
 */
enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0,
};

/** struct iommu_hw_info_vtd - Intel's capability and extended capability registers */
struct iommu_hw_info_vtd {
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/** struct iommu_hw_info_arm_smmuv3 - SMMUv3's identification registers, IDR0 to IDR5 first */
struct iommu_hw_info_arm_smmuv3 {
	__u32 flags;
	__u32 __reserved;
	__u32 idr[6];
	__u32 iidr;
	__u32 aidr;
};

/**
 * struct iommu_hw_info_tegra241_cmdqv - NVIDIA's queues beside an SMMUv3
 * @version: of the extension
 * @log2vcmdqs: queues a guest may own, as a power of two
 * @log2vsids: stream ids a guest may own, as a power of two
 */
struct iommu_hw_info_tegra241_cmdqv {
	__u32 flags;
	__u8 version;
	__u8 log2vcmdqs;
	__u8 log2vsids;
	__u8 __reserved;
};

/** struct iommu_hw_info_amd - AMD's extended feature registers */
struct iommu_hw_info_amd {
	__aligned_u64 efr;
	__aligned_u64 efr2;
};

/**
 * enum iommufd_hw_capabilities - what every kind of IOMMU can say about a device
 * @IOMMU_HW_CAP_DIRTY_TRACKING: writes can be tracked
 * @IOMMU_HW_CAP_PCI_PASID_EXEC: execute requests with PASID, in use
 * @IOMMU_HW_CAP_PCI_PASID_PRIV: privileged requests with PASID, in use
 * @IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED: ATS cannot be used, a guest must not offer it
 */
enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

/** enum iommufd_hw_info_flags - INPUT_TYPE: @in_data_type asks for one structure */
enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0,
};

/**
 * struct iommu_hw_info - IOMMU_GET_HW_INFO: ask the IOMMU behind a device
 * @flags: enum iommufd_hw_info_flags
 * @data_len: in: room at @data_uptr; out: bytes the IOMMU has to tell
 * @data_uptr: address of the structure; room past the answer is zeroed
 * @in_data_type: the structure asked for, with INPUT_TYPE
 * @out_data_type: the structure given, enum iommu_hw_info_type
 * @out_max_pasid_log2: bits of PASID the device may use, 0 for none
 * @out_capabilities: enum iommufd_hw_capabilities
 */
struct iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	union {
		__u32 in_data_type;
		__u32 out_data_type;
	};
	__u8 out_max_pasid_log2;
	__u8 __reserved[3];
	__aligned_u64 out_capabilities;
};

/* ---- fault queues: page requests out, responses in ---- */

/**
 * struct iommu_fault_alloc - IOMMU_FAULT_QUEUE_ALLOC: a file page requests are read from
 * @flags: 0
 * @out_fault_id: for struct iommu_hwpt_alloc
 * @out_fault_fd: read() gives struct iommu_hwpt_pgfault, write() takes responses
 */
struct iommu_fault_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_fault_id;
	__u32 out_fault_fd;
};

/** enum iommu_hwpt_pgfault_flags - @pasid has a meaning; the group ends here */
enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = 1 << 0,
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = 1 << 1,
};

/** enum iommu_hwpt_pgfault_perm - what the device wanted to do */
enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = 1 << 0,
	IOMMU_PGFAULT_PERM_WRITE = 1 << 1,
	IOMMU_PGFAULT_PERM_EXEC = 1 << 2,
	IOMMU_PGFAULT_PERM_PRIV = 1 << 3,
};

/**
 * struct iommu_hwpt_pgfault - one page request
 * @flags: enum iommu_hwpt_pgfault_flags
 * @dev_id: the device that asks
 * @pasid: for whom, if valid
 * @grpid: requests answered together
 * @perm: enum iommu_hwpt_pgfault_perm
 * @addr: the page
 * @length: hint of how much follows, 0 for one page
 * @cookie: names the group in the response
 */
struct iommu_hwpt_pgfault {
	__u32 flags;
	__u32 dev_id;
	__u32 pasid;
	__u32 grpid;
	__u32 perm;
	__u32 __reserved;
	__aligned_u64 addr;
	__u32 length;
	__u32 cookie;
};

/** enum iommufd_page_response_code - retry the access, or give it up */
enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/**
 * struct iommu_hwpt_page_response - the answer to a group of page requests
 * @cookie: of the request
 * @code: enum iommufd_page_response_code
 */
struct iommu_hwpt_page_response {
	__u32 cookie;
	__u32 code;
};

/* ---- viommu: a slice of an IOMMU given to a guest ---- */

/**
 * enum iommu_viommu_type - the IOMMU the guest is to see
 * @IOMMU_VIOMMU_TYPE_DEFAULT: plain: ids and invalidation in the core only
 * @IOMMU_VIOMMU_TYPE_ARM_SMMUV3: SMMUv3
 * @IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: SMMUv3 with NVIDIA's queues;
 *	struct iommu_viommu_tegra241_cmdqv as data
 */
enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

/** struct iommu_viommu_tegra241_cmdqv - where to mmap the interface's register page */
struct iommu_viommu_tegra241_cmdqv {
	__aligned_u64 out_vintf_mmap_offset;
	__aligned_u64 out_vintf_mmap_length;
};

/**
 * struct iommu_viommu_alloc - IOMMU_VIOMMU_ALLOC: one guest's share of an IOMMU
 * @flags: 0
 * @type: enum iommu_viommu_type
 * @dev_id: a device behind that IOMMU
 * @hwpt_id: the nest parent all its hwpts lie on
 * @out_viommu_id: the new viommu
 * @data_len: bytes at @data_uptr
 * @data_uptr: address of the structure of the type, read and written
 */
struct iommu_viommu_alloc {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 dev_id;
	__u32 hwpt_id;
	__u32 out_viommu_id;
	__u32 data_len;
	__u32 __reserved;
	__aligned_u64 data_uptr;
};

/**
 * struct iommu_vdevice_alloc - IOMMU_VDEVICE_ALLOC: a device's identity in a guest
 * @viommu_id: whose guest
 * @dev_id: the device
 * @out_vdevice_id: the new vdevice
 * @virt_id: how the guest names it (stream id, requester id, ...)
 */
struct iommu_vdevice_alloc {
	__u32 size;
	__u32 viommu_id;
	__u32 dev_id;
	__u32 out_vdevice_id;
	__aligned_u64 virt_id;
};

/** enum iommu_veventq_flag - LOST_EVENTS: a header alone, events were dropped before it */
enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1U << 0,
};

/**
 * struct iommufd_vevent_header - stands before each event in the stream
 * @flags: enum iommu_veventq_flag
 * @sequence: counts events, dropped ones too; wraps from INT_MAX to 0
 */
struct iommufd_vevent_header {
	__u32 flags;
	__u32 sequence;
};

/**
 * enum iommu_veventq_type - what follows each header
 * @IOMMU_VEVENTQ_TYPE_DEFAULT: not a type one can ask for
 * @IOMMU_VEVENTQ_TYPE_ARM_SMMUV3: struct iommu_vevent_arm_smmuv3
 * @IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV: struct iommu_vevent_tegra241_cmdqv
 */
enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

/** struct iommu_vevent_arm_smmuv3 - an event record with the guest's stream id in it */
struct iommu_vevent_arm_smmuv3 {
	__aligned_le64 evt[4];
};

/** struct iommu_vevent_tegra241_cmdqv - a bit for each of the guest's queues in error */
struct iommu_vevent_tegra241_cmdqv {
	__aligned_le64 lvcmdq_err_map[2];
};

/**
 * struct iommu_veventq_alloc - IOMMU_VEVENTQ_ALLOC: a file a viommu's events are read from
 * @flags: 0
 * @viommu_id: whose events
 * @type: enum iommu_veventq_type, one queue of each
 * @veventq_depth: events kept before the rest is dropped
 * @out_veventq_id: the new queue
 * @out_veventq_fd: read() gives headers and events
 */
struct iommu_veventq_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 veventq_depth;
	__u32 out_veventq_id;
	__u32 out_veventq_fd;
	__u32 __reserved;
};

/**
 * enum iommu_hw_queue_type - rings of a guest an IOMMU reads by itself
 * @IOMMU_HW_QUEUE_TYPE_DEFAULT: not a type one can ask for
 * @IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV: one of NVIDIA's command queues
 */
enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

/**
 * struct iommu_hw_queue_alloc - IOMMU_HW_QUEUE_ALLOC: hand a guest's ring to its IOMMU
 * @flags: 0
 * @viommu_id: whose ring
 * @type: enum iommu_hw_queue_type
 * @index: which one
 * @out_hw_queue_id: the new queue
 * @nesting_parent_iova: where it lies, in the nest parent's ioas; stays pinned
 * @length: bytes
 */
struct iommu_hw_queue_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 index;
	__u32 out_hw_queue_id;
	__aligned_u64 nesting_parent_iova;
	__aligned_u64 length;
};

#endif
