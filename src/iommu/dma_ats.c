/* SPDX-License-Identifier: MIT */
/*
 * Address translation services: a device keeps translations itself and sends
 * physical addresses.  What it was given is kept here as well, and each
 * translated request is held against it: a device that goes on after an
 * invalidation is refused.
 */
#include "base/alloc.h"
#include "iommu/iotlb.h"

/**
 * struct dma_grant - a translation a device was given
 * @node: physical addresses
 * @first, @last: iova of the whole entry, which is what an invalidation is about
 */
struct dma_grant {
	struct itree_node node;
	ioasid_t pasid;
	unsigned int prot;
	u64 first;
	u64 last;
};

void iommufd_ats_enable(struct device *dev, iommufd_ats_invalidate_fn fn, void *data)
{
	if (!dev->dma)
		return;
	dev->dma->ats_fn = fn;
	dev->dma->ats_data = data;
}

/* ---- dropping ---- */

/* Returns whether any of @pasid is left. */
static bool grants_drop(struct iommu_dma *dma, ioasid_t pasid, bool all_pasids, u64 first, u64 last)
{
	struct itree_node *node, *next;
	bool left = false;

	write_lock(&dma->ats_lock);
	for (node = itree_first(&dma->grants, 0, UINT64_MAX); node; node = next) {
		struct dma_grant *grant = container_of(node, struct dma_grant, node);

		next = itree_next(node, 0, UINT64_MAX);
		if (!all_pasids && grant->pasid != pasid)
			continue;
		if (!ranges_overlap(grant->first, grant->last, first, last)) {
			left = true;
			continue;
		}
		itree_remove(&dma->grants, node);
		if (dma->ats_fn)
			dma->ats_fn(dma->ats_data, grant->pasid, grant->first, grant->last);
		free(grant);
	}
	write_unlock(&dma->ats_lock);
	return left;
}

void iommufd_ats_invalidate(struct device *dev, ioasid_t pasid, u64 first, u64 last)
{
	if (dev->dma)
		grants_drop(dev->dma, pasid, false, first, last);
}

static void ats_cool(struct dma_ats_link *link)
{
	if (!link->warm)
		return;
	link->warm = false;
	atomic_fetch_sub_explicit(&link->domain->nwarm, 1, memory_order_relaxed);
}

void dma_drop_grants(struct iommu_domain_dma *dd, u64 first, u64 last)
{
	struct dma_ats_link *link;

	cds_list_for_each_entry(link, &dd->ats, node) {
		bool all = link == &link->ats->links[1];

		if (!link->warm)
			continue;
		if (!grants_drop(link->ats->dma, link->ats->pasid, false, all ? 0 : first,
				 all ? UINT64_MAX : last))
			ats_cool(link);
	}
}

static void ats_free(struct dma_ats *ats)
{
	for (int i = 0; i < 2; i++) {
		struct iommu_domain_dma *dd = ats->links[i].domain;

		if (!dd)
			continue;
		mutex_lock(&dd->lock);
		ats_cool(&ats->links[i]);
		cds_list_del(&ats->links[i].node);
		mutex_unlock(&dd->lock);
	}
	cds_list_del(&ats->dev_node);
	free(ats);
}

void dma_drop_device_grants(struct iommu_dma *dma, ioasid_t pasid, bool all_pasids, bool unlink)
{
	struct dma_ats *ats, *next;

	if (cds_list_empty(&dma->ats))
		return;
	grants_drop(dma, pasid, all_pasids, 0, UINT64_MAX);
	if (!unlink)
		return;
	cds_list_for_each_entry_safe(ats, next, &dma->ats, dev_node)
		if (all_pasids || ats->pasid == pasid)
			ats_free(ats);
}

/* ---- granting ---- */

static struct dma_ats *ats_find(struct iommu_dma *dma, ioasid_t pasid) __must_hold(&dma->lock)
{
	struct dma_ats *ats;

	cds_list_for_each_entry(ats, &dma->ats, dev_node)
		if (ats->pasid == pasid)
			return ats;
	return NULL;
}

static int ats_make(struct iommu_dma *dma, struct iotlb *iotlb, struct dma_ats **ret_ats)
	__must_hold(&dma->lock)
{
	struct dma_ats *ats = zalloc(sizeof(*ats));

	if (!ats)
		return -ENOMEM;
	ats->dma = dma;
	ats->pasid = iotlb->pasid;
	for (int i = 0; i < 2; i++) {
		struct iommu_domain_dma *dd = iotlb->links[i].domain;

		ats->links[i].ats = ats;
		ats->links[i].domain = dd;
		if (!dd)
			continue;
		mutex_lock(&dd->lock);
		cds_list_add(&ats->links[i].node, &dd->ats);
		mutex_unlock(&dd->lock);
	}
	cds_list_add(&ats->dev_node, &dma->ats);
	*ret_ats = ats;
	return 0;
}

