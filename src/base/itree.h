/* SPDX-License-Identifier: MIT */
/*
 * An intrusive interval tree: inclusive u64 ranges that may overlap (reserved
 * iova ranges of several owners, access pins).  An AVL tree in which each
 * node also knows the largest last below it, so a search enters only subtrees
 * that reach far enough: O(log n) for the first hit, whatever order the nodes
 * came in.  Insertion and removal allocate nothing and cannot fail.  The
 * owner's lock protects it (readers may run together).
 */
#ifndef BASE_ITREE_H
#define BASE_ITREE_H

#include "base/types.h"

struct itree_node {
	struct itree_node *child[2];
	struct itree_node *parent;
	u64 first;
	u64 last;
	u64 subtree_last; /* largest last in this subtree */
	u32 height;	  /* private to the balancing: 1 for a node without children */
};

struct itree {
	struct itree_node *root;
};

void itree_init(struct itree *tree);

static inline bool itree_empty(const struct itree *tree)
{
	return !tree->root;
}

/** itree_insert() - add @node; its first and last are set and stay as they are until removal */
void itree_insert(struct itree *tree, struct itree_node *node);

/** itree_remove() - take @node, which is in @tree, out of it */
void itree_remove(struct itree *tree, struct itree_node *node);

/** itree_first() - the node with the lowest first that touches [first, last]; NULL if none */
struct itree_node *itree_first(const struct itree *tree, u64 first, u64 last);

/**
 * itree_next() - the one after @node that touches [first, last]; NULL if none
 *
 * Ascending by first; equal ones in the order they were inserted.
 */
struct itree_node *itree_next(const struct itree_node *node, u64 first, u64 last);

/** itree_check() - NULL if order, links, balance and summaries are sound, else what is wrong */
const char *itree_check(const struct itree *tree);

#endif
