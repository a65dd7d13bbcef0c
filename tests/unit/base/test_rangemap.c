/* SPDX-License-Identifier: MIT */
/*
 * The range map against a naive model: an array with the owner of each cell of
 * a small universe.  A cell stands for 1 byte or for many, and the universe
 * lies at the bottom of u64, at its top, or covers all of it.
 */
#include "random.h"

#include "base/rangemap.h"
#include "base/rangemap_node.h"

#define CELLS	   16384
#define OWNERS_MAX CELLS

struct world {
	struct rangemap map;
	u64 base;
	u64 unit; /* bytes a cell */
	u64 random;
	u32 cell[CELLS];	   /* owner, 0: none */
	u32 first[OWNERS_MAX + 1]; /* of an owner: first and last cell */
	u32 last[OWNERS_MAX + 1];
	u32 free_owner[OWNERS_MAX];
	u32 free_owners;
	u32 owners;
};

static const struct {
	u64 base;
	u64 unit;
} universes[] = {
	{0, 1},
	{UINT64_MAX - CELLS + 1, 1},
	{0, UINT64_MAX / CELLS + 1},
};

static u64 cell_first(const struct world *w, u32 cell)
{
	return w->base + cell * w->unit;
}

static u64 cell_last(const struct world *w, u32 cell)
{
	return cell_first(w, cell) + (w->unit - 1);
}

static u64 random_byte(struct world *w)
{
	return cell_first(w, random_below(&w->random, CELLS)) + random_below(&w->random, w->unit);
}

static void *value_of(u32 owner)
{
	return (void *)(uintptr_t)owner;
}

static struct world *world_new(int universe)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	rangemap_init(&w->map);
	w->base = universes[universe].base;
	w->unit = universes[universe].unit;
	w->random = universe + 1;
	for (u32 owner = 1; owner <= OWNERS_MAX; owner++)
		w->free_owner[w->free_owners++] = owner;
	return w;
}

static void world_free(struct world *w)
{
	rangemap_clear(&w->map);
	assert_null(w->map.root);
	free(w);
}

static void world_own(struct world *w, u32 owner, u32 first, u32 last)
{
	for (u32 cell = first; cell <= last; cell++)
		w->cell[cell] = owner;
	w->first[owner] = first;
	w->last[owner] = last;
}

static bool world_touches(const struct world *w, u32 first, u32 last)
{
	for (u32 cell = first; cell <= last; cell++)
		if (w->cell[cell])
			return true;
	return false;
}

/* The map holds what the model holds, in order. */
static void assert_same(const struct world *w)
{
	struct rangemap_entry e;
	u64 seen = 0;
	u32 cell = 0;

	rangemap_for_each_in (&w->map, e, 0, UINT64_MAX) {
		u32 owner;

		while (cell < CELLS && !w->cell[cell])
			cell++;
		assert_true(cell < CELLS);
		owner = w->cell[cell];
		assert_true(e.first == cell_first(w, w->first[owner]));
		assert_true(e.last == cell_last(w, w->last[owner]));
		assert_ptr_equal(e.value, value_of(owner));
		cell = w->last[owner] + 1;
		seen++;
	}
	while (cell < CELLS && !w->cell[cell])
		cell++;
	assert_int_equal(cell, CELLS);
	assert_int_equal(seen, w->owners);
	assert_int_equal(w->map.count, w->owners);
}

static void insert_at(struct world *w, u32 first, u32 last)
{
	u32 owner = w->free_owner[w->free_owners - 1];
	int rc =
		rangemap_insert(&w->map, cell_first(w, first), cell_last(w, last), value_of(owner));

	if (world_touches(w, first, last)) {
		assert_int_equal(rc, -EEXIST);
		return;
	}
	assert_int_equal(rc, 0);
	w->free_owners--;
	w->owners++;
	world_own(w, owner, first, last);
}

static void step_insert(struct world *w)
{
	u32 first = random_below(&w->random, CELLS);
	u32 last = first + random_below(&w->random, 3);

	insert_at(w, first, MIN(last, CELLS - 1));
}

static void step_remove(struct world *w)
{
	u32 cell = random_below(&w->random, CELLS);
	bool any = random_below(&w->random, 8) == 0; /* else the next range that begins */
	u32 owner = w->cell[cell];
	void *value;

	while (!any && cell < CELLS - 1 && !(owner && w->first[owner] == cell))
		owner = w->cell[++cell];
	value = rangemap_remove(&w->map, cell_first(w, cell));
	if (!owner || w->first[owner] != cell) {
		assert_null(value);
		return;
	}
	assert_ptr_equal(value, value_of(owner));
	world_own(w, 0, cell, w->last[owner]);
	w->free_owner[w->free_owners++] = owner;
	w->owners--;
}

