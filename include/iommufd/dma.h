/* SPDX-License-Identifier: MIT */
/*
 * DMA: how a device model touches memory.  Every access names the device, the
 * PASID (IOMMU_NO_PASID for requests without one) and an I/O virtual address;
 * it goes through whatever that device is attached to at the moment.
 *
 * Translations are cached as an IOMMU's IOTLB does: a cached one is used until it is invalidated,
 * whatever the tables say meanwhile.  When an unmap, a detach or a replace has
 * returned, nothing uses the old translation any more.
 *
 * Memory belongs to programs and may vanish at any time, also while it is
 * pinned: that is a failed DMA (-EIO), never a crash.
 *
 * Context: any thread; no lock of the library is needed or taken on the way (the
 * first access of a thread through a device takes a few).  Device models stop before
 * iommu_release_device().
 */
#ifndef IOMMUFD_DMA_H
#define IOMMUFD_DMA_H

#include <iommufd/driver.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iommufd_system;

/* ---- errors ---- */

/**
 * struct iommufd_dma_fault - what went wrong, for a device's error registers
 * @reason: as the IOMMU saw it; IOMMU_XLAT_OK: it was translated, but the memory is gone (-EIO), or
 *	there was no memory of ours (-ENOMEM)
 * @iova: the byte that could not be reached; for translated requests a physical address
 * @pasid: of the access
 * @access: IOMMU_READ, IOMMU_WRITE or both (an atomic)
 * @stage2: of a nested translation: the parent's tables refused
 */
struct iommufd_dma_fault {
	enum iommu_xlat_fault reason;
	u64 iova;
	ioasid_t pasid;
	unsigned int access;
	bool stage2;
};

/**
 * iommufd_dma_errno() - the errno a reason is returned as
 *
 * -EFAULT not present, -EACCES no permission, -ERANGE out of range, -EBADMSG a bad entry, -ENXIO a
 * bad table, -ENODEV device or PASID not attached, -EPERM blocked.
 */
IOMMUFD_EXPORT int iommufd_dma_errno(enum iommu_xlat_fault reason);

/* ---- copies ---- */

/**
 * iommufd_dma_read(), iommufd_dma_write() - copy from, and to, the memory behind an iova
 * @fault: filled in on error; NULL: not wanted
 *
 * Bytes before the one that failed have moved.  4 and 8 aligned bytes move at once.
 * Return: 0; one of iommufd_dma_errno(); -EIO the memory is gone; -EINVAL the range wraps; -ENOMEM.
 */
IOMMUFD_EXPORT int iommufd_dma_read(struct device *dev, ioasid_t pasid, u64 iova, void *buf,
				    size_t len, struct iommufd_dma_fault *fault);
IOMMUFD_EXPORT int iommufd_dma_write(struct device *dev, ioasid_t pasid, u64 iova, const void *buf,
				     size_t len, struct iommufd_dma_fault *fault);

/** enum iommufd_dma_op - the AtomicOps of PCI Express */
enum iommufd_dma_op {
	IOMMUFD_DMA_FETCH_ADD,
	IOMMUFD_DMA_SWAP,
	IOMMUFD_DMA_COMPARE_SWAP,
};

/**
 * iommufd_dma_atomic() - one atomic operation; needs reading and writing
 * @size: 4 or 8, and @iova a multiple of it
 * @operand: to add, or to put there
 * @compare: for COMPARE_SWAP
 * @ret_old: what was there
 *
 * Atomic against the program's CPUs; where memory can be reached by copying only (private memory
 * of another process), against other devices.
 * Return: as iommufd_dma_read(); -EINVAL another size, @op or alignment.
 */
IOMMUFD_EXPORT int iommufd_dma_atomic(struct device *dev, ioasid_t pasid, u64 iova, size_t size,
				      enum iommufd_dma_op op, u64 operand, u64 compare,
				      u64 *ret_old, struct iommufd_dma_fault *fault);

/**
 * iommufd_dma_translate() - translate one byte as an access would, touching no memory
 * @access: IOMMU_READ or IOMMU_WRITE; a write marks the page dirty where that is tracked
 * @ret_pa: its physical address
 * Return: 0, one of iommufd_dma_errno(), -ENOMEM.
 */
IOMMUFD_EXPORT int iommufd_dma_translate(struct device *dev, ioasid_t pasid, u64 iova,
					 unsigned int access, u64 *ret_pa);

/* ---- pointers ---- */

/**
 * struct iommufd_dma_seg - one piece of memory; touch it with iommufd_dma_copy() if it may vanish
 */
struct iommufd_dma_seg {
	void *ptr;
	size_t length;
};

/**
 * struct iommufd_dma_map - an iova range as pointers, in order
 * @segs, @count: the pieces
 */
