/* SPDX-License-Identifier: MIT */
/*
 * DMA: translate a piece, touch the memory, go on.  Each piece is one stay
 * inside the thread's cache (iotlb.h), short enough that an unmap does not
 * wait long for it.
 */
#include "iommu/dma.h"

#include <string.h>

#include "iommu/dma_check.h"
#include "iommu/iotlb.h"
#include "mem/guard.h"

#define PIECE_MAX (1UL << 20)

/* ---- systems ---- */

void dma_system_init(struct dma_system *sys, struct mem_space *mem, const struct log_sink *log)
{
	sys->mem = mem;
	sys->log = log;
	sys->check = NULL;
	mutex_init(&sys->copied);
	asym_fence_setup();
}

void dma_system_fini(struct dma_system *sys)
{
	dma_check_free(sys->check);
	mutex_destroy(&sys->copied);
}

/* ---- faults ---- */

int iommufd_dma_errno(enum iommu_xlat_fault reason)
{
	switch (reason) {
	case IOMMU_XLAT_OK:
		return 0;
	case IOMMU_XLAT_NOT_PRESENT:
		return -EFAULT;
	case IOMMU_XLAT_PERMISSION:
		return -EACCES;
	case IOMMU_XLAT_OUT_OF_RANGE:
		return -ERANGE;
	case IOMMU_XLAT_BAD_ENTRY:
		return -EBADMSG;
	case IOMMU_XLAT_BAD_TABLE:
		return -ENXIO;
	case IOMMU_XLAT_NOT_ATTACHED:
		return -ENODEV;
	case IOMMU_XLAT_BLOCKED:
		return -EPERM;
	}
	return -EIO;
}

int dma_fault_set(struct iommufd_dma_fault *fault, enum iommu_xlat_fault reason, u64 iova,
		  ioasid_t pasid, unsigned int access)
{
	if (fault)
		*fault = (struct iommufd_dma_fault){
			.reason = reason, .iova = iova, .pasid = pasid, .access = access
		};
	return iommufd_dma_errno(reason);
}

/* No cache: no memory for one, or a device that is behind no IOMMU. */
static int dma_no_iotlb(struct device *dev, ioasid_t pasid, u64 iova, unsigned int access,
			struct iommufd_dma_fault *fault)
{
	if (!dev->dma)
		return dma_fault_set(fault, IOMMU_XLAT_NOT_ATTACHED, iova, pasid, access);
	dma_fault_set(fault, IOMMU_XLAT_OK, iova, pasid, access);
	return -ENOMEM;
}

/* ---- copies ---- */

static int at_copy(struct dma_system *sys, const struct dma_at *at, void *buf, size_t len,
		   int which)
{
	if (likely(at->host != NULL))
		return which == IOTLB_WRITE ? mem_guard_copy(at->host, buf, len) :
					      mem_guard_copy(buf, at->host, len);
	return which == IOTLB_WRITE ? mem_ram_write(sys->mem, at->pa, buf, len) :
				      mem_ram_read(sys->mem, at->pa, buf, len);
}

/*
 * Another device's registers.  Its model runs, and may do DMA: so this is outside, a
 * posted request on its way when an unmap that overtakes it returns.
 */
static __attribute__((noinline, cold)) int dma_peer(struct dma_system *sys, ioasid_t pasid,
						    u64 iova, u64 pa, void *buf, size_t len,
						    int which, struct iommufd_dma_fault *fault)
{
	int rc = which == IOTLB_WRITE ? mem_phys_write(sys->mem, pa, buf, len) :
					mem_phys_read(sys->mem, pa, buf, len);

	if (!rc)
		return 0;
	dma_fault_set(fault, IOMMU_XLAT_OK, iova, pasid,
		      which == IOTLB_WRITE ? IOMMU_WRITE : IOMMU_READ);
	return -EIO;
}

static inline int dma_piece(struct iotlb *iotlb, u64 iova, void *buf, size_t *len, int which,
			    struct iommufd_dma_fault *fault)
{
	struct dma_at at;
	int rc;

	iotlb_enter(iotlb);
	rc = iotlb_lookup(iotlb, iova, which, &at, fault);
	if (likely(!rc)) {
		if (unlikely(at.host == IOTLB_UNKNOWN))
			iotlb_resolve(iotlb, iova, &at);
		*len = MIN(MIN(*len, at.run), PIECE_MAX);
		rc = at_copy(iotlb->sys, &at, buf, *len, which);
		if (which == IOTLB_WRITE)
			dma_log_wrote(iotlb->dma, iova, *len);
		if (unlikely(rc == -EREMOTEIO)) {
			struct dma_system *sys = iotlb->sys;

			iotlb_leave(iotlb);
			return dma_peer(sys, iotlb->pasid, iova, at.pa, buf, *len, which, fault);
		}
		if (unlikely(rc)) {
			dma_fault_set(fault, IOMMU_XLAT_OK, iova, iotlb->pasid,
				      which == IOTLB_WRITE ? IOMMU_WRITE : IOMMU_READ);
			rc = -EIO;
		}
	}
	iotlb_leave(iotlb);
	return rc;
}

