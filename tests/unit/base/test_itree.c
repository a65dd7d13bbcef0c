/* SPDX-License-Identifier: MIT */
/*
 * The interval tree against a plain array that is searched from one end to the
 * other.  Each range also remembers when it was inserted: equal firsts must
 * come in that order.
 */
#include "random.h"

#include "base/itree.h"

#define NODES 512

struct model_node {
	struct itree_node node;
	bool in;
	u64 stamp;
};

struct world {
	struct itree tree;
	struct model_node nodes[NODES];
	u64 base;
	u64 random;
	u64 stamp;
	u32 count;
};

static bool comes_before(const struct model_node *a, const struct model_node *b)
{
	return a->node.first != b->node.first ? a->node.first < b->node.first : a->stamp < b->stamp;
}

/* The lowest node touching [first, last] that comes after @after (NULL: any). */
static struct model_node *naive_after(struct world *w, const struct model_node *after, u64 first,
				      u64 last)
{
	struct model_node *best = NULL;

	for (u32 i = 0; i < NODES; i++) {
		struct model_node *n = &w->nodes[i];

		if (!n->in || n->node.first > last || n->node.last < first)
			continue;
		if (after && !comes_before(after, n))
			continue;
		if (!best || comes_before(n, best))
			best = n;
	}
	return best;
}

static void assert_query(struct world *w, u64 first, u64 last)
{
	struct itree_node *node = itree_first(&w->tree, first, last);
	struct model_node *model = naive_after(w, NULL, first, last);

	while (model) {
		assert_ptr_equal(node, &model->node);
		node = itree_next(node, first, last);
		model = naive_after(w, model, first, last);
	}
	assert_null(node);
}

static void step_insert(struct world *w, u64 range)
{
	struct model_node *n = &w->nodes[random_below(&w->random, NODES)];
	u64 a = random_below(&w->random, range);
	u64 b = random_below(&w->random, range);

	if (n->in)
		return;
	if (random_below(&w->random, 4)) /* mostly short, some long */
		b = MIN(a + b % 8, range - 1);
	memset(&n->node, 0xa5, sizeof(n->node)); /* nothing needs to be prepared */
	n->node.first = w->base + MIN(a, b);
	n->node.last = w->base + MAX(a, b);
	itree_insert(&w->tree, &n->node);
	n->in = true;
	n->stamp = w->stamp++;
	w->count++;
}

static void step_remove(struct world *w)
{
	struct model_node *n = &w->nodes[random_below(&w->random, NODES)];

	if (!n->in)
		return;
	itree_remove(&w->tree, &n->node);
	n->in = false;
	w->count--;
}

static void world_run(struct world *w, u64 base, u64 range, u32 steps)
{
	bool growing = true;

	memset(w, 0, sizeof(*w));
	w->base = base;
	w->random = range;
	itree_init(&w->tree);
	for (u32 i = 0; i < steps; i++) {
		u64 a, b;

		if (growing ? w->count > NODES * 9 / 10 : w->count < NODES / 16)
			growing = !growing;
		if (random_below(&w->random, 10) < (growing ? 8 : 2))
			step_insert(w, range);
		else
			step_remove(w);
		assert_sound(itree_check(&w->tree));
		a = random_below(&w->random, range);
		b = a + random_below(&w->random, 4);
		assert_query(w, base + a, base + MIN(b, range - 1));
		if (i % 256 == 0)
			assert_query(w, 0, UINT64_MAX);
	}
	for (u32 i = 0; i < NODES; i++) {
		if (w->nodes[i].in)
			itree_remove(&w->tree, &w->nodes[i].node);
		w->nodes[i].in = false;
		assert_sound(itree_check(&w->tree));
	}
	assert_true(itree_empty(&w->tree));
}

static void random_steps_agree_with_the_model(void **test)
{
	static struct world w;

	world_run(&w, 0, 4096, 8000);
	world_run(&w, UINT64_MAX - 4095, 4096, 8000);
	world_run(&w, 0, UINT64_MAX, 4000);
}

