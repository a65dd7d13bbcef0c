/* SPDX-License-Identifier: MIT */
/*
 * DSA: memory that is not there, waiting for it, PASIDs, and what commands do to
 * work that is under way.
 */
#include "../../base/set_clock.h"
#include "rig.h"

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"

#define PAGE 4096U

static u8 *data(u64 offset)
{
	return rig.memory + DATA + offset;
}

static u64 iova(u64 offset)
{
	return BASE + DATA + offset;
}

/* HOLE + n * PAGE is DATA + n * PAGE, for the pages before @hole and after it. */
static void map_but(u32 pages, u32 hole)
{
	for (u32 i = 0; i < pages; i++)
		if (i != hole)
			assert_int_equal(map(HOLE + i * PAGE, data(i * PAGE), PAGE), 0);
}

/* ---- page faults ---- */

static void a_fault_ends_an_operation_where_it_is(void **state)
{
	static const u8 ops[] = {
		DSA_OP_MOVE,	 DSA_OP_FILL, DSA_OP_COMPARE,  DSA_OP_COMPARE_PATTERN,
		DSA_OP_DUALCAST, DSA_OP_CRC,  DSA_OP_COPY_CRC, DSA_OP_CACHE_FLUSH};

	map_but(100, 70);
	memset(data(0), 0, 0x400000);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		bool writes = ops[i] == DSA_OP_FILL;
		struct dsa_desc desc = descriptor(ops[i], WANT, NULL);
		struct dsa_record record;

		desc.size = 90 * PAGE;
		desc.src = writes || ops[i] == DSA_OP_CACHE_FLUSH ? 0 : HOLE + 16;
		desc.dst = writes || ops[i] == DSA_OP_CACHE_FLUSH ? HOLE + 16 : iova(0x100000);
		if (ops[i] == DSA_OP_COMPARE_PATTERN || ops[i] == DSA_OP_CRC)
			desc.dst = 0;
		if (ops[i] == DSA_OP_DUALCAST)
			desc.op.dst2 = iova(0x200000);
		record = run_status(&desc, DSA_PAGE_FAULT | (writes ? DSA_STATUS_WRITE : 0));
		assert_int_equal(record.completed, 70 * PAGE - 16);
		assert_true(record.fault == HOLE + 70 * PAGE);
	}
	assert_int_equal(rd64(DSA_REG_SWERR), 0);
}

