/* SPDX-License-Identifier: MIT */
/* IOMMU_GET_HW_INFO: what is refused, what is written where, and what a device can do. */
#include <string.h>

#include "../models/rig.h"

static u32 ioas;
static struct mock_ids ids;

static int begin(void **state)
{
	if (rig_begin(state))
		return -1;
	ioas = rig_ioas();
	return rig_mock_domain(ioas, 0, &ids);
}

static int hw_info(struct iommu_hw_info *cmd, void *buf, u32 len)
{
	cmd->size = sizeof(*cmd);
	cmd->dev_id = cmd->dev_id ? cmd->dev_id : ids.idev;
	cmd->data_uptr = (uintptr_t)buf;
	cmd->data_len = len;
	return rig_ioctl(IOMMU_GET_HW_INFO, cmd);
}

static void unknown_flags_and_reserved_bytes_come_first(void **state)
{
	struct iommu_hw_info flags = { .flags = 2, .dev_id = 4711 };

	assert_int_equal(hw_info(&flags, NULL, 0), -EOPNOTSUPP);
	for (int i = 0; i < 3; i++) {
		struct iommu_hw_info reserved = { .dev_id = 4711 };

		reserved.__reserved[i] = 1;
		assert_int_equal(hw_info(&reserved, NULL, 0), -EOPNOTSUPP);
	}
}

static void only_devices_have_information(void **state)
{
	struct iommu_hw_info unknown = { .dev_id = 4711 }, stdev = { .dev_id = ids.stdev };

	assert_int_equal(hw_info(&unknown, NULL, 0), -ENOENT);
	assert_int_equal(hw_info(&stdev, NULL, 0), -ENOENT);
}

static void the_size_can_be_asked_without_a_buffer(void **state)
{
	struct iommu_hw_info cmd = { 0 };

	assert_int_equal(hw_info(&cmd, NULL, 0), 0);
	assert_int_equal(cmd.data_len, sizeof(struct iommu_test_hw_info));
	assert_int_equal(cmd.out_data_type, IOMMU_HW_INFO_TYPE_SELFTEST);
}

static void a_larger_buffer_is_zeroed_behind_the_answer(void **state)
{
	struct iommu_hw_info cmd = { 0 };
	unsigned char buf[5000];
	struct iommu_test_hw_info info;

	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(hw_info(&cmd, buf, sizeof(buf) - 1), 0);
	memcpy(&info, buf, sizeof(info));
	assert_int_equal(info.flags, 0);
	assert_int_equal(info.test_reg, IOMMU_HW_INFO_SELFTEST_REGVAL);
	for (size_t i = sizeof(info); i < sizeof(buf) - 1; i++)
		assert_int_equal(buf[i], 0);
	assert_int_equal(buf[sizeof(buf) - 1], 0xff);
	assert_int_equal(cmd.data_len, sizeof(info));
}

static void a_smaller_buffer_gets_what_fits(void **state)
{
	struct iommu_hw_info cmd = { 0 };
	unsigned char buf[8];

	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(hw_info(&cmd, buf, 5), 0);
	assert_int_equal(buf[4], 0xef);
	assert_int_equal(buf[5], 0xff);
	assert_int_equal(cmd.data_len, sizeof(struct iommu_test_hw_info));
}

static void a_bad_buffer_faults(void **state)
{
	struct iommu_hw_info cmd = { 0 };

	assert_int_equal(hw_info(&cmd, NULL, 8), -EFAULT);
	assert_int_equal(hw_info(&cmd, (void *)-8L, 4096), -EFAULT);
}

static void a_type_can_be_asked_for(void **state)
{
	struct iommu_hw_info cmd = { .flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
				     .in_data_type = IOMMU_HW_INFO_TYPE_SELFTEST };
	struct iommu_hw_info wrong = { .flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
				       .in_data_type = IOMMU_HW_INFO_TYPE_AMD };
	struct iommu_hw_info ignored = { .in_data_type = IOMMU_HW_INFO_TYPE_AMD };

	assert_int_equal(hw_info(&cmd, NULL, 0), 0);
	assert_int_equal(hw_info(&wrong, NULL, 0), -EOPNOTSUPP);
	assert_int_equal(hw_info(&ignored, NULL, 0), 0);
	assert_int_equal(ignored.out_data_type, IOMMU_HW_INFO_TYPE_SELFTEST);
}

static void capabilities_are_those_of_the_device(void **state)
{
	struct iommu_hw_info cmd = { 0 }, other = { 0 };
	struct mock_ids pasid;

	assert_int_equal(hw_info(&cmd, NULL, 0), 0);
	assert_int_equal(cmd.out_max_pasid_log2, 0);
	assert_int_equal(cmd.out_capabilities,
			 IOMMU_HW_CAP_DIRTY_TRACKING | IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	assert_int_equal(rig_mock_domain(ioas, MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID,
					 &pasid), 0);
	other.dev_id = pasid.idev;
	assert_int_equal(hw_info(&other, NULL, 0), 0);
	assert_int_equal(other.out_max_pasid_log2, MOCK_PASID_WIDTH);
	assert_int_equal(other.out_capabilities, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, rig_end)
		T(unknown_flags_and_reserved_bytes_come_first),
		T(only_devices_have_information),
		T(the_size_can_be_asked_without_a_buffer),
		T(a_larger_buffer_is_zeroed_behind_the_answer),
		T(a_smaller_buffer_gets_what_fits),
		T(a_bad_buffer_faults),
		T(a_type_can_be_asked_for),
		T(capabilities_are_those_of_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
