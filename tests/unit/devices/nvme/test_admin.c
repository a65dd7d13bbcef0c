/* SPDX-License-Identifier: MIT */
/*
 * Admin commands and their errors.
 */
#include "rig.h"

#include <unistd.h>

static int begin(void **state)
{
	rig_begin_on(PCI_ACCESS_POLL, NULL, 0);
	return 0;
}

static int end(void **state)
{
	rig_end();
	return 0;
}

static u32 page32(u32 offset)
{
	u32 value;

	memcpy(&value, at(AT_PAGE + offset), sizeof(value));
	return value;
}

static u64 page64(u32 offset)
{
	u64 value;

	memcpy(&value, at(AT_PAGE + offset), sizeof(value));
	return value;
}

static u8 page8(u32 offset)
{
	return *(u8 *)at(AT_PAGE + offset);
}

static void test_identify_describes_controller_and_namespace(void **state)
{
	assert_int_equal(identify(1, 0), 0);
	assert_memory_equal(at(AT_PAGE + 4), "UIOMMUFD00000008    ", 20);
	assert_int_equal(page8(77), NVME_MDTS);
	assert_int_equal(page32(80), 0x00010400);
	assert_int_equal(page8(512), 0x66);
	assert_int_equal(page8(513), 0x44);
	assert_int_equal(page32(516), 1);
	assert_int_equal(page8(525) & 1, 1);
	assert_int_equal(page32(256) & 1 << 8, 0); /* no doorbell buffers */
	assert_int_equal(page32(536) & 3, 1);
	assert_memory_equal(at(AT_PAGE + 768), "nqn.2014-08.org.nvmexpress:uuid:", 32);
	assert_int_equal(identify(0, 1), 0);
	assert_int_equal(page64(0), (64 << 20) / 512);
	assert_int_equal(page64(8), page64(0));
	assert_int_equal(page8(26), 0);
	assert_int_equal(page32(128), 9 << 16);
	assert_int_equal(page32(132), 12 << 16);
	assert_int_equal(identify(2, 0), 0);
	assert_int_equal(page32(0), 1);
	assert_int_equal(page32(4), 0);
	assert_int_equal(identify(2, 1), 0);
	assert_int_equal(page32(0), 0);
	assert_int_equal(identify(3, 1), 0);
	assert_int_equal(page8(0), 2);
	assert_int_equal(page8(20), 3);
}

/* Linux takes two controllers of one name for one subsystem, and refuses the second. */
static void test_two_disks_of_a_machine_have_different_names(void **state)
{
	struct pci_addr addr = {.devfn = 2 << 3};
	char serial[NVME_SERIAL + 1], other[NVME_SERIAL + 1], error[200];
	struct pci_dev *second;

	assert_int_equal(nvme_model.create(rig.system, NULL, 0, &second, error, sizeof(error)), 0);
	assert_int_equal(pci_dev_add(rig.topology, second, addr, iommufd_generic_probe), 0);
	nvme_serial(rig.nvme, serial);
	nvme_serial(to_nvme(second), other);
	assert_string_equal(serial, "UIOMMUFD00000008");
	assert_string_equal(other, "UIOMMUFD00000010");
	pci_dev_remove(second);
}

static void test_identify_refuses_what_it_does_not_have(void **state)
{
	assert_int_equal(identify(0, 0), NVME_SC_INVALID_NS);
	assert_int_equal(identify(0, 2), NVME_SC_INVALID_NS);
	assert_int_equal(identify(2, NVME_NSID_ALL), NVME_SC_INVALID_NS);
	assert_int_equal(identify(3, 7), NVME_SC_INVALID_NS);
	assert_int_equal(identify(6, 1), NVME_SC_INVALID_FIELD);
	assert_int_equal(identify(0xff, 1), NVME_SC_INVALID_FIELD);
}

