/* SPDX-License-Identifier: MIT */
/*
 * Stand-ins for the rooms above core and for src/commands.c.
 */
#include "fake_rooms.h"
#include "../mem/keep_signals.h"

#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>
#include <linux/ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- objects ---- */

static pthread_mutex_t ends_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_ends ends;

void fake_ends_reset(void)
{
	pthread_mutex_lock(&ends_lock);
	memset(&ends, 0, sizeof(ends));
	pthread_mutex_unlock(&ends_lock);
}

struct fake_ends fake_ends_get(void)
{
	struct fake_ends copy;

	pthread_mutex_lock(&ends_lock);
	copy = ends;
	pthread_mutex_unlock(&ends_lock);
	return copy;
}

static void fake_drop_holds(struct fake_object *fake)
{
	assert_true(fake->magic == FAKE_MAGIC);
	fake->magic = 0;
	if (fake->holding)
		object_put(fake->ctx, &fake->holding->obj);
	if (fake->parent && fake->auto_parent)
		object_put_and_try_destroy(fake->ctx, &fake->parent->obj);
	else if (fake->parent)
		object_release(&fake->parent->obj);
}

static void fake_destroy(struct iommufd_object *obj)
{
	pthread_mutex_lock(&ends_lock);
	if (ends.n_destroyed < ARRAY_SIZE(ends.destroyed))
		ends.destroyed[ends.n_destroyed] = obj->id;
	ends.n_destroyed++;
	pthread_mutex_unlock(&ends_lock);
	fake_drop_holds(container_of(obj, struct fake_object, obj));
}

static void fake_abort(struct iommufd_object *obj)
{
	pthread_mutex_lock(&ends_lock);
	ends.n_aborted++;
	pthread_mutex_unlock(&ends_lock);
	fake_drop_holds(container_of(obj, struct fake_object, obj));
}

static void fake_pre_destroy(struct iommufd_object *obj)
{
	struct fake_object *fake = container_of(obj, struct fake_object, obj);

	if (fake->pre_destroy)
		fake->pre_destroy(fake);
}

static const char *fake_check(struct iommufd_object *obj, char *buf, size_t size)
{
	struct fake_object *fake = container_of(obj, struct fake_object, obj);

	if (fake->magic != FAKE_MAGIC)
		return "magic is gone";
	if (!fake->wrong)
		return NULL;
	snprintf(buf, size, "wrong: %s", fake->wrong);
	return buf;
}

const struct object_type_ops object_types[IOMMUFD_OBJ_MAX] = {
	[IOMMUFD_OBJ_DEVICE] = { "device", fake_pre_destroy, fake_destroy, NULL, fake_check },
	[IOMMUFD_OBJ_HWPT_PAGING] = { "hwpt", NULL, fake_destroy, fake_abort, fake_check },
	[IOMMUFD_OBJ_IOAS] = { "ioas", NULL, fake_destroy, NULL, fake_check },
	[IOMMUFD_OBJ_ACCESS] = { "access", NULL, fake_destroy, NULL, fake_check },
};

struct fake_object *fake_object_begin(struct iommufd_ctx *ctx, enum iommufd_object_type type)
{
	struct fake_object *fake = NULL;

	assert_int_equal(object_alloc_typed(ctx, fake, type), 0);
	fake->magic = FAKE_MAGIC;
	fake->ctx = ctx;
	return fake;
}

struct fake_object *fake_object_make(struct iommufd_ctx *ctx, enum iommufd_object_type type)
{
	struct fake_object *fake = fake_object_begin(ctx, type);

	object_finalize(ctx, &fake->obj);
	return fake;
}

/* ---- commands ---- */

struct fake_command fake_command;

static int fake_ioas_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_alloc *cmd = ucmd->cmd;
	struct fake_object *fake;
	int rc;

	rc = object_alloc_typed(ucmd->ctx, fake, IOMMUFD_OBJ_IOAS);
	if (rc)
		return rc;
	fake->magic = FAKE_MAGIC;
	fake->ctx = ucmd->ctx;
	fake->huge_pages = true;
	ucmd->new_obj = &fake->obj;
	cmd->out_ioas_id = fake->obj.id;
	return ucmd_respond(ucmd, sizeof(*cmd));
}

