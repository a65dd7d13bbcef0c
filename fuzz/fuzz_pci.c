/* SPDX-License-Identifier: MIT */
/*
 * PCI devices and a program that may do anything VFIO lets it: configuration space,
 * registers, interrupts, features, resets, with arguments that are right, nearly right and wrong.
 * Threads of the devices run beside it, so an input need not do the same each time: what must hold
 * holds always.  Nothing is written behind the argsz a caller states, what a device is does not
 * change, and closing leaves nothing.
 */
#include "target.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <iommufd/generic.h>
#include <iommufd/uapi/vfio.h>

#include "../tests/unit/pci/edu.h"
#include "core/ctx.h"
#include "core/system.h"
#include "devices/devices.h"
#include "mem/mem.h"
#include "vfio/vfio.h"

#define STEPS	300
#define DEVICES 3
#define EVENTS	4
#define BASE	0x10000ULL
#define LENGTH	(64 * PAGE_SIZE)
#define CANARY	0xa5
#define BUFFER	1024U

struct machine {
	struct choice choice;
	enum pci_access access;
	struct iommufd_system *system;
	struct pci_topology *topology;
	struct vfio *vfio;
	struct iommufd_process *proc;
	struct pci_dev *pdevs[DEVICES];
	int fds[DEVICES];
	int iommu;
	int events[EVENTS];
	u32 ioas;
	u8 *memory;
	u8 buf[BUFFER];
};

void target_fail(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static u32 below(struct machine *m, u32 limit)
{
	return choice_below(&m->choice, limit);
}

static u64 raw(struct machine *m, u32 bytes)
{
	return choice_raw(&m->choice, bytes);
}

static void must(bool good, const char *what)
{
	if (!good)
		target_fail(what);
}

/* ---- the machine ---- */

static struct pci_dev *device_create(struct machine *m, u32 i)
{
	static const struct device_option nvme[] = {{"size", "256K"}, {"queues", "3"}};
	static const struct device_option dsa[] = {{"wqs", "2"}, {"wq-size", "16"}};
	struct pci_dev *pdev = NULL;
	char error[200];
	struct edu *edu;

	if (i == 1)
		must(!nvme_model.create(m->system, nvme, ARRAY_SIZE(nvme), &pdev, error,
					sizeof(error)),
		     "nvme");
	if (i == 2)
		must(!dsa_model.create(m->system, dsa, ARRAY_SIZE(dsa), &pdev, error,
				       sizeof(error)),
		     "dsa");
	if (pdev)
		return pdev;
	edu = edu_create(NULL, m->access);
	must(edu, "edu");
	edu->pdev.system = m->system;
	return &edu->pdev;
}

static void open_device(struct machine *m, u32 i)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = m->iommu};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = m->ioas};
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", i);
	m->fds[i] = iommufd_open(m->proc, path, O_RDWR);
	must(m->fds[i] >= 0, "cdev");
	must(!iommufd_ioctl(m->proc, m->fds[i], VFIO_DEVICE_BIND_IOMMUFD, &bind), "bind");
	must(!iommufd_ioctl(m->proc, m->fds[i], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), "attach");
}

static void begin_iommu(struct machine *m)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
					      IOMMU_IOAS_MAP_WRITEABLE,
				     .iova = BASE,
				     .length = LENGTH};

	m->iommu = iommufd_open(m->proc, "/dev/iommu", O_RDWR);
	must(!iommufd_ioctl(m->proc, m->iommu, IOMMU_IOAS_ALLOC, &alloc), "ioas");
	m->memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(m->memory != MAP_FAILED, "memory");
	map.ioas_id = m->ioas = alloc.out_ioas_id;
	map.user_va = (uintptr_t)m->memory;
	must(!iommufd_ioctl(m->proc, m->iommu, IOMMU_IOAS_MAP, &map), "map");
}

