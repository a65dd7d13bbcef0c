/* SPDX-License-Identifier: MIT */
/*
 * The interval tree: an AVL tree ordered by first, augmented with the largest
 * last of each subtree.
 *
 * One function keeps both promises.  Whatever changed, node_retrace() starts
 * at the lowest node whose subtree changed and walks to the root, bringing
 * height and subtree_last up to date and rotating where the heights of two
 * siblings differ by more than one.  It stops as soon as a node comes out as
 * it was, because nothing above can tell the difference.
 *
 * AVL rather than anything randomised: the intervals come from programs we do
 * not trust, and no order of theirs may make the tree deep.
 */
#include "base/itree.h"

#include <assert.h>

static u32 height_of(const struct itree_node *node)
{
	return node ? node->height : 0;
}

/* Recompute what a node says about its subtree; true if that changed. */
static bool node_update(struct itree_node *node)
{
	u32 height = 1 + MAX(height_of(node->child[0]), height_of(node->child[1]));
	u64 last = node->last;
	bool changed;

	for (int i = 0; i < 2; i++)
		if (node->child[i])
			last = MAX(last, node->child[i]->subtree_last);
	changed = height != node->height || last != node->subtree_last;
	node->height = height;
	node->subtree_last = last;
	return changed;
}

/* Let @node (NULL allowed) hang where @old hangs: below @old's parent or at the root. */
static void node_replace(struct itree *tree, struct itree_node *old, struct itree_node *node)
{
	struct itree_node *parent = old->parent;

	if (!parent)
		tree->root = node;
	else
		parent->child[parent->child[1] == old] = node;
	if (node)
		node->parent = parent;
}

static void node_adopt(struct itree_node *parent, int side, struct itree_node *child)
{
	parent->child[side] = child;
	if (child)
		child->parent = parent;
}

/*
 * Lift the child on @side over @node; returns it.  For side 0:
 *
 *	      node            top
 *	     /    \          /   \
 *	   top     c   ->   a    node
 *	  /   \                 /    \
 *	 a     b               b      c
 */
static struct itree_node *node_lift(struct itree *tree, struct itree_node *node, int side)
{
	struct itree_node *top = node->child[side];

	node_replace(tree, node, top);
	node_adopt(node, side, top->child[!side]);
	node_adopt(top, !side, node);
	node_update(node);
	node_update(top);
	return top;
}

/* The children of @node differ in height by two: returns the subtree's new, balanced, top. */
static struct itree_node *node_rebalance(struct itree *tree, struct itree_node *node)
{
	int side = height_of(node->child[1]) > height_of(node->child[0]);
	struct itree_node *heavy = node->child[side];

	if (height_of(heavy->child[!side]) > height_of(heavy->child[side]))
		node_lift(tree, heavy, !side);
	return node_lift(tree, node, side);
}

static bool node_balanced(const struct itree_node *node)
{
	u32 left = height_of(node->child[0]);
	u32 right = height_of(node->child[1]);

	return left <= right + 1 && right <= left + 1;
}

static void node_retrace(struct itree *tree, struct itree_node *node)
{
	for (; node; node = node->parent) {
		bool changed = node_update(node);

		if (!node_balanced(node))
			node = node_rebalance(tree, node);
		else if (!changed)
			return;
	}
}

void itree_init(struct itree *tree)
{
	tree->root = NULL;
}

void itree_insert(struct itree *tree, struct itree_node *node)
{
	struct itree_node **link = &tree->root;
	struct itree_node *parent = NULL;

	assert(node->first <= node->last);
	while (*link) {
		parent = *link;
		link = &parent->child[node->first >= parent->first];
	}
	*link = node;
	node->parent = parent;
	node->child[0] = NULL;
	node->child[1] = NULL;
	node->height = 0; /* as nothing yet: the retrace sees a change */
	node->subtree_last = 0;
	node_retrace(tree, node);
}

