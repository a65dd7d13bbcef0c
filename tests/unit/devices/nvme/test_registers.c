/* SPDX-License-Identifier: MIT */
/*
 * Registers, in the four ways to reach them: what a driver sees must be the same.
 */
#include "rig.h"

#include <unistd.h>

static const enum pci_access modes[] = {PCI_ACCESS_POLL, PCI_ACCESS_NO_MMAP, PCI_ACCESS_TRAP,
					PCI_ACCESS_SPLIT};

static enum pci_access mode_of(void **state)
{
	return *(const enum pci_access *)*state;
}

static int end(void **state)
{
	rig_end();
	return 0;
}

static void test_the_controller_says_what_it_can(void **state)
{
	rig_begin(mode_of(state), NULL, 0);
	wait_reg(NVME_REG_VS, UINT32_MAX, 0x00010400);
	assert_int_equal(rd64(NVME_REG_CAP) & 0xffff, NVME_ENTRIES - 1);
	assert_int_equal(rd64(NVME_REG_CAP) >> 37 & 0xff, 1);
	assert_true((rd64(NVME_REG_CAP) >> 24 & 0xff) >= 1);
	assert_int_equal(rd64(NVME_REG_CAP) >> 32 & 0xf, 0);
	assert_int_equal(rd32(NVME_REG_CAP) | (u64)rd32(NVME_REG_CAP + 4) << 32,
			 rd64(NVME_REG_CAP));
	assert_int_equal(rd32(NVME_REG_CSTS), 0);
	assert_int_equal(rd32(NVME_REG_CC), 0);
}

static void test_it_is_enabled_and_disabled_again_and_again(void **state)
{
	rig_begin(mode_of(state), NULL, 0);
	for (int i = 0; i < 5; i++) {
		enable();
		assert_int_equal(identify(1, 0), 0);
		disable();
		assert_int_equal(rd32(NVME_REG_CSTS), 0);
		/* These stay (1.4, 7.3.2). */
		assert_int_equal(rd64(NVME_REG_ASQ), BASE + pair_sq(0));
	}
}

static void test_halves_of_a_register_may_be_written_in_any_order(void **state)
{
	rig_begin(mode_of(state), NULL, 0);
	enable();
	disable();
	wr32(NVME_REG_ASQ + 4, (u32)((BASE + pair_sq(2)) >> 32));
	wr32(NVME_REG_ASQ, (u32)(BASE + pair_sq(2)));
	wr32(NVME_REG_ACQ + 4, (u32)((BASE + pair_cq(2)) >> 32));
	wr32(NVME_REG_ACQ, (u32)(BASE + pair_cq(2)));
	memset(at(pair_cq(2)), 0, 64 * 16);
	wr32(NVME_REG_CC, 0x00460001);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_RDY, 1);
	*(struct nvme_cmd *)at(pair_sq(2)) = (struct nvme_cmd){
		.opcode = NVME_ADMIN_IDENTIFY, .cdw10 = 1, .prp1 = BASE + AT_PAGE, .cid = 77};
	wr32(NVME_REG_DOORBELLS, 1);
	while (!__atomic_load_n(&((struct nvme_cqe *)at(pair_cq(2)))->status, __ATOMIC_ACQUIRE))
		usleep(100);
	assert_int_equal(((struct nvme_cqe *)at(pair_cq(2)))->cid, 77);
}

static void bad_enable(u32 aqa, u64 asq, u32 cc)
{
	wr32(NVME_REG_AQA, aqa);
	wr64(NVME_REG_ASQ, asq);
	wr64(NVME_REG_ACQ, BASE + pair_cq(0));
	wr32(NVME_REG_CC, cc);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_CFS | NVME_CSTS_RDY, NVME_CSTS_CFS);
	wr32(NVME_REG_CC, 0);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_CFS, 0);
}

static void test_a_bad_configuration_is_fatal_until_it_is_disabled(void **state)
{
	rig_begin(mode_of(state), NULL, 0);
	bad_enable(0, BASE, 0x00460001);	       /* no queues */
	bad_enable(0x3f003f, BASE, 0x00460071);	       /* another command set */
	bad_enable(0x3f003f, BASE, 0x00460781);	       /* pages of 128 MiB */
	bad_enable(0x3f003f, BASE + PAGE, 0x00460081); /* not on a page of 8 KiB */
	bad_enable(0x3f003f, BASE, 0x00460801);	       /* another arbitration */
	enable();
	assert_int_equal(identify(1, 0), 0);
}