/* All but the short way below, as in translate_slow(). */
static __attribute__((noinline)) int dma_copy_slow(struct device *dev, ioasid_t pasid, u64 iova,
						   u8 *buf, size_t len, int which,
						   struct iommufd_dma_fault *fault)
{
	struct iotlb *iotlb = iotlb_get(dev, pasid);
	int rc = 0;

	if (unlikely(!iotlb))
		return dma_no_iotlb(dev, pasid, iova,
				    which == IOTLB_WRITE ? IOMMU_WRITE : IOMMU_READ, fault);
	iotlb_back_out(iotlb);
	if (unlikely(len && iova + (len - 1) < iova)) {
		dma_fault_set(fault, IOMMU_XLAT_OUT_OF_RANGE, iova, pasid,
			      which == IOTLB_WRITE ? IOMMU_WRITE : IOMMU_READ);
		return -EINVAL;
	}
	/* Another device's model may run, and do DMA in this thread. */
	iotlb->held++;
	while (len) {
		size_t piece = len;

		rc = dma_piece(iotlb, iova, buf, &piece, which, fault);
		if (rc)
			break;
		iova += piece;
		buf += piece;
		len -= piece;
	}
	iotlb->held--;
	return rc;
}

/* One piece in one page whose table is known. */
static inline int dma_copy(struct device *dev, ioasid_t pasid, u64 iova, u8 *buf, size_t len,
			   int which, struct iommufd_dma_fault *fault)
{
	struct iotlb *iotlb = iotlb_last;
	u64 entry;
	u8 *host;

	if (unlikely(!iotlb_is_of(iotlb, dev, pasid) || len > PAGE_SIZE - (iova & ~PAGE_MASK)))
		return dma_copy_slow(dev, pasid, iova, buf, len, which, fault);
	iotlb_go_in(iotlb);
	if (unlikely(!iotlb_table_entry(iotlb, iova,
					which == IOTLB_WRITE ? IOMMU_WRITE : IOMMU_READ, &entry)))
		return dma_copy_slow(dev, pasid, iova, buf, len, which, fault);
	host = mem_phys_host(iotlb->phys_host, entry & iotlb->leaf_address);
	if (unlikely(!host))
		return dma_copy_slow(dev, pasid, iova, buf, len, which, fault);
	host += iova & ~PAGE_MASK;
	if (unlikely(which == IOTLB_WRITE ? mem_guard_copy(host, buf, len) :
					    mem_guard_copy(buf, host, len)))
		return dma_copy_slow(dev, pasid, iova, buf, len, which, fault);
	iotlb_leave(iotlb);
	return 0;
}

int iommufd_dma_read(struct device *dev, ioasid_t pasid, u64 iova, void *buf, size_t len,
		     struct iommufd_dma_fault *fault)
{
	return dma_copy(dev, pasid, iova, buf, len, IOTLB_READ, fault);
}

int iommufd_dma_write(struct device *dev, ioasid_t pasid, u64 iova, const void *buf, size_t len,
		      struct iommufd_dma_fault *fault)
{
	return dma_copy(dev, pasid, iova, (u8 *)(uintptr_t)buf, len, IOTLB_WRITE, fault);
}

int iommufd_dma_copy(void *dst, const void *src, size_t len)
{
	return mem_guard_copy(dst, src, len);
}

/* ---- translation alone ---- */

/* All but the short way below, which may have gone in. */
static __attribute__((noinline)) int translate_slow(struct device *dev, ioasid_t pasid, u64 iova,
						    unsigned int access, u64 *ret_pa)
{
	int which = access & IOMMU_WRITE ? IOTLB_WRITE : IOTLB_READ;
	struct iotlb *iotlb = iotlb_get(dev, pasid);
	struct dma_at at;
	int rc;

	if (!iotlb)
		return dma_no_iotlb(dev, pasid, iova, access, NULL);
	iotlb_back_out(iotlb);
	iotlb_enter(iotlb);
	rc = iotlb_lookup(iotlb, iova, which, &at, NULL);
	if (!rc)
		*ret_pa = at.pa;
	if (!rc && which == IOTLB_WRITE)
		dma_log_wrote(iotlb->dma, iova, 1);
	iotlb_leave(iotlb);
	return rc;
}

