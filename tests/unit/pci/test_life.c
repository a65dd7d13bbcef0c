/* SPDX-License-Identifier: MIT */
/*
 * A function that is driven: opened, read, written, reset, stopped, put to sleep, removed.
 */
#include "rig.h"

#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

static const enum pci_access modes[] = {PCI_ACCESS_POLL, PCI_ACCESS_NO_MMAP, PCI_ACCESS_TRAP,
					PCI_ACCESS_SPLIT};

static void opening_resets_and_decodes_but_does_no_dma(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	struct told told, other = {.edu = edu};

	rig_open(edu, &told, NULL);
	assert_int_equal(atomic_load(&edu->resets), 1);
	assert_int_equal(cfg_read(edu, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_true(pci_mem_enabled(&edu->pdev));
	assert_false(pci_bus_master(&edu->pdev));
	assert_int_equal(pci_dev_open(&edu->pdev, &other.client, NULL), -EBUSY);
	cfg_write(edu, PCI_COMMAND, 0x7, 2);
	cfg_write(edu, PCI_CACHE_LINE_SIZE, 16, 1);
	assert_true(pci_bus_master(&edu->pdev));
	rig_close(&told);
	rig_open(edu, &told, NULL);
	assert_int_equal(cfg_read(edu, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(cfg_read(edu, PCI_CACHE_LINE_SIZE, 1), 0);
	rig_close(&told);
}

static void an_open_that_fails_leaves_nothing(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_POLL);
	struct told told = {.edu = edu};

	edu->open_error = -EIO;
	assert_int_equal(pci_dev_open(&edu->pdev, &told.client, NULL), -EIO);
	assert_null(edu->pdev.bars[0].mem);
	edu->open_error = 0;
	rig_open(edu, &told, NULL);
	rig_close(&told);
}

static void registers_are_reached_in_each_mode(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct edu *edu = rig_add(rig, "0000:00:01.0", NULL, modes[i]);
		struct told told;

		rig_open(edu, &told, NULL);
		assert_int_equal(bar_read(edu, 0, 0, 4), EDU_ID);
		bar_write(edu, 0, EDU_SCRATCH, 0x12345678, 4);
		assert_int_equal(bar_read(edu, 0, EDU_SCRATCH, 4), 0x12345678);
		assert_int_equal(bar_read(edu, 0, EDU_SCRATCH + 1, 1), 0x56);
		bar_write(edu, EDU_RAM_BAR, EDU_RAM_SIZE - 8, 0x1122334455667788, 8);
		assert_int_equal(bar_read(edu, EDU_RAM_BAR, EDU_RAM_SIZE - 8, 8),
				 0x1122334455667788);
		rig_close(&told);
		pci_dev_remove(&edu->pdev);
	}
}

static void hostile_accesses_are_refused(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	struct pci_dev *pdev = &edu->pdev;
	unsigned int seed = 1;
	struct told told;
	u8 data[64];

	rig_open(edu, &told, NULL);
	for (unsigned int size = 0; size <= 64; size++) {
		bool reads = size == 1 || size == 2 || size == 4 || size == 8;
		bool writes = reads || size == 64;

		assert_int_equal(pci_bar_access(pdev, 0, 0x40, data, size, false),
				 reads ? 0 : -EINVAL);
		assert_int_equal(pci_bar_access(pdev, 0, 0x40, data, size, true),
				 writes ? 0 : -EINVAL);
	}
	assert_int_equal(atomic_load(&edu->stores), 1);
	assert_int_equal(pci_bar_access(pdev, 0, 2, data, 4, false), -EINVAL);
	assert_int_equal(pci_bar_access(pdev, 0, EDU_BAR0_SIZE, data, 1, false), -EINVAL);
	assert_int_equal(pci_bar_access(pdev, 0, UINT64_MAX - 7, data, 8, false), -EINVAL);
	assert_int_equal(pci_bar_access(pdev, 1, 0, data, 4, false), -EINVAL);
	assert_int_equal(pci_bar_access(pdev, 6, 0, data, 4, false), -EINVAL);
	assert_int_equal(pci_bar_access(pdev, UINT32_MAX, 0, data, 4, false), -EINVAL);
	for (int i = 0; i < 20000; i++) {
		u64 offset = (u64)rand_r(&seed) << (rand_r(&seed) % 40);
		unsigned int bar = (unsigned int)rand_r(&seed) % 8, size = 1U << rand_r(&seed) % 7;

		pci_bar_access(pdev, bar, offset, data, size, rand_r(&seed) & 1);
		pci_config_write(pdev, (u32)offset, (u32)rand_r(&seed), size % 5);
		pci_config_read(pdev, (u32)offset, size % 5);
	}
	rig_close(&told);
}

static void without_decoding_nothing_answers(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	struct told told;
	u32 value = 0;

	assert_int_equal(pci_bar_access(&edu->pdev, 0, 0, &value, 4, false), -EIO);
	rig_open(edu, &told, NULL);
	cfg_write(edu, PCI_COMMAND, 0, 2);
	assert_false(pci_mem_enabled(&edu->pdev));
	assert_int_equal(pci_bar_access(&edu->pdev, 0, 0, &value, 4, false), -EIO);
	assert_int_equal(value, UINT32_MAX);
	assert_int_equal(pci_bar_access(&edu->pdev, 0, EDU_SCRATCH, &value, 4, true), -EIO);
	cfg_write(edu, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(bar_read(edu, 0, 0, 4), EDU_ID);
	rig_close(&told);
}

static void the_msix_table_is_nobodys_by_calls(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	struct told told;

	rig_open(edu, &told, NULL);
	bar_write(edu, 2, 0, 0x1234, 4);
	assert_int_equal(bar_read(edu, 2, 0, 4), UINT32_MAX);
	assert_int_equal(bar_read(edu, 2, 0x1000, 4), 0);
	assert_int_equal(bar_read(edu, 2, 16 * 16, 4), 0); /* behind the table: the model's */
	rig_close(&told);
}

static void dma_needs_bus_mastering_and_works_in_each_mode(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct edu *edu = rig_add(rig, "0000:00:01.0", NULL, modes[i]);
		struct iommufd_device *idev;
		struct told told;

		rig_open(edu, &told, NULL);
		idev = rig_attach(rig, edu);
		memset(rig->memory, 0, 0x3000);
		memset(rig->memory, 0x5a, 0x1000);
		assert_int_equal(rig_copy(edu, RIG_IOVA + 0x1000, RIG_IOVA, 0x1000, 1), -EPERM);
		assert_int_equal(rig->memory[0x1000], 0);
		cfg_master(edu, true);
		assert_int_equal(rig_copy(edu, RIG_IOVA + 0x1000, RIG_IOVA, 0x1000, 2), 0);
		assert_memory_equal(rig->memory, rig->memory + 0x1000, 0x1000);
		assert_int_equal(rig_copy(edu, 0x1000, RIG_IOVA, 4, 3), -EFAULT);
		cfg_master(edu, false);
		assert_int_equal(rig_copy(edu, RIG_IOVA + 0x1000, RIG_IOVA, 4, 4), -EPERM);
		rig_detach(idev);
		rig_close(&told);
		pci_dev_remove(&edu->pdev);
	}
}

static void work_sees_what_is_written_to_memory(void **state)
{
	struct rig *rig = *state;
	struct edu *edu = rig_add(rig, "0000:00:01.0", NULL, PCI_ACCESS_POLL);
	struct mem_device *memory;
	struct iommufd_device *idev;
	struct told told;
	u32 *regs;

	assert_int_equal(mem_device_create(rig->system->mem, -1, true, &memory), 0);
	rig_open(edu, &told, memory);
	idev = rig_attach(rig, edu);
	cfg_master(edu, true);
	/* As a program that has mapped BAR 0 through the file. */
	regs = mmap(NULL, EDU_BAR0_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mem_device_fd(memory),
		    (off_t)PCI_REGION_OFFSET(0));
	assert_true(regs != MAP_FAILED);
	assert_int_equal(__atomic_load_n(&regs[0], __ATOMIC_RELAXED), EDU_ID);
	strcpy((char *)rig->memory, "by memory");
	usleep(20000); /* it sleeps by now */
	__atomic_store_n(&regs[EDU_SRC / 4], (u32)RIG_IOVA, __ATOMIC_RELAXED);
	__atomic_store_n(&regs[EDU_DST / 4], (u32)RIG_IOVA + 0x2000, __ATOMIC_RELAXED);
	__atomic_store_n(&regs[EDU_LEN / 4], 16, __ATOMIC_RELAXED);
	__atomic_store_n(&regs[EDU_DOORBELL / 4], 7, __ATOMIC_RELEASE);
	rig_wait(__atomic_load_n(&regs[EDU_DONE / 4], __ATOMIC_ACQUIRE) == 7);
	assert_string_equal((char *)rig->memory + 0x2000, "by memory");
	/* A reset leaves nothing of it. */
	assert_int_equal(pci_dev_reset(&edu->pdev), 0);
	assert_int_equal(__atomic_load_n(&regs[EDU_DOORBELL / 4], __ATOMIC_RELAXED), 0);
	assert_int_equal(__atomic_load_n(&regs[0], __ATOMIC_RELAXED), EDU_ID);
	munmap(regs, EDU_BAR0_SIZE);
	rig_detach(idev);
	rig_close(&told);
	mem_device_free(memory);
}

static u64 clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (u64)ts.tv_sec * 1000000 + (u64)ts.tv_nsec / 1000;
}

/* For 300 ms, or however long it takes to be woken: a fifth of the time at most, and no work. */
static bool is_idle(struct edu *silent)
{
	u64 cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID), start = clock_us(CLOCK_MONOTONIC), took;
	u32 works = atomic_load(&silent->works);

	usleep(300000);
	cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	took = clock_us(CLOCK_MONOTONIC) - start;
	print_message("idle in poll mode: %llu us of CPU in %llu us\n", (unsigned long long)cpu,
		      (unsigned long long)took);
	return cpu < took / 5 && atomic_load(&silent->works) == works;
}

