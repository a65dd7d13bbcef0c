/* SPDX-License-Identifier: MIT */
/*
 * DSA: options, registers, commands, software errors, state.
 */
#include "rig.h"

#include "base/fault.h"

#define WQ(n, dword) (DSA_WQCFG + (n)*DSA_WQCFG_SIZE + 4 * (dword))
#define WQ_STATE(n)  (rd32(WQ(n, 6)) >> 30)

/* ---- options ---- */

static int create(const char *key, const char *value, char *error)
{
	const struct device_option option = {key, value};
	struct iommufd_system *system;
	struct pci_dev *pdev = NULL;
	int rc;

	assert_int_equal(iommufd_system_create(NULL, &system), 0);
	error[0] = 0;
	rc = dsa_model.create(system, &option, key ? 1 : 0, &pdev, error, 200);
	if (!rc)
		pdev->ops->destroy(pdev);
	iommufd_system_destroy(system);
	return rc;
}

static void options_are_taken_or_named_in_the_error(void **state)
{
	static const struct {
		const char *key, *value;
		int rc;
	} cases[] = {
		{"wqs", "1", 0},
		{"wqs", "64", 0},
		{"wqs", "65", -EINVAL},
		{"wqs", "0", -EINVAL},
		{"wqs", "-1", -EINVAL},
		{"wqs", "", -EINVAL},
		{"wqs", "8x", -EINVAL},
		{"engines", "16", 0},
		{"engines", "17", -EINVAL},
		{"groups", "1", 0},
		{"wq-size", "1024", 0},
		{"wq-size", "1025", -EINVAL},
		{"max-transfer", "31", 0},
		{"max-transfer", "11", -EINVAL},
		{"max-batch", "1", 0},
		{"max-batch", "11", -EINVAL},
		{"version", "1.0", 0},
		{"version", "2.0", 0},
		{"version", "3", -EINVAL},
		{"shared", "on", 0},
		{"shared", "yes", -EINVAL},
		{"block-on-fault", "off", 0},
	};
	char error[200];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(create(cases[i].key, cases[i].value, error), cases[i].rc);
		if (cases[i].rc)
			assert_non_null(strstr(error, cases[i].key));
	}
}

static void it_is_made_whole_or_not_at_all(void **state)
{
	struct fault_state faults = {.nth = 0};
	char error[200];
	bool failed = true;

	for (u32 nth = 1; failed; nth++) {
		struct iommufd_system *system;
		struct pci_dev *pdev;
		int rc;

		assert_int_equal(iommufd_system_create(NULL, &system), 0);
		atomic_store(&faults.nth, nth);
		fault_current = &faults;
		rc = dsa_model.create(system, NULL, 0, &pdev, error, sizeof(error));
		fault_current = NULL;
		failed = !atomic_load(&faults.nth);
		assert_int_equal(rc, failed ? -ENOMEM : 0);
		if (!rc)
			pdev->ops->destroy(pdev);
		iommufd_system_destroy(system);
	}
}

static void polled_registers_are_refused(void **state)
{
	pci_dev_close(rig.pdev, &rig.client);
	rig.pdev->access = PCI_ACCESS_POLL;
	assert_int_equal(pci_dev_open(rig.pdev, &rig.client, NULL), -EOPNOTSUPP);
	rig.pdev->access = PCI_ACCESS_NO_MMAP;
	assert_int_equal(pci_dev_open(rig.pdev, &rig.client, NULL), 0);
}

/* ---- registers ---- */

