/* SPDX-License-Identifier: MIT */
/*
 * Pins by address, and what can be done with a run of pinned pages.
 *
 * A pin is counted in the page's own counter, or, when a whole 2 MiB chunk is
 * pinned at once, in the chunk's: a GiB costs 512 increments.  A page is
 * pinned as often as both counters say together, modulo 2^32, so pins of one
 * grain may be undone in the other.
 */
#include <errno.h>
#include <unistd.h>

#include "base/fault.h"
#include "mem/mem_priv.h"

#define ORIGIN_TRIES 100

void pins_add(struct mem_window *window, u32 first, u32 npages, u32 delta)
{
	_Atomic u32 *pages = window->pins;
	_Atomic u32 *chunks = window->pins + MEM_WINDOW_PAGES;
	u32 end = first + npages;

	while (first < end) {
		if (!(first % MEM_CHUNK_PAGES) && end - first >= MEM_CHUNK_PAGES) {
			atomic_fetch_add_explicit(&chunks[first >> MEM_CHUNK_LG2], delta,
						  memory_order_relaxed);
			first += MEM_CHUNK_PAGES;
		} else {
			atomic_fetch_add_explicit(&pages[first++], delta, memory_order_relaxed);
		}
	}
}

u32 window_page_pins(const struct mem_window *window, u32 page)
{
	const _Atomic u32 *chunks = window->pins + MEM_WINDOW_PAGES;

	return atomic_load_explicit(&window->pins[page], memory_order_relaxed) +
	       atomic_load_explicit(&chunks[page >> MEM_CHUNK_LG2], memory_order_relaxed);
}

/* Pages from @va to the end of its GiB. */
static u64 va_section_pages(u64 va)
{
	return (MEM_WINDOW_SIZE - (va & (MEM_WINDOW_SIZE - 1))) >> PAGE_SHIFT;
}

/*
 * How many of the @npages pages from @va can be taken: the first and the last one are
 * touched.  If the last is missing, fewer are tried; the caller comes back for the others.
 */
static s64 mm_present(struct mm *mm, u64 va, u64 npages, bool write)
{
	if (mm->ops->touch(mm, va, write))
		return -EFAULT;
	while (npages > 1 && mm->ops->touch(mm, va + ((npages - 1) << PAGE_SHIFT), write))
		npages /= 2;
	return (s64)npages;
}

static s64 run_publish(struct mem_window *window, u64 first, u64 npages, struct mem_run *ret_run)
{
	pins_add(window, (u32)first, (u32)npages, 1);
	*ret_run = (struct mem_run){ window, (u32)first, (u32)npages };
	return (s64)npages;
}

static s64 pin_private(struct mm *mm, u64 va, u64 npages, bool write, bool touch,
		       struct mem_run *ret_run)
{
	u64 first = (va >> PAGE_SHIFT) % MEM_WINDOW_PAGES;
	struct mem_window *window;
	int rc;

	npages = MIN(npages, va_section_pages(va));
	if (touch) {
		s64 present = mm_present(mm, va, npages, write);

		if (present < 0)
			return present;
		npages = (u64)present;
	}
	rc = mm_window_take(mm, va, npages, &window);
	if (rc)
		return rc;
	return run_publish(window, first, npages, ret_run);
}

/* Pages of @backing from page @index on that its file has now. */
static u64 file_pages_from(const struct mem_backing *backing, u64 index)
{
	struct stat st;
	u64 pages;

	if (fstat(backing->fd, &st))
		return 0;
	pages = ALIGN_UP((u64)st.st_size, PAGE_SIZE) >> PAGE_SHIFT;
	return pages > index ? pages - index : 0;
}

static s64 pin_shared(struct mem_backing *backing, const struct vma *vma, u64 va, u64 npages,
		      struct mem_run *ret_run)
{
	u64 index = (va - vma->first + vma->offset) >> PAGE_SHIFT;
	u64 first = index % MEM_WINDOW_PAGES;
	/* Asked once: the file may grow and shrink meanwhile. */
	u64 present = file_pages_from(backing, index);
	struct mem_window *window;
	int rc;

	if (!present)
		return -EFAULT;
	npages = MIN(npages, MEM_WINDOW_PAGES - first);
	npages = MIN(npages, present);
	rc = window_take(backing, index / MEM_WINDOW_PAGES, npages, &window);
	if (rc)
		return rc;
	return run_publish(window, first, npages, ret_run);
}

