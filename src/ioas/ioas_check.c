/* SPDX-License-Identifier: MIT */
/*
 * Reading a whole address space and saying the first thing that is wrong with
 * it: the trees, each area's place in them, what its pages hold, and that each
 * domain translates the ends of each area to those pages.
 */
#include <stdio.h>

#include "ioas/area.h"
#include "ioas/ioas.h"

static const char *area_check_domains(struct iopt_area *area)
{
	struct io_pagetable *iopt = area->iopt;
	u64 first_pa, last_pa;

	if (area->pages->origin == IOPT_ORIGIN_DMABUF)
		return NULL;
	if (area->held != !!iopt->num_domains)
		return "hold does not follow the domains";
	if (!area->held)
		return NULL;
	mutex_lock(&area->pages->mutex);
	first_pa = pages_phys(area->pages, area->offset);
	last_pa = pages_phys(area->pages, area_start_byte(area, area->last));
	mutex_unlock(&area->pages->mutex);
	if (!first_pa || !last_pa)
		return "held, but its pages are not";
	for (u32 i = 0; i < iopt->num_domains; i++) {
		const struct iommu_domain *domain = iopt->domains[i];

		/*
		 * Only domains must find areas aligned: a COPY answers for its whole length, and
		 * its joints are where the source has them.
		 */
		if (!area_is_aligned(area, domain->pgsize_bitmap & -domain->pgsize_bitmap))
			return "misaligned";
		if (iommu_iova_to_phys(iopt->domains[i], area->first) != first_pa ||
		    iommu_iova_to_phys(iopt->domains[i], area->last) != last_pa)
			return "a domain translates it to something else";
	}
	return NULL;
}

static const char *area_check(struct iopt_area *area, const struct rangemap_entry *e)
{
	const char *wrong;

	if (area->first != e->first || area->last != e->last)
		return "range differs from its place in the tree";
	if (!area_usable(area))
		return NULL; /* being filled or torn down by somebody */
	if (area_last_index(area) >= area->pages->npages)
		return "shows more than its pages";
	wrong = area_check_domains(area);
	return wrong ? wrong : pages_check(area->pages);
}

static const char *iopt_check_trees(struct io_pagetable *iopt)
{
	const char *wrong = rangemap_check(&iopt->areas);

	if (!wrong)
		wrong = rangemap_check(&iopt->allowed);
	if (!wrong)
		wrong = itree_check(&iopt->reserved);
	if (!wrong)
		wrong = idtable_check(&iopt->access_list);
	if (!wrong && !is_power_of_2(iopt->iova_alignment))
		wrong = "alignment is no power of two";
	return wrong;
}

const char *ioas_check(struct iommufd_ioas *ioas, char *buf, size_t size)
{
	struct io_pagetable *iopt = &ioas->iopt;
	struct rangemap_entry e;
	const char *wrong;

	read_lock(&iopt->domains_rwsem);
	read_lock(&iopt->iova_rwsem);
	wrong = iopt_check_trees(iopt);
	if (!wrong)
		rangemap_for_each_in(&iopt->areas, e, 0, UINT64_MAX) {
			const char *fault = area_check(e.value, &e);

			if (!fault)
				continue;
			snprintf(buf, size, "area %#llx..%#llx: %s", (unsigned long long)e.first,
				 (unsigned long long)e.last, fault);
			wrong = buf;
			break;
		}
	read_unlock(&iopt->iova_rwsem);
	read_unlock(&iopt->domains_rwsem);
	return wrong;
}