static inline __attribute__((always_inline)) int translate(struct device *dev, ioasid_t pasid,
							   u64 iova, unsigned int access,
							   u64 *ret_pa)
{
	struct iotlb *iotlb = iotlb_last;
	u64 entry, pa;

	if (unlikely(!iotlb_is_of(iotlb, dev, pasid)))
		return translate_slow(dev, pasid, iova, access, ret_pa);
	iotlb_go_in(iotlb);
	if (unlikely(!iotlb_table_entry(iotlb, iova, access, &entry)))
		return translate_slow(dev, pasid, iova, access, ret_pa);
	pa = (entry & iotlb->leaf_address) | (iova & ~PAGE_MASK);
	iotlb_leave(iotlb);
	/* Last: stores to one line after another go to the cache together. */
	*ret_pa = pa;
	return 0;
}

static __attribute__((noinline)) int translate_write(struct device *dev, ioasid_t pasid, u64 iova,
						     u64 *ret_pa)
{
	return translate(dev, pasid, iova, IOMMU_WRITE, ret_pa);
}

int iommufd_dma_translate(struct device *dev, ioasid_t pasid, u64 iova, unsigned int access,
			  u64 *ret_pa)
{
	/* Compiled for each, in one line with no jump: the two nanoseconds are 50 instructions. */
	if (access & IOMMU_WRITE)
		return translate_write(dev, pasid, iova, ret_pa);
	return translate(dev, pasid, iova, IOMMU_READ, ret_pa);
}

/* ---- atomics ---- */

static u64 atomic_result(enum iommufd_dma_op op, u64 old, u64 operand, u64 compare)
{
	switch (op) {
	case IOMMUFD_DMA_FETCH_ADD:
		return old + operand;
	case IOMMUFD_DMA_SWAP:
		return operand;
	default:
		return old == compare ? operand : old;
	}
}

/* Little-endian, as all we run on is: the low half of a u64 is its first bytes. */
static int atomic_copied(struct dma_system *sys, u64 pa, size_t size, enum iommufd_dma_op op,
			 u64 operand, u64 compare, u64 *ret_old)
{
	u64 old = 0, new;
	int rc;

	mutex_lock(&sys->copied);
	rc = mem_ram_read(sys->mem, pa, &old, size);
	if (!rc) {
		new = atomic_result(op, old, operand, compare);
		rc = mem_ram_write(sys->mem, pa, &new, size);
	}
	mutex_unlock(&sys->copied);
	*ret_old = old;
	return rc;
}

static int atomic_at(struct iotlb *iotlb, const struct dma_at *at, size_t size,
		     enum iommufd_dma_op op, u64 operand, u64 compare, u64 *ret_old)
{
	if (!at->host)
		return atomic_copied(iotlb->sys, at->pa, size, op, operand, compare, ret_old);
	switch (op) {
	case IOMMUFD_DMA_FETCH_ADD:
		return mem_guard_add(at->host, size, operand, ret_old);
	case IOMMUFD_DMA_SWAP:
		return mem_guard_swap(at->host, size, operand, ret_old);
	default:
		return mem_guard_compare_swap(at->host, size, compare, operand, ret_old);
	}
}

int iommufd_dma_atomic(struct device *dev, ioasid_t pasid, u64 iova, size_t size,
		       enum iommufd_dma_op op, u64 operand, u64 compare, u64 *ret_old,
		       struct iommufd_dma_fault *fault)
{
	struct iotlb *iotlb = iotlb_get(dev, pasid);
	const unsigned int both = IOMMU_READ | IOMMU_WRITE;
	struct dma_at at;
	int rc;

	if ((size != 4 && size != 8) || iova & (size - 1) ||
	    (unsigned int)op > IOMMUFD_DMA_COMPARE_SWAP) {
		dma_fault_set(fault, IOMMU_XLAT_OK, iova, pasid, both);
		return -EINVAL;
	}
	if (!iotlb)
		return dma_no_iotlb(dev, pasid, iova, both, fault);
	if (size == 4)
		compare = (u32)compare;
	iotlb_enter(iotlb);
	rc = iotlb_lookup(iotlb, iova, IOTLB_WRITE, &at, fault);
	if (rc) {
		if (fault)
			fault->access = both;
	} else if (!(at.prot & IOMMU_READ)) {
		rc = dma_fault_set(fault, IOMMU_XLAT_PERMISSION, iova, pasid, both);
	} else {
		if (at.host == IOTLB_UNKNOWN)
			iotlb_resolve(iotlb, iova, &at);
		if (atomic_at(iotlb, &at, size, op, operand, compare, ret_old)) {
			dma_fault_set(fault, IOMMU_XLAT_OK, iova, pasid, both);
			rc = -EIO;
		}
		dma_log_wrote(iotlb->dma, iova, size);
	}
	iotlb_leave(iotlb);
	return rc;
}