/* From here on flushes of what is attached look for grants.  -EAGAIN: it is not linked any more. */
static int ats_warm(struct iotlb *iotlb)
{
	struct iommu_dma *dma = iotlb->dma;
	struct dma_ats *ats;
	int rc = 0;

	mutex_lock(&dma->lock);
	if (!atomic_load_explicit(&iotlb->linked, memory_order_relaxed))
		rc = -EAGAIN;
	ats = rc ? NULL : ats_find(dma, iotlb->pasid);
	if (!rc && !ats)
		rc = ats_make(dma, iotlb, &ats);
	for (int i = 0; !rc && i < 2; i++) {
		struct dma_ats_link *link = &ats->links[i];

		if (!link->domain)
			continue;
		mutex_lock(&link->domain->lock);
		if (!link->warm)
			atomic_fetch_add_explicit(&link->domain->nwarm, 1, memory_order_relaxed);
		link->warm = true;
		mutex_unlock(&link->domain->lock);
	}
	mutex_unlock(&dma->lock);
	atomic_thread_fence(memory_order_seq_cst);
	return rc;
}

/* Does @a allow all that @b does, and end with all that @b ends with? */
static bool grant_includes(const struct dma_grant *a, const struct dma_grant *b)
{
	return a->pasid == b->pasid && !(b->prot & ~a->prot) && a->first <= b->first &&
	       a->last >= b->last && a->node.first <= b->node.first &&
	       a->node.last >= b->node.last;
}

/*
 * A device may ask for the same again and again, and for parts of it: of what was given of one
 * entry of the tables, the largest is kept.
 */
static bool grant_is_new(struct iommu_dma *dma, const struct dma_grant *grant)
	__must_hold(&dma->ats_lock)
{
	const struct itree_node *want = &grant->node;
	struct itree_node *node, *next;

	for (node = itree_first(&dma->grants, want->first, want->last); node; node = next) {
		struct dma_grant *old = container_of(node, struct dma_grant, node);

		next = itree_next(node, want->first, want->last);
		if (grant_includes(old, grant))
			return false;
		if (grant_includes(grant, old)) {
			itree_remove(&dma->grants, node);
			free(old);
		}
	}
	return true;
}

/*
 * Unless something was invalidated since @seq: then the answer may be from before.  What it
 * takes is no longer the caller's.
 */
static bool grant_insert(struct iotlb *iotlb, struct dma_grant *grant, u64 seq)
{
	struct iommu_dma *dma = iotlb->dma;
	bool valid;

	write_lock(&dma->ats_lock);
	valid = atomic_load_explicit(&iotlb->seq, memory_order_relaxed) == seq;
	if (valid && grant_is_new(dma, grant)) {
		dma->ats_mem = iotlb->sys->mem;
		itree_insert(&dma->grants, &grant->node);
	} else if (valid) {
		free(grant);
	}
	write_unlock(&dma->ats_lock);
	return valid;
}

/* One attempt; -EAGAIN: again. */
static int ats_try(struct iotlb *iotlb, u64 iova, unsigned int access, struct dma_grant *grant,
		   struct iommufd_ats_translation *ret, struct iommufd_dma_fault *fault)
{
	u64 seq, before;
	struct dma_at at;
	int rc;

	/*
	 * Before the look at the gate: an invalidation this answer may be too old for counts later.
	 */
	seq = atomic_load_explicit(&iotlb->seq, memory_order_acquire);
	iotlb_enter(iotlb);
	rc = iotlb_lookup(iotlb, iova, access & IOMMU_WRITE ? IOTLB_WRITE : IOTLB_READ, &at, fault);
	iotlb_leave(iotlb);
	if (rc)
		return rc;
	/*
	 * The device may have it for reading also if it did not say so; for writing only if it did.
	 */
	grant->prot = at.prot & (IOMMU_READ | (access & IOMMU_WRITE));
	if (access & ~grant->prot)
		return dma_fault_set(fault, IOMMU_XLAT_PERMISSION, iova, iotlb->pasid, access);
	before = MIN(iova, at.pa) & ~PAGE_MASK;
	grant->pasid = iotlb->pasid;
	grant->first = iova - before;
	grant->last = iova + at.run - 1;
	grant->node.first = at.pa;
	grant->node.last = at.pa + at.run - 1;
	rc = ats_warm(iotlb);
	if (rc)
		return rc;
	*ret = (struct iommufd_ats_translation){
		.pa = at.pa, .length = at.run, .prot = grant->prot,
	};
	return grant_insert(iotlb, grant, seq) ? 0 : -EAGAIN;
}

