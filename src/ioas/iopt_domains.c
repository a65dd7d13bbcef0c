/* SPDX-License-Identifier: MIT */
/*
 * What shapes the map: domains that join and leave it, reserved ranges,
 * alignment, the large-pages switch.
 */
#include "ioas/access.h"
#include "ioas/area.h"

#include "base/alloc.h"
#include "core/system.h"
#include "iommu/dma_check.h"

/* ---- alignment ---- */

static u64 domain_min_page(const struct iommu_domain *domain)
{
	return domain->pgsize_bitmap & -domain->pgsize_bitmap;
}

static u64 iopt_wanted_alignment(struct io_pagetable *iopt)
{
	u64 align = iopt->disable_large_pages ? PAGE_SIZE : 1;
	void *access;

	for (u32 i = 0; i < iopt->num_domains; i++)
		align = MAX(align, domain_min_page(iopt->domains[i]));
	/* No access wants more than a page, and there may be many. */
	for (u32 id = 0; align < PAGE_SIZE && idtable_next(&iopt->access_list, &id, &access); id++)
		align = MAX(align, ((struct iommufd_access *)access)->iova_alignment);
	return align;
}

int iopt_raise_alignment(struct io_pagetable *iopt, u64 extra)
{
	u64 align = MAX(iopt_wanted_alignment(iopt), extra);
	struct rangemap_entry e;

	if (align > iopt->iova_alignment)
		rangemap_for_each_in(&iopt->areas, e, 0, UINT64_MAX)
			if (!area_is_aligned(e.value, align))
				return -EADDRINUSE;
	iopt->iova_alignment = align;
	return 0;
}

void iopt_lower_alignment(struct io_pagetable *iopt)
{
	iopt->iova_alignment = iopt_wanted_alignment(iopt);
}

/* ---- reserved ranges ---- */

int iopt_reserve_iova_locked(struct io_pagetable *iopt, u64 first, u64 last, void *owner)
{
	struct iopt_reserved *reserved;

	if (rangemap_overlaps(&iopt->areas, first, last) ||
	    rangemap_overlaps(&iopt->allowed, first, last))
		return -EADDRINUSE;
	reserved = zalloc(sizeof(*reserved));
	if (!reserved)
		return -ENOMEM;
	reserved->node.first = first;
	reserved->node.last = last;
	reserved->owner = owner;
	itree_insert(&iopt->reserved, &reserved->node);
	return 0;
}

void iopt_remove_reserved_locked(struct io_pagetable *iopt, void *owner)
{
	struct itree_node *node, *next;

	for (node = itree_first(&iopt->reserved, 0, UINT64_MAX); node; node = next) {
		struct iopt_reserved *reserved = container_of(node, struct iopt_reserved, node);

		next = itree_next(node, 0, UINT64_MAX);
		if (reserved->owner != owner)
			continue;
		itree_remove(&iopt->reserved, node);
		free(reserved);
	}
}

int iopt_reserve_iova(struct io_pagetable *iopt, u64 first, u64 last, void *owner)
{
	int rc;

	write_lock(&iopt->iova_rwsem);
	rc = iopt_reserve_iova_locked(iopt, first, last, owner);
	write_unlock(&iopt->iova_rwsem);
	return rc;
}

void iopt_remove_reserved_iova(struct io_pagetable *iopt, void *owner)
{
	write_lock(&iopt->iova_rwsem);
	iopt_remove_reserved_locked(iopt, owner);
	write_unlock(&iopt->iova_rwsem);
}

int iopt_reserve_regions(struct io_pagetable *iopt, const struct iova_range *regions, u32 n,
			 void *owner)
{
	int rc = 0;

	if (fault_point("reserve_regions"))
		return -EINVAL;
	write_lock(&iopt->iova_rwsem);
	for (u32 i = 0; i < n && !rc; i++)
		rc = iopt_reserve_iova_locked(iopt, regions[i].first, regions[i].last, owner);
	if (rc)
		iopt_remove_reserved_locked(iopt, owner);
	write_unlock(&iopt->iova_rwsem);
	return rc;
}

bool iopt_next_usable(struct io_pagetable *iopt, u64 *first, u64 *last)
{
	u64 pos = *first;
	struct itree_node *node;

	/* Step over everything reserved at pos, then run to the next reservation. */
	while ((node = itree_first(&iopt->reserved, pos, pos))) {
		if (node->last == UINT64_MAX)
			return false;
		pos = node->last + 1;
	}
	node = itree_first(&iopt->reserved, pos, UINT64_MAX);
	*first = pos;
	*last = node ? node->first - 1 : UINT64_MAX;
	return true;
}

/* ---- domains ---- */