static void step_split(struct world *w)
{
	u32 cell = random_below(&w->random, CELLS);
	u32 owner = w->cell[cell];
	u32 upper = w->free_owner[w->free_owners - 1];
	int rc = rangemap_split(&w->map, cell_first(w, cell), value_of(upper));

	if (!owner || w->first[owner] == cell) {
		assert_int_equal(rc, -ENOENT);
		return;
	}
	assert_int_equal(rc, 0);
	w->free_owners--;
	w->owners++;
	world_own(w, upper, cell, w->last[owner]);
	w->last[owner] = cell - 1;
}

static void assert_entry(const struct world *w, bool found, const struct rangemap_entry *e,
			 u32 owner)
{
	assert_int_equal(found, owner != 0);
	if (!owner)
		return;
	assert_true(e->first == cell_first(w, w->first[owner]));
	assert_true(e->last == cell_last(w, w->last[owner]));
	assert_ptr_equal(e->value, value_of(owner));
}

static void step_lookups(struct world *w)
{
	u32 cell = random_below(&w->random, CELLS);
	u64 key = cell_first(w, cell) + random_below(&w->random, w->unit);
	u32 to = cell + random_below(&w->random, 5);
	struct rangemap_entry e;
	u32 up = cell, down = cell;

	to = MIN(to, CELLS - 1);
	assert_entry(w, rangemap_find(&w->map, key, &e), &e, w->cell[cell]);
	while (up < CELLS - 1 && !w->cell[up])
		up++;
	assert_entry(w, rangemap_first_from(&w->map, key, &e), &e, w->cell[up]);
	while (down && !w->cell[down])
		down--;
	assert_entry(w, rangemap_last_upto(&w->map, key, &e), &e, w->cell[down]);
	assert_int_equal(rangemap_overlaps(&w->map, key, cell_last(w, to)),
			 world_touches(w, cell, to));
}

static u32 cell_of(const struct world *w, u64 key)
{
	return (key - w->base) / w->unit;
}

/* The slow way to say what rangemap_next_gap() promises, inside the universe. */
static bool naive_gap(const struct world *w, u64 *first, u64 *last, u64 need)
{
	u32 end = cell_of(w, *last);

	for (u32 cell = cell_of(w, *first); cell <= end; cell++) {
		u32 to = cell;
		u64 gap_first, gap_last;

		if (w->cell[cell])
			continue;
		while (to < end && !w->cell[to + 1])
			to++;
		gap_first = MAX(*first, cell_first(w, cell));
		gap_last = MIN(*last, cell_last(w, to));
		if (gap_last - gap_first >= need - 1) {
			*first = gap_first;
			*last = gap_last;
			return true;
		}
		cell = to;
	}
	return false;
}

static void step_gap(struct world *w)
{
	u64 a = random_byte(w), b = random_byte(w);
	u64 first = MIN(a, b), last = MAX(a, b);
	u64 naive_first, naive_last;
	u64 need = 1 + random_below(&w->random, 12) * w->unit + random_below(&w->random, w->unit);
	bool found, naive;

	if (random_below(&w->random, 8) == 0) {
		first = w->base;
		last = cell_last(w, CELLS - 1);
	}
	naive_first = first;
	naive_last = last;
	naive = naive_gap(w, &naive_first, &naive_last, need);
	found = rangemap_next_gap(&w->map, &first, &last, need);
	assert_int_equal(found, naive);
	assert_true(first == naive_first);
	assert_true(last == naive_last);
}

/* Grow until @high entries (or as many as fit), then shrink to @low, with every step checked. */
static u32 world_run(struct world *w, u32 steps, u32 low, u32 high)
{
	bool growing = true;
	u32 tallest = 0;

	for (u32 i = 0; i < steps; i++) {
		if (growing ? w->owners >= high : w->owners <= low)
			growing = !growing;
		if (random_below(&w->random, 10) < (growing ? 8 : 1))
			step_insert(w);
		else
			step_remove(w);
		if (growing && random_below(&w->random, 8) == 0)
			step_split(w);
		step_lookups(w);
		step_gap(w);
		assert_sound(rangemap_check(&w->map));
		if (i % 1024 == 0)
			assert_same(w);
		tallest = MAX(tallest, w->map.height);
	}
	assert_same(w);
	return tallest;
}

