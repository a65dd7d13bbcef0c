/* SPDX-License-Identifier: MIT */
/* The id table against an array with one state per id. */
#include "random.h"

#include "base/idtable.h"

#define IDS 20000

struct world {
	struct idtable table;
	u64 random;
	u32 min;
	bool taken[IDS];
	void *value[IDS];
	u32 count;
	u32 lowest; /* nothing below this is free */
};

static void *value_of(u32 index)
{
	return (void *)(uintptr_t)(index + 1);
}

static void step_reserve(struct world *w)
{
	u32 id = 0;
	int rc = idtable_reserve(&w->table, &id);

	while (w->lowest < IDS && w->taken[w->lowest])
		w->lowest++;
	if (w->lowest == IDS) {
		assert_int_equal(rc, -EBUSY);
		return;
	}
	assert_int_equal(rc, 0);
	assert_int_equal(id, w->min + w->lowest);
	assert_null(idtable_load(&w->table, id));
	w->taken[w->lowest] = true;
	w->count++;
	if (random_below(&w->random, 4)) {
		idtable_store(&w->table, id, value_of(w->lowest));
		w->value[w->lowest] = value_of(w->lowest);
	}
}

static void index_release(struct world *w, u32 i)
{
	if (!w->taken[i])
		return;
	idtable_release(&w->table, w->min + i);
	w->taken[i] = false;
	w->value[i] = NULL;
	w->count--;
	w->lowest = MIN(w->lowest, i);
}

/* Mostly the next taken one, so that the table also becomes sparse. */
static void step_release(struct world *w)
{
	u32 i = random_below(&w->random, 7000);
	bool any = random_below(&w->random, 8) == 0;

	while (!any && i < IDS - 1 && !w->taken[i])
		i++;
	index_release(w, i);
}

static void step_store(struct world *w)
{
	u32 i = random_below(&w->random, IDS);

	if (!w->taken[i])
		return;
	w->value[i] = w->value[i] ? NULL : value_of(i);
	idtable_store(&w->table, w->min + i, w->value[i]);
}

static void step_lookups(struct world *w)
{
	u32 i = random_below(&w->random, IDS);
	u32 id = w->min + i;
	void *value = NULL;
	bool found;

	assert_ptr_equal(idtable_load(&w->table, id), w->value[i]);
	found = idtable_next(&w->table, &id, &value);
	while (i < IDS && !w->value[i])
		i++;
	assert_int_equal(found, i < IDS);
	if (found) {
		assert_int_equal(id, w->min + i);
		assert_ptr_equal(value, w->value[i]);
	}
}

static void assert_same(const struct world *w)
{
	u32 id = 0, expect = 0;
	void *value;

	assert_int_equal(w->table.count, w->count);
	for (; idtable_next(&w->table, &id, &value); id++) {
		while (expect < IDS && !w->value[expect])
			expect++;
		assert_true(expect < IDS);
		assert_int_equal(id, w->min + expect);
		assert_ptr_equal(value, w->value[expect]);
		expect++;
		if (id == UINT32_MAX)
			break;
	}
	while (expect < IDS && !w->value[expect])
		expect++;
	assert_int_equal(expect, IDS);
}

static struct world *world_new(u32 min)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->min = min;
	w->random = min + 1ULL;
	idtable_init(&w->table, min, min + IDS - 1);
	return w;
}

static void world_free(struct world *w)
{
	for (u32 i = 0; i < IDS; i++)
		index_release(w, i);
	assert_true(idtable_empty(&w->table));
	assert_null(w->table.root);
	assert_sound(idtable_check(&w->table));
	idtable_clear(&w->table);
	free(w);
}

