/* SPDX-License-Identifier: MIT */
/*
 * What the files of this room share: backings, windows, the space, address
 * spaces and the guarded touches.
 *
 *	space --> windows[pa >> 30] --> window --> backing --> file or mm
 *
 * A window lives as long as its refs are not zero: pages pinned through it,
 * plus one for each long-term holder (an mm for the windows of its private
 * memory, a mem_file for the window it used first).  The count may drop to
 * zero only under the space's lock, and it may rise from zero never; so who
 * finds a window under that lock can take it.  A freed struct mem_window goes
 * to a list and is used again as a window, never as anything else: that lets a
 * reader who has only a physical address try to take a reference without the
 * lock and look afterwards whether it got the right one.
 */
#ifndef MEM_MEM_PRIV_H
#define MEM_MEM_PRIV_H

#include <stdatomic.h>
#include <sys/stat.h>
#include <urcu/hlist.h>
#include <urcu/list.h>

#include "base/lock.h"
#include "mem/mem.h"
#include "mem/mm.h"

#define MEM_WINDOW_SIZE (1UL << MEM_WINDOW_SHIFT)
#define MEM_WINDOW_PAGES_LG2 (MEM_WINDOW_SHIFT - PAGE_SHIFT)
#define MEM_CHUNK_LG2 9 /* pages in a chunk that has a pin counter of its own: 2 MiB */
#define MEM_CHUNK_PAGES (1U << MEM_CHUNK_LG2)
#define MEM_CHUNKS (MEM_WINDOW_PAGES >> MEM_CHUNK_LG2)

#define MEM_WINDOWS (1U << (MEM_PHYS_BITS - MEM_WINDOW_SHIFT))
#define MEM_FIRST_WINDOW 4 /* physical memory starts at 4 GiB, so 0 is never a valid address */

#define MEM_VA_END (1ULL << 56) /* user addresses end at or below this on all we run on */

enum mem_backing_kind {
	MEM_BACKING_FILE,
	MEM_BACKING_MM,
	MEM_BACKING_FRAMES,
	MEM_BACKING_IO,
};

/**
 * struct mem_backing - memory with one identity
 * @refs: its windows, plus whoever else holds it; under space->lock
 * @fd: FILE: the file, readable and if possible writable; MM: /proc/PID/mem, or -1 when it
 *	is this process; FRAMES, IO: -1
 * @device: FILE: device memory: never scattered, and not to be pinned by address
 */
struct mem_backing {
	struct mem_space *space;             /* this one and the next four immutable */
	enum mem_backing_kind kind;
	int fd;
	bool hugetlb;
	dev_t dev;
	ino_t ino;
	bool device;                         /* under space->lock */
	u64 refs;                            /* under space->lock */
	struct cds_hlist_node node;          /* FILE: in space->files, under space->lock */
	struct cds_list_head windows;        /* under space->lock */
};

/**
 * struct mem_layout - where the pages of a window are in its physical GiB
 *
 * Units of 1 << @unit_lg2 pages are permuted by u -> (u * @mul) ^ @flip; @mul is odd, which
 * makes that a bijection modulo a power of two, and @inv its inverse.
 */
struct mem_layout {
	u32 unit_lg2;
	u32 mask;
	u32 mul;
	u32 inv;
	u32 flip;
};

/**
 * struct mem_window - a GiB of a backing, and of physical space
 * @host: address of its first byte in this process if @direct
 * @direct: it can be reached by pointer; else through backing->fd
 * @pins: a counter per page, then one per chunk; a page is pinned as often as both say
 *	together (modulo 2^32: a chunk pinned as a whole may be unpinned in parts)
 * @refs: pinned pages and @holds; see above
 *
 * What is not marked is immutable while refs is not zero.
 */
struct mem_window {
	struct mem_backing *backing;
	u64 section;
	uintptr_t host;
	bool direct;
	u64 pa;
	struct mem_layout layout;
	_Atomic u32 *pins;
	_Atomic u64 refs;
	u64 holds;                           /* under space->lock */
	struct cds_hlist_node hash_node;     /* under space->lock */
	struct cds_list_head backing_node;   /* in backing->windows, under space->lock */
	struct mem_window *next_free;        /* under space->lock */
};

#define SPACE_WINDOW_BUCKETS 4096
#define SPACE_FILE_BUCKETS 256