static int fake_hwpt_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;

	fake_command.calls++;
	fake_command.user_size = ucmd->user_size;
	memcpy(fake_command.copy, cmd, sizeof(*cmd));
	if (fake_command.rc)
		return fake_command.rc;
	cmd->out_hwpt_id = 77;
	cmd->fault_id = 78;
	ucmd->ret = fake_command.ret;
	return ucmd_respond(ucmd, sizeof(*cmd));
}

int fake_test_cmd(struct iommufd_ucmd *ucmd)
{
	fake_command.calls++;
	return 0;
}

static int fake_test_row(struct iommufd_ucmd *ucmd)
{
	return ucmd->ctx->system->test_cmd(ucmd);
}

#define SLOT(cmd) [_IOC_NR(cmd) - IOMMUFD_CMD_BASE]
const struct ucmd_row ucmd_table[] = {
	SLOT(IOMMU_DESTROY) = { IOMMU_DESTROY, 8, 8, iommufd_destroy_ioctl },
	SLOT(IOMMU_IOAS_ALLOC) = { IOMMU_IOAS_ALLOC, 12, 12, fake_ioas_alloc },
	SLOT(IOMMU_OPTION) = { IOMMU_OPTION, 24, 24, iommufd_option_ioctl },
	SLOT(IOMMU_HWPT_ALLOC) = { IOMMU_HWPT_ALLOC, 48, 24, fake_hwpt_alloc },
	SLOT(IOMMU_FAULT_QUEUE_ALLOC) = { IOMMU_FAULT_QUEUE_ALLOC, 16, 16, NULL },
	SLOT(IOMMU_TEST_CMD) = { IOMMU_TEST_CMD, 72, 68, fake_test_row },
};
const unsigned int ucmd_table_size = ARRAY_SIZE(ucmd_table);

long iommufd_vfio_ioctl(struct iommufd_ctx *ctx, unsigned int cmd, u64 arg)
{
	return cmd == 0x3b64 ? 0 : -ENOTTY;
}

int iommufd_ioas_option_huge_pages(struct iommufd_ioas *ioas, void *cmd)
{
	struct fake_object *fake = (struct fake_object *)ioas;
	struct iommu_option *option = cmd;

	if (option->op == IOMMU_OPTION_OP_GET)
		option->val64 = fake->huge_pages;
	else
		fake->huge_pages = option->val64;
	return 0;
}

/* ---- a world ---- */

void fake_log_line(void *data, enum iommufd_log_level level, const char *line)
{
	struct fake_log *log = data;

	snprintf(log->last, sizeof(log->last), "%s", line);
	atomic_fetch_add(&log->lines, 1);
}

int world_setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct iommufd_system_opts opts = {
		.size = sizeof(opts),
		.log = fake_log_line,
		.log_data = &world->log,
	};

	assert_non_null(world);
	assert_int_equal(iommufd_system_create(&opts, &world->system), 0);
	assert_int_equal(ctx_open(world->system, 0, 2, &world->ctx), 0);
	fake_ends_reset();
	memset(&fake_command, 0, sizeof(fake_command));
	*state = world;
	return 0;
}

void world_close_ctx(struct world *world)
{
	ctx_put(world->ctx);
	world->ctx = NULL;
}

u32 world_take_log_lines(struct world *world)
{
	return atomic_exchange(&world->log.lines, 0);
}

int world_teardown(void **state)
{
	struct world *world = *state;

	if (world->ctx) {
		char buf[128] = "";

		assert_int_equal(ctx_check(world->ctx, buf, sizeof(buf)), 0);
		world_close_ctx(world);
	}
	iommufd_system_destroy(world->system);
	if (world_take_log_lines(world))
		print_error("unexpected log line: %s\n", world->log.last);
	assert_string_equal(world->log.last, "");
	free(world);
	return 0;
}
