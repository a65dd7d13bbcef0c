/* SPDX-License-Identifier: MIT */
#include "toy.h"

struct toy toy;
struct toy_rig toys;
struct iommu_ops toy_ops;

/* ---- nested domains ---- */

static int nested_attach(struct iommu_domain *domain, struct device *dev, struct iommu_domain *old)
{
	to_fake_dev(dev)->in = domain;
	return 0;
}

static void nested_free(struct iommu_domain *domain)
{
	toy.domains--;
	free(domain);
}

static const struct iommu_domain_ops nested_ops = {
	.attach_dev = nested_attach,
	.free = nested_free,
};

static struct iommu_domain *toy_alloc_nested(struct iommufd_viommu *viommu, u32 flags,
					     const struct iommu_user_data *user_data)
{
	struct iommu_domain *domain;

	if (toy.nested)
		return IS_ERR(toy.nested) ? toy.nested : NULL;
	domain = calloc(1, sizeof(*domain));
	domain->type = IOMMU_DOMAIN_NESTED;
	domain->ops = &nested_ops;
	toy.domains++;
	return domain;
}

/* ---- vdevices and queues ---- */

static void toy_vdevice_destroy(struct iommufd_vdevice *vdev)
{
	toy.vdevices--;
}

static int toy_vdevice_init(struct iommufd_vdevice *vdev)
{
	unsigned long id;

	toy.vdevice = container_of(vdev, struct toy_vdevice, core);
	toy.seen_in_init = iommufd_viommu_get_vdev_id(vdev->viommu,
						      iommufd_vdevice_to_device(vdev), &id);
	/* set too early: the core must not believe it where the init fails */
	vdev->destroy = toy_vdevice_destroy;
	if (toy.vdevice_rc)
		return toy.vdevice_rc;
	toy.vdevices++;
	return 0;
}

static size_t toy_queue_size(struct iommufd_viommu *viommu, enum iommu_hw_queue_type type)
{
	if ((u32)type == 0xdead)
		return 0;
	return toy.queue_size ? toy.queue_size : HW_QUEUE_STRUCT_SIZE(struct toy_queue, core);
}

static void toy_queue_destroy(struct iommufd_hw_queue *queue)
{
	toy.queues--;
}

static int toy_queue_init(struct iommufd_hw_queue *queue, u32 index)
{
	toy.queue = container_of(queue, struct toy_queue, core);
	queue->destroy = toy_queue_destroy;
	if (toy.queue_rc)
		return toy.queue_rc;
	toy.queue->index = index;
	toy.queues++;
	return 0;
}

int toy_queue_init_phys(struct iommufd_hw_queue *queue, u32 index, phys_addr_t base_addr_pa)
{
	int rc = toy_queue_init(queue, index);

	if (!rc)
		toy.queue->pa = base_addr_pa;
	return rc;
}

/* ---- vIOMMUs ---- */

static void toy_destroy(struct iommufd_viommu *viommu)
{
	toy.viommus--;
}

static size_t toy_viommu_size(struct device *dev, enum iommu_viommu_type type)
{
	return toy.viommu_size ? toy.viommu_size : VIOMMU_STRUCT_SIZE(struct toy_viommu, core);
}

static int toy_viommu_init(struct iommufd_viommu *viommu, struct iommu_domain *parent,
			   const struct iommu_user_data *user_data)
{
	toy.viommu = container_of(viommu, struct toy_viommu, core);
	viommu->ops = toy.no_ops ? NULL : &toy.ops;
	if (!toy.init_rc && !toy.no_ops)
		toy.viommus++;
	return toy.init_rc;
}

int toy_viommu_alloc(u32 *ret_viommu)
{
	struct iommu_viommu_alloc cmd = { .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
					  .dev_id = toys.a_id, .hwpt_id = toys.parent };
	int rc = viommu_alloc(&cmd);

	if (!rc)
		*ret_viommu = cmd.out_viommu_id;
	return rc;
}

u32 must_toy(void)
{
	u32 viommu = 0;

	assert_int_equal(toy_viommu_alloc(&viommu), 0);
	return viommu;
}

/* ---- the rig ---- */

int toy_begin(void **state)
{
	if (rig_begin(state) || iommufd_ctx_from_fd(rig.proc, rig.fd, &toys.ctx))
		return -1;
	toy_ops = fake_ops;
	toy_ops.get_viommu_size = toy_viommu_size;
	toy_ops.viommu_init = toy_viommu_init;
	toy = (struct toy){ .ops = {
		.destroy = toy_destroy,
		.alloc_domain_nested = toy_alloc_nested,
		.vdevice_size = VDEVICE_STRUCT_SIZE(struct toy_vdevice, core),
		.vdevice_init = toy_vdevice_init,
		.get_hw_queue_size = toy_queue_size,
		.hw_queue_init = toy_queue_init,
	} };
	toys.iommu = toys.other_iommu = (struct fake_iommu){ 0 };
	toys.a = fake_dev_init(&toys.iommu, &toy_ops);
	toys.b = fake_dev_init(&toys.other_iommu, &toy_ops);
	if (fake_dev_add(&toys.a) || fake_dev_add(&toys.b))
		return -1;
	toys.ioas = rig_ioas();
	toys.idev_a = iommufd_device_bind(toys.ctx, &toys.a.dev, &toys.a_id);
	toys.idev_b = iommufd_device_bind(toys.ctx, &toys.b.dev, &toys.b_id);
	if (IS_ERR(toys.idev_a) || IS_ERR(toys.idev_b))
		return -1;
	return rig_hwpt(toys.a_id, toys.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &toys.parent);
}

void toy_unbind_a(void)
{
	iommufd_device_unbind(toys.idev_a);
	toys.idev_a = NULL;
}

int toy_end(void **state)
{
	int rc;

	if (toys.idev_a)
		iommufd_device_unbind(toys.idev_a);
	iommufd_device_unbind(toys.idev_b);
	iommufd_ctx_put(toys.ctx);
	rc = rig_end(state);
	fake_dev_remove(&toys.a);
	fake_dev_remove(&toys.b);
	if (toy.viommus || toy.vdevices || toy.queues || toy.domains)
		return -1;
	return rc || toys.iommu.domains;
}