static void test_queues_are_created_with_sound_arguments_only(void **state)
{
	u64 where = BASE + pair_cq(2);
	struct nvme_cmd cmd = {
		.opcode = NVME_ADMIN_CREATE_CQ, .prp1 = where, .cdw10 = 2 | 15 << 16, .cdw11 = 2};

	assert_int_equal(create_cq(0, 16, 0, where), NVME_SC_QID);
	assert_int_equal(create_cq(1, 16, 0, where), NVME_SC_QID);
	assert_int_equal(create_cq(65, 16, 0, where), NVME_SC_QID);
	assert_int_equal(create_cq(0xffff, 16, 0, where), NVME_SC_QID);
	assert_int_equal(create_cq(2, 1, 0, where), NVME_SC_QSIZE);
	assert_int_equal(create_cq(2, NVME_ENTRIES + 1, 0, where), NVME_SC_QSIZE);
	assert_int_equal(create_cq(2, 16, 65, where), NVME_SC_VECTOR);
	assert_int_equal(create_cq(2, 16, 0, where + 8), NVME_SC_PRP_OFFSET);
	assert_int_equal(admin(&cmd, NULL), NVME_SC_INVALID_FIELD); /* scattered */
	assert_int_equal(create_sq(2, 16, 3, BASE + pair_sq(2)), NVME_SC_CQ_INVALID);
	assert_int_equal(create_sq(2, 16, 0, BASE + pair_sq(2)), NVME_SC_QID);
	assert_int_equal(create_sq(2, 16, 300, BASE + pair_sq(2)), NVME_SC_QID);
	assert_int_equal(create_sq(1, 16, 1, BASE + pair_sq(2)), NVME_SC_QID);
	assert_int_equal(create_sq(2, 1, 1, BASE + pair_sq(2)), NVME_SC_QSIZE);
}

static void test_queues_are_deleted_in_the_right_order_only(void **state)
{
	assert_int_equal(delete_queue(NVME_ADMIN_DELETE_CQ, 1), NVME_SC_QUEUE_DELETION);
	assert_int_equal(delete_queue(NVME_ADMIN_DELETE_SQ, 0), NVME_SC_QID);
	assert_int_equal(delete_queue(NVME_ADMIN_DELETE_SQ, 2), NVME_SC_QID);
	assert_int_equal(delete_queue(NVME_ADMIN_DELETE_SQ, 1), 0);
	assert_int_equal(delete_queue(NVME_ADMIN_DELETE_SQ, 1), NVME_SC_QID);
	assert_int_equal(delete_queue(NVME_ADMIN_DELETE_CQ, 1), 0);
	assert_int_equal(delete_queue(NVME_ADMIN_DELETE_CQ, 1), NVME_SC_QID);
	make_pair(1, 4096);
	assert_int_equal(rw(NVME_IO_READ, 0, 1, AT_DATA), 0);
}

static void test_several_queues_share_a_completion_queue(void **state)
{
	struct nvme_cmd cmd = rw_cmd(NVME_IO_READ, 0, 1, AT_DATA);
	u32 seen[4] = {0};

	rig.pairs[2] = (struct pair){.id = 2, .size = 16, .phase = true};
	rig.pairs[3] = (struct pair){.id = 3, .size = 16, .phase = true};
	assert_int_equal(create_sq(2, 16, 1, BASE + pair_sq(2)), 0);
	assert_int_equal(create_sq(3, 16, 1, BASE + pair_sq(3)), 0);
	for (int i = 0; i < 10; i++) {
		submit(&rig.pairs[1], &cmd);
		submit(&rig.pairs[2], &cmd);
		submit(&rig.pairs[3], &cmd);
	}
	for (int i = 0; i < 30; i++)
		seen[reap(&rig.pairs[1]).sq_id]++;
	assert_int_equal(seen[1], 10);
	assert_int_equal(seen[2], 10);
	assert_int_equal(seen[3], 10);
	assert_int_equal(delete_queue(NVME_ADMIN_DELETE_CQ, 1), NVME_SC_QUEUE_DELETION);
}

