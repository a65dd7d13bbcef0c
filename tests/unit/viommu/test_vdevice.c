/* SPDX-License-Identifier: MIT */
/* IOMMU_VIOMMU_ALLOC and IOMMU_VDEVICE_ALLOC: what they refuse, and who ends what. */
#include "guest.h"

/* ---- vIOMMUs ---- */

static int alloc(struct iommu_viommu_alloc cmd)
{
	return viommu_alloc(&cmd);
}

static void a_viommu_is_checked_in_order(void **state)
{
	const u32 type = IOMMU_VIOMMU_TYPE_SELFTEST, idev = guest.dev.idev;

	assert_int_equal(alloc((struct iommu_viommu_alloc){ .flags = 1, .type = type }),
			 -EOPNOTSUPP);
	assert_int_equal(alloc((struct iommu_viommu_alloc){ .type = 0, .dev_id = 4711 }),
			 -EOPNOTSUPP);
	assert_int_equal(alloc((struct iommu_viommu_alloc){ .type = 0xdead, .dev_id = 4711 }),
			 -ENOENT);
	assert_int_equal(alloc((struct iommu_viommu_alloc){ .type = type,
							    .dev_id = guest.dev.stdev }), -ENOENT);
	assert_int_equal(alloc((struct iommu_viommu_alloc){ .type = 0xdead, .dev_id = idev,
							    .hwpt_id = 4711 }), -EOPNOTSUPP);
	assert_int_equal(alloc((struct iommu_viommu_alloc){ .type = type, .dev_id = idev,
							    .hwpt_id = 0 }), -ENOENT);
	assert_int_equal(alloc((struct iommu_viommu_alloc){ .type = type, .dev_id = idev,
							    .hwpt_id = guest.ioas }), -ENOENT);
	assert_int_equal(alloc((struct iommu_viommu_alloc){ .type = type, .dev_id = idev,
							    .hwpt_id = guest.viommu }), -ENOENT);
	assert_int_equal(alloc((struct iommu_viommu_alloc){ .type = type, .dev_id = idev,
							    .hwpt_id = guest.dev.hwpt }),
			 -EINVAL);
}

static void the_reserved_word_of_a_viommu_is_not_looked_at(void **state)
{
	assert_int_equal(alloc((struct iommu_viommu_alloc){ .type = IOMMU_VIOMMU_TYPE_SELFTEST,
							    .dev_id = guest.dev.idev,
							    .hwpt_id = guest.parent,
							    .__reserved = 1 }), 0);
}

static void a_parent_may_have_many_viommus(void **state)
{
	u32 other = must_viommu(guest.dev.idev, guest.parent);

	assert_int_equal(rig_destroy(guest.parent), -EBUSY);
	assert_int_equal(rig_destroy(guest.viommu), 0);
	assert_int_equal(rig_destroy(guest.parent), -EBUSY);
	assert_int_equal(rig_destroy(other), 0);
	assert_int_equal(rig_destroy(guest.parent), 0);
}

static void an_answer_that_can_not_be_written_undoes_the_viommu(void **state)
{
	/* the size says where the struct ends; the page it is in can only be read */
	struct iommu_viommu_alloc *cmd = rig_memory(PG);

	*cmd = (struct iommu_viommu_alloc){ .size = sizeof(*cmd),
					    .type = IOMMU_VIOMMU_TYPE_SELFTEST,
					    .dev_id = guest.dev.idev, .hwpt_id = guest.parent };
	read_only(cmd, PG);
	assert_int_equal(rig_ioctl(IOMMU_VIOMMU_ALLOC, cmd), -EFAULT);
	assert_int_equal(rig_destroy(guest.viommu), 0);
	assert_int_equal(rig_destroy(guest.parent), 0);
}

static void a_viommu_needs_its_device_only_while_it_is_made(void **state)
{
	assert_int_equal(rig_destroy(guest.dev.stdev), 0);
	assert_int_equal(rig_destroy(guest.viommu), 0);
}

/* ---- vdevices ---- */

static void a_vdevice_is_checked_in_order(void **state)
{
	u32 none;

	assert_int_equal(vdevice_alloc(4711, 4712, 1, &none), -ENOENT);
	assert_int_equal(vdevice_alloc(guest.parent, guest.dev.idev, 1, &none), -ENOENT);
	assert_int_equal(vdevice_alloc(guest.viommu, 4711, 1, &none), -ENOENT);
	assert_int_equal(vdevice_alloc(guest.viommu, guest.dev.stdev, 1, &none), -ENOENT);
}

static void a_device_has_one_vdevice_and_a_name_one_device(void **state)
{
	struct mock_ids second = rig_mock(guest.ioas);
	u32 other = must_viommu(guest.dev.idev, guest.parent), none;
	u32 vdevice = must_vdevice(guest.viommu, guest.dev.idev, 7);

	assert_int_equal(vdevice_alloc(guest.viommu, guest.dev.idev, 8, &none), -EEXIST);
	assert_int_equal(vdevice_alloc(other, guest.dev.idev, 8, &none), -EEXIST);
	assert_int_equal(vdevice_alloc(guest.viommu, second.idev, 7, &none), -EEXIST);
	/* names are each vIOMMU's own, and the refused one has taken nothing away */
	assert_int_equal(vdevice_alloc(other, second.idev, 7, &none), 0);
	assert_int_equal(rig_destroy(none), 0);
	assert_int_equal(rig_destroy(vdevice), 0);
	must_vdevice(guest.viommu, second.idev, 7);
	must_vdevice(guest.viommu, guest.dev.idev, UINT64_MAX);
}

