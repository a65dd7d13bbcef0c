/* SPDX-License-Identifier: MIT */
/*
 * The life of objects.  Each has an id from the moment it is begun; the table
 * holds NULL there until the object is published, so a lookup of something
 * half built, buried or gone finds nothing, whichever it is.
 *
 * Two counters, because two kinds of destroyer exist.  A user's DESTROY is a
 * try: it wants users to be exactly 1 (the table's own) and otherwise changes
 * nothing.  A driver's destroy must succeed, so it drops the table's wait_cnt
 * first, which makes new lookups fail once the present ones are gone, and
 * sleeps until they are.
 *
 *	             lookups   DESTROY      then
 *	users 1      succeed   takes it     users 0, id free, sleep for wait_cnt 0
 *	users > 1    succeed   EBUSY
 *	users 0      ENOENT    ENOENT       (erased in the same step)
 *	wait_cnt 0   ENOENT    EBUSY        a driver destroy is about to erase it
 *
 * Everything that raises users from 1 does so under objects_lock, therefore
 * "1 under the lock" stays true until the lock is dropped.
 */
#include "core/object.h"

#include <time.h>

#include "base/alloc.h"

/* +1 unless it is 0, which means the end has begun. */
static bool count_inc_not_zero(_Atomic u32 *count)
{
	u32 seen = atomic_load_explicit(count, memory_order_relaxed);

	while (seen)
		if (atomic_compare_exchange_weak_explicit(count, &seen, seen + 1,
							  memory_order_acquire,
							  memory_order_relaxed))
			return true;
	return false;
}

/* 1 to 0, or nothing.  Acquire pairs with the release in object_release() and object_put(). */
static bool count_dec_if_one(_Atomic u32 *count)
{
	u32 one = 1;

	return atomic_compare_exchange_strong_explicit(count, &one, 0, memory_order_acquire,
						       memory_order_relaxed);
}

/* Both counts as one word; little-endian, as all we run on is. */
#define COUNT_WAIT BIT_ULL(0)
#define COUNT_USER BIT_ULL(32)

static_assert(offsetof(struct iommufd_object, wait_cnt) == 0 &&
		      offsetof(struct iommufd_object, users) == 4,
	      "two halves of a word");

static _Atomic u64 *object_counts(struct iommufd_object *obj)
{
	return (_Atomic u64 *)(void *)obj;
}

/* +1 to each, unless one is 0. */
static bool object_counts_inc(struct iommufd_object *obj)
{
	u64 seen = atomic_load_explicit(object_counts(obj), memory_order_relaxed);

	while ((u32)seen && seen >> 32)
		if (atomic_compare_exchange_weak_explicit(object_counts(obj), &seen,
							  seen + COUNT_USER + COUNT_WAIT,
							  memory_order_acquire,
							  memory_order_relaxed))
			return true;
	return false;
}

static const char *object_name(const struct iommufd_object *obj)
{
	return object_types[obj->type].name;
}

/* ---- building ---- */

int object_alloc(struct iommufd_ctx *ctx, size_t size, enum iommufd_object_type type,
		 struct iommufd_object **ret)
{
	struct iommufd_object *obj = zalloc(size);
	int rc;

	if (!obj)
		return -ENOMEM;
	obj->type = type;
	atomic_init(&obj->users, 1);
	atomic_init(&obj->wait_cnt, 1);
	mutex_lock(&ctx->objects_lock);
	rc = idtable_reserve(&ctx->objects, &obj->id);
	if (!rc)
		ctx->unpublished++;
	mutex_unlock(&ctx->objects_lock);
	if (rc) {
		free(obj);
		return rc;
	}
	*ret = obj;
	return 0;
}

void object_finalize(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	mutex_lock(&ctx->objects_lock);
	idtable_store(&ctx->objects, obj->id, obj);
	ctx->unpublished--;
	mutex_unlock(&ctx->objects_lock);
}

void object_abort(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	mutex_lock(&ctx->objects_lock);
	idtable_release(&ctx->objects, obj->id);
	ctx->unpublished--;
	mutex_unlock(&ctx->objects_lock);
	free(obj);
}

void object_abort_and_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	const struct object_type_ops *ops = &object_types[obj->type];

	if (ops->abort)
		ops->abort(obj);
	else
		ops->destroy(obj);
	object_abort(ctx, obj);
}

