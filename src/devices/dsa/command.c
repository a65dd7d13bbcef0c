/* SPDX-License-Identifier: MIT */
/*
 * The command register (DSA 9.2.11, 9.2.12).  Most commands are over when the write
 * returns.  Those that wait for descriptors are over when the worker has got there;
 * the write waits a moment for that, because drivers look for little longer.
 */
#include <string.h>
#include <time.h>

#include "devices/dsa/dsa.h"

#define WAIT_MS 10

/* ---- what may be enabled ---- */

/* A configuration of groups must give each queue that is used one engine or more (DSA 9.2.16). */
static u8 check_groups(const struct dsa *dsa)
{
	u64 wqs = 0, engines = 0, all_wqs = 0, sized = 0, rdbufs = 0;

	for (u32 i = 0; i < dsa->opt.wqs; i++)
		sized |= dsa->wqcfg[i][0] & 0xffff ? BIT_ULL(i) : 0;
	all_wqs = dsa->opt.wqs == 64 ? UINT64_MAX : BIT_ULL(dsa->opt.wqs) - 1;
	for (u32 g = 0; g < dsa->opt.groups; g++) {
		const u64 *group = dsa->grpcfg[g];

		if (!group[0] != !group[4] || group[0] & ~all_wqs || group[4] >> dsa->opt.engines ||
		    group[1] | group[2] | group[3])
			return DSA_CMD_GROUP_HALF;
		if (group[0] & wqs)
			return DSA_CMD_GROUP_WQ;
		if (group[4] & engines)
			return DSA_CMD_GROUP_ENGINE;
		rdbufs += group[5] >> 8 & 0xff;
		wqs |= group[0];
		engines |= group[4];
	}
	if (wqs != sized)
		return DSA_CMD_GROUP_WQ;
	return rdbufs > 4 * dsa->opt.engines ? DSA_CMD_GROUP_FLAGS : DSA_CMD_OK;
}

static u8 check_device(const struct dsa *dsa)
{
	u64 sizes = 0;

	if (dsa->state != DSA_DISABLED)
		return DSA_CMD_DEV_ENABLED;
	if (!pci_bus_master(&dsa->pdev))
		return DSA_CMD_NO_BUS_MASTER;
	for (u32 i = 0; i < dsa->opt.wqs; i++)
		sizes += dsa->wqcfg[i][0] & 0xffff;
	if (sizes > dsa->opt.wq_size)
		return DSA_CMD_WQ_SIZES;
	return check_groups(dsa);
}

u8 dsa_queue_check(const struct dsa *dsa, u32 index, struct dsa_queue_config *ret_cfg)
{
	const u32 *cfg = dsa->wqcfg[index];
	struct dsa_queue_config c = {
		.size = cfg[0] & 0xffff,
		.threshold = MIN(cfg[1] & 0xffff, cfg[0] & 0xffff),
		.dedicated = cfg[2] & DSA_WQ_DEDICATED,
		.block = cfg[2] & DSA_WQ_BLOCK,
		.pasid_en = cfg[2] & DSA_WQ_PASID_EN,
		.priv = cfg[2] & DSA_WQ_PRIV,
		.pasid = DSA_WQ_PASID(cfg[2]),
		.priority = DSA_WQ_PRIORITY(cfg[2]),
		.max_xfer = BIT_ULL(DSA_WQ_XFER_SHIFT(cfg[3])),
		.max_batch = 1U << DSA_WQ_BATCH_SHIFT(cfg[3]),
		.ops = cfg[DSA_WQ_OPCONFIG] | (u64)cfg[DSA_WQ_OPCONFIG + 1] << 32,
	};

	if (!c.size || c.size > dsa->opt.wq_size)
		return DSA_CMD_WQ_SIZE;
	if (!c.priority)
		return DSA_CMD_WQ_PRIORITY;
	if (!c.dedicated && !dsa->opt.shared)
		return DSA_CMD_WQ_MODE;
	if (c.block && !dsa->opt.block_on_fault)
		return DSA_CMD_WQ_BLOCK;
	/* ENQCMD brings a PASID always. */
	if (!c.dedicated && !c.pasid_en)
		return DSA_CMD_WQ_PASID;
	if (DSA_WQ_BATCH_SHIFT(cfg[3]) > dsa->opt.max_batch)
		return DSA_CMD_WQ_BATCH;
	if (DSA_WQ_XFER_SHIFT(cfg[3]) > dsa->opt.max_transfer)
		return DSA_CMD_WQ_XFER;
	*ret_cfg = c;
	return DSA_CMD_OK;
}

