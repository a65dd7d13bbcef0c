/* SPDX-License-Identifier: MIT */
/*
 * The map: making and removing areas.
 *
 * MAP and COPY reserve their iova first (areas in flight), fill the domains
 * without the tree lock, and then publish; so the choice of an iova is final
 * while slow work goes on, and two maps of one range have exactly one winner.
 * UNMAP does the same backwards.
 */
#include "ioas/area.h"

#include "base/alloc.h"
#include "core/system.h"
#include "iommu/dma_check.h"

#define UNMAP_MAX_ROUNDS 100

int iopt_init(struct io_pagetable *iopt, struct iommufd_system *system)
{
	iopt->system = system;
	rwlock_init(&iopt->domains_rwsem);
	rwlock_init(&iopt->iova_rwsem);
	rangemap_init(&iopt->areas);
	rangemap_init(&iopt->allowed);
	itree_init(&iopt->reserved);
	idtable_init(&iopt->access_list, 0, 65535);
	iopt->iova_alignment = 1;
	return 0;
}

void iopt_destroy(struct io_pagetable *iopt)
{
	struct itree_node *node;
	u64 unmapped;

	dma_check_ended(iopt->system->dma.check, iopt);
	iopt_unmap_all(iopt, &unmapped);
	assert(rangemap_empty(&iopt->areas));
	assert(!iopt->num_domains);
	while ((node = itree_first(&iopt->reserved, 0, UINT64_MAX))) {
		itree_remove(&iopt->reserved, node);
		free(container_of(node, struct iopt_reserved, node));
	}
	rangemap_clear(&iopt->allowed);
	idtable_clear(&iopt->access_list);
	free(iopt->domains);
	rwlock_destroy(&iopt->domains_rwsem);
	rwlock_destroy(&iopt->iova_rwsem);
}

/* ---- map ---- */

/* The checker's books: before a device can reach it, and after none can any more. */
static void area_note(struct io_pagetable *iopt, const struct iopt_area *area)
{
	dma_check_mapped(iopt->system->dma.check, iopt, area->first, area->last);
}

static void area_note_gone(struct io_pagetable *iopt, const struct iopt_area *area)
{
	dma_check_unmapped(iopt->system->dma.check, iopt, area->first, area->last);
}

static void pieces_free_areas(struct map_piece *pieces, u32 n)
{
	for (u32 i = 0; i < n; i++)
		free(pieces[i].area);
}

static int pieces_alloc_areas(struct io_pagetable *iopt, struct map_piece *pieces, u32 n, int prot)
{
	for (u32 i = 0; i < n; i++)
		pieces[i].area = NULL;
	for (u32 i = 0; i < n; i++) {
		struct iopt_area *area = zalloc(sizeof(*area));

		if (!area) {
			pieces_free_areas(pieces, n);
			return -ENOMEM;
		}
		area->iopt = iopt;
		area->pages = pieces[i].pages;
		area->offset = pieces[i].offset;
		area->prot = prot;
		atomic_init(&area->in_flight, true);
		pieces[i].area = area;
	}
	return 0;
}

static int iopt_check_fixed(struct io_pagetable *iopt, u64 iova, u64 length)
{
	u64 last;

	if (iova & (iopt->iova_alignment - 1))
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	if (itree_first(&iopt->reserved, iova, last))
		return -EINVAL;
	if (rangemap_overlaps(&iopt->areas, iova, last))
		return -EEXIST;
	return 0;
}

static void pieces_remove(struct io_pagetable *iopt, struct map_piece *pieces, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		dma_check_undone(iopt->system->dma.check, iopt, pieces[i].area->first,
				 pieces[i].area->last);
		rangemap_remove(&iopt->areas, pieces[i].area->first);
	}
}

static int pieces_insert(struct io_pagetable *iopt, struct map_piece *pieces, u32 n, u64 iova)
{
	int rc = 0;
	u32 i;

	for (i = 0; i < n; i++) {
		struct iopt_area *area = pieces[i].area;

		if ((area->prot & IOMMU_WRITE) && !pieces[i].pages->writable)
			rc = -EPERM;
		else if ((pieces[i].offset & ~PAGE_MASK) & (iopt->iova_alignment - 1))
			rc = -EINVAL;
		else {
			area->first = iova;
			area->last = iova + pieces[i].length - 1;
			rc = rangemap_insert(&iopt->areas, area->first, area->last, area);
		}
		if (rc) {
			pieces_remove(iopt, pieces, i);
			return rc;
		}
		area_note(iopt, pieces[i].area);
		iova += pieces[i].length;
	}
	return 0;
}

