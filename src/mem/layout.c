/* SPDX-License-Identifier: MIT */
/*
 * Layout: how the frame policy scatters the pages of a window.  The order is
 * a fixed function of the window's number, so that a run can be repeated.
 */
#include "mem/mem_priv.h"

/* Well mixed bits from a small number. */
static u64 mix64(u64 x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* The inverse of an odd number modulo 2^32: each step doubles the bits that are right. */
static u32 inverse32(u32 odd)
{
	u32 inv = odd;

	for (int i = 0; i < 5; i++)
		inv *= 2 - odd * inv;
	return inv;
}

static void layout_scatter(struct mem_layout *layout, u32 unit_lg2, u32 seed)
{
	u64 bits = mix64(seed);

	layout->unit_lg2 = unit_lg2;
	layout->mask = (1U << (MEM_WINDOW_PAGES_LG2 - unit_lg2)) - 1;
	/*
	 * Congruent to 5 modulo 8: neither 1 nor -1 for any number of units, so the unit after
	 * the next is never two further on, and no long run survives.
	 */
	layout->mul = ((u32)bits & ~7U) | 5;
	layout->inv = inverse32(layout->mul);
	layout->flip = (u32)(bits >> 32) & layout->mask;
}

void layout_init(struct mem_layout *layout, enum iommufd_frame_policy policy,
		 const struct mem_backing *backing, u32 seed)
{
	bool scatter = policy != IOMMUFD_FRAMES_CONTIGUOUS;

	*layout = (struct mem_layout){ .mask = MEM_WINDOW_PAGES - 1, .mul = 1, .inv = 1 };
	/* Page tables, registers and device memory are contiguous on any machine. */
	if (backing->kind == MEM_BACKING_FRAMES || backing->kind == MEM_BACKING_IO ||
	    backing->device)
		scatter = false;
	if (!scatter)
		return;
	if (policy == IOMMUFD_FRAMES_HUGE_ONLY && backing->hugetlb)
		layout_scatter(layout, MEM_CHUNK_LG2, seed);
	else
		layout_scatter(layout, 0, seed);
}
