/* SPDX-License-Identifier: MIT */
/*
 * Filling areas into domains and emptying them again.
 *
 * A page leaves every domain before it is let go of, and it is held before the
 * first domain sees it.  Emptying never fails: the hold has the same borders
 * as when it was taken.
 */
#include "ioas/area.h"

static bool area_takes_hold(const struct iopt_area *area)
{
	return area->pages->origin != IOPT_ORIGIN_DMABUF;
}

static int area_hold(struct iopt_area *area) __must_hold(&area->pages->mutex)
{
	int rc;

	if (!area_takes_hold(area))
		return 0;
	rc = pages_hold(area->pages, area_first_index(area), area_last_index(area));
	if (!rc)
		area->held = true;
	return rc;
}

static void area_let_go(struct iopt_area *area) __must_hold(&area->pages->mutex)
{
	if (!area->held)
		return;
	pages_release(area->pages, area_first_index(area), area_last_index(area));
	area->held = false;
}

static int area_map(struct iopt_area *area, struct iommu_domain *domain)
	__must_hold(&area->pages->mutex)
{
	return pages_map_domain(area->pages, domain, area->first, area->offset, area_length(area),
				area->prot | IOMMU_CACHE, !area->iopt->disable_large_pages);
}

static void area_unmap(struct iopt_area *area, struct iommu_domain *domain)
	__must_hold(&area->pages->mutex)
{
	pages_unmap_domain(area->pages, domain, area->first, area->offset, area_length(area));
}

int area_fill_domains(struct iopt_area *area) __no_lock_analysis
{
	struct io_pagetable *iopt = area->iopt;
	bool locked;
	u32 i;
	int rc;

	if (!iopt->num_domains)
		return 0;
	locked = pages_enter(area->pages);
	rc = area_hold(area);
	for (i = 0; !rc && i < iopt->num_domains; i++) {
		rc = area_map(area, iopt->domains[i]);
		if (rc) {
			while (i--)
				area_unmap(area, iopt->domains[i]);
			area_let_go(area);
			break;
		}
	}
	pages_leave(area->pages, locked);
	return rc;
}

void area_unfill_domains(struct iopt_area *area) __no_lock_analysis
{
	struct io_pagetable *iopt = area->iopt;
	bool locked;
	u32 i;

	if (!iopt->num_domains)
		return;
	locked = pages_enter(area->pages);
	for (i = 0; i < iopt->num_domains; i++)
		area_unmap(area, iopt->domains[i]);
	area_let_go(area);
	pages_leave(area->pages, locked);
}

int area_fill_domain(struct iopt_area *area, struct iommu_domain *domain)
{
	bool first = !area->held;
	int rc = 0;

	mutex_lock(&area->pages->mutex);
	if (first)
		rc = area_hold(area);
	if (!rc) {
		rc = area_map(area, domain);
		if (rc && first)
			area_let_go(area);
	}
	mutex_unlock(&area->pages->mutex);
	return rc;
}

void area_unfill_domain(struct iopt_area *area, struct iommu_domain *domain, bool last_domain)
{
	mutex_lock(&area->pages->mutex);
	area_unmap(area, domain);
	if (last_domain)
		area_let_go(area);
	mutex_unlock(&area->pages->mutex);
}

/* ---- walks ---- */

struct iopt_area *area_walk_init(struct area_walk *walk, struct io_pagetable *iopt, u64 iova,
				 u64 last)
{
	struct rangemap_entry e;

	walk->iopt = iopt;
	walk->cur = iova;
	walk->last = last;
	walk->area = rangemap_find(&iopt->areas, iova, &e) ? e.value : NULL;
	if (walk->area && !area_usable(walk->area))
		walk->area = NULL;
	return walk->area;
}

struct iopt_area *area_walk_next(struct area_walk *walk)
{
	if (walk->last <= walk->area->last)
		return NULL; /* done: walk->area stays, see area_walk_done() */
	return area_walk_init(walk, walk->iopt, walk->area->last + 1, walk->last);
}
