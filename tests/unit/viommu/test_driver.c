/* SPDX-License-Identifier: MIT */
/* What a vIOMMU's driver is promised, and what becomes of one that breaks its side. */
#include <pthread.h>
#include <string.h>

#include "toy.h"

#include "mem/task.h"

/* ---- vIOMMUs ---- */

static void a_driver_without_viommus_has_none(void **state)
{
	u32 none;

	toy_ops.get_viommu_size = NULL;
	assert_int_equal(toy_viommu_alloc(&none), -EOPNOTSUPP);
	toy_ops = fake_ops;
	assert_int_equal(toy_viommu_alloc(&none), -EOPNOTSUPP);
}

static void a_viommu_too_small_for_the_core_is_refused(void **state)
{
	u32 none;

	toy.viommu_size = sizeof(struct iommufd_viommu) - 1;
	assert_int_equal(toy_viommu_alloc(&none), -EOPNOTSUPP);
}

static void an_init_that_fails_is_not_destroyed(void **state)
{
	u32 none;

	toy.init_rc = -ENOSPC;
	assert_int_equal(toy_viommu_alloc(&none), -ENOSPC);
	assert_int_equal(toy.viommus, 0);
	toy.init_rc = 0;
	toy.no_ops = true;
	assert_int_equal(toy_viommu_alloc(&none), -EOPNOTSUPP);
	assert_int_equal(toy.viommus, 0);
	assert_int_equal(rig_destroy(toys.parent), 0);
}

static void a_viommu_is_complete_when_its_driver_sees_it(void **state)
{
	u32 id = must_toy();

	assert_int_equal(toy.viommu->core.obj.id, id);
	assert_ptr_equal(toy.viommu->core.ictx, toys.ctx);
	assert_ptr_equal(toy.viommu->core.iommu_dev, &toys.iommu.iommu_dev);
	assert_non_null(toy.viommu->core.hwpt);
	assert_int_equal(toy.viommu->core.type, IOMMU_VIOMMU_TYPE_ARM_SMMUV3);
	assert_int_equal(toy.viommu->zero, 0);
}

static void operations_it_has_not_are_not_supported(void **state)
{
	u32 viommu, n = 1, none;
	char entry[8] = { 0 };

	toy.ops = (struct iommufd_viommu_ops){ .destroy = toy.ops.destroy };
	viommu = must_toy();
	assert_int_equal(invalidate(viommu, entry, 0, 8, &n), -EOPNOTSUPP);
	assert_int_equal(n, 0);
	assert_int_equal(nested_alloc(toys.a_id, viommu, 0, 0, &none), -EOPNOTSUPP);
	assert_int_equal(hw_queue_alloc(viommu, 1, 0, 0, PG, &none), -EOPNOTSUPP);
	/* a vdevice needs nothing of the driver */
	must_vdevice(viommu, toys.a_id, 1);
}

static void a_nested_domain_must_be_one(void **state)
{
	struct iommu_domain *wrong = &(struct iommu_domain){ .type = 0 };
	u32 viommu = must_toy(), hwpt, n = 1;

	toy.nested = ERR_PTR(-EIO);
	assert_int_equal(nested_alloc(toys.a_id, viommu, 0, 0, &hwpt), -EIO);
	toy.nested = wrong; /* answered as NULL */
	assert_int_equal(nested_alloc(toys.a_id, viommu, 0, 0, &hwpt), -ENOMEM);
	toy.nested = NULL;
	assert_int_equal(nested_alloc(toys.a_id, viommu, 0, 0, &hwpt), 0);
	/* nor has this one an invalidation */
	assert_int_equal(invalidate(hwpt, wrong, 0, 8, &n), -EOPNOTSUPP);
	assert_int_equal(n, 0);
	/* straight on the parent the driver has no way */
	assert_int_equal(nested_alloc(toys.a_id, toys.parent, 0, 0, &hwpt), -EOPNOTSUPP);
}

static void wrong_free(struct iommu_domain *domain)
{
	toy.domains--;
	free(domain);
}

static const struct iommu_domain_ops wrong_ops = { .free = wrong_free };

static struct iommu_domain *alloc_no_nested_one(struct iommufd_viommu *viommu, u32 flags,
						const struct iommu_user_data *user_data)
{
	struct iommu_domain *domain = calloc(1, sizeof(*domain));

	domain->type = IOMMU_DOMAIN_UNMANAGED;
	domain->ops = &wrong_ops;
	toy.domains++;
	return domain;
}

