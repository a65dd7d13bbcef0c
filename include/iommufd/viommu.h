/* SPDX-License-Identifier: MIT */
/*
 * The vIOMMU side of an IOMMU driver: a slice of an IOMMU given to one guest,
 * the guest's names for devices (vdevices), its rings that hardware reads by
 * itself (hw queues), and events back to the guest.  Names and contracts are the
 * kernel's.
 *
 * The core allocates every object.  A driver's own struct begins with the core's,
 * its size goes through VIOMMU_STRUCT_SIZE() and siblings, and an init op fills
 * it in; the driver never frees one.
 */
#ifndef IOMMUFD_VIOMMU_H
#define IOMMUFD_VIOMMU_H

#include <errno.h>

#include <iommufd/driver.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iommufd_access;
struct iommufd_device;
struct iommufd_hwpt_paging;
struct iommufd_vdevice;
struct iommufd_viommu_core;
struct iommufd_viommu_ops;

/* ---- objects ---- */

/** struct xarray - the map from virt_id to vdevice; a driver only locks it, with xa_lock() */
struct xarray {
	struct iommufd_viommu_core *core;
};

/**
 * struct iommufd_viommu - what a driver's vIOMMU struct begins with
 * @obj: the object
 * @ictx: its context; open for as long as the vIOMMU lives
 * @iommu_dev: the IOMMU it is a slice of
 * @hwpt: the nesting parent all guest tables lie on, counted
 * @ops: set by viommu_init(); NULL before it and if it failed
 * @vdevs: see iommufd_viommu_find_dev()
 * @type: as the program asked
 *
 * All but @ops are set before viommu_init() and never change.
 */
struct iommufd_viommu {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct iommu_device *iommu_dev;
	struct iommufd_hwpt_paging *hwpt;
	const struct iommufd_viommu_ops *ops;
	struct xarray vdevs;
	enum iommu_viommu_type type;
};

/**
 * struct iommufd_vdevice - what a driver's vdevice struct begins with
 * @obj: the object
 * @viommu: counted
 * @idev: the bound device; iommufd_vdevice_to_device() has the rest of it
 * @virt_id: how the guest names it
 * @destroy: undo of vdevice_init(), set by it; NULL: nothing to undo.  Called once, under the
 *	device's group lock, whoever ends the vdevice: the program, the unbinding of the device,
 *	the closing of the context.
 *
 * All but @destroy are set before vdevice_init() and never change.
 */
struct iommufd_vdevice {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	u64 virt_id;
	void (*destroy)(struct iommufd_vdevice *vdev);
};

/**
 * struct iommufd_hw_queue - what a driver's queue struct begins with
 * @obj: the object
 * @viommu: counted
 * @access: what pins the memory; NULL for a queue addressed by guest-physical address
 * @base_addr: guest-physical address, that is iova of the nesting parent
 * @length: bytes
 * @type: as the program asked
 * @destroy: undo of the init op, set by it; NULL: nothing to undo.  The memory is still pinned
 *	while it runs.  No lock of the core is held.
 */
struct iommufd_hw_queue {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	struct iommufd_access *access;
	u64 base_addr;
	size_t length;
	enum iommu_hw_queue_type type;
	void (*destroy)(struct iommufd_hw_queue *hw_queue);
};

