/* SPDX-License-Identifier: MIT */
/*
 * What may happen to a controller at any time: resets, stops, migration, virtual functions,
 * threads, memory that is gone or not to be had, and the end of the process.
 */
#include "rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
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

static void load(u32 n)
{
	struct nvme_cmd cmd = rw_cmd(NVME_IO_READ, 0, 64, AT_DATA);

	for (u32 i = 0; i < n; i++) {
		cmd.opcode = i % 3 ? NVME_IO_READ : NVME_IO_COMPARE;
		submit(&rig.pairs[1], &cmd);
	}
}

static void test_it_is_disabled_under_load(void **state)
{
	for (u32 i = 0; i < 20; i++) {
		nvme_inject(rig.pdev, "slow", i % 2 ? "5" : "0");
		load(100);
		disable();
		enable();
		make_pair(1, 256);
	}
	nvme_inject(rig.pdev, "slow", "0");
	assert_int_equal(rw(NVME_IO_READ, 0, 8, AT_DATA), 0);
}

static void test_it_is_reset_under_load(void **state)
{
	for (u32 i = 0; i < 20; i++) {
		nvme_inject(rig.pdev, "slow", i % 2 ? "5000" : "0");
		load(100);
		assert_int_equal(pci_dev_reset(rig.pdev), 0);
		bus_master(true);
		enable();
		make_pair(1, 256);
	}
	nvme_inject(rig.pdev, "slow", "0");
	assert_int_equal(rw(NVME_IO_READ, 0, 8, AT_DATA), 0);
	assert_int_equal(get_log(NVME_LOG_SMART, 0, 512, 0), 0);
	assert_int_equal(*(u64 *)at(AT_PAGE + 144), 20); /* unsafe shutdowns */
}

static void test_it_is_shut_down_under_load(void **state)
{
	struct nvme_cqe cqe;
	u32 done = 0;

	nvme_inject(rig.pdev, "slow", "20");
	load(40);
	wr32(NVME_REG_CC, 0x00464001);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_SHST, NVME_CSTS_SHST_DONE);
	while (try_reap(&rig.pairs[1], &cqe)) {
		assert_int_equal(cqe.status >> 1, 0);
		done++;
	}
	/* What had begun was done. */
	assert_true(done <= 40);
}

static void test_memory_that_goes_during_transfers_fails_them(void **state)
{
	u8 *page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct nvme_cmd cmd = rw_cmd(NVME_IO_READ, 0, 512, AT_DATA);
	u64 *list = at(AT_LISTS + 0x1000);
	u32 failed = 0, fine = 0;
	struct nvme_cqe cqe;

	assert_true(page != MAP_FAILED);
	for (u32 i = 0; i < 64; i++)
		list[i] = HOLE + (i + 1) * PAGE;
	cmd.prp1 = HOLE;
	for (u32 i = 0; i < 50; i++) {
		assert_int_equal(rig_map(HOLE, page, 1 << 20, true), 0);
		for (u32 k = 0; k < 4; k++)
			submit(&rig.pairs[1], &cmd);
		assert_int_equal(rig_unmap(HOLE, 1 << 20), 0);
		for (u32 k = 0; k < 4; k++) {
			cqe = reap(&rig.pairs[1]);
			failed += (cqe.status >> 1 & ~NVME_SC_MORE) == NVME_SC_DATA_TRANSFER;
			fine += !(cqe.status >> 1);
		}
	}
	assert_int_equal(failed + fine, 200);
	munmap(page, 1 << 20);
}

/* ---- migration ---- */

static void migrate_here(void)
{
	void *data;
	size_t len;

	pci_dev_stop(rig.pdev);
	assert_int_equal(nvme_migrate_save(rig.pdev, &data, &len), 0);
	/* The other one is the same one, which has forgotten everything. */
	rig.pdev->ops->reset(rig.pdev);
	assert_int_equal(ftruncate(rig.nvme->ns->fd, 0), 0);
	assert_int_equal(nvme_migrate_load(rig.pdev, data, len), 0);
	pci_dev_start(rig.pdev);
	free(data);
}

