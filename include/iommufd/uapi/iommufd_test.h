/* SPDX-License-Identifier: MIT */
/*
 * The self-test side of /dev/iommu as Linux 7.2 has it: one more command that
 * makes mock devices, looks at what their IOMMU would translate, pins memory
 * like a driver and raises faults and events.  Names and numbers are the
 * kernel's, so its own tests run against us.
 */
#ifndef IOMMUFD_UAPI_IOMMUFD_TEST_H
#define IOMMUFD_UAPI_IOMMUFD_TEST_H

#include <linux/types.h>
#include <iommufd/uapi/iommufd.h>

#define IOMMU_TEST_CMD _IO(IOMMUFD_TYPE, IOMMUFD_CMD_BASE + 32)

/* Values of op in struct iommu_test_cmd; beside each, the member it uses. */
enum {
	IOMMU_TEST_OP_ADD_RESERVED = 1, /* add_reserved */
	IOMMU_TEST_OP_MOCK_DOMAIN, /* mock_domain */
	IOMMU_TEST_OP_MD_CHECK_MAP, /* check_map */
	IOMMU_TEST_OP_MD_CHECK_REFS, /* check_refs */
	IOMMU_TEST_OP_CREATE_ACCESS, /* create_access */
	IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, /* destroy_access_pages */
	IOMMU_TEST_OP_ACCESS_PAGES, /* access_pages */
	IOMMU_TEST_OP_ACCESS_RW, /* access_rw */
	IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, /* memory_limit */
	IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, /* mock_domain_replace */
	IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, /* access_replace_ioas */
	IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, /* mock_domain_flags */
	IOMMU_TEST_OP_DIRTY, /* dirty */
	IOMMU_TEST_OP_MD_CHECK_IOTLB, /* check_iotlb */
	IOMMU_TEST_OP_TRIGGER_IOPF, /* trigger_iopf */
	IOMMU_TEST_OP_DEV_CHECK_CACHE, /* check_dev_cache */
	IOMMU_TEST_OP_TRIGGER_VEVENT, /* trigger_vevent */
	IOMMU_TEST_OP_PASID_ATTACH, /* pasid_attach */
	IOMMU_TEST_OP_PASID_REPLACE, /* pasid_replace */
	IOMMU_TEST_OP_PASID_DETACH, /* pasid_detach */
	IOMMU_TEST_OP_PASID_CHECK_HWPT, /* pasid_check */
	IOMMU_TEST_OP_DMABUF_GET, /* dmabuf_get */
	IOMMU_TEST_OP_DMABUF_REVOKE, /* dmabuf_revoke */
};

/* Page-table formats of the mock IOMMU, struct iommu_hwpt_selftest.pagetable_type. */
enum {
	MOCK_IOMMUPT_DEFAULT = 0,
	MOCK_IOMMUPT_HUGE,
};

/* What a mock IOMMU translates; its pages are half of ours on purpose. */
enum {
	MOCK_APERTURE_START = 1UL << 24,
	MOCK_APERTURE_LAST = (1UL << 31) - 1,
	MOCK_PAGE_SIZE = 2048,
	MOCK_HUGE_PAGE_SIZE = 512 * MOCK_PAGE_SIZE,
};

/* access_pages.flags; SYZ lets the memory differ from what is mapped. */
enum {
	MOCK_FLAGS_ACCESS_WRITE = 1 << 0,
	MOCK_FLAGS_ACCESS_SYZ = 1 << 16,
};

/* access_rw.flags; SLOW_PATH pins even where a direct copy would do. */
enum {
	MOCK_ACCESS_RW_WRITE = 1 << 0,
	MOCK_ACCESS_RW_SLOW_PATH = 1 << 2,
};

/* create_access.flags */
enum {
	MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES = 1 << 0,
};

/* mock_domain_flags.dev_flags; bit 1 has gone out of use. */
enum {
	MOCK_FLAGS_DEVICE_NO_DIRTY = 1 << 0,
	MOCK_FLAGS_DEVICE_PASID = 1 << 2,
};

/* Words a nested mock hwpt keeps in place of an IOTLB. */
enum {
	MOCK_NESTED_DOMAIN_IOTLB_ID_MAX = 3,
	MOCK_NESTED_DOMAIN_IOTLB_NUM = 4,
};

/* Words a mock device keeps in place of an ATS cache. */
enum {
	MOCK_DEV_CACHE_ID_MAX = 3,
	MOCK_DEV_CACHE_NUM = 4,
};

/* Bits of PASID of a mock device, and one it refuses to attach. */
#define MOCK_PASID_WIDTH 20
#define IOMMU_TEST_PASID_RESERVED 1024

/**
 * struct iommu_test_cmd - IOMMU_TEST_CMD
 * @op: IOMMU_TEST_OP_*
 * @id: the object the op acts on: an ioas, a mock device, an access, a hwpt
 * @last: keeps the structure's smallest accepted size at the end of the union
 */