struct iommufd_dma_map {
	const struct iommufd_dma_seg *segs;
	u32 count;
};

/**
 * iommufd_dma_map() - borrow the memory behind an iova range
 * @access: IOMMU_READ, IOMMU_WRITE or both; marks pages dirty for writing
 * @ret_map: set on success only; iommufd_dma_unmap() it
 *
 * What can be reached by copying only is read into a buffer now, and written back when it is given
 * back.  Until then an unmap or detach of the range waits: hold it briefly, and do
 * neither in the thread that holds it.
 *
 * Return: as iommufd_dma_read(); -EINVAL also no bytes, or another @access.
 */
IOMMUFD_EXPORT int iommufd_dma_map(struct device *dev, ioasid_t pasid, u64 iova, size_t len,
				   unsigned int access, struct iommufd_dma_map **ret_map,
				   struct iommufd_dma_fault *fault);

/**
 * iommufd_dma_unmap() - give it back; NULL is a no-op
 * Return: 0, -EIO if something could not be written back because the memory is gone.
 */
IOMMUFD_EXPORT int iommufd_dma_unmap(struct iommufd_dma_map *map);

/** iommufd_dma_copy() - memcpy() where a side may vanish: 0 or -EFAULT */
IOMMUFD_EXPORT int iommufd_dma_copy(void *dst, const void *src, size_t len);

/* ---- translated requests (ATS) ---- */

/**
 * typedef iommufd_ats_invalidate_fn - the device is to forget translations
 * @first, @last: iova, inclusive
 *
 * The library has forgotten them already: the device's requests fail from here on.
 * Context: locks of the library are held: do no DMA and call nothing of it.
 */
typedef void (*iommufd_ats_invalidate_fn)(void *data, ioasid_t pasid, u64 first, u64 last);

/**
 * iommufd_ats_enable() - @dev has a translation cache of its own
 * @fn: NULL: it is not told, only refused
 * Context: before its first iommufd_ats_translate().
 */
IOMMUFD_EXPORT void iommufd_ats_enable(struct device *dev, iommufd_ats_invalidate_fn fn,
				       void *data);

/**
 * struct iommufd_ats_translation - what a device may keep
 * @pa: of the byte asked for
 * @length: bytes from there on that are contiguous and may be used, at least 1
 * @prot: IOMMU_READ, IOMMU_WRITE; without IOMMU_WRITE it must ask again before it writes
 */
struct iommufd_ats_translation {
	u64 pa;
	u64 length;
	unsigned int prot;
};

/** iommufd_ats_translate() - a translation request.  Return: as iommufd_dma_translate() */
IOMMUFD_EXPORT int iommufd_ats_translate(struct device *dev, ioasid_t pasid, u64 iova,
					 unsigned int access,
					 struct iommufd_ats_translation *ret,
					 struct iommufd_dma_fault *fault);

/**
 * iommufd_ats_read(), iommufd_ats_write() - translated requests
 * @pa: from iommufd_ats_translate()
 *
 * Allowed while the range lies in translations @dev was given and that were not invalidated.
 * Return: 0; -EACCES it was never given, or not for this access, or that was
 * invalidated; -EIO the memory is gone; -EINVAL.
 */
IOMMUFD_EXPORT int iommufd_ats_read(struct device *dev, u64 pa, void *buf, size_t len,
				    struct iommufd_dma_fault *fault);
IOMMUFD_EXPORT int iommufd_ats_write(struct device *dev, u64 pa, const void *buf, size_t len,
				     struct iommufd_dma_fault *fault);

/* ---- page requests ---- */

/**
 * iommufd_dma_page_request() - ask for a page, and wait for the answer
 * @access: IOMMU_READ, IOMMU_WRITE or both
 * @timeout_ms: 0 does not wait: the answer, if it comes later, is forgotten
 *
 * Needs a model whose page_response() calls iommufd_dma_page_response(), and a domain with a fault
 * queue.  May have been in vain: try again, and ask again if it fails.
 *
 * Context: sleeps.  Not while iommufd_dma_map() pointers are held.
 * Return: 0 the page is there; -EACCES it may not be had (IOMMU_PAGE_RESP_INVALID), or nobody takes
 * requests; -EIO nobody could look at it (FAILURE); -ETIMEDOUT; -ECANCELED
 * iommufd_dma_page_abandon(); -EBUSY 512 requests are waiting for an answer; -ENOMEM; -ENODEV @dev
 * is behind no IOMMU.
 */
IOMMUFD_EXPORT int iommufd_dma_page_request(struct device *dev, ioasid_t pasid, u64 iova,
					    unsigned int access, unsigned int timeout_ms);

