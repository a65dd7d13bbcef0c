/* SPDX-License-Identifier: MIT */
/*
 * Commands that make things go wrong, or events happen.
 */
#include "control/command.h"

#include <iommufd/viommu.h>

#include "base/fault.h"
#include "control/json.h"
#include "core/object.h"

#define EVENT_BYTES_MAX 256
#define FAILURES_MAX	1000000

static int fail_step(struct control_call *call)
{
	u64 skip = control_arg_number(call, "skip", 0);
	u64 count = control_arg_number(call, "count", 1);

	if (skip > UINT32_MAX || count > FAILURES_MAX)
		return control_fail(call, "BadArgument", "count: %d at most", FAILURES_MAX);
	fault_named_set(control_arg_string(call, "step"), (u32)skip, (u32)count);
	return 0;
}

static int report_to(struct control_call *call, struct iommufd_object *obj, void *data, size_t len)
{
	u64 type = control_arg_number(call, "type", 0);
	int rc;

	if (obj->type != IOMMUFD_OBJ_VIOMMU)
		return control_fail(call, "ObjectNotFound", "%u: no vIOMMU", obj->id);
	rc = iommufd_viommu_report_event(container_of(obj, struct iommufd_viommu, obj),
					 (enum iommu_veventq_type)(u32)MIN(type, (u64)UINT32_MAX),
					 data, len);
	return rc ? control_fail_errno(call, rc, "event") : 0;
}

static int report_event(struct control_call *call)
{
	u64 number = control_arg_number(call, "context", 0);
	u64 wanted = control_arg_number(call, "viommu", 0);
	struct iommufd_object *obj;
	u8 data[EVENT_BYTES_MAX];
	struct iommufd_ctx *ctx;
	u32 id = (u32)wanted;
	ssize_t len;
	int rc = -1;

	len = control_arg_bytes(call, "data", data, sizeof(data));
	if (len < 0)
		return -1;
	ctx = number && number <= UINT32_MAX ? ctx_next(call->target->system, (u32)number) : NULL;
	if (!ctx || ctx->number != number) {
		control_fail(call, "ContextNotFound", "%llu: no such context",
			     (unsigned long long)number);
	} else if (!wanted || wanted > INT32_MAX || !object_peek_next(ctx, &id, &obj)) {
		control_fail(call, "ObjectNotFound", "%llu: no vIOMMU", (unsigned long long)wanted);
	} else {
		if (id != wanted)
			control_fail(call, "ObjectNotFound", "%llu: no vIOMMU",
				     (unsigned long long)wanted);
		else
			rc = report_to(call, obj, data, (size_t)len);
		object_peek_end(ctx, obj);
	}
	if (ctx)
		ctx_put(ctx);
	return rc;
}

static const struct control_arg fail_args[] = {
	{"step", ARG_STRING},
	{"skip", ARG_NUMBER, true},
	{"count", ARG_NUMBER, true},
	{0},
};
static const struct control_arg event_args[] = {
	{"context", ARG_NUMBER},
	{"viommu", ARG_NUMBER},
	{"type", ARG_NUMBER},
	{"data", ARG_STRING},
	{0},
};

const struct control_command control_fault_commands[] = {
	{"fail", "make the next steps of a name fail (\"alloc\", \"pin\" ...; \"*\" any)",
	 fail_step, fail_args},
	{"report-event", "an event for a guest's IOMMU, into its vevent queue", report_event,
	 event_args},
	{0},
};