static void random_steps_agree_with_the_model(void **test)
{
	for (int universe = 0; universe < ARRAY_SIZE(universes); universe++) {
		struct world *w = world_new(universe);

		assert_true(world_run(w, 24000, 0, 4000) >= 3);
		world_free(w);
	}
}

static void a_map_of_few_entries_agrees_with_the_model(void **test)
{
	for (int universe = 0; universe < ARRAY_SIZE(universes); universe++) {
		struct world *w = world_new(universe);

		assert_true(world_run(w, 20000, 0, 40) == 2);
		world_free(w);
	}
}

static void a_full_universe_drains_in_any_order(void **test)
{
	for (int order = 0; order < 3; order++) {
		struct world *w = world_new(order);
		u32 n = 6000;

		for (u32 i = 0; i < n; i++) {
			insert_at(w, order == 1 ? CELLS - 1 - i : i,
				  order == 1 ? CELLS - 1 - i : i);
			if (i % 16 == 0)
				assert_sound(rangemap_check(&w->map));
		}
		assert_same(w);
		assert_true(w->map.height >= 3);
		for (u32 i = 0; i < n; i++) {
			u32 cell = order == 0 ? i : order == 1 ? CELLS - n + i : n - 1 - i;

			assert_non_null(rangemap_remove(&w->map, cell_first(w, cell)));
			if (i % 16 == 0 || i > n - 100)
				assert_sound(rangemap_check(&w->map));
		}
		assert_true(rangemap_empty(&w->map));
		assert_null(w->map.root);
		world_free(w);
	}
}

static void an_empty_map_holds_nothing_and_is_one_hole(void **test)
{
	struct rangemap map;
	struct rangemap_entry e;
	u64 first = 0, last = UINT64_MAX;

	rangemap_init(&map);
	assert_true(rangemap_empty(&map));
	assert_null(map.root);
	assert_sound(rangemap_check(&map));
	assert_false(rangemap_find(&map, 0, &e));
	assert_false(rangemap_first_from(&map, 0, &e));
	assert_false(rangemap_last_upto(&map, UINT64_MAX, &e));
	assert_false(rangemap_overlaps(&map, 0, UINT64_MAX));
	assert_null(rangemap_remove(&map, 0));
	assert_int_equal(rangemap_split(&map, 1, &e), -ENOENT);
	assert_true(rangemap_next_gap(&map, &first, &last, UINT64_MAX));
	assert_true(first == 0 && last == UINT64_MAX);
	rangemap_clear(&map);
}

static void one_range_may_cover_everything(void **test)
{
	struct rangemap map;
	struct rangemap_entry e;
	u64 first = 0, last = UINT64_MAX;
	int lower, upper, whole;

	rangemap_init(&map);
	assert_int_equal(rangemap_insert(&map, 0, UINT64_MAX, &whole), 0);
	assert_false(rangemap_next_gap(&map, &first, &last, 1));
	assert_true(first == 0 && last == UINT64_MAX);
	assert_int_equal(rangemap_insert(&map, 0, 0, &lower), -EEXIST);
	assert_int_equal(rangemap_insert(&map, UINT64_MAX, UINT64_MAX, &lower), -EEXIST);
	assert_int_equal(rangemap_split(&map, 0, &upper), -ENOENT);
	assert_int_equal(rangemap_split(&map, UINT64_MAX, &upper), 0);
	assert_sound(rangemap_check(&map));
	assert_true(rangemap_find(&map, UINT64_MAX, &e));
	assert_true(e.first == UINT64_MAX && e.last == UINT64_MAX && e.value == &upper);
	assert_true(rangemap_find(&map, UINT64_MAX - 1, &e));
	assert_true(e.first == 0 && e.last == UINT64_MAX - 1 && e.value == &whole);
	assert_ptr_equal(rangemap_remove(&map, UINT64_MAX), &upper);
	assert_true(rangemap_next_gap(&map, &first, &last, 1));
	assert_true(first == UINT64_MAX && last == UINT64_MAX);
	assert_ptr_equal(rangemap_remove(&map, 0), &whole);
	assert_null(map.root);
}

