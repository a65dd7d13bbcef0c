/* SPDX-License-Identifier: MIT */
/*
 * Intel's Data Streaming Accelerator as a PCI function: a register BAR, a portal BAR,
 * MSI-X (vector 0 for the device, one for each work queue), FLR, PASIDs and page requests.
 *
 * Its driver reads the answer to a command right after it wrote the command, and a portal
 * is stored to again before anybody could look: memory that is looked at now and then
 * will not do, so poll mode is refused.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/system.h"
#include "devices/dsa/dsa.h"

/* ---- errors ---- */

void dsa_unlock(struct dsa *dsa)
{
	bool raise = dsa->raise;

	dsa->raise = false;
	mutex_unlock(&dsa->lock);
	if (raise)
		pci_raise(&dsa->pdev, 0);
}

void dsa_cause(struct dsa *dsa, u32 bits)
{
	u32 enabled = DSA_CAUSE_COMMAND;

	if (dsa->genctrl & DSA_GENCTRL_SWERR)
		enabled |= DSA_CAUSE_SWERR;
	if (dsa->genctrl & DSA_GENCTRL_HALT)
		enabled |= DSA_CAUSE_HALT;
	dsa->intcause |= bits;
	if (bits & enabled)
		dsa->raise = true;
}

void dsa_swerr(struct dsa *dsa, const struct dsa_queue *queue, const struct dsa_task *task,
	       u8 status, u64 addr)
{
	const struct dsa_desc *desc = task ? &task->desc : NULL;
	u64 low = DSA_SWERR_VALID | DSA_SWERR_ERROR(status & ~DSA_STATUS_WRITE);

	/* The first one stays (DSA 9.2.14). */
	if (dsa->swerr[0] & DSA_SWERR_VALID) {
		dsa->swerr[0] |= DSA_SWERR_OVERFLOW;
		return;
	}
	if (status & DSA_STATUS_WRITE)
		low |= DSA_SWERR_WRITE;
	if (queue)
		low |= DSA_SWERR_WQ | DSA_SWERR_WQ_IDX(queue->index);
	if (desc) {
		low |= DSA_SWERR_DESC | DSA_SWERR_OP(DSA_DESC_OP(desc)) |
		       DSA_SWERR_PASID((u64)dsa_task_pasid(queue, desc));
		if (queue->cfg.dedicated ? queue->cfg.priv : !!(desc->trusted & DSA_DESC_PRIV))
			low |= DSA_SWERR_PRIV;
		if (task->member)
			low |= DSA_SWERR_BATCH;
	}
	dsa->swerr[0] = low;
	dsa->swerr[1] = desc && task->member ? queue->batch.index & 0xffff : 0;
	if (desc && status == DSA_BAD_FLAGS)
		dsa->swerr[1] |= (u64)task->record.op.invalid_flags << 32;
	dsa->swerr[2] = addr;
	dsa_cause(dsa, DSA_CAUSE_SWERR);
}

void dsa_halt(struct dsa *dsa)
{
	for (u32 i = 0; i < dsa->opt.wqs; i++) {
		dsa_queue_abort(&dsa->queues[i]);
		dsa->queues[i].state = DSA_WQ_DISABLED;
	}
	dsa->state = DSA_HALTED;
	dsa_command_progress(dsa);
	/* A command that was under way may have meant to end in another state. */
	dsa->state = DSA_HALTED;
	dsa_cause(dsa, DSA_CAUSE_HALT);
}

/* ---- what the bus asks ---- */

static u64 bar_read(struct pci_dev *pdev, unsigned int bar, u64 offset, unsigned int size)
{
	if (bar == 0)
		return dsa_regs_read(to_dsa(pdev), offset, size);
	return UINT64_MAX; /* portals are for writing (DSA 9.3) */
}

static void bar_write(struct pci_dev *pdev, unsigned int bar, u64 offset, const void *data,
		      unsigned int size)
{
	if (bar == 0)
		dsa_regs_write(to_dsa(pdev), offset, data, size);
	else if (bar == 2)
		dsa_portal_write(to_dsa(pdev), offset, data, size);
}

static void reset(struct pci_dev *pdev)
{
	struct dsa *dsa = to_dsa(pdev);

	dsa_lock(dsa);
	for (u32 i = 0; i < dsa->opt.wqs; i++)
		dsa_queue_abort(&dsa->queues[i]);
	dsa->command.active = false;
	dsa->cmdsts = DSA_CMD_OK;
	dsa_set_defaults(dsa);
	dsa->raise = false;
	pthread_cond_broadcast(&dsa->idle);
	dsa_unlock(dsa);
}