static void test_a_controller_is_saved_and_loaded(void **state)
{
	const struct nvme_cmd event = {.opcode = NVME_ADMIN_ASYNC_EVENT};
	u32 result;
	u16 cid;

	memset(at(AT_DATA), 0x33, PAGE);
	assert_int_equal(rw(NVME_IO_WRITE, 1000, 8, AT_DATA), 0);
	make_pair(3, 16);
	assert_int_equal(set_feature(NVME_FEAT_EVENTS, 1, NULL), 0);
	assert_int_equal(set_feature(NVME_FEAT_WRITE_CACHE, 0, NULL), 0);
	rw(NVME_IO_READ, BIT_ULL(40), 1, AT_DATA);
	cid = submit(&rig.pairs[0], &event);
	assert_int_equal(identify(1, 0), 0);
	migrate_here();
	assert_int_equal(rd32(NVME_REG_CSTS), NVME_CSTS_RDY);
	assert_int_equal(rd32(NVME_REG_CC), 0x00460001);
	memset(at(AT_DATA), 0, PAGE);
	assert_int_equal(rw(NVME_IO_READ, 1000, 8, AT_DATA), 0);
	assert_int_equal(*(u8 *)at(AT_DATA + 5), 0x33);
	assert_int_equal(get_feature(NVME_FEAT_WRITE_CACHE, 0, &result), 0);
	assert_int_equal(result, 0);
	assert_int_equal(get_log(NVME_LOG_ERROR, 0, 64, 0), 0);
	assert_int_equal(*(u64 *)at(AT_PAGE), 1);
	assert_int_equal(nvme_inject(rig.pdev, "smart", "spare"), 0);
	assert_int_equal(reap(&rig.pairs[0]).cid, cid);
	assert_int_equal(delete_queue(NVME_ADMIN_DELETE_SQ, 3), 0);
}

static void test_commands_under_way_are_done_after_migration(void **state)
{
	u32 seen = 0;

	nvme_inject(rig.pdev, "slow", "100");
	load(50);
	usleep(20000);
	migrate_here();
	migrate_here();
	for (u32 i = 0; i < 50; i++) {
		struct nvme_cqe cqe = reap(&rig.pairs[1]);

		assert_int_equal(cqe.status >> 1, 0);
		seen++;
	}
	assert_int_equal(seen, 50);
	nvme_inject(rig.pdev, "slow", "0");
	assert_int_equal(rw(NVME_IO_READ, 0, 8, AT_DATA), 0);
}

static void test_a_stop_loses_nothing(void **state)
{
	for (u32 i = 0; i < 10; i++) {
		nvme_inject(rig.pdev, "slow", i % 2 ? "3" : "0");
		load(50);
		pci_dev_stop(rig.pdev);
		usleep(5000);
		pci_dev_start(rig.pdev);
		for (u32 k = 0; k < 50; k++)
			assert_int_equal(reap(&rig.pairs[1]).status >> 1, 0);
	}
}

/* Commands that met the stop half-way are begun again where they are loaded. */
static void test_a_state_of_any_moment_can_be_loaded(void **state)
{
	void *saved;
	size_t len;

	for (u32 i = 0; i < 40; i++) {
		nvme_inject(rig.pdev, "slow", i % 4 ? "1" : "0");
		load(50);
		usleep(i * 50);
		pci_dev_stop(rig.pdev);
		if (i % 2)
			usleep(3000);
		assert_int_equal(nvme_migrate_save(rig.pdev, &saved, &len), 0);
		assert_int_equal(nvme_migrate_load(rig.pdev, saved, len), 0);
		free(saved);
		pci_dev_start(rig.pdev);
		for (u32 k = 0; k < 50; k++)
			assert_int_equal(reap(&rig.pairs[1]).status >> 1, 0);
	}
}

static void test_bus_master_may_come_and_go(void **state)
{
	for (u32 i = 0; i < 10; i++) {
		nvme_inject(rig.pdev, "slow", i % 2 ? "1" : "0");
		load(100);
		for (u32 k = 0; k < 20; k++) {
			bus_master(false);
			usleep(k * 10);
			bus_master(true);
		}
		for (u32 k = 0; k < 100; k++)
			assert_int_equal(reap(&rig.pairs[1]).status >> 1, 0);
	}
	assert_int_equal(rd32(NVME_REG_CSTS), NVME_CSTS_RDY);
}

