/* SPDX-License-Identifier: MIT */
/*
 * Fault queues as objects, and the two ways into them: requests arriving, and
 * attachments that end with requests still open.
 *
 * Arrivals need the list's lock only, so a program that is slow to take its
 * requests does not hold up a device.
 */
#include "fault/fault.h"

#include <iommufd/uapi/iommufd.h>

#include "core/ucmd.h"
#include "iommu/iopf.h"

#define COOKIE_MAX (UINT32_MAX - 1) /* a walk can count past it */

/* ---- requests ---- */

int fault_iopf_handler(struct iopf_group *group)
{
	struct iommufd_attach_handle *handle =
		container_of(group->attach_handle, struct iommufd_attach_handle, handle);
	struct iommufd_eventq *eventq = &handle->fault->eventq;

	iopf_group_dequeue(group);
	mutex_lock(&eventq->lock);
	cds_list_add_tail(&to_iopf_entry(group)->node, &eventq->deliver);
	eventq_added(eventq);
	mutex_unlock(&eventq->lock);
	return 0;
}

/* ---- automatic answers ---- */

/* Which groups are meant; NULL: of any. */
struct fault_filter {
	const struct iommu_attach_handle *handle;
	const struct device *dev;
};

static bool filter_matches(const struct fault_filter *filter, const struct iopf_entry *entry)
{
	return (!filter->handle || entry->group.attach_handle == filter->handle) &&
	       (!filter->dev || iopf_group_device(&entry->group) == filter->dev);
}

static void unread_take(struct iommufd_eventq *eventq, const struct fault_filter *filter,
			struct cds_list_head *taken)
{
	struct iopf_entry *entry, *tmp;

	mutex_lock(&eventq->lock);
	cds_list_for_each_entry_safe(entry, tmp, &eventq->deliver, node) {
		if (filter_matches(filter, entry))
			cds_list_move(&entry->node, taken);
	}
	eventq_changed(eventq);
	mutex_unlock(&eventq->lock);
}

static void awaiting_take(struct iommufd_fault *fault, const struct fault_filter *filter,
			  struct cds_list_head *taken)
{
	void *value;

	mutex_assert_held(&fault->mutex);
	for (u32 cookie = 1; idtable_next(&fault->awaiting, &cookie, &value); cookie++) {
		struct iopf_entry *entry = value;

		if (filter_matches(filter, entry)) {
			idtable_release(&fault->awaiting, cookie);
			cds_list_add(&entry->node, taken);
		}
	}
}

static void fault_answer(struct iommufd_fault *fault, const struct fault_filter *filter)
{
	struct iopf_entry *entry, *tmp;
	CDS_LIST_HEAD(taken);

	/* A group on its way through read() or write() comes out of it first. */
	mutex_lock(&fault->mutex);
	unread_take(&fault->eventq, filter, &taken);
	awaiting_take(fault, filter, &taken);
	cds_list_for_each_entry_safe(entry, tmp, &taken, node) {
		iopf_group_response(&entry->group, IOMMU_PAGE_RESP_INVALID);
		iopf_free_group(&entry->group);
	}
	mutex_unlock(&fault->mutex);
}

void fault_answer_handle(struct iommufd_attach_handle *handle)
{
	const struct fault_filter filter = { .handle = &handle->handle };

	if (handle->fault)
		fault_answer(handle->fault, &filter);
}

void fault_answer_device(struct iommufd_attach_handle *handle, struct device *dev)
{
	const struct fault_filter filter = { .handle = &handle->handle, .dev = dev };

	if (handle->fault)
		fault_answer(handle->fault, &filter);
}

/* ---- the object ---- */

int fault_hold_by_id(struct iommufd_ctx *ctx, u32 id, struct iommufd_fault **ret_fault)
{
	struct iommufd_object *obj;
	int rc;

	rc = object_get(ctx, id, IOMMUFD_OBJ_FAULT, &obj);
	if (rc)
		return rc;
	object_hold(obj);
	object_put(ctx, obj);
	*ret_fault = to_fault(obj);
	return 0;
}

void fault_destroy(struct iommufd_object *obj)
{
	const struct fault_filter all = { 0 };
	struct iommufd_fault *fault = to_fault(obj);

	fault_answer(fault, &all);
	idtable_clear(&fault->awaiting);
	mutex_destroy(&fault->mutex);
	eventq_fini(&fault->eventq);
}

const char *fault_check(struct iommufd_object *obj, char *buf, size_t size)
{
	struct iommufd_fault *fault = to_fault(obj);
	const char *wrong;
	void *value;

	mutex_lock(&fault->mutex);
	wrong = eventq_check(&fault->eventq);
	if (!wrong)
		wrong = idtable_check(&fault->awaiting);
	for (u32 cookie = 1; !wrong && idtable_next(&fault->awaiting, &cookie, &value); cookie++) {
		const struct iopf_entry *entry = value;

		if (entry->cookie != cookie)
			wrong = "a group is kept under another cookie than its own";
		else if (entry->answered)
			wrong = "a group that was answered awaits an answer";
	}
	mutex_unlock(&fault->mutex);
	return wrong;
}

int iommufd_fault_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_fault_alloc *cmd = ucmd->cmd;
	struct iommufd_fault *fault;
	struct iommufd_object *obj;
	int fd, rc;

	if (cmd->flags)
		return -EOPNOTSUPP;
	rc = object_alloc(ucmd->ctx, sizeof(*fault), IOMMUFD_OBJ_FAULT, &obj);
	if (rc)
		return rc;
	fault = to_fault(obj);
	eventq_init(&fault->eventq, ucmd->ctx);
	mutex_init(&fault->mutex);
	idtable_init(&fault->awaiting, 1, COOKIE_MAX);
	ucmd->new_obj = obj;
	rc = eventq_open(&fault->eventq, &fault_file_ops, &fd);
	if (rc)
		return rc;
	cmd->out_fault_id = obj->id;
	cmd->out_fault_fd = fd;
	rc = ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		eventq_cancel(&fault->eventq, fd);
	else
		eventq_install(&fault->eventq, fd);
	return rc;
}
