/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

struct rig rig;

#define PATIENCE 100000000000ULL /* ns; only who hangs takes that long */

/* ---- the machine ---- */

static void irq(struct pci_client *client, enum pci_irq kind, u32 vector)
{
	if (kind == PCI_IRQ_MSIX || kind == PCI_IRQ_MSI)
		atomic_fetch_add(&rig.irqs[vector], 1);
	if (kind == PCI_IRQ_ERR)
		atomic_fetch_add(&rig.errors, 1);
	fault_current = atomic_load(&rig.worker_faults);
}

static void intx(struct pci_client *client, bool level)
{
	atomic_store(&rig.pin, level);
}

static void reset_done(struct pci_client *client)
{
}

static void begin_system(void)
{
	const struct iommufd_system_opts opts = {.size = sizeof(opts)};
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};

	memset(&rig, 0, sizeof(rig));
	rig.client = (struct pci_client){irq, intx, reset_done};
	assert_int_equal(iommufd_system_create(&opts, &rig.system), 0);
	assert_int_equal(iommufd_generic_init(rig.system), 0);
	assert_int_equal(iommufd_process_create(rig.system, &rig.proc), 0);
	assert_int_equal(pci_topology_create(rig.system, &rig.topology), 0);
	rig.fd = iommufd_open(rig.proc, "/dev/iommu", O_RDWR);
	assert_true(rig.fd >= 0);
	assert_int_equal(iommufd_ctx_from_fd(rig.proc, rig.fd, &rig.ctx), 0);
	assert_int_equal(iommufd_ioctl(rig.proc, rig.fd, IOMMU_IOAS_ALLOC, &ioas), 0);
	rig.ioas = ioas.out_ioas_id;
	rig.memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(rig.memory != MAP_FAILED);
	assert_int_equal(rig_map(BASE, rig.memory, LENGTH, true), 0);
	assert_int_equal(rig_map(RO, rig.memory + AT_DATA, PAGE, false), 0);
}

struct iommufd_device *rig_bind(struct pci_dev *pdev)
{
	struct iommufd_device *idev;
	u32 pt = rig.ioas, id;

	idev = iommufd_device_bind(rig.ctx, &pdev->dev, &id);
	assert_false(IS_ERR(idev));
	assert_int_equal(iommufd_device_attach(idev, IOMMU_NO_PASID, &pt), 0);
	return idev;
}

void rig_unbind(struct iommufd_device *idev)
{
	iommufd_device_detach(idev, IOMMU_NO_PASID);
	iommufd_device_unbind(idev);
}

void rig_begin(enum pci_access access, const struct device_option *options, size_t num)
{
	struct pci_addr addr = {.devfn = 1 << 3};
	char error[200] = "";
	int rc;

	begin_system();
	rc = nvme_model.create(rig.system, options, num, &rig.pdev, error, sizeof(error));
	if (rc)
		fail_msg("%s", error);
	rig.nvme = to_nvme(rig.pdev);
	rig.pdev->access = access;
	assert_int_equal(pci_dev_add(rig.topology, rig.pdev, addr, iommufd_generic_probe), 0);
	assert_int_equal(pci_dev_open(rig.pdev, &rig.client, NULL), 0);
	rig.idev = rig_bind(rig.pdev);
	bus_master(true);
	pci_irq_set_mode(rig.pdev, PCI_IRQ_MSIX);
}

void rig_begin_on(enum pci_access access, const struct device_option *options, size_t num)
{
	rig_begin(access, options, num);
	enable();
	make_pair(1, 256);
}

void rig_end(void)
{
	pci_dev_close(rig.pdev, &rig.client);
	rig_unbind(rig.idev);
	pci_dev_remove(rig.pdev);
	iommufd_ctx_put(rig.ctx);
	iommufd_close(rig.proc, rig.fd);
	iommufd_process_destroy(rig.proc);
	pci_topology_destroy(rig.topology);
	iommufd_system_destroy(rig.system);
	munmap(rig.memory, LENGTH);
}

int rig_map(u64 iova, void *va, u64 length, bool writable)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .ioas_id = rig.ioas,
				     .iova = iova,
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
				     .user_va = (uintptr_t)va,
				     .length = length};

	if (writable)
		cmd.flags |= IOMMU_IOAS_MAP_WRITEABLE;
	return (int)iommufd_ioctl(rig.proc, rig.fd, IOMMU_IOAS_MAP, &cmd);
}

int rig_unmap(u64 iova, u64 length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = rig.ioas, .iova = iova, .length = length};

	return (int)iommufd_ioctl(rig.proc, rig.fd, IOMMU_IOAS_UNMAP, &cmd);
}

void bus_master(bool on)
{
	pci_config_write(rig.pdev, PCI_COMMAND, PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0),
			 2);
}

/* ---- registers ---- */

