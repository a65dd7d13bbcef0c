/* SPDX-License-Identifier: MIT */
/* Hw queues of the mock: what is checked, what is pinned, what must end first. */
#include <fcntl.h>
#include <sys/mman.h>

#include "guest.h"

#define TYPE IOMMU_HW_QUEUE_TYPE_SELFTEST

static char *mem;
static u32 queue;

static int begin(void **state)
{
	if (guest_begin(state))
		return -1;
	mem = rig_memory(16 * PG);
	return rig_map(guest.ioas, mem, 4 * PG, BASE);
}

static int alloc(u32 index, u64 iova, u64 length)
{
	return hw_queue_alloc(guest.viommu, TYPE, index, iova, length, &queue);
}

static void a_queue_is_checked_in_order(void **state)
{
	struct iommu_hw_queue_alloc cmd = { .size = sizeof(cmd), .flags = 1, .type = TYPE };
	u32 none;

	assert_int_equal(rig_ioctl(IOMMU_HW_QUEUE_ALLOC, &cmd), -EOPNOTSUPP);
	assert_int_equal(hw_queue_alloc(4711, 0, 0, BASE, 0, &none), -EOPNOTSUPP);
	assert_int_equal(hw_queue_alloc(4711, TYPE, 0, BASE, 0, &none), -EINVAL);
	assert_int_equal(hw_queue_alloc(4711, TYPE, 0, PG, UINT64_MAX - PG + 2, &none),
			 -EOVERFLOW);
	assert_int_equal(hw_queue_alloc(4711, TYPE, 0, PG, UINT64_MAX - PG + 1, &none), -ENOENT);
	assert_int_equal(hw_queue_alloc(guest.parent, TYPE, 0, BASE, PG, &none), -ENOENT);
	assert_int_equal(hw_queue_alloc(guest.viommu, 0xdead, 9, 0, PG, &none), -EOPNOTSUPP);
	/* the cover of whole pages is what must fit */
	assert_int_equal(alloc(9, 1, UINT64_MAX), -ERANGE);
	/* and the list of its pages must be one that Linux would try to allocate */
	assert_int_equal(alloc(9, 8 * PG, 1ULL << 40), -ENOMEM);
	assert_int_equal(alloc(9, 8 * PG, PG), -ENOENT);
	assert_int_equal(alloc(9, BASE + 3 * PG, PG + 1), -ENOENT);
	assert_int_equal(alloc(2, BASE, PG), -EINVAL);
	assert_int_equal(alloc(1, BASE, PG), -EIO);
	assert_int_equal(alloc(0, BASE, PG), 0);
	assert_int_equal(alloc(0, BASE, PG), -EEXIST);
}

static void a_ring_lies_in_memory_the_iommu_may_read(void **state)
{
	struct iommu_ioas_map cmd = { .size = sizeof(cmd),
				      .flags = IOMMU_IOAS_MAP_FIXED_IOVA |
					       IOMMU_IOAS_MAP_WRITEABLE,
				      .ioas_id = guest.ioas, .user_va = (uintptr_t)mem,
				      .length = PG, .iova = BASE + 8 * PG };

	assert_int_equal(rig_ioctl(IOMMU_IOAS_MAP, &cmd), 0);
	assert_int_equal(alloc(0, BASE + 8 * PG, PG), -EPERM);
}

static void device_memory_holds_no_ring(void **state)
{
	struct iommu_test_cmd get = { .op = IOMMU_TEST_OP_DMABUF_GET,
				      .dmabuf_get = { .length = PG, .open_flags = O_CLOEXEC } };
	struct iommu_ioas_map_file map = { .size = sizeof(map),
					   .flags = IOMMU_IOAS_MAP_FIXED_IOVA |
						    IOMMU_IOAS_MAP_READABLE |
						    IOMMU_IOAS_MAP_WRITEABLE,
					   .ioas_id = guest.ioas, .length = PG,
					   .iova = BASE + 8 * PG };

	map.fd = rig_test(&get);
	assert_true(map.fd >= 0);
	assert_int_equal(rig_ioctl(IOMMU_IOAS_MAP_FILE, &map), 0);
	assert_int_equal(alloc(0, BASE + 8 * PG, PG), -EINVAL);
}

/* The mock maps half pages; hardware that reads by physical address wants whole ones. */
static void areas_of_half_pages_keep_rings_out(void **state)
{
	assert_int_equal(rig_map(guest.ioas, mem + 8 * PG, PG / 2, BASE + 8 * PG), 0);
	assert_int_equal(alloc(0, BASE, PG), -EADDRINUSE);
	assert_int_equal(rig_unmap(guest.ioas, BASE + 8 * PG, PG / 2), 0);
	assert_int_equal(alloc(0, BASE, PG), 0);
	/* and the ring keeps them out */
	assert_int_equal(rig_map(guest.ioas, mem + 8 * PG, PG / 2, BASE + 8 * PG), -EINVAL);
	assert_int_equal(rig_destroy(queue), 0);
	assert_int_equal(rig_map(guest.ioas, mem + 8 * PG, PG / 2, BASE + 8 * PG), 0);
}

