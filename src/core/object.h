/* SPDX-License-Identifier: MIT */
/*
 * Objects of a context and their life: reserve an id, build, publish
 * (finalize) or undo (abort), look up, destroy.
 *
 *   users     1 for the id table + 1 per holder; DESTROY works only at 1
 *   wait_cnt  1 for the id table + 1 per short-term holder (a running command)
 *             + for a device its vdevice; a destroyer sleeps until it is 0
 *
 * Locks: ctx->objects_lock guards publish, lookup and erase.  Taking a looked-up
 * reference is inc-if-not-zero under it.
 */
#ifndef CORE_OBJECT_H
#define CORE_OBJECT_H

#include <assert.h>

#include "core/ctx.h"

enum {
	OBJECT_REMOVE_WAIT = 1 << 0,     /* driver destroy: wait for short-term holders first */
	OBJECT_REMOVE_TOMBSTONE = 1 << 1 /* never reuse the id in this context */
};

/**
 * struct object_type_ops - how each type ends; the table is in src/commands.c
 * @pre_destroy: ask durable wait_cnt holders to leave (device only); may be NULL
 * @destroy: undo everything; tolerates half-built objects
 * @abort: instead of @destroy where the builder holds a lock @destroy takes; may be NULL
 * @check: NULL if the object is sound, else what is wrong (static, or written to @buf); takes
 *	the locks it needs and allocates nothing; may be NULL
 */
struct object_type_ops {
	const char *name;
	void (*pre_destroy)(struct iommufd_object *obj);
	void (*destroy)(struct iommufd_object *obj);
	void (*abort)(struct iommufd_object *obj);
	const char *(*check)(struct iommufd_object *obj, char *buf, size_t size);
};
extern const struct object_type_ops object_types[];

/* ends of the types, by room */
void device_destroy(struct iommufd_object *obj);      /* device */
void device_pre_destroy(struct iommufd_object *obj);
void hwpt_paging_destroy(struct iommufd_object *obj); /* hwpt from here */
void hwpt_paging_abort(struct iommufd_object *obj);
void hwpt_nested_destroy(struct iommufd_object *obj);
void viommu_destroy(struct iommufd_object *obj);      /* viommu from here */
const char *viommu_check(struct iommufd_object *obj, char *buf, size_t size);
void vdevice_destroy(struct iommufd_object *obj);
void vdevice_abort(struct iommufd_object *obj);
void veventq_destroy(struct iommufd_object *obj);
const char *veventq_check(struct iommufd_object *obj, char *buf, size_t size);
void hw_queue_destroy(struct iommufd_object *obj);
void fault_destroy(struct iommufd_object *obj);       /* fault from here */
const char *fault_check(struct iommufd_object *obj, char *buf, size_t size);

/**
 * struct selftest_object - how a model's test objects (IOMMUFD_OBJ_SELFTEST) begin
 * @destroy: the type's destroy op; the model fills it in right after object_alloc()
 */
struct selftest_object {
	struct iommufd_object obj;
	void (*destroy)(struct iommufd_object *obj);
};

/**
 * object_alloc() - zeroed memory of @size with a reserved id; obj is its first member
 * @ret: an object nobody else can find; object_finalize() or object_abort_and_destroy() it
 * Return: 0, -ENOMEM, -EBUSY (ids exhausted).
 */
int object_alloc(struct iommufd_ctx *ctx, size_t size, enum iommufd_object_type type,
		 struct iommufd_object **ret);
#define object_alloc_typed(ctx, ptr, type)                                                         \
	({                                                                                         \
		struct iommufd_object *obj_;                                                       \
		static_assert(offsetof(__typeof__(*(ptr)), obj) == 0, "obj comes first");          \
		int rc_ = object_alloc(ctx, sizeof(*(ptr)), type, &obj_);                          \
		if (!rc_)                                                                          \
			(ptr) = container_of(obj_, __typeof__(*(ptr)), obj);                       \
		rc_;                                                                               \
	})

/** object_finalize() - publish; nothing after it may fail */
void object_finalize(struct iommufd_ctx *ctx, struct iommufd_object *obj);
/** object_abort() - free an object whose maker has undone everything itself */
void object_abort(struct iommufd_ctx *ctx, struct iommufd_object *obj);
/** object_abort_and_destroy() - run the type's abort (or destroy) and free */
void object_abort_and_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/**
 * object_get() - look up a published object and hold it for a command
 * @type: IOMMUFD_OBJ_ANY for any
 * @ret: object_put() it
 * Return: 0, -ENOENT (unknown, other type, reserved, tombstone, being destroyed; fault point).
 */
int object_get(struct iommufd_ctx *ctx, u32 id, enum iommufd_object_type type,
	       struct iommufd_object **ret);
void object_put(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/**
 * object_peek_next() - the first published object from *@id on, kept alive by wait_cnt only
 * @id: in: where to begin; out: the object's
 * @ret: object_peek_end() it
 *
 * For looking at all objects without being seen: a destroyer waits but does not fail.
 * Return: false if there is none.
 */
bool object_peek_next(struct iommufd_ctx *ctx, u32 *id, struct iommufd_object **ret);
void object_peek_end(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/** object_hold() / object_release() - a durable reference: users only */
static inline void object_hold(struct iommufd_object *obj)
{
	atomic_fetch_add_explicit(&obj->users, 1, memory_order_relaxed);
}

static inline void object_release(struct iommufd_object *obj)
{
	atomic_fetch_sub_explicit(&obj->users, 1, memory_order_release);
}

/** object_try_hold() - a durable reference only while @obj is what its id means; 0 or -EBUSY */
int object_try_hold(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/**
 * object_remove() - take the object out of the table and destroy it
 * @to_destroy: with OBJECT_REMOVE_WAIT, the object (its creator's own users reference is
 *	dropped here, in the same step, also on failure); else NULL and @id says which
 *
 * Context: sleeps; call with no lock held that a short-term holder or the type's ops take.
 * Return: 0, -ENOENT, -EBUSY (users held; or short-term holders for 60 s).
 */
int object_remove(struct iommufd_ctx *ctx, struct iommufd_object *to_destroy, u32 id,
		  unsigned int flags);
/** object_destroy_user() - driver destroy of an object whose creator holds one users reference */
void object_destroy_user(struct iommufd_ctx *ctx, struct iommufd_object *obj);
/** object_tombstone_user() - the same, leaving the id unusable */
void object_tombstone_user(struct iommufd_ctx *ctx, struct iommufd_object *obj);
/**
 * object_destroy_leaves() - at release: one ascending pass destroying every object at users 1
 * Waits for nobody: no command runs in the context any more.  Return: how many it destroyed.
 */
u32 object_destroy_leaves(struct iommufd_ctx *ctx);
/** object_put_and_try_destroy() - drop a durable reference, destroying at the last (auto hwpt) */
void object_put_and_try_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);

#endif
