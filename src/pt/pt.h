/* SPDX-License-Identifier: MIT */
/*
 * Page tables of I/O.  One algorithm (pt_algo.h) is compiled once for each
 * format (fmt/<format>.c includes the format's bits, then the algorithm), so
 * that nothing is dispatched per entry: an owner pays one indirect call for a
 * whole range.
 *
 * The tables are real: frames of the simulated physical memory holding the
 * entries a device would read.  What software wants to know besides (host
 * pointers, "something below may be dirty") lives in a node beside each table
 * that can point to other tables, and never in the entries.
 *
 * Levels count from 0, the one that holds leaves only.  A leaf covers one item
 * of its level or an aligned power of two of them.
 *
 * Who may run at the same time, with no lock of ours:
 *
 *  - map_range(), unmap_range(), cut() and collapse() of ranges that share no
 *    byte, where cut() takes all of the entries it touches;
 *  - iova_to_phys(), walk(), set_dirty() and DMA, with everything;
 *  - read_and_clear_dirty(), with everything except any of the first four on
 *    bytes it looks at.
 *
 * (Adding a level on top, a few times in a table's life, takes a mutex.)
 *
 * Missing tables are installed by compare-exchange.  A table is taken away only
 * when the range unmapped (or mapped, or joined, by one larger entry) covers all it spans:
 * by the first rule nobody else is mapping in it.  Walkers may still be inside,
 * so it goes into a struct pt_gather and is freed only by pt_gather_free(),
 * which the owner calls when the IOTLB is flushed and no walker that began
 * before that flush still runs.
 *
 * check(), dump() and fini() want the table for themselves (no mapper, and for
 * fini() no walker either).
 */
#ifndef PT_PT_H
#define PT_PT_H

#include <stdatomic.h>

#include "base/lock.h"
#include "base/types.h"

/* Rights and attributes of a mapping: the numbers of IOMMU_READ and its kin. */
#define PT_PROT_READ   1u
#define PT_PROT_WRITE  2u
#define PT_PROT_CACHE  4u
#define PT_PROT_NOEXEC 8u
#define PT_PROT_MMIO   16u
#define PT_PROT_PRIV   32u
#define PT_PROT_PAGES  (1u << 16) /* no entry over a CPU page, or the smallest if larger */

/* What the owner wants of the table, see struct pt_cfg.features */
#define PT_FEAT_DIRTY	       1u  /* set_dirty() and read_and_clear_dirty() work */
#define PT_FEAT_DYNAMIC_TOP    2u  /* begin low, add levels on top as iovas need them */
#define PT_FEAT_FORCE_COHERENT 4u  /* leaves ignore the device's no-snoop (AMDv1: FC, VT-d: SNP) */
#define PT_FEAT_NEW_DIRTY      8u  /* with DIRTY: a new writable leaf has the mark already */
#define PT_FEAT_PBMT	       16u /* RISC-V: memory types in leaves (Svpbmt) */
#define PT_FEAT_FWB	       32u /* ARM stage 2: types that override stage 1 (S2FWB) */

/* Flags of read_and_clear_dirty() */
#define PT_DIRTY_NO_CLEAR 1u

/** struct pt_alloc_ops - where table memory comes from */
struct pt_alloc_ops {
	/* 2^@lg2_size zeroed bytes, aligned to their size, or NULL; *ret_pa as a device sees it */
	void *(*table_alloc)(void *ctx, unsigned lg2_size, u64 *ret_pa);
	void (*table_free)(void *ctx, void *table, u64 pa, unsigned lg2_size);
	/* host address of a table that table_alloc() gave out; cannot fail */
	void *(*pa_to_ptr)(void *ctx, u64 pa);
};

struct pt_table;

/** struct pt_cfg - how pt_<format>_init() shall make a table; copied, 0 means the format's own */
struct pt_cfg {
	const struct pt_alloc_ops *alloc;
	void *alloc_ctx;
	unsigned top_level;  /* level of the first root, 1 or more; 0: as max_va_lg2 needs */
	unsigned max_va_lg2; /* iovas are below 2^max_va_lg2 */
	unsigned max_oa_lg2; /* physical addresses likewise */
	unsigned features;   /* PT_FEAT_* */
	bool slot_dirty;     /* a dirty mark belongs to one item, even inside a larger entry */
	u64 pgsize_mask;     /* page sizes allowed, of those the format has */
	/*
	 * PT_FEAT_DYNAMIC_TOP: the root will be @root_pa and its level @level.  Runs in
	 * map_range(), one at a time, before anything is written that needs the new root;
	 * both roots translate what is mapped.  Must not map or unmap.  May be NULL.
	 */
	void (*top_changed)(struct pt_table *pt, u64 root_pa, unsigned level);
	/*
	 * For a device that reads tables past the CPU's caches: write @len bytes at the host
	 * address @at back.  Called for all that was written, a new table before the entry
	 * that points to it; when an operation returns, all it wrote is flushed.  May run in
	 * several threads.  NULL: the device snoops.  AMDv1 always does (-EOPNOTSUPP).
	 */
	void (*flush)(struct pt_table *pt, const void *at, u64 len);
};