static void what_was_moved_before_a_fault_is_there_and_the_rest_can_follow(void **state)
{
	struct dsa_desc move = descriptor(DSA_OP_MOVE, WANT, NULL);
	struct dsa_record record;

	map_but(8, 5);
	fill_random(data(0x100000), 8 * PAGE);
	memset(data(0), 0, 8 * PAGE);
	move.src = iova(0x100000);
	move.dst = HOLE + 100;
	move.size = 7 * PAGE;
	record = run_status(&move, DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_true(record.fault == HOLE + 5 * PAGE);
	assert_memory_equal(data(100), data(0x100000), 5 * PAGE - 100);
	assert_int_equal(map(HOLE + 5 * PAGE, data(5 * PAGE), PAGE), 0);
	move.src += record.completed;
	move.dst += record.completed;
	move.size -= record.completed;
	run_status(&move, DSA_OK);
	assert_memory_equal(data(100), data(0x100000), 7 * PAGE);
}

static void a_move_that_goes_backward_counts_from_the_end(void **state)
{
	struct dsa_desc move = descriptor(DSA_OP_MOVE, WANT, NULL);
	static u8 old[8 * PAGE];
	struct dsa_record record;

	map_but(8, 2);
	fill_random(data(0), 8 * PAGE);
	memcpy(old, data(0), sizeof(old));
	move.src = HOLE;
	move.dst = HOLE + 24;
	move.size = 6 * PAGE;
	record = run_status(&move, DSA_PAGE_FAULT);
	assert_int_equal(record.result, 1);
	/* The hole ends with the third page; what is behind it in the source has been moved. */
	assert_int_equal(record.completed, 3 * PAGE);
	assert_true(record.fault >= HOLE + 2 * PAGE && record.fault < HOLE + 3 * PAGE);
	assert_memory_equal(data(6 * PAGE + 24 - record.completed),
			    old + 6 * PAGE - record.completed, record.completed);
	assert_memory_equal(data(0), old, 3 * PAGE);
}

static void a_fault_without_a_record_is_a_software_error(void **state)
{
	struct dsa_desc fill = descriptor(DSA_OP_FILL, 0, NULL);

	fill.dst = HOLE;
	fill.size = 8;
	submit(0, &fill);
	assert_int_equal(dsa_command(DSA_CMD_DRAIN_ALL, 0), 0);
	assert_int_equal(rd64(DSA_REG_SWERR) >> 8 & 0xff, DSA_PAGE_FAULT);
	assert_true(rd64(DSA_REG_SWERR) & DSA_SWERR_WRITE);
	assert_true(rd64(DSA_REG_SWERR + 16) == HOLE);
}

static void addresses_that_wrap_are_faults(void **state)
{
	struct dsa_desc fill = descriptor(DSA_OP_FILL, WANT, NULL);
	struct dsa_desc move = descriptor(DSA_OP_MOVE, WANT, NULL);

	fill.dst = UINT64_MAX - 7;
	fill.size = PAGE;
	run_status(&fill, DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	move.src = UINT64_MAX - 100;
	move.dst = 0;
	move.size = 1 << 20;
	assert_int_equal(run(&move).status & 0x7f, DSA_PAGE_FAULT);
}

static void without_bus_mastering_nothing_is_reached(void **state)
{
	struct dsa_record *record;
	struct dsa_desc noop = descriptor(DSA_OP_NOOP, WANT, &record);

	bus_master(false);
	submit(0, &noop);
	assert_int_equal(dsa_command(DSA_CMD_DRAIN_ALL, 0), 0);
	assert_int_equal(record->status, 0);
	assert_int_equal(rd64(DSA_REG_SWERR) >> 8 & 0xff, DSA_RECORD_FAULT);
	bus_master(true);
	run_status(&noop, DSA_OK);
}

static void memory_that_is_gone_is_an_error_of_the_hardware(void **state)
{
	u8 *area = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dsa_desc fill = descriptor(DSA_OP_FILL, WANT, NULL);
	struct dsa_desc crc = descriptor(DSA_OP_CRC, WANT, NULL);

	memset(area, 1, 4 * PAGE);
	assert_int_equal(map(HOLE, area, 4 * PAGE), 0);
	fill.dst = HOLE;
	crc.src = HOLE;
	fill.size = crc.size = 4 * PAGE;
	run_status(&fill, DSA_OK);
	munmap(area, 4 * PAGE);
	run_status(&fill, DSA_HW_ERROR);
	run_status(&crc, DSA_HW_ERROR);
	assert_int_equal(unmap(HOLE, 4 * PAGE), 0);
}

static void want_of_memory_is_an_error_and_nothing_more(void **state)
{
	struct fault_state faults = {.nth = 0};
	bool failed = true;

	fill_random(data(0), PAGE);
	for (u32 nth = 1; failed; nth++) {
		struct dsa_task task = {.desc = descriptor(DSA_OP_DUALCAST, WANT, NULL)};
		struct dsa_fault fault = {0};
		u8 status;
		int rc;

		task.desc.src = iova(0);
		task.desc.dst = iova(0x10000);
		task.desc.op.dst2 = iova(0x20000);
		task.desc.size = PAGE;
		atomic_store(&faults.nth, nth);
		fault_current = &faults;
		rc = dsa_op_step(&rig.pdev->dev, IOMMU_NO_PASID, &task, PAGE, &status, &fault);
		fault_current = NULL;
		failed = !atomic_load(&faults.nth);
		assert_int_equal(rc, failed ? -1 : 1);
		assert_int_equal(failed ? fault.status : status, failed ? DSA_HW_ERROR : DSA_OK);
	}
	assert_memory_equal(data(0), data(0x20000), PAGE);
}

/* ---- blocking on faults ---- */

/**
 * struct pager - a thread that answers page requests
 * @code: what it answers; it maps the page from DATA first if that is success
 * @wait: not before this is cleared
 * @asked, @answered: how many requests have come, and have been answered
 */
struct pager {
	int fd;
	u32 code;
	_Atomic bool wait, end;
	_Atomic u32 asked, answered;
	u32 pasid, perm;
	u32 ioas;
	pthread_t thread;
};

static void pager_answer(struct pager *p, const struct iommu_hwpt_pgfault *event)
{
	struct iommu_hwpt_page_response answer = {.cookie = event->cookie, .code = p->code};
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .ioas_id = p->ioas,
				     .iova = event->addr,
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
					      IOMMU_IOAS_MAP_WRITEABLE,
				     .user_va = (uintptr_t)data(event->addr - HOLE),
				     .length = PAGE};

	atomic_fetch_add(&p->asked, 1);
	while (atomic_load(&p->wait) && !atomic_load(&p->end))
		usleep(500);
	p->pasid = event->pasid;
	p->perm = event->perm;
	if (p->code == IOMMUFD_PAGE_RESP_SUCCESS)
		command(IOMMU_IOAS_MAP, &cmd);
	atomic_fetch_add(&p->answered, 1);
	iommufd_write(rig.proc, p->fd, &answer, sizeof(answer));
}

static void *pager_thread(void *arg)
{
	struct iommu_hwpt_pgfault event;
	struct pager *p = arg;

	while (!atomic_load(&p->end)) {
		if (iommufd_poll(rig.proc, p->fd, POLLIN, 20) & POLLIN &&
		    iommufd_read(rig.proc, p->fd, &event, sizeof(event)) == sizeof(event))
			pager_answer(p, &event);
	}
	return NULL;
}

static u32 fault_hwpt(struct pager *p, u32 ioas, u32 flags)
{
	struct iommu_fault_alloc fault = {.size = sizeof(fault)};
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt),
					.dev_id = rig.dev_id,
					.pt_id = ioas,
					.flags = IOMMU_HWPT_FAULT_ID_VALID | flags};

	assert_int_equal(command(IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	hwpt.fault_id = fault.out_fault_id;
	assert_int_equal(command(IOMMU_HWPT_ALLOC, &hwpt), 0);
	p->fd = fault.out_fault_fd;
	p->ioas = ioas;
	return hwpt.out_hwpt_id;
}

static void pager_begin(struct pager *p, u32 code)
{
	u32 pt;

	*p = (struct pager){.code = code};
	pt = fault_hwpt(p, rig.ioas, 0);
	iommufd_device_detach(rig.idev, IOMMU_NO_PASID);
	assert_int_equal(iommufd_device_attach(rig.idev, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(pthread_create(&p->thread, NULL, pager_thread, p), 0);
}

static void pager_end(struct pager *p)
{
	atomic_store(&p->end, true);
	pthread_join(p->thread, NULL);
}

static struct dsa_desc blocking_move(struct dsa_record **record)
{
	struct dsa_desc move = descriptor(DSA_OP_MOVE, WANT | DSA_FLAG_BLOCK, record);

	move.src = iova(0x100000);
	move.dst = HOLE + 8;
	move.size = 3 * PAGE;
	return move;
}

static void an_operation_waits_for_its_pages(void **state)
{
	struct dsa_desc move = blocking_move(NULL);
	struct pager p;

	pager_begin(&p, IOMMUFD_PAGE_RESP_SUCCESS);
	fill_random(data(0x100000), 4 * PAGE);
	run_status(&move, DSA_OK);
	assert_memory_equal(data(8), data(0x100000), 3 * PAGE);
	assert_int_equal(atomic_load(&p.answered), 4);
	assert_int_equal(p.perm, IOMMU_PGFAULT_PERM_WRITE);
	assert_int_equal(p.pasid, 0);
	pager_end(&p);
}

static void records_and_lists_wait_for_their_pages_too(void **state)
{
	struct dsa_desc batch = descriptor(DSA_OP_BATCH, WANT | DSA_FLAG_BLOCK, NULL);
	struct pager p;

	pager_begin(&p, IOMMUFD_PAGE_RESP_SUCCESS);
	memset(data(0), 0, 4 * PAGE); /* a list of no-ops */
	batch.src = HOLE + PAGE - 64;
	batch.size = 3;
	batch.record = HOLE + 3 * PAGE;
	submit(0, &batch);
	assert_int_equal(wait_for((struct dsa_record *)data(3 * PAGE)), DSA_OK);
	assert_int_equal(atomic_load(&p.answered), 3);
	assert_int_equal(rd64(DSA_REG_SWERR), 0);
	pager_end(&p);
}

static void a_page_that_is_refused_is_a_fault(void **state)
{
	struct dsa_desc move = blocking_move(NULL);
	struct dsa_record record;
	struct pager p;

	/* Nobody takes requests. */
	record = run_status(&move, DSA_PAGE_REFUSED | DSA_STATUS_WRITE);
	assert_true(record.fault == HOLE + 8);
	pager_begin(&p, IOMMUFD_PAGE_RESP_INVALID);
	assert_int_equal(map(HOLE, data(0), PAGE), 0);
	record = run_status(&move, DSA_PAGE_REFUSED | DSA_STATUS_WRITE);
	assert_true(record.fault == HOLE + PAGE);
	assert_int_equal(record.completed, PAGE - 8);
	/* Without the flag it is not asked. */
	move.opflags &= ~DSA_FLAG_BLOCK;
	run_status(&move, DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_int_equal(atomic_load(&p.answered), 1);
	pager_end(&p);
}

static void other_queues_go_on_while_one_waits(void **state)
{
	struct dsa_record *blocked, *other;
	struct dsa_desc move, noop;
	struct pager p;

	pager_begin(&p, IOMMUFD_PAGE_RESP_SUCCESS);
	assert_int_equal(dsa_command(DSA_CMD_RESET, 0), 0);
	configure_queue(0, 64, WQ_DEDICATED | DSA_WQ_BLOCK);
	configure_queue(1, 64, WQ_DEDICATED);
	configure_group(0, 3, 1);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 1), 0);
	atomic_store(&p.wait, true);
	move = blocking_move(&blocked);
	submit(0, &move);
	for (int i = 0; i < 20; i++) {
		noop = descriptor(DSA_OP_NOOP, WANT, &other);
		submit(1, &noop);
		assert_int_equal(wait_for(other), DSA_OK);
	}
	assert_int_equal(blocked->status, 0);
	/* A drain of the other queue is over; one of all is not. */
	assert_int_equal(dsa_command(DSA_CMD_DRAIN_WQ, 2), 0);
	wr32(DSA_REG_CMD, DSA_CMD_DRAIN_ALL << 20);
	assert_true(rd32(DSA_REG_CMDSTS) & DSA_CMDSTS_ACTIVE);
	wr32(DSA_REG_CMD, DSA_CMD_RESET << 20); /* not now */
	atomic_store(&p.wait, false);
	assert_int_equal(wait_for(blocked), DSA_OK);
	while (rd32(DSA_REG_CMDSTS) & DSA_CMDSTS_ACTIVE)
		usleep(100);
	assert_int_equal(rd32(DSA_REG_CMDSTS), 0);
	assert_int_equal(rd32(DSA_REG_GENSTS) & 3, DSA_ENABLED);
	pager_end(&p);
}

/* Who writes a command is told after a moment that it is still under way, whoever sets the clock. */
static void a_command_is_waited_for_for_a_moment_only(void **state)
{
	struct dsa_record *blocked;
	struct dsa_desc move;
	struct pager p;

	pager_begin(&p, IOMMUFD_PAGE_RESP_SUCCESS);
	atomic_store(&p.wait, true);
	move = blocking_move(&blocked);
	submit(0, &move);
	while (!atomic_load(&p.asked))
		usleep(100);
	atomic_store(&clock_ahead, 3600);
	wr32(DSA_REG_CMD, DSA_CMD_DRAIN_ALL << 20);
	atomic_store(&clock_ahead, 0);
	assert_true(rd32(DSA_REG_CMDSTS) & DSA_CMDSTS_ACTIVE);
	atomic_store(&p.wait, false);
	assert_int_equal(wait_for(blocked), DSA_OK);
	while (rd32(DSA_REG_CMDSTS) & DSA_CMDSTS_ACTIVE)
		usleep(100);
	pager_end(&p);
}

/* Nobody answers before the abort has ended. */
static void what_waits_is_aborted_without_an_answer(void **state)
{
	static const u8 commands[] = {DSA_CMD_ABORT_ALL, DSA_CMD_ABORT_WQ, DSA_CMD_RESET_WQ,
				      DSA_CMD_RESET};
	struct dsa_record *blocked;
	struct dsa_desc move;
	struct pager p;

	pager_begin(&p, IOMMUFD_PAGE_RESP_INVALID);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		u32 operand = commands[i] == DSA_CMD_ABORT_WQ || commands[i] == DSA_CMD_RESET_WQ;

		atomic_store(&p.wait, true);
		move = blocking_move(&blocked);
		submit(0, &move);
		while (atomic_load(&p.asked) <= i)
			usleep(100);
		assert_int_equal(dsa_command(commands[i], operand), 0);
		atomic_store(&p.wait, false);
		while (atomic_load(&p.answered) <= i)
			usleep(100);
		usleep(5000);
		assert_int_equal(blocked->status, 0);
		enable_device_and_queue();
		move.opflags = DSA_OP_NOOP << 24 | WANT;
		move.src = move.dst = move.size = 0;
		run_status(&move, DSA_OK);
	}
	pager_end(&p);
}

static void a_device_may_be_closed_while_it_waits(void **state)
{
	struct dsa_desc move = blocking_move(NULL);
	struct pager p;

	pager_begin(&p, IOMMUFD_PAGE_RESP_INVALID);
	atomic_store(&p.wait, true);
	submit(0, &move);
	while (!atomic_load(&p.asked))
		usleep(100);
	pager_end(&p); /* the answer comes in the end, to nobody */
}

/* ---- PASIDs ---- */

static int begin_shared(void **state)
{
	const struct device_option options[] = {{"shared", "on"}};

	return rig_begin_with(options, 1);
}

/* An ioas in which HOLE is @at of the data, attached at @pasid */
static u32 pasid_space(u32 pasid, u64 at)
{
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .dev_id = rig.dev_id, .flags = IOMMU_HWPT_ALLOC_PASID};
	u32 usual = rig.ioas;

	assert_int_equal(command(IOMMU_IOAS_ALLOC, &ioas), 0);
	rig.ioas = ioas.out_ioas_id;
	assert_int_equal(map(HOLE, data(at), 16 * PAGE), 0);
	assert_int_equal(map(BASE, rig.memory, DATA), 0);
	rig.ioas = usual;
	hwpt.pt_id = ioas.out_ioas_id;
	assert_int_equal(command(IOMMU_HWPT_ALLOC, &hwpt), 0);
	assert_int_equal(iommufd_device_attach(rig.idev, pasid, &hwpt.out_hwpt_id), 0);
	return ioas.out_ioas_id;
}

