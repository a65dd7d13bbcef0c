/* SPDX-License-Identifier: MIT */
/*
 * Accesses at work: pinning pages and copying.
 *
 * The ioas_lock is held throughout, so a detach waits for what is under way;
 * the areas are walked with iova_rwsem for reading, so many accesses run side
 * by side, and an unmap that finds a pin asks for it back.
 */
#include "ioas/access.h"
#include "ioas/area.h"

#include "mem/task.h"

/* May the access use this area?  Permissions, and whether the memory can be touched at all. */
static int area_check_access(const struct iopt_area *area, bool write)
{
	if (atomic_load_explicit(&area->prevent_access, memory_order_relaxed))
		return -EINVAL;
	if (!(area->prot & (write ? IOMMU_WRITE : IOMMU_READ)))
		return -EPERM;
	if (write && !area->pages->writable)
		return -EPERM;
	if (area->pages->origin == IOPT_ORIGIN_DMABUF)
		return -EINVAL;
	return 0;
}

/* ---- pin ---- */

/*
 * Pages are whole: a step begins at a page's start and, unless it is the last, ends at one's end.
 */
static bool walk_step_is_page_aligned(const struct area_walk *walk)
{
	const struct iopt_area *area = walk->area;

	if (area_start_byte(area, walk->cur) & ~PAGE_MASK)
		return false;
	return area_walk_done(walk) ||
	       (area_start_byte(area, area->last) & ~PAGE_MASK) == PAGE_SIZE - 1;
}

static int area_pin(struct iopt_area *area, u64 first_index, u64 last_index, bool lock,
		    phys_addr_t *ret_pages)
{
	struct iopt_pages *pages = area->pages;
	int rc = 0;

	mutex_lock(&pages->mutex);
	rc = pages_hold(pages, first_index, last_index);
	if (!rc && fault_point("access_pin")) {
		pages_release(pages, first_index, last_index);
		rc = -EINVAL;
	}
	for (u64 i = first_index; !rc && i <= last_index; i++)
		*ret_pages++ = pages_phys(pages, i << PAGE_SHIFT);
	if (!rc) {
		atomic_fetch_add_explicit(&area->num_accesses, 1, memory_order_relaxed);
		if (lock)
			atomic_fetch_add_explicit(&area->num_locks, 1, memory_order_relaxed);
	}
	mutex_unlock(&pages->mutex);
	return rc;
}

static void area_unpin(struct iopt_area *area, u64 first_index, u64 last_index, bool lock)
{
	mutex_lock(&area->pages->mutex);
	pages_release(area->pages, first_index, last_index);
	if (lock)
		atomic_fetch_sub_explicit(&area->num_locks, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&area->num_accesses, 1, memory_order_relaxed);
	mutex_unlock(&area->pages->mutex);
}

static void access_unpin_locked(struct iommufd_access *access, struct io_pagetable *iopt, u64 iova,
				u64 last)
{
	struct area_walk walk;

	area_walk_for_each(&walk, iopt, iova, last)
		area_unpin(area, area_start_byte(area, walk.cur) >> PAGE_SHIFT,
			   area_start_byte(area, area_walk_step_last(&walk)) >> PAGE_SHIFT,
			   access->internal);
}

static int access_pin_locked(struct iommufd_access *access, struct io_pagetable *iopt, u64 iova,
			     u64 last, phys_addr_t *ret_pages, bool write)
{
	struct area_walk walk;
	u64 first_index, last_index;
	int rc = 0;

	area_walk_for_each(&walk, iopt, iova, last) {
		if (atomic_load_explicit(&area->prevent_access, memory_order_relaxed) ||
		    !walk_step_is_page_aligned(&walk))
			rc = -EINVAL;
		else
			rc = area_check_access(area, write);
		if (rc)
			break;
		first_index = area_start_byte(area, walk.cur) >> PAGE_SHIFT;
		last_index = area_start_byte(area, area_walk_step_last(&walk)) >> PAGE_SHIFT;
		rc = area_pin(area, first_index, last_index, access->internal, ret_pages);
		if (rc)
			break;
		ret_pages += last_index - first_index + 1;
	}
	if (!rc && !area_walk_done(&walk))
		rc = -ENOENT;
	if (rc && walk.cur > iova)
		access_unpin_locked(access, iopt, iova, walk.cur - 1);
	return rc;
}

