/* SPDX-License-Identifier: MIT */
/*
 * Objects and who refers to whom.  An object holds what it refers to for as long as
 * it lives, so a pointer found in one that we hold can be followed.
 */
#include "control/inspect.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/json.h"
#include "fault/fault.h"
#include "hwpt/hwpt.h"
#include "ioas/access.h"
#include "viommu/viommu.h"

/* The program's name, if the process is still there. */
static void comm_read(pid_t pid, char buf[32])
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = pid ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		n = read(fd, buf, 31);
		close(fd);
	}
	buf[MAX(n, 0)] = 0;
	buf[strcspn(buf, "\n")] = 0;
}

struct json_object *inspect_context(struct iommufd_ctx *ctx)
{
	struct json_object *row = json_object_new_object();
	u64 objects;
	bool no_iommu, mm;
	char comm[32];

	mutex_lock(&ctx->objects_lock);
	objects = ctx->objects.count - ctx->tombstones - ctx->unpublished;
	no_iommu = ctx->no_iommu_mode;
	mm = ctx->account_mode == MEM_ACCOUNT_MM;
	mutex_unlock(&ctx->objects_lock);
	comm_read(ctx->opener, comm);
	json_add_u64(row, "context", ctx->number);
	json_add_string(row, "node", ctx->file.ops->name);
	json_add_u64(row, "pid", (u64)ctx->opener);
	json_add_string(row, "comm", comm);
	json_add_u64(row, "objects", objects);
	json_add_string(row, "account", mm ? "mm" : "user");
	json_add_bool(row, "no-iommu", no_iommu);
	return row;
}

/* ---- page tables ---- */

static void add_hwpt(const struct iommufd_hw_pagetable *hwpt, struct json_object *row)
{
	if (hwpt->fault)
		json_add_u64(row, "fault", hwpt->fault->eventq.obj.id);
	json_add_bool(row, "pasid", hwpt->pasid_compat);
}

static void add_hwpt_paging(struct iommufd_object *obj, struct json_object *row)
{
	struct iommufd_hwpt_paging *hwpt =
		to_hwpt_paging(container_of(obj, struct iommufd_hw_pagetable, obj));
	const struct iommu_domain *domain = hwpt->common.domain;

	json_add_u64(row, "ioas", hwpt->ioas->obj.id);
	add_hwpt(&hwpt->common, row);
	json_add_bool(row, "automatic", hwpt->auto_domain);
	json_add_bool(row, "nest-parent", hwpt->nest_parent);
	json_add_bool(row, "dirty-tracking", domain->dirty_ops);
	json_add_bool(row, "tracks",
		      atomic_load_explicit(&hwpt->tracking, memory_order_relaxed));
	json_add_bool(row, "coherent", hwpt->enforce_cache_coherency);
	json_add_hex(row, "page-sizes", domain->pgsize_bitmap);
	json_add_hex(row, "aperture-first", domain->geometry.aperture_start);
	json_add_hex(row, "aperture-last", domain->geometry.aperture_end);
}

static void add_hwpt_nested(struct iommufd_object *obj, struct json_object *row)
{
	struct iommufd_hwpt_nested *hwpt =
		to_hwpt_nested(container_of(obj, struct iommufd_hw_pagetable, obj));

	json_add_u64(row, "parent", hwpt->parent->common.obj.id);
	if (hwpt->viommu)
		json_add_u64(row, "viommu", hwpt->viommu->obj.id);
	add_hwpt(&hwpt->common, row);
}

/* ---- accesses and queues ---- */

static void add_access(struct iommufd_object *obj, struct json_object *row)
{
	struct iommufd_access *access = container_of(obj, struct iommufd_access, obj);
	u32 ioas = 0;

	mutex_lock(&access->ioas_lock);
	if (access->ioas)
		ioas = access->ioas->obj.id;
	mutex_unlock(&access->ioas_lock);
	if (ioas)
		json_add_u64(row, "ioas", ioas);
	json_add_bool(row, "internal", access->internal);
}

static u64 list_length(const struct cds_list_head *head)
{
	const struct cds_list_head *node;
	u64 n = 0;

	for (node = head->next; node != head; node = node->next)
		n++;
	return n;
}

