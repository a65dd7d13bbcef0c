/* SPDX-License-Identifier: MIT */
/*
 * Registers (1.4, 3.1) are words of memory, in every mode: where a program maps them (in split mode
 * doorbells only), that memory; else an array of ours.  An access stores or loads a word; what a
 * store means is found by work().
 *
 * Mapped registers cannot tell a write that changes nothing.  Two have such writes: INTMC,
 * whose writes of a mask it shows itself would be lost, so a mapped one reads as 0; and a doorbell
 * written with the value it has, which is an error a driver does not make.
 */
#include <string.h>
#include <time.h>

#include "devices/nvme/nvme.h"

#define SCAN_EVERY                                                                                 \
	1024 /* idle calls of work() between looks at what nobody should have touched              \
	      */

u64 nvme_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

/* Those before the doorbells. */
static bool mapped(const struct nvme *nvme)
{
	return nvme->pdev.access == PCI_ACCESS_POLL;
}

static bool in_memory(const struct nvme *nvme, u32 offset)
{
	return mapped(nvme) || (offset >= NVME_REG_DOORBELLS && pci_in_memory(&nvme->pdev));
}

u32 nvme_reg(const struct nvme *nvme, u32 offset)
{
	if (in_memory(nvme, offset))
		return (u32)pci_bar_peek(&nvme->pdev, 0, offset, 4);
	return atomic_load_explicit(&nvme->file[offset / 4], memory_order_acquire);
}

void nvme_reg_set(struct nvme *nvme, u32 offset, u32 value)
{
	if (in_memory(nvme, offset))
		pci_bar_publish(&nvme->pdev, 0, offset, value, 4);
	else
		atomic_store_explicit(&nvme->file[offset / 4], value, memory_order_release);
}

static u64 reg64(const struct nvme *nvme, u32 offset)
{
	return nvme_reg(nvme, offset) | (u64)nvme_reg(nvme, offset + 4) << 32;
}

static u64 capabilities(const struct nvme *nvme)
{
	return NVME_CAP_MQES(NVME_ENTRIES) | NVME_CAP_CQR | NVME_CAP_TO(20) |
	       (nvme->is_vf ? 0 : NVME_CAP_NSSRS) | NVME_CAP_CSS_NVM |
	       NVME_CAP_MPSMAX(NVME_MPS_MAX);
}

/* ---- what is ours to show ---- */

static void show(struct nvme *nvme, u32 offset, u32 value)
{
	if (nvme_reg(nvme, offset) != value)
		nvme_reg_set(nvme, offset, value);
}

void nvme_regs_show(struct nvme *nvme)
{
	u64 cap = capabilities(nvme);

	show(nvme, NVME_REG_CAP, (u32)cap);
	show(nvme, NVME_REG_CAP + 4, (u32)(cap >> 32));
	show(nvme, NVME_REG_VS, NVME_VERSION);
	show(nvme, NVME_REG_CSTS, atomic_load(&nvme->csts));
}

static void show_mask(struct nvme *nvme)
{
	u32 mask = atomic_load(&nvme->mask);

	atomic_store(&nvme->mask_shown, mask);
	nvme_reg_set(nvme, NVME_REG_INTMS, mask);
	nvme_reg_set(nvme, NVME_REG_INTMC, mapped(nvme) ? 0 : mask);
}

void nvme_csts_change(struct nvme *nvme, u32 clear, u32 set)
{
	atomic_fetch_and(&nvme->csts, ~clear);
	atomic_fetch_or(&nvme->csts, set);
	nvme_reg_set(nvme, NVME_REG_CSTS, atomic_load(&nvme->csts));
}

void nvme_regs_reset(struct nvme *nvme)
{
	atomic_store(&nvme->csts, 0);
	atomic_store(&nvme->mask, 0);
	for (u32 offset = NVME_REG_CC; offset < NVME_REG_END; offset += 4)
		nvme_reg_set(nvme, offset, 0);
	nvme_doorbells_clear(nvme);
	show_mask(nvme);
	nvme_regs_show(nvme);
	nvme->cc = 0;
}

/* ---- accesses ---- */

void nvme_mask_change(struct nvme *nvme, u32 set, u32 clear)
{
	atomic_fetch_or(&nvme->mask, set);
	atomic_fetch_and(&nvme->mask, ~clear);
	show_mask(nvme);
	atomic_store(&nvme->irq_stale, true);
}