struct iommu_test_cmd {
	__u32 size;
	__u32 op;
	__u32 id;
	__u32 __reserved;
	union {
		struct {
			__aligned_u64 start;
			__aligned_u64 length;
		} add_reserved;
		struct {
			__u32 out_stdev_id;
			__u32 out_hwpt_id;
			__u32 out_idev_id;
		} mock_domain;
		struct {
			__u32 out_stdev_id;
			__u32 out_hwpt_id;
			__u32 out_idev_id;
			__u32 dev_flags;
		} mock_domain_flags;
		struct {
			__u32 pt_id;
		} mock_domain_replace;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
		} check_map;
		struct {
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 refs;
		} check_refs;
		struct {
			__u32 out_access_fd;
			__u32 flags;
		} create_access;
		struct {
			__u32 access_pages_id;
		} destroy_access_pages;
		struct {
			__u32 flags;
			__u32 out_access_pages_id;
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
		} access_pages;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 flags;
		} access_rw;
		struct {
			__u32 limit;
		} memory_limit;
		struct {
			__u32 ioas_id;
		} access_replace_ioas;
		struct {
			__u32 flags;
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 page_size;
			__aligned_u64 uptr;
			__aligned_u64 out_nr_dirty;
		} dirty;
		struct {
			__u32 id;
			__u32 iotlb;
		} check_iotlb;
		struct {
			__u32 dev_id;
			__u32 pasid;
			__u32 grpid;
			__u32 perm;
			__u64 addr;
		} trigger_iopf;
		struct {
			__u32 id;
			__u32 cache;
		} check_dev_cache;
		struct {
			__u32 dev_id;
		} trigger_vevent;
		struct {
			__u32 pasid;
			__u32 pt_id;
		} pasid_attach;
		struct {
			__u32 pasid;
			__u32 pt_id;
		} pasid_replace;
		struct {
			__u32 pasid;
		} pasid_detach;
		struct {
			__u32 pasid;
			__u32 hwpt_id;
		} pasid_check;
		struct {
			__u32 length;
			__u32 open_flags;
		} dmabuf_get;
		struct {
			__s32 dmabuf_fd;
			__u32 revoked;
		} dmabuf_revoke;
	};
	__u32 last;
};

/* ---- the mock IOMMU's own data structures, as a real one has them ---- */

#define IOMMU_HW_INFO_TYPE_SELFTEST 0xfeedbeef
#define IOMMU_HW_INFO_SELFTEST_REGVAL 0xdeadbeef

/** struct iommu_test_hw_info - @test_reg is always IOMMU_HW_INFO_SELFTEST_REGVAL */
struct iommu_test_hw_info {
	__u32 flags;
	__u32 test_reg;
};

#define IOMMU_HWPT_DATA_SELFTEST 0xdead

/* What the stand-ins for caches hold before an invalidation zeroes them. */
#define IOMMU_TEST_IOTLB_DEFAULT 0xbadbeef
#define IOMMU_TEST_DEV_CACHE_DEFAULT 0xbaddad

/**
 * struct iommu_hwpt_selftest - data of IOMMU_HWPT_ALLOC
 * @iotlb: what a nested hwpt's IOTLB words start with
 * @pagetable_type: MOCK_IOMMUPT_*, for a paging one
 */
struct iommu_hwpt_selftest {
	__u32 iotlb;
	__u32 pagetable_type;
};

#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST 0xdeadbeef
#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST 0xdeadbeef
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef

/* All words instead of the one named. */
#define IOMMU_TEST_INVALIDATE_FLAG_ALL (1 << 0)

/** struct iommu_hwpt_invalidate_selftest - zero a word of a nested hwpt's IOTLB */
struct iommu_hwpt_invalidate_selftest {
	__u32 flags;
	__u32 iotlb_id;
};

/** struct iommu_viommu_invalidate_selftest - zero a word of a device's cache, by virtual id */
struct iommu_viommu_invalidate_selftest {
	__u32 flags;
	__u32 vdev_id;
	__u32 cache_id;
};

#define IOMMU_VIOMMU_TYPE_SELFTEST 0xdeadbeef

/**
 * struct iommu_viommu_selftest - data of IOMMU_VIOMMU_ALLOC
 * @in_data: any word
 * @out_data: the same word back
 * @out_mmap_offset: where its page is mapped from
 * @out_mmap_length: bytes of it; the page begins with @in_data
 */
struct iommu_viommu_selftest {
	__u32 in_data;
	__u32 out_data;
	__aligned_u64 out_mmap_offset;
	__aligned_u64 out_mmap_length;
};

#define IOMMU_VEVENTQ_TYPE_SELFTEST 0xbeefbeef

/** struct iommu_viommu_event_selftest - an event of the device the guest calls @virt_id */
struct iommu_viommu_event_selftest {
	__u32 virt_id;
};

#define IOMMU_HW_QUEUE_TYPE_SELFTEST 0xdeadbeef
#define IOMMU_TEST_HW_QUEUE_MAX 2

#endif
