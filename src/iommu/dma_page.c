/* SPDX-License-Identifier: MIT */
/*
 * Page requests of device models: the request goes the way every page request
 * goes, and the answer, which the model gets for its hardware, wakes
 * who asked.  A request has one of the device's group numbers until it is answered,
 * also when nobody waits for that any more.
 */
#include <time.h>

#include "base/alloc.h"
#include "iommu/iotlb.h"

enum waiter_state {
	WAITER_FREE,
	WAITER_WAITS,
	WAITER_LEFT, /* nobody is there, the number is still in use */
	WAITER_ANSWERED,
};

struct dma_waiter {
	enum waiter_state state;
	ioasid_t pasid;
	u32 code;
};

static int waiter_take(struct iommu_dma *dma, ioasid_t pasid, u32 *ret_grpid)
{
	int rc = -EBUSY;

	mutex_lock(&dma->page_lock);
	if (!dma->waiters) {
		dma->waiters = zalloc_array(DMA_PAGE_REQUESTS, sizeof(*dma->waiters));
		if (!dma->waiters)
			rc = -ENOMEM;
	}
	for (u32 i = 0; dma->waiters && rc && i < DMA_PAGE_REQUESTS; i++) {
		if (dma->waiters[i].state != WAITER_FREE)
			continue;
		dma->waiters[i].state = WAITER_WAITS;
		dma->waiters[i].pasid = pasid;
		*ret_grpid = i;
		rc = 0;
	}
	mutex_unlock(&dma->page_lock);
	return rc;
}

static struct timespec deadline_after(unsigned int timeout_ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += timeout_ms / 1000;
	t.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	return t;
}

static int code_errno(u32 code)
{
	switch (code) {
	case IOMMU_PAGE_RESP_SUCCESS:
		return 0;
	case IOMMU_PAGE_RESP_INVALID:
		return -EACCES;
	default:
		return -EIO;
	}
}

static int waiter_wait(struct iommu_dma *dma, u32 grpid, unsigned int timeout_ms)
{
	struct timespec deadline = deadline_after(timeout_ms);
	struct dma_waiter *waiter;
	int rc = 0;

	mutex_lock(&dma->page_lock);
	waiter = &dma->waiters[grpid];
	while (waiter->state == WAITER_WAITS && !rc)
		rc = timeout_ms ?
			     mutex_wait_until(&dma->page_lock, &dma->page_answered, &deadline) :
			     -ETIMEDOUT;
	if (waiter->state == WAITER_ANSWERED) {
		rc = code_errno(waiter->code);
		waiter->state = WAITER_FREE;
	} else {
		if (waiter->state == WAITER_LEFT)
			rc = -ECANCELED;
		waiter->state = WAITER_LEFT;
	}
	mutex_unlock(&dma->page_lock);
	return rc;
}

/* Nobody will answer. */
static void waiter_drop(struct iommu_dma *dma, u32 grpid)
{
	mutex_lock(&dma->page_lock);
	dma->waiters[grpid].state = WAITER_FREE;
	mutex_unlock(&dma->page_lock);
}

static u32 access_perm(unsigned int access)
{
	return (access & IOMMU_READ ? IOMMU_FAULT_PERM_READ : 0) |
	       (access & IOMMU_WRITE ? IOMMU_FAULT_PERM_WRITE : 0);
}

int iommufd_dma_page_request(struct device *dev, ioasid_t pasid, u64 iova, unsigned int access,
			     unsigned int timeout_ms)
{
	struct iopf_fault evt = {
		.fault = {
			.type = IOMMU_FAULT_PAGE_REQ,
			.prm = {
				.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE,
				.pasid = pasid,
				.perm = access_perm(access),
				.addr = iova & PAGE_MASK,
			},
		},
	};
	struct iommu_dma *dma = dev->dma;
	u32 grpid;
	int rc;

	if (!dma || !dev->iommu_group)
		return -ENODEV;
	rc = waiter_take(dma, pasid, &grpid);
	if (rc)
		return rc;
	evt.fault.prm.grpid = grpid;
	if (pasid != IOMMU_NO_PASID)
		evt.fault.prm.flags |= IOMMU_FAULT_PAGE_REQUEST_PASID_VALID;
	rc = iommu_report_device_fault(dev, &evt);
	if (rc) {
		/* Answered INVALID already, where that can be. */
		waiter_drop(dma, grpid);
		return rc == -EINVAL ? -EACCES : rc;
	}
	return waiter_wait(dma, grpid, timeout_ms);
}

void iommufd_dma_page_abandon(struct device *dev)
{
	struct iommu_dma *dma = dev->dma;

	if (!dma)
		return;
	mutex_lock(&dma->page_lock);
	for (u32 i = 0; dma->waiters && i < DMA_PAGE_REQUESTS; i++)
		if (dma->waiters[i].state == WAITER_WAITS)
			dma->waiters[i].state = WAITER_LEFT;
	pthread_cond_broadcast(&dma->page_answered);
	mutex_unlock(&dma->page_lock);
}

void iommufd_dma_page_response(struct device *dev, const struct iommu_page_response *response)
{
	struct iommu_dma *dma = dev->dma;
	struct dma_waiter *waiter;

	if (!dma || response->grpid >= DMA_PAGE_REQUESTS)
		return;
	mutex_lock(&dma->page_lock);
	waiter = dma->waiters ? &dma->waiters[response->grpid] : NULL;
	if (waiter && waiter->pasid == response->pasid) {
		if (waiter->state == WAITER_WAITS) {
			waiter->state = WAITER_ANSWERED;
			waiter->code = response->code;
			pthread_cond_broadcast(&dma->page_answered);
		} else if (waiter->state == WAITER_LEFT) {
			waiter->state = WAITER_FREE;
		}
	}
	mutex_unlock(&dma->page_lock);
}