static void holes_are_clipped_before_they_are_measured(void **test)
{
	struct rangemap map;
	u64 first, last;
	int value;

	rangemap_init(&map);
	assert_int_equal(rangemap_insert(&map, 100, 199, &value), 0);
	assert_int_equal(rangemap_insert(&map, 300, 399, &value), 0);

	first = 150, last = 349;
	assert_true(rangemap_next_gap(&map, &first, &last, 100));
	assert_true(first == 200 && last == 299);
	first = 250, last = 500;
	assert_true(rangemap_next_gap(&map, &first, &last, 51));
	assert_true(first == 400 && last == 500);
	first = 250, last = 500;
	assert_true(rangemap_next_gap(&map, &first, &last, 50));
	assert_true(first == 250 && last == 299);
	first = 250, last = 449;
	assert_false(rangemap_next_gap(&map, &first, &last, 51));
	assert_true(first == 250 && last == 449);
	first = 300, last = 399;
	assert_false(rangemap_next_gap(&map, &first, &last, 0));
	first = 399, last = 400;
	assert_true(rangemap_next_gap(&map, &first, &last, 0));
	assert_true(first == 400 && last == 400);
	first = 10, last = 9;
	assert_false(rangemap_next_gap(&map, &first, &last, 1));
	first = 0, last = UINT64_MAX;
	assert_true(rangemap_next_gap(&map, &first, &last, 1ULL << 63));
	assert_true(first == 400 && last == UINT64_MAX);
	first = 0, last = UINT64_MAX;
	assert_false(rangemap_next_gap(&map, &first, &last, UINT64_MAX - 398));
	rangemap_clear(&map);
}

static void iteration_stops_at_the_last_byte(void **test)
{
	struct rangemap map;
	struct rangemap_entry e;
	int value, n = 0;

	rangemap_init(&map);
	assert_int_equal(rangemap_insert(&map, 0, 9, &value), 0);
	assert_int_equal(rangemap_insert(&map, 10, 10, &value), 0);
	assert_int_equal(rangemap_insert(&map, UINT64_MAX, UINT64_MAX, &value), 0);
	rangemap_for_each_in (&map, e, 0, UINT64_MAX)
		n++;
	assert_int_equal(n, 3);
	n = 0;
	rangemap_for_each_in (&map, e, 5, 10)
		n++;
	assert_int_equal(n, 2);
	n = 0;
	rangemap_for_each_in (&map, e, 11, UINT64_MAX - 1)
		n++;
	assert_int_equal(n, 0);
	rangemap_clear(&map);
}

/* Let each allocation of the next insertion or split fail in turn; how many there were. */
static u32 sweep_step(struct world *w, struct fault_state *state, u32 first, u32 last, bool split)
{
	u32 failures = 0;

	for (;;) {
		u64 injected = state->injected;
		int rc;

		state->nth = failures + 1;
		rc = split ? rangemap_split(&w->map, cell_first(w, first), value_of(OWNERS_MAX))
			   : rangemap_insert(&w->map, cell_first(w, first), cell_last(w, last),
					     value_of(OWNERS_MAX));
		state->nth = 0;
		assert_sound(rangemap_check(&w->map));
		if (state->injected == injected) {
			assert_int_equal(rc, 0);
			return failures;
		}
		assert_int_equal(rc, -ENOMEM);
		failures++;
		assert_same(w);
	}
}

static void a_failed_insertion_or_split_changes_nothing(void **test)
{
	struct fault_state state = {0};
	struct world *w = world_new(2);
	u32 most[2] = {0};

	fault_current = &state;
	/* every other pair of cells is a range; it is cut, then the hole after it filled */
	for (u32 i = 0; i < 700; i++) {
		u32 owner = 3 * i + 1;
		u32 cell = 4 * ((i * 389) % 700);

		assert_int_equal(rangemap_insert(&w->map, cell_first(w, cell),
						 cell_last(w, cell + 1), value_of(owner)),
				 0);
		world_own(w, owner, cell, cell + 1);
		w->owners++;
		for (int split = 1; split >= 0; split--) {
			u32 at = split ? cell + 1 : cell + 2;
			u32 n = sweep_step(w, &state, at, at, split);

			most[split] = MAX(most[split], n);
			world_own(w, OWNERS_MAX, at, at);
			w->last[owner] = cell;
			w->owners++;
			assert_same(w);
			/* again under a name of its own, for the next round */
			assert_ptr_equal(rangemap_remove(&w->map, cell_first(w, at)),
					 value_of(OWNERS_MAX));
			assert_int_equal(rangemap_insert(&w->map, cell_first(w, at),
							 cell_last(w, at),
							 value_of(owner + 1 + split)),
					 0);
			world_own(w, owner + 1 + split, at, at);
		}
	}
	fault_current = NULL;
	/* chains of splits were among them, up to a new root */
	assert_true(most[0] >= 2 && most[1] >= 2);
	world_free(w);
}