static int opened(struct pci_dev *pdev)
{
	if (pdev->access != PCI_ACCESS_POLL) {
		dsa_fault_begin(to_dsa(pdev));
		return 0;
	}
	system_log(pdev->system, IOMMUFD_LOG_ERROR,
		   "dsa: it cannot be served by polling its registers: use trap or no-mmap");
	return -EOPNOTSUPP;
}

static void closed(struct pci_dev *pdev)
{
	dsa_fault_end(to_dsa(pdev));
}

static void destroy(struct pci_dev *pdev)
{
	struct dsa *dsa = to_dsa(pdev);

	for (u32 i = 0; i < dsa->opt.wqs; i++) {
		pthread_cond_destroy(&dsa->queues[i].asked);
		free(dsa->queues[i].ring);
	}
	pthread_cond_destroy(&dsa->idle);
	mutex_destroy(&dsa->lock);
	free(dsa);
}

static int inject(struct pci_dev *pdev, const char *what, const char *argument)
{
	struct dsa *dsa = to_dsa(pdev);
	char *end = NULL;
	unsigned long error = DSA_HW_ERROR;
	int rc = 0;

	if (!strcmp(what, "swerr") && argument && *argument) {
		error = strtoul(argument, &end, 0);
		if (*end || error > 0x7f)
			return -EINVAL;
	}
	dsa_lock(dsa);
	if (!strcmp(what, "halt"))
		dsa_halt(dsa);
	else if (!strcmp(what, "swerr"))
		dsa_swerr(dsa, NULL, NULL, error, 0);
	else if (!strcmp(what, "hw-error"))
		atomic_store(&dsa->hw_error, true);
	else
		rc = -EINVAL;
	dsa_unlock(dsa);
	return rc;
}

static const struct pci_ops ops = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.work = dsa_work,
	.reset = reset,
	.opened = opened,
	.closed = closed,
	.migrate_save = dsa_migrate_save,
	.migrate_load = dsa_migrate_load,
	.destroy = destroy,
	.inject = inject,
};

/* ---- options ---- */

struct number {
	const char *key;
	u32 least, most, usual;
	size_t at;
};

static const struct number numbers[] = {
	{"wqs", 1, DSA_MAX_WQS, 8, offsetof(struct dsa_options, wqs)},
	{"engines", 1, DSA_MAX_ENGINES, 4, offsetof(struct dsa_options, engines)},
	{"groups", 1, DSA_MAX_GROUPS, 4, offsetof(struct dsa_options, groups)},
	{"wq-size", 1, 1024, 128, offsetof(struct dsa_options, wq_size)},
	/* As much as Linux asks for in a queue it was told nothing of. */
	{"max-transfer", 12, 31, 21, offsetof(struct dsa_options, max_transfer)},
	{"max-batch", 1, 10, 10, offsetof(struct dsa_options, max_batch)},
};

static const char *const keys[] = {
	"wqs=work queues, 1 to 64 (8)",
	"engines=1 to 16 (4)",
	"groups=1 to 16 (4)",
	"wq-size=descriptors of all work queues together, 1 to 1024 (128)",
	"max-transfer=log2 of the bytes of an operation, 12 to 31 (21)",
	"max-batch=log2 of the descriptors of a batch, 1 to 10 (10)",
	"version=1.0 or 2.0 of the architecture (1.0)",
	"shared=on: work queues may be shared (off)",
	"block-on-fault=off: no page requests (on)",
	NULL,
};

static int parse_number(const struct number *number, const char *text, u32 *ret, char *error,
			size_t error_size)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (*text < '0' || *text > '9' || *end || errno || value < number->least ||
	    value > number->most) {
		snprintf(error, error_size, "dsa: %s=%s: a number from %u to %u is wanted",
			 number->key, text, number->least, number->most);
		return -EINVAL;
	}
	*ret = (u32)value;
	return 0;
}

static int parse_switch(const struct device_option *options, size_t num, const char *key,
			bool usual, bool *ret, char *error, size_t error_size)
{
	const char *text = device_option(options, num, key);

	*ret = text ? !strcmp(text, "on") : usual;
	if (!text || *ret || !strcmp(text, "off"))
		return 0;
	snprintf(error, error_size, "dsa: %s=%s: on or off is wanted", key, text);
	return -EINVAL;
}