static void test_shutdown_is_reported_done(void **state)
{
	rig_begin_on(mode_of(state), NULL, 0);
	wr32(NVME_REG_CC, 0x00464001);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_SHST, NVME_CSTS_SHST_DONE);
	disable();
	/* Straight from there, as Linux does after a resume. */
	enable();
	assert_int_equal(rd32(NVME_REG_CSTS), NVME_CSTS_RDY);
	assert_int_equal(identify(1, 0), 0);
	/* Abrupt, with the controller off. */
	disable();
	wr32(NVME_REG_CC, 0x00468000);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_SHST, NVME_CSTS_SHST_DONE);
	wr32(NVME_REG_CC, 0);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_SHST, 0);
}

static void test_a_subsystem_reset_is_seen_in_the_status(void **state)
{
	rig_begin_on(mode_of(state), NULL, 0);
	wr32(NVME_REG_NSSR, 1);
	assert_int_equal(identify(1, 0), 0);
	wr32(NVME_REG_NSSR, NVME_NSSR_MAGIC);
	wait_reg(NVME_REG_CSTS, UINT32_MAX, NVME_CSTS_NSSRO);
	assert_int_equal(rd32(NVME_REG_CC), 0);
	assert_int_equal(rd64(NVME_REG_ASQ), 0);
	if (mode_of(state) != PCI_ACCESS_POLL) {
		wr32(NVME_REG_CSTS, NVME_CSTS_NSSRO);
		wait_reg(NVME_REG_CSTS, UINT32_MAX, 0);
	}
	enable();
	assert_int_equal(rd32(NVME_REG_CSTS), NVME_CSTS_RDY);
	assert_int_equal(identify(1, 0), 0);
}

static void test_a_function_reset_gives_power_on_values(void **state)
{
	rig_begin_on(mode_of(state), NULL, 0);
	assert_int_equal(pci_dev_reset(rig.pdev), 0);
	bus_master(true);
	assert_int_equal(rd32(NVME_REG_CC), 0);
	assert_int_equal(rd32(NVME_REG_CSTS), 0);
	assert_int_equal(rd32(NVME_REG_AQA), 0);
	assert_int_equal(rd64(NVME_REG_ACQ), 0);
	enable();
	make_pair(1, 16);
	assert_int_equal(rw(NVME_IO_READ, 0, 8, AT_DATA), 0);
}

static void wait_event(u32 wanted)
{
	struct nvme_cqe cqe = reap(&rig.pairs[0]);

	assert_int_equal(cqe.status >> 1, 0);
	assert_int_equal(cqe.result, wanted);
	assert_int_equal(get_log(NVME_LOG_ERROR, 0, 64, 0), 0);
}

static void test_bad_doorbells_are_reported(void **state)
{
	const struct nvme_cmd event = {.opcode = NVME_ADMIN_ASYNC_EVENT};

	rig_begin_on(mode_of(state), NULL, 0);
	submit(&rig.pairs[0], &event);
	wr32(NVME_REG_DOORBELLS + 8, 5000); /* beyond the queue */
	wait_event(NVME_EVENT_BAD_VALUE);
	submit(&rig.pairs[0], &event);
	wr32(NVME_REG_DOORBELLS + 12, 7); /* more than was completed */
	wait_event(NVME_EVENT_BAD_VALUE);
	submit(&rig.pairs[0], &event);
	wr32(NVME_REG_DOORBELLS + 8 * 9, 1); /* nobody's */
	wait_event(NVME_EVENT_BAD_DOORBELL);
	/* And the queue goes on where it was. */
	wr32(NVME_REG_DOORBELLS + 12, 0);
	assert_int_equal(rw(NVME_IO_READ, 0, 8, AT_DATA), 0);
}

