/* SPDX-License-Identifier: MIT */
/*
 * The IOTLB.  Each thread has a cache of its own for each (device, PASID) it
 * does DMA through, so a hit writes nothing another thread reads often, and a
 * miss fills without a lock.
 *
 * Caches are linked to the domain they hold translations of (and, if that is
 * nested, to its parent).  Who invalidates, under the domain's lock:
 *
 *	1. closes the gate of each linked cache,
 *	2. makes every CPU pass a fence,
 *	3. waits until the owners are outside,
 *	4. drops entries that match, and opens the gates.
 *
 * The thread that owns a cache, for each piece of DMA: says that it is inside, looks at the gate
 * (closed: it goes out again and waits), looks up or walks and fills, touches the
 * memory, says that it is outside.  The fence of step 2 makes a light one enough between its
 * first two steps (base/asym_fence.h).
 *
 * So that an idle device costs an unmap nothing, a cache that was not used since the last
 * invalidation is emptied and no longer counted in the domain's nwarm; with nwarm 0 there is
 * nothing to do.  Its thread's next access misses, and counts it again before it walks.
 *
 * Where a model says how its last-level tables are read (struct iommu_xlat), a cache also has
 * where those tables are, as the paging-structure caches of hardware have.  They are asked
 * first: a random access among many pages is then a look here and a load of the table's entry.
 * What is invalidated is forgotten with all tables (by a number that is part of their tags), unless
 * it is said that no table was taken out.
 */
#ifndef IOMMU_IOTLB_H
#define IOMMU_IOTLB_H

#include <urcu/list.h>

#include "base/asym_fence.h"
#include "base/itree.h"
#include "iommu/dma.h"

#define IOTLBS_PER_THREAD 256
#define IOTLB_ENTRIES 64
#define IOTLB_TABLES  1024
#define IOTLB_TABLE_SHIFT 21 /* a table is the last level of 2 MiB */
#define IOTLB_TABLE_MASK  (~(BIT_ULL(IOTLB_TABLE_SHIFT) - 1))
#define IOTLB_NONE    1ULL /* no tag is this: tags are page addresses */
#define IOTLB_UNKNOWN ((u8 *)1) /* a host pointer nobody has asked for yet */
#define IOTLB_LG2     63ULL
#define IOTLB_PROT(key) ((unsigned int)((key) >> 6) & 3)

enum { IOTLB_READ, IOTLB_WRITE }; /* index of a tag */
static_assert(IOMMU_WRITE == 2, "index of a pair of leaf_bits");

/**
 * struct iotlb_entry - the translation of one CPU page, perhaps part of a larger entry
 * @tag: page address for which reading, and writing, needs no walk; or IOTLB_NONE
 * @shadow: the same while the checker wants to see every access
 * @key: page address, log2 of the table entry's size, rights << 6; IOTLB_NONE: empty
 * @host: of the page; 0: only reachable by copying (others make it that, too); or IOTLB_UNKNOWN
 * @pa: of the page; the owner's
 * @run: bytes that follow both @pa and @host; the owner's
 */
struct iotlb_entry {
	_Atomic u64 tag[2];
	_Atomic u64 shadow[2];
	_Atomic u64 key;
	_Atomic u64 host;
	u64 pa;
	u64 run;
};

/**
 * struct iotlb_table - where the last-level table of 2 MiB is; all of it the owner's
 * @tag: their address, and in the bits below the iotlb's gate, open, when it was found
 */
struct iotlb_table {
	u64 tag;
	const u64 *table;
};

struct iotlb;

/**
 * struct iotlb_link - a cache in a domain's list, under the domain's lock
 * @warm: counted in nwarm; read by the owner without the lock
 * @lookups: the cache's count at the last invalidation
 */
struct iotlb_link {
	struct cds_list_head node;
	struct iommu_domain_dma *domain;
	struct iotlb *iotlb;
	_Atomic bool warm;
	u64 lookups;
};