static void an_idle_function_costs_little(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_POLL);
	struct edu *silent = rig_add(*state, "0000:00:02.0", NULL, PCI_ACCESS_NO_MMAP);
	struct told told, told_silent;
	int looks = 0;

	rig_open(edu, &told, NULL);
	rig_open(silent, &told_silent, NULL);
	/* It may take a while until they have come to rest; then they do. */
	while (!is_idle(silent))
		assert_true(++looks < 20);
	rig_close(&told);
	rig_close(&told_silent);
}

static void a_reset_spares_configuration_space(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	struct told told;
	u32 exp;

	rig_open(edu, &told, NULL);
	cfg_master(edu, true);
	cfg_write(edu, PCI_INTERRUPT_LINE, 11, 1);
	bar_write(edu, 0, EDU_SCRATCH, 5, 4);
	assert_int_equal(pci_dev_reset(&edu->pdev), 0);
	assert_int_equal(atomic_load(&edu->resets), 2);
	assert_int_equal(atomic_load(&told.resets), 0);
	assert_int_equal(bar_read(edu, 0, EDU_SCRATCH, 4), 0);
	assert_true(pci_bus_master(&edu->pdev));
	assert_int_equal(cfg_read(edu, PCI_INTERRUPT_LINE, 1), 11);
	/* The same by writing the bit. */
	for (exp = cfg_read(edu, PCI_CAPABILITY_LIST, 1); cfg_read(edu, exp, 1) != PCI_CAP_ID_EXP;)
		exp = cfg_read(edu, exp + 1, 1);
	bar_write(edu, 0, EDU_SCRATCH, 5, 4);
	cfg_write(edu, exp + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR | 0x2810, 2);
	assert_int_equal(atomic_load(&edu->resets), 3);
	assert_int_equal(atomic_load(&told.resets), 1);
	assert_int_equal(bar_read(edu, 0, EDU_SCRATCH, 4), 0);
	assert_int_equal(cfg_read(edu, exp + PCI_EXP_DEVCTL, 2), 0x2810);
	assert_true(pci_bus_master(&edu->pdev));
	rig_close(&told);
}

