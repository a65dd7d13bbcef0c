/* SPDX-License-Identifier: MIT */
/*
 * The space: which GiB of physical space belongs to which GiB of which
 * backing.  Physical windows are given out in turn and not the lowest free one
 * again, so that a stale address finds nothing for as long as possible.
 *
 * Locks: space->lock, a leaf.  Unmapping and closing are done after it is
 * released, from a list of what has to go (struct trash).
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "mem/mem_priv.h"

#define PINS_BYTES ((MEM_WINDOW_PAGES + MEM_CHUNKS) * sizeof(u32))

/* What a dying window leaves to be released without the lock. */
struct trash {
	void *host;
	void *pins;
	struct mem_backing *backing;
};

static void *map_zeroed(size_t size)
{
	void *ptr;

	if (fault_point("window"))
		return NULL;
	ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	return ptr == MAP_FAILED ? NULL : ptr;
}

static void trash_empty(const struct trash *trash)
{
	if (trash->host)
		munmap(trash->host, MEM_WINDOW_SIZE);
	if (trash->pins)
		munmap(trash->pins, PINS_BYTES);
	if (trash->backing && trash->backing->kind == MEM_BACKING_IO) {
		io_gone(trash->backing);
	} else if (trash->backing) {
		if (trash->backing->fd >= 0)
			close(trash->backing->fd);
		free(trash->backing);
	}
}

int mem_space_create(enum iommufd_frame_policy policy, const struct log_sink *log,
		     struct mem_space **ret_space)
{
	struct mem_space *space = zalloc(sizeof(*space));
	int rc = -ENOMEM;

	if (!space)
		return -ENOMEM;
	guard_install();
	space->policy = policy;
	if (log)
		space->log = *log;
	mutex_init(&space->lock);
	space->next_window = MEM_FIRST_WINDOW;
	CDS_INIT_LIST_HEAD(&space->users);
	space->windows = map_zeroed(MEM_WINDOWS * sizeof(*space->windows));
	if (!space->windows)
		goto err_free;
	space->front.frame_host = map_zeroed(MEM_WINDOWS * sizeof(uintptr_t));
	if (!space->front.frame_host)
		goto err_unmap_windows;
	space->front.phys_host = map_zeroed(MEM_WINDOWS * sizeof(uintptr_t));
	if (!space->front.phys_host)
		goto err_unmap_frame_host;
	rc = frame_pool_create(space, &space->frames);
	if (rc)
		goto err_unmap_phys_host;
	*ret_space = space;
	return 0;
err_unmap_phys_host:
	munmap(space->front.phys_host, MEM_WINDOWS * sizeof(uintptr_t));
err_unmap_frame_host:
	munmap(space->front.frame_host, MEM_WINDOWS * sizeof(uintptr_t));
err_unmap_windows:
	munmap(space->windows, MEM_WINDOWS * sizeof(*space->windows));
err_free:
	mutex_destroy(&space->lock);
	free(space);
	return rc;
}

void mem_space_destroy(struct mem_space *space)
{
	u64 pins;

	if (!space)
		return;
	pins = mem_space_pins(space);
	if (pins)
		log_line(&space->log, IOMMUFD_LOG_WARN,
			 "memory: %llu pages still pinned at the end", (unsigned long long)pins);
	frame_pool_destroy(space->frames);
	while (space->free_windows) {
		struct mem_window *window = space->free_windows;

		space->free_windows = window->next_free;
		free(window);
	}
	munmap(space->front.phys_host, MEM_WINDOWS * sizeof(uintptr_t));
	munmap(space->front.frame_host, MEM_WINDOWS * sizeof(uintptr_t));
	munmap(space->windows, MEM_WINDOWS * sizeof(*space->windows));
	mutex_destroy(&space->lock);
	free(space);
}

int backing_create(struct mem_space *space, enum mem_backing_kind kind, int fd,
		   struct mem_backing **ret_backing)
{
	struct mem_backing *backing = zalloc(sizeof(*backing));

	if (!backing)
		return -ENOMEM;
	backing->space = space;
	backing->kind = kind;
	backing->fd = fd;
	backing->refs = 1;
	CDS_INIT_LIST_HEAD(&backing->windows);
	*ret_backing = backing;
	return 0;
}

/* The functions named _locked, and those that make and retire windows, run under space->lock. */

static void backing_put_locked(struct mem_backing *backing, struct trash *trash)
{
	mutex_assert_held(&backing->space->lock);
	if (--backing->refs)
		return;
	if (backing->kind == MEM_BACKING_FILE)
		cds_hlist_del(&backing->node);
	trash->backing = backing;
}

