/* SPDX-License-Identifier: MIT */
/*
 * The life of objects: ids, lookups, the two kinds of destroyer, and all of it
 * at once from several threads.
 */
#include "fake_rooms.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IOAS IOMMUFD_OBJ_IOAS
#define DEVICE IOMMUFD_OBJ_DEVICE

static void expect_log(struct world *world, const char *part)
{
	assert_int_equal(world_take_log_lines(world), 1);
	assert_non_null(strstr(world->log.last, part));
	world->log.last[0] = '\0';
}

static int lookup(struct iommufd_ctx *ctx, u32 id, enum iommufd_object_type type)
{
	struct iommufd_object *obj;
	int rc = object_get(ctx, id, type, &obj);

	if (!rc) {
		assert_int_equal(obj->id, id);
		object_put(ctx, obj);
	}
	return rc;
}

static void ids_are_lowest_first_and_reused_at_once(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;

	for (u32 id = 1; id <= 3; id++)
		assert_int_equal(fake_object_make(ctx, IOAS)->obj.id, id);
	assert_int_equal(object_remove(ctx, NULL, 2, 0), 0);
	assert_int_equal(fake_object_make(ctx, DEVICE)->obj.id, 2);
	assert_int_equal(fake_object_make(ctx, DEVICE)->obj.id, 4);
}

static void lookup_finds_only_what_is_published_and_of_the_type(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct fake_object *fake = fake_object_begin(ctx, IOAS);

	assert_int_equal(lookup(ctx, 1, IOAS), -ENOENT);
	assert_int_equal(object_remove(ctx, NULL, 1, 0), -ENOENT);
	assert_int_equal(object_try_hold(ctx, &fake->obj), -EBUSY);
	object_finalize(ctx, &fake->obj);
	assert_int_equal(lookup(ctx, 1, IOAS), 0);
	assert_int_equal(lookup(ctx, 1, IOMMUFD_OBJ_ANY), 0);
	assert_int_equal(lookup(ctx, 1, DEVICE), -ENOENT);
	assert_int_equal(lookup(ctx, 0, IOMMUFD_OBJ_ANY), -ENOENT);
	assert_int_equal(lookup(ctx, 2, IOMMUFD_OBJ_ANY), -ENOENT);
	assert_int_equal(lookup(ctx, UINT32_MAX, IOMMUFD_OBJ_ANY), -ENOENT);
	assert_int_equal(atomic_load(&fake->obj.users), 1);
	assert_int_equal(atomic_load(&fake->obj.wait_cnt), 1);
}

static void lookup_can_be_made_to_fail(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct fault_state fault = { .nth = 2 };

	fake_object_make(ctx, IOAS);
	fault_current = &fault;
	assert_int_equal(lookup(ctx, 1, IOAS), 0);
	assert_int_equal(lookup(ctx, 1, IOAS), -ENOENT);
	assert_int_equal(lookup(ctx, 1, IOAS), 0);
	fault_current = NULL;
	assert_string_equal(fault.injected_at, "object_get");
}

static void allocation_fails_without_taking_an_id(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct fault_state fault = { .nth = 1 };
	struct iommufd_object *obj;
	u32 failures = 0;

	fault_current = &fault;
	while (object_alloc(ctx, sizeof(struct fake_object), IOAS, &obj)) {
		assert_true(idtable_empty(&ctx->objects));
		failures++;
		fault.nth = failures + 1;
	}
	fault_current = NULL;
	assert_true(failures >= 2); /* the object and the table's node */
	assert_int_equal(obj->id, 1);
	object_abort(ctx, obj);
}

static void users_keep_an_object_from_being_destroyed(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct fake_object *fake = fake_object_make(ctx, IOAS);
	struct iommufd_object *obj;

	assert_int_equal(object_get(ctx, 1, IOAS, &obj), 0);
	assert_int_equal(object_remove(ctx, NULL, 1, 0), -EBUSY);
	object_hold(obj);
	object_put(ctx, obj);
	assert_int_equal(object_remove(ctx, NULL, 1, 0), -EBUSY);
	assert_int_equal(object_try_hold(ctx, obj), 0);
	object_release(obj);
	object_release(&fake->obj);
	assert_int_equal(fake_ends_get().n_destroyed, 0);
	assert_int_equal(object_remove(ctx, NULL, 1, 0), 0);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	assert_int_equal(object_remove(ctx, NULL, 1, 0), -ENOENT);
}