static void many_equal_ranges_keep_the_order_of_insertion(void **test)
{
	static struct world w;

	world_run(&w, 7, 4, 3000);
}

static void an_empty_tree_has_no_first(void **test)
{
	struct itree tree;

	itree_init(&tree);
	assert_true(itree_empty(&tree));
	assert_null(itree_first(&tree, 0, UINT64_MAX));
	assert_sound(itree_check(&tree));
}

static void ranges_may_reach_both_ends(void **test)
{
	struct itree_node bottom = {.first = 0, .last = 0};
	struct itree_node top = {.first = UINT64_MAX, .last = UINT64_MAX};
	struct itree_node all = {.first = 0, .last = UINT64_MAX};
	struct itree tree;

	itree_init(&tree);
	itree_insert(&tree, &top);
	itree_insert(&tree, &bottom);
	itree_insert(&tree, &all);
	assert_sound(itree_check(&tree));
	assert_ptr_equal(itree_first(&tree, 0, 0), &bottom);
	assert_ptr_equal(itree_next(&bottom, 0, 0), &all);
	assert_null(itree_next(&all, 0, 0));
	assert_ptr_equal(itree_first(&tree, 1, UINT64_MAX - 1), &all);
	assert_null(itree_next(&all, 1, UINT64_MAX - 1));
	assert_ptr_equal(itree_first(&tree, UINT64_MAX, UINT64_MAX), &all);
	assert_ptr_equal(itree_next(&all, UINT64_MAX, UINT64_MAX), &top);
	assert_null(itree_next(&top, UINT64_MAX, UINT64_MAX));
	itree_remove(&tree, &all);
	assert_sound(itree_check(&tree));
	assert_null(itree_first(&tree, 1, UINT64_MAX - 1));
	itree_remove(&tree, &bottom);
	itree_remove(&tree, &top);
	assert_null(tree.root);
}

static void no_order_of_insertion_makes_the_tree_deep(void **test)
{
	enum { N = 65536 };
	struct itree_node *nodes = calloc(N, sizeof(*nodes));

	assert_non_null(nodes);
	for (int order = 0; order < 3; order++) {
		struct itree tree;

		itree_init(&tree);
		for (u32 i = 0; i < N; i++) {
			u64 key = order == 0 ? i : order == 1 ? N - i : i % 2 ? i : 2 * N - i;

			nodes[i].first = nodes[i].last = key;
			itree_insert(&tree, &nodes[i]);
		}
		assert_sound(itree_check(&tree));
		assert_true(tree.root->height <= 23); /* 1.44 * 16 */
		for (u32 i = 0; i < N; i += 2)
			itree_remove(&tree, &nodes[i]);
		assert_sound(itree_check(&tree));
		assert_true(tree.root->height <= 22);
	}
	free(nodes);
}

static void the_check_finds_damage(void **test)
{
	struct itree_node nodes[7];
	struct itree tree;

	itree_init(&tree);
	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++) {
		nodes[i].first = nodes[i].last = 10 * i;
		itree_insert(&tree, &nodes[i]);
	}
	assert_sound(itree_check(&tree));
	nodes[6].last = 1000;
	assert_non_null(itree_check(&tree));
	nodes[6].last = 60;
	nodes[2].first = nodes[2].last = 35; /* right of its grandparent */
	assert_non_null(itree_check(&tree));
	nodes[2].first = nodes[2].last = 20;
	assert_sound(itree_check(&tree));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_tree_has_no_first),
		cmocka_unit_test(ranges_may_reach_both_ends),
		cmocka_unit_test(random_steps_agree_with_the_model),
		cmocka_unit_test(many_equal_ranges_keep_the_order_of_insertion),
		cmocka_unit_test(no_order_of_insertion_makes_the_tree_deep),
		cmocka_unit_test(the_check_finds_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