static void test_all_queues_can_be_had(void **state)
{
	u32 result;

	assert_int_equal(set_feature(NVME_FEAT_QUEUES, 1 | 1 << 16, &result), NVME_SC_SEQUENCE);
	disable();
	enable();
	assert_int_equal(set_feature(NVME_FEAT_QUEUES, 0xffff, &result), NVME_SC_INVALID_FIELD);
	assert_int_equal(set_feature(NVME_FEAT_QUEUES, 9 | 9 << 16, &result), 0);
	assert_int_equal(result, 63 | 63 << 16);
	assert_int_equal(get_feature(NVME_FEAT_QUEUES, 0, &result), 0);
	assert_int_equal(result, 63 | 63 << 16);
	for (u16 i = 1; i <= 64; i++) {
		assert_int_equal(create_cq(i, 8, i, BASE + AT_DATA + i * 0x1000), 0);
		assert_int_equal(create_sq(i, 8, i, BASE + AT_DATA + (100 + i) * 0x1000), 0);
	}
	for (u16 i = 64; i >= 1; i--) {
		assert_int_equal(delete_queue(NVME_ADMIN_DELETE_SQ, i), 0);
		assert_int_equal(delete_queue(NVME_ADMIN_DELETE_CQ, i), 0);
	}
}

static void test_features_have_values_and_defaults(void **state)
{
	u32 result;

	assert_int_equal(get_feature(NVME_FEAT_WRITE_CACHE, 0, &result), 0);
	assert_int_equal(result, 1);
	assert_int_equal(set_feature(NVME_FEAT_WRITE_CACHE, 0, NULL), 0);
	assert_int_equal(get_feature(NVME_FEAT_WRITE_CACHE, 0, &result), 0);
	assert_int_equal(result, 0);
	assert_int_equal(get_feature(NVME_FEAT_WRITE_CACHE | 1 << 8, 0, &result), 0);
	assert_int_equal(result, 1);
	assert_int_equal(get_feature(NVME_FEAT_WRITE_CACHE | 3 << 8, 0, &result), 0);
	assert_int_equal(result, 4);
	assert_int_equal(set_feature(NVME_FEAT_TEMPERATURE, 350, NULL), 0);
	assert_int_equal(set_feature(NVME_FEAT_TEMPERATURE, 250 | 1 << 20, NULL), 0);
	assert_int_equal(get_feature(NVME_FEAT_TEMPERATURE, 0, &result), 0);
	assert_int_equal(result, 350);
	assert_int_equal(get_feature(NVME_FEAT_TEMPERATURE, 1 << 20, &result), 0);
	assert_int_equal(result, 250);
	assert_int_equal(set_feature(NVME_FEAT_TEMPERATURE, 300 | 3 << 16, NULL),
			 NVME_SC_INVALID_FIELD);
	assert_int_equal(set_feature(NVME_FEAT_VECTOR, 3 | 1 << 16, NULL), 0);
	assert_int_equal(get_feature(NVME_FEAT_VECTOR, 3, &result), 0);
	assert_int_equal(result, 3 | 1 << 16);
	assert_int_equal(set_feature(NVME_FEAT_VECTOR, 300, NULL), NVME_SC_INVALID_FIELD);
	assert_int_equal(set_feature(NVME_FEAT_POWER, 1, NULL), NVME_SC_INVALID_FIELD);
	assert_int_equal(set_feature(NVME_FEAT_ARBITRATION, 7, NULL), 0);
	assert_int_equal(set_feature(NVME_FEAT_ERROR_RECOVERY, 5, NULL), 0);
	assert_int_equal(set_feature(0x0f, 1000, NULL), NVME_SC_INVALID_FIELD); /* keep alive */
	assert_int_equal(get_feature(0x0d, 0, NULL), NVME_SC_INVALID_FIELD);
	assert_int_equal(get_feature(0xc0, 0, NULL), NVME_SC_INVALID_FIELD);
	assert_int_equal(set_feature(NVME_FEAT_WRITE_CACHE | 1U << 31, 1, NULL),
			 NVME_SC_NOT_SAVEABLE);
	/* A reset of the controller forgets them. */
	disable();
	enable();
	assert_int_equal(get_feature(NVME_FEAT_WRITE_CACHE, 0, &result), 0);
	assert_int_equal(result, 1);
}

static void test_the_clock_runs(void **state)
{
	u64 ms = 1700000000000ULL;

	memcpy(at(AT_PAGE), &ms, 8);
	assert_int_equal(set_feature(NVME_FEAT_TIMESTAMP, 0, NULL), 0);
	usleep(5000);
	assert_int_equal(get_feature(NVME_FEAT_TIMESTAMP, 0, NULL), 0);
	assert_true((page64(0) & (BIT_ULL(48) - 1)) >= ms + 5);
	assert_true((page64(0) & (BIT_ULL(48) - 1)) < ms + 60000);
	assert_int_equal(page64(0) >> 48, 2);
}

