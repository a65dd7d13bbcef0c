/* SPDX-License-Identifier: MIT */
/*
 * Commands that look.
 */
#include "control/command.h"

#include "base/fault.h"
#include "control/inspect.h"
#include "control/json.h"
#include "mem/mem.h"

static int query_version(struct control_call *call)
{
	call->ret = json_object_new_object();
	json_add_string(call->ret, "version", call->target->version);
	json_add_u64(call->ret, "pid", (u64)call->target->pid);
	return 0;
}

static int query_commands(struct control_call *call)
{
	call->ret = json_object_new_array();
	for (size_t t = 0; control_tables[t]; t++) {
		for (const struct control_command *row = control_tables[t]; row->name; row++) {
			struct json_object *obj = json_object_new_object();

			json_add_string(obj, "name", row->name);
			json_add_string(obj, "about", row->line);
			json_append(call->ret, obj);
		}
	}
	return 0;
}

/* ---- contexts ---- */

/* Call @fn for each context, or the one that is asked for. */
static int each_context(struct control_call *call,
			int (*fn)(struct control_call *call, struct iommufd_ctx *ctx, void *data),
			void *data)
{
	u64 wanted = control_arg_number(call, "context", 0);
	struct iommufd_ctx *ctx;
	bool met = false;
	int rc = 0;

	if (wanted > UINT32_MAX)
		return control_fail(call, "ContextNotFound", "%llu: no such context",
				    (unsigned long long)wanted);
	for (u32 number = wanted ? (u32)wanted : 1;
	     !rc && (ctx = ctx_next(call->target->system, number)); number++) {
		number = ctx->number;
		if (!wanted || number == wanted) {
			met = true;
			rc = fn(call, ctx, data);
		}
		ctx_put(ctx);
		if (wanted)
			break;
	}
	if (wanted && !met)
		return control_fail(call, "ContextNotFound", "%llu: no such context",
				    (unsigned long long)wanted);
	return rc;
}

static int add_context(struct control_call *call, struct iommufd_ctx *ctx, void *data)
{
	json_append(call->ret, inspect_context(ctx));
	return 0;
}

static int query_contexts(struct control_call *call)
{
	call->ret = json_object_new_array();
	return each_context(call, add_context, NULL);
}

static int add_objects(struct control_call *call, struct iommufd_ctx *ctx, void *data)
{
	struct json_object *row = inspect_context(ctx);

	json_add(row, "objects", inspect_objects(ctx));
	json_append(call->ret, row);
	return 0;
}

static int query_objects(struct control_call *call)
{
	call->ret = json_object_new_array();
	return each_context(call, add_objects, NULL);
}

/* ---- long tables of objects of one type ---- */

/**
 * struct table - @fn's rows of each object of @type, or the one with @id
 * @range: rows that still fit, over all of them; @from holds for the first
 */
struct table {
	enum iommufd_object_type type;
	struct json_object *(*fn)(struct iommufd_object *obj, struct inspect_range *range);
	u32 id;
	bool met;
	struct inspect_range range;
};

static int table_object(struct control_call *call, struct iommufd_ctx *ctx,
			struct iommufd_object *obj, struct table *table)
{
	struct json_object *row;

	table->met = true;
	row = table->fn(obj, &table->range);
	if (!row)
		return 0;
	json_add_u64(row, "context", ctx->number);
	if (table->range.more)
		json_add_hex(row, "more-from", table->range.next);
	json_append(call->ret, row);
	table->range.from = 0;
	return 0;
}

static int add_table(struct control_call *call, struct iommufd_ctx *ctx, void *data)
{
	struct table *table = data;
	struct iommufd_object *obj;

	for (u32 id = table->id ?: 1;
	     table->range.left && !table->range.more && object_peek_next(ctx, &id, &obj); id++) {
		if (obj->type == table->type && (!table->id || table->id == id))
			table_object(call, ctx, obj, table);
		object_peek_end(ctx, obj);
		if (table->id)
			break;
	}
	return 0;
}

