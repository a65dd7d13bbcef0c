/* SPDX-License-Identifier: MIT */
/*
 * Random mapping, unmapping, dirtying, cutting and joining against a naive array
 * of pages, in every format, with the whole table compared and checked after each
 * step.
 *
 * The array knows for each smallest page which entry it belongs to; it picks
 * entry sizes by trying them one by one.
 */
#include "pt_fixture.h"

#define PAGES 4096u
#define STEPS 1200u

struct page {
	bool mapped, dirty;
	u64 pa;
	unsigned prot;
	u32 first; /* first page of the entry */
	unsigned lg2;
};

/* What a naive array has to know of a format. */
struct format {
	pt_init_fn init;
	unsigned granule_lg2, bits; /* of a table of level 0 */
	bool write_reads;	    /* "write only" is not known */
	bool mark_is_right;	    /* no mark on what must not be written */
	u64 flushed;		    /* the bit of table entries that is not the device's */
};

struct model {
	struct pt_table pt;
	struct arena *arena;
	const struct format *format;
	unsigned page_lg2;    /* smallest page size in use */
	u64 base;             /* iova of page 0 */
	u64 seed;
	struct page page[PAGES];
	bool reported[PAGES];
	u32 dumped;
};

static u64 rnd(struct model *m, u64 below)
{
	m->seed = m->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (m->seed >> 33) % below;
}

static u32 pages_of(struct model *m, unsigned lg2)
{
	return 1u << (lg2 - m->page_lg2);
}

static unsigned naive_lg2(struct model *m, u64 iova, u64 pa, u64 len)
{
	unsigned lg2 = 63;
	u64 sizes = m->pt.ops->pgsize_bitmap(&m->pt);

	for (;; lg2--)
		if (sizes >> lg2 & 1 && 1ULL << lg2 <= len && iova % (1ULL << lg2) == 0 &&
		    pa % (1ULL << lg2) == 0)
			return lg2;
}

static u32 naive_map(struct model *m, u32 at, u64 pa, u32 n, unsigned prot, int *ret_rc)
{
	u32 done = 0;
	bool dirty = m->pt.cfg.features & PT_FEAT_NEW_DIRTY && prot & PT_PROT_WRITE;

	*ret_rc = 0;
	if (m->format->write_reads)
		prot |= PT_PROT_READ;
	while (done < n) {
		u64 offset = (u64)done << m->page_lg2;
		unsigned lg2 = naive_lg2(m, m->base + ((u64)(at + done) << m->page_lg2),
					 pa + offset, (u64)(n - done) << m->page_lg2);
		u32 first = at + done, i;

		for (i = first; i < first + pages_of(m, lg2); i++) {
			if (m->page[i].mapped) {
				*ret_rc = -EADDRINUSE;
				return done;
			}
		}
		for (i = first; i < first + pages_of(m, lg2); i++)
			m->page[i] = (struct page){
				.mapped = true,
				.dirty = dirty,
				.prot = prot,
				.first = first,
				.lg2 = lg2,
				.pa = pa + ((u64)(i - at) << m->page_lg2),
			};
		done += pages_of(m, lg2);
	}
	return done;
}

static u32 naive_unmap(struct model *m, u32 at, u32 n)
{
	u32 done = 0;

	while (done < n) {
		struct page *page = &m->page[at + done];
		u32 size;

		if (!page->mapped || page->first != at + done)
			break;
		size = pages_of(m, page->lg2);
		if (size > n - done)
			break;
		memset(page, 0, size * sizeof(*page));
		done += size;
	}
	return done;
}

/* The dirty unit page @i belongs to: the entry, or one item of it. */
static u32 naive_unit(struct model *m, u32 i, u32 *ret_first)
{
	struct page *page = &m->page[i];
	unsigned lg2 = page->lg2;

	if (m->pt.cfg.slot_dirty)
		lg2 -= (lg2 - m->format->granule_lg2) % m->format->bits;
	*ret_first = i & ~(pages_of(m, lg2) - 1);
	return pages_of(m, lg2);
}

