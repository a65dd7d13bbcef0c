/* SPDX-License-Identifier: MIT */
/*
 * Systems and contexts: options, the order of release, what a check sees.
 */
#include "fake_rooms.h"

#include <stdlib.h>
#include <string.h>

static void make_child(struct iommufd_ctx *ctx, struct fake_object *parent,
		       enum iommufd_object_type type)
{
	struct fake_object *child = fake_object_make(ctx, type);

	child->parent = parent;
	object_hold(&parent->obj);
}

static void system_refuses_options_it_does_not_know(void **state)
{
	struct {
		struct iommufd_system_opts opts;
		u64 later;
	} longer = { .opts.size = sizeof(longer) };
	struct iommufd_system_opts opts = { .size = sizeof(opts) };
	struct iommufd_system *system = NULL;

	opts.frames = IOMMUFD_FRAMES_RANDOM + 1;
	assert_int_equal(iommufd_system_create(&opts, &system), -EINVAL);
	opts.frames = IOMMUFD_FRAMES_RANDOM;
	opts.log_level = IOMMUFD_LOG_DEBUG + 1;
	assert_int_equal(iommufd_system_create(&opts, &system), -EINVAL);
	opts.log_level = IOMMUFD_LOG_DEBUG;
	opts.size = sizeof(opts) - 1;
	assert_int_equal(iommufd_system_create(&opts, &system), -EINVAL);
	longer.later = 1;
	assert_int_equal(iommufd_system_create(&longer.opts, &system), -EINVAL);
	assert_null(system);
	longer.later = 0;
	assert_int_equal(iommufd_system_create(&longer.opts, &system), 0);
	assert_int_equal(atomic_load(&system->temp_memory_limit), 65536);
	iommufd_system_destroy(system);
	assert_int_equal(iommufd_system_create(NULL, &system), 0);
	iommufd_system_destroy(system);
	iommufd_system_destroy(NULL);
}

static void system_creation_survives_failing_allocations(void **state)
{
	struct fault_state fault = { 0 };
	struct iommufd_system *system;
	u32 nth = 0;
	int rc;

	do {
		atomic_store(&fault.nth, ++nth);
		fault_current = &fault;
		rc = iommufd_system_create(NULL, &system);
		fault_current = NULL;
		assert_true(rc == 0 || rc == -ENOMEM);
	} while (rc);
	assert_true(nth > 1);
	iommufd_system_destroy(system);
}

static void system_with_an_open_context_is_left_alone(void **state)
{
	struct world *world = *state;

	iommufd_system_destroy(world->system);
	assert_int_equal(world_take_log_lines(world), 1);
	assert_non_null(strstr(world->log.last, "context is open"));
	world->log.last[0] = '\0';
	/* and still works */
	fake_object_make(world->ctx, IOMMUFD_OBJ_IOAS);
}

static void release_destroys_leaves_before_what_they_hold(void **state)
{
	/* in ascending passes: the only leaf (4); then 3; then 2; then 1 */
	static const u32 order[] = { 4, 3, 2, 1 };
	struct world *world = *state;
	struct fake_object *above = fake_object_make(world->ctx, IOMMUFD_OBJ_IOAS);
	struct fake_ends ends;

	for (u32 id = 2; id <= 4; id++) {
		struct fake_object *child =
			fake_object_make(world->ctx, IOMMUFD_OBJ_HWPT_PAGING);

		child->parent = above;
		object_hold(&above->obj);
		above = child;
	}
	world_close_ctx(world);
	ends = fake_ends_get();
	assert_int_equal(ends.n_destroyed, ARRAY_SIZE(order));
	assert_memory_equal(ends.destroyed, order, sizeof(order));
}

static void release_goes_up_within_a_pass(void **state)
{
	/* first pass: leaves 2 and 4, and 3, which 2 released just before; then 1 */
	static const u32 order[] = { 2, 3, 4, 1 };
	struct world *world = *state;
	struct iommufd_ctx *ctx = world->ctx;
	struct fake_object *ioas = fake_object_make(ctx, IOMMUFD_OBJ_IOAS);
	struct fake_object *device = fake_object_make(ctx, IOMMUFD_OBJ_DEVICE);
	struct fake_object *hwpt = fake_object_make(ctx, IOMMUFD_OBJ_HWPT_PAGING);
	struct fake_ends ends;

	device->parent = hwpt;
	object_hold(&hwpt->obj);
	hwpt->parent = ioas;
	object_hold(&ioas->obj);
	make_child(ctx, ioas, IOMMUFD_OBJ_ACCESS);
	world_close_ctx(world);
	ends = fake_ends_get();
	assert_int_equal(ends.n_destroyed, ARRAY_SIZE(order));
	assert_memory_equal(ends.destroyed, order, sizeof(order));
}

static void release_lets_an_end_destroy_other_objects(void **state)
{
	/* the device's end takes the automatic hwpt with it, which takes its hold off the ioas */
	static const u32 order[] = { 2, 3, 1 };
	struct world *world = *state;
	struct iommufd_ctx *ctx = world->ctx;
	struct fake_object *ioas = fake_object_make(ctx, IOMMUFD_OBJ_IOAS);
	struct fake_object *device = fake_object_make(ctx, IOMMUFD_OBJ_DEVICE);
	struct fake_object *hwpt = fake_object_make(ctx, IOMMUFD_OBJ_HWPT_PAGING);
	struct fake_ends ends;

	device->parent = hwpt;
	device->auto_parent = true;
	object_hold(&hwpt->obj);
	hwpt->parent = ioas;
	object_hold(&ioas->obj);
	world_close_ctx(world);
	ends = fake_ends_get();
	assert_int_equal(ends.n_destroyed, ARRAY_SIZE(order));
	assert_memory_equal(ends.destroyed, order, sizeof(order));
}

