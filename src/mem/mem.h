/* SPDX-License-Identifier: MIT */
/*
 * Physical memory as IOMMUs see it.  A backing is memory with one identity: a
 * file (memfd, hugetlbfs, tmpfs, shared anonymous memory), or the private
 * memory of one mm.  Each GiB-sized section of a backing that somebody pins is
 * given a window of physical space, so pages that are neighbours in their
 * backing are neighbours in physical space (the policy may scatter them, by a
 * permutation inside the window), a page has the same frame from wherever it
 * is reached, and frame -> host pointer is one table load and an addition.
 *
 * Nothing is truly locked in RAM.  A pin holds the window, and through it the
 * backing (a file stays though the program closes it); it counts in the page's
 * pin counter, which is what makes double pins visible to tests.
 *
 * Locks: mem_space.lock guards the window and backing tables; counters are
 * atomic; a window's fields are immutable after it is published.  Leaf lock:
 * nothing else is taken under it.
 */
#ifndef MEM_MEM_H
#define MEM_MEM_H

#include <stdatomic.h>

#include "base/types.h"
#include "base/log.h"

struct mem_space;
struct mem_window;
struct mem_user;
struct mm;

#define MEM_WINDOW_SHIFT 30
#define MEM_WINDOW_PAGES (1UL << (MEM_WINDOW_SHIFT - PAGE_SHIFT))
#define MEM_PHYS_BITS 48

/** mem_space_create() - no memory yet; 0, -ENOMEM; @log is copied, NULL is silent */
int mem_space_create(enum iommufd_frame_policy policy, const struct log_sink *log,
		     struct mem_space **ret_space);
/** mem_space_destroy() - every mm, file, user and pin of it must be gone; NULL is a no-op */
void mem_space_destroy(struct mem_space *space);

/**
 * struct mem_run - pages pinned together, consecutive in one window
 * @window: where they are; the run holds it
 * @first: index of the first page in the window's linear order
 * @npages: at least 1
 *
 * 16 bytes, so that whoever holds pins can store runs instead of pages.
 */
struct mem_run {
	struct mem_window *window;
	u32 first;
	u32 npages;
};

/**
 * mem_pin_va() - pin the longest run of pages from @va
 * @mm: whose memory
 * @va: page aligned
 * @npages: how many are wanted
 * @write: the pages must be writable by the program (else readable)
 * @ret_run: set on success; mem_unpin() it
 *
 * Pins pages that lie in one mapping and one window, perhaps not all: call again for the rest.
 * Copy-on-write needs no breaking: private memory is always reached through its owner.
 *
 * Context: may sleep; call with no lock that an access notification needs.
 * Return: pages pinned (1..@npages), -EFAULT if the first page is not mapped, lacks the
 * permission, is a device mapping, lies beyond the end of its file, or the mm is gone;
 * -EOVERFLOW for the last page of the address space; -ENOMEM.
 */
s64 mem_pin_va(struct mm *mm, u64 va, u64 npages, bool write, struct mem_run *ret_run);

/* A file as the origin of pages (MAP_FILE). */
struct mem_file;

/**
 * mem_file_open() - look at a file of the program
 * @host_fd: a descriptor in this process; duplicated, the caller keeps its own
 *
 * Any file is accepted here; what can not be pinned is refused by mem_pin_file().
 * Return: 0, -EBADF, -ENOMEM, -EMFILE.
 */
int mem_file_open(struct mem_space *space, int host_fd, struct mem_file **ret_file);
/**
 * mem_file_open_device() - the same for a file that stands for device memory (a BAR)
 *
 * While it is open its pages are physically contiguous under every policy (within each GiB),
 * and mem_pin_va() refuses its mappings as it does those of real device memory.
 * Return: as above; -EINVAL also if the file is not shmem or hugetlbfs, -EBUSY if its pages
 * are pinned already.
 */
int mem_file_open_device(struct mem_space *space, int host_fd, struct mem_file **ret_file);
void mem_file_put(struct mem_file *file);