/* @bytes: which of the word were written; the others are 0 in @value */
static void write_word(struct nvme *nvme, u32 offset, u32 value, u32 bytes)
{
	u32 merged = (nvme_reg(nvme, offset) & ~bytes) | value;

	switch (offset) {
	case NVME_REG_INTMS:
		nvme_mask_change(nvme, value, 0);
		break;
	case NVME_REG_INTMC:
		nvme_mask_change(nvme, 0, value);
		break;
	case NVME_REG_CSTS:
		nvme_csts_change(nvme, value & NVME_CSTS_NSSRO, 0);
		break;
	case NVME_REG_NSSR:
		if (value == NVME_NSSR_MAGIC && !nvme->is_vf)
			atomic_fetch_add(&nvme->ns->resets, 1);
		break;
	case NVME_REG_CC:
		nvme_reg_set(nvme, offset, merged & NVME_CC_MASK);
		break;
	case NVME_REG_AQA:
		nvme_reg_set(nvme, offset, merged & NVME_AQA_MASK);
		break;
	case NVME_REG_ASQ:
	case NVME_REG_ACQ:
		nvme_reg_set(nvme, offset, merged & (u32)PAGE_MASK);
		break;
	case NVME_REG_ASQ + 4:
	case NVME_REG_ACQ + 4:
		nvme_reg_set(nvme, offset, merged);
		break;
	default:
		if (offset < NVME_REG_DOORBELLS || offset >= NVME_FILE_SIZE)
			break;
		nvme_reg_set(nvme, offset, merged);
		atomic_store(&nvme->scan, true);
	}
}

static u32 read_word(const struct nvme *nvme, u32 offset)
{
	switch (offset) {
	case NVME_REG_INTMS:
	case NVME_REG_INTMC:
		return atomic_load(&nvme->mask);
	case NVME_REG_CSTS:
		return atomic_load(&nvme->csts);
	default:
		return nvme_reg(nvme, offset);
	}
}

u64 nvme_bar_read(struct pci_dev *pdev, unsigned int bar, u64 offset, unsigned int size)
{
	struct nvme *nvme = to_nvme(pdev);
	u64 value = 0;

	if (bar || offset >= NVME_FILE_SIZE)
		return 0;
	if (atomic_load(&nvme->ns->resets) != atomic_load(&nvme->resets_seen))
		pci_dev_kick(pdev);
	value = read_word(nvme, (u32)offset & ~3U);
	if (size == 8)
		return value | (u64)read_word(nvme, (u32)offset + 4) << 32;
	value >>= (offset & 3) * 8;
	return size < 4 ? value & ((1U << size * 8) - 1) : value;
}

void nvme_bar_write(struct pci_dev *pdev, unsigned int bar, u64 offset, const void *data,
		    unsigned int size)
{
	struct nvme *nvme = to_nvme(pdev);
	const u8 *bytes = data;

	if (bar || offset >= NVME_FILE_SIZE)
		return;
	for (unsigned int done = 0, n; done < size; done += n) {
		u32 shift = (u32)(offset + done) % 4;
		u32 value = 0, written = 0;

		n = MIN(size - done, 4 - shift);
		memcpy((u8 *)&value + shift, bytes + done, n);
		memset((u8 *)&written + shift, 0xff, n);
		write_word(nvme, (u32)(offset + done) & ~3U, value, written);
	}
	pci_dev_kick(pdev);
}

/* ---- enable, disable, shutdown (1.4, 7.3 and 7.6) ---- */

void nvme_fatal(struct nvme *nvme)
{
	nvme_csts_change(nvme, 0, NVME_CSTS_CFS);
}

static bool failed(const struct nvme *nvme)
{
	return atomic_load_explicit(&nvme->csts, memory_order_relaxed) & NVME_CSTS_CFS;
}

static bool any(const struct nvme_req *req, const void *data)
{
	return true;
}

void nvme_forget(struct nvme *nvme)
{
	CDS_INIT_LIST_HEAD(&nvme->free);
	CDS_INIT_LIST_HEAD(&nvme->stalled);
	CDS_INIT_LIST_HEAD(&nvme->redo);
	for (u32 i = 0; i < NVME_REQUESTS; i++) {
		nvme_req_leave(&nvme->requests[i]);
		cds_list_add_tail(&nvme->requests[i].node, &nvme->free);
	}
	memset(nvme->sq, 0, sizeof(nvme->sq));
	memset(nvme->cq, 0, sizeof(nvme->cq));
	nvme_features_reset(nvme);
	nvme->top = nvme->turn = nvme->inflight = 0;
	nvme->num_events = nvme->pending_events = nvme->masked_types = 0;
	nvme->shutting = nvme->shut = nvme->bad_start = nvme->coalescing = false;
	nvme->irq_stale = true;
	nvme->state = NVME_OFF;
}