static void release_stops_at_objects_that_hold_each_other(void **state)
{
	struct world *world = *state;
	struct fake_object *a = fake_object_make(world->ctx, IOMMUFD_OBJ_IOAS);
	struct fake_object *b = fake_object_make(world->ctx, IOMMUFD_OBJ_IOAS);

	fake_object_make(world->ctx, IOMMUFD_OBJ_IOAS);
	object_hold(&a->obj);
	object_hold(&b->obj);
	world_close_ctx(world);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	assert_int_equal(world_take_log_lines(world), 1);
	assert_non_null(strstr(world->log.last, "hold each other"));
	world->log.last[0] = '\0';
	free(a);
	free(b);
}

static void tombstones_end_with_the_context(void **state)
{
	struct world *world = *state;
	struct fake_object *fake = fake_object_make(world->ctx, IOMMUFD_OBJ_ACCESS);

	object_hold(&fake->obj);
	object_tombstone_user(world->ctx, &fake->obj);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	assert_int_equal(fake_object_make(world->ctx, IOMMUFD_OBJ_IOAS)->obj.id, 2);
	assert_int_equal(object_remove(world->ctx, NULL, 2, 0), 0);
	assert_false(idtable_empty(&world->ctx->objects));
}

static void other_holders_delay_the_release(void **state)
{
	struct world *world = *state;
	struct iommufd_ctx *ctx = ctx_get(world->ctx);

	fake_object_make(ctx, IOMMUFD_OBJ_IOAS);
	world_close_ctx(world);
	assert_int_equal(fake_ends_get().n_destroyed, 0);
	ctx_put(ctx);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
}

static void foreign_release(struct file *file)
{
}

static void only_our_files_are_contexts(void **state)
{
	static const struct file_ops foreign_ops = { .name = "x", .release = foreign_release };
	struct world *world = *state;
	struct iommufd_ctx *container;
	struct file foreign;

	file_init(&foreign, &foreign_ops, world->system, 0);
	assert_null(ctx_from_file(&foreign));
	assert_ptr_equal(ctx_from_file(&world->ctx->file), world->ctx);
	assert_string_equal(world->ctx->file.ops->name, "/dev/iommu");
	assert_int_equal(ctx_open(world->system, CTX_OPEN_VFIO_CONTAINER, 2, &container), 0);
	assert_ptr_equal(ctx_from_file(&container->file), container);
	assert_string_equal(container->file.ops->name, "/dev/vfio/vfio");
	assert_int_equal(container->account_mode, MEM_ACCOUNT_MM);
	assert_int_equal(world->ctx->account_mode, MEM_ACCOUNT_USER);
	ctx_put(container);
}

static void expect_unsound(struct iommufd_ctx *ctx, const char *text)
{
	char buf[128] = "";

	assert_int_equal(ctx_check(ctx, buf, sizeof(buf)), -EUCLEAN);
	assert_string_equal(buf, text);
}

static void check_says_what_is_wrong_and_where(void **state)
{
	struct iommufd_ctx *ctx = ((struct world *)*state)->ctx;
	struct fake_object *fake = fake_object_make(ctx, IOMMUFD_OBJ_IOAS);
	struct fake_object *unpublished;
	char buf[128];

	fake_object_make(ctx, IOMMUFD_OBJ_DEVICE);
	unpublished = fake_object_begin(ctx, IOMMUFD_OBJ_DEVICE);
	assert_int_equal(ctx_check(ctx, buf, sizeof(buf)), 0);
	fake->wrong = "areas overlap";
	expect_unsound(ctx, "ioas 1: wrong: areas overlap");
	fake->wrong = NULL;
	atomic_store(&fake->obj.users, 0);
	expect_unsound(ctx, "object without users in the table");
	atomic_store(&fake->obj.users, 1);
	fake->obj.id = 7;
	expect_unsound(ctx, "object under another id than its own");
	fake->obj.id = 1;
	ctx->tombstones++;
	expect_unsound(ctx, "ids taken by nobody");
	ctx->tombstones--;
	ctx->vfio_ioas = (struct iommufd_ioas *)&buf;
	expect_unsound(ctx, "compat ioas is not in the table");
	ctx->vfio_ioas = NULL;
	assert_int_equal(ctx_check(ctx, buf, sizeof(buf)), 0);
	object_abort(ctx, &unpublished->obj);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_refuses_options_it_does_not_know),
		cmocka_unit_test(system_creation_survives_failing_allocations),
		T(system_with_an_open_context_is_left_alone),
		T(release_destroys_leaves_before_what_they_hold),
		T(release_goes_up_within_a_pass),
		T(release_lets_an_end_destroy_other_objects),
		T(release_stops_at_objects_that_hold_each_other),
		T(tombstones_end_with_the_context),
		T(other_holders_delay_the_release),
		T(only_our_files_are_contexts),
		T(check_says_what_is_wrong_and_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
