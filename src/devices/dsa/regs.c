/* SPDX-License-Identifier: MIT */
/*
 * BAR0 (DSA 9.2).  Everything is a double word with a rule for reading and one for
 * writing; wider and narrower accesses are made of these.
 */
#include <string.h>

#include "devices/dsa/dsa.h"

static u32 half(u64 value, u64 offset)
{
	return offset & 4 ? (u32)(value >> 32) : (u32)value;
}

/* ---- reading ---- */

static u64 gencap(const struct dsa *dsa)
{
	return (dsa->opt.block_on_fault ? DSA_GENCAP_BLOCK_ON_FAULT : 0) | DSA_GENCAP_OVERLAP |
	       DSA_GENCAP_CACHE_CONTROL | DSA_GENCAP_COMMAND_CAP | DSA_GENCAP_DEST_READBACK |
	       DSA_GENCAP_DRAIN_READBACK | DSA_GENCAP_MAX_XFER(dsa->opt.max_transfer) |
	       DSA_GENCAP_MAX_BATCH(dsa->opt.max_batch) | DSA_GENCAP_CONFIG;
}

static u64 wqcap(const struct dsa *dsa)
{
	return dsa->opt.wq_size | DSA_WQCAP_NUM(dsa->opt.wqs) | DSA_WQCAP_CFGSIZE |
	       (dsa->opt.shared ? DSA_WQCAP_SHARED : 0) | DSA_WQCAP_DEDICATED | DSA_WQCAP_PRIORITY |
	       DSA_WQCAP_OCCUPANCY | DSA_WQCAP_OPCONFIG;
}

static u64 register_read(const struct dsa *dsa, u64 offset)
{
	switch (offset) {
	case DSA_REG_VERSION:
		return dsa->opt.version;
	case DSA_REG_GENCAP:
		return gencap(dsa);
	case DSA_REG_WQCAP:
		return wqcap(dsa);
	case DSA_REG_GRPCAP:
		return dsa->opt.groups | DSA_GRPCAP_RDBUFS(4 * dsa->opt.engines);
	case DSA_REG_ENGCAP:
		return dsa->opt.engines;
	case DSA_REG_OPCAP:
		return DSA_OPCAP;
	case DSA_REG_OFFSETS:
		return DSA_GRPCFG / DSA_TABLE_UNIT | (u64)(DSA_WQCFG / DSA_TABLE_UNIT) << 16 |
		       (u64)(DSA_MSIXPERM / DSA_TABLE_UNIT) << 32;
	case DSA_REG_OFFSETS + 8:
		return DSA_PERFMON / DSA_TABLE_UNIT;
	case DSA_REG_GENCFG:
		return dsa->gencfg;
	case DSA_REG_GENCTRL:
		return dsa->genctrl;
	case DSA_REG_GENSTS:
		/* The reset it needs if it is halted: 0, by software */
		return dsa->state;
	case DSA_REG_INTCAUSE:
		return dsa->intcause;
	case DSA_REG_CMDSTS:
		return dsa->cmdsts;
	case DSA_REG_CMDCAP:
		return DSA_CMDCAP;
	default:
		if (offset >= DSA_REG_SWERR && offset < DSA_REG_SWERR_END)
			return dsa->swerr[(offset - DSA_REG_SWERR) / 8];
		return 0;
	}
}

static u32 wqcfg_read(const struct dsa *dsa, u32 index, u32 dword)
{
	const struct dsa_queue *queue = &dsa->queues[index];

	if (dword == 6)
		return dsa_queue_occupancy(queue) | DSA_WQ_STATE(queue->state);
	return dsa->wqcfg[index][dword];
}

static u32 dword_read(const struct dsa *dsa, u64 offset)
{
	u64 at;

	if (offset < DSA_GRPCFG)
		return half(register_read(dsa, offset & ~7ULL), offset);
	at = offset - DSA_GRPCFG;
	if (at < (u64)dsa->opt.groups * DSA_GRPCFG_SIZE)
		return half(dsa->grpcfg[at / DSA_GRPCFG_SIZE][at % DSA_GRPCFG_SIZE / 8], offset);
	at = offset - DSA_MSIXPERM;
	if (offset >= DSA_MSIXPERM && at < 8ULL * dsa->desc.msix_vectors)
		return at & 4 ? 0 : dsa->msixperm[at / 8];
	at = offset - DSA_WQCFG;
	if (offset >= DSA_WQCFG && at < (u64)dsa->opt.wqs * DSA_WQCFG_SIZE)
		return wqcfg_read(dsa, at / DSA_WQCFG_SIZE, at % DSA_WQCFG_SIZE / 4);
	return 0;
}