/* The RID's domain must be for a device with PASIDs, too. */
static void rid_space(void)
{
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt),
					.dev_id = rig.dev_id,
					.pt_id = rig.ioas,
					.flags = IOMMU_HWPT_ALLOC_PASID};

	iommufd_device_detach(rig.idev, IOMMU_NO_PASID);
	assert_int_equal(command(IOMMU_HWPT_ALLOC, &hwpt), 0);
	assert_int_equal(iommufd_device_attach(rig.idev, IOMMU_NO_PASID, &hwpt.out_hwpt_id), 0);
}

static void start_queue(u32 size, u32 dword2)
{
	bus_master(true);
	assert_int_equal(dsa_command(DSA_CMD_RESET, 0), 0);
	configure_queue(0, size, dword2);
	configure_group(0, 1, 1);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), 0);
	pci_irq_set_mode(rig.pdev, PCI_IRQ_MSIX);
}

static void a_dedicated_queue_has_its_pasid(void **state)
{
	struct dsa_desc fill = descriptor(DSA_OP_FILL, WANT | DSA_FLAG_IRQ, NULL);

	rid_space();
	pasid_space(5, 0);
	memset(data(0), 0, PAGE);
	start_queue(64, WQ_DEDICATED | (u32)DSA_WQ_PASID_EN | 5 << 8);
	fill.dst = HOLE;
	fill.size = PAGE;
	fill.src = 0x0101010101010101;
	fill.trusted = 7; /* is not looked at */
	fill.handle = 1;
	run_status(&fill, DSA_BAD_HANDLE);
	wr32(DSA_MSIXPERM + 8, DSA_PERM_PASID_EN | 5 << 12);
	run_status(&fill, DSA_OK);
	assert_int_equal(irqs_until(1, 1), 1);
	assert_int_equal(*data(PAGE - 1), 1);
	iommufd_device_detach(rig.idev, 5);
	submit(0, &fill);
	assert_int_equal(dsa_command(DSA_CMD_DRAIN_PASID, 5), 0);
	assert_int_equal(rd64(DSA_REG_SWERR) >> 8 & 0xff, DSA_RECORD_FAULT);
	assert_int_equal(rd64(DSA_REG_SWERR) >> 40 & 0xfffff, 5);
}