static void test_queues_in_memory_that_is_not_there_are_fatal(void **state)
{
	rig_begin(mode_of(state), NULL, 0);
	wr32(NVME_REG_AQA, 0x3f003f);
	wr64(NVME_REG_ASQ, HOLE);
	wr64(NVME_REG_ACQ, BASE + pair_cq(0));
	wr32(NVME_REG_CC, 0x00460001);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_RDY, 1);
	wr32(NVME_REG_DOORBELLS, 1);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_CFS, NVME_CSTS_CFS);
	wr32(NVME_REG_DOORBELLS, 2);
	disable();
	assert_int_equal(rd32(NVME_REG_CSTS), 0);
	enable();
	/* A completion queue that cannot be written. */
	assert_int_equal(create_cq(1, 2, 1, RO), 0);
	assert_int_equal(create_sq(1, 2, 1, BASE + pair_sq(1)), 0);
	rig.pairs[1] = (struct pair){.id = 1, .size = 2, .phase = true};
	submit(&rig.pairs[1], &(struct nvme_cmd){.nsid = 1});
	wait_reg(NVME_REG_CSTS, NVME_CSTS_CFS, NVME_CSTS_CFS);
	disable();
	enable();
	assert_int_equal(identify(1, 0), 0);
}

static void wait_pin(bool level)
{
	while (atomic_load(&rig.pin) != level)
		usleep(100);
}

/* Where registers are mapped it takes a while until the controller has seen what was written. */
static void wait_masked(u32 mask)
{
	while (!(atomic_load(&rig.nvme->mask) & mask))
		usleep(100);
}

static void test_the_pin_and_its_mask(void **state)
{
	const struct nvme_cmd cmd = {
		.opcode = NVME_ADMIN_IDENTIFY, .cdw10 = 1, .prp1 = BASE + AT_PAGE};
	u32 shown;

	rig_begin(mode_of(state), NULL, 0);
	pci_irq_set_mode(rig.pdev, PCI_IRQ_INTX);
	enable();
	submit(&rig.pairs[0], &cmd);
	wait_pin(true);
	wr32(NVME_REG_INTMS, 1);
	wait_pin(false);
	shown = rd32(NVME_REG_INTMS);
	assert_int_equal(shown, 1);
	wr32(NVME_REG_INTMC, 1);
	wait_pin(true);
	reap(&rig.pairs[0]);
	wait_pin(false);
	/* The same mask written to both a second time. */
	wr32(NVME_REG_INTMS, 1);
	wait_masked(1);
	submit(&rig.pairs[0], &cmd);
	reap(&rig.pairs[0]);
	assert_false(atomic_load(&rig.pin));
	wr32(NVME_REG_INTMC, 1);
	submit(&rig.pairs[0], &cmd);
	wait_pin(true);
}

static void wait_irqs(u32 vector, u32 wanted)
{
	while (atomic_load(&rig.irqs[vector]) < wanted)
		usleep(100);
}

static void test_each_completion_queue_has_its_vector(void **state)
{
	rig_begin_on(mode_of(state), NULL, 0);
	make_pair(2, 16);
	wait_irqs(0, 1);
	assert_int_equal(atomic_load(&rig.irqs[1]), 0);
	assert_int_equal(rw(NVME_IO_READ, 0, 1, AT_DATA), 0);
	wait_irqs(1, 1);
	assert_int_equal(atomic_load(&rig.irqs[2]), 0);
}

static void test_messages_can_be_masked(void **state)
{
	rig_begin(mode_of(state), NULL, 0);
	pci_irq_set_mode(rig.pdev, PCI_IRQ_MSI);
	enable();
	make_pair(2, 16);
	wait_irqs(0, 1);
	wr32(NVME_REG_INTMS, 1 << 2);
	wait_masked(1 << 2);
	submit(&rig.pairs[2], &(struct nvme_cmd){.opcode = NVME_IO_FLUSH, .nsid = 1});
	reap(&rig.pairs[2]);
	usleep(2000);
	assert_int_equal(atomic_load(&rig.irqs[2]), 0);
	wr32(NVME_REG_INTMC, 1 << 2);
	wait_irqs(2, 1);
}

