/* SPDX-License-Identifier: MIT */
/*
 * The hardware of the example IOMMU: one-level tables, one-level guest tables in
 * front of them, one cached translation for each device, rings of commands with
 * doorbells.  Everything in the program's memory is reached by physical address.
 */
#include "example_iommu.h"

/* ---- tables ---- */

static int example_map(struct iommu_domain *domain, u64 iova, phys_addr_t pa, size_t len, int prot,
		       size_t *mapped)
{
	struct example_domain *d = container_of(domain, struct example_domain, domain);

	for (*mapped = 0; *mapped < len; *mapped += PAGE)
		d->pages[(iova + *mapped) / PAGE] = pa + *mapped;
	return 0;
}

static size_t example_unmap(struct iommu_domain *domain, u64 iova, size_t len,
			    struct iommu_iotlb_gather *gather)
{
	struct example_domain *d = container_of(domain, struct example_domain, domain);

	for (size_t done = 0; done < len; done += PAGE)
		d->pages[(iova + done) / PAGE] = 0;
	return len;
}

static phys_addr_t example_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	struct example_domain *d = container_of(domain, struct example_domain, domain);
	phys_addr_t page = iova / PAGE < EXAMPLE_PAGES ? d->pages[iova / PAGE] : 0;

	return page ? page + iova % PAGE : 0;
}

static void example_domain_free(struct iommu_domain *domain)
{
	free(container_of(domain, struct example_domain, domain));
}

const struct iommu_domain_ops example_paging_ops = {
	.attach_dev = example_attach,
	.map_range = example_map,
	.unmap_range = example_unmap,
	.iova_to_phys = example_iova_to_phys,
	.free = example_domain_free,
};

struct iommu_domain *example_alloc_paging(struct device *dev, u32 flags,
						 const struct iommu_user_data *user_data)
{
	struct example_domain *d;

	if ((flags & ~IOMMU_HWPT_ALLOC_NEST_PARENT) || user_data)
		return ERR_PTR(-EOPNOTSUPP);
	d = calloc(1, sizeof(*d));
	if (!d)
		return ERR_PTR(-ENOMEM);
	d->domain.ops = &example_paging_ops;
	d->domain.pgsize_bitmap = PAGE;
	d->domain.geometry.aperture_end = EXAMPLE_PAGES * PAGE - 1;
	return &d->domain;
}

/* ---- rings ---- */

/* The lock keeps the device from leaving the guest while we look at it. */
int example_forget(struct iommufd_viommu *viommu, u64 virt_id)
{
	struct device *device;

	xa_lock(&viommu->vdevs);
	device = iommufd_viommu_find_dev(viommu, virt_id);
	if (device) {
		struct example_dev *dev = to_dev(device);

		pthread_mutex_lock(&dev->lock);
		if (dev->vdev)
			dev->vdev->cached_page = 0;
		pthread_mutex_unlock(&dev->lock);
	}
	xa_unlock(&viommu->vdevs);
	return device ? 0 : -EIO;
}

static void queue_run(struct example_viommu *v, struct example_queue *q)
{
	u32 entries = q->core.length / sizeof(struct example_command), producer;
	struct example_command command;

	if (iommufd_phys_read(v->iommu->system, v->doorbells_pa + 4 * q->index, &producer, 4) ||
	    producer >= entries)
		return;
	for (; q->consumer != producer; q->consumer = (q->consumer + 1) % entries)
		if (!iommufd_phys_read(v->iommu->system, q->pa + q->consumer * sizeof(command),
				       &command, sizeof(command)))
			example_forget(&v->core, command.virt_id);
}

void example_iommu_poll(struct example_iommu *iommu)
{
	pthread_mutex_lock(&iommu->lock);
	for (struct example_viommu *v = iommu->viommus; v; v = v->next) {
		pthread_mutex_lock(&v->lock);
		for (u32 i = 0; i < QUEUES; i++)
			if (v->queues[i])
				queue_run(v, v->queues[i]);
		pthread_mutex_unlock(&v->lock);
	}
	pthread_mutex_unlock(&iommu->lock);
}

/* ---- DMA ---- */

/* The guest's table is in the guest's memory: each look at it is translated, too. */
static phys_addr_t nested_walk(struct example_dev *dev, struct example_nested *n, u64 iova)
{
	struct iommu_domain *parent = &n->viommu->parent->domain;
	struct example_vdevice *vdev = dev->vdev;
	u64 page = iova / PAGE, entry = 0;
	phys_addr_t pa;

	if (vdev && vdev->cached_page == page + 1)
		return vdev->cached_pa + iova % PAGE;
	pa = page < EXAMPLE_PAGES ? example_iova_to_phys(parent, n->table + page * 8) : 0;
	if (!pa || iommufd_phys_read(dev->iommu->system, pa, &entry, 8) ||
	    !(entry & EXAMPLE_VALID))
		return 0;
	pa = example_iova_to_phys(parent, entry & ~(PAGE - 1));
	if (pa && vdev) {
		vdev->cached_page = page + 1;
		vdev->cached_pa = pa;
	}
	return pa ? pa + iova % PAGE : 0;
}

static phys_addr_t translate(struct example_dev *dev, u64 iova)
{
	struct example_event event = { .iova = iova };
	struct example_nested *n;
	phys_addr_t pa;

	if (!dev->domain)
		return 0;
	if (dev->domain->type != IOMMU_DOMAIN_NESTED)
		return example_iova_to_phys(dev->domain, iova);
	n = container_of(dev->domain, struct example_nested, domain);
	pa = nested_walk(dev, n, iova);
	if (!pa && dev->vdev) {
		event.virt_id = dev->vdev->core.virt_id;
		iommufd_viommu_report_event(&n->viommu->core, EXAMPLE_TYPE, &event, sizeof(event));
	}
	return pa;
}

int example_dma_read(struct example_dev *dev, u64 iova, void *buf, size_t len)
{
	int rc = 0;

	pthread_mutex_lock(&dev->lock);
	for (size_t done = 0, part; !rc && done < len; done += part) {
		phys_addr_t pa = translate(dev, iova + done);

		part = PAGE - (iova + done) % PAGE;
		part = part < len - done ? part : len - done;
		rc = pa ? iommufd_phys_read(dev->iommu->system, pa, (char *)buf + done, part) :
			  -EFAULT;
	}
	pthread_mutex_unlock(&dev->lock);
	return rc;
}

/* ---- the machine ---- */

struct example_iommu *example_iommu_create(struct iommufd_system *system)
{
	struct example_iommu *iommu = calloc(1, sizeof(*iommu));

	if (!iommu)
		return NULL;
	iommu->iommu_dev = (struct iommu_device){ .name = "example", .ops = &example_ops };
	iommu->system = system;
	pthread_mutex_init(&iommu->lock, NULL);
	return iommu;
}

void example_iommu_destroy(struct example_iommu *iommu)
{
	pthread_mutex_destroy(&iommu->lock);
	free(iommu);
}

struct example_dev *example_dev_create(struct example_iommu *iommu)
{
	struct example_dev *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	dev->iommu = iommu;
	pthread_mutex_init(&dev->lock, NULL);
	dev->dev = (struct device){ .name = "example0", .ops = &example_ops, .msi_isolated = true };
	if (iommu_probe_device(&dev->dev)) {
		free(dev);
		return NULL;
	}
	return dev;
}

void example_dev_destroy(struct example_dev *dev)
{
	iommu_release_device(&dev->dev);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

struct device *example_to_device(struct example_dev *dev)
{
	return &dev->dev;
}
