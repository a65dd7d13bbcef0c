/* SPDX-License-Identifier: MIT */
/*
 * The model: its options, the function it is, and its life.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "devices/nvme/nvme.h"

#define SIZE_USUAL ((u64)64 << 20)
#define SIZE_MOST  BIT_ULL(46)
#define VFS_MOST   64U

static const char *const keys[] = {
	"image=the file with the blocks",
	"size=of a disk in memory, 64M",
	"readonly=on: it cannot be written",
	"lba=bytes of a block: 512 or 4096",
	"queues=pairs of I/O queues, 64",
	"serial=its serial number, made of its address",
	"vfs=SR-IOV functions it can have, each a controller of the same blocks",
	NULL,
};

/** struct nvme_options - as given */
struct nvme_options {
	struct nvme_ns_options ns;
	const char *serial;
	u32 queues;
	u32 vfs;
};

/* ---- ops ---- */

static void nvme_reset(struct pci_dev *pdev)
{
	struct nvme *nvme = to_nvme(pdev);

	if (nvme->state == NVME_ON && !nvme->clean)
		nvme->counters.unsafe_shutdowns++;
	nvme_pool_empty(&nvme->pool);
	nvme_forget(nvme);
	nvme_regs_reset(nvme);
}

static int nvme_opened(struct pci_dev *pdev)
{
	nvme_regs_reset(to_nvme(pdev));
	return 0;
}

static bool nvme_work(struct pci_dev *pdev)
{
	struct nvme *nvme = to_nvme(pdev);
	bool did = nvme_regs_poll(nvme);

	did |= nvme_reap(nvme);
	if (nvme->state == NVME_ON && pci_bus_master(pdev) &&
	    !(atomic_load_explicit(&nvme->csts, memory_order_relaxed) &
	      (NVME_CSTS_CFS | NVME_CSTS_SHST))) {
		did |= nvme_events_run(nvme);
		did |= nvme_queues_run(nvme);
	}
	nvme_interrupts(nvme);
	return did || nvme->coalescing;
}

static void nvme_destroy(struct pci_dev *pdev)
{
	struct nvme *nvme = to_nvme(pdev);

	nvme_pool_fini(&nvme->pool);
	nvme_ns_put(nvme->ns);
	free(nvme->requests);
	free(nvme->buffer);
	free(nvme);
}

static int nvme_vf_create(struct pci_dev *pdev, unsigned int index, struct pci_dev **ret_vf);

static const struct pci_ops ops = {
	.bar_read = nvme_bar_read,
	.bar_write = nvme_bar_write,
	.work = nvme_work,
	.reset = nvme_reset,
	.opened = nvme_opened,
	.vf_create = nvme_vf_create,
	.migrate_save = nvme_migrate_save,
	.migrate_load = nvme_migrate_load,
	.destroy = nvme_destroy,
	.inject = nvme_inject,
};

/* ---- options ---- */

static int parse_switch(const char *key, const char *text, bool *ret, char *error, size_t size)
{
	*ret = text && (!*text || !strcmp(text, "on"));
	if (!text || *ret || !strcmp(text, "off"))
		return 0;
	snprintf(error, size, "nvme: %s=%s: on or off is wanted", key, text);
	return -EINVAL;
}

static int parse_number(const char *key, const char *text, u32 least, u32 most, u32 *ret,
			char *error, size_t size)
{
	unsigned long value;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < least || value > most) {
		snprintf(error, size, "nvme: %s=%s: a number from %u to %u is wanted", key, text,
			 least, most);
		return -EINVAL;
	}
	*ret = (u32)value;
	return 0;
}

static int parse_block(const char *text, u32 *ret_shift, char *error, size_t size)
{
	*ret_shift = text && !strcmp(text, "4096") ? 12 : 9;
	if (!text || *ret_shift == 12 || !strcmp(text, "512"))
		return 0;
	snprintf(error, size, "nvme: lba=%s: 512 or 4096 is wanted", text);
	return -EINVAL;
}

static int parse_text(const struct device_option *options, size_t num, struct nvme_options *opt,
		      char *error, size_t size)
{
	opt->ns.image = device_option(options, num, "image");
	opt->serial = device_option(options, num, "serial");
	if (!opt->serial)
		opt->serial = "";
	for (const char *c = opt->serial; *c; c++)
		if (*c < ' ' || *c > '~' || c - opt->serial >= NVME_SERIAL) {
			snprintf(error, size, "nvme: serial=%s: 20 printable characters at most",
				 opt->serial);
			return -EINVAL;
		}
	return 0;
}

static int parse_size(const struct device_option *options, size_t num, struct nvme_options *opt,
		      char *error, size_t size)
{
	int rc;

	opt->ns.size = SIZE_USUAL;
	rc = device_option_size(options, num, "size", &opt->ns.size, error, size);
	if (rc)
		return rc;
	if (opt->ns.image && device_option(options, num, "size")) {
		snprintf(error, size, "nvme: size= is for a disk in memory, and image= is given");
		return -EINVAL;
	}
	if (!opt->ns.size || opt->ns.size > SIZE_MOST ||
	    opt->ns.size & (BIT_ULL(opt->ns.shift) - 1)) {
		snprintf(error, size, "nvme: size=%llu: blocks of %u bytes are wanted, at most 64T",
			 (unsigned long long)opt->ns.size, 1U << opt->ns.shift);
		return -EINVAL;
	}
	return 0;
}