static void capabilities_say_what_it_was_made_with(void **state)
{
	u64 gencap = rd64(DSA_REG_GENCAP), wqcap = rd64(DSA_REG_WQCAP);

	assert_int_equal(pci_config_read(rig.pdev, 0, 4), 0x0b258086);
	assert_int_equal(rd32(DSA_REG_VERSION), 0x100);
	assert_int_equal(gencap >> 16 & 0x1f, 21);
	assert_int_equal(gencap >> 21 & 0xf, 10);
	assert_true(gencap & DSA_GENCAP_BLOCK_ON_FAULT);
	assert_int_equal(wqcap & 0xffff, 128);
	assert_int_equal(wqcap >> 16 & 0xff, 8);
	assert_int_equal(wqcap >> 24 & 0xf, 1);
	assert_true(wqcap & DSA_WQCAP_DEDICATED);
	assert_false(wqcap & DSA_WQCAP_SHARED);
	assert_int_equal(rd64(DSA_REG_GRPCAP) & 0xff, 4);
	assert_int_equal(rd64(DSA_REG_ENGCAP), 4);
	assert_int_equal(rd64(DSA_REG_OPCAP), DSA_OPCAP);
	assert_int_equal((rd64(DSA_REG_OFFSETS) & 0xffff) * DSA_TABLE_UNIT, DSA_GRPCFG);
	assert_int_equal((rd64(DSA_REG_OFFSETS) >> 16 & 0xffff) * DSA_TABLE_UNIT, DSA_WQCFG);
	/* The kernel's test refuses a device that wants interrupt handles to be requested. */
	assert_false(rd32(DSA_REG_CMDCAP) & 1 << 13);
	assert_int_equal(rd32(DSA_REG_GENCAP + 4), (u32)(gencap >> 32));
	assert_int_equal(rd32(DSA_REG_GENSTS), DSA_DISABLED);
}

static void a_driver_brings_it_up_and_down_ten_times(void **state)
{
	for (int i = 0; i < 10; i++) {
		enable_device_and_queue();
		assert_int_equal(rd32(DSA_REG_GENSTS) & 3, DSA_ENABLED);
		assert_int_equal(WQ_STATE(0), 1);
		assert_int_equal(dsa_command(DSA_CMD_RESET, 0), 0);
		assert_int_equal(rd32(DSA_REG_GENSTS) & 3, DSA_DISABLED);
		assert_int_equal(WQ_STATE(0), 0);
		assert_int_equal(rd32(WQ(0, 0)), 0);
		assert_int_equal(rd64(DSA_GRPCFG), 0);
		/* Which operations a queue takes is all of them, until it is said. */
		assert_int_equal(rd64(WQ(0, DSA_WQ_OPCONFIG)), DSA_OPCAP);
	}
}

static void registers_are_writable_while_what_they_configure_is_off(void **state)
{
	u64 value = 0x11;

	bus_master(true);
	configure_queue(0, 64, WQ_DEDICATED);
	configure_queue(1, 32, WQ_DEDICATED);
	configure_group(0, 3, 1);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), 0);
	wr32(WQ(1, 0), 16); /* sizes belong to the device */
	assert_int_equal(rd32(WQ(1, 0)), 32);
	configure_group(0, 1, 3);
	assert_int_equal(rd64(DSA_GRPCFG), 3);
	wr32(WQ(1, 2), WQ_DEDICATED | 2 << 4);
	assert_int_equal(rd32(WQ(1, 2)), WQ_DEDICATED | 2 << 4);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 1), 0);
	wr32(WQ(1, 2), WQ_DEDICATED);
	assert_int_equal(rd32(WQ(1, 2)), WQ_DEDICATED | 2 << 4);
	wr32(WQ(1, 1), 7); /* but the threshold */
	assert_int_equal(rd32(WQ(1, 1)), 7);
	/* Parts of a double word */
	assert_int_equal(pci_bar_access(rig.pdev, 0, WQ(2, 0) + 1, &value, 1, true), 0);
	assert_int_equal(rd32(WQ(2, 0)), 0);
	assert_int_equal(dsa_command(DSA_CMD_RESET, 0), 0);
	assert_int_equal(pci_bar_access(rig.pdev, 0, WQ(2, 0) + 1, &value, 1, true), 0);
	assert_int_equal(rd32(WQ(2, 0)), 0x1100);
	assert_int_equal(pci_bar_access(rig.pdev, 0, WQ(2, 0) + 1, &value, 1, false), 0);
	assert_int_equal(value & 0xff, 0x11);
	wr32(DSA_REG_GENCTRL, 0xff);
	assert_int_equal(rd32(DSA_REG_GENCTRL), 3);
}