static void a_nested_domain_of_another_kind_is_given_back(void **state)
{
	u32 viommu, hwpt;

	toy.ops.alloc_domain_nested = alloc_no_nested_one;
	viommu = must_toy();
	assert_int_equal(nested_alloc(toys.a_id, viommu, 0, 0, &hwpt), -EOPNOTSUPP);
	assert_int_equal(toy.domains, 0);
	assert_int_equal(rig_destroy(viommu), 0);
}

static void a_parent_of_another_driver_is_none(void **state)
{
	struct mock_ids ids = rig_mock(rig_ioas());
	u32 hwpt;

	assert_int_equal(nested_alloc(ids.idev, toys.parent, 0, 0, &hwpt), -EINVAL);
}

static void devices_of_another_iommu_stay_out(void **state)
{
	u32 viommu = must_toy(), none;

	assert_int_equal(vdevice_alloc(viommu, toys.b_id, 1, &none), -EINVAL);
	/* before flags and data */
	assert_int_equal(rig_hwpt(toys.b_id, viommu, 0, &none), -EINVAL);
	assert_int_equal(rig_hwpt(toys.a_id, viommu, 0, &none), -EOPNOTSUPP);
}

/* ---- vdevices ---- */

static void a_vdevice_too_small_or_without_init_is_refused(void **state)
{
	u32 viommu = must_toy(), none;

	toy.ops.vdevice_size = sizeof(struct iommufd_vdevice) - 1;
	assert_int_equal(vdevice_alloc(viommu, toys.a_id, 1, &none), -EOPNOTSUPP);
	toy.ops.vdevice_size = sizeof(struct iommufd_vdevice);
	toy.ops.vdevice_init = NULL;
	assert_int_equal(vdevice_alloc(viommu, toys.a_id, 1, &none), -EOPNOTSUPP);
	toy.ops.vdevice_size = 0;
	assert_int_equal(vdevice_alloc(viommu, toys.a_id, 1, &none), 0);
}

static struct device *find(struct iommufd_viommu *viommu, u64 virt_id)
{
	struct device *dev;

	xa_lock(&viommu->vdevs);
	dev = iommufd_viommu_find_dev(viommu, virt_id);
	xa_unlock(&viommu->vdevs);
	return dev;
}

static void a_vdevice_can_be_found_from_its_init_to_its_end(void **state)
{
	u32 viommu = must_toy(), vdevice = must_vdevice(viommu, toys.a_id, 42);
	unsigned long id = 0;

	assert_int_equal(toy.seen_in_init, -ENOENT);
	assert_int_equal(toy.vdevice->zero, 0);
	assert_int_equal(toy.vdevice->core.virt_id, 42);
	assert_ptr_equal(iommufd_vdevice_to_device(&toy.vdevice->core), &toys.a.dev);
	assert_ptr_equal(find(&toy.viommu->core, 42), &toys.a.dev);
	assert_null(find(&toy.viommu->core, 41));
	assert_int_equal(iommufd_viommu_get_vdev_id(&toy.viommu->core, &toys.a.dev, &id), 0);
	assert_int_equal(id, 42);
	assert_int_equal(iommufd_viommu_get_vdev_id(&toy.viommu->core, &toys.b.dev, &id), -ENOENT);
	assert_int_equal(iommufd_viommu_get_vdev_id(&toy.viommu->core, &toys.a.dev, NULL),
			 -EINVAL);
	assert_int_equal(rig_destroy(vdevice), 0);
	assert_null(find(&toy.viommu->core, 42));
	assert_int_equal(toy.vdevices, 0);
}

static void a_vdevice_whose_init_fails_leaves_no_trace(void **state)
{
	u32 viommu = must_toy(), none;

	toy.vdevice_rc = -ENXIO;
	assert_int_equal(vdevice_alloc(viommu, toys.a_id, 42, &none), -ENXIO);
	assert_null(find(&toy.viommu->core, 42));
	toy.vdevice_rc = 0;
	must_vdevice(viommu, toys.a_id, 42);
}

