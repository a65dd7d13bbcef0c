/* SPDX-License-Identifier: MIT */
/*
 * What an IOMMU driver or model sees of iommufd, under the kernel's names and
 * contracts, so that a driver's iommufd part can move both ways.
 */
#ifndef IOMMUFD_DRIVER_H
#define IOMMUFD_DRIVER_H

#include <iommufd/types.h>
#include <iommufd/uapi/iommufd.h>

/* A counter C and C++ lay out alike. */
#ifdef __cplusplus
#include <atomic>
typedef std::atomic<u32> iommufd_count_t;
extern "C" {
#else
#include <stdatomic.h>
typedef _Atomic u32 iommufd_count_t;
#endif

struct device;
struct iommu_device;
struct iommu_group;
struct iommu_attach_handle;
struct iommu_dma;
struct iommu_domain_dma;
struct iommu_fault_param;
struct iommu_domain;
struct iommu_ops;
struct iommufd_ctx;
struct iommufd_hw_pagetable;

/* protection of a mapping */
#define IOMMU_READ  (1 << 0)
#define IOMMU_WRITE (1 << 1)
#define IOMMU_CACHE (1 << 2)
#define IOMMU_MMIO  (1 << 4)
#define IOMMU_PAGES (1 << 16) /* ours: no entry larger than a CPU page */

#define IOMMU_NO_PASID 0U
#define IOMMU_DIRTY_NO_CLEAR (1 << 0)

/* ---- objects ---- */

enum iommufd_object_type {
	IOMMUFD_OBJ_NONE,
	IOMMUFD_OBJ_ANY = IOMMUFD_OBJ_NONE,
	IOMMUFD_OBJ_DEVICE,
	IOMMUFD_OBJ_HWPT_PAGING,
	IOMMUFD_OBJ_HWPT_NESTED,
	IOMMUFD_OBJ_IOAS,
	IOMMUFD_OBJ_ACCESS,
	IOMMUFD_OBJ_FAULT,
	IOMMUFD_OBJ_VIOMMU,
	IOMMUFD_OBJ_VDEVICE,
	IOMMUFD_OBJ_VEVENTQ,
	IOMMUFD_OBJ_HW_QUEUE,
	IOMMUFD_OBJ_SELFTEST,
	IOMMUFD_OBJ_MAX,
};

/**
 * struct iommufd_object - first member of every object of a context
 * @wait_cnt: short-term holders; a destroyer sleeps until they are gone
 * @users: holders; an object can be destroyed by its user only at 1
 * @type: see enum iommufd_object_type
 * @id: the number the program knows it by
 *
 * Aligned, because a command takes and drops both counts as one word.
 */
struct __attribute__((aligned(8))) iommufd_object {
	iommufd_count_t wait_cnt;
	iommufd_count_t users;
	enum iommufd_object_type type;
	u32 id;
};

/** struct iommu_user_data - one driver-defined blob in the caller's memory */
struct iommu_user_data {
	unsigned int type;
	u64 uptr;
	size_t len;
};

/**
 * struct iommu_user_data_array - a row of such blobs
 * @entry_num: how many; a driver that stops early writes the number it completed
 */
struct iommu_user_data_array {
	unsigned int type;
	u64 uptr;
	size_t entry_len;
	u32 entry_num;
};

#define IOMMU_OFFSETOFEND(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/**
 * __iommu_copy_struct_from_user() - with the next two the bodies of the macros below
 * @size: of what the driver knows
 * @min_len: of the first published version of the struct
 * Context: a call of the program whose memory it is.
 * Return: as the macros say.
 */
IOMMUFD_EXPORT int __iommu_copy_struct_from_user(void *dst, const struct iommu_user_data *src,
						 unsigned int type, size_t size, size_t min_len);
IOMMUFD_EXPORT int __iommu_copy_struct_from_user_array(void *dst,
						       const struct iommu_user_data_array *src,
						       unsigned int type, unsigned int index,
						       size_t size, size_t min_len);
IOMMUFD_EXPORT int __iommu_copy_struct_to_user(const struct iommu_user_data *dst, const void *src,
					       unsigned int type, size_t size, size_t min_len);

/**
 * iommu_copy_struct_from_user() - read a blob into the driver's struct
 * @kdst: the struct; what a shorter blob lacks is zero
 * @user_data: as given to the op
 * @data_type: the only type accepted
 * @min_last: last member of the struct's first version
 * Return: 0; -EINVAL another type, shorter than the first version or longer than @kdst; -EFAULT.
 */
#define iommu_copy_struct_from_user(kdst, user_data, data_type, min_last)                          \
	__iommu_copy_struct_from_user(kdst, user_data, data_type, sizeof(*(kdst)),                 \
				      IOMMU_OFFSETOFEND(__typeof__(*(kdst)), min_last))

/** iommu_copy_struct_from_user_array() - the same for entry @index; -EINVAL beyond the last */
#define iommu_copy_struct_from_user_array(kdst, user_array, data_type, index, min_last)            \
	__iommu_copy_struct_from_user_array(kdst, user_array, data_type, index, sizeof(*(kdst)),   \
					    IOMMU_OFFSETOFEND(__typeof__(*(kdst)), min_last))

/** iommu_copy_struct_to_user() - write the first len bytes of @ksrc back; errors as reading */
#define iommu_copy_struct_to_user(user_data, ksrc, data_type, min_last)                            \
	__iommu_copy_struct_to_user(user_data, ksrc, data_type, sizeof(*(ksrc)),                   \
				    IOMMU_OFFSETOFEND(__typeof__(*(ksrc)), min_last))

/**
 * iommu_copy_struct_from_full_user_array() - read every entry, each stretched or cut to @kdst_size
 * @kdst: entry_num times @kdst_size bytes
 * Return: 0; -EINVAL another type or no entries; -E2BIG bytes beyond @kdst_size not zero; -EFAULT.
 */
IOMMUFD_EXPORT int iommu_copy_struct_from_full_user_array(void *kdst, size_t kdst_size,
							  const struct iommu_user_data_array *array,
							  unsigned int type);

/* ---- domains ---- */

struct iommu_iotlb_gather;
struct iommu_dirty_bitmap;
struct iopf_group;

struct iommu_domain_geometry {
	dma_addr_t aperture_start;
	dma_addr_t aperture_end; /* inclusive */
	bool force_aperture;
};

#define __IOMMU_DOMAIN_PAGING (1U << 0)
#define IOMMU_DOMAIN_BLOCKED  0U
#define IOMMU_DOMAIN_UNMANAGED __IOMMU_DOMAIN_PAGING
#define IOMMU_DOMAIN_NESTED   (1U << 6)

/**
 * struct iommu_dirty_ops - dirty tracking of a domain
 * @set_dirty_tracking: start or stop; existing marks stay
 * @read_and_clear_dirty: report every dirty entry in [iova, iova + size) with
 *	iommu_dirty_bitmap_record(); with IOMMU_DIRTY_NO_CLEAR leave the marks
 */
struct iommu_dirty_ops {
	int (*set_dirty_tracking)(struct iommu_domain *domain, bool enabled);
	int (*read_and_clear_dirty)(struct iommu_domain *domain, u64 iova, size_t size,
				    unsigned long flags, struct iommu_dirty_bitmap *dirty);
};

/**
 * enum iommu_xlat_fault - why a device's access was not translated
 * @IOMMU_XLAT_OK: it was
 * @IOMMU_XLAT_NOT_PRESENT: nothing is mapped there
 * @IOMMU_XLAT_PERMISSION: mapped, but not for this access
 * @IOMMU_XLAT_OUT_OF_RANGE: beyond what the tables, or the address width, can translate
 * @IOMMU_XLAT_BAD_ENTRY: an entry has reserved bits set, or means nothing at its level
 * @IOMMU_XLAT_BAD_TABLE: an entry points to a table that is no memory
 * @IOMMU_XLAT_NOT_ATTACHED: the device, or the PASID, has no domain
 * @IOMMU_XLAT_BLOCKED: its domain lets nothing through, or bus mastering is off
 */
enum iommu_xlat_fault {
	IOMMU_XLAT_OK,
	IOMMU_XLAT_NOT_PRESENT,
	IOMMU_XLAT_PERMISSION,
	IOMMU_XLAT_OUT_OF_RANGE,
	IOMMU_XLAT_BAD_ENTRY,
	IOMMU_XLAT_BAD_TABLE,
	IOMMU_XLAT_NOT_ATTACHED,
	IOMMU_XLAT_BLOCKED,
};

/**
 * struct iommu_leaf_bits - how to read an entry of a last-level table without a walk
 * @address: the bits of an entry that are the address of its 4 KiB
 * @mask, @want: [0] of a read, [1] of a write by somebody who may also read: if entry & mask is
 *	want, then that is allowed, needs no mark, and nothing else is to be known of the entry
 */
struct iommu_leaf_bits {
	u64 address;
	u64 mask[2];
	u64 want[2];
};

/**
 * struct iommu_xlat - what a walk found for one iova
 * @pa: where the very byte is
 * @lg2: log2 of the bytes around it, aligned, that the same entry (of both stages) translates
 * @prot: IOMMU_READ, IOMMU_WRITE: what the entry allows
 * @dirty: a write needs no further walk: the mark is set (or nobody tracks)
 * @stage2: of a nested walk that failed: the fault is the parent's, at @fault_addr
 * @tag: what an invalidation may name beside addresses (an ASID, a guest's domain); one at a time
 *	for each device and PASID: with another one, what was cached under the former is forgotten
 * @table, @leaf: may be set with a page of 4 KiB, else @table stays NULL: the table of 512 words it
 *	was found in, and how to read them.  The core may read any of them instead of walking, until
 *	anything of the domain is flushed: nothing above refuses any access there, and the
 *	table's memory is not used for something else before a flush.
 */
struct iommu_xlat {
	u64 pa;
	unsigned int lg2;
	unsigned int prot;
	bool dirty;
	bool stage2;
	u64 fault_addr;
	u64 tag;
	const u64 *table;
	const struct iommu_leaf_bits *leaf;
};

/**
 * struct iommu_domain_ops - what a driver does with one of its domains; nested ones (type
 *	IOMMU_DOMAIN_NESTED) have attach_dev, set_dev_pasid, translate_nested,
 *	cache_invalidate_user and free only
 * @attach_dev: make @domain translate for @dev; @old is what did before. -EINVAL: not
 *	compatible (the automatic search goes on). On error the old domain stays.
 * @set_dev_pasid: the same for one PASID; @old NULL at the first attach
 * @map_range: install [iova, iova + len) -> [pa, ...), one physically contiguous run, with the
 *	largest entries that fit; on error @mapped says how much was done
 * @unmap_range: remove exactly what was mapped; returns bytes removed
 * @iotlb_sync: forget translations gathered by unmap_range, with iommufd_iotlb_flush(), and after
 *	that free emptied tables.  Missing: all is forgotten for it
 * @iova_to_phys: 0 for none (physical 0 is never given out)
 * @translate: the hardware's side: walk for one access (IOMMU_READ or IOMMU_WRITE) as the IOMMU
 *	would, marking entries accessed and dirty. Takes no lock, may run with everything. Missing:
 *	@iova_to_phys with all rights
 * @translate_nested: the same for a request of @dev through a nested domain.  @pasid is the one it
 *	is attached to; or where guests own the PASID table (user_pasid_table) and it is attached
 *	to the RID, any that is attached to nothing else.  May report events of @dev.
 *	Missing: all is IOMMU_XLAT_BLOCKED
 * @look: what the tables say about @iova, for people to read: marks nothing, takes the locks it
 *	needs; ret->dirty says whether the entry has its mark.  0, -ENOENT.  Missing: by
 *	@iova_to_phys
 * @enforce_cache_coherency: true: from now on no-snoop is ignored
 * @cache_invalidate_user: a guest changed the tables of a nested domain; entries are done in order
 *	and the number completed is written to array->entry_num on every path.  entry_num 0 asks
 *	whether the type is known.
 * @free: the last use is gone
 */
struct iommu_domain_ops {
	int (*attach_dev)(struct iommu_domain *domain, struct device *dev,
			  struct iommu_domain *old);
	int (*set_dev_pasid)(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			     struct iommu_domain *old);
	int (*map_range)(struct iommu_domain *domain, u64 iova, phys_addr_t pa, size_t len,
			 int prot, size_t *mapped);
	size_t (*unmap_range)(struct iommu_domain *domain, u64 iova, size_t len,
			      struct iommu_iotlb_gather *gather);
	void (*iotlb_sync)(struct iommu_domain *domain, struct iommu_iotlb_gather *gather);
	phys_addr_t (*iova_to_phys)(struct iommu_domain *domain, dma_addr_t iova);
	enum iommu_xlat_fault (*translate)(struct iommu_domain *domain, u64 iova,
					   unsigned int access, struct iommu_xlat *ret);
	enum iommu_xlat_fault (*translate_nested)(struct iommu_domain *domain, struct device *dev,
						  ioasid_t pasid, u64 iova, unsigned int access,
						  struct iommu_xlat *ret);
	int (*look)(struct iommu_domain *domain, u64 iova, struct iommu_xlat *ret);
	bool (*enforce_cache_coherency)(struct iommu_domain *domain);
	int (*cache_invalidate_user)(struct iommu_domain *domain,
				     struct iommu_user_data_array *array);
	void (*free)(struct iommu_domain *domain);
};

/**
 * struct iommu_domain - one translation; the driver embeds it
 * @type: IOMMU_DOMAIN_*
 * @ops, @dirty_ops: set by the driver; @dirty_ops NULL: no tracking
 * @owner: ops of the driver that made it; set by the core
 * @pgsize_bitmap: page sizes the driver can map
 * @geometry: the iova it can translate
 * @enforced_coherency: set by the core once @ops->enforce_cache_coherency said yes
 * @hwpt: the object around it; set by the core
 * @iopf_handler: takes the page requests of devices attached to it; NULL: they are refused.  Set
 *	by the core before the domain is attached, so that a driver can tell in attach_dev()
 *	whether @dev needs iopf_queue_add_device().  See iommu_report_device_fault().
 * @parent: of a nested one: what it is in front of; set by the core
 * @dma: who caches its translations; the core's (<iommufd/dma.h>)
 */
struct iommu_domain {
	unsigned int type;
	bool enforced_coherency;
	const struct iommu_domain_ops *ops;
	const struct iommu_dirty_ops *dirty_ops;
	const struct iommu_ops *owner;
	u64 pgsize_bitmap;
	struct iommu_domain_geometry geometry;
	struct iommufd_hw_pagetable *hwpt;
	int (*iopf_handler)(struct iopf_group *group);
	struct iommu_domain *parent;
	struct iommu_domain_dma *dma;
};

/**
 * struct iommu_iotlb_gather - what one unmap leaves to be forgotten
 * @start, @end: iova hull (@end inclusive; @start > @end: empty)
 * @freelist: emptied table pages, the driver's own chain
 */
struct iommu_iotlb_gather {
	u64 start;
	u64 end;
	void *freelist;
};

/** iommu_iotlb_gather_init() - nothing gathered yet */
static inline void iommu_iotlb_gather_init(struct iommu_iotlb_gather *gather)
{
	*gather = (struct iommu_iotlb_gather){ .start = UINT64_MAX };
}

/** iommu_dirty_bitmap_record() - [iova, iova + length) is dirty */
IOMMUFD_EXPORT void iommu_dirty_bitmap_record(struct iommu_dirty_bitmap *dirty, u64 iova,
					      size_t length);

/* ---- the driver ---- */

/**
 * enum iommu_cap - what iommu_ops.capable() is asked about a device
 * @IOMMU_CAP_CACHE_COHERENCY: IOMMU_CACHE is honoured; without it a device can not be bound
 * @IOMMU_CAP_NOEXEC: mappings can refuse execution
 * @IOMMU_CAP_PRE_BOOT_PROTECTION: firmware had DMA blocked
 * @IOMMU_CAP_ENFORCE_CACHE_COHERENCY: enforce_cache_coherency() of its domains works
 * @IOMMU_CAP_DEFERRED_FLUSH: unmapping may flush later
 * @IOMMU_CAP_DIRTY_TRACKING: domains with dirty_ops can be made for it
 * @IOMMU_CAP_PCI_ATS_SUPPORTED: the device may use ATS
 */
enum iommu_cap {
	IOMMU_CAP_CACHE_COHERENCY,
	IOMMU_CAP_NOEXEC,
	IOMMU_CAP_PRE_BOOT_PROTECTION,
	IOMMU_CAP_ENFORCE_CACHE_COHERENCY,
	IOMMU_CAP_DEFERRED_FLUSH,
	IOMMU_CAP_DIRTY_TRACKING,
	IOMMU_CAP_PCI_ATS_SUPPORTED,
};

/**
 * enum iommu_resv_type - why iova is reserved for a device
 * @IOMMU_RESV_DIRECT: firmware wants it mapped one to one at all times
 * @IOMMU_RESV_DIRECT_RELAXABLE: the same, but not once the device is given away
 * @IOMMU_RESV_RESERVED: never translated
 * @IOMMU_RESV_MSI: interrupts of the hardware go through it
 * @IOMMU_RESV_SW_MSI: interrupts are mapped into it by software
 */
enum iommu_resv_type {
	IOMMU_RESV_DIRECT,
	IOMMU_RESV_DIRECT_RELAXABLE,
	IOMMU_RESV_RESERVED,
	IOMMU_RESV_MSI,
	IOMMU_RESV_SW_MSI,
};

/** struct iommu_resv_region - one of them; bytes */
struct iommu_resv_region {
	struct iommu_resv_region *next;
	u64 start;
	size_t length;
	int prot;
	enum iommu_resv_type type;
};

/**
 * struct iommu_resv_list - what get_resv_regions() fills
 * @error: -ENOMEM once a region could not be added; the list is then useless
 */
struct iommu_resv_list {
	struct iommu_resv_region *first;
	struct iommu_resv_region **last;
	int error;
};

/** iommu_add_resv_region() - append [@start, @start + @length) */
IOMMUFD_EXPORT void iommu_add_resv_region(struct iommu_resv_list *list, u64 start, size_t length,
					  int prot, enum iommu_resv_type type);

struct iommufd_viommu;
struct iopf_fault;
struct iopf_queue;
struct iommu_page_response;

/**
 * struct iommu_ops - an IOMMU driver
 * @capable: missing: no capability at all
 * @hw_info: heap memory of *length bytes describing the IOMMU, for the core to free(); @type in:
 *	0 for the usual one, else the one wanted; out: the one given.  ERR_PTR(-EOPNOTSUPP)
 *	for one it has not.
 * @domain_alloc_paging_flags: @flags are the command's (IOMMU_HWPT_ALLOC_*) without
 *	FAULT_ID_VALID; unknown ones are -EOPNOTSUPP; @user_data NULL: none.  The driver
 *	sets ops, dirty_ops, pgsize_bitmap and geometry.  ERR_PTR on failure.
 * @domain_alloc_paging: the same for (0, NULL), for drivers that have only this
 * @domain_alloc_nested: a translation in front of @parent; of type IOMMU_DOMAIN_NESTED, or ERR_PTR.
 *	@parent was made with NEST_PARENT by this driver and outlives it; @user_data is never NULL
 * @get_viommu_size: VIOMMU_STRUCT_SIZE() of the driver's struct (<iommufd/viommu.h>); 0: no such
 *	type
 * @viommu_init: set it up, its ops above all; everything else in it is ready.  @user_data NULL:
 *	none.  That @parent_domain is one of this IOMMU is the driver's to check.  On failure it
 *	leaves nothing.
 * @get_resv_regions: iommu_add_resv_region() each
 * @page_response: the answer to a group of page requests of @dev, of which @fault is the last;
 *	exactly one for each.  Called with no lock of iommufd that reporting a fault takes, but
 *	it may not attach, detach or wait for others' answers.  Also after
 *	iopf_queue_remove_device(), for groups a program had been told of.
 * @probe_device: take @dev on; the instance that serves it, or ERR_PTR(-ENODEV)
 * @release_device: undo it; the device is in no domain any more
 * @device_group: the group @dev belongs to, counted; generic_device_group() unless the IOMMU itself
 *	can not tell devices apart
 * @default_domain: what a device is in while nobody owns it; NULL: @blocked_domain
 * @blocked_domain: no DMA at all; never freed, one for all devices.  Without it the core makes
 *	an empty paging domain, and PASIDs are not possible.
 * @default_domain_ops: ops of paging domains whose allocation left theirs NULL
 * @user_pasid_table: guests own the PASID table, so a request of an unknown PASID, for a page or
 *	for memory, belongs to the nested domain of the RID
 */
struct iommu_ops {
	bool (*capable)(struct device *dev, enum iommu_cap cap);
	void *(*hw_info)(struct device *dev, u32 *length, enum iommu_hw_info_type *type);
	struct iommu_domain *(*domain_alloc_paging_flags)(struct device *dev, u32 flags,
							  const struct iommu_user_data *user_data);
	struct iommu_domain *(*domain_alloc_paging)(struct device *dev);
	struct iommu_domain *(*domain_alloc_nested)(struct device *dev,
						    struct iommu_domain *parent, u32 flags,
						    const struct iommu_user_data *user_data);
	size_t (*get_viommu_size)(struct device *dev, enum iommu_viommu_type viommu_type);
	int (*viommu_init)(struct iommufd_viommu *viommu, struct iommu_domain *parent_domain,
			   const struct iommu_user_data *user_data);
	void (*get_resv_regions)(struct device *dev, struct iommu_resv_list *list);
	void (*page_response)(struct device *dev, struct iopf_fault *fault,
			      struct iommu_page_response *response);
	struct iommu_device *(*probe_device)(struct device *dev);
	void (*release_device)(struct device *dev);
	struct iommu_group *(*device_group)(struct device *dev);
	struct iommu_domain *default_domain;
	struct iommu_domain *blocked_domain;
	const struct iommu_domain_ops *default_domain_ops;
	bool user_pasid_table;
};

/**
 * struct iommu_device - one IOMMU; embedded by its driver
 * @max_pasids: PASIDs it can tell apart, 0 none
 */
struct iommu_device {
	const char *name;
	const struct iommu_ops *ops;
	u32 max_pasids;
};

/**
 * struct device - a function that does DMA; embedded by its owner
 *
 * The owner sets the upper half before iommu_probe_device(), which sets the lower.
 *
 * @name: as sysfs shows it
 * @ops: the driver of the IOMMU it sits behind; NULL: none
 * @drvdata: its owner's
 * @pasid_limit: PASIDs the device itself can send, 0 none
 * @msi_isolated: its interrupts can not be forged by others (or nobody minds)
 * @selftest: a test device: being bound does not keep the context open
 * @pasid_exec, @pasid_priv: a PCI device whose PASID capability is on, with these rights
 * @vf_pri: a PCI VF using the page requests of its PF
 * @bus_group: how its bus groups devices that reach each other behind the IOMMU's back, as
 *	iommu_ops.device_group(); NULL: each is alone
 * @iommu_dev: the IOMMU it is behind
 * @iommu_group: its group, counted
 * @max_pasids: the smaller of its own and its IOMMU's limits
 * @fault_param: while it is in a struct iopf_queue
 * @dma: the core's side of its DMA
 * @require_direct: has IOMMU_RESV_DIRECT regions, so its DMA may never be blocked
 */
struct device {
	const char *name;
	const struct iommu_ops *ops;
	void *drvdata;
	u32 pasid_limit;
	bool msi_isolated;
	bool selftest;
	bool pasid_exec;
	bool pasid_priv;
	bool vf_pri;
	struct iommu_group *(*bus_group)(struct device *dev);

	struct iommu_device *iommu_dev;
	struct iommu_group *iommu_group;
	u32 max_pasids;
	bool require_direct;
	struct iommu_fault_param *fault_param;
	struct iommu_dma *dma;
};

/** dev_set_drvdata(), dev_get_drvdata() - a pointer of the driver's, that nobody else looks at */
static inline void dev_set_drvdata(struct device *dev, void *data)
{
	dev->drvdata = data;
}

static inline void *dev_get_drvdata(const struct device *dev)
{
	return dev->drvdata;
}

/**
 * iommu_probe_device() - a device appears behind its IOMMU
 * Return: 0, -ENODEV without ops, -ENOMEM, or what the driver says.
 */
IOMMUFD_EXPORT int iommu_probe_device(struct device *dev);
/** iommu_release_device() - it goes; nobody may have it bound */
IOMMUFD_EXPORT void iommu_release_device(struct device *dev);

/** iommu_group_alloc() - an empty group with one reference, or NULL */
IOMMUFD_EXPORT struct iommu_group *iommu_group_alloc(void);
/** iommu_group_ref_get() - one more reference; returns @group */
IOMMUFD_EXPORT struct iommu_group *iommu_group_ref_get(struct iommu_group *group);
/** iommu_group_put() - one less; the last one frees it */
IOMMUFD_EXPORT void iommu_group_put(struct iommu_group *group);
/**
 * generic_device_group() - for device_group(): as the device's bus says, else it is alone;
 * ERR_PTR(-ENOMEM)
 */
IOMMUFD_EXPORT struct iommu_group *generic_device_group(struct device *dev);

/* ---- page requests ---- */

#define IOMMU_FAULT_PERM_READ  (1 << 0)
#define IOMMU_FAULT_PERM_WRITE (1 << 1)
#define IOMMU_FAULT_PERM_EXEC  (1 << 2)
#define IOMMU_FAULT_PERM_PRIV  (1 << 3)

enum iommu_fault_type {
	IOMMU_FAULT_PAGE_REQ = 1,
};

/**
 * struct iommu_fault_page_request - one page a device asks for
 * @flags: whether @pasid has a meaning; whether the group ends here; whether the response has to
 *	name the PASID
 * @grpid: requests with the same one, up to the last page, are answered together
 * @perm: IOMMU_FAULT_PERM_*
 * @private_data: the driver's, untouched
 */
struct iommu_fault_page_request {
#define IOMMU_FAULT_PAGE_REQUEST_PASID_VALID  (1 << 0)
#define IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE    (1 << 1)
#define IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID (1 << 2)
	u32 flags;
	u32 pasid;
	u32 grpid;
	u32 perm;
	u64 addr;
	u64 private_data[2];
};

/** struct iommu_fault - @type: enum iommu_fault_type */
struct iommu_fault {
	u32 type;
	struct iommu_fault_page_request prm;
};

/**
 * enum iommu_page_response_code - what a device is told
 * @IOMMU_PAGE_RESP_SUCCESS: the page is there: try again
 * @IOMMU_PAGE_RESP_INVALID: it may not have it
 * @IOMMU_PAGE_RESP_FAILURE: nobody could look at the request
 */
enum iommu_page_response_code {
	IOMMU_PAGE_RESP_SUCCESS,
	IOMMU_PAGE_RESP_INVALID,
	IOMMU_PAGE_RESP_FAILURE,
};

/** struct iommu_page_response - @pasid, @grpid of the requests; @code for all of them */
struct iommu_page_response {
	u32 pasid;
	u32 grpid;
	u32 code;
};

/** struct iopf_fault - a request on its way; @next: the core's, in groups */
struct iopf_fault {
	struct iommu_fault fault;
	struct iopf_fault *next;
};

/**
 * struct iopf_group - requests answered together, as an iopf_handler() gets them
 * @faults: all of them, in the order they arrived
 * @last: the one that ended the group
 * @fault_count: how many
 * @attach_handle: where the request was routed to
 */
struct iopf_group {
	struct iopf_fault *faults;
	const struct iopf_fault *last;
	size_t fault_count;
	struct iommu_attach_handle *attach_handle;
};

/**
 * iommu_report_device_fault() - a device asks for a page
 * @evt: copied; its @next means nothing
 *
 * Requests without LAST_PAGE are parked with the device; the one with it completes the group,
 * which goes to the domain @dev is attached to at the moment: for the request's PASID, or if there
 * is none and the driver has user_pasid_table, the nested domain of the RID.
 *
 * Context: any thread, also inside page_response() and the driver's attach ops.
 * Return: 0: handed on or parked, or, if it could not be handed on, answered with FAILURE;
 * -EINVAL nobody takes requests of @dev with this PASID: the group is answered with INVALID when
 * its last page comes, which may be now; -ENOMEM it could not be parked.
 */
IOMMUFD_EXPORT int iommu_report_device_fault(struct device *dev, struct iopf_fault *evt);

/**
 * iopf_queue_alloc() - a row of devices that can report page requests
 * @name: for messages; copied
 * Return: to be iopf_queue_free(); NULL without memory.
 */
IOMMUFD_EXPORT struct iopf_queue *iopf_queue_alloc(const char *name);
/** iopf_queue_free() - removes the devices still in it; NULL is a no-op */
IOMMUFD_EXPORT void iopf_queue_free(struct iopf_queue *queue);

/**
 * iopf_queue_add_device() - @dev may report from now on
 * Context: attach ops may call it.
 * Return: 0; -ENODEV the driver has no page_response, or @dev no group; -EBUSY it is in a queue
 * already; -ENOMEM.
 */
IOMMUFD_EXPORT int iopf_queue_add_device(struct iopf_queue *queue, struct device *dev);

/**
 * iopf_queue_remove_device() - no more; a no-op unless @dev is in @queue
 *
 * Parked requests are dropped; groups nobody has taken over are answered with INVALID.  Those a
 * program was told of are its own to answer, or are answered when the device leaves the domain.
 */
IOMMUFD_EXPORT void iopf_queue_remove_device(struct iopf_queue *queue, struct device *dev);

/**
 * iopf_queue_flush_dev() - returns once every report of @dev that has begun has been handed on
 * Return: 0, -ENODEV @dev is in no queue.
 */
IOMMUFD_EXPORT int iopf_queue_flush_dev(struct device *dev);

/**
 * iopf_queue_discard_partial() - drop parked requests of all devices of @queue
 * For when the hardware lost requests, so that last pages may never come.
 * Return: 0, -EINVAL @queue is NULL.
 */
IOMMUFD_EXPORT int iopf_queue_discard_partial(struct iopf_queue *queue);

/**
 * iopf_group_dequeue() - the caller takes the group over from its device
 *
 * By an iopf_handler() that will return 0 and have the group answered later: then
 * iopf_queue_remove_device() leaves it alone.
 */
IOMMUFD_EXPORT void iopf_group_dequeue(struct iopf_group *group);

/** iopf_group_response() - answer the group; the second answer and later ones go nowhere */
IOMMUFD_EXPORT void iopf_group_response(struct iopf_group *group,
					enum iommu_page_response_code status);
/** iopf_free_group() - the end of a group; the handler that accepted it calls this, once */
IOMMUFD_EXPORT void iopf_free_group(struct iopf_group *group);

#ifdef __cplusplus
}
#endif

#endif