static void add_fault(struct iommufd_object *obj, struct json_object *row)
{
	struct iommufd_fault *fault = to_fault(obj);
	u64 unread;
	bool open;

	mutex_lock(&fault->eventq.lock);
	unread = list_length(&fault->eventq.deliver);
	open = fault->eventq.file;
	mutex_unlock(&fault->eventq.lock);
	json_add_bool(row, "open", open);
	json_add_u64(row, "unread", unread);
}

static void add_veventq(struct iommufd_object *obj, struct json_object *row)
{
	struct iommufd_veventq *q = container_of(obj, struct iommufd_veventq, common.obj);
	u32 events, sequence;

	mutex_lock(&q->common.lock);
	events = q->num_events;
	sequence = q->sequence;
	mutex_unlock(&q->common.lock);
	json_add_u64(row, "viommu", q->viommu->obj.id);
	json_add_u64(row, "kind", q->type);
	json_add_u64(row, "depth", q->depth);
	json_add_u64(row, "unread", events);
	json_add_u64(row, "sequence", sequence);
}

/* ---- guests ---- */

static void add_viommu(struct iommufd_object *obj, struct json_object *row)
{
	struct iommufd_viommu *viommu = to_viommu(obj);

	json_add_u64(row, "parent", viommu->hwpt->common.obj.id);
	json_add_u64(row, "kind", viommu->type);
	json_add_string(row, "iommu", viommu->iommu_dev->name);
}

static void add_vdevice(struct iommufd_object *obj, struct json_object *row)
{
	struct iommufd_vdevice *vdev = container_of(obj, struct iommufd_vdevice, obj);

	json_add_u64(row, "viommu", vdev->viommu->obj.id);
	json_add_u64(row, "device", ((struct iommufd_object *)vdev->idev)->id);
	json_add_hex(row, "virt-id", vdev->virt_id);
}

static void add_hw_queue(struct iommufd_object *obj, struct json_object *row)
{
	struct iommufd_hw_queue *q = container_of(obj, struct iommufd_hw_queue, obj);

	json_add_u64(row, "viommu", q->viommu->obj.id);
	if (q->access)
		json_add_u64(row, "access", ((struct iommufd_object *)q->access)->id);
	json_add_u64(row, "kind", q->type);
	json_add_hex(row, "base", q->base_addr);
	json_add_u64(row, "length", q->length);
}

/* ---- all ---- */

static void (*const add_fns[IOMMUFD_OBJ_MAX])(struct iommufd_object *obj,
					      struct json_object *row) = {
	[IOMMUFD_OBJ_DEVICE] = inspect_add_device,   [IOMMUFD_OBJ_HWPT_PAGING] = add_hwpt_paging,
	[IOMMUFD_OBJ_HWPT_NESTED] = add_hwpt_nested, [IOMMUFD_OBJ_IOAS] = inspect_add_ioas,
	[IOMMUFD_OBJ_ACCESS] = add_access,	     [IOMMUFD_OBJ_FAULT] = add_fault,
	[IOMMUFD_OBJ_VIOMMU] = add_viommu,	     [IOMMUFD_OBJ_VDEVICE] = add_vdevice,
	[IOMMUFD_OBJ_VEVENTQ] = add_veventq,	     [IOMMUFD_OBJ_HW_QUEUE] = add_hw_queue,
};

struct json_object *inspect_object(struct iommufd_object *obj)
{
	struct json_object *row = json_object_new_object();

	json_add_u64(row, "id", obj->id);
	json_add_string(row, "type", object_types[obj->type].name);
	json_add_u64(row, "users", atomic_load_explicit(&obj->users, memory_order_relaxed));
	if (add_fns[obj->type])
		add_fns[obj->type](obj, row);
	return row;
}

struct json_object *inspect_objects(struct iommufd_ctx *ctx)
{
	struct json_object *rows = json_object_new_array();
	struct iommufd_object *obj;
	u32 n = 0;

	for (u32 id = 1; n < INSPECT_ROWS_MAX && object_peek_next(ctx, &id, &obj); id++, n++) {
		json_append(rows, inspect_object(obj));
		object_peek_end(ctx, obj);
	}
	return rows;
}
