/* SPDX-License-Identifier: MIT */
/*
 * Vevent queues: what a vIOMMU tells its guest, as a stream a program reads.
 *
 * An item is a header with a sequence number, and data.  When the queue is full
 * (or memory is), the event is lost: a header that says so stands at the end
 * of the list until a later event fits and takes its place.  Either way the
 * gap in the sequence tells how many are missing.
 */
#include "viommu/viommu.h"

#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "core/ucmd.h"

#define VEVENTQ_DEPTH_MAX (1U << 19)

static struct iommufd_veventq *to_veventq(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_veventq, common.obj);
}

/* ---- reporting ---- */

static struct vevent *vevent_alloc(const void *data, size_t len)
{
	struct vevent *vevent = alloc_uninit(sizeof(*vevent) + len);

	if (!vevent)
		return NULL;
	vevent->data_len = len;
	vevent->header.flags = 0;
	memcpy(vevent + 1, data, len);
	return vevent;
}

int veventq_add_event(struct iommufd_veventq *veventq, const void *data, size_t len)
{
	struct vevent *vevent = NULL;
	int rc = 0;

	mutex_lock(&veventq->common.lock);
	/* What a reader has put back may be over the depth by one. */
	if (veventq->num_events < veventq->depth) {
		vevent = vevent_alloc(data, len);
		rc = vevent ? 0 : -ENOMEM;
	}
	/* It only ever stands last; wherever it is needed next, it leaves that place. */
	cds_list_del_init(&veventq->lost.node);
	if (vevent)
		veventq->num_events++;
	else
		vevent = &veventq->lost;
	vevent->header.sequence = veventq->sequence;
	veventq->sequence = (veventq->sequence + 1) & INT_MAX;
	cds_list_add_tail(&vevent->node, &veventq->common.deliver);
	eventq_added(&veventq->common);
	mutex_unlock(&veventq->common.lock);
	return rc;
}

/* ---- the file ---- */

/* The oldest item, if it fits in @room; NULL otherwise, and *@ret_rc says why. */
static struct vevent *veventq_take(struct iommufd_veventq *veventq, size_t room,
				   struct vevent *lost, int *ret_rc)
{
	struct cds_list_head *deliver = &veventq->common.deliver;
	struct vevent *vevent = NULL;

	mutex_lock(&veventq->common.lock);
	*ret_rc = 0;
	if (cds_list_empty(deliver))
		goto out;
	vevent = cds_list_first_entry(deliver, struct vevent, node);
	if (sizeof(vevent->header) + vevent->data_len > room) {
		*ret_rc = -EINVAL;
		vevent = NULL;
		goto out;
	}
	cds_list_del_init(&vevent->node);
	if (vevent == &veventq->lost) {
		/* The next loss may need it while we copy. */
		*lost = (struct vevent){ .header = vevent->header };
		vevent = lost;
	} else {
		veventq->num_events--;
	}
	eventq_changed(&veventq->common);
out:
	mutex_unlock(&veventq->common.lock);
	return vevent;
}

static void veventq_put_back(struct iommufd_veventq *veventq, struct vevent *vevent, bool lost)
{
	struct cds_list_head *deliver = &veventq->common.deliver;

	mutex_lock(&veventq->common.lock);
	if (!lost) {
		cds_list_add(&vevent->node, deliver);
		veventq->num_events++;
	} else if (cds_list_empty(deliver)) {
		veventq->lost.header = vevent->header;
		cds_list_add(&veventq->lost.node, deliver);
	} /* else whatever is newer carries the sequence */
	eventq_changed(&veventq->common);
	mutex_unlock(&veventq->common.lock);
}

static ssize_t veventq_read_items(struct iommufd_veventq *veventq, u64 ubuf, size_t count)
{
	struct vevent lost, *vevent;
	size_t done = 0, len;
	int rc;

	while ((vevent = veventq_take(veventq, count - done, &lost, &rc))) {
		len = sizeof(vevent->header) + vevent->data_len;
		rc = copy_to_user(ubuf + done, &vevent->header, len);
		if (rc) {
			veventq_put_back(veventq, vevent, vevent == &lost);
			break;
		}
		if (vevent != &lost)
			free(vevent);
		done += len;
	}
	return done ? (ssize_t)done : rc;
}

static ssize_t veventq_read(struct file *file, u64 ubuf, size_t count)
{
	struct iommufd_veventq *veventq = to_veventq(&eventq_from_file(file)->obj);
	ssize_t rc;

	if (count < sizeof(struct iommufd_vevent_header))
		return -EINVAL;
	mutex_lock(&veventq->read_lock);
	rc = veventq_read_items(veventq, ubuf, count);
	mutex_unlock(&veventq->read_lock);
	return rc;
}

static const struct file_ops veventq_file_ops = {
	.name = "[iommufd-viommu-event]",
	.read = veventq_read,
	.poll = eventq_poll,
	.release = eventq_release,
};

/* ---- coming and going ---- */