/* Reserve the iova with areas in flight. */
static int pieces_reserve(struct io_pagetable *iopt, struct map_piece *pieces, u32 n, u64 length,
			  u64 *iova, unsigned int flags) __must_hold(&iopt->iova_rwsem)
{
	u64 addr;
	int rc;

	if (length & (iopt->iova_alignment - 1))
		return -EINVAL;
	if (flags & IOPT_ALLOC_IOVA) {
		addr = pieces[0].pages->start + pieces[0].offset;
		rc = iopt_choose_iova(iopt, addr, length, iova);
	} else {
		rc = iopt_check_fixed(iopt, *iova, length);
	}
	if (rc)
		return rc;
	return pieces_insert(iopt, pieces, n, *iova);
}

static int pieces_fill(struct map_piece *pieces, u32 n)
{
	int rc = 0;
	u32 i;

	for (i = 0; i < n && !rc; i++)
		rc = area_fill_domains(pieces[i].area);
	if (rc)
		for (i--; i--;)
			area_unfill_domains(pieces[i].area);
	return rc;
}

static void pieces_publish(struct map_piece *pieces, u32 n)
{
	for (u32 i = 0; i < n; i++)
		atomic_store_explicit(&pieces[i].area->in_flight, false, memory_order_release);
}

int iopt_map_pieces(struct io_pagetable *iopt, struct map_piece *pieces, u32 n, u64 length,
		    u64 *iova, int prot, unsigned int flags)
{
	int rc = pieces_alloc_areas(iopt, pieces, n, prot);

	if (rc)
		return rc;
	read_lock(&iopt->domains_rwsem);
	write_lock(&iopt->iova_rwsem);
	rc = pieces_reserve(iopt, pieces, n, length, iova, flags);
	if (!rc && !iopt->num_domains)
		pieces_publish(pieces, n);
	write_unlock(&iopt->iova_rwsem);
	if (rc)
		goto err_free;
	if (iopt->num_domains) {
		rc = pieces_fill(pieces, n);
		if (rc)
			goto err_remove;
		pieces_publish(pieces, n);
	}
	read_unlock(&iopt->domains_rwsem);
	return 0;
err_remove:
	write_lock(&iopt->iova_rwsem);
	pieces_remove(iopt, pieces, n);
	write_unlock(&iopt->iova_rwsem);
err_free:
	read_unlock(&iopt->domains_rwsem);
	pieces_free_areas(pieces, n);
	return rc;
}

/* ---- unmap ---- */

/* May @area go?  > 0: accesses hold pins on it and must be asked first. */
static int area_may_go(struct iopt_area *area, u64 first, u64 last)
{
	if (!area_usable(area))
		return -EBUSY;
	if (atomic_load_explicit(&area->num_locks, memory_order_relaxed))
		return -EBUSY;
	if (area->first < first || area->last > last)
		return -ENOENT;
	return atomic_load_explicit(&area->num_accesses, memory_order_relaxed) ? 1 : 0;
}

/* iova_rwsem is held for writing on entry and exit, and dropped for the slow part. */
static void area_tear_down(struct io_pagetable *iopt, struct iopt_area *area)
	__must_hold(&iopt->iova_rwsem)
{
	/* Among many they are cold; what comes first takes as long as the memory does. */
	for (u32 i = 0; i < sizeof(*area->pages); i += 64)
		__builtin_prefetch((const char *)area->pages + i);
	if (iopt->num_domains) {
		atomic_store_explicit(&area->in_flight, true, memory_order_relaxed);
		write_unlock(&iopt->iova_rwsem);
		area_unfill_domains(area);
		write_lock(&iopt->iova_rwsem);
	}
	area_note_gone(iopt, area);
	rangemap_remove(&iopt->areas, area->first);
	pages_put(area->pages);
	free(area);
}

struct unmap_rounds {
	u64 iova;
	u32 rounds;
};

static bool unmap_out_of_patience(struct unmap_rounds *tries, u64 iova)
{
	if (tries->iova != iova || !tries->rounds)
		*tries = (struct unmap_rounds){ .iova = iova };
	return ++tries->rounds > UNMAP_MAX_ROUNDS;
}