static bool can_start(const struct nvme *nvme, u32 cc)
{
	u32 aqa = nvme_reg(nvme, NVME_REG_AQA);
	u64 page = BIT_ULL(NVME_PAGE_SHIFT + NVME_CC_MPS(cc));

	return !NVME_CC_CSS(cc) && !NVME_CC_AMS(cc) && NVME_CC_MPS(cc) <= NVME_MPS_MAX &&
	       (aqa & 0xfff) && (aqa >> 16 & 0xfff) && !(reg64(nvme, NVME_REG_ASQ) & (page - 1)) &&
	       !(reg64(nvme, NVME_REG_ACQ) & (page - 1));
}

static void start(struct nvme *nvme, u32 cc)
{
	u32 aqa = nvme_reg(nvme, NVME_REG_AQA);

	if (!can_start(nvme, cc)) {
		nvme->bad_start = true;
		nvme_fatal(nvme);
		return;
	}
	nvme_doorbells_clear(nvme);
	nvme->page_shift = NVME_PAGE_SHIFT + NVME_CC_MPS(cc);
	nvme_cq_open(nvme, 0, reg64(nvme, NVME_REG_ACQ), (aqa >> 16 & 0xfff) + 1, true, 0);
	nvme_sq_open(nvme, 0, 0, reg64(nvme, NVME_REG_ASQ), (aqa & 0xfff) + 1);
	nvme->ns_changes = atomic_load(&nvme->ns->changes);
	nvme->clean = false;
	nvme->state = NVME_ON;
	nvme_csts_change(nvme, NVME_CSTS_SHST | (mapped(nvme) ? NVME_CSTS_NSSRO : 0),
			 NVME_CSTS_RDY);
}

/* What has been begun ends, the rest does not begin. */
static void stop(struct nvme *nvme)
{
	struct nvme_req *req, *next;

	nvme->state = NVME_STOPPING;
	while (nvme_pool_cancel(&nvme->pool, any, NULL, NVME_SC_ABORTED))
		;
	cds_list_for_each_entry_safe (req, next, &nvme->stalled, node) {
		cds_list_del(&req->node);
		nvme_req_drop(nvme, req);
	}
	cds_list_for_each_entry_safe (req, next, &nvme->redo, node) {
		cds_list_del(&req->node);
		nvme_req_drop(nvme, req);
	}
	for (u32 i = 0; i <= nvme->top; i++)
		if (nvme->sq[i].deleter) {
			nvme_req_drop(nvme, nvme->sq[i].deleter);
			nvme->sq[i].deleter = NULL;
		}
}

static void stopped(struct nvme *nvme)
{
	nvme_doorbells_clear(nvme);
	nvme_forget(nvme);
	nvme_mask_change(nvme, 0, UINT32_MAX);
	nvme_csts_change(nvme, NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST, 0);
}

/* The cache is written out, then nothing is left to do. */
static void shut_down(struct nvme *nvme)
{
	struct nvme_req *req;
	int status;

	nvme->shutting = true;
	req = cds_list_first_entry(&nvme->free, struct nvme_req, node);
	cds_list_del(&req->node);
	memset(req, 0, offsetof(struct nvme_req, extents));
	req->nvme = nvme;
	req->internal = true;
	req->cmd.opcode = NVME_IO_FLUSH;
	req->sq_id = 1;
	nvme->inflight++;
	status = nvme_defer(nvme, req);
	if (status != NVME_PENDING)
		nvme_complete(nvme, req, status);
}

static bool shutdown_step(struct nvme *nvme, u32 cc)
{
	u32 shst = atomic_load(&nvme->csts) & NVME_CSTS_SHST;

	if (!NVME_CC_SHN(cc) || shst == NVME_CSTS_SHST_DONE)
		return false;
	if (nvme->state == NVME_OFF) {
		nvme_csts_change(nvme, NVME_CSTS_SHST, NVME_CSTS_SHST_DONE);
		return true;
	}
	if (!shst)
		nvme_csts_change(nvme, 0, NVME_CSTS_SHST_BUSY);
	if (nvme->inflight || nvme->shutting)
		return false;
	shut_down(nvme);
	return true;
}

