/* SPDX-License-Identifier: MIT */
/*
 * A thread's caches: finding, linking, filling.  What makes it work is at the
 * top of iotlb.h.
 */
#include "iommu/iotlb.h"

#include <sched.h>
#include <string.h>

#include "base/alloc.h"
#include "iommu/dma_check.h"
#include "iommu/group.h"

#define THREAD_TABLE 64

/**
 * struct dma_thread - all caches of a thread
 * @table: the one used last of each hash
 * @iotlbs, @count: those searched for last in front; a device may name any number of PASIDs
 */
struct dma_thread {
	struct iotlb *table[THREAD_TABLE];
	struct cds_list_head iotlbs;
	u32 count;
};

struct iotlb iotlb_none;
__thread struct iotlb *iotlb_last __attribute__((tls_model("initial-exec"))) = &iotlb_none;
static __thread struct dma_thread *dma_thread __attribute__((tls_model("initial-exec")));

/* Only for hearing of a thread's end; as with guarded copies, one per process must do. */
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static bool thread_key_works;

/* ---- coming and going ---- */

static void iotlb_free(struct iotlb *iotlb)
{
	struct iommu_dma *dma = iotlb->dma;

	mutex_lock(&dma->lock);
	iotlb_unlink(iotlb);
	cds_list_del(&iotlb->dev_node);
	dma->gone.lookups += iotlb_lookups(iotlb);
	dma->gone.walks += atomic_load_explicit(&iotlb->walks, memory_order_relaxed);
	mutex_unlock(&dma->lock);
	dma_put(dma);
	free(iotlb);
}

static void thread_free(void *data)
{
	struct dma_thread *thread = data;
	struct iotlb *iotlb, *next;

	iotlb_last = &iotlb_none;
	dma_thread = NULL;
	cds_list_for_each_entry_safe(iotlb, next, &thread->iotlbs, thread_node)
		iotlb_free(iotlb);
	free(thread);
}

static void thread_setup(void)
{
	thread_key_works = !pthread_key_create(&thread_key, thread_free);
}

static struct dma_thread *thread_get(void)
{
	struct dma_thread *thread = dma_thread;

	if (thread)
		return thread;
	pthread_once(&thread_once, thread_setup);
	thread = thread_key_works ? zalloc(sizeof(*thread)) : NULL;
	if (!thread)
		return NULL;
	if (pthread_setspecific(thread_key, thread)) {
		free(thread);
		return NULL;
	}
	CDS_INIT_LIST_HEAD(&thread->iotlbs);
	dma_thread = thread;
	return thread;
}

static void thread_drop(struct dma_thread *thread, struct iotlb *iotlb)
{
	cds_list_del(&iotlb->thread_node);
	thread->count--;
	for (int i = 0; i < THREAD_TABLE; i++)
		if (thread->table[i] == iotlb)
			thread->table[i] = NULL;
	if (iotlb_last == iotlb)
		iotlb_last = &iotlb_none;
	iotlb_free(iotlb);
}

/*
 * Caches of devices that are gone; and if there are too many, one that was not searched for long.
 */
static void thread_sweep(struct dma_thread *thread)
{
	struct iotlb *iotlb, *next, *oldest = NULL;

	cds_list_for_each_entry_safe(iotlb, next, &thread->iotlbs, thread_node) {
		if (iotlb->held)
			continue;
		if (atomic_load_explicit(&iotlb->dev, memory_order_relaxed))
			oldest = iotlb;
		else
			thread_drop(thread, iotlb);
	}
	if (oldest && thread->count >= IOTLBS_PER_THREAD)
		thread_drop(thread, oldest);
}

static struct iotlb *iotlb_alloc(struct device *dev, ioasid_t pasid)
{
	struct iotlb *iotlb;

