/* SPDX-License-Identifier: MIT */
/*
 * The descriptions behind -v: none is missing, and each covers its struct.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include <iommufd/uapi/iommufd_test.h>
#include <iommufd/uapi/vfio.h>

#include "core/ucmd.h"
#include "host/trace.h"

/* Fields lie inside the struct and, a union's alternatives apart, behind each other. */
static void assert_fields_are_sound(const struct trace_cmd *cmd)
{
	u32 end = 0;

	assert_true(cmd->size <= TRACE_STRUCT_MAX);
	for (u32 i = 0; i < cmd->num_fields; i++) {
		const struct trace_field *field = &cmd->fields[i];

		assert_true(field->size == 1 || field->size == 2 || field->size == 4 ||
			    field->size == 8);
		if (cmd->size)
			assert_true(field->offset + field->size <= cmd->size);
		assert_true(field->offset >= end || cmd->variant);
		if (field->kind == TRACE_ENUM || field->kind == TRACE_FLAGS)
			assert_non_null(field->names);
		end = field->offset + field->size;
	}
}

static void every_command_of_the_table_has_a_row_of_its_size(void **state)
{
	for (unsigned int i = 0; i < ucmd_table_size; i++) {
		const struct trace_cmd *cmd;

		if (!ucmd_table[i].ioctl_num || ucmd_table[i].ioctl_num == IOMMU_TEST_CMD)
			continue;
		cmd = trace_cmd_iommufd(ucmd_table[i].ioctl_num);
		assert_non_null(cmd);
		assert_int_equal(cmd->size, ucmd_table[i].size);
		assert_string_equal(cmd->fields[0].name, "size");
		assert_fields_are_sound(cmd);
	}
}

static void every_test_operation_has_a_row(void **state)
{
	for (u32 op = IOMMU_TEST_OP_ADD_RESERVED; op <= IOMMU_TEST_OP_DMABUF_REVOKE; op++) {
		const struct trace_cmd *cmd = trace_cmd_test(op);

		assert_non_null(cmd);
		assert_int_equal(cmd->variant, op);
		assert_non_null(strstr(cmd->name, "IOMMU_TEST_CMD, "));
		assert_fields_are_sound(cmd);
	}
	assert_null(trace_cmd_test(IOMMU_TEST_OP_DMABUF_REVOKE + 1));
}

static void container_commands_have_rows(void **state)
{
	static const u32 cmds[] = {
		VFIO_GET_API_VERSION,	VFIO_CHECK_EXTENSION, VFIO_SET_IOMMU,
		VFIO_IOMMU_GET_INFO,	VFIO_IOMMU_MAP_DMA,   VFIO_IOMMU_UNMAP_DMA,
		VFIO_IOMMU_DIRTY_PAGES,
	};

	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		assert_non_null(trace_cmd_vfio(cmds[i], NULL));
		assert_fields_are_sound(trace_cmd_vfio(cmds[i], NULL));
	}
	assert_null(trace_cmd_vfio(0x3bff, NULL));
	assert_null(trace_cmd_iommufd(0x3bff));
}

static void a_number_means_what_its_file_says(void **state)
{
	static const char *const devices[] = {"anon_inode:[vfio-device]", "/dev/vfio/devices/vfio"};
	static const struct {
		u32 cmd;
		const char *device, *container;
	} shared[] = {
		{VFIO_DEVICE_FEATURE, "VFIO_DEVICE_FEATURE", "VFIO_IOMMU_DIRTY_PAGES"},
		{VFIO_DEVICE_IOEVENTFD, "VFIO_DEVICE_IOEVENTFD", "VFIO_IOMMU_DISABLE"},
		{VFIO_DEVICE_PCI_HOT_RESET, "VFIO_DEVICE_PCI_HOT_RESET", "VFIO_IOMMU_MAP_DMA"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(shared); i++) {
		assert_string_equal(trace_cmd_vfio(shared[i].cmd, "/dev/vfio/vfio")->name,
				    shared[i].container);
		for (size_t n = 0; n < ARRAY_SIZE(devices); n++) {
			const struct trace_cmd *cmd = trace_cmd_vfio(shared[i].cmd, devices[n]);

			assert_string_equal(cmd->name, shared[i].device);
			assert_fields_are_sound(cmd);
		}
	}
	assert_string_equal(trace_cmd_vfio(VFIO_DEVICE_RESET, devices[0])->name,
			    "VFIO_DEVICE_RESET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_of_the_table_has_a_row_of_its_size),
		cmocka_unit_test(every_test_operation_has_a_row),
		cmocka_unit_test(container_commands_have_rows),
		cmocka_unit_test(a_number_means_what_its_file_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
