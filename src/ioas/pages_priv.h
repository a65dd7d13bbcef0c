/* SPDX-License-Identifier: MIT */
/* What the two halves of the pages code share. */
#ifndef IOAS_PAGES_PRIV_H
#define IOAS_PAGES_PRIV_H

#include "ioas/pages.h"

/**
 * struct pages_dmabuf_map - one range of a device buffer in one domain, to be undone by a revoke
 */
struct pages_dmabuf_map {
	struct cds_list_head node; /* pages->dmabuf_maps, under pages->mutex */
	struct iommu_domain *domain;
	u64 iova;
	u64 length;
};

/** pages_pin_origin() - pin what the origin has now at @index; pages pinned or -errno */
s64 pages_pin_origin(struct iopt_pages *pages, u64 index, u64 npages, struct mem_run *run)
	__must_hold(&pages->mutex);

void pages_dmabuf_unmap_all(struct iopt_pages *pages) __must_hold(&pages->mutex);

#endif
