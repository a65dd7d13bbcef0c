/* SPDX-License-Identifier: MIT */
/*
 * A context from open to release.  Release needs no knowledge of who depends
 * on whom: an object others depend on has users above 1, so destroying every
 * object at 1, again and again, peels the leaves first.
 */
#include "core/ctx.h"

#include <limits.h>

#include "base/alloc.h"
#include "core/mmap.h"
#include "core/object.h"
#include "core/ucmd.h"
#include "mem/task.h"

static long ctx_file_ioctl(struct file *file, unsigned int cmd, u64 arg)
{
	return ctx_ioctl(container_of(file, struct iommufd_ctx, file), cmd, arg);
}

static bool ctx_has_objects(struct iommufd_ctx *ctx)
{
	void *value;
	u32 id = 1;
	bool found;

	mutex_lock(&ctx->objects_lock);
	found = idtable_next(&ctx->objects, &id, &value);
	mutex_unlock(&ctx->objects_lock);
	return found;
}

static void ctx_destroy_objects(struct iommufd_ctx *ctx)
{
	while (ctx_has_objects(ctx)) {
		if (!object_destroy_leaves(ctx)) {
			system_log(ctx->system, IOMMUFD_LOG_ERROR,
				   "context released while its objects hold each other: leaked");
			return;
		}
	}
}

static void ctx_free_sw_msi(struct iommufd_ctx *ctx)
{
	struct cds_list_head *node, *next;

	cds_list_for_each_safe(node, next, &ctx->sw_msi_list)
		free(node);
}

static void ctx_free(struct iommufd_ctx *ctx)
{
	ctx_free_sw_msi(ctx);
	ctx_mmap_fini(ctx);
	idtable_clear(&ctx->objects);
	mutex_destroy(&ctx->sw_msi_lock);
	mutex_destroy(&ctx->ioas_creation_lock);
	mutex_destroy(&ctx->groups_lock);
	pthread_cond_destroy(&ctx->wait);
	mutex_destroy(&ctx->objects_lock);
	free(ctx);
}

/* With tests watching: when nothing is open any more, nothing may be pinned. */
static void system_check_leaks(struct iommufd_system *system) __must_hold(&system->lock)
{
	u64 pins;

	if (!system->opts.selftest || !cds_list_empty(&system->contexts))
		return;
	pins = mem_space_pins(system->mem);
	if (pins)
		system_log(system, IOMMUFD_LOG_ERROR,
			   "%llu pages are still pinned though no context is open",
			   (unsigned long long)pins);
}

static void ctx_file_release(struct file *file)
{
	struct iommufd_ctx *ctx = container_of(file, struct iommufd_ctx, file);
	struct iommufd_system *system = ctx->system;

	file_settle(file); /* mappings keep the file, so none is left */
	ctx_destroy_objects(ctx);
	if (!cds_list_empty(&ctx->groups))
		system_log(system, IOMMUFD_LOG_ERROR, "context released while it has groups");
	/* Last: until here the context can be found in lists and is complete. */
	mutex_lock(&system->lock);
	cds_list_del(&ctx->node);
	system_check_leaks(system);
	mutex_unlock(&system->lock);
	ctx_free(ctx);
}

/* The same device under two names; which one it was shows in /proc/PID/fd. */
static const struct file_ops iommu_file_ops = {
	.name = "/dev/iommu",
	.ioctl = ctx_file_ioctl,
	.mmap = ctx_file_mmap,
	.unmap = ctx_file_unmap,
	.release = ctx_file_release,
};

static const struct file_ops vfio_container_file_ops = {
	.name = "/dev/vfio/vfio",
	.ioctl = ctx_file_ioctl,
	.mmap = ctx_file_mmap,
	.unmap = ctx_file_unmap,
	.release = ctx_file_release,
};

struct iommufd_ctx *ctx_from_file(struct file *file)
{
	if (file->ops != &iommu_file_ops && file->ops != &vfio_container_file_ops)
		return NULL;
	return container_of(file, struct iommufd_ctx, file);
}

static void ctx_init_locks(struct iommufd_ctx *ctx)
{
	mutex_init(&ctx->objects_lock);
	cond_init(&ctx->wait);
	mutex_init(&ctx->groups_lock);
	mutex_init(&ctx->ioas_creation_lock);
	mutex_init(&ctx->sw_msi_lock);
}

int ctx_open(struct iommufd_system *system, unsigned int ctx_flags, int open_flags,
	     struct iommufd_ctx **ret_ctx)
{
	bool container = ctx_flags & CTX_OPEN_VFIO_CONTAINER;
	struct iommufd_ctx *ctx;

	ctx = zalloc(sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	file_init(&ctx->file, container ? &vfio_container_file_ops : &iommu_file_ops, system,
		  open_flags);
	ctx->system = system;
	ctx_init_locks(ctx);
	idtable_init(&ctx->objects, 1, INT_MAX);
	ctx_mmap_init(ctx);
	CDS_INIT_LIST_HEAD(&ctx->groups);
	CDS_INIT_LIST_HEAD(&ctx->sw_msi_list);
	/* A program that believes in containers expects to pay as it did with them. */
	ctx->account_mode = container ? MEM_ACCOUNT_MM : MEM_ACCOUNT_USER;
	if (task_current && task_current->mm)
		ctx->opener = mm_pid(task_current->mm);
	mutex_lock(&system->lock);
	ctx->number = 1;
	/* The list is in their order. */
	if (!cds_list_empty(&system->contexts))
		ctx->number +=
			cds_list_entry(system->contexts.prev, struct iommufd_ctx, node)->number;
	cds_list_add_tail(&ctx->node, &system->contexts);
	mutex_unlock(&system->lock);
	*ret_ctx = ctx;
	return 0;
}

/* A count of 0 means that the release has begun; it needs the lock we hold to free the memory. */
static bool ctx_try_get(struct iommufd_ctx *ctx)
{
	u32 refs = atomic_load_explicit(&ctx->file.refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&ctx->file.refs, &refs, refs + 1,
							  memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}

struct iommufd_ctx *ctx_next(struct iommufd_system *system, u32 number)
{
	struct iommufd_ctx *ctx, *found = NULL;

	mutex_lock(&system->lock);
	cds_list_for_each_entry(ctx, &system->contexts, node) {
		if (ctx->number < number || !ctx_try_get(ctx))
			continue;
		found = ctx;
		break;
	}
	mutex_unlock(&system->lock);
	return found;
}