static void begin(struct machine *m)
{
	const struct pci_bridge_desc bridge = {.addr = {.devfn = 8}, .secondary = 1, .acs = true};

	m->access = (enum pci_access)below(m, 3);
	must(!iommufd_system_create(NULL, &m->system) && !iommufd_generic_init(m->system) &&
		     !iommufd_process_create(m->system, &m->proc) &&
		     !pci_topology_create(m->system, &m->topology) &&
		     !pci_bridge_add(m->topology, &bridge) &&
		     !vfio_create(m->system, m->topology, VFIO_CONTAINER_NATIVE, &m->vfio),
	     "machine");
	begin_iommu(m);
	for (u32 i = 0; i < EVENTS; i++)
		m->events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (u32 i = 0; i < DEVICES; i++) {
		struct pci_addr addr = {.bus = 1, .devfn = (u8)(i << 3)};

		m->pdevs[i] = device_create(m, i);
		/* A DSA cannot be polled. */
		m->pdevs[i]->access =
			i == 2 && m->access == PCI_ACCESS_POLL ? PCI_ACCESS_TRAP : m->access;
		must(!pci_dev_add(m->topology, m->pdevs[i], addr, iommufd_generic_probe), "add");
		open_device(m, i);
	}
}

static void end(struct machine *m)
{
	for (u32 i = 0; i < DEVICES; i++)
		iommufd_close(m->proc, m->fds[i]);
	iommufd_process_destroy(m->proc);
	vfio_destroy(m->vfio);
	for (u32 i = 0; i < DEVICES; i++)
		pci_dev_remove(m->pdevs[i]);
	pci_topology_destroy(m->topology);
	must(!mem_space_pins(m->system->mem), "pins are left");
	must(cds_list_empty(&m->system->contexts), "a context is left");
	iommufd_system_destroy(m->system);
	for (u32 i = 0; i < EVENTS; i++)
		close(m->events[i]);
	munmap(m->memory, LENGTH);
}

/* ---- files ---- */

static void outcome_must(long rc)
{
	must(rc > -4096, "no errno");
}

static long transfer(struct machine *m, u32 i, u32 region, u64 offset, void *data, size_t len,
		     bool write)
{
	u64 pos = PCI_REGION_OFFSET((u64)region) + offset;
	long rc = write ? iommufd_pwrite(m->proc, m->fds[i], data, len, pos)
			: iommufd_pread(m->proc, m->fds[i], data, len, pos);

	outcome_must(rc);
	must(rc <= (long)len, "more than was asked for");
	return rc;
}

/* What a function is stays, whatever was written. */
static void check(struct machine *m, u32 i)
{
	const struct pci_desc *desc = m->pdevs[i]->desc;
	u8 header[64] = {0};
	u32 at;

	must(transfer(m, i, VFIO_PCI_CONFIG_REGION_INDEX, 0, header, sizeof(header), false) ==
		     (long)sizeof(header),
	     "no configuration space");
	must((header[0] | header[1] << 8) == desc->vendor &&
		     (header[2] | header[3] << 8) == desc->device,
	     "another device");
	must(header[PCI_STATUS] & PCI_STATUS_CAP_LIST, "no capabilities");
	at = header[PCI_CAPABILITY_LIST];
	for (u32 n = 0; at; n++) {
		u8 cap[2];

		must(n < 48 && at >= 64 && !(at & 3), "a broken list");
		transfer(m, i, VFIO_PCI_CONFIG_REGION_INDEX, at, cap, sizeof(cap), false);
		must(cap[0], "a capability without a number");
		at = cap[1];
	}
	for (u32 bar = 0; bar < 6; bar++)
		must(desc->bars[bar].size || (bar && desc->bars[bar - 1].wide) ||
			     !memcmp(header + PCI_BASE_ADDRESS_0 + 4 * bar, "\0\0\0\0", 4),
		     "a BAR out of nothing");
}

static void do_config(struct machine *m, u32 i)
{
	u32 size = 1 + below(m, 8), offset;
	u64 value = below(m, 4) ? raw(m, 8) : UINT64_MAX;

	switch (below(m, 4)) {
	case 0:
		offset = PCI_COMMAND;
		value = below(m, 3) ? PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER : raw(m, 2);
		size = 2;
		break;
	case 1:
		offset = 0x40 + below(m, 0x80);
		break;
	case 2:
		offset = below(m, 0x110);
		break;
	default:
		offset = below(m, 4100);
	}
	transfer(m, i, VFIO_PCI_CONFIG_REGION_INDEX, offset, &value, size, below(m, 4));
}

