/* SPDX-License-Identifier: MIT */
/*
 * DMA from one function to the registers and memory of another, in all modes.
 */
#include "rig.h"

#include <pthread.h>

#include "mem/io.h"

static const enum pci_access modes[] = {PCI_ACCESS_POLL, PCI_ACCESS_NO_MMAP, PCI_ACCESS_TRAP,
					PCI_ACCESS_SPLIT};

struct pair {
	struct edu *from, *to;
	struct told told_from, told_to;
	struct iommufd_device *idev;
};

static void pair_begin(struct rig *rig, struct pair *pair, enum pci_access from, enum pci_access to,
		       unsigned int bar)
{
	pair->from = rig_add(rig, "0000:00:01.0", NULL, from);
	pair->to = rig_add(rig, "0000:00:02.0", NULL, to);
	rig_open(pair->from, &pair->told_from, NULL);
	rig_open(pair->to, &pair->told_to, NULL);
	pair->idev = rig_attach(rig, pair->from);
	cfg_master(pair->from, true);
	cfg_master(pair->to, true);
	rig_map_bar(rig, pair->to, bar);
}

static void pair_end(struct rig *rig, struct pair *pair, unsigned int bar)
{
	rig_unmap_bar(rig, pair->to, bar);
	rig_detach(pair->idev);
	rig_close(&pair->told_from);
	rig_close(&pair->told_to);
	pci_dev_remove(&pair->from->pdev);
	pci_dev_remove(&pair->to->pdev);
}

static void memory_of_another_function_is_reached(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(modes) * ARRAY_SIZE(modes); i++) {
		struct pair pair;

		pair_begin(rig, &pair, modes[i / ARRAY_SIZE(modes)], modes[i % ARRAY_SIZE(modes)],
			   EDU_RAM_BAR);
		for (u32 j = 0; j < 0x1000; j++)
			rig->memory[j] = (u8)(j * 7 + i);
		memset(rig->memory + 0x2000, 0, 0x1000);
		/* Odd addresses and lengths become accesses of all sizes. */
		assert_int_equal(rig_copy(pair.from, RIG_PEER + 0x2003, RIG_IOVA + 1, 0xffd, 1), 0);
		assert_int_equal(
			rig_copy(pair.from, RIG_IOVA + 0x2001, RIG_PEER + 0x2003, 0xffd, 2), 0);
		assert_memory_equal(rig->memory + 1, rig->memory + 0x2001, 0xffd);
		assert_int_equal(bar_read(pair.to, EDU_RAM_BAR, 0x2003, 1), rig->memory[1]);
		pair_end(rig, &pair, EDU_RAM_BAR);
	}
}

static void a_doorbell_rung_by_dma_is_heard(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct pair pair;

		pair_begin(rig, &pair, PCI_ACCESS_NO_MMAP, modes[i], 0);
		*(u32 *)rig->memory = 77;
		assert_int_equal(rig_copy(pair.from, RIG_PEER + EDU_DOORBELL, RIG_IOVA, 4, 1), 0);
		rig_wait(bar_read(pair.to, 0, EDU_DONE, 4) == 77);
		pair_end(rig, &pair, 0);
	}
}

static void what_does_not_answer_fails(void **state)
{
	struct rig *rig = *state;
	struct pair pair;

	pair_begin(rig, &pair, PCI_ACCESS_NO_MMAP, PCI_ACCESS_NO_MMAP, EDU_RAM_BAR);
	assert_int_equal(rig_copy(pair.from, RIG_IOVA, RIG_PEER, 64, 1), 0);
	cfg_write(pair.to, PCI_COMMAND, 0, 2);
	assert_int_equal(rig_copy(pair.from, RIG_IOVA, RIG_PEER, 64, 2), -EIO);
	cfg_write(pair.to, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(rig_copy(pair.from, RIG_IOVA, RIG_PEER, 64, 3), 0);
	/* Closed, its addresses are nobody's, mapped or not. */
	rig_close(&pair.told_to);
	assert_int_equal(rig_copy(pair.from, RIG_IOVA, RIG_PEER, 64, 4), -EIO);
	rig_open(pair.to, &pair.told_to, NULL);
	pair_end(rig, &pair, EDU_RAM_BAR);
}

static void pointers_to_registers_are_copies(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct iommufd_dma_map *map;
		struct pair pair;

		pair_begin(rig, &pair, PCI_ACCESS_NO_MMAP, modes[i], EDU_RAM_BAR);
		assert_int_equal(iommufd_dma_map(&pair.from->pdev.dev, IOMMU_NO_PASID, RIG_PEER + 8,
						 16, IOMMU_READ | IOMMU_WRITE, &map, NULL),
				 0);
		memcpy(map->segs[0].ptr, "fifteen letters", 16);
		assert_int_equal(iommufd_dma_unmap(map), 0);
		assert_int_equal(bar_read(pair.to, EDU_RAM_BAR, 8, 8),
				 *(const u64 *)"fifteen letters");
		pair_end(rig, &pair, EDU_RAM_BAR);
	}
}

static void registers_take_no_atomics(void **state)
{
	struct rig *rig = *state;
	struct pair pair;
	u64 old;

	pair_begin(rig, &pair, PCI_ACCESS_NO_MMAP, PCI_ACCESS_NO_MMAP, EDU_RAM_BAR);
	assert_int_equal(iommufd_dma_atomic(&pair.from->pdev.dev, IOMMU_NO_PASID, RIG_PEER, 8,
					    IOMMUFD_DMA_FETCH_ADD, 1, 0, &old, NULL),
			 -EIO);
	pair_end(rig, &pair, EDU_RAM_BAR);
}