/**
 * iommufd_dma_page_abandon() - who waits for an answer for @dev now waits no longer
 * The answers, if they come, are forgotten.  Who asks after this waits.
 */
IOMMUFD_EXPORT void iommufd_dma_page_abandon(struct device *dev);

/**
 * iommufd_dma_page_response() - for a model's iommu_ops.page_response(): wake who asked
 * Answers to requests that iommufd_dma_page_request() did not make are ignored.
 */
IOMMUFD_EXPORT void iommufd_dma_page_response(struct device *dev,
					      const struct iommu_page_response *response);

/* ---- the IOTLB, for models ---- */

/**
 * iommufd_iotlb_flush() - forget what was cached of [@first, @last] of @domain
 *
 * Returns when no DMA uses it any more.  Of a nesting parent: everything of domains nested in it
 * too.  Costs one load if no device did DMA through @domain since the flush before the last.
 *
 * Context: with no lock that a domain's translate() takes, and none that who holds
 * an iommufd_dma_map() needs to give it back.
 */
IOMMUFD_EXPORT void iommufd_iotlb_flush(struct iommu_domain *domain, u64 first, u64 last);
static inline void iommufd_iotlb_flush_all(struct iommu_domain *domain)
{
	iommufd_iotlb_flush(domain, 0, UINT64_MAX);
}

/**
 * iommufd_iotlb_flush_pages() - the same for a driver that gives tables away (struct
 * iommu_xlat.table)
 *
 * Tables that were given away may still be read afterwards, for as long as until the next
 * iommufd_iotlb_flush().  So this is enough only if those taken out since the last one have
 * nothing present any more, and none was freed.
 */
IOMMUFD_EXPORT void iommufd_iotlb_flush_pages(struct iommu_domain *domain, u64 first, u64 last);

/**
 * iommufd_iotlb_flush_tag() - of a nested domain, for a guest's invalidation: only where the
 *	translation's tag is @tag in the bits of @mask
 *
 * Leaves alone what devices were given by ATS: guests invalidate that by a command of its own.
 * Context: as iommufd_iotlb_flush().
 */
IOMMUFD_EXPORT void iommufd_iotlb_flush_tag(struct iommu_domain *domain, u64 tag, u64 mask,
					    u64 first, u64 last);

/** iommufd_ats_invalidate() - @dev is to forget what it was given of [@first, @last] of @pasid */
IOMMUFD_EXPORT void iommufd_ats_invalidate(struct device *dev, ioasid_t pasid, u64 first,
					   u64 last);

/** iommufd_iotlb_flush_pasid() - forget what was cached of one PASID of @dev, all of it */
IOMMUFD_EXPORT void iommufd_iotlb_flush_pasid(struct device *dev, ioasid_t pasid);
/** iommufd_iotlb_flush_device() - everything of @dev */
IOMMUFD_EXPORT void iommufd_iotlb_flush_device(struct device *dev);

/**
 * struct iommufd_iotlb_counters - of one device, all PASIDs and threads, since it appeared
 * @lookups: translations asked for; @hits: found in the cache; @walks: made by the tables
 * @invalidations: flushes that met its caches
 */
struct iommufd_iotlb_counters {
	u64 lookups;
	u64 hits;
	u64 walks;
	u64 invalidations;
};

IOMMUFD_EXPORT void iommufd_iotlb_counters(struct device *dev, struct iommufd_iotlb_counters *ret);

/**
 * iommufd_dma_bus_master() - may @dev do DMA at all? (it may, unless told otherwise)
 * When told off, its accesses fail with IOMMU_XLAT_BLOCKED; none is under way, and no pointer is
 * out, when this returns.
 */
IOMMUFD_EXPORT void iommufd_dma_bus_master(struct device *dev, bool on);

/* ---- the checker ---- */

/**
 * iommufd_dma_check_enable() - watch all DMA of @system and log what is wrong with it
 *
 * Reported, as warnings: use of a cached translation the tables no longer have (a missing
 * invalidation), with whether the program had unmapped the area; DMA outside what was mapped,
 * unless the program takes page requests there, or by a bound device that is attached to nothing;
 * areas still mapped when their IOAS ends.  Each names the device, PASID, iova and area, who mapped
 * it and when.  DMA is much slower with it.
 *
 * Context: before anything of @system is open.  Return: 0, -EALREADY, -ENOMEM.
 */
IOMMUFD_EXPORT int iommufd_dma_check_enable(struct iommufd_system *system);

/** iommufd_dma_check_reports() - how many reports there were */
IOMMUFD_EXPORT u64 iommufd_dma_check_reports(struct iommufd_system *system);

#ifdef __cplusplus
}
#endif

#endif