static bool mapped(u32 offset)
{
	return rig.pdev->access == PCI_ACCESS_POLL ||
	       (rig.pdev->access == PCI_ACCESS_SPLIT && offset >= NVME_REG_DOORBELLS);
}

static void *reg(u32 offset)
{
	return rig.pdev->bars[0].mem + offset;
}

u32 rd32(u32 offset)
{
	u32 value = 0;

	if (mapped(offset))
		return __atomic_load_n((u32 *)reg(offset), __ATOMIC_ACQUIRE);
	assert_int_equal(pci_bar_access(rig.pdev, 0, offset, &value, 4, false), 0);
	return value;
}

u64 rd64(u32 offset)
{
	u64 value = 0;

	if (mapped(offset))
		return __atomic_load_n((u64 *)reg(offset), __ATOMIC_ACQUIRE);
	assert_int_equal(pci_bar_access(rig.pdev, 0, offset, &value, 8, false), 0);
	return value;
}

void wr32(u32 offset, u32 value)
{
	if (mapped(offset))
		__atomic_store_n((u32 *)reg(offset), value, __ATOMIC_RELEASE);
	else
		assert_int_equal(pci_bar_access(rig.pdev, 0, offset, &value, 4, true), 0);
}

void wr64(u32 offset, u64 value)
{
	if (mapped(offset))
		__atomic_store_n((u64 *)reg(offset), value, __ATOMIC_RELEASE);
	else
		assert_int_equal(pci_bar_access(rig.pdev, 0, offset, &value, 8, true), 0);
}

void wait_reg(u32 offset, u32 mask, u32 value)
{
	u64 end = nvme_now() + PATIENCE;

	while ((rd32(offset) & mask) != value) {
		if (nvme_now() > end)
			fail_msg("register %#x is %#x", offset, rd32(offset));
		usleep(50);
	}
}

/* ---- the driver ---- */

u64 pair_sq(u16 id)
{
	return AT_QUEUES + (u64)id * 0x80000;
}

u64 pair_cq(u16 id)
{
	return pair_sq(id) + 0x40000;
}

static void pair_reset(u16 id, u32 size)
{
	rig.pairs[id] = (struct pair){.id = id, .size = size, .phase = true};
	memset(at(pair_cq(id)), 0, size * sizeof(struct nvme_cqe));
}

void enable(void)
{
	pair_reset(0, 64);
	wr32(NVME_REG_AQA, 63 | 63 << 16);
	wr64(NVME_REG_ASQ, BASE + pair_sq(0));
	wr64(NVME_REG_ACQ, BASE + pair_cq(0));
	wr32(NVME_REG_CC, 0x00460001);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_RDY | NVME_CSTS_CFS, NVME_CSTS_RDY);
}

void disable(void)
{
	wr32(NVME_REG_CC, rd32(NVME_REG_CC) & ~NVME_CC_EN);
	wait_reg(NVME_REG_CSTS, NVME_CSTS_RDY, 0);
}

static void ring(struct pair *pair)
{
	wr32(NVME_REG_DOORBELLS + 8 * pair->id, pair->tail);
}

struct nvme_cmd *slot(struct pair *pair)
{
	struct nvme_cmd *cmd = (struct nvme_cmd *)at(pair_sq(pair->id)) + pair->tail;

	pair->tail = (pair->tail + 1) % pair->size;
	return cmd;
}

u16 submit(struct pair *pair, const struct nvme_cmd *cmd)
{
	struct nvme_cmd *to = slot(pair);

	*to = *cmd;
	to->cid = atomic_fetch_add(&rig.next_cid, 1);
	ring(pair);
	return to->cid;
}

bool try_reap(struct pair *pair, struct nvme_cqe *ret)
{
	struct nvme_cqe *cqe = (struct nvme_cqe *)at(pair_cq(pair->id)) + pair->head;

	if ((__atomic_load_n(&cqe->status, __ATOMIC_ACQUIRE) & 1) != pair->phase)
		return false;
	*ret = *cqe;
	pair->head++;
	if (pair->head == pair->size) {
		pair->head = 0;
		pair->phase = !pair->phase;
	}
	wr32(NVME_REG_DOORBELLS + 8 * pair->id + 4, pair->head);
	return true;
}

void wait_posted(const struct pair *pair, u32 n)
{
	const struct nvme_cqe *cqe = (const struct nvme_cqe *)at(pair_cq(pair->id));
	u32 index = pair->head + n - 1;
	bool phase = index < pair->size ? pair->phase : !pair->phase;

	cqe += index % pair->size;
	while ((__atomic_load_n(&cqe->status, __ATOMIC_ACQUIRE) & 1) != phase)
		usleep(50);
}

/* The second of two commands one after the other is found by a later look than the first. */
void wait_fetched(void)
{
	for (int i = 0; i < 2; i++)
		assert_int_equal(identify(1, 0), 0);
}