static u8 enable_queue(struct dsa *dsa, u32 index)
{
	struct dsa_queue *queue;
	u8 err;

	if (index >= dsa->opt.wqs)
		return DSA_CMD_BAD_WQ;
	if (dsa->state != DSA_ENABLED)
		return DSA_CMD_DEV_NOT_ENABLED;
	queue = &dsa->queues[index];
	if (queue->state != DSA_WQ_DISABLED)
		return DSA_CMD_WQ_ENABLED;
	err = dsa_queue_check(dsa, index, &queue->cfg);
	if (err == DSA_CMD_OK)
		queue->state = DSA_WQ_ENABLED;
	return err;
}

static u8 enable_device(struct dsa *dsa)
{
	u8 err = check_device(dsa);

	if (err == DSA_CMD_OK)
		dsa->state = DSA_ENABLED;
	return err;
}

/* ---- commands that end later ---- */

static u64 queues_enabled(const struct dsa *dsa)
{
	u64 queues = 0;

	for (u32 i = 0; i < dsa->opt.wqs; i++)
		if (dsa->queues[i].state != DSA_WQ_DISABLED)
			queues |= BIT_ULL(i);
	return queues;
}

/* The queues a command names: a bitmap of 16 in bank 19:16 (DSA 9.2.11). */
static u8 command_queues(struct dsa *dsa, struct dsa_command *command)
{
	u64 queues = (u64)(command->operand & 0xffff), all = 0;
	u32 bank = command->operand >> 16;

	if (!queues || bank > 3)
		return DSA_CMD_BAD_WQ;
	queues <<= 16 * bank;
	all = dsa->opt.wqs == 64 ? UINT64_MAX : BIT_ULL(dsa->opt.wqs) - 1;
	if (queues & ~all)
		return DSA_CMD_BAD_WQ;
	if (command->code == DSA_CMD_RESET_WQ) {
		if (dsa->state != DSA_ENABLED)
			return DSA_CMD_WQ_NOT_ENABLED;
	} else if (queues & ~queues_enabled(dsa)) {
		return DSA_CMD_WQ_NOT_ENABLED;
	}
	command->queues = queues;
	return DSA_CMD_OK;
}

static u8 command_targets(struct dsa *dsa, struct dsa_command *command)
{
	switch (command->code) {
	case DSA_CMD_DISABLE:
	case DSA_CMD_DRAIN_ALL:
	case DSA_CMD_ABORT_ALL:
	case DSA_CMD_DRAIN_PASID:
	case DSA_CMD_ABORT_PASID:
		if (dsa->state != DSA_ENABLED)
			return DSA_CMD_DISABLE_NOT_ENABLED;
		/* fall through */
	case DSA_CMD_RESET:
		command->queues = queues_enabled(dsa);
		return DSA_CMD_OK;
	default:
		return command_queues(dsa, command);
	}
}

/* What a command does to one of its queues before it waits. */
static void command_queue_begin(struct dsa_command *command, struct dsa_queue *queue)
{
	command->target[queue->index] = queue->submitted;
	switch (command->code) {
	case DSA_CMD_DISABLE:
	case DSA_CMD_DISABLE_WQ:
		queue->state = DSA_WQ_BUSY;
		break;
	case DSA_CMD_RESET:
	case DSA_CMD_RESET_WQ:
		if (queue->state != DSA_WQ_DISABLED)
			queue->state = DSA_WQ_BUSY;
		dsa_queue_abort(queue);
		break;
	case DSA_CMD_ABORT_ALL:
	case DSA_CMD_ABORT_WQ:
		dsa_queue_abort(queue);
		break;
	case DSA_CMD_ABORT_PASID:
		dsa_queue_abort_pasid(queue, command->operand);
		break;
	}
}

static bool command_queue_done(const struct dsa_command *command, const struct dsa_queue *queue)
{
	switch (command->code) {
	case DSA_CMD_DISABLE:
	case DSA_CMD_DRAIN_ALL:
	case DSA_CMD_DISABLE_WQ:
	case DSA_CMD_DRAIN_WQ:
	case DSA_CMD_DRAIN_PASID:
		return queue->completed >= command->target[queue->index];
	default:
		return !queue->running ||
		       !atomic_load_explicit(&queue->discard, memory_order_relaxed);
	}
}

