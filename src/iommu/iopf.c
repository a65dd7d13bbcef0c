/* SPDX-License-Identifier: MIT */
/*
 * Page requests on their way from a device to whoever it is attached to.
 *
 *	report --+-- not the last page: parked with the device
 *	         +-- last page: group --> iopf_handler() --> response, free
 *
 * A group is answered once: by who took it over, or because nobody did.  The
 * right to answer is claimed under param->lock and used without it, so that
 * page_response() may report again at once.
 *
 * Locks, downward: group->fault_lock (the way to the handler), queue->lock,
 * param->lock.
 */
#include "iommu/iopf.h"

#include <string.h>

#include "base/alloc.h"
#include "iommu/group.h"

/**
 * struct iopf_queue - a row of devices
 * @params: struct iommu_fault_param
 * @name: for who looks at a core dump
 */
struct iopf_queue {
	struct mutex lock;
	struct cds_list_head params __guarded_by(&lock);
	char name[];
};

/**
 * struct iommu_fault_param - a device that may report
 * @refs: one for being in the queue, one per group that is not freed
 * @dev, @queue: immutable; @queue is not to be followed after removal
 * @node: in queue->params, under queue->lock
 * @parked: requests whose group is not complete, in order of arrival
 * @pending: struct iopf_entry neither answered nor taken over
 *
 * dev->fault_param is it between adding and removing, under the group's fault_lock.
 */
struct iommu_fault_param {
	_Atomic u32 refs;
	struct device *dev;
	struct iopf_queue *queue;
	struct cds_list_head node;
	struct mutex lock;
	struct iopf_fault *parked __guarded_by(&lock);
	struct cds_list_head pending __guarded_by(&lock);
};

static struct iommu_fault_param *param_get(struct iommu_fault_param *param)
{
	atomic_fetch_add_explicit(&param->refs, 1, memory_order_relaxed);
	return param;
}