static void naive_mark(struct model *m, u32 i, bool dirty)
{
	u32 first, n = naive_unit(m, i, &first), k;

	for (k = first; k < first + n; k++)
		m->page[k].dirty = dirty;
}

static int compare_entry(void *ctx, u64 iova, u64 pa, u64 len, unsigned prot, bool dirty)
{
	struct model *m = ctx;
	u32 first = (iova - m->base) >> m->page_lg2, i;
	bool expect_dirty = false;

	assert_true(iova >= m->base && first < PAGES);
	assert_true(m->page[first].mapped);
	assert_int_equal(m->page[first].first, first);
	assert_int_equal(len, 1ULL << m->page[first].lg2);
	assert_int_equal(pa, m->page[first].pa);
	assert_int_equal(prot, m->page[first].prot);
	for (i = first; i < first + pages_of(m, m->page[first].lg2); i++)
		expect_dirty |= m->page[i].dirty;
	assert_int_equal(dirty, expect_dirty);
	m->dumped += pages_of(m, m->page[first].lg2);
	return 0;
}

/* Cut the entry of page @i: sizes up to @lg2 in pages [@at, @at + @n), any smaller one outside. */
static void naive_cut_entry(struct model *m, u32 i, u32 at, u32 n, unsigned lg2)
{
	u32 first = m->page[i].first, end = first + pages_of(m, m->page[i].lg2), step, k;
	u64 sizes = m->pt.ops->pgsize_bitmap(&m->pt);
	unsigned old = m->page[i].lg2, size;

	for (k = first; k < end; k += step) {
		bool inside = k >= at && k < at + n;
		u32 stop = inside ? MIN(at + n, end) : k < at ? MIN(at, end) : end;

		for (size = old - 1;; size--)
			if (sizes >> size & 1 && (!inside || size <= lg2) &&
			    !((k - first) & (pages_of(m, size) - 1)) &&
			    pages_of(m, size) <= stop - k)
				break;
		step = pages_of(m, size);
		for (i = k; i < k + step; i++) {
			m->page[i].first = k;
			m->page[i].lg2 = size;
		}
	}
}

static void naive_cut(struct model *m, u32 at, u32 n, unsigned lg2)
{
	unsigned largest = lg2;
	u32 i;

	while (!(m->pt.ops->pgsize_bitmap(&m->pt) >> largest & 1))
		largest--;
	n = ALIGN_UP(at + n, pages_of(m, largest));
	at = ALIGN_DOWN(at, pages_of(m, largest));
	for (i = at; i < n; i++)
		if (m->page[i].mapped && m->page[i].lg2 > lg2)
			naive_cut_entry(m, i, at, n - at, lg2);
}

/* Could the pages of a block be one entry? */
static bool naive_is_one(struct model *m, u32 first, unsigned lg2)
{
	u32 i, n = pages_of(m, lg2);

	for (i = first; i < first + n; i++) {
		if (!m->page[i].mapped || m->page[i].lg2 >= lg2)
			return false;
		if (m->page[i].pa != m->page[first].pa + ((u64)(i - first) << m->page_lg2))
			return false;
		if (m->page[i].prot != m->page[first].prot)
			return false;
	}
	return m->page[first].pa % (1ULL << lg2) == 0;
}

static void naive_collapse(struct model *m, u32 at, u32 n, unsigned max)
{
	u64 sizes = m->pt.ops->pgsize_bitmap(&m->pt);
	unsigned lg2;
	u32 first, i;

	/* larger blocks do not fit between the pages' two ends and their alignment */
	for (lg2 = MIN(max, m->page_lg2 + 11); lg2 > m->page_lg2; lg2--) {
		u32 size = pages_of(m, lg2);

		if (!(sizes >> lg2 & 1))
			continue;
		for (first = ALIGN_UP(at, size); first + size <= at + n; first += size) {
			if (!naive_is_one(m, first, lg2))
				continue;
			for (i = first; i < first + size; i++) {
				m->page[i].first = first;
				m->page[i].lg2 = lg2;
			}
			for (i = first; i < first + size; i++)
				if (m->page[i].dirty)
					naive_mark(m, i, true);
		}
	}
}