static void a_vdevice_holds_its_viommu_and_its_device(void **state)
{
	u32 vdevice = must_vdevice(guest.viommu, guest.dev.idev, 0);

	assert_int_equal(rig_destroy(guest.viommu), -EBUSY);
	assert_int_equal(rig_destroy(guest.dev.idev), -EBUSY);
	assert_int_equal(rig_destroy(vdevice), 0);
	assert_int_equal(rig_destroy(vdevice), -ENOENT);
	assert_int_equal(rig_destroy(guest.viommu), 0);
	/* without a living vdevice the device leaves no stone */
	assert_int_equal(rig_destroy(guest.dev.stdev), 0);
	assert_int_equal(rig_ioas() < guest.viommu, 1);
}

static void a_vdevice_may_go_before_the_tables_that_needed_it(void **state)
{
	u32 vdevice = must_vdevice(guest.viommu, guest.dev.idev, 3);
	u32 nested = must_nested(guest.dev.idev, guest.viommu), pt = nested;

	assert_int_equal(rig_replace(guest.dev.stdev, &pt), 0);
	assert_int_equal(rig_destroy(vdevice), 0);
	pt = guest.ioas;
	assert_int_equal(rig_replace(guest.dev.stdev, &pt), 0);
	pt = nested;
	assert_int_equal(rig_replace(guest.dev.stdev, &pt), -ENOENT);
}

static void a_device_that_goes_ends_its_vdevice_and_leaves_a_stone(void **state)
{
	struct mock_ids second = rig_mock(guest.ioas);
	u32 vdevice = must_vdevice(guest.viommu, guest.dev.idev, 3), ids[8];

	assert_int_equal(rig_destroy(guest.dev.stdev), 0);
	assert_int_equal(rig_destroy(vdevice), -ENOENT);
	/* its name is free, its vIOMMU has let go of it */
	assert_int_equal(rig_destroy(must_vdevice(guest.viommu, second.idev, 3)), 0);
	assert_int_equal(rig_destroy(guest.viommu), 0);
	for (u32 i = 0; i < ARRAY_SIZE(ids); i++) {
		ids[i] = rig_ioas();
		assert_int_not_equal(ids[i], vdevice);
	}
	assert_int_equal(rig_destroy(vdevice), -ENOENT);
}

static void an_answer_that_can_not_be_written_undoes_the_vdevice(void **state)
{
	struct iommu_vdevice_alloc *cmd = rig_memory(PG);

	*cmd = (struct iommu_vdevice_alloc){ .size = sizeof(*cmd), .viommu_id = guest.viommu,
					     .dev_id = guest.dev.idev, .virt_id = 3 };
	read_only(cmd, PG);
	assert_int_equal(rig_ioctl(IOMMU_VDEVICE_ALLOC, cmd), -EFAULT);
	must_vdevice(guest.viommu, guest.dev.idev, 3);
}

static void the_whole_tree_goes_with_the_context(void **state)
{
	u32 pt = guest.viommu, veventq, queue;
	int fd;

	must_vdevice(guest.viommu, guest.dev.idev, 3);
	pt = must_nested(guest.dev.idev, guest.viommu);
	assert_int_equal(rig_replace(guest.dev.stdev, &pt), 0);
	assert_int_equal(veventq_alloc(guest.viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 4, &veventq,
				       &fd), 0);
	assert_int_equal(rig_map(guest.ioas, rig_memory(PG), PG, BASE), 0);
	assert_int_equal(hw_queue_alloc(guest.viommu, IOMMU_HW_QUEUE_TYPE_SELFTEST, 0, BASE, PG,
					&queue), 0);
	assert_int_equal(hw_queue_alloc(guest.viommu, IOMMU_HW_QUEUE_TYPE_SELFTEST, 1, BASE, PG,
					&queue), 0);
	assert_int_equal(trigger_vevent(guest.dev.idev), 0);
	/* the teardown closes everything and looks for what is left */
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, guest_begin, rig_end)
	const struct CMUnitTest tests[] = {
		T(a_viommu_is_checked_in_order),
		T(the_reserved_word_of_a_viommu_is_not_looked_at),
		T(a_parent_may_have_many_viommus),
		T(an_answer_that_can_not_be_written_undoes_the_viommu),
		T(a_viommu_needs_its_device_only_while_it_is_made),
		T(a_vdevice_is_checked_in_order),
		T(a_device_has_one_vdevice_and_a_name_one_device),
		T(a_vdevice_holds_its_viommu_and_its_device),
		T(a_vdevice_may_go_before_the_tables_that_needed_it),
		T(a_device_that_goes_ends_its_vdevice_and_leaves_a_stone),
		T(an_answer_that_can_not_be_written_undoes_the_vdevice),
		T(the_whole_tree_goes_with_the_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