struct frame_pool;

struct mem_space {
	struct mem_space_front front;        /* first; see mem_frames_ptr() */
	enum iommufd_frame_policy policy;    /* immutable */
	struct log_sink log;                 /* immutable */
	_Atomic(struct mem_window *) *windows; /* MEM_WINDOWS; entries written under lock */
	struct frame_pool *frames;           /* immutable */
	struct mutex lock;
	u32 next_window;                     /* from here down under lock */
	u32 window_limit;                    /* no window at or above */
	struct mem_window *free_windows;
	struct cds_hlist_head window_hash[SPACE_WINDOW_BUCKETS];
	struct cds_hlist_head files[SPACE_FILE_BUCKETS];
	struct cds_list_head users;
};

/* ---- backings and windows (space.c) ---- */

/* A new backing with one reference; its fd belongs to it from here on, on success only. */
int backing_create(struct mem_space *space, enum mem_backing_kind kind, int fd,
		   struct mem_backing **ret_backing);
void backing_put(struct mem_backing *backing);

/* Take the window of @section with @npages more refs, making it if it does not exist yet. */
int window_take(struct mem_backing *backing, u64 section, u64 npages,
		struct mem_window **ret_window);
/* The window, if it exists, with space->lock held. */
struct mem_window *window_find(struct mem_backing *backing, u64 section);
/* Give up the hold that every window of private memory or frames begins with. */
void backing_unhold_windows(struct mem_backing *backing);
/* Give up one hold. */
void window_unhold(struct mem_window *window);
/* Another reader: the window at @pa if there is one; window_put(window, 1) it. */
struct mem_window *window_get_phys(struct mem_space *space, u64 pa);
void window_put(struct mem_window *window, u64 n);

/* ---- no memory, but somebody who answers (io.c) ---- */

/* A copy of @len bytes at @offset of the window, in accesses of a CPU's sizes; 0 or -EFAULT. */
int io_copy(struct mem_backing *backing, u64 offset, u8 *buf, size_t len, bool write);
/* The backing has lost its last reference. */
void io_gone(struct mem_backing *backing);

/* ---- layout (layout.c) ---- */

void layout_init(struct mem_layout *layout, enum iommufd_frame_policy policy,
		 const struct mem_backing *backing, u32 seed);

static inline u32 layout_to_phys(const struct mem_layout *l, u32 page)
{
	u32 unit = (((page >> l->unit_lg2) * l->mul) ^ l->flip) & l->mask;

	return unit << l->unit_lg2 | (page & ((1U << l->unit_lg2) - 1));
}

static inline u32 layout_to_linear(const struct mem_layout *l, u32 page)
{
	u32 unit = (((page >> l->unit_lg2) ^ l->flip) * l->inv) & l->mask;

	return unit << l->unit_lg2 | (page & ((1U << l->unit_lg2) - 1));
}

static inline bool layout_is_linear(const struct mem_layout *l)
{
	return l->mul == 1 && !l->flip;
}

/* ---- pins (pin.c) ---- */

void pins_add(struct mem_window *window, u32 first, u32 npages, u32 delta);
u32 window_page_pins(const struct mem_window *window, u32 page);
int window_copy(const struct mem_window *window, u64 offset, void *buf, size_t len, bool write);
/* All of @len through a /proc/PID/mem descriptor, or -EFAULT. */
int memfd_copy(int fd, u64 va, void *buf, size_t len, bool write);

/* ---- files (file.c) ---- */

/* Can pages of such a file be pinned?  Also says whether it is hugetlbfs. */
bool file_is_memory(u64 fs_magic, mode_t mode, bool *ret_hugetlb);
struct mem_backing *file_backing_find(struct mem_space *space, dev_t dev, ino_t ino);
/* The backing of the file behind @fd, which is borrowed; -EINVAL if it is not of memory. */
int file_backing_get(struct mem_space *space, int fd, struct mem_backing **ret_backing);
int file_window_map(const struct mem_backing *backing, u64 section, uintptr_t *ret_host);

/* ---- frames (frames.c) ---- */

int frame_pool_create(struct mem_space *space, struct frame_pool **ret_pool);
void frame_pool_destroy(struct frame_pool *pool);

/* ---- address spaces ---- */