static void a_shared_queue_has_its_descriptors_pasids(void **state)
{
	struct dsa_desc fill = descriptor(DSA_OP_FILL, WANT, NULL);

	rid_space();
	pasid_space(5, 0);
	pasid_space(9, 0x100000);
	memset(data(0), 0, 0x200000);
	start_queue(64, 1 << 4 | (u32)DSA_WQ_PASID_EN);
	fill.dst = HOLE;
	fill.size = PAGE;
	fill.src = 0x0505050505050505;
	fill.trusted = 5;
	run_status(&fill, DSA_OK);
	fill.src = 0x0909090909090909;
	fill.trusted = 9;
	run_status(&fill, DSA_OK);
	assert_int_equal(*data(PAGE - 1), 5);
	assert_int_equal(*data(0x100000 + PAGE - 1), 9);
	fill.trusted |= (u32)DSA_DESC_PRIV;
	run_status(&fill, DSA_BAD_PRIV);
	iommufd_device_detach(rig.idev, 5);
	iommufd_device_detach(rig.idev, 9);
}

static void a_shared_queue_that_is_full_takes_no_more(void **state)
{
	struct dsa_desc noop = descriptor(DSA_OP_NOOP, 0, NULL);

	start_queue(8, 1 << 4 | (u32)DSA_WQ_PASID_EN);
	wr32(DSA_WQCFG + 4, 3);
	pci_dev_stop(rig.pdev);
	for (u32 i = 0; i < 10; i++)
		dsa_portal_write(rig.dsa, DSA_PORTAL_LIMITED * DSA_PORTAL_PAGE, &noop, 64);
	assert_int_equal(dsa_queue_occupancy(&rig.dsa->queues[0]), 3);
	for (u32 i = 0; i < 10; i++)
		dsa_portal_write(rig.dsa, 0, &noop, 64);
	assert_int_equal(dsa_queue_occupancy(&rig.dsa->queues[0]), 8);
	assert_int_equal(rig.dsa->swerr[0], 0);
	pci_dev_start(rig.pdev);
	assert_int_equal(dsa_command(DSA_CMD_DRAIN_ALL, 0), 0);
}

