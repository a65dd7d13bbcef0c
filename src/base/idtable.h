/* SPDX-License-Identifier: MIT */
/*
 * Small integers to pointers, always the lowest free number first: object ids,
 * fault cookies.  A radix tree of bitmapped nodes; each node knows whether a
 * free slot lies below it, so allocation is O(depth) with a million entries.
 * The owner's lock protects it (readers may run together).  An empty table
 * owns no memory.
 */
#ifndef BASE_IDTABLE_H
#define BASE_IDTABLE_H

#include "base/types.h"

struct idtable_node;

struct idtable {
	struct idtable_node *root;
	u32 height; /* levels of nodes; 0: none */
	u32 min;    /* lowest id ever given out */
	u32 max;    /* highest */
	u64 count;  /* ids taken (reserved or stored) */
};

/** idtable_init() - an empty table of the ids @min..@max, both included; @min <= @max */
void idtable_init(struct idtable *t, u32 min, u32 max);

/** idtable_clear() - give every id back (values untouched) and free all memory */
void idtable_clear(struct idtable *t);

/**
 * idtable_reserve() - take the lowest free id, with the value NULL
 * Return: 0, -EBUSY when all are taken, -ENOMEM; the table is unchanged on failure.
 */
int idtable_reserve(struct idtable *t, u32 *ret_id);

/** idtable_store() - set the value of a taken id (NULL allowed: reserved); cannot fail */
void idtable_store(struct idtable *t, u32 id, void *value);

/** idtable_load() - value of @id, NULL if free or merely reserved (or out of range) */
void *idtable_load(const struct idtable *t, u32 id);

/** idtable_release() - give the taken @id back; cannot fail */
void idtable_release(struct idtable *t, u32 id);

/** idtable_next() - lowest id >= *id whose value is not NULL; false if none (*id then as it was) */
bool idtable_next(const struct idtable *t, u32 *id, void **ret_value);

static inline bool idtable_empty(const struct idtable *t)
{
	return !t->count;
}

/** idtable_check() - NULL if bitmaps, shape and count are sound, else what is wrong */
const char *idtable_check(const struct idtable *t);

#endif
