/* SPDX-License-Identifier: MIT */
/*
 * An NVMe disk and a hostile driver: any registers, commands of any bytes in queues
 * anywhere, memory that goes while they run.  The disk's thread does nothing: its work() is called
 * here, so that an input does the same each time; it must come to an end and its queues must stay
 * sound.
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <iommufd/device.h>
#include <iommufd/generic.h>

#include "devices/nvme/nvme.h"
#include "pci/topology.h"
#include "target.h"

#define STEPS  200
#define MEMORY (64 * PAGE_SIZE)
#define BASE   0x10000000ULL
#define TURNS  5000 /* calls of work() that must be enough */
#define DISK   "256K"

/** struct machine - see above; @ops are @pdev's but for work() */
struct machine {
	struct caller *caller;
	struct iommufd_system *system;
	struct iommufd_process *proc;
	struct iommufd_ctx *ctx;
	int fd;
	u32 ioas;
	struct pci_topology *topology;
	struct pci_dev *pdev;
	struct nvme *nvme;
	struct pci_ops ops;
	const struct pci_ops *model_ops;
	struct pci_client client;
	struct iommufd_device *idev;
	u8 *memory;
	u32 tails[NVME_QUEUES];
};

static void irq(struct pci_client *client, enum pci_irq kind, u32 vector)
{
}

static void intx(struct pci_client *client, bool level)
{
}

static void reset_done(struct pci_client *client)
{
}

static void must(int rc, const char *what)
{
	if (rc)
		target_fail(what);
}

/* ---- the machine ---- */

static long map(struct machine *m, u64 iova, u64 offset, u64 length, u32 flags)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .ioas_id = m->ioas,
				     .iova = iova,
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | flags,
				     .user_va = (uintptr_t)m->memory + offset,
				     .length = length};

	return iommufd_ioctl(m->proc, m->fd, IOMMU_IOAS_MAP, &cmd);
}

static void unmap(struct machine *m, u64 iova, u64 length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = m->ioas, .iova = iova, .length = length};

	iommufd_ioctl(m->proc, m->fd, IOMMU_IOAS_UNMAP, &cmd);
}

/* Each 16 pages are an area; the last one can be read only. */
static void map_area(struct machine *m, u32 i)
{
	map(m, BASE + i * 16 * PAGE_SIZE, i * 16 * PAGE_SIZE, 16 * PAGE_SIZE,
	    IOMMU_IOAS_MAP_READABLE | (i == 3 ? 0 : IOMMU_IOAS_MAP_WRITEABLE));
}

static void begin_system(struct machine *m)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	must(iommufd_system_create(NULL, &m->system), "system");
	must(iommufd_generic_init(m->system), "iommu");
	must(iommufd_process_create(m->system, &m->proc), "process");
	must(pci_topology_create(m->system, &m->topology), "topology");
	m->fd = iommufd_open(m->proc, "/dev/iommu", O_RDWR);
	must(iommufd_ctx_from_fd(m->proc, m->fd, &m->ctx), "context");
	must((int)iommufd_ioctl(m->proc, m->fd, IOMMU_IOAS_ALLOC, &alloc), "ioas");
	m->ioas = alloc.out_ioas_id;
	m->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(m->memory == MAP_FAILED, "memory");
	for (u32 i = 0; i < 4; i++)
		map_area(m, i);
}

static void bus_master(struct machine *m, bool on)
{
	pci_config_write(m->pdev, PCI_COMMAND, PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0),
			 2);
}

