/* SPDX-License-Identifier: MIT */
/*
 * Registers that are mapped, of a function that does not decode: not enabled, or asleep.
 */
#include "rig.h"

#include <pthread.h>
#include <sys/mman.h>

#include "base/fault.h"
#include "pci/priv.h"

/** struct mapped - a function in poll mode, as a program sees it */
struct mapped {
	struct edu *edu;
	struct told told;
	struct mem_device *memory;
	struct iommufd_device *idev;
	u32 *regs;
	u8 *ram;
};

static void *bar_map(const struct mapped *m, unsigned int bar, size_t size)
{
	void *va = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, mem_device_fd(m->memory),
			(off_t)PCI_REGION_OFFSET((u64)bar));

	assert_true(va != MAP_FAILED);
	return va;
}

static void mapped_open(struct rig *rig, struct mapped *m)
{
	assert_int_equal(mem_device_create(rig->system->mem, -1, true, &m->memory), 0);
	rig_open(m->edu, &m->told, m->memory);
	m->regs = bar_map(m, 0, EDU_BAR0_SIZE);
	m->ram = bar_map(m, EDU_RAM_BAR, EDU_RAM_SIZE);
}

static void mapped_begin(struct rig *rig, struct mapped *m)
{
	m->edu = rig_add(rig, "0000:00:01.0", NULL, PCI_ACCESS_POLL);
	mapped_open(rig, m);
	m->idev = rig_attach(rig, m->edu);
	cfg_master(m->edu, true);
}

static void mapped_end(struct mapped *m)
{
	rig_detach(m->idev);
	rig_close(&m->told);
	munmap(m->regs, EDU_BAR0_SIZE);
	munmap(m->ram, EDU_RAM_SIZE);
	mem_device_free(m->memory);
}

/* As the program's load and store, but for the signal. */
static int look(const u32 *reg, u32 *ret)
{
	return mem_guard_copy(ret, reg, 4);
}

static int put(u32 *reg, u32 value)
{
	return mem_guard_copy(reg, &value, 4);
}

static void assert_reachable(const struct mapped *m, bool reachable)
{
	int want = reachable ? 0 : -EFAULT;
	u32 value;

	assert_int_equal(look(m->regs, &value), want);
	if (reachable)
		assert_int_equal(value, EDU_ID);
	for (u32 at = 0; at < EDU_RAM_SIZE; at += PAGE_SIZE)
		assert_int_equal(look((u32 *)(m->ram + at), &value), want);
}

static u32 pm_of(struct edu *edu)
{
	u32 at = cfg_read(edu, PCI_CAPABILITY_LIST, 1);

	while (cfg_read(edu, at, 1) != PCI_CAP_ID_PM)
		at = cfg_read(edu, at + 1, 1);
	return at + PCI_PM_CTRL;
}