static void a_vdevice_that_can_not_be_announced_is_destroyed_once(void **state)
{
	struct iommu_vdevice_alloc *cmd = rig_memory(PG);

	*cmd = (struct iommu_vdevice_alloc){ .size = sizeof(*cmd), .viommu_id = must_toy(),
					     .dev_id = toys.a_id, .virt_id = 3 };
	read_only(cmd, PG);
	assert_int_equal(rig_ioctl(IOMMU_VDEVICE_ALLOC, cmd), -EFAULT);
	assert_int_equal(toy.vdevices, 0);
	assert_null(find(&toy.viommu->core, 3));
}

static void unbinding_runs_the_vdevices_destroy(void **state)
{
	u32 viommu = must_toy(), vdevice = must_vdevice(viommu, toys.a_id, 3);

	toy_unbind_a();
	assert_int_equal(toy.vdevices, 0);
	assert_null(find(&toy.viommu->core, 3));
	assert_int_equal(rig_destroy(vdevice), -ENOENT);
	assert_int_equal(rig_destroy(viommu), 0);
	assert_int_not_equal(rig_ioas(), vdevice);
}

/* ---- hw queues ---- */

static void a_queue_has_one_of_two_inits_and_room_for_the_core(void **state)
{
	u32 viommu = must_toy(), none;

	assert_int_equal(hw_queue_alloc(viommu, 0xdead, 0, 0, PG, &none), -EOPNOTSUPP);
	toy.queue_size = sizeof(struct iommufd_hw_queue) - 1;
	assert_int_equal(hw_queue_alloc(viommu, 1, 0, 0, PG, &none), -EOPNOTSUPP);
	toy.queue_size = 0;
	toy.ops.hw_queue_init_phys = toy_queue_init_phys;
	assert_int_equal(hw_queue_alloc(viommu, 1, 0, 0, PG, &none), -EOPNOTSUPP);
	toy.ops.hw_queue_init_phys = NULL;
	toy.ops.hw_queue_init = NULL;
	assert_int_equal(hw_queue_alloc(viommu, 1, 0, 0, PG, &none), -EOPNOTSUPP);
}

static void a_queue_by_guest_address_pins_nothing(void **state)
{
	char *mem = rig_memory(PG);
	u32 viommu = must_toy(), queue, other;

	assert_int_equal(rig_map(toys.ioas, mem, PG, 8 * PG), 0);
	assert_int_equal(hw_queue_alloc(viommu, 1, 7, 8 * PG + 16, 32, &queue), 0);
	assert_null(toy.queue->core.access);
	assert_int_equal(toy.queue->core.base_addr, 8 * PG + 16);
	assert_int_equal(toy.queue->core.length, 32);
	assert_int_equal(toy.queue->core.type, 1);
	assert_int_equal(toy.queue->index, 7);
	assert_int_equal(toy.queue->zero, 0);
	assert_int_equal(rig_unmap(toys.ioas, 8 * PG, PG), 0);
	/* nor need anything be mapped, and no range is too large */
	assert_int_equal(hw_queue_alloc(viommu, 1, 7, 1, UINT64_MAX, &other), 0);
	assert_int_equal(rig_destroy(viommu), -EBUSY);
}

static void a_queue_by_physical_address_is_pinned_until_its_destroy_returns(void **state)
{
	char *mem = rig_memory(PG);
	u32 viommu, queue;

	toy.ops.hw_queue_init = NULL;
	toy.ops.hw_queue_init_phys = toy_queue_init_phys;
	viommu = must_toy();
	mem[16] = 'x';
	assert_int_equal(rig_map(toys.ioas, mem, PG, 8 * PG), 0);
	assert_int_equal(hw_queue_alloc(viommu, 1, 0, 8 * PG + 16, 32, &queue), 0);
	assert_non_null(toy.queue->core.access);
	assert_int_equal(iommufd_phys_read(rig.system, toy.queue->pa, mem, 1), 0);
	assert_int_equal(mem[0], 'x');
	assert_int_equal(iommufd_phys_write(rig.system, toy.queue->pa + 1, "y", 1), 0);
	assert_int_equal(mem[17], 'y');
	assert_int_equal(rig_unmap(toys.ioas, 8 * PG, PG), -EBUSY);
	assert_int_equal(rig_destroy(queue), 0);
	assert_int_equal(rig_unmap(toys.ioas, 8 * PG, PG), 0);
	assert_int_equal(iommufd_phys_read(rig.system, 0, mem, 1), -EFAULT);
}