static void begin(struct machine *m)
{
	static const enum pci_access modes[] = {PCI_ACCESS_POLL, PCI_ACCESS_NO_MMAP,
						PCI_ACCESS_SPLIT};
	const struct device_option options[] = {{"size", DISK}, {"queues", "7"}};
	struct pci_addr addr = {.devfn = 8};
	char error[200];
	u32 id, pt;

	begin_system(m);
	must(nvme_model.create(m->system, options, 2, &m->pdev, error, sizeof(error)), "disk");
	m->nvme = to_nvme(m->pdev);
	m->model_ops = m->pdev->ops;
	m->ops = *m->pdev->ops;
	m->ops.work = NULL;
	m->pdev->ops = &m->ops;
	m->pdev->access = modes[choice_below(&m->caller->choice, ARRAY_SIZE(modes))];
	m->client = (struct pci_client){irq, intx, reset_done};
	must(pci_dev_add(m->topology, m->pdev, addr, iommufd_generic_probe), "add");
	must(pci_dev_open(m->pdev, &m->client, NULL), "open");
	m->idev = iommufd_device_bind(m->ctx, &m->pdev->dev, &id);
	must(IS_ERR(m->idev), "bind");
	pt = m->ioas;
	must(iommufd_device_attach(m->idev, IOMMU_NO_PASID, &pt), "attach");
	bus_master(m, true);
	pci_irq_set_mode(m->pdev, (int)choice_below(&m->caller->choice, 4) - 1);
}

static void end(struct machine *m)
{
	pci_dev_close(m->pdev, &m->client);
	iommufd_device_detach(m->idev, IOMMU_NO_PASID);
	iommufd_device_unbind(m->idev);
	pci_dev_remove(m->pdev);
	iommufd_ctx_put(m->ctx);
	iommufd_close(m->proc, m->fd);
	iommufd_process_destroy(m->proc);
	pci_topology_destroy(m->topology);
	iommufd_system_destroy(m->system);
	munmap(m->memory, MEMORY);
}

/* ---- is it sound? ---- */

static void check(const struct nvme *nvme)
{
	u32 inflight = 0, used;

	for (u32 i = 0; i < NVME_QUEUES; i++) {
		const struct nvme_sq *sq = &nvme->sq[i];
		const struct nvme_cq *cq = &nvme->cq[i];

		if (sq->live &&
		    (sq->head >= sq->size || sq->tail >= sq->size || !nvme->cq[sq->cq_id].live))
			target_fail("a submission queue is unsound");
		inflight += sq->inflight;
		if (!cq->live)
			continue;
		used = cq->tail >= cq->head ? cq->tail - cq->head : cq->tail + cq->size - cq->head;
		if (cq->head >= cq->size || cq->tail >= cq->size || used + cq->reserved >= cq->size)
			target_fail("a completion queue is overrun");
	}
	if (nvme->inflight < inflight || nvme->inflight > inflight + 1)
		target_fail("requests are lost");
}

/* Until there is nothing to do; what waits for a clock is not waited for. */
static void settle(struct machine *m)
{
	for (u32 i = 0; i < TURNS; i++) {
		bool did = m->model_ops->work(m->pdev);

		nvme_pool_wait(&m->nvme->pool);
		check(m->nvme);
		if ((!did || m->nvme->coalescing) && !atomic_load(&m->nvme->pool.num_done))
			return;
	}
	target_fail("work without end");
}

/* ---- the driver ---- */

static u32 below(struct machine *m, u32 limit)
{
	return choice_below(&m->caller->choice, limit);
}

/* Mostly a page that is mapped. */
static u64 address(struct machine *m)
{
	u64 at = BASE + (u64)below(m, 68) * PAGE_SIZE;

	switch (below(m, 12)) {
	case 11:
		return choice_raw(&m->caller->choice, 8);
	case 10:
		return at + below(m, 256) * 16;
	case 9:
		return at + PAGE_SIZE - 8 * (1 + below(m, 4));
	default:
		return at;
	}
}

static void write_reg(struct machine *m, u64 offset, u64 value, u32 size)
{
	bool mapped = m->pdev->access == PCI_ACCESS_POLL ||
		      (m->pdev->access == PCI_ACCESS_SPLIT && offset >= NVME_REG_DOORBELLS);

	if (mapped && m->pdev->bars[0].mem)
		memcpy(m->pdev->bars[0].mem + offset, &value, size);
	else
		pci_bar_access(m->pdev, 0, offset, &value, size, true);
}