/*
 * The mapping at @va, and who backs it.  Other threads may change mappings meanwhile; who does so
 * without a pause, or a kernel that names no mappings, gets private memory in the end.
 */
static int find_origin(struct mm *mm, u64 va, bool write, struct vma *ret_vma,
		       struct vma_origin *ret_origin)
{
	int rc = -EAGAIN;

	for (int i = 0; rc == -EAGAIN && i < ORIGIN_TRIES; i++) {
		if (vma_find(mm, va, ret_vma) ||
		    !(ret_vma->flags & (write ? VMA_WRITE : VMA_READ)))
			return -EFAULT;
		rc = vma_origin_get(mm, ret_vma, write, true, ret_origin);
	}
	return rc == -EAGAIN ? 0 : rc;
}

/* Pin what the mapping at @va says is there. */
static s64 pin_mapped(struct mm *mm, u64 va, u64 npages, bool write, struct mem_run *ret_run)
{
	struct vma_origin origin;
	struct vma vma;
	s64 pinned;
	int rc;

	rc = find_origin(mm, va, write, &vma, &origin);
	if (rc)
		return rc;
	npages = MIN(npages, (vma.last - va + 1) >> PAGE_SHIFT);
	/* Private pages of a file end where the file does; anonymous ones are always there. */
	if (!origin.backing)
		return pin_private(mm, va, npages, write, vma.ino != 0, ret_run);
	pinned = pin_shared(origin.backing, &vma, va, npages, ret_run);
	backing_put(origin.backing);
	return pinned;
}

s64 mem_pin_va(struct mm *mm, u64 va, u64 npages, bool write, struct mem_run *ret_run)
{
	if (fault_point("pin"))
		return -EFAULT;
	if (unlikely(va >= MEM_VA_END))
		return va >= PAGE_MASK ? -EOVERFLOW : -EFAULT;
	if (likely(mm->trusted))
		return pin_private(mm, va, npages, write, true, ret_run);
	return pin_mapped(mm, va, npages, write, ret_run);
}

void mem_unpin(const struct mem_run *run)
{
	pins_add(run->window, run->first, run->npages, -1U);
	window_put(run->window, run->npages);
}

void mem_run_pin_again(const struct mem_run *run)
{
	/* The pages are pinned, so this is not the first reference. */
	atomic_fetch_add_explicit(&run->window->refs, run->npages, memory_order_relaxed);
	pins_add(run->window, run->first, run->npages, 1);
}

u64 mem_run_phys(const struct mem_run *run, u32 i, u32 *ret_contig)
{
	const struct mem_layout *layout = &run->window->layout;
	u32 phys = layout_to_phys(layout, run->first + i);
	u32 left = run->npages - i;
	u32 contig = left;

	if (!layout_is_linear(layout)) {
		contig = 1;
		while (contig < left &&
		       layout_to_phys(layout, run->first + i + contig) == phys + contig)
			contig++;
	}
	*ret_contig = contig;
	return run->window->pa + ((u64)phys << PAGE_SHIFT);
}

int memfd_copy(int fd, u64 va, void *buf, size_t len, bool write)
{
	while (len) {
		ssize_t n = write ? pwrite(fd, buf, len, (off_t)va) :
				    pread(fd, buf, len, (off_t)va);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EFAULT;
		buf = (u8 *)buf + n;
		va += (u64)n;
		len -= (size_t)n;
	}
	return 0;
}

int window_copy(const struct mem_window *window, u64 offset, void *buf, size_t len, bool write)
{
	void *host = (void *)(window->host + offset);

	if (!window->direct && window->backing->kind == MEM_BACKING_IO)
		return io_copy(window->backing, offset, buf, len, write);
	if (!window->direct)
		return memfd_copy(window->backing->fd, window->host + offset, buf, len, write);
	return write ? mem_guard_copy(host, buf, len) : mem_guard_copy(buf, host, len);
}

int mem_run_read(const struct mem_run *run, u64 offset, void *dst, size_t len)
{
	return window_copy(run->window, ((u64)run->first << PAGE_SHIFT) + offset, dst, len, false);
}

int mem_run_write(const struct mem_run *run, u64 offset, const void *src, size_t len)
{
	return window_copy(run->window, ((u64)run->first << PAGE_SHIFT) + offset, (void *)src, len,
			   true);
}