/**
 * struct iotlb - one thread's cache for one device and PASID
 * @dev, @pasid: whose; @dev is compared, never followed; NULL once it is gone
 * @inside: the owner is
 * @gate: IOTLB_GATE_*, of which those below IOTLB_TABLE_SHIFT must be what tags of tables have
 * @lookups, @walks: counted by the owner
 * @phys_host: of the space (mem_phys_host()); changed like @domain
 * @leaf_address, @leaf_bits: how entries of tables are read, a copy of @leaf with mask and want in
 *	turn; the owner's
 * @tag: of all translations in it; the owner's while it is inside
 * @domain, @sys: what it holds translations of; changed while @linked is false or the owner is kept
 *	out
 * @linked: usable: @domain is what is attached; under dma->lock, read by the owner
 * @binds: how often it was linked; the owner's
 * @held: the owner counts on it, and may search for others meanwhile; the owner's
 * @dma: of the device, counted
 * @dev_node: in dma->iotlbs, under dma->lock; @thread_node: the owner's
 * @seq: how often the gate was closed, for what outlives a stay inside
 */
/*
 * Lines of a cache are kept apart by padding, not by an alignment of the type: list macros make
 * a pointer to it of a list's head, which has none.
 */
#define IOTLB_PAD_OWN	 16
#define IOTLB_PAD_THEIRS 24

/*
 * The gate is one word, so that the short ways need one comparison: a table's tag is never what it
 * is while the gate is closed, where light fences are real ones, or after tables were forgotten.
 */
#define IOTLB_GATE_GENERATION (BIT_ULL(16) - 1) /* tags with another one are void; never 0 */
#define IOTLB_GATE_CLOSER     BIT_ULL(16)	/* times how many want the owner to stay out */
#define IOTLB_GATE_CLOSED     (BIT_ULL(20) - BIT_ULL(16))
#define IOTLB_GATE_FENCED     BIT_ULL(20) /* light fences are real ones */

struct iotlb {
	_Atomic(const struct device *) dev;
	ioasid_t pasid;
	_Atomic u32 inside;
	_Atomic u64 gate;
	_Atomic u64 lookups;
	u64 leaf_address;
	u64 leaf_bits[4];
	_Atomic uintptr_t *phys_host;
	_Atomic u64 walks;
	const struct iommu_leaf_bits *leaf;
	struct iommu_domain *domain;
	struct dma_system *sys;

	char own_lines[IOTLB_PAD_OWN];
	_Atomic u64 seq;
	_Atomic bool linked;
	u32 held;
	u64 binds;
	_Atomic u64 tag;
	struct iommu_dma *dma;
	struct iotlb_link links[2];
	struct cds_list_head dev_node;
	struct cds_list_head thread_node;

	char their_line[IOTLB_PAD_THEIRS];
	struct iotlb_entry entries[IOTLB_ENTRIES];
	struct iotlb_table tables[IOTLB_TABLES];
};

static_assert(offsetof(struct iotlb, seq) % 64 == 0, "a cache line of its owner's");
static_assert(offsetof(struct iotlb, entries) % 64 == 0, "whole cache lines");

/**
 * struct dma_borrow_link - a borrow in a domain's list, under its lock
 * @ticket: flushes with a higher number wait for it
 */
struct dma_borrow_link {
	struct cds_list_head node;
	struct iommu_domain_dma *domain; /* NULL: in no list */
	struct dma_borrow *borrow;
	u64 ticket;
};

/** struct dma_borrow - memory given out as pointers; [1]: the parent's side, of any address */
struct dma_borrow {
	struct dma_borrow_link links[2];
	struct iommu_dma *dma;
	ioasid_t pasid;
	u64 first;
	u64 last;
};

/**
 * struct dma_ats_link - grants of a device in a domain's list, under its lock
 * @warm: counted in nwarm
 */
struct dma_ats_link {
	struct cds_list_head node;
	struct iommu_domain_dma *domain;
	struct dma_ats *ats;
	bool warm;
};

/** struct dma_ats - where a device's grants of one PASID come from (dma_ats.c) */
struct dma_ats {
	struct cds_list_head dev_node; /* in dma->ats, under dma->lock */
	struct dma_ats_link links[2];
	struct iommu_dma *dma;
	ioasid_t pasid;
};

/**
 * struct iommu_domain_dma - who caches translations of a domain; made at the first DMA
 * @fenced: all CPUs have seen that there is one
 * @nwarm: caches, grants and borrows a flush must look for
 * @flushes: how many began; the ticket of borrows; the last was of [@flush_first, @flush_last]
 */