static void random_steps_agree_with_the_model(void **test)
{
	static const u32 mins[] = {0, 1, UINT32_MAX - IDS + 1};

	for (int m = 0; m < ARRAY_SIZE(mins); m++) {
		struct world *w = world_new(mins[m]);
		bool growing = true;
		u32 tallest = 0, turns = 0;

		for (u32 i = 0; i < 30000; i++) {
			if (growing ? w->count >= 6000 : w->count < 1000) {
				growing = !growing;
				turns++;
			}
			if (random_below(&w->random, 10) < (growing ? 9 : 1))
				step_reserve(w);
			else
				step_release(w);
			step_store(w);
			step_lookups(w);
			if (i % 4 == 0)
				assert_sound(idtable_check(&w->table));
			if (i % 512 == 0)
				assert_same(w);
			tallest = MAX(tallest, w->table.height);
		}
		assert_true(tallest >= 3 && turns >= 2);
		world_free(w);
	}
}

static void a_few_ids_agree_with_the_model(void **test)
{
	struct world *w = world_new(1);

	for (u32 i = 0; i < 20000; i++) {
		if (random_below(&w->random, 2))
			step_reserve(w);
		else
			index_release(w, random_below(&w->random, 150));
		step_lookups(w);
		assert_sound(idtable_check(&w->table));
		if (w->count > 140)
			for (u32 k = 0; k < IDS; k++)
				index_release(w, k);
	}
	world_free(w);
}

static void the_last_id_is_given_out_and_then_no_more(void **test)
{
	struct world *w = world_new(UINT32_MAX - IDS + 1);
	u32 id = 0;

	for (u32 i = 0; i < IDS; i++)
		step_reserve(w);
	assert_int_equal(w->count, IDS);
	assert_sound(idtable_check(&w->table));
	assert_int_equal(idtable_reserve(&w->table, &id), -EBUSY);
	assert_int_equal(id, 0);
	idtable_release(&w->table, UINT32_MAX);
	assert_int_equal(idtable_reserve(&w->table, &id), 0);
	assert_true(id == UINT32_MAX);
	world_free(w);
}

static void a_table_of_one_id_has_one_id(void **test)
{
	struct idtable table;
	u32 id = 0;

	idtable_init(&table, 42, 42);
	assert_int_equal(idtable_reserve(&table, &id), 0);
	assert_int_equal(id, 42);
	assert_int_equal(idtable_reserve(&table, &id), -EBUSY);
	idtable_release(&table, 42);
	assert_true(idtable_empty(&table));
	assert_null(table.root);
}

static void ids_never_given_out_load_as_nothing(void **test)
{
	struct idtable table;
	u32 id = 0;
	void *value = NULL;

	idtable_init(&table, 10, UINT32_MAX);
	assert_null(idtable_load(&table, 10));
	assert_false(idtable_next(&table, &id, &value));
	assert_int_equal(idtable_reserve(&table, &id), 0);
	idtable_store(&table, id, &table);
	assert_ptr_equal(idtable_load(&table, 10), &table);
	assert_null(idtable_load(&table, 0));
	assert_null(idtable_load(&table, 9));
	assert_null(idtable_load(&table, 11));
	assert_null(idtable_load(&table, 10 + 64));
	assert_null(idtable_load(&table, 10 + 4096));
	assert_null(idtable_load(&table, UINT32_MAX));
	id = 11;
	assert_false(idtable_next(&table, &id, &value));
	assert_int_equal(id, 11);
	id = 3;
	assert_true(idtable_next(&table, &id, &value));
	assert_int_equal(id, 10);
	assert_ptr_equal(value, &table);
	idtable_clear(&table);
	assert_null(idtable_load(&table, 10));
}

static void next_passes_over_ids_merely_reserved(void **test)
{
	struct idtable table;
	u32 id = 0;
	void *value = NULL;

	idtable_init(&table, 0, UINT32_MAX);
	for (u32 i = 0; i < 5000; i++)
		assert_int_equal(idtable_reserve(&table, &id), 0);
	id = 0;
	assert_false(idtable_next(&table, &id, &value));
	idtable_store(&table, 4999, &id);
	assert_true(idtable_next(&table, &id, &value));
	assert_int_equal(id, 4999);
	assert_ptr_equal(value, &id);
	idtable_store(&table, 4999, NULL);
	id = 0;
	assert_false(idtable_next(&table, &id, &value));
	assert_int_equal(table.count, 5000);
	idtable_clear(&table);
	assert_true(idtable_empty(&table));
	assert_sound(idtable_check(&table));
}