/* What was written has reached the device's copy of the tables. */
static void compare_shadow(struct model *m)
{
	struct arena *arena = m->arena;
	u32 frame, i;

	for (frame = 0; frame < arena->next; frame++) {
		const u64 *now = (const u64 *)(arena->base + frame * SZ_4K);
		const u64 *seen = (const u64 *)(arena->shadow + frame * SZ_4K);

		for (i = 0; i < (1u << arena->used[frame]) / 8 && arena->used[frame]; i++) {
			/* tables that wait to be freed are linked through words not present */
			if (!(now[i] & 7) && !(seen[i] & 7))
				continue;
			assert_int_equal(now[i] & ~m->format->flushed,
					 seen[i] & ~m->format->flushed);
		}
	}
}

static void compare(struct model *m)
{
	u32 i, mapped = 0;

	m->dumped = 0;
	assert_int_equal(m->pt.ops->dump(&m->pt, compare_entry, m), 0);
	for (i = 0; i < PAGES; i++)
		mapped += m->page[i].mapped;
	assert_int_equal(m->dumped, mapped);
	for (i = 0; i < 16; i++) {
		u32 at = rnd(m, PAGES);
		u64 iova = m->base + ((u64)at << m->page_lg2);

		assert_int_equal(phys(&m->pt, iova),
				 m->page[at].mapped ? m->page[at].pa : ~0ULL);
	}
	assert_sound(&m->pt);
	if (m->arena->shadow)
		compare_shadow(m);
}

static void record_pages(void *ctx, u64 iova, u64 len)
{
	struct model *m = ctx;
	u64 at;

	assert_true(len);
	for (at = iova; at < iova + len; at += 1ULL << m->page_lg2) {
		u32 i = (at - m->base) >> m->page_lg2;

		assert_true(i < PAGES);
		assert_false(m->reported[i]);
		m->reported[i] = true;
	}
}

/* @align: so many bits more of iova and physical address agree */
static void map_pages(struct model *m, u32 at, u32 n, unsigned align, unsigned prot)
{
	u64 iova = m->base + ((u64)at << m->page_lg2), pa, mapped;
	unsigned bits;
	u32 done;
	int rc, expect;

	bits = MIN(31 - __builtin_clz((m->pt.oa_last >> (m->page_lg2 + align + 1)) | 1), 30);
	pa = (rnd(m, 1ULL << bits) << (m->page_lg2 + align)) |
	     (iova & ((1ULL << (m->page_lg2 + align)) - 1));
	done = naive_map(m, at, pa, n, prot, &expect);
	rc = m->pt.ops->map_range(&m->pt, iova, pa, (u64)n << m->page_lg2, prot, &mapped);
	assert_int_equal(rc, expect);
	assert_int_equal(mapped, (u64)done << m->page_lg2);
	assert_int_equal(m->pt.ops->best_size(&m->pt, iova, pa, (u64)n << m->page_lg2),
			 1ULL << naive_lg2(m, iova, pa, (u64)n << m->page_lg2));
}

static void step_map(struct model *m)
{
	u32 at = rnd(m, PAGES), n = 1 + rnd(m, rnd(m, 3) ? 40 : 1500);
	unsigned align = rnd(m, 12);

	if (n > PAGES - at)
		n = PAGES - at;
	if (rnd(m, 2))
		at = ALIGN_DOWN(at, 1u << align);
	map_pages(m, at, n, align, 1 + rnd(m, 3));
}

/* Make room for entries of the largest size there is, and map some. */
static void step_map_large(struct model *m)
{
	u64 fit = (2ULL << (m->page_lg2 + 11)) - 1;
	unsigned lg2 = 63 - __builtin_clzll(m->pt.ops->pgsize_bitmap(&m->pt) & fit);
	u32 size = pages_of(m, lg2), at = ALIGN_DOWN(rnd(m, PAGES), size), n, i;

	n = MIN((1 + rnd(m, 3)) * size, PAGES - at);
	for (i = at; i < at + n; i++) {
		u32 first = m->page[i].first;
		u64 len = 1ULL << m->page[i].lg2;

		if (!m->page[i].mapped)
			continue;
		assert_int_equal(unmap(&m->pt, m->base + ((u64)first << m->page_lg2), len), len);
		assert_int_equal(naive_unmap(m, first, pages_of(m, m->page[i].lg2)),
				 len >> m->page_lg2);
	}
	map_pages(m, at, n, lg2 - m->page_lg2, RW);
}