static void an_aborted_object_gives_its_id_back(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;

	object_abort(ctx, &fake_object_begin(ctx, IOAS)->obj);
	assert_int_equal(fake_ends_get().n_destroyed, 0);
	object_abort_and_destroy(ctx, &fake_object_begin(ctx, IOAS)->obj);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	/* a type whose maker holds the lock its destroy takes */
	object_abort_and_destroy(ctx, &fake_object_begin(ctx, IOMMUFD_OBJ_HWPT_PAGING)->obj);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	assert_int_equal(fake_ends_get().n_aborted, 1);
	assert_true(idtable_empty(&ctx->objects));
}

static void destroying_the_compat_ioas_clears_the_pointer(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct fake_object *fake = fake_object_make(ctx, IOAS);

	fake_object_make(ctx, IOAS);
	ctx->vfio_ioas = (struct iommufd_ioas *)fake;
	assert_int_equal(object_remove(ctx, NULL, 2, 0), 0);
	assert_ptr_equal(ctx->vfio_ioas, fake);
	assert_int_equal(object_remove(ctx, NULL, 1, 0), 0);
	assert_null(ctx->vfio_ioas);
}

static void the_last_durable_holder_destroys_an_automatic_object(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct fake_object *fake = fake_object_make(ctx, IOMMUFD_OBJ_HWPT_PAGING);

	object_hold(&fake->obj);
	object_hold(&fake->obj);
	object_put_and_try_destroy(ctx, &fake->obj);
	assert_int_equal(fake_ends_get().n_destroyed, 0);
	object_put_and_try_destroy(ctx, &fake->obj);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
}

static void an_automatic_object_survives_a_command_that_looks_at_it(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct fake_object *fake = fake_object_make(ctx, IOMMUFD_OBJ_HWPT_PAGING);
	struct iommufd_object *obj;

	object_hold(&fake->obj);
	assert_int_equal(object_get(ctx, 1, IOMMUFD_OBJ_ANY, &obj), 0);
	object_put_and_try_destroy(ctx, &fake->obj);
	object_put(ctx, obj);
	assert_int_equal(lookup(ctx, 1, IOMMUFD_OBJ_HWPT_PAGING), 0);
	assert_int_equal(object_remove(ctx, NULL, 1, 0), 0);
}

/* ---- sleeping destroyers ---- */

struct leaver {
	pthread_t thread;
	struct iommufd_ctx *ctx;
	struct iommufd_object *obj;
	bool has_users;
	_Atomic bool left;
};

static void *leave_later(void *data)
{
	struct leaver *leaver = data;

	usleep(30000);
	atomic_store(&leaver->left, true);
	if (leaver->has_users)
		object_put(leaver->ctx, leaver->obj);
	else
		object_peek_end(leaver->ctx, leaver->obj);
	return NULL;
}

static void leaver_start(struct leaver *leaver)
{
	assert_int_equal(pthread_create(&leaver->thread, NULL, leave_later, leaver), 0);
}

static void user_destroy_sleeps_for_those_who_are_leaving(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct leaver leaver = { .ctx = ctx };
	u32 id = 1;

	fake_object_make(ctx, IOAS);
	/* users released, wait_cnt not yet: the middle of object_put() */
	assert_true(object_peek_next(ctx, &id, &leaver.obj));
	leaver_start(&leaver);
	assert_int_equal(object_remove(ctx, NULL, 1, 0), 0);
	assert_true(atomic_load(&leaver.left));
	pthread_join(leaver.thread, NULL);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
}

static void driver_destroy_sleeps_for_commands(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct fake_object *fake = fake_object_make(ctx, IOMMUFD_OBJ_ACCESS);
	struct leaver leaver = { .ctx = ctx, .has_users = true };

	object_hold(&fake->obj);
	assert_int_equal(object_remove(ctx, NULL, 1, 0), -EBUSY);
	assert_int_equal(object_get(ctx, 1, IOMMUFD_OBJ_ANY, &leaver.obj), 0);
	leaver_start(&leaver);
	object_destroy_user(ctx, &fake->obj);
	assert_true(atomic_load(&leaver.left));
	pthread_join(leaver.thread, NULL);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	assert_int_equal(lookup(ctx, 1, IOMMUFD_OBJ_ANY), -ENOENT);
}