static int query_table(struct control_call *call, struct table *table)
{
	u64 limit = control_arg_number(call, "limit", INSPECT_ROWS_DEFAULT);
	u64 id = control_arg_number(call, "id", 0);
	int rc;

	if (!limit || limit > INSPECT_ROWS_MAX)
		return control_fail(call, "BadArgument", "limit: a number from 1 to %d is wanted",
				    INSPECT_ROWS_MAX);
	table->id = (u32)MIN(id, (u64)UINT32_MAX);
	table->range.left = (u32)limit;
	table->range.from = control_arg_number(call, "from", 0);
	call->ret = json_object_new_array();
	rc = each_context(call, add_table, table);
	if (!rc && table->id && !table->met)
		return control_fail(call, "ObjectNotFound", "%llu: no such object of this type",
				    (unsigned long long)id);
	return rc;
}

static int query_ioas(struct control_call *call)
{
	struct table table = {.type = IOMMUFD_OBJ_IOAS, .fn = inspect_ioas_map};

	return query_table(call, &table);
}

static int query_page_table(struct control_call *call)
{
	struct table table = {.type = IOMMUFD_OBJ_HWPT_PAGING, .fn = inspect_page_table};

	return query_table(call, &table);
}

static int query_dirty(struct control_call *call)
{
	struct table table = {.type = IOMMUFD_OBJ_HWPT_PAGING, .fn = inspect_dirty};

	return query_table(call, &table);
}

/* ---- the machine ---- */

static int query_devices(struct control_call *call)
{
	call->ret = inspect_devices(call->target->system, call->target->machine);
	return 0;
}

static int query_machine(struct control_call *call)
{
	call->ret = inspect_machine(call->target->machine, call->target->system);
	return 0;
}

static int count_context(struct control_call *call, struct iommufd_ctx *ctx, void *data)
{
	u64 *counts = data;

	mutex_lock(&ctx->objects_lock);
	counts[1] += ctx->objects.count - ctx->tombstones - ctx->unpublished;
	mutex_unlock(&ctx->objects_lock);
	counts[0]++;
	return 0;
}

static int query_counters(struct control_call *call)
{
	struct iommufd_system *system = call->target->system;
	u64 counts[2] = {0}, injected;
	u32 left;

	each_context(call, count_context, counts);
	left = fault_named_left(&injected);
	call->ret = json_object_new_object();
	json_add_u64(call->ret, "contexts", counts[0]);
	json_add_u64(call->ret, "objects", counts[1]);
	json_add_u64(call->ret, "pins", mem_space_pins(system->mem));
	json_add_u64(call->ret, "check-reports", iommufd_dma_check_reports(system));
	json_add_u64(call->ret, "failures-left", left);
	json_add_u64(call->ret, "failures-injected", injected);
	return 0;
}

static const struct control_arg context_args[] = {{"context", ARG_NUMBER, true}, {0}};
static const struct control_arg table_args[] = {
	{"context", ARG_NUMBER, true},
	{"id", ARG_NUMBER, true},
	{"from", ARG_NUMBER, true},
	{"limit", ARG_NUMBER, true},
	{0},
};

const struct control_command control_query_commands[] = {
	{"query-version", "version and process", query_version},
	{"query-commands", "this list", query_commands},
	{"query-contexts", "who has /dev/iommu or /dev/vfio/vfio open", query_contexts,
	 context_args},
	{"query-objects", "objects of contexts and their relations", query_objects, context_args},
	{"query-ioas", "areas, reserved and allowed iova", query_ioas, table_args},
	{"query-page-table", "entries of page tables", query_page_table, table_args},
	{"query-dirty", "dirty bytes per area, without clearing", query_dirty, table_args},
	{"query-devices", "functions of the machine", query_devices},
	{"query-counters", "sums over the system", query_counters},
	{"query-machine", "the machine as a machine file would say it", query_machine},
	{0},
};