/* Whatever is loaded: refused, or something that works on. */
static void test_a_state_that_is_damaged_does_no_harm(void **state)
{
	u8 *data, *copy;
	void *saved;
	size_t len;
	u32 seed = 1, taken = 0;

	load(20);
	pci_dev_stop(rig.pdev);
	assert_int_equal(nvme_migrate_save(rig.pdev, &saved, &len), 0);
	data = saved;
	copy = malloc(len);
	assert_non_null(copy);
	assert_int_equal(nvme_migrate_load(rig.pdev, data, len - 1), -EINVAL);
	assert_int_equal(nvme_migrate_load(rig.pdev, data, 10), -EINVAL);
	for (u32 i = 0; i < 3000; i++) {
		memcpy(copy, data, len);
		for (u32 k = 0; k < 1 + i % 4; k++) {
			seed = seed * 1664525 + 1013904223;
			copy[(seed >> 4) % len] ^= (u8)(1 << (seed >> 28 & 7));
		}
		if (nvme_migrate_load(rig.pdev, copy, len))
			continue;
		taken++;
		if (taken % 100 == 0) {
			pci_dev_start(rig.pdev);
			usleep(1000);
			pci_dev_stop(rig.pdev);
		}
	}
	assert_true(taken > 100);
	assert_int_equal(nvme_migrate_load(rig.pdev, data, len), 0);
	pci_dev_start(rig.pdev);
	free(copy);
	free(saved);
	disable();
	enable();
	assert_int_equal(identify(1, 0), 0);
}

/* ---- virtual functions ---- */

static void test_virtual_functions_are_controllers_of_the_same_blocks(void **state)
{
	const struct device_option options[] = {{"vfs", "2"}};
	struct rig pf;
	struct pci_dev *vfs[2];
	u8 *from, names[256];

	rig_end();
	rig_begin_on(PCI_ACCESS_NO_MMAP, options, 1);
	from = at(AT_DATA);
	memset(from, 0x21, PAGE);
	assert_int_equal(rw(NVME_IO_WRITE, 7, 8, AT_DATA), 0);
	assert_int_equal(pci_sriov_set(rig.pdev, 3), -EINVAL);
	assert_int_equal(pci_sriov_set(rig.pdev, 2), 0);
	assert_int_equal(identify(1, 0), 0);
	memcpy(names, at(AT_PAGE + 768), sizeof(names));
	pf = rig;
	for (u32 i = 0; i < 2; i++) {
		struct pci_addr addr = rig.pdev->addr;
		struct pci_dev *vf = NULL;

		for (u32 fn = 0; fn < 256 && !vf; fn++) {
			addr.devfn = (u8)fn;
			vf = pci_find(rig.topology, addr);
			if (vf && (!vf->physfn || (i && vf == vfs[0])))
				vf = NULL;
		}
		assert_non_null(vf);
		vfs[i] = vf;
		rig.pdev = vf;
		rig.nvme = to_nvme(vf);
		memset(rig.pairs, 0, sizeof(rig.pairs));
		assert_int_equal(pci_dev_open(vf, &rig.client, NULL), 0);
		rig.idev = rig_bind(vf);
		bus_master(true);
		pci_irq_set_mode(vf, PCI_IRQ_MSIX);
		enable();
		make_pair(1, 16);
		assert_int_equal(identify(1, 0), 0);
		assert_int_equal(*(u16 *)at(AT_PAGE + 78), i + 1);
		assert_memory_equal(at(AT_PAGE + 768), names, sizeof(names));
		memset(from, 0, PAGE);
		assert_int_equal(rw(NVME_IO_READ, 7, 8, AT_DATA), 0);
		assert_int_equal(from[100], 0x21);
		/* Its own reset is not the PF's business. */
		assert_int_equal(pci_dev_reset(vf), 0);
		assert_int_equal(rd32(NVME_REG_CSTS), 0);
		assert_int_equal(atomic_load(&pf.nvme->csts), NVME_CSTS_RDY);
		pci_dev_close(vf, &rig.client);
		rig_unbind(rig.idev);
	}
	rig.pdev = pf.pdev;
	rig.nvme = pf.nvme;
	rig.idev = pf.idev;
	assert_int_equal(pci_sriov_set(rig.pdev, 0), 0);
}

/* ---- threads ---- */

static atomic_bool stop_threads;