static struct fake_object *revoked;

static void revoke_child(struct fake_object *device)
{
	/* As a device does with its vdevice: the child's end lets go of the device. */
	object_tombstone_user(device->ctx, &device->child->obj);
}

static void driver_destroy_asks_durable_holders_to_leave(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct fake_object *device = fake_object_make(ctx, DEVICE);
	struct fake_object *child = fake_object_make(ctx, IOMMUFD_OBJ_ACCESS);
	struct iommufd_object *obj;

	object_hold(&device->obj);
	assert_int_equal(object_get(ctx, 1, DEVICE, &obj), 0);
	child->holding = device;
	object_hold(&child->obj); /* the one the tombstoning drops */
	device->pre_destroy = revoke_child;
	device->child = child;
	object_destroy_user(ctx, &device->obj);
	assert_int_equal(fake_ends_get().n_destroyed, 2);
	/* id 1 is free again, id 2 is buried */
	assert_int_equal(lookup(ctx, 2, IOMMUFD_OBJ_ANY), -ENOENT);
	assert_int_equal(object_remove(ctx, NULL, 2, 0), -ENOENT);
	assert_int_equal(fake_object_make(ctx, IOAS)->obj.id, 1);
	assert_int_equal(fake_object_make(ctx, IOAS)->obj.id, 3);
}

static void count_call(struct fake_object *device)
{
	revoked = device;
}

static void an_unheld_device_is_not_asked(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct fake_object *device = fake_object_make(ctx, DEVICE);

	revoked = NULL;
	device->pre_destroy = count_call;
	object_hold(&device->obj);
	object_destroy_user(ctx, &device->obj);
	assert_null(revoked);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
}

static void driver_destroy_gives_up_and_the_release_destroys(void **state)
{
	struct world *world = *state;
	struct iommufd_ctx *ctx = world->ctx;
	struct fake_object *fake = fake_object_make(ctx, IOMMUFD_OBJ_ACCESS);
	struct iommufd_object *obj;

	atomic_store(&world->system->object_wait_ms, 20);
	object_hold(&fake->obj);
	assert_int_equal(object_get(ctx, 1, IOMMUFD_OBJ_ANY, &obj), 0);
	object_destroy_user(ctx, &fake->obj);
	expect_log(world, "access 1: still in use");
	assert_int_equal(fake_ends_get().n_destroyed, 0);
	object_put(ctx, obj);
	assert_int_equal(lookup(ctx, 1, IOMMUFD_OBJ_ANY), 0);
	world_close_ctx(world);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
}

static void driver_destroy_refuses_an_object_others_hold(void **state)
{
	struct world *world = *state;
	struct fake_object *fake = fake_object_make(world->ctx, DEVICE);

	object_hold(&fake->obj);
	object_hold(&fake->obj); /* an attachment nobody undid */
	object_destroy_user(world->ctx, &fake->obj);
	expect_log(world, "device 1: its driver left");
	object_release(&fake->obj);
	world_close_ctx(world);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
}

static void user_destroy_gives_up_and_leaks(void **state)
{
	struct world *world = *state;
	struct iommufd_ctx *ctx = world->ctx;
	struct iommufd_object *obj;
	u32 id = 1;

	atomic_store(&world->system->object_wait_ms, 20);
	fake_object_make(ctx, IOAS);
	assert_true(object_peek_next(ctx, &id, &obj));
	assert_int_equal(object_remove(ctx, NULL, 1, 0), -EBUSY);
	expect_log(world, "ioas 1: still in use");
	assert_int_equal(fake_ends_get().n_destroyed, 0);
	assert_int_equal(lookup(ctx, 1, IOAS), -ENOENT);
	assert_int_equal(fake_object_make(ctx, IOAS)->obj.id, 1);
	object_peek_end(ctx, obj);
	free(obj);
}

/* ---- all at once ---- */

#define RACE_IDS 6
#define RACE_ROUNDS 4000

struct race {
	struct iommufd_ctx *ctx;
	_Atomic bool stop;
	_Atomic u32 made;
	_Atomic u32 found;
};