struct iommu_domain_dma {
	atomic_bool fenced;
	_Atomic u32 nwarm;
	_Atomic u64 flushes; /* written under lock */
	struct mutex lock;
	pthread_cond_t returned; /* a borrow ended; with lock */
	u64 flush_first __guarded_by(&lock);
	u64 flush_last __guarded_by(&lock);
	struct cds_list_head links __guarded_by(&lock);
	struct cds_list_head borrows __guarded_by(&lock);
	struct cds_list_head ats __guarded_by(&lock);
};

#define DMA_PAGE_REQUESTS 512 /* page request group indexes of PCI Express: 9 bits */

struct dma_waiter;
struct dma_log;

/**
 * struct iommu_dma - a device's DMA
 * @refs: the device, and each iotlb
 * @dev: NULL once it is gone, under lock
 * @sys: while it is bound; @master: bus mastering; under lock
 * @borrows: how many there are; @all_returned: none, with lock
 * @gone: counts of caches that ended
 * @ats_lock: read: a translated request is served; write: grants come and go
 * @log: what it writes (dma_log.h), or NULL; @logging: there is one; log_lock is a leaf
 */
struct iommu_dma {
	_Atomic u32 refs;
	struct mutex lock;
	struct device *dev __guarded_by(&lock);
	struct dma_system *sys __guarded_by(&lock);
	bool no_master __guarded_by(&lock);
	u32 borrows __guarded_by(&lock);
	pthread_cond_t all_returned;
	struct cds_list_head iotlbs __guarded_by(&lock);
	struct iommufd_iotlb_counters gone __guarded_by(&lock);
	_Atomic u64 invalidations;
	struct cds_list_head ats __guarded_by(&lock);
	struct rwlock ats_lock;
	struct itree grants __guarded_by(&ats_lock); /* struct dma_grant, by physical address */
	struct mem_space *ats_mem __guarded_by(&ats_lock); /* they are in */
	iommufd_ats_invalidate_fn ats_fn;
	void *ats_data;
	struct mutex page_lock;
	pthread_cond_t page_answered;
	struct dma_waiter *waiters __guarded_by(&page_lock); /* DMA_PAGE_REQUESTS of them; NULL */
	_Atomic bool logging;
	struct mutex log_lock;
	struct dma_log *log __guarded_by(&log_lock);
};

/** dma_log_wrote() - the device has written [@iova, @iova + @length); also in part, or in vain */
void dma_log_wrote_slow(struct iommu_dma *dma, u64 iova, u64 length);
static inline bool dma_log_is_on(const struct iommu_dma *dma)
{
	return atomic_load_explicit(&dma->logging, memory_order_acquire);
}
static inline void dma_log_wrote(struct iommu_dma *dma, u64 iova, u64 length)
{
	if (unlikely(dma_log_is_on(dma)))
		dma_log_wrote_slow(dma, iova, length);
}

/** struct dma_at - where a byte is; @run bytes follow it there */
struct dma_at {
	u64 pa;
	u8 *host;
	u64 run;
	unsigned int prot;
};

/* ---- finding one's cache ---- */

extern __thread struct iotlb *iotlb_last __attribute__((tls_model("initial-exec")));
/* Of no device: what iotlb_last is when there is none. */
extern struct iotlb iotlb_none;

/**
 * iotlb_find() - the calling thread's cache; NULL without memory, or for a device behind no IOMMU
 */
struct iotlb *iotlb_find(struct device *dev, ioasid_t pasid);

static inline bool iotlb_is_of(const struct iotlb *iotlb, const struct device *dev, ioasid_t pasid)
{
	return likely(atomic_load_explicit(&iotlb->dev, memory_order_relaxed) == dev) &&
	       likely(iotlb->pasid == pasid);
}

static inline struct iotlb *iotlb_get(struct device *dev, ioasid_t pasid)
{
	struct iotlb *iotlb = iotlb_last;

	return likely(iotlb_is_of(iotlb, dev, pasid)) ? iotlb : iotlb_find(dev, pasid);
}

/* ---- inside ---- */