	if (fault_point("iotlb"))
		return NULL;
	iotlb = aligned_alloc(64, sizeof(*iotlb));
	if (!iotlb)
		return NULL;
	memset(iotlb, 0, sizeof(*iotlb));
	atomic_init(&iotlb->dev, dev);
	iotlb->pasid = pasid;
	atomic_init(&iotlb->gate, 1 | (asym_fence_setup() ? IOTLB_GATE_FENCED : 0));
	iotlb->dma = dev->dma;
	for (int i = 0; i < IOTLB_ENTRIES; i++)
		iotlb_entry_clear(&iotlb->entries[i]);
	for (int i = 0; i < 2; i++)
		iotlb->links[i].iotlb = iotlb;
	atomic_fetch_add_explicit(&iotlb->dma->refs, 1, memory_order_relaxed);
	mutex_lock(&iotlb->dma->lock);
	cds_list_add(&iotlb->dev_node, &iotlb->dma->iotlbs);
	mutex_unlock(&iotlb->dma->lock);
	return iotlb;
}

static struct iotlb *thread_search(struct dma_thread *thread, struct device *dev, ioasid_t pasid)
{
	struct iotlb *iotlb;

	cds_list_for_each_entry(iotlb, &thread->iotlbs, thread_node) {
		if (!iotlb_is_of(iotlb, dev, pasid))
			continue;
		cds_list_del(&iotlb->thread_node);
		cds_list_add(&iotlb->thread_node, &thread->iotlbs);
		return iotlb;
	}
	thread_sweep(thread);
	iotlb = iotlb_alloc(dev, pasid);
	if (iotlb) {
		cds_list_add(&iotlb->thread_node, &thread->iotlbs);
		thread->count++;
	}
	return iotlb;
}

struct iotlb *iotlb_find(struct device *dev, ioasid_t pasid)
{
	struct dma_thread *thread;
	struct iotlb **slot;

	if (!dev->dma)
		return NULL;
	thread = thread_get();
	if (!thread)
		return NULL;
	slot = &thread->table[(((uintptr_t)dev >> 6) * 31 + pasid) % THREAD_TABLE];
	if (!*slot || !iotlb_is_of(*slot, dev, pasid)) {
		struct iotlb *iotlb = thread_search(thread, dev, pasid);

		if (!iotlb)
			return NULL;
		*slot = iotlb;
	}
	iotlb_last = *slot;
	return *slot;
}

/* ---- linking ---- */

static enum iommu_xlat_fault dma_attached(struct iommu_dma *dma, ioasid_t pasid,
					  struct iommu_domain **ret_domain)
	__must_hold(&dma->lock)
{
	struct iommu_group *group = dma->dev ? dma->dev->iommu_group : NULL;
	struct iommu_domain *domain = NULL;
	struct itree_node *node;

	if (!group || !dma->sys)
		return IOMMU_XLAT_NOT_ATTACHED;
	if (dma->no_master)
		return IOMMU_XLAT_BLOCKED;
	mutex_lock(&group->fault_lock);
	if (pasid == IOMMU_NO_PASID) {
		domain = group->domain;
	} else {
		node = itree_first(&group->pasids, pasid, pasid);
		if (node)
			domain = container_of(node, struct iommu_attach_handle, node)->domain;
		else if (dma->dev->ops->user_pasid_table && group->domain &&
			 group->domain->type == IOMMU_DOMAIN_NESTED)
			domain = group->domain; /* the guest's table knows the PASID, or not */
	}
	mutex_unlock(&group->fault_lock);
	if (!domain)
		return IOMMU_XLAT_NOT_ATTACHED;
	if (domain->type == IOMMU_DOMAIN_BLOCKED || domain == group->blocking_domain)
		return IOMMU_XLAT_BLOCKED;
	/* It stays: who detaches it waits for dma->lock before it says so. */
	*ret_domain = domain;
	return IOMMU_XLAT_OK;
}

static void link_add(struct iotlb_link *link, struct iommu_domain_dma *dd)
{
	link->domain = dd;
	mutex_lock(&dd->lock);
	cds_list_add(&link->node, &dd->links);
	mutex_unlock(&dd->lock);
}