static void a_ring_spans_areas_that_are_neighbours_in_memory_too(void **state)
{
	assert_int_equal(rig_map(guest.ioas, mem + 4 * PG, PG, BASE + 4 * PG), 0);
	assert_int_equal(rig_map(guest.ioas, mem + 9 * PG, PG, BASE + 5 * PG), 0);
	assert_int_equal(alloc(0, BASE + 3 * PG, 2 * PG), 0);
	assert_int_equal(rig_destroy(queue), 0);
	assert_int_equal(alloc(0, BASE + 4 * PG, 2 * PG), -EFAULT);
	/* nothing of the failure is left pinned */
	assert_int_equal(rig_unmap(guest.ioas, BASE + 4 * PG, PG), 0);
	assert_int_equal(rig_unmap(guest.ioas, BASE + 5 * PG, PG), 0);
}

static void a_ring_can_not_be_unmapped_but_its_neighbours_can(void **state)
{
	assert_int_equal(rig_map(guest.ioas, mem + 4 * PG, PG, BASE + 4 * PG), 0);
	assert_int_equal(alloc(0, BASE + 3 * PG, 1), 0);
	assert_int_equal(rig_unmap(guest.ioas, BASE, 4 * PG), -EBUSY);
	assert_int_equal(rig_unmap(guest.ioas, BASE + 4 * PG, PG), 0);
	assert_int_equal(rig_destroy(queue), 0);
	assert_int_equal(rig_unmap(guest.ioas, BASE, 4 * PG), 0);
	assert_int_equal(rig_check_refs(mem, 5 * PG, 0), 0);
}

static void a_ring_may_begin_and_end_inside_pages(void **state)
{
	u32 first;

	for (u64 i = 8; i < 12; i++)
		assert_int_equal(rig_map(guest.ioas, mem + i * PG, PG, BASE + i * PG), 0);
	assert_int_equal(alloc(0, BASE + 9 * PG - PG / 2, PG + 1), 0);
	first = queue;
	/* and the same bytes may be a second one */
	assert_int_equal(alloc(1, BASE + 9 * PG - PG / 2, PG + 1), 0);
	assert_int_equal(rig_destroy(queue), 0);
	for (u64 i = 8; i < 12; i++)
		assert_int_equal(rig_unmap(guest.ioas, BASE + i * PG, PG), i < 10 ? -EBUSY : 0);
	assert_int_equal(rig_destroy(first), 0);
	assert_int_equal(rig_unmap(guest.ioas, BASE + 8 * PG, 2 * PG), 0);
}

static void queues_end_in_the_reverse_order(void **state)
{
	u32 first, second;

	assert_int_equal(alloc(0, BASE, PG), 0);
	first = queue;
	assert_int_equal(alloc(1, BASE + PG, PG), 0);
	second = queue;
	assert_int_equal(rig_destroy(guest.viommu), -EBUSY);
	assert_int_equal(rig_destroy(first), -EBUSY);
	assert_int_equal(rig_destroy(second), 0);
	assert_int_equal(rig_destroy(first), 0);
	assert_int_equal(alloc(1, BASE, PG), -EIO);
	assert_int_equal(rig_destroy(guest.viommu), 0);
}

static void the_access_behind_a_queue_is_not_the_programs(void **state)
{
	u32 id, busy = 0;

	assert_int_equal(alloc(0, BASE, PG), 0);
	for (id = queue + 1; id < queue + 3; id++)
		busy += rig_destroy(id) == -EBUSY;
	assert_int_equal(busy, 1);
	assert_int_equal(rig_destroy(guest.ioas), -EBUSY);
}

static void an_answer_that_can_not_be_written_undoes_the_queue(void **state)
{
	struct iommu_hw_queue_alloc *cmd = rig_memory(PG);

	*cmd = (struct iommu_hw_queue_alloc){ .size = sizeof(*cmd), .viommu_id = guest.viommu,
					      .type = TYPE, .nesting_parent_iova = BASE,
					      .length = PG };
	read_only(cmd, PG);
	assert_int_equal(rig_ioctl(IOMMU_HW_QUEUE_ALLOC, cmd), -EFAULT);
	assert_int_equal(rig_unmap(guest.ioas, BASE, 4 * PG), 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, begin, rig_end)
	const struct CMUnitTest tests[] = {
		T(a_queue_is_checked_in_order),
		T(a_ring_lies_in_memory_the_iommu_may_read),
		T(device_memory_holds_no_ring),
		T(areas_of_half_pages_keep_rings_out),
		T(a_ring_spans_areas_that_are_neighbours_in_memory_too),
		T(a_ring_can_not_be_unmapped_but_its_neighbours_can),
		T(a_ring_may_begin_and_end_inside_pages),
		T(queues_end_in_the_reverse_order),
		T(the_access_behind_a_queue_is_not_the_programs),
		T(an_answer_that_can_not_be_written_undoes_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
