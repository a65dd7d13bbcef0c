/* SPDX-License-Identifier: MIT */
/*
 * DEVICE_FEATURE: the rules that all features share, and the small ones.
 */
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "mem/task.h"
#include "vfio/vfio_priv.h"

#define FEATURE_HEAD offsetof(struct vfio_device_feature, data)
#define FEATURE_OPS  (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET)

/* Return: 1 go on; 0 it was only asked whether one could; -EINVAL. */
int vfio_feature_check(u32 flags, size_t len, u32 supported, size_t min)
{
	if (flags & FEATURE_OPS & ~supported)
		return -EINVAL;
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	return !(flags & FEATURE_OPS) || len < min ? -EINVAL : 1;
}

/* ---- the secret of a PF and its VFs ---- */

static bool has_token(const struct vfio_device *vdev)
{
	return vdev->pdev->desc->sriov_vfs && !vdev->pdev->physfn;
}

void vfio_token_init(struct vfio_device *vdev)
{
	/* Nobody knows it until who drives the PF has set one. */
	if (getrandom(vdev->token, sizeof(vdev->token), 0) != (ssize_t)sizeof(vdev->token))
		memset(vdev->token, 0xff, sizeof(vdev->token));
}

static int vf_token_check(struct vfio *vfio, const struct pci_dev *physfn, const u8 *uuid)
	__must_hold(&vfio->lock)
{
	const struct vfio_device *pf = vfio_device_find(vfio, physfn);

	if (!pf)
		return uuid ? -EINVAL : 0;
	return uuid && !memcmp(uuid, pf->token, VFIO_UUID_SIZE) ? 0 : -EACCES;
}

/* Is a VF of @pf open? */
static bool vfs_used(struct vfio_device *pf) __must_hold(&pf->vfio->lock)
{
	struct vfio_device *vdev;

	cds_list_for_each_entry (vdev, &pf->vfio->devices, node) {
		if (vdev->pdev->physfn == pf->pdev && vdev->used)
			return true;
	}
	return false;
}

static int pf_token_check(struct vfio_device *pf, const u8 *uuid) __must_hold(&pf->vfio->lock)
{
	if (vfs_used(pf))
		return uuid && !memcmp(uuid, pf->token, VFIO_UUID_SIZE) ? 0 : -EACCES;
	if (uuid)
		memcpy(pf->token, uuid, VFIO_UUID_SIZE);
	return 0;
}

int vfio_token_check(struct vfio_device *vdev, const u8 *uuid)
{
	int rc;

	mutex_lock(&vdev->vfio->lock);
	if (vdev->pdev->physfn)
		rc = vf_token_check(vdev->vfio, vdev->pdev->physfn, uuid);
	else if (has_token(vdev))
		rc = pf_token_check(vdev, uuid);
	else
		rc = uuid ? -EINVAL : 0;
	mutex_unlock(&vdev->vfio->lock);
	return rc;
}

static int token_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len)
{
	u8 uuid[VFIO_UUID_SIZE];
	int rc;

	if (!has_token(vdev))
		return -ENOTTY;
	rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_SET, sizeof(uuid));
	if (rc != 1)
		return rc;
	rc = copy_from_user(uuid, arg, sizeof(uuid));
	if (rc)
		return rc;
	mutex_lock(&vdev->vfio->lock);
	memcpy(vdev->token, uuid, sizeof(uuid));
	mutex_unlock(&vdev->vfio->lock);
	return 0;
}

/* ---- low power ---- */

/* The device sleeps until it is touched; @wakeup is told then, or -1. */
static int low_power_enter(struct vfio_device *vdev, int wakeup)
{
	int rc = 0;

	mutex_lock(&vdev->set->lock);
	if (vdev->low_power) {
		rc = -EINVAL;
	} else {
		vdev->wakeup = wakeup;
		atomic_store(&vdev->low_power, true);
	}
	mutex_unlock(&vdev->set->lock);
	return rc;
}