/** struct worker - a thread with a pair of its own, and blocks of its own */
struct worker {
	pthread_t thread;
	u16 id;
	u32 turns;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct pair *pair = &rig.pairs[worker->id];
	u64 lba = worker->id * 1000, data = AT_DATA + worker->id * 0x40000;
	u32 bad = 0;

	do {
		struct nvme_cmd cmd = rw_cmd(NVME_IO_WRITE, lba, 8, data);
		u8 value = (u8)(worker->turns + worker->id);

		memset(at(data), value, PAGE);
		bad += run(pair, &cmd, NULL) != 0;
		memset(at(data), 0, PAGE);
		cmd.opcode = worker->turns % 4 ? NVME_IO_READ : NVME_IO_COMPARE;
		if (cmd.opcode == NVME_IO_COMPARE)
			memset(at(data), value, PAGE);
		bad += run(pair, &cmd, NULL) != 0;
		bad += *(u8 *)at(data + 77) != value;
		worker->turns++;
	} while (!atomic_load(&stop_threads));
	return (void *)(uintptr_t)bad;
}

static void test_threads_have_queues_of_their_own(void **state)
{
	struct worker workers[4];
	void *bad;

	atomic_store(&stop_threads, false);
	for (u16 i = 2; i < 6; i++)
		make_pair(i, 16);
	for (u16 i = 0; i < 4; i++) {
		workers[i] = (struct worker){.id = i + 2};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (u32 i = 0; i < 30; i++) {
		assert_int_equal(identify(i % 4, 1 - (i % 4 == 2)), 0);
		nvme_inject(rig.pdev, "smart", i % 2 ? "spare" : "ok");
		pci_dev_stop(rig.pdev);
		pci_dev_start(rig.pdev);
		usleep(5000);
	}
	atomic_store(&stop_threads, true);
	for (u32 i = 0; i < 4; i++) {
		pthread_join(workers[i].thread, &bad);
		assert_null(bad);
	}
}

static void *toggle(void *arg)
{
	u32 value = 0;

	while (!atomic_load(&stop_threads)) {
		value = value * 1664525 + 1013904223;
		pci_bar_access(rig.pdev, 0, NVME_REG_DOORBELLS + (value >> 20 & 0x1fc), &value, 4,
			       true);
		pci_bar_access(rig.pdev, 0, (value >> 8 & 0x3c), &value, 4, value & 1);
		if (value >> 29 == 0)
			pci_dev_reset(rig.pdev);
	}
	return NULL;
}

static void storm(enum pci_access access)
{
	pthread_t threads[3];

	rig_end();
	rig_begin_on(access, NULL, 0);
	atomic_store(&stop_threads, false);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, toggle, NULL), 0);
	for (u32 i = 0; i < 100; i++) {
		u32 cc = i % 2 ? 0 : 0x00460001;

		bus_master(true);
		pci_bar_access(rig.pdev, 0, NVME_REG_CC, &cc, 4, true);
		usleep(1000);
	}
	atomic_store(&stop_threads, true);
	for (u32 i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(pci_dev_reset(rig.pdev), 0);
	bus_master(true);
	enable();
	assert_int_equal(identify(1, 0), 0);
}

static void test_registers_are_written_by_many_at_once(void **state)
{
	storm(PCI_ACCESS_POLL);
	storm(PCI_ACCESS_NO_MMAP);
	storm(PCI_ACCESS_SPLIT);
}

/* ---- no memory ---- */

static void test_a_disk_is_made_or_not(void **state)
{
	const struct device_option option = {"size", "1M"};
	struct fault_state faults = {0};
	char error[200] = "";
	struct pci_dev *pdev;
	u32 n;
	int rc;

	for (n = 1; n < 100; n++) {
		atomic_store(&faults.nth, n);
		fault_current = &faults;
		rc = nvme_model.create(rig.system, &option, 1, &pdev, error, sizeof(error));
		fault_current = NULL;
		if (!rc)
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_true(error[0]);
	}
	assert_int_equal(rc, 0);
	assert_true(n > 3);
	pdev->ops->destroy(pdev);
}