u64 dsa_regs_read(struct dsa *dsa, u64 offset, unsigned int size)
{
	u64 value;

	dsa_lock(dsa);
	value = dword_read(dsa, offset & ~3ULL);
	if (size == 8)
		value |= (u64)dword_read(dsa, offset + 4) << 32;
	dsa_unlock(dsa);
	value >>= 8 * (offset & 3);
	return size == 8 ? value : value & (BIT_ULL(8 * size) - 1);
}

/* ---- writing ---- */

static void swerr_clear(struct dsa *dsa, u32 value)
{
	if (value & DSA_SWERR_OVERFLOW)
		dsa->swerr[0] &= ~DSA_SWERR_OVERFLOW;
	/* What it says is about the error that is acknowledged. */
	if (value & DSA_SWERR_VALID)
		memset(dsa->swerr, 0, sizeof(dsa->swerr));
}

static void register_write(struct dsa *dsa, u64 offset, u32 value) __must_hold(&dsa->lock)
{
	switch (offset) {
	case DSA_REG_GENCTRL:
		dsa->genctrl = value & (u32)(DSA_GENCTRL_SWERR | DSA_GENCTRL_HALT);
		break;
	case DSA_REG_INTCAUSE:
		dsa->intcause &= ~value;
		break;
	case DSA_REG_CMD:
		dsa_command_write(dsa, value);
		break;
	case DSA_REG_SWERR:
		swerr_clear(dsa, value);
		break;
	}
}

/* Groups and sizes belong to the device, the rest of a queue's registers to the queue
 * (DSA 9.2.16, 9.2.18). */
static void wqcfg_write(struct dsa *dsa, u32 index, u32 dword, u32 value)
{
	static const u32 writable[DSA_WQCFG_SIZE / 4] = {
		[0] = 0xffff,
		[1] = 0xffff,
		[2] = 0x3ffffff3,
		[3] = 0x1ff,
		[DSA_WQ_OPCONFIG] = (u32)DSA_OPCAP,
		[DSA_WQ_OPCONFIG + 1] = (u32)(DSA_OPCAP >> 32),
	};
	struct dsa_queue *queue = &dsa->queues[index];

	if (dword == 0 ? dsa->state != DSA_DISABLED : queue->state != DSA_WQ_DISABLED && dword != 1)
		return;
	dsa->wqcfg[index][dword] = value & writable[dword];
	if (dword == 1)
		queue->cfg.threshold = MIN(value & 0xffff, queue->cfg.size);
}

static void grpcfg_write(struct dsa *dsa, u64 at, u32 value)
{
	u64 *word = &dsa->grpcfg[at / DSA_GRPCFG_SIZE][at % DSA_GRPCFG_SIZE / 8];

	if (dsa->state != DSA_DISABLED || at % DSA_GRPCFG_SIZE >= 48)
		return;
	if (at & 4)
		*word = (*word & 0xffffffff) | (u64)value << 32;
	else
		*word = (*word & ~0xffffffffULL) | value;
}

static void dword_write(struct dsa *dsa, u64 offset, u32 value) __must_hold(&dsa->lock)
{
	u64 at;

	if (offset < DSA_GRPCFG) {
		register_write(dsa, offset, value);
		return;
	}
	at = offset - DSA_GRPCFG;
	if (at < (u64)dsa->opt.groups * DSA_GRPCFG_SIZE) {
		grpcfg_write(dsa, at, value);
		return;
	}
	at = offset - DSA_MSIXPERM;
	if (offset >= DSA_MSIXPERM && at < 8ULL * dsa->desc.msix_vectors) {
		if (!(at & 4))
			dsa->msixperm[at / 8] = value & 0xfffff00c;
		return;
	}
	at = offset - DSA_WQCFG;
	if (offset >= DSA_WQCFG && at < (u64)dsa->opt.wqs * DSA_WQCFG_SIZE)
		wqcfg_write(dsa, at / DSA_WQCFG_SIZE, at % DSA_WQCFG_SIZE / 4, value);
}

/* Part of a double word: in a table the rest of it stays; in a register the rest is 0. */
static void part_write(struct dsa *dsa, u64 offset, u32 value, unsigned int size)
	__must_hold(&dsa->lock)
{
	u64 base = offset & ~3ULL;
	unsigned int shift = 8 * (offset & 3);
	u32 mask = (u32)((BIT_ULL(8 * size) - 1) << shift);
	u32 old = base < DSA_GRPCFG && base != DSA_REG_GENCTRL ? 0 : dword_read(dsa, base);

	dword_write(dsa, base, (old & ~mask) | (value << shift & mask));
}

void dsa_regs_write(struct dsa *dsa, u64 offset, const void *data, unsigned int size)
{
	u32 value = 0;

	dsa_lock(dsa);
	if (size < 4) {
		memcpy(&value, data, size);
		part_write(dsa, offset, value, size);
	}
	for (unsigned int i = 0; i + 4 <= size; i += 4) {
		memcpy(&value, (const u8 *)data + i, 4);
		dword_write(dsa, offset + i, value);
	}
	dsa_unlock(dsa);
}