/**
 * struct mm_ops - how the two kinds differ
 * @alive: does it still have a user?
 * @is: is it the address space of @pid? (@mm was alive a moment ago)
 * @copy: with the permissions of the mapping; 0 or -EFAULT
 * @touch: is the page at @va there? 0 or -EFAULT; writes nothing, but a page that is
 *	only there on demand comes into being
 */
struct mm_ops {
	bool (*alive)(struct mm *mm);
	bool (*is)(struct mm *mm, pid_t pid);
	int (*copy)(struct mm *mm, u64 va, void *buf, size_t len, bool write);
	int (*touch)(struct mm *mm, u64 va, bool write);
};

#define MM_CACHE 64

/**
 * struct mm - an address space
 * @backing: its private memory; owns /proc/PID/mem
 * @anchor: a process known to have had this address space when it was opened
 * @cache: windows of @backing by section; they live as long as the mm, so that whoever
 *	holds the mm may look without the lock
 */
struct mm {
	const struct mm_ops *ops;            /* down to anchor: immutable */
	struct mem_space *space;
	struct mem_backing *backing;
	bool trusted;
	bool has_query;                      /* PROCMAP_QUERY works */
	int maps_fd;                         /* /proc/PID/maps, or -1 */
	int proc_fd;                         /* /proc/PID, or -1 */
	int pidfd;                           /* of anchor, or -1 */
	pid_t pid;
	pid_t anchor;
	_Atomic u64 refs;
	_Atomic u64 pinned;                  /* pages */
	_Atomic u64 locked;                  /* pages */
	_Atomic u64 memlock;                 /* soft RLIMIT_MEMLOCK in bytes as last seen */
	_Atomic(struct mem_window *) cache[MM_CACHE];
};

/* The common part of making an mm; takes over @mem_fd when it succeeds (mm.c). */
int mm_alloc(struct mem_space *space, const struct mm_ops *ops, int mem_fd, struct mm **ret_mm);
/* The window of private memory at @va with @npages refs for the caller. */
int mm_window_take(struct mm *mm, u64 va, u64 npages, struct mem_window **ret_window);
/* kcmp(KCMP_VM): 1 same, 0 different, -errno if nobody says */
int pids_share_mm(pid_t a, pid_t b);
u64 mm_memlock_limit(struct mm *mm);

/* ---- mappings (vma.c, vma_text.c, vma_origin.c) ---- */

#define VMA_READ 1U
#define VMA_WRITE 2U
#define VMA_EXEC 4U
#define VMA_SHARED 8U

#define VMA_NAME_MAX 64 /* longer names are paths of files and tell us nothing */

struct vma {
	u64 first;
	u64 last;
	u32 flags;
	u64 page_size;
	u64 offset;
	u64 ino;
	dev_t dev;
	char name[VMA_NAME_MAX];
};

/* The mapping that contains @va: 0, -EFAULT if none, -ESRCH if the mm is gone. */
int vma_find(struct mm *mm, u64 va, struct vma *ret_vma);
/* The mapping that contains @va or is the next above it, by descriptor. */
int vma_next(int maps_fd, bool has_query, u64 va, struct vma *ret_vma);
/* Does the descriptor's address space still exist?  @ret_query: how it was asked. */
int maps_fd_alive(int maps_fd, bool *ret_query);
/* The same by reading and parsing the file, for kernels before 6.11. */
int vma_next_text(int maps_fd, u64 va, struct vma *ret_vma);

/**
 * struct vma_origin - where the pages of a mapping come from
 * @backing: of a file, counted; NULL: private memory of the mm
 */
struct vma_origin {
	struct mem_backing *backing;
};

/*
 * Decide who backs @vma.  With @make unset a file that nobody has pinned yet is not opened,
 * and the origin is private memory.  Return: 0, -EFAULT for what can not be pinned, -ENOMEM,
 * and with @make -EAGAIN if @vma is not what is mapped there any more.
 */
int vma_origin_get(struct mm *mm, const struct vma *vma, bool write, bool make,
		   struct vma_origin *ret_origin);

/* ---- guarded touches (guard.c) ---- */

void guard_install(void);
int guard_touch_read(const void *ptr);
int guard_touch_write(void *ptr);
/* Aligned words, as one access; *old becomes what was found.  0 or -EFAULT. */
int guard_load64(const u64 *ptr, u64 *ret);
int guard_cas64(u64 *ptr, u64 *old, u64 value);

#endif