/** struct pt_gather - tables taken out, to be freed after the flush; one allocator's only */
struct pt_gather {
	void *tables; /* linked through words of the tables that read as not present */
	const struct pt_alloc_ops *alloc;
	void *alloc_ctx;
};

/** struct pt_walk - what a walk met at one iova */
struct pt_walk {
	u64 pa;	       /* of the very byte */
	u64 run;       /* bytes from there to the end of the entry */
	unsigned lg2;  /* size of the entry */
	unsigned prot; /* PT_PROT_READ, _WRITE; _NOEXEC, _PRIV where the format says them */
	bool dirty;    /* the item hit has its dirty mark (no meaning without PT_FEAT_DIRTY) */
};

typedef void (*pt_record_fn)(void *ctx, u64 iova, u64 len);
typedef int (*pt_dump_fn)(void *ctx, u64 iova, u64 pa, u64 len, unsigned prot, bool dirty);

/** struct pt_ops - a format compiled; sizes and addresses in bytes */
struct pt_ops {
	const char *name;

	/** @pgsize_bitmap: bit n set: entries of 2^n bytes may be used */
	u64 (*pgsize_bitmap)(struct pt_table *pt);

	/** @best_size: the largest entry map_range() may begin with there; 0 if none fits */
	u64 (*best_size)(struct pt_table *pt, u64 iova, u64 pa, u64 len);

	/** @root: physical address of the top table and its level (its number of levels less 1) */
	u64 (*root)(struct pt_table *pt, unsigned *ret_level);

	/**
	 * @map_range: map a physically contiguous run
	 *
	 * Entries are the largest that the alignment of @iova and @pa and the bytes left
	 * allow, from the front (with PT_PROT_PAGES none over 4 KiB).  A larger entry takes
	 * the place of a table that was left empty.  A format that cannot say "write only"
	 * grants reading too.  *ret_mapped is set on success and on every error: the bytes
	 * mapped from @iova on, which stay mapped and are the caller's to unmap.
	 *
	 * Return: 0; -EINVAL no bytes, not a multiple of the smallest page size, or
	 * neither READ nor WRITE; -ERANGE beyond the aperture or the physical width;
	 * -EADDRINUSE something is mapped there; -ENOMEM.
	 */
	int (*map_range)(struct pt_table *pt, u64 iova, u64 pa, u64 len, unsigned prot,
			 u64 *ret_mapped);

	/**
	 * @unmap_range: remove whole entries from @iova on
	 *
	 * Stops at the first hole, and before an entry that begins before @iova or ends
	 * behind the range: entries are never cut.  Dirty marks go with their entries.
	 * Tables whose whole span lies in the range go to @gather once they are empty.
	 * Cannot fail for want of memory.
	 *
	 * Return: bytes unmapped, contiguous from @iova.
	 */
	u64 (*unmap_range)(struct pt_table *pt, u64 iova, u64 len, struct pt_gather *gather);

	/** @iova_to_phys: *ret_run: bytes to the end of the entry; -ENOENT */
	int (*iova_to_phys)(struct pt_table *pt, u64 iova, u64 *ret_pa, u64 *ret_run);

	/** @walk: the same with the entry's size, rights and mark, for DMA; -ENOENT */
	int (*walk)(struct pt_table *pt, u64 iova, struct pt_walk *ret);

	/**
	 * @set_dirty: mark the item that translates @iova as a device writing would
	 * Return: 0, -ENOENT, -EOPNOTSUPP without PT_FEAT_DIRTY, -EACCES if the entry is not
	 * writable and the format keeps the mark in the right to write (ARM).
	 */
	int (*set_dirty)(struct pt_table *pt, u64 iova);

	/**
	 * @read_and_clear_dirty: report dirty entries in [@iova, @iova + @len)
	 * @flags: PT_DIRTY_NO_CLEAR
	 * @record: gets ascending runs of dirty bytes; neighbours may come as one. Clipped
	 *          at the range's start but not at its end: the last unit is reported whole,
	 *          so that a caller who goes on behind the range knows of marks it cleared
	 *
	 * The unit is the entry; with cfg.slot_dirty it is the item.  A unit that touches
	 * the range is reported and cleared whole.  Holes are skipped.  What
	 * set_dirty() finished before this began is reported.  The owner flushes the
	 * IOTLB afterwards if devices cache the mark.
	 *
	 * Return: 0, -ERANGE beyond the aperture, -EOPNOTSUPP without PT_FEAT_DIRTY.
	 */
	int (*read_and_clear_dirty)(struct pt_table *pt, u64 iova, u64 len, unsigned flags,
				    pt_record_fn record, void *ctx);

