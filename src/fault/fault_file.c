/* SPDX-License-Identifier: MIT */
/*
 * The file of a fault queue: read() takes groups of page requests, write()
 * answers them.  Neither blocks.  Both do as much as they can: what went wrong
 * is told only if nothing went right before.
 *
 * Groups are taken whole.  One is removed from the list after the program has
 * all of it, so a fault in its buffer leaves everything as it was.
 */
#include <poll.h>

#include <iommufd/uapi/iommufd.h>

#include "core/ucmd.h"
#include "fault/fault.h"
#include "iommu/iopf.h"

/* ---- reading ---- */

static struct iopf_entry *fault_first(struct iommufd_fault *fault)
{
	struct iommufd_eventq *eventq = &fault->eventq;
	struct iopf_entry *entry = NULL;

	mutex_assert_held(&fault->mutex);
	mutex_lock(&eventq->lock);
	if (!cds_list_empty(&eventq->deliver))
		entry = cds_list_first_entry(&eventq->deliver, struct iopf_entry, node);
	mutex_unlock(&eventq->lock);
	return entry;
}

static int group_copy_out(const struct iopf_entry *entry, u64 ubuf)
{
	const struct iommufd_attach_handle *handle =
		container_of(entry->group.attach_handle, struct iommufd_attach_handle, handle);
	const struct iopf_fault *fault;
	int rc = 0;

	for (fault = entry->group.faults; fault && !rc; fault = fault->next) {
		const struct iommu_fault_page_request *prm = &fault->fault.prm;
		const struct iommu_hwpt_pgfault msg = {
			.flags = prm->flags,
			.dev_id = handle->dev_id,
			.pasid = prm->pasid,
			.grpid = prm->grpid,
			.perm = prm->perm,
			.addr = prm->addr,
			.cookie = entry->cookie,
		};

		rc = copy_to_user(ubuf, &msg, sizeof(msg));
		ubuf += sizeof(msg);
	}
	return rc;
}

/* The first group to the program, and from the list to those that await an answer. */
static int fault_read_group(struct iommufd_fault *fault, struct iopf_entry *entry, u64 ubuf)
{
	struct iommufd_eventq *eventq = &fault->eventq;
	int rc;

	rc = idtable_reserve(&fault->awaiting, &entry->cookie);
	if (rc)
		return rc;
	rc = group_copy_out(entry, ubuf);
	if (rc) {
		idtable_release(&fault->awaiting, entry->cookie);
		return rc;
	}
	mutex_lock(&eventq->lock);
	cds_list_del(&entry->node);
	eventq_changed(eventq);
	mutex_unlock(&eventq->lock);
	idtable_store(&fault->awaiting, entry->cookie, entry);
	return 0;
}

static ssize_t fault_read(struct file *file, u64 ubuf, size_t count)
{
	struct iommufd_fault *fault = to_fault(&eventq_from_file(file)->obj);
	struct iopf_entry *entry;
	size_t done = 0;
	int rc = 0;

	if (count % sizeof(struct iommu_hwpt_pgfault))
		return -ESPIPE;
	mutex_lock(&fault->mutex);
	while (!rc && (entry = fault_first(fault))) {
		size_t size = entry->group.fault_count * sizeof(struct iommu_hwpt_pgfault);

		rc = size > count - done ? -EINVAL : fault_read_group(fault, entry, ubuf + done);
		if (!rc)
			done += size;
	}
	mutex_unlock(&fault->mutex);
	return done ? (ssize_t)done : rc;
}

/* ---- answering ---- */

static int fault_write_response(struct iommufd_fault *fault,
				const struct iommu_hwpt_page_response *response)
{
	struct iopf_entry *entry;

	mutex_assert_held(&fault->mutex);
	static_assert((int)IOMMUFD_PAGE_RESP_SUCCESS == (int)IOMMU_PAGE_RESP_SUCCESS &&
		      (int)IOMMUFD_PAGE_RESP_INVALID == (int)IOMMU_PAGE_RESP_INVALID,
		      "drivers and programs use the same codes");
	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    response->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;
	entry = idtable_load(&fault->awaiting, response->cookie);
	if (!entry)
		return -EINVAL;
	idtable_release(&fault->awaiting, response->cookie);
	iopf_group_response(&entry->group, (enum iommu_page_response_code)response->code);
	iopf_free_group(&entry->group);
	return 0;
}

static ssize_t fault_write(struct file *file, u64 ubuf, size_t count)
{
	struct iommufd_fault *fault = to_fault(&eventq_from_file(file)->obj);
	struct iommu_hwpt_page_response response;
	size_t done = 0;
	int rc = 0;

	if (count % sizeof(response))
		return -ESPIPE;
	mutex_lock(&fault->mutex);
	while (!rc && done < count) {
		rc = copy_from_user(&response, ubuf + done, sizeof(response));
		if (!rc)
			rc = fault_write_response(fault, &response);
		if (!rc)
			done += sizeof(response);
	}
	mutex_unlock(&fault->mutex);
	return done ? (ssize_t)done : rc;
}

/* There is always room for an answer. */
static unsigned int fault_poll(struct file *file)
{
	return POLLOUT | eventq_poll(file);
}

const struct file_ops fault_file_ops = {
	.name = "[iommufd-pgfault]",
	.read = fault_read,
	.write = fault_write,
	.poll = fault_poll,
	.release = eventq_release,
};