static void test_interrupts_are_gathered_when_asked(void **state)
{
	const struct nvme_cmd cmd = rw_cmd(NVME_IO_READ, 0, 1, AT_DATA);
	u64 start, took;

	rig_begin_on(mode_of(state), NULL, 0);
	/* Sixteen, or 20 ms. */
	assert_int_equal(set_feature(NVME_FEAT_COALESCING, 15 | 200 << 8, NULL), 0);
	start = nvme_now();
	submit(&rig.pairs[1], &cmd);
	reap(&rig.pairs[1]);
	wait_irqs(1, 1);
	took = nvme_now() - start;
	assert_true(took >= 19000000);
	assert_int_equal(set_feature(NVME_FEAT_VECTOR, 1 | 1 << 16, NULL), 0);
	submit(&rig.pairs[1], &cmd);
	reap(&rig.pairs[1]);
	wait_irqs(1, 2);
}

static void test_read_only_registers_keep_their_values(void **state)
{
	rig_begin(mode_of(state), NULL, 0);
	wr64(NVME_REG_CAP, 0);
	wr32(NVME_REG_VS, 0);
	wr32(NVME_REG_CSTS, 0xf);
	enable();
	assert_int_equal(identify(1, 0), 0);
	wait_reg(NVME_REG_VS, ~0u, 0x00010400);
	assert_int_equal(rd64(NVME_REG_CAP) & 0xffff, NVME_ENTRIES - 1);
	assert_int_equal(rd32(NVME_REG_CSTS), NVME_CSTS_RDY);
}

static void test_without_bus_master_nothing_moves_until_it_is_back(void **state)
{
	const struct nvme_cmd cmd = rw_cmd(NVME_IO_READ, 0, 1, AT_DATA);
	struct nvme_cqe cqe;

	rig_begin_on(mode_of(state), NULL, 0);
	bus_master(false);
	submit(&rig.pairs[1], &cmd);
	usleep(20000);
	assert_false(try_reap(&rig.pairs[1], &cqe));
	assert_int_equal(rd32(NVME_REG_CSTS), NVME_CSTS_RDY);
	bus_master(true);
	assert_int_equal(reap(&rig.pairs[1]).status >> 1, 0);
}

static void test_every_offset_and_size_may_be_touched(void **state)
{
	const u8 junk[64] = {1, 2, 3, 4, 5, 6, 7, 8};
	u64 value;

	rig_begin(mode_of(state), NULL, 0);
	for (u32 size = 1; size <= 64; size *= 2)
		for (u32 offset = 0; offset < NVME_BAR_SIZE && size != 16 && size != 32;
		     offset += size) {
			if (size <= 8)
				assert_int_equal(
					pci_bar_access(rig.pdev, 0, offset, &value, size, false),
					0);
			assert_int_equal(
				pci_bar_access(rig.pdev, 0, offset, (void *)junk, size, true), 0);
		}
	assert_int_equal(pci_dev_reset(rig.pdev), 0);
	bus_master(true);
	enable();
	assert_int_equal(identify(1, 0), 0);
}

#define T_IN(f, mode, n) {#f " (" mode ")", f, NULL, end, (void *)&modes[n]}
#define T(f) T_IN(f, "poll", 0), T_IN(f, "no-mmap", 1), T_IN(f, "trap", 2), T_IN(f, "split", 3)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_controller_says_what_it_can),
		T(test_it_is_enabled_and_disabled_again_and_again),
		T(test_halves_of_a_register_may_be_written_in_any_order),
		T(test_a_bad_configuration_is_fatal_until_it_is_disabled),
		T(test_shutdown_is_reported_done),
		T(test_a_subsystem_reset_is_seen_in_the_status),
		T(test_a_function_reset_gives_power_on_values),
		T(test_bad_doorbells_are_reported),
		T(test_queues_in_memory_that_is_not_there_are_fatal),
		T(test_the_pin_and_its_mask),
		T(test_each_completion_queue_has_its_vector),
		T(test_messages_can_be_masked),
		T(test_interrupts_are_gathered_when_asked),
		T(test_read_only_registers_keep_their_values),
		T(test_without_bus_master_nothing_moves_until_it_is_back),
		T(test_every_offset_and_size_may_be_touched),
	};

	return cmocka_run_group_tests_name("nvme registers", tests, NULL, NULL);
}
