/* SPDX-License-Identifier: MIT */
/*
 * CHANGE_PROCESS: the calling process takes over what is charged for all
 * file-backed mappings of the context (live update of a VMM).
 *
 * Every map of the context is locked at once, in id order; ioas_creation_lock
 * keeps a second CHANGE_PROCESS out, and no other path holds two maps' locks.
 * A map made meanwhile is missed, but what it copies it copies from a map that
 * is locked, so every pages object there is seen through its source.
 */
#include <iommufd/uapi/iommufd.h>

#include "base/alloc.h"
#include "core/ucmd.h"
#include "ioas/area.h"
#include "ioas/ioas.h"

struct ioas_set {
	struct iommufd_ioas **ioas; /* each kept by its wait_cnt: DESTROY waits for us */
	u32 n;
};

static u32 count_ioas(struct iommufd_ctx *ctx)
{
	void *obj;
	u32 n = 0;

	for (u32 id = 0; idtable_next(&ctx->objects, &id, &obj); id++)
		n += ((struct iommufd_object *)obj)->type == IOMMUFD_OBJ_IOAS;
	return n;
}

static void set_release(struct iommufd_ctx *ctx, struct ioas_set *set) __no_lock_analysis
{
	while (set->n--) {
		write_unlock(&set->ioas[set->n]->iopt.iova_rwsem);
		object_peek_end(ctx, &set->ioas[set->n]->obj);
	}
	free(set->ioas);
}

/* Hold and lock every ioas.  One that a racing DESTROY has taken is left out: it is on its way. */
static int set_lock_all(struct iommufd_ctx *ctx, struct ioas_set *set) __no_lock_analysis
{
	struct iommufd_object *obj;
	u32 max;

	mutex_lock(&ctx->objects_lock);
	max = count_ioas(ctx);
	mutex_unlock(&ctx->objects_lock);
	set->n = 0;
	set->ioas = zalloc_array(max + 1, sizeof(*set->ioas));
	if (!set->ioas)
		return -ENOMEM;
	for (u32 id = 1; set->n < max && object_peek_next(ctx, &id, &obj); id++) {
		if (obj->type != IOMMUFD_OBJ_IOAS) {
			object_peek_end(ctx, obj);
			continue;
		}
		set->ioas[set->n] = container_of(obj, struct iommufd_ioas, obj);
		write_lock(&set->ioas[set->n++]->iopt.iova_rwsem);
	}
	return 0;
}

static int set_check_areas(struct ioas_set *set)
{
	struct rangemap_entry e;

	for (u32 i = 0; i < set->n; i++)
		rangemap_for_each_in(&set->ioas[i]->iopt.areas, e, 0, UINT64_MAX) {
			struct iopt_area *area = e.value;

			if (!area_usable(area))
				return -EBUSY;
			if (area->pages->origin != IOPT_ORIGIN_FILE)
				return -EINVAL;
		}
	return 0;
}

static bool pages_charge_moves(const struct iopt_pages *pages)
{
	switch (pages->account_mode) {
	case MEM_ACCOUNT_USER:
		return pages->user != task_current->user || pages->account_mm != task_current->mm;
	case MEM_ACCOUNT_MM:
		return pages->account_mm != task_current->mm;
	default:
		return false;
	}
}

/* Call @fn once for each distinct pages object, with its mutex held; stops at the first error. */
static int set_for_each_pages(struct ioas_set *set, u64 visit, int (*fn)(struct iopt_pages *pages))
{
	struct rangemap_entry e;
	int rc = 0;

	for (u32 i = 0; i < set->n; i++)
		rangemap_for_each_in(&set->ioas[i]->iopt.areas, e, 0, UINT64_MAX) {
			struct iopt_pages *pages = ((struct iopt_area *)e.value)->pages;

			if (pages->visit == visit)
				continue;
			pages->visit = visit;
			mutex_lock(&pages->mutex);
			rc = fn(pages);
			mutex_unlock(&pages->mutex);
			if (rc) {
				pages->visit = 0;
				return rc;
			}
		}
	return 0;
}

static int pages_charge_caller(struct iopt_pages *pages)
{
	if (!pages_charge_moves(pages))
		return 0;
	return mem_charge(pages->account_mode, task_current->mm, task_current->user,
			  pages->npinned);
}

static void set_uncharge_caller(struct ioas_set *set, u64 visit)
{
	struct rangemap_entry e;

	for (u32 i = 0; i < set->n; i++)
		rangemap_for_each_in(&set->ioas[i]->iopt.areas, e, 0, UINT64_MAX) {
			struct iopt_pages *pages = ((struct iopt_area *)e.value)->pages;

			if (pages->visit != visit)
				continue;
			pages->visit = 0;
			if (pages_charge_moves(pages))
				mem_uncharge(pages->account_mode, task_current->mm,
					     task_current->user, pages->npinned);
		}
}

/* The old owner is credited, and from here on the caller owns the pages. */
static int pages_move_to_caller(struct iopt_pages *pages)
{
	struct mm *account_mm = pages->account_mm;
	bool moves = pages_charge_moves(pages);

	mutex_assert_held(&pages->mutex);
	if (moves)
		mem_uncharge(pages->account_mode, account_mm, pages->user, pages->npinned);
	/*
	 * In mode NONE the pinned count stays where it was counted while anything is pinned, so
	 * that the unpin undoes it there.
	 */
	if (moves || !pages->npinned)
		account_mm = task_current->mm;
	pages_own(pages, task_current->mm, account_mm, task_current->user);
	return 0;
}

static int set_move_to_caller(struct iommufd_ctx *ctx, struct ioas_set *set)
{
	u64 visit = ctx->visits + 1;
	int rc = set_check_areas(set);

	ctx->visits += 2;

	if (!rc) {
		rc = set_for_each_pages(set, visit, pages_charge_caller);
		if (rc)
			set_uncharge_caller(set, visit);
	}
	if (!rc)
		set_for_each_pages(set, visit + 1, pages_move_to_caller);
	return rc;
}

int iommufd_ioas_change_process_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_change_process *cmd = ucmd->cmd;
	struct iommufd_ctx *ctx = ucmd->ctx;
	struct ioas_set set;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	mutex_lock(&ctx->ioas_creation_lock);
	rc = set_lock_all(ctx, &set);
	if (!rc) {
		rc = set_move_to_caller(ctx, &set);
		set_release(ctx, &set);
	}
	mutex_unlock(&ctx->ioas_creation_lock);
	return rc;
}
