/* SPDX-License-Identifier: MIT */
/*
 * A command being served.  The dispatcher (core/ioctl.c) has checked its
 * number and size against the command table and copied the struct in once;
 * the handler works on the copy and answers with ucmd_respond().
 */
#ifndef CORE_UCMD_H
#define CORE_UCMD_H

#include "core/object.h"
#include "mem/task.h"

struct iommufd_ucmd {
	struct iommufd_ctx *ctx;
	u64 ubuffer;      /* where the struct is in the caller */
	u32 user_size;    /* its size field */
	void *cmd;        /* our copy, full size, zero-extended */
	struct iommufd_object *new_obj; /* published when the handler returns 0, else aborted */
	long ret;         /* value of the ioctl on success (0, or a descriptor for DMABUF_GET) */
};

/**
 * ucmd_respond() - write the struct back
 * @cmd_len: full size of the struct; min(user_size, cmd_len) bytes are written
 * Return: 0 or -EFAULT.
 */
int ucmd_respond(struct iommufd_ucmd *ucmd, size_t cmd_len);

/**
 * struct ucmd_row - one command: number, sizes, handler; the table is src/commands.c
 */
struct ucmd_row {
	unsigned int ioctl_num;
	u32 size;
	u32 min_size;
	int (*execute)(struct iommufd_ucmd *ucmd); /* NULL: known, not built yet: EOPNOTSUPP */
};
/* By number from IOMMUFD_CMD_BASE on; an unused slot has no name and the size 0. */
extern const struct ucmd_row ucmd_table[];
extern const unsigned int ucmd_table_size;

#define UCMD_SIZE_MAX 128 /* room the dispatcher has on its stack; no struct is larger */

/* the file op of a context */
long ctx_ioctl(struct iommufd_ctx *ctx, unsigned int cmd, u64 arg);

/* handlers, by room */
int iommufd_destroy_ioctl(struct iommufd_ucmd *ucmd);        /* core */
int iommufd_option_ioctl(struct iommufd_ucmd *ucmd);         /* core */
int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd);     /* ioas from here */
int iommufd_ioas_allow_iovas_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_copy_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_iova_ranges_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map_file_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_unmap_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_change_process_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_vfio_ioas_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_option_rlimit_mode(struct iommufd_ctx *ctx, void *cmd);  /* core; struct iommu_option */
int iommufd_ioas_option_huge_pages(struct iommufd_ioas *ioas, void *cmd); /* ioas */
int iommufd_hwpt_alloc_ioctl(struct iommufd_ucmd *ucmd);     /* hwpt from here */
int iommufd_hwpt_set_dirty_tracking_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_get_dirty_bitmap_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_invalidate_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd);   /* viommu from here */
int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_veventq_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_get_hw_info_ioctl(struct iommufd_ucmd *ucmd);    /* device */
int iommufd_fault_alloc_ioctl(struct iommufd_ucmd *ucmd);    /* fault */

/** iommufd_vfio_ioctl() - container commands (type ';', below 0x80); ioas/vfio_compat.c */
long iommufd_vfio_ioctl(struct iommufd_ctx *ctx, unsigned int cmd, u64 arg);

#endif