static int iotlb_link_domain(struct iotlb *iotlb, struct iommu_domain *domain)
{
	struct iommu_domain_dma *own, *parents = NULL;
	int rc;

	rc = domain_dma_get(domain, &own);
	if (!rc && domain->parent)
		rc = domain_dma_get(domain->parent, &parents);
	if (rc)
		return rc;
	iotlb->domain = domain;
	iotlb->sys = iotlb->dma->sys;
	iotlb->phys_host = ((const struct mem_space_front *)iotlb->sys->mem)->phys_host;
	iotlb->binds++;
	link_add(&iotlb->links[0], own);
	if (parents)
		link_add(&iotlb->links[1], parents);
	atomic_store_explicit(&iotlb->linked, true, memory_order_relaxed);
	return 0;
}

static void link_warm(struct iotlb_link *link)
{
	struct iommu_domain_dma *dd = link->domain;

	if (!dd)
		return;
	mutex_lock(&dd->lock);
	if (!atomic_load_explicit(&link->warm, memory_order_relaxed)) {
		atomic_store_explicit(&link->warm, true, memory_order_relaxed);
		atomic_fetch_add_explicit(&dd->nwarm, 1, memory_order_relaxed);
	}
	mutex_unlock(&dd->lock);
}

int iotlb_link(struct iotlb *iotlb, u64 iova, unsigned int access,
	       enum iommu_xlat_fault *ret_reason)
{
	struct iommu_dma *dma = iotlb->dma;
	struct iommu_domain *domain;
	int rc = 0;

	*ret_reason = IOMMU_XLAT_OK;
	mutex_lock(&dma->lock);
	if (!atomic_load_explicit(&iotlb->linked, memory_order_relaxed)) {
		*ret_reason = dma_attached(dma, iotlb->pasid, &domain);
		rc = *ret_reason ? iommufd_dma_errno(*ret_reason) :
				   iotlb_link_domain(iotlb, domain);
		if (unlikely(*ret_reason && dma->sys && dma->sys->check))
			dma_check_unattached(dma->sys->check, iotlb, iova, access);
	}
	if (!rc)
		for (int i = 0; i < 2; i++)
			link_warm(&iotlb->links[i]);
	mutex_unlock(&dma->lock);
	/* Either a flush sees nwarm, or the walk to come sees what went before the flush. */
	atomic_thread_fence(memory_order_seq_cst);
	return rc;
}

static bool iotlb_ready(struct iotlb *iotlb)
{
	if (!atomic_load_explicit(&iotlb->linked, memory_order_relaxed) ||
	    !atomic_load_explicit(&iotlb->links[0].warm, memory_order_relaxed))
		return false;
	return !iotlb->links[1].domain ||
	       atomic_load_explicit(&iotlb->links[1].warm, memory_order_relaxed);
}

/* ---- missing ---- */

static enum iommu_xlat_fault domain_walk(const struct iotlb *iotlb, u64 iova, unsigned int access,
					 struct iommu_xlat *x)
{
	struct iommu_domain *domain = iotlb->domain;
	u64 pages = domain->pgsize_bitmap;
	const struct device *dev;

	if (likely(domain->ops->translate))
		return domain->ops->translate(domain, iova, access, x);
	if (domain->ops->translate_nested) {
		/* What it is attached to stays while this thread is inside, and so does it. */
		dev = atomic_load_explicit(&iotlb->dev, memory_order_relaxed);
		return domain->ops->translate_nested(domain, (struct device *)(uintptr_t)dev,
						     iotlb->pasid, iova, access, x);
	}
	if (!domain->ops->iova_to_phys)
		return IOMMU_XLAT_BLOCKED;
	x->pa = domain->ops->iova_to_phys(domain, iova);
	x->lg2 = pages ? (unsigned int)__builtin_ctzll(pages) : PAGE_SHIFT;
	x->prot = IOMMU_READ | IOMMU_WRITE;
	x->dirty = true;
	return x->pa ? IOMMU_XLAT_OK : IOMMU_XLAT_NOT_PRESENT;
}

static u64 xlat_run(const struct iommu_xlat *x, u64 iova)
{
	return BIT_ULL(x->lg2) - (iova & (BIT_ULL(x->lg2) - 1));
}