static void param_put(struct iommu_fault_param *param)
{
	if (atomic_fetch_sub_explicit(&param->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(!param->parked && cds_list_empty(&param->pending));
	mutex_destroy(&param->lock);
	free(param);
}

static void faults_free(struct iopf_fault *fault, const struct iopf_fault *until)
{
	struct iopf_fault *next;

	for (; fault != until; fault = next) {
		next = fault->next;
		free(fault);
	}
}

/* Move what is parked of the group @grpid to the chain at @to; returns its end. */
static struct iopf_fault **param_take_parked(struct iommu_fault_param *param, u32 grpid,
					     struct iopf_fault **to, size_t *count)
	__must_hold(&param->lock)
{
	struct iopf_fault **at = &param->parked;

	*count = 0;
	while (*at) {
		struct iopf_fault *fault = *at;

		if (fault->fault.prm.grpid != grpid) {
			at = &fault->next;
			continue;
		}
		*at = fault->next;
		*to = fault;
		to = &fault->next;
		++*count;
	}
	*to = NULL;
	return to;
}

/* Its last page was refused: what came before it must not join a later group of that number. */
static void param_drop_parked(struct iommu_fault_param *param, u32 grpid)
{
	struct iopf_fault *chain;
	size_t count;

	mutex_lock(&param->lock);
	param_take_parked(param, grpid, &chain, &count);
	mutex_unlock(&param->lock);
	faults_free(chain, NULL);
}

static void param_drop_all_parked(struct iommu_fault_param *param)
{
	struct iopf_fault *chain;

	mutex_lock(&param->lock);
	chain = param->parked;
	param->parked = NULL;
	mutex_unlock(&param->lock);
	faults_free(chain, NULL);
}

struct device *iopf_group_device(const struct iopf_group *group)
{
	return container_of(group, struct iopf_entry, group)->param->dev;
}

/* ---- answers ---- */

static void device_respond(struct device *dev, const struct iopf_fault *last,
			   enum iommu_page_response_code code)
{
	/* A copy: the group may be freed by then, and the driver may write to it. */
	struct iopf_fault fault = { .fault = last->fault };
	struct iommu_page_response response = {
		.pasid = last->fault.prm.pasid,
		.grpid = last->fault.prm.grpid,
		.code = code,
	};

	if (dev->ops->page_response)
		dev->ops->page_response(dev, &fault, &response);
}

/* May the caller answer it?  At most one is told so. */
static bool entry_claim(struct iommu_fault_param *param, struct iopf_entry *entry)
	__must_hold(&param->lock)
{
	if (entry->answered)
		return false;
	entry->answered = true;
	cds_list_del_init(&entry->pending);
	return true;
}

void iopf_group_response(struct iopf_group *group, enum iommu_page_response_code status)
{
	struct iopf_entry *entry = to_iopf_entry(group);
	struct iommu_fault_param *param = entry->param;
	bool ours;

	mutex_lock(&param->lock);
	ours = entry_claim(param, entry);
	mutex_unlock(&param->lock);
	if (ours)
		device_respond(param->dev, &entry->last, status);
}

void iopf_group_dequeue(struct iopf_group *group)
{
	struct iopf_entry *entry = to_iopf_entry(group);

	mutex_lock(&entry->param->lock);
	cds_list_del_init(&entry->pending);
	mutex_unlock(&entry->param->lock);
}

void iopf_free_group(struct iopf_group *group)
{
	struct iopf_entry *entry = to_iopf_entry(group);

	iopf_group_dequeue(group);
	faults_free(group->faults, &entry->last);
	param_put(entry->param);
	free(entry);
}

/* ---- requests ---- */

static struct iommu_attach_handle *group_pasid_handle(struct iommu_group *group, ioasid_t pasid)
	__must_hold(&group->fault_lock)
{
	struct itree_node *node = itree_first(&group->pasids, pasid, pasid);

	return node ? container_of(node, struct iommu_attach_handle, node) : NULL;
}

/* Who a request of @dev is for; NULL: nobody takes it. */
static struct iommu_attach_handle *fault_target(struct iommu_group *group, struct device *dev,
						const struct iommu_fault_page_request *prm)
	__must_hold(&group->fault_lock)
{
	struct iommu_attach_handle *handle = group->handle;

	if ((prm->flags & IOMMU_FAULT_PAGE_REQUEST_PASID_VALID) && prm->pasid != IOMMU_NO_PASID) {
		handle = group_pasid_handle(group, prm->pasid);
		/* A PASID only the guest knows, in a table of its own behind the RID's domain. */
		if (!handle && dev->ops->user_pasid_table && group->handle &&
		    group->handle->domain->type == IOMMU_DOMAIN_NESTED)
			handle = group->handle;
	}
	return handle && handle->domain->iopf_handler ? handle : NULL;
}

static int fault_park(struct iommu_fault_param *param, const struct iopf_fault *evt)
{
	struct iopf_fault *fault, **end;

	fault = zalloc(sizeof(*fault));
	if (!fault)
		return -ENOMEM;
	fault->fault = evt->fault;
	mutex_lock(&param->lock);
	for (end = &param->parked; *end; end = &(*end)->next)
		;
	*end = fault;
	mutex_unlock(&param->lock);
	return 0;
}

static struct iopf_entry *entry_alloc(struct iommu_fault_param *param,
				      struct iommu_attach_handle *handle,
				      const struct iopf_fault *evt)
{
	struct iopf_entry *entry;
	struct iopf_fault **end;

	entry = zalloc(sizeof(*entry));
	if (!entry)
		return NULL;
	entry->last.fault = evt->fault;
	entry->param = param_get(param);
	entry->group.last = &entry->last;
	entry->group.attach_handle = handle;
	mutex_lock(&param->lock);
	end = param_take_parked(param, evt->fault.prm.grpid, &entry->group.faults,
				&entry->group.fault_count);
	*end = &entry->last;
	entry->group.fault_count++;
	cds_list_add_tail(&entry->pending, &param->pending);
	mutex_unlock(&param->lock);
	return entry;
}

/* What became of a request. */
enum fault_fate {
	FAULT_ACCEPTED,
	FAULT_NO_TARGET,
	FAULT_NO_MEMORY,
	FAULT_REFUSED, /* by the handler */
};

/* @ret_entry: set if the group was refused, to be answered without the lock */
static enum fault_fate fault_route(struct iommu_group *group, struct device *dev,
				   const struct iopf_fault *evt, struct iopf_entry **ret_entry)
	__must_hold(&group->fault_lock)
{
	const struct iommu_fault_page_request *prm = &evt->fault.prm;
	struct iommu_attach_handle *handle = fault_target(group, dev, prm);
	struct iommu_fault_param *param = dev->fault_param;
	bool last = prm->flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	struct iopf_entry *entry;

	if (!handle || !param) {
		if (param && last)
			param_drop_parked(param, prm->grpid);
		return FAULT_NO_TARGET;
	}
	if (!last)
		return fault_park(param, evt) ? FAULT_NO_MEMORY : FAULT_ACCEPTED;
	entry = entry_alloc(param, handle, evt);
	if (!entry) {
		param_drop_parked(param, prm->grpid);
		return FAULT_NO_MEMORY;
	}
	if (!handle->domain->iopf_handler(&entry->group))
		return FAULT_ACCEPTED;
	*ret_entry = entry;
	return FAULT_REFUSED;
}

int iommu_report_device_fault(struct device *dev, struct iopf_fault *evt)
{
	bool last = evt->fault.prm.flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	struct iommu_group *group = dev->iommu_group;
	struct iopf_entry *entry = NULL;
	enum fault_fate fate;

	if (!group || evt->fault.type != IOMMU_FAULT_PAGE_REQ)
		return -EINVAL;
	mutex_lock(&group->fault_lock);
	fate = fault_route(group, dev, evt, &entry);
	mutex_unlock(&group->fault_lock);

	switch (fate) {
	case FAULT_NO_TARGET:
		if (last)
			device_respond(dev, evt, IOMMU_PAGE_RESP_INVALID);
		return -EINVAL;
	case FAULT_NO_MEMORY:
		if (!last)
			return -ENOMEM;
		device_respond(dev, evt, IOMMU_PAGE_RESP_FAILURE);
		return 0;
	case FAULT_REFUSED:
		iopf_group_response(&entry->group, IOMMU_PAGE_RESP_FAILURE);
		iopf_free_group(&entry->group);
		return 0;
	case FAULT_ACCEPTED:
		break;
	}
	return 0;
}

/* ---- queues ---- */

struct iopf_queue *iopf_queue_alloc(const char *name)
{
	size_t size = strlen(name) + 1;
	struct iopf_queue *queue;

	queue = zalloc(sizeof(*queue) + size);
	if (!queue)
		return NULL;
	mutex_init(&queue->lock);
	CDS_INIT_LIST_HEAD(&queue->params);
	memcpy(queue->name, name, size);
	return queue;
}

static struct device *queue_first(struct iopf_queue *queue)
{
	struct device *dev = NULL;

	mutex_lock(&queue->lock);
	if (!cds_list_empty(&queue->params))
		dev = cds_list_first_entry(&queue->params, struct iommu_fault_param, node)->dev;
	mutex_unlock(&queue->lock);
	return dev;
}

void iopf_queue_free(struct iopf_queue *queue)
{
	struct device *dev;

	if (!queue)
		return;
	while ((dev = queue_first(queue)))
		iopf_queue_remove_device(queue, dev);
	mutex_destroy(&queue->lock);
	free(queue);
}

int iopf_queue_add_device(struct iopf_queue *queue, struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;
	struct iommu_fault_param *param;
	int rc = 0;

	if (!group || !dev->ops->page_response)
		return -ENODEV;
	param = zalloc(sizeof(*param));
	if (!param)
		return -ENOMEM;
	atomic_init(&param->refs, 1);
	param->dev = dev;
	param->queue = queue;
	mutex_init(&param->lock);
	CDS_INIT_LIST_HEAD(&param->pending);
	mutex_lock(&group->fault_lock);
	if (dev->fault_param) {
		rc = -EBUSY;
	} else {
		mutex_lock(&queue->lock);
		cds_list_add_tail(&param->node, &queue->params);
		mutex_unlock(&queue->lock);
		dev->fault_param = param;
	}
	mutex_unlock(&group->fault_lock);
	if (rc)
		param_put(param);
	return rc;
}

/* The next group nobody will answer; false if there is none. */
static bool param_claim_next(struct iommu_fault_param *param, struct iopf_fault *ret_last)
{
	struct iopf_entry *entry;
	bool found;

	mutex_lock(&param->lock);
	found = !cds_list_empty(&param->pending);
	if (found) {
		entry = cds_list_first_entry(&param->pending, struct iopf_entry, pending);
		*ret_last = entry->last;
		entry_claim(param, entry);
	}
	mutex_unlock(&param->lock);
	return found;
}

void iopf_queue_remove_device(struct iopf_queue *queue, struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;
	struct iommu_fault_param *param = NULL;
	struct iopf_fault last;

	if (!group)
		return;
	mutex_lock(&group->fault_lock);
	if (dev->fault_param && dev->fault_param->queue == queue) {
		param = dev->fault_param;
		dev->fault_param = NULL;
		mutex_lock(&queue->lock);
		cds_list_del(&param->node);
		mutex_unlock(&queue->lock);
	}
	mutex_unlock(&group->fault_lock);
	if (!param)
		return;
	param_drop_all_parked(param);
	while (param_claim_next(param, &last))
		device_respond(dev, &last, IOMMU_PAGE_RESP_INVALID);
	param_put(param);
}

int iopf_queue_flush_dev(struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;
	bool found;

	if (!group)
		return -ENODEV;
	/* A report holds the lock until the handler has it. */
	mutex_lock(&group->fault_lock);
	found = dev->fault_param;
	mutex_unlock(&group->fault_lock);
	return found ? 0 : -ENODEV;
}

int iopf_queue_discard_partial(struct iopf_queue *queue)
{
	struct iommu_fault_param *param;

	if (!queue)
		return -EINVAL;
	mutex_lock(&queue->lock);
	cds_list_for_each_entry(param, &queue->params, node)
		param_drop_all_parked(param);
	mutex_unlock(&queue->lock);
	return 0;
}