/* ---- holding ---- */

int object_get(struct iommufd_ctx *ctx, u32 id, enum iommufd_object_type type,
	       struct iommufd_object **ret)
{
	struct iommufd_object *obj;
	int rc = -ENOENT;

	if (fault_point("object_get"))
		return -ENOENT;
	mutex_lock(&ctx->objects_lock);
	obj = idtable_load(&ctx->objects, id);
	if (obj && (type == IOMMUFD_OBJ_ANY || obj->type == type) && object_counts_inc(obj)) {
		*ret = obj;
		rc = 0;
	}
	mutex_unlock(&ctx->objects_lock);
	return rc;
}

static void object_wake(struct iommufd_ctx *ctx)
{
	mutex_lock(&ctx->objects_lock);
	pthread_cond_broadcast(&ctx->wait);
	mutex_unlock(&ctx->objects_lock);
}

static void object_put_wait(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	/* After the subtraction obj may be gone: its destroyer does not need our wake to see 0. */
	if (atomic_fetch_sub_explicit(&obj->wait_cnt, 1, memory_order_release) == 1)
		object_wake(ctx);
}

void object_put(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	u64 seen = atomic_fetch_sub_explicit(object_counts(obj), COUNT_USER + COUNT_WAIT,
					     memory_order_release);

	/* As in object_put_wait(). */
	if ((u32)seen == 1)
		object_wake(ctx);
}

bool object_peek_next(struct iommufd_ctx *ctx, u32 *id, struct iommufd_object **ret)
{
	void *value;
	bool found;

	mutex_lock(&ctx->objects_lock);
	/* With wait_cnt 0 a driver destroy is about to erase it: no longer ours to see. */
	while ((found = idtable_next(&ctx->objects, id, &value)) &&
	       !count_inc_not_zero(&((struct iommufd_object *)value)->wait_cnt))
		++*id;
	mutex_unlock(&ctx->objects_lock);
	if (found)
		*ret = value;
	return found;
}

void object_peek_end(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	object_put_wait(ctx, obj);
}

int object_try_hold(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	int rc = -EBUSY;

	mutex_lock(&ctx->objects_lock);
	if (idtable_load(&ctx->objects, obj->id) == obj && count_inc_not_zero(&obj->users))
		rc = 0;
	mutex_unlock(&ctx->objects_lock);
	return rc;
}

/* ---- ending ---- */

static void deadline_set(struct timespec *deadline, u32 ms)
{
	clock_gettime(CLOCK_MONOTONIC, deadline);
	deadline->tv_sec += ms / 1000;
	deadline->tv_nsec += (long)(ms % 1000) * 1000000;
	if (deadline->tv_nsec >= 1000000000) {
		deadline->tv_sec++;
		deadline->tv_nsec -= 1000000000;
	}
}

/*
 * Sleep until no short-term holder is left; the table's own count is dropped
 * already.  On -EBUSY it is taken again: the object is as before.
 */
static int object_wait(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct timespec deadline;
	int rc = 0;

	deadline_set(&deadline, atomic_load_explicit(&ctx->system->object_wait_ms,
						     memory_order_relaxed));
	mutex_lock(&ctx->objects_lock);
	/* acquire pairs with object_put_wait(): the holders' accesses end before the destroy */
	while (atomic_load_explicit(&obj->wait_cnt, memory_order_acquire) && rc != -ETIMEDOUT)
		rc = mutex_wait_until(&ctx->objects_lock, &ctx->wait, &deadline);
	if (atomic_load_explicit(&obj->wait_cnt, memory_order_acquire)) {
		atomic_fetch_add_explicit(&obj->wait_cnt, 1, memory_order_relaxed);
		rc = -EBUSY;
	} else {
		rc = 0;
	}
	mutex_unlock(&ctx->objects_lock);
	if (rc)
		system_log(ctx->system, IOMMUFD_LOG_ERROR,
			   "%s %u: still in use by a command after the longest wait",
			   object_name(obj), obj->id);
	return rc;
}

/* Drop the table's count.  Acquire for the case that nobody has to be waited for. */
static bool object_drop_bias(struct iommufd_object *obj)
{
	return atomic_fetch_sub_explicit(&obj->wait_cnt, 1, memory_order_acq_rel) == 1;
}