static void descriptors_of_one_pasid_are_aborted(void **state)
{
	struct dsa_record *records[8];

	rid_space();
	pasid_space(5, 0);
	pasid_space(9, 0x100000);
	start_queue(64, 1 << 4 | (u32)DSA_WQ_PASID_EN);
	pci_dev_stop(rig.pdev);
	for (u32 i = 0; i < 8; i++) {
		struct dsa_desc noop = descriptor(DSA_OP_NOOP, WANT, &records[i]);

		noop.trusted = i % 3 ? 5 : 9;
		dsa_portal_write(rig.dsa, 0, &noop, 64);
	}
	dsa_lock(rig.dsa);
	dsa_command_write(rig.dsa, DSA_CMD_ABORT_PASID << 20 | 5);
	dsa_unlock(rig.dsa);
	assert_int_equal(rig.dsa->cmdsts, 0);
	assert_int_equal(dsa_queue_occupancy(&rig.dsa->queues[0]), 3);
	pci_dev_start(rig.pdev);
	assert_int_equal(wait_for(records[6]), DSA_OK);
	assert_int_equal(dsa_command(DSA_CMD_DRAIN_ALL, 0), 0);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(records[i]->status, i % 3 ? 0 : DSA_OK);
	iommufd_device_detach(rig.idev, 5);
	iommufd_device_detach(rig.idev, 9);
}

