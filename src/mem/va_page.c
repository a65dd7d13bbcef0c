/* SPDX-License-Identifier: MIT */
/*
 * Which page is behind an address at this moment: what the self-test interface
 * compares with what a domain or an access holds.  Nothing is pinned or made.
 */
#include "mem/mem_priv.h"

static void window_describe(struct mem_backing *backing, u64 index, u64 *ret_pa, u64 *ret_pins)
{
	struct mem_space *space = backing->space;
	u32 page = (u32)(index % MEM_WINDOW_PAGES);
	struct mem_window *window;

	*ret_pa = MEM_NO_PHYS;
	*ret_pins = 0;
	mutex_lock(&space->lock);
	window = window_find(backing, index / MEM_WINDOW_PAGES);
	if (window) {
		*ret_pa = window->pa +
			  ((u64)layout_to_phys(&window->layout, page) << PAGE_SHIFT);
		*ret_pins = window_page_pins(window, page);
	}
	mutex_unlock(&space->lock);
}

static int mapped_page(struct mm *mm, const struct vma *vma, u64 va, u64 *ret_pa, u64 *ret_pins)
{
	struct vma_origin origin;
	int rc;

	if (!(vma->flags & VMA_READ))
		return -EFAULT;
	rc = vma_origin_get(mm, vma, false, false, &origin);
	if (rc)
		return rc;
	if (mm->ops->touch(mm, va, false)) {
		rc = -EFAULT;
	} else if (origin.backing) {
		u64 index = (va - vma->first + vma->offset) >> PAGE_SHIFT;

		window_describe(origin.backing, index, ret_pa, ret_pins);
	} else {
		window_describe(mm->backing, va >> PAGE_SHIFT, ret_pa, ret_pins);
	}
	if (origin.backing)
		backing_put(origin.backing);
	return rc;
}

int mem_va_page(struct mm *mm, u64 va, u64 *ret_pa, u64 *ret_pins, bool *ret_huge)
{
	struct vma vma;
	int rc;

	if (va >= MEM_VA_END)
		return va >= PAGE_MASK ? -EOVERFLOW : -EFAULT;
	va &= PAGE_MASK;
	rc = vma_find(mm, va, &vma);
	if (mm->trusted) {
		/* Every address is its own identity; the mapping only tells the page size. */
		if (mm->ops->touch(mm, va, false))
			return -EFAULT;
		window_describe(mm->backing, va >> PAGE_SHIFT, ret_pa, ret_pins);
		*ret_huge = !rc && vma.page_size > PAGE_SIZE;
		return 0;
	}
	if (rc)
		return -EFAULT;
	rc = mapped_page(mm, &vma, va, ret_pa, ret_pins);
	if (rc)
		return rc;
	*ret_huge = vma.page_size > PAGE_SIZE;
	return 0;
}

int mem_va_device(struct mm *mm, u64 va, u64 *ret_pa)
{
	struct mem_backing *backing;
	struct vma vma;
	u64 pins;

	if (va >= MEM_VA_END || vma_find(mm, va, &vma) || !(vma.flags & VMA_SHARED) || !vma.ino)
		return -EFAULT;
	backing = file_backing_find(mm->space, vma.dev, vma.ino);
	if (!backing)
		return -EFAULT;
	*ret_pa = MEM_NO_PHYS;
	if (backing->device)
		window_describe(backing, ((va & PAGE_MASK) - vma.first + vma.offset) >> PAGE_SHIFT,
				ret_pa, &pins);
	backing_put(backing);
	return *ret_pa == MEM_NO_PHYS ? -EFAULT : 0;
}

int mem_va_file(struct mm *mm, u64 va, u64 length, u64 *ret_dev, u64 *ret_ino, u64 *ret_offset)
{
	u64 last = va + length - 1, at = va;
	struct vma vma;

	do {
		if (at >= MEM_VA_END || vma_find(mm, at, &vma) || !(vma.flags & VMA_SHARED) ||
		    !vma.ino)
			return -EFAULT;
		if (at == va) {
			*ret_dev = vma.dev;
			*ret_ino = vma.ino;
			*ret_offset = at - vma.first + vma.offset;
		} else if (vma.dev != *ret_dev || vma.ino != *ret_ino ||
			   vma.offset != *ret_offset + (at - va)) {
			return -EFAULT;
		}
		at = vma.last + 1;
	} while (vma.last < last);
	return 0;
}