struct nvme_cqe reap(struct pair *pair)
{
	u64 end = nvme_now() + PATIENCE;
	struct nvme_cqe cqe = {0};

	for (u32 i = 1; !try_reap(pair, &cqe); i++) {
		if (nvme_now() > end)
			fail_msg("queue %u: no completion, CSTS %#x", pair->id,
				 rd32(NVME_REG_CSTS));
		if (i % 64 == 0)
			sched_yield();
	}
	return cqe;
}

int run(struct pair *pair, const struct nvme_cmd *cmd, u32 *ret_result)
{
	u16 cid = submit(pair, cmd);
	struct nvme_cqe cqe = reap(pair);

	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.sq_id, pair->id);
	assert_int_equal(cqe.sq_head, pair->tail);
	if (ret_result)
		*ret_result = cqe.result;
	return cqe.status >> 1 & ~NVME_SC_MORE;
}

int admin(const struct nvme_cmd *cmd, u32 *ret_result)
{
	return run(&rig.pairs[0], cmd, ret_result);
}

int create_cq(u16 id, u32 size, u16 vector, u64 where)
{
	const struct nvme_cmd cmd = {.opcode = NVME_ADMIN_CREATE_CQ,
				     .prp1 = where,
				     .cdw10 = id | (size - 1) << 16,
				     .cdw11 = 3 | (u32)vector << 16};

	return admin(&cmd, NULL);
}

int create_sq(u16 id, u32 size, u16 cq_id, u64 where)
{
	const struct nvme_cmd cmd = {.opcode = NVME_ADMIN_CREATE_SQ,
				     .prp1 = where,
				     .cdw10 = id | (size - 1) << 16,
				     .cdw11 = 1 | (u32)cq_id << 16};

	return admin(&cmd, NULL);
}

int delete_queue(u8 opcode, u16 id)
{
	const struct nvme_cmd cmd = {.opcode = opcode, .cdw10 = id};

	return admin(&cmd, NULL);
}

void make_pair(u16 id, u32 size)
{
	pair_reset(id, size);
	assert_int_equal(create_cq(id, size, id, BASE + pair_cq(id)), 0);
	assert_int_equal(create_sq(id, size, id, BASE + pair_sq(id)), 0);
}

int identify(u32 cns, u32 nsid)
{
	const struct nvme_cmd cmd = {
		.opcode = NVME_ADMIN_IDENTIFY, .nsid = nsid, .cdw10 = cns, .prp1 = BASE + AT_PAGE};

	memset(at(AT_PAGE), 0xee, PAGE);
	return admin(&cmd, NULL);
}

int get_log(u32 page, u32 flags, u32 len, u64 offset)
{
	const struct nvme_cmd cmd = {.opcode = NVME_ADMIN_GET_LOG,
				     .nsid = NVME_NSID_ALL,
				     .cdw10 = page | flags | (len / 4 - 1) << 16,
				     .cdw12 = (u32)offset,
				     .prp1 = BASE + AT_PAGE,
				     .prp2 = BASE + AT_PAGE + PAGE};

	memset(at(AT_PAGE), 0xee, MAX(len, PAGE));
	return admin(&cmd, NULL);
}

int set_feature(u32 id, u32 value, u32 *ret_result)
{
	const struct nvme_cmd cmd = {.opcode = NVME_ADMIN_SET_FEATURES,
				     .cdw10 = id,
				     .cdw11 = value,
				     .prp1 = BASE + AT_PAGE};

	return admin(&cmd, ret_result);
}

int get_feature(u32 id, u32 value, u32 *ret_result)
{
	const struct nvme_cmd cmd = {.opcode = NVME_ADMIN_GET_FEATURES,
				     .cdw10 = id,
				     .cdw11 = value,
				     .prp1 = BASE + AT_PAGE};

	return admin(&cmd, ret_result);
}

struct nvme_cmd rw_cmd(u8 opcode, u64 lba, u32 blocks, u64 where)
{
	u64 list = AT_LISTS + 0x1000, addr = BASE + where, len = (u64)blocks << 9;
	struct nvme_cmd cmd = {.opcode = opcode,
			       .nsid = 1,
			       .cdw10 = (u32)lba,
			       .cdw11 = (u32)(lba >> 32),
			       .cdw12 = blocks - 1,
			       .prp1 = addr};
	u64 next = ALIGN_DOWN(addr, PAGE) + PAGE;

	if (addr + len <= next)
		return cmd;
	cmd.prp2 = next;
	if (addr + len > next + PAGE) {
		cmd.prp2 = BASE + list;
		for (u64 *prp = at(list); next < addr + len; next += PAGE)
			*prp++ = next;
	}
	return cmd;
}

int rw(u8 opcode, u64 lba, u32 blocks, u64 where)
{
	const struct nvme_cmd cmd = rw_cmd(opcode, lba, blocks, where);

	return run(&rig.pairs[1], &cmd, NULL);
}
