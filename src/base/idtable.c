/* SPDX-License-Identifier: MIT */
/*
 * Ids to pointers: a radix tree of 64-way nodes over index = id - min, as tall
 * as the highest index needs.  Two words of bits per node answer the questions
 * that matter without touching the children:
 *
 *	free	leaf: the index is not taken; above: something below is free
 *		(a child that does not exist is all free)
 *	present	leaf: the value is not NULL; above: the child exists
 *
 * The lowest free index is thus the lowest free bit on each level from the
 * root down, and because every index below it is taken, what is missing on the
 * way is always entered at slot 0.
 */
#include "base/idtable.h"

#include <assert.h>

#include "base/alloc.h"

#define SLOT_BITS  6
#define SLOTS	   (1U << SLOT_BITS)
#define HEIGHT_MAX 6 /* 6 * 6 bits hold any u32 */
#define ALL_FREE   (~0ULL)

struct idtable_node {
	u64 free;
	u64 present;
	void *slot[SLOTS]; /* leaf: values; above: children */
};

static u32 slot_of(u64 index, u32 level)
{
	return (index >> (level * SLOT_BITS)) & (SLOTS - 1);
}

/* How many indexes a tree of @height levels holds. */
static u64 height_span(u32 height)
{
	return 1ULL << (height * SLOT_BITS);
}

/* How many ids the table has in all. */
static u64 table_span(const struct idtable *t)
{
	return (u64)t->max - t->min + 1;
}

static void subtree_free(struct idtable_node *node, u32 level)
{
	if (level)
		for (u64 bits = node->present; bits; bits &= bits - 1)
			subtree_free(node->slot[__builtin_ctzll(bits)], level - 1);
	free(node);
}

/* A subtree in which all is free, with the nodes that lead to its lowest index; or NULL. */
static struct idtable_node *subtree_new(u32 top_level)
{
	struct idtable_node *node = NULL;

	for (u32 level = 0; level <= top_level; level++) {
		struct idtable_node *above = zalloc(sizeof(*above));

		if (!above) {
			if (node)
				subtree_free(node, level - 1);
			return NULL;
		}
		above->free = ALL_FREE;
		if (node) {
			above->present = 1;
			above->slot[0] = node;
		}
		node = above;
	}
	return node;
}

static void slot_attach(struct idtable_node *node, u32 slot, struct idtable_node *child)
{
	node->slot[slot] = child;
	node->present |= BIT_ULL(slot);
}

static void slot_detach(struct idtable_node *node, u32 slot)
{
	node->slot[slot] = NULL;
	node->present &= ~BIT_ULL(slot);
	node->free |= BIT_ULL(slot);
}

void idtable_init(struct idtable *t, u32 min, u32 max)
{
	assert(min <= max);
	*t = (struct idtable){.min = min, .max = max};
}

void idtable_clear(struct idtable *t)
{
	if (t->root)
		subtree_free(t->root, t->height - 1);
	t->root = NULL;
	t->height = 0;
	t->count = 0;
}

/* Every index is taken (or there is none yet): add a level, with room in its next slot. */
static int table_grow(struct idtable *t)
{
	struct idtable_node *root, *fresh;

	if (!t->root) {
		t->root = subtree_new(0);
		if (!t->root)
			return -ENOMEM;
		t->height = 1;
		return 0;
	}

	fresh = subtree_new(t->height - 1);
	if (!fresh)
		return -ENOMEM;
	root = zalloc(sizeof(*root));
	if (!root) {
		subtree_free(fresh, t->height - 1);
		return -ENOMEM;
	}
	root->free = ALL_FREE & ~1ULL;
	slot_attach(root, 0, t->root);
	slot_attach(root, 1, fresh);
	t->root = root;
	t->height++;
	return 0;
}

/* Take @slot of the leaf path[0]; a node that thereby fills up is free no longer. */
static void path_take(struct idtable_node **path, u32 height, u64 index)
{
	for (u32 level = 0; level < height; level++) {
		path[level]->free &= ~BIT_ULL(slot_of(index, level));
		if (path[level]->free)
			return;
	}
}

int idtable_reserve(struct idtable *t, u32 *ret_id)
{
	struct idtable_node *path[HEIGHT_MAX];
	struct idtable_node *node;
	u64 index = 0;

	if (t->count == table_span(t))
		return -EBUSY;
	if (!t->root || !t->root->free) {
		int rc = table_grow(t);

		if (rc)
			return rc;
	}

	node = t->root;
	for (u32 level = t->height; level--;) {
		u32 slot = __builtin_ctzll(node->free);

		path[level] = node;
		index = index << SLOT_BITS | slot;
		if (level && !node->slot[slot]) {
			struct idtable_node *fresh = subtree_new(level - 1);

			if (!fresh)
				return -ENOMEM;
			slot_attach(node, slot, fresh);
		}
		if (level)
			node = node->slot[slot];
	}
	path_take(path, t->height, index);
	t->count++;
	*ret_id = t->min + (u32)index;
	return 0;
}

/* The leaf of @id, or NULL; *ret_slot is its slot there. */
static struct idtable_node *table_leaf(const struct idtable *t, u32 id, u32 *ret_slot)
{
	struct idtable_node *node = t->root;
	u64 index = (u64)id - t->min;

