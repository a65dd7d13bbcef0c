/* SPDX-License-Identifier: MIT */
/*
 * The range map's finding, insertion and removal; rangemap_node.h draws the
 * nodes, rangemap_gap.c searches holes and checks.
 *
 * Every descent goes to the first range that ends at or after a key.  An inner
 * row knows the exact last byte below it, so the child chosen on the way down
 * always holds that range and no search ever turns back.
 *
 * Changing the map goes in the order check, reserve, act: the path of the
 * descent tells how many nodes will have to split, they are allocated, and
 * nothing after that can fail.  Removal only ever gives nodes back.
 */
#include "base/rangemap.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/rangemap_node.h"

/* The way to a leaf's row; [0] is the leaf.  Only the map's levels are set. */
struct path {
	struct rangemap_node *node[RANGEMAP_LEVELS_MAX];
	u32 pos[RANGEMAP_LEVELS_MAX];
};

/* Nodes allocated before the change that needs them, chained by cell[0]. */
struct node_reserve {
	struct rangemap_node *next;
};

void rangemap_init(struct rangemap *map)
{
	*map = (struct rangemap){0};
}

static void subtree_free(struct rangemap_node *node)
{
	for (u32 i = 0; node->level && i < node->rows; i++)
		subtree_free(node_child(node, i));
	free(node);
}

void rangemap_clear(struct rangemap *map)
{
	if (map->root)
		subtree_free(map->root);
	rangemap_init(map);
}

static void leaf_entry(const struct rangemap_node *leaf, u32 pos, struct rangemap_entry *ret)
{
	ret->first = node_cell(leaf, COL_FIRST, pos);
	ret->last = node_cell(leaf, COL_LAST, pos);
	ret->value = (void *)(uintptr_t)node_cell(leaf, COL_REF, pos);
}

bool rangemap_walk_start(struct rangemap_walk *walk, const struct rangemap *map, u64 key,
			 struct rangemap_entry *ret)
{
	const struct rangemap_node *node = map->root;
	u32 pos;

	if (!node)
		return false;
	pos = node_row_from(node, key);
	if (pos == node->rows)
		return false;
	while (node->level) {
		node = node_descend(node, pos);
		pos = node_row_from(node, key);
	}
	walk->map = map;
	walk->leaf = node;
	walk->pos = pos;
	leaf_entry(node, pos, ret);
	return true;
}

bool rangemap_walk_next(struct rangemap_walk *walk, struct rangemap_entry *e)
{
	if (walk->pos + 1 < walk->leaf->rows) {
		leaf_entry(walk->leaf, ++walk->pos, e);
		return true;
	}
	/* Leaves do not know each other: one descent per leaf. */
	return e->last != UINT64_MAX && rangemap_walk_start(walk, walk->map, e->last + 1, e);
}

bool rangemap_first_from(const struct rangemap *map, u64 key, struct rangemap_entry *ret)
{
	struct rangemap_walk walk;

	return rangemap_walk_start(&walk, map, key, ret);
}

bool rangemap_last_upto(const struct rangemap *map, u64 key, struct rangemap_entry *ret)
{
	const struct rangemap_node *node = map->root;
	u32 n;

	if (!node)
		return false;
	n = node_rows_upto(node, key);
	if (!n)
		return false;
	while (node->level) {
		node = node_descend(node, n - 1);
		n = node_rows_upto(node, key);
	}
	leaf_entry(node, n - 1, ret);
	return true;
}

bool rangemap_find(const struct rangemap *map, u64 key, struct rangemap_entry *ret)
{
	struct rangemap_entry e;

	if (!rangemap_first_from(map, key, &e) || e.first > key)
		return false;
	*ret = e;
	return true;
}

/*
 * Descend to the first range that ends at or after @key.  If there is none the
 * path leads to the end of the last leaf, where a range from @key would go.
 */
static void path_descend(const struct rangemap *map, u64 key, struct path *path)
{
	struct rangemap_node *node = map->root;

	for (u32 level = map->height; level--;) {
		u32 pos = node_row_from(node, key);

		if (level && pos == node->rows)
			pos--;
		path->node[level] = node;
		path->pos[level] = pos;
		if (level)
			node = node_descend(node, pos);
	}
}

/* The range a descent has led to; false if it was to the end. */
static bool path_entry(const struct rangemap *map, const struct path *path,
		       struct rangemap_entry *ret)
{
	if (!map->root || path->pos[0] == path->node[0]->rows)
		return false;
	leaf_entry(path->node[0], path->pos[0], ret);
	return true;
}

/* Bring the summaries above @level up to date, as far up as anything changes. */
static void path_refresh(const struct rangemap *map, const struct path *path, u32 level)
{
	for (; level + 1 < map->height; level++) {
		struct node_row row = node_summary(path->node[level]);

		if (!node_row_set(path->node[level + 1], path->pos[level + 1], &row))
			return;
	}
}

static struct rangemap_node *reserve_take(struct node_reserve *reserve)
{
	struct rangemap_node *node = reserve->next;

	reserve->next = (struct rangemap_node *)(uintptr_t)node->cell[0];
	return node;
}

static int reserve_fill(struct node_reserve *reserve, u32 n)
{
	reserve->next = NULL;
	while (n--) {
		struct rangemap_node *node = alloc_uninit(sizeof(*node));

		if (!node) {
			while (reserve->next)
				free(reserve_take(reserve));
			return -ENOMEM;
		}
		node->cell[0] = (uintptr_t)reserve->next;
		reserve->next = node;
	}
	return 0;
}

/* One node for each full one from the leaf up, and a root if they all are (or there is none). */
static u32 path_nodes_needed(const struct rangemap *map, const struct path *path)
{
	u32 level = 0;

	while (level < map->height && path->node[level]->rows == node_rows_max(path->node[level]))
		level++;
	return level == map->height ? level + 1 : level;
}