static void without_flr_there_is_no_reset(void **state)
{
	struct pci_desc desc = edu_desc;
	struct edu *edu;
	struct told told;
	u32 resets;

	desc.has_flr = false;
	edu = rig_add(*state, "0000:00:01.0", &desc, PCI_ACCESS_NO_MMAP);
	rig_open(edu, &told, NULL);
	resets = atomic_load(&edu->resets);
	assert_int_equal(pci_dev_reset(&edu->pdev), -ENOTTY);
	for (u32 at = 0x40; at < 0x100; at += 2)
		cfg_write(edu, at, 0x8000, 2);
	assert_int_equal(atomic_load(&edu->resets), resets);
	rig_close(&told);
}

static u32 pm_of(struct edu *edu)
{
	u32 at = cfg_read(edu, PCI_CAPABILITY_LIST, 1);

	while (cfg_read(edu, at, 1) != PCI_CAP_ID_PM)
		at = cfg_read(edu, at + 1, 1);
	return at + PCI_PM_CTRL;
}

static void asleep_it_does_nothing_and_wakes_reset(void **state)
{
	struct rig *rig = *state;
	struct edu *edu = rig_add(rig, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	struct told told;
	u32 pm = pm_of(edu), value;

	rig_open(edu, &told, NULL);
	cfg_master(edu, true);
	bar_write(edu, 0, EDU_SCRATCH, 5, 4);
	cfg_write(edu, pm, 1, 2); /* D1: there is none */
	assert_int_equal(cfg_read(edu, pm, 2), 0);
	cfg_write(edu, pm, 3, 2);
	assert_int_equal(cfg_read(edu, pm, 2), 3);
	assert_false(pci_mem_enabled(&edu->pdev));
	assert_false(pci_bus_master(&edu->pdev));
	assert_int_equal(pci_bar_access(&edu->pdev, 0, 0, &value, 4, false), -EIO);
	cfg_write(edu, pm, 0, 2);
	assert_int_equal(atomic_load(&edu->resets), 2);
	assert_int_equal(bar_read(edu, 0, EDU_SCRATCH, 4), 0);
	assert_true(pci_bus_master(&edu->pdev));
	/* A reset wakes it as well. */
	cfg_write(edu, pm, 3, 2);
	assert_int_equal(pci_dev_reset(&edu->pdev), 0);
	assert_int_equal(cfg_read(edu, pm, 2), 0);
	assert_int_equal(bar_read(edu, 0, 0, 4), EDU_ID);
	cfg_write(edu, pm, 3, 2);
	rig_close(&told);
	rig_open(edu, &told, NULL);
	assert_int_equal(cfg_read(edu, pm, 2), 0);
	rig_close(&told);
}

static void stopped_it_does_no_work(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct edu *edu = rig_add(rig, "0000:00:01.0", NULL, modes[i]);
		struct iommufd_device *idev;
		struct told told;
		u32 works;

		rig_open(edu, &told, NULL);
		idev = rig_attach(rig, edu);
		cfg_master(edu, true);
		pci_dev_stop(&edu->pdev);
		pci_dev_stop(&edu->pdev);
		assert_false(pci_bus_master(&edu->pdev));
		works = atomic_load(&edu->works);
		bar_write(edu, 0, EDU_LEN, 0, 4);
		bar_write(edu, 0, EDU_DOORBELL, 9, 4);
		assert_int_equal(pci_dev_reset(&edu->pdev), 0);
		bar_write(edu, 0, EDU_DOORBELL, 9, 4);
		usleep(10000);
		assert_int_equal(atomic_load(&edu->works), works);
		pci_dev_start(&edu->pdev);
		rig_wait(bar_read(edu, 0, EDU_DONE, 4) == 9);
		assert_true(pci_bus_master(&edu->pdev));
		rig_detach(idev);
		rig_close(&told);
		pci_dev_remove(&edu->pdev);
	}
}