static void translated_requests_reach_them_too(void **state)
{
	struct rig *rig = *state;
	struct iommufd_ats_translation xlat;
	struct pair pair;
	u64 value = 0x1234567890, back = 0;

	pair_begin(rig, &pair, PCI_ACCESS_NO_MMAP, PCI_ACCESS_NO_MMAP, EDU_RAM_BAR);
	iommufd_ats_enable(&pair.from->pdev.dev, NULL, NULL);
	assert_int_equal(iommufd_ats_translate(&pair.from->pdev.dev, IOMMU_NO_PASID, RIG_PEER,
					       IOMMU_READ | IOMMU_WRITE, &xlat, NULL),
			 0);
	assert_int_equal(xlat.pa, pair.to->pdev.bars[EDU_RAM_BAR].pa);
	assert_int_equal(iommufd_ats_write(&pair.from->pdev.dev, xlat.pa + 16, &value, 8, NULL), 0);
	assert_int_equal(bar_read(pair.to, EDU_RAM_BAR, 16, 8), value);
	assert_int_equal(iommufd_ats_read(&pair.from->pdev.dev, xlat.pa + 16, &back, 8, NULL), 0);
	assert_int_equal(back, value);
	pair_end(rig, &pair, EDU_RAM_BAR);
}

/* ---- addresses that call each other ---- */

struct mirror {
	struct mem_space *space;
	u64 pa;
	unsigned int calls;
};

static int mirror_write(void *data, u64 offset, const void *buf, unsigned int size)
{
	struct mirror *mirror = data;

	mirror->calls++;
	return mem_phys_write(mirror->space, mirror->pa + offset, buf, size);
}

static int mirror_read(void *data, u64 offset, void *buf, unsigned int size)
{
	struct mirror *mirror = data;

	return mem_phys_read(mirror->space, mirror->pa + offset, buf, size);
}

static void accesses_that_cause_themselves_end(void **state)
{
	static const struct mem_io_ops ops = {mirror_read, mirror_write};
	struct rig *rig = *state;
	struct mirror mirror = {.space = rig->system->mem};
	struct mem_io *io;
	u64 value = 1;

	assert_int_equal(mem_io_create(mirror.space, 4096, &ops, &mirror, &io, &mirror.pa), 0);
	assert_int_equal(mem_phys_write(mirror.space, mirror.pa, &value, 8), -EFAULT);
	assert_int_equal(mirror.calls, MEM_IO_DEPTH);
	assert_int_equal(mem_ram_write(mirror.space, mirror.pa, &value, 8), -EREMOTEIO);
	assert_int_equal(mem_phys_load64(mirror.space, mirror.pa, &value), -EFAULT);
	assert_int_equal(mem_phys_write(mirror.space, mirror.pa + 4090, &value, 8), -EFAULT);
	assert_null(mem_phys_ptr(mirror.space, mirror.pa, &value));
	mem_io_destroy(io);
	assert_int_equal(mem_phys_write(mirror.space, mirror.pa, &value, 8), -EFAULT);
}

struct traffic {
	struct pair *pair;
	_Atomic bool stop;
	_Atomic u32 done;
};

static void *traffic_run(void *data)
{
	struct traffic *traffic = data;
	struct device *dev = &traffic->pair->from->pdev.dev;
	u8 buf[64];

	while (!atomic_load(&traffic->stop)) {
		int rc = iommufd_dma_write(dev, IOMMU_NO_PASID, RIG_PEER + 4, buf, sizeof(buf),
					   NULL);

		assert_true(!rc || rc == -EIO || rc == -EFAULT);
		atomic_fetch_add(&traffic->done, 1);
	}
	return NULL;
}

static void a_function_may_close_under_traffic(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < 2; i++) {
		struct traffic traffic = {0};
		pthread_t threads[2];
		struct pair pair;

		pair_begin(rig, &pair, PCI_ACCESS_NO_MMAP, modes[i], EDU_RAM_BAR);
		traffic.pair = &pair;
		for (int j = 0; j < 2; j++)
			pthread_create(&threads[j], NULL, traffic_run, &traffic);
		for (int j = 0; j < 40; j++) {
			u32 done = atomic_load(&traffic.done);

			/* As vfio does before it closes: nothing maps it any more. */
			rig_unmap_bar(rig, pair.to, EDU_RAM_BAR);
			rig_close(&pair.told_to);
			rig_open(pair.to, &pair.told_to, NULL);
			rig_map_bar(rig, pair.to, EDU_RAM_BAR);
			rig_wait(atomic_load(&traffic.done) > done);
		}
		atomic_store(&traffic.stop, true);
		for (int j = 0; j < 2; j++)
			pthread_join(threads[j], NULL);
		pair_end(rig, &pair, EDU_RAM_BAR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(memory_of_another_function_is_reached),
		CASE(a_doorbell_rung_by_dma_is_heard),
		CASE(what_does_not_answer_fails),
		CASE(pointers_to_registers_are_copies),
		CASE(registers_take_no_atomics),
		CASE(translated_requests_reach_them_too),
		CASE(accesses_that_cause_themselves_end),
		CASE(a_function_may_close_under_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