void itree_remove(struct itree *tree, struct itree_node *node)
{
	struct itree_node *heir, *from;

	if (!node->child[0] || !node->child[1]) {
		node_replace(tree, node, node->child[!node->child[0]]);
		node_retrace(tree, node->parent);
		return;
	}

	/* Two children: the next node in order, which has no left child, takes the place. */
	heir = node->child[1];
	while (heir->child[0])
		heir = heir->child[0];
	from = heir->parent == node ? heir : heir->parent;
	node_replace(tree, heir, heir->child[1]);
	node_replace(tree, node, heir);
	node_adopt(heir, 0, node->child[0]);
	node_adopt(heir, 1, node->child[1]);
	/*
	 * The heir says what the node said until it is recomputed.  The first
	 * retrace may stop below it, yet the node's own last has to go: hence
	 * the second, which costs one step where the first got past.
	 */
	heir->height = node->height;
	heir->subtree_last = node->subtree_last;
	node_retrace(tree, from);
	node_retrace(tree, heir);
}

/*
 * Going left wherever something there reaches @first leads to the lowest node
 * that does.  If that one begins beyond @last, so do all after it.
 */
static struct itree_node *subtree_first(struct itree_node *node, u64 first, u64 last)
{
	while (node && node->subtree_last >= first) {
		struct itree_node *left = node->child[0];

		if (left && left->subtree_last >= first) {
			node = left;
			continue;
		}
		if (node->first > last)
			return NULL;
		if (node->last >= first)
			return node;
		node = node->child[1];
	}
	return NULL;
}

struct itree_node *itree_first(const struct itree *tree, u64 first, u64 last)
{
	return subtree_first(tree->root, first, last);
}

struct itree_node *itree_next(const struct itree_node *node, u64 first, u64 last)
{
	for (;;) {
		struct itree_node *right = node->child[1];
		struct itree_node *parent;

		if (right && right->subtree_last >= first)
			return subtree_first(right, first, last);
		/* All below is done: up to the first ancestor this is left of. */
		for (parent = node->parent; parent && parent->child[1] == node;
		     parent = parent->parent)
			node = parent;
		if (!parent || parent->first > last)
			return NULL;
		if (parent->last >= first)
			return parent;
		node = parent;
	}
}

/* The depth of the recursion is the tree's height: 1.44 log2(n). */
static const char *subtree_check(const struct itree_node *node)
{
	u64 last = node->last;

	if (node->first > node->last)
		return "itree: range ends before it begins";
	for (int i = 0; i < 2; i++) {
		const struct itree_node *child = node->child[i];
		const char *wrong;

		if (!child)
			continue;
		if (child->parent != node)
			return "itree: child does not know its parent";
		if (i ? child->first < node->first : child->first > node->first)
			return "itree: child on the wrong side";
		wrong = subtree_check(child);
		if (wrong)
			return wrong;
		last = MAX(last, child->subtree_last);
	}
	if (node->height != 1 + MAX(height_of(node->child[0]), height_of(node->child[1])))
		return "itree: wrong height";
	if (!node_balanced(node))
		return "itree: out of balance";
	if (node->subtree_last != last)
		return "itree: wrong subtree_last";
	return NULL;
}

/* Neighbours in order cover what "child on the wrong side" cannot see: grandchildren. */
static const char *order_check(const struct itree *tree)
{
	const struct itree_node *node = itree_first(tree, 0, UINT64_MAX);

	while (node) {
		const struct itree_node *next = itree_next(node, 0, UINT64_MAX);

		if (next && next->first < node->first)
			return "itree: out of order";
		node = next;
	}
	return NULL;
}

const char *itree_check(const struct itree *tree)
{
	const char *wrong;

	if (!tree->root)
		return NULL;
	if (tree->root->parent)
		return "itree: root has a parent";
	wrong = subtree_check(tree->root);
	return wrong ? wrong : order_check(tree);
}