/* Return: the eventfd of who wants to know, the caller's now, or -1. */
static int low_power_leave(struct vfio_device *vdev)
{
	int wakeup;

	mutex_lock(&vdev->set->lock);
	wakeup = vdev->wakeup;
	vdev->wakeup = -1;
	atomic_store(&vdev->low_power, false);
	mutex_unlock(&vdev->set->lock);
	return wakeup;
}

void vfio_wake(struct vfio_device *vdev)
{
	int wakeup;

	if (likely(!atomic_load_explicit(&vdev->low_power, memory_order_relaxed)))
		return;
	wakeup = low_power_leave(vdev);
	if (wakeup < 0)
		return;
	raiser_raise(&vdev->vfio->raiser, wakeup);
	close(wakeup);
}

void vfio_low_power_end(struct vfio_device *vdev)
{
	if (vdev->wakeup >= 0)
		close(vdev->wakeup);
	vdev->wakeup = -1;
	atomic_store(&vdev->low_power, false);
}

static int low_power_entry_feature(struct vfio_device *vdev, u32 flags, size_t len)
{
	int rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_SET, 0);

	return rc == 1 ? low_power_enter(vdev, -1) : rc;
}

static int low_power_wakeup_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len)
{
	struct vfio_device_low_power_entry_with_wakeup entry;
	int rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_SET, sizeof(entry));
	int fd;

	if (rc != 1)
		return rc;
	rc = copy_from_user(&entry, arg, sizeof(entry));
	if (rc)
		return rc;
	if (entry.wakeup_eventfd < 0 || entry.reserved)
		return -EINVAL;
	fd = eventfd_take(entry.wakeup_eventfd);
	if (fd < 0)
		return fd;
	rc = low_power_enter(vdev, fd);
	if (rc)
		close(fd);
	return rc;
}

static int low_power_exit_feature(struct vfio_device *vdev, u32 flags, size_t len)
{
	int rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_SET, 0);
	int wakeup;

	if (rc != 1)
		return rc;
	wakeup = low_power_leave(vdev);
	if (wakeup >= 0)
		close(wakeup);
	return 0;
}

/* ---- the command ---- */

static int feature_run(struct vfio_device *vdev, u32 flags, u64 arg, size_t len)
{
	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_PCI_VF_TOKEN:
		return token_feature(vdev, flags, arg, len);
	case VFIO_DEVICE_FEATURE_MIGRATION:
		return vfio_mig_feature(vdev, flags, arg, len);
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		return vfio_mig_state_feature(vdev, flags, arg, len);
	case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
		return vfio_mig_size_feature(vdev, flags, arg, len);
	case VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2:
		return vfio_mig_precopy_feature(vdev, flags, arg, len);
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
		return low_power_entry_feature(vdev, flags, len);
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
		return low_power_wakeup_feature(vdev, flags, arg, len);
	case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT:
		return low_power_exit_feature(vdev, flags, len);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
		return vfio_dma_log_start_feature(vdev, flags, arg, len);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
		return vfio_dma_log_stop_feature(vdev, flags, len);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
		return vfio_dma_log_report_feature(vdev, flags, arg, len);
	case VFIO_DEVICE_FEATURE_DMA_BUF:
		return vfio_export_feature(vdev, flags, arg, len);
	default:
		return -ENOTTY;
	}
}

int vfio_feature(struct vfio_device *vdev, u64 arg)
{
	struct vfio_device_feature feature;
	int rc = copy_from_user(&feature, arg, FEATURE_HEAD);

	if (rc)
		return rc;
	if (feature.argsz < FEATURE_HEAD)
		return -EINVAL;
	if (feature.flags & ~(VFIO_DEVICE_FEATURE_MASK | FEATURE_OPS | VFIO_DEVICE_FEATURE_PROBE))
		return -EINVAL;
	if (!(feature.flags & VFIO_DEVICE_FEATURE_PROBE) &&
	    (feature.flags & FEATURE_OPS) == FEATURE_OPS)
		return -EINVAL;
	return feature_run(vdev, feature.flags, arg + FEATURE_HEAD, feature.argsz - FEATURE_HEAD);
}