static void test_log_pages_can_be_read_in_parts(void **state)
{
	assert_int_equal(get_log(NVME_LOG_SMART, 0, 512, 0), 0);
	assert_int_equal(page8(0), 0);
	assert_int_equal(page8(1) | page8(2) << 8, 300);
	assert_int_equal(page64(112), 1);
	assert_int_equal(get_log(NVME_LOG_FIRMWARE, 0, 512, 0), 0);
	assert_int_equal(page8(0), 1);
	assert_memory_equal(at(AT_PAGE + 8), "1.0     ", 8);
	assert_int_equal(get_log(NVME_LOG_EFFECTS, 0, 4096, 0), 0);
	assert_int_equal(page32(4 * NVME_ADMIN_IDENTIFY), 1);
	assert_int_equal(page32(1024 + 4 * NVME_IO_WRITE), 3);
	assert_int_equal(get_log(NVME_LOG_EFFECTS, 0, 16, 1024), 0);
	assert_int_equal(page32(4), 3);
	assert_int_equal(page32(16), 0xeeeeeeee); /* not a byte more */
	/* Beyond the end there are zeros. */
	assert_int_equal(get_log(NVME_LOG_SMART, 0, 1024, 256), 0);
	assert_int_equal(page32(512), 0);
	assert_int_equal(get_log(NVME_LOG_SMART, 0, 64, 512), NVME_SC_INVALID_FIELD);
	assert_int_equal(get_log(NVME_LOG_SMART, 0, 64, 2), NVME_SC_INVALID_FIELD);
	assert_int_equal(get_log(0x80, 0, 64, 0), NVME_SC_LOG_PAGE);
	assert_int_equal(get_log(0, 0, 64, 0), NVME_SC_LOG_PAGE);
}

static void test_errors_are_logged(void **state)
{
	struct nvme_error_entry *entry = at(AT_PAGE);

	assert_int_equal(rw(NVME_IO_READ, BIT_ULL(40), 1, AT_DATA), NVME_SC_LBA_RANGE);
	assert_int_equal(get_log(NVME_LOG_ERROR, 0, 128, 0), 0);
	assert_int_equal(entry->count, 1);
	assert_int_equal(entry->sq_id, 1);
	assert_int_equal(entry->lba, BIT_ULL(40));
	assert_int_equal(entry->nsid, 1);
	assert_int_equal(entry->status >> 1 & ~NVME_SC_MORE, NVME_SC_LBA_RANGE);
	assert_int_equal(entry[1].count, 0);
	for (int i = 0; i < 20; i++)
		rw(NVME_IO_READ, BIT_ULL(40) + i, 1, AT_DATA);
	assert_int_equal(get_log(NVME_LOG_ERROR, 0, NVME_ERRORS * 64, 0), 0);
	assert_int_equal(entry->count, 21);
	assert_int_equal(entry[NVME_ERRORS - 1].count, 21 - NVME_ERRORS + 1);
	assert_int_equal(get_log(NVME_LOG_SMART, 0, 512, 0), 0);
	assert_int_equal(page64(176), 21);
}

static void test_what_is_not_there_is_refused(void **state)
{
	static const u8 opcodes[] = {0x03, 0x0d, 0x10, 0x18, 0x7c, 0x7f, 0x81, 0xc0};
	struct nvme_cmd cmd = {
		.opcode = NVME_ADMIN_IDENTIFY, .cdw10 = 1, .flags = 0x40, .prp1 = BASE + AT_PAGE};

	for (u32 i = 0; i < ARRAY_SIZE(opcodes); i++)
		assert_int_equal(admin(&(struct nvme_cmd){.opcode = opcodes[i]}, NULL),
				 NVME_SC_INVALID_OPCODE);
	assert_int_equal(admin(&cmd, NULL), NVME_SC_INVALID_FIELD);
	cmd.flags = 1;
	assert_int_equal(admin(&cmd, NULL), NVME_SC_INVALID_FIELD);
}

static const struct nvme_cmd event = {.opcode = NVME_ADMIN_ASYNC_EVENT};

