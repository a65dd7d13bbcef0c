/* SPDX-License-Identifier: MIT */
/*
 * The driver of the generic IOMMU: what it can do, and moving devices between
 * domains.  Where a device is attached the core knows, and the hardware asks it;
 * what is left to do here is to listen to page requests while a domain takes them.
 */
#include "models/generic/generic.h"

#include <iommufd/dma.h>

#include "base/alloc.h"

static bool generic_capable(struct device *dev, enum iommu_cap cap)
{
	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
	case IOMMU_CAP_ENFORCE_CACHE_COHERENCY:
	case IOMMU_CAP_DIRTY_TRACKING:
	case IOMMU_CAP_PCI_ATS_SUPPORTED:
		return true;
	default:
		return false;
	}
}

static void generic_get_resv_regions(struct device *dev, struct iommu_resv_list *list)
{
	iommu_add_resv_region(list, GENERIC_MSI_START, GENERIC_MSI_LENGTH, IOMMU_WRITE,
			      IOMMU_RESV_MSI);
}

/* ---- devices ---- */

/* The device's node; whoever calls keeps the device from going. */
static struct generic_dev *generic_dev_find(struct device *dev)
{
	struct generic_iommu *iommu = to_generic_iommu(dev->iommu_dev);
	struct generic_dev *gdev, *found = NULL;

	mutex_lock(&iommu->lock);
	cds_list_for_each_entry (gdev, &iommu->devs, node) {
		if (gdev->dev == dev) {
			found = gdev;
			break;
		}
	}
	mutex_unlock(&iommu->lock);
	return found;
}

/* Who calls iommu_probe_device() has set which IOMMU, as firmware would say it. */
static struct iommu_device *generic_probe_device(struct device *dev)
{
	struct generic_iommu *iommu = to_generic_iommu(dev->iommu_dev);
	struct generic_dev *gdev;

	gdev = zalloc(sizeof(*gdev));
	if (!gdev)
		return ERR_PTR(-ENOMEM);
	gdev->dev = dev;
	mutex_lock(&iommu->lock);
	cds_list_add_tail(&gdev->node, &iommu->devs);
	mutex_unlock(&iommu->lock);
	return &iommu->iommu_dev;
}

static void generic_release_device(struct device *dev)
{
	struct generic_iommu *iommu = to_generic_iommu(dev->iommu_dev);
	struct generic_dev *gdev = generic_dev_find(dev);

	mutex_lock(&iommu->lock);
	cds_list_del(&gdev->node);
	mutex_unlock(&iommu->lock);
	free(gdev);
}

/* ---- attaching ---- */

static int generic_move(struct device *dev, struct iommu_domain *to, struct iommu_domain *from)
{
	struct generic_iommu *iommu = to_generic_iommu(dev->iommu_dev);
	struct generic_dev *gdev = generic_dev_find(dev);
	int rc;

	if (to->iopf_handler && !gdev->fault_domains) {
		rc = iopf_queue_add_device(iommu->iopf_queue, dev);
		if (rc)
			return rc;
	}
	gdev->fault_domains += !!to->iopf_handler;
	if (from && from->iopf_handler && !--gdev->fault_domains)
		iopf_queue_remove_device(iommu->iopf_queue, dev);
	return 0;
}

int generic_attach_dev(struct iommu_domain *domain, struct device *dev, struct iommu_domain *old)
{
	return generic_move(dev, domain, old);
}

int generic_set_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			  struct iommu_domain *old)
{
	return generic_move(dev, domain, old);
}

static const struct iommu_domain_ops generic_blocked_ops = {
	.attach_dev = generic_attach_dev,
	.set_dev_pasid = generic_set_dev_pasid,
};

/* Never written: one blocked domain serves all devices of all systems. */
static struct iommu_domain generic_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &generic_blocked_ops,
	.owner = &generic_iommu_ops,
};

/* ---- page requests ---- */

/* Nothing of the hardware waits for an answer: it is the device that does. */
static void generic_page_response(struct device *dev, struct iopf_fault *fault,
				  struct iommu_page_response *response)
{
	iommufd_dma_page_response(dev, response);
}

const struct iommu_ops generic_iommu_ops = {
	.capable = generic_capable,
	.domain_alloc_paging_flags = generic_domain_alloc,
	.get_resv_regions = generic_get_resv_regions,
	.page_response = generic_page_response,
	.probe_device = generic_probe_device,
	.release_device = generic_release_device,
	.device_group = generic_device_group,
	.default_domain = &generic_blocked_domain,
	.blocked_domain = &generic_blocked_domain,
};