static void a_page_request_has_the_pasid(void **state)
{
	struct dsa_desc move = descriptor(DSA_OP_FILL, WANT | DSA_FLAG_BLOCK, NULL);
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	u32 usual = rig.ioas, pt;
	struct pager p = {.code = IOMMUFD_PAGE_RESP_SUCCESS};

	rid_space();
	assert_int_equal(command(IOMMU_IOAS_ALLOC, &ioas), 0);
	rig.ioas = ioas.out_ioas_id;
	assert_int_equal(map(BASE, rig.memory, DATA), 0);
	rig.ioas = usual;
	pt = fault_hwpt(&p, ioas.out_ioas_id, IOMMU_HWPT_ALLOC_PASID);
	assert_int_equal(iommufd_device_attach(rig.idev, 77, &pt), 0);
	assert_int_equal(pthread_create(&p.thread, NULL, pager_thread, &p), 0);
	start_queue(64, WQ_DEDICATED | (u32)DSA_WQ_BLOCK | (u32)DSA_WQ_PASID_EN | 77 << 8);
	move.dst = HOLE;
	move.size = 2 * PAGE;
	run_status(&move, DSA_OK);
	assert_int_equal(atomic_load(&p.answered), 2);
	assert_int_equal(p.pasid, 77);
	pager_end(&p);
	iommufd_device_detach(rig.idev, 77);
}

