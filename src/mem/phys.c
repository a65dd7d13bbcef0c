/* SPDX-License-Identifier: MIT */
/*
 * Memory by physical address: what devices, table walkers and table code use.
 * The policy's permutation is undone here, so everybody else sees plain
 * addresses.
 */
#include "mem/mem_priv.h"

/* The offset of @pa in its window's linear order, and how many bytes follow it there. */
static u64 window_linear(const struct mem_window *window, u64 pa, u64 *ret_len)
{
	const struct mem_layout *layout = &window->layout;
	u64 offset = pa & (MEM_WINDOW_SIZE - 1);
	u64 unit = PAGE_SIZE << layout->unit_lg2;

	if (layout_is_linear(layout)) {
		*ret_len = MEM_WINDOW_SIZE - offset;
		return offset;
	}
	*ret_len = unit - (offset & (unit - 1));
	return ((u64)layout_to_linear(layout, (u32)(offset >> PAGE_SHIFT)) << PAGE_SHIFT) |
	       (offset & (PAGE_SIZE - 1));
}

void *mem_phys_ptr(struct mem_space *space, u64 pa, u64 *ret_len)
{
	struct mem_window *window;

	if (pa >> MEM_PHYS_BITS)
		return NULL;
	window = atomic_load_explicit(&space->windows[pa >> MEM_WINDOW_SHIFT],
				      memory_order_acquire);
	if (!window || !window->direct)
		return NULL;
	return (void *)(window->host + window_linear(window, pa, ret_len));
}

static bool window_is_ram(const struct mem_window *window)
{
	return window->direct || window->backing->kind != MEM_BACKING_IO;
}

/* Copy what lies in one window; *@done says how much. */
static int window_phys_copy(struct mem_space *space, u64 pa, u8 *buf, size_t len, bool write,
			    bool io, size_t *done)
{
	struct mem_window *window = window_get_phys(space, pa);
	u64 end;
	int rc = 0;

	if (!window)
		return -EFAULT;
	if (unlikely(!io && !window_is_ram(window)))
		rc = -EREMOTEIO;
	end = window->pa + MEM_WINDOW_SIZE;
	*done = 0;
	while (*done < len && pa < end && !rc) {
		u64 piece, offset = window_linear(window, pa, &piece);

		piece = MIN(piece, len - *done);
		rc = window_copy(window, offset, buf + *done, piece, write);
		*done += piece;
		pa += piece;
	}
	window_put(window, 1);
	return rc;
}

static int phys_copy(struct mem_space *space, u64 pa, u8 *buf, size_t len, bool write, bool io)
{
	while (len) {
		size_t done;
		int rc = window_phys_copy(space, pa, buf, len, write, io, &done);

		if (rc)
			return rc;
		buf += done;
		pa += done;
		len -= done;
	}
	return 0;
}

int mem_phys_read(struct mem_space *space, u64 pa, void *dst, size_t len)
{
	return phys_copy(space, pa, dst, len, false, true);
}

int mem_phys_write(struct mem_space *space, u64 pa, const void *src, size_t len)
{
	return phys_copy(space, pa, (u8 *)(uintptr_t)src, len, true, true);
}

int mem_ram_read(struct mem_space *space, u64 pa, void *dst, size_t len)
{
	return phys_copy(space, pa, dst, len, false, false);
}

int mem_ram_write(struct mem_space *space, u64 pa, const void *src, size_t len)
{
	return phys_copy(space, pa, (u8 *)(uintptr_t)src, len, true, false);
}

/* ---- words ---- */

int mem_phys_load64(struct mem_space *space, u64 pa, u64 *ret)
{
	struct mem_window *window;
	u64 offset, len;
	int rc;

	if (pa & (sizeof(u64) - 1))
		return -EFAULT;
	window = window_get_phys(space, pa);
	if (!window)
		return -EFAULT;
	offset = window_linear(window, pa, &len);
	if (likely(window->direct))
		rc = guard_load64((const u64 *)(window->host + offset), ret);
	else if (window_is_ram(window))
		rc = window_copy(window, offset, ret, sizeof(*ret), false);
	else
		rc = -EFAULT;
	window_put(window, 1);
	return rc;
}

static int copied_cas64(struct mem_window *window, u64 offset, u64 *old, u64 value)
{
	u64 found;
	int rc;

	rc = window_copy(window, offset, &found, sizeof(found), false);
	if (!rc && found == *old)
		rc = window_copy(window, offset, &value, sizeof(value), true);
	if (!rc)
		*old = found;
	return rc;
}

int mem_phys_cas64(struct mem_space *space, u64 pa, u64 *old, u64 value)
{
	struct mem_window *window;
	u64 offset, len;
	int rc;

	if (pa & (sizeof(u64) - 1))
		return -EFAULT;
	window = window_get_phys(space, pa);
	if (!window)
		return -EFAULT;
	offset = window_linear(window, pa, &len);
	if (likely(window->direct))
		rc = guard_cas64((u64 *)(window->host + offset), old, value);
	else if (window_is_ram(window))
		rc = copied_cas64(window, offset, old, value);
	else
		rc = -EFAULT;
	window_put(window, 1);
	return rc;
}

/* Where an aligned word is, if it takes but a load to know; whoever asks knows that it stays. */
static u64 *pinned_word(struct mem_space *space, u64 pa)
{
	if (unlikely(pa & (sizeof(u64) - 1)))
		return NULL;
	return (u64 *)(void *)mem_phys_host(space->front.phys_host, pa);
}

int mem_pinned_load64(struct mem_space *space, u64 pa, u64 *ret)
{
	const u64 *word = pinned_word(space, pa);

	return likely(word) ? guard_load64(word, ret) : mem_phys_load64(space, pa, ret);
}

int mem_pinned_cas64(struct mem_space *space, u64 pa, u64 *old, u64 value)
{
	u64 *word = pinned_word(space, pa);

	return likely(word) ? guard_cas64(word, old, value) : mem_phys_cas64(space, pa, old, value);
}