static void removal_allocates_nothing(void **test)
{
	struct fault_state state = {0};
	struct world *w = world_new(0);

	for (u32 i = 0; i < 3000; i++)
		insert_at(w, (i * 1237) % 3000, (i * 1237) % 3000);
	fault_current = &state;
	for (u32 i = 0; i < 3000; i++)
		assert_non_null(rangemap_remove(&w->map, (i * 911) % 3000));
	fault_current = NULL;
	assert_int_equal(state.passed, 0);
	assert_null(w->map.root);
	world_free(w);
}

static void a_small_map_is_one_allocation(void **test)
{
	struct fault_state state = {0};
	struct rangemap map;
	int value;

	rangemap_init(&map);
	fault_current = &state;
	for (u32 i = 0; i < 20; i++)
		assert_int_equal(rangemap_insert(&map, i * 10, i * 10 + 5, &value), 0);
	fault_current = NULL;
	assert_int_equal(state.passed, 1);
	assert_int_equal(map.height, 1);
	rangemap_clear(&map);
	assert_true(rangemap_empty(&map));
}

/* Change one cell of the root, see the check complain, and put it back. */
static void damage(struct rangemap *map, enum node_column column, u32 row, u64 value)
{
	u64 *cell = &node_column(map->root, column)[row];
	u64 kept = *cell;

	*cell = value;
	assert_non_null(rangemap_check(map));
	*cell = kept;
	assert_sound(rangemap_check(map));
}

static void the_check_finds_damage(void **test)
{
	struct rangemap map;
	int value;

	rangemap_init(&map);
	for (u64 i = 0; i < 10; i++)
		assert_int_equal(rangemap_insert(&map, i * 100, i * 100 + 50, &value), 0);
	damage(&map, COL_LAST, 3, 400);
	damage(&map, COL_LAST, 3, 299);
	damage(&map, COL_FIRST, 3, 250);
	damage(&map, COL_REF, 3, 0);
	map.count++;
	assert_non_null(rangemap_check(&map));
	map.count--;
	for (u64 i = 10; i < 1000; i++)
		assert_int_equal(rangemap_insert(&map, i * 100, i * 100 + 50, &value), 0);
	assert_int_equal(map.height, 3);
	for (enum node_column column = COL_FIRST; column < COL_COUNT; column++)
		if (column != COL_REF)
			damage(&map, column, 1, node_cell(map.root, column, 1) + 1);
	rangemap_clear(&map);
}

static void loops_over_ranges_may_nest_and_stop_early(void **test)
{
	struct rangemap map;
	struct rangemap_entry e, inner;
	int value;
	u32 n = 0;

	rangemap_init(&map);
	for (u64 i = 0; i < 100; i++)
		assert_int_equal(rangemap_insert(&map, i * 10, i * 10 + 4, &value), 0);
	rangemap_for_each_in (&map, e, 100, 899) {
		if (e.first % 20)
			continue;
		rangemap_for_each_in (&map, inner, e.first, e.first + 29)
			n++;
		if (n == 60)
			break;
	}
	assert_int_equal(n, 60);
	assert_int_equal(e.first, 480);
	rangemap_clear(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_map_holds_nothing_and_is_one_hole),
		cmocka_unit_test(one_range_may_cover_everything),
		cmocka_unit_test(holes_are_clipped_before_they_are_measured),
		cmocka_unit_test(iteration_stops_at_the_last_byte),
		cmocka_unit_test(a_map_of_few_entries_agrees_with_the_model),
		cmocka_unit_test(random_steps_agree_with_the_model),
		cmocka_unit_test(a_full_universe_drains_in_any_order),
		cmocka_unit_test(a_failed_insertion_or_split_changes_nothing),
		cmocka_unit_test(removal_allocates_nothing),
		cmocka_unit_test(a_small_map_is_one_allocation),
		cmocka_unit_test(loops_over_ranges_may_nest_and_stop_early),
		cmocka_unit_test(the_check_finds_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