	/**
	 * @cut: make entries in a range smaller, while devices use them
	 * @lg2: what lies in the range shall be entries of at most 2^@lg2 bytes
	 *
	 * An entry that touches the range and is larger is cut as a whole: inside the range
	 * to the largest allowed entries of at most 2^@lg2, outside to the largest that are
	 * left.  At no time does a byte cease to be translated; rights stay, and each piece
	 * has the mark its entry had (with cfg.slot_dirty: its item).  Holes are skipped.
	 *
	 * The owner flushes the IOTLB afterwards: devices may still use the old entries.
	 *
	 * Return: 0; -EINVAL no allowed size is that small; -ERANGE beyond the aperture;
	 * -ENOMEM: what is cut is cut, the rest is as it was.
	 */
	int (*cut)(struct pt_table *pt, u64 iova, u64 len, unsigned lg2);

	/**
	 * @collapse: join entries of a range, while devices use them
	 * @lg2: make no entries over 2^@lg2 bytes; 0: as large as allowed
	 *
	 * Entries that lie in the range, are contiguous on both sides and have the same
	 * attributes become one, dirty if one of them was.  Tables no longer needed go to
	 * @gather.  Cannot fail for want of memory.
	 *
	 * Return: 0, -ERANGE beyond the aperture.
	 */
	int (*collapse)(struct pt_table *pt, u64 iova, u64 len, unsigned lg2,
			struct pt_gather *gather);

	/** @check: NULL if the table is sound, else a static text naming the first thing wrong */
	const char *(*check)(struct pt_table *pt);

	/** @dump: every entry, ascending; a non-zero answer of @fn ends it and is returned */
	int (*dump)(struct pt_table *pt, pt_dump_fn fn, void *ctx);

	/** @fini: free every table, mapped or not */
	void (*fini)(struct pt_table *pt);
};

struct pt_node; /* software's side of a table that may point to tables */

/** struct pt_table - one table tree; embedded by its owner, set up by pt_<format>_init() */
struct pt_table {
	/* immutable after init */
	const struct pt_ops *ops;
	struct pt_cfg cfg;
	u64 pgsize_bitmap;
	u64 aperture_first; /* always 0 with the formats there are */
	u64 aperture_last;
	u64 oa_last;

	struct mutex grow;	       /* taken to add a level on top, and for nothing else */
	_Atomic(struct pt_node *) top; /* published by init and under grow; levels only rise */
	_Atomic(void *) retired;       /* empty tables a map replaced, until the next gather */
};

int pt_amdv1_init(struct pt_table *pt, const struct pt_cfg *cfg);

/* AMDv1's bits on pages of 2 KiB: 512 items of 2 KiB make 1 MiB.  For the kernel's mock domain. */
int pt_amdv1_mock_init(struct pt_table *pt, const struct pt_cfg *cfg);

/* x86-64: 4 levels up to a max_va_lg2 of 48, else 5; iovas are the low bits of the device's. */
int pt_x86_64_init(struct pt_table *pt, const struct pt_cfg *cfg);

/* VT-d's second stage: 3 levels up to a max_va_lg2 of 39, 4 up to 48, else 5. */
int pt_vtdss_init(struct pt_table *pt, const struct pt_cfg *cfg);

/* RISC-V: Sv39, 48, 57 by max_va_lg2; the second stage has two bits more each. */
int pt_riscv_init(struct pt_table *pt, const struct pt_cfg *cfg);
int pt_riscv_x4_init(struct pt_table *pt, const struct pt_cfg *cfg);

/*
 * ARM, stage 1 and 2 by granule; those without LPA2 have 48 bits of address, 64 KiB up to
 * 52.  Root and levels follow from max_va_lg2; in stage 2 the root is up to 16 tables, unless
 * top_level asks for one more level.  Groups of contiguous entries are page sizes as the
 * others: who does not want them leaves them out of pgsize_mask.
 */
int pt_lpae_s1_4k_init(struct pt_table *pt, const struct pt_cfg *cfg);
int pt_lpae_s1_4k_lpa2_init(struct pt_table *pt, const struct pt_cfg *cfg);
int pt_lpae_s1_16k_init(struct pt_table *pt, const struct pt_cfg *cfg);
int pt_lpae_s1_16k_lpa2_init(struct pt_table *pt, const struct pt_cfg *cfg);
int pt_lpae_s1_64k_init(struct pt_table *pt, const struct pt_cfg *cfg);
int pt_lpae_s2_4k_init(struct pt_table *pt, const struct pt_cfg *cfg);
int pt_lpae_s2_4k_lpa2_init(struct pt_table *pt, const struct pt_cfg *cfg);
int pt_lpae_s2_16k_init(struct pt_table *pt, const struct pt_cfg *cfg);
int pt_lpae_s2_16k_lpa2_init(struct pt_table *pt, const struct pt_cfg *cfg);
int pt_lpae_s2_64k_init(struct pt_table *pt, const struct pt_cfg *cfg);

static inline void pt_gather_init(struct pt_gather *gather)
{
	*gather = (struct pt_gather){0};
}

static inline bool pt_gather_empty(const struct pt_gather *gather)
{
	return !gather->tables;
}

/** pt_gather_free() - free what was gathered; @gather is empty afterwards, ready for use again */
void pt_gather_free(struct pt_gather *gather);

#endif