int iommufd_ats_translate(struct device *dev, ioasid_t pasid, u64 iova, unsigned int access,
			  struct iommufd_ats_translation *ret, struct iommufd_dma_fault *fault)
{
	struct iotlb *iotlb = iotlb_get(dev, pasid);
	struct dma_grant *grant;
	int rc;

	if (!dev->dma)
		return dma_fault_set(fault, IOMMU_XLAT_NOT_ATTACHED, iova, pasid, access);
	dma_fault_set(fault, IOMMU_XLAT_OK, iova, pasid, access);
	grant = iotlb ? zalloc(sizeof(*grant)) : NULL;
	if (!grant)
		return -ENOMEM;
	do
		rc = ats_try(iotlb, iova, access, grant, ret, fault);
	while (rc == -EAGAIN);
	if (rc)
		free(grant);
	return rc;
}

/* ---- translated requests ---- */

/* The end of what may be accessed from @pa on, and which iova that is; false: nothing. */
static bool grant_covers(struct iommu_dma *dma, u64 pa, unsigned int access, u64 *ret_last,
			 u64 *ret_iova)
{
	struct itree_node *node;

	for (node = itree_first(&dma->grants, pa, pa); node; node = itree_next(node, pa, pa)) {
		const struct dma_grant *grant = container_of(node, struct dma_grant, node);

		if (access & ~grant->prot)
			continue;
		*ret_last = node->last;
		*ret_iova = grant->last - (node->last - pa);
		return true;
	}
	return false;
}

static int ats_ram_copy(struct mem_space *mem, u64 pa, u8 *buf, size_t len, unsigned int access)
{
	return access & IOMMU_WRITE ? mem_ram_write(mem, pa, buf, len) :
				      mem_ram_read(mem, pa, buf, len);
}

/* Another device's registers: its model runs, so no lock is held, as in dma_peer(). */
static int ats_peer_copy(struct mem_space *mem, u64 pa, u8 *buf, size_t len, unsigned int access)
{
	return access & IOMMU_WRITE ? mem_phys_write(mem, pa, buf, len) :
				      mem_phys_read(mem, pa, buf, len);
}

static int ats_gone(struct iommufd_dma_fault *fault, u64 pa, unsigned int access)
{
	dma_fault_set(fault, IOMMU_XLAT_OK, pa, IOMMU_NO_PASID, access);
	return -EIO;
}

static int ats_copy(struct device *dev, u64 pa, u8 *buf, size_t len, unsigned int access,
		    struct iommufd_dma_fault *fault)
{
	struct iommu_dma *dma = dev->dma;
	int rc = 0;
	u64 last, iova;

	if (len && range_last(pa, len, &last)) {
		dma_fault_set(fault, IOMMU_XLAT_OUT_OF_RANGE, pa, IOMMU_NO_PASID, access);
		return -EINVAL;
	}
	if (!dma)
		return dma_fault_set(fault, IOMMU_XLAT_NOT_ATTACHED, pa, IOMMU_NO_PASID, access);
	while (len && !rc) {
		struct mem_space *mem;
		bool granted;
		size_t n = 0;

		/* The lock is held until the memory was touched: an invalidation waits for it. */
		read_lock(&dma->ats_lock);
		mem = dma->ats_mem;
		granted = grant_covers(dma, pa, access, &last, &iova);
		if (granted) {
			n = MIN(len, last - pa + 1);
			rc = ats_ram_copy(mem, pa, buf, n, access);
			if (access & IOMMU_WRITE)
				dma_log_wrote(dma, iova, n);
		}
		read_unlock(&dma->ats_lock);
		if (rc == -EREMOTEIO)
			rc = ats_peer_copy(mem, pa, buf, n, access);
		if (!granted)
			rc = dma_fault_set(fault, IOMMU_XLAT_PERMISSION, pa, IOMMU_NO_PASID,
					   access);
		else if (rc)
			rc = ats_gone(fault, pa, access);
		pa += n;
		buf += n;
		len -= n;
	}
	return rc;
}

int iommufd_ats_read(struct device *dev, u64 pa, void *buf, size_t len,
		     struct iommufd_dma_fault *fault)
{
	return ats_copy(dev, pa, buf, len, IOMMU_READ, fault);
}

int iommufd_ats_write(struct device *dev, u64 pa, const void *buf, size_t len,
		      struct iommufd_dma_fault *fault)
{
	return ats_copy(dev, pa, (u8 *)(uintptr_t)buf, len, IOMMU_WRITE, fault);
}
