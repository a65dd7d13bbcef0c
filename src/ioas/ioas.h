/* SPDX-License-Identifier: MIT */
/*
 * I/O address spaces for the neighbouring rooms: the object, and what devices
 * and hwpts do to the map inside it.  The map itself is in ioas/iopt.h.
 */
#ifndef IOAS_IOAS_H
#define IOAS_IOAS_H

#include <urcu/list.h>

#include "core/object.h"
#include "ioas/iopt.h"

/**
 * struct iommufd_ioas - the object
 * @iopt: the map
 * @mutex: hwpt_list, and creation of hwpts on this ioas up to their publication
 * @hwpt_list: struct iommufd_hwpt_paging.hwpt_item, oldest first
 */
struct iommufd_ioas {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct io_pagetable iopt;
	struct mutex mutex;
	struct cds_list_head hwpt_list __guarded_by(&mutex);
};

int ioas_alloc(struct iommufd_ctx *ctx, struct iommufd_ioas **ret_ioas); /* unpublished */
int ioas_get(struct iommufd_ctx *ctx, u32 id, struct iommufd_ioas **ret_ioas);
void ioas_put(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas);
void ioas_destroy(struct iommufd_object *obj);
/**
 * vfio_compat_ioas_create() - the container's commands have an IOAS to act on: one is made if there
 * is none
 * Return: 0, -EINVAL in no-iommu mode, -ENOMEM, -EBUSY (ids exhausted).
 */
int vfio_compat_ioas_create(struct iommufd_ctx *ctx);
/** vfio_compat_ioas_get_id() - which one that is now; 0, -ENODEV none */
int vfio_compat_ioas_get_id(struct iommufd_ctx *ctx, u32 *ret_id);
/** iopt_page_sizes() - page sizes all its domains have; all from PAGE_SIZE up if it has none */
u64 iopt_page_sizes(struct io_pagetable *iopt);
/** ioas_check() - NULL if sound, else what is wrong (static or in @buf) */
const char *ioas_check(struct iommufd_ioas *ioas, char *buf, size_t size);

#endif