/* ---- under load ---- */

/* 64 batches of 64 moves of 64 KiB: far more than is done when the next line runs */
static void load(struct dsa_record **records)
{
	struct dsa_desc *list = (struct dsa_desc *)(rig.memory + LIST);

	for (u32 i = 0; i < 64; i++) {
		list[i] = descriptor(DSA_OP_MOVE, DSA_FLAG_RECORD_OK, NULL);
		list[i].src = iova(0);
		list[i].dst = iova(0x100000);
		list[i].size = 64 << 10;
	}
	for (u32 i = 0; i < 64; i++) {
		struct dsa_desc batch = descriptor(DSA_OP_BATCH, WANT, &records[i]);

		batch.src = BASE + LIST;
		batch.size = 64;
		submit(0, &batch);
	}
}

static u32 count_done(struct dsa_record **records)
{
	u32 done = 0;

	for (u32 i = 0; i < 64; i++)
		done += __atomic_load_n(&records[i]->status, __ATOMIC_ACQUIRE) == DSA_OK;
	return done;
}

static void a_drain_waits_for_all_of_it(void **state)
{
	static const u8 commands[] = {DSA_CMD_DRAIN_ALL, DSA_CMD_DRAIN_WQ, DSA_CMD_DISABLE_WQ,
				      DSA_CMD_DISABLE, DSA_CMD_DRAIN_PASID};
	struct dsa_record *records[64];

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		bool device = commands[i] == DSA_CMD_DRAIN_ALL || commands[i] == DSA_CMD_DISABLE ||
			      commands[i] == DSA_CMD_DRAIN_PASID;

		enable_device_and_queue();
		load(records);
		assert_int_equal(dsa_command(commands[i], !device), 0);
		assert_int_equal(count_done(records), 64);
	}
	assert_int_equal(rd64(DSA_REG_SWERR), 0);
}

static void an_abort_ends_it_early(void **state)
{
	static const u8 commands[] = {DSA_CMD_ABORT_ALL, DSA_CMD_ABORT_WQ, DSA_CMD_RESET_WQ,
				      DSA_CMD_RESET, DSA_CMD_ABORT_PASID};
	struct dsa_record *records[64];
	u32 done, tries;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		u32 operand = commands[i] == DSA_CMD_ABORT_WQ || commands[i] == DSA_CMD_RESET_WQ;

		/* It may be done before we come to abort it, but not time and again. */
		for (tries = 0, done = 64; done == 64 && tries < 100; tries++) {
			enable_device_and_queue();
			load(records);
			assert_int_equal(dsa_command(commands[i], operand), 0);
			done = count_done(records);
		}
		assert_true(done < 64);
		usleep(5000);
		assert_int_equal(count_done(records), done);
	}
	load(records);
	assert_int_equal(dsa_command(DSA_CMD_RESET, 0), 0);
	enable_device_and_queue();
	load(records);
	assert_int_equal(pci_dev_reset(rig.pdev), 0);
}

struct submitter {
	pthread_t thread;
	u32 index;
};

/* A queue each: descriptors and what comes of them, over and over. */
static void *submit_many(void *arg)
{
	const struct submitter *s = arg;
	u32 at = s->index * 0x100000;

	for (u32 i = 0; i < 300; i++) {
		struct dsa_record *record = (struct dsa_record *)(rig.memory + s->index * PAGE);
		struct dsa_desc desc = {.opflags = DSA_OP_FILL << 24 | WANT | DSA_FLAG_IRQ,
					.record = BASE + s->index * PAGE,
					.src = (u8)i * 0x0101010101010101ULL,
					.dst = iova(at),
					.size = 4096 + i,
					.handle = (u16)(s->index + 1)};

		__atomic_store_n(&record->status, 0, __ATOMIC_RELEASE);
		submit(s->index, &desc);
		if (wait_for(record) != DSA_OK || *data(at + 4096 + i - 1) != (u8)i)
			return arg;
	}
	return NULL;
}