static void test_transfers_without_memory_fail_alone(void **state)
{
	struct nvme_cmd cmd = rw_cmd(NVME_IO_READ, 0, 256, AT_DATA);
	struct fault_state faults = {0};
	u32 failed = 0, n;
	int status;

	/* From the interrupt of this one on, the worker's steps are counted. */
	atomic_store(&rig.worker_faults, &faults);
	assert_int_equal(rw(NVME_IO_READ, 0, 1, AT_DATA), 0);
	while (!atomic_load(&rig.irqs[1]))
		usleep(100);
	for (n = 1; n < 40; n++) {
		atomic_store(&faults.injected, 0);
		atomic_store(&faults.nth, n);
		status = run(&rig.pairs[1], &cmd, NULL);
		if (!atomic_load(&faults.injected))
			break;
		failed += status != 0;
		assert_true(!status || status == NVME_SC_INTERNAL);
	}
	atomic_store(&faults.nth, 0);
	atomic_store(&rig.worker_faults, NULL);
	assert_true(failed);
	assert_int_equal(rw(NVME_IO_READ, 0, 256, AT_DATA), 0);
	/* The thread lets go of what is on our stack. */
	n = atomic_load(&rig.irqs[1]);
	assert_int_equal(rw(NVME_IO_READ, 0, 1, AT_DATA), 0);
	while (atomic_load(&rig.irqs[1]) == n)
		usleep(100);
}

static void test_a_state_is_saved_or_not(void **state)
{
	struct fault_state faults = {.nth = 1};
	void *data;
	size_t len;
	int rc;

	pci_dev_stop(rig.pdev);
	fault_current = &faults;
	rc = nvme_migrate_save(rig.pdev, &data, &len);
	fault_current = NULL;
	assert_int_equal(rc, -ENOMEM);
	pci_dev_start(rig.pdev);
	assert_int_equal(rw(NVME_IO_READ, 0, 1, AT_DATA), 0);
}

/* ---- the end of the process ---- */

#define KILL_BLOCKS 8000

/* Writes numbered blocks, over and over, tells which were acknowledged, until it is killed. */
static void write_until_killed(const char *image, int tell)
{
	const struct device_option option = {"image", image};

	rig_begin_on(PCI_ACCESS_POLL, &option, 1);
	for (u32 i = 0;; i = (i + 1) % KILL_BLOCKS) {
		for (u32 k = 0; k < 128; k++)
			((u32 *)at(AT_DATA))[k] = i + k;
		if (rw(NVME_IO_WRITE, i, 1, AT_DATA) || write(tell, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static void test_no_acknowledged_write_is_lost_when_it_is_killed(void **state)
{
	char image[] = "/tmp/nvme-kill-XXXXXX";
	int fd = mkstemp(image), told[2];
	u32 written = 0, n, block[128];
	pid_t child;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 << 20), 0);
	assert_int_equal(pipe(told), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		close(told[0]);
		write_until_killed(image, told[1]);
	}
	close(told[1]);
	while (written < 500 && read(told[0], &n, sizeof(n)) == sizeof(n))
		written++;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	while (read(told[0], &n, sizeof(n)) == sizeof(n))
		written++;
	assert_true(written >= 500);
	for (u32 i = 0; i < MIN(written, (u32)KILL_BLOCKS); i++) {
		assert_int_equal(pread(fd, block, 512, i * 512L), 512);
		for (u32 k = 0; k < 128; k++)
			assert_int_equal(block[k], i + k);
	}
	close(told[0]);
	close(fd);
	unlink(image);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_acknowledged_write_is_lost_when_it_is_killed),
		T(test_it_is_disabled_under_load),
		T(test_it_is_reset_under_load),
		T(test_it_is_shut_down_under_load),
		T(test_memory_that_goes_during_transfers_fails_them),
		T(test_a_controller_is_saved_and_loaded),
		T(test_commands_under_way_are_done_after_migration),
		T(test_a_stop_loses_nothing),
		T(test_a_state_of_any_moment_can_be_loaded),
		T(test_bus_master_may_come_and_go),
		T(test_a_state_that_is_damaged_does_no_harm),
		T(test_virtual_functions_are_controllers_of_the_same_blocks),
		T(test_threads_have_queues_of_their_own),
		T(test_registers_are_written_by_many_at_once),
		T(test_a_disk_is_made_or_not),
		T(test_transfers_without_memory_fail_alone),
		T(test_a_state_is_saved_or_not),
	};

	return cmocka_run_group_tests_name("nvme life", tests, NULL, NULL);
}