static void without_decode_a_touch_is_a_bus_error(void **state)
{
	struct mapped m;

	mapped_begin(*state, &m);
	assert_int_equal(put(&m.regs[EDU_SCRATCH / 4], 5), 0);
	strcpy((char *)m.ram + 0x3000, "still there");
	assert_reachable(&m, true);
	cfg_write(m.edu, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	assert_reachable(&m, false);
	assert_int_equal(pci_bar_access(&m.edu->pdev, 0, 0, &(u32){0}, 4, false), -EIO);
	/* Bus mastering has no say in it. */
	cfg_write(m.edu, PCI_COMMAND, 0, 2);
	assert_reachable(&m, false);
	cfg_write(m.edu, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	assert_reachable(&m, true);
	assert_int_equal(m.regs[EDU_SCRATCH / 4], 5);
	assert_string_equal((char *)m.ram + 0x3000, "still there");
	assert_int_equal(bar_read(m.edu, 0, EDU_SCRATCH, 4), 5);
	mapped_end(&m);
}

static void in_split_mode_the_mapped_part_goes_away_too(void **state)
{
	struct rig *rig = *state;
	struct mapped m = {.edu = rig_add(rig, "0000:00:01.0", NULL, PCI_ACCESS_SPLIT)};
	u32 value;

	mapped_open(rig, &m);
	bar_write(m.edu, 0, EDU_SCRATCH, 5, 4);
	m.ram[0x3000] = 3;
	assert_int_equal(bar_read(m.edu, EDU_RAM_BAR, 0x3000, 1), 3);
	cfg_write(m.edu, PCI_COMMAND, 0, 2);
	assert_int_equal(look((u32 *)(m.ram + 0x3000), &value), -EFAULT);
	assert_int_equal(pci_bar_access(&m.edu->pdev, 0, EDU_SCRATCH, &value, 4, false), -EIO);
	cfg_write(m.edu, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(look((u32 *)(m.ram + 0x3000), &value), 0);
	assert_int_equal(value, 3);
	assert_int_equal(bar_read(m.edu, 0, EDU_SCRATCH, 4), 5);
	rig_close(&m.told);
	munmap(m.regs, EDU_BAR0_SIZE);
	munmap(m.ram, EDU_RAM_SIZE);
	mem_device_free(m.memory);
}

static void asleep_a_touch_is_a_bus_error_and_awake_it_is_reset(void **state)
{
	struct mapped m;
	u32 pm;

	mapped_begin(*state, &m);
	pm = pm_of(m.edu);
	assert_int_equal(put(&m.regs[EDU_SCRATCH / 4], 5), 0);
	cfg_write(m.edu, pm, 3, 2);
	assert_reachable(&m, false);
	/* The command register changes nothing before it is awake. */
	cfg_write(m.edu, PCI_COMMAND, 0, 2);
	cfg_write(m.edu, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_reachable(&m, false);
	cfg_write(m.edu, pm, 0, 2);
	assert_reachable(&m, true);
	assert_int_equal(m.regs[EDU_SCRATCH / 4], 0);
	/* Woken with decode off it stays away. */
	cfg_write(m.edu, pm, 3, 2);
	cfg_write(m.edu, PCI_COMMAND, 0, 2);
	cfg_write(m.edu, pm, 0, 2);
	assert_reachable(&m, false);
	cfg_write(m.edu, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_reachable(&m, true);
	mapped_end(&m);
}

static void a_reset_goes_by_the_command_register_it_spares(void **state)
{
	struct mapped m;

	mapped_begin(*state, &m);
	assert_int_equal(pci_dev_reset(&m.edu->pdev), 0);
	assert_reachable(&m, true);
	assert_int_equal(put(&m.regs[EDU_SCRATCH / 4], 5), 0);
	cfg_write(m.edu, PCI_COMMAND, 0, 2);
	assert_int_equal(pci_dev_reset(&m.edu->pdev), 0);
	assert_reachable(&m, false);
	cfg_write(m.edu, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	/* It was reset out of sight. */
	assert_reachable(&m, true);
	assert_int_equal(m.regs[EDU_SCRATCH / 4], 0);
	mapped_end(&m);
}

static void what_had_begun_goes_on_without_decode(void **state)
{
	struct rig *rig = *state;
	struct mapped m;
	u32 done = 0;

	mapped_begin(rig, &m);
	for (u32 i = 1; i < 50; i++) {
		*(u32 *)rig->memory = i;
		put(&m.regs[EDU_SRC / 4], (u32)RIG_IOVA);
		put(&m.regs[EDU_DST / 4], (u32)RIG_IOVA + 0x1000);
		put(&m.regs[EDU_LEN / 4], 4);
		put(&m.regs[EDU_DOORBELL / 4], i);
		/* Nobody has looked at the doorbell yet, or it is being done. */
		cfg_write(m.edu, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
		rig_wait(*(_Atomic u32 *)(rig->memory + 0x1000) == i);
		cfg_write(m.edu, PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY, 2);
		rig_wait(!look(&m.regs[EDU_DONE / 4], &done) && done == i);
	}
	mapped_end(&m);
}

static void closed_without_decode_it_is_opened_with(void **state)
{
	struct mapped m;

	mapped_begin(*state, &m);
	m.ram[0] = 1;
	cfg_write(m.edu, PCI_COMMAND, 0, 2);
	rig_detach(m.idev);
	rig_close(&m.told);
	/* The same memory once more, and the same mappings of it. */
	rig_open(m.edu, &m.told, m.memory);
	m.idev = rig_attach(*state, m.edu);
	assert_reachable(&m, true);
	assert_int_equal(m.ram[0], 0);
	mapped_end(&m);
}

static void a_stopped_function_is_hidden_and_stays_stopped(void **state)
{
	struct mapped m;
	u32 works;

	mapped_begin(*state, &m);
	pci_dev_stop(&m.edu->pdev);
	works = atomic_load(&m.edu->works);
	cfg_write(m.edu, PCI_COMMAND, 0, 2);
	assert_reachable(&m, false);
	cfg_write(m.edu, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_reachable(&m, true);
	assert_int_equal(atomic_load(&m.edu->works), works);
	pci_dev_start(&m.edu->pdev);
	rig_wait(atomic_load(&m.edu->works) != works);
	mapped_end(&m);
}

static void a_virtual_function_always_decodes(void **state)
{
	struct rig *rig = *state;
	struct edu *pf = rig_add(rig, "0000:00:01.0", NULL, PCI_ACCESS_POLL);
	struct mapped m;

	assert_int_equal(pci_sriov_set(&pf->pdev, 1), 0);
	m.edu = to_edu(pf->pdev.priv->vfs[0]);
	mapped_open(rig, &m);
	cfg_write(m.edu, PCI_COMMAND, 0, 2);
	assert_true(pci_mem_enabled(&m.edu->pdev));
	assert_reachable(&m, true);
	assert_int_equal(bar_read(m.edu, 0, 0, 4), EDU_ID);
	rig_close(&m.told);
	munmap(m.regs, EDU_BAR0_SIZE);
	munmap(m.ram, EDU_RAM_SIZE);
	mem_device_free(m.memory);
	assert_int_equal(pci_sriov_set(&pf->pdev, 0), 0);
}

static void what_cannot_be_taken_away_stays(void **state)
{
	struct fault_state fault = {0};
	struct mapped m;

	mapped_begin(*state, &m);
	m.ram[7] = 7;
	atomic_store(&fault.nth, 2);
	fault_current = &fault;
	cfg_write(m.edu, PCI_COMMAND, 0, 2);
	fault_current = NULL;
	assert_int_equal(atomic_load(&fault.injected), 1);
	assert_reachable(&m, true);
	assert_false(pci_mem_enabled(&m.edu->pdev));
	/* Tried again at the next occasion, and so is giving it back. */
	cfg_write(m.edu, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	assert_reachable(&m, false);
	atomic_store(&fault.nth, 1);
	fault_current = &fault;
	cfg_write(m.edu, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	fault_current = NULL;
	assert_int_equal(atomic_load(&fault.injected), 2);
	assert_reachable(&m, false);
	assert_int_equal(bar_read(m.edu, 0, 0, 4), EDU_ID);
	assert_int_equal(pci_dev_reset(&m.edu->pdev), 0);
	assert_reachable(&m, true);
	mapped_end(&m);
}

/* ---- at the same time ---- */

struct crowd {
	struct mapped m;
	_Atomic bool end;
	_Atomic u32 n;
};

static void *crowd_commands(void *data)
{
	struct crowd *crowd = data;
	u32 i = atomic_fetch_add(&crowd->n, 1);

	while (!atomic_load(&crowd->end))
		cfg_write(crowd->m.edu, PCI_COMMAND,
			  PCI_COMMAND_MASTER | (i++ & 1 ? PCI_COMMAND_MEMORY : 0), 2);
	return NULL;
}

static void *crowd_touches(void *data)
{
	struct crowd *crowd = data;
	u32 value;

	for (u32 i = 0; !atomic_load(&crowd->end); i++) {
		put(&crowd->m.regs[EDU_SCRATCH / 4], i);
		look((u32 *)(crowd->m.ram + (u64)i % 16 * PAGE_SIZE), &value);
		put((u32 *)(crowd->m.ram + (u64)i % 16 * PAGE_SIZE), i);
	}
	return NULL;
}

static void *crowd_calls(void *data)
{
	struct crowd *crowd = data;
	u64 value;

	for (u32 i = 0; !atomic_load(&crowd->end); i++) {
		value = i;
		pci_bar_access(&crowd->m.edu->pdev, i & 1 ? EDU_RAM_BAR : 0, 8, &value, 8, i & 2);
		if (i % 64 == 0)
			pci_dev_reset(&crowd->m.edu->pdev);
		if (i % 100 == 0)
			cfg_write(crowd->m.edu, pm_of(crowd->m.edu), i % 200 ? 3 : 0, 2);
	}
	return NULL;
}

/* Another function writes where they are by DMA, whether they are there or not. */
static void *crowd_peer(void *data)
{
	struct crowd *crowd = data;

	for (u32 i = 1; !atomic_load(&crowd->end); i++) {
		struct mem_space *mem = crowd->m.edu->pdev.system->mem;
		u64 len;
		u8 *ptr = mem_phys_ptr(mem, crowd->m.edu->pdev.bars[EDU_RAM_BAR].pa, &len);

		assert_int_equal(mem_guard_copy(ptr + 0x5000, &i, 4), 0);
	}
	return NULL;
}

static void many_at_once_leave_one_memory(void **state)
{
	void *(*const roles[])(void *) = {crowd_commands, crowd_commands, crowd_touches,
					  crowd_touches,  crowd_calls,	  crowd_peer};
	pthread_t threads[ARRAY_SIZE(roles)];
	struct crowd crowd = {.end = false};
	struct edu *edu;

	mapped_begin(*state, &crowd.m);
	edu = crowd.m.edu;
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, roles[i], &crowd), 0);
	usleep(300000);
	atomic_store(&crowd.end, true);
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		pthread_join(threads[i], NULL);
	cfg_write(edu, pm_of(edu), 0, 2);
	cfg_master(edu, true);
	assert_int_equal(pci_dev_reset(&edu->pdev), 0);
	assert_reachable(&crowd.m, true);
	strcpy((char *)((struct rig *)*state)->memory, "works");
	assert_int_equal(rig_copy(edu, RIG_IOVA + 0x1000, RIG_IOVA, 6, 12345), 0);
	assert_string_equal((char *)((struct rig *)*state)->memory + 0x1000, "works");
	/* What one side writes the other reads. */
	crowd.m.ram[0x7000] = 7;
	assert_int_equal(bar_read(edu, EDU_RAM_BAR, 0x7000, 1), 7);
	bar_write(edu, EDU_RAM_BAR, 0xf000, 9, 1);
	assert_int_equal(crowd.m.ram[0xf000], 9);
	mapped_end(&crowd.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(without_decode_a_touch_is_a_bus_error),
		CASE(in_split_mode_the_mapped_part_goes_away_too),
		CASE(asleep_a_touch_is_a_bus_error_and_awake_it_is_reset),
		CASE(a_reset_goes_by_the_command_register_it_spares),
		CASE(what_had_begun_goes_on_without_decode),
		CASE(closed_without_decode_it_is_opened_with),
		CASE(a_stopped_function_is_hidden_and_stays_stopped),
		CASE(a_virtual_function_always_decodes),
		CASE(what_cannot_be_taken_away_stays),
		CASE(many_at_once_leave_one_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
