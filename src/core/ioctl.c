/* SPDX-License-Identifier: MIT */
/*
 * From a command number to its handler.  The order of the checks is part of
 * the API: a bad pointer is EFAULT even where the number is unknown, and a
 * number outside the table is VFIO's before any memory is read.
 *
 * The program's struct is read once.  Its size decides how the rest is read,
 * so the size first seen is put over the copy: a program that changes it
 * meanwhile changes nothing.
 */
#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>
#include <linux/ioctl.h>

#include "core/ucmd.h"

int ucmd_respond(struct iommufd_ucmd *ucmd, size_t cmd_len)
{
	return copy_to_user(ucmd->ubuffer, ucmd->cmd, MIN((size_t)ucmd->user_size, cmd_len));
}

/* The last number that is ours and not VFIO's, in this system. */
static unsigned int ioctl_last_nr(const struct iommufd_system *system)
{
	return system->test_cmd ? _IOC_NR(IOMMU_TEST_CMD) : IOMMUFD_CMD_HW_QUEUE_ALLOC;
}

static const struct ucmd_row *ucmd_find(unsigned int cmd)
{
	const struct ucmd_row *row;
	unsigned int slot = _IOC_NR(cmd) - IOMMUFD_CMD_BASE;

	if (slot >= ucmd_table_size)
		return NULL;
	row = &ucmd_table[slot];
	/* The whole number: type byte, and no direction or size in it.  A free slot has 0. */
	return row->ioctl_num == cmd ? row : NULL;
}

/* Run the handler and settle the object it began: published with success, else undone. */
static long ucmd_execute(struct iommufd_ucmd *ucmd, const struct ucmd_row *row)
{
	int rc;

	if (!row->execute)
		return -EOPNOTSUPP;
	rc = row->execute(ucmd);
	if (ucmd->new_obj) {
		if (!rc)
			object_finalize(ucmd->ctx, ucmd->new_obj);
		else
			object_abort_and_destroy(ucmd->ctx, ucmd->new_obj);
	}
	return rc ? rc : ucmd->ret;
}

static long ucmd_dispatch(struct iommufd_ctx *ctx, unsigned int cmd, u64 arg)
{
	u64 copy[UCMD_SIZE_MAX / sizeof(u64)];
	struct iommufd_ucmd ucmd = { .ctx = ctx, .ubuffer = arg, .cmd = copy };
	const struct ucmd_row *row;
	int rc;

	rc = copy_from_user(&ucmd.user_size, arg, sizeof(ucmd.user_size));
	if (rc)
		return rc;
	row = ucmd_find(cmd);
	if (!row)
		return -ENOTTY;
	if (ucmd.user_size < row->min_size)
		return -EINVAL;
	rc = copy_struct_from_user(copy, row->size, arg, ucmd.user_size);
	if (rc)
		return rc;
	*(u32 *)copy = ucmd.user_size;
	return ucmd_execute(&ucmd, row);
}

long ctx_ioctl(struct iommufd_ctx *ctx, unsigned int cmd, u64 arg)
{
	unsigned int nr = _IOC_NR(cmd);
	long rc;

	ctx_check_begin(ctx);
	if (nr < IOMMUFD_CMD_BASE || nr > ioctl_last_nr(ctx->system))
		rc = iommufd_vfio_ioctl(ctx, cmd, arg);
	else
		rc = ucmd_dispatch(ctx, cmd, arg);
	ctx_check_end(ctx);
	return rc;
}