static void step_unmap(struct model *m)
{
	u32 at = rnd(m, PAGES), n;

	if (rnd(m, 4) && m->page[at].mapped)
		at = m->page[at].first;
	n = 1 + rnd(m, PAGES - at);
	assert_int_equal(unmap(&m->pt, m->base + ((u64)at << m->page_lg2), (u64)n << m->page_lg2),
			 (u64)naive_unmap(m, at, n) << m->page_lg2);
}

static void step_set_dirty(struct model *m)
{
	u32 at = rnd(m, PAGES);
	u64 iova = m->base + ((u64)at << m->page_lg2) + rnd(m, 1u << m->page_lg2);
	int expect = 0;

	if (!m->page[at].mapped)
		expect = -ENOENT;
	else if (m->format->mark_is_right && !(m->page[at].prot & PT_PROT_WRITE))
		expect = -EACCES;
	assert_int_equal(m->pt.ops->set_dirty(&m->pt, iova), expect);
	if (!expect)
		naive_mark(m, at, true);
	if (m->arena->shadow) /* the device wrote to memory */
		memcpy(m->arena->shadow, m->arena->base, m->arena->next * SZ_4K);
}

static void step_cut(struct model *m)
{
	u32 at = rnd(m, PAGES), n = 1 + rnd(m, rnd(m, 2) ? PAGES - at : MIN(40, PAGES - at));
	unsigned lg2 = m->page_lg2 + rnd(m, 12);

	assert_int_equal(m->pt.ops->cut(&m->pt, m->base + ((u64)at << m->page_lg2),
					(u64)n << m->page_lg2, lg2), 0);
	naive_cut(m, at, n, lg2);
}

static void step_collapse(struct model *m)
{
	u32 at = rnd(m, PAGES), n = 1 + rnd(m, PAGES - at);
	unsigned lg2 = rnd(m, 2) ? 0 : m->page_lg2 + rnd(m, 12);

	collapse(&m->pt, m->base + ((u64)at << m->page_lg2), (u64)n << m->page_lg2, lg2);
	naive_collapse(m, at, n, lg2 ? lg2 : 63);
}

static void step_read_dirty(struct model *m)
{
	u32 at = rnd(m, PAGES), n = 1 + rnd(m, PAGES - at), i, unit, last_unit;
	unsigned flags = rnd(m, 2) ? PT_DIRTY_NO_CLEAR : 0;

	memset(m->reported, 0, sizeof(m->reported));
	assert_int_equal(m->pt.ops->read_and_clear_dirty(&m->pt,
							 m->base + ((u64)at << m->page_lg2),
							 (u64)n << m->page_lg2, flags,
							 record_pages, m), 0);
	for (i = 0; i < PAGES; i++) {
		bool asked = i >= at && i < at + n;

		/* the last unit touched is reported to its end */
		if (i >= at + n && m->page[at + n - 1].mapped && m->page[i].mapped) {
			naive_unit(m, at + n - 1, &last_unit);
			naive_unit(m, i, &unit);
			asked = unit == last_unit;
		}
		assert_int_equal(m->reported[i], asked && m->page[i].dirty);
	}
	for (i = at; i < at + n && !flags; i++)
		if (m->page[i].dirty)
			naive_mark(m, i, false);
}