/* sizeof(@drv), or no program unless @member comes first and is exactly the core's struct */
#ifdef __cplusplus
#define IOMMUFD_STRUCT_SIZE(drv, member, core) sizeof(drv)
#else
#define IOMMUFD_STRUCT_SIZE(drv, member, core)                                                     \
	(sizeof(drv) +                                                                             \
	 0 * sizeof(struct {                                                                       \
		 _Static_assert(offsetof(drv, member) == 0, #member " comes first in " #drv);      \
		 _Static_assert(__builtin_types_compatible_p(core,                                 \
							     __typeof__(((drv *)0)->member)),      \
				#member " is no " #core);                                          \
		 int unused;                                                                       \
	 }))
#endif

/**
 * VIOMMU_STRUCT_SIZE(), VDEVICE_STRUCT_SIZE(), HW_QUEUE_STRUCT_SIZE() - size of a driver's struct
 * @drv: the type
 * @member: the core's struct in it
 */
#define VIOMMU_STRUCT_SIZE(drv, member) IOMMUFD_STRUCT_SIZE(drv, member, struct iommufd_viommu)
#define VDEVICE_STRUCT_SIZE(drv, member) IOMMUFD_STRUCT_SIZE(drv, member, struct iommufd_vdevice)
#define HW_QUEUE_STRUCT_SIZE(drv, member) IOMMUFD_STRUCT_SIZE(drv, member, struct iommufd_hw_queue)

/* ---- the ops ---- */

/**
 * struct iommufd_viommu_ops - what a driver does with its vIOMMU
 *
 * All run in a call of a program unless said otherwise; several may run at once for one vIOMMU.
 *
 * @destroy: undo of viommu_init(), called once if that succeeded; nothing uses the vIOMMU any
 *	more.  May run in the last close of the context.  The core frees the memory.
 * @alloc_domain_nested: a domain of type IOMMU_DOMAIN_NESTED in front of the vIOMMU's parent, or
 *	ERR_PTR.  @flags: IOMMU_HWPT_ALLOC_PASID at most; @user_data is never NULL.  The domain
 *	ends before the vIOMMU.
 * @cache_invalidate: carry out the guest's invalidations in order; writes the number completed to
 *	array->entry_num on every path.  entry_num 0 asks whether the type is known.
 * @vdevice_size: bytes of the driver's vdevice struct (VDEVICE_STRUCT_SIZE()); 0: the core's own.
 *	With a size vdevice_init is mandatory.
 * @vdevice_init: set it up; viommu, idev and virt_id are.  The device's group lock is held: no
 *	attach of its group runs.  find_dev and get_vdev_id do not show it before it succeeds.  On
 *	failure it leaves nothing.
 * @get_hw_queue_size: bytes of the driver's queue struct; 0: no such type
 * @hw_queue_init_phys: start a queue whose ring the hardware reads at @base_addr_pa: the bytes are
 *	pinned, physically consecutive, and can not be unmapped until it is destroyed.  All fields
 *	but destroy are set.  No lock is held: two inits, or an init and a destroy, of one vIOMMU
 *	may run at once and the driver's own lock decides.  On failure it leaves nothing.
 * @hw_queue_init: instead of it, start a queue whose ring the hardware reads through the nesting
 *	parent, at queue->base_addr.  Nothing is pinned and unmapping is allowed.  A driver has one
 *	of the two.
 */
struct iommufd_viommu_ops {
	void (*destroy)(struct iommufd_viommu *viommu);
	struct iommu_domain *(*alloc_domain_nested)(struct iommufd_viommu *viommu, u32 flags,
						    const struct iommu_user_data *user_data);
	int (*cache_invalidate)(struct iommufd_viommu *viommu,
				struct iommu_user_data_array *array);
	size_t vdevice_size;
	int (*vdevice_init)(struct iommufd_vdevice *vdev);
	size_t (*get_hw_queue_size)(struct iommufd_viommu *viommu,
				    enum iommu_hw_queue_type queue_type);
	int (*hw_queue_init_phys)(struct iommufd_hw_queue *hw_queue, u32 index,
				  phys_addr_t base_addr_pa);
	int (*hw_queue_init)(struct iommufd_hw_queue *hw_queue, u32 index);
};

/* ---- devices of a vIOMMU ---- */

/** iommufd_vdevice_to_device() - the device; good while the vdevice lives */
IOMMUFD_EXPORT struct device *iommufd_vdevice_to_device(struct iommufd_vdevice *vdev);

/**
 * xa_lock(), xa_unlock() - keep the vdevices of a vIOMMU from coming and going
 * Context: the innermost of the core's locks: nothing of the core may be called with it held but
 * iommufd_viommu_find_dev().
 */
IOMMUFD_EXPORT void iommufd_vdevs_lock(struct xarray *vdevs);
IOMMUFD_EXPORT void iommufd_vdevs_unlock(struct xarray *vdevs);

static inline void xa_lock(struct xarray *vdevs)
{
	iommufd_vdevs_lock(vdevs);
}

static inline void xa_unlock(struct xarray *vdevs)
{
	iommufd_vdevs_unlock(vdevs);
}

/**
 * iommufd_viommu_find_dev() - the device a guest calls @vdev_id
 * Context: under xa_lock(&viommu->vdevs), kept for as long as the result is used.
 * Return: NULL if there is none.
 */
IOMMUFD_EXPORT struct device *iommufd_viommu_find_dev(struct iommufd_viommu *viommu,
						      unsigned long vdev_id);

/**
 * iommufd_viommu_get_vdev_id() - what the guest calls @dev
 * Context: any driver op, attach_dev() above all; not under xa_lock().
 * Return: 0; -ENOENT @dev has no vdevice on @viommu; -EINVAL @vdev_id is NULL.
 */
IOMMUFD_EXPORT int iommufd_viommu_get_vdev_id(struct iommufd_viommu *viommu, struct device *dev,
					      unsigned long *vdev_id);

/* ---- events ---- */

/**
 * iommufd_viommu_report_event() - tell the guest
 * @type: the same for all events of one queue, and so their length
 * @event_data: @data_len bytes, as the program will read them
 *
 * Context: any thread, no program needed; may take locks.  The vIOMMU must live meanwhile.
 * Return: 0 queued, or counted as lost because the queue is full; -EOPNOTSUPP nobody listens to
 * this type; -EINVAL no data; -ENOMEM (counted as lost).
 */
IOMMUFD_EXPORT int iommufd_viommu_report_event(struct iommufd_viommu *viommu,
					       enum iommu_veventq_type type, void *event_data,
					       size_t data_len);

/* ---- order between objects ---- */

/**
 * iommufd_object_depend(), iommufd_object_undepend() - the bodies of the macros below
 *
 * For objects of one kind.
 * Return: 0; -EINVAL the same object twice, or kinds that can not; -ENOENT @depended is not there
 * for others yet, or not any more: treat it as absent.
 */
IOMMUFD_EXPORT int iommufd_object_depend(struct iommufd_object *dependent,
					 struct iommufd_object *depended);
IOMMUFD_EXPORT void iommufd_object_undepend(struct iommufd_object *dependent,
					    struct iommufd_object *depended);
#define _iommufd_object_depend iommufd_object_depend
#define _iommufd_object_undepend iommufd_object_undepend

/**
 * iommufd_hw_queue_depend() - @dependent must be destroyed before @depended
 * @dependent, @depended: the driver's queue structs, on one vIOMMU
 * @member: the core's struct in them
 *
 * The program's DESTROY of @depended is -EBUSY until iommufd_hw_queue_undepend(), called by the
 * driver's destroy of @dependent.  Both under the driver's lock that orders its queues.
 * Return: as above.
 */
#define iommufd_hw_queue_depend(dependent, depended, member)                                       \
	((dependent)->member.viommu != (depended)->member.viommu ?                                 \
		 -EINVAL :                                                                         \
		 iommufd_object_depend(&(dependent)->member.obj, &(depended)->member.obj))

/** iommufd_hw_queue_undepend() - the reverse */
#define iommufd_hw_queue_undepend(dependent, depended, member)                                     \
	iommufd_object_undepend(&(dependent)->member.obj, &(depended)->member.obj)

/* ---- memory the program may map ---- */

/**
 * iommufd_alloc_mmio() - memory that stands for a page of registers
 * @ictx: whose program will map it
 * @length: bytes, whole pages
 * @ret_mmio: its physical address
 *
 * Zeroed and physically consecutive.  Only such memory can be registered with
 * iommufd_viommu_alloc_mmap(): what the program maps and what the driver sees are the same bytes.
 * The program can also take it away (by truncating the file it is in), so a driver that must
 * survive that touches it with iommufd_phys_read() and iommufd_phys_write() only.
 *
 * Return: the driver's own pointer to it, or NULL for want of memory or a bad length.
 */
IOMMUFD_EXPORT void *iommufd_alloc_mmio(struct iommufd_ctx *ictx, size_t length,
					phys_addr_t *ret_mmio);
/** iommufd_free_mmio() - registrations of it are gone; NULL is a no-op */
IOMMUFD_EXPORT void iommufd_free_mmio(struct iommufd_ctx *ictx, void *ptr);

/**
 * iommufd_alloc_mmap() - let the program map registers through its /dev/iommu descriptor
 * @owner: while mapped, the program can not destroy it
 * @mmio: physical address, page aligned
 * @length: bytes, whole pages
 * @offset: for the program's mmap(); unique in the context, never 0
 *
 * Context: in the owner's init op; the offset works once the owner is published.
 * Return: 0; -EINVAL not page aligned, no bytes, or no memory that can be mapped; -EBUSY no room;
 * -ENOMEM.
 */
IOMMUFD_EXPORT int iommufd_alloc_mmap(struct iommufd_ctx *ictx, struct iommufd_object *owner,
				      phys_addr_t mmio, size_t length, unsigned long *offset);
/** iommufd_destroy_mmap() - in the owner's destroy op; no mapping is left then */
IOMMUFD_EXPORT void iommufd_destroy_mmap(struct iommufd_ctx *ictx, struct iommufd_object *owner,
					 unsigned long offset);
#define _iommufd_alloc_mmap iommufd_alloc_mmap
#define _iommufd_destroy_mmap iommufd_destroy_mmap

/** iommufd_viommu_alloc_mmap() - the same with the vIOMMU as owner */
static inline int iommufd_viommu_alloc_mmap(struct iommufd_viommu *viommu, phys_addr_t mmio,
					    size_t length, unsigned long *offset)
{
	return iommufd_alloc_mmap(viommu->ictx, &viommu->obj, mmio, length, offset);
}

/** iommufd_viommu_destroy_mmap() - the reverse */
static inline void iommufd_viommu_destroy_mmap(struct iommufd_viommu *viommu, unsigned long offset)
{
	iommufd_destroy_mmap(viommu->ictx, &viommu->obj, offset);
}

#ifdef __cplusplus
}
#endif

#endif
