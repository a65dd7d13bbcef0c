/* SPDX-License-Identifier: MIT */
/*
 * The range map's hole search and its check.
 *
 * One descent finds the first range that ends at or after the key.  The hole
 * wanted is either right before it or follows some range.  For the latter the
 * search stands on that range's row and walks right through the leaf, then up,
 * looking at the hole to the next row and at the summary of the next child, and
 * goes down as soon as a summary promises a hole that is large enough.  It
 * climbs once and descends once, so its cost is a few rows per level whatever
 * the length.
 */
#include "base/rangemap_node.h"

/* A place in the tree; [0] is the leaf. */
struct cursor {
	const struct rangemap_node *node[RANGEMAP_LEVELS_MAX];
	u32 pos[RANGEMAP_LEVELS_MAX];
};

static void cursor_set(struct cursor *at, const struct rangemap_node *node, u64 key)
{
	for (;;) {
		at->node[node->level] = node;
		at->pos[node->level] = node_row_from(node, key);
		if (!node->level)
			return;
		node = node_descend(node, at->pos[node->level]);
	}
}

/* A hole, not clipped to anything. */
struct hole {
	u64 first;
	u64 last;
};

static struct hole hole_after(const struct rangemap_node *node, u32 row)
{
	return (struct hole){
		.first = node_cell(node, COL_LAST, row) + 1,
		.last = node_cell(node, COL_FIRST, row + 1) - 1,
	};
}

/* The lowest hole of at least @need bytes inside @node, whose summary promises one. */
static struct hole subtree_hole(const struct rangemap_node *node, u64 need)
{
	u32 row = 0;

	for (;;) {
		if (node->level && node_cell(node, COL_GAP, row) >= need) {
			node = node_child(node, row);
			row = 0;
			continue;
		}
		if (node_gap_after(node, row) >= need)
			return hole_after(node, row);
		row++;
	}
}

/*
 * The lowest hole of at least @need bytes between two ranges, of which the
 * lower is at or after the cursor.
 */
static bool cursor_hole(const struct cursor *at, u32 height, u64 need, struct hole *ret)
{
	for (u32 level = 0; level < height; level++) {
		const struct rangemap_node *node = at->node[level];

		for (u32 row = at->pos[level]; row + 1 < node->rows; row++) {
			if (node_gap_after(node, row) >= need) {
				*ret = hole_after(node, row);
				return true;
			}
			if (level && node_cell(node, COL_GAP, row + 1) >= need) {
				*ret = subtree_hole(node_child(node, row + 1), need);
				return true;
			}
		}
	}
	return false;
}

/* The lowest hole that has @need bytes from @key on. */
static bool map_hole(const struct rangemap *map, u64 key, u64 need, struct hole *ret)
{
	const struct rangemap_node *root = map->root;
	struct cursor at;
	u64 root_last, next_first;

	if (!root || node_cell(root, COL_LAST, root->rows - 1) < key) {
		*ret = (struct hole){key, UINT64_MAX};
		return true;
	}
	cursor_set(&at, root, key);
	next_first = node_cell(at.node[0], COL_FIRST, at.pos[0]);
	if (next_first > key && next_first - key >= need) {
		*ret = (struct hole){key, next_first - 1};
		return true;
	}
	if (cursor_hole(&at, map->height, need, ret))
		return true;
	root_last = node_cell(root, COL_LAST, root->rows - 1);
	*ret = (struct hole){root_last + 1, UINT64_MAX};
	return root_last != UINT64_MAX;
}

bool rangemap_next_gap(const struct rangemap *map, u64 *first, u64 *last, u64 min_length)
{
	u64 need = MAX(min_length, 1);
	struct hole hole;

	if (*first > *last || !map_hole(map, *first, need, &hole))
		return false;
	/* If clipping makes this one too short, *last lies in it and all later ones are beyond. */
	hole.last = MIN(hole.last, *last);
	if (hole.first > hole.last || hole.last - hole.first < need - 1)
		return false;
	*first = hole.first;
	*last = hole.last;
	return true;
}

struct check {
	u64 entries;
	u64 last; /* of the range visited before, if entries */
	const char *wrong;
};

static void leaf_check(struct check *check, const struct rangemap_node *leaf)
{
	for (u32 row = 0; row < leaf->rows && !check->wrong; row++) {
		u64 first = node_cell(leaf, COL_FIRST, row);

		if (check->entries && first <= check->last)
			check->wrong = "rangemap: ranges overlap or are out of order";
		else if (node_cell(leaf, COL_LAST, row) < first)
			check->wrong = "rangemap: range ends before it begins";
		else if (!node_cell(leaf, COL_REF, row))
			check->wrong = "rangemap: range without a value";
		check->last = node_cell(leaf, COL_LAST, row);
		check->entries++;
	}
}

static void subtree_check(struct check *check, const struct rangemap_node *node, bool is_root)
{
	u32 rows_min = !is_root ? node_rows_min(node) : node->level ? 2 : 1;

	if (node->rows < rows_min || node->rows > node_rows_max(node)) {
		check->wrong = "rangemap: node too empty or too full";
		return;
	}
	if (!node->level) {
		leaf_check(check, node);
		return;
	}
	for (u32 row = 0; row < node->rows && !check->wrong; row++) {
		const struct rangemap_node *child = node_child(node, row);
		struct node_row summary;

		if (child->level != node->level - 1) {
			check->wrong = "rangemap: child of another level";
			return;
		}
		subtree_check(check, child, false);
		if (check->wrong)
			return;
		summary = node_summary(child);
		for (u32 c = 0; c < COL_COUNT; c++)
			if (summary.cell[c] != node_cell(node, c, row))
				check->wrong = "rangemap: summary disagrees with the child";
	}
}

const char *rangemap_check(const struct rangemap *map)
{
	struct check check = {0};

	if (!map->root != !map->height || !map->root != !map->count)
		return "rangemap: root, height and count disagree";
	if (!map->root)
		return NULL;
	if (map->root->level != map->height - 1)
		return "rangemap: height is wrong";
	subtree_check(&check, map->root, true);
	if (!check.wrong && check.entries != map->count)
		return "rangemap: count is wrong";
	return check.wrong;
}
