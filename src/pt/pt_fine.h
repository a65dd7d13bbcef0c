/* SPDX-License-Identifier: MIT */
/*
 * A page table that can be made fine: all in the smallest entries, so that a dirty
 * mark means one page, and coarse again, while devices use it and others map and unmap.
 *
 * What was large is remembered as runs, because two entries that lie side by
 * side need not belong together: joined over the border of two mappings, neither
 * could be unmapped any more.
 */
#ifndef PT_PT_FINE_H
#define PT_PT_FINE_H

#include "base/itree.h"
#include "base/lock.h"
#include "pt/pt.h"

/**
 * struct pt_fine - beside the table; its users go through the functions below
 * @switching: one switch at a time
 * @lock: read: somebody maps, unmaps or collects marks; write: entries are cut or joined
 * @on: the table is fine
 * @runs: struct fine_run: what may be joined; changed under @runs_lock, or @lock for writing
 */
struct pt_fine {
	struct pt_table *pt;
	struct mutex switching;
	struct rwlock lock;
	bool on;
	struct mutex runs_lock;
	struct itree runs;
};

void pt_fine_init(struct pt_fine *fine, struct pt_table *pt);
/** pt_fine_fini() - nobody uses it any more */
void pt_fine_fini(struct pt_fine *fine);

/** pt_fine_map_range(), pt_fine_unmap_range() - as the table's; fine while it is so */
int pt_fine_map_range(struct pt_fine *fine, u64 iova, u64 pa, u64 len, unsigned prot,
		      u64 *ret_mapped);
u64 pt_fine_unmap_range(struct pt_fine *fine, u64 iova, u64 len, struct pt_gather *gather);

/** pt_fine_read_dirty() - as the table's read_and_clear_dirty(), beside switches too */
int pt_fine_read_dirty(struct pt_fine *fine, u64 iova, u64 len, unsigned flags,
		       pt_record_fn record, void *ctx);

/**
 * pt_fine_cut() - make the table fine; nothing to do if it is
 *
 * The owner flushes the IOTLB before it relies on it.
 * Context: @fine->switching is held.  Return: 0, -ENOMEM: it stayed coarse, with what became
 * superfluous in @gather.
 */
int pt_fine_cut(struct pt_fine *fine, struct pt_gather *gather) __must_hold(&fine->switching);

/**
 * pt_fine_join() - make it coarse again
 * @gather: tables that became superfluous
 *
 * Pages with marks stay single pages, and so exact, until a later join finds them clean.
 * Context: @fine->switching is held; no device sets marks any more.
 */
void pt_fine_join(struct pt_fine *fine, struct pt_gather *gather) __must_hold(&fine->switching);

#endif