/* ---- interrupts ---- */

static void messages_go_where_the_mode_says(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	struct told told;

	rig_open(edu, &told, NULL);
	cfg_master(edu, true);
	assert_int_equal(pci_irq_mode(&edu->pdev), -1);
	pci_raise(&edu->pdev, 3);
	assert_int_equal(atomic_load(&told.irqs[3]), 0);
	pci_irq_set_mode(&edu->pdev, PCI_IRQ_MSIX);
	pci_raise(&edu->pdev, 3);
	pci_raise(&edu->pdev, 15);
	pci_raise(&edu->pdev, 16);
	pci_raise(&edu->pdev, UINT32_MAX);
	assert_int_equal(atomic_load(&told.irqs[3]), 1);
	assert_int_equal(atomic_load(&told.irqs[15]), 1);
	assert_int_equal(atomic_load(&told.irqs[16]), 0);
	pci_irq_set_mode(&edu->pdev, PCI_IRQ_MSI);
	pci_raise(&edu->pdev, 7);
	pci_raise(&edu->pdev, 8);
	assert_int_equal(atomic_load(&told.irqs[7]), 1);
	assert_int_equal(atomic_load(&told.irqs[8]), 0);
	cfg_master(edu, false);
	pci_raise(&edu->pdev, 7);
	assert_int_equal(atomic_load(&told.irqs[7]), 1);
	pci_fatal(&edu->pdev);
	assert_int_equal(atomic_load(&told.errors), 1);
	assert_int_equal(pci_irq_count(&edu->pdev, PCI_IRQ_INTX), 1);
	assert_int_equal(pci_irq_count(&edu->pdev, PCI_IRQ_MSI), 8);
	assert_int_equal(pci_irq_count(&edu->pdev, PCI_IRQ_MSIX), 16);
	rig_close(&told);
	pci_raise(&edu->pdev, 7);
	pci_fatal(&edu->pdev);
	assert_int_equal(atomic_load(&told.errors), 1);
}