	/* An id below min has wrapped, to far above any span. */
	if (index >= table_span(t) || index >= height_span(t->height) || !node)
		return NULL;
	for (u32 level = t->height - 1; level && node; level--)
		node = node->slot[slot_of(index, level)];
	*ret_slot = slot_of(index, 0);
	return node;
}

void idtable_store(struct idtable *t, u32 id, void *value)
{
	u32 slot = 0;
	struct idtable_node *leaf = table_leaf(t, id, &slot);

	assert(leaf && !(leaf->free & BIT_ULL(slot)));
	leaf->slot[slot] = value;
	if (value)
		leaf->present |= BIT_ULL(slot);
	else
		leaf->present &= ~BIT_ULL(slot);
}

void *idtable_load(const struct idtable *t, u32 id)
{
	u32 slot = 0;
	struct idtable_node *leaf = table_leaf(t, id, &slot);

	return leaf ? leaf->slot[slot] : NULL;
}

/* Drop levels that only lead to slot 0, and the last leaf with the last id. */
static void table_shrink(struct idtable *t)
{
	while (t->height > 1 && t->root->present == 1) {
		struct idtable_node *root = t->root;

		t->root = root->slot[0];
		t->height--;
		free(root);
	}
	if (!t->count)
		idtable_clear(t);
}

void idtable_release(struct idtable *t, u32 id)
{
	struct idtable_node *path[HEIGHT_MAX];
	u64 index = (u64)id - t->min;
	struct idtable_node *node = t->root;

	assert(node && index < height_span(t->height));
	for (u32 level = t->height; level--;) {
		assert(node);
		path[level] = node;
		node = node->slot[slot_of(index, level)];
	}
	assert(!(path[0]->free & BIT_ULL(slot_of(index, 0))));

	slot_detach(path[0], slot_of(index, 0));
	for (u32 level = 1; level < t->height; level++) {
		struct idtable_node *child = path[level - 1];
		u32 slot = slot_of(index, level);

		if (child->free == ALL_FREE && !child->present) {
			free(child);
			slot_detach(path[level], slot);
			continue;
		}
		if (path[level]->free & BIT_ULL(slot))
			break;
		path[level]->free |= BIT_ULL(slot);
	}
	t->count--;
	table_shrink(t);
}

bool idtable_next(const struct idtable *t, u32 *id, void **ret_value)
{
	u64 index = *id > t->min ? (u64)*id - t->min : 0;

	while (t->root && index < height_span(t->height)) {
		struct idtable_node *node = t->root;

		for (u32 level = t->height - 1;; level--) {
			u32 slot = slot_of(index, level);
			u64 bits = node->present & (~0ULL << slot);
			u64 unit = height_span(level);

			if (!bits) {
				/* nothing more in this node: on to its next sibling */
				index = ALIGN_DOWN(index, unit * SLOTS) + unit * SLOTS;
				break;
			}
			if ((u32)__builtin_ctzll(bits) != slot) {
				slot = __builtin_ctzll(bits);
				index = ALIGN_DOWN(index, unit * SLOTS) + slot * unit;
			}
			if (!level) {
				*id = t->min + (u32)index;
				*ret_value = node->slot[slot];
				return true;
			}
			node = node->slot[slot];
		}
	}
	return false;
}

static const char *leaf_check(const struct idtable_node *node, u64 *taken)
{
	if (node->free == ALL_FREE)
		return "idtable: empty leaf kept";
	if (node->free & node->present)
		return "idtable: free id with a value";
	for (u32 slot = 0; slot < SLOTS; slot++)
		if (!node->slot[slot] != !(node->present & BIT_ULL(slot)))
			return "idtable: present bit disagrees with the value";
	*taken += __builtin_popcountll(~node->free);
	return NULL;
}

static const char *subtree_check(const struct idtable_node *node, u32 level, u64 *taken)
{
	if (!level)
		return leaf_check(node, taken);
	if (!node->present)
		return "idtable: empty node kept";
	for (u32 slot = 0; slot < SLOTS; slot++) {
		const struct idtable_node *child = node->slot[slot];
		bool free_below = !child || child->free;
		const char *wrong;

		if (!child != !(node->present & BIT_ULL(slot)))
			return "idtable: present bit disagrees with the child";
		if (free_below != !!(node->free & BIT_ULL(slot)))
			return "idtable: free bit disagrees with the child";
		wrong = child ? subtree_check(child, level - 1, taken) : NULL;
		if (wrong)
			return wrong;
	}
	return NULL;
}

const char *idtable_check(const struct idtable *t)
{
	const char *wrong;
	u64 taken = 0;

	if (!t->root != !t->height || !t->root != !t->count)
		return "idtable: root, height and count disagree";
	if (!t->root)
		return NULL;
	if (t->height > HEIGHT_MAX)
		return "idtable: too tall";
	if (t->height > 1 && t->root->present == 1)
		return "idtable: taller than needed";
	wrong = subtree_check(t->root, t->height - 1, &taken);
	if (wrong)
		return wrong;
	return taken == t->count ? NULL : "idtable: count is wrong";
}