static void a_queue_whose_init_fails_is_unpinned_and_not_destroyed(void **state)
{
	u32 viommu, none;

	toy.ops.hw_queue_init = NULL;
	toy.ops.hw_queue_init_phys = toy_queue_init_phys;
	viommu = must_toy();
	assert_int_equal(rig_map(toys.ioas, rig_memory(PG), PG, 8 * PG), 0);
	toy.queue_rc = -EDOM;
	assert_int_equal(hw_queue_alloc(viommu, 1, 0, 8 * PG, PG, &none), -EDOM);
	assert_int_equal(toy.queues, 0);
	assert_int_equal(rig_unmap(toys.ioas, 8 * PG, PG), 0);
}

static struct toy_queue *begun; /* a queue somebody else depends on while it is made */

static int init_that_depends_on_itself(struct iommufd_hw_queue *queue, u32 index)
{
	struct toy_queue *self = container_of(queue, struct toy_queue, core);

	assert_int_equal(iommufd_hw_queue_depend(self, self, core), -EINVAL);
	begun = self;
	return 0;
}

static void only_published_queues_of_one_viommu_are_depended_on(void **state)
{
	struct toy_queue *first, *second;
	struct toy_viommu *viommu;
	u32 id = must_toy(), q1, q2, q3;

	viommu = toy.viommu;
	assert_int_equal(hw_queue_alloc(id, 1, 0, 0, PG, &q1), 0);
	first = toy.queue;
	assert_int_equal(hw_queue_alloc(id, 1, 1, 0, PG, &q2), 0);
	second = toy.queue;
	assert_int_equal(hw_queue_alloc(must_toy(), 1, 0, 0, PG, &q3), 0);
	assert_int_equal(iommufd_hw_queue_depend(second, toy.queue, core), -EINVAL);
	assert_int_equal(iommufd_object_depend(&second->core.obj, &viommu->core.obj), -EINVAL);
	assert_int_equal(iommufd_object_depend(&viommu->core.obj, &toy.viommu->core.obj), -EINVAL);
	assert_int_equal(iommufd_hw_queue_depend(second, first, core), 0);
	assert_int_equal(rig_destroy(q1), -EBUSY);
	iommufd_hw_queue_undepend(second, first, core);
	assert_int_equal(rig_destroy(q1), 0);

	toy.ops.hw_queue_init = init_that_depends_on_itself;
	assert_int_equal(hw_queue_alloc(id, 1, 0, 0, PG, &q1), 0);
	assert_non_null(begun);
}

/* One that ends while it is waited for would be gone from under who waits. */
static int depend_rc;

static int init_that_is_depended_on(struct iommufd_hw_queue *queue, u32 index)
{
	struct toy_queue *self = container_of(queue, struct toy_queue, core);

	depend_rc = iommufd_hw_queue_depend(begun, self, core);
	return -EIO;
}

static void a_queue_still_being_made_is_absent(void **state)
{
	u32 id = must_toy(), q1, q2;

	assert_int_equal(hw_queue_alloc(id, 1, 0, 0, PG, &q1), 0);
	begun = toy.queue;
	toy.ops.hw_queue_init = init_that_is_depended_on;
	assert_int_equal(hw_queue_alloc(id, 1, 1, 0, PG, &q2), -EIO);
	assert_int_equal(depend_rc, -ENOENT);
}

/* ---- events ---- */

static void *report_without_a_program(void *arg)
{
	u64 event[4] = { 1, 2, 3, 4 };

	assert(!task_current);
	return (void *)(intptr_t)iommufd_viommu_report_event(arg, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
							     event, sizeof(event));
}

static void events_come_from_any_thread_and_have_any_size(void **state)
{
	u32 viommu = must_toy(), queue;
	struct {
		struct iommufd_vevent_header header;
		u64 data[4];
	} event;
	pthread_t thread;
	void *rc;
	int fd;

	assert_int_equal(iommufd_viommu_report_event(&toy.viommu->core, 1, NULL, 4), -EINVAL);
	assert_int_equal(iommufd_viommu_report_event(&toy.viommu->core, 1, &event, 0), -EINVAL);
	assert_int_equal(iommufd_viommu_report_event(&toy.viommu->core, 1, &event, 4),
			 -EOPNOTSUPP);
	assert_int_equal(veventq_alloc(viommu, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 4, &queue, &fd), 0);
	assert_int_equal(pthread_create(&thread, NULL, report_without_a_program,
					&toy.viommu->core), 0);
	pthread_join(thread, &rc);
	assert_null(rc);
	assert_int_equal(iommufd_read(rig.proc, fd, &event, sizeof(event)), sizeof(event));
	assert_int_equal(event.data[3], 4);
}