static void do_bar(struct machine *m, u32 i)
{
	u32 bar = below(m, 10), len = below(m, 8) ? 1U << below(m, 4) : below(m, BUFFER);
	u64 size = bar < PCI_BARS ? m->pdevs[i]->bars[bar].size : 64;
	u64 offset = below(m, 3) ? below(m, 0x200) : below(m, (u32)size + 16);
	bool write = below(m, 2);

	for (u32 n = 0; n < MIN(len, 16U); n++)
		m->buf[n] = choice_byte(&m->choice);
	if (below(m, 4))
		offset &= ~7ULL;
	if (below(m, 32) == 31)
		iommufd_pread(m->proc, m->fds[i], m->buf, len, (long)raw(m, 8));
	transfer(m, i, bar, offset, m->buf, len, write);
}

/* ---- commands: in @m->buf, with a canary behind argsz ---- */

static long command(struct machine *m, u32 i, unsigned int cmd, u32 argsz)
{
	u8 *end = m->buf + MIN(argsz, BUFFER);
	long rc;

	memset(end, CANARY, (size_t)(m->buf + BUFFER - end));
	memcpy(m->buf, &argsz, sizeof(argsz));
	rc = iommufd_ioctl(m->proc, m->fds[i], cmd, m->buf);
	outcome_must(rc);
	for (u8 *at = MAX(end, m->buf + 4); at < m->buf + BUFFER; at++)
		must(*at == CANARY, "written behind argsz");
	return rc;
}

static s32 any_fd(struct machine *m, u32 i)
{
	switch (below(m, 8)) {
	case 0:
		return m->fds[i];
	case 1:
		return m->iommu;
	case 2:
		return (s32)raw(m, 4);
	case 3:
		return -1;
	default:
		return m->events[below(m, EVENTS)];
	}
}

static void do_irqs(struct machine *m, u32 i)
{
	static const u32 types[] = {VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_BOOL,
				    VFIO_IRQ_SET_DATA_EVENTFD, 7};
	static const u32 actions[] = {VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_MASK,
				      VFIO_IRQ_SET_ACTION_UNMASK, 0};
	struct vfio_irq_set *set = (struct vfio_irq_set *)m->buf;
	u32 type = types[below(m, 12) < 11 ? below(m, 3) : 3], len;

	set->flags = type | actions[below(m, 4) ? 0 : below(m, 4)];
	set->index = below(m, 6);
	set->start = below(m, 4) ? 0 : (u32)raw(m, below(m, 2) ? 1 : 4);
	set->count = below(m, 16) < 14 ? below(m, 6) : (u32)raw(m, 4);
	len = MIN(set->count, 200U) * (type == VFIO_IRQ_SET_DATA_EVENTFD ? 4 : 1);
	for (u32 n = 0; n < len / 4 && type == VFIO_IRQ_SET_DATA_EVENTFD; n++)
		((s32 *)set->data)[n] = any_fd(m, i);
	command(m, i, VFIO_DEVICE_SET_IRQS, below(m, 16) ? 20 + len : below(m, 64));
}

static void do_info(struct machine *m, u32 i)
{
	u32 argsz = below(m, 80), word = below(m, 12);

	memcpy(m->buf + 8, &word, 4);
	switch (below(m, 4)) {
	case 0:
		command(m, i, VFIO_DEVICE_GET_INFO, argsz);
		break;
	case 1:
		command(m, i, VFIO_DEVICE_GET_REGION_INFO, argsz);
		break;
	case 2:
		command(m, i, VFIO_DEVICE_GET_IRQ_INFO, argsz);
		break;
	default:
		command(m, i, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, argsz);
	}
}

static void do_reset(struct machine *m, u32 i)
{
	u32 count = below(m, 4) ? 0 : (u32)raw(m, 4);

	if (below(m, 2)) {
		iommufd_ioctl(m->proc, m->fds[i], VFIO_DEVICE_RESET, NULL);
		return;
	}
	memset(m->buf + 4, 0, 4);
	memcpy(m->buf + 8, &count, 4);
	command(m, i, VFIO_DEVICE_PCI_HOT_RESET, 12 + below(m, 16));
}