/* Whatever is read and written, nothing breaks: the fuzzer's job, a little of it here. */
static void any_offset_may_be_touched(void **state)
{
	u64 value;

	for (u64 offset = 0; offset < DSA_MSIX_TABLE; offset += 8) {
		if (offset == DSA_REG_CMD)
			continue;
		value = rd64(offset);
		wr64(offset, ~value);
		wr64(offset, value);
	}
	assert_int_equal(pci_bar_access(rig.pdev, 2, 0x40, &value, 8, false), 0);
	assert_true(value == UINT64_MAX);
	value = 0;
	for (u32 i = 0; i < 8 * DSA_PORTAL_PAGES; i++)
		assert_int_equal(pci_bar_access(rig.pdev, 2, i * DSA_PORTAL_PAGE, &value, 8, true),
				 0);
}

/* ---- commands ---- */

static void enabling_the_device_finds_what_is_wrong_with_it(void **state)
{
	bus_master(false);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), DSA_CMD_NO_BUS_MASTER);
	bus_master(true);
	configure_queue(0, 64, WQ_DEDICATED);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), DSA_CMD_GROUP_WQ); /* in no group */
	configure_group(0, 1, 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), DSA_CMD_GROUP_HALF);
	configure_group(0, 1, 1);
	configure_group(1, 0, 2);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), DSA_CMD_GROUP_HALF);
	configure_group(1, 1, 2);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), DSA_CMD_GROUP_WQ); /* in two */
	configure_queue(1, 65, WQ_DEDICATED);
	configure_group(1, 2, 2);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), DSA_CMD_WQ_SIZES);
	configure_queue(1, 64, WQ_DEDICATED);
	configure_group(1, 2, 1);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), DSA_CMD_GROUP_ENGINE);
	configure_group(1, 2, 0x10);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), DSA_CMD_GROUP_HALF); /* no such engine */
	configure_group(1, 2, 2);
	wr64(DSA_GRPCFG + 40, 0x1100);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), DSA_CMD_GROUP_FLAGS);
	wr64(DSA_GRPCFG + 40, 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), DSA_CMD_DEV_ENABLED);
}

static void enabling_a_queue_finds_what_is_wrong_with_it(void **state)
{
	bus_master(true);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 8), DSA_CMD_BAD_WQ);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), DSA_CMD_DEV_NOT_ENABLED);
	configure_queue(0, 16, WQ_DEDICATED);
	configure_group(0, 1, 1);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 1), DSA_CMD_WQ_SIZE);
	wr32(WQ(0, 2), DSA_WQ_DEDICATED);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), DSA_CMD_WQ_PRIORITY);
	wr32(WQ(0, 2), 1 << 4);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), DSA_CMD_WQ_MODE);
	wr32(WQ(0, 2), WQ_DEDICATED);
	wr32(WQ(0, 3), 21 | 11 << 5);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), DSA_CMD_WQ_BATCH);
	wr32(WQ(0, 3), 22 | 10 << 5);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), DSA_CMD_WQ_XFER);
	wr32(WQ(0, 3), 21 | 10 << 5);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), DSA_CMD_WQ_ENABLED);
	assert_int_equal(dsa_command(DSA_CMD_DISABLE_WQ, 1), 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), 0);
}

/* Of 2 MiB and 32 descriptors, which idxd writes for who has set nothing. */
static void a_queue_as_linux_makes_it_is_enabled(void **state)
{
	bus_master(true);
	configure_queue(0, 16, WQ_DEDICATED);
	wr32(WQ(0, 3), 21 | 5 << 5);
	configure_group(0, 1, 1);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), 0);
}

static int begin_without_requests(void **state)
{
	const struct device_option options[] = {{"block-on-fault", "off"}, {"shared", "on"}};

	return rig_begin_with(options, ARRAY_SIZE(options));
}

static void queues_take_what_the_device_has(void **state)
{
	bus_master(true);
	configure_queue(0, 16, WQ_DEDICATED | DSA_WQ_BLOCK);
	configure_group(0, 1, 1);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), DSA_CMD_WQ_BLOCK);
	wr32(WQ(0, 2), 1 << 4);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), DSA_CMD_WQ_PASID);
	wr32(WQ(0, 2), 1 << 4 | (u32)DSA_WQ_PASID_EN);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), 0);
}