static int iopt_make_room_for_domain(struct io_pagetable *iopt)
{
	struct iommu_domain **bigger;
	u32 max = iopt->max_domains ? 2 * iopt->max_domains : 4;

	if (iopt->num_domains < iopt->max_domains)
		return 0;
	bigger = zalloc_array(max, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	for (u32 i = 0; i < iopt->num_domains; i++)
		bigger[i] = iopt->domains[i];
	free(iopt->domains);
	iopt->domains = bigger;
	iopt->max_domains = max;
	return 0;
}

static int iopt_reserve_outside(struct io_pagetable *iopt, struct iommu_domain *domain)
	__must_hold(&iopt->iova_rwsem)
{
	u64 start = domain->geometry.aperture_start, end = domain->geometry.aperture_end;
	int rc = 0;

	if (start)
		rc = iopt_reserve_iova_locked(iopt, 0, start - 1, domain);
	if (!rc && end != UINT64_MAX)
		rc = iopt_reserve_iova_locked(iopt, end + 1, UINT64_MAX, domain);
	return rc;
}

static void iopt_unfill_domain(struct io_pagetable *iopt, struct iommu_domain *domain, u64 upto,
			       bool last_domain)
{
	struct rangemap_entry e;

	if (!upto)
		return;
	rangemap_for_each_in(&iopt->areas, e, 0, upto - 1)
		area_unfill_domain(e.value, domain, last_domain);
}

static int iopt_fill_domain(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	struct rangemap_entry e;
	int rc;

	rangemap_for_each_in(&iopt->areas, e, 0, UINT64_MAX) {
		rc = area_fill_domain(e.value, domain);
		if (rc) {
			iopt_unfill_domain(iopt, domain, e.first, !iopt->num_domains);
			return rc;
		}
	}
	return 0;
}

int iopt_table_add_domain(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	int rc;

	write_lock(&iopt->domains_rwsem);
	write_lock(&iopt->iova_rwsem);
	rc = -EINVAL;
	if (domain_min_page(domain) > PAGE_SIZE)
		goto err_unlock;
	rc = iopt_make_room_for_domain(iopt);
	if (rc)
		goto err_unlock;
	rc = iopt_raise_alignment(iopt, domain_min_page(domain));
	if (rc)
		goto err_unlock;
	rc = iopt_reserve_outside(iopt, domain);
	if (!rc)
		rc = iopt_fill_domain(iopt, domain);
	if (rc)
		goto err_undo;
	iopt->domains[iopt->num_domains++] = domain;
	dma_check_joined(iopt->system->dma.check, iopt, domain);
	write_unlock(&iopt->iova_rwsem);
	write_unlock(&iopt->domains_rwsem);
	return 0;
err_undo:
	iopt_remove_reserved_locked(iopt, domain);
	iopt_lower_alignment(iopt);
err_unlock:
	write_unlock(&iopt->iova_rwsem);
	write_unlock(&iopt->domains_rwsem);
	return rc;
}

void iopt_table_remove_domain(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	struct rangemap_entry e;
	u32 i;

	write_lock(&iopt->domains_rwsem);
	write_lock(&iopt->iova_rwsem);
	for (i = 0; i < iopt->num_domains && iopt->domains[i] != domain; i++)
		;
	if (i == iopt->num_domains)
		goto out;
	rangemap_for_each_in(&iopt->areas, e, 0, UINT64_MAX)
		area_unfill_domain(e.value, domain, iopt->num_domains == 1);
	for (; i + 1 < iopt->num_domains; i++)
		iopt->domains[i] = iopt->domains[i + 1];
	iopt->num_domains--;
	dma_check_left(iopt->system->dma.check, domain);
	iopt_remove_reserved_locked(iopt, domain);
	iopt_lower_alignment(iopt);
out:
	write_unlock(&iopt->iova_rwsem);
	write_unlock(&iopt->domains_rwsem);
}

/* ---- the large-pages switch ---- */

int iopt_disable_large_pages(struct io_pagetable *iopt)
{
	int rc = 0;

	write_lock(&iopt->domains_rwsem);
	write_lock(&iopt->iova_rwsem);
	if (iopt->disable_large_pages)
		goto out;
	/* Large entries that exist already could not be cut later. */
	rc = -EINVAL;
	if (iopt->num_domains && !rangemap_empty(&iopt->areas))
		goto out;
	iopt->disable_large_pages = true;
	rc = iopt_raise_alignment(iopt, PAGE_SIZE);
	if (rc)
		iopt->disable_large_pages = false;
out:
	write_unlock(&iopt->iova_rwsem);
	write_unlock(&iopt->domains_rwsem);
	return rc;
}

int iopt_enable_large_pages(struct io_pagetable *iopt)
{
	write_lock(&iopt->domains_rwsem);
	write_lock(&iopt->iova_rwsem);
	iopt->disable_large_pages = false;
	iopt_lower_alignment(iopt);
	write_unlock(&iopt->iova_rwsem);
	write_unlock(&iopt->domains_rwsem);
	return 0;
}
