/* SPDX-License-Identifier: MIT */
/*
 * Walking the whole space: how much is pinned, and whether all tables agree.
 */
#include "mem/mem_priv.h"

static struct mem_window *space_slot(struct mem_space *space, u32 slot)
{
	return atomic_load_explicit(&space->windows[slot], memory_order_relaxed);
}

static u64 window_pinned(const struct mem_window *window)
{
	return atomic_load_explicit(&window->refs, memory_order_relaxed) - window->holds;
}

u64 mem_space_pins(struct mem_space *space)
{
	u64 pins = 0;

	mutex_lock(&space->lock);
	for (u32 i = MEM_FIRST_WINDOW; i < space->window_limit; i++)
		if (space_slot(space, i))
			pins += window_pinned(space_slot(space, i));
	mutex_unlock(&space->lock);
	return pins;
}

static const char *window_check_layout(const struct mem_window *window)
{
	const struct mem_layout *l = &window->layout;

	/* A few pages spread over the window; all of them is what the unit test does. */
	for (u32 page = 0; page < MEM_WINDOW_PAGES; page += 4099)
		if (layout_to_linear(l, layout_to_phys(l, page)) != page)
			return "window: layout is not a permutation";
	return NULL;
}

static const char *window_check(struct mem_space *space, u32 slot, struct mem_window *window)
{
	u64 refs = atomic_load_explicit(&window->refs, memory_order_relaxed);
	u64 pins = 0;

	if (window->pa >> MEM_WINDOW_SHIFT != slot)
		return "window: in the wrong place of the physical table";
	if (window->backing->space != space)
		return "window: backing of another space";
	if (window_find(window->backing, window->section) != window)
		return "window: not found by its backing and section";
	if (!refs || refs < window->holds)
		return "window: fewer references than holders";
	for (u32 page = 0; page < MEM_WINDOW_PAGES; page++)
		pins += window_page_pins(window, page);
	if (pins != window_pinned(window))
		return "window: page counters and pinned total differ";
	return window_check_layout(window);
}

static const char *file_check(struct mem_backing *backing)
{
	struct mem_window *window;
	u64 windows = 0;

	cds_list_for_each_entry(window, &backing->windows, backing_node) {
		if (window->backing != backing)
			return "file: foreign window in its list";
		windows++;
	}
	return backing->refs < windows || !backing->refs ? "file: fewer references than windows" :
							   NULL;
}

static const char *space_check_locked(struct mem_space *space)
{
	struct mem_backing *backing;
	const char *wrong = NULL;

	for (u32 i = 0; i < MEM_FIRST_WINDOW; i++)
		if (space_slot(space, i))
			return "space: window below the start of memory";
	for (u32 i = MEM_FIRST_WINDOW; i < space->window_limit && !wrong; i++)
		if (space_slot(space, i))
			wrong = window_check(space, i, space_slot(space, i));
	for (u32 i = 0; i < SPACE_FILE_BUCKETS && !wrong; i++)
		cds_hlist_for_each_entry_2(backing, &space->files[i], node)
			if (!wrong)
				wrong = file_check(backing);
	return wrong;
}

const char *mem_space_check(struct mem_space *space)
{
	const char *wrong;

	mutex_lock(&space->lock);
	wrong = space_check_locked(space);
	mutex_unlock(&space->lock);
	return wrong;
}
