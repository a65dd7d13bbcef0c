/* SPDX-License-Identifier: MIT */
/*
 * Translation through two stages, as a device would ask for it: a guest's table of PASIDs and
 * x86-64 tables in its memory, behind VT-d's second stage with entries of 4 KiB.
 *
 * The baseline is what such a translation cannot do without where nothing is cached: as many loads,
 * each of which says where the next one is, in as much memory as the tables are.  Both sides are
 * chained: the next address is known when the last answer is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <iommufd/device.h>
#include <iommufd/dma.h>
#include <iommufd/uapi/iommufd.h>

#include "../tests/unit/models/nest_iommu.h"
#include "base/types.h"
#include "bench.h"
#include "machine.h"

#define PAGES	32768ULL
#define CACHED	16ULL /* so few that all are in the IOTLB */
#define RANDOMS 65536U
#define IOVA	0x7600000000ULL

/* Guest-physical addresses */
#define PASID_TABLE 0x1000ULL
#define TABLES	    0x200000ULL
#define DATA	    0x800000ULL
#define LENGTH	    (DATA + PAGES * PAGE_SIZE)

#define ENTRY_BITS 7ULL /* of the guest's tables: present, writable, user */
#define ENTRY_ADDR (((1ULL << 52) - 1) & ~0xfffULL)
#define OF_ENTRY   5 /* loads for the entry of the PASID: itself and four of the second stage */

/**
 * struct rig - @memory: the guest's; @next: a free page in it, for a table
 * @addrs: to be translated, RANDOMS of them; @loads: of each when nothing is cached
 * @zero: 0, but the compiler does not know
 */
struct rig {
	struct machine machine;
	struct nest_iommu iommu;
	struct device dev;
	struct iommufd_device *idev;
	char *memory;
	uint64_t next;
	uint64_t *addrs;
	uint64_t loads, zero;
	struct bench_chain chain;
	volatile uint64_t sink;
};

/* ---- the guest ---- */

static uint64_t *word(struct rig *rig, uint64_t gpa)
{
	return (uint64_t *)(rig->memory + gpa);
}

static void guest_map(struct rig *rig, uint64_t root, uint64_t iova, uint64_t gpa)
{
	uint64_t table = root, *entry;

	for (int shift = 39; shift > 12; shift -= 9) {
		entry = word(rig, table + (iova >> shift & 511) * 8);
		if (!*entry) {
			*entry = rig->next | ENTRY_BITS;
			rig->next += PAGE_SIZE;
			bench_check(rig->next < DATA, "the guest's tables");
		}
		table = *entry & ENTRY_ADDR;
	}
	*word(rig, table + (iova >> 12 & 511) * 8) = gpa | ENTRY_BITS;
}

static void guest_open(struct rig *rig)
{
	uint64_t root = TABLES;

	rig->next = root + PAGE_SIZE;
	*word(rig, PASID_TABLE) = NEST_ENTRY(root, 1);
	for (uint64_t i = 0; i < PAGES; i++)
		guest_map(rig, root, IOVA + i * PAGE_SIZE, DATA + i * 40503 % PAGES * PAGE_SIZE);
}

/* ---- the host ---- */

static uint32_t nested_alloc(struct rig *rig, uint32_t dev_id)
{
	const struct nest_hwpt_data data = {.table = PASID_TABLE};
	struct iommu_hwpt_alloc parent = {.size = sizeof(parent),
					  .dev_id = dev_id,
					  .pt_id = rig->machine.ioas,
					  .flags = IOMMU_HWPT_ALLOC_NEST_PARENT};
	struct iommu_hwpt_alloc nested = {.size = sizeof(nested),
					  .dev_id = dev_id,
					  .flags = IOMMU_HWPT_ALLOC_PASID,
					  .data_type = NEST_TYPE,
					  .data_len = sizeof(data),
					  .data_uptr = (uintptr_t)&data};

	machine_command(&rig->machine, IOMMU_HWPT_ALLOC, &parent, "HWPT_ALLOC of the parent");
	machine_map(&rig->machine, 0, rig->memory, LENGTH);
	nested.pt_id = parent.out_hwpt_id;
	machine_command(&rig->machine, IOMMU_HWPT_ALLOC, &nested, "HWPT_ALLOC");
	return nested.out_hwpt_id;
}