static void iotlb_fill(struct iotlb *iotlb, u64 iova, const struct iommu_xlat *x)
{
	struct iotlb_entry *entry = iotlb_slot(iotlb, iova);
	u64 page = iova & PAGE_MASK, off = iova & ~PAGE_MASK;
	u64 read = x->prot & IOMMU_READ ? page : IOTLB_NONE;
	u64 write = x->prot & IOMMU_WRITE && x->dirty ? page : IOTLB_NONE;
	bool check = iotlb->sys->check;

	/* Checked, each access comes to the slow path. */
	atomic_store_explicit(&entry->tag[IOTLB_READ], check ? IOTLB_NONE : read,
			      memory_order_relaxed);
	atomic_store_explicit(&entry->tag[IOTLB_WRITE], check ? IOTLB_NONE : write,
			      memory_order_relaxed);
	if (unlikely(check)) {
		atomic_store_explicit(&entry->shadow[IOTLB_READ], read, memory_order_relaxed);
		atomic_store_explicit(&entry->shadow[IOTLB_WRITE], write, memory_order_relaxed);
	}
	atomic_store_explicit(&entry->key, page | x->lg2 | (u64)(x->prot & 3) << 6,
			      memory_order_relaxed);
	atomic_store_explicit(&entry->host, (uintptr_t)IOTLB_UNKNOWN, memory_order_relaxed);
	entry->pa = x->pa - off;
	entry->run = xlat_run(x, iova) + off;
}

/* Tables read another way are void. */
static void iotlb_set_leaf(struct iotlb *iotlb, const struct iommu_leaf_bits *leaf)
{
	iotlb_void_tables(iotlb);
	iotlb->leaf_address = leaf->address;
	for (int i = 0; i < 2; i++) {
		iotlb->leaf_bits[2 * i] = leaf->mask[i];
		iotlb->leaf_bits[2 * i + 1] = leaf->want[i];
	}
	iotlb->leaf = leaf;
}

static void iotlb_fill_table(struct iotlb *iotlb, u64 iova, const struct iommu_xlat *x)
{
	struct iotlb_table *t = &iotlb->tables[(iova >> IOTLB_TABLE_SHIFT) % IOTLB_TABLES];

	/* Checked or logged, each access comes to the slow path. */
	if (!x->table || unlikely(iotlb->sys->check) || unlikely(dma_log_is_on(iotlb->dma)))
		return;
	if (unlikely(iotlb->leaf != x->leaf))
		iotlb_set_leaf(iotlb, x->leaf);
	t->table = x->table;
	t->tag = (iova & IOTLB_TABLE_MASK) |
		 (atomic_load_explicit(&iotlb->gate, memory_order_relaxed) & IOTLB_GATE_GENERATION);
}

void iotlb_resolve(struct iotlb *iotlb, u64 iova, struct dma_at *at)
{
	struct iotlb_entry *entry = iotlb_slot(iotlb, iova);
	u64 off = iova & ~PAGE_MASK, len;
	u64 key = atomic_load_explicit(&entry->key, memory_order_relaxed);
	bool mine = (key & PAGE_MASK) == (iova & PAGE_MASK) && key != IOTLB_NONE &&
		    entry->pa + off == at->pa;

	at->host = mem_phys_ptr(iotlb->sys->mem, at->pa, &len);
	if (at->host)
		at->run = MIN(at->run, len);
	if (!mine || (at->host && off && (uintptr_t)at->host < off))
		return;
	if (at->host)
		entry->run = MIN(entry->run, len + off);
	atomic_store_explicit(&entry->host, at->host ? (uintptr_t)at->host - off : 0,
			      memory_order_relaxed);
}

/* The answer of a walk, or of the entry that a hit of the checker's found. */
static void iotlb_answer(struct iotlb *iotlb, u64 iova, const struct iommu_xlat *x,
			struct dma_at *at)
{
	at->pa = x->pa;
	at->run = xlat_run(x, iova);
	at->prot = x->prot;
	at->host = IOTLB_UNKNOWN;
	/* Smaller entries than a CPU page are walked each time. */
	iotlb_fill_table(iotlb, iova, x);
	if (likely(x->lg2 >= PAGE_SHIFT))
		iotlb_fill(iotlb, iova, x);
}