/**
 * mem_pin_file() - as mem_pin_va(), from page @index of @file on
 * Return: pages pinned, -EINVAL if the file is not shmem or hugetlbfs, or one of the pages is
 * not wholly inside the file's current size; -ENOMEM.
 */
s64 mem_pin_file(struct mem_file *file, u64 index, u64 npages, struct mem_run *ret_run);

/** mem_unpin() - drop the pins of @run; cannot fail */
void mem_unpin(const struct mem_run *run);
/** mem_run_pin_again() - count another pin on pages that are already pinned through @run */
void mem_run_pin_again(const struct mem_run *run);

/**
 * mem_run_phys() - physical address of page @i of @run
 * @ret_contig: how many pages from @i on (within the run) are physically consecutive
 */
u64 mem_run_phys(const struct mem_run *run, u32 i, u32 *ret_contig);

/**
 * mem_run_read() / mem_run_write() - copy to or from pinned pages
 * @offset: bytes from the start of the run; offset + len lies within it
 * Return: 0, -EFAULT if the program has taken the memory away.
 */
int mem_run_read(const struct mem_run *run, u64 offset, void *dst, size_t len);
int mem_run_write(const struct mem_run *run, u64 offset, const void *src, size_t len);

/* ---- by physical address: what devices, walkers and table code use ---- */

/**
 * mem_phys_ptr() - host address of physical memory
 * @ret_len: bytes from @pa that are consecutive at the result (at most to the window's end)
 *
 * Return: NULL if @pa is no memory or only reachable by copying (private memory of another
 * process).  Memory that belongs to a program may vanish: touch it only with mem_guard_*().
 * The pointer is good while the page stays pinned; who can not know that (a device without
 * translation) uses mem_phys_read() and mem_phys_write(), which hold the window meanwhile.
 */
void *mem_phys_ptr(struct mem_space *space, u64 pa, u64 *ret_len);
/**
 * mem_phys_read(), mem_phys_write() - any address and length; 0 or -EFAULT
 * Where a device answers (mem/io.h) it is called: hold no lock.
 */
int mem_phys_read(struct mem_space *space, u64 pa, void *dst, size_t len);
int mem_phys_write(struct mem_space *space, u64 pa, const void *src, size_t len);
/**
 * mem_ram_read(), mem_ram_write() - the same, but -EREMOTEIO where it is not memory that answers
 */
int mem_ram_read(struct mem_space *space, u64 pa, void *dst, size_t len);
int mem_ram_write(struct mem_space *space, u64 pa, const void *src, size_t len);
/**
 * mem_phys_load64(), mem_phys_cas64() - one aligned word as the hardware accesses it: whole
 * @old: what must be there for @value to be written; becomes what was there, so the exchange
 *	happened if it has not changed
 *
 * The private memory of another process has no atomic way in: there the exchange is a read and
 * a write, and what the process itself writes between them is lost.
 * Return: 0; -EFAULT no memory, or misaligned.
 */
int mem_phys_load64(struct mem_space *space, u64 pa, u64 *ret);
int mem_phys_cas64(struct mem_space *space, u64 pa, u64 *old, u64 value);
/**
 * mem_pinned_load64(), mem_pinned_cas64() - the same where the page is known to stay meanwhile
 *
 * For addresses that tables of our own software give inside a stay in the IOTLB, whose pages stay
 * pinned until it is over: holding the window besides would be two counts for each word.
 */
int mem_pinned_load64(struct mem_space *space, u64 pa, u64 *ret);
int mem_pinned_cas64(struct mem_space *space, u64 pa, u64 *old, u64 value);

/**
 * mem_frames_alloc() - our own memory in physical space (I/O page tables, test buffers)
 * @lg2_size: 12 to 21; naturally aligned, physically contiguous under every policy, zeroed
 * Return: host pointer or NULL; pooled, thread safe, tens of nanoseconds when warm.
 */
void *mem_frames_alloc(struct mem_space *space, unsigned int lg2_size, u64 *ret_pa);
void mem_frames_free(struct mem_space *space, void *ptr, u64 pa, unsigned int lg2_size);

