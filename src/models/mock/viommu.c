/* SPDX-License-Identifier: MIT */
/*
 * The mock's vIOMMU: invalidation by the guest's device ids, a page the program
 * can map, and two hw queues that must be made in order.
 */
#include "base/alloc.h"
#include "iommu/domain.h"
#include "models/mock/mock.h"

struct mock_hw_queue {
	struct iommufd_hw_queue core;
	struct mock_hw_queue *previous; /* depended on; NULL for the first */
	u32 index;
};

static struct mock_viommu *to_mock_viommu(struct iommufd_viommu *viommu)
{
	return container_of(viommu, struct mock_viommu, core);
}

/* ---- invalidation ---- */

static int mock_invalidate_dev(struct mock_viommu *viommu,
			       const struct iommu_viommu_invalidate_selftest *inv)
{
	struct device *dev;
	int rc = -EINVAL;

	if (inv->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (inv->cache_id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	xa_lock(&viommu->core.vdevs);
	dev = iommufd_viommu_find_dev(&viommu->core, inv->vdev_id);
	if (dev) {
		for (u32 i = 0; i < MOCK_DEV_CACHE_NUM; i++)
			if ((inv->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL) || i == inv->cache_id)
				atomic_store_explicit(&to_mock_dev(dev)->cache[i], 0,
						      memory_order_relaxed);
		rc = 0;
	}
	xa_unlock(&viommu->core.vdevs);
	return rc;
}

static int mock_invalidate_all(struct mock_viommu *viommu, struct iommu_user_data_array *array,
			       u32 *ret_done)
{
	struct iommu_viommu_invalidate_selftest *invs;
	u32 i = 0;
	int rc;

	invs = zalloc_array(array->entry_num, sizeof(*invs));
	if (!invs)
		return -ENOMEM;
	rc = iommu_copy_struct_from_full_user_array(invs, sizeof(*invs), array,
						    IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST);
	while (!rc && i < array->entry_num) {
		rc = mock_invalidate_dev(viommu, &invs[i]);
		if (!rc)
			i++;
	}
	free(invs);
	*ret_done = i;
	return rc;
}

static int mock_viommu_invalidate(struct iommufd_viommu *viommu,
				  struct iommu_user_data_array *array)
{
	u32 done = 0;
	int rc = 0;

	if (array->type != IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST)
		rc = -EINVAL;
	else if (array->entry_num)
		rc = mock_invalidate_all(to_mock_viommu(viommu), array, &done);
	array->entry_num = done;
	return rc;
}

/* ---- hw queues ---- */

static size_t mock_get_hw_queue_size(struct iommufd_viommu *viommu,
				     enum iommu_hw_queue_type queue_type)
{
	if ((u32)queue_type != IOMMU_HW_QUEUE_TYPE_SELFTEST)
		return 0;
	return HW_QUEUE_STRUCT_SIZE(struct mock_hw_queue, core);
}

static void mock_hw_queue_destroy(struct iommufd_hw_queue *hw_queue)
{
	struct mock_hw_queue *queue = container_of(hw_queue, struct mock_hw_queue, core);
	struct mock_viommu *viommu = to_mock_viommu(hw_queue->viommu);

	mutex_lock(&viommu->queue_lock);
	viommu->queues[queue->index] = NULL;
	if (queue->previous)
		iommufd_hw_queue_undepend(queue, queue->previous, core);
	mutex_unlock(&viommu->queue_lock);
}

static int mock_hw_queue_place(struct mock_viommu *viommu, struct mock_hw_queue *queue, u32 index,
			       phys_addr_t base_pa) __must_hold(&viommu->queue_lock)
{
	struct mock_hw_queue *previous = index ? viommu->queues[index - 1] : NULL;

	if (viommu->queues[index])
		return -EEXIST;
	if (index && !previous)
		return -EIO;
	if (iommu_iova_to_phys(&viommu->parent->base.domain, queue->core.base_addr) != base_pa)
		return -EFAULT;
	/* One that has begun to go is as good as gone. */
	if (previous && iommufd_hw_queue_depend(queue, previous, core))
		return -EIO;
	queue->previous = previous;
	queue->index = index;
	viommu->queues[index] = queue;
	return 0;
}

static int mock_hw_queue_init_phys(struct iommufd_hw_queue *hw_queue, u32 index,
				   phys_addr_t base_addr_pa)
{
	struct mock_hw_queue *queue = container_of(hw_queue, struct mock_hw_queue, core);
	struct mock_viommu *viommu = to_mock_viommu(hw_queue->viommu);
	int rc;

	if (index >= IOMMU_TEST_HW_QUEUE_MAX)
		return -EINVAL;
	mutex_lock(&viommu->queue_lock);
	rc = mock_hw_queue_place(viommu, queue, index, base_addr_pa);
	mutex_unlock(&viommu->queue_lock);
	if (!rc)
		hw_queue->destroy = mock_hw_queue_destroy;
	return rc;
}

/* ---- coming and going ---- */

static struct iommu_domain *mock_viommu_alloc_nested(struct iommufd_viommu *viommu, u32 flags,
						     const struct iommu_user_data *user_data)
{
	return mock_nested_alloc(to_mock_viommu(viommu), flags, user_data);
}

static void mock_viommu_drop_page(struct mock_viommu *viommu)
{
	if (!viommu->page)
		return;
	iommufd_viommu_destroy_mmap(&viommu->core, viommu->mmap_offset);
	iommufd_free_mmio(viommu->core.ictx, viommu->page);
}

static void mock_viommu_destroy(struct iommufd_viommu *viommu)
{
	struct mock_viommu *mock = to_mock_viommu(viommu);

	mock_viommu_drop_page(mock);
	mutex_destroy(&mock->queue_lock);
}

static const struct iommufd_viommu_ops mock_viommu_ops = {
	.destroy = mock_viommu_destroy,
	.alloc_domain_nested = mock_viommu_alloc_nested,
	.cache_invalidate = mock_viommu_invalidate,
	.get_hw_queue_size = mock_get_hw_queue_size,
	.hw_queue_init_phys = mock_hw_queue_init_phys,
};

size_t mock_get_viommu_size(struct device *dev, enum iommu_viommu_type viommu_type)
{
	if ((u32)viommu_type != IOMMU_VIOMMU_TYPE_SELFTEST)
		return 0;
	return VIOMMU_STRUCT_SIZE(struct mock_viommu, core);
}

#define MOCK_MMAP_LENGTH (2 * PAGE_SIZE)

static int mock_viommu_add_page(struct mock_viommu *viommu, u32 word)
{
	struct iommufd_ctx *ictx = viommu->core.ictx;
	phys_addr_t pa;
	void *page;
	int rc;

	page = iommufd_alloc_mmio(ictx, MOCK_MMAP_LENGTH, &pa);
	if (!page)
		return -ENOMEM;
	rc = mem_phys_write(ictx->system->mem, pa, &word, sizeof(word));
	if (!rc)
		rc = iommufd_viommu_alloc_mmap(&viommu->core, pa, MOCK_MMAP_LENGTH,
					       &viommu->mmap_offset);
	if (rc) {
		iommufd_free_mmio(ictx, page);
		return rc;
	}
	viommu->page = page;
	return 0;
}

static int mock_viommu_data(struct mock_viommu *viommu, const struct iommu_user_data *user_data)
{
	struct iommu_viommu_selftest data;
	int rc;

	rc = iommu_copy_struct_from_user(&data, user_data, IOMMU_VIOMMU_TYPE_SELFTEST, out_data);
	if (rc)
		return rc;
	rc = mock_viommu_add_page(viommu, data.in_data);
	if (rc)
		return rc;
	data.out_data = data.in_data;
	data.out_mmap_offset = viommu->mmap_offset;
	data.out_mmap_length = MOCK_MMAP_LENGTH;
	rc = iommu_copy_struct_to_user(user_data, &data, IOMMU_VIOMMU_TYPE_SELFTEST, out_data);
	if (rc)
		mock_viommu_drop_page(viommu);
	return rc;
}

int mock_viommu_init(struct iommufd_viommu *viommu, struct iommu_domain *parent_domain,
		     const struct iommu_user_data *user_data)
{
	struct mock_viommu *mock = to_mock_viommu(viommu);
	int rc;

	if (parent_domain->owner != &mock_iommu_ops)
		return -EINVAL;
	mock->parent = to_mock_domain(parent_domain);
	if (user_data) {
		rc = mock_viommu_data(mock, user_data);
		if (rc)
			return rc;
	}
	mutex_init(&mock->queue_lock);
	viommu->ops = &mock_viommu_ops;
	return 0;
}