static void *race_lookup(void *data)
{
	struct race *race = data;
	struct iommufd_object *obj;
	u32 id = 0;

	while (!atomic_load(&race->stop)) {
		id = id % RACE_IDS + 1;
		if (object_get(race->ctx, id, IOMMUFD_OBJ_ANY, &obj))
			continue;
		/* Whatever else happens: what was found is alive until it is put. */
		assert_true(container_of(obj, struct fake_object, obj)->magic == FAKE_MAGIC);
		atomic_fetch_add(&race->found, 1);
		object_put(race->ctx, obj);
	}
	return NULL;
}

static void *race_user(void *data)
{
	struct race *race = data;

	for (u32 i = 0; i < RACE_ROUNDS; i++) {
		u32 id = fake_object_make(race->ctx, IOAS)->obj.id;
		int rc;

		atomic_fetch_add(&race->made, 1);
		do {
			rc = object_remove(race->ctx, NULL, id, 0);
		} while (rc == -EBUSY);
		/* The other destroyer may have had it, or have put another in its place. */
		assert_true(!rc || rc == -ENOENT);
	}
	return NULL;
}

static void *race_driver(void *data)
{
	struct race *race = data;

	for (u32 i = 0; i < RACE_ROUNDS; i++) {
		struct fake_object *fake = fake_object_begin(race->ctx, IOMMUFD_OBJ_ACCESS);

		object_hold(&fake->obj);
		object_finalize(race->ctx, &fake->obj);
		atomic_fetch_add(&race->made, 1);
		object_destroy_user(race->ctx, &fake->obj);
	}
	return NULL;
}

static void *race_auto(void *data)
{
	struct race *race = data;

	for (u32 i = 0; i < RACE_ROUNDS; i++) {
		struct fake_object *fake = fake_object_begin(race->ctx, IOMMUFD_OBJ_HWPT_PAGING);

		object_hold(&fake->obj);
		object_finalize(race->ctx, &fake->obj);
		atomic_fetch_add(&race->made, 1);
		object_put_and_try_destroy(race->ctx, &fake->obj);
	}
	return NULL;
}

static void *race_check(void *data)
{
	struct race *race = data;
	char buf[128];

	while (!atomic_load(&race->stop))
		assert_int_equal(ctx_check(race->ctx, buf, sizeof(buf)), 0);
	return NULL;
}

static void destroyers_lookups_and_checks_may_race(void **state)
{
	static void *(*const makers[])(void *) = { race_user, race_driver, race_auto };
	static void *(*const lookers[])(void *) = { race_lookup, race_lookup, race_check };
	struct world *world = *state;
	struct race race = { .ctx = world->ctx };
	pthread_t maker[ARRAY_SIZE(makers)], looker[ARRAY_SIZE(lookers)];

	for (u32 i = 0; i < ARRAY_SIZE(lookers); i++)
		assert_int_equal(pthread_create(&looker[i], NULL, lookers[i], &race), 0);
	for (u32 i = 0; i < ARRAY_SIZE(makers); i++)
		assert_int_equal(pthread_create(&maker[i], NULL, makers[i], &race), 0);
	for (u32 i = 0; i < ARRAY_SIZE(makers); i++)
		pthread_join(maker[i], NULL);
	atomic_store(&race.stop, true);
	for (u32 i = 0; i < ARRAY_SIZE(lookers); i++)
		pthread_join(looker[i], NULL);
	world_close_ctx(world);
	assert_int_equal(atomic_load(&race.made), 3 * RACE_ROUNDS);
	assert_int_equal(fake_ends_get().n_destroyed, 3 * RACE_ROUNDS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ids_are_lowest_first_and_reused_at_once),
		T(lookup_finds_only_what_is_published_and_of_the_type),
		T(lookup_can_be_made_to_fail),
		T(allocation_fails_without_taking_an_id),
		T(users_keep_an_object_from_being_destroyed),
		T(an_aborted_object_gives_its_id_back),
		T(destroying_the_compat_ioas_clears_the_pointer),
		T(the_last_durable_holder_destroys_an_automatic_object),
		T(an_automatic_object_survives_a_command_that_looks_at_it),
		T(user_destroy_sleeps_for_those_who_are_leaving),
		T(driver_destroy_sleeps_for_commands),
		T(driver_destroy_asks_durable_holders_to_leave),
		T(an_unheld_device_is_not_asked),
		T(driver_destroy_gives_up_and_the_release_destroys),
		T(driver_destroy_refuses_an_object_others_hold),
		T(user_destroy_gives_up_and_leaks),
		T(destroyers_lookups_and_checks_may_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
