/* SPDX-License-Identifier: MIT */
/*
 * A copy by the emulated DSA, in process, beside memcpy() of the same bytes: a descriptor is
 * written to a portal, and the completion record is waited for.  Bytes are copied by the device's
 * thread through the generic IOMMU.
 */
#include <linux/pci_regs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <iommufd/device.h>
#include <iommufd/generic.h>

#include "bench.h"
#include "devices/dsa/dsa.h"
#include "machine.h"
#include "pci/topology.h"

#define BASE   0x100000000ULL
#define MOST   (1ULL << 20)
#define SOURCE MOST
#define TARGET (2 * MOST)
#define LENGTH (4 * MOST)
#define MASTER (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)
#define YIELD  2000 /* looks at the record; a thread that shares the processor has to come on */

/** struct rig - @memory[n] is at iova BASE + n; a completion record is first in it */
struct rig {
	struct machine machine;
	struct pci_topology *topology;
	struct pci_dev *pdev;
	struct pci_client client;
	struct iommufd_device *idev;
	char *memory;
	uint32_t bytes;
};

/* ---- a small driver ---- */

static uint32_t reg(struct rig *rig, uint64_t offset)
{
	uint32_t value = 0;

	bench_check(!pci_bar_access(rig->pdev, 0, offset, &value, 4, false), "a register");
	return value;
}

static void reg_set(struct rig *rig, uint64_t offset, uint64_t value, unsigned int size)
{
	bench_check(!pci_bar_access(rig->pdev, 0, offset, &value, size, true), "a register");
}

static void order(struct rig *rig, uint32_t code, uint32_t operand)
{
	uint32_t status;

	reg_set(rig, DSA_REG_CMD, code << 20 | operand, 4);
	while ((status = reg(rig, DSA_REG_CMDSTS)) & DSA_CMDSTS_ACTIVE)
		sched_yield();
	bench_check(!(uint8_t)status, "a command of the device");
}

static void enable(struct rig *rig)
{
	const struct dsa_options *opt = &to_dsa(rig->pdev)->opt;

	pci_config_write(rig->pdev, PCI_COMMAND, MASTER, 2);
	order(rig, DSA_CMD_RESET, 0);
	reg_set(rig, DSA_WQCFG, opt->wq_size, 4);
	reg_set(rig, DSA_WQCFG + 4, opt->wq_size, 4);
	reg_set(rig, DSA_WQCFG + 8, DSA_WQ_DEDICATED | 1 << 4, 4); /* priority 1 */
	reg_set(rig, DSA_WQCFG + 12, opt->max_transfer | opt->max_batch << 5, 4);
	reg_set(rig, DSA_GRPCFG, 1, 8);
	reg_set(rig, DSA_GRPCFG + 32, 1, 8);
	order(rig, DSA_CMD_ENABLE, 0);
	order(rig, DSA_CMD_ENABLE_WQ, 0);
}

static uint8_t wait_for(const struct dsa_record *record)
{
	uint8_t status;

	for (uint32_t looks = 1; !(status = __atomic_load_n(&record->status, __ATOMIC_ACQUIRE));
	     looks++)
		if (looks % YIELD == 0)
			sched_yield();
	return status;
}

/* ---- what is measured ---- */

static void copy_by_device(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;
	struct dsa_record *record = (struct dsa_record *)rig->memory;

	while (n--) {
		struct dsa_desc desc = {
			.opflags =
				(uint32_t)DSA_OP_MOVE << 24 | DSA_FLAG_RECORD_OK | DSA_FLAG_RECORD,
			.trusted = DSA_DESC_PRIV,
			.record = BASE,
			.src = BASE + SOURCE,
			.dst = BASE + TARGET,
			.size = rig->bytes,
		};

		__atomic_store_n(&record->status, 0, __ATOMIC_RELAXED);
		bench_check(!pci_bar_access(rig->pdev, 2, 0, &desc, sizeof(desc), true),
			    "a portal");
		bench_check(wait_for(record) == DSA_OK, "a copy");
	}
}

static void copy_by_processor(void *ctx, uint64_t n)
{
	struct rig *rig = ctx;

	while (n--) {
		memcpy(rig->memory + TARGET, rig->memory + SOURCE, rig->bytes);
		__asm__ volatile("" : : "r"(rig->memory) : "memory");
	}
}

/* ---- life ---- */

static void irq(struct pci_client *client, enum pci_irq kind, u32 vector)
{
}

static void intx(struct pci_client *client, bool level)
{
}

static void reset_done(struct pci_client *client)
{
}

static void rig_open(struct rig *rig)
{
	const struct pci_addr addr = {.devfn = 1 << 3};
	struct machine *m = &rig->machine;
	char error[200] = "";
	uint32_t id, pt;

	machine_open(m);
	rig->client = (struct pci_client){irq, intx, reset_done};
	rig->memory =
		mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bench_check(rig->memory != MAP_FAILED, "mmap");
	memset(rig->memory, 1, LENGTH);
	machine_map(m, BASE, rig->memory, LENGTH);
	bench_check(!pci_topology_create(m->system, &rig->topology), "a topology");
	bench_check(!dsa_model.create(m->system, NULL, 0, &rig->pdev, error, sizeof(error)), error);
	bench_check(!pci_dev_add(rig->topology, rig->pdev, addr, iommufd_generic_probe),
		    "the device");
	bench_check(!pci_dev_open(rig->pdev, &rig->client, NULL), "opening the device");
	rig->idev = iommufd_device_bind(m->ctx, &rig->pdev->dev, &id);
	bench_check(!IS_ERR(rig->idev), "iommufd_device_bind");
	pt = m->ioas;
	bench_check(!iommufd_device_attach(rig->idev, IOMMU_NO_PASID, &pt), "attach");
	enable(rig);
}

static void rig_close(struct rig *rig)
{
	pci_dev_close(rig->pdev, &rig->client);
	iommufd_device_detach(rig->idev, IOMMU_NO_PASID);
	iommufd_device_unbind(rig->idev);
	pci_dev_remove(rig->pdev);
	pci_topology_destroy(rig->topology);
	machine_close(&rig->machine);
}

int main(int argc, char **argv)
{
	static const struct bench rows[] = {
		{"DSA copy of 4 KiB", copy_by_device, 5000, "memcpy", copy_by_processor, 5000},
		{"DSA copy of 64 KiB", copy_by_device, 3000, "memcpy", copy_by_processor, 3000},
		{"DSA copy of 1 MiB", copy_by_device, 300, "memcpy", copy_by_processor, 300},
	};
	static const uint32_t bytes[] = {4096, 64 << 10, MOST};
	static struct rig rig;

	bench_select(argc, argv);
	rig_open(&rig);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rig.bytes = bytes[i];
		bench_run(&rows[i], &rig);
	}
	rig_close(&rig);
	return 0;
}