int iommufd_access_pin_pages(struct iommufd_access *access, u64 iova, u64 length,
			     phys_addr_t *ret_pages, unsigned int flags)
{
	struct io_pagetable *iopt;
	u64 last;
	int rc;

	if (!access->internal && !access->ops->needs_pin_pages)
		return -EINVAL;
	rc = range_last(iova, length, &last);
	if (rc)
		return rc;
	mutex_lock(&access->ioas_lock);
	if (!access->ioas) {
		mutex_unlock(&access->ioas_lock);
		return -ENOENT;
	}
	iopt = &access->ioas->iopt;
	read_lock(&iopt->iova_rwsem);
	rc = access_pin_locked(access, iopt, iova, last, ret_pages,
			       flags & IOMMUFD_ACCESS_RW_WRITE);
	read_unlock(&iopt->iova_rwsem);
	mutex_unlock(&access->ioas_lock);
	return rc;
}

void iommufd_access_unpin_pages(struct iommufd_access *access, u64 iova, u64 length)
{
	struct io_pagetable *iopt;
	u64 last;

	if (range_last(iova, length, &last))
		return;
	mutex_lock(&access->ioas_lock);
	if (access->ioas_unpin) {
		iopt = &access->ioas_unpin->iopt;
		read_lock(&iopt->iova_rwsem);
		access_unpin_locked(access, iopt, iova, last);
		read_unlock(&iopt->iova_rwsem);
	}
	mutex_unlock(&access->ioas_lock);
}

/* ---- copy ---- */

static int pages_rw_va(struct iopt_pages *pages, struct mm *mm, u64 offset, void *data, u64 length,
		       bool write)
{
	u64 va = pages->start + offset;

	return write ? mm_write(mm, va, data, length) : mm_read(mm, va, data, length);
}

/*
 * Through the address the program uses now, where that is right: the caller is the owner (its
 * own view counts), or one page of an owner that still lives.  Else through pages, which agree
 * with what domains hold.
 */
static int area_rw(struct iopt_area *area, u64 iova, void *data, u64 length, bool write,
		   unsigned int flags)
{
	struct iopt_pages *pages = area->pages;
	u64 offset = area_start_byte(area, iova);
	bool own, one_page = (offset & ~PAGE_MASK) + length <= PAGE_SIZE;
	struct mm *mm = NULL;
	int rc;

	mutex_lock(&pages->mutex);
	if (pages->origin == IOPT_ORIGIN_USER) {
		own = (flags & IOMMUFD_ACCESS_RW_KTHREAD) ||
		      (task_current && task_current->mm == pages->mm);
		own = own && !(flags & IOMMUFD_ACCESS_RW_SLOW_PATH);
		if ((own || one_page) && mm_alive(pages->mm))
			mm = mm_get(pages->mm);
		if (mm && !own && fault_point("access_rw_page")) {
			mm_put(mm);
			mutex_unlock(&pages->mutex);
			return -EINVAL;
		}
	}
	mutex_unlock(&pages->mutex);
	if (!mm)
		return pages_rw(pages, offset, data, length, write);
	rc = pages_rw_va(pages, mm, offset, data, length, write);
	mm_put(mm);
	return rc;
}

static int iopt_rw(struct io_pagetable *iopt, u64 iova, u64 last, char *data, unsigned int flags)
{
	bool write = flags & IOMMUFD_ACCESS_RW_WRITE;
	struct area_walk walk;
	u64 length;
	int rc;

	area_walk_for_each(&walk, iopt, iova, last) {
		rc = area_check_access(area, write);
		if (rc)
			return rc;
		length = area_walk_step_last(&walk) - walk.cur + 1;
		rc = area_rw(area, walk.cur, data, length, write, flags);
		if (rc)
			return rc;
		data += length;
	}
	return area_walk_done(&walk) ? 0 : -ENOENT;
}

int iommufd_access_rw(struct iommufd_access *access, u64 iova, void *data, size_t length,
		      unsigned int flags)
{
	struct io_pagetable *iopt;
	u64 last;
	int rc;

	rc = range_last(iova, length, &last);
	if (rc)
		return rc;
	mutex_lock(&access->ioas_lock);
	if (!access->ioas) {
		mutex_unlock(&access->ioas_lock);
		return -ENOENT;
	}
	iopt = &access->ioas->iopt;
	read_lock(&iopt->iova_rwsem);
	rc = iopt_rw(iopt, iova, last, data, flags);
	read_unlock(&iopt->iova_rwsem);
	mutex_unlock(&access->ioas_lock);
	return rc;
}