static void run_model(const struct format *format, struct pt_cfg cfg)
{
	struct model *m = calloc(1, sizeof(*m));
	unsigned step, va_lg2 = cfg.max_va_lg2 ? cfg.max_va_lg2 : 48;
	u64 half;

	assert_non_null(m);
	cfg.max_va_lg2 = va_lg2;
	cfg.features |= PT_FEAT_DIRTY;
	m->arena = pt_begin(&m->pt, format->init, cfg);
	m->format = format;
	m->page_lg2 = __builtin_ctzll(m->pt.ops->pgsize_bitmap(&m->pt));
	m->seed = 42;
	/* across a boundary of a high level */
	half = (u64)(PAGES / 2) << m->page_lg2;
	m->base = 1ULL << MIN(MAX(format->granule_lg2 + 3 * format->bits, m->page_lg2 + 12),
			      va_lg2 - 1);
	assert_true(half <= m->base);
	m->base -= half;

	for (step = 0; step < STEPS; step++) {
		switch (rnd(m, 17)) {
		case 0 ... 3:
			step_map(m);
			break;
		case 16:
			step_map_large(m);
			break;
		case 4 ... 6:
			step_unmap(m);
			break;
		case 7 ... 10:
			step_set_dirty(m);
			break;
		case 11 ... 12:
			step_cut(m);
			break;
		case 13 ... 14:
			step_collapse(m);
			break;
		default:
			step_read_dirty(m);
		}
		compare(m);
	}
	pt_end(&m->pt, m->arena);
	free(m);
}

#define SW_HIGH	    (1ULL << 52)
#define SW_LPAE	    (1ULL << 55)
#define SW_RISCV    (1ULL << 8)

static const struct format amdv1 = { pt_amdv1_init, 12, 9 };
static const struct format mock = { pt_amdv1_mock_init, 11, 9 };
static const struct format x86 = { pt_x86_64_init, 12, 9, .write_reads = true, .flushed = SW_HIGH };
static const struct format vtdss = { pt_vtdss_init, 12, 9, .flushed = SW_HIGH };
static const struct format riscv = { pt_riscv_init, 12, 9, .write_reads = true,
				     .flushed = SW_RISCV };
static const struct format riscv_x4 = { pt_riscv_x4_init, 12, 9, .write_reads = true };

#define S1(name, init, lg2)                                                                        \
	static const struct format name = { init, lg2, lg2 - 3, .write_reads = true,               \
					    .mark_is_right = true, .flushed = SW_LPAE }
#define S2(name, init, lg2)                                                                        \
	static const struct format name = { init, lg2, lg2 - 3, .mark_is_right = true,             \
					    .flushed = SW_LPAE }
S1(s1_4k, pt_lpae_s1_4k_init, 12);
S1(s1_4k_lpa2, pt_lpae_s1_4k_lpa2_init, 12);
S1(s1_16k, pt_lpae_s1_16k_init, 14);
S1(s1_16k_lpa2, pt_lpae_s1_16k_lpa2_init, 14);
S1(s1_64k, pt_lpae_s1_64k_init, 16);
S2(s2_4k, pt_lpae_s2_4k_init, 12);
S2(s2_4k_lpa2, pt_lpae_s2_4k_lpa2_init, 12);
S2(s2_16k, pt_lpae_s2_16k_init, 14);
S2(s2_16k_lpa2, pt_lpae_s2_16k_lpa2_init, 14);
S2(s2_64k, pt_lpae_s2_64k_init, 16);