void backing_put(struct mem_backing *backing)
{
	struct mem_space *space = backing->space;
	struct trash trash = { 0 };

	mutex_lock(&space->lock);
	backing_put_locked(backing, &trash);
	mutex_unlock(&space->lock);
	trash_empty(&trash);
}

static struct cds_hlist_head *window_bucket(const struct mem_backing *backing, u64 section)
{
	u64 key =
		((uintptr_t)backing >> 4) * 0x9e3779b97f4a7c15ULL + section * 0xd6e8feb86659fd93ULL;

	return &backing->space->window_hash[(key >> 32) % SPACE_WINDOW_BUCKETS];
}

struct mem_window *window_find(struct mem_backing *backing, u64 section)
{
	struct mem_window *window;

	mutex_assert_held(&backing->space->lock);
	cds_hlist_for_each_entry_2(window, window_bucket(backing, section), hash_node)
		if (window->backing == backing && window->section == section)
			return window;
	return NULL;
}

/* A free GiB of physical space, 0 if there is none. */
static u32 space_find_slot(struct mem_space *space)
{
	for (u32 tries = 0; tries < MEM_WINDOWS - MEM_FIRST_WINDOW; tries++) {
		u32 slot = space->next_window;

		space->next_window = slot + 1 < MEM_WINDOWS ? slot + 1 : MEM_FIRST_WINDOW;
		if (!atomic_load_explicit(&space->windows[slot], memory_order_relaxed))
			return slot;
	}
	return 0;
}

/* Where the section is in this process, if it can be reached by pointer. */
static int window_map(struct mem_window *window)
{
	const struct mem_backing *backing = window->backing;
	void *ptr;

	window->direct = true;
	switch (backing->kind) {
	case MEM_BACKING_FILE:
		return file_window_map(backing, window->section, &window->host);
	case MEM_BACKING_MM:
		window->direct = backing->fd < 0;
		window->host = window->section << MEM_WINDOW_SHIFT;
		return 0;
	case MEM_BACKING_FRAMES:
		ptr = map_zeroed(MEM_WINDOW_SIZE);
		if (!ptr)
			return -ENOMEM;
		window->host = (uintptr_t)ptr;
		return 0;
	case MEM_BACKING_IO:
		window->direct = false;
		window->host = 0;
		return 0;
	}
	return -EINVAL;
}

static struct mem_window *window_alloc(struct mem_space *space)
{
	struct mem_window *window = space->free_windows;

	if (!window)
		return zalloc(sizeof(*window));
	space->free_windows = window->next_free;
	return window;
}

static void window_recycle(struct mem_space *space, struct mem_window *window)
{
	window->next_free = space->free_windows;
	space->free_windows = window;
}

static void window_publish(struct mem_window *window, u32 slot, u64 refs, u64 holds)
{
	struct mem_backing *backing = window->backing;
	struct mem_space *space = backing->space;

	window->holds = holds;
	backing->refs++;
	cds_list_add_tail(&window->backing_node, &backing->windows);
	cds_hlist_add_head(&window->hash_node, window_bucket(backing, window->section));
	space->window_limit = MAX(space->window_limit, slot + 1);
	/* Pairs with window_get_phys(), which may have an old pointer to this struct. */
	atomic_store_explicit(&window->refs, refs + holds, memory_order_release);
	atomic_store_explicit(&space->windows[slot], window, memory_order_release);
	if (window->direct && layout_is_linear(&window->layout))
		atomic_store_explicit(&space->front.phys_host[slot], window->host,
				      memory_order_release);
}

static int window_create(struct mem_backing *backing, u64 section, u64 refs,
			 struct mem_window **ret_window)
{
	struct mem_space *space = backing->space;
	struct mem_window *window;
	u32 slot = space_find_slot(space);
	int rc = -ENOMEM;

	if (!slot)
		return -ENOMEM;
	window = window_alloc(space);
	if (!window)
		return -ENOMEM;
	window->backing = backing;
	window->section = section;
	window->pa = (u64)slot << MEM_WINDOW_SHIFT;
	layout_init(&window->layout, space->policy, backing, slot);
	window->pins = map_zeroed(PINS_BYTES);
	if (!window->pins)
		goto err_recycle;
	rc = window_map(window);
	if (rc)
		goto err_unmap_pins;
	/* Private memory and frames stay in place for as long as their owner lives. */
	window_publish(window, slot, refs, backing->kind != MEM_BACKING_FILE);
	*ret_window = window;
	return 0;
err_unmap_pins:
	munmap((void *)window->pins, PINS_BYTES);
err_recycle:
	window_recycle(space, window);
	return rc;
}

