/* SPDX-License-Identifier: MIT */
/*
 * Invalidating, and what a domain keeps for it.
 */
#include "iommu/iotlb.h"

#include <sched.h>

#include "base/alloc.h"
#include "iommu/dma_log.h"
#include "iommu/group.h"

/* ---- a domain's side ---- */

static struct iommu_domain_dma *domain_dma_alloc(void)
{
	struct iommu_domain_dma *dd = zalloc(sizeof(*dd));

	if (!dd)
		return NULL;
	mutex_init(&dd->lock);
	pthread_cond_init(&dd->returned, NULL);
	CDS_INIT_LIST_HEAD(&dd->links);
	CDS_INIT_LIST_HEAD(&dd->borrows);
	CDS_INIT_LIST_HEAD(&dd->ats);
	return dd;
}

static void domain_dma_free(struct iommu_domain_dma *dd)
{
	assert(cds_list_empty(&dd->links) && cds_list_empty(&dd->borrows) &&
	       cds_list_empty(&dd->ats));
	pthread_cond_destroy(&dd->returned);
	mutex_destroy(&dd->lock);
	free(dd);
}

int domain_dma_get(struct iommu_domain *domain, struct iommu_domain_dma **ret_dd)
{
	struct iommu_domain_dma *dd = domain_dma(domain), *fresh;

	if (!dd) {
		fresh = domain_dma_alloc();
		if (!fresh)
			return -ENOMEM;
		if (__atomic_compare_exchange_n(&domain->dma, &dd, fresh, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			dd = fresh;
		else
			domain_dma_free(fresh);
	}
	/* For domain_used() on whichever CPU has not seen it yet. */
	if (!atomic_load_explicit(&dd->fenced, memory_order_acquire)) {
		asym_fence_heavy();
		atomic_store_explicit(&dd->fenced, true, memory_order_release);
	}
	*ret_dd = dd;
	return 0;
}

void iommu_dma_domain_free(struct iommu_domain *domain)
{
	struct iommu_domain_dma *dd = domain_dma(domain);

	if (!dd)
		return;
	domain->dma = NULL;
	domain_dma_free(dd);
}

/* ---- one cache ---- */

static void iotlb_close(struct iotlb *iotlb)
{
	atomic_fetch_add_explicit(&iotlb->gate, IOTLB_GATE_CLOSER, memory_order_relaxed);
	/* Who sees the count sees the gate. */
	atomic_fetch_add_explicit(&iotlb->seq, 1, memory_order_release);
}

static void iotlb_open(struct iotlb *iotlb)
{
	atomic_fetch_sub_explicit(&iotlb->gate, IOTLB_GATE_CLOSER, memory_order_release);
}

/* The gate is closed and a fence has passed: who is not seen inside will see the gate. */
static void iotlb_wait(struct iotlb *iotlb)
{
	unsigned int spins = 0;

	/* It is copying; or it was preempted, perhaps by us. */
	while (atomic_load_explicit(&iotlb->inside, memory_order_acquire))
		if (++spins > 200)
			sched_yield();
}

void iotlb_void_tables(struct iotlb *iotlb)
{
	for (int i = 0; i < IOTLB_TABLES; i++)
		iotlb->tables[i].tag = 0;
}

/* Others may close and open the gate meanwhile, or do the same. */
static void iotlb_forget_tables(struct iotlb *iotlb)
{
	u64 old = atomic_load_explicit(&iotlb->gate, memory_order_relaxed), new;

	do {
		new = old + 1;
		if (unlikely(!(new & IOTLB_GATE_GENERATION)))
			new = (old & ~IOTLB_GATE_GENERATION) | 1;
	} while (!atomic_compare_exchange_weak_explicit(&iotlb->gate, &old, new,
							memory_order_acq_rel,
							memory_order_relaxed));
	if (unlikely((new & IOTLB_GATE_GENERATION) == 1))
		iotlb_void_tables(iotlb);
}

void iotlb_clear(struct iotlb *iotlb)
{
	iotlb_forget_tables(iotlb);
	for (int i = 0; i < IOTLB_ENTRIES; i++)
		iotlb_entry_clear(&iotlb->entries[i]);
}

static bool key_matches(u64 key, u64 first, u64 last)
{
	unsigned int lg2 = key & IOTLB_LG2;
	u64 mask = BIT_ULL(lg2) - 1, page = key & PAGE_MASK & ~mask;

	return key != IOTLB_NONE && page <= last && (page | mask) >= first;
}

/**
 * enum flush_what - what is to be dropped
 * @FLUSH_PAGES: translations; tables are what they were
 * @FLUSH_ALL: these, and what is known of tables
 * @FLUSH_POINTERS: tables, and how to reach memory without asking where it is
 */
enum flush_what { FLUSH_PAGES, FLUSH_ALL, FLUSH_POINTERS };

/* A part of an entry of the tables is all of it. */
static void iotlb_drop_range(struct iotlb *iotlb, u64 first, u64 last, enum flush_what what)
{
	if (what != FLUSH_PAGES)
		iotlb_forget_tables(iotlb);
	for (int i = 0; i < IOTLB_ENTRIES; i++) {
		struct iotlb_entry *entry = &iotlb->entries[i];

		if (!key_matches(atomic_load_explicit(&entry->key, memory_order_relaxed), first,
				 last))
			continue;
		if (what == FLUSH_POINTERS)
			atomic_store_explicit(&entry->host, 0, memory_order_relaxed);
		else
			iotlb_entry_clear(entry);
	}
}

static void link_cool(struct iotlb_link *link)
{
	if (!atomic_load_explicit(&link->warm, memory_order_relaxed))
		return;
	atomic_store_explicit(&link->warm, false, memory_order_relaxed);
	atomic_fetch_sub_explicit(&link->domain->nwarm, 1, memory_order_relaxed);
}

void iotlb_unlink(struct iotlb *iotlb)
{
	atomic_store_explicit(&iotlb->linked, false, memory_order_relaxed);
	for (int i = 0; i < 2; i++) {
		struct iotlb_link *link = &iotlb->links[i];

		if (!link->domain)
			continue;
		mutex_lock(&link->domain->lock);
		link_cool(link);
		cds_list_del(&link->node);
		mutex_unlock(&link->domain->lock);
		link->domain = NULL;
	}
	iotlb->domain = NULL;
}

/* ---- by domain ---- */

static void dma_count_flush(struct iommu_dma *dma)
{
	atomic_fetch_add_explicit(&dma->invalidations, 1, memory_order_relaxed);
}

/* Those nobody used since the last time are emptied; they need no looking at until they are. */
static bool link_is_idle(struct iotlb_link *link)
{
	u64 lookups = iotlb_lookups(link->iotlb);
	bool idle = lookups == link->lookups;

	link->lookups = lookups;
	return idle;
}

static void dd_flush_iotlbs(struct iommu_domain_dma *dd, u64 first, u64 last, enum flush_what what)
	 __must_hold(&dd->lock)
{
	struct iotlb_link *link;

	cds_list_for_each_entry(link, &dd->links, node) {
		iotlb_close(link->iotlb);
		dma_count_flush(link->iotlb->dma);
	}
	asym_fence_heavy();
	cds_list_for_each_entry(link, &dd->links, node) {
		/* What is nested in this has entries by other addresses. */
		bool all = link == &link->iotlb->links[1];

		iotlb_wait(link->iotlb);
		if (link_is_idle(link)) {
			link_cool(link);
			iotlb_clear(link->iotlb);
		} else {
			iotlb_drop_range(link->iotlb, all ? 0 : first, all ? UINT64_MAX : last,
					 what);
		}
		iotlb_open(link->iotlb);
	}
}

static void dd_flush(struct iommu_domain_dma *dd, u64 first, u64 last, enum flush_what what)
{
	mutex_lock(&dd->lock);
	atomic_fetch_add_explicit(&dd->flushes, 1, memory_order_relaxed);
	dd->flush_first = first;
	dd->flush_last = last;
	dd_flush_iotlbs(dd, first, last, what);
	dma_drop_grants(dd, first, last);
	dma_wait_borrows(dd, first, last, NULL, 0, false);
	mutex_unlock(&dd->lock);
}

/* Older borrows are to be waited for; but not all of any range goes, for others to rely on. */
static void dd_count_partial(struct iommu_domain_dma *dd) __must_hold(&dd->lock)
{
	atomic_fetch_add_explicit(&dd->flushes, 1, memory_order_relaxed);
	dd->flush_first = UINT64_MAX;
	dd->flush_last = 0;
}

/* What matches is known once the owner is outside: it may be about to fill. */
static void dd_flush_tag(struct iommu_domain_dma *dd, u64 tag, u64 mask, u64 first, u64 last)
	__must_hold(&dd->lock)
{
	struct iotlb_link *link;

	cds_list_for_each_entry(link, &dd->links, node) {
		iotlb_close(link->iotlb);
		dma_count_flush(link->iotlb->dma);
	}
	asym_fence_heavy();
	cds_list_for_each_entry(link, &dd->links, node) {
		iotlb_wait(link->iotlb);
		if (!((atomic_load_explicit(&link->iotlb->tag, memory_order_relaxed) ^ tag) & mask))
			iotlb_drop_range(link->iotlb, first, last, FLUSH_ALL);
		iotlb_open(link->iotlb);
	}
}

/* Is there anybody to tell?  What the caller changed in the tables comes before the question. */
static struct iommu_domain_dma *domain_used(struct iommu_domain *domain)
{
	struct iommu_domain_dma *dd;

	/* No DMA through it ever: the first one fences for us, and that before it walks. */
	asym_fence_light(asym_fence_real());
	dd = domain_dma(domain);
	if (likely(!dd))
		return NULL;
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&dd->nwarm, memory_order_relaxed) ? dd : NULL;
}

void iommufd_iotlb_flush(struct iommu_domain *domain, u64 first, u64 last)
{
	struct iommu_domain_dma *dd = domain_used(domain);

	if (unlikely(dd != NULL))
		dd_flush(dd, first, last, FLUSH_ALL);
}

void iommufd_iotlb_flush_pages(struct iommu_domain *domain, u64 first, u64 last)
{
	struct iommu_domain_dma *dd = domain_used(domain);

	if (unlikely(dd != NULL))
		dd_flush(dd, first, last, FLUSH_PAGES);
}

void iommufd_iotlb_flush_tag(struct iommu_domain *domain, u64 tag, u64 mask, u64 first, u64 last)
{
	struct iommu_domain_dma *dd = domain_used(domain);

	if (!dd)
		return;
	mutex_lock(&dd->lock);
	dd_count_partial(dd);
	dd_flush_tag(dd, tag, mask, first, last);
	dma_wait_borrows(dd, first, last, NULL, 0, false);
	mutex_unlock(&dd->lock);
}

u64 iommu_dma_sync_begin(struct iommu_domain *domain)
{
	struct iommu_domain_dma *dd = domain_dma(domain);

	return dd ? atomic_load_explicit(&dd->flushes, memory_order_relaxed) : 0;
}

void iommu_dma_sync_end(struct iommu_domain *domain, u64 first, u64 last, u64 begun)
{
	struct iommu_domain_dma *dd = domain_dma(domain);
	bool flushed;

	if (likely(!dd || !atomic_load_explicit(&dd->nwarm, memory_order_relaxed)))
		return;
	mutex_lock(&dd->lock);
	flushed = atomic_load_explicit(&dd->flushes, memory_order_relaxed) != begun &&
		  dd->flush_first <= first && dd->flush_last >= last;
	mutex_unlock(&dd->lock);
	if (!flushed)
		dd_flush(dd, first, last, FLUSH_POINTERS);
}

/* ---- by device ---- */

static bool iotlb_meant(const struct iotlb *iotlb, ioasid_t pasid, bool all_pasids)
{
	return all_pasids || iotlb->pasid == pasid;
}

/* Keep the owners out of caches that are to be emptied, and perhaps unlinked. */
static void dma_drop_iotlbs(struct iommu_dma *dma, ioasid_t pasid, bool all_pasids, bool unlink)
	__must_hold(&dma->lock)
{
	struct iotlb *iotlb;
	bool any = false;

	cds_list_for_each_entry(iotlb, &dma->iotlbs, dev_node) {
		if (!iotlb_meant(iotlb, pasid, all_pasids) ||
		    !atomic_load_explicit(&iotlb->linked, memory_order_relaxed))
			continue;
		iotlb_close(iotlb);
		any = true;
	}
	if (!any)
		return;
	dma_count_flush(dma);
	asym_fence_heavy();
	cds_list_for_each_entry(iotlb, &dma->iotlbs, dev_node) {
		if (!iotlb_meant(iotlb, pasid, all_pasids) ||
		    !atomic_load_explicit(&iotlb->linked, memory_order_relaxed))
			continue;
		iotlb_wait(iotlb);
		iotlb_clear(iotlb);
		if (unlink)
			iotlb_unlink(iotlb);
		iotlb_open(iotlb);
	}
}

static void dma_drop(struct iommu_dma *dma, ioasid_t pasid, bool all_pasids, bool unlink)
	__must_hold(&dma->lock)
{
	dma_drop_iotlbs(dma, pasid, all_pasids, unlink);
	dma_drop_device_grants(dma, pasid, all_pasids, unlink);
}

static void dma_flush(struct device *dev, ioasid_t pasid, bool all_pasids)
{
	struct iommu_dma *dma = dev->dma;

	if (!dma)
		return;
	mutex_lock(&dma->lock);
	dma_drop(dma, pasid, all_pasids, false);
	mutex_unlock(&dma->lock);
}

void iommufd_iotlb_flush_pasid(struct device *dev, ioasid_t pasid)
{
	dma_flush(dev, pasid, false);
}

void iommufd_iotlb_flush_device(struct device *dev)
{
	dma_flush(dev, 0, true);
}

void iommu_dma_switched(struct device *dev, ioasid_t pasid, struct iommu_domain *old)
{
	struct iommu_domain *rid = dev->iommu_group->domain;
	struct iommu_dma *dma = dev->dma;
	struct iommu_domain_dma *dd;
	bool all_pasids;

	/* PASIDs with no domain of their own may have used the guest's tables of the RID. */
	all_pasids = pasid == IOMMU_NO_PASID && old && old->type == IOMMU_DOMAIN_NESTED;
	if (pasid != IOMMU_NO_PASID && !old && rid && rid->type == IOMMU_DOMAIN_NESTED)
		old = rid;
	if (!dma)
		return;
	mutex_lock(&dma->lock);
	dma_drop(dma, pasid, all_pasids, true);
	/* Not before: the first DMA through it may just have made it. */
	dd = old ? domain_dma(old) : NULL;
	mutex_unlock(&dma->lock);
	if (!dd)
		return;
	mutex_lock(&dd->lock);
	dd_count_partial(dd);
	dma_wait_borrows(dd, 0, UINT64_MAX, dma, pasid, all_pasids);
	mutex_unlock(&dd->lock);
}

/* ---- a device from beginning to end ---- */

int iommu_dma_create(struct device *dev)
{
	struct iommu_dma *dma = zalloc(sizeof(*dma));

	if (!dma)
		return -ENOMEM;
	atomic_init(&dma->refs, 1);
	dma->dev = dev;
	mutex_init(&dma->lock);
	mutex_init(&dma->page_lock);
	mutex_init(&dma->log_lock);
	pthread_cond_init(&dma->all_returned, NULL);
	cond_init(&dma->page_answered);
	rwlock_init(&dma->ats_lock);
	itree_init(&dma->grants);
	CDS_INIT_LIST_HEAD(&dma->iotlbs);
	CDS_INIT_LIST_HEAD(&dma->ats);
	dev->dma = dma;
	return 0;
}

void dma_put(struct iommu_dma *dma)
{
	if (atomic_fetch_sub_explicit(&dma->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(cds_list_empty(&dma->iotlbs) && itree_empty(&dma->grants));
	free(dma->waiters);
	rwlock_destroy(&dma->ats_lock);
	pthread_cond_destroy(&dma->page_answered);
	pthread_cond_destroy(&dma->all_returned);
	mutex_destroy(&dma->log_lock);
	mutex_destroy(&dma->page_lock);
	mutex_destroy(&dma->lock);
	free(dma);
}

/* Caches end with their threads; until then they point at nothing. */
void iommu_dma_destroy(struct device *dev)
{
	struct iommu_dma *dma = dev->dma;
	struct iotlb *iotlb;

	if (!dma)
		return;
	iommu_dma_log_stop(dev);
	mutex_lock(&dma->lock);
	dma_drop(dma, 0, true, true);
	dma->dev = NULL;
	cds_list_for_each_entry(iotlb, &dma->iotlbs, dev_node)
		atomic_store_explicit(&iotlb->dev, NULL, memory_order_relaxed);
	mutex_unlock(&dma->lock);
	dev->dma = NULL;
	dma_put(dma);
}

static void dma_set(struct device *dev, struct dma_system *sys)
{
	struct iommu_dma *dma = dev->dma;

	if (!dma)
		return;
	mutex_lock(&dma->lock);
	dma->sys = sys;
	dma_drop(dma, 0, true, true);
	mutex_unlock(&dma->lock);
}

void iommu_dma_bind(struct device *dev, struct dma_system *sys)
{
	dma_set(dev, sys);
}

void iommu_dma_unbind(struct device *dev)
{
	dma_set(dev, NULL);
}

void iommufd_dma_bus_master(struct device *dev, bool on)
{
	struct iommu_dma *dma = dev->dma;

	if (!dma)
		return;
	mutex_lock(&dma->lock);
	dma->no_master = !on;
	dma_drop(dma, 0, true, true);
	while (dma->no_master && dma->borrows)
		mutex_wait(&dma->lock, &dma->all_returned);
	mutex_unlock(&dma->lock);
}

void iommufd_iotlb_counters(struct device *dev, struct iommufd_iotlb_counters *ret)
{
	struct iommu_dma *dma = dev->dma;
	struct iotlb *iotlb;

	*ret = (struct iommufd_iotlb_counters){ 0 };
	if (!dma)
		return;
	mutex_lock(&dma->lock);
	*ret = dma->gone;
	cds_list_for_each_entry(iotlb, &dma->iotlbs, dev_node) {
		ret->lookups += iotlb_lookups(iotlb);
		ret->walks += atomic_load_explicit(&iotlb->walks, memory_order_relaxed);
	}
	ret->hits = ret->lookups - MIN(ret->walks, ret->lookups);
	ret->invalidations = atomic_load_explicit(&dma->invalidations, memory_order_relaxed);
	mutex_unlock(&dma->lock);
}
