/* SPDX-License-Identifier: MIT */
#include "nvme_user.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The user API of Linux; a header set as old as Debian 12's lacks parts, ours says the same. */
#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/vfio.h>

#define PAGE	    4096u
#define IOVA	    0x100000000ULL
#define ADMIN_DEPTH 32

/* offsets in the arena, each on a page of its own */
enum {
	ADMIN_SQ = 0,
	ADMIN_CQ = PAGE,
	SQ = 2 * PAGE,
	CQ = SQ + NVME_DEPTH * 64,
	DATA = CQ + PAGE,
	LISTS = DATA + PAGE, /* a page of PRP entries for each command */
	BUFFERS = LISTS + NVME_DEPTH * PAGE,
};

/* registers: NVMe base specification 1.4, section 3.1 */
enum { CAP = 0, CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, DOORBELLS = 0x1000 };

struct nvme_command {
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid;
	uint64_t rsvd, metadata, prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct nvme_completion {
	uint32_t result, rsvd;
	uint16_t sq_head, sq_id, cid, status;
};

static uint32_t reg32(const struct nvme_user *nvme, unsigned int at)
{
	return *(volatile uint32_t *)(nvme->regs + at);
}

static void reg32_set(struct nvme_user *nvme, unsigned int at, uint32_t value)
{
	*(volatile uint32_t *)(nvme->regs + at) = value;
}

static void reg64_set(struct nvme_user *nvme, unsigned int at, uint64_t value)
{
	reg32_set(nvme, at, (uint32_t)value);
	reg32_set(nvme, at + 4, (uint32_t)(value >> 32));
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* ---- finding it ---- */

static bool is_nvme(const char *bdf)
{
	char path[300], text[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/class", bdf);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	return !strncmp(text, "0x010802", 8);
}

static void find_disk(struct nvme_user *nvme, const char *bdf)
{
	DIR *dir = opendir("/sys/bus/pci/devices");
	struct dirent *entry;

	if (!dir)
		err(1, "/sys/bus/pci/devices");
	while (!nvme->bdf[0] && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || (bdf && strcmp(bdf, entry->d_name)))
			continue;
		if (strlen(entry->d_name) < sizeof(nvme->bdf) && is_nvme(entry->d_name))
			strcpy(nvme->bdf, entry->d_name);
	}
	closedir(dir);
	if (!nvme->bdf[0])
		errx(1, "no NVMe disk%s%s", bdf ? " at " : "", bdf ? bdf : "");
}

static int open_cdev(const char *bdf)
{
	char path[300], node[300];
	struct dirent *entry;
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(path);
	while (dir && fd < 0 && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(node, sizeof(node), "/dev/vfio/devices/%s", entry->d_name);
		fd = open(node, O_RDWR | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	if (fd < 0)
		err(1, "%s: its VFIO node", bdf);
	return fd;
}

/* ---- opening it ---- */

static void bind_device(struct nvme_user *nvme)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	nvme->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (nvme->iommu < 0)
		err(1, "/dev/iommu");
	nvme->device = open_cdev(nvme->bdf);
	bind.iommufd = nvme->iommu;
	if (ioctl(nvme->device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		err(1, "BIND_IOMMUFD");
	if (ioctl(nvme->iommu, IOMMU_IOAS_ALLOC, &alloc))
		err(1, "IOAS_ALLOC");
	nvme->ioas = attach.pt_id = alloc.out_ioas_id;
	if (ioctl(nvme->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		err(1, "ATTACH_IOMMUFD_PT");
}

static void share_arena(struct nvme_user *nvme, size_t buffers)
{
	size_t size = BUFFERS + buffers;
	int fd = memfd_create("arena", MFD_CLOEXEC);
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = nvme->ioas,
		.iova = IOVA,
		.length = size,
	};

	if (fd < 0 || ftruncate(fd, (off_t)size))
		err(1, "memory for the arena");
	nvme->arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (nvme->arena == MAP_FAILED)
		err(1, "memory for the arena");
	close(fd);
	nvme->buffers = nvme->arena + BUFFERS;
	nvme->buffers_size = buffers;
	map.user_va = (uintptr_t)nvme->arena;
	if (ioctl(nvme->iommu, IOMMU_IOAS_MAP, &map))
		err(1, "IOAS_MAP");
}

static void map_registers(struct nvme_user *nvme)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = VFIO_PCI_BAR0_REGION_INDEX};
	struct vfio_region_info config = {.argsz = sizeof(config),
					  .index = VFIO_PCI_CONFIG_REGION_INDEX};
	uint16_t command = 0x6; /* memory decode, bus master */

	if (ioctl(nvme->device, VFIO_DEVICE_GET_REGION_INFO, &info) ||
	    ioctl(nvme->device, VFIO_DEVICE_GET_REGION_INFO, &config))
		err(1, "GET_REGION_INFO");
	if (pwrite(nvme->device, &command, 2, (off_t)config.offset + 4) != 2)
		err(1, "configuration space");
	nvme->regs_size = info.size;
	nvme->regs = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, nvme->device,
			  (off_t)info.offset);
	if (nvme->regs == MAP_FAILED)
		err(1, "mapping the registers");
}

static int connect_interrupt(struct nvme_user *nvme, uint32_t index, uint32_t vector)
{
	struct {
		struct vfio_irq_set head;
		int32_t fd;
	} set = {
		.head = {.argsz = sizeof(set.head) + sizeof(set.fd),
			 .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = index,
			 .start = vector,
			 .count = 1},
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};

	if (set.fd < 0)
		err(1, "eventfd");
	if (ioctl(nvme->device, VFIO_DEVICE_SET_IRQS, &set))
		err(1, "SET_IRQS");
	return set.fd;
}

static void wait_ready(struct nvme_user *nvme, uint32_t ready)
{
	double until = seconds() + 10;

	while ((reg32(nvme, CSTS) & 1) != ready) {
		if (reg32(nvme, CSTS) & 2)
			errx(1, "the controller says it is broken");
		if (seconds() > until)
			errx(1, "the controller does not become %sready", ready ? "" : "un");
	}
}

static bool take(struct nvme_user *nvme, unsigned int queue, unsigned int depth, uint16_t *head,
		 uint8_t *phase, unsigned int doorbell, struct nvme_completion *ret)
{
	volatile struct nvme_completion *cqe =
		(volatile struct nvme_completion *)(nvme->arena + queue) + *head;

	if ((__atomic_load_n(&cqe->status, __ATOMIC_ACQUIRE) & 1) != *phase)
		return false;
	*ret = *(struct nvme_completion *)(uintptr_t)cqe;
	if (++*head == depth) {
		*head = 0;
		*phase ^= 1;
	}
	reg32_set(nvme, doorbell, *head);
	return true;
}

static uint32_t admin(struct nvme_user *nvme, struct nvme_command cmd, const char *what)
{
	double until = seconds() + 10;
	struct nvme_completion done;

	cmd.cid = nvme->admin_tail;
	memcpy(nvme->arena + ADMIN_SQ + nvme->admin_tail * sizeof(cmd), &cmd, sizeof(cmd));
	nvme->admin_tail = (nvme->admin_tail + 1) % ADMIN_DEPTH;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	reg32_set(nvme, DOORBELLS, nvme->admin_tail);
	while (!take(nvme, ADMIN_CQ, ADMIN_DEPTH, &nvme->admin_head, &nvme->admin_phase,
		     DOORBELLS + 4, &done))
		if (seconds() > until)
			errx(1, "%s: no answer", what);
	if (done.status >> 1)
		errx(1, "%s: status %#x", what, done.status >> 1);
	return done.result;
}

static void bring_up(struct nvme_user *nvme)
{
	const uint8_t *data = (const uint8_t *)nvme->arena + DATA;
	unsigned int format;

	reg32_set(nvme, CC, 0);
	wait_ready(nvme, 0);
	reg32_set(nvme, AQA, (ADMIN_DEPTH - 1) << 16 | (ADMIN_DEPTH - 1));
	reg64_set(nvme, ASQ, IOVA + ADMIN_SQ);
	reg64_set(nvme, ACQ, IOVA + ADMIN_CQ);
	nvme->admin_phase = nvme->cq_phase = 1;
	reg32_set(nvme, CC, 4 << 20 | 6 << 16 | 1);
	wait_ready(nvme, 1);
	admin(nvme, (struct nvme_command){.opcode = 6, .prp1 = IOVA + DATA, .cdw10 = 1},
	      "identify controller");
	memcpy(nvme->model, data + 24, 40);
	admin(nvme, (struct nvme_command){.opcode = 6, .nsid = 1, .prp1 = IOVA + DATA},
	      "identify namespace");
	memcpy(&nvme->blocks, data, 8);
	format = data[26] & 15;
	nvme->block_size = 1u << data[128 + 4 * format + 2];
	admin(nvme,
	      (struct nvme_command){.opcode = 5,
				    .prp1 = IOVA + CQ,
				    .cdw10 = (NVME_DEPTH - 1) << 16 | 1,
				    .cdw11 = 1 << 16 | 3},
	      "create completion queue");
	admin(nvme,
	      (struct nvme_command){.opcode = 1,
				    .prp1 = IOVA + SQ,
				    .cdw10 = (NVME_DEPTH - 1) << 16 | 1,
				    .cdw11 = 1 << 16 | 1},
	      "create submission queue");
}

void nvme_user_open(struct nvme_user *nvme, const char *bdf, size_t buffers)
{
	memset(nvme, 0, sizeof(*nvme));
	find_disk(nvme, bdf);
	bind_device(nvme);
	share_arena(nvme, buffers);
	map_registers(nvme);
	nvme->irq = connect_interrupt(nvme, VFIO_PCI_MSIX_IRQ_INDEX, 1);
	nvme->request = connect_interrupt(nvme, VFIO_PCI_REQ_IRQ_INDEX, 0);
	bring_up(nvme);
}

void nvme_user_close(struct nvme_user *nvme)
{
	munmap((void *)nvme->regs, nvme->regs_size);
	close(nvme->device);
	close(nvme->iommu);
	close(nvme->irq);
	close(nvme->request);
	munmap(nvme->arena, BUFFERS + nvme->buffers_size);
}

/* ---- commands ---- */

/* One page: PRP1; two: PRP2 too; more: PRP2 is a list. */
static void set_prps(struct nvme_user *nvme, struct nvme_command *cmd, unsigned int slot,
		     uint64_t iova, size_t length)
{
	uint64_t *list = (uint64_t *)(nvme->arena + LISTS + slot * PAGE);
	size_t pages = (length + PAGE - 1) / PAGE;

	cmd->prp1 = iova;
	if (pages == 2)
		cmd->prp2 = iova + PAGE;
	if (pages <= 2)
		return;
	for (size_t i = 1; i < pages; i++)
		list[i - 1] = iova + i * PAGE;
	cmd->prp2 = IOVA + LISTS + slot * PAGE;
}

void nvme_user_submit(struct nvme_user *nvme, uint8_t opcode, uint16_t cid, uint64_t lba,
		      size_t offset, size_t length)
{
	struct nvme_command cmd = {.opcode = opcode, .cid = cid, .nsid = 1};

	if (opcode != NVME_FLUSH) {
		cmd.cdw10 = (uint32_t)lba;
		cmd.cdw11 = (uint32_t)(lba >> 32);
		cmd.cdw12 = (uint32_t)(length / nvme->block_size - 1);
	}
	if (opcode == NVME_READ || opcode == NVME_WRITE)
		set_prps(nvme, &cmd, nvme->sq_tail, IOVA + BUFFERS + offset, length);
	memcpy(nvme->arena + SQ + nvme->sq_tail * sizeof(cmd), &cmd, sizeof(cmd));
	nvme->sq_tail = (nvme->sq_tail + 1) % NVME_DEPTH;
}

void nvme_user_ring(struct nvme_user *nvme)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	reg32_set(nvme, DOORBELLS + 8, nvme->sq_tail);
}

bool nvme_user_poll(struct nvme_user *nvme, uint16_t *ret_cid, uint16_t *ret_status)
{
	struct nvme_completion done;

	if (!take(nvme, CQ, NVME_DEPTH, &nvme->cq_head, &nvme->cq_phase, DOORBELLS + 12, &done))
		return false;
	*ret_cid = done.cid;
	*ret_status = done.status >> 1;
	return true;
}

bool nvme_user_wanted(struct nvme_user *nvme)
{
	uint64_t count;

	return read(nvme->request, &count, 8) == 8;
}

int nvme_user_io(struct nvme_user *nvme, uint8_t opcode, uint64_t lba, size_t offset, size_t length,
		 bool sleep)
{
	struct pollfd irq = {.fd = nvme->irq, .events = POLLIN};
	double until = seconds() + 10;
	uint16_t cid, status;
	uint64_t count;

	nvme_user_submit(nvme, opcode, 1, lba, offset, length);
	nvme_user_ring(nvme);
	while (!nvme_user_poll(nvme, &cid, &status)) {
		if (sleep && poll(&irq, 1, 10000) == 1 && read(nvme->irq, &count, 8) < 0 &&
		    errno != EAGAIN)
			err(1, "reading the interrupt");
		if (seconds() > until)
			return -1;
	}
	return status;
}
