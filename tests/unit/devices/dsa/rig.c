/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../mem/keep_signals.h"

#define PATIENCE 60 /* s at least; only who hangs takes that long */

struct rig rig;

static void irq(struct pci_client *client, enum pci_irq kind, u32 vector)
{
	if (kind == PCI_IRQ_MSIX)
		atomic_fetch_add(&rig.irqs[vector], 1);
}

static void intx(struct pci_client *client, bool level)
{
}

static void reset_done(struct pci_client *client)
{
}

/* It is logged only where nobody expects it. */
static void log_line_of(void *data, enum iommufd_log_level level, const char *line)
{
	if (!strstr(line, "polling"))
		print_error("%s\n", line);
}

static int begin_system(void)
{
	const struct iommufd_system_opts opts = {
		.size = sizeof(opts), .log = log_line_of, .log_level = IOMMUFD_LOG_WARN};
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};

	rig = (struct rig){.client = {irq, intx, reset_done}};
	if (iommufd_system_create(&opts, &rig.system) || iommufd_generic_init(rig.system) ||
	    iommufd_process_create(rig.system, &rig.proc) ||
	    pci_topology_create(rig.system, &rig.topology))
		return -1;
	rig.fd = iommufd_open(rig.proc, "/dev/iommu", O_RDWR);
	if (rig.fd < 0 || iommufd_ctx_from_fd(rig.proc, rig.fd, &rig.ctx) ||
	    command(IOMMU_IOAS_ALLOC, &ioas))
		return -1;
	rig.ioas = ioas.out_ioas_id;
	rig.memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return rig.memory == MAP_FAILED ? -1 : map(BASE, rig.memory, LENGTH);
}

int rig_begin_with(const struct device_option *options, size_t num)
{
	struct pci_addr addr = {.devfn = 1 << 3};
	u32 pt;
	char error[200] = "";

	if (begin_system())
		return -1;
	if (dsa_model.create(rig.system, options, num, &rig.pdev, error, sizeof(error))) {
		print_error("%s\n", error);
		return -1;
	}
	rig.dsa = to_dsa(rig.pdev);
	if (pci_dev_add(rig.topology, rig.pdev, addr, iommufd_generic_probe) ||
	    pci_dev_open(rig.pdev, &rig.client, NULL))
		return -1;
	rig.idev = iommufd_device_bind(rig.ctx, &rig.pdev->dev, &rig.dev_id);
	pt = rig.ioas;
	return IS_ERR(rig.idev) || iommufd_device_attach(rig.idev, IOMMU_NO_PASID, &pt);
}

int rig_begin(void **state)
{
	return rig_begin_with(NULL, 0);
}

int rig_begin_enabled(void **state)
{
	if (rig_begin(state))
		return -1;
	enable_device_and_queue();
	return 0;
}

int rig_end(void **state)
{
	char why[200] = "";
	int bad;

	pci_dev_close(rig.pdev, &rig.client);
	iommufd_device_detach(rig.idev, IOMMU_NO_PASID);
	iommufd_device_unbind(rig.idev);
	pci_dev_remove(rig.pdev);
	bad = iommufd_ctx_check(rig.ctx, why, sizeof(why));
	if (bad)
		print_error("%s\n", why);
	iommufd_ctx_put(rig.ctx);
	iommufd_process_destroy(rig.proc);
	pci_topology_destroy(rig.topology);
	iommufd_system_destroy(rig.system);
	munmap(rig.memory, LENGTH);
	return bad;
}

int command(unsigned int cmd, void *arg)
{
	return iommufd_ioctl(rig.proc, rig.fd, cmd, arg);
}

int map(u64 iova, void *va, u64 length)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .ioas_id = rig.ioas,
				     .iova = iova,
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
					      IOMMU_IOAS_MAP_WRITEABLE,
				     .user_va = (uintptr_t)va,
				     .length = length};

	return command(IOMMU_IOAS_MAP, &cmd);
}

int unmap(u64 iova, u64 length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = rig.ioas, .iova = iova, .length = length};

	return command(IOMMU_IOAS_UNMAP, &cmd);
}

/* ---- registers ---- */

u32 rd32(u64 offset)
{
	u32 value = 0;

	assert_int_equal(pci_bar_access(rig.pdev, 0, offset, &value, 4, false), 0);
	return value;
}