static void rig_open(struct rig *rig)
{
	struct machine *m = &rig->machine;
	struct iommu_option small = {.size = sizeof(small),
				     .op = IOMMU_OPTION_OP_SET,
				     .option_id = IOMMU_OPTION_HUGE_PAGES};
	uint32_t id, pt;

	machine_open(m);
	small.object_id = m->ioas;
	machine_command(m, IOMMU_OPTION, &small, "IOMMU_OPTION");
	rig->memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	rig->addrs = calloc(RANDOMS, sizeof(*rig->addrs));
	bench_check(rig->memory != MAP_FAILED && rig->addrs, "memory");
	guest_open(rig);
	nest_iommu_init(&rig->iommu, m->system);
	bench_check(!nest_device_init(&rig->iommu, &rig->dev, "nested0"), "the device");
	rig->idev = iommufd_device_bind(m->ctx, &rig->dev, &id);
	bench_check(!IS_ERR(rig->idev), "iommufd_device_bind");
	pt = nested_alloc(rig, id);
	bench_check(!iommufd_device_attach(rig->idev, IOMMU_NO_PASID, &pt), "attach");
}

static void rig_close(struct rig *rig)
{
	iommufd_device_detach(rig->idev, IOMMU_NO_PASID);
	iommufd_device_unbind(rig->idev);
	iommu_release_device(&rig->dev);
	machine_close(&rig->machine);
	munmap(rig->memory, LENGTH);
	free(rig->addrs);
}

/* ---- what is measured ---- */

static void translate(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	u64 pa = 0;

	while (n--)
		if (iommufd_dma_translate(&rig->dev, IOMMU_NO_PASID,
					  rig->addrs[(n + (pa & rig->zero)) % RANDOMS], IOMMU_READ,
					  &pa))
			abort();
	rig->sink = pa;
}

static void chased_loads(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	bench_chase(&rig->chain, n * rig->loads);
}

static void choose(struct rig *rig, uint64_t pages)
{
	for (uint32_t i = 0; i < RANDOMS; i++)
		rig->addrs[i] = IOVA + (uint64_t)random() % pages * PAGE_SIZE;
	/* The first walks mark entries as accessed, by more loads; they are not to be counted. */
	translate(rig, RANDOMS);
}

static void count_loads(struct rig *rig)
{
	choose(rig, PAGES);
	rig->iommu.most_loads = 0;
	translate(rig, RANDOMS);
	rig->loads = rig->iommu.most_loads + OF_ENTRY;
}

static void row(struct rig *rig, const char *name, uint64_t pages, uint64_t n)
{
	char baseline[64];
	struct bench bench = {.name = name,
			      .fn = translate,
			      .n = n,
			      .baseline = baseline,
			      .baseline_fn = chased_loads,
			      .baseline_n = 20000,
			      .aim_ratio = 2};

	if (!bench_selected(name))
		return;
	choose(rig, pages);
	snprintf(baseline, sizeof(baseline), "%llu loads, chained", (unsigned long long)rig->loads);
	bench_chain_make(&rig->chain, 2 * pages * sizeof(uint64_t));
	bench_run(&bench, rig);
	bench_chain_free(&rig->chain);
}

int main(int argc, char **argv)
{
	static struct rig rig;

	bench_select(argc, argv);
	rig_open(&rig);
	count_loads(&rig);
	row(&rig, "nested translation, cached", CACHED, 500000);
	row(&rig, "nested translation, not cached, 32768 mappings", PAGES, 20000);
	rig_close(&rig);
	return 0;
}