static void do_ioeventfd(struct machine *m, u32 i)
{
	struct vfio_device_ioeventfd io = {
		.flags = below(m, 8) ? 1U << below(m, 4) : (u32)raw(m, 4),
		.offset = PCI_REGION_OFFSET((u64)below(m, 7)) + below(m, 0x100),
		.data = raw(m, 4),
		.fd = any_fd(m, i),
	};

	memcpy(m->buf, &io, sizeof(io));
	command(m, i, VFIO_DEVICE_IOEVENTFD, below(m, 16) ? sizeof(io) : below(m, 64));
}

/* A file made by it is used a little, and closed. */
static void use_stream(struct machine *m, int fd)
{
	u8 data[512];
	long n;

	n = iommufd_read(m->proc, fd, data, sizeof(data));
	outcome_must(n);
	if (n <= 0) {
		n = below(m, sizeof(data));
		for (long b = 0; b < n; b++)
			data[b] = choice_byte(&m->choice);
		memcpy(data, "ufiomig1", 8);
		snprintf((char *)data + 16, 48, "%s", m->pdevs[below(m, DEVICES)]->desc->model);
		iommufd_write(m->proc, fd, data, (size_t)n);
	}
	iommufd_close(m->proc, fd);
}

static void do_feature(struct machine *m, u32 i)
{
	static const u32 ops[] = {VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_SET,
				  VFIO_DEVICE_FEATURE_PROBE};
	struct vfio_device_feature_mig_state *state = (void *)(m->buf + 8);
	u32 feature = below(m, 3) ? VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE : below(m, 14);
	u32 flags = feature | ops[below(m, 3)], argsz = below(m, 8) ? 64 : below(m, 64);
	long rc;

	memset(m->buf + 8, 0, 56);
	for (u32 n = 0; n < 14; n++)
		m->buf[8 + 4 * n] = (u8)below(m, 9);
	if (below(m, 4) == 0)
		((u32 *)m->buf)[2 + below(m, 14)] = (u32)any_fd(m, i);
	if (below(m, 32) == 31)
		flags |= (u32)raw(m, 4);
	memcpy(m->buf + 4, &flags, 4);
	rc = command(m, i, VFIO_DEVICE_FEATURE, argsz);
	if (rc > 0)
		iommufd_close(m->proc, (int)rc);
	if (!rc && flags == (VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET) &&
	    state->data_fd >= 0)
		use_stream(m, state->data_fd);
}

static void do_attach(struct machine *m, u32 i)
{
	struct vfio_device_attach_iommufd_pt attach = {.flags = below(m, 2),
						       .pt_id = below(m, 8) ? m->ioas
									    : (u32)raw(m, 1),
						       .pasid = below(m, 4)};
	struct vfio_device_detach_iommufd_pt detach = {.flags = below(m, 2), .pasid = below(m, 4)};

	if (below(m, 2)) {
		memcpy(m->buf, &attach, sizeof(attach));
		command(m, i, VFIO_DEVICE_ATTACH_IOMMUFD_PT, sizeof(attach));
	} else {
		memcpy(m->buf, &detach, sizeof(detach));
		command(m, i, VFIO_DEVICE_DETACH_IOMMUFD_PT, sizeof(detach));
	}
}

static void do_raw(struct machine *m, u32 i)
{
	for (u32 n = 0; n < 40; n++)
		m->buf[n] = choice_byte(&m->choice);
	command(m, i, 0x3b64 + below(m, 24), (u32)raw(m, 1));
}

static void step(struct machine *m)
{
	u32 i = below(m, DEVICES);

	switch (below(m, 20)) {
	case 0 ... 4:
		do_config(m, i);
		break;
	case 5 ... 8:
		do_bar(m, i);
		break;
	case 9 ... 11:
		do_irqs(m, i);
		break;
	case 12:
		do_info(m, i);
		break;
	case 13:
		do_reset(m, i);
		break;
	case 14:
		do_ioeventfd(m, i);
		break;
	case 15 ... 16:
		do_feature(m, i);
		break;
	case 17:
		do_attach(m, i);
		break;
	case 18:
		do_raw(m, i);
		break;
	default:
		iommufd_close(m->proc, m->fds[i]);
		open_device(m, i);
	}
	check(m, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine m = {.choice = {.bytes = data, .left = size}};

	if (!size)
		return 0;
	begin(&m);
	for (u32 i = 0; i < STEPS && !choice_over(&m.choice); i++)
		step(&m);
	end(&m);
	return 0;
}