static int iotlb_refuse(struct iotlb *iotlb, u64 iova, unsigned int access,
			enum iommu_xlat_fault reason, const struct iommu_xlat *x,
			struct iommufd_dma_fault *fault)
{
	int rc = dma_fault_set(fault, reason, iova, iotlb->pasid, access);

	if (fault)
		fault->stage2 = x->stage2;
	if (iotlb->sys->check)
		dma_check_refused(iotlb->sys->check, iotlb, iova, access, reason, x);
	return rc;
}

/* With the checker on, a hit is found here, and held against the tables. */
static bool iotlb_checked_hit(struct iotlb *iotlb, u64 iova, unsigned int access,
			      enum iommu_xlat_fault reason, const struct iommu_xlat *fresh,
			      struct dma_at *at)
{
	struct iotlb_entry *entry = iotlb_slot(iotlb, iova);
	int which = access & IOMMU_WRITE ? IOTLB_WRITE : IOTLB_READ;
	u64 off = iova & ~PAGE_MASK;

	if (atomic_load_explicit(&entry->shadow[which], memory_order_relaxed) !=
	    (iova & PAGE_MASK))
		return false;
	if (reason || fresh->pa != entry->pa + off)
		dma_check_stale(iotlb->sys->check, iotlb, iova, access);
	at->host = (u8 *)(uintptr_t)atomic_load_explicit(&entry->host, memory_order_relaxed);
	if (at->host > IOTLB_UNKNOWN)
		at->host += off;
	at->pa = entry->pa + off;
	at->run = entry->run - off;
	at->prot = IOTLB_PROT(atomic_load_explicit(&entry->key, memory_order_relaxed));
	return true;
}

int iotlb_miss(struct iotlb *iotlb, u64 iova, unsigned int access, struct dma_at *at,
	       struct iommufd_dma_fault *fault)
{
	enum iommu_xlat_fault reason;
	struct iommu_xlat x;
	int rc;

	while (unlikely(!iotlb_ready(iotlb))) {
		iotlb_back_out(iotlb);
		rc = iotlb_link(iotlb, iova, access, &reason);
		iotlb_enter(iotlb);
		if (rc) {
			dma_fault_set(fault, reason, iova, iotlb->pasid, access);
			return rc;
		}
	}
	x.stage2 = false;
	x.table = NULL;
	x.tag = 0;
	reason = domain_walk(iotlb, iova, access, &x);
	iotlb_count(&iotlb->walks);
	if (unlikely(iotlb->sys->check) && iotlb_checked_hit(iotlb, iova, access, reason, &x, at))
		return 0;
	if (unlikely(reason))
		return iotlb_refuse(iotlb, iova, access, reason, &x, fault);
	x.lg2 = MIN(x.lg2, 63U);
	if (unlikely(x.tag != atomic_load_explicit(&iotlb->tag, memory_order_relaxed))) {
		iotlb_clear(iotlb);
		atomic_store_explicit(&iotlb->tag, x.tag, memory_order_relaxed);
	}
	iotlb_answer(iotlb, iova, &x, at);
	return 0;
}

static u64 iotlb_gate_closed(const struct iotlb *iotlb)
{
	return atomic_load_explicit(&iotlb->gate, memory_order_acquire) & IOTLB_GATE_CLOSED;
}

void iotlb_enter_barred(struct iotlb *iotlb)
{
	bool fenced = atomic_load_explicit(&iotlb->gate, memory_order_relaxed) & IOTLB_GATE_FENCED;

	for (;;) {
		asym_fence_light(fenced);
		if (!iotlb_gate_closed(iotlb))
			return;
		iotlb_back_out(iotlb);
		while (iotlb_gate_closed(iotlb))
			sched_yield();
		atomic_store_explicit(&iotlb->inside, 1, memory_order_relaxed);
	}
}