/* How struct mem_space begins, so that the next function needs no call. */
struct mem_space_front {
	uintptr_t *frame_host; /* host address of each GiB of physical space that holds frames */
	_Atomic uintptr_t *phys_host; /* and of each that is memory in one piece; else 0 */
};

/**
 * mem_phys_host() - mem_phys_ptr() of a whole page, where it is but a load
 * @phys_host: of struct mem_space_front, of the space
 * Return: NULL also where mem_phys_ptr() knows better.
 */
static inline u8 *mem_phys_host(_Atomic uintptr_t *phys_host, u64 pa)
{
	uintptr_t host;

	if (unlikely(pa >> MEM_PHYS_BITS))
		return NULL;
	host = atomic_load_explicit(&phys_host[pa >> MEM_WINDOW_SHIFT], memory_order_relaxed);
	return likely(host) ? (u8 *)(host + (pa & ((1UL << MEM_WINDOW_SHIFT) - 1))) : NULL;
}

/** mem_frames_ptr() - pointer of a pa that mem_frames_alloc() returned; fast, no checks */
static inline void *mem_frames_ptr(struct mem_space *space, u64 pa)
{
	const struct mem_space_front *front = (const struct mem_space_front *)space;

	return (void *)(front->frame_host[pa >> MEM_WINDOW_SHIFT] +
			(pa & ((1UL << MEM_WINDOW_SHIFT) - 1)));
}

/* ---- copies that survive vanishing memory ---- */

/**
 * mem_guard_copy() - memcpy() where either side may fault
 * Aligned copies of 4 and 8 bytes are one load and one store.
 * Return: 0 or -EFAULT (SIGSEGV or SIGBUS met; bytes before it may have been copied).
 */
int mem_guard_copy(void *dst, const void *src, size_t len);

/**
 * mem_guard_add(), _swap(), _compare_swap() - one atomic operation on memory that may fault
 * @ptr: aligned to @size, which is 4 or 8
 * @ret_old: what was there
 * Return: 0 or -EFAULT.
 */
int mem_guard_add(void *ptr, size_t size, u64 operand, u64 *ret_old);
int mem_guard_swap(void *ptr, size_t size, u64 operand, u64 *ret_old);
int mem_guard_compare_swap(void *ptr, size_t size, u64 compare, u64 operand, u64 *ret_old);

/* ---- for the self-test interface ---- */

/**
 * mem_va_page() - which page is behind @va now
 * @ret_pa: its frame's address if it lies in a window, else MEM_NO_PHYS
 * @ret_pins: pins on it, of all contexts of this space
 * @ret_huge: it is part of a huge page
 * Return: 0, -EFAULT if not accessible.
 */
#define MEM_NO_PHYS (~0ULL)
int mem_va_page(struct mm *mm, u64 va, u64 *ret_pa, u64 *ret_pins, bool *ret_huge);

/**
 * mem_va_device() - which device memory is mapped at @va now
 * @ret_pa: of the page; the memory stays only as long as its device lets it
 * Return: 0, -EFAULT none is (mem_pin_va() is for other memory).
 */
int mem_va_device(struct mm *mm, u64 va, u64 *ret_pa);

/**
 * mem_va_file() - which file [@va, @va + @length) is a shared mapping of, all of it
 * @length: at least 1, no wrap
 * @ret_offset: in the file, of @va
 * Return: 0, -EFAULT it is of none, or not of consecutive bytes of one.
 */
int mem_va_file(struct mm *mm, u64 va, u64 length, u64 *ret_dev, u64 *ret_ino, u64 *ret_offset);

/** mem_space_pins() - pins of the whole space, for leak checks */
u64 mem_space_pins(struct mem_space *space);
/**
 * mem_space_check() - NULL if tables and counters are sound, else what is wrong
 * Context: nothing may be pinned or unpinned meanwhile.
 */
const char *mem_space_check(struct mem_space *space);

#endif
