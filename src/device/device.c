/* SPDX-License-Identifier: MIT */
/*
 * Binding: a device becomes an object, and its whole group stops doing DMA.
 *
 * References: a bound device keeps the context open (test devices do not: they
 * are objects of it themselves, and nobody else would ever let go).  The binder
 * has one users reference on the object, so DESTROY on it is always -EBUSY.
 */
#include "device/device.h"

#include <iommufd/viommu.h>

#include "base/alloc.h"

/* ---- groups ---- */

static struct iommufd_group *group_find(struct iommufd_ctx *ctx, struct iommu_group *group)
	__must_hold(&ctx->groups_lock)
{
	struct iommufd_group *igroup;

	cds_list_for_each_entry(igroup, &ctx->groups, node)
		if (igroup->group == group)
			return igroup;
	return NULL;
}

static struct iommufd_group *group_alloc(struct iommufd_ctx *ctx, struct iommu_group *group)
{
	struct iommufd_group *igroup;

	igroup = zalloc(sizeof(*igroup));
	if (!igroup)
		return NULL;
	igroup->ctx = ctx;
	igroup->group = iommu_group_ref_get(group);
	mutex_init(&igroup->lock);
	itree_init(&igroup->attachments);
	igroup->sw_msi_start = IOMMUFD_NO_SW_MSI;
	return igroup;
}

static int group_get(struct iommufd_ctx *ctx, struct device *dev, struct iommufd_group **ret)
{
	struct iommufd_group *igroup;
	int rc = 0;

	if (!dev->iommu_group)
		return -ENODEV;
	mutex_lock(&ctx->groups_lock);
	igroup = group_find(ctx, dev->iommu_group);
	if (!igroup) {
		igroup = group_alloc(ctx, dev->iommu_group);
		if (igroup)
			cds_list_add_tail(&igroup->node, &ctx->groups);
		else
			rc = -ENOMEM;
	}
	if (!rc) {
		igroup->users++;
		*ret = igroup;
	}
	mutex_unlock(&ctx->groups_lock);
	return rc;
}

static void group_put(struct iommufd_group *igroup)
{
	struct iommufd_ctx *ctx = igroup->ctx;
	bool last;

	mutex_lock(&ctx->groups_lock);
	last = !--igroup->users;
	if (last)
		cds_list_del(&igroup->node);
	mutex_unlock(&ctx->groups_lock);
	if (!last)
		return;
	assert(itree_empty(&igroup->attachments));
	iommu_group_put(igroup->group);
	mutex_destroy(&igroup->lock);
	free(igroup);
}

bool iommufd_ctx_has_group(struct iommufd_ctx *ctx, struct iommu_group *group)
{
	bool found;

	if (!ctx || !group)
		return false;
	mutex_lock(&ctx->groups_lock);
	found = group_find(ctx, group);
	mutex_unlock(&ctx->groups_lock);
	return found;
}

/* ---- devices ---- */

int device_get(struct iommufd_ctx *ctx, u32 id, struct iommufd_device **ret_idev)
{
	struct iommufd_object *obj;
	int rc;

	rc = object_get(ctx, id, IOMMUFD_OBJ_DEVICE, &obj);
	if (!rc)
		*ret_idev = to_device(obj);
	return rc;
}

void device_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev = to_device(obj);

	device_answer_faults(idev);
	iommu_dma_unbind(idev->dev);
	iommu_device_release_dma_owner(idev->dev);
	group_put(idev->igroup);
}

/*
 * The device is being unbound and somebody still holds its wait_cnt: a command,
 * which leaves by itself, or its vdevice, which has to be ended.  A program's
 * DESTROY may be ending it already; it needs our lock for that, so if it got the
 * object first, vdev is still set and must be left to it.
 */
void device_pre_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev = to_device(obj);
	struct iommufd_vdevice *vdev;

	mutex_lock(&idev->igroup->lock);
	idev->destroying = true;
	vdev = idev->vdev;
	/* The reference keeps a DESTROY that comes later away: it is EBUSY, then ENOENT. */
	if (vdev && object_try_hold(idev->ctx, &vdev->obj))
		vdev = NULL;
	mutex_unlock(&idev->igroup->lock);
	if (vdev)
		object_tombstone_user(idev->ctx, &vdev->obj);
}

static int msi_not_isolated(struct device *dev, void *data)
{
	return dev->msi_isolated ? 0 : -EPERM;
}

static int device_build(struct iommufd_ctx *ctx, struct device *dev, struct iommufd_group *igroup,
			struct iommufd_device **ret_idev)
{
	struct iommufd_device *idev;
	int rc;

	rc = iommu_group_for_each_device(igroup->group, msi_not_isolated, NULL);
	if (rc) {
		system_log(ctx->system, IOMMUFD_LOG_WARN,
			   "%s: interrupts of its group are not isolated: not bound", dev->name);
		return rc;
	}
	rc = iommu_device_claim_dma_owner(dev, ctx);
	if (rc)
		return rc;
	rc = object_alloc_typed(ctx, idev, IOMMUFD_OBJ_DEVICE);
	if (rc) {
		iommu_device_release_dma_owner(dev);
		return rc;
	}
	idev->ctx = ctx;
	idev->dev = dev;
	idev->igroup = igroup;
	iommu_dma_bind(dev, &ctx->system->dma);
	idev->enforce_cache_coherency =
		device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	*ret_idev = idev;
	return 0;
}

struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ctx, struct device *dev, u32 *id)
{
	struct iommufd_device *idev;
	struct iommufd_group *igroup;
	int rc;

	/* Mappings are made with IOMMU_CACHE and nobody flushes CPU caches afterwards. */
	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return ERR_PTR(-EINVAL);
	rc = group_get(ctx, dev, &igroup);
	if (rc)
		return ERR_PTR(rc);
	rc = device_build(ctx, dev, igroup, &idev);
	if (rc) {
		group_put(igroup);
		return ERR_PTR(rc);
	}
	if (!dev->selftest)
		ctx_get(ctx); /* pairs with unbind */
	object_hold(&idev->obj); /* the binder's; pairs with object_destroy_user() in unbind */
	*id = idev->obj.id;
	object_finalize(ctx, &idev->obj);
	return idev;
}

void iommufd_device_unbind(struct iommufd_device *idev)
{
	struct iommufd_ctx *ctx = idev->ctx;
	bool counted = !idev->dev->selftest;

	object_destroy_user(ctx, &idev->obj);
	if (counted)
		ctx_put(ctx);
}

struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev)
{
	return idev->ctx;
}

u32 iommufd_device_to_id(struct iommufd_device *idev)
{
	return idev->obj.id;
}