static void test_events_wait_for_each_other(void **state)
{
	u16 first, second;
	struct nvme_cqe cqe;

	assert_int_equal(set_feature(NVME_FEAT_EVENTS, 0x11f, NULL), 0);
	first = submit(&rig.pairs[0], &event);
	second = submit(&rig.pairs[0], &event);
	assert_int_equal(identify(1, 0), 0);
	assert_int_equal(nvme_inject(rig.pdev, "smart", "spare"), 0);
	cqe = reap(&rig.pairs[0]);
	assert_int_equal(cqe.cid, first);
	assert_int_equal(cqe.result, NVME_EVENT_SPARE);
	/* Of the same type: not before the log has been read. */
	assert_int_equal(nvme_inject(rig.pdev, "smart", "reliability"), 0);
	usleep(10000);
	assert_false(try_reap(&rig.pairs[0], &cqe));
	assert_int_equal(get_log(NVME_LOG_SMART, 1 << 15, 512, 0), 0); /* RAE */
	assert_int_equal(page8(0), 5);
	usleep(10000);
	assert_false(try_reap(&rig.pairs[0], &cqe));
	assert_int_equal(get_log(NVME_LOG_SMART, 0, 512, 0), 0);
	cqe = reap(&rig.pairs[0]);
	assert_int_equal(cqe.cid, second);
	assert_int_equal(cqe.result, NVME_EVENT_RELIABILITY);
}

static void test_temperature_beyond_a_threshold_is_an_event(void **state)
{
	struct nvme_cqe cqe;

	assert_int_equal(set_feature(NVME_FEAT_EVENTS, 2, NULL), 0);
	submit(&rig.pairs[0], &event);
	assert_int_equal(nvme_inject(rig.pdev, "smart", "temperature=310"), 0);
	usleep(10000);
	assert_false(try_reap(&rig.pairs[0], &cqe));
	assert_int_equal(nvme_inject(rig.pdev, "smart", "temperature=350"), 0);
	assert_int_equal(reap(&rig.pairs[0]).result, NVME_EVENT_TEMPERATURE);
	assert_int_equal(get_log(NVME_LOG_SMART, 0, 512, 0), 0);
	assert_int_equal(page8(0), 2);
	assert_int_equal(nvme_inject(rig.pdev, "smart", "ok"), 0);
	assert_int_equal(get_log(NVME_LOG_SMART, 0, 512, 0), 0);
	assert_int_equal(page8(0), 0);
	/* A threshold that is crossed by being set. */
	submit(&rig.pairs[0], &event);
	submit(&rig.pairs[0], &(struct nvme_cmd){.opcode = NVME_ADMIN_SET_FEATURES,
						 .cdw10 = NVME_FEAT_TEMPERATURE,
						 .cdw11 = 290});
	reap(&rig.pairs[0]);
	assert_int_equal(reap(&rig.pairs[0]).result, NVME_EVENT_TEMPERATURE);
}

static void test_a_namespace_that_changes_is_an_event(void **state)
{
	assert_int_equal(set_feature(NVME_FEAT_EVENTS, 0x100, NULL), 0);
	submit(&rig.pairs[0], &event);
	assert_int_equal(nvme_inject(rig.pdev, "namespace-change", "32M"), 0);
	assert_int_equal(reap(&rig.pairs[0]).result, NVME_EVENT_NS_CHANGED);
	assert_int_equal(get_log(NVME_LOG_CHANGED_NS, 0, 4096, 0), 0);
	assert_int_equal(page32(0), 1);
	assert_int_equal(get_log(NVME_LOG_CHANGED_NS, 0, 4096, 0), 0);
	assert_int_equal(page32(0), 0);
	assert_int_equal(identify(0, 1), 0);
	assert_int_equal(page64(0), (32 << 20) / 512);
	assert_int_equal(rw(NVME_IO_READ, (32 << 20) / 512, 1, AT_DATA), NVME_SC_LBA_RANGE);
}