int iopt_unmap_iova(struct io_pagetable *iopt, u64 first, u64 last, u64 *ret_unmapped)
{
	struct unmap_rounds tries = { 0 };
	struct rangemap_entry e;
	struct iopt_area *area;
	u64 pos = first, area_first, area_len;
	int rc = 0;

	*ret_unmapped = 0;
	read_lock(&iopt->domains_rwsem);
	write_lock(&iopt->iova_rwsem);
	while (rangemap_first_from(&iopt->areas, pos, &e) && e.first <= last) {
		area = e.value;
		area_first = area->first;
		area_len = area_length(area);
		rc = area_may_go(area, first, last);
		if (rc < 0)
			break;
		if (rc) {
			if (unmap_out_of_patience(&tries, area_first)) {
				rc = -EDEADLK;
				break;
			}
			atomic_store_explicit(&area->prevent_access, true, memory_order_relaxed);
			write_unlock(&iopt->iova_rwsem);
			read_unlock(&iopt->domains_rwsem);
			access_notify_unmap(iopt, area_first, area_len);
			read_lock(&iopt->domains_rwsem);
			write_lock(&iopt->iova_rwsem);
			pos = area_first;
			rc = 0;
			continue;
		}
		area_tear_down(iopt, area);
		*ret_unmapped += area_len;
		if (e.last >= last)
			break;
		pos = e.last + 1;
	}
	write_unlock(&iopt->iova_rwsem);
	read_unlock(&iopt->domains_rwsem);
	return rc;
}

int iopt_unmap_all(struct io_pagetable *iopt, u64 *ret_unmapped)
{
	return iopt_unmap_iova(iopt, 0, UINT64_MAX, ret_unmapped);
}

/* ---- splitting (VFIO type1) ---- */

static int area_split_locked(struct io_pagetable *iopt, struct iopt_area *area, u64 at)
{
	u64 align = iopt->iova_alignment, at_byte = area_start_byte(area, at);
	struct iopt_area *upper;
	int rc;

	if (!area_usable(area) || atomic_load_explicit(&area->prevent_access, memory_order_relaxed))
		return -EBUSY;
	if (area->pages->origin == IOPT_ORIGIN_DMABUF)
		return -EOPNOTSUPP;
	if ((at | at_byte) & (align - 1))
		return -EINVAL;
	upper = zalloc(sizeof(*upper));
	if (!upper)
		return -ENOMEM;
	rc = -EINVAL;
	if (atomic_load_explicit(&area->num_accesses, memory_order_relaxed))
		goto err_free;
	if (area->held && !iopt->disable_large_pages)
		goto err_free;

	mutex_lock(&area->pages->mutex);
	rc = 0;
	if (area->held)
		rc = pages_split_hold(area->pages, area_first_index(area),
				      (at_byte - 1) >> PAGE_SHIFT, at_byte >> PAGE_SHIFT,
				      area_last_index(area));
	if (!rc)
		rc = rangemap_split(&iopt->areas, at, upper);
	mutex_unlock(&area->pages->mutex);
	if (rc)
		goto err_free;
	area_note_gone(iopt, area);
	upper->iopt = iopt;
	upper->pages = pages_get(area->pages);
	upper->first = at;
	upper->last = area->last;
	upper->offset = at_byte;
	upper->prot = area->prot;
	upper->held = area->held;
	area->last = at - 1;
	area_note(iopt, area);
	area_note(iopt, upper);
	return 0;
err_free:
	free(upper);
	return rc;
}

int iopt_cut_iova(struct io_pagetable *iopt, const u64 *cuts, u32 n)
{
	struct rangemap_entry e;
	int rc = 0;

	/* Domains for writing: the halves' holds change under no filler's feet. */
	write_lock(&iopt->domains_rwsem);
	write_lock(&iopt->iova_rwsem);
	for (u32 i = 0; i < n && !rc; i++) {
		/* Linux ignores a cut that is not inside an area, or one byte after its start. */
		if (!rangemap_find(&iopt->areas, cuts[i], &e) || e.first == cuts[i] ||
		    e.first + 1 == cuts[i])
			continue;
		rc = area_split_locked(iopt, e.value, cuts[i]);
	}
	write_unlock(&iopt->iova_rwsem);
	write_unlock(&iopt->domains_rwsem);
	return rc;
}