/* Say so; nothing may be done inside before the gate was looked at. */
static inline void iotlb_go_in(struct iotlb *iotlb)
{
	atomic_store_explicit(&iotlb->inside, 1, memory_order_relaxed);
	asym_fence_light(false);
}

/** iotlb_enter_barred() - be inside when the gate is open; @iotlb has gone in */
void iotlb_enter_barred(struct iotlb *iotlb);

static inline void iotlb_enter(struct iotlb *iotlb)
{
	iotlb_go_in(iotlb);
	if (unlikely(atomic_load_explicit(&iotlb->gate, memory_order_acquire) &
		     (IOTLB_GATE_CLOSED | IOTLB_GATE_FENCED)))
		iotlb_enter_barred(iotlb);
}

/* Out, if it was in: not counted. */
static inline void iotlb_back_out(struct iotlb *iotlb)
{
	atomic_store_explicit(&iotlb->inside, 0, memory_order_release);
}

static inline void iotlb_count(_Atomic u64 *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static inline void iotlb_leave(struct iotlb *iotlb)
{
	iotlb_count(&iotlb->lookups);
	iotlb_back_out(iotlb);
}

/** iotlb_lookups() - how often the owner was inside, each time for one translation */
static inline u64 iotlb_lookups(const struct iotlb *iotlb)
{
	return atomic_load_explicit(&iotlb->lookups, memory_order_relaxed);
}

/**
 * iotlb_link() - make it usable: linked to what is attached now, and warm; outside
 * @iova, @access: what it is wanted for, for the checker to tell
 * Return: 0, -ENOMEM, or an errno with *@ret_reason saying why.
 */
int iotlb_link(struct iotlb *iotlb, u64 iova, unsigned int access,
	       enum iommu_xlat_fault *ret_reason);

/** iotlb_domain() - of the linked caches one of [0] its domain, [1] the parent's or NULL */
static inline struct iommu_domain_dma *iotlb_domain(const struct iotlb *iotlb, int i)
{
	return iotlb->links[i].domain;
}

/** iotlb_miss() - the rest of iotlb_lookup(); still inside on return, whatever it is */
int iotlb_miss(struct iotlb *iotlb, u64 iova, unsigned int access, struct dma_at *at,
	       struct iommufd_dma_fault *fault);
/** iotlb_resolve() - find out whether there is a pointer, for an @at whose host is IOTLB_UNKNOWN */
void iotlb_resolve(struct iotlb *iotlb, u64 iova, struct dma_at *at);

static inline struct iotlb_entry *iotlb_slot(struct iotlb *iotlb, u64 iova)
{
	return &iotlb->entries[(iova >> PAGE_SHIFT) % IOTLB_ENTRIES];
}

/**
 * iotlb_table_entry() - the entry of the tables that translates @iova, as they are now
 * @access: IOMMU_READ or IOMMU_WRITE
 * Return: false: not known, or it does not say yes to this access, or (the owner has only gone in)
 * it is not inside.
 */
static inline bool iotlb_table_entry(const struct iotlb *iotlb, u64 iova, unsigned int access,
				     u64 *ret)
{
	const struct iotlb_table *t = &iotlb->tables[(iova >> IOTLB_TABLE_SHIFT) % IOTLB_TABLES];
	const u64 *bits = &iotlb->leaf_bits[access & IOMMU_WRITE];
	u64 gate = atomic_load_explicit(&iotlb->gate, memory_order_acquire);

	if (unlikely(t->tag != ((iova & IOTLB_TABLE_MASK) | gate)))
		return false;
	*ret = __atomic_load_n(&t->table[(iova >> PAGE_SHIFT) % 512], __ATOMIC_ACQUIRE);
	return likely((*ret & bits[0]) == bits[1]);
}

static inline void iotlb_table_at(const struct iotlb *iotlb, u64 iova, u64 entry, struct dma_at *at)
{
	const u64 *writes = &iotlb->leaf_bits[IOMMU_WRITE];
	u64 off = iova & ~PAGE_MASK;

	at->pa = (entry & iotlb->leaf_address) | off;
	at->run = PAGE_SIZE - off;
	at->prot = IOMMU_READ;
	if ((entry & writes[0]) == writes[1])
		at->prot |= IOMMU_WRITE;
	at->host = mem_phys_host(iotlb->phys_host, at->pa);
	if (unlikely(!at->host))
		at->host = IOTLB_UNKNOWN;
}

/**
 * iotlb_lookup() - where @iova is; inside
 * @which: IOTLB_READ or IOTLB_WRITE
 * Return: 0 or the errno; *@fault then says why
 */
static inline int iotlb_lookup(struct iotlb *iotlb, u64 iova, int which, struct dma_at *at,
			       struct iommufd_dma_fault *fault)
{
	struct iotlb_entry *entry = iotlb_slot(iotlb, iova);
	u64 off = iova & ~PAGE_MASK, word;

	if (iotlb_table_entry(iotlb, iova, which == IOTLB_WRITE ? IOMMU_WRITE : IOMMU_READ,
			      &word)) {
		iotlb_table_at(iotlb, iova, word, at);
		return 0;
	}
	if (unlikely(atomic_load_explicit(&entry->tag[which], memory_order_relaxed) !=
		     (iova & PAGE_MASK)))
		return iotlb_miss(iotlb, iova, which == IOTLB_WRITE ? IOMMU_WRITE : IOMMU_READ, at,
				  fault);
	at->host = (u8 *)(uintptr_t)atomic_load_explicit(&entry->host, memory_order_relaxed);
	if (at->host > IOTLB_UNKNOWN)
		at->host += off;
	at->pa = entry->pa + off;
	at->run = entry->run - off;
	at->prot = IOTLB_PROT(atomic_load_explicit(&entry->key, memory_order_relaxed));
	return 0;
}

/* ---- invalidating (iotlb_flush.c) ---- */

/** domain_dma_get() - made if there is none: 0, -ENOMEM */
int domain_dma_get(struct iommu_domain *domain, struct iommu_domain_dma **ret_dd);

static inline struct iommu_domain_dma *domain_dma(struct iommu_domain *domain)
{
	return __atomic_load_n(&domain->dma, __ATOMIC_ACQUIRE);
}

/** iotlb_unlink() - out of its domains' lists; dma->lock held, the owner outside or itself */
void iotlb_unlink(struct iotlb *iotlb);
/**
 * iotlb_void_tables() - what is known of tables, one by one; by the owner, or while it is kept out
 */
void iotlb_void_tables(struct iotlb *iotlb);
/** iotlb_clear() - drop all entries, and tables */
void iotlb_clear(struct iotlb *iotlb);
/** iotlb_entry_clear() - drop one; by anybody */
static inline void iotlb_entry_clear(struct iotlb_entry *entry)
{
	for (int i = 0; i < 2; i++) {
		atomic_store_explicit(&entry->tag[i], IOTLB_NONE, memory_order_relaxed);
		atomic_store_explicit(&entry->shadow[i], IOTLB_NONE, memory_order_relaxed);
	}
	atomic_store_explicit(&entry->key, IOTLB_NONE, memory_order_relaxed);
}

/** dma_put() - a reference on the device's side */
void dma_put(struct iommu_dma *dma);

/* ---- pieces of other files ---- */

/** dma_fault_set() - fill in *@fault if it is wanted, and answer the errno */
int dma_fault_set(struct iommufd_dma_fault *fault, enum iommu_xlat_fault reason, u64 iova,
		  ioasid_t pasid, unsigned int access);
/** dma_drop_grants() - those of @dd that touch [@first, @last] */
void dma_drop_grants(struct iommu_domain_dma *dd, u64 first, u64 last) __must_hold(&dd->lock);
/** dma_drop_device_grants() - all, of one PASID or of all; @unlink: its domain is left */
void dma_drop_device_grants(struct iommu_dma *dma, ioasid_t pasid, bool all_pasids, bool unlink)
	__must_hold(&dma->lock);
/**
 * dma_wait_borrows() - until those older than this flush are back
 * @dma: NULL: of any device; else of this one, whatever their range, and of @pasid or all PASIDs
 */
void dma_wait_borrows(struct iommu_domain_dma *dd, u64 first, u64 last, struct iommu_dma *dma,
		      ioasid_t pasid, bool all_pasids) __must_hold(&dd->lock);

#endif