static void enable(struct machine *m)
{
	memset(m->tails, 0, sizeof(m->tails));
	write_reg(m, NVME_REG_AQA, 0x001f001f, 4);
	write_reg(m, NVME_REG_ASQ, BASE, 8);
	write_reg(m, NVME_REG_ACQ, BASE + PAGE_SIZE, 8);
	write_reg(m, NVME_REG_CC, 0x00460001, 4);
}

static void any_register(struct machine *m)
{
	u32 size = 1U << below(m, 4);
	u64 offset = below(m, 2) ? below(m, 0x60) : NVME_REG_DOORBELLS + below(m, 0x50);

	write_reg(m, offset & ~(u64)(size - 1), choice_raw(&m->caller->choice, size), size);
}

static void fill_admin(struct machine *m, struct nvme_cmd *cmd)
{
	static const u8 opcodes[] = {0x05, 0x01, 0x06, 0x0a, 0x09, 0x02,
				     0x08, 0x0c, 0x00, 0x04, 0x80, 0x18};
	u32 id = 1 + below(m, 3);

	cmd->opcode = opcodes[below(m, ARRAY_SIZE(opcodes))];
	cmd->nsid = 1;
	cmd->prp1 = address(m);
	cmd->prp2 = address(m);
	cmd->cdw10 = id | (u32)(1 + below(m, 40)) << 16;
	cmd->cdw11 = cmd->opcode == NVME_ADMIN_CREATE_SQ ? 1 | id << 16 : 3 | below(m, 9) << 16;
	if (cmd->opcode != NVME_ADMIN_CREATE_SQ && cmd->opcode != NVME_ADMIN_CREATE_CQ &&
	    below(m, 2))
		cmd->cdw10 = (u32)choice_raw(&m->caller->choice, 2);
}

static void fill_io(struct machine *m, struct nvme_cmd *cmd)
{
	static const u8 opcodes[] = {2, 1, 0, 5, 8, 9, 0x0d};

	cmd->opcode = opcodes[below(m, ARRAY_SIZE(opcodes))];
	cmd->nsid = 1;
	cmd->prp1 = address(m);
	cmd->prp2 = address(m);
	cmd->flags = (u8)(below(m, 4) == 3 ? 0x40 : 0);
	if (cmd->flags)
		cmd->prp2 = below(m, 256) * 16 | (u64)below(m, 5) << 60;
	cmd->cdw10 = below(m, 520);
	cmd->cdw11 = cmd->opcode == NVME_IO_DSM ? 4 : 0;
	cmd->cdw12 = below(m, 200) | below(m, 2) << 25 | below(m, 2) << 30;
}

/* A command where the disk will look for it, with some bytes changed. */
static void command(struct machine *m, u32 id)
{
	const struct nvme_sq *sq = &m->nvme->sq[id];
	struct nvme_cmd cmd = {.cid = (u16)below(m, 256)};
	u64 offset;

	if (!sq->live)
		return;
	id ? fill_io(m, &cmd) : fill_admin(m, &cmd);
	for (u32 n = below(m, 8) == 7 ? below(m, 4) : 0; n; n--)
		((u8 *)&cmd)[below(m, sizeof(cmd))] = choice_byte(&m->caller->choice);
	offset = sq->base - BASE + (u64)(m->tails[id] % sq->size) * sizeof(cmd);
	if (offset <= MEMORY - sizeof(cmd))
		memcpy(m->memory + offset, &cmd, sizeof(cmd));
	m->tails[id] = (m->tails[id] + 1) % sq->size;
	write_reg(m, NVME_REG_DOORBELLS + 8 * id, m->tails[id], 4);
	if (m->caller->world->outcome)
		m->caller->world->outcome(m->caller->world->outcome_data,
					  cmd.opcode + (id ? 128 : 0), -(long)below(m, 2));
}

/* Completions are taken, or a part of them. */
static void take(struct machine *m)
{
	u32 id = below(m, 4);
	const struct nvme_cq *cq = &m->nvme->cq[id];

	if (cq->live)
		write_reg(m, NVME_REG_DOORBELLS + 8 * id + 4,
			  below(m, 4) ? cq->tail : below(m, cq->size), 4);
}