int window_take(struct mem_backing *backing, u64 section, u64 npages,
		struct mem_window **ret_window)
{
	struct mem_space *space = backing->space;
	struct mem_window *window;
	int rc = 0;

	mutex_lock(&space->lock);
	window = window_find(backing, section);
	if (window)
		atomic_fetch_add_explicit(&window->refs, npages, memory_order_relaxed);
	else
		rc = window_create(backing, section, npages, &window);
	mutex_unlock(&space->lock);
	if (!rc)
		*ret_window = window;
	return rc;
}

/* The last reference is gone: take the window out of every table. */
static void window_retire(struct mem_window *window, struct trash *trash)
{
	struct mem_backing *backing = window->backing;
	struct mem_space *space = backing->space;

	atomic_store_explicit(&space->front.phys_host[window->pa >> MEM_WINDOW_SHIFT], 0,
			      memory_order_relaxed);
	atomic_store_explicit(&space->windows[window->pa >> MEM_WINDOW_SHIFT], NULL,
			      memory_order_release);
	cds_hlist_del(&window->hash_node);
	cds_list_del(&window->backing_node);
	if (backing->kind != MEM_BACKING_MM)
		trash->host = (void *)window->host;
	trash->pins = (void *)window->pins;
	backing_put_locked(backing, trash);
	window_recycle(space, window);
}

static void window_put_locked(struct mem_window *window, u64 n, struct trash *trash)
{
	if (atomic_fetch_sub_explicit(&window->refs, n, memory_order_acq_rel) == n)
		window_retire(window, trash);
}

void window_put(struct mem_window *window, u64 n)
{
	u64 refs = atomic_load_explicit(&window->refs, memory_order_relaxed);
	struct mem_space *space;
	struct trash trash = { 0 };

	while (refs > n)
		if (atomic_compare_exchange_weak_explicit(&window->refs, &refs, refs - n,
							  memory_order_release,
							  memory_order_relaxed))
			return;
	/* Perhaps the last: only the lock keeps a new user from finding it now. */
	space = window->backing->space;
	mutex_lock(&space->lock);
	window_put_locked(window, n, &trash);
	mutex_unlock(&space->lock);
	trash_empty(&trash);
}

void window_unhold(struct mem_window *window)
{
	struct mem_space *space = window->backing->space;
	struct trash trash = { 0 };

	mutex_lock(&space->lock);
	window->holds--;
	window_put_locked(window, 1, &trash);
	mutex_unlock(&space->lock);
	trash_empty(&trash);
}

void backing_unhold_windows(struct mem_backing *backing)
{
	struct mem_space *space = backing->space;
	CDS_LIST_HEAD(windows);

	mutex_lock(&space->lock);
	cds_list_splice(&backing->windows, &windows);
	CDS_INIT_LIST_HEAD(&backing->windows);
	/* What is still pinned goes back to the list; its last unpin will retire it. */
	while (!cds_list_empty(&windows)) {
		struct mem_window *window =
			cds_list_first_entry(&windows, struct mem_window, backing_node);
		struct trash trash = { 0 };

		cds_list_move(&window->backing_node, &backing->windows);
		window->holds--;
		window_put_locked(window, 1, &trash);
		mutex_unlock(&space->lock);
		trash_empty(&trash);
		mutex_lock(&space->lock);
	}
	mutex_unlock(&space->lock);
}

static bool window_try_get(struct mem_window *window)
{
	u64 refs = atomic_load_explicit(&window->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&window->refs, &refs, refs + 1,
							  memory_order_acquire,
							  memory_order_relaxed))
			return true;
	return false;
}

struct mem_window *window_get_phys(struct mem_space *space, u64 pa)
{
	struct mem_window *window;

	if (pa >> MEM_PHYS_BITS)
		return NULL;
	window = atomic_load_explicit(&space->windows[pa >> MEM_WINDOW_SHIFT],
				      memory_order_acquire);
	if (!window || !window_try_get(window))
		return NULL;
	/* It may have been freed and come back as another one in between. */
	if (window->pa >> MEM_WINDOW_SHIFT != pa >> MEM_WINDOW_SHIFT) {
		window_put(window, 1);
		return NULL;
	}
	return window;
}
