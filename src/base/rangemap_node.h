/* SPDX-License-Identifier: MIT */
/*
 * The nodes of the range map (private to rangemap*.c).
 *
 * A node is a small table.  Its rows are ranges in ascending order, and it is
 * stored by column, so that a search reads the few cache lines of one column:
 *
 *	leaf  (level 0)   20 rows of  first | last | value
 *	inner (level 1..) 15 rows of  first | last | child | gap
 *
 * A row of an inner node sums up its child: the first byte of the lowest range
 * below, the last byte of the highest, and the largest hole between two ranges
 * below.  Holes between two children follow from the rows.  Both tables have
 * sixty cells, which makes one node type and one set of row moves serve both;
 * with its header a node is 488 bytes, and the allocator's chunk 496.
 *
 * All nodes but the root hold at least a quarter of what fits.
 */
#ifndef BASE_RANGEMAP_NODE_H
#define BASE_RANGEMAP_NODE_H

#include <string.h>

#include "base/rangemap.h"

#define NODE_CELLS 60
#define LEAF_ROWS  20
#define INNER_ROWS 15

/* Three children a node at least: 3^32 leaves are more than memory holds. */
#define RANGEMAP_LEVELS_MAX 32

enum node_column {
	COL_FIRST,
	COL_LAST,
	COL_REF, /* value or child */
	COL_GAP, /* inner nodes only */
	COL_COUNT,
};

struct rangemap_node {
	u32 level;
	u32 rows;
	u64 cell[NODE_CELLS];
};

struct node_row {
	u64 cell[COL_COUNT];
};

static inline u32 node_rows_max(const struct rangemap_node *node)
{
	return node->level ? INNER_ROWS : LEAF_ROWS;
}

static inline u32 node_rows_min(const struct rangemap_node *node)
{
	return node_rows_max(node) / 4;
}

static inline u32 node_columns(const struct rangemap_node *node)
{
	return node->level ? COL_COUNT : COL_GAP;
}

static inline u64 *node_column(struct rangemap_node *node, enum node_column column)
{
	return node->cell + column * node_rows_max(node);
}

static inline u64 node_cell(const struct rangemap_node *node, enum node_column column, u32 row)
{
	return node->cell[column * node_rows_max(node) + row];
}

static inline struct rangemap_node *node_child(const struct rangemap_node *node, u32 row)
{
	return (struct rangemap_node *)(uintptr_t)node_cell(node, COL_REF, row);
}

/*
 * The child at @row, on a descent.  Which lines of it will be read depends on
 * its own header, so its misses would queue up: ask for header and search
 * column at once (they lie in the first 336 bytes of a leaf).
 */
static inline struct rangemap_node *node_descend(const struct rangemap_node *node, u32 row)
{
	struct rangemap_node *child = node_child(node, row);
	u32 lines = node->level == 1 ? 6 : 4;

	__builtin_prefetch(child);
	for (u32 i = 2; i < lines; i++)
		__builtin_prefetch((const char *)child + 64 * i);
	return child;
}

/* The hole between @row and the next one, 0 if they touch. */
static inline u64 node_gap_after(const struct rangemap_node *node, u32 row)
{
	return node_cell(node, COL_FIRST, row + 1) - node_cell(node, COL_LAST, row) - 1;
}

/*
 * How many of the @n ascending @keys are below @key.  All are looked at: random
 * keys make each step of a binary search a coin toss, and at these sizes the
 * mispredicted branches cost more than a straight count.
 */
static inline u32 keys_below(const u64 *keys, u32 n, u64 key)
{
	u32 below = 0;

	for (u32 i = 0; i < n; i++)
		below += keys[i] < key;
	return below;
}

/* The first row that ends at or after @key; node->rows if none does. */
static inline u32 node_row_from(const struct rangemap_node *node, u64 key)
{
	return keys_below(node->cell + COL_LAST * node_rows_max(node), node->rows, key);
}

/* How many rows begin at or before @key. */
static inline u32 node_rows_upto(const struct rangemap_node *node, u64 key)
{
	if (key == UINT64_MAX)
		return node->rows;
	return keys_below(node->cell + COL_FIRST * node_rows_max(node), node->rows, key + 1);
}

/* The row an inner node keeps about @node, which has at least one row. */
static inline struct node_row node_summary(const struct rangemap_node *node)
{
	u64 gap = 0;

	for (u32 i = 0; i + 1 < node->rows; i++)
		gap = MAX(gap, node_gap_after(node, i));
	for (u32 i = 0; node->level && i < node->rows; i++)
		gap = MAX(gap, node_cell(node, COL_GAP, i));
	return (struct node_row){{
		[COL_FIRST] = node_cell(node, COL_FIRST, 0),
		[COL_LAST] = node_cell(node, COL_LAST, node->rows - 1),
		[COL_REF] = (uintptr_t)node,
		[COL_GAP] = gap,
	}};
}

/* Overwrite row @pos; true if it was different. */
static inline bool node_row_set(struct rangemap_node *node, u32 pos, const struct node_row *row)
{
	u64 changed = 0;

	for (u32 c = 0; c < node_columns(node); c++) {
		u64 *cell = &node_column(node, c)[pos];

		changed |= *cell ^ row->cell[c];
		*cell = row->cell[c];
	}
	return changed;
}

/* Move rows @from.. of @src to rows @to.. of @dst (the same node, or one of its level). */
static inline void node_rows_move(struct rangemap_node *dst, u32 to, struct rangemap_node *src,
				  u32 from, u32 n)
{
	for (u32 c = 0; c < node_columns(src); c++)
		memmove(node_column(dst, c) + to, node_column(src, c) + from, n * sizeof(u64));
}

static inline void node_row_insert(struct rangemap_node *node, u32 pos, const struct node_row *row)
{
	node_rows_move(node, pos + 1, node, pos, node->rows - pos);
	node_row_set(node, pos, row);
	node->rows++;
}

static inline void node_row_delete(struct rangemap_node *node, u32 pos)
{
	node->rows--;
	node_rows_move(node, pos, node, pos + 1, node->rows - pos);
}

/* Give the last @n rows of @left to its right neighbour. */
static inline void node_shift_right(struct rangemap_node *left, struct rangemap_node *right, u32 n)
{
	node_rows_move(right, n, right, 0, right->rows);
	node_rows_move(right, 0, left, left->rows - n, n);
	left->rows -= n;
	right->rows += n;
}

/* Give the first @n rows of @right to its left neighbour. */
static inline void node_shift_left(struct rangemap_node *left, struct rangemap_node *right, u32 n)
{
	node_rows_move(left, left->rows, right, 0, n);
	node_rows_move(right, 0, right, n, right->rows - n);
	left->rows += n;
	right->rows -= n;
}

#endif