static void commands_are_refused_where_they_do_not_apply(void **state)
{
	static const u8 device_commands[] = {DSA_CMD_DISABLE, DSA_CMD_DRAIN_ALL, DSA_CMD_ABORT_ALL,
					     DSA_CMD_DRAIN_PASID, DSA_CMD_ABORT_PASID};
	static const u8 queue_commands[] = {DSA_CMD_DISABLE_WQ, DSA_CMD_DRAIN_WQ, DSA_CMD_ABORT_WQ};

	for (size_t i = 0; i < ARRAY_SIZE(device_commands); i++)
		assert_int_equal(dsa_command(device_commands[i], 0), DSA_CMD_DISABLE_NOT_ENABLED);
	for (size_t i = 0; i < ARRAY_SIZE(queue_commands); i++)
		assert_int_equal(dsa_command(queue_commands[i], 1), DSA_CMD_WQ_NOT_ENABLED);
	assert_int_equal(dsa_command(DSA_CMD_RESET_WQ, 1), DSA_CMD_WQ_NOT_ENABLED);
	enable_device_and_queue();
	for (size_t i = 0; i < ARRAY_SIZE(queue_commands); i++) {
		assert_int_equal(dsa_command(queue_commands[i], 0), DSA_CMD_BAD_WQ);
		assert_int_equal(dsa_command(queue_commands[i], 0x100), DSA_CMD_BAD_WQ);
		assert_int_equal(dsa_command(queue_commands[i], 0x10001), DSA_CMD_BAD_WQ);
		assert_int_equal(dsa_command(queue_commands[i], 0xf0001), DSA_CMD_BAD_WQ);
		assert_int_equal(dsa_command(queue_commands[i], 3), DSA_CMD_WQ_NOT_ENABLED);
	}
	assert_int_equal(dsa_command(0, 0), DSA_CMD_BAD_COMMAND);
	for (u32 code = 13; code < 32; code++)
		assert_int_equal(dsa_command(code, 0), DSA_CMD_BAD_COMMAND);
	for (size_t i = 0; i + 2 < ARRAY_SIZE(device_commands); i++)
		assert_int_equal(
			dsa_command(device_commands[ARRAY_SIZE(device_commands) - 1 - i], 0), 0);
	assert_int_equal(dsa_command(DSA_CMD_RESET_WQ, 1), 0);
	assert_int_equal(WQ_STATE(0), 0);
	assert_int_equal(rd32(WQ(0, 2)), 0);
	assert_int_equal(dsa_command(DSA_CMD_DISABLE, 0), 0);
	assert_int_equal(rd32(DSA_REG_GENSTS), DSA_DISABLED);
}

static void a_command_interrupts_if_it_is_asked_to(void **state)
{
	enable_device_and_queue();
	wr32(DSA_REG_CMD, DSA_CMD_DRAIN_ALL << 20);
	assert_int_equal(atomic_load(&rig.irqs[0]), 0);
	wr32(DSA_REG_CMD, (u32)DSA_CMD_IRQ | DSA_CMD_DRAIN_ALL << 20);
	assert_int_equal(rd32(DSA_REG_CMDSTS), 0);
	assert_int_equal(atomic_load(&rig.irqs[0]), 1);
	assert_int_equal(rd32(DSA_REG_INTCAUSE), DSA_CAUSE_COMMAND);
	wr32(DSA_REG_INTCAUSE, DSA_CAUSE_COMMAND);
	assert_int_equal(rd32(DSA_REG_INTCAUSE), 0);
}

/* ---- portals and errors ---- */

static u8 swerr_now(void)
{
	u64 low = rd64(DSA_REG_SWERR);

	wr32(DSA_REG_SWERR, 3);
	assert_int_equal(rd64(DSA_REG_SWERR), 0);
	return low & DSA_SWERR_VALID ? (u8)(low >> 8) : 0;
}

static void a_portal_takes_64_bytes_for_an_enabled_queue(void **state)
{
	struct dsa_desc noop = descriptor(DSA_OP_NOOP, 0, NULL);
	u64 word = 0;

	enable_device_and_queue();
	submit(1, &noop);
	assert_int_equal(rd64(DSA_REG_SWERR) >> 16 & 0xff, 1);
	assert_int_equal(swerr_now(), DSA_SWERR_PORTAL_DISABLED);
	assert_int_equal(pci_bar_access(rig.pdev, 2, 0, &word, 8, true), 0);
	assert_int_equal(swerr_now(), DSA_SWERR_PORTAL_SIZE);
	/* Any place in a queue's portals is as good as another. */
	for (u64 at = 0; at < DSA_PORTAL_PAGES * DSA_PORTAL_PAGE; at += 0xfc0) {
		struct dsa_record *record;
		struct dsa_desc desc = descriptor(DSA_OP_NOOP, WANT, &record);

		assert_int_equal(pci_bar_access(rig.pdev, 2, at & ~0x3fULL, &desc, 64, true), 0);
		assert_int_equal(wait_for(record), DSA_OK);
	}
	assert_int_equal(swerr_now(), 0);
}