static void test_four_events_may_be_asked_for(void **state)
{
	struct nvme_cmd abort_cmd = {.opcode = NVME_ADMIN_ABORT};
	struct nvme_cqe cqe;
	u16 ids[4];
	u32 result;

	for (int i = 0; i < 4; i++)
		ids[i] = submit(&rig.pairs[0], &event);
	assert_int_equal(admin(&event, NULL), NVME_SC_AER_LIMIT);
	abort_cmd.cdw10 = (u32)ids[2] << 16;
	submit(&rig.pairs[0], &abort_cmd);
	cqe = reap(&rig.pairs[0]);
	assert_int_equal(cqe.cid, ids[2]);
	assert_int_equal(cqe.status >> 1, NVME_SC_ABORTED);
	cqe = reap(&rig.pairs[0]);
	assert_int_equal(cqe.result & 1, 0);
	abort_cmd.cdw10 = 0xfff0000;
	assert_int_equal(admin(&abort_cmd, &result), 0);
	assert_int_equal(result & 1, 1);
	submit(&rig.pairs[0], &event);
	assert_int_equal(admin(&event, NULL), NVME_SC_AER_LIMIT);
}

static void test_events_wait_for_room_in_the_queue(void **state)
{
	struct nvme_cqe cqe;

	assert_int_equal(set_feature(NVME_FEAT_EVENTS, 0x11f, NULL), 0);
	submit(&rig.pairs[0], &event);
	/* 63 completions nobody takes; the other queue has no room for that many and the event. */
	for (int i = 0; i < 62; i++)
		submit(&rig.pairs[0], &(struct nvme_cmd){.opcode = 0x7f});
	wait_posted(&rig.pairs[0], 62);
	submit(&rig.pairs[0], &(struct nvme_cmd){.opcode = 0x7f});
	wait_posted(&rig.pairs[0], 63);
	assert_int_equal(nvme_inject(rig.pdev, "smart", "spare"), 0);
	usleep(20000);
	for (int i = 0; i < 63; i++) {
		cqe = reap(&rig.pairs[0]);
		assert_int_equal(cqe.status >> 1 & 0xff, 1);
	}
	assert_int_equal(reap(&rig.pairs[0]).result, NVME_EVENT_SPARE);
}

static void test_a_command_that_waits_is_aborted(void **state)
{
	struct nvme_cmd abort_cmd = {.opcode = NVME_ADMIN_ABORT};
	struct nvme_cmd cmd = rw_cmd(NVME_IO_READ, 0, 8, AT_DATA);
	u32 result;
	u16 cid;

	assert_int_equal(nvme_inject(rig.pdev, "slow", "60000"), 0);
	cid = submit(&rig.pairs[1], &cmd);
	wait_fetched();
	abort_cmd.cdw10 = 1 | (u32)cid << 16;
	assert_int_equal(admin(&abort_cmd, &result), 0);
	assert_int_equal(result & 1, 0);
	assert_int_equal(reap(&rig.pairs[1]).status >> 1, NVME_SC_ABORTED);
}

static void test_a_queue_is_deleted_under_load(void **state)
{
	struct nvme_cmd cmd = rw_cmd(NVME_IO_READ, 0, 8, AT_DATA);
	struct nvme_cqe cqe;
	u32 done = 0;

	assert_int_equal(nvme_inject(rig.pdev, "slow", "60000"), 0);
	for (int i = 0; i < 100; i++)
		submit(&rig.pairs[1], &cmd);
	wait_fetched();
	assert_int_equal(delete_queue(NVME_ADMIN_DELETE_SQ, 1), 0);
	while (try_reap(&rig.pairs[1], &cqe)) {
		assert_int_equal(cqe.status >> 1, NVME_SC_ABORTED_SQ);
		done++;
	}
	/* Those that were fetched; the others are of no interest any more. */
	assert_true(done && done <= NVME_REQUESTS - NVME_ADMIN_REQUESTS);
	assert_int_equal(nvme_inject(rig.pdev, "slow", "0"), 0);
	assert_int_equal(delete_queue(NVME_ADMIN_DELETE_CQ, 1), 0);
	make_pair(1, 16);
	assert_int_equal(rw(NVME_IO_READ, 0, 8, AT_DATA), 0);
}

static int format(u32 dw10)
{
	return admin(&(struct nvme_cmd){.opcode = NVME_ADMIN_FORMAT, .nsid = 1, .cdw10 = dw10},
		     NULL);
}

