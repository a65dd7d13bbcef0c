/* SPDX-License-Identifier: MIT */
/*
 * A DSA and a driver that does anything: registers, commands, descriptors that are
 * almost right, lists in memory that change, memory that comes and goes.  Nothing may break, and
 * closing it always ends.
 */
#include "target.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <iommufd/device.h>
#include <iommufd/generic.h>

#include "core/system.h"
#include "devices/dsa/dsa.h"
#include "pci/topology.h"

#define STEPS  200
#define BASE   0x10000ULL
#define LENGTH (64 * PAGE_SIZE)
#define WQS    3

struct machine {
	struct choice choice;
	struct iommufd_system *system;
	struct iommufd_process *proc;
	struct iommufd_ctx *ctx;
	int fd;
	u32 ioas;
	struct pci_topology *topology;
	struct pci_dev *pdev;
	struct pci_client client;
	struct iommufd_device *idev;
	u8 *memory;
};

void target_fail(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static void irq(struct pci_client *client, enum pci_irq kind, u32 vector)
{
}

static void intx(struct pci_client *client, bool level)
{
}

static void reset_done(struct pci_client *client)
{
}

static int command(struct machine *m, unsigned int cmd, void *arg)
{
	return iommufd_ioctl(m->proc, m->fd, cmd, arg);
}

static void map(struct machine *m, u64 offset, u64 length, bool on)
{
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .ioas_id = m->ioas,
				     .iova = BASE + offset,
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
					      IOMMU_IOAS_MAP_WRITEABLE,
				     .user_va = (uintptr_t)m->memory + offset,
				     .length = length};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = m->ioas, .iova = BASE + offset, .length = length};

	command(m, on ? IOMMU_IOAS_MAP : IOMMU_IOAS_UNMAP, on ? (void *)&map : (void *)&unmap);
}

/* ---- a machine ---- */

static int device_begin(struct machine *m)
{
	static const struct device_option options[] = {
		{"wqs", "3"},	   {"max-transfer", "14"}, {"max-batch", "5"},
		{"wq-size", "16"}, {"shared", "on"},
	};
	const struct pci_addr addr = {.devfn = 8};
	char error[200];
	u32 id, pt = m->ioas;

	if (dsa_model.create(m->system, options, ARRAY_SIZE(options), &m->pdev, error,
			     sizeof(error)) ||
	    pci_dev_add(m->topology, m->pdev, addr, iommufd_generic_probe) ||
	    pci_dev_open(m->pdev, &m->client, NULL))
		return -1;
	m->idev = iommufd_device_bind(m->ctx, &m->pdev->dev, &id);
	return IS_ERR(m->idev) || iommufd_device_attach(m->idev, IOMMU_NO_PASID, &pt);
}

static int machine_begin(struct machine *m)
{
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};

	m->client = (struct pci_client){irq, intx, reset_done};
	if (iommufd_system_create(NULL, &m->system) || iommufd_generic_init(m->system) ||
	    iommufd_process_create(m->system, &m->proc) ||
	    pci_topology_create(m->system, &m->topology))
		return -1;
	m->fd = iommufd_open(m->proc, "/dev/iommu", O_RDWR);
	if (m->fd < 0 || iommufd_ctx_from_fd(m->proc, m->fd, &m->ctx) ||
	    command(m, IOMMU_IOAS_ALLOC, &ioas))
		return -1;
	m->ioas = ioas.out_ioas_id;
	m->memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->memory == MAP_FAILED)
		return -1;
	map(m, 0, LENGTH, true);
	return device_begin(m);
}

static void machine_end(struct machine *m)
{
	char why[200];

	pci_dev_close(m->pdev, &m->client);
	iommufd_device_detach(m->idev, IOMMU_NO_PASID);
	iommufd_device_unbind(m->idev);
	pci_dev_remove(m->pdev);
	if (iommufd_ctx_check(m->ctx, why, sizeof(why)))
		target_fail(why);
	iommufd_ctx_put(m->ctx);
	iommufd_process_destroy(m->proc);
	pci_topology_destroy(m->topology);
	if (mem_space_pins(m->system->mem))
		target_fail("pins are left");
	iommufd_system_destroy(m->system);
	munmap(m->memory, LENGTH);
}

/* ---- what a driver does ---- */

static void wr(struct machine *m, u64 offset, u64 value, unsigned int size)
{
	pci_bar_access(m->pdev, 0, offset, &value, size, true);
}