static void a_dedicated_queue_that_is_full_is_an_error(void **state)
{
	struct dsa_record *last = NULL;

	bus_master(true);
	configure_queue(0, 4, WQ_DEDICATED);
	configure_group(0, 1, 1);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), 0);
	pci_dev_stop(rig.pdev); /* nothing leaves */
	for (int i = 0; i < 4; i++) {
		struct dsa_desc desc = descriptor(DSA_OP_NOOP, WANT, &last);

		dsa_portal_write(rig.dsa, 0, &desc, sizeof(desc));
		assert_int_equal(dsa_queue_occupancy(&rig.dsa->queues[0]), i + 1);
	}
	struct dsa_desc more = descriptor(DSA_OP_NOOP, 0, NULL);

	dsa_portal_write(rig.dsa, 0, &more, sizeof(more));
	assert_int_equal(rig.dsa->swerr[0] >> 8 & 0xff, DSA_SWERR_PORTAL_FULL);
	pci_dev_start(rig.pdev);
	assert_int_equal(wait_for(last), DSA_OK);
	assert_int_equal(rd32(WQ(0, 6)) & 0xffff, 0);
}

static void the_first_software_error_stays_and_the_second_is_counted(void **state)
{
	struct dsa_desc bad = descriptor(0x7f, 0, NULL);

	enable_device_and_queue();
	wr32(DSA_REG_GENCTRL, (u32)DSA_GENCTRL_SWERR);
	submit(0, &bad);
	assert_int_equal(irqs_until(0, 1), 1);
	assert_int_equal(rd32(DSA_REG_INTCAUSE), DSA_CAUSE_SWERR);
	assert_int_equal(rd64(DSA_REG_SWERR), DSA_SWERR_VALID | DSA_SWERR_DESC | DSA_SWERR_WQ |
						      DSA_SWERR_ERROR(DSA_BAD_OPCODE) |
						      DSA_SWERR_OP(0x7f));
	bad.opflags = DSA_OP_MOVE << 24 | DSA_FLAG_FENCE;
	submit(0, &bad);
	assert_int_equal(dsa_command(DSA_CMD_DRAIN_ALL, 0), 0);
	assert_int_equal(rd64(DSA_REG_SWERR) & 0xff0f, 0xf | DSA_SWERR_ERROR(DSA_BAD_OPCODE));
	wr32(DSA_REG_SWERR, DSA_SWERR_OVERFLOW);
	assert_int_equal(rd32(DSA_REG_SWERR) & 3, DSA_SWERR_VALID);
	assert_int_equal(swerr_now(), DSA_BAD_OPCODE);
	submit(0, &bad);
	assert_int_equal(dsa_command(DSA_CMD_DRAIN_ALL, 0), 0);
	assert_int_equal(rd64(DSA_REG_SWERR + 8) >> 32, DSA_FLAG_FENCE);
	assert_int_equal(swerr_now(), DSA_BAD_FLAGS);
}

static void errors_can_be_injected(void **state)
{
	struct dsa_desc noop = descriptor(DSA_OP_NOOP, WANT, NULL);
	const struct pci_ops *ops = rig.pdev->ops;

	enable_device_and_queue();
	wr32(DSA_REG_GENCTRL, 3);
	assert_int_equal(ops->inject(rig.pdev, "nothing", NULL), -EINVAL);
	assert_int_equal(ops->inject(rig.pdev, "swerr", "0x1x"), -EINVAL);
	assert_int_equal(ops->inject(rig.pdev, "swerr", "0x1a"), 0);
	assert_int_equal(swerr_now(), 0x1a);
	assert_int_equal(ops->inject(rig.pdev, "hw-error", NULL), 0);
	run_status(&noop, DSA_HW_ERROR);
	run_status(&noop, DSA_OK);
	wr32(DSA_REG_INTCAUSE, ~0U);
	assert_int_equal(ops->inject(rig.pdev, "halt", NULL), 0);
	assert_int_equal(rd32(DSA_REG_GENSTS) & 3, DSA_HALTED);
	assert_int_equal(rd32(DSA_REG_INTCAUSE), DSA_CAUSE_HALT);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), DSA_CMD_DEV_ENABLED);
	submit(0, &noop);
	assert_int_equal(swerr_now(), DSA_SWERR_PORTAL_DISABLED);
	enable_device_and_queue();
	run_status(&noop, DSA_OK);
}