static int parse_version(const char *text, u32 *ret, char *error, size_t error_size)
{
	if (!text || !strcmp(text, "1.0")) {
		*ret = 0x100;
		return 0;
	}
	*ret = 0x200;
	if (!strcmp(text, "2.0"))
		return 0;
	snprintf(error, error_size, "dsa: version=%s: 1.0 or 2.0 is wanted", text);
	return -EINVAL;
}

static int parse(const struct device_option *options, size_t num, struct dsa_options *opt,
		 char *error, size_t error_size)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(numbers) && !rc; i++) {
		const char *text = device_option(options, num, numbers[i].key);
		u32 *value = (u32 *)((char *)opt + numbers[i].at);

		*value = numbers[i].usual;
		if (text)
			rc = parse_number(&numbers[i], text, value, error, error_size);
	}
	if (!rc)
		rc = parse_version(device_option(options, num, "version"), &opt->version, error,
				   error_size);
	if (!rc)
		rc = parse_switch(options, num, "shared", false, &opt->shared, error, error_size);
	if (!rc)
		rc = parse_switch(options, num, "block-on-fault", true, &opt->block_on_fault, error,
				  error_size);
	return rc;
}

/* ---- making one ---- */

static void describe(struct dsa *dsa)
{
	u64 portals = (u64)dsa->opt.wqs * DSA_PORTAL_PAGES * DSA_PORTAL_PAGE;

	while (!is_power_of_2(portals))
		portals += portals & -portals;
	dsa->desc = (struct pci_desc){
		.model = "dsa",
		.vendor = 0x8086,
		.device = dsa->opt.version == 0x100 ? 0x0b25 : 0x11fb,
		.subsystem_vendor = 0x8086,
		.class_code = 0x088000,
		.bars =
			{
				[0] = {.size = DSA_BAR0_SIZE, .wide = true, .prefetch = true},
				[2] = {.size = portals, .wide = true, .prefetch = true},
			},
		.msix_vectors = dsa->opt.wqs + 1,
		.msix_bar = 0,
		.msix_table = DSA_MSIX_TABLE,
		.msix_pba = DSA_MSIX_PBA,
		.has_pm = true,
		.has_pcie = true,
		.has_flr = true,
		.pri = dsa->opt.block_on_fault,
		.ats = dsa->opt.block_on_fault,
		.pasid_bits = 20,
		.acs = true,
	};
}

static int queues_make(struct dsa *dsa)
{
	for (u32 i = 0; i < dsa->opt.wqs; i++) {
		struct dsa_queue *queue = &dsa->queues[i];

		queue->dsa = dsa;
		queue->index = i;
		queue->answer = 1;
		pthread_cond_init(&queue->asked, NULL);
		queue->ring = zalloc_array(dsa->opt.wq_size, sizeof(*queue->ring));
		if (!queue->ring) {
			dsa->opt.wqs = i + 1;
			return -ENOMEM;
		}
	}
	return 0;
}

static int create(struct iommufd_system *system, const struct device_option *options,
		  size_t num_options, struct pci_dev **ret_pdev, char *error, size_t error_size)
{
	struct dsa_options opt = {0};
	struct dsa *dsa;
	int rc;

	rc = parse(options, num_options, &opt, error, error_size);
	if (rc)
		return rc;
	dsa = zalloc(sizeof(*dsa));
	if (!dsa)
		return -ENOMEM;
	dsa->opt = opt;
	mutex_init(&dsa->lock);
	cond_init(&dsa->idle);
	rc = queues_make(dsa);
	if (rc) {
		destroy(&dsa->pdev);
		return rc;
	}
	describe(dsa);
	dsa->pdev.desc = &dsa->desc;
	dsa->pdev.ops = &ops;
	dsa->pdev.access = dsa_model.access;
	dsa->pdev.system = system;
	dsa_lock(dsa);
	dsa_set_defaults(dsa);
	dsa_unlock(dsa);
	*ret_pdev = &dsa->pdev;
	return 0;
}

const struct device_model dsa_model = {
	.name = "dsa",
	.line = "Intel's Data Streaming Accelerator: copies, fills, compares and sums up memory",
	.keys = keys,
	.access = PCI_ACCESS_TRAP,
	.create = create,
};
