/* SPDX-License-Identifier: MIT */
/*
 * Accesses: creating them, and which ioas they use.
 *
 * While an access moves from one ioas to another, pin and rw are refused
 * (access->ioas is NULL) but unpin goes on working on the old one
 * (ioas_unpin), since the driver drops its pins in the unmap callback that
 * runs in between, with no lock held.
 */
#include "ioas/access.h"

#include "base/alloc.h"
#include "ioas/area.h"

static int access_alloc(struct iommufd_ctx *ctx, struct iommufd_access **ret_access)
{
	struct iommufd_access *access;
	int rc = object_alloc_typed(ctx, access, IOMMUFD_OBJ_ACCESS);

	if (rc)
		return rc;
	access->ctx = ctx;
	mutex_init(&access->ioas_lock);
	*ret_access = access;
	return 0;
}

int iommufd_access_create(struct iommufd_ctx *ctx, const struct iommufd_access_ops *ops, void *data,
			  u32 *ret_id, struct iommufd_access **ret_access)
{
	struct iommufd_access *access;
	int rc = access_alloc(ctx, &access);

	if (rc)
		return rc;
	access->ops = ops;
	access->data = data;
	access->iova_alignment = ops->needs_pin_pages ? PAGE_SIZE : 1;
	/* The creator's reference: only iommufd_access_destroy() ends an access. */
	object_hold(&access->obj);
	ctx_get(ctx);
	object_finalize(ctx, &access->obj);
	*ret_id = access->obj.id;
	*ret_access = access;
	return 0;
}

int access_create_internal(struct iommufd_ctx *ctx, struct iommufd_access **ret_access)
{
	struct iommufd_access *access;
	int rc = access_alloc(ctx, &access);

	if (rc)
		return rc;
	access->internal = true;
	access->iova_alignment = PAGE_SIZE;
	object_hold(&access->obj);
	object_finalize(ctx, &access->obj);
	*ret_access = access;
	return 0;
}

void iommufd_access_destroy(struct iommufd_access *access)
{
	object_destroy_user(access->ctx, &access->obj);
}

void access_destroy_internal(struct iommufd_ctx *ctx, struct iommufd_access *access)
{
	object_destroy_user(ctx, &access->obj);
}

/* ---- membership in a map ---- */

static int iopt_add_access(struct io_pagetable *iopt, struct iommufd_access *access)
{
	u32 id;
	int rc;

	write_lock(&iopt->domains_rwsem);
	write_lock(&iopt->iova_rwsem);
	rc = idtable_reserve(&iopt->access_list, &id);
	if (rc)
		goto out;
	rc = iopt_raise_alignment(iopt, access->iova_alignment);
	if (rc) {
		idtable_release(&iopt->access_list, id);
		goto out;
	}
	idtable_store(&iopt->access_list, id, access);
	access->iopt_access_list_id = id;
out:
	write_unlock(&iopt->iova_rwsem);
	write_unlock(&iopt->domains_rwsem);
	return rc;
}

static void iopt_remove_access(struct io_pagetable *iopt, u32 list_id)
{
	write_lock(&iopt->domains_rwsem);
	write_lock(&iopt->iova_rwsem);
	idtable_release(&iopt->access_list, list_id);
	iopt_lower_alignment(iopt);
	write_unlock(&iopt->iova_rwsem);
	write_unlock(&iopt->domains_rwsem);
}

/*
 * Join @ioas (NULL: none) and leave the present one.  ioas_lock is held, and
 * dropped while the driver is told to let go of its pins.
 */
static int access_change_ioas(struct iommufd_access *access, struct iommufd_ioas *ioas)
	__must_hold(&access->ioas_lock)
{
	struct iommufd_ioas *old = access->ioas;
	u32 old_list_id = access->iopt_access_list_id;
	int rc;

	mutex_assert_held(&access->ioas_lock);
	if (access->ioas != access->ioas_unpin)
		return -EBUSY;
	if (old == ioas)
		return 0;
	if (ioas) {
		rc = iopt_add_access(&ioas->iopt, access);
		if (rc)
			return rc;
		object_hold(&ioas->obj);
	}
	access->ioas = NULL;
	if (old) {
		if (access->ops && access->ops->unmap) {
			mutex_unlock(&access->ioas_lock);
			access->ops->unmap(access->data, 0, UINT64_MAX);
			mutex_lock(&access->ioas_lock);
		}
		iopt_remove_access(&old->iopt, old_list_id);
		object_release(&old->obj);
	}
	access->ioas = ioas;
	access->ioas_unpin = ioas;
	return 0;
}

int access_attach_internal(struct iommufd_access *access, struct iommufd_ioas *ioas)
{
	int rc = -EINVAL;

	mutex_lock(&access->ioas_lock);
	if (!access->ioas)
		rc = access_change_ioas(access, ioas);
	mutex_unlock(&access->ioas_lock);
	return rc;
}

static int access_move_to(struct iommufd_access *access, u32 ioas_id)
	__must_hold(&access->ioas_lock)
{
	struct iommufd_ioas *ioas;
	int rc = ioas_get(access->ctx, ioas_id, &ioas);

	if (rc)
		return rc;
	rc = access_change_ioas(access, ioas);
	ioas_put(access->ctx, ioas);
	return rc;
}

int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id)
{
	int rc;

	mutex_lock(&access->ioas_lock);
	rc = access->ioas ? -EINVAL : access_move_to(access, ioas_id);
	mutex_unlock(&access->ioas_lock);
	return rc;
}

int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id)
{
	int rc;

	mutex_lock(&access->ioas_lock);
	rc = access->ioas ? access_move_to(access, ioas_id) : -ENOENT;
	mutex_unlock(&access->ioas_lock);
	return rc;
}

void iommufd_access_detach(struct iommufd_access *access)
{
	mutex_lock(&access->ioas_lock);
	if (access->ioas)
		access_change_ioas(access, NULL);
	mutex_unlock(&access->ioas_lock);
}

void access_destroy_object(struct iommufd_object *obj)
{
	struct iommufd_access *access = container_of(obj, struct iommufd_access, obj);

	iommufd_access_detach(access);
	mutex_destroy(&access->ioas_lock);
	if (!access->internal)
		ctx_put(access->ctx);
}

/* ---- telling accesses before memory goes ---- */

/* Keep @access from its end, if that has not begun: its destroyer waits. */
static bool access_keep(struct iommufd_access *access)
{
	struct iommufd_object *obj;
	u32 id = access->obj.id;

	if (!object_peek_next(access->ctx, &id, &obj))
		return false;
	if (obj == &access->obj)
		return true;
	/* On its way out, and its id free or another's already. */
	object_peek_end(access->ctx, obj);
	return false;
}

void access_notify_unmap(struct io_pagetable *iopt, u64 iova, u64 length)
{
	void *entry;
	u32 id = 0;

	read_lock(&iopt->iova_rwsem);
	while (idtable_next(&iopt->access_list, &id, &entry)) {
		struct iommufd_access *access = entry;

		id++;
		if (access->internal || !access->ops->unmap)
			continue;
		/* An access on its way out tells the driver by its own detach. */
		if (!access_keep(access))
			continue;
		read_unlock(&iopt->iova_rwsem);
		access->ops->unmap(access->data, iova, length);
		object_peek_end(access->ctx, &access->obj);
		read_lock(&iopt->iova_rwsem);
	}
	read_unlock(&iopt->iova_rwsem);
}
