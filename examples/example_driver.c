/* SPDX-License-Identifier: MIT */
/*
 * A driver of an IOMMU with vIOMMUs, with nothing but public headers: nested
 * domains, invalidation by command, vdevices with a struct of the driver's own,
 * events, hw queues that are made in order, doorbells that the program maps.  It
 * shows who calls what, and which lock is whose.
 */
#include "example_iommu.h"

/* ---- attach ---- */

/* A device uses a guest's tables only once the guest has a name for it. */
int example_attach(struct iommu_domain *domain, struct device *device, struct iommu_domain *old)
{
	struct example_dev *dev = to_dev(device);
	unsigned long virt_id;
	int rc;

	if (domain->type == IOMMU_DOMAIN_NESTED) {
		struct example_nested *n = container_of(domain, struct example_nested, domain);

		rc = iommufd_viommu_get_vdev_id(&n->viommu->core, device, &virt_id);
		if (rc)
			return rc;
	}
	pthread_mutex_lock(&dev->lock);
	dev->domain = domain->type == IOMMU_DOMAIN_BLOCKED ? NULL : domain;
	if (dev->vdev)
		dev->vdev->cached_page = 0;
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

/* ---- nested domains and invalidation ---- */

static void nested_free(struct iommu_domain *domain)
{
	free(container_of(domain, struct example_nested, domain));
}

static const struct iommu_domain_ops nested_ops = {
	.attach_dev = example_attach,
	.free = nested_free,
};

static struct iommu_domain *example_alloc_nested(struct iommufd_viommu *viommu, u32 flags,
						 const struct iommu_user_data *user_data)
{
	struct example_table_data data;
	struct example_nested *n;
	int rc;

	if (flags)
		return ERR_PTR(-EOPNOTSUPP);
	rc = iommu_copy_struct_from_user(&data, user_data, EXAMPLE_TYPE, table);
	if (rc)
		return ERR_PTR(rc);
	n = calloc(1, sizeof(*n));
	if (!n)
		return ERR_PTR(-ENOMEM);
	n->domain.type = IOMMU_DOMAIN_NESTED;
	n->domain.ops = &nested_ops;
	n->viommu = container_of(viommu, struct example_viommu, core);
	n->table = data.table;
	return &n->domain;
}

static int example_invalidate(struct iommufd_viommu *viommu, struct iommu_user_data_array *array)
{
	struct example_command command;
	int rc = array->type == EXAMPLE_TYPE ? 0 : -EINVAL;
	u32 done = 0;

	while (!rc && done < array->entry_num) {
		rc = iommu_copy_struct_from_user_array(&command, array, EXAMPLE_TYPE, done,
						       virt_id);
		rc = rc ? rc : example_forget(viommu, command.virt_id);
		done += !rc;
	}
	array->entry_num = done;
	return rc;
}

/* ---- vdevices; both under the group's lock, so no attach runs ---- */

static void vdevice_destroy(struct iommufd_vdevice *vdev)
{
	struct example_dev *dev = to_dev(iommufd_vdevice_to_device(vdev));

	pthread_mutex_lock(&dev->lock);
	dev->vdev = NULL;
	pthread_mutex_unlock(&dev->lock);
}

static int vdevice_init(struct iommufd_vdevice *vdev)
{
	struct example_dev *dev = to_dev(iommufd_vdevice_to_device(vdev));

	pthread_mutex_lock(&dev->lock);
	dev->vdev = container_of(vdev, struct example_vdevice, core);
	pthread_mutex_unlock(&dev->lock);
	vdev->destroy = vdevice_destroy;
	return 0;
}

/* ---- hw queues: made in order, each depending on the one before ---- */

static size_t queue_size(struct iommufd_viommu *viommu, enum iommu_hw_queue_type type)
{
	return type == EXAMPLE_TYPE ? HW_QUEUE_STRUCT_SIZE(struct example_queue, core) : 0;
}

static void queue_destroy(struct iommufd_hw_queue *hw_queue)
{
	struct example_queue *q = container_of(hw_queue, struct example_queue, core);
	struct example_viommu *v = container_of(hw_queue->viommu, struct example_viommu, core);

	pthread_mutex_lock(&v->lock);
	v->queues[q->index] = NULL;
	if (q->previous)
		iommufd_hw_queue_undepend(q, q->previous, core);
	pthread_mutex_unlock(&v->lock);
}

static int queue_init(struct iommufd_hw_queue *hw_queue, u32 index, phys_addr_t base_addr_pa)
{
	struct example_queue *q = container_of(hw_queue, struct example_queue, core);
	struct example_viommu *v = container_of(hw_queue->viommu, struct example_viommu, core);
	int rc = 0;

	if (index >= QUEUES || hw_queue->length % sizeof(struct example_command))
		return -EINVAL;
	pthread_mutex_lock(&v->lock);
	q->index = index;
	q->pa = base_addr_pa;
	q->previous = index ? v->queues[index - 1] : NULL;
	if (v->queues[index])
		rc = -EEXIST;
	else if (index && (!q->previous || iommufd_hw_queue_depend(q, q->previous, core)))
		rc = -EIO;
	else
		v->queues[index] = q;
	pthread_mutex_unlock(&v->lock);
	if (!rc)
		hw_queue->destroy = queue_destroy;
	return rc;
}

/* ---- vIOMMUs ---- */

static void viommu_drop_doorbells(struct example_viommu *v)
{
	iommufd_viommu_destroy_mmap(&v->core, v->mmap_offset);
	iommufd_free_mmio(v->core.ictx, v->doorbells);
}

static void viommu_destroy(struct iommufd_viommu *viommu)
{
	struct example_viommu *v = container_of(viommu, struct example_viommu, core);
	struct example_viommu **at;

	pthread_mutex_lock(&v->iommu->lock);
	for (at = &v->iommu->viommus; *at != v; at = &(*at)->next)
		;
	*at = v->next;
	pthread_mutex_unlock(&v->iommu->lock);
	viommu_drop_doorbells(v);
	pthread_mutex_destroy(&v->lock);
}

static const struct iommufd_viommu_ops viommu_ops = {
	.destroy = viommu_destroy,
	.alloc_domain_nested = example_alloc_nested,
	.cache_invalidate = example_invalidate,
	.vdevice_size = VDEVICE_STRUCT_SIZE(struct example_vdevice, core),
	.vdevice_init = vdevice_init,
	.get_hw_queue_size = queue_size,
	.hw_queue_init_phys = queue_init,
};

static size_t viommu_size(struct device *dev, enum iommu_viommu_type type)
{
	return type == EXAMPLE_TYPE ? VIOMMU_STRUCT_SIZE(struct example_viommu, core) : 0;
}

static int viommu_init(struct iommufd_viommu *viommu, struct iommu_domain *parent,
		       const struct iommu_user_data *user_data)
{
	struct example_viommu *v = container_of(viommu, struct example_viommu, core);
	struct example_viommu_data data = { .out_mmap_length = PAGE };
	int rc;

	if (parent->ops != &example_paging_ops)
		return -EINVAL;
	v->doorbells = iommufd_alloc_mmio(viommu->ictx, PAGE, &v->doorbells_pa);
	if (!v->doorbells)
		return -ENOMEM;
	rc = iommufd_viommu_alloc_mmap(viommu, v->doorbells_pa, PAGE, &v->mmap_offset);
	if (rc) {
		iommufd_free_mmio(viommu->ictx, v->doorbells);
		return rc;
	}
	data.out_mmap_offset = v->mmap_offset;
	rc = iommu_copy_struct_to_user(user_data, &data, EXAMPLE_TYPE, out_mmap_length);
	if (rc) {
		viommu_drop_doorbells(v);
		return rc;
	}
	v->parent = container_of(parent, struct example_domain, domain);
	v->iommu = container_of(viommu->iommu_dev, struct example_iommu, iommu_dev);
	pthread_mutex_init(&v->lock, NULL);
	pthread_mutex_lock(&v->iommu->lock);
	v->next = v->iommu->viommus;
	v->iommu->viommus = v;
	pthread_mutex_unlock(&v->iommu->lock);
	viommu->ops = &viommu_ops;
	return 0;
}

/* ---- the IOMMU and its devices ---- */

static const struct iommu_domain_ops blocked_ops = { .attach_dev = example_attach };
static struct iommu_domain blocked = { .type = IOMMU_DOMAIN_BLOCKED, .ops = &blocked_ops };

static bool example_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY;
}

static struct iommu_device *example_probe(struct device *dev)
{
	return &to_dev(dev)->iommu->iommu_dev;
}

const struct iommu_ops example_ops = {
	.capable = example_capable,
	.domain_alloc_paging_flags = example_alloc_paging,
	.get_viommu_size = viommu_size,
	.viommu_init = viommu_init,
	.probe_device = example_probe,
	.device_group = generic_device_group,
	.blocked_domain = &blocked,
};
