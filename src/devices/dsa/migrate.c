/* SPDX-License-Identifier: MIT */
/*
 * A device's state as bytes.  Descriptors do not move: a device that has some is busy, and
 * its driver is to drain it first.  What is loaded is a stranger's: it is checked as if it
 * were written to the registers.
 */
#include <string.h>

#include "base/alloc.h"
#include "devices/dsa/dsa.h"

#define MAGIC 0x31617364U /* "dsa1" */

struct saved {
	u32 magic;
	u32 wqs, engines, groups, wq_size, max_transfer, max_batch, version, features;
	u32 state, gencfg, genctrl, intcause, cmdsts;
	u64 swerr[4];
	u32 wqcfg[DSA_MAX_WQS][DSA_WQCFG_SIZE / 4];
	u64 grpcfg[DSA_MAX_GROUPS][DSA_GRPCFG_SIZE / 8];
	u32 msixperm[DSA_MAX_VECTORS];
	u32 queues[DSA_MAX_WQS];
};

static void saved_shape(const struct dsa *dsa, struct saved *s)
{
	s->magic = MAGIC;
	s->wqs = dsa->opt.wqs;
	s->engines = dsa->opt.engines;
	s->groups = dsa->opt.groups;
	s->wq_size = dsa->opt.wq_size;
	s->max_transfer = dsa->opt.max_transfer;
	s->max_batch = dsa->opt.max_batch;
	s->version = dsa->opt.version;
	s->features = dsa->opt.shared | dsa->opt.block_on_fault << 1;
}

static bool device_busy(const struct dsa *dsa)
{
	for (u32 i = 0; i < dsa->opt.wqs; i++)
		if (dsa->queues[i].submitted != dsa->queues[i].completed)
			return true;
	return dsa->command.active;
}

static void state_copy(const struct dsa *dsa, struct saved *s)
{
	saved_shape(dsa, s);
	s->state = dsa->state;
	s->gencfg = dsa->gencfg;
	s->genctrl = dsa->genctrl;
	s->intcause = dsa->intcause;
	s->cmdsts = dsa->cmdsts;
	memcpy(s->swerr, dsa->swerr, sizeof(s->swerr));
	memcpy(s->wqcfg, dsa->wqcfg, sizeof(s->wqcfg));
	memcpy(s->grpcfg, dsa->grpcfg, sizeof(s->grpcfg));
	memcpy(s->msixperm, dsa->msixperm, sizeof(s->msixperm));
	for (u32 i = 0; i < dsa->opt.wqs; i++)
		s->queues[i] = dsa->queues[i].state;
}

int dsa_migrate_save(struct pci_dev *pdev, void **ret_data, size_t *ret_len)
{
	struct dsa *dsa = to_dsa(pdev);
	struct saved *s = zalloc(sizeof(*s));
	int rc = 0;

	if (!s)
		return -ENOMEM;
	dsa_lock(dsa);
	if (device_busy(dsa))
		rc = -EBUSY;
	else
		state_copy(dsa, s);
	dsa_unlock(dsa);
	if (rc) {
		free(s);
		return rc;
	}
	*ret_data = s;
	*ret_len = sizeof(*s);
	return 0;
}

/* The queues that are to be enabled must be fit for it. */
static int queues_load(struct dsa *dsa, const struct saved *s)
{
	for (u32 i = 0; i < dsa->opt.wqs; i++) {
		struct dsa_queue *queue = &dsa->queues[i];

		if (s->queues[i] == DSA_WQ_DISABLED)
			continue;
		if (s->queues[i] != DSA_WQ_ENABLED || s->state != DSA_ENABLED ||
		    dsa_queue_check(dsa, i, &queue->cfg) != DSA_CMD_OK)
			return -EINVAL;
		queue->state = DSA_WQ_ENABLED;
	}
	return 0;
}

static int state_load(struct dsa *dsa, const struct saved *s) __must_hold(&dsa->lock)
{
	int rc;

	if (device_busy(dsa))
		return -EBUSY;
	dsa_set_defaults(dsa);
	memcpy(dsa->wqcfg, s->wqcfg, sizeof(s->wqcfg));
	memcpy(dsa->grpcfg, s->grpcfg, sizeof(s->grpcfg));
	memcpy(dsa->msixperm, s->msixperm, sizeof(s->msixperm));
	rc = queues_load(dsa, s);
	if (rc) {
		dsa_set_defaults(dsa);
		return rc;
	}
	memcpy(dsa->swerr, s->swerr, sizeof(s->swerr));
	dsa->state = s->state;
	dsa->gencfg = s->gencfg;
	dsa->genctrl = s->genctrl;
	dsa->intcause = s->intcause;
	dsa->cmdsts = s->cmdsts & 0xff;
	return 0;
}

int dsa_migrate_load(struct pci_dev *pdev, const void *data, size_t len)
{
	struct dsa *dsa = to_dsa(pdev);
	struct saved *s, shape = {0};
	int rc = -EINVAL;

	if (len != sizeof(*s))
		return -EINVAL;
	s = alloc_uninit(len);
	if (!s)
		return -ENOMEM;
	memcpy(s, data, len);
	saved_shape(dsa, &shape);
	if (!memcmp(s, &shape, offsetof(struct saved, state)) &&
	    (s->state == DSA_DISABLED || s->state == DSA_ENABLED || s->state == DSA_HALTED)) {
		dsa_lock(dsa);
		rc = state_load(dsa, s);
		dsa_unlock(dsa);
	}
	free(s);
	return rc;
}