/* ---- registers ---- */

static void registers_are_whole_pages_of_memory_made_for_it(void **state)
{
	struct iommufd_object *owner;
	unsigned long offset, other;
	phys_addr_t pa, frame;
	char *regs;
	void *ptr;

	must_toy();
	owner = &toy.viommu->core.obj;
	assert_null(iommufd_alloc_mmio(toys.ctx, 0, &pa));
	assert_null(iommufd_alloc_mmio(toys.ctx, PG + 1, &pa));
	assert_null(iommufd_alloc_mmio(toys.ctx, 1ul << 40, &pa));
	regs = iommufd_alloc_mmio(toys.ctx, 3 * PG, &pa);
	assert_non_null(regs);
	assert_int_equal(regs[3 * PG - 1], 0);
	regs[PG] = 'r';
	assert_int_equal(iommufd_alloc_mmap(toys.ctx, owner, pa, 0, &offset), -EINVAL);
	assert_int_equal(iommufd_alloc_mmap(toys.ctx, owner, pa + 1, PG, &offset), -EINVAL);
	assert_int_equal(iommufd_alloc_mmap(toys.ctx, owner, pa, PG + 1, &offset), -EINVAL);
	assert_int_equal(iommufd_alloc_mmap(toys.ctx, owner, pa, 4 * PG, &offset), -EINVAL);
	ptr = mem_frames_alloc(rig.system->mem, 12, &frame);
	assert_int_equal(iommufd_alloc_mmap(toys.ctx, owner, frame, PG, &offset), -EINVAL);
	mem_frames_free(rig.system->mem, ptr, frame, 12);
	/* parts of it, each once */
	assert_int_equal(iommufd_alloc_mmap(toys.ctx, owner, pa + PG, PG, &offset), 0);
	assert_int_equal(iommufd_alloc_mmap(toys.ctx, owner, pa, 2 * PG, &other), -EBUSY);
	assert_int_equal(iommufd_alloc_mmap(toys.ctx, owner, pa + 2 * PG, PG, &other), 0);
	assert_int_not_equal(offset, other);
	assert_int_equal(iommufd_mmap(rig.proc, NULL, PG, 3, 1, rig.fd, offset, &ptr), 0);
	assert_int_equal(*(char *)ptr, 'r');
	assert_int_equal(iommufd_munmap(rig.proc, ptr, PG), 0);
	iommufd_destroy_mmap(toys.ctx, owner, other);
	iommufd_destroy_mmap(toys.ctx, owner, offset);
	iommufd_free_mmio(toys.ctx, regs);
	iommufd_free_mmio(toys.ctx, NULL);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, toy_begin, toy_end)
	const struct CMUnitTest tests[] = {
		T(a_driver_without_viommus_has_none),
		T(a_viommu_too_small_for_the_core_is_refused),
		T(an_init_that_fails_is_not_destroyed),
		T(a_viommu_is_complete_when_its_driver_sees_it),
		T(operations_it_has_not_are_not_supported),
		T(a_nested_domain_must_be_one),
		T(a_nested_domain_of_another_kind_is_given_back),
		T(a_parent_of_another_driver_is_none),
		T(devices_of_another_iommu_stay_out),
		T(a_vdevice_too_small_or_without_init_is_refused),
		T(a_vdevice_can_be_found_from_its_init_to_its_end),
		T(a_vdevice_whose_init_fails_leaves_no_trace),
		T(a_vdevice_that_can_not_be_announced_is_destroyed_once),
		T(unbinding_runs_the_vdevices_destroy),
		T(a_queue_has_one_of_two_inits_and_room_for_the_core),
		T(a_queue_by_guest_address_pins_nothing),
		T(a_queue_by_physical_address_is_pinned_until_its_destroy_returns),
		T(a_queue_whose_init_fails_is_unpinned_and_not_destroyed),
		T(only_published_queues_of_one_viommu_are_depended_on),
		T(a_queue_still_being_made_is_absent),
		T(events_come_from_any_thread_and_have_any_size),
		T(registers_are_whole_pages_of_memory_made_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
