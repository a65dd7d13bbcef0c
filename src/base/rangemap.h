/* SPDX-License-Identifier: MIT */
/*
 * An ordered map of non-overlapping inclusive ranges of u64 to pointers, with
 * gap search: areas by iova, held segments by page index, mmap regions by
 * offset.  A B+-tree whose nodes are a few cache lines, so a million entries
 * cost four or five cache misses and neighbours are scanned in order.  Inner
 * entries also carry the largest gap below them, which makes "first hole of at
 * least this size from here" logarithmic.
 *
 * Not locked: the owner's lock protects it (readers may run together).
 * Insertion allocates; removal frees and never fails.  Iteration order is
 * ascending.  An empty map owns no memory.
 */
#ifndef BASE_RANGEMAP_H
#define BASE_RANGEMAP_H

#include "base/types.h"

struct rangemap_node;

struct rangemap {
	struct rangemap_node *root;
	u32 height; /* levels of nodes; 0: no node, 1: the root is a leaf */
	u64 count;
};

/** struct rangemap_entry - one range as the finders return it (a copy) */
struct rangemap_entry {
	u64 first;
	u64 last;
	void *value;
};

void rangemap_init(struct rangemap *map);

/** rangemap_clear() - drop every entry (values untouched) and free all nodes */
void rangemap_clear(struct rangemap *map);

static inline bool rangemap_empty(const struct rangemap *map)
{
	return !map->count;
}

/**
 * rangemap_insert() - add [first, last] -> value
 * Return: 0, -EEXIST if it shares a byte with an existing range, -ENOMEM.  @value is not
 * NULL and @first <= @last.  On failure the map is unchanged.
 */
int rangemap_insert(struct rangemap *map, u64 first, u64 last, void *value);

/** rangemap_remove() - remove the range that begins at @first; returns its value or NULL */
void *rangemap_remove(struct rangemap *map, u64 first);

/**
 * rangemap_split() - cut the range containing both @at - 1 and @at in two at @at;
 * the upper part gets @upper as its value, the lower keeps its own.
 * Return: 0, -ENOENT if no range contains both, -ENOMEM.  On failure the map is unchanged.
 */
int rangemap_split(struct rangemap *map, u64 at, void *upper);

/** rangemap_find() - the range containing @key; false if none */
bool rangemap_find(const struct rangemap *map, u64 key, struct rangemap_entry *ret);

/** rangemap_first_from() - the lowest range whose last >= @key; false if none */
bool rangemap_first_from(const struct rangemap *map, u64 key, struct rangemap_entry *ret);

/** rangemap_last_upto() - the highest range whose first <= @key; false if none */
bool rangemap_last_upto(const struct rangemap *map, u64 key, struct rangemap_entry *ret);

/** rangemap_overlaps() - is any byte of [first, last] inside an entry? */
static inline bool rangemap_overlaps(const struct rangemap *map, u64 first, u64 last)
{
	struct rangemap_entry e;

	return rangemap_first_from(map, first, &e) && e.first <= last;
}

/**
 * rangemap_next_gap() - the lowest maximal hole, clipped to [*first, *last], with at
 * least @min_length bytes after clipping
 * @first: in: where to begin; out: first byte of the (clipped) hole
 * @last: in: where to end; out: last byte of the (clipped) hole
 * @min_length: 0 means the same as 1
 *
 * Holes are what no range covers in [0, UINT64_MAX].
 * Skips whole subtrees whose largest gap is too small: O(log n) for any length.
 * Return: false if there is none; then *first and *last are untouched.
 */
bool rangemap_next_gap(const struct rangemap *map, u64 *first, u64 *last, u64 min_length);

/**
 * rangemap_check() - walk the whole tree and check order, overlap, fill, gap
 * summaries and count
 * Return: NULL if sound, else a static text naming the first thing wrong.
 */
const char *rangemap_check(const struct rangemap *map);

/* A place in the map, private to the walk: good until the map changes. */
struct rangemap_walk {
	const struct rangemap *map;
	const struct rangemap_node *leaf;
	u32 pos;
};

/** rangemap_walk_start() - the lowest range whose last >= @key; false if none */
bool rangemap_walk_start(struct rangemap_walk *walk, const struct rangemap *map, u64 key,
			 struct rangemap_entry *ret);

/** rangemap_walk_next() - the range after the one given last, still in @e; false if none */
bool rangemap_walk_next(struct rangemap_walk *walk, struct rangemap_entry *e);

/*
 * for (each range touching [first, last]); the body must not change the map.
 * The names carry the line, so that loops nest without shadowing.
 */
#define rangemap_for_each_in(map, e, lo, hi)	 RANGEMAP_FOR_EACH_(map, e, lo, hi, __LINE__)
#define RANGEMAP_FOR_EACH_(map, e, lo, hi, line) RANGEMAP_FOR_EACH__(map, e, lo, hi, line)
#define RANGEMAP_FOR_EACH__(map, e, lo, hi, line)                                                  \
	for (struct rangemap_walk walk_##line,                                                     \
	     *at_##line = rangemap_walk_start(&walk_##line, map, lo, &(e)) ? &walk_##line : NULL;  \
	     at_##line && (e).first <= (hi);                                                       \
	     at_##line = rangemap_walk_next(at_##line, &(e)) ? at_##line : NULL)

#endif