static void queue_reset(struct dsa *dsa, u32 index)
{
	dsa->queues[index].state = DSA_WQ_DISABLED;
	memset(dsa->wqcfg[index], 0, sizeof(dsa->wqcfg[index]));
	dsa->wqcfg[index][DSA_WQ_OPCONFIG] = (u32)DSA_OPCAP;
	dsa->wqcfg[index][DSA_WQ_OPCONFIG + 1] = (u32)(DSA_OPCAP >> 32);
}

static void command_queue_end(struct dsa *dsa, const struct dsa_command *command, u32 index)
{
	u32 size = dsa->wqcfg[index][0];

	switch (command->code) {
	case DSA_CMD_DISABLE:
	case DSA_CMD_DISABLE_WQ:
		dsa->queues[index].state = DSA_WQ_DISABLED;
		break;
	case DSA_CMD_RESET_WQ:
		queue_reset(dsa, index);
		/* Sizes belong to the device's configuration, which stays. */
		dsa->wqcfg[index][0] = size;
		break;
	}
}

void dsa_set_defaults(struct dsa *dsa)
{
	for (u32 i = 0; i < dsa->opt.wqs; i++)
		queue_reset(dsa, i);
	memset(dsa->grpcfg, 0, sizeof(dsa->grpcfg));
	memset(dsa->msixperm, 0, sizeof(dsa->msixperm));
	memset(dsa->swerr, 0, sizeof(dsa->swerr));
	dsa->gencfg = 0;
	dsa->genctrl = 0;
	dsa->intcause = 0;
	dsa->state = DSA_DISABLED;
	atomic_store(&dsa->hw_error, false);
}

static void command_end(struct dsa *dsa, u8 err) __must_hold(&dsa->lock)
{
	struct dsa_command *command = &dsa->command;

	command->active = false;
	if (command->code == DSA_CMD_RESET && err == DSA_CMD_OK)
		dsa_set_defaults(dsa);
	else if (command->code == DSA_CMD_DISABLE && err == DSA_CMD_OK)
		dsa->state = DSA_DISABLED;
	dsa->cmdsts = err;
	if (command->irq)
		dsa_cause(dsa, DSA_CAUSE_COMMAND);
	pthread_cond_broadcast(&dsa->idle);
}

void dsa_command_progress(struct dsa *dsa)
{
	struct dsa_command *command = &dsa->command;

	if (!command->active)
		return;
	for (u32 i = 0; i < dsa->opt.wqs; i++)
		if (command->queues & BIT_ULL(i) && !command_queue_done(command, &dsa->queues[i]))
			return;
	for (u32 i = 0; i < dsa->opt.wqs; i++)
		if (command->queues & BIT_ULL(i))
			command_queue_end(dsa, command, i);
	command_end(dsa, DSA_CMD_OK);
}

/* ---- the register ---- */

static void command_begin(struct dsa *dsa) __must_hold(&dsa->lock)
{
	struct dsa_command *command = &dsa->command;
	u8 err = command_targets(dsa, command);

	if (err != DSA_CMD_OK) {
		command_end(dsa, err);
		return;
	}
	if (command->code == DSA_CMD_DISABLE)
		dsa->state = DSA_DRAINING;
	for (u32 i = 0; i < dsa->opt.wqs; i++)
		if (command->queues & BIT_ULL(i))
			command_queue_begin(command, &dsa->queues[i]);
	dsa_command_progress(dsa);
}

static void command_wait(struct dsa *dsa) __must_hold(&dsa->lock)
{
	struct timespec t;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += WAIT_MS * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	while (dsa->command.active && !rc)
		rc = mutex_wait_until(&dsa->lock, &dsa->idle, &t);
}

void dsa_command_write(struct dsa *dsa, u32 value)
{
	struct dsa_command *command = &dsa->command;

	/* Not while one is under way (DSA 9.2.11): nothing happens then. */
	if (command->active)
		return;
	*command = (struct dsa_command){
		.active = true,
		.code = DSA_CMD_CODE(value),
		.operand = DSA_CMD_OPERAND(value),
		.irq = value & DSA_CMD_IRQ,
	};
	dsa->cmdsts = (u32)DSA_CMDSTS_ACTIVE;
	if (command->code == DSA_CMD_ENABLE)
		command_end(dsa, enable_device(dsa));
	else if (command->code == DSA_CMD_ENABLE_WQ)
		command_end(dsa, enable_queue(dsa, command->operand));
	else if (command->code >= 32 || !(DSA_CMDCAP & BIT_ULL(command->code)))
		command_end(dsa, DSA_CMD_BAD_COMMAND);
	else
		command_begin(dsa);
	command_wait(dsa);
}