static void queues_work_side_by_side(void **state)
{
	struct submitter s[4];
	void *bad;

	bus_master(true);
	pci_irq_set_mode(rig.pdev, PCI_IRQ_MSIX);
	assert_int_equal(dsa_command(DSA_CMD_RESET, 0), 0);
	for (u32 i = 0; i < 4; i++) {
		configure_queue(i, 32, (u32)DSA_WQ_DEDICATED | (4 * i + 3) << 4);
		configure_group(i, 1 << i, 1 << i);
	}
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), 0);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, i), 0);
	for (u32 i = 0; i < 4; i++) {
		s[i].index = i;
		assert_int_equal(pthread_create(&s[i].thread, NULL, submit_many, &s[i]), 0);
	}
	for (u32 i = 0; i < 4; i++) {
		pthread_join(s[i].thread, &bad);
		assert_null(bad);
		assert_int_equal(irqs_until(i + 1, 300), 300);
	}
}

/* Commands, submissions and mappings, all at the same time: nothing is lost and nothing breaks. */
static _Atomic bool chaos_over;

static void *chaos_submit(void *arg)
{
	struct dsa_desc fill = {.opflags = DSA_OP_FILL << 24 | WANT,
				.record = BASE,
				.dst = HOLE,
				.size = 64 * PAGE};

	while (!atomic_load(&chaos_over))
		dsa_portal_write(rig.dsa, 0, &fill, sizeof(fill));
	return NULL;
}

static void *chaos_map(void *arg)
{
	while (!atomic_load(&chaos_over)) {
		map(HOLE, data(0), 64 * PAGE);
		unmap(HOLE, 64 * PAGE);
	}
	return NULL;
}

static void commands_meet_submissions_and_unmaps(void **state)
{
	struct dsa_desc noop = descriptor(DSA_OP_NOOP, WANT, NULL);
	pthread_t threads[2];

	atomic_store(&chaos_over, false);
	pthread_create(&threads[0], NULL, chaos_submit, NULL);
	pthread_create(&threads[1], NULL, chaos_map, NULL);
	for (int i = 0; i < 150; i++) {
		enable_device_and_queue();
		dsa_command(2 + i % 4, 0);
		dsa_command(7 + i % 4, 1);
		if (i % 16 == 0)
			assert_int_equal(pci_dev_reset(rig.pdev), 0);
	}
	atomic_store(&chaos_over, true);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	enable_device_and_queue();
	rig.records = 1;
	run_status(&noop, DSA_OK);
}

int main(void)
{
#define ON(test)     cmocka_unit_test_setup_teardown(test, rig_begin_enabled, rig_end)
#define SHARED(test) cmocka_unit_test_setup_teardown(test, begin_shared, rig_end)
	const struct CMUnitTest tests[] = {
		ON(a_fault_ends_an_operation_where_it_is),
		ON(what_was_moved_before_a_fault_is_there_and_the_rest_can_follow),
		ON(a_move_that_goes_backward_counts_from_the_end),
		ON(a_fault_without_a_record_is_a_software_error),
		ON(addresses_that_wrap_are_faults),
		ON(without_bus_mastering_nothing_is_reached),
		ON(memory_that_is_gone_is_an_error_of_the_hardware),
		ON(want_of_memory_is_an_error_and_nothing_more),
		ON(an_operation_waits_for_its_pages),
		ON(records_and_lists_wait_for_their_pages_too),
		ON(a_page_that_is_refused_is_a_fault),
		ON(other_queues_go_on_while_one_waits),
		ON(a_command_is_waited_for_for_a_moment_only),
		ON(what_waits_is_aborted_without_an_answer),
		ON(a_device_may_be_closed_while_it_waits),
		SHARED(a_dedicated_queue_has_its_pasid),
		SHARED(a_shared_queue_has_its_descriptors_pasids),
		SHARED(a_shared_queue_that_is_full_takes_no_more),
		SHARED(descriptors_of_one_pasid_are_aborted),
		SHARED(a_page_request_has_the_pasid),
		ON(a_drain_waits_for_all_of_it),
		ON(an_abort_ends_it_early),
		ON(queues_work_side_by_side),
		ON(commands_meet_submissions_and_unmaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