u64 rd64(u64 offset)
{
	u64 value = 0;

	assert_int_equal(pci_bar_access(rig.pdev, 0, offset, &value, 8, false), 0);
	return value;
}

void wr32(u64 offset, u32 value)
{
	assert_int_equal(pci_bar_access(rig.pdev, 0, offset, &value, 4, true), 0);
}

void wr64(u64 offset, u64 value)
{
	assert_int_equal(pci_bar_access(rig.pdev, 0, offset, &value, 8, true), 0);
}

u8 dsa_command(u32 code, u32 operand)
{
	u32 status;

	wr32(DSA_REG_CMD, code << 20 | operand);
	for (int i = 0; i < PATIENCE * 1000; i++) {
		status = rd32(DSA_REG_CMDSTS);
		if (!(status & DSA_CMDSTS_ACTIVE))
			return (u8)status;
		usleep(1000);
	}
	fail_msg("command %u does not end", code);
	return 0xff;
}

void bus_master(bool on)
{
	pci_config_write(
		rig.pdev, PCI_COMMAND,
		PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE | (on ? PCI_COMMAND_MASTER : 0), 2);
}

void configure_queue(u32 wq, u32 size, u32 dword2)
{
	u64 at = DSA_WQCFG + wq * DSA_WQCFG_SIZE;

	wr32(at, size);
	wr32(at + 4, size);
	wr32(at + 8, dword2);
	wr32(at + 12, rig.dsa->opt.max_transfer | rig.dsa->opt.max_batch << 5);
}

void configure_group(u32 group, u64 wqs, u64 engines)
{
	wr64(DSA_GRPCFG + group * DSA_GRPCFG_SIZE, wqs);
	wr64(DSA_GRPCFG + group * DSA_GRPCFG_SIZE + 32, engines);
}

void enable_device_and_queue(void)
{
	bus_master(true);
	assert_int_equal(dsa_command(DSA_CMD_RESET, 0), 0);
	configure_queue(0, rig.dsa->opt.wq_size, WQ_DEDICATED | DSA_WQ_BLOCK);
	configure_group(0, 1, 1);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE, 0), 0);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), 0);
	pci_irq_set_mode(rig.pdev, PCI_IRQ_MSIX);
}

/* ---- descriptors ---- */

struct dsa_record *record_new(u64 *ret_iova)
{
	u32 at = rig.records++ % (LIST / sizeof(struct dsa_record)) * sizeof(struct dsa_record);
	struct dsa_record *record = (struct dsa_record *)(rig.memory + RECORDS + at);

	memset(record, 0, sizeof(*record));
	*ret_iova = BASE + RECORDS + at;
	return record;
}

struct dsa_desc descriptor(u8 op, u32 flags, struct dsa_record **ret_record)
{
	struct dsa_desc desc = {.opflags = (u32)op << 24 | flags, .trusted = DSA_DESC_PRIV};

	if (ret_record)
		*ret_record = record_new(&desc.record);
	return desc;
}

void submit(u32 wq, const struct dsa_desc *desc)
{
	struct dsa_desc copy = *desc;

	assert_int_equal(pci_bar_access(rig.pdev, 2, (u64)wq * DSA_PORTAL_PAGES * DSA_PORTAL_PAGE,
					&copy, sizeof(copy), true),
			 0);
}

u8 wait_for(struct dsa_record *record)
{
	for (int i = 0; i < PATIENCE * 20000; i++) {
		u8 status = __atomic_load_n(&record->status, __ATOMIC_ACQUIRE);

		if (status)
			return status;
		usleep(50);
	}
	fail_msg("no completion");
	return 0;
}

struct dsa_record run(struct dsa_desc *desc)
{
	struct dsa_record *record = record_new(&desc->record);

	submit(0, desc);
	wait_for(record);
	return *record;
}

struct dsa_record run_status(struct dsa_desc *desc, u8 status)
{
	struct dsa_record record = run(desc);

	assert_int_equal(record.status, status);
	return record;
}

u32 irqs_until(u32 vector, u32 count)
{
	for (int i = 0; i < PATIENCE * 10000 && atomic_load(&rig.irqs[vector]) < count; i++)
		usleep(100);
	return atomic_load(&rig.irqs[vector]);
}

u64 chance(void)
{
	static u64 state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

void fill_random(u8 *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (u8)chance();
}