static void the_pin_has_a_level(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	struct told told;

	rig_open(edu, &told, NULL);
	pci_intx(&edu->pdev, true);
	assert_int_equal(atomic_load(&told.levels), 0);
	assert_true(cfg_read(edu, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	assert_true(cfg_read(edu, PCI_COMMAND, 4) >> 16 & PCI_STATUS_INTERRUPT);
	assert_true(pci_intx_level(&edu->pdev));
	pci_irq_set_mode(&edu->pdev, PCI_IRQ_INTX);
	assert_true(atomic_load(&told.level));
	cfg_write(edu, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE, 2);
	assert_false(atomic_load(&told.level));
	assert_false(pci_intx_level(&edu->pdev));
	assert_true(cfg_read(edu, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	cfg_write(edu, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(atomic_load(&told.level));
	pci_intx(&edu->pdev, false);
	assert_false(atomic_load(&told.level));
	pci_intx(&edu->pdev, true);
	assert_int_equal(pci_dev_reset(&edu->pdev), 0);
	assert_false(atomic_load(&told.level));
	rig_close(&told);
}

static void *toggle_pin(void *data)
{
	struct edu *edu = data;

	for (int i = 0; i < 2000; i++)
		pci_intx(&edu->pdev, i & 1);
	return NULL;
}

static void the_last_level_told_is_the_right_one(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	pthread_t threads[2];
	struct told told;

	rig_open(edu, &told, NULL);
	pci_irq_set_mode(&edu->pdev, PCI_IRQ_INTX);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, toggle_pin, edu);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	rig_wait(atomic_load(&told.level) == pci_intx_level(&edu->pdev));
	rig_close(&told);
}

/* ---- one thing beside another ---- */

struct storm {
	struct edu *edu;
	_Atomic bool stop;
};

static void *storm_access(void *data)
{
	struct storm *storm = data;
	unsigned int seed = 3;
	u32 value = 0;

	while (!atomic_load(&storm->stop)) {
		u64 offset = EDU_SCRATCH + 4 * ((unsigned int)rand_r(&seed) % 10);

		pci_bar_access(&storm->edu->pdev, 0, offset, &value, 4, rand_r(&seed) & 1);
		pci_raise(&storm->edu->pdev, (u32)rand_r(&seed) % 16);
	}
	return NULL;
}

static void *storm_config(void *data)
{
	struct storm *storm = data;
	unsigned int seed = 4;

	while (!atomic_load(&storm->stop)) {
		u32 offset = (u32)rand_r(&seed) % 0x100;

		pci_config_write(&storm->edu->pdev, offset, (u32)rand_r(&seed), 1);
		pci_config_read(&storm->edu->pdev, offset, 1);
	}
	return NULL;
}

/* edu_reset() asserts that nothing runs beside it. */
static void everything_may_happen_at_once(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, modes[i]);
		struct storm storm = {.edu = edu};
		pthread_t threads[3];
		struct told told;

		rig_open(edu, &told, NULL);
		pci_irq_set_mode(&edu->pdev, PCI_IRQ_MSIX);
		pthread_create(&threads[0], NULL, storm_access, &storm);
		pthread_create(&threads[1], NULL, storm_access, &storm);
		pthread_create(&threads[2], NULL, storm_config, &storm);
		for (int j = 0; j < 60; j++) {
			assert_int_equal(pci_dev_reset(&edu->pdev), 0);
			pci_dev_stop(&edu->pdev);
			pci_dev_start(&edu->pdev);
			if (j % 10 == 9) {
				rig_close(&told);
				rig_open(edu, &told, NULL);
				pci_irq_set_mode(&edu->pdev, PCI_IRQ_MSIX);
			}
		}
		atomic_store(&storm.stop, true);
		for (int j = 0; j < 3; j++)
			pthread_join(threads[j], NULL);
		rig_close(&told);
		pci_dev_remove(&edu->pdev);
	}
}

static void memory_may_run_out_anywhere_while_opening(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, modes[i]);
		struct told told = {.edu = edu};
		struct fault_state fault = {0};
		u32 nth = 0;
		int rc;

		do {
			rig_close(&told);
			told.edu = edu;
			atomic_store(&fault.nth, ++nth);
			fault_current = &fault;
			rc = pci_dev_open(&edu->pdev, &told.client, NULL);
			fault_current = NULL;
			assert_true(!rc || rc == -ENOMEM);
		} while (atomic_load(&fault.injected) == nth);
		print_message("%u places where opening fails\n", nth - 1);
		assert_int_equal(rc, 0);
		assert_true(nth > 2);
		rig_close(&told);
		pci_dev_remove(&edu->pdev);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(opening_resets_and_decodes_but_does_no_dma),
		CASE(an_open_that_fails_leaves_nothing),
		CASE(registers_are_reached_in_each_mode),
		CASE(hostile_accesses_are_refused),
		CASE(without_decoding_nothing_answers),
		CASE(the_msix_table_is_nobodys_by_calls),
		CASE(dma_needs_bus_mastering_and_works_in_each_mode),
		CASE(work_sees_what_is_written_to_memory),
		CASE(an_idle_function_costs_little),
		CASE(a_reset_spares_configuration_space),
		CASE(without_flr_there_is_no_reset),
		CASE(asleep_it_does_nothing_and_wakes_reset),
		CASE(stopped_it_does_no_work),
		CASE(messages_go_where_the_mode_says),
		CASE(the_pin_has_a_level),
		CASE(the_last_level_told_is_the_right_one),
		CASE(everything_may_happen_at_once),
		CASE(memory_may_run_out_anywhere_while_opening),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