static struct iommufd_veventq *veventq_find(struct iommufd_viommu_core *core, u32 type)
	__must_hold_shared(&core->veventqs_rwsem)
{
	struct iommufd_veventq *veventq;

	cds_list_for_each_entry(veventq, &core->veventqs, node)
		if ((u32)veventq->type == type)
			return veventq;
	return NULL;
}

int iommufd_viommu_report_event(struct iommufd_viommu *viommu, enum iommu_veventq_type type,
				void *event_data, size_t data_len)
{
	struct iommufd_viommu_core *core = viommu->vdevs.core;
	struct iommufd_veventq *veventq;
	int rc = -EOPNOTSUPP;

	if (!event_data || !data_len)
		return -EINVAL;
	read_lock(&core->veventqs_rwsem);
	veventq = veventq_find(core, type);
	if (veventq && veventq->open)
		rc = veventq_add_event(veventq, event_data, data_len);
	read_unlock(&core->veventqs_rwsem);
	return rc;
}

void veventq_destroy(struct iommufd_object *obj)
{
	struct iommufd_veventq *veventq = to_veventq(obj);
	struct iommufd_viommu_core *core = veventq->viommu->vdevs.core;
	struct vevent *vevent, *next;

	write_lock(&core->veventqs_rwsem);
	cds_list_del(&veventq->node);
	write_unlock(&core->veventqs_rwsem);
	/* Nobody reports any more, and without the file nobody reads. */
	cds_list_for_each_entry_safe(vevent, next, &veventq->common.deliver, node) {
		cds_list_del(&vevent->node);
		if (vevent != &veventq->lost)
			free(vevent);
	}
	object_release(&veventq->viommu->obj);
	mutex_destroy(&veventq->read_lock);
	eventq_fini(&veventq->common);
}

/* In its vIOMMU's list, so that its type is taken, but not yet open for events. */
static int veventq_alloc(struct iommufd_ctx *ctx, struct iommufd_viommu *viommu,
			 const struct iommu_veventq_alloc *cmd,
			 struct iommufd_veventq **ret_veventq)
{
	struct iommufd_viommu_core *core = viommu->vdevs.core;
	struct iommufd_veventq *veventq;
	struct iommufd_object *obj;
	int rc = -EEXIST;

	write_lock(&core->veventqs_rwsem);
	if (veventq_find(core, cmd->type))
		goto out_unlock;
	rc = object_alloc(ctx, sizeof(*veventq), IOMMUFD_OBJ_VEVENTQ, &obj);
	if (rc)
		goto out_unlock;
	veventq = to_veventq(obj);
	eventq_init(&veventq->common, ctx);
	mutex_init(&veventq->read_lock);
	veventq->type = (enum iommu_veventq_type)cmd->type;
	veventq->depth = cmd->veventq_depth;
	veventq->lost.header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	CDS_INIT_LIST_HEAD(&veventq->lost.node);
	object_hold(&viommu->obj); /* pairs with veventq_destroy() */
	veventq->viommu = viommu;
	cds_list_add_tail(&veventq->node, &core->veventqs);
	*ret_veventq = veventq;
out_unlock:
	write_unlock(&core->veventqs_rwsem);
	return rc;
}

static int veventq_publish(struct iommufd_ucmd *ucmd, struct iommufd_veventq *veventq)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu_core *core = veventq->viommu->vdevs.core;
	int fd, rc;

	rc = eventq_open(&veventq->common, &veventq_file_ops, &fd);
	if (rc)
		return rc;
	cmd->out_veventq_id = veventq->common.obj.id;
	cmd->out_veventq_fd = (u32)fd;
	rc = ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		eventq_cancel(&veventq->common, fd);
		return rc;
	}
	eventq_install(&veventq->common, fd);
	write_lock(&core->veventqs_rwsem);
	veventq->open = true;
	write_unlock(&core->veventqs_rwsem);
	return 0;
}

int iommufd_veventq_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	const struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_veventq *veventq;
	struct iommufd_viommu *viommu;
	int rc;

	if (cmd->flags || cmd->__reserved || cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > VEVENTQ_DEPTH_MAX)
		return -EINVAL;
	rc = viommu_get(ucmd->ctx, cmd->viommu_id, &viommu);
	if (rc)
		return rc;
	rc = veventq_alloc(ucmd->ctx, viommu, cmd, &veventq);
	if (!rc) {
		ucmd->new_obj = &veventq->common.obj;
		rc = veventq_publish(ucmd, veventq);
	}
	object_put(ucmd->ctx, &viommu->obj);
	return rc;
}

const char *veventq_check(struct iommufd_object *obj, char *buf, size_t size)
{
	struct iommufd_veventq *veventq = to_veventq(obj);
	const char *wrong = eventq_check(&veventq->common);
	struct vevent *vevent;
	u32 events = 0;

	mutex_lock(&veventq->common.lock);
	cds_list_for_each_entry(vevent, &veventq->common.deliver, node) {
		if (vevent != &veventq->lost)
			events++;
		else if (vevent->node.next != &veventq->common.deliver)
			wrong = "events behind the one that says they are lost";
	}
	if (events != veventq->num_events)
		wrong = "events and their count differ";
	mutex_unlock(&veventq->common.lock);
	return wrong;
}