/* ---- resets and state ---- */

static void a_function_reset_forgets_everything(void **state)
{
	struct dsa_desc noop = descriptor(DSA_OP_NOOP, WANT, NULL);

	enable_device_and_queue();
	wr32(DSA_REG_GENCTRL, 3);
	assert_int_equal(pci_dev_reset(rig.pdev), 0);
	assert_int_equal(rd32(DSA_REG_GENSTS), 0);
	assert_int_equal(rd32(DSA_REG_GENCTRL), 0);
	assert_int_equal(rd64(DSA_GRPCFG), 0);
	enable_device_and_queue();
	run_status(&noop, DSA_OK);
}

static void state_moves_to_another_device(void **state)
{
	struct dsa_desc noop = descriptor(DSA_OP_NOOP, WANT, NULL);
	const struct pci_ops *ops = rig.pdev->ops;
	size_t len;
	void *data;
	u8 *bad;

	enable_device_and_queue();
	wr32(DSA_REG_GENCTRL, 3);
	pci_dev_stop(rig.pdev);
	assert_int_equal(ops->migrate_save(rig.pdev, &data, &len), 0);
	dsa_portal_write(rig.dsa, 0, &noop, sizeof(noop));
	assert_int_equal(ops->migrate_save(rig.pdev, &(void *){NULL}, &(size_t){0}), -EBUSY);
	assert_int_equal(ops->migrate_load(rig.pdev, data, len), -EBUSY);
	pci_dev_start(rig.pdev);
	assert_int_equal(dsa_command(DSA_CMD_RESET, 0), 0);
	pci_dev_stop(rig.pdev);
	assert_int_equal(ops->migrate_load(rig.pdev, data, len - 1), -EINVAL);
	for (size_t at = 0; at < 56; at++) {
		bad = malloc(len);
		memcpy(bad, data, len);
		bad[at] ^= 0x55;
		ops->migrate_load(rig.pdev, bad, len); /* refused, or harmless */
		free(bad);
	}
	assert_int_equal(ops->migrate_load(rig.pdev, data, len), 0);
	pci_dev_start(rig.pdev);
	free(data);
	assert_int_equal(rd32(DSA_REG_GENCTRL), 3);
	assert_int_equal(WQ_STATE(0), 1);
	run_status(&noop, DSA_OK);
}

int main(void)
{
#define ON(test) cmocka_unit_test_setup_teardown(test, rig_begin, rig_end)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_taken_or_named_in_the_error),
		cmocka_unit_test(it_is_made_whole_or_not_at_all),
		ON(polled_registers_are_refused),
		ON(capabilities_say_what_it_was_made_with),
		ON(a_driver_brings_it_up_and_down_ten_times),
		ON(registers_are_writable_while_what_they_configure_is_off),
		ON(any_offset_may_be_touched),
		ON(enabling_the_device_finds_what_is_wrong_with_it),
		ON(enabling_a_queue_finds_what_is_wrong_with_it),
		ON(a_queue_as_linux_makes_it_is_enabled),
		cmocka_unit_test_setup_teardown(queues_take_what_the_device_has,
						begin_without_requests, rig_end),
		ON(commands_are_refused_where_they_do_not_apply),
		ON(a_command_interrupts_if_it_is_asked_to),
		ON(a_portal_takes_64_bytes_for_an_enabled_queue),
		ON(a_dedicated_queue_that_is_full_is_an_error),
		ON(the_first_software_error_stays_and_the_second_is_counted),
		ON(errors_can_be_injected),
		ON(a_function_reset_forgets_everything),
		ON(state_moves_to_another_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
