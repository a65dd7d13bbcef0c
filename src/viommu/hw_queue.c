/* SPDX-License-Identifier: MIT */
/*
 * Hw queues: rings in guest memory that an IOMMU reads by itself.
 *
 * Hardware that follows physical addresses would not notice an unmap, so such
 * a queue keeps an access of its own on the ring: while the queue exists,
 * unmapping it is refused.  Hardware that reads through the nesting parent needs
 * nothing of the kind: it faults.
 */
#include "viommu/viommu.h"

#include "base/alloc.h"
#include "core/ucmd.h"
#include "hwpt/hwpt.h"
#include "ioas/access.h"

static struct iommufd_hw_queue *to_hw_queue(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_hw_queue, obj);
}

/* ---- the ring ---- */

/* Whole pages around the ring; -ERANGE if they do not fit in a size_t. */
static int ring_cover(u64 base, u64 length, u64 *ret_first, u64 *ret_length)
{
	u64 bytes;

	if (__builtin_add_overflow((base & ~PAGE_MASK) + PAGE_SIZE - 1, length, &bytes))
		return -ERANGE;
	*ret_first = ALIGN_DOWN(base, PAGE_SIZE);
	*ret_length = ALIGN_DOWN(bytes, PAGE_SIZE);
	return 0;
}

static bool pages_are_consecutive(const phys_addr_t *pages, u64 npages)
{
	for (u64 i = 1; i < npages; i++)
		if (pages[i] != pages[0] + i * PAGE_SIZE)
			return false;
	return true;
}

/* Pin, and learn where the first byte is. */
static int ring_pin(struct iommufd_access *access, u64 base, u64 length, phys_addr_t *ret_pa)
{
	phys_addr_t *pages;
	u64 first, bytes;
	int rc;

	rc = ring_cover(base, length, &first, &bytes);
	if (rc)
		return rc;
	pages = alloc_uninit(bytes / PAGE_SIZE * sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	rc = iommufd_access_pin_pages(access, first, bytes, pages, IOMMUFD_ACCESS_RW_READ);
	if (rc)
		goto out_free;
	if (pages_are_consecutive(pages, bytes / PAGE_SIZE)) {
		*ret_pa = pages[0] + (base & ~PAGE_MASK);
	} else {
		iommufd_access_unpin_pages(access, first, bytes);
		rc = -EFAULT;
	}
out_free:
	free(pages);
	return rc;
}

static void ring_unpin(struct iommufd_access *access, u64 base, u64 length)
{
	u64 first, bytes;

	if (!ring_cover(base, length, &first, &bytes))
		iommufd_access_unpin_pages(access, first, bytes);
}

/* ---- coming and going ---- */

void hw_queue_destroy(struct iommufd_object *obj)
{
	struct iommufd_hw_queue *queue = to_hw_queue(obj);
	struct iommufd_viommu *viommu = queue->viommu;

	if (queue->destroy)
		queue->destroy(queue);
	if (queue->access) {
		ring_unpin(queue->access, queue->base_addr, queue->length);
		access_destroy_internal(viommu->ictx, queue->access);
	}
	object_release(&viommu->obj);
}

static int hw_queue_driver_size(struct iommufd_viommu *viommu, u32 type, size_t *ret_size)
{
	const struct iommufd_viommu_ops *ops = viommu->ops;
	size_t size;

	if (!ops->get_hw_queue_size || (!ops->hw_queue_init_phys && !ops->hw_queue_init))
		return -EOPNOTSUPP;
	size = ops->get_hw_queue_size(viommu, (enum iommu_hw_queue_type)type);
	if (!size)
		return -EOPNOTSUPP;
	if (size < sizeof(struct iommufd_hw_queue) ||
	    (ops->hw_queue_init_phys && ops->hw_queue_init)) {
		system_log(viommu->ictx->system, IOMMUFD_LOG_ERROR,
			   "vIOMMU %u: its driver's hw queue is too small or has two inits",
			   viommu->obj.id);
		return -EOPNOTSUPP;
	}
	*ret_size = size;
	return 0;
}

/* A queue by physical address.  What is done here before an error is left to hw_queue_destroy(). */
static int hw_queue_init_phys(struct iommufd_hw_queue *queue, u32 index)
{
	struct iommufd_viommu *viommu = queue->viommu;
	struct iommufd_access *access;
	phys_addr_t base_pa = 0;
	int rc;

	rc = access_create_internal(viommu->ictx, &access);
	if (rc)
		return rc;
	rc = access_attach_internal(access, viommu->hwpt->ioas);
	if (!rc)
		rc = ring_pin(access, queue->base_addr, queue->length, &base_pa);
	if (rc) {
		access_destroy_internal(viommu->ictx, access);
		return rc;
	}
	queue->access = access;
	return viommu->ops->hw_queue_init_phys(queue, index, base_pa);
}

static int hw_queue_init(struct iommufd_hw_queue *queue, u32 index)
{
	int rc;

	if (queue->viommu->ops->hw_queue_init_phys)
		rc = hw_queue_init_phys(queue, index);
	else
		rc = queue->viommu->ops->hw_queue_init(queue, index);
	if (rc)
		queue->destroy = NULL; /* the driver has undone everything */
	return rc;
}

static int hw_queue_alloc(struct iommufd_ucmd *ucmd, struct iommufd_viommu *viommu)
{
	struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	struct iommufd_hw_queue *queue;
	struct iommufd_object *obj;
	size_t size;
	int rc;

	rc = hw_queue_driver_size(viommu, cmd->type, &size);
	if (rc)
		return rc;
	rc = object_alloc(ucmd->ctx, size, IOMMUFD_OBJ_HW_QUEUE, &obj);
	if (rc)
		return rc;
	queue = to_hw_queue(obj);
	object_hold(&viommu->obj); /* pairs with hw_queue_destroy() */
	queue->viommu = viommu;
	queue->type = (enum iommu_hw_queue_type)cmd->type;
	queue->base_addr = cmd->nesting_parent_iova;
	queue->length = cmd->length;
	ucmd->new_obj = obj;
	rc = hw_queue_init(queue, cmd->index);
	if (rc)
		return rc;
	cmd->out_hw_queue_id = obj->id;
	return ucmd_respond(ucmd, sizeof(*cmd));
}

int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	const struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	u64 last;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	rc = range_last(cmd->nesting_parent_iova, cmd->length, &last);
	if (rc)
		return rc;
	rc = viommu_get(ucmd->ctx, cmd->viommu_id, &viommu);
	if (rc)
		return rc;
	rc = hw_queue_alloc(ucmd, viommu);
	object_put(ucmd->ctx, &viommu->obj);
	return rc;
}

/* ---- order ---- */

/*
 * Only a published queue can be waited for: one still being made may be undone,
 * whoever depends on it, and one being destroyed is past waiting.
 */
int iommufd_object_depend(struct iommufd_object *dependent, struct iommufd_object *depended)
{
	if (dependent == depended || dependent->type != depended->type ||
	    depended->type != IOMMUFD_OBJ_HW_QUEUE)
		return -EINVAL;
	return object_try_hold(to_hw_queue(depended)->viommu->ictx, depended) ? -ENOENT : 0;
}

void iommufd_object_undepend(struct iommufd_object *dependent, struct iommufd_object *depended)
{
	assert(dependent != depended && dependent->type == depended->type);
	object_release(depended);
}