static void do_up(struct machine *m)
{
	u32 dword2 = 1 << 4 |
		     (choice_rarely(&m->choice, 4) ? (u32)DSA_WQ_PASID_EN : (u32)DSA_WQ_DEDICATED);

	pci_config_write(m->pdev, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	wr(m, DSA_REG_CMD, DSA_CMD_RESET << 20, 4);
	for (u32 i = 0; i < WQS; i++) {
		wr(m, DSA_WQCFG + i * DSA_WQCFG_SIZE, 5, 8);
		wr(m, DSA_WQCFG + i * DSA_WQCFG_SIZE + 8,
		   dword2 | choice_below(&m->choice, 2) << 1 | (14 | 5 << 5) * 0x100000000ULL, 8);
	}
	wr(m, DSA_GRPCFG, 7, 8);
	wr(m, DSA_GRPCFG + 32, 1, 8);
	wr(m, DSA_REG_CMD, DSA_CMD_ENABLE << 20, 4);
	for (u32 i = 0; i < WQS; i++)
		wr(m, DSA_REG_CMD, DSA_CMD_ENABLE_WQ << 20 | i, 4);
	pci_irq_set_mode(m->pdev, PCI_IRQ_MSIX);
}

static u64 any_address(struct machine *m)
{
	switch (choice_below(&m->choice, 8)) {
	case 6:
		return choice_raw(&m->choice, 8);
	case 7:
		return BASE + LENGTH - 1 - choice_raw(&m->choice, 1);
	default:
		return BASE + choice_raw(&m->choice, 1) * 32 +
		       choice_raw(&m->choice, 1) % 32 * PAGE_SIZE;
	}
}

static struct dsa_desc any_descriptor(struct machine *m)
{
	static const u8 ops[] = {DSA_OP_MOVE,	      DSA_OP_BATCH,
				 DSA_OP_NOOP,	      DSA_OP_DRAIN,
				 DSA_OP_FILL,	      DSA_OP_COMPARE,
				 DSA_OP_DUALCAST,     DSA_OP_COMPARE_PATTERN,
				 DSA_OP_DELTA_CREATE, DSA_OP_CRC,
				 DSA_OP_DELTA_APPLY,  DSA_OP_COPY_CRC,
				 DSA_OP_CACHE_FLUSH,  0x12};
	struct choice *c = &m->choice;
	u8 op = ops[choice_below(c, ARRAY_SIZE(ops))];
	struct dsa_desc desc = {
		.opflags = (u32)op << 24 | DSA_FLAG_RECORD_OK | DSA_FLAG_RECORD,
		.record = any_address(m) & ~31ULL,
		.src = any_address(m),
		.dst = any_address(m),
		.size = op == DSA_OP_BATCH ? choice_below(c, 40) : (u32)choice_raw(c, 2),
		.handle = (u16)choice_below(c, 6),
	};

	if (op == DSA_OP_BATCH)
		desc.src &= ~63ULL;
	if (op == DSA_OP_DUALCAST)
		desc.op.dst2 = desc.dst ^ choice_below(c, 16) << 12;
	if (op == DSA_OP_DELTA_CREATE || op == DSA_OP_DELTA_APPLY) {
		desc.src &= ~7ULL;
		desc.dst &= ~7ULL;
		desc.size &= ~7U;
		desc.op.delta_size = 10 * choice_below(c, 64);
	}
	if (op == DSA_OP_DELTA_CREATE) {
		desc.op.delta.addr = any_address(m) & ~7ULL;
		desc.op.delta.max = 10 * choice_below(c, 64);
	}
	if (choice_rarely(c, 4))
		desc.opflags ^= (u32)choice_raw(c, 3);
	if (choice_rarely(c, 8))
		((u8 *)&desc)[choice_below(c, 64)] ^= choice_byte(c);
	return desc;
}

static void do_descriptor(struct machine *m)
{
	struct dsa_desc desc = any_descriptor(m);
	u64 offset = choice_below(&m->choice, WQS * DSA_PORTAL_PAGES) * DSA_PORTAL_PAGE;

	pci_bar_access(m->pdev, 2, offset, &desc, sizeof(desc), true);
}

/* Into what may be a list, or a record, or data; the device may be reading it. */
static void do_memory(struct machine *m)
{
	struct dsa_desc desc = any_descriptor(m);
	u64 offset = choice_raw(&m->choice, 2) * sizeof(desc) % LENGTH;

	iommufd_dma_copy(m->memory + offset, &desc, sizeof(desc));
}

static void do_register(struct machine *m)
{
	static const u16 bases[] = {0, DSA_WQCFG, DSA_GRPCFG, DSA_MSIXPERM, DSA_REG_SWERR};
	static const u8 sizes[] = {4, 8, 1, 2};
	struct choice *c = &m->choice;
	unsigned int size = sizes[choice_below(c, 4)];
	u64 offset = bases[choice_below(c, ARRAY_SIZE(bases))] + choice_raw(c, 1) / size * size;
	u64 value = choice_raw(c, size);

	pci_bar_access(m->pdev, 0, offset, &value, size, choice_below(c, 2));
}

static void do_world(struct machine *m)
{
	struct choice *c = &m->choice;
	u32 n = choice_below(c, 8);

	if (n < 4)
		map(m, choice_below(c, 64) * PAGE_SIZE, (1 + choice_below(c, 8)) * PAGE_SIZE,
		    n & 1);
	else if (n == 4)
		pci_dev_reset(m->pdev);
	else if (n == 5)
		pci_config_write(m->pdev, PCI_COMMAND, (u32)choice_raw(c, 1) | PCI_COMMAND_MEMORY,
				 2);
	else if (n == 6)
		m->pdev->ops->inject(m->pdev, choice_below(c, 2) ? "halt" : "hw-error", NULL);
	else
		m->pdev->ops->inject(m->pdev, "swerr", "0x13");
}

static void do_something(struct machine *m)
{
	struct choice *c = &m->choice;

	switch (choice_below(c, 16)) {
	case 0 ... 6:
		do_descriptor(m);
		break;
	case 7 ... 9:
		do_memory(m);
		break;
	case 10 ... 11:
		do_register(m);
		break;
	case 12:
		wr(m, DSA_REG_CMD, choice_below(c, 15) << 20 | choice_below(c, 9), 4);
		break;
	case 13:
		wr(m, DSA_REG_CMD, DSA_CMD_DRAIN_ALL << 20, 4);
		break;
	case 14:
		do_world(m);
		break;
	default:
		do_up(m);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine m = {.choice = {.bytes = data, .left = size}};

	if (!size)
		return 0;
	if (machine_begin(&m))
		target_fail("no machine");
	do_up(&m);
	for (u32 i = 0; i < STEPS && !choice_over(&m.choice); i++)
		do_something(&m);
	machine_end(&m);
	return 0;
}