static bool control_step(struct nvme *nvme, u32 cc)
{
	bool enable = cc & NVME_CC_EN;

	nvme->cc = cc;
	switch (nvme->state) {
	case NVME_OFF:
		if (enable && !nvme->bad_start) {
			start(nvme, cc);
			return true;
		}
		if (!enable && nvme->bad_start) {
			nvme->bad_start = false;
			nvme_csts_change(nvme, NVME_CSTS_CFS, 0);
			return true;
		}
		if (!NVME_CC_SHN(cc) && atomic_load(&nvme->csts) & NVME_CSTS_SHST)
			nvme_csts_change(nvme, NVME_CSTS_SHST, 0);
		break;
	case NVME_ON:
		if (!enable) {
			stop(nvme);
			return true;
		}
		break;
	case NVME_STOPPING:
		if (!nvme->inflight) {
			stopped(nvme);
			return true;
		}
		return false;
	}
	return shutdown_step(nvme, cc);
}

/* As a reset of the function, but for CSTS.NSSRO (1.4, 7.3.1); of all functions, each when it
 * looks. */
static void subsystem_reset(struct nvme *nvme, u32 resets)
{
	atomic_store(&nvme->resets_seen, resets);
	nvme->pdev.ops->reset(&nvme->pdev);
	nvme_csts_change(nvme, 0, NVME_CSTS_NSSRO);
}

/* Writes that only memory shows. */
static bool mapped_poll(struct nvme *nvme)
{
	u32 set = nvme_reg(nvme, NVME_REG_INTMS), clear = nvme_reg(nvme, NVME_REG_INTMC);
	u32 nssr = nvme_reg(nvme, NVME_REG_NSSR), csts = nvme_reg(nvme, NVME_REG_CSTS);
	bool did = false;

	if (set != atomic_load(&nvme->mask_shown) || clear) {
		nvme_reg_set(nvme, NVME_REG_INTMC, 0);
		nvme_mask_change(nvme, set, clear);
		did = true;
	}
	if (nssr) {
		nvme_reg_set(nvme, NVME_REG_NSSR, 0);
		if (nssr == NVME_NSSR_MAGIC && !nvme->is_vf)
			atomic_fetch_add(&nvme->ns->resets, 1);
		did = true;
	}
	if (csts != atomic_load(&nvme->csts)) {
		nvme_csts_change(nvme, csts & NVME_CSTS_NSSRO & atomic_load(&nvme->csts), 0);
		did = true;
	}
	return did;
}

/* Doorbells of queues that are not there (1.4, 3.1.24), and registers that cannot be written. */
static void scan(struct nvme *nvme)
{
	nvme_regs_show(nvme);
	if (nvme->state != NVME_ON)
		return;
	for (u32 i = 0; i < NVME_QUEUES; i++)
		for (u32 k = 0; k < 2; k++) {
			u32 offset = NVME_REG_DOORBELLS + 8 * i + 4 * k;

			if ((k ? nvme->cq[i].live : nvme->sq[i].live) || !nvme_reg(nvme, offset))
				continue;
			nvme_reg_set(nvme, offset, 0);
			nvme_event_raise(nvme, NVME_EV_BAD_DOORBELL);
		}
}

bool nvme_regs_poll(struct nvme *nvme)
{
	bool did = mapped(nvme) && mapped_poll(nvme);
	u32 resets = atomic_load_explicit(&nvme->ns->resets, memory_order_relaxed);

	if (resets != atomic_load_explicit(&nvme->resets_seen, memory_order_relaxed)) {
		subsystem_reset(nvme, resets);
		return true;
	}
	did |= control_step(nvme, nvme_reg(nvme, NVME_REG_CC) & NVME_CC_MASK);
	if (nvme->state == NVME_ON && atomic_exchange(&nvme->fatal, false)) {
		nvme_fatal(nvme);
		pci_fatal(&nvme->pdev);
	}
	if (nvme->state == NVME_ON && !failed(nvme))
		did |= nvme_doorbells(nvme);
	if (pci_in_memory(&nvme->pdev) ? !did && ++nvme->idle % SCAN_EVERY == 0
				       : atomic_exchange(&nvme->scan, false))
		scan(nvme);
	return did;
}