static void test_format_erases_and_changes_the_block(void **state)
{
	struct nvme_cmd cmd;

	memset(at(AT_DATA), 0x5a, 8 * PAGE);
	assert_int_equal(rw(NVME_IO_WRITE, 0, 64, AT_DATA), 0);
	assert_int_equal(format(2), NVME_SC_FORMAT);
	assert_int_equal(format(1 << 5), NVME_SC_FORMAT);
	assert_int_equal(format(2 << 9), NVME_SC_INVALID_FIELD);
	assert_int_equal(format(1), 0);
	assert_int_equal(identify(0, 1), 0);
	assert_int_equal(page64(0), (64 << 20) / 4096);
	assert_int_equal(page8(26), 1);
	cmd = rw_cmd(NVME_IO_READ, 0, 8, AT_DATA);
	cmd.cdw12 = 0; /* one block is as much now */
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), 0);
	for (u32 i = 0; i < PAGE; i++)
		assert_int_equal(*(u8 *)at(AT_DATA + i), 0);
	assert_int_equal(*(u8 *)at(AT_DATA + PAGE), 0x5a);
	assert_int_equal(format(1 << 9), 0);
	assert_int_equal(identify(0, 1), 0);
	assert_int_equal(page64(0), (64 << 20) / 512);
}

static void test_a_read_only_disk_is_not_formatted(void **state)
{
	const struct device_option options[] = {{"readonly", "on"}};

	rig_end();
	rig_begin_on(PCI_ACCESS_NO_MMAP, options, 1);
	assert_int_equal(format(0), NVME_SC_READ_ONLY);
	assert_int_equal(rw(NVME_IO_WRITE, 0, 1, AT_DATA), NVME_SC_READ_ONLY);
	assert_int_equal(rw(NVME_IO_READ, 0, 1, AT_DATA), 0);
	assert_int_equal(identify(0, 1), 0);
	assert_int_equal(page8(99), 1);
}

static void test_fatal_is_told_by_status_and_interrupt(void **state)
{
	assert_int_equal(nvme_inject(rig.pdev, "fatal", NULL), 0);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_CFS, NVME_CSTS_CFS);
	/* The status is there before the interrupt. */
	while (!atomic_load(&rig.errors))
		usleep(1000);
	assert_int_equal(atomic_load(&rig.errors), 1);
	disable();
	enable();
	assert_int_equal(identify(1, 0), 0);
}

static void test_inject_refuses_nonsense(void **state)
{
	static const char *const words[][2] = {
		{"nonsense", "1"},
		{"smart", NULL},
		{"smart", "cold"},
		{"smart", "temperature=x"},
		{"error", "x"},
		{"error", NULL},
		{"slow", "-1"},
		{"slow", "99999999"},
		{"namespace-change", "12Q"},
	};

	for (u32 i = 0; i < ARRAY_SIZE(words); i++)
		assert_int_equal(nvme_inject(rig.pdev, words[i][0], words[i][1]), -EINVAL);
	assert_int_equal(nvme_inject(rig.pdev, "error", "99999999999"), -ERANGE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_identify_describes_controller_and_namespace),
		T(test_two_disks_of_a_machine_have_different_names),
		T(test_identify_refuses_what_it_does_not_have),
		T(test_queues_are_created_with_sound_arguments_only),
		T(test_queues_are_deleted_in_the_right_order_only),
		T(test_several_queues_share_a_completion_queue),
		T(test_all_queues_can_be_had),
		T(test_features_have_values_and_defaults),
		T(test_the_clock_runs),
		T(test_log_pages_can_be_read_in_parts),
		T(test_errors_are_logged),
		T(test_what_is_not_there_is_refused),
		T(test_events_wait_for_each_other),
		T(test_temperature_beyond_a_threshold_is_an_event),
		T(test_a_namespace_that_changes_is_an_event),
		T(test_four_events_may_be_asked_for),
		T(test_events_wait_for_room_in_the_queue),
		T(test_a_command_that_waits_is_aborted),
		T(test_a_queue_is_deleted_under_load),
		T(test_format_erases_and_changes_the_block),
		T(test_a_read_only_disk_is_not_formatted),
		T(test_fatal_is_told_by_status_and_interrupt),
		T(test_inject_refuses_nonsense),
	};

	return cmocka_run_group_tests_name("nvme admin", tests, NULL, NULL);
}
