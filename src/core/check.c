/* SPDX-License-Identifier: MIT */
/*
 * Is a context sound?  First the object table by itself, in one go under its
 * lock; then each object through its type's check, one after the other, each
 * kept alive by wait_cnt alone.  That count makes a destroyer sleep but never
 * makes it fail, so the check is invisible to the commands around it.
 */
#include <stdio.h>
#include <time.h>

#include "core/ctx.h"
#include "core/object.h"
#include "core/ucmd.h"

static int check_says(char *buf, size_t size, const struct iommufd_object *obj, const char *what)
{
	if (obj)
		snprintf(buf, size, "%s %u: %s", object_types[obj->type].name, obj->id, what);
	else
		snprintf(buf, size, "%s", what);
	return -EUCLEAN;
}

static const char *object_check_head(const struct iommufd_object *obj, u32 id)
{
	if (obj->type <= IOMMUFD_OBJ_NONE || obj->type >= IOMMUFD_OBJ_MAX)
		return "object of no type in the table";
	if (obj->id != id)
		return "object under another id than its own";
	/* A user's destroy takes the last one and erases under the lock we hold. */
	if (!atomic_load_explicit(&obj->users, memory_order_relaxed))
		return "object without users in the table";
	return NULL;
}

/* Everything that can be said without an object's own locks. */
static int ctx_check_table(struct iommufd_ctx *ctx, char *buf, size_t size)
	__must_hold(&ctx->objects_lock)
{
	const char *wrong = idtable_check(&ctx->objects);
	u64 published = 0;
	void *value;

	if (wrong)
		return check_says(buf, size, NULL, wrong);
	for (u32 id = 1; idtable_next(&ctx->objects, &id, &value); id++) {
		const struct iommufd_object *obj = value;

		wrong = object_check_head(obj, id);
		if (wrong)
			return check_says(buf, size, NULL, wrong);
		published++;
	}
	if (published + ctx->tombstones + ctx->unpublished != ctx->objects.count)
		return check_says(buf, size, NULL, "ids taken by nobody");
	return 0;
}

/* The compat ioas is not counted: it must be one that is in the table. */
static int ctx_check_vfio_ioas(struct iommufd_ctx *ctx, char *buf, size_t size)
	__must_hold(&ctx->objects_lock)
{
	void *value;

	if (!ctx->vfio_ioas)
		return 0;
	for (u32 id = 1; idtable_next(&ctx->objects, &id, &value); id++)
		if (value == (void *)ctx->vfio_ioas)
			return 0;
	return check_says(buf, size, NULL, "compat ioas is not in the table");
}

static int ctx_check_objects(struct iommufd_ctx *ctx, char *buf, size_t size)
{
	struct iommufd_object *obj;
	int rc = 0;

	for (u32 id = 1; !rc && object_peek_next(ctx, &id, &obj); id++) {
		const struct object_type_ops *ops = &object_types[obj->type];
		char line[256];
		const char *wrong = ops->check ? ops->check(obj, line, sizeof(line)) : NULL;

		if (wrong)
			rc = check_says(buf, size, obj, wrong);
		object_peek_end(ctx, obj);
	}
	return rc;
}

int ctx_check(struct iommufd_ctx *ctx, char *buf, size_t size)
{
	struct fault_state *fault = fault_current;
	int rc;

	/* The caller's nth failure is meant for its own steps. */
	fault_current = NULL;
	mutex_lock(&ctx->objects_lock);
	rc = ctx_check_table(ctx, buf, size);
	if (!rc)
		rc = ctx_check_vfio_ioas(ctx, buf, size);
	mutex_unlock(&ctx->objects_lock);
	if (!rc)
		rc = ctx_check_objects(ctx, buf, size);
	fault_current = fault;
	return rc;
}

#ifdef IOMMUFD_DEBUG

#define CHECK_SLOW_NS 200000 /* about a thousand areas */
#define CHECK_SAMPLE 64

void ctx_check_begin(struct iommufd_ctx *ctx)
{
	atomic_fetch_add_explicit(&ctx->running, 1, memory_order_relaxed);
}

static u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

void ctx_check_end(struct iommufd_ctx *ctx)
{
	char buf[512];
	u64 begin;
	u32 due = atomic_fetch_add_explicit(&ctx->checks_due, 1, memory_order_relaxed) + 1;

	/* Not alone: whoever leaves last checks for all. */
	if (atomic_fetch_sub_explicit(&ctx->running, 1, memory_order_acq_rel) != 1)
		return;
	if (atomic_load_explicit(&ctx->check_slow, memory_order_relaxed) && due < CHECK_SAMPLE)
		return;
	atomic_store_explicit(&ctx->checks_due, 0, memory_order_relaxed);
	begin = now_ns();
	if (ctx_check(ctx, buf, sizeof(buf))) {
		system_log(ctx->system, IOMMUFD_LOG_ERROR, "context unsound: %s", buf);
		/* as assert() would, but with a message made at run time */
		__assert_fail(buf, __FILE__, __LINE__, __func__);
	}
	/*
	 * How large a context is, only its objects know; how long they took to tell is a
	 * measure of it that fits every type.
	 */
	atomic_store_explicit(&ctx->check_slow, now_ns() - begin > CHECK_SLOW_NS,
			      memory_order_relaxed);
}

#endif