static int parse(const struct device_option *options, size_t num, struct nvme_options *opt,
		 char *error, size_t size)
{
	int rc = parse_text(options, num, opt, error, size);

	opt->queues = NVME_QUEUES_USUAL;
	if (!rc)
		rc = parse_block(device_option(options, num, "lba"), &opt->ns.shift, error, size);
	if (!rc)
		rc = parse_size(options, num, opt, error, size);
	if (!rc)
		rc = parse_switch("readonly", device_option(options, num, "readonly"),
				  &opt->ns.readonly, error, size);
	if (!rc)
		rc = parse_number("queues", device_option(options, num, "queues"), 1,
				  NVME_QUEUES - 1, &opt->queues, error, size);
	if (!rc)
		rc = parse_number("vfs", device_option(options, num, "vfs"), 0, VFS_MOST, &opt->vfs,
				  error, size);
	return rc;
}

/* ---- making one ---- */

static void describe(struct nvme *nvme, u32 vfs)
{
	nvme->desc = (struct pci_desc){
		.model = "nvme",
		.vendor = 0x1209,
		.device = 0x4e56,
		.subsystem_vendor = 0x1209,
		.subsystem_device = 0x0001,
		.class_code = 0x010802,
		.revision = 1,
		.bars = {[0] = {.size = NVME_BAR_SIZE,
				.wide = true,
				.areas = {{NVME_REG_DOORBELLS,
					   NVME_BAR_SIZE - NVME_REG_DOORBELLS}}}},
		.intx_pin = 1,
		.msi_vectors = 32,
		.msix_vectors = (u16)nvme->num_queues,
		.msix_bar = 0,
		.msix_table = NVME_MSIX_TABLE,
		.msix_pba = NVME_MSIX_PBA,
		.has_pm = true,
		.has_pcie = true,
		.has_flr = true,
		.acs = true,
	};
	nvme->vf_desc = nvme->desc;
	nvme->vf_desc.intx_pin = 0;
	nvme->vf_desc.msi_vectors = 0;
	nvme->desc.sriov_vfs = (u16)vfs;
	nvme->desc.vf = vfs ? &nvme->vf_desc : NULL;
}

/* A controller of @ns, whose reference it takes, also on failure. */
static struct nvme *make(struct iommufd_system *system, struct nvme_ns *ns, u32 queues, u32 vfs,
			 const char *serial)
{
	struct nvme *nvme = zalloc(sizeof(*nvme));

	if (!nvme) {
		nvme_ns_put(ns);
		return NULL;
	}
	nvme_pool_init(&nvme->pool);
	nvme->ns = ns;
	atomic_store(&nvme->resets_seen, atomic_load(&ns->resets));
	nvme->num_queues = queues + 1;
	nvme->counters.power_cycles = 1;
	atomic_store(&nvme->kelvin, NVME_KELVIN);
	snprintf(nvme->serial, sizeof(nvme->serial), "%s", serial);
	describe(nvme, vfs);
	nvme->pdev.desc = &nvme->desc;
	nvme->pdev.ops = &ops;
	nvme->pdev.access = nvme_model.access;
	nvme->pdev.system = system;
	nvme->buffer = alloc_uninit(NVME_BUFFER);
	nvme->requests = zalloc_array(NVME_REQUESTS, sizeof(*nvme->requests));
	if (!nvme->buffer || !nvme->requests) {
		nvme_destroy(&nvme->pdev);
		return NULL;
	}
	for (u32 i = 0; i < NVME_REQUESTS; i++)
		nvme->requests[i].nvme = nvme;
	nvme_forget(nvme);
	return nvme;
}

static int nvme_vf_create(struct pci_dev *pdev, unsigned int index, struct pci_dev **ret_vf)
{
	struct nvme *pf = to_nvme(pdev);
	char serial[NVME_SERIAL + 1];
	struct nvme *vf;

	nvme_serial(pf, serial);
	vf = make(pdev->system, nvme_ns_get(pf->ns), pf->num_queues - 1, 0, serial);
	if (!vf)
		return -ENOMEM;
	vf->is_vf = true;
	vf->cntlid = (u16)(index + 1);
	vf->desc = pf->vf_desc;
	vf->pdev.desc = pf->desc.vf;
	vf->pdev.access = pdev->access;
	*ret_vf = &vf->pdev;
	return 0;
}

static int create(struct iommufd_system *system, const struct device_option *options,
		  size_t num_options, struct pci_dev **ret_pdev, char *error, size_t error_size)
{
	struct nvme_options opt = {0};
	struct nvme *nvme;
	struct nvme_ns *ns;
	int rc;

	rc = parse(options, num_options, &opt, error, error_size);
	if (!rc)
		rc = nvme_ns_open(&opt.ns, &ns, error, error_size);
	if (rc)
		return rc;
	nvme = make(system, ns, opt.queues, opt.vfs, opt.serial);
	if (!nvme) {
		snprintf(error, error_size, "nvme: no memory");
		return -ENOMEM;
	}
	*ret_pdev = &nvme->pdev;
	return 0;
}

const struct device_model nvme_model = {
	.name = "nvme",
	.line = "an NVMe disk, in a file or in memory",
	.keys = keys,
	.access = PCI_ACCESS_POLL,
	.create = create,
};