static void next_passes_over_what_is_not_there(void **test)
{
	struct idtable table;
	u32 id = 0;
	void *value = NULL;

	idtable_init(&table, 0, UINT32_MAX);
	for (u32 i = 0; i < IDS; i++)
		assert_int_equal(idtable_reserve(&table, &id), 0);
	for (u32 i = 0; i < IDS; i++) {
		if (i % 331)
			idtable_release(&table, i);
		else
			idtable_store(&table, i, value_of(i));
	}
	assert_sound(idtable_check(&table));
	for (u32 i = 0; i <= (IDS - 1) / 331 * 331; i++) {
		u32 expect = (i + 330) / 331 * 331;

		id = i;
		assert_true(idtable_next(&table, &id, &value));
		assert_int_equal(id, expect);
		assert_ptr_equal(value, value_of(expect));
	}
	idtable_clear(&table);
}

static void the_check_finds_damage(void **test)
{
	struct idtable table;
	u32 id = 0;

	idtable_init(&table, 0, UINT32_MAX);
	for (u32 i = 0; i < 100; i++)
		assert_int_equal(idtable_reserve(&table, &id), 0);
	assert_sound(idtable_check(&table));
	table.count++;
	assert_non_null(idtable_check(&table));
	table.count--;
	table.height--;
	assert_non_null(idtable_check(&table));
	table.height++;
	assert_sound(idtable_check(&table));
	idtable_clear(&table);
}

static void a_failed_reservation_changes_nothing(void **test)
{
	static struct fault_state state;
	struct idtable table;
	u32 most = 0;

	idtable_init(&table, 1, UINT32_MAX);
	fault_current = &state;
	for (u32 i = 0; i < 9000; i++) {
		u32 id = 0, failures = 0;

		for (;;) {
			struct idtable before = table;
			u64 injected = state.injected;
			int rc;

			state.nth = failures + 1;
			rc = idtable_reserve(&table, &id);
			state.nth = 0;
			if (state.injected == injected) {
				assert_int_equal(rc, 0);
				break;
			}
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(id, 0);
			assert_memory_equal(&before, &table, sizeof(table));
			assert_sound(idtable_check(&table));
			failures++;
		}
		assert_int_equal(id, i + 1);
		most = MAX(most, failures);
	}
	assert_int_equal(table.height, 3);
	assert_int_equal(most, 3); /* growing to three levels: a root and two nodes below */
	/* a whole middle node missing in the middle is a chain too */
	for (u32 i = 4096; i < 8192; i++)
		idtable_release(&table, i + 1);
	for (u32 nth = 1; nth <= 2; nth++) {
		u32 id = 0;

		state.nth = nth;
		assert_int_equal(idtable_reserve(&table, &id), -ENOMEM);
		assert_sound(idtable_check(&table));
	}
	fault_current = NULL;
	idtable_clear(&table);
}

static void releasing_allocates_nothing_and_returns_all_memory(void **test)
{
	static struct fault_state state;
	struct idtable table;
	u32 id = 0;

	idtable_init(&table, 0, UINT32_MAX);
	for (u32 i = 0; i < 10000; i++)
		assert_int_equal(idtable_reserve(&table, &id), 0);
	fault_current = &state;
	for (u32 i = 0; i < 10000; i++)
		idtable_release(&table, (i * 7919) % 10000);
	fault_current = NULL;
	assert_int_equal(state.passed, 0);
	assert_null(table.root);
	assert_sound(idtable_check(&table));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_of_one_id_has_one_id),
		cmocka_unit_test(ids_never_given_out_load_as_nothing),
		cmocka_unit_test(next_passes_over_ids_merely_reserved),
		cmocka_unit_test(next_passes_over_what_is_not_there),
		cmocka_unit_test(the_check_finds_damage),
		cmocka_unit_test(a_few_ids_agree_with_the_model),
		cmocka_unit_test(random_steps_agree_with_the_model),
		cmocka_unit_test(the_last_id_is_given_out_and_then_no_more),
		cmocka_unit_test(a_failed_reservation_changes_nothing),
		cmocka_unit_test(releasing_allocates_nothing_and_returns_all_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