static void object_erase(struct iommufd_ctx *ctx, struct iommufd_object *obj, unsigned int flags)
	__must_hold(&ctx->objects_lock)
{
	if (flags & OBJECT_REMOVE_TOMBSTONE) {
		idtable_store(&ctx->objects, obj->id, NULL);
		ctx->tombstones++;
	} else {
		idtable_release(&ctx->objects, obj->id);
	}
	/* obj is the first member of an ioas */
	if ((void *)ctx->vfio_ioas == (void *)obj)
		ctx->vfio_ioas = NULL;
}

static void object_end(struct iommufd_object *obj)
{
	object_types[obj->type].destroy(obj);
	free(obj);
}

/* The object is erased and users is 0: nobody comes any more, some may still be leaving. */
static int object_end_erased(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	/* On a time-out it is leaked: freeing it under a running command would be worse. */
	if (!object_drop_bias(obj) && object_wait(ctx, obj))
		return -EBUSY;
	object_end(obj);
	return 0;
}

u32 object_destroy_leaves(struct iommufd_ctx *ctx)
{
	struct iommufd_object *obj;
	u32 destroyed = 0;
	void *value;

	mutex_lock(&ctx->objects_lock);
	/* From the id on each time: a destroy op may have removed or added anything above. */
	for (u32 id = 1; idtable_next(&ctx->objects, &id, &value); id++) {
		obj = value;
		if (!count_dec_if_one(&obj->users))
			continue;
		object_erase(ctx, obj, 0);
		mutex_unlock(&ctx->objects_lock);
		object_end(obj);
		destroyed++;
		mutex_lock(&ctx->objects_lock);
	}
	mutex_unlock(&ctx->objects_lock);
	return destroyed;
}

static int object_remove_user(struct iommufd_ctx *ctx, u32 id, unsigned int flags)
{
	struct iommufd_object *obj;

	mutex_lock(&ctx->objects_lock);
	obj = idtable_load(&ctx->objects, id);
	if (!obj || !count_dec_if_one(&obj->users)) {
		mutex_unlock(&ctx->objects_lock);
		return obj ? -EBUSY : -ENOENT;
	}
	object_erase(ctx, obj, flags);
	mutex_unlock(&ctx->objects_lock);
	return object_end_erased(ctx, obj);
}

static int object_remove_driver(struct iommufd_ctx *ctx, struct iommufd_object *obj,
				unsigned int flags)
{
	if (!object_drop_bias(obj)) {
		if (object_types[obj->type].pre_destroy)
			object_types[obj->type].pre_destroy(obj);
		if (object_wait(ctx, obj)) {
			/* Without its creator's reference it ends when the context closes. */
			object_release(obj);
			return -EBUSY;
		}
	}
	mutex_lock(&ctx->objects_lock);
	object_release(obj);
	if (!count_dec_if_one(&obj->users)) {
		atomic_fetch_add_explicit(&obj->wait_cnt, 1, memory_order_relaxed);
		mutex_unlock(&ctx->objects_lock);
		system_log(ctx->system, IOMMUFD_LOG_ERROR,
			   "%s %u: its driver left while others hold it", object_name(obj),
			   obj->id);
		return -EBUSY;
	}
	object_erase(ctx, obj, flags);
	mutex_unlock(&ctx->objects_lock);
	object_end(obj);
	return 0;
}

int object_remove(struct iommufd_ctx *ctx, struct iommufd_object *to_destroy, u32 id,
		  unsigned int flags)
{
	if (flags & OBJECT_REMOVE_WAIT)
		return object_remove_driver(ctx, to_destroy, flags);
	return object_remove_user(ctx, id, flags);
}

void object_destroy_user(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	object_remove(ctx, obj, obj->id, OBJECT_REMOVE_WAIT);
}

void object_tombstone_user(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	object_remove(ctx, obj, obj->id, OBJECT_REMOVE_WAIT | OBJECT_REMOVE_TOMBSTONE);
}

void object_put_and_try_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	/*
	 * One step under the lock: were the reference dropped before it, a user's DESTROY
	 * could free the object between our drop and our look at it.
	 */
	mutex_lock(&ctx->objects_lock);
	object_release(obj);
	if (!count_dec_if_one(&obj->users)) {
		mutex_unlock(&ctx->objects_lock);
		return;
	}
	object_erase(ctx, obj, 0);
	mutex_unlock(&ctx->objects_lock);
	object_end_erased(ctx, obj);
}