/* Put an empty node above the root (at first: a leaf above nothing). */
static void root_grow(struct rangemap *map, struct path *path, struct rangemap_node *root)
{
	root->level = map->height;
	root->rows = 0;
	path->pos[root->level] = 0;
	if (map->root) {
		struct node_row row = node_summary(map->root);

		node_row_insert(root, 0, &row);
		path->pos[root->level] = 1;
	}
	path->node[root->level] = root;
	map->root = root;
	map->height++;
}

/*
 * Halve a full node and insert.  Ranges often arrive in order, upwards or
 * downwards: at the ends most rows stay behind, so such maps come out three
 * quarters full rather than half.
 */
static void node_split_insert(struct rangemap_node *node, struct rangemap_node *right, u32 pos,
			      const struct node_row *row)
{
	u32 max = node_rows_max(node);
	u32 min = node_rows_min(node);
	u32 keep = pos == max ? max - min : pos == 0 ? min : max / 2;

	right->level = node->level;
	right->rows = 0;
	node_shift_right(node, right, max - keep);
	if (pos <= keep)
		node_row_insert(node, pos, row);
	else
		node_row_insert(right, pos - keep, row);
}

/*
 * Insert a range at the leaf row of @path; the reserve has what path_nodes_needed() said.  @row is
 * used up; it comes by pointer because a copy is made of pairs of cells, which waits for them.
 */
static void path_insert(struct rangemap *map, struct path *path, struct node_reserve *reserve,
			struct node_row *row)
{
	u32 level;

	for (level = 0;; level++) {
		struct rangemap_node *node, *right;
		struct node_row left_row;

		if (level == map->height)
			root_grow(map, path, reserve_take(reserve));
		node = path->node[level];
		if (node->rows < node_rows_max(node)) {
			node_row_insert(node, path->pos[level], row);
			break;
		}
		right = reserve_take(reserve);
		node_split_insert(node, right, path->pos[level], row);
		if (level + 1 < map->height) {
			left_row = node_summary(node);
			node_row_set(path->node[level + 1], path->pos[level + 1]++, &left_row);
		}
		*row = node_summary(right);
	}
	path_refresh(map, path, level);
	map->count++;
}

int rangemap_insert(struct rangemap *map, u64 first, u64 last, void *value)
{
	struct node_reserve reserve;
	struct rangemap_entry e;
	struct node_row row;
	struct path path;
	int rc;

	assert(first <= last && value);
	path_descend(map, first, &path);
	if (path_entry(map, &path, &e) && e.first <= last)
		return -EEXIST;
	rc = reserve_fill(&reserve, path_nodes_needed(map, &path));
	if (rc)
		return rc;
	row.cell[COL_FIRST] = first;
	row.cell[COL_LAST] = last;
	row.cell[COL_REF] = (uintptr_t)value;
	path_insert(map, &path, &reserve, &row);
	return 0;
}

int rangemap_split(struct rangemap *map, u64 at, void *upper)
{
	struct node_reserve reserve;
	struct rangemap_entry e;
	struct node_row row;
	struct path path;
	int rc;

	assert(upper);
	path_descend(map, at, &path);
	if (!path_entry(map, &path, &e) || e.first >= at)
		return -ENOENT;
	rc = reserve_fill(&reserve, path_nodes_needed(map, &path));
	if (rc)
		return rc;
	node_column(path.node[0], COL_LAST)[path.pos[0]] = at - 1;
	path.pos[0]++;
	row.cell[COL_FIRST] = at;
	row.cell[COL_LAST] = e.last;
	row.cell[COL_REF] = (uintptr_t)upper;
	path_insert(map, &path, &reserve, &row);
	return 0;
}

/*
 * Row @pos of @parent is about a child with too few rows.  Merge it with a
 * neighbour if both fit in one node, else share the rows evenly: that leaves
 * both half full, far from the next merge.
 */
static void child_refill(struct rangemap_node *parent, u32 pos)
{
	u32 left_pos = pos ? pos - 1 : 0;
	struct rangemap_node *left = node_child(parent, left_pos);
	struct rangemap_node *right = node_child(parent, left_pos + 1);
	u32 total = left->rows + right->rows;
	struct node_row row;

	if (total <= node_rows_max(left)) {
		node_shift_left(left, right, right->rows);
		node_row_delete(parent, left_pos + 1);
		free(right);
	} else {
		if (left->rows > right->rows)
			node_shift_right(left, right, left->rows - total / 2);
		else
			node_shift_left(left, right, total / 2 - left->rows);
		row = node_summary(right);
		node_row_set(parent, left_pos + 1, &row);
	}
	row = node_summary(left);
	node_row_set(parent, left_pos, &row);
}

/* A row was taken out of the leaf of @path: repair what is above it. */
static void path_shrunk(struct rangemap *map, const struct path *path)
{
	u32 level = 0;

	while (level + 1 < map->height &&
	       path->node[level]->rows < node_rows_min(path->node[level])) {
		child_refill(path->node[level + 1], path->pos[level + 1]);
		level++;
	}
	path_refresh(map, path, level);

	while (map->root->level && map->root->rows == 1) {
		struct rangemap_node *root = map->root;

		map->root = node_child(root, 0);
		map->height--;
		free(root);
	}
}

void *rangemap_remove(struct rangemap *map, u64 first)
{
	struct rangemap_entry e;
	struct path path;

	path_descend(map, first, &path);
	if (!path_entry(map, &path, &e) || e.first != first)
		return NULL;

	node_row_delete(path.node[0], path.pos[0]);
	map->count--;
	if (map->count)
		path_shrunk(map, &path);
	else
		rangemap_clear(map);
	return e.value;
}