/* Lists of PRPs and SGLs, as they may be found by the commands. */
static void fill_page(struct machine *m)
{
	u64 *page = (u64 *)(m->memory + below(m, 64) * PAGE_SIZE);
	bool sgl = below(m, 2);

	for (u32 i = 0; i < PAGE_SIZE / 8; i++) {
		page[i] = i % 8 < 4 ? address(m) : BASE + (u64)(i % 64) * PAGE_SIZE;
		if (sgl && i & 1)
			page[i] = below(m, 64) * 64 | (u64)below(m, 4) << 60;
		if (choice_over(&m->caller->choice))
			return;
	}
}

static void migrate(struct machine *m)
{
	void *data;
	size_t len;
	u32 n;

	pci_dev_stop(m->pdev);
	if (!m->model_ops->migrate_save(m->pdev, &data, &len)) {
		for (n = below(m, 4); n; n--)
			((u8 *)data)[choice_raw(&m->caller->choice, 2) % len] ^=
				choice_byte(&m->caller->choice);
		m->model_ops->migrate_load(m->pdev, data, len);
		free(data);
	}
	pci_dev_start(m->pdev);
}

static void inject(struct machine *m)
{
	static const char *const words[][2] = {
		{"smart", "spare"}, {"smart", "temperature=400"},
		{"error", "3"},	    {"namespace-change", "128K"},
		{"fatal", NULL},    {"internal", NULL},
		{"slow", "1"},	    {"slow", "0"},
	};
	u32 i = below(m, ARRAY_SIZE(words));

	m->model_ops->inject(m->pdev, words[i][0], words[i][1]);
}

static void odd(struct machine *m)
{
	u32 area = below(m, 4);

	switch (below(m, 8)) {
	case 0:
		unmap(m, BASE + area * 16 * PAGE_SIZE, 16 * PAGE_SIZE);
		break;
	case 1:
		map_area(m, area);
		break;
	case 2:
		pci_dev_reset(m->pdev);
		bus_master(m, true);
		break;
	case 3:
		migrate(m);
		break;
	case 4:
		inject(m);
		break;
	case 5:
		bus_master(m, below(m, 2));
		break;
	case 6:
		write_reg(m, NVME_REG_CC, below(m, 2) ? 0 : 0x00464001, 4);
		break;
	default:
		enable(m);
	}
}

static void step(struct machine *m)
{
	switch (below(m, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		command(m, 0);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
		command(m, 1 + below(m, 3));
		break;
	case 9:
	case 10:
	case 11:
		take(m);
		break;
	case 12:
		any_register(m);
		break;
	case 13:
		fill_page(m);
		break;
	case 14:
		odd(m);
		break;
	default:
		m->memory[choice_raw(&m->caller->choice, 3) % MEMORY] =
			choice_byte(&m->caller->choice);
	}
}

/* A disk that works, with one pair of queues, is where most inputs begin. */
static void bring_up(struct machine *m)
{
	struct nvme_cmd cmds[2] = {
		{.opcode = NVME_ADMIN_CREATE_CQ,
		 .prp1 = BASE + 2 * PAGE_SIZE,
		 .cdw10 = 1 | 31 << 16,
		 .cdw11 = 3 | 1 << 16},
		{.opcode = NVME_ADMIN_CREATE_SQ,
		 .prp1 = BASE + 3 * PAGE_SIZE,
		 .cdw10 = 1 | 31 << 16,
		 .cdw11 = 1 | 1 << 16},
	};

	enable(m);
	settle(m);
	memcpy(m->memory, cmds, sizeof(cmds));
	m->tails[0] = 2;
	write_reg(m, NVME_REG_DOORBELLS, 2, 4);
	settle(m);
}

void target_input(struct caller *caller)
{
	struct machine m = {.caller = caller};

	begin(&m);
	if (below(&m, 8) != 7)
		bring_up(&m);
	for (u32 i = 0; i < STEPS && !choice_over(&caller->choice); i++) {
		step(&m);
		if (below(&m, 3) == 0)
			settle(&m);
	}
	settle(&m);
	end(&m);
}
