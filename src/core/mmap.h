/* SPDX-License-Identifier: MIT */
/*
 * The mmap() side of a context.  What drivers call is in <iommufd/viommu.h>.
 */
#ifndef CORE_MMAP_H
#define CORE_MMAP_H

#include "core/ctx.h"

void ctx_mmap_init(struct iommufd_ctx *ctx);
/** ctx_mmap_fini() - all objects, and so all owners, are gone */
void ctx_mmap_fini(struct iommufd_ctx *ctx);

/* for the context's file */
int ctx_file_mmap(struct file *file, u64 length, int prot, int flags, u64 offset,
		  struct file_map *ret_map);
void ctx_file_unmap(struct file *file, void *cookie);

#endif