/* Which format, and what of it. */
static const struct run {
	const char *name;
	const struct format *format;
	struct pt_cfg cfg;
} runs[] = {
	{ "amdv1 with all sizes", &amdv1, { 0 } },
	{ "amdv1 with two sizes", &amdv1, { .pgsize_mask = SZ_4K | SZ_2M } },
	/* an entry of several items is cut into tables and joined from them, never half of it */
	{ "amdv1 without natural sizes", &amdv1, { .pgsize_mask = SZ_4K | 2 * SZ_2M } },
	{ "amdv1 with leaves born dirty", &amdv1, { .features = PT_FEAT_NEW_DIRTY } },
	{ "mock with marks per slot", &mock, { .slot_dirty = true } },
	{ "mock with 4 KiB and 1 MiB", &mock, { .pgsize_mask = SZ_4K | SZ_1M } },
	{ "x86-64", &x86, { .flush = arena_flush } },
	{ "x86-64, large", &x86, { .max_va_lg2 = 57, .pgsize_mask = SZ_2M | SZ_1G } },
	{ "VT-d second stage", &vtdss, { .flush = arena_flush } },
	{ "VT-d second stage, 3 levels", &vtdss, { .max_va_lg2 = 39 } },
	{ "VT-d second stage, large", &vtdss, { .max_va_lg2 = 57, .pgsize_mask = ~SZ_4K } },
	{ "Sv39", &riscv, { .max_va_lg2 = 39, .flush = arena_flush } },
	{ "Sv57, large", &riscv, { .max_va_lg2 = 57, .pgsize_mask = ~(SZ_2M - 1) } },
	{ "Sv39x4", &riscv_x4, { .max_va_lg2 = 41 } },
	{ "Sv48x4, no groups", &riscv_x4, { .max_va_lg2 = 50, .pgsize_mask = ~SZ_64K } },
	{ "Sv57x4, huge", &riscv_x4, { .max_va_lg2 = 59, .pgsize_mask = ~(SZ_1G - 1) } },
	{ "stage 1, 4 KiB", &s1_4k, { .flush = arena_flush } },
	{ "stage 1, 4 KiB, no groups", &s1_4k, { .pgsize_mask = SZ_4K | SZ_2M | SZ_1G } },
	{ "stage 1, 4 KiB, 2 MiB and up", &s1_4k, { .pgsize_mask = ~(SZ_2M - 1) } },
	{ "stage 1, 4 KiB, no 2 MiB", &s1_4k, { .pgsize_mask = SZ_4K | 16 * SZ_2M } },
	{ "stage 1, 4 KiB, born dirty", &s1_4k, { .features = PT_FEAT_NEW_DIRTY } },
	{ "stage 1, 4 KiB, 52 bits", &s1_4k_lpa2, { .max_va_lg2 = 52 } },
	{ "stage 1, 4 KiB, 52 bits, huge", &s1_4k_lpa2,
	  { .max_va_lg2 = 52, .pgsize_mask = ~(SZ_1G - 1) } },
	{ "stage 1, 16 KiB", &s1_16k, { .flush = arena_flush } },
	{ "stage 1, 16 KiB, 32 MiB and up", &s1_16k, { .pgsize_mask = ~(16 * SZ_2M - 1) } },
	{ "stage 1, 16 KiB, 52 bits", &s1_16k_lpa2, { .max_va_lg2 = 52 } },
	{ "stage 1, 16 KiB, 52 bits, huge", &s1_16k_lpa2,
	  { .max_va_lg2 = 52, .pgsize_mask = ~(16 * SZ_2M - 1) } },
	{ "stage 1, 64 KiB", &s1_64k, { .flush = arena_flush } },
	{ "stage 1, 64 KiB, 512 MiB and up", &s1_64k,
	  { .max_va_lg2 = 52, .pgsize_mask = ~(SZ_1G / 2 - 1) } },
	{ "stage 2, 4 KiB, joined roots", &s2_4k, { .max_va_lg2 = 40 } },
	{ "stage 2, 4 KiB", &s2_4k, { .flush = arena_flush } },
	{ "stage 2, 4 KiB, born dirty", &s2_4k, { .features = PT_FEAT_NEW_DIRTY } },
	{ "stage 2, 4 KiB, 52 bits", &s2_4k_lpa2, { .max_va_lg2 = 52 } },
	{ "stage 2, 16 KiB, joined roots", &s2_16k, { .max_va_lg2 = 40 } },
	{ "stage 2, 16 KiB, large", &s2_16k, { .pgsize_mask = ~(SZ_2M - 1) } },
	{ "stage 2, 16 KiB, 52 bits", &s2_16k_lpa2, { .max_va_lg2 = 52 } },
	{ "stage 2, 64 KiB, joined roots", &s2_64k, { .max_va_lg2 = 46 } },
	{ "stage 2, 64 KiB, large", &s2_64k, { .max_va_lg2 = 52, .pgsize_mask = ~(SZ_2M - 1) } },
};

static void run_one(void **state)
{
	const struct run *run = *state;

	run_model(run->format, run->cfg);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(runs)];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(runs); i++)
		tests[i] = (struct CMUnitTest){ .name = runs[i].name, .test_func = run_one,
						.initial_state = (void *)&runs[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
